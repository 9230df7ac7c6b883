/* Telling the owner, newest first, that transactions failed.
 *
 * A transaction stands on those before it, so it can be undone only while all of them still stand.
 * What is submitted in the middle of this (from a done()) stands on ground that is about to go: it
 * goes on top and fails next.  Once the last is taken off, the owner stands where the registry
 * stands, and what its done() submits is tried again. */
#pragma once

#include "store/store.h"

struct undo {
	struct store_txn *top; /* the newest; linked to the older */
};

/* Is anything waiting to be undone?  If so, every submission goes to undo_push(). */
static inline bool undo_busy(const struct undo *u)
{
	return u->top;
}

static inline void undo_push(struct undo *u, struct store_txn *txn)
{
	txn->next = u->top;
	u->top = txn;
}

static inline struct store_txn *undo_pop(struct undo *u)
{
	struct store_txn *txn = u->top;

	if (txn)
		u->top = txn->next;
	return txn;
}
