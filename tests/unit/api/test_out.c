#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/out.h"

static void expect(struct out *o, const char *want)
{
	size_t len;
	char *text = out_take(o, &len);

	assert_non_null(text);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static void commas_stand_where_json_wants_them(void **state)
{
	struct out o = { 0 };

	out_open(&o, '{');
	out_text(&o, "a", "");
	out_key(&o, "b");
	out_open(&o, '[');
	out_item_text(&o, "x{");
	out_item_text(&o, "[y");
	out_item_mac(&o, vmac_mac_from_u64(0x0a0b0c0d0e0f));
	out_close(&o, ']');
	out_key(&o, "c");
	out_open(&o, '{');
	out_close(&o, '}');
	out_u64(&o, "d", UINT64_MAX);
	out_u64(&o, "e", 0);
	out_bool(&o, "f", false);
	out_close(&o, '}');
	expect(&o, "{\"a\":\"\",\"b\":[\"x{\",\"[y\",\"0a:0b:0c:0d:0e:0f\"],\"c\":{},"
		   "\"d\":18446744073709551615,\"e\":0,\"f\":false}");
}

static void strings_are_escaped(void **state)
{
	struct out o = { 0 };

	out_json(&o, "a\"b\\c\n\x01\x7fZo\xc3\xab\xf0\x9f\x98\x80");
	expect(&o, "\"a\\\"b\\\\c\\u000a\\u0001\\u007fZo\xc3\xab\xf0\x9f\x98\x80\"");
}

static void what_is_no_utf8_is_replaced(void **state)
{
	static const char *const bad[] = { "\xff",	   "\x80",	   "\xc3",
					   "\xc0\x80",	   "\xed\xa0\x80", "\xf4\x90\x80\x80",
					   "\xf0\x9f\x98", "\xe2\x82" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct out o = { 0 };
		char given[16], want[64];
		size_t used, len;
		char *text;

		/* One U+FFFD for each octet that belongs to nothing. */
		used = (size_t)snprintf(want, sizeof(want), "\"");
		for (size_t n = 0; n < strlen(bad[i]); n++)
			used += (size_t)snprintf(want + used, sizeof(want) - used, "\xef\xbf\xbd");
		snprintf(want + used, sizeof(want) - used, "x\"");
		snprintf(given, sizeof(given), "%sx", bad[i]);
		out_json(&o, given);
		text = out_take(&o, &len);
		assert_string_equal(text, want);
		free(text);
	}
}

static void times_and_durations(void **state)
{
	struct out o = { 0 };

	out_open(&o, '{');
	out_time(&o, "t", (wall_t){ 951782400007 });
	out_duration(&o, "d", 90000);
	out_close(&o, '}');
	expect(&o, "{\"t\":\"2000-02-29T00:00:00.007Z\",\"d\":\"1m30s\"}");
}

static void errors(void **state)
{
	struct error e = { .code = ERROR_NONE };
	struct out o = { 0 };

	out_open(&o, '{');
	out_trouble(&o, "trouble", &e);
	out_close(&o, '}');
	expect(&o, "{}");
	error_set(&e, ERROR_NOT_FOUND, "h", "m");
	out_error(&o, &e);
	expect(&o, "{\"error\":{\"code\":\"not_found\",\"message\":\"m\",\"hint\":\"h\"}}");
}

static void failure_is_told_once_at_the_end(void **state)
{
	struct out o = { 0 };
	size_t len;

	out_puts(&o, "x");
	o.failed = true; /* as after a realloc() that failed */
	out_puts(&o, "y");
	out_printf(&o, "%d", 7);
	assert_null(out_take(&o, &len));
	out_puts(&o, "z");
	expect(&o, "z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_stand_where_json_wants_them),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(what_is_no_utf8_is_replaced),
		cmocka_unit_test(times_and_durations),
		cmocka_unit_test(errors),
		cmocka_unit_test(failure_is_told_once_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
