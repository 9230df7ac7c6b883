#include "api/internal.h"
#include "api/views.h"

static void list_item(void *ctx, const struct segment_view *v)
{
	view_segment(ctx, v);
}

void segments_list(struct request *r)
{
	struct out o = { 0 };

	out_open(&o, '{');
	out_key(&o, "items");
	out_open(&o, '[');
	engine_segments(r->api->config.engine, list_item, &o);
	out_close(&o, ']');
	out_bool(&o, "more", false);
	out_close(&o, '}');
	request_answer(r, MHD_HTTP_OK, &o);
}

static int look(struct engine *engine, const char *name, struct out *o, struct error *ret_error)
{
	struct segment_view v;
	int r = engine_segment_view(engine, name, &v, ret_error);

	if (r == 0)
		view_segment(o, &v);
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

void segments_show(struct request *r)
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
		answer_with(ctx, MHD_HTTP_CREATED, answer->segment->name);
}

void segments_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_segment_add(r->api->config.engine, &c, &r->body.segment_add, added, r);
}

static void deleted(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		request_done(ctx);
}

void segments_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_segment_delete(r->api->config.engine, &c, r->arg[0], deleted, r);
}
