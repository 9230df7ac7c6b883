#include "support.h"

#include <errno.h>

#include "pool/quarantine.h"

#define KEYS 400

/* The same queue, as an array by key. */
struct naive {
	bool waits[KEYS];
	int64_t until[KEYS];
	uint64_t arrival[KEYS];
	uint64_t arrivals;
	unsigned int count;
};

static int naive_first(const struct naive *n)
{
	int first = -1;

	for (int k = 0; k < KEYS; k++) {
		if (!n->waits[k])
			continue;
		if (first < 0 || n->until[k] < n->until[first] ||
		    (n->until[k] == n->until[first] && n->arrival[k] < n->arrival[first]))
			first = k;
	}
	return first;
}

static void check_equal(const struct quarantine *q, const struct naive *n)
{
	const struct quarantine_entry *first = quarantine_first(q);
	int expected = naive_first(n);

	assert_int_equal(q->count, n->count);
	assert_int_equal(first ? (int)first->key : -1, expected);
	for (int k = 0; k < KEYS; k++) {
		const struct quarantine_entry *entry = quarantine_find(q, (uint64_t)k);

		assert_int_equal(entry != NULL, n->waits[k]);
		if (entry)
			assert_int_equal(entry->until.ms, n->until[k]);
	}
}

static void check_random(uint64_t seed)
{
	struct naive n = { 0 };
	struct dice dice = { seed };
	struct counting_mem c;
	struct quarantine q;

	counting_mem_init(&c);
	quarantine_init(&q, &c.mem);
	for (unsigned int step = 0; step < 1500; step++) {
		unsigned int k = (unsigned int)dice_below(&dice, KEYS);

		if (n.waits[k] || dice_below(&dice, 3) == 0) {
			assert_int_equal(quarantine_remove(&q, k), n.waits[k]);
			n.count -= n.waits[k];
			n.waits[k] = false;
		} else {
			n.until[k] = (int64_t)dice_below(&dice, 20) - 10;
			assert_int_equal(quarantine_add(&q, k, (wall_t){ n.until[k] }), 0);
			n.waits[k] = true;
			n.arrival[k] = n.arrivals++;
			n.count++;
		}
		if (step % 7 == 0)
			check_equal(&q, &n);
	}
	/* Out in order to the last one, and with it the memory. */
	for (int k; (k = naive_first(&n)) >= 0; n.waits[k] = false) {
		assert_int_equal(quarantine_first(&q)->key, k);
		assert_true(quarantine_remove(&q, (uint64_t)k));
	}
	assert_null(quarantine_first(&q));
	assert_int_equal(c.blocks, 0);
	quarantine_done(&q);
}

static void test_agrees_with_an_array(void **state)
{
	for (uint64_t seed = 0; seed < 40; seed++)
		check_random(seed);
}

static void test_equal_deadlines_leave_in_order_of_arrival(void **state)
{
	struct counting_mem c;
	struct quarantine q;

	counting_mem_init(&c);
	quarantine_init(&q, &c.mem);
	for (uint64_t k = 0; k < 1000; k++)
		assert_int_equal(quarantine_add(&q, 7919 * k, NOW), 0);
	for (uint64_t k = 0; k < 1000; k++) {
		assert_int_equal(quarantine_first(&q)->key, 7919 * k);
		assert_true(quarantine_remove(&q, 7919 * k));
	}
	quarantine_done(&q);
	assert_int_equal(c.blocks, 0);
}

static void test_refused_memory_leaves_no_trace(void **state)
{
	struct counting_mem c;
	struct quarantine q;
	unsigned int refusals = 0;

	counting_mem_init(&c);
	quarantine_init(&q, &c.mem);
	for (uint64_t k = 0; k < 200; k++) {
		int r = -ENOMEM;

		for (size_t n = 0; r == -ENOMEM; n++) {
			size_t octets = c.octets;

			counting_mem_refuse(&c, n);
			r = quarantine_add(&q, k, (wall_t){ (int64_t)(200 - k) });
			counting_mem_allow(&c);
			assert_int_equal(quarantine_find(&q, k) != NULL, r == 0);
			if (r == 0)
				break;
			refusals++;
			assert_int_equal(c.octets, octets);
			assert_int_equal(q.count, k);
		}
		assert_int_equal(quarantine_first(&q)->key, k);
	}
	/* Five growths (16 … 256), two allocations each. */
	assert_int_equal(refusals, 10);
	quarantine_done(&q);
	assert_int_equal(c.blocks, 0);
}

static void test_memory_is_bounded(void **state)
{
	struct counting_mem c;
	struct quarantine q;

	counting_mem_init(&c);
	quarantine_init(&q, &c.mem);
	for (uint64_t k = 0; k < 65537; k++)
		assert_int_equal(quarantine_add(&q, k, NOW), 0);
	assert_true(c.octets <= 65537 * 80);
	quarantine_done(&q);
	assert_int_equal(c.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_an_array),
		cmocka_unit_test(test_equal_deadlines_leave_in_order_of_arrival),
		cmocka_unit_test(test_refused_memory_leaves_no_trace),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
