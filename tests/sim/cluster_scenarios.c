/* Scenarios as data: all of each follows from its seed. */
#include <stdio.h>
#include <string.h>

#include "cluster_sim.h"

#define FAULTS_FROM (3 * SECOND)
#define AFTER_HEAL  (5 * SECOND)

/* How often each kind of thing happens; in parts of their sum. */
struct family {
	const char *name;
	uint8_t members, records, power, daemons, stalls, wire, cuts, tapes;
	unsigned int steps;
	int64_t faults_for;
	int64_t away; /* a daemon, at most; 0: as long as all else lasts */
};

static const struct family families[] = {
	{ "members", 8, 2, 0, 0, 0, 0, 0, 0, 14, 6 * SECOND },
	{ "records", 2, 8, 0, 0, 0, 0, 0, 0, 10, 6 * SECOND },
	{ "power", 2, 0, 6, 0, 0, 0, 0, 0, 8, 6 * SECOND },
	{ "daemons", 1, 1, 0, 8, 0, 0, 0, 0, 8, 6 * SECOND },
	{ "absences", 1, 1, 0, 4, 0, 0, 0, 0, 3, 3 * SECOND, 20 * SECOND },
	{ "stalls", 1, 0, 0, 0, 8, 0, 0, 0, 8, 6 * SECOND },
	{ "wire", 2, 0, 0, 0, 0, 8, 0, 0, 10, 6 * SECOND },
	{ "cuts", 2, 0, 0, 0, 0, 0, 8, 0, 10, 6 * SECOND },
	{ "tapes", 1, 0, 0, 0, 0, 0, 0, 9, 2, 9 * SECOND },
	{ "calm", 2, 1, 6, 3, 2, 0, 1, 0, 2, 9 * SECOND },
	{ "all", 4, 2, 2, 2, 2, 2, 2, 1, 20, 7 * SECOND },
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

const char *cs_family(unsigned int i)
{
	return i < FAMILIES ? families[i].name : NULL;
}

static void add(struct cs_scenario *s, int64_t at, enum cs_step_kind kind, unsigned int host,
		unsigned int other, int64_t value)
{
	/* The last place is HEAL's. */
	if (s->step_count < CS_STEPS_MAX - 1)
		s->steps[s->step_count++] =
			(struct cs_step){ at, (uint8_t)kind, (uint8_t)host, (uint8_t)other, value };
}

/* A fault and its end. */
static void add_pair(struct cs_scenario *s, struct chance *c, int64_t at, enum cs_step_kind kind,
		     int64_t value, enum cs_step_kind end, int64_t most)
{
	const unsigned int host = (unsigned int)chance_below(c, s->hosts);
	const unsigned int other = (unsigned int)chance_below(c, s->hosts);

	add(s, at, kind, host, other, value);
	add(s, at + chance_span(c, 20 * MS, most), end, host, other, 0);
}

static void add_member(struct cs_scenario *s, struct chance *c, int64_t at)
{
	const unsigned int host = (unsigned int)chance_below(c, s->hosts);
	const unsigned int m = (unsigned int)chance_below(c, CS_MEMBERS);

	switch (chance_below(c, 4)) {
	case 0:
		add(s, at, CS_FIT, host, m, 0);
		if (chance_percent(c, 60))
			add(s, at + chance_span(c, 10 * MS, 2 * SECOND), CS_FIT, host, m, 1);
		return;
	case 1:
		add(s, at, CS_GONE, host, m, 0);
		add(s, at + chance_span(c, 10 * MS, 2 * SECOND), CS_BACK, host, m, 0);
		return;
	default:
		add(s, at, CS_MOVE, host, m, chance_span(c, 1 * MS, 600 * MS));
	}
}

static void add_record(struct cs_scenario *s, struct chance *c, int64_t at)
{
	const unsigned int m = (unsigned int)chance_below(c, CS_MEMBERS);

	switch (chance_below(c, 5)) {
	case 0:
		add(s, at, CS_AWAY, 0, 0, chance_span(c, 100 * MS, 5 * SECOND));
		add(s, at + chance_span(c, SECOND, 4 * SECOND), CS_AWAY, 0, 0, 0);
		return;
	case 1:
		add(s, at, CS_WEIGHT, 0, m, (int64_t)chance_below(c, 2));
		return;
	case 2:
	case 3:
		add(s, at, CS_STATE, 0, m, MEMBER_DRAINING);
		add(s, at + chance_span(c, 100 * MS, 4 * SECOND), CS_STATE, 0, m, MEMBER_ACTIVE);
		return;
	default:
		add(s, at, CS_STATE, 0, m, (int64_t)chance_below(c, MEMBER_STATE_COUNT));
	}
}

static void add_wire(struct cs_scenario *s, struct chance *c, int64_t at)
{
	switch (chance_below(c, 3)) {
	case 0:
		add_pair(s, c, at, CS_LOSS, chance_span(c, 1, 40), CS_LOSS, 3 * SECOND);
		return;
	case 1:
		add_pair(s, c, at, CS_DELAY, chance_span(c, 1 * MS, 150 * MS), CS_DELAY,
			 3 * SECOND);
		return;
	default:
		add_pair(s, c, at, CS_TWICE, chance_span(c, 5, 60), CS_TWICE, 3 * SECOND);
	}
}

/* One dies, or a few; another begins anew, and hears the dead. */
static void add_tape(struct cs_scenario *s, struct chance *c, int64_t at)
{
	const unsigned int host = (unsigned int)chance_below(c, s->hosts);
	const unsigned int dead =
		(host + 1 + (unsigned int)chance_below(c, s->hosts - 1)) % s->hosts;
	const int64_t start = at + chance_span(c, 20 * MS, 2 * SECOND);

	for (unsigned int i = 0; i < s->hosts; i++)
		if (i != host && (i == dead || chance_percent(c, 60)))
			add(s, at, CS_CRASH, i, 0, 0);
	add(s, at, chance_percent(c, 70) ? CS_KILL : CS_STOP, host, 0, 0);
	add(s, start, CS_START, host, 0, 0);
	add(s, start + chance_span(c, 0, 400 * MS), CS_REPLAY, host, dead, 0);
	if (chance_percent(c, 30))
		for (unsigned int i = 0; i < s->hosts; i++)
			add(s, start + chance_span(c, SECOND, 6 * SECOND), CS_BOOT, i, 0, 0);
}

static void add_one(struct cs_scenario *s, struct chance *c, const struct family *f, int64_t at)
{
	unsigned int n =
		(unsigned int)chance_below(c, f->members + f->records + f->power + f->daemons +
						      f->stalls + f->wire + f->cuts + f->tapes);

	if (n < f->members)
		add_member(s, c, at);
	else if ((n -= f->members) < f->records)
		add_record(s, c, at);
	else if ((n -= f->records) < f->power)
		add_pair(s, c, at, n & 1 ? CS_CRASH : CS_UNPLUG, 0, n & 1 ? CS_BOOT : CS_PLUG,
			 5 * SECOND);
	else if ((n -= f->power) < f->daemons)
		add_pair(s, c, at, n & 1 ? CS_KILL : CS_STOP, 0, CS_START,
			 f->away ? f->away : 4 * SECOND);
	else if ((n -= f->daemons) < f->stalls)
		add(s, at, CS_STALL, (unsigned int)chance_below(c, s->hosts), 0,
		    chance_span(c, 50 * MS, 2500 * MS));
	else if ((n -= f->stalls) < f->wire)
		add_wire(s, c, at);
	else if ((n -= f->wire) < f->tapes)
		add_tape(s, c, at);
	else
		add_pair(s, c, at, n & 1 ? CS_CUT : CS_ISOLATE, 0, n & 1 ? CS_JOIN : CS_REJOIN,
			 4 * SECOND);
}

/* By time; equal times stay in the order that they were added in. */
static void sort(struct cs_scenario *s)
{
	for (unsigned int i = 1; i < s->step_count; i++) {
		const struct cs_step step = s->steps[i];
		unsigned int at = i;

		for (; at > 0 && s->steps[at - 1].at > step.at; at--)
			s->steps[at] = s->steps[at - 1];
		s->steps[at] = step;
	}
}

bool cs_scenario_make(struct cs_scenario *s, uint64_t seed, const char *family)
{
	struct chance c = { seed * UINT64_C(0x9e3779b97f4a7c15) + 5 };
	const struct family *f = NULL;
	int64_t at = FAULTS_FROM, heal;

	for (unsigned int i = 0; i < FAMILIES; i++)
		if (family ? strcmp(families[i].name, family) == 0 : i == seed % FAMILIES)
			f = &families[i];
	if (!f)
		return false;
	*s = (struct cs_scenario){ .seed = seed };
	snprintf(s->family, sizeof(s->family), "%s", f->name);
	s->hosts = 2 + (unsigned int)chance_below(&c, CS_HOSTS_MAX - 1);
	s->mode = chance_percent(&c, 50) ? CLUSTER_DISTRIBUTED : CLUSTER_DIRECTOR;
	s->faces = s->mode == CLUSTER_DIRECTOR && chance_percent(&c, 40) ? 2 : 1;
	for (unsigned int i = 0; i < f->steps; i++) {
		at += chance_span(&c, 0, 2 * f->faults_for / f->steps);
		add_one(s, &c, f, at);
	}
	heal = at + SECOND + f->away;
	s->flows_most = f->away;
	for (unsigned int i = 0; i < s->step_count; i++)
		if (s->steps[i].at > heal)
			s->steps[i].at = heal;
	sort(s);
	s->steps[s->step_count++] = (struct cs_step){ heal, CS_HEAL, 0, 0, 0 };
	s->end = heal + AFTER_HEAL;
	return true;
}
