#include "wire/vrrp.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/carp.h"
#include "wire/checksum.h"
#include "wire/codec.h"
#include "wire/keyed_md5.h"

#define TYPE_ADVERTISEMENT 1
#define CHECKSUM_AT	   6
#define CHECKSUM_SIZE	   2
#define ADDRESSES_MAX	   255 /* the count is one octet */
#define INTERVAL_MASK	   0x0fff
#define CS_PER_S	   100

/* What Cisco's digest covers of a message, at most. */
#define MD5_COVERED_MAX (VRRP_HEADER_LEN + ADDRESSES_MAX * 4 + VRRP_TEXT_LEN)

/* The beginning of Cisco's trailer: type, length of what follows, algorithm, reserved. */
static const uint8_t md5_head[6] = { VRRP_AUTH_MD5, VRRP_MD5_LEN - 2, 1 };

static size_t address_len(uint8_t family)
{
	return family == 6 ? 16 : 4;
}

static bool is_link_local(const uint8_t *ip6)
{
	return ip6[0] == 0xfe && (ip6[1] & 0xc0) == 0x80;
}

/* RFC 8200 section 8.1, and its like for IPv4. */
static uint32_t pseudo_sum(const struct vrrp_path *path, size_t len)
{
	uint32_t sum = IP_PROTOCOL_VRRP + (uint32_t)len;

	sum = checksum_add(sum, path->from, address_len(path->family));
	return checksum_add(sum, path->to, address_len(path->family));
}

/* Header and addresses, and VRRPv2's authentication data. */
static size_t base_len(const struct vrrp *v, uint8_t family)
{
	return VRRP_HEADER_LEN + v->address_count * address_len(family) +
	       (v->version == 2 ? VRRP_TEXT_LEN : 0);
}

size_t vrrp_len(const struct vrrp *v, uint8_t family)
{
	bool md5 = v->version == 2 && v->auth == VRRP_AUTH_MD5;

	return base_len(v, family) + (md5 ? VRRP_MD5_LEN : 0);
}

/* --- decoding -------------------------------------------------------------------------------- */

/* The first octet and what the IP header says. */
static enum verdict check_head(const struct reader *r, const struct vrrp_path *path, uint8_t ttl,
			       bool unicast, const char **ret_why)
{
	uint8_t version;

	if (ttl != VRRP_TTL && !unicast)
		return wire_refuse(ret_why, VERDICT_TTL, "TTL or hop limit is not 255");
	if (reader_left(r) == 0)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "empty VRRP message");
	if (carp_is(r->at, reader_left(r)))
		return wire_refuse(ret_why, VERDICT_VERSION, "CARP, not VRRP");
	version = r->at[0] >> 4;
	if (version == 2 && path->family != 4)
		return wire_refuse(ret_why, VERDICT_VERSION, "VRRPv2 over IPv6");
	if (version != 2 && version != 3)
		return wire_refuse(ret_why, VERDICT_VERSION, "VRRP version is neither 2 nor 3");
	if ((r->at[0] & 0x0f) != TYPE_ADVERTISEMENT)
		return wire_refuse(ret_why, VERDICT_TYPE, "VRRP type is not advertisement");
	return VERDICT_ACCEPTED;
}

static void read_fields(struct reader *r, struct vrrp *v)
{
	v->version = read_u8(r) >> 4;
	v->group = read_u8(r);
	v->priority = read_u8(r);
	v->address_count = read_u8(r);
	if (v->version == 2) {
		v->auth = read_u8(r);
		v->interval_cs = read_u8(r) * CS_PER_S;
	} else {
		/* RFC 9568 section 5.2.6: what is reserved is ignored. */
		v->interval_cs = read_u16(r) & INTERVAL_MASK;
	}
	read_u16(r); /* checksum: proven over the whole message */
}

/* Whether the message ends where it says, with or without a trailer. */
static enum verdict measure(struct reader *r, uint8_t family, struct vrrp *v, const char **ret_why)
{
	size_t len = reader_left(r), right = vrrp_len(v, family);

	if (len < right)
		return wire_refuse(ret_why, VERDICT_TRUNCATED,
				   "VRRP message is shorter than its count of addresses says");
	v->message = r->at;
	v->message_len = (uint16_t)right;
	/* Cisco's digest is a trailer already. */
	if (len == right + VRRP_HMAC_LEN && !(v->version == 2 && v->auth == VRRP_AUTH_MD5))
		v->trailer = r->at + right;
	else if (len != right)
		return wire_refuse(ret_why, VERDICT_LENGTH,
				   "VRRP message is longer than its count of addresses says");
	return VERDICT_ACCEPTED;
}

/* What the sender's checksum covers: VRRPv2, the message; VRRPv3 over IPv6, pseudo-header, message
 * and trailer; VRRPv3 over IPv4, the message, by custom with a pseudo-header. */
static bool checksum_right(const struct vrrp_path *path, struct vrrp *v)
{
	uint32_t plain = checksum_add(0, v->message, v->message_len);
	size_t len = v->message_len + (v->trailer ? (size_t)VRRP_HMAC_LEN : 0);

	if (v->version == 2)
		return checksum_finish(plain) == 0;
	if (path->family == 6)
		return checksum_finish(checksum_add(pseudo_sum(path, len), v->message, len)) == 0;
	if (checksum_finish(plain + pseudo_sum(path, v->message_len)) == 0)
		return true;
	v->dialect = VRRP_DIALECT_PLAIN;
	return checksum_finish(plain) == 0;
}

/* VRRPv2's authentication data, which stand behind the addresses. */
static enum verdict read_auth(struct reader *r, struct vrrp *v, const char **ret_why)
{
	const uint8_t *data = read_bytes(r, VRRP_TEXT_LEN), *head;

	/* RFC 3768 section 5.3.10: ignored on reception without authentication. */
	if (v->auth == VRRP_AUTH_TEXT)
		memcpy(v->text, data, VRRP_TEXT_LEN);
	if (v->auth != VRRP_AUTH_MD5)
		return VERDICT_ACCEPTED;
	head = read_bytes(r, sizeof(md5_head));
	read_u32(r); /* the sender's address, which is in the IP header too */
	v->md5_key_id = read_u32(r);
	wire_take(r, v->md5_digest, sizeof(v->md5_digest));
	if (memcmp(head, md5_head, sizeof(md5_head)) != 0)
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "authentication of type 254 without its MD5 trailer");
	return VERDICT_ACCEPTED;
}

/* RFC 9568 section 7.1 with errata 8299, 8300 and 8301. */
static enum verdict check_values(uint8_t family, const struct vrrp *v, const char **ret_why)
{
	if (v->group == 0)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "VRID is 0");
	if (v->address_count == 0)
		return wire_refuse(ret_why, VERDICT_NO_ADDRESS,
				   "VRRP advertisement without an address");
	if (v->interval_cs == 0)
		return wire_refuse(ret_why, VERDICT_INTERVAL_ZERO,
				   "VRRP advertisement interval is 0");
	if (family == 6 && !is_link_local(v->addresses))
		return wire_refuse(ret_why, VERDICT_NOT_LINK_LOCAL,
				   "first IPv6 address is not link-local");
	return VERDICT_ACCEPTED;
}

enum verdict vrrp_decode(struct reader *r, const struct vrrp_path *path, uint8_t ttl, bool unicast,
			 struct vrrp *ret, const char **ret_why)
{
	struct reader in = *r;
	struct vrrp v = { 0 };
	enum verdict verdict;

	verdict = check_head(r, path, ttl, unicast, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	read_fields(&in, &v);
	if (in.failed)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "message ends inside VRRP's header");
	in = *r;
	verdict = measure(&in, path->family, &v, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	if (!checksum_right(path, &v))
		return wire_refuse(ret_why, VERDICT_CHECKSUM, "VRRP checksum is wrong");
	read_bytes(&in, VRRP_HEADER_LEN);
	v.addresses = read_bytes(&in, v.address_count * address_len(path->family));
	if (v.version == 2)
		verdict = read_auth(&in, &v, ret_why);
	if (verdict == VERDICT_ACCEPTED)
		verdict = check_values(path->family, &v, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	*ret = v;
	r->at = r->end;
	return VERDICT_ACCEPTED;
}

/* --- encoding -------------------------------------------------------------------------------- */

static bool can_be_sent(const struct vrrp_path *path, const struct vrrp *v)
{
	if (v->group == 0 || v->address_count == 0 || v->address_count > ADDRESSES_MAX ||
	    v->interval_cs == 0)
		return false;
	if (v->version == 2)
		return path->family == 4 && v->interval_cs % CS_PER_S == 0 &&
		       v->interval_cs / CS_PER_S <= UINT8_MAX;
	if (v->version != 3 || v->interval_cs > VRRP_INTERVAL_MAX_CS)
		return false;
	return path->family == 4 || is_link_local(v->addresses);
}

/* Everything but Cisco's trailer, with a checksum of zero. */
static void write_base(struct writer *w, const struct vrrp *v, uint8_t family)
{
	write_u8(w, (uint32_t)v->version << 4 | TYPE_ADVERTISEMENT);
	write_u8(w, v->group);
	write_u8(w, v->priority);
	write_u8(w, v->address_count);
	if (v->version == 2) {
		write_u8(w, v->auth);
		write_u8(w, v->interval_cs / CS_PER_S);
	} else {
		write_u16(w, v->interval_cs);
	}
	write_u16(w, 0);
	write_bytes(w, v->addresses, v->address_count * address_len(family));
	if (v->version == 2 && v->auth == VRRP_AUTH_TEXT)
		write_bytes(w, v->text, sizeof(v->text));
	else if (v->version == 2)
		write_zeros(w, VRRP_TEXT_LEN);
}

static void write_md5(struct writer *w, const struct vrrp_path *path, const struct vrrp *v)
{
	write_bytes(w, md5_head, sizeof(md5_head));
	write_bytes(w, path->from, 4);
	write_u32(w, v->md5_key_id);
	write_bytes(w, v->md5_digest, sizeof(v->md5_digest));
}

void vrrp_encode(struct writer *w, const struct vrrp_path *path, const struct vrrp *v,
		 const uint8_t *trailer, size_t trailer_len)
{
	uint8_t *start = w->at;
	uint32_t sum = 0;
	uint16_t value;
	size_t len;

	if (!can_be_sent(path, v)) {
		w->failed = true;
		return;
	}
	write_base(w, v, path->family);
	if (v->version == 2 && v->auth == VRRP_AUTH_MD5)
		write_md5(w, path, v);
	if (w->failed)
		return;
	len = (size_t)(w->at - start);
	/* A message has an even length, so that the trailer adds to the sum as it stands. */
	if (v->version == 3 && path->family == 6)
		sum = checksum_add(pseudo_sum(path, len + trailer_len), trailer, trailer_len);
	else if (v->version == 3 && v->dialect == VRRP_DIALECT_PSEUDO)
		sum = pseudo_sum(path, len);
	value = checksum_finish(checksum_add(sum, start, len));
	start[CHECKSUM_AT] = (uint8_t)(value >> 8);
	start[CHECKSUM_AT + 1] = (uint8_t)value;
}

/* --- Cisco's digest -------------------------------------------------------------------------- */

void vrrp_md5_sign(struct vrrp *v, const struct vrrp_path *path, const char *key)
{
	uint8_t message[MD5_COVERED_MAX];
	struct writer w = writer_of(message, sizeof(message));
	struct keyed_md5_piece piece = { .data = message };

	assert(v->version == 2 && v->auth == VRRP_AUTH_MD5 && can_be_sent(path, v));
	write_base(&w, v, path->family);
	assert(!w.failed);
	piece.len = writer_used(&w);
	keyed_md5(key, &piece, 1, v->md5_digest);
}

bool vrrp_md5_verify(const struct vrrp *v, const char *key)
{
	if (v->version != 2 || v->auth != VRRP_AUTH_MD5)
		return false;

	/* Everything but the digest's own part, the checksum as zero. */
	const struct keyed_md5_piece pieces[] = {
		{ v->message, CHECKSUM_AT },
		{ keyed_md5_zeros, CHECKSUM_SIZE },
		{ v->message + VRRP_HEADER_LEN, base_len(v, 4) - VRRP_HEADER_LEN },
	};
	return keyed_md5_equals(key, pieces, ARRAY_LEN(pieces), v->md5_digest);
}
