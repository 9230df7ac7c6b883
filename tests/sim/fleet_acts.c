/* What people and guests do at a host of the simulation: allocate, plug in, move, pin, agree. */
#include <stdlib.h>
#include <string.h>
#include "fleet_sim.h"

int host_allocate(struct host *h)
{
	struct world *w = h->world;

	if (!h->fleet)
		return -1;
	for (unsigned int n = 0; n < w->pool_size; n++) {
		struct fleet_name name = name_of(h, n);
		struct entry e = { true, true, VMAC_BOUND, w->epochs[n] + 1, 0 };

		if (!h->ours[n / w->block_size]) {
			n += w->block_size - 1 - n % w->block_size;
			continue;
		}
		if (place_at(h, n)->now.exists || fleet_vmac_record(h->fleet, &name))
			continue;
		check_allocate(h, n);
		entry_set(h, n, &e);
		host_flush(h);
		return (int)n;
	}
	return -1;
}

/* A guest that spoke here has opened it for good, until the registry decides. */
static bool is_reserved(const struct host *h, unsigned int n)
{
	const struct shared_vmac *r = registry_vmac(h->world, n);

	return r && uuid_equal(&r->to, &h->uuid);
}

static void port_told(struct host *h, unsigned int n)
{
	struct fleet_name name = name_of(h, n);

	if (!h->fleet)
		return;
	fleet_port(h->fleet, &name, place_at(h, n)->port.up, host_now(h));
	host_leave(h);
}

/* The record first, then the data plane, then the guest's link. */
bool host_port_add(struct host *h, unsigned int n)
{
	struct place_of *p = place_at(h, n);
	struct entry e = p->now;
	const struct shared_vmac *r;
	struct fleet_name name = name_of(h, n);

	if (!h->fleet)
		return false;
	if (p->port.exists)
		return true;
	if (!e.exists) {
		r = fleet_vmac_record(h->fleet, &name);
		e = (struct entry){ true, true, VMAC_MOVING, r ? r->epoch : 0, 0 };
	} else if (e.state == VMAC_RESERVED) {
		e.state = VMAC_BOUND;
		e.epoch++;
	} else if (e.state == VMAC_QUARANTINED) {
		return false;
	}
	e.port = true;
	if (!p->now.port || !p->now.exists)
		entry_set(h, n, &e);
	host_flush(h);
	world_tell(h->world, (int)h->index, "port", n, e.state);
	p->port = (struct dport){ .exists = true,
				  .peer = -1,
				  .incarnation = p->port.incarnation + 1,
				  .permit = p->port.permit && is_reserved(h, n),
				  .since = h->world->now };
	host_port_link(h, n, true);
	return true;
}

void host_port_link(struct host *h, unsigned int n, bool up)
{
	struct dport *p = &place_at(h, n)->port;

	if (!p->exists || p->up == up)
		return;
	p->up = up;
	p->since = h->world->now;
	port_told(h, n);
}

void host_port_delete(struct host *h, unsigned int n)
{
	struct place_of *p = place_at(h, n);
	struct entry e = p->now;

	if (!h->fleet || !p->port.exists)
		return;
	world_tell(h->world, (int)h->index, "port gone", n, e.state);
	e.port = false;
	if (entry_held(&e))
		e.state = VMAC_RESERVED;
	else if (e.state == VMAC_MOVING || !is_home(h, n))
		e.exists = false;
	entry_set(h, n, &e);
	p->port = (struct dport){ .incarnation = p->port.incarnation + 1,
				  .peer = -1,
				  .permit = p->port.permit && is_reserved(h, n) };
	port_told(h, n);
	host_flush(h);
}

int host_hint(struct host *h, enum migrate_event_kind kind, unsigned int n)
{
	struct fleet_name name = name_of(h, n);
	struct error e = { 0 };
	int r;

	if (!h->fleet)
		return -1;
	if (kind == MIGRATE_ACTIVATE || kind == MIGRATE_RESUME || kind == MIGRATE_FORCE)
		place_at(h, n)->port.permit = true;
	r = fleet_hint(h->fleet, kind, &name, 0, host_now(h), &e);
	world_tell(h->world, (int)h->index, "hint", n, (int64_t)kind << 8 | (r < 0));
	if (h->world->trace && r < 0)
		printf("            refused: %s\n", e.message);
	host_leave(h);
	return r;
}

/* --- what is claimed first ------------------------------------------------------------------- */

struct pin {
	struct pin *next;
	struct host *host;
	unsigned int n, generation;
};

static void pinned(void *ctx, const struct shared_vmac *record, const struct error *error)
{
	struct pin *p = ctx;
	struct host *h = p->host;

	/* As the daemon ends, it answers all; where it dies, nobody does. */
	if (record && h->generation == p->generation && !place_at(h, p->n)->now.exists) {
		struct entry e = { true, false, VMAC_RESERVED, record->epoch, 0 };

		check_allocate(h, p->n);
		entry_set(h, p->n, &e);
	}
}

void pins_done(struct world *w)
{
	while (w->pins) {
		struct pin *p = w->pins;

		w->pins = p->next;
		free(p);
	}
}

void host_pin(struct host *h, unsigned int n)
{
	struct fleet_name name = name_of(h, n);
	struct shared_vmac wanted = { .segment = name.segment,
				      .address = name.address,
				      .origin = VMAC_PINNED,
				      .epoch = h->world->epochs[n] + 1,
				      .pool = pool_of(h->world, n),
				      .name = "",
				      .owner = "",
				      .tenant = "",
				      .note = "" };
	struct pin *p;

	if (!h->fleet || place_at(h, n)->now.exists)
		return;
	p = fs_alloc(sizeof(*p));
	*p = (struct pin){ h->world->pins, h, n, h->generation };
	h->world->pins = p;
	fleet_claim(h->fleet, &wanted, NULL, pinned, p, host_now(h));
	host_leave(h);
}

static void agreed(void *ctx, const struct shared_record *r, const struct error *error)
{
}

void host_agree(struct host *h)
{
	struct shared_record s = { .kind = SHARED_SEGMENT, .segment = { .name = "lan" } };
	struct shared_record p = { .kind = SHARED_POOL };
	struct world *w = h->world;

	snprintf(p.pool.pool.name, sizeof(p.pool.pool.name), "p");
	snprintf(p.pool.segment, sizeof(p.pool.segment), "lan");
	p.pool.block_size = w->block_size;
	p.pool.pool.range_count = 1;
	p.pool.pool.ranges[0].first = name_of(h, 0).address;
	p.pool.pool.ranges[0].last = name_of(h, w->pool_size - 1).address;
	p.pool.pool.quarantine_ms = FS_QUARANTINE / MS;
	fleet_agree(h->fleet, &s, agreed, NULL, host_now(h));
	fleet_agree(h->fleet, &p, agreed, NULL, host_now(h));
	host_leave(h);
}
