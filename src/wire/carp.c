#include "wire/carp.h"

#include <assert.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#include "wire/checksum.h"
#include "wire/codec.h"

#define CARP_VERSION	   2
#define TYPE_ADVERTISEMENT 1
#define FIRST_OCTET	   (CARP_VERSION << 4 | TYPE_ADVERTISEMENT)
#define AUTH_WORDS	   7 /* counter and HMAC, in units of 4 octets */
#define AUTH_WORDS_AT	   3
#define CHECKSUM_AT	   6
#define ADDRESSES_MAX	   255

bool carp_is(const void *payload, size_t len)
{
	const uint8_t *p = payload;

	/* The version too: a VRRPv3 message with 7 IPv4 addresses has 36 octets and a count of 7.
	 */
	return len == CARP_LEN && p[0] >> 4 == CARP_VERSION && p[AUTH_WORDS_AT] == AUTH_WORDS;
}

static enum verdict check(const struct reader *r, const char **ret_why)
{
	size_t len = reader_left(r);

	if (len < CARP_LEN)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "packet ends inside CARP");
	if (len > CARP_LEN)
		return wire_refuse(ret_why, VERDICT_LENGTH, "CARP advertisement is too long");
	if (r->at[0] >> 4 != CARP_VERSION)
		return wire_refuse(ret_why, VERDICT_VERSION, "CARP version is not 2");
	if (r->at[0] != FIRST_OCTET)
		return wire_refuse(ret_why, VERDICT_TYPE, "CARP type is not advertisement");
	if (r->at[AUTH_WORDS_AT] != AUTH_WORDS)
		return wire_refuse(ret_why, VERDICT_LENGTH, "CARP authentication length is not 7");
	if (checksum_finish(checksum_add(0, r->at, CARP_LEN)) != 0)
		return wire_refuse(ret_why, VERDICT_CHECKSUM, "CARP checksum is wrong");
	return VERDICT_ACCEPTED;
}

enum verdict carp_decode(struct reader *r, const struct vrrp_path *path, uint8_t ttl, bool unicast,
			 struct carp *ret, const char **ret_why)
{
	struct reader in = *r;
	struct carp c = { 0 };
	enum verdict verdict;

	if (ttl != VRRP_TTL && !unicast)
		return wire_refuse(ret_why, VERDICT_TTL, "TTL or hop limit is not 255");
	verdict = check(&in, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	read_u8(&in);
	c.group = read_u8(&in);
	c.skew = read_u8(&in);
	read_u8(&in);
	c.demotion = read_u8(&in);
	c.base = read_u8(&in);
	read_u16(&in); /* checksum: proven */
	c.counter = read_u64(&in);
	wire_take(&in, c.mac, sizeof(c.mac));
	if (c.group == 0)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "vhid is 0");
	if (c.base == 0 && c.skew == 0)
		return wire_refuse(ret_why, VERDICT_INTERVAL_ZERO, "CARP base and skew are both 0");
	*ret = c;
	*r = in;
	return VERDICT_ACCEPTED;
}

/* No CARP has a pseudo-header in its checksum, not over IPv6 either. */
void carp_encode(struct writer *w, const struct vrrp_path *path, const struct carp *c)
{
	uint8_t *start = w->at;
	uint16_t value;

	if (c->group == 0 || (c->base == 0 && c->skew == 0)) {
		w->failed = true;
		return;
	}
	write_u8(w, FIRST_OCTET);
	write_u8(w, c->group);
	write_u8(w, c->skew);
	write_u8(w, AUTH_WORDS);
	write_u8(w, c->demotion);
	write_u8(w, c->base);
	write_u16(w, 0);
	write_u64(w, c->counter);
	write_bytes(w, c->mac, sizeof(c->mac));
	if (w->failed)
		return;
	value = checksum_finish(checksum_add(0, start, CARP_LEN));
	start[CHECKSUM_AT] = (uint8_t)(value >> 8);
	start[CHECKSUM_AT + 1] = (uint8_t)value;
}

/* --- the HMAC -------------------------------------------------------------------------------- */

/* By insertion: addresses mostly come in order, and there are few. */
static void sort(const uint8_t *sorted[], const uint8_t *addresses, unsigned int count, size_t len)
{
	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *address = addresses + i * len;
		unsigned int at = i;

		for (; at > 0 && memcmp(sorted[at - 1], address, len) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = address;
	}
}

static void compute(const struct carp *c, const char *key, uint8_t family, const uint8_t *addresses,
		    unsigned int count, uint8_t mac[static SHA1_DIGEST_SIZE])
{
	const uint8_t head[3] = { CARP_VERSION, TYPE_ADVERTISEMENT, c->group };
	const uint8_t *sorted[ADDRESSES_MAX];
	uint8_t padded[CARP_KEY_MAX] = { 0 };
	size_t len = family == 6 ? 16 : 4;
	struct hmac_sha1_ctx ctx;
	uint8_t counter[8];
	struct writer w = writer_of(counter, sizeof(counter));

	assert(count <= ADDRESSES_MAX);
	for (size_t i = 0; i < sizeof(padded) && key[i]; i++)
		padded[i] = (uint8_t)key[i];
	write_u64(&w, c->counter);
	sort(sorted, addresses, count, len);
	hmac_sha1_set_key(&ctx, sizeof(padded), padded);
	hmac_sha1_update(&ctx, sizeof(head), head);
	for (unsigned int i = 0; i < count; i++)
		hmac_sha1_update(&ctx, len, sorted[i]);
	hmac_sha1_update(&ctx, sizeof(counter), counter);
	hmac_sha1_digest(&ctx, SHA1_DIGEST_SIZE, mac);
}

void carp_sign(struct carp *c, const char *key, uint8_t family, const uint8_t *addresses,
	       unsigned int count)
{
	compute(c, key, family, addresses, count, c->mac);
}

bool carp_verify(const struct carp *c, const char *key, uint8_t family, const uint8_t *addresses,
		 unsigned int count)
{
	uint8_t mac[SHA1_DIGEST_SIZE];

	compute(c, key, family, addresses, count, mac);
	return memeql_sec(mac, c->mac, sizeof(mac));
}
