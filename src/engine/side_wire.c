/* A frame with one of our vMACs as its source came by the uplink: what it says of who sent it. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/side.h"
#include "model/ip.h"
#include "wire/announce.h"
#include "wire/sight.h"

#define ECHO SPAN_S(1) /* what comes back later is not told from another's */

static bool begins_with(const struct plane_event *event, const struct writer *w)
{
	size_t len = writer_used(w);

	if (len > PLANE_EVENT_FRAME)
		len = PLANE_EVENT_FRAME;
	return !w->failed && event->len == len && memcmp(event->frame, w->start, len) == 0;
}

/* The frames of an announcement but the one with a tag, which needs no comparing. */
static bool is_echo(const struct fleet_side *s, const struct vmac *v,
		    const struct plane_event *event)
{
	const mono_t announced = s->e->ports[event->port].announced;
	uint8_t buf[ANNOUNCE_LEN_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	bool is = false;

	if (announced.ns == 0 || mono_since(event->at, announced).ns > ECHO.ns)
		return false;
	if (!s->cfg.has_key) {
		announce_rarp(&w, v->address);
		is = begins_with(event, &w);
	}
	for (unsigned int i = 0; i < v->ip_count && !is; i++) {
		const struct ip *ip = &v->ips[i];

		w = writer_of(buf, sizeof(buf));
		if (ip->family == 4)
			announce_arp(&w, ANNOUNCE_REQUEST, v->address, ip->octet);
		else
			announce_nd(&w, v->address, ip->octet, ip->octet, false);
		is = begins_with(event, &w);
	}
	return is;
}

/* The guard of the port lets such a sender not pass: see bpf/guard.h. */
static bool is_unbound(const struct port *p, const struct vmac *v, const struct ip *sender)
{
	if (sender->family == 0 || v->ip_count == 0 || p->router_count > 0 ||
	    (sender->family == 6 && ip_is_link_local(sender)))
		return false;
	for (unsigned int i = 0; i < v->ip_count; i++)
		if (ip_equal(&v->ips[i], sender))
			return false;
	return true;
}

/* How long nothing with the vMAC had left here: of the guest, or of our own. */
static span_t silence(struct fleet_side *s, const struct plane_event *event)
{
	const struct port_state *st = &s->e->ports[event->port];
	struct plane_counters c;
	mono_t last = st->told_at;
	struct error ignored;

	if (plane_port_counters(s->e->cfg.plane, event->port, &c, &ignored) < 0)
		return SPAN_NS(0);
	if (c.last_seen.ns > last.ns)
		last = c.last_seen;
	if (st->announced.ns > last.ns)
		last = st->announced;
	return event->at.ns > last.ns ? mono_since(event->at, last) : SPAN_NS(0);
}

static enum claim_verdict tag_of(const struct fleet_side *s, const struct fleet_name *name,
				 const struct plane_event *event, struct fleet_claim *ret)
{
	enum claim_verdict verdict = CLAIM_UNTAGGED;
	struct claim_tag tag;

	if (s->cfg.has_key)
		verdict = claim_read(event->frame, event->len, s->cfg.key, &tag);
	if (verdict != CLAIM_VALID)
		return verdict;
	/* A tag of another address, sent on by somebody. */
	if (!vmac_mac_equal(tag.address, name->address))
		return CLAIM_FORGED;
	*ret = (struct fleet_claim){ tag.host, tag.epoch };
	return verdict;
}

static void look(struct fleet_side *s, const struct plane_event *event, struct fleet_sight *sight)
{
	const struct port *p = s->e->world.ports[event->port];
	const struct vmac *v = world_vmac(&s->e->world, p->segment, p->address);
	struct sight seen;

	sight_read(event->frame, event->len, &seen);
	sight->what = seen.what;
	sight->sender.family = seen.family;
	memcpy(sight->sender.octet, seen.sender, sizeof(seen.sender));
	sight->echo = v && is_echo(s, v, event);
	sight->unbound = v && is_unbound(p, v, &sight->sender);
	sight->silent = silence(s, event);
}

void side_stranger(struct fleet_side *s, const struct fleet_name *name,
		   const struct plane_event *event, mono_t now)
{
	struct port_state *st = &s->e->ports[event->port];
	struct fleet_sight sight = { 0 };
	struct fleet_claim claim;
	enum claim_verdict verdict = tag_of(s, name, event, &claim);

	/* The data plane tells of some, and counts all. */
	sight.unseen = event->count > st->strangers ? event->count - st->strangers - 1 : 0;
	st->strangers = event->count;
	s->claims[verdict]++;
	s->claims[verdict == CLAIM_VALID ? CLAIM_UNTAGGED : verdict] += sight.unseen;
	if (verdict == CLAIM_FORGED)
		log_warning("a frame from %02x:… bears a tag that is not of this cluster's key",
			    name->address.octet[0]);
	sight.forged = verdict == CLAIM_FORGED;
	if (verdict == CLAIM_VALID)
		sight.tag = &claim;
	else
		look(s, event, &sight);
	fleet_wire(s->fleet, name, &sight, now);
}
