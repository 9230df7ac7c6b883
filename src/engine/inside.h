/* What the engine's files share; private to this room.
 *
 *   world      the registry in memory                       world.c
 *   txn        changes that belong together, to the store     txn.c
 *   commands   what is asked of us -> a txn               segment.c pool.c vmac.c batch.c port.c
 *              router.c
 *   carry      durable truth -> host and plane         carry.c trail.c uplink.c
 *   load       the registry's records, checked against each other      load.c
 *   follow     what host and time report -> carry, txn      follow.c
 *   view       the world as others may see it                    view.c router_view.c
 *   cluster    load balancing                                     cluster.h, cluster_*.c
 *   side       this host among others: fleet/, the shared registry, the tunnel
 *              side.h, side*.c */
#pragma once

#include "engine/engine.h"
#include "engine/world.h"
#include "host/host.h"
#include "plane/plane.h"
#include "store/store.h"

/* A port as it lives on this host; the record is world.ports[id]. */
struct port_state {
	enum port_phase phase;
	int ifindex;		   /* 0 = no link */
	bool set;		   /* the data plane has it */
	bool filtered;		   /* its vMAC is in the uplink's receive filter, */
	unsigned int router_count; /* and so are these */
	vmac_mac_t routers[PORT_ROUTERS_MAX];
	/* On its way out: nothing but the txn that removes it may touch it any more. */
	bool leaving;
	bool carrier;	    /* somebody is at the other end */
	bool told_up;	    /* fleet/ was told that the port is up (or not), */
	mono_t told_at;	    /* then */
	bool primed;	    /* … and it has the frame that a guest to come may lose */
	uint64_t strangers; /* of frames of others with its vMAC: how many fleet/ knows of */
	mono_t announced;   /* when this host last announced it; ns 0 = never */
	bool gated;	    /* fleet/ has said what the gate is to be: */
	bool flip_seen;	    /* the data plane says that it stands open, and fleet/ is yet to hear */
	enum plane_gate gate;
	struct plane_gate_more more;
	bool paused; /* its guest moves and stands still: what comes is sent after it */
	unsigned int mtu;
	struct error trouble;
};

/* Of the port that had this id and is gone: what comes for its vMAC is sent after its guest. */
struct trail {
	uint32_t segment; /* 0 = none */
	unsigned int slot;
	vmac_mac_t address;
};

/* A NIC that segments share. Slot 0 is not used: it stands for "internal". */
struct uplink_state {
	char ifname[IFNAME_MAX_LEN + 1]; /* "" = the slot is free */
	bool present, set;
	struct host_link link;
	struct error trouble;
};

struct waiter {
	uint64_t behind; /* the number of the last txn submitted before it came */
	void (*fn)(void *ctx);
	void *ctx;
	struct waiter *next;
};

struct engine {
	struct engine_config cfg;
	struct world world;
	struct port_state ports[PORTS_MAX + 1];
	struct trail trails[PORTS_MAX + 1];
	unsigned int trail_count;
	struct uplink_state uplinks[UPLINKS_MAX + 1];
	mono_t retry;	    /* when to try again what the kernel refused; MONO_NEVER = nothing */
	mono_t expiry_hold; /* no expiry before this: the store has just refused one */
	mono_t started;
	uint64_t submitted, settled; /* transactions */
	struct waiter *waiters, **waiters_tail;
	uint64_t event_seq, commands, refusals, refusals_by_code[ERROR_CODE_COUNT];
	void (*event_fn)(void *ctx, const struct engine_event *event);
	void *event_ctx;
	uint64_t drops[PLANE_REASONS_MAX]; /* the counters that a view lent out last */
	struct elect_view live;		   /* the same of a router */
	struct fleet_side *side;	   /* NULL: this host is alone */
	struct balancing *balancing;	   /* cluster.h */
	bool electing; /* the elections have all routers, and hear of every change */
};

/* The uplink slot that a segment's number names; 0 = internal. */
static inline unsigned int segment_slot(const struct segment *s)
{
	return s->net >> 12;
}

static inline unsigned int port_slot(const struct engine *e, const struct port *p)
{
	return segment_slot(world_segment(&e->world, p->segment)->record);
}

static inline void *engine_alloc(struct engine *e, size_t size)
{
	return mem_alloc(e->cfg.mem, size);
}

static inline void engine_dispose(struct engine *e, void *p)
{
	mem_free(e->cfg.mem, p);
}

static inline int engine_no_memory(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, "the daemon needs more memory",
			 "out of memory");
}

/* --- txn.c: changes that belong together ----------------------------------------------------- */

/* Begins with the caller's texts copied; nothing is submitted yet. */
struct txn {
	struct store_txn base; /* first: the store hands it back */
	struct engine *e;
	char *who, *reason;
	struct change *changes;
	size_t capacity;
	answer_fn done; /* NULL: nobody waits */
	void *ctx;
	struct answer answer; /* what to say when all went well */
	vmac_mac_t *addresses;
	/* Called when the changes are durable, before the answer; may refuse with an error of its
	 * own, which is then the answer. NULL = nothing to carry out. */
	int (*carry)(struct txn *t, struct error *ret_error);
	/* Called when they could not be made durable and have been undone. */
	void (*recover)(struct txn *t);
	uint32_t port;	     /* for carry and recover */
	struct order *order; /* of fleet/, that this carries out: side_journal.c */
};

/* NULL: no memory, and the caller has been answered. */
struct txn *txn_begin(struct engine *e, const struct caller *c, answer_fn done, void *ctx);

/* Applies one change to the world and remembers it.  `after` (which world_copy() made, or NULL)
 * becomes the world's, also on failure.  verb static. -ENOMEM: the change is not made. */
int txn_change(struct txn *t, enum change_kind kind, const void *before, void *after,
	       const char *verb);

/* The same with `after` copied from a template. */
int txn_put(struct txn *t, enum change_kind kind, const void *before, const void *after,
	    const char *verb);

/* Takes everything back, answers with the error, ends the txn. */
void txn_refuse(struct txn *t, const struct error *error);

/* Takes everything back, because it was only to be seen whether it could be done: it can. */
void txn_rehearsed(struct txn *t);

/* Ends a txn that has come to hold no change at all. */
void txn_drop(struct txn *t);

/* Hands it to the store; it is answered when the store has answered. */
void txn_submit(struct txn *t);

/* --- helpers for commands -------------------------------------------------------------------- */

/* Counts and answers a refusal that came before any txn. */
void engine_refuse(struct engine *e, answer_fn done, void *ctx, const struct error *error);

/* "" finds the only segment. Errors: NOT_FOUND, MISSING_FIELD (there are several, or none). */
int engine_find_segment(struct engine *e, const char *name, struct world_segment **ret,
			struct error *ret_error);
int engine_find_pool(struct engine *e, const char *name, struct world_pool **ret,
		     struct error *ret_error);
int engine_find_vmac(struct engine *e, const struct vmac_ref *v, const struct vmac **ret,
		     struct error *ret_error);
int engine_find_port(struct engine *e, const char *name, const struct port **ret,
		     struct error *ret_error);
int engine_find_router(struct engine *e, const char *name, const struct router **ret,
		       struct error *ret_error);
int engine_find_cluster(struct engine *e, const char *name, const struct cluster **ret,
			struct error *ret_error);

/* vmac.c: chooses an address as `a` says and adds the record to the txn (state RESERVED).
 * Among hosts a pinned, adopted or stable one must have been agreed upon before: then a->address is
 * what was agreed, also where there is an identity. */
int vmac_create(struct txn *t, const struct vmac_add *a, const struct vmac **ret,
		struct error *ret_error);

/* Adds a change of holder, with its epoch: port 0 = reserved again. */
int vmac_hold(struct txn *t, const struct vmac *v, uint32_t port, const char *verb,
	      const struct vmac **ret, struct error *ret_error);

/* Adds the release of a vMAC that nobody holds (or of one whose port goes in the same txn). */
int vmac_retire(struct txn *t, const struct vmac *v, const char *verb, struct error *ret_error);

/* A guest that comes from elsewhere: a record in state MOVING at this port. */
int vmac_await(struct txn *t, uint32_t segment, vmac_mac_t address, uint32_t port,
	       const struct vmac **ret, struct error *ret_error);

/* Ends a record for good: the epoch floor of its segment rises above it. */
int vmac_forget(struct txn *t, const struct vmac *v, const char *verb, struct error *ret_error);

/* pool.c: moves every vMAC of the segment that fits into the pool (or out of it). */
int pool_reassign(struct txn *t, uint32_t segment, uint32_t from, uint32_t to);

/* pool.c: makes the pool's cursor durable where that is due. */
int pool_mark_cursor(struct txn *t, struct world_pool *p, struct error *ret_error);

/* What becomes of the vMAC of a port that goes. */
enum vmac_fate {
	VMAC_STAYS,    /* reserved again */
	VMAC_RETIRES,  /* into quarantine */
	VMAC_FORGOTTEN /* free at once: it was never on any wire */
};

/* port.c: takes a port out, with its link; only when nothing of it is pending. */
void port_remove(struct engine *e, const struct caller *c, const struct port *p,
		 enum vmac_fate fate, const char *verb, answer_fn done, void *ctx);

/* The commands themselves, when the hosts have agreed (side_command.c), or at once where this host
 * is alone. */
void segment_add_now(struct engine *e, const struct caller *c, const struct segment_add *a,
		     answer_fn done, void *ctx);
int segment_add_check(struct engine *e, const struct segment_add *a, struct error *ret_error);
/* agreed: the pool as the hosts have it, NULL = as `a` says. */
void pool_add_now(struct engine *e, const struct caller *c, const struct pool_add *a,
		  const struct pool *agreed, answer_fn done, void *ctx);
int pool_fill(struct engine *e, const struct pool_add *a, struct pool *p, struct error *ret_error);
void pool_delete_now(struct engine *e, const struct caller *c, const char *name, answer_fn done,
		     void *ctx);
int pool_delete_check(struct engine *e, const char *name, struct error *ret_error);
void vmac_add_now(struct engine *e, const struct caller *c, const struct vmac_add *a, bool rehearse,
		  answer_fn done, void *ctx);
void vmac_batch_now(struct engine *e, const struct caller *c, const struct vmac_batch *b,
		    answer_fn done, void *ctx);
void port_add_now(struct engine *e, const struct caller *c, const struct port_add *a, bool rehearse,
		  answer_fn done, void *ctx);
/* Whether its guest is awaited elsewhere or not. */
void port_delete_at_once(struct engine *e, const struct caller *c, const char *name, bool release,
			 answer_fn done, void *ctx);
int vmac_place(struct engine *e, const struct vmac_add *a, struct world_segment **ret_s,
	       struct world_pool **ret_p, struct error *ret_error);

/* router.c: whether another router has a group, a device or an address of this one, by id. */
int router_clash(struct engine *e, const struct router *r, struct error *ret_error);

/* --- load.c ------------------------------------------------------------------------------------
 */

/* Reads the registry into the world.  A record that contradicts another is REGISTRY_CORRUPT:
 * nothing is served from a registry that could give an address twice. */
int engine_load(struct engine *e, struct error *ret_error);

/* --- carry.c, uplink.c: durable truth -> host and plane -------------------------------------- */

/* Makes link and data plane be as the record says, as far as the kernel lets it now; the outcome is
 * in the port's state (and an event, when its phase changed).  Calling it twice changes nothing. */
void carry_port(struct engine *e, uint32_t id);

/* Unreachable, detached and, where we made it, deleted. */
void carry_port_away(struct engine *e, const struct port *p);

/* The link has gone by itself. */
void carry_port_lost(struct engine *e, uint32_t id);

/* The gate alone is to be as the port's state says (st->gate, st->more), at once. */
void carry_gate(struct engine *e, uint32_t id);

/* Whether its frames pass, as far as the operator and the other hosts have a say in that. */
bool carry_port_open(const struct engine *e, const struct port *p);

/* trail.c: instead of taking the port out of the data plane; false: there is nothing to send on, it
 * is to be taken out as any other. */
bool trail_begin(struct engine *e, const struct port *p);
/* The port takes its slot, or its vMAC. */
void trail_end_for(struct engine *e, const struct port *p);
/* Where what comes for the vMAC is to go from now on; NULL: nowhere.  Without a trail nothing is
 * done. */
void trail_follow(struct engine *e, uint32_t segment, vmac_mac_t address, const struct ip *peer);
/* Ends those of segments that are no more. */
void trails_tidy(struct engine *e);
/* Whether one wants this address from the NIC. */
bool trails_filter(const struct engine *e, unsigned int slot, vmac_mac_t address);
/* The lowest id that neither a port has nor, if that can be, a trail; 0 = none. */
uint32_t trails_free_port_id(const struct engine *e);

/* Whether a port of this record could be made; checks only. */
int carry_port_check(struct engine *e, const struct port *p, struct error *ret_error);

/* Looks for the link of an uplink and sets or removes it in the data plane. */
void carry_uplink(struct engine *e, unsigned int slot);

/* The slot that serves this NIC, or 0. */
unsigned int uplink_slot(const struct engine *e, const char *ifname);
/* Gives a NIC a slot; LIMIT_REACHED when all are taken. */
int uplink_take(struct engine *e, const char *ifname, unsigned int *ret, struct error *ret_error);
/* Frees the slots that no segment uses any more. */
void uplinks_tidy(struct engine *e);
/* Whether a NIC of this host itself has the address. */
bool uplink_has_address(const struct engine *e, vmac_mac_t address);
/* Takes an address out of the receive filter of a NIC, unless something of ours still wants it. */
void uplink_filter_drop(struct engine *e, unsigned int slot, vmac_mac_t address);
/* Brings the receive filter of a NIC in line with the ports: adds what lacks, removes what is ours
 * no more. */
void uplink_filter_tidy(struct engine *e, unsigned int slot);

/* --- events ---------------------------------------------------------------------------------- */

void event_change(struct engine *e, const struct txn *t, const struct change *c);
void event_phase(struct engine *e, const struct port *p, enum port_phase from, enum port_phase to,
		 const char *why);
void event_uplink(struct engine *e, const char *ifname, const char *verb, const char *why);
/* Of fleet/ and the shared registry. */
void event_fleet(struct engine *e, const char *what, const char *segment, const char *subject,
		 const char *verb, const char *from, const char *to, const char *reason);
void event_election(struct engine *e, const struct elect_event *transition);
