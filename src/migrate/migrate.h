/* The move of a station's vMAC between hosts, as each of the hosts sees it: a pure machine.
 *
 * Theory of operation
 *
 * One machine a vMAC and host, on every host that has to do with it.  Two registers decide who may
 * speak: the record of the registry (holder, epoch, and perhaps a reservation for another host) and
 * the gate of the port, which the data plane enforces.  The rule: a gate is OPEN only while the
 * record names this host as the holder, or reserves the vMAC for it and its guest has spoken first.
 *
 *   prepare   the destination asks; the holder grants: it reserves the vMAC for the destination,
 *             whose gate is TUNNEL_IN and armed.  Nothing has moved; an abort, or the end of the
 *             reservation's lifetime, undoes it.
 *   stop      (a hint) the guest stands still at the source: its gate is REDIRECT, what arrives
 * goes through the tunnel and waits in the destination's tap.  Undone by a resume. activate  the
 * guest's first announcement out of the destination's port opens its gate, in the data plane, for
 * that very frame (or a hint does). claim     the destination swaps itself in as the holder, epoch
 * + 1, announces, and goes on when the registry is back where it is not there: the reservation says
 * that nobody else can have it. confirm   the source learns of it (the registry, or an
 * authenticated announcement on its wire, whichever is first): REDIRECT for a bounded time, then
 * FENCED. retire    the source's port goes.
 *
 * Undo after the claim is the same road back: the source asks (TAKE_BACK), and the holder lets go
 * only if its own guest is not running: its gate closes first, then it grants.  So is a move that
 * nobody prepared (CLAIM): granted when the holder's port is gone or closed.  Where both guests
 * run, the holder keeps it and both sides raise an alarm.
 *
 * What is never done: to open because somebody is silent, because a lease ran out, because a clock
 * says so, or because an unauthenticated frame was seen. */
#pragma once

#include "base/clock.h"
#include "model/shared.h"

/* What may be done in a state: see the gate beside it.  */
#define MIGRATE_STATES(X)                                                                          \
	X(NONE, "none", CLOSED, "this host has no part in it")                                     \
	X(HELD, "held", OPEN, "this host holds it")                                                \
	X(OFFERED, "offered", OPEN, "held, and reserved for the peer")                             \
	X(PAUSED, "paused", REDIRECT, "held and reserved; the guest stands still here")            \
	X(HANDED, "handed", REDIRECT, "the peer holds it; stragglers are sent after it")           \
	X(FENCED, "fenced", FENCED, "another host holds it, and there still is a port here")       \
	X(ASKED, "asked", CLOSED, "a port here wants it, and its holder has not granted it")       \
	X(READY, "ready", TUNNEL_IN, "reserved for this host: the guest's first frame opens")      \
	X(LIVE, "live", OPEN, "the guest has spoken here; the registry is being told")             \
	X(RETURNING, "returning", CLOSED, "held, closed, and being given to the peer")             \
	X(FROZEN, "frozen", FENCED, "moved too often; an operator, or time, thaws it")

enum migrate_state {
#define MIGRATE_STATE_ENUM_(c, name, gate, meaning) MIGRATE_##c,
	MIGRATE_STATES(MIGRATE_STATE_ENUM_)
#undef MIGRATE_STATE_ENUM_
		MIGRATE_STATE_COUNT
};

/* X(constant, name, one line for people): why; part of the API, the log, the history. */
#define MIGRATE_REASONS(X)                                                                         \
	X(PREPARED, "prepared", "a move was prepared")                                             \
	X(GRANTED, "granted", "the holder reserved it for this host")                              \
	X(REFUSED, "refused", "the holder keeps it: its guest runs there")                         \
	X(ABORTED, "aborted", "the move was given up")                                             \
	X(EXPIRED, "expired", "nobody used the reservation in its lifetime")                       \
	X(STOPPED, "stopped", "the guest stands still here")                                       \
	X(RESUMED, "resumed", "the guest runs here again")                                         \
	X(ACTIVATED, "activated", "the guest spoke first here")                                    \
	X(RECORDED, "recorded", "the registry knows that this host holds it")                      \
	X(OVERTAKEN, "overtaken", "another host holds it, at a higher epoch")                      \
	X(ANNOUNCED, "announced", "another host announced it, authenticated, at a higher epoch")   \
	X(DRAINED, "drained", "stragglers had their time")                                         \
	X(PORT_GONE, "port_gone", "the port went away")                                            \
	X(TAKEN_BACK, "taken_back", "the guest runs at the source again; the move is undone")      \
	X(TWO_GUESTS, "two_guests", "a guest speaks here while another host holds its address")    \
	X(FOREIGN, "foreign", "somebody else uses the address on the wire")                        \
	X(BEHIND, "behind", "the registry is older than what this host knows: it was restored")    \
	X(MOVED_TOO_OFTEN, "moved_too_often", "five unplanned moves in 180 s")                     \
	X(THAWED, "thawed", "the freeze is over")                                                  \
	X(FORCED, "forced", "an operator took it from a host that was vouched dead")               \
	X(FORGOTTEN, "forgotten", "the registry has no such address any more")

enum migrate_reason {
#define MIGRATE_REASON_ENUM_(c, name, meaning) MIGRATE_REASON_##c,
	MIGRATE_REASONS(MIGRATE_REASON_ENUM_)
#undef MIGRATE_REASON_ENUM_
		MIGRATE_REASON_COUNT
};
const char *migrate_state_name(enum migrate_state s);
const char *migrate_state_meaning(enum migrate_state s);
const char *migrate_reason_name(enum migrate_reason r);
const char *migrate_reason_meaning(enum migrate_reason r);

/* As the data plane has them: see plane/plane.h. */
enum migrate_gate {
	MIGRATE_GATE_CLOSED,
	MIGRATE_GATE_TUNNEL_IN,
	MIGRATE_GATE_OPEN,
	MIGRATE_GATE_REDIRECT,
	MIGRATE_GATE_FENCED
};
enum migrate_gate migrate_gate(enum migrate_state s);

/* Numbers with names; RFC 7432 section 15.1 for the last three. */
#define MIGRATE_REDIRECT  SPAN_S(10)
#define MIGRATE_RETRY	  SPAN_S(1)    /* of what the registry could not be told */
#define MIGRATE_ANSWER	  SPAN_MS(200) /* in which a holder that lives answers an ask */
#define MIGRATE_MOVES	  5
#define MIGRATE_MOVES_IN  SPAN_S(180)
#define MIGRATE_THAW	  SPAN_S(1800)
#define MIGRATE_ANNOUNCES 7 /* at 0, 50, 200, 450, 800 ms, 2 s and 10 s after the first frame */

/* --- what goes in ---------------------------------------------------------------------------- */

enum migrate_event_kind {
	/* The port on this host that carries the vMAC: it is there and its link is up; or not. */
	MIGRATE_PORT_UP,
	MIGRATE_PORT_DOWN,
	/* Hints of an operator, a hook or a watcher. */
	MIGRATE_PREPARE,  /* at the destination; lifetime */
	MIGRATE_ABORT,	  /* at either */
	MIGRATE_ACTIVATE, /* at the destination: as if the guest had spoken */
	MIGRATE_STOP,	  /* the guest stands still here */
	MIGRATE_RESUME,	  /* it runs here (again) */
	MIGRATE_THAW_NOW,
	MIGRATE_FORCE, /* at a host that wants it: the holder is vouched dead, or the operator
			  insists */
	/* The data plane. */
	MIGRATE_FLIPPED, /* the armed gate opened with the guest's first frame */
	MIGRATE_SPOKE,	 /* a frame came out of a port whose gate is not open, and was dropped */
	/* The registry: the record as it is now (told, or the outcome of our own write). */
	MIGRATE_RECORD,	     /* record, may be NULL: there is none */
	MIGRATE_ASK,	     /* somebody else asks; record.ask; NULL: the ask is gone */
	MIGRATE_LOST,	     /* our write lost: the record was told before */
	MIGRATE_UNREACHABLE, /* our write could not be told to anybody */
	MIGRATE_REACHABLE,   /* the registry is back */
	MIGRATE_HOST_DEAD,   /* `host` was vouched dead */
	/* The wire. */
	MIGRATE_TAG,	  /* an authenticated announcement of another host: host, epoch */
	MIGRATE_STRANGER, /* an unauthenticated frame with the vMAC as its source on the uplink */
	MIGRATE_TIME,
	MIGRATE_EVENT_COUNT
};

struct migrate_event {
	enum migrate_event_kind kind;
	const struct shared_vmac *record;
	const struct shared_ask *ask;
	struct uuid host;    /* TAG, HOST_DEAD */
	uint64_t epoch;	     /* TAG; PORT_UP: of our own durable record, 0 = we have none */
	struct uuid move;    /* PREPARE: of the new move */
	int64_t lifetime_ms; /* PREPARE */
	/* ASK: whether the guest runs here: its port is up, its gate open, and it is not known to
	 * stand still. */
	bool guest_runs;
};

/* --- what comes out -------------------------------------------------------------------------- */

enum migrate_effect_kind {
	MIGRATE_GATE,	   /* the gate is to be this, with peer where REDIRECT; before all that
			    * follows in the list */
	MIGRATE_DO_ASK,	   /* write our ask (why, move, lifetime) */
	MIGRATE_DO_UNASK,  /* our ask, or the one that was answered, is over: delete it */
	MIGRATE_DO_REFUSE, /* answer the ask: no, for `reason` */
	/* Writes of the record; each names the epoch and holder to write.  The revision compared is
	 * that of the record last given. */
	MIGRATE_DO_GRANT,    /* MOVING, to = peer; of a record that is not there yet: made */
	MIGRATE_DO_WITHDRAW, /* HELD again, to = none */
	MIGRATE_DO_CLAIM,    /* HELD, holder = this host, epoch */
	MIGRATE_DO_FREEZE,   /* FROZEN */
	/* The local journal, durable; order among themselves kept. */
	MIGRATE_HOLD,	  /* this host holds it, at `epoch` */
	MIGRATE_YIELD,	  /* `peer` holds it, at `epoch` */
	MIGRATE_ANNOUNCE, /* the n-th announcement, n in `count`: frames to the wire */
	MIGRATE_QUERY,	  /* IGMP and MLD queries to the guest */
	MIGRATE_ALARM,	  /* reason, peer */
	MIGRATE_NOTE,	  /* a transition or a fact: from, to, reason, peer */
	MIGRATE_EFFECT_COUNT
};

struct migrate_effect {
	enum migrate_effect_kind kind;
	uint8_t gate, why, reason, from, to, count;
	struct uuid peer, move;
	uint64_t epoch;
	int64_t lifetime_ms;
};
#define MIGRATE_EFFECTS_MAX 8

struct migrate {
	uint8_t state;
	bool port, stopped, spoke;
	bool writing; /* a write of ours is on its way */
	bool reachable;
	bool known; /* a record was given */
	uint8_t record_state;
	uint64_t epoch;				  /* the highest that we know of, from wherever */
	struct uuid self, holder, to, move, peer; /* peer: the other host of the move */
	struct uuid asked;			  /* who asks us; none = nobody */
	uint8_t asked_why, asking; /* asking: 1 + enum ask_why of our own ask, 0 = none */
	uint8_t announced;
	bool planned; /* this move was prepared */
	int64_t lifetime_ms;
	mono_t moved[MIGRATE_MOVES]; /* when, of the last unplanned ones */
	mono_t redirect_until, expires, retry, announce_base, thaw;
};

/* A machine of this host; `reachable`: whether the registry is now.  State NONE. */
void migrate_init(struct migrate *m, const struct uuid *self, bool reachable);

/* One event; writes at most MIGRATE_EFFECTS_MAX effects, to be carried out in order, and returns
 * how many.  Total: any event in any state is fine. */
unsigned int migrate_step(struct migrate *m, const struct migrate_event *event, mono_t now,
			  struct migrate_effect ret[static MIGRATE_EFFECTS_MAX]);

mono_t migrate_next_expiry(const struct migrate *m); /* MONO_NEVER = none */

/* Nothing is to be remembered any more: state NONE, or HELD with nothing under way. */
bool migrate_idle(const struct migrate *m);
