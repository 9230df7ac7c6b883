/* FIRST..LAST, as the simulations take their seeds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* false: it is none, or runs backwards. */
static inline bool read_range(const char *text, uint64_t *first, uint64_t *last)
{
	char *end;

	*first = strtoull(text, &end, 10);
	if (strncmp(end, "..", 2) != 0)
		return false;
	*last = strtoull(end + 2, &end, 10);
	return *end == '\0' && *first <= *last;
}
