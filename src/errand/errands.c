/* The errands' thread: its queues and its loop. */
#include "errand/errands.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "errand/notify.h"

#define WAIT_MAX                                                                                   \
	(3 * PROGRAMS_MAX + CONNECTS_MAX + 3) /* programs' ends, connections, two ping sockets,    \
					       * and who wakes us */
#define WAIT_MS_MOST 60000

struct command {
	struct command *next;
	enum { COMMAND_PROBE, COMMAND_DROP, COMMAND_TELL } what;
	uint64_t id; /* DROP */
	struct news *news;
	struct errand_probe probe;
	char target[]; /* PROBE's */
};

struct result {
	struct result *next;
	uint64_t id;
	enum errand_outcome outcome;
	char detail[DETAIL_MAX];
};

struct errands {
	pthread_t thread;
	bool running;	 /* there was something to do: the opener's */
	int ready, wake; /* eventfds: results, commands */

	pthread_mutex_t lock; /* of what follows */
	struct command *commands, **commands_last;
	struct result *results, **results_last;
	unsigned int result_count;
	bool stop;
	struct errands_counters counters;

	/* The thread's. */
	struct prober prober;
	struct notifier notifier;
};

static void on_result(void *ctx, uint64_t id, enum errand_outcome outcome, const char *detail)
{
	struct errands *e = ctx;
	struct result *r = calloc(1, sizeof(*r));
	bool taken = false;

	if (!r)
		return; /* the next one comes in an interval */
	r->id = id;
	r->outcome = outcome;
	memccpy(r->detail, detail, '\0', sizeof(r->detail) - 1);
	pthread_mutex_lock(&e->lock);
	if (e->result_count < RESULTS_MAX) {
		*e->results_last = r;
		e->results_last = &r->next;
		e->result_count++;
		taken = true;
	}
	pthread_mutex_unlock(&e->lock);
	if (taken)
		eventfd_write(e->ready, 1);
	else
		free(r);
}

static void command_do(struct errands *e, struct command *c)
{
	switch (c->what) {
	case COMMAND_PROBE:
		c->probe.target = c->target;
		if (prober_add(&e->prober, &c->probe) < 0)
			on_result(e, c->probe.id, ERRAND_DOWN, "too many tracks on this host");
		break;
	case COMMAND_DROP:
		prober_drop(&e->prober, c->id);
		break;
	case COMMAND_TELL:
		notifier_add(&e->notifier, c->news);
		break;
	}
	free(c);
}

/* Does what was asked for; returns whether that was the last. */
static bool commands_take(struct errands *e)
{
	struct command *c;
	bool stop;

	pthread_mutex_lock(&e->lock);
	c = e->commands;
	e->commands = NULL;
	e->commands_last = &e->commands;
	stop = e->stop;
	pthread_mutex_unlock(&e->lock);
	while (c) {
		struct command *next = c->next;

		command_do(e, c);
		c = next;
	}
	return stop;
}

static void counters_show(struct errands *e)
{
	pthread_mutex_lock(&e->lock);
	e->counters.told = e->notifier.told;
	e->counters.lost = e->notifier.lost;
	pthread_mutex_unlock(&e->lock);
}

static void errands_wait(struct errands *e, mono_t until, mono_t now)
{
	struct pollfd fds[WAIT_MAX];
	unsigned int n = 1 + prober_wait(&e->prober, fds + 1, WAIT_MAX - 1);
	int64_t ms = WAIT_MS_MOST;
	eventfd_t ignored;

	fds[0] = (struct pollfd){ .fd = e->wake, .events = POLLIN };
	n += notifier_wait(&e->notifier, fds + n, WAIT_MAX - n);
	if (until.ns < MONO_NEVER.ns)
		ms = (until.ns - now.ns + 999999) / 1000000;
	if (ms > WAIT_MS_MOST)
		ms = WAIT_MS_MOST;
	poll(fds, n, ms < 0 ? 0 : (int)ms);
	eventfd_read(e->wake, &ignored);
}

static void *errands_main(void *ctx)
{
	struct errands *e = ctx;
	mono_t end = MONO_NEVER;

	prctl(PR_SET_NAME, "errands");
	for (;;) {
		bool stop = commands_take(e);
		mono_t now = clock_boot(), next, later;

		if (stop && end.ns == MONO_NEVER.ns) {
			end = mono_after(now, SPAN_MS(NOTIFY_LAST_MS));
			while (e->prober.probes)
				prober_drop(&e->prober, e->prober.probes->id);
		}
		next = prober_turn(&e->prober, now);
		later = notifier_turn(&e->notifier, now);
		counters_show(e);
		if (stop && (notifier_idle(&e->notifier) || mono_due(end, now)))
			return NULL;
		if (later.ns < next.ns)
			next = later;
		if (end.ns < next.ns)
			next = end;
		errands_wait(e, next, now);
		prober_look(&e->prober);
	}
}

/* With the first errand: who has none has no thread. */
static int thread_begin(struct errands *e)
{
	sigset_t all, before;
	int r;

	if (e->running)
		return 0;
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&e->thread, NULL, errands_main, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	e->running = r == 0;
	return r;
}

int errands_open(struct errands **ret, struct error *ret_error)
{
	struct errands *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	e->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->commands_last = &e->commands;
	e->results_last = &e->results;
	e->prober.result = on_result;
	e->prober.ctx = e;
	pthread_mutex_init(&e->lock, NULL);
	r = e->ready < 0 || e->wake < 0 ? -errno : prober_init(&e->prober);
	if (r == 0) {
		*ret = e;
		return 0;
	}
	prober_done(&e->prober);
	if (e->ready >= 0)
		close(e->ready);
	if (e->wake >= 0)
		close(e->wake);
	free(e);
	return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot start the errands: %s",
			 strerror(-r));
}

void errands_close(struct errands *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_mutex_unlock(&e->lock);
	eventfd_write(e->wake, 1);
	if (e->running)
		pthread_join(e->thread, NULL);
	notifier_done(&e->notifier);
	prober_done(&e->prober);
	while (e->results) {
		struct result *r = e->results;

		e->results = r->next;
		free(r);
	}
	close(e->ready);
	close(e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static int command_add(struct errands *e, struct command *c)
{
	int r = thread_begin(e);

	if (r < 0) {
		if (c->news)
			news_free(c->news);
		free(c);
		return -ENOMEM;
	}
	pthread_mutex_lock(&e->lock);
	*e->commands_last = c;
	e->commands_last = &c->next;
	pthread_mutex_unlock(&e->lock);
	eventfd_write(e->wake, 1);
	return 0;
}

int errands_probe(struct errands *e, const struct errand_probe *p)
{
	size_t len = strlen(p->target) + 1;
	struct command *c = calloc(1, sizeof(*c) + len);

	if (!c)
		return -ENOMEM;
	c->what = COMMAND_PROBE;
	c->probe = *p;
	memcpy(c->target, p->target, len);
	return command_add(e, c);
}

void errands_drop(struct errands *e, uint64_t id)
{
	struct command *c = calloc(1, sizeof(*c));

	if (!c)
		return; /* it goes on for nobody */
	c->what = COMMAND_DROP;
	c->id = id;
	command_add(e, c);
}

int errands_tell(struct errands *e, const struct errand_news *news)
{
	struct command *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->what = COMMAND_TELL;
	c->news = news_new(news);
	if (!c->news) {
		free(c);
		return -ENOMEM;
	}
	return command_add(e, c);
}

int errands_fd(const struct errands *e)
{
	return e->ready;
}

void errands_results(struct errands *e,
		     void (*fn)(void *ctx, uint64_t id, enum errand_outcome outcome,
				const char *detail),
		     void *ctx)
{
	struct result *r;
	eventfd_t ignored;

	eventfd_read(e->ready, &ignored);
	pthread_mutex_lock(&e->lock);
	r = e->results;
	e->results = NULL;
	e->results_last = &e->results;
	e->result_count = 0;
	pthread_mutex_unlock(&e->lock);
	while (r) {
		struct result *next = r->next;

		fn(ctx, r->id, r->outcome, r->detail);
		free(r);
		r = next;
	}
}

void errands_counters(struct errands *e, struct errands_counters *ret)
{
	pthread_mutex_lock(&e->lock);
	*ret = e->counters;
	pthread_mutex_unlock(&e->lock);
}
