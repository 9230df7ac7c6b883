/* Deadlines that move: a heap in which every timer knows its place, so that a router has one entry
 * however often its deadline changes.  (base/heap.h cannot move an entry, and stale ones would
 * outnumber the true: a backup's deadline moves with every advertisement it hears.) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"

#define TIMER_IDLE UINT32_MAX

/* Part of what is timed; begins as { .place = TIMER_IDLE }. */
struct timer {
	uint32_t place; /* in the heap; TIMER_IDLE = not in it */
};

struct timers {
	struct timer_entry {
		int64_t at;
		struct timer *timer;
	} * entries;
	size_t count, capacity;
	const struct mem *mem;
};

void timers_init(struct timers *t, const struct mem *mem);
void timers_done(struct timers *t);

/* Makes room for so many timers at once: timers_set() never fails.  -ENOMEM leaves all as it was.
 */
int timers_reserve(struct timers *t, size_t count);

/* Sets, moves, or with MONO_NEVER removes a timer. */
void timers_set(struct timers *t, struct timer *timer, mono_t at);

/* The next one and when it is due; NULL: none. */
struct timer *timers_first(const struct timers *t, mono_t *ret_at);
