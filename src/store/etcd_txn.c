/* Transactions and reads: tried again until it is known what became of them, or their time is over.
 *
 * Theory of operation
 *
 * Each transaction compares the revision of every key it names, so the server does it at most once,
 * however often it is asked.  Asked again, after an attempt that was not answered, it fails where
 * the first had been done; the failure branch reads all its keys in the same step, and if one has
 * the very value that was to be put, at a later revision, it was ours (values are unlike every
 * other): done.  Else another host was faster: lost.
 *
 * A refusal says that this attempt was not done.  If an earlier one may have been, the same
 * compares go out once more with nothing to write ("look"), and decide. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd_inside.h"

#define AGAIN_MS 50

/* --- orders ---------------------------------------------------------------------------------- */

struct order *order_new(const struct etcd_op *ops, unsigned int count)
{
	size_t size = sizeof(struct order) + count * sizeof(*ops);
	struct order *o;
	char *at;

	for (unsigned int i = 0; i < count; i++)
		size += strlen(ops[i].kv.key) + 1 + ops[i].kv.len;
	o = calloc(1, size);
	if (!o)
		return NULL;
	o->item.kind = ITEM_ORDER;
	o->count = count;
	at = (char *)&o->ops[count];
	for (unsigned int i = 0; i < count; i++) {
		size_t len = strlen(ops[i].kv.key) + 1;

		o->ops[i] = ops[i];
		o->ops[i].kv.key = memcpy(at, ops[i].kv.key, len);
		at += len;
		if (ops[i].kv.len)
			memcpy(at, ops[i].kv.value, ops[i].kv.len);
		o->ops[i].kv.value = at;
		at += ops[i].kv.len;
		o->leased |= ops[i].leased;
	}
	return o;
}

void order_free(struct order *o)
{
	free(o->error);
	free(o->answer);
	free(o);
}

static void order_note(struct order *o, const struct error *error)
{
	if (!error)
		return;
	if (!o->error)
		o->error = malloc(sizeof(*o->error));
	if (o->error)
		*o->error = *error;
}

static void count_outcome(struct etcd_facts *f, const struct order *o)
{
	int64_t ns = mono_since(etcd_now(), o->began).ns;

	if (!o->done) {
		f->reads++;
		return;
	}
	switch (o->outcome) {
	case SHARED_DONE:
		f->txns++;
		break;
	case SHARED_LOST:
		f->lost++;
		break;
	case SHARED_UNREACHABLE:
		f->unreachable++;
		break;
	case SHARED_REFUSED:
		f->refused++;
		break;
	}
	f->txn_ns_last = ns;
	if (ns > f->txn_ns_most)
		f->txn_ns_most = ns;
}

static void finish(struct etcd *e, struct order *o, enum shared_outcome outcome)
{
	o->outcome = outcome;
	if (o->own) {
		order_free(o);
		return;
	}
	pthread_mutex_lock(&e->mutex);
	count_outcome(&e->facts, o);
	pthread_mutex_unlock(&e->mutex);
	etcd_give(e, &o->item);
}

static void again(struct etcd *e, struct order *o, const struct error *error)
{
	order_note(o, error);
	o->not_before = mono_after(etcd_now(), SPAN_MS(AGAIN_MS));
	item_put(&e->waiting, &o->item);
}

/* --- answers --------------------------------------------------------------------------------- */

static bool watched(const char *key)
{
	return strncmp(key, ETCD_WATCHED, strlen(ETCD_WATCHED)) == 0;
}

static void done(struct etcd *e, struct order *o, uint64_t revision)
{
	o->revision = revision;
	for (unsigned int i = 0; i < o->count; i++) {
		const struct etcd_op *op = &o->ops[i];
		struct etcd_kv kv = op->kv;

		kv.revision = revision;
		if (op->act == ETCD_COMPARE || !watched(kv.key))
			continue;
		if (op->act == ETCD_PUT)
			sync_there(e, &kv);
		else
			sync_absent(e, kv.key, revision);
	}
	lease_note(e, o);
	free(o->error);
	o->error = NULL;
	finish(e, o, SHARED_DONE);
}

/* Tells all compared keys as they are, and finds out whether they are so by us: 0 = no, or the
 * revision at which. */
static uint64_t tell_compared(struct etcd *e, struct order *o, struct etcd_answer *answer)
{
	unsigned int puts = 0, deletes = 0, absent = 0;
	uint64_t ours = 0;

	for (unsigned int i = 0; i < o->count; i++) {
		const struct etcd_op *op = &o->ops[i];
		struct etcd_kv kv;
		int r = etcd_answer_kv(answer, e->config.prefix, i, &kv);

		puts += op->act == ETCD_PUT;
		deletes += op->act == ETCD_DELETE;
		if (r == 0) {
			if (op->act == ETCD_PUT && kv.revision > op->kv.revision &&
			    kv.len == op->kv.len && memcmp(kv.value, op->kv.value, kv.len) == 0)
				ours = kv.revision;
			sync_there(e, &kv);
		} else if (r == -ENOENT) {
			absent += op->act == ETCD_DELETE;
			sync_absent(e, op->kv.key, answer->revision);
		}
	}
	if (puts == 0 && deletes > 0 && absent == deletes)
		ours = answer->revision;
	return ours;
}

static void compare_failed(struct etcd *e, struct order *o, struct etcd_answer *answer)
{
	struct etcd_kv kv;
	uint64_t ours;

	if (o->own) {
		int r = etcd_answer_kv(answer, e->config.prefix, 0, &kv);

		lease_contested(e, o, r == 0 ? &kv : NULL);
		order_free(o);
		return;
	}
	ours = tell_compared(e, o, answer);
	if (o->doubtful && ours) {
		done(e, o, ours);
		return;
	}
	free(o->error);
	o->error = NULL;
	finish(e, o, SHARED_LOST);
}

static void refused(struct etcd *e, struct order *o, const struct error *error)
{
	if (o->look || !o->doubtful) {
		order_note(o, error);
		/* Refused even to look: what became of the first attempt, nobody says. */
		finish(e, o, o->doubtful ? SHARED_UNREACHABLE : SHARED_REFUSED);
		return;
	}
	o->look = true;
	again(e, o, error);
}

static void txn_answered(struct etcd *e, void *owner, enum etcd_fate fate,
			 struct etcd_answer *answer, const struct error *error)
{
	struct order *o = owner;

	e->orders_under_way--;
	switch (fate) {
	case ETCD_ANSWERED:
		if (!answer->succeeded)
			compare_failed(e, o, answer);
		else if (o->look) /* all is as it was before */
			finish(e, o, SHARED_REFUSED);
		else
			done(e, o, answer->revision);
		break;
	case ETCD_DOUBTFUL:
		o->doubtful = true;
		again(e, o, error);
		break;
	case ETCD_NO_LEASE:
		lease_lost(e, o->lease);
		again(e, o, error);
		break;
	case ETCD_NOT_SENT:
	case ETCD_BUSY:
	case ETCD_NO_TOKEN:
		again(e, o, error);
		break;
	case ETCD_COMPACTED:
	case ETCD_REFUSED:
		refused(e, o, error);
		break;
	}
}

static void read_answered(struct etcd *e, void *owner, enum etcd_fate fate,
			  struct etcd_answer *answer, const struct error *error)
{
	struct order *o = owner;
	struct etcd_kv kv;

	e->orders_under_way--;
	switch (fate) {
	case ETCD_ANSWERED:
		if (etcd_answer_count(answer) > 0 &&
		    etcd_answer_kv(answer, e->config.prefix, 0, &kv) == 0)
			o->answer = etcd_told_new(&kv);
		free(o->error);
		o->error = NULL;
		finish(e, o, SHARED_DONE);
		break;
	case ETCD_COMPACTED:
	case ETCD_REFUSED:
		order_note(o, error);
		finish(e, o, SHARED_REFUSED);
		break;
	case ETCD_NOT_SENT:
	case ETCD_DOUBTFUL:
	case ETCD_BUSY:
	case ETCD_NO_TOKEN:
	case ETCD_NO_LEASE:
		again(e, o, error);
		break;
	}
}

/* --- sending --------------------------------------------------------------------------------- */

static char *body_of(const struct etcd *e, const struct order *o, uint64_t lease)
{
	struct etcd_op looks[ETCD_OPS_MAX];

	if (o->read)
		return etcd_body_get(e->config.prefix, o->ops[0].kv.key);
	if (!o->look)
		return etcd_body_txn(e->config.prefix, o->ops, o->count, lease);
	for (unsigned int i = 0; i < o->count; i++) {
		looks[i] = o->ops[i];
		looks[i].act = ETCD_COMPARE;
	}
	return etcd_body_txn(e->config.prefix, looks, o->count, 0);
}

static bool start(struct etcd *e, struct order *o, mono_t now)
{
	span_t left = mono_since(o->until, now), most = e->config.timeout;

	o->lease = o->leased && !o->look ? lease_of(e) : 0;
	if (o->leased && !o->look && o->lease == 0)
		return false;
	if (left.ns > most.ns)
		left = most;
	if (exchange_begin(e, o->read ? "/v3/kv/range" : "/v3/kv/txn", body_of(e, o, o->lease),
			   left.ns < 1000000 ? SPAN_MS(1) : left,
			   o->read ? read_answered : txn_answered, o) < 0)
		return false;
	e->orders_under_way++;
	return true;
}

static void overdue(struct etcd *e, struct order *o)
{
	struct error error;

	if (!o->error) {
		pthread_mutex_lock(&e->mutex);
		error = e->facts.error;
		pthread_mutex_unlock(&e->mutex);
		if (error.code == ERROR_NONE)
			error_set(&error, ERROR_REGISTRY_UNREACHABLE, NULL,
				  "etcd has not answered in time");
		order_note(o, &error);
	}
	finish(e, o, SHARED_UNREACHABLE);
}

void txn_take_orders(struct etcd *e)
{
	struct item_queue taken;
	struct item *item;

	pthread_mutex_lock(&e->mutex);
	taken = e->orders;
	e->orders = (struct item_queue){ 0 };
	if (e->reconcile_asked)
		e->sync.wanted = e->sync.anew = true;
	e->reconcile_asked = false;
	e->answers_seen = e->answers.count;
	pthread_mutex_unlock(&e->mutex);
	while ((item = item_take(&taken)))
		item_put(&e->waiting, item);
}

void txn_start(struct etcd *e, mono_t now)
{
	struct item_queue all = e->waiting;
	bool may = etcd_open_to_ask(e, now) && (!all.first || auth_ready(e, now));
	struct item *item;

	if (may && e->orders_under_way >= ETCD_REQUESTS_MAX && !mono_due(e->look_through, now))
		return;
	e->look_through = mono_after(now, SPAN_MS(AGAIN_MS));
	if (e->auth.denied && !e->auth.token && all.first) {
		txn_refuse(e, false, &e->auth.error);
		return;
	}
	all = e->waiting;
	e->waiting = (struct item_queue){ 0 };
	while ((item = item_take(&all))) {
		struct order *o = (struct order *)item;

		if (mono_due(o->until, now))
			overdue(e, o);
		else if (!may || e->orders_under_way >= ETCD_REQUESTS_MAX ||
			 !mono_due(o->not_before, now) || !start(e, o, now))
			item_put(&e->waiting, item);
	}
}

mono_t txn_next_expiry(const struct etcd *e, mono_t now)
{
	return e->waiting.first ? mono_after(now, SPAN_MS(AGAIN_MS)) : MONO_NEVER;
}

void txn_refuse(struct etcd *e, bool leased_only, const struct error *error)
{
	struct item_queue all = e->waiting;
	struct item *item;

	e->waiting = (struct item_queue){ 0 };
	while ((item = item_take(&all))) {
		struct order *o = (struct order *)item;

		if ((leased_only && !o->leased) || o->look)
			item_put(&e->waiting, item);
		else
			refused(e, o, error);
	}
}

void txn_abandon(struct etcd *e)
{
	for (struct exchange *x = e->busy; x; x = x->next)
		if (x->done == txn_answered || x->done == read_answered)
			item_put(&e->waiting, x->owner);
	e->orders_under_way = 0;
}
