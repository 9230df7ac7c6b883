/* What the files of router_check() share: the fields of nested things are named as the API writes
 * them, "sets[1].group". */
#pragma once

#include "base/error.h"
#include "model/router.h"

#define FIELD_TEXT_MAX 96

/* "sets[1].group"; returns buf. */
char *router_field(char buf[static FIELD_TEXT_MAX], const char *array, unsigned int i,
		   const char *field);

int router_check_sets(const struct router *r, struct error *ret_error);
int router_check_tracks(const struct router *r, struct error *ret_error);

/* Plain text of at most `max` octets that begins with '/'. */
int router_path_check(const char *what, const char *path, size_t max, struct error *ret_error);
