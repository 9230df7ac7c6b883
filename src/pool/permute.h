/* A keyed permutation of [0, n): neighbours in, strangers out, nothing to store but the key. */
#pragma once

#include <stdint.h>

/* Theory of operation
 *
 * A balanced Feistel network over 2 * half_bits bits, the smallest even width whose domain holds n,
 * so that the domain is less than 4 n.  A result at or above n is fed through again until it falls
 * below (cycle walking, Black and Rogaway 2002), on average fewer than four turns.  Both steps are bijections, so
 * the whole is: no two indices ever meet, and nothing is probed.
 *
 * It hides which address comes next from a casual reader; it is not a cipher and guards no secret. */
struct permutation {
	uint64_t n; /* 1 … 2^44 */
	unsigned int half_bits;
	uint64_t round_key[6];
};

void permutation_init(struct permutation *p, uint64_t n, const uint8_t key[static 16]);
uint64_t permutation_apply(const struct permutation *p, uint64_t i);   /* i < n */
uint64_t permutation_inverse(const struct permutation *p, uint64_t i); /* i < n */
