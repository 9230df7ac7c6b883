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
 *             goes through the tunnel and waits in the destination's tap.  Undone by a resume.
 *   activate  the guest's first announcement out of the destination's port opens its gate, in the
 *             data plane, for that very frame (or a hint does).
 *   claim     the destination swaps itself in as the holder, epoch + 1, announces, and goes on when
 *             the registry is back where it is not there: the reservation says that nobody else
 *             can have it.
 *   confirm   the source learns of it (the registry, or an authenticated announcement on its wire,
 *             whichever is first): REDIRECT for a bounded time, then FENCED.
 *   retire    the source's port goes.
 *
 * Undo after the claim is the same road back: the source asks (TAKE_BACK), and the holder lets go
 * only if its own guest is not running: its gate closes first, then it grants.  So is a move that
 * nobody prepared (CLAIM): granted when the holder's port is gone or closed.  Where both guests
 * run, the holder keeps it and both sides raise an alarm.
 *
 * Of two gates that are open, one is LIVE, or is the holder's that reserved the vMAC for the other
 * and has not heard of the claim yet.  A claim that was not prepared comes after the old holder's
 * gate has closed, and opens the new one's only when the registry has it.
 *
 * What a guest said to a closed gate is forgotten after MIGRATE_SPOKEN: it may have left again
 * without a word, and to claim then would take the vMAC from a guest that runs.  Granted later
 * than that, the machine waits for the next frame, and queries the guest so that there is one.
 *
 * The machine says what it wants the records to be, and says it again (LOST, UNREACHABLE,
 * REACHABLE) until a RECORD says that they are: an answer that got lost is no harm.  The table is
 * src/migrate/table.c, docs/protocols/migration.md is made from it.
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
	X(FROZEN, "frozen", OPEN, "held; moved too often: it stays here until it is thawed")

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
	X(LET_GO, "let_go", "its guest does not run here: the host that asks may have it")         \
	X(TAKEN_BACK, "taken_back", "the guest runs at the source again; the move is undone")      \
	X(TWO_GUESTS, "two_guests", "a guest speaks here while another host holds its address")    \
	X(FOREIGN, "foreign", "somebody else uses the address on the wire")                        \
	X(BEHIND, "behind", "the registry is older than what this host knows: it was restored")    \
	X(MOVED_TOO_OFTEN, "moved_too_often", "five unplanned moves in 180 s")                     \
	X(THAWED, "thawed", "the freeze is over")                                                  \
	X(FORCED, "forced", "an operator took it from a host that was vouched dead")               \
	X(FORGOTTEN, "forgotten", "the registry has no such address any more")                     \
	X(LOOPED, "looped", "a frame that left here came back: the network has a loop")

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
#define MIGRATE_RETRY	  SPAN_S(1) /* of what the registry could not be told */
#define MIGRATE_SPOKEN	  SPAN_S(2) /* a frame says so long that the guest runs here */
#define MIGRATE_MOVES	  5
#define MIGRATE_MOVES_IN  SPAN_S(180)
#define MIGRATE_THAW	  SPAN_S(1800)
#define MIGRATE_ANNOUNCES 7 /* at 0, 50, 200, 450, 800 ms, 2 s and 10 s after the first frame */

/* --- what goes in ---------------------------------------------------------------------------- */

enum migrate_event_kind {
	/* The port on this host that carries the vMAC: it is there and its link is up; or not.
	 * With the epoch of this host's journal where that says that this host holds it: so a
	 * machine begins for what is held here, PORT_DOWN for what has no port.  It is forgotten
	 * by a record that is RELEASED, or by migrate_init(). */
	MIGRATE_PORT_UP,
	MIGRATE_PORT_DOWN,
	/* Hints of an operator, a hook or a watcher. */
	MIGRATE_PREPARE, /* at the destination; lifetime */
	MIGRATE_ABORT,	 /* at either */
	/* At the destination: as if the guest had spoken.  Where nothing was reserved: asks for it
	 * (ASK_CLAIM), port or not, and claims as soon as it is granted (`vmac mac move`). */
	MIGRATE_ACTIVATE,
	MIGRATE_STOP,	/* the guest stands still here */
	MIGRATE_RESUME, /* it runs here (again) */
	MIGRATE_THAW_NOW,
	MIGRATE_FORCE, /* at a host that wants it: the holder is vouched dead, or the operator
			  insists */
	/* The data plane.  What it told of a port before the last PORT_UP is not to be told. */
	MIGRATE_FLIPPED, /* the armed gate opened with the guest's first frame */
	MIGRATE_SPOKE,	 /* a frame came out of a port whose gate is not open, and was dropped */
	/* The registry: the record as it is now (told, or the outcome of our own write). */
	MIGRATE_RECORD,	     /* record, may be NULL: there is none */
	MIGRATE_ASK,	     /* somebody else asks; record.ask; NULL: the ask is gone */
	MIGRATE_LOST,	     /* our write lost: the record was told before */
	MIGRATE_UNREACHABLE, /* our write could not be told to anybody, or the registry is gone */
	MIGRATE_REACHABLE,   /* the registry is back */
	/* `host` was vouched dead.  Of this host itself: before the records are told, which then
	 * count whatever their epochs are. */
	MIGRATE_HOST_DEAD,
	/* The wire. */
	MIGRATE_TAG,	  /* an authenticated announcement of another host: host, epoch */
	MIGRATE_STRANGER, /* an unauthenticated frame with the vMAC as its source on the uplink */
	MIGRATE_TIME,
	MIGRATE_LOOPED, /* the wire: what left here came back by the uplink */
	MIGRATE_EVENT_COUNT
};

struct migrate_event {
	enum migrate_event_kind kind;
	const struct shared_vmac *record;
	const struct shared_ask *ask;
	struct uuid host; /* TAG, HOST_DEAD */
	uint64_t epoch;	  /* TAG; PORT_UP, PORT_DOWN, RECORD: of our own durable record that says
			   * that this host holds it, 0 = there is none */
	struct uuid move; /* PREPARE: of the new move */
	int64_t lifetime_ms; /* PREPARE */
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
	MIGRATE_DO_GRANT,    /* MOVING, holder = this host, to = peer, move, lifetime, epoch; none
			      * there yet: made */
	MIGRATE_DO_WITHDRAW, /* HELD again, to = none, holder as it was; none there yet: made */
	MIGRATE_DO_CLAIM,    /* HELD, holder = this host, epoch; none there yet: made */
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
	/* move: of a planned one; none in asks and grants of others, and it stays so there: a
	 * record that reserves without a move says that the holder has closed its gate. */
	struct uuid peer, move;
	uint64_t epoch;	     /* DO_…, HOLD, YIELD, ANNOUNCE */
	int64_t lifetime_ms; /* DO_ASK, DO_GRANT */
};
#define MIGRATE_EFFECTS_MAX 12

struct migrate {
	uint8_t state;
	struct uuid self;

	/* The guest here. */
	bool port, stopped;
	bool spoke;   /* ASKED: through a gate that is closed, */
	bool resumed; /* … or a hint says that it runs */

	/* The record as last told, and what is wanted of it. */
	bool known; /* there is one */
	uint8_t record_state;
	struct uuid holder, to, record_move;
	uint64_t record_epoch; /* the highest of any record seen, never less */
	bool reachable;
	bool writing;	/* a write of ours is on its way */
	bool told;	/* OFFERED, PAUSED, RETURNING, FROZEN: the record has said so */
	bool withdraw;	/* … is to be HELD again */
	bool reassert;	/* the record is older than what we know, or went away: we hold it */
	bool condemned; /* we were vouched dead: the next record counts, whatever its epoch */

	uint64_t epoch; /* the highest that we know of, from wherever */
	uint64_t journal_epoch;
	bool journal_ours;

	/* The move. */
	struct uuid peer, move; /* peer: the other host */
	bool planned;		/* it was prepared */
	bool declined;		/* `move` was given up here */
	bool claim;		/* READY: does not wait for the guest's first frame */
	int64_t lifetime_ms;

	/* Our own ask, and the one that stands in the registry (whose host may be this one). */
	uint8_t asking; /* 1 + enum ask_why, 0 = none */
	bool ordered;	/* … it is an operator's: needs no port */
	struct uuid ask_move;
	int64_t ask_lifetime_ms;
	struct uuid asked, asked_move; /* none = nobody */
	int64_t asked_lifetime_ms;
	uint8_t asked_why, answered, refusing;
	bool asker_dead, ask_writing;

	uint8_t announced;
	mono_t announce_base;
	mono_t moved[MIGRATE_MOVES];	/* when, of the last unplanned ones, the latest first */
	mono_t spoke_since, spoke_last; /* of spoke */
	mono_t redirect_until, expires, retry, thaw;
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

/* One row of the table, for people. */
struct migrate_row {
	const char *state, *next; /* names; "handed or none", "fenced or none": by the port */
	const char *occurrence, *when, *actions, *reason;
};
const struct migrate_row *migrate_table(size_t *ret_count);
