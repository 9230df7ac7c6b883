/* The daemon's own rules, held against what the import made: what would be refused later is said
 * now, with the line that it came from. */
#include <string.h>

#include "cli/call.h"
#include "cli/keepalived.h"
#include "model/ip.h"
#include "model/router.h"
#include "model/text.h"

/* One record with all that it points to. */
struct record {
	struct router router;
	struct router_set sets[ROUTER_SETS_MAX];
	struct router_address addresses[ROUTER_SETS_MAX][ROUTER_SET_ADDRESSES_MAX];
	struct ip peers[ROUTER_SETS_MAX][ROUTER_PEERS_MAX];
	struct router_track tracks[ROUTER_TRACKS_MAX];
	struct router_key keys[ROUTER_KEYS_MAX];
};

static uint32_t span(const json_t *object, const char *key, uint32_t otherwise)
{
	int64_t ms;

	if (duration_parse(json_text(object, key), &ms) < 0 || ms > UINT32_MAX)
		return otherwise;
	return (uint32_t)ms;
}

static uint32_t count(const json_t *object, const char *key, uint32_t otherwise)
{
	return json_object_get(object, key) ? (uint32_t)json_number(object, key) : otherwise;
}

static int too_many(const char *what, unsigned int most, struct error *ret_error)
{
	return error_set(ret_error, ERROR_LIMIT_REACHED, NULL, "more than %u %s", most, what);
}

static int read_address(const char *text, struct router_address *ret, struct error *ret_error)
{
	char ip[IP_TEXT_MAX + 1];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len >= sizeof(ip))
		len = sizeof(ip) - 1;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (ip_parse(ip, &ret->ip) < 0)
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL, "\"%.60s\" is no address",
				 text);
	ret->prefix =
		slash ? (uint8_t)strtoul(slash + 1, NULL, 10) : (ret->ip.family == 4 ? 32 : 128);
	return 0;
}

static int read_set(const json_t *o, struct record *rec, unsigned int n, struct error *ret_error)
{
	struct router_set *s = &rec->sets[n];
	const json_t *item;
	size_t i;
	int r;

	snprintf(s->ifname, sizeof(s->ifname), "%s", json_text(o, "interface"));
	snprintf(s->device, sizeof(s->device), "%s", json_text(o, "device"));
	if (strlen(json_text(o, "interface")) > IFNAME_MAX_LEN ||
	    strlen(json_text(o, "device")) > IFNAME_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_NAME, NULL,
				 "the name of a link has at most %d octets", IFNAME_MAX_LEN);
	s->group = (uint16_t)json_number(o, "group");
	s->has_mac = vmac_mac_parse(json_text(o, "mac"), &s->mac, NULL) == 0;
	if (json_text(o, "source")[0] && ip_parse(json_text(o, "source"), &s->source) < 0)
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL, "source is no address");
	s->addresses = rec->addresses[n];
	s->peers = rec->peers[n];
	json_array_foreach (json_object_get(o, "addresses"), i, item) {
		if (i == ROUTER_SET_ADDRESSES_MAX)
			return too_many("addresses in one set", ROUTER_SET_ADDRESSES_MAX,
					ret_error);
		r = read_address(json_string_value(item), &rec->addresses[n][i], ret_error);
		if (r < 0)
			return r;
		s->address_count++;
	}
	json_array_foreach (json_object_get(o, "peers"), i, item) {
		if (i == ROUTER_PEERS_MAX)
			return too_many("peers of one set", ROUTER_PEERS_MAX, ret_error);
		if (ip_parse(json_string_value(item), &rec->peers[n][i]) < 0)
			return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
					 "a peer is no address");
		s->peer_count++;
	}
	s->family = rec->addresses[n][0].ip.family;
	return 0;
}

static void read_track(const json_t *o, struct router_track *t)
{
	router_track_defaults(
		t, (enum router_track_kind)router_track_kind_from_name(json_text(o, "kind")));
	t->target = json_text(o, "target");
	t->weight = (int16_t)json_integer_value(json_object_get(o, "weight"));
	t->interval_ms = span(o, "interval", t->interval_ms);
	t->timeout_ms = span(o, "timeout", t->timeout_ms);
	t->rise = (uint8_t)count(o, "rise", t->rise);
	t->fall = (uint8_t)count(o, "fall", t->fall);
}

static void read_auth(const json_t *o, struct record *rec)
{
	const json_t *auth = json_object_get(o, "auth"), *key;
	size_t i;

	if (!auth)
		return;
	rec->router.auth = (uint8_t)router_auth_from_name(json_text(auth, "type"));
	rec->router.auth_mode = (uint8_t)router_auth_mode_from_name(json_text(auth, "mode"));
	rec->router.keys = rec->keys;
	json_array_foreach (json_object_get(auth, "keys"), i, key) {
		if (i == ROUTER_KEYS_MAX)
			break; /* keepalived has one */
		rec->keys[i].id = (uint32_t)json_number(key, "id");
		rec->keys[i].secret = json_text(key, "secret");
		rec->router.key_count++;
	}
}

/* Only the members that the import writes; what it cannot say stays as the protocol begins. */
static int read_router(const json_t *o, struct record *rec, struct error *ret_error)
{
	struct router *t = &rec->router;
	const json_t *item;
	size_t i;
	int r;

	router_defaults(t,
			(enum router_protocol)router_protocol_from_name(json_text(o, "protocol")));
	t->id = 1;
	snprintf(t->name, sizeof(t->name), "%s", json_text(o, "name"));
	t->priority = (uint8_t)count(o, "priority", t->priority);
	t->interval_ms = span(o, "interval", t->interval_ms);
	t->preempt_delay_ms = span(o, "preempt_delay", 0);
	t->boot_hold_ms = span(o, "boot_hold", 0);
	t->announce_count = (uint8_t)count(o, "announce_count", t->announce_count);
	t->announce_refresh_ms = span(o, "announce_refresh", 0);
	t->also_v2 = json_yes(o, "also_v2");
	t->accept = json_yes(o, "accept");
	t->preempt = !json_is_false(json_object_get(o, "preempt"));
	t->notify = json_text(o, "notify");
	t->note = "";
	t->sets = rec->sets;
	t->tracks = rec->tracks;
	read_auth(o, rec);
	json_array_foreach (json_object_get(o, "sets"), i, item) {
		if (i == ROUTER_SETS_MAX)
			return too_many("sets", ROUTER_SETS_MAX, ret_error);
		r = read_set(item, rec, (unsigned int)i, ret_error);
		if (r < 0)
			return r;
		t->set_count++;
	}
	json_array_foreach (json_object_get(o, "tracks"), i, item) {
		if (i == ROUTER_TRACKS_MAX)
			return too_many("tracks", ROUTER_TRACKS_MAX, ret_error);
		read_track(item, &rec->tracks[i]);
		t->track_count++;
	}
	return 0;
}

void keepalived_check(struct keepalived_import *m)
{
	struct record *rec = malloc(sizeof(*rec));
	const json_t *o;
	size_t i;

	if (!rec)
		call_no_memory();
	json_array_foreach (m->routers, i, o) {
		struct error e;
		int r;

		memset(rec, 0, sizeof(*rec));
		r = read_router(o, rec, &e);
		if (r == 0)
			r = router_check(&rec->router, &e);
		if (r == 0)
			continue;
		keepalived_note(m, m->origins[i], true, "vmacd will refuse router %s: %s%s%s",
				json_text(o, "name"), e.message, e.hint[0] ? "; " : "", e.hint);
		m->notes[m->note_count - 1].router = (int)i;
	}
	free(rec);
}
