/* Life of the engine: begin, bring host and plane in line, end. */
#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"

int engine_new(const struct engine_config *config, struct engine **ret, struct error *ret_error)
{
	struct engine *e = mem_alloc(config->mem, sizeof(*e));

	if (!e)
		return engine_no_memory(ret_error);
	e->cfg = *config;
	e->retry = MONO_NEVER;
	e->waiters_tail = &e->waiters;
	e->started = config->mono_now();
	if (balancing_new(e, ret_error) < 0) {
		engine_dispose(e, e);
		return -error_errno(ERROR_NO_MEMORY);
	}
	world_init(&e->world, config->mem);
	e->world.in_blocks = config->fleet != NULL;
	*ret = e;
	return 0;
}

void engine_free(struct engine *e)
{
	/* What waits for the hosts ends while fleet/ is still there to hear of it. */
	cluster_jobs_end(e);
	side_free(e);
	balancing_free(e);
	while (e->waiters) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		engine_dispose(e, w);
	}
	world_done(&e->world);
	engine_dispose(e, e);
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
	balancing_start(e);
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		uplink_filter_tidy(e, slot);
	if (plane_sweep(e->cfg.plane, &removed, &error) < 0)
		log_warning("sweep: %s", error.message);
	else if (removed > 0)
		log_info("swept %u things of the data plane that no record speaks of", removed);
}

int engine_start(struct engine *e, struct error *ret_error)
{
	int r = engine_load(e, ret_error);

	if (r == 0 && e->cfg.fleet)
		r = side_load(e, ret_error);
	if (r == 0 && e->cfg.host && e->cfg.plane)
		reconcile(e);
	/* Which gates are whose stands before anything is carried; who has come or gone meanwhile
	 * is heard of afterwards. */
	return r == 0 && e->side ? side_start(e, ret_error) : r;
}
