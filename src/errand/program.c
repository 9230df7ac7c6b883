#include "errand/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- words ----------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies one word from *at to `to`, which has room for all of the line; returns what is behind the
 * copy, or NULL where a quote is not closed. */
static char *split_word(const char **at, char *to)
{
	const char *p = *at;
	char quote = 0;

	for (; *p && (quote || !is_space(*p)); p++) {
		if (*p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && quote != '\'' && p[1])
			*to++ = *++p;
		else
			*to++ = *p;
	}
	*at = p;
	*to++ = '\0';
	return quote ? NULL : to;
}

int program_split(const char *line, struct program_words *ret, struct error *ret_error)
{
	char *to = ret->text;

	ret->count = 0;
	ret->word[0] = NULL;
	if (strlen(line) >= sizeof(ret->text))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "a program line too long");
	for (;;) {
		while (is_space(*line))
			line++;
		if (!*line)
			break;
		if (ret->count == PROGRAM_WORDS_MAX)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "more than %d words in a program line", PROGRAM_WORDS_MAX);
		ret->word[ret->count++] = to;
		to = split_word(&line, to);
		if (!to)
			return error_set(ret_error, ERROR_BAD_VALUE,
					 "close it, or write \\ before it",
					 "a quote is not closed in a program line");
	}
	ret->word[ret->count] = NULL;
	if (ret->count == 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "no program is named");
	return 0;
}

/* --- whether it may be run ------------------------------------------------------------------- */

static int check_step(const char *path, const struct stat *st, struct error *ret_error)
{
	/* The mode of a link says nothing: its directory decides, which was checked before it. */
	bool others = !S_ISLNK(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH));

	if (st->st_uid == 0 && !others)
		return 0;
	return error_set(ret_error, ERROR_FORBIDDEN,
			 "programs run as root: chown root, chmod go-w, and so for all above it",
			 "%s may be changed by others than root", path);
}

/* Puts what a link says before the rest of the way. */
static int follow_link(const char *link, char *rest, size_t size, struct error *ret_error)
{
	char target[PROGRAM_PATH_MAX], joined[PROGRAM_PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	int len;

	if (n < 0)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "cannot read the link %s: %s",
				 link, strerror(errno));
	target[n] = '\0';
	len = snprintf(joined, sizeof(joined), "%s/%s", target, rest);
	if (len < 0 || (size_t)len >= size)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "a path too long behind %s",
				 link);
	memcpy(rest, joined, (size_t)len + 1);
	return 0;
}

/* Takes the next name off the way; false at its end. */
static bool next_name(char *rest, char *name, size_t size)
{
	size_t skip = strspn(rest, "/"), len = strcspn(rest + skip, "/");

	if (len == 0 || len >= size)
		return false;
	memcpy(name, rest + skip, len);
	name[len] = '\0';
	memmove(rest, rest + skip + len, strlen(rest + skip + len) + 1);
	return true;
}

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

static int check_file(const char *path, const struct stat *st, struct error *ret_error)
{
	if (!S_ISREG(st->st_mode) || !(st->st_mode & S_IXUSR))
		return error_set(ret_error, ERROR_FORBIDDEN, "chmod +x it", "%s is no program",
				 path);
	return 0;
}

int program_check(const char *path, char ret[static PROGRAM_PATH_MAX], struct error *ret_error)
{
	char rest[PROGRAM_PATH_MAX], at[PROGRAM_PATH_MAX] = "", name[NAME_MAX + 1];
	unsigned int links = 0;
	struct stat st;
	int r;

	if (path[0] != '/' || strlen(path) >= sizeof(rest))
		return error_set(ret_error, ERROR_BAD_VALUE, "begin it with /",
				 "a program needs an absolute path");
	memcpy(rest, path, strlen(path) + 1);
	if (lstat("/", &st) < 0 || check_step("/", &st, ret_error) < 0)
		return -EPERM;
	while (next_name(rest, name, sizeof(name))) {
		size_t len = strlen(at);

		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			drop_last(at);
			continue;
		}
		if ((size_t)snprintf(at + len, sizeof(at) - len, "/%s", name) >= sizeof(at) - len)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL, "a path too long");
		if (lstat(at, &st) < 0)
			return error_set(ret_error, ERROR_NOT_FOUND, NULL, "%s: %s", at,
					 strerror(errno));
		r = check_step(at, &st, ret_error);
		if (r < 0)
			return r;
		if (!S_ISLNK(st.st_mode))
			continue;
		if (++links > PROGRAM_LINKS_MAX)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "too many links behind %s", path);
		r = follow_link(at, rest, sizeof(rest), ret_error);
		if (r < 0)
			return r;
		if (rest[0] == '/')
			at[0] = '\0';
		else
			drop_last(at);
	}
	if (lstat(at[0] ? at : "/", &st) < 0)
		return error_set(ret_error, ERROR_NOT_FOUND, NULL, "%s: %s", at, strerror(errno));
	r = check_file(path, &st, ret_error);
	if (r == 0)
		memcpy(ret, at, strlen(at) + 1);
	return r;
}

/* --- run ------------------------------------------------------------------------------------- */

/* out: -1 = to nowhere. */
static int spawn(const char *path, char *const argv[], char *const environment[], int out,
		 pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
	if (r == 0 && out >= 0)
		r = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawn(ret, path, &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

int program_start_own(const char *path, char *const argv[], char *const environment[], int out,
		      pid_t *ret_pid, int *ret_pidfd, struct error *ret_error)
{
	int fd, status, r;
	pid_t pid;

	r = spawn(path, argv, environment, out, &pid);
	if (r < 0)
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot start %s: %s", path,
				 strerror(-r));
	fd = pidfd_open(pid, 0);
	if (fd < 0) {
		r = errno;
		program_kill(pid);
		waitpid(pid, &status, 0);
		return error_set(ret_error, ERROR_KERNEL_FAILED, NULL, "cannot watch %s: %s", path,
				 strerror(r));
	}
	*ret_pid = pid;
	*ret_pidfd = fd;
	return 0;
}

int program_start(const char *path, char *const argv[], char *const environment[], pid_t *ret_pid,
		  int *ret_pidfd, struct error *ret_error)
{
	char file[PROGRAM_PATH_MAX];
	int r = program_check(path, file, ret_error);

	if (r < 0)
		return r;
	return program_start_own(file, argv, environment, -1, ret_pid, ret_pidfd, ret_error);
}

void program_kill(pid_t pid)
{
	kill(-pid, SIGKILL);
}

bool program_reap(int pidfd, int *ret_status)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) {
		*ret_status = -SIGKILL; /* somebody else reaped it: not known to be well */
		return errno != EINTR;
	}
	if (info.si_pid == 0)
		return false;
	*ret_status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return true;
}
