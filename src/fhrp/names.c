/* The names of states and reasons, as the API, the log and the metrics write them. */
#include <assert.h>

#include "base/cleanup.h"
#include "fhrp/fhrp.h"

static const char *const states[] = {
	[FHRP_INITIALIZE] = "initialize", [FHRP_LEARN] = "learn",     [FHRP_LISTEN] = "listen",
	[FHRP_SPEAK] = "speak",		  [FHRP_STANDBY] = "standby", [FHRP_BACKUP] = "backup",
	[FHRP_ACTIVE] = "active",	  [FHRP_LEAVING] = "leaving",
};

static const char *const reasons[] = {
#define REASON_NAME_(constant, name, meaning) [FHRP_REASON_##constant] = name,
	FHRP_REASONS(REASON_NAME_)
};

static const char *const meanings[] = {
#define REASON_MEANING_(constant, name, meaning) [FHRP_REASON_##constant] = meaning,
	FHRP_REASONS(REASON_MEANING_)
};

_Static_assert(ARRAY_LEN(states) == FHRP_STATE_COUNT, "every state has a name");

const char *fhrp_state_name(enum fhrp_state s)
{
	assert((size_t)s < ARRAY_LEN(states));
	return states[s];
}

const char *fhrp_reason_name(enum fhrp_reason r)
{
	assert((size_t)r < ARRAY_LEN(reasons));
	return reasons[r];
}

const char *fhrp_reason_meaning(enum fhrp_reason r)
{
	assert((size_t)r < ARRAY_LEN(meanings));
	return meanings[r];
}
