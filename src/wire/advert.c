/* One frame of an election protocol, layer by layer.
 *
 * What is asked first is whether the frame is ours at all: a capture is full of others, and a cut
 * or broken packet of theirs is "not ours", not "truncated". */
#include "wire/advert.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/checksum.h"
#include "wire/codec.h"
#include "wire/ip.h"

#define IP_PROTOCOL_FRAGMENT 44 /* RFC 8200 section 4.5 */
#define IPV4_PROTOCOL_AT     9
#define IPV6_NEXT_HEADER_AT  6
#define UDP_PORT_AT	     2 /* the receiver's */
#define UDP_LENGTH_AT	     4

static const char not_ours[] = "not a packet of an election protocol";

/* What is known of a frame so far. */
struct progress {
	struct advert *advert;
	enum advert_depth depth;
	const char **ret_why;

	struct ipv4 ip4;
	struct ipv6 ip6;
	uint8_t protocol; /* of the payload */
	bool fragment;	  /* of a packet */
	bool first;	  /* and its first one */
};

/* Where each protocol lives: family, its UDP port (0: IP protocol 112), and the group. */
static const struct place {
	uint8_t kind, family, version; /* version: HSRP's; else 0 */
	uint16_t port;
	uint8_t group[16];
} places[] = {
	{ ADVERT_VRRP, 4, 0, 0, VRRP_GROUP_IPV4 },
	{ ADVERT_VRRP, 6, 0, 0, VRRP_GROUP_IPV6 },
	{ ADVERT_CARP, 4, 0, 0, VRRP_GROUP_IPV4 },
	{ ADVERT_CARP, 6, 0, 0, VRRP_GROUP_IPV6 },
	{ ADVERT_HSRP, 4, 1, HSRP_PORT, HSRP1_GROUP_IPV4 },
	{ ADVERT_HSRP, 4, 2, HSRP_PORT, HSRP2_GROUP_IPV4 },
	{ ADVERT_HSRP, 6, 2, HSRP_PORT_IPV6, HSRP2_GROUP_IPV6 },
	{ ADVERT_GLBP, 4, 0, GLBP_PORT, HSRP2_GROUP_IPV4 },
	{ ADVERT_GLBP, 6, 0, GLBP_PORT, HSRP2_GROUP_IPV6 },
};

static uint16_t u16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool port_is_ours(uint16_t port)
{
	return port == HSRP_PORT || port == HSRP_PORT_IPV6 || port == GLBP_PORT;
}

/* Whether a payload can be ours, as far as it is there. */
static bool may_be_ours(uint8_t protocol, const uint8_t *payload, size_t len)
{
	if (protocol == IP_PROTOCOL_VRRP)
		return true;
	return protocol == IP_PROTOCOL_UDP &&
	       (len < UDP_PORT_AT + 2 || port_is_ours(u16_at(payload + UDP_PORT_AT)));
}

/* Whether the packet may go where it goes.  Only VRRP and CARP have unicast peers: HSRP and GLBP do
 * not look at the TTL, so that unicast would let the whole world in. */
static bool destination_right(const struct advert *a, uint8_t version, uint16_t port)
{
	size_t len = a->path.family == 6 ? 16 : 4;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const struct place *p = &places[i];

		if (p->kind != a->kind || p->family != a->path.family || p->port != port)
			continue;
		if (a->unicast && port == 0)
			return true;
		if (version != 0 && p->version != 0 && p->version != version)
			continue;
		if (memcmp(p->group, a->path.to, len) == 0)
			return true;
	}
	return false;
}

/* --- Ethernet and IP ------------------------------------------------------------------------- */

static bool is_group(const struct vrrp_path *path)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	if (path->family == 6)
		return path->to[0] == 0xff;
	return (path->to[0] & 0xf0) == 0xe0 || memcmp(path->to, broadcast, 4) == 0;
}

static enum verdict read_ethernet(struct reader *r, struct progress *p)
{
	size_t len = reader_left(r);

	if (eth_decode(r, &p->advert->eth, p->ret_why) < 0)
		return len < 14 ? VERDICT_TRUNCATED : VERDICT_MALFORMED;
	p->depth = ADVERT_ETHERNET;
	return VERDICT_ACCEPTED;
}

/* Why ipv4_decode() rejected a packet that is ours. */
static enum verdict ipv4_fault(const struct reader *r)
{
	size_t header_len = (r->at[0] & 0x0f) * 4u, total_len = u16_at(r->at + 2);

	if (r->at[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN)
		return VERDICT_MALFORMED;
	if (header_len > reader_left(r))
		return VERDICT_TRUNCATED;
	if (checksum_finish(checksum_add(0, r->at, header_len)) != 0)
		return VERDICT_CHECKSUM;
	return total_len > reader_left(r) ? VERDICT_TRUNCATED : VERDICT_MALFORMED;
}

static enum verdict read_ipv4(struct reader *r, struct progress *p)
{
	struct vrrp_path *path = &p->advert->path;
	size_t header_len, left = reader_left(r);
	uint8_t protocol;

	if (left < IPV4_HEADER_LEN)
		return wire_refuse(p->ret_why, VERDICT_TRUNCATED,
				   "packet ends inside the IPv4 header");
	header_len = (r->at[0] & 0x0f) * 4u;
	if (header_len > left)
		header_len = left;
	protocol = r->at[IPV4_PROTOCOL_AT];
	if (!may_be_ours(protocol, r->at + header_len, left - header_len))
		return wire_refuse(p->ret_why, VERDICT_NOT_OURS, not_ours);
	if (ipv4_decode(r, &p->ip4, p->ret_why) < 0)
		return ipv4_fault(r);
	path->family = 4;
	memcpy(path->from, p->ip4.from, sizeof(p->ip4.from));
	memcpy(path->to, p->ip4.to, sizeof(p->ip4.to));
	p->advert->ttl = p->ip4.ttl;
	p->protocol = protocol;
	p->fragment = p->ip4.more_fragments || p->ip4.fragment != 0;
	p->first = p->ip4.fragment == 0;
	return VERDICT_ACCEPTED;
}

/* The only extension header that is looked at: to say what a fragment is. */
static void read_fragment_header(struct reader *r, struct progress *p)
{
	struct reader in = *r;
	uint8_t protocol;
	uint16_t offset;

	protocol = read_u8(&in);
	read_u8(&in);
	offset = read_u16(&in);
	read_u32(&in);
	if (in.failed)
		return;
	*r = in;
	p->protocol = protocol;
	p->fragment = true;
	p->first = offset >> 3 == 0;
}

static enum verdict read_ipv6(struct reader *r, struct progress *p)
{
	struct vrrp_path *path = &p->advert->path;
	size_t left = reader_left(r);
	uint8_t next;

	if (left < IPV6_HEADER_LEN)
		return wire_refuse(p->ret_why, VERDICT_TRUNCATED,
				   "packet ends inside the IPv6 header");
	next = r->at[IPV6_NEXT_HEADER_AT];
	if (next != IP_PROTOCOL_FRAGMENT &&
	    !may_be_ours(next, r->at + IPV6_HEADER_LEN, left - IPV6_HEADER_LEN))
		return wire_refuse(p->ret_why, VERDICT_NOT_OURS, not_ours);
	if (ipv6_decode(r, &p->ip6, p->ret_why) < 0)
		return r->at[0] >> 4 == 6 ? VERDICT_TRUNCATED : VERDICT_MALFORMED;
	path->family = 6;
	memcpy(path->from, p->ip6.from, sizeof(p->ip6.from));
	memcpy(path->to, p->ip6.to, sizeof(p->ip6.to));
	p->advert->ttl = p->ip6.hop_limit;
	p->protocol = next;
	if (next == IP_PROTOCOL_FRAGMENT)
		read_fragment_header(r, p);
	return VERDICT_ACCEPTED;
}

static enum verdict read_ip(struct reader *r, struct progress *p)
{
	struct advert *a = p->advert;
	enum verdict verdict;

	if (a->eth.type == ETH_TYPE_IPV4)
		verdict = read_ipv4(r, p);
	else if (a->eth.type == ETH_TYPE_IPV6)
		verdict = read_ipv6(r, p);
	else
		verdict = wire_refuse(p->ret_why, VERDICT_NOT_OURS, not_ours);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	a->unicast = !is_group(&a->path);
	p->depth = ADVERT_IP;
	if (!may_be_ours(p->protocol, r->at, reader_left(r)) ||
	    (p->fragment && !p->first && p->protocol == IP_PROTOCOL_UDP))
		return wire_refuse(p->ret_why, VERDICT_NOT_OURS, not_ours);
	if (p->fragment)
		return wire_refuse(p->ret_why, VERDICT_FRAGMENT, "fragment of a packet");
	return VERDICT_ACCEPTED;
}

/* --- the protocols --------------------------------------------------------------------------- */

/* Notes whose message it is, before it is known whether it is right. */
static void peek(struct progress *p, const struct reader *r)
{
	struct advert *a = p->advert;
	size_t len = reader_left(r);
	const uint8_t *at = r->at;

	switch ((enum advert_kind)a->kind) {
	case ADVERT_VRRP:
		if (len < 2)
			return;
		a->vrrp.version = at[0] >> 4;
		a->vrrp.group = at[1];
		break;
	case ADVERT_CARP:
		a->carp.group = at[1]; /* carp_is() has seen them all */
		break;
	case ADVERT_HSRP:
		if (len < 8 || at[0] > 1 || (at[0] == 0 && at[1] == HSRP_ADVERTISE))
			return;
		a->hsrp.version = at[0] == 0 ? 1 : 2;
		a->hsrp.group = at[0] == 0 ? at[6] : u16_at(at + 6);
		break;
	case ADVERT_GLBP:
		if (len < 4)
			return;
		a->glbp.group = u16_at(at + 2);
		break;
	case ADVERT_KIND_COUNT:
		assert(false);
	}
	p->depth = ADVERT_GROUP;
}

static enum verdict wrong_destination(struct progress *p)
{
	return wire_refuse(p->ret_why, VERDICT_DESTINATION,
			   "sent to a group or port that its protocol does not use");
}

static enum verdict read_vrrp_or_carp(struct reader *r, struct progress *p)
{
	struct advert *a = p->advert;

	a->kind = carp_is(r->at, reader_left(r)) ? ADVERT_CARP : ADVERT_VRRP;
	peek(p, r);
	if (!destination_right(a, 0, 0))
		return wrong_destination(p);
	if (a->kind == ADVERT_CARP)
		return carp_decode(r, &a->path, a->ttl, a->unicast, &a->carp, p->ret_why);
	return vrrp_decode(r, &a->path, a->ttl, a->unicast, &a->vrrp, p->ret_why);
}

/* UDP's header, with a checksum only where somebody has computed it. */
static enum verdict read_udp(struct reader *r, struct progress *p, unsigned int flags)
{
	struct reader in = *r;
	struct udp u;
	uint16_t len;
	int err;

	if (reader_left(r) < UDP_HEADER_LEN)
		return wire_refuse(p->ret_why, VERDICT_TRUNCATED,
				   "packet ends inside the UDP header");
	len = u16_at(r->at + UDP_LENGTH_AT);
	if (len < UDP_HEADER_LEN)
		return wire_refuse(p->ret_why, VERDICT_MALFORMED, "UDP length is below 8");
	if (len > reader_left(r))
		return wire_refuse(p->ret_why, VERDICT_TRUNCATED,
				   "UDP length does not fit the packet");
	in.end = in.at + len;
	read_bytes(&in, UDP_HEADER_LEN);
	peek(p, &in);
	if (flags & ADVERT_CHECKSUM_PENDING) {
		*r = in;
		return VERDICT_ACCEPTED;
	}
	err = p->advert->path.family == 6 ? udp6_decode(r, &p->ip6, &u, p->ret_why)
					  : udp4_decode(r, &p->ip4, &u, p->ret_why);
	return err < 0 ? VERDICT_CHECKSUM : VERDICT_ACCEPTED;
}

static enum verdict read_hsrp(struct reader *r, struct progress *p)
{
	struct advert *a = p->advert;
	enum verdict verdict;

	verdict = hsrp_decode(r, &a->hsrp, p->ret_why);
	if (verdict == VERDICT_ACCEPTED && a->hsrp.operation != HSRP_ADVERTISE &&
	    a->hsrp.family != a->path.family)
		return wire_refuse(p->ret_why, VERDICT_MALFORMED,
				   "HSRP address of another family than the packet");
	return verdict;
}

static enum verdict read_hsrp_or_glbp(struct reader *r, struct progress *p, unsigned int flags)
{
	struct advert *a = p->advert;
	uint8_t version = 0;
	enum verdict verdict;
	uint16_t port;

	if (reader_left(r) < UDP_HEADER_LEN)
		return wire_refuse(p->ret_why, VERDICT_TRUNCATED,
				   "packet ends inside the UDP header");
	port = u16_at(r->at + UDP_PORT_AT);
	a->kind = port == GLBP_PORT ? ADVERT_GLBP : ADVERT_HSRP;
	verdict = read_udp(r, p, flags);
	if (verdict != VERDICT_ACCEPTED)
		return verdict;
	if (a->kind == ADVERT_HSRP && reader_left(r) > 0)
		version = r->at[0] == 0 ? 1 : 2;
	if (!destination_right(a, version, port))
		return wrong_destination(p);
	if (a->kind == ADVERT_HSRP)
		return read_hsrp(r, p);
	return glbp_decode(r, &a->glbp, p->ret_why);
}

enum verdict advert_decode(struct reader *r, unsigned int flags, struct advert *ret,
			   enum advert_depth *ret_understood, const char **ret_why)
{
	struct progress p = { .advert = ret, .ret_why = ret_why };
	struct reader in = *r;
	enum verdict verdict;

	memset(ret, 0, sizeof(*ret));
	verdict = read_ethernet(&in, &p);
	if (verdict == VERDICT_ACCEPTED)
		verdict = read_ip(&in, &p);
	if (verdict == VERDICT_ACCEPTED && p.protocol == IP_PROTOCOL_VRRP)
		verdict = read_vrrp_or_carp(&in, &p);
	else if (verdict == VERDICT_ACCEPTED)
		verdict = read_hsrp_or_glbp(&in, &p, flags);
	if (verdict == VERDICT_ACCEPTED) {
		p.depth = ADVERT_ALL;
		r->at = r->end;
	}
	if (ret_understood)
		*ret_understood = p.depth;
	return verdict;
}

uint16_t advert_group(const struct advert *a)
{
	switch ((enum advert_kind)a->kind) {
	case ADVERT_VRRP:
		return a->vrrp.group;
	case ADVERT_HSRP:
		return a->hsrp.group;
	case ADVERT_CARP:
		return a->carp.group;
	case ADVERT_GLBP:
		return a->glbp.group;
	case ADVERT_KIND_COUNT:
		break;
	}
	assert(false);
	return 0;
}
