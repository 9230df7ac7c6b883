/* Query strings and path arguments, read by the same kind of table as bodies.
 *
 * Values arrive as they stood in the request line ('+' already a space); percent escapes are
 * decoded here, so that %00 and broken escapes are refused instead of cutting a text short. */
#pragma once

#include "api/field.h"
#include "base/clock.h"
#include "model/model.h"

#define QUERY_TEXT_MAX	2048 /* octets of all values of one request */
#define QUERY_LIMIT_MAX 10000
#define QUERY_LIMIT	1000 /* where the request does not say */

/* All that any route knows; each route's schema says which of it. */
struct query {
	const char *segment, *pool, *owner, *tenant, *subject, *reason, *after;
	int state, kind, origin; /* -1 = any */
	uint32_t limit;
	uint64_t before;
	wall_t since, until; /* 0 = no bound */
	bool key, release;
	/* Where the texts live. */
	char *text;
	size_t text_used;
	uint64_t given; /* one bit a field of the schema */
};

extern const struct schema query_none, query_reason, query_by_segment, query_pool_show, query_vmacs,
	query_port_delete, query_history;

void query_init(struct query *q);
void query_done(struct query *q);

/* One "name=value"; value NULL: just "name".  Errors: UNKNOWN_FIELD, BAD_VALUE (also for one given
 * twice), WRONG_TYPE, TOO_LARGE, NO_MEMORY, and the fields' own. */
int query_add(const struct schema *schema, struct query *q, const char *name, const char *value,
	      struct error *ret_error);

/* Decodes percent escapes of len octets into to (size octets with the zero).  Errors: BAD_VALUE,
 * TOO_LARGE; `what` goes into the message. */
int query_decode(const char *what, const char *from, size_t len, char *to, size_t size,
		 struct error *ret_error);
