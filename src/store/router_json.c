#include "store/router_json.h"

#include <stdlib.h>
#include <string.h>

#include "store/members.h"

DEFINE_CLEANUP(json_t *, json_decref);

/* --- what stands in it ----------------------------------------------------------------------- */

/* clang-format off */
/* Limits by the size alone: router_check() knows better. */
#define NUMBER(m) { .name = #m, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .most = (int64_t)(UINT64_MAX >> (64 - 8 * MEMBER_SIZE(m))) }
#define BOOL(m)	  { .name = #m, .type = MEMBER_BOOL, MEMBER_PLACE(m) }
#define TIME(m)	  { .name = #m, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .least = INT64_MIN, .most = INT64_MAX }
#define CHARS(m)  { .name = #m, .type = MEMBER_CHARS, MEMBER_PLACE(m), .most = MEMBER_SIZE(m) - 1 }
#define TEXT(m, hi) { .name = #m, .type = MEMBER_TEXT, MEMBER_PLACE(m), .most = hi }

#define T router
static const struct member router_list[] = {
	CHARS(name),
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
	TEXT(notify, PATH_MAX_LEN),
	TEXT(note, NOTE_MAX_LEN),
	TIME(created.ms),
	TIME(changed.ms),
};
#undef T

#define T router_set
static const struct member set_list[] = {
	CHARS(ifname),
	CHARS(device),
	NUMBER(group),
	NUMBER(family),
};
#undef T

#define T router_key
static const struct member key_list[] = {
	NUMBER(id),
	TEXT(secret, ROUTER_KEY_LEN_MAX),
};
#undef T

#define T router_track
static const struct member track_list[] = {
	NUMBER(kind),
	TEXT(target, ROUTER_TARGET_MAX),
	{ .name = "weight", .type = MEMBER_NUMBER, MEMBER_PLACE(weight), .least = INT16_MIN, .most = INT16_MAX },
	NUMBER(interval_ms),
	NUMBER(timeout_ms),
	NUMBER(rise),
	NUMBER(fall),
};
#undef T
/* clang-format on */

static const struct members router_members = MEMBERS(router, router_list);
static const struct members set_members = MEMBERS(router_set, set_list);
static const struct members key_members = MEMBERS(router_key, key_list);
static const struct members track_members = MEMBERS(router_track, track_list);

/* --- writing --------------------------------------------------------------------------------- */

static json_t *set_write(const struct router_set *s, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *object = members_write(&set_members, s, ret_error);
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
	return failed ? json_no_memory(ret_error), NULL : TAKE_PTR(object);
}

json_t *router_json_object(const struct router *r, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *root = NULL;
	json_t *sets = json_array(), *keys, *tracks;
	int failed = 0;

	*ret_error = (struct error){ 0 };
	root = members_write(&router_members, r, ret_error);
	for (unsigned int i = 0; i < r->set_count; i++)
		failed |= json_array_append_new(sets, set_write(&r->sets[i], ret_error));
	keys = members_write_list(&key_members, r->keys, r->key_count, ret_error);
	tracks = members_write_list(&track_members, r->tracks, r->track_count, ret_error);
	/* Each is taken over, and none may be NULL. */
	failed |= json_object_set_new(root, "sets", sets);
	failed |= json_object_set_new(root, "keys", keys);
	failed |= json_object_set_new(root, "tracks", tracks);
	if (failed && ret_error->code == ERROR_NONE)
		json_no_memory(ret_error);
	return failed ? NULL : TAKE_PTR(root);
}

int router_json_write(const struct router *r, char **ret_text, struct error *ret_error)
{
	return json_to_text(router_json_object(r, ret_error), ret_text, ret_error);
}

/* --- reading --------------------------------------------------------------------------------- */

static const char *text_at(const json_t *array, size_t i)
{
	const char *text = json_string_value(json_array_get(array, i));

	return text ? text : "";
}

static int wrong(const char *what, const char *wanted, struct error *ret_error)
{
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "'%s' is not %s", what, wanted);
}

static int set_lists_read(struct router_json *j, const json_t *object, struct router_set *s,
			  struct error *ret_error)
{
	const json_t *addresses, *peers;
	int r = json_array_named(object, "addresses", ROUTER_ADDRESSES_MAX - j->addresses_used,
				 &addresses, ret_error);

	if (r == 0)
		r = json_array_named(object, "peers", ROUTER_PEERS_MAX, &peers, ret_error);
	if (r < 0)
		return r;
	s->address_count = (unsigned int)json_array_size(addresses);
	s->addresses = &j->addresses[j->addresses_used];
	for (size_t i = 0; i < s->address_count; i++)
		if (router_address_parse(text_at(addresses, i),
					 &j->addresses[j->addresses_used++]) < 0)
			return wrong("addresses", "an array of IP addresses", ret_error);
	s->peer_count = (unsigned int)json_array_size(peers);
	s->peers = &j->peers[j->peers_used];
	for (size_t i = 0; i < s->peer_count; i++)
		if (ip_parse(text_at(peers, i), &j->peers[j->peers_used++]) < 0)
			return wrong("peers", "an array of IP addresses", ret_error);
	return 0;
}

static int set_read(struct router_json *j, const json_t *object, struct router_set *s,
		    struct error *ret_error)
{
	const json_t *mac = json_object_get(object, "mac");
	const json_t *source = json_object_get(object, "source");
	int r = members_read(&set_members, object, NULL, s, ret_error);

	if (r < 0)
		return r;
	s->has_mac = mac != NULL;
	if (mac &&
	    (!json_is_string(mac) || vmac_mac_parse(json_string_value(mac), &s->mac, NULL) < 0))
		return wrong("mac", "a MAC address", ret_error);
	if (source &&
	    (!json_is_string(source) || ip_parse(json_string_value(source), &s->source) < 0))
		return wrong("source", "an IP address", ret_error);
	return set_lists_read(j, object, s, ret_error);
}

static int arrays_read(struct router_json *j, struct error *ret_error)
{
	struct router *router = &j->router;
	const json_t *sets;
	int r = json_array_named(j->root, "sets", ROUTER_SETS_MAX, &sets, ret_error);

	for (size_t i = 0; r == 0 && i < json_array_size(sets); i++)
		r = set_read(j, json_array_get(sets, i), &j->sets[i], ret_error);
	if (r == 0)
		r = members_read_list(&key_members, j->root, "keys", ROUTER_KEYS_MAX, j->keys,
				      &router->key_count, ret_error);
	if (r == 0)
		r = members_read_list(&track_members, j->root, "tracks", ROUTER_TRACKS_MAX,
				      j->tracks, &router->track_count, ret_error);
	if (r < 0)
		return r;
	router->sets = j->sets;
	router->set_count = (unsigned int)json_array_size(sets);
	router->keys = j->keys;
	router->tracks = j->tracks;
	return 0;
}

int router_json_from(const json_t *object, struct router_json **ret, struct error *ret_error)
{
	struct router_json *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return json_no_memory(ret_error);
	j->root = json_incref((json_t *)object);
	r = members_read(&router_members, object, NULL, &j->router, ret_error);
	if (r == 0)
		r = arrays_read(j, ret_error);
	if (r == 0)
		r = router_check(&j->router, ret_error);
	if (r < 0) {
		router_json_done(j);
		return r;
	}
	*ret = j;
	return 0;
}

int router_json_read(const char *text, size_t len, struct router_json **ret,
		     struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *root = NULL;
	int r = json_from_text(text, len, &root, ret_error);

	return r < 0 ? r : router_json_from(root, ret, ret_error);
}

void router_json_done(struct router_json *j)
{
	if (!j)
		return;
	json_decref(j->root);
	free(j);
}
