#include "engine/world.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "model/record.h"

static uint64_t name_hash(const char *name, uint32_t scope)
{
	return hash_bytes(name, strlen(name), scope);
}

static bool segment_has_name(const void *item, const void *key)
{
	return strcmp(((const struct world_segment *)item)->record->name, key) == 0;
}

static bool pool_has_name(const void *item, const void *key)
{
	return strcmp(((const struct world_pool *)item)->record->name, key) == 0;
}

static bool port_has_name(const void *item, const void *key)
{
	return strcmp(((const struct port *)item)->name, key) == 0;
}

static bool router_has_name(const void *item, const void *key)
{
	return strcmp(((const struct router *)item)->name, key) == 0;
}

static uint64_t vmac_own_key(const struct vmac *v)
{
	return vmac_key(v->segment, v->address);
}

static bool vmac_has_key(const void *item, const void *key)
{
	return vmac_own_key(item) == *(const uint64_t *)key;
}

struct name_key {
	uint32_t segment;
	const char *name;
};

static bool vmac_has_name(const void *item, const void *key)
{
	const struct name_key *k = key;
	const struct vmac *v = item;

	return v->segment == k->segment && strcmp(v->name, k->name) == 0;
}

static bool kept_has_key(const void *item, const void *key)
{
	return shared_same_key(item, key);
}

void world_init(struct world *w, const struct mem *mem)
{
	struct table *tables[] = {
		&w->segments_by_name, &w->pools_by_name,   &w->vmacs, &w->vmacs_by_name,
		&w->ports_by_name,    &w->routers_by_name, &w->kept
	};

	*w = (struct world){ .mem = mem };
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		table_init(tables[i], mem);
	claims_init(&w->claims, mem);
	world_clusters_init(w);
	heap_init(&w->deadlines, mem);
}

void world_done(struct world *w)
{
	table_for_each (&w->vmacs, void, v)
		mem_free(w->mem, v);
	for (size_t i = 0; i < ARRAY_LEN(w->ports); i++)
		mem_free(w->mem, (void *)w->ports[i]);
	for (size_t i = 0; i < ARRAY_LEN(w->routers); i++)
		router_release(w->routers[i]);
	table_for_each (&w->pools_by_name, struct world_pool, p) {
		pool_machine_done(&p->machine);
		mem_free(w->mem, (void *)p->record);
		mem_free(w->mem, p);
	}
	table_for_each (&w->segments_by_name, struct world_segment, s) {
		mem_free(w->mem, (void *)s->record);
		mem_free(w->mem, s);
	}
	table_for_each (&w->kept, void, k)
		mem_free(w->mem, k);
	table_done(&w->kept);
	table_done(&w->segments_by_name);
	table_done(&w->pools_by_name);
	table_done(&w->vmacs);
	table_done(&w->vmacs_by_name);
	table_done(&w->ports_by_name);
	table_done(&w->routers_by_name);
	claims_done(&w->claims);
	world_clusters_done(w);
	heap_done(&w->deadlines);
}

/* --- find ------------------------------------------------------------------------------------ */

struct world_segment *world_segment(const struct world *w, uint32_t id)
{
	return id <= SEGMENTS_MAX ? w->segments[id] : NULL;
}

struct world_segment *world_segment_named(const struct world *w, const char *name)
{
	return table_get(&w->segments_by_name, name_hash(name, 0), name, segment_has_name);
}

struct world_pool *world_pool(const struct world *w, uint32_t id)
{
	return id <= POOLS_MAX ? w->pools[id] : NULL;
}

struct world_pool *world_pool_named(const struct world *w, const char *name)
{
	return table_get(&w->pools_by_name, name_hash(name, 0), name, pool_has_name);
}

const struct vmac *world_vmac(const struct world *w, uint32_t segment, vmac_mac_t address)
{
	uint64_t key = vmac_key(segment, address);

	return table_get(&w->vmacs, hash_u64(key), &key, vmac_has_key);
}

const struct vmac *world_vmac_named(const struct world *w, uint32_t segment, const char *name)
{
	struct name_key key = { segment, name };

	return table_get(&w->vmacs_by_name, name_hash(name, segment), &key, vmac_has_name);
}

const struct port *world_port_named(const struct world *w, const char *name)
{
	return table_get(&w->ports_by_name, name_hash(name, 0), name, port_has_name);
}

const struct router *world_router_named(const struct world *w, const char *name)
{
	return table_get(&w->routers_by_name, name_hash(name, 0), name, router_has_name);
}

struct world_pool *world_pool_over(const struct world *w, uint32_t segment, vmac_mac_t address)
{
	table_for_each (&w->pools_by_name, struct world_pool, p)
		if (p->record->segment == segment && pool_machine_has(&p->machine, address))
			return p;
	return NULL;
}

const struct shared_record *world_kept(const struct world *w, const struct shared_record *key)
{
	return table_get(&w->kept, shared_key_hash(key), key, kept_has_key);
}

/* --- segments, pools, ports ------------------------------------------------------------------ */

static int apply_segment(struct world *w, const struct segment *before, const struct segment *after)
{
	struct world_segment *s;

	if (before && after) {
		s = world_segment(w, before->id);
		assert(s && strcmp(before->name, after->name) == 0);
		s->record = after;
		return 0;
	}
	if (after) {
		s = mem_alloc(w->mem, sizeof(*s));
		if (!s || table_reserve(&w->segments_by_name, w->segments_by_name.count + 1) < 0) {
			mem_free(w->mem, s);
			return -ENOMEM;
		}
		s->record = after;
		w->segments[after->id] = s;
		table_add(&w->segments_by_name, name_hash(after->name, 0), s);
		return 0;
	}
	s = world_segment(w, before->id);
	assert(s && s->pools + s->vmacs + s->quarantined + s->ports == 0);
	w->segments[before->id] = NULL;
	table_remove(&w->segments_by_name, name_hash(before->name, 0), s);
	mem_free(w->mem, s);
	return 0;
}

static int pool_enter(struct world *w, const struct pool *after)
{
	struct world_pool *p = mem_alloc(w->mem, sizeof(*p));

	if (!p || table_reserve(&w->pools_by_name, w->pools_by_name.count + 1) < 0 ||
	    pool_machine_init(&p->machine, after, w->mem) < 0) {
		mem_free(w->mem, p);
		return -ENOMEM;
	}
	p->record = after;
	if (w->in_blocks && p->machine.usable.size > 0)
		pool_machine_blocks(&p->machine, pool_numbers_a_block(p->machine.usable.size));
	w->pools[after->id] = p;
	table_add(&w->pools_by_name, name_hash(after->name, 0), p);
	world_segment(w, after->segment)->pools++;
	return 0;
}

static int apply_pool(struct world *w, const struct pool *before, const struct pool *after)
{
	struct world_pool *p;

	if (!before)
		return pool_enter(w, after);
	p = world_pool(w, before->id);
	assert(p);
	if (after) {
		/* Name, ranges and key are for life; what may change is copied, the cursor in
		 * use is the machine's own. */
		p->record = after;
		p->machine.cfg.quarantine_ms = after->quarantine_ms;
		p->machine.cfg.limit = after->limit;
		return 0;
	}
	w->pools[before->id] = NULL;
	table_remove(&w->pools_by_name, name_hash(before->name, 0), p);
	pool_machine_done(&p->machine);
	mem_free(w->mem, p);
	world_segment(w, before->segment)->pools--;
	return 0;
}

static int apply_port(struct world *w, const struct port *before, const struct port *after)
{
	if (after && table_reserve(&w->ports_by_name, w->ports_by_name.count + 1) < 0)
		return -ENOMEM;
	if (before) {
		assert(w->ports[before->id] == before);
		table_remove(&w->ports_by_name, name_hash(before->name, 0), before);
		w->ports[before->id] = NULL;
		w->port_count--;
		world_segment(w, before->segment)->ports--;
	}
	if (after) {
		assert(!w->ports[after->id]);
		table_add(&w->ports_by_name, name_hash(after->name, 0), (void *)after);
		w->ports[after->id] = after;
		w->port_count++;
		world_segment(w, after->segment)->ports++;
	}
	return 0;
}

static int apply_router(struct world *w, const struct router *before, const struct router *after)
{
	if (after && (table_reserve(&w->routers_by_name, w->routers_by_name.count + 1) < 0 ||
		      claims_reserve(&w->claims, after) < 0))
		return -ENOMEM;
	if (before) {
		assert(w->routers[before->id] == before);
		claims_remove(&w->claims, before);
		table_remove(&w->routers_by_name, name_hash(before->name, 0), before);
		w->routers[before->id] = NULL;
	}
	if (after) {
		assert(!w->routers[after->id]);
		table_add(&w->routers_by_name, name_hash(after->name, 0), (void *)after);
		claims_add(&w->claims, after);
		w->routers[after->id] = after;
	}
	return 0;
}

static int apply_kept(struct world *w, const struct shared_record *before,
		      const struct shared_record *after)
{
	if (after && table_reserve(&w->kept, w->kept.count + 1) < 0)
		return -ENOMEM;
	if (before)
		table_remove(&w->kept, shared_key_hash(before), before);
	if (after)
		table_add(&w->kept, shared_key_hash(after), (void *)after);
	return 0;
}

/* --- vMACs ----------------------------------------------------------------------------------- */

enum mark { MARK_FREE, MARK_USED, MARK_QUARANTINED };

static enum mark mark_of(const struct vmac *v)
{
	if (!v)
		return MARK_FREE;
	return v->state == VMAC_QUARANTINED ? MARK_QUARANTINED : MARK_USED;
}

/* Brings the pool's mark of one address from one state to the other. */
static int pool_mark(struct pool_machine *m, vmac_mac_t address, enum mark from, enum mark to,
		     wall_t until)
{
	int r = 0;

	if (from == MARK_FREE && to != MARK_FREE) {
		r = pool_machine_load(m, address, to == MARK_QUARANTINED, until);
		/* A command has already taken it, to learn which address it is. */
		if (r == -EEXIST)
			r = 0;
	} else if (to == MARK_FREE && from != MARK_FREE) {
		pool_machine_free(m, address);
	} else if (from == MARK_USED && to == MARK_QUARANTINED) {
		r = pool_machine_release(m, address, until);
	} else if (from == MARK_QUARANTINED && to == MARK_USED) {
		pool_machine_unrelease(m, address);
	}
	return r;
}

static int pools_mark(struct world *w, const struct vmac *before, const struct vmac *after)
{
	struct world_pool *old = before ? world_pool(w, before->pool) : NULL;
	struct world_pool *new = after ? world_pool(w, after->pool) : NULL;
	int r = 0;

	if (old && old == new)
		return pool_mark(&new->machine, after->address, mark_of(before), mark_of(after),
				 after->until);
	if (new)
		r = pool_mark(&new->machine, after->address, MARK_FREE, mark_of(after),
			      after->until);
	if (r == 0 && old)
		pool_mark(&old->machine, before->address, mark_of(before), MARK_FREE, WALL_NEVER);
	return r;
}

static bool wants_deadline(const struct vmac *v)
{
	return v->until.ms != WALL_NEVER.ms && (v->state != VMAC_QUARANTINED || v->pool == 0);
}

static void vmac_index_remove(struct world *w, const struct vmac *v)
{
	struct world_segment *s = world_segment(w, v->segment);

	table_remove(&w->vmacs, hash_u64(vmac_own_key(v)), v);
	if (v->state == VMAC_QUARANTINED) {
		s->quarantined--;
		w->quarantined--;
		return;
	}
	s->vmacs--;
	if (v->name[0])
		table_remove(&w->vmacs_by_name, name_hash(v->name, v->segment), v);
}

static void vmac_index_add(struct world *w, const struct vmac *v)
{
	struct world_segment *s = world_segment(w, v->segment);

	table_add(&w->vmacs, hash_u64(vmac_own_key(v)), (void *)v);
	if (v->state == VMAC_QUARANTINED) {
		s->quarantined++;
		w->quarantined++;
		return;
	}
	s->vmacs++;
	if (v->name[0])
		table_add(&w->vmacs_by_name, name_hash(v->name, v->segment), (void *)v);
}

static int apply_vmac(struct world *w, const struct vmac *before, const struct vmac *after)
{
	int r;

	if (after) {
		if (table_reserve(&w->vmacs, w->vmacs.count + 1) < 0 ||
		    table_reserve(&w->vmacs_by_name, w->vmacs_by_name.count + 1) < 0)
			return -ENOMEM;
		if (wants_deadline(after) &&
		    heap_push(&w->deadlines, after->until.ms, vmac_own_key(after)) < 0)
			return -ENOMEM;
	}
	r = pools_mark(w, before, after);
	if (r < 0)
		return r;
	if (before)
		vmac_index_remove(w, before);
	if (after)
		vmac_index_add(w, after);
	return 0;
}

/* A guest that is on its way, or has gone, may have a port here. */
static bool port_fits(const struct vmac *v)
{
	if (v->state == VMAC_MOVING || v->state == VMAC_AWAY)
		return true;
	return (v->state == VMAC_BOUND) == (v->port != 0);
}

/* What a record names is there, and nothing else has its address or its name. */
static bool vmac_fits(const struct world *w, const struct vmac *v)
{
	const struct world_pool *p = world_pool(w, v->pool);
	const struct port *port = v->port <= PORTS_MAX ? w->ports[v->port] : NULL;

	if (!world_segment(w, v->segment) || world_vmac(w, v->segment, v->address) || !port_fits(v))
		return false;
	if (v->pool &&
	    (!p || p->record->segment != v->segment || !pool_machine_has(&p->machine, v->address)))
		return false;
	if (v->port &&
	    (!port || port->segment != v->segment || !vmac_mac_equal(port->address, v->address)))
		return false;
	return v->state == VMAC_QUARANTINED || !v->name[0] ||
	       !world_vmac_named(w, v->segment, v->name);
}

int world_load_vmacs(struct world *w, struct vmac *const *records, size_t count, size_t *ret_done)
{
	*ret_done = 0;
	if (table_reserve(&w->vmacs, w->vmacs.count + count) < 0 ||
	    table_reserve(&w->vmacs_by_name, w->vmacs_by_name.count + count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct vmac *v = records[i];

		table_prefetch(&w->vmacs, hash_u64(vmac_own_key(v)));
		if (v->name[0])
			table_prefetch(&w->vmacs_by_name, name_hash(v->name, v->segment));
	}
	for (; *ret_done < count; ++*ret_done) {
		const struct vmac *v = records[*ret_done];
		int r = vmac_fits(w, v) ? apply_vmac(w, NULL, v) : -EUCLEAN;

		if (r < 0)
			return r;
	}
	return 0;
}

int world_apply(struct world *w, enum change_kind kind, const void *before, const void *after)
{
	switch (kind) {
	case CHANGE_SEGMENT:
		return apply_segment(w, before, after);
	case CHANGE_POOL:
		return apply_pool(w, before, after);
	case CHANGE_VMAC:
		return apply_vmac(w, before, after);
	case CHANGE_PORT:
		return apply_port(w, before, after);
	case CHANGE_ROUTER:
		return apply_router(w, before, after);
	case CHANGE_SHARED:
		return apply_kept(w, before, after);
	case CHANGE_CLUSTER:
		return world_apply_cluster(w, before, after);
	case CHANGE_KIND_COUNT:
		break;
	}
	assert(!"a kind of change that is none");
	return -EINVAL;
}

static size_t record_size(enum change_kind kind, const void *record)
{
	switch (kind) {
	case CHANGE_SEGMENT:
		return sizeof(struct segment);
	case CHANGE_POOL:
		return sizeof(struct pool);
	case CHANGE_VMAC:
		return vmac_block_size(record);
	case CHANGE_PORT:
		return sizeof(struct port);
	case CHANGE_ROUTER: /* made otherwise */
	case CHANGE_SHARED:
	case CHANGE_CLUSTER:
	case CHANGE_KIND_COUNT:
		break;
	}
	assert(!"a kind of change that is none");
	return 0;
}

void *world_copy(const struct world *w, enum change_kind kind, const void *record)
{
	size_t size;
	void *copy;

	if (kind == CHANGE_SHARED)
		return shared_copy(w->mem, record);
	if (kind == CHANGE_ROUTER)
		return (void *)router_record_new(record, w->mem);
	if (kind == CHANGE_CLUSTER)
		return (void *)cluster_record_new(record, w->mem);
	size = record_size(kind, record);
	copy = mem_alloc(w->mem, size);
	if (!copy)
		return NULL;
	if (kind == CHANGE_VMAC)
		return vmac_block_fill(copy, record);
	return memcpy(copy, record, size);
}

void world_drop(const struct world *w, enum change_kind kind, const void *copy)
{
	if (kind == CHANGE_ROUTER)
		router_release(copy);
	else if (kind == CHANGE_CLUSTER)
		cluster_release(copy);
	else
		mem_free(w->mem, (void *)copy);
}

/* --- ids and cursors ------------------------------------------------------------------------- */

uint32_t world_free_segment_id(const struct world *w)
{
	for (uint32_t id = 1; id <= SEGMENTS_MAX; id++)
		if (!w->segments[id])
			return id;
	return 0;
}

uint32_t world_free_pool_id(const struct world *w)
{
	for (uint32_t id = 1; id <= POOLS_MAX; id++)
		if (!w->pools[id])
			return id;
	return 0;
}

uint32_t world_free_port_id(const struct world *w)
{
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		if (!w->ports[id])
			return id;
	return 0;
}

uint32_t world_free_router_id(struct world *w)
{
	for (uint32_t i = 0; i < ROUTERS_MAX; i++) {
		uint32_t id = (w->router_id_last + i) % ROUTERS_MAX + 1;

		if (!w->routers[id]) {
			w->router_id_last = id;
			return id;
		}
	}
	return 0;
}

bool world_cursor_mark(const struct world_pool *p, uint64_t *ret_mark)
{
	uint64_t size = p->machine.size, mark = p->record->cursor, now = p->machine.cfg.cursor;
	uint64_t ahead = now <= mark ? mark - now : mark + size - now;

	/* Between two marks the cursor runs towards the next one; when it stands less than a stride
	 * away all is well, except exactly on it: then it is about to pass. */
	if (ahead != 0 && ahead <= WORLD_CURSOR_STRIDE)
		return false;
	*ret_mark = (now + WORLD_CURSOR_STRIDE) % size;
	return true;
}
