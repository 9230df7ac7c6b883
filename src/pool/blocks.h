/* Which blocks of a pool's sequence numbers are this host's: where several hosts share a pool, a
 * host takes only from its own (model/shared.h).
 *
 * The blocks stand in ascending order, each with how many of its numbers are taken, so that a full
 * one is stepped over at the cost of a comparison, and what is left is a subtraction.  Taking and
 * freeing never allocate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct pool_block {
	uint64_t number;
	uint32_t size, taken; /* the last one of a pool may be smaller than the others */
};

struct pool_blocks {
	struct pool_block *items;
	size_t count, capacity;
	uint64_t room; /* numbers of all of them that are not taken */
	const struct mem *mem;
};

void pool_blocks_init(struct pool_blocks *b, const struct mem *mem);
void pool_blocks_done(struct pool_blocks *b);

/* The index of the first block whose number is not below this one; count: there is none. */
size_t pool_blocks_at(const struct pool_blocks *b, uint64_t number);
struct pool_block *pool_blocks_find(const struct pool_blocks *b, uint64_t number); /* or NULL */

/* 0; -EEXIST; -ENOMEM.  taken <= size. */
int pool_blocks_add(struct pool_blocks *b, uint64_t number, uint32_t size, uint32_t taken);
bool pool_blocks_remove(struct pool_blocks *b, uint64_t number); /* whether it was there */

/* One of the block's numbers was taken (or freed); nothing where the block is not here. */
void pool_blocks_count(struct pool_blocks *b, uint64_t number, bool taken);
