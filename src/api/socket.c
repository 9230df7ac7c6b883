#include "api/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SOCKET_BACKLOG 256

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int fail(const char *path, const char *what, struct error *ret_error)
{
	int err = errno;

	switch (err) {
	case EACCES:
	case EPERM:
	case EROFS:
		return error_set(ret_error, ERROR_FORBIDDEN, "who runs vmacd must be allowed to",
				 "%s: cannot %s: %s", path, what, strerror(err));
	case ENOENT:
	case ENOTDIR:
		return error_set(ret_error, ERROR_NOT_FOUND, "make the directory first",
				 "%s: cannot %s: %s", path, what, strerror(err));
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "%s: cannot %s: %s", path, what,
				 strerror(err));
	default:
		return error_set(ret_error, ERROR_INTERNAL, NULL, "%s: cannot %s: %s", path, what,
				 strerror(err));
	}
}

/* Removes a socket file where nobody answers; leaves everything else alone. */
static int remove_stale(const struct sockaddr_un *addr, struct error *ret_error)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : fail(addr->sun_path, "look at it", ret_error);
	if (!S_ISSOCK(st.st_mode))
		return error_set(ret_error, ERROR_IN_USE, "choose another path, or move it away",
				 "%s: something else than a socket is there", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(addr->sun_path, "open a socket", ret_error);
	/* A full backlog (EAGAIN) is somebody, too. */
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return error_set(ret_error, ERROR_ALREADY_RUNNING,
				 "stop the other vmacd, or give this one another --socket",
				 "%s: somebody answers there already", addr->sun_path);
	if (errno != ECONNREFUSED)
		return fail(addr->sun_path, "ask whether somebody answers", ret_error);
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return fail(addr->sun_path, "remove a stale socket", ret_error);
	return 0;
}

/* Until listen() a connect() is refused, so mode and group are right before anybody can come in. */
static int bind_and_listen(int fd, const struct sockaddr_un *addr, mode_t mode, gid_t gid,
			   struct stat *ret_stat, struct error *ret_error)
{
	const char *path = addr->sun_path;
	mode_t old = umask(0177);
	int r = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	int err = errno;

	umask(old);
	errno = err;
	if (r < 0)
		return fail(path, "bind", ret_error);
	if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0)
		return fail(path, "set its group", ret_error);
	if (chmod(path, mode) < 0)
		return fail(path, "set its mode", ret_error);
	if (lstat(path, ret_stat) < 0)
		return fail(path, "look at it", ret_error);
	if (listen(fd, SOCKET_BACKLOG) < 0)
		return fail(path, "listen", ret_error);
	return 0;
}

int socket_listen(const char *path, mode_t mode, gid_t gid, int *ret_fd, ino_t *ret_inode,
		  struct error *ret_error)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "%s: a socket's path has at most %zu octets", path,
				 sizeof(addr.sun_path) - 1);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	r = remove_stale(&addr, ret_error);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(path, "open a socket", ret_error);
	r = bind_and_listen(fd, &addr, mode, gid, &st, ret_error);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	*ret_inode = st.st_ino;
	return 0;
}

void socket_remove(const char *path, ino_t inode)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode)
		unlink(path);
}
