/* A cluster's record as JSON: the same in this host's own registry, in the shared one and in
 * exports.  It holds a secret.  docs/registry.md shows it. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"
#include "model/cluster.h"

/* What was read, and where its parts stand.  Texts stay where jansson has them. */
struct cluster_json {
	struct cluster cluster;
	const char *segment; /* "" = not said */
	json_t *root;
	vmac_mac_t faces[CLUSTER_FACES_MAX];
	struct ip addresses[CLUSTER_ADDRESSES_MAX];
	struct cluster_rule rules[CLUSTER_RULES_MAX];
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
};

/* A new object; segment "": left out.  Id, segment and created are the reader's own and not in it.
 * NULL: BAD_VALUE (what breaks a rule is not written), NO_MEMORY. */
json_t *cluster_json_object(const struct cluster *c, const char *segment, struct error *ret_error);
/* 0; BAD_VALUE, MISSING_FIELD: names the field; NO_MEMORY.  *ret holds `object`. */
int cluster_json_from(const json_t *object, struct cluster_json **ret, struct error *ret_error);

/* The same as text; of *ret_text free(). */
int cluster_json_write(const struct cluster *c, char **ret_text, struct error *ret_error);
/* Also BAD_JSON. */
int cluster_json_read(const char *text, size_t len, struct cluster_json **ret,
		      struct error *ret_error);
void cluster_json_done(struct cluster_json *j); /* NULL is fine */
