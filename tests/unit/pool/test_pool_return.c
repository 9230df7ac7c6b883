/* How addresses come back: undone, released, waiting, loaded at start-up. */
#include "machine.h"

/* --- undo ------------------------------------------------------------------------------------ */

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
	pool_machine_untake(&f.m, held, f.m.cfg.cursor); /* nothing was taken */
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

/* --- quarantine ------------------------------------------------------------------------------ */

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

/* --- start-up -------------------------------------------------------------------------------- */

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

	return cmocka_run_group_tests_name("pool return", tests, NULL, NULL);
}
