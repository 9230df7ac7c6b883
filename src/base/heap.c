#include "base/heap.h"

#include <errno.h>
#include <string.h>

#define HEAP_CAPACITY_MIN 64

void heap_init(struct heap *h, const struct mem *mem)
{
	*h = (struct heap){ .mem = mem };
}

void heap_done(struct heap *h)
{
	if (h->entries)
		mem_free(h->mem, h->entries);
	*h = (struct heap){ .mem = h->mem };
}

static bool entry_before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

int heap_push(struct heap *h, int64_t at, uint64_t key)
{
	struct heap_entry new = { .at = at, .seq = h->seq, .key = key };
	size_t i = h->count;

	if (h->count == h->capacity) {
		size_t capacity = h->capacity ? h->capacity * 2 : HEAP_CAPACITY_MIN;
		struct heap_entry *entries = mem_alloc(h->mem, capacity * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		if (h->count > 0)
			memcpy(entries, h->entries, h->count * sizeof(*entries));
		if (h->entries)
			mem_free(h->mem, h->entries);
		h->entries = entries;
		h->capacity = capacity;
	}
	h->seq++;
	h->count++;
	for (; i > 0 && entry_before(&new, &h->entries[(i - 1) / 2]); i = (i - 1) / 2)
		h->entries[i] = h->entries[(i - 1) / 2];
	h->entries[i] = new;
	return 0;
}

const struct heap_entry *heap_first(const struct heap *h)
{
	return h->count > 0 ? &h->entries[0] : NULL;
}

void heap_pop(struct heap *h)
{
	struct heap_entry last = h->entries[--h->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->count) {
		if (child + 1 < h->count &&
		    entry_before(&h->entries[child + 1], &h->entries[child]))
			child++;
		if (!entry_before(&h->entries[child], &last))
			break;
		h->entries[i] = h->entries[child];
		i = child;
	}
	h->entries[i] = last;
}
