/* The machine, one promise a test.  What holds in every order of calls is test_pool_model.c's. */
#include "support.h"

#include <errno.h>

struct fixture {
	struct counting_mem c;
	struct pool_machine m;
	struct error e;
};

static void fixture_init(struct fixture *f, const struct pool *cfg)
{
	struct error e = { 0 };

	if (pool_config_check(cfg, &e) < 0)
		fail_msg("%s", e.message);
	memset(f, 0, sizeof(*f));
	counting_mem_init(&f->c);
	assert_int_equal(pool_machine_init(&f->m, cfg, &f->c.mem), 0);
}

static void fixture_done(struct fixture *f)
{
	pool_machine_done(&f->m);
	assert_int_equal(f->c.blocks, 0);
	assert_int_equal(f->c.octets, 0);
}

static vmac_mac_t take(struct fixture *f)
{
	vmac_mac_t mac;

	if (pool_machine_take(&f->m, NOW, &mac, &f->e) < 0)
		fail_msg("%s", f->e.message);
	return mac;
}

static vmac_mac_t take_stable(struct fixture *f, const char *identity)
{
	vmac_mac_t mac;

	if (pool_machine_take_stable(&f->m, identity, NOW, &mac, &f->e) < 0)
		fail_msg("%s", f->e.message);
	return mac;
}

static void expect_error(const struct fixture *f, int r, enum error_code code, const char *part)
{
	assert_int_equal(f->e.code, code);
	assert_int_equal(r, -error_errno(code));
	assert_contains(f->e.message, part);
	assert_true(f->e.hint[0] != '\0');
}

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

/* --- cursor --------------------------------------------------------------------- */

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

/* --- stable ----------------------------------------------------------------------- */

static void test_stable_survives_the_loss_of_everything(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 32), other = cfg;
	struct fixture f, fresh, g;
	vmac_mac_t mac[100];
	char id[16];

	other.key[0] ^= 1;
	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "vm-%u", i);
		mac[i] = take_stable(&f, id);
		assert_int_equal(f.m.cfg.cursor, 0);
	}
	fixture_init(&fresh, &cfg);
	fixture_init(&g, &other);
	for (unsigned int i = 100; i-- > 0;) {
		snprintf(id, sizeof(id), "vm-%u", i);
		take(&fresh); /* what else happens does not matter */
		assert_mac_equal(take_stable(&fresh, id), mac[i]);
		assert_false(vmac_mac_equal(take_stable(&g, id), mac[i]));
	}
	fixture_done(&f);
	fixture_done(&fresh);
	fixture_done(&g);
}

/* These values may never change: mix.h says why. */
static void test_stable_addresses_are_frozen(void **state)
{
	static const struct {
		const char *identity;
		uint64_t address;
	} rows[] = {
		{ "vm-1", 0x120aa88a176b },
		{ "a", 0x1205aecfdbec },
		{ "12345678", 0x127a399804ff },
		{ "123456789", 0x12db0170c080 },
		{ "5ef0c1d2-3a4b-4c5d-8e9f-0123456789ab/net0", 0x120c277a9bb5 },
	};
	static const struct {
		const char *identity;
		uint64_t address;
	} rows_with_excludes[] = {
		{ "vm-1", 0x12a9f5432aae },	 { "a", 0x12b923088ad0 },
		{ "123456789", 0x12db0170c080 }, { "vm-1", 0x12fffff7c494 },
		{ "vm-2", 0x12fffff8409e },
	};
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	struct fixture f;

	fixture_init(&f, &cfg);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_mac_equal(take_stable(&f, rows[i].identity), mac_of(rows[i].address));
	fixture_done(&f);
	/* Half of it excluded, and all but 2^20. */
	for (size_t i = 0; i < sizeof(rows_with_excludes) / sizeof(rows[0]); i++) {
		pool_add_exclude(&cfg, 0x120000000000, i < 3 ? 0x127fffffffff : 0x12ffffefffff);
		fixture_init(&f, &cfg);
		assert_mac_equal(take_stable(&f, rows_with_excludes[i].identity),
				 mac_of(rows_with_excludes[i].address));
		fixture_done(&f);
		cfg.exclude_count = 0;
	}
}

static void test_stable_steps_on_where_it_is_taken(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 20);
	struct fixture f;
	vmac_mac_t mac[3];

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 3; i++)
		mac[i] = take_stable(&f, "same");
	assert_false(vmac_mac_equal(mac[0], mac[1]) || vmac_mac_equal(mac[0], mac[2]) ||
		     vmac_mac_equal(mac[1], mac[2]));
	/* The first is free again: the identity is back home. */
	pool_machine_free(&f.m, mac[0]);
	assert_mac_equal(take_stable(&f, "same"), mac[0]);
	/* In quarantine it is as taken as in use. */
	assert_int_equal(pool_machine_release(&f.m, mac[0], LATER(1)), 0);
	assert_false(vmac_mac_equal(take_stable(&f, "same"), mac[0]));
	fixture_done(&f);
}

/* A later exclude (or well-known range) must not move everybody. */
static void test_an_exclude_moves_only_whom_it_covers(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 32), less = cfg;
	unsigned int moved = 0, covered = 0;
	struct fixture f, g;

	pool_add_exclude(&less, 0x120040000000, 0x12007fffffff); /* a quarter */
	fixture_init(&f, &cfg);
	fixture_init(&g, &less);
	for (unsigned int i = 0; i < 2000; i++) {
		vmac_mac_t before, after;
		char id[16];

		snprintf(id, sizeof(id), "vm-%u", i);
		before = take_stable(&f, id);
		after = take_stable(&g, id);
		moved += !vmac_mac_equal(before, after);
		covered += vmac_mac_range_has(less.excludes[0], before);
		assert_false(vmac_mac_range_has(less.excludes[0], after));
	}
	assert_in_range(covered, 400, 600);
	assert_int_equal(moved, covered);
	fixture_done(&f);
	fixture_done(&g);
}

static void test_stable_is_spread_evenly(void **state)
{
	struct pool cfg = pool_of(1 << 20);
	unsigned int bucket[16] = { 0 };
	struct fixture f;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 16000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%u", i);
		bucket[vmac_mac_u64(take_stable(&f, id)) >> 16 & 15]++;
	}
	for (unsigned int i = 0; i < 16; i++)
		assert_in_range(bucket[i], 850, 1150);
	fixture_done(&f);
}

static void test_identities_of_every_length(void **state)
{
	char id[POOL_IDENTITY_MAX + 2];
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	vmac_mac_t mac = mac_of(42), last = mac;
	struct fixture f;

	fixture_init(&f, &cfg);
	memset(id, 'x', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	expect_error(&f, pool_machine_take_stable(&f.m, id, NOW, &mac, &f.e), ERROR_BAD_VALUE,
		     "256");
	expect_error(&f, pool_machine_take_stable(&f.m, "", NOW, &mac, &f.e), ERROR_BAD_VALUE,
		     "not 0");
	assert_mac_equal(mac, mac_of(42));
	for (size_t len = POOL_IDENTITY_MAX; len > 0; len--) {
		id[len] = '\0';
		mac = take_stable(&f, id);
		assert_false(vmac_mac_equal(mac, last));
		last = mac;
	}
	assert_int_equal(f.m.used, POOL_IDENTITY_MAX);
	fixture_done(&f);
}

/* --- exactly this one --------------------------------------------------------------- */

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

/* --- limit ---------------------------------------------------------------------------- */

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

/* --- undo ------------------------------------------------------------------------------- */

static void test_untake_restores_exactly_what_was(void **state)
{
	struct pool cfg = pool_of(UINT64_C(1) << 40);
	struct pool_machine before;
	vmac_mac_t mac, again;
	struct fixture f;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 64; i++)
		take(&f);
	for (unsigned int i = 0; i < 3; i++) {
		size_t octets = f.c.octets;
		uint64_t cursor;

		before = f.m;
		cursor = f.m.cfg.cursor;
		if (i == 0) {
			mac = take(&f);
		} else if (i == 1) {
			mac = take_stable(&f, "vm");
		} else {
			mac = mac_of(0x12abcdef0123);
			assert_int_equal(pool_machine_take_exact(&f.m, mac, NOW, &f.e), 0);
		}
		pool_machine_untake(&f.m, mac, cursor);
		assert_int_equal(f.m.cfg.cursor, before.cfg.cursor);
		assert_int_equal(f.m.used, before.used);
		assert_int_equal(f.m.taken.set, before.taken.set);
		assert_int_equal(pool_machine_take_exact(&f.m, mac, NOW, &f.e), 0);
		pool_machine_untake(&f.m, mac, cursor);
		if (i == 0) {
			again = take(&f);
			assert_mac_equal(again, mac);
			pool_machine_untake(&f.m, again, cursor);
		}
		/* The arrays of nodes that are still there may have grown; nothing else stays. */
		assert_true(f.c.octets <= octets + 3 * 8);
	}
	fixture_done(&f);
}

static void test_unrelease_restores_exactly_what_was(void **state)
{
	struct pool cfg = pool_of(1000);
	struct fixture f;
	vmac_mac_t a, b;

	fixture_init(&f, &cfg);
	a = take(&f);
	b = take(&f);
	assert_int_equal(pool_machine_release(&f.m, a, LATER(1)), 0);
	assert_int_equal(pool_machine_release(&f.m, b, LATER(2)), 0);
	assert_int_equal(f.m.used, 0);
	assert_int_equal(f.m.quarantined, 2);
	/* The later one first, as undoing goes. */
	pool_machine_unrelease(&f.m, b);
	pool_machine_unrelease(&f.m, a);
	assert_int_equal(f.m.used, 2);
	assert_int_equal(f.m.quarantined, 0);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, WALL_NEVER.ms);
	/* The second release counts, not the first, though that was due earlier. */
	assert_int_equal(pool_machine_release(&f.m, a, LATER(10)), 0);
	assert_false(pool_machine_due(&f.m, LATER(9), &b));
	assert_true(pool_machine_due(&f.m, LATER(10), &b));
	assert_mac_equal(a, b);
	fixture_done(&f);
}

/* As an owner may have his address back before anybody else. */
static void test_a_quarantined_address_may_return_to_its_owner(void **state)
{
	struct pool cfg = pool_of(2);
	struct fixture f;
	vmac_mac_t mac, other;

	fixture_init(&f, &cfg);
	mac = take(&f);
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(5)), 0);
	take(&f);
	pool_machine_unrelease(&f.m, mac);
	assert_false(pool_machine_due(&f.m, LATER(6), &other));
	expect_error(&f, pool_machine_take(&f.m, LATER(6), &other, &f.e), ERROR_POOL_EXHAUSTED,
		     "2 are in use, 0 in quarantine");
	fixture_done(&f);
}

/* Adopted before the pool was made, or well known only since an upgrade: it lives by its record. */
static void test_an_excluded_address_that_is_held_waits_like_others(void **state)
{
	const vmac_mac_t held = mac_of(0x120000000013), other = mac_of(0x120000000014);
	struct pool cfg = pool_of(256);
	struct fixture f;
	vmac_mac_t mac;

	pool_add_exclude(&cfg, 0x120000000010, 0x12000000001f);
	fixture_init(&f, &cfg);
	assert_true(pool_machine_has(&f.m, held));
	assert_int_equal(pool_machine_load(&f.m, held, false, WALL_NEVER), 0);
	assert_int_equal(pool_machine_load(&f.m, other, true, LATER(3)), 0);
	assert_int_equal(pool_machine_load(&f.m, other, true, LATER(3)), -EEXIST);
	mac = take(&f);
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(2)), 0);
	assert_int_equal(pool_machine_release(&f.m, held, LATER(1)), 0);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, LATER(1).ms);
	/* In no counter: it is not the pool's to give. */
	assert_int_equal(f.m.used, 0);
	assert_int_equal(f.m.quarantined, 1);
	assert_int_equal(pool_machine_available(&f.m), 239);
	assert_true(pool_machine_due(&f.m, LATER(3), &mac));
	assert_mac_equal(mac, held);
	pool_machine_unrelease(&f.m, held);
	assert_int_equal(f.m.used, 0);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, LATER(2).ms);
	assert_true(pool_machine_due(&f.m, LATER(3), &mac));
	pool_machine_free(&f.m, mac);
	assert_true(pool_machine_due(&f.m, LATER(3), &mac));
	assert_mac_equal(mac, other);
	pool_machine_free(&f.m, other);
	pool_machine_free(&f.m, held);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, WALL_NEVER.ms);
	assert_int_equal(pool_machine_available(&f.m), 240);
	assert_int_equal(pool_machine_take_exact(&f.m, held, NOW, &f.e),
			 -error_errno(ERROR_RESERVED_ADDRESS));
	fixture_done(&f);
}

/* --- quarantine --------------------------------------------------------------------------- */

static void test_quarantine_is_first_in_first_out(void **state)
{
	struct pool cfg = pool_of(100);
	vmac_mac_t mac[100], due;
	struct fixture f;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 100; i++)
		mac[i] = take(&f);
	for (unsigned int i = 0; i < 100; i++) /* ten at each instant */
		assert_int_equal(pool_machine_release(&f.m, mac[i], LATER(i / 10)), 0);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, NOW.ms);
	assert_false(pool_machine_due(&f.m, LATER(-1), &due));
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(pool_machine_next_expiry(&f.m).ms, LATER(i / 10).ms);
		assert_true(pool_machine_due(&f.m, LATER(i / 10), &due));
		assert_mac_equal(due, mac[i]);
		/* Named again until it is freed. */
		assert_true(pool_machine_due(&f.m, LATER(i / 10), &due));
		assert_mac_equal(due, mac[i]);
		pool_machine_free(&f.m, due);
	}
	assert_int_equal(pool_machine_available(&f.m), 100);
	fixture_done(&f);
}

static void test_a_quarantined_address_is_not_handed_out_before_its_time(void **state)
{
	struct pool cfg = pool_of(3);
	struct fixture f;
	vmac_mac_t mac, other;

	fixture_init(&f, &cfg);
	mac = take(&f);
	assert_int_equal(pool_machine_release(&f.m, mac, LATER(5)), 0);
	take(&f);
	take(&f);
	/* Not even when it is due and nobody has freed it: the registry has it still. */
	expect_error(&f, pool_machine_take(&f.m, LATER(6), &other, &f.e), ERROR_POOL_EXHAUSTED,
		     "1 in quarantine");
	pool_machine_free(&f.m, mac);
	assert_mac_equal(take(&f), mac);
	fixture_done(&f);
}

/* Many expiries under way at once, as pool.h describes. */
static void test_expiry_in_batches(void **state)
{
	struct pool cfg = pool_of(50);
	vmac_mac_t mac[50], due[50];
	unsigned int count = 0;
	struct fixture f;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 50; i++)
		mac[i] = take(&f);
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(pool_machine_release(&f.m, mac[i], LATER(i)), 0);
	for (; pool_machine_due(&f.m, LATER(29), &due[count]); count++)
		pool_machine_unrelease(&f.m, due[count]);
	assert_int_equal(count, 30);
	assert_int_equal(pool_machine_available(&f.m), 0);
	/* The last ten fail and wait on; twenty are durable. */
	for (unsigned int i = 30; i-- > 20;)
		assert_int_equal(pool_machine_release(&f.m, due[i], LATER(i)), 0);
	for (unsigned int i = 0; i < 20; i++)
		pool_machine_free(&f.m, due[i]);
	assert_int_equal(pool_machine_available(&f.m), 20);
	assert_int_equal(f.m.quarantined, 30);
	assert_int_equal(pool_machine_next_expiry(&f.m).ms, LATER(20).ms);
	fixture_done(&f);
}

/* --- start-up ------------------------------------------------------------------------------- */

static void test_load_restores_a_registry(void **state)
{
	struct pool cfg = pool_of(1000);
	vmac_mac_t mac[600], due;
	struct fixture f, g;

	pool_add_exclude(&cfg, 0x120000000000, 0x120000000000);
	fixture_init(&f, &cfg);
	fixture_init(&g, &cfg);
	for (unsigned int i = 0; i < 600; i++)
		mac[i] = take(&f);
	for (unsigned int i = 0; i < 600; i++)
		assert_int_equal(pool_machine_load(&g.m, mac[i], i % 3 == 0, LATER(600 - i)), 0);
	assert_int_equal(g.m.used, 400);
	assert_int_equal(g.m.quarantined, 200);
	assert_int_equal(pool_machine_available(&g.m), 399);
	assert_int_equal(pool_machine_load(&g.m, mac[5], false, NOW), -EEXIST);
	assert_int_equal(pool_machine_load(&g.m, mac[6], true, NOW), -EEXIST);
	assert_int_equal(pool_machine_load(&g.m, mac_of(0x12000000ffff), false, NOW), -ERANGE);
	assert_int_equal(g.m.used + g.m.quarantined, 600);
	assert_true(pool_machine_due(&g.m, LATER(600), &due));
	assert_mac_equal(due, mac[597]);
	for (unsigned int i = 0; i < 399; i++) {
		vmac_mac_t other = take(&g);

		for (unsigned int k = 0; k < 600; k++)
			assert_false(vmac_mac_equal(other, mac[k]));
	}
	assert_int_equal(pool_machine_available(&g.m), 0);
	fixture_done(&f);
	fixture_done(&g);
}

static void test_init_without_memory(void **state)
{
	struct pool cfg = pool_of(1000);
	struct pool_machine m;
	struct counting_mem c;
	size_t n = 0;

	counting_mem_init(&c);
	for (;; n++) {
		counting_mem_refuse(&c, n);
		if (pool_machine_init(&m, &cfg, &c.mem) == 0)
			break;
		assert_int_equal(c.blocks, 0);
	}
	assert_int_equal(n, 2);
	counting_mem_allow(&c);
	pool_machine_done(&m);
	assert_int_equal(c.blocks, 0);
}

static void test_no_memory_is_an_error_with_a_name(void **state)
{
	struct pool cfg = pool_of(1000);
	vmac_mac_t mac = mac_of(42);
	struct fixture f;

	fixture_init(&f, &cfg);
	counting_mem_refuse(&f.c, 0);
	expect_error(&f, pool_machine_take(&f.m, NOW, &mac, &f.e), ERROR_NO_MEMORY, "'web'");
	expect_error(&f, pool_machine_take_stable(&f.m, "x", NOW, &mac, &f.e), ERROR_NO_MEMORY,
		     "'web'");
	expect_error(&f, pool_machine_take_exact(&f.m, mac_of(0x120000000001), NOW, &f.e),
		     ERROR_NO_MEMORY, "'web'");
	assert_mac_equal(mac, mac_of(42));
	assert_int_equal(f.m.used, 0);
	assert_int_equal(f.m.cfg.cursor, 0);
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
		cmocka_unit_test(test_stable_survives_the_loss_of_everything),
		cmocka_unit_test(test_stable_addresses_are_frozen),
		cmocka_unit_test(test_stable_steps_on_where_it_is_taken),
		cmocka_unit_test(test_an_exclude_moves_only_whom_it_covers),
		cmocka_unit_test(test_stable_is_spread_evenly),
		cmocka_unit_test(test_identities_of_every_length),
		cmocka_unit_test(test_take_exact_and_its_refusals),
		cmocka_unit_test(test_a_pinned_address_is_stepped_over),
		cmocka_unit_test(test_the_limit_counts_what_is_in_use),
		cmocka_unit_test(test_untake_restores_exactly_what_was),
		cmocka_unit_test(test_unrelease_restores_exactly_what_was),
		cmocka_unit_test(test_a_quarantined_address_may_return_to_its_owner),
		cmocka_unit_test(test_an_excluded_address_that_is_held_waits_like_others),
		cmocka_unit_test(test_quarantine_is_first_in_first_out),
		cmocka_unit_test(test_a_quarantined_address_is_not_handed_out_before_its_time),
		cmocka_unit_test(test_expiry_in_batches),
		cmocka_unit_test(test_load_restores_a_registry),
		cmocka_unit_test(test_init_without_memory),
		cmocka_unit_test(test_no_memory_is_an_error_with_a_name),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
