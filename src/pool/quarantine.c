#include "pool/quarantine.h"

#include <errno.h>
#include <stddef.h>

#include "pool/mix.h"

#define CAPACITY_MIN 16

void quarantine_init(struct quarantine *q, const struct mem *mem)
{
	*q = (struct quarantine){ .mem = mem };
}

static void arrays_free(struct quarantine *q)
{
	mem_free(q->mem, q->heap);
	mem_free(q->mem, q->index);
	q->heap = NULL;
	q->index = NULL;
	q->capacity = 0;
}

void quarantine_done(struct quarantine *q)
{
	arrays_free(q);
	q->count = 0;
}

/* --- the index ------------------------------------------------------------------------------- */

/* capacity is a power of two, and so is the number of places. */
static uint32_t places_mask(const struct quarantine *q)
{
	return 2 * q->capacity - 1;
}

static uint32_t home_of(const struct quarantine *q, uint64_t key)
{
	return (uint32_t)mix_u64(key) & places_mask(q);
}

/* The place that leads to the key, or the free one where it would be. */
static uint32_t place_of(const struct quarantine *q, uint64_t key)
{
	uint32_t mask = places_mask(q), place = home_of(q, key);

	while (q->index[place] != 0 && q->heap[q->index[place] - 1].key != key)
		place = (place + 1) & mask;
	return place;
}

/* Closes the hole by pulling back each later entry of the run that may move, so that no tombstone
 * is ever left. */
static void place_free(struct quarantine *q, uint32_t hole)
{
	uint32_t mask = places_mask(q);

	for (uint32_t i = (hole + 1) & mask; q->index[i] != 0; i = (i + 1) & mask) {
		struct quarantine_entry *entry = &q->heap[q->index[i] - 1];
		uint32_t home = home_of(q, entry->key);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			q->index[hole] = q->index[i];
			entry->place = hole;
			hole = i;
		}
	}
	q->index[hole] = 0;
}

/* --- the heap -------------------------------------------------------------------------------- */

static bool is_before(const struct quarantine_entry *a, const struct quarantine_entry *b)
{
	return a->until.ms != b->until.ms ? a->until.ms < b->until.ms : a->arrival < b->arrival;
}

static void put(struct quarantine *q, uint32_t position, const struct quarantine_entry *entry)
{
	q->heap[position] = *entry;
	q->index[entry->place] = position + 1;
}

/* Puts the entry at this position, which is a hole, or where the order wants it above or below. */
static void settle(struct quarantine *q, uint32_t position, struct quarantine_entry entry)
{
	uint32_t child;

	for (; position > 0 && is_before(&entry, &q->heap[(position - 1) / 2]);
	     position = (position - 1) / 2)
		put(q, position, &q->heap[(position - 1) / 2]);
	for (; (child = 2 * position + 1) < q->count; position = child) {
		if (child + 1 < q->count && is_before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!is_before(&q->heap[child], &entry))
			break;
		put(q, position, &q->heap[child]);
	}
	put(q, position, &entry);
}

static int grow(struct quarantine *q)
{
	uint32_t capacity = q->capacity ? 2 * q->capacity : CAPACITY_MIN;
	struct quarantine grown = { .count = q->count, .capacity = capacity, .mem = q->mem };

	if (capacity > QUARANTINE_COUNT_MAX)
		return -ENOMEM;
	grown.heap = mem_alloc(q->mem, capacity * sizeof(*grown.heap));
	grown.index = mem_alloc(q->mem, 2 * (size_t)capacity * sizeof(*grown.index));
	if (!grown.heap || !grown.index) {
		arrays_free(&grown);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < q->count; i++) {
		grown.heap[i] = q->heap[i];
		grown.heap[i].place = place_of(&grown, q->heap[i].key);
		grown.index[grown.heap[i].place] = i + 1;
	}
	arrays_free(q);
	grown.arrivals = q->arrivals;
	*q = grown;
	return 0;
}

int quarantine_add(struct quarantine *q, uint64_t key, wall_t until)
{
	struct quarantine_entry entry = { .until = until, .key = key };
	int r;

	if (q->count == q->capacity && (r = grow(q)) < 0)
		return r;
	entry.arrival = q->arrivals++;
	entry.place = place_of(q, key);
	settle(q, q->count++, entry);
	return 0;
}

const struct quarantine_entry *quarantine_find(const struct quarantine *q, uint64_t key)
{
	uint32_t position;

	if (q->count == 0)
		return NULL;
	position = q->index[place_of(q, key)];
	return position != 0 ? &q->heap[position - 1] : NULL;
}

const struct quarantine_entry *quarantine_first(const struct quarantine *q)
{
	return q->count > 0 ? &q->heap[0] : NULL;
}

bool quarantine_remove(struct quarantine *q, uint64_t key)
{
	const struct quarantine_entry *found = quarantine_find(q, key);
	uint32_t position;

	if (!found)
		return false;
	position = (uint32_t)(found - q->heap);
	place_free(q, found->place);
	q->count--;
	if (position < q->count)
		settle(q, position, q->heap[q->count]);
	if (q->count == 0)
		arrays_free(q);
	return true;
}
