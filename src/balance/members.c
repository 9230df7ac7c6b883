/* Which members take new flows, and which may still have some. */
#include "balance/machine.h"

/* --- a member, as the hosts say --------------------------------------------------------------- */

struct presence {
	bool hosted, fit, busy;
	bool left; /* by a host that stopped: of its flows nobody knows */
	uint16_t host;
};

static void add_presence(struct presence *p, const struct group_peer *peer, uint16_t id)
{
	const bool fit = heartbeat_bit(&peer->fit, id);

	p->busy |= heartbeat_bit(&peer->busy, id);
	if (!heartbeat_bit(&peer->hosted, id))
		return;
	if (!p->fit && (!p->hosted || fit))
		p->host = peer->number;
	p->hosted = true;
	p->fit |= fit;
}

static struct presence presence_of(const struct group *g, uint16_t id)
{
	struct presence p = { .hosted = heartbeat_bit(&g->hosted, id) && !g->leaving,
			      .busy = heartbeat_bit(&g->busy, id) };

	if (p.hosted) {
		p.host = g->number;
		p.fit = heartbeat_bit(&g->fit, id);
	}
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].counts && !g->peers[i].left)
			add_presence(&p, &g->peers[i], id);
	/* Who left said so before it may have moved. */
	for (unsigned int i = 0; i < GROUP_PEERS_MAX && !p.hosted; i++)
		if (g->peers[i].counts && g->peers[i].left) {
			add_presence(&p, &g->peers[i], id);
			p.left = p.hosted;
		}
	return p;
}

static bool is_up(const struct group *g, const struct cluster_member *m, mono_t now)
{
	const struct presence p = presence_of(g, m->id);

	if (p.hosted)
		return p.fit;
	/* It moves, or its port is gone; soon we know. */
	return !mono_due(g->gone[m->id], now) && g->gone[m->id].ns != INT64_MAX &&
	       heartbeat_bit(&g->known, m->id);
}

/* --- what is known of them -------------------------------------------------------------------- */

void members_record(struct group *g, mono_t now)
{
	bool is_draining[CLUSTER_MEMBERS_MAX + 1] = { false };

	for (unsigned int i = 0; i < g->record->member_count; i++)
		is_draining[g->record->members[i].id] =
			g->record->members[i].state == MEMBER_DRAINING;
	for (unsigned int id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		if (is_draining[id] && g->draining[id].ns == INT64_MAX) {
			g->draining[id] = g->idle[id] = now;
		} else if (!is_draining[id]) {
			g->draining[id] = g->idle[id] = MONO_NEVER;
			heartbeat_set_bit(&g->drained, id, false);
		}
	}
}

void members_forsake(struct group *g, const struct heartbeat_bits *hosted)
{
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++)
		if (heartbeat_bit(hosted, id))
			g->gone[id] = (mono_t){ 0 };
}

void members_mourn(struct group *g, const struct heartbeat_bits *hosted, mono_t now)
{
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++)
		if (heartbeat_bit(hosted, id) && heartbeat_bit(&g->known, id))
			g->mourned[id] = mono_after(now, GROUP_MOURN);
}

/* It may be there though nobody says so; distributed, its host takes nothing any more. */
bool members_mourned(const struct group *g, const struct cluster_member *m, mono_t now)
{
	return g->record->mode == CLUSTER_DIRECTOR && g->mourned[m->id].ns &&
	       !mono_due(g->mourned[m->id], now) && !presence_of(g, m->id).hosted;
}

void members_left_to(const struct group *g, const struct heartbeat_bits *had,
		     struct heartbeat_bits *to)
{
	for (unsigned int i = 0; i < g->record->member_count; i++) {
		const uint16_t id = g->record->members[i].id;

		if (heartbeat_bit(had, id) && !presence_of(g, id).hosted)
			heartbeat_set_bit(to, id, true);
	}
}

/* Who has not heard that it drains does not look whether it has flows. */
static bool all_know(const struct group *g)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (p->counts && !p->left && p->generation < g->record->generation)
			return false;
	}
	return true;
}

/* What drains has drained only when nothing new can come to it, and all who could know say that it
 * has none: a host that is behind, or a view that is under way, may choose it yet, and of a member
 * whose host is silent nobody knows. */
static bool may_have_flows(const struct group *g, const struct cluster_member *m, mono_t now)
{
	const struct presence p = presence_of(g, m->id);

	if (p.busy || p.left || heartbeat_bit(&g->chosen, m->id) || members_mourned(g, m, now) ||
	    !all_know(g))
		return true;
	return !p.hosted && (is_up(g, m, now) || heartbeat_bit(&g->known, m->id));
}

static void review_drain(struct step *s, const struct cluster_member *m)
{
	struct group *g = s->g;
	const struct group_effect what = { .member = m->id, .reason = GROUP_REASON_MEMBER_DRAINED };
	bool over;

	if (may_have_flows(g, m, s->now))
		g->idle[m->id] = s->now;
	if (heartbeat_bit(&g->drained, m->id))
		return;
	over = m->drain_ms &&
	       mono_due(mono_after(g->draining[m->id], SPAN_MS(m->drain_ms)), s->now);
	if (!over && !mono_due(mono_after(g->idle[m->id], GROUP_IDLE), s->now))
		return;
	if (step_tell(s, GROUP_NOTE, &what))
		heartbeat_set_bit(&g->drained, m->id, true);
}

static void review_up(struct step *s, const struct cluster_member *m)
{
	struct group *g = s->g;
	const bool up = m->state != MEMBER_FAILED && is_up(g, m, s->now);
	struct group_effect what = { .member = m->id };

	if (up == heartbeat_bit(&g->told_up, m->id))
		return;
	what.reason = up ? GROUP_REASON_MEMBER_UP : GROUP_REASON_MEMBER_DOWN;
	what.host = presence_of(g, m->id).host;
	if (step_tell(s, GROUP_NOTE, &what))
		heartbeat_set_bit(&g->told_up, m->id, up);
}

void members_review(struct step *s)
{
	struct group *g = s->g;

	for (unsigned int i = 0; i < g->record->member_count; i++) {
		const struct cluster_member *m = &g->record->members[i];
		const struct presence p = presence_of(g, m->id);

		if (p.hosted || (g->mourned[m->id].ns && mono_due(g->mourned[m->id], s->now)))
			g->mourned[m->id] = (mono_t){ 0 };
		if (p.hosted)
			g->gone[m->id] = MONO_NEVER;
		else if (g->gone[m->id].ns == INT64_MAX)
			g->gone[m->id] = mono_after(s->now, GROUP_ABSENT);
		/* Where its host is silent nobody knows of its flows. */
		if (m->state == MEMBER_DRAINING)
			review_drain(s, m);
		review_up(s, m);
	}
}

mono_t members_expiry(const struct group *g)
{
	mono_t next = MONO_NEVER;

	for (unsigned int i = 0; i < g->record->member_count; i++) {
		const struct cluster_member *m = &g->record->members[i];

		if (heartbeat_bit(&g->told_up, m->id))
			next = mono_earlier(next, g->gone[m->id]);
		if (g->mourned[m->id].ns && heartbeat_bit(&g->known, m->id))
			next = mono_earlier(next, g->mourned[m->id]);
		if (m->state != MEMBER_DRAINING || heartbeat_bit(&g->drained, m->id))
			continue;
		if (m->drain_ms)
			next = mono_earlier(next,
					    mono_after(g->draining[m->id], SPAN_MS(m->drain_ms)));
		if (!presence_of(g, m->id).busy)
			next = mono_earlier(next, mono_after(g->idle[m->id], GROUP_IDLE));
	}
	return next;
}

/* --- what follows from it -------------------------------------------------------------------- */

bool members_now(const struct group *g, mono_t now, struct heartbeat_bits *fresh,
		 struct heartbeat_bits *known)
{
	struct heartbeat_bits last = { { 0 } };

	*fresh = *known = last;
	for (unsigned int i = 0; i < g->record->member_count; i++) {
		const struct cluster_member *m = &g->record->members[i];
		const bool active = m->state == MEMBER_ACTIVE && m->weight > 0;

		if (active && heartbeat_bit(&g->fresh, m->id))
			heartbeat_set_bit(&last, m->id, true);
		const bool up = is_up(g, m, now);

		if (m->state == MEMBER_FAILED || heartbeat_bit(&g->drained, m->id) ||
		    (!up && !members_mourned(g, m, now)))
			continue;
		heartbeat_set_bit(known, m->id, true);
		heartbeat_set_bit(fresh, m->id, up && active);
	}
	if (bits_any(fresh) || !bits_any(&last))
		return true;
	*fresh = last;
	bits_add(known, &last);
	return false;
}

/* --- for people ------------------------------------------------------------------------------ */

const char *group_member_live(const struct group *g, uint16_t member)
{
	const struct cluster_member *m = cluster_member_by_id(g->record, member);
	const struct presence p = presence_of(g, member);

	if (!m)
		return "absent";
	if (m->state == MEMBER_FAILED)
		return "failed";
	if (heartbeat_bit(&g->drained, member))
		return "drained";
	if (!p.hosted)
		return heartbeat_bit(&g->standing, member) ? "silent" : "absent";
	if (!p.fit)
		return "down";
	return m->state == MEMBER_DRAINING ? "draining" : "up";
}

uint16_t group_member_host(const struct group *g, uint16_t member)
{
	return presence_of(g, member).host;
}
