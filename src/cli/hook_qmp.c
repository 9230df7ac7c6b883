/* vmac hook qmp: watches QEMUs without libvirt, each by a monitor of its own, and hints at what
 * their guests do.
 *
 * A monitor that goes is tried again every second as long as its socket is there or was named.
 * Hints are sent one by one over one kept connection to vmacd: a guest that stands still is told a
 * fraction of a millisecond after QEMU said so. */
#include "cli/hook_qmp.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/hook.h"

#define WATCHED_MAX 1024
#define RETRY_MS    1000

struct watched {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool named; /* on the command line: waited for when it is not there */
	int fd;	    /* -1: not connected */
	struct qmp_monitor *monitor;
};

struct watcher {
	struct command *c;
	const char *dir;
	int inotify; /* -1: no directory */
	size_t count;
	struct watched list[WATCHED_MAX];
};

static void say(const struct watcher *w, const struct watched *q, const char *what)
{
	if (w->c->quiet)
		return;
	printf("%s: %s\n", q->path, what);
	fflush(stdout);
}

/* --- hints ----------------------------------------------------------------------------------- */

/* An address that is none of vmacd's here is none of our business. */
static void hint(struct watcher *w, const struct watched *q, vmac_mac_t mac, const char *verb)
{
	JSON_AUTO segments = NULL;
	struct vmac_reply why;
	const json_t *s;
	char reason[256];
	size_t i;

	snprintf(reason, sizeof(reason), "qmp %.200s", q->path);
	segments = hook_segments(w->c, &why);
	if (!segments)
		hook_complain("asking vmacd", &why);
	json_array_foreach (segments, i, s)
		if (hook_hint(w->c, json_text(s, "name"), mac, verb, reason, NULL, &why) < 0 &&
		    !hook_is_moot(&why))
			hook_complain(q->path, &why);
}

static void hint_all(struct watcher *w, const struct watched *q, const char *verb)
{
	for (unsigned int i = 0; i < q->monitor->nic_count; i++)
		hint(w, q, q->monitor->nics[i], verb);
	say(w, q, verb);
}

/* --- monitors -------------------------------------------------------------------------------- */

static void hang_up(struct watched *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	free(q->monitor);
	q->monitor = NULL;
}

static void dial(struct watcher *w, struct watched *q)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	memcpy(to.sun_path, q->path, sizeof(to.sun_path));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return;
	}
	q->monitor = calloc(1, sizeof(*q->monitor));
	if (!q->monitor)
		call_no_memory();
	q->fd = fd;
}

/* false: it is no monitor, or has gone. */
static bool said(struct watcher *w, struct watched *q, enum qmp_said what, const char *status)
{
	char text[64];

	switch (what) {
	case QMP_NOTHING:
		return true;
	case QMP_GREETS:
		return write(q->fd, qmp_questions, strlen(qmp_questions)) ==
		       (ssize_t)strlen(qmp_questions);
	case QMP_NICS:
		snprintf(text, sizeof(text), "watched, %u NICs", q->monitor->nic_count);
		say(w, q, text);
		return true;
	case QMP_STOPS:
		hint_all(w, q, "stop");
		return true;
	case QMP_RESUMES:
		hint_all(w, q, "resume");
		return true;
	case QMP_MIGRATES:
		snprintf(text, sizeof(text), "migration %s", status);
		say(w, q, text);
		return true;
	case QMP_BROKEN:
		break;
	}
	say(w, q, "this is no QMP");
	return false;
}

static bool hear(struct watcher *w, struct watched *q)
{
	char data[16384], status[32] = "";
	ssize_t n = read(q->fd, data, sizeof(data));
	enum qmp_said what;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (size_t at = 0; at < (size_t)n;) {
		at += qmp_take(q->monitor, data + at, (size_t)n - at, &what, status);
		if (!said(w, q, what, status))
			return false;
	}
	return n > 0;
}

/* --- which ----------------------------------------------------------------------------------- */

static bool is_watched(const struct watcher *w, const char *path)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->list[i].path, path) == 0)
			return true;
	return false;
}

/* 0, or the exit status with the reason told. */
static int watch(struct watcher *w, const char *path, bool named)
{
	struct watched *q = &w->list[w->count];

	if (is_watched(w, path))
		return 0;
	if (strlen(path) >= sizeof(q->path))
		return command_misuse(w->c, "%s: too long for a socket", path);
	if (w->count == WATCHED_MAX)
		return command_misuse(w->c, "%s: more than %d sockets", path, WATCHED_MAX);
	*q = (struct watched){ .named = named, .fd = -1 };
	snprintf(q->path, sizeof(q->path), "%s", path);
	w->count++;
	return 0;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* What is in the directory now. */
static void scan(struct watcher *w)
{
	DIR *dir = w->dir ? opendir(w->dir) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		TEXT_AUTO path = NULL;

		if (asprintf(&path, "%s/%s", w->dir, entry->d_name) < 0)
			call_no_memory();
		if (is_socket(path))
			watch(w, path, false);
	}
	if (dir)
		closedir(dir);
}

/* Dials those that are not connected, and lets go of those that are no more. */
static void renew(struct watcher *w)
{
	size_t kept = 0;

	scan(w);
	for (size_t i = 0; i < w->count; i++) {
		struct watched *q = &w->list[i];

		if (q->fd < 0)
			dial(w, q);
		if (q->fd >= 0 || q->named || is_socket(q->path))
			w->list[kept++] = *q;
	}
	w->count = kept;
}

static int begin(struct watcher *w)
{
	int r = 0;

	w->dir = command_option(w->c, "dir");
	w->inotify = -1;
	if (!w->dir && w->c->arg_count == 0)
		return command_misuse(w->c, "which? name sockets, or a directory with --dir");
	for (unsigned int i = 0; r == 0 && i < w->c->arg_count; i++)
		r = watch(w, w->c->args[i], true);
	if (r != 0 || !w->dir)
		return r;
	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify < 0 ||
	    inotify_add_watch(w->inotify, w->dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		fprintf(stderr, "vmac: %s: %s\n", w->dir, strerror(errno));
		return 3;
	}
	return 0;
}

static void turn(struct watcher *w)
{
	static struct pollfd fds[WATCHED_MAX + 1];
	static size_t of[WATCHED_MAX + 1];
	bool missing = false;
	char events[4096];
	nfds_t n = 0;

	fds[n++] = (struct pollfd){ .fd = w->inotify, .events = POLLIN };
	for (size_t i = 0; i < w->count; i++) {
		missing |= w->list[i].fd < 0;
		if (w->list[i].fd < 0)
			continue;
		of[n] = i;
		fds[n++] = (struct pollfd){ .fd = w->list[i].fd, .events = POLLIN };
	}
	if (poll(fds, n, missing ? RETRY_MS : -1) < 0)
		return;
	for (nfds_t i = 1; i < n; i++)
		if (fds[i].revents && !hear(w, &w->list[of[i]]))
			hang_up(&w->list[of[i]]);
	while (fds[0].revents && read(w->inotify, events, sizeof(events)) > 0)
		;
}

int hook_qmp(struct command *c)
{
	static struct watcher w;
	int r = call_open(c);

	w.c = c;
	if (r == 0)
		r = begin(&w);
	if (r != 0)
		return r;
	for (;;) {
		renew(&w);
		turn(&w);
	}
}
