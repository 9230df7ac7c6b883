/* This host's own registry: one contract, several backends (mem, sqlite).  What many hosts agree
 * upon is another matter: store/shared.h.
 *
 * Theory of operation
 *
 * The engine keeps the whole registry in memory and is its only writer.  The store makes changes
 * durable and gives everything back at start.  Transactions are submitted without waiting and are
 * answered in order; whatever waits when the backend is ready to commit goes into one commit (group
 * commit), so the number of flushes a second does not bound the number of transactions.
 *
 * Nothing is answered before it is durable, and nothing is half-written: a transaction is in the
 * registry with all its changes and its history, or not at all.
 *
 * When a commit fails, that group and everything submitted behind it fail together: every pending
 * transaction's done() is called with the error, NEWEST FIRST, so that the engine undoes in reverse
 * order and stands again exactly where the registry stands.  What a done() submits while others
 * still wait to be undone stands on ground that is about to go, so it fails with them, before them.
 * Transactions submitted from then on are tried afresh.  Except for REGISTRY_CORRUPT, which is
 * final, the same store may recover (a disk that has room again).
 *
 * Threads: every function here belongs to the thread that opened the store; done() and visitors are
 * called on that thread, from store_dispatch() (and store_load()). */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "model/cluster.h"
#include "model/model.h"
#include "model/router.h"
#include "model/shared.h"

struct store;

/* One atomic unit.  Owned by the submitter, who keeps it and all that its changes point to
 * unchanged until done(). */
struct store_txn {
	const char *actor; /* who: "uid 0", "vmacd", … */
	wall_t at;
	const struct change *changes;
	size_t count;
	/* error NULL: durable.  May free txn; may submit others. */
	void (*done)(struct store_txn *txn, const struct error *error);
	struct store_txn *next; /* the store's own */
};

struct store_config {
	const char *backend;   /* "sqlite" or "mem" */
	const char *directory; /* sqlite: an existing directory that is ours alone */
	/* sqlite: which registry it has to be, and what a new one is called.  NULL = any, and a new
	 * name. */
	const char *uuid;
	const struct mem *mem; /* for the records that store_load() hands over; thread-safe */
};

/* Opens, creating an empty registry where there is none, and brings an older schema up to date
 * (each migration in one transaction).  Errors: ALREADY_RUNNING (another process has it; names its
 * pid), REGISTRY_FULL, REGISTRY_READ_ONLY, REGISTRY_CORRUPT, REGISTRY_VERSION (made by a newer
 * version), REGISTRY_FAILED, IN_USE (it has another uuid), BAD_CONFIG (no such backend), NO_MEMORY.
 */
int store_open(const struct store_config *config, struct store **ret, struct error *ret_error);

/* Commits what waits, answers it (and what the answers submit), ends the threads, frees.  NULL is
 * fine. */
void store_close(struct store *s);

/* What the store calls for each record, segments first, then pools, ports, routers, clusters, kept
 * shared records (by key), vMACs (in the order in which they were created, which is also their
 * order in memory).  segment, pool, port, router (which passed router_check()), cluster (which
 * passed cluster_check_record()) and the shared record are borrowed for the call; the vMAC's block
 * (allocated from config.mem) becomes the callee's, also when it returns an error.  Any negative
 * return ends the load with that value. */
struct store_visitor {
	int (*segment)(void *ctx, const struct segment *s);
	int (*pool)(void *ctx, const struct pool *p);
	int (*port)(void *ctx, const struct port *p);
	int (*router)(void *ctx, const struct router *r);	    /* NULL: not wanted */
	int (*cluster)(void *ctx, const struct cluster *c);	    /* NULL: not wanted */
	int (*shared)(void *ctx, const struct shared_record *kept); /* NULL: not wanted */
	int (*expect_vmacs)(void *ctx, uint64_t count); /* once, before the first vMAC; exact */
	int (*vmac)(void *ctx, struct vmac *owned);
	void *ctx;
};

/* Reads everything; call once, before the first submit.  Errors: REGISTRY_CORRUPT (names what is
 * wrong), REGISTRY_FAILED, NO_MEMORY; a visitor's own error comes back with ret_error untouched. */
int store_load(struct store *s, const struct store_visitor *visitor, struct error *ret_error);

/* Hands over a transaction; never blocks, never fails here.  A vMAC's after-image must be memory
 * that can be written, and its before-image one that was submitted or loaded: the store notes in
 * `row` where the registry keeps the record, so that no index by address has to be kept on disk or
 * in memory. */
void store_submit(struct store *s, struct store_txn *txn);

/* Readable when store_dispatch() has something to call.  For the event loop; valid until close. */
int store_fd(struct store *s);

/* Calls what is finished.  Never blocks. */
void store_dispatch(struct store *s);

size_t store_pending(const struct store *s); /* submitted and not yet answered */

/* --- history --------------------------------------------------------------------------------- */

#define HISTORY_LIMIT_MAX 10000

struct history_query {
	const char *segment; /* NULL = any */
	const char *subject; /* an address (colon style) or a name; NULL = any */
	uint64_t before;     /* only seq < before; 0 = from the newest */
	wall_t since, until; /* inclusive; 0 = no bound */
	unsigned int limit;  /* 1 … HISTORY_LIMIT_MAX lines, newest first */
};

/* done() gets lines valid during the call only; error not NULL: count is 0.  Answers behind
 * everything submitted before it.  The query's texts are copied. */
typedef void (*store_history_fn)(void *ctx, const struct error *error, const struct history *lines,
				 size_t count);
void store_history(struct store *s, const struct history_query *q, store_history_fn done,
		   void *ctx);

/* --- facts for status and metrics ------------------------------------------------------------ */

struct store_facts {
	const char *backend;
	char where[PATH_MAX_LEN + 1];
	char uuid[37];	     /* of this registry, made with it */
	unsigned int schema; /* version */
	uint64_t commits, transactions, failures;
	int64_t commit_ns_last, commit_ns_most;
	uint64_t size_octets; /* on disk */
	bool healthy;	      /* the last commit succeeded */
	struct error last_error;
};
void store_facts(struct store *s, struct store_facts *ret);
