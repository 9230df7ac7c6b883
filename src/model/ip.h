/* IP addresses as values and as text. */
#pragma once

#include "model/model.h"

#define IP_TEXT_MAX 46

/* Reads "192.0.2.1" or "2001:db8::1" (RFC 5952 or any RFC 4291 form; no zone, no prefix length).
 * 0 or -EINVAL. */
int ip_parse(const char *text, struct ip *ret);

/* RFC 5952 form; returns buf. */
char *ip_format(const struct ip *ip, char buf[static IP_TEXT_MAX]);

/* Reads "192.0.2.0/24": an address, '/', and how many leading bits count, in decimal without signs
 * or leading zeros, at most the family's 32 or 128.  0 or -EINVAL. */
int ip_prefix_parse(const char *text, struct ip *ret, unsigned int *ret_bits);

/* Whether all bits behind the first `bits` are zero (or one). */
bool ip_host_part_is(const struct ip *ip, unsigned int bits, bool one);

/* Whether an address can be a host's own: not zero, no multicast, no loopback, no broadcast. */
bool ip_is_unicast(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip); /* fe80::/10 or 169.254.0.0/16 */

bool ip_equal(const struct ip *a, const struct ip *b);

/* The link-local address that IPv6 forms from a MAC (RFC 4291 appendix A, modified EUI-64). */
struct ip ip_link_local(vmac_mac_t m);
