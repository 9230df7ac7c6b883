/* keepalived's tree as routers: what stands at its top level. */
#include "cli/keepalived_map.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/call.h"
#include "model/text.h"

#define SECONDS_MAX 1000000

/* --- helpers --------------------------------------------------------------------------------- */

bool keepalived_is(const struct keepalived_node *n, const char *word)
{
	return strcmp(n->words[0], word) == 0;
}

bool keepalived_switch(const struct keepalived_node *n)
{
	return n->word_count < 2 || strcmp(n->words[1], "on") == 0 ||
	       strcmp(n->words[1], "true") == 0 || strcmp(n->words[1], "yes") == 0;
}

void keepalived_put(json_t *object, const char *key, json_t *value)
{
	if (!value) /* not UTF-8: what it stood for cannot be said in JSON */
		value = json_string("?");
	if (!value || json_object_set_new(object, key, value) < 0)
		call_no_memory();
}

int keepalived_number(const char *text, long long low, long long high, long long *ret)
{
	long long n;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || *end || errno || n < low || n > high)
		return -EINVAL;
	*ret = n;
	return 0;
}

int keepalived_seconds(const char *text, long long *ret_ms)
{
	long long ms = 0, unit = 1000;
	bool any = false;

	for (; *text >= '0' && *text <= '9'; text++, any = true) {
		ms = ms * 10 + (*text - '0') * 1000;
		if (ms > SECONDS_MAX * 1000LL)
			return -EINVAL;
	}
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++, any = true) {
			unit /= 10;
			ms += unit * (*text - '0');
		}
	if (*text || !any)
		return -EINVAL;
	*ret_ms = ms;
	return 0;
}

void keepalived_put_seconds(struct keepalived_import *m, const struct keepalived_node *at,
			    const char *text, json_t *object, const char *key)
{
	char buf[DURATION_TEXT_MAX];
	long long ms;

	if (keepalived_seconds(text, &ms) < 0)
		keepalived_note(m, at, true, "\"%.20s\" is no number of seconds: left out", text);
	else
		keepalived_put(object, key, json_string(duration_format(ms, buf)));
}

const char *keepalived_value(struct keepalived_import *m, const struct keepalived_node *at)
{
	if (at->word_count > 1)
		return at->words[1];
	keepalived_note(m, at, true, "%.40s has no value", at->words[0]);
	return NULL;
}

const char *keepalived_line(const struct keepalived_node *n, unsigned int from)
{
	static char line[KEEPALIVED_LINE_MAX];
	size_t used = 0;

	line[0] = '\0';
	for (unsigned int i = from; i < n->word_count && used < sizeof(line); i++) {
		const char *quote = strpbrk(n->words[i], " \t") ? "\"" : "";

		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s%s%s",
					 i > from ? " " : "", quote, n->words[i], quote);
	}
	return line;
}

void keepalived_note(struct keepalived_import *m, const struct keepalived_node *at, bool lost,
		     const char *fmt, ...)
{
	struct keepalived_note *notes;
	va_list ap;
	char *text;
	int n;

	if (m->note_count == KEEPALIVED_NOTES_MAX)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	notes = reallocarray(m->notes, m->note_count + 1, sizeof(*notes));
	if (n < 0 || !notes)
		call_no_memory();
	m->notes = notes;
	m->notes[m->note_count++] =
		(struct keepalived_note){ .file = at->file,
					  .line = at->line,
					  .lost = lost,
					  .router = (int)json_array_size(m->routers),
					  .text = text };
	m->lost |= lost;
}

/* What is said from here on until the next router belongs to no router. */
static void notes_of_all(struct keepalived_import *m, unsigned int from)
{
	for (unsigned int i = from; i < m->note_count; i++)
		m->notes[i].router = -1;
}

/* --- names ----------------------------------------------------------------------------------- */

static bool name_taken(const json_t *routers, const char *name)
{
	const json_t *r;
	size_t i;

	json_array_foreach (routers, i, r)
		if (strcmp(json_text(r, "name"), name) == 0)
			return true;
	return false;
}

/* A name of ours: other characters become dashes, a second one of that name gets a number. */
static void name_put(struct keepalived_mapping *map, const struct keepalived_node *at,
		     json_t *router)
{
	const char *given = at->word_count > 1 ? at->words[1] : "router";
	char stem[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
	struct error ignored;

	snprintf(stem, sizeof(stem), "%s", given);
	for (char *p = stem; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    *p))
			*p = '-';
	snprintf(name, sizeof(name), "%s", stem);
	if (name_check("router", name, &ignored) < 0)
		snprintf(name, sizeof(name), "r%.*s", NAME_MAX_LEN - 1, stem);
	for (int i = 2; name_taken(map->m->routers, name); i++)
		snprintf(name, sizeof(name), "%.*s-%d", NAME_MAX_LEN - 12, stem, i);
	if (strcmp(name, given) != 0)
		keepalived_note(map->m, at, false, "\"%.60s\" becomes %s", given, name);
	keepalived_put(router, "name", json_string(name));
}

/* The members in the order in which people read them; consumes the router. */
static json_t *in_order(json_t *router)
{
	static const char *const first[] = { "name",	       "protocol",	   "priority",
					     "interval",       "preempt",	   "preempt_delay",
					     "boot_hold",      "accept",	   "also_v2",
					     "announce_count", "announce_refresh", "auth",
					     "sets",	       "tracks",	   "notify" };
	json_t *ordered = json_object(), *value;

	if (!ordered)
		call_no_memory();
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		value = json_object_get(router, first[i]);
		if (value)
			json_object_set(ordered, first[i], value);
	}
	json_object_update_missing(ordered, router);
	json_decref(router);
	return ordered;
}

static void router_append(struct keepalived_mapping *map, const struct keepalived_node *at,
			  json_t *router)
{
	struct keepalived_import *m = map->m;

	name_put(map, at, router);
	router = in_order(router);
	m->origins = reallocarray(m->origins, m->origin_count + 1, sizeof(*m->origins));
	if (!m->origins || json_array_append_new(m->routers, router) < 0)
		call_no_memory();
	m->origins[m->origin_count++] = at;
}

/* --- sync groups ----------------------------------------------------------------------------- */

static const struct keepalived_node *instance_find(const struct keepalived_mapping *map,
						   const char *name)
{
	const struct keepalived_node *n;

	for (n = map->globals.first; n; n = n->next)
		if (keepalived_is(n, "vrrp_instance") && n->word_count > 1 &&
		    strcmp(n->words[1], name) == 0)
			return n;
	return NULL;
}

static const struct keepalived_node *child(const struct keepalived_node *n, const char *word)
{
	for (n = n->children; n; n = n->next)
		if (keepalived_is(n, word))
			return n;
	return NULL;
}

static void append_all(json_t *to, const char *key, const json_t *from)
{
	json_t *source = json_object_get(from, key), *target = json_object_get(to, key), *item;
	size_t i, k;

	if (source && !target) {
		target = json_array();
		keepalived_put(to, key, target);
	}
	json_array_foreach (source, i, item) {
		bool there = false;

		for (k = 0; k < json_array_size(target); k++)
			there |= json_equal(json_array_get(target, k), item);
		if (!there)
			json_array_append(target, item);
	}
}

/* One machine has one priority, one interval, one key: those of the first member. */
static void member_differs(struct keepalived_mapping *map, const struct keepalived_node *at,
			   const json_t *router, const json_t *member)
{
	static const char *const keys[] = { "priority",	     "interval", "preempt",
					    "preempt_delay", "accept",	 "auth" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *a = json_object_get(router, keys[i]);
		const json_t *b = json_object_get(member, keys[i]);

		if (a == b || (a && b && json_equal(a, b)))
			continue;
		keepalived_note(map->m, at, true,
				"its %s is another than that of the group's first instance, whose "
				"counts for the whole router",
				keys[i]);
	}
}

static void member_join(struct keepalived_mapping *map, const struct keepalived_node *at,
			json_t *router, const json_t *member)
{
	const char *protocol = json_text(router, "protocol");

	if (strcmp(protocol, json_text(member, "protocol")) != 0) {
		keepalived_note(map->m, at, false,
				"the group has VRRPv2 and VRRPv3: the router speaks VRRPv3, and "
				"VRRPv2 besides");
		keepalived_put(router, "protocol", json_string("vrrp3"));
		keepalived_put(router, "also_v2", json_true());
		if (json_object_get(router, "auth")) {
			keepalived_note(map->m, at, true, "the password of VRRPv2 is left out");
			json_object_del(router, "auth");
		}
	} else {
		member_differs(map, at, router, member);
	}
	append_all(router, "sets", member);
	append_all(router, "tracks", member);
	if (!json_object_get(router, "notify") && json_object_get(member, "notify"))
		keepalived_put(router, "notify", json_incref(json_object_get(member, "notify")));
}

static void group_keyword(struct keepalived_mapping *map, json_t *router,
			  const struct keepalived_node *n)
{
	static const char *const harmless[] = { "group", "global_tracking",
						"sync_group_tracking_weight", "smtp_alert" };

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (keepalived_is(n, harmless[i]))
			return;
	if (keepalived_track_map(map, router, n) || keepalived_notify_map(map, router, n))
		return;
	keepalived_note(map->m, n, true, "%.40s is not carried over: vmac has no such setting",
			n->words[0]);
}

static void group_map(struct keepalived_mapping *map, const struct keepalived_node *at)
{
	const struct keepalived_node *members = child(at, "group");
	json_t *router = NULL;

	for (const struct keepalived_node *n = members ? members->children : NULL; n; n = n->next) {
		const struct keepalived_node *i = instance_find(map, n->words[0]);
		JSON_AUTO member = NULL;

		if (!i)
			keepalived_note(map->m, n, true, "there is no vrrp_instance %.60s",
					n->words[0]);
		else
			member = keepalived_instance_map(map, i);
		if (!member)
			continue;
		if (!router)
			router = TAKE_PTR(member);
		else
			member_join(map, i, router, member);
	}
	if (!router) {
		keepalived_note(map->m, at, true, "left out: it has no group { … } of instances");
		return;
	}
	for (const struct keepalived_node *n = at->children; n; n = n->next)
		group_keyword(map, router, n);
	router_append(map, at, router);
}

/* Whether an instance belongs to a group, and so is part of that group's router. */
static bool grouped(const struct keepalived_mapping *map, const struct keepalived_node *instance)
{
	for (const struct keepalived_node *g = map->globals.first; g; g = g->next) {
		const struct keepalived_node *members =
			keepalived_is(g, "vrrp_sync_group") ? child(g, "group") : NULL;

		for (const struct keepalived_node *n = members ? members->children : NULL; n;
		     n = n->next)
			if (instance->word_count > 1 &&
			    strcmp(n->words[0], instance->words[1]) == 0)
				return true;
	}
	return false;
}

/* --- the top level --------------------------------------------------------------------------- */

static void globals_read(struct keepalived_mapping *map, const struct keepalived_node *defs)
{
	struct keepalived_globals *g = &map->globals;
	long long version;

	for (const struct keepalived_node *n = defs->children; n; n = n->next) {
		const char *text = n->word_count > 1 ? n->words[1] : NULL;

		if (keepalived_is(n, "vrrp_version") && text &&
		    keepalived_number(text, 2, 3, &version) == 0)
			g->version = (int)version;
		else if (keepalived_is(n, "vrrp_strict"))
			g->strict = keepalived_switch(n);
		else if (keepalived_is(n, "vrrp_startup_delay"))
			g->boot_hold_s = text;
		else if (keepalived_is(n, "vrrp_garp_master_repeat"))
			g->garp_repeat = text;
		else if (keepalived_is(n, "vrrp_garp_master_refresh"))
			g->garp_refresh_s = text;
		else if (keepalived_is(n, "vrrp_mcast_group4") ||
			 keepalived_is(n, "vrrp_mcast_group6"))
			keepalived_note(map->m, n, true,
					"vmac sends to the group that the standard names");
		else if (strstr(n->words[0], "notify_fifo"))
			keepalived_note(map->m, n, true,
					"%.40s is not carried over: `vmac watch --json` and "
					"GET /v1/events tell the same",
					n->words[0]);
	}
}

/* Blocks of the top level that are read elsewhere. */
static bool known(const struct keepalived_node *n)
{
	static const char *const words[] = { "global_defs",	   "vrrp_instance",
					     "vrrp_sync_group",	   "vrrp_script",
					     "vrrp_track_file",	   "track_file",
					     "vrrp_track_process", "track_process",
					     "bfd_instance" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (keepalived_is(n, words[i]))
			return true;
	return false;
}

/* What is not ours is said once a kind. */
static void others_say(struct keepalived_mapping *map)
{
	for (const struct keepalived_node *n = map->globals.first; n; n = n->next) {
		bool said = known(n);

		for (const struct keepalived_node *b = map->globals.first; b != n && !said;
		     b = b->next)
			said = strcmp(b->words[0], n->words[0]) == 0;
		if (!said)
			keepalived_note(map->m, n, true,
					"%.40s is not carried over: it is none of redundant "
					"routers; leave it to keepalived or to another tool",
					n->words[0]);
	}
}

int keepalived_map(const struct keepalived *k, struct keepalived_import *ret)
{
	struct keepalived_mapping map = { .m = ret, .globals.first = keepalived_first(k) };
	const struct keepalived_node *n;
	unsigned int first;

	*ret = (struct keepalived_import){ .routers = json_array() };
	if (!ret->routers)
		return -ENOMEM;
	for (n = map.globals.first; n; n = n->next)
		if (keepalived_is(n, "global_defs"))
			globals_read(&map, n);
	notes_of_all(ret, 0);
	for (n = map.globals.first; n; n = n->next) {
		unsigned int routers = ret->origin_count;

		first = ret->note_count;
		if (keepalived_is(n, "vrrp_sync_group")) {
			group_map(&map, n);
		} else if (keepalived_is(n, "vrrp_instance") && !grouped(&map, n)) {
			json_t *router = keepalived_instance_map(&map, n);

			if (router)
				router_append(&map, n, router);
		}
		if (ret->origin_count == routers)
			notes_of_all(ret, first);
	}
	first = ret->note_count;
	others_say(&map);
	notes_of_all(ret, first);
	return 0;
}

void keepalived_import_done(struct keepalived_import *m)
{
	for (unsigned int i = 0; i < m->note_count; i++)
		free(m->notes[i].text);
	free(m->notes);
	free(m->origins);
	json_decref(m->routers);
	*m = (struct keepalived_import){ 0 };
}
