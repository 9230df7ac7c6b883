/* A registry as one JSON document, whatever keeps it: this host's own, or the shared one.  Records
 * are written as they come, a line each.  docs/registry.md has the members.  It holds secrets. */
#pragma once

#include <stdio.h>

#include "store/shared.h"
#include "store/store.h"

#define EXPORT_FORMAT 1

/* Writes all that is in the registry; calls store_load(), and has its errors.  `mem` is that of the
 * store.  Whether `to` took it all, ferror() knows. */
int export_own(struct store *s, const struct mem *mem, FILE *to, struct error *ret_error);
int export_shared(const struct shared_config *config, FILE *to, struct error *ret_error);

/* Hands over what a document has, as store_load() and shared_dump() would; `name` is for messages,
 * `mem` for vMACs and for shared records.  Each record is held against its own rules.  BAD_JSON,
 * BAD_VALUE, MISSING_FIELD, REGISTRY_VERSION, NO_MEMORY: names the record and the field. */
int export_read_own(FILE *from, const char *name, const struct mem *mem,
		    const struct store_visitor *visitor, struct error *ret_error);
int export_read_shared(FILE *from, const char *name, const struct mem *mem,
		       int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		       struct error *ret_error);
