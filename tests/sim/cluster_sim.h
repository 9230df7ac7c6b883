/* A seeded LAN on which the production group machines share out a cluster.
 *
 * Theory of operation
 *
 * A *scenario* is data: how many hosts there are, in which mode they run, and which faults befall
 * what when; it follows from a seed (cluster_scenarios.c) or from an enumeration (cluster_small.c).
 * A *world* (cluster_world.c) plays it: an event queue without clock or I/O.  Every host
 * (cluster_host.c) runs the real machine (balance/group.h) and the real tables (of which CS_ROWS
 * rows are looked at), through the real codec.  Its data plane is a model: leases that end at their
 * deadline, two sets of rows, flow entries at the anchor and flows seen at a member's host.  It
 * outlives the daemon.  What the engine does takes time, and is done in order.
 *
 * What must hold is said apart (cluster_checkers.c).  The first thing that does not is the
 * *finding*, and ends the run.
 *
 * What excuses what.  A crash, a stall and a late record excuse nothing: leases see to that.  Two
 * hosts that cannot hear each other may do the same thing twice: while a direction is cut, or the
 * wire lost CS_LOST_RUN frames in a row there, and for CS_AFTERMATH after. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "balance/group.h"
#include "chance.h"
#include "driver.h"

#define MS     1000000LL
#define SECOND (1000 * MS)

#define CS_HOSTS_MAX   4
#define CS_MEMBERS     6
#define CS_FACES_MAX   2
#define CS_STEPS_MAX   64
#define CS_RECORDS_MAX 48
#define CS_FLOWS       12
#define CS_ROWS	       64
#define CS_QUEUE_MAX   1024
#define CS_TAPE	       32     /* the last heartbeats of a host, that somebody recorded */
#define CS_EVENTS_MAX  200000 /* of one run: more is a storm */
#define CS_BEGIN       (1000 * SECOND)
#define CS_WIRE	       (1 * MS)
#define CS_LOST_RUN    2
#define CS_AFTERMATH   (3 * SECOND)
#define CS_SETTLE      (2500 * MS) /* after the last fault all is as it must be … */
#define CS_TREMBLE     (700 * MS)  /* … but for so long at a time */
#define CS_FAILOVER    (1 * SECOND)
#define CS_TICK	       (50 * MS)

/* X(constant, meaning) */
#define CS_RULES(X)                                                                                \
	X(NONE, "")                                                                                \
	X(TWO_ANCHORS, "two hosts speak for a face")                                               \
	X(ROW_TWICE, "two hosts take a row")                                                       \
	X(EPOCH, "an epoch did not grow")                                                          \
	X(LEASE, "a lease goes beyond what was said on the wire")                                  \
	X(FAILOVER, "nobody followed an anchor that died within a second")                         \
	X(NOBODY, "a face has no anchor, and there is no reason")                                  \
	X(VIEWS, "hosts go by different views, and there is no reason")                            \
	X(MEMBERS, "the view is not what the members are")                                         \
	X(ROW_NOBODY, "nobody takes a row whose member is there")                                  \
	X(FLOW, "a flow was broken that need not be")                                              \
	X(DRAIN, "a new flow went to a member that takes none")                                    \
	X(STORM, "more happens than there is reason for")

enum cs_rule {
#define CS_ENUM_(c, meaning) CS_RULE_##c,
	CS_RULES(CS_ENUM_)
#undef CS_ENUM_
		CS_RULE_COUNT
};
const char *cs_rule_name(unsigned int r);

/* X(constant, what is broken, the rule that must find it) */
#define CS_MUTATIONS(X)                                                                            \
	X(NOTHING, "", NONE)                                                                       \
	X(NO_LEASE, "the data plane serves beyond its leases", TWO_ANCHORS)                        \
	X(LONG_LEASE, "a lease is stored half a second longer than it is", LEASE)                  \
	X(NO_OWN, "rows are taken beyond their lease", ROW_TWICE)                                  \
	X(EARLY_COMMIT, "a view is committed as soon as it is installed", ROW_TWICE)               \
	X(ONE_SET, "rows are taken by what is installed alone", ROW_TWICE)                         \
	X(AMNESIA, "the journal and the wire forget epochs", EPOCH)                                \
	X(UNTIMED, "nobody is given time", NOBODY)                                                 \
	X(DEAF, "one host hears nothing, and nobody knows", TWO_ANCHORS)                           \
	X(LAZY, "one host never commits", VIEWS)                                                   \
	X(BLIND, "no member is ever said to be unfit", MEMBERS)                                    \
	X(IDLE_ROWS, "one host takes no rows", ROW_NOBODY)                                         \
	X(CUT_DRAINS, "who drains is known no more", FLOW)                                         \
	X(NO_ENTRIES, "the anchor remembers no flow, and rows have no second", FLOW)               \
	X(STICKY, "a new flow goes where the last one of its tuple went", DRAIN)                   \
	X(TRUSTING, "what was recorded is believed", NOBODY)                                       \
	X(MUTE, "no data plane says that it forwards", FLOW)                                       \
	X(SLEEPY, "who takes over speaks half a second late", FAILOVER)

enum cs_mutation {
#define CS_ENUM_(c, meaning, rule) CS_MUTATE_##c,
	CS_MUTATIONS(CS_ENUM_)
#undef CS_ENUM_
		CS_MUTATION_COUNT
};

/* --- scenarios ------------------------------------------------------------------------------- */

/* X(constant): of which `host`, `other` (host, member) and `value` say more. */
#define CS_STEPS(X)                                                                                \
	X(LOSS)	   /* of value percent of all frames */                                            \
	X(DELAY)   /* up to value ns more */                                                       \
	X(TWICE)   /* value percent of all frames come twice */                                    \
	X(CUT)	   /* nothing gets from host to other */                                           \
	X(JOIN)	   /* … again it does */                                                         \
	X(ISOLATE) /* nothing gets from or to host */                                              \
	X(REJOIN)                                                                                  \
	X(CRASH) /* the host with its members */                                                   \
	X(BOOT)	 /* … with the state that it had */                                              \
	X(KILL)	 /* the daemon alone */                                                            \
	X(STOP)	 /* … in good order */                                                           \
	X(START)                                                                                   \
	X(STALL)  /* the daemon stands still for value ns */                                       \
	X(UNPLUG) /* the uplink goes down, and the daemon knows */                                 \
	X(PLUG)                                                                                    \
	X(FIT)	  /* other is fit (value) or not, says its check */                                \
	X(MOVE)	  /* other moves to host, in value ns */                                           \
	X(GONE)	  /* other's port is removed; value: the host that it was at */                    \
	X(BACK)	  /* … comes at host */                                                          \
	X(STATE)  /* other's state, by the record: value */                                        \
	X(WEIGHT) /* likewise */                                                                   \
	X(REPLAY) /* host hears what other said before it died, or until now */                    \
	X(AWAY)	  /* records reach hosts up to value ns late */                                    \
	X(HEAL)	  /* all faults end */

enum cs_step_kind {
#define CS_ENUM_(c) CS_##c,
	CS_STEPS(CS_ENUM_)
#undef CS_ENUM_
		CS_STEP_KIND_COUNT
};
const char *cs_step_name(unsigned int kind);

struct cs_step {
	int64_t at; /* since the start */
	uint8_t kind, host, other;
	int64_t value;
};

struct cs_scenario {
	char family[24];
	uint64_t seed;
	unsigned int hosts, faces;
	enum cluster_mode mode;
	unsigned int step_count;
	struct cs_step steps[CS_STEPS_MAX];
	int64_t end;	    /* since the start */
	int64_t flows_most; /* how long a flow lasts at most; 0 = 6 s */
	enum cs_mutation mutation;
};

/* All that follows from a seed; family NULL: any.  False: there is no such family. */
bool cs_scenario_make(struct cs_scenario *s, uint64_t seed, const char *family);
const char *cs_family(unsigned int i); /* NULL after the last */
unsigned int cs_small_count(void);
void cs_small_make(struct cs_scenario *s, unsigned int number);

/* --- the world ------------------------------------------------------------------------------- */

/* A table, as far as it is looked at. */
struct cs_table {
	bool built;
	uint8_t first[CS_ROWS], second[CS_ROWS];
	uint64_t rows_of[CS_MEMBERS + 1]; /* bitmap of the rows whose first a member is */
};
/* By the bitmaps of who is fresh and who is known. */
const struct cs_table *cs_table(unsigned int fresh, unsigned int known);

/* A set of rows in the data plane. */
struct cs_rows {
	const struct cs_table *table; /* NULL: none yet */
	struct heartbeat_view view;
	uint8_t fresh, known;
};

enum cs_order_kind { CS_ORDER_INSTALL, CS_ORDER_COMMIT };
struct cs_order {
	uint8_t kind;
	int64_t at;
	struct cs_rows rows;
};
#define CS_ORDERS_MAX 64

struct cs_host {
	uint8_t index;
	bool up, daemon, linked; /* up: else it and its members are dead */
	struct group g;
	unsigned int version, newest; /* of the record: known here; told next */
	int64_t newest_at;	      /* when; 0 = nothing is to be told */
	uint64_t runs, journal[CS_FACES_MAX];
	int64_t stalled; /* until then */
	int64_t down_at; /* a daemon that stops ends then; 0 = does not */
	int64_t left;	 /* it left in good order, then; 0 = did not */
	int64_t started, ended; /* its daemon, the last time */
	struct cs_order orders[CS_ORDERS_MAX];
	unsigned int order_count;

	/* The data plane. */
	int64_t serve[CS_FACES_MAX], speak[CS_FACES_MAX], own;
	struct cs_rows installed, committed;
	uint8_t entries[CS_FLOWS]; /* member that a flow has, as this anchor knows */
};

struct cs_member {
	int at; /* index of its host; -1: nowhere */
	int home;
	bool fit;
	int to;		 /* it moves there … */
	int64_t arrives; /* … then; 0 = does not move */
	int64_t good;	 /* nothing has befallen it since then */
};

struct cs_flow {
	uint8_t row, face, member; /* member 0: not open */
	int64_t began, ends;
};

struct cs_frame {
	int64_t at;
	uint64_t sequence;
	uint64_t socket; /* it waits in that of this run of the receiver; 0: is on the wire */
	uint8_t from, to;
	bool claim; /* an announcement: face, epoch */
	uint64_t pulse; /* the answer of a host's data plane: the secret; 0: none */
	bool taped; /* sent by somebody who recorded it */
	uint8_t face;
	uint64_t epoch;
	uint16_t len;
	uint8_t data[512];
};

/* What was recorded of a host, or is sent to one: `next` of `count` frames in a ring. */
struct cs_tape {
	struct cs_frame frames[CS_TAPE];
	unsigned int count, next;
	int64_t due; /* 0 = is not sent */
};

struct cs_world {
	const struct cs_scenario *scenario;
	struct chance chance;
	int64_t now;
	bool trace, healed;
	struct cs_host hosts[CS_HOSTS_MAX];
	struct cs_member members[CS_MEMBERS];
	struct cs_flow flows[CS_FLOWS];
	int8_t switch_port[CS_FACES_MAX]; /* the host behind which a face is; -1: nobody's */
	unsigned int record_count;
	struct cluster records[CS_RECORDS_MAX];
	struct cluster_member record_members[CS_RECORDS_MAX][CS_MEMBERS];
	unsigned int loss, twice, next_step;
	int64_t delay, away, next_tick;
	bool cut[CS_HOSTS_MAX][CS_HOSTS_MAX];
	struct cs_tape recorded[CS_HOSTS_MAX], played[CS_HOSTS_MAX]; /* of; to */
	uint8_t lost[CS_HOSTS_MAX][CS_HOSTS_MAX]; /* in a row */
	struct cs_frame *queue[CS_QUEUE_MAX];	  /* a heap, by time */
	struct cs_frame *spare[CS_QUEUE_MAX];
	unsigned int queued, spare_count;
	uint64_t sequence, events, sent, hash;
	struct sim_finding finding;

	/* What the checkers keep. */
	int64_t deafness;   /* the last time that somebody could not hear somebody */
	int64_t last_fault; /* … that anything happened at all */
	int64_t both[CS_FACES_MAX], heard_at[CS_FACES_MAX]; /* two speak: since; of `heard` */
	int64_t wrong[CS_RULE_COUNT];	 /* something is not as it must be: since; 0 = is */
	int64_t follow_by[CS_FACES_MAX]; /* an anchor died: somebody speaks by then; 0 = none did */
	uint64_t epochs[CS_HOSTS_MAX][CS_FACES_MAX]; /* held */
	uint64_t heard[CS_HOSTS_MAX][CS_FACES_MAX];  /* since its daemon started */
	unsigned int anchors, views, opened, delivered, broken, taken;
};

void cs_run(const struct cs_scenario *s, bool trace, struct sim_result *ret);
void cs_tell(struct cs_world *w, int host, const char *what, int64_t a, int64_t b);

/* cluster_world.c, for cluster_host.c */
void cs_send(struct cs_world *w, unsigned int from, const struct cs_frame *f);
const struct cluster *cs_record(const struct cs_world *w, const struct cs_host *h);

/* cluster_host.c */
void cs_host_init(struct cs_world *w, unsigned int index);
void cs_host_start(struct cs_world *w, struct cs_host *h);
void cs_host_crash(struct cs_world *w, struct cs_host *h);
void cs_host_event(struct cs_world *w, struct cs_host *h, const struct group_event *e);
void cs_host_hear(struct cs_world *w, struct cs_host *h, const struct cs_frame *f);
void cs_host_member(struct cs_world *w, struct cs_host *h, unsigned int member);
void cs_host_members(struct cs_world *w); /* all of them, at all hosts */
int64_t cs_host_next(const struct cs_world *w, const struct cs_host *h);
void cs_host_time(struct cs_world *w, struct cs_host *h);	      /* what is due */
bool cs_host_runs(const struct cs_world *w, const struct cs_host *h); /* and does not stall */
/* Bitmap of the rows that it takes. */
uint64_t cs_host_rows(const struct cs_world *w, const struct cs_host *h);
bool cs_host_speaks(const struct cs_world *w, const struct cs_host *h, unsigned int face);

/* cluster_flows.c */
void cs_flows_tick(struct cs_world *w);
bool cs_flow_at(const struct cs_world *w, unsigned int member);

/* cluster_checkers.c */
void cs_fail(struct cs_world *w, enum cs_rule r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void cs_check_instant(struct cs_world *w);
void cs_check_tick(struct cs_world *w);
void cs_check_hold(struct cs_world *w, const struct cs_host *h, unsigned int face, uint64_t epoch);
void cs_check_lease(struct cs_world *w, const struct cs_host *h, unsigned int face, int64_t until);
void cs_check_died(struct cs_world *w, const struct cs_host *h);
void cs_check_fault(struct cs_world *w, int64_t until); /* something happens, and lasts until */
void cs_check_lost(struct cs_world *w, unsigned int from, unsigned int to, bool lost);
void cs_check_stall(struct cs_world *w, const struct cs_host *h, int64_t until);
bool cs_is_candidate(const struct cs_world *w, const struct cs_host *h);
