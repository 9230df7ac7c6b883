/* The two clocks of base/clock.h, read: the one place for all rooms that may include this one.
 * Those beside it (plane, store) and below the purity line have their own reading, or none. */
#pragma once

#include <time.h>

#include "base/clock.h"

static inline mono_t clock_boot(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ t.tv_sec * INT64_C(1000000000) + t.tv_nsec };
}

static inline wall_t clock_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (wall_t){ t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000 };
}
