#include "api/named.h"

void named_list_begin(struct out *o)
{
	out_open(o, '{');
	out_key(o, "items");
	out_open(o, '[');
}

void named_list_end(struct request *r, struct out *o)
{
	out_close(o, ']');
	out_bool(o, "more", false);
	out_close(o, '}');
	request_answer(r, MHD_HTTP_OK, o);
}

void named_show(struct request *r, named_look_fn look)
{
	struct out o = { 0 };
	struct error e;

	if (look(r, r->arg[0], &o, &e) < 0)
		request_refuse(r, &e);
	else
		request_answer(r, MHD_HTTP_OK, &o);
}

void named_answer(struct request *r, int status, named_look_fn look, const char *name)
{
	struct out o = { 0 };
	struct error e;

	if (look(r, name, &o, &e) < 0)
		request_done(r);
	else
		request_answer(r, status, &o);
}

void named_gone(void *ctx, const struct answer *answer)
{
	if (answer->error)
		request_refuse(ctx, answer->error);
	else
		request_done(ctx);
}
