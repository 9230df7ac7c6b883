/* The machine of a place: events in, effects out. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

static const struct shared_host *peer_of(const struct fleet *f, const struct uuid *u,
					 struct shared_host *buf)
{
	const struct shared_host *h = uuid_is_none(u) ? NULL : host_record(f, u);

	if (h || uuid_is_none(u))
		return h;
	*buf = (struct shared_host){ .uuid = *u };
	return buf;
}

static void carry_hold(struct fleet *f, struct place *p, uint64_t epoch)
{
	struct shared_record key = vmac_key_record(p->segment, p->address, SHARED_VMAC);

	/* Of a machine that holds what only the journal knows, the journal knows it. */
	if (!p->record && place_holds(p) && p->local_epoch >= epoch)
		return;
	p->holding = !place_holds(p) || p->local_epoch < epoch;
	f->ops->hold(f->ctx, p->record ? &p->record->vmac : &key.vmac, epoch);
}

/* The journal's copy of the record says so, too, until the registry has a word of its own: with the
 * port goes what else the journal knows of it, and then it must not look like one that was released
 * here. */
static void keep_yielded(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct shared_record r, *copy;

	if (!p->kept || !uuid_equal(&p->kept->vmac.holder, &f->self))
		return;
	r = *p->kept;
	r.vmac.state = SHARED_HELD;
	r.vmac.holder = e->peer;
	r.vmac.to = (struct uuid){ { 0 } };
	if (e->epoch > r.vmac.epoch)
		r.vmac.epoch = e->epoch;
	copy = shared_copy(f->mem, &r);
	if (!copy) {
		fleet_short(f);
		return;
	}
	f->ops->keep(f->ctx, p->kept, copy, 0);
	mem_free(f->mem, p->kept);
	p->kept = copy;
}

static void carry_yield(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct fleet_name n = place_name(p);
	struct shared_host buf = { .number = 0 };
	const struct shared_host *peer = peer_of(f, &e->peer, &buf);

	p->holding = false;
	keep_yielded(f, p, e);
	f->ops->yield(f->ctx, &n, peer ? peer : &buf, e->epoch);
}

/* Of one that is on and on it is said again from time to time, of one that proves to be something
 * else at once. */
static void alarm_wire(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct sights *sights = p->sights;
	const bool news = !(sights->told >> sights->use & 1);
	char text[ERROR_TEXT_MAX];

	if (!alarm_allowed(f, news ? NULL : &p->alarmed))
		return;
	sights->told |= (uint8_t)(1u << sights->use);
	p->alarmed = f->now;
	snprintf(text, sizeof(text), "%s (%s: %s)",
		 migrate_reason_meaning((enum migrate_reason)e->reason),
		 fleet_use_name((enum fleet_use)sights->use), sights->because);
	note_place(f, p, FLEET_ALARM, p->machine.state, p->machine.state, e->reason, &e->peer,
		   text);
}

static void carry_alarm(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	enum migrate_reason reason = (enum migrate_reason)e->reason;
	bool wire = reason == MIGRATE_REASON_FOREIGN || reason == MIGRATE_REASON_LOOPED;

	if (wire && p->sights)
		alarm_wire(f, p, e);
	else if (alarm_allowed(f, &p->alarmed))
		note_place(f, p, FLEET_ALARM, p->machine.state, p->machine.state, e->reason,
			   &e->peer, migrate_reason_meaning(reason));
}

static void carry_out(struct fleet *f, struct place *p, const struct migrate_effect *e)
{
	struct fleet_name n = place_name(p);
	struct shared_host buf;

	switch (e->kind) {
	case MIGRATE_GATE:
		f->ops->gate(f->ctx, &n, (enum migrate_gate)e->gate, peer_of(f, &e->peer, &buf));
		return;
	case MIGRATE_DO_ASK:
	case MIGRATE_DO_UNASK:
	case MIGRATE_DO_REFUSE:
		ask_write(f, p, e);
		return;
	case MIGRATE_DO_GRANT:
	case MIGRATE_DO_WITHDRAW:
	case MIGRATE_DO_CLAIM:
	case MIGRATE_DO_FREEZE:
		vmac_write(f, p, e);
		return;
	case MIGRATE_HOLD:
		carry_hold(f, p, e->epoch);
		return;
	case MIGRATE_YIELD:
		carry_yield(f, p, e);
		return;
	case MIGRATE_ANNOUNCE:
		f->ops->announce(f->ctx, &n, e->epoch, e->count);
		return;
	case MIGRATE_QUERY:
		f->ops->query(f->ctx, &n);
		return;
	case MIGRATE_ALARM:
		carry_alarm(f, p, e);
		return;
	case MIGRATE_NOTE:
		p->reason = e->reason;
		p->since = f->now;
		note_place(f, p, FLEET_MOVE, e->from, e->to, e->reason, &e->peer,
			   migrate_reason_meaning((enum migrate_reason)e->reason));
		return;
	case MIGRATE_EFFECT_COUNT:
		break;
	}
	assert(!"an effect");
}

void move_event(struct fleet *f, struct place *p, const struct migrate_event *e)
{
	struct migrate_effect out[MIGRATE_EFFECTS_MAX];
	/* Where a cluster's face is, the wire says and not a machine. */
	unsigned int count = p->face ? 0 : migrate_step(&p->machine, e, f->now, out);
	bool wrote = false;

	assert(count <= MIGRATE_EFFECTS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		carry_out(f, p, &out[i]);
		wrote |= out[i].kind >= MIGRATE_DO_ASK && out[i].kind <= MIGRATE_DO_FREEZE;
	}
	/* Written nowhere: it tries again, or hears that the registry is back. */
	if (wrote && !fleet_may_write(f) && e->kind != MIGRATE_UNREACHABLE)
		move_simple(f, p, MIGRATE_UNREACHABLE);
	place_timer(f, p);
}

void move_simple(struct fleet *f, struct place *p, enum migrate_event_kind kind)
{
	struct migrate_event e = { .kind = kind };

	move_event(f, p, &e);
}

void move_port(struct fleet *f, struct place *p)
{
	struct migrate_event e = { .kind = p->port_up ? MIGRATE_PORT_UP : MIGRATE_PORT_DOWN };

	e.epoch = place_holds(p) ? p->local_epoch : 0;
	move_event(f, p, &e);
}

void move_fresh(struct fleet *f, struct place *p)
{
	migrate_init(&p->machine, &f->self, fleet_may_write(f));
	p->record_stale = p->record != NULL;
	p->ask_stale = p->ask != NULL;
	move_port(f, p);
}

void move_outcome(struct fleet *f, struct place *p, enum shared_outcome outcome, uint64_t revision)
{
	bool dropped = p->dropped;

	p->dropped = false;
	switch (outcome) {
	case SHARED_DONE:
		if (!p->machine.reachable)
			move_simple(f, p, MIGRATE_REACHABLE);
		/* Nobody told us what we wrote (yet): the machine says it again, and what is
		 * compared then is told. */
		if (dropped || (p->record && p->record->revision < revision && p->machine.writing))
			move_simple(f, p, MIGRATE_LOST);
		break;
	case SHARED_LOST:
		move_simple(f, p, MIGRATE_LOST);
		break;
	case SHARED_UNREACHABLE:
	case SHARED_REFUSED:
		/* It hears that the registry is back from us alone: when it is time to try. */
		move_simple(f, p, MIGRATE_UNREACHABLE);
		p->settle_at = mono_after(f->now, outcome == SHARED_REFUSED ? FLEET_REFUSED_RETRY
									    : FLEET_RETRY);
		break;
	}
	place_settle(f, p);
}

/* --- what is told of ports and the wire ------------------------------------------------------ */

void fleet_port(struct fleet *f, const struct fleet_name *n, bool up, mono_t now)
{
	struct place *p = place_find(f, n->segment, n->address);

	f->now = now;
	if (!p && !up)
		return;
	if (!p)
		p = place_get(f, n->segment, n->address);
	if (!p) {
		fleet_short(f);
		return;
	}
	/* Told again, as memory was short: a machine that knows it would take it for a new port. */
	if (p->port_up == up)
		return;
	p->port_up = up;
	p->forfeit = p->forfeit && up;
	move_port(f, p);
	place_settle(f, p);
}

static void guest_event(struct fleet *f, const struct fleet_name *n, enum migrate_event_kind kind)
{
	struct place *p = place_find(f, n->segment, n->address);

	if (!p)
		return;
	move_simple(f, p, kind);
	place_settle(f, p);
}

void fleet_flipped(struct fleet *f, const struct fleet_name *n, mono_t now)
{
	f->now = now;
	guest_event(f, n, MIGRATE_FLIPPED);
}

void fleet_spoke(struct fleet *f, const struct fleet_name *n, mono_t now)
{
	f->now = now;
	guest_event(f, n, MIGRATE_SPOKE);
}
