/* The clocks by which errands are run, and by which those read them who wait for errands. */
#pragma once

#include <time.h>

#include "base/clock.h"

static inline mono_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ (int64_t)t.tv_sec * 1000000000 + t.tv_nsec };
}

static inline wall_t clock_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (wall_t){ (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 };
}
