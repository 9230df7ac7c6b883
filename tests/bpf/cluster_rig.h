/* The host of test_cluster.c and test_cluster_flows.c: two members' ports and a third one, an
 * uplink, and a cluster whose rows a case fills.  What a case sends is looked for at every end. */
#pragma once

#include "cluster_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/pkt_cls.h>
#include <cmocka.h>

#define A    "5a:10:00:00:00:01" /* member 1, port 1 */
#define B    "5a:10:00:00:00:02" /* member 2, port 2 */
#define C    "5a:10:00:00:00:03" /* no member, port 3 */
#define FAR  "5a:10:00:00:00:09" /* member 3, on another host */
#define NIC  "52:54:00:aa:bb:cc"
#define WIRE "52:54:00:00:00:01" /* a client */
#define PEER "52:54:00:00:00:02" /* another host */

#define TO_A	1
#define TO_B	2
#define TO_C	3
#define TO_WIRE 4
#define NOBODY	0

static const char *attach_wanted;
static struct plane *p;
static int up, up_fd, links[4], fds[4];
static struct test_cluster t;
static struct balance_row rows[CLUSTER_MAGLEV_ROWS];
static span_t tcp_idle;
static bool all_unusual; /* bpf/balance.h's function for usual frames takes none */

/* --- tools ----------------------------------------------------------------------------------- */

static void set_ports(void)
{
	static const char *const macs[] = { NULL, A, B, C };
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
	for (unsigned int id = 1; id <= 3; id++) {
		struct plane_port port = { .id = id,
					   .ifindex = links[id],
					   .net = { 1, 0 },
					   .gate = PLANE_OPEN,
					   .address = lab_mac(macs[id]),
					   .mtu = 1500 };

		if (plane_port_set(p, &port, &e) < 0)
			fail_msg("%s", e.message);
	}
}

static void set_cluster(void)
{
	struct plane_cluster c = {
		.slot = 5, .net = { 1, 0 }, .record = &t.record, .tcp_idle = tcp_idle
	};
	struct error e;

	if (all_unusual && !t.record.rule_count)
		t.rules[t.record.rule_count++] =
			(struct cluster_rule){ 132, CLUSTER_DROPPED, 9, 9 }; /* of SCTP */
	if (plane_cluster_set(p, &c, &e) < 0)
		fail_msg("%s", e.message);
}

/* All rows are so; `fresh`, `known`: bit 0 is member 1. */
static void install_with(unsigned int first, unsigned int second, unsigned int fresh,
			 unsigned int known)
{
	uint8_t are_fresh[CLUSTER_MEMBERS_MAX / 8] = { (uint8_t)fresh };
	uint8_t are_known[CLUSTER_MEMBERS_MAX / 8] = { (uint8_t)known };
	struct error e;

	for (unsigned int i = 0; i < CLUSTER_MAGLEV_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)first, (uint16_t)second };
	if (plane_cluster_install(p, 5, rows, are_fresh, are_known, &e) < 0)
		fail_msg("%s", e.message);
}

static void install(unsigned int first, unsigned int second, unsigned int known)
{
	install_with(first, second, known, known);
}

static void commit(void)
{
	struct error e;

	if (plane_cluster_commit(p, 5, &e) < 0)
		fail_msg("%s", e.message);
}

static void all_rows(unsigned int first, unsigned int second, unsigned int known)
{
	install(first, second, known);
	commit();
}

static void lease(int64_t serve_ms, int64_t speak_ms)
{
	plane_cluster_lease(p, 5, 0, serve_ms ? test_in_ms(serve_ms) : (mono_t){ 0 },
			    speak_ms ? test_in_ms(speak_ms) : (mono_t){ 0 });
}

static uint8_t got[2048];
static size_t got_len;

static bool take(int fd)
{
	ssize_t n = read(fd, got, sizeof(got));

	if (n <= 0)
		return false;
	got_len = (size_t)n;
	return true;
}

static int where(void)
{
	int who = NOBODY, count = 0;

	for (int i = 1; i <= 3; i++)
		if (take(fds[i])) {
			who = i;
			count++;
		}
	if (take(up_fd)) {
		who = TO_WIRE;
		count++;
	}
	assert_true(count <= 1);
	return who;
}

static void flush(void)
{
	uint8_t buf[2048];

	for (int i = 1; i <= 3; i++)
		while (read(fds[i], buf, sizeof(buf)) > 0)
			;
	while (read(up_fd, buf, sizeof(buf)) > 0)
		;
}

/* Sends from a port (0: from the wire) and says who got it. */
static int sent(unsigned int from, struct frame f)
{
	flush();
	assert_int_equal(write(from ? fds[from] : up_fd, f.octet, f.len), f.len);
	return where();
}

static bool is_mac(size_t at, const char *mac)
{
	vmac_mac_t m = lab_mac(mac);

	return memcmp(got + at, m.octet, 6) == 0;
}

static struct plane_cluster_counters counters(void)
{
	struct plane_cluster_counters c;
	struct error e;

	assert_int_equal(plane_cluster_counters(p, 5, &c, &e), 0);
	return c;
}

static uint32_t flows_of(unsigned int id)
{
	uint32_t flows[CLUSTER_MEMBERS_MAX + 1];
	struct error e;

	assert_int_equal(plane_cluster_flows(p, 5, flows, &e), 0);
	return flows[id];
}

/* As main() begins; the argument: how programs are to be attached. */
static void open_links(int argc, char **argv)
{
	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	up = lab_tap("up", 1500, &up_fd);
	links[1] = lab_tap("p1", 1500, &fds[1]);
	links[2] = lab_tap("p2", 1500, &fds[2]);
	links[3] = lab_tap("p3", 1500, &fds[3]);
}

static int setup(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	test_cluster_init(&t);
	tcp_idle = (span_t){ 0 };
	test_cluster_member(&t, 1, A);
	test_cluster_member(&t, 2, B);
	test_cluster_member(&t, 3, FAR);
	set_ports();
	set_cluster();
	plane_cluster_lease(p, 5, 0, MONO_NEVER, MONO_NEVER); /* it is not new to the face */
	lease(60000, 60000);
	all_rows(1, 0, 7);
	return 0;
}
