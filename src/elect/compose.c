/* What a machine says becomes frames.
 *
 * Theory of operation
 *
 * A set keeps the frames that it sent last, ready to be given out again: an active router says the
 * same for as long as nothing changes.  Frames are composed anew when the machine says something
 * else, or when what they were made of has changed (record, source, learned address, form of the
 * checksum).  Those that carry a counter (CARP, the HMAC trailer) keep their headers; only the
 * payload is written anew.
 *
 * A multicast set has one whole frame; a unicast one has a payload a peer, since most checksums
 * cover the destination; twice as many where copies in VRRPv2 are sent too.  All lie in the room
 * that came with the record: nothing is allocated in an election.
 *
 * What was given out belongs to the caller until the flush.  Frames that must be written again
 * before that cause one. */
#include "elect/inside.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/announce.h"
#include "wire/ip.h"
#include "wire/nd.h"

#define NETWORK_CONTROL 0xc0 /* class selector 6: what all of these protocols are sent with */
#define NS_PER_CS	10000000
#define NS_PER_MS	1000000
#define NS_PER_S	1000000000LL
#define CS_PER_S	100
#define ETH_LEN		14
#define TRAILER_MAX	(VRRP_MD5_LEN > VRRP_HMAC_LEN ? VRRP_MD5_LEN : VRRP_HMAC_LEN)

static size_t ip_len(uint8_t family)
{
	return family == 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
}

/* --- how much -------------------------------------------------------------------------------- */

static bool copies_v2(const struct router *r, const struct router_set *s)
{
	return r->protocol == ROUTER_VRRP3 && r->also_v2 && s->family == 4;
}

static bool signs(const struct router *r)
{
	return r->auth != ROUTER_AUTH_NONE && r->auth_mode != ROUTER_AUTH_RECEIVE_ONLY;
}

static bool has_trailer(const struct router *r)
{
	return router_is_vrrp(r->protocol) && r->auth == ROUTER_AUTH_HMAC && signs(r);
}

size_t compose_room(const struct router *r, const struct router_set *s)
{
	size_t one = ETH_LEN + ip_len(s->family);

	switch ((enum router_protocol)r->protocol) {
	case ROUTER_VRRP2:
	case ROUTER_VRRP3:
		one += VRRP_HEADER_LEN + s->address_count * (s->family == 4 ? 4 : 16);
		if (r->protocol == ROUTER_VRRP2 || copies_v2(r, s))
			one += VRRP_TEXT_LEN;
		if (signs(r))
			one += TRAILER_MAX;
		break;
	case ROUTER_HSRP1:
	case ROUTER_HSRP2:
		one += UDP_HEADER_LEN + HSRP_LEN_MAX;
		break;
	case ROUTER_CARP:
		one += CARP_LEN;
		break;
	case ROUTER_PROTOCOL_COUNT:
		assert(false);
	}
	return one * (s->peer_count ? s->peer_count : 1) * (copies_v2(r, s) ? 2 : 1);
}

/* --- headers --------------------------------------------------------------------------------- */

/* Where a set's multicast goes. */
static void group_of(const struct elect_set *s, uint8_t protocol, struct ip *ret)
{
	static const uint8_t vrrp4[4] = VRRP_GROUP_IPV4, vrrp6[16] = VRRP_GROUP_IPV6;
	static const uint8_t hsrp1[4] = HSRP1_GROUP_IPV4, hsrp2[4] = HSRP2_GROUP_IPV4;
	static const uint8_t hsrp6[16] = HSRP2_GROUP_IPV6;
	const uint8_t *group;

	*ret = (struct ip){ .family = s->family };
	if (s->kind == ELECT_VRRP)
		group = s->family == 4 ? vrrp4 : vrrp6;
	else if (s->family == 6)
		group = hsrp6;
	else
		group = protocol == ROUTER_HSRP1 ? hsrp1 : hsrp2;
	memcpy(ret->octet, group, s->family == 4 ? 4 : 16);
}

/* RFC 1112 section 6.4, RFC 2464 section 7. */
static vmac_mac_t group_mac(const struct ip *group)
{
	const uint8_t *o = group->octet;

	if (group->family == 6)
		return nd_group_mac(o);
	return (vmac_mac_t){ { 0x01, 0x00, 0x5e, o[1] & 0x7f, o[2], o[3] } };
}

static void write_headers(struct writer *w, const struct elect_set *s, bool from_vmac,
			  const struct ip *to, uint8_t next, uint8_t ttl, size_t payload_len)
{
	struct eth eth = {
		.to = group_mac(to),
		.from = from_vmac ? s->mac : s->wire->address,
		.type = s->family == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6,
	};

	eth_encode(w, &eth);
	if (s->family == 4) {
		struct ipv4 ip = {
			.tos = NETWORK_CONTROL,
			.payload_len = (uint16_t)payload_len,
			.ttl = ttl,
			.protocol = next,
		};

		memcpy(ip.from, s->source.octet, 4);
		memcpy(ip.to, to->octet, 4);
		ipv4_encode(w, &ip);
	} else {
		struct ipv6 ip = {
			.traffic_class = NETWORK_CONTROL,
			.payload_len = (uint16_t)payload_len,
			.next_header = next,
			.hop_limit = ttl,
		};

		memcpy(ip.from, s->source.octet, 16);
		memcpy(ip.to, to->octet, 16);
		ipv6_encode(w, &ip);
	}
}

static struct vrrp_path path_to(const struct elect_set *s, const struct ip *to)
{
	struct vrrp_path path = { .family = s->family };

	memcpy(path.from, s->source.octet, 16);
	memcpy(path.to, to->octet, 16);
	return path;
}

/* --- payloads -------------------------------------------------------------------------------- */

/* The addresses in force, as the codecs want them: side by side. */
static const uint8_t *packed_addresses(const struct elect_set *s,
				       uint8_t buf[static ROUTER_SET_ADDRESSES_MAX * 16],
				       unsigned int *ret_count)
{
	const struct router_address *list = elect_set_addresses(s, ret_count);
	size_t len = s->family == 4 ? 4 : 16;

	for (unsigned int i = 0; i < *ret_count; i++)
		memcpy(buf + i * len, list[i].ip.octet, len);
	return buf;
}

static uint16_t interval_cs(const struct fhrp_send *send, uint8_t version)
{
	int64_t cs = send->interval.ns / NS_PER_CS;

	if (cs < 1)
		cs = 1;
	if (version == 2)
		cs = (cs + CS_PER_S - 1) / CS_PER_S * CS_PER_S;
	else if (cs > VRRP_INTERVAL_MAX_CS)
		cs = VRRP_INTERVAL_MAX_CS;
	return (uint16_t)cs;
}

static void authenticate_v2(struct vrrp *v, const struct router *r, const struct vrrp_path *path)
{
	if (!signs(r))
		return;
	if (r->auth == ROUTER_AUTH_TEXT) {
		v->auth = VRRP_AUTH_TEXT;
		memcpy(v->text, r->keys[0].secret, strnlen(r->keys[0].secret, VRRP_TEXT_LEN));
	} else if (r->auth == ROUTER_AUTH_MD5) {
		v->auth = VRRP_AUTH_MD5;
		v->md5_key_id = r->keys[0].id;
		vrrp_md5_sign(v, path, r->keys[0].secret);
	}
}

/* A clock that was set back by more than this was so wrong that no peer believed it: see admit.c,
 * whose window is the greater of five seconds and three intervals. */
#define SEQUENCE_AHEAD_MIN_S 5
#define SEQUENCE_INTERVALS   3

/* Whether peers would refuse a sequence because it is too far ahead of the time.  Then they have
 * refused the one before it, too, and a lower one is nothing old to them. */
static bool sequence_is_lost(const struct elect_set *s, uint64_t sequence, uint64_t now)
{
	int64_t span_s = SEQUENCE_INTERVALS * (int64_t)router_record(s->router)->interval_ms / 1000;

	if (span_s < SEQUENCE_AHEAD_MIN_S)
		span_s = SEQUENCE_AHEAD_MIN_S;
	return (int32_t)((uint32_t)(sequence >> 32) - (uint32_t)(now >> 32)) > span_s;
}

/* What tells a message from all earlier ones: the wall clock, as the receiver holds it against its
 * own, but never twice the same and never back; unless the clock has come back from a time that
 * nobody believed, where it would take until then to be heard again. */
static uint64_t next_sequence(struct elect_core *c, struct elect_set *s)
{
	uint64_t ms = (uint64_t)c->wall_now(c->ctx).ms;
	uint64_t now = (ms / 1000) << 32 | ((ms % 1000) * 65536 / 1000) << 16;

	if (now > s->counter || sequence_is_lost(s, s->counter, now))
		s->counter = now;
	else
		s->counter++;
	return s->counter;
}

/* The trailer covers the message but for its checksum, which over IPv6 covers the trailer: so the
 * message is written twice there. */
static void write_vrrp(struct writer *w, struct elect_core *c, struct elect_set *s,
		       const struct vrrp_path *path, struct vrrp *v)
{
	const struct router *r = router_record(s->router);
	uint8_t trailer[VRRP_HMAC_LEN], *start = w->at;
	const struct router_key *key = r->keys; /* the first is sent */

	vrrp_encode(w, path, v, NULL, 0);
	if (!has_trailer(r) || w->failed)
		return;
	vrrp_hmac_sign(path, start, (size_t)(w->at - start), (uint8_t)key->id, next_sequence(c, s),
		       key->secret, strlen(key->secret), trailer);
	if (path->family == 6) {
		w->at = start;
		vrrp_encode(w, path, v, trailer, sizeof(trailer));
	}
	write_bytes(w, trailer, sizeof(trailer));
}

static void vrrp_of(const struct elect_set *s, const struct fhrp_send *send, uint8_t version,
		    struct vrrp *ret)
{
	*ret = (struct vrrp){
		.version = version,
		.group = (uint8_t)s->group,
		.priority = send->message == FHRP_RESIGN ? VRRP_PRIORITY_STOP : send->priority,
		.interval_cs = interval_cs(send, version),
		.dialect = s->dialect,
	};
}

/* A CARP sender that leaves says that it will be slower than anybody (carp(4) of the BSDs). */
static void write_carp(struct writer *w, struct elect_set *s, const struct vrrp_path *path,
		       const struct fhrp_send *send, const uint8_t *addresses, unsigned int count)
{
	const struct router *r = router_record(s->router);
	int64_t base = send->interval.ns / NS_PER_S;
	struct carp carp = {
		.group = (uint8_t)s->group,
		.skew = (uint8_t)(255 - send->priority),
		.base = (uint8_t)(base > 255 ? 255 : base),
		.counter = s->counter++,
	};

	if (send->message == FHRP_RESIGN)
		carp.base = carp.skew = CARP_SKEW_BOW_OUT;
	carp_sign(&carp, r->key_count > 0 ? r->keys[0].secret : "", s->family, addresses, count);
	carp_encode(w, path, &carp);
}

static void hsrp_of(const struct elect_set *s, const struct fhrp_send *send, struct hsrp *ret)
{
	static const uint8_t operations[FHRP_MESSAGE_COUNT] = {
		[FHRP_HELLO] = HSRP_HELLO,
		[FHRP_COUP] = HSRP_COUP,
		[FHRP_RESIGN] = HSRP_RESIGN,
	};
	const struct router *r = router_record(s->router);
	const char *text = HSRP_TEXT_DEFAULT;
	const struct router_address *list;
	unsigned int count;

	*ret = (struct hsrp){
		.version = r->protocol == ROUTER_HSRP1 ? 1 : 2,
		.operation = operations[send->message],
		.state = send->state,
		.family = s->family,
		.group = s->group,
		.priority = send->priority,
		.hello_ms = (uint32_t)(send->interval.ns / NS_PER_MS),
		.hold_ms = (uint32_t)(send->hold.ns / NS_PER_MS),
		.identifier = s->wire->address,
		.auth = HSRP_AUTH_TEXT,
	};
	list = elect_set_addresses(s, &count);
	if (count > 0)
		memcpy(ret->address, list[0].ip.octet, s->family == 4 ? 4 : 16);
	if (r->auth == ROUTER_AUTH_MD5 && signs(r)) {
		ret->auth = HSRP_AUTH_MD5;
		ret->md5_key_id = r->keys[0].id;
		if (s->family == 4)
			memcpy(ret->md5_from, s->source.octet, 4);
		return;
	}
	if (r->auth == ROUTER_AUTH_TEXT)
		text = r->keys[0].secret;
	memcpy(ret->text, text, strnlen(text, HSRP_TEXT_LEN));
}

/* --- frames ---------------------------------------------------------------------------------- */

static void write_hsrp(struct writer *w, struct elect_set *s, const struct fhrp_send *send)
{
	const struct router *r = router_record(s->router);
	struct udp udp = { .from = HSRP_PORT, .to = HSRP_PORT };
	uint8_t payload[HSRP_LEN_MAX];
	struct writer p = writer_of(payload, sizeof(payload));
	struct hsrp h;
	struct ip to;

	group_of(s, r->protocol, &to);
	hsrp_of(s, send, &h);
	hsrp_encode(&p, &h, h.auth == HSRP_AUTH_MD5 ? r->keys[0].secret : NULL);
	udp.payload_len = (uint16_t)writer_used(&p);
	write_headers(w, s, send->from_vmac, &to, IP_PROTOCOL_UDP,
		      s->family == 4 ? HSRP_TTL : HSRP_TTL_IPV6, UDP_HEADER_LEN + writer_used(&p));
	if (s->family == 4) {
		struct ipv4 ip = { 0 };

		memcpy(ip.from, s->source.octet, 4);
		memcpy(ip.to, to.octet, 4);
		udp4_encode(w, &ip, &udp, payload);
	} else {
		struct ipv6 ip = { 0 };

		udp.from = udp.to = HSRP_PORT_IPV6;
		memcpy(ip.from, s->source.octet, 16);
		memcpy(ip.to, to.octet, 16);
		udp6_encode(w, &ip, &udp, payload);
	}
	w->failed |= p.failed;
}

/* One message of protocol 112, `version` that of VRRP. */
static void write_112(struct writer *w, struct elect_core *c, struct elect_set *s,
		      const struct fhrp_send *send, uint8_t version, const struct ip *to)
{
	const struct router *r = router_record(s->router);
	uint8_t packed[ROUTER_SET_ADDRESSES_MAX * 16];
	struct vrrp_path path = path_to(s, to);
	const uint8_t *addresses;
	unsigned int count;
	struct vrrp v;

	addresses = packed_addresses(s, packed, &count);
	if (r->protocol == ROUTER_CARP) {
		write_carp(w, s, &path, send, addresses, count);
		return;
	}
	vrrp_of(s, send, version, &v);
	v.addresses = addresses;
	v.address_count = count;
	if (version == 2)
		authenticate_v2(&v, r, &path);
	write_vrrp(w, c, s, &path, &v);
}

/* Writes all frames of one version at `data`; returns the length of one. */
static uint16_t write_version(struct elect_core *c, struct elect_set *s,
			      const struct fhrp_send *send, uint8_t version, struct writer *w)
{
	const struct router_set *record = set_record(s);
	const struct router *r = router_record(s->router);
	struct elect_frames *f = &s->frames;
	uint8_t *start = w->at, *payload;
	struct ip to;

	if (s->kind == ELECT_HSRP) {
		write_hsrp(w, s, send);
		return (uint16_t)(w->at - start);
	}
	if (record->peer_count > 0) {
		for (unsigned int i = 0; i < record->peer_count; i++)
			write_112(w, c, s, send, version, &record->peers[i]);
		return (uint16_t)((size_t)(w->at - start) / record->peer_count);
	}
	group_of(s, r->protocol, &to);
	f->head = (uint16_t)(ETH_LEN + ip_len(s->family));
	if (reader_left(&(struct reader){ w->at, w->end, false }) < f->head) {
		w->failed = true;
		return 0;
	}
	/* The header tells the payload's length, so the payload comes first. */
	w->at = payload = start + f->head;
	write_112(w, c, s, send, version, &to);
	if (!f->valid && !w->failed) {
		struct writer head = writer_of(start, f->head);

		write_headers(&head, s, send->from_vmac, &to, IP_PROTOCOL_VRRP, VRRP_TTL,
			      (size_t)(w->at - payload));
		w->failed |= head.failed;
	}
	return (uint16_t)(w->at - start);
}

static bool said_before(const struct elect_frames *f, const struct fhrp_send *send)
{
	const struct fhrp_send *said = &f->said;

	return f->valid && said->message == send->message && said->priority == send->priority &&
	       said->state == send->state && said->from_vmac == send->from_vmac &&
	       said->interval.ns == send->interval.ns && said->hold.ns == send->hold.ns;
}

/* Makes s->frames say it. */
static bool frames_prepare(struct elect_core *c, struct elect_set *s, const struct fhrp_send *send)
{
	const struct router *r = router_record(s->router);
	struct elect_frames *f = &s->frames;
	struct writer w;

	f->valid = said_before(f, send);
	if (f->valid && !f->counted)
		return true;
	if (f->lent == c->flushes + 1)
		core_flush_ops(c);
	w = writer_of(f->data, f->room);
	f->len[1] = 0;
	f->len[0] = write_version(c, s, send, r->protocol == ROUTER_VRRP2 ? 2 : 3, &w);
	if (copies_v2(r, set_record(s)))
		f->len[1] = write_version(c, s, send, 2, &w);
	f->valid = !w.failed;
	f->counted = r->protocol == ROUTER_CARP || has_trailer(r);
	f->said = *send;
	return f->valid;
}

static void frames_give(struct elect_core *c, struct elect_set *s)
{
	const struct router_set *record = set_record(s);
	struct elect_frames *f = &s->frames;
	const uint8_t *at = f->data;

	f->lent = c->flushes + 1;
	c->ordered = true;
	for (unsigned int i = 0; i < ARRAY_LEN(f->len) && f->len[i] > 0; i++) {
		for (unsigned int k = 0; k < record->peer_count; k++, at += f->len[i])
			c->ops->send_to(c->ctx, s, &record->peers[k], at, f->len[i]);
		if (record->peer_count > 0)
			continue;
		c->ops->send(c->ctx, s, at, f->len[i]);
		at += f->len[i];
	}
}

static bool leaves(const struct elect_set *s, const struct fhrp_send *send)
{
	return send->message == FHRP_RESIGN || (s->kind == ELECT_VRRP && send->priority == 0);
}

void compose_send(struct elect_core *c, struct elect_set *s, const struct fhrp_send *send)
{
	struct elect_counts *counts = &s->router->counts;

	/* Without address or link there is nobody to speak as, and nowhere. */
	if (s->source.family == 0 || s->wire->ifindex == 0 || !frames_prepare(c, s, send))
		return;
	frames_give(c, s);
	counts->sent++;
	if (leaves(s, send))
		counts->sent_zero++;
}

/* --- announcements --------------------------------------------------------------------------- */

/* One frame in the arena; the caller writes it. */
static struct writer arena_writer(struct elect_core *c)
{
	if (c->arena_used + ANNOUNCE_LEN_MAX > ELECT_ARENA)
		core_flush_ops(c);
	return writer_of(c->arena + c->arena_used, ANNOUNCE_LEN_MAX);
}

static void arena_give(struct elect_core *c, struct elect_set *s, const struct writer *w)
{
	assert(!w->failed);
	c->arena_used += writer_used(w);
	c->ordered = true;
	c->ops->send(c->ctx, s, w->start, writer_used(w));
	s->router->counts.announced++;
}

static void announce_ipv4(struct elect_core *c, struct elect_set *s, const struct ip *ip)
{
	uint8_t garp = router_record(s->router)->garp;
	struct writer w;

	if (garp != ROUTER_GARP_REPLY) {
		w = arena_writer(c);
		announce_arp(&w, ANNOUNCE_REQUEST, s->mac, ip->octet);
		arena_give(c, s, &w);
	}
	if (garp != ROUTER_GARP_REQUEST) {
		w = arena_writer(c);
		announce_arp(&w, ANNOUNCE_REPLY, s->mac, ip->octet);
		arena_give(c, s, &w);
	}
}

static bool is_link_local(const struct ip *ip)
{
	return ip->octet[0] == 0xfe && (ip->octet[1] & 0xc0) == 0x80;
}

void compose_announce(struct elect_core *c, struct elect_set *s)
{
	const struct router_address *list;
	unsigned int count;

	list = elect_set_addresses(s, &count);
	for (unsigned int i = 0; i < count; i++) {
		const struct ip *ip = &list[i].ip, *from = ip;
		struct writer w;

		if (s->family == 4) {
			announce_ipv4(c, s, ip);
			continue;
		}
		if (is_link_local(&list[0].ip))
			from = &list[0].ip;
		w = arena_writer(c);
		announce_nd(&w, s->mac, from->octet, ip->octet, true);
		arena_give(c, s, &w);
	}
}
