#include "api/views.h"

#include <stdio.h>

#include "api/field.h"
#include "model/ip.h"

void view_segment(struct out *o, const struct segment_view *v)
{
	const struct segment *s = v->segment;

	out_open(o, '{');
	out_text(o, "name", s->name);
	out_text(o, "uplink", s->uplink);
	out_u64(o, "vlan", s->vlan);
	out_u64(o, "pools", v->pools);
	out_u64(o, "vmacs", v->vmacs);
	out_u64(o, "ports", v->ports);
	out_bool(o, "uplink_present", v->uplink_present);
	out_text(o, "reception", v->reception ? v->reception : "none");
	if (v->uplink_present) {
		out_mac(o, "uplink_address", v->uplink_address);
		out_u64(o, "uplink_mtu", v->uplink_mtu);
	}
	out_time(o, "created", s->created);
	out_trouble(o, "trouble", &v->trouble);
	out_close(o, '}');
}

static void ranges(struct out *o, const char *key, const struct vmac_mac_range *r,
		   unsigned int count)
{
	char text[2 * VMAC_MAC_TEXT_MAX + 2];

	out_key(o, key);
	out_open(o, '[');
	for (unsigned int i = 0; i < count; i++)
		out_item_text(o, vmac_mac_range_format(r[i], text));
	out_close(o, ']');
}

void view_pool(struct out *o, const struct pool_view *v, bool with_key)
{
	const struct pool *p = v->pool;

	out_open(o, '{');
	out_text(o, "name", p->name);
	out_text(o, "segment", v->segment);
	ranges(o, "ranges", p->ranges, p->range_count);
	ranges(o, "excludes", p->excludes, p->exclude_count);
	out_duration(o, "quarantine", p->quarantine_ms);
	out_u64(o, "limit", p->limit);
	out_u64(o, "size", v->size);
	out_u64(o, "excluded", v->excluded);
	out_u64(o, "used", v->used);
	out_u64(o, "quarantined", v->quarantined);
	out_u64(o, "available", v->available);
	if (v->block_size > 0) {
		out_u64(o, "blocks", v->blocks);
		out_u64(o, "block_size", v->block_size);
	}
	if (v->next_free.ms != WALL_NEVER.ms)
		out_time(o, "next_free", v->next_free);
	if (with_key) {
		char hex[2 * sizeof(p->key) + 1];

		for (size_t i = 0; i < sizeof(p->key); i++)
			snprintf(hex + 2 * i, 3, "%02x", p->key[i]);
		out_text(o, "key", hex);
	}
	out_time(o, "created", p->created);
	out_close(o, '}');
}

void view_vmac(struct out *o, const struct vmac_view *v)
{
	const struct vmac *m = v->vmac;
	char text[IP_TEXT_MAX];

	out_open(o, '{');
	out_mac(o, "address", m->address);
	out_text(o, "segment", v->segment);
	out_text(o, "pool", v->pool);
	out_text(o, "kind", vmac_kind_name((enum vmac_kind)m->kind));
	out_text(o, "origin", vmac_origin_name((enum vmac_origin)m->origin));
	out_text(o, "state", vmac_state_name((enum vmac_state)m->state));
	out_text(o, "name", m->name);
	out_text(o, "owner", m->owner);
	out_text(o, "tenant", m->tenant);
	out_text(o, "note", m->note);
	out_key(o, "ips");
	out_open(o, '[');
	for (unsigned int i = 0; i < m->ip_count; i++)
		out_item_text(o, ip_format(&m->ips[i], text));
	out_close(o, ']');
	out_u64(o, "epoch", m->epoch);
	out_text(o, "port", v->port);
	if (m->ttl_ms > 0)
		out_duration(o, "ttl", m->ttl_ms);
	if (m->until.ms != WALL_NEVER.ms && m->until.ms != 0)
		out_time(o, "until", m->until);
	out_time(o, "created", m->created);
	out_time(o, "changed", m->changed);
	if (v->has_move) {
		out_key(o, "move");
		view_move(o, &v->move, false);
	}
	out_close(o, '}');
}

void view_counters(struct out *o, const struct counters_view *c)
{
	out_open(o, '{');
	out_u64(o, "rx_frames", c->rx_frames);
	out_u64(o, "rx_octets", c->rx_octets);
	out_u64(o, "tx_frames", c->tx_frames);
	out_u64(o, "tx_octets", c->tx_octets);
	out_u64(o, "link_dropped", c->link_dropped);
	if (c->redirected > 0)
		out_u64(o, "redirected", c->redirected);
	if (c->last_seen_ms >= 0)
		out_duration(o, "last_seen", c->last_seen_ms);
	out_key(o, "drops");
	out_open(o, '{');
	for (unsigned int i = 0; i < c->reason_count; i++)
		if (c->drops[i] > 0)
			out_u64(o, engine_drop_reason_name(i), c->drops[i]);
	out_close(o, '}');
	out_close(o, '}');
}

static void port_link(struct out *o, const struct port *p)
{
	if (p->kind == PORT_TAP) {
		out_u64(o, "queues", p->queues);
		if (p->owner_uid != UINT32_MAX)
			out_u64(o, "owner_uid", p->owner_uid);
		if (p->owner_gid != UINT32_MAX)
			out_u64(o, "owner_gid", p->owner_gid);
	} else if (p->kind == PORT_VETH) {
		out_text(o, "peer_netns", p->peer_netns);
		out_text(o, "peer_ifname", p->peer_ifname);
	}
}

static void port_claims(struct out *o, const struct port_view *v)
{
	static const char *const holders[] = { "nobody", "port", "wire" };

	out_key(o, "claims");
	out_open(o, '[');
	for (unsigned int i = 0; i < v->port->router_count; i++) {
		const struct claim_view *c = &v->claims[i];

		out_open(o, '{');
		out_mac(o, "mac", v->port->routers[i]);
		out_text(o, "holder", holders[c->holder]);
		if (c->holder == CLAIM_PORT)
			out_text(o, "port", c->port);
		if (c->holder != CLAIM_NOBODY)
			out_duration(o, "expires", c->expires_ms);
		out_close(o, '}');
	}
	out_close(o, ']');
}

void view_port(struct out *o, const struct port_view *v, const struct counters_view *counters)
{
	const struct port *p = v->port;

	out_open(o, '{');
	out_text(o, "name", p->name);
	out_text(o, "segment", v->segment);
	out_text(o, "kind", port_kind_name((enum port_kind)p->kind));
	out_mac(o, "vmac", p->address);
	out_text(o, "ifname", p->ifname);
	out_u64(o, "ifindex", v->ifindex > 0 ? (uint64_t)v->ifindex : 0);
	out_text(o, "phase", port_phase_name(v->phase));
	out_text(o, "gate", port_gate_name((enum port_gate)p->gate));
	out_u64(o, "mtu", v->mtu);
	port_link(o, p);
	out_key(o, "allow");
	out_open(o, '[');
	for (unsigned int bit = 0; field_allow_name(bit); bit++)
		if (p->allow & 1u << bit)
			out_item_text(o, field_allow_name(bit));
	out_close(o, ']');
	out_u64(o, "flood_pps", p->flood_pps);
	out_key(o, "routers");
	out_open(o, '[');
	for (unsigned int i = 0; i < p->router_count; i++)
		out_item_mac(o, p->routers[i]);
	out_close(o, ']');
	if (p->router_count > 0)
		port_claims(o, v);
	if (counters) {
		out_key(o, "counters");
		view_counters(o, counters);
	}
	out_trouble(o, "trouble", &v->trouble);
	out_time(o, "created", p->created);
	out_close(o, '}');
}

void view_history(struct out *o, const struct history *h)
{
	out_open(o, '{');
	out_u64(o, "seq", h->seq);
	out_time(o, "at", h->at);
	out_text(o, "kind", change_kind_name(h->kind));
	out_text(o, "segment", h->segment);
	out_text(o, "subject", h->subject);
	out_text(o, "verb", h->verb);
	out_text(o, "actor", h->actor);
	out_text(o, "reason", h->reason);
	out_text(o, "from", h->from);
	out_text(o, "to", h->to);
	out_close(o, '}');
}

void view_event(struct out *o, const struct engine_event *e)
{
	out_open(o, '{');
	out_u64(o, "seq", e->seq);
	out_time(o, "at", e->at);
	out_text(o, "what", e->what);
	out_text(o, "segment", e->segment);
	out_text(o, "subject", e->subject);
	out_text(o, "verb", e->verb);
	out_text(o, "actor", e->actor);
	out_text(o, "reason", e->reason);
	out_text(o, "from", e->from);
	out_text(o, "to", e->to);
	out_close(o, '}');
}
