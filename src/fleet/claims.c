/* What is claimed before the journal has it: addresses, identities, segments, pools,
 * clusters.
 *
 * A claim is looked at, told, and looked at again until the registry says yes or no.  An address in
 * a pool's range belongs to whoever has its block, which allocates there without asking: so it is
 * claimed together with its block, or refused where another host has that. */
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

static const struct uuid nobody;

static void claim_free(struct fleet *f, struct claim *c)
{
	list_remove(&c->link);
	list_remove(&c->write.link);
	mem_free(f->mem, c->wanted);
	mem_free(f->mem, c);
}

/* The last thing done with a claim. */
static void answer(struct fleet *f, struct claim *c, const struct shared_record *r,
		   const struct error *error)
{
	fleet_claimed_fn claimed = c->claimed;
	fleet_agreed_fn agreed = c->agreed;
	void *ctx = c->ctx;
	uint8_t kind = c->kind;

	/* It may yet be done: kept until that is seen, and undone then. */
	c->abandoned = kind == CLAIM_ADDRESS && error &&
		       error->code == ERROR_REGISTRY_UNREACHABLE && c->rounds > 0;
	if (!c->abandoned)
		list_remove(&c->link);
	c->claimed = NULL;
	c->agreed = NULL;
	if (kind == CLAIM_ADDRESS && claimed)
		claimed(ctx, r ? &r->vmac : NULL, error);
	else if (agreed)
		agreed(ctx, r, error);
	if (!c->abandoned)
		claim_free(f, c);
}

static void refuse_unreachable(struct fleet *f, struct claim *c)
{
	struct error e;

	if (f->apart != APART_NOT)
		e = f->apart_error;
	else
		error_set(
			&e, ERROR_REGISTRY_UNREACHABLE,
			c->kind == CLAIM_ADDRESS
				? "what the pool chooses from this host's blocks needs no registry"
				: "what there is goes on as it is; try again when it is back",
			"the shared registry is out of reach: %s",
			f->reach_error.code ? f->reach_error.message
					    : "this host has not joined the others yet");
	answer(f, c, NULL, &e);
}

void claims_unreachable(struct fleet *f)
{
	LIST_FOR_EACH(&f->claims, l)
	{
		struct claim *c = OF_LINK(struct claim, link, l);

		if (!c->abandoned && !write_pending(&c->write))
			refuse_unreachable(f, c);
	}
}

/* --- addresses ------------------------------------------------------------------------------- */

static void in_use(struct fleet *f, struct claim *c, const struct uuid *host, const char *how)
{
	struct error e;

	error_set(&e, ERROR_ADDRESS_IN_USE,
		  "choose another address, or move that one: vmac mac move", "host %s %s",
		  host_name(f, host), how);
	answer(f, c, NULL, &e);
}

/* The block to be claimed along: *ret.  false: answered, no. */
static bool claim_block(struct fleet *f, struct claim *c, struct shared_record *ret, bool *ret_with)
{
	struct fleet_name n = { c->wanted->vmac.segment, c->wanted->vmac.address };
	const char *pool = "";
	struct block *b;
	uint64_t number;

	*ret_with = false;
	if (!f->ops->locate(f->ctx, &n, &pool, &number))
		return true;
	b = block_of(f, pool, number);
	if (!b)
		return true; /* of a pool that is this host's alone */
	if (b->host && b->host != f->me) {
		in_use(f, c, &b->host->uuid,
		       "may give it to anybody: it is of a block of a pool that this host owns");
		return false;
	}
	if (b->own && b->own->doing != BLOCK_RESTS) {
		fleet_retry_at(f, mono_after(f->now, FLEET_RETRY));
		return false; /* not answered: when that is over */
	}
	*ret = block_record(f, b);
	ret->block.host = f->self;
	ret->block.request = c->request;
	*ret_with = true;
	return true;
}

/* Fills the identity's key and revision, where there is one.  true: answered, no. */
static bool identity_taken(struct fleet *f, struct claim *c, struct shared_record *id)
{
	const struct shared_record *is;

	if (c->identity[0] == '\0')
		return false;
	snprintf(id->identity.pool, sizeof(id->identity.pool), "%s", c->wanted->vmac.pool);
	snprintf(id->identity.identity, sizeof(id->identity.identity), "%s", c->identity);
	is = mirror_get(f, id);
	if (is && !uuid_equal(&is->identity.host, &f->self)) {
		in_use(f, c, &is->identity.host, "has an address for this identity");
		return true;
	}
	id->revision = is ? is->revision : 0;
	return false;
}

static void claim_address(struct fleet *f, struct claim *c)
{
	const struct shared_record *is = mirror_get(f, c->wanted);
	struct shared_record block, r = *c->wanted, id = { .kind = SHARED_IDENTITY };
	struct shared_put puts[3] = { { .record = &r } };
	unsigned int count = 1;
	bool with;

	if (is && uuid_equal(&is->vmac.holder, &f->self) && is->vmac.state == SHARED_HELD) {
		/* Ours: this claim's, or one's before whose answer was lost. */
		struct place *p = place_get(f, is->vmac.segment, is->vmac.address);

		if (p)
			p->holding = true;
		answer(f, c, is, NULL);
		return;
	}
	if (identity_taken(f, c, &id))
		return;
	if (is) {
		in_use(f, c, &is->vmac.holder,
		       is->vmac.state == SHARED_RELEASED
			       ? "released it, and its quarantine is not over"
			       : "has it");
		return;
	}
	if (!claim_block(f, c, &block, &with))
		return;
	r.revision = 0;
	r.vmac.state = SHARED_HELD;
	r.vmac.holder = f->self;
	r.vmac.to = nobody;
	r.vmac.request = c->request;
	if (with)
		puts[count++] = (struct shared_put){ .record = &block };
	if (c->identity[0] != '\0') {
		id.identity.address = r.vmac.address;
		id.identity.host = f->self;
		id.identity.request = c->request;
		puts[count++] = (struct shared_put){ .record = &id };
	}
	c->rounds++;
	write_send_all(f, &c->write, WRITE_CLAIM, puts, count);
}

bool claim_pending(const struct fleet *f, const struct shared_record *r)
{
	LIST_FOR_EACH((struct link *)&f->claims, l)
	{
		const struct claim *c = OF_LINK(struct claim, link, l);

		if (!c->abandoned && shared_same_key(c->wanted, r))
			return true;
	}
	return false;
}

bool claim_abandoned(struct fleet *f, const struct shared_record *r)
{
	LIST_FOR_EACH(&f->claims, l)
	{
		struct claim *c = OF_LINK(struct claim, link, l);

		if (!c->abandoned || r->revision == 0 || !shared_same_key(c->wanted, r))
			continue;
		if (uuid_equal(&r->vmac.request, &c->request) &&
		    orphan_new(f, r, NULL, false) < 0) {
			fleet_short(f);
			return true;
		}
		claim_free(f, c);
		return r->vmac.state == SHARED_HELD && uuid_equal(&r->vmac.holder, &f->self);
	}
	return false;
}

/* --- segments and pools ---------------------------------------------------------------------- */

static const struct shared_record *agreed_now(struct fleet *f, const struct shared_record *wanted)
{
	struct pool_state *p;

	if (wanted->kind == SHARED_SEGMENT)
		return mirror_get(f, wanted);
	if (wanted->kind == SHARED_CLUSTER)
		return cluster_agreed(f, wanted->cluster.cluster->name);
	p = pool_find(f, wanted->pool.pool.name);
	return p && p->record && p->record->revision > 0 ? p->record : NULL;
}

static bool key_is_none(const struct pool *p)
{
	uint8_t all = 0;

	for (size_t i = 0; i < sizeof(p->key); i++)
		all |= p->key[i];
	return all == 0;
}

/* What was left open is as others have it. */
static bool agrees(const struct shared_record *wanted, const struct shared_record *is)
{
	struct shared_record w = *wanted;

	if (w.kind == SHARED_CLUSTER)
		return shared_equal(&w, is);
	if (w.kind == SHARED_SEGMENT) {
		if (w.segment.number == 0)
			w.segment.number = is->segment.number;
	} else {
		if (w.pool.block_size == 0)
			w.pool.block_size = is->pool.block_size;
		if (key_is_none(&w.pool.pool))
			memcpy(w.pool.pool.key, is->pool.pool.key, sizeof(w.pool.pool.key));
	}
	return shared_equal(&w, is);
}

static bool segment_number_taken(const struct fleet *f, uint32_t number)
{
	table_for_each (&f->records, struct shared_record, r)
		if (r->kind == SHARED_SEGMENT && r->segment.number == number)
			return true;
	return false;
}

#define SEGMENT_NUMBER_MAX ((1u << 24) - 1)

static uint32_t segment_number(struct fleet *f)
{
	uint32_t number = 1 + (uint32_t)(fleet_random(f) % SEGMENT_NUMBER_MAX);

	/* There are SEGMENTS_MAX at most, and as many tries always find one that is free. */
	for (unsigned int i = 0; i <= SEGMENTS_MAX && segment_number_taken(f, number); i++)
		number = number == SEGMENT_NUMBER_MAX ? 1 : number + 1;
	return number;
}

static void conflict(struct fleet *f, struct claim *c, const struct shared_record *is)
{
	const char *name = is->kind == SHARED_SEGMENT ? is->segment.name : is->pool.pool.name;
	struct error e;

	if (is->kind == SHARED_SEGMENT)
		error_set(&e, ERROR_CONFLICT, "make it here as it is there, or under another name",
			  "segment %s is agreed upon with vlan %u and number %u", name,
			  is->segment.vlan, is->segment.number);
	else
		error_set(
			&e, ERROR_CONFLICT, "make it here as it is there, or under another name",
			"pool %s is agreed upon otherwise (segment %s, %u ranges, block size %u): "
			"ranges, excludes, key, quarantine or limit differ",
			name, is->pool.segment, is->pool.pool.range_count, is->pool.block_size);
	answer(f, c, NULL, &e);
}

static void claim_agree(struct fleet *f, struct claim *c)
{
	const struct shared_record *is = agreed_now(f, c->wanted);
	struct shared_record r = *c->wanted, meta;
	struct shared_put puts[2] = { { .record = &r }, { .record = &meta } };
	bool cluster = r.kind == SHARED_CLUSTER;
	unsigned int count = 1;
	struct error e;

	if (is && agrees(c->wanted, is)) {
		answer(f, c, is, NULL);
		return;
	}
	if (cluster && cluster_refused(f, &r, is, &e)) {
		answer(f, c, NULL, &e);
		return;
	}
	if (is && !cluster) {
		conflict(f, c, is);
		return;
	}
	if (!f->meta)
		return; /* comes with the next join */
	r.revision = is ? is->revision : 0;
	/* Numbers are unique as hosts' are, and so is what clusters have: whoever chooses one
	 * writes META again. */
	if (r.kind == SHARED_SEGMENT || (cluster && cluster_takes(&r, is))) {
		meta = *f->meta;
		count = 2;
	}
	if (r.kind == SHARED_SEGMENT) {
		if (r.segment.number == 0 || segment_number_taken(f, r.segment.number))
			r.segment.number = segment_number(f);
	}
	c->rounds++;
	write_send_all(f, &c->write, WRITE_CLAIM, puts, count);
}

/* Whose block or pool is in the way; false: nobody's. */
static bool retire_blocked(const struct fleet *f, const struct shared_record *key, struct error *e)
{
	if (key->kind == SHARED_SEGMENT) {
		table_for_each (&f->pools, struct pool_state, p)
			if (p->record && strcmp(p->record->pool.segment, key->segment.name) == 0)
				return error_set(e, ERROR_WRONG_STATE, "delete the pool first",
						 "pool %s is in segment %s", p->name,
						 key->segment.name) < 0;
		table_for_each (&f->clusters, struct cluster_state, c)
			if (c->record && strcmp(c->record->cluster.segment, key->segment.name) == 0)
				return error_set(e, ERROR_WRONG_STATE, "delete the cluster first",
						 "cluster %s is in segment %s", c->name,
						 key->segment.name) < 0;
		return false;
	}
	if (key->kind == SHARED_CLUSTER)
		return false;
	table_for_each (&pool_find(f, key->pool.pool.name)->blocks, struct block, b)
		if (b->host && (b->host != f->me || b->used > 0))
			return error_set(e, ERROR_WRONG_STATE,
					 "release its addresses, and drain the host",
					 "host %s has block %llx of pool %s",
					 host_name(f, &b->host->uuid),
					 (unsigned long long)b->number, key->pool.pool.name) < 0;
	return false;
}

static void claim_retire(struct fleet *f, struct claim *c)
{
	const struct shared_record *is = agreed_now(f, c->wanted);
	struct error e;

	if (!is) {
		answer(f, c, c->wanted, NULL);
		return;
	}
	if (retire_blocked(f, c->wanted, &e)) {
		answer(f, c, NULL, &e);
		return;
	}
	c->rounds++;
	write_send(f, &c->write, WRITE_CLAIM, is, true);
}

/* --- all of them ----------------------------------------------------------------------------- */

void claim_settle(struct fleet *f, struct claim *c)
{
	struct error e;

	if (c->abandoned || write_pending(&c->write))
		return;
	if (!fleet_may_claim(f)) {
		refuse_unreachable(f, c);
		return;
	}
	if (c->rounds >= FLEET_CLAIM_ROUNDS) {
		error_set(&e, ERROR_CONFLICT, "try again",
			  "others changed the same records %u times in between", c->rounds);
		answer(f, c, NULL, &e);
		return;
	}
	if (c->kind == CLAIM_ADDRESS)
		claim_address(f, c);
	else if (c->kind == CLAIM_AGREE)
		claim_agree(f, c);
	else
		claim_retire(f, c);
}

void claim_outcome(struct fleet *f, struct claim *c, enum shared_outcome outcome,
		   const struct error *error)
{
	const struct shared_record *is;

	write_later(f, &c->write, outcome);
	if (c->abandoned)
		return;
	if (outcome == SHARED_DONE || outcome == SHARED_LOST) {
		claim_settle(f, c); /* looks at what was told */
		return;
	}
	/* Told, but not answered. */
	is = c->kind == CLAIM_ADDRESS ? mirror_get(f, c->wanted)
	     : c->kind == CLAIM_AGREE ? agreed_now(f, c->wanted)
				      : NULL;
	if (is && (c->kind == CLAIM_ADDRESS ? uuid_equal(&is->vmac.request, &c->request)
					    : agrees(c->wanted, is)))
		claim_settle(f, c);
	else if (outcome == SHARED_UNREACHABLE)
		refuse_unreachable(f, c);
	else
		answer(f, c, NULL, error);
}

static struct claim *claim_new(struct fleet *f, enum claim_kind kind,
			       const struct shared_record *wanted)
{
	struct claim *c = mem_alloc(f->mem, sizeof(*c));

	if (!c)
		return NULL;
	c->kind = (uint8_t)kind;
	c->request = fleet_uuid(f);
	c->wanted = shared_copy(f->mem, wanted);
	if (!c->wanted) {
		mem_free(f->mem, c);
		return NULL;
	}
	list_add(&f->claims, &c->link);
	return c;
}

void fleet_claim(struct fleet *f, const struct shared_vmac *wanted, const char *identity,
		 fleet_claimed_fn done, void *ctx, mono_t now)
{
	struct shared_record r = { .kind = SHARED_VMAC, .vmac = *wanted };
	struct claim *c = claim_new(f, CLAIM_ADDRESS, &r);
	struct error e;

	f->now = now;
	if (!c) {
		error_set(&e, ERROR_NO_MEMORY, NULL, "no memory for a claim");
		done(ctx, NULL, &e);
		return;
	}
	snprintf(c->identity, sizeof(c->identity), "%s", identity ? identity : "");
	c->claimed = done;
	c->ctx = ctx;
	claim_settle(f, c);
}

static void agree_or_retire(struct fleet *f, enum claim_kind kind, const struct shared_record *r,
			    fleet_agreed_fn done, void *ctx)
{
	struct claim *c = claim_new(f, kind, r);
	struct error e;

	if (!c) {
		error_set(&e, ERROR_NO_MEMORY, NULL, "no memory for a claim");
		done(ctx, NULL, &e);
		return;
	}
	c->agreed = done;
	c->ctx = ctx;
	claim_settle(f, c);
}

void fleet_agree(struct fleet *f, const struct shared_record *wanted, fleet_agreed_fn done,
		 void *ctx, mono_t now)
{
	f->now = now;
	agree_or_retire(f, CLAIM_AGREE, wanted, done, ctx);
}

void fleet_retire(struct fleet *f, const struct shared_record *key, fleet_agreed_fn done, void *ctx,
		  mono_t now)
{
	f->now = now;
	agree_or_retire(f, CLAIM_RETIRE, key, done, ctx);
}

void claims_free(struct fleet *f)
{
	LIST_FOR_EACH(&f->claims, l)
	claim_free(f, OF_LINK(struct claim, link, l));
}
