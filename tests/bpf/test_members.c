/* Real Linux guests as members, as they come: the virtual address on lo and on the NIC, all sysctls
 * at their defaults, DAD on; and without it, behind nat.  What reaches the wire is watched all the
 * time: nobody but the anchor ever speaks for a virtual address. */
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "balance/table.h"
#include "plane/cluster.h"

#define FACE   "02:00:5e:00:53:10"
#define NIC    "52:54:00:aa:bb:cc"
#define CLIENT "52:54:00:00:00:01"
#define VIP4   "192.0.2.10"
#define VIP6   "2001:db8::10"
#define PORT   7000
#define BULK   (8 << 20)

static const char *attach_wanted;
static const char *const macs[] = { NULL, "5a:10:00:00:00:01", "5a:10:00:00:00:02" };
static struct plane *p;
static int guests[3], client, up, links[3]; /* spaces; ports 1 and 2 */
static pid_t servers[3];
static struct balance_row *rows;
static int watch; /* on the wire */

/* --- guests ---------------------------------------------------------------------------------- */

static void with_ip6(void)
{
	lab_command("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 "
		    "net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0");
}

static struct sockaddr_storage address_of(const char *text, socklen_t *ret_len)
{
	struct sockaddr_storage a = { 0 };
	struct ip ip = lab_ip(text);

	if (ip.family == 4) {
		struct sockaddr_in *in = (void *)&a;

		in->sin_family = AF_INET;
		in->sin_port = htons(PORT);
		memcpy(&in->sin_addr, ip.octet, 4);
		*ret_len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in = (void *)&a;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(PORT);
		memcpy(&in->sin6_addr, ip.octet, 16);
		*ret_len = sizeof(*in);
	}
	return a;
}

static int bound(const char *text, int type)
{
	socklen_t len;
	struct sockaddr_storage a = address_of(text, &len);
	int fd = socket(a.ss_family, type, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 8) < 0)) {
		perror(text);
		_exit(1);
	}
	return fd;
}

/* Echoes what it gets, one connection a process, which must not listen: it may outlive its parent
 * for a moment. */
static void serve_stream(const struct pollfd *fds, unsigned int i)
{
	int fd = accept(fds[i].fd, NULL, NULL);
	char buf[65536];
	ssize_t n;

	if (fd < 0 || fork())
		goto out;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int j = 0; j < 4; j++)
		close(fds[j].fd);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t w = write(fd, buf + at, (size_t)(n - at));

			if (w <= 0)
				_exit(0);
			at += w;
		}
	_exit(0);
out:
	close(fd);
}

static void serve(const char *ip4, const char *ip6, int ready)
{
	struct pollfd fds[4] = { { bound(ip4, SOCK_STREAM), POLLIN, 0 },
				 { bound(ip6, SOCK_STREAM), POLLIN, 0 },
				 { bound(ip4, SOCK_DGRAM), POLLIN, 0 },
				 { bound(ip6, SOCK_DGRAM), POLLIN, 0 } };
	struct sockaddr_storage from;
	char buf[65536];
	socklen_t len;
	ssize_t n;

	signal(SIGCHLD, SIG_IGN);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	close(ready);
	while (poll(fds, 4, -1) > 0)
		for (unsigned int i = 0; i < 4; i++) {
			if (!fds[i].revents)
				continue;
			if (i < 2) {
				serve_stream(fds, i);
				continue;
			}
			len = sizeof(from);
			n = recvfrom(fds[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
				     &len);
			if (n > 0)
				sendto(fds[i].fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
		}
	_exit(1);
}

static void server_start(unsigned int id, const char *ip4, const char *ip6)
{
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	servers[id] = fork();
	if (servers[id] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lab_inside(guests[id]);
		close(ready[0]);
		serve(ip4, ip6, ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &(char){ 0 }, 1), 1);
	close(ready[0]);
}

static void servers_stop(void)
{
	for (unsigned int id = 1; id <= 2; id++) {
		if (servers[id] > 0) {
			kill(servers[id], SIGKILL);
			waitpid(servers[id], NULL, 0);
		}
		servers[id] = 0;
	}
}

/* --- the client ------------------------------------------------------------------------------ */

static int connected(const char *to, int type)
{
	struct timeval wait = { 3, 0 };
	socklen_t len;
	struct sockaddr_storage a = address_of(to, &len);
	int fd;

	lab_inside(client);
	fd = socket(a.ss_family, type, 0);
	lab_inside(-1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&a, len) == 0)
		return fd;
	print_message("connect to %s: %s\n", to, strerror(errno));
	close(fd);
	return -1;
}

/* Sends so much and gets it all back, octet by octet. */
static void echo_stream(const char *to, size_t size)
{
	int fd = connected(to, SOCK_STREAM);
	uint8_t out[16384], in[16384];
	size_t sent = 0, got = 0;

	assert_true(fd >= 0);
	while (got < size) {
		size_t n = size - sent < sizeof(out) ? size - sent : sizeof(out);
		ssize_t r;

		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t)((sent + i) * 31 >> 3);
		if (n && sent - got < 65536) {
			r = send(fd, out, n, 0);
			assert_true(r > 0);
			sent += (size_t)r;
			continue;
		}
		r = recv(fd, in, sizeof(in), 0);
		assert_true(r > 0);
		for (size_t i = 0; i < (size_t)r; i++)
			assert_int_equal(in[i], (uint8_t)((got + i) * 31 >> 3));
		got += (size_t)r;
	}
	close(fd);
}

static void echo_datagram(const char *to, size_t size)
{
	int fd = connected(to, SOCK_DGRAM);
	uint8_t *out = malloc(size), *in = malloc(size + 1);
	ssize_t n = -1;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(i * 7);
	for (unsigned int tries = 0; n < 0 && tries < 3; tries++) {
		assert_int_equal(send(fd, out, size, 0), size);
		n = recv(fd, in, size + 1, 0);
	}
	assert_int_equal(n, size);
	assert_memory_equal(in, out, size);
	close(fd);
	free(out);
	free(in);
}

static void pings(const char *to, unsigned int size)
{
	lab_inside(client);
	lab_command("busybox ping -q -c 1 -W 3 -s %u %s >/dev/null", size, to);
	lab_inside(-1);
}

static void whole_service(void)
{
	static const char *const all[] = { VIP4, VIP6 };

	for (unsigned int i = 0; i < 2; i++) {
		pings(all[i], 56);
		pings(all[i], 4000);
		echo_stream(all[i], 100);
		echo_stream(all[i], BULK);
		echo_datagram(all[i], 100);
		echo_datagram(all[i], 9000);
	}
}

/* --- the data plane -------------------------------------------------------------------------- */

static struct cluster_member members[2];
static vmac_mac_t face;
static struct ip addresses[2], own[2][2];
static struct cluster record;

static void set_cluster(unsigned int first)
{
	struct plane_cluster c = { .net = { 1, 0 },
				   .record = &record,
				   .own = record.nat ? own : NULL };
	uint8_t ids[CLUSTER_MEMBERS_MAX / 8] = { 3 };
	struct error e = { 0 };
	struct timespec t;
	mono_t later;

	for (unsigned int i = 0; i < CLUSTER_ROWS; i++)
		rows[i] = (struct balance_row){ (uint16_t)first, 0 };
	if (plane_cluster_set(p, &c, &e) < 0 ||
	    plane_cluster_install(p, 0, rows, ids, ids, &e) < 0 ||
	    plane_cluster_commit(p, 0, &e) < 0)
		fail_msg("%s", e.message);
	clock_gettime(CLOCK_BOOTTIME, &t);
	later.ns = ((int64_t)t.tv_sec + 600) * 1000000000;
	plane_cluster_lease(p, 0, 0, later, later);
}

static void set_all(void)
{
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct error e = { 0 };

	if (plane_uplink_set(p, &u, &e) < 0)
		fail_msg("%s", e.message);
	for (unsigned int id = 1; id <= 2; id++) {
		struct plane_port port = { .id = id,
					   .ifindex = links[id],
					   .net = { 1, 0 },
					   .gate = PLANE_OPEN,
					   .address = lab_mac(macs[id]),
					   .mtu = 1500,
					   .ip_count = 2,
					   .ips = { own[id - 1][0], own[id - 1][1] } };

		if (plane_port_set(p, &port, &e) < 0)
			fail_msg("%s", e.message);
	}
	set_cluster(1);
}

static int fresh(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	face = lab_mac(FACE);
	addresses[0] = lab_ip(VIP4);
	addresses[1] = lab_ip(VIP6);
	for (unsigned int i = 0; i < 2; i++) {
		own[i][0] = lab_ip(i ? "192.0.2.12" : "192.0.2.11");
		own[i][1] = lab_ip(i ? "2001:db8::12" : "2001:db8::11");
		members[i] = (struct cluster_member){ .id = (uint16_t)(i + 1),
						      .address = lab_mac(macs[i + 1]),
						      .weight = 1 };
	}
	record = (struct cluster){ .id = 1,
				   .name = "web",
				   .key = "0123456789abcde",
				   .face_count = 1,
				   .address_count = 2,
				   .member_count = 2,
				   .faces = &face,
				   .addresses = addresses,
				   .members = members,
				   .check_target = "",
				   .note = "" };
	set_all();
	return 0;
}

static int done(void **state)
{
	servers_stop();
	for (unsigned int id = 1; id <= 2; id++) {
		lab_inside(guests[id]);
		lab_try("ip addr del " VIP4 "/32 dev lo 2>/dev/null");
		lab_try("ip addr del " VIP6 "/128 dev lo 2>/dev/null");
		lab_try("ip addr del " VIP4 "/24 dev eth0 2>/dev/null");
		lab_try("ip addr del " VIP6 "/64 dev eth0 2>/dev/null");
	}
	lab_inside(-1);
	return 0;
}

static struct plane_cluster_counters counts(void)
{
	struct plane_cluster_counters c;
	struct error e;

	assert_int_equal(plane_cluster_counters(p, 0, &c, &e), 0);
	return c;
}

/* --- the wire -------------------------------------------------------------------------------- */

/* Looks at all that reached the wire since: that it is the face which speaks for the addresses, and
 * that nobody asks in their name.  Returns how much of it was about them at all. */
static unsigned int check_wire(void)
{
	struct ip vip4 = lab_ip(VIP4), vip6 = lab_ip(VIP6);
	unsigned int about = 0;
	struct lab_meta meta;
	uint8_t b[2048];
	size_t len;

	while ((len = lab_raw_next(watch, 0, 50, b, &meta))) {
		unsigned int type = (unsigned int)b[12] << 8 | b[13];
		bool is_nd = type == 0x86dd && len >= 14 + 40 + 24 && b[20] == 58 &&
			     (b[54] == 135 || b[54] == 136);

		assert_memory_not_equal(b, face.octet, 6); /* the watch is the client's own end */
		if (type == 0x0806 && memcmp(b + 28, vip4.octet, 4) == 0) {
			about++;
			assert_memory_equal(b + 6, face.octet, 6);
			assert_memory_equal(b + 22, face.octet, 6);
		}
		if (type == 0x0806 && memcmp(b + 38, vip4.octet, 4) == 0)
			fail_msg("a guest's question for the virtual address is on the wire");
		if (is_nd && memcmp(b + 62, vip6.octet, 16) == 0) {
			about++;
			assert_int_equal(b[54], 136);
			assert_memory_equal(b + 6, face.octet, 6);
		}
		if (is_nd && b[54] == 135)
			assert_memory_not_equal(b + 22, vip6.octet, 16);
	}
	return about;
}

static bool neighbour_is(int space, const char *ip, const char *mac)
{
	char line[200];
	bool is;

	snprintf(line, sizeof(line), "ip neigh show %s | grep -q %s", ip, mac);
	lab_inside(space);
	is = lab_try(line);
	lab_inside(-1);
	return is;
}

static void forget_neighbours(int space)
{
	lab_inside(space);
	lab_command("ip neigh flush all");
	lab_inside(-1);
}

/* Waits until no address is tentative. */
static bool all_taken(int space)
{
	bool taken = false;

	lab_inside(space);
	for (unsigned int i = 0; i < 50 && !taken; i++) {
		taken = lab_try("test -z \"$(ip -6 addr show tentative)\"");
		usleep(100000);
	}
	taken = taken && lab_try("test -z \"$(ip -6 addr show dadfailed)\"");
	lab_inside(-1);
	return taken;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void members_need_no_setting(void **state)
{
	struct plane_cluster_counters c;

	/* One has the addresses on lo, the other on its NIC. */
	lab_inside(guests[1]);
	lab_command("ip addr add " VIP4 "/32 dev lo && ip addr add " VIP6 "/128 dev lo");
	lab_inside(guests[2]);
	lab_command("ip addr add " VIP4 "/24 dev eth0 && ip addr add " VIP6 "/64 dev eth0");
	lab_inside(-1);
	assert_true(all_taken(guests[1]));
	assert_true(all_taken(guests[2]));
	assert_true(counts().nd_filtered >= 1); /* the check for doubles of the second */
	for (unsigned int id = 1; id <= 2; id++)
		server_start(id, VIP4, VIP6);
	for (unsigned int id = 1; id <= 2; id++) {
		set_cluster(id);
		/* So that they ask for each other anew, the member in the address's name. */
		forget_neighbours(guests[id]);
		forget_neighbours(client);
		whole_service();
		assert_true(neighbour_is(client, VIP4, FACE));
		assert_true(neighbour_is(client, VIP6, FACE));
		assert_true(neighbour_is(guests[id], "192.0.2.99", CLIENT));
		assert_true(neighbour_is(guests[id], "2001:db8::99", CLIENT));
	}
	/* A guest that announces whatever it has, as others than Linux do. */
	c = counts();
	lab_inside(guests[2]);
	lab_command("sysctl -qw net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1");
	lab_command("ip link set eth0 address %s down && ip link set eth0 up", macs[2]);
	/* IPv6 addresses do not outlive that, and come back with their check for doubles. */
	lab_command("ip addr add " VIP6 "/64 dev eth0 && "
		    "ip addr add 2001:db8::12/64 dev eth0 nodad");
	lab_inside(-1);
	assert_true(all_taken(guests[2]));
	usleep(300000);
	assert_true(counts().arp_filtered > c.arp_filtered);
	assert_true(counts().nd_filtered > c.nd_filtered);
	assert_true(check_wire() >= 4);
	assert_true(neighbour_is(client, VIP4, FACE));
}

/* Somebody on the wire takes the address for free, and finds that it is not. */
static void doubles_are_found(void **state)
{
	lab_inside(guests[1]);
	lab_command("ip addr add " VIP4 "/32 dev lo && ip addr add " VIP6 "/128 dev lo");
	lab_inside(client);
	lab_command("ip addr add " VIP6 "/64 dev eth0");
	usleep(2500000);
	lab_command("ip -6 addr show dadfailed | grep -q " VIP6);
	lab_command("ip addr del " VIP6 "/64 dev eth0");
	assert_false(lab_try("busybox arping -q -D -c 2 -w 3 -I eth0 " VIP4));
	lab_inside(-1);
	assert_int_equal(counts().local, 0);
	/* This client has it said of itself, with the very questions that are not to be there. */
	while (lab_raw_next(watch, 0, 50, (uint8_t[2048]){ 0 }, &(struct lab_meta){ 0 }))
		continue;
}

static void members_without_the_address(void **state)
{
	record.nat = true;
	for (unsigned int id = 1; id <= 2; id++) {
		char ip4[20], ip6[40];

		snprintf(ip4, sizeof(ip4), "192.0.2.1%u", id);
		snprintf(ip6, sizeof(ip6), "2001:db8::1%u", id);
		server_start(id, ip4, ip6);
	}
	for (unsigned int id = 1; id <= 2; id++) {
		set_cluster(id);
		forget_neighbours(guests[id]);
		forget_neighbours(client);
		whole_service();
		assert_true(neighbour_is(client, VIP4, FACE));
		assert_true(neighbour_is(client, VIP6, FACE));
	}
	/* Their own addresses serve as before. */
	echo_stream("192.0.2.11", BULK);
	echo_stream("2001:db8::12", 100);
	/* A port that nobody listens to is refused at once, since the error finds its flow. */
	servers_stop();
	assert_int_equal(connected(VIP4, SOCK_STREAM), -1);
	assert_int_equal(errno, ECONNREFUSED);
	for (unsigned int i = 0; i < 2; i++) {
		int fd = connected(i ? VIP6 : VIP4, SOCK_DGRAM);

		assert_int_equal(send(fd, "x", 1, 0), 1);
		assert_int_equal(recv(fd, (char[1]){ 0 }, 1, 0), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(fd);
	}
	/* A member as the client of the other, and of itself. */
	for (unsigned int id = 1; id <= 2; id++) {
		char line[200];

		server_start(1, "192.0.2.11", "2001:db8::11");
		set_cluster(1);
		lab_inside(guests[id]);
		for (unsigned int i = 0; i < 2; i++) {
			snprintf(line, sizeof(line),
				 "echo hello | timeout 3 busybox nc -w 2 %s %d | grep -q hello",
				 i ? VIP6 : VIP4, PORT);
			assert_true(lab_try(line));
		}
		lab_inside(-1);
		servers_stop();
	}
	assert_true(check_wire() >= 2);
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		TEST_(members_need_no_setting),
		TEST_(doubles_are_found),
		TEST_(members_without_the_address),
	};

	attach_wanted = argc > 1 ? argv[1] : NULL;
	signal(SIGPIPE, SIG_IGN);
	rows = calloc(CLUSTER_ROWS, sizeof(*rows));
	lab_open();
	client = lab_namespace();
	up = lab_veth("nic0", "eth0", client, lab_mac(CLIENT));
	lab_command("ip link set dev nic0 address %s", NIC);
	lab_inside(client);
	with_ip6();
	lab_command("ip addr add 192.0.2.99/24 dev eth0 && "
		    "ip addr add 2001:db8::99/64 dev eth0 nodad");
	watch = lab_raw("eth0");
	lab_inside(-1);
	for (unsigned int id = 1; id <= 2; id++) {
		char name[16];

		guests[id] = lab_namespace();
		snprintf(name, sizeof(name), "guest%u", id);
		links[id] = lab_veth(name, "eth0", guests[id], lab_mac(macs[id]));
		lab_inside(guests[id]);
		with_ip6();
		lab_command("ip addr add 192.0.2.1%u/24 dev eth0 && "
			    "ip addr add 2001:db8::1%u/64 dev eth0 nodad",
			    id, id);
		lab_inside(-1);
	}
	return cmocka_run_group_tests_name("bpf: members", tests, NULL, NULL);
}
