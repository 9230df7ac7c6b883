#include "support.h"

#include <errno.h>

#include "pool/bits.h"

/* The same set, as an array. */
struct naive {
	uint8_t *set;
	uint64_t size, count;
};

static uint64_t naive_next_clear(const struct naive *n, uint64_t from)
{
	for (uint64_t k = 0; k < n->size; k++)
		if (!n->set[(from + k) % n->size])
			return (from + k) % n->size;
	fail_msg("no bit is clear");
	return 0;
}

static void naive_put(struct naive *n, uint64_t i, bool set)
{
	n->count += (uint64_t)set - n->set[i];
	n->set[i] = set;
}

static void toggle(struct pool_bits *b, struct naive *n, uint64_t i)
{
	assert_int_equal(pool_bits_has(b, i), n->set[i]);
	if (n->set[i]) {
		assert_int_equal(pool_bits_set(b, i), -EEXIST);
		pool_bits_clear(b, i);
	} else {
		assert_int_equal(pool_bits_set(b, i), 0);
	}
	naive_put(n, i, !n->set[i]);
	assert_int_equal(b->set, n->count);
}

/* Fills in a random order, empties in another, and asks in between. */
static void check_random(uint64_t size, uint64_t seed)
{
	struct naive n = { .set = calloc(1, size), .size = size };
	struct dice dice = { seed };
	struct counting_mem c;
	struct pool_bits b;

	counting_mem_init(&c);
	pool_bits_init(&b, size, &c.mem);
	for (unsigned int step = 0; step < 3000; step++) {
		uint64_t i = dice_below(&dice, size);

		/* Drift between nearly full and nearly empty. */
		if (n.set[i] == (step / 500 % 2 == 0) && dice_below(&dice, 4) > 0)
			i = n.count < size && n.set[i] ? naive_next_clear(&n, i) : i;
		toggle(&b, &n, i);
		if (n.count < size) {
			uint64_t from = dice_below(&dice, size);

			assert_int_equal(pool_bits_next_clear(&b, from),
					 naive_next_clear(&n, from));
		}
	}
	for (uint64_t i = 0; i < size; i++)
		if (n.set[i])
			toggle(&b, &n, i);
	/* The last bit takes the last node with it. */
	assert_null(b.root);
	assert_int_equal(c.blocks, 0);
	pool_bits_done(&b);
	free(n.set);
}

static void test_agrees_with_an_array(void **state)
{
	static const uint64_t sizes[] = { 1,	2,    3,    63,	  64,	65,    127,  128,
					  1000, 4095, 4096, 4097, 8192, 12288, 20000 };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (uint64_t seed = 0; seed < 4; seed++)
			check_random(sizes[s], seed);
}

/* Three levels of nodes, filled to the last bit through next_clear alone, as the cursor does. */
static void test_fills_up_exactly(void **state)
{
	const uint64_t size = 300000;
	struct counting_mem c;
	struct pool_bits b;
	uint64_t at = 123456;

	counting_mem_init(&c);
	pool_bits_init(&b, size, &c.mem);
	for (uint64_t k = 0; k < size; k++) {
		uint64_t i = pool_bits_next_clear(&b, at);

		assert_int_equal(i, (123456 + k) % size);
		assert_int_equal(pool_bits_set(&b, i), 0);
		at = (i + 1) % size;
	}
	assert_int_equal(b.set, size);
	for (uint64_t i = 0; i < size; i++)
		assert_true(pool_bits_has(&b, i));
	/* One hole, found from everywhere. */
	pool_bits_clear(&b, 77777);
	for (uint64_t from = 0; from < size; from += 997)
		assert_int_equal(pool_bits_next_clear(&b, from), 77777);
	/* Found by the masks: were all the words before it looked at, this would not end. */
	for (uint64_t k = 0; k < 20000000; k++)
		if (pool_bits_next_clear(&b, (77778 + k) % size) != 77777)
			fail_msg("from %llu", (unsigned long long)((77778 + k) % size));
	pool_bits_done(&b);
	assert_int_equal(c.blocks, 0);
}

/* At the far end of the largest set, with everything before it unset. */
static void test_the_largest_set(void **state)
{
	const uint64_t size = POOL_BITS_SIZE_MAX;
	struct counting_mem c;
	struct pool_bits b;

	counting_mem_init(&c);
	pool_bits_init(&b, size, &c.mem);
	assert_int_equal(b.levels, POOL_BITS_LEVELS_MAX);
	assert_int_equal(pool_bits_next_clear(&b, size - 1), size - 1);
	assert_int_equal(pool_bits_set(&b, size - 1), 0);
	assert_int_equal(pool_bits_next_clear(&b, size - 1), 0);
	assert_int_equal(pool_bits_set(&b, 0), 0);
	assert_int_equal(pool_bits_next_clear(&b, size - 1), 1);
	assert_int_equal(pool_bits_set(&b, size / 2), 0);
	assert_int_equal(pool_bits_next_clear(&b, size / 2), size / 2 + 1);
	pool_bits_clear(&b, size - 1);
	pool_bits_clear(&b, 0);
	assert_false(pool_bits_has(&b, 0));
	assert_true(pool_bits_has(&b, size / 2));
	pool_bits_clear(&b, size / 2);
	assert_int_equal(c.blocks, 0);
	pool_bits_done(&b);
}

/* The bounds that pool.h gives: an eighth of an octet a bit where they are dense, about 100 octets
 * where they are far apart. */
static void test_memory_is_bounded(void **state)
{
	struct dice dice = { 3 };
	struct counting_mem c;
	struct pool_bits b;
	const uint64_t size = UINT64_C(1) << 40, count = 100000;

	counting_mem_init(&c);
	pool_bits_init(&b, size, &c.mem);
	for (uint64_t i = 0; i < 8 * count; i++)
		assert_int_equal(pool_bits_set(&b, size / 3 + i), 0);
	assert_true(c.octets < 8 * count * 15 / 100);
	pool_bits_done(&b);
	pool_bits_init(&b, size, &c.mem);
	for (uint64_t i = 0; i < count; i++)
		assert_int_not_equal(pool_bits_set(&b, dice_below(&dice, size)), -ENOMEM);
	assert_true(c.octets < count * 120);
	pool_bits_done(&b);
	assert_int_equal(c.blocks, 0);
}

/* Whichever allocation is refused: nothing is set and nothing stays behind. */
static void test_refused_memory_leaves_no_trace(void **state)
{
	struct dice dice = { 5 };
	struct counting_mem c;
	struct pool_bits b;
	const uint64_t size = UINT64_C(1) << 40;
	unsigned int refusals = 0;

	counting_mem_init(&c);
	pool_bits_init(&b, size, &c.mem);
	for (unsigned int k = 0; k < 3000; k++) {
		uint64_t i = k % 2 ? dice_below(&dice, size) : dice_below(&dice, 9000);
		int r = -ENOMEM;

		if (pool_bits_has(&b, i))
			continue;
		for (size_t n = 0; r == -ENOMEM; n++) {
			size_t blocks = c.blocks, octets = c.octets;
			uint64_t set = b.set;

			counting_mem_refuse(&c, n);
			r = pool_bits_set(&b, i);
			counting_mem_allow(&c);
			assert_int_equal(pool_bits_has(&b, i), r == 0);
			if (r == 0)
				break;
			refusals++;
			assert_int_equal(c.blocks, blocks);
			assert_int_equal(c.octets, octets);
			assert_int_equal(b.set, set);
			assert_int_equal(pool_bits_next_clear(&b, i), i);
		}
	}
	assert_true(refusals > 3000);
	pool_bits_done(&b);
	assert_int_equal(c.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_an_array),
		cmocka_unit_test(test_fills_up_exactly),
		cmocka_unit_test(test_the_largest_set),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_refused_memory_leaves_no_trace),
	};

	return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
