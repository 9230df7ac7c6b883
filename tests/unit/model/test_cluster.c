/* Clusters: names lead back, every rule refuses what breaks it with its code and the field's name,
 * blocks are whole copies, and NLB's addresses are as Microsoft writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_case.h"
#include "model/record.h"

static struct cluster_case k;

/* --- names and rules as text ----------------------------------------------------------------- */

#define NAMES(type, count, first, last)                                                            \
	do {                                                                                       \
		for (int i = 0; i < (count); i++)                                                  \
			assert_int_equal(type##_from_name(type##_name(i)), i);                     \
		assert_string_equal(type##_name(0), first);                                        \
		assert_string_equal(type##_name((count)-1), last);                                 \
		assert_true(type##_from_name("") < 0 && type##_from_name("Other") < 0);            \
	} while (0)

static void names(void **state)
{
	NAMES(cluster_mode, CLUSTER_MODE_COUNT, "director", "carry");
	NAMES(cluster_table, CLUSTER_TABLE_COUNT, "rendezvous", "maglev");
	NAMES(cluster_affinity, CLUSTER_AFFINITY_COUNT, "none", "network");
	NAMES(cluster_action, CLUSTER_ACTION_COUNT, "balanced", "dropped");
	NAMES(member_state, MEMBER_STATE_COUNT, "active", "failed");
	NAMES(cluster_check, CLUSTER_CHECK_COUNT, "none", "https");
	assert_string_equal(change_kind_name(CHANGE_CLUSTER), "cluster");
}

static void rule_texts(void **state)
{
	static const struct {
		const char *text;
		struct cluster_rule rule;
		const char *again; /* NULL = the same */
	} good[] = {
		{ "tcp/80", { 6, CLUSTER_DROPPED, 80, 80 }, NULL },
		{ "udp/5000-6000", { 17, CLUSTER_DROPPED, 5000, 6000 }, NULL },
		{ "icmp", { 1, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "icmpv6", { 58, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "tcp", { 6, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "any", { 0, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "47", { 47, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "255", { 255, CLUSTER_DROPPED, 0, 65535 }, NULL },
		{ "6/22", { 6, CLUSTER_DROPPED, 22, 22 }, "tcp/22" },
		{ "132/0-0", { 132, CLUSTER_DROPPED, 0, 0 }, "sctp/0" },
		{ "tcp/0-65535", { 6, CLUSTER_DROPPED, 0, 65535 }, "tcp" },
		{ "tcp/65535", { 6, CLUSTER_DROPPED, 65535, 65535 }, NULL },
	};
	static const char *const bad[] = {
		"",	     "/",      "tcp/",	  "tcp/x",	"tcp/80-", "tcp/-80",	"tcp/9-8",
		"any/80",    "icmp/8", "0",	  "256",	"06",	   "tcp/080",	"tcp/8a",
		"tcp/65536", "TCP/80", "tcp 80",  "47/1",	"tcp/80 ", "tcp/1-2-3", "+6",
		"tcp,udp",   "t",      "tcpx/80", "tcp/1-65536"
	};
	char buf[CLUSTER_RULE_TEXT_MAX];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct cluster_rule r = { .action = CLUSTER_DROPPED };

		assert_int_equal(cluster_rule_parse(good[i].text, &r), 0);
		assert_memory_equal(&r, &good[i].rule, sizeof(r));
		assert_string_equal(cluster_rule_format(&r, buf),
				    good[i].again ? good[i].again : good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cluster_rule r = { 1, 2, 3, 4 };

		if (cluster_rule_parse(bad[i], &r) == 0)
			fail_msg("'%s' is a rule", bad[i]);
		assert_true(r.protocol == 1 && r.action == 2 && r.from == 3 && r.to == 4);
	}
}

/* --- what a record must be ------------------------------------------------------------------- */

#define BAD(wanted, part, ...)                                                                     \
	do {                                                                                       \
		struct error error_ = { 0 };                                                       \
                                                                                                   \
		cluster_case_init(&k);                                                             \
		__VA_ARGS__;                                                                       \
		assert_true(cluster_check_record(&k.c, &error_) < 0);                              \
		if (error_.code != ERROR_##wanted || !strstr(error_.message, part))                \
			fail_msg("%s: %s", error_name(error_.code), error_.message);               \
	} while (0)

#define GOOD(...)                                                                                  \
	do {                                                                                       \
		struct error error_ = { 0 };                                                       \
                                                                                                   \
		cluster_case_init(&k);                                                             \
		__VA_ARGS__;                                                                       \
		if (cluster_check_record(&k.c, &error_) < 0)                                       \
			fail_msg("%s", error_.message);                                            \
	} while (0)

static void set_face(uint64_t address)
{
	k.faces[0] = vmac_mac_from_u64(address);
}

static void the_whole(void **state)
{
	GOOD();
	GOOD(k.c.member_count = 0);
	BAD(BAD_NAME, "name", k.c.name[0] = '\0');
	BAD(BAD_NAME, "name", snprintf(k.c.name, sizeof(k.c.name), "a b"));
	BAD(BAD_VALUE, "mode", k.c.mode = CLUSTER_MODE_COUNT);
	BAD(BAD_VALUE, "table", k.c.table = CLUSTER_TABLE_COUNT);
	BAD(BAD_VALUE, "affinity", k.c.affinity = CLUSTER_AFFINITY_COUNT);
	BAD(BAD_VALUE, "check.type", k.c.check = CLUSTER_CHECK_COUNT);
	BAD(BAD_VALUE, "note", k.c.note = "a\nb");
	BAD(LIMIT_REACHED, "faces", k.c.face_count = CLUSTER_FACES_MAX + 1);
	BAD(LIMIT_REACHED, "addresses", k.c.address_count = CLUSTER_ADDRESSES_MAX + 1);
	BAD(LIMIT_REACHED, "rules", k.c.rule_count = CLUSTER_RULES_MAX + 1);
	BAD(LIMIT_REACHED, "members", k.c.member_count = CLUSTER_MEMBERS_MAX + 1);
}

static void carry(void)
{
	k.c.mode = CLUSTER_CARRY;
	k.c.check = CLUSTER_CHECK_NONE;
}

static void faces_and_addresses(void **state)
{
	BAD(MISSING_FIELD, "faces", k.c.face_count = 0);
	BAD(BAD_ADDRESS, "faces[0]", set_face(0));
	BAD(BAD_ADDRESS, "faces[0]", set_face(0xffffffffffff), k.c.mode = CLUSTER_DISTRIBUTED);
	BAD(BAD_ADDRESS, "faces[0]", set_face(0x0180c200000e), k.c.mode = CLUSTER_DISTRIBUTED);
	BAD(GROUP_ADDRESS, "faces[0]", set_face(0x03bf0a000064));
	GOOD(set_face(0x03bf0a000064), k.c.mode = CLUSTER_DISTRIBUTED);
	GOOD(set_face(0x01005e7f0064), carry());
	BAD(BAD_ADDRESS, "faces[1]", cluster_case_face(&k, 0x0a0000000001));
	GOOD(cluster_case_face(&k, 0x0a0000000002));
	BAD(BAD_VALUE, "faces", cluster_case_face(&k, 0x0a0000000002),
	    k.c.mode = CLUSTER_DISTRIBUTED);
	BAD(BAD_VALUE, "faces", cluster_case_face(&k, 0x0a0000000002), carry());
	BAD(MISSING_FIELD, "addresses", k.c.address_count = 0);
	GOOD(k.c.address_count = 0, carry());
	BAD(BAD_ADDRESS, "addresses[0]", k.addresses[0].family = 5);
	BAD(BAD_ADDRESS, "addresses[1]", cluster_case_address(&k, "224.0.0.1"));
	BAD(BAD_ADDRESS, "addresses[1]", cluster_case_address(&k, "::"));
	BAD(BAD_ADDRESS, "addresses[1]", cluster_case_address(&k, "10.0.0.100"));
	GOOD(cluster_case_address(&k, "2001:db8::1"));
}

static void rules(void **state)
{
	GOOD(cluster_case_rule(&k, "tcp/80", CLUSTER_PRIORITY));
	BAD(BAD_VALUE, "rules", cluster_case_rule(&k, "tcp/80", CLUSTER_BALANCED), carry());
	BAD(BAD_VALUE, "rules[0].action", cluster_case_rule(&k, "tcp/80", CLUSTER_ACTION_COUNT));
	BAD(BAD_VALUE, "rules[0]", cluster_case_rule(&k, "tcp/80", 0), k.rules[0].to = 79);
	BAD(BAD_VALUE, "rules[0]", cluster_case_rule(&k, "icmp", 0), k.rules[0].to = 79);
	BAD(BAD_VALUE, "rules[0]", cluster_case_rule(&k, "any", 0), k.rules[0].from = 1);
}

static void members(void **state)
{
	BAD(BAD_VALUE, "members[0].id", k.members[0].id = 0);
	BAD(BAD_VALUE, "members[2].id", k.members[2].id = CLUSTER_MEMBERS_MAX + 1);
	BAD(BAD_VALUE, "members[1].id", k.members[1].id = 1);
	BAD(BAD_VALUE, "members[1].id", k.members[0].id = 5);
	BAD(BAD_VALUE, "members[1].weight", k.members[1].weight = CLUSTER_WEIGHT_MAX + 1);
	GOOD(k.members[1].weight = 0);
	BAD(BAD_VALUE, "members[1].state", k.members[1].state = MEMBER_STATE_COUNT);
	BAD(BAD_VALUE, "members[1].drain", k.members[1].drain_ms = CLUSTER_DRAIN_MAX_MS + 1);
	BAD(BAD_ADDRESS, "members[1].address", k.members[1].address = vmac_mac_from_u64(0));
	BAD(GROUP_ADDRESS, "members[1].address",
	    k.members[1].address = vmac_mac_from_u64(0x01005e000001));
	BAD(BAD_ADDRESS, "members[1].address", k.members[1].address = k.faces[0]);
	BAD(BAD_ADDRESS, "members[2].address", k.members[2].address = k.members[0].address);
	BAD(BAD_VALUE, "nat", k.c.nat = true, carry());
	GOOD(k.c.nat = true);
}

static void health(void **state)
{
	GOOD(k.c.check = CLUSTER_CHECK_TCP, k.c.check_port = 80);
	GOOD(k.c.check = CLUSTER_CHECK_HTTP, k.c.check_port = 80, k.c.check_target = "/ok?a=%20");
	BAD(MISSING_FIELD, "check.port", k.c.check = CLUSTER_CHECK_TCP);
	BAD(MISSING_FIELD, "check.port", k.c.check = CLUSTER_CHECK_HTTP);
	BAD(BAD_VALUE, "check.port", k.c.check_port = 80);
	GOOD(k.c.check = CLUSTER_CHECK_HTTPS, k.c.check_port = 443, k.c.check_target = "/up");
	BAD(MISSING_FIELD, "check.port", k.c.check = CLUSTER_CHECK_HTTPS);
	BAD(BAD_VALUE, "check.path", k.c.check = CLUSTER_CHECK_TCP, k.c.check_port = 80,
	    k.c.check_target = "/");
	BAD(BAD_VALUE, "check.path", k.c.check = CLUSTER_CHECK_HTTP, k.c.check_port = 80,
	    k.c.check_target = "ok");
	BAD(BAD_VALUE, "check.path", k.c.check = CLUSTER_CHECK_HTTP, k.c.check_port = 80,
	    k.c.check_target = "/a b");
	BAD(BAD_VALUE, "check.path", k.c.check = CLUSTER_CHECK_HTTP, k.c.check_port = 80,
	    k.c.check_target = "/\xc3\xa4");
	BAD(BAD_VALUE, "check.path", k.c.check = CLUSTER_CHECK_HTTP, k.c.check_port = 80,
	    memset(k.target, 'x', sizeof(k.target) - 1), k.target[0] = '/',
	    k.c.check_target = k.target);
	BAD(BAD_VALUE, "check.type", carry(), k.c.check = CLUSTER_CHECK_TCP, k.c.check_port = 80);
	BAD(BAD_VALUE, "check.interval", k.c.check_interval_ms = 99);
	BAD(BAD_VALUE, "check.interval", k.c.check_interval_ms = 3600001);
	BAD(BAD_VALUE, "check.timeout", k.c.check_timeout_ms = 99);
	BAD(BAD_VALUE, "check.timeout", k.c.check_timeout_ms = 2001);
	GOOD(k.c.check_timeout_ms = 2000);
	BAD(BAD_VALUE, "check.rise", k.c.rise = 0);
	BAD(BAD_VALUE, "check.fall", k.c.fall = 0);
}

/* --- values ---------------------------------------------------------------------------------- */

static void members_are_found(void **state)
{
	cluster_case_init(&k);
	k.c.member_count = 0;
	assert_int_equal(cluster_member_free_id(&k.c), 1);
	assert_null(cluster_member_by_id(&k.c, 1));
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		assert_int_equal(cluster_member_free_id(&k.c), id);
		cluster_case_member(&k, id, UINT64_C(0x120000000000) + id);
	}
	assert_int_equal(cluster_member_free_id(&k.c), 0);
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		assert_ptr_equal(cluster_member_by_id(&k.c, id), &k.members[id - 1]);
		assert_ptr_equal(cluster_member_by_address(&k.c, k.members[id - 1].address),
				 &k.members[id - 1]);
	}
	assert_null(cluster_member_by_id(&k.c, 0));
	assert_null(cluster_member_by_id(&k.c, CLUSTER_MEMBERS_MAX + 1));
	assert_null(cluster_member_by_address(&k.c, k.faces[0]));
	/* One in the middle leaves: its id is the first that is free. */
	memmove(&k.members[499], &k.members[500], (1024 - 500) * sizeof(k.members[0]));
	k.c.member_count--;
	assert_int_equal(cluster_member_free_id(&k.c), 500);
	assert_null(cluster_member_by_id(&k.c, 500));
	assert_int_equal(cluster_member_by_id(&k.c, 501)->id, 501);
}

/* What is changed in a copy makes it another, but for what is each reader's own. */
static void equality(void **state)
{
	static struct cluster_case b;

#define DIFFERS(...)                                                                               \
	do {                                                                                       \
		cluster_case_init(&k);                                                             \
		cluster_case_rule(&k, "tcp/80", 0);                                                \
		cluster_case_init(&b);                                                             \
		cluster_case_rule(&b, "tcp/80", 0);                                                \
		assert_true(cluster_equal(&k.c, &b.c));                                            \
		__VA_ARGS__;                                                                       \
		assert_false(cluster_equal(&k.c, &b.c));                                           \
	} while (0)

	DIFFERS(b.c.name[0]++);
	DIFFERS(b.c.mode++);
	DIFFERS(b.c.table++);
	DIFFERS(b.c.affinity++);
	DIFFERS(b.c.nat = true);
	DIFFERS(b.c.key[15]++);
	DIFFERS(b.faces[0].octet[5]++);
	DIFFERS(cluster_case_face(&b, 0x0a0000000002));
	DIFFERS(b.addresses[0].octet[3]++);
	DIFFERS(cluster_case_address(&b, "10.0.0.101"));
	DIFFERS(b.rules[0].protocol++);
	DIFFERS(b.rules[0].action++);
	DIFFERS(b.rules[0].from--);
	DIFFERS(b.rules[0].to++);
	DIFFERS(b.c.rule_count = 0);
	DIFFERS(b.members[1].id = 9);
	DIFFERS(b.members[1].address.octet[5] = 99);
	DIFFERS(b.members[1].weight++);
	DIFFERS(b.members[1].priority++);
	DIFFERS(b.members[1].state++);
	DIFFERS(b.members[1].drain_ms++);
	DIFFERS(b.c.member_count--);
	DIFFERS(b.c.check = CLUSTER_CHECK_NONE);
	DIFFERS(b.c.check_port++);
	DIFFERS(b.c.check_interval_ms++);
	DIFFERS(b.c.check_timeout_ms++);
	DIFFERS(b.c.rise++);
	DIFFERS(b.c.fall++);
	DIFFERS(b.c.check_target = "/");
	DIFFERS(b.c.note = "n");

	cluster_case_init(&k);
	cluster_case_init(&b);
	b.c.id = b.c.segment = 7;
	b.c.generation = 9;
	b.c.created.ms = b.c.changed.ms = 5;
	assert_true(cluster_equal(&k.c, &b.c));
}

static size_t held;

static void *plain_alloc(void *ctx, size_t size)
{
	held++;
	return malloc(size);
}

static void plain_free(void *ctx, void *p)
{
	held -= p != NULL;
	free(p);
}

static void *no_alloc(void *ctx, size_t size)
{
	return NULL;
}

static void blocks(void **state)
{
	static const struct mem mem = { plain_alloc, plain_free, NULL };
	static const struct mem none = { no_alloc, plain_free, NULL };
	struct error error;

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		const struct cluster *c;
		char before[STATE_TEXT_MAX], after[STATE_TEXT_MAX];

		cluster_case_random(&k, seed);
		if (cluster_check_record(&k.c, &error) < 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
		c = cluster_record_new(&k.c, &mem);
		change_state_text(CHANGE_CLUSTER, &k.c, before);
		assert_ptr_equal(cluster_hold(c), c);
		assert_true(cluster_equal(c, &k.c));
		assert_int_equal(c->generation, k.c.generation);
		/* Nothing of it is the source's. */
		memset(k.faces, 0xff, sizeof(k.faces));
		memset(k.addresses, 0xff, sizeof(k.addresses));
		memset(k.rules, 0xff, sizeof(k.rules));
		memset(k.members, 0xff, sizeof(k.members));
		assert_string_equal(before, change_state_text(CHANGE_CLUSTER, c, after));
		cluster_release(c);
		assert_int_equal(held, 1);
		assert_int_equal(cluster_check_record(c, &error), 0);
		cluster_release(c);
		assert_int_equal(held, 0);
	}
	cluster_case_init(&k);
	assert_null(cluster_record_new(&k.c, &none));
	assert_null(cluster_hold(NULL));
	cluster_release(NULL);
}

/* --- history --------------------------------------------------------------------------------- */

static void history_texts(void **state)
{
	char text[STATE_TEXT_MAX], longest[CLUSTER_TARGET_MAX + 1] = "/";

	cluster_case_init(&k);
	memset(k.c.key, 0x5e, sizeof(k.c.key));
	cluster_case_rule(&k, "tcp/80", CLUSTER_PRIORITY);
	k.members[1].state = MEMBER_DRAINING;
	assert_string_equal(change_state_text(CHANGE_CLUSTER, &k.c, text),
			    "director faces=0a:00:00:00:00:01 addresses=10.0.0.100 "
			    "table=rendezvous affinity=none rules=tcp/80:priority check=arp "
			    "interval=2s generation=1 members=3 weight=300 "
			    "draining=12:00:00:00:00:02");
	assert_null(strstr(text, "5e5e"));
	assert_string_equal(change_state_text(CHANGE_CLUSTER, NULL, text), "");

	/* The longest there can be fits. */
	for (unsigned int i = 1; i < CLUSTER_FACES_MAX; i++)
		cluster_case_face(&k, UINT64_C(0x0a0000000001) + i);
	k.c.address_count = k.c.rule_count = k.c.member_count = 0;
	for (unsigned int i = 0; i < CLUSTER_ADDRESSES_MAX; i++) {
		cluster_case_address(&k, "2001:db8:1111:2222:3333:4444:5555:6600");
		k.addresses[i].octet[15] = (uint8_t)(i + 1);
	}
	for (unsigned int i = 0; i < CLUSTER_RULES_MAX; i++)
		cluster_case_rule(&k, "sctp/10000-20000", CLUSTER_PRIORITY);
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		cluster_case_member(&k, id, UINT64_C(0x120000000000) + id);
		k.members[id - 1].state = id % 2 ? MEMBER_FAILED : MEMBER_DRAINING;
		k.members[id - 1].weight = CLUSTER_WEIGHT_MAX;
	}
	memset(longest + 1, '"', CLUSTER_TARGET_MAX - 1);
	k.c.check = CLUSTER_CHECK_HTTP;
	k.c.check_port = 65535;
	k.c.check_target = longest;
	k.c.check_interval_ms = 3599999;
	k.c.nat = true;
	k.c.generation = UINT64_MAX;
	assert_int_equal(cluster_check_record(&k.c, &(struct error){ 0 }), 0);
	change_state_text(CHANGE_CLUSTER, &k.c, text);
	assert_true(strlen(text) > 1500);
	assert_non_null(strstr(text, "members=1024 weight=1024000 draining=12:00:00:00:00:02,"
				     "12:00:00:00:00:04,12:00:00:00:00:06,12:00:00:00:00:08,+508 "
				     "failed="));
}

/* --- NLB ------------------------------------------------------------------------------------- */

static void nlb(void **state)
{
	enum nlb_form form = NLB_IGMP;
	vmac_mac_t m;
	struct ip ip;

	ip_parse("192.168.4.21", &ip);
	m = nlb_address(NLB_UNICAST, &ip);
	assert_int_equal(vmac_mac_u64(m), 0x02bfc0a80415);
	assert_true(nlb_is_cluster(m, &form) && form == NLB_UNICAST);
	assert_int_equal(vmac_mac_u64(nlb_masked(m, 1)), 0x0201c0a80415);
	assert_int_equal(vmac_mac_u64(nlb_masked(m, 32)), 0x0220c0a80415);
	assert_false(nlb_is_cluster(nlb_masked(m, 32), &form));
	m = nlb_address(NLB_MULTICAST, &ip);
	assert_int_equal(vmac_mac_u64(m), 0x03bfc0a80415);
	assert_true(nlb_is_cluster(m, &form) && form == NLB_MULTICAST);
	m = nlb_address(NLB_IGMP, &ip);
	assert_int_equal(vmac_mac_u64(m), 0x01005e7f0415);
	assert_true(nlb_is_cluster(m, &form) && form == NLB_IGMP);
	assert_false(nlb_is_cluster(vmac_mac_from_u64(0x01005e7e0415), &form));
	assert_false(nlb_is_cluster(vmac_mac_from_u64(0x0a0000000001), &form));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	 cmocka_unit_test(rule_texts),
		cmocka_unit_test(the_whole),	 cmocka_unit_test(faces_and_addresses),
		cmocka_unit_test(rules),	 cmocka_unit_test(members),
		cmocka_unit_test(health),	 cmocka_unit_test(members_are_found),
		cmocka_unit_test(equality),	 cmocka_unit_test(blocks),
		cmocka_unit_test(history_texts), cmocka_unit_test(nlb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
