/* This host's own registry at rest: read whole, or filled when it is empty. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"
#include "host/clock.h"

/* One more item at the end of an array; NULL: no memory. */
#define APPEND(list, count)                                                                        \
	({                                                                                         \
		void *more_ = (count) & ((count)-1)                                                \
				      ? (void *)(list)                                             \
				      : reallocarray((list), (count) ? 2 * (count) : 1,            \
						     sizeof(*(list)));                             \
		if (more_)                                                                         \
			(list) = more_;                                                            \
		more_ ? &(list)[(count)++] : NULL;                                                 \
	})

void own_init(struct own *o)
{
	*o = (struct own){ 0 };
	record_set_init(&o->shared);
}

static int take_segment(void *ctx, const struct segment *s)
{
	struct own *o = ctx;
	struct segment *to = APPEND(o->segments, o->segment_count);

	if (!to)
		return -ENOMEM;
	*to = *s;
	return 0;
}

static int take_pool(void *ctx, const struct pool *p)
{
	struct own *o = ctx;
	struct pool *to = APPEND(o->pools, o->pool_count);

	if (!to)
		return -ENOMEM;
	*to = *p;
	return 0;
}

static int take_port(void *ctx, const struct port *p)
{
	struct own *o = ctx;
	struct port *to = APPEND(o->ports, o->port_count);

	if (!to)
		return -ENOMEM;
	*to = *p;
	return 0;
}

static int take_router(void *ctx, const struct router *r)
{
	struct own *o = ctx;
	void *block = malloc(router_block_size(r));
	struct router **to = block ? APPEND(o->routers, o->router_count) : NULL;

	if (!to) {
		free(block);
		return -ENOMEM;
	}
	*to = router_block_fill(block, r);
	return 0;
}

static int take_cluster(void *ctx, const struct cluster *c)
{
	struct own *o = ctx;
	void *block = malloc(cluster_block_size(c));
	struct cluster **to = block ? APPEND(o->clusters, o->cluster_count) : NULL;

	if (!to) {
		free(block);
		return -ENOMEM;
	}
	*to = cluster_block_fill(block, c);
	return 0;
}

static int take_shared(void *ctx, const struct shared_record *kept)
{
	return record_set_add(&((struct own *)ctx)->shared, kept);
}

static int take_vmac(void *ctx, struct vmac *owned)
{
	struct own *o = ctx;
	struct vmac **to = APPEND(o->vmacs, o->vmac_count);

	if (!to) {
		free(owned);
		return -ENOMEM;
	}
	*to = owned;
	return 0;
}

struct store_visitor own_visitor(struct own *o)
{
	return (struct store_visitor){
		.segment = take_segment,
		.pool = take_pool,
		.port = take_port,
		.router = take_router,
		.cluster = take_cluster,
		.shared = take_shared,
		.vmac = take_vmac,
		.ctx = o,
	};
}

int own_store(const char *directory, const char *uuid, struct store **ret, struct error *ret_error)
{
	struct store_config config = {
		.backend = "sqlite", .directory = directory, .uuid = uuid, .mem = &tool_mem
	};
	int r;

	*ret_error = (struct error){ 0 };
	r = store_open(&config, ret, ret_error);
	if (ret_error->code == ERROR_ALREADY_RUNNING)
		snprintf(ret_error->hint, sizeof(ret_error->hint),
			 "stop vmacd first: this works on a registry at rest");
	return r;
}

int own_open(const char *directory, const char *uuid, struct store **ret_store, struct own *ret,
	     struct error *ret_error)
{
	struct store_visitor visitor = own_visitor(ret);
	struct store_facts facts;
	struct store *s;
	int r = own_store(directory, uuid, &s, ret_error);

	if (r < 0)
		return r;
	own_init(ret);
	store_facts(s, &facts);
	snprintf(ret->uuid, sizeof(ret->uuid), "%s", facts.uuid);
	r = store_load(s, &visitor, ret_error);
	if (r == -ENOMEM && ret_error->code == ERROR_NONE)
		error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	if (r < 0) {
		store_close(s);
		own_done(ret);
		return r;
	}
	*ret_store = s;
	return 0;
}

static bool own_is_empty(const struct own *o)
{
	return o->segment_count + o->pool_count + o->port_count + o->router_count +
		       o->cluster_count + o->vmac_count + o->shared.count ==
	       0;
}

void own_done(struct own *o)
{
	for (size_t i = 0; i < o->router_count; i++)
		free(o->routers[i]);
	for (size_t i = 0; i < o->cluster_count; i++)
		free(o->clusters[i]);
	for (size_t i = 0; i < o->vmac_count; i++)
		free(o->vmacs[i]);
	free(o->segments);
	free(o->pools);
	free(o->ports);
	free(o->routers);
	free(o->clusters);
	free(o->vmacs);
	record_set_done(&o->shared);
	own_init(o);
}

const struct segment *own_segment(const struct own *o, uint32_t id)
{
	for (size_t i = 0; i < o->segment_count; i++)
		if (o->segments[i].id == id)
			return &o->segments[i];
	return NULL;
}

const struct pool *own_pool(const struct own *o, uint32_t id)
{
	for (size_t i = 0; i < o->pool_count; i++)
		if (o->pools[i].id == id)
			return &o->pools[i];
	return NULL;
}

static const struct port *own_port(const struct own *o, uint32_t id)
{
	for (size_t i = 0; i < o->port_count; i++)
		if (o->ports[i].id == id)
			return &o->ports[i];
	return NULL;
}

/* --- what one record says of another --------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
	const struct vmac *v = *(struct vmac *const *)a, *w = *(struct vmac *const *)b;
	uint64_t k = vmac_key(v->segment, v->address), l = vmac_key(w->segment, w->address);

	return (k > l) - (k < l);
}

static int wrong(struct error *ret_error, const char *what, const char *name, const char *why)
{
	return error_set(ret_error, ERROR_REGISTRY_CORRUPT, NULL, "%s '%s' %s", what, name, why);
}

static int check_small(const struct own *o, struct error *ret_error)
{
	for (size_t i = 0; i < o->segment_count; i++) {
		const struct segment *s = &o->segments[i];

		if (s->id == 0 || s->id > SEGMENTS_MAX || own_segment(o, s->id) != s)
			return wrong(ret_error, "segment", s->name,
				     "has an id that is none, or another's");
	}
	for (size_t i = 0; i < o->pool_count; i++) {
		const struct pool *p = &o->pools[i];

		if (p->id == 0 || p->id > POOLS_MAX || own_pool(o, p->id) != p)
			return wrong(ret_error, "pool", p->name,
				     "has an id that is none, or another's");
		if (!own_segment(o, p->segment))
			return wrong(ret_error, "pool", p->name,
				     "is of a segment that is not there");
	}
	for (size_t i = 0; i < o->port_count; i++) {
		const struct port *p = &o->ports[i];

		if (p->id == 0 || p->id > PORTS_MAX || own_port(o, p->id) != p)
			return wrong(ret_error, "port", p->name,
				     "has an id that is none, or another's");
		if (!own_segment(o, p->segment))
			return wrong(ret_error, "port", p->name,
				     "is of a segment that is not there");
	}
	return 0;
}

static bool share_face(const struct cluster *a, const struct cluster *b)
{
	for (unsigned int i = 0; i < a->face_count; i++)
		for (unsigned int j = 0; j < b->face_count; j++)
			if (vmac_mac_equal(a->faces[i], b->faces[j]))
				return true;
	return false;
}

static int check_clusters(const struct own *o, struct error *ret_error)
{
	for (size_t i = 0; i < o->cluster_count; i++) {
		const struct cluster *c = o->clusters[i];

		if (c->id == 0 || c->id > CLUSTERS_MAX)
			return wrong(ret_error, "cluster", c->name, "has an id that is none");
		if (!own_segment(o, c->segment))
			return wrong(ret_error, "cluster", c->name,
				     "is of a segment that is not there");
		for (size_t j = 0; j < i; j++) {
			const struct cluster *other = o->clusters[j];

			if (other->id == c->id || strcmp(other->name, c->name) == 0)
				return wrong(ret_error, "cluster", c->name,
					     "has the id or the name of another");
			if (other->segment == c->segment && share_face(other, c))
				return wrong(ret_error, "cluster", c->name,
					     "has a face of another");
		}
	}
	return 0;
}

/* Sorted apart: their own order is that in which they were made. */
static int check_twice(const struct own *o, struct error *ret_error)
{
	struct vmac **sorted = calloc(o->vmac_count + 1, sizeof(struct vmac *));
	char mac[VMAC_MAC_TEXT_MAX];
	int r = 0;

	if (!sorted)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	for (size_t i = 0; i < o->vmac_count; i++)
		sorted[i] = o->vmacs[i];
	qsort(sorted, o->vmac_count, sizeof(struct vmac *), compare_keys);
	for (size_t i = 1; i < o->vmac_count && r == 0; i++)
		if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
			r = wrong(ret_error, "vMAC",
				  vmac_mac_format(sorted[i]->address, VMAC_MAC_COLON, mac),
				  "is there twice");
	free(sorted);
	return r;
}

int own_check(const struct own *o, struct error *ret_error)
{
	char mac[VMAC_MAC_TEXT_MAX];
	int r = check_small(o, ret_error);

	if (r == 0)
		r = check_clusters(o, ret_error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->vmac_count; i++) {
		const struct vmac *v = o->vmacs[i];
		const char *why = NULL;

		if (!own_segment(o, v->segment))
			why = "is of a segment that is not there";
		else if (v->pool && !own_pool(o, v->pool))
			why = "is of a pool that is not there";
		else if (v->port && !own_port(o, v->port))
			why = "is held by a port that is not there";
		if (why)
			return wrong(ret_error, "vMAC",
				     vmac_mac_format(v->address, VMAC_MAC_COLON, mac), why);
	}
	return check_twice(o, ret_error);
}

/* --- writing --------------------------------------------------------------------------------- */

struct writing {
	struct store_txn txn;
	bool answered;
	struct error error;
};

static void write_done(struct store_txn *txn, const struct error *error)
{
	struct writing *w = (struct writing *)txn;

	w->answered = true;
	if (error)
		w->error = *error;
}

static size_t fill_changes(const struct own *o, const char *verb, struct change *c)
{
	size_t n = 0;

	for (size_t i = 0; i < o->segment_count; i++)
		c[n++] = (struct change){ CHANGE_SEGMENT, NULL, &o->segments[i], verb, "" };
	for (size_t i = 0; i < o->pool_count; i++)
		c[n++] = (struct change){ CHANGE_POOL, NULL, &o->pools[i], verb, "" };
	for (size_t i = 0; i < o->port_count; i++)
		c[n++] = (struct change){ CHANGE_PORT, NULL, &o->ports[i], verb, "" };
	for (size_t i = 0; i < o->router_count; i++)
		c[n++] = (struct change){ CHANGE_ROUTER, NULL, o->routers[i], verb, "" };
	for (size_t i = 0; i < o->cluster_count; i++)
		c[n++] = (struct change){ CHANGE_CLUSTER, NULL, o->clusters[i], verb, "" };
	for (size_t i = 0; i < o->shared.count; i++)
		c[n++] = (struct change){ CHANGE_SHARED, NULL, o->shared.list[i], "", "" };
	for (size_t i = 0; i < o->vmac_count; i++)
		c[n++] = (struct change){ CHANGE_VMAC, NULL, o->vmacs[i], verb, "" };
	return n;
}

static int own_write(struct store *s, const struct own *o, const char *verb,
		     struct error *ret_error)
{
	struct writing w = { .txn = { .actor = "vmac registry", .done = write_done } };
	size_t most = o->segment_count + o->pool_count + o->port_count + o->router_count +
		      o->cluster_count + o->shared.count + o->vmac_count;
	struct change *changes = calloc(most + 1, sizeof(*changes));

	if (!changes)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	w.txn.at = clock_wall();
	w.txn.changes = changes;
	w.txn.count = fill_changes(o, verb, changes);
	store_submit(s, &w.txn);
	while (!w.answered) {
		struct pollfd p = { .fd = store_fd(s), .events = POLLIN };

		poll(&p, 1, -1);
		store_dispatch(s);
	}
	free(changes);
	if (w.error.code == ERROR_NONE)
		return 0;
	*ret_error = w.error;
	return -error_errno(w.error.code);
}

int own_fill(const char *directory, const struct own *wanted, const char *verb,
	     struct error *ret_error)
{
	struct store *store;
	struct own found;
	int r = own_open(directory, wanted->uuid[0] ? wanted->uuid : NULL, &store, &found,
			 ret_error);

	if (r < 0)
		return r;
	if (own_is_empty(&found))
		r = own_write(store, wanted, verb, ret_error);
	else
		r = error_set(ret_error, ERROR_IN_USE, "give an empty state directory",
			      "the registry in %.200s is not empty", directory);
	own_done(&found);
	store_close(store);
	return r;
}
