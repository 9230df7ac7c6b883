/* Programs that others name and we run as root: which may be, and how they are started.
 *
 * Whoever may write a program that root runs is root; so the file, every directory above it and
 * every symbolic link on the way must belong to root and be writable by nobody else.  That is
 * checked at each run, because it may have become untrue since the configuration was read. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

#define PROGRAM_WORDS_MAX 32
#define PROGRAM_PATH_MAX  4096
#define PROGRAM_LINKS_MAX 16 /* symbolic links on one way */

/* A line cut into words as a shell would do it without a shell: white space separates, '…' and "…"
 * keep it, a backslash outside of '…' takes the next character as it is; nothing is expanded. */
struct program_words {
	unsigned int count;
	char *word[PROGRAM_WORDS_MAX + 1]; /* NULL behind the last; all point into text */
	char text[1024];
};
/* Error: BAD_VALUE (no word, too many, too long, a quote that is not closed). */
int program_split(const char *line, struct program_words *ret, struct error *ret_error);

/* Follows the links of an absolute path by itself and checks each step; *ret is the file without a
 * link.  Errors: BAD_VALUE (no absolute path, too long), NOT_FOUND, FORBIDDEN (names the step that
 * others may write, or that it is no program). */
int program_check(const char *path, char ret[static PROGRAM_PATH_MAX], struct error *ret_error);

/* Starts it (checked) in a session and process group of its own, with no descriptor but /dev/null,
 * no blocked signal and only `environment` (NULL-terminated).  The caller waits for *ret_pidfd and
 * reaps it by program_reap(). */
int program_start(const char *path, char *const argv[], char *const environment[], pid_t *ret_pid,
		  int *ret_pidfd, struct error *ret_error);

/* The end of all of the group. */
void program_kill(pid_t pid);

/* The same for a program of ours, which is not checked; `out`: what it says goes there. */
int program_start_own(const char *path, char *const argv[], char *const environment[], int out,
		      pid_t *ret_pid, int *ret_pidfd, struct error *ret_error);

/* False: it still runs.  *ret_status: its exit status, or minus the signal that ended it. */
bool program_reap(int pidfd, int *ret_status);
