#include "support.h"

#include "pool/permute.h"

static const uint8_t key_a[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t key_b[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17 };

/* Every value is met exactly once, and the inverse leads back. */
static void check_all(uint64_t n, const uint8_t *key)
{
	uint8_t *seen = calloc(1, n);
	struct permutation p;

	assert_non_null(seen);
	permutation_init(&p, n, key);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t v = permutation_apply(&p, i);

		if (v >= n || seen[v] || permutation_inverse(&p, v) != i)
			fail_msg("n %llu: %llu -> %llu", (unsigned long long)n,
				 (unsigned long long)i, (unsigned long long)v);
		seen[v] = 1;
	}
	free(seen);
}

static void test_every_small_size_is_a_bijection(void **state)
{
	for (uint64_t n = 1; n <= 1100; n++) {
		check_all(n, key_a);
		check_all(n, key_b);
	}
}

static void test_full_check_of_large_sizes(void **state)
{
	static const uint64_t sizes[] = { 65535, 65536, 65537, 1000003, 1 << 20, 3 << 19 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_all(sizes[i], key_a);
}

static void test_sampled_check_of_huge_sizes(void **state)
{
	static const uint64_t sizes[] = { UINT64_C(1) << 32,	   (UINT64_C(1) << 32) + 1,
					  UINT64_C(1) << 40,	   (UINT64_C(1) << 40) - 12345,
					  (UINT64_C(1) << 40) + 1, PERMUTATION_N_MAX };
	struct dice dice = { 7 };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint64_t n = sizes[s];
		struct permutation p;

		permutation_init(&p, n, key_a);
		for (unsigned int k = 0; k < 100000; k++) {
			uint64_t i = k < 1000 ? k : k < 2000 ? n - 1 - k : dice_below(&dice, n);
			uint64_t v = permutation_apply(&p, i);

			assert_true(v < n);
			assert_true(permutation_inverse(&p, v) == i);
			assert_true(permutation_apply(&p, permutation_inverse(&p, i)) == i);
		}
	}
}

/* The bound of the walk that permute.h promises. */
static void test_the_domain_is_less_than_twice_n(void **state)
{
	struct dice dice = { 8 };

	for (unsigned int k = 0; k < 100000; k++) {
		uint64_t n = 1 + dice_below(&dice, UINT64_C(1) << dice_below(&dice, 45)), domain;
		struct permutation p;

		permutation_init(&p, n, key_a);
		domain = UINT64_C(1) << (p.high_bits + p.low_bits);
		assert_true(domain >= n);
		assert_true(domain < 2 * n || domain == 4);
	}
}

/* Neighbours do not stay neighbours, and half of the bits differ, in whichever place. */
static void test_neighbours_become_strangers(void **state)
{
	const uint64_t n = UINT64_C(1) << 40;
	unsigned int flips[40] = { 0 }, near = 0, rounds = 20000;
	struct permutation p;

	permutation_init(&p, n, key_a);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t a = permutation_apply(&p, i), b = permutation_apply(&p, i + 1);

		near += (a > b ? a - b : b - a) < 65536;
		for (unsigned int bit = 0; bit < 40; bit++)
			flips[bit] += (a ^ b) >> bit & 1;
	}
	assert_true(near <= 2);
	for (unsigned int bit = 0; bit < 40; bit++)
		assert_in_range(flips[bit], rounds * 47 / 100, rounds * 53 / 100);
}

/* One octet of the key more or less is another permutation. */
static void test_the_key_matters(void **state)
{
	unsigned int equal = 0;
	struct permutation a, b;

	permutation_init(&a, 65536, key_a);
	permutation_init(&b, 65536, key_b);
	for (uint64_t i = 0; i < 65536; i++)
		equal += permutation_apply(&a, i) == permutation_apply(&b, i);
	assert_true(equal < 12);
}

/* The mapping is a format: these values may never change. */
static void test_the_mapping_is_frozen(void **state)
{
	static const struct {
		uint64_t n, i, v;
	} rows[] = {
		{ 1, 0, 0 },
		{ 2, 1, 1 },
		{ 3, 2, 2 },
		{ 1000, 999, 501 },
		{ 65536, 1, 30591 },
		{ 1000003, 123456, 225290 },
		{ UINT64_C(4294967296), 7, 247753920 },
		{ UINT64_C(1099511615431), 549755813889, 575580135270 },
		{ UINT64_C(17592186044416), 17592186044415, 15404052742271 },
	};

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct permutation p;

		permutation_init(&p, rows[k].n, key_a);
		assert_int_equal(permutation_apply(&p, rows[k].i), rows[k].v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_small_size_is_a_bijection),
		cmocka_unit_test(test_full_check_of_large_sizes),
		cmocka_unit_test(test_sampled_check_of_huge_sizes),
		cmocka_unit_test(test_the_domain_is_less_than_twice_n),
		cmocka_unit_test(test_neighbours_become_strangers),
		cmocka_unit_test(test_the_key_matters),
		cmocka_unit_test(test_the_mapping_is_frozen),
	};

	return cmocka_run_group_tests_name("permute", tests, NULL, NULL);
}
