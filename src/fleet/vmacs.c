/* What the registry is told of a vMAC: what its machine wants, and beyond moves that it was made,
 * changed, released. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"
#include "model/ip.h"

static const struct uuid nobody;

void vmac_fill(const struct fleet *f, const struct vmac *v, const char *segment, const char *pool,
	       struct shared_vmac *ret)
{
	*ret = (struct shared_vmac){
		.segment = segment,
		.address = v->address,
		.state = SHARED_HELD,
		.kind = v->kind,
		.origin = v->origin,
		.ip_count = v->ip_count,
		.epoch = v->epoch,
		.holder = f->self,
		.pool = pool,
		.name = v->name,
		.owner = v->owner,
		.tenant = v->tenant,
		.note = v->note,
		.ips = v->ips,
		.ttl_ms = v->ttl_ms,
	};
}

/* The journal's word on what the vMAC is, over the record's on where it is. */
static bool refresh(struct fleet *f, struct place *p, struct shared_vmac *r)
{
	struct fleet_name n = place_name(p);
	const char *pool = "";
	const struct vmac *v = f->ops->journal(f->ctx, &n, &pool);
	struct shared_vmac now;

	if (!v || (v->state != VMAC_BOUND && v->state != VMAC_RESERVED))
		return false;
	vmac_fill(f, v, p->segment, r->pool && r->pool[0] != '\0' ? r->pool : pool, &now);
	now.state = r->state;
	now.epoch = v->epoch > r->epoch ? v->epoch : r->epoch;
	now.holder = r->holder;
	now.to = r->to;
	now.move = r->move;
	now.request = r->request;
	now.lifetime_ms = r->lifetime_ms;
	now.quarantine_ms = r->quarantine_ms;
	*r = now;
	return true;
}

static struct shared_record compose(struct fleet *f, struct place *p)
{
	struct shared_record r = vmac_key_record(p->segment, p->address, SHARED_VMAC);

	if (p->record)
		r = *p->record;
	else if (p->seed)
		r = *p->seed;
	if (!p->record)
		r.revision = 0;
	if (uuid_is_none(&r.vmac.holder))
		r.vmac.holder = f->self;
	refresh(f, p, &r.vmac);
	r.vmac.request = fleet_uuid(f);
	return r;
}

/* Nothing is taken from a host that is dead but while it is dead: when it comes back first, this
 * is lost. */
static unsigned int compare_dead(struct fleet *f, struct place *p, struct shared_put *puts,
				 struct shared_record *host)
{
	const struct shared_vmac *was = p->record ? &p->record->vmac
					: p->seed ? &p->seed->vmac
						  : NULL;
	const struct host *h = was ? host_find(f, &was->holder) : NULL;

	if (p->machine.asking != 1 + ASK_FORCE || !h || !h->record || h == f->me)
		return 1;
	*host = *h->record;
	puts[1] = (struct shared_put){ .record = host, .compare_only = true };
	return 2;
}

void vmac_write(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct shared_record r = compose(f, p), host;
	struct shared_put puts[2] = { { .record = &r } };
	unsigned int count = 1;

	if (write_pending(&p->write)) {
		p->dropped = true;
		return;
	}
	/* What the machine wants is of the record that it knows, and would be compared with one
	 * that it does not: it is told that first, and wants anew. */
	if (!fleet_may_write(f) || p->record_stale)
		return;
	r.vmac.epoch = e->epoch;
	r.vmac.move = e->move;
	switch (e->kind) {
	case MIGRATE_DO_GRANT:
		r.vmac.state = SHARED_MOVING;
		r.vmac.holder = f->self;
		r.vmac.to = e->peer;
		r.vmac.lifetime_ms = e->lifetime_ms;
		break;
	case MIGRATE_DO_WITHDRAW:
		r.vmac.state = SHARED_HELD;
		r.vmac.to = nobody;
		break;
	case MIGRATE_DO_CLAIM:
		count = compare_dead(f, p, puts, &host);
		r.vmac.state = SHARED_HELD;
		r.vmac.holder = f->self;
		r.vmac.to = nobody;
		break;
	case MIGRATE_DO_FREEZE:
		r.vmac.state = SHARED_FROZEN;
		r.vmac.holder = f->self;
		r.vmac.to = nobody;
		break;
	case MIGRATE_GATE:
	case MIGRATE_DO_ASK:
	case MIGRATE_DO_UNASK:
	case MIGRATE_DO_REFUSE:
	case MIGRATE_HOLD:
	case MIGRATE_YIELD:
	case MIGRATE_ANNOUNCE:
	case MIGRATE_QUERY:
	case MIGRATE_ALARM:
	case MIGRATE_NOTE:
	case MIGRATE_EFFECT_COUNT:
		assert(!"a write of a record");
	}
	write_send_all(f, &p->write, WRITE_VMAC, puts, count);
}

/* It was this host's before that was forgotten: who has it next has it anew, and the guest that
 * still runs here with it has no claim.  One that comes by another port has. */
static bool is_forfeit(const struct place *p)
{
	const uint8_t asking = p->machine.asking;

	return p->forfeit && !p->record && !p->machine.ordered && asking != 1 + ASK_FORCE &&
	       asking != 1 + ASK_PREPARE;
}

static void forfeited(struct fleet *f, struct place *p)
{
	p->machine.ask_writing = false;
	if (alarm_allowed(f, &p->alarmed))
		note_place(f, p, FLEET_ALARM, p->machine.state, p->machine.state,
			   MIGRATE_REASON_FORGOTTEN, &p->machine.holder,
			   "a guest here uses an address that was given up when this host was "
			   "forgotten: give it another one");
}

void ask_write(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct shared_record r = vmac_key_record(p->segment, p->address, SHARED_ASK);

	if (write_pending(&p->ask_write)) {
		p->dropped = true;
		return;
	}
	if (!fleet_may_write(f) || p->ask_stale)
		return;
	if (e->kind == MIGRATE_DO_ASK && is_forfeit(p)) {
		forfeited(f, p);
		return;
	}
	if (p->ask)
		r = *p->ask;
	switch (e->kind) {
	case MIGRATE_DO_ASK:
		r.ask.why = e->why;
		r.ask.host = f->self;
		r.ask.move = e->move;
		r.ask.lifetime_ms = e->lifetime_ms;
		r.ask.refused = "";
		p->ask_unanswered = mono_after(f->now, FLEET_ASK_UNANSWERED);
		break;
	case MIGRATE_DO_REFUSE:
		if (!p->ask)
			return;
		r.ask.refused = migrate_reason_name((enum migrate_reason)e->reason);
		break;
	case MIGRATE_DO_UNASK:
		p->ask_unanswered = MONO_NEVER;
		if (!p->ask)
			return;
		break;
	case MIGRATE_GATE:
	case MIGRATE_DO_GRANT:
	case MIGRATE_DO_WITHDRAW:
	case MIGRATE_DO_CLAIM:
	case MIGRATE_DO_FREEZE:
	case MIGRATE_HOLD:
	case MIGRATE_YIELD:
	case MIGRATE_ANNOUNCE:
	case MIGRATE_QUERY:
	case MIGRATE_ALARM:
	case MIGRATE_NOTE:
	case MIGRATE_EFFECT_COUNT:
		assert(!"a write of an ask");
	}
	write_send(f, &p->ask_write, WRITE_ASK, &r, e->kind == MIGRATE_DO_UNASK);
}

/* --- beyond moves ---------------------------------------------------------------------------- */

static struct block *home_of(struct fleet *f, const struct place *p)
{
	struct fleet_name n = place_name(p);
	const char *pool = "";
	uint64_t number;

	if (!f->ops->locate(f->ctx, &n, &pool, &number))
		return NULL;
	return block_of(f, pool, number);
}

static void want(struct fleet *f, struct place *p, enum vmac_want what)
{
	struct shared_record r;

	if (!fleet_may_write(f))
		return;
	if (!write_ready(f, &p->write)) {
		if (!write_pending(&p->write))
			p->settle_at = p->write.not_before;
		return;
	}
	r = compose(f, p);
	if (what == WANT_MAKE)
		r.vmac.state = SHARED_HELD;
	if (what == WANT_RELEASE) {
		const struct pool_state *pool = pool_find(f, r.vmac.pool);

		r.vmac.state = SHARED_RELEASED;
		r.vmac.to = nobody;
		r.vmac.quarantine_ms =
			pool && pool->record ? pool->record->pool.pool.quarantine_ms : 0;
		r.vmac.name = r.vmac.owner = r.vmac.tenant = r.vmac.note = "";
		r.vmac.ips = NULL;
		r.vmac.ip_count = 0;
	}
	p->delete_sent = what == WANT_DELETE;
	write_send(f, &p->write, WRITE_VMAC, &r, what == WANT_DELETE);
}

static bool texts_differ(const struct shared_vmac *a, const struct shared_vmac *b)
{
	if (strcmp(a->name, b->name) || strcmp(a->owner, b->owner) ||
	    strcmp(a->tenant, b->tenant) || strcmp(a->note, b->note) ||
	    a->ip_count != b->ip_count || a->ttl_ms != b->ttl_ms || a->epoch != b->epoch)
		return true;
	for (unsigned int i = 0; i < a->ip_count; i++)
		if (!ip_equal(&a->ips[i], &b->ips[i]))
			return true;
	return false;
}

/* Nobody has it.  Its home, which allocates the number again, forgets it when its quarantine is
 * over; where it has none, whoever released it. */
static void settle_released(struct fleet *f, struct place *p)
{
	struct block *home = home_of(f, p);
	struct fleet_name n = place_name(p);
	bool ours = home && home->host ? home->host == f->me
				       : uuid_equal(&p->record->vmac.holder, &f->self);

	if (!ours) {
		p->release_at = MONO_NEVER; /* its block was claimed meanwhile */
		/* Ours is not even its memory. */
		if (p->local && p->local_state == VMAC_AWAY)
			f->ops->forget(f->ctx, &n);
		return;
	}
	if (p->release_at.ns == MONO_NEVER.ns)
		p->release_at = mono_after(f->now, SPAN_MS(p->record->vmac.quarantine_ms));
	/* Our own journal counts by the clock of the wall, and knows better. */
	if ((p->local && p->local_state == VMAC_QUARANTINED) || !mono_due(p->release_at, f->now))
		return;
	want(f, p, WANT_DELETE);
}

bool vmac_ends_here(struct fleet *f, const struct shared_vmac *r)
{
	const char *pool = "";
	struct fleet_name n = { r->segment, r->address };
	struct block *home;
	uint64_t number;

	if (r->state != SHARED_RELEASED || !f->ops->locate(f->ctx, &n, &pool, &number))
		return false;
	home = block_of(f, pool, number);
	return home && home->host == f->me;
}

/* A number of a block that is ours since a moment ago may have been released before: our journal
 * never had it, and nobody else forgets it. */
void vmacs_come_home(struct fleet *f)
{
	f->homes_changed = false;
	table_for_each (&f->records, struct shared_record, r)
		if (r->kind == SHARED_VMAC && vmac_ends_here(f, &r->vmac) &&
		    !place_find(f, r->vmac.segment, r->vmac.address))
			vmac_told(f, r);
}

static void settle_ours(struct fleet *f, struct place *p)
{
	const struct shared_vmac *r = &p->record->vmac;
	struct shared_vmac now = *r;

	if (place_holds(p)) {
		if (refresh(f, p, &now) && texts_differ(&now, r) && !p->machine.writing)
			want(f, p, WANT_TELL);
		return;
	}
	/* Handed on, and its new holder has not told the registry yet. */
	if (was_yielded(f, p) && p->kept->vmac.epoch > r->epoch)
		return;
	if (p->holding || (p->local && p->local_state != VMAC_QUARANTINED) ||
	    claim_pending(f, p->record))
		return;
	/* The journal had it and has not: it was released.  The journal never had it: it was
	 * claimed, and this host died before it could write it down. */
	if (p->local || p->kept || p->released) {
		want(f, p, WANT_RELEASE);
	} else if (r->state == SHARED_HELD) {
		p->holding = true;
		f->ops->hold(f->ctx, r, r->epoch);
	}
}

static void settle_unrecorded(struct fleet *f, struct place *p)
{
	struct fleet_name n = place_name(p);
	struct block *home;

	if (p->delete_sent) {
		if (write_pending(&p->write))
			return;
		p->delete_sent = false;
		if (p->local && p->local_state == VMAC_AWAY)
			f->ops->forget(f->ctx, &n);
		return;
	}
	if (!place_holds(p)) {
		/* Another host's, which was released; or the registry is older than that. */
		home = p->local && p->local_state == VMAC_AWAY ? home_of(f, p) : NULL;
		if (p->local && p->local_state == VMAC_AWAY && home && home->host != f->me &&
		    !p->port_up && f->behind == 0)
			f->ops->forget(f->ctx, &n);
		return;
	}
	home = home_of(f, p);
	if ((home && (!home->host || home->host == f->me)) || p->seed || p->machine.writing ||
	    f->join != JOIN_IN)
		return;
	/* Another's since we were declared dead: about to be lost, see settle_not_mine(). */
	if (home && home->own && home->own->kept)
		return;
	/* The same, of one that had a record when we were declared dead. */
	if (home && home->host && p->machine.condemned) {
		place_fence(f, p, home);
		place_settle(f, p);
		return;
	}
	want(f, p, WANT_MAKE);
}

void vmac_settle(struct fleet *f, struct place *p)
{
	if (!p->record || p->record->vmac.state != SHARED_RELEASED)
		p->release_at = MONO_NEVER;
	/* A delete that nobody answered may be done later: then it was ours. */
	if (p->record && p->record->vmac.state != SHARED_RELEASED)
		p->delete_sent = false;
	if (!p->record)
		settle_unrecorded(f, p);
	else if (p->record->vmac.state == SHARED_RELEASED)
		settle_released(f, p);
	else if (uuid_equal(&p->record->vmac.holder, &f->self))
		settle_ours(f, p);
}

/* --- the journal changed --------------------------------------------------------------------- */

static void count_block(struct fleet *f, const char *pool, uint64_t number, bool before, bool after)
{
	struct block *b = block_of(f, pool, number);

	if (!b)
		return;
	if (!before && after)
		b->used++;
	else if (before && !after && b->used > 0)
		b->used--;
	if (!b->own && b->host != f->me && b->used > 0)
		block_attend(f, b);
	if (b->own && (b->own->ours || b->host == f->me))
		image_dirty(f, b->own);
	if (b->own && b->used == 0)
		block_attend(f, b);
}

static bool needs_place(struct fleet *f, const char *segment, const struct vmac *v,
			const char *pool, uint64_t number)
{
	struct shared_record key = vmac_key_record(segment, v->address, SHARED_VMAC);
	struct block *b;

	if (mirror_get(f, &key))
		return true;
	if (v->state != VMAC_BOUND && v->state != VMAC_RESERVED)
		return false;
	b = pool[0] != '\0' ? block_of(f, pool, number) : NULL;
	return pool[0] == '\0' || (b && b->host && b->host != f->me);
}

void fleet_vmac(struct fleet *f, const char *segment, const char *pool, uint64_t number,
		const struct vmac *before, const struct vmac *after, mono_t now)
{
	const struct vmac *v = after ? after : before;
	struct place *p = place_find(f, segment, v->address);
	/* Claimed, and never written down. */
	bool was = before && !(p && p->holding && !p->local);
	bool held;

	f->now = now;
	count_block(f, pool, number, was, after != NULL);
	if (!p && after && needs_place(f, segment, after, pool, number)) {
		p = place_get(f, segment, v->address);
		if (!p)
			fleet_short(f);
	}
	if (p) {
		held = place_holds(p);
		place_look(f, p);
		if (!after)
			p->holding = false;
		/* What goes with its port, or was another's already, was not ours to release. */
		p->released = !after && before->state != VMAC_AWAY && before->state != VMAC_MOVING;
		if (place_holds(p) ? p->local_epoch > p->machine.epoch ||
					     p->machine.state == MIGRATE_NONE ||
					     p->machine.state == MIGRATE_ASKED
				   : false)
			move_port(f, p);
		else if (held && !place_holds(p) && !p->record && p->local_state != VMAC_AWAY)
			move_fresh(f, p);
		place_settle(f, p);
	}
	blocks_settle(f);
	images_settle(f);
}
