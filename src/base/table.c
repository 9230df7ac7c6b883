#include "base/table.h"

#include <errno.h>

#define TABLE_CAPACITY_MIN 16

void table_init(struct table *t, const struct mem *mem)
{
	*t = (struct table){ .mem = mem };
}

void table_done(struct table *t)
{
	if (t->slots)
		mem_free(t->mem, t->slots);
	*t = (struct table){ .mem = t->mem };
}

static void table_put(struct table_slot *slots, size_t capacity, uint64_t hash, void *item)
{
	size_t i = hash & (capacity - 1);

	while (slots[i].item)
		i = (i + 1) & (capacity - 1);
	slots[i] = (struct table_slot){ hash, item };
}

int table_reserve(struct table *t, size_t count)
{
	size_t capacity = t->capacity ? t->capacity : TABLE_CAPACITY_MIN;
	struct table_slot *slots;

	if (count > SIZE_MAX / 4 / sizeof(*slots))
		return -ENOMEM;
	while (capacity / 2 < count)
		capacity *= 2;
	if (capacity == t->capacity)
		return 0;
	slots = mem_alloc(t->mem, capacity * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->capacity; i++)
		if (t->slots[i].item)
			table_put(slots, capacity, t->slots[i].hash, t->slots[i].item);
	if (t->slots)
		mem_free(t->mem, t->slots);
	t->slots = slots;
	t->capacity = capacity;
	return 0;
}

void *table_get(const struct table *t, uint64_t hash, const void *key, table_equal_fn equal)
{
	if (t->count == 0)
		return NULL;
	for (size_t i = hash & (t->capacity - 1); t->slots[i].item; i = (i + 1) & (t->capacity - 1))
		if (t->slots[i].hash == hash && equal(t->slots[i].item, key))
			return t->slots[i].item;
	return NULL;
}

int table_add(struct table *t, uint64_t hash, void *item)
{
	int r = table_reserve(t, t->count + 1);

	if (r < 0)
		return r;
	table_put(t->slots, t->capacity, hash, item);
	t->count++;
	return 0;
}

bool table_remove(struct table *t, uint64_t hash, const void *item)
{
	size_t mask = t->capacity - 1, hole;

	if (t->count == 0)
		return false;
	for (hole = hash & mask; t->slots[hole].item != item || t->slots[hole].hash != hash;
	     hole = (hole + 1) & mask)
		if (!t->slots[hole].item)
			return false;
	/* Close the hole: pull back every later entry of the run whose home is not behind it, so
	 * that lookups never need tombstones. */
	for (size_t i = (hole + 1) & mask; t->slots[i].item; i = (i + 1) & mask) {
		size_t home = t->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole] = (struct table_slot){ 0 };
	t->count--;
	return true;
}

void table_prefetch(const struct table *t, uint64_t hash)
{
	if (t->capacity > 0)
		__builtin_prefetch(&t->slots[hash & (t->capacity - 1)], 1);
}

void *table_next(const struct table *t, size_t *cursor)
{
	while (*cursor < t->capacity) {
		void *item = t->slots[(*cursor)++].item;

		if (item)
			return item;
	}
	return NULL;
}
