#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmac/mac.h>

#define MAC(n) vmac_mac_from_u64(UINT64_C(n))
#define RANGE(a, b)                                                                                \
	(struct vmac_mac_range)                                                                    \
	{                                                                                          \
		MAC(a), MAC(b)                                                                     \
	}

static void number_and_octets_agree(void **state)
{
	vmac_mac_t m = MAC(0x02005e100001);

	assert_memory_equal(m.octet, "\x02\x00\x5e\x10\x00\x01", 6);
	assert_int_equal(vmac_mac_u64(m), 0x02005e100001);
	/* Only the low 48 bits count. */
	assert_true(vmac_mac_equal(m, MAC(0xffff02005e100001)));
}

static void bits_are_read_from_the_first_octet(void **state)
{
	assert_true(vmac_mac_is_group(MAC(0x010000000000)));
	assert_false(vmac_mac_is_group(MAC(0xfeffffffffff)));
	assert_true(vmac_mac_is_local(MAC(0x020000000000)));
	assert_false(vmac_mac_is_local(MAC(0xfdffffffffff)));
	assert_true(vmac_mac_is_zero(MAC(0)));
	assert_false(vmac_mac_is_zero(MAC(1)));
	assert_false(vmac_mac_is_zero(MAC(0x010000000000)));
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void order_is_that_of_numbers(void **state)
{
	static const uint64_t n[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x0100, 0x7fffffffffff, 0x800000000000, 0xffffffffffff
	};

	for (size_t i = 0; i < 9; i++)
		for (size_t j = 0; j < 9; j++)
			assert_int_equal(sign(vmac_mac_compare(vmac_mac_from_u64(n[i]),
							       vmac_mac_from_u64(n[j]))),
					 sign((int)i - (int)j));
}

static void hash_spreads_neighbours(void **state)
{
	/* 4,096 neighbours in 4,096 buckets by the low bits: a random function leaves 1/e of them
	 * empty; twice that would be a bad one. */
	static unsigned int hits[4096];
	unsigned int empty = 0;

	for (uint64_t i = 0; i < 4096; i++)
		hits[vmac_mac_hash(vmac_mac_from_u64(0x120000000000 + i)) % 4096]++;
	for (size_t i = 0; i < 4096; i++)
		empty += hits[i] == 0;
	assert_in_range(empty, 1200, 1900);
	assert_int_equal(vmac_mac_hash(MAC(5)), vmac_mac_hash(MAC(5)));
}

static void every_style_is_written(void **state)
{
	vmac_mac_t m = MAC(0x02005eABCD0f);
	char buf[VMAC_MAC_TEXT_MAX];

	assert_string_equal(vmac_mac_format(m, VMAC_MAC_COLON, buf), "02:00:5e:ab:cd:0f");
	assert_string_equal(vmac_mac_format(m, VMAC_MAC_DASH, buf), "02-00-5E-AB-CD-0F");
	assert_string_equal(vmac_mac_format(m, VMAC_MAC_DOT, buf), "0200.5eab.cd0f");
	assert_string_equal(vmac_mac_format(m, VMAC_MAC_BARE, buf), "02005eabcd0f");
	assert_ptr_equal(vmac_mac_format(m, VMAC_MAC_BARE, buf), buf);
}

static void addition_never_leaves_the_first_octet(void **state)
{
	vmac_mac_t m;

	assert_int_equal(vmac_mac_add(MAC(0x0200000000ff), 1, &m), 0);
	assert_int_equal(vmac_mac_u64(m), 0x020000000100);
	assert_int_equal(vmac_mac_add(MAC(0x020000000000), 0xffffffffff, &m), 0);
	assert_int_equal(vmac_mac_u64(m), 0x02ffffffffff);

	m = MAC(42);
	assert_int_equal(vmac_mac_add(MAC(0x02ffffffffff), 1, &m), -ERANGE);
	assert_int_equal(vmac_mac_add(MAC(0x020000000000), UINT64_C(1) << 40, &m), -ERANGE);
	assert_int_equal(vmac_mac_add(MAC(0xffffffffffff), 1, &m), -ERANGE);
	assert_int_equal(vmac_mac_add(MAC(0x020000000001), UINT64_MAX, &m), -ERANGE);
	assert_int_equal(vmac_mac_u64(m), 42); /* untouched */
}

static void ranges_are_checked_as_a_whole(void **state)
{
	assert_int_equal(vmac_mac_range_check(RANGE(0x020000000000, 0x02ffffffffff)), 0);
	/* A pool of one is a pool. */
	assert_int_equal(vmac_mac_range_check(RANGE(0x020000000005, 0x020000000005)), 0);
	/* Backwards, although one octet (the second) is smaller: the whole number counts. */
	assert_int_equal(vmac_mac_range_check(RANGE(0x02ff00000000, 0x020000000001)), -EINVAL);
	/* Both ends are unicast, but group addresses (03:…) lie between them. */
	assert_int_equal(vmac_mac_range_check(RANGE(0x020000000000, 0x040000000000)), -ERANGE);
	assert_int_equal(vmac_mac_range_check(RANGE(0x02ffffffffff, 0x030000000000)), -ERANGE);
}

static void ranges_have_sizes_and_members(void **state)
{
	struct vmac_mac_range r = RANGE(0x120000000010, 0x12000000001f);

	assert_int_equal(vmac_mac_range_size(r), 16);
	assert_int_equal(vmac_mac_range_size(RANGE(0x120000000000, 0x12ffffffffff)), UINT64_C(1)
											     << 40);
	assert_int_equal(vmac_mac_range_size(RANGE(0x12, 0x12)), 1);
	assert_true(vmac_mac_range_has(r, r.first));
	assert_true(vmac_mac_range_has(r, r.last));
	assert_false(vmac_mac_range_has(r, MAC(0x12000000000f)));
	assert_false(vmac_mac_range_has(r, MAC(0x120000000020)));

	assert_true(vmac_mac_ranges_overlap(r, RANGE(0x12000000001f, 0x12000000002f)));
	assert_true(vmac_mac_ranges_overlap(RANGE(0x12000000001f, 0x12000000002f), r));
	assert_true(vmac_mac_ranges_overlap(r, RANGE(0x120000000000, 0x12ffffffffff)));
	assert_true(vmac_mac_ranges_overlap(r, RANGE(0x120000000015, 0x120000000015)));
	assert_false(vmac_mac_ranges_overlap(r, RANGE(0x120000000020, 0x12000000002f)));
	assert_false(vmac_mac_ranges_overlap(RANGE(0x120000000000, 0x12000000000f), r));
}

static void ranges_are_written(void **state)
{
	char buf[VMAC_MAC_RANGE_TEXT_MAX];

	assert_string_equal(vmac_mac_range_format(RANGE(0x120000000000, 0x12ffffffffff), buf),
			    "12:00:00:00:00:00..12:ff:ff:ff:ff:ff");
	assert_string_equal(vmac_mac_range_format(RANGE(0x12, 0x12), buf), "00:00:00:00:00:12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_and_octets_agree),
		cmocka_unit_test(bits_are_read_from_the_first_octet),
		cmocka_unit_test(order_is_that_of_numbers),
		cmocka_unit_test(hash_spreads_neighbours),
		cmocka_unit_test(every_style_is_written),
		cmocka_unit_test(addition_never_leaves_the_first_octet),
		cmocka_unit_test(ranges_are_checked_as_a_whole),
		cmocka_unit_test(ranges_have_sizes_and_members),
		cmocka_unit_test(ranges_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
