#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void codes_have_names_and_numbers(void **state)
{
	for (unsigned int c = 0; c < ERROR_CODE_COUNT; c++) {
		int http = error_http_status(c), exit_status = error_exit_status(c);

		assert_int_equal(error_from_name(error_name(c)), c);
		for (const char *p = error_name(c); *p; p++)
			assert_true((*p >= 'a' && *p <= 'z') || *p == '_');
		if (c == ERROR_NONE)
			continue;
		/* A failure is a failure everywhere. */
		assert_in_range(http, 400, 599);
		assert_in_range(exit_status, 2, 8);
		assert_in_range(error_errno(c), 1, 4095);
		/* The caller's fault is exit status 2 to 5 or 7, ours 6 or 8. */
		assert_int_equal(http >= 500, exit_status == 6 || exit_status == 8);
	}
	assert_int_equal(error_from_name("no_such_code"), ERROR_INTERNAL);
	assert_int_equal(error_from_name(""), ERROR_INTERNAL);
}

static void an_error_is_set_in_one_expression(void **state)
{
	struct error e;

	assert_int_equal(
		error_set(&e, ERROR_NAME_IN_USE, "try another", "name \"%s\" is taken", "a"),
		-EEXIST);
	assert_int_equal(e.code, ERROR_NAME_IN_USE);
	assert_string_equal(e.message, "name \"a\" is taken");
	assert_string_equal(e.hint, "try another");
	assert_int_equal(error_set(&e, ERROR_NOT_FOUND, NULL, "gone"), -ENOENT);
	assert_string_equal(e.hint, "");
	error_prefix(&e, "segment %d", 7);
	assert_string_equal(e.message, "segment 7: gone");
}

static void long_texts_are_cut(void **state)
{
	static char text[2 * ERROR_TEXT_MAX];
	struct error e;

	memset(text, 'x', sizeof(text) - 1);
	error_set(&e, ERROR_BAD_VALUE, text, "%s", text);
	assert_int_equal(strlen(e.message), ERROR_TEXT_MAX - 1);
	assert_int_equal(strlen(e.hint), ERROR_TEXT_MAX - 1);
	error_prefix(&e, "before");
	assert_int_equal(strlen(e.message), ERROR_TEXT_MAX - 1);
	assert_int_equal(strncmp(e.message, "before: xxx", 11), 0);
	error_prefix(&e, "%s", text);
	assert_int_equal(strlen(e.message), ERROR_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_names_and_numbers),
		cmocka_unit_test(an_error_is_set_in_one_expression),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
