/* The hosts that share the registry. */
#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

static void list_item(void *ctx, const struct host_view *v)
{
	view_host(ctx, v);
}

void hosts_list(struct request *r)
{
	struct out o = { 0 };

	named_list_begin(&o);
	engine_hosts(r->api->config.engine, list_item, &o);
	named_list_end(r, &o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct host_view v;
	int found = engine_host_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		view_host(o, &v);
	return found;
}

void hosts_show(struct request *r)
{
	named_show(r, look);
}

static void changed(void *ctx, const struct answer *answer)
{
	struct request *r = ctx;

	if (answer->error)
		request_refuse(r, answer->error);
	else
		named_answer(r, MHD_HTTP_OK, look, r->arg[0]);
}

void hosts_set(struct request *r)
{
	const struct body_host_set *b = &r->body.host_set;
	char who[32];
	struct caller c = request_caller(r, who);

	engine_host_set(r->api->config.engine, &c, r->arg[0], b->state, b->fenced_by, changed, r);
}

void hosts_forget(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_host_forget(r->api->config.engine, &c, r->arg[0], named_gone, r);
}
