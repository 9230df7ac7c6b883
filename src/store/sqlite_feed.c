/* An eponymous virtual table: https://www.sqlite.org/vtab.html */
#include "store/sqlite_feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/sqlite.h"

struct feed_table {
	sqlite3_vtab base;
	struct feed *feed;
};

struct feed_cursor {
	sqlite3_vtab_cursor base;
	bool ended;
	sqlite3_int64 row;
};

static struct feed *feed_of(sqlite3_vtab_cursor *cursor)
{
	return ((struct feed_table *)cursor->pVtab)->feed;
}

static int feed_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
			sqlite3_vtab **ret, char **ret_error)
{
	struct feed_table *table = sqlite3_malloc(sizeof(*table));
	struct feed *f = aux;
	char sql[32 + 8 * FEED_COLUMNS_MAX];
	int n = snprintf(sql, sizeof(sql), "CREATE TABLE feed (c0"), rc;

	if (!table)
		return SQLITE_NOMEM;
	assert(f->columns >= 1 && f->columns <= FEED_COLUMNS_MAX);
	for (int i = 1; i < f->columns; i++)
		n += snprintf(sql + n, sizeof(sql) - (size_t)n, ", c%d", i);
	snprintf(sql + n, sizeof(sql) - (size_t)n, ")");
	rc = sqlite3_declare_vtab(db, sql);
	if (rc != SQLITE_OK) {
		sqlite3_free(table);
		return rc;
	}
	*table = (struct feed_table){ .feed = f };
	*ret = &table->base;
	return SQLITE_OK;
}

static int feed_disconnect(sqlite3_vtab *table)
{
	sqlite3_free(table);
	return SQLITE_OK;
}

static int feed_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	return SQLITE_OK; /* there is one way only */
}

static int feed_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret)
{
	struct feed_cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	*c = (struct feed_cursor){ 0 };
	*ret = &c->base;
	return SQLITE_OK;
}

static int feed_close(sqlite3_vtab_cursor *cursor)
{
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int feed_next(sqlite3_vtab_cursor *cursor)
{
	struct feed_cursor *c = (struct feed_cursor *)cursor;
	struct feed *f = feed_of(cursor);
	int rc = f->next(f);

	c->row++;
	c->ended = rc == SQLITE_DONE;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int feed_filter(sqlite3_vtab_cursor *cursor, int index, const char *text, int argc,
		       sqlite3_value **argv)
{
	return feed_next(cursor);
}

static int feed_eof(sqlite3_vtab_cursor *cursor)
{
	return ((struct feed_cursor *)cursor)->ended;
}

static int feed_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
	struct feed *f = feed_of(cursor);

	f->column(f, context, column);
	return SQLITE_OK;
}

static int feed_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret)
{
	*ret = ((struct feed_cursor *)cursor)->row;
	return SQLITE_OK;
}

/* Without xCreate the table is there by itself, under the module's name. */
static const sqlite3_module module = {
	.xConnect = feed_connect,
	.xBestIndex = feed_best_index,
	.xDisconnect = feed_disconnect,
	.xOpen = feed_open,
	.xClose = feed_close,
	.xFilter = feed_filter,
	.xNext = feed_next,
	.xEof = feed_eof,
	.xColumn = feed_column,
	.xRowid = feed_rowid,
};

int feed_register(sqlite3 *db, const char *name, struct feed *f, struct error *ret_error)
{
	if (sqlite3_create_module_v2(db, name, &module, f, NULL) != SQLITE_OK)
		return sqlite_failed(ret_error, db, "open");
	return 0;
}
