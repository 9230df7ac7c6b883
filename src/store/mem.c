/* The registry that forgets.
 *
 * Theory of operation
 *
 * The contract without a disk: a commit is everything that waits when store_dispatch() is called,
 * and it is answered there and then, so that the owner meets the same order of events as with a
 * real backend, never an answer from inside store_submit().  Records are not kept (their submitter
 * has them, and a new store is empty); history is, up to MEM_HISTORY_MAX lines. */
#include "store/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/backend.h"
#include "store/change_line.h"
#include "store/lines.h"
#include "store/queue.h"
#include "store/undo.h"
#include "store/uuid.h"

struct mem_ask {
	struct mem_ask *next;
	struct history_query *query;
	store_history_fn done;
	void *ctx;
};

struct mem_store {
	struct store base;
	int wake; /* eventfd */
	struct queue waiting;
	struct undo undo;
	size_t pending;
	struct mem_ask *asks, **asks_end;
	/* A ring, the line with number seq at seq % MEM_HISTORY_MAX. */
	struct history *lines;
	uint64_t seq;			    /* of the newest line, 0 = none */
	char (*segments)[NAME_MAX_LEN + 1]; /* by id */
	unsigned int fail_commits;
	enum error_code fail_code;
	struct store_facts facts;
};

#define SEGMENT_IDS 65536

static struct mem_store *mem_of(const struct store *s)
{
	assert(s->backend == &store_mem);
	return (struct mem_store *)s;
}

static void mem_free_store(struct mem_store *m)
{
	for (size_t i = 0; m->lines && i < MEM_HISTORY_MAX; i++)
		free((char *)m->lines[i].segment);
	free(m->lines);
	free(m->segments);
	if (m->wake >= 0)
		close(m->wake);
	free(m);
}

static int mem_open(const struct store_config *config, struct store **ret, struct error *ret_error)
{
	struct mem_store *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the registry");
	m->base.backend = &store_mem;
	m->asks_end = &m->asks;
	m->lines = calloc(MEM_HISTORY_MAX, sizeof(*m->lines));
	m->segments = calloc(SEGMENT_IDS, sizeof(*m->segments));
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!m->lines || !m->segments || m->wake < 0) {
		mem_free_store(m);
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "no memory or no file descriptor for the registry");
	}
	m->facts.backend = "mem";
	m->facts.healthy = true;
	snprintf(m->facts.where, sizeof(m->facts.where), "memory");
	uuid_make(m->facts.uuid);
	*ret = &m->base;
	return 0;
}

/* A new one is empty. */
static int mem_load(struct store *s, const struct store_visitor *visitor, struct error *ret_error)
{
	return visitor->expect_vmacs ? visitor->expect_vmacs(visitor->ctx, 0) : 0;
}

static void mem_ring(struct mem_store *m)
{
	eventfd_write(m->wake, 1);
}

static void mem_submit(struct store *s, struct store_txn *txn)
{
	struct mem_store *m = mem_of(s);

	m->pending++;
	if (undo_busy(&m->undo)) {
		undo_push(&m->undo, txn);
		return;
	}
	queue_put(&m->waiting, txn);
	mem_ring(m);
}

static int mem_fd(struct store *s)
{
	return mem_of(s)->wake;
}

/* --- commit ---------------------------------------------------------------------------------- */

static void mem_note_segment(struct mem_store *m, const struct change *c)
{
	const struct segment *after = c->after;

	if (c->kind != CHANGE_SEGMENT || !after)
		return;
	assert(after->id < SEGMENT_IDS);
	memcpy(m->segments[after->id], after->name, sizeof(after->name));
}

static int mem_note_line(struct mem_store *m, const struct change *c, const struct store_txn *txn)
{
	CLEANUP(lines_done) struct lines one = { 0 };
	struct change_line line;
	struct history *slot;

	if (c->verb[0] == '\0')
		return 0;
	change_line_fill(c, txn, m->segments[change_segment(c) % SEGMENT_IDS], &line);
	line.line.seq = m->seq + 1;
	if (lines_add(&one, &line.line) < 0)
		return -ENOMEM;
	slot = &m->lines[line.line.seq % MEM_HISTORY_MAX];
	free((char *)slot->segment);
	*slot = one.list[0];
	one.count = 0; /* the slot owns the texts now */
	m->seq++;
	return 0;
}

/* Lines of a group that failed are taken back; what they pushed out of the ring stays lost. */
static void mem_forget_lines(struct mem_store *m, uint64_t seq)
{
	while (m->seq > seq) {
		struct history *slot = &m->lines[m->seq-- % MEM_HISTORY_MAX];

		free((char *)slot->segment);
		*slot = (struct history){ 0 };
	}
}

static int mem_commit(struct mem_store *m, const struct queue *group, struct error *ret_error)
{
	uint64_t seq = m->seq;

	if (m->fail_commits > 0) {
		m->fail_commits--;
		return error_set(ret_error, m->fail_code, NULL, "this commit was told to fail");
	}
	for (const struct store_txn *t = group->first; t; t = t->next)
		for (size_t i = 0; i < t->count; i++) {
			mem_note_segment(m, &t->changes[i]);
			if (mem_note_line(m, &t->changes[i], t) < 0) {
				mem_forget_lines(m, seq);
				return error_set(ret_error, ERROR_NO_MEMORY, NULL,
						 "no memory for the history");
			}
		}
	return 0;
}

static void mem_answer_failed(struct mem_store *m, struct queue *group, const struct error *error)
{
	struct store_txn *txn;

	m->facts.failures++;
	m->facts.healthy = false;
	m->facts.last_error = *error;
	/* What was submitted since the group was taken is newer, and fails with it. */
	queue_append(group, &m->waiting);
	while ((txn = queue_take(group)))
		undo_push(&m->undo, txn);
	while ((txn = undo_pop(&m->undo))) {
		m->pending--;
		txn->done(txn, error);
	}
}

static void mem_answer_durable(struct mem_store *m, struct queue *group)
{
	struct store_txn *txn;

	m->facts.commits++;
	m->facts.transactions += group->count;
	m->facts.healthy = true;
	while ((txn = queue_take(group))) {
		m->pending--;
		txn->done(txn, NULL);
	}
}

/* --- history --------------------------------------------------------------------------------- */

static void mem_history(struct store *s, const struct history_query *q, store_history_fn done,
			void *ctx)
{
	struct mem_store *m = mem_of(s);
	struct mem_ask *ask = calloc(1, sizeof(*ask));
	struct history_query *query = query_copy(q);

	/* A test's machine without memory for this has no use for going on. */
	if (!ask || !query)
		abort();
	*ask = (struct mem_ask){ .query = query, .done = done, .ctx = ctx };
	*m->asks_end = ask;
	m->asks_end = &ask->next;
	mem_ring(m);
}

static void mem_answer_ask(struct mem_store *m, struct mem_ask *ask)
{
	uint64_t oldest = m->seq > MEM_HISTORY_MAX ? m->seq - MEM_HISTORY_MAX : 0;
	CLEANUP(lines_done) struct lines found = { 0 };
	struct error error;
	int r = 0;

	for (uint64_t seq = m->seq; seq > oldest && found.count < ask->query->limit && r == 0;
	     seq--) {
		const struct history *line = &m->lines[seq % MEM_HISTORY_MAX];

		if (query_wants(ask->query, line))
			r = lines_add(&found, line);
	}
	if (r < 0) {
		error_set(&error, ERROR_NO_MEMORY, NULL, "no memory for the history");
		ask->done(ask->ctx, &error, NULL, 0);
	} else {
		ask->done(ask->ctx, NULL, found.list, found.count);
	}
	free(ask->query);
	free(ask);
}

/* --- the rest -------------------------------------------------------------------------------- */

static void mem_dispatch(struct store *s)
{
	struct mem_store *m = mem_of(s);
	struct queue group = TAKE_QUEUE(m->waiting);
	struct mem_ask *asks = m->asks;
	struct error error;
	eventfd_t rings;

	m->asks = NULL;
	m->asks_end = &m->asks;
	eventfd_read(m->wake, &rings);
	if (group.first) {
		if (mem_commit(m, &group, &error) < 0)
			mem_answer_failed(m, &group, &error);
		else
			mem_answer_durable(m, &group);
	}
	while (asks) {
		struct mem_ask *ask = asks;

		asks = ask->next;
		mem_answer_ask(m, ask);
	}
}

static void mem_close(struct store *s)
{
	struct mem_store *m = mem_of(s);

	while (m->pending > 0 || m->asks)
		mem_dispatch(s);
	mem_free_store(m);
}

static size_t mem_pending(const struct store *s)
{
	return mem_of(s)->pending;
}

static void mem_facts(struct store *s, struct store_facts *ret)
{
	*ret = mem_of(s)->facts;
}

int store_mem_fail_next(struct store *s, unsigned int n, enum error_code code)
{
	struct mem_store *m = mem_of(s);

	m->fail_commits = n;
	m->fail_code = code;
	return 0;
}

const struct store_backend store_mem = {
	.name = "mem",
	.open = mem_open,
	.close = mem_close,
	.load = mem_load,
	.submit = mem_submit,
	.fd = mem_fd,
	.dispatch = mem_dispatch,
	.pending = mem_pending,
	.history = mem_history,
	.facts = mem_facts,
};
