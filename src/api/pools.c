#include "api/internal.h"
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

static int look(struct engine *engine, const char *name, bool with_key, struct out *o,
		struct error *ret_error)
{
	struct pool_view v;
	int r = engine_pool_view(engine, name, &v, ret_error);

	if (r == 0)
		view_pool(o, &v, with_key);
	return r;
}

/* The command is done; that its object is already gone again does not make it fail. */
static void answer_with(struct request *r, int status, const char *name)
{
	struct out o = { 0 };
	struct error e;

	if (look(r->api->config.engine, name, false, &o, &e) < 0)
		request_done(r);
	else
		request_answer(r, status, &o);
}

void pools_show(struct request *r)
{
	struct out o = { 0 };
	struct error e;

	if (look(r->api->config.engine, r->arg[0], r->query.key, &o, &e) < 0)
		request_refuse(r, &e);
	else
		request_answer(r, MHD_HTTP_OK, &o);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		answer_with(ctx, MHD_HTTP_CREATED, answer->pool->name);
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
		answer_with(ctx, MHD_HTTP_OK, answer->pool->name);
}

void pools_set(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_pool_set(r->api->config.engine, &c, r->arg[0], &r->body.pool_set, changed, r);
}

static void deleted(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		request_done(ctx);
}

void pools_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_pool_delete(r->api->config.engine, &c, r->arg[0], deleted, r);
}
