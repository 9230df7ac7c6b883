/* The thread: opened, fed, woken, stopped; and what others are shown.
 *
 * It begins with the first cluster: a host that has none has no thread and no socket. */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "anchor/thread.h"
#include "base/log.h"

#define PRIORITY_TIMER	  (SD_EVENT_PRIORITY_NORMAL - 10) /* before any frame */
#define PRIORITY_ORDERS	  (SD_EVENT_PRIORITY_NORMAL + 10)
#define TIMER_ACCURACY_US 1
#define REALTIME_PRIORITY 1
#define LATE_FROM	  SPAN_MS(2) /* a timer that comes so late comes after the frames */

/* --- what the core orders -------------------------------------------------------------------- */

static void on_lease(void *ctx, unsigned int slot, unsigned int face, mono_t serve, mono_t speak)
{
	struct anchors *a = ctx;

	plane_cluster_lease(a->plane, slot, face, serve, speak);
}

static void on_own(void *ctx, unsigned int slot, mono_t until)
{
	struct anchors *a = ctx;

	plane_cluster_own(a->plane, slot, until);
}

static void on_standing(void *ctx, unsigned int slot, const struct heartbeat_bits *members)
{
	struct anchors *a = ctx;

	plane_cluster_standing(a->plane, slot, members->octet);
}

static void on_send(void *ctx, const struct anchor_where *where, const void *frame, size_t len)
{
	links_send(ctx, where, frame, len);
}

static void on_report(void *ctx, const struct anchor_report *r)
{
	struct anchor_report dated = *r;

	dated.at = clock_wall();
	report_add(ctx, &dated);
}

static void on_gone(void *ctx, uint32_t cluster)
{
	struct anchors *a = ctx;

	reports_forget(a, cluster);
	a->links_due = true;
}

static const struct anchor_ops thread_ops = {
	.lease = on_lease,
	.own = on_own,
	.standing = on_standing,
	.send = on_send,
	.report = on_report,
	.gone = on_gone,
};

/* --- what wakes the thread -------------------------------------------------------------------- */

static void stop_begin(struct anchors *a)
{
	mono_t now = clock_boot();

	a->stopping = true;
	a->stop_by = mono_after(now, GROUP_SERVE);
	anchor_core_leave(a->core, now);
}

static int on_orders(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct anchors *a = ctx;
	eventfd_t ignored;

	eventfd_read(fd, &ignored);
	if (orders_do(a) && !a->stopping)
		stop_begin(a);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct anchors *a = ctx;
	mono_t now = clock_boot();

	/* Whoever slept too long listens before he speaks: what another has taken over meanwhile
	 * may be waiting. */
	if (mono_due(mono_after(anchor_core_next_expiry(a->core), LATE_FROM), now)) {
		links_take_in(a);
		now = clock_boot();
	}
	anchor_core_time(a->core, now);
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct anchors *a = ctx;

	a->retry_at = MONO_NEVER;
	links_reopen(a);
	orders_retry(a);
	return 0;
}

void thread_retry_soon(struct anchors *a)
{
	if (a->retry_at.ns == MONO_NEVER.ns)
		a->retry_at = mono_after(clock_boot(), RETRY_EVERY);
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
static void settle(struct anchors *a)
{
	mono_t next;

	/* A link may break as it is told of; it is closed to the core then, and not a third time.
	 */
	for (unsigned int i = 0; a->links_due && i < 3; i++)
		links_settle(a);
	next = anchor_core_next_expiry(a->core);
	if (a->stopping && a->stop_by.ns < next.ns)
		next = a->stop_by;
	arm(a->timer, next);
	arm(a->retry, a->retry_at);
}

static bool finished(const struct anchors *a)
{
	return a->stopping && (anchor_core_empty(a->core) || mono_due(a->stop_by, clock_boot()));
}

/* The lock is held but while it sleeps; the door gives a looker that waits its turn. */
static int thread_wait(struct anchors *a)
{
	int r;

	pthread_mutex_unlock(&a->lock);
	r = sd_event_wait(a->loop, UINT64_MAX);
	pthread_mutex_lock(&a->door);
	pthread_mutex_lock(&a->lock);
	pthread_mutex_unlock(&a->door);
	return r;
}

static void thread_run(struct anchors *a)
{
	int r;

	for (;;) {
		settle(a);
		if (finished(a))
			return;
		r = sd_event_prepare(a->loop);
		if (r == 0)
			r = thread_wait(a);
		if (r > 0)
			r = sd_event_dispatch(a->loop);
		/* Only our own mistakes end an sd-event loop: anchors that are silently without a
		 * thread would be worse than the end. */
		assert(r >= 0 || r == -EINTR);
	}
}

static void *thread_main(void *ctx)
{
	struct sched_param realtime = { .sched_priority = REALTIME_PRIORITY };
	struct anchors *a = ctx;

	prctl(PR_SET_NAME, "anchors");
	/* Where it is not permitted they still run, as punctual as the machine is idle. */
	pthread_setschedparam(pthread_self(), SCHED_RR, &realtime);
	pthread_mutex_lock(&a->lock);
	if (orders_do(a))
		stop_begin(a);
	thread_run(a);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* --- begin ----------------------------------------------------------------------------------- */

static int loop_setup(struct anchors *a)
{
	sd_event_source *s = NULL;
	int r = sd_event_new(&a->loop);

	if (r >= 0)
		r = sd_event_add_time(a->loop, &a->timer, CLOCK_BOOTTIME, UINT64_MAX,
				      TIMER_ACCURACY_US, on_timer, a);
	if (r >= 0)
		r = sd_event_source_set_priority(a->timer, PRIORITY_TIMER);
	if (r >= 0)
		r = sd_event_add_time(a->loop, &a->retry, CLOCK_BOOTTIME, UINT64_MAX, 0, on_retry,
				      a);
	if (r >= 0)
		r = sd_event_add_io(a->loop, &s, a->wake, EPOLLIN, on_orders, a);
	if (r >= 0)
		r = sd_event_source_set_priority(s, PRIORITY_ORDERS);
	if (r >= 0)
		r = sd_event_source_set_floating(s, true);
	sd_event_source_unref(s);
	return r;
}

static void loop_end(struct anchors *a)
{
	sd_event_source_disable_unref(a->timer);
	sd_event_source_disable_unref(a->retry);
	a->loop = sd_event_unref(a->loop);
	a->timer = a->retry = NULL;
	if (a->wake >= 0)
		close(a->wake);
	a->wake = -1;
	anchor_core_free(a->core);
	a->core = NULL;
}

/* All signals are the main thread's. */
static int thread_create(struct anchors *a)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&a->thread, NULL, thread_main, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int thread_start(struct anchors *a, struct error *ret_error)
{
	const struct anchor_core_config config = {
		.mem = a->mem,
		.ops = &thread_ops,
		.ctx = a,
		.identity = a->identity,
	};
	int r = anchor_core_new(&config, &a->core);

	if (r == 0) {
		a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = a->wake < 0 ? -errno : loop_setup(a);
	}
	if (r >= 0)
		r = thread_create(a);
	if (r < 0) {
		loop_end(a);
		return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED,
				 NULL, "cannot start the thread of the anchors: %s", strerror(-r));
	}
	a->trouble.code = ERROR_NONE;
	a->running = true;
	return 0;
}

/* --- open ------------------------------------------------------------------------------------ */

static void mutexes_init(struct anchors *a)
{
	pthread_mutexattr_t lend;

	/* A looker of ordinary priority inside of the lock must not be kept from leaving it. */
	pthread_mutexattr_init(&lend);
	pthread_mutexattr_setprotocol(&lend, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&a->queues, &lend);
	pthread_mutex_init(&a->door, &lend);
	pthread_mutex_init(&a->lock, &lend);
	pthread_mutexattr_destroy(&lend);
}

int anchor_open(const struct anchor_config *config, struct anchors **ret, struct error *ret_error)
{
	/* Big, and mostly never used: so that it is not there before it is. */
	struct anchors *a =
		mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (a == MAP_FAILED)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	a->mem = config->mem;
	a->plane = config->plane;
	a->identity = (struct anchor_identity){
		.self = config->self,
		.number = config->number,
		.alone = config->alone,
		.incarnation = config->incarnation,
	};
	a->retry_at = MONO_NEVER;
	a->wake = -1;
	a->reports_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->reports_fd < 0) {
		munmap(a, sizeof(*a));
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "eventfd: %s",
				 strerror(errno));
	}
	reports_init(a);
	mutexes_init(a);
	*ret = a;
	return 0;
}

void anchor_close(struct anchors *a)
{
	if (!a)
		return;
	if (a->running) {
		pthread_mutex_lock(&a->queues);
		a->stop_wanted = true;
		pthread_mutex_unlock(&a->queues);
		eventfd_write(a->wake, 1);
		pthread_join(a->thread, NULL);
		links_free(a);
		loop_end(a); /* which ends what leases there still are */
	}
	orders_end(a);
	reports_free(a);
	close(a->reports_fd);
	pthread_mutex_destroy(&a->queues);
	pthread_mutex_destroy(&a->door);
	pthread_mutex_destroy(&a->lock);
	munmap(a, sizeof(*a));
}

/* --- look ------------------------------------------------------------------------------------ */

/* A cluster that was asked for and that the thread has not begun: for want of memory, or of itself,
 * or of a moment. */
static bool look_asked(struct anchors *a, uint32_t cluster, struct anchor_view *ret)
{
	const struct cluster *record;

	pthread_mutex_lock(&a->queues);
	record = cluster_hold(a->orders[cluster].record);
	pthread_mutex_unlock(&a->queues);
	if (!record)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->face_count = record->face_count;
	for (unsigned int i = 0; i < record->face_count; i++)
		ret->faces[i].lease_ms = -1;
	for (unsigned int i = 0; i < record->member_count; i++)
		ret->live[i] = "absent";
	cluster_release(record);
	if (!a->running)
		ret->trouble = a->trouble;
	else if (a->lacking[cluster])
		error_set(&ret->trouble, ERROR_NO_MEMORY, NULL, "not enough memory");
	return true;
}

bool anchor_look(struct anchors *a, uint32_t cluster, struct anchor_view *ret)
{
	const struct error *trouble;
	struct anchor_place place;
	bool there;

	if (cluster < 1 || cluster > CLUSTERS_MAX)
		return false;
	if (!a->running)
		return look_asked(a, cluster, ret);
	pthread_mutex_lock(&a->door);
	pthread_mutex_lock(&a->lock);
	pthread_mutex_unlock(&a->door);
	there = anchor_core_look(a->core, cluster, clock_boot(), ret);
	if (there && anchor_core_place(a->core, cluster, &place)) {
		trouble = links_trouble(a, place.where->ifindex);
		if (trouble)
			ret->trouble = *trouble;
		there = !place.leaving;
	}
	if (!there)
		there = look_asked(a, cluster, ret);
	pthread_mutex_unlock(&a->lock);
	return there;
}
