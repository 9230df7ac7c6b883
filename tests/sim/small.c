#include "small.h"

#include <stdio.h>
#include <string.h>

#include "wire/vrrp.h"

#define SMALL_PLACES 48 /* events, or frames, at which the fault comes */

static const struct {
	const char *name;
	uint8_t protocol, sets;
	bool ipv6;
} pairs[] = {
	{ "vrrp2", ROUTER_VRRP2, 1 },
	{ "vrrp3", ROUTER_VRRP3, 1 },
	{ "vrrp3-ipv6", ROUTER_VRRP3, 1, true },
	{ "vrrp3-both", ROUTER_VRRP3, 2 },
	{ "hsrp1", ROUTER_HSRP1, 1 },
	{ "hsrp2", ROUTER_HSRP2, 1 },
	{ "carp", ROUTER_CARP, 1 },
};

/* How the two stand to each other. */
static const struct {
	const char *name;
	uint8_t priority[2];
	bool preempt;
} relations[] = {
	{ "better", { 150, 100 }, true },
	{ "worse", { 100, 150 }, true },
	{ "tie", { 100, 100 }, true },
	{ "no-preempt", { 100, 150 }, false },
};

/* `value` in parts of the hold time. */
static const struct {
	uint8_t nth, kind, host;
	int8_t halves;
} fates[] = {
	{ NTH_LOSE },
	{ NTH_TWICE },
	{ NTH_LATE },
	{ NTH_STEP, STEP_CRASH, 0 },
	{ NTH_STEP, STEP_CRASH, 1 },
	{ NTH_STEP, STEP_STALL, 0, 1 },
	{ NTH_STEP, STEP_STALL, 1, 1 },
	{ NTH_STEP, STEP_STALL, 0, 3 },
	{ NTH_STEP, STEP_STALL, 1, 3 },
	{ NTH_STEP, STEP_STALL_INSIDE, 0, 3 },
	{ NTH_STEP, STEP_STALL_INSIDE, 1, 3 },
	{ NTH_STEP, STEP_STOP, 0 },
	{ NTH_STEP, STEP_STOP, 1 },
	{ NTH_STEP, STEP_UNPLUG, 0 },
	{ NTH_STEP, STEP_UNPLUG, 1 },
	{ NTH_STEP, STEP_CUT, 0 },
	{ NTH_STEP, STEP_CUT, 1 },
	{ NTH_STEP, STEP_SAME, 0 },
	{ NTH_STEP, STEP_SAME, 1 },
	{ NTH_STEP, STEP_ADJUST, 0 },
	{ NTH_STEP, STEP_ADJUST, 1 },
	{ NTH_STEP, STEP_DISABLE, 0 },
	{ NTH_STEP, STEP_DISABLE, 1 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

unsigned int small_count(void)
{
	return COUNT(pairs) * COUNT(relations) * COUNT(fates) * SMALL_PLACES;
}

static void step(struct scenario *s, int64_t at, enum step_kind kind, unsigned int host)
{
	s->steps[s->step_count++] = (struct step){ at, (uint8_t)kind, (uint8_t)host, 0, 0 };
}

bool small_make(struct scenario *s, unsigned int number)
{
	unsigned int place = number % SMALL_PLACES, rest = number / SMALL_PLACES;
	unsigned int fate = rest % COUNT(fates), relation = rest / COUNT(fates) % COUNT(relations);
	unsigned int pair = rest / COUNT(fates) / COUNT(relations);

	if (pair >= COUNT(pairs))
		return false;
	memset(s, 0, sizeof(*s));
	s->seed = number;
	snprintf(s->name, sizeof(s->name), "%s-%s", pairs[pair].name, relations[relation].name);
	s->host_count = 2;
	s->link_count = s->set_count = pairs[pair].sets;
	for (unsigned int i = 0; i < 2; i++) {
		struct candidate *c = &s->candidates[i];

		candidate_init(c, pairs[pair].protocol, i, s->set_count, pairs[pair].ipv6,
			       s->set_count > 1);
		c->record.priority = relations[relation].priority[i];
		c->stated_priority = c->record.priority;
		c->record.preempt = relations[relation].preempt;
	}
	scenario_bounds(s, 0);
	s->nth[0] = (struct nth){
		.kind = fates[fate].nth,
		.number = place,
		.step = { 0, fates[fate].kind, fates[fate].host, !fates[fate].host,
			  fates[fate].kind == STEP_ADJUST ? -90
							  : fates[fate].halves * s->hold / 2 },
	};
	/* An election, a hand-over, and a return. */
	step(s, 2 * s->hold + 3 * s->interval, STEP_STOP, 0);
	step(s, 4 * s->hold + 3 * s->interval, STEP_BOOT, 0);
	step(s, 8 * s->hold, STEP_HEAL, 0);
	scenario_bounds(s, 8 * s->hold);
	return true;
}
