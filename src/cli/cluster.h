/* What the files of `vmac cluster` share. */
#pragma once

#include <jansson.h>

#include "cli/options.h"

/* The API's body of what the command line says: members only where an option says something. 0, or
 * the exit status with the reason told. */
int cluster_body(const struct command *c, json_t **ret);

/* Prints one cluster as GET answers it.  0, or the exit status. */
int cluster_print(const json_t *cluster);

/* A field: how many of its members are up. */
struct grid;
void cluster_add_up(struct grid *g, const json_t *cluster);
