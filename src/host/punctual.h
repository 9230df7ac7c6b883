/* A thread that has to be punctual, and whose state others look at: the elections', the anchors'.
 *
 * Theory of operation
 *
 * It is one sd-event loop at the lowest real-time priority, with a timer that comes before any
 * frame and an eventfd that comes after all of them: whoever has slept too long takes in what waits
 * in its sockets before it acts upon the time.  The room adds sources of its own to `loop`.
 * Threads and processes that it begins are of ordinary priority.
 *
 * The lock is held by the thread but while it sleeps, so that whoever looks sees no half-done turn.
 * The door makes that fair: a looker that waits holds it, and the thread must pass it, too.  Both
 * lend priority, and so does what punctual_mutex_init() makes: a looker of ordinary priority inside
 * of one must not be kept from leaving it.
 *
 * One thread, the opener's, calls what has no other note. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "host/clock.h"

#define PUNCTUAL_RETRY_EVERY SPAN_S(2)

/* What the room does in it: always in the thread, with the lock. */
struct punctual_ops {
	const char *name;   /* of the thread: at most 15 octets */
	span_t stop_within; /* from stop() on it is not waited longer for over() */
	/* It was woken, or has just begun: does all that was asked; whether it is to stop. */
	bool (*orders)(void *ctx);
	void (*stop)(void *ctx, mono_t now); /* once */
	mono_t (*next_expiry)(void *ctx);
	void (*time)(void *ctx, mono_t now);	/* next_expiry() is here */
	void (*listen)(void *ctx);		/* takes in what waits in all sockets */
	void (*retry)(void *ctx);		/* punctual_retry_soon() was called */
	void (*settle)(void *ctx);		/* what follows from any turn */
	bool (*over)(void *ctx, bool stopping); /* after any turn: whether that was the last */
	void (*end)(void *ctx);			/* last of all; NULL: nothing */
};

struct punctual {
	const struct punctual_ops *ops;
	void *ctx;
	pthread_t thread;
	int wake; /* eventfd */

	pthread_mutex_t door, lock; /* lock: of all that follows, and of what the room says */
	sd_event *loop;
	sd_event_source *timer, *retry;
	mono_t retry_at; /* MONO_NEVER = nothing failed */
	mono_t begun;	 /* when what is carried out now became due */
	bool stopping;
	mono_t stop_by;
};

void punctual_mutex_init(pthread_mutex_t *m);

/* All but the thread.  0 or -errno; punctual_done() is due after a failure, too.  `ops` is lent. */
int punctual_init(struct punctual *p, const struct punctual_ops *ops, void *ctx);
/* The thread was joined, or never began; the room has let go of its own sources. */
void punctual_done(struct punctual *p);

/* Begins the thread, with all signals blocked; orders() is called soon.  0 or -errno. */
int punctual_start(struct punctual *p);
/* Waits for its end, which is what orders() or over() bring about. */
void punctual_join(struct punctual *p);

void punctual_wake(struct punctual *p); /* any thread: orders() is to be called */
/* The thread: retry() is to be called, in PUNCTUAL_RETRY_EVERY where it is not due before. */
void punctual_retry_soon(struct punctual *p);

/* Any thread but this one: between the two it is kept from running, so not for long. */
void punctual_look(struct punctual *p);
void punctual_looked(struct punctual *p);
