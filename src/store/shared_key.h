/* The keys of shared records, both ways.  Names have no character that would need an escape; an
 * identity, which is any text, stands there as base64url (RFC 4648) without padding.  Private to
 * this room. */
#pragma once

#include "base/error.h"
#include "model/cluster.h"
#include "model/shared.h"

#define SHARED_KEY_MAX 512 /* an identity of 255 octets has 340 characters, its pool 63 */

/* Error: BAD_VALUE (a name that is none). */
int shared_key_write(const struct shared_record *r, char buf[static SHARED_KEY_MAX],
		     struct error *ret_error);

/* Where what a record points to stands, until it is copied. */
struct shared_room {
	char segment[NAME_MAX_LEN + 1];
	struct cluster cluster;
};

/* Sets kind and what the key says; all other texts are "".  The record points into `room`.
 * NOT_FOUND: no kind that we know; BAD_VALUE. */
int shared_key_read(const char *key, struct shared_record *ret, struct shared_room *room,
		    struct error *ret_error);
