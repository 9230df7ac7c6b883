#include "api/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/socket.h"
#include "base/log.h"

#define SOCKET_MODE 0660

/* Paths and queries stay as they were sent: query_decode() decodes, piece by piece and with a
 * check. */
static size_t unescape_nothing(void *cls, struct MHD_Connection *conn, char *text)
{
	return strlen(text);
}

/* The caller's uid plus 1 is the connection's context. */
static void connection_notify(void *cls, struct MHD_Connection *conn, void **context,
			      enum MHD_ConnectionNotificationCode toe)
{
	const union MHD_ConnectionInfo *info;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct api *a = cls;

	if (toe == MHD_CONNECTION_NOTIFY_CLOSED) {
		a->counters.connected--;
		return;
	}
	a->counters.connected++;
	a->counters.connections++;
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		*context = (void *)((uintptr_t)peer.uid + 1);
}

static void log_mhd(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void log_mhd(void *cls, const char *fmt, va_list ap)
{
	char line[512];
	size_t len;

	vsnprintf(line, sizeof(line), fmt, ap);
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n')
		line[len - 1] = '\0';
	log_debug("api: %s", line);
}

static int mhd_start(struct api *a, int listen_fd, struct error *ret_error)
{
	/* clang-format off: an option a line */
	a->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		request_handle, a, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, a, MHD_OPTION_LISTEN_SOCKET,
		listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)API_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)API_IDLE_S,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, a, MHD_OPTION_NOTIFY_CONNECTION,
		connection_notify, a, MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
		MHD_OPTION_END);
	/* clang-format on */
	if (!a->mhd) {
		close(listen_fd);
		return error_set(ret_error, ERROR_INTERNAL, NULL, "the HTTP server does not start");
	}
	return 0;
}

/* One descriptor for the owner's loop: libmicrohttpd's epoll and our wake-up. */
static int loop_join(struct api *a, struct error *ret_error)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event event = { .events = EPOLLIN };

	assert(info); /* MHD_USE_EPOLL without a thread has one */
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->wake_fd < 0 || a->epoll_fd < 0 ||
	    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0 ||
	    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->wake_fd, &event) < 0)
		return error_set(ret_error, ERROR_INTERNAL, NULL, "the API's event loop: %s",
				 strerror(errno));
	return 0;
}

static void api_free(struct api *a)
{
	if (a->mhd)
		MHD_stop_daemon(a->mhd);
	if (a->events)
		events_free(a->events);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	a->mhd = NULL;
	a->events = NULL;
	api_unref(a);
}

static int api_start(struct api *a, struct error *ret_error)
{
	mode_t mode = a->config.socket_mode ? a->config.socket_mode : SOCKET_MODE;
	int listen_fd, r;

	r = events_new(a, &a->events, ret_error);
	if (r < 0)
		return r;
	r = socket_listen(a->config.socket_path, mode, a->config.socket_gid, &listen_fd, &a->inode,
			  ret_error);
	if (r < 0)
		return r;
	snprintf(a->path, sizeof(a->path), "%s", a->config.socket_path);
	r = mhd_start(a, listen_fd, ret_error);
	if (r == 0)
		r = loop_join(a, ret_error);
	if (r < 0)
		socket_remove(a->path, a->inode);
	return r;
}

int api_open(const struct api_config *config, struct api **ret, struct error *ret_error)
{
	struct api *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the API");
	a->config = *config;
	a->wake_fd = -1;
	a->epoll_fd = -1;
	a->requests = 1; /* our own reference: see api_unref() */
	r = api_start(a, ret_error);
	if (r < 0) {
		a->closed = true;
		api_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int api_fd(const struct api *a)
{
	return a->epoll_fd;
}

/* Whether libmicrohttpd could go on at once: it takes one step of a connection a run, and a socket
 * that it has not read to its end is not told again by epoll. */
static bool mhd_busy(struct api *a)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(a->mhd, &ms) == MHD_YES && ms == 0;
}

void api_ready(struct api *a)
{
	unsigned int runs = 0;
	uint64_t n;

	if (a->woken && read(a->wake_fd, &n, sizeof(n)) > 0)
		a->woken = false;
	events_tick(a->events, a->config.mono_now());
	do
		MHD_run(a->mhd);
	while (mhd_busy(a) && ++runs < API_RUNS_MAX);
	if (runs == API_RUNS_MAX)
		api_wake(a);
}

mono_t api_next_expiry(struct api *a)
{
	mono_t at = events_next_expiry(a->events), idle;
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(a->mhd, &ms) != MHD_YES)
		return at;
	idle = mono_after(a->config.mono_now(), SPAN_MS(ms));
	return idle.ns < at.ns ? idle : at;
}

void api_close(struct api *a)
{
	if (!a)
		return;
	socket_remove(a->path, a->inode);
	a->closed = true;
	request_resume_all(a);
	events_stop(a->events);
	api_free(a);
}
