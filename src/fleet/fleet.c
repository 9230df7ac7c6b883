/* Entry points: what is told goes to whom it concerns, and time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "fleet/inside.h"

/* Not secret: requests and cluster names need only be unlike each other. */
uint64_t fleet_random(struct fleet *f)
{
	f->random += 0x9e3779b97f4a7c15ULL;
	return hash_u64(f->random);
}

struct uuid fleet_uuid(struct fleet *f)
{
	uint64_t half[2] = { fleet_random(f), fleet_random(f) };
	struct uuid u;

	memcpy(u.octet, half, sizeof(u.octet));
	/* RFC 9562 section 5.4: version 4, variant 10. */
	u.octet[6] = (uint8_t)((u.octet[6] & 0x0f) | 0x40);
	u.octet[8] = (uint8_t)((u.octet[8] & 0x3f) | 0x80);
	return u;
}

void fleet_retry_at(struct fleet *f, mono_t at)
{
	if (at.ns < f->settle_at.ns)
		f->settle_at = at;
}

void fleet_short(struct fleet *f)
{
	if (!f->memory_short)
		f->memory_at = mono_after(f->now, FLEET_RETRY);
	f->memory_short = true;
}

bool fleet_may_write(const struct fleet *f)
{
	return f->started && !f->stopped && f->reachable && f->complete &&
	       f->apart != APART_CLUSTER && f->apart != APART_FORMAT;
}

bool fleet_may_claim(const struct fleet *f)
{
	return fleet_may_write(f) && f->join == JOIN_IN && f->apart == APART_NOT;
}

/* --- new and free ---------------------------------------------------------------------------- */

int fleet_new(const struct fleet_config *config, struct fleet **ret, struct error *ret_error)
{
	struct fleet *f = mem_alloc(config->mem, sizeof(*f));

	if (!f)
		goto no_memory;
	f->mem = config->mem;
	f->ops = config->ops;
	f->ctx = config->ctx;
	f->self = config->self;
	snprintf(f->name, sizeof(f->name), "%s", config->name);
	snprintf(f->key_check, sizeof(f->key_check), "%s",
		 config->key_check ? config->key_check : "");
	snprintf(f->version, sizeof(f->version), "%s", config->version);
	f->address = config->address;
	f->tunnel_port = config->tunnel_port;
	f->spare_blocks = config->spare_blocks ? config->spare_blocks : 1;
	if (f->spare_blocks > FLEET_SPARE_MAX)
		f->spare_blocks = FLEET_SPARE_MAX;
	f->random = config->seed ^ hash_bytes(f->self.octet, sizeof(f->self.octet), 0);
	f->memory_at = f->settle_at = MONO_NEVER;
	table_init(&f->records, f->mem);
	table_init(&f->hosts, f->mem);
	table_init(&f->pools, f->mem);
	table_init(&f->places, f->mem);
	table_init(&f->clusters, f->mem);
	list_init(&f->place_list);
	list_init(&f->busy);
	list_init(&f->attention);
	list_init(&f->images);
	list_init(&f->claims);
	list_init(&f->orphans);
	list_init(&f->writes);
	f->me = host_get(f, &f->self);
	if (!f->me) {
		fleet_free(f);
		goto no_memory;
	}
	*ret = f;
	return 0;
no_memory:
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the fleet");
}

void fleet_free(struct fleet *f)
{
	if (!f)
		return;
	claims_free(f);
	clusters_done(f);
	places_done(f);
	hosts_done(f);
	pools_done(f);
	mirror_done(f);
	join_done(f);
	mem_free(f->mem, f);
}

static int host_load(struct fleet *f, const struct shared_record *kept)
{
	struct host *h = host_get(f, &kept->host.uuid);

	if (!h)
		return -ENOMEM;
	if (h == f->me)
		return join_load(f, kept);
	if (!h->record)
		h->record = shared_copy(f->mem, kept);
	if (!h->record)
		return -ENOMEM;
	h->record->revision = 0; /* of what the registry has now we know nothing */
	h->kept = true;
	return 0;
}

static int pool_load(struct fleet *f, const struct shared_record *kept)
{
	struct pool_state *p = pool_get(f, kept->pool.pool.name);

	if (!p)
		return -ENOMEM;
	if (!p->record)
		p->record = shared_copy(f->mem, kept);
	if (!p->record)
		return -ENOMEM;
	p->record->revision = 0;
	p->kept = true;
	return 0;
}

int fleet_load(struct fleet *f, const struct shared_record *kept, mono_t now)
{
	f->now = now;
	switch (kept->kind) {
	case SHARED_META:
		return join_load(f, kept);
	case SHARED_HOST:
		return host_load(f, kept);
	case SHARED_POOL:
		return pool_load(f, kept);
	case SHARED_BLOCK:
		return block_load(f, kept);
	case SHARED_VMAC:
		return place_load(f, kept);
	case SHARED_CLUSTER:
		return cluster_load(f, kept);
	case SHARED_ALIVE:
	case SHARED_SEGMENT:
	case SHARED_IDENTITY:
	case SHARED_ASK:
	case SHARED_IMAGE:
	case SHARED_KIND_COUNT:
		return 0; /* not kept */
	}
	return 0;
}

/* What was held before counts until the registry says otherwise. */
static void start_place(struct fleet *f, struct place *p)
{
	struct migrate_event e = { .kind = MIGRATE_RECORD };

	place_look(f, p);
	if (place_holds(p))
		move_port(f, p);
	if (!p->kept || p->record)
		return;
	/* A claim that the registry had, and the journal's copy of the record not yet. */
	if (place_holds(p) && p->local_epoch > p->kept->vmac.epoch &&
	    !uuid_equal(&p->kept->vmac.holder, &f->self))
		return;
	e.record = &p->kept->vmac;
	move_event(f, p, &e);
}

static void start_pool(struct fleet *f, struct pool_state *p)
{
	if (!p->record)
		return;
	f->ops->pool(f->ctx, &p->record->pool, false);
	table_for_each (&p->blocks, struct block, b)
		if (b->own && b->own->kept)
			block_ours(f, b->own, true);
}

void fleet_start(struct fleet *f, mono_t now)
{
	f->now = now;
	f->started = true;
	f->reach_since = now;
	table_for_each (&f->pools, struct pool_state, p)
		start_pool(f, p);
	clusters_start(f);
	LIST_FOR_EACH(&f->place_list, l)
	start_place(f, OF_LINK(struct place, link, l));
}

/* --- settling -------------------------------------------------------------------------------- */

static void settle(struct fleet *f)
{
	for (unsigned int i = 0; i < FLEET_STEPS_MAX; i++) {
		bool all = f->settle_all;

		join_settle(f);
		blocks_settle(f);
		if (f->homes_changed && f->complete)
			vmacs_come_home(f);
		if (all) {
			f->settle_all = false;
			places_settle(f);
			clusters_settle(f);
			hosts_settle(f);
			pools_claim(f);
			LIST_FOR_EACH(&f->claims, l)
			claim_settle(f, OF_LINK(struct claim, link, l));
		}
		if (f->clusters_changed)
			clusters_settle(f);
		images_settle(f);
		if (!f->settle_all)
			return;
	}
}

static void machines_reach(struct fleet *f, bool before)
{
	bool after = fleet_may_write(f);

	if (before == after)
		return;
	LIST_FOR_EACH(&f->place_list, l)
	move_simple(f, OF_LINK(struct place, link, l),
		    after ? MIGRATE_REACHABLE : MIGRATE_UNREACHABLE);
	f->settle_all = true;
	if (!after)
		claims_unreachable(f);
}

void fleet_told(struct fleet *f, const struct shared_record *r, mono_t now)
{
	bool before = fleet_may_write(f);

	f->now = now;
	told(f, r);
	machines_reach(f, before);
	if (f->complete)
		settle(f);
}

/* What the journal keeps, and the registry has no more (or not yet again). */
static void tell_vanished(struct fleet *f)
{
	LIST_FOR_EACH(&f->place_list, l)
	{
		struct place *p = OF_LINK(struct place, link, l);

		if (p->kept && !p->record)
			p->record_stale = true;
	}
}

void fleet_complete(struct fleet *f, uint64_t revision, mono_t now)
{
	bool before = fleet_may_write(f);

	f->now = now;
	f->complete = true;
	f->revision = revision;
	join_check(f);
	tell_vanished(f);
	machines_reach(f, before);
	f->settle_all = f->all_told = true;
	settle(f);
	f->all_told = false;
}

void fleet_reach(struct fleet *f, const struct error *error, mono_t now)
{
	bool before = fleet_may_write(f);

	f->now = now;
	if (f->reachable != !error)
		f->reach_since = now;
	f->reachable = !error;
	f->reach_error = error ? *error : (struct error){ 0 };
	machines_reach(f, before);
	if (!error && f->complete) {
		f->settle_all = true;
		settle(f);
	}
}

static void dispatch(struct fleet *f, struct write *w, enum shared_outcome outcome,
		     uint64_t revision, const struct error *error)
{
	switch ((enum write_kind)w->kind) {
	case WRITE_JOIN:
		join_outcome(f, outcome);
		return;
	case WRITE_ALIVE:
		write_later(f, w, outcome);
		alive_settle(f);
		return;
	case WRITE_HOST:
		host_outcome(f, OF_LINK(struct host, write, w), outcome);
		return;
	case WRITE_BLOCK:
		block_outcome(f, OF_LINK(struct own_block, write, w)->block, outcome);
		return;
	case WRITE_IMAGE:
		image_outcome(f, OF_LINK(struct own_block, image_write, w), outcome, revision);
		return;
	case WRITE_VMAC:
		write_later(f, w, outcome);
		move_outcome(f, OF_LINK(struct place, write, w), outcome, revision);
		return;
	case WRITE_ASK:
		write_later(f, w, outcome);
		move_outcome(f, OF_LINK(struct place, ask_write, w), outcome, 0);
		return;
	case WRITE_ORPHAN:
		orphan_outcome(f, OF_LINK(struct orphan, write, w), outcome);
		return;
	case WRITE_CLAIM:
		claim_outcome(f, OF_LINK(struct claim, write, w), outcome, error);
		return;
	case WRITE_CLUSTER:
	case WRITE_ANCHOR:
		cluster_outcome(f, w, outcome);
		return;
	case WRITE_IMAGE_READ:
	case WRITE_SEED:
	case WRITE_KIND_COUNT:
		return; /* answered by fleet_image() */
	}
}

const struct error *fleet_refusal(const struct fleet *f)
{
	if (f->refusal.code == ERROR_NONE || !f->reachable ||
	    mono_since(f->now, f->refused_at).ns > 2 * FLEET_REFUSED_RETRY.ns)
		return NULL;
	return &f->refusal;
}

static void refused(struct fleet *f, const struct error *error)
{
	static const char none[] = "no reason was given";

	if (error && (error->code == ERROR_REGISTRY_FULL || error->code == ERROR_FORBIDDEN)) {
		f->refusal = *error;
		f->refused_at = f->now;
	}
	if (alarm_allowed(f, NULL))
		note(f, FLEET_ALARM, "", "the shared registry refuses what it is told: %s",
		     error ? error->message : none);
}

void fleet_outcome(struct fleet *f, uint64_t token, enum shared_outcome outcome, uint64_t revision,
		   const struct error *error, mono_t now)
{
	struct write *w = write_take(f, token);

	f->now = now;
	if (!w)
		return;
	if (outcome == SHARED_REFUSED)
		refused(f, error);
	else if (outcome != SHARED_UNREACHABLE)
		f->refusal = (struct error){ 0 };
	dispatch(f, w, outcome, revision, error);
	settle(f);
}

void fleet_image(struct fleet *f, uint64_t token, const struct shared_record *image,
		 const struct error *error, mono_t now)
{
	struct write *w = write_take(f, token);

	f->now = now;
	if (!w)
		return;
	if (w->kind == WRITE_IMAGE_READ)
		image_read(f, OF_LINK(struct own_block, image_write, w), image, error);
	else if (w->kind == WRITE_SEED)
		seed_read(f, OF_LINK(struct place, seed_write, w), image, error);
	settle(f);
}

void fleet_kept(struct fleet *f, uint64_t token, mono_t now)
{
	struct write *w = write_take(f, token);

	f->now = now;
	if (!w)
		return;
	if (w->kind == WRITE_JOIN)
		join_kept(f);
	else if (w->kind == WRITE_BLOCK)
		block_kept(f, OF_LINK(struct own_block, write, w)->block);
	settle(f);
}

/* --- time ------------------------------------------------------------------------------------ */

void fleet_time(struct fleet *f, mono_t now)
{
	f->now = now;
	if (f->memory_short && mono_due(f->memory_at, now)) {
		f->memory_short = false;
		f->settle_all = f->homes_changed = true;
		f->ops->reconcile(f->ctx);
	}
	if (mono_due(f->settle_at, now)) {
		f->settle_at = MONO_NEVER;
		f->settle_all = true;
	}
	places_time(f);
	settle(f);
}

mono_t fleet_next_expiry(const struct fleet *f)
{
	mono_t next = f->settle_at;

	if (f->memory_short && f->memory_at.ns < next.ns)
		next = f->memory_at;
	LIST_FOR_EACH((struct link *)&f->busy, l)
	{
		mono_t at = place_next(OF_LINK(struct place, timer, l));

		if (at.ns < next.ns)
			next = at;
	}
	return next;
}

void fleet_stop(struct fleet *f, mono_t now)
{
	struct shared_record r = { .kind = SHARED_ALIVE, .revision = f->me->alive_revision };

	f->now = now;
	if (fleet_may_write(f) && r.revision > 0 && !write_pending(&f->alive_write)) {
		r.alive = (struct shared_alive){ f->self, f->me->alive_incarnation };
		write_send(f, &f->alive_write, WRITE_ALIVE, &r, true);
	}
	f->stopped = true;
}
