#include <errno.h>
#include <stdio.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define NOBODY 65534

static char device[64];

static struct host_tap tap_of(const char *ifname)
{
	return (struct host_tap){ ifname, UINT32_MAX, UINT32_MAX, 1, 1500 };
}

static struct host_link make(struct host *h, const struct host_tap *tap)
{
	struct host_link l = { 0 };
	struct error e;
	int r = host_tap_make(h, tap, &l, &e);

	assert_ok(r, e);
	return l;
}

/* Tries to open the tap as another user, through a device node that all may use (as on most
 * systems); 0 or the errno. */
static int open_as(const char *ifname, uid_t uid, gid_t gid)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int fd;

		if (setgroups(0, NULL) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			_exit(255);
		fd = lab_tap_open_at(device, ifname, false);
		_exit(fd < 0 ? -fd : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void makes_once(void **state)
{
	struct host_tap tap = tap_of("tap0");
	struct host *h = lab_host();
	struct lab_events events;
	struct host_link l, again;

	l = make(h, &tap);
	assert_string_equal(l.kind, "tun");
	assert_int_equal(l.mtu, 1500);
	assert_true(l.up);
	lab_run("ip -d link show dev tap0 | grep -q 'tun type tap pi off vnet_hdr on persist on'");
	lab_events(h, true, &events);
	assert_true(lab_saw(&events, HOST_LINK_APPEARED, "tap0"));

	again = make(h, &tap);
	assert_memory_equal(&l, &again, sizeof(l));
	lab_events(h, false, &events);
	assert_int_equal(events.count, 0);
	lab_run("ip link delete tap0");
	host_close(h);
}

static void many_queues(void **state)
{
	struct host_tap tap = tap_of("tap0");
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int fds[4], r;

	tap.queues = 4;
	make(h, &tap);
	for (int i = 0; i < 4; i++) {
		fds[i] = lab_tap_open("tap0", true);
		assert_true(fds[i] >= 0);
	}
	/* Taken over while a VM has it open: nothing to change, so nothing is touched. */
	l = make(h, &tap);
	assert_true(l.carrier);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	tap.queues = 1;
	r = host_tap_make(h, &tap, &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete tap0");
	host_close(h);
}

static void only_the_named_may_open_it(void **state)
{
	static const struct {
		uint32_t uid, gid;
		uid_t as_uid;
		gid_t as_gid;
		int result;
	} rows[] = {
		{ UINT32_MAX, UINT32_MAX, NOBODY, NOBODY, EPERM },
		{ UINT32_MAX, UINT32_MAX, 0, 0, 0 },
		{ 4242, UINT32_MAX, 4242, NOBODY, 0 },
		{ 4242, UINT32_MAX, 4243, NOBODY, EPERM },
		{ UINT32_MAX, 4242, NOBODY, 4242, 0 },
		{ UINT32_MAX, 4242, NOBODY, NOBODY, EPERM },
		{ 4242, 4242, 4242, 4242, 0 },
		{ 4242, 4242, 4242, NOBODY, EPERM },
		{ 4242, 4242, NOBODY, 4242, EPERM },
	};
	struct host *h = lab_host();

	snprintf(device, sizeof(device), "/tmp/vmac-t-tun-%d", getpid());
	if (mknod(device, S_IFCHR, makedev(10, 200)) < 0 || chmod(device, 0666) < 0) {
		print_message("skipped: needs to make a device node (CAP_MKNOD)\n");
		skip();
	}
	/* Why an owner is always set: without one the kernel lets everybody in. */
	lab_run("ip tuntap add plain mode tap vnet_hdr");
	assert_int_equal(open_as("plain", NOBODY, NOBODY), 0);
	lab_run("ip link delete plain");

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host_tap tap = { "tap0", rows[i].uid, rows[i].gid, 1, 1500 };
		int result;

		make(h, &tap);
		result = open_as("tap0", rows[i].as_uid, rows[i].as_gid);
		if (result != rows[i].result)
			fail_msg("row %zu: errno %d, not %d", i, result, rows[i].result);
		lab_run("ip link delete tap0");
	}
	unlink(device);
	host_close(h);
}

static void changes_the_owner(void **state)
{
	struct host_tap tap = tap_of("tap0");
	struct host *h = lab_host();
	int index;

	index = make(h, &tap).ifindex;
	tap.uid = 4243;
	tap.gid = 4244;
	assert_int_equal(make(h, &tap).ifindex, index);
	lab_run("ip -d link show dev tap0 | grep -q 'user 4243'");
	lab_run("ip -d link show dev tap0 | grep -q 'group 4244'");
	lab_run("ip link delete tap0");
	host_close(h);
}

static void an_owner_is_not_removed(void **state)
{
	struct host_tap tap = tap_of("tap0");
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int fd, r;

	tap.uid = 4242;
	tap.gid = 4243;
	make(h, &tap);
	tap.gid = UINT32_MAX;
	r = host_tap_make(h, &tap, &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);

	/* Nor changed while somebody has it open. */
	tap.gid = 4244;
	fd = lab_tap_open("tap0", false);
	r = host_tap_make(h, &tap, &l, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	close(fd);
	make(h, &tap);
	lab_run("ip -d link show dev tap0 | grep -q 'group 4244'");
	lab_run("ip link delete tap0");
	host_close(h);
}

static void refuses_what_is_another(void **state)
{
	static const char *const makers[] = {
		"ip link add x0 type veth peer name x1",
		"ip tuntap add x0 mode tun",
		"ip tuntap add x0 mode tap",
		"ip tuntap add x0 mode tap vnet_hdr pi",
		"ip tuntap add x0 mode tap vnet_hdr multi_queue",
		("ip tuntap add x0 mode tap vnet_hdr && ip link add b0 type bridge && "
		 "ip link set x0 master b0"),
	};
	struct host_tap tap = tap_of("x0");
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int r;

	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		lab_run("%s", makers[i]);
		r = host_tap_make(h, &tap, &l, &e);
		assert_error(r, e, ERROR_INTERFACE_IN_USE);
		assert_int_equal(r, -EBUSY);
		assert_false(lab_link(h, "x0").up);
		lab_run("ip link delete x0");
	}
	lab_run("ip link delete b0");
	/* The right shape, by other hands: taken over. */
	lab_run("ip tuntap add x0 mode tap vnet_hdr user 0");
	tap.mtu = 1400;
	assert_int_equal(make(h, &tap).mtu, 1400);
	lab_run("ip link delete x0");
	host_close(h);
}

static void refuses_bad_values(void **state)
{
	const struct {
		struct host_tap tap;
		enum error_code code;
	} rows[] = {
		{ { "", UINT32_MAX, UINT32_MAX, 1, 1500 }, ERROR_BAD_NAME },
		{ { "tap%d", UINT32_MAX, UINT32_MAX, 1, 1500 }, ERROR_BAD_NAME },
		{ { "sixteen-octets-x", UINT32_MAX, UINT32_MAX, 1, 1500 }, ERROR_BAD_NAME },
		{ { "tap0", UINT32_MAX, UINT32_MAX, 0, 1500 }, ERROR_BAD_VALUE },
		{ { "tap0", UINT32_MAX, UINT32_MAX, 257, 1500 }, ERROR_BAD_VALUE },
		{ { "tap0", UINT32_MAX, UINT32_MAX, 1, 67 }, ERROR_BAD_VALUE },
		{ { "tap0", UINT32_MAX, UINT32_MAX, 1, 65522 }, ERROR_BAD_VALUE },
	};
	struct host_tap widest = { "tap0", UINT32_MAX, UINT32_MAX, 256, 65521 };
	struct host_tap least = { "tap1", UINT32_MAX, UINT32_MAX, 1, 68 };
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = host_tap_make(h, &rows[i].tap, &l, &e);
		assert_error(r, e, rows[i].code);
		assert_false(lab_has_link(h, "tap0"));
	}
	assert_int_equal(make(h, &widest).mtu, 65521);
	assert_int_equal(make(h, &least).mtu, 68);
	lab_run("ip link delete tap0 && ip link delete tap1");
	host_close(h);
}

static void two_hundred_leave_nothing(void **state)
{
	struct host *h = lab_host();
	struct error e;
	int index[200];
	char name[16];

	for (int i = 0; i < 200; i++) {
		struct host_tap tap = tap_of(name);

		snprintf(name, sizeof(name), "t%d", i);
		index[i] = make(h, &tap).ifindex;
	}
	for (int i = 0; i < 200; i++)
		assert_ok(host_link_delete(h, index[i], &e), e);
	lab_run("test $(ls /proc/self/net/dev_snmp6 | grep -c ^t) = 0");
	assert_false(lab_try("ip link show | grep -q ' t[0-9]*:'"));
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_once),
		cmocka_unit_test(many_queues),
		cmocka_unit_test(only_the_named_may_open_it),
		cmocka_unit_test(changes_the_owner),
		cmocka_unit_test(an_owner_is_not_removed),
		cmocka_unit_test(refuses_what_is_another),
		cmocka_unit_test(refuses_bad_values),
		cmocka_unit_test(two_hundred_leave_nothing),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
