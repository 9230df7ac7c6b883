/* What the files of `vmac router` share. */
#pragma once

#include <jansson.h>

#include "cli/options.h"

/* The API's body of what the command line says: members only where an option says something.
 * `whole`: of a new router, so that interface, group and addresses must be there.  0, or the exit
 * status with the reason told. */
int router_body(const struct command *c, bool whole, json_t **ret);

/* Members that take more than one option's text: each adds to the body, and does nothing where none
 * of its options was given. */
int router_body_sets(const struct command *c, bool whole, json_t *body);
int router_body_keys(const struct command *c, json_t *body);
int router_body_tracks(const struct command *c, json_t *body);

/* Prints one router as GET answers it.  0, or the exit status. */
int router_print(const json_t *router);

/* The set's addresses, interfaces or groups of all sets in one text; malloc. */
char *router_sets_text(const json_t *router, const char *member);
