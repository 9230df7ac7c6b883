/* What the files of `vmac cluster` share. */
#pragma once

#include <jansson.h>

#include "cli/options.h"

/* The API's body of what the command line says: members only where an option says something. 0, or
 * the exit status with the reason told. */
int cluster_body(const struct command *c, json_t **ret);

/* Prints one cluster as GET answers it.  0, or the exit status. */
int cluster_print(const json_t *cluster);

/* How many of its members are up. */
unsigned int cluster_members_up(const json_t *cluster);
