/* What still comes for a guest that has moved, and whose port is gone: hypervisors delete the old
 * one as soon as the new one runs, and switches take longer.  It is sent after the guest like what
 * comes by the port, until fleet/ says that it is over. */
#include "base/log.h"
#include "engine/inside.h"

bool trail_begin(struct engine *e, const struct port *p)
{
	struct port_state *st = &e->ports[p->id];
	struct error error;

	if (!st->set || !st->gated || st->gate != PLANE_REDIRECT || !st->more.peer.family ||
	    p->gate != GATE_OPEN)
		return false;
	if (plane_port_leave_trail(e->cfg.plane, p->id, !p->made, &error) < 0) {
		log_warning("port %s: %s", p->name, error.message);
		return false;
	}
	log_debug("port %s leaves a trail", p->name);
	e->trails[p->id] = (struct trail){ p->segment, port_slot(e, p), p->address };
	e->trail_count++;
	/* What is in the NIC's filter is the trail's. */
	st->filtered = false;
	return true;
}

static void trail_end(struct engine *e, uint32_t id)
{
	struct trail t = e->trails[id];

	e->trails[id] = (struct trail){ 0 };
	e->trail_count--;
	if (e->cfg.plane)
		plane_trail_end(e->cfg.plane, id);
	uplink_filter_drop(e, t.slot, t.address);
}

static bool trail_is_of(const struct trail *t, uint32_t segment, vmac_mac_t address)
{
	return t->segment == segment && vmac_mac_u64(t->address) == vmac_mac_u64(address);
}

void trail_end_for(struct engine *e, const struct port *p)
{
	for (uint32_t id = 1; e->trail_count > 0 && id <= PORTS_MAX; id++)
		if (e->trails[id].segment &&
		    (id == p->id || trail_is_of(&e->trails[id], p->segment, p->address)))
			trail_end(e, id);
}

void trail_follow(struct engine *e, uint32_t segment, vmac_mac_t address, const struct ip *peer)
{
	struct error error;

	for (uint32_t id = 1; e->trail_count > 0 && id <= PORTS_MAX; id++) {
		if (!trail_is_of(&e->trails[id], segment, address))
			continue;
		if (!peer)
			trail_end(e, id);
		else if (plane_trail_set(e->cfg.plane, id, peer, &error) < 0)
			log_warning("what comes for a guest that has moved on: %s", error.message);
	}
}

void trails_tidy(struct engine *e)
{
	for (uint32_t id = 1; e->trail_count > 0 && id <= PORTS_MAX; id++)
		if (e->trails[id].segment && !world_segment(&e->world, e->trails[id].segment))
			trail_end(e, id);
}

bool trails_filter(const struct engine *e, unsigned int slot, vmac_mac_t address)
{
	for (uint32_t id = 1; e->trail_count > 0 && id <= PORTS_MAX; id++)
		if (e->trails[id].segment && e->trails[id].slot == slot &&
		    vmac_mac_u64(e->trails[id].address) == vmac_mac_u64(address))
			return true;
	return false;
}

uint32_t trails_free_port_id(const struct engine *e)
{
	for (uint32_t id = 1; e->trail_count > 0 && id <= PORTS_MAX; id++)
		if (!e->world.ports[id] && !e->trails[id].segment)
			return id;
	return world_free_port_id(&e->world);
}
