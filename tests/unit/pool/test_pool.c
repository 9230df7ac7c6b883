/* The machine, one promise a test: how many, in which order, which exactly.  What holds in every
 * order of calls is test_pool_model.c's. */
#include "machine.h"

/* --- how many -------------------------------------------------------------------------------- */

/* Takes all, sees each address of the ranges that nothing excludes once, and is refused the next.
 */
static void check_exact_exhaustion(const struct pool *cfg)
{
	uint64_t n = pool_space_measure(cfg, POOL_SPACE_USABLE);
	uint8_t *seen = calloc(1, n);
	vmac_mac_t mac = mac_of(42);
	struct fixture f;

	assert_non_null(seen);
	fixture_init(&f, cfg);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t index;

		assert_int_equal(pool_machine_available(&f.m), n - i);
		mac = take(&f);
		index = pool_space_index(&f.m.usable, mac);
		if (index == POOL_SPACE_NONE || seen[index])
			fail_msg("take %llu of %llu is a double or excluded", (unsigned long long)i,
				 (unsigned long long)n);
		seen[index] = 1;
	}
	assert_int_equal(f.m.used, n);
	assert_int_equal(f.m.cfg.cursor, 0);
	assert_int_equal(pool_machine_available(&f.m), 0);
	mac = mac_of(42);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_POOL_EXHAUSTED, "'web'");
	expect_error(&f, pool_machine_take_stable(&f.m, "vm", NOW, &mac, &f.e),
		     ERROR_POOL_EXHAUSTED, "none leaves quarantine");
	assert_mac_equal(mac, mac_of(42));
	fixture_done(&f);
	free(seen);
}

static void test_exactly_n_of_n(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 5, 63, 64, 65, 4097, 65536, 1000003 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct pool cfg = pool_of(sizes[i]);

		check_exact_exhaustion(&cfg);
	}
}

static void test_exactly_n_of_n_in_several_ranges_with_excludes(void **state)
{
	struct pool cfg = pool_of(1000);

	pool_add_range(&cfg, 0x320000000000, 0x320000000000);
	pool_add_range(&cfg, 0x0241ffff0000, 0x02420000ffff); /* half of it Docker's */
	pool_add_range(&cfg, 0x120000001000, 0x120000001fff);
	pool_add_exclude(&cfg, 0x120000000000, 0x120000000000);
	pool_add_exclude(&cfg, 0x120000001100, 0x1200000012ff);
	check_exact_exhaustion(&cfg);
}

static void test_the_error_of_exhaustion_says_it_all(void **state)
{
	struct pool cfg = pool_of(4);
	struct fixture f;
	vmac_mac_t mac;

	pool_add_exclude(&cfg, 0x120000000002, 0x120000000002);
	fixture_init(&f, &cfg);
	take(&f);
	take(&f);
	mac = take(&f);
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(4 * 3600 - 60)), 0);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_POOL_EXHAUSTED,
		     "pool 'web' is exhausted: of its 4 addresses 2 are in use, 1 in quarantine "
		     "and 1 excluded; the next one leaves quarantine at 2026-09-21T18:12:20.000Z, "
		     "in 3h59m");
	/* What is left is rounded up: nobody comes back too early. */
	expect_error(&f,
		     pool_machine_take(&f.m, (wall_t){ LATER(4 * 3600 - 61).ms + 1 }, &mac, &f.e),
		     ERROR_POOL_EXHAUSTED, "Z, in 1s");
	expect_error(&f, pool_machine_take(&f.m, LATER(5 * 3600), &mac, &f.e), ERROR_POOL_EXHAUSTED,
		     "which is now");
	fixture_done(&f);
}

static void test_a_pool_of_2_to_the_40(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	const unsigned int count = 200000;
	vmac_mac_t *taken = calloc(count, sizeof(*taken));
	struct fixture f;

	assert_non_null(taken);
	fixture_init(&f, &cfg);
	f.m.cfg.cursor = f.m.usable.size - count / 2; /* over the end and on from the start */
	for (unsigned int i = 0; i < count; i++) {
		taken[i] = take(&f);
		assert_true(pool_machine_has(&f.m, taken[i]));
		/* The inverse finds it taken: no other number leads to it. */
		f.e.code = ERROR_NONE;
		assert_int_equal(pool_machine_take_exact(&f.m, taken[i], NOW, &f.e),
				 -error_errno(ERROR_ADDRESS_IN_USE));
	}
	assert_int_equal(f.m.used, count);
	assert_int_equal(pool_machine_available(&f.m), (UINT64_C(1) << 40) - count);
	assert_int_equal(f.m.cfg.cursor, count / 2);
	/* An eighth of an octet each, and the nodes above. */
	assert_true(f.c.octets < count / 4);
	for (unsigned int i = 0; i < count; i++)
		pool_machine_free(&f.m, taken[i]);
	assert_int_equal(f.m.used, 0);
	fixture_done(&f);
	free(taken);
}

static void test_a_huge_exclude_costs_nothing(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	struct fixture f;

	pool_add_exclude(&cfg, 0x124500000000, 0x1245ffffffff);
	fixture_init(&f, &cfg);
	assert_true(f.c.octets < 1024);
	assert_int_equal(f.m.size, UINT64_C(1) << 40);
	assert_int_equal(f.m.excluded, UINT64_C(1) << 32);
	assert_int_equal(pool_machine_available(&f.m), (UINT64_C(1) << 40) - (UINT64_C(1) << 32));
	for (unsigned int i = 0; i < 100000; i++)
		assert_false(vmac_mac_range_has(cfg.excludes[0], take(&f)));
	fixture_done(&f);
}

static void test_nearly_everything_excluded(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	struct fixture f;
	vmac_mac_t mac;

	pool_add_exclude(&cfg, 0x120000000000, 0x12ffffffffdf);
	pool_add_exclude(&cfg, 0x12fffffffff0, 0x12ffffffffff);
	fixture_init(&f, &cfg);
	assert_int_equal(pool_machine_available(&f.m), 16);
	/* Stable mode finds what there is, too. */
	mac = take_stable(&f, "vm-1");
	assert_in_range(vmac_mac_u64(mac), 0x12ffffffffe0, 0x12ffffffffef);
	for (unsigned int i = 0; i < 15; i++)
		assert_in_range(vmac_mac_u64(take(&f)), 0x12ffffffffe0, 0x12ffffffffef);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_POOL_EXHAUSTED, "web");
	fixture_done(&f);
}

/* As an upgrade may find it: the table has grown over a pool. */
static void test_a_pool_with_nothing_left_refuses_everything(void **state)
{
	struct pool cfg = pool_of(256);
	struct pool_machine m;
	struct counting_mem c;
	struct error e = { 0 };
	vmac_mac_t mac;

	counting_mem_init(&c);
	cfg.ranges[0] = range_of(0x024200000000, 0x0242000000ff);
	assert_int_equal(pool_machine_init(&m, &cfg, &c.mem), 0);
	assert_int_equal(m.size, 256);
	assert_int_equal(m.excluded, 256);
	assert_int_equal(pool_machine_available(&m), 0);
	assert_true(pool_machine_has(&m, mac_of(0x024200000007)));
	assert_int_equal(pool_machine_take(&m, NOW, &mac, &e), -error_errno(ERROR_POOL_EXHAUSTED));
	assert_int_equal(pool_machine_take_stable(&m, "x", NOW, &mac, &e),
			 -error_errno(ERROR_POOL_EXHAUSTED));
	assert_int_equal(pool_machine_take_exact(&m, mac_of(0x024200000007), NOW, &e),
			 -error_errno(ERROR_RESERVED_ADDRESS));
	assert_int_equal(pool_machine_load(&m, mac_of(0x024200000007), false, NOW), 0);
	pool_machine_done(&m);
	assert_int_equal(c.blocks, 0);
}

/* --- cursor ---------------------------------------------------------------------------------- */

static void test_the_address_released_longest_ago_comes_last(void **state)
{
	struct pool cfg = pool_of(1000);
	vmac_mac_t first[10];
	struct fixture f;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 10; i++)
		first[i] = take(&f);
	for (unsigned int i = 0; i < 10; i++)
		pool_machine_free(&f.m, first[i]);
	for (unsigned int i = 0; i < 990; i++) {
		vmac_mac_t mac = take(&f);

		for (unsigned int k = 0; k < 10; k++)
			assert_false(vmac_mac_equal(mac, first[k]));
	}
	for (unsigned int i = 0; i < 10; i++)
		assert_mac_equal(take(&f), first[i]);
	fixture_done(&f);
}

static void test_a_stored_cursor_goes_on_where_it_was(void **state)
{
	struct pool cfg = pool_of(1000);
	struct fixture a, b;

	fixture_init(&a, &cfg);
	for (unsigned int i = 0; i < 400; i++)
		take(&a);
	fixture_init(&b, &a.m.cfg);
	assert_int_equal(b.m.cfg.cursor, 400);
	for (unsigned int i = 0; i < 600; i++)
		assert_mac_equal(take(&a), take(&b));
	fixture_done(&a);
	fixture_done(&b);
	/* Behind the end (the pool has shrunk): from the start. */
	cfg.cursor = 1000;
	fixture_init(&a, &cfg);
	assert_int_equal(a.m.cfg.cursor, 0);
	fixture_done(&a);
}

static void test_addresses_look_random(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 32), other = cfg;
	unsigned int ascending = 0;
	struct fixture f, g;
	vmac_mac_t last;

	other.key[15] ^= 1;
	fixture_init(&f, &cfg);
	fixture_init(&g, &other);
	last = take(&f);
	for (unsigned int i = 0; i < 1000; i++) {
		vmac_mac_t mac = take(&f);

		ascending += vmac_mac_compare(last, mac) < 0;
		assert_false(vmac_mac_equal(mac, take(&g)));
		last = mac;
	}
	assert_in_range(ascending, 400, 600);
	fixture_done(&f);
	fixture_done(&g);
}

/* --- exactly this one ------------------------------------------------------------------------ */

static void test_take_exact_and_its_refusals(void **state)
{
	struct pool cfg = pool_of(512);
	struct fixture f;
	vmac_mac_t mac;

	pool_add_range(&cfg, 0x0241ffffff00, 0x0242000000ff);
	pool_add_exclude(&cfg, 0x120000000010, 0x12000000001f);
	cfg.limit = 3;
	fixture_init(&f, &cfg);
	mac = mac_of(0x120000000007);
	assert_int_equal(pool_machine_take_exact(&f.m, mac, NOW, &f.e), 0);
	assert_int_equal(f.m.used, 1);
	assert_int_equal(f.m.cfg.cursor, 0);
	expect_error(&f, pool_machine_take_exact(&f.m, mac, NOW, &f.e), ERROR_ADDRESS_IN_USE,
		     "12:00:00:00:00:07 of pool 'web' is in use");
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(90)), 0);
	expect_error(&f, pool_machine_take_exact(&f.m, mac, NOW, &f.e), ERROR_ADDRESS_IN_USE,
		     "in quarantine until 2026-09-21T14:14:50.000Z, in 1m30s");
	expect_error(&f, pool_machine_take_exact(&f.m, mac_of(0x120000000018), NOW, &f.e),
		     ERROR_RESERVED_ADDRESS, "excluded from pool 'web'");
	expect_error(&f, pool_machine_take_exact(&f.m, mac_of(0x024200000018), NOW, &f.e),
		     ERROR_RESERVED_ADDRESS, "Docker");
	expect_error(&f, pool_machine_take_exact(&f.m, mac_of(0x120000000200), NOW, &f.e),
		     ERROR_BAD_ADDRESS, "no range");
	for (unsigned int i = 0; i < 3; i++)
		take(&f);
	expect_error(&f, pool_machine_take_exact(&f.m, mac_of(0x120000000100), NOW, &f.e),
		     ERROR_LIMIT_REACHED, "limit of 3");
	assert_int_equal(f.m.used, 3);
	fixture_done(&f);
}

static void test_a_pinned_address_is_stepped_over(void **state)
{
	struct pool cfg = pool_of(100);
	struct fixture f, g;

	fixture_init(&f, &cfg);
	fixture_init(&g, &cfg);
	for (unsigned int i = 0; i < 50; i++) {
		vmac_mac_t next = take(&f); /* what the cursor of g will come to */

		assert_int_equal(pool_machine_take_exact(&g.m, next, NOW, &g.e), 0);
	}
	for (unsigned int i = 0; i < 50; i++)
		assert_mac_equal(take(&g), take(&f));
	fixture_done(&f);
	fixture_done(&g);
}

/* --- limit ----------------------------------------------------------------------------------- */

static void test_the_limit_counts_what_is_in_use(void **state)
{
	struct pool cfg = pool_of(100);
	struct fixture f;
	vmac_mac_t mac;

	cfg.limit = 2;
	fixture_init(&f, &cfg);
	assert_int_equal(pool_machine_available(&f.m), 2);
	take(&f);
	mac = take(&f);
	assert_int_equal(pool_machine_available(&f.m), 0);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_LIMIT_REACHED, "'web'");
	expect_error(&f, pool_machine_take_stable(&f.m, "a", NOW, &mac, &f.e), ERROR_LIMIT_REACHED,
		     "limit of 2");
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(1)), 0);
	take(&f);	   /* the quarantined one does not count */
	f.m.cfg.limit = 1; /* lowered below what is in use: nobody loses his, nobody gets one */
	assert_int_equal(pool_machine_available(&f.m), 0);
	f.m.cfg.limit = 0;
	assert_int_equal(pool_machine_available(&f.m), 97);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_n_of_n),
		cmocka_unit_test(test_exactly_n_of_n_in_several_ranges_with_excludes),
		cmocka_unit_test(test_the_error_of_exhaustion_says_it_all),
		cmocka_unit_test(test_a_pool_of_2_to_the_40),
		cmocka_unit_test(test_a_huge_exclude_costs_nothing),
		cmocka_unit_test(test_nearly_everything_excluded),
		cmocka_unit_test(test_a_pool_with_nothing_left_refuses_everything),
		cmocka_unit_test(test_the_address_released_longest_ago_comes_last),
		cmocka_unit_test(test_a_stored_cursor_goes_on_where_it_was),
		cmocka_unit_test(test_addresses_look_random),
		cmocka_unit_test(test_take_exact_and_its_refusals),
		cmocka_unit_test(test_a_pinned_address_is_stepped_over),
		cmocka_unit_test(test_the_limit_counts_what_is_in_use),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
