/* Scenarios as data: all of each follows from its seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet_sim.h"

#define FAULTS_FROM (4 * SECOND)
#define FAULTS_FOR  (40 * SECOND)

/* How often each kind of thing happens in a family; in parts of their sum. */
struct family {
	const char *name;
	uint8_t moves, guests, registry, daemons, power, wire, clones, operators, pins;
	unsigned int steps;
};

static const struct family families[] = {
	{ "moves", 10, 1, 0, 0, 0, 0, 0, 0, 0, 24 },
	{ "registry", 6, 2, 8, 0, 0, 0, 0, 0, 1, 30 },
	{ "daemons", 6, 1, 1, 8, 0, 0, 0, 0, 0, 30 },
	{ "power", 8, 2, 1, 1, 4, 0, 0, 0, 0, 26 },
	{ "wire", 8, 1, 2, 0, 0, 8, 0, 0, 0, 26 },
	{ "clones", 6, 1, 2, 1, 0, 0, 6, 0, 0, 24 },
	{ "owners", 2, 8, 4, 2, 1, 0, 0, 2, 6, 36 },
	{ "operators", 4, 2, 1, 1, 1, 0, 0, 6, 1, 26 },
	{ "dead", 4, 2, 1, 0, 0, 0, 0, 0, 0, 16 },
	{ "restore", 6, 4, 2, 1, 0, 0, 0, 0, 0, 22 },
	{ "long", 4, 1, 1, 1, 0, 0, 0, 0, 0, 16 },
	{ "wake", 3, 2, 1, 0, 0, 0, 0, 0, 0, 12 },
	{ "all", 8, 3, 6, 4, 2, 3, 2, 2, 2, 40 },
	{ "false-vouch", 2, 1, 0, 0, 0, 0, 0, 0, 0, 8 }, /* by name only */
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))
#define BY_SEED	 (FAMILIES - 1)

const char *fs_family(unsigned int i)
{
	return i < FAMILIES ? families[i].name : NULL;
}

static struct fs_step *add(struct fs_scenario *s, int64_t at, enum fs_step_kind kind,
			   unsigned int host, unsigned int vm, int64_t value)
{
	struct fs_step *step;

	/* The last place is HEAL's. */
	if (s->step_count >= FS_STEPS_MAX - 1)
		return NULL;
	step = &s->steps[s->step_count++];
	*step = (struct fs_step){ at, (uint8_t)kind, (uint8_t)host, (uint8_t)vm, value };
	return step;
}

static struct fs_plan plan_make(struct chance *c)
{
	return (struct fs_plan){ .prepare = chance_percent(c, 70),
				 .port_first = chance_percent(c, 50),
				 .hint_stop = chance_percent(c, 60),
				 .hint_start = chance_percent(c, 30),
				 .announces = chance_percent(c, 85),
				 .cold = chance_percent(c, 15),
				 .undo_hints = chance_percent(c, 60),
				 .fail_after = chance_percent(c, 30) ? (uint8_t)chance_below(c, 4)
								     : FS_FAIL_NEVER,
				 .pace = (uint8_t)chance_span(c, 1, 11) };
}

/* --- one of a kind --------------------------------------------------------------------------- */

static void add_move(struct fs_scenario *s, struct chance *c, int64_t at)
{
	struct fs_plan plan = plan_make(c);

	add(s, at, FS_MOVE, (unsigned int)chance_below(c, s->hosts),
	    (unsigned int)chance_below(c, FS_VMS_MAX), plan_pack(&plan));
}

static void add_guest(struct fs_scenario *s, struct chance *c, int64_t at)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);
	unsigned int vm = (unsigned int)chance_below(c, FS_VMS_MAX);

	switch (chance_below(c, 4)) {
	case 0:
	case 1:
		add(s, at, FS_GUEST_NEW, host, vm, 0);
		return;
	case 2:
		add(s, at, FS_GUEST_END, host, vm, 0);
		return;
	default:
		add(s, at, FS_GUEST_DOWN, host, vm, 0);
		add(s, at + chance_span(c, 10 * MS, 5 * SECOND), FS_GUEST_UP, host, vm, 0);
	}
}

/* A fault and its end. */
static void add_pair(struct fs_scenario *s, struct chance *c, int64_t at, enum fs_step_kind kind,
		     int64_t value, enum fs_step_kind end, int64_t end_value, int64_t most)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);

	add(s, at, kind, host, 0, value);
	add(s, at + chance_span(c, 100 * MS, most), end, host, 0, end_value);
}

static void add_registry(struct fs_scenario *s, struct chance *c, int64_t at)
{
	switch (chance_below(c, 10)) {
	case 0:
	case 1:
	case 2:
		add_pair(s, c, at, FS_CUT, 0, FS_JOIN, 0, 15 * SECOND);
		return;
	case 3:
		add_pair(s, c, at, FS_REGISTRY_DOWN, 0, FS_REGISTRY_UP, 0, 8 * SECOND);
		return;
	case 4:
		add_pair(s, c, at, FS_REGISTRY_FULL, 1, FS_REGISTRY_FULL, 0, 4 * SECOND);
		return;
	case 5:
		add_pair(s, c, at, FS_ANSWERS_LOST, 20 + (int64_t)chance_below(c, 60),
			 FS_ANSWERS_LOST, 0, 8 * SECOND);
		return;
	case 6:
		add_pair(s, c, at, FS_REQUESTS_LATE, chance_span(c, 10 * MS, 5 * SECOND),
			 FS_REQUESTS_LATE, 0, 8 * SECOND);
		return;
	case 7:
		add_pair(s, c, at, FS_TOLD_LOST, 10 + (int64_t)chance_below(c, 60), FS_TOLD_LOST, 0,
			 8 * SECOND);
		return;
	case 8:
		add(s, at, FS_COMPACT, (unsigned int)chance_below(c, s->hosts), 0, 0);
		return;
	default:
		if (chance_percent(c, 50))
			add(s, at, FS_LEASE_DROP, (unsigned int)chance_below(c, s->hosts), 0, 0);
		else
			add(s, at, FS_LEASE_STRETCH, 0, 0, chance_span(c, 0, 60 * SECOND));
	}
}

static void add_daemon(struct fs_scenario *s, struct chance *c, int64_t at)
{
	switch (chance_below(c, 5)) {
	case 0:
	case 1:
		add_pair(s, c, at, FS_DAEMON_CRASH, 0, FS_DAEMON_START, 0, 6 * SECOND);
		return;
	case 2:
		add_pair(s, c, at, FS_DAEMON_STOP, 0, FS_DAEMON_START, 0, 4 * SECOND);
		return;
	case 3:
		add(s, at, FS_STALL, (unsigned int)chance_below(c, s->hosts), 0,
		    chance_span(c, 5 * MS, 12 * SECOND));
		return;
	default:
		add_pair(s, c, at, FS_DISK_SLOW, chance_span(c, 5 * MS, SECOND), FS_DISK_SLOW, 0,
			 8 * SECOND);
	}
}

static void add_wire(struct fs_scenario *s, struct chance *c, int64_t at)
{
	if (chance_percent(c, 40)) {
		add_pair(s, c, at, FS_LOSS, 5 + (int64_t)chance_below(c, 60), FS_LOSS, 0,
			 6 * SECOND);
		return;
	}
	add(s, at, FS_FORGE, 0, (unsigned int)chance_below(c, FS_VMS_MAX),
	    (int64_t)chance_below(c, 3));
}

static void add_operator(struct fs_scenario *s, struct chance *c, int64_t at)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);

	switch (chance_below(c, 4)) {
	case 0:
		add_pair(s, c, at, FS_DRAIN, 0, FS_UNDRAIN, 0, 10 * SECOND);
		return;
	case 1:
		add(s, at, FS_WALL, host, 0, chance_span(c, -7200000, 7200000));
		return;
	case 2:
		add(s, at, FS_THAW, host, (unsigned int)chance_below(c, FS_VMS_MAX), 0);
		return;
	default:
		add(s, at, FS_POWER_OFF, host, 0, 0);
		at += chance_span(c, 100 * MS, 3 * SECOND);
		add(s, at, FS_VOUCH, host, 0, 0);
		at += chance_span(c, 300 * MS, 2 * SECOND);
		add(s, at, FS_VOUCH, host, 0, 1);
		add(s, at + chance_span(c, SECOND, 8 * SECOND), FS_POWER_ON, host, 0,
		    chance_percent(c, 50));
	}
}

static void add_any(struct fs_scenario *s, struct chance *c, const struct family *f, int64_t at)
{
	const uint8_t weights[] = { f->moves, f->guests, f->registry,  f->daemons, f->power,
				    f->wire,  f->clones, f->operators, f->pins };
	uint64_t sum = 0, which;
	unsigned int i = 0;

	for (unsigned int k = 0; k < sizeof(weights); k++)
		sum += weights[k];
	for (which = chance_below(c, sum); which >= weights[i]; i++)
		which -= weights[i];
	switch (i) {
	case 0:
		add_move(s, c, at);
		return;
	case 1:
		add_guest(s, c, at);
		return;
	case 2:
		add_registry(s, c, at);
		return;
	case 3:
		add_daemon(s, c, at);
		return;
	case 4:
		add_pair(s, c, at, FS_POWER_OFF, 0, FS_POWER_ON, 1, 8 * SECOND);
		return;
	case 5:
		add_wire(s, c, at);
		return;
	case 6:
		add_pair(s, c, at, FS_CLONE, 0, FS_CLONE_END, 0, 8 * SECOND);
		s->steps[s->step_count - 1].vm = s->steps[s->step_count - 2].vm =
			(uint8_t)chance_below(c, 5);
		return;
	case 7:
		add_operator(s, c, at);
		return;
	default:
		which = chance_percent(c, 50)
				? s->pool_size + chance_below(c, s->addresses - s->pool_size)
				: chance_below(c, s->pool_size);
		for (unsigned int h = 0; h < 2; h++)
			add(s, at + chance_span(c, 0, 3 * MS), FS_PIN,
			    (unsigned int)chance_below(c, s->hosts), 0, (int64_t)which);
	}
}

/* --- families with a plot -------------------------------------------------------------------- */

/* A host is off for good: vouched, its guests begin elsewhere; perhaps it is forgotten. */
static int64_t plot_dead(struct fs_scenario *s, struct chance *c, int64_t at)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);
	bool comes_back = chance_percent(c, 40);

	add(s, at, FS_POWER_OFF, host, 0, comes_back ? 0 : 2);
	at += chance_span(c, 100 * MS, 12 * SECOND);
	add(s, at, FS_VOUCH, host, 0, 0);
	at += chance_span(c, 500 * MS, 3 * SECOND);
	add(s, at, FS_VOUCH, host, 0, 1);
	at += chance_span(c, 500 * MS, 8 * SECOND);
	if (chance_percent(c, 60))
		add(s, at, FS_FORGET, host, 0, 2);
	if (comes_back)
		add(s, at + chance_span(c, 100 * MS, 15 * SECOND), FS_POWER_ON, host, 0,
		    chance_percent(c, 50));
	return at;
}

static void plot_restore(struct fs_scenario *s, struct chance *c, int64_t at)
{
	add(s, at, FS_BACKUP, 0, 0, 0);
	add(s, at + chance_span(c, SECOND, 25 * SECOND), FS_RESTORE, 0, 0, 0);
}

static int64_t plot_long(struct fs_scenario *s, struct chance *c, int64_t at)
{
	int64_t rest = chance_percent(c, 50) ? 400 * SECOND : chance_span(c, 1700, 7500) * SECOND;

	/* Often enough to be frozen; then silence in which entries age and reservations end. */
	for (unsigned int i = 0; i < 12; i++) {
		struct fs_plan p = {
			.announces = 1, .fail_after = FS_FAIL_NEVER, .pace = 5, .cold = 1
		};

		add(s, at + i * 900 * MS, FS_MOVE, i % s->hosts, 0, plan_pack(&p));
	}
	at += 14 * SECOND;
	add(s, at, FS_BEAT, 0, 0, rest / 20);
	at += rest;
	add(s, at, FS_BEAT, 0, 0, SECOND / 2);
	if (chance_percent(c, 50))
		add(s, at + 5 * SECOND, FS_THAW, 0, 0, 0);
	return at;
}

/* A host is off for a week, and comes back as it was, perhaps with its guests. */
static int64_t plot_wake(struct fs_scenario *s, struct chance *c, int64_t at)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);

	add(s, at, FS_POWER_OFF, host, 0, 0);
	at += 2 * SECOND;
	if (chance_percent(c, 70)) {
		add(s, at, FS_VOUCH, host, 0, 0);
		add(s, at + SECOND, FS_VOUCH, host, 0, 1);
		if (chance_percent(c, 60))
			add(s, at + 3 * SECOND, FS_FORGET, host, 0, 2);
	}
	at += 10 * SECOND;
	add(s, at, FS_BEAT, 0, 0, 3600 * SECOND);
	at += 7 * 86400 * SECOND;
	add(s, at, FS_BEAT, 0, 0, SECOND / 2);
	if (chance_percent(c, 40))
		add(s, at, FS_CUT, host, 0, 0);
	add(s, at, FS_POWER_ON, host, 0, chance_percent(c, 60));
	add(s, at + chance_span(c, SECOND, 6 * SECOND), FS_JOIN, host, 0, 0);
	return at;
}

static void plot_false_vouch(struct fs_scenario *s, struct chance *c, int64_t at)
{
	unsigned int host = (unsigned int)chance_below(c, s->hosts);

	add(s, at, FS_CUT, host, 0, 0);
	add(s, at + SECOND, FS_VOUCH_FALSELY, host, 0, 0);
	add(s, at + 3 * SECOND, FS_VOUCH_FALSELY, host, 0, 1);
	add(s, at + 20 * SECOND, FS_JOIN, host, 0, 0);
}

static int64_t plot(struct fs_scenario *s, struct chance *c, const char *name)
{
	int64_t at = FAULTS_FROM + chance_span(c, SECOND, 8 * SECOND);

	if (strcmp(name, "dead") == 0)
		return plot_dead(s, c, at);
	if (strcmp(name, "restore") == 0)
		plot_restore(s, c, at);
	else if (strcmp(name, "long") == 0)
		return plot_long(s, c, at);
	else if (strcmp(name, "wake") == 0)
		return plot_wake(s, c, at);
	else if (strcmp(name, "false-vouch") == 0)
		plot_false_vouch(s, c, at);
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct fs_step *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void finish(struct fs_scenario *s, int64_t heal_at)
{
	/* What ends after it counts before: HEAL ends everything. */
	for (unsigned int i = 0; i < s->step_count; i++)
		if (s->steps[i].at > heal_at)
			s->steps[i].at = heal_at;
	qsort(s->steps, s->step_count, sizeof(s->steps[0]), by_time);
	s->steps[s->step_count++] = (struct fs_step){ heal_at + MS, FS_HEAL, 0, 0, 0 };
	s->end = heal_at + FS_REACH_BOUND + 10 * SECOND;
}

bool fs_scenario_make(struct fs_scenario *s, uint64_t seed, const char *family)
{
	struct chance c = { seed * 0x2545f4914f6cdd1dULL + 7 };
	const struct family *f = &families[seed % BY_SEED];
	int64_t last;

	for (unsigned int i = 0; family && i < FAMILIES; i++)
		if (strcmp(families[i].name, family) == 0)
			f = &families[i];
	if (family && strcmp(f->name, family) != 0)
		return false;
	memset(s, 0, sizeof(*s));
	snprintf(s->family, sizeof(s->family), "%s", f->name);
	s->seed = seed;
	s->hosts = (unsigned int)chance_span(&c, 2, strcmp(f->name, "owners") ? 4 : 5);
	s->block_size = 1u << chance_below(&c, 4);
	s->pool_size = s->block_size * (unsigned int)chance_span(&c, 6, 40);
	s->addresses = s->pool_size + 6;
	s->vms = (unsigned int)chance_span(&c, 1, 5);
	s->any_frame = chance_percent(&c, 20);
	s->beat = chance_span(&c, 200, 1000) * MS;
	s->two_can_be = strcmp(f->name, "false-vouch") == 0;
	last = plot(s, &c, f->name);
	for (unsigned int i = 0; i < f->steps; i++) {
		int64_t at = chance_span(&c, FAULTS_FROM, FAULTS_FROM + FAULTS_FOR);

		/* Around what the plot is about, too. */
		if (last > FAULTS_FROM + FAULTS_FOR && chance_percent(&c, 50))
			at = last + chance_span(&c, 0, 10 * SECOND);
		if (last > 3600 * SECOND && at < last)
			at = chance_span(&c, FAULTS_FROM, FAULTS_FROM + 6 * SECOND);
		add_any(s, &c, f, at);
	}
	if (last < FAULTS_FROM + FAULTS_FOR)
		last = FAULTS_FROM + FAULTS_FOR;
	else
		last += 12 * SECOND;
	finish(s, last + 2 * SECOND);
	return true;
}
