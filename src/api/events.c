/* The event stream: GET /v1/events as server-sent events.
 *
 * Theory of operation
 *
 * What happened goes once, as finished text, into one ring that all subscribers share; a subscriber
 * is a position in it.  So memory is bounded whatever the subscribers do: one that is too slow
 * finds that the ring went past its position, is told how many events it lost (`event: lost`), and
 * goes on with the oldest that is left.  A client that comes back says the id of the last event it
 * has (Last-Event-ID) and gets what the ring still holds behind it.
 *
 * An id is GENERATION-POSITION.  While nobody listens, and EVENTS_LINGER after the last one left,
 * we leave the engine's list, so that a busy daemon does not format events for nobody; the ring
 * begins anew then, with another generation, and an id of an earlier one is answered with `event:
 * lost` of unknown count.
 *
 * A subscriber that has everything is suspended; an event, or the keep-alive comment, resumes it.
 */
#include "api/internal.h"
#include "api/views.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_RING	       8192 /* a power of two */
#define EVENTS_SUBSCRIBERS_MAX 64
#define EVENTS_KEEPALIVE       SPAN_S(15)
#define EVENTS_LINGER	       SPAN_S(60)
#define EVENTS_PIECE	       (16 * 1024) /* copied to a subscriber at once */

struct block {
	char *text;
	size_t len;
};

struct subscriber {
	struct events *events;
	struct MHD_Connection *conn;
	uint64_t at; /* the next position to send */
	struct out pending;
	size_t sent; /* of pending */
	bool suspended;
	bool quiet; /* nothing was sent since the last keep-alive */
	struct subscriber *next, **link;
};

struct events {
	struct api *api;
	struct block ring[EVENTS_RING];
	uint64_t first, head; /* positions [first, head) are in the ring */
	uint64_t generation;
	struct subscriber *subscribers;
	mono_t keepalive, linger;
	bool listening, stopping;
};

int events_new(struct api *a, struct events **ret, struct error *ret_error)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the event ring");
	e->api = a;
	e->keepalive = MONO_NEVER;
	e->linger = MONO_NEVER;
	e->generation = (uint64_t)a->config.wall_now().ms;
	*ret = e;
	return 0;
}

static void ring_clear(struct events *e)
{
	for (; e->first < e->head; e->first++)
		free(e->ring[e->first % EVENTS_RING].text);
}

void events_free(struct events *e)
{
	assert(!e->subscribers);
	ring_clear(e);
	free(e);
}

/* --- telling --------------------------------------------------------------------------------- */

static void subscriber_wake(struct subscriber *s)
{
	if (!s->suspended)
		return;
	s->suspended = false;
	api_resume(s->events->api, s->conn);
}

static void event_happened(void *ctx, const struct engine_event *event)
{
	struct events *e = ctx;
	struct out data = { 0 }, text = { 0 };
	struct block b = { 0 };
	char *json;
	size_t len;

	view_event(&data, event);
	json = out_take(&data, &len);
	if (json) {
		out_printf(&text,
			   "id: %llx-%llu\nevent: %s\ndata: ", (unsigned long long)e->generation,
			   (unsigned long long)e->head, event->what);
		out_bytes(&text, json, len);
		out_puts(&text, "\n\n");
		b.text = out_take(&text, &b.len);
		free(json);
	}
	/* Without memory the position stays empty: skipped, and counted, when it is sent. */
	if (e->head - e->first == EVENTS_RING)
		free(e->ring[e->first++ % EVENTS_RING].text);
	e->ring[e->head++ % EVENTS_RING] = b;
	for (struct subscriber *s = e->subscribers; s; s = s->next)
		subscriber_wake(s);
}

/* --- sending --------------------------------------------------------------------------------- */

static void say_lost(struct subscriber *s, uint64_t count)
{
	out_printf(&s->pending, "event: lost\ndata: {\"count\":%llu}\n\n",
		   (unsigned long long)count);
	s->events->api->counters.events_lost += count;
}

/* Copies the next events into s->pending. */
static void subscriber_fill(struct subscriber *s)
{
	struct events *e = s->events;

	s->pending.len = 0;
	s->sent = 0;
	if (s->at < e->first) {
		say_lost(s, e->first - s->at);
		s->at = e->first;
	}
	for (; s->at < e->head && s->pending.len < EVENTS_PIECE; s->at++) {
		const struct block *b = &e->ring[s->at % EVENTS_RING];

		if (!b->text) {
			say_lost(s, 1);
			continue;
		}
		out_bytes(&s->pending, b->text, b->len);
		e->api->counters.events_sent++;
	}
}

/* MHD_ContentReaderCallback */
static ssize_t subscriber_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct subscriber *s = cls;
	size_t n;

	if (s->events->stopping)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (s->sent == s->pending.len)
		subscriber_fill(s);
	if (s->pending.failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = s->pending.len - s->sent;
	if (n == 0) {
		s->suspended = true;
		MHD_suspend_connection(s->conn);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(buf, s->pending.data + s->sent, n);
	s->sent += n;
	s->quiet = false;
	return (ssize_t)n;
}

/* --- subscribing ----------------------------------------------------------------------------- */

/* MHD_ContentReaderFreeCallback: the connection is gone. */
static void subscriber_free(void *cls)
{
	struct subscriber *s = cls;
	struct events *e = s->events;

	assert(!s->suspended);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	e->api->counters.subscribers--;
	if (!e->subscribers) {
		e->keepalive = MONO_NEVER;
		e->linger = mono_after(e->api->config.mono_now(), EVENTS_LINGER);
	}
	out_done(&s->pending);
	free(s);
}

/* Where the client wants to go on. */
static void subscriber_place(struct subscriber *s, const char *last_id)
{
	unsigned long long generation, position;
	struct events *e = s->events;

	s->at = e->head;
	if (!last_id)
		return;
	if (sscanf(last_id, "%llx-%llu", &generation, &position) == 2 &&
	    generation == e->generation && position < e->head)
		s->at = position + 1;
	else
		out_puts(&s->pending, "event: lost\ndata: {\"count\":null}\n\n");
}

static struct subscriber *subscriber_new(struct events *e, struct MHD_Connection *conn)
{
	struct subscriber *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->events = e;
	s->conn = conn;
	out_puts(&s->pending, ": vmac\nretry: 2000\n\n");
	subscriber_place(s, MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Last-Event-ID"));
	s->next = e->subscribers;
	s->link = &e->subscribers;
	if (s->next)
		s->next->link = &s->next;
	e->subscribers = s;
	e->api->counters.subscribers++;
	return s;
}

static void events_listen(struct events *e)
{
	e->linger = MONO_NEVER;
	if (e->keepalive.ns == MONO_NEVER.ns)
		e->keepalive = mono_after(e->api->config.mono_now(), EVENTS_KEEPALIVE);
	if (e->listening)
		return;
	e->listening = true;
	engine_subscribe(e->api->config.engine, event_happened, e);
}

static void events_unlisten(struct events *e)
{
	if (!e->listening)
		return;
	e->listening = false;
	engine_subscribe(e->api->config.engine, NULL, NULL);
	ring_clear(e);
	e->generation++;
}

void events_stream(struct request *r)
{
	struct events *e = r->api->events;
	struct MHD_Response *response = NULL;
	struct subscriber *s = NULL;
	struct error error;

	if (r->api->counters.subscribers >= EVENTS_SUBSCRIBERS_MAX) {
		error_set(&error, ERROR_LIMIT_REACHED, "one stream carries every event",
			  "there are %d event streams already", EVENTS_SUBSCRIBERS_MAX);
		request_refuse(r, &error);
		return;
	}
	s = subscriber_new(e, r->conn);
	if (s) {
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EVENTS_PIECE,
							     subscriber_read, s, subscriber_free);
		if (!response)
			subscriber_free(s);
	}
	if (!response) {
		error_set(&error, ERROR_NO_MEMORY, NULL, "no memory for an event stream");
		request_refuse(r, &error);
		return;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	events_listen(e);
	request_stream(r, response);
}

/* --- time ------------------------------------------------------------------------------------ */

void events_tick(struct events *e, mono_t now)
{
	if (mono_due(e->linger, now)) {
		e->linger = MONO_NEVER;
		events_unlisten(e);
	}
	if (!mono_due(e->keepalive, now))
		return;
	e->keepalive = mono_after(now, EVENTS_KEEPALIVE);
	for (struct subscriber *s = e->subscribers; s; s = s->next) {
		/* A comment; it is also how we find out that a client is gone. */
		if (s->quiet && s->suspended) {
			s->pending.len = 0;
			s->sent = 0;
			out_puts(&s->pending, ":\n\n");
			subscriber_wake(s);
		}
		s->quiet = true;
	}
}

mono_t events_next_expiry(const struct events *e)
{
	return e->keepalive.ns < e->linger.ns ? e->keepalive : e->linger;
}

void events_stop(struct events *e)
{
	e->stopping = true;
	events_unlisten(e);
	for (struct subscriber *s = e->subscribers; s; s = s->next)
		subscriber_wake(s);
}
