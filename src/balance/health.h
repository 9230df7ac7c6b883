/* Whether a member is fit, from single results of its check.  Pure.
 *
 * The first result counts at once; from then on as many equal results in a row as `rise` or `fall`
 * say turn it, so that one lost probe turns nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

struct health_state {
	uint8_t health, streak; /* of results against `health` */
};

/* Returns whether h->health changed. */
bool health_result(struct health_state *h, bool up, uint8_t rise, uint8_t fall);
const char *health_name(enum health h); /* "unknown", "up", "down" */
