/* The table, and the step that looks it up.  docs/protocols/migration.md is made from it. */
#include "migrate/machine.h"

/* X(state, occurrence, next, reason, actions …): what is not here does nothing. */
/* clang-format off */
#define MIGRATE_TABLE(X) \
	X(NONE, PORT_OURS, HELD, UNTOLD, do_nothing) \
	X(NONE, PORT_CAME, ASKED, UNTOLD, want_claim) \
	X(NONE, WANTED, ASKED, PREPARED, want_prepare) \
	X(NONE, ACTIVATED, ASKED, ACTIVATED, want_ordered) \
	X(NONE, FORCED, ASKED, FORCED, want_force) \
	X(NONE, OURS, HELD, RECORDED, hold) \
	X(NONE, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(NONE, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(NONE, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(NONE, RESERVED, READY, GRANTED, accept) \
	X(NONE, ASK_STILL, RETURNING, LET_GO, grant) \
	X(HELD, STOPPED, HELD, STOPPED, do_nothing) \
	X(HELD, RESUMED, HELD, RESUMED, do_nothing) \
	X(HELD, OURS, HELD, UNTOLD, hold) \
	X(HELD, OURS_OFFERED, OFFERED, PREPARED, hold, offer) \
	X(HELD, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(HELD, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(HELD, OVERTAKEN, AFTER, OVERTAKEN, yield, redirect) \
	X(HELD, BEHIND, HELD, BEHIND, alarm) \
	X(HELD, TIE_WON, HELD, TWO_GUESTS, alarm) \
	X(HELD, TIE_LOST, AFTER, TWO_GUESTS, yield, redirect, alarm) \
	X(HELD, VANISHED, HELD, BEHIND, alarm) \
	X(HELD, RELEASED, NONE, FORGOTTEN, do_nothing) \
	X(HELD, ASK_PREPARED, OFFERED, PREPARED, grant) \
	X(HELD, ASK_STILL, RETURNING, LET_GO, grant) \
	X(HELD, ASK_RUNS, HELD, REFUSED, refuse) \
	X(HELD, ASK_BOTH, HELD, TWO_GUESTS, refuse, alarm) \
	X(HELD, TAG_PROVES, AFTER, ANNOUNCED, yield, redirect) \
	X(HELD, TAG_HINTS, HELD, ANNOUNCED, do_nothing) \
	X(HELD, STRANGER, HELD, FOREIGN, alarm) \
	X(HELD, STRANGER_MOVING, HELD, FOREIGN, do_nothing) \
	X(HELD, CAME_BACK, HELD, LOOPED, alarm) \
	X(HELD, TOO_OFTEN, FROZEN, MOVED_TOO_OFTEN, freeze, alarm) \
	X(HELD, ANNOUNCE_DUE, HELD, UNTOLD, next) \
	X(OFFERED, STOPPED, PAUSED, STOPPED, do_nothing) \
	X(OFFERED, ABORTED, OFFERED, ABORTED, withdraw) \
	X(OFFERED, EXPIRED, OFFERED, EXPIRED, withdraw) \
	X(OFFERED, PEER_DEAD, OFFERED, ABORTED, withdraw) \
	X(OFFERED, OURS_OFFERED, OFFERED, UNTOLD, offer) \
	X(OFFERED, WITHDRAWN, HELD, ABORTED, hold, ended, announce) \
	X(OFFERED, OVERTAKEN, AFTER, OVERTAKEN, yield, redirect) \
	X(OFFERED, BEHIND, OFFERED, BEHIND, alarm) \
	X(OFFERED, TIE_WON, OFFERED, TWO_GUESTS, alarm) \
	X(OFFERED, TIE_LOST, AFTER, TWO_GUESTS, yield, redirect, alarm) \
	X(OFFERED, VANISHED, OFFERED, BEHIND, alarm) \
	X(OFFERED, RELEASED, NONE, FORGOTTEN, do_nothing) \
	X(OFFERED, ASK_AGAIN, OFFERED, PREPARED, renew) \
	X(OFFERED, ASK_STILL, RETURNING, LET_GO, renew) \
	X(OFFERED, ASK_THIRD, OFFERED, PREPARED, refuse) \
	X(OFFERED, ASK_INSTEAD, OFFERED, ABORTED, withdraw) \
	X(OFFERED, TAG_PROVES, AFTER, ANNOUNCED, yield, redirect) \
	X(OFFERED, TAG_HINTS, OFFERED, ANNOUNCED, do_nothing) \
	X(OFFERED, STRANGER, OFFERED, FOREIGN, do_nothing) \
	X(OFFERED, STRANGER_MOVING, OFFERED, FOREIGN, do_nothing) \
	X(OFFERED, CAME_BACK, OFFERED, LOOPED, alarm) \
	X(OFFERED, ANNOUNCE_DUE, OFFERED, UNTOLD, next) \
	X(PAUSED, RESUMED, OFFERED, RESUMED, do_nothing) \
	X(PAUSED, SPOKE, OFFERED, RESUMED, do_nothing) \
	X(PAUSED, ABORTED, PAUSED, ABORTED, withdraw) \
	X(PAUSED, EXPIRED, PAUSED, EXPIRED, withdraw) \
	X(PAUSED, PEER_DEAD, PAUSED, ABORTED, withdraw) \
	X(PAUSED, OURS_OFFERED, PAUSED, UNTOLD, offer) \
	X(PAUSED, WITHDRAWN, HELD, ABORTED, hold, ended, announce) \
	X(PAUSED, OVERTAKEN, AFTER, OVERTAKEN, yield, redirect) \
	X(PAUSED, BEHIND, PAUSED, BEHIND, alarm) \
	X(PAUSED, TIE_WON, PAUSED, TWO_GUESTS, alarm) \
	X(PAUSED, TIE_LOST, AFTER, TWO_GUESTS, yield, redirect, alarm) \
	X(PAUSED, VANISHED, PAUSED, BEHIND, alarm) \
	X(PAUSED, RELEASED, NONE, FORGOTTEN, do_nothing) \
	X(PAUSED, ASK_AGAIN, PAUSED, PREPARED, renew) \
	X(PAUSED, ASK_STILL, RETURNING, LET_GO, renew) \
	X(PAUSED, ASK_THIRD, PAUSED, PREPARED, refuse) \
	X(PAUSED, ASK_INSTEAD, PAUSED, ABORTED, withdraw) \
	X(PAUSED, TAG_PROVES, AFTER, ANNOUNCED, yield, redirect) \
	X(PAUSED, TAG_HINTS, PAUSED, ANNOUNCED, do_nothing) \
	X(HANDED, PORT_CAME, ASKED, UNTOLD, want_claim) \
	X(HANDED, WANTED, ASKED, PREPARED, want_prepare) \
	X(HANDED, ACTIVATED, ASKED, ACTIVATED, want_ordered) \
	X(HANDED, FORCED, ASKED, FORCED, want_force) \
	X(HANDED, RESUMED, ASKED, TAKEN_BACK, want_back) \
	X(HANDED, SPOKE, ASKED, TAKEN_BACK, want_back) \
	X(HANDED, OURS, HELD, RECORDED, hold, arrive, announce) \
	X(HANDED, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(HANDED, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(HANDED, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(HANDED, RESERVED, READY, GRANTED, accept) \
	X(HANDED, THEIRS, HANDED, UNTOLD, follow) \
	X(HANDED, TAG_NEWER, HANDED, UNTOLD, follow) \
	X(HANDED, ASK_STILL, RETURNING, LET_GO, grant) \
	X(HANDED, DRAINED, ASIDE, DRAINED, do_nothing) \
	X(FENCED, PORT_LEFT, NONE, PORT_GONE, do_nothing) \
	X(FENCED, PORT_OURS, HELD, UNTOLD, do_nothing) \
	X(FENCED, WANTED, ASKED, PREPARED, want_prepare) \
	X(FENCED, ACTIVATED, ASKED, ACTIVATED, want_ordered) \
	X(FENCED, FORCED, ASKED, FORCED, want_force) \
	X(FENCED, RESUMED, ASKED, TAKEN_BACK, want_back) \
	X(FENCED, SPOKE, ASKED, TAKEN_BACK, want_back) \
	X(FENCED, OURS, HELD, RECORDED, hold, arrive, announce) \
	X(FENCED, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(FENCED, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(FENCED, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(FENCED, RESERVED, READY, GRANTED, accept) \
	X(FENCED, ASK_STILL, RETURNING, LET_GO, grant) \
	X(ASKED, PORT_OURS, HELD, UNTOLD, do_nothing) \
	X(ASKED, PORT_LEFT, NONE, PORT_GONE, do_nothing) \
	X(ASKED, WANTED, ASKED, PREPARED, want_prepare) \
	X(ASKED, ABORTED, ASIDE, ABORTED, decline) \
	X(ASKED, ACTIVATED, ASKED, ACTIVATED, want_ordered) \
	X(ASKED, FORCED, ASKED, FORCED, want_force) \
	X(ASKED, RESUMED, ASKED, RESUMED, insist_now) \
	X(ASKED, SPOKE, ASKED, UNTOLD, insist) \
	X(ASKED, OURS, HELD, RECORDED, hold, arrive, announce) \
	X(ASKED, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(ASKED, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(ASKED, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(ASKED, RESERVED, READY, GRANTED, accept) \
	X(ASKED, ASK_NO, ASKED, REFUSED, do_nothing) \
	X(ASKED, ASK_NO_MOVE, ASKED, REFUSED, want_claim) \
	X(ASKED, ASK_NO_EMPTY, NONE, REFUSED, do_nothing) \
	X(ASKED, ASK_NO_BOTH, ASKED, TWO_GUESTS, alarm) \
	X(READY, WANTED, READY, PREPARED, want_prepare) \
	X(READY, ABORTED, ASIDE, ABORTED, decline) \
	X(READY, EXPIRED, ASIDE, EXPIRED, decline) \
	X(READY, ACTIVATED, LIVE, ACTIVATED, announce) \
	X(READY, RESUMED, LIVE, ACTIVATED, announce) \
	X(READY, FLIPPED, LIVE, ACTIVATED, announce) \
	X(READY, SPOKE, READY, UNTOLD, claim) \
	X(READY, FORCED, READY, FORCED, claim) \
	X(READY, OURS, HELD, RECORDED, hold, arrive, announce) \
	X(READY, OURS_OLD, READY, UNTOLD, claim) \
	X(READY, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(READY, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(READY, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(READY, RESERVED, READY, UNTOLD, accept) \
	X(READY, WITHDRAWN, ASIDE, ABORTED, do_nothing) \
	X(LIVE, OURS, HELD, RECORDED, hold, arrive) \
	X(LIVE, OURS_OFFERED, OFFERED, RECORDED, hold, offer) \
	X(LIVE, OURS_LEAVING, RETURNING, LET_GO, hold, offer) \
	X(LIVE, OURS_FROZEN, FROZEN, MOVED_TOO_OFTEN, hold, freeze, confirmed) \
	X(LIVE, PORT_CAME, READY, UNTOLD, claim) \
	X(LIVE, BEHIND, LIVE, BEHIND, alarm) \
	X(LIVE, VANISHED, LIVE, BEHIND, alarm) \
	X(LIVE, WITHDRAWN, ASKED, TWO_GUESTS, want_back, alarm) \
	X(LIVE, WITHDRAWN_EMPTY, NONE, ABORTED, alarm) \
	X(LIVE, RELEASED, ASIDE, FORGOTTEN, alarm) \
	X(LIVE, CAME_BACK, LIVE, LOOPED, alarm) \
	X(LIVE, ANNOUNCE_DUE, LIVE, UNTOLD, next) \
	X(RETURNING, RESUMED, RETURNING, RESUMED, withdraw) \
	X(RETURNING, SPOKE, RETURNING, RESUMED, withdraw) \
	X(RETURNING, ABORTED, RETURNING, ABORTED, withdraw) \
	X(RETURNING, EXPIRED, RETURNING, EXPIRED, withdraw) \
	X(RETURNING, PEER_DEAD, RETURNING, ABORTED, withdraw) \
	X(RETURNING, OURS_OFFERED, RETURNING, UNTOLD, offer) \
	X(RETURNING, WITHDRAWN, HELD, ABORTED, hold, ended, announce) \
	X(RETURNING, OVERTAKEN, AFTER, OVERTAKEN, yield, redirect) \
	X(RETURNING, BEHIND, RETURNING, BEHIND, alarm) \
	X(RETURNING, TIE_WON, RETURNING, TWO_GUESTS, alarm) \
	X(RETURNING, TIE_LOST, AFTER, TWO_GUESTS, yield, redirect, alarm) \
	X(RETURNING, VANISHED, RETURNING, BEHIND, alarm) \
	X(RETURNING, RELEASED, NONE, FORGOTTEN, do_nothing) \
	X(RETURNING, ASK_AGAIN, RETURNING, PREPARED, renew) \
	X(RETURNING, ASK_THIRD, RETURNING, PREPARED, refuse) \
	X(RETURNING, ASK_INSTEAD, RETURNING, ABORTED, withdraw) \
	X(RETURNING, TAG_PROVES, AFTER, ANNOUNCED, yield, redirect) \
	X(FROZEN, STOPPED, FROZEN, STOPPED, do_nothing) \
	X(FROZEN, RESUMED, FROZEN, RESUMED, do_nothing) \
	X(FROZEN, THAW, HELD, THAWED, withdraw, forgive) \
	X(FROZEN, OURS, HELD, THAWED, hold, forgive) \
	X(FROZEN, OURS_FROZEN, FROZEN, UNTOLD, confirmed) \
	X(FROZEN, OURS_OFFERED, OFFERED, PREPARED, offer) \
	X(FROZEN, OURS_LEAVING, RETURNING, LET_GO, offer) \
	X(FROZEN, OVERTAKEN, AFTER, OVERTAKEN, yield, redirect) \
	X(FROZEN, BEHIND, FROZEN, BEHIND, alarm) \
	X(FROZEN, TIE_WON, FROZEN, TWO_GUESTS, alarm) \
	X(FROZEN, TIE_LOST, AFTER, TWO_GUESTS, yield, redirect, alarm) \
	X(FROZEN, VANISHED, FROZEN, BEHIND, alarm) \
	X(FROZEN, RELEASED, NONE, FORGOTTEN, do_nothing) \
	X(FROZEN, ASK_PREPARED, OFFERED, PREPARED, grant, forgive) \
	X(FROZEN, ASK_THIRD, FROZEN, MOVED_TOO_OFTEN, refuse) \
	X(FROZEN, TAG_PROVES, AFTER, ANNOUNCED, yield, redirect) \
	X(FROZEN, TAG_HINTS, FROZEN, ANNOUNCED, do_nothing) \
	X(FROZEN, STRANGER, FROZEN, FOREIGN, alarm) \
	X(FROZEN, STRANGER_MOVING, FROZEN, FOREIGN, do_nothing) \
	X(FROZEN, CAME_BACK, FROZEN, LOOPED, alarm) \
	X(FROZEN, ANNOUNCE_DUE, FROZEN, UNTOLD, next)
/* clang-format on */

#define DO_1_(a)			do_##a
#define DO_2_(a, ...)			do_##a, DO_1_(__VA_ARGS__)
#define DO_3_(a, ...)			do_##a, DO_2_(__VA_ARGS__)
#define DO_4_(a, ...)			do_##a, DO_3_(__VA_ARGS__)
#define DO_PICK_(a, b, c, d, name, ...) name
#define DO_(...)                                                                                   \
	DO_PICK_(__VA_ARGS__, DO_4_, DO_3_, DO_2_, DO_1_, )                                        \
	(__VA_ARGS__)
#define do_do_nothing do_nothing

#define RULE(s, o, n, why, ...)                                                                    \
	{ MIGRATE_##s, MIGRATE_##n, o, MIGRATE_REASON_##why, { DO_(__VA_ARGS__) } },

static const struct rule rules[] = { MIGRATE_TABLE(RULE) };

/* --- what a state implies, whichever row led to it -------------------------------------------- */

static enum migrate_state resolve(const struct migrate *m, uint8_t next)
{
	if (next == MIGRATE_ASIDE)
		return m->port ? MIGRATE_FENCED : MIGRATE_NONE;
	if (next == MIGRATE_AFTER)
		return m->port || migrate_gate(m->state) == MIGRATE_GATE_REDIRECT ? MIGRATE_HANDED
										  : MIGRATE_NONE;
	return next;
}

static void reservation_end(struct migrate *m)
{
	if (m->answered == GRANTED)
		m->answered = UNANSWERED;
	m->told = m->withdraw = false;
	m->expires = MONO_NEVER;
}

static void state_enter(struct migrate *m, enum migrate_state next)
{
	const bool was_reserving = is_reserving(m);

	m->state = (uint8_t)next;
	if (!was_reserving || !is_reserving(m))
		reservation_end(m);
	m->claim = false;
	m->redirect_until = m->thaw = MONO_NEVER;
	if (migrate_gate(next) != MIGRATE_GATE_OPEN)
		m->announced = MIGRATE_ANNOUNCES;
	if (next != MIGRATE_ASKED && next != MIGRATE_READY) {
		m->asking = 0;
		m->spoke = m->resumed = m->ordered = false;
	}
	if (!is_holding(m))
		m->reassert = m->stopped = false;
	if (is_holding(m) || next == MIGRATE_LIVE)
		m->declined = m->declined && is_holding(m);
	if (next == MIGRATE_NONE || next == MIGRATE_HELD || next == MIGRATE_FROZEN)
		m->peer = (struct uuid){ 0 };
}

/* --- running a row --------------------------------------------------------------------------- */

static void row_tell(struct step *s, const struct rule *r, enum migrate_state from)
{
	struct migrate_effect *e;

	if (r->reason == MIGRATE_REASON_UNTOLD && s->m->state == from)
		return;
	e = moving_effect(s, MIGRATE_NOTE);
	e->from = (uint8_t)from;
	e->to = s->m->state;
	e->reason = r->reason == MIGRATE_REASON_UNTOLD ? MIGRATE_REASON_RECORDED : r->reason;
	e->peer = s->other;
}

void moving_fire(struct step *s, enum occurrence o)
{
	const enum migrate_state from = s->m->state;

	if (o == NOTHING)
		return;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *r = &rules[i];
		enum migrate_state next;

		if (r->state != from || r->occurrence != o)
			continue;
		next = resolve(s->m, r->next);
		s->reason = r->reason;
		if (next != from)
			state_enter(s->m, next);
		for (unsigned int k = 0; k < RULE_ACTIONS_MAX && r->actions[k] != do_nothing; k++)
			moving_act(s, r->actions[k]);
		row_tell(s, r, from);
		return;
	}
}

/* --- for people ------------------------------------------------------------------------------ */

#define NAME_(c, name, gate, meaning) static const char STATE_##c[] __attribute__((unused)) = name;
MIGRATE_STATES(NAME_)
#undef NAME_
static const char STATE_ASIDE[] = "fenced or none", STATE_AFTER[] = "handed or none";
#define NAME_(c, name, meaning) static const char WHY_##c[] __attribute__((unused)) = name;
MIGRATE_REASONS(NAME_)
#undef NAME_
static const char WHY_UNTOLD[] = "";
#define NAME_(c, when) static const char WHEN_##c[] __attribute__((unused)) = when;
MIGRATE_OCCURRENCES(NAME_)
#undef NAME_

#define ROW(s, o, n, why, ...) { STATE_##s, STATE_##n, #o, WHEN_##o, #__VA_ARGS__, WHY_##why },

static const struct migrate_row rows[] = { MIGRATE_TABLE(ROW) };

const struct migrate_row *migrate_table(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(rows);
	return rows;
}
