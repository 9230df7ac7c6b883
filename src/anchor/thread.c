/* The thread: begun, fed, ended; and what others are shown.
 *
 * It begins with the first cluster and ends with the last: a host that has none has no thread and
 * no socket.  It ends by itself, when the core is empty and the board asks for nothing; it says so
 * under the lock of the board, so whoever puts an order there later finds it ended, and no order
 * falls in between.  What it leaves is the engine's to clear, with the next order or the next look
 * at reports, whichever comes first: a join that waits for its last few instructions.  To stop and
 * join it with the order that removes the last cluster was rejected: it hands over then, and the
 * engine would have to wait for that.
 *
 * The core outlives it, empty: it knows how far heartbeats were counted, and those of a core that
 * counts from the beginning would be old to everybody who heard the one before. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "anchor/thread.h"
#include "base/log.h"

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

/* --- what the loop calls --------------------------------------------------------------------- */

static bool on_orders(void *ctx)
{
	return orders_do(ctx);
}

static void on_stop(void *ctx, mono_t now)
{
	struct anchors *a = ctx;

	anchor_core_leave(a->core, now);
}

static mono_t on_next_expiry(void *ctx)
{
	const struct anchors *a = ctx;

	return anchor_core_next_expiry(a->core);
}

static void on_time(void *ctx, mono_t now)
{
	struct anchors *a = ctx;

	anchor_core_time(a->core, now);
}

static void on_listen(void *ctx)
{
	links_take_in(ctx);
}

static void on_retry(void *ctx)
{
	links_reopen(ctx);
	orders_retry(ctx);
}

static void on_settle(void *ctx)
{
	struct anchors *a = ctx;

	/* A link may break as it is told of; it is closed to the core then, and not a third time.
	 */
	for (unsigned int i = 0; a->links_due && i < 3; i++)
		links_settle(a);
}

static bool on_over(void *ctx, bool stopping)
{
	struct anchors *a = ctx;

	if (!anchor_core_empty(a->core))
		return false;
	return stopping || orders_none(a);
}

/* Nobody waits for an end that comes by itself: the engine is told to look. */
static void on_end(void *ctx)
{
	const struct anchors *a = ctx;

	eventfd_write(a->reports_fd, 1);
}

static const struct punctual_ops loop_ops = {
	.name = "anchors",
	.stop_within = GROUP_SERVE,
	.orders = on_orders,
	.stop = on_stop,
	.next_expiry = on_next_expiry,
	.time = on_time,
	.listen = on_listen,
	.retry = on_retry,
	.settle = on_settle,
	.over = on_over,
	.end = on_end,
};

/* --- begin ----------------------------------------------------------------------------------- */

static void thread_free(struct anchors *a)
{
	links_free(a);
	punctual_done(&a->thread);
	a->running = a->ended = false;
}

static void thread_join(struct anchors *a)
{
	punctual_join(&a->thread);
	thread_free(a);
}

void thread_reap(struct anchors *a)
{
	bool ended;

	pthread_mutex_lock(&a->queues);
	ended = a->ended;
	pthread_mutex_unlock(&a->queues);
	if (!ended)
		return;
	thread_join(a);
	/* What its clusters took would stay with us for good: the C library keeps it for the next
	 * thread. */
	malloc_trim(0);
}

int thread_start(struct anchors *a, struct error *ret_error)
{
	const struct anchor_core_config config = {
		.mem = a->mem,
		.ops = &thread_ops,
		.ctx = a,
		.identity = a->identity,
	};
	int r = punctual_init(&a->thread, &loop_ops, a);

	if (r == 0 && !a->core)
		r = anchor_core_new(&config, &a->core);
	if (r == 0)
		r = punctual_start(&a->thread);
	if (r < 0) {
		thread_free(a);
		return error_set(ret_error, r == -ENOMEM ? ERROR_NO_MEMORY : ERROR_KERNEL_FAILED,
				 NULL, "cannot start the thread of the anchors: %s", strerror(-r));
	}
	a->trouble.code = ERROR_NONE;
	a->running = true;
	return 0;
}

/* --- open ------------------------------------------------------------------------------------ */

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
	a->reports_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->reports_fd < 0) {
		munmap(a, sizeof(*a));
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "eventfd: %s",
				 strerror(errno));
	}
	reports_init(a);
	punctual_mutex_init(&a->queues);
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
		punctual_wake(&a->thread);
		thread_join(a);
	}
	anchor_core_free(a->core); /* which ends what leases there still are */
	orders_end(a);
	reports_free(a);
	close(a->reports_fd);
	pthread_mutex_destroy(&a->queues);
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
	punctual_look(&a->thread);
	there = anchor_core_look(a->core, cluster, clock_boot(), ret);
	if (there && anchor_core_place(a->core, cluster, &place)) {
		trouble = links_trouble(a, place.where->ifindex);
		if (trouble)
			ret->trouble = *trouble;
		there = !place.leaving;
	}
	if (!there)
		there = look_asked(a, cluster, ret);
	punctual_looked(&a->thread);
	return there;
}
