/* The way of a request.
 *
 * Theory of operation
 *
 * libmicrohttpd calls request_handle() when the headers are there, for each piece of the body, when
 * the request is complete, and again whenever the connection was resumed.  The first three read;
 * at the third the route's handler runs and calls the engine.  Either the engine answers from
 * within that call (a refusal, a view while nothing waits): the response goes out at once.  Or it
 * answers later: the connection is suspended meanwhile, and the answer resumes it.
 *
 * A request has two holders, the connection and the engine (`held`), and is freed by the last. */
#include "api/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_FIRST 1024

static void request_free(struct request *r)
{
	struct api *a = r->api;

	assert(!r->link && !r->held && !r->conn);
	body_done(&r->body);
	query_done(&r->query);
	if (r->stream)
		MHD_destroy_response(r->stream);
	free(r->data);
	free(r->reply);
	free(r);
	api_unref(a);
}

static struct request *request_new(struct api *a, struct MHD_Connection *conn)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->api = a;
	r->conn = conn;
	query_init(&r->query);
	a->requests++;
	return r;
}

/* --- waiting --------------------------------------------------------------------------------- */

static void request_suspend(struct request *r)
{
	struct api *a = r->api;

	r->suspended = true;
	r->next = a->waiting;
	r->link = &a->waiting;
	if (r->next)
		r->next->link = &r->next;
	a->waiting = r;
	MHD_suspend_connection(r->conn);
}

static void request_resume(struct request *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	r->link = NULL;
	r->next = NULL;
	r->suspended = false;
	api_resume(r->api, r->conn);
}

void request_resume_all(struct api *a)
{
	while (a->waiting)
		request_resume(a->waiting);
}

/* The engine lets go of the request.  Whether it still has a client. */
static bool request_unhold(struct request *r)
{
	if (!r->held)
		return true;
	r->held = false;
	if (r->conn)
		return true;
	r->api->counters.answers_lost++;
	return false;
}

/* --- answering ------------------------------------------------------------------------------- */

static void answered(struct request *r, int status, const char *content_type)
{
	assert(!r->answered);
	r->answered = true;
	r->status = status;
	r->content_type = content_type;
	if (r->suspended)
		request_resume(r);
}

static void answer_out(struct request *r, int status, const char *content_type, struct out *o)
{
	static const char no_memory[] =
		"{\"error\":{\"code\":\"no_memory\",\"message\":\"no memory for the answer\","
		"\"hint\":\"\"}}\n";

	if (!request_unhold(r)) {
		out_done(o);
		request_free(r);
		return;
	}
	out_puts(o, "\n");
	r->reply = out_take(o, &r->reply_len);
	if (!r->reply) {
		r->reply_fixed = no_memory;
		r->reply_len = sizeof(no_memory) - 1;
		status = error_http_status(ERROR_NO_MEMORY);
		content_type = "application/json";
	}
	answered(r, status, content_type);
}

void request_answer(struct request *r, int status, struct out *o)
{
	answer_out(r, status, "application/json", o);
}

void request_answer_text(struct request *r, const char *content_type, struct out *o)
{
	answer_out(r, MHD_HTTP_OK, content_type, o);
}

void request_refuse(struct request *r, const struct error *e)
{
	struct out o = { 0 };

	r->api->counters.refusals[e->code]++;
	out_error(&o, e);
	request_answer(r, error_http_status(e->code), &o);
}

void request_done(struct request *r)
{
	if (!request_unhold(r)) {
		request_free(r);
		return;
	}
	r->reply_fixed = "";
	answered(r, MHD_HTTP_NO_CONTENT, NULL);
}

void request_stream(struct request *r, struct MHD_Response *stream)
{
	bool here = request_unhold(r);

	assert(here); /* a stream begins within its own request */
	r->stream = stream;
	answered(r, MHD_HTTP_OK, "text/event-stream");
}

static struct MHD_Response *response_of(struct request *r)
{
	struct MHD_Response *response;

	if (r->stream) {
		response = r->stream;
		r->stream = NULL;
		return response;
	}
	if (!r->reply)
		return MHD_create_response_from_buffer(r->reply_len, (void *)r->reply_fixed,
						       MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer(r->reply_len, r->reply, MHD_RESPMEM_MUST_FREE);
	if (response)
		r->reply = NULL;
	return response;
}

static enum MHD_Result request_send(struct request *r)
{
	struct MHD_Response *response = response_of(r);
	enum MHD_Result ok;

	if (!response)
		return MHD_NO;
	if (r->content_type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
	if (r->allow[0])
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->allow);
	ok = MHD_queue_response(r->conn, (unsigned int)r->status, response);
	MHD_destroy_response(response);
	r->api->counters.by_status[r->status]++;
	return ok;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool body_append(struct request *r, const char *data, size_t len)
{
	size_t capacity = r->capacity ? r->capacity : BODY_FIRST;
	char *p;

	if (r->drained > 0 || len > API_BODY_MAX - r->len) {
		r->drained += len;
		return r->drained <= API_BODY_DRAIN_MAX;
	}
	while (capacity < r->len + len)
		capacity *= 2;
	if (capacity > r->capacity) {
		p = realloc(r->data, capacity);
		if (!p)
			return false;
		r->data = p;
		r->capacity = capacity;
	}
	memcpy(r->data + r->len, data, len);
	r->len += len;
	return true;
}

static int too_large(struct error *ret_error)
{
	return error_set(ret_error, ERROR_TOO_LARGE, NULL, "a body has at most %d octets",
			 API_BODY_MAX);
}

/* A body that says beforehand that it is far too long is not read at all. */
static bool announced_too_large(struct MHD_Connection *conn)
{
	const char *length =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > API_BODY_DRAIN_MAX;
}

struct reading {
	struct request *r;
	int result;
	struct error error;
};

static enum MHD_Result read_query_value(void *cls, enum MHD_ValueKind kind, const char *key,
					const char *value)
{
	struct reading *g = cls;

	g->result = query_add(g->r->route->query, &g->r->query, key, value, &g->error);
	return g->result < 0 ? MHD_NO : MHD_YES;
}

static int request_read(struct request *r, struct error *ret_error)
{
	struct reading g = { .r = r };

	MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND, read_query_value, &g);
	if (g.result < 0) {
		*ret_error = g.error;
		return g.result;
	}
	if (r->drained > 0)
		return too_large(ret_error);
	if (r->route->body)
		return body_read(r->route->body, r->data, r->len, &r->body, ret_error);
	if (r->len > 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "what it needs to know goes into the query string",
				 "this request takes no body");
	return 0;
}

/* --- running --------------------------------------------------------------------------------- */

struct caller request_caller(const struct request *r, char who[static 32])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const char *reason = r->route->body ? r->body.reason : r->query.reason;

	/* connection_notify() stored the uid, plus 1 so that it is not NULL. */
	if (info && info->socket_context)
		snprintf(who, 32, "uid %lu", (unsigned long)(uintptr_t)info->socket_context - 1);
	else
		snprintf(who, 32, "uid ?");
	return (struct caller){
		.who = who,
		.reason = reason,
		.root = info && (uintptr_t)info->socket_context == 1,
	};
}

/* Everything submitted before is durable: the view may be taken. */
static void view_now(void *ctx)
{
	struct request *r = ctx;

	if (request_unhold(r))
		r->route->handler(r);
	else
		request_free(r);
}

/* Runs the handler; the request may be answered when it returns, or not yet. */
static void request_start(struct request *r)
{
	struct error e;

	if (request_read(r, &e) < 0) {
		request_refuse(r, &e);
		return;
	}
	r->held = true;
	if (r->route->view)
		engine_when_durable(r->api->config.engine, view_now, r);
	else
		r->route->handler(r);
	body_done(&r->body);
	free(r->data);
	r->data = NULL;
}

static enum MHD_Result request_begin(struct request *r, const char *method, const char *url)
{
	struct error e;

	if (route_find(r, method, url, &e) < 0) {
		r->started = true;
		request_refuse(r, &e);
	} else if (!r->route) {
		r->started = true;
		request_done(r);
	} else if (announced_too_large(r->conn)) {
		r->started = true;
		too_large(&e);
		request_refuse(r, &e);
		return request_send(r);
	}
	return MHD_YES;
}

enum MHD_Result request_handle(void *cls, struct MHD_Connection *conn, const char *url,
			       const char *method, const char *version, const char *upload_data,
			       size_t *upload_data_size, void **con_cls)
{
	struct request *r = *con_cls;

	if (!r) {
		r = request_new(cls, conn);
		*con_cls = r;
		return r ? request_begin(r, method, url) : MHD_NO;
	}
	if (*upload_data_size > 0) {
		bool ok = body_append(r, upload_data, *upload_data_size);

		*upload_data_size = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	if (!r->started) {
		r->started = true;
		request_start(r);
	}
	if (r->answered)
		return request_send(r);
	if (r->api->closed)
		return MHD_NO;
	request_suspend(r);
	return MHD_YES;
}

void request_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		       enum MHD_RequestTerminationCode toe)
{
	struct request *r = *con_cls;

	if (!r)
		return;
	*con_cls = NULL;
	assert(!r->suspended);
	r->conn = NULL;
	if (!r->held)
		request_free(r);
}
