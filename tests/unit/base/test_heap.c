#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/heap.h"
#include "memory.h"

#define ENTRIES 5000

static void entries_leave_by_deadline_and_equals_in_order(void **state)
{
	struct memory m;
	struct heap h;
	int64_t last_at = INT64_MIN;
	uint64_t seed = 1, last_key = 0;

	memory_init(&m);
	heap_init(&h, &m.mem);
	assert_null(heap_first(&h));
	/* 50 deadlines for 5,000 entries, so that most have many equals. */
	for (uint64_t key = 1; key <= ENTRIES; key++)
		assert_int_equal(heap_push(&h, (int64_t)(memory_random(&seed) % 50) - 25, key), 0);
	for (unsigned int i = 0; i < ENTRIES; i++) {
		const struct heap_entry *e = heap_first(&h);

		assert_true(e->at > last_at || (e->at == last_at && e->key > last_key));
		last_at = e->at;
		last_key = e->key;
		heap_pop(&h);
	}
	assert_null(heap_first(&h));
	heap_done(&h);
	assert_int_equal(m.living, 0);
}

static void pushes_and_pops_mix(void **state)
{
	struct memory m;
	struct heap h;
	unsigned int due[100] = { 0 }, count = 0; /* the model: how many a deadline has */
	uint64_t seed = 2;

	memory_init(&m);
	heap_init(&h, &m.mem);
	for (unsigned int i = 0; i < 20000; i++) {
		if (memory_random(&seed) % 5 < 3) {
			uint64_t at = memory_random(&seed) % 100;

			assert_int_equal(heap_push(&h, (int64_t)at, i), 0);
			due[at]++;
			count++;
		} else if (count > 0) {
			unsigned int first = 0;

			while (due[first] == 0)
				first++;
			assert_int_equal(heap_first(&h)->at, first);
			heap_pop(&h);
			due[first]--;
			count--;
		}
		assert_int_equal(h.count, count);
	}
	heap_done(&h);
	assert_int_equal(m.living, 0);
}

static void no_memory_changes_nothing(void **state)
{
	struct memory m;
	struct heap h;
	uint64_t pushed = 0;

	memory_init(&m);
	heap_init(&h, &m.mem);
	m.refuse = true;
	assert_int_equal(heap_push(&h, 1, 1), -ENOMEM);
	assert_null(heap_first(&h));
	m.refuse = false;
	assert_int_equal(heap_push(&h, 0, pushed++), 0);
	m.refuse = true;
	while (heap_push(&h, (int64_t)pushed, pushed) == 0)
		pushed++;
	for (uint64_t i = 0; i < pushed; i++, heap_pop(&h))
		assert_int_equal(heap_first(&h)->key, i);
	assert_null(heap_first(&h));
	heap_done(&h);
	heap_done(&h); /* twice is once */
	assert_int_equal(m.living, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_leave_by_deadline_and_equals_in_order),
		cmocka_unit_test(pushes_and_pops_mix),
		cmocka_unit_test(no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
