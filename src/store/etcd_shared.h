/* Between records and keys; private to etcd_shared.c and etcd_whole.c. */
#pragma once

#include "store/etcd.h"
#include "store/shared_backend.h"

/* Loads the module where it is not loaded yet.  Error: REGISTRY_FAILED (it is not installed). */
int etcd_module_get(const struct etcd_module **ret, struct error *ret_error);

/* The client's configuration for that of a shared registry; mem and callbacks are the caller's. */
struct etcd_config etcd_config_of(const struct shared_config *c, enum etcd_mode mode);

/* A record as a key (with ETCD_WATCHED or ETCD_IMAGES before it) and a value; the caller frees both
 * with mem_free().  ret_value NULL: the key alone. */
int etcd_encode(const struct mem *mem, const struct shared_record *r, char **ret_key,
		char **ret_value, struct error *ret_error);
/* The record of a key; NOT_FOUND where it is none of ours, which is no fault. */
int etcd_decode(const struct mem *mem, const struct etcd_kv *kv, struct shared_record **ret,
		struct error *ret_error);

/* shared_dump(), shared_restore() */
int etcd_dump(const struct shared_config *config,
	      int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
	      struct error *ret_error);
int etcd_restore(const struct shared_config *config, bool replace,
		 int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		 struct error *ret_error);
