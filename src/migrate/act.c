/* The actions of the table: what each does to the machine, and which effects it asks for.  Writes
 * of the registry are not among them: the actions say what is wanted, tell.c writes it. */
#include "migrate/machine.h"

static const int64_t announce_ms[MIGRATE_ANNOUNCES] = { 0, 50, 200, 450, 800, 2000, 10000 };

struct migrate_effect *moving_effect(struct step *s, enum migrate_effect_kind kind)
{
	struct migrate_effect *e;

	/* The last place is the gate's. */
	assert(s->count < MIGRATE_EFFECTS_MAX - 1);
	e = &s->out[s->count++];
	*e = (struct migrate_effect){ .kind = kind };
	return e;
}

/* --- the journal ----------------------------------------------------------------------------- */

static void moved(struct step *s)
{
	struct migrate *m = s->m;

	if (m->planned)
		return;
	memmove(&m->moved[1], &m->moved[0], sizeof(m->moved) - sizeof(m->moved[0]));
	m->moved[0] = s->now;
}

void moving_forgive(struct migrate *m)
{
	for (size_t i = 0; i < MIGRATE_MOVES; i++)
		m->moved[i] = MONO_NEVER;
}

static void hold(struct step *s)
{
	struct migrate *m = s->m;

	if (m->journal_ours && m->journal_epoch == m->epoch)
		return;
	m->journal_ours = true;
	m->journal_epoch = m->epoch;
	moving_effect(s, MIGRATE_HOLD)->epoch = m->epoch;
}

static void journal_theirs(struct step *s)
{
	struct migrate *m = s->m;
	struct migrate_effect *e = moving_effect(s, MIGRATE_YIELD);

	m->journal_ours = false;
	m->journal_epoch = m->epoch;
	m->peer = s->other;
	e->epoch = m->epoch;
	e->peer = s->other;
}

static void yield(struct step *s)
{
	journal_theirs(s);
	moved(s);
	s->m->planned = false;
}

static void follow(struct step *s)
{
	if (!uuid_equal(&s->other, &s->m->peer))
		journal_theirs(s);
}

/* --- announcing ------------------------------------------------------------------------------ */

mono_t moving_announce_at(const struct migrate *m)
{
	if (m->announced >= MIGRATE_ANNOUNCES)
		return MONO_NEVER;
	return mono_after(m->announce_base, SPAN_MS(announce_ms[m->announced]));
}

/* Those that were missed are one: the switches need no more. */
static void announce_next(struct step *s)
{
	struct migrate *m = s->m;
	struct migrate_effect *e = moving_effect(s, MIGRATE_ANNOUNCE);

	while (m->announced + 1 < MIGRATE_ANNOUNCES &&
	       mono_due(mono_after(m->announce_base, SPAN_MS(announce_ms[m->announced + 1])),
			s->now))
		m->announced++;
	e->count = m->announced++;
	e->epoch = m->epoch + (m->state == MIGRATE_LIVE);
}

static void announce(struct step *s)
{
	struct migrate *m = s->m;

	if (!guest_runs(m))
		return;
	m->announced = 0;
	m->announce_base = s->now;
	announce_next(s);
	moving_effect(s, MIGRATE_QUERY);
}

/* --- reservations ---------------------------------------------------------------------------- */

static mono_t lifetime_end(const struct migrate *m, mono_t now)
{
	return mono_after(now, SPAN_MS(m->lifetime_ms));
}

static int64_t lifetime(int64_t asked_ms)
{
	if (asked_ms <= 0)
		return MOVE_LIFETIME_MS;
	return asked_ms < MOVE_LIFETIME_MAX ? asked_ms : MOVE_LIFETIME_MAX;
}

static void grant(struct step *s)
{
	struct migrate *m = s->m;

	m->peer = m->asked;
	m->move = m->asked_move;
	m->lifetime_ms = lifetime(m->asked_lifetime_ms);
	m->expires = lifetime_end(m, s->now);
	m->planned = m->asked_why == ASK_PREPARE;
	m->answered = GRANTED;
	m->refusing = 0;
	m->told = m->withdraw = m->declined = false;
	s->other = m->peer;
}

static void offer(struct step *s)
{
	struct migrate *m = s->m;
	const bool same = uuid_equal(&m->to, &m->peer) && uuid_equal(&m->record_move, &m->move);

	/* A grant that was overtaken by its own abort has landed. */
	if (same && m->declined)
		m->withdraw = true;
	m->told = true;
	if (m->expires.ns != MONO_NEVER.ns && same)
		return;
	m->withdraw = m->withdraw || (m->declined && uuid_equal(&m->record_move, &m->move));
	m->peer = m->to;
	m->move = m->record_move;
	m->planned = !uuid_is_none(&m->move);
	m->lifetime_ms = lifetime(s->e->record->lifetime_ms);
	m->expires = lifetime_end(m, s->now);
}

static void withdraw(struct step *s)
{
	s->m->withdraw = s->m->declined = true;
	s->m->expires = MONO_NEVER;
}

/* The ask was granted, and its host may not even have heard of it, or wants it no more. */
static void ended(struct migrate *m)
{
	if (uuid_is_none(&m->asked) || uuid_equal(&m->asked, &m->self))
		return;
	m->answered = REFUSED;
	m->refusing = 1 + MIGRATE_REASON_ABORTED;
}

/* What the guest said before that may be of one that has left again. */
static bool has_spoken(struct step *s)
{
	struct migrate *m = s->m;

	if (!m->spoke || mono_since(s->now, m->spoke_last).ns <= MIGRATE_SPOKEN.ns)
		return m->spoke;
	m->spoke = false;
	if (!m->resumed && !m->ordered)
		moving_effect(s, MIGRATE_QUERY);
	return false;
}

static void accept(struct step *s)
{
	struct migrate *m = s->m;

	if (m->asking == 0 && !uuid_equal(&m->move, &m->record_move))
		m->planned = true;
	m->claim = m->claim || has_spoken(s) || m->resumed || m->ordered || is_asking(m, ASK_FORCE);
	m->asking = 0;
	m->declined = false;
	m->peer = m->holder;
	m->move = m->ask_move = m->record_move;
	m->lifetime_ms = lifetime(s->e->record->lifetime_ms);
	m->expires = lifetime_end(m, s->now);
}

/* A grant may still be on its way. */
static void decline(struct migrate *m)
{
	m->declined = true;
	m->move = m->ask_move;
	m->asking = 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void want(struct migrate *m, enum ask_why why)
{
	m->asking = 1 + why;
	m->planned = why == ASK_PREPARE;
	m->declined = false;
	m->ask_move = (struct uuid){ 0 };
	m->ask_lifetime_ms = 0;
}

static void want_prepare(struct step *s)
{
	want(s->m, ASK_PREPARE);
	/* What was ordered before is over: this guest speaks when it is here. */
	s->m->ordered = false;
	s->m->ask_move = s->e->move;
	s->m->ask_lifetime_ms = lifetime(s->e->lifetime_ms);
}

static void want_ordered(struct migrate *m)
{
	if (m->asking == 0)
		want(m, ASK_CLAIM);
	m->ordered = true;
}

static void heard(struct step *s)
{
	struct migrate *m = s->m;

	if (!m->spoke)
		m->spoke_since = s->now;
	m->spoke = true;
	m->spoke_last = s->now;
	m->resumed = m->resumed || s->e->kind == MIGRATE_RESUME;
}

static void insist_now(struct step *s)
{
	heard(s);
	if (is_asking(s->m, ASK_CLAIM) || is_asking(s->m, ASK_PREPARE))
		want(s->m, ASK_TAKE_BACK);
}

static void insist(struct step *s)
{
	struct migrate *m = s->m;

	if (m->spoke && mono_since(s->now, m->spoke_since).ns >= MIGRATE_RETRY.ns)
		return insist_now(s);
	heard(s);
}

static void alarm(struct step *s)
{
	struct migrate_effect *e = moving_effect(s, MIGRATE_ALARM);

	e->reason = (uint8_t)s->reason;
	e->peer = s->other;
}

void moving_act(struct step *s, enum action a)
{
	struct migrate *m = s->m;

	switch (a) {
	case do_hold:
		return hold(s);
	case do_arrive:
		moved(s);
		m->planned = false;
		return;
	case do_yield:
		return yield(s);
	case do_redirect:
		if (m->state == MIGRATE_HANDED)
			m->redirect_until = mono_after(s->now, MIGRATE_REDIRECT);
		return;
	case do_follow:
		return follow(s);
	case do_announce:
		return announce(s);
	case do_next:
		return announce_next(s);
	case do_grant:
		return grant(s);
	case do_renew:
		return grant(s);
	case do_offer:
		return offer(s);
	case do_ended:
		return ended(m);
	case do_confirmed:
		m->told = true;
		return;
	case do_withdraw:
		return withdraw(s);
	case do_refuse:
		m->answered = REFUSED;
		m->refusing = 1 + (uint8_t)s->reason;
		s->other = m->asked;
		return;
	case do_want_prepare:
		return want_prepare(s);
	case do_want_claim:
		return want(m, ASK_CLAIM);
	case do_want_ordered:
		return want_ordered(m);
	case do_want_back:
		want(m, ASK_TAKE_BACK);
		return heard(s);
	case do_want_force:
		m->ordered = true;
		return want(m, ASK_FORCE);
	case do_insist:
		return insist(s);
	case do_insist_now:
		return insist_now(s);
	case do_accept:
		return accept(s);
	case do_claim:
		m->claim = true;
		return;
	case do_decline:
		return decline(m);
	case do_freeze:
		m->thaw = mono_after(s->now, MIGRATE_THAW);
		return;
	case do_forgive:
		return moving_forgive(m);
	case do_alarm:
		return alarm(s);
	case do_nothing:
	case ACTION_COUNT:
		break;
	}
	assert(!"an action");
}
