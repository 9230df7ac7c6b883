/* Memory by hand-over: the pure rooms allocate only through a struct mem that their caller gives,
 * so that nothing allocates behind anybody's back and a test can count or refuse. */
#pragma once

#include <stddef.h>

struct mem {
	/* Returns zeroed memory aligned for any type, or NULL. */
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *p); /* p may be NULL */
	void *ctx;
};

static inline void *mem_alloc(const struct mem *m, size_t size)
{
	return m->alloc(m->ctx, size);
}

static inline void mem_free(const struct mem *m, void *p)
{
	m->free(m->ctx, p);
}
