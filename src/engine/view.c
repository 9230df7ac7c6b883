/* The world as others may see it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/side.h"
#include "model/record.h"

static const char *segment_name(const struct engine *e, uint32_t id)
{
	return world_segment(&e->world, id)->record->name;
}

/* --- one ------------------------------------------------------------------------------------- */

static void see_segment(struct engine *e, const struct world_segment *s, struct segment_view *ret)
{
	const struct uplink_state *u = &e->uplinks[segment_slot(s->record)];
	struct host_link link;
	struct error ignored;

	*ret = (struct segment_view){
		.segment = s->record,
		.pools = s->pools,
		.vmacs = s->vmacs,
		.ports = s->ports,
		.uplink_present = u->present,
		.reception = "none",
		.trouble = u->trouble,
	};
	if (segment_slot(s->record) == 0 || !u->present)
		return;
	ret->uplink_ifindex = u->link.ifindex;
	ret->uplink_address = u->link.address;
	ret->uplink_mtu = u->link.mtu;
	/* The kernel raises no event when a driver falls back: look. */
	if (host_link_by_index(e->cfg.host, u->link.ifindex, &link, &ignored) == 0)
		ret->reception = link.promiscuity > 0 ? "promiscuous" : "filter";
}

static void see_pool(const struct engine *e, const struct world_pool *p, struct pool_view *ret)
{
	*ret = (struct pool_view){
		.pool = p->record,
		.segment = segment_name(e, p->record->segment),
		.size = p->machine.size,
		.excluded = p->machine.excluded,
		.used = p->machine.used,
		.quarantined = p->machine.quarantined,
		.available = pool_machine_available(&p->machine),
		.next_free = pool_machine_next_expiry(&p->machine),
		.blocks = p->machine.blocks.count,
		.block_size = p->machine.block_size,
	};
}

void engine_vmac_look(struct engine *e, const struct vmac *v, struct vmac_view *ret)
{
	const struct world_segment *s = world_segment(&e->world, v->segment);
	const struct world_pool *p = world_pool(&e->world, v->pool);
	const struct port *port = e->world.ports[v->port];

	*ret = (struct vmac_view){
		.vmac = v,
		.segment = s ? s->record->name : "",
		.pool = p ? p->record->name : "",
		.port = port ? port->name : "",
	};
	if (e->side && s)
		ret->has_move = side_move(e->side, s->record->name, v->address, &ret->move);
}

static struct claim_view see_claim(const struct engine *e, uint32_t segment, vmac_mac_t address)
{
	uint16_t net = world_segment(&e->world, segment)->record->net;
	struct plane_net where = { net >> 12, net & 0xfff };
	struct claim_view view = { .port = "" };
	mono_t now = e->cfg.mono_now();
	struct plane_claim claim;

	if (!e->cfg.plane || !plane_claim(e->cfg.plane, &where, address, &claim) ||
	    mono_due(claim.until, now))
		return view;
	view.holder = CLAIM_WIRE;
	view.expires_ms = mono_since(claim.until, now).ns / 1000000;
	if (claim.port && claim.port <= PORTS_MAX && e->world.ports[claim.port]) {
		view.holder = CLAIM_PORT;
		view.port = e->world.ports[claim.port]->name;
	}
	return view;
}

static void see_port(const struct engine *e, const struct port *p, struct port_view *ret)
{
	const struct port_state *st = &e->ports[p->id];

	*ret = (struct port_view){
		.port = p,
		.vmac = world_vmac(&e->world, p->segment, p->address),
		.segment = segment_name(e, p->segment),
		.phase = st->phase,
		.ifindex = st->ifindex,
		.mtu = st->mtu,
		.trouble = st->trouble,
	};
	for (unsigned int i = 0; i < p->router_count; i++)
		ret->claims[i] = see_claim(e, p->segment, p->routers[i]);
}

int engine_segment_view(struct engine *e, const char *name, struct segment_view *ret,
			struct error *ret_error)
{
	struct world_segment *s;
	int r = engine_find_segment(e, name, &s, ret_error);

	if (r == 0)
		see_segment(e, s, ret);
	return r;
}

int engine_pool_view(struct engine *e, const char *name, struct pool_view *ret,
		     struct error *ret_error)
{
	struct world_pool *p;
	int r = engine_find_pool(e, name, &p, ret_error);

	if (r == 0)
		see_pool(e, p, ret);
	return r;
}

int engine_vmac_view(struct engine *e, const struct vmac_ref *ref, struct vmac_view *ret,
		     struct error *ret_error)
{
	const struct vmac *v;
	int r = engine_find_vmac(e, ref, &v, ret_error);

	if (r == 0)
		engine_vmac_look(e, v, ret);
	return r;
}

int engine_port_view(struct engine *e, const char *name, struct port_view *ret,
		     struct error *ret_error)
{
	const struct port *p;
	int r = engine_find_port(e, name, &p, ret_error);

	if (r == 0)
		see_port(e, p, ret);
	return r;
}

/* --- all, by name ---------------------------------------------------------------------------- */

static int by_segment_name(const void *a, const void *b)
{
	const struct world_segment *const *x = a, *const *y = b;

	return strcmp((*x)->record->name, (*y)->record->name);
}

static int by_pool_name(const void *a, const void *b)
{
	const struct world_pool *const *x = a, *const *y = b;

	return strcmp((*x)->record->name, (*y)->record->name);
}

static int by_port_name(const void *a, const void *b)
{
	const struct port *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The items of a table in order; to be disposed of. NULL where there is no memory: nothing is
 * shown. */
static void **sorted(struct engine *e, const struct table *t,
		     int (*compare)(const void *a, const void *b), size_t *ret_count)
{
	void **items = engine_alloc(e, (t->count + 1) * sizeof(*items));
	size_t count = 0;

	*ret_count = 0;
	if (!items)
		return NULL;
	table_for_each (t, void, item)
		items[count++] = item;
	qsort(items, count, sizeof(*items), compare);
	*ret_count = count;
	return items;
}

void engine_segments(struct engine *e, void (*fn)(void *ctx, const struct segment_view *v),
		     void *ctx)
{
	struct segment_view view;
	size_t count;
	void **items = sorted(e, &e->world.segments_by_name, by_segment_name, &count);

	for (size_t i = 0; i < count; i++) {
		see_segment(e, items[i], &view);
		fn(ctx, &view);
	}
	engine_dispose(e, items);
}

void engine_pools(struct engine *e, void (*fn)(void *ctx, const struct pool_view *v), void *ctx)
{
	struct pool_view view;
	size_t count;
	void **items = sorted(e, &e->world.pools_by_name, by_pool_name, &count);

	for (size_t i = 0; i < count; i++) {
		see_pool(e, items[i], &view);
		fn(ctx, &view);
	}
	engine_dispose(e, items);
}

void engine_ports(struct engine *e, void (*fn)(void *ctx, const struct port_view *v), void *ctx)
{
	struct port_view view;
	size_t count;
	void **items = sorted(e, &e->world.ports_by_name, by_port_name, &count);

	for (size_t i = 0; i < count; i++) {
		see_port(e, items[i], &view);
		fn(ctx, &view);
	}
	engine_dispose(e, items);
}

/* --- vMACs: pages ---------------------------------------------------------------------------- */

struct filter {
	const struct vmac_filter *f;
	uint32_t segment, pool; /* 0 = any */
	bool after;
	uint64_t after_key;
};

static int filter_prepare(struct engine *e, const struct vmac_filter *f, struct filter *ret,
			  struct error *ret_error)
{
	struct world_segment *s;
	struct world_pool *p;
	int r;

	*ret = (struct filter){ .f = f, .after = f->after };
	if (f->segment[0]) {
		r = engine_find_segment(e, f->segment, &s, ret_error);
		if (r < 0)
			return r;
		ret->segment = s->record->id;
	}
	if (f->pool[0]) {
		r = engine_find_pool(e, f->pool, &p, ret_error);
		if (r < 0)
			return r;
		ret->pool = p->record->id;
	}
	if (f->after) {
		r = engine_find_segment(e, f->after_segment, &s, ret_error);
		if (r < 0)
			return r;
		ret->after_key = vmac_key(s->record->id, f->after_address);
	}
	return 0;
}

static bool filter_passes(const struct filter *filter, const struct vmac *v, uint64_t key)
{
	const struct vmac_filter *f = filter->f;

	return (!filter->after || key > filter->after_key) &&
	       (!filter->segment || v->segment == filter->segment) &&
	       (!filter->pool || v->pool == filter->pool) &&
	       (f->state < 0 || v->state == f->state) && (f->kind < 0 || v->kind == f->kind) &&
	       (f->origin < 0 || v->origin == f->origin) &&
	       (!f->owner[0] || strcmp(v->owner, f->owner) == 0) &&
	       (!f->tenant[0] || strcmp(v->tenant, f->tenant) == 0);
}

/* The page keeps the smallest keys seen, the largest of them on top (a max-heap), so that one walk
 * over a million records costs no more memory than the page. */
struct page {
	struct page_entry {
		uint64_t key;
		const struct vmac *vmac;
	} * entries;
	size_t count, limit;
	bool more;
};

static void page_sink(struct page *page, size_t i)
{
	struct page_entry entry = page->entries[i];
	size_t child;

	while ((child = 2 * i + 1) < page->count) {
		if (child + 1 < page->count &&
		    page->entries[child + 1].key > page->entries[child].key)
			child++;
		if (page->entries[child].key <= entry.key)
			break;
		page->entries[i] = page->entries[child];
		i = child;
	}
	page->entries[i] = entry;
}

static void page_offer(struct page *page, uint64_t key, const struct vmac *v)
{
	struct page_entry entry = { key, v };
	size_t i;

	if (page->count == page->limit) {
		page->more = true;
		if (key < page->entries[0].key) {
			page->entries[0] = entry;
			page_sink(page, 0);
		}
		return;
	}
	for (i = page->count++; i > 0 && page->entries[(i - 1) / 2].key < key; i = (i - 1) / 2)
		page->entries[i] = page->entries[(i - 1) / 2];
	page->entries[i] = entry;
}

static int by_key(const void *a, const void *b)
{
	const struct page_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

int engine_vmacs(struct engine *e, const struct vmac_filter *f,
		 void (*fn)(void *ctx, const struct vmac_view *v), void *ctx, bool *ret_more,
		 struct error *ret_error)
{
	struct page page = { .limit = f->limit };
	struct vmac_view view;
	struct filter filter;
	int r;

	r = filter_prepare(e, f, &filter, ret_error);
	if (r < 0)
		return r;
	page.entries = engine_alloc(e, page.limit * sizeof(*page.entries));
	if (!page.entries)
		return engine_no_memory(ret_error);
	table_for_each (&e->world.vmacs, const struct vmac, v) {
		uint64_t key = vmac_key(v->segment, v->address);

		if (filter_passes(&filter, v, key))
			page_offer(&page, key, v);
	}
	qsort(page.entries, page.count, sizeof(*page.entries), by_key);
	for (size_t i = 0; i < page.count; i++) {
		engine_vmac_look(e, page.entries[i].vmac, &view);
		fn(ctx, &view);
	}
	*ret_more = page.more;
	engine_dispose(e, page.entries);
	return 0;
}

/* --- counters -------------------------------------------------------------------------------- */

static void see_counters(struct engine *e, const struct plane_counters *c, uint64_t link_dropped,
			 struct counters_view *ret)
{
	memcpy(e->drops, c->drops, sizeof(e->drops));
	*ret = (struct counters_view){
		.rx_frames = c->rx_frames,
		.rx_octets = c->rx_octets,
		.tx_frames = c->tx_frames,
		.tx_octets = c->tx_octets,
		.link_dropped = link_dropped,
		.redirected = c->redirected,
		.last_seen_ms = -1,
		.reason_count = plane_drop_reason_count(),
		.drops = e->drops,
	};
	if (c->last_seen.ns != 0)
		ret->last_seen_ms = mono_since(e->cfg.mono_now(), c->last_seen).ns / 1000000;
	if (c->last_seen.ns != 0 && ret->last_seen_ms < 0)
		ret->last_seen_ms = 0;
}

static int no_counters(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NOT_FOUND, NULL, "it has no counters now");
}

int engine_port_counters(struct engine *e, const char *port, struct counters_view *ret,
			 struct error *ret_error)
{
	struct plane_counters counters;
	struct host_link link;
	struct error ignored;
	const struct port *p;
	int r;

	r = engine_find_port(e, port, &p, ret_error);
	if (r < 0)
		return r;
	if (!e->cfg.plane || !e->ports[p->id].set)
		return no_counters(ret_error);
	r = plane_port_counters(e->cfg.plane, p->id, &counters, ret_error);
	if (r < 0)
		return r;
	r = host_link_by_index(e->cfg.host, e->ports[p->id].ifindex, &link, &ignored);
	see_counters(e, &counters, r == 0 ? link.tx_dropped : 0, ret);
	return 0;
}

int engine_uplink_counters(struct engine *e, const char *uplink, struct counters_view *ret,
			   struct error *ret_error)
{
	unsigned int slot = uplink_slot(e, uplink);
	struct plane_counters counters;
	int r;

	if (!e->cfg.plane || slot == 0 || !e->uplinks[slot].set)
		return no_counters(ret_error);
	r = plane_uplink_counters(e->cfg.plane, slot, &counters, ret_error);
	if (r == 0)
		see_counters(e, &counters, 0, ret);
	return r;
}

void engine_uplinks(struct engine *e, void (*fn)(void *ctx, const char *uplink), void *ctx)
{
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (e->uplinks[slot].ifname[0])
			fn(ctx, e->uplinks[slot].ifname);
}

unsigned int engine_drop_reason_count(void)
{
	return plane_drop_reason_count();
}

const char *engine_drop_reason_name(unsigned int reason)
{
	return plane_drop_reason_name(reason);
}

const char *engine_drop_reason_meaning(unsigned int reason)
{
	return plane_drop_reason_meaning(reason);
}

/* --- status and history ---------------------------------------------------------------------- */

void engine_status(struct engine *e, struct engine_status *ret)
{
	static struct store_facts store;
	struct plane_facts plane = { .attach = "none" };

	store_facts(e->cfg.store, &store);
	if (e->cfg.plane)
		plane_facts(e->cfg.plane, &plane);
	*ret = (struct engine_status){
		.version = VMAC_VERSION,
		.registry_backend = store.backend,
		.registry_where = store.where,
		.registry_uuid = store.uuid,
		.registry_healthy = store.healthy,
		.registry_error = store.last_error,
		.attach = plane.attach,
		.maps_reused = plane.maps_reused,
		.segments = e->world.segments_by_name.count,
		.pools = e->world.pools_by_name.count,
		.vmacs = e->world.vmacs.count - e->world.quarantined,
		.quarantined = e->world.quarantined,
		.ports = e->world.port_count,
		.routers = e->world.routers_by_name.count,
		.clusters = e->world.clusters_by_name.count,
		.pending = e->submitted - e->settled,
		.commits = store.commits,
		.transactions = store.transactions,
		.failures = store.failures,
		.commit_ns_last = store.commit_ns_last,
		.commit_ns_most = store.commit_ns_most,
		.registry_octets = store.size_octets,
		.commands = e->commands,
		.refusals = e->refusals,
		.started = e->started,
	};
	memcpy(ret->refusals_by_code, e->refusals_by_code, sizeof(ret->refusals_by_code));
	if (e->side)
		side_status(e->side, &ret->fleet);
}

void engine_history(struct engine *e, const struct history_filter *f,
		    void (*fn)(void *ctx, const struct error *error, const struct history *lines,
			       size_t count),
		    void *ctx)
{
	struct history_query query = {
		.segment = f->segment[0] ? f->segment : NULL,
		.subject = f->subject[0] ? f->subject : NULL,
		.before = f->before,
		.since = f->since,
		.until = f->until,
		.limit = f->limit,
	};

	store_history(e->cfg.store, &query, fn, ctx);
}
