/* The inside of the shared registry that is memory: the registry, and what each host hears of it.
 */
#pragma once

#include "base/table.h"
#include "model/cluster.h"
#include "store/shared_backend.h"

/* One state of one key.  In the log until every host has heard of it, and in the table while it is
 * the newest. */
struct node {
	unsigned int refs;
	bool superseded;	      /* by a newer state of the key, other than its end */
	uint64_t writer;	      /* the host whose transaction it was */
	struct shared_record *record; /* revision 0: gone, and only the key counts */
};

struct mem_registry {
	const struct mem *mem;
	uint64_t seed, revision;
	struct table live;
	struct node **log;
	size_t log_count, log_room;
	uint64_t log_first; /* the number of the change at log[0]; they count from 0 */
	struct mem_host *hosts;
	uint64_t opened; /* so far: what hosts are named by */
	size_t records;	 /* live, but images */
};

#define MEM_LOG_MAX	 (1u << 24)
#define MEM_LOG_TRIM_MIN 4096

/* The key alone; its texts are borrowed, and a cluster's stands in `room`. */
struct shared_record mem_key_of(const struct shared_record *r, struct cluster *room);

/* The newest state of a key, or NULL. */
const struct shared_record *mem_registry_get(const struct mem_registry *g,
					     const struct shared_record *key);

/* Compares and writes; writer: a host's name.  0 = not from any. */
enum shared_outcome mem_registry_commit(struct mem_registry *g, const struct shared_put *puts,
					unsigned int count, uint64_t writer,
					struct error *ret_error);

int mem_registry_dump(struct mem_registry *g, int (*fn)(void *ctx, const struct shared_record *r),
		      void *ctx);
int mem_registry_restore(struct mem_registry *g, bool replace,
			 int (*next)(void *ctx, struct shared_record *ret), void *ctx,
			 struct error *ret_error);

/* Tells every host that there is something to hear. */
void mem_registry_ring(struct mem_registry *g);

static inline uint64_t mem_registry_end(const struct mem_registry *g)
{
	return g->log_first + g->log_count;
}

static inline struct node *mem_registry_at(const struct mem_registry *g, uint64_t number)
{
	return g->log[number - g->log_first];
}

/* What a host asked for and waits for. */
struct mem_ask {
	struct mem_ask *next;
	bool refused; /* too many wait */
	shared_done_fn done;
	shared_read_fn read_done; /* a read of records[0] */
	void *ctx;
	unsigned int count;
	struct shared_put puts[];
};

struct mem_host {
	struct shared base;
	struct mem_registry *registry;
	struct mem_host *next, **prev;
	uint64_t name;
	struct shared_config config;
	struct shared_mem_faults faults;
	uint64_t chance;
	uint64_t heard; /* the number of the next change to tell */
	int wake;	/* eventfd; -1 until somebody wants to wait for it */
	bool rung;
	bool started;	  /* has been told all that there was */
	bool reach_known; /* reach() has been called, with */
	bool reachable;
	bool reconcile; /* as soon as may be */
	bool anew;	/* … and what was told is told again */
	struct mem_ask *asks, **asks_end;
	size_t pending;
	struct shared_record **dropped; /* copies of changes that were not told */
	size_t dropped_count, dropped_room;
	bool has_lease;
	struct uuid lease; /* of whose ALIVE record */
	struct shared_facts facts;
};

void mem_host_ring(struct mem_host *h);
