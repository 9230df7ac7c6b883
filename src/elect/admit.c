/* A decoded frame becomes an event for a machine, or a verdict.
 *
 * Theory of operation
 *
 * What comes here is well-formed and for a group of ours.  It is held against the record in an
 * order that lets a forged frame change nothing: whose it is, whether the group takes part, its
 * protocol, its sender where peers are named, and its authentication; only what passed all of that
 * is remembered of its sender.
 *
 * Keys change under traffic in three steps: every router learns the new ways of the key while it
 * still sends without (receive-only), then sends with it (permissive), then insists on it
 * (enforce).  What is authenticated is always verified; the mode only says what becomes of frames
 * that are not.
 *
 * Replay: the HMAC trailer carries a sequence out of the sender's wall clock, which must grow, and
 * be near our own clock (so that what was recorded before we started is old too).  CARP's counter
 * has no meaning but that it grows; a sender that restarts begins anywhere.  So runs of counters
 * are remembered, and what lies inside of one is old.  A recording of a run that has been forgotten
 * would pass: CARP itself cannot do better. */
#include "elect/inside.h"

#include <string.h>

#define CLOCK_SPAN_MIN_S 5 /* how far a peer's clock may be from ours, and 3 intervals */
#define CLOCK_INTERVALS	 3
#define COUNTER_GAP_MAX	 (1u << 20) /* counters of one run lie closer than this */
#define SKEW_PARTS	 256

/* A peer that sent VRRPv3 within so many of its intervals still speaks it. */
#define V3_INTERVALS 4

static size_t address_len(const struct elect_set *s)
{
	return s->family == 4 ? 4 : 16;
}

/* --- peers ----------------------------------------------------------------------------------- */

static struct elect_peer *peer_find(const struct elect_set *s, const uint8_t *from)
{
	for (unsigned int i = 0; i < s->peer_count; i++)
		if (memcmp(s->peers[i].address, from, address_len(s)) == 0)
			return &s->peers[i];
	return NULL;
}

/* The entry of a sender, a new one in place of the longest silent where all are taken.  NULL: no
 * memory. */
static struct elect_peer *peer_get(struct elect_core *c, struct elect_set *s, const uint8_t *from)
{
	struct elect_peer *p = peer_find(s, from);

	if (!p) {
		if (!s->peers)
			s->peers = mem_alloc(c->mem, ELECT_PEERS_MAX * sizeof(*p));
		if (!s->peers)
			return NULL;
		if (s->peer_count < ELECT_PEERS_MAX) {
			p = &s->peers[s->peer_count++];
		} else {
			p = &s->peers[0];
			for (unsigned int i = 1; i < ELECT_PEERS_MAX; i++)
				if (s->peers[i].heard.ns < p->heard.ns)
					p = &s->peers[i];
		}
		*p = (struct elect_peer){ 0 };
		memcpy(p->address, from, address_len(s));
	}
	p->heard = c->now;
	return p;
}

static bool is_own(const struct elect_set *s, const struct advert *a)
{
	if (s->source.family != 0 && memcmp(s->source.octet, a->path.from, address_len(s)) == 0)
		return true;
	return a->kind == ADVERT_HSRP && a->hsrp.version == 2 &&
	       vmac_mac_equal(a->hsrp.identifier, s->wire->address);
}

/* Named peers alone are heard; without any, only what was sent to the group: a unicast frame may
 * have come from anywhere, as its TTL is not checked. */
static bool is_peer(const struct elect_set *s, const struct advert *a)
{
	const struct router_set *record = set_record(s);

	for (unsigned int i = 0; i < record->peer_count; i++)
		if (memcmp(record->peers[i].octet, a->path.from, address_len(s)) == 0)
			return true;
	return record->peer_count == 0 && !a->unicast;
}

/* --- protocol -------------------------------------------------------------------------------- */

static bool is_protocol(const struct router *r, const struct advert *a)
{
	switch ((enum router_protocol)r->protocol) {
	case ROUTER_VRRP2:
		return a->kind == ADVERT_VRRP && a->vrrp.version == 2;
	case ROUTER_VRRP3:
		return a->kind == ADVERT_VRRP && (a->vrrp.version == 3 || r->also_v2);
	case ROUTER_HSRP1:
		return a->kind == ADVERT_HSRP && a->hsrp.version == 1;
	case ROUTER_HSRP2:
		return a->kind == ADVERT_HSRP && a->hsrp.version == 2;
	case ROUTER_CARP:
		return a->kind == ADVERT_CARP;
	case ROUTER_PROTOCOL_COUNT:
		break;
	}
	return false;
}

/* RFC 9568 section 8.4.2: of a router that sends both, VRRPv3 counts. */
static bool is_copy(const struct elect_core *c, const struct elect_set *s, const struct advert *a)
{
	const struct elect_peer *p;
	span_t interval;

	if (a->kind != ADVERT_VRRP || a->vrrp.version != 2 ||
	    router_record(s->router)->protocol != ROUTER_VRRP3)
		return false;
	interval = SPAN_MS((int64_t)a->vrrp.interval_cs * 10);
	p = peer_find(s, a->path.from);
	return p && p->heard_v3.ns > 0 &&
	       mono_since(c->now, p->heard_v3).ns <= V3_INTERVALS * interval.ns;
}

/* --- authentication -------------------------------------------------------------------------- */

static const struct router_key *key_find(const struct router *r, uint32_t id)
{
	for (unsigned int i = 0; i < r->key_count; i++)
		if (r->keys[i].id == id)
			return &r->keys[i];
	return NULL;
}

/* A secret as eight octets of a frame, zero padded. */
static bool text_is(const char *secret, const uint8_t text[static VRRP_TEXT_LEN])
{
	uint8_t padded[VRRP_TEXT_LEN] = { 0 };

	_Static_assert(VRRP_TEXT_LEN == HSRP_TEXT_LEN, "both protocols have eight octets");
	memcpy(padded, secret, strnlen(secret, sizeof(padded)));
	return memcmp(padded, text, sizeof(padded)) == 0;
}

static enum verdict check_text(const struct router *r, const uint8_t text[static VRRP_TEXT_LEN])
{
	for (unsigned int i = 0; i < r->key_count; i++)
		if (text_is(r->keys[i].secret, text))
			return VERDICT_ACCEPTED;
	return VERDICT_AUTH_FAILED;
}

/* What becomes of a frame that is not authenticated in a group that is. */
static enum verdict check_missing(const struct router *r)
{
	return r->auth_mode == ROUTER_AUTH_ENFORCE ? VERDICT_AUTH_MISSING : VERDICT_ACCEPTED;
}

/* Before the costly part, so that a flood of old frames is cheap. */
static enum verdict check_sequence(const struct elect_core *c, const struct elect_set *s,
				   const struct advert *a, uint64_t sequence)
{
	const struct elect_peer *p = peer_find(s, a->path.from);
	int64_t interval_s = a->vrrp.interval_cs / 100, span_s = CLOCK_INTERVALS * interval_s;
	int64_t off_s =
		(int32_t)((uint32_t)(sequence >> 32) - (uint32_t)(c->wall_now(c->ctx).ms / 1000));

	/* RFC 1982: the seconds wrap in 2106. */
	if (p && p->has_sequence && (int64_t)(sequence - p->sequence) <= 0)
		return VERDICT_REPLAYED;
	if (span_s < CLOCK_SPAN_MIN_S)
		span_s = CLOCK_SPAN_MIN_S;
	return off_s > span_s || off_s < -span_s ? VERDICT_CLOCK : VERDICT_ACCEPTED;
}

static enum verdict check_trailer(struct elect_core *c, struct elect_set *s, const struct advert *a)
{
	const struct router *r = router_record(s->router);
	const struct router_key *key;
	struct elect_peer *p;
	struct vrrp_hmac hmac;
	enum verdict v;

	if (!vrrp_hmac_read(a->vrrp.trailer, &hmac))
		return VERDICT_AUTH_TYPE;
	key = key_find(r, hmac.key_id);
	if (!key)
		return VERDICT_AUTH_KEY;
	v = check_sequence(c, s, a, hmac.sequence);
	if (v != VERDICT_ACCEPTED)
		return v;
	if (!vrrp_hmac_verify(&a->path, &a->vrrp, key->secret, strlen(key->secret)))
		return VERDICT_AUTH_FAILED;
	p = peer_get(c, s, a->path.from);
	if (p) {
		p->sequence = hmac.sequence;
		p->has_sequence = true;
	}
	return VERDICT_ACCEPTED;
}

static enum verdict check_vrrp(struct elect_core *c, struct elect_set *s, const struct advert *a)
{
	const struct router *r = router_record(s->router);
	const struct vrrp *v = &a->vrrp;
	const struct router_key *key;

	if (v->trailer)
		return r->auth == ROUTER_AUTH_HMAC ? check_trailer(c, s, a) : VERDICT_AUTH_TYPE;
	if (v->version == 3 || v->auth == VRRP_AUTH_NONE)
		return r->auth == ROUTER_AUTH_NONE ? VERDICT_ACCEPTED : check_missing(r);
	if (v->auth == VRRP_AUTH_TEXT && r->auth == ROUTER_AUTH_TEXT)
		return check_text(r, v->text);
	if (v->auth == VRRP_AUTH_MD5 && r->auth == ROUTER_AUTH_MD5) {
		key = key_find(r, v->md5_key_id);
		if (!key)
			return VERDICT_AUTH_KEY;
		return vrrp_md5_verify(v, key->secret) ? VERDICT_ACCEPTED : VERDICT_AUTH_FAILED;
	}
	return VERDICT_AUTH_TYPE;
}

/* HSRP always has a text; the default one counts as none. */
static enum verdict check_hsrp(const struct elect_set *s, const struct hsrp *h)
{
	const struct router *r = router_record(s->router);
	const struct router_key *key;

	if (h->auth == HSRP_AUTH_MD5) {
		if (r->auth != ROUTER_AUTH_MD5)
			return VERDICT_AUTH_TYPE;
		key = key_find(r, h->md5_key_id);
		if (!key)
			return VERDICT_AUTH_KEY;
		return hsrp_md5_verify(h, key->secret) ? VERDICT_ACCEPTED : VERDICT_AUTH_FAILED;
	}
	if (r->auth == ROUTER_AUTH_TEXT)
		return check_text(r, h->text);
	if (!text_is(HSRP_TEXT_DEFAULT, h->text))
		return VERDICT_AUTH_TYPE;
	return r->auth == ROUTER_AUTH_NONE ? VERDICT_ACCEPTED : check_missing(r);
}

static bool carp_proven(const struct elect_set *s, const struct carp *carp)
{
	const struct router *r = router_record(s->router);
	uint8_t packed[ROUTER_SET_ADDRESSES_MAX * 16];
	const struct router_address *list;
	unsigned int count;

	list = elect_set_addresses(s, &count);
	for (unsigned int i = 0; i < count; i++)
		memcpy(packed + i * address_len(s), list[i].ip.octet, address_len(s));
	for (unsigned int i = 0; i < r->key_count; i++)
		if (carp_verify(carp, r->keys[i].secret, s->family, packed, count))
			return true;
	return r->key_count == 0 && carp_verify(carp, "", s->family, packed, count);
}

static bool counter_is_old(const struct elect_peer *p, uint64_t counter)
{
	for (unsigned int i = 0; i < p->range_count; i++)
		if (counter - p->ranges[i].low <= p->ranges[i].high - p->ranges[i].low)
			return true;
	return false;
}

static void counter_remember(struct elect_peer *p, uint64_t counter)
{
	if (p->range_count > 0 && counter - p->ranges[0].high <= COUNTER_GAP_MAX) {
		p->ranges[0].high = counter;
		return;
	}
	if (p->range_count < ELECT_RANGES_MAX)
		p->range_count++;
	memmove(&p->ranges[1], &p->ranges[0], (p->range_count - 1u) * sizeof(p->ranges[0]));
	p->ranges[0] = (struct elect_range){ counter, counter };
}

static enum verdict check_carp(struct elect_core *c, struct elect_set *s, const struct advert *a)
{
	struct elect_peer *p = peer_find(s, a->path.from);

	if (p && counter_is_old(p, a->carp.counter))
		return VERDICT_REPLAYED;
	if (!carp_proven(s, &a->carp))
		return VERDICT_AUTH_FAILED;
	p = peer_get(c, s, a->path.from);
	if (p)
		counter_remember(p, a->carp.counter);
	return VERDICT_ACCEPTED;
}

static enum verdict check_authentication(struct elect_core *c, struct elect_set *s,
					 const struct advert *a)
{
	switch ((enum advert_kind)a->kind) {
	case ADVERT_VRRP:
		return check_vrrp(c, s, a);
	case ADVERT_HSRP:
		return check_hsrp(s, &a->hsrp);
	case ADVERT_CARP:
		return check_carp(c, s, a);
	case ADVERT_GLBP:
	case ADVERT_KIND_COUNT:
		break;
	}
	return VERDICT_OTHER_PROTOCOL;
}

/* --- what the machine hears ------------------------------------------------------------------ */

static void hear_hsrp(const struct elect_set *s, const struct hsrp *h, struct fhrp_heard *ret)
{
	static const uint8_t messages[] = {
		[HSRP_HELLO] = FHRP_HELLO,
		[HSRP_COUP] = FHRP_COUP,
		[HSRP_RESIGN] = FHRP_RESIGN,
	};

	ret->version = h->version;
	ret->message = messages[h->operation];
	ret->state = h->state;
	ret->priority = h->priority;
	ret->interval = SPAN_MS(h->hello_ms);
	ret->hold = SPAN_MS(h->hold_ms);
	memcpy(ret->virtual_address, h->address, address_len(s));
}

/* 0 for one that leaves; a skew of 255 alone is just the slowest of its base. */
static uint32_t carp_priority(const struct carp *carp)
{
	if (carp->skew == CARP_SKEW_BOW_OUT)
		return carp->base == CARP_SKEW_BOW_OUT ? 0 : 1;
	return 255u - carp->skew;
}

static void hear(const struct elect_set *s, const struct advert *a, struct fhrp_heard *ret)
{
	*ret = (struct fhrp_heard){ .set = s->index, .message = FHRP_HELLO };
	ret->from.len = (uint8_t)address_len(s);
	memcpy(ret->from.address, a->path.from, ret->from.len);
	if (a->kind == ADVERT_VRRP) {
		ret->version = a->vrrp.version;
		ret->priority = a->vrrp.priority;
		ret->interval = SPAN_MS((int64_t)a->vrrp.interval_cs * 10);
	} else if (a->kind == ADVERT_CARP) {
		ret->priority = carp_priority(&a->carp);
		ret->interval = SPAN_NS((int64_t)a->carp.base * 1000000000 +
					(int64_t)a->carp.skew * 1000000000 / SKEW_PARTS);
	} else {
		hear_hsrp(s, &a->hsrp, ret);
	}
}

enum verdict admit(struct elect_core *c, struct elect_set *s, const struct advert *a,
		   struct fhrp_heard *ret)
{
	const struct router *r = router_record(s->router);
	struct elect_peer *p;
	enum verdict v;

	if (is_own(s, a))
		return VERDICT_OWN;
	if (s->router->machine.state == FHRP_INITIALIZE)
		return VERDICT_DISABLED;
	if (!is_protocol(r, a))
		return VERDICT_OTHER_PROTOCOL;
	if (!is_peer(s, a))
		return VERDICT_NOT_A_PEER;
	if (is_copy(c, s, a))
		return VERDICT_SUPERSEDED;
	v = check_authentication(c, s, a);
	if (v != VERDICT_ACCEPTED)
		return v;
	/* RFC 3768 section 7.1: another interval than ours must be discarded. */
	if (r->protocol == ROUTER_VRRP2 && a->vrrp.interval_cs * 10u != r->interval_ms)
		return VERDICT_INTERVAL;
	if (r->also_v2 && a->vrrp.version == 3) {
		p = peer_get(c, s, a->path.from);
		if (p)
			p->heard_v3 = c->now;
	}
	hear(s, a, ret);
	/* Reported errata 8298 of RFC 9568: to be told, not to be dropped. */
	if (router_is_vrrp(r->protocol) && r->priority == VRRP_PRIORITY_OWNER &&
	    ret->priority == VRRP_PRIORITY_OWNER)
		return VERDICT_OWNER_CONFLICT;
	return VERDICT_ACCEPTED;
}
