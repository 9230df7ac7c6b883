/* The addresses of a pool laid end to end, so that each has an index and none of them is a hole.
 *
 * Spans stand in ascending order of address, whatever the order in which the ranges were given, and
 * what is excluded is cut out before anything is numbered: an excluded address has no index, costs
 * nothing, and every size is a subtraction.  (The other way, to number the ranges whole and to mark
 * what is excluded, would scatter a mark for each excluded address over the whole permutation: 2^32
 * of them for one exclude.) */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vmac/classify.h>

#include "base/mem.h"
#include "model/model.h"

/* Every interval that is cut out splits at most one span.  The table of well-known ranges is part
 * of the sum; a test holds it against this. */
#define POOL_SPANS_MAX 256

#define POOL_SPACE_NONE UINT64_MAX

struct pool_span {
	uint64_t first; /* address */
	uint64_t count;
	uint64_t base; /* index of the first */
};

struct pool_space {
	struct pool_span *spans;
	unsigned int span_count;
	uint64_t size; /* 0 … 2^44 */
};

enum pool_space_kind {
	POOL_SPACE_WHOLE,  /* the ranges as they are given */
	POOL_SPACE_USABLE, /* without the excludes and without what is well known */
};

/* The configuration's ranges must be valid and disjoint.  0 or -ENOMEM. */
int pool_space_init(struct pool_space *s, const struct pool *cfg, enum pool_space_kind kind,
		    const struct mem *mem);
void pool_space_done(struct pool_space *s, const struct mem *mem);

/* Only the size; allocates nothing. */
uint64_t pool_space_measure(const struct pool *cfg, enum pool_space_kind kind);

uint64_t pool_space_index(const struct pool_space *s, vmac_mac_t address); /* or POOL_SPACE_NONE */
vmac_mac_t pool_space_address(const struct pool_space *s, uint64_t index); /* index < size */
