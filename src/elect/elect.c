/* The thread: opened, fed, woken, stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "elect/thread.h"

/* Of our IFLA_GROUPs, an even one for what lives, the odd one behind it for what is to go. */
#define GROUP_COUNT (~ELECT_GROUPS_MASK - 1)

#define PRIORITY_MAKE (SD_EVENT_PRIORITY_IDLE)

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

/* --- what wakes the thread -------------------------------------------------------------------- */

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

static int on_make(sd_event_source *s, void *ctx)
{
	carriers_make(ctx);
	return 0;
}

void elect_retry_soon(struct elect *e)
{
	punctual_retry_soon(&e->thread);
}

/* --- what the loop calls --------------------------------------------------------------------- */

static bool on_commands(void *ctx)
{
	return commands_do(ctx);
}

static void on_stop(void *ctx, mono_t now)
{
	struct elect *e = ctx;

	elect_core_stop(e->core, now);
}

static mono_t on_next_expiry(void *ctx)
{
	const struct elect *e = ctx;

	return elect_core_next_expiry(e->core);
}

static void on_time(void *ctx, mono_t now)
{
	struct elect *e = ctx;

	elect_core_time(e->core, now);
}

static void on_listen(void *ctx)
{
	links_listen(ctx);
}

static void on_retry(void *ctx)
{
	links_retry(ctx);
	carriers_retry(ctx);
	entries_retry(ctx);
}

static void on_settle(void *ctx)
{
	struct elect *e = ctx;

	if (e->router_tracks_due)
		tracks_on_routers(e);
	if (e->leaving)
		carriers_delete(e);
	if (e->ready_wanted && !e->to_make) {
		e->ready_wanted = false;
		carriers_sweep(e);
	}
	sd_event_source_set_enabled(e->make, e->to_make ? SD_EVENT_ON : SD_EVENT_OFF);
}

static bool on_over(void *ctx, bool stopping)
{
	const struct elect *e = ctx;

	return stopping && elect_core_stopped(e->core);
}

static void on_end(void *ctx)
{
	carriers_end(ctx);
}

static const struct punctual_ops loop_ops = {
	.name = "elections",
	.stop_within = STOP_AT_MOST,
	.orders = on_commands,
	.stop = on_stop,
	.next_expiry = on_next_expiry,
	.time = on_time,
	.listen = on_listen,
	.retry = on_retry,
	.settle = on_settle,
	.over = on_over,
	.end = on_end,
};

/* --- open ------------------------------------------------------------------------------------ */

static int sources_add(struct elect *e)
{
	sd_event *loop = e->thread.loop;
	int r = sd_event_add_io(loop, NULL, host_fd(e->host), EPOLLIN, on_host, e);

	if (r >= 0)
		r = sd_event_add_io(loop, NULL, errands_fd(e->errands), EPOLLIN, on_errands, e);
	if (r >= 0)
		r = sd_event_add_defer(loop, &e->make, on_make, e);
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
	r = sources_add(e);
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
	sd_event_source_disable_unref(e->make);
	punctual_done(&e->thread);
	if (e->tunables)
		tunables_close(e->tunables);
	host_close(e->host);
	orders_free(e);
	table_done(&e->carriers_by_index);
	elect_dispatch(e, on_nothing, NULL);
	close(e->reports);
	pthread_mutex_destroy(&e->queues);
	munmap(e, sizeof(*e));
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
	table_init(&e->carriers_by_index, &elect_mem);
	punctual_mutex_init(&e->queues);
	r = punctual_init(&e->thread, &loop_ops, e);
	e->reports = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && e->reports < 0)
		r = -errno;
	if (r < 0)
		error_set(ret_error, ERROR_KERNEL_FAILED, NULL,
			  "cannot set up the loop of the elections: %s", strerror(-r));
	else
		r = elect_setup(e, config, ret_error);
	if (r == 0) {
		elect_core_boot(e->core, clock_boot());
		r = punctual_start(&e->thread);
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
	punctual_wake(&e->thread);
	punctual_join(&e->thread);
	elect_free(e);
}
