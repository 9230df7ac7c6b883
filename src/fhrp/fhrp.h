/* First-hop redundancy: who is the router now?  VRRP, HSRP and CARP as pure machines.
 *
 * Theory of operation
 *
 * A machine is one election with one or more address sets.  fhrp_step() takes its state, one event
 * and the time, and says what is to be done: a list of effects.  It sends nothing, sets no timer,
 * reads no clock; whoever runs it carries the effects out *in order* and asks fhrp_next_expiry()
 * when to come back with FHRP_TIME.
 *
 * Each protocol is a table: for a state and a classified event, the actions and the next state
 * (vrrp.c, hsrp.c, carp.c).  The same tables are printed as docs/protocols/, so the page and the
 * code cannot disagree.
 *
 * Several sets: an advertisement is sent on every set, one heard on any of them counts, and silence
 * means that all sets are silent.  So a firewall's two sides change hands together, and a peer that
 * is cut off on one side only does not split the pair.
 *
 * What is lent by the active role: while active a machine extends its *lease* with every
 * advertisement it sends (FHRP_LEASE), never beyond the moment at which the keenest backup could
 * take over.  The data plane ends the role at that deadline by itself, whatever becomes of us. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/router.h"
#include "wire/hsrp.h"
#include "wire/verdict.h"

/* --- states and reasons ---------------------------------------------------------------------- */

/* Of all protocols; each uses some.  What the host may do in a state: in FHRP_ACTIVE it is the
 * router: it answers for the addresses and forwards what is sent to the vMAC.  In FHRP_LEAVING it
 * has resigned and still forwards, until the successor is heard.  In every other state nothing
 * leaves with the vMAC as its source, and what is sent to the vMAC is dropped. */
enum fhrp_state {
	FHRP_INITIALIZE, /* takes no part: disabled, in fault, or not yet begun */
	FHRP_LEARN,	 /* HSRP: does not know the virtual address yet */
	FHRP_LISTEN,	 /* HSRP: neither active nor standby, hears both */
	FHRP_SPEAK,	 /* HSRP: stands for election */
	FHRP_STANDBY,	 /* HSRP: the next in line */
	FHRP_BACKUP,	 /* VRRP, CARP */
	FHRP_ACTIVE,
	FHRP_LEAVING,
	FHRP_STATE_COUNT
};
const char *fhrp_state_name(enum fhrp_state s); /* "initialize", … */

/* X(constant, name, one line for people): why a machine changed its state, or what else it found
 * worth telling.  Names are part of the API, the log and the metrics. */
#define FHRP_REASONS(X)                                                                            \
	X(STARTED, "started", "the router was started")                                            \
	X(OWNER, "owner", "it owns the addresses (priority 255)")                                  \
	X(SILENCE, "silence", "no active router was heard in time")                                \
	X(NO_STANDBY, "no_standby", "no standby router was heard in time")                         \
	X(PEER_LEFT, "peer_left", "the active router resigned")                                    \
	X(PREEMPTED, "preempted", "its priority is higher than the active router's")               \
	X(OUTRANKED, "outranked", "a router of higher priority is active")                         \
	X(TIE_LOST, "tie_lost", "an equal router with a higher address is active")                 \
	X(COUP, "coup", "a router of higher priority took over (HSRP coup)")                       \
	X(STANDBY_TAKEN, "standby_taken", "a router of higher rank is, or will be, the standby")   \
	X(ADDRESS_LEARNED, "address_learned", "the virtual address was learned from the active")   \
	X(SHUTDOWN, "shutdown", "the router was stopped")                                          \
	X(SUCCESSOR, "successor", "the successor was heard")                                       \
	X(LINGERED, "lingered", "no successor was heard in time")                                  \
	X(DISABLED, "disabled", "the operator disabled the router")                                \
	X(ENABLED, "enabled", "the operator enabled the router")                                   \
	X(FAULT, "fault", "something that it tracks is down")                                      \
	X(RECOVERED, "recovered", "everything that it tracks is up")                               \
	X(LATE, "late", "this host itself was late beyond the hold time")                          \
	X(OWNER_CONFLICT, "owner_conflict", "two routers claim to own the address; ours yields")   \
	X(OWNER_RETURNS, "owner_returns", "the other owner has gone")                              \
	X(CONTENTION_WON, "contention_won", "another active router was heard and has yielded")     \
	X(TIMERS_LEARNED, "timers_learned", "timers were learned from the active router")          \
	X(CHECKSUM_LEARNED, "checksum_learned", "the peer's form of the VRRPv3 checksum is used")  \
	X(RECONFIGURED, "reconfigured", "its configuration was changed")

enum fhrp_reason {
#define FHRP_REASON_ENUM_(constant, name, meaning) FHRP_REASON_##constant,
	FHRP_REASONS(FHRP_REASON_ENUM_)
#undef FHRP_REASON_ENUM_
		FHRP_REASON_COUNT
};
const char *fhrp_reason_name(enum fhrp_reason r);
const char *fhrp_reason_meaning(enum fhrp_reason r);

/* --- what goes in ---------------------------------------------------------------------------- */

struct fhrp_config {
	enum router_protocol protocol;
	unsigned int set_count; /* 1 … ROUTER_SETS_MAX */
	uint8_t priority;	/* as configured; tracking changes the effective one, never 255 */
	span_t interval, hold;	/* hold: HSRP only; both as configured */
	bool learn, preempt;
	bool know_address; /* HSRP: the virtual address is configured */
	span_t preempt_delay, boot_hold;
	span_t linger; /* < 0: what the timers say */
	uint8_t announce_count;
	span_t announce_refresh; /* 0 = never */
};

/* A router's address on a set, for ties; family as the set's. */
struct fhrp_own {
	uint8_t address[16];
	uint8_t len; /* 4 or 16; 0 = not known yet */
};

enum fhrp_message { FHRP_HELLO, FHRP_COUP, FHRP_RESIGN, FHRP_MESSAGE_COUNT };

/* An advertisement as the machine sees it: valid, for this group, authenticated where it must be.
 */
struct fhrp_heard {
	uint8_t set;
	uint8_t version;       /* VRRP: 2 or 3 */
	uint8_t message;       /* enum fhrp_message; VRRP: HELLO, with priority 0 = leaves */
	uint8_t state;	       /* HSRP: the sender's, enum hsrp_state */
	uint32_t priority;     /* CARP: 255 - skew; the base counts first, through `interval` */
	span_t interval, hold; /* VRRP: advertisement interval; CARP: base + skew/256 s */
	struct fhrp_own from;
	uint8_t virtual_address[16]; /* HSRP: to be learned; zero = not told */
};

enum fhrp_event_kind {
	FHRP_EVENT_START,  /* its links are there; `until_boot_hold` of the config counts from here
			      when `boot` is set */
	FHRP_EVENT_STOP,   /* graceful end: resign, linger, come to rest in INITIALIZE */
	FHRP_EVENT_HALT,   /* the end at once: `reason`.  FAULT, DISABLED: the links are still there
			      and an active router resigns; any other: its links are gone */
	FHRP_EVENT_HEARD,  /* `heard` */
	FHRP_EVENT_TIME,   /* time has passed */
	FHRP_EVENT_ADJUST, /* `priority`: the effective one, from tracking; 1 … 254, owner: 255 */
	FHRP_EVENT_LATE,   /* we noticed only now that the lease has run out: self-fence.  Any other
			      event that comes after the lease is preceded by this by itself */
	FHRP_EVENT_CONFIG, /* `config`: changed under way; no transition follows by itself */
	FHRP_EVENT_KIND_COUNT
};

struct fhrp_event {
	enum fhrp_event_kind kind;
	union {
		bool boot;		 /* START: the daemon has just started */
		enum fhrp_reason reason; /* STOP, HALT: SHUTDOWN, DISABLED, FAULT, … */
		const struct fhrp_heard *heard;
		uint8_t priority;
		const struct fhrp_config *config;
	};
};

/* --- what comes out -------------------------------------------------------------------------- */

enum fhrp_effect_kind {
	FHRP_EFFECT_LEASE,     /* until `until` the data plane lets the vMACs speak and hear; ns 0 =
				  ends now.  Comes before the first frame that needs it */
	FHRP_EFFECT_EMBODY,    /* the addresses of all sets are to be there */
	FHRP_EFFECT_DISEMBODY, /* … are to be gone */
	FHRP_EFFECT_SEND,      /* `send`, on every set */
	FHRP_EFFECT_ANNOUNCE,  /* gratuitous ARP and neighbour advertisements for all addresses */
	FHRP_EFFECT_STATE,     /* `state`: a transition, with its reason */
	FHRP_EFFECT_NOTE,      /* `state` with from == to: worth telling */
	FHRP_EFFECT_LEARNED,   /* HSRP: `learned`: the virtual address of the first set */
	FHRP_EFFECT_KIND_COUNT
};

struct fhrp_effect {
	enum fhrp_effect_kind kind;
	union {
		mono_t until;
		struct fhrp_send {
			uint8_t message;  /* enum fhrp_message */
			uint8_t priority; /* VRRP: 0 = leaving; CARP: 255 - skew */
			uint8_t state;	  /* HSRP: enum hsrp_state to write */
			bool from_vmac;	  /* the source is the vMAC, else the link's own address */
			span_t interval, hold;
		} send;
		struct fhrp_change {
			uint8_t from, to; /* enum fhrp_state */
			uint8_t reason;	  /* enum fhrp_reason */
		} state;
		uint8_t learned[16];
	};
};

/* More than one step can ask for: asserted. */
#define FHRP_EFFECTS_MAX 16

struct fhrp_effects {
	unsigned int count;
	struct fhrp_effect list[FHRP_EFFECTS_MAX];
};

/* --- the machine ----------------------------------------------------------------------------- */

/* Plain data; copying it copies the machine.  Read by those who show it, written by the machine. */
struct fhrp {
	struct fhrp_config config;
	const struct fhrp_own *own; /* its addresses, one a set: whoever runs it has and changes
				       them, between steps */
	uint8_t state;		    /* enum fhrp_state */
	uint8_t priority;	    /* effective */
	bool held;		    /* boot hold is not over */
	bool yielded;		    /* owner conflict: behaves as a backup of priority 254 */
	bool contended;		    /* another active router was heard while active */
	mono_t since;		    /* of the state */
	mono_t lease;		    /* ACTIVE, LEAVING: as last said */

	/* Timers; MONO_NEVER = not running.  VRRP, CARP: `active_down` in BACKUP, `advertise` in
	 * ACTIVE.  HSRP: all of them. */
	mono_t active_down, standby_down, advertise;
	mono_t preempt_at, boot_until, linger_until, announce_at, yield_until;
	mono_t quiet_at;   /* contended: when the other has been quiet for long enough */
	uint8_t announced; /* of config.announce_count */

	/* Equal priorities: which set decides ties, and until when it counts for the others that
	 * one was won or lost on it, so that two routers never answer it differently on two links.
	 */
	uint8_t tie_set;
	mono_t tie_won_until, tie_lost_until;

	/* What was last heard of the active router, and HSRP's standby. */
	struct fhrp_peer {
		bool known;
		struct fhrp_own address;
		uint8_t set, version;
		uint32_t priority;
		span_t interval, hold;
		mono_t heard;
	} active, standby;

	span_t interval, hold; /* in force: configured or learned */
	bool timers_learned;
	bool address_learned; /* HSRP: `address` is what FHRP_EFFECT_LEARNED last said */
	uint8_t address[16];
	uint8_t last_reason; /* enum fhrp_reason, of the last transition */
	uint64_t transitions;
};

/* A machine in FHRP_INITIALIZE; it does nothing before FHRP_EVENT_START.  `own` must outlive it. */
void fhrp_init(struct fhrp *m, const struct fhrp_config *config, const struct fhrp_own *own,
	       mono_t now);

/* One step.  `out` is overwritten.  now never goes back. */
void fhrp_step(struct fhrp *m, const struct fhrp_event *event, mono_t now,
	       struct fhrp_effects *out);

/* When FHRP_EVENT_TIME is due; MONO_NEVER = not before another event. */
mono_t fhrp_next_expiry(const struct fhrp *m);

/* Whether the machine forwards for the vMAC: ACTIVE or LEAVING. */
bool fhrp_embodies(const struct fhrp *m);

/* How long a silent active router is believed in: VRRP's Active_Down_Interval (RFC 9568 section
 * 6.1: 3 * interval + skew), HSRP's hold time, CARP's 3 * base + skew; for the machine's own
 * priority. */
span_t fhrp_hold(const struct fhrp *m);

/* --- the tables, for people ------------------------------------------------------------------ */

/* One row of a protocol's table: in `state`, `event` (text) leads to `actions` and `next`. */
struct fhrp_row {
	uint8_t state, next;			     /* enum fhrp_state; next == state: stays */
	const char *event, *when, *actions, *source; /* source: "RFC 9568 6.4.2" */
};
/* The rows of a protocol; *ret_count of them, static. */
const struct fhrp_row *fhrp_table(enum router_protocol p, size_t *ret_count);
