#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

static struct lab_events events;

static void saw(struct host *h, enum host_event_kind kind, const char *ifname)
{
	lab_events(h, true, &events);
	if (!lab_saw(&events, kind, ifname))
		fail_msg("no event %d of %s among %u", kind, ifname, events.count);
}

static void nothing_happened(struct host *h)
{
	lab_events(h, false, &events);
	assert_int_equal(events.count, 0);
}

static void what_was_there_is_no_event(void **state)
{
	struct host *h;

	lab_run("ip link add v0 type veth peer name v1");
	h = lab_host();
	nothing_happened(h);
	lab_run("ip link delete v0");
	saw(h, HOST_LINK_VANISHED, "v0");
	assert_true(lab_saw(&events, HOST_LINK_VANISHED, "v1"));
	host_close(h);
}

static void appears_changes_vanishes(void **state)
{
	struct host *h = lab_host();
	struct host_link l;

	lab_run("ip link add v0 type veth peer name v1");
	saw(h, HOST_LINK_APPEARED, "v0");
	assert_int_equal(events.count, 2);
	lab_run("ip link set v0 mtu 1300");
	saw(h, HOST_LINK_CHANGED, "v0");
	assert_int_equal(events.event[events.count - 1].link.mtu, 1300);
	lab_run("ip link set v0 address 02:00:00:00:00:77");
	saw(h, HOST_LINK_CHANGED, "v0");
	assert_int_equal(vmac_mac_u64(events.event[events.count - 1].link.address), 0x020000000077);
	lab_run("ip link set v0 up && ip link set v1 up");
	saw(h, HOST_LINK_CHANGED, "v1");
	assert_true(events.event[events.count - 1].link.carrier);
	lab_run("ip link set v0 promisc on");
	saw(h, HOST_LINK_CHANGED, "v0");
	assert_int_equal(events.event[events.count - 1].link.promiscuity, 1);

	/* It says what it was: the caller may have nothing else to go by. */
	l = lab_link(h, "v0");
	lab_run("ip link delete v0");
	saw(h, HOST_LINK_VANISHED, "v0");
	for (unsigned int i = 0; i < events.count; i++) {
		const struct host_event *e = &events.event[i];

		if (e->kind != HOST_LINK_VANISHED || strcmp(e->link.ifname, "v0") != 0)
			continue;
		assert_int_equal(e->link.ifindex, l.ifindex);
		assert_string_equal(e->link.kind, "veth");
		assert_true(vmac_mac_equal(e->link.address, l.address));
	}
	nothing_happened(h);
	host_close(h);
}

static void a_new_name_is_another_link(void **state)
{
	struct host *h;
	int index;

	lab_run("ip link add v0 type veth peer name v1");
	h = lab_host();
	index = lab_link(h, "v0").ifindex;
	lab_run("ip link set v0 name w0");
	saw(h, HOST_LINK_VANISHED, "v0");
	assert_true(lab_saw(&events, HOST_LINK_APPEARED, "w0"));
	assert_int_equal(events.count, 2);
	assert_int_equal(events.event[0].kind, HOST_LINK_VANISHED);
	assert_int_equal(events.event[1].link.ifindex, index);
	lab_run("ip link delete w0");
	host_close(h);
}

static void moved_away_and_back(void **state)
{
	struct lab_netns ns = lab_netns_new();
	struct host *h;

	lab_run("ip link add v0 type veth peer name v1");
	h = lab_host();
	lab_run("ip link set v0 netns /proc/%d/fd/%d", getpid(), ns.fd);
	saw(h, HOST_LINK_VANISHED, "v0");
	assert_false(lab_has_link(h, "v0"));
	lab_run("ip netns attach vmac-t-%d %d", getpid(), getpid());
	lab_go(ns.fd);
	lab_run("ip link set v0 netns vmac-t-%d", getpid());
	lab_home();
	lab_run("ip netns delete vmac-t-%d", getpid());
	saw(h, HOST_LINK_APPEARED, "v0");
	lab_run("ip link delete v1");
	saw(h, HOST_LINK_VANISHED, "v1");
	host_close(h);
	lab_netns_end(&ns);
}

/* A bridge tells of its ports in messages of the same type: leaving it is no end of the link. */
static void a_bridge_port_is_still_a_link(void **state)
{
	struct host *h = lab_host();

	lab_run("ip link add v0 type veth peer name v1 && ip link add br0 type bridge");
	lab_run("ip link set v0 master br0");
	saw(h, HOST_LINK_APPEARED, "br0");
	assert_int_equal(lab_link(h, "v0").master, lab_link(h, "br0").ifindex);
	lab_run("ip link set v0 nomaster");
	saw(h, HOST_LINK_CHANGED, "v0");
	assert_false(lab_saw(&events, HOST_LINK_VANISHED, "v0"));
	lab_run("ip link delete v0 && ip link delete br0");
	host_close(h);
}

/* What host.h warns of: whoever adds an address to the filter looks for himself what became of it.
 */
static void a_filter_that_falls_back_is_no_event(void **state)
{
	struct host *h = lab_host();
	struct error e;
	int index, r;

	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up");
	lab_events(h, true, &events);
	index = lab_link(h, "v0").ifindex;
	r = host_filter_add(h, index, (vmac_mac_t){ { 0x12, 0, 0, 0, 0, 1 } }, &e);
	assert_ok(r, e);
	assert_int_equal(lab_link(h, "v0").promiscuity, 1);
	nothing_happened(h);
	lab_run("ip link delete v0");
	host_close(h);
}

static void devices_of_a_group_are_passed_over(void **state)
{
	struct host *h;
	struct error e;

	lab_run("ip link add v0 type veth peer name v1");
	lab_run("ip link add m0 link v0 group 1979711489 type macvlan"); /* 0x76000001 */
	h = lab_host();
	assert_int_equal(host_pass_over(h, 0x76000000, 0xff000000, &e), 0);
	lab_run("ip link set m0 mtu 1300");
	lab_run("ip link delete m0");
	lab_run("ip link add m1 link v0 group 1979711490 type macvlan");
	lab_run("ip link set m1 name m2 && ip link delete m2");
	nothing_happened(h);
	/* All others are told of as ever, also one that only comes into the group. */
	lab_run("ip link add m3 link v0 group 7 type macvlan");
	saw(h, HOST_LINK_APPEARED, "m3");
	lab_run("ip link set m3 group 1979711490");
	lab_run("ip link delete m3");
	saw(h, HOST_LINK_VANISHED, "m3");
	lab_run("ip link delete v0");
	saw(h, HOST_LINK_VANISHED, "v0");
	host_close(h);
}

static void after_a_flood_all_is_known_again(void **state)
{
	struct host *h = lab_host();

	/* Far more than the buffer holds, while nobody listens. */
	lab_run("ip link add v0 type veth peer name v1");
	lab_run("for i in $(seq 200); do for j in $(seq 25); do "
		"echo link set v0 mtu 1$(printf %%03d $(((i * 25 + j) %% 400))); done; done | "
		"ip -batch -");
	lab_run("ip link delete v0 && ip link add w0 type veth peer name w1");
	lab_events(h, true, &events);
	assert_true(events.count > 0);
	assert_int_equal(events.event[events.count - 1].kind, HOST_EVENTS_LOST);
	nothing_happened(h);
	/* What came and went in the gap is known: the old is not, the new is. */
	lab_run("ip link delete w0");
	saw(h, HOST_LINK_VANISHED, "w0");
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_there_is_no_event),
		cmocka_unit_test(appears_changes_vanishes),
		cmocka_unit_test(a_new_name_is_another_link),
		cmocka_unit_test(moved_away_and_back),
		cmocka_unit_test(a_bridge_port_is_still_a_link),
		cmocka_unit_test(a_filter_that_falls_back_is_no_event),
		cmocka_unit_test(devices_of_a_group_are_passed_over),
		cmocka_unit_test(after_a_flood_all_is_known_again),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
