/* Octets as text, as vectors are printed; and random values that are the same in every run. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Blanks are skipped; how many octets were written. */
static inline size_t hex(const char *text, uint8_t *ret)
{
	char two[3] = { 0 };
	size_t len = 0;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		two[0] = text[0];
		two[1] = text[1];
		ret[len++] = (uint8_t)strtoul(two, NULL, 16);
		text++;
	}
	return len;
}

/* SplitMix64. */
struct chance {
	uint64_t state;
};

static inline uint64_t chance_u64(struct chance *c)
{
	uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* low … high */
static inline uint32_t chance_in(struct chance *c, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(chance_u64(c) % ((uint64_t)high - low + 1));
}

static inline void chance_fill(struct chance *c, void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = (uint8_t)chance_u64(c);
}
