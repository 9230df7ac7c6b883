/* The names of states and reasons, as the API, the log and the metrics write them. */
#include <assert.h>

#include "base/cleanup.h"
#include "migrate/migrate.h"

static const char *const states[] = {
#define NAME_(constant, name, gate, meaning) [MIGRATE_##constant] = name,
	MIGRATE_STATES(NAME_)
#undef NAME_
};

static const char *const state_meanings[] = {
#define NAME_(constant, name, gate, meaning) [MIGRATE_##constant] = meaning,
	MIGRATE_STATES(NAME_)
#undef NAME_
};

static const uint8_t gates[] = {
#define NAME_(constant, name, gate, meaning) [MIGRATE_##constant] = MIGRATE_GATE_##gate,
	MIGRATE_STATES(NAME_)
#undef NAME_
};

static const char *const reasons[] = {
#define NAME_(constant, name, meaning) [MIGRATE_REASON_##constant] = name,
	MIGRATE_REASONS(NAME_)
#undef NAME_
};

static const char *const reason_meanings[] = {
#define NAME_(constant, name, meaning) [MIGRATE_REASON_##constant] = meaning,
	MIGRATE_REASONS(NAME_)
#undef NAME_
};

const char *migrate_state_name(enum migrate_state s)
{
	assert((size_t)s < ARRAY_LEN(states));
	return states[s];
}

const char *migrate_state_meaning(enum migrate_state s)
{
	assert((size_t)s < ARRAY_LEN(state_meanings));
	return state_meanings[s];
}

enum migrate_gate migrate_gate(enum migrate_state s)
{
	assert((size_t)s < ARRAY_LEN(gates));
	return gates[s];
}

const char *migrate_reason_name(enum migrate_reason r)
{
	assert((size_t)r < ARRAY_LEN(reasons));
	return reasons[r];
}

const char *migrate_reason_meaning(enum migrate_reason r)
{
	assert((size_t)r < ARRAY_LEN(reason_meanings));
	return reason_meanings[r];
}
