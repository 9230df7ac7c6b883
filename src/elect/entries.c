/* A router from its first record to its last device, and what is remembered of it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "elect/thread.h"

/* --- memory ---------------------------------------------------------------------------------- */

/* The ring grows with the router's life, up to ELECT_HISTORY_MAX.  It has room from the beginning
 * for the way that every router goes: what is allocated among the events of a thousand that change
 * at once would keep their memory from going back. */
static void past_grow(struct entry *entry)
{
	unsigned int room = entry->past_room ? 2 * entry->past_room : 2;
	struct past *p = reallocarray(entry->past, room, sizeof(*p));

	if (!p)
		return;
	memset(p + entry->past_room, 0, (room - entry->past_room) * sizeof(*p));
	entry->past = p;
	entry->past_room = room;
}

void elect_trouble(struct error **trouble, const struct error *error)
{
	if (!error) {
		free(*trouble);
		*trouble = NULL;
		return;
	}
	if (!*trouble)
		*trouble = malloc(sizeof(**trouble));
	if (*trouble)
		**trouble = *error;
}

/* --- begin, change, end ----------------------------------------------------------------------- */

static int entry_take(struct elect *e, struct entry *entry, struct error *ret_error)
{
	const struct elect_router *r;
	int result;

	result = elect_core_set(e->core, entry->record, clock_boot(), ret_error);
	if (result < 0)
		return result;
	r = elect_core_find(e->core, entry->record->id);
	assert(r);
	if (carriers_set(e, r) < 0)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	return 0;
}

/* Nothing can start in here, because no device is ready yet: so the tracks are heard of in time. */
static void entry_try(struct elect *e, struct entry *entry)
{
	struct error error;

	entry->out = entry_take(e, entry, &error) < 0;
	elect_trouble(&entry->trouble, entry->out ? &error : NULL);
	e->place_taken |= entry->out && error.code == ERROR_IN_USE;
	if (!entry->out) {
		tracks_begin(e, entry);
		return;
	}
	log_debug("router %s: %s", entry->record->name, error.message);
	elect_retry_soon(e);
}

/* The entry of that id, a new one where there is none; NULL: no memory. */
static struct entry *entry_get(struct elect *e, const struct router *record)
{
	struct entry *entry = e->entries[record->id];

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->since = clock_wall();
	past_grow(entry);
	if (tracks_set(e, entry, record) < 0) {
		free(entry->past);
		free(entry);
		return NULL;
	}
	entry->record = router_hold(record);
	e->entries[record->id] = entry;
	e->entry_count++;
	return entry;
}

/* The elections go on with what they have of it, and it is tried again. */
static void entry_owe(struct elect *e, uint32_t id, const struct router *record)
{
	router_release(e->owed[id]);
	e->owed[id] = record;
	if (record)
		elect_retry_soon(e);
}

void entry_set(struct elect *e, const struct router *record)
{
	struct entry *entry = e->entries[record->id];

	entry_owe(e, record->id, NULL);
	if (entry && !entry->removing && router_equal(entry->record, record)) {
		router_release(record);
		return;
	}
	entry = entry_get(e, record);
	if (!entry || (entry->record != record && tracks_set(e, entry, record) < 0)) {
		log_debug("router %s: not enough memory", record->name);
		entry_owe(e, record->id, record);
		return;
	}
	router_release(entry->record);
	entry->record = record;
	entry->removing = false;
	e->router_tracks_due = true;
	entry_try(e, entry);
}

const struct error *entry_trouble(const struct elect *e, uint32_t id)
{
	static const struct error no_memory = {
		.code = ERROR_NO_MEMORY,
		.message = "not enough memory; it is tried again",
	};
	const struct entry *entry = e->entries[id];

	if (e->owed[id] || (entry && entry->out && !entry->trouble))
		return &no_memory;
	return entry && entry->out ? entry->trouble : NULL;
}

static void entry_free(struct elect *e, struct entry *entry)
{
	e->entries[entry->record->id] = NULL;
	e->entry_count--;
	e->router_tracks_due = true;
	tracks_end(e, entry);
	for (unsigned int i = 0; i < entry->past_room; i++)
		free(entry->past[i].detail);
	elect_trouble(&entry->trouble, NULL);
	free(entry->past);
	router_release(entry->record);
	free(entry);
}

void entry_remove(struct elect *e, uint32_t id)
{
	struct entry *entry = e->entries[id];

	entry_owe(e, id, NULL);
	if (!entry)
		return;
	entry->removing = true;
	if (elect_core_find(e->core, id))
		elect_core_remove(e->core, id, clock_boot());
	else
		entry_free(e, entry);
}

void entry_gone(struct elect *e, const struct elect_router *r)
{
	const struct router *record = elect_router_record(r);
	struct entry *entry = e->entries[record->id];

	for (unsigned int i = 0; i < record->set_count; i++) {
		const struct elect_set *s = elect_router_set(r, i);
		struct carrier *c = e->carriers[elect_set_slot(s)];

		if (c && c->set == s)
			carrier_leave(e, c);
	}
	if (entry && entry->removing)
		entry_free(e, entry);
}

void entries_retry(struct elect *e)
{
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		struct entry *entry = e->entries[id];

		if (e->owed[id])
			entry_set(e, TAKE_PTR(e->owed[id]));
		else if (entry && entry->out && !entry->removing)
			entry_try(e, entry);
		else if (entry && entry->unbegun)
			tracks_begin(e, entry);
	}
}

void entries_settle(struct elect *e)
{
	if (!e->place_taken)
		return;
	e->place_taken = false;
	entries_retry(e);
}

void entries_free(struct elect *e)
{
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		entry_owe(e, id, NULL);
		if (e->entries[id])
			entry_free(e, e->entries[id]);
	}
}

/* --- what happened --------------------------------------------------------------------------- */

static void describe(const struct entry *entry, const struct elect_report *report, char *to,
		     size_t size)
{
	const struct router_track *t;
	char ip[IP_TEXT_MAX];

	to[0] = '\0';
	if (report->peer.family) {
		snprintf(to, size, "peer %s", ip_format(&report->peer, ip));
		return;
	}
	if ((report->reason != FHRP_REASON_FAULT && report->reason != FHRP_REASON_RECOVERED) ||
	    entry->blamed >= entry->record->track_count)
		return;
	t = &entry->record->tracks[entry->blamed];
	snprintf(to, size, "track %s %s", router_track_kind_name(t->kind), t->target);
}

static void remember(struct entry *entry, const struct elect_report *report, wall_t at,
		     const char *detail)
{
	struct past *p;

	if (entry->past_count == entry->past_room && entry->past_room < ELECT_HISTORY_MAX)
		past_grow(entry);
	if (entry->past_room == 0)
		return; /* no memory: it is in the log */
	if (entry->past_count < entry->past_room) {
		p = &entry->past[entry->past_count++];
	} else {
		p = &entry->past[entry->past_first];
		entry->past_first = (entry->past_first + 1) % entry->past_room;
		free(p->detail);
	}
	*p = (struct past){
		.at = at,
		.seq = entry->seq,
		.from = report->from,
		.to = report->to,
		.reason = report->reason,
		.priority = report->priority,
		.detail = detail[0] ? strdup(detail) : NULL,
	};
}

static void tell_program(struct elect *e, const struct entry *entry, const struct elect_event *v)
{
	struct errand_news news = {
		.router = v->router,
		.program = entry->record->notify,
		.name = v->name,
		.from = v->from,
		.to = v->to,
		.reason = v->reason,
		.detail = v->detail,
		.priority = v->priority,
	};

	if (news.program[0])
		errands_tell(e->errands, &news);
}

void entry_report(struct elect *e, const struct elect_router *r, const struct elect_report *report)
{
	uint32_t id = elect_router_record(r)->id;
	struct entry *entry = e->entries[id];
	struct elect_event v = {
		.router = id,
		.at = clock_wall(),
		.transition = report->transition,
		.from = fhrp_state_name(report->from),
		.to = fhrp_state_name(report->to),
		.reason = fhrp_reason_name(report->reason),
		.priority = report->priority,
	};

	if (!entry)
		return;
	v.seq = ++entry->seq;
	snprintf(v.name, sizeof(v.name), "%s", entry->record->name);
	describe(entry, report, v.detail, sizeof(v.detail));
	if (report->transition) {
		entry->since = v.at;
		remember(entry, report, v.at, v.detail);
		tell_program(e, entry, &v);
		e->router_tracks_due = true;
	}
	elect_event_add(e, &v);
}
