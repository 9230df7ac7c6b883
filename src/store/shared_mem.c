/* The shared registry that is memory, as one host sees it: for tests and simulation.
 *
 * Theory of operation
 *
 * All hosts of a process open one registry (shared_mem_registry.c).  Its changes stand in a log
 * that is there once; a host's place in it is a number, so a thousand hosts that hear of ten
 * thousand records copy nothing.  Everything happens in shared_dispatch(), in the order in which
 * its owner calls it: transactions are carried out there, so the same calls give the same answers.
 *
 * A host that was cut off, or was not told of some changes, hears when it reads anew what it has
 * missed: the newest state of each key. */
#include "store/shared_mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct mem_host *host_of(struct shared *s)
{
	assert(s->backend == &shared_mem);
	return (struct mem_host *)s;
}

/* --- open and close -------------------------------------------------------------------------- */

static uint64_t chance_next(struct mem_host *h)
{
	uint64_t x = h->chance += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static int mem_open(const struct shared_config *config, struct shared **ret,
		    struct error *ret_error)
{
	struct mem_registry *g = config->mem_registry;
	struct mem_host *h;

	if (!g)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "the shared registry in memory has to be made first");
	h = mem_alloc(config->mem, sizeof(*h));
	if (!h)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL,
				 "no memory for the shared registry");
	*h = (struct mem_host){ .base.backend = &shared_mem,
				.registry = g,
				.name = ++g->opened,
				.config = *config,
				.wake = -1,
				.rung = true,
				.next = g->hosts,
				.prev = &g->hosts };
	h->asks_end = &h->asks;
	h->chance = g->seed + h->name;
	h->heard = mem_registry_end(g);
	if (h->next)
		h->next->prev = &h->next;
	g->hosts = h;
	*ret = &h->base;
	return 0;
}

static void ask_free(struct mem_host *h, struct mem_ask *a)
{
	for (unsigned int i = 0; i < a->count; i++)
		mem_free(h->config.mem, (void *)a->puts[i].record);
	mem_free(h->config.mem, a);
}

static void unreachable(struct error *ret_error)
{
	error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, NULL,
		  "this host is cut off from the shared registry");
}

static void ask_answer(struct mem_host *h, struct mem_ask *a, enum shared_outcome outcome,
		       const struct error *error)
{
	h->pending--;
	h->facts.lost += outcome == SHARED_LOST;
	h->facts.unreachable += outcome == SHARED_UNREACHABLE;
	h->facts.refused += outcome == SHARED_REFUSED;
	a->done(a->ctx, outcome, h->registry->revision, error);
}

static struct mem_ask *ask_take(struct mem_host *h)
{
	struct mem_ask *a = h->asks;

	h->asks = a->next;
	if (!h->asks)
		h->asks_end = &h->asks;
	return a;
}

static void answer_unreachable(struct mem_host *h, size_t count)
{
	struct error error;

	unreachable(&error);
	for (; count > 0; count--) {
		struct mem_ask *a = ask_take(h);

		if (a->read_done) {
			h->pending--;
			a->read_done(a->ctx, NULL, &error);
		} else {
			ask_answer(h, a, SHARED_UNREACHABLE, &error);
		}
		ask_free(h, a);
	}
}

/* A host that goes while it is cut off cannot end its lease: shared_mem_expire() does. */
static void mem_close(struct shared *s)
{
	struct mem_host *h = host_of(s);
	struct mem_registry *g = h->registry;

	while (h->pending > 0)
		answer_unreachable(h, h->pending);
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
	if (h->has_lease && !h->faults.cut)
		shared_mem_expire(g, &h->lease);
	if (h->wake >= 0)
		close(h->wake);
	mem_free(h->config.mem, h->dropped);
	mem_free(h->config.mem, h);
}

void mem_host_ring(struct mem_host *h)
{
	if (h->rung)
		return;
	h->rung = true;
	if (h->wake >= 0)
		eventfd_write(h->wake, 1);
}

static int mem_fd(struct shared *s)
{
	struct mem_host *h = host_of(s);

	if (h->wake < 0) {
		h->wake = eventfd(h->rung ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
		/* A test's machine without a descriptor for this has no use for going on. */
		if (h->wake < 0)
			abort();
	}
	return h->wake;
}

/* --- asking ---------------------------------------------------------------------------------- */

static struct mem_ask *ask_put(struct mem_host *h, unsigned int count)
{
	struct mem_ask *a = mem_alloc(h->config.mem, sizeof(*a) + count * sizeof(a->puts[0]));

	if (!a)
		abort();
	*h->asks_end = a;
	h->asks_end = &a->next;
	h->pending++;
	mem_host_ring(h);
	return a;
}

static void mem_submit(struct shared *s, const struct shared_put *puts, unsigned int count,
		       shared_done_fn done, void *ctx)
{
	struct mem_host *h = host_of(s);
	bool refused = h->pending >= SHARED_PENDING_MAX;
	struct mem_ask *a = ask_put(h, refused ? 0 : count);

	h->facts.txns++;
	a->refused = refused;
	a->done = done;
	a->ctx = ctx;
	for (; !refused && a->count < count; a->count++) {
		a->puts[a->count] = puts[a->count];
		a->puts[a->count].record = shared_copy(h->config.mem, puts[a->count].record);
		if (!a->puts[a->count].record)
			abort();
	}
}

static void mem_read(struct shared *s, const struct shared_record *key, shared_read_fn done,
		     void *ctx)
{
	struct mem_host *h = host_of(s);
	struct mem_ask *a = ask_put(h, 1);

	h->facts.reads++;
	a->read_done = done;
	a->ctx = ctx;
	a->puts[0].record = shared_copy(h->config.mem, key);
	if (!a->puts[0].record)
		abort();
	a->count = 1;
}

static void mem_reconcile(struct shared *s)
{
	struct mem_host *h = host_of(s);

	h->reconcile = h->anew = true;
	mem_host_ring(h);
}

/* --- telling --------------------------------------------------------------------------------- */

static void tell(struct mem_host *h, const struct shared_record *r)
{
	if (r->kind == SHARED_META)
		h->facts.cluster = r->revision ? r->meta.cluster : (struct uuid){ 0 };
	if (r->kind != SHARED_IMAGE)
		h->config.told(h->config.ctx, r);
}

/* The newest state of a key, whatever it is. */
static void tell_newest(struct mem_host *h, const struct shared_record *key)
{
	const struct shared_record *now = mem_registry_get(h->registry, key);
	struct cluster room;
	struct shared_record gone = mem_key_of(key, &room), *copy;

	if (now) {
		tell(h, now);
		return;
	}
	copy = shared_copy(h->config.mem, &gone);
	if (!copy)
		abort();
	tell(h, copy);
	mem_free(h->config.mem, copy);
}

/* Keeps the record of a change that is not told now, until there is a full read. */
static bool drop(struct mem_host *h, struct shared_record *r)
{
	if (h->dropped_count == h->dropped_room) {
		size_t room = h->dropped_room ? 2 * h->dropped_room : 16;
		struct shared_record **list = mem_alloc(h->config.mem, room * sizeof(*list));

		if (!list)
			return false;
		if (h->dropped_count > 0)
			memcpy(list, h->dropped, h->dropped_count * sizeof(*list));
		mem_free(h->config.mem, h->dropped);
		h->dropped = list;
		h->dropped_room = room;
	}
	h->dropped[h->dropped_count] = shared_copy(h->config.mem, r);
	return h->dropped[h->dropped_count] && ++h->dropped_count;
}

/* Tells the changes that this host has not heard of; `missed`: as a read anew, which sees only what
 * there is at its end. */
static void tell_changes(struct mem_host *h, bool missed)
{
	struct mem_registry *g = h->registry;

	while (h->heard < mem_registry_end(g)) {
		struct node *n = mem_registry_at(g, h->heard++);
		unsigned int one_of = h->faults.drop_told;

		if (missed && n->superseded)
			continue;
		if (!missed && one_of > 0 && n->writer != h->name && chance_next(h) % one_of == 0 &&
		    drop(h, n->record))
			continue;
		tell(h, n->record);
	}
}

static void tell_dropped(struct mem_host *h)
{
	size_t count = h->dropped_count;

	h->dropped_count = 0;
	for (size_t i = 0; i < count; i++) {
		tell_newest(h, h->dropped[i]);
		mem_free(h->config.mem, h->dropped[i]);
	}
}

/* All that is there, and what is no more. */
static void read_all(struct mem_host *h)
{
	struct mem_registry *g = h->registry;

	h->facts.reconciles++;
	h->reconcile = false;
	if (h->started) {
		tell_changes(h, true);
		tell_dropped(h);
	}
	h->heard = mem_registry_end(g);
	if (!h->started || h->anew)
		table_for_each (&g->live, const struct node, n)
			tell(h, n->record);
	h->started = true;
	h->anew = false;
	h->config.complete(h->config.ctx, g->revision);
}

/* --- answering ------------------------------------------------------------------------------- */

static void note_lease(struct mem_host *h, const struct mem_ask *a)
{
	for (unsigned int i = 0; i < a->count; i++) {
		const struct shared_put *p = &a->puts[i];

		if (p->record->kind != SHARED_ALIVE || p->compare_only)
			continue;
		h->has_lease = !p->gone;
		h->lease = p->record->alive.host;
	}
}

static void answer_txn(struct mem_host *h, struct mem_ask *a)
{
	enum shared_outcome outcome = SHARED_REFUSED;
	struct error error = { 0 };

	if (a->refused)
		error_set(&error, ERROR_LIMIT_REACHED, NULL,
			  "%d transactions wait for the shared registry", SHARED_PENDING_MAX);
	else
		outcome = mem_registry_commit(h->registry, a->puts, a->count, h->name, &error);
	if (outcome == SHARED_DONE)
		note_lease(h, a);
	if (h->faults.answer_lost && outcome != SHARED_REFUSED) {
		unreachable(&error);
		ask_answer(h, a, SHARED_UNREACHABLE, &error);
		return;
	}
	tell_changes(h, false);
	for (unsigned int i = 0; outcome == SHARED_LOST && i < a->count; i++)
		tell_newest(h, a->puts[i].record);
	ask_answer(h, a, outcome, outcome == SHARED_REFUSED ? &error : NULL);
}

static void answer_read(struct mem_host *h, struct mem_ask *a)
{
	const struct shared_record *r = mem_registry_get(h->registry, a->puts[0].record);

	h->pending--;
	a->read_done(a->ctx, r, NULL);
}

static void set_reachable(struct mem_host *h, bool reachable)
{
	struct error error;

	if (h->reach_known && h->reachable == reachable)
		return;
	h->reach_known = true;
	h->reachable = reachable;
	h->facts.reconnects += reachable && h->started;
	h->reconcile |= reachable;
	unreachable(&error);
	h->facts.error = reachable ? (struct error){ 0 } : error;
	h->config.reach(h->config.ctx, reachable ? NULL : &error);
}

static void mem_dispatch(struct shared *s)
{
	struct mem_host *h = host_of(s);
	size_t waiting = h->pending;
	eventfd_t rings;

	/* What is asked from inside waits for the next time. */
	h->rung = false;
	if (h->wake >= 0)
		eventfd_read(h->wake, &rings);
	set_reachable(h, !h->faults.cut);
	if (!h->reachable) {
		answer_unreachable(h, waiting);
		return;
	}
	if (h->reconcile)
		read_all(h);
	tell_changes(h, false);
	for (; waiting > 0; waiting--) {
		struct mem_ask *a = ask_take(h);

		if (a->read_done)
			answer_read(h, a);
		else
			answer_txn(h, a);
		ask_free(h, a);
	}
}

/* --- facts and faults ------------------------------------------------------------------------ */

static void mem_facts(struct shared *s, struct shared_facts *ret)
{
	struct mem_host *h = host_of(s);

	*ret = h->facts;
	ret->backend = "mem";
	ret->endpoint = h->reachable ? "memory" : "";
	ret->reachable = h->reachable;
	ret->revision = h->registry->revision;
	ret->records = h->registry->records;
}

void shared_mem_fault(struct shared *s, const struct shared_mem_faults *f)
{
	struct mem_host *h = host_of(s);

	h->faults = *f;
	mem_host_ring(h);
}

static int mem_dump(const struct shared_config *config,
		    int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		    struct error *ret_error)
{
	return mem_registry_dump(config->mem_registry, fn, ctx);
}

static int mem_restore(const struct shared_config *config, bool replace,
		       int (*next)(void *ctx, struct shared_record *ret), void *ctx,
		       struct error *ret_error)
{
	return mem_registry_restore(config->mem_registry, replace, next, ctx, ret_error);
}

const struct shared_backend shared_mem = {
	.name = "mem",
	.open = mem_open,
	.close = mem_close,
	.fd = mem_fd,
	.dispatch = mem_dispatch,
	.submit = mem_submit,
	.read = mem_read,
	.reconcile = mem_reconcile,
	.facts = mem_facts,
	.dump = mem_dump,
	.restore = mem_restore,
};
