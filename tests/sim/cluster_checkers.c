/* What must hold, whatever befalls hosts, members and the wire. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cluster_sim.h"

const char *cs_rule_name(unsigned int r)
{
	static const char *const names[] = {
#define NAME_(c, meaning) #c,
		CS_RULES(NAME_)
#undef NAME_
	};

	return names[r];
}

void cs_fail(struct cs_world *w, enum cs_rule r, const char *format, ...)
{
	va_list args;

	if (w->finding.rule != CS_RULE_NONE)
		return;
	w->finding.rule = r;
	w->finding.at = w->now - CS_BEGIN;
	va_start(args, format);
	vsnprintf(w->finding.what, sizeof(w->finding.what), format, args);
	va_end(args);
}

/* --- what excuses ---------------------------------------------------------------------------- */

/* Somebody could not hear somebody until a short while ago. */
static bool is_excused(const struct cs_world *w)
{
	return w->deafness && w->deafness + CS_AFTERMATH > w->now;
}

void cs_check_lost(struct cs_world *w, unsigned int from, unsigned int to, bool lost)
{
	uint8_t *run = &w->lost[from][to];

	if (!lost)
		*run = 0;
	else if (*run < CS_LOST_RUN)
		(*run)++;
	/* One is enough of a host that stood still just now, or says its last word. */
	if (*run >= CS_LOST_RUN ||
	    (lost && (w->hosts[from].left || w->hosts[from].stalled + SECOND > w->now)))
		w->deafness = w->now;
}

void cs_check_stall(struct cs_world *w, const struct cs_host *h, int64_t until)
{
	for (unsigned int i = 0; i < CS_HOSTS_MAX; i++)
		if (w->lost[h->index][i])
			w->deafness = until;
}

static bool any_cut(const struct cs_world *w)
{
	for (unsigned int a = 0; a < CS_HOSTS_MAX; a++)
		for (unsigned int b = 0; b < CS_HOSTS_MAX; b++)
			if (w->cut[a][b])
				return true;
	return false;
}

/* Nothing has happened for so long, and nothing is under way. */
static bool is_quiet(const struct cs_world *w, int64_t span)
{
	return !w->loss && !w->twice && !w->delay && !any_cut(w) &&
	       w->last_fault + span <= w->now && (!w->deafness || w->deafness + span <= w->now);
}

void cs_check_fault(struct cs_world *w, int64_t until)
{
	memset(w->follow_by, 0, sizeof(w->follow_by));
	if (until > w->last_fault)
		w->last_fault = until;
}

/* --- at every instant ------------------------------------------------------------------------ */

/* What is said at once by two crosses on the wire. */
static int64_t crossing(const struct cs_world *w)
{
	return 2 * (CS_WIRE + w->delay) + 5 * MS;
}

static void check_anchors(struct cs_world *w, unsigned int face)
{
	int speaks = -1, follows = -1;
	bool both = false;

	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		if (!cs_host_speaks(w, &w->hosts[i], face))
			continue;
		both |= speaks >= 0;
		speaks = (int)i;
		if (w->hosts[i].daemon)
			follows = (int)i;
	}
	if (!both)
		w->both[face] = 0;
	else if (!w->both[face])
		w->both[face] = w->now;
	else if (w->both[face] + crossing(w) < w->now && !is_excused(w))
		cs_fail(w, CS_RULE_TWO_ANCHORS, "host %d and one before it, face %u", speaks, face);
	if (!w->follow_by[face])
		return;
	if (follows >= 0)
		w->follow_by[face] = 0;
	else if (w->now >= w->follow_by[face])
		cs_fail(w, CS_RULE_FAILOVER, "face %u", face);
}

static void check_rows(struct cs_world *w)
{
	uint64_t taken = 0;

	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		const uint64_t rows = cs_host_rows(w, &w->hosts[i]);

		if (taken & rows && !is_excused(w))
			cs_fail(w, CS_RULE_ROW_TWICE, "host %u and one before it, %d rows", i,
				__builtin_popcountll(taken & rows));
		taken |= rows;
	}
}

void cs_check_instant(struct cs_world *w)
{
	for (unsigned int f = 0; f < w->scenario->faces; f++)
		check_anchors(w, f);
	if (w->scenario->mode == CLUSTER_DISTRIBUTED)
		check_rows(w);
}

/* Above all that it held itself, and that others held while it was there to hear it. */
void cs_check_hold(struct cs_world *w, const struct cs_host *h, unsigned int face, uint64_t epoch)
{
	if (epoch <= w->epochs[h->index][face])
		cs_fail(w, CS_RULE_EPOCH, "host %u holds face %u at %u, and held it at %u",
			h->index, face, (unsigned int)epoch,
			(unsigned int)w->epochs[h->index][face]);
	if (epoch <= w->heard[h->index][face] && !is_excused(w) &&
	    w->heard_at[face] + crossing(w) < w->now)
		cs_fail(w, CS_RULE_EPOCH, "host %u holds face %u at %u, and heard of %u", h->index,
			face, (unsigned int)epoch, (unsigned int)w->heard[h->index][face]);
	w->epochs[h->index][face] = epoch;
	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		if (cs_host_runs(w, &w->hosts[i]) && w->hosts[i].linked && !w->cut[h->index][i])
			w->heard[i][face] = epoch;
	w->heard_at[face] = w->now;
}

void cs_check_lease(struct cs_world *w, const struct cs_host *h, unsigned int face, int64_t until)
{
	if (until > w->now + GROUP_DEAD.ns)
		cs_fail(w, CS_RULE_LEASE, "host %u, face %u", h->index, face);
}

bool cs_is_candidate(const struct cs_world *w, const struct cs_host *h)
{
	if (!cs_host_runs(w, h) || !h->linked || h->down_at)
		return false;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at == h->index)
			return true;
	return false;
}

/* Of an anchor that dies while all is well. */
void cs_check_died(struct cs_world *w, const struct cs_host *h)
{
	const bool was_quiet = is_quiet(w, CS_AFTERMATH);
	bool another = false;

	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		another |= i != h->index && cs_is_candidate(w, &w->hosts[i]);
	cs_check_fault(w, w->now);
	for (unsigned int f = 0; f < w->scenario->faces; f++)
		if (was_quiet && another && cs_host_speaks(w, h, f))
			w->follow_by[f] = w->now + CS_FAILOVER;
}

/* --- when all is quiet ----------------------------------------------------------------------- */

/* Wrong for a moment is no finding. */
static void is_wrong(struct cs_world *w, enum cs_rule r, bool wrong, unsigned int a, unsigned int b)
{
	if (!wrong)
		w->wrong[r] = 0;
	else if (!w->wrong[r])
		w->wrong[r] = w->now;
	else if (w->wrong[r] + CS_TREMBLE < w->now)
		cs_fail(w, r, "%u, %u, for %d ms", a, b, (int)((w->now - w->wrong[r]) / MS));
}

static const struct cs_host *coordinator_of(const struct cs_world *w)
{
	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		if (cs_host_speaks(w, &w->hosts[i], 0))
			return &w->hosts[i];
	return NULL;
}

static void check_faces(struct cs_world *w)
{
	bool wrong = false, anybody = false;
	unsigned int face = 0;

	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		anybody |= cs_is_candidate(w, &w->hosts[i]);
	for (unsigned int f = 0; f < w->scenario->faces && anybody; f++) {
		unsigned int speak = 0;

		for (unsigned int i = 0; i < w->scenario->hosts; i++)
			speak += cs_host_speaks(w, &w->hosts[i], f) && w->switch_port[f] == (int)i;
		if (speak == 1)
			continue;
		wrong = true;
		face = f;
	}
	is_wrong(w, CS_RULE_NOBODY, wrong, face, 0);
}

static bool goes_by(const struct cs_host *h, struct heartbeat_view v)
{
	return h->committed.view.number == v.number && h->committed.view.epoch == v.epoch &&
	       h->installed.view.number == v.number && h->installed.view.epoch == v.epoch;
}

static void check_views(struct cs_world *w, const struct cs_host *c)
{
	unsigned int other = 0;
	bool wrong = false;

	for (unsigned int i = 0; i < w->scenario->hosts; i++) {
		if (!cs_is_candidate(w, &w->hosts[i]) || goes_by(&w->hosts[i], c->g.proposed))
			continue;
		wrong = true;
		other = i;
	}
	is_wrong(w, CS_RULE_VIEWS, wrong, c->index, other);
}

static void check_members(struct cs_world *w, const struct cs_host *c)
{
	const struct cluster *r = &w->records[w->record_count - 1];
	unsigned int fresh = 0;

	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		if (!w->hosts[i].up || !w->hosts[i].daemon || !w->hosts[i].linked ||
		    w->hosts[i].down_at)
			return;
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at >= 0 && w->members[m].fit && r->members[m].weight &&
		    r->members[m].state == MEMBER_ACTIVE)
			fresh |= 1u << m;
	is_wrong(w, CS_RULE_MEMBERS, fresh && fresh != c->committed.fresh, fresh,
		 c->committed.fresh);
}

static void check_every_row(struct cs_world *w, const struct cs_host *c)
{
	uint64_t taken = 0, wanted = 0;

	if (w->scenario->mode != CLUSTER_DISTRIBUTED || !c->committed.table)
		return;
	for (unsigned int i = 0; i < w->scenario->hosts; i++)
		taken |= cs_host_rows(w, &w->hosts[i]);
	for (unsigned int m = 0; m < CS_MEMBERS; m++)
		if (w->members[m].at >= 0 && cs_is_candidate(w, &w->hosts[w->members[m].at]))
			wanted |= c->committed.table->rows_of[m + 1];
	is_wrong(w, CS_RULE_ROW_NOBODY, wanted & ~taken,
		 (unsigned int)__builtin_popcountll(wanted & ~taken), c->index);
}

void cs_check_tick(struct cs_world *w)
{
	const struct cs_host *c;

	if (!is_quiet(w, CS_SETTLE)) {
		memset(w->wrong, 0, sizeof(w->wrong));
		return;
	}
	check_faces(w);
	c = coordinator_of(w);
	if (!c || !c->daemon)
		return;
	check_views(w, c);
	check_members(w, c);
	check_every_row(w, c);
}
