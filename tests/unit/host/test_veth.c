#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

static const vmac_mac_t guest_address = { { 0x12, 0xab, 0, 0, 0, 1 } };

static struct host_veth veth_of(const struct lab_netns *ns)
{
	return (struct host_veth){ "v0", ns->path, "eth0", guest_address, 1500 };
}

static struct host_link make(struct host *h, const struct host_veth *veth)
{
	struct host_link l = { 0 };
	struct error e;
	int r = host_veth_make(h, veth, &l, &e);

	assert_ok(r, e);
	return l;
}

static void refused(struct host *h, const struct host_veth *veth, enum error_code code)
{
	struct host_link l = { .ifindex = -7 };
	struct error e;
	int r = host_veth_make(h, veth, &l, &e);

	assert_error(r, e, code);
	assert_int_equal(l.ifindex, -7);
}

static struct host_link inside(const struct lab_netns *ns, const char *ifname)
{
	struct host_link l;
	struct host *h;

	lab_go(ns->fd);
	h = lab_host();
	l = lab_link(h, ifname);
	host_close(h);
	lab_home();
	return l;
}

static void makes_once(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host_veth veth = veth_of(&ns);
	struct host *h = lab_host();
	struct lab_events events;
	struct host_link l, again, peer;

	l = make(h, &veth);
	assert_string_equal(l.kind, "veth");
	assert_true(l.up && l.carrier);
	assert_false(vmac_mac_equal(l.address, guest_address));
	peer = inside(&ns, "eth0");
	assert_true(peer.up && peer.carrier);
	assert_true(vmac_mac_equal(peer.address, guest_address));
	assert_int_equal(peer.mtu, 1500);

	/* Nothing of the peer was ever seen outside: no name, no vMAC. */
	lab_events(h, true, &events);
	assert_true(lab_saw(&events, HOST_LINK_APPEARED, "v0"));
	assert_false(lab_saw(&events, HOST_LINK_APPEARED, "eth0"));
	for (unsigned int i = 0; i < events.count; i++)
		assert_false(vmac_mac_equal(events.event[i].link.address, guest_address));

	again = make(h, &veth);
	assert_memory_equal(&l, &again, sizeof(l));
	lab_events(h, false, &events);
	assert_int_equal(events.count, 0);
	lab_run("ip link delete v0");
	host_close(h);
	lab_netns_end(&ns);
}

static void takes_over(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host_veth veth = veth_of(&ns);
	struct host *h = lab_host();
	struct host_link l, peer;

	l = make(h, &veth);
	veth.mtu = 1400;
	veth.peer_address.octet[5] = 2;
	assert_int_equal(make(h, &veth).ifindex, l.ifindex);
	peer = inside(&ns, "eth0");
	assert_int_equal(peer.mtu, 1400);
	assert_true(vmac_mac_equal(peer.address, veth.peer_address));

	/* Up or down is the guest's affair once the pair is finished … */
	lab_go(ns.fd);
	lab_run("ip link set eth0 down");
	lab_home();
	make(h, &veth);
	assert_false(inside(&ns, "eth0").up);

	/* … and ours where the maker did not come so far. */
	lab_run("ip link set v0 down");
	make(h, &veth);
	assert_true(inside(&ns, "eth0").up);
	assert_true(lab_link(h, "v0").up);

	/* Our own side never carries the vMAC. */
	lab_run("ip link set v0 address 12:ab:00:00:00:02");
	l = make(h, &veth);
	assert_false(vmac_mac_equal(l.address, veth.peer_address));
	assert_true(vmac_mac_is_local(l.address) && !vmac_mac_is_group(l.address));
	lab_run("ip link delete v0");
	host_close(h);
	lab_netns_end(&ns);
}

static void refuses_what_is_another(void **state)
{
	struct lab_netns ns = lab_netns_new(), other = lab_netns_new();
	struct host_veth veth = veth_of(&ns), elsewhere = veth_of(&other), renamed = veth_of(&ns);
	struct host *h = lab_host();
	struct host_link l;

	lab_run("ip tuntap add v0 mode tap");
	refused(h, &veth, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete v0");

	/* Both ends here; the other end elsewhere, with the same index and name; another name. */
	lab_run("ip link add v0 type veth peer name eth0");
	refused(h, &veth, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete v0");
	l = make(h, &veth);
	refused(h, &elsewhere, ERROR_INTERFACE_IN_USE);
	renamed.peer_ifname = "eth1";
	refused(h, &renamed, ERROR_INTERFACE_IN_USE);
	assert_int_equal(lab_link(h, "v0").ifindex, l.ifindex);

	/* The name inside is taken: nothing is left of the attempt. */
	renamed.ifname = "v1";
	renamed.peer_ifname = "eth0";
	refused(h, &renamed, ERROR_INTERFACE_IN_USE);
	assert_false(lab_has_link(h, "v1"));

	lab_run("ip link add br0 type bridge && ip link set v0 master br0");
	refused(h, &veth, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete br0 && ip link delete v0");
	host_close(h);
	lab_netns_end(&ns);
	lab_netns_end(&other);
}

static void refuses_bad_namespaces(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host_veth veth = veth_of(&ns);
	struct host *h = lab_host();
	char fifo[64];

	veth.peer_netns = "/run/netns/vmac-t-there-is-none";
	refused(h, &veth, ERROR_NOT_FOUND);
	veth.peer_netns = "";
	refused(h, &veth, ERROR_NOT_FOUND);
	veth.peer_netns = "/etc/passwd";
	refused(h, &veth, ERROR_NOT_FOUND);
	veth.peer_netns = "/proc/self/ns/mnt";
	refused(h, &veth, ERROR_NOT_FOUND);
	veth.peer_netns = "/proc/self/ns/net";
	refused(h, &veth, ERROR_BAD_VALUE);

	/* Would wait for a writer if it were opened. */
	snprintf(fifo, sizeof(fifo), "/tmp/vmac-t-%d", getpid());
	assert_int_equal(mkfifo(fifo, 0600), 0);
	veth.peer_netns = fifo;
	refused(h, &veth, ERROR_NOT_FOUND);
	unlink(fifo);

	veth = veth_of(&ns);
	veth.peer_address.octet[0] = 0x13;
	refused(h, &veth, ERROR_BAD_ADDRESS);
	veth = veth_of(&ns);
	veth.peer_ifname = "a b";
	refused(h, &veth, ERROR_BAD_NAME);
	veth = veth_of(&ns);
	veth.mtu = 67;
	refused(h, &veth, ERROR_BAD_VALUE);
	assert_false(lab_has_link(h, "v0"));
	host_close(h);
	lab_netns_end(&ns);
}

/* The namespace we are in is never left, not even for a moment by another name. */
static void stays_where_it_is(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host_veth veth = veth_of(&ns);
	struct host *h = lab_host();
	struct stat before, after;

	assert_int_equal(stat("/proc/thread-self/ns/net", &before), 0);
	make(h, &veth);
	make(h, &veth);
	assert_int_equal(stat("/proc/thread-self/ns/net", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	lab_run("ip link delete v0");
	host_close(h);
	lab_netns_end(&ns);
}

static void two_hundred_leave_nothing(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host *h = lab_host();
	char name[16], peer[16];
	struct error e;
	int index[200];

	for (int i = 0; i < 200; i++) {
		struct host_veth veth = veth_of(&ns);

		snprintf(name, sizeof(name), "v%d", i);
		snprintf(peer, sizeof(peer), "eth%d", i);
		veth.ifname = name;
		veth.peer_ifname = peer;
		veth.peer_address.octet[4] = (uint8_t)(i + 1);
		index[i] = make(h, &veth).ifindex;
	}
	for (int i = 0; i < 200; i++)
		assert_ok(host_link_delete(h, index[i], &e), e);
	assert_false(lab_try("ip link show type veth | grep -q ."));
	lab_go(ns.fd);
	assert_false(lab_try("ip link show type veth | grep -q ."));
	lab_home();
	/* No descriptor is left either: of a socket inside, or of the namespace. */
	lab_run("test $(ls /proc/%d/fd | wc -l) -lt 20", getpid());
	host_close(h);
	lab_netns_end(&ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_once),
		cmocka_unit_test(takes_over),
		cmocka_unit_test(refuses_what_is_another),
		cmocka_unit_test(refuses_bad_namespaces),
		cmocka_unit_test(stays_where_it_is),
		cmocka_unit_test(two_hundred_leave_nothing),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
