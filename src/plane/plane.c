/* Setting and removing uplinks and ports, in an order that never forwards wrongly in between.
 *
 * Theory of operation
 *
 * A port is reachable when its address is in the forwarding table and it is in its net's list; it
 * may send when the index names its row.  To make something of it, guard before reach: drop net,
 * row, program, then member, list and table.  To take it away, reach before guard: table, list,
 * member, then index, program and drop net.  A change of the net or the address is both: what the
 * old and the new state do not share is taken away first.
 *
 * The vMACs of routers that a port may have are entries of their own (claim.c), there before its
 * row is and gone after.
 *
 * What passes the port at all is its gate (gate.c): a port is set with the gate as it was before,
 * or closed, and then its gate is changed; but one that shuts is shut first.
 *
 * The host answers in every net of an uplink that has a port: the uplink's own address stands in
 * the table for exactly as long as the net's list is not empty. */
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "plane/internal.h"

static unsigned int net_of(const struct plane_net *net)
{
	return NET_OF(net->slot, net->vlan);
}

static void port_name(unsigned int id, char name[static ATTACH_NAME_MAX])
{
	snprintf(name, ATTACH_NAME_MAX, "port%u", id);
}

static void uplink_name(unsigned int slot, enum attach_side side, char name[static ATTACH_NAME_MAX])
{
	snprintf(name, ATTACH_NAME_MAX, "uplink%u%s", slot,
		 side == ATTACH_UPLINK_OUT ? "out" : "in");
}

static int tables_failed(int r, struct error *ret_error)
{
	return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED, NULL,
			 "cannot write the BPF maps: %s", strerror(-r));
}

static int check_link(int ifindex, struct error *ret_error)
{
	char ifname[IF_NAMESIZE];

	if (ifindex > 0 && if_indextoname((unsigned int)ifindex, ifname))
		return 0;
	return error_set(ret_error, ERROR_NO_INTERFACE, NULL, "interface %d does not exist",
			 ifindex);
}

/* --- the host in the nets of an uplink ------------------------------------------------------- */

static int host_entry_set(struct plane *p, unsigned int net, uint64_t mac)
{
	if (!NET_UPLINK(net) || !mac)
		return 0;
	return tables_fdb_set(&p->tables, net, mac, SLOT_UPLINK_0 + NET_UPLINK(net));
}

static void host_entry_clear(struct plane *p, unsigned int net, uint64_t mac)
{
	/* The address may be a port's by now: only our own entry goes. */
	if (mac && tables_fdb(&p->tables, net, mac) == SLOT_UPLINK_0 + NET_UPLINK(net))
		tables_fdb_clear(&p->tables, net, mac);
}

/* Moves the host's entries of an uplink to another address; 0 = none. */
static int host_entries_move(struct plane *p, unsigned int slot, uint64_t from, uint64_t to)
{
	int r;

	for (unsigned int vlan = 0; vlan < 4096; vlan++) {
		unsigned int net = NET_OF(slot, vlan);

		if (!HEAD_FIRST(*tables_word(&p->tables.heads, net)))
			continue;
		if (from != to)
			host_entry_clear(p, net, from);
		r = host_entry_set(p, net, to);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_not_tunnel(struct plane *p, int ifindex, struct error *ret_error)
{
	if (ifindex != p->tunnel)
		return 0;
	return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL, "interface %d is the tunnel",
			 ifindex);
}

/* --- taking a port's reach away -------------------------------------------------------------- */

static int list_add(struct plane *p, unsigned int net, unsigned int slot)
{
	int r = host_entry_set(p, net, *tables_word(&p->tables.uplink_macs, NET_UPLINK(net)));

	return r < 0 ? r : tables_list_add(&p->tables, net, slot);
}

static void list_remove(struct plane *p, unsigned int net, unsigned int slot)
{
	tables_list_remove(&p->tables, net, slot);
	if (!HEAD_FIRST(*tables_word(&p->tables.heads, net)))
		host_entry_clear(p, net, *tables_word(&p->tables.uplink_macs, NET_UPLINK(net)));
}

static void unreach(struct plane *p, unsigned int slot, unsigned int net, uint64_t mac)
{
	if (tables_fdb(&p->tables, net, mac) == slot)
		tables_fdb_clear(&p->tables, net, mac);
	list_remove(p, net, slot);
}

bool plane_forget_port(struct plane *p, unsigned int slot)
{
	bool known = tables_row(&p->tables, slot) ||
		     MEMBER_IFINDEX(*tables_word(&p->tables.members, slot));

	for (unsigned int which = 0; which < 2; which++) {
		struct port_row *row = tables_any_row(&p->tables, slot, which);

		if (row->ifindex)
			unreach(p, slot, row->net, row->mac);
	}
	gate_forget(p, slot);
	tables_member_set(&p->tables, slot, 0, 0);
	tables_row_clear(&p->tables, slot);
	cluster_port_forget(p, slot);
	for (unsigned int which = 0; which < 2; which++)
		plane_claims_release(p, slot, tables_any_row(&p->tables, slot, which));
	return known;
}

/* --- uplinks --------------------------------------------------------------------------------- */

int plane_attach_uplink(struct plane *p, const struct plane_uplink *u, struct error *ret_error)
{
	static const struct {
		enum attach_side side;
		enum plane_program program;
	} both[] = {
		{ ATTACH_UPLINK_OUT, PROGRAM_UPLINK_OUT },
		{ ATTACH_UPLINK_IN, PROGRAM_UPLINK_IN },
	};
	char name[ATTACH_NAME_MAX];
	int r;

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		uplink_name(u->slot, both[i].side, name);
		r = attach_set(&p->attach, name, u->ifindex, both[i].side,
			       plane_program_fd(p, both[i].program), p->deferred, ret_error);
		if (r < 0)
			return r;
	}
	return 0;
}

static void detach_uplink(struct plane *p, unsigned int slot, int ifindex)
{
	char name[ATTACH_NAME_MAX];

	uplink_name(slot, ATTACH_UPLINK_IN, name);
	attach_clear(&p->attach, name, ifindex, ATTACH_UPLINK_IN);
	uplink_name(slot, ATTACH_UPLINK_OUT, name);
	attach_clear(&p->attach, name, ifindex, ATTACH_UPLINK_OUT);
}

static int check_uplink(struct plane *p, const struct plane_uplink *u, struct error *ret_error)
{
	assert(u->slot >= 1 && u->slot <= UPLINKS_MAX);
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (slot != u->slot && p->uplinks[slot].ifindex == u->ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is uplink %u already", u->ifindex, slot);
	for (unsigned int id = 1; id <= PORTS_MAX; id++)
		if (p->ports[id].ifindex == u->ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is port %u already", u->ifindex, id);
	if (check_not_tunnel(p, u->ifindex, ret_error) < 0)
		return -EBUSY;
	return check_link(u->ifindex, ret_error);
}

int plane_uplink_set(struct plane *p, const struct plane_uplink *u, struct error *ret_error)
{
	unsigned int slot = SLOT_UPLINK_0 + u->slot;
	uint64_t mac = plane_mac_word(u->address),
		 *word = tables_word(&p->tables.uplink_macs, u->slot);
	int old = (int)MEMBER_IFINDEX(*tables_word(&p->tables.members, slot)), r;

	r = check_uplink(p, u, ret_error);
	if (r < 0)
		return r;
	if (old && old != u->ifindex) {
		if (tables_index(&p->tables, old) == (INDEX_UPLINK | slot))
			tables_index_set(&p->tables, old, 0);
		detach_uplink(p, u->slot, old);
	}
	r = host_entries_move(p, u->slot, *word, mac);
	__atomic_store_n(word, mac, __ATOMIC_RELEASE);
	if (r == 0)
		r = tables_index_set(&p->tables, u->ifindex, INDEX_UPLINK | slot);
	if (r < 0)
		return tables_failed(r, ret_error);
	r = plane_attach_uplink(p, u, ret_error);
	if (r < 0)
		return r;
	tables_member_set(&p->tables, slot, (uint32_t)u->ifindex, u->mtu);
	if (!p->uplinks[u->slot].ifindex)
		p->uplink_count++;
	p->uplinks[u->slot] = *u;
	return 0;
}

bool plane_forget_uplink(struct plane *p, unsigned int number)
{
	unsigned int slot = SLOT_UPLINK_0 + number;
	int ifindex = (int)MEMBER_IFINDEX(*tables_word(&p->tables.members, slot));
	uint64_t mac = *tables_word(&p->tables.uplink_macs, number);

	if (!ifindex && !mac)
		return false;
	tables_member_set(&p->tables, slot, 0, 0);
	host_entries_move(p, number, mac, 0);
	__atomic_store_n(tables_word(&p->tables.uplink_macs, number), 0, __ATOMIC_RELEASE);
	if (tables_index(&p->tables, ifindex) == (INDEX_UPLINK | slot))
		tables_index_set(&p->tables, ifindex, 0);
	detach_uplink(p, number, ifindex);
	tables_counters_clear(&p->tables, slot);
	return true;
}

int plane_uplink_remove(struct plane *p, unsigned int slot, struct error *ret_error)
{
	if (slot < 1 || slot > UPLINKS_MAX || !p->uplinks[slot].ifindex)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "the data plane has no uplink %u", slot);
	plane_forget_uplink(p, slot);
	p->uplinks[slot] = (struct plane_uplink){ 0 };
	p->uplink_count--;
	return 0;
}

/* --- ports: what is asked -------------------------------------------------------------------- */

static int check_routers(struct plane *p, const struct plane_port *port, struct error *ret_error)
{
	unsigned int net = net_of(&port->net), holder;

	assert(port->router_count <= PORT_ROUTERS_MAX);
	for (unsigned int i = 0; i < port->router_count; i++) {
		uint64_t mac = plane_mac_word(port->routers[i]);

		if (vmac_mac_is_group(port->routers[i]))
			return error_set(ret_error, ERROR_GROUP_ADDRESS, NULL,
					 "a router cannot have a group address");
		for (unsigned int j = 0; j < i; j++)
			if (plane_mac_word(port->routers[j]) == mac)
				return error_set(ret_error, ERROR_BAD_VALUE, NULL,
						 "a router's address is given twice");
		holder = tables_fdb(&p->tables, net, mac);
		if (mac == plane_mac_word(port->address) || cluster_face_is_used(p, holder) ||
		    (holder != SLOT_NOBODY && holder < CLAIM_SLOT_0 &&
		     (holder > PORTS_MAX || p->ports[holder].ifindex)))
			return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
					 "a router's address is a station's in this segment");
	}
	return 0;
}

static int check_port(struct plane *p, const struct plane_port *port, struct error *ret_error)
{
	unsigned int net = net_of(&port->net), holder;
	uint64_t mac = plane_mac_word(port->address);
	int r;

	assert(port->id >= 1 && port->id <= PORTS_MAX);
	assert(port->net.slot <= UPLINKS_MAX && port->net.vlan <= 4095);
	assert(port->ip_count <= VMAC_IPS_MAX);
	if (vmac_mac_is_group(port->address))
		return error_set(ret_error, ERROR_GROUP_ADDRESS, NULL,
				 "a port cannot have a group address");
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (p->uplinks[slot].ifindex == port->ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is an uplink", port->ifindex);
	for (unsigned int id = 1; id <= PORTS_MAX; id++)
		if (id != port->id && p->ports[id].ifindex == port->ifindex)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "interface %d is port %u already", port->ifindex, id);
	if (port->net.slot && mac == *tables_word(&p->tables.uplink_macs, port->net.slot))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, "give the port another vMAC",
				 "the address is the uplink's own");
	holder = tables_fdb(&p->tables, net, mac);
	if (plane_claim_is_used(p, holder))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "a port may have that address as a router in this segment");
	if (cluster_face_is_used(p, holder))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "the address is a cluster's in this segment");
	if (holder != SLOT_NOBODY && holder <= PORTS_MAX && holder != port->id) {
		if (p->ports[holder].ifindex)
			return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
					 "port %u has that address in this segment", holder);
		plane_forget_port(p, holder); /* of an earlier run, and nobody set it again */
	}
	if (!tables_list_has(&p->tables, net, port->id) &&
	    tables_list_count(&p->tables, net) >= SEGMENT_PORTS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "a segment has at most %d ports on one host", SEGMENT_PORTS_MAX);
	r = check_not_tunnel(p, port->ifindex, ret_error);
	if (r == 0)
		r = check_routers(p, port, ret_error);
	return r < 0 ? r : check_link(port->ifindex, ret_error);
}

/* A tenth of a second may come at once, and never fewer than this many frames. */
#define FLOOD_BURST_MIN 32

static void row_flood(struct port_row *row, uint32_t pps)
{
	uint64_t burst = pps / 10;

	if (!pps)
		return;
	if (burst < FLOOD_BURST_MIN)
		burst = FLOOD_BURST_MIN;
	row->flood_gap_ns = 1000000000 / pps;
	row->flood_burst_ns = row->flood_gap_ns * burst;
}

/* The link-local that IPv6 forms from a MAC address (RFC 4291 appendix A, modified EUI-64). */
static void row_link_local(struct port_row *row, vmac_mac_t m)
{
	const uint8_t ip[16] = {
		0xfe,	    0x80,	    0,		0,	    0,	  0,	0,
		0,	    m.octet[0] ^ 2, m.octet[1], m.octet[2], 0xff, 0xfe, m.octet[3],
		m.octet[4], m.octet[5]
	};

	memcpy(row->ip6[row->ip6_count++], ip, sizeof(ip));
}

/* `open`: its gate is, already. */
static struct port_row row_of(const struct plane_port *port, bool open)
{
	struct port_row row = {
		.mac = plane_mac_word(port->address),
		.ifindex = (__u32)port->ifindex,
		.net = net_of(&port->net),
		.flags =
			(open ? ROW_OPEN : 0) |
			(port->ip_count && !port->router_count && !(port->allow & PORT_ALLOW_ANY_IP)
				 ? ROW_CHECK_IP
				 : 0) |
			(port->allow & PORT_ALLOW_DHCP_SERVER ? ROW_DHCP_SERVER : 0) |
			(port->allow & PORT_ALLOW_ROUTER_ADVERT ? ROW_ROUTER_ADVERT : 0),
	};

	row_flood(&row, port->flood_pps);
	row_link_local(&row, port->address);
	for (unsigned int i = 0; i < port->ip_count; i++) {
		const struct ip *ip = &port->ips[i];

		if (ip->family == 4)
			memcpy(&row.ip4[row.ip4_count++], ip->octet, 4);
		else
			memcpy(row.ip6[row.ip6_count++], ip->octet, 16);
	}
	for (unsigned int i = 0; i < port->router_count; i++)
		row.routers[row.router_count++] = plane_mac_word(port->routers[i]);
	return row;
}

/* --- ports: doing it ------------------------------------------------------------------------- */

int plane_attach_port(struct plane *p, const struct plane_port *port, struct error *ret_error)
{
	char name[ATTACH_NAME_MAX];

	port_name(port->id, name);
	return attach_set(&p->attach, name, port->ifindex, ATTACH_PORT,
			  plane_program_fd(p, PROGRAM_PORT), p->deferred, ret_error);
}

/* Takes away what the slot was and will not be any more. */
static int port_leave_old(struct plane *p, const struct port_row *row,
			  const struct plane_port *port)
{
	struct port_row *old = tables_row(&p->tables, port->id);
	uint64_t stranger = tables_index(&p->tables, port->ifindex);
	unsigned int other = ROW_SLOT(INDEX_LOW(stranger));
	int r = 0;

	/* The kernel gave a vanished link's number to this one. */
	if (stranger & INDEX_UPLINK)
		tables_index_set(&p->tables, port->ifindex, 0);
	else if (stranger && other != port->id)
		plane_forget_port(p, other);
	if (!old) {
		plane_forget_port(p, port->id);
		return tables_counters_clear(&p->tables, port->id);
	}
	if (old->net != row->net) {
		unreach(p, port->id, old->net, old->mac);
		/* A reader that found the old entry must not see the slot in its new net. */
		r = tables_grace(&p->tables);
	} else if (old->mac != row->mac) {
		tables_fdb_clear(&p->tables, old->net, old->mac);
	}
	if (old->mac != row->mac || old->net != row->net)
		gate_forget(p, port->id); /* what its guest has said was said as another */
	if (old->ifindex != row->ifindex)
		tables_member_set(&p->tables, port->id, 0, 0);
	return r;
}

int plane_port_set(struct plane *p, const struct plane_port *port, struct error *ret_error)
{
	int old_ifindex = p->ports[port->id].ifindex, r;
	struct port_row row = row_of(port, false);
	const struct port_row *old;
	char name[ATTACH_NAME_MAX];
	uint32_t is_member;
	bool open, is_same;

	r = check_port(p, port, ret_error);
	if (r < 0)
		return r;
	r = attach_drop_net_set(&p->attach, port->ifindex, plane_program_fd(p, PROGRAM_DROP_NET),
				ret_error);
	if (r < 0)
		return r;
	r = plane_claims_take(p, &row, ret_error);
	if (r < 0)
		return r;
	old = tables_row(&p->tables, port->id);
	is_same = old && old->net == row.net && old->mac == row.mac;
	r = port_leave_old(p, &row, port);
	if (r < 0)
		return tables_failed(r, ret_error);
	is_member = cluster_port_list(p, port->id, row.net, row.mac, is_same);
	row.flags |= is_member;
	/* A gate that stays open has its row say so; one that shuts does before all else. */
	open = gate_is_open(p, port->id);
	if (open && port->gate != PLANE_OPEN)
		r = gate_apply(p, port->id, port->gate, &port->more, &open, ret_error);
	if (r < 0)
		return r;
	if (open)
		row.flags |= ROW_OPEN;
	r = tables_row_set(&p->tables, port->id, &row);
	if (r < 0)
		return tables_failed(r, ret_error);
	for (unsigned int which = 0; which < 2; which++)
		plane_claims_release(p, port->id, tables_any_row(&p->tables, port->id, which));
	if (old_ifindex && old_ifindex != port->ifindex) {
		port_name(port->id, name);
		attach_clear(&p->attach, name, old_ifindex, ATTACH_PORT);
	}
	r = plane_attach_port(p, port, ret_error);
	if (r < 0)
		return r;
	tables_member_set(&p->tables, port->id,
			  (uint32_t)port->ifindex | (is_member ? MEMBER_CLUSTERED : 0) |
				  (open ? 0 : MEMBER_GATED),
			  port->mtu);
	r = list_add(p, row.net, port->id);
	if (r == 0)
		r = tables_fdb_set(&p->tables, row.net, row.mac, port->id);
	if (r < 0)
		return tables_failed(r, ret_error);
	r = gate_apply(p, port->id, port->gate, &port->more, &open, ret_error);
	if (r < 0)
		return r;
	if (!old_ifindex)
		p->port_count++;
	p->ports[port->id] = *port;
	return 0;
}

static int check_is_set(const struct plane *p, uint32_t id, struct error *ret_error)
{
	if (id >= 1 && id <= PORTS_MAX && p->ports[id].ifindex)
		return 0;
	return error_set(ret_error, ERROR_NOT_FOUND, NULL, "the data plane has no port %u", id);
}

int plane_port_gate(struct plane *p, uint32_t id, enum plane_gate gate,
		    const struct plane_gate_more *more, bool *ret_open, struct error *ret_error)
{
	bool open;
	int r = check_is_set(p, id, ret_error);

	if (r < 0)
		return r;
	r = gate_apply(p, id, gate, more, &open, ret_error);
	if (r < 0)
		return r;
	p->ports[id].gate = gate;
	p->ports[id].more = *more;
	if (ret_open)
		*ret_open = open;
	return 0;
}

/* What is left of a port that nothing reaches any more. */
static void port_detach(struct plane *p, uint32_t id, bool keep_dropping)
{
	int ifindex = p->ports[id].ifindex;
	char name[ATTACH_NAME_MAX];

	port_name(id, name);
	attach_clear(&p->attach, name, ifindex, ATTACH_PORT);
	if (!keep_dropping)
		attach_drop_net_clear(&p->attach, ifindex);
	p->ports[id] = (struct plane_port){ 0 };
	p->port_count--;
}

int plane_port_remove(struct plane *p, uint32_t id, bool keep_dropping, struct error *ret_error)
{
	int r = check_is_set(p, id, ret_error);

	if (r < 0)
		return r;
	plane_forget_port(p, id);
	port_detach(p, id, keep_dropping);
	return 0;
}

/* --- what a port leaves behind --------------------------------------------------------------- */

static bool is_trail(const struct plane *p, uint32_t id)
{
	return !p->ports[id].ifindex &&
	       MEMBER_IFINDEX(*tables_word(&p->tables.members, id)) == MEMBER_GATED;
}

int plane_port_leave_trail(struct plane *p, uint32_t id, bool keep_dropping,
			   struct error *ret_error)
{
	const struct port_row *row;
	int r = check_is_set(p, id, ret_error);

	if (r < 0)
		return r;
	if (p->ports[id].gate != PLANE_REDIRECT || !p->ports[id].more.peer.family)
		return error_set(ret_error, ERROR_WRONG_STATE, NULL,
				 "port %u redirects to nobody", id);
	row = tables_row(&p->tables, id);
	if (!row) /* the kernel gave its link's number to another port's */
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "port %u is not there", id);
	list_remove(p, row->net, id);
	/* No link, but not nobody's either: its gate is asked. */
	tables_member_set(&p->tables, id, MEMBER_GATED, 0);
	tables_row_clear(&p->tables, id);
	cluster_port_forget(p, id);
	for (unsigned int which = 0; which < 2; which++)
		plane_claims_release(p, id, tables_any_row(&p->tables, id, which));
	port_detach(p, id, keep_dropping);
	return 0;
}

int plane_trail_set(struct plane *p, uint32_t id, const struct ip *peer, struct error *ret_error)
{
	struct plane_gate_more more = { .peer = *peer };
	bool open;

	if (id < 1 || id > PORTS_MAX || !is_trail(p, id))
		return error_set(ret_error, ERROR_NOT_FOUND, NULL,
				 "port %u has left nothing behind", id);
	return gate_apply(p, id, PLANE_REDIRECT, &more, &open, ret_error);
}

void plane_trail_end(struct plane *p, uint32_t id)
{
	if (id >= 1 && id <= PORTS_MAX && is_trail(p, id))
		plane_forget_port(p, id);
}
