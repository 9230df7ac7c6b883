/* The thread that writes.
 *
 * Theory of operation
 *
 * The owner puts transactions into `waiting`; the worker takes as many as one commit may hold,
 * applies them, commits, and puts them into `durable`, in order; the owner answers them from
 * store_dispatch(), which the eventfd calls for.  While a commit is on its way to the disk, the
 * next group gathers.
 *
 * A commit that fails sets `failing`, and from then on the worker begins nothing: everything in
 * `failed` and in `waiting`, including what the owner submits until it hears of it, stands on the
 * state that is about to be undone.  The owner answers what is durable, then all of these, newest
 * first, and clears `failing` just before it answers the oldest: from then on submissions are
 * fresh. REGISTRY_CORRUPT is final: every later group fails with the same error, untried.
 *
 * The log is carried over into the database (a passive checkpoint) when it has WAL_FRAMES_MAX
 * pages, after the answer to the commit that filled it, or when the worker has been idle for
 * IDLE_MS, which is when memory goes back, too.
 *
 * Looks into the history wait in `asks` until all that was submitted before them is settled, and
 * then go to the reader's thread, so that a long look delays no commit. */
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "store/backend.h"
#include "store/lines.h"
#include "store/sqlite.h"

/* One commit: bounded, so that the answer to the first does not wait for ever for the last. */
#define GROUP_TXNS_MAX	  4096
#define GROUP_CHANGES_MAX 20000 /* once reached; one transaction may be larger by itself */

#define IDLE_MS 500

static void ring(const struct sqlite_store *s)
{
	eventfd_write(s->wake, 1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* --- the log --------------------------------------------------------------------------------- */

static int note_frames(void *store, sqlite3 *db, const char *name, int frames)
{
	struct sqlite_store *s = store;

	s->frames = frames;
	return SQLITE_OK;
}

/* Failing is no harm: the pages stay in the log, and it is tried again after the next commit. */
static void carry_over(struct sqlite_store *s)
{
	int in_log = 0, carried = 0;

	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &carried) ==
		    SQLITE_OK &&
	    in_log == carried)
		s->frames = 0;
}

/* What a big commit (or a start with thousands of records) took of memory would stay with us for
 * good.  Pages that are needed again are in the kernel's cache. */
static void memory_return(struct sqlite_store *s)
{
	sqlite3_db_release_memory(s->db);
	malloc_trim(0);
}

/* A commit that failed at its flush has whole frames in the log, and who knows how much of them is
 * on the disk: after a crash they would be taken for a transaction.  So the log is begun afresh,
 * before the failure is answered if that can be done, and before anything else is written in any
 * case. */
static int settle_log(struct sqlite_store *s, struct error *ret_error)
{
	if (!s->applier.log_doubtful)
		return 0;
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
	    SQLITE_OK)
		return sqlite_failed(ret_error, s->db, "write");
	s->applier.log_doubtful = false;
	s->frames = 0;
	return sqlite_wal_grow(&s->paths, ret_error);
}

/* --- commit ---------------------------------------------------------------------------------- */

static int commit(struct sqlite_store *s, const struct queue *group, struct error *ret_error)
{
	struct error second;
	int r = settle_log(s, ret_error);

	if (r < 0)
		return r;
	r = applier_commit(&s->applier, group, ret_error);
	if (r < 0)
		settle_log(s, &second);
	return r;
}

static void group_durable(struct sqlite_store *s, struct queue *group, int64_t ns)
{
	pthread_mutex_lock(&s->mutex);
	s->facts.commits++;
	s->facts.transactions += group->count;
	s->facts.commit_ns_last = ns;
	if (ns > s->facts.commit_ns_most)
		s->facts.commit_ns_most = ns;
	s->facts.healthy = true;
	s->settled += group->count;
	queue_append(&s->durable, group);
	pthread_mutex_unlock(&s->mutex);
	ring(s);
}

static void group_failed(struct sqlite_store *s, struct queue *group, const struct error *error)
{
	pthread_mutex_lock(&s->mutex);
	s->facts.failures++;
	s->facts.healthy = false;
	s->facts.last_error = *error;
	s->error = *error;
	s->failing = true;
	queue_append(&s->failed, group);
	pthread_mutex_unlock(&s->mutex);
	ring(s);
}

static void group_run(struct sqlite_store *s, struct queue *group)
{
	int64_t began = now_ns();
	struct error error;

	/* Written by this thread alone. */
	if (s->error.code == ERROR_REGISTRY_CORRUPT) {
		error = s->error;
		group_failed(s, group, &error);
	} else if (commit(s, group, &error) < 0) {
		group_failed(s, group, &error);
	} else {
		group_durable(s, group, now_ns() - began);
		if (s->frames >= WAL_FRAMES_MAX)
			carry_over(s);
	}
}

/* --- the worker's loop ----------------------------------------------------------------------- */

static struct queue group_take(struct queue *waiting)
{
	struct queue group = { 0 };
	size_t changes = 0;

	while (waiting->first && group.count < GROUP_TXNS_MAX && changes < GROUP_CHANGES_MAX) {
		struct store_txn *txn = queue_take(waiting);

		changes += txn->count;
		queue_put(&group, txn);
	}
	return group;
}

/* Hands the reader what may be looked up now.  With the mutex held. */
static void asks_forward(struct sqlite_store *s)
{
	while (s->asks.first && s->asks.first->behind <= s->settled) {
		ask_put(&s->reads, ask_take(&s->asks));
		pthread_cond_signal(&s->read);
	}
}

/* Waits for something to commit, with the mutex held; false at the end. */
static bool wait_for_work(struct sqlite_store *s)
{
	struct timespec until;

	for (;;) {
		asks_forward(s);
		if (s->waiting.first && !s->failing)
			return true;
		if (s->stop)
			return false;
		if (s->frames == 0) {
			pthread_cond_wait(&s->work, &s->mutex);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += IDLE_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (pthread_cond_timedwait(&s->work, &s->mutex, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&s->mutex);
			carry_over(s);
			memory_return(s);
			pthread_mutex_lock(&s->mutex);
		}
	}
}

static void *worker_run(void *store)
{
	struct sqlite_store *s = store;

	pthread_mutex_lock(&s->mutex);
	while (wait_for_work(s)) {
		struct queue group = group_take(&s->waiting);

		pthread_mutex_unlock(&s->mutex);
		group_run(s, &group);
		pthread_mutex_lock(&s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* --- threads --------------------------------------------------------------------------------- */

int sqlite_threads_start(struct sqlite_store *s, struct error *ret_error)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->work, &monotonic);
	pthread_cond_init(&s->read, NULL);
	pthread_condattr_destroy(&monotonic);
	sqlite3_wal_hook(s->db, note_frames, s);
	s->worker_runs = pthread_create(&s->worker, NULL, worker_run, s) == 0;
	s->reader_runs = pthread_create(&s->reader, NULL, sqlite_reader_run, s) == 0;
	if (s->worker_runs && s->reader_runs)
		return 0;
	sqlite_threads_stop(s);
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no threads for the registry");
}

void sqlite_threads_stop(struct sqlite_store *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_cond_signal(&s->read);
	pthread_mutex_unlock(&s->mutex);
	if (s->worker_runs)
		pthread_join(s->worker, NULL);
	if (s->reader_runs)
		pthread_join(s->reader, NULL);
	s->worker_runs = s->reader_runs = false;
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->read);
	pthread_mutex_destroy(&s->mutex);
}
