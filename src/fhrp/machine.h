/* What the three protocols share: the vocabulary of their tables, and the step that runs them.
 *
 * Theory of operation
 *
 * What happens (struct fhrp_event, a timer that is due) is first *classified*: it gets a name from
 * MACHINE_OCCURRENCES that already holds every condition the standard attaches ("an advertisement
 * of lower priority, and we preempt").  (state, occurrence) is then looked up in the protocol's
 * table: the row names the actions, in order, and the next state.  No row: nothing is done.
 *
 * So there is one place where conditions are weighed (the protocol's heard() and its brothers),
 * one where decisions stand (its table), and one where they are carried out (act.c).  A table is a
 * list macro, expanded twice: into the rules that run and into the rows that people read. */
#pragma once

#include <assert.h>
#include <string.h>

#include "fhrp/fhrp.h"
#include "wire/vrrp.h"

/* --- what happens ---------------------------------------------------------------------------- */

/* X(constant, name, when) */
#define MACHINE_OCCURRENCES(X)                                                                     \
	X(STARTED, "started", "its links are there, and it does not own the addresses")            \
	X(STARTED_OWNER, "started", "its links are there, and it owns the addresses")              \
	X(STOPPED, "stopped", "it is told to leave")                                               \
	X(STOPPED_AT_ONCE, "stopped", "it is told to leave, and not to linger")                    \
	X(FAILED, "failed", "a fault or the operator takes it out; its links are still there")     \
	X(CUT, "cut", "its links are gone")                                                        \
	X(LATE, "late", "its lease has run out before it came to advertise")                       \
	X(ADJUSTED, "adjusted", "its priority has changed")                                        \
	X(ADVERTISE_DUE, "advertise due", "the advertisement timer has fired")                     \
	X(ANNOUNCE_DUE, "announce due", "the announcement is to be repeated")                      \
	X(LINGER_OVER, "linger over", "nobody took over in the time allowed")                      \
	X(QUIET, "quiet", "the other active router has been silent for one and a half intervals")  \
	X(OWNER_FREE, "owner free", "the other owner has been silent for three intervals")         \
	X(ACTIVE_SILENT, "active down", "the active router has been silent for too long")          \
	X(ACTIVE_LEFT, "active down", "the active router left, and the skew time is over")         \
	X(ACTIVE_LESSER, "active down", "the active router is there, but of lower priority")       \
	X(HEARD_ZERO, "heard leaving", "an advertisement that says: I leave")                      \
	X(HEARD_BETTER, "heard better",                                                            \
	  "an advertisement that is not worse than ours; while "                                   \
	  "active: of higher priority")                                                            \
	X(HEARD_TIE, "heard equal", "equal priority, and the sender's address wins")               \
	X(HEARD_LESSER, "heard lesser",                                                            \
	  "an advertisement that is worse than ours; while backup: "                               \
	  "and we may preempt")                                                                    \
	X(HEARD_KEPT, "heard lesser",                                                              \
	  "an advertisement that is worse than ours, but we do not "                               \
	  "preempt, or not yet")                                                                   \
	X(HEARD_SLOW, "heard slow", "an active router so slow that we would time it out anyway")   \
	X(HEARD_OWNER, "heard owner",                                                              \
	  "another router owns the addresses as we do; while active: "                             \
	  "and its address is higher")                                                             \
	X(HEARD_SUCCESSOR, "heard successor", "an advertisement of another active router")         \
	X(A_KNOWN, "a", "HSRP is configured on an enabled interface; the address is known")        \
	X(A_UNKNOWN, "a", "HSRP is configured on an enabled interface; the address is not known")  \
	X(B, "b", "HSRP or the interface is disabled")                                             \
	X(C, "c", "the active timer has expired")                                                  \
	X(D, "d", "the standby timer has expired")                                                 \
	X(E, "e", "the hello timer has expired")                                                   \
	X(F, "f", "a hello of higher priority from a router in Speak")                             \
	X(G, "g", "a hello of higher priority from the active router")                             \
	X(G_TIE, "g", "a hello of equal priority and higher address from the active router")       \
	X(G_UNTOLD, "g", "a hello of higher priority from the active router, without the address") \
	X(H, "h", "a hello of lower priority from the active router; we may preempt")              \
	X(H_KEPT, "h", "a hello of lower priority from the active router; we may not preempt")     \
	X(H_UNTOLD, "h", "a hello of lower priority from the active router, without the address")  \
	X(I, "i", "a Resign from the active router")                                               \
	X(I_HELD, "i", "a Resign from the active router; the boot hold is not over")               \
	X(J, "j", "a Coup from a router of higher priority")                                       \
	X(K, "k", "a hello of higher priority from the standby router")                            \
	X(L, "l", "a hello of lower priority from the standby router")                             \
	X(L_HELD, "l",                                                                             \
	  "a hello of lower priority from the standby router; the boot hold is not "               \
	  "over")                                                                                  \
	X(ADDRESS_CONFIGURED, "configured", "the virtual address was configured under way")

enum occurrence {
	NOTHING,
#define MACHINE_ENUM_(constant, name, when) constant,
	MACHINE_OCCURRENCES(MACHINE_ENUM_)
#undef MACHINE_ENUM_
		OCCURRENCE_COUNT
};

/* As constants, so that a table can be initialized with them. */
#define MACHINE_TEXT_(constant, name, when)                                                        \
	static const char NAME_##constant[] __attribute__((unused)) = name;                        \
	static const char WHEN_##constant[] __attribute__((unused)) = when;
MACHINE_OCCURRENCES(MACHINE_TEXT_)
#undef MACHINE_TEXT_

/* --- what is done ---------------------------------------------------------------------------- */

/* X(constant, meaning): the meanings stand under the printed tables.  HSRP's letters are RFC
 * 2281's. */
#define MACHINE_ACTIONS(X)                                                                         \
	X(stop_timers, "stop all timers")                                                          \
	X(remember, "remember what was heard of the active router")                                \
	X(learn, "remember the active router and take over its interval")                          \
	X(down_timer, "start the active-down timer: 3 intervals and the skew time")                \
	X(skew_timer, "let the active-down timer expire after the skew time")                      \
	X(lease, "let the data plane pass the vMAC until 3 intervals from now (HSRP: the hold "    \
		 "time)")                                                                          \
	X(embody, "add the virtual addresses")                                                     \
	X(send, "extend the lease, send an advertisement from the vMAC, restart its timer")        \
	X(announce, "announce the addresses (ARP, ND), and repeat that as configured")             \
	X(again, "announce the addresses once more")                                               \
	X(resign, "send the last advertisement: priority 0 (HSRP: Resign; CARP: skew 255)")        \
	X(linger, "keep the addresses and the lease until a successor is heard, for a time")       \
	X(release, "remove the addresses and end the lease")                                       \
	X(contend, "remember the other active router, to announce again when it is quiet")         \
	X(yield, "behave as priority 254 until no other owner was heard for 3 intervals")          \
	X(reclaim, "behave as the owner again")                                                    \
	X(A, "start the active timer: the hold time heard from the active router, else our own")   \
	X(B, "start the standby timer: the hold time heard from the standby router, else our own") \
	X(C, "stop the active timer")                                                              \
	X(D, "stop the standby timer")                                                             \
	X(E, "learn from the active router: the address and timers that are not configured")       \
	X(F, "send a hello; while active: extend the lease first")                                 \
	X(G, "send a Coup")                                                                        \
	X(H, "send a Resign")                                                                      \
	X(I, "announce the address (gratuitous ARP), and repeat that as configured")

enum action {
	do_nothing,
#define MACHINE_ENUM_(constant, meaning) do_##constant,
	MACHINE_ACTIONS(MACHINE_ENUM_)
#undef MACHINE_ENUM_
		ACTION_COUNT
};

/* --- tables ---------------------------------------------------------------------------------- */

#define RULE_ACTIONS_MAX 7

struct rule {
	uint8_t state, next; /* enum fhrp_state */
	uint8_t occurrence;  /* enum occurrence */
	uint8_t reason;	     /* enum fhrp_reason, or BY_EVENT, or UNTOLD */
	uint8_t actions[RULE_ACTIONS_MAX];
};

/* Beyond the reasons: the event brings it; a row that stays and need not be told. */
#define FHRP_REASON_BY_EVENT (FHRP_REASON_COUNT + 0)
#define FHRP_REASON_UNTOLD   (FHRP_REASON_COUNT + 1)

#define RULE_DO_1_(a)				      do_##a
#define RULE_DO_2_(a, ...)			      do_##a, RULE_DO_1_(__VA_ARGS__)
#define RULE_DO_3_(a, ...)			      do_##a, RULE_DO_2_(__VA_ARGS__)
#define RULE_DO_4_(a, ...)			      do_##a, RULE_DO_3_(__VA_ARGS__)
#define RULE_DO_5_(a, ...)			      do_##a, RULE_DO_4_(__VA_ARGS__)
#define RULE_DO_6_(a, ...)			      do_##a, RULE_DO_5_(__VA_ARGS__)
#define RULE_DO_7_(a, ...)			      do_##a, RULE_DO_6_(__VA_ARGS__)
#define RULE_DO_PICK_(a, b, c, d, e, f, g, name, ...) name
#define RULE_DO_(...)                                                                              \
	RULE_DO_PICK_(__VA_ARGS__, RULE_DO_7_, RULE_DO_6_, RULE_DO_5_, RULE_DO_4_, RULE_DO_3_,     \
		      RULE_DO_2_, RULE_DO_1_, )                                                    \
	(__VA_ARGS__)

/* One line of a list macro, X(state, occurrence, next, reason, source, actions…), as a rule and as
 * a row. */
#define RULE(s, o, n, why, source, ...)                                                            \
	{ FHRP_##s, FHRP_##n, o, FHRP_REASON_##why, { RULE_DO_(__VA_ARGS__) } },
#define ROW(s, o, n, why, origin, ...)                                                             \
	{ .state = FHRP_##s,                                                                       \
	  .next = FHRP_##n,                                                                        \
	  .event = NAME_##o,                                                                       \
	  .when = WHEN_##o,                                                                        \
	  .actions = #__VA_ARGS__,                                                                 \
	  .source = origin },

/* --- a protocol ------------------------------------------------------------------------------ */

struct protocol {
	const struct rule *rules;
	const struct fhrp_row *rows;
	size_t rule_count;

	/* Classifies an advertisement; may note who wins a tie, nothing else. */
	enum occurrence (*heard)(struct fhrp *m, const struct fhrp_heard *h, mono_t now);
	/* What an expiry of the active-down timer means. */
	enum occurrence (*down)(const struct fhrp *m, mono_t now);
	/* The protocol's own name of a common occurrence; NULL: the same. */
	enum occurrence (*name)(const struct fhrp *m, enum occurrence o);

	span_t (*hold)(const struct fhrp *m); /* how long silence is borne */
	span_t (*skew)(const struct fhrp *m); /* … after the active router has left */
	span_t (*term)(const struct fhrp *m); /* of a lease, from an advertisement on */
	span_t (*period)(const struct fhrp *m, mono_t now); /* to the next advertisement */
	span_t (*linger)(const struct fhrp *m);		    /* by the timers */
	bool learns; /* a backup takes over the active router's interval (`learn`) */
};

extern const struct protocol vrrp_protocol, hsrp_protocol, carp_protocol;

static inline const struct protocol *protocol_of(const struct fhrp *m)
{
	switch ((enum router_protocol)m->config.protocol) {
	case ROUTER_VRRP2:
	case ROUTER_VRRP3:
		return &vrrp_protocol;
	case ROUTER_HSRP1:
	case ROUTER_HSRP2:
		return &hsrp_protocol;
	case ROUTER_CARP:
		return &carp_protocol;
	case ROUTER_PROTOCOL_COUNT:
		break;
	}
	assert(!"a protocol");
	return NULL;
}

/* --- one step -------------------------------------------------------------------------------- */

struct step {
	struct fhrp *m;
	const struct protocol *p;
	const struct fhrp_heard *heard; /* NULL unless that is the event */
	enum fhrp_reason reason;	/* what BY_EVENT stands for */
	mono_t now;
	struct fhrp_effects *out;
};

/* Looks `o` up in the table and carries its row out. */
void machine_fire(struct step *s, enum occurrence o);

/* act.c */
void machine_act(struct step *s, enum action a, enum fhrp_state from);
void machine_lease(struct step *s, mono_t until);
struct fhrp_effect *machine_effect(struct step *s, enum fhrp_effect_kind kind);

/* --- what classifying needs ------------------------------------------------------------------ */

/* Values from the wire, kept within what arithmetic bears. */
#define MACHINE_SPAN_LEAST SPAN_MS(1)
#define MACHINE_SPAN_MOST  SPAN_MS(UINT32_MAX)

span_t machine_span(span_t heard, span_t otherwise);

/* Whether it owns the addresses, as VRRP means it. */
static inline bool machine_owns(const struct fhrp_config *c)
{
	return c->priority == VRRP_PRIORITY_OWNER &&
	       (c->protocol == ROUTER_VRRP2 || c->protocol == ROUTER_VRRP3);
}

/* Whether an advertisement bears our own address: a reflection.  It is never answered. */
bool machine_is_own(const struct fhrp *m, const struct fhrp_heard *h);

/* Equal rank: whether the sender's address is the higher one, by the set that decides. */
bool machine_higher_address(struct fhrp *m, const struct fhrp_heard *h, mono_t now);

/* Whether a lesser but living active router may be taken over. */
bool machine_may_preempt(const struct fhrp *m, mono_t now);

/* Whether the active router was heard a moment ago: within two of its intervals. */
bool machine_active_lives(const struct fhrp *m, mono_t now);

static inline bool machine_same(const struct fhrp_own *a, const struct fhrp_own *b)
{
	return a->len == b->len && a->len <= sizeof(a->address) &&
	       memcmp(a->address, b->address, a->len) == 0;
}

static inline span_t span_times(span_t s, int64_t n)
{
	return SPAN_NS(s.ns * n);
}

static inline span_t span_sum(span_t a, span_t b)
{
	return SPAN_NS(a.ns + b.ns);
}

static inline span_t span_most(span_t a, span_t b)
{
	return a.ns > b.ns ? a : b;
}

static inline span_t span_least(span_t a, span_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_earlier(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_later(mono_t a, mono_t b)
{
	return a.ns > b.ns ? a : b;
}
