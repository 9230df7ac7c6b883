/* GLBP.  No document describes it: this is what its messages look like on the wire.  A header of 12
 * octets, then options (type, length with these two octets, value). */
#include "wire/glbp.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/codec.h"
#include "wire/keyed_md5.h"

#define GLBP_VERSION	 1
#define GLBP_HEADER_LEN	 12
#define OPTION_HEADER	 2
#define OPTION_HELLO	 1
#define OPTION_FORWARDER 2
#define OPTION_AUTH	 3
#define HELLO_LEN	 22 /* without the address */
#define FORWARDER_LEN	 18
#define ADDRESS_IPV4	 1
#define ADDRESS_IPV6	 2
#define AUTH_TEXT	 1
#define AUTH_MD5_STRING	 2
#define AUTH_MD5_CHAIN	 3
#define DIGEST_LEN	 16

static enum verdict read_header(struct reader *r, struct glbp *g, const char **ret_why)
{
	uint8_t version = read_u8(r);

	read_u8(r);
	g->group = read_u16(r);
	read_u16(r);
	wire_take(r, g->owner.octet, VMAC_MAC_LEN);
	if (r->failed)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "message ends inside GLBP's header");
	if (version != GLBP_VERSION)
		return wire_refuse(ret_why, VERDICT_VERSION, "GLBP version is not 1");
	if (g->group > GLBP_GROUP_MAX)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "GLBP group is above 1023");
	return VERDICT_ACCEPTED;
}

static enum verdict read_hello(struct reader *r, struct glbp *g, const char **ret_why)
{
	uint8_t type, len;

	if (g->has_hello)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "two GLBP hellos");
	read_u8(r);
	g->state = read_u8(r);
	read_u8(r);
	g->priority = read_u8(r);
	read_u16(r);
	g->hello_ms = read_u32(r);
	g->hold_ms = read_u32(r);
	g->redirect_s = read_u16(r);
	g->timeout_s = read_u16(r);
	read_u16(r);
	type = read_u8(r);
	len = read_u8(r);
	if (r->failed)
		return wire_refuse(ret_why, VERDICT_LENGTH, "GLBP hello is too short");
	if (!(type == ADDRESS_IPV4 && len == 4) && !(type == ADDRESS_IPV6 && len == 16))
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "GLBP address is neither of IPv4 nor of IPv6");
	if (reader_left(r) != len)
		return wire_refuse(ret_why, VERDICT_LENGTH,
				   "GLBP hello's length and address disagree");
	g->family = type == ADDRESS_IPV6 ? 6 : 4;
	wire_take(r, g->address, len);
	g->has_hello = true;
	return VERDICT_ACCEPTED;
}

static enum verdict read_forwarder(struct reader *r, struct glbp *g, const char **ret_why)
{
	struct glbp_forwarder *f;

	if (reader_left(r) != FORWARDER_LEN)
		return wire_refuse(ret_why, VERDICT_LENGTH, "GLBP forwarder of another length");
	if (g->forwarder_count == GLBP_FORWARDERS_MAX)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "more than four GLBP forwarders");
	f = &g->forwarders[g->forwarder_count++];
	f->number = read_u8(r);
	f->state = read_u8(r);
	read_u8(r);
	f->priority = read_u8(r);
	f->weight = read_u8(r);
	read_u8(r);
	f->timeout_s = read_u16(r);
	f->redirect_s = read_u16(r);
	read_u16(r);
	wire_take(r, f->mac.octet, VMAC_MAC_LEN);
	return VERDICT_ACCEPTED;
}

static enum verdict read_auth(struct reader *r, const uint8_t *start, struct glbp *g,
			      const char **ret_why)
{
	uint8_t kind = read_u8(r), len = read_u8(r);
	size_t digest_at = kind == AUTH_MD5_CHAIN ? 4 : 0;

	if (r->failed || reader_left(r) != len)
		return wire_refuse(ret_why, VERDICT_LENGTH,
				   "GLBP authentication's lengths disagree");
	if (g->auth != 0)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "two GLBP authentications");
	if (kind == AUTH_TEXT) {
		if (len >= sizeof(g->text))
			return wire_refuse(ret_why, VERDICT_LENGTH, "GLBP text is too long");
		wire_take(r, g->text, len);
		g->auth = kind;
		return VERDICT_ACCEPTED;
	}
	if (kind != AUTH_MD5_STRING && kind != AUTH_MD5_CHAIN)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "GLBP authentication is unknown");
	if (len != digest_at + DIGEST_LEN)
		return wire_refuse(ret_why, VERDICT_LENGTH, "GLBP digest of another length");
	if (kind == AUTH_MD5_CHAIN)
		g->md5_key_id = read_u32(r);
	g->md5_at = (uint16_t)(r->at - start);
	wire_take(r, g->md5_digest, DIGEST_LEN);
	g->auth = kind;
	return VERDICT_ACCEPTED;
}

static enum verdict read_option(struct reader *r, const uint8_t *start, struct glbp *g,
				const char **ret_why)
{
	uint8_t type = read_u8(r), len = read_u8(r);
	const uint8_t *value;
	struct reader in;

	if (!r->failed && len < OPTION_HEADER)
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "GLBP option shorter than its header");
	value = r->failed ? NULL : read_bytes(r, len - (size_t)OPTION_HEADER);
	if (!value)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "message ends inside a GLBP option");
	in = reader_of(value, len - (size_t)OPTION_HEADER);
	switch (type) {
	case OPTION_HELLO:
		return read_hello(&in, g, ret_why);
	case OPTION_FORWARDER:
		return read_forwarder(&in, g, ret_why);
	case OPTION_AUTH:
		return read_auth(&in, start, g, ret_why);
	}
	return VERDICT_ACCEPTED;
}

enum verdict glbp_decode(struct reader *r, struct glbp *ret, const char **ret_why)
{
	const uint8_t *start = r->at;
	struct reader in = *r;
	struct glbp g = { 0 };
	enum verdict verdict;

	g.message = start;
	g.message_len = (uint16_t)reader_left(r);
	verdict = read_header(&in, &g, ret_why);
	while (verdict == VERDICT_ACCEPTED && reader_left(&in) > 0)
		verdict = read_option(&in, start, &g, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	*ret = g;
	*r = in;
	return VERDICT_ACCEPTED;
}

bool glbp_md5_verify(const struct glbp *g, const uint8_t from[static 4], const char *key)
{
	if (g->auth != AUTH_MD5_STRING && g->auth != AUTH_MD5_CHAIN)
		return false;

	size_t behind = g->md5_at + (size_t)DIGEST_LEN;
	/* In the digest's place stands the sender's address. */
	const struct keyed_md5_piece pieces[] = {
		{ g->message, g->md5_at },
		{ from, 4 },
		{ keyed_md5_zeros, DIGEST_LEN - 4 },
		{ g->message + behind, g->message_len - behind },
	};
	return keyed_md5_equals(key, pieces, ARRAY_LEN(pieces), g->md5_digest);
}
