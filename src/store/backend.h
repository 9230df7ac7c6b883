/* What a backend provides; private to this room. */
#pragma once

#include "store/store.h"

struct store_backend {
	const char *name;
	int (*open)(const struct store_config *config, struct store **ret, struct error *ret_error);
	void (*close)(struct store *s);
	int (*load)(struct store *s, const struct store_visitor *visitor, struct error *ret_error);
	void (*submit)(struct store *s, struct store_txn *txn);
	int (*fd)(struct store *s);
	void (*dispatch)(struct store *s);
	size_t (*pending)(const struct store *s);
	void (*history)(struct store *s, const struct history_query *q, store_history_fn done,
			void *ctx);
	void (*facts)(struct store *s, struct store_facts *ret);
};

/* Every backend's struct begins with this. */
struct store {
	const struct store_backend *backend;
};

extern const struct store_backend store_mem, store_sqlite;
