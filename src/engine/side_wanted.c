/* What is agreed upon: segments with their numbers in the tunnel, pools with their blocks, and the
 * hosts at the tunnel's other ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/side.h"

static bool wanted_is(const struct wanted *w, enum shared_kind kind, const char *name,
		      const struct uuid *host)
{
	if (w->kind != kind)
		return false;
	if (kind == SHARED_HOST)
		return uuid_equal(&w->host, host);
	return strcmp(kind == SHARED_POOL ? w->pool.pool.name : w->segment.name, name) == 0;
}

static struct wanted **find(struct fleet_side *s, enum shared_kind kind, const char *name,
			    const struct uuid *host)
{
	struct wanted **at = &s->wanted;

	while (*at && !wanted_is(*at, kind, name, host))
		at = &(*at)->next;
	return at;
}

static struct wanted *take(struct fleet_side *s, enum shared_kind kind, const char *name,
			   const struct uuid *host)
{
	struct wanted **at = find(s, kind, name, host), *w = *at;

	if (w)
		return w;
	w = side_alloc(s, sizeof(*w));
	*w = (struct wanted){ .kind = kind };
	*at = w;
	return w;
}

static void drop(struct fleet_side *s, struct wanted **at)
{
	struct wanted *w = *at;

	*at = w->next;
	engine_dispose(s->e, w);
}

void side_wanted_free(struct fleet_side *s)
{
	while (s->wanted)
		drop(s, &s->wanted);
}

/* --- segments -------------------------------------------------------------------------------- */

static void tunnel_net(struct fleet_side *s, const struct shared_segment *agreed)
{
	const struct world_segment *here = world_segment_named(&s->e->world, agreed->name);
	struct plane_net net;
	struct error error;

	if (!here || !s->e->cfg.plane)
		return;
	net = (struct plane_net){ here->record->net >> 12, here->record->net & 0xfff };
	if (plane_tunnel_net(s->e->cfg.plane, &net, agreed->number, &error) < 0)
		log_warning("segment %s: no tunnel: %s", agreed->name, error.message);
}

void side_agreed_segment(struct fleet_side *s, const struct shared_segment *segment)
{
	struct wanted *w = take(s, SHARED_SEGMENT, segment->name, NULL);

	w->segment = *segment;
	tunnel_net(s, segment);
}

/* The pools that others made in a segment appear with it. */
void side_segment_came(struct fleet_side *s, const struct segment *segment)
{
	for (struct wanted *w = s->wanted; w; w = w->next) {
		if (w->kind == SHARED_SEGMENT && strcmp(w->segment.name, segment->name) == 0)
			tunnel_net(s, &w->segment);
		if (w->kind == SHARED_POOL && strcmp(w->pool.segment, segment->name) == 0 &&
		    !world_pool_named(&s->e->world, w->pool.pool.name))
			side_make_pool(s, &w->pool);
	}
}

/* --- hosts ----------------------------------------------------------------------------------- */

static void tunnel_peer(struct fleet_side *s, const struct ip *address, bool known)
{
	struct error error;

	if (address->family && s->e->cfg.plane &&
	    plane_tunnel_peer(s->e->cfg.plane, address, known, &error) < 0)
		log_warning("tunnel: %s", error.message);
}

static void told_host(struct fleet_side *s, const struct shared_record *r)
{
	const struct shared_host *host = &r->host;
	struct wanted **at = find(s, SHARED_HOST, NULL, &host->uuid), *w = *at;

	if (uuid_equal(&host->uuid, &s->self))
		return;
	if (w && (r->revision == 0 || !ip_equal(&w->address, &host->address))) {
		tunnel_peer(s, &w->address, false);
		drop(s, at);
		w = NULL;
	}
	if (w || r->revision == 0)
		return;
	w = take(s, SHARED_HOST, NULL, &host->uuid);
	w->host = host->uuid;
	w->address = host->address;
	tunnel_peer(s, &w->address, true);
}

void side_told(struct fleet_side *s, const struct shared_record *r)
{
	struct wanted **at;

	if (r->kind == SHARED_HOST) {
		told_host(s, r);
	} else if (r->kind == SHARED_SEGMENT && r->revision > 0) {
		side_agreed_segment(s, &r->segment);
	} else if (r->kind == SHARED_SEGMENT) {
		at = find(s, SHARED_SEGMENT, r->segment.name, NULL);
		if (*at)
			drop(s, at);
	}
}

/* --- pools ----------------------------------------------------------------------------------- */

void side_to_pool(struct fleet_side *s, const struct pool *p, struct shared_record *ret)
{
	*ret = (struct shared_record){ .kind = SHARED_POOL, .pool.pool = *p };
	ret->pool.pool.id = ret->pool.pool.segment = 0;
	ret->pool.pool.cursor = 0;
	ret->pool.pool.created = (wall_t){ 0 };
	snprintf(ret->pool.segment, sizeof(ret->pool.segment), "%s",
		 world_segment(&s->e->world, p->segment)->record->name);
	ret->pool.block_size = pool_numbers_a_block(pool_space_measure(p, POOL_SPACE_USABLE));
}

static bool same_ranges(const struct vmac_mac_range *a, const struct vmac_mac_range *b,
			unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (!vmac_mac_equal(a[i].first, b[i].first) ||
		    !vmac_mac_equal(a[i].last, b[i].last))
			return false;
	return true;
}

/* Whether both number the same addresses in the same order. */
static bool same_pool(const struct pool *a, const struct pool *b)
{
	return a->range_count == b->range_count && a->exclude_count == b->exclude_count &&
	       same_ranges(a->ranges, b->ranges, a->range_count) &&
	       same_ranges(a->excludes, b->excludes, a->exclude_count) &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

static void pool_conflicts(struct fleet_side *s, struct world_pool *p, const char *why)
{
	if (!p->conflict) {
		log_error("pool %s: %s; this host takes no address of it", p->record->name, why);
		event_fleet(s->e, "registry", "", p->record->name, "alarm", "", "", why);
	}
	p->conflict = true;
	p->shared = false;
}

void side_agreed_pool(struct fleet_side *s, const struct shared_pool *pool)
{
	struct world_pool *p = world_pool_named(&s->e->world, pool->pool.name);
	const char *segment =
		p ? world_segment(&s->e->world, p->record->segment)->record->name : "";

	if (!p)
		return;
	if (!same_pool(p->record, &pool->pool) || strcmp(segment, pool->segment) != 0) {
		pool_conflicts(
			s, p,
			"other hosts have a pool of this name with other ranges, another key "
			"or in another segment");
		return;
	}
	p->conflict = false;
	p->shared = true;
	if (pool->block_size && pool->block_size <= BLOCK_SIZE_MAX && p->machine.usable.size > 0)
		pool_machine_blocks(&p->machine, pool->block_size);
	s->rooms_changed = true;
}

void side_told_pool(void *ctx, const struct shared_pool *p, bool gone)
{
	struct fleet_side *s = ctx;
	struct wanted **at = find(s, SHARED_POOL, p->pool.name, NULL);
	struct world_pool *here = world_pool_named(&s->e->world, p->pool.name);

	if (gone) {
		if (*at)
			drop(s, at);
		if (here)
			here->counted = false;
		side_drop_pool(s, p);
		return;
	}
	take(s, SHARED_POOL, p->pool.name, NULL)->pool = *p;
	if (here) {
		side_agreed_pool(s, p);
		s->counts_due |= !here->counted;
	}
	if (!here && !side_pool_is_coming(s, p->pool.name))
		side_make_pool(s, p);
}

void side_block(void *ctx, const char *pool, uint64_t number, uint32_t block_size, bool ours)
{
	struct fleet_side *s = ctx;
	struct world_pool *p = world_pool_named(&s->e->world, pool);
	int r = 0;

	s->rooms_changed = true;
	if (!p || p->machine.usable.size == 0 || block_size == 0)
		return;
	if (!ours) {
		pool_machine_revoke(&p->machine, number);
		return;
	}
	pool_machine_blocks(&p->machine, block_size);
	r = pool_machine_grant(&p->machine, number);
	if (r == -ENOMEM)
		side_alloc(s, SIZE_MAX / 2);
	else if (r == -ERANGE)
		log_error("pool %s has no block %llu", pool, (unsigned long long)number);
}

/* --- what this host has and the others may not know ------------------------------------------- */

struct agreeing {
	struct fleet_side *s;
	char name[NAME_MAX_LEN + 1];
};

#define AGREE_RETRY SPAN_S(1)

static void ask_again(struct fleet_side *s, const struct error *error)
{
	log_debug("what this host has is not agreed upon yet: %s", error->message);
	s->agree_at = mono_after(s->e->cfg.mono_now(), AGREE_RETRY);
}

static void pool_answered(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	struct agreeing *a = ctx;
	struct world_pool *p = world_pool_named(&a->s->e->world, a->name);

	if (p)
		p->agreeing = false;
	if (p && !error)
		side_agreed_pool(a->s, &agreed->pool);
	else if (p && error->code == ERROR_CONFLICT)
		pool_conflicts(a->s, p, error->message);
	else if (error)
		ask_again(a->s, error);
	engine_dispose(a->s->e, a);
}

/* Of the segments that were agreed upon. */
void side_agree_pools(struct fleet_side *s)
{
	struct shared_record wanted;
	struct agreeing *a;

	s->pools_due = false;
	table_for_each (&s->e->world.pools_by_name, struct world_pool, p) {
		side_to_pool(s, p->record, &wanted);
		if (p->shared || p->conflict || p->agreeing ||
		    !world_segment(&s->e->world, p->record->segment)->shared)
			continue;
		p->agreeing = true;
		if (p->machine.block_size)
			wanted.pool.block_size = p->machine.block_size;
		a = side_alloc(s, sizeof(*a));
		a->s = s;
		snprintf(a->name, sizeof(a->name), "%s", p->record->name);
		fleet_agree(s->fleet, &wanted, pool_answered, a, s->e->cfg.mono_now());
	}
}

static void segment_answered(void *ctx, const struct shared_record *agreed,
			     const struct error *error)
{
	struct agreeing *a = ctx;
	struct fleet_side *s = a->s;
	struct world_segment *segment = world_segment_named(&s->e->world, a->name);

	if (segment) {
		segment->agreeing = false;
		segment->shared = !error;
	}
	if (!error) {
		side_agreed_segment(s, &agreed->segment);
		s->pools_due = true;
	} else if (error->code == ERROR_CONFLICT) {
		log_error("segment %s: %s; its pools are not shared", a->name, error->message);
		event_fleet(s->e, "registry", a->name, a->name, "alarm", "", "", error->message);
	} else {
		ask_again(s, error);
	}
	engine_dispose(s->e, a);
}

void side_agree_all(struct fleet_side *s)
{
	table_for_each (&s->e->world.segments_by_name, struct world_segment, segment) {
		const struct segment *record = segment->record;
		struct shared_record wanted = { .kind = SHARED_SEGMENT };
		struct agreeing *a;

		if (segment->agreeing)
			continue;
		if (segment->shared) {
			s->pools_due = true;
			continue;
		}
		segment->agreeing = true;
		a = side_alloc(s, sizeof(*a));
		a->s = s;
		snprintf(a->name, sizeof(a->name), "%s", record->name);
		snprintf(wanted.segment.name, sizeof(wanted.segment.name), "%s", record->name);
		wanted.segment.vlan = record->vlan;
		fleet_agree(s->fleet, &wanted, segment_answered, a, s->e->cfg.mono_now());
	}
}
