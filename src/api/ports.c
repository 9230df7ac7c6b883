#include "api/internal.h"
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

static int look(struct engine *engine, const char *name, struct out *o, struct error *ret_error)
{
	struct port_view v;
	int r = engine_port_view(engine, name, &v, ret_error);

	if (r == 0)
		show(engine, o, &v);
	return r;
}

/* The command is done; that its object is already gone again does not make it fail. */
static void answer_with(struct request *r, int status, const char *name)
{
	struct out o = { 0 };
	struct error e;

	if (look(r->api->config.engine, name, &o, &e) < 0)
		request_done(r);
	else
		request_answer(r, status, &o);
}

void ports_show(struct request *r)
{
	struct out o = { 0 };
	struct error e;

	if (look(r->api->config.engine, r->arg[0], &o, &e) < 0)
		request_refuse(r, &e);
	else
		request_answer(r, MHD_HTTP_OK, &o);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		answer_with(ctx, MHD_HTTP_CREATED, answer->port->name);
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
		answer_with(ctx, MHD_HTTP_OK, answer->port->name);
}

void ports_set(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_port_set(r->api->config.engine, &c, r->arg[0], &r->body.port_set, changed, r);
}

static void deleted(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		request_done(ctx);
}

void ports_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_port_delete(r->api->config.engine, &c, r->arg[0], r->query.release, deleted, r);
}
