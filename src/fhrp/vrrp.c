/* VRRP: RFC 9568 section 6 (version 3) and RFC 3768 section 6 (version 2).
 *
 * Beyond the standard: the boot hold and the preemption delay (both are a longer wait in Backup);
 * Leaving, in which a router that resigned forwards on until its successor is heard; the lease, and
 * with it "late"; two owners, of which the one with the lower address yields (RFC 9568, reported
 * erratum 8298); the announcement after a contention. */
#include "fhrp/machine.h"

/* How long silence after our last word is borne beyond the slowest backup's skew. */
#define LINGER_MARGIN SPAN_MS(10)

/* clang-format off */
#define VRRP_TABLE(X) \
	X(INITIALIZE, STARTED, BACKUP, STARTED, "RFC 9568 6.4.1", down_timer) \
	X(INITIALIZE, STARTED_OWNER, ACTIVE, OWNER, "RFC 9568 6.4.1", lease, embody, send, announce) \
	X(BACKUP, STOPPED, INITIALIZE, BY_EVENT, "RFC 9568 6.4.2", stop_timers) \
	X(BACKUP, FAILED, INITIALIZE, BY_EVENT, "RFC 9568 6.4.2", stop_timers) \
	X(BACKUP, CUT, INITIALIZE, BY_EVENT, "RFC 9568 6.4.2", stop_timers) \
	X(BACKUP, ACTIVE_SILENT, ACTIVE, SILENCE, "RFC 9568 6.4.2", send, embody, announce) \
	X(BACKUP, ACTIVE_LEFT, ACTIVE, PEER_LEFT, "RFC 9568 6.4.2", lease, embody, send, announce) \
	X(BACKUP, ACTIVE_LESSER, ACTIVE, PREEMPTED, "RFC 9568 6.4.2", lease, embody, send, announce) \
	X(BACKUP, HEARD_ZERO, BACKUP, UNTOLD, "RFC 9568 6.4.2", remember, skew_timer) \
	X(BACKUP, HEARD_BETTER, BACKUP, UNTOLD, "RFC 9568 6.4.2", learn, down_timer) \
	X(BACKUP, HEARD_KEPT, BACKUP, UNTOLD, "RFC 9568 6.4.2", learn, down_timer) \
	X(BACKUP, HEARD_LESSER, BACKUP, UNTOLD, "RFC 9568 6.4.2", remember) \
	X(BACKUP, HEARD_OWNER, BACKUP, UNTOLD, "erratum 8298", learn, down_timer, yield) \
	X(BACKUP, OWNER_FREE, ACTIVE, OWNER_RETURNS, "erratum 8298", reclaim, lease, embody, send, announce) \
	X(ACTIVE, STOPPED, LEAVING, BY_EVENT, "RFC 9568 6.4.3, and ours", resign, linger) \
	X(ACTIVE, STOPPED_AT_ONCE, INITIALIZE, BY_EVENT, "RFC 9568 6.4.3", stop_timers, resign, release) \
	X(ACTIVE, FAILED, INITIALIZE, BY_EVENT, "RFC 9568 6.4.3", stop_timers, resign, release) \
	X(ACTIVE, CUT, INITIALIZE, BY_EVENT, "RFC 9568 6.4.3", stop_timers, release) \
	X(ACTIVE, LATE, BACKUP, LATE, "ours", release, down_timer) \
	X(ACTIVE, ADVERTISE_DUE, ACTIVE, UNTOLD, "RFC 9568 6.4.3", send) \
	X(ACTIVE, ADJUSTED, ACTIVE, UNTOLD, "ours", send) \
	X(ACTIVE, HEARD_ZERO, ACTIVE, UNTOLD, "RFC 9568 6.4.3", send) \
	X(ACTIVE, HEARD_BETTER, BACKUP, OUTRANKED, "RFC 9568 6.4.3", release, learn, down_timer) \
	X(ACTIVE, HEARD_TIE, BACKUP, TIE_LOST, "RFC 9568 6.4.3", release, learn, down_timer) \
	X(ACTIVE, HEARD_LESSER, ACTIVE, UNTOLD, "RFC 9568 6.4.3", send, contend) \
	X(ACTIVE, HEARD_OWNER, BACKUP, OWNER_CONFLICT, "erratum 8298", release, learn, down_timer, yield) \
	X(ACTIVE, OWNER_FREE, ACTIVE, OWNER_RETURNS, "erratum 8298", reclaim, send) \
	X(ACTIVE, QUIET, ACTIVE, CONTENTION_WON, "ours", again) \
	X(ACTIVE, ANNOUNCE_DUE, ACTIVE, UNTOLD, "ours", announce) \
	X(LEAVING, HEARD_SUCCESSOR, INITIALIZE, SUCCESSOR, "ours", stop_timers, release) \
	X(LEAVING, LINGER_OVER, INITIALIZE, LINGERED, "ours", stop_timers, release) \
	X(LEAVING, LATE, INITIALIZE, LINGERED, "ours", stop_timers, release) \
	X(LEAVING, FAILED, INITIALIZE, BY_EVENT, "ours", stop_timers, release) \
	X(LEAVING, CUT, INITIALIZE, BY_EVENT, "ours", stop_timers, release) \
	X(LEAVING, STARTED, BACKUP, STARTED, "ours", release, down_timer) \
	X(LEAVING, STARTED_OWNER, BACKUP, STARTED, "ours", release, down_timer)
/* clang-format on */

static const struct rule rules[] = { VRRP_TABLE(RULE) };
static const struct fhrp_row rows[] = { VRRP_TABLE(ROW) };

/* VRRPv3: of the active router's interval; VRRPv2: of a second. */
static span_t skew(const struct fhrp *m)
{
	const span_t whole = m->config.protocol == ROUTER_VRRP2 ? SPAN_S(1) : m->interval;

	return SPAN_NS((256 - m->priority) * whole.ns / 256);
}

static span_t hold(const struct fhrp *m)
{
	return span_sum(span_times(m->interval, 3), skew(m));
}

/* The keenest backup, of priority 254, waits a skew longer than this. */
static span_t term(const struct fhrp *m)
{
	return span_times(m->config.interval, 3);
}

static span_t period(const struct fhrp *m, mono_t now)
{
	return m->config.interval;
}

/* The least backup, of priority 1, has taken over by then. */
static span_t linger(const struct fhrp *m)
{
	const span_t whole = m->config.protocol == ROUTER_VRRP2 ? SPAN_S(1) : m->config.interval;

	return span_sum(SPAN_NS(255 * whole.ns / 256), LINGER_MARGIN);
}

/* RFC 9568 section 8.4.2: of a router that speaks both versions, version 3 counts. */
static bool is_old_twin(const struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	return m->config.protocol == ROUTER_VRRP3 && h->version == 2 && m->active.known &&
	       m->active.version == 3 && m->active.set == h->set &&
	       machine_same(&m->active.address, &h->from) &&
	       mono_since(now, m->active.heard).ns <= span_times(m->active.interval, 3).ns;
}

static enum occurrence heard_backup(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	if (h->priority == VRRP_PRIORITY_OWNER && machine_owns(&m->config))
		return HEARD_OWNER;
	if (h->priority == m->priority)
		machine_higher_address(m, h, now);
	if (h->priority >= m->priority)
		return HEARD_BETTER;
	/* The owner preempts always. */
	if (m->priority == VRRP_PRIORITY_OWNER || machine_may_preempt(m, now))
		return HEARD_LESSER;
	return HEARD_KEPT;
}

static enum occurrence heard_active(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	if (h->priority == VRRP_PRIORITY_OWNER && machine_owns(&m->config))
		return m->yielded || machine_higher_address(m, h, now) ? HEARD_OWNER : HEARD_LESSER;
	if (h->priority > m->priority)
		return HEARD_BETTER;
	if (h->priority == m->priority && machine_higher_address(m, h, now))
		return HEARD_TIE;
	return HEARD_LESSER;
}

static enum occurrence heard(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	if (is_old_twin(m, h, now))
		return NOTHING;
	if (m->state == FHRP_LEAVING)
		return h->priority == VRRP_PRIORITY_STOP ? NOTHING : HEARD_SUCCESSOR;
	if (h->priority == VRRP_PRIORITY_STOP)
		return HEARD_ZERO;
	return m->state == FHRP_ACTIVE ? heard_active(m, h, now) : heard_backup(m, h, now);
}

static enum occurrence down(const struct fhrp *m, mono_t now)
{
	if (m->active.known && m->active.priority == VRRP_PRIORITY_STOP)
		return ACTIVE_LEFT;
	return machine_active_lives(m, now) ? ACTIVE_LESSER : ACTIVE_SILENT;
}

const struct protocol vrrp_protocol = {
	.rules = rules,
	.rows = rows,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.heard = heard,
	.down = down,
	.hold = hold,
	.skew = skew,
	.term = term,
	.period = period,
	.linger = linger,
	.learns = true,
};
