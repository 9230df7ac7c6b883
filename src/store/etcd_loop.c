/* The thread: what is due is done, what may be sent is sent, then it waits. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/etcd_inside.h"

#define WAIT_MOST_MS 60000

mono_t etcd_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (mono_t){ t.tv_sec * 1000000000LL + t.tv_nsec };
}

bool etcd_open_to_ask(const struct etcd *e, mono_t now)
{
	return mono_due(e->not_before, now);
}

void etcd_reach(struct etcd *e, const struct error *error)
{
	bool reachable = !error, same = e->reach_known && e->reachable == reachable;
	struct item_reach *r;

	pthread_mutex_lock(&e->mutex);
	e->facts.endpoint = e->endpoints[e->at];
	e->facts.error = error ? *error : (struct error){ 0 };
	if (!same) {
		e->facts.reachable = reachable;
		e->facts.since = etcd_now();
	}
	pthread_mutex_unlock(&e->mutex);
	if (same)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return; /* told at the next occasion */
	r->item.kind = ITEM_REACH;
	r->reachable = reachable;
	if (error)
		r->error = *error;
	e->reach_known = true;
	e->reachable = reachable;
	etcd_give(e, &r->item);
}

/* --- is somebody there? ---------------------------------------------------------------------- */

static void ping_answered(struct etcd *e, void *owner, enum etcd_fate fate,
			  struct etcd_answer *answer, const struct error *error)
{
	e->pinging = false;
	if (fate == ETCD_REFUSED)
		etcd_reach(e, error);
}

static mono_t ping_due(const struct etcd *e)
{
	mono_t due = mono_after(e->good, SPAN_MS(ETCD_PING_MS));

	if (e->config.mode != ETCD_FOLLOW || e->pinging)
		return MONO_NEVER;
	return due.ns > e->not_before.ns ? due : e->not_before;
}

/* A read that a member can answer only with a majority behind it. */
static void ping(struct etcd *e, mono_t now)
{
	struct etcd_range range = {
		.prefix = e->config.prefix, .part = ETCD_WATCHED, .limit = 1, .keys_only = true
	};

	if (mono_due(ping_due(e), now) && auth_ready(e, now))
		e->pinging = exchange_begin(e, "/v3/kv/range", etcd_body_range(&range),
					    e->config.timeout, ping_answered, NULL) == 0;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void earlier(mono_t *at, mono_t other)
{
	if (other.ns < at->ns)
		*at = other;
}

static int wait_ms(const struct etcd *e, mono_t now)
{
	mono_t at = mono_after(now, SPAN_MS(WAIT_MOST_MS));
	int64_t ms;

	earlier(&at, txn_next_expiry(e, now));
	earlier(&at, lease_next_expiry(e));
	earlier(&at, sync_next_expiry(e));
	earlier(&at, watch_next_expiry(e));
	earlier(&at, ping_due(e));
	ms = (at.ns - now.ns + 999999) / 1000000;
	if (ms > 0)
		return (int)ms;
	/* Something is due and could not begin: no token yet, or all endpoints failed just now. */
	return 20;
}

static bool stopping(struct etcd *e)
{
	bool stop;

	pthread_mutex_lock(&e->mutex);
	stop = e->stop;
	pthread_mutex_unlock(&e->mutex);
	return stop;
}

static void transfers(struct etcd *e)
{
	CURLMsg *m;
	int left;

	curl_multi_perform(e->multi, &left);
	while ((m = curl_multi_info_read(e->multi, &left))) {
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		if (m->easy_handle == e->watch.easy)
			watch_finished(e, code);
		else
			exchange_finished(e, m->easy_handle, code);
	}
}

void *etcd_thread(void *etcd)
{
	struct etcd *e = etcd;
	mono_t now;

	while (!stopping(e)) {
		txn_take_orders(e);
		now = etcd_now();
		watch_work(e, now);
		lease_work(e, now);
		sync_work(e, now);
		ping(e, now);
		txn_start(e, now);
		transfers(e);
		now = etcd_now();
		/* What has ended makes room for what waits. */
		txn_start(e, now);
		curl_multi_poll(e->multi, NULL, 0, wait_ms(e, now), NULL);
	}
	watch_end(e);
	txn_abandon(e);
	exchanges_free(e);
	lease_end(e);
	exchanges_free(e);
	return NULL;
}
