/* Rows from C as a table that SQL can read: `INSERT INTO t SELECT * FROM feed`.
 *
 * One statement for a whole group of rows costs a third of a statement a row: what SQLite does to
 * begin and end a statement is more than what it does for a row. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

struct feed {
	int columns;
	/* Moves to the next row (the first, at the beginning): SQLITE_ROW, SQLITE_DONE at the end,
	 * or an error, which fails the statement. */
	int (*next)(struct feed *f);
	/* Gives one column of the row by a sqlite3_result_…() call.  A text must stay where it is
	 * until the next row. */
	void (*column)(struct feed *f, sqlite3_context *context, int column);
};

#define FEED_COLUMNS_MAX 16

/* Makes the feed a table of this connection, whose life is within the feed's.  One statement at a
 * time may read it, once from the first row to the last. */
int feed_register(sqlite3 *db, const char *name, struct feed *f, struct error *ret_error);
