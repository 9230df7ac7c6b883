/* What an event means: every condition is weighed here, and what is known is brought up to date. */
#include "migrate/machine.h"

/* --- the port and the guest ------------------------------------------------------------------ */

/* Whether the journal's word counts: the record may know of a later holder. */
static bool journal_counts(const struct migrate *m, uint64_t epoch)
{
	if (epoch == 0 || m->condemned)
		return false;
	if (m->state != MIGRATE_NONE && m->state != MIGRATE_ASKED && m->state != MIGRATE_FENCED)
		return false;
	return epoch >= m->epoch &&
	       (!m->known || is_holder_by_record(m) || m->record_epoch < epoch);
}

/* Whatever was heard of a guest here counts no more. */
static void guest_gone(struct migrate *m)
{
	m->spoke = m->resumed = false;
	m->claim = m->claim && m->ordered;
	if (is_asking(m, ASK_TAKE_BACK))
		m->asking = 1 + ASK_CLAIM;
}

static enum occurrence port(struct step *s, bool up)
{
	struct migrate *m = s->m;
	const bool ours = journal_counts(m, s->e->epoch), was = m->port;

	m->port = up;
	m->stopped = false;
	guest_gone(m);
	s->regate = up;
	if (s->e->epoch > 0 && is_holding(m)) {
		m->journal_ours = true;
		m->journal_epoch = s->e->epoch;
	}
	if (s->e->epoch > m->epoch)
		m->epoch = s->e->epoch;
	if (ours) {
		m->journal_ours = true;
		m->journal_epoch = s->e->epoch;
		m->reassert = m->known && !is_holder_by_record(m);
		return PORT_OURS;
	}
	/* The guest may have left a moment ago, and this is what it left behind. */
	if (up)
		return m->state == MIGRATE_HANDED && was ? NOTHING : PORT_CAME;
	/* What was ordered or prepared needs no port. */
	if (m->state == MIGRATE_ASKED &&
	    (m->ordered || is_asking(m, ASK_PREPARE) || is_asking(m, ASK_FORCE)))
		return NOTHING;
	return PORT_LEFT;
}

static enum occurrence spoke(struct step *s, bool flipped)
{
	struct migrate *m = s->m;

	/* Told late: the port and its gate are gone. */
	if (!m->port)
		return NOTHING;
	m->stopped = false;
	if (!flipped)
		return SPOKE;
	if (m->state == MIGRATE_READY)
		return FLIPPED;
	/* Its gate had been armed and was closed since: it is to be closed for good. */
	s->regate = migrate_gate(m->state) != MIGRATE_GATE_OPEN;
	return s->regate ? SPOKE : NOTHING;
}

/* --- the record ------------------------------------------------------------------------------ */

static enum occurrence record_none(struct step *s)
{
	struct migrate *m = s->m;
	const bool was = m->known;

	m->known = false;
	m->holder = m->to = (struct uuid){ 0 };
	/* While we were dead others may have ended it: then silence is no old backup. */
	if (is_holding(m) && was && !m->condemned)
		m->reassert = true;
	if (m->state == MIGRATE_READY)
		return WITHDRAWN;
	return was ? VANISHED : NOTHING;
}

static enum occurrence record_ours(const struct migrate *m, const struct shared_vmac *r)
{
	if (!is_holding(m) && m->state != MIGRATE_LIVE && r->epoch < m->epoch)
		return OURS_OLD;
	/* A reservation for nobody, or for the holder, is none. */
	if (r->state == SHARED_MOVING && (uuid_is_none(&r->to) || uuid_equal(&r->to, &m->self)))
		return is_reserving(m) ? WITHDRAWN : OURS;
	switch ((enum shared_vmac_state)r->state) {
	case SHARED_MOVING:
		if (m->state == MIGRATE_FROZEN && !m->told)
			return NOTHING;
		return uuid_is_none(&r->move) && !is_reserving(m) ? OURS_LEAVING : OURS_OFFERED;
	case SHARED_FROZEN:
		/* Ours before the grant, or before the thaw. */
		return is_reserving(m) || m->withdraw ? NOTHING : OURS_FROZEN;
	case SHARED_HELD:
		if (is_reserving(m))
			return m->told || m->withdraw ? WITHDRAWN : NOTHING;
		return m->state == MIGRATE_FROZEN && !m->told ? NOTHING : OURS;
	case SHARED_RELEASED:
	case SHARED_VMAC_STATE_COUNT:
		break;
	}
	return NOTHING;
}

/* Of one that we hold. */
static enum occurrence record_against(const struct migrate *m, const struct shared_vmac *r)
{
	const bool reserved = is_reserving(m) && uuid_equal(&r->holder, &m->peer);
	/* Of one that was announced away, and granted because the record still said ours, we know
	 * an epoch that was never ours. */
	const uint64_t held = m->journal_ours ? m->epoch : m->record_epoch;

	/* Our own epoch grows with changes of the port, of which the record does not know. */
	if (m->condemned || (reserved && r->epoch > m->record_epoch) || r->epoch > held)
		return OVERTAKEN;
	if (r->epoch < held)
		return BEHIND;
	return memcmp(&m->self, &r->holder, sizeof(m->self)) < 0 ? TIE_WON : TIE_LOST;
}

static enum occurrence record_theirs(const struct migrate *m, const struct shared_vmac *r)
{
	const bool to_us = r->state == SHARED_MOVING && uuid_equal(&r->to, &m->self) &&
			   r->epoch >= m->record_epoch &&
			   !(m->declined && uuid_equal(&r->move, &m->move));

	if (is_holding(m))
		return record_against(m, r);
	if (to_us)
		return RESERVED;
	if (m->state == MIGRATE_LIVE) {
		if (r->epoch < m->record_epoch)
			return BEHIND;
		return m->port ? WITHDRAWN : WITHDRAWN_EMPTY;
	}
	return m->state == MIGRATE_READY ? WITHDRAWN : THEIRS;
}

/* Nobody has it: unless an old backup says so of what changed hands since, or was given out anew.
 */
static enum occurrence record_released(const struct step *s, const struct shared_vmac *r)
{
	const struct migrate *m = s->m;
	const bool old = (r->epoch < m->record_epoch || r->epoch < s->e->epoch) && !m->condemned;

	return old && (is_holding(m) || m->state == MIGRATE_LIVE) ? BEHIND : RELEASED;
}

static enum occurrence record_told(struct step *s)
{
	const struct shared_vmac *r = s->e->record;
	struct migrate *m = s->m;
	enum occurrence o;

	m->writing = false;
	if (!r)
		return record_none(s);
	/* A thaw is for all hosts: the next move is the first again. */
	if (m->known && m->record_state == SHARED_FROZEN && r->state != SHARED_FROZEN)
		moving_forgive(m);
	if (r->state == SHARED_RELEASED)
		o = record_released(s, r);
	else if (uuid_equal(&r->holder, &m->self))
		o = record_ours(m, r);
	else
		o = record_theirs(m, r);
	/* It was to be taken from a host that is dead, and from no other. */
	if (is_asking(m, ASK_FORCE) && m->known && !uuid_equal(&m->holder, &r->holder))
		m->asking = 1 + ASK_CLAIM;
	m->reassert = o == BEHIND || o == TIE_WON;
	if (m->state == MIGRATE_HELD && o == OURS)
		m->withdraw = false;
	m->known = true;
	m->condemned = false;
	m->record_state = r->state;
	m->holder = r->holder;
	m->to = r->to;
	m->record_move = r->move;
	if (r->epoch > m->record_epoch)
		m->record_epoch = r->epoch;
	if (r->epoch > m->epoch)
		m->epoch = r->epoch;
	s->other = r->holder;
	return o;
}

/* --- the ask --------------------------------------------------------------------------------- */

static enum occurrence ask_ours(struct migrate *m, const struct shared_ask *a)
{
	if (m->asking == 0 || !a->refused || a->refused[0] == '\0' || a->why + 1 != m->asking ||
	    m->answered == REFUSED)
		return NOTHING;
	m->answered = REFUSED;
	if (a->why == ASK_PREPARE)
		return m->port ? ASK_NO_MOVE : ASK_NO_EMPTY;
	return m->spoke ? ASK_NO_BOTH : ASK_NO;
}

static enum occurrence ask_told(struct step *s)
{
	const struct shared_ask *a = s->e->ask;
	struct migrate *m = s->m;
	bool same;

	m->ask_writing = false;
	if (!a) {
		m->asked = (struct uuid){ 0 };
		m->answered = UNANSWERED;
		m->refusing = 0;
		m->asker_dead = false;
		return NOTHING;
	}
	same = uuid_equal(&m->asked, &a->host) && m->asked_why == a->why &&
	       uuid_equal(&m->asked_move, &a->move);
	m->asked = a->host;
	m->asked_why = a->why;
	m->asked_move = a->move;
	m->asked_lifetime_ms = a->lifetime_ms;
	if (!same) {
		m->answered = UNANSWERED;
		m->refusing = 0;
		m->asker_dead = false;
	}
	if (uuid_equal(&a->host, &m->self))
		return ask_ours(m, a);
	if (a->refused && a->refused[0] != '\0') {
		m->refusing = 0;
		if (m->answered == UNANSWERED)
			m->answered = REFUSED;
	}
	return NOTHING;
}

/* --- hosts and the wire ---------------------------------------------------------------------- */

static enum occurrence host_dead(struct step *s)
{
	struct migrate *m = s->m;

	if (uuid_equal(&s->e->host, &m->self)) {
		if (is_holding(m) && m->known && !is_holder_by_record(m)) {
			s->other = m->holder;
			return OVERTAKEN;
		}
		m->condemned = true;
		if (!m->known)
			m->reassert = false;
		return NOTHING;
	}
	if (uuid_equal(&s->e->host, &m->asked))
		m->asker_dead = true;
	if (is_reserving(m) && uuid_equal(&s->e->host, &m->peer)) {
		s->other = m->peer;
		return PEER_DEAD;
	}
	return NOTHING;
}

static enum occurrence tag(struct step *s)
{
	struct migrate *m = s->m;
	const bool reserved = is_reserving(m) && uuid_equal(&s->e->host, &m->peer);
	enum occurrence o = TAG_HINTS;

	if (uuid_equal(&s->e->host, &m->self) || m->state == MIGRATE_LIVE ||
	    m->state == MIGRATE_READY)
		return NOTHING;
	s->other = s->e->host;
	if (reserved && s->e->epoch > m->record_epoch) {
		/* The registry is deciding whether the reservation still was. */
		if (m->withdraw && m->writing)
			return TAG_HINTS;
		o = TAG_PROVES;
	} else if (s->e->epoch <= m->epoch) {
		return NOTHING;
	} else if (!m->reachable) {
		o = TAG_PROVES;
	}
	if (is_holding(m) && o == TAG_HINTS)
		return TAG_HINTS;
	if (s->e->epoch > m->epoch)
		m->epoch = s->e->epoch;
	return is_holding(m) ? TAG_PROVES : TAG_NEWER;
}

static enum occurrence stranger(const struct migrate *m, mono_t now)
{
	return m->announced < MIGRATE_ANNOUNCES ? STRANGER_MOVING : STRANGER;
}

/* --- all of them ----------------------------------------------------------------------------- */

enum occurrence occur(struct step *s)
{
	struct migrate *m = s->m;

	switch (s->e->kind) {
	case MIGRATE_PORT_UP:
		return port(s, true);
	case MIGRATE_PORT_DOWN:
		return port(s, false);
	case MIGRATE_PREPARE:
		return WANTED;
	case MIGRATE_ABORT:
		return ABORTED;
	case MIGRATE_ACTIVATE:
		return ACTIVATED;
	case MIGRATE_STOP:
		m->stopped = is_holding(m);
		guest_gone(m);
		return STOPPED;
	case MIGRATE_RESUME:
		m->stopped = false;
		return m->state == MIGRATE_HANDED && !m->port ? NOTHING : RESUMED;
	case MIGRATE_THAW_NOW:
		return THAW;
	case MIGRATE_FORCE:
		return FORCED;
	case MIGRATE_FLIPPED:
		return spoke(s, true);
	case MIGRATE_SPOKE:
		return spoke(s, false);
	case MIGRATE_RECORD:
		return record_told(s);
	case MIGRATE_ASK:
		return ask_told(s);
	case MIGRATE_LOST:
		m->writing = m->ask_writing = false;
		return NOTHING;
	case MIGRATE_UNREACHABLE:
		m->writing = m->ask_writing = m->reachable = false;
		m->retry = mono_after(s->now, MIGRATE_RETRY);
		return NOTHING;
	case MIGRATE_REACHABLE:
		m->reachable = true;
		m->retry = MONO_NEVER;
		return NOTHING;
	case MIGRATE_HOST_DEAD:
		return host_dead(s);
	case MIGRATE_TAG:
		return tag(s);
	case MIGRATE_STRANGER:
		return stranger(m, s->now);
	case MIGRATE_LOOPED:
		return CAME_BACK;
	case MIGRATE_TIME:
	case MIGRATE_EVENT_COUNT:
		break;
	}
	return NOTHING;
}
