/* vmac router: from options to the API's body. */
#include "cli/router.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/key_file.h"

static bool given(const struct command *c, const char *name)
{
	return command_values(c, name)->count > 0;
}

static void put(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		call_no_memory();
}

/* A number of the command line; what range is right, the daemon says. */
static int number(const char *text, size_t len, long long *ret)
{
	char buf[24], *end;
	long long n;

	if (len == 0 || len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	errno = 0;
	n = strtoll(buf, &end, 10);
	if (*end || errno || buf[0] == ' ' || buf[0] == '+')
		return -EINVAL;
	*ret = n;
	return 0;
}

/* Two flags that say yes and no to one member. */
static int toggle(const struct command *c, json_t *body, const char *yes, const char *no,
		  const char *key)
{
	bool is = yes && given(c, yes), is_not = no && given(c, no);

	if (is && is_not)
		return command_misuse(c, "--%s and --%s do not go together", yes, no);
	if (is || is_not)
		put(body, key, json_boolean(is));
	return 0;
}

/* The options of one verb are known by name: `add` and `set` have not all in common. */
static bool has_option(const struct command *c, const char *name)
{
	for (unsigned int i = 0; i < c->verb->option_count; i++)
		if (strcmp(c->verb->options[i].name, name) == 0)
			return true;
	return false;
}

static int body_auth(const struct command *c, json_t *body)
{
	json_t *auth = json_object();
	int r;

	if (!auth)
		call_no_memory();
	put(body, "auth", auth);
	if (given(c, "auth"))
		put(auth, "type", json_string(command_option(c, "auth")));
	if (given(c, "auth-mode"))
		put(auth, "mode", json_string(command_option(c, "auth-mode")));
	r = router_body_keys(c, auth);
	if (r == 0 && json_object_size(auth) == 0)
		json_object_del(body, "auth");
	return r;
}

int router_body(const struct command *c, bool whole, json_t **ret)
{
	const char *hold = command_option(c, "hold");
	JSON_AUTO body = NULL;
	int r;

	r = call_body(c, &body);
	if (r != 0)
		return r;
	/* Nothing is what HSRP's hold time is by itself. */
	if (hold)
		put(body, "hold", strcmp(hold, "auto") == 0 ? json_null() : json_string(hold));
	r = toggle(c, body, "preempt", "no-preempt", "preempt");
	if (r == 0)
		r = toggle(c, body, "accept", "no-accept", "accept");
	if (r == 0)
		r = toggle(c, body, "also-v2", has_option(c, "no-also-v2") ? "no-also-v2" : NULL,
			   "also_v2");
	if (r == 0)
		r = toggle(c, body, "learn", has_option(c, "no-learn") ? "no-learn" : NULL,
			   "learn");
	if (r == 0 && has_option(c, "enable"))
		r = toggle(c, body, "enable", "disable", "enabled");
	if (r == 0 && has_option(c, "disabled") && given(c, "disabled"))
		put(body, "enabled", json_false());
	if (r == 0)
		r = body_auth(c, body);
	if (r == 0)
		r = router_body_sets(c, whole, body);
	if (r == 0)
		r = router_body_tracks(c, body);
	if (r == 0)
		*ret = TAKE_PTR(body);
	return r;
}

/* --- sets ------------------------------------------------------------------------------------ */

/* What one --interface or one --set says, before it is divided by family. */
struct gateway {
	const char *ifname;
	size_t ifname_len;
	long long group;
	json_t *v4, *v6; /* texts; borrowed by nobody until sets_add() */
};

static int address_add(const struct command *c, struct gateway *g, const char *text, size_t len)
{
	json_t **to = memchr(text, ':', len) ? &g->v6 : &g->v4;
	json_t *item = json_stringn(text, len);

	if (len == 0 || !item) {
		json_decref(item);
		return command_misuse(c, "an address is empty or not UTF-8");
	}
	if (!*to)
		*to = json_array();
	if (!*to || json_array_append_new(*to, item) < 0)
		call_no_memory();
	return 0;
}

/* "IP/LEN[,IP/LEN…]" */
static int addresses_add(const struct command *c, struct gateway *g, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");
		int r = address_add(c, g, text, len);

		if (r != 0 || !text[len])
			return r;
		text += len + 1;
	}
}

static json_t *set_new(json_t *sets, const struct gateway *g, json_t *addresses)
{
	json_t *set = json_object();

	if (!set || json_array_append_new(sets, set) < 0)
		call_no_memory();
	put(set, "interface", json_stringn(g->ifname, g->ifname_len));
	put(set, "group", json_integer(g->group));
	put(set, "addresses", addresses);
	return set;
}

/* IPv4 first.  The addresses belong to the sets afterwards. */
static void sets_add(json_t *sets, struct gateway *g, json_t **ret_v4, json_t **ret_v6)
{
	*ret_v4 = g->v4 ? set_new(sets, g, TAKE_PTR(g->v4)) : NULL;
	*ret_v6 = g->v6 ? set_new(sets, g, TAKE_PTR(g->v6)) : NULL;
}

/* IF:N:IP/LEN[,IP/LEN…] */
static int set_parse(const struct command *c, const char *text, json_t *sets)
{
	const char *first = strchr(text, ':'), *second = first ? strchr(first + 1, ':') : NULL;
	struct gateway g = { .ifname = text };
	json_t *v4, *v6;
	int r;

	if (!second || first == text)
		return command_misuse(c, "--set: \"%s\" is not INTERFACE:GROUP:ADDRESS/LENGTH",
				      text);
	g.ifname_len = (size_t)(first - text);
	if (number(first + 1, (size_t)(second - first - 1), &g.group) < 0)
		return command_misuse(c, "--set: \"%s\": the group is no number", text);
	r = addresses_add(c, &g, second + 1);
	if (r == 0)
		sets_add(sets, &g, &v4, &v6);
	json_decref(g.v4);
	json_decref(g.v6);
	return r;
}

/* What belongs to the set of one family alone. */
static int extra_add(const struct command *c, json_t *v4, json_t *v6, const char *option,
		     const char *text, const char *key, bool is_array)
{
	json_t *set = strchr(text, ':') ? v6 : v4;
	json_t *array;

	if (!set)
		return command_misuse(c, "--%s: %s is of another family than the addresses", option,
				      text);
	if (!is_array) {
		put(set, key, json_string(text));
		return 0;
	}
	array = json_object_get(set, key);
	if (!array) {
		array = json_array();
		put(set, key, array);
	}
	json_array_append_new(array, json_string(text));
	return 0;
}

static int extras_add(const struct command *c, json_t *v4, json_t *v6)
{
	static const char *const of_one[] = { "mac", "device" };
	const struct values *peers = command_values(c, "peer");
	const char *source = command_option(c, "source");
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(of_one); i++) {
		const char *text = command_option(c, of_one[i]);

		if (text && v4 && v6)
			return command_misuse(c,
					      "--%s: IPv4 and IPv6 are two sets, each with its own;"
					      " give each its --set or leave this out",
					      of_one[i]);
		if (text)
			put(v4 ? v4 : v6, of_one[i], json_string(text));
	}
	if (source)
		r = extra_add(c, v4, v6, "source", source, "source", false);
	for (unsigned int i = 0; i < peers->count && r == 0; i++)
		r = extra_add(c, v4, v6, "peer", peers->text[i], "peers", true);
	return r;
}

/* --interface, --group and --address, with what goes with them. */
static int interface_parse(const struct command *c, json_t *sets)
{
	static const char *const extras[] = {
		"group", "address", "peer", "source", "mac", "device"
	};
	const char *ifname = command_option(c, "interface"), *group = command_option(c, "group");
	const struct values *addresses = command_values(c, "address");
	struct gateway g = { .ifname = ifname };
	json_t *v4 = NULL, *v6 = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(extras) && !ifname; i++)
		if (given(c, extras[i]))
			return command_misuse(c, "--%s goes with --interface", extras[i]);
	if (!ifname)
		return 0;
	g.ifname_len = strlen(ifname);
	if (!group)
		return command_misuse(c, "--group is missing");
	if (number(group, strlen(group), &g.group) < 0)
		return command_misuse(c, "--group: \"%s\" is no number", group);
	if (addresses->count == 0 && !given(c, "learn"))
		return command_misuse(c, "--address is missing");
	/* What is to be learned from HSRP's active router is IPv4; IPv6 is said by the API. */
	if (addresses->count == 0)
		g.v4 = json_array();
	for (unsigned int i = 0; i < addresses->count && r == 0; i++)
		r = addresses_add(c, &g, addresses->text[i]);
	if (r == 0) {
		sets_add(sets, &g, &v4, &v6);
		r = extras_add(c, v4, v6);
	}
	json_decref(g.v4);
	json_decref(g.v6);
	return r;
}

int router_body_sets(const struct command *c, bool whole, json_t *body)
{
	const struct values *more = command_values(c, "set");
	JSON_AUTO sets = json_array();
	int r;

	if (!sets)
		call_no_memory();
	r = interface_parse(c, sets);
	for (unsigned int i = 0; i < more->count && r == 0; i++)
		r = set_parse(c, more->text[i], sets);
	if (r != 0)
		return r;
	if (json_array_size(sets) > 0)
		put(body, "sets", TAKE_PTR(sets));
	else if (whole)
		return command_misuse(c, "--interface is missing (or --set)");
	return 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

/* [ID:]SECRET; without a number the keys are counted from 1.  "ID:" means the router's key of that
 * number as it is, so that it can be put in another place without its secret. */
static int key_add(const struct command *c, void *ctx, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	json_t *keys = ctx, *key = json_object(), *secret;
	long long id = (long long)json_array_size(keys) + 1;

	if (!key || json_array_append_new(keys, key) < 0)
		call_no_memory();
	if (digits > 0 && text[digits] == ':') {
		if (number(text, digits, &id) < 0)
			return command_misuse(c, "a key's number is too great");
		text += digits + 1;
		if (!*text && strcmp(c->verb->name, "set") == 0) {
			put(key, "id", json_integer(id));
			return 0;
		}
	}
	secret = json_string(text);
	if (!secret || !*text) {
		json_decref(secret);
		return command_misuse(c, "key %lld is empty or not UTF-8", id);
	}
	put(key, "id", json_integer(id));
	put(key, "secret", secret);
	return 0;
}

int router_body_keys(const struct command *c, json_t *body)
{
	const struct values *keys = command_values(c, "key");
	const struct values *files = command_values(c, "key-file");
	JSON_AUTO array = json_array();
	int r = 0;

	if (!array)
		call_no_memory();
	for (unsigned int i = 0; i < keys->count && r == 0; i++)
		r = key_add(c, array, keys->text[i]);
	for (unsigned int i = 0; i < files->count && r == 0; i++)
		r = key_file_read(c, files->text[i], key_add, array);
	if (r == 0 && json_array_size(array) > 0)
		put(body, "keys", TAKE_PTR(array));
	return r;
}

/* --- tracks ---------------------------------------------------------------------------------- */

/* One "name=value" of a --track.  False: it is none, and so belongs to the target. */
static bool track_word(json_t *track, const char *word, size_t len)
{
	static const char *const numbers[] = { "weight", "rise", "fall" };
	static const char *const durations[] = { "interval", "timeout" };
	const char *equals = memchr(word, '=', len);
	size_t name = equals ? (size_t)(equals - word) : 0;
	long long n;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (name == strlen(numbers[i]) && strncmp(word, numbers[i], name) == 0) {
			if (number(equals + 1, len - name - 1, &n) < 0)
				return false;
			put(track, numbers[i], json_integer(n));
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(durations); i++)
		if (name == strlen(durations[i]) && strncmp(word, durations[i], name) == 0) {
			put(track, durations[i], json_stringn(equals + 1, len - name - 1));
			return true;
		}
	return false;
}

/* KIND:TARGET[,name=value…], read from its end, because a target may have commas of its own. */
static int track_add(const struct command *c, const char *text, json_t *tracks)
{
	const char *target = strchr(text, ':');
	json_t *track = json_object();
	size_t len;

	if (!track || json_array_append_new(tracks, track) < 0)
		call_no_memory();
	if (!target || target == text || !target[1])
		return command_misuse(c, "--track: \"%s\" is not KIND:TARGET", text);
	put(track, "kind", json_stringn(text, (size_t)(target - text)));
	target++;
	len = strlen(target);
	for (;;) {
		const char *comma = memrchr(target, ',', len);

		if (!comma || !track_word(track, comma + 1, len - (size_t)(comma + 1 - target)))
			break;
		len = (size_t)(comma - target);
	}
	if (len == 0)
		return command_misuse(c, "--track: \"%s\" has no target", text);
	put(track, "target", json_stringn(target, len));
	return 0;
}

int router_body_tracks(const struct command *c, json_t *body)
{
	const struct values *v = command_values(c, "track");
	JSON_AUTO tracks = json_array();
	int r = 0;

	if (!tracks)
		call_no_memory();
	for (unsigned int i = 0; i < v->count && r == 0; i++)
		r = track_add(c, v->text[i], tracks);
	if (r == 0 && has_option(c, "no-tracks") && given(c, "no-tracks")) {
		if (v->count > 0)
			return command_misuse(c, "--track and --no-tracks do not go together");
		put(body, "tracks", TAKE_PTR(tracks));
	} else if (r == 0 && v->count > 0) {
		put(body, "tracks", TAKE_PTR(tracks));
	}
	return r;
}
