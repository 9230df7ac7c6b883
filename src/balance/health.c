#include "balance/health.h"

#include <assert.h>
#include <stddef.h>

#include "base/cleanup.h"

bool health_result(struct health_state *h, bool up, uint8_t rise, uint8_t fall)
{
	const uint8_t says = up ? HEALTH_UP : HEALTH_DOWN, needed = up ? rise : fall;

	if (h->health == says) {
		h->streak = 0;
		return false;
	}
	if (h->health != HEALTH_UNKNOWN && ++h->streak < needed)
		return false;
	*h = (struct health_state){ .health = says };
	return true;
}

const char *health_name(enum health h)
{
	static const char *const names[] = { "unknown", "up", "down" };

	_Static_assert(ARRAY_LEN(names) == HEALTH_DOWN + 1, "every state has a name");
	assert((size_t)h < ARRAY_LEN(names));
	return names[h];
}
