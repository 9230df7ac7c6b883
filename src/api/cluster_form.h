/* A cluster's record and the words that requests and answers say it in. */
#pragma once

#include "api/body.h"
#include "api/out.h"

/* Finds a member that is named and not addressed; 0 and *ret, or an error. */
typedef int (*cluster_find_fn)(void *ctx, const char *which, vmac_mac_t *ret,
			       struct error *ret_error);

/* Makes a record of what was given, over `before` (NULL: over cluster_defaults()).  Members that
 * stay keep their ids.  *ret borrows from given, before and the memory at `members`, which has room
 * for CLUSTER_MEMBERS_MAX.  Errors: those of find; IN_USE: a member twice. */
int cluster_form_fill(const struct body_cluster *given, const struct cluster *before,
		      cluster_find_fn find, void *ctx,
		      struct cluster_member members[static CLUSTER_MEMBERS_MAX],
		      struct cluster *ret, struct error *ret_error);

/* The members of an object, without its brackets and without faces and members. */
void cluster_form_write(struct out *o, const struct cluster *c);
