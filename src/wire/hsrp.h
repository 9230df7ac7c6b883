/* HSRP version 1 (RFC 2281) and version 2 (Cisco's TLVs, as captured), text and MD5. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vmac/mac.h>

#include "base/bytes.h"
#include "wire/verdict.h"

#define HSRP_PORT	  1985
#define HSRP_PORT_IPV6	  2029
#define HSRP_TTL	  1 /* sent; never checked */
#define HSRP_TTL_IPV6	  255
#define HSRP1_GROUP_MAX	  255
#define HSRP2_GROUP_MAX	  4095
#define HSRP_TEXT_LEN	  8
#define HSRP_TEXT_DEFAULT "cisco"
#define HSRP_LEN_MAX	  72

#define HSRP1_GROUP_IPV4                                                                           \
	{                                                                                          \
		224, 0, 0, 2                                                                       \
	}
#define HSRP2_GROUP_IPV4                                                                           \
	{                                                                                          \
		224, 0, 0, 102                                                                     \
	}
#define HSRP2_GROUP_IPV6                                                                           \
	{                                                                                          \
		0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66                            \
	}

enum hsrp_operation { HSRP_HELLO, HSRP_COUP, HSRP_RESIGN, HSRP_ADVERTISE };

/* Both versions' states; the wire's numbers differ between them. */
enum hsrp_state {
	HSRP_STATE_INITIAL,
	HSRP_STATE_LEARN,
	HSRP_STATE_LISTEN,
	HSRP_STATE_SPEAK,
	HSRP_STATE_STANDBY,
	HSRP_STATE_ACTIVE,
	HSRP_STATE_COUNT
};

enum hsrp_auth { HSRP_AUTH_TEXT, HSRP_AUTH_MD5 };

struct hsrp {
	uint8_t version;   /* 1 or 2 */
	uint8_t operation; /* enum hsrp_operation; ADVERTISE: only version and the two counts */
	uint8_t state;	   /* enum hsrp_state */
	uint8_t family;	   /* of the virtual address: 4, or 6 (version 2) */
	uint16_t group;
	uint32_t priority;	    /* version 1: 0 … 255 */
	uint32_t hello_ms, hold_ms; /* version 1: whole seconds, 1 … 255 */
	uint8_t address[16];	    /* the virtual address; zero = not known to the sender */
	vmac_mac_t identifier;	    /* version 2: the sender's burned-in address */

	uint8_t auth;		     /* enum hsrp_auth */
	uint8_t text[HSRP_TEXT_LEN]; /* zero padded */
	uint8_t md5_from[4];	     /* the sender's IPv4 address as the TLV has it */
	uint32_t md5_key_id;
	uint8_t md5_digest[16];

	uint16_t active_groups, passive_groups; /* ADVERTISE */

	/* Decoded only: what the digest covers, in the caller's memory; and where in it the digest
	 * stands, which counts as zero. */
	const uint8_t *message;
	uint16_t message_len, md5_at;
};

/* Reads one UDP payload.  Verdicts: TRUNCATED, VERSION, TYPE, LENGTH, MALFORMED (an unknown state,
 * a group above the version's, a TLV that does not fit or comes twice), INTERVAL_ZERO (hellos only:
 * RFC 2281 gives the times of other messages no meaning).  TLVs that are unknown are skipped.
 *  The TTL is not checked: Cisco sends 1, others 255.  *ret untouched unless ACCEPTED. */
enum verdict hsrp_decode(struct reader *r, struct hsrp *ret, const char **ret_why);

/* Octets that hsrp_encode() writes. */
size_t hsrp_len(const struct hsrp *h);

/* Writes one payload; marks the writer when a value cannot be sent in that version (a hello time
 * that is no whole second in version 1, …).  With HSRP_AUTH_MD5 the digest of `key` (1 … 55 octets)
 * is computed and written; key is ignored otherwise. */
void hsrp_encode(struct writer *w, const struct hsrp *h, const char *key);

/* Whether the digest of a decoded message is right (RFC 1828's keyed MD5; constant time). */
bool hsrp_md5_verify(const struct hsrp *h, const char *key);
