/* Which numbers wait until when: a queue by deadline that can also be asked about one number.
 *
 * Theory of operation
 *
 * A binary heap ordered by (until, arrival) gives first in, first out where deadlines are equal. An
 * index beside it (open addressing, load at most 1/2) leads from a number to its place in the heap,
 * so that undoing a release or asking about an address costs as little as the next expiry, and
 * nothing ever scans.  base/heap.h has no such index: a deadline that somebody may withdraw needs
 * one.
 *
 * 40 to 80 octets a waiting number; the memory goes back when nothing waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"

#define QUARANTINE_COUNT_MAX (UINT32_C(1) << 30) /* entries; -ENOMEM behind it */

struct quarantine_entry {
	wall_t until;
	uint64_t arrival;
	uint64_t key;
	uint32_t place; /* of this entry in index[] */
};

struct quarantine {
	struct quarantine_entry *heap;
	uint32_t *index; /* 2 * capacity places: 0 = free, else 1 + the position in the heap */
	uint32_t count, capacity;
	uint64_t arrivals;
	const struct mem *mem;
};

void quarantine_init(struct quarantine *q, const struct mem *mem);
void quarantine_done(struct quarantine *q);

/* The key must not wait already.  0, or -ENOMEM: nothing changed. */
int quarantine_add(struct quarantine *q, uint64_t key, wall_t until);

/* The entry of a key, or NULL; the earliest, or NULL.  Valid until the next change. */
const struct quarantine_entry *quarantine_find(const struct quarantine *q, uint64_t key);
const struct quarantine_entry *quarantine_first(const struct quarantine *q);

/* Returns whether the key waited. */
bool quarantine_remove(struct quarantine *q, uint64_t key);
