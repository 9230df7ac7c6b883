/* The room's keyed mixing.  FROZEN: stable mode promises an identity the same address after the
 * total loss of a registry, so these functions are a format.  tests/unit/pool holds them to known
 * values. */
#pragma once

#include <stdint.h>

/* The key's octets as two numbers, in the same order on every machine. */
struct mix_key {
	uint64_t k[2];
};

static inline uint64_t mix_load(const uint8_t *p, unsigned int len)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < len; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline struct mix_key mix_key_of(const uint8_t key[static 16])
{
	return (struct mix_key){ { mix_load(key, 8), mix_load(key + 8, 8) } };
}

/* A bijection of 64 bits in which every output bit depends on every input bit (the finaliser of
 * SplitMix64, public domain). */
static inline uint64_t mix_u64(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* Keyed: any octets to 64 bits.  Texts of the same length, up to eight octets, never meet. */
static inline uint64_t mix_bytes(struct mix_key key, const void *data, unsigned int len)
{
	const uint8_t *p = data;
	uint64_t h = mix_u64(key.k[0] ^ len);

	for (; len > 8; p += 8, len -= 8)
		h = mix_u64((h ^ mix_load(p, 8)) + key.k[1]);
	return mix_u64((h ^ mix_load(p, len)) + key.k[1]);
}
