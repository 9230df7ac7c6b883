#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

static void looks(void **state)
{
	struct host *h = lab_host();
	struct host_link l, again;
	struct error e;
	int r;

	lab_run("ip link add v0 mtu 1400 address 02:11:22:33:44:55 type veth peer name v1");
	l = lab_link(h, "v0");
	assert_string_equal(l.ifname, "v0");
	assert_string_equal(l.kind, "veth");
	assert_int_equal(l.mtu, 1400);
	assert_int_equal(vmac_mac_u64(l.address), 0x021122334455);
	assert_false(l.up || l.carrier || l.master || l.promiscuity);
	r = host_link_by_index(h, l.ifindex, &again, &e);
	assert_ok(r, e);
	assert_memory_equal(&l, &again, sizeof(l));

	lab_run("ip link add br0 type bridge && ip link set v0 up master br0 && ip link set v1 up");
	l = lab_link(h, "v0");
	assert_true(l.up && l.carrier);
	assert_int_equal(l.master, lab_link(h, "br0").ifindex);
	assert_string_equal(lab_link(h, "lo").kind, "");

	r = host_link_by_name(h, "nothing", &l, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	assert_int_equal(r, -ENODEV);
	r = host_link_by_name(h, "a/b", &l, &e);
	assert_error(r, e, ERROR_BAD_NAME);
	r = host_link_by_index(h, 99999, &l, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	lab_run("ip link delete v0 && ip link delete br0");
	host_close(h);
}

static void deletes(void **state)
{
	struct host *h = lab_host();
	struct error e;
	int index, r;

	lab_run("ip link add v0 type veth peer name v1");
	index = lab_link(h, "v0").ifindex;
	assert_ok(host_link_delete(h, index, &e), e);
	assert_false(lab_has_link(h, "v0") || lab_has_link(h, "v1"));
	assert_ok(host_link_delete(h, index, &e), e);
	r = host_link_delete(h, lab_link(h, "lo").ifindex, &e);
	assert_error(r, e, ERROR_KERNEL_UNSUPPORTED);
	host_close(h);
}

/* --- silence --------------------------------------------------------------------------------- */

enum { OUR_TAP, OUR_VETH, OUR_NETDEV, PLAIN_TAP, PLAIN_VETH, SUBJECTS };

static void count_frames(int fds[SUBJECTS], int seconds, unsigned int count[SUBJECTS])
{
	struct pollfd p[SUBJECTS];
	char frame[2048];
	struct timespec now, end;

	for (int i = 0; i < SUBJECTS; i++) {
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		count[i] = 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do {
		poll(p, SUBJECTS, 100);
		for (int i = 0; i < SUBJECTS; i++)
			while (read(fds[i], frame, sizeof(frame)) > 0)
				count[i]++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

/* The host says nothing on a port.  The same on links that nobody silenced shows that the test
 * would hear it: there the host speaks within a second. */
static void is_silent(void **state)
{
	struct host_tap tap = { "our-tap", UINT32_MAX, UINT32_MAX, 1, 1500 };
	struct lab_netns guest = lab_netns_new();
	struct host_veth veth = { "our-veth", guest.path, "eth0", { { 2, 0, 0, 0, 0, 1 } }, 1500 };
	unsigned int count[SUBJECTS];
	struct host *h = lab_host();
	struct host_link l;
	int fds[SUBJECTS];
	struct error e;

	if (access("/proc/sys/net/ipv6", F_OK) < 0) {
		print_message("skipped: needs IPv6, or no link speaks\n");
		skip();
	}
	lab_run("ip link add plain-veth type veth peer name plain-peer");
	lab_run("ip link add adopted type veth peer name adopted-peer");
	lab_run("ip link set plain-peer netns /proc/%d/fd/%d", getpid(), guest.fd);
	lab_run("ip link set adopted-peer netns /proc/%d/fd/%d", getpid(), guest.fd);
	lab_run("ip tuntap add plain-tap mode tap vnet_hdr");
	lab_go(guest.fd);
	lab_run("ip link set plain-peer up && ip link set adopted-peer up");
	fds[PLAIN_VETH] = lab_packet_socket("plain-peer");
	fds[OUR_NETDEV] = lab_packet_socket("adopted-peer");
	lab_home();

	assert_ok(host_tap_make(h, &tap, &l, &e), e);
	assert_true(l.up);
	fds[OUR_TAP] = lab_tap_open("our-tap", false);
	assert_ok(host_veth_make(h, &veth, &l, &e), e);
	assert_true(l.up && l.carrier);
	lab_go(guest.fd);
	fds[OUR_VETH] = lab_packet_socket("eth0");
	lab_home();
	assert_ok(host_port_quieten(h, lab_link(h, "adopted").ifindex, &e), e);
	assert_true(lab_link(h, "adopted").up);
	fds[PLAIN_TAP] = lab_tap_open("plain-tap", false);
	lab_run("ip link set plain-tap up && ip link set plain-veth up");

	count_frames(fds, 5, count);
	assert_int_equal(count[OUR_TAP], 0);
	assert_int_equal(count[OUR_VETH], 0);
	assert_int_equal(count[OUR_NETDEV], 0);
	print_message("unsilenced: tap %u frames, veth %u frames\n", count[PLAIN_TAP],
		      count[PLAIN_VETH]);
	assert_true(count[PLAIN_TAP] > 0);
	assert_true(count[PLAIN_VETH] > 0);

	for (int i = 0; i < SUBJECTS; i++)
		close(fds[i]);
	lab_run("ip link delete plain-tap && ip link delete plain-veth && ip link delete adopted");
	lab_run("ip link delete our-tap && ip link delete our-veth");
	host_close(h);
	lab_netns_end(&guest);
}

/* A link below 1,280 has no IPv6; coming over that line must not make it speak. */
static void stays_silent_over_a_change_of_mtu(void **state)
{
	struct host_tap tap = { "tap0", UINT32_MAX, UINT32_MAX, 1, 1000 };
	struct host *h = lab_host();
	struct host_link l;
	struct error e;

	assert_ok(host_tap_make(h, &tap, &l, &e), e);
	assert_int_equal(l.mtu, 1000);
	tap.mtu = 9000;
	assert_ok(host_tap_make(h, &tap, &l, &e), e);
	assert_int_equal(l.mtu, 9000);
	assert_true(l.up);
	assert_false(lab_try("ip -6 address show dev tap0 | grep -q inet6"));
	if (access("/proc/sys/net/ipv6/conf/tap0", F_OK) == 0)
		lab_run("grep -q 1 /proc/sys/net/ipv6/conf/tap0/disable_ipv6");
	assert_ok(host_link_delete(h, l.ifindex, &e), e);
	host_close(h);
}

static void adopts_only_what_the_host_does_not_use(void **state)
{
	struct host *h = lab_host();
	struct error e;
	int index, r;

	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	index = lab_link(h, "v0").ifindex;
	lab_run("ip address add 192.0.2.1/24 dev v0");
	r = host_port_quieten(h, index, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip address flush dev v0 && ip -6 address add 2001:db8::1/64 dev v0");
	r = host_port_quieten(h, index, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip address flush dev v0 && ip link add br0 type bridge && ip link set v0 master "
		"br0");
	r = host_port_quieten(h, index, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link set v0 nomaster && ip -6 address add fe80::2/64 dev v0");
	assert_ok(host_port_quieten(h, index, &e), e);
	assert_false(lab_try("ip address show dev v0 | grep -q inet"));
	lab_run("ip link show dev v0 | grep -q NOARP");
	lab_run("ip -d link show dev v0 | grep -q 'addrgenmode none'");
	lab_run("ip link delete v0 && ip link delete br0");
	r = host_port_quieten(h, index, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	host_close(h);
}

/* Without privilege: a message that says what to give. */
static void says_what_privilege_is_missing(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct host *h = NULL;
		struct error e = { 0 };

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		_exit(host_open(&h, &e) == -EPERM && e.code == ERROR_FORBIDDEN && !h &&
				      strstr(e.hint, "CAP_NET_ADMIN")
			      ? 0
			      : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks),
		cmocka_unit_test(deletes),
		cmocka_unit_test(is_silent),
		cmocka_unit_test(stays_silent_over_a_change_of_mtu),
		cmocka_unit_test(adopts_only_what_the_host_does_not_use),
		cmocka_unit_test(says_what_privilege_is_missing),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
