#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/virtual.h"
#include "lab.h"

#define IGNORE	 "net/ipv4/conf/v0/arp_ignore"
#define ANNOUNCE "net/ipv4/conf/v0/arp_announce"
#define FILTER	 "net/ipv4/conf/v0/arp_filter"
#define PORTS	 "net/ipv4/ip_local_port_range"

static char directory[] = "/tmp/vmac-test-XXXXXX";
static char journal[64];

static void is(const char *name, const char *wanted)
{
	char path[128], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, wanted);
}

static void put(const char *name, const char *value)
{
	lab_run("echo '%s' >/proc/sys/%s", value, name);
}

static struct tunables *open_now(bool keep)
{
	struct tunables *t = NULL;
	struct error e;
	int r = tunables_open(journal, keep, &t, &e);

	assert_ok(r, e);
	return t;
}

static void set(struct tunables *t, const char *name, const char *value)
{
	struct error e;
	int r = tunables_set(t, name, value, &e);

	assert_ok(r, e);
}

static int begin(void **state)
{
	lab_run("ip link add v0 type veth peer name v1");
	unlink(journal);
	return 0;
}

static int end(void **state)
{
	lab_run("ip link delete v0");
	return 0;
}

/* Does it in a child that is killed before it can clean up. */
static void killed(bool keep, void (*fn)(struct tunables *t))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct tunables *t;
		struct error e;

		if (tunables_open(journal, keep, &t, &e) == 0)
			fn(t);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void set_parent(struct tunables *t)
{
	struct error e;

	tunables_parent_set(t, "v0", &e);
}

static void puts_back_what_it_set(void **state)
{
	struct tunables *t = open_now(false);
	struct error e;
	int r;

	set(t, IGNORE, "1");
	set(t, IGNORE, "1");
	is(IGNORE, "1");
	r = tunables_drop(t, IGNORE, &e);
	assert_ok(r, e);
	is(IGNORE, "1");
	r = tunables_drop(t, IGNORE, &e);
	assert_ok(r, e);
	is(IGNORE, "0");
	put(FILTER, "1");
	r = tunables_parent_set(t, "v0", &e);
	assert_ok(r, e);
	is(IGNORE, "1");
	is(ANNOUNCE, "2");
	is(FILTER, "0");
	r = tunables_parent_drop(t, "v0", "v0", &e);
	assert_ok(r, e);
	is(IGNORE, "0");
	is(ANNOUNCE, "0");
	is(FILTER, "1");
	set(t, IGNORE, "2");
	set(t, PORTS, "20000 30000");
	is(PORTS, "20000\t30000");
	tunables_close(t);
	is(IGNORE, "0");
	is(PORTS, "32768\t60999");
}

static void puts_back_after_a_kill(void **state)
{
	struct tunables *t;
	struct stat st;

	killed(false, set_parent);
	is(IGNORE, "1");
	is(ANNOUNCE, "2");
	assert_int_equal(stat(journal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	t = open_now(false);
	is(IGNORE, "0");
	is(ANNOUNCE, "0");
	tunables_close(t);
	/* Once is enough. */
	put(IGNORE, "1");
	tunables_close(open_now(false));
	is(IGNORE, "1");
}

static void keeps_what_is_set_again(void **state)
{
	struct tunables *t;
	struct stat before, after;
	struct error e;
	int r;

	killed(false, set_parent);
	killed(true, set_parent);
	t = open_now(true);
	is(IGNORE, "1");
	assert_int_equal(stat(journal, &before), 0);
	set(t, IGNORE, "1");
	assert_int_equal(stat(journal, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	r = tunables_settle(t, &e);
	assert_ok(r, e);
	is(IGNORE, "1");
	is(ANNOUNCE, "0");
	r = tunables_drop(t, IGNORE, &e);
	assert_ok(r, e);
	is(IGNORE, "0");
	tunables_close(t);
}

static void leaves_what_others_changed(void **state)
{
	struct tunables *t;
	struct error e;
	int r;

	killed(false, set_parent);
	put(IGNORE, "8");
	t = open_now(true);
	r = tunables_settle(t, &e);
	assert_error(r, e, ERROR_CONFLICT);
	assert_non_null(strstr(e.message, IGNORE));
	is(IGNORE, "8");
	is(ANNOUNCE, "0");
	/* What they set is what is owed to them. */
	set(t, IGNORE, "1");
	r = tunables_drop(t, IGNORE, &e);
	assert_ok(r, e);
	is(IGNORE, "8");
	set(t, IGNORE, "1");
	put(IGNORE, "2");
	r = tunables_drop(t, IGNORE, &e);
	assert_error(r, e, ERROR_CONFLICT);
	is(IGNORE, "2");
	tunables_close(t);
	is(IGNORE, "2");
	/* The same between two runs, with the second taking over. */
	put(IGNORE, "0");
	killed(false, set_parent);
	put(IGNORE, "2");
	t = open_now(true);
	set(t, IGNORE, "1");
	tunables_close(t);
	is(IGNORE, "2");
}

static void owes_nothing_where_the_value_was_there(void **state)
{
	struct tunables *t;

	put(IGNORE, "1");
	t = open_now(false);
	set(t, IGNORE, "1");
	tunables_close(t);
	is(IGNORE, "1");
}

static void forgets_a_link_that_is_gone(void **state)
{
	struct tunables *t = open_now(false);
	struct error e;
	int r;

	r = tunables_parent_set(t, "v0", &e);
	assert_ok(r, e);
	lab_run("ip link delete v0");
	r = tunables_parent_drop(t, "v0", "v0", &e);
	assert_ok(r, e);
	r = tunables_parent_set(t, "v0", &e);
	assert_error(r, e, ERROR_NOT_FOUND);
	tunables_close(t);
	lab_run("ip link add v0 type veth peer name v1");
}

static void finds_a_link_that_was_renamed(void **state)
{
	struct tunables *t = open_now(false);
	struct error e;
	int r;

	r = tunables_parent_set(t, "v0", &e);
	assert_ok(r, e);
	/* and another one is called as it was, and happens to have the same values */
	lab_run("ip link set v0 down; ip link set v0 name v7; ip link set v1 name v0");
	put(IGNORE, "1");
	r = tunables_parent_drop(t, "v0", "v7", &e);
	assert_ok(r, e);
	is("net/ipv4/conf/v7/arp_ignore", "0");
	is("net/ipv4/conf/v7/arp_announce", "0");
	is(IGNORE, "1");
	tunables_close(t);
	is(IGNORE, "1");
	put(IGNORE, "0");
	lab_run("ip link set v0 name v1; ip link set v7 name v0");
}

static void refuses_two_values_at_once(void **state)
{
	struct tunables *t = open_now(false);
	struct error e;
	int r;

	set(t, FILTER, "1");
	r = tunables_parent_set(t, "v0", &e);
	assert_error(r, e, ERROR_IN_USE);
	/* and nothing of it was done */
	is(IGNORE, "0");
	is(ANNOUNCE, "0");
	is(FILTER, "1");
	r = tunables_drop(t, FILTER, &e);
	assert_ok(r, e);
	r = tunables_set(t, IGNORE, "nonsense", &e);
	assert_error(r, e, ERROR_KERNEL_FAILED);
	is(IGNORE, "0");
	tunables_close(t);
}

static void changes_nothing_without_a_journal(void **state)
{
	struct tunables *t;
	struct error e;
	int r;

	r = tunables_open("/proc/nowhere/journal", false, &t, &e);
	assert_true(r < 0 && e.code != ERROR_NONE);
	t = open_now(false);
	/* Root may write anywhere: only a directory that is gone stops it. */
	lab_run("rm -r %s", directory);
	r = tunables_parent_set(t, "v0", &e);
	assert_error(r, e, ERROR_REGISTRY_FAILED);
	is(IGNORE, "0");
	is(ANNOUNCE, "0");
	lab_run("mkdir %s", directory);
	r = tunables_parent_set(t, "v0", &e);
	assert_ok(r, e);
	is(IGNORE, "1");
	tunables_close(t);
	is(IGNORE, "0");
}

static void journal_put(const char *text)
{
	FILE *f = fopen(journal, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void says_which_line_is_damaged(void **state)
{
	static const char *const bad[] = {
		"net/ipv4/conf/v0/arp_ignore\t0\n",
		"net/ipv4/conf/v0/arp_ignore\t0\t1",
		"net/../kernel/core_pattern\t|/bin/sh\tcore\n",
		"kernel/core_pattern\t|/bin/sh\tcore\n",
		"net/ipv4/conf/v0/arp_ignore\t0\t1\t2\n",
		"\n",
	};
	char header[256] = "", text[512];
	struct tunables *t;
	struct error e;
	FILE *f;
	int r;

	tunables_close(open_now(false));
	f = fopen(journal, "r");
	assert_non_null(f);
	assert_non_null(fgets(header, sizeof(header), f));
	fclose(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", header, bad[i]);
		journal_put(text);
		r = tunables_open(journal, false, &t, &e);
		assert_error(r, e, ERROR_REGISTRY_CORRUPT);
		assert_non_null(strstr(e.message, "line 2"));
	}
	journal_put("something else\n");
	r = tunables_open(journal, false, &t, &e);
	assert_error(r, e, ERROR_REGISTRY_CORRUPT);
	/* Of another boot: those values are gone. */
	put(IGNORE, "1");
	journal_put("vmac tunables 1\tanother-boot\t1\n" IGNORE "\t0\t1\n");
	tunables_close(open_now(false));
	is(IGNORE, "1");
	journal_put("");
	tunables_close(open_now(false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(puts_back_what_it_set, begin, end),
		cmocka_unit_test_setup_teardown(puts_back_after_a_kill, begin, end),
		cmocka_unit_test_setup_teardown(keeps_what_is_set_again, begin, end),
		cmocka_unit_test_setup_teardown(leaves_what_others_changed, begin, end),
		cmocka_unit_test_setup_teardown(owes_nothing_where_the_value_was_there, begin, end),
		cmocka_unit_test_setup_teardown(forgets_a_link_that_is_gone, begin, end),
		cmocka_unit_test_setup_teardown(finds_a_link_that_was_renamed, begin, end),
		cmocka_unit_test_setup_teardown(refuses_two_values_at_once, begin, end),
		cmocka_unit_test_setup_teardown(changes_nothing_without_a_journal, begin, end),
		cmocka_unit_test_setup_teardown(says_which_line_is_damaged, begin, end),
	};
	int failed;

	lab_enter();
	if (!mkdtemp(directory))
		return 1;
	snprintf(journal, sizeof(journal), "%s/tunables", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(journal);
	rmdir(directory);
	return failed;
}
