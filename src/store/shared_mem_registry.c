/* The shared registry that is memory: what it holds, and the log of its changes. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/shared_mem.h"

void *shared_mem_new(const struct mem *mem, uint64_t seed)
{
	struct mem_registry *g = mem_alloc(mem, sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct mem_registry){ .mem = mem, .seed = seed, .revision = 1 };
	table_init(&g->live, mem);
	return g;
}

static void node_unref(struct mem_registry *g, struct node *n)
{
	assert(n->refs > 0);
	if (--n->refs > 0)
		return;
	mem_free(g->mem, n->record);
	mem_free(g->mem, n);
}

void shared_mem_free(void *registry)
{
	struct mem_registry *g = registry;

	if (!g)
		return;
	assert(!g->hosts);
	table_for_each (&g->live, struct node, n)
		node_unref(g, n);
	table_done(&g->live);
	for (size_t i = 0; i < g->log_count; i++)
		node_unref(g, g->log[i]);
	mem_free(g->mem, g->log);
	mem_free(g->mem, g);
}

/* --- records --------------------------------------------------------------------------------- */

static bool node_has_key(const void *item, const void *key)
{
	return shared_same_key(((const struct node *)item)->record, key);
}

static struct node *node_get(const struct mem_registry *g, const struct shared_record *key)
{
	return table_get(&g->live, shared_key_hash(key), key, node_has_key);
}

const struct shared_record *mem_registry_get(const struct mem_registry *g,
					     const struct shared_record *key)
{
	const struct node *n = node_get(g, key);

	return n ? n->record : NULL;
}

/* What does not travel is taken off, so that nobody comes to rely on it. */
static void strip(struct shared_record *r)
{
	/* In the copy's own block. */
	struct cluster *cluster = (struct cluster *)r->cluster.cluster;
	struct vmac *vmacs = (struct vmac *)r->image.vmacs;

	if (r->kind == SHARED_POOL) {
		r->pool.pool.id = r->pool.pool.segment = 0;
		r->pool.pool.cursor = 0;
		r->pool.pool.created = (wall_t){ 0 };
	}
	if (r->kind == SHARED_CLUSTER) {
		cluster->id = cluster->segment = 0;
		cluster->created = (wall_t){ 0 };
	}
	for (size_t i = 0; r->kind == SHARED_IMAGE && i < r->image.count; i++) {
		vmacs[i].segment = vmacs[i].pool = vmacs[i].port = 0;
		vmacs[i].row = 0;
	}
}

struct shared_record mem_key_of(const struct shared_record *r, struct cluster *room)
{
	struct shared_record key = { .kind = r->kind };

	switch (r->kind) {
	case SHARED_HOST:
		key.host.uuid = r->host.uuid;
		return key;
	case SHARED_ALIVE:
		key.alive.host = r->alive.host;
		return key;
	case SHARED_SEGMENT:
		memcpy(key.segment.name, r->segment.name, sizeof(key.segment.name));
		return key;
	case SHARED_POOL:
		memcpy(key.pool.pool.name, r->pool.pool.name, sizeof(key.pool.pool.name));
		return key;
	case SHARED_BLOCK:
		memcpy(key.block.pool, r->block.pool, sizeof(key.block.pool));
		key.block.number = r->block.number;
		return key;
	case SHARED_VMAC:
		key.vmac.segment = r->vmac.segment;
		key.vmac.address = r->vmac.address;
		return key;
	case SHARED_IDENTITY:
		memcpy(key.identity.pool, r->identity.pool, sizeof(key.identity.pool));
		memcpy(key.identity.identity, r->identity.identity, sizeof(key.identity.identity));
		return key;
	case SHARED_ASK:
		key.ask.segment = r->ask.segment;
		key.ask.address = r->ask.address;
		return key;
	case SHARED_CLUSTER:
		*room = (struct cluster){ .check_target = "", .note = "" };
		memcpy(room->name, r->cluster.cluster->name, sizeof(room->name));
		key.cluster = (struct shared_cluster){ room, "" };
		return key;
	case SHARED_IMAGE:
		memcpy(key.image.pool, r->image.pool, sizeof(key.image.pool));
		key.image.number = r->image.number;
		key.image.host = r->image.host;
		return key;
	case SHARED_META:
	case SHARED_KIND_COUNT:
		break;
	}
	return key;
}

/* --- the log --------------------------------------------------------------------------------- */

/* Lets go of what every host has heard. */
static void log_trim(struct mem_registry *g)
{
	uint64_t first = mem_registry_end(g);
	size_t gone;

	for (const struct mem_host *h = g->hosts; h; h = h->next)
		if (h->heard < first)
			first = h->heard;
	gone = (size_t)(first - g->log_first);
	if (gone == 0)
		return;
	for (size_t i = 0; i < gone; i++)
		node_unref(g, g->log[i]);
	g->log_count -= gone;
	memmove(g->log, g->log + gone, g->log_count * sizeof(struct node *));
	g->log_first = first;
}

static int log_reserve(struct mem_registry *g, unsigned int more)
{
	size_t room = g->log_room ? 2 * g->log_room : MEM_LOG_TRIM_MIN;
	struct node **log;

	if (g->log_count + more <= g->log_room)
		return 0;
	log_trim(g);
	/* Half of it has to be free now, or the next trim comes too soon. */
	if (g->log_count + more <= g->log_room / 2)
		return 0;
	if (room > MEM_LOG_MAX)
		return -ENOMEM;
	log = mem_alloc(g->mem, room * sizeof(struct node *));
	if (!log)
		return -ENOMEM;
	if (g->log_count > 0)
		memcpy(log, g->log, g->log_count * sizeof(struct node *));
	mem_free(g->mem, g->log);
	g->log = log;
	g->log_room = room;
	return 0;
}

/* --- transactions ---------------------------------------------------------------------------- */

static struct node *node_new(const struct mem_registry *g, const struct shared_put *put,
			     uint64_t writer)
{
	struct cluster room;
	struct shared_record key = mem_key_of(put->record, &room);
	struct node *n = mem_alloc(g->mem, sizeof(*n));

	if (!n)
		return NULL;
	*n = (struct node){ .refs = 1, .writer = writer };
	n->record = shared_copy(g->mem, put->gone ? &key : put->record);
	if (!n->record) {
		mem_free(g->mem, n);
		return NULL;
	}
	strip(n->record);
	return n;
}

/* Puts a node whose room is there. */
static void node_put(struct mem_registry *g, struct node *n, bool gone)
{
	uint64_t hash = shared_key_hash(n->record);
	struct node *before = node_get(g, n->record);
	bool counts = n->record->kind != SHARED_IMAGE;

	n->record->revision = gone ? 0 : g->revision;
	if (before) {
		before->superseded = !gone;
		table_remove(&g->live, hash, before);
		node_unref(g, before);
		g->records -= counts;
	}
	if (!gone) {
		int r = table_add(&g->live, hash, n);

		assert(r == 0);
		n->refs++;
		g->records += counts;
	}
	g->log[g->log_count++] = n;
}

static bool compares(const struct mem_registry *g, const struct shared_put *puts,
		     unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct shared_record *now = mem_registry_get(g, puts[i].record);

		if ((now ? now->revision : 0) != puts[i].record->revision)
			return false;
	}
	return true;
}

static bool writes(const struct shared_put *p)
{
	return !p->compare_only && (!p->gone || p->record->revision > 0);
}

enum shared_outcome mem_registry_commit(struct mem_registry *g, const struct shared_put *puts,
					unsigned int count, uint64_t writer,
					struct error *ret_error)
{
	struct node *nodes[SHARED_TXN_MAX] = { 0 };
	unsigned int made = 0;
	int r;

	if (!compares(g, puts, count))
		return SHARED_LOST;
	r = log_reserve(g, count);
	if (r == 0)
		r = table_reserve(&g->live, g->live.count + count);
	for (unsigned int i = 0; i < count && r == 0; i++) {
		if (!writes(&puts[i]))
			continue;
		nodes[i] = node_new(g, &puts[i], writer);
		r = nodes[i] ? 0 : -ENOMEM;
		made++;
	}
	if (r < 0) {
		for (unsigned int i = 0; i < count; i++)
			if (nodes[i])
				node_unref(g, nodes[i]);
		error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory in the shared registry");
		return SHARED_REFUSED;
	}
	if (made > 0)
		g->revision++;
	for (unsigned int i = 0; i < count; i++)
		if (nodes[i])
			node_put(g, nodes[i], puts[i].gone);
	if (made > 0)
		mem_registry_ring(g);
	return SHARED_DONE;
}

void mem_registry_ring(struct mem_registry *g)
{
	for (struct mem_host *h = g->hosts; h; h = h->next)
		mem_host_ring(h);
}

void shared_mem_expire(void *registry, const struct uuid *host)
{
	struct mem_registry *g = registry;
	struct shared_record alive = { .kind = SHARED_ALIVE, .alive.host = *host };
	const struct shared_record *now = mem_registry_get(g, &alive);
	struct shared_put put = { .record = now, .gone = true };
	struct error error;

	if (now)
		mem_registry_commit(g, &put, 1, 0, &error);
}

/* --- the whole of it ------------------------------------------------------------------------- */

int mem_registry_dump(struct mem_registry *g, int (*fn)(void *ctx, const struct shared_record *r),
		      void *ctx)
{
	table_for_each (&g->live, const struct node, n) {
		int r = fn(ctx, n->record);

		if (r < 0)
			return r;
	}
	return 0;
}

int mem_registry_restore(struct mem_registry *g, bool replace,
			 int (*next)(void *ctx, struct shared_record *ret), void *ctx,
			 struct error *ret_error)
{
	struct shared_record record;
	int r;

	while ((r = next(ctx, &record)) > 0) {
		const struct shared_record *now = mem_registry_get(g, &record);
		struct shared_put put = { .record = &record };

		if (now && !replace)
			return error_set(ret_error, ERROR_IN_USE, NULL,
					 "the shared registry has this %s already",
					 shared_kind_name(record.kind));
		record.revision = now ? now->revision : 0;
		if (mem_registry_commit(g, &put, 1, 0, ret_error) != SHARED_DONE)
			return -error_errno(ret_error->code);
	}
	return r;
}
