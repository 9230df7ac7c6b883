/* IP addresses as values and as text. */
#pragma once

#include "model/model.h"

#define IP_TEXT_MAX 46

/* Reads "192.0.2.1" or "2001:db8::1" (RFC 5952 or any RFC 4291 form; no zone, no prefix length).
 * 0 or -EINVAL. */
int ip_parse(const char *text, struct ip *ret);

/* RFC 5952 form; returns buf. */
char *ip_format(const struct ip *ip, char buf[static IP_TEXT_MAX]);

bool ip_equal(const struct ip *a, const struct ip *b);

/* The link-local address that IPv6 forms from a MAC (RFC 4291 appendix A, modified EUI-64). */
struct ip ip_link_local(vmac_mac_t m);
