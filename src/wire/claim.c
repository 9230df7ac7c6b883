#include "wire/claim.h"

#include <assert.h>
#include <nettle/memops.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/announce.h"
#include "wire/arp.h"
#include "wire/eth.h"

#define MARK	0x764d /* "vM" */
#define MARK_AT 42
#define TAGGED	52 /* so many octets the tag covers */
#define TAG_LEN 8

_Static_assert(CLAIM_LEN == ETH_FRAME_MIN && CLAIM_LEN == TAGGED + TAG_LEN, "it fills the padding");
_Static_assert(crypto_shorthash_siphash24_BYTES == TAG_LEN, "SipHash-2-4 of 64 bits");
_Static_assert(crypto_shorthash_siphash24_KEYBYTES == CLAIM_KEY_LEN, "a key of 128 bits");

static void tag_of(const void *frame, const uint8_t key[static CLAIM_KEY_LEN],
		   uint8_t ret[static TAG_LEN])
{
	crypto_shorthash_siphash24(ret, frame, TAGGED, key);
}

void claim_write(struct writer *w, const struct claim_tag *tag,
		 const uint8_t key[static CLAIM_KEY_LEN])
{
	uint8_t frame[CLAIM_LEN], code[TAG_LEN];
	struct writer f = writer_of(frame, sizeof(frame));

	announce_rarp(&f, tag->address);
	assert(!f.failed);
	f.at = frame + MARK_AT;
	write_u16(&f, MARK);
	write_u16(&f, tag->epoch >> 32);
	write_u32(&f, tag->epoch & UINT32_MAX);
	write_u16(&f, tag->host);
	if (f.failed) {
		w->failed = true;
		return;
	}
	tag_of(frame, key, code);
	write_bytes(&f, code, sizeof(code));
	write_bytes(w, frame, sizeof(frame));
}

bool claim_peek(const void *frame, size_t len, struct claim_tag *ret)
{
	struct reader r = reader_of(frame, len);
	struct claim_tag tag;
	uint64_t high;
	struct eth eth;
	struct arp arp;

	if (len < CLAIM_LEN || eth_decode(&r, &eth, NULL) < 0 || eth.tag_count > 0 ||
	    eth.type != ETH_TYPE_RARP || arp_decode(&r, eth.type, &arp, NULL) < 0 ||
	    read_u16(&r) != MARK)
		return false;
	high = read_u16(&r);
	tag.epoch = high << 32 | read_u32(&r);
	tag.host = read_u16(&r);
	tag.address = eth.from;
	*ret = tag;
	return true;
}

enum claim_verdict claim_read(const void *frame, size_t len,
			      const uint8_t key[static CLAIM_KEY_LEN], struct claim_tag *ret)
{
	uint8_t code[TAG_LEN], expected[CLAIM_LEN];
	struct claim_tag tag;
	struct writer w = writer_of(expected, sizeof(expected));

	if (!claim_peek(frame, len, &tag))
		return CLAIM_UNTAGGED;
	tag_of(frame, key, code);
	if (!memeql_sec(code, (const uint8_t *)frame + TAGGED, sizeof(code)))
		return CLAIM_FORGED;
	/* One who has the key writes nothing else. */
	claim_write(&w, &tag, key);
	if (w.failed || memcmp(expected, frame, sizeof(expected)) != 0)
		return CLAIM_FORGED;
	*ret = tag;
	return CLAIM_VALID;
}

/* No tag is ever of such octets: those begin with a broadcast. */
void claim_key_check(const uint8_t key[static CLAIM_KEY_LEN],
		     char ret[static CLAIM_KEY_CHECK_LEN + 1])
{
	static const char about[] = "vmac: which cluster key";
	uint8_t code[TAG_LEN];

	crypto_shorthash_siphash24(code, (const uint8_t *)about, sizeof(about) - 1, key);
	for (size_t i = 0; i < sizeof(code); i++)
		snprintf(ret + 2 * i, 3, "%02x", code[i]);
}

const char *claim_verdict_name(enum claim_verdict v)
{
	static const char *const names[] = { "valid", "untagged", "forged" };

	_Static_assert(ARRAY_LEN(names) == CLAIM_VERDICT_COUNT, "every verdict has a name");
	assert((size_t)v < ARRAY_LEN(names));
	return names[v];
}
