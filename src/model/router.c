#include "model/router.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* --- names ----------------------------------------------------------------------------------- */

static const char *const protocols[] = {
	[ROUTER_VRRP2] = "vrrp2", [ROUTER_VRRP3] = "vrrp3", [ROUTER_HSRP1] = "hsrp1",
	[ROUTER_HSRP2] = "hsrp2", [ROUTER_CARP] = "carp",
};

static const char *const auths[] = {
	[ROUTER_AUTH_NONE] = "none",
	[ROUTER_AUTH_TEXT] = "text",
	[ROUTER_AUTH_MD5] = "md5",
	[ROUTER_AUTH_HMAC] = "hmac",
};

static const char *const auth_modes[] = {
	[ROUTER_AUTH_RECEIVE_ONLY] = "receive-only",
	[ROUTER_AUTH_PERMISSIVE] = "permissive",
	[ROUTER_AUTH_ENFORCE] = "enforce",
};

static const char *const checksums[] = {
	[ROUTER_CHECKSUM_AUTO] = "auto",
	[ROUTER_CHECKSUM_PSEUDO] = "pseudo-header",
	[ROUTER_CHECKSUM_PLAIN] = "plain",
};

static const char *const garps[] = {
	[ROUTER_GARP_REQUEST] = "request",
	[ROUTER_GARP_REPLY] = "reply",
	[ROUTER_GARP_BOTH] = "both",
};

static const char *const track_kinds[] = {
	[ROUTER_TRACK_INTERFACE] = "interface", [ROUTER_TRACK_ROUTE] = "route",
	[ROUTER_TRACK_SCRIPT] = "script",	[ROUTER_TRACK_FILE] = "file",
	[ROUTER_TRACK_ROUTER] = "router",	[ROUTER_TRACK_HTTP] = "http",
	[ROUTER_TRACK_PING] = "ping",
};

_Static_assert(ARRAY_LEN(protocols) == ROUTER_PROTOCOL_COUNT, "every protocol has a name");
_Static_assert(ARRAY_LEN(auths) == ROUTER_AUTH_COUNT, "every authentication has a name");
_Static_assert(ARRAY_LEN(auth_modes) == ROUTER_AUTH_MODE_COUNT, "every mode has a name");
_Static_assert(ARRAY_LEN(checksums) == ROUTER_CHECKSUM_COUNT, "every checksum has a name");
_Static_assert(ARRAY_LEN(garps) == ROUTER_GARP_COUNT, "every announcement has a name");
_Static_assert(ARRAY_LEN(track_kinds) == ROUTER_TRACK_KIND_COUNT, "every track has a name");

static int value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *router_protocol_name(enum router_protocol p)
{
	assert(p < ROUTER_PROTOCOL_COUNT);
	return protocols[p];
}

const char *router_auth_name(enum router_auth a)
{
	assert(a < ROUTER_AUTH_COUNT);
	return auths[a];
}

const char *router_auth_mode_name(enum router_auth_mode m)
{
	assert(m < ROUTER_AUTH_MODE_COUNT);
	return auth_modes[m];
}

const char *router_checksum_name(enum router_checksum c)
{
	assert(c < ROUTER_CHECKSUM_COUNT);
	return checksums[c];
}

const char *router_garp_name(enum router_garp g)
{
	assert(g < ROUTER_GARP_COUNT);
	return garps[g];
}

const char *router_track_kind_name(enum router_track_kind k)
{
	assert(k < ROUTER_TRACK_KIND_COUNT);
	return track_kinds[k];
}

int router_protocol_from_name(const char *name)
{
	return value_of(protocols, ARRAY_LEN(protocols), name);
}

int router_auth_from_name(const char *name)
{
	return value_of(auths, ARRAY_LEN(auths), name);
}

int router_auth_mode_from_name(const char *name)
{
	return value_of(auth_modes, ARRAY_LEN(auth_modes), name);
}

int router_checksum_from_name(const char *name)
{
	return value_of(checksums, ARRAY_LEN(checksums), name);
}

int router_garp_from_name(const char *name)
{
	return value_of(garps, ARRAY_LEN(garps), name);
}

int router_track_kind_from_name(const char *name)
{
	return value_of(track_kinds, ARRAY_LEN(track_kinds), name);
}

/* --- values ---------------------------------------------------------------------------------- */

bool router_is_vrrp(enum router_protocol p)
{
	return p == ROUTER_VRRP2 || p == ROUTER_VRRP3;
}

bool router_is_hsrp(enum router_protocol p)
{
	return p == ROUTER_HSRP1 || p == ROUTER_HSRP2;
}

void router_defaults(struct router *r, enum router_protocol p)
{
	/* RFC 2281 section 5.1: what a router sends that was told no text. */
	static const struct router_key cisco = { .id = 0, .secret = "cisco" };

	assert(p < ROUTER_PROTOCOL_COUNT);
	*r = (struct router){
		.protocol = p,
		.enabled = true,
		.priority = p == ROUTER_CARP ? 255 : 100,
		.interval_ms = router_is_hsrp(p) ? 3000 : 1000,
		.hold_ms = router_is_hsrp(p) ? 10000 : 0,
		.preempt = router_is_vrrp(p),
		.accept = !router_is_vrrp(p),
		.announce_count = 3,
		.linger_ms = ROUTER_LINGER_AUTO,
		.auth_mode = ROUTER_AUTH_ENFORCE,
		.notify = "",
		.note = "",
	};
	if (router_is_hsrp(p)) {
		r->auth = ROUTER_AUTH_TEXT;
		r->keys = &cisco;
		r->key_count = 1;
	} else if (p == ROUTER_CARP) {
		r->auth = ROUTER_AUTH_HMAC;
	}
}

void router_track_defaults(struct router_track *t, enum router_track_kind k)
{
	bool probes = k == ROUTER_TRACK_SCRIPT || k == ROUTER_TRACK_HTTP || k == ROUTER_TRACK_PING;

	assert(k < ROUTER_TRACK_KIND_COUNT);
	/* What the kernel or we know for certain turns at once, what is probed may miss twice. */
	*t = (struct router_track){
		.kind = k,
		.target = "",
		.interval_ms = 1000,
		.timeout_ms = probes ? 500 : 0,
		.rise = 1,
		.fall = probes ? 3 : 1,
	};
}

int router_address_parse(const char *text, struct router_address *ret)
{
	struct router_address a = { 0 };
	unsigned int bits;

	if (!strchr(text, '/')) {
		if (ip_parse(text, &a.ip) < 0)
			return -EINVAL;
	} else {
		/* A prefix of no bits has no use on a link, and would read as a host address. */
		if (ip_prefix_parse(text, &a.ip, &bits) < 0 || bits == 0)
			return -EINVAL;
		a.prefix = bits == (a.ip.family == 4 ? 32u : 128u) ? 0 : (uint8_t)bits;
	}
	*ret = a;
	return 0;
}

char *router_address_format(const struct router_address *a,
			    char buf[static ROUTER_ADDRESS_TEXT_MAX])
{
	size_t len;

	ip_format(&a->ip, buf);
	len = strlen(buf);
	if (a->prefix > 0)
		snprintf(buf + len, ROUTER_ADDRESS_TEXT_MAX - len, "/%u", a->prefix);
	return buf;
}

vmac_mac_t router_set_mac(const struct router *r, const struct router_set *s)
{
	if (s->has_mac)
		return s->mac;
	switch ((enum router_protocol)r->protocol) {
	case ROUTER_VRRP2:
	case ROUTER_VRRP3:
	case ROUTER_CARP:
		return vmac_mac_from_u64((s->family == 6 ? 0x00005e000200 : 0x00005e000100) |
					 (s->group & 0xff));
	case ROUTER_HSRP1:
		return vmac_mac_from_u64(0x00000c07ac00 | (s->group & 0xff));
	case ROUTER_HSRP2:
		return vmac_mac_from_u64((s->family == 6 ? 0x000573a00000 : 0x00000c9ff000) |
					 (s->group & 0xfff));
	case ROUTER_PROTOCOL_COUNT:
		break;
	}
	assert(!"a protocol");
	return (vmac_mac_t){ 0 };
}

/* --- equal ----------------------------------------------------------------------------------- */

static bool keys_equal(const struct router *a, const struct router *b)
{
	if (a->key_count != b->key_count)
		return false;
	for (unsigned int i = 0; i < a->key_count; i++)
		if (a->keys[i].id != b->keys[i].id ||
		    strcmp(a->keys[i].secret, b->keys[i].secret) != 0)
			return false;
	return true;
}

static bool track_equal(const struct router_track *a, const struct router_track *b)
{
	return a->kind == b->kind && strcmp(a->target, b->target) == 0 && a->weight == b->weight &&
	       a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
	       a->rise == b->rise && a->fall == b->fall;
}

static bool tracks_equal(const struct router *a, const struct router *b)
{
	if (a->track_count != b->track_count)
		return false;
	for (unsigned int i = 0; i < a->track_count; i++)
		if (!track_equal(&a->tracks[i], &b->tracks[i]))
			return false;
	return true;
}

bool router_set_equal(const struct router_set *a, const struct router_set *b)
{
	if (strcmp(a->ifname, b->ifname) != 0 || strcmp(a->device, b->device) != 0 ||
	    a->group != b->group || a->family != b->family || a->has_mac != b->has_mac ||
	    (a->has_mac && !vmac_mac_equal(a->mac, b->mac)) || !ip_equal(&a->source, &b->source) ||
	    a->address_count != b->address_count || a->peer_count != b->peer_count)
		return false;
	for (unsigned int i = 0; i < a->address_count; i++)
		if (!ip_equal(&a->addresses[i].ip, &b->addresses[i].ip) ||
		    a->addresses[i].prefix != b->addresses[i].prefix)
			return false;
	for (unsigned int i = 0; i < a->peer_count; i++)
		if (!ip_equal(&a->peers[i], &b->peers[i]))
			return false;
	return true;
}

static bool sets_equal(const struct router *a, const struct router *b)
{
	if (a->set_count != b->set_count)
		return false;
	for (unsigned int i = 0; i < a->set_count; i++)
		if (!router_set_equal(&a->sets[i], &b->sets[i]))
			return false;
	return true;
}

static bool settings_equal(const struct router *a, const struct router *b)
{
	return a->protocol == b->protocol && a->enabled == b->enabled &&
	       a->from_file == b->from_file && a->priority == b->priority &&
	       a->interval_ms == b->interval_ms && a->hold_ms == b->hold_ms &&
	       a->learn == b->learn && a->preempt == b->preempt &&
	       a->preempt_delay_ms == b->preempt_delay_ms && a->boot_hold_ms == b->boot_hold_ms &&
	       a->accept == b->accept && a->also_v2 == b->also_v2 && a->checksum == b->checksum &&
	       a->garp == b->garp && a->announce_count == b->announce_count &&
	       a->announce_refresh_ms == b->announce_refresh_ms && a->linger_ms == b->linger_ms &&
	       a->auth == b->auth && a->auth_mode == b->auth_mode;
}

bool router_equal(const struct router *a, const struct router *b)
{
	return strcmp(a->name, b->name) == 0 && settings_equal(a, b) && keys_equal(a, b) &&
	       sets_equal(a, b) && tracks_equal(a, b) && strcmp(a->notify, b->notify) == 0 &&
	       strcmp(a->note, b->note) == 0;
}
