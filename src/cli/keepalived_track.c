/* keepalived's tracking and notifying. */
#include "cli/keepalived_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/text.h"

#define WEIGHT_MOST 254
#define COUNT_MOST  255

static const struct keepalived_node *definition(const struct keepalived_mapping *map,
						const char *kind, const char *name)
{
	const struct keepalived_node *n;

	for (n = map->globals.first; n; n = n->next)
		if (keepalived_is(n, kind) && n->word_count > 1 && strcmp(n->words[1], name) == 0)
			return n;
	return NULL;
}

static void put_weight(struct keepalived_mapping *map, const struct keepalived_node *at,
		       const char *text, json_t *track)
{
	long long weight;

	if (keepalived_number(text, -WEIGHT_MOST, WEIGHT_MOST, &weight) < 0)
		keepalived_note(map->m, at, true, "weight %.20s is not in -254 ... 254: taken as 0",
				text);
	else
		keepalived_put(track, "weight", json_integer(weight));
}

/* "NAME [weight N] [reverse] …": the words behind the name. */
static void track_words(struct keepalived_mapping *map, const struct keepalived_node *at,
			json_t *track)
{
	for (unsigned int i = 1; i < at->word_count; i++) {
		if (strcmp(at->words[i], "weight") == 0 && i + 1 < at->word_count)
			put_weight(map, at, at->words[++i], track);
		else
			keepalived_note(map->m, at, true,
					"%s %.40s: vmac has no such way of tracking; look at what "
					"the router does when %s goes down",
					at->words[0], at->words[i], at->words[0]);
	}
}

static json_t *track_new(json_t *router, const char *kind, const char *target)
{
	json_t *tracks = json_object_get(router, "tracks"), *track = json_object();

	if (!tracks) {
		tracks = json_array();
		keepalived_put(router, "tracks", tracks);
	}
	if (track)
		json_array_append_new(tracks, track);
	keepalived_put(track, "kind", json_string(kind));
	keepalived_put(track, "target", json_string(target));
	return track;
}

static void map_interface(struct keepalived_mapping *map, json_t *router,
			  const struct keepalived_node *at)
{
	track_words(map, at, track_new(router, "interface", at->words[0]));
}

/* --- scripts --------------------------------------------------------------------------------- */

static void script_count(struct keepalived_mapping *map, const struct keepalived_node *n,
			 json_t *track)
{
	const char *text = keepalived_value(map->m, n);
	long long count;

	if (!text)
		return;
	if (keepalived_number(text, 1, COUNT_MOST, &count) < 0)
		keepalived_note(map->m, n, true, "%s %.20s is not in 1 ... 255: taken as 1",
				n->words[0], text);
	else
		keepalived_put(track, n->words[0], json_integer(count));
}

static void script_keyword(struct keepalived_mapping *map, const struct keepalived_node *n,
			   json_t *track)
{
	const char *word = n->words[0], *text;

	if (strcmp(word, "script") == 0) {
		const char *line = n->word_count == 2 ? n->words[1] : keepalived_line(n, 1);

		keepalived_put(track, "target", json_string(line));
	} else if (strcmp(word, "interval") == 0 || strcmp(word, "timeout") == 0) {
		text = keepalived_value(map->m, n);
		if (text)
			keepalived_put_seconds(map->m, n, text, track, word);
	} else if (strcmp(word, "weight") == 0) {
		text = keepalived_value(map->m, n);
		if (text)
			put_weight(map, n, text, track);
		if (n->word_count > 2)
			keepalived_note(map->m, n, true,
					"weight %.20s: vmac tracks a script one way round only",
					n->words[2]);
	} else if (strcmp(word, "rise") == 0 || strcmp(word, "fall") == 0) {
		script_count(map, n, track);
	} else if (strcmp(word, "user") == 0) {
		keepalived_note(map->m, n, true,
				"the script runs as root, not as %.40s: let it change user itself",
				n->word_count > 1 ? n->words[1] : "that user");
	} else if (strcmp(word, "init_fail") == 0) {
		keepalived_note(map->m, n, false,
				"a script counts as neither up nor down until it has run");
	} else {
		keepalived_note(map->m, n, true, "%.40s: vmac knows no such setting of a script",
				word);
	}
}

/* What keepalived begins with; its timeout is the interval where none is said, and ours must not
 * exceed it. */
static void script_finish(struct keepalived_mapping *map, const struct keepalived_node *s,
			  json_t *track)
{
	const char *target = json_string_value(json_object_get(track, "target"));
	int64_t interval = 0, timeout = 0;

	if (!json_object_get(track, "interval"))
		keepalived_put(track, "interval", json_string("1s"));
	duration_parse(json_string_value(json_object_get(track, "interval")), &interval);
	if (json_object_get(track, "timeout"))
		duration_parse(json_string_value(json_object_get(track, "timeout")), &timeout);
	if (timeout > interval)
		keepalived_note(map->m, s, false,
				"the script's timeout is cut to its interval: vmac runs one at a "
				"time");
	if (timeout == 0 || timeout > interval)
		keepalived_put(track, "timeout",
			       json_string(json_string_value(json_object_get(track, "interval"))));
	if (!json_object_get(track, "rise"))
		keepalived_put(track, "rise", json_integer(1));
	if (!json_object_get(track, "fall"))
		keepalived_put(track, "fall", json_integer(1));
	if (target && target[0] && target[0] != '/')
		keepalived_note(
			map->m, s, true,
			"\"%.60s\" will not run: name the program with its whole path; there "
			"is no shell",
			target);
}

static void map_script(struct keepalived_mapping *map, json_t *router,
		       const struct keepalived_node *at)
{
	const struct keepalived_node *s = definition(map, "vrrp_script", at->words[0]);
	json_t *track;

	if (!s) {
		keepalived_note(map->m, at, true, "there is no vrrp_script %.60s", at->words[0]);
		return;
	}
	track = track_new(router, "script", "");
	for (const struct keepalived_node *n = s->children; n; n = n->next)
		script_keyword(map, n, track);
	track_words(map, at, track);
	script_finish(map, s, track);
	if (!json_string_length(json_object_get(track, "target"))) {
		json_t *tracks = json_object_get(router, "tracks");

		keepalived_note(map->m, s, true, "vrrp_script %.60s names no script%s",
				at->words[0],
				s->children ? " (see --host for conditional lines)" : "");
		json_array_remove(tracks, json_array_size(tracks) - 1);
	}
}

static void map_lost(struct keepalived_mapping *map, json_t *router,
		     const struct keepalived_node *at)
{
	(void)router;
	keepalived_note(map->m, at, true,
			"tracking of %.60s is not carried over: write a script that exits with 0 "
			"while it is well, and track that",
			at->words[0]);
}

/* clang-format off */
static const struct {
	const char *keyword;
	void (*map)(struct keepalived_mapping *map, json_t *router,
		    const struct keepalived_node *at);
} tracks[] = {
	{ "track_interface", map_interface },
	{ "track_script",    map_script },
	{ "track_file",	     map_lost }, /* the number in the file; ours asks whether it is there */
	{ "track_process",   map_lost },
	{ "track_bfd",	     map_lost },
};
/* clang-format on */

bool keepalived_track_map(struct keepalived_mapping *map, json_t *router,
			  const struct keepalived_node *at)
{
	for (size_t i = 0; i < ARRAY_LEN(tracks); i++) {
		if (!keepalived_is(at, tracks[i].keyword))
			continue;
		for (const struct keepalived_node *n = at->children; n; n = n->next)
			tracks[i].map(map, router, n);
		return true;
	}
	return false;
}

/* --- notifying ------------------------------------------------------------------------------- */

bool keepalived_notify_map(struct keepalived_mapping *map, json_t *router,
			   const struct keepalived_node *at)
{
	if (strncmp(at->words[0], "notify", 6) != 0 && !keepalived_is(at, "smtp_alert"))
		return false;
	if (keepalived_is(at, "notify") && at->word_count == 2 && at->words[1][0] == '/' &&
	    !strpbrk(at->words[1], " \t") && !json_object_get(router, "notify")) {
		keepalived_put(router, "notify", json_string(at->words[1]));
		if (!map->told_notify)
			keepalived_note(map->m, at, false,
					"vmac calls a notify program with other arguments: see "
					"docs/routers.md, \"Being told\"");
		map->told_notify = true;
		return true;
	}
	keepalived_note(map->m, at, true,
			"%.40s is not carried over: name one program in notify, which is told of "
			"every transition",
			at->words[0]);
	return true;
}
