#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static enum log_level last_level;
static char last_line[2048];
static unsigned int lines;

static void sink(enum log_level level, const char *line)
{
	last_level = level;
	strncpy(last_line, line, sizeof(last_line) - 1);
	lines++;
}

static void lines_go_to_the_sink_up_to_the_level(void **state)
{
	log_error("nobody hears %s", "this"); /* no sink yet */
	log_set(sink, LOG_LEVEL_WARNING);
	log_error("%d", 1);
	assert_int_equal(last_level, LOG_LEVEL_ERROR);
	assert_string_equal(last_line, "1");
	log_warning("two");
	assert_string_equal(last_line, "two");
	log_info("three");
	log_debug("four");
	assert_int_equal(lines, 2);
	log_set(sink, LOG_LEVEL_DEBUG);
	log_debug("four");
	assert_int_equal(last_level, LOG_LEVEL_DEBUG);
	assert_int_equal(lines, 3);
	log_set(NULL, LOG_LEVEL_DEBUG);
	log_error("nobody");
	assert_int_equal(lines, 3);
}

static void long_lines_are_cut(void **state)
{
	static char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	log_set(sink, LOG_LEVEL_INFO);
	log_info("%s", text);
	assert_int_equal(strlen(last_line), 1023);
	log_set(NULL, LOG_LEVEL_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_to_the_sink_up_to_the_level),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
