/* The lease of keys that say that this process lives.  It is kept alive every third of its time.
 * A lease that has died (we were cut off, or stood still) answers a keepalive with success and no
 * time left: then another is granted, and what was under the old one is put anew, unless somebody
 * else has put another value there. */
#include <stdlib.h>
#include <string.h>

#include "store/etcd_inside.h"

static unsigned int seconds_of(const struct etcd *e)
{
	int64_t s = (e->config.lease.ns + 999999999) / 1000000000;

	return s < 2 ? 2 : (unsigned int)s; /* etcd itself makes it 2 */
}

static span_t period(const struct etcd *e)
{
	return SPAN_NS(e->config.lease.ns / 3);
}

/* --- what is under it ------------------------------------------------------------------------ */

static struct order **key_find(struct etcd *e, const char *key)
{
	for (unsigned int i = 0; i < e->lease.count; i++)
		if (strcmp(e->lease.keys[i]->ops[0].kv.key, key) == 0)
			return &e->lease.keys[i];
	return NULL;
}

static void key_drop(struct etcd *e, struct order **at)
{
	order_free(*at);
	*at = e->lease.keys[--e->lease.count];
}

static void key_keep(struct etcd *e, const struct etcd_op *op)
{
	struct order **at = key_find(e, op->kv.key), *copy;

	if (!at && e->lease.count == ETCD_LEASED_MAX)
		return;
	copy = order_new(op, 1);
	if (!copy)
		return;
	if (at) {
		order_free(*at);
		*at = copy;
	} else {
		e->lease.keys[e->lease.count++] = copy;
	}
}

void lease_note(struct etcd *e, const struct order *o)
{
	for (unsigned int i = 0; i < o->count; i++) {
		const struct etcd_op *op = &o->ops[i];
		struct order **at = key_find(e, op->kv.key);

		if (op->act == ETCD_PUT && op->leased && !o->own)
			key_keep(e, op);
		else if (at && !o->own && op->act != ETCD_COMPARE)
			key_drop(e, at);
	}
}

static void key_put_anew(struct etcd *e, const struct order *key, uint64_t revision)
{
	struct order *o = order_new(key->ops, 1);

	if (!o)
		return;
	o->own = true;
	o->ops[0].kv.revision = revision;
	o->began = etcd_now();
	o->until = mono_after(o->began, SPAN_NS(e->config.timeout.ns * ETCD_TRIES));
	item_put(&e->waiting, &o->item);
}

void lease_contested(struct etcd *e, const struct order *o, const struct etcd_kv *kv)
{
	const struct etcd_kv *ours = &o->ops[0].kv;
	struct order **at = key_find(e, ours->key);

	if (!at)
		return;
	if (kv && kv->len == ours->len && memcmp(kv->value, ours->value, kv->len) == 0)
		key_put_anew(e, *at, kv->revision); /* of the old lease, which will take it along */
	else if (kv)
		key_drop(e, at);
	else
		key_put_anew(e, *at, 0);
}

/* --- the lease itself ------------------------------------------------------------------------ */

static void granted(struct etcd *e, void *owner, enum etcd_fate fate, struct etcd_answer *answer,
		    const struct error *error)
{
	struct lease *l = &e->lease;
	mono_t now = etcd_now();

	l->under_way = false;
	if (fate == ETCD_ANSWERED && answer->id) {
		l->id = answer->id;
		l->due = mono_after(now, period(e));
		for (unsigned int i = 0; i < l->count; i++)
			key_put_anew(e, l->keys[i], 0);
		return;
	}
	l->due = mono_after(now, SPAN_MS(ETCD_BACKOFF_MAX_MS));
	if (fate == ETCD_REFUSED) {
		l->wanted = l->count > 0;
		txn_refuse(e, true, error);
	}
}

static void kept_alive(struct etcd *e, void *owner, enum etcd_fate fate, struct etcd_answer *answer,
		       const struct error *error)
{
	struct lease *l = &e->lease;

	l->under_way = false;
	l->due = mono_after(etcd_now(),
			    fate == ETCD_ANSWERED ? period(e) : SPAN_MS(ETCD_BACKOFF_MAX_MS));
	if (fate == ETCD_NO_LEASE || (fate == ETCD_ANSWERED && answer->ttl == 0))
		lease_lost(e, l->id);
}

uint64_t lease_of(struct etcd *e)
{
	e->lease.wanted = true;
	return e->lease.id;
}

void lease_lost(struct etcd *e, uint64_t id)
{
	if (id == 0 || id != e->lease.id)
		return;
	e->lease.id = 0;
	e->lease.due = etcd_now();
}

void lease_work(struct etcd *e, mono_t now)
{
	struct lease *l = &e->lease;
	int r;

	if (!l->wanted || l->under_way || !mono_due(l->due, now) || !etcd_open_to_ask(e, now) ||
	    !auth_ready(e, now))
		return;
	if (l->id)
		r = exchange_begin(e, "/v3/lease/keepalive", etcd_body_lease(l->id),
				   e->config.timeout, kept_alive, NULL);
	else
		r = exchange_begin(e, "/v3/lease/grant", etcd_body_grant(seconds_of(e)),
				   e->config.timeout, granted, NULL);
	l->under_way = r == 0;
	if (r < 0)
		l->due = mono_after(now, SPAN_MS(ETCD_BACKOFF_MAX_MS));
}

mono_t lease_next_expiry(const struct etcd *e)
{
	return e->lease.wanted && !e->lease.under_way ? e->lease.due : MONO_NEVER;
}

/* --- the end --------------------------------------------------------------------------------- */

static void revoked(struct etcd *e, void *owner, enum etcd_fate fate, struct etcd_answer *answer,
		    const struct error *error)
{
	e->lease.under_way = false;
}

/* What hangs is not waited for: then the lease ends by itself. */
void lease_end(struct etcd *e)
{
	mono_t until = mono_after(etcd_now(), SPAN_MS(ETCD_CLOSE_MS));
	struct lease *l = &e->lease;
	CURLMsg *m;
	int left;

	if (l->id == 0 || exchange_begin(e, "/v3/lease/revoke", etcd_body_lease(l->id),
					 SPAN_MS(ETCD_CLOSE_MS), revoked, NULL) < 0)
		return;
	l->under_way = true;
	while (l->under_way && !mono_due(until, etcd_now())) {
		curl_multi_perform(e->multi, &left);
		while ((m = curl_multi_info_read(e->multi, &left)))
			exchange_finished(e, m->easy_handle, m->data.result);
		if (l->under_way)
			curl_multi_poll(e->multi, NULL, 0, 20, NULL);
	}
}

void lease_done(struct etcd *e)
{
	while (e->lease.count > 0)
		order_free(e->lease.keys[--e->lease.count]);
}
