/* Views: proposed by the coordinator, installed by all, then committed by all; and what a host of
 * distributed mode takes meanwhile. */
#include "balance/machine.h"

#define COUNT_BITS 16 /* of a view's number; above are the coordinator's */
#define COUNT_MAX  ((1u << COUNT_BITS) - 1)

/* --- what this host takes -------------------------------------------------------------------- */

/* From now on it goes by nothing, and says so. */
void views_lapse(struct step *s)
{
	struct group *g = s->g;

	if (!is_distributed(g))
		return;
	g->own = (mono_t){ 0 };
	g->installing = g->installed = g->committing = g->committed = (struct heartbeat_view){ 0 };
}

void views_extend(struct step *s)
{
	struct group *g = s->g;

	if (!g->faces[0].active)
		return;
	g->echoed = s->now;
	if (g->committed.number)
		g->own = mono_after(s->now, GROUP_ROWS);
}

/* Its lease began when that heartbeat was sent which the coordinator echoed last. */
static void revive(struct group *g, mono_t now)
{
	g->own = g->alone ? MONO_NEVER : mono_after(g->echoed, GROUP_ROWS);
	if (mono_due(g->own, now))
		g->own = (mono_t){ 0 };
}

void views_own(struct step *s)
{
	struct group *g = s->g;
	const mono_t own = is_distributed(g) ? g->own : (mono_t){ 0 };

	if (own.ns == g->told_own.ns)
		return;
	g->told_own = own;
	step_add(s, GROUP_OWN);
	memmove(&s->out[1], &s->out[0], (s->count - 1) * sizeof(s->out[0]));
	s->out[0] = (struct group_effect){ .kind = GROUP_OWN, .serve = own };
}

/* --- installing and committing --------------------------------------------------------------- */

static void install(struct step *s, struct heartbeat_view view, uint64_t generation,
		    const struct heartbeat_bits *fresh, const struct heartbeat_bits *known)
{
	struct group *g = s->g;

	/* Rows of a view that was never in force everywhere are not to be taken by.  (What is
	 * ordered to be committed is so before this is installed.) */
	if (!view_equal(g->installing, g->committing))
		views_lapse(s);
	g->installing = view;
	g->view_generation = generation;
	g->fresh = *fresh;
	g->known = *known;
	bits_add(&g->chosen, fresh);
	step_add(s, GROUP_INSTALL)->view = view;
}

void views_installed(struct step *s, struct heartbeat_view view)
{
	struct group *g = s->g;

	if (!view.number || !view_equal(view, g->installing))
		return;
	g->installed = view;
	s->send = true;
}

static void commit(struct step *s)
{
	s->g->committing = s->g->installed;
	step_add(s, GROUP_COMMIT_VIEW)->view = s->g->installed;
}

void views_committed(struct step *s, struct heartbeat_view view)
{
	const struct group_effect what = { .reason = GROUP_REASON_VIEW, .view = view };
	struct group *g = s->g;

	if (!view.number || !view_equal(view, g->committing) || !view_equal(view, g->installed))
		return;
	g->committed = view;
	if (view_equal(view, g->installing))
		g->chosen = g->fresh;
	s->send = true;
	if (is_distributed(g))
		revive(g, s->now);
	step_tell(s, GROUP_NOTE, &what);
}

/* Nothing is under way here, and what is installed is not committed. */
static bool may_commit(const struct group *g)
{
	return g->installed.number && view_equal(g->installing, g->installed) &&
	       !view_equal(g->committing, g->installed);
}

/* --- the coordinator ------------------------------------------------------------------------- */

void views_begin(struct step *s, span_t wait)
{
	s->g->proposed = (struct heartbeat_view){ 0 };
	s->g->first_commit = mono_after(s->now, wait);
}

static bool is_pending(const struct group *g)
{
	return g->proposed.number && !view_equal(g->proposed, g->committed);
}

static void propose(struct step *s, const struct heartbeat_bits *fresh,
		    const struct heartbeat_bits *known)
{
	struct group *g = s->g;
	uint32_t count = g->proposed.number & COUNT_MAX;

	count = count < COUNT_MAX ? count + 1 : 1;
	g->proposed.epoch = g->faces[0].epoch;
	g->proposed.number = (uint32_t)g->number << COUNT_BITS | count;
	g->proposed_at = s->now;
	install(s, g->proposed, g->record->generation, fresh, known);
	s->send = true;
}

static void say_fail_open(struct step *s, bool open)
{
	const struct group_effect what = { .reason = GROUP_REASON_ALL_DOWN };

	if (open && !s->g->fail_open)
		step_tell(s, GROUP_ALARM, &what);
	s->g->fail_open = open;
}

static bool all_installed(const struct group *g)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (p->counts && !p->left && bits_any(&p->hosted) &&
		    !view_equal(p->installed, g->proposed))
			return false;
	}
	return true;
}

static bool has_waited(struct group *g, mono_t now)
{
	if (mono_due(g->first_commit, now))
		g->first_commit = (mono_t){ 0 };
	return g->first_commit.ns == 0;
}

/* A host has a newer record than the view is of, as this one has by now: it never installs it. */
static bool is_overtaken(const struct group *g)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &g->peers[i];

		if (p->counts && !p->left && p->generation > g->view_generation &&
		    !view_equal(p->installed, g->proposed))
			return g->record->generation > g->view_generation;
	}
	return false;
}

static void coordinate(struct step *s)
{
	struct heartbeat_bits fresh, known;
	struct group *g = s->g;
	bool ready;

	if (is_pending(g) && !is_overtaken(g)) {
		/* It lapsed meanwhile, and begins anew like everybody else. */
		if (!view_equal(g->installing, g->proposed))
			install(s, g->proposed, g->view_generation, &g->fresh, &g->known);
		ready = all_installed(g);
		if (!is_distributed(g))
			ready |= !g->committed.number || /* what is chosen by now is worse */
				 mono_due(mono_after(g->proposed_at, GROUP_COMMIT), s->now);
		else
			ready &= has_waited(g, s->now);
		if (ready && may_commit(g))
			commit(s);
		return;
	}
	say_fail_open(s, !members_now(g, s->now, &fresh, &known));
	if (!g->proposed.number || g->view_generation != g->record->generation ||
	    !bits_equal(&fresh, &g->fresh) || !bits_equal(&known, &g->known))
		propose(s, &fresh, &known);
}

/* --- who follows ----------------------------------------------------------------------------- */

/* A view of the same coordinator only if it comes after; of another only at no lower epoch. */
static bool is_news(const struct group *g, struct heartbeat_view v)
{
	if (!v.number || v.epoch < g->installing.epoch)
		return false;
	return v.epoch > g->installing.epoch ||
	       v.number >> COUNT_BITS != g->installing.number >> COUNT_BITS ||
	       v.number > g->installing.number;
}

static void is_behind(struct step *s, uint64_t generation)
{
	const struct group_effect what = { .host = s->from->number, .reason = GROUP_REASON_BEHIND };

	if (generation > s->g->record->generation && generation != s->g->behind &&
	    step_tell(s, GROUP_ALARM, &what))
		s->g->behind = generation;
}

static void follow(struct step *s)
{
	const struct heartbeat *h = s->heard;
	struct group *g = s->g;
	mono_t echo;

	if (is_distributed(g)) {
		if (!view_equal(h->committed, g->committed) &&
		    !view_equal(h->committed, g->installed))
			views_lapse(s);
		echo = peers_echo(g, h, true);
		g->echoed = mono_later(g->echoed, echo);
		/* (Not lapsed: it may have committed when the last echo was too old.) */
		if (g->committed.number && echo.ns)
			g->own = mono_later(g->own, mono_after(echo, GROUP_ROWS));
	}
	if (!is_news(g, h->proposed))
		return;
	if (h->proposed_generation != g->record->generation)
		is_behind(s, h->proposed_generation);
	else if (group_takes_part(g))
		install(s, h->proposed, h->proposed_generation, &h->fresh, &h->known);
}

/* Who commits first has seen that all have installed: then all may. */
static bool somebody_committed(const struct group *g)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++)
		if (g->peers[i].there && view_equal(g->peers[i].committed, g->installed))
			return true;
	return false;
}

void views_review(struct step *s)
{
	struct group *g = s->g;

	/* Without members it is not waited for. */
	if (g->own.ns && (mono_due(g->own, s->now) || !group_takes_part(g)))
		views_lapse(s);
	if (g->faces[0].active) {
		coordinate(s);
		return;
	}
	say_fail_open(s, false);
	if (may_commit(g) && somebody_committed(g))
		commit(s);
	if (s->from && s->from->claims[0].state == HEARTBEAT_ACTIVE &&
	    g->faces[0].holder == s->from->number)
		follow(s);
}

mono_t views_expiry(const struct group *g)
{
	mono_t next = MONO_NEVER;

	if (is_distributed(g) && g->own.ns)
		next = g->own;
	if (!g->faces[0].active || !is_pending(g) || !may_commit(g))
		return next;
	if (!is_distributed(g))
		return mono_earlier(next, mono_after(g->proposed_at, GROUP_COMMIT));
	return g->first_commit.ns ? mono_earlier(next, g->first_commit) : next;
}
