/* Verbs of `vmac mac` for vMACs that go from host to host. */
#include "cli/move.h"

#include <stdio.h>

#include "cli/show.h"

static char *path_of(const struct command *c, const char *which, const char *verb)
{
	const char *segment = command_option(c, "segment");

	return call_path(c, (const char *[]){ "vmacs", segment ? segment : "-", which, verb, NULL },
			 false);
}

/* What it is now, and not why: a hint is answered when it is under way. */
static void print_step(const json_t *m)
{
	printf("%s is %s: %s\n", json_text(m, "address"), json_text(m, "state"),
	       json_text(m, "meaning"));
}

/* The verb on the command line is the API's. */
int move_hint(struct command *c)
{
	JSON_AUTO body = NULL;
	int r = call_body(c, &body);

	for (unsigned int i = 0; r == 0 && i < c->arg_count; i++) {
		TEXT_AUTO path = path_of(c, c->args[i], c->verb->name);
		JSON_AUTO m = NULL;

		r = call(c, "POST", path, body, &m);
		if (r == 0 && m && call_talks(c))
			print_step(m);
	}
	return r;
}

static void move_row(struct grid *g, const json_t *m)
{
	grid_add(g, json_text(m, "address"));
	grid_add(g, json_text(m, "segment"));
	grid_add(g, json_text(m, "state"));
	grid_add(g, json_text(m, "gate"));
	grid_add(g, json_text(m, "holder"));
	grid_add(g, json_text(m, "to"));
	grid_addf(g, "%llu", json_number(m, "epoch"));
	grid_add(g, json_text(m, "since"));
	grid_addf(g, "%llu", json_number(m, "strangers"));
	grid_add(g, json_text(json_object_get(m, "wire"), "as"));
	grid_add(g, json_text(m, "because"));
}

int move_list(struct command *c)
{
	static const char *const headings[] = { "ADDRESS",    "SEGMENT", "STATE",  "GATE",
						"HOLDER",     "TO",	 ">EPOCH", "SINCE",
						">STRANGERS", "AS",	 "BECAUSE" };

	return show_list(c, "/v1/moves", NULL, 0, headings, ARRAY_LEN(headings), move_row);
}

/* Who else is there, since when, how often, and how that is known. */
static void wire_print(struct grid *g, const json_t *w)
{
	if (!json_is_object(w))
		return;
	show_pairf(g, "on the wire", "%s: %s", json_text(w, "as"), json_text(w, "because"));
	show_pairf(g, "frames",
		   "%llu frames in %s, the last %s ago; looked at: %llu move, %llu loop, "
		   "%llu clone, %llu unknown",
		   json_number(w, "frames"), json_text(w, "first"), json_text(w, "last"),
		   json_number(w, "move"), json_number(w, "loop"), json_number(w, "clone"),
		   json_number(w, "unknown"));
}

void move_print(struct grid *g, const json_t *m)
{
	if (!json_is_object(m))
		return;
	show_pairf(g, "move", "%s, gate %s, for %s", json_text(m, "state"), json_text(m, "gate"),
		   json_text(m, "since"));
	show_pair(g, "because", json_text(m, "because"));
	show_pair(g, "held by", json_text(m, "holder"));
	if (json_text(m, "to")[0])
		show_pair(g, "reserved for", json_text(m, "to"));
	if (json_text(m, "expires")[0])
		show_pair(g, "until in", json_text(m, "expires"));
	if (json_text(m, "asks")[0])
		show_pair(g, "asked for by", json_text(m, "asks"));
	if (json_number(m, "strangers"))
		show_pairf(g, "used by others", "%llu frames on the wire, the last %s ago",
			   json_number(m, "strangers"), json_text(m, "stranger_last"));
	wire_print(g, json_object_get(m, "wire"));
}
