#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "balance/health.h"

static void the_first_result_counts(void **state)
{
	struct health_state up = { 0 }, down = { 0 };

	assert_true(health_result(&up, true, 200, 200));
	assert_int_equal(up.health, HEALTH_UP);
	assert_true(health_result(&down, false, 200, 200));
	assert_int_equal(down.health, HEALTH_DOWN);
}

static void only_a_row_of_results_turns_it(void **state)
{
	struct health_state h = { .health = HEALTH_UP };

	assert_false(health_result(&h, false, 2, 3));
	assert_false(health_result(&h, false, 2, 3));
	assert_false(health_result(&h, true, 2, 3)); /* begins anew */
	assert_false(health_result(&h, false, 2, 3));
	assert_false(health_result(&h, false, 2, 3));
	assert_int_equal(h.health, HEALTH_UP);
	assert_true(health_result(&h, false, 2, 3));
	assert_int_equal(h.health, HEALTH_DOWN);
	assert_false(health_result(&h, false, 2, 3));
	assert_false(health_result(&h, true, 2, 3));
	assert_true(health_result(&h, true, 2, 3));
	assert_int_equal(h.health, HEALTH_UP);
	assert_int_equal(h.streak, 0);
}

static void one_or_none_turns_at_once(void **state)
{
	for (uint8_t n = 0; n <= 1; n++) {
		struct health_state h = { .health = HEALTH_UP };

		assert_true(health_result(&h, false, n, n));
		assert_true(health_result(&h, true, n, n));
	}
}

static void names(void **state)
{
	assert_string_equal(health_name(HEALTH_UNKNOWN), "unknown");
	assert_string_equal(health_name(HEALTH_UP), "up");
	assert_string_equal(health_name(HEALTH_DOWN), "down");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_result_counts),
		cmocka_unit_test(only_a_row_of_results_turns_it),
		cmocka_unit_test(one_or_none_turns_at_once),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
