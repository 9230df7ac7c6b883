/* All small cases: three hosts, both modes, and every order of up to three events, close together
 * and apart. */
#include <stdio.h>
#include <string.h>

#include "cluster_sim.h"

#define SMALL_EVENTS_MAX 3

/* What may happen, each once; of host 0 is whose face it is (it has the first place in order). */
static const struct {
	uint8_t kind, host, other;
	int64_t value;
} events[] = {
	{ CS_CRASH, 0, 0, 0 },
	{ CS_CRASH, 1, 0, 0 },
	{ CS_STOP, 0, 0, 0 },
	{ CS_KILL, 2, 0, 0 },
	{ CS_STALL, 0, 0, 1200 * MS },
	{ CS_STALL, 1, 0, 1200 * MS },
	{ CS_CUT, 0, 1, 0 },
	{ CS_CUT, 1, 0, 0 },
	{ CS_ISOLATE, 2, 0, 0 },
	{ CS_UNPLUG, 0, 0, 0 },
	{ CS_MOVE, 1, 0, 100 * MS },
	{ CS_FIT, 0, 1, 0 },
	{ CS_STATE, 0, 2, MEMBER_DRAINING },
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

static const int64_t gaps[] = { 15 * MS, 330 * MS, 900 * MS };
#define GAPS (sizeof(gaps) / sizeof(gaps[0]))

static unsigned int orders_of(unsigned int length)
{
	unsigned int count = 1;

	for (unsigned int i = 0; i < length; i++)
		count *= (unsigned int)EVENTS - i;
	return count;
}

/* Orders of 1 … 3 of 13 events: 13 + 156 + 1716; by mode, and by gap. */
static unsigned int orders(void)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i <= SMALL_EVENTS_MAX; i++)
		count += orders_of(i);
	return count;
}

unsigned int cs_small_count(void)
{
	return orders() * 2 * (unsigned int)GAPS;
}

void cs_small_make(struct cs_scenario *s, unsigned int number)
{
	const int64_t gap = gaps[number / 2 / orders() % GAPS];
	unsigned int length = 1, rest = number / 2 % orders();
	bool used[EVENTS] = { false };

	while (length < SMALL_EVENTS_MAX && rest >= orders_of(length))
		rest -= orders_of(length++);
	*s = (struct cs_scenario){ .family = "small",
				   .seed = number,
				   .hosts = 3,
				   .faces = 1,
				   .mode = number % 2 ? CLUSTER_DISTRIBUTED : CLUSTER_DIRECTOR };
	for (unsigned int i = 0; i < length; i++) {
		unsigned int pick = rest % (unsigned int)(EVENTS - i), k = 0;

		rest /= (unsigned int)(EVENTS - i);
		for (;; k++)
			if (!used[k] && pick-- == 0)
				break;
		used[k] = true;
		s->steps[s->step_count++] =
			(struct cs_step){ 4 * SECOND + i * gap, events[k].kind, events[k].host,
					  events[k].other, events[k].value };
	}
	s->steps[s->step_count++] = (struct cs_step){ 8 * SECOND, CS_HEAL, 0, 0, 0 };
	s->end = 13 * SECOND;
}
