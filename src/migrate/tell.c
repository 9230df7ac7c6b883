/* What the registry is to be told: the answer to an ask that stands, and the writes that make the
 * records what this state wants.  Both are asked for after every event, so that what was lost on
 * its way is written again. */
#include "migrate/machine.h"

/* --- answering ------------------------------------------------------------------------------- */

static enum occurrence answer_reserving(const struct migrate *m)
{
	/* Nobody uses the reservation: the guest went elsewhere. */
	if (!uuid_equal(&m->asked, &m->peer) && m->asked_why == ASK_TAKE_BACK && !guest_runs(m))
		return m->refusing == 0 && !m->withdraw ? ASK_INSTEAD : NOTHING;
	if (m->answered != UNANSWERED)
		return NOTHING;
	if (!uuid_equal(&m->asked, &m->peer))
		return ASK_THIRD;
	if (m->asked_why == ASK_PREPARE || m->state == MIGRATE_RETURNING)
		return ASK_AGAIN;
	/* It will claim at once: our gate has to close before. */
	return guest_runs(m) ? ASK_THIRD : ASK_STILL;
}

static enum occurrence answer_held(const struct migrate *m)
{
	if (m->reassert)
		return NOTHING;
	/* Granted or refused once; whoever still wants it asks again. */
	if (m->asked_why == ASK_PREPARE)
		return m->answered == UNANSWERED ? ASK_PREPARED : NOTHING;
	/* A refusal is told first, so that one who wants it no more can say so. */
	if (!guest_runs(m))
		return m->refusing == 0 ? ASK_STILL : NOTHING;
	if (m->answered != UNANSWERED)
		return NOTHING;
	return m->asked_why == ASK_TAKE_BACK ? ASK_BOTH : ASK_RUNS;
}

static enum occurrence answer(const struct migrate *m)
{
	if (is_reserving(m))
		return answer_reserving(m);
	if (m->state == MIGRATE_HELD)
		return answer_held(m);
	if (m->state == MIGRATE_FROZEN) {
		if (m->answered != UNANSWERED)
			return NOTHING;
		return m->asked_why == ASK_PREPARE ? ASK_PREPARED : ASK_THIRD;
	}
	/* We yielded to a host whose claim the registry never had. */
	if ((m->state == MIGRATE_NONE || m->state == MIGRATE_FENCED ||
	     m->state == MIGRATE_HANDED) &&
	    is_holder_by_record(m))
		return ASK_STILL;
	return NOTHING;
}

void tell_answer(struct step *s)
{
	const struct migrate *m = s->m;

	if (uuid_is_none(&m->asked) || uuid_equal(&m->asked, &m->self) || m->asker_dead ||
	    m->answered == GRANTED)
		return;
	s->other = m->asked;
	moving_fire(s, answer(m));
}

/* --- writing --------------------------------------------------------------------------------- */

static const enum migrate_effect_kind no_write = MIGRATE_EFFECT_COUNT;

static enum migrate_effect_kind wanted_reserving(const struct migrate *m)
{
	if (m->withdraw)
		return m->reassert ? MIGRATE_DO_CLAIM : MIGRATE_DO_WITHDRAW;
	return !m->told || m->reassert ? MIGRATE_DO_GRANT : no_write;
}

static enum migrate_effect_kind wanted(const struct migrate *m)
{
	switch ((enum migrate_state)m->state) {
	case MIGRATE_HELD:
		if (m->reassert)
			return MIGRATE_DO_CLAIM;
		return m->withdraw ? MIGRATE_DO_WITHDRAW : no_write;
	case MIGRATE_OFFERED:
	case MIGRATE_PAUSED:
	case MIGRATE_RETURNING:
		return wanted_reserving(m);
	case MIGRATE_FROZEN:
		return !m->told || m->reassert ? MIGRATE_DO_FREEZE : no_write;
	case MIGRATE_LIVE:
		return MIGRATE_DO_CLAIM;
	case MIGRATE_READY:
		return m->claim ? MIGRATE_DO_CLAIM : no_write;
	case MIGRATE_ASKED:
		if (is_asking(m, ASK_FORCE) || (m->asking != 0 && is_holder_by_record(m)))
			return MIGRATE_DO_CLAIM;
		break;
	case MIGRATE_NONE:
	case MIGRATE_HANDED:
	case MIGRATE_FENCED:
	case MIGRATE_STATE_COUNT:
		break;
	}
	/* What was reserved for us, and we gave up. */
	if (m->declined && m->known && m->record_state == SHARED_MOVING &&
	    uuid_equal(&m->to, &m->self) && uuid_equal(&m->record_move, &m->move))
		return MIGRATE_DO_WITHDRAW;
	return no_write;
}

static uint64_t epoch_to_write(const struct migrate *m, enum migrate_effect_kind kind)
{
	if (kind == MIGRATE_DO_CLAIM || m->reassert)
		return m->epoch + 1;
	return is_holding(m) ? m->epoch : m->record_epoch;
}

static bool tell_record(struct step *s)
{
	const enum migrate_effect_kind kind = wanted(s->m);
	struct migrate *m = s->m;
	struct migrate_effect *e;

	if (kind == no_write || m->writing)
		return false;
	m->writing = true;
	e = moving_effect(s, kind);
	e->epoch = epoch_to_write(m, kind);
	e->move = m->move;
	if (kind == MIGRATE_DO_GRANT) {
		e->peer = m->peer;
		e->lifetime_ms = m->lifetime_ms;
	}
	return true;
}

static enum migrate_effect_kind wanted_ask(const struct migrate *m)
{
	const bool ours = uuid_equal(&m->asked, &m->self);

	if (ours && m->asking == 0)
		return MIGRATE_DO_UNASK;
	if (m->asking != 0 && !is_asking(m, ASK_FORCE) && !is_holder_by_record(m)) {
		if (uuid_is_none(&m->asked))
			return MIGRATE_DO_ASK;
		if (ours &&
		    (m->asked_why + 1 != m->asking || !uuid_equal(&m->asked_move, &m->ask_move)))
			return MIGRATE_DO_ASK;
	}
	if (ours || uuid_is_none(&m->asked))
		return no_write;
	if (m->asker_dead)
		return MIGRATE_DO_UNASK;
	return m->refusing != 0 ? MIGRATE_DO_REFUSE : no_write;
}

static bool tell_ask(struct step *s)
{
	const enum migrate_effect_kind kind = wanted_ask(s->m);
	struct migrate *m = s->m;
	struct migrate_effect *e;

	if (kind == no_write || m->ask_writing)
		return false;
	m->ask_writing = true;
	e = moving_effect(s, kind);
	if (kind == MIGRATE_DO_ASK) {
		e->why = m->asking - 1;
		e->move = m->ask_move;
		e->lifetime_ms = m->ask_lifetime_ms;
	} else if (kind == MIGRATE_DO_REFUSE) {
		e->reason = m->refusing - 1;
		e->peer = m->asked;
	}
	return true;
}

void tell_wants(struct step *s, bool try_anyway)
{
	if (!s->m->reachable && !try_anyway)
		return;
	tell_record(s);
	tell_ask(s);
}
