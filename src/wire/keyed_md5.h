/* The keyed digest of RFC 1828, by which VRRPv2 (Cisco), HSRP and GLBP are authenticated:
 * MD5(key, fill, data, key), the fill being MD5's own for the key.  Private to wire/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYED_MD5_LEN 16

/* The data, in pieces: what counts as zero is a piece of keyed_md5_zeros. */
struct keyed_md5_piece {
	const void *data;
	size_t len;
};

extern const uint8_t keyed_md5_zeros[KEYED_MD5_LEN];

void keyed_md5(const char *key, const struct keyed_md5_piece *pieces, unsigned int count,
	       uint8_t ret_digest[static KEYED_MD5_LEN]);

/* Whether that is the digest, in constant time. */
bool keyed_md5_equals(const char *key, const struct keyed_md5_piece *pieces, unsigned int count,
		      const uint8_t digest[static KEYED_MD5_LEN]);
