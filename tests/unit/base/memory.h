/* A struct mem that counts, and refuses on demand. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct memory {
	struct mem mem;
	size_t living; /* blocks */
	bool refuse;
};

static void *memory_alloc(void *ctx, size_t size)
{
	struct memory *m = ctx;
	void *p = m->refuse ? NULL : calloc(1, size);

	m->living += p != NULL;
	return p;
}

static void memory_free(void *ctx, void *p)
{
	struct memory *m = ctx;

	m->living -= p != NULL;
	free(p);
}

static inline void memory_init(struct memory *m)
{
	*m = (struct memory){ .mem = { memory_alloc, memory_free, m } };
}

/* The next number of a fixed sequence that looks random (Knuth's constants for 64 bits). */
static inline uint64_t memory_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}
