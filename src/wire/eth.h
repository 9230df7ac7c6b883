/* Ethernet headers (IEEE 802.3 clause 3; tags: IEEE 802.1Q clause 9, 802.1ad). */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"
#include "wire/codec.h"

#define ETH_FRAME_MIN  60 /* without the frame check sequence */
#define ETH_TAGS_MAX   2
#define ETH_LENGTH_MAX 1500   /* up to here the type field is a length (IEEE 802.3 3.2.6) */
#define ETH_TYPE_MIN   0x0600 /* from here it is a type */
#define ETH_VLAN_MAX   4094   /* 4095 is reserved (IEEE 802.1Q table 9-2) */

#define ETH_TYPE_IPV4  0x0800
#define ETH_TYPE_ARP   0x0806
#define ETH_TYPE_RARP  0x8035
#define ETH_TYPE_VLAN  0x8100 /* C-tag */
#define ETH_TYPE_IPV6  0x86dd
#define ETH_TYPE_SVLAN 0x88a8 /* S-tag */

struct eth_tag {
	uint16_t type;	  /* ETH_TYPE_VLAN or ETH_TYPE_SVLAN */
	uint8_t priority; /* 0 … 7 */
	bool drop_eligible;
	uint16_t vlan; /* 0 (priority only) … ETH_VLAN_MAX */
};

struct eth {
	vmac_mac_t to, from;
	unsigned int tag_count;
	struct eth_tag tags[ETH_TAGS_MAX]; /* the outer one first */
	uint16_t type; /* of the payload, or its length where <= ETH_LENGTH_MAX */
};

/* Reads one header with its tags.  The reader then stands at the payload; where the type is a
 * length, it also ends with the payload, so that padding is gone.  Rejects a group address as the
 * sender (IEEE 802.3 3.2.3), more than ETH_TAGS_MAX tags, VLAN 4095, and types between a length
 * and a type. */
int eth_decode(struct reader *r, struct eth *ret, const char **ret_why);

/* Writes one header; marks the writer where a value cannot be written or would not be accepted. */
void eth_encode(struct writer *w, const struct eth *e);

/* Fills a frame that started with the writer up to ETH_FRAME_MIN. */
void eth_pad(struct writer *w);
