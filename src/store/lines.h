/* History lines that a backend gathers for one answer, with all their texts. */
#pragma once

#include "store/store.h"

struct lines {
	struct history *list;
	size_t count, capacity;
};

/* Copies the line and its texts.  -ENOMEM: nothing added. */
int lines_add(struct lines *l, const struct history *line);
void lines_done(struct lines *l);

/* A copy of a query whose texts are its own, in one block; free() ends it.  NULL: no memory. */
struct history_query *query_copy(const struct history_query *q);

/* Whether the line is one of those that the query asks for (its limit aside). */
bool query_wants(const struct history_query *q, const struct history *line);
