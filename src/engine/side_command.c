/* Commands that the hosts have to agree upon first: what makes a name or an address everybody's.
 *
 * Such a command is checked against this host's own registry, copied, put to the others through
 * fleet/, and done here when they have agreed.  An allocation asks nobody; only where this host's
 * blocks have no number left it waits a moment for another block, as long as the shared registry is
 * in reach. */
#include <stdio.h>
#include <string.h>

#include "engine/side_park.h"
#include "model/record.h"

#define ROOM_WAIT	 SPAN_S(3) /* for a block, counted anew with each that comes */
#define STABLE_TRIES_MAX 16

/* A rehearsal's outcome. */
static void noted(void *ctx, const struct answer *answer)
{
	struct error *error = ctx;

	if (answer->error)
		*error = *answer->error;
}

static int may_allocate(struct fleet_side *s, struct error *ret_error)
{
	struct fleet_facts facts;

	fleet_facts(s->fleet, &facts);
	if (!facts.joined || facts.state != HOST_DRAINING)
		return 0;
	return error_set(ret_error, ERROR_WRONG_STATE, "vmac host undrain NAME ends it",
			 "this host, %s, is draining: it takes no new virtual MAC", s->name);
}

/* --- segments and pools ---------------------------------------------------------------------- */

static void segment_agreed(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	struct world_segment *segment;
	struct parked *p = ctx;

	p->asked = false;
	if (error) {
		park_refuse(p, error);
		return;
	}
	unpark(p);
	side_agreed_segment(p->s, &agreed->segment);
	segment_add_now(p->s->e, &p->caller, &p->segment, p->done, p->ctx);
	segment = world_segment_named(&p->s->e->world, p->segment.name);
	if (segment)
		segment->shared = true;
	engine_dispose(p->s->e, p);
}

void side_segment_add(struct engine *e, const struct caller *c, const struct segment_add *a,
		      answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_SEGMENT, .segment = *a }, *p;
	struct shared_record wanted = { .kind = SHARED_SEGMENT };
	struct error error;

	if (segment_add_check(e, a, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	p = park(e->side, &as, c, done, ctx);
	if (!p)
		return;
	snprintf(wanted.segment.name, sizeof(wanted.segment.name), "%s", a->name);
	wanted.segment.vlan = a->vlan;
	p->asked = true;
	fleet_agree(e->side->fleet, &wanted, segment_agreed, p, e->cfg.mono_now());
}

static void pool_agreed(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	struct parked *p = ctx;
	struct fleet_side *s = p->s;
	struct world_pool *made;

	p->asked = false;
	if (error) {
		park_refuse(p, error);
		return;
	}
	unpark(p);
	pool_add_now(s->e, &p->caller, &p->pool, &agreed->pool.pool, p->done, p->ctx);
	side_agreed_pool(s, &agreed->pool);
	/* What comes into it is told of when it is durable, as of the pool's. */
	made = world_pool_named(&s->e->world, agreed->pool.pool.name);
	if (made)
		made->counted = true;
	engine_dispose(s->e, p);
}

void side_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		   answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_POOL, .pool = *a }, *p;
	struct fleet_side *s = e->side;
	struct shared_record wanted;
	struct pool pool = { 0 };
	struct error error;

	if (pool_fill(e, a, &pool, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	p = park(s, &as, c, done, ctx);
	if (!p)
		return;
	side_to_pool(s, &pool, &wanted);
	p->asked = true;
	fleet_agree(s->fleet, &wanted, pool_agreed, p, e->cfg.mono_now());
}

bool side_pool_is_coming(const struct fleet_side *s, const char *name)
{
	for (const struct parked *p = s->parked; p; p = p->next)
		if (p->kind == PARK_POOL && strcmp(p->pool.name, name) == 0)
			return true;
	return false;
}

static void pool_retired(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	struct parked *p = ctx;
	struct fleet_side *s = p->s;

	p->asked = false;
	if (error && error->code != ERROR_NOT_FOUND) {
		park_refuse(p, error);
		return;
	}
	unpark(p);
	pool_delete_now(s->e, &p->caller, p->name, p->done, p->ctx);
	engine_dispose(s->e, p);
}

void side_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
		      void *ctx)
{
	struct parked as = { .kind = PARK_POOL_DELETE, .name = name }, *p;
	struct fleet_side *s = e->side;
	const struct world_pool *pool;
	struct shared_record key;
	struct error error;

	if (pool_delete_check(e, name, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	pool = world_pool_named(&e->world, name);
	/* One that the others have otherwise was never shared: it is this host's own affair. */
	if (pool->conflict) {
		pool_delete_now(e, c, name, done, ctx);
		return;
	}
	p = park(s, &as, c, done, ctx);
	if (!p)
		return;
	side_to_pool(s, pool->record, &key);
	p->asked = true;
	fleet_retire(s->fleet, &key, pool_retired, p, e->cfg.mono_now());
}

/* --- addresses that somebody chose ----------------------------------------------------------- */

/* What was claimed and could not be written down is not kept from others: fleet/ hears of it when
 * it can be called. */
static void claim_written(void *ctx, const struct answer *answer)
{
	struct parked *p = ctx;
	struct fleet_side *s = p->s;

	if (p->done)
		p->done(p->ctx, answer);
	if (!answer->error || world_vmac(&s->e->world, p->place.segment, p->place.address)) {
		engine_dispose(s->e, p);
		return;
	}
	p->next = s->unwritten;
	s->unwritten = p;
}

void side_unwritten(struct fleet_side *s)
{
	while (s->unwritten) {
		struct parked *p = s->unwritten;
		struct vmac was = { .address = p->place.address,
				    .state = VMAC_RESERVED,
				    .name = "",
				    .owner = "",
				    .tenant = "",
				    .note = "" };
		const struct world_segment *segment = world_segment(&s->e->world, p->place.segment);
		const struct world_pool *over =
			world_pool_over(&s->e->world, p->place.segment, was.address);
		uint64_t number;
		const char *pool =
			side_pool_of(s, over ? over->record->id : 0, was.address, &number);

		s->unwritten = p->next;
		if (segment && s->running)
			fleet_vmac(s->fleet, segment->record->name, pool, number, &was, NULL,
				   s->e->cfg.mono_now());
		engine_dispose(s->e, p);
	}
}

static void run_claimed(struct parked *p)
{
	struct engine *e = p->s->e;

	unpark(p);
	if (p->kind == PARK_PORT)
		port_add_now(e, &p->caller, &p->port, false, claim_written, p);
	else
		vmac_add_now(e, &p->caller, &p->vmac, false, claim_written, p);
}

static void run(struct parked *p)
{
	struct engine *e = p->s->e;

	unpark(p);
	switch (p->kind) {
	case PARK_VMAC:
		vmac_add_now(e, &p->caller, &p->vmac, false, p->done, p->ctx);
		break;
	case PARK_BATCH:
		vmac_batch_now(e, &p->caller, &p->batch, p->done, p->ctx);
		break;
	case PARK_PORT:
		port_add_now(e, &p->caller, &p->port, false, p->done, p->ctx);
		break;
	case PARK_PORT_DELETE:
		port_delete_at_once(e, &p->caller, p->leaving.name, p->leaving.release, p->done,
				    p->ctx);
		break;
	case PARK_SEGMENT:
	case PARK_POOL:
	case PARK_POOL_DELETE:
		break;
	}
	engine_dispose(e, p);
}

static struct vmac_add *wanted_of(struct parked *p)
{
	return p->kind == PARK_PORT ? &p->port.allocate : &p->vmac;
}

static void claim_answered(void *ctx, const struct shared_vmac *record, const struct error *error)
{
	struct parked *p = ctx;
	struct vmac_add *a = wanted_of(p);

	p->asked = false;
	/* Somebody has the address that the identity would get first: the next one, but from
	 * outside of fleet/. */
	if (error && p->tries == 0)
		p->first = *error;
	if (error && error->code == ERROR_ADDRESS_IN_USE && a->identity[0] &&
	    ++p->tries < STABLE_TRIES_MAX) {
		p->again = true;
		p->s->rooms_changed = true;
		return;
	}
	if (error) {
		park_refuse(p, error->code == ERROR_ADDRESS_IN_USE ? &p->first : error);
		return;
	}
	a->has_address = true;
	a->address = record->address;
	a->epoch = record->epoch;
	run_claimed(p);
}

/* The address that an identity would get next: first the one that it gets on any host, then one of
 * our own blocks near it, which nobody else can have, then those behind it. */
static vmac_mac_t stable_candidate(struct parked *p, struct world_pool *pool)
{
	const struct vmac_add *a = wanted_of(p);
	wall_t now = p->s->e->cfg.wall_now();
	struct error ignored;
	vmac_mac_t address;

	if (p->tries == 1 &&
	    pool_machine_take_stable(&pool->machine, a->identity, now, &address, &ignored) == 0) {
		pool_machine_untake(&pool->machine, address, pool->machine.cfg.cursor);
		return address;
	}
	for (;; p->tries++) {
		address = pool_machine_stable(&pool->machine, a->identity, p->tries);
		if (p->tries >= STABLE_TRIES_MAX ||
		    !world_vmac(&p->s->e->world, pool->record->segment, address))
			return address;
	}
}

static void claim(struct parked *p)
{
	struct vmac_add place = *wanted_of(p);
	struct fleet_side *s = p->s;
	struct world_segment *segment;
	struct shared_vmac wanted;
	struct world_pool *pool;
	struct error error;

	p->again = false;
	if (p->kind == PARK_PORT && p->port.segment[0])
		place.segment = p->port.segment;
	if (vmac_place(s->e, &place, &segment, &pool, &error) < 0) {
		park_refuse(p, &error);
		return;
	}
	if (!pool)
		pool = world_pool_over(&s->e->world, segment->record->id, place.address);
	wanted = (struct shared_vmac){
		.segment = segment->record->name,
		.address = place.identity[0] ? stable_candidate(p, pool) : place.address,
		.state = SHARED_HELD,
		.kind = VMAC_STATION,
		.origin = place.adopted	      ? VMAC_ADOPTED
			  : place.identity[0] ? VMAC_ALLOCATED
					      : VMAC_PINNED,
		.epoch = segment->record->epoch_floor + 1,
		.holder = s->self,
		.pool = pool ? pool->record->name : "",
		.name = place.name[0]	       ? place.name
			: p->kind == PARK_PORT ? p->port.name
					       : "",
		.owner = place.owner,
		.tenant = place.tenant,
		.note = place.note,
		.ips = place.ips,
		.ip_count = (uint8_t)place.ip_count,
		.ttl_ms = place.ttl_ms,
	};
	p->asked = true;
	p->place = (struct fleet_place){ segment->record->id, wanted.address };
	fleet_claim(s->fleet, &wanted, place.identity[0] ? place.identity : NULL, claim_answered, p,
		    s->e->cfg.mono_now());
}

/* --- addresses out of our blocks ------------------------------------------------------------- */

static int no_room(struct fleet_side *s, const struct world_pool *p, uint64_t wanted, bool waited,
		   struct error *ret_error)
{
	char since[DURATION_TEXT_MAX];
	struct fleet_facts facts;

	fleet_facts(s->fleet, &facts);
	if (!facts.reachable)
		return error_set(
			ret_error, ERROR_POOL_EXHAUSTED,
			"bring the shared registry back, or release addresses that nobody needs",
			"pool '%s': this host's %zu block(s) have %llu address(es) left, and no "
			"other block can be claimed: the shared registry is out of reach since %s "
			"(%.120s)",
			p->record->name, p->machine.blocks.count,
			(unsigned long long)p->machine.blocks.room,
			duration_format(mono_since(s->e->cfg.mono_now(), facts.since).ns /
						1000000000 * 1000,
					since),
			facts.error.message);
	if (facts.error.code != ERROR_NONE)
		return error_set(ret_error, facts.error.code, facts.error.hint,
				 "pool '%s': this host's %zu block(s) have %llu address(es) left, "
				 "and no other can be claimed: %.200s",
				 p->record->name, p->machine.blocks.count,
				 (unsigned long long)p->machine.blocks.room, facts.error.message);
	if (p->conflict)
		return error_set(ret_error, ERROR_CONFLICT,
				 "delete it here, or make it as the other hosts have it",
				 "pool '%s' is not what the other hosts have by this name",
				 p->record->name);
	return error_set(
		ret_error, ERROR_POOL_EXHAUSTED,
		"release addresses that nobody needs, or add a pool to the segment",
		"pool '%s': this host's %zu block(s) have %llu address(es) left where %llu "
		"are wanted, and %s",
		p->record->name, p->machine.blocks.count,
		(unsigned long long)p->machine.blocks.room, (unsigned long long)wanted,
		waited ? "no other block came in time: other hosts may have them all"
		       : "it was not agreed upon yet");
}

/* Whether a command may go on at once; else it waits, or has been refused. */
static void allocate(struct fleet_side *s, const struct parked *as, const struct vmac_add *place,
		     uint64_t wanted, const struct caller *c, answer_fn done, void *ctx)
{
	struct engine *e = s->e;
	struct world_segment *segment;
	struct world_pool *pool = NULL;
	struct fleet_facts facts;
	struct error error;
	struct parked *p;

	if (may_allocate(s, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	p = park(s, as, c, done, ctx);
	if (!p)
		return;
	/* What is wrong with the command, or with the pool as a whole, it says by itself. */
	if (vmac_place(e, place, &segment, &pool, &error) < 0 || !pool ||
	    pool->machine.blocks.room >= wanted || !pool->machine.block_size ||
	    pool->machine.usable.size - pool->machine.used - pool->machine.quarantined < wanted ||
	    (pool->record->limit && pool->machine.used + wanted > pool->record->limit)) {
		run(p);
		return;
	}
	fleet_facts(s->fleet, &facts);
	if (!facts.reachable || pool->conflict || !s->running) {
		no_room(s, pool, wanted, false, &error);
		park_refuse(p, &error);
		return;
	}
	snprintf(p->room_pool, sizeof(p->room_pool), "%s", pool->record->name);
	p->room_wanted = wanted;
	p->room_seen = pool->machine.blocks.room;
	p->deadline = mono_after(e->cfg.mono_now(), ROOM_WAIT);
	side_room(s, pool);
}

uint64_t side_demand(const struct fleet_side *s, const char *pool)
{
	uint64_t demand = 0;

	for (const struct parked *p = s->parked; p; p = p->next)
		if (p->room_wanted && strcmp(p->room_pool, pool) == 0)
			demand += p->room_wanted;
	return demand;
}

static void room_turn(struct parked *p, mono_t now)
{
	struct fleet_side *s = p->s;
	const struct world_pool *pool = world_pool_named(&s->e->world, p->room_pool);
	struct error error;

	if (!pool || pool->machine.blocks.room >= p->room_wanted) {
		run(p);
	} else if (mono_due(p->deadline, now)) {
		no_room(s, pool, p->room_wanted, pool->shared, &error);
		park_refuse(p, &error);
	} else if (pool->machine.blocks.room > p->room_seen) {
		p->room_seen = pool->machine.blocks.room;
		p->deadline = mono_after(now, ROOM_WAIT);
	}
}

/* --- a port whose guest has left ------------------------------------------------------------- */

bool side_port_awaited(const struct engine *e, const struct port *p)
{
	const struct port_state *st = &e->ports[p->id];
	struct fleet_move_view view;
	struct fleet_name name;

	if (!e->side || !e->side->running || !st->gated || st->gate != PLANE_REDIRECT)
		return false;
	name = (struct fleet_name){ world_segment(&e->world, p->segment)->record->name,
				    p->address };
	return fleet_move(e->side->fleet, &name, &view) && view.state == MIGRATE_PAUSED;
}

void side_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
		      answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_PORT_DELETE, .leaving = { name, release } };
	struct parked *p = park(e->side, &as, c, done, ctx);

	if (!p)
		return;
	p->deadline = mono_after(e->cfg.mono_now(), MIGRATE_REDIRECT);
	e->side->leaving = true;
}

static void leaving_turn(struct parked *p, mono_t now)
{
	const struct port *port = world_port_named(&p->s->e->world, p->leaving.name);

	if (!port || mono_due(p->deadline, now) || !side_port_awaited(p->s->e, port))
		run(p);
	else
		p->s->leaving = true;
}

/* --- all that wait --------------------------------------------------------------------------- */

void side_parked_turn(struct fleet_side *s)
{
	mono_t now = s->e->cfg.mono_now();
	struct parked *p, *next;

	s->leaving = false;
	for (p = s->parked; p; p = next) {
		next = p->next;
		if (p->again)
			claim(p);
		else if (p->room_wanted)
			room_turn(p, now);
		else if (p->kind == PARK_PORT_DELETE)
			leaving_turn(p, now);
	}
}

mono_t side_parked_expiry(const struct fleet_side *s)
{
	mono_t next = MONO_NEVER;

	for (const struct parked *p = s->parked; p; p = p->next)
		if ((p->room_wanted || p->kind == PARK_PORT_DELETE) && p->deadline.ns < next.ns)
			next = p->deadline;
	return next;
}

/* --- commands on vMACs and ports -------------------------------------------------------------- */

static void claim_first(struct fleet_side *s, const struct parked *as, const struct caller *c,
			answer_fn done, void *ctx)
{
	struct error error = { 0 };
	struct parked *p;

	/* What this host itself has against it is said before anybody else is asked. */
	if (may_allocate(s, &error) == 0) {
		if (as->kind == PARK_PORT)
			port_add_now(s->e, c, &as->port, true, noted, &error);
		else
			vmac_add_now(s->e, c, &as->vmac, true, noted, &error);
		/* The identity's number may lie in no block of ours: fleet/ knows. */
		if (error.code == ERROR_POOL_EXHAUSTED && as->vmac.identity)
			error.code = ERROR_NONE;
	}
	if (error.code != ERROR_NONE) {
		engine_refuse(s->e, done, ctx, &error);
		return;
	}
	p = park(s, as, c, done, ctx);
	if (!p)
		return;
	claim(p);
	side_turn(s->e); /* it may have been answered at once, and there may be another candidate */
}

void side_vmac_add(struct engine *e, const struct caller *c, const struct vmac_add *a,
		   answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_VMAC, .vmac = *a };

	if (a->has_address || a->identity[0])
		claim_first(e->side, &as, c, done, ctx);
	else
		allocate(e->side, &as, a, 1, c, done, ctx);
}

void side_vmac_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
		     answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_BATCH, .batch = *b };
	struct vmac_add place = { .segment = b->segment, .pool = b->pool, .identity = "" };

	allocate(e->side, &as, &place, b->count, c, done, ctx);
}

void side_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		   answer_fn done, void *ctx)
{
	struct parked as = { .kind = PARK_PORT, .port = *a };
	struct vmac_add place = a->allocate;

	if (a->vmac[0]) {
		port_add_now(e, c, a, false, done, ctx);
		return;
	}
	if (a->segment[0])
		place.segment = a->segment;
	if (place.has_address || place.identity[0])
		claim_first(e->side, &as, c, done, ctx);
	else
		allocate(e->side, &as, &place, 1, c, done, ctx);
}

/* --- what others have ------------------------------------------------------------------------ */

bool side_has_record(struct fleet_side *s, uint32_t segment, vmac_mac_t address)
{
	struct fleet_name n = { world_segment(&s->e->world, segment)->record->name, address };

	return fleet_vmac_record(s->fleet, &n) != NULL;
}

bool side_elsewhere(struct fleet_side *s, const struct vmac_ref *ref, struct fleet_place *ret)
{
	struct engine *e = s->e;
	struct world_segment *segment;
	const struct world_pool *p;
	const struct vmac *v;
	struct error ignored;
	vmac_mac_t address;
	uint64_t number;

	if (engine_find_segment(e, ref->segment, &segment, &ignored) < 0)
		return false;
	if (vmac_mac_parse(ref->which, &address, NULL) == 0)
		v = world_vmac(&e->world, segment->record->id, address);
	else if ((v = world_vmac_named(&e->world, segment->record->id, ref->which)))
		address = v->address;
	else
		return false;
	*ret = (struct fleet_place){ segment->record->id, address };
	if (v)
		return (v->state == VMAC_AWAY || v->state == VMAC_MOVING) && !v->port;
	if (side_has_record(s, segment->record->id, address))
		return true;
	/* One of another host's block need not have a record of its own. */
	p = world_pool_over(&e->world, segment->record->id, address);
	number = p ? pool_machine_number(&p->machine, address) : POOL_NO_NUMBER;
	return number != POOL_NO_NUMBER && !pool_machine_granted(&p->machine, number);
}
