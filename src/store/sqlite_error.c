/* What SQLite says, in the words of the contract. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/sqlite.h"

static const char hint_full[] =
	"make room on the registry's file system; vmacd goes on by itself as soon as there is some";
static const char hint_read_only[] =
	"make the registry's directory writable for vmacd (mount it rw, check its owner and mode)";
static const char hint_corrupt[] = "stop vmacd, keep a copy of the directory, put a backup in its "
				   "place or save what is readable with "
				   "\"sqlite3 registry.db .recover\" (docs/registry.md)";
static const char hint_failed[] = "look into the kernel's log for errors of the disk; what was "
				  "answered before is in the registry";

static enum error_code code_of_errno(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return ERROR_REGISTRY_FULL;
	case EROFS:
	case EACCES:
	case EPERM:
		return ERROR_REGISTRY_READ_ONLY;
	case ENOMEM:
		return ERROR_NO_MEMORY;
	default:
		return ERROR_REGISTRY_FAILED;
	}
}

static enum error_code code_of(sqlite3 *db)
{
	if (sqlite3_extended_errcode(db) == SQLITE_IOERR_SHORT_READ)
		return ERROR_REGISTRY_CORRUPT;
	switch (sqlite3_errcode(db)) {
	case SQLITE_FULL:
		return ERROR_REGISTRY_FULL;
	case SQLITE_READONLY:
		return ERROR_REGISTRY_READ_ONLY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT: /* the rows are not what we had written */
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* a table or column of ours is not there */
		return ERROR_REGISTRY_CORRUPT;
	case SQLITE_NOMEM:
		return ERROR_NO_MEMORY;
	default:
		return code_of_errno(sqlite3_system_errno(db));
	}
}

static const char *hint_of(enum error_code code)
{
	return code == ERROR_REGISTRY_FULL	  ? hint_full
	       : code == ERROR_REGISTRY_READ_ONLY ? hint_read_only
	       : code == ERROR_REGISTRY_CORRUPT	  ? hint_corrupt
	       : code == ERROR_NO_MEMORY	  ? NULL
						  : hint_failed;
}

int sqlite_failed(struct error *e, sqlite3 *db, const char *doing)
{
	const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
	enum error_code code = db ? code_of(db) : ERROR_NO_MEMORY;

	return error_set(e, code, hint_of(code), "cannot %s the registry %s: %s", doing,
			 path ? path : "", db ? sqlite3_errmsg(db) : "out of memory");
}

int sqlite_corrupt(struct error *e, const char *fmt, ...)
{
	char what[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(e, ERROR_REGISTRY_CORRUPT, hint_corrupt, "the registry is damaged: %s",
			 what);
}

int sqlite_file_failed(struct error *e, int err, const char *doing, const char *path)
{
	enum error_code code = code_of_errno(err);

	errno = err;
	return error_set(e, code, hint_of(code), "cannot %s %s: %m", doing, path);
}
