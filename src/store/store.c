#include "store/store.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/backend.h"

static const struct store_backend *const backends[] = { &store_sqlite, &store_mem };

int store_open(const struct store_config *config, struct store **ret, struct error *ret_error)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (strcmp(backends[i]->name, config->backend) == 0)
			return backends[i]->open(config, ret, ret_error);
	return error_set(ret_error, ERROR_BAD_CONFIG, "give \"sqlite\" or \"mem\"",
			 "there is no registry backend '%s'", config->backend);
}

void store_close(struct store *s)
{
	if (s)
		s->backend->close(s);
}

int store_load(struct store *s, const struct store_visitor *visitor, struct error *ret_error)
{
	return s->backend->load(s, visitor, ret_error);
}

void store_submit(struct store *s, struct store_txn *txn)
{
	assert(txn->done);
	s->backend->submit(s, txn);
}

int store_fd(struct store *s)
{
	return s->backend->fd(s);
}

void store_dispatch(struct store *s)
{
	s->backend->dispatch(s);
}

size_t store_pending(const struct store *s)
{
	return s->backend->pending(s);
}

void store_history(struct store *s, const struct history_query *q, store_history_fn done, void *ctx)
{
	assert(q->limit >= 1 && q->limit <= HISTORY_LIMIT_MAX);
	s->backend->history(s, q, done, ctx);
}

void store_facts(struct store *s, struct store_facts *ret)
{
	s->backend->facts(s, ret);
}
