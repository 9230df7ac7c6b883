/* The tracks of all routers: where results come from, and whom they concern. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elect/thread.h"

/* A probe's id says whose it is; the count before that makes it unique, so that a result which was
 * under way when its track went is nobody's. */
static uint64_t probe_id(struct elect *e, uint32_t router)
{
	return ++e->probe_count << 16 | router;
}

static struct entry *probe_entry(struct elect *e, uint64_t id)
{
	uint32_t router = (uint32_t)(id & 0xffff);

	return router <= ROUTERS_MAX ? e->entries[router] : NULL;
}

static bool same_probe(const struct router_track *a, const struct router_track *b)
{
	return a->kind == b->kind && a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms && strcmp(a->target, b->target) == 0;
}

void tracks_tell(struct elect *e, struct entry *entry)
{
	struct track_sum sum = tracks_sum(entry->tracks, entry->record->track_count);

	elect_core_track(e->core, entry->record->id, sum.adjust, sum.fault, clock_boot());
}

static void track_take(struct elect *e, struct entry *entry, struct track *t, bool up,
		       const char *detail)
{
	if (!track_result(t, up, detail))
		return;
	entry->blamed = (unsigned int)(t - entry->tracks);
	tracks_tell(e, entry);
}

/* --- what the thread sees by itself ----------------------------------------------------------- */

static void track_interface(struct elect *e, struct entry *entry, struct track *t)
{
	struct host_link link;
	struct error error;

	if (host_link_by_name(e->host, t->record->target, &link, &error) < 0)
		track_take(e, entry, t, false, "no such interface");
	else if (!link.up)
		track_take(e, entry, t, false, "down");
	else
		track_take(e, entry, t, link.carrier, link.carrier ? "up" : "no carrier");
}

static void track_router(struct elect *e, struct entry *entry, struct track *t)
{
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		const struct elect_router *r;

		if (!e->entries[id] || strcmp(e->entries[id]->record->name, t->record->target) != 0)
			continue;
		r = elect_core_find(e->core, id);
		if (r && elect_router_machine(r)->state == FHRP_ACTIVE)
			track_take(e, entry, t, true, "active");
		else
			track_take(e, entry, t, false, "not active");
		return;
	}
	track_take(e, entry, t, false, "no such router");
}

static uint8_t errand_of(uint8_t kind)
{
	static const uint8_t errands[ROUTER_TRACK_KIND_COUNT] = {
		[ROUTER_TRACK_SCRIPT] = ERRAND_SCRIPT, [ROUTER_TRACK_FILE] = ERRAND_FILE,
		[ROUTER_TRACK_ROUTE] = ERRAND_ROUTE,   [ROUTER_TRACK_HTTP] = ERRAND_HTTP,
		[ROUTER_TRACK_PING] = ERRAND_PING,
	};

	return errands[kind];
}

static void track_begin(struct elect *e, struct entry *entry, struct track *t)
{
	struct errand_probe probe = {
		.kind = errand_of(t->record->kind),
		.target = t->record->target,
		.interval_ms = t->record->interval_ms,
		.timeout_ms = t->record->timeout_ms,
	};

	if (t->record->kind == ROUTER_TRACK_INTERFACE) {
		track_interface(e, entry, t);
	} else if (t->record->kind == ROUTER_TRACK_ROUTER) {
		e->router_tracks_due = true;
	} else {
		probe.id = probe_id(e, entry->record->id);
		if (errands_probe(e->errands, &probe) == 0) {
			t->probe = probe.id;
			return;
		}
		entry->unbegun = true;
		elect_retry_soon(e);
	}
}

/* --- begin and end --------------------------------------------------------------------------- */

static struct track *track_same(struct entry *entry, const struct router_track *record)
{
	for (unsigned int i = 0; entry->tracks && i < entry->record->track_count; i++)
		if (entry->tracks[i].record && same_probe(entry->tracks[i].record, record))
			return &entry->tracks[i];
	return NULL;
}

int tracks_set(struct elect *e, struct entry *entry, const struct router *record)
{
	bool under_way = elect_core_find(e->core, record->id) != NULL;
	struct track *now = NULL;

	if (record->track_count) {
		now = calloc(record->track_count, sizeof(*now));
		if (!now)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < record->track_count; i++) {
		struct track *old = track_same(entry, &record->tracks[i]);

		if (old) {
			now[i] = *old;
			old->record = NULL; /* taken */
		} else {
			now[i].up = under_way;
		}
		now[i].record = &record->tracks[i];
	}
	tracks_end(e, entry);
	entry->tracks = now;
	e->track_count += record->track_count;
	entry->blamed = 0;
	return 0;
}

void tracks_begin(struct elect *e, struct entry *entry)
{
	entry->unbegun = false;
	for (unsigned int i = 0; i < entry->record->track_count; i++)
		if (!entry->tracks[i].probe && !entry->tracks[i].known)
			track_begin(e, entry, &entry->tracks[i]);
	tracks_tell(e, entry);
}

void tracks_end(struct elect *e, struct entry *entry)
{
	for (unsigned int i = 0; entry->tracks && i < entry->record->track_count; i++)
		if (entry->tracks[i].record && entry->tracks[i].probe)
			errands_drop(e->errands, entry->tracks[i].probe);
	if (entry->tracks)
		e->track_count -= entry->record->track_count;
	free(entry->tracks);
	entry->tracks = NULL;
}

/* --- what happens ---------------------------------------------------------------------------- */

static void on_result(void *ctx, uint64_t id, enum errand_outcome outcome, const char *detail)
{
	struct elect *e = ctx;
	struct entry *entry = probe_entry(e, id);

	for (unsigned int i = 0; entry && entry->tracks && i < entry->record->track_count; i++)
		if (entry->tracks[i].probe == id) {
			track_take(e, entry, &entry->tracks[i], outcome == ERRAND_UP, detail);
			return;
		}
}

void tracks_results(struct elect *e)
{
	errands_results(e->errands, on_result, e);
}

static void tracks_of_kind(struct elect *e, enum router_track_kind kind, const char *target,
			   void (*fn)(struct elect *e, struct entry *entry, struct track *t))
{
	if (e->track_count == 0)
		return;
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		struct entry *entry = e->entries[id];

		for (unsigned int i = 0; entry && entry->tracks && i < entry->record->track_count;
		     i++) {
			struct track *t = &entry->tracks[i];

			if (t->record->kind == kind &&
			    (!target || strcmp(t->record->target, target) == 0))
				fn(e, entry, t);
		}
	}
}

void tracks_on_link(struct elect *e, const char *ifname)
{
	tracks_of_kind(e, ROUTER_TRACK_INTERFACE, ifname, track_interface);
}

void tracks_on_routers(struct elect *e)
{
	e->router_tracks_due = false;
	tracks_of_kind(e, ROUTER_TRACK_ROUTER, NULL, track_router);
}
