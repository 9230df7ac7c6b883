/* Texts and numbers of the rows, both ways; the filter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "store/sqlite.h"

static void test_status(void **state)
{
	for (int origin = 0; origin < VMAC_ORIGIN_COUNT; origin++)
		for (int kind = 0; kind < VMAC_KIND_COUNT; kind++)
			for (int s = 0; s < VMAC_STATE_COUNT; s++) {
				struct vmac v = { .origin = (uint8_t)origin,
						  .kind = (uint8_t)kind,
						  .state = (uint8_t)s },
					    w = { 0 };

				assert_int_equal(row_status_parse(row_status(&v), &w), 0);
				assert_int_equal(w.origin, origin);
				assert_int_equal(w.kind, kind);
				assert_int_equal(w.state, s);
			}
	for (int64_t bad = -1; bad < 2000; bad++) {
		struct vmac v = { 0 };

		if (row_status_parse(bad, &v) == 0)
			assert_int_equal(row_status(&v), bad);
	}
	assert_int_equal(row_status_parse(5, &(struct vmac){ 0 }), -EINVAL);
	assert_int_equal(row_status_parse(30, &(struct vmac){ 0 }), -EINVAL);
	assert_int_equal(row_status_parse(400, &(struct vmac){ 0 }), -EINVAL);
	assert_int_equal(row_status_parse(INT64_MIN, &(struct vmac){ 0 }), -EINVAL);
}

static void expect_more(const struct vmac *v, const char *text)
{
	char buf[ROW_MORE_MAX];
	struct row_texts texts;
	struct vmac w = { .created = v->created };

	assert_int_equal(row_more_format(v, buf), strlen(text));
	assert_string_equal(buf, text);
	assert_int_equal(row_more_parse(buf, strlen(buf), &texts, &w), 0);
	assert_int_equal(w.changed.ms, v->changed.ms);
	assert_int_equal(w.ttl_ms, v->ttl_ms);
	assert_int_equal(w.until.ms, v->until.ms);
	assert_string_equal(w.tenant, v->tenant);
	assert_string_equal(w.note, v->note);
	assert_int_equal(w.ip_count, v->ip_count);
	for (unsigned int i = 0; i < v->ip_count; i++)
		assert_memory_equal(&w.ips[i], &v->ips[i], sizeof(struct ip));
}

static void test_more(void **state)
{
	struct vmac v = {
		.created.ms = 5, .changed.ms = 5, .until = WALL_NEVER, .tenant = "", .note = ""
	};
	struct ip ips[VMAC_IPS_MAX];

	expect_more(&v, "");
	v.changed.ms = INT64_MAX;
	v.until.ms = 0;
	v.ttl_ms = -1;
	v.tenant = "a=b";
	v.note = "two words, \"quotes\" and =";
	expect_more(&v, "changed=9223372036854775807\nttl_ms=-1\nuntil=0\ntenant=a=b\n"
			"note=two words, \"quotes\" and =");
	for (unsigned int i = 0; i < VMAC_IPS_MAX; i++)
		assert_int_equal(ip_parse(i % 2 ? "192.0.2.1" : "2001:db8::1", &ips[i]), 0);
	v = (struct vmac){
		.until = WALL_NEVER, .tenant = "", .note = "", .ips = ips, .ip_count = 3
	};
	expect_more(&v, "ip=2001:db8::1\nip=192.0.2.1\nip=2001:db8::1");
}

static void test_the_longest_more(void **state)
{
	char tenant[OWNER_MAX_LEN + 1], note[NOTE_MAX_LEN + 1], buf[ROW_MORE_MAX];
	struct ip ips[VMAC_IPS_MAX];
	struct row_texts texts;
	struct vmac v = { .changed.ms = INT64_MIN + 1,
			  .until.ms = INT64_MIN + 1,
			  .ttl_ms = INT64_MIN + 1,
			  .tenant = tenant,
			  .note = note,
			  .ips = ips,
			  .ip_count = VMAC_IPS_MAX };
	struct vmac w = { 0 };
	size_t len;

	memset(tenant, 't', sizeof(tenant) - 1);
	memset(note, 'n', sizeof(note) - 1);
	tenant[OWNER_MAX_LEN] = note[NOTE_MAX_LEN] = '\0';
	for (unsigned int i = 0; i < VMAC_IPS_MAX; i++)
		assert_int_equal(ip_parse("2001:db8:1234:5678:9abc:def0:1234:5678", &ips[i]), 0);
	len = row_more_format(&v, buf);
	assert_int_equal(row_more_parse(buf, len, &texts, &w), 0);
	assert_string_equal(w.note, note);
	assert_int_equal(w.changed.ms, INT64_MIN + 1);
	assert_int_equal(w.ip_count, VMAC_IPS_MAX);
}

static void test_impossible_more(void **state)
{
	static const char *const bad[] = {
		"x",
		"=",
		"x=1",
		"changed=",
		"changed=1x",
		"\n",
		"tenant=",
		"tenant=a\n",
		"ip=",
		"ip=1.2.3",
		"until=-",
		"until= 1",
		"note",
		"note=a\n\nip=::",
		"changed=9223372036854775808",
		"ttl_ms=99999999999999999999999",
		"ip=::\nip=::\nip=::\nip=::\nip=::\nip=::\nip=::\nip=::\nip=::",
	};
	char longest[ROW_MORE_MAX + 1];
	struct row_texts texts;
	struct vmac v = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (row_more_parse(bad[i], strlen(bad[i]), &texts, &v) == 0)
			fail_msg("\"%s\" was read", bad[i]);
	assert_int_equal(row_more_parse("note=a\0b", 8, &texts, &v), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "note=", 5);
	assert_int_equal(row_more_parse(longest, sizeof(longest), &texts, &v), -EINVAL);
	assert_int_equal(row_more_parse(longest, 5 + NOTE_MAX_LEN + 1, &texts, &v), -EINVAL);
	assert_int_equal(row_more_parse(longest, 5 + NOTE_MAX_LEN, &texts, &v), 0);
}

static void test_ranges(void **state)
{
	struct vmac_mac_range list[POOL_RANGES_MAX], back[POOL_RANGES_MAX];
	char text[ROW_RANGES_MAX];
	unsigned int count;

	for (unsigned int n = 0; n <= POOL_RANGES_MAX; n++) {
		for (unsigned int i = 0; i < n; i++)
			list[i] = (struct vmac_mac_range){
				vmac_mac_from_u64(0x2a0000000000 + i * 1000),
				vmac_mac_from_u64(0x2a0000000000 + i * 1000 + i),
			};
		row_ranges_format(list, n, text);
		assert_int_equal(row_ranges_parse(text, back, &count), 0);
		assert_int_equal(count, n);
		assert_memory_equal(list, back, n * sizeof(list[0]));
	}
	row_ranges_format(list, 2, text);
	assert_string_equal(text, "2a:00:00:00:00:00,2a:00:00:00:03:e8..2a:00:00:00:03:e9");
	assert_int_equal(row_ranges_parse(",", back, &count), -EINVAL);
	assert_int_equal(row_ranges_parse("2a:00:00:00:00:00,", back, &count), -EINVAL);
	assert_int_equal(row_ranges_parse("2a:00:00:00:00:00;", back, &count), -EINVAL);
	memset(text, ',', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(row_ranges_parse(text, back, &count), -EINVAL);
}

/* Never a false no; a false yes seldom, as the header says. */
static void test_filter(void **state)
{
	static struct filter f;
	unsigned int wrong = 0;
	char text[32];

	for (unsigned int i = 0; i < HISTORY_BLOCK; i++) {
		snprintf(text, sizeof(text), "2a:00:00:00:%02x:%02x", i >> 8, i & 255);
		filter_add(&f, filter_hash(FILTER_SUBJECT, text));
	}
	for (unsigned int i = 0; i < 40 * HISTORY_BLOCK; i++) {
		bool yes;

		snprintf(text, sizeof(text), "2a:00:00:%02x:%02x:%02x", i >> 16, i >> 8 & 255,
			 i & 255);
		yes = filter_may_have(f.bits, filter_hash(FILTER_SUBJECT, text));
		if (i < HISTORY_BLOCK)
			assert_true(yes);
		else
			wrong += yes;
	}
	assert_in_range(wrong, 1, 40 * HISTORY_BLOCK / 200);
	/* It is stored: these may never change. */
	assert_true(filter_hash(FILTER_SUBJECT, "2a:00:00:00:00:01") == 0x0282978b2e908ed5ULL);
	assert_true(filter_hash(FILTER_SEGMENT, "a") != filter_hash(FILTER_SUBJECT, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),		 cmocka_unit_test(test_more),
		cmocka_unit_test(test_the_longest_more), cmocka_unit_test(test_impossible_more),
		cmocka_unit_test(test_ranges),		 cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
