/* A record that several own: who holds it is counted, and the last who releases it frees it, from
 * whichever thread. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/mem.h"

/* Stands before the block. */
struct holders {
	_Alignas(max_align_t) const struct mem *mem;
	atomic_uint count;
};

static inline struct holders *holders_of(const void *block)
{
	return (struct holders *)block - 1;
}

/* A block of `size` octets with one holder; NULL: no memory. */
static inline void *holders_new(const struct mem *m, size_t size)
{
	struct holders *h = mem_alloc(m, sizeof(*h) + size);

	if (!h)
		return NULL;
	h->mem = m;
	atomic_init(&h->count, 1);
	return h + 1;
}

/* NULL is fine. */
static inline void holders_add(const void *block)
{
	/* Whoever gives it away holds it, so nobody else can be releasing the last. */
	if (block)
		atomic_fetch_add_explicit(&holders_of(block)->count, 1, memory_order_relaxed);
}

/* NULL is fine. */
static inline void holders_drop(const void *block)
{
	struct holders *h = block ? holders_of(block) : NULL;

	/* What others have read of it, they have read before it is freed. */
	if (h && atomic_fetch_sub_explicit(&h->count, 1, memory_order_acq_rel) == 1)
		mem_free(h->mem, h);
}
