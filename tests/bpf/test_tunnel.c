/* Two hosts, a guest that went from one to the other, and what is sent after it. */
#include "tunnel_rig.h"

#define STREAM (24 << 20)

/* --- tools ----------------------------------------------------------------------------------- */

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
