/* The full read at one revision, and who is told what.
 *
 * Everything that is watched is read in pages, all at the revision of the first, and then watched
 * from the next one on.  That is done at first, whenever the watch has ended (however it has), when
 * somebody asks for it, and every few minutes without a reason, since a watch is not to be trusted
 * for ever.  The watch of before goes on meanwhile; the index lets nothing be told twice or late.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/etcd_inside.h"

#define PAGE_WHOLE    100 /* images are large */
#define AGAIN_MOST_MS 5000

/* --- telling --------------------------------------------------------------------------------- */

static bool followed(const struct etcd *e, const char *key)
{
	return e->config.mode == ETCD_FOLLOW &&
	       strncmp(key, ETCD_WATCHED, strlen(ETCD_WATCHED)) == 0;
}

void sync_there(struct etcd *e, const struct etcd_kv *kv)
{
	struct item_told *t = etcd_told_new(kv);
	int r = !t		       ? -1
		: followed(e, kv->key) ? etcd_index_there(&e->index, kv->key, kv->revision)
				       : 1;

	if (r == 1) {
		etcd_give(e, &t->item);
		return;
	}
	free(t);
	if (r < 0)
		sync_want(e); /* no memory: what was not told is found again */
}

static void tell_gone(void *ctx, const char *key)
{
	struct etcd *e = ctx;
	struct item_told *t = etcd_told_new(&(struct etcd_kv){ .key = key });

	if (t)
		etcd_give(e, &t->item);
	else
		log_warning("etcd: no memory to tell that %s is gone", key);
}

void sync_deleted(struct etcd *e, const struct etcd_kv *kv)
{
	if (etcd_index_deleted(&e->index, kv->key, kv->revision))
		tell_gone(e, kv->key);
}

void sync_absent(struct etcd *e, const char *key, uint64_t revision)
{
	int r = followed(e, key) ? etcd_index_absent(&e->index, key, revision) : 1;

	if (r < 0)
		sync_want(e);
	if (r != 0)
		tell_gone(e, key);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Where nobody answers, endpoint_failed() has its own wait.  anew: from the first page. */
static void read_again(struct etcd *e, bool anew, int64_t ms)
{
	struct sync *s = &e->sync;

	s->not_before = mono_after(etcd_now(), SPAN_MS(ms));
	if (anew) {
		s->reading = false;
		s->wanted = true;
	}
}

/* A watch that ends again and again must not make us read all the time: failures is set back by one
 * that has lived for a while. */
void sync_want(struct etcd *e)
{
	struct sync *s = &e->sync;
	int64_t ms = ETCD_BACKOFF_MS << (s->failures > 6 ? 6 : s->failures);

	if (s->wanted)
		return;
	s->wanted = true;
	s->failures++;
	if (!s->reading)
		read_again(e, true, ms > AGAIN_MOST_MS ? AGAIN_MOST_MS : ms);
}

static void give_complete(struct etcd *e)
{
	struct item_complete *c = calloc(1, sizeof(*c));

	if (!c) {
		read_again(e, true, AGAIN_MOST_MS);
		return;
	}
	c->item.kind = ITEM_COMPLETE;
	c->revision = e->sync.revision;
	etcd_give(e, &c->item);
}

static void read_ended(struct etcd *e)
{
	struct sync *s = &e->sync;
	mono_t now = etcd_now();

	if (e->config.mode == ETCD_FOLLOW &&
	    etcd_index_sweep(&e->index, s->revision, tell_gone, e) < 0) {
		read_again(e, true, AGAIN_MOST_MS);
		return;
	}
	s->reading = false;
	s->reconcile = mono_after(now, e->config.reconcile);
	pthread_mutex_lock(&e->mutex);
	e->facts.reconciles++;
	e->facts.read_ns_last = mono_since(now, s->began).ns;
	e->facts.revision = s->revision;
	e->facts.keys = e->index.live;
	pthread_mutex_unlock(&e->mutex);
	give_complete(e);
	if (e->config.mode == ETCD_FOLLOW)
		watch_begin(e, s->revision + 1);
}

static void first_page(struct etcd *e, const struct etcd_answer *answer)
{
	bool anew = e->cluster &&
		    (e->cluster != answer->cluster || e->index.highest > answer->revision);

	e->sync.revision = answer->revision;
	e->cluster = answer->cluster;
	if (e->sync.anew)
		etcd_index_tell_again(&e->index);
	e->sync.anew = false;
	if (!anew)
		return;
	log_warning("etcd: its revisions begin anew: another cluster, or one that was restored");
	etcd_index_forget_revisions(&e->index);
}

static void page_told(struct etcd *e, struct etcd_answer *answer)
{
	struct sync *s = &e->sync;
	struct etcd_kv kv;

	if (s->revision == 0)
		first_page(e, answer);
	for (size_t i = 0; i < etcd_answer_count(answer); i++) {
		if (etcd_answer_kv(answer, e->config.prefix, i, &kv) < 0)
			continue; /* a key that is none of ours */
		sync_there(e, &kv);
		snprintf(s->last, sizeof(s->last), "%s", kv.key);
	}
	s->not_before = (mono_t){ 0 };
	if (!answer->more)
		read_ended(e);
}

static void page_answered(struct etcd *e, void *owner, enum etcd_fate fate,
			  struct etcd_answer *answer, const struct error *error)
{
	e->sync.under_way = false;
	switch (fate) {
	case ETCD_ANSWERED:
		page_told(e, answer);
		break;
	case ETCD_COMPACTED:
		read_again(e, true, ETCD_BACKOFF_MS);
		break;
	case ETCD_REFUSED:
		etcd_reach(e, error);
		read_again(e, true, AGAIN_MOST_MS);
		break;
	case ETCD_NOT_SENT:
	case ETCD_DOUBTFUL:
	case ETCD_BUSY:
	case ETCD_NO_TOKEN:
	case ETCD_NO_LEASE:
		read_again(e, false, ETCD_BACKOFF_MS);
		break;
	}
}

static void page_begin(struct etcd *e)
{
	bool whole = e->config.mode == ETCD_WHOLE;
	struct sync *s = &e->sync;
	struct etcd_range range = { .prefix = e->config.prefix,
				    .part = whole ? "" : ETCD_WATCHED,
				    .last = *s->last ? s->last : NULL,
				    .limit = whole ? PAGE_WHOLE : ETCD_PAGE,
				    .revision = s->revision };

	if (exchange_begin(e, "/v3/kv/range", etcd_body_range(&range),
			   whole ? SPAN_NS(e->config.timeout.ns * ETCD_TRIES) : e->config.timeout,
			   page_answered, NULL) < 0)
		read_again(e, true, AGAIN_MOST_MS);
	else
		s->under_way = true;
}

static void read_begin(struct etcd *e, mono_t now)
{
	struct sync *s = &e->sync;

	s->wanted = false;
	s->reading = true;
	s->began = now;
	s->revision = 0;
	s->last[0] = '\0';
	e->index.generation++;
}

void sync_work(struct etcd *e, mono_t now)
{
	struct sync *s = &e->sync;

	if (e->config.mode == ETCD_ORDERS || s->under_way || !mono_due(s->not_before, now) ||
	    e->answers_seen > ETCD_TOLD_MAX || !etcd_open_to_ask(e, now))
		return;
	if (mono_due(s->reconcile, now)) {
		s->reconcile = MONO_NEVER; /* until this read has ended */
		s->wanted = true;
	}
	if (s->reading || s->wanted) {
		if (!auth_ready(e, now))
			return;
		if (!s->reading)
			read_begin(e, now);
		page_begin(e);
	}
}

mono_t sync_next_expiry(const struct etcd *e)
{
	const struct sync *s = &e->sync;

	if (e->config.mode == ETCD_ORDERS || s->under_way || e->answers_seen > ETCD_TOLD_MAX)
		return MONO_NEVER;
	if (s->reading || s->wanted)
		return s->not_before;
	return s->reconcile;
}
