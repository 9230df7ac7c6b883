/* Moves of vMACs between hosts: hints to the machine, and how it stands. */
#include "api/internal.h"
#include "api/named.h"
#include "api/views.h"

static void list_item(void *ctx, const struct move_view *v)
{
	view_move(ctx, v, true);
}

void moves_list(struct request *r)
{
	struct out o = { 0 };

	named_list_begin(&o);
	engine_moves(r->api->config.engine, list_item, &o);
	named_list_end(r, &o);
}

static void hinted(void *ctx, const struct answer *answer)
{
	struct out o = { 0 };

	if (answer->error) {
		request_refuse(ctx, answer->error);
	} else if (!answer->move) {
		request_done(ctx);
	} else {
		view_move(&o, answer->move, true);
		request_answer(ctx, MHD_HTTP_OK, &o);
	}
}

static void hint(struct request *r, enum engine_move_verb verb)
{
	const struct body_move *b = &r->body.move;
	struct vmac_ref ref = request_vmac(r);
	char who[32];
	struct caller c = request_caller(r, who);

	engine_move(r->api->config.engine, &c, verb, &ref, b->lifetime_ms, b->force, hinted, r);
}

void vmacs_prepare(struct request *r)
{
	hint(r, ENGINE_MOVE_PREPARE);
}

void vmacs_activate(struct request *r)
{
	hint(r, ENGINE_MOVE_ACTIVATE);
}

void vmacs_abort(struct request *r)
{
	hint(r, ENGINE_MOVE_ABORT);
}

void vmacs_stop(struct request *r)
{
	hint(r, ENGINE_MOVE_STOP);
}

void vmacs_resume(struct request *r)
{
	hint(r, ENGINE_MOVE_RESUME);
}

void vmacs_thaw(struct request *r)
{
	hint(r, ENGINE_MOVE_THAW);
}

void vmacs_move(struct request *r)
{
	hint(r, ENGINE_MOVE_MOVE);
}
