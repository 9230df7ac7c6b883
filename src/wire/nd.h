/* IPv6 neighbour discovery (RFC 4861): solicitations and advertisements of neighbours and routers,
 * over Ethernet (RFC 2464 section 6). */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"
#include "wire/codec.h"
#include "wire/ip.h"

#define ND_HOP_LIMIT 255

enum nd_kind {
	ND_ROUTER_SOLICIT = 133,
	ND_ROUTER_ADVERT = 134,
	ND_NEIGHBOUR_SOLICIT = 135,
	ND_NEIGHBOUR_ADVERT = 136,
};

struct nd {
	uint8_t kind; /* enum nd_kind */

	/* Neighbour solicitation and advertisement (sections 4.3, 4.4). */
	uint8_t target[16];
	bool router, solicited, override; /* advertisement only */

	/* Router advertisement (section 4.2). */
	uint8_t hop_limit;		   /* 0 = unspecified */
	bool managed, other;		   /* DHCPv6 */
	uint8_t preference;		   /* RFC 4191: 0 medium, 1 high, 3 low */
	uint16_t lifetime_s;		   /* 0 = not a default router */
	uint32_t reachable_ms, retrans_ms; /* 0 = unspecified */

	/* The link-layer address option: the sender's, or in a neighbour advertisement the
	 * target's. */
	bool has_mac;
	vmac_mac_t mac;
};

/* Reads one message out of the payload of `ip`, to the end of the reader, and holds it against
 * every validity rule of sections 6.1.1, 6.1.2, 7.1.1 and 7.1.2.  Options that the message does
 * not define are skipped ("MUST be ignored"), as is what is inside those we do not know; two
 * link-layer options that contradict each other are rejected, since hosts differ in which they
 * believe. */
int nd_decode(struct reader *r, const struct ipv6 *ip, struct nd *ret, const char **ret_why);

/* Octets that nd_encode() writes: ip.payload_len. */
size_t nd_len(const struct nd *nd);

/* Writes one message with its checksum for the addresses of `ip`; marks the writer when it breaks a
 * rule that nd_decode() would hold it against. */
void nd_encode(struct writer *w, const struct ipv6 *ip, const struct nd *nd);

/* The group that a neighbour solicitation for target goes to, ff02::1:ffXX:XXXX (RFC 4291 section
 * 2.7.1), and the Ethernet address of an IPv6 group (RFC 2464 section 7). */
void nd_solicited_node(const uint8_t target[static 16], uint8_t ret_group[static 16]);
vmac_mac_t nd_group_mac(const uint8_t group[static 16]);
