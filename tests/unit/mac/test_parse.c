#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmac/mac.h>

#include "base/cleanup.h"

static void every_spelling_reads_the_same(void **state)
{
	static const char *const texts[] = {
		"02:00:5e:1a:bc:ef", "02:00:5E:1A:BC:EF", "02:00:5e:1A:bC:Ef",
		"02-00-5e-1a-bc-ef", "02-00-5E-1A-BC-EF", "0200.5e1a.bcef",
		"0200.5E1A.bcEF",    "02005e1abcef",	  "02005E1ABCEF",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		vmac_mac_t m = { { 0 } };

		assert_int_equal(vmac_mac_parse(texts[i], &m, NULL), 0);
		assert_int_equal(vmac_mac_u64(m), 0x02005e1abcef);
	}
}

static void what_is_written_reads_back(void **state)
{
	uint64_t n = 1;

	for (unsigned int i = 0; i < 1000; i++) {
		n = n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		for (unsigned int s = 0; s < VMAC_MAC_STYLE_COUNT; s++) {
			char text[VMAC_MAC_TEXT_MAX];
			vmac_mac_t m;

			vmac_mac_format(vmac_mac_from_u64(n >> 16), s, text);
			assert_int_equal(vmac_mac_parse(text, &m, NULL), 0);
			assert_int_equal(vmac_mac_u64(m), n >> 16);
		}
	}
}

static const struct {
	const char *text;
	size_t position;
	const char *reason;
} bad[] = {
	{ "", 0, "address is empty" },
	{ " 02:00:5e:10:00:01", 0, "expected two hex digits" },
	{ ":02:00:5e:10:00:01", 0, "expected two hex digits" },
	{ "0x02005e100001", 1, "expected two hex digits" },
	{ "2:0:5e:10:0:1", 1, "expected two hex digits" },
	{ "0", 1, "text ends before the sixth octet" },
	{ "02", 2, "text ends before the sixth octet" },
	{ "02_00", 2, "expected ':', '-' or a hex digit" },
	{ "02.00.5e.10.00.01", 2, "expected ':', '-' or a hex digit" },
	{ "020:05e:100:001", 3, "expected twelve hex digits" },
	{ "0200-5e10-0001", 4, "expected '.' or a hex digit" },
	{ "0200:5e10:0001", 4, "expected '.' or a hex digit" },
	{ "02005.e10.0001", 5, "expected twelve hex digits" },
	{ "02005e.100001", 6, "expected twelve hex digits" },
	{ "02005e10000", 11, "text ends before the sixth octet" },
	{ "02005e10000g", 11, "expected twelve hex digits" },
	{ "02005e1000011", 12, "text goes on behind the address" },
	{ "02:0:5e:10:00:01", 4, "expected two hex digits" },
	{ "02:00:5g:10:00:01", 7, "expected two hex digits" },
	{ "02:000:5e:10:00:01", 5, "expected ':'" },
	{ "02-000-5e-10-00-01", 5, "expected '-'" },
	{ "02:00-5e-10-00-01", 5, "separator changes from ':' to '-'" },
	{ "02:00.5e10.0001", 5, "separator changes from ':' to '.'" },
	{ "02-00:5e:10:00:01", 5, "separator changes from '-' to ':'" },
	{ "02-00.5e", 5, "separator changes from '-' to '.'" },
	{ "0200.5e10:0001", 9, "separator changes from '.' to ':'" },
	{ "0200.5e10-0001", 9, "separator changes from '.' to '-'" },
	{ "0200.5e100.001", 9, "expected '.'" },
	{ "0200.5e:10.0001", 7, "expected four hex digits" },
	{ "02:00:5e:10:00", 14, "text ends before the sixth octet" },
	{ "02:00:5e:10:00:", 15, "text ends before the sixth octet" },
	{ "02:00:5e:10:00:1", 16, "text ends before the sixth octet" },
	{ "02:00:5e:10:00:01:", 17, "text goes on behind the address" },
	{ "02:00:5e:10:00:01:02:03", 17, "text goes on behind the address" },
	{ "02:00:5e:10:00:01 ", 17, "text goes on behind the address" },
	{ "02:00:5e:10:00:01\n", 17, "text goes on behind the address" },
	{ "0200.5e10.0001.", 14, "text goes on behind the address" },
	{ "02::5e:10:00:01", 3, "expected two hex digits" },
	{ "02:00:5e:10:00:0\xc3\xa9", 16, "expected two hex digits" },
	{ "\357\273\27702:00:5e:10:00:01", 0, "expected two hex digits" },
	{ "eth0", 1, "expected two hex digits" },
};

static void the_rest_is_refused_with_place_and_reason(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct vmac_mac_fault fault = { 999, NULL };
		vmac_mac_t m = vmac_mac_from_u64(42);

		assert_int_equal(vmac_mac_parse(bad[i].text, &m, &fault), -EINVAL);
		assert_int_equal(fault.position, bad[i].position);
		assert_string_equal(fault.reason, bad[i].reason);
		assert_int_equal(vmac_mac_parse(bad[i].text, &m, NULL), -EINVAL);
		assert_int_equal(vmac_mac_u64(m), 42);
	}
}

static const struct {
	const char *text;
	uint64_t first, last;
} ranges[] = {
	{ "12:00:00:00:00:00..12:00:00:00:00:ff", 0x120000000000, 0x1200000000ff },
	{ "12:00:00:00:00:00-12:00:00:00:00:ff", 0x120000000000, 0x1200000000ff },
	{ "12-00-00-00-00-00..12-00-00-00-00-FF", 0x120000000000, 0x1200000000ff },
	{ "1200.0000.0000-1200.0000.00ff", 0x120000000000, 0x1200000000ff },
	{ "1200.0000.0000..1200.0000.00ff", 0x120000000000, 0x1200000000ff },
	{ "120000000000-1200000000ff", 0x120000000000, 0x1200000000ff },
	{ "120000000000..12:00:00:00:00:ff", 0x120000000000, 0x1200000000ff },
	{ "12:00:00:00:00:05", 0x120000000005, 0x120000000005 },
	{ "12-00-00-00-00-05", 0x120000000005, 0x120000000005 },
	{ "12:00:00:00:00:05..12:00:00:00:00:05", 0x120000000005, 0x120000000005 },
	{ "12:00:00:00:00:00/8", 0x120000000000, 0x12ffffffffff },
	{ "12:34:00:00:00:00/16", 0x123400000000, 0x1234ffffffff },
	{ "12-34-50-00-00-00/20", 0x123450000000, 0x12345fffffff },
	{ "1234.5678.9abc/48", 0x123456789abc, 0x123456789abc },
	{ "123456789abc/46", 0x123456789abc, 0x123456789abf },
};

static void every_form_of_a_range_is_read(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct vmac_mac_range r;

		assert_int_equal(vmac_mac_range_parse(ranges[i].text, &r, NULL), 0);
		assert_int_equal(vmac_mac_u64(r.first), ranges[i].first);
		assert_int_equal(vmac_mac_u64(r.last), ranges[i].last);
	}
}

static const struct {
	const char *text;
	int result;
	size_t position;
	const char *reason;
} bad_ranges[] = {
	{ "", -EINVAL, 0, "address is empty" },
	{ "12:00:00:00:00:00..", -EINVAL, 19, "text ends before the sixth octet" },
	{ "12:00:00:00:00:00.12:00:00:00:00:ff", -EINVAL, 18,
	  "expected \"..\" between two addresses" },
	{ "12:00:00:00:00:00 - 12:00:00:00:00:ff", -EINVAL, 17,
	  "expected \"..\", '-', '/' or the end" },
	{ "12-00-00-00-00-00-12-00-00-00-00-ff", -EINVAL, 17,
	  "addresses with '-' need \"..\" between them" },
	{ "12:00:00:00:00:00-12-00-00-00-00-ff", -EINVAL, 20,
	  "addresses with '-' need \"..\" between them" },
	{ "12:00:00:00:00:00..12:00:00:00:00:ff ", -EINVAL, 36, "text goes on behind the address" },
	{ "12:00:00:00:00:00..12:00:00:00:00:0x", -EINVAL, 35, "expected two hex digits" },
	{ "12:00:00:00:00:01..12:00:00:00:00:00", -EINVAL, 19,
	  "the last address is before the first" },
	{ "02:ff:00:00:00:00-02:00:00:00:00:01", -EINVAL, 18,
	  "the last address is before the first" },
	{ "02:00:00:00:00:00-04:00:00:00:00:00", -ERANGE, 18,
	  "the last address has another first octet than the first" },
	{ "12:00:00:00:00:00/", -EINVAL, 18, "expected a number of bits, 8 to 48" },
	{ "12:00:00:00:00:00/7", -EINVAL, 18, "expected a number of bits, 8 to 48" },
	{ "12:00:00:00:00:00/08", -EINVAL, 18, "expected a number of bits, 8 to 48" },
	{ "12:00:00:00:00:00/49", -EINVAL, 18, "expected a number of bits, 8 to 48" },
	{ "12:00:00:00:00:00/-8", -EINVAL, 18, "expected a number of bits, 8 to 48" },
	{ "12:00:00:00:00:00/016", -EINVAL, 20, "text goes on behind the number of bits" },
	{ "12:00:00:00:00:00/4294967304", -EINVAL, 20, "text goes on behind the number of bits" },
	{ "12:00:00:00:00:01/16", -EINVAL, 18, "the address has bits set behind these" },
	{ "12:00:00:00:00:00/16..", -EINVAL, 20, "text goes on behind the number of bits" },
};

static void the_rest_of_ranges_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_ranges); i++) {
		struct vmac_mac_range r = { vmac_mac_from_u64(1), vmac_mac_from_u64(2) };
		struct vmac_mac_fault fault = { 999, NULL };

		assert_int_equal(vmac_mac_range_parse(bad_ranges[i].text, &r, &fault),
				 bad_ranges[i].result);
		assert_int_equal(fault.position, bad_ranges[i].position);
		assert_string_equal(fault.reason, bad_ranges[i].reason);
		assert_int_equal(vmac_mac_range_parse(bad_ranges[i].text, &r, NULL),
				 bad_ranges[i].result);
		assert_int_equal(vmac_mac_u64(r.first), 1);
		assert_int_equal(vmac_mac_u64(r.last), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_reads_the_same),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(the_rest_is_refused_with_place_and_reason),
		cmocka_unit_test(every_form_of_a_range_is_read),
		cmocka_unit_test(the_rest_of_ranges_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
