#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/record.h"
#include "router_case.h"

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct vmac_mac_range range_of(const char *text)
{
	struct vmac_mac_range r;

	assert_int_equal(vmac_mac_range_parse(text, &r, NULL), 0);
	return r;
}

static bool inside(const void *p, const void *block, size_t size)
{
	return (const char *)p >= (const char *)block &&
	       (const char *)p < (const char *)block + size;
}

static void a_block_holds_the_whole_record(void **state)
{
	struct ip ips[] = { ip_of("192.0.2.1"), ip_of("2001:db8::1") };
	char name[] = "web1", owner[] = "vm 17", tenant[] = "", note[] = "n\xc3\xb6te";
	struct vmac v = {
		.address = vmac_mac_from_u64(0x120000000001),
		.state = VMAC_BOUND,
		.ip_count = 2,
		.segment = 7,
		.epoch = 3,
		.until = WALL_NEVER,
		.name = name,
		.owner = owner,
		.tenant = tenant,
		.note = note,
		.ips = ips,
	};
	size_t size = vmac_block_size(&v);
	struct vmac *copy = vmac_block_fill(malloc(size), &v);

	/* The original may now change or vanish. */
	memset(ips, 0xee, sizeof(ips));
	memset(name, 'x', 4);
	memset(owner, 'x', 5);
	memset(note, 'x', 5);
	memset(&v, 0xee, sizeof(v));
	assert_int_equal(vmac_mac_u64(copy->address), 0x120000000001);
	assert_int_equal(copy->epoch, 3);
	assert_string_equal(copy->name, "web1");
	assert_string_equal(copy->owner, "vm 17");
	assert_string_equal(copy->tenant, "");
	assert_string_equal(copy->note, "n\xc3\xb6te");
	assert_int_equal(copy->ip_count, 2);
	assert_int_equal(copy->ips[1].family, 6);
	assert_int_equal(copy->ips[0].octet[3], 1);
	assert_true(inside(copy->name, copy, size) && inside(copy->owner, copy, size));
	assert_true(inside(copy->tenant, copy, size) && inside(copy->note, copy, size));
	assert_true(inside(copy->ips, copy, size));
	free(copy);
}

static void an_empty_record_needs_four_octets_more(void **state)
{
	struct vmac v = { .name = "", .owner = "", .tenant = "", .note = "" };
	struct vmac *copy;

	assert_int_equal(vmac_block_size(&v), sizeof(v) + 4);
	copy = vmac_block_fill(malloc(vmac_block_size(&v)), &v);
	assert_null(copy->ips);
	assert_string_equal(copy->note, "");
	free(copy);
}

static void keys_sort_by_segment_then_address(void **state)
{
	assert_true(vmac_key(1, vmac_mac_from_u64(0xffffffffffff)) <
		    vmac_key(2, vmac_mac_from_u64(0)));
	assert_true(vmac_key(2, vmac_mac_from_u64(1)) < vmac_key(2, vmac_mac_from_u64(2)));
	assert_int_equal(vmac_key(65535, vmac_mac_from_u64(5)), 0xffff000000000005);
}

static char buf[STATE_TEXT_MAX];

static const char *text_of(enum change_kind kind, const void *record)
{
	assert_ptr_equal(change_state_text(kind, record, buf), buf);
	return buf;
}

static void nothing_says_nothing(void **state)
{
	for (unsigned int k = 0; k < CHANGE_KIND_COUNT; k++)
		assert_string_equal(text_of(k, NULL), "");
}

static void vmacs_say_their_state(void **state)
{
	struct ip ips[] = { ip_of("192.0.2.1"), ip_of("2001:db8::1") };
	struct vmac v = { .name = "", .owner = "", .tenant = "", .note = "", .until = WALL_NEVER };

	v.epoch = 9;
	assert_string_equal(text_of(CHANGE_VMAC, &v), "reserved");
	v.until = (wall_t){ 86400000 };
	assert_string_equal(text_of(CHANGE_VMAC, &v), "reserved until=1970-01-02T00:00:00.000Z");
	v.until = WALL_NEVER;
	v.name = "web1";
	v.owner = "vm 17";
	v.tenant = "a\"b\\c";
	v.ips = ips;
	v.ip_count = 2;
	assert_string_equal(text_of(CHANGE_VMAC, &v),
			    "reserved name=web1 owner=\"vm 17\" tenant=\"a\\\"b\\\\c\" "
			    "ips=192.0.2.1,2001:db8::1");
	v.state = VMAC_BOUND;
	v.port = 12;
	v.tenant = "";
	v.ip_count = 0;
	assert_string_equal(text_of(CHANGE_VMAC, &v),
			    "bound port=12 epoch=9 name=web1 owner=\"vm 17\"");
	v.state = VMAC_MOVING;
	v.owner = "x";
	assert_string_equal(text_of(CHANGE_VMAC, &v), "moving port=12 epoch=9 name=web1 owner=x");
	v.state = VMAC_QUARANTINED;
	v.until = (wall_t){ 1 };
	assert_string_equal(text_of(CHANGE_VMAC, &v), "quarantined until=1970-01-01T00:00:00.001Z");
}

static void the_rest_say_their_settings(void **state)
{
	struct segment s = { .name = "lan" };
	struct pool p = { .name = "p", .range_count = 1, .quarantine_ms = 14400000 };
	struct port t = {
		.kind = PORT_VETH,
		.gate = GATE_OPEN,
		.address = vmac_mac_from_u64(0x120000000001),
		.ifname = "veth0",
	};

	assert_string_equal(text_of(CHANGE_SEGMENT, &s), "internal");
	snprintf(s.uplink, sizeof(s.uplink), "eth0");
	s.vlan = 5;
	assert_string_equal(text_of(CHANGE_SEGMENT, &s), "uplink=eth0 vlan=5");

	p.ranges[0] = range_of("12:34:00:00:00:00/16");
	assert_string_equal(text_of(CHANGE_POOL, &p),
			    "ranges=12:34:00:00:00:00..12:34:ff:ff:ff:ff quarantine=4h");
	p.ranges[p.range_count++] = range_of("12:35:00:00:00:01");
	p.excludes[p.exclude_count++] = range_of("12:34:00:00:00:05");
	p.quarantine_ms = 0;
	p.limit = 10;
	assert_string_equal(text_of(CHANGE_POOL, &p),
			    "ranges=12:34:00:00:00:00..12:34:ff:ff:ff:ff,12:35:00:00:00:01 "
			    "excludes=12:34:00:00:00:05 quarantine=0 limit=10");

	assert_string_equal(text_of(CHANGE_PORT, &t),
			    "open kind=veth mac=12:00:00:00:00:01 ifname=veth0");
	snprintf(t.peer_netns, sizeof(t.peer_netns), "/run/netns/c 1");
	snprintf(t.peer_ifname, sizeof(t.peer_ifname), "eth0");
	t.gate = GATE_CLOSED;
	t.mtu = 1500;
	t.allow = PORT_ALLOW_DHCP_SERVER | PORT_ALLOW_ANY_IP;
	t.flood_pps = 1000;
	assert_string_equal(text_of(CHANGE_PORT, &t),
			    "closed kind=veth mac=12:00:00:00:00:01 ifname=veth0 "
			    "netns=\"/run/netns/c 1\" peer=eth0 mtu=1500 allow=dhcp-server,any-ip "
			    "flood=1000");
	t = (struct port){ .kind = PORT_TAP,
			   .router_count = 2,
			   .routers = { { { 0, 0, 0x5e, 0, 1, 7 } },
					{ { 0, 0, 0x5e, 0, 2, 7 } } } };
	assert_string_equal(text_of(CHANGE_PORT, &t),
			    "closed kind=tap mac=00:00:00:00:00:00 "
			    "routers=00:00:5e:00:01:07,00:00:5e:00:02:07");
}

static struct router_case one;

static void routers_say_no_secret(void **state)
{
	case_init(&one, ROUTER_HSRP2);
	case_key(&one, 5, "hunter2");
	case_track(&one, ROUTER_TRACK_PING, "10.0.0.9");
	assert_string_equal(text_of(CHANGE_ROUTER, &one.r),
			    "enabled protocol=hsrp2 priority=100 interval=3s hold=10s "
			    "sets=eth0:7:4 addresses=10.0.0.1/24 preempt=no accept=yes auth=text "
			    "mode=enforce keys=0,5 tracks=ping");
	case_init(&one, ROUTER_VRRP3);
	one.r.enabled = false;
	one.r.notify = "/etc/n x";
	for (unsigned int i = 2; i < 8; i++) {
		char text[16];

		snprintf(text, sizeof(text), "10.0.0.%u", i);
		case_address(&one, 0, text);
	}
	assert_string_equal(text_of(CHANGE_ROUTER, &one.r),
			    "disabled protocol=vrrp3 priority=100 interval=1s sets=eth0:7:4 "
			    "addresses=10.0.0.1/24,10.0.0.2,10.0.0.3,10.0.0.4,+3 preempt=yes "
			    "accept=no auth=none notify=\"/etc/n x\"");
}

static void the_longest_router_fits(void **state)
{
	char notify[PATH_MAX_LEN + 1];

	case_init(&one, ROUTER_HSRP2);
	one.r.set_count = one.sets[0].address_count = one.r.key_count = 0;
	for (unsigned int i = 0; i < ROUTER_SETS_MAX; i++) {
		case_set(&one, "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"", 4095,
			 "2001:1111:2222:3333:4444:5555:6666:7777/127");
		if (i < ROUTER_KEYS_MAX)
			case_key(&one, UINT32_MAX, "k");
	}
	while (one.r.track_count < ROUTER_TRACKS_MAX)
		case_track(&one, ROUTER_TRACK_INTERFACE, "x");
	memset(notify, '"', PATH_MAX_LEN);
	notify[PATH_MAX_LEN] = '\0';
	one.r.notify = notify;
	one.r.hold_ms = UINT32_MAX;
	one.r.interval_ms = UINT32_MAX;
	assert_true(strlen(text_of(CHANGE_ROUTER, &one.r)) > 1500);
}

/* The buffer is large enough for the longest text of every kind: otherwise change_state_text()
 * itself would assert. */
static void the_longest_texts_fit(void **state)
{
	struct ip long_ip = ip_of("2001:1111:2222:3333:4444:5555:6666:7777"), ips[VMAC_IPS_MAX];
	char name[NAME_MAX_LEN + 1], quotes[OWNER_MAX_LEN + 1];
	struct vmac v = { .name = name, .owner = quotes, .tenant = quotes, .note = "" };
	struct port t = { .kind = PORT_NETDEV, .allow = 7, .flood_pps = UINT32_MAX, .mtu = 65535 };
	struct pool p = { .range_count = POOL_RANGES_MAX, .exclude_count = POOL_EXCLUDES_MAX };

	memset(name, 'n', NAME_MAX_LEN);
	name[NAME_MAX_LEN] = '\0';
	memset(quotes, '"', OWNER_MAX_LEN);
	quotes[OWNER_MAX_LEN] = '\0';
	for (size_t i = 0; i < VMAC_IPS_MAX; i++)
		ips[i] = long_ip;
	v.ips = ips;
	v.ip_count = VMAC_IPS_MAX;
	v.state = VMAC_BOUND;
	v.port = UINT32_MAX;
	v.epoch = UINT64_MAX;
	v.until = (wall_t){ 1 };
	assert_true(strlen(text_of(CHANGE_VMAC, &v)) > 900);

	for (size_t i = 0; i < POOL_RANGES_MAX; i++)
		p.ranges[i] = p.excludes[i] = range_of("12:00:00:00:00:00/8");
	p.limit = UINT64_MAX;
	p.quarantine_ms = INT64_MIN;
	assert_true(strlen(text_of(CHANGE_POOL, &p)) > 1200);

	memset(t.peer_netns, '"', PATH_MAX_LEN);
	memset(t.ifname, '"', IFNAME_MAX_LEN);
	memset(t.peer_ifname, '"', IFNAME_MAX_LEN);
	t.router_count = PORT_ROUTERS_MAX;
	assert_true(strlen(text_of(CHANGE_PORT, &t)) > 840);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_holds_the_whole_record),
		cmocka_unit_test(an_empty_record_needs_four_octets_more),
		cmocka_unit_test(keys_sort_by_segment_then_address),
		cmocka_unit_test(nothing_says_nothing),
		cmocka_unit_test(vmacs_say_their_state),
		cmocka_unit_test(the_rest_say_their_settings),
		cmocka_unit_test(the_longest_texts_fit),
		cmocka_unit_test(routers_say_no_secret),
		cmocka_unit_test(the_longest_router_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
