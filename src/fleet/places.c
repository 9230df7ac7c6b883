/* A place: one vMAC on this host; what the journal and the registry say of it.
 *
 * There is one for each port, and for what two hosts have to do with.  A vMAC that is only here,
 * with no port, has none: it is looked up in the journal when somebody asks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

struct place_key {
	const char *segment;
	vmac_mac_t address;
};

static uint64_t place_hash(const char *segment, vmac_mac_t address)
{
	struct shared_record key = vmac_key_record(segment, address, SHARED_VMAC);

	return shared_key_hash(&key);
}

static bool place_is(const void *item, const void *key)
{
	const struct place_key *k = key;
	const struct place *p = item;

	return vmac_mac_u64(p->address) == vmac_mac_u64(k->address) &&
	       strcmp(p->segment, k->segment) == 0;
}

struct place *place_find(const struct fleet *f, const char *segment, vmac_mac_t address)
{
	struct place_key key = { segment, address };

	return table_get(&f->places, place_hash(segment, address), &key, place_is);
}

struct fleet_name place_name(const struct place *p)
{
	return (struct fleet_name){ p->segment, p->address };
}

bool place_holds(const struct place *p)
{
	return p->local && (p->local_state == VMAC_RESERVED || p->local_state == VMAC_BOUND);
}

void place_look(struct fleet *f, struct place *p)
{
	struct fleet_name n = place_name(p);
	const char *pool = "";
	const struct vmac *v = f->ops->journal(f->ctx, &n, &pool);

	p->local = v != NULL;
	p->local_state = v ? v->state : 0;
	p->local_epoch = v ? v->epoch : 0;
	if (v)
		p->face = v->kind == VMAC_CLUSTER;
	if (place_holds(p))
		p->holding = false;
}

struct place *place_get(struct fleet *f, const char *segment, vmac_mac_t address)
{
	struct place *p = place_find(f, segment, address);
	struct shared_record key;

	if (p)
		return p;
	p = mem_alloc(f->mem, sizeof(*p));
	if (!p)
		return NULL;
	snprintf(p->segment, sizeof(p->segment), "%s", segment);
	p->address = address;
	if (table_add(&f->places, place_hash(segment, address), p) < 0) {
		mem_free(f->mem, p);
		return NULL;
	}
	p->release_at = p->settle_at = p->ask_unanswered = MONO_NEVER;
	p->since = f->now;
	p->alarmed = (mono_t){ -FLEET_ALARM_INTERVAL.ns };
	list_add(&f->place_list, &p->link);
	migrate_init(&p->machine, &f->self, fleet_may_write(f));
	key = vmac_key_record(segment, address, SHARED_VMAC);
	p->record = mirror_get(f, &key);
	p->record_stale = p->record != NULL;
	p->face = p->record && p->record->vmac.kind == VMAC_CLUSTER;
	key = vmac_key_record(segment, address, SHARED_ASK);
	p->ask = mirror_get(f, &key);
	p->ask_stale = p->ask != NULL;
	place_look(f, p);
	/* It was handed on: an older word that it is ours counts no more, the journal's own copy of
	 * the record not excepted, which may be from before. */
	if (p->local && p->local_state == VMAC_AWAY)
		p->machine.epoch = p->local_epoch;
	if (place_holds(p))
		move_port(f, p);
	return p;
}

static void place_free(struct fleet *f, struct place *p)
{
	table_remove(&f->places, place_hash(p->segment, p->address), p);
	list_remove(&p->link);
	list_remove(&p->timer);
	list_remove(&p->write.link);
	list_remove(&p->ask_write.link);
	list_remove(&p->seed_write.link);
	mem_free(f->mem, p->kept);
	mem_free(f->mem, p->seed);
	mem_free(f->mem, p->sights);
	mem_free(f->mem, p);
}

static bool is_needless(const struct place *p)
{
	/* Whether it is still ours is decided when we have joined: see settle_unrecorded(). */
	if (p->machine.condemned && place_holds(p))
		return false;
	return !p->port_up && !p->record && !p->ask && !p->kept && !p->seed && !p->holding &&
	       migrate_idle(&p->machine) && !write_pending(&p->write) &&
	       !write_pending(&p->ask_write) && !write_pending(&p->seed_write) &&
	       p->settle_at.ns == MONO_NEVER.ns;
}

/* --- what the journal must know -------------------------------------------------------------- */

bool was_yielded(const struct fleet *f, const struct place *p)
{
	return p->kept && !uuid_equal(&p->kept->vmac.holder, &f->self);
}

static bool is_worth_keeping(const struct fleet *f, const struct place *p)
{
	const struct shared_vmac *r = p->record ? &p->record->vmac : NULL;

	if (!r)
		return false;
	if (uuid_equal(&r->to, &f->self))
		return true;
	/* What is held and not in the journal yet is known as not kept: see vmac_settle(). */
	if (uuid_equal(&r->holder, &f->self))
		return p->local || (p->kept && (r->state == SHARED_HELD || was_yielded(f, p)));
	return p->local || p->port_up;
}

void place_keep(struct fleet *f, struct place *p)
{
	bool worth = is_worth_keeping(f, p);
	struct shared_record *copy = NULL;

	if (!f->complete || (!worth && !p->kept) ||
	    (worth && p->kept && p->kept->revision == p->record->revision))
		return;
	if (worth) {
		copy = shared_copy(f->mem, p->record);
		if (!copy) {
			fleet_short(f);
			return;
		}
	}
	f->ops->keep(f->ctx, p->kept, copy, 0);
	mem_free(f->mem, p->kept);
	p->kept = copy;
}

int place_load(struct fleet *f, const struct shared_record *kept)
{
	struct place *p = place_get(f, kept->vmac.segment, kept->vmac.address);

	if (!p)
		return -ENOMEM;
	if (!p->kept)
		p->kept = shared_copy(f->mem, kept);
	if (!p->record && !p->local)
		p->face = kept->vmac.kind == VMAC_CLUSTER;
	return p->kept ? 0 : -ENOMEM;
}

/* --- told ------------------------------------------------------------------------------------ */

static bool concerns_us(struct fleet *f, const struct fleet_name *n, const struct shared_record *r)
{
	const char *pool;

	if (r->revision == 0)
		return false;
	if (r->kind == SHARED_VMAC &&
	    (uuid_equal(&r->vmac.holder, &f->self) || uuid_equal(&r->vmac.to, &f->self)))
		return true;
	if (r->kind == SHARED_VMAC && vmac_ends_here(f, &r->vmac))
		return true;
	if (r->kind == SHARED_ASK && uuid_equal(&r->ask.host, &f->self))
		return true;
	return f->ops->journal(f->ctx, n, &pool) != NULL;
}

static struct place *place_told(struct fleet *f, const struct shared_record *r, const char *segment,
				vmac_mac_t address)
{
	struct fleet_name n = { segment, address };
	struct place *p = place_find(f, segment, address);

	if (!p && concerns_us(f, &n, r)) {
		p = place_get(f, segment, address);
		if (!p)
			fleet_short(f);
	}
	return p;
}

void vmac_told(struct fleet *f, const struct shared_record *r)
{
	struct place *p;

	if (claim_abandoned(f, r))
		return;
	p = place_told(f, r, r->vmac.segment, r->vmac.address);
	if (!p)
		return;
	p->record = mirror_get(f, r);
	if (p->record)
		p->face = p->record->vmac.kind == VMAC_CLUSTER;
	p->record_stale = true;
	place_settle(f, p);
}

void ask_told(struct fleet *f, const struct shared_record *r)
{
	struct place *p = place_told(f, r, r->ask.segment, r->ask.address);

	if (!p)
		return;
	p->ask = mirror_get(f, r);
	p->ask_stale = true;
	place_settle(f, p);
}

/* --- settling -------------------------------------------------------------------------------- */

/* A host that was alone until now may bring an address that another has had for long, each with
 * good reason.  One of both keeps it; that there were two nobody else would ever say. */
static void two_holders(struct fleet *f, struct place *p)
{
	const struct uuid *holder = &p->record->vmac.holder;
	char text[ERROR_TEXT_MAX];

	if (p->face || p->machine.known || p->kept || !place_holds(p) || p->seed ||
	    p->record->vmac.state == SHARED_RELEASED || uuid_equal(holder, &f->self) ||
	    p->machine.state != MIGRATE_HELD)
		return;
	snprintf(text, sizeof(text), "hosts %s and %s both have it, each by its own registry",
		 f->name, host_name(f, holder));
	if (alarm_allowed(f, &p->alarmed))
		note_place(f, p, FLEET_ALARM, p->machine.state, p->machine.state,
			   MIGRATE_REASON_TWO_GUESTS, holder, text);
}

static void tell_machine(struct fleet *f, struct place *p)
{
	struct migrate_event e = { .kind = MIGRATE_RECORD };

	if (p->record_stale) {
		p->record_stale = false;
		/* What others made of it is over where the registry has a word of its own. */
		if (p->record && p->seed) {
			mem_free(f->mem, p->seed);
			p->seed = NULL;
		}
		if (p->record)
			two_holders(f, p);
		e.record = p->record ? &p->record->vmac : p->seed ? &p->seed->vmac : NULL;
		e.epoch = place_holds(p) ? p->local_epoch : 0;
		move_event(f, p, &e);
		place_keep(f, p);
	}
	if (p->ask_stale) {
		p->ask_stale = false;
		e = (struct migrate_event){ .kind = MIGRATE_ASK };
		e.ask = p->ask ? &p->ask->ask : NULL;
		move_event(f, p, &e);
	}
}

void place_settle(struct fleet *f, struct place *p)
{
	if (!f->complete || f->apart == APART_CLUSTER || f->apart == APART_FORMAT)
		return;
	tell_machine(f, p);
	if (p->face)
		face_settle(f, p);
	vmac_settle(f, p);
	place_keep(f, p);
	place_timer(f, p);
	if (is_needless(p))
		place_free(f, p);
}

void places_settle(struct fleet *f)
{
	LIST_FOR_EACH(&f->place_list, l)
	place_settle(f, OF_LINK(struct place, link, l));
}

/* --- time ------------------------------------------------------------------------------------ */

mono_t place_next(const struct place *p)
{
	mono_t next = migrate_next_expiry(&p->machine);

	if (p->release_at.ns < next.ns)
		next = p->release_at;
	if (p->settle_at.ns < next.ns)
		next = p->settle_at;
	if (p->ask_unanswered.ns < next.ns)
		next = p->ask_unanswered;
	return next;
}

void place_timer(struct fleet *f, struct place *p)
{
	if (place_next(p).ns == MONO_NEVER.ns)
		list_remove(&p->timer);
	else
		list_add(&f->busy, &p->timer);
}

static void place_unanswered(struct fleet *f, struct place *p)
{
	p->ask_unanswered = MONO_NEVER;
	if (p->ask && uuid_equal(&p->ask->ask.host, &f->self) && p->ask->ask.refused[0] == '\0')
		note_place(
			f, p, FLEET_ALARM, p->machine.state, p->machine.state, p->reason,
			&p->machine.holder,
			"nobody answers: the host that has it is out of reach, or no host has it");
}

void places_time(struct fleet *f)
{
	LIST_FOR_EACH(&f->busy, l)
	{
		struct place *p = OF_LINK(struct place, timer, l);

		for (unsigned int i = 0;
		     i < FLEET_STEPS_MAX && mono_due(migrate_next_expiry(&p->machine), f->now); i++)
			move_simple(f, p, MIGRATE_TIME);
		if (mono_due(p->ask_unanswered, f->now))
			place_unanswered(f, p);
		if (mono_due(p->settle_at, f->now)) {
			p->settle_at = MONO_NEVER;
			if (fleet_may_write(f) && !p->machine.reachable)
				move_simple(f, p, MIGRATE_REACHABLE);
		}
		place_settle(f, p);
	}
}

void places_done(struct fleet *f)
{
	LIST_FOR_EACH(&f->place_list, l)
	place_free(f, OF_LINK(struct place, link, l));
	table_done(&f->places);
}
