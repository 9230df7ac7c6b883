/* The registry's records into the world, each checked against those before it.
 *
 * The store answers for what one record may be; that they agree is checked here, because nothing
 * else has all of them. */
#include <errno.h>
#include <stdio.h>

#include "engine/inside.h"
#include "model/record.h"

#define LOAD_AT_ONCE 64

struct load {
	struct engine *e;
	struct error *error;
	struct vmac *waiting[LOAD_AT_ONCE];
	size_t count;
};

#define CORRUPT_HINT "restore a backup of the registry"

static int load_record(struct load *load, enum change_kind kind, const void *record)
{
	void *copy = world_copy(&load->e->world, kind, record);
	int r = copy ? world_apply(&load->e->world, kind, NULL, copy) : -ENOMEM;

	if (r < 0) {
		world_drop(&load->e->world, kind, copy);
		return engine_no_memory(load->error);
	}
	return 0;
}

static int load_segment(void *ctx, const struct segment *s)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;
	unsigned int slot = segment_slot(s);

	if (s->id == 0 || s->id > SEGMENTS_MAX || world_segment(w, s->id) ||
	    world_segment_named(w, s->name))
		return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
				 "the registry is damaged: segment '%s' is there twice, or its id "
				 "is out of bounds",
				 s->name);
	if ((slot == 0) != (s->uplink[0] == '\0'))
		return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
				 "the registry is damaged: segment '%s' has number %u", s->name,
				 s->net);
	if (slot)
		snprintf(load->e->uplinks[slot].ifname, sizeof(s->uplink), "%s", s->uplink);
	return load_record(load, CHANGE_SEGMENT, s);
}

static int load_pool(void *ctx, const struct pool *p)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;

	if (p->id == 0 || p->id > POOLS_MAX || world_pool(w, p->id) ||
	    world_pool_named(w, p->name) || !world_segment(w, p->segment))
		return error_set(
			load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
			"the registry is damaged: pool '%s' is there twice, or without its "
			"segment",
			p->name);
	return load_record(load, CHANGE_POOL, p);
}

static int load_port(void *ctx, const struct port *p)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;

	if (p->id == 0 || p->id > PORTS_MAX || w->ports[p->id] || world_port_named(w, p->name) ||
	    !world_segment(w, p->segment))
		return error_set(
			load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
			"the registry is damaged: port '%s' is there twice, or without its "
			"segment",
			p->name);
	return load_record(load, CHANGE_PORT, p);
}

static int load_router(void *ctx, const struct router *r)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;
	struct error why;

	if (w->routers[r->id] || world_router_named(w, r->name))
		return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
				 "the registry is damaged: router '%s' is there twice", r->name);
	if (router_clash(load->e, r, &why) < 0)
		return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
				 "the registry is damaged: router '%s': %.200s", r->name,
				 why.message);
	return load_record(load, CHANGE_ROUTER, r);
}

static int load_cluster(void *ctx, const struct cluster *c)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;
	bool twice = world_cluster(w, c->id) || world_cluster_named(w, c->name);

	for (unsigned int i = 0; i < c->face_count; i++)
		twice |= world_cluster_of_face(w, c->segment, c->faces[i]) != NULL;
	if (c->id == 0 || c->id > CLUSTERS_MAX || twice || !world_segment(w, c->segment))
		return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
				 "the registry is damaged: cluster '%s' or a face of it is there "
				 "twice, or without its segment",
				 c->name);
	return load_record(load, CHANGE_CLUSTER, c);
}

static int load_kept(void *ctx, const struct shared_record *kept)
{
	return load_record(ctx, CHANGE_SHARED, kept);
}

static int load_expect(void *ctx, uint64_t count)
{
	struct load *load = ctx;
	struct world *w = &load->e->world;

	if (table_reserve(&w->vmacs, count) < 0 || table_reserve(&w->vmacs_by_name, count) < 0)
		return engine_no_memory(load->error);
	return 0;
}

static int load_flush(struct load *load)
{
	char text[VMAC_MAC_TEXT_MAX];
	size_t done = 0;
	int r = world_load_vmacs(&load->e->world, load->waiting, load->count, &done);

	if (r == -ENOMEM)
		r = engine_no_memory(load->error);
	else if (r < 0)
		r = error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
			      "the registry is damaged: %s is there twice, or without the segment, "
			      "pool or port that it names",
			      vmac_mac_format(load->waiting[done]->address, VMAC_MAC_COLON, text));
	for (; done < load->count; done++)
		engine_dispose(load->e, load->waiting[done]);
	load->count = 0;
	return r;
}

static int load_vmac(void *ctx, struct vmac *owned)
{
	struct load *load = ctx;

	load->waiting[load->count++] = owned;
	return load->count == LOAD_AT_ONCE ? load_flush(load) : 0;
}

/* A port whose vMAC does not know of it would be served for an address that is free. */
static int ports_are_held(struct load *load)
{
	struct world *w = &load->e->world;

	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = w->ports[id];
		const struct vmac *v = p ? world_vmac(w, p->segment, p->address) : NULL;

		if (p && (!v || v->port != id))
			return error_set(load->error, ERROR_REGISTRY_CORRUPT, CORRUPT_HINT,
					 "the registry is damaged: port '%s' holds an address that "
					 "is not its own",
					 p->name);
	}
	return 0;
}

int engine_load(struct engine *e, struct error *ret_error)
{
	struct load load = { .e = e, .error = ret_error };
	struct store_visitor visitor = {
		.segment = load_segment,
		.pool = load_pool,
		.port = load_port,
		.router = load_router,
		.cluster = load_cluster,
		.shared = load_kept,
		.expect_vmacs = load_expect,
		.vmac = load_vmac,
		.ctx = &load,
	};
	int r = store_load(e->cfg.store, &visitor, ret_error);

	if (r == 0)
		r = load_flush(&load);
	return r == 0 ? ports_are_held(&load) : r;
}
