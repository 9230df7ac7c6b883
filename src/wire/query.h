/* General queries for multicast memberships: a guest that has just arrived is asked what it listens
 * to, so that the switches of its new place learn of it now and not at their querier's next turn
 * (IGMPv3: RFC 3376 section 4.1, which hosts of IGMPv2 understand by its first 8 octets; MLDv2: RFC
 * 3810 section 5.1, likewise). */
#pragma once

#include <vmac/mac.h>

#include "base/bytes.h"

#define QUERY_LEN_MAX 90

/* Each writes one whole Ethernet frame from `from`, padded to 60 octets, that asks for an answer
 * within max_response_ms (100 … 12,700).  It names no querier: IGMP comes from 0.0.0.0, as a
 * proxy's may (RFC 4541 section 2.1.1), so that nobody takes us for one and falls silent.  MLD must
 * come from a link-local address (RFC 3810 section 5.1.14): that of `from`.  Marks the writer when
 * it does not fit or the time is out of bounds. */
void query_igmp(struct writer *w, vmac_mac_t from, unsigned int max_response_ms);
void query_mld(struct writer *w, vmac_mac_t from, unsigned int max_response_ms);

/* Says, unasked, that whoever has `from` listens to an IPv4 multicast group (IGMPv2: RFC 2236
 * section 3, which every switch that looks at IGMP understands).  From 0.0.0.0, too. */
void query_report_igmp(struct writer *w, vmac_mac_t from, const uint8_t group[static 4]);
/* The same of an IPv6 group (MLDv1: RFC 2710 sections 3 and 4), and that it does so no more.  From
 * the link-local address of `from`. */
void query_report_mld(struct writer *w, vmac_mac_t from, const uint8_t group[static 16]);
void query_done_mld(struct writer *w, vmac_mac_t from, const uint8_t group[static 16]);
