#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/table.h"
#include "memory.h"

#define KEYS 3000

struct item {
	uint64_t key;
	bool in;
};

static struct item items[KEYS];

static bool item_has(const void *item, const void *key)
{
	return ((const struct item *)item)->key == *(const uint64_t *)key;
}

/* Few different hashes, so that runs are long and wrap round the end. */
static uint64_t poor_hash(uint64_t key)
{
	return UINT64_MAX - key % 17;
}

static struct item *get(const struct table *t, uint64_t (*hash)(uint64_t), uint64_t key)
{
	return table_get(t, hash(key), &key, item_has);
}

static size_t count_all(const struct table *t)
{
	size_t n = 0;

	table_for_each (t, struct item, item) {
		assert_true(item->in);
		n++;
	}
	return n;
}

static uint64_t good_hash(uint64_t key)
{
	return hash_u64(key);
}

/* A long random life beside a plain array that knows the truth. */
static void live(uint64_t (*hash)(uint64_t), unsigned int keys, unsigned int steps)
{
	struct memory m;
	struct table t;
	uint64_t seed = keys;
	size_t in = 0;

	memory_init(&m);
	table_init(&t, &m.mem);
	memset(items, 0, sizeof(items));
	for (unsigned int s = 0; s < steps; s++) {
		uint64_t key = memory_random(&seed) % keys;
		struct item *item = &items[key];

		item->key = key;
		assert_ptr_equal(get(&t, hash, key), item->in ? item : NULL);
		table_prefetch(&t, hash(key));
		if (!item->in) {
			assert_int_equal(table_add(&t, hash(key), item), 0);
			in++;
		} else {
			assert_true(table_remove(&t, hash(key), item));
			assert_false(table_remove(&t, hash(key), item));
			in--;
		}
		item->in = !item->in;
		assert_int_equal(t.count, in);
		assert_true(t.capacity >= 2 * t.count);
		if (s % 512 == 0)
			assert_int_equal(count_all(&t), in);
	}
	for (unsigned int k = 0; k < keys; k++)
		assert_ptr_equal(get(&t, hash, k), items[k].in ? &items[k] : NULL);
	table_done(&t);
	assert_int_equal(m.living, 0);
}

static void a_table_agrees_with_an_array(void **state)
{
	live(good_hash, KEYS, 60000);
}

static void even_with_poor_hashes(void **state)
{
	live(poor_hash, 300, 20000);
}

static void an_empty_table_has_nothing(void **state)
{
	struct memory m;
	struct table t;
	size_t cursor = 0;

	memory_init(&m);
	table_init(&t, &m.mem);
	table_prefetch(&t, 5);
	assert_null(get(&t, good_hash, 5));
	assert_false(table_remove(&t, 5, &items[0]));
	assert_null(table_next(&t, &cursor));
	table_done(&t);
}

static void no_memory_changes_nothing(void **state)
{
	struct memory m;
	struct table t;
	uint64_t k = 0;

	memory_init(&m);
	table_init(&t, &m.mem);
	memset(items, 0, sizeof(items));
	m.refuse = true;
	assert_int_equal(table_add(&t, 1, &items[0]), -ENOMEM);
	assert_int_equal(t.count, 0);
	m.refuse = false;
	assert_int_equal(table_reserve(&t, 100), 0);
	assert_int_equal(m.living, 1);
	m.refuse = true; /* what was reserved is there */
	for (k = 0; k < 100; k++) {
		items[k].key = k;
		assert_int_equal(table_add(&t, good_hash(k), &items[k]), 0);
	}
	for (uint64_t i = k; i < KEYS; i++)
		items[i].key = i;
	while (k < KEYS && table_add(&t, good_hash(k), &items[k]) == 0)
		k++;
	assert_true(k < KEYS);
	assert_int_equal(t.count, k);
	assert_int_equal(table_reserve(&t, SIZE_MAX / 2), -ENOMEM);
	for (uint64_t i = 0; i < k; i++)
		assert_ptr_equal(get(&t, good_hash, i), &items[i]);
	table_done(&t);
	assert_int_equal(m.living, 0);
}

static void hashes_tell_kinds_and_bytes_apart(void **state)
{
	assert_int_equal(hash_bytes("abc", 3, 1), hash_bytes("abcd", 3, 1));
	assert_true(hash_bytes("abc", 3, 1) != hash_bytes("abc", 3, 2));
	assert_true(hash_bytes("abc", 3, 1) != hash_bytes("abd", 3, 1));
	assert_true(hash_bytes("", 0, 1) != hash_bytes("\0", 1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_agrees_with_an_array),
		cmocka_unit_test(even_with_poor_hashes),
		cmocka_unit_test(an_empty_table_has_nothing),
		cmocka_unit_test(no_memory_changes_nothing),
		cmocka_unit_test(hashes_tell_kinds_and_bytes_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
