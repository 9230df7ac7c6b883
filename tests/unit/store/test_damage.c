/* What a registry that is not as we left it does: a precise error at once, no crash, nothing
 * changed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fixture.h"
#include "store/sqlite.h"

#define RECORDS 3000
#define PAGE	4096

/* --- a registry and its files ---------------------------------------------------------------- */

static void make_records(struct store *s, unsigned int from, unsigned int count)
{
	struct vmac **vmacs = calloc(count, sizeof(struct vmac *));
	struct deed *d = deed_new();

	for (unsigned int i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "vm%u", from + i);
		vmacs[i] = fixture_vmac(1, 0x2a0000000000 + from + i, name, "somebody");
		deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
	}
	deed_do(s, d);
	for (unsigned int i = 0; i < count; i++)
		free(vmacs[i]);
	free(vmacs);
}

static int scene_begin(void **state)
{
	char *directory = fixture_directory(malloc(FIXTURE_PATH_MAX));
	struct store *s = fixture_open("sqlite", directory);

	make_records(s, 0, RECORDS);
	store_close(s);
	*state = directory;
	return 0;
}

static int scene_end(void **state)
{
	fixture_remove(*state);
	free(*state);
	return 0;
}

/* Leaves COUNT transactions of one record each in the log alone, as a killed process does. */
static void leave_in_log(const char *directory, unsigned int count)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct store *s = fixture_open("sqlite", directory);

		for (unsigned int i = 0; i < count; i++)
			make_records(s, RECORDS + i, 1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void overwrite(const char *directory, const char *name, off_t at, size_t len, int octet)
{
	char path[FIXTURE_PATH_MAX];
	int fd = open(fixture_path(directory, name, path), O_WRONLY | O_CREAT, 0600);
	char *data = malloc(len);

	assert_true(fd >= 0);
	/* -1: noise, the same in every run. */
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(octet >= 0 ? (unsigned int)octet
					    : (i * 2654435761u + (unsigned int)at) >> 13);
	assert_int_equal(pwrite(fd, data, len, at), len);
	free(data);
	close(fd);
}

static off_t size_of(const char *directory, const char *name)
{
	char path[FIXTURE_PATH_MAX];
	struct stat st;

	assert_int_equal(stat(fixture_path(directory, name, path), &st), 0);
	return st.st_size;
}

static void cut(const char *directory, const char *name, off_t size)
{
	char path[FIXTURE_PATH_MAX];

	assert_int_equal(truncate(fixture_path(directory, name, path), size), 0);
}

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char data[PAGE];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, data, sizeof(data))) > 0)
		assert_int_equal(write(out, data, (size_t)n), n);
	assert_int_equal(n, 0);
	close(in);
	close(out);
}

/* Opens and loads; returns the error's code, ERROR_NONE with the count when all is well. */
static enum error_code try(const char *directory, size_t *ret_count, struct error *ret_error)
{
	struct loaded loaded = { 0 };
	struct store *s;

	*ret_count = 0;
	if (fixture_try("sqlite", directory, &s, ret_error) < 0)
		return ret_error->code;
	if (loaded_try(s, &loaded, ret_error) == 0)
		*ret_count = loaded.vmac_count;
	loaded_done(&loaded);
	store_close(s);
	assert_int_equal(fixture_blocks(), 0);
	return ret_error->code;
}

static void expect_corrupt(const char *directory, const char *words)
{
	struct error error;
	size_t count;

	assert_int_equal(try(directory, &count, &error), ERROR_REGISTRY_CORRUPT);
	if (!strstr(error.message, words))
		fail_msg("\"%s\" does not say \"%s\"", error.message, words);
	assert_non_null(strstr(error.hint, "backup"));
}

static void expect_records(const char *directory, size_t count)
{
	struct error error;
	size_t found;

	if (try(directory, &found, &error) != ERROR_NONE)
		fail_msg("%s", error.message);
	assert_int_equal(found, count);
}

static void run_sql(const char *directory, const char *sql)
{
	char path[FIXTURE_PATH_MAX];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(directory, "registry.db", path), &db),
			 SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- the database ---------------------------------------------------------------------------- */

static void test_as_we_left_it(void **state)
{
	expect_records(*state, RECORDS);
}

static void test_empty(void **state)
{
	cut(*state, "registry.db", 0);
	expect_corrupt(*state, "is empty");
	assert_int_equal(size_of(*state, "registry.db"), 0);
}

static void test_truncated(void **state)
{
	off_t size = size_of(*state, "registry.db");

	cut(*state, "registry.db", size - PAGE);
	expect_corrupt(*state, "malformed");
	cut(*state, "registry.db", size / 2 + 100);
	expect_corrupt(*state, "malformed");
	cut(*state, "registry.db", 100);
	expect_corrupt(*state, "");
	cut(*state, "registry.db", 7);
	expect_corrupt(*state, "");
	assert_int_equal(size_of(*state, "registry.db"), 7);
}

static void test_header_overwritten(void **state)
{
	overwrite(*state, "registry.db", 0, 16, 0xff);
	expect_corrupt(*state, "not a database");
	overwrite(*state, "registry.db", 0, PAGE, -1);
	expect_corrupt(*state, "not a database");
	overwrite(*state, "registry.db", 0, PAGE, 0);
	expect_corrupt(*state, "");
}

static void test_schema_overwritten(void **state)
{
	overwrite(*state, "registry.db", 100, PAGE - 100, -1);
	expect_corrupt(*state, "");
}

static void test_somebody_elses(void **state)
{
	char path[FIXTURE_PATH_MAX];

	unlink(fixture_path(*state, "registry.db", path));
	unlink(fixture_path(*state, "registry.db-wal", path));
	run_sql(*state, "CREATE TABLE vmac (id INTEGER PRIMARY KEY)");
	expect_corrupt(*state, "not a registry of vmac");
	unlink(fixture_path(*state, "registry.db", path));
	overwrite(*state, "registry.db", 0, 3000, 'a');
	expect_corrupt(*state, "not a database");
}

/* Every page in turn: either it matters, and that is said, or the records are all there. */
static void test_any_page_overwritten(void **state)
{
	static const int octets[] = { 0, 0xff, -1 };
	const char *directory = *state;
	off_t size = size_of(directory, "registry.db");
	char path[FIXTURE_PATH_MAX], keep[PAGE];
	unsigned int noticed = 0;
	int fd;

	for (off_t at = PAGE; at < size; at += PAGE)
		for (size_t i = 0; i < ARRAY_LEN(octets); i++) {
			enum error_code code;
			struct error error;
			size_t count;

			fd = open(fixture_path(directory, "registry.db", path), O_RDWR);
			assert_int_equal(pread(fd, keep, PAGE, at), PAGE);
			overwrite(directory, "registry.db", at, PAGE, octets[i]);
			code = try(directory, &count, &error);
			if (code == ERROR_NONE) {
				assert_int_equal(count, RECORDS);
			} else {
				assert_int_equal(code, ERROR_REGISTRY_CORRUPT);
				noticed++;
			}
			assert_int_equal(pwrite(fd, keep, PAGE, at), PAGE);
			close(fd);
		}
	assert_true(noticed > 100);
	expect_records(directory, RECORDS);
}

static void test_impossible_records(void **state)
{
	static const struct {
		const char *sql, *words;
	} rows[] = {
		{ "UPDATE vmac SET status = 7 WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET status = -1 WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET key = 5 WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET port = -1 WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET name = hex(zeroblob(32)) WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET owner = x'610062' WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET more = 'x=1' WHERE id = 42", "vMAC with id 42" },
		{ "UPDATE vmac SET id = -3 WHERE id = 42", "impossible ids" },
		{ "INSERT INTO segment VALUES (0, 'a', '', 0, 0, 0, 0)", "segment with id 0" },
		{ "INSERT INTO segment VALUES (1, 'a', '', 4095, 0, 0, 0)", "segment with id 1" },
		{ "INSERT INTO pool VALUES (3, 1, 'a', 'x', '', zeroblob(16), 0, 0, 0, 0)",
		  "pool with id 3" },
		{ "INSERT INTO pool VALUES (3, 1, 'a', '', '', zeroblob(15), 0, 0, 0, 0)",
		  "pool with id 3" },
		{ "INSERT INTO port VALUES (4, 1, 'a', 'tube', 'open', 0, '2a:00:00:00:00:01', '', "
		  "'',"
		  " '', 0, 0, 1, 0, 0, 0, 0, '')",
		  "port with id 4" },
		{ "DROP TABLE port", "no such table" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[FIXTURE_PATH_MAX], copy[FIXTURE_PATH_MAX], wal[FIXTURE_PATH_MAX];

		copy_file(fixture_path(*state, "registry.db", path),
			  fixture_path(*state, "copy", copy));
		run_sql(*state, rows[i].sql);
		expect_corrupt(*state, rows[i].words);
		unlink(fixture_path(*state, "registry.db-wal", wal));
		assert_int_equal(rename(copy, path), 0);
	}
	expect_records(*state, RECORDS);
}

/* --- the log --------------------------------------------------------------------------------- */

#define FRAME (24 + PAGE)

static void test_killed(void **state)
{
	leave_in_log(*state, 20);
	expect_records(*state, RECORDS + 20);
	/* That was a clean end, so there is nothing left to find. */
	expect_records(*state, RECORDS + 20);
}

static void test_log_without_head(void **state)
{
	leave_in_log(*state, 20);
	overwrite(*state, "registry.db-wal", 0, 32, -1);
	expect_corrupt(*state, "does not begin like one");
}

static void test_log_of_noise(void **state)
{
	leave_in_log(*state, 20);
	overwrite(*state, "registry.db-wal", 0, (size_t)size_of(*state, "registry.db-wal"), -1);
	expect_corrupt(*state, "does not begin like one");
}

static void test_log_overwritten_in_the_middle(void **state)
{
	leave_in_log(*state, 20);
	overwrite(*state, "registry.db-wal", 32 + 7 * FRAME + 1000, 64, 0xff);
	expect_corrupt(*state, "page 8 of its log");
	/* The same for a frame's head: its salt is gone as well. */
	overwrite(*state, "registry.db-wal", 32 + 4 * FRAME, 24, 0);
	expect_corrupt(*state, "page 5 of its log");
}

/* What a power cut leaves of a commit that was never answered is no damage. */
static void test_log_torn_at_its_end(void **state)
{
	char path[FIXTURE_PATH_MAX];
	uint8_t salt[8], frame[24];
	off_t end = 32;
	int fd;

	leave_in_log(*state, 20);
	fd = open(fixture_path(*state, "registry.db-wal", path), O_RDONLY);
	assert_int_equal(pread(fd, salt, 8, 16), 8);
	while (pread(fd, frame, sizeof(frame), end) == sizeof(frame) &&
	       memcmp(frame + 8, salt, 8) == 0)
		end += FRAME;
	close(fd);
	assert_true(end > 32 + 20 * FRAME);
	overwrite(*state, "registry.db-wal", end - FRAME + 500, 8, 0xff);
	expect_records(*state, RECORDS + 19);
}

static void test_log_alone(void **state)
{
	char path[FIXTURE_PATH_MAX];

	unlink(fixture_path(*state, "registry.db", path));
	expect_corrupt(*state, "is there, but its registry.db is not");
}

/* --- while it runs --------------------------------------------------------------------------- */

static void test_a_record_that_vanished_is_final(void **state)
{
	struct vmac *before = fixture_vmac(1, 0x2a0000000005, "vm5", ""), *after, *fresh;
	struct store *s = fixture_open("sqlite", *state);
	struct deed *d = deed_new(), *e;
	struct error error;

	before->row = RECORDS + 99;
	after = fixture_vmac_copy(before);
	fresh = fixture_vmac(1, 0x2a00000000ff, "fresh", "");
	deed_add(d, CHANGE_VMAC, NULL, fresh, "allocate");
	deed_add(d, CHANGE_VMAC, before, after, "bind");
	store_submit(s, &d->txn);
	fixture_settle(s);
	assert_int_equal(d->error.code, ERROR_REGISTRY_CORRUPT);
	e = deed_making(fresh);
	store_submit(s, &e->txn);
	fixture_settle(s);
	assert_int_equal(e->error.code, ERROR_REGISTRY_CORRUPT);
	store_close(s);
	/* Nothing of the transaction is there, and the registry is as good as before. */
	expect_records(*state, RECORDS);
	assert_int_equal(fixture_try("sqlite", *state, &s, &error), 0);
	store_close(s);
	deed_free(d);
	deed_free(e);
	free(before);
	free(after);
	free(fresh);
}

/* --- versions -------------------------------------------------------------------------------- */

static void test_a_newer_version(void **state)
{
	struct error error;
	size_t count;

	run_sql(*state, "PRAGMA user_version = 999");
	assert_int_equal(try(*state, &count, &error), ERROR_REGISTRY_VERSION);
	assert_non_null(strstr(error.message, "999"));
	run_sql(*state, "PRAGMA user_version = 4");
	expect_records(*state, RECORDS);
}

/* As the releases before have left it: the first, and the one that brought routers. */
static void test_an_older_version(void **state)
{
	run_sql(*state, "DROP TABLE cluster; PRAGMA user_version = 3");
	expect_records(*state, RECORDS);
	run_sql(*state, "INSERT INTO cluster VALUES (1, 1, 'x', '{}', 0); DELETE FROM cluster");
	expect_records(*state, RECORDS);
	run_sql(*state, "DROP TABLE cluster; DROP TABLE shared; PRAGMA user_version = 2");
	expect_records(*state, RECORDS);
	run_sql(*state, "INSERT INTO shared VALUES ('x', 1, '{}'); DELETE FROM shared");
	expect_records(*state, RECORDS);
	run_sql(*state, "DROP TABLE cluster; DROP TABLE shared; DROP TABLE router; "
			"ALTER TABLE port DROP COLUMN routers; PRAGMA user_version = 1");
	expect_records(*state, RECORDS);
	run_sql(*state, "INSERT INTO router VALUES (1, 'x', '{}'); DELETE FROM router");
	expect_records(*state, RECORDS);
}

static void test_migrations(void **state)
{
	static const struct sqlite_migration list[] = {
		{ 1, "CREATE TABLE a (x); INSERT INTO a VALUES (7)" },
		{ 2, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1" },
		{ 3, "CREATE TABLE b (z); INSERT INTO nowhere VALUES (1)" },
	};
	struct error error;
	int64_t n;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite_migrate(db, list, 1, &error), 0);
	assert_int_equal(sqlite_migrate(db, list, 2, &error), 0);
	assert_int_equal(sqlite_migrate(db, list, 2, &error), 0);
	assert_int_equal(sqlite_number(db, "SELECT y FROM a", &n, &error), 0);
	assert_int_equal(n, 8);
	/* One that fails leaves nothing of itself. */
	assert_true(sqlite_migrate(db, list, 3, &error) < 0);
	assert_int_equal(sqlite_number(db, "PRAGMA user_version", &n, &error), 0);
	assert_int_equal(n, 2);
	assert_int_equal(sqlite_number(db, "SELECT count(*) FROM sqlite_schema", &n, &error), 0);
	assert_int_equal(n, 1);
	assert_int_equal(sqlite_migrate(db, list, 1, &error), -error_errno(ERROR_REGISTRY_VERSION));
	sqlite3_close(db);
}

/* --- one at a time --------------------------------------------------------------------------- */

static void test_a_second_one_is_told_who_has_it(void **state)
{
	struct store *s = fixture_open("sqlite", *state), *second = NULL;
	struct error error;
	char pid[16];

	snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_true(fixture_try("sqlite", *state, &second, &error) < 0);
	assert_int_equal(error.code, ERROR_ALREADY_RUNNING);
	assert_non_null(strstr(error.message, pid));
	assert_null(second);
	store_close(s);
	expect_records(*state, RECORDS);
}

static void test_no_directory(void **state)
{
	char path[FIXTURE_PATH_MAX];
	struct error error;
	struct store *s;

	assert_true(fixture_try("sqlite", fixture_path(*state, "none", path), &s, &error) < 0);
	assert_int_equal(error.code, ERROR_REGISTRY_FAILED);
	assert_non_null(strstr(error.message, "no directory"));
	memset(path, 'a', 300);
	path[300] = '\0';
	assert_true(fixture_try("sqlite", path, &s, &error) < 0);
	assert_int_equal(error.code, ERROR_BAD_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)
		TEST(test_as_we_left_it),
		TEST(test_empty),
		TEST(test_truncated),
		TEST(test_header_overwritten),
		TEST(test_schema_overwritten),
		TEST(test_somebody_elses),
		TEST(test_any_page_overwritten),
		TEST(test_impossible_records),
		TEST(test_killed),
		TEST(test_log_without_head),
		TEST(test_log_of_noise),
		TEST(test_log_overwritten_in_the_middle),
		TEST(test_log_torn_at_its_end),
		TEST(test_log_alone),
		TEST(test_a_record_that_vanished_is_final),
		TEST(test_a_newer_version),
		TEST(test_an_older_version),
		TEST(test_migrations),
		TEST(test_a_second_one_is_told_who_has_it),
		TEST(test_no_directory),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
