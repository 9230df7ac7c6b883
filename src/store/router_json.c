/* One row of a table a member, so that writing and reading cannot disagree. */
#include "store/router_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Texts stay where jansson has them. */
struct router_json {
	json_t *root;
	struct router_set sets[ROUTER_SETS_MAX];
	struct router_key keys[ROUTER_KEYS_MAX];
	struct router_track tracks[ROUTER_TRACKS_MAX];
	struct router_address addresses[ROUTER_ADDRESSES_MAX];
	struct ip peers[ROUTER_SETS_MAX * ROUTER_PEERS_MAX];
	unsigned int addresses_used, peers_used;
};

enum member_type { MEMBER_NUMBER, MEMBER_SIGNED, MEMBER_BOOL, MEMBER_TEXT, MEMBER_CHARS };

struct member {
	const char *name;
	enum member_type type;
	size_t at, size;
};

#define SIZE_OF(T, m) sizeof(((T *)NULL)->m)
#define MEMBER(t, T, m)                                                                            \
	{                                                                                          \
#m, t, offsetof(T, m), SIZE_OF(T, m)                                               \
	}
#define NUMBER(m) MEMBER(MEMBER_NUMBER, struct router, m)
#define BOOL(m)	  MEMBER(MEMBER_BOOL, struct router, m)
#define TRACK(m)  MEMBER(MEMBER_NUMBER, struct router_track, m)

static const struct member router_members[] = {
	MEMBER(MEMBER_CHARS, struct router, name),
	NUMBER(protocol),
	BOOL(enabled),
	BOOL(from_file),
	NUMBER(priority),
	NUMBER(interval_ms),
	NUMBER(hold_ms),
	BOOL(learn),
	BOOL(preempt),
	NUMBER(preempt_delay_ms),
	NUMBER(boot_hold_ms),
	BOOL(accept),
	BOOL(also_v2),
	NUMBER(checksum),
	NUMBER(garp),
	NUMBER(announce_count),
	NUMBER(announce_refresh_ms),
	NUMBER(linger_ms),
	NUMBER(auth),
	NUMBER(auth_mode),
	MEMBER(MEMBER_TEXT, struct router, notify),
	MEMBER(MEMBER_TEXT, struct router, note),
	MEMBER(MEMBER_SIGNED, struct router, created.ms),
	MEMBER(MEMBER_SIGNED, struct router, changed.ms),
};

static const struct member set_members[] = {
	MEMBER(MEMBER_CHARS, struct router_set, ifname),
	MEMBER(MEMBER_CHARS, struct router_set, device),
	MEMBER(MEMBER_NUMBER, struct router_set, group),
	MEMBER(MEMBER_NUMBER, struct router_set, family),
};

static const struct member key_members[] = {
	MEMBER(MEMBER_NUMBER, struct router_key, id),
	MEMBER(MEMBER_TEXT, struct router_key, secret),
};

static const struct member track_members[] = {
	TRACK(kind),
	MEMBER(MEMBER_TEXT, struct router_track, target),
	MEMBER(MEMBER_SIGNED, struct router_track, weight),
	TRACK(interval_ms),
	TRACK(timeout_ms),
	TRACK(rise),
	TRACK(fall),
};

/* --- writing --------------------------------------------------------------------------------- */

static int64_t number_at(const void *at, size_t size, bool is_signed)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return is_signed ? *(const int16_t *)at : *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const int64_t *)at;
	}
}

static json_t *members_write(const struct member *members, size_t count, const void *from)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < count; i++) {
		const struct member *m = &members[i];
		const char *at = (const char *)from + m->at;
		json_t *v = NULL;

		if (m->type == MEMBER_BOOL)
			v = json_boolean(*(const bool *)at);
		else if (m->type == MEMBER_TEXT)
			v = json_string(*(const char *const *)at);
		else if (m->type == MEMBER_CHARS)
			v = json_string(at);
		else
			v = json_integer(number_at(at, m->size, m->type == MEMBER_SIGNED));
		/* Takes v over, and fails for NULL. */
		if (json_object_set_new(object, m->name, v) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *set_write(const struct router_set *s)
{
	json_t *object = members_write(set_members, ARRAY_LEN(set_members), s);
	json_t *addresses = json_array(), *peers = json_array();
	char text[ROUTER_ADDRESS_TEXT_MAX];
	int failed = 0;

	if (s->has_mac)
		failed |= json_object_set_new(
			object, "mac", json_string(vmac_mac_format(s->mac, VMAC_MAC_COLON, text)));
	if (s->source.family)
		failed |= json_object_set_new(object, "source",
					      json_string(ip_format(&s->source, text)));
	for (unsigned int i = 0; i < s->address_count; i++)
		failed |= json_array_append_new(
			addresses, json_string(router_address_format(&s->addresses[i], text)));
	for (unsigned int i = 0; i < s->peer_count; i++)
		failed |= json_array_append_new(peers, json_string(ip_format(&s->peers[i], text)));
	failed |= json_object_set_new(object, "addresses", addresses);
	failed |= json_object_set_new(object, "peers", peers);
	if (failed == 0)
		return object;
	json_decref(object);
	return NULL;
}

char *router_json_write(const struct router *r)
{
	json_t *root = members_write(router_members, ARRAY_LEN(router_members), r);
	json_t *sets = json_array(), *keys = json_array(), *tracks = json_array();
	char *text = NULL;
	int failed = 0;

	for (unsigned int i = 0; i < r->set_count; i++)
		failed |= json_array_append_new(sets, set_write(&r->sets[i]));
	for (unsigned int i = 0; i < r->key_count; i++)
		failed |= json_array_append_new(
			keys, members_write(key_members, ARRAY_LEN(key_members), &r->keys[i]));
	for (unsigned int i = 0; i < r->track_count; i++)
		failed |= json_array_append_new(
			tracks,
			members_write(track_members, ARRAY_LEN(track_members), &r->tracks[i]));
	failed |= json_object_set_new(root, "sets", sets);
	failed |= json_object_set_new(root, "keys", keys);
	failed |= json_object_set_new(root, "tracks", tracks);
	if (failed == 0)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

/* --- reading --------------------------------------------------------------------------------- */

static int number_read(const struct member *m, const json_t *v, void *to)
{
	int64_t n = json_integer_value(v);
	bool is_signed = m->type == MEMBER_SIGNED;
	int64_t most = m->size == 8 ? INT64_MAX : (INT64_C(1) << (8 * m->size - is_signed)) - 1;
	int64_t least = !is_signed ? 0 : m->size == 8 ? INT64_MIN : -most - 1;

	if (!json_is_integer(v) || n < least || n > most)
		return -EUCLEAN;
	switch (m->size) {
	case 1:
		*(uint8_t *)to = (uint8_t)n;
		return 0;
	case 2:
		*(uint16_t *)to = (uint16_t)n;
		return 0;
	case 4:
		*(uint32_t *)to = (uint32_t)n;
		return 0;
	default:
		*(int64_t *)to = n;
		return 0;
	}
}

static int member_read(const struct member *m, const json_t *v, void *to)
{
	const char *text = json_string_value(v);

	switch (m->type) {
	case MEMBER_NUMBER:
	case MEMBER_SIGNED:
		return number_read(m, v, to);
	case MEMBER_BOOL:
		*(bool *)to = json_is_true(v);
		return json_is_boolean(v) ? 0 : -EUCLEAN;
	case MEMBER_TEXT:
		*(const char **)to = text;
		return text ? 0 : -EUCLEAN;
	case MEMBER_CHARS:
		if (!text || strlen(text) >= m->size)
			return -EUCLEAN;
		memcpy(to, text, strlen(text) + 1);
		return 0;
	}
	return -EUCLEAN;
}

static int members_read(const struct member *members, size_t count, const json_t *object, void *to)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *v = json_object_get(object, members[i].name);

		if (!v || member_read(&members[i], v, (char *)to + members[i].at) < 0)
			return -EUCLEAN;
	}
	return 0;
}

/* An array of at most `most`; its length, or -EUCLEAN. */
static int array_of(const json_t *object, const char *name, size_t most, const json_t **ret)
{
	const json_t *array = json_object_get(object, name);

	if (!json_is_array(array) || json_array_size(array) > most)
		return -EUCLEAN;
	*ret = array;
	return (int)json_array_size(array);
}

static const char *text_at(const json_t *array, size_t i)
{
	const char *text = json_string_value(json_array_get(array, i));

	return text ? text : "";
}

static int set_lists_read(struct router_json *j, const json_t *object, struct router_set *s)
{
	const json_t *addresses, *peers;
	int n = array_of(object, "addresses", ROUTER_ADDRESSES_MAX - j->addresses_used, &addresses);

	if (n < 0)
		return n;
	s->address_count = (unsigned int)n;
	s->addresses = &j->addresses[j->addresses_used];
	for (int i = 0; i < n; i++)
		if (router_address_parse(text_at(addresses, (size_t)i),
					 &j->addresses[j->addresses_used++]) < 0)
			return -EUCLEAN;
	n = array_of(object, "peers", ROUTER_PEERS_MAX, &peers);
	if (n < 0)
		return n;
	s->peer_count = (unsigned int)n;
	s->peers = &j->peers[j->peers_used];
	for (int i = 0; i < n; i++)
		if (ip_parse(text_at(peers, (size_t)i), &j->peers[j->peers_used++]) < 0)
			return -EUCLEAN;
	return 0;
}

static int set_read(struct router_json *j, const json_t *object, struct router_set *s)
{
	const json_t *mac = json_object_get(object, "mac");
	const json_t *source = json_object_get(object, "source");

	s->has_mac = mac != NULL;
	if (members_read(set_members, ARRAY_LEN(set_members), object, s) < 0 ||
	    (mac &&
	     (!json_is_string(mac) || vmac_mac_parse(json_string_value(mac), &s->mac, NULL) < 0)) ||
	    (source &&
	     (!json_is_string(source) || ip_parse(json_string_value(source), &s->source) < 0)))
		return -EUCLEAN;
	return set_lists_read(j, object, s);
}

static int arrays_read(struct router_json *j, struct router *r)
{
	const json_t *sets, *keys, *tracks;
	int set_count = array_of(j->root, "sets", ROUTER_SETS_MAX, &sets);
	int key_count = array_of(j->root, "keys", ROUTER_KEYS_MAX, &keys);
	int track_count = array_of(j->root, "tracks", ROUTER_TRACKS_MAX, &tracks);

	if (set_count < 0 || key_count < 0 || track_count < 0)
		return -EUCLEAN;
	for (int i = 0; i < set_count; i++)
		if (set_read(j, json_array_get(sets, (size_t)i), &j->sets[i]) < 0)
			return -EUCLEAN;
	for (int i = 0; i < key_count; i++)
		if (members_read(key_members, ARRAY_LEN(key_members),
				 json_array_get(keys, (size_t)i), &j->keys[i]) < 0)
			return -EUCLEAN;
	for (int i = 0; i < track_count; i++)
		if (members_read(track_members, ARRAY_LEN(track_members),
				 json_array_get(tracks, (size_t)i), &j->tracks[i]) < 0)
			return -EUCLEAN;
	r->sets = j->sets;
	r->set_count = (unsigned int)set_count;
	r->keys = j->keys;
	r->key_count = (unsigned int)key_count;
	r->tracks = j->tracks;
	r->track_count = (unsigned int)track_count;
	return 0;
}

int router_json_read(const char *text, size_t len, struct router_json **ret_json,
		     struct router *ret)
{
	struct router_json *j = calloc(1, sizeof(*j));
	struct router r = { 0 };
	struct error ignored;

	if (!j)
		return -ENOMEM;
	j->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!j->root || members_read(router_members, ARRAY_LEN(router_members), j->root, &r) < 0 ||
	    arrays_read(j, &r) < 0 || router_check(&r, &ignored) < 0) {
		router_json_done(j);
		return -EUCLEAN;
	}
	*ret_json = j;
	*ret = r;
	return 0;
}

void router_json_done(struct router_json *j)
{
	if (!j)
		return;
	json_decref(j->root);
	free(j);
}
