/* The engine as the API's tests see it: engine.h at link time, over a few arrays.
 *
 * Commands are answered from fake_engine_fd()'s next turn, like the real one's from the store's;
 * views wait for them.  Some reasons have a meaning: "slow" is answered after FAKE_SLOW_MS, "disk
 * full" is refused as a full registry is. */
#pragma once

#include "engine/engine.h"

#define FAKE_SLOW_MS 300

struct engine *fake_engine_new(mono_t (*mono_now)(void), wall_t (*wall_now)(void));
int fake_engine_fd(const struct engine *e);
mono_t fake_engine_next_expiry(const struct engine *e);
void fake_engine_ready(struct engine *e);

/* What this host is among others; before the first request. */
enum fake_fleet { FAKE_FLEET, FAKE_ALONE, FAKE_CUT /* from the shared registry */ };
void fake_fleet_begin(enum fake_fleet kind);

/* Every command must have been answered. */
void fake_engine_free(struct engine *e);
