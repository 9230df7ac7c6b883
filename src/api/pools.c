#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

#include <string.h>

struct listing {
	struct out o;
	const char *segment; /* "" = any */
};

static void list_item(void *ctx, const struct pool_view *v)
{
	struct listing *l = ctx;

	if (!l->segment[0] || strcmp(l->segment, v->segment) == 0)
		view_pool(&l->o, v, false);
}

void pools_list(struct request *r)
{
	struct listing l = { .segment = r->query.segment };

	out_open(&l.o, '{');
	out_key(&l.o, "items");
	out_open(&l.o, '[');
	engine_pools(r->api->config.engine, list_item, &l);
	out_close(&l.o, ']');
	out_bool(&l.o, "more", false);
	out_close(&l.o, '}');
	request_answer(r, MHD_HTTP_OK, &l.o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct pool_view v;
	int found = engine_pool_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		view_pool(o, &v, r->query.key);
	return found;
}

void pools_show(struct request *r)
{
	named_show(r, look);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_CREATED, look, answer->pool->name);
}

void pools_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_pool_add(r->api->config.engine, &c, &r->body.pool_add, added, r);
}

static void changed(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_OK, look, answer->pool->name);
}

void pools_set(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_pool_set(r->api->config.engine, &c, r->arg[0], &r->body.pool_set, changed, r);
}

void pools_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_pool_delete(r->api->config.engine, &c, r->arg[0], named_gone, r);
}
