/* Time as types, so that an instant, a length of time and a date cannot be mixed up.
 *
 * Nothing in the pure rooms reads a clock: instants come in as parameters (`now`), and a deadline
 * is answered to the question x_next_expiry().  mono_t is CLOCK_BOOTTIME (intervals, leases, timers
 * of this boot); wall_t is CLOCK_REALTIME and only used for what must outlive a boot: quarantine,
 * lifetimes and history. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	int64_t ns; /* since boot, suspend included */
} mono_t;

typedef struct {
	int64_t ns;
} span_t;

typedef struct {
	int64_t ms; /* since 1970-01-01T00:00:00Z */
} wall_t;

#define MONO_NEVER ((mono_t){ INT64_MAX })
#define WALL_NEVER ((wall_t){ INT64_MAX })

#define SPAN_NS(n) ((span_t){ (int64_t)(n) })
#define SPAN_MS(n) ((span_t){ (int64_t)(n)*1000000 })
#define SPAN_S(n)  ((span_t){ (int64_t)(n)*1000000000 })

/* Saturates at the "never" value instead of wrapping. */
static inline mono_t mono_after(mono_t t, span_t d)
{
	mono_t r;

	if (t.ns == INT64_MAX || __builtin_add_overflow(t.ns, d.ns, &r.ns))
		return MONO_NEVER;
	return r;
}

static inline span_t mono_since(mono_t later, mono_t earlier)
{
	return (span_t){ later.ns - earlier.ns };
}

static inline bool mono_due(mono_t deadline, mono_t now)
{
	return deadline.ns <= now.ns;
}

static inline wall_t wall_after_ms(wall_t t, int64_t ms)
{
	wall_t r;

	if (t.ms == INT64_MAX || __builtin_add_overflow(t.ms, ms, &r.ms))
		return WALL_NEVER;
	return r;
}

static inline bool wall_due(wall_t deadline, wall_t now)
{
	return deadline.ms <= now.ms;
}
