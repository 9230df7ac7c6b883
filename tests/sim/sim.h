/* A seeded LAN on which the production elections run.
 *
 * Theory of operation
 *
 * A *scenario* is data: which routers there are, how they are configured, and which faults befall
 * them when.  All of it follows from a seed (scenarios.c) or from an enumeration (small.c).  A
 * *world* (world.c) plays it: an event queue under the seed's generator, without clock or I/O.
 * Every host runs the real core (elect/core.h) with ops of its own (host.c), which stand for the
 * kernel: a data plane that holds each frame against its lease, and sockets.  So every octet goes
 * from the composer through a switch to the decoder.
 *
 * What must hold is said once (checkers.c), for whatever the scenario does; the world only tells
 * the checkers what happens.  The first thing that does not hold is the *finding*, and ends the
 * run.
 *
 * There is one router a host, with one or two sets; all hosts are candidates of one group.  Time is
 * the world's; a host's own is that plus an offset, and a host that stalls comes late. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elect/core.h"
#include "model/router.h"
#include "chance.h"
#include "driver.h"

#define SIM_HOSTS_MAX  5
#define SIM_SETS_MAX   2
#define SIM_LINKS_MAX  2
#define SIM_STEPS_MAX  64
#define SIM_FRAME_MAX  512
#define SIM_QUEUE_MAX  64 /* frames that a stalled host's socket keeps */
#define SIM_ORDERS_MAX 256
#define SIM_EVENTS_MAX 4096 /* under way at once */
#define SIM_START_NS   1000000000000LL
#define SIM_MS	       1000000LL
#define SIM_DELAY_NS   (2 * SIM_MS) /* no frame takes longer, unless by a fault */
#define SIM_LATE_NS    (1 * SIM_MS) /* no host comes later, unless by a fault */
#define SIM_ROUTER     1	    /* its id, on each host */
#define SIM_NEVER      INT64_MAX

/* --- scenarios ------------------------------------------------------------------------------- */

enum step_kind {
	STEP_LOSS,	   /* of `value` percent of all frames */
	STEP_DISORDER,	   /* `value` percent come twice, or late by up to an interval */
	STEP_CUT,	   /* nothing gets from `host` to `other` */
	STEP_JOIN,	   /* … again it does */
	STEP_STALL,	   /* the host does nothing for `value` ns */
	STEP_STALL_INSIDE, /* … the next time that the core has given orders, before they are done
			    */
	STEP_CRASH,
	STEP_STOP, /* gracefully, and the daemon ends */
	STEP_BOOT, /* if it is not up */
	STEP_UNPLUG,
	STEP_PLUG,
	STEP_ADJUST, /* tracking: `value` is added to the priority */
	STEP_FAULT,  /* tracking: something mandatory is down (`value`) or up */
	STEP_SAME,   /* reconfiguration to an equal record */
	STEP_PRIORITY,
	STEP_ADDRESS, /* one more or one less */
	STEP_DISABLE,
	STEP_ENABLE,
	STEP_WALL, /* the wall clock is `value` ms off */
	STEP_KEYS, /* the next stage of a key's roll-over */
	STEP_HEAL, /* all faults end; `value`: the hosts that stay down, one bit each */
	STEP_KIND_COUNT
};
const char *step_name(enum step_kind k);

struct step {
	int64_t at; /* since the start */
	uint8_t kind, host, other;
	int64_t value;
};

/* What happens to one frame or at one event, counted from 0: for enumerations. */
enum nth_kind { NTH_NOTHING, NTH_LOSE, NTH_TWICE, NTH_LATE, NTH_STEP };
struct nth {
	uint8_t kind;
	unsigned int number; /* LOSE, TWICE, LATE: of the frame; STEP: of the event */
	struct step step;
};
#define SIM_NTH_MAX 2

/* A router's record with all that it points to. */
struct candidate {
	struct router record;
	struct router_set sets[SIM_SETS_MAX];
	struct router_address addresses[SIM_SETS_MAX][3];
	struct ip peers[SIM_SETS_MAX][SIM_HOSTS_MAX];
	struct router_key keys[2];
	uint8_t number; /* of its host */
	bool wrong_key; /* the checkers' view of it */
	int stated_priority;
};

/* X(constant, what is broken, the rule that must find it) */
#define MUTATIONS(X)                                                                               \
	X(NOTHING, "", NONE)                                                                       \
	X(NO_LEASE, "the data plane lets everything pass", LEASE_BROKEN)                           \
	X(LONG_LEASE, "leases are believed in for two intervals more", LEASE_TOO_LONG)             \
	X(BACKUP_SENDS, "a backup's frames bear the vMAC", BACKUP_SPOKE)                           \
	X(DEAF, "one host hears nothing, and nobody knows", TWO_ACTIVE)                            \
	X(DEAD, "nobody is given time once faults have ended", NOBODY)                             \
	X(LIAR, "the best router says it is the least", WRONG_ONE)                                 \
	X(KEY_KNOWN, "who is held to have the wrong key has the right one", WRONG_KEY)             \
	X(UNEQUAL, "an equal reconfiguration is not", NOT_EQUAL)                                   \
	X(SILENT, "announcements never leave", NOT_ANNOUNCED)                                      \
	X(BLIND_SWITCH, "the switch does not learn from the survivor", SWITCH)                     \
	X(RESTLESS, "faults do not end", UNSETTLED)

enum mutation {
#define MUTATE_ENUM_(c, meaning, rule) MUTATE_##c,
	MUTATIONS(MUTATE_ENUM_)
#undef MUTATE_ENUM_
		MUTATION_COUNT
};

struct scenario {
	char name[64];
	uint64_t seed;
	unsigned int host_count, set_count, link_count;
	struct candidate candidates[SIM_HOSTS_MAX];
	unsigned int step_count;
	struct step steps[SIM_STEPS_MAX]; /* the last is HEAL */
	struct nth nth[SIM_NTH_MAX];
	int64_t interval, hold, settle, end; /* ns; settle: after HEAL; end: of all, since start */
	enum mutation mutation;
};

/* All that follows from a seed; family NULL: any. */
bool scenario_make(struct scenario *s, uint64_t seed, const char *family);
/* What a protocol and its timers imply for hold, settle and end. */
void scenario_bounds(struct scenario *s, int64_t heal_at);
void candidate_init(struct candidate *c, enum router_protocol p, unsigned int number,
		    unsigned int sets, bool ipv6, bool second_link);
void candidate_point(struct candidate *c);   /* its record to its own parts, after a copy */
const char *scenario_family(unsigned int i); /* NULL after the last */

/* --- the world ------------------------------------------------------------------------------- */

enum rule {
	RULE_NONE,
	RULE_TWO_ACTIVE,     /* two embody it for longer than the bound, and hear each other */
	RULE_NOBODY,	     /* not exactly one is active at the end */
	RULE_WRONG_ONE,	     /* … but not the one of highest rank */
	RULE_UNSETTLED,	     /* states still changed after the bound */
	RULE_BACKUP_SPOKE,   /* the core sent with the vMAC while it had no right to */
	RULE_LEASE_BROKEN,   /* such a frame passed the data plane without a lease */
	RULE_WRONG_KEY,	     /* a frame made with a wrong key was admitted */
	RULE_NOT_EQUAL,	     /* an equal reconfiguration had an effect */
	RULE_NOT_ANNOUNCED,  /* the survivor did not announce after a contention */
	RULE_SWITCH,	     /* the switch points elsewhere in the end */
	RULE_LEASE_TOO_LONG, /* a backup took over within a lease whose advertisement it heard */
	RULE_COUNT
};
const char *rule_name(unsigned int r);

struct event;
struct world;

enum order_kind { ORDER_LEASE, ORDER_SEND, ORDER_EMBODY };
struct order {
	uint8_t kind, set;
	bool there;
	mono_t until;
	uint16_t len;
	const uint8_t *lent;
	uint8_t frame[SIM_FRAME_MAX];
};

struct host {
	struct world *world;
	struct elect_core *core; /* NULL: down */
	struct candidate config;
	struct mem mem;
	uint8_t number;
	bool plugged, stopping, stall_inside, down_for_good;
	int64_t offset;	      /* of its monotonic clock */
	int64_t wall_ms;      /* of its wall clock */
	int64_t stalled;      /* until then */
	int64_t late;	      /* how late its timer comes the next time */
	int64_t stall_length; /* of stall_inside */
	uint8_t key_stage;
	int adjust;
	bool fault;

	struct event *queue[SIM_QUEUE_MAX];
	unsigned int queued;
	struct order orders[SIM_ORDERS_MAX];
	unsigned int order_count;
	unsigned int ops; /* calls of the core's ops, ever */
	bool flush_late;  /* its orders wait for the end of a stall */

	/* The data plane: outlives the daemon. */
	int64_t lease[SIM_SETS_MAX];   /* of the world's time */
	int64_t ordered[SIM_SETS_MAX]; /* by the core: host's time */
	bool embodied;

	/* What the checkers keep of it. */
	uint8_t last_state;		    /* as it reported */
	bool could_speak;		    /* it embodied the vMAC when the core was entered */
	int64_t active_since;		    /* 0: is not */
	int64_t last_change;		    /* of its state */
	int64_t passed[SIM_SETS_MAX];	    /* its last frame with the vMAC */
	int64_t announced[SIM_SETS_MAX];    /* its last announcement */
	int64_t contended[SIM_SETS_MAX];    /* when it last heard another active one while active */
	uint64_t lease_frame[SIM_SETS_MAX]; /* the frame that told of the lease */
	int64_t leased_at[SIM_SETS_MAX];    /* when it was extended last */
	uint64_t heard[SIM_HOSTS_MAX][SIM_SETS_MAX]; /* of each other's leases: those
							 that made it wait */
};

struct world {
	const struct scenario *scenario;
	struct chance chance;
	int64_t now, heal_at;
	struct host hosts[SIM_HOSTS_MAX];
	unsigned int host_count;
	unsigned int loss, disorder;
	bool cut[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
	int switch_port[SIM_SETS_MAX]; /* the host behind which the vMAC is; -1: nobody's */
	unsigned int next_step, frames, events;
	uint64_t sequence, hash;
	struct sim_finding finding;
	bool trace, key_rolls;

	struct event *heap[SIM_EVENTS_MAX], *spare;
	unsigned int heap_count;

	/* What the checkers keep: since when a pair is undisturbed, and both embody it. */
	int64_t disturbed[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
	int64_t both[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
	unsigned int overlaps, transitions, passed, dropped, contentions;
};

/* Plays a scenario to its end or first finding. */
void world_run(const struct scenario *s, bool trace, struct sim_result *ret);

/* Everything that is told of goes into the hash, and is printed when traced. */
void world_tell(struct world *w, const struct host *h, const char *what, int64_t a, int64_t b);

/* host.c */
void host_init(struct host *h, struct world *w, unsigned int number);
void host_boot(struct host *h, bool boot);
void host_crash(struct host *h);
void host_plug(struct host *h, bool plugged);
void host_configure(struct host *h);
void host_time(struct host *h);
void host_frame(struct host *h, struct event *e);
void host_leave(struct host *h); /* after any entry into the core */
void host_enter(struct host *h); /* before */
mono_t host_now(const struct host *h);
void host_carry_out(struct host *h);
const struct fhrp *host_machine(const struct host *h); /* NULL: down */

/* world.c, for host.c */
struct event {
	int64_t at;
	uint64_t sequence, frame; /* frame: its number, 1 … */
	uint8_t host, from, set;
	bool as_active; /* an active router's */
	uint16_t len;
	uint8_t data[SIM_FRAME_MAX];
	struct event *next;
};
void world_send(struct world *w, struct host *from, unsigned int set, const uint8_t *frame,
		size_t len);
void event_free(struct world *w, struct event *e);
void world_disturb(struct world *w, unsigned int a, unsigned int b, int64_t at);
void world_disturb_host(struct world *w, unsigned int a, int64_t at);

/* --- checkers -------------------------------------------------------------------------------- */

void check_fail(struct world *w, enum rule r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_sent(struct host *h, unsigned int set, bool from_vmac);
void check_passed(struct host *h, unsigned int set, const uint8_t *frame, bool announcement,
		  bool leased);
bool check_says_active(const uint8_t *frame);
void check_report(struct host *h, const struct elect_report *r);
void check_verdict(struct host *h, const struct event *e, enum verdict v);
void check_time(struct world *w);
void check_end(struct world *w);
/* Whether the frames of one are good for the other, by what they are configured with. */
bool check_share_key(const struct host *a, const struct host *b);
