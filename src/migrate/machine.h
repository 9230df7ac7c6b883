/* The machine's vocabulary: what happens, what is done, and the table's rows.
 *
 * An event is first classified: it gets a name of MIGRATE_OCCURRENCES that already holds every
 * condition (occur.c).  (state, occurrence) is then looked up in the table (table.c), whose row
 * names the actions (act.c) and the next state.  No row: nothing is done.  After each event the
 * machine answers an ask that stands, and says which writes it wants (tell.c). */
#pragma once

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "migrate/migrate.h"

/* X(constant, when) */
#define MIGRATE_OCCURRENCES(X)                                                                     \
	X(PORT_OURS, "the port's state is told, and this host's journal holds the vMAC")           \
	X(PORT_CAME, "the port is there and up")                                                   \
	X(PORT_LEFT, "the port went away")                                                         \
	X(WANTED, "a move to this host is to be prepared")                                         \
	X(ABORTED, "the move is to be given up")                                                   \
	X(ACTIVATED, "a hint: as if the guest had spoken here")                                    \
	X(STOPPED, "a hint: the guest stands still here")                                          \
	X(RESUMED, "a hint: the guest runs here")                                                  \
	X(FORCED, "an operator takes it: its holder was vouched dead")                             \
	X(FLIPPED, "the armed gate opened with the guest's first frame")                           \
	X(SPOKE, "a frame came out of the port, and was dropped")                                  \
	X(OURS, "the record: this host holds it")                                                  \
	X(OURS_OLD, "the record: this host holds it, at an epoch that was overtaken")              \
	X(OURS_OFFERED, "the record: this host holds it, reserved for another")                    \
	X(OURS_LEAVING, "the same, without a plan: the other will claim it at once")               \
	X(OURS_FROZEN, "the record: this host holds it, frozen")                                   \
	X(WITHDRAWN, "the record: the reservation is over, and nothing has moved")                 \
	X(WITHDRAWN_EMPTY, "the record: the reservation is over, and there is no port here")       \
	X(RESERVED, "the record: another host holds it, reserved for this one")                    \
	X(THEIRS, "the record: another host holds it")                                             \
	X(OVERTAKEN, "the record: another host holds it, at a higher epoch")                       \
	X(BEHIND, "the record: another host holds it, at a lower epoch: an old backup")            \
	X(TIE_WON, "the record: another host holds it, at an equal epoch, and of higher uuid")     \
	X(TIE_LOST, "the record: another host holds it, at an equal epoch, and of lower uuid")     \
	X(VANISHED, "there was a record, and is none any more")                                    \
	X(RELEASED, "the record: nobody has it")                                                   \
	X(ASK_PREPARED, "another host asks for a planned move")                                    \
	X(ASK_STILL, "another host asks for it, and the guest does not run here")                  \
	X(ASK_RUNS, "another host with a port asks for it, and the guest runs here")               \
	X(ASK_BOTH, "another host whose guest runs asks for it, and the guest runs here")          \
	X(ASK_AGAIN, "the host it is reserved for asks again")                                     \
	X(ASK_THIRD, "another host asks, and may not have it now")                                 \
	X(ASK_INSTEAD, "a third host whose guest runs asks, and the guest runs not here")          \
	X(ASK_NO, "our ask was refused")                                                           \
	X(ASK_NO_MOVE, "our ask for a planned move was refused, and a port is here")               \
	X(ASK_NO_EMPTY, "our ask for a planned move was refused, and no port is here")             \
	X(ASK_NO_BOTH, "our ask was refused, and the guest runs here")                             \
	X(PEER_DEAD, "the host it is reserved for was vouched dead")                               \
	X(TAG_PROVES, "an authenticated announcement at a higher epoch: of the host it is "        \
		      "reserved for, or of any while the registry is out of reach")                \
	X(TAG_HINTS, "an authenticated announcement at a higher epoch, and the registry is in "    \
		     "reach: its record decides")                                                  \
	X(TAG_NEWER, "an authenticated announcement at a higher epoch, and another holds it")      \
	X(STRANGER, "an unauthenticated frame with the vMAC as its source came by the uplink")     \
	X(STRANGER_MOVING, "the same, within 10 s of a move")                                      \
	X(CAME_BACK, "a frame that left here came back by the uplink")                             \
	X(EXPIRED, "the reservation's lifetime is over")                                           \
	X(DRAINED, "the time for stragglers is over")                                              \
	X(TOO_OFTEN, "five unplanned moves in 180 s")                                              \
	X(THAW, "1,800 s frozen, or an operator thaws it")                                         \
	X(ANNOUNCE_DUE, "the next announcement is due")

enum occurrence {
	NOTHING,
#define MIGRATE_ENUM_(constant, when) constant,
	MIGRATE_OCCURRENCES(MIGRATE_ENUM_)
#undef MIGRATE_ENUM_
		OCCURRENCE_COUNT
};

/* X(constant, meaning) */
#define MIGRATE_ACTIONS(X)                                                                         \
	X(hold, "journal: this host holds it")                                                     \
	X(arrive, "count the move, unless it was prepared")                                        \
	X(yield, "journal: the other host holds it; count the move, unless it was prepared")       \
	X(redirect, "send stragglers after it for 10 s")                                           \
	X(follow, "send them to the host that holds it now")                                       \
	X(announce, "announce it at 0, 50, 200, 450, 800 ms, 2 s, 10 s; query the guest's groups") \
	X(next, "the next announcement")                                                           \
	X(grant, "reserve it for the host that asks: MOVING, at our epoch")                        \
	X(renew, "the lifetime of the reservation begins anew, and the record says so")            \
	X(offer, "take the reservation from the record; withdraw it if it was given up here")      \
	X(ended, "the ask, if it still stands, is refused: the move was given up")                 \
	X(confirmed, "the record is as wanted")                                                    \
	X(withdraw, "end the reservation (or the freeze): HELD, to none")                          \
	X(refuse, "answer the ask: no, and why")                                                   \
	X(want_prepare, "ask its holder to reserve it (PREPARE)")                                  \
	X(want_claim, "ask its holder for it (CLAIM)")                                             \
	X(want_ordered, "ask its holder for it, and claim when it is granted")                     \
	X(want_back, "ask its holder for it, as the guest runs here (TAKE_BACK)")                  \
	X(want_force, "claim it over its holder, epoch + 1")                                       \
	X(insist, "remember it; after 1 s of that, ask as one whose guest runs (TAKE_BACK)")       \
	X(insist_now, "ask as one whose guest runs (TAKE_BACK)")                                   \
	X(accept, "the ask is over; claim at once if the guest spoke in the last 2 s, if a hint "  \
		  "says that it runs, or if it was ordered; query it where it spoke before that")  \
	X(claim, "claim it: HELD, this host, epoch + 1")                                           \
	X(decline, "end the reservation")                                                          \
	X(freeze, "FROZEN, for 1,800 s or until an operator thaws it")                             \
	X(forgive, "forget the moves counted")                                                     \
	X(alarm, "raise an alarm")

enum action {
	do_nothing,
#define MIGRATE_ENUM_(constant, meaning) do_##constant,
	MIGRATE_ACTIONS(MIGRATE_ENUM_)
#undef MIGRATE_ENUM_
		ACTION_COUNT
};

#define RULE_ACTIONS_MAX 5

/* Beyond the states: of two, by whether a port is here, */
#define MIGRATE_ASIDE (MIGRATE_STATE_COUNT + 0) /* FENCED, or NONE */
/* … or was when the guest stood still: what comes for it is sent after it all the same. */
#define MIGRATE_AFTER (MIGRATE_STATE_COUNT + 1) /* HANDED, or NONE */

#define MIGRATE_REASON_UNTOLD MIGRATE_REASON_COUNT

struct rule {
	uint8_t state, next; /* enum migrate_state, or of those two */
	uint8_t occurrence;  /* enum occurrence */
	uint8_t reason;	     /* enum migrate_reason, or UNTOLD */
	uint8_t actions[RULE_ACTIONS_MAX];
};

enum answer { UNANSWERED, REFUSED, GRANTED };

struct step {
	struct migrate *m;
	const struct migrate_event *e;
	mono_t now;
	enum migrate_reason reason; /* of the row */
	struct uuid other;	    /* who holds it now: RECORD, TAG */
	bool regate;		    /* the port is new, or its gate opened by itself */
	struct migrate_effect *out;
	unsigned int count;
};

/* table.c */
void moving_fire(struct step *s, enum occurrence o);
/* act.c */
void moving_act(struct step *s, enum action a);
void moving_forgive(struct migrate *m); /* forgets how often it moved */
/* occur.c: what an event means, with what it changes of what is known. */
enum occurrence occur(struct step *s);
/* tell.c */
void tell_answer(struct step *s);
void tell_wants(struct step *s, bool try_anyway);

struct migrate_effect *moving_effect(struct step *s, enum migrate_effect_kind kind);

/* --- small questions ------------------------------------------------------------------------- */

static inline bool is_reserving(const struct migrate *m)
{
	return m->state == MIGRATE_OFFERED || m->state == MIGRATE_PAUSED ||
	       m->state == MIGRATE_RETURNING;
}

static inline bool is_holding(const struct migrate *m)
{
	return m->state == MIGRATE_HELD || m->state == MIGRATE_FROZEN || is_reserving(m);
}

/* The record says so, whatever was heard on the wire. */
static inline bool is_holder_by_record(const struct migrate *m)
{
	return m->known && uuid_equal(&m->holder, &m->self);
}

static inline bool is_asking(const struct migrate *m, enum ask_why why)
{
	return m->asking == 1 + why;
}

static inline bool guest_runs(const struct migrate *m)
{
	return m->port && !m->stopped;
}

static inline mono_t mono_earlier(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline bool moved_too_often(const struct migrate *m, mono_t now)
{
	const mono_t first = m->moved[MIGRATE_MOVES - 1];

	return first.ns != MONO_NEVER.ns && mono_since(now, first).ns <= MIGRATE_MOVES_IN.ns;
}

/* When the next announcement is due. */
mono_t moving_announce_at(const struct migrate *m);
