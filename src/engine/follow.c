/* What time and the kernel report -> carry, txn. */
#include <string.h>

#include "engine/cluster.h"
#include "engine/side.h"

#define EXPIRIES_AT_ONCE 1024
#define EXPIRY_HOLD	 SPAN_S(5)

/* --- links ----------------------------------------------------------------------------------- */

static uint32_t port_by_ifname(const struct engine *e, const char *ifname)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		if (e->world.ports[id] && strcmp(e->world.ports[id]->ifname, ifname) == 0)
			return id;
	return 0;
}

static uint32_t port_by_ifindex(const struct engine *e, int ifindex)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		if (e->world.ports[id] && e->ports[id].ifindex == ifindex)
			return id;
	return 0;
}

static void carry_all(struct engine *e)
{
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		carry_uplink(e, slot);
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		carry_port(e, id);
}

static void ports_of_uplink(struct engine *e, unsigned int slot)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = e->world.ports[id];

		if (p && port_slot(e, p) == slot)
			carry_port(e, id);
	}
}

static void link_here(struct engine *e, const struct host_link *link)
{
	unsigned int slot = uplink_slot(e, link->ifname);
	uint32_t id = slot ? 0 : port_by_ifname(e, link->ifname);
	struct uplink_state *u = &e->uplinks[slot];

	if (slot) {
		bool same = u->set && u->link.ifindex == link->ifindex &&
			    u->link.mtu == link->mtu &&
			    vmac_mac_equal(u->link.address, link->address);

		if (same) {
			u->link = *link;
			cluster_uplink(e, slot);
			return;
		}
		carry_uplink(e, slot);
		ports_of_uplink(e, slot);
	} else if (id && e->ports[id].set && e->ports[id].ifindex == link->ifindex &&
		   e->ports[id].mtu == link->mtu) {
		e->ports[id].carrier = link->up && link->carrier;
		side_port(e, e->world.ports[id]);
		cluster_port(e, e->world.ports[id]);
	} else if (id) {
		carry_port(e, id);
	}
}

static void link_gone(struct engine *e, const struct host_link *link)
{
	unsigned int slot = uplink_slot(e, link->ifname);
	uint32_t id = port_by_ifindex(e, link->ifindex);

	if (slot && e->uplinks[slot].link.ifindex == link->ifindex)
		carry_uplink(e, slot);
	if (id)
		carry_port_lost(e, id);
}

static void host_event(void *ctx, const struct host_event *event)
{
	struct engine *e = ctx;

	switch (event->kind) {
	case HOST_LINK_APPEARED:
	case HOST_LINK_CHANGED:
		link_here(e, &event->link);
		break;
	case HOST_LINK_VANISHED:
		link_gone(e, &event->link);
		break;
	case HOST_EVENTS_LOST:
		carry_all(e);
		break;
	case HOST_ADDRESSES_CHANGED:
		break; /* the elections' affair */
	}
}

void engine_host_ready(struct engine *e)
{
	host_dispatch(e->cfg.host, host_event, e);
	side_turn(e);
}

/* --- lifetimes and quarantines --------------------------------------------------------------- */

static void expiry_failed(struct txn *t)
{
	t->e->expiry_hold = mono_after(t->e->cfg.mono_now(), EXPIRY_HOLD);
}

/* A port whose vMAC's lifetime has ended: waits until nothing of it is pending. */
struct ending {
	struct engine *e;
	uint32_t id;
};

static void port_ends(void *ctx)
{
	struct caller c = { "vmacd", "its lifetime is over" };
	struct ending *ending = ctx;
	struct engine *e = ending->e;
	const struct port *p = e->world.ports[ending->id];
	const struct vmac *v = p ? world_vmac(&e->world, p->segment, p->address) : NULL;

	if (v && !e->ports[ending->id].leaving && wall_due(v->until, e->cfg.wall_now()))
		port_remove(e, &c, p, VMAC_RETIRES, "expire", NULL, NULL);
	engine_dispose(e, ending);
}

static void end_port(struct engine *e, uint32_t id)
{
	struct ending *ending = engine_alloc(e, sizeof(*ending));

	if (!ending)
		return;
	*ending = (struct ending){ e, id };
	engine_when_durable(e, port_ends, ending);
}

static int expire_one(struct txn *t, const struct vmac *v, struct error *ret_error)
{
	switch ((enum vmac_state)v->state) {
	case VMAC_QUARANTINED:
		return vmac_forget(t, v, "free", ret_error);
	case VMAC_RESERVED:
		return vmac_retire(t, v, "expire", ret_error);
	case VMAC_BOUND:
		end_port(t->e, v->port);
		return 0;
	case VMAC_MOVING:
	case VMAC_AWAY:
	case VMAC_STATE_COUNT:
		break;
	}
	return 0;
}

/* The next vMAC whose time has come, or NULL. */
static const struct vmac *next_due(struct engine *e, wall_t now)
{
	const struct heap_entry *first;
	vmac_mac_t address;

	while ((first = heap_first(&e->world.deadlines)) && first->at <= now.ms) {
		uint64_t key = first->key;
		int64_t at = first->at;
		const struct vmac *v =
			world_vmac(&e->world, (uint32_t)(key >> 48), vmac_mac_from_u64(key));

		heap_pop(&e->world.deadlines);
		if (v && v->until.ms == at)
			return v;
	}
	table_for_each (&e->world.pools_by_name, struct world_pool, p)
		if (pool_machine_due(&p->machine, now, &address))
			return world_vmac(&e->world, p->record->segment, address);
	return NULL;
}

static void expire(struct engine *e)
{
	struct caller c = { "vmacd", "its time is over" };
	wall_t now = e->cfg.wall_now();
	const struct vmac *v;
	struct error error;
	struct txn *t;

	v = next_due(e, now);
	if (!v)
		return;
	t = txn_begin(e, &c, NULL, NULL);
	if (!t)
		return;
	t->recover = expiry_failed;
	for (unsigned int i = 0; v && i < EXPIRIES_AT_ONCE; i++) {
		if (expire_one(t, v, &error) < 0) {
			expiry_failed(t);
			txn_refuse(t, &error);
			return;
		}
		v = i + 1 < EXPIRIES_AT_ONCE ? next_due(e, now) : NULL;
	}
	if (t->base.count > 0)
		txn_submit(t);
	else
		txn_drop(t);
}

void engine_time_passed(struct engine *e)
{
	mono_t now = e->cfg.mono_now();

	if (mono_due(e->retry, now)) {
		e->retry = MONO_NEVER;
		for (uint32_t id = 1; id <= PORTS_MAX; id++)
			if (e->world.ports[id] && e->ports[id].phase != PORT_ACTIVE)
				carry_port(e, id);
	}
	if (mono_due(e->expiry_hold, now))
		expire(e);
	balancing_time(e, now);
	side_time(e, now);
}

struct engine_expiry engine_next_expiry(const struct engine *e)
{
	struct engine_expiry next = { .mono = e->retry, .wall = WALL_NEVER };
	const struct heap_entry *first = heap_first(&e->world.deadlines);
	mono_t at;

	if (first)
		next.wall = (wall_t){ first->at };
	table_for_each (&e->world.pools_by_name, struct world_pool, p) {
		wall_t free = pool_machine_next_expiry(&p->machine);

		if (free.ms < next.wall.ms)
			next.wall = free;
	}
	if (next.wall.ms != WALL_NEVER.ms && !mono_due(e->expiry_hold, e->cfg.mono_now())) {
		next.wall = WALL_NEVER;
		if (e->expiry_hold.ns < next.mono.ns)
			next.mono = e->expiry_hold;
	}
	at = balancing_expiry(e);
	if (at.ns < next.mono.ns)
		next.mono = at;
	at = e->side ? side_next_expiry(e->side) : MONO_NEVER;
	if (at.ns < next.mono.ns)
		next.mono = at;
	return next;
}
