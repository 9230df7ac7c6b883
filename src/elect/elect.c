/* The thread: opened, fed, woken, stopped. */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "elect/thread.h"

/* Of our IFLA_GROUPs, an even one for what lives, the odd one behind it for what is to go. */
#define GROUP_COUNT (~ELECT_GROUPS_MASK - 1)

#define PRIORITY_TIMER	  (SD_EVENT_PRIORITY_NORMAL - 10) /* before any frame */
#define PRIORITY_COMMAND  (SD_EVENT_PRIORITY_NORMAL + 10)
#define PRIORITY_MAKE	  (SD_EVENT_PRIORITY_IDLE)
#define TIMER_ACCURACY_US 1
#define REALTIME_PRIORITY 1
#define LATE_FROM	  SPAN_MS(2) /* a timer that comes so late comes after the frames */

static void *memory_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void memory_free(void *ctx, void *p)
{
	free(p);
}

const struct mem elect_mem = { memory_alloc, memory_free, NULL };

static wall_t wall_now(void *ctx)
{
	return clock_wall();
}

/* --- events for the engine ------------------------------------------------------------------- */

void elect_event_add(struct elect *e, const struct elect_event *event)
{
	struct event_node *n = calloc(1, sizeof(*n));
	bool taken = false;

	if (!n)
		return;
	n->event = *event;
	pthread_mutex_lock(&e->queues);
	if (e->event_count < EVENTS_QUEUE_MAX) {
		*e->events_last = n;
		e->events_last = &n->next;
		e->event_count++;
		taken = true;
	}
	pthread_mutex_unlock(&e->queues);
	if (taken)
		eventfd_write(e->reports, 1);
	else
		free(n);
}

int elect_fd(const struct elect *e)
{
	return e->reports;
}

void elect_dispatch(struct elect *e, void (*fn)(void *ctx, const struct elect_event *event),
		    void *ctx)
{
	struct event_node *n;
	eventfd_t ignored;

	eventfd_read(e->reports, &ignored);
	pthread_mutex_lock(&e->queues);
	n = e->events;
	e->events = NULL;
	e->events_last = &e->events;
	e->event_count = 0;
	pthread_mutex_unlock(&e->queues);
	while (n) {
		struct event_node *next = n->next;

		fn(ctx, &n->event);
		free(n);
		n = next;
	}
}

static void on_nothing(void *ctx, const struct elect_event *event)
{
}

static void stop_begin(struct elect *e)
{
	mono_t now = clock_boot();

	e->stopping = true;
	e->stop_by = mono_after(now, STOP_AT_MOST);
	elect_core_stop(e->core, now);
}

/* --- what wakes the thread -------------------------------------------------------------------- */

static int on_command(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct elect *e = ctx;
	eventfd_t ignored;

	eventfd_read(fd, &ignored);
	if (commands_do(e) && !e->stopping)
		stop_begin(e);
	return 0;
}

static int on_host(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct elect *e = ctx;

	host_dispatch(e->host, links_on_event, e);
	return 0;
}

static int on_errands(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	tracks_results(ctx);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct elect *e = ctx;
	mono_t now = clock_boot(), due = elect_core_next_expiry(e->core);

	/* Whoever slept too long listens before he speaks: the advertisements that would have
	 * kept a backup quiet may be waiting. */
	if (mono_due(mono_after(due, LATE_FROM), now)) {
		links_listen(e);
		now = clock_boot();
		due = elect_core_next_expiry(e->core);
	}
	if (due.ns < now.ns)
		e->begun = due;
	elect_core_time(e->core, now);
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct elect *e = ctx;

	e->retry_at = MONO_NEVER;
	links_retry(e);
	carriers_retry(e);
	entries_retry(e);
	return 0;
}

void elect_retry_soon(struct elect *e)
{
	if (e->retry_at.ns == MONO_NEVER.ns)
		e->retry_at = mono_after(clock_boot(), RETRY_EVERY);
}

static int on_make(sd_event_source *s, void *ctx)
{
	carriers_make(ctx);
	return 0;
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

/* What follows from any turn. */
static void settle(struct elect *e)
{
	mono_t next;

	if (e->router_tracks_due)
		tracks_on_routers(e);
	if (e->leaving)
		carriers_delete(e);
	if (e->ready_wanted && !e->to_make) {
		e->ready_wanted = false;
		carriers_sweep(e);
	}
	next = elect_core_next_expiry(e->core);
	if (e->stopping && e->stop_by.ns < next.ns)
		next = e->stop_by;
	arm(e->timer, next);
	arm(e->retry, e->retry_at);
	sd_event_source_set_enabled(e->make, e->to_make ? SD_EVENT_ON : SD_EVENT_OFF);
}

static bool finished(const struct elect *e)
{
	return e->stopping && (elect_core_stopped(e->core) || mono_due(e->stop_by, clock_boot()));
}

/* The lock is held but while it sleeps; the door gives a looker that waits its turn. */
static int thread_wait(struct elect *e)
{
	int r;

	pthread_mutex_unlock(&e->lock);
	r = sd_event_wait(e->loop, UINT64_MAX);
	pthread_mutex_lock(&e->door);
	pthread_mutex_lock(&e->lock);
	pthread_mutex_unlock(&e->door);
	return r;
}

static void thread_run(struct elect *e)
{
	int r;

	for (;;) {
		settle(e);
		if (finished(e))
			return;
		r = sd_event_prepare(e->loop);
		if (r == 0)
			r = thread_wait(e);
		e->begun = clock_boot();
		if (r > 0)
			r = sd_event_dispatch(e->loop);
		/* Only our own mistakes end an sd-event loop: an election that is silently without
		 * a thread would be worse than the end. */
		assert(r >= 0 || r == -EINTR);
	}
}

static void *thread_main(void *ctx)
{
	struct sched_param realtime = { .sched_priority = REALTIME_PRIORITY };
	struct elect *e = ctx;

	prctl(PR_SET_NAME, "elections");
	/* Where it is not permitted the elections still run, as punctual as the machine is idle. */
	pthread_setschedparam(pthread_self(), SCHED_RR, &realtime);
	pthread_mutex_lock(&e->lock);
	elect_core_boot(e->core, clock_boot());
	thread_run(e);
	carriers_end(e);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* --- open ------------------------------------------------------------------------------------ */

static void mutexes_init(struct elect *e)
{
	pthread_mutexattr_t lend;

	/* A looker of ordinary priority inside of the lock must not be kept from leaving it. */
	pthread_mutexattr_init(&lend);
	pthread_mutexattr_setprotocol(&lend, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&e->queues, &lend);
	pthread_mutex_init(&e->door, &lend);
	pthread_mutex_init(&e->lock, &lend);
	pthread_mutexattr_destroy(&lend);
}

static int loop_setup(struct elect *e)
{
	sd_event_source *s = NULL;
	int r = sd_event_new(&e->loop);

	if (r >= 0)
		r = sd_event_add_time(e->loop, &e->timer, CLOCK_BOOTTIME, UINT64_MAX,
				      TIMER_ACCURACY_US, on_timer, e);
	if (r >= 0)
		r = sd_event_source_set_priority(e->timer, PRIORITY_TIMER);
	if (r >= 0)
		r = sd_event_add_time(e->loop, &e->retry, CLOCK_BOOTTIME, UINT64_MAX, 0, on_retry,
				      e);
	if (r >= 0)
		r = sd_event_add_io(e->loop, NULL, host_fd(e->host), EPOLLIN, on_host, e);
	if (r >= 0)
		r = sd_event_add_io(e->loop, NULL, errands_fd(e->errands), EPOLLIN, on_errands, e);
	if (r >= 0)
		r = sd_event_add_io(e->loop, &s, e->wake, EPOLLIN, on_command, e);
	if (r >= 0)
		r = sd_event_source_set_priority(s, PRIORITY_COMMAND);
	if (r >= 0)
		r = sd_event_source_set_floating(s, true);
	sd_event_source_unref(s);
	if (r >= 0)
		r = sd_event_add_defer(e->loop, &e->make, on_make, e);
	if (r >= 0)
		r = sd_event_source_set_priority(e->make, PRIORITY_MAKE);
	return r;
}

static int core_setup(struct elect *e, struct error *ret_error)
{
	struct elect_core_config config = {
		.mem = &elect_mem,
		.ops = &orders_ops,
		.ctx = e,
		.wall_now = wall_now,
		.devices = true,
	};

	if (getrandom(&config.seed, sizeof(config.seed), 0) != sizeof(config.seed))
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "no random numbers: %s",
				 strerror(errno));
	return elect_core_new(&config, &e->core, ret_error);
}

static int elect_setup(struct elect *e, const struct elect_config *config, struct error *ret_error)
{
	char journal[PATH_MAX_LEN + 32];
	int r;

	snprintf(journal, sizeof(journal), "%s/tunables", config->state_dir);
	r = host_open(&e->host, ret_error);
	if (r == 0)
		r = host_watch_addresses(e->host, ret_error);
	if (r == 0)
		r = carriers_quell(e, ret_error);
	if (r == 0)
		r = tunables_open(journal, true, &e->tunables, ret_error);
	if (r == 0)
		r = errands_open(&e->errands, ret_error);
	if (r == 0)
		r = core_setup(e, ret_error);
	if (r < 0)
		return r;
	r = loop_setup(e);
	if (r < 0)
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				 "cannot set up the loop of the elections: %s", strerror(-r));
	return 0;
}

static void elect_free(struct elect *e)
{
	commands_free(e);
	entries_free(e);
	elect_core_free(e->core);
	errands_close(e->errands);
	sd_event_source_disable_unref(e->timer);
	sd_event_source_disable_unref(e->retry);
	sd_event_source_disable_unref(e->make);
	sd_event_unref(e->loop);
	if (e->tunables)
		tunables_close(e->tunables);
	host_close(e->host);
	orders_free(e);
	table_done(&e->carriers_by_index);
	elect_dispatch(e, on_nothing, NULL);
	close(e->wake);
	close(e->reports);
	pthread_mutex_destroy(&e->queues);
	pthread_mutex_destroy(&e->door);
	pthread_mutex_destroy(&e->lock);
	munmap(e, sizeof(*e));
}

/* All signals are the main thread's. */
static int thread_start(struct elect *e)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&e->thread, NULL, thread_main, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int elect_open(const struct elect_config *config, struct elect **ret, struct error *ret_error)
{
	/* Big, and mostly never used: so that it is not there before it is. */
	struct elect *e =
		mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t hash = hash_bytes(config->instance, strlen(config->instance), 0);
	int r;

	if (e == MAP_FAILED)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	e->plane = config->plane;
	e->group = ELECT_GROUPS + (uint32_t)(hash % GROUP_COUNT & ~1ULL);
	e->doomed = e->group + 1;
	e->commands_last = &e->commands;
	e->events_last = &e->events;
	e->to_make_last = &e->to_make;
	e->retry_at = MONO_NEVER;
	table_init(&e->carriers_by_index, &elect_mem);
	mutexes_init(e);
	e->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->reports = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->wake < 0 || e->reports < 0)
		r = error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "eventfd: %s", strerror(errno));
	else
		r = elect_setup(e, config, ret_error);
	if (r == 0) {
		r = thread_start(e);
		if (r < 0)
			error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
				  "cannot start the thread of the elections: %s", strerror(-r));
	}
	if (r < 0)
		elect_free(e);
	else
		*ret = e;
	return r;
}

void elect_close(struct elect *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->queues);
	e->stop_wanted = true;
	pthread_mutex_unlock(&e->queues);
	eventfd_write(e->wake, 1);
	pthread_join(e->thread, NULL);
	elect_free(e);
}
