/* The whole of a shared registry in etcd, read or written by a command that waits for it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "store/etcd_shared.h"

#define BATCH_OCTETS (512 * 1024) /* etcd takes 1.5 MiB of JSON or so */

struct whole {
	const struct mem *mem;
	const struct etcd_module *module;
	struct etcd *etcd;
	/* What was told: everything (dump), or what stood in the way (restore). */
	struct etcd_kv *kvs; /* key and value in one piece each, freed with the key */
	size_t count, size;
	bool ended, failed;
	enum shared_outcome outcome;
	struct error error;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void fail(struct whole *w, const struct error *error)
{
	w->ended = w->failed = true;
	w->error = *error;
}

static void no_memory(struct whole *w)
{
	struct error error;

	error_set(&error, ERROR_NO_MEMORY, NULL, "no memory for the whole registry");
	fail(w, &error);
}

/* --- what is told ---------------------------------------------------------------------------- */

static void forget(struct whole *w)
{
	for (size_t i = 0; i < w->count; i++)
		free((char *)w->kvs[i].key);
	w->count = 0;
}

static void hear_told(void *ctx, const struct etcd_kv *kv)
{
	size_t key = strlen(kv->key) + 1, size;
	struct whole *w = ctx;
	struct etcd_kv *more;
	char *copy;

	if (!kv->value)
		return;
	if (w->count == w->size) {
		size = w->size ? w->size * 2 : 256;
		more = realloc(w->kvs, size * sizeof(*more));
		if (!more) {
			no_memory(w);
			return;
		}
		w->kvs = more;
		w->size = size;
	}
	copy = malloc(key + kv->len + 1);
	if (!copy) {
		no_memory(w);
		return;
	}
	memcpy(copy, kv->key, key);
	memcpy(copy + key, kv->value, kv->len);
	copy[key + kv->len] = '\0';
	w->kvs[w->count++] = (struct etcd_kv){ copy, copy + key, kv->len, kv->revision };
}

static void hear_complete(void *ctx, uint64_t revision)
{
	struct whole *w = ctx;

	w->ended = true;
}

static void hear_reach(void *ctx, const struct error *error)
{
	struct whole *w = ctx;

	if (error && error->code != ERROR_REGISTRY_UNREACHABLE)
		fail(w, error); /* waiting would not help */
}

static void hear_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		      const struct error *error)
{
	struct whole *w = ctx;

	w->outcome = outcome;
	w->error = *error;
	w->ended = true;
}

/* --- waiting --------------------------------------------------------------------------------- */

static int whole_open(struct whole *w, const struct shared_config *config, enum etcd_mode mode,
		      struct error *ret_error)
{
	struct etcd_config c = etcd_config_of(config, mode);
	int r = etcd_module_get(&w->module, ret_error);

	w->mem = config->mem;
	c.told = hear_told;
	c.complete = hear_complete;
	c.reach = hear_reach;
	c.ctx = w;
	return r < 0 ? r : w->module->open(&c, &w->etcd, ret_error);
}

static void whole_close(struct whole *w)
{
	if (w->etcd)
		w->module->close(w->etcd);
	forget(w);
	free(w->kvs);
}

/* Until it has ended, as long as something comes within the time that a transaction has. */
static int whole_wait(struct whole *w, span_t timeout, struct error *ret_error)
{
	int64_t until = 0, span = timeout.ns / 1000000 * ETCD_TRIES;
	size_t before = SIZE_MAX;
	struct etcd_facts facts;

	while (!w->ended) {
		struct pollfd p = { w->module->fd(w->etcd), POLLIN, 0 };

		if (w->count != before) {
			before = w->count;
			until = now_ms() + span + 500; /* a transaction's own end comes first */
		}
		if (now_ms() >= until) {
			w->module->facts(w->etcd, &facts);
			if (facts.error.code == ERROR_NONE)
				error_set(&facts.error, ERROR_REGISTRY_UNREACHABLE, NULL,
					  "etcd has not answered in time");
			fail(w, &facts.error);
			break;
		}
		poll(&p, 1, (int)(until - now_ms()) + 1);
		w->module->dispatch(w->etcd);
	}
	if (!w->failed)
		return 0;
	*ret_error = w->error;
	return -error_errno(ret_error->code);
}

static int read_whole(struct whole *w, const struct shared_config *config, struct error *ret_error)
{
	int r = whole_open(w, config, ETCD_WHOLE, ret_error);

	return r < 0 ? r : whole_wait(w, config->timeout, ret_error);
}

int etcd_dump(const struct shared_config *config,
	      int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
	      struct error *ret_error)
{
	CLEANUP(whole_close) struct whole w = { 0 };
	int r = read_whole(&w, config, ret_error);

	for (size_t i = 0; r >= 0 && i < w.count; i++) {
		struct shared_record *record;

		r = etcd_decode(w.mem, &w.kvs[i], &record, ret_error);
		if (r < 0) {
			/* Keys of another kind are a newer vmac's, or nobody's. */
			r = ret_error->code == ERROR_NOT_FOUND ? 0 : r;
			continue;
		}
		r = fn(ctx, record);
		mem_free(w.mem, record);
	}
	return r < 0 ? r : 0;
}

/* --- restore --------------------------------------------------------------------------------- */

struct batch {
	struct etcd_op ops[ETCD_OPS_MAX];
	unsigned int count;
	size_t octets;
	uint64_t put; /* records that are there for good */
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct etcd_kv *)a)->key, ((const struct etcd_kv *)b)->key);
}

/* The revision that a key has now, of those read before. */
static uint64_t revision_of(const struct whole *there, const char *key)
{
	struct etcd_kv wanted = { .key = key }, *found = NULL;

	if (there->count)
		found = bsearch(&wanted, there->kvs, there->count, sizeof(wanted), by_key);
	return found ? found->revision : 0;
}

static void batch_empty(struct batch *b, const struct mem *mem)
{
	for (unsigned int i = 0; i < b->count; i++) {
		mem_free(mem, (char *)b->ops[i].kv.key);
		mem_free(mem, (char *)b->ops[i].kv.value);
	}
	b->count = 0;
	b->octets = 0;
}

static int batch_put(struct whole *w, struct batch *b, span_t timeout, struct error *ret_error)
{
	int r;

	if (b->count == 0)
		return 0;
	forget(w);
	w->ended = false;
	w->module->submit(w->etcd, b->ops, b->count, hear_done, w);
	r = whole_wait(w, timeout, ret_error);
	if (r == 0 && w->outcome == SHARED_LOST)
		r = error_set(ret_error, ERROR_IN_USE, NULL, "the shared registry has %s already",
			      w->count ? w->kvs[0].key + strlen(ETCD_WATCHED) : "one of them");
	else if (r == 0 && w->outcome != SHARED_DONE) {
		*ret_error = w->error;
		r = -error_errno(ret_error->code);
	}
	if (r < 0)
		error_prefix(ret_error, "%llu records were put, then", (unsigned long long)b->put);
	else
		b->put += b->count;
	batch_empty(b, w->mem);
	return r;
}

static int batch_add(struct whole *w, const struct whole *there, struct batch *b,
		     const struct shared_record *record, struct error *ret_error)
{
	char *key, *value;
	int r = etcd_encode(w->mem, record, &key, &value, ret_error);

	if (r < 0)
		return r;
	b->ops[b->count++] = (struct etcd_op){
		.act = ETCD_PUT,
		.kv = { key, value, strlen(value), revision_of(there, key) },
	};
	b->octets += strlen(value);
	return 0;
}

/* ALIVE records are of processes that live: they come by themselves, and one without a lease would
 * never end. */
static int restore_all(struct whole *w, const struct whole *there, struct batch *b, span_t timeout,
		       int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		       struct error *ret_error)
{
	struct shared_record record;
	int r;

	while ((r = next(ctx, &record)) > 0) {
		if (record.kind == SHARED_ALIVE)
			continue;
		r = batch_add(w, there, b, &record, ret_error);
		if (r == 0 && (b->count == ETCD_OPS_MAX || b->octets > BATCH_OCTETS))
			r = batch_put(w, b, timeout, ret_error);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : batch_put(w, b, timeout, ret_error);
}

int etcd_restore(const struct shared_config *config, bool replace,
		 int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		 struct error *ret_error)
{
	CLEANUP(whole_close) struct whole there = { 0 }, w = { 0 };
	struct batch batch = { 0 };
	int r = 0;

	if (replace) {
		r = read_whole(&there, config, ret_error);
		if (there.count)
			qsort(there.kvs, there.count, sizeof(*there.kvs), by_key);
	}
	if (r == 0)
		r = whole_open(&w, config, ETCD_ORDERS, ret_error);
	if (r == 0)
		r = restore_all(&w, &there, &batch, config->timeout, next, ctx, ret_error);
	batch_empty(&batch, config->mem);
	return r;
}
