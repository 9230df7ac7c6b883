#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

static void list_item(void *ctx, const struct segment_view *v)
{
	view_segment(ctx, v);
}

void segments_list(struct request *r)
{
	struct out o = { 0 };

	named_list_begin(&o);
	engine_segments(r->api->config.engine, list_item, &o);
	named_list_end(r, &o);
}

static int look(struct request *r, const char *name, struct out *o, struct error *ret_error)
{
	struct segment_view v;
	int found = engine_segment_view(r->api->config.engine, name, &v, ret_error);

	if (found == 0)
		view_segment(o, &v);
	return found;
}

void segments_show(struct request *r)
{
	named_show(r, look);
}

static void added(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		named_answer(ctx, MHD_HTTP_CREATED, look, answer->segment->name);
}

void segments_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_segment_add(r->api->config.engine, &c, &r->body.segment_add, added, r);
}

void segments_delete(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_segment_delete(r->api->config.engine, &c, r->arg[0], named_gone, r);
}
