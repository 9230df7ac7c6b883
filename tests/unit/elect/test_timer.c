/* Timers that move, held against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "elect/timer.h"

#define TIMERS 200

static bool refuse;

static void *alloc(void *ctx, size_t size)
{
	return refuse ? NULL : calloc(1, size);
}

static void give_back(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { alloc, give_back, NULL };

static void test_first_is_the_earliest(void **state)
{
	struct timer timer[TIMERS];
	int64_t at[TIMERS], least;
	struct timers t;
	mono_t first;

	timers_init(&t, &mem);
	assert_int_equal(timers_reserve(&t, TIMERS), 0);
	for (unsigned int i = 0; i < TIMERS; i++) {
		timer[i].place = TIMER_IDLE;
		at[i] = INT64_MAX;
	}
	for (uint64_t n = 0; n < 50000; n++) {
		uint64_t random = hash_u64(n + 1);
		unsigned int i = (unsigned int)(random % TIMERS);

		/* Often removed, often equal to another. */
		at[i] = random >> 32 & 3 ? (int64_t)(random >> 40 & 1023) : INT64_MAX;
		timers_set(&t, &timer[i], (mono_t){ at[i] });
		least = INT64_MAX;
		for (unsigned int k = 0; k < TIMERS; k++)
			least = at[k] < least ? at[k] : least;
		if (least == INT64_MAX) {
			assert_null(timers_first(&t, &first));
			continue;
		}
		assert_int_equal(at[timers_first(&t, &first) - timer], least);
		assert_int_equal(first.ns, least);
	}
	timers_done(&t);
}

static void test_no_memory_keeps_what_is_there(void **state)
{
	struct timer one = { TIMER_IDLE };
	struct timers t;
	mono_t at;

	timers_init(&t, &mem);
	assert_int_equal(timers_reserve(&t, 1), 0);
	timers_set(&t, &one, (mono_t){ 5 });
	refuse = true;
	assert_int_equal(timers_reserve(&t, 1000), -ENOMEM);
	refuse = false;
	assert_ptr_equal(timers_first(&t, &at), &one);
	assert_int_equal(timers_reserve(&t, 1000), 0);
	assert_ptr_equal(timers_first(&t, &at), &one);
	assert_int_equal(at.ns, 5);
	timers_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_is_the_earliest),
		cmocka_unit_test(test_no_memory_keeps_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
