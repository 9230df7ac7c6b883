/* The host of test_gate.c: a port in each gate, its neighbour, the wire, a VLAN; what goes in, and
 * where it comes out. */
#pragma once

#include "frames.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define TYPE 0x88b5
#define ALL  "ff:ff:ff:ff:ff:ff"
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01"
#define MISS "5a:99:00:00:00:99"
#define MAC  "5a:10:00:00:00:01" /* of the port whose gate it is */
#define PAL  "5a:10:00:00:00:02" /* of an open one in the same net */
#define IP4  "192.0.2.1"
#define IP6  "fe80::5810:ff:fe00:1"

/* Ends: the port, its neighbour, the wire, a port on VLAN 10. */
enum { ME, FRIEND, UP, TAGGED, ENDS };
#define BIT(end) (1u << (end))

static const char *const names[ENDS] = { "me", "friend", "up", "tagged" };
static const char *attach_wanted;
static struct plane *p;
static int links[ENDS], fds[ENDS], host_fd;

/* --- gates ----------------------------------------------------------------------------------- */

struct gate {
	const char *name;
	enum plane_gate gate;
	struct plane_gate_more more;
	/* A frame for the port, of its neighbour, the wire and the host: as anybody's, or dropped.
	 */
	bool anybodys;
	enum drop_reason to_drop;
	bool strangers; /* told of */
};

static const struct gate gates[] = {
	{ "closed", PLANE_CLOSED, { 0 }, false, DROP_RECEIVER_CLOSED, false },
	{ "closed, elsewhere", PLANE_CLOSED, { .elsewhere = true }, true, 0, false },
	{ "tunnel-in, not armed", PLANE_TUNNEL_IN, { 0 }, true, 0, false },
	{ "tunnel-in, armed", PLANE_TUNNEL_IN, { .armed = true }, true, 0, false },
	{ "tunnel-in, any frame",
	  PLANE_TUNNEL_IN,
	  { .armed = true, .any_frame = true },
	  true,
	  0,
	  false },
	{ "open", PLANE_OPEN, { 0 }, false, 0, true },
	{ "redirect, no peer", PLANE_REDIRECT, { 0 }, false, DROP_NO_TUNNEL, true },
	{ "redirect, no tunnel",
	  PLANE_REDIRECT,
	  { .peer = { 4, { 10, 0, 0, 2 } } },
	  false,
	  DROP_NO_TUNNEL,
	  true },
	{ "fenced", PLANE_FENCED, { 0 }, true, 0, true },
};
#define GATES (sizeof(gates) / sizeof(gates[0]))

static struct plane_port port_of(unsigned int id, int end, const char *mac)
{
	return (struct plane_port){ .id = id,
				    .ifindex = links[end],
				    .net = { 1, end == TAGGED ? 10 : 0 },
				    .address = lab_mac(mac),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void set(struct plane_port port)
{
	struct error e = { 0 };

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

static bool set_gate(const struct gate *g)
{
	struct error e;
	bool open;

	assert_int_equal(plane_port_gate(p, 1, g->gate, &g->more, &open, &e), 0);
	return open;
}

static const struct gate *gate_named(const char *name)
{
	for (size_t i = 0; i < GATES; i++)
		if (strcmp(gates[i].name, name) == 0)
			return &gates[i];
	abort();
}

static bool is_open(const struct gate *g)
{
	return g->gate == PLANE_OPEN;
}

#include "gate_events.h"
#include "gate_frames.h"

static void inject(int end, struct frame f)
{
	assert_int_equal(write(fds[end], f.octet, f.len), f.len);
}

static unsigned int arrived(int end)
{
	unsigned int count = 0;
	uint8_t buf[4096];

	while (read(fds[end], buf, sizeof(buf)) > 0)
		count++;
	return count;
}

/* The ends that got the frame; none may get two. */
static unsigned int ends(void)
{
	unsigned int bits = 0;

	for (int i = 0; i < ENDS; i++) {
		unsigned int count = arrived(i);

		assert_in_range(count, 0, 1);
		bits |= count << i;
	}
	return bits;
}

static unsigned int at_host(void)
{
	return lab_raw_count(host_fd, 0, 20);
}

static void drain(void)
{
	for (int i = 0; i < ENDS; i++)
		arrived(i);
	lab_raw_count(host_fd, 0, 0);
	told(PLANE_SPOKE, 1);
}

static void fresh(const struct gate *g)
{
	struct plane_port port = port_of(1, ME, MAC);
	struct error e;

	plane_port_remove(p, 1, true, &e);
	port.gate = g->gate;
	port.more = g->more;
	set(port);
	drain();
}

static void host_sends(struct frame f, uint32_t mark)
{
	assert_int_equal(setsockopt(host_fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	lab_raw_send(host_fd, f.octet, f.len);
}

static uint64_t uplink_drops(enum drop_reason reason)
{
	struct plane_counters c;
	struct error e;

	assert_int_equal(plane_uplink_counters(p, 1, &c, &e), 0);
	return c.drops[reason];
}

static uint64_t port_drops(uint32_t id, enum drop_reason reason)
{
	return lab_counters(p, id).drops[reason];
}
