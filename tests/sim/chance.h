/* The seeded chance of the simulations: equal seeds, equal histories. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *c)
{
	uint64_t x = c->state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* 0 … n - 1 */
static inline uint64_t chance_below(struct chance *c, uint64_t n)
{
	return n ? chance_next(c) % n : 0;
}

static inline int64_t chance_span(struct chance *c, int64_t least, int64_t most)
{
	return least + (int64_t)chance_below(c, (uint64_t)(most - least + 1));
}

static inline bool chance_percent(struct chance *c, unsigned int percent)
{
	return chance_below(c, 100) < percent;
}
