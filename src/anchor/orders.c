/* What the engine asks of the thread: a board with a place for each cluster.
 *
 * All that is asked for is how something is to be or is, so a newer word takes the place of an
 * older one that the thread has not seen.  Nothing is allocated here: a cluster that was asked for
 * cannot be lost for want of memory. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "anchor/thread.h"
#include "base/log.h"

static struct order *order_begin(struct anchors *a, uint32_t cluster)
{
	assert(cluster >= 1 && cluster <= CLUSTERS_MAX);
	pthread_mutex_lock(&a->queues);
	return &a->orders[cluster];
}

/* Of what is there already the thread is woken; a cluster that is to be there has one begun. */
static void order_end(struct anchors *a, struct order *o)
{
	const bool wanted = o->record;

	o->news = true;
	pthread_mutex_unlock(&a->queues);
	thread_reap(a);
	if (a->running)
		punctual_wake(&a->thread);
	else if (wanted && thread_start(a, &a->trouble) < 0)
		log_debug("anchors: %s", a->trouble.message);
}

/* --- what is asked --------------------------------------------------------------------------- */

void anchor_set(struct anchors *a, const struct cluster *record, const struct anchor_where *where)
{
	struct order *o = order_begin(a, record->id);

	assert(record->mode != CLUSTER_CARRY);
	cluster_release(o->record);
	o->record = cluster_hold(record);
	snprintf(o->segment, sizeof(o->segment), "%s", where->segment);
	o->where = *where;
	o->where.segment = o->segment;
	o->placed = true;
	order_end(a, o);
}

void anchor_remove(struct anchors *a, uint32_t cluster)
{
	struct order *o = order_begin(a, cluster);

	cluster_release(o->record);
	*o = (struct order){ .ended = true };
	order_end(a, o);
}

void anchor_member(struct anchors *a, uint32_t cluster, uint16_t member, bool hosted, bool fit,
		   bool busy)
{
	struct order *o = order_begin(a, cluster);

	heartbeat_set_bit(&o->members.hosted, member, hosted);
	heartbeat_set_bit(&o->members.fit, member, hosted && fit);
	heartbeat_set_bit(&o->members.busy, member, busy);
	order_end(a, o);
}

void anchor_installed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view)
{
	struct order *o = order_begin(a, cluster);

	o->has_installed = true;
	o->installed = *view;
	order_end(a, o);
}

void anchor_committed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view)
{
	struct order *o = order_begin(a, cluster);

	o->has_committed = true;
	o->committed = *view;
	order_end(a, o);
}

void anchor_claimed(struct anchors *a, uint32_t cluster, unsigned int face, uint64_t epoch,
		    uint16_t host)
{
	struct order *o = order_begin(a, cluster);

	assert(face < CLUSTER_FACES_MAX);
	/* Of two with one epoch both count: the machine knows who stays. */
	if (epoch >= o->claims[face].epoch) {
		o->claims[face].epoch = epoch;
		o->claims[face].host = host;
		o->claimed |= (uint8_t)(1u << face);
	}
	order_end(a, o);
}

void anchor_stranger(struct anchors *a, uint32_t cluster, unsigned int face)
{
	struct order *o = order_begin(a, cluster);

	assert(face < CLUSTER_FACES_MAX);
	o->strange |= (uint8_t)(1u << face);
	order_end(a, o);
}

void anchor_identity(struct anchors *a, const struct uuid *self, uint16_t number, bool alone)
{
	pthread_mutex_lock(&a->queues);
	a->identity.self = *self;
	a->identity.number = number;
	a->identity.alone = alone;
	a->identity_news = true;
	pthread_mutex_unlock(&a->queues);
	if (a->running)
		punctual_wake(&a->thread);
}

/* --- what is done ---------------------------------------------------------------------------- */

static void event_do(struct anchors *a, uint32_t id, struct group_event event)
{
	anchor_core_event(a->core, id, &event, clock_boot());
}

static void faces_do(struct anchors *a, uint32_t id, const struct order *o, uint8_t claimed)
{
	for (unsigned int i = 0; i < o->record->face_count; i++) {
		const uint8_t face = (uint8_t)i;

		if (claimed >> i & 1)
			event_do(a, id,
				 (struct group_event){ .kind = GROUP_CLAIMED,
						       .face = face,
						       .epoch = o->claims[i].epoch,
						       .host = o->claims[i].host });
		if (o->strange >> i & 1)
			event_do(a, id,
				 (struct group_event){ .kind = GROUP_STRANGER, .face = face });
	}
}

static uint8_t claims_known(const struct order *o)
{
	uint8_t known = 0;

	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		known |= (uint8_t)((o->claims[i].epoch > 0) << i);
	return known;
}

/* A cluster that begins is told all that is known; one that goes on, what is new. */
static void order_set(struct anchors *a, uint32_t id, const struct order *o)
{
	struct anchor_place place;
	bool goes_on = anchor_core_place(a->core, id, &place) && !place.leaving && !a->lacking[id];

	if (o->placed || !goes_on)
		a->lacking[id] = anchor_core_set(a->core, o->record, &o->where, clock_boot()) < 0;
	if (a->lacking[id]) {
		punctual_retry_soon(&a->thread);
		return;
	}
	if (o->placed && o->where.up)
		links_revive(a, o->where.ifindex);
	faces_do(a, id, o, goes_on ? o->claimed : claims_known(o));
	anchor_core_members(a->core, id, &o->members, clock_boot());
	if (o->has_installed)
		event_do(a, id,
			 (struct group_event){ .kind = GROUP_INSTALLED, .view = o->installed });
	if (o->has_committed)
		event_do(a, id,
			 (struct group_event){ .kind = GROUP_COMMITTED, .view = o->committed });
}

static void order_do(struct anchors *a, uint32_t id, const struct order *o)
{
	if (o->ended)
		anchor_core_remove(a->core, id, clock_boot());
	if (o->record)
		order_set(a, id, o);
	else
		a->lacking[id] = false;
}

/* What is news of one cluster, with a hold of its record; false: nothing. */
static bool order_take(struct anchors *a, uint32_t id, struct order *ret)
{
	struct order *o = &a->orders[id];
	bool news;

	pthread_mutex_lock(&a->queues);
	news = o->news;
	if (news) {
		*ret = *o;
		ret->where.segment = ret->segment;
		cluster_hold(ret->record);
		o->news = o->placed = o->ended = o->has_installed = o->has_committed = false;
		o->claimed = o->strange = 0;
	}
	pthread_mutex_unlock(&a->queues);
	return news;
}

bool orders_do(struct anchors *a)
{
	struct anchor_identity identity;
	bool stop, renamed;

	pthread_mutex_lock(&a->queues);
	identity = a->identity;
	renamed = a->identity_news;
	a->identity_news = false;
	stop = a->stop_wanted;
	pthread_mutex_unlock(&a->queues);
	if (renamed)
		anchor_core_identity(a->core, &identity, clock_boot());
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		struct order o;

		if (!order_take(a, id, &o))
			continue;
		order_do(a, id, &o);
		cluster_release(o.record);
	}
	a->links_due = true;
	return stop;
}

bool orders_none(struct anchors *a)
{
	bool none = true;

	pthread_mutex_lock(&a->queues);
	for (uint32_t id = 1; none && id <= CLUSTERS_MAX; id++)
		none = !a->orders[id].news && !a->orders[id].record;
	a->ended = none;
	pthread_mutex_unlock(&a->queues);
	return none;
}

void orders_retry(struct anchors *a)
{
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		if (!a->lacking[id])
			continue;
		pthread_mutex_lock(&a->queues);
		a->orders[id].news = true;
		pthread_mutex_unlock(&a->queues);
	}
	orders_do(a);
}

void orders_end(struct anchors *a)
{
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		cluster_release(a->orders[id].record);
}
