/* What the tests of the pool share: memory that counts and refuses, random numbers from a seed, and
 * configurations in one line. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/pool.h"

/* --- memory ---------------------------------------------------------------------------------- */

struct counting_mem {
	struct mem mem;
	size_t blocks, octets, octets_most; /* alive */
	size_t allocations;		    /* ever */
	size_t refuse_from; /* this allocation and all later ones; SIZE_MAX = none */
};

struct counted_block {
	size_t size;
	max_align_t data[];
};

static inline void *counting_alloc(void *ctx, size_t size)
{
	struct counting_mem *c = ctx;
	struct counted_block *block;

	if (c->allocations++ >= c->refuse_from)
		return NULL;
	block = calloc(1, sizeof(*block) + size);
	assert_non_null(block);
	block->size = size;
	c->blocks++;
	c->octets += size;
	if (c->octets > c->octets_most)
		c->octets_most = c->octets;
	return block->data;
}

static inline void counting_free(void *ctx, void *p)
{
	struct counting_mem *c = ctx;
	struct counted_block *block;

	if (!p)
		return;
	block = (struct counted_block *)((char *)p - offsetof(struct counted_block, data));
	c->blocks--;
	c->octets -= block->size;
	free(block);
}

static inline void counting_mem_init(struct counting_mem *c)
{
	*c = (struct counting_mem){
		.mem = { .alloc = counting_alloc, .free = counting_free, .ctx = c },
		.refuse_from = SIZE_MAX,
	};
}

/* The n-th allocation from now (0 = the next) and all behind it fail. */
static inline void counting_mem_refuse(struct counting_mem *c, size_t n)
{
	c->refuse_from = c->allocations + n;
}

static inline void counting_mem_allow(struct counting_mem *c)
{
	c->refuse_from = SIZE_MAX;
}

/* --- randomness ------------------------------------------------------------------------------ */

struct dice {
	uint64_t state;
};

static inline uint64_t dice_u64(struct dice *d)
{
	uint64_t x = d->state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline uint64_t dice_below(struct dice *d, uint64_t n)
{
	return dice_u64(d) % n;
}

/* --- configurations -------------------------------------------------------------------------- */

static inline vmac_mac_t mac_of(uint64_t n)
{
	return vmac_mac_from_u64(n);
}

static inline struct vmac_mac_range range_of(uint64_t first, uint64_t last)
{
	return (struct vmac_mac_range){ mac_of(first), mac_of(last) };
}

/* A pool named "web" of `count` addresses from 12:00:00:00:00:00 on, with a fixed key and 4 h of
 * quarantine. */
static inline struct pool pool_of(uint64_t count)
{
	struct pool cfg = {
		.id = 1, .segment = 1, .name = "web", .quarantine_ms = 4 * 3600 * 1000
	};

	cfg.range_count = 1;
	cfg.ranges[0] = range_of(0x120000000000, 0x120000000000 + count - 1);
	for (unsigned int i = 0; i < sizeof(cfg.key); i++)
		cfg.key[i] = (uint8_t)(17 * i + 3);
	return cfg;
}

static inline void pool_add_range(struct pool *cfg, uint64_t first, uint64_t last)
{
	cfg->ranges[cfg->range_count++] = range_of(first, last);
}

static inline void pool_add_exclude(struct pool *cfg, uint64_t first, uint64_t last)
{
	cfg->excludes[cfg->exclude_count++] = range_of(first, last);
}

#define NOW	 ((wall_t){ 1790000000000 })
#define LATER(s) ((wall_t){ 1790000000000 + (int64_t)(s)*1000 })

#define assert_mac_equal(a, b) assert_int_equal(vmac_mac_u64(a), vmac_mac_u64(b))
#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                \
	} while (0)
