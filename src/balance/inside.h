/* What the files of the tables share: keyed seeds, and a mix that is cheap and strong. */
#pragma once

#include <stdint.h>

#include "balance/table.h"

/* The n-th 64-bit word that a key gives to a member (or to a row, a face): SipHash-2-4 of both. */
enum balance_purpose {
	BALANCE_ORDER,	/* words 0 and 1: the member's own order of the rows */
	BALANCE_JITTER, /* … and what parts it from others in a row */
	BALANCE_ROW,
	BALANCE_OFFSET,
	BALANCE_SKIP
};
uint64_t balance_seed(const uint8_t key[static 16], enum balance_purpose purpose, uint32_t variant,
		      uint32_t number);

size_t balance_maglev_words(unsigned int member_count);

/* Steele, Lea and Flood's finalizer (OOPSLA 2014): a bijection of 64 bits. */
static inline uint64_t balance_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}
