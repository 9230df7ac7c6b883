#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vmac/classify.h>

#include "base/cleanup.h"

static void lines_are_read(void **state)
{
	static const struct {
		const char *line;
		uint64_t prefix;
		uint8_t bits;
		const char *vendor;
	} rows[] = {
		{ "MA-L,02AB3C,Example Corp,1 Street", 0x02ab3c000000, 24, "Example Corp" },
		{ "MA-L,02ab3c,Example Corp,", 0x02ab3c000000, 24, "Example Corp" },
		{ "MA-M,12345A7,\"Example, Inc.\",X\r\n", 0x12345a700000, 28, "Example, Inc." },
		{ "MA-S,70B3D5F2F,\"The \"\"Best\"\"\",\"a, b\"\n", 0x70b3d5f2f000, 36,
		  "The \"Best\"" },
		{ "IAB,0050C27D5,  Much \t Space ,x", 0x0050c27d5000, 36, "Much Space" },
		{ "CID,0AB3C0,Example,x", 0x0ab3c0000000, 24, "Example" },
		{ "MA-L,02AB3C,\"Example\",\"an address with a line break", 0x02ab3c000000, 24,
		  "Example" },
		{ "MA-L,02AB3C,No address", 0x02ab3c000000, 24, "No address" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vmac_oui o;
		char line[128];

		snprintf(line, sizeof(line), "%s", rows[i].line);
		assert_int_equal(vmac_oui_parse_csv(line, &o), 1);
		assert_int_equal(o.prefix, rows[i].prefix);
		assert_int_equal(o.bits, rows[i].bits);
		assert_string_equal(o.vendor, rows[i].vendor);
		assert_true(o.vendor >= line && o.vendor < line + sizeof(line));
	}
}

static void other_lines_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		int result;
	} rows[] = {
		{ "", 0 },
		{ "\r\n", 0 },
		{ "Registry,Assignment,Organization Name,Organization Address\r\n", 0 },
		{ "rest of an address CN 518055 \"", -EINVAL },
		{ "MA-L", -EINVAL },
		{ "MA-L,02AB3C", -EINVAL },
		{ "MA-L,02AB3C,", -EINVAL },
		{ "MA-L,02AB3C,\" \",x", -EINVAL },
		{ "MA-L,02AB3,Short,x", -EINVAL },
		{ "MA-L,02AB3C7,Long,x", -EINVAL },
		{ "MA-L,02AB3G,Digit,x", -EINVAL },
		{ "MA-M,02AB3C,Short,x", -EINVAL },
		{ "MA-X,02AB3C,Registry,x", -EINVAL },
		{ "MA-L,02AB3C,\"Quote\"x,y", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vmac_oui o = { .bits = 99 };
		char line[128];

		snprintf(line, sizeof(line), "%s", rows[i].line);
		assert_int_equal(vmac_oui_parse_csv(line, &o), rows[i].result);
		assert_int_equal(o.bits, 99);
	}
}

static void longest_prefix_wins(void **state)
{
	struct vmac_oui all[] = {
		{ 0x70b3d5f2f000, 36, "small" },  { 0x70b3d5000000, 24, "large" },
		{ 0x70b3d5f00000, 28, "medium" }, { 0xaa0004000000, 24, "local" },
		{ 0x111111000000, 24, "group" },  { 0x101111000000, 24, "its twin" },
	};
	static const struct {
		uint64_t address;
		const char *vendor;
	} rows[] = {
		{ 0x70b3d5f2f123, "small" }, { 0x70b3d5f2e123, "medium" },
		{ 0x70b3d5000001, "large" }, { 0x70b3d6000001, NULL },
		{ 0xaa0004000401, "local" }, { 0x71b3d5f2f001, "small" }, /* its group form */
		{ 0x72b3d5f2f001, NULL }, /* its local form belongs to nobody */
		{ 0x73b3d5f2f001, NULL }, /* nor does that one's group form */
		{ 0x111111222222, "group" }, { 0x101111222222, "its twin" },
	};

	qsort(all, ARRAY_LEN(all), sizeof(all[0]), vmac_oui_compare);
	for (size_t i = 1; i < ARRAY_LEN(all); i++)
		assert_true(vmac_oui_compare(&all[i - 1], &all[i]) < 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct vmac_oui *o =
			vmac_oui_find(all, ARRAY_LEN(all), vmac_mac_from_u64(rows[i].address));

		if (!rows[i].vendor) {
			assert_null(o);
			continue;
		}
		assert_non_null(o);
		assert_string_equal(o->vendor, rows[i].vendor);
	}
	assert_null(vmac_oui_find(NULL, 0, vmac_mac_from_u64(1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(other_lines_are_told_apart),
		cmocka_unit_test(longest_prefix_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
