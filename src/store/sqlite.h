/* The SQLite backend's inside: what its files share.  Private to sqlite*.c and their tests. */
#pragma once

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "store/backend.h"
#include "store/change_line.h"
#include "store/lines.h"
#include "store/queue.h"
#include "store/sqlite_feed.h"
#include "store/sqlite_filter.h"
#include "store/undo.h"
#include "store/uuid.h"

/* --- files (sqlite_files.c) ------------------------------------------------------------------ */

#define SQLITE_FILE_NAME     "registry.db"
#define SQLITE_PATH_MAX	     (PATH_MAX_LEN + 1)
#define SQLITE_DIRECTORY_MAX (PATH_MAX_LEN - 32) /* so that every path below fits */

struct sqlite_paths {
	char directory[SQLITE_PATH_MAX];
	char lock[SQLITE_PATH_MAX];  /* flock'ed by the process that has the registry; its pid */
	char main[SQLITE_PATH_MAX];  /* the database */
	char wal[SQLITE_PATH_MAX];   /* its write-ahead log */
	char fresh[SQLITE_PATH_MAX]; /* a registry that is being made */
};

int sqlite_paths_fill(const char *directory, struct sqlite_paths *ret, struct error *ret_error);

/* Takes the registry for this process until the descriptor is closed. */
int sqlite_lock(const struct sqlite_paths *p, int *ret_fd, struct error *ret_error);

/* Makes the names in the directory durable. */
int sqlite_sync_directory(const struct sqlite_paths *p, struct error *ret_error);

/* Fills *e from an errno of a file operation on `path`; returns what error_set() does. */
int sqlite_file_failed(struct error *e, int err, const char *doing, const char *path);

/* --- errors (sqlite_error.c) ----------------------------------------------------------------- */

/* Fills *e from the connection's last error; returns what error_set() does. */
int sqlite_failed(struct error *e, sqlite3 *db, const char *doing);

/* REGISTRY_CORRUPT, for a record that cannot be. */
int sqlite_corrupt(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- connections and schema (sqlite_schema.c) ------------------------------------------------ */

#define SQLITE_APPLICATION_ID 1984774467 /* "vMAC" */

/* A connection of one thread at a time.  Never makes a file. */
int sqlite_connect(const char *path, bool write, sqlite3 **ret, struct error *ret_error);
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct error *ret_error);
int sqlite_run(sqlite3 *db, const char *sql, const char *doing, struct error *ret_error);

/* The first column of the first row as a number; 0 when NULL or no row. */
int sqlite_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *ret_error);

/* Brings a schema to `version`; one transaction each, ascending, without a gap. */
struct sqlite_migration {
	unsigned int version;
	const char *sql;
};
extern const struct sqlite_migration sqlite_migrations[];
extern const size_t sqlite_migration_count;
int sqlite_migrate(sqlite3 *db, const struct sqlite_migration *list, size_t count,
		   struct error *ret_error);

/* Makes the registry where there is none, opens it, checks that it is ours and brings it up to
 * date.  wanted: see struct store_config. */
int sqlite_open_registry(const struct sqlite_paths *p, const char *wanted, sqlite3 **ret,
			 unsigned int *ret_schema, char ret_uuid[static UUID_TEXT_MAX],
			 struct error *ret_error);

/* --- write-ahead log (sqlite_wal.c) ---------------------------------------------------------- */

/* Pages in the log before they are carried over into the database while work goes on. */
#define WAL_FRAMES_MAX	 2000
#define SQLITE_PAGE_SIZE 4096

/* Finds damage that SQLite would take for the end of the log; see the essay there. */
int sqlite_wal_check(const char *path, struct error *ret_error);

/* Makes the log where there is none and gives it its full size ahead, as real blocks, if there is
 * plenty of room. */
int sqlite_wal_grow(const struct sqlite_paths *p, struct error *ret_error);

/* Marks a log whose every page is in the database as empty, and keeps its size. */
void sqlite_wal_blank(const char *path);

/* --- rows (sqlite_row.c, pure) --------------------------------------------------------------- */

/* The column `more` of a vMAC: what few records have, a line "name=value" each; texts have no
 * control characters, so that a line's end is its end. */
#define ROW_MORE_MAX 1280

/* Ends in zero; returns the length, 0 when there is nothing to say. */
size_t row_more_format(const struct vmac *v, char buf[static ROW_MORE_MAX]);

/* Where the parsed texts of one vMAC stand. */
struct row_texts {
	char name[NAME_MAX_LEN + 1], owner[OWNER_MAX_LEN + 1];
	char tenant[OWNER_MAX_LEN + 1], note[NOTE_MAX_LEN + 1];
	struct ip ips[VMAC_IPS_MAX];
};

/* Sets changed, ttl_ms, until, tenant, note and ips in *v (created must be set).  Anything that
 * row_more_format() cannot have written is -EINVAL. */
int row_more_parse(const char *text, size_t len, struct row_texts *texts, struct vmac *v);

/* Ids of vMACs go up by one; at a million a second they last for 9,000 years. */
#define ROW_ID_MAX (INT64_MAX / 32)

/* kind, origin and state as the decimal digits of one number. */
static inline int row_status(const struct vmac *v)
{
	return v->state + 10 * v->kind + 100 * v->origin;
}
int row_status_parse(int64_t status, struct vmac *v);

/* "FIRST..LAST,FIRST..LAST"; at most POOL_RANGES_MAX of them. */
#define ROW_RANGES_MAX (POOL_RANGES_MAX * VMAC_MAC_RANGE_TEXT_MAX)
char *row_ranges_format(const struct vmac_mac_range *list, unsigned int count,
			char buf[static ROW_RANGES_MAX]);
int row_ranges_parse(const char *text, struct vmac_mac_range list[static POOL_RANGES_MAX],
		     unsigned int *ret_count);

_Static_assert(POOL_EXCLUDES_MAX <= POOL_RANGES_MAX, "excludes fit where ranges do");

/* --- history (sqlite_filter.h, sqlite_history.c) --------------------------------------------- */

/* Lines that one row of history_block sums up. */
#define HISTORY_BLOCK 4096

/* Gives one line after another, valid until the next call: SQLITE_ROW, SQLITE_DONE at the end, or
 * the error of SQLite's that kept it from doing so. */
struct history_source {
	int (*next)(struct history_source *s, struct history *ret);
};

struct history_writer {
	struct feed feed; /* the lines to insert, up to the end of their block */
	sqlite3 *db;
	sqlite3_stmt *insert, *insert_block;
	struct history_source *source;
	struct history line;		/* being inserted */
	bool ended;			/* the source has no more */
	uint64_t seq;			/* of the newest line */
	int64_t at_least, at_most;	/* of the block that is being filled */
	struct filter filter;		/* of that block */
	char segment[NAME_MAX_LEN + 1]; /* the last one noted in the filter */
};

int history_writer_init(struct history_writer *w, sqlite3 *db, struct error *ret_error);
void history_writer_done(struct history_writer *w);

/* Stands again where the database stands (after a rollback). */
int history_writer_rewind(struct history_writer *w, struct error *ret_error);

/* Inserts all that the source gives. */
int history_write(struct history_writer *w, struct history_source *source, struct error *ret_error);

/* Looks up through a connection of its own. */
int history_read(sqlite3 *db, const struct history_query *q, struct lines *ret,
		 struct error *ret_error);

/* --- changes to rows (sqlite_apply.c) -------------------------------------------------------- */

enum apply_statement {
	APPLY_SEGMENT_PUT,
	APPLY_SEGMENT_DELETE,
	APPLY_SEGMENT_NAME,
	APPLY_POOL_PUT,
	APPLY_POOL_DELETE,
	APPLY_PORT_PUT,
	APPLY_PORT_DELETE,
	APPLY_ROUTER_PUT,
	APPLY_ROUTER_DELETE,
	APPLY_CLUSTER_PUT,
	APPLY_CLUSTER_DELETE,
	APPLY_SHARED_PUT,
	APPLY_SHARED_DELETE,
	APPLY_VMAC_INSERT,
	APPLY_VMAC_UPDATE,
	APPLY_VMAC_DELETE,
	APPLY_BEGIN,
	APPLY_COMMIT,
	APPLY_ROLLBACK,
	APPLY_COUNT
};

/* A place among the changes of a group. */
struct walk {
	const struct store_txn *txn; /* NULL: behind the last */
	size_t at;
};

struct applier {
	struct feed feed; /* created vMACs in a row, from `at` on */
	sqlite3 *db;
	sqlite3_stmt *statements[APPLY_COUNT];
	struct walk at; /* the change to apply next */
	bool fed;	/* the feed has given the change at `at` */
	struct history_source lines;
	struct walk noted; /* the change to note in the history next */
	struct change_line line;
	struct history_writer history;
	uint32_t segment; /* whose name is cached; 0 = none */
	char segment_name[NAME_MAX_LEN + 1];
	char more[ROW_MORE_MAX];
	bool log_doubtful; /* a commit failed when its frames were written: see settle_log() */
};

int applier_init(struct applier *a, sqlite3 *db, struct error *ret_error);
void applier_done(struct applier *a);

/* All of them become durable together, or none is there. */
int applier_commit(struct applier *a, const struct queue *group, struct error *ret_error);

/* --- load (sqlite_load.c, sqlite_load_vmacs.c) ----------------------------------------------- */

/* mem: for records that are freed again once the visitor has seen them. */
int sqlite_load_small(sqlite3 *db, const struct mem *mem, const struct store_visitor *visitor,
		      struct error *ret_error);

/* db: the writer's connection, for a look at the whole; the rest goes through others to `path`. */
int sqlite_load_vmacs(sqlite3 *db, const char *path, const struct mem *mem,
		      const struct store_visitor *visitor, struct error *ret_error);

/* --- threads (sqlite_worker.c, sqlite_reader.c) ---------------------------------------------- */

struct ask {
	struct ask *next;
	uint64_t behind; /* to be answered when so many transactions are settled */
	struct history_query *query;
	store_history_fn done;
	void *ctx;
	struct lines found; /* the answer, unless */
	struct error error; /* has a code */
};

struct ask_list {
	struct ask *first, **end;
};

struct sqlite_store {
	struct store base;
	const struct mem *mem;
	struct sqlite_paths paths;
	int lock_fd;
	int wake; /* eventfd: something is finished */
	char uuid[UUID_TEXT_MAX];
	unsigned int schema;

	/* The owner's alone. */
	uint64_t row_next;
	uint64_t submitted;
	size_t pending, asks_pending;
	struct undo undo;

	/* The worker's alone while its thread runs. */
	sqlite3 *db;
	struct applier applier;
	int frames; /* in the log, not yet carried over */

	pthread_mutex_t mutex; /* over all that follows */
	pthread_cond_t work, read;
	bool stop;
	struct queue waiting, durable, failed;
	bool failing; /* the owner has not yet undone; nothing is begun until then */
	uint64_t settled;
	struct error error; /* of the last failure; final when its code is REGISTRY_CORRUPT */
	struct ask_list asks, reads, answered;
	struct store_facts facts;

	pthread_t worker, reader;
	bool worker_runs, reader_runs;
};

int sqlite_threads_start(struct sqlite_store *s, struct error *ret_error);
void sqlite_threads_stop(struct sqlite_store *s);

void *sqlite_reader_run(void *store);
void ask_free(struct ask *a);

static inline void ask_put(struct ask_list *l, struct ask *a)
{
	a->next = NULL;
	*l->end = a;
	l->end = &a->next;
}

static inline struct ask *ask_take(struct ask_list *l)
{
	struct ask *a = l->first;

	if (a) {
		l->first = a->next;
		if (!l->first)
			l->end = &l->first;
	}
	return a;
}
