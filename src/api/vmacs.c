#include "api/internal.h"
#include "api/views.h"

#include <stdio.h>
#include <string.h>

struct vmac_ref request_vmac(const struct request *r)
{
	const char *segment = strcmp(r->arg[0], "-") == 0 ? "" : r->arg[0];

	return (struct vmac_ref){ .segment = segment, .which = r->arg[1] };
}

/* --- looking --------------------------------------------------------------------------------- */

struct listing {
	struct out o;
	char last_segment[NAME_MAX_LEN + 1];
	vmac_mac_t last_address;
};

static void list_item(void *ctx, const struct vmac_view *v)
{
	struct listing *l = ctx;

	view_vmac(&l->o, v);
	snprintf(l->last_segment, sizeof(l->last_segment), "%s", v->segment);
	l->last_address = v->vmac->address;
}

/* The cursor is "SEGMENT/ADDRESS" of the last one told. */
static int cursor_parse(const char *text, char segment[static NAME_MAX_LEN + 1],
			struct vmac_filter *f, struct error *ret_error)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;

	if (len == 0 || len > NAME_MAX_LEN ||
	    vmac_mac_parse(slash + 1, &f->after_address, NULL) < 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "it is \"next\" of the answer before, as it stands there",
				 "after: \"%.80s\" is no cursor", text);
	memcpy(segment, text, len);
	segment[len] = '\0';
	f->after = true;
	f->after_segment = segment;
	return 0;
}

void vmacs_list(struct request *r)
{
	const struct query *q = &r->query;
	struct vmac_filter f = { .segment = q->segment,
				 .pool = q->pool,
				 .owner = q->owner,
				 .tenant = q->tenant,
				 .state = q->state,
				 .kind = q->kind,
				 .origin = q->origin,
				 .limit = q->limit,
				 .after_segment = "" };
	char after_segment[NAME_MAX_LEN + 1];
	struct listing l = { 0 };
	struct error e;
	bool more;
	int n = 0;

	if (q->after[0])
		n = cursor_parse(q->after, after_segment, &f, &e);
	out_open(&l.o, '{');
	out_key(&l.o, "items");
	out_open(&l.o, '[');
	if (n == 0)
		n = engine_vmacs(r->api->config.engine, &f, list_item, &l, &more, &e);
	if (n < 0) {
		out_done(&l.o);
		request_refuse(r, &e);
		return;
	}
	out_close(&l.o, ']');
	out_bool(&l.o, "more", more);
	if (more) {
		char next[NAME_MAX_LEN + VMAC_MAC_TEXT_MAX + 2], text[VMAC_MAC_TEXT_MAX];

		snprintf(next, sizeof(next), "%s/%s", l.last_segment,
			 vmac_mac_format(l.last_address, VMAC_MAC_COLON, text));
		out_text(&l.o, "next", next);
	}
	out_close(&l.o, '}');
	request_answer(r, MHD_HTTP_OK, &l.o);
}

void vmacs_show(struct request *r)
{
	struct vmac_ref ref = request_vmac(r);
	struct out o = { 0 };
	struct vmac_view v;
	struct error e;

	if (engine_vmac_view(r->api->config.engine, &ref, &v, &e) < 0) {
		request_refuse(r, &e);
		return;
	}
	view_vmac(&o, &v);
	request_answer(r, MHD_HTTP_OK, &o);
}

/* --- changing -------------------------------------------------------------------------------- */

/* A release without quarantine leaves no record: 204. */
static void answer_with(struct request *r, int status, const struct answer *answer)
{
	struct out o = { 0 };
	struct vmac_view v;

	if (answer->error) {
		request_refuse(r, answer->error);
	} else if (!answer->vmac) {
		request_done(r);
	} else {
		engine_vmac_look(r->api->config.engine, answer->vmac, &v);
		view_vmac(&o, &v);
		request_answer(r, status, &o);
	}
}

static void added(void *ctx, const struct answer *answer)
{
	answer_with(ctx, MHD_HTTP_CREATED, answer);
}

static void changed(void *ctx, const struct answer *answer)
{
	answer_with(ctx, MHD_HTTP_OK, answer);
}

void vmacs_add(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_vmac_add(r->api->config.engine, &c, &r->body.vmac_add.add, added, r);
}

static void batch_added(void *ctx, const struct answer *answer)
{
	struct out o = { 0 };

	if (answer->error) {
		request_refuse(ctx, answer->error);
		return;
	}
	out_open(&o, '{');
	out_key(&o, "addresses");
	out_open(&o, '[');
	for (size_t i = 0; i < answer->address_count; i++)
		out_item_mac(&o, answer->addresses[i]);
	out_close(&o, ']');
	out_close(&o, '}');
	request_answer(ctx, MHD_HTTP_CREATED, &o);
}

void vmacs_add_batch(struct request *r)
{
	char who[32];
	struct caller c = request_caller(r, who);

	engine_vmac_add_batch(r->api->config.engine, &c, &r->body.vmac_batch, batch_added, r);
}

void vmacs_set(struct request *r)
{
	struct vmac_ref ref = request_vmac(r);
	char who[32];
	struct caller c = request_caller(r, who);

	engine_vmac_set(r->api->config.engine, &c, &ref, &r->body.vmac_set, changed, r);
}

void vmacs_renew(struct request *r)
{
	struct vmac_ref ref = request_vmac(r);
	char who[32];
	struct caller c = request_caller(r, who);

	engine_vmac_renew(r->api->config.engine, &c, &ref, changed, r);
}

void vmacs_release(struct request *r)
{
	struct vmac_ref ref = request_vmac(r);
	char who[32];
	struct caller c = request_caller(r, who);

	engine_vmac_release(r->api->config.engine, &c, &ref, changed, r);
}
