/* Real traffic between namespaces: nothing is lost when the process that set it all up is killed
 * and another takes over, and offloads survive. */
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
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

#define TYPE	   0x88b5
#define FRAMES_MAX 500000
#define GAP_NS	   200000 /* 5,000 frames a second */
#define TAKEOVERS  6
#define STREAM_MIB 25
#define MTU	   1500

static const char *attach_wanted; /* NULL: the best the kernel has */
static int left, right, wire;	  /* namespaces */
static int port_if[2], uplink_if;
static vmac_mac_t macs[2], nic;

/* --- the ports ------------------------------------------------------------------------------- */

static struct plane_port port_of(unsigned int i)
{
	return (struct plane_port){ .id = i + 1,
				    .ifindex = port_if[i],
				    .net = { 1, 0 },
				    .address = macs[i],
				    .gate = PLANE_OPEN,
				    .mtu = MTU };
}

static void set_all(struct plane *p)
{
	struct plane_uplink u = { 1, uplink_if, nic, MTU };
	struct plane_port port;
	unsigned int removed;
	struct error e;

	if (plane_uplink_set(p, &u, &e) < 0)
		abort();
	for (unsigned int i = 0; i < 2; i++) {
		port = port_of(i);
		if (plane_port_set(p, &port, &e) < 0)
			abort();
	}
	if (plane_sweep(p, &removed, &e) < 0)
		abort();
}

/* A process that sets all and then only lives. */
static pid_t daemon_start(const char *attach)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		set_all(lab_plane(attach));
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void daemon_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- frames lost ----------------------------------------------------------------------------- */

struct stream {
	int fd, end; /* raw sockets: where it starts, where it must arrive */
	uint8_t frame[60];
	unsigned int sent, received;
	bool stop, all_sent;
};

static void *send_stream(void *arg)
{
	struct stream *s = arg;
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED) && s->sent < FRAMES_MAX) {
		at.tv_nsec += GAP_NS;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		lab_raw_send(s->fd, s->frame, sizeof(s->frame));
		s->sent++;
	}
	return NULL;
}

/* Reads all the time: what a socket holds unread is bounded. */
static void *receive_stream(void *arg)
{
	struct stream *s = arg;

	while (!__atomic_load_n(&s->all_sent, __ATOMIC_RELAXED))
		s->received += lab_raw_count(s->end, TYPE, 100);
	s->received += lab_raw_count(s->end, TYPE, 300);
	return NULL;
}

static void stream_init(struct stream *s, int space, const char *ifname, vmac_mac_t to,
			vmac_mac_t from)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->frame, to.octet, 6);
	memcpy(s->frame + 6, from.octet, 6);
	s->frame[12] = TYPE >> 8;
	s->frame[13] = TYPE & 0xff;
	lab_inside(space);
	s->fd = lab_raw(ifname);
	lab_inside(-1);
}

/* Three streams (port to port, port to wire, wire to port) while the process dies and comes back.
 */
static void check_no_loss(const char *const *ways)
{
	struct stream streams[3];
	pthread_t senders[3], receivers[3];
	pid_t pid;

	stream_init(&streams[0], left, "eth0", macs[1], macs[0]);
	stream_init(&streams[1], right, "eth0", lab_mac("52:54:00:00:00:01"), macs[1]);
	stream_init(&streams[2], wire, "eth0", macs[0], lab_mac("52:54:00:00:00:01"));
	lab_inside(right);
	streams[0].end = lab_raw("eth0");
	lab_inside(wire);
	streams[1].end = lab_raw("eth0");
	lab_inside(left);
	streams[2].end = lab_raw("eth0");
	lab_inside(-1);

	pid = daemon_start(ways[0]);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&receivers[i], NULL, receive_stream, &streams[i]),
				 0);
		assert_int_equal(pthread_create(&senders[i], NULL, send_stream, &streams[i]), 0);
	}
	for (int i = 0; i < TAKEOVERS; i++) {
		daemon_kill(pid);
		usleep(10000);
		pid = daemon_start(ways[i % 2]);
	}
	for (int i = 0; i < 3; i++) {
		__atomic_store_n(&streams[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(senders[i], NULL);
		__atomic_store_n(&streams[i].all_sent, true, __ATOMIC_RELAXED);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(receivers[i], NULL);
		print_message("stream %d: %u frames\n", i, streams[i].sent);
		assert_true(streams[i].sent > 1000);
		assert_int_equal(streams[i].received, streams[i].sent);
		close(streams[i].end);
		close(streams[i].fd);
	}
	daemon_kill(pid);
}

static void nothing_is_lost_when_the_process_dies(void **state)
{
	const char *const ways[] = { attach_wanted, attach_wanted };

	check_no_loss(ways);
}

/* Both ways in turn, whichever way is wanted: said once. */
static void nothing_is_lost_when_the_way_of_attaching_changes(void **state)
{
	if (attach_wanted)
		skip();
	const char *const ways[] = { "clsact", NULL };

	check_no_loss(ways);
}

/* --- offloads -------------------------------------------------------------------------------- */

static uint64_t sum_of(const uint8_t *data, size_t len, uint64_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ data[i]) * 0x100000001b3ULL;
	return sum;
}

static void fill(uint8_t *data, size_t len, uint32_t *seed)
{
	for (size_t i = 0; i < len; i++) {
		*seed = *seed * 1664525 + 1013904223;
		data[i] = (uint8_t)(*seed >> 24);
	}
}

/* A child in a namespace that takes (or sends) the stream, and tells its sum through a pipe. */
static int stream_end(int space, bool server, const char *address, pid_t *ret_pid,
		      int *ret_listening)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5001) };
	static uint8_t buf[1 << 20];
	int report[2], listening[2];

	if (pipe(report) < 0 || pipe(listening) < 0)
		abort();
	*ret_pid = fork();
	if (*ret_pid) {
		close(report[1]);
		close(listening[1]);
		*ret_listening = listening[0];
		return report[0];
	}
	alarm(60);
	inet_pton(AF_INET, address, &to.sin_addr);
	lab_inside(space);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	uint64_t sum = 0xcbf29ce484222325ULL;
	uint32_t seed = 42;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server) {
		if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 1) < 0)
			_exit(1);
		if (write(listening[1], "l", 1) != 1)
			_exit(1);
		fd = accept(fd, NULL, NULL);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			sum = sum_of(buf, (size_t)n, sum);
	} else {
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			_exit(1);
		for (int i = 0; i < STREAM_MIB; i++) {
			fill(buf, sizeof(buf), &seed);
			sum = sum_of(buf, sizeof(buf), sum);
			for (size_t done = 0; done < sizeof(buf); done += (size_t)n) {
				n = write(fd, buf + done, sizeof(buf) - done);
				if (n <= 0)
					_exit(1);
			}
		}
		close(fd);
	}
	if (write(report[1], &sum, sizeof(sum)) != sizeof(sum))
		_exit(1);
	_exit(0);
}

/* Longest IPv4 frame that a raw socket sees while the stream runs. */
static size_t longest_until_report(int raw, int report, uint64_t *ret_sum)
{
	struct pollfd fds[2] = { { raw, POLLIN, 0 }, { report, POLLIN, 0 } };
	size_t longest = 0;
	uint8_t head[64];

	for (;;) {
		if (poll(fds, 2, 60000) <= 0)
			return 0;
		if (fds[0].revents) {
			ssize_t n;

			while ((n = recv(raw, head, sizeof(head), MSG_TRUNC)) > 0)
				if (head[12] == 0x08 && head[13] == 0 && (size_t)n > longest)
					longest = (size_t)n;
		}
		if (fds[1].revents)
			return read(report, ret_sum, sizeof(*ret_sum)) == sizeof(*ret_sum) ? longest
											   : 0;
	}
}

static void check_stream(int from, int to, const char *address, const char *ifname)
{
	int listening, unused, in, out, raw;
	uint64_t sent = 1, received = 2;
	pid_t server, client;
	size_t longest;
	char byte;

	lab_inside(to);
	raw = lab_raw(ifname);
	lab_inside(-1);
	in = stream_end(to, true, address, &server, &listening);
	assert_int_equal(read(listening, &byte, 1), 1);
	out = stream_end(from, false, address, &client, &unused);
	longest = longest_until_report(raw, in, &received);
	assert_int_equal(read(out, &sent, sizeof(sent)), sizeof(sent));
	waitpid(server, NULL, 0);
	waitpid(client, NULL, 0);
	print_message("%s: %d MiB, longest frame %zu octets\n", address, STREAM_MIB, longest);
	assert_int_equal(sent, received);
	assert_true(longest > 2 * (MTU + ETH_HLEN)); /* GSO came through whole */
	close(raw);
	close(in);
	close(out);
	close(listening);
	close(unused);
}

static void offloads_survive(void **state)
{
	struct plane *p = lab_plane(attach_wanted);
	struct plane_counters c;

	set_all(p);
	c = lab_counters(p, 1);
	check_stream(left, right, "192.0.2.2", "eth0");
	check_stream(left, -1, "192.0.2.100", "nic0");
	check_stream(-1, left, "192.0.2.1", "eth0");
	check_stream(left, wire, "192.0.2.200", "eth0");
	check_stream(wire, right, "192.0.2.2", "eth0");
	c = lab_counters(p, 1);
	/* Counted as the wire would have carried them: three streams of full segments, and more
	 * ACKs. */
	assert_true(c.rx_frames > 3 * (STREAM_MIB << 20) / MTU);
	assert_true(c.rx_octets > 3 * ((uint64_t)STREAM_MIB << 20));
	assert_int_equal(c.drops[DROP_MTU], 0);
	plane_close(p);
}

static void gso_of_a_larger_mtu_is_dropped(void **state)
{
	struct plane *p = lab_plane(attach_wanted);
	struct plane_port narrow = port_of(1);
	struct plane_counters before, after;
	struct error e;
	int fd;

	set_all(p);
	narrow.mtu = 576;
	lab_command("ip link set dev p1 mtu 576");
	assert_int_equal(plane_port_set(p, &narrow, &e), 0);
	before = lab_counters(p, 1);
	lab_inside(left);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(22) };
	inet_pton(AF_INET, "192.0.2.2", &to.sin_addr);
	/* A refused connection is enough of TCP; the long frame is UDP. */
	(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	static uint8_t payload[1400];
	assert_int_equal(
		sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(payload));
	close(fd);
	lab_inside(-1);
	usleep(20000);
	after = lab_counters(p, 1);
	assert_int_equal(after.drops[DROP_MTU], before.drops[DROP_MTU] + 1);
	lab_command("ip link set dev p1 mtu %d", MTU);
	plane_close(p);
}

/* --- life ------------------------------------------------------------------------------------ */

static void address(int space, const char *ifname, const char *ip)
{
	lab_inside(space);
	lab_command("ip addr add %s/24 dev %s", ip, ifname);
	lab_inside(-1);
}

static int setup(void **state)
{
	left = lab_namespace();
	right = lab_namespace();
	wire = lab_namespace();
	macs[0] = lab_mac("5a:10:00:00:00:01");
	macs[1] = lab_mac("5a:10:00:00:00:02");
	nic = lab_mac("52:54:00:aa:bb:cc");
	port_if[0] = lab_veth("p0", "eth0", left, macs[0]);
	port_if[1] = lab_veth("p1", "eth0", right, macs[1]);
	uplink_if = lab_veth("nic0", "eth0", wire, lab_mac("52:54:00:00:00:01"));
	lab_command("ip link set dev nic0 address 52:54:00:aa:bb:cc");
	address(left, "eth0", "192.0.2.1");
	address(right, "eth0", "192.0.2.2");
	address(wire, "eth0", "192.0.2.200");
	address(-1, "nic0", "192.0.2.100");
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_when_the_process_dies),
		cmocka_unit_test(nothing_is_lost_when_the_way_of_attaching_changes),
		cmocka_unit_test(offloads_survive),
		cmocka_unit_test(gso_of_a_larger_mtu_is_dropped),
	};

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	return cmocka_run_group_tests_name("bpf: traffic", tests, setup, NULL);
}
