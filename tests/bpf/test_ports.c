/* As many ports as a segment may have: set, changed, reached by a broadcast, taken over. */
#include "lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static struct plane *p;
static int up, up_fd;

static vmac_mac_t mac_of(unsigned int id)
{
	return vmac_mac_from_u64(0x5a1000000000ULL + id);
}

static struct plane_port port_of(unsigned int id, int ifindex)
{
	return (struct plane_port){ .id = id,
				    .ifindex = ifindex,
				    .net = { 1, 0 },
				    .address = mac_of(id),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void set(struct plane_port port)
{
	struct error e;

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

static void set_uplink(void)
{
	struct plane_uplink u = { 1, up, lab_mac("52:54:00:aa:bb:cc"), 1500 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
}

static unsigned int drain(int fd)
{
	unsigned int count = 0;
	uint8_t buf[2048];

	while (read(fd, buf, sizeof(buf)) > 0)
		count++;
	return count;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void a_segment_has_1024_ports(void **state)
{
	static int fds[SEGMENT_PORTS_MAX + 1], links[SEGMENT_PORTS_MAX + 1];
	struct rlimit files = { 4096, 4096 };
	struct plane_port last;
	struct plane_counters c;
	unsigned int removed;
	struct error e;
	double start;
	uint8_t f[60];

	setrlimit(RLIMIT_NOFILE, &files);
	p = lab_plane(NULL);
	set_uplink();
	for (unsigned int i = 0; i <= SEGMENT_PORTS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%u", i);
		links[i] = lab_tap(name, 1500, &fds[i]);
	}
	start = seconds();
	for (unsigned int i = 0; i < SEGMENT_PORTS_MAX; i++)
		set(port_of(100 + i, links[i]));
	print_message("%d ports set in %.3f s", SEGMENT_PORTS_MAX, seconds() - start);
	start = seconds();
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < SEGMENT_PORTS_MAX; i++) {
			struct plane_port port = port_of(100 + i, links[i]);

			port.flood_pps = 1000 + round;
			set(port);
		}
	print_message(", changed three times in %.3f s", seconds() - start);
	last = port_of(100 + SEGMENT_PORTS_MAX, links[SEGMENT_PORTS_MAX]);
	assert_true(plane_port_set(p, &last, &e) < 0);
	assert_int_equal(e.code, ERROR_LIMIT_REACHED);
	memset(f, 0xff, sizeof(f));
	memcpy(f + 6, mac_of(100).octet, 6);
	start = seconds();
	assert_int_equal(write(fds[0], f, sizeof(f)), sizeof(f));
	print_message(", one broadcast in %.6f s\n", seconds() - start);
	assert_int_equal(drain(fds[0]), 0);
	for (unsigned int i = 1; i < SEGMENT_PORTS_MAX; i++)
		assert_int_equal(drain(fds[i]), 1);
	c = lab_counters(p, 100);
	assert_int_equal(lab_drops_sum(&c), 0);
	start = seconds();
	plane_close(p);
	p = lab_plane(NULL);
	set_uplink();
	for (unsigned int i = 0; i < SEGMENT_PORTS_MAX; i++)
		set(port_of(100 + i, links[i]));
	assert_int_equal(plane_sweep(p, &removed, &e), 0);
	assert_int_equal(removed, 0);
	print_message("taken over in %.3f s\n", seconds() - start);
	for (unsigned int i = 0; i <= SEGMENT_PORTS_MAX; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_has_1024_ports),
	};

	lab_open();
	up = lab_tap("up", 1500, &up_fd);
	return cmocka_run_group_tests_name("bpf: ports", tests, NULL, NULL);
}
