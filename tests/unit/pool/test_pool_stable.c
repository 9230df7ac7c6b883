/* Stable mode: an identity's address is its own. */
#include "machine.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stable_survives_the_loss_of_everything),
		cmocka_unit_test(test_stable_addresses_are_frozen),
		cmocka_unit_test(test_stable_steps_on_where_it_is_taken),
		cmocka_unit_test(test_an_exclude_moves_only_whom_it_covers),
		cmocka_unit_test(test_stable_is_spread_evenly),
		cmocka_unit_test(test_identities_of_every_length),
	};

	return cmocka_run_group_tests_name("pool stable", tests, NULL, NULL);
}
