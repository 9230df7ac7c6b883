/* The loop of a punctual thread: prepared, slept, dispatched; looked at in between. */
#include "host/punctual.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PRIORITY_TIMER	  (SD_EVENT_PRIORITY_NORMAL - 10) /* before any frame */
#define PRIORITY_ORDERS	  (SD_EVENT_PRIORITY_NORMAL + 10)
#define TIMER_ACCURACY_US 1
#define REALTIME_PRIORITY 1
#define LATE_FROM	  SPAN_MS(2) /* a timer that comes so late comes after the frames */

/* --- what wakes it --------------------------------------------------------------------------- */

static void stop_begin(struct punctual *p)
{
	mono_t now = clock_boot();

	p->stopping = true;
	p->stop_by = mono_after(now, p->ops->stop_within);
	p->ops->stop(p->ctx, now);
}

static int on_orders(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct punctual *p = ctx;
	eventfd_t ignored;

	eventfd_read(fd, &ignored);
	if (p->ops->orders(p->ctx) && !p->stopping)
		stop_begin(p);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct punctual *p = ctx;
	mono_t now = clock_boot(), due = p->ops->next_expiry(p->ctx);

	/* Whoever slept too long listens before he speaks: what would have kept him quiet, or what
	 * another has taken over meanwhile, may be waiting. */
	if (mono_due(mono_after(due, LATE_FROM), now)) {
		p->ops->listen(p->ctx);
		now = clock_boot();
		due = p->ops->next_expiry(p->ctx);
	}
	if (due.ns < now.ns)
		p->begun = due;
	p->ops->time(p->ctx, now);
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct punctual *p = ctx;

	p->retry_at = MONO_NEVER;
	p->ops->retry(p->ctx);
	return 0;
}

void punctual_retry_soon(struct punctual *p)
{
	if (p->retry_at.ns == MONO_NEVER.ns)
		p->retry_at = mono_after(clock_boot(), PUNCTUAL_RETRY_EVERY);
}

void punctual_wake(struct punctual *p)
{
	eventfd_write(p->wake, 1);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void arm(sd_event_source *timer, mono_t at)
{
	if (at.ns == MONO_NEVER.ns) {
		sd_event_source_set_enabled(timer, SD_EVENT_OFF);
		return;
	}
	/* Rounded up, so that it never rings before its time and for nothing. */
	sd_event_source_set_time(timer, at.ns < 1000 ? 1 : (uint64_t)(at.ns + 999) / 1000);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void settle(struct punctual *p)
{
	mono_t next;

	p->ops->settle(p->ctx);
	next = p->ops->next_expiry(p->ctx);
	if (p->stopping && p->stop_by.ns < next.ns)
		next = p->stop_by;
	arm(p->timer, next);
	arm(p->retry, p->retry_at);
}

static bool over(const struct punctual *p)
{
	return p->ops->over(p->ctx, p->stopping) ||
	       (p->stopping && mono_due(p->stop_by, clock_boot()));
}

void punctual_look(struct punctual *p)
{
	pthread_mutex_lock(&p->door);
	pthread_mutex_lock(&p->lock);
	pthread_mutex_unlock(&p->door);
}

void punctual_looked(struct punctual *p)
{
	pthread_mutex_unlock(&p->lock);
}

/* The lock is held but while it sleeps; the door gives a looker that waits its turn. */
static int thread_wait(struct punctual *p)
{
	int r;

	punctual_looked(p);
	r = sd_event_wait(p->loop, UINT64_MAX);
	punctual_look(p);
	return r;
}

static void thread_run(struct punctual *p)
{
	int r;

	for (;;) {
		settle(p);
		if (over(p))
			return;
		r = sd_event_prepare(p->loop);
		if (r == 0)
			r = thread_wait(p);
		p->begun = clock_boot();
		if (r > 0)
			r = sd_event_dispatch(p->loop);
		/* Only our own mistakes end an sd-event loop: elections or anchors that are
		 * silently without a thread would be worse than the end. */
		assert(r >= 0 || r == -EINTR);
	}
}

static void *thread_main(void *ctx)
{
	struct sched_param realtime = { .sched_priority = REALTIME_PRIORITY };
	struct punctual *p = ctx;

	prctl(PR_SET_NAME, p->ops->name);
	/* Where it is not permitted it still runs, as punctual as the machine is idle.  What it
	 * begins (errands' thread, and by that users' programs) must not inherit it: a program that
	 * hangs would take turns with the elections. */
	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &realtime);
	punctual_look(p);
	thread_run(p);
	if (p->ops->end)
		p->ops->end(p->ctx);
	punctual_looked(p);
	return NULL;
}

/* --- its life -------------------------------------------------------------------------------- */

void punctual_mutex_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t lend;

	pthread_mutexattr_init(&lend);
	pthread_mutexattr_setprotocol(&lend, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(m, &lend);
	pthread_mutexattr_destroy(&lend);
}

int punctual_init(struct punctual *p, const struct punctual_ops *ops, void *ctx)
{
	sd_event_source *orders = NULL;
	int r;

	*p = (struct punctual){ .ops = ops, .ctx = ctx, .retry_at = MONO_NEVER };
	punctual_mutex_init(&p->door);
	punctual_mutex_init(&p->lock);
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake < 0)
		return -errno;
	r = sd_event_new(&p->loop);
	if (r >= 0)
		r = sd_event_add_time(p->loop, &p->timer, CLOCK_BOOTTIME, UINT64_MAX,
				      TIMER_ACCURACY_US, on_timer, p);
	if (r >= 0)
		r = sd_event_source_set_priority(p->timer, PRIORITY_TIMER);
	if (r >= 0)
		r = sd_event_add_time(p->loop, &p->retry, CLOCK_BOOTTIME, UINT64_MAX, 0, on_retry,
				      p);
	if (r >= 0)
		r = sd_event_add_io(p->loop, &orders, p->wake, EPOLLIN, on_orders, p);
	if (r >= 0)
		r = sd_event_source_set_priority(orders, PRIORITY_ORDERS);
	if (r >= 0)
		r = sd_event_source_set_floating(orders, true);
	sd_event_source_unref(orders);
	return r < 0 ? r : 0;
}

void punctual_done(struct punctual *p)
{
	sd_event_source_disable_unref(p->timer);
	sd_event_source_disable_unref(p->retry);
	sd_event_unref(p->loop);
	if (p->wake >= 0)
		close(p->wake);
	pthread_mutex_destroy(&p->door);
	pthread_mutex_destroy(&p->lock);
	*p = (struct punctual){ .wake = -1, .retry_at = MONO_NEVER };
}

int punctual_start(struct punctual *p)
{
	sigset_t all, before;
	int r;

	punctual_wake(p); /* for what was asked before it began */
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&p->thread, NULL, thread_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

void punctual_join(struct punctual *p)
{
	pthread_join(p->thread, NULL);
}
