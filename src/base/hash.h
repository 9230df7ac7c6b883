/* Hashes for tables in memory.  Not for anything that an attacker on the wire may aim at, and not
 * stored anywhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A bijection of 64 bits whose output bits all depend on all input bits (the finaliser of
 * MurmurHash3, public domain constants). */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

/* FNV-1a over len octets, finished with hash_u64; seed keeps equal bytes of two kinds apart. */
static inline uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325ULL ^ seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return hash_u64(h);
}
