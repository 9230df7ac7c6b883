/* The headers of IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768).
 *
 * A decoded header leaves the reader at its payload, and ending with it: Ethernet padding is gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/codec.h"

#define IP_PROTOCOL_UDP	   17
#define IP_PROTOCOL_ICMPV6 58
#define IPV4_HEADER_LEN	   20 /* without options */
#define IPV4_OPTIONS_MAX   40
#define IPV6_HEADER_LEN	   40
#define UDP_HEADER_LEN	   8

struct ipv4 {
	uint8_t tos;	      /* DSCP and ECN (RFC 2474, RFC 3168) */
	uint16_t payload_len; /* total length less header */
	uint16_t id;
	bool dont_fragment, more_fragments;
	uint16_t fragment; /* offset in units of 8 octets, 0 … 0x1fff */
	uint8_t ttl, protocol;
	uint8_t from[4], to[4];
	uint8_t options_len; /* a multiple of 4, at most IPV4_OPTIONS_MAX */
	uint8_t options[IPV4_OPTIONS_MAX];
};

struct ipv6 {
	uint8_t traffic_class;
	uint32_t flow; /* 20 bits */
	uint16_t payload_len;
	uint8_t next_header, hop_limit;
	uint8_t from[16], to[16];
};

struct udp {
	uint16_t from, to; /* ports */
	uint16_t payload_len;
	bool unchecked; /* no checksum (IPv4 only) */
};

/* Rejects wrong versions, lengths that do not fit, the reserved flag, and a wrong checksum. */
int ipv4_decode(struct reader *r, struct ipv4 *ret, const char **ret_why);

/* Writes the header with its checksum; the caller writes payload_len octets behind it. */
void ipv4_encode(struct writer *w, const struct ipv4 *ip);

/* Rejects wrong versions and payloads that do not fit.  Extension headers are payload. */
int ipv6_decode(struct reader *r, struct ipv6 *ret, const char **ret_why);
void ipv6_encode(struct writer *w, const struct ipv6 *ip);

/* The pseudo header's sum without the upper layer's length (RFC 768; RFC 8200 section 8.1). */
uint32_t ipv4_pseudo_sum(const struct ipv4 *ip, uint8_t protocol);
uint32_t ipv6_pseudo_sum(const struct ipv6 *ip, uint8_t next_header);

/* Read one datagram of the packet that `ip` heads (not a fragment).  Reject lengths that do not fit
 * and a wrong checksum; for IPv6 also a missing one (RFC 8200 section 8.1). */
int udp4_decode(struct reader *r, const struct ipv4 *ip, struct udp *ret, const char **ret_why);
int udp6_decode(struct reader *r, const struct ipv6 *ip, struct udp *ret, const char **ret_why);

/* Write header, checksum and payload (u->payload_len octets). */
void udp4_encode(struct writer *w, const struct ipv4 *ip, const struct udp *u, const void *payload);
void udp6_encode(struct writer *w, const struct ipv6 *ip, const struct udp *u, const void *payload);
