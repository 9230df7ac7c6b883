#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/text.h"

static char long_text[300];

static const char *of_length(size_t len)
{
	memset(long_text, 'a', len);
	long_text[len] = '\0';
	return long_text;
}

static void names(void **state)
{
	static const char *const good[] = {
		"a", "0", "web1", "Web-1.example_net", "7f", "1.2.3.4"
	};
	static const struct {
		const char *name, *message;
	} bad[] = {
		{ "", "name is empty" },
		{ "-x", "name does not start with a letter or a digit" },
		{ ".x", "name does not start with a letter or a digit" },
		{ "a b", "name has a character that is not allowed at position 2" },
		{ "a/b", "name has a character that is not allowed at position 2" },
		{ "web\n", "name has a character that is not allowed at position 4" },
		{ "web\x1b[31m", "name has a character that is not allowed at position 4" },
		{ "stra\303\237e", "name has a character that is not allowed at position 5" },
		{ "12-00-00-00-00-01", "name '12-00-00-00-00-01' is a MAC address" },
		{ "1200.0000.0001", "name '1200.0000.0001' is a MAC address" },
		{ "deadbeef0001", "name 'deadbeef0001' is a MAC address" },
	};
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(name_check("name", good[i], &e), 0);
	assert_int_equal(name_check("name", of_length(NAME_MAX_LEN), &e), 0);
	assert_int_equal(name_check("name", of_length(NAME_MAX_LEN + 1), &e), -EINVAL);
	assert_string_equal(e.message, "name has 64 characters, 63 are allowed");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(name_check("name", bad[i].name, &e), -EINVAL);
		assert_int_equal(e.code, ERROR_BAD_NAME);
		assert_string_equal(e.message, bad[i].message);
		assert_true(e.hint[0]);
	}
}

static void texts(void **state)
{
	static const char *const good[] = {
		"",
		"plain",
		"stra\303\237e",
		"\xe6\x97\xa5\xe6\x9c\xac",
		"\xf0\x9f\x90\xa7",
		"\xc2\xa0",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	/* Octet (from 1) where it goes wrong. */
	static const struct {
		const char *text;
		int at;
		bool utf8;
	} bad[] = {
		{ "a\nb", 2, true },
		{ "\t", 1, true },
		{ "abc\x7f", 4, true },
		{ "\x1b[0m", 1, true },
		{ "\xc2\x85", 1, true },
		{ "x\xe2\x80\xa8", 2, true }, /* U+2028 */
		{ "\xe2\x80\xae", 1, true },
		{ "\xe2\x81\xa6", 1, true },
		{ "\xff", 1, false },
		{ "ab\x80", 3, false },
		{ "\xc3", 1, false },
		{ "\xe2\x82", 1, false },
		{ "\xc0\xaf", 1, false },
		{ "\xe0\x80\xaf", 1, false }, /* overlong */
		{ "\xf0\x80\x80\xaf", 1, false },
		{ "\xed\xa0\x80", 1, false }, /* surrogate */
		{ "\xf4\x90\x80\x80", 1, false },
		{ "\xf8\x88\x80\x80\x80", 1, false },
		{ "\xc3(", 1, false },
	};
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(text_check("note", good[i], NOTE_MAX_LEN, &e), 0);
	assert_int_equal(text_check("note", of_length(255), 255, &e), 0);
	assert_int_equal(text_check("note", of_length(256), 255, &e), -EINVAL);
	assert_string_equal(e.message, "note has 256 octets, 255 are allowed");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char place[32];

		assert_int_equal(text_check("note", bad[i].text, 255, &e), -EINVAL);
		assert_int_equal(e.code, ERROR_BAD_VALUE);
		snprintf(place, sizeof(place), "at octet %d", bad[i].at);
		assert_non_null(strstr(e.message, place));
		assert_int_equal(strstr(e.message, "control character") != NULL, bad[i].utf8);
		for (const char *c = e.message; *c; c++)
			assert_in_range(*c, 0x20, 0x7e);
	}
}

static void interface_names(void **state)
{
	static const char *const good[] = {
		"eth0", "a", "...", "vm-web1.100", "123456789012345", "eth\"0", "\xc3\xa9th0"
	};
	static const char *const bad[] = { "",	       ".",    "..",	  "1234567890123456",
					   "a b",      "a/b",  "a:b",	  "tap%d",
					   "a\tb",     "a\n",  "a\x7f",	  "eth\xa0",
					   "\xc3\xa0", "\xff", "\xc2\x9b" };
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(ifname_check("ifname", good[i], &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(ifname_check("ifname", bad[i], &e), -EINVAL);
		assert_int_equal(e.code, ERROR_BAD_NAME);
		assert_int_equal(strncmp(e.message, "ifname ", 7), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(texts),
		cmocka_unit_test(interface_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
