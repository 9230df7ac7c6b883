/* The anchors' part of the daemon, apart from main.c: a machine of theirs has the name of grp.h's
 * struct. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct anchors;
struct plane;
struct store;

struct anchors_parts {
	const struct mem *mem;
	struct plane *plane;
	struct store *store; /* whose uuid is this host's */
	bool alone;
	wall_t now;
};
int anchors_begin(const struct anchors_parts *parts, struct anchors **ret, struct error *ret_error);
void anchors_end(struct anchors *a); /* blocks until every face is handed over, or it is too late */
