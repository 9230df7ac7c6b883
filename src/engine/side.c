/* This host among others: life, and what is reported -> fleet/. */
#include "engine/side.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/cluster.h"

void *side_alloc(struct fleet_side *s, size_t size)
{
	void *p = engine_alloc(s->e, size);

	if (!p) {
		log_error("out of memory: the next start goes on from what is durable");
		__builtin_trap();
	}
	return p;
}

static mono_t side_now(const struct fleet_side *s)
{
	return s->e->cfg.mono_now();
}

/* --- the shared registry reports ------------------------------------------------------------- */

static void on_told(void *ctx, const struct shared_record *r)
{
	struct fleet_side *s = ctx;

	side_told(s, r);
	if (r->kind == SHARED_VMAC && r->revision > 0 && r->vmac.kind == VMAC_CLUSTER)
		side_told_face(s, &r->vmac);
	fleet_told(s->fleet, r, side_now(s));
}

static void on_complete(void *ctx, uint64_t revision)
{
	struct fleet_side *s = ctx;

	fleet_complete(s->fleet, revision, side_now(s));
	s->agree_due = true;
}

/* The registry was read and this host is a member: what it has is put to the others, then what the
 * configuration file wants can be. */
static void member_turn(struct fleet_side *s)
{
	struct fleet_facts facts;

	if (!s->agree_due && !s->waiters)
		return;
	fleet_facts(s->fleet, &facts);
	if (!facts.joined || !facts.complete || !facts.reachable)
		return;
	if (s->agree_due) {
		s->agree_due = false;
		side_agree_all(s);
		side_agree_clusters(s);
	}
	s->complete = true;
	while (s->waiters) {
		struct side_waiter *w = s->waiters;

		s->waiters = w->next;
		w->fn(w->ctx);
		engine_dispose(s->e, w);
	}
}

static void on_reach(void *ctx, const struct error *error)
{
	struct fleet_side *s = ctx;

	if (error)
		log_warning("shared registry: %s", error->message);
	else
		log_info("shared registry: in reach");
	event_fleet(s->e, "registry", "", "shared", error ? "unreachable" : "reachable", "", "",
		    error ? error->message : "");
	fleet_reach(s->fleet, error, side_now(s));
}

static void on_plane(void *ctx, const struct plane_event *event);

/* --- life ------------------------------------------------------------------------------------ */

static int side_new(struct engine *e, struct error *ret_error)
{
	struct fleet_side *s = engine_alloc(e, sizeof(*s));
	struct store_facts *facts = engine_alloc(e, sizeof(*facts));
	char key_check[CLAIM_KEY_CHECK_LEN + 1];
	struct fleet_config config = {
		.mem = e->cfg.mem,
		.ops = &side_ops,
		.ctx = s,
		.name = e->cfg.fleet->name,
		.version = VMAC_VERSION,
		.address = e->cfg.fleet->address,
		.tunnel_port = e->cfg.fleet->tunnel_port,
	};
	int r;

	if (!s || !facts) {
		engine_dispose(e, s);
		engine_dispose(e, facts);
		return engine_no_memory(ret_error);
	}
	s->e = e;
	s->cfg = *e->cfg.fleet;
	s->orders_tail = &s->orders;
	s->retry = s->agree_at = MONO_NEVER;
	snprintf(s->name, sizeof(s->name), "%s", s->cfg.name);
	s->cfg.name = s->name;
	e->side = s;
	/* A host is its own registry: who has that has its blocks, its vMACs and its epochs. */
	store_facts(e->cfg.store, facts);
	r = uuid_parse(facts->uuid, &s->self);
	uuid_format(&s->self, s->uuid);
	engine_dispose(e, facts);
	if (r < 0)
		return error_set(ret_error, ERROR_REGISTRY_CORRUPT, NULL,
				 "this host's registry has no identity");
	config.self = s->self;
	if (s->cfg.has_key) {
		claim_key_check(s->cfg.key, key_check);
		config.key_check = key_check;
	}
	e->cfg.random(&config.seed, sizeof(config.seed));
	return fleet_new(&config, &s->fleet, ret_error);
}

/* The tunnel first: ports are set with what is to be sent through it. */
static int side_plane(struct fleet_side *s, struct error *ret_error)
{
	struct plane *plane = s->e->cfg.plane;
	int r = inject_open(PLANE_ANNOUNCE_MARK, &s->inject, ret_error);

	if (r == 0)
		r = plane_tunnel_set(plane, s->cfg.tunnel_ifindex, ret_error);
	if (r == 0 && s->cfg.tunnel_ifindex)
		r = plane_tunnel_local(plane, &s->cfg.address, ret_error);
	return r;
}

int side_load(struct engine *e, struct error *ret_error)
{
	mono_t now = e->cfg.mono_now();
	struct fleet_side *s;
	uint64_t number;
	int r = side_new(e, ret_error);

	if (r < 0)
		return r;
	s = e->side;
	table_for_each (&e->world.kept, const struct shared_record, kept)
		if (fleet_load(s->fleet, kept, now) < 0)
			return engine_no_memory(ret_error);
	table_for_each (&e->world.vmacs, const struct vmac, v) {
		const char *pool = side_pool_of(s, v->pool, v->address, &number);

		fleet_vmac(s->fleet, world_segment(&e->world, v->segment)->record->name, pool,
			   number, NULL, v, now);
	}
	s->running = true;
	fleet_start(s->fleet, now);
	/* Those of the pools that were kept were told as such just now. */
	s->counts_due = false;
	table_for_each (&e->world.pools_by_name, struct world_pool, p)
		p->counted = p->shared;
	return e->cfg.plane ? side_plane(s, ret_error) : 0;
}

int side_start(struct engine *e, struct error *ret_error)
{
	struct shared_config config = *e->cfg.fleet->shared;
	struct fleet_side *s = e->side;
	struct error error;
	int r;

	config.mem = e->cfg.mem;
	config.told = on_told;
	config.complete = on_complete;
	config.reach = on_reach;
	config.ctx = s;
	e->cfg.fleet = NULL;
	r = shared_open(&config, &s->shared, ret_error);
	if (r < 0)
		return r;
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		if (e->world.ports[id])
			side_port(e, e->world.ports[id]);
	/* What opened by itself while nobody looked. */
	if (e->cfg.plane)
		plane_events(e->cfg.plane, on_plane, e);
	side_turn(e);
	if (s->cfg.address.family && !s->cfg.tunnel_ifindex && e->cfg.plane) {
		error_set(&error, ERROR_NO_INTERFACE, NULL, "there is no tunnel device");
		log_warning("%s: stragglers after a guest that moved are dropped", error.message);
	}
	return 0;
}

void engine_leave(struct engine *e)
{
	struct fleet_side *s = e->side;

	cluster_jobs_end(e);
	if (!s || !s->running || !s->fleet)
		return;
	fleet_stop(s->fleet, side_now(s));
	s->running = false;
	shared_close(s->shared);
	s->shared = NULL;
	side_parked_end(s);
}

void side_free(struct engine *e)
{
	struct fleet_side *s = e->side;

	if (!s)
		return;
	engine_leave(e);
	fleet_free(s->fleet);
	while (s->waiters) {
		struct side_waiter *w = s->waiters;

		s->waiters = w->next;
		engine_dispose(e, w);
	}
	side_parked_end(s);
	side_unwritten(s);
	side_orders_free(s);
	side_wanted_free(s);
	side_clusters_free(s);
	inject_close(s->inject);
	engine_dispose(e, s);
	e->side = NULL;
}

void engine_when_joined(struct engine *e, void (*fn)(void *ctx), void *ctx)
{
	struct side_waiter *w;

	if (!e->side || e->side->complete || !(w = engine_alloc(e, sizeof(*w)))) {
		fn(ctx);
		return;
	}
	*w = (struct side_waiter){ e->side->waiters, fn, ctx };
	e->side->waiters = w;
}

int engine_shared_fd(struct engine *e)
{
	return e->side && e->side->shared ? shared_fd(e->side->shared) : -1;
}

void engine_shared_ready(struct engine *e)
{
	if (!e->side || !e->side->shared)
		return;
	shared_dispatch(e->side->shared);
	side_turn(e);
}

/* --- ports and the data plane report --------------------------------------------------------- */

static struct fleet_name name_of(const struct fleet_side *s, const struct port *p)
{
	return (struct fleet_name){
		.segment = world_segment(&s->e->world, p->segment)->record->name,
		.address = p->address,
	};
}

void side_port(struct engine *e, const struct port *p)
{
	struct port_state *st = &e->ports[p->id];
	struct fleet_name name;
	bool up;

	if (!e->side || !e->side->running)
		return;
	/* A guest that has left takes its end of the link along, and what is sent after it still
	 * comes by this port. */
	up = st->phase == PORT_ACTIVE && st->set && !st->leaving && p->gate == GATE_OPEN &&
	     (st->carrier || (st->told_up && st->gated && st->gate == PLANE_REDIRECT));
	if (up == st->told_up)
		return;
	st->told_up = up;
	st->told_at = side_now(e->side);
	st->primed = false;
	name = name_of(e->side, p);
	fleet_port(e->side->fleet, &name, up, side_now(e->side));
	side_prime(e->side, p->id);
}

bool side_gate_of(struct fleet_side *s, const struct port *p, enum plane_gate *ret,
		  struct plane_gate_more *ret_more)
{
	struct fleet_name name = name_of(s, p);
	struct fleet_move_view view;

	if (!fleet_move(s->fleet, &name, &view) || view.state != MIGRATE_READY)
		return false;
	*ret = PLANE_TUNNEL_IN;
	*ret_more = (struct plane_gate_more){ .armed = true, .any_frame = s->cfg.any_frame };
	return true;
}

static void on_gate(void *ctx, const struct plane_event *event)
{
	struct fleet_side *s = ctx;
	const struct port *p = event->port <= PORTS_MAX ? s->e->world.ports[event->port] : NULL;
	mono_t now = side_now(s);
	struct fleet_name name;

	if (!p || !s->running)
		return;
	name = name_of(s, p);
	switch (event->kind) {
	case PLANE_FLIPPED:
		s->e->ports[p->id].flip_seen = false;
		fleet_flipped(s->fleet, &name, now);
		break;
	case PLANE_SPOKE:
		/* What was said through the port that it was before counts no more. */
		if (s->e->ports[p->id].told_up && event->at.ns >= s->e->ports[p->id].told_at.ns)
			fleet_spoke(s->fleet, &name, now);
		break;
	case PLANE_STRANGER:
		side_stranger(s, &name, event, now);
		break;
	case PLANE_ANSWERED:
	case PLANE_FACE_STRANGER:
	case PLANE_ADDRESS_STRANGER:
	case PLANE_EVENT_KIND_COUNT:
		break;
	}
}

static void on_plane(void *ctx, const struct plane_event *event)
{
	struct engine *e = ctx;

	if (event->kind == PLANE_ANSWERED)
		cluster_health_answered(e, event);
	else if (event->kind == PLANE_FACE_STRANGER)
		cluster_on_stranger(e, event);
	else if (event->kind == PLANE_ADDRESS_STRANGER)
		cluster_on_claimant(e, event);
	else if (e->side)
		on_gate(e->side, event);
}

void engine_plane_ready(struct engine *e)
{
	plane_events(e->cfg.plane, on_plane, e);
	side_turn(e);
}

/* --- the journal reports --------------------------------------------------------------------- */

const char *side_pool_of(struct fleet_side *s, uint32_t pool, vmac_mac_t address,
			 uint64_t *ret_number)
{
	const struct world_pool *p = pool ? world_pool(&s->e->world, pool) : NULL;

	*ret_number = p ? pool_machine_number(&p->machine, address) : POOL_NO_NUMBER;
	return p && *ret_number != POOL_NO_NUMBER ? p->record->name : "";
}

void side_room(struct fleet_side *s, const struct world_pool *p)
{
	uint64_t room = p->machine.blocks.room, demand = side_demand(s, p->record->name);

	if (s->running && p->shared)
		fleet_pool_room(s->fleet, p->record->name, p->machine.usable.size,
				room > demand ? room - demand : 0, side_now(s));
}

static void vmac_settled(struct fleet_side *s, const struct vmac *before, const struct vmac *after)
{
	const struct vmac *v = after ? after : before;
	const struct world_segment *segment = world_segment(&s->e->world, v->segment);
	mono_t now = side_now(s);
	uint64_t number;
	const char *pool;

	if (!segment)
		return;
	/* It left one pool and came into another, or none. */
	if (before && after && before->pool != after->pool) {
		vmac_settled(s, before, NULL);
		vmac_settled(s, NULL, after);
		return;
	}
	pool = side_pool_of(s, v->pool, v->address, &number);
	fleet_vmac(s->fleet, segment->record->name, pool, number, before, after, now);
}

void side_settled(struct fleet_side *s, const struct txn *t)
{
	struct engine *e = s->e;
	uint32_t last = 0;

	if (!s->running)
		return;
	for (size_t i = 0; i < t->base.count; i++) {
		const struct change *c = &t->changes[i];
		const struct vmac *v = c->after ? c->after : c->before;

		if (c->kind == CHANGE_SEGMENT && !c->before)
			side_segment_came(s, c->after);
		if (c->kind == CHANGE_SEGMENT && !c->before)
			side_clusters_of_segment(s, c->after);
		if (c->kind != CHANGE_VMAC)
			continue;
		vmac_settled(s, c->before, c->after);
		if (v->pool != last && last && world_pool(&e->world, last))
			side_room(s, world_pool(&e->world, last));
		last = v->pool;
	}
	if (last && world_pool(&e->world, last))
		side_room(s, world_pool(&e->world, last));
}

/* --- turns and time -------------------------------------------------------------------------- */

static void tell_flips(struct fleet_side *s)
{
	struct engine *e = s->e;

	s->flips_seen = false;
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = e->world.ports[id];
		struct fleet_name name;

		if (!p || !e->ports[id].flip_seen)
			continue;
		e->ports[id].flip_seen = false;
		name = name_of(s, p);
		fleet_flipped(s->fleet, &name, side_now(s));
	}
}

static bool is_uncounted(const struct world *w, const struct vmac *v)
{
	const struct world_pool *p = v->pool ? world_pool(w, v->pool) : NULL;

	return p && p->shared && !p->counted;
}

/* Of a pool that was this host's alone until now fleet/ could not count what is in it.  Its orders
 * may change the journal meanwhile: so the addresses are noted first. */
static void tell_counts(struct fleet_side *s)
{
	struct world *w = &s->e->world;
	struct fleet_place *places = side_alloc(s, (w->vmacs.count + 1) * sizeof(*places));
	mono_t now = side_now(s);
	size_t count = 0;
	uint64_t number;

	s->counts_due = false;
	table_for_each (&w->vmacs, const struct vmac, v)
		if (is_uncounted(w, v))
			places[count++] = (struct fleet_place){ v->segment, v->address };
	table_for_each (&w->pools_by_name, struct world_pool, p)
		p->counted = p->counted || p->shared;
	for (size_t i = 0; i < count; i++) {
		const struct vmac *v = world_vmac(w, places[i].segment, places[i].address);

		if (v)
			fleet_vmac(s->fleet, world_segment(w, v->segment)->record->name,
				   side_pool_of(s, v->pool, v->address, &number), number, NULL, v,
				   now);
	}
	engine_dispose(s->e, places);
}

/* fleet/ does nothing where it is so already. */
static void tell_ports(struct fleet_side *s)
{
	struct engine *e = s->e;

	s->ports_due = false;
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = e->world.ports[id];
		struct fleet_name name;

		if (!p || !e->ports[id].told_up)
			continue;
		name = name_of(s, p);
		fleet_port(s->fleet, &name, true, side_now(s));
	}
}

void side_turn(struct engine *e)
{
	struct fleet_side *s = e->side;

	if (!s || !s->running)
		return;
	side_orders_kept(s);
	side_unwritten(s);
	cluster_jobs_turn(e);
	balancing_identity(e);
	if (s->counts_due)
		tell_counts(s);
	if (s->ports_due)
		tell_ports(s);
	member_turn(s);
	if (s->flips_seen)
		tell_flips(s);
	for (uint32_t id = 1; s->gates_changed && id <= PORTS_MAX; id++)
		if (e->world.ports[id])
			side_port(e, e->world.ports[id]);
	s->gates_changed = false;
	if (s->pools_due)
		side_agree_pools(s);
	if (s->leaving)
		side_parked_turn(s);
	/* Again for each candidate that a stable address may be: STABLE_TRIES_MAX. */
	while (s->rooms_changed) {
		s->rooms_changed = false;
		side_parked_turn(s);
		table_for_each (&e->world.pools_by_name, struct world_pool, p)
			side_room(s, p);
	}
}

void side_time(struct engine *e, mono_t now)
{
	struct fleet_side *s = e->side;

	if (!s || !s->running)
		return;
	if (mono_due(s->retry, now))
		side_orders_retry(s);
	if (mono_due(s->agree_at, now)) {
		s->agree_at = MONO_NEVER;
		s->agree_due = true;
	}
	fleet_time(s->fleet, now);
	if (mono_due(side_parked_expiry(s), now))
		side_parked_turn(s);
	side_turn(e);
}

mono_t side_next_expiry(const struct fleet_side *s)
{
	mono_t next = s->retry, others;

	if (!s->running)
		return MONO_NEVER;
	others = fleet_next_expiry(s->fleet);
	if (others.ns < next.ns)
		next = others;
	if (s->agree_at.ns < next.ns)
		next = s->agree_at;
	others = side_parked_expiry(s);
	return others.ns < next.ns ? others : next;
}
