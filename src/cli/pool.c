#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>

static int add(struct command *c)
{
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = call_body(c, &body);

	if (r != 0)
		return r;
	json_object_set_new(body, "name", json_string(c->args[0]));
	r = call(c, "POST", "/v1/pools", body, &answer);
	if (r == 0 && answer && call_talks(c)) {
		TEXT_AUTO ranges = json_words(answer, "ranges", " ");

		printf("pool %s added: %s\n", c->args[0], ranges);
	}
	return r;
}

static void list_row(struct grid *g, const json_t *p)
{
	TEXT_AUTO ranges = json_words(p, "ranges", " ");
	char number[SHOW_NUMBER_MAX];

	grid_add(g, json_text(p, "name"));
	grid_add(g, json_text(p, "segment"));
	grid_add(g, show_number(json_number(p, "size"), number));
	grid_add(g, show_number(json_number(p, "used"), number));
	grid_add(g, show_number(json_number(p, "quarantined"), number));
	grid_add(g, show_number(json_number(p, "available"), number));
	grid_add(g, json_text(p, "quarantine"));
	grid_add(g, ranges);
}

static int list(struct command *c)
{
	static const char *const headings[] = { "NAME",	       "SEGMENT",      ">SIZE",
						">USED",       ">QUARANTINED", ">AVAILABLE",
						">QUARANTINE", "RANGES" };
	TEXT_AUTO path = call_path(c, (const char *[]){ "pools", NULL }, true);

	return show_list(c, path, NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

static int show(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "pools", c->args[0], NULL }, true);
	struct grid g = grid_of(NULL, 2);
	char number[SHOW_NUMBER_MAX];
	JSON_AUTO p = NULL;
	int r = call(c, "GET", path, NULL, &p);

	if (r != 0 || !p || !call_talks(c))
		return r;
	show_pair(&g, "name", json_text(p, "name"));
	show_pair(&g, "segment", json_text(p, "segment"));
	show_words(&g, "ranges", p, "ranges");
	show_words(&g, "excludes", p, "excludes");
	show_pair(&g, "quarantine", json_text(p, "quarantine"));
	if (json_number(p, "limit"))
		show_pair(&g, "limit", show_number(json_number(p, "limit"), number));
	show_pair(&g, "size", show_number(json_number(p, "size"), number));
	show_pair(&g, "excluded", show_number(json_number(p, "excluded"), number));
	show_pair(&g, "used", show_number(json_number(p, "used"), number));
	show_pair(&g, "quarantined", show_number(json_number(p, "quarantined"), number));
	show_pair(&g, "available", show_number(json_number(p, "available"), number));
	if (json_number(p, "block_size"))
		show_pairf(&g, "blocks", "%llu of this host's, %llu addresses each",
			   json_number(p, "blocks"), json_number(p, "block_size"));
	if (json_text(p, "next_free")[0])
		show_pair(&g, "next free", json_text(p, "next_free"));
	if (json_text(p, "key")[0])
		show_pair(&g, "key", json_text(p, "key"));
	show_pair(&g, "created", json_text(p, "created"));
	return grid_print(&g) < 0 ? 1 : 0;
}

static int set(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "pools", c->args[0], NULL }, false);
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = call_body(c, &body);

	if (r == 0)
		r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("pool %s changed\n", c->args[0]);
	return r;
}

static int erase(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "pools", c->args[0], NULL }, true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("pool %s deleted\n", c->args[0]);
	return r;
}

/* clang-format off */
static const struct option add_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "the segment that it serves; may be left out if there is one",
	  "segment" },
	{ "range", "RANGE", OPTION_LIST, "FIRST..LAST, ADDRESS/BITS or one ADDRESS", "ranges" },
	{ "exclude", "RANGE", OPTION_LIST, "addresses never to be handed out", "excludes" },
	{ "quarantine", "DURATION", OPTION_TEXT, "rest of a released address (4h)", "quarantine" },
	{ "limit", "N", OPTION_NUMBER, "vMACs at most at once", "limit" },
	{ "key", "HEX32", OPTION_TEXT, "of the permutation, to get the same addresses again", "key" },
};
static const struct option set_options[] = {
	{ "quarantine", "DURATION", OPTION_TEXT, "for releases from now on", "quarantine" },
	{ "limit", "N", OPTION_NUMBER, "vMACs at most at once; 0 = no limit", "limit" },
};
static const struct option list_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "only this segment's", "segment" },
};
static const struct option show_options[] = {
	{ "key", NULL, OPTION_FLAG, "the permutation's key, too; keep it secret", "key" },
};

static const struct verb verbs[] = {
	{ .name = "add", .args = "NAME", .args_min = 1, .args_max = 1, .run = add, .writes = true,
	  OPTIONS(add_options), .summary = "Add a pool: where a segment's addresses come from",
	  .more = "Without --range it gets 2^32 locally administered addresses of its own (SLAP's AAI\n"
		  "quadrant, a random second octet).  A range lies within one first octet.",
	  .examples = "  vmac pool add lab --segment lan\n"
		      "  vmac pool add lab --segment lan --range d2:22:33:00:00:00/24\n"
		      "  vmac pool add lab --range d2:22:33:00:00:00..d2:22:33:00:ff:ff --quarantine 1d\n" },
	{ .name = "list", .args = "", .run = list, OPTIONS(list_options), .summary = "List the pools",
	  .examples = "  vmac pool list\n" },
	{ .name = "show", .args = "NAME", .args_min = 1, .args_max = 1, .run = show,
	  OPTIONS(show_options), .summary = "Show a pool and how full it is",
	  .examples = "  vmac pool show lab\n"
		      "  vmac pool show lab --key          # to write it down for a rebuild\n" },
	{ .name = "set", .args = "NAME", .args_min = 1, .args_max = 1, .run = set, .writes = true,
	  OPTIONS(set_options), .summary = "Change a pool's quarantine or limit",
	  .examples = "  vmac pool set lab --quarantine 12h\n" },
	{ .name = "delete", .args = "NAME", .args_min = 1, .args_max = 1, .run = erase,
	  .writes = true, .summary = "Delete a pool none of whose addresses is in use",
	  .examples = "  vmac pool delete lab\n" },
};
/* clang-format on */

const struct noun noun_pool = { "pool", "where addresses come from", verbs, ARRAY_LEN(verbs) };
