/* What other allocators do wrong, each with a test that ours does the opposite. */
#include "machine.h"

/* kubemacpool forgets an address that two VMs share when one of them goes.  Here a second holder is
 * refused in the first place, so the release of one address is the release of its only holder, and
 * touches no other. */
static void test_a_release_forgets_nobody_else(void **state)
{
	struct pool cfg = pool_of(64);
	struct fixture f;
	vmac_mac_t mac[64];

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 64; i++)
		mac[i] = take(&f);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(pool_machine_take_exact(&f.m, mac[i], NOW, &f.e),
				 -error_errno(ERROR_ADDRESS_IN_USE));
	assert_int_equal(pool_machine_release(&f.m, mac[17], LATER(1)), 0);
	pool_machine_free(&f.m, mac[17]);
	assert_mac_equal(take(&f), mac[17]);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(pool_machine_take_exact(&f.m, mac[i], NOW, &f.e),
				 -error_errno(ERROR_ADDRESS_IN_USE));
	fixture_done(&f);
}

/* kubemacpool lets a range pass as soon as any octet of its start is smaller … */
static void test_a_range_is_compared_as_a_number(void **state)
{
	struct pool cfg = pool_of(1);
	struct error e;

	cfg.ranges[0] = range_of(0x02ff00000000, 0x020000000001);
	assert_int_equal(pool_config_check(&cfg, &e), -error_errno(ERROR_BAD_RANGE));
	cfg.ranges[0] = range_of(0x12ff00000000, 0x120000000001);
	assert_int_equal(pool_config_check(&cfg, &e), -error_errno(ERROR_BAD_RANGE));
}

/* … and cannot have a pool of one address. */
static void test_a_pool_of_one_works(void **state)
{
	struct pool cfg = pool_of(1);
	struct fixture f;
	vmac_mac_t mac;

	fixture_init(&f, &cfg);
	assert_mac_equal(take(&f), mac_of(0x120000000000));
	assert_int_equal(pool_machine_take(&f.m, NOW, &mac, &f.e),
			 -error_errno(ERROR_POOL_EXHAUSTED));
	fixture_done(&f);
}

/* kubemacpool looks at the ends of a range only and walks through 03:…; Incus fills the first octet
 * with random digits.  Here a range has one first octet, and that is individual. */
static void test_no_group_address_is_ever_handed_out(void **state)
{
	struct pool cfg = pool_of(1);
	struct error e;

	for (uint64_t first = 0; first < 256; first++) {
		for (uint64_t last = 0; last < 256; last++) {
			cfg.ranges[0] =
				range_of(first << 40 | 0xee77777777, last << 40 | 0xee77777777);
			if (pool_config_check(&cfg, &e) == 0)
				assert_true(first == last && (first & 1) == 0);
			else
				assert_true(first != last || (first & 1) == 1);
		}
	}
}

/* kubemacpool scans all addresses at every release, and OVN probes up to 16.7 million times for one
 * allocation.  A million releases and a million takes in a full pool of 2^20: with a scan each,
 * that is 10^12 steps and this test would not end. */
static void test_nothing_scans(void **state)
{
	const unsigned int count = 1 << 20;
	struct pool cfg = pool_of(count);
	vmac_mac_t *mac = calloc(count, sizeof(*mac)), due;
	struct fixture f;

	assert_non_null(mac);
	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < count; i++)
		mac[i] = take(&f);
	/* One free at a time: each take has all but one in its way. */
	for (unsigned int i = 0; i < count; i++) {
		unsigned int victim = (unsigned int)(i * 2654435761u) % count;

		pool_machine_free(&f.m, mac[victim]);
		assert_mac_equal(take(&f), mac[victim]);
	}
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(pool_machine_release(&f.m, mac[i], LATER(i % 7)), 0);
	/* Withdrawn from the middle, then the rest expires. */
	for (unsigned int i = 0; i < count; i += 2)
		pool_machine_unrelease(&f.m, mac[i]);
	for (unsigned int i = 0; i < count / 2; i++) {
		assert_true(pool_machine_due(&f.m, LATER(10), &due));
		pool_machine_free(&f.m, due);
	}
	assert_false(pool_machine_due(&f.m, LATER(10), &due));
	assert_int_equal(f.m.used, count / 2);
	fixture_done(&f);
	free(mac);
}

/* Incus looks for duplicates on one cluster member, Neutron's generator in its own batch only. Here
 * what the registry knows is loaded, and is as taken as what the machine gave itself. */
static void test_what_others_hold_is_never_handed_out(void **state)
{
	struct pool cfg = pool_of(1000);
	struct fixture f;

	fixture_init(&f, &cfg);
	for (uint64_t i = 0; i < 1000; i += 2)
		assert_int_equal(
			pool_machine_load(&f.m, mac_of(0x120000000000 + i), i % 4 == 0, LATER(1)),
			0);
	for (unsigned int i = 0; i < 500; i++)
		assert_int_equal(vmac_mac_u64(take(&f)) % 2, 1);
	assert_int_equal(pool_machine_available(&f.m), 0);
	fixture_done(&f);
}

/* oVirt hands out an address in use when all are, and OVN's loop ends one step before the test that
 * would notice.  The N+1st of N fails and names the pool. */
static void test_a_full_pool_never_gives_a_double(void **state)
{
	struct pool cfg = pool_of(256);
	struct fixture f;
	vmac_mac_t mac;

	fixture_init(&f, &cfg);
	for (unsigned int i = 0; i < 256; i++)
		take(&f);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(pool_machine_take(&f.m, NOW, &mac, &f.e),
				 -error_errno(ERROR_POOL_EXHAUSTED));
		assert_contains(f.e.message, "pool 'web' is exhausted: of its 256 addresses");
	}
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_release_forgets_nobody_else),
		cmocka_unit_test(test_a_range_is_compared_as_a_number),
		cmocka_unit_test(test_a_pool_of_one_works),
		cmocka_unit_test(test_no_group_address_is_ever_handed_out),
		cmocka_unit_test(test_nothing_scans),
		cmocka_unit_test(test_what_others_hold_is_never_handed_out),
		cmocka_unit_test(test_a_full_pool_never_gives_a_double),
	};

	return cmocka_run_group_tests_name("pool defects", tests, NULL, NULL);
}
