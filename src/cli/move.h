/* Verbs of `vmac mac` for vMACs that go from host to host. */
#pragma once

#include "cli/call.h"
#include "cli/grid.h"

int move_hint(struct command *c); /* prepare, activate, abort, stop, resume, thaw, move */
int move_list(struct command *c); /* moves */

/* How a move stands (NULL: there is none), as lines of `mac show`. */
void move_print(struct grid *g, const json_t *move);
