/* The registry's directory: which files are in it, and who has it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/fd.h"
#include "store/sqlite.h"

int sqlite_paths_fill(const char *directory, struct sqlite_paths *ret, struct error *ret_error)
{
	struct sqlite_paths p;

	if (strlen(directory) > SQLITE_DIRECTORY_MAX)
		return error_set(ret_error, ERROR_BAD_CONFIG, "choose a shorter path",
				 "the registry's directory has a path of more than %d octets",
				 SQLITE_DIRECTORY_MAX);
	snprintf(p.directory, sizeof(p.directory), "%s", directory);
	snprintf(p.lock, sizeof(p.lock), "%s/lock", directory);
	snprintf(p.main, sizeof(p.main), "%s/" SQLITE_FILE_NAME, directory);
	snprintf(p.wal, sizeof(p.wal), "%s/" SQLITE_FILE_NAME "-wal", directory);
	snprintf(p.fresh, sizeof(p.fresh), "%s/" SQLITE_FILE_NAME ".new", directory);
	*ret = p;
	return 0;
}

static int lock_taken(int fd, const struct sqlite_paths *p, struct error *ret_error)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid <= 0)
		return error_set(ret_error, ERROR_ALREADY_RUNNING,
				 "stop the other process, or give this one another directory",
				 "another process has the registry in %s", p->directory);
	return error_set(ret_error, ERROR_ALREADY_RUNNING,
			 "stop it, or give this one another directory",
			 "process %ld has the registry in %s", pid, p->directory);
}

int sqlite_lock(const struct sqlite_paths *p, int *ret_fd, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[16];
	int n;

	if (fd < 0 && errno == ENOENT)
		return error_set(ret_error, ERROR_REGISTRY_FAILED, "create the directory",
				 "there is no directory %s for the registry", p->directory);
	if (fd < 0)
		return sqlite_file_failed(ret_error, errno, "open", p->lock);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? lock_taken(fd, p, ret_error)
					    : sqlite_file_failed(ret_error, errno, "lock", p->lock);
	/* The pid is for people; the lock holds without it (on a full disk). */
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n && ftruncate(fd, 0) < 0)
		return sqlite_file_failed(ret_error, errno, "write", p->lock);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int sqlite_sync_directory(const struct sqlite_paths *p, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(p->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return sqlite_file_failed(ret_error, errno, "sync", p->directory);
	return 0;
}
