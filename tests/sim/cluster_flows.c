/* Flows of clients, by the rules of the data plane in director mode: a SYN goes by the row; what is
 * no SYN by the anchor's entry while its member is known, else to the row's first, whose own host
 * hands it to the second when it does not know the flow. */
#include <string.h>

#include "cluster_sim.h"

#define FLOW_MOST (6 * SECOND)

bool cs_flow_at(const struct cs_world *w, unsigned int member)
{
	for (unsigned int i = 0; i < CS_FLOWS; i++)
		if (w->flows[i].member == member + 1)
			return true;
	return false;
}

/* The host that a frame for the face comes to, if it takes it. */
static struct cs_host *anchor_of(struct cs_world *w, unsigned int face)
{
	struct cs_host *h;

	if (w->switch_port[face] < 0)
		return NULL;
	h = &w->hosts[w->switch_port[face]];
	return h->up && h->linked && h->serve[face] > w->now && h->committed.table ? h : NULL;
}

static bool lives(const struct cs_world *w, unsigned int id)
{
	return id && w->members[id - 1].at >= 0 && w->hosts[w->members[id - 1].at].linked;
}

/* An unlinked member of the anchor's own host is in reach. */
static bool in_reach(const struct cs_world *w, const struct cs_host *anchor, unsigned int id)
{
	return lives(w, id) && (w->members[id - 1].at == anchor->index ||
				!w->cut[anchor->index][w->members[id - 1].at]);
}

static void open_flow(struct cs_world *w, unsigned int n)
{
	struct cs_flow *f = &w->flows[n];
	const unsigned int last = f->member;
	int64_t most = w->scenario->flows_most ? w->scenario->flows_most : FLOW_MOST;
	struct cs_host *h;
	unsigned int id;

	f->row = (uint8_t)chance_below(&w->chance, CS_ROWS);
	f->face = (uint8_t)chance_below(&w->chance, w->scenario->faces);
	f->member = 0;
	h = anchor_of(w, f->face);
	if (!h)
		return;
	id = h->committed.table->first[f->row];
	if (w->scenario->mutation == CS_MUTATE_STICKY && h->entries[n])
		id = h->entries[n];
	if (id && !(h->committed.fresh >> (id - 1) & 1))
		cs_fail(w, CS_RULE_DRAIN, "host %u, member %u (before it: %u)", h->index, id, last);
	h->entries[n] = (uint8_t)id;
	if (!id || !in_reach(w, h, id) || !w->members[id - 1].fit)
		return;
	f->member = (uint8_t)id;
	f->began = w->now;
	f->ends = w->now + chance_span(&w->chance, SECOND / 2, most);
	w->opened++;
}

/* Its daemon alone is dead, its data plane answers, and all who run have known it before. */
static bool is_standing(const struct cs_world *w, const struct cs_host *h)
{
	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		const struct cs_host *other = &w->hosts[i];

		if (other != h && other->up && other->daemon &&
		    other->started + CS_SETTLE > h->ended)
			return false;
	}
	return h->up && !h->daemon && w->deafness <= h->ended + GROUP_DEAD.ns;
}

/* Its host speaks for it, or will again soon, or is seen to stand. */
static bool is_vouched_for(const struct cs_world *w, const struct cs_member *m)
{
	const struct cs_host *h = &w->hosts[m->at];

	if (!h->linked)
		return false;
	if (is_standing(w, h))
		return true;
	if (!h->daemon || h->left)
		return h->left && h->left + GROUP_RESTART.ns - SECOND > w->now;
	/* Who began when it was away has yet to hear of it. */
	return h->started - h->ended < GROUP_RESTART.ns - SECOND ||
	       h->started + CS_SETTLE <= w->now;
}

static void flow_broke(struct cs_world *w, unsigned int n, const struct cs_host *h, bool remembered,
		       unsigned int first, unsigned int second)
{
	struct cs_flow *f = &w->flows[n];
	const struct cs_member *m = &w->members[f->member - 1];
	const bool found = remembered || first == f->member || second == f->member;
	const unsigned int member = f->member;

	w->broken++;
	cs_tell(w, h->index, "breaks a flow of member", member, f->row);
	f->member = 0;
	/* It is as good as dead, even to who learns of it only now. */
	if (w->records[w->record_count - 1].members[member - 1].state == MEMBER_FAILED || !m->fit)
		return;
	/* The first's host must have been able to tell. */
	if (!remembered && first && w->members[first - 1].good + CS_SETTLE > w->now)
		return;
	if (found && m->at >= 0 && is_vouched_for(w, m) && m->good + CS_SETTLE <= w->now &&
	    w->deafness + CS_AFTERMATH <= w->now)
		cs_fail(w, CS_RULE_FLOW, "host %u, member %u: %s, the row has %u and %u", h->index,
			member, remembered ? "the anchor remembers it" : "it does not", first,
			second);
}

static void continue_flow(struct cs_world *w, unsigned int n)
{
	struct cs_flow *f = &w->flows[n];
	struct cs_host *h = anchor_of(w, f->face);
	unsigned int first, second = 0, to;
	bool remembered;

	if (!h)
		return; /* lost, and sent again */
	remembered = h->entries[n] == f->member;
	first = h->committed.table->first[f->row];
	to = first;
	if (w->scenario->mutation == CS_MUTATE_NO_ENTRIES)
		to = first;
	else if (remembered && h->installed.known >> (f->member - 1) & 1)
		to = f->member;
	if (to && !in_reach(w, h, to))
		return;
	if (to && to != f->member) {
		const struct cs_host *there = &w->hosts[w->members[to - 1].at];

		if (there->installed.table)
			second = there->installed.table->second[f->row];
		if (second && w->scenario->mutation != CS_MUTATE_NO_ENTRIES)
			to = second;
		if (to == f->member && !in_reach(w, there, to))
			return;
	}
	if (to != f->member) {
		if (!second)
			second = h->committed.table->second[f->row];
		flow_broke(w, n, h, remembered, first, second);
		return;
	}
	h->entries[n] = f->member;
	w->delivered++;
}

void cs_flows_tick(struct cs_world *w)
{
	if (w->scenario->mode != CLUSTER_DIRECTOR)
		return;
	for (unsigned int i = 0; i < CS_FLOWS; i++) {
		struct cs_flow *f = &w->flows[i];

		/* Its end, or its member's, is seen by its client. */
		if (f->member && (f->ends <= w->now || w->members[f->member - 1].at < 0))
			if (w->members[f->member - 1].arrives == 0)
				f->member = 0;
		if (f->member)
			continue_flow(w, i);
		else if (chance_percent(&w->chance, 30))
			open_flow(w, i);
	}
}
