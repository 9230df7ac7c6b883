/* What others are shown: copies, taken while the thread sleeps. */
#include <stdio.h>
#include <string.h>

#include "elect/thread.h"

static struct ip ip_of(const struct fhrp_own *a)
{
	struct ip ip = { .family = a->len == 4 ? 4 : a->len == 16 ? 6 : 0 };

	if (ip.family)
		memcpy(ip.octet, a->address, a->len);
	return ip;
}

static int64_t ms_of(span_t s)
{
	return s.ns / 1000000;
}

static void view_machine(const struct elect_router *r, struct elect_view *v)
{
	const struct fhrp *m = elect_router_machine(r);
	mono_t now = clock_boot();

	v->state = fhrp_state_name(m->state);
	v->reason = m->transitions ? fhrp_reason_name(m->last_reason) : "";
	v->priority = m->priority;
	v->embodied = fhrp_embodies(m);
	if (v->embodied && m->lease.ns < MONO_NEVER.ns)
		v->lease_ms = m->lease.ns > now.ns ? ms_of(mono_since(m->lease, now)) : 0;
	if (m->active.known) {
		v->active = ip_of(&m->active.address);
		v->active_priority = m->active.priority;
	}
	if (m->standby.known)
		v->standby = ip_of(&m->standby.address);
	v->interval_ms = ms_of(m->interval);
	v->hold_ms = ms_of(fhrp_hold(m));
	v->timers_learned = m->timers_learned;
}

static void view_counters(const struct elect_router *r, struct elect_view *v)
{
	struct elect_counters c;

	elect_router_counters(r, &c);
	v->sent = c.sent;
	v->received = c.received;
	v->announced = c.announced;
	v->transitions = c.transitions;
	v->late = c.late;
	v->late_ns_most = c.late_ns_most;
	memcpy(v->verdicts, c.verdicts, sizeof(v->verdicts));
}

static void view_set(struct elect *e, const struct elect_set *s, struct elect_set_view *v)
{
	const struct carrier *c = e->carriers[elect_set_slot(s)];
	struct plane_router_counters counters;
	struct error error;

	v->mac = elect_set_mac(s);
	v->source = elect_set_source(s);
	if (!c || c->set != s)
		return;
	v->ifindex = c->link->state.ifindex;
	if (c->ifindex)
		memcpy(v->device, c->device, sizeof(v->device));
	v->trouble = c->trouble ? *c->trouble : c->link->trouble;
	if (c->in_plane && plane_router_counters(e->plane, c->slot, &counters, &error) == 0) {
		v->frames_stopped_out = counters.stopped_out;
		v->frames_stopped_in = counters.stopped_in;
	}
}

static void view_learned(const struct elect_router *r, struct elect_view *v)
{
	const struct router *record = elect_router_record(r);
	const struct router_address *list;
	unsigned int count;

	if (record->set_count == 0 || record->sets[0].address_count)
		return;
	list = elect_set_addresses(elect_router_set(r, 0), &count);
	if (count)
		v->learned = list[0].ip;
}

static void view_core(struct elect *e, const struct elect_router *r, struct elect_view *v)
{
	v->set_count = elect_router_record(r)->set_count;
	v->checksum = elect_router_checksum(r);
	view_machine(r, v);
	view_counters(r, v);
	view_learned(r, v);
	for (unsigned int i = 0; i < v->set_count; i++)
		view_set(e, elect_router_set(r, i), &v->sets[i]);
}

/* What the core does not have shows its record. */
static void view_out(const struct router *r, struct elect_view *v)
{
	v->priority = r->priority;
	v->interval_ms = r->interval_ms;
	v->hold_ms = r->hold_ms;
	v->set_count = r->set_count;
	for (unsigned int i = 0; i < r->set_count; i++)
		v->sets[i].mac = router_set_mac(r, &r->sets[i]);
}

static void view_trouble(const struct error *trouble, struct elect_view *v)
{
	for (unsigned int i = 0; trouble && i < v->set_count; i++)
		v->sets[i].trouble = *trouble;
}

static void view_tracks(const struct entry *entry, struct elect_view *v)
{
	v->track_count = entry->record->track_count;
	for (unsigned int i = 0; i < v->track_count; i++) {
		const struct track *t = &entry->tracks[i];

		v->tracks[i].up = t->up;
		v->tracks[i].known = t->known;
		v->tracks[i].runs = t->runs;
		v->tracks[i].failures = t->failures;
		memcpy(v->tracks[i].detail, t->detail, sizeof(t->detail));
	}
}

bool elect_look(struct elect *e, uint32_t id, struct elect_view *ret)
{
	const struct router *record, *asked = NULL;
	const struct elect_router *r;
	const struct entry *entry;

	if (id == 0 || id > ROUTERS_MAX)
		return false;
	punctual_look(&e->thread);
	entry = e->entries[id];
	record = entry ? entry->record : e->owed[id];
	if (!record) /* not a moment in which it is not there */
		record = asked = commands_asked(e, id);
	if (record) {
		memset(ret, 0, sizeof(*ret));
		ret->state = fhrp_state_name(FHRP_INITIALIZE);
		ret->reason = ret->checksum = "";
		ret->lease_ms = -1;
		ret->since = entry ? entry->since : clock_wall();
		r = elect_core_find(e->core, id);
		if (r)
			view_core(e, r, ret);
		else
			view_out(record, ret);
		view_trouble(entry_trouble(e, id), ret);
		if (entry)
			view_tracks(entry, ret);
	}
	punctual_looked(&e->thread);
	router_release(asked);
	return record;
}

unsigned int elect_history(struct elect *e, uint32_t id, struct elect_event *ret, unsigned int max)
{
	const struct entry *entry;
	unsigned int n = 0;

	if (id == 0 || id > ROUTERS_MAX)
		return 0;
	punctual_look(&e->thread);
	entry = e->entries[id];
	for (; entry && n < entry->past_count && n < max; n++) {
		unsigned int at =
			(entry->past_first + entry->past_count - 1 - n) % entry->past_room;
		const struct past *p = &entry->past[at];

		ret[n] = (struct elect_event){
			.router = id,
			.at = p->at,
			.transition = true,
			.from = fhrp_state_name(p->from),
			.to = fhrp_state_name(p->to),
			.reason = fhrp_reason_name(p->reason),
			.priority = p->priority,
			.seq = p->seq,
		};
		memcpy(ret[n].name, entry->record->name, sizeof(ret[n].name));
		snprintf(ret[n].detail, sizeof(ret[n].detail), "%s", p->detail ? p->detail : "");
	}
	punctual_looked(&e->thread);
	return n;
}

struct lines {
	struct elect *e;
	void (*fn)(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
		   const uint64_t verdicts[VERDICT_COUNT]);
	void *ctx;
};

static void on_line(void *ctx, const char *ifname, const struct elect_counters *counters)
{
	struct packet_counters packets = { 0 };
	struct lines *lines = ctx;

	for (struct link *l = lines->e->links; l; l = l->next)
		if (l->packet && strcmp(l->ifname, ifname) == 0)
			packet_counters(l->packet, &packets);
	lines->fn(lines->ctx, ifname, counters->received, packets.overflowed, counters->verdicts);
}

void elect_links(struct elect *e,
		 void (*fn)(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			    const uint64_t verdicts[VERDICT_COUNT]),
		 void *ctx)
{
	struct lines lines = { e, fn, ctx };

	punctual_look(&e->thread);
	elect_core_link_counters(e->core, on_line, &lines);
	punctual_looked(&e->thread);
}

void elect_facts(struct elect *e, struct elect_facts *ret)
{
	struct errands_counters told;

	errands_counters(e->errands, &told);
	punctual_look(&e->thread);
	*ret = e->facts;
	ret->routers = e->entry_count;
	ret->active = ret->links = ret->sockets = 0;
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		const struct elect_router *r = e->entries[id] ? elect_core_find(e->core, id) : NULL;

		ret->active += r && elect_router_machine(r)->state == FHRP_ACTIVE;
	}
	for (const struct link *l = e->links; l; l = l->next) {
		ret->links++;
		ret->sockets += l->packet ? packet_sockets(l->packet) : 0;
	}
	punctual_looked(&e->thread);
	ret->notifications = told.told;
	ret->notifications_lost = told.lost;
}
