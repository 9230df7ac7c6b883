/* vmac router: what an answer looks like to people. */
#include "cli/router.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/show.h"
#include "model/text.h"

#define NS_PER_MS 1000000

/* A length of time, as text or as milliseconds. */
static const char *span_text(const json_t *object, const char *key,
			     char buf[static DURATION_TEXT_MAX])
{
	const json_t *v = json_object_get(object, key);

	if (json_is_integer(v))
		return duration_format(json_integer_value(v), buf);
	return json_is_string(v) ? json_string_value(v) : "";
}

/* A member of a set as text; the addresses are an array. */
static char *member_text(const json_t *set, const char *member)
{
	const json_t *v = json_object_get(set, member);
	char *text = NULL;

	if (json_is_array(v))
		return json_words(set, member, " ");
	if (json_is_integer(v) ? asprintf(&text, "%lld", (long long)json_integer_value(v)) < 0
			       : !(text = strdup(json_is_string(v) ? json_string_value(v) : "")))
		call_no_memory();
	return text;
}

char *router_sets_text(const json_t *router, const char *member)
{
	const json_t *set;
	char *all = strdup(""), *longer, *last = NULL;
	size_t i;

	if (!all)
		call_no_memory();
	json_array_foreach (json_object_get(router, "sets"), i, set) {
		char *text = member_text(set, member);

		/* Two families of one link have the link and the group in common. */
		if (last && strcmp(last, text) == 0) {
			free(text);
			continue;
		}
		if (asprintf(&longer, "%s%s%s", all, all[0] ? " " : "", text) < 0)
			call_no_memory();
		free(all);
		free(last);
		all = longer;
		last = text;
	}
	free(last);
	return all;
}

static void show_state(struct grid *g, const json_t *router, const json_t *live)
{
	const char *reason = json_text(live, "reason"), *active = json_text(live, "active");

	if (!json_yes(router, "enabled"))
		show_pair(g, "enabled", "no");
	if (!live)
		return;
	show_pair(g, "state", json_text(live, "state"));
	if (json_text(live, "since")[0])
		show_pair(g, "since", json_text(live, "since"));
	if (reason[0])
		show_pair(g, "reason", reason);
	if (json_yes(live, "embodied"))
		show_pairf(g, "active", "here (lease of %llu ms left)",
			   json_number(live, "lease_ms"));
	else if (active[0])
		show_pairf(g, "active", "%s with priority %llu", active,
			   json_number(live, "active_priority"));
	else
		show_pair(g, "active", "nobody that is heard");
	if (json_text(live, "standby")[0])
		show_pair(g, "standby", json_text(live, "standby"));
}

static void show_timers(struct grid *g, const json_t *router, const json_t *live)
{
	const json_t *of = live ? live : router;
	char interval[DURATION_TEXT_MAX], hold[DURATION_TEXT_MAX];
	const char *h = span_text(of, "hold", hold);

	show_pairf(g, "interval", "%s%s", span_text(of, "interval", interval),
		   json_yes(live, "timers_learned") ? " (learned)" : "");
	if (h[0] && strcmp(h, "0") != 0)
		show_pair(g, "hold", h);
	if (json_text(live, "learned")[0])
		show_pair(g, "learned", json_text(live, "learned"));
}

static void show_choices(struct grid *g, const json_t *router, const json_t *live)
{
	const char *delay = json_text(router, "preempt_delay");
	const char *hold = json_text(router, "boot_hold");
	const char *found = json_text(live, "checksum"), *linger = json_text(router, "linger");

	if (!json_yes(router, "preempt"))
		show_pair(g, "preempt", "no");
	else if (delay[0] && strcmp(delay, "0") != 0)
		show_pairf(g, "preempt", "yes, after %s", delay);
	else
		show_pair(g, "preempt", "yes");
	if (hold[0] && strcmp(hold, "0") != 0)
		show_pair(g, "boot hold", hold);
	show_pair(g, "accept", json_yes(router, "accept") ? "yes" : "no");
	if (json_yes(router, "also_v2"))
		show_pair(g, "also VRRPv2", "yes");
	if (strcmp(json_text(router, "protocol"), "vrrp3") == 0)
		show_pairf(g, "checksum", "%s%s%s%s", json_text(router, "checksum"),
			   found[0] ? " (now " : "", found, found[0] ? ")" : "");
	if (linger[0] && strcmp(linger, "auto") != 0)
		show_pair(g, "linger", linger);
}

static void show_auth(struct grid *g, const json_t *router)
{
	const json_t *auth = json_object_get(router, "auth"), *key;
	const char *type = json_text(auth, "type");
	char ids[256] = "";
	size_t i, used = 0;

	if (!type[0] || strcmp(type, "none") == 0)
		return;
	json_array_foreach (json_object_get(auth, "keys"), i, key)
		if (used < sizeof(ids))
			used += (size_t)snprintf(ids + used, sizeof(ids) - used, "%s%llu",
						 i > 0 ? ", " : "", json_number(key, "id"));
	show_pairf(g, "authentication", "%s, %s, keys %s", type, json_text(auth, "mode"),
		   ids[0] ? ids : "none");
}

static void show_set(struct grid *g, const json_t *set, const json_t *live)
{
	const json_t *trouble = json_object_get(live, "trouble");
	const char *source = json_text(set, "source"), *device = json_text(set, "device");
	const char *now = json_text(live, "source");

	show_pairf(g, "set", "%s group %llu", json_text(set, "interface"),
		   json_number(set, "group"));
	show_pairf(g, "  vMAC", "%s on %s", json_text(set, "mac"),
		   json_text(live, "device")[0] ? json_text(live, "device")
		   : device[0]			? device
						: "no device yet");
	show_words(g, "  addresses", set, "addresses");
	if (now[0] || source[0])
		show_pair(g, "  sends from", now[0] ? now : source);
	if (json_array_size(json_object_get(set, "peers")) > 0)
		show_words(g, "  peers", set, "peers");
	if (json_number(live, "stopped_out"))
		show_pairf(g, "  stopped out", "%llu frames", json_number(live, "stopped_out"));
	if (json_number(live, "stopped_in"))
		show_pairf(g, "  stopped in", "%llu frames", json_number(live, "stopped_in"));
	if (json_is_object(trouble))
		show_trouble(g, live);
}

static void show_tracks(struct grid *g, const json_t *router, const json_t *live)
{
	const json_t *states = json_object_get(live, "tracks"), *track;
	size_t i;

	json_array_foreach (json_object_get(router, "tracks"), i, track) {
		const json_t *now = json_array_get(states, i);
		long long weight = json_integer_value(json_object_get(track, "weight"));
		const char *detail = json_text(now, "detail");

		grid_addf(g, "track %s:", json_text(track, "kind"));
		grid_addf(g, "%s is %s, weight %lld%s%s", json_text(track, "target"),
			  !now || !json_yes(now, "known") ? "not known yet"
			  : json_yes(now, "up")		  ? "up"
							  : "down",
			  weight, detail[0] ? ": " : "", detail);
	}
}

static void show_counters(struct grid *g, const json_t *live)
{
	static const char *const names[] = { "sent", "received", "announced", "transitions",
					     "late" };
	const json_t *counters = json_object_get(live, "counters"), *value;
	char number[SHOW_NUMBER_MAX];
	const char *name;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (json_number(counters, names[i]))
			show_pair(g, names[i],
				  show_number(json_number(counters, names[i]), number));
	if (json_number(counters, "late_ns_most") >= NS_PER_MS)
		show_pairf(g, "latest", "%llu ms behind its time",
			   json_number(counters, "late_ns_most") / NS_PER_MS);
	json_object_foreach (json_object_get(counters, "verdicts"), name, value)
		if (json_integer_value(value) > 0) {
			grid_addf(g, "heard %s:", name);
			grid_add(g, show_number((unsigned long long)json_integer_value(value),
						number));
		}
}

int router_print(const json_t *router)
{
	const json_t *live = json_object_get(router, "live"), *set;
	unsigned long long priority = json_number(router, "priority");
	struct grid g = grid_of(NULL, 2);
	size_t i;

	if (!json_is_object(live))
		live = NULL;
	show_pair(&g, "name", json_text(router, "name"));
	show_pair(&g, "protocol", json_text(router, "protocol"));
	show_state(&g, router, live);
	if (live && json_number(live, "priority") != priority)
		show_pairf(&g, "priority", "%llu, by tracking %llu", priority,
			   json_number(live, "priority"));
	else
		show_pairf(&g, "priority", "%llu", priority);
	show_timers(&g, router, live);
	show_choices(&g, router, live);
	show_auth(&g, router);
	json_array_foreach (json_object_get(router, "sets"), i, set)
		show_set(&g, set, json_array_get(json_object_get(live, "sets"), i));
	show_tracks(&g, router, live);
	show_counters(&g, live);
	if (json_text(router, "notify")[0])
		show_pair(&g, "notify", json_text(router, "notify"));
	if (json_text(router, "note")[0])
		show_pair(&g, "note", json_text(router, "note"));
	if (json_yes(router, "from_file"))
		show_pair(&g, "from", "the configuration file, which is where it is changed");
	return grid_print(&g) < 0 ? 1 : 0;
}
