/* What of a well-formed frame is for the machine: every verdict of the election's part, and keys
 * that change under way. */
#include "rig.h"

static struct host *a, *b, *both[2];

static int setup(void **state)
{
	rig_now = (mono_t){ RIG_START_NS };
	hear_unicast = false;
	hear_ttl = 0;
	a = both[0] = host_new(1, false);
	b = both[1] = host_new(2, false);
	host_plug(a, 1);
	host_plug(b, 1);
	return 0;
}

static int teardown(void **state)
{
	host_free(a);
	host_free(b);
	return 0;
}

/* The verdict is also counted, and nothing but an accepted frame reaches the machine: a leaving
 * router's priority 0 would shorten the wait. */
#define assert_refused(call, verdict)                                                              \
	do {                                                                                       \
		uint64_t before_ = host_counters(a, 1).verdicts[verdict];                          \
		struct fhrp machine_ = *elect_router_machine(elect_core_find(a->core, 1));         \
                                                                                                   \
		assert_int_equal(call, verdict);                                                   \
		assert_int_equal(host_counters(a, 1).verdicts[verdict], before_ + 1);              \
		assert_memory_equal(&machine_, elect_router_machine(elect_core_find(a->core, 1)),  \
				    sizeof(machine_));                                             \
	} while (0)

static struct router *with_key(struct router *r, enum router_auth auth, enum router_auth_mode mode)
{
	r->auth = auth;
	r->auth_mode = mode;
	r->key_count = 0;
	record_add_key(r, 1, "secret");
	return r;
}

static enum verdict hear(struct vrrp *v)
{
	return hear_vrrp(a, 9, v, NULL, 0, 0);
}

/* A sequence out of the common wall clock, off by so many seconds. */
static uint64_t sequence(int64_t off_s, uint16_t counter)
{
	return (uint64_t)(1700000000 + rig_now.ns / 1000000000 + off_s) << 32 | counter;
}

/* --- whose, and for whom --------------------------------------------------------------------- */

static void test_own_frame_reflected(void **state)
{
	struct vrrp v = vrrp_frame(3, 7, 0);
	struct hsrp h = { .version = 2,
			  .state = HSRP_STATE_ACTIVE,
			  .family = 4,
			  .group = 8,
			  .priority = 250,
			  .hello_ms = 3000,
			  .hold_ms = 10000,
			  .identifier = { { 0x0e, 0, 0, 0, 1, 1 } },
			  .text = HSRP_TEXT_DEFAULT };

	host_set(a, record_of(1, ROUTER_VRRP3, 7, 100));
	assert_refused(hear_vrrp(a, 1, &v, NULL, 0, 0), VERDICT_OWN);
	elect_core_remove(a->core, 1, rig_now);
	/* HSRP tells its sender also where the address was changed. */
	host_set(a, record_of(1, ROUTER_HSRP2, 8, 100));
	assert_refused(hear_hsrp(a, 9, &h, NULL), VERDICT_OWN);
}

static void test_disabled_group(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 100);
	struct vrrp v = vrrp_frame(3, 7, 200);

	r->enabled = false;
	host_set(a, r);
	assert_refused(hear(&v), VERDICT_DISABLED);
}

static void test_other_protocol(void **state)
{
	struct vrrp v2 = vrrp_frame(2, 7, 200), v3 = vrrp_frame(3, 7, 200);
	struct carp carp = { .group = 7, .base = 1, .counter = 5 };

	host_set(a, record_of(1, ROUTER_VRRP3, 7, 100));
	assert_refused(hear(&v2), VERDICT_OTHER_PROTOCOL);
	assert_refused(hear_carp(a, 9, &carp, "love"), VERDICT_OTHER_PROTOCOL);
	elect_core_remove(a->core, 1, rig_now);
	host_set(a, record_of(1, ROUTER_VRRP2, 7, 100));
	assert_refused(hear(&v3), VERDICT_OTHER_PROTOCOL);
	assert_int_equal(hear(&v2), VERDICT_ACCEPTED);
}

static void test_unicast_from_a_peer_only(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 100);
	struct router_set *s = (struct router_set *)&r->sets[0];
	struct ip peer = { 4, { 10, 0, 1, 9 } };
	struct vrrp v = vrrp_frame(3, 7, 0);

	/* Multicast group: a unicast frame may have come from anywhere. */
	host_set(a, r);
	hear_unicast = true;
	hear_ttl = 63;
	assert_refused(hear(&v), VERDICT_NOT_A_PEER);
	/* Unicast group: whoever is named, through routers too. */
	s->peers = &peer;
	s->peer_count = 1;
	host_set(a, r);
	assert_refused(hear_vrrp(a, 8, &v, NULL, 0, 0), VERDICT_NOT_A_PEER);
	assert_int_equal(hear(&v), VERDICT_ACCEPTED);
}

static void test_codec_refusals_are_the_groups(void **state)
{
	struct vrrp v = vrrp_frame(3, 7, 0);

	host_set(a, record_of(1, ROUTER_VRRP3, 7, 100));
	hear_ttl = 254;
	assert_refused(hear(&v), VERDICT_TTL);
}

static void test_interval_of_vrrp2_must_be_ours(void **state)
{
	struct vrrp v2 = vrrp_frame(2, 7, 200), v3 = vrrp_frame(3, 8, 200);

	host_set(a, record_of(1, ROUTER_VRRP2, 7, 100));
	v2.interval_cs = 300;
	assert_refused(hear(&v2), VERDICT_INTERVAL);
	/* VRRPv3 learns it. */
	host_set(a, record_of(2, ROUTER_VRRP3, 8, 100));
	v3.interval_cs = 50;
	assert_int_equal(hear(&v3), VERDICT_ACCEPTED);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 2))->interval.ns,
			 SPAN_MS(500).ns);
}

static void test_a_copy_in_vrrp2_is_superseded(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 100);
	struct vrrp v2 = vrrp_frame(2, 7, 200), v3 = vrrp_frame(3, 7, 200);

	r->also_v2 = true;
	host_set(a, r);
	/* An old router speaks VRRPv2 alone. */
	assert_int_equal(hear(&v2), VERDICT_ACCEPTED);
	assert_int_equal(hear(&v3), VERDICT_ACCEPTED);
	assert_refused(hear(&v2), VERDICT_SUPERSEDED);
	/* Another one's is no copy. */
	assert_int_equal(hear_vrrp(a, 8, &v2, NULL, 0, 0), VERDICT_ACCEPTED);
	/* VRRPv3 was turned off there. */
	rig_now = mono_after(rig_now, SPAN_S(5));
	assert_int_equal(hear(&v2), VERDICT_ACCEPTED);
}

static void test_two_owners_are_noted(void **state)
{
	struct vrrp v = vrrp_frame(3, 7, 255);

	host_set(a, record_of(1, ROUTER_VRRP3, 7, 255));
	assert_int_equal(hear(&v), VERDICT_OWNER_CONFLICT);
	assert_int_equal(host_counters(a, 1).verdicts[VERDICT_OWNER_CONFLICT], 1);
	/* It is told, and the machine knows. */
	assert_int_equal(host_last(a, ORDER_REPORT)->report.peer.octet[3], 9);
}

/* --- authentication -------------------------------------------------------------------------- */

static void check_missing_by_mode(enum router_protocol p, enum router_auth auth)
{
	static const enum verdict expected[ROUTER_AUTH_MODE_COUNT] = {
		[ROUTER_AUTH_RECEIVE_ONLY] = VERDICT_ACCEPTED,
		[ROUTER_AUTH_PERMISSIVE] = VERDICT_ACCEPTED,
		[ROUTER_AUTH_ENFORCE] = VERDICT_AUTH_MISSING,
	};
	struct vrrp v = vrrp_frame(p == ROUTER_VRRP2 ? 2 : 3, 7, 200);

	for (unsigned int mode = 0; mode < ROUTER_AUTH_MODE_COUNT; mode++) {
		host_set(a, with_key(record_of(1, p, 7, 100), auth, mode));
		assert_int_equal(hear(&v), expected[mode]);
	}
}

static void test_missing_in_each_mode(void **state)
{
	struct hsrp h = { .version = 2,
			  .state = HSRP_STATE_SPEAK,
			  .family = 4,
			  .group = 8,
			  .priority = 10,
			  .hello_ms = 3000,
			  .hold_ms = 10000,
			  .text = HSRP_TEXT_DEFAULT };

	check_missing_by_mode(ROUTER_VRRP3, ROUTER_AUTH_HMAC);
	check_missing_by_mode(ROUTER_VRRP2, ROUTER_AUTH_HMAC);
	check_missing_by_mode(ROUTER_VRRP2, ROUTER_AUTH_MD5);
	for (unsigned int mode = 0; mode < ROUTER_AUTH_MODE_COUNT; mode++) {
		host_set(a, with_key(record_of(2, ROUTER_HSRP2, 8, 100), ROUTER_AUTH_MD5, mode));
		assert_int_equal(hear_hsrp(a, 9, &h, NULL), mode == ROUTER_AUTH_ENFORCE
								    ? VERDICT_AUTH_MISSING
								    : VERDICT_ACCEPTED);
	}
}

static void test_text(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP2, 7, 100);
	struct vrrp v = vrrp_frame(2, 7, 0);

	host_set(a, with_key(r, ROUTER_AUTH_TEXT, ROUTER_AUTH_ENFORCE));
	v.auth = VRRP_AUTH_TEXT;
	memcpy(v.text, "secreT", 6);
	assert_refused(hear(&v), VERDICT_AUTH_FAILED);
	memcpy(v.text, "secret!", 7);
	assert_refused(hear(&v), VERDICT_AUTH_FAILED);
	memset(v.text, 0, sizeof(v.text));
	memcpy(v.text, "secret", 6);
	assert_int_equal(hear(&v), VERDICT_ACCEPTED);
	v.auth = VRRP_AUTH_NONE;
	assert_refused(hear(&v), VERDICT_AUTH_MISSING);
	v.auth = VRRP_AUTH_AH;
	assert_refused(hear(&v), VERDICT_AUTH_TYPE);
}

static void sign_md5(struct vrrp *v, const char *key)
{
	struct vrrp_path path = { .family = 4, .from = { 10, 0, 1, 9 }, .to = VRRP_GROUP_IPV4 };

	v->auth = VRRP_AUTH_MD5;
	vrrp_md5_sign(v, &path, key);
}

static void test_cisco_md5(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP2, 7, 100);
	struct vrrp v = vrrp_frame(2, 7, 0);

	host_set(a, with_key(r, ROUTER_AUTH_MD5, ROUTER_AUTH_PERMISSIVE));
	v.md5_key_id = 1;
	sign_md5(&v, "wrong");
	assert_refused(hear(&v), VERDICT_AUTH_FAILED);
	sign_md5(&v, "secret");
	v.md5_key_id = 2;
	assert_refused(hear(&v), VERDICT_AUTH_KEY);
	v.md5_key_id = 1;
	assert_int_equal(hear(&v), VERDICT_ACCEPTED);
	elect_core_remove(a->core, 1, rig_now);
	host_set(a, record_of(1, ROUTER_VRRP2, 7, 100));
	assert_refused(hear(&v), VERDICT_AUTH_TYPE);
}

static void test_hsrp_text_and_md5(void **state)
{
	struct hsrp h = { .version = 1,
			  .state = HSRP_STATE_ACTIVE,
			  .family = 4,
			  .group = 7,
			  .priority = 250,
			  .hello_ms = 3000,
			  .hold_ms = 10000,
			  .text = "other" };

	host_set(a, record_of(1, ROUTER_HSRP1, 7, 100));
	assert_refused(hear_hsrp(a, 9, &h, NULL), VERDICT_AUTH_FAILED);
	memset(h.text, 0, sizeof(h.text));
	memcpy(h.text, HSRP_TEXT_DEFAULT, 5);
	assert_int_equal(hear_hsrp(a, 9, &h, NULL), VERDICT_ACCEPTED);
	h.auth = HSRP_AUTH_MD5;
	memcpy(h.md5_from, (uint8_t[]){ 10, 0, 1, 9 }, 4);
	h.md5_key_id = 1;
	memset(h.text, 0, sizeof(h.text));
	assert_refused(hear_hsrp(a, 9, &h, "secret"), VERDICT_AUTH_TYPE);
	host_set(a, with_key(record_of(1, ROUTER_HSRP1, 7, 100), ROUTER_AUTH_MD5,
			     ROUTER_AUTH_ENFORCE));
	assert_refused(hear_hsrp(a, 9, &h, "wrong"), VERDICT_AUTH_FAILED);
	assert_int_equal(hear_hsrp(a, 9, &h, "secret"), VERDICT_ACCEPTED);
	h.md5_key_id = 3;
	assert_refused(hear_hsrp(a, 9, &h, "secret"), VERDICT_AUTH_KEY);
	/* Any text but the default is somebody's authentication. */
	h.auth = HSRP_AUTH_TEXT;
	memcpy(h.text, "another", 7);
	assert_refused(hear_hsrp(a, 9, &h, NULL), VERDICT_AUTH_TYPE);
}

static void test_hmac_forged_and_replayed(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 100);
	struct vrrp v = vrrp_frame(3, 7, 0);

	host_set(a, with_key(r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE));
	assert_refused(hear_vrrp(a, 9, &v, "wrong", 1, sequence(0, 1)), VERDICT_AUTH_FAILED);
	assert_refused(hear_vrrp(a, 9, &v, "secret", 2, sequence(0, 1)), VERDICT_AUTH_KEY);
	assert_int_equal(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 2)), VERDICT_ACCEPTED);
	assert_refused(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 2)), VERDICT_REPLAYED);
	assert_refused(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 1)), VERDICT_REPLAYED);
	assert_int_equal(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 3)), VERDICT_ACCEPTED);
	/* A forged one with a great number moves no mark. */
	assert_refused(hear_vrrp(a, 9, &v, "wrong", 1, sequence(3, 0)), VERDICT_AUTH_FAILED);
	assert_int_equal(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 4)), VERDICT_ACCEPTED);
	/* Every peer counts for itself. */
	assert_int_equal(hear_vrrp(a, 8, &v, "secret", 1, sequence(0, 2)), VERDICT_ACCEPTED);
	/* What was recorded before is too old, whoever has forgotten it. */
	assert_refused(hear_vrrp(a, 5, &v, "secret", 1, sequence(-6, 0)), VERDICT_CLOCK);
	assert_refused(hear_vrrp(a, 5, &v, "secret", 1, sequence(6, 0)), VERDICT_CLOCK);
	assert_int_equal(hear_vrrp(a, 5, &v, "secret", 1, sequence(-4, 0)), VERDICT_ACCEPTED);
	/* A trailer where none is expected. */
	elect_core_remove(a->core, 1, rig_now);
	host_set(a, record_of(1, ROUTER_VRRP3, 7, 100));
	assert_refused(hear_vrrp(a, 9, &v, "secret", 1, sequence(0, 9)), VERDICT_AUTH_TYPE);
}

/* More senders than are remembered: the newest stay guarded. */
static void test_more_peers_than_room(void **state)
{
	struct vrrp v = vrrp_frame(3, 7, 50);

	host_set(a, with_key(record_of(1, ROUTER_VRRP3, 7, 100), ROUTER_AUTH_HMAC,
			     ROUTER_AUTH_ENFORCE));
	for (unsigned int from = 100; from < 140; from++) {
		rig_now = mono_after(rig_now, SPAN_MS(1));
		assert_int_equal(hear_vrrp(a, from, &v, "secret", 1, sequence(0, 5)),
				 VERDICT_ACCEPTED);
		assert_int_equal(hear_vrrp(a, from, &v, "secret", 1, sequence(0, 5)),
				 VERDICT_REPLAYED);
	}
}

static void test_carp_key_and_counter(void **state)
{
	struct carp c = { .group = 7, .base = 1, .skew = 0, .counter = 1000 };

	host_set(a, record_of(1, ROUTER_CARP, 7, 100));
	assert_refused(hear_carp(a, 9, &c, "hate"), VERDICT_AUTH_FAILED);
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	assert_refused(hear_carp(a, 9, &c, "love"), VERDICT_REPLAYED);
	c.counter = 1002;
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	c.counter = 1001;
	assert_refused(hear_carp(a, 9, &c, "love"), VERDICT_REPLAYED);
	/* It was started again, and begins below. */
	c.counter = 5;
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	c.counter = 1001;
	assert_refused(hear_carp(a, 9, &c, "love"), VERDICT_REPLAYED);
	c.counter = 6;
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	/* Another one's counter is its own. */
	assert_int_equal(hear_carp(a, 8, &c, "love"), VERDICT_ACCEPTED);
	/* Another address list is another key. */
	c.group = 7;
	c.counter = 7;
	c.skew = 255;
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
}

/* The slowest of its base has not left; who says both at their most has. */
static void test_carp_bow_out(void **state)
{
	struct carp c = { .group = 7, .base = 1, .skew = 255, .counter = 1 };
	struct router *r = record_of(1, ROUTER_CARP, 7, 1);

	r->preempt = false;
	host_set(a, r);
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->active.priority, 1);
	c.base = 255;
	c.counter = 2;
	assert_int_equal(hear_carp(a, 9, &c, "love"), VERDICT_ACCEPTED);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->active.priority, 0);
}

/* --- keys change ----------------------------------------------------------------------------- */

static uint64_t transitions(void)
{
	return host_counters(a, 1).transitions + host_counters(b, 1).transitions;
}

static void roll(struct host *h, struct router *r, enum router_auth auth,
		 enum router_auth_mode mode, const char *first, const char *second)
{
	r->priority = h == a ? 200 : 100;
	r->auth = auth;
	r->auth_mode = mode;
	r->key_count = 0;
	if (first)
		record_add_key(r, (uint8_t)first[0], first);
	if (second)
		record_add_key(r, (uint8_t)second[0], second);
	host_set(h, r);
	lan_run(both, 2, SPAN_S(10));
}

/* From no key to one, and from that to another, one host after the other, at work. */
static void check_roll_over(enum router_protocol p, enum router_auth auth)
{
	struct router *r = record_of(1, p, 7, 200);
	enum router_auth none = router_is_hsrp(p) ? ROUTER_AUTH_TEXT : ROUTER_AUTH_NONE;
	const char *none_key = router_is_hsrp(p) ? "cisco" : NULL;
	uint64_t before;

	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, none, ROUTER_AUTH_ENFORCE, none_key, NULL);
	lan_run(both, 2, SPAN_S(40));
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	before = transitions();
	for (unsigned int mode = 0; mode < ROUTER_AUTH_MODE_COUNT; mode++)
		for (unsigned int i = 2; i-- > 0;)
			roll(both[i], r, auth, mode, "A secret", NULL);
	/* Both know the new one; then it is sent; then the old one is forgotten. */
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, auth, ROUTER_AUTH_ENFORCE, "A secret", "B secret");
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, auth, ROUTER_AUTH_ENFORCE, "B secret", "A secret");
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, auth, ROUTER_AUTH_ENFORCE, "B secret", NULL);
	assert_int_equal(transitions(), before);
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	for (unsigned int i = 0; i < 2; i++) {
		struct elect_counters c = host_counters(both[i], 1);

		assert_int_equal(c.received, c.verdicts[VERDICT_ACCEPTED]);
	}
}

static void test_roll_over_of_hmac(void **state)
{
	check_roll_over(ROUTER_VRRP3, ROUTER_AUTH_HMAC);
}

static void test_roll_over_of_cisco_md5(void **state)
{
	check_roll_over(ROUTER_VRRP2, ROUTER_AUTH_MD5);
}

static void test_roll_over_of_hsrp(void **state)
{
	check_roll_over(ROUTER_HSRP2, ROUTER_AUTH_MD5);
}

static void test_roll_over_of_carp(void **state)
{
	struct router *r = record_of(1, ROUTER_CARP, 7, 200);
	uint64_t before;

	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "A", NULL);
	lan_run(both, 2, SPAN_S(20));
	before = transitions();
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "A", "B");
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "B", "A");
	for (unsigned int i = 0; i < 2; i++)
		roll(both[i], r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "B", NULL);
	assert_int_equal(transitions(), before);
}

/* Wrong keys: each is alone, and neither is moved by the other. */
static void test_a_wrong_key_elects_nobody(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 200);

	roll(a, r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "A secret", NULL);
	r->priority = 100;
	roll(b, r, ROUTER_AUTH_HMAC, ROUTER_AUTH_ENFORCE, "AA secret", NULL);
	assert_int_equal(host_counters(b, 1).verdicts[VERDICT_ACCEPTED], 0);
	assert_true(host_counters(b, 1).verdicts[VERDICT_AUTH_FAILED] > 5);
}

/* --- the form of the checksum ---------------------------------------------------------------- */

static void checksums(enum router_checksum of_a, enum router_checksum of_b)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 7, 200);

	r->checksum = of_a;
	host_set(a, r);
	r = record_of(1, ROUTER_VRRP3, 7, 100);
	r->checksum = of_b;
	host_set(b, r);
	lan_run(both, 2, SPAN_S(10));
}

static const char *checksum_of(struct host *h)
{
	return elect_router_checksum(elect_core_find(h->core, 1));
}

static void test_the_peers_checksum_is_learned(void **state)
{
	checksums(ROUTER_CHECKSUM_PLAIN, ROUTER_CHECKSUM_AUTO);
	assert_int_equal(host_state(b, 1), FHRP_BACKUP);
	assert_string_equal(checksum_of(a), "plain");
	assert_string_equal(checksum_of(b), "plain");
	assert_int_equal(host_reports(b, FHRP_REASON_CHECKSUM_LEARNED), 1);
	assert_int_equal(host_reports(a, FHRP_REASON_CHECKSUM_LEARNED), 0);
	/* And used when it is b's turn. */
	host_unplug(a, 1);
	lan_run(both, 2, SPAN_S(5));
	assert_int_equal(host_state(b, 1), FHRP_ACTIVE);
	struct reader r = reader_of(host_last_advert(b), 14 + 20 + 12);
	struct advert advert;
	assert_int_equal(advert_decode(&r, 0, &advert, NULL, NULL), VERDICT_ACCEPTED);
	assert_int_equal(advert.vrrp.dialect, VRRP_DIALECT_PLAIN);
}

/* Nothing but the form changes in what an active router says. */
static void test_an_active_router_learns_it_too(void **state)
{
	struct vrrp v = vrrp_frame(3, 7, 50);
	struct advert advert;
	struct reader r;

	host_set(a, record_of(1, ROUTER_VRRP3, 7, 255));
	lan_run(both, 1, SPAN_S(3));
	v.dialect = VRRP_DIALECT_PLAIN;
	assert_int_equal(hear(&v), VERDICT_ACCEPTED);
	r = reader_of(host_last_advert(a), 14 + 20 + 12);
	assert_int_equal(advert_decode(&r, 0, &advert, NULL, NULL), VERDICT_ACCEPTED);
	assert_int_equal(advert.vrrp.dialect, VRRP_DIALECT_PLAIN);
	assert_int_equal(hear(&v), VERDICT_ACCEPTED);
	assert_int_equal(host_reports(a, FHRP_REASON_CHECKSUM_LEARNED), 1);
}

static void test_a_pinned_checksum_stays(void **state)
{
	checksums(ROUTER_CHECKSUM_PLAIN, ROUTER_CHECKSUM_PSEUDO);
	assert_string_equal(checksum_of(b), "pseudo-header");
	assert_int_equal(host_state(b, 1), FHRP_BACKUP);
	assert_int_equal(host_reports(b, FHRP_REASON_CHECKSUM_LEARNED), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_own_frame_reflected),
		T(test_disabled_group),
		T(test_other_protocol),
		T(test_unicast_from_a_peer_only),
		T(test_codec_refusals_are_the_groups),
		T(test_interval_of_vrrp2_must_be_ours),
		T(test_a_copy_in_vrrp2_is_superseded),
		T(test_two_owners_are_noted),
		T(test_missing_in_each_mode),
		T(test_text),
		T(test_cisco_md5),
		T(test_hsrp_text_and_md5),
		T(test_hmac_forged_and_replayed),
		T(test_more_peers_than_room),
		T(test_carp_key_and_counter),
		T(test_carp_bow_out),
		T(test_roll_over_of_hmac),
		T(test_roll_over_of_cisco_md5),
		T(test_roll_over_of_hsrp),
		T(test_roll_over_of_carp),
		T(test_a_wrong_key_elects_nobody),
		T(test_the_peers_checksum_is_learned),
		T(test_an_active_router_learns_it_too),
		T(test_a_pinned_checksum_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
