#include "wire/pulse.h"

#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>

#include "base/cleanup.h"

#define REST_LEN 24 /* zeros behind the secret */

static const uint8_t mark[] = { 'v', 'M', 'P', 1 };

void pulse_write(struct writer *w, const struct pulse *p)
{
	write_bytes(w, p->to.octet, sizeof(p->to.octet));
	write_bytes(w, p->from.octet, sizeof(p->from.octet));
	write_u16(w, HEARTBEAT_TYPE);
	write_bytes(w, mark, sizeof(mark));
	write_u8(w, p->kind);
	write_u8(w, 0);
	write_u64(w, p->cluster);
	write_u64(w, p->secret);
	write_zeros(w, REST_LEN);
}

bool pulse_read(const void *frame, size_t len, struct pulse *ret)
{
	static const uint8_t rest[REST_LEN];
	struct reader r = reader_of(frame, len);
	uint8_t kind;

	if (len < PULSE_LEN)
		return false;
	memcpy(ret->to.octet, read_bytes(&r, sizeof(ret->to.octet)), sizeof(ret->to.octet));
	memcpy(ret->from.octet, read_bytes(&r, sizeof(ret->from.octet)), sizeof(ret->from.octet));
	if (read_u16(&r) != HEARTBEAT_TYPE ||
	    memcmp(read_bytes(&r, sizeof(mark)), mark, sizeof(mark)) != 0)
		return false;
	kind = read_u8(&r);
	if ((kind != PULSE_QUESTION && kind != PULSE_ANSWER) || read_u8(&r) != 0)
		return false;
	ret->kind = (enum pulse_kind)kind;
	ret->cluster = read_u64(&r);
	ret->secret = read_u64(&r);
	return memcmp(read_bytes(&r, sizeof(rest)), rest, sizeof(rest)) == 0;
}

uint64_t pulse_secret(const uint8_t key[static HEARTBEAT_KEY_LEN], uint64_t incarnation,
		      uint64_t count)
{
	uint8_t text[16], hash[crypto_shorthash_siphash24_BYTES] = { 0 };
	struct reader r = reader_of(hash, sizeof(hash));
	struct writer w = writer_of(text, sizeof(text));

	write_u64(&w, incarnation);
	write_u64(&w, count);
	crypto_shorthash_siphash24(hash, text, sizeof(text), key);
	return read_u64(&r);
}
