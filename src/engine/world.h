/* The registry in memory: every record, and the ways to find one.
 *
 * The records are immutable; the world swaps pointers.  A change {before, after} is applied by
 * world_apply() and undone by applying {after, before}: marks in the pools, counters and deadlines
 * follow from the two images alone, so there is no second way to do anything. */
#pragma once

#include "base/heap.h"
#include "base/mem.h"
#include "base/table.h"
#include "engine/claims.h"
#include "model/cluster.h"
#include "model/model.h"
#include "model/router.h"
#include "model/shared.h"
#include "pool/pool.h"

struct world_segment {
	const struct segment *record;
	uint64_t pools, vmacs, quarantined, ports; /* vmacs: without the quarantined */
	bool shared;				   /* the hosts have agreed upon it */
	bool agreeing;				   /* the others are being asked */
};

struct world_pool {
	const struct pool *record; /* cursor: the durable mark, see world_cursor_mark() */
	struct pool_machine machine;
	bool shared;   /* the hosts have agreed upon it: blocks of it may be claimed */
	bool agreeing; /* the others are being asked */
	bool counted;  /* fleet/ knows the pool, and was told of its vMACs as of the pool's */
	bool conflict; /* others have a pool of that name otherwise */
};

struct world {
	const struct mem *mem;
	struct world_segment *segments[SEGMENTS_MAX + 1]; /* by id, as ids are the smallest free */
	struct world_pool *pools[POOLS_MAX + 1];	  /* likewise */
	struct table segments_by_name, pools_by_name;	  /* of the same */
	struct table vmacs, vmacs_by_name; /* of const struct vmac; quarantined ones have no name */
	const struct port *ports[PORTS_MAX + 1]; /* by id */
	struct table ports_by_name;		 /* of const struct port */
	unsigned int port_count;
	const struct router *routers[ROUTERS_MAX + 1]; /* by id */
	struct table routers_by_name;		       /* of const struct router */
	struct claims claims;			       /* of the same */
	uint32_t router_id_last;		       /* given to a new one */
	const struct cluster *clusters[CLUSTERS_MAX + 1]; /* by id */
	struct table clusters_by_name;			  /* of const struct cluster */
	struct table cluster_places; /* of the same: by face, virtual address and member */
	uint32_t cluster_id_last;    /* given to a new one */
	struct table kept; /* of const struct shared_record: what fleet/ must know at a start */
	uint64_t quarantined;
	bool in_blocks; /* hosts share the pools: each takes from its own blocks only */
	/* When to look at a vMAC again: lifetimes, and quarantines outside all pools.  An entry
	 * whose time is not the record's `until` is stale and means nothing. */
	struct heap deadlines; /* at = ms, key = vmac_key() */
};

void world_init(struct world *w, const struct mem *mem);
void world_done(struct world *w); /* frees every record */

struct world_segment *world_segment(const struct world *w, uint32_t id);
struct world_segment *world_segment_named(const struct world *w, const char *name);
struct world_pool *world_pool(const struct world *w, uint32_t id);
struct world_pool *world_pool_named(const struct world *w, const char *name);
const struct vmac *world_vmac(const struct world *w, uint32_t segment, vmac_mac_t address);
const struct vmac *world_vmac_named(const struct world *w, uint32_t segment, const char *name);
const struct port *world_port_named(const struct world *w, const char *name);
const struct router *world_router_named(const struct world *w, const char *name);
const struct cluster *world_cluster(const struct world *w, uint32_t id);
const struct cluster *world_cluster_named(const struct world *w, const char *name);
const struct cluster *world_cluster_of_face(const struct world *w, uint32_t segment,
					    vmac_mac_t face);
const struct cluster *world_cluster_of_address(const struct world *w, uint32_t segment,
					       const struct ip *address);
/* All that have this member; returns how many. */
unsigned int world_clusters_of_member(const struct world *w, uint32_t segment, vmac_mac_t member,
				      const struct cluster *ret[static CLUSTERS_MAX]);
const struct shared_record *world_kept(const struct world *w, const struct shared_record *key);

/* The pool of this segment whose ranges hold the address, or NULL. */
struct world_pool *world_pool_over(const struct world *w, uint32_t segment, vmac_mac_t address);

/* Swaps one record for another (either may be NULL).  The world does not free `before`.
 * -ENOMEM: nothing changed. */
int world_apply(struct world *w, enum change_kind kind, const void *before, const void *after);

/* Start-up: the same for vMACs that the registry has, in bulk: touches memory ahead so that a
 * million records do not wait for it one by one.  -EUCLEAN for a record that contradicts another,
 * -ENOMEM; *ret_done of them became the world's. */
int world_load_vmacs(struct world *w, struct vmac *const *records, size_t count, size_t *ret_done);

/* cluster_world.c: parts of the above. */
void world_clusters_init(struct world *w);
void world_clusters_done(struct world *w);
int world_apply_cluster(struct world *w, const struct cluster *before, const struct cluster *after);

/* Copies a record into memory of its own, with all that it points to; a router's may be held by
 * others, too. NULL: no memory. */
void *world_copy(const struct world *w, enum change_kind kind, const void *record);
/* The end of a copy for us; NULL is fine. */
void world_drop(const struct world *w, enum change_kind kind, const void *copy);

/* The smallest unused id, or 0 when all are in use. */
uint32_t world_free_segment_id(const struct world *w);
uint32_t world_free_pool_id(const struct world *w);
uint32_t world_free_port_id(const struct world *w);

/* Not the smallest, but the next: a deleted router's is still in use while it hands over. */
uint32_t world_free_router_id(struct world *w);
uint32_t world_free_cluster_id(struct world *w);

/* A cursor is made durable this far ahead, once in so many allocations.  After a restart the pool
 * goes on at the mark; the numbers in between stay free and come in the next round. */
#define WORLD_CURSOR_STRIDE 256

/* Whether the pool's cursor has come to its durable mark, and where the next mark is. */
bool world_cursor_mark(const struct world_pool *p, uint64_t *ret_mark);
