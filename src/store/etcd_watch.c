/* The stream of changes: a transfer that does not end, one JSON object a line.
 *
 * It has a connection of its own (the gateway takes one request a stream) and belongs to the
 * endpoint that is in use: where that is left, so is the watch.  Whether that member lives is asked
 * by other requests, since a watch where nothing changes and a dead one look alike.  Whatever ends
 * it, an end of the stream, a cancellation (after which the stream stays open, silent for ever), an
 * error in it, everything is read anew.
 *
 * While the owner has much to fetch, it is paused; TCP then holds back the member. */
#include <stdlib.h>
#include <string.h>

#include "store/etcd_inside.h"

#define LIVED_MS 10000 /* a watch that got so old was no failure */

/* The words of a cancellation name the code. */
static int code_of(const char *reason)
{
	static const struct {
		const char *name;
		int code;
	} codes[] = { { "InvalidArgument", 3 },
		      { "PermissionDenied", 7 },
		      { "Unavailable", 14 },
		      { "Unauthenticated", 16 } };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strstr(reason, codes[i].name))
			return codes[i].code;
	return 0;
}

static void judge(struct etcd *e, struct etcd_answer *a)
{
	struct watch *w = &e->watch;
	struct error error;

	if (a->cancelled)
		a->code = a->compacted ? 11 : code_of(a->message);
	switch (etcd_fate(200, a, e->endpoints[w->endpoint], &error)) {
	case ETCD_NOT_SENT:
	case ETCD_DOUBTFUL:
		endpoint_failed(e, w->endpoint, &error);
		break;
	case ETCD_NO_TOKEN:
		auth_renew(e, w->token, &error);
		break;
	case ETCD_REFUSED:
		etcd_reach(e, &error);
		break;
	case ETCD_ANSWERED:
	case ETCD_BUSY:
	case ETCD_NO_LEASE:
	case ETCD_COMPACTED:
		break;
	}
}

static void tell_events(struct etcd *e, struct etcd_answer *a)
{
	struct etcd_kv kv;

	for (size_t i = 0; i < etcd_answer_count(a); i++) {
		if (etcd_answer_kv(a, e->config.prefix, i, &kv) < 0)
			continue;
		if (kv.value)
			sync_there(e, &kv);
		else
			sync_deleted(e, &kv);
	}
}

/* Whether it goes on. */
static bool line_told(struct etcd *e, const char *line, size_t len)
{
	struct watch *w = &e->watch;
	struct etcd_answer a;

	if (len == 0)
		return true;
	if (etcd_answer_parse(line, len, &a) < 0)
		return false;
	w->ended = a.code != 0 || a.cancelled;
	if (w->ended) {
		judge(e, &a);
	} else {
		if (a.created) {
			w->created_until = MONO_NEVER;
			endpoint_good(e, w->endpoint);
			e->good = etcd_now();
		}
		tell_events(e, &a);
		pthread_mutex_lock(&e->mutex);
		e->facts.watches += a.created;
		if (a.revision > e->facts.revision)
			e->facts.revision = a.revision;
		e->facts.keys = e->index.live;
		pthread_mutex_unlock(&e->mutex);
	}
	etcd_answer_done(&a);
	return !w->ended;
}

/* A line may be of any length: a lease with 20,000 keys ends in one. */
static size_t receive(char *data, size_t one, size_t len, void *etcd)
{
	struct etcd *e = etcd;
	struct watch *w = &e->watch;
	const char *at = data, *end = data + len, *stop;

	if (e->answers_seen > ETCD_TOLD_MAX) {
		w->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	while ((stop = memchr(at, '\n', (size_t)(end - at)))) {
		if (text_add(&w->line, at, (size_t)(stop - at), ETCD_ANSWER_MAX) < 0 ||
		    !line_told(e, w->line.at, w->line.len))
			return 0;
		w->line.len = 0;
		at = stop + 1;
	}
	if (at < end && text_add(&w->line, at, (size_t)(end - at), ETCD_ANSWER_MAX) < 0)
		return 0;
	if (w->line.len == 0 && w->line.size > 65536) {
		free(w->line.at);
		w->line = (struct text){ 0 };
	}
	return len;
}

void watch_end(struct etcd *e)
{
	struct watch *w = &e->watch;

	if (w->easy) {
		curl_multi_remove_handle(e->multi, w->easy);
		curl_easy_cleanup(w->easy);
	}
	curl_slist_free_all(w->headers);
	free(w->body);
	free(w->line.at);
	*w = (struct watch){ .created_until = MONO_NEVER };
}

void watch_begin(struct etcd *e, uint64_t revision)
{
	struct watch *w = &e->watch;

	watch_end(e);
	w->body = etcd_body_watch(e->config.prefix, ETCD_WATCHED, revision);
	w->easy = w->body ? curl_easy_init() : NULL;
	w->endpoint = e->at;
	w->token = e->auth.number;
	w->began = etcd_now();
	w->created_until = mono_after(w->began, e->config.timeout);
	if (!w->easy || http_setup(e, w->easy, "/v3/watch", w->body, w->said, &w->headers) < 0 ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, receive) != CURLE_OK ||
	    curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, e) != CURLE_OK ||
	    curl_multi_add_handle(e->multi, w->easy) != CURLM_OK) {
		curl_easy_cleanup(w->easy);
		w->easy = NULL;
		watch_end(e);
		sync_want(e);
	}
}

static void broken(struct etcd *e)
{
	bool lived = mono_since(etcd_now(), e->watch.began).ns > SPAN_MS(LIVED_MS).ns;

	watch_end(e);
	if (lived)
		e->sync.failures = 0;
	if (!e->sync.reading) /* else a new one begins where that ends */
		sync_want(e);
}

void watch_finished(struct etcd *e, CURLcode code)
{
	struct watch *w = &e->watch;
	struct error error;

	/* An answer that is no stream (a proxy's, or an error before it began) has no newline. */
	if (!w->ended && w->line.len > 0)
		line_told(e, w->line.at, w->line.len);
	if (!w->ended) {
		http_fate(e, w->endpoint, code == CURLE_OK ? CURLE_GOT_NOTHING : code,
			  code == CURLE_OK ? "the watch has ended" : w->said, true, &error);
		endpoint_failed(e, w->endpoint, &error);
	}
	broken(e);
}

void watch_work(struct etcd *e, mono_t now)
{
	struct watch *w = &e->watch;
	struct error error;

	if (!w->easy)
		return;
	if (mono_due(w->created_until, now)) {
		error_set(&error, ERROR_REGISTRY_UNREACHABLE, "is etcd running there?",
			  "%s does not begin to watch", e->endpoints[w->endpoint]);
		endpoint_failed(e, w->endpoint, &error);
		broken(e);
	} else if (w->endpoint != e->at) {
		broken(e);
	} else if (w->paused && e->answers_seen <= ETCD_TOLD_MAX) {
		w->paused = false;
		curl_easy_pause(w->easy, CURLPAUSE_CONT);
	}
}

mono_t watch_next_expiry(const struct etcd *e)
{
	return e->watch.easy ? e->watch.created_until : MONO_NEVER;
}
