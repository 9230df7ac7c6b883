/* The SQLite backend, the owner's side: open, submit, answer, close.
 *
 * Who owns what: struct sqlite_store says it field by field.  sqlite_worker.c has the essay on how
 * transactions flow and how they fail. */
#include "store/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/backend.h"
#include "store/lines.h"

static struct sqlite_store *sqlite_of(const struct store *s)
{
	assert(s->backend == &store_sqlite);
	return (struct sqlite_store *)s;
}

/* --- open and close -------------------------------------------------------------------------- */

static void sqlite_free(struct sqlite_store *s)
{
	applier_done(&s->applier);
	sqlite3_close(s->db);
	if (s->wake >= 0)
		close(s->wake);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}
DEFINE_CLEANUP(struct sqlite_store *, sqlite_free);

static int sqlite_open_inside(struct sqlite_store *s, const char *uuid, struct error *ret_error)
{
	int64_t last;
	int r = sqlite_lock(&s->paths, &s->lock_fd, ret_error);

	if (r == 0)
		r = sqlite_open_registry(&s->paths, uuid, &s->db, &s->schema, s->uuid, ret_error);
	if (r == 0)
		r = applier_init(&s->applier, s->db, ret_error);
	if (r == 0)
		r = sqlite_number(s->db, "SELECT max(id) FROM vmac", &last, ret_error);
	if (r < 0)
		return r;
	s->row_next = (uint64_t)last + 1;
	return 0;
}

static int sqlite_open(const struct store_config *config, struct store **ret,
		       struct error *ret_error)
{
	CLEANUP(sqlite_free_p) struct sqlite_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	s->base.backend = &store_sqlite;
	s->mem = config->mem;
	s->lock_fd = -1;
	s->asks.end = &s->asks.first;
	s->reads.end = &s->reads.first;
	s->answered.end = &s->answered.first;
	s->facts.healthy = true;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "no file descriptor for the registry: %m");
	r = sqlite_paths_fill(config->directory, &s->paths, ret_error);
	if (r == 0)
		r = sqlite_open_inside(s, config->uuid, ret_error);
	if (r == 0)
		r = sqlite_threads_start(s, ret_error);
	if (r < 0)
		return r;
	*ret = &TAKE_PTR(s)->base;
	return 0;
}

/* Carries the log over and marks it empty, so that the next start has nothing to recover. */
static void sqlite_leave_tidy(struct sqlite_store *s)
{
	int in_log = -1, carried = -2;
	int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
					   &carried);
	bool done = rc == SQLITE_OK && in_log == carried;

	applier_done(&s->applier);
	rc = sqlite3_close(s->db);
	s->db = NULL;
	if (done && rc == SQLITE_OK)
		sqlite_wal_blank(s->paths.wal);
}

static void sqlite_dispatch(struct store *store);

static void sqlite_close_store(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	struct pollfd wake = { .fd = s->wake, .events = POLLIN };

	while (s->pending > 0 || s->asks_pending > 0) {
		poll(&wake, 1, -1);
		sqlite_dispatch(store);
	}
	sqlite_threads_stop(s);
	if (s->error.code != ERROR_REGISTRY_CORRUPT)
		sqlite_leave_tidy(s);
	sqlite_free(s);
}

static int sqlite_load(struct store *store, const struct store_visitor *visitor,
		       struct error *ret_error)
{
	struct sqlite_store *s = sqlite_of(store);
	int r;

	/* The worker has nothing to do before the first submit, so its connection is free. */
	assert(s->submitted == 0);
	r = sqlite_load_small(s->db, s->mem, visitor, ret_error);
	return r < 0 ? r : sqlite_load_vmacs(s->db, s->paths.main, s->mem, visitor, ret_error);
}

/* --- submit ---------------------------------------------------------------------------------- */

/* Ids that a failed transaction was given are not used again; nobody minds the gap. */
static void number_rows(struct sqlite_store *s, const struct store_txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct change *c = &txn->changes[i];
		const struct vmac *before = c->before;
		struct vmac *after = (struct vmac *)c->after;

		if (c->kind != CHANGE_VMAC)
			continue;
		assert(!before || before->row != 0);
		if (after)
			after->row = before ? before->row : s->row_next++;
	}
}

static void sqlite_submit(struct store *store, struct store_txn *txn)
{
	struct sqlite_store *s = sqlite_of(store);

	s->pending++;
	s->submitted++;
	if (undo_busy(&s->undo)) {
		undo_push(&s->undo, txn);
		return;
	}
	number_rows(s, txn);
	pthread_mutex_lock(&s->mutex);
	queue_put(&s->waiting, txn);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->mutex);
}

static void sqlite_history(struct store *store, const struct history_query *q,
			   store_history_fn done, void *ctx)
{
	struct sqlite_store *s = sqlite_of(store);
	struct ask *a = calloc(1, sizeof(*a));

	/* Too little memory even to remember who asked: the one answer that comes at once. */
	if (a)
		a->query = query_copy(q);
	if (!a || !a->query) {
		struct error error;

		free(a);
		error_set(&error, ERROR_NO_MEMORY, NULL, "no memory to look into the history");
		done(ctx, &error, NULL, 0);
		return;
	}
	a->behind = s->submitted;
	a->done = done;
	a->ctx = ctx;
	s->asks_pending++;
	pthread_mutex_lock(&s->mutex);
	ask_put(&s->asks, a);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->mutex);
}

/* --- answer ---------------------------------------------------------------------------------- */

static int sqlite_fd(struct store *s)
{
	return sqlite_of(s)->wake;
}

static void answer_durable(struct sqlite_store *s, struct queue *durable)
{
	struct store_txn *txn;

	while ((txn = queue_take(durable))) {
		s->pending--;
		txn->done(txn, NULL);
	}
}

/* The ground is firm again: the oldest failed transaction is about to be undone. */
static void end_failing(struct sqlite_store *s)
{
	pthread_mutex_lock(&s->mutex);
	s->failing = false;
	s->settled = s->submitted;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->mutex);
}

static void answer_failed(struct sqlite_store *s)
{
	struct queue failed;
	struct store_txn *txn;
	struct error error;

	pthread_mutex_lock(&s->mutex);
	failed = TAKE_QUEUE(s->failed);
	queue_append(&failed, &s->waiting);
	error = s->error;
	pthread_mutex_unlock(&s->mutex);
	while ((txn = queue_take(&failed)))
		undo_push(&s->undo, txn);
	while ((txn = undo_pop(&s->undo))) {
		if (!undo_busy(&s->undo))
			end_failing(s);
		s->pending--;
		txn->done(txn, &error);
	}
}

static void answer_asks(struct sqlite_store *s)
{
	for (;;) {
		struct ask *a;

		pthread_mutex_lock(&s->mutex);
		a = ask_take(&s->answered);
		pthread_mutex_unlock(&s->mutex);
		if (!a)
			return;
		s->asks_pending--;
		if (a->error.code != ERROR_NONE)
			a->done(a->ctx, &a->error, NULL, 0);
		else
			a->done(a->ctx, NULL, a->found.list, a->found.count);
		ask_free(a);
	}
}

static void sqlite_dispatch(struct store *store)
{
	struct sqlite_store *s = sqlite_of(store);
	struct queue durable;
	eventfd_t rings;
	bool failing;

	eventfd_read(s->wake, &rings);
	/* One look: when a group has failed, all that became durable before it is in `durable`. */
	pthread_mutex_lock(&s->mutex);
	durable = TAKE_QUEUE(s->durable);
	failing = s->failing;
	pthread_mutex_unlock(&s->mutex);
	answer_durable(s, &durable);
	if (failing)
		answer_failed(s);
	answer_asks(s);
}

static size_t sqlite_pending(const struct store *s)
{
	return sqlite_of(s)->pending;
}

/* --- facts ----------------------------------------------------------------------------------- */

static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void sqlite_facts(struct store *store, struct store_facts *ret)
{
	struct sqlite_store *s = sqlite_of(store);

	pthread_mutex_lock(&s->mutex);
	*ret = s->facts;
	pthread_mutex_unlock(&s->mutex);
	ret->backend = "sqlite";
	snprintf(ret->where, sizeof(ret->where), "%s", s->paths.main);
	memcpy(ret->uuid, s->uuid, sizeof(s->uuid));
	ret->schema = s->schema;
	ret->size_octets = file_size(s->paths.main) + file_size(s->paths.wal);
}

const struct store_backend store_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close_store,
	.load = sqlite_load,
	.submit = sqlite_submit,
	.fd = sqlite_fd,
	.dispatch = sqlite_dispatch,
	.pending = sqlite_pending,
	.history = sqlite_history,
	.facts = sqlite_facts,
};
