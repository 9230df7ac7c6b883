/* The rules of what a router watches. */
#include <string.h>

#include "base/cleanup.h"
#include "model/router_rules.h"
#include "model/text.h"

#define TRACK_INTERVAL_MIN_MS 100
#define TRACK_INTERVAL_MAX_MS 3600000
#define TRACK_TIMEOUT_MIN_MS  10

/* "10.0.0.9", or "fe80::1%eth0" where the address is good on one link only. */
static int check_ping(const char *what, const char *target, struct error *ret_error)
{
	const char *percent = strchr(target, '%');
	size_t len = percent ? (size_t)(percent - target) : strlen(target);
	char text[IP_TEXT_MAX];
	struct ip ip;

	if (len >= sizeof(text))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL, "%s is no IP address", what);
	memcpy(text, target, len);
	text[len] = '\0';
	if (ip_parse(text, &ip) < 0 || !ip_is_unicast(&ip))
		return error_set(ret_error, ERROR_BAD_ADDRESS,
				 "ping takes an address, for a name would need a name server",
				 "%s is no IP address of a host", what);
	if (ip.family == 6 && ip_is_link_local(&ip) && !percent)
		return error_set(ret_error, ERROR_BAD_ADDRESS, "fe80::1%eth0, say",
				 "%s is link-local and does not say on which link", what);
	return percent ? ifname_check(what, percent + 1, ret_error) : 0;
}

static int check_route(const char *what, const char *target, struct error *ret_error)
{
	unsigned int bits;
	struct ip ip;

	if (ip_prefix_parse(target, &ip, &bits) < 0)
		return error_set(ret_error, ERROR_BAD_ADDRESS, "0.0.0.0/0 is the default route",
				 "%s is no prefix such as 10.0.0.0/8", what);
	if (!ip_host_part_is(&ip, bits, false))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "%s has bits set behind its %u", what, bits);
	return 0;
}

static int check_url(const char *what, const char *target, struct error *ret_error)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (strncmp(target, schemes[i], len) == 0 && target[len] != '\0' &&
		    target[len] != '/' && !strchr(target, ' '))
			return 0;
	}
	return error_set(ret_error, ERROR_BAD_VALUE, NULL,
			 "%s is no URL that begins with http:// or https://", what);
}

static int check_target(const struct router *r, unsigned int i, struct error *ret_error)
{
	const char *target = r->tracks[i].target;
	char what[FIELD_TEXT_MAX];
	int rc;

	router_field(what, "tracks", i, "target");
	if (target[0] == '\0')
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "%s is empty", what);
	rc = text_check(what, target, ROUTER_TARGET_MAX, ret_error);
	if (rc < 0)
		return rc;
	switch ((enum router_track_kind)r->tracks[i].kind) {
	case ROUTER_TRACK_INTERFACE:
		return ifname_check(what, target, ret_error);
	case ROUTER_TRACK_ROUTE:
		return check_route(what, target, ret_error);
	case ROUTER_TRACK_SCRIPT:
	case ROUTER_TRACK_FILE:
		return router_path_check(what, target, ROUTER_TARGET_MAX, ret_error);
	case ROUTER_TRACK_ROUTER:
		if (strcmp(target, r->name) == 0)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "%s is the router itself", what);
		return name_check(what, target, ret_error);
	case ROUTER_TRACK_HTTP:
		return check_url(what, target, ret_error);
	case ROUTER_TRACK_PING:
		return check_ping(what, target, ret_error);
	case ROUTER_TRACK_KIND_COUNT:
		break;
	}
	return error_set(ret_error, ERROR_BAD_VALUE, NULL, "tracks[%u].kind %u is unknown", i,
			 r->tracks[i].kind);
}

static bool has_timeout(enum router_track_kind k)
{
	return k == ROUTER_TRACK_SCRIPT || k == ROUTER_TRACK_HTTP || k == ROUTER_TRACK_PING;
}

/* How often and how many times.  What the kernel tells by itself has an interval, too, which
 * nobody looks at; it is checked all the same, so that a record means one thing. */
static int check_pace(const struct router_track *t, unsigned int i, struct error *ret_error)
{
	if (t->interval_ms < TRACK_INTERVAL_MIN_MS || t->interval_ms > TRACK_INTERVAL_MAX_MS)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "tracks[%u].interval is not within 100ms to 1h", i);
	if (!has_timeout(t->kind) && t->timeout_ms > 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "script, http and ping have it; leave it out",
				 "tracks[%u].timeout has no meaning for '%s'", i,
				 router_track_kind_name(t->kind));
	if (has_timeout(t->kind) &&
	    (t->timeout_ms < TRACK_TIMEOUT_MIN_MS || t->timeout_ms > t->interval_ms))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "tracks[%u].timeout is not within 10ms to its interval", i);
	if (t->rise < 1 || t->fall < 1)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "tracks[%u].%s 0 is not within 1 to 255", i,
				 t->rise < 1 ? "rise" : "fall");
	return 0;
}

static int check_weight(const struct router *r, unsigned int i, struct error *ret_error)
{
	int weight = r->tracks[i].weight;

	if (weight < -254 || weight > 254)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "tracks[%u].weight %d is not within -254 to 254", i, weight);
	/* RFC 9568 section 5.2.4: the owner's priority is 255 and no other. */
	if (weight != 0 && r->priority == 255 && router_is_vrrp(r->protocol))
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "lower the priority, or use the weight 0, which is a fault",
				 "tracks[%u].weight %d cannot change the priority 255", i, weight);
	return 0;
}

int router_check_tracks(const struct router *r, struct error *ret_error)
{
	int rc = 0;

	if (r->track_count > ROUTER_TRACKS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "tracks has %u entries, %d are allowed", r->track_count,
				 ROUTER_TRACKS_MAX);
	for (unsigned int i = 0; rc == 0 && i < r->track_count; i++) {
		rc = check_target(r, i, ret_error);
		if (rc == 0)
			rc = check_weight(r, i, ret_error);
		if (rc == 0)
			rc = check_pace(&r->tracks[i], i, ret_error);
	}
	return rc;
}
