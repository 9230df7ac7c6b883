/* A set of small numbers that knows the next one NOT in it: a 64-ary sparse tree of bits.
 *
 * Theory of operation
 *
 * A node has up to 64 slots; in the lowest nodes a slot is a word of 64 bits, above them a slot is
 * a node.  Slots without a bit set do not exist, and a node's array is only as long as it must be
 * (1, 2, 4 … 64), so a lonely bit costs a short chain and a dense stretch an eighth of an octet a
 * bit.  Each node has two masks: which slots exist, and which are full.  "First clear at or behind
 * i" asks the masks on the way down: at most two slots of a node are looked into, however full the
 * set is.
 *
 * Setting may allocate; whatever it needs hangs in the tree by one last assignment, so a refusal
 * leaves no trace.  Clearing never allocates, so undoing never fails; a node goes with its last
 * bit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

#define POOL_BITS_SIZE_MAX   (UINT64_C(1) << 44)
#define POOL_BITS_LEVELS_MAX 7 /* of nodes; 64^8 = 2^48 */

struct pool_node; /* private to bits.c */

struct pool_bits {
	struct pool_node *root; /* NULL: no bit is set */
	uint64_t size;
	uint64_t set; /* bits that are set */
	unsigned int levels;
	const struct mem *mem;
};

/* size: 0 … POOL_BITS_SIZE_MAX. */
void pool_bits_init(struct pool_bits *b, uint64_t size, const struct mem *mem);
void pool_bits_done(struct pool_bits *b);

bool pool_bits_has(const struct pool_bits *b, uint64_t i);

/* 0; -EEXIST when set already; -ENOMEM.  i < size. */
int pool_bits_set(struct pool_bits *b, uint64_t i);

/* The bit must be set. */
void pool_bits_clear(struct pool_bits *b, uint64_t i);

/* The first clear bit at or behind `from`, going round at the end.  Some bit must be clear. */
uint64_t pool_bits_next_clear(const struct pool_bits *b, uint64_t from);
