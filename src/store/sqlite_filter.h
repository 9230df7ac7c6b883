/* A Bloom filter: which texts may stand in a block of the history.
 *
 * Its bits are stored in the registry, so its hash may never change (schema version otherwise). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 16 bits for each of 4,096 subjects and 4 probes: 1 block in 400 is read in vain. */
#define FILTER_OCTETS 8192
#define FILTER_PROBES 4

enum filter_kind { FILTER_SEGMENT = 's', FILTER_SUBJECT = 'x' };

struct filter {
	uint8_t bits[FILTER_OCTETS];
};

/* FNV-1a over the kind and the text, then the finaliser of MurmurHash3. */
static inline uint64_t filter_hash(enum filter_kind kind, const char *text)
{
	uint64_t h = (0xcbf29ce484222325ULL ^ (uint8_t)kind) * 0x100000001b3ULL;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

/* Each probe is 16 of the 64 bits: exactly enough to name one of 65,536. */
_Static_assert(FILTER_OCTETS * 8 == 65536 && FILTER_PROBES * 16 == 64, "a hash is four probes");

static inline void filter_add(struct filter *f, uint64_t hash)
{
	for (unsigned int i = 0; i < FILTER_PROBES; i++, hash >>= 16)
		f->bits[(hash & 0xffff) >> 3] |= (uint8_t)(1u << (hash & 7));
}

static inline bool filter_may_have(const uint8_t bits[FILTER_OCTETS], uint64_t hash)
{
	for (unsigned int i = 0; i < FILTER_PROBES; i++, hash >>= 16)
		if (!(bits[(hash & 0xffff) >> 3] & 1u << (hash & 7)))
			return false;
	return true;
}
