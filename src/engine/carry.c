/* Durable truth -> host and plane, for ports. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "model/record.h"

#define RETRY_EVERY SPAN_S(2)
#define MTU_DEFAULT 1500

static unsigned int port_mtu(const struct engine *e, const struct port *p)
{
	const struct uplink_state *u = &e->uplinks[port_slot(e, p)];

	if (p->mtu)
		return p->mtu;
	return u->present ? u->link.mtu : MTU_DEFAULT;
}

int carry_port_check(struct engine *e, const struct port *p, struct error *ret_error)
{
	struct host_link link;
	struct error error;
	int r;

	r = host_link_by_name(e->cfg.host, p->ifname, &link, &error);
	if (p->kind == PORT_NETDEV) {
		if (r < 0)
			*ret_error = error;
		return r;
	}
	if (r == 0)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE,
				 "choose another name, or take it as it is with --kind netdev",
				 "there is a network interface %s already", p->ifname);
	return 0;
}

/* Makes or finds the link. */
static int port_link(struct engine *e, const struct port *p, struct host_link *ret,
		     struct error *ret_error)
{
	struct host_tap tap = {
		.ifname = p->ifname,
		.uid = p->owner_uid,
		.gid = p->owner_gid,
		.queues = p->queues,
		.mtu = port_mtu(e, p),
	};
	struct host_veth veth = {
		.ifname = p->ifname,
		.peer_netns = p->peer_netns,
		.peer_ifname = p->peer_ifname,
		.peer_address = p->address,
		.mtu = port_mtu(e, p),
	};
	int r;

	switch ((enum port_kind)p->kind) {
	case PORT_TAP:
		return host_tap_make(e->cfg.host, &tap, ret, ret_error);
	case PORT_VETH:
		return host_veth_make(e->cfg.host, &veth, ret, ret_error);
	case PORT_NETDEV:
		r = host_link_by_name(e->cfg.host, p->ifname, ret, ret_error);
		return r < 0 ? r : host_port_quieten(e->cfg.host, ret->ifindex, ret_error);
	case PORT_KIND_COUNT:
		break;
	}
	return error_set(ret_error, ERROR_INTERNAL, NULL, "a kind of port that is none");
}

/* What the operator, and among hosts fleet/, want the gate to be. */
static enum plane_gate port_gate(const struct engine *e, const struct port *p,
				 struct plane_gate_more *ret_more)
{
	const struct port_state *st = &e->ports[p->id];
	const struct vmac *v = world_vmac(&e->world, p->segment, p->address);
	enum plane_gate gate;

	*ret_more = (struct plane_gate_more){ 0 };
	if (p->gate != GATE_OPEN) {
		ret_more->elsewhere = v->state != VMAC_BOUND;
		return PLANE_CLOSED;
	}
	if (st->gated) {
		*ret_more = st->more;
		return st->gate;
	}
	/* A port that is made for a guest on its way is ready for its very first frame. */
	if (e->side && v->state == VMAC_MOVING && side_gate_of(e->side, p, &gate, ret_more))
		return gate;
	/* Nobody has said: what the journal knows is enough never to speak for another host. */
	ret_more->elsewhere = v->state == VMAC_MOVING;
	return v->state == VMAC_BOUND	 ? PLANE_OPEN
	       : v->state == VMAC_MOVING ? PLANE_CLOSED
					 : PLANE_FENCED;
}

bool carry_port_open(const struct engine *e, const struct port *p)
{
	struct plane_gate_more more;

	return p->gate == GATE_OPEN && port_gate(e, p, &more) == PLANE_OPEN;
}

/* The NIC has to take frames where they may pass, also a moment before the gate opens by itself and
 * while stragglers are sent on. */
static bool gate_listens(enum plane_gate gate)
{
	return gate == PLANE_OPEN || gate == PLANE_TUNNEL_IN || gate == PLANE_REDIRECT;
}

static int port_plane(struct engine *e, const struct port *p, const struct host_link *link,
		      struct error *ret_error)
{
	const struct vmac *v = world_vmac(&e->world, p->segment, p->address);
	uint16_t net = world_segment(&e->world, p->segment)->record->net;
	struct plane_port port = {
		.id = p->id,
		.ifindex = link->ifindex,
		.net = { net >> 12, net & 0xfff },
		.address = p->address,
		.mtu = link->mtu,
		.allow = p->allow,
		.flood_pps = p->flood_pps,
		.ip_count = v->ip_count,
		.router_count = p->router_count,
	};

	port.gate = port_gate(e, p, &port.more);
	if (v->ip_count > 0)
		memcpy(port.ips, v->ips, v->ip_count * sizeof(port.ips[0]));
	memcpy(port.routers, p->routers, sizeof(port.routers));
	return plane_port_set(e->cfg.plane, &port, ret_error);
}

static bool has_router(const vmac_mac_t *routers, unsigned int count, vmac_mac_t m)
{
	for (unsigned int i = 0; i < count; i++)
		if (vmac_mac_u64(routers[i]) == vmac_mac_u64(m))
			return true;
	return false;
}

/* Whether a port on that uplink has the router's vMAC in the NIC's filter. */
static bool router_is_filtered(const struct engine *e, unsigned int slot, vmac_mac_t m)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port_state *st = &e->ports[id];

		if (st->router_count > 0 && e->world.ports[id] &&
		    port_slot(e, e->world.ports[id]) == slot &&
		    has_router(st->routers, st->router_count, m))
			return true;
	}
	return false;
}

/* Candidates share a router's vMAC: the last one takes it out. */
static int port_filter_routers(struct engine *e, const struct port *p, bool wanted,
			       struct error *ret_error)
{
	struct port_state was, *st = &e->ports[p->id];
	unsigned int slot = port_slot(e, p);
	int ifindex = e->uplinks[slot].link.ifindex, r;
	struct error ignored;

	for (unsigned int i = 0; wanted && i < p->router_count; i++) {
		r = host_filter_add(e->cfg.host, ifindex, p->routers[i], ret_error);
		if (r < 0)
			return r;
	}
	was = *st;
	st->router_count = wanted ? p->router_count : 0;
	memcpy(st->routers, p->routers, sizeof(st->routers));
	for (unsigned int i = 0; i < was.router_count; i++)
		if (!router_is_filtered(e, slot, was.routers[i]))
			host_filter_delete(e->cfg.host, ifindex, was.routers[i], &ignored);
	return 0;
}

/* The NIC is asked for the vMAC's frames while its port is open, and no longer. */
static int port_filter(struct engine *e, const struct port *p, bool wanted, struct error *ret_error)
{
	struct uplink_state *u = &e->uplinks[port_slot(e, p)];
	struct port_state *st = &e->ports[p->id];
	bool was;
	int r = 0;

	if (port_slot(e, p) == 0 || !u->present) {
		st->filtered = false;
		st->router_count = 0;
		return 0;
	}
	if (wanted && !st->filtered)
		r = host_filter_add(e->cfg.host, u->link.ifindex, p->address, ret_error);
	if (r == 0) {
		was = st->filtered;
		st->filtered = wanted;
		if (was && !wanted)
			uplink_filter_drop(e, port_slot(e, p), p->address);
	}
	return r < 0 ? r : port_filter_routers(e, p, wanted, ret_error);
}

/* Who has to know how the port is. */
static void port_told(struct engine *e, const struct port *p)
{
	side_port(e, p);
	cluster_port(e, p);
}

static void phase_becomes(struct engine *e, const struct port *p, enum port_phase phase,
			  const struct error *trouble)
{
	static const struct error none;
	struct port_state *st = &e->ports[p->id];
	enum port_phase from = st->phase;

	st->phase = phase;
	st->trouble = trouble ? *trouble : none;
	/* A netdev of somebody else's is told of by the kernel; what we make ourselves is tried
	 * again. */
	if (phase == PORT_FAILED || (phase == PORT_WAITING && p->made)) {
		mono_t next = mono_after(e->cfg.mono_now(), RETRY_EVERY);

		if (next.ns < e->retry.ns)
			e->retry = next;
	}
	if (phase != from)
		event_phase(e, p, from, phase, st->trouble.message);
}

void carry_gate(struct engine *e, uint32_t id)
{
	const struct port *p = e->world.ports[id];
	struct port_state *st = &e->ports[id];
	struct plane_gate_more more;
	enum plane_gate gate;
	struct error error;
	bool open = false;

	if (!p || st->leaving || !st->set)
		return;
	gate = port_gate(e, p, &more);
	/* The NIC first where the gate opens, the gate first where it closes. */
	if (gate_listens(gate) && port_filter(e, p, true, &error) < 0)
		log_warning("port %s: %s", p->name, error.message);
	if (plane_port_gate(e->cfg.plane, id, gate, &more, &open, &error) < 0)
		log_warning("port %s: %s", p->name, error.message);
	if (!gate_listens(gate))
		port_filter(e, p, false, &error);
	st->flip_seen |= gate == PLANE_TUNNEL_IN && open;
	cluster_port(e, p);
}

void carry_port(struct engine *e, uint32_t id)
{
	const struct port *p = e->world.ports[id];
	struct port_state *st = &e->ports[id];
	struct plane_gate_more more;
	struct host_link link;
	struct error error;
	int r;

	if (!p || st->leaving || !e->cfg.host)
		return;
	r = port_link(e, p, &link, &error);
	if (r < 0) {
		bool absent = error.code == ERROR_NO_INTERFACE || error.code == ERROR_NOT_FOUND;

		phase_becomes(e, p, absent ? PORT_WAITING : PORT_FAILED, &error);
		port_told(e, p);
		return;
	}
	trail_end_for(e, p);
	st->ifindex = link.ifindex;
	st->mtu = link.mtu;
	st->carrier = link.up && link.carrier;
	r = port_plane(e, p, &link, &error);
	if (r == 0) {
		st->set = true;
		r = port_filter(e, p, gate_listens(port_gate(e, p, &more)), &error);
	}
	phase_becomes(e, p, r < 0 ? PORT_FAILED : PORT_ACTIVE, r < 0 ? &error : NULL);
	/* Asked for again because the data plane may have opened it while nobody looked. */
	if (st->set && st->gated && st->gate == PLANE_TUNNEL_IN)
		carry_gate(e, id);
	port_told(e, p);
}

void carry_port_away(struct engine *e, const struct port *p)
{
	struct port_state *st = &e->ports[p->id];
	struct error error;

	if (!trail_begin(e, p) && st->set &&
	    plane_port_remove(e->cfg.plane, p->id, !p->made, &error) < 0)
		log_warning("port %s: %s", p->name, error.message);
	port_filter(e, p, false, &error);
	if (p->made && st->ifindex > 0 && host_link_delete(e->cfg.host, st->ifindex, &error) < 0)
		log_warning("port %s: %s", p->name, error.message);
	st->set = false;
	st->ifindex = 0;
	port_told(e, p);
}

void carry_port_lost(struct engine *e, uint32_t id)
{
	const struct port *p = e->world.ports[id];
	struct port_state *st = &e->ports[id];
	struct error error;

	if (!p || st->leaving)
		return;
	if (!trail_begin(e, p) && st->set)
		plane_port_remove(e->cfg.plane, id, true, &error);
	port_filter(e, p, false, &error);
	st->set = false;
	st->ifindex = 0;
	error_set(&error, ERROR_NO_INTERFACE,
		  p->made ? "it is made again as soon as that can be"
			  : "the port goes on when an interface of that name appears",
		  "%s is gone", p->ifname);
	phase_becomes(e, p, PORT_WAITING, &error);
	port_told(e, p);
}
