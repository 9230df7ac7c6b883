/* All small cases: two hosts, one guest, and every order of up to six events. */
#include <stdio.h>
#include <string.h>

#include "fleet_sim.h"

#define SMALL_EVENTS_MAX 6
#define SMALL_GAP	 (120 * MS)

/* What may happen, each in its place of the order. */
static const struct {
	uint8_t kind, host;
	int64_t value;
} events[] = {
	{ FS_MOVE, 1, 0 }, /* with all hints; see plan_of() */
	{ FS_MOVE, 0, 1 }, /* back, with none */
	{ FS_CUT, 0, 0 },	   { FS_CUT, 1, 0 },  { FS_DAEMON_CRASH, 0, 0 },
	{ FS_DAEMON_CRASH, 1, 0 }, { FS_JOIN, 0, 0 }, { FS_DAEMON_START, 0, 0 },
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

/* Orders of 1 … 6 different events of 8: 8 + 56 + 336 + 1680 + 6720 + 20160. */
static unsigned int orders_of(unsigned int length)
{
	unsigned int count = 1;

	for (unsigned int i = 0; i < length; i++)
		count *= (unsigned int)EVENTS - i;
	return count;
}

unsigned int fs_small_count(void)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i <= SMALL_EVENTS_MAX; i++)
		count += orders_of(i);
	return count;
}

static int64_t plan_of(int64_t which, unsigned int number)
{
	struct fs_plan p = { .prepare = which == 0,
			     .port_first = number & 1,
			     .hint_stop = which == 0,
			     .announces = 1,
			     .fail_after = FS_FAIL_NEVER,
			     .pace = 5 };

	return plan_pack(&p);
}

void fs_small_make(struct fs_scenario *s, unsigned int number)
{
	unsigned int length = 1, rest = number;
	bool used[EVENTS] = { false };

	while (length < SMALL_EVENTS_MAX && rest >= orders_of(length))
		rest -= orders_of(length++);
	*s = (struct fs_scenario){ .family = "small",
				   .seed = number,
				   .hosts = 2,
				   .block_size = 2,
				   .pool_size = 16,
				   .addresses = 18,
				   .vms = 1,
				   .beat = 400 * MS };
	for (unsigned int i = 0; i < length; i++) {
		unsigned int pick = rest % (unsigned int)(EVENTS - i), k = 0;
		struct fs_step *step = &s->steps[s->step_count++];

		rest /= (unsigned int)(EVENTS - i);
		for (;; k++)
			if (!used[k] && pick-- == 0)
				break;
		used[k] = true;
		*step = (struct fs_step){ 4 * SECOND + i * SMALL_GAP, events[k].kind,
					  events[k].host, 0,
					  events[k].kind == FS_MOVE
						  ? plan_of(events[k].value, number)
						  : events[k].value };
	}
	s->steps[s->step_count++] = (struct fs_step){ 12 * SECOND, FS_HEAL, 0, 0, 0 };
	s->end = 12 * SECOND + 40 * SECOND;
}
