/* A hash table of pointers that the caller owns: open addressing, linear probing, load <= 1/2.
 *
 * The table stores {hash, item} only, so one entry costs 32 octets at most (16 at full load); what
 * an item's key is, is the caller's: lookups pass the hash and an equality function. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct table_slot {
	uint64_t hash;
	void *item; /* NULL: free */
};

struct table {
	struct table_slot *slots;
	size_t capacity; /* 0 or a power of two */
	size_t count;
	const struct mem *mem;
};

typedef bool (*table_equal_fn)(const void *item, const void *key);

void table_init(struct table *t, const struct mem *mem);
void table_done(struct table *t); /* the items are not touched */

/* Makes room for `count` items at once.  -ENOMEM leaves the table as it was. */
int table_reserve(struct table *t, size_t count);

void *table_get(const struct table *t, uint64_t hash, const void *key, table_equal_fn equal);

/* Adds an item whose key is not in the table (the caller has looked).  -ENOMEM: nothing added. */
int table_add(struct table *t, uint64_t hash, void *item);

/* Removes exactly this pointer with this hash (a pointer may be in the table several times, under
 * different ones); returns whether it was there. */
bool table_remove(struct table *t, uint64_t hash, const void *item);

/* Asks for the memory where an item of this hash will be looked for, ahead of use. */
void table_prefetch(const struct table *t, uint64_t hash);

/* The item at or after *cursor, which moves behind it; NULL at the end.  Start with 0.  Adding or
 * removing in between may repeat or miss items. */
void *table_next(const struct table *t, size_t *cursor);

#define table_for_each(t, type, item)                                                              \
	for (size_t table_cursor_ = 0, table_once_ = 1; table_once_; table_once_ = 0)              \
		for (type * item; (item = table_next(t, &table_cursor_));)
