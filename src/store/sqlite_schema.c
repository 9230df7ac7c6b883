/* Connections, and the life of the file: made, opened, brought up to date.
 *
 * A registry is made whole under another name and then renamed, so a file with the registry's name
 * that is empty or lacks our application id is damage (or somebody else's), never a registry in the
 * making. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/fd.h"
#include "store/sqlite.h"

#define BUSY_MS		5000 /* how long a person with the sqlite3 tool may hold the file */
#define WRITE_CACHE_KIB 65536
#define READ_CACHE_KIB	4096

/* --- connections ----------------------------------------------------------------------------- */

int sqlite_run(sqlite3 *db, const char *sql, const char *doing, struct error *ret_error)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_failed(ret_error, db, doing);
	return 0;
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct error *ret_error)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
		return sqlite_failed(ret_error, db, "read");
	return 0;
}

int sqlite_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *ret_error)
{
	sqlite3_stmt *statement;
	int r = sqlite_prepare(db, sql, &statement, ret_error);
	int rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*ret = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	else
		r = sqlite_failed(ret_error, db, "read");
	sqlite3_finalize(statement);
	return r;
}

/* Counting every allocation under one lock would make the loading threads wait for each other. */
static void configure_once(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int sqlite_connect(const char *path, bool write, sqlite3 **ret, struct error *ret_error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	sqlite3 *db = NULL;
	char sql[160];
	int r;

	pthread_once(&once, configure_once);
	if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) !=
	    SQLITE_OK) {
		r = sqlite_failed(ret_error, db, "open");
		sqlite3_close(db);
		return r;
	}
	sqlite3_busy_timeout(db, BUSY_MS);
	snprintf(sql, sizeof(sql),
		 "PRAGMA cache_size = -%d; PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF;"
		 "PRAGMA cell_size_check = ON",
		 write ? WRITE_CACHE_KIB : READ_CACHE_KIB);
	r = sqlite_run(db, sql, "open", ret_error);
	if (r < 0) {
		sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

/* --- migrations ------------------------------------------------------------------------------ */

static int migrate_once(sqlite3 *db, const struct sqlite_migration *m, struct error *ret_error)
{
	char version[64];
	int r;

	snprintf(version, sizeof(version), "PRAGMA user_version = %u; COMMIT", m->version);
	r = sqlite_run(db, "BEGIN IMMEDIATE", "change the schema of", ret_error);
	if (r < 0)
		return r;
	r = sqlite_run(db, m->sql, "change the schema of", ret_error);
	if (r == 0)
		r = sqlite_run(db, version, "change the schema of", ret_error);
	if (r < 0)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int sqlite_migrate(sqlite3 *db, const struct sqlite_migration *list, size_t count,
		   struct error *ret_error)
{
	unsigned int newest = list[count - 1].version;
	int64_t version;
	int r = sqlite_number(db, "PRAGMA user_version", &version, ret_error);

	if (r < 0)
		return r;
	if (version > newest)
		return error_set(ret_error, ERROR_REGISTRY_VERSION,
				 "start the newer vmacd again, or give this one another directory",
				 "the registry has schema version %lld, this vmacd knows up to %u",
				 (long long)version, newest);
	for (size_t i = 0; i < count && r == 0; i++)
		if (list[i].version > version)
			r = migrate_once(db, &list[i], ret_error);
	return r;
}

static int migrate(sqlite3 *db, struct error *ret_error)
{
	return sqlite_migrate(db, sqlite_migrations, sqlite_migration_count, ret_error);
}

/* --- a new registry -------------------------------------------------------------------------- */

static int registry_insert(sqlite3 *db, const char *uuid, struct error *ret_error)
{
	char made[UUID_TEXT_MAX], sql[160];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(sql, sizeof(sql), "INSERT INTO registry VALUES ('%s', %lld)",
		 uuid ? uuid : uuid_make(made), now.tv_sec * 1000LL + now.tv_nsec / 1000000);
	return sqlite_run(db, sql, "make", ret_error);
}

static int registry_fill(sqlite3 *db, const char *uuid, struct error *ret_error)
{
	char sql[64];
	int r;

	snprintf(sql, sizeof(sql), "PRAGMA page_size = %d", SQLITE_PAGE_SIZE);
	r = sqlite_run(db, sql, "make", ret_error);
	if (r == 0)
		r = migrate(db, ret_error);
	if (r == 0)
		r = registry_insert(db, uuid, ret_error);
	if (r == 0)
		r = sqlite_run(db, "PRAGMA journal_mode = WAL", "make", ret_error);
	return r;
}

static int touch(const char *path, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? sqlite_file_failed(ret_error, errno, "make", path) : 0;
}

static int sync_file(const char *path, struct error *ret_error)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return sqlite_file_failed(ret_error, errno, "sync", path);
	return 0;
}

static int registry_make(const struct sqlite_paths *p, const char *uuid, struct error *ret_error)
{
	static const char *const suffixes[] = { "-journal", "-wal", "-shm" };
	char leftover[SQLITE_PATH_MAX + 16];
	sqlite3 *db;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		snprintf(leftover, sizeof(leftover), "%s%s", p->fresh, suffixes[i]);
		unlink(leftover);
	}
	r = touch(p->fresh, ret_error);
	if (r < 0)
		return r;
	r = sqlite_connect(p->fresh, true, &db, ret_error);
	if (r < 0)
		return r;
	r = registry_fill(db, uuid, ret_error);
	/* The last connection's end carries the log over and removes it. */
	if (sqlite3_close(db) != SQLITE_OK && r == 0)
		r = error_set(ret_error, ERROR_REGISTRY_FAILED, NULL, "cannot close %s", p->fresh);
	if (r == 0)
		r = sync_file(p->fresh, ret_error);
	if (r == 0 && rename(p->fresh, p->main) < 0)
		r = sqlite_file_failed(ret_error, errno, "rename", p->fresh);
	if (r == 0)
		r = sqlite_sync_directory(p, ret_error);
	else
		unlink(p->fresh);
	return r;
}

/* --- an existing one ------------------------------------------------------------------------- */

static int registry_check(sqlite3 *db, const struct sqlite_paths *p, struct error *ret_error)
{
	int64_t id;
	int r = sqlite_number(db, "PRAGMA application_id", &id, ret_error);

	if (r < 0)
		return r;
	if (id != SQLITE_APPLICATION_ID)
		return sqlite_corrupt(ret_error, "%s is not a registry of vmac", p->main);
	if (sqlite3_db_readonly(db, "main") == 1)
		return sqlite_file_failed(ret_error, EROFS, "write", p->main);
	return 0;
}

static int registry_uuid(sqlite3 *db, char ret[static UUID_TEXT_MAX], struct error *ret_error)
{
	sqlite3_stmt *statement;
	int r = sqlite_prepare(db, "SELECT uuid FROM registry", &statement, ret_error);
	int rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(statement);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = sqlite_failed(ret_error, db, "read");
	else if (rc == SQLITE_DONE || sqlite3_column_bytes(statement, 0) != UUID_TEXT_MAX - 1)
		r = sqlite_corrupt(ret_error, "it has lost its name (table registry)");
	else
		memcpy(ret, sqlite3_column_text(statement, 0), UUID_TEXT_MAX);
	sqlite3_finalize(statement);
	return r;
}

static int registry_present(const struct sqlite_paths *p, bool *ret, struct error *ret_error)
{
	struct stat main, wal;

	if (stat(p->main, &main) == 0) {
		*ret = true;
		if (main.st_size == 0)
			return sqlite_corrupt(ret_error, "%s is empty", p->main);
		return 0;
	}
	if (errno != ENOENT)
		return sqlite_file_failed(ret_error, errno, "open", p->main);
	if (stat(p->wal, &wal) == 0)
		return sqlite_corrupt(ret_error, "%s is there, but its %s is not", p->wal,
				      SQLITE_FILE_NAME);
	*ret = false;
	return 0;
}

/* A file system without shared memory maps leaves it in another mode, without saying so. */
static int registry_log_mode(sqlite3 *db, const struct sqlite_paths *p, struct error *ret_error)
{
	sqlite3_stmt *statement;
	const char *mode;
	int r = sqlite_prepare(db, "PRAGMA journal_mode = WAL", &statement, ret_error);

	if (r < 0)
		return r;
	if (sqlite3_step(statement) != SQLITE_ROW) {
		r = sqlite_failed(ret_error, db, "open");
	} else {
		mode = (const char *)sqlite3_column_text(statement, 0);
		if (!mode || strcmp(mode, "wal") != 0)
			r = error_set(ret_error, ERROR_REGISTRY_FAILED,
				      "put the registry on a local file system",
				      "%s cannot keep a write-ahead log", p->directory);
	}
	sqlite3_finalize(statement);
	return r;
}

static int registry_settle(sqlite3 *db, const struct sqlite_paths *p, struct error *ret_error)
{
	int r = registry_check(db, p, ret_error);

	if (r == 0)
		r = registry_log_mode(db, p, ret_error);
	if (r == 0)
		r = sqlite_run(db, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0",
			       "open", ret_error);
	if (r == 0)
		r = migrate(db, ret_error);
	return r;
}

int sqlite_open_registry(const struct sqlite_paths *p, const char *wanted, sqlite3 **ret,
			 unsigned int *ret_schema, char ret_uuid[static UUID_TEXT_MAX],
			 struct error *ret_error)
{
	char uuid[UUID_TEXT_MAX];
	int persist = 1, r;
	bool present;
	sqlite3 *db;

	r = registry_present(p, &present, ret_error);
	if (r == 0 && !present)
		r = registry_make(p, wanted, ret_error);
	if (r == 0)
		r = sqlite_wal_check(p->wal, ret_error);
	if (r == 0)
		r = sqlite_wal_grow(p, ret_error);
	if (r == 0)
		r = sqlite_connect(p->main, true, &db, ret_error);
	if (r < 0)
		return r;
	/* The log's blocks are worth keeping: written in place they need no change of metadata. And
	 * a registry that we refuse stays exactly as we found it. */
	sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = registry_settle(db, p, ret_error);
	if (r == 0)
		r = registry_uuid(db, uuid, ret_error);
	if (r == 0 && wanted && strcmp(uuid, wanted) != 0)
		r = error_set(ret_error, ERROR_IN_USE, "give an empty state directory",
			      "%s is the registry of another host", p->main);
	if (r < 0) {
		sqlite3_close(db);
		return r;
	}
	*ret_schema = sqlite_migrations[sqlite_migration_count - 1].version;
	memcpy(ret_uuid, uuid, sizeof(uuid));
	*ret = db;
	return 0;
}
