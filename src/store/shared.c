#include "store/shared.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/shared_backend.h"

static const struct shared_backend *const backends[] = { &shared_etcd, &shared_mem };

/* What is not given becomes what it stands for, so that a backend need not know. */
static int prepare(const struct shared_config *config, struct shared_config *ret,
		   const struct shared_backend **ret_backend, struct error *ret_error)
{
	*ret = *config;
	if (!ret->prefix)
		ret->prefix = SHARED_PREFIX;
	if (ret->timeout.ns == 0)
		ret->timeout = SPAN_MS(SHARED_TIMEOUT_MS);
	if (ret->reconcile.ns == 0)
		ret->reconcile = SPAN_MS(SHARED_RECONCILE_MS);
	if (ret->lease.ns == 0)
		ret->lease = SPAN_MS(SHARED_LEASE_MS);
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		if (strcmp(backends[i]->name, config->backend) == 0) {
			*ret_backend = backends[i];
			return 0;
		}
	}
	return error_set(ret_error, ERROR_BAD_CONFIG, "give \"etcd\" or \"mem\"",
			 "there is no backend '%s' of the shared registry", config->backend);
}

int shared_open(const struct shared_config *config, struct shared **ret, struct error *ret_error)
{
	const struct shared_backend *backend = NULL;
	struct shared_config full;
	int r = prepare(config, &full, &backend, ret_error);

	assert(config->told && config->complete && config->reach);
	return r < 0 ? r : backend->open(&full, ret, ret_error);
}

void shared_close(struct shared *s)
{
	if (s)
		s->backend->close(s);
}

int shared_fd(struct shared *s)
{
	return s->backend->fd(s);
}

void shared_dispatch(struct shared *s)
{
	s->backend->dispatch(s);
}

void shared_submit(struct shared *s, const struct shared_put *puts, unsigned int count,
		   shared_done_fn done, void *ctx)
{
	assert(count >= 1 && count <= SHARED_TXN_MAX && done);
	for (unsigned int i = 0; i < count; i++) {
		assert(puts[i].record->kind < SHARED_KIND_COUNT);
		assert(!puts[i].gone || !puts[i].compare_only);
		for (unsigned int j = 0; j < i; j++)
			assert(!shared_same_key(puts[i].record, puts[j].record));
	}
	s->backend->submit(s, puts, count, done, ctx);
}

void shared_read(struct shared *s, const struct shared_record *key, shared_read_fn done, void *ctx)
{
	assert(done);
	s->backend->read(s, key, done, ctx);
}

void shared_reconcile(struct shared *s)
{
	s->backend->reconcile(s);
}

void shared_facts(struct shared *s, struct shared_facts *ret)
{
	s->backend->facts(s, ret);
}

int shared_dump(const struct shared_config *config,
		int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		struct error *ret_error)
{
	const struct shared_backend *backend = NULL;
	struct shared_config full;
	int r = prepare(config, &full, &backend, ret_error);

	return r < 0 ? r : backend->dump(&full, fn, ctx, ret_error);
}

int shared_restore(const struct shared_config *config, bool replace,
		   int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		   struct error *ret_error)
{
	const struct shared_backend *backend = NULL;
	struct shared_config full;
	int r = prepare(config, &full, &backend, ret_error);

	return r < 0 ? r : backend->restore(&full, replace, next, ctx, ret_error);
}
