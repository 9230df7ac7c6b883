#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void instants_saturate_at_never(void **state)
{
	mono_t t = { 1000 };

	assert_int_equal(mono_after(t, SPAN_MS(2)).ns, 2001000);
	assert_int_equal(mono_after(t, SPAN_S(1)).ns, 1000001000);
	assert_int_equal(mono_after((mono_t){ INT64_MAX - 5 }, SPAN_NS(6)).ns, MONO_NEVER.ns);
	assert_int_equal(mono_after(MONO_NEVER, SPAN_S(-1)).ns, MONO_NEVER.ns);
	assert_int_equal(wall_after_ms((wall_t){ 5 }, -10).ms, -5);
	assert_int_equal(wall_after_ms((wall_t){ 5 }, INT64_MAX).ms, WALL_NEVER.ms);
	assert_int_equal(wall_after_ms(WALL_NEVER, -1).ms, WALL_NEVER.ms);
	assert_int_equal(mono_since((mono_t){ 7 }, (mono_t){ 10 }).ns, -3);
}

static void deadlines_are_due_on_time(void **state)
{
	assert_false(mono_due((mono_t){ 10 }, (mono_t){ 9 }));
	assert_true(mono_due((mono_t){ 10 }, (mono_t){ 10 }));
	assert_true(mono_due((mono_t){ 10 }, (mono_t){ 11 }));
	assert_false(wall_due((wall_t){ 10 }, (wall_t){ 9 }));
	assert_true(wall_due((wall_t){ 10 }, (wall_t){ 10 }));
	assert_false(mono_due(MONO_NEVER, (mono_t){ INT64_MAX - 1 }));
}

static void hand_over_leaves_nothing_behind(void **state)
{
	char *text = malloc(1), *taken = TAKE_PTR(text);
	int fd = 7, taken_fd = TAKE_FD(fd);

	assert_null(text);
	assert_non_null(taken);
	assert_int_equal(fd, -1);
	assert_int_equal(taken_fd, 7);
	free(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instants_saturate_at_never),
		cmocka_unit_test(deadlines_are_due_on_time),
		cmocka_unit_test(hand_over_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
