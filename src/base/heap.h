/* A binary heap of deadlines: which key is due first.  Equal deadlines leave in the order in which
 * they came (FIFO), which is what makes a quarantine fair. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct heap_entry {
	int64_t at;   /* deadline, in the caller's unit */
	uint64_t seq; /* order of arrival, set by heap_push */
	uint64_t key; /* the caller's */
};

struct heap {
	struct heap_entry *entries;
	size_t count, capacity;
	uint64_t seq;
	const struct mem *mem;
};

void heap_init(struct heap *h, const struct mem *mem);
void heap_done(struct heap *h);

/* -ENOMEM: nothing pushed. */
int heap_push(struct heap *h, int64_t at, uint64_t key);

/* The earliest entry, or NULL; valid until the next push or pop. */
const struct heap_entry *heap_first(const struct heap *h);
void heap_pop(struct heap *h); /* only when heap_first() is not NULL */
