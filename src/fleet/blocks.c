/* Which blocks this host claims, gives back, and loses.
 *
 * A block is ours when our journal says so.  It enters the journal after the registry has it, and
 * leaves it before: at no moment can two journals have the same. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

/* --- told ------------------------------------------------------------------------------------ */

void block_attend(struct fleet *f, struct block *b)
{
	struct own_block *o = block_own(f, b);

	if (o)
		list_add(&f->attention, &o->link);
	else
		fleet_short(f);
}

static void block_set_host(struct fleet *f, struct block *b, struct host *h)
{
	if (b->host) {
		b->host->blocks--;
		f->blocks--;
	}
	if (h) {
		h->blocks++;
		f->blocks++;
	}
	b->host = h;
}

void block_told(struct fleet *f, const struct shared_record *r)
{
	bool owned = r->revision > 0 && !uuid_is_none(&r->block.host);
	struct pool_state *p = pool_get(f, r->block.pool);
	struct block *b = p ? block_get(f, p, r->block.number) : NULL;
	struct host *h = b && owned ? host_get(f, &r->block.host) : NULL;

	if (!b || (owned && !h)) {
		fleet_short(f);
		return;
	}
	if (b->revision == r->revision)
		return;
	b->revision = r->revision;
	block_set_host(f, b, h);
	if (!h)
		p->full_noted = false;
	if (b->own || h == f->me || b->used > 0)
		block_attend(f, b);
}

/* --- claiming -------------------------------------------------------------------------------- */

static void claims_end(struct own_block *o)
{
	o->doing = BLOCK_RESTS;
	if (o->for_room)
		o->block->pool->claiming--;
	o->for_room = false;
}

static bool block_claim(struct fleet *f, struct block *b, bool for_room)
{
	struct own_block *o = block_own(f, b);
	struct shared_record r;

	if (!o) {
		fleet_short(f);
		return false;
	}
	if (!fleet_may_claim(f) || !write_ready(f, &o->write))
		return false;
	r = block_record(f, b);
	r.block.host = f->self;
	r.block.request = fleet_uuid(f);
	o->doing = BLOCK_CLAIMS;
	o->for_room = for_room;
	if (for_room)
		b->pool->claiming++;
	write_send(f, &o->write, WRITE_BLOCK, &r, false);
	return true;
}

/* From a number of our own on, upwards: whoever begins elsewhere does not meet us, and what is
 * taken is passed over once.  UINT64_MAX: none is free. */
static uint64_t pick(struct fleet *f, struct pool_state *p)
{
	uint64_t count = pool_block_count(p);

	if (!p->where_known) {
		p->where = fleet_random(f) % count;
		p->where_known = true;
	}
	for (uint64_t i = 0; i < count && i <= p->blocks.count; i++) {
		uint64_t number = p->where;
		struct block *b = block_find(p, number);

		p->where = number + 1 == count ? 0 : number + 1;
		if (!b || (!b->host && (!b->own || (b->own->doing == BLOCK_RESTS && !b->own->kept &&
						    write_ready(f, &b->own->write)))))
			return number;
	}
	return UINT64_MAX;
}

static bool is_short(const struct fleet *f, const struct pool_state *p)
{
	uint64_t size = pool_block_size(p);

	return p->claiming < FLEET_CLAIMS_MAX &&
	       p->available + p->claiming * size <= f->spare_blocks * size;
}

void pool_claim(struct fleet *f, struct pool_state *p)
{
	if (!p->room_told || pool_block_size(p) == 0 || !fleet_may_claim(f) ||
	    f->me->record == NULL || f->me->record->host.state != HOST_ACTIVE)
		return;
	while (is_short(f, p)) {
		uint64_t number = pick(f, p);
		struct block *b = number == UINT64_MAX ? NULL : block_get(f, p, number);

		if (number == UINT64_MAX) {
			if (!p->full_noted)
				note(f, FLEET_BLOCK, "",
				     "pool %s has no free block any more: %llu numbers are left "
				     "here",
				     p->name, (unsigned long long)p->available);
			p->full_noted = true;
			return;
		}
		if (!b) {
			fleet_short(f);
			return;
		}
		if (!block_claim(f, b, true))
			return;
	}
}

void pools_claim(struct fleet *f)
{
	table_for_each (&f->pools, struct pool_state, p) {
		pool_claim(f, p);
		pool_shed(f, p);
	}
}

/* --- the journal ----------------------------------------------------------------------------- */

static bool block_keep(struct fleet *f, struct block *b)
{
	struct shared_record r = block_record(f, b), *copy;

	if (b->own->kept)
		return true;
	r.block.host = f->self;
	copy = shared_copy(f->mem, &r);
	if (!copy) {
		fleet_short(f);
		return false;
	}
	f->ops->keep(f->ctx, NULL, copy, 0);
	b->own->kept = copy;
	return true;
}

static void block_unkeep(struct fleet *f, struct own_block *o, uint64_t token)
{
	f->ops->keep(f->ctx, o->kept, NULL, token);
	mem_free(f->mem, o->kept);
	o->kept = NULL;
}

void block_ours(struct fleet *f, struct own_block *o, bool ours)
{
	struct pool_state *p = o->block->pool;
	uint64_t room;

	if (o->ours == ours)
		return;
	o->ours = ours;
	p->ours += ours ? 1 : -UINT64_C(1);
	f->blocks_ours += ours ? 1 : -UINT64_C(1);
	/* Until the engine says how much that is. */
	room = pool_block_size(p) - o->block->used;
	if (ours)
		p->available += room;
	else
		p->available -= room < p->available ? room : p->available;
	f->ops->block(f->ctx, p->name, o->block->number, pool_block_size(p), ours);
}

static void count_one(void *ctx, const struct vmac *v)
{
	++*(uint32_t *)ctx;
}

/* What was told while there was no memory, or before the block was known, was not counted. */
static void recount(struct fleet *f, struct block *b)
{
	b->used = 0;
	f->ops->each(f->ctx, b->pool->name, b->number, count_one, &b->used);
}

static void block_take(struct fleet *f, struct own_block *o)
{
	struct block *b = o->block;

	if (o->ours || pool_block_size(b->pool) == 0 || !block_keep(f, b))
		return;
	recount(f, b);
	block_ours(f, o, true);
	f->homes_changed = true;
	if (f->complete)
		note(f, FLEET_BLOCK, "", "block %llx of pool %s is ours",
		     (unsigned long long)b->number, b->pool->name);
	image_dirty(f, o); /* also of an empty one: what a forgotten host left there goes */
}

static void block_give_back(struct fleet *f, struct own_block *o)
{
	recount(f, o->block);
	if (o->block->used > 0)
		return;
	block_ours(f, o, false);
	o->doing = BLOCK_LEAVES_JOURNAL;
	block_unkeep(f, o, write_expect(f, &o->write, WRITE_BLOCK, true));
}

static void block_free_send(struct fleet *f, struct own_block *o)
{
	struct shared_record r = block_record(f, o->block);

	r.block.host = (struct uuid){ { 0 } };
	r.block.request = fleet_uuid(f);
	o->doing = BLOCK_GIVES_BACK;
	write_send(f, &o->write, WRITE_BLOCK, &r, false);
}

void block_kept(struct fleet *f, struct block *b)
{
	/* An allocation that was under way when we asked for silence comes first. */
	if (b->used > 0)
		b->own->doing = BLOCK_RESTS;
	block_attend(f, b);
}

/* --- surplus ---------------------------------------------------------------------------------
 *
 * A host that once had many guests leaves what it does not need any more to others.  What stays is
 * half a block more than what would make it claim one: so it does not give and take in turn. */

static bool is_surplus(const struct fleet *f, const struct pool_state *p)
{
	uint64_t size = pool_block_size(p);

	return size > 0 && p->claiming == 0 &&
	       p->available > (f->spare_blocks + 1) * size + size / 2;
}

static bool is_unused(struct fleet *f, const struct block *b)
{
	return b->host == f->me && b->own && b->own->ours && b->own->kept && b->used == 0 &&
	       b->own->doing == BLOCK_RESTS && write_ready(f, &b->own->write);
}

void pool_shed(struct fleet *f, struct pool_state *p)
{
	if (!p->room_told || !fleet_may_claim(f) || !is_surplus(f, p)) {
		p->surplus_since = MONO_NEVER;
		return;
	}
	if (p->surplus_since.ns == MONO_NEVER.ns)
		p->surplus_since = f->now;
	fleet_retry_at(f, mono_after(p->surplus_since, FLEET_SURPLUS));
	if (!mono_due(mono_after(p->surplus_since, FLEET_SURPLUS), f->now))
		return;
	p->surplus_since = MONO_NEVER;
	table_for_each (&p->blocks, struct block, b)
		if (is_surplus(f, p) && is_unused(f, b))
			block_give_back(f, b->own);
}

/* --- losing ---------------------------------------------------------------------------------- */

struct gathered {
	vmac_mac_t macs[BLOCK_SIZE_MAX];
	unsigned int count;
};

static void gather(void *ctx, const struct vmac *v)
{
	struct gathered *g = ctx;

	if (g->count < BLOCK_SIZE_MAX && (v->state == VMAC_BOUND || v->state == VMAC_RESERVED))
		g->macs[g->count++] = v->address;
}

void place_fence(struct fleet *f, struct place *p, const struct block *home)
{
	struct fleet_name n = place_name(p);
	struct shared_record seed = vmac_key_record(n.segment, n.address, SHARED_VMAC);

	if (p->record || p->face)
		return;
	place_look(f, p);
	seed.vmac.holder = home->host->uuid;
	seed.vmac.epoch = p->local_epoch + 1;
	p->forfeit = p->port_up;
	mem_free(f->mem, p->seed);
	p->seed = shared_copy(f->mem, &seed);
	if (!p->seed)
		fleet_short(f);
	p->record_stale = true;
}

/* Another host may have given its numbers to others: what we hold in it is not ours any more. */
static void fence(struct fleet *f, struct block *b)
{
	const struct shared_pool *pool = b->pool->record ? &b->pool->record->pool : NULL;
	struct gathered g = { .count = 0 };

	f->ops->each(f->ctx, b->pool->name, b->number, gather, &g);
	for (unsigned int i = 0; pool && i < g.count; i++) {
		struct place *p = place_get(f, pool->segment, g.macs[i]);

		if (!p) {
			fleet_short(f);
			continue;
		}
		if (p->record)
			continue;
		place_fence(f, p, b);
		place_settle(f, p);
	}
}

static void block_lose(struct fleet *f, struct own_block *o)
{
	struct block *b = o->block;

	block_ours(f, o, false);
	if (alarm_allowed(f, NULL))
		note(f, FLEET_ALARM, host_name(f, &b->host->uuid),
		     "block %llx of pool %s is %s's now, as this host was declared dead and "
		     "forgotten: what this host holds of it is fenced",
		     (unsigned long long)b->number, b->pool->name, host_name(f, &b->host->uuid));
	fence(f, b);
	block_unkeep(f, o, 0);
	o->lost_at = MONO_NEVER;
}

/* --- settling -------------------------------------------------------------------------------- */

/* Drained, or of a pool that is nobody's any more. */
static bool wants_back(const struct fleet *f, const struct block *b)
{
	if (b->used > 0 || f->join != JOIN_IN || !fleet_may_write(f))
		return false;
	return !b->pool->record || (f->me->record && f->me->record->host.state == HOST_DRAINING);
}

static void settle_mine(struct fleet *f, struct own_block *o)
{
	o->lost_at = MONO_NEVER;
	if (o->doing == BLOCK_CLAIMS)
		claims_end(o);
	if (o->doing == BLOCK_LEAVES_JOURNAL || o->doing == BLOCK_GIVES_BACK) {
		if (fleet_may_write(f) && write_ready(f, &o->write))
			block_free_send(f, o);
		return;
	}
	/* An old backup names us where others may have been since. */
	if (!o->kept && f->behind > 0) {
		fleet_retry_at(f, mono_after(f->now, FLEET_RETRY));
		return;
	}
	block_take(f, o);
	if (o->kept && wants_back(f, o->block) && write_ready(f, &o->write))
		block_give_back(f, o);
}

static void settle_not_mine(struct fleet *f, struct own_block *o)
{
	struct block *b = o->block;

	if (o->doing == BLOCK_CLAIMS)
		claims_end(o);
	o->doing = BLOCK_RESTS;
	if (!b->host) {
		o->lost_at = MONO_NEVER;
		if ((o->kept || b->used > 0) && !block_claim(f, b, false))
			fleet_retry_at(f, mono_after(f->now, FLEET_RETRY));
		return;
	}
	if (!o->kept)
		return;
	/* Not at once, where not all is told: META and our own record, which say whose registry
	 * this is and whether it is old, may come after it. */
	if (o->lost_at.ns == MONO_NEVER.ns) {
		o->lost_at = mono_after(f->now, FLEET_LOST_WAIT);
		block_ours(f, o, false); /* nothing is allocated from it meanwhile */
	}
	if (f->all_told)
		o->lost_at = f->now;
	fleet_retry_at(f, o->lost_at);
	if (!mono_due(o->lost_at, f->now))
		return;
	if (f->behind > 0)
		block_claim(f, b, false);
	else
		block_lose(f, o);
}

static void block_settle(struct fleet *f, struct own_block *o)
{
	struct block *b = o->block;

	if (write_pending(&o->write) || !f->complete)
		return;
	if (f->apart == APART_CLUSTER) {
		/* What it said of our block does not concern us. */
		o->lost_at = MONO_NEVER;
		if (o->kept && o->doing == BLOCK_RESTS && pool_block_size(b->pool) > 0)
			block_ours(f, o, true);
		return;
	}
	if (b->host == f->me)
		settle_mine(f, o);
	else
		settle_not_mine(f, o);
	if (b->host == f->me || o->kept || b->used > 0 || o->ours || o->doing != BLOCK_RESTS ||
	    write_pending(&o->write) || write_pending(&o->image_write) ||
	    o->write.not_before.ns > f->now.ns)
		return;
	list_remove(&o->image_link);
	list_remove(&o->link);
	b->own = NULL;
	mem_free(f->mem, o);
}

static void pool_attend(struct fleet *f, struct pool_state *p)
{
	table_for_each (&p->blocks, struct block, b)
		if (b->own || b->host == f->me || b->used > 0)
			block_attend(f, b);
}

void blocks_settle(struct fleet *f)
{
	if (f->settle_all)
		table_for_each (&f->pools, struct pool_state, p)
			pool_attend(f, p);
	while (f->attention.next != &f->attention) {
		struct link *l = f->attention.next;

		list_remove(l);
		block_settle(f, OF_LINK(struct own_block, link, l));
	}
}

void block_outcome(struct fleet *f, struct block *b, enum shared_outcome outcome)
{
	struct pool_state *p = b->pool;
	struct own_block *o = b->own;

	write_later(f, &o->write, outcome);
	if (o->doing == BLOCK_CLAIMS)
		claims_end(o);
	else if (outcome == SHARED_LOST || (outcome == SHARED_DONE && b->host == f->me))
		o->doing = outcome == SHARED_LOST ? BLOCK_RESTS : o->doing;
	block_attend(f, b);
	blocks_settle(f);
	pool_claim(f, p);
}

int block_load(struct fleet *f, const struct shared_record *kept)
{
	struct pool_state *p = pool_get(f, kept->block.pool);
	struct block *b = p ? block_get(f, p, kept->block.number) : NULL;
	struct own_block *o = b ? block_own(f, b) : NULL;

	if (!o)
		return -ENOMEM;
	if (!o->kept)
		o->kept = shared_copy(f->mem, kept);
	return o->kept ? 0 : -ENOMEM;
}
