/* What the tests of the store share: a directory, records, transactions that note their answer. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "model/record.h"
#include "store/store.h"

#define FIXTURE_PATH_MAX 512

/* A new empty directory below TMPDIR; returns buf. */
char *fixture_directory(char buf[static FIXTURE_PATH_MAX]);
void fixture_remove(const char *directory);
char *fixture_path(const char *directory, const char *name, char buf[static FIXTURE_PATH_MAX]);

/* Memory that counts, from any thread. */
extern const struct mem fixture_mem;
long fixture_blocks(void); /* handed out and not yet freed */

struct store *fixture_open(const char *backend, const char *directory);
int fixture_try(const char *backend, const char *directory, struct store **ret,
		struct error *ret_error);

/* Dispatches until nothing is pending. */
void fixture_settle(struct store *s);
/* Waits until store_dispatch() has something to do. */
void fixture_wait(struct store *s);

/* --- records; every one is a block of its own, for free() ------------------------------------ */

struct vmac *fixture_vmac(uint32_t segment, uint64_t address, const char *name, const char *owner);
struct vmac *fixture_vmac_copy(const struct vmac *v);
struct segment *fixture_segment(uint32_t id, const char *name);

/* --- transactions ---------------------------------------------------------------------------- */

struct deed {
	struct store_txn txn;
	struct change *changes;
	size_t capacity;
	bool answered;
	struct error error;	       /* code NONE: durable */
	unsigned int turn;	       /* the how many-th answer this was, from 1 */
	void (*after)(struct deed *d); /* called at the end of done() */
	void *ctx;
};

extern unsigned int fixture_turns; /* answers so far */

struct deed *deed_new(void);
void deed_add(struct deed *d, enum change_kind kind, const void *before, const void *after,
	      const char *verb);
void deed_free(struct deed *d);

/* A deed that makes one vMAC. */
struct deed *deed_making(struct vmac *v);

/* Submits, waits, expects it durable, frees the deed. */
void deed_do(struct store *s, struct deed *d);

/* --- what a load gives ----------------------------------------------------------------------- */

#define LOADED_ROUTERS_MAX 512

struct loaded {
	struct segment segments[16];
	struct pool pools[16];
	struct port ports[16];
	struct router *routers[LOADED_ROUTERS_MAX];
	struct cluster *clusters[CLUSTERS_MAX];
	struct shared_record **shared;
	size_t segment_count, pool_count, port_count, router_count, cluster_count, shared_count;
	struct vmac **vmacs;
	size_t vmac_count, vmac_capacity;
	uint64_t expected;
};

int loaded_try(struct store *s, struct loaded *ret, struct error *ret_error);
void loaded_done(struct loaded *l);
