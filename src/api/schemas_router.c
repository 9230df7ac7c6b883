/* The tables of a router, for requests and for the configuration file.  They say what can be
 * written; what it means together is router_check()'s. */
#include "api/tables.h"

#include <string.h>

/* clang-format off */
#define GIVEN(m) HAS(struct body, router.given.m)

/* --- its parts ------------------------------------------------------------------------------- */

static const struct field body_router_key_fields[] = {
	UINT("id", struct router_key, id, 0, UINT32_MAX),
	TEXT("secret", struct router_key, secret, ROUTER_KEY_LEN_MAX),
};
SCHEMA(body_router_key, "RouterKey");

/* Its members lie in the router itself, so its place is the body's. */
static const struct field body_router_auth_fields[] = {
	PARSED("type", struct body, router.router.auth, field_parse_router_auth,
	       GIVEN(auth_type)),
	PARSED("mode", struct body, router.router.auth_mode, field_parse_router_auth_mode,
	       GIVEN(auth_mode)),
	ITEMS("keys", struct body, router.router.keys, router.router.key_count, ROUTER_KEYS_MAX,
	      &body_router_key, GIVEN(keys)),
};
SCHEMA(body_router_auth, "RouterAuth");

static const struct field body_router_group_fields[] = {
	PARSED("interface", struct router_set, ifname, field_parse_router_ifname, REQUIRED),
	UINT("group", struct router_set, group, 0, 4095, REQUIRED),
	UINT("family", struct router_set, family, 4, 6),
	LIST("addresses", struct router_set, addresses, address_count, ROUTER_SET_ADDRESSES_MAX,
	     field_parse_router_address, .apart = true),
	PARSED("mac", struct router_set, mac, field_parse_mac, HAS(struct router_set, has_mac)),
	PARSED("device", struct router_set, device, field_parse_router_ifname),
	PARSED("source", struct router_set, source, field_parse_ip),
	LIST("peers", struct router_set, peers, peer_count, ROUTER_PEERS_MAX, field_parse_ip,
	     .apart = true),
};

/* The family is the addresses'; it need be said only where they are to be learned. */
static int router_group_finish(void *target, struct error *ret_error)
{
	struct router_set *s = target;
	uint8_t family = s->address_count > 0 ? s->addresses[0].ip.family : 4;

	if (s->family == 0)
		s->family = family;
	return 0;
}

SCHEMA(body_router_group, "RouterGroup", .finish = router_group_finish);

static const struct field body_router_track_fields[] = {
	PARSED("kind", struct router_track, kind, field_parse_router_track, REQUIRED),
	TEXT("target", struct router_track, target, ROUTER_TARGET_MAX),
	INT("weight", struct router_track, weight, -254, 254),
	PARSED("interval", struct router_track, interval_ms, field_parse_pace),
	PARSED("timeout", struct router_track, timeout_ms, field_parse_pace),
	UINT("rise", struct router_track, rise, 1, 255),
	UINT("fall", struct router_track, fall, 1, 255),
};

/* What was not given is zero, which is no value of these. */
static int router_track_finish(void *target, struct error *ret_error)
{
	struct router_track *t = target, by_itself;

	router_track_defaults(&by_itself, t->kind);
	if (t->interval_ms == 0)
		t->interval_ms = by_itself.interval_ms;
	if (t->timeout_ms == 0)
		t->timeout_ms = by_itself.timeout_ms < t->interval_ms ? by_itself.timeout_ms :
									t->interval_ms;
	if (t->rise == 0)
		t->rise = by_itself.rise;
	if (t->fall == 0)
		t->fall = by_itself.fall;
	return 0;
}

SCHEMA(body_router_track, "RouterTrack", .finish = router_track_finish);

/* --- the whole ------------------------------------------------------------------------------- */

#define R(m) router.router.m
#define MS(n, m, fn, given) PARSED(n, struct body, R(m), fn, GIVEN(given))
#define FLAG(m) FIELD(#m, FIELD_BOOL, struct body, R(m), .most = 1, GIVEN(m))

#define ROUTER_FIELDS(NAME_ETC, SETS_ETC)                                                          \
	PARSED("name", struct body, R(name), field_parse_router_name, GIVEN(name), NAME_ETC),      \
	PARSED("protocol", struct body, R(protocol), field_parse_router_protocol, GIVEN(protocol), \
	       NAME_ETC),                                                                          \
	FLAG(enabled),                                                                             \
	UINT("priority", struct body, R(priority), 1, 255, GIVEN(priority)),                       \
	MS("interval", interval_ms, field_parse_ms, interval),                                     \
	PARSED("hold", struct body, R(hold_ms), field_parse_hold, GIVEN(hold), .nullable = true),  \
	FLAG(learn),                                                                               \
	FLAG(preempt),                                                                             \
	MS("preempt_delay", preempt_delay_ms, field_parse_ms, preempt_delay),                      \
	MS("boot_hold", boot_hold_ms, field_parse_ms, boot_hold),                                  \
	FLAG(accept),                                                                              \
	FLAG(also_v2),                                                                             \
	PARSED("checksum", struct body, R(checksum), field_parse_router_checksum,                  \
	       GIVEN(checksum)),                                                                   \
	PARSED("garp", struct body, R(garp), field_parse_router_garp, GIVEN(garp)),                \
	UINT("announce_count", struct body, R(announce_count), 1, 16, GIVEN(announce_count)),      \
	MS("announce_refresh", announce_refresh_ms, field_parse_ms, announce_refresh),             \
	MS("linger", linger_ms, field_parse_linger, linger),                                       \
	{ .name = "auth", .type = FIELD_OBJECT, .object = &body_router_auth },                     \
	ITEMS("sets", struct body, R(sets), R(set_count), ROUTER_SETS_MAX, &body_router_group,     \
	      GIVEN(sets), SETS_ETC),                                                              \
	ITEMS("tracks", struct body, R(tracks), R(track_count), ROUTER_TRACKS_MAX,                 \
	      &body_router_track, GIVEN(tracks)),                                                  \
	FIELD("notify", FIELD_PATH, struct body, R(notify), .most = PATH_MAX_LEN, GIVEN(notify)),  \
	FIELD("note", FIELD_TEXT, struct body, R(note), .most = NOTE_MAX_LEN, GIVEN(note)),        \
	REASON

static const struct field body_router_add_fields[] = {
	ROUTER_FIELDS(.required = true, .required = true),
};
SCHEMA(body_router_add, "RouterAdd");

static const struct field body_router_set_fields[] = {
	ROUTER_FIELDS(.required = false, .required = false),
};
SCHEMA(body_router_set, "RouterSet");
/* clang-format on */
