/* The rules of a router as a whole; router_check_set.c and router_check_track.c have those of its
 * parts.  The checks run from the general to the particular, so that a later one may rely on what
 * an earlier one has let pass. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/router_rules.h"
#include "model/text.h"

char *router_field(char buf[static FIELD_TEXT_MAX], const char *array, unsigned int i,
		   const char *field)
{
	snprintf(buf, FIELD_TEXT_MAX, "%s[%u]%s%s", array, i, field[0] ? "." : "", field);
	return buf;
}

/* --- timers ---------------------------------------------------------------------------------- */

/* What a protocol's message can carry. */
static const struct {
	uint32_t least_ms, most_ms, step_ms;
} intervals[] = {
	[ROUTER_VRRP2] = { 1000, 255000, 1000 }, [ROUTER_VRRP3] = { 10, 40950, 10 },
	[ROUTER_HSRP1] = { 1000, 254000, 1000 }, [ROUTER_HSRP2] = { 15, 254000, 1 },
	[ROUTER_CARP] = { 1000, 255000, 1000 },
};

_Static_assert(ARRAY_LEN(intervals) == ROUTER_PROTOCOL_COUNT, "every protocol has an interval");

#define HSRP_HOLD_MAX_MS 255000

static int check_interval(const struct router *r, struct error *ret_error)
{
	const char *protocol = router_protocol_name(r->protocol);
	uint32_t step = intervals[r->protocol].step_ms;
	char least[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX], is[DURATION_TEXT_MAX];

	duration_format(r->interval_ms, is);
	if (r->interval_ms < intervals[r->protocol].least_ms ||
	    r->interval_ms > intervals[r->protocol].most_ms)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "interval %s is not within %s to %s, as %s needs it", is,
				 duration_format(intervals[r->protocol].least_ms, least),
				 duration_format(intervals[r->protocol].most_ms, most), protocol);
	if (r->interval_ms % step != 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 r->protocol == ROUTER_VRRP2 ? "vrrp3 has shorter intervals" : NULL,
				 "interval %s is not a multiple of %s, as %s needs it", is,
				 duration_format(step, least), protocol);
	if (r->also_v2 && r->interval_ms % 1000 != 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "VRRPv2 counts in whole seconds: choose one, or leave out also_v2",
				 "interval %s cannot be said in VRRPv2", is);
	return 0;
}

static int check_hold(const struct router *r, struct error *ret_error)
{
	char is[DURATION_TEXT_MAX];

	if (r->hold_ms == 0)
		return 0;
	duration_format(r->hold_ms, is);
	if (!router_is_hsrp(r->protocol))
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "leave it out: the hold time follows from interval and priority",
				 "hold is for HSRP, and this is %s",
				 router_protocol_name(r->protocol));
	if (r->hold_ms <= r->interval_ms || r->hold_ms > HSRP_HOLD_MAX_MS)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "three times the interval is usual; the most is 4m15s",
				 "hold %s is not longer than the interval, or too long", is);
	if (r->protocol == ROUTER_HSRP1 && r->hold_ms % 1000 != 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "hsrp2 has shorter times",
				 "hold %s is no whole number of seconds, as hsrp1 needs it", is);
	return 0;
}

static int check_delay(const char *what, uint32_t ms, uint32_t most, struct error *ret_error)
{
	char is[DURATION_TEXT_MAX], limit[DURATION_TEXT_MAX];

	if (ms <= most)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s %s is longer than %s", what,
			 duration_format(ms, is), duration_format(most, limit));
}

static int check_timers(const struct router *r, struct error *ret_error)
{
	int rc = check_interval(r, ret_error);

	if (rc == 0)
		rc = check_hold(r, ret_error);
	if (rc == 0)
		rc = check_delay("preempt_delay", r->preempt_delay_ms, ROUTER_DELAY_MAX_MS,
				 ret_error);
	if (rc == 0)
		rc = check_delay("boot_hold", r->boot_hold_ms, ROUTER_DELAY_MAX_MS, ret_error);
	if (rc == 0 && r->linger_ms != ROUTER_LINGER_AUTO)
		rc = check_delay("linger", r->linger_ms, ROUTER_LINGER_MAX_MS, ret_error);
	if (rc == 0)
		rc = check_delay("announce_refresh", r->announce_refresh_ms, ROUTER_REFRESH_MAX_MS,
				 ret_error);
	if (rc == 0 && r->announce_refresh_ms > 0 && r->announce_refresh_ms < 1000)
		rc = error_set(ret_error, ERROR_BAD_VALUE, "0 turns it off",
			       "announce_refresh is shorter than 1s");
	return rc;
}

/* --- authentication -------------------------------------------------------------------------- */

/* For each protocol, by enum router_auth, how long its secret may be; 0 = it has no such thing. */
static const uint8_t secret_max[][ROUTER_AUTH_COUNT] = {
	[ROUTER_VRRP2] = { [ROUTER_AUTH_TEXT] = 8,
			   [ROUTER_AUTH_MD5] = 55,
			   [ROUTER_AUTH_HMAC] = ROUTER_KEY_LEN_MAX },
	[ROUTER_VRRP3] = { [ROUTER_AUTH_HMAC] = ROUTER_KEY_LEN_MAX },
	[ROUTER_HSRP1] = { [ROUTER_AUTH_TEXT] = 8, [ROUTER_AUTH_MD5] = 55 },
	[ROUTER_HSRP2] = { [ROUTER_AUTH_TEXT] = 8, [ROUTER_AUTH_MD5] = 55 },
	[ROUTER_CARP] = { [ROUTER_AUTH_HMAC] = 20 },
};

_Static_assert(ARRAY_LEN(secret_max) == ROUTER_PROTOCOL_COUNT, "every protocol has a row");

static int check_auth_type(const struct router *r, struct error *ret_error)
{
	static const char *const hints[] = {
		[ROUTER_VRRP2] = "vrrp2 has none, text, md5 and hmac",
		[ROUTER_VRRP3] = "vrrp3 has none and hmac",
		[ROUTER_HSRP1] = "HSRP always has text (by itself \"cisco\") or md5",
		[ROUTER_HSRP2] = "HSRP always has text (by itself \"cisco\") or md5",
		[ROUTER_CARP] = "CARP always has hmac: give a key",
	};
	bool has = r->auth == ROUTER_AUTH_NONE ? router_is_vrrp(r->protocol)
					       : secret_max[r->protocol][r->auth] > 0;

	if (!has)
		return error_set(ret_error, ERROR_BAD_VALUE, hints[r->protocol],
				 "auth.type '%s' is not known to %s", router_auth_name(r->auth),
				 router_protocol_name(r->protocol));
	if (r->auth_mode != ROUTER_AUTH_ENFORCE &&
	    (r->auth == ROUTER_AUTH_TEXT || r->protocol == ROUTER_CARP))
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "every message of this kind carries it: give several keys to "
				 "change from one to another",
				 "auth.mode '%s' is for md5 and hmac",
				 router_auth_mode_name(r->auth_mode));
	return 0;
}

static int check_key(const struct router *r, unsigned int i, struct error *ret_error)
{
	size_t most = secret_max[r->protocol][r->auth], len = strlen(r->keys[i].secret);
	char what[FIELD_TEXT_MAX];
	struct error ignored;

	router_field(what, "auth.keys", i, "secret");
	/* Nothing of a secret is repeated in the message, not even how long it is. */
	if (len == 0 || len > most)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "%s has not 1 to %zu octets, as %s with %s needs it", what, most,
				 router_protocol_name(r->protocol), router_auth_name(r->auth));
	if (text_check(what, r->keys[i].secret, most, &ignored) < 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "use UTF-8 without control characters",
				 "%s is no plain text", what);
	if (router_is_vrrp(r->protocol) && r->auth == ROUTER_AUTH_HMAC && r->keys[i].id > 255)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "auth.keys[%u].id %u is not within 0 to 255, as hmac needs it", i,
				 r->keys[i].id);
	for (unsigned int j = 0; j < i; j++)
		if (r->keys[j].id == r->keys[i].id)
			return error_set(ret_error, ERROR_BAD_VALUE,
					 "the number says which key a message was made with",
					 "auth.keys[%u].id %u is the id of another key", i,
					 r->keys[i].id);
	return 0;
}

static int check_auth(const struct router *r, struct error *ret_error)
{
	int rc = check_auth_type(r, ret_error);

	if (rc < 0)
		return rc;
	if (r->key_count > ROUTER_KEYS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "auth.keys has %u keys, %d are allowed", r->key_count,
				 ROUTER_KEYS_MAX);
	if (r->auth == ROUTER_AUTH_NONE && r->key_count > 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "set auth.type, or leave out the keys",
				 "auth.keys has keys, but auth.type is 'none'");
	if (r->auth != ROUTER_AUTH_NONE && r->key_count == 0)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				 "auth.keys is empty, but auth.type is '%s'",
				 router_auth_name(r->auth));
	for (unsigned int i = 0; i < r->key_count && rc == 0; i++)
		rc = check_key(r, i, ret_error);
	return rc;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Records of the registry come from outside: no value may leave its enum. */
static int check_enums(const struct router *r, struct error *ret_error)
{
	const struct {
		const char *what;
		unsigned int value, count;
	} enums[] = {
		{ "protocol", r->protocol, ROUTER_PROTOCOL_COUNT },
		{ "checksum", r->checksum, ROUTER_CHECKSUM_COUNT },
		{ "garp", r->garp, ROUTER_GARP_COUNT },
		{ "auth.type", r->auth, ROUTER_AUTH_COUNT },
		{ "auth.mode", r->auth_mode, ROUTER_AUTH_MODE_COUNT },
	};

	for (size_t i = 0; i < ARRAY_LEN(enums); i++)
		if (enums[i].value >= enums[i].count)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s %u is unknown",
					 enums[i].what, enums[i].value);
	return 0;
}

static bool has_family(const struct router *r, uint8_t family)
{
	for (unsigned int i = 0; i < r->set_count; i++)
		if (r->sets[i].family == family)
			return true;
	return false;
}

/* Settings that one protocol has and another has not: silence would be a lie. */
static int check_settings(const struct router *r, struct error *ret_error)
{
	const char *protocol = router_protocol_name(r->protocol);
	bool v3_ipv4 = r->protocol == ROUTER_VRRP3 && has_family(r, 4);

	if (r->priority == 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "VRRP says with it that it leaves",
				 "priority 0 is not within 1 to 255");
	if (r->learn && !router_is_hsrp(r->protocol))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "learn is for HSRP, and this is %s", protocol);
	if (r->also_v2 && !v3_ipv4)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "also_v2 is for vrrp3 with IPv4 addresses");
	if (r->also_v2 && r->auth != ROUTER_AUTH_NONE)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "an old router would not understand the trailer",
				 "also_v2 and auth.type '%s' exclude each other",
				 router_auth_name(r->auth));
	if (r->checksum != ROUTER_CHECKSUM_AUTO && !v3_ipv4)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "there is one kind of checksum in all other messages",
				 "checksum '%s' is for vrrp3 with IPv4 addresses",
				 router_checksum_name(r->checksum));
	if (r->announce_count < 1 || r->announce_count > 16)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "announce_count %u is not within 1 to 16", r->announce_count);
	return 0;
}

int router_path_check(const char *what, const char *path, size_t max, struct error *ret_error)
{
	int rc = text_check(what, path, max, ret_error);

	if (rc == 0 && path[0] != '/')
		rc = error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s is not an absolute path",
			       what);
	return rc;
}

int router_check(const struct router *r, struct error *ret_error)
{
	int rc = name_check("the router's name", r->name, ret_error);

	if (rc == 0)
		rc = check_enums(r, ret_error);
	if (rc == 0)
		rc = router_check_sets(r, ret_error);
	if (rc == 0)
		rc = check_settings(r, ret_error);
	if (rc == 0)
		rc = check_timers(r, ret_error);
	if (rc == 0)
		rc = check_auth(r, ret_error);
	if (rc == 0)
		rc = router_check_tracks(r, ret_error);
	if (rc == 0 && r->notify[0] != '\0')
		rc = router_path_check("notify", r->notify, PATH_MAX_LEN, ret_error);
	if (rc == 0)
		rc = text_check("note", r->note, NOTE_MAX_LEN, ret_error);
	return rc;
}
