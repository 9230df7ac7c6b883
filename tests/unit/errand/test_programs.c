/* Which programs may be run as root, and how they are run. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the headers above before it. */
#include <cmocka.h>

#include "errand/program.h"

static void words_are_cut_as_a_shell_would(void **state)
{
	struct program_words w;
	struct error e;

	assert_int_equal(program_split("  /bin/x  a 'b c' \"d 'e\" f\\ g \"\" ", &w, &e), 0);
	assert_int_equal(w.count, 6);
	assert_string_equal(w.word[0], "/bin/x");
	assert_string_equal(w.word[1], "a");
	assert_string_equal(w.word[2], "b c");
	assert_string_equal(w.word[3], "d 'e");
	assert_string_equal(w.word[4], "f g");
	assert_string_equal(w.word[5], "");
	assert_null(w.word[6]);
	assert_int_equal(program_split("/bin/x '\\'$HOME*", &w, &e), 0);
	assert_string_equal(w.word[1], "\\$HOME*");
}

static void a_line_that_is_no_program_is_refused(void **state)
{
	char many[2 * PROGRAM_WORDS_MAX + 3] = "", longer[2000];
	struct program_words w;
	struct error e;

	assert_int_equal(program_split("", &w, &e), -EINVAL);
	assert_int_equal(program_split("  \t ", &w, &e), -EINVAL);
	assert_int_equal(program_split("/bin/x 'open", &w, &e), -EINVAL);
	for (unsigned int i = 0; i < PROGRAM_WORDS_MAX; i++)
		memcpy(many + 2 * i, "a ", 3);
	assert_int_equal(program_split(many, &w, &e), 0);
	memcpy(many + 2 * PROGRAM_WORDS_MAX, "a", 2);
	assert_int_equal(program_split(many, &w, &e), -EINVAL);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(program_split(longer, &w, &e), -EINVAL);
}

static void refused(const char *path, enum error_code code)
{
	char file[PROGRAM_PATH_MAX] = "untouched";
	struct error e;

	assert_true(program_check(path, file, &e) < 0);
	if (e.code != code)
		fail_msg("%s: %s (%s)", path, error_name(e.code), e.message);
	assert_string_equal(file, "untouched");
}

static void the_systems_programs_may_be_run(void **state)
{
	char file[PROGRAM_PATH_MAX], there[PROGRAM_PATH_MAX];
	struct error e;

	assert_int_equal(program_check("/bin/sh", file, &e), 0);
	assert_non_null(realpath("/bin/sh", there));
	assert_string_equal(file, there);
	assert_int_equal(program_check("/usr/../bin/./sh", file, &e), 0);
	assert_string_equal(file, there);
}

static void what_others_may_write_is_refused(void **state)
{
	char dir[] = "/tmp/vmac-t-XXXXXX", path[64], link[64];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\n", f);
	fclose(f);
	chmod(path, 0755);
	assert_int_equal(symlink("/bin/sh", link), 0);
	refused(path, ERROR_FORBIDDEN); /* /tmp is everybody's */
	refused(link, ERROR_FORBIDDEN); /* and so the link in it */
	unlink(path);
	unlink(link);
	rmdir(dir);
}

static void no_program_is_refused(void **state)
{
	refused("bin/sh", ERROR_BAD_VALUE);
	refused("", ERROR_BAD_VALUE);
	refused("/bin/no-such-program", ERROR_NOT_FOUND);
	refused("/etc/passwd", ERROR_FORBIDDEN);
	refused("/usr", ERROR_FORBIDDEN);
	refused("/", ERROR_FORBIDDEN);
}

/* As root: each step of the way counts. */
static void each_step_of_the_way_counts(void **state)
{
	char dir[] = "/var/lib/vmac-t-XXXXXX", path[64], file[PROGRAM_PATH_MAX], loop[64];
	struct error e;
	FILE *f;

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	snprintf(loop, sizeof(loop), "%s/loop", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\n", f);
	fclose(f);
	chmod(dir, 0755);
	chmod(path, 0755);
	assert_int_equal(program_check(path, file, &e), 0);
	chmod(path, 0775);
	refused(path, ERROR_FORBIDDEN);
	chmod(path, 0644);
	refused(path, ERROR_FORBIDDEN);
	chmod(path, 0755);
	assert_int_equal(chown(path, 1, 0), 0);
	refused(path, ERROR_FORBIDDEN);
	assert_int_equal(chown(path, 0, 1), 0);
	assert_int_equal(program_check(path, file, &e), 0);
	chmod(dir, 0777);
	refused(path, ERROR_FORBIDDEN);
	chmod(dir, 0755);
	assert_int_equal(symlink(loop, loop), 0);
	refused(loop, ERROR_BAD_VALUE);
	unlink(loop);
	unlink(path);
	rmdir(dir);
}

static int run(const char *line)
{
	char *environment[] = { (char[]){ "PATH=/usr/bin:/bin" }, (char[]){ "VMAC_X=1" }, NULL };
	struct program_words w;
	struct pollfd p = { .events = POLLIN };
	struct error e;
	int status;
	pid_t pid;

	assert_int_equal(program_split(line, &w, &e), 0);
	assert_int_equal(program_start(w.word[0], w.word, environment, &pid, &p.fd, &e), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(program_reap(p.fd, &status));
	close(p.fd);
	return status;
}

static void a_program_ends_with_its_status(void **state)
{
	assert_int_equal(run("/bin/sh -c 'exit 0'"), 0);
	assert_int_equal(run("/bin/sh -c 'exit 7'"), 7);
	assert_int_equal(run("/bin/sh -c 'kill -9 $$'"), -SIGKILL);
}

static void a_program_gets_nothing_of_ours(void **state)
{
	setenv("SECRET", "1", 1);
	assert_int_equal(run("/bin/sh -c 'test -z \"$SECRET\" && test \"$VMAC_X\" = 1'"), 0);
	assert_int_equal(run("/bin/sh -c 'test ! -e /proc/self/fd/4'"), 0);
	/* Session and group of its own. */
	assert_int_equal(
		run("/bin/sh -c 'set -- $(cat /proc/$$/stat); test $5 = $1 && test $6 = $1'"), 0);
	/* No signal of ours is blocked or ignored there. */
	assert_int_equal(run("/bin/grep -q SigBlk:.0000000000000000 /proc/self/status"), 0);
}

/* Its child would leave a trace, had it lived on. */
static void a_kill_ends_the_whole_group(void **state)
{
	char dir[] = "/tmp/vmac-t-XXXXXX", line[128], trace[64];
	struct program_words w;
	struct pollfd p = { .events = POLLIN };
	char *environment[] = { NULL };
	struct error e;
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	snprintf(trace, sizeof(trace), "%s/trace", dir);
	snprintf(line, sizeof(line), "/bin/sh -c '(/bin/sleep 0.4; : > %s) & /bin/sleep 30'",
		 trace);
	assert_int_equal(program_split(line, &w, &e), 0);
	assert_int_equal(program_start(w.word[0], w.word, environment, &pid, &p.fd, &e), 0);
	assert_false(program_reap(p.fd, &status));
	usleep(100000);
	program_kill(pid);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(program_reap(p.fd, &status));
	assert_int_equal(status, -SIGKILL);
	close(p.fd);
	usleep(600000);
	assert_int_equal(access(trace, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_cut_as_a_shell_would),
		cmocka_unit_test(a_line_that_is_no_program_is_refused),
		cmocka_unit_test(the_systems_programs_may_be_run),
		cmocka_unit_test(what_others_may_write_is_refused),
		cmocka_unit_test(no_program_is_refused),
		cmocka_unit_test(each_step_of_the_way_counts),
		cmocka_unit_test(a_program_ends_with_its_status),
		cmocka_unit_test(a_program_gets_nothing_of_ours),
		cmocka_unit_test(a_kill_ends_the_whole_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
