/* The history line of one change, the same in every backend. */
#pragma once

#include "model/record.h"
#include "store/store.h"

struct change_line {
	struct history line; /* seq is the backend's to set; texts point here or into the change */
	char subject[VMAC_MAC_TEXT_MAX];
	char from[STATE_TEXT_MAX], to[STATE_TEXT_MAX];
};

/* The segment that a change belongs to, 0 for none; a segment belongs to itself. */
uint32_t change_segment(const struct change *c);

/* Fills *ret for a change whose verb is not "".  segment: the name of change_segment(). */
void change_line_fill(const struct change *c, const struct store_txn *txn, const char *segment,
		      struct change_line *ret);
