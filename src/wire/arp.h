/* ARP for IPv4 over Ethernet (RFC 826; probes and announcements: RFC 5227) and RARP (RFC 903),
 * which shares its form. */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"
#include "wire/codec.h"

#define ARP_LEN 28

enum arp_operation {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	RARP_REQUEST = 3,
	RARP_REPLY = 4,
};

struct arp {
	uint16_t operation; /* enum arp_operation */
	vmac_mac_t sender_mac, target_mac;
	uint8_t sender_ip[4], target_ip[4];
};

/* The Ethernet type that carries an operation: ETH_TYPE_ARP or ETH_TYPE_RARP. */
uint16_t arp_eth_type(uint16_t operation);

/* Reads one packet out of a frame of type eth_type; what is left in the reader is padding.
 * Rejects other hardware or protocol types and lengths, and operations that do not belong to
 * eth_type.  Says nothing about whether the addresses make sense together: that is the guard's. */
int arp_decode(struct reader *r, uint16_t eth_type, struct arp *ret, const char **ret_why);

/* Writes ARP_LEN octets; marks the writer when the operation is none of the four. */
void arp_encode(struct writer *w, const struct arp *a);

/* RFC 5227 section 1.1: a request that asks without telling, and one that tells. */
bool arp_is_probe(const struct arp *a);
bool arp_is_announcement(const struct arp *a);
