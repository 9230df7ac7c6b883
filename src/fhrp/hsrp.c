/* HSRP: RFC 2281 section 5, whose table of section 5.7 stands here letter by letter; version 2 has
 * the same machine.
 *
 * Ours are: the boot hold (rows i and l stay in Listen until it is over, and timers do not expire
 * before); the preemption delay, which is part of "configured to preempt"; Leaving, the lease and
 * with it "late", as in vrrp.c; from Learn to Listen only when a hello brought the address.
 *
 * RFC 2281 has no row for the active timer's expiry in Speak.  Taken literally a group would stay
 * without an active router when both fall silent, one after the other; so an expiry in Speak is met
 * as soon as Standby is reached. */
#include "fhrp/machine.h"

/* The hello timer is shortened by up to a fifth: RFC 2281 5.4 has it jittered, Cisco's jitters
 * downwards. */
#define JITTER_PARTS 5

/* clang-format off */
#define HSRP_TABLE(X) \
	X(INITIALIZE, A_KNOWN, LISTEN, STARTED, "RFC 2281 5.7 a1", A, B) \
	X(INITIALIZE, A_UNKNOWN, LEARN, STARTED, "RFC 2281 5.7 a1", A, B) \
	X(LEARN, B, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b2", C, D) \
	X(LISTEN, B, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b3", C, D) \
	X(SPEAK, B, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b4", C, D) \
	X(STANDBY, B, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b5", C, D) \
	X(ACTIVE, STOPPED, LEAVING, BY_EVENT, "RFC 2281 5.7 b6, and ours", C, D, resign, linger) \
	X(ACTIVE, STOPPED_AT_ONCE, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b6", C, D, resign, release) \
	X(ACTIVE, FAILED, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b6", C, D, resign, release) \
	X(ACTIVE, CUT, INITIALIZE, BY_EVENT, "RFC 2281 5.7 b6", C, D, release) \
	X(LISTEN, C, SPEAK, SILENCE, "RFC 2281 5.7 c3", A, B) \
	X(STANDBY, C, ACTIVE, SILENCE, "RFC 2281 5.7 c5", C, D, F, embody, I) \
	X(LISTEN, D, SPEAK, NO_STANDBY, "RFC 2281 5.7 d3", B) \
	X(SPEAK, D, STANDBY, NO_STANDBY, "RFC 2281 5.7 d4", D) \
	X(SPEAK, E, SPEAK, UNTOLD, "RFC 2281 5.7 e4", F) \
	X(STANDBY, E, STANDBY, UNTOLD, "RFC 2281 5.7 e5", F) \
	X(ACTIVE, E, ACTIVE, UNTOLD, "RFC 2281 5.7 e6", F) \
	X(SPEAK, F, LISTEN, STANDBY_TAKEN, "RFC 2281 5.7 f4", B) \
	X(STANDBY, F, LISTEN, STANDBY_TAKEN, "RFC 2281 5.7 f5", B) \
	X(LEARN, G, LISTEN, ADDRESS_LEARNED, "RFC 2281 5.7 g2", E, A, B) \
	X(LEARN, G_UNTOLD, LEARN, UNTOLD, "RFC 2281 5.3", A, B) \
	X(LISTEN, G, LISTEN, UNTOLD, "RFC 2281 5.7 g3", E, A) \
	X(SPEAK, G, SPEAK, UNTOLD, "RFC 2281 5.7 g4", E, A) \
	X(STANDBY, G, STANDBY, UNTOLD, "RFC 2281 5.7 g5", E, A) \
	X(ACTIVE, G, SPEAK, OUTRANKED, "RFC 2281 5.7 g6", release, A, B) \
	X(ACTIVE, G_TIE, SPEAK, TIE_LOST, "RFC 2281 5.7 g6", release, A, B) \
	X(LEARN, H, LISTEN, ADDRESS_LEARNED, "RFC 2281 5.7 h2", E, A, B) \
	X(LEARN, H_UNTOLD, LEARN, UNTOLD, "RFC 2281 5.3", A, B) \
	X(LISTEN, H_KEPT, LISTEN, UNTOLD, "RFC 2281 5.7 h3", A) \
	X(SPEAK, H_KEPT, SPEAK, UNTOLD, "RFC 2281 5.7 h4", A) \
	X(STANDBY, H_KEPT, STANDBY, UNTOLD, "RFC 2281 5.7 h5", A) \
	X(LISTEN, H, ACTIVE, PREEMPTED, "RFC 2281 5.7 h3", B, lease, embody, G, F, I) \
	X(SPEAK, H, ACTIVE, PREEMPTED, "RFC 2281 5.7 h4", B, lease, embody, G, F, I) \
	X(STANDBY, H, ACTIVE, PREEMPTED, "RFC 2281 5.7 h5", B, lease, embody, G, F, I) \
	X(ACTIVE, H, ACTIVE, UNTOLD, "RFC 2281 5.7 h6", G, contend) \
	X(LISTEN, I, SPEAK, PEER_LEFT, "RFC 2281 5.7 i3", A, B) \
	X(LISTEN, I_HELD, LISTEN, UNTOLD, "ours", A, B) \
	X(SPEAK, I, SPEAK, UNTOLD, "RFC 2281 5.7 i4", A) \
	X(STANDBY, I, ACTIVE, PEER_LEFT, "RFC 2281 5.7 i5", C, lease, embody, F, I) \
	X(ACTIVE, J, SPEAK, COUP, "RFC 2281 5.7 j6", release, A, B, H) \
	X(LISTEN, K, LISTEN, UNTOLD, "RFC 2281 5.7 k3", B) \
	X(SPEAK, K, LISTEN, STANDBY_TAKEN, "RFC 2281 5.7 k4", B) \
	X(STANDBY, K, LISTEN, STANDBY_TAKEN, "RFC 2281 5.7 k5", B) \
	X(ACTIVE, K, ACTIVE, UNTOLD, "RFC 2281 5.7 k6", B) \
	X(LISTEN, L, SPEAK, NO_STANDBY, "RFC 2281 5.7 l3", B) \
	X(LISTEN, L_HELD, LISTEN, UNTOLD, "ours", B) \
	X(SPEAK, L, STANDBY, NO_STANDBY, "RFC 2281 5.7 l4", D) \
	X(ACTIVE, L, ACTIVE, UNTOLD, "RFC 2281 5.7 l6", B) \
	X(LEARN, ADDRESS_CONFIGURED, LISTEN, RECONFIGURED, "RFC 2281 5.7 +", A, B) \
	X(ACTIVE, LATE, LISTEN, LATE, "ours", release, A, B) \
	X(ACTIVE, ADJUSTED, ACTIVE, UNTOLD, "ours", F) \
	X(ACTIVE, QUIET, ACTIVE, CONTENTION_WON, "ours", again) \
	X(ACTIVE, ANNOUNCE_DUE, ACTIVE, UNTOLD, "ours", I) \
	X(LEAVING, HEARD_SUCCESSOR, INITIALIZE, SUCCESSOR, "ours", C, D, release) \
	X(LEAVING, LINGER_OVER, INITIALIZE, LINGERED, "ours", C, D, release) \
	X(LEAVING, LATE, INITIALIZE, LINGERED, "ours", C, D, release) \
	X(LEAVING, FAILED, INITIALIZE, BY_EVENT, "ours", C, D, release) \
	X(LEAVING, CUT, INITIALIZE, BY_EVENT, "ours", C, D, release) \
	X(LEAVING, A_KNOWN, LISTEN, STARTED, "ours", release, A, B) \
	X(LEAVING, A_UNKNOWN, LEARN, STARTED, "ours", release, A, B)
/* clang-format on */

static const struct rule rules[] = { HSRP_TABLE(RULE) };
static const struct fhrp_row rows[] = { HSRP_TABLE(ROW) };

static span_t hold(const struct fhrp *m)
{
	return m->hold;
}

static span_t interval(const struct fhrp *m)
{
	return m->interval;
}

/* Scattered by the router's own address and the time, so that it needs no source of chance. */
static span_t period(const struct fhrp *m, mono_t now)
{
	const span_t least = SPAN_NS(m->interval.ns - m->interval.ns / JITTER_PARTS);
	uint64_t mixed = (uint64_t)now.ns;

	for (unsigned int i = 0; i < sizeof(m->own[0].address); i++)
		mixed = (mixed ^ m->own[0].address[i]) * 0x100000001b3;
	mixed ^= mixed >> 32;
	return span_most(
		span_sum(least, SPAN_NS(mixed % (uint64_t)(m->interval.ns / JITTER_PARTS + 1))),
		MACHINE_SPAN_LEAST);
}

static bool knows_address(const struct fhrp *m)
{
	return m->config.know_address || m->address_learned;
}

static bool tells_address(const struct fhrp_heard *h)
{
	static const uint8_t untold[sizeof(h->virtual_address)];

	return h->set == 0 && memcmp(h->virtual_address, untold, sizeof(untold)) != 0;
}

static enum occurrence heard_active(struct fhrp *m, const struct fhrp_heard *h, mono_t now,
				    bool better)
{
	const bool told = m->state != FHRP_LEARN || knows_address(m) || tells_address(h);

	if (better && m->state == FHRP_ACTIVE && h->priority == m->priority)
		return G_TIE;
	if (better)
		return told ? G : G_UNTOLD;
	if (m->state == FHRP_LEARN)
		return told ? H : H_UNTOLD;
	if (m->state == FHRP_ACTIVE)
		return H;
	return !m->held && machine_may_preempt(m, now) ? H : H_KEPT;
}

/* Whether a Resign comes from the active router, whatever state it says it is in: Cisco's resign
 * as Active or, after a Coup, as Speak. */
static bool resigns_as_active(const struct fhrp *m, const struct fhrp_heard *h)
{
	return !m->active.known || m->active.set != h->set ||
	       machine_same(&m->active.address, &h->from);
}

static enum occurrence heard_hello(struct fhrp *m, const struct fhrp_heard *h, mono_t now,
				   bool better)
{
	switch ((enum hsrp_state)h->state) {
	case HSRP_STATE_SPEAK:
		return better ? F : NOTHING;
	case HSRP_STATE_STANDBY:
		if (better)
			return K;
		return m->held && m->state == FHRP_LISTEN ? L_HELD : L;
	case HSRP_STATE_ACTIVE:
		return heard_active(m, h, now, better);
	case HSRP_STATE_INITIAL:
	case HSRP_STATE_LEARN:
	case HSRP_STATE_LISTEN:
	case HSRP_STATE_COUNT:
		break;
	}
	return NOTHING;
}

static enum occurrence heard(struct fhrp *m, const struct fhrp_heard *h, mono_t now)
{
	bool better;

	if (m->state == FHRP_LEAVING)
		return h->message == FHRP_HELLO && h->state == HSRP_STATE_ACTIVE ? HEARD_SUCCESSOR
										 : NOTHING;
	better = h->priority > m->priority ||
		 (h->priority == m->priority && machine_higher_address(m, h, now));
	switch ((enum fhrp_message)h->message) {
	case FHRP_HELLO:
		return heard_hello(m, h, now, better);
	case FHRP_COUP:
		/* Whatever state it says: Cisco's have sent Listen and Active. */
		return better ? J : NOTHING;
	case FHRP_RESIGN:
		if (!resigns_as_active(m, h))
			return NOTHING;
		return m->held && m->state == FHRP_LISTEN ? I_HELD : I;
	case FHRP_MESSAGE_COUNT:
		break;
	}
	return NOTHING;
}

static enum occurrence down(const struct fhrp *m, mono_t now)
{
	return C;
}

static enum occurrence name(const struct fhrp *m, enum occurrence o)
{
	if (o == STARTED || o == STARTED_OWNER)
		return knows_address(m) ? A_KNOWN : A_UNKNOWN;
	if (o == ADVERTISE_DUE)
		return E;
	if (m->state != FHRP_ACTIVE && m->state != FHRP_LEAVING &&
	    (o == STOPPED || o == FAILED || o == CUT))
		return B;
	return o;
}

const struct protocol hsrp_protocol = {
	.rules = rules,
	.rows = rows,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.heard = heard,
	.down = down,
	.name = name,
	.hold = hold,
	.skew = interval,
	.term = hold,
	.period = period,
	.linger = interval,
};
