#include "api/internal.h"
#include "api/named.h"
#include "api/router_form.h"
#include "api/views.h"

static void list_item(void *ctx, const struct router_view *v)
{
	view_router(ctx, v);
}

void routers_list(struct request *r)
{
	struct out o = { 0 };

	named_list_begin(&o);
	engine_routers(r->api->config.engine, list_item, &o);
	named_list_end(r, &o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct router_view v;
	int found = engine_router_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		view_router(o, &v);
	return found;
}

void routers_show(struct request *r)
{
	named_show(r, look);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_CREATED, look, answer->router->name);
}

void routers_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);
	struct router router;

	router_form_fill(&r->body.router, NULL, &router);
	engine_router_add(r->api->config.engine, &c, &router, added, r);
}

static void changed(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_OK, look, answer->router->name);
}

void routers_set(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);
	struct router_view before;
	struct router router;
	struct error e;

	if (engine_router_view(r->api->config.engine, r->arg[0], &before, &e) < 0) {
		request_refuse(r, &e);
		return;
	}
	router_form_fill(&r->body.router, before.router, &router);
	engine_router_set(r->api->config.engine, &c, r->arg[0], &router, changed, r);
}

void routers_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_router_delete(r->api->config.engine, &c, r->arg[0], named_gone, r);
}

static void history_item(void *ctx, const struct elect_event *event)
{
	view_transition(ctx, event);
}

void routers_history(struct request *r)
{
	struct out o = { 0 };
	struct error e;

	named_list_begin(&o);
	if (engine_router_history(r->api->config.engine, r->arg[0], history_item, &o, &e) < 0) {
		out_done(&o);
		request_refuse(r, &e);
		return;
	}
	named_list_end(r, &o);
}
