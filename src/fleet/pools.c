/* Pools, and the blocks that are known of each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "fleet/inside.h"

static uint64_t name_hash(const char *name)
{
	return hash_bytes(name, strlen(name), 0);
}

static bool pool_is(const void *item, const void *key)
{
	return strcmp(((const struct pool_state *)item)->name, key) == 0;
}

static bool block_is(const void *item, const void *key)
{
	return ((const struct block *)item)->number == *(const uint64_t *)key;
}

struct pool_state *pool_find(const struct fleet *f, const char *name)
{
	return table_get(&f->pools, name_hash(name), name, pool_is);
}

struct pool_state *pool_get(struct fleet *f, const char *name)
{
	struct pool_state *p = pool_find(f, name);

	if (p)
		return p;
	p = mem_alloc(f->mem, sizeof(*p));
	if (!p)
		return NULL;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->surplus_since = MONO_NEVER;
	table_init(&p->blocks, f->mem);
	if (table_add(&f->pools, name_hash(name), p) < 0) {
		mem_free(f->mem, p);
		return NULL;
	}
	return p;
}

struct block *block_find(const struct pool_state *p, uint64_t number)
{
	return table_get(&p->blocks, hash_u64(number), &number, block_is);
}

struct block *block_get(struct fleet *f, struct pool_state *p, uint64_t number)
{
	struct block *b = block_find(p, number);

	if (b)
		return b;
	b = mem_alloc(f->mem, sizeof(*b));
	if (!b)
		return NULL;
	*b = (struct block){ .pool = p, .number = number };
	if (table_add(&p->blocks, hash_u64(number), b) < 0) {
		mem_free(f->mem, b);
		return NULL;
	}
	return b;
}

struct own_block *block_own(struct fleet *f, struct block *b)
{
	struct own_block *o = b->own;

	if (o)
		return o;
	o = mem_alloc(f->mem, sizeof(*o));
	if (!o)
		return NULL;
	o->block = b;
	o->lost_at = MONO_NEVER;
	b->own = o;
	return o;
}

uint32_t pool_block_size(const struct pool_state *p)
{
	return p->record ? p->record->pool.block_size : 0;
}

uint64_t pool_block_count(const struct pool_state *p)
{
	uint32_t size = pool_block_size(p);

	return size ? p->size / size + (p->size % size != 0) : 0;
}

struct shared_record block_record(const struct fleet *f, const struct block *b)
{
	struct shared_record r = { .kind = SHARED_BLOCK, .revision = b->revision };

	snprintf(r.block.pool, sizeof(r.block.pool), "%s", b->pool->name);
	r.block.number = b->number;
	if (b->host)
		r.block.host = b->host->uuid;
	(void)f;
	return r;
}

struct block *block_of(struct fleet *f, const char *pool, uint64_t number)
{
	struct pool_state *p = pool[0] != '\0' ? pool_find(f, pool) : NULL;
	uint32_t size = p ? pool_block_size(p) : 0;
	struct block *b = size ? block_get(f, p, number / size) : NULL;

	if (size && !b)
		fleet_short(f);
	return b;
}

void pool_told(struct fleet *f, const struct shared_record *r)
{
	struct pool_state *p = pool_get(f, r->pool.pool.name);
	struct shared_record *old, *copy = NULL;

	if (p && (p->record ? p->record->revision == r->revision : r->revision == 0))
		return;
	if (p && r->revision > 0)
		copy = shared_copy(f->mem, r);
	if (!p || (r->revision > 0 && !copy)) {
		fleet_short(f);
		return;
	}
	old = p->record;
	p->record = copy;
	/* What is of it is told anew when there is one of that name again. */
	if (!copy)
		table_for_each (&p->blocks, struct block, b)
			b->used = 0;
	if (f->apart != APART_CLUSTER) {
		if (copy || p->kept)
			f->ops->keep(f->ctx, p->kept ? old : NULL, copy, 0);
		p->kept = copy != NULL;
		f->ops->pool(f->ctx, copy ? &copy->pool : &r->pool, !copy);
	}
	mem_free(f->mem, old);
	f->settle_all = true;
}

void fleet_pool_room(struct fleet *f, const char *pool, uint64_t size, uint64_t available,
		     mono_t now)
{
	struct pool_state *p = pool_get(f, pool);

	f->now = now;
	if (!p) {
		fleet_short(f);
		return;
	}
	if (p->size != size)
		p->where_known = false;
	p->room_told = size > 0;
	p->size = size;
	p->available = available;
	pool_claim(f, p);
	pool_shed(f, p);
}

uint32_t fleet_block_size(uint64_t pool_size)
{
	uint32_t size = BLOCK_SIZE_MAX;

	while (size > 1 && size > pool_size / 64)
		size /= 2;
	return size;
}

static void pool_free(struct fleet *f, struct pool_state *p)
{
	table_for_each (&p->blocks, struct block, b) {
		if (b->own)
			mem_free(f->mem, b->own->kept);
		mem_free(f->mem, b->own);
		mem_free(f->mem, b);
	}
	table_done(&p->blocks);
	mem_free(f->mem, p->record);
	mem_free(f->mem, p);
}

void pools_done(struct fleet *f)
{
	table_for_each (&f->pools, struct pool_state, p)
		pool_free(f, p);
	table_done(&f->pools);
}
