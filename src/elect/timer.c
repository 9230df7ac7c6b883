#include "elect/timer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define TIMERS_CAPACITY_MIN 16

/* Four children a node: half as deep as two, and the four lie in one line of the cache. */
#define CHILDREN 4

void timers_init(struct timers *t, const struct mem *mem)
{
	*t = (struct timers){ .mem = mem };
}

void timers_done(struct timers *t)
{
	mem_free(t->mem, t->entries);
	*t = (struct timers){ .mem = t->mem };
}

int timers_reserve(struct timers *t, size_t count)
{
	size_t capacity = t->capacity ? t->capacity : TIMERS_CAPACITY_MIN;
	struct timer_entry *entries;

	while (capacity < count)
		capacity *= 2;
	if (capacity == t->capacity)
		return 0;
	entries = mem_alloc(t->mem, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (t->count > 0)
		memcpy(entries, t->entries, t->count * sizeof(*entries));
	mem_free(t->mem, t->entries);
	t->entries = entries;
	t->capacity = capacity;
	return 0;
}

static void entry_put(struct timers *t, size_t place, struct timer_entry e)
{
	t->entries[place] = e;
	e.timer->place = (uint32_t)place;
}

static void sift_up(struct timers *t, size_t place, struct timer_entry e)
{
	while (place > 0 && e.at < t->entries[(place - 1) / CHILDREN].at) {
		entry_put(t, place, t->entries[(place - 1) / CHILDREN]);
		place = (place - 1) / CHILDREN;
	}
	entry_put(t, place, e);
}

static void sift_down(struct timers *t, size_t place, struct timer_entry e)
{
	size_t first, least;

	while ((first = CHILDREN * place + 1) < t->count) {
		least = first;
		for (size_t i = first + 1; i < first + CHILDREN && i < t->count; i++)
			if (t->entries[i].at < t->entries[least].at)
				least = i;
		if (t->entries[least].at >= e.at)
			break;
		entry_put(t, place, t->entries[least]);
		place = least;
	}
	entry_put(t, place, e);
}

static void entry_settle(struct timers *t, size_t place, struct timer_entry e)
{
	if (place > 0 && e.at < t->entries[(place - 1) / CHILDREN].at)
		sift_up(t, place, e);
	else
		sift_down(t, place, e);
}

static void timers_remove(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;
	struct timer_entry last;

	timer->place = TIMER_IDLE;
	last = t->entries[--t->count];
	if (place < t->count)
		entry_settle(t, place, last);
}

void timers_set(struct timers *t, struct timer *timer, mono_t at)
{
	struct timer_entry e = { at.ns, timer };

	if (at.ns == MONO_NEVER.ns) {
		if (timer->place != TIMER_IDLE)
			timers_remove(t, timer);
	} else if (timer->place == TIMER_IDLE) {
		assert(t->count < t->capacity);
		sift_up(t, t->count++, e);
	} else if (t->entries[timer->place].at != at.ns) {
		entry_settle(t, timer->place, e);
	}
}

struct timer *timers_first(const struct timers *t, mono_t *ret_at)
{
	if (t->count == 0)
		return NULL;
	*ret_at = (mono_t){ t->entries[0].at };
	return t->entries[0].timer;
}
