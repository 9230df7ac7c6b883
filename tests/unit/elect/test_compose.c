/* What is sent: every frame is read back by the decoders that hold others' frames, and said twice
 * it is the same memory where nothing changes in it. */
#include "rig.h"

#include "base/cleanup.h"
#include "wire/arp.h"
#include "wire/ip.h"
#include "wire/nd.h"

static struct host *h;

static int setup(void **state)
{
	rig_now = (mono_t){ RIG_START_NS };
	h = host_new(1, false);
	host_plug(h, 1);
	return 0;
}

static int teardown(void **state)
{
	host_free(h);
	return 0;
}

static struct advert decoded(const struct order *o)
{
	struct reader r = reader_of(o->frame, o->len);
	struct advert a;
	const char *why = "";

	if (advert_decode(&r, 0, &a, NULL, &why) != VERDICT_ACCEPTED)
		fail_msg("our own frame: %s", why);
	return a;
}

/* The n-th advertisement (0 …) that was sent. */
static const struct order *sent(unsigned int n)
{
	for (unsigned int i = 0; i < h->count; i++) {
		const struct order *o = &h->orders[i];
		struct reader r = reader_of(o->frame, o->len);
		struct advert a;

		if (o->kind == ORDER_SEND &&
		    advert_decode(&r, 0, &a, NULL, NULL) == VERDICT_ACCEPTED && n-- == 0)
			return o;
	}
	fail_msg("too few advertisements");
	return NULL;
}

static void run_s(int64_t s)
{
	lan_run(&h, 1, SPAN_S(s));
}

static struct router_set *first_set(struct router *r)
{
	return (struct router_set *)&r->sets[0];
}

static void assert_mac(vmac_mac_t m, uint64_t expected)
{
	assert_int_equal(vmac_mac_u64(m), expected);
}

/* --- VRRP ------------------------------------------------------------------------------------ */

static void test_vrrp3_ipv4(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);
	struct advert a;

	r->interval_ms = 250;
	host_set(h, r);
	a = decoded(sent(0));
	assert_mac(a.eth.to, 0x01005e000012);
	assert_mac(a.eth.from, 0x00005e000107);
	assert_memory_equal(a.path.from, ((uint8_t[]){ 10, 0, 1, 1 }), 4);
	assert_memory_equal(a.path.to, ((uint8_t[]){ 224, 0, 0, 18 }), 4);
	assert_int_equal(a.ttl, 255);
	assert_int_equal(sent(0)->frame[15], 0xc0);
	assert_int_equal(a.vrrp.version, 3);
	assert_int_equal(a.vrrp.group, 7);
	assert_int_equal(a.vrrp.priority, 255);
	assert_int_equal(a.vrrp.interval_cs, 25);
	assert_int_equal(a.vrrp.address_count, 1);
	assert_memory_equal(a.vrrp.addresses, ((uint8_t[]){ 10, 0, 1, 207 }), 4);
	assert_int_equal(a.vrrp.dialect, VRRP_DIALECT_PSEUDO);
	assert_int_equal(sent(0)->len, 14 + 20 + 12);
}

static void test_vrrp3_ipv4_plain(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);

	r->checksum = ROUTER_CHECKSUM_PLAIN;
	host_set(h, r);
	assert_int_equal(decoded(sent(0)).vrrp.dialect, VRRP_DIALECT_PLAIN);
}

static void test_vrrp3_ipv6(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);
	struct router_address *list;
	struct advert a;

	r->set_count = 0;
	list = (struct router_address *)record_add_set(r, 1, 7, 6)->addresses;
	list[1] = (struct router_address){ { 6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, 64 };
	first_set(r)->address_count = 2;
	host_set(h, r);
	a = decoded(sent(0));
	assert_mac(a.eth.to, 0x333300000012);
	assert_mac(a.eth.from, 0x00005e000207);
	assert_memory_equal(a.path.from, host_ip(h, 1, 6).octet, 16);
	assert_int_equal(a.ttl, 255);
	assert_int_equal(a.vrrp.address_count, 2);
	assert_memory_equal(a.vrrp.addresses + 16, list[1].ip.octet, 16);
}

static void test_copies_in_vrrp2(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);

	r->also_v2 = true;
	r->interval_ms = 2000;
	host_set(h, r);
	assert_int_equal(decoded(sent(0)).vrrp.version, 3);
	assert_int_equal(decoded(sent(1)).vrrp.version, 2);
	assert_int_equal(decoded(sent(1)).vrrp.interval_cs, 200);
	assert_int_equal(host_counters(h, 1).sent, 1);
	elect_core_stop(h->core, rig_now);
	assert_int_equal(decoded(sent(2)).vrrp.priority, 0);
	assert_int_equal(decoded(sent(3)).vrrp.priority, 0);
	assert_int_equal(decoded(sent(3)).vrrp.version, 2);
}

static struct router *keyed(enum router_protocol p, enum router_auth auth)
{
	struct router *r = record_of(1, p, 7, 255);

	r->announce_count = 1; /* the next that is due is the advertisement */
	r->auth = auth;
	r->key_count = 0;
	record_add_key(r, 5, "secret");
	return r;
}

static void test_vrrp2_authentication(void **state)
{
	struct router *r = keyed(ROUTER_VRRP2, ROUTER_AUTH_TEXT);
	struct advert a;

	host_set(h, r);
	a = decoded(sent(0));
	assert_int_equal(a.vrrp.auth, VRRP_AUTH_TEXT);
	assert_memory_equal(a.vrrp.text, "secret\0", 8);
	elect_core_remove(h->core, 1, rig_now);
	run_s(10);
	host_forget(h);

	host_set(h, keyed(ROUTER_VRRP2, ROUTER_AUTH_MD5));
	a = decoded(sent(0));
	assert_int_equal(a.vrrp.auth, VRRP_AUTH_MD5);
	assert_int_equal(a.vrrp.md5_key_id, 5);
	assert_true(vrrp_md5_verify(&a.vrrp, "secret"));
}

static void check_trailer(uint8_t family)
{
	struct router *r = keyed(ROUTER_VRRP3, ROUTER_AUTH_HMAC);
	uint64_t before = 0;

	if (family == 6) {
		r->set_count = 0;
		record_add_set(r, 1, 7, 6);
	}
	host_set(h, r);
	run_s(4);
	for (unsigned int i = 0; i < 5; i++) {
		struct advert a = decoded(sent(i));
		struct vrrp_hmac hmac;

		assert_non_null(a.vrrp.trailer);
		assert_true(vrrp_hmac_read(a.vrrp.trailer, &hmac));
		assert_int_equal(hmac.key_id, 5);
		assert_true(hmac.sequence > before);
		before = hmac.sequence;
		assert_true(vrrp_hmac_verify(&a.path, &a.vrrp, "secret", 6));
	}
	assert_int_equal(before >> 32, 1700000000 + rig_now.ns / 1000000000);
}

static void test_trailer_ipv4(void **state)
{
	check_trailer(4);
}

static void test_trailer_ipv6(void **state)
{
	check_trailer(6);
}

/* Two messages in one entry, each its own; and a clock that goes back makes no number smaller. */
static void test_a_counted_frame_twice_at_once(void **state)
{
	struct advert first, second;
	struct vrrp_hmac one, two;

	host_set(h, keyed(ROUTER_VRRP3, ROUTER_AUTH_HMAC));
	h->clock_ms = -100000;
	host_forget(h);
	elect_core_time(h->core, elect_core_next_expiry(h->core));
	elect_core_stop(h->core, rig_now);
	first = decoded(sent(0));
	second = decoded(sent(1));
	assert_int_equal(first.vrrp.priority, 255);
	assert_int_equal(second.vrrp.priority, 0);
	assert_true(vrrp_hmac_read(first.vrrp.trailer, &one));
	assert_true(vrrp_hmac_read(second.vrrp.trailer, &two));
	assert_true(two.sequence > one.sequence);
}

/* Two answers before one flush: the first is not written over. */
static void test_an_answer_before_the_flush(void **state)
{
	struct carp c = { .group = 7, .base = 1, .skew = 200, .counter = 1 };
	struct advert first, second;

	host_set(h, record_of(1, ROUTER_CARP, 7, 250));
	run_s(20);
	host_forget(h);
	hear_unflushed = true;
	assert_int_equal(hear_carp(h, 9, &c, "love"), VERDICT_ACCEPTED);
	c.counter++;
	assert_int_equal(hear_carp(h, 9, &c, "love"), VERDICT_ACCEPTED);
	hear_unflushed = false;
	elect_core_flush(h->core);
	first = decoded(sent(0));
	second = decoded(sent(1));
	assert_int_equal(second.carp.counter, first.carp.counter + 1);
}

/* The sequence of the next advertisement, in seconds off the common clock. */
static int64_t next_sequence_s(void)
{
	struct vrrp_hmac hmac;
	struct advert a;

	host_forget(h);
	elect_core_time(h->core, elect_core_next_expiry(h->core));
	a = decoded(sent(0));
	assert_true(vrrp_hmac_read(a.vrrp.trailer, &hmac));
	return (int64_t)(hmac.sequence >> 32) - (1700000000000 + rig_now.ns / 1000000) / 1000;
}

/* A clock that comes back from a time that no peer believed is believed again at once; one that
 * comes back by less never makes a number smaller. */
static void test_a_clock_that_comes_back(void **state)
{
	host_set(h, keyed(ROUTER_VRRP3, ROUTER_AUTH_HMAC));
	h->clock_ms = 3600000;
	assert_in_range(next_sequence_s(), 3599, 3601);
	h->clock_ms = 3000;
	assert_in_range(next_sequence_s(), 2, 4);
	h->clock_ms = 0;
	assert_in_range(next_sequence_s(), 2, 4);
}

static void test_unicast_payloads(void **state)
{
	static const struct ip peers[2] = { { 4, { 10, 0, 1, 2 } }, { 4, { 192, 0, 2, 3 } } };
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);

	first_set(r)->peers = peers;
	first_set(r)->peer_count = 2;
	host_set(h, r);
	assert_int_equal(h->counts[ORDER_SEND_TO], 2);
	for (unsigned int i = 0, n = 0; i < h->count; i++) {
		const struct order *o = &h->orders[i];
		struct vrrp_path path = { .family = 4, .from = { 10, 0, 1, 1 } };
		struct reader reader = reader_of(o->frame, o->len);
		struct vrrp v;

		if (o->kind != ORDER_SEND_TO)
			continue;
		assert_true(ip_equal(&o->peer, &peers[n]));
		memcpy(path.to, peers[n++].octet, 4);
		assert_int_equal(vrrp_decode(&reader, &path, 255, true, &v, NULL),
				 VERDICT_ACCEPTED);
		/* Its pseudo-header is the peer's. */
		assert_int_equal(v.dialect, VRRP_DIALECT_PSEUDO);
	}
}

/* What does not change is not written again. */
static void test_an_unchanged_frame_is_the_same(void **state)
{
	const struct order *one, *two;

	host_set(h, record_of(1, ROUTER_VRRP3, 7, 255));
	run_s(5);
	one = sent(2);
	two = sent(4);
	assert_int_equal(one->len, two->len);
	assert_memory_equal(one->frame, two->frame, one->len);
}

/* --- CARP, HSRP ------------------------------------------------------------------------------ */

static void test_carp(void **state)
{
	struct router *r = record_of(1, ROUTER_CARP, 7, 250);
	uint8_t address[4] = { 10, 0, 1, 207 };
	uint64_t before;
	struct advert a;

	r->interval_ms = 2000;
	host_set(h, r);
	run_s(20);
	a = decoded(sent(0));
	assert_mac(a.eth.from, 0x00005e000107);
	assert_int_equal(a.kind, ADVERT_CARP);
	assert_int_equal(a.carp.base, 2);
	assert_int_equal(a.carp.skew, 5);
	assert_true(carp_verify(&a.carp, "love", 4, address, 1));
	before = a.carp.counter;
	a = decoded(sent(1));
	assert_int_equal(a.carp.counter, before + 1);
	assert_true(carp_verify(&a.carp, "love", 4, address, 1));
	host_forget(h);
	elect_core_stop(h->core, rig_now);
	a = decoded(sent(0));
	assert_int_equal(a.carp.base, 255);
	assert_int_equal(a.carp.skew, 255);
}

static void check_hsrp(enum router_protocol p)
{
	struct router *r = record_of(1, p, 7, 130);
	const struct order *o;
	struct advert a;

	host_set(h, r);
	run_s(60);
	o = sent(0);
	a = decoded(o);
	/* Not the active router: as itself. */
	assert_mac(a.eth.from, 0x0e0000000101);
	assert_int_equal(a.hsrp.state, HSRP_STATE_SPEAK);
	host_forget(h);
	run_s(4);
	a = decoded(sent(0));
	assert_mac(a.eth.from, p == ROUTER_HSRP1 ? 0x00000c07ac07 : 0x00000c9ff007);
	assert_mac(a.eth.to, p == ROUTER_HSRP1 ? 0x01005e000002 : 0x01005e000066);
	assert_int_equal(a.ttl, 1);
	assert_int_equal(a.hsrp.version, p == ROUTER_HSRP1 ? 1 : 2);
	assert_int_equal(a.hsrp.operation, HSRP_HELLO);
	assert_int_equal(a.hsrp.state, HSRP_STATE_ACTIVE);
	assert_int_equal(a.hsrp.priority, 130);
	assert_int_equal(a.hsrp.hello_ms, 3000);
	assert_int_equal(a.hsrp.hold_ms, 10000);
	assert_memory_equal(a.hsrp.address, ((uint8_t[]){ 10, 0, 1, 207 }), 4);
	assert_memory_equal(a.hsrp.text, "cisco\0\0", 8);
	if (p == ROUTER_HSRP2)
		assert_mac(a.hsrp.identifier, 0x0e0000000101);
	host_forget(h);
	elect_core_stop(h->core, rig_now);
	assert_int_equal(decoded(sent(0)).hsrp.operation, HSRP_RESIGN);
	assert_int_equal(host_counters(h, 1).sent_zero, 1);
}

static void test_hsrp1(void **state)
{
	check_hsrp(ROUTER_HSRP1);
}

static void test_hsrp2(void **state)
{
	check_hsrp(ROUTER_HSRP2);
}

static void test_hsrp2_ipv6_with_md5(void **state)
{
	struct router *r = keyed(ROUTER_HSRP2, ROUTER_AUTH_MD5);
	struct advert a;

	r->set_count = 0;
	record_add_set(r, 1, 7, 6);
	host_set(h, r);
	run_s(60);
	host_forget(h);
	run_s(4);
	a = decoded(sent(0));
	assert_mac(a.eth.from, 0x000573a00007);
	assert_mac(a.eth.to, 0x333300000066);
	assert_int_equal(a.ttl, 255);
	assert_int_equal(a.hsrp.auth, HSRP_AUTH_MD5);
	assert_int_equal(a.hsrp.md5_key_id, 5);
	assert_true(hsrp_md5_verify(&a.hsrp, "secret"));
}

/* --- announcements --------------------------------------------------------------------------- */

static unsigned int count_arp(uint16_t operation)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < h->count; i++) {
		const struct order *o = &h->orders[i];
		struct reader r = reader_of(o->frame, o->len);
		struct eth eth;
		struct arp arp;

		if (o->kind != ORDER_SEND || eth_decode(&r, &eth, NULL) < 0 ||
		    eth.type != ETH_TYPE_ARP)
			continue;
		assert_int_equal(arp_decode(&r, eth.type, &arp, NULL), 0);
		assert_mac(eth.from, 0x00005e000107);
		assert_mac(eth.to, 0xffffffffffff);
		assert_mac(arp.sender_mac, 0x00005e000107);
		assert_memory_equal(arp.sender_ip, arp.target_ip, 4);
		assert_memory_equal(arp.sender_ip, ((uint8_t[]){ 10, 0, 1 }), 3);
		n += arp.operation == operation;
	}
	return n;
}

static void test_gratuitous_arp_in_its_three_forms(void **state)
{
	static const struct {
		unsigned int requests, replies;
	} expected[ROUTER_GARP_COUNT] = {
		[ROUTER_GARP_REQUEST] = { 2, 0 },
		[ROUTER_GARP_REPLY] = { 0, 2 },
		[ROUTER_GARP_BOTH] = { 2, 2 },
	};

	for (unsigned int garp = 0; garp < ROUTER_GARP_COUNT; garp++) {
		struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);
		struct router_address *list = (struct router_address *)r->sets[0].addresses;

		r->garp = (uint8_t)garp;
		r->linger_ms = 0;
		list[1] = (struct router_address){ { 4, { 10, 0, 1, 99 } }, 24 };
		first_set(r)->address_count = 2;
		host_set(h, r);
		assert_int_equal(count_arp(ARP_REQUEST), expected[garp].requests);
		assert_int_equal(count_arp(ARP_REPLY), expected[garp].replies);
		assert_int_equal(host_counters(h, 1).announced,
				 expected[garp].requests + expected[garp].replies);
		elect_core_remove(h->core, 1, rig_now);
		assert_true(elect_core_gone(h->core, 1));
		host_forget(h);
	}
}

static void test_neighbour_advertisements(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 255);
	struct router_address *list;
	unsigned int found = 0;

	r->set_count = 0;
	list = (struct router_address *)record_add_set(r, 1, 7, 6)->addresses;
	list[1] = (struct router_address){ { 6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, 64 };
	first_set(r)->address_count = 2;
	host_set(h, r);
	for (unsigned int i = 0; i < h->count; i++) {
		const struct order *o = &h->orders[i];
		struct reader reader = reader_of(o->frame, o->len);
		struct eth eth;
		struct ipv6 ip;
		struct nd nd;

		if (o->kind != ORDER_SEND || eth_decode(&reader, &eth, NULL) < 0 ||
		    ipv6_decode(&reader, &ip, NULL) < 0 || ip.next_header != IP_PROTOCOL_ICMPV6)
			continue;
		assert_int_equal(nd_decode(&reader, &ip, &nd, NULL), 0);
		assert_memory_equal(ip.from, list[0].ip.octet, 16);
		assert_memory_equal(nd.target, list[found++].ip.octet, 16);
		assert_true(nd.override && nd.router && !nd.solicited && nd.has_mac);
		assert_mac(nd.mac, 0x00005e000207);
	}
	assert_int_equal(found, 2);
}

/* More than the arena holds: the core flushes in between, and no frame is written over. */
static void test_more_announcements_than_room(void **state)
{
	enum { ROUTERS = 15, ADDRESSES = 100 };
	bool seen[ROUTERS + 1][256] = { 0 };

	for (uint32_t id = 1; id <= ROUTERS; id++) {
		struct router *r = record_of(id, ROUTER_VRRP3, (uint16_t)id, 100);
		struct router_address *list = (struct router_address *)r->sets[0].addresses;

		r->garp = ROUTER_GARP_BOTH;
		for (unsigned int k = 0; k < ADDRESSES; k++)
			list[k] =
				(struct router_address){ { 4, { 10, 1, (uint8_t)id, (uint8_t)k } },
							 0 };
		first_set(r)->address_count = ADDRESSES;
		host_set(h, r);
	}
	host_forget(h);
	rig_now = mono_after(elect_core_next_expiry(h->core), SPAN_S(1));
	elect_core_time(h->core, rig_now);
	assert_int_equal(h->counts[ORDER_SEND], ROUTERS + ROUTERS * ADDRESSES * 2);
	assert_in_range(h->counts[ORDER_FLUSH], 2, 4);
	for (unsigned int i = 0; i < h->count; i++) {
		const struct order *o = &h->orders[i];

		if (o->kind == ORDER_SEND && o->frame[12] == 8 && o->frame[13] == 6)
			seen[o->frame[30]][o->frame[31]] = true;
	}
	for (unsigned int id = 1; id <= ROUTERS; id++)
		for (unsigned int k = 0; k < ADDRESSES; k++)
			assert_true(seen[id][k]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_vrrp3_ipv4),
		T(test_vrrp3_ipv4_plain),
		T(test_vrrp3_ipv6),
		T(test_copies_in_vrrp2),
		T(test_vrrp2_authentication),
		T(test_trailer_ipv4),
		T(test_trailer_ipv6),
		T(test_a_counted_frame_twice_at_once),
		T(test_an_answer_before_the_flush),
		T(test_a_clock_that_comes_back),
		T(test_unicast_payloads),
		T(test_an_unchanged_frame_is_the_same),
		T(test_carp),
		T(test_hsrp1),
		T(test_hsrp2),
		T(test_hsrp2_ipv6_with_md5),
		T(test_gratuitous_arp_in_its_three_forms),
		T(test_neighbour_advertisements),
		T(test_more_announcements_than_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
