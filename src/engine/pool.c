/* Commands on pools. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/side.h"
#include "model/record.h"

#define QUARANTINE_DEFAULT_MS (INT64_C(4) * 3600 * 1000)
#define QUARANTINE_MS_MAX     (INT64_C(365) * 24 * 3600 * 1000)

/* Administratively assigned first octets (RFC 9542 section 2.1) that nobody is known to generate
 * from: not 02 (MS-NLB, Docker, KubeVirt, old vendors) and not 52 (QEMU). */
static const uint8_t aai_octets[] = { 0x12, 0x22, 0x32, 0x62, 0x72, 0x82, 0x92,
				      0xa2, 0xb2, 0xc2, 0xd2, 0xe2, 0xf2 };

/* Sites that meet on one wire by accident should not have drawn the same range: the second octet is
 * drawn too, so the chance is 1 in 3,328. */
static void default_range(struct engine *e, struct pool *p)
{
	uint8_t draw[2];
	uint64_t first;

	e->cfg.random(draw, sizeof(draw));
	first = (uint64_t)aai_octets[draw[0] % ARRAY_LEN(aai_octets)] << 40 | (uint64_t)draw[1]
										      << 32;
	p->range_count = 1;
	p->ranges[0] = (struct vmac_mac_range){ vmac_mac_from_u64(first),
						vmac_mac_from_u64(first | 0xffffffff) };
}

static int pool_overlaps(struct engine *e, const struct pool *p, struct error *ret_error)
{
	char text[2 * VMAC_MAC_TEXT_MAX + 2];

	table_for_each (&e->world.pools_by_name, struct world_pool, other)
		if (other->record->segment == p->segment && pool_configs_overlap(other->record, p))
			return error_set(ret_error, ERROR_RANGE_IN_USE,
					 "pools of one segment may not share an address",
					 "the ranges overlap pool '%s' (%s%s)", other->record->name,
					 vmac_mac_range_format(other->record->ranges[0], text),
					 other->record->range_count > 1 ? ", …" : "");
	return 0;
}

static int quarantine_check(int64_t ms, struct error *ret_error)
{
	if (ms < 0 || ms > QUARANTINE_MS_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, "0 to 365d, such as 4h or 30m",
				 "quarantine: out of bounds");
	return 0;
}

int pool_fill(struct engine *e, const struct pool_add *a, struct pool *p, struct error *ret_error)
{
	struct world_segment *s;
	int r;

	r = name_check("name", a->name, ret_error);
	if (r == 0)
		r = engine_find_segment(e, a->segment, &s, ret_error);
	if (r < 0)
		return r;
	if (world_pool_named(&e->world, a->name))
		return error_set(ret_error, ERROR_NAME_IN_USE, NULL, "there is a pool '%s' already",
				 a->name);
	p->id = world_free_pool_id(&e->world);
	if (p->id == 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL, "there are %u pools already",
				 POOLS_MAX);
	snprintf(p->name, sizeof(p->name), "%s", a->name);
	p->segment = s->record->id;
	p->range_count = a->range_count;
	p->exclude_count = a->exclude_count;
	memcpy(p->ranges, a->ranges, sizeof(p->ranges));
	memcpy(p->excludes, a->excludes, sizeof(p->excludes));
	if (p->range_count == 0)
		default_range(e, p);
	if (a->has_key)
		memcpy(p->key, a->key, sizeof(p->key));
	else
		e->cfg.random(p->key, sizeof(p->key));
	p->quarantine_ms = a->quarantine_ms == -1 ? QUARANTINE_DEFAULT_MS : a->quarantine_ms;
	p->limit = a->limit;
	p->created = e->cfg.wall_now();
	r = quarantine_check(p->quarantine_ms, ret_error);
	if (r == 0)
		r = pool_config_check(p, ret_error);
	if (r == 0)
		r = pool_overlaps(e, p, ret_error);
	return r;
}

/* Moves every vMAC of the segment that fits into the pool (or out of it): pinned and adopted
 * addresses that were there before the pool are its own from now on, so that one registry guards
 * both. */
int pool_reassign(struct txn *t, uint32_t segment, uint32_t from, uint32_t to)
{
	struct world *w = &t->e->world;
	struct world_pool *p = world_pool(w, to ? to : from);
	const struct vmac **found;
	size_t count = 0;
	int r = 0;

	found = engine_alloc(t->e, (w->vmacs.count + 1) * sizeof(*found));
	if (!found)
		return -ENOMEM;
	table_for_each (&w->vmacs, const struct vmac, v)
		if (v->segment == segment && v->pool == from &&
		    (from != 0 || pool_machine_has(&p->machine, v->address)))
			found[count++] = v;
	for (size_t i = 0; i < count && r == 0; i++) {
		struct vmac moved = *found[i];

		moved.pool = to;
		r = txn_put(t, CHANGE_VMAC, found[i], &moved, "");
	}
	engine_dispose(t->e, found);
	return r;
}

void engine_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		     answer_fn done, void *ctx)
{
	e->commands++;
	if (e->side)
		side_pool_add(e, c, a, done, ctx);
	else
		pool_add_now(e, c, a, NULL, done, ctx);
}

/* What identifies a pool is what the hosts have agreed upon; the rest is this host's own. */
static void pool_adopt(struct pool *p, const struct pool *agreed)
{
	p->range_count = agreed->range_count;
	p->exclude_count = agreed->exclude_count;
	memcpy(p->ranges, agreed->ranges, sizeof(p->ranges));
	memcpy(p->excludes, agreed->excludes, sizeof(p->excludes));
	memcpy(p->key, agreed->key, sizeof(p->key));
}

void pool_add_now(struct engine *e, const struct caller *c, const struct pool_add *a,
		  const struct pool *agreed, answer_fn done, void *ctx)
{
	struct pool p = { 0 };
	struct error error;
	struct txn *t;

	if (pool_fill(e, a, &p, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (agreed)
		pool_adopt(&p, agreed);
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (txn_put(t, CHANGE_POOL, NULL, &p, "create") < 0 ||
	    pool_reassign(t, p.segment, 0, p.id) < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->answer.pool = t->changes[0].after;
	txn_submit(t);
}

void engine_pool_set(struct engine *e, const struct caller *c, const char *name,
		     const struct pool_set *s, answer_fn done, void *ctx)
{
	struct world_pool *p;
	struct error error;
	struct pool new;
	struct txn *t;

	e->commands++;
	if (engine_find_pool(e, name, &p, &error) < 0 ||
	    (s->has_quarantine && quarantine_check(s->quarantine_ms, &error) < 0)) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	new = *p->record;
	if (s->has_quarantine)
		new.quarantine_ms = s->quarantine_ms;
	if (s->has_limit)
		new.limit = s->limit;
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (txn_put(t, CHANGE_POOL, p->record, &new, "change") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->answer.pool = t->changes[0].after;
	txn_submit(t);
}

int pool_delete_check(struct engine *e, const char *name, struct error *ret_error)
{
	struct world_pool *p;
	int r = engine_find_pool(e, name, &p, ret_error);

	if (r == 0 && p->machine.used > 0)
		r = error_set(ret_error, ERROR_IN_USE,
			      "release them first: vmac mac list --pool NAME",
			      "pool '%s' has %llu virtual MAC(s) in use", name,
			      (unsigned long long)p->machine.used);
	return r;
}

void engine_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
			void *ctx)
{
	e->commands++;
	if (e->side)
		side_pool_delete(e, c, name, done, ctx);
	else
		pool_delete_now(e, c, name, done, ctx);
}

void pool_delete_now(struct engine *e, const struct caller *c, const char *name, answer_fn done,
		     void *ctx)
{
	struct world_pool *p;
	struct error error;
	struct txn *t;

	if (pool_delete_check(e, name, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	p = world_pool_named(&e->world, name);
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	/* What is in quarantine stays there: it leaves the pool, not the registry. */
	if (pool_reassign(t, p->record->segment, p->record->id, 0) < 0 ||
	    txn_change(t, CHANGE_POOL, p->record, NULL, "delete") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	txn_submit(t);
}

int pool_mark_cursor(struct txn *t, struct world_pool *p, struct error *ret_error)
{
	struct pool marked;

	marked = *p->record;
	if (!world_cursor_mark(p, &marked.cursor))
		return 0;
	if (txn_put(t, CHANGE_POOL, p->record, &marked, "") < 0)
		return engine_no_memory(ret_error);
	return 0;
}
