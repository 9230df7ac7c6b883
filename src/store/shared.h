/* The shared registry: what many hosts agree upon, by compare-and-swap.  Backends: etcd (v3, over
 * its JSON gateway), mem (one process: tests and the simulation).
 *
 * Theory of operation
 *
 * Everybody who opened it sees all records but images (enum shared_kind): first all that are there,
 * at one revision, then every change in the order of revisions.  What cannot be watched without a
 * gap (a compacted or lost watch, another member, a full reconcile every few minutes) is read anew:
 * records are told again, and those that were told before and are no more are told as gone, so
 * whoever listens needs no case for it.  But for what shared_reconcile() asks, a record is told
 * twice at most as the same revision; and never an older one after a newer one.
 *
 * A transaction compares records' revisions and writes all or nothing.  It may be lost on the way
 * with or without having been done: the backend finds out by itself, because every value that it
 * writes is unlike every other (requests, uuids, epochs), and answers only what it knows.  Where
 * nobody can be reached, it is answered SHARED_UNREACHABLE after the time-out, and may yet be done:
 * whoever asked looks at the records when they are told again.
 *
 * It is never a clock: leases say who lives, and nothing rests on them.
 *
 * Threads: all functions and callbacks belong to the thread that opened it; the backend's own
 * thread is behind a descriptor. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "model/shared.h"

struct shared;

#define SHARED_ENDPOINTS_MAX 16
#define SHARED_TXN_MAX	     64 /* compares, and puts */
#define SHARED_PENDING_MAX   65536

struct shared_config {
	const char *backend; /* "etcd" or "mem" */
	/* etcd: "http://10.0.0.1:2379", "https://…"; tried in turn. */
	unsigned int endpoint_count;
	const char *endpoints[SHARED_ENDPOINTS_MAX];
	const char *prefix;	     /* of all keys; NULL = "/vmac/v1/" */
	const char *ca, *cert, *key; /* files; NULL = none */
	const char *user;	     /* NULL = no authentication by password */
	const char *password_file;   /* read at every authentication, never shown */
	span_t timeout;		     /* of a request at one endpoint; 0 = 2 s */
	span_t reconcile;	     /* between full reads; 0 = 5 min */
	span_t lease;		     /* of ALIVE records; 0 = 10 s */
	void *mem_registry;	     /* mem: of shared_mem_new() */
	const struct mem *mem;	     /* thread-safe */
	/* A record is there, or changed (revision > 0), or is gone (revision 0: key only).
	 * Borrowed for the call. */
	void (*told)(void *ctx, const struct shared_record *r);
	/* All that was there at `revision` has been told, at first and after each full read. */
	void (*complete)(void *ctx, uint64_t revision);
	/* Whether the registry can be reached: told at every change; error NULL = it can. */
	void (*reach)(void *ctx, const struct error *error);
	void *ctx;
};

/* Returns at once; everything else comes by callbacks.  Errors: BAD_CONFIG (no such backend; an
 * endpoint that is no URL; a file that cannot be read), NO_MEMORY. */
int shared_open(const struct shared_config *config, struct shared **ret, struct error *ret_error);

/* Answers what waits with UNREACHABLE, ends the lease, frees.  NULL is fine. */
void shared_close(struct shared *s);

int shared_fd(struct shared *s); /* readable when shared_dispatch() has something to call */
void shared_dispatch(struct shared *s);

/* --- transactions: enum shared_outcome and struct shared_put are in model/shared.h
 * ---------------- */

/* done is called exactly once, never from inside; revision: of the commit where DONE.  The records
 * written are told like everybody's, before done() is called.  An ALIVE record is put under this
 * process's lease, which the backend keeps alive. */
typedef void (*shared_done_fn)(void *ctx, enum shared_outcome outcome, uint64_t revision,
			       const struct error *error);
void shared_submit(struct shared *s, const struct shared_put *puts, unsigned int count,
		   shared_done_fn done, void *ctx);

/* Reads one record that is not watched (an image); r NULL: there is none. */
typedef void (*shared_read_fn)(void *ctx, const struct shared_record *r, const struct error *error);
void shared_read(struct shared *s, const struct shared_record *key, shared_read_fn done, void *ctx);

/* Reads everything anew as soon as may be, and tells all of it: who listens had no memory for some.
 */
void shared_reconcile(struct shared *s);

struct shared_facts {
	const char *backend, *endpoint; /* the one in use; "" = none */
	bool reachable;
	mono_t since; /* that it is (or is not) reachable */
	struct error error;
	uint64_t revision, records;
	uint64_t txns, lost, unreachable, refused, reads, watches, reconnects, reconciles;
	int64_t txn_ns_last, txn_ns_most, read_ns_last; /* read: the last full one */
	struct uuid cluster;				/* as META says; none = not known */
};
void shared_facts(struct shared *s, struct shared_facts *ret);

/* --- the whole of it, for copy, export, import and check; blocking, for the command line ---------
 */

/* Reads every record, images included, at one revision.  fn < 0 ends it with that. */
int shared_dump(const struct shared_config *config,
		int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		struct error *ret_error);
/* Puts records (create only; IN_USE when one exists, unless `replace`).  `next` returns 1 with a
 * record, borrowed until its next call, 0 at the end, < 0 to stop with that. */
int shared_restore(const struct shared_config *config, bool replace,
		   int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		   struct error *ret_error);

/* --- the form of a record in the registry and in exports ----------------------------------------
 */

/* The key below the prefix, and the value as JSON (ret_value NULL: the key alone, and only what it
 * consists of has to be there).  Caller frees both with mem_free().  BAD_VALUE: a name or number
 * that breaks the rules. */
int shared_encode(const struct mem *mem, const struct shared_record *r, char **ret_key,
		  char **ret_value, struct error *ret_error);
/* value NULL: the key alone, of a record that is gone (revision 0).  NOT_FOUND: a kind of key that
 * is not known: a newer writer's, to be passed over; BAD_JSON, MISSING_FIELD, BAD_VALUE,
 * REGISTRY_VERSION: names the key and the field.  Caller frees with mem_free(). */
int shared_decode(const struct mem *mem, const char *key, const char *value, size_t len,
		  uint64_t revision, struct shared_record **ret, struct error *ret_error);

/* --- mem ------------------------------------------------------------------------------------- */

/* One registry that several struct shared of this process open.  The faults are what the simulation
 * plays with; each host is named by the order in which it opened. */
void *shared_mem_new(const struct mem *mem, uint64_t seed);
void shared_mem_free(void *registry); /* when nobody has it open */
/* The lease of a host that is cut off, or was when it was closed, runs out: its ALIVE record goes.
 */
void shared_mem_expire(void *registry, const struct uuid *host);
struct shared_mem_faults {
	bool cut;		/* unreachable for this host */
	bool answer_lost;	/* transactions are done, their answers are lost */
	unsigned int drop_told; /* of so many, one change is not told until the next reconcile */
};
void shared_mem_fault(struct shared *s, const struct shared_mem_faults *f);
