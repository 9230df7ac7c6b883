/* Transactions in the order in which they came. */
#pragma once

#include "store/store.h"

struct queue {
	struct store_txn *first, *last;
	size_t count;
};

static inline void queue_put(struct queue *q, struct store_txn *txn)
{
	txn->next = NULL;
	if (q->first)
		q->last->next = txn;
	else
		q->first = txn;
	q->last = txn;
	q->count++;
}

static inline struct store_txn *queue_take(struct queue *q)
{
	struct store_txn *txn = q->first;

	if (txn) {
		q->first = txn->next;
		q->count--;
	}
	return txn;
}

/* Puts all of `from` behind what q has, and empties it. */
static inline void queue_append(struct queue *q, struct queue *from)
{
	if (!from->first)
		return;
	if (q->first)
		q->last->next = from->first;
	else
		q->first = from->first;
	q->last = from->last;
	q->count += from->count;
	*from = (struct queue){ 0 };
}

#define TAKE_QUEUE(q)                                                                              \
	({                                                                                         \
		struct queue take_queue_ = (q);                                                    \
		(q) = (struct queue){ 0 };                                                         \
		take_queue_;                                                                       \
	})
