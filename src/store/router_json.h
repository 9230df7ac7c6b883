/* A router's record as JSON: the same in this host's own registry and in exports.  It holds
 * secrets. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"
#include "model/router.h"

/* What was read, and where its parts stand.  Texts stay where jansson has them. */
struct router_json {
	struct router router; /* its id is not in the text and 0 */
	json_t *root;
	struct router_set sets[ROUTER_SETS_MAX];
	struct router_key keys[ROUTER_KEYS_MAX];
	struct router_track tracks[ROUTER_TRACKS_MAX];
	struct router_address addresses[ROUTER_ADDRESSES_MAX];
	struct ip peers[ROUTER_SETS_MAX * ROUTER_PEERS_MAX];
	unsigned int addresses_used, peers_used;
};

/* A new object; NULL: BAD_VALUE (what breaks a rule is not written), NO_MEMORY. */
json_t *router_json_object(const struct router *r, struct error *ret_error);
/* Errors: MISSING_FIELD, BAD_VALUE and those of router_check(), NO_MEMORY.  *ret holds `object`. */
int router_json_from(const json_t *object, struct router_json **ret, struct error *ret_error);

/* The same as text; of *ret_text free(). */
int router_json_write(const struct router *r, char **ret_text, struct error *ret_error);
/* Also BAD_JSON. */
int router_json_read(const char *text, size_t len, struct router_json **ret,
		     struct error *ret_error);
void router_json_done(struct router_json *j); /* NULL is fine */
