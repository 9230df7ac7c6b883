/* All small cases: two routers, an election, a hand-over and a return; one fault at each event, or
 * one frame's fate at each frame. */
#pragma once

#include "sim.h"

unsigned int small_count(void);
/* Case `number` of them; false when its router pair has no such event (a number too high). */
bool small_make(struct scenario *s, unsigned int number);
