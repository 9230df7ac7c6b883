/* Prints the protocols' tables, one line a row with fields between tabs; docs/protocols/generate
 * makes pages of them.
 *
 *   row     PROTOCOL STATE NEXT OCCURRENCE EVENT WHEN ACTIONS SOURCE REASON
 *   action  NAME MEANING
 *   state   NAME
 *   reason  NAME MEANING */
#include <stdio.h>

#include "base/cleanup.h"
#include "fhrp/machine.h"

static const char *const occurrences[] = { [NOTHING] = "NOTHING",
#define NAME_(constant, name, when) [constant] = #constant,
					   MACHINE_OCCURRENCES(NAME_)
#undef NAME_
};

static const char *reason_text(unsigned int reason)
{
	if (reason == FHRP_REASON_UNTOLD)
		return "";
	return reason == FHRP_REASON_BY_EVENT ? "as told" : fhrp_reason_name(reason);
}

static void print_table(const char *name, enum router_protocol p)
{
	const struct fhrp m = { .config = { .protocol = p } };
	const struct rule *rules = protocol_of(&m)->rules;
	size_t count;
	const struct fhrp_row *rows = fhrp_table(p, &count);

	for (size_t i = 0; i < count; i++)
		printf("row\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name,
		       fhrp_state_name(rows[i].state), fhrp_state_name(rows[i].next),
		       occurrences[rules[i].occurrence], rows[i].event, rows[i].when,
		       rows[i].actions, rows[i].source, reason_text(rules[i].reason));
}

int main(void)
{
	print_table("vrrp", ROUTER_VRRP3);
	print_table("hsrp", ROUTER_HSRP1);
	print_table("carp", ROUTER_CARP);
#define ACTION_(constant, meaning) printf("action\t%s\t%s\n", #constant, meaning);
	MACHINE_ACTIONS(ACTION_)
#undef ACTION_
	for (unsigned int i = 0; i < FHRP_STATE_COUNT; i++)
		printf("state\t%s\n", fhrp_state_name(i));
	for (unsigned int i = 0; i < FHRP_REASON_COUNT; i++)
		printf("reason\t%s\t%s\n", fhrp_reason_name(i), fhrp_reason_meaning(i));
	return 0;
}
