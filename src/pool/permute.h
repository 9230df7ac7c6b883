/* A keyed permutation of [0, n): neighbours in, strangers out, nothing to store but the key. */
#pragma once

#include <stdint.h>

/* Theory of operation
 *
 * A Feistel network over the smallest width of at least two bits whose domain holds n, so that the
 * domain is less than 2 n (4 where n is 1).  The width is cut into a high and a low part of equal
 * size, or with one bit more in the low one; each round mixes one part into the other, in turn.  A
 * result at or above n is fed through again until it falls below (cycle walking, Black and Rogaway
 * 2002): fewer than two turns on average, and never more than the domain has values at or above n,
 * plus one, because no turn comes to the same value twice.  Both steps are bijections, so the whole
 * is: no two indices ever meet, and nothing is probed.
 *
 * It hides which address comes next from a casual reader; it is not a cipher and guards no secret.
 * That is why a round is two multiplications and not a keyed hash of the textbooks: six such rounds
 * cost a quarter as much and look as random to people and switches.
 *
 * The mapping is a format (see mix.h). */
#define PERMUTATION_N_MAX  (UINT64_C(1) << 44)
#define PERMUTATION_ROUNDS 6

struct permutation {
	uint64_t n; /* 1 … PERMUTATION_N_MAX */
	unsigned int high_bits, low_bits;
	uint64_t round_key[PERMUTATION_ROUNDS];
};

void permutation_init(struct permutation *p, uint64_t n, const uint8_t key[static 16]);
uint64_t permutation_apply(const struct permutation *p, uint64_t i);   /* i < n */
uint64_t permutation_inverse(const struct permutation *p, uint64_t i); /* i < n */
