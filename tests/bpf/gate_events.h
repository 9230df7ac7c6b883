/* What the data plane told of: read from its ring, counted and kept for the test to ask. */
#pragma once

static struct plane_event events[64];
static unsigned int event_count, flip_count; /* read in all */

static void on_event(void *ctx, const struct plane_event *e)
{
	if (event_count < 64)
		events[event_count++] = *e;
	flip_count += e->kind == PLANE_FLIPPED;
}

/* Reads them all; the number of that kind of that port. */
static unsigned int told(enum plane_event_kind kind, uint32_t port)
{
	unsigned int count = 0;

	event_count = 0;
	plane_events(p, on_event, NULL);
	for (unsigned int i = 0; i < event_count; i++)
		count += events[i].kind == kind && events[i].port == port;
	return count;
}

static inline void check_told(enum plane_event_kind kind, unsigned int wanted)
{
	assert_int_equal(told(kind, 1), wanted);
	assert_int_equal(event_count, wanted);
}
