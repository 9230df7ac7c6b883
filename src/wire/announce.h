/* Frames that tell a LAN where an address lives now: gratuitous ARP (RFC 5227 section 3; RFC 9568
 * section 6.4.1 with errata 7947 and 7949), unsolicited neighbour advertisement (RFC 4861 section
 * 7.2.6), and RARP, which only moves the switches' entry. */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"

enum announce_form { ANNOUNCE_REQUEST, ANNOUNCE_REPLY, ANNOUNCE_FORM_COUNT };

#define ANNOUNCE_LEN_MAX 90

/* Each writes one whole Ethernet frame, padded to 60 octets, sent by `mac` to everybody (IPv6: to
 * all nodes).  Marks the writer when it does not fit. */

/* Sender and target protocol address are `ip`, sender and target hardware address are `mac`. */
void announce_arp(struct writer *w, enum announce_form form, vmac_mac_t mac,
		  const uint8_t ip[static 4]);

/* Override set, solicited clear, with the target link-layer address option; from `from` (the
 * virtual router's link-local address, or the target itself). */
void announce_nd(struct writer *w, vmac_mac_t mac, const uint8_t from[static 16],
		 const uint8_t target[static 16], bool router);

void announce_rarp(struct writer *w, vmac_mac_t mac);
