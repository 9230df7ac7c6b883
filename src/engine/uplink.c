/* The NICs that segments share: slots, presence, receive filters. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/cluster.h"
#include "host/inject.h"
#include "host/virtual.h"
#include "wire/announce.h"

unsigned int uplink_slot(const struct engine *e, const char *ifname)
{
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (ifname[0] && strcmp(e->uplinks[slot].ifname, ifname) == 0)
			return slot;
	return 0;
}

int uplink_take(struct engine *e, const char *ifname, unsigned int *ret, struct error *ret_error)
{
	unsigned int slot = uplink_slot(e, ifname);

	for (unsigned int s = 1; s <= UPLINKS_MAX && slot == 0; s++)
		if (!e->uplinks[s].ifname[0])
			slot = s;
	if (slot == 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "%u NICs are uplinks already", UPLINKS_MAX);
	snprintf(e->uplinks[slot].ifname, sizeof(e->uplinks[slot].ifname), "%s", ifname);
	*ret = slot;
	return 0;
}

void uplinks_tidy(struct engine *e)
{
	bool used[UPLINKS_MAX + 1] = { false };
	struct error error;

	table_for_each (&e->world.segments_by_name, struct world_segment, s)
		used[segment_slot(s->record)] = true;
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++) {
		struct uplink_state *u = &e->uplinks[slot];

		if (used[slot] || !u->ifname[0])
			continue;
		if (u->set && plane_uplink_remove(e->cfg.plane, slot, &error) < 0)
			log_warning("uplink %s: %s", u->ifname, error.message);
		*u = (struct uplink_state){ 0 };
	}
}

bool uplink_has_address(const struct engine *e, vmac_mac_t address)
{
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (e->uplinks[slot].present &&
		    vmac_mac_equal(e->uplinks[slot].link.address, address))
			return true;
	return false;
}

static void uplink_absent(struct engine *e, unsigned int slot, const struct error *why)
{
	struct uplink_state *u = &e->uplinks[slot];
	bool was = u->present;
	struct error error;

	u->present = false;
	u->trouble = *why;
	if (u->set)
		plane_uplink_remove(e->cfg.plane, slot, &error);
	u->set = false;
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		if (e->world.ports[id] && port_slot(e, e->world.ports[id]) == slot) {
			e->ports[id].filtered = false;
			e->ports[id].router_count = 0;
		}
	cluster_uplink(e, slot);
	if (was)
		event_uplink(e, u->ifname, "vanish", why->message);
}

struct own {
	struct inject *inject;
	vmac_mac_t address;
	bool router;
};

static void announce_own(void *ctx, const struct host_address *a, enum host_address_state state)
{
	const struct own *own = ctx;
	uint8_t buf[ANNOUNCE_LEN_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	if (state == HOST_ADDRESS_TENTATIVE)
		return;
	if (a->ip.family == 4)
		announce_arp(&w, ANNOUNCE_REQUEST, own->address, a->ip.octet);
	else
		announce_nd(&w, own->address, a->ip.octet, a->ip.octet, own->router);
	inject_send(own->inject, a->ifindex, buf, writer_used(&w));
}

/* The host's own IP addresses are at another link-layer address.  Linux does not say so (its
 * arp_notify is off), and members would answer the host's checks to the old one for as long as
 * their neighbour tables have it. */
static void announce_host(struct engine *e, const struct uplink_state *u)
{
	struct own own = { e->balancing->inject, u->link.address, host_is_ip6_router(u->ifname) };
	struct error ignored;

	if (own.inject)
		host_addresses_list(e->cfg.host, u->link.ifindex, announce_own, &own, &ignored);
}

void carry_uplink(struct engine *e, unsigned int slot)
{
	struct uplink_state *u = &e->uplinks[slot];
	struct plane_uplink uplink = { .slot = slot };
	const vmac_mac_t before = u->link.address;
	bool was = u->present;
	struct error error;

	if (!u->ifname[0] || !e->cfg.host)
		return;
	if (host_link_by_name(e->cfg.host, u->ifname, &u->link, &error) < 0) {
		uplink_absent(e, slot, &error);
		return;
	}
	uplink.ifindex = u->link.ifindex;
	uplink.address = u->link.address;
	uplink.mtu = u->link.mtu;
	u->present = true;
	u->trouble = (struct error){ 0 };
	u->set = plane_uplink_set(e->cfg.plane, &uplink, &error) == 0;
	if (!u->set) {
		u->trouble = error;
		log_warning("uplink %s: %s", u->ifname, error.message);
	}
	cluster_uplink(e, slot);
	if (u->set && vmac_mac_u64(before) && !vmac_mac_equal(before, u->link.address))
		announce_host(e, u);
	if (!was)
		event_uplink(e, u->ifname, "appear", u->trouble.message);
}

static bool filter_is_wanted(struct engine *e, unsigned int slot, vmac_mac_t address)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = e->world.ports[id];

		if (p && e->ports[id].filtered && port_slot(e, p) == slot &&
		    vmac_mac_u64(p->address) == vmac_mac_u64(address))
			return true;
	}
	return trails_filter(e, slot, address) || cluster_filters(e, slot, address);
}

void uplink_filter_drop(struct engine *e, unsigned int slot, vmac_mac_t address)
{
	const struct uplink_state *u = &e->uplinks[slot];
	struct error ignored;

	if (slot > 0 && u->present && !filter_is_wanted(e, slot, address))
		host_filter_delete(e->cfg.host, u->link.ifindex, address, &ignored);
}

struct tidy {
	struct engine *e;
	unsigned int slot;
};

/* An entry is ours when the registry knows its address, or when it lies in a pool of ours: then it
 * is left over from a run that died.  Others put theirs there too, and those stay. */
static void tidy_entry(void *ctx, vmac_mac_t address)
{
	const struct tidy *tidy = ctx;
	struct engine *e = tidy->e;
	bool ours = false;

	table_for_each (&e->world.segments_by_name, struct world_segment, s) {
		const struct vmac *v = world_vmac(&e->world, s->record->id, address);

		if (segment_slot(s->record) != tidy->slot)
			continue;
		ours |= v || world_pool_over(&e->world, s->record->id, address);
	}
	if (ours)
		uplink_filter_drop(e, tidy->slot, address);
}

void uplink_filter_tidy(struct engine *e, unsigned int slot)
{
	struct tidy tidy = { e, slot };
	struct error error;

	if (e->uplinks[slot].present)
		host_filter_list(e->cfg.host, e->uplinks[slot].link.ifindex, tidy_entry, &tidy,
				 &error);
}
