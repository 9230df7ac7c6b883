#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmac/client.h>

#include "model/text.h"

#define HISTORY_LIMIT 50 /* lines where nothing else is said */

static void list_row(struct grid *g, const json_t *h)
{
	const char *from = json_text(h, "from"), *to = json_text(h, "to");

	grid_add(g, json_text(h, "at"));
	grid_add(g, json_text(h, "kind"));
	grid_add(g, json_text(h, "subject"));
	grid_add(g, json_text(h, "verb"));
	grid_add(g, json_text(h, "actor"));
	grid_add(g, json_text(h, "reason"));
	grid_addf(g, "%s -> %s", from[0] ? from : "-", to[0] ? to : "-");
}

/* --since: a date as it stands, or a length of time before now. */
static int since_text(const struct command *c, const char *since, char buf[static WALL_TEXT_MAX])
{
	struct timespec now;
	int64_t ms;
	wall_t t;

	if (wall_parse(since, &t) < 0) {
		if (duration_parse(since, &ms) < 0)
			return command_misuse(c, "--since: \"%s\" is no duration and no date",
					      since);
		clock_gettime(CLOCK_REALTIME, &now);
		t.ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - ms;
	}
	wall_format(t, buf);
	return 0;
}

/* The path with all but the page. */
static char *history_path(const struct command *c, const char *since)
{
	const char *names[] = { "subject", "segment", "since" };
	const char *values[] = { c->arg_count > 0 ? c->args[0] : NULL, command_option(c, "segment"),
				 since[0] ? since : NULL };
	char *path = strdup("/v1/history"), *longer;
	const char *join = "?";

	for (size_t i = 0; path && i < ARRAY_LEN(names); i++) {
		TEXT_AUTO value = values[i] ? vmac_escape(values[i]) : NULL;

		if (!value)
			continue;
		if (asprintf(&longer, "%s%s%s=%s", path, join, names[i], value) < 0)
			call_no_memory();
		free(path);
		path = longer;
		join = "&";
	}
	if (!path)
		call_no_memory();
	return path;
}

int history_run(struct command *c)
{
	static const char *const headings[] = { "AT",  "WHAT",	 "SUBJECT", "VERB",
						"WHO", "REASON", "CHANGE" };
	const char *limit = command_option(c, "limit"), *since = command_option(c, "since");
	char since_buf[WALL_TEXT_MAX] = "";
	TEXT_AUTO path = NULL;
	unsigned long long most = HISTORY_LIMIT;
	char *end;
	int r;

	if (limit) {
		most = strtoull(limit, &end, 10);
		if (limit[0] < '0' || limit[0] > '9' || *end || most == 0)
			return command_misuse(c, "--limit: \"%s\" is no number of lines", limit);
	}
	if (since) {
		r = since_text(c, since, since_buf);
		if (r != 0)
			return r;
	}
	path = history_path(c, since_buf);
	return show_list(c, path, "before", most, headings, ARRAY_LEN(headings), list_row);
}

/* clang-format off */
const struct option history_options[HISTORY_OPTIONS] = {
	{ "segment", "NAME", OPTION_TEXT, "only this segment's" },
	{ "since", "DURATION", OPTION_TEXT, "only the last 15m, 4h, 7d; or since a date (RFC 3339)" },
	{ "limit", "N", OPTION_NUMBER, "this many lines at most (50)" },
};

static const struct verb verbs[] = {
	{ .name = "", .args = "[SUBJECT]", .args_max = 1, .run = history_run,
	  OPTIONS(history_options), .summary = "Show who changed what, when and why, newest first",
	  .more = "SUBJECT is the name of a segment, pool or port, or a vMAC's address.",
	  .examples = "  vmac history --since 1h\n"
		      "  vmac history d2:22:33:00:00:01\n" },
};
/* clang-format on */

const struct noun noun_history = { "history", "who changed what, when and why", verbs,
				   ARRAY_LEN(verbs) };
