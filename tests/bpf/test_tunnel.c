/* Two hosts, a guest that went from one to the other, and what is sent after it. */
#include "frames.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/tunnel.h"

#define TYPE	  0x88b5
#define ALL	  "ff:ff:ff:ff:ff:ff"
#define MAC	  "5a:10:00:00:00:01" /* the guest that moves */
#define CLIENT	  "5a:10:00:00:00:02" /* a guest at the source */
#define MISS	  "5a:99:00:00:00:99"
#define NIC_A	  "52:54:00:00:00:0a"
#define NIC_B	  "52:54:00:00:00:0b"
#define VNI	  4711
#define STREAM	  (24 << 20)
#define GUEST_IP4 "192.0.2.1"

enum { A, B, HOSTS };

static const char *attach_wanted;
static const char *const instances[HOSTS] = { "a", "b" };
static const char *const nics[HOSTS] = { NIC_A, NIC_B };
static int space[HOSTS], guest[HOSTS], client;
static int nic_if[HOSTS], guest_if[HOSTS], client_if, tunnel_if[HOSTS];
static int guest_raw[HOSTS], client_raw, nic_raw[HOSTS];
static struct plane *plane[HOSTS];
static struct error e;
static const struct plane_net net = { 1, 0 };

/* --- tools ----------------------------------------------------------------------------------- */

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s", e.message);                                                 \
	} while (0)

static struct plane_port port_of(int host, uint32_t id)
{
	return (struct plane_port){ .id = id,
				    .ifindex = id == 1 ? guest_if[host] : client_if,
				    .net = net,
				    .address = lab_mac(id == 1 ? MAC : CLIENT),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void gate(int host, enum plane_gate g, const char *peer)
{
	struct plane_gate_more more = { 0 };

	if (peer)
		more.peer = lab_ip(peer);
	OK(plane_port_gate(plane[host], 1, g, &more, NULL, &e));
}

static void set_all(int host)
{
	struct plane_uplink u = { 1, nic_if[host], lab_mac(nics[host]), 1500 };
	struct plane_port port = port_of(host, 1);
	unsigned int removed;

	lab_inside(space[host]);
	OK(plane_uplink_set(plane[host], &u, &e));
	OK(plane_port_set(plane[host], &port, &e));
	if (host == A) {
		port = port_of(A, 2);
		OK(plane_port_set(plane[host], &port, &e));
	}
	OK(plane_tunnel_set(plane[host], tunnel_if[host], &e));
	OK(plane_tunnel_net(plane[host], &net, VNI, &e));
	for (int other = 0; other < HOSTS; other++) {
		char ip4[32], ip6[32];
		struct ip ip;

		snprintf(ip4, sizeof(ip4), "10.0.0.%d", other + 1);
		snprintf(ip6, sizeof(ip6), "fd00::%d", other + 1);
		ip = lab_ip(ip4);
		OK(plane_tunnel_peer(plane[host], &ip, true, &e));
		ip = lab_ip(ip6);
		OK(plane_tunnel_peer(plane[host], &ip, true, &e));
	}
	OK(plane_sweep(plane[host], &removed, &e));
	lab_inside(-1);
}

static struct plane_counters tunnel(int host)
{
	struct plane_counters c;

	OK(plane_tunnel_counters(plane[host], &c, &e));
	return c;
}

static struct frame frame(const char *to, const char *from)
{
	struct frame f = eth(to, from, TYPE);

	put_zeros(&f, 46);
	return f;
}

static unsigned int count(int raw)
{
	return lab_raw_count(raw, TYPE, 60);
}

static void drain(void)
{
	for (int i = 0; i < HOSTS; i++) {
		lab_raw_count(guest_raw[i], 0, 0);
		lab_raw_count(nic_raw[i], 0, 0);
	}
	lab_raw_count(client_raw, 0, 0);
}

static void send_frame(int raw, struct frame f)
{
	lab_raw_send(raw, f.octet, f.len);
}

/* A VXLAN packet by hand, as whoever knows the port can send it. */
static void forge(const char *from, uint32_t vni, struct frame f)
{
	struct sockaddr_in me = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET, .sin_port = htons(TUNNEL_PORT_DEFAULT) };
	struct frame packet = { .len = 0 };
	int fd;

	put32(&packet, 0x08000000);
	put32(&packet, vni << 8);
	put(&packet, f.octet, f.len);
	inet_pton(AF_INET, from, &me.sin_addr);
	inet_pton(AF_INET, "10.0.0.2", &to.sin_addr);
	lab_inside(space[A]);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	assert_int_equal(
		sendto(fd, packet.octet, packet.len, 0, (struct sockaddr *)&to, sizeof(to)),
		packet.len);
	close(fd);
	lab_inside(-1);
}

static void check_forged_drop(const char *from, uint32_t vni, struct frame f,
			      enum drop_reason reason)
{
	struct plane_counters before = tunnel(B), after;

	drain();
	forge(from, vni, f);
	assert_int_equal(count(guest_raw[B]), 0);
	after = tunnel(B);
	assert_int_equal(after.rx_frames, before.rx_frames + 1);
	assert_int_equal(after.drops[reason], before.drops[reason] + 1);
	assert_int_equal(lab_drops_sum(&after), lab_drops_sum(&before) + 1);
}

/* --- there and not there --------------------------------------------------------------------- */

static void check_follows(const char *peer)
{
	struct plane_counters before = lab_counters(plane[A], 1), after;
	struct plane_counters in = tunnel(B);

	gate(A, PLANE_REDIRECT, peer);
	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
	assert_int_equal(count(guest_raw[A]), 0);
	send_frame(nic_raw[A], frame(MAC, NIC_A)); /* of the host itself */
	assert_int_equal(count(guest_raw[B]), 1);
	gate(B, PLANE_TUNNEL_IN, NULL);
	send_frame(nic_raw[B], frame(MAC, NIC_B)); /* from the wire: of whom still believes in A */
	assert_int_equal(count(guest_raw[B]), 1);
	after = lab_counters(plane[A], 1);
	assert_int_equal(after.redirected, before.redirected + 3);
	assert_int_equal(tunnel(B).rx_frames, in.rx_frames + 3);
	/* Broadcasts reach the new place by the wire, and only there. */
	send_frame(client_raw, frame(ALL, CLIENT));
	assert_int_equal(count(guest_raw[A]), 0);
	assert_int_equal(tunnel(B).rx_frames, in.rx_frames + 3);
}

static void frames_follow_the_guest(void **state)
{
	gate(B, PLANE_TUNNEL_IN, NULL);
	check_follows("10.0.0.2");
	gate(B, PLANE_OPEN, NULL);
	check_follows("10.0.0.2");
}

static void frames_follow_over_ip6(void **state)
{
	gate(B, PLANE_TUNNEL_IN, NULL);
	check_follows("fd00::2");
}

/* The host at both ends of a changed mind, and of two that point at each other. */
static void nothing_goes_round(void **state)
{
	struct plane_counters before = tunnel(B), after;

	gate(A, PLANE_REDIRECT, "10.0.0.2");
	gate(B, PLANE_REDIRECT, "10.0.0.1");
	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 0);
	assert_int_equal(count(guest_raw[A]), 0);
	after = tunnel(B);
	assert_int_equal(after.drops[DROP_TUNNEL_PORT], before.drops[DROP_TUNNEL_PORT] + 1);
	assert_int_equal(after.tx_frames, before.tx_frames);
}

static void the_peer_may_change(void **state)
{
	gate(B, PLANE_OPEN, NULL);
	for (int i = 0; i < 6; i++) {
		gate(A, PLANE_REDIRECT, i % 2 ? "10.0.0.2" : "10.0.0.7");
		drain();
		send_frame(client_raw, frame(MAC, CLIENT));
		assert_int_equal(count(guest_raw[B]), i % 2);
	}
}

static void check_no_way(void)
{
	struct plane_counters before = lab_counters(plane[A], 2), after;

	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 0);
	after = lab_counters(plane[A], 2);
	assert_int_equal(after.drops[DROP_NO_TUNNEL], before.drops[DROP_NO_TUNNEL] + 1);
}

static void without_a_way_it_is_dropped(void **state)
{
	gate(B, PLANE_OPEN, NULL);
	gate(A, PLANE_REDIRECT, NULL);
	check_no_way();
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	OK(plane_tunnel_net(plane[A], &net, 0, &e));
	check_no_way();
	OK(plane_tunnel_net(plane[A], &net, VNI, &e));
	lab_inside(space[A]);
	OK(plane_tunnel_set(plane[A], 0, &e));
	check_no_way();
	lab_inside(space[A]);
	OK(plane_tunnel_set(plane[A], tunnel_if[A], &e));
	lab_inside(-1);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
}

/* --- what the other end takes ---------------------------------------------------------------- */

static void who_is_no_peer_is_dropped(void **state)
{
	struct ip a = lab_ip("10.0.0.1");

	gate(B, PLANE_OPEN, NULL);
	check_forged_drop("10.0.0.9", VNI, frame(MAC, MISS), DROP_TUNNEL_PEER);
	OK(plane_tunnel_peer(plane[B], &a, false, &e));
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MISS), DROP_TUNNEL_PEER);
	OK(plane_tunnel_peer(plane[B], &a, false, &e)); /* gone already */
	OK(plane_tunnel_peer(plane[B], &a, true, &e));
	forge("10.0.0.1", VNI, frame(MAC, MISS));
	assert_int_equal(count(guest_raw[B]), 1);
}

static void another_number_is_dropped(void **state)
{
	const struct plane_net other = { 1, 99 };

	gate(B, PLANE_OPEN, NULL);
	check_forged_drop("10.0.0.1", VNI + 1, frame(MAC, MISS), DROP_TUNNEL_NET);
	OK(plane_tunnel_net(plane[B], &net, VNI + 1, &e));
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MISS), DROP_TUNNEL_NET);
	forge("10.0.0.1", VNI + 1, frame(MAC, MISS));
	assert_int_equal(count(guest_raw[B]), 1);
	assert_true(plane_tunnel_net(plane[B], &other, VNI + 1, &e) < 0);
	assert_int_equal(e.code, ERROR_ADDRESS_IN_USE);
	OK(plane_tunnel_net(plane[B], &other, VNI + 2, &e));
	/* A number of another segment leads to no port of this one. */
	check_forged_drop("10.0.0.1", VNI + 2, frame(MAC, MISS), DROP_TUNNEL_PORT);
	OK(plane_tunnel_net(plane[B], &other, 0, &e));
	OK(plane_tunnel_net(plane[B], &net, VNI, &e));
}

static void what_is_for_nobody_is_dropped(void **state)
{
	struct frame tagged = eth(MAC, MISS, 0x8100);

	put16(&tagged, 10);
	put16(&tagged, TYPE);
	put_zeros(&tagged, 46);
	gate(B, PLANE_OPEN, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MISS, MISS), DROP_TUNNEL_PORT);
	check_forged_drop("10.0.0.1", VNI, frame(NIC_B, MISS), DROP_TUNNEL_PORT);
	check_forged_drop("10.0.0.1", VNI, frame(ALL, MISS), DROP_TUNNEL_PORT);
	check_forged_drop("10.0.0.1", VNI, tagged, DROP_VLAN_TAG);
	gate(B, PLANE_CLOSED, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MISS), DROP_TUNNEL_PORT);
	gate(B, PLANE_FENCED, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MISS), DROP_TUNNEL_PORT);
	gate(B, PLANE_REDIRECT, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MISS), DROP_TUNNEL_PORT);
}

static void a_guest_never_sees_its_own_frames(void **state)
{
	gate(B, PLANE_TUNNEL_IN, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MAC), DROP_TUNNEL_ECHO);
	gate(B, PLANE_OPEN, NULL);
	check_forged_drop("10.0.0.1", VNI, frame(MAC, MAC), DROP_TUNNEL_ECHO);
}

/* --- a move, whole --------------------------------------------------------------------------- */

static unsigned int seen[PLANE_EVENT_KIND_COUNT];

static void on_event(void *ctx, const struct plane_event *event)
{
	if (event->port == 1)
		seen[event->kind]++;
}

static void look(int host)
{
	memset(seen, 0, sizeof(seen));
	plane_events(plane[host], on_event, NULL);
}

static void the_first_word_moves_it(void **state)
{
	struct plane_gate_more armed = { .armed = true };
	struct frame f = arp(ALL, MAC, 3, MAC, "0.0.0.0", "0.0.0.0");

	put_zeros(&f, 18);
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	OK(plane_port_gate(plane[B], 1, PLANE_TUNNEL_IN, &armed, NULL, &e));
	look(A);
	look(B);
	drain();
	send_frame(guest_raw[B], frame(ALL, MAC)); /* no announcement */
	assert_int_equal(count(client_raw), 0);
	look(B);
	assert_int_equal(seen[PLANE_SPOKE], 1);
	send_frame(guest_raw[B], f);
	assert_int_equal(lab_raw_count(client_raw, 0x8035, 60), 1);
	look(B);
	assert_int_equal(seen[PLANE_FLIPPED], 1);
	look(A);
	assert_int_equal(seen[PLANE_STRANGER], 1);
	/* Both ways now: back by the wire, there by the tunnel until the fabric has learned. */
	send_frame(guest_raw[B], frame(CLIENT, MAC));
	assert_int_equal(count(client_raw), 1);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
	/* The source is silent, and then forgets. */
	send_frame(guest_raw[A], frame(ALL, MAC));
	assert_int_equal(count(client_raw), 0);
	look(A);
	assert_int_equal(seen[PLANE_SPOKE], 1);
	gate(A, PLANE_FENCED, NULL);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1); /* by the wire */
}

/* --- a segment on a VLAN --------------------------------------------------------------------- */

static void a_vlan_is_left_behind(void **state)
{
	const struct plane_net vlan = { 1, 10 };
	struct frame f = eth(MAC, NIC_B, 0x8100);
	uint8_t buf[2048];
	struct lab_meta meta;

	put16(&f, 10);
	put16(&f, TYPE);
	put_zeros(&f, 46);
	for (int i = 0; i < HOSTS; i++) {
		struct plane_port port = port_of(i, 1);

		port.net = vlan;
		lab_inside(space[i]);
		OK(plane_port_set(plane[i], &port, &e));
		OK(plane_tunnel_net(plane[i], &vlan, VNI + 10, &e));
	}
	lab_inside(-1);
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	gate(B, PLANE_TUNNEL_IN, NULL);
	drain();
	send_frame(nic_raw[B], f);
	assert_int_equal(lab_raw_next(guest_raw[B], TYPE, 60, buf, &meta), 60);
	assert_int_equal(meta.vlan, -1);
	for (int i = 0; i < HOSTS; i++)
		set_all(i);
}

/* --- large frames ---------------------------------------------------------------------------- */

static pid_t start_server(const char *address, int *ret_report)
{
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(5001) };
	static uint8_t buf[1 << 16];
	uint64_t bytes = 0, wrong = 0;
	int report[2], on = 1, fd;
	pid_t pid;
	ssize_t n;

	if (pipe(report) < 0)
		abort();
	lab_inside(guest[B]);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	inet_pton(AF_INET, address, &me.sin_addr);
	if (bind(fd, (struct sockaddr *)&me, sizeof(me)) < 0 || listen(fd, 1) < 0)
		abort();
	pid = fork();
	lab_inside(-1);
	if (pid) {
		close(fd);
		close(report[1]);
		*ret_report = report[0];
		return pid;
	}
	alarm(40);
	fd = accept(fd, NULL, NULL);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, bytes++)
			wrong += buf[i] != (uint8_t)(bytes * 31 >> 3);
	if (write(report[1], (uint64_t[]){ bytes, wrong }, 16) != 16)
		_exit(1);
	_exit(0);
}

static pid_t start_client(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5001) };
	static uint8_t buf[1 << 16];
	uint64_t bytes = 0;
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	alarm(40);
	lab_inside(client);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		_exit(1);
	while (bytes < STREAM) {
		for (size_t i = 0; i < sizeof(buf); i++, bytes++)
			buf[i] = (uint8_t)(bytes * 31 >> 3);
		for (size_t done = 0; done < sizeof(buf);) {
			ssize_t n = write(fd, buf + done, sizeof(buf) - done);

			if (n <= 0)
				_exit(1);
			done += (size_t)n;
		}
	}
	close(fd);
	_exit(0);
}

/* GSO frames whose every segment is too large for the network between the hosts, once it is in the
 * tunnel.  The answers come by the wire. */
static void check_stream(const char *peer)
{
	struct plane_counters before, after;
	uint64_t result[2] = { 0 };
	pid_t server, sender;
	int report, raw;
	struct pollfd fds[2];
	size_t longest = 0;
	uint8_t head[64];

	gate(A, PLANE_REDIRECT, peer);
	gate(B, PLANE_OPEN, NULL);
	before = lab_counters(plane[A], 1);
	lab_inside(space[B]);
	raw = lab_raw(TUNNEL_IFNAME);
	lab_inside(-1);
	server = start_server(GUEST_IP4, &report);
	sender = start_client(GUEST_IP4);
	fds[0] = (struct pollfd){ raw, POLLIN, 0 };
	fds[1] = (struct pollfd){ report, POLLIN, 0 };
	while (poll(fds, 2, 40000) > 0 && !fds[1].revents) {
		ssize_t n;

		while ((n = recv(raw, head, sizeof(head), MSG_TRUNC)) > 0)
			longest = (size_t)n > longest ? (size_t)n : longest;
	}
	assert_int_equal(read(report, result, sizeof(result)), sizeof(result));
	waitpid(server, NULL, 0);
	waitpid(sender, NULL, 0);
	after = lab_counters(plane[A], 1);
	print_message("by %s: %llu octets, %llu frames redirected, longest at the other end %zu\n",
		      peer, (unsigned long long)result[0],
		      (unsigned long long)(after.redirected - before.redirected), longest);
	assert_int_equal(result[0], STREAM);
	assert_int_equal(result[1], 0);
	assert_true(after.redirected - before.redirected >= STREAM / 1500);
	close(raw);
	close(report);
}

static void a_stream_of_large_frames_over_ip4(void **state)
{
	check_stream("10.0.0.2");
}

/* IPv6 has no fragments on the way, and Linux makes none for a tunnel: the hosts' network has to be
 * as wide as the guests' and the tunnel's headers. */
static void a_stream_of_large_frames_over_ip6(void **state)
{
	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		lab_command("ip link set dev nic0 mtu 1570");
	}
	lab_inside(-1);
	check_stream("fd00::2");
	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		lab_command("ip link set dev nic0 mtu 1500");
	}
	lab_inside(-1);
}

/* --- what is left ---------------------------------------------------------------------------- */

static void reopen(int host)
{
	plane_close(plane[host]);
	lab_inside(space[host]);
	plane[host] = lab_plane_of(instances[host], attach_wanted);
	lab_inside(-1);
}

static void it_goes_on_without_us(void **state)
{
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	gate(B, PLANE_TUNNEL_IN, NULL);
	for (int i = 0; i < HOSTS; i++)
		plane_close(plane[i]);
	drain();
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		plane[i] = lab_plane_of(instances[i], attach_wanted);
		set_all(i); /* as open: a change, then back */
	}
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
}

static void one_that_nobody_set_again_is_swept(void **state)
{
	struct plane_uplink u = { 1, nic_if[B], lab_mac(NIC_B), 1500 };
	struct plane_port port = port_of(B, 1);
	struct plane_counters c;
	unsigned int removed;

	gate(A, PLANE_REDIRECT, "10.0.0.2");
	reopen(B);
	lab_inside(space[B]);
	assert_int_equal(plane_uplink_set(plane[B], &u, &e), 0);
	assert_int_equal(plane_port_set(plane[B], &port, &e), 0);
	assert_int_equal(plane_sweep(plane[B], &removed, &e), 0);
	assert_true(removed >= 1);
	assert_true(plane_tunnel_counters(plane[B], &c, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	/* The drop net is still behind: nothing of it comes to the host. */
	assert_int_equal(plane_uplink_counters(plane[B], 0, &c, &e), 0);
	drain();
	lab_inside(-1);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 0);
	uint64_t was = c.drops[DROP_NO_PROGRAM];
	assert_int_equal(plane_uplink_counters(plane[B], 0, &c, &e), 0);
	assert_int_equal(c.drops[DROP_NO_PROGRAM], was + 1);
	set_all(B);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
}

static void the_tunnel_is_nothing_else(void **state)
{
	struct plane_uplink u = { 2, tunnel_if[A], lab_mac(MISS), 1500 };
	struct plane_port port = port_of(A, 3);

	lab_inside(space[A]);
	port.ifindex = tunnel_if[A];
	port.address = lab_mac(MISS);
	assert_true(plane_port_set(plane[A], &port, &e) < 0);
	assert_int_equal(e.code, ERROR_INTERFACE_IN_USE);
	assert_true(plane_uplink_set(plane[A], &u, &e) < 0);
	assert_int_equal(e.code, ERROR_INTERFACE_IN_USE);
	assert_true(plane_tunnel_set(plane[A], nic_if[A], &e) < 0);
	assert_int_equal(e.code, ERROR_INTERFACE_IN_USE);
	assert_true(plane_tunnel_set(plane[A], guest_if[A], &e) < 0);
	assert_int_equal(e.code, ERROR_INTERFACE_IN_USE);
	assert_true(plane_tunnel_set(plane[A], 60000, &e) < 0);
	assert_int_equal(e.code, ERROR_NO_INTERFACE);
	lab_inside(-1);
}

/* The address by which the peers know this host, whatever its routes prefer. */
static void outer_packets_come_from_where_they_are_told(void **state)
{
	struct ip other = lab_ip("10.0.0.9"), none = { 0 };

	gate(B, PLANE_OPEN, NULL);
	gate(A, PLANE_REDIRECT, "10.0.0.2");
	OK(plane_tunnel_local(plane[A], &other, &e));
	drain();
	struct plane_counters before = tunnel(B);
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 0); /* known under 10.0.0.1 only */
	assert_int_equal(tunnel(B).drops[DROP_TUNNEL_PEER], before.drops[DROP_TUNNEL_PEER] + 1);
	OK(plane_tunnel_peer(plane[B], &other, true, &e));
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
	OK(plane_tunnel_peer(plane[B], &other, false, &e));
	OK(plane_tunnel_local(plane[A], &none, &e));
	send_frame(client_raw, frame(MAC, CLIENT));
	assert_int_equal(count(guest_raw[B]), 1);
}

/* --- life ------------------------------------------------------------------------------------ */

static void make_tunnel(int host)
{
	const struct host_tunnel t = { .port = TUNNEL_PORT_DEFAULT };
	struct host_link link;
	struct host *h;

	OK(host_open(&h, &e));
	if (host_tunnel_make(h, &t, &link, &e) < 0) {
		printf("skipped: %s\n", e.message);
		exit(77);
	}
	tunnel_if[host] = link.ifindex;
	host_close(h);
}

static int setup(void **state)
{
	for (int i = 0; i < HOSTS; i++) {
		space[i] = lab_namespace();
		guest[i] = lab_namespace();
		guest_if[i] = lab_veth_at(space[i], "p0", "eth0", guest[i], lab_mac(MAC));
		lab_inside(guest[i]);
		lab_command("ip addr add " GUEST_IP4 "/24 dev eth0");
		lab_command("ip neigh add 192.0.2.2 lladdr " CLIENT " dev eth0");
		guest_raw[i] = lab_raw("eth0");
		lab_inside(-1);
	}
	client = lab_namespace();
	client_if = lab_veth_at(space[A], "p1", "eth0", client, lab_mac(CLIENT));
	lab_inside(client);
	lab_command("ip addr add 192.0.2.2/24 dev eth0");
	lab_command("ip neigh add " GUEST_IP4 " lladdr " MAC " dev eth0");
	client_raw = lab_raw("eth0");
	nic_if[A] = lab_veth_at(space[A], "nic0", "nic0", space[B], lab_mac(NIC_B));
	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		lab_command("ip link set dev nic0 address %s", nics[i]);
		lab_command("sysctl -qw net.ipv6.conf.nic0.disable_ipv6=0 "
			    "net.ipv6.conf.nic0.accept_dad=0");
		lab_command("ip addr add 10.0.0.%d/24 dev nic0", i + 1);
		lab_command("ip addr add fd00::%d/64 dev nic0 nodad", i + 1);
		nic_if[i] = (int)if_nametoindex("nic0");
		nic_raw[i] = lab_raw("nic0");
		make_tunnel(i);
		plane[i] = lab_plane_of(instances[i], attach_wanted);
		set_all(i);
	}
	lab_inside(space[A]);
	lab_command("ip addr add 10.0.0.9/24 dev nic0");
	lab_inside(-1);
	return 0;
}

static int teardown(void **state)
{

	for (int i = 0; i < HOSTS; i++) {
		lab_inside(space[i]);
		plane_purge(plane[i], &e);
		plane_close(plane[i]);
	}
	lab_inside(-1);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_follow_the_guest),
		cmocka_unit_test(frames_follow_over_ip6),
		cmocka_unit_test(nothing_goes_round),
		cmocka_unit_test(the_peer_may_change),
		cmocka_unit_test(without_a_way_it_is_dropped),
		cmocka_unit_test(who_is_no_peer_is_dropped),
		cmocka_unit_test(another_number_is_dropped),
		cmocka_unit_test(what_is_for_nobody_is_dropped),
		cmocka_unit_test(a_guest_never_sees_its_own_frames),
		cmocka_unit_test(the_first_word_moves_it),
		cmocka_unit_test(a_vlan_is_left_behind),
		cmocka_unit_test(a_stream_of_large_frames_over_ip4),
		cmocka_unit_test(a_stream_of_large_frames_over_ip6),
		cmocka_unit_test(it_goes_on_without_us),
		cmocka_unit_test(one_that_nobody_set_again_is_swept),
		cmocka_unit_test(the_tunnel_is_nothing_else),
		cmocka_unit_test(outer_packets_come_from_where_they_are_told),
	};

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	return cmocka_run_group_tests_name("bpf: tunnel", tests, setup, teardown);
}
