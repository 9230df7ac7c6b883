#include "pool/permute.h"

#include <assert.h>

#include "pool/mix.h"

void permutation_init(struct permutation *p, uint64_t n, const uint8_t key[static 16])
{
	struct mix_key key_words = mix_key_of(key);

	assert(n >= 1 && n <= PERMUTATION_N_MAX);
	*p = (struct permutation){ .n = n, .high_bits = 1, .low_bits = 1 };
	while (n > UINT64_C(1) << (p->high_bits + p->low_bits))
		if (p->low_bits > p->high_bits)
			p->high_bits++;
		else
			p->low_bits++;
	for (unsigned int i = 0; i < PERMUTATION_ROUNDS; i++)
		p->round_key[i] = mix_u64(key_words.k[0] + mix_u64(key_words.k[1] + i));
}

/* The top bits of a product depend on every bit below them, so they are the ones to take. */
static inline uint64_t round_value(uint64_t part, uint64_t round_key, unsigned int bits)
{
	uint64_t x = (part ^ round_key) * 0x9e3779b97f4a7c15ULL;

	return (x ^ x >> 32) * 0xd6e8feb86659fd93ULL >> (64 - bits);
}

uint64_t permutation_apply(const struct permutation *p, uint64_t i)
{
	const unsigned int high_bits = p->high_bits, low_bits = p->low_bits;

	assert(i < p->n);
	do {
		uint64_t high = i >> low_bits, low = i & ((UINT64_C(1) << low_bits) - 1);

		for (unsigned int r = 0; r < PERMUTATION_ROUNDS; r += 2) {
			high ^= round_value(low, p->round_key[r], high_bits);
			low ^= round_value(high, p->round_key[r + 1], low_bits);
		}
		i = high << low_bits | low;
	} while (i >= p->n);
	return i;
}

uint64_t permutation_inverse(const struct permutation *p, uint64_t i)
{
	const unsigned int high_bits = p->high_bits, low_bits = p->low_bits;

	assert(i < p->n);
	do {
		uint64_t high = i >> low_bits, low = i & ((UINT64_C(1) << low_bits) - 1);

		for (unsigned int r = PERMUTATION_ROUNDS; r > 0; r -= 2) {
			low ^= round_value(high, p->round_key[r - 1], low_bits);
			high ^= round_value(low, p->round_key[r - 2], high_bits);
		}
		i = high << low_bits | low;
	} while (i >= p->n);
	return i;
}
