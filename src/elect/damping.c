#include <string.h>

#include "elect/track.h"

bool track_result(struct track *t, bool up, const char *detail)
{
	/* What the thread sees by itself comes when it changes, not again and again. */
	uint8_t enough = !t->probe ? 1 : up ? t->record->rise : t->record->fall;

	t->runs++;
	t->failures += !up;
	memset(t->detail, 0, sizeof(t->detail));
	memccpy(t->detail, detail, '\0', sizeof(t->detail) - 1);
	if (!t->known) {
		t->known = true;
		t->up = up;
		t->streak = 0;
		return true;
	}
	if (up == t->up) {
		t->streak = 0;
		return false;
	}
	if (++t->streak < enough)
		return false;
	t->up = up;
	t->streak = 0;
	return true;
}

struct track_sum tracks_sum(const struct track *tracks, unsigned int count)
{
	struct track_sum sum = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		int weight = tracks[i].record->weight;

		if (weight == 0)
			sum.fault |= !tracks[i].up;
		else if (tracks[i].up == (weight > 0))
			sum.adjust += weight;
	}
	return sum;
}
