/* Life of the engine: load, bring host and plane in line, end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/inside.h"

#define LOAD_AT_ONCE 64

int engine_new(const struct engine_config *config, struct engine **ret, struct error *ret_error)
{
	struct engine *e = mem_alloc(config->mem, sizeof(*e));

	if (!e)
		return engine_no_memory(ret_error);
	e->cfg = *config;
	e->retry = MONO_NEVER;
	e->waiters_tail = &e->waiters;
	e->started = config->mono_now();
	world_init(&e->world, config->mem);
	*ret = e;
	return 0;
}

void engine_free(struct engine *e)
{
	while (e->waiters) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		engine_dispose(e, w);
	}
	world_done(&e->world);
	engine_dispose(e, e);
}

/* --- load ------------------------------------------------------------------------------------ */

struct load {
	struct engine *e;
	struct vmac *waiting[LOAD_AT_ONCE];
	size_t count;
};

static int load_record(struct load *load, enum change_kind kind, const void *record)
{
	void *copy = world_copy(&load->e->world, kind, record);
	int r = copy ? world_apply(&load->e->world, kind, NULL, copy) : -ENOMEM;

	if (r < 0)
		engine_dispose(load->e, copy);
	return r;
}

static int load_segment(void *ctx, const struct segment *s)
{
	struct load *load = ctx;

	if (s->uplink[0])
		snprintf(load->e->uplinks[s->net >> 12].ifname, sizeof(s->uplink), "%s", s->uplink);
	return load_record(load, CHANGE_SEGMENT, s);
}

static int load_pool(void *ctx, const struct pool *p)
{
	return load_record(ctx, CHANGE_POOL, p);
}

static int load_port(void *ctx, const struct port *p)
{
	return load_record(ctx, CHANGE_PORT, p);
}

static int load_expect(void *ctx, uint64_t count)
{
	struct world *w = &((struct load *)ctx)->e->world;
	int r = table_reserve(&w->vmacs, count);

	return r < 0 ? r : table_reserve(&w->vmacs_by_name, count);
}

static int load_flush(struct load *load)
{
	int r = world_load_vmacs(&load->e->world, load->waiting, load->count);

	load->count = 0;
	return r;
}

static int load_vmac(void *ctx, struct vmac *owned)
{
	struct load *load = ctx;

	load->waiting[load->count++] = owned;
	return load->count == LOAD_AT_ONCE ? load_flush(load) : 0;
}

/* --- start ----------------------------------------------------------------------------------- */

static void reconcile(struct engine *e)
{
	unsigned int removed = 0;
	struct error error;

	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		carry_uplink(e, slot);
	for (uint32_t id = 1; id <= PORTS_MAX; id++)
		carry_port(e, id);
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		uplink_filter_tidy(e, slot);
	if (plane_sweep(e->cfg.plane, &removed, &error) < 0)
		log_warning("sweep: %s", error.message);
	else if (removed > 0)
		log_info("swept %u things of the data plane that no record speaks of", removed);
}

int engine_start(struct engine *e, struct error *ret_error)
{
	struct load load = { .e = e };
	struct store_visitor visitor = {
		.segment = load_segment,
		.pool = load_pool,
		.port = load_port,
		.expect_vmacs = load_expect,
		.vmac = load_vmac,
		.ctx = &load,
	};
	int r;

	ret_error->code = ERROR_NONE;
	r = store_load(e->cfg.store, &visitor, ret_error);
	if (r == 0)
		r = load_flush(&load);
	if (r < 0)
		return ret_error->code != ERROR_NONE ? r : engine_no_memory(ret_error);
	if (e->cfg.host && e->cfg.plane)
		reconcile(e);
	return 0;
}
