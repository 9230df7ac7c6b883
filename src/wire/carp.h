/* CARP version 2, as OpenBSD, FreeBSD and ucarp speak it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/verdict.h"
#include "wire/vrrp.h"

#define CARP_LEN	  36
#define CARP_KEY_MAX	  20
#define CARP_SKEW_BOW_OUT 255 /* BSD: about to leave */

struct carp {
	uint8_t group; /* vhid, 1 … 255 */
	uint8_t skew;  /* 1/256 s; less wins */
	uint8_t base;  /* seconds */
	uint8_t demotion;
	uint64_t counter; /* grows with every advertisement */
	uint8_t mac[20];  /* HMAC-SHA1 */
};

/* Whether the payload of an IP packet of protocol 112 is CARP's and not VRRPv2's, with which it
 * shares protocol, group and first octet: exactly 36 octets of version 2, of which the fourth is 7.
 * (A VRRPv2 message of that length has the count 5 there; a VRRPv3 one the count 7.) */
bool carp_is(const void *payload, size_t len);

/* Reads one.  Verdicts: TTL (not 255 and not unicast), TRUNCATED, LENGTH, VERSION, TYPE, CHECKSUM,
 * MALFORMED (vhid 0), INTERVAL_ZERO (base and skew both zero).  *ret untouched unless ACCEPTED. */
enum verdict carp_decode(struct reader *r, const struct vrrp_path *path, uint8_t ttl, bool unicast,
			 struct carp *ret, const char **ret_why);

/* Writes CARP_LEN octets with their checksum. */
void carp_encode(struct writer *w, const struct vrrp_path *path, const struct carp *c);

/* The HMAC over version, type, vhid, the addresses in ascending order, and the counter; into
 * c->mac, or held against it (constant time).  `addresses`: count of them, 4 or 16 octets each
 * (family), in any order, at most 255.  key: at most CARP_KEY_MAX octets count. */
void carp_sign(struct carp *c, const char *key, uint8_t family, const uint8_t *addresses,
	       unsigned int count);
bool carp_verify(const struct carp *c, const char *key, uint8_t family, const uint8_t *addresses,
		 unsigned int count);
