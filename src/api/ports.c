#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

#include <string.h>

/* A port without counters (it waits for its link, there is no data plane) is shown without them. */
static void show(struct engine *engine, struct out *o, const struct port_view *v)
{
	struct counters_view c;
	struct error e;
	int r = engine_port_counters(engine, v->port->name, &c, &e);

	view_port(o, v, r < 0 ? NULL : &c);
}

struct listing {
	struct engine *engine;
	struct out o;
	const char *segment; /* "" = any */
};

static void list_item(void *ctx, const struct port_view *v)
{
	struct listing *l = ctx;

	if (!l->segment[0] || strcmp(l->segment, v->segment) == 0)
		show(l->engine, &l->o, v);
}

void ports_list(struct request *r)
{
	struct listing l = { .engine = r->api->config.engine, .segment = r->query.segment };

	out_open(&l.o, '{');
	out_key(&l.o, "items");
	out_open(&l.o, '[');
	engine_ports(l.engine, list_item, &l);
	out_close(&l.o, ']');
	out_bool(&l.o, "more", false);
	out_close(&l.o, '}');
	request_answer(r, MHD_HTTP_OK, &l.o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct port_view v;
	int found = engine_port_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		show(r->api->config.engine, o, &v);
	return found;
}

void ports_show(struct request *r)
{
	named_show(r, look);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_CREATED, look, answer->port->name);
}

void ports_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_port_add(r->api->config.engine, &c, &r->body.port_add.add, added, r);
}

static void changed(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_OK, look, answer->port->name);
}

void ports_set(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_port_set(r->api->config.engine, &c, r->arg[0], &r->body.port_set, changed, r);
}

void ports_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_port_delete(r->api->config.engine, &c, r->arg[0], r->query.release, named_gone, r);
}
