/* Many hosts, one shared registry, and guests that move between them.
 *
 * Theory of operation
 *
 * As the simulation of routers (sim.h): a *scenario* is data that follows from a seed
 * (fleet_scenarios.c) or an enumeration (fleet_small.c); a *world* plays it, an event queue under
 * the seed's generator; *checkers* (fleet_checkers.c) say what must hold, whatever the scenario
 * does; the first thing that does not hold is the *finding* and ends the run.
 *
 * Every host runs the production core (fleet/ with migrate/) over ops of its own (fleet_host.c):
 * a journal of which only what was committed survives a crash, and a data plane with the gates of
 * plane/plane.h, which survives the daemon's crash and not the host's.  The registry
 * (fleet_registry.c) is a model of etcd as store/shared.h promises it: revisions,
 * compare-and-swap, leases, a watch in order; and of how it fails: hosts cut off, requests that
 * are carried out long after their time-out, answers and watch events that are lost, a full disk,
 * a restore from an older backup.  The wire (fleet_wire.c) is two switches that learn, age and
 * flood, with a client station behind one.  Guests (fleet_guests.c) speak wherever they run, and a
 * migration carries them through prepare, stop, copy, start, remove, and fails at any step.
 *
 * Who runs where is the world's truth; hosts never see it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/table.h"
#include "fleet/fleet.h"
#include "wire/claim.h"
#include "chance.h"
#include "driver.h"

#define MS		   INT64_C(1000000)
#define SECOND		   (1000 * MS)
#define FS_START	   (1000 * SECOND)
#define FS_STEPS_MAX	   96
#define FS_BOUNDED_HOSTS   6  /* of a scenario with guests; --scale has more, and none */
#define FS_VMS_MAX	   10 /* … */
#define FS_EVENTS_MAX	   2000000 /* of one run: more is a storm */
#define FS_AGEING	   (300 * SECOND)
#define FS_TIMEOUT	   (2 * SECOND) /* of a request to the registry */
#define FS_RECONCILE	   (15 * SECOND) /* what was not told is told then */
#define FS_SOURCE_BOUND	   (10 * MS) /* an old host may speak so long after the new one began */
#define FS_WORD_BOUND	   (2 * SECOND) /* … and what a guest said there counts so long */
#define FS_GATE_BOUND	   (3 * SECOND)
#define FS_REDIRECT_BOUND  (16 * SECOND) /* a pause, and 10 s */
#define FS_REACH_BOUND	   (60 * SECOND) /* after the last fault every guest is reachable */
#define FS_IMAGE_BOUND	   (3 * SECOND) /* a host in reach has told of an address by then */
#define FS_QUARANTINE	   (5 * SECOND)
#define FS_STORM_REQUESTS  60 /* of one host in the last 10 s, when all is well */

/* --- scenarios ------------------------------------------------------------------------------- */

#define FS_STEPS(X)                                                                                \
	X(GUEST_NEW, "a guest with a new address begins on `host`")                                \
	X(GUEST_END, "guest `vm` ends, and its address is released")                               \
	X(GUEST_DOWN, "guest `vm` is shut down")                                                   \
	X(GUEST_UP, "guest `vm`, which is down, begins again on `host`")                           \
	X(MOVE, "guest `vm` moves to `host` by plan `value`")                                      \
	X(CLONE, "a second guest with the address of `vm` begins on `host`")                       \
	X(CLONE_END, "… and ends")                                                                 \
	X(PIN, "`host` claims address `value` of no pool, or of a pool")                           \
	X(CUT, "`host` cannot reach the registry")                                                 \
	X(JOIN, "… again it can")                                                                  \
	X(REGISTRY_DOWN, "nobody can")                                                             \
	X(REGISTRY_UP, "… everybody can")                                                          \
	X(REGISTRY_FULL, "the registry refuses every write (`value`), or not")                     \
	X(ANSWERS_LOST, "`value` percent of the answers to `host` are lost")                       \
	X(REQUESTS_LATE, "requests of `host` are carried out up to `value` ns late")               \
	X(TOLD_LOST, "`value` percent of what `host` is to be told is not, until the next read")   \
	X(COMPACT, "the watch of `host` is compacted: it reads everything anew")                   \
	X(LEASE_DROP, "the lease of `host` ends early")                                            \
	X(LEASE_STRETCH, "leases end only after `value` ns")                                       \
	X(BACKUP, "a backup of the registry is made")                                              \
	X(RESTORE, "… and restored")                                                               \
	X(STALL, "the daemon of `host` does nothing for `value` ns")                               \
	X(DISK_SLOW, "the journal of `host` takes up to `value` ns")                               \
	X(DAEMON_CRASH, "the daemon of `host` dies; guests and data plane go on")                  \
	X(DAEMON_STOP, "… it stops as it should")                                                  \
	X(DAEMON_START, "… it starts")                                                             \
	X(POWER_OFF, "`host` loses power")                                                         \
	X(POWER_ON, "… it comes back; `value`: and its guests with it")                            \
	X(LOSS, "`value` percent of all frames on the wire are lost")                              \
	X(FORGE, "somebody on the wire sends a RARP for the address of `vm`; `value`: how")        \
	X(WALL, "the wall clock of `host` jumps by `value` ms")                                    \
	X(DRAIN, "`host` drains")                                                                  \
	X(UNDRAIN, "… no more")                                                                    \
	X(VOUCH, "`host` is off; an operator vouches for it, and its guests begin elsewhere")      \
	X(VOUCH_FALSELY, "… and it is not off")                                                    \
	X(FORGET, "`host` is off, vouched dead, and forgotten")                                    \
	X(THAW, "an operator thaws `vm`")                                                          \
	X(BEAT, "guests speak every `value` ns")                                                   \
	X(HEAL, "all faults end")

enum fs_step_kind {
#define FS_ENUM_(c, meaning) FS_##c,
	FS_STEPS(FS_ENUM_)
#undef FS_ENUM_
		FS_STEP_COUNT
};
const char *fs_step_name(enum fs_step_kind k);

struct fs_step {
	int64_t at; /* since the start */
	uint8_t kind, host, vm;
	int64_t value;
};

/* How a guest moves; packed into fs_step.value. */
struct fs_plan {
	uint8_t prepare, port_first, hint_stop, hint_start, announces, cold, fail_after, undo_hints;
	uint8_t pace; /* of the steps: 2^pace ms at most */
};
#define FS_FAIL_NEVER 9
int64_t plan_pack(const struct fs_plan *p);
struct fs_plan plan_unpack(int64_t value);

#define FS_MUTATIONS(X)                                                                            \
	X(NOTHING, "", NONE)                                                                       \
	X(OPEN_AT_PREPARE, "the destination opens when the move is prepared", GATE_EARLY)          \
	X(CLAIM_NO_COMPARE, "a vMAC is claimed without comparing", EPOCH)                          \
	X(YIELD_UNTAGGED, "a frame without a tag counts as one with", SURRENDER)                   \
	X(REDIRECT_FOREVER, "stragglers are redirected without end", REDIRECT)                     \
	X(TUNNEL_LOOP, "what came out of the tunnel goes into it again", LOOP)                     \
	X(TUNNEL_HOLE, "what comes out of the tunnel is dropped", TUNNEL)                          \
	X(AMNESIA, "the journal forgets what it was told last", DOUBLE)                            \
	X(OLD_EPOCH, "the journal keeps an epoch of before", EPOCH)                                \
	X(DEAF, "one host is never told again, and nobody knows", GATE)                            \
	X(STUCK_GATE, "a gate that was opened never closes", GATE)                                 \
	X(DEFENDS, "a host that was left answers the new one's frames", SOURCES)                   \
	X(LEASE_IS_DEATH, "a lease that ran out counts as death", TAKEN)                           \
	X(MUTE, "one host's asks never leave", REACH)                                              \
	X(STORM, "a host writes its own record without end", STORM)                                \
	X(NO_ALARM, "alarms are not raised", ALARM)                                                \
	X(BLOCK_KEPT, "a block that was given back is still allocated from", BLOCK)

enum fs_mutation {
#define FS_ENUM_(c, meaning, rule) FS_MUTATE_##c,
	FS_MUTATIONS(FS_ENUM_)
#undef FS_ENUM_
		FS_MUTATION_COUNT
};

struct fs_scenario {
	char family[24];
	uint64_t seed;
	unsigned int hosts, addresses, pool_size, block_size, vms;
	bool any_frame; /* the policy for hypervisors that announce nothing */
	unsigned int step_count;
	struct fs_step steps[FS_STEPS_MAX]; /* the last is HEAL */
	int64_t beat, end;		    /* end: since start, of all */
	enum fs_mutation mutation;
	bool two_can_be; /* a false vouch: two guests run, and both are believed */
};
bool fs_scenario_make(struct fs_scenario *s, uint64_t seed, const char *family);
const char *fs_family(unsigned int i); /* NULL after the last */
unsigned int fs_small_count(void);
void fs_small_make(struct fs_scenario *s, unsigned int number);
int fs_scale(unsigned int hosts, unsigned int addresses);

/* --- rules ----------------------------------------------------------------------------------- */

#define FS_RULES(X)                                                                                \
	X(NONE, "")                                                                                \
	X(SOURCES, "two uplinks source one vMAC while its guest runs in one place")                \
	X(EPOCH, "an epoch fell, or did not grow with the holder")                                 \
	X(DOUBLE, "an address was allocated that somebody has")                                    \
	X(BLOCK, "two hosts allocate from one block")                                              \
	X(REACH, "a guest is not reachable, and there is no reason")                               \
	X(GATE, "a gate is open on a host that the registry does not name")                        \
	X(GATE_EARLY, "a gate was opened that nothing permits")                                    \
	X(SURRENDER, "a gate was closed to a guest that nobody else has")                          \
	X(TUNNEL, "a redirected frame was not delivered")                                          \
	X(LOOP, "a redirected frame was redirected again")                                         \
	X(REDIRECT, "stragglers are redirected for longer than the bound")                         \
	X(TAKEN, "a vMAC was taken from a host that has its guest, and lives")                     \
	X(ALARM, "a guest is frozen or doubled, and there was no alarm")                           \
	X(LEAK, "a journal keeps an address that nobody has")                                      \
	X(STORM, "a host is not at rest when all is well")

enum fs_rule {
#define FS_ENUM_(c, meaning) FS_RULE_##c,
	FS_RULES(FS_ENUM_)
#undef FS_ENUM_
		FS_RULE_COUNT
};
const char *fs_rule_name(unsigned int r);

/* --- the registry ---------------------------------------------------------------------------- */

struct node { /* one state of one key; in the log, or kept by a journal */
	unsigned int refs;
	bool superseded;
	struct shared_record *record; /* revision 0: gone */
};

struct txn {
	unsigned int refs; /* of events and of the host that waits */
	unsigned int generation;
	bool answered, read;
	uint64_t token;
	unsigned int count;
	struct shared_put puts[4]; /* fleet/ never writes more at once */
};

enum message_kind { MESSAGE_TOLD, MESSAGE_SKIP, MESSAGE_NEWEST, MESSAGE_COMPLETE, MESSAGE_OUTCOME,
		    MESSAGE_IMAGE, MESSAGE_REACH };
struct message { /* of the registry to one host: in order */
	struct message *next;
	uint8_t kind, outcome;
	bool bad;
	struct node *node;
	size_t log; /* TOLD, SKIP: where in the log */
	uint64_t token, revision;
};

/* --- hosts ----------------------------------------------------------------------------------- */

struct entry { /* one vMAC in a journal */
	bool exists, port;
	uint8_t state;
	uint64_t epoch;
	int64_t until; /* QUARANTINED: of the host's wall clock */
};

struct dport { /* of the data plane */
	bool exists, up, gated;
	uint8_t gate;
	int peer; /* REDIRECT: a host, -1 = none */
	bool flipped, flip_seen;
	unsigned int incarnation;
	int64_t spoke_due, stranger_due, tagged_due;
	/* The checkers'. */
	bool permit;
	int64_t since, bad_since, redirect_since;
};

struct place_of {
	struct entry now, durable; /* as ordered; as committed */
	struct dport port;
};

enum order_kind { ORDER_ENTRY, ORDER_KEEP };
struct order {
	struct order *next;
	uint8_t kind;
	unsigned int n;
	struct entry before, after;
	struct node *kept;	/* KEEP: NULL = no more */
	struct shared_record *key; /* … then the key */
	uint64_t token;
};

struct world;
struct host {
	struct world *world;
	struct fleet *fleet; /* NULL: the daemon is down */
	unsigned int index, generation;
	struct uuid uuid;
	char name[16];
	bool power, for_good, draining, vouched, forgotten, autostart;
	int64_t offset; /* of its monotonic clock */
	int64_t wall;	/* of its wall clock, ms */
	struct vmac look;

	/* Faults. */
	bool cut, missed;
	unsigned int answers_lost, told_lost;
	int64_t late, stalled, disk_slow;
	int64_t clean_since; /* INT64_MAX: it is disturbed */
	int64_t awake_since;

	/* Its client of the registry. */
	bool connected;
	size_t heard;
	struct message *first, **last;
	int64_t channel_at;
	size_t *skipped, skipped_count, skipped_room;
	int64_t lease_at; /* its lease ends then; INT64_MAX: it is kept alive */
	uint64_t requests;

	/* Its journal. */
	struct place_of **blocks; /* by address / block_size */
	struct table kept;	  /* struct node, durable */
	struct order *orders, **orders_last;
	int64_t orders_at;
	bool *ours;
	bool pool_known;
	uint64_t room, room_told;
	unsigned int flips;
	int64_t timer_at;
	unsigned int alarms;
	uint64_t rest_requests;
};

/* --- guests ---------------------------------------------------------------------------------- */

struct vm {
	bool exists, down, announces;
	bool forced; /* taken by force, and the registry has not said so yet */
	bool lost; /* its host was forgotten, and its address may be anybody's */
	unsigned int n;	 /* its address */
	unsigned int at; /* the host that has it, or had */
	uint32_t runs;	 /* a bit each host */
	int clone;	 /* the host of a second one, -1 */
	bool moving, prepared, undoing, settled, ever_cloned;
	unsigned int to, step;
	struct fs_plan plan;
	int64_t settled_since;
	int64_t since; /* its address was allocated */
	int64_t clean; /* how long its host was undisturbed since, at a stretch */
	int removing; /* a host whose port is yet to be removed, -1 */
	uint64_t tick;
	/* The checkers'. */
	int64_t first[FS_BOUNDED_HOSTS]; /* frame since its guest began there; 0 = none */
	int64_t left[FS_BOUNDED_HOSTS];	 /* when its guest last stood still there */
	int64_t client_rx, guest_rx;	 /* last frame at the client; of the client */
	unsigned int probes, probed;
};

/* --- the wire -------------------------------------------------------------------------------- */

#define AT_CLIENT   (-1)
#define AT_TRUNK    (-2)
#define AT_FORGER   (-3)
#define TO_ALL	    (-1)
#define FROM_CLIENT (-2)
struct frame {
	int from, to; /* addresses by number; TO_ALL, FROM_CLIENT */
	int at;	      /* the switch or host that it comes to */
	int port;     /* … by which port of the switch */
	int via;      /* tunnel: who redirected it */
	bool at_switch, tunnel, announcement, probe;
	uint8_t hops, len;
	uint8_t data[CLAIM_LEN]; /* of an announcement */
};
#define FS_SWITCHES 2
struct learned {
	int port;
	int64_t seen; /* 0: never */
};

/* --- the world ------------------------------------------------------------------------------- */

enum event_kind { EVENT_STEP, EVENT_REQUEST, EVENT_TIMEOUT, EVENT_CHANNEL, EVENT_COMMIT,
		  EVENT_TIMER, EVENT_FLIPPED, EVENT_SPOKE, EVENT_STRANGER, EVENT_FRAME, EVENT_GUEST,
		  EVENT_ANNOUNCE, EVENT_MOVE, EVENT_LEASE, EVENT_RECONCILE, EVENT_CHECK,
		  EVENT_REMOVE, EVENT_QUARANTINE };
struct event {
	int64_t at;
	uint64_t sequence;
	uint8_t kind;
	uint32_t host, generation;
	uint64_t a, b;
	void *p;
};

struct world {
	const struct fs_scenario *scenario;
	struct chance chance;
	struct mem mem;
	int64_t now, heal_at, lease_stretch, beat;
	bool trace, healed;
	unsigned int host_count, address_count, pool_size, block_size, block_count;
	struct host *hosts;
	struct vm vms[FS_VMS_MAX];
	unsigned int vm_count, loss;
	int *vm_of; /* by address; -1 none */

	/* The registry. */
	struct table live; /* struct node */
	struct node **log;
	size_t log_count, log_room;
	uint64_t revision;
	bool down, full, restoring, restored, vouched_any;
	struct node **backup;
	size_t backup_count;
	uint64_t *epochs; /* by address: the highest of any record or journal */

	struct learned *fdb[FS_SWITCHES];

	struct pin *pins; /* claims for pinned addresses, ever */
	struct event *heap;
	size_t heap_count, heap_room;
	uint64_t sequence, hash;
	uint64_t events, frames, commits, told, moves, flips, fdb_moves, forwarded, redirected,
		alarms, lost;
	struct sim_finding finding;
};

/* fleet_world.c */
void fs_run(const struct fs_scenario *s, bool trace, struct sim_result *ret);
void world_init(struct world *w, const struct fs_scenario *s, bool trace);
void world_done(struct world *w);
bool world_turn(struct world *w); /* one event; false: none is left */
struct event *world_push(struct world *w, int64_t at, enum event_kind kind, unsigned int host);
void world_tell(struct world *w, int host, const char *what, int64_t a, int64_t b);
void *fs_alloc(size_t size);

/* fleet_registry.c */
void registry_init(struct world *w);
void registry_done(struct world *w);
const struct shared_record *registry_get(const struct world *w, const struct shared_record *key);
struct node *registry_node(const struct world *w, const struct shared_record *key);
const struct shared_vmac *registry_vmac(const struct world *w, unsigned int n);
bool registry_asked(const struct world *w, unsigned int n);
/* The host; -1: nobody, -2: a stranger. */
int registry_block(const struct world *w, unsigned int n);
void registry_submit(struct host *h, const struct shared_put *puts, unsigned int count,
		     uint64_t token, bool read);
void registry_request(struct world *w, struct event *e);
void registry_timeout(struct world *w, struct event *e);
void registry_connect(struct host *h, bool all);
void registry_cut(struct host *h, bool cut);
void registry_channel(struct host *h);
void registry_channel_drop(struct host *h);
void registry_reconcile(struct host *h);
void registry_lease(struct world *w, struct host *h);
void registry_backup(struct world *w);
void registry_restore(struct world *w);
void node_free(struct node *n);

/* fleet_host.c */
void host_init(struct world *w, struct host *h, unsigned int index);
void host_done(struct host *h);
void host_up(struct host *h);
void host_down(struct host *h, bool graceful);
void host_power(struct host *h, bool on);
mono_t host_now(const struct host *h);
void host_leave(struct host *h); /* after any entry into its fleet */
void host_commit(struct host *h);
void host_flush(struct host *h);
void host_disturb(struct host *h);
bool host_clean(const struct host *h, int64_t for_ns);
int host_of(const struct world *w, const struct uuid *u); /* -1 */
const char *pool_of(const struct world *w, unsigned int n); /* "" = of none */
bool is_home(const struct host *h, unsigned int n);
struct place_of *place_at(struct host *h, unsigned int n);
struct fleet_name name_of(const struct host *h, unsigned int n);
bool entry_held(const struct entry *e);
void entry_set(struct host *h, unsigned int n, const struct entry *after);
int host_allocate(struct host *h); /* an address; -1: none is free here */
bool host_port_add(struct host *h, unsigned int n);
void host_port_delete(struct host *h, unsigned int n);
void host_port_link(struct host *h, unsigned int n, bool up);
int host_hint(struct host *h, enum migrate_event_kind kind, unsigned int n);
void host_pin(struct host *h, unsigned int n);
void pins_done(struct world *w);
void host_agree(struct host *h);

/* fleet_wire.c */
void wire_guest(struct world *w, unsigned int host, unsigned int n, int to, bool announcement);
void wire_announce(struct host *h, unsigned int n, uint64_t epoch);
void wire_forge(struct world *w, unsigned int n, int how);
void wire_client(struct world *w, unsigned int n);
void wire_frame(struct world *w, struct frame *f);
void wire_report(struct host *h, const struct event *e);
void wire_gate(struct host *h, unsigned int n, enum migrate_gate gate, int peer);

/* fleet_guests.c */
void vm_new(struct world *w, unsigned int host);
void vm_start(struct world *w, struct vm *v, unsigned int host);
void vm_stop(struct world *w, struct vm *v, unsigned int host);
void vm_move(struct world *w, struct vm *v, unsigned int to, const struct fs_plan *plan);
void vm_move_step(struct world *w, struct vm *v);
void vm_remove(struct world *w, struct vm *v, unsigned int host);
void vm_tick(struct world *w, struct vm *v, uint64_t tick);
void vm_beat(struct world *w, int64_t beat);
void vm_announce(struct world *w, struct vm *v, unsigned int host);
void vm_power(struct world *w, unsigned int host, bool on);
void vm_down(struct world *w, struct vm *v);
void vm_up(struct world *w, struct vm *v, unsigned int host, bool force);
void vm_end(struct world *w, struct vm *v);
void vm_clone(struct world *w, struct vm *v, unsigned int host, bool on);
struct vm *vm_with(struct world *w, unsigned int n);

/* fleet_checkers.c */
void check_fail(struct world *w, enum fs_rule r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_emit(struct host *h, unsigned int n);
void check_gate(struct host *h, unsigned int n, enum migrate_gate before);
void check_allocate(struct host *h, unsigned int n);
void check_entry(struct host *h, unsigned int n, const struct entry *before,
		 const struct entry *after);
void check_record(struct world *w, const struct shared_record *before,
		  const struct shared_record *after);
void check_tunnel(struct host *h, const struct frame *f, bool delivered);
void check_time(struct world *w);
void check_rest(struct world *w); /* 10 s before the end */
void check_end(struct world *w);
