/* Prints the machine's table, one line a row with fields between tabs; docs/protocols/generate
 * makes a page of it.
 *
 *   state    NAME GATE MEANING
 *   row      STATE OCCURRENCE WHEN ACTIONS NEXT REASON
 *   action   NAME MEANING
 *   reason   NAME MEANING */
#include <stdio.h>

#include "migrate/machine.h"

static const char *const gates[] = {
	[MIGRATE_GATE_CLOSED] = "closed", [MIGRATE_GATE_TUNNEL_IN] = "tunnel-in",
	[MIGRATE_GATE_OPEN] = "open",	  [MIGRATE_GATE_REDIRECT] = "redirect",
	[MIGRATE_GATE_FENCED] = "fenced",
};

int main(void)
{
	size_t count;
	const struct migrate_row *rows = migrate_table(&count);

	for (unsigned int i = 0; i < MIGRATE_STATE_COUNT; i++)
		printf("state\t%s\t%s\t%s\n", migrate_state_name(i), gates[migrate_gate(i)],
		       migrate_state_meaning(i));
	for (size_t i = 0; i < count; i++)
		printf("row\t%s\t%s\t%s\t%s\t%s\t%s\n", rows[i].state, rows[i].occurrence,
		       rows[i].when, rows[i].actions, rows[i].next, rows[i].reason);
#define ACTION_(constant, meaning) printf("action\t%s\t%s\n", #constant, meaning);
	MIGRATE_ACTIONS(ACTION_)
#undef ACTION_
	for (unsigned int i = 0; i < MIGRATE_REASON_COUNT; i++)
		printf("reason\t%s\t%s\n", migrate_reason_name(i), migrate_reason_meaning(i));
	return 0;
}
