/* The tunnel's device: made once, told from others', brought back, taken away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/tunnel.h"
#include "lab.h"

static const struct host_tunnel plain = {
	.local = { 4, { 192, 0, 2, 1 } },
	.port = TUNNEL_PORT_DEFAULT,
};

static struct host_link make(struct host *h, const struct host_tunnel *t)
{
	struct host_link l = { 0 };
	struct error e;
	int r = host_tunnel_make(h, t, &l, &e);

	assert_ok(r, e);
	return l;
}

static void refused(struct host *h, const struct host_tunnel *t, enum error_code code)
{
	struct host_link l = { .ifindex = -7 };
	struct error e;
	int r = host_tunnel_make(h, t, &l, &e);

	assert_error(r, e, code);
	assert_int_equal(l.ifindex, -7);
}

static void drop(struct host *h)
{
	struct error e;
	int r = host_tunnel_delete(h, NULL, &e);

	assert_ok(r, e);
}

static void makes_once(void **state)
{
	struct host *h = lab_host();
	struct host_link l = make(h, &plain), again;
	struct lab_events events;

	assert_string_equal(l.ifname, TUNNEL_IFNAME);
	assert_string_equal(l.kind, "vxlan");
	assert_true(l.up);
	assert_true(l.mtu > 65000);
	assert_true(lab_try("ip -d link show vmac-tun | grep -q 'external.*dstport 14789'"));
	assert_false(lab_try("ip -d link show vmac-tun | grep -q ' learning'"));
	assert_true(lab_try("ip link show vmac-tun | grep -q NOARP"));
	assert_false(lab_try("ip addr show vmac-tun | grep -q inet"));
	lab_events(h, true, &events);
	again = make(h, &plain);
	assert_memory_equal(&l, &again, sizeof(l));
	lab_events(h, false, &events);
	assert_int_equal(events.count, 0);
	drop(h);
	assert_false(lab_has_link(h, TUNNEL_IFNAME));
	drop(h); /* gone already */
	host_close(h);
}

static void another_port_or_address_is_another_link(void **state)
{
	struct host *h = lab_host();
	struct host_link l = make(h, &plain), now;
	struct host_tunnel other = plain;

	other.port = 4790;
	now = make(h, &other);
	assert_int_not_equal(now.ifindex, l.ifindex);
	assert_true(lab_try("ip -d link show vmac-tun | grep -q 'dstport 4790'"));
	l = now;
	other.local = (struct ip){ 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	now = make(h, &other);
	assert_int_not_equal(now.ifindex, l.ifindex);
	l = make(h, &other);
	assert_int_equal(now.ifindex, l.ifindex);
	drop(h);
	host_close(h);
}

static void brings_back_what_somebody_changed(void **state)
{
	struct host *h = lab_host();
	struct host_link l = make(h, &plain), again;

	lab_run("ip link set vmac-tun down mtu 1400 arp on");
	again = make(h, &plain);
	assert_memory_equal(&l, &again, sizeof(l));
	assert_true(lab_try("ip link show vmac-tun | grep -q NOARP"));
	drop(h);
	host_close(h);
}

static void others_links_are_left_alone(void **state)
{
	struct host_tunnel t = plain;
	struct host *h = lab_host();
	struct error e;
	int r;

	lab_run("ip link add vmac-tun type veth peer name peer0");
	refused(h, &t, ERROR_INTERFACE_IN_USE);
	r = host_tunnel_delete(h, NULL, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete vmac-tun");
	lab_run("ip link add vmac-tun type vxlan id 7 dstport 5000");
	refused(h, &t, ERROR_INTERFACE_IN_USE);
	r = host_tunnel_delete(h, NULL, &e);
	assert_error(r, e, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete vmac-tun");
	t.ifname = "a name too long for it";
	refused(h, &t, ERROR_BAD_NAME);
	t = plain;
	t.port = 0;
	refused(h, &t, ERROR_BAD_VALUE);
	host_close(h);
}

static void a_port_that_is_taken_is_said_so(void **state)
{
	struct host *h = lab_host();

	/* The same kind of link, and an ordinary one. */
	lab_run("ip link add other type vxlan external dstport 14789");
	refused(h, &plain, ERROR_INTERFACE_IN_USE);
	lab_run("ip link delete other");
	lab_run("ip link add other type vxlan id 9 dstport 14789 && ip link set other up");
	refused(h, &plain, ERROR_INTERFACE_IN_USE);
	assert_false(lab_has_link(h, TUNNEL_IFNAME)); /* nothing half-made */
	lab_run("ip link delete other");
	make(h, &plain);
	drop(h);
	host_close(h);
}

static int with_vxlan(void **state)
{
	lab_enter();
	if (!lab_try("ip link add try0 type vxlan external dstport 14700 2>/dev/null")) {
		printf("skipped: no vxlan driver (CONFIG_VXLAN)\n");
		exit(77);
	}
	lab_run("ip link delete try0");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_once),
		cmocka_unit_test(another_port_or_address_is_another_link),
		cmocka_unit_test(brings_back_what_somebody_changed),
		cmocka_unit_test(others_links_are_left_alone),
		cmocka_unit_test(a_port_that_is_taken_is_said_so),
	};

	return cmocka_run_group_tests_name("host: tunnel", tests, with_vxlan, NULL);
}
