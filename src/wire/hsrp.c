/* HSRP.
 *
 * Version 1 has a fixed form of 20 octets; version 2 is a row of options (type, length of what
 * follows, value), of which GROUP_STATE is the message.  Authentication by MD5 is the same option
 * in both: in version 1 it stands behind the 20 octets.  A payload's first octet tells the versions
 * apart: 0 is version 1's number, and no option has that type. */
#include "wire/hsrp.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/codec.h"
#include "wire/keyed_md5.h"

#define HSRP1_LEN	    20
#define HSRP1_ADVERTISE_LEN 16
#define HSRP2_VERSION	    2
#define MS_PER_S	    1000

/* Options. */
#define OPTION_HEADER	       2
#define OPTION_GROUP_STATE     1
#define OPTION_INTERFACE_STATE 2
#define OPTION_TEXT	       3
#define OPTION_MD5	       4
#define GROUP_STATE_LEN	       40
#define INTERFACE_STATE_LEN    4
#define MD5_LEN		       28
#define DIGEST_LEN	       16
#define MD5_ALGORITHM	       1

/* Version 1's interface state. */
#define ADVERTISE_TYPE	  1
#define ADVERTISE_LEN	  14 /* from the type on */
#define ADVERTISE_DORMANT 1
#define ADVERTISE_PASSIVE 2
#define ADVERTISE_ACTIVE  3

_Static_assert(OPTION_HEADER + GROUP_STATE_LEN + OPTION_HEADER + MD5_LEN == HSRP_LEN_MAX,
	       "version 2 with MD5 is the longest message");

/* RFC 2281 section 5.1; version 2 counts them through, from 1. */
static const uint8_t states1[HSRP_STATE_COUNT] = { 0, 1, 2, 4, 8, 16 };

static const char unknown_state[] = "HSRP state is unknown";
static const char interval_zero[] = "HSRP hello or hold time is 0";

/* --- decoding -------------------------------------------------------------------------------- */

/* Which options were there; none may come twice. */
struct seen {
	bool option[OPTION_MD5 + 1];
};

static bool state1_read(uint8_t wire, uint8_t *ret_state)
{
	for (uint8_t s = 0; s < HSRP_STATE_COUNT; s++) {
		if (states1[s] == wire) {
			*ret_state = s;
			return true;
		}
	}
	return false;
}

/* Version 2 has a number for "disabled" too (0), which is as good as Initial. */
static bool state2_read(uint8_t wire, uint8_t *ret_state)
{
	if (wire > HSRP_STATE_COUNT)
		return false;
	*ret_state = wire == 0 ? HSRP_STATE_INITIAL : (uint8_t)(wire - 1);
	return true;
}

/* RFC 2281 section 5.1: the times are "only meaningful in Hello messages". */
static bool times_wrong(const struct hsrp *h)
{
	return h->operation == HSRP_HELLO && (h->hello_ms == 0 || h->hold_ms == 0);
}

/* Version 1's interface state; behind version and operation. */
static enum verdict read_advertise1(struct reader *r, struct hsrp *h, const char **ret_why)
{
	uint16_t type = read_u16(r), len = read_u16(r);

	read_u16(r); /* state, which the counts tell; reserved */
	h->active_groups = read_u16(r);
	h->passive_groups = read_u16(r);
	read_u32(r); /* reserved; Cisco leaves garbage here */
	if (r->failed)
		return wire_refuse(ret_why, VERDICT_TRUNCATED,
				   "message ends inside HSRP's interface state");
	if (type != ADVERTISE_TYPE)
		return wire_refuse(ret_why, VERDICT_TYPE, "HSRP interface state of another type");
	if (len != ADVERTISE_LEN)
		return wire_refuse(ret_why, VERDICT_LENGTH,
				   "HSRP interface state of another length");
	return VERDICT_ACCEPTED;
}

static enum verdict read_version1(struct reader *r, struct hsrp *h, const char **ret_why)
{
	uint8_t state;

	h->version = 1;
	read_u8(r);
	h->operation = read_u8(r);
	if (!r->failed && h->operation > HSRP_ADVERTISE)
		return wire_refuse(ret_why, VERDICT_TYPE, "HSRP operation is unknown");
	if (h->operation == HSRP_ADVERTISE)
		return read_advertise1(r, h, ret_why);
	h->family = 4;
	state = read_u8(r);
	h->hello_ms = read_u8(r) * MS_PER_S;
	h->hold_ms = read_u8(r) * MS_PER_S;
	h->priority = read_u8(r);
	h->group = read_u8(r);
	read_u8(r); /* reserved */
	wire_take(r, h->text, sizeof(h->text));
	wire_take(r, h->address, 4);
	if (r->failed)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "message ends inside HSRP");
	if (!state1_read(state, &h->state))
		return wire_refuse(ret_why, VERDICT_MALFORMED, unknown_state);
	if (times_wrong(h))
		return wire_refuse(ret_why, VERDICT_INTERVAL_ZERO, interval_zero);
	return VERDICT_ACCEPTED;
}

static enum verdict read_group_state(struct reader *r, struct hsrp *h, const char **ret_why)
{
	uint8_t version, state, address[16];

	version = read_u8(r);
	h->operation = read_u8(r);
	state = read_u8(r);
	h->family = read_u8(r);
	h->group = read_u16(r);
	wire_take(r, h->identifier.octet, VMAC_MAC_LEN);
	h->priority = read_u32(r);
	h->hello_ms = read_u32(r);
	h->hold_ms = read_u32(r);
	wire_take(r, address, sizeof(address));
	assert(!r->failed); /* its length was checked */
	if (version != HSRP2_VERSION)
		return wire_refuse(ret_why, VERDICT_VERSION, "HSRP version is neither 1 nor 2");
	if (h->operation > HSRP_RESIGN)
		return wire_refuse(ret_why, VERDICT_TYPE, "HSRP operation is unknown");
	if (!state2_read(state, &h->state))
		return wire_refuse(ret_why, VERDICT_MALFORMED, unknown_state);
	if (h->family != 4 && h->family != 6)
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "HSRP address is neither of IPv4 nor of IPv6");
	if (h->group > HSRP2_GROUP_MAX)
		return wire_refuse(ret_why, VERDICT_MALFORMED, "HSRP group is above 4095");
	if (times_wrong(h))
		return wire_refuse(ret_why, VERDICT_INTERVAL_ZERO, interval_zero);
	memcpy(h->address, address, h->family == 6 ? 16 : 4);
	return VERDICT_ACCEPTED;
}

static enum verdict read_md5(struct reader *r, const uint8_t *start, struct hsrp *h,
			     const char **ret_why)
{
	uint8_t algorithm = read_u8(r);

	read_u8(r);
	read_u16(r); /* flags; none is known */
	wire_take(r, h->md5_from, sizeof(h->md5_from));
	h->md5_key_id = read_u32(r);
	h->md5_at = (uint16_t)(r->at - start);
	wire_take(r, h->md5_digest, sizeof(h->md5_digest));
	if (algorithm != MD5_ALGORITHM)
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "HSRP authentication algorithm is unknown");
	h->auth = HSRP_AUTH_MD5;
	return VERDICT_ACCEPTED;
}

/* The only length that an option may have; 0: the option is unknown. */
static size_t option_len(uint8_t type)
{
	switch (type) {
	case OPTION_GROUP_STATE:
		return GROUP_STATE_LEN;
	case OPTION_INTERFACE_STATE:
		return INTERFACE_STATE_LEN;
	case OPTION_TEXT:
		return HSRP_TEXT_LEN;
	case OPTION_MD5:
		return MD5_LEN;
	}
	return 0;
}

static enum verdict read_option(struct reader *r, const uint8_t *start, struct hsrp *h,
				struct seen *seen, const char **ret_why)
{
	uint8_t type = read_u8(r), len = read_u8(r);
	const uint8_t *value = read_bytes(r, len);
	struct reader in;

	if (!value)
		return wire_refuse(ret_why, VERDICT_MALFORMED,
				   "message ends inside an HSRP option");
	if (option_len(type) == 0)
		return VERDICT_ACCEPTED;
	if (len != option_len(type))
		return wire_refuse(ret_why, VERDICT_LENGTH, "HSRP option of another length");
	if (seen->option[type])
		return wire_refuse(ret_why, VERDICT_MALFORMED, "the same HSRP option twice");
	seen->option[type] = true;
	in = reader_of(value, len);
	switch (type) {
	case OPTION_GROUP_STATE:
		/* In version 1 the message has been read already. */
		return h->version == 1 ? VERDICT_ACCEPTED : read_group_state(&in, h, ret_why);
	case OPTION_INTERFACE_STATE:
		if (h->version == 2) {
			h->active_groups = read_u16(&in);
			h->passive_groups = read_u16(&in);
		}
		return VERDICT_ACCEPTED;
	case OPTION_TEXT:
		if (h->version == 2)
			wire_take(&in, h->text, sizeof(h->text));
		return VERDICT_ACCEPTED;
	case OPTION_MD5:
		return read_md5(&in, start, h, ret_why);
	}
	return VERDICT_ACCEPTED;
}

/* What the message was, and nothing that its kind does not have. */
static enum verdict settle(struct hsrp *h, const struct seen *seen, const char **ret_why)
{
	if (h->version == 2 && !seen->option[OPTION_GROUP_STATE]) {
		if (!seen->option[OPTION_INTERFACE_STATE])
			return wire_refuse(ret_why, VERDICT_TYPE,
					   "no HSRP option that says what the message is");
		h->operation = HSRP_ADVERTISE;
	}
	if (h->operation == HSRP_ADVERTISE) {
		*h = (struct hsrp){
			.version = h->version,
			.operation = HSRP_ADVERTISE,
			.active_groups = h->active_groups,
			.passive_groups = h->passive_groups,
			.message = h->message,
			.message_len = h->message_len,
		};
		return VERDICT_ACCEPTED;
	}
	h->active_groups = h->passive_groups = 0;
	if (h->auth == HSRP_AUTH_MD5)
		memset(h->text, 0, sizeof(h->text));
	return VERDICT_ACCEPTED;
}

enum verdict hsrp_decode(struct reader *r, struct hsrp *ret, const char **ret_why)
{
	enum verdict verdict = VERDICT_ACCEPTED;
	const uint8_t *start = r->at;
	struct seen seen = { 0 };
	struct reader in = *r;
	struct hsrp h = { 0 };

	if (reader_left(r) == 0)
		return wire_refuse(ret_why, VERDICT_TRUNCATED, "empty HSRP message");
	h.message = start;
	h.message_len = (uint16_t)reader_left(r);
	h.version = 2;
	if (start[0] == 0)
		verdict = read_version1(&in, &h, ret_why);
	while (verdict == VERDICT_ACCEPTED && reader_left(&in) > 0)
		verdict = read_option(&in, start, &h, &seen, ret_why);
	if (verdict == VERDICT_ACCEPTED)
		verdict = settle(&h, &seen, ret_why);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	*ret = h;
	*r = in;
	return VERDICT_ACCEPTED;
}

/* --- encoding -------------------------------------------------------------------------------- */

size_t hsrp_len(const struct hsrp *h)
{
	size_t md5 = h->auth == HSRP_AUTH_MD5 ? OPTION_HEADER + MD5_LEN : 0;

	if (h->operation == HSRP_ADVERTISE)
		return h->version == 1 ? HSRP1_ADVERTISE_LEN : OPTION_HEADER + INTERFACE_STATE_LEN;
	if (h->version == 1)
		return HSRP1_LEN + md5;
	return OPTION_HEADER + GROUP_STATE_LEN + (md5 ? md5 : OPTION_HEADER + HSRP_TEXT_LEN);
}

static bool can_be_sent(const struct hsrp *h)
{
	if (h->version != 1 && h->version != 2)
		return false;
	if (h->operation == HSRP_ADVERTISE)
		return true;
	if (h->operation > HSRP_ADVERTISE || h->state >= HSRP_STATE_COUNT || times_wrong(h))
		return false;
	if (h->version == 1)
		return h->family == 4 && h->group <= HSRP1_GROUP_MAX &&
		       h->hello_ms % MS_PER_S == 0 && h->hold_ms % MS_PER_S == 0;
	return (h->family == 4 || h->family == 6) && h->group <= HSRP2_GROUP_MAX;
}

static void write_advertise(struct writer *w, const struct hsrp *h)
{
	uint8_t state = ADVERTISE_DORMANT;

	if (h->active_groups > 0)
		state = ADVERTISE_ACTIVE;
	else if (h->passive_groups > 0)
		state = ADVERTISE_PASSIVE;
	if (h->version == 1) {
		write_u8(w, 0);
		write_u8(w, HSRP_ADVERTISE);
		write_u16(w, ADVERTISE_TYPE);
		write_u16(w, ADVERTISE_LEN);
		write_u8(w, state);
		write_u8(w, 0);
	} else {
		write_u8(w, OPTION_INTERFACE_STATE);
		write_u8(w, INTERFACE_STATE_LEN);
	}
	write_u16(w, h->active_groups);
	write_u16(w, h->passive_groups);
	if (h->version == 1)
		write_u32(w, 0);
}

static void write_version1(struct writer *w, const struct hsrp *h)
{
	write_u8(w, 0);
	write_u8(w, h->operation);
	write_u8(w, states1[h->state]);
	write_u8(w, h->hello_ms / MS_PER_S);
	write_u8(w, h->hold_ms / MS_PER_S);
	write_u8(w, h->priority);
	write_u8(w, h->group);
	write_u8(w, 0);
	if (h->auth == HSRP_AUTH_TEXT)
		write_bytes(w, h->text, sizeof(h->text));
	else
		write_zeros(w, sizeof(h->text));
	write_bytes(w, h->address, 4);
}

static void write_version2(struct writer *w, const struct hsrp *h)
{
	size_t address_len = h->family == 6 ? 16 : 4;

	write_u8(w, OPTION_GROUP_STATE);
	write_u8(w, GROUP_STATE_LEN);
	write_u8(w, HSRP2_VERSION);
	write_u8(w, h->operation);
	write_u8(w, h->state + 1u);
	write_u8(w, h->family);
	write_u16(w, h->group);
	write_bytes(w, h->identifier.octet, VMAC_MAC_LEN);
	write_u32(w, h->priority);
	write_u32(w, h->hello_ms);
	write_u32(w, h->hold_ms);
	write_bytes(w, h->address, address_len);
	write_zeros(w, sizeof(h->address) - address_len);
	if (h->auth != HSRP_AUTH_TEXT)
		return;
	write_u8(w, OPTION_TEXT);
	write_u8(w, HSRP_TEXT_LEN);
	write_bytes(w, h->text, sizeof(h->text));
}

/* The option, whose digest covers all that was written since start, its own place as zero. */
static void write_md5(struct writer *w, const uint8_t *start, const struct hsrp *h, const char *key)
{
	struct keyed_md5_piece piece = { .data = start };
	uint8_t *digest;

	write_u8(w, OPTION_MD5);
	write_u8(w, MD5_LEN);
	write_u8(w, MD5_ALGORITHM);
	write_u8(w, 0);
	write_u16(w, 0);
	write_bytes(w, h->md5_from, sizeof(h->md5_from));
	write_u32(w, h->md5_key_id);
	digest = w->at;
	write_zeros(w, DIGEST_LEN);
	if (w->failed)
		return;
	piece.len = (size_t)(w->at - start);
	keyed_md5(key, &piece, 1, digest);
}

void hsrp_encode(struct writer *w, const struct hsrp *h, const char *key)
{
	const uint8_t *start = w->at;

	if (!can_be_sent(h)) {
		w->failed = true;
		return;
	}
	if (h->operation == HSRP_ADVERTISE) {
		write_advertise(w, h);
		return;
	}
	if (h->version == 1)
		write_version1(w, h);
	else
		write_version2(w, h);
	if (h->auth == HSRP_AUTH_MD5)
		write_md5(w, start, h, key);
}

bool hsrp_md5_verify(const struct hsrp *h, const char *key)
{
	if (h->auth != HSRP_AUTH_MD5)
		return false;

	size_t behind = h->md5_at + (size_t)DIGEST_LEN;
	const struct keyed_md5_piece pieces[] = {
		{ h->message, h->md5_at },
		{ keyed_md5_zeros, DIGEST_LEN },
		{ h->message + behind, h->message_len - behind },
	};
	return keyed_md5_equals(key, pieces, ARRAY_LEN(pieces), h->md5_digest);
}
