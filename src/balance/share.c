/* What both kinds of tables need, and which face is a client's. */
#include <assert.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>

#include "balance/inside.h"
#include "base/bytes.h"

_Static_assert(crypto_shorthash_siphash24_KEYBYTES == 16, "a key of 128 bits");

uint64_t balance_seed(const uint8_t key[static 16], enum balance_purpose purpose, uint32_t variant,
		      uint32_t number)
{
	uint8_t text[12] = { 0 }, hash[8] = { 0 };
	struct writer w = writer_of(text, sizeof(text));
	struct reader r = reader_of(hash, sizeof(hash));

	write_u32(&w, (uint32_t)purpose);
	write_u32(&w, variant);
	write_u32(&w, number);
	crypto_shorthash_siphash24(hash, text, sizeof(text), key);
	return read_u64(&r);
}

unsigned int balance_shares(const struct balance_row *rows, unsigned int row_count,
			    const struct balance_choice *members, unsigned int count,
			    uint32_t *ret_rows)
{
	uint16_t index_of[CLUSTER_MEMBERS_MAX + 1] = { 0 };
	unsigned int nobody = 0;

	assert(count <= CLUSTER_MEMBERS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		assert(members[i].id && members[i].id <= CLUSTER_MEMBERS_MAX);
		index_of[members[i].id] = (uint16_t)(i + 1);
		ret_rows[i] = 0;
	}
	for (unsigned int row = 0; row < row_count; row++) {
		const unsigned int at =
			rows[row].first <= CLUSTER_MEMBERS_MAX ? index_of[rows[row].first] : 0;

		if (at)
			ret_rows[at - 1]++;
		else
			nobody++;
	}
	return nobody;
}

static uint64_t little_endian(const uint8_t octets[static 8])
{
	uint64_t n = 0;

	for (unsigned int i = 8; i > 0; i--)
		n = n << 8 | octets[i - 1];
	return n;
}

int balance_face(const uint8_t key[static 16], const struct ip *client, unsigned int face_count,
		 uint32_t live)
{
	uint64_t seed, score, best = 0;
	uint8_t address[16] = { 0 };
	int face = -1;

	assert(face_count <= CLUSTER_FACES_MAX);
	memcpy(address, client->octet, client->family == 4 ? 4 : sizeof(address));
	seed = balance_mix(little_endian(key) ^ little_endian(address));
	seed = balance_mix(seed ^ little_endian(key + 8) ^ little_endian(address + 8));
	for (unsigned int i = 0; i < face_count; i++) {
		score = balance_mix(seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
		if (live >> i & 1 && (face < 0 || score > best)) {
			best = score;
			face = (int)i;
		}
	}
	return face;
}
