/* VRRPv2 (RFC 3768; authentication: RFC 2338, and Cisco's MD5) and VRRPv3 (RFC 9568, RFC 5798). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/verdict.h"

#define IP_PROTOCOL_VRRP     112
#define VRRP_TTL	     255
#define VRRP_HEADER_LEN	     8
#define VRRP_TEXT_LEN	     8	/* VRRPv2's authentication data, present always */
#define VRRP_MD5_LEN	     30 /* Cisco's trailer with its type and length */
#define VRRP_INTERVAL_MAX_CS 4095
#define VRRP_PRIORITY_OWNER  255
#define VRRP_PRIORITY_STOP   0

#define VRRP_GROUP_IPV4                                                                            \
	{                                                                                          \
		224, 0, 0, 18                                                                      \
	}
#define VRRP_GROUP_IPV6                                                                            \
	{                                                                                          \
		0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12                            \
	}

enum vrrp_auth { /* as on the wire; VRRPv3 has none */
		 VRRP_AUTH_NONE = 0,
		 VRRP_AUTH_TEXT = 1,
		 VRRP_AUTH_AH = 2,
		 VRRP_AUTH_MD5 = 254, /* Cisco */
};

/* Which checksum a VRRPv3 message over IPv4 has: with the pseudo-header (RFC 5798 as deployed) or
 * over the message alone (RFC 9568 section 5.2.8). */
enum vrrp_dialect { VRRP_DIALECT_PSEUDO, VRRP_DIALECT_PLAIN, VRRP_DIALECT_COUNT };

/* The IP header that a message came or goes with: 4 or 16 octets of each address count. */
struct vrrp_path {
	uint8_t family; /* 4 or 6 */
	uint8_t from[16], to[16];
};

struct vrrp {
	uint8_t version; /* 2 or 3 */
	uint8_t group;	 /* VRID, 1 … 255 */
	uint8_t priority;
	uint16_t interval_cs; /* centiseconds; VRRPv2: a multiple of 100 */
	unsigned int address_count;
	const uint8_t *addresses;  /* address_count times 4 or 16 octets, in the caller's memory */
	enum vrrp_dialect dialect; /* VRRPv3 over IPv4: decoded: what was found; else PSEUDO */

	/* VRRPv2 only. */
	uint8_t auth;		     /* enum vrrp_auth */
	uint8_t text[VRRP_TEXT_LEN]; /* zero but for VRRP_AUTH_TEXT */
	uint32_t md5_key_id;
	uint8_t md5_digest[16];

	/* What keys are computed over (decoded only; in the caller's memory): the message itself
	 * without trailer, and the trailer (wire/vrrp_hmac.h) or NULL. */
	const uint8_t *message; /* Cisco's digest included */
	uint16_t message_len;
	const uint8_t *trailer; /* VRRP_HMAC_LEN octets */
};

/* Reads one message, the payload of an IP packet whose header is `path`; the reader ends with that
 * payload (IP's length, not Ethernet's).  `ttl` is the packet's; `unicast` says that the group has
 * unicast peers, for which the TTL is not checked.  Checks, in this order and with these verdicts
 * (RFC 9568 section 7.1 and its errata 8299 to 8301): TTL, VERSION, TYPE, TRUNCATED or LENGTH,
 * CHECKSUM (either dialect passes), MALFORMED (VRID 0; authentication 254 without its digest),
 * NO_ADDRESS, INTERVAL_ZERO, NOT_LINK_LOCAL.  VRRPv2's type of authentication is not judged.  A
 * CARP advertisement is VERSION, never a VRRPv2 message (see wire/carp.h).  Behind the message may
 * stand exactly one authentication trailer.  *ret is untouched unless ACCEPTED; *ret_why (may be
 * NULL) gets static text for people. */
enum verdict vrrp_decode(struct reader *r, const struct vrrp_path *path, uint8_t ttl, bool unicast,
			 struct vrrp *ret, const char **ret_why);

/* Octets that vrrp_encode() writes, the trailer not included. */
size_t vrrp_len(const struct vrrp *v, uint8_t family);

/* Writes one message with its checksum; marks the writer when a value cannot be sent (VRRPv2 over
 * IPv6, an interval that is no whole second in VRRPv2 or above 40.95 s in VRRPv3, 0 or more than
 * 255 addresses).  `trailer_len` octets follow, which IPv6's checksum must cover: pass them (zeros
 * in place of the HMAC are wrong), or 0.  The caller writes them: the HMAC needs the message first,
 * so a signed message over IPv6 is encoded twice.  For VRRP_AUTH_MD5 the digest is written as
 * given: see vrrp_md5_sign(). */
void vrrp_encode(struct writer *w, const struct vrrp_path *path, const struct vrrp *v,
		 const uint8_t *trailer, size_t trailer_len);

/* Cisco's digest (type 254) of a message to be sent from `from`, into v->md5_digest; and whether
 * the digest of a decoded message is right (constant time).  The key: 1 … 55 octets. */
void vrrp_md5_sign(struct vrrp *v, const struct vrrp_path *path, const char *key);
bool vrrp_md5_verify(const struct vrrp *v, const char *key);

/* --- the HMAC trailer (draft-cassen-vrrp-auth-hmac, as keepalived 2.4.2 has it) --------------- */

#define VRRP_HMAC_LEN 28

struct vrrp_hmac {
	uint8_t key_id;
	uint64_t sequence; /* sec << 32 | subsec << 16 | counter: grows with every message */
	uint8_t mac[16];
};

/* Splits a trailer; false: not of type 1, or its reserved field is not zero. */
bool vrrp_hmac_read(const uint8_t trailer[static VRRP_HMAC_LEN], struct vrrp_hmac *ret);

/* Writes the trailer for a message (whose checksum field counts as zero), and checks one (constant
 * time).  key: any octets. */
void vrrp_hmac_sign(const struct vrrp_path *path, const uint8_t *message, size_t message_len,
		    uint8_t key_id, uint64_t sequence, const void *key, size_t key_len,
		    uint8_t ret_trailer[static VRRP_HMAC_LEN]);
bool vrrp_hmac_verify(const struct vrrp_path *path, const struct vrrp *v, const void *key,
		      size_t key_len);
