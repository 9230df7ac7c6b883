/* Changes that belong together: applied in memory at once, answered when durable, undone when not.
 */
#include <errno.h>
#include <string.h>

#include "engine/side.h"

void engine_refuse(struct engine *e, answer_fn done, void *ctx, const struct error *error)
{
	struct answer answer = { .error = error };

	e->refusals++;
	e->refusals_by_code[error->code]++;
	if (done)
		done(ctx, &answer);
}

static char *copy_text(struct engine *e, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = engine_alloc(e, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

static void txn_free(struct txn *t)
{
	struct engine *e = t->e;

	engine_dispose(e, t->who);
	engine_dispose(e, t->reason);
	engine_dispose(e, t->changes);
	engine_dispose(e, t->addresses);
	engine_dispose(e, t);
}

struct txn *txn_begin(struct engine *e, const struct caller *c, answer_fn done, void *ctx)
{
	struct txn *t = engine_alloc(e, sizeof(*t));
	struct error error;

	if (t) {
		t->e = e;
		t->done = done;
		t->ctx = ctx;
		t->who = copy_text(e, c->who);
		t->reason = copy_text(e, c->reason);
		if (t->who && t->reason)
			return t;
		txn_free(t);
	}
	engine_no_memory(&error);
	engine_refuse(e, done, ctx, &error);
	return NULL;
}

static int txn_reserve(struct txn *t, size_t count)
{
	size_t capacity = t->capacity ? t->capacity : 4;
	struct change *changes;

	while (capacity < count)
		capacity *= 2;
	if (capacity == t->capacity)
		return 0;
	changes = engine_alloc(t->e, capacity * sizeof(*changes));
	if (!changes)
		return -1;
	if (t->base.count > 0)
		memcpy(changes, t->changes, t->base.count * sizeof(*changes));
	engine_dispose(t->e, t->changes);
	t->changes = changes;
	t->capacity = capacity;
	return 0;
}

int txn_change(struct txn *t, enum change_kind kind, const void *before, void *after,
	       const char *verb)
{
	if (txn_reserve(t, t->base.count + 1) < 0 ||
	    world_apply(&t->e->world, kind, before, after) < 0) {
		world_drop(&t->e->world, kind, after);
		return -ENOMEM;
	}
	t->changes[t->base.count++] = (struct change){
		.kind = kind,
		.before = before,
		.after = after,
		.verb = verb,
		.reason = t->reason,
	};
	return 0;
}

int txn_put(struct txn *t, enum change_kind kind, const void *before, const void *after,
	    const char *verb)
{
	void *copy = world_copy(&t->e->world, kind, after);

	return copy ? txn_change(t, kind, before, copy, verb) : -ENOMEM;
}

static void txn_undo(struct txn *t)
{
	while (t->base.count > 0) {
		struct change *c = &t->changes[--t->base.count];

		/* Only a shortage of memory could hinder this.  Then the world is no longer the
		 * registry, and going on would be a lie: end, and let the next start read it. */
		if (world_apply(&t->e->world, c->kind, c->after, c->before) < 0)
			__builtin_trap();
		world_drop(&t->e->world, c->kind, c->after);
	}
}

void txn_refuse(struct txn *t, const struct error *error)
{
	txn_undo(t);
	engine_refuse(t->e, t->done, t->ctx, error);
	txn_free(t);
}

void txn_rehearsed(struct txn *t)
{
	struct answer answer = t->answer;

	txn_undo(t);
	if (t->done)
		t->done(t->ctx, &answer);
	txn_free(t);
}

void txn_drop(struct txn *t)
{
	txn_free(t);
}

static void txn_settled(struct txn *t)
{
	struct engine *e = t->e;
	struct error error;

	for (size_t i = 0; i < t->base.count; i++)
		if (t->changes[i].verb[0])
			event_change(e, t, &t->changes[i]);
	if (e->side)
		side_settled(e->side, t);
	if (t->carry && t->carry(t, &error) < 0) {
		engine_refuse(e, t->done, t->ctx, &error);
	} else if (t->done) {
		t->done(t->ctx, &t->answer);
	}
	/* Only now: the answer may have looked at them. */
	for (size_t i = 0; i < t->base.count; i++)
		world_drop(&e->world, t->changes[i].kind, t->changes[i].before);
	txn_free(t);
}

static void txn_answered(struct store_txn *base, const struct error *error)
{
	struct txn *t = (struct txn *)base;

	t->e->settled++;
	if (!error) {
		txn_settled(t);
		return;
	}
	txn_undo(t);
	if (t->recover)
		t->recover(t);
	engine_refuse(t->e, t->done, t->ctx, error);
	txn_free(t);
}

void txn_submit(struct txn *t)
{
	struct engine *e = t->e;

	t->base.actor = t->who;
	t->base.at = e->cfg.wall_now();
	t->base.changes = t->changes;
	t->base.done = txn_answered;
	e->submitted++;
	store_submit(e->cfg.store, &t->base);
}

/* --- waiting for what was submitted ---------------------------------------------------------- */

void engine_when_durable(struct engine *e, void (*fn)(void *ctx), void *ctx)
{
	struct waiter *w;

	if (e->settled == e->submitted || !(w = engine_alloc(e, sizeof(*w)))) {
		fn(ctx);
		return;
	}
	*w = (struct waiter){ .behind = e->submitted, .fn = fn, .ctx = ctx };
	*e->waiters_tail = w;
	e->waiters_tail = &w->next;
}

void engine_store_ready(struct engine *e)
{
	store_dispatch(e->cfg.store);
	side_turn(e);
	while (e->waiters && e->waiters->behind <= e->settled) {
		struct waiter *w = e->waiters;

		e->waiters = w->next;
		if (!e->waiters)
			e->waiters_tail = &e->waiters;
		w->fn(w->ctx);
		engine_dispose(e, w);
	}
}
