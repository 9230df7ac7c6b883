/* A client of etcd (v3, over its JSON gateway): keys and values, as the shared registry needs them.
 * etcd_shared.c makes records of them.
 *
 * Theory of operation
 *
 * A thread of its own runs libcurl's multi interface: the transactions and reads that are under
 * way (at most ETCD_REQUESTS_MAX, over connections that are kept), the full read, the watch, and
 * the lease.  Its owner puts orders into a queue and is told answers by another, behind a
 * descriptor.  Nothing but these two queues is shared.
 *
 *     etcd.c        the owner's side: open, close, submit, dispatch; the two queues
 *     etcd_loop.c   the thread: what is due, what may be sent
 *     etcd_http.c   one exchange with an endpoint; which endpoint; what a failure means
 *     etcd_auth.c   the token of a user
 *     etcd_txn.c    transactions and reads: tried again until it is known what became of them
 *     etcd_sync.c   the full read at one revision, and who is told what
 *     etcd_watch.c  the stream of changes
 *     etcd_lease.c  the lease of keys that say "alive"
 *     etcd_json.c   every body that is sent, every answer that is understood
 *     etcd_index.c  the keys that were told, with their revisions
 *
 * Keys.  What is below PREFIX "r/" is read and watched by everybody, as one range; what is below
 * PREFIX "i/" (images) is read by name only.  So one watch does it, and images cost nobody's
 * traffic.
 *
 * etcd as it behaves (3.4), and what follows from it:
 *  - JSON leaves out what is zero: a transaction that failed has no "succeeded".
 *  - Members that it does not know are ignored: a compare of another name is no compare.  So all
 *    bodies are built in one place, and compares always name target and result.
 *  - A write that was not answered may yet be done, for up to 7 s.  A compare of the revision makes
 *    it harmless to ask again: it cannot be done twice; where it was done, the values are ours.
 *  - A watch is not complete: it may be silent at a member that lost the others (the header
 *    "hasleader" helps), and end without an end of the stream (cancelled).  So whatever happens to
 *    it, everything is read anew, and now and then without a reason.
 *  - A lease lives longer than it says when leaders change.  It says who lives and nothing else.
 *
 * One endpoint is in use at a time.  It is left for the next one where it refuses a connection,
 * does not answer within the time-out, or says that it is not available (5xx, code 14); a small
 * read every ETCD_PING_MS asks for that where nothing else reads or writes keys.  (That the lease
 * is kept alive proves nothing: etcd does so for whom it serves nothing else, and a watch that was
 * begun before users were asked for goes on.)  All that time is measured by the
 * clock of intervals: nothing here knows what day it is. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "store/shared.h"

#define ETCD_KEY_MAX	  512 /* without the prefix */
#define ETCD_PREFIX_MAX	  128
#define ETCD_OPS_MAX	  64
#define ETCD_PENDING_MAX  65536
#define ETCD_REQUESTS_MAX 16   /* under way at once, and connections */
#define ETCD_PAGE	  1000 /* keys of one answer of a full read */
#define ETCD_DISPATCH_MAX 256  /* callbacks of one dispatch: its caller has other things to do */
#define ETCD_PING_MS	  5000
/* A transaction is tried for so many time-outs: 10 s, which outlives an election. */
#define ETCD_TRIES	  5

#define ETCD_WATCHED "r/"
#define ETCD_IMAGES  "i/"

struct etcd_kv {
	const char *key;   /* below the prefix: "r/…", "i/…" */
	const char *value; /* NULL: there is none */
	size_t len;
	uint64_t revision; /* of its last change; 0 where there is none */
};

enum etcd_act { ETCD_PUT, ETCD_DELETE, ETCD_COMPARE };

struct etcd_op {
	enum etcd_act act;
	bool leased;	   /* PUT: ends with this process */
	struct etcd_kv kv; /* revision: what it must have now, 0 = it must not exist */
};

enum etcd_mode {
	ETCD_FOLLOW, /* read all that is watched, and follow it */
	ETCD_WHOLE,  /* read everything once, images too */
	ETCD_ORDERS, /* nothing by itself */
};

/* Texts are copied. */
struct etcd_config {
	enum etcd_mode mode;
	unsigned int endpoint_count;
	const char *const *endpoints;
	const char *prefix;
	const char *ca, *cert, *key, *user, *password_file; /* NULL = none */
	span_t timeout, reconcile, lease;
	const struct mem *mem;
	/* All by etcd_dispatch(), in the order in which it happened. */
	void (*told)(void *ctx, const struct etcd_kv *kv);
	void (*complete)(void *ctx, uint64_t revision);
	void (*reach)(void *ctx, const struct error *error);
	void *ctx;
};

struct etcd_facts {
	const char *endpoint; /* "" = none */
	bool reachable;
	mono_t since;
	struct error error;
	uint64_t revision, keys;
	uint64_t txns, lost, unreachable, refused, reads, watches, reconnects, reconciles;
	int64_t txn_ns_last, txn_ns_most, read_ns_last;
};

typedef void (*etcd_done_fn)(void *ctx, enum shared_outcome outcome, uint64_t revision,
			     const struct error *error);
typedef void (*etcd_read_fn)(void *ctx, const struct etcd_kv *kv, const struct error *error);

struct etcd;

/* What the module exports as `etcd_module`: libcurl costs a daemon some MiB of memory and thirty
 * libraries, so it comes with a module that is loaded only where a configuration asks for etcd. */
struct etcd_module {
	unsigned int version; /* ETCD_MODULE_VERSION */
	int (*open)(const struct etcd_config *config, struct etcd **ret, struct error *ret_error);
	/* Within a second, whatever hangs.  Answers what waits. */
	void (*close)(struct etcd *e);
	int (*fd)(const struct etcd *e);
	void (*dispatch)(struct etcd *e);
	/* Copied.  done is called once, never from inside. */
	void (*submit)(struct etcd *e, const struct etcd_op *ops, unsigned int count,
		       etcd_done_fn done, void *ctx);
	void (*read)(struct etcd *e, const char *key, etcd_read_fn done, void *ctx);
	/* Answers REFUSED with that error, as if etcd had: not from inside. */
	void (*refuse)(struct etcd *e, const struct error *error, etcd_done_fn done, void *ctx);
	void (*reconcile)(struct etcd *e);
	void (*facts)(struct etcd *e, struct etcd_facts *ret);
};

#define ETCD_MODULE_VERSION 1
extern const struct etcd_module etcd_module;
