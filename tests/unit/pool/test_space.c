#include "support.h"

#include <errno.h>

#include "pool/space.h"

static bool is_excluded(const struct pool *cfg, vmac_mac_t address)
{
	for (unsigned int i = 0; i < cfg->exclude_count; i++)
		if (vmac_mac_range_has(cfg->excludes[i], address))
			return true;
	return vmac_classify(address).well_known != NULL;
}

/* Every address of every range is in the usable space exactly when nothing excludes it, and indices
 * ascend with addresses without a hole. */
static void check_every_address(const struct pool *cfg)
{
	struct pool_space whole, usable;
	uint64_t all = 0, left = 0;
	struct counting_mem c;

	counting_mem_init(&c);
	assert_int_equal(pool_space_init(&whole, cfg, POOL_SPACE_WHOLE, &c.mem), 0);
	assert_int_equal(pool_space_init(&usable, cfg, POOL_SPACE_USABLE, &c.mem), 0);
	for (unsigned int i = 0; i < cfg->range_count; i++) {
		uint64_t last = vmac_mac_u64(cfg->ranges[i].last);

		for (uint64_t a = vmac_mac_u64(cfg->ranges[i].first); a <= last; a++, all++) {
			uint64_t index = pool_space_index(&usable, mac_of(a));

			assert_mac_equal(
				pool_space_address(&whole, pool_space_index(&whole, mac_of(a))),
				mac_of(a));
			if (is_excluded(cfg, mac_of(a))) {
				assert_true(index == POOL_SPACE_NONE);
				continue;
			}
			assert_true(index < usable.size);
			assert_mac_equal(pool_space_address(&usable, index), mac_of(a));
			left++;
		}
	}
	assert_int_equal(whole.size, all);
	assert_int_equal(usable.size, left);
	assert_int_equal(pool_space_measure(cfg, POOL_SPACE_WHOLE), all);
	assert_int_equal(pool_space_measure(cfg, POOL_SPACE_USABLE), left);
	for (uint64_t i = 1; i < usable.size; i++)
		assert_true(vmac_mac_compare(pool_space_address(&usable, i - 1),
					     pool_space_address(&usable, i)) < 0);
	pool_space_done(&whole, &c.mem);
	pool_space_done(&usable, &c.mem);
	assert_int_equal(c.blocks, 0);
}

static void test_ranges_in_any_order_are_laid_in_ascending_order(void **state)
{
	struct pool a = { 0 }, b = { 0 };

	pool_add_range(&a, 0x120000000010, 0x12000000001f);
	pool_add_range(&a, 0x120000000000, 0x120000000007);
	pool_add_range(&a, 0x0a0000000000, 0x0a0000000000);
	check_every_address(&a);
	pool_add_range(&b, 0x0a0000000000, 0x0a0000000000);
	pool_add_range(&b, 0x120000000000, 0x120000000007);
	pool_add_range(&b, 0x120000000010, 0x12000000001f);
	check_every_address(&b);
}

static void test_adjoining_ranges_stay_whole(void **state)
{
	struct pool cfg = { 0 };

	pool_add_range(&cfg, 0x120000000100, 0x1200000001ff);
	pool_add_range(&cfg, 0x120000000000, 0x1200000000ff);
	pool_add_exclude(&cfg, 0x120000000100, 0x120000000100);
	pool_add_exclude(&cfg, 0x1200000000ff, 0x1200000000ff);
	check_every_address(&cfg);
}

static void test_excludes_at_every_edge(void **state)
{
	for (uint64_t first = 0; first < 10; first++) {
		for (uint64_t last = first; last < 10; last++) {
			struct pool cfg = { 0 };

			pool_add_range(&cfg, 0x120000000000, 0x120000000009);
			pool_add_exclude(&cfg, 0x120000000000 + first, 0x120000000000 + last);
			check_every_address(&cfg);
		}
	}
}

static void test_excludes_may_overlap_and_nest(void **state)
{
	struct dice dice = { 11 };

	for (unsigned int k = 0; k < 2000; k++) {
		struct pool cfg = { 0 };

		pool_add_range(&cfg, 0x120000000000, 0x12000000003f);
		pool_add_range(&cfg, 0x320000000000, 0x32000000001f);
		for (uint64_t n = dice_below(&dice, POOL_EXCLUDES_MAX + 1); n > 0; n--) {
			uint64_t base = dice_below(&dice, 2) ? 0x120000000000 : 0x320000000000;
			uint64_t first = dice_below(&dice, 32);
			uint64_t last = first + dice_below(&dice, 32 - first);

			pool_add_exclude(&cfg, base + first, base + last);
		}
		check_every_address(&cfg);
	}
}

/* Around well-known ranges, whole, cut and nested in one another. */
static void test_well_known_ranges_are_cut_out(void **state)
{
	struct pool cfg = { 0 };

	pool_add_range(&cfg, 0x024200000000 - 500, 0x024200000000 + 500);
	pool_add_range(&cfg, 0x020000000000, 0x0200000001ff);
	pool_add_range(&cfg, 0x00005dffff00, 0x00005e0002ff);
	pool_add_range(&cfg, 0x0223ffffff00, 0x022400000100);
	pool_add_range(&cfg, 0x00000c9fef00, 0x00000ca000ff);
	pool_add_exclude(&cfg, 0x0241fffffff0, 0x0241ffffffff);
	check_every_address(&cfg);
}

/* Everything under first octet 02, against the sum of the table's rows (they are disjoint there).
 */
static void test_a_first_octet_minus_its_well_known_ranges(void **state)
{
	struct pool cfg = { 0 };
	const struct vmac_well_known *rows;
	uint64_t cut = 0;
	size_t count;

	pool_add_range(&cfg, 0x020000000000, 0x02ffffffffff);
	rows = vmac_well_known_table(&count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].value >> 40 == 0x02)
			cut += UINT64_C(1) << (48 - rows[i].bits);
	assert_true(cut > 30 * (UINT64_C(1) << 32));
	assert_int_equal(pool_space_measure(&cfg, POOL_SPACE_WHOLE), UINT64_C(1) << 40);
	assert_int_equal(pool_space_measure(&cfg, POOL_SPACE_USABLE), (UINT64_C(1) << 40) - cut);
}

/* The greatest pool: sixteen whole first octets, an exclude of 2^39 in it. */
static void test_the_greatest_space(void **state)
{
	struct pool_space usable;
	struct pool cfg = { 0 };
	struct counting_mem c;

	counting_mem_init(&c);
	for (uint64_t i = 0; i < POOL_RANGES_MAX; i++)
		pool_add_range(&cfg, (0x12 + 4 * i) << 40, ((0x12 + 4 * i) << 40) + 0xffffffffff);
	pool_add_exclude(&cfg, 0x160000000000, 0x167fffffffff);
	assert_int_equal(pool_space_measure(&cfg, POOL_SPACE_WHOLE), UINT64_C(1) << 44);
	assert_int_equal(pool_space_init(&usable, &cfg, POOL_SPACE_USABLE, &c.mem), 0);
	assert_true(usable.size < (UINT64_C(1) << 44) - (UINT64_C(1) << 39) + 1);
	assert_true(pool_space_index(&usable, mac_of(0x167fffffffff)) == POOL_SPACE_NONE);
	assert_int_equal(pool_space_index(&usable, mac_of(0x168000000000)), UINT64_C(1) << 40);
	assert_mac_equal(pool_space_address(&usable, usable.size - 1), mac_of(0x4effffffffff));
	pool_space_done(&usable, &c.mem);
	assert_int_equal(c.blocks, 0);
}

/* What keeps the assertion in space.c true whatever the configuration. */
static void test_the_bound_of_spans_holds_the_table(void **state)
{
	size_t count;

	vmac_well_known_table(&count);
	assert_true(POOL_RANGES_MAX + POOL_EXCLUDES_MAX + count <= POOL_SPANS_MAX);
}

static void test_refused_memory(void **state)
{
	struct pool cfg = pool_of(100);
	struct pool_space s;
	struct counting_mem c;

	counting_mem_init(&c);
	counting_mem_refuse(&c, 0);
	assert_int_equal(pool_space_init(&s, &cfg, POOL_SPACE_USABLE, &c.mem), -ENOMEM);
	assert_int_equal(c.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_in_any_order_are_laid_in_ascending_order),
		cmocka_unit_test(test_adjoining_ranges_stay_whole),
		cmocka_unit_test(test_excludes_at_every_edge),
		cmocka_unit_test(test_excludes_may_overlap_and_nest),
		cmocka_unit_test(test_well_known_ranges_are_cut_out),
		cmocka_unit_test(test_a_first_octet_minus_its_well_known_ranges),
		cmocka_unit_test(test_the_greatest_space),
		cmocka_unit_test(test_the_bound_of_spans_holds_the_table),
		cmocka_unit_test(test_refused_memory),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
