/* This host among others: what stands between fleet/ (which decides), the shared registry (where
 * the hosts agree) and the rest of the engine (which carries out).  Private to this room.
 *
 *   side.c           life; what the shared registry, the data plane, ports and time report: fleet/
 *   side_ops.c       fleet/'s orders -> gates, frames, the shared registry, events
 *   side_journal.c   fleet/'s orders -> this host's own registry
 *   side_wanted.c    what is agreed upon: segments, pools, who can be reached by the tunnel
 *   side_command.c   commands that the hosts have to agree upon first
 *   side_park.c      … while they wait
 *   side_cluster.c   clusters that are everybody's
 *   side_view.c      hosts and moves as others may see them
 *
 * fleet/ is never called from inside one of its own calls.  What its orders make necessary to tell
 * it (a gate that stood open, a pool that has more room) is noted and told in side_turn(), which
 * ends every turn. */
#pragma once

#include "engine/inside.h"
#include "fleet/fleet.h"
#include "host/inject.h"
#include "store/shared.h"
#include "wire/claim.h"

struct order;
struct parked;

/* A segment that hosts agreed upon, or a pool, or a host that can be reached by the tunnel. */
struct wanted {
	struct wanted *next;
	enum shared_kind kind; /* SEGMENT, POOL, HOST */
	struct uuid host;
	struct ip address;
	struct shared_segment segment;
	struct shared_pool pool;
};

/* A cluster that hosts agreed upon. */
struct wanted_cluster {
	struct wanted_cluster *next;
	struct shared_record *record;
};

struct fleet_side {
	struct engine *e;
	struct engine_fleet cfg;
	char name[NAME_MAX_LEN + 1];
	struct uuid self;
	char uuid[UUID_TEXT_MAX];
	struct fleet *fleet;
	struct shared *shared; /* NULL before the start and after the end */
	struct inject *inject; /* NULL: no data plane */
	bool running;	       /* fleet_start() was called, and fleet_stop() was not */
	bool complete;	       /* the shared registry was read once, and this host is a member */
	struct wanted *wanted;
	struct wanted_cluster *clusters;
	struct order *orders, **orders_tail; /* that could not be carried out yet, in order */
	struct order *kept;		     /* durable, and fleet/ is yet to hear */
	mono_t retry;			     /* of the orders; MONO_NEVER = none waits */
	struct parked *parked;
	struct parked *unwritten; /* claimed, and refused by the journal: fleet/ is yet to hear */
	bool rooms_changed, flips_seen, gates_changed, agree_due, pools_due;
	bool leaving;	 /* a port's deletion waits */
	bool ports_due;	 /* all ports are told again */
	bool counts_due; /* the vMACs of a pool that became everybody's are told anew */
	mono_t agree_at; /* to ask again what nobody could answer; MONO_NEVER = nothing */
	struct side_waiter {
		struct side_waiter *next;
		void (*fn)(void *ctx);
		void *ctx;
	} * waiters; /* engine_when_joined() */
	uint64_t announced, queried, send_failed;
	uint64_t claims[CLAIM_VERDICT_COUNT];
	char look[4][UUID_TEXT_MAX]; /* texts that the last views lent */
};

struct fleet_place {
	uint32_t segment;
	vmac_mac_t address;
};

/* --- side.c ---------------------------------------------------------------------------------- */

/* Memory that cannot be done without: an order of fleet/ that got lost would be a lie that nobody
 * finds.  Ends the process where there is none; the next start reads what is so. */
void *side_alloc(struct fleet_side *s, size_t size);

/* Before ports are carried: what was kept and what the journal has, and the gates that follow. */
int side_load(struct engine *e, struct error *ret_error);
int side_start(struct engine *e, struct error *ret_error); /* after it: opens, joins */
void side_free(struct engine *e);

/* What the gate of a port is by the machine that moves its vMAC; false: there is none. */
bool side_gate_of(struct fleet_side *s, const struct port *p, enum plane_gate *ret,
		  struct plane_gate_more *ret_more);

/* All of these do nothing where this host is alone. */
void side_turn(struct engine *e);
void side_time(struct engine *e, mono_t now);
/* Its phase, carrier or gate may have changed; the record may be on its way out. */
void side_port(struct engine *e, const struct port *p);
void side_prime(struct fleet_side *s, uint32_t id); /* as soon as it is up, waiting for its guest */

mono_t side_next_expiry(const struct fleet_side *s);
void side_settled(struct fleet_side *s, const struct txn *t); /* durable */

/* The name of a vMAC's pool and its number there ("", POOL_NO_NUMBER: of none). */
const char *side_pool_of(struct fleet_side *s, uint32_t pool, vmac_mac_t address,
			 uint64_t *ret_number);
void side_room(struct fleet_side *s, const struct world_pool *p); /* tells how much is free */

/* --- side_ops.c ------------------------------------------------------------------------------ */

extern const struct fleet_ops side_ops;

/* The port that carries a vMAC, 0 = none. */
uint32_t side_port_of(const struct fleet_side *s, const struct fleet_name *n);
void side_gate(struct fleet_side *s, uint32_t id, enum migrate_gate gate, const struct ip *peer);

/* --- side_wire.c ----------------------------------------------------------------------------- */

/* A frame with the vMAC of a port as its source came by the uplink. */
void side_stranger(struct fleet_side *s, const struct fleet_name *name,
		   const struct plane_event *event, mono_t now);

/* --- side_journal.c -------------------------------------------------------------------------- */

void side_hold(void *ctx, const struct shared_vmac *record, uint64_t epoch);
void side_yield(void *ctx, const struct fleet_name *n, const struct shared_host *peer,
		uint64_t epoch);
void side_forget(void *ctx, const struct fleet_name *n);
void side_keep(void *ctx, const struct shared_record *before, const struct shared_record *after,
	       uint64_t token);
void side_make_pool(struct fleet_side *s, const struct shared_pool *p);
void side_drop_pool(struct fleet_side *s, const struct shared_pool *p);
void side_orders_retry(struct fleet_side *s);
void side_orders_kept(struct fleet_side *s);
void side_orders_free(struct fleet_side *s);

/* A port goes whose vMAC is not this host's: what becomes of the record. */
int side_port_leaves(struct txn *t, const struct vmac *v, struct error *ret_error);

/* Fills in what the shared registry says of a vMAC that is to come: the texts are borrowed. */
void side_describe(struct fleet_side *s, struct vmac *v);

/* --- side_wanted.c --------------------------------------------------------------------------- */

void side_told(struct fleet_side *s, const struct shared_record *r);
void side_told_pool(void *ctx, const struct shared_pool *p, bool gone);
void side_block(void *ctx, const char *pool, uint64_t number, uint32_t block_size, bool ours);
/* What this host has and the others may not know: its segments, then the pools of these. */
void side_agree_all(struct fleet_side *s);
void side_agree_pools(struct fleet_side *s);
void side_agreed_segment(struct fleet_side *s, const struct shared_segment *segment);
void side_agreed_pool(struct fleet_side *s, const struct shared_pool *pool);
void side_segment_came(struct fleet_side *s, const struct segment *segment);
void side_wanted_free(struct fleet_side *s);
void side_to_pool(struct fleet_side *s, const struct pool *p, struct shared_record *ret);

/* --- side_command.c -------------------------------------------------------------------------- */

void side_segment_add(struct engine *e, const struct caller *c, const struct segment_add *a,
		      answer_fn done, void *ctx);
void side_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		   answer_fn done, void *ctx);
void side_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
		      void *ctx);
void side_vmac_add(struct engine *e, const struct caller *c, const struct vmac_add *a,
		   answer_fn done, void *ctx);
void side_vmac_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
		     answer_fn done, void *ctx);
void side_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		   answer_fn done, void *ctx);

/* Whether the port's guest has left it for another host, which has not said yet that it is there:
 * until then what comes for it is sent after it, by way of this port. */
bool side_port_awaited(const struct engine *e, const struct port *p);
/* The deletion of such a port, which waits until it is so no more, and for MIGRATE_REDIRECT at
 * most. */
void side_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
		      answer_fn done, void *ctx);

/* Whether a command under way is about to make this pool itself. */
bool side_pool_is_coming(const struct fleet_side *s, const char *name);
/* Whether one is being claimed, and its command will make the record. */
bool side_claim_is_coming(const struct fleet_side *s, uint32_t segment, vmac_mac_t address);
uint64_t side_demand(const struct fleet_side *s, const char *pool); /* of what waits for blocks */
void side_parked_turn(struct fleet_side *s); /* blocks came, or time passed */
mono_t side_parked_expiry(const struct fleet_side *s);
void side_parked_end(struct fleet_side *s); /* answers all: we stop */
void side_unwritten(struct fleet_side *s);  /* tells what was claimed in vain */

/* Whether the shared registry has a record of it. */
bool side_has_record(struct fleet_side *s, uint32_t segment, vmac_mac_t address);
/* Whether this is a vMAC that another host has, or may have, and which: for a port that waits for
 * it. */
bool side_elsewhere(struct fleet_side *s, const struct vmac_ref *ref, struct fleet_place *ret);

/* --- side_cluster.c (more of it: cluster.h) -------------------------------------------------- */

/* Adds to the txn what makes this host's record be as it is told; < 0: no memory now, or (and then
 * never) SIDE_CLUSTER_CANNOT. */
#define SIDE_CLUSTER_CANNOT (-1000)
int side_do_cluster(struct txn *t, const struct shared_cluster *told, bool gone);
void side_told_face(struct fleet_side *s, const struct shared_vmac *v);
void side_clusters_free(struct fleet_side *s);

/* --- side_view.c ----------------------------------------------------------------------------- */

bool side_move(struct fleet_side *s, const char *segment, vmac_mac_t address,
	       struct move_view *ret);
void side_status(struct fleet_side *s, struct fleet_status *ret);
void side_holder(struct fleet_side *s, const struct vmac *v, char ret[static NAME_MAX_LEN + 1]);
const char *migrate_gate_text(enum migrate_gate gate);
