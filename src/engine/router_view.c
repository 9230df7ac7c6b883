/* Routers as others may see them: the record is ours, the rest the elections'. */
#include <stdlib.h>
#include <string.h>

#include "engine/inside.h"

static void see_router(struct engine *e, const struct router *r, struct router_view *ret)
{
	*ret = (struct router_view){ .router = r };
	if (e->cfg.elect && elect_look(e->cfg.elect, r->id, &e->live))
		ret->live = &e->live;
}

int engine_router_view(struct engine *e, const char *name, struct router_view *ret,
		       struct error *ret_error)
{
	const struct router *r;
	int rc = engine_find_router(e, name, &r, ret_error);

	if (rc == 0)
		see_router(e, r, ret);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct router *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void engine_routers(struct engine *e, void (*fn)(void *ctx, const struct router_view *v), void *ctx)
{
	const struct table *t = &e->world.routers_by_name;
	const struct router **list = engine_alloc(e, (t->count + 1) * sizeof(struct router *));
	struct router_view view;
	size_t count = 0;

	if (!list)
		return;
	table_for_each (t, const struct router, r)
		list[count++] = r;
	qsort(list, count, sizeof(*list), by_name);
	for (size_t i = 0; i < count; i++) {
		see_router(e, list[i], &view);
		fn(ctx, &view);
	}
	engine_dispose(e, list);
}

int engine_router_history(struct engine *e, const char *name,
			  void (*fn)(void *ctx, const struct elect_event *event), void *ctx,
			  struct error *ret_error)
{
	struct elect_event *events;
	const struct router *r;
	unsigned int count;
	int rc = engine_find_router(e, name, &r, ret_error);

	if (rc < 0 || !e->cfg.elect)
		return rc;
	events = engine_alloc(e, ELECT_HISTORY_MAX * sizeof(*events));
	if (!events)
		return engine_no_memory(ret_error);
	count = elect_history(e->cfg.elect, r->id, events, ELECT_HISTORY_MAX);
	for (unsigned int i = 0; i < count; i++)
		fn(ctx, &events[i]);
	engine_dispose(e, events);
	return 0;
}

bool engine_elections(struct engine *e, struct elect_facts *ret)
{
	if (e->cfg.elect)
		elect_facts(e->cfg.elect, ret);
	return e->cfg.elect != NULL;
}

void engine_election_links(struct engine *e,
			   void (*fn)(void *ctx, const char *ifname, uint64_t received,
				      uint64_t overflowed, const uint64_t verdicts[VERDICT_COUNT]),
			   void *ctx)
{
	if (e->cfg.elect)
		elect_links(e->cfg.elect, fn, ctx);
}

const char *engine_verdict_name(unsigned int verdict)
{
	return verdict_name((enum verdict)verdict);
}

const char *engine_election_state_name(unsigned int state)
{
	return fhrp_state_name((enum fhrp_state)state);
}
