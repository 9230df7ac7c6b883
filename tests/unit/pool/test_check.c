#include "support.h"

#include "model/text.h"

static void expect(const struct pool *cfg, enum error_code code, const char *part)
{
	struct error e = { 0 };
	int r = pool_config_check(cfg, &e);

	if (e.code != code)
		fail_msg("code %s instead of %s: %s", error_name(e.code), error_name(code),
			 e.message);
	assert_int_equal(r, -error_errno(code));
	if (code == ERROR_NONE)
		return;
	assert_contains(e.message, part);
	assert_true(e.hint[0] != '\0');
}

static void test_good_configurations(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 40);

	expect(&cfg, ERROR_NONE, "");
	cfg = pool_of(1);
	cfg.limit = 1;
	cfg.quarantine_ms = 0;
	expect(&cfg, ERROR_NONE, "");
	/* A universal range of the user's own, and as many of everything as there may be. */
	cfg = pool_of(1);
	for (uint64_t i = 1; i < POOL_RANGES_MAX; i++)
		pool_add_range(&cfg, 0xd850e6000000 + 256 * i, 0xd850e60000ff + 256 * i);
	for (uint64_t i = 0; i < POOL_EXCLUDES_MAX; i++)
		pool_add_exclude(&cfg, 0xd850e6000100 + 2 * i, 0xd850e6000100 + 2 * i);
	cfg.quarantine_ms = DURATION_MAX_MS;
	expect(&cfg, ERROR_NONE, "");
	/* Well-known ranges inside are the machine's business. */
	cfg = pool_of(1);
	pool_add_range(&cfg, 0x020000000000, 0x02ffffffffff);
	expect(&cfg, ERROR_NONE, "");
}

static void test_counts(void **state)
{
	struct pool cfg = pool_of(256);

	cfg.range_count = 0;
	expect(&cfg, ERROR_BAD_VALUE, "1 to 16 ranges, not 0");
	cfg.range_count = POOL_RANGES_MAX + 1;
	expect(&cfg, ERROR_BAD_VALUE, "not 17");
	cfg = pool_of(256);
	cfg.exclude_count = POOL_EXCLUDES_MAX + 1;
	expect(&cfg, ERROR_BAD_VALUE, "at most 16 excludes, not 17");
}

static void test_quarantine_and_limit(void **state)
{
	struct pool cfg = pool_of(256);

	cfg.quarantine_ms = -1;
	expect(&cfg, ERROR_BAD_VALUE, "quarantine");
	cfg.quarantine_ms = DURATION_MAX_MS + 1;
	expect(&cfg, ERROR_BAD_VALUE, "100 years");
	cfg = pool_of(256);
	pool_add_exclude(&cfg, 0x120000000000, 0x12000000000f);
	cfg.limit = 240;
	expect(&cfg, ERROR_NONE, "");
	cfg.limit = 241;
	expect(&cfg, ERROR_BAD_VALUE, "limit of 241 is more than the pool's 240");
}

static void test_bounds_of_ranges(void **state)
{
	struct pool cfg = pool_of(256);

	cfg.ranges[0] = range_of(0x120000000001, 0x120000000000);
	expect(&cfg, ERROR_BAD_RANGE, "range 1 (12:00:00:00:00:01..12:00:00:00:00:00) ends before");
	cfg.ranges[0] = range_of(0x12ffffffffff, 0x130000000000);
	expect(&cfg, ERROR_BAD_RANGE, "crosses from one first octet");
	cfg = pool_of(256);
	pool_add_range(&cfg, 0x120000001000, 0x120000001fff);
	pool_add_range(&cfg, 0x120000001fff, 0x120000002000);
	expect(&cfg, ERROR_BAD_RANGE,
	       "range 3 (12:00:00:00:1f:ff..12:00:00:00:20:00) overlaps range 2");
	cfg.ranges[2] = range_of(0x1200000000ff, 0x1200000000ff);
	expect(&cfg, ERROR_BAD_RANGE, "range 3 (12:00:00:00:00:ff) overlaps range 1 (");
}

static void test_group_and_reserved_ranges(void **state)
{
	struct pool cfg = pool_of(256);

	cfg.ranges[0] = range_of(0x130000000000, 0x1300000000ff);
	expect(&cfg, ERROR_GROUP_ADDRESS, "group");
	cfg.ranges[0] = range_of(0xffffffffffff, 0xffffffffffff);
	expect(&cfg, ERROR_GROUP_ADDRESS, "group");
	cfg.ranges[0] = range_of(0x00005e000100, 0x00005e0001ff);
	expect(&cfg, ERROR_RESERVED_ADDRESS, "range 1");
	cfg.ranges[0] = range_of(0x024212345600, 0x0242123456ff);
	expect(&cfg, ERROR_RESERVED_ADDRESS, "Docker");
	/* Covered by several rows together. */
	cfg.ranges[0] = range_of(0x020100000000, 0x0220ffffffff);
	expect(&cfg, ERROR_RESERVED_ADDRESS, "MS-NLB");
	cfg.ranges[0] = range_of(0, 0);
	expect(&cfg, ERROR_RESERVED_ADDRESS, "null");
}

static void test_excludes(void **state)
{
	struct pool cfg = pool_of(256);

	pool_add_range(&cfg, 0x120000000100, 0x1200000001ff);
	pool_add_exclude(&cfg, 0x120000000010, 0x12000000000f);
	expect(&cfg, ERROR_BAD_RANGE, "exclude 1 (");
	cfg.excludes[0] = range_of(0x12ffffffffff, 0x140000000000);
	expect(&cfg, ERROR_BAD_RANGE, "crosses");
	cfg.excludes[0] = range_of(0x1200000001ff, 0x120000000200);
	expect(&cfg, ERROR_BAD_RANGE, "in no range");
	cfg.excludes[0] = range_of(0x120000000080, 0x120000000180);
	expect(&cfg, ERROR_BAD_RANGE, "in no range");
	cfg.excludes[0] = range_of(0x120000000000, 0x1200000000ff);
	expect(&cfg, ERROR_NONE, "");
	pool_add_exclude(&cfg, 0x120000000100, 0x1200000001ff);
	expect(&cfg, ERROR_BAD_RANGE, "nothing is left of the pool's 512 addresses");
}

static void test_overlap(void **state)
{
	struct pool a = pool_of(256), b = pool_of(256);

	assert_true(pool_configs_overlap(&a, &b));
	b.ranges[0] = range_of(0x120000000100, 0x1200000001ff);
	assert_false(pool_configs_overlap(&a, &b));
	pool_add_range(&b, 0x320000000000, 0x3200000000ff);
	assert_false(pool_configs_overlap(&a, &b));
	pool_add_range(&a, 0x3200000000ff, 0x3200000001ff);
	assert_true(pool_configs_overlap(&a, &b));
	assert_true(pool_configs_overlap(&b, &a));
	/* Excluded or not: an address has one pool to answer for it. */
	pool_add_exclude(&a, 0x3200000000ff, 0x3200000000ff);
	assert_true(pool_configs_overlap(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_configurations),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_quarantine_and_limit),
		cmocka_unit_test(test_bounds_of_ranges),
		cmocka_unit_test(test_group_and_reserved_ranges),
		cmocka_unit_test(test_excludes),
		cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
