#include "daemon/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "anchor/anchor.h"
#include "api/api.h"
#include "base/cleanup.h"
#include "elect/elect.h"
#include "engine/engine.h"
#include "host/host.h"
#include "plane/plane.h"
#include "store/store.h"

#define TIMER_ACCURACY_US 1000

struct loop {
	const struct loop_parts *parts;
	sd_event *event;
	sd_event_source *mono, *wall;
};

static int on_host(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_host_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_store(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_store_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_plane(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_plane_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_shared(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_shared_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_elect(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_elect_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_anchors(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_anchors_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_probes(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	engine_probes_ready(((struct loop *)ctx)->parts->engine);
	return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *info, void *ctx)
{
	const struct loop_parts *parts = ((struct loop *)ctx)->parts;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration.",
		   now.tv_sec * 1000000LL + now.tv_nsec / 1000);
	parts->reload(parts->ctx);
	return 0;
}

void loop_reloaded(void)
{
	sd_notify(false, "READY=1\nSTATUS=Serving.");
}

static int on_api(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	api_ready(((struct loop *)ctx)->parts->api);
	return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct loop *l = ctx;

	engine_time_passed(l->parts->engine);
	api_ready(l->parts->api);
	return 0;
}

static int arm(sd_event_source *timer, bool never, int64_t us)
{
	int r;

	if (never)
		return sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	r = sd_event_source_set_time(timer, us < 1 ? 1 : (uint64_t)us);
	return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* After every turn: whatever happened may have moved the next deadline.  Rounded up, so that the
 * timer never rings before its time and turns for nothing. */
static int on_turn(sd_event_source *s, void *ctx)
{
	struct loop *l = ctx;
	struct engine_expiry next = engine_next_expiry(l->parts->engine);
	mono_t api = api_next_expiry(l->parts->api);
	int r;

	if (api.ns < next.mono.ns)
		next.mono = api;
	r = arm(l->mono, next.mono.ns == MONO_NEVER.ns, next.mono.ns / 1000 + 1);
	if (r < 0)
		return r;
	return arm(l->wall, next.wall.ms == WALL_NEVER.ms || next.wall.ms > INT64_MAX / 1000,
		   next.wall.ms * 1000);
}

int loop_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int loop_setup(struct loop *l)
{
	const struct loop_parts *p = l->parts;
	int r;

	r = sd_event_new(&l->event);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGHUP, on_reload, l);
	if (r >= 0)
		r = sd_event_add_io(l->event, NULL, store_fd(p->store), EPOLLIN, on_store, l);
	if (r >= 0)
		r = sd_event_add_io(l->event, NULL, api_fd(p->api), EPOLLIN, on_api, l);
	if (r >= 0 && p->host)
		r = sd_event_add_io(l->event, NULL, host_fd(p->host), EPOLLIN, on_host, l);
	if (r >= 0 && p->elect)
		r = sd_event_add_io(l->event, NULL, elect_fd(p->elect), EPOLLIN, on_elect, l);
	if (r >= 0 && p->anchors)
		r = sd_event_add_io(l->event, NULL, anchor_fd(p->anchors), EPOLLIN, on_anchors, l);
	if (r >= 0 && engine_probes_fd(p->engine) >= 0)
		r = sd_event_add_io(l->event, NULL, engine_probes_fd(p->engine), EPOLLIN, on_probes,
				    l);
	if (r >= 0 && p->plane)
		r = sd_event_add_io(l->event, NULL, plane_events_fd(p->plane), EPOLLIN, on_plane,
				    l);
	if (r >= 0 && engine_shared_fd(p->engine) >= 0)
		r = sd_event_add_io(l->event, NULL, engine_shared_fd(p->engine), EPOLLIN, on_shared,
				    l);
	if (r >= 0)
		r = sd_event_add_time(l->event, &l->mono, CLOCK_BOOTTIME, UINT64_MAX,
				      TIMER_ACCURACY_US, on_time, l);
	if (r >= 0)
		r = sd_event_add_time(l->event, &l->wall, CLOCK_REALTIME, UINT64_MAX,
				      TIMER_ACCURACY_US, on_time, l);
	if (r >= 0)
		r = sd_event_add_post(l->event, NULL, on_turn, l);
	if (r >= 0)
		r = sd_event_set_watchdog(l->event, true);
	return r < 0 ? r : on_turn(NULL, l);
}

int loop_run(const struct loop_parts *parts, struct error *ret_error)
{
	struct loop l = { .parts = parts };
	int r = loop_setup(&l);

	if (r >= 0) {
		sd_notify(false, "READY=1\nSTATUS=Serving.");
		r = sd_event_loop(l.event);
		sd_notify(false, "STOPPING=1");
	}
	sd_event_source_unref(l.mono);
	sd_event_source_unref(l.wall);
	sd_event_unref(l.event);
	if (r < 0)
		return error_set(ret_error, ERROR_INTERNAL, NULL, "event loop: %s", strerror(-r));
	return 0;
}
