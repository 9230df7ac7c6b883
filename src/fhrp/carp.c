/* CARP, as OpenBSD's and FreeBSD's kernels and ucarp elect: who advertises more often is master.
 *
 * An advertiser's rank is its period, base + skew/256 s: the shorter one wins.  Our priority is
 * 255 - skew, and 0 (skew 255) stands for a router that leaves.
 *
 * Ties: BSD yields to an equal master always, ucarp keeps the lower address but compares it in the
 * host's byte order, so that two of them may disagree.  Ours keeps the lower address too, but
 * yields when its equal is heard again although it was answered.
 *
 * Beyond the BSDs: the answer to a worse master (they stay silent); a backup that hears somebody
 * leave waits its skew, so that backups do not take over all at once; the delays, Leaving and the
 * lease as in vrrp.c. */
#include "fhrp/machine.h"

#define SKEW_UNITS    256
#define PRIORITY_BEST 255

/* clang-format off */
#define CARP_TABLE(X) \
	X(INITIALIZE, STARTED, BACKUP, STARTED, "carp(4)", down_timer) \
	X(BACKUP, STOPPED, INITIALIZE, BY_EVENT, "carp(4)", stop_timers) \
	X(BACKUP, FAILED, INITIALIZE, BY_EVENT, "carp(4)", stop_timers) \
	X(BACKUP, CUT, INITIALIZE, BY_EVENT, "carp(4)", stop_timers) \
	X(BACKUP, ACTIVE_SILENT, ACTIVE, SILENCE, "carp(4)", send, embody, announce) \
	X(BACKUP, ACTIVE_LEFT, ACTIVE, PEER_LEFT, "ours", lease, embody, send, announce) \
	X(BACKUP, HEARD_ZERO, BACKUP, UNTOLD, "ours", remember, skew_timer) \
	X(BACKUP, HEARD_BETTER, BACKUP, UNTOLD, "carp(4)", remember, down_timer) \
	X(BACKUP, HEARD_KEPT, BACKUP, UNTOLD, "carp(4)", remember, down_timer) \
	X(BACKUP, HEARD_LESSER, ACTIVE, PREEMPTED, "carp(4), net.inet.carp.preempt", lease, embody, send, announce) \
	X(BACKUP, HEARD_SLOW, ACTIVE, PREEMPTED, "carp(4)", lease, embody, send, announce) \
	X(ACTIVE, STOPPED, LEAVING, BY_EVENT, "carp(4), and ours", resign, linger) \
	X(ACTIVE, STOPPED_AT_ONCE, INITIALIZE, BY_EVENT, "carp(4)", stop_timers, resign, release) \
	X(ACTIVE, FAILED, INITIALIZE, BY_EVENT, "carp(4)", stop_timers, resign, release) \
	X(ACTIVE, CUT, INITIALIZE, BY_EVENT, "carp(4)", stop_timers, release) \
	X(ACTIVE, LATE, BACKUP, LATE, "ours", release, down_timer) \
	X(ACTIVE, ADVERTISE_DUE, ACTIVE, UNTOLD, "carp(4)", send) \
	X(ACTIVE, ADJUSTED, ACTIVE, UNTOLD, "ours", send) \
	X(ACTIVE, HEARD_ZERO, ACTIVE, UNTOLD, "ours", send) \
	X(ACTIVE, HEARD_BETTER, BACKUP, OUTRANKED, "carp(4)", release, remember, down_timer) \
	X(ACTIVE, HEARD_TIE, BACKUP, TIE_LOST, "carp(4)", release, remember, down_timer) \
	X(ACTIVE, HEARD_LESSER, ACTIVE, UNTOLD, "ours", send, contend) \
	X(ACTIVE, QUIET, ACTIVE, CONTENTION_WON, "ours", again) \
	X(ACTIVE, ANNOUNCE_DUE, ACTIVE, UNTOLD, "ours", announce) \
	X(LEAVING, HEARD_SUCCESSOR, INITIALIZE, SUCCESSOR, "ours", stop_timers, release) \
	X(LEAVING, LINGER_OVER, INITIALIZE, LINGERED, "ours", stop_timers, release) \
	X(LEAVING, LATE, INITIALIZE, LINGERED, "ours", stop_timers, release) \
	X(LEAVING, FAILED, INITIALIZE, BY_EVENT, "ours", stop_timers, release) \
	X(LEAVING, CUT, INITIALIZE, BY_EVENT, "ours", stop_timers, release) \
	X(LEAVING, STARTED, BACKUP, STARTED, "ours", release, down_timer)
/* clang-format on */

static const struct rule rules[] = { CARP_TABLE(RULE) };
static const struct fhrp_row rows[] = { CARP_TABLE(ROW) };

static span_t skew(const struct fhrp *m)
{
	return SPAN_NS((PRIORITY_BEST - m->priority) * SPAN_S(1).ns / SKEW_UNITS);
}

static span_t base(const struct fhrp *m)
{
	return SPAN_NS(m->config.interval.ns / SPAN_S(1).ns * SPAN_S(1).ns);
}

/* Base and skew both zero would be no period at all: OpenBSD's floor. */
static span_t own_period(const struct fhrp *m)
{
	return span_most(span_sum(base(m), skew(m)), SPAN_NS(SPAN_S(1).ns / SKEW_UNITS));
}

static span_t period(const struct fhrp *m, mono_t now)
{
	return own_period(m);
}

/* Three bases; a router without a base counts its skew instead, as OpenBSD's does. */
static span_t term(const struct fhrp *m)
{
	return span_times(base(m).ns > 0 ? base(m) : own_period(m), 3);
}

static span_t hold(const struct fhrp *m)
{
	return base(m).ns > 0 ? span_sum(term(m), skew(m)) : term(m);
}

static span_t linger(const struct fhrp *m)
{
	return base(m).ns > 0 ? base(m) : own_period(m);
}

static enum occurrence heard_backup(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	if (!m->held && h->interval.ns > own_period(m).ns && h->interval.ns > hold(m).ns)
		return HEARD_SLOW;
	if (h->interval.ns <= own_period(m).ns)
		return HEARD_BETTER;
	return !m->held && machine_may_preempt(m, now) ? HEARD_LESSER : HEARD_KEPT;
}

/* An equal that speaks on in its own time, although we have answered it.  Another equal is another
 * matter, and so is what the same one sent before it heard us: or of several that begin at once
 * all would yield, and again after every silence. */
static bool insists(const struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	return m->contended && machine_same(&m->active.address, &h->from) &&
	       mono_since(now, m->active.heard).ns > own_period(m).ns / 2;
}

static enum occurrence heard_active(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	if (h->interval.ns < own_period(m).ns)
		return HEARD_BETTER;
	if (h->interval.ns > own_period(m).ns)
		return HEARD_LESSER;
	return insists(m, h, now) || !machine_higher_address(m, h, now) ? HEARD_TIE : HEARD_LESSER;
}

static enum occurrence heard(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	const bool leaves = h->priority == VRRP_PRIORITY_STOP;

	if (m->state == FHRP_LEAVING)
		return leaves ? NOTHING : HEARD_SUCCESSOR;
	if (leaves)
		return HEARD_ZERO;
	return m->state == FHRP_ACTIVE ? heard_active(m, h, now) : heard_backup(m, h, now);
}

static enum occurrence down(const struct fhrp *m, mono_t now)
{
	const bool left = m->active.known && m->active.priority == VRRP_PRIORITY_STOP;

	return left ? ACTIVE_LEFT : ACTIVE_SILENT;
}

const struct protocol carp_protocol = {
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
};
