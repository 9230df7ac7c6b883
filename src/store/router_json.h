/* A router's record as JSON text: the same in every backend that keeps text.  It holds secrets. */
#pragma once

#include <stddef.h>

#include "model/router.h"

struct router_json;

/* malloc'ed text; NULL: no memory. */
char *router_json_write(const struct router *r);

/* *ret points into *ret_json, until router_json_done(); its id is not in the text and 0.  -EUCLEAN:
 * router_json_write() cannot have written that, or router_check() refuses it; -ENOMEM. */
int router_json_read(const char *text, size_t len, struct router_json **ret_json,
		     struct router *ret);
void router_json_done(struct router_json *j); /* NULL is fine */
