/* A track's results as one opinion, and opinions as a priority; no I/O. */
#pragma once

#include "errand/errands.h"
#include "model/router.h"

struct track {
	const struct router_track *record;
	uint64_t probe; /* 0 = none: looked at by the thread itself */
	/* Before its first result a track is down: a router takes no part before all that it needs
	 * was seen to be there once.  One that is added to a router under way is up instead: a new
	 * line of configuration must not cost the role. */
	bool up, known;
	uint8_t streak; /* results in a row that say otherwise */
	uint64_t runs, failures;
	char detail[DETAIL_MAX];
};

/* One more result; returns whether the opinion turned, or became known.  The first one counts at
 * once, others when `rise` or `fall` in a row agree. */
bool track_result(struct track *t, bool up, const char *detail);

struct track_sum {
	int adjust;
	bool fault;
};
struct track_sum tracks_sum(const struct track *tracks, unsigned int count);
