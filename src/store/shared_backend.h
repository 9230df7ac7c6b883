/* What a backend of the shared registry provides; private to this room.
 *
 * A backend keeps and gives records as shared_encode() and shared_decode() have them.  What the
 * contract (store/shared.h) asks of every backend alike is done in shared.c before it gets here:
 * counts are within limits, every put's record has a kind, done and the callbacks are not NULL,
 * config's zero and NULL members are filled in with what they stand for. */
#pragma once

#include "store/shared.h"

#define SHARED_PREFIX	    "/vmac/v1/"
#define SHARED_TIMEOUT_MS   2000
#define SHARED_RECONCILE_MS 300000
#define SHARED_LEASE_MS	    10000

struct shared_backend {
	const char *name;
	/* config is borrowed for the call. */
	int (*open)(const struct shared_config *config, struct shared **ret,
		    struct error *ret_error);
	void (*close)(struct shared *s);
	int (*fd)(struct shared *s);
	void (*dispatch)(struct shared *s);
	/* The puts and their records are borrowed for the call. */
	void (*submit)(struct shared *s, const struct shared_put *puts, unsigned int count,
		       shared_done_fn done, void *ctx);
	void (*read)(struct shared *s, const struct shared_record *key, shared_read_fn done,
		     void *ctx);
	void (*reconcile)(struct shared *s);
	void (*facts)(struct shared *s, struct shared_facts *ret);

	/* Blocking, and without an open registry: shared_dump(), shared_restore().  config's
	 * callbacks may be NULL here. */
	int (*dump)(const struct shared_config *config,
		    int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		    struct error *ret_error);
	/* `next` returns 1 with a record (borrowed until the next call), 0 at the end, < 0 to stop
	 * with that.  Every record is one put of its own or of a transaction of few: what was put
	 * before a failure stays, and the error says how many that were. */
	int (*restore)(const struct shared_config *config, bool replace,
		       int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		       struct error *ret_error);
};

/* Every backend's struct begins with this. */
struct shared {
	const struct shared_backend *backend;
};

extern const struct shared_backend shared_mem, shared_etcd;
