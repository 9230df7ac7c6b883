/* Changes become rows: one group of transactions is one transaction of SQLite's. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/record.h"
#include "store/change_line.h"
#include "store/cluster_json.h"
#include "store/router_json.h"
#include "store/shared.h"
#include "store/sqlite.h"

#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* A vMAC is found by its id; its key says that it is the one that was meant. */
static const char *const sql[] = {
	[APPLY_SEGMENT_PUT] = "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)",
	[APPLY_SEGMENT_DELETE] = "DELETE FROM segment WHERE id = ?",
	[APPLY_SEGMENT_NAME] = "SELECT name FROM segment WHERE id = ?",
	[APPLY_POOL_PUT] = "INSERT OR REPLACE INTO pool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[APPLY_POOL_DELETE] = "DELETE FROM pool WHERE id = ?",
	[APPLY_PORT_PUT] = "INSERT OR REPLACE INTO port VALUES"
			   " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[APPLY_PORT_DELETE] = "DELETE FROM port WHERE id = ?",
	[APPLY_ROUTER_PUT] = "INSERT OR REPLACE INTO router VALUES (?, ?, ?)",
	[APPLY_ROUTER_DELETE] = "DELETE FROM router WHERE id = ?",
	[APPLY_CLUSTER_PUT] = "INSERT OR REPLACE INTO cluster VALUES (?, ?, ?, ?, ?)",
	[APPLY_CLUSTER_DELETE] = "DELETE FROM cluster WHERE id = ?",
	[APPLY_SHARED_PUT] = "INSERT OR REPLACE INTO shared VALUES (?, ?, ?)",
	[APPLY_SHARED_DELETE] = "DELETE FROM shared WHERE key = ?",
	[APPLY_VMAC_INSERT] = "INSERT INTO vmac SELECT * FROM new_vmac",
	[APPLY_VMAC_UPDATE] = "UPDATE vmac SET status = ?3, pool = ?4, port = ?5, epoch = ?6,"
			      " created = ?7, name = ?8, owner = ?9, more = ?10"
			      " WHERE id = ?1 AND key = ?2",
	[APPLY_VMAC_DELETE] = "DELETE FROM vmac WHERE id = ?1 AND key = ?2",
	[APPLY_BEGIN] = "BEGIN IMMEDIATE",
	[APPLY_COMMIT] = "COMMIT",
	[APPLY_ROLLBACK] = "ROLLBACK",
};

_Static_assert(ARRAY_LEN(sql) == APPLY_COUNT, "every statement has its text");

/* Runs a bound statement that gives no rows. */
static int applier_run(struct applier *a, enum apply_statement which, struct error *ret_error)
{
	int rc = sqlite3_step(a->statements[which]);

	/* The reset says again what the step said. */
	sqlite3_reset(a->statements[which]);
	return rc == SQLITE_DONE ? 0 : sqlite_failed(ret_error, a->db, "write");
}

/* The same for a statement that must have met exactly one row. */
static int applier_run_one(struct applier *a, enum apply_statement which, struct error *ret_error)
{
	int r = applier_run(a, which, ret_error);

	if (r == 0 && sqlite3_changes(a->db) != 1)
		return sqlite_corrupt(ret_error, "a record that is to be changed is not there");
	return r;
}

static int applier_delete(struct applier *a, enum apply_statement which, uint32_t id,
			  struct error *ret_error)
{
	sqlite3_bind_int64(a->statements[which], 1, id);
	return applier_run_one(a, which, ret_error);
}

static void bind_text(sqlite3_stmt *s, int column, const char *text)
{
	sqlite3_bind_text(s, column, text, -1, SQLITE_STATIC);
}

/* --- the small tables ------------------------------------------------------------------------ */

static int apply_segment(struct applier *a, const struct change *c, struct error *ret_error)
{
	sqlite3_stmt *s = a->statements[APPLY_SEGMENT_PUT];
	const struct segment *after = c->after;

	a->segment = 0;
	if (!after)
		return applier_delete(a, APPLY_SEGMENT_DELETE,
				      ((const struct segment *)c->before)->id, ret_error);
	sqlite3_bind_int64(s, 1, after->id);
	bind_text(s, 2, after->name);
	bind_text(s, 3, after->uplink);
	sqlite3_bind_int64(s, 4, after->vlan);
	sqlite3_bind_int64(s, 5, (int64_t)after->epoch_floor);
	sqlite3_bind_int64(s, 6, after->created.ms);
	sqlite3_bind_int64(s, 7, after->net);
	return applier_run(a, APPLY_SEGMENT_PUT, ret_error);
}

static int apply_pool(struct applier *a, const struct change *c, struct error *ret_error)
{
	sqlite3_stmt *s = a->statements[APPLY_POOL_PUT];
	char ranges[ROW_RANGES_MAX], excludes[ROW_RANGES_MAX];
	const struct pool *after = c->after;

	if (!after)
		return applier_delete(a, APPLY_POOL_DELETE, ((const struct pool *)c->before)->id,
				      ret_error);
	sqlite3_bind_int64(s, 1, after->id);
	sqlite3_bind_int64(s, 2, after->segment);
	bind_text(s, 3, after->name);
	bind_text(s, 4, row_ranges_format(after->ranges, after->range_count, ranges));
	bind_text(s, 5, row_ranges_format(after->excludes, after->exclude_count, excludes));
	sqlite3_bind_blob(s, 6, after->key, sizeof(after->key), SQLITE_STATIC);
	sqlite3_bind_int64(s, 7, (int64_t)after->cursor);
	sqlite3_bind_int64(s, 8, after->quarantine_ms);
	sqlite3_bind_int64(s, 9, (int64_t)after->limit);
	sqlite3_bind_int64(s, 10, after->created.ms);
	return applier_run(a, APPLY_POOL_PUT, ret_error);
}

/* With commas between. */
static void macs_text(const vmac_mac_t *macs, unsigned int count,
		      char text[static PORT_ROUTERS_MAX * VMAC_MAC_TEXT_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < count; i++) {
		if (i > 0)
			text[used++] = ',';
		vmac_mac_format(macs[i], VMAC_MAC_COLON, text + used);
		used += strlen(text + used);
	}
}

static int apply_port(struct applier *a, const struct change *c, struct error *ret_error)
{
	sqlite3_stmt *s = a->statements[APPLY_PORT_PUT];
	char routers[PORT_ROUTERS_MAX * VMAC_MAC_TEXT_MAX];
	const struct port *after = c->after;
	char address[VMAC_MAC_TEXT_MAX];

	if (!after)
		return applier_delete(a, APPLY_PORT_DELETE, ((const struct port *)c->before)->id,
				      ret_error);
	sqlite3_bind_int64(s, 1, after->id);
	sqlite3_bind_int64(s, 2, after->segment);
	bind_text(s, 3, after->name);
	bind_text(s, 4, port_kind_name(after->kind));
	bind_text(s, 5, port_gate_name(after->gate));
	sqlite3_bind_int(s, 6, after->made);
	bind_text(s, 7, vmac_mac_format(after->address, VMAC_MAC_COLON, address));
	bind_text(s, 8, after->ifname);
	bind_text(s, 9, after->peer_netns);
	bind_text(s, 10, after->peer_ifname);
	sqlite3_bind_int64(s, 11, after->owner_uid);
	sqlite3_bind_int64(s, 12, after->owner_gid);
	sqlite3_bind_int64(s, 13, after->queues);
	sqlite3_bind_int64(s, 14, after->mtu);
	sqlite3_bind_int64(s, 15, after->allow);
	sqlite3_bind_int64(s, 16, after->flood_pps);
	sqlite3_bind_int64(s, 17, after->created.ms);
	macs_text(after->routers, after->router_count, routers);
	bind_text(s, 18, routers);
	return applier_run(a, APPLY_PORT_PUT, ret_error);
}

static int apply_router(struct applier *a, const struct change *c, struct error *ret_error)
{
	sqlite3_stmt *s = a->statements[APPLY_ROUTER_PUT];
	const struct router *after = c->after;
	char *record;
	int r;

	if (!after)
		return applier_delete(a, APPLY_ROUTER_DELETE,
				      ((const struct router *)c->before)->id, ret_error);
	r = router_json_write(after, &record, ret_error);
	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, after->id);
	bind_text(s, 2, after->name);
	bind_text(s, 3, record);
	r = applier_run(a, APPLY_ROUTER_PUT, ret_error);
	sqlite3_clear_bindings(s);
	free(record);
	return r;
}

static int apply_cluster(struct applier *a, const struct change *c, struct error *ret_error)
{
	sqlite3_stmt *s = a->statements[APPLY_CLUSTER_PUT];
	const struct cluster *after = c->after;
	char *record;
	int r;

	if (!after)
		return applier_delete(a, APPLY_CLUSTER_DELETE,
				      ((const struct cluster *)c->before)->id, ret_error);
	r = cluster_json_write(after, &record, ret_error);
	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, after->id);
	sqlite3_bind_int64(s, 2, after->segment);
	bind_text(s, 3, after->name);
	bind_text(s, 4, record);
	sqlite3_bind_int64(s, 5, after->created.ms);
	r = applier_run(a, APPLY_CLUSTER_PUT, ret_error);
	sqlite3_clear_bindings(s);
	free(record);
	return r;
}

static void *plain_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void plain_free(void *ctx, void *p)
{
	free(p);
}

static const struct mem plain_mem = { plain_alloc, plain_free, NULL };

static int apply_shared(struct applier *a, const struct change *c, struct error *ret_error)
{
	enum apply_statement which = c->after ? APPLY_SHARED_PUT : APPLY_SHARED_DELETE;
	const struct shared_record *record = c->after ? c->after : c->before;
	sqlite3_stmt *s = a->statements[which];
	char *key, *value = NULL;
	int r = shared_encode(&plain_mem, record, &key, c->after ? &value : NULL, ret_error);

	if (r < 0)
		return r;
	assert(!c->before || !c->after || shared_same_key(c->before, c->after));
	bind_text(s, 1, key);
	if (c->after) {
		sqlite3_bind_int64(s, 2, (int64_t)record->revision);
		bind_text(s, 3, value);
		r = applier_run(a, which, ret_error);
	} else {
		r = applier_run_one(a, which, ret_error);
	}
	sqlite3_clear_bindings(s);
	free(key);
	free(value);
	return r;
}

/* --- vMACs ----------------------------------------------------------------------------------- */

static void bind_number_or_null(sqlite3_stmt *s, int column, uint64_t n)
{
	if (n != 0)
		sqlite3_bind_int64(s, column, (int64_t)n);
	else
		sqlite3_bind_null(s, column);
}

static void bind_text_or_null(sqlite3_stmt *s, int column, const char *text)
{
	if (text[0] != '\0')
		bind_text(s, column, text);
	else
		sqlite3_bind_null(s, column);
}

static const struct change *walk_change(const struct walk *w)
{
	return &w->txn->changes[w->at];
}

/* Transactions without changes are stepped over. */
static void walk_settle(struct walk *w)
{
	while (w->txn && w->at >= w->txn->count)
		*w = (struct walk){ .txn = w->txn->next };
}

static void walk_next(struct walk *w)
{
	w->at++;
	walk_settle(w);
}

enum {
	VMAC_ID,
	VMAC_KEY,
	VMAC_STATUS,
	VMAC_POOL,
	VMAC_PORT,
	VMAC_EPOCH,
	VMAC_CREATED,
	VMAC_NAME,
	VMAC_OWNER,
	VMAC_MORE,
	VMAC_COLUMNS
};

static bool creates_vmac(const struct walk *w)
{
	return w->txn && walk_change(w)->kind == CHANGE_VMAC && !walk_change(w)->before;
}

static int vmac_next(struct feed *f)
{
	struct applier *a = (struct applier *)f;

	if (a->fed)
		walk_next(&a->at);
	a->fed = true;
	return creates_vmac(&a->at) ? SQLITE_ROW : SQLITE_DONE;
}

static void result_number(sqlite3_context *context, uint64_t n)
{
	if (n != 0)
		sqlite3_result_int64(context, (int64_t)n);
}

static void result_text(sqlite3_context *context, const char *text)
{
	if (text[0] != '\0')
		sqlite3_result_text(context, text, -1, SQLITE_STATIC);
}

/* 0 and "" are NULL, which takes no room. */
static void vmac_column(struct feed *f, sqlite3_context *context, int column)
{
	struct applier *a = (struct applier *)f;
	const struct vmac *v = walk_change(&a->at)->after;

	switch (column) {
	case VMAC_ID:
		return sqlite3_result_int64(context, (int64_t)v->row);
	case VMAC_KEY:
		return sqlite3_result_int64(context, (int64_t)vmac_key(v->segment, v->address));
	case VMAC_STATUS:
		return sqlite3_result_int(context, row_status(v));
	case VMAC_POOL:
		return result_number(context, v->pool);
	case VMAC_PORT:
		return result_number(context, v->port);
	case VMAC_EPOCH:
		return result_number(context, v->epoch);
	case VMAC_CREATED:
		return sqlite3_result_int64(context, v->created.ms);
	case VMAC_NAME:
		return result_text(context, v->name);
	case VMAC_OWNER:
		return result_text(context, v->owner);
	case VMAC_MORE:
		row_more_format(v, a->more);
		return result_text(context, a->more);
	}
}

/* Inserts from a->at up to the next change that is anything else. */
static int apply_vmacs_created(struct applier *a, struct error *ret_error)
{
	a->fed = false;
	return applier_run(a, APPLY_VMAC_INSERT, ret_error);
}

static int apply_vmac_changed(struct applier *a, const struct change *c, struct error *ret_error)
{
	enum apply_statement which = c->after ? APPLY_VMAC_UPDATE : APPLY_VMAC_DELETE;
	const struct vmac *v = c->after ? c->after : c->before;
	sqlite3_stmt *s = a->statements[which];

	sqlite3_bind_int64(s, 1 + VMAC_ID, (int64_t)v->row);
	sqlite3_bind_int64(s, 1 + VMAC_KEY, (int64_t)vmac_key(v->segment, v->address));
	if (!c->after)
		return applier_run_one(a, which, ret_error);
	row_more_format(v, a->more);
	sqlite3_bind_int(s, 1 + VMAC_STATUS, row_status(v));
	bind_number_or_null(s, 1 + VMAC_POOL, v->pool);
	bind_number_or_null(s, 1 + VMAC_PORT, v->port);
	bind_number_or_null(s, 1 + VMAC_EPOCH, v->epoch);
	sqlite3_bind_int64(s, 1 + VMAC_CREATED, v->created.ms);
	bind_text_or_null(s, 1 + VMAC_NAME, v->name);
	bind_text_or_null(s, 1 + VMAC_OWNER, v->owner);
	bind_text_or_null(s, 1 + VMAC_MORE, a->more);
	return applier_run_one(a, which, ret_error);
}

/* --- history --------------------------------------------------------------------------------- */

/* SQLITE_OK, with the name in a->segment_name, or SQLite's error. */
static int applier_segment_name(struct applier *a, uint32_t id)
{
	sqlite3_stmt *s = a->statements[APPLY_SEGMENT_NAME];
	const char *name = "";
	int rc;

	if (id == a->segment && id != 0)
		return SQLITE_OK;
	a->segment = 0;
	sqlite3_bind_int64(s, 1, id);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		name = (const char *)sqlite3_column_text(s, 0);
	snprintf(a->segment_name, sizeof(a->segment_name), "%s", name ? name : "");
	sqlite3_reset(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return rc;
	a->segment = id;
	return SQLITE_OK;
}

static int applier_line(struct applier *a, const struct change *c, const struct store_txn *txn)
{
	const char *segment = a->segment_name;
	int rc = SQLITE_OK;

	if (c->kind == CHANGE_SEGMENT)
		segment = ((const struct segment *)(c->after ? c->after : c->before))->name;
	else
		rc = applier_segment_name(a, change_segment(c));
	if (rc == SQLITE_OK)
		change_line_fill(c, txn, segment, &a->line);
	return rc;
}

/* The lines of the changes from a->noted up to, not including, a->at. */
static int lines_next(struct history_source *source, struct history *ret)
{
	struct applier *a = CONTAINER_OF(source, struct applier, lines);

	while (a->noted.txn != a->at.txn || a->noted.at != a->at.at) {
		const struct change *c = walk_change(&a->noted);
		const struct store_txn *txn = a->noted.txn;
		int rc;

		walk_next(&a->noted);
		if (c->verb[0] == '\0')
			continue;
		rc = applier_line(a, c, txn);
		if (rc != SQLITE_OK)
			return rc;
		*ret = a->line.line;
		return SQLITE_ROW;
	}
	return SQLITE_DONE;
}

/* --- groups ---------------------------------------------------------------------------------- */

static int applier_apply(struct applier *a, const struct change *c, struct error *ret_error)
{
	switch (c->kind) {
	case CHANGE_SEGMENT:
		return apply_segment(a, c, ret_error);
	case CHANGE_POOL:
		return apply_pool(a, c, ret_error);
	case CHANGE_VMAC:
		return apply_vmac_changed(a, c, ret_error);
	case CHANGE_PORT:
		return apply_port(a, c, ret_error);
	case CHANGE_ROUTER:
		return apply_router(a, c, ret_error);
	case CHANGE_CLUSTER:
		return apply_cluster(a, c, ret_error);
	case CHANGE_SHARED:
		return apply_shared(a, c, ret_error);
	case CHANGE_KIND_COUNT:
		break;
	}
	assert(!"a kind of change that is none");
	return 0;
}

/* The lines are written in few large strokes: before a segment changes, whose name the lines before
 * it bear, and at the end. */
static int applier_apply_all(struct applier *a, const struct queue *group, struct error *ret_error)
{
	int r = 0;

	a->at = (struct walk){ .txn = group->first };
	walk_settle(&a->at);
	a->noted = a->at;
	while (r == 0 && a->at.txn) {
		if (creates_vmac(&a->at)) {
			r = apply_vmacs_created(a, ret_error);
			continue;
		}
		if (walk_change(&a->at)->kind == CHANGE_SEGMENT)
			r = history_write(&a->history, &a->lines, ret_error);
		if (r == 0)
			r = applier_apply(a, walk_change(&a->at), ret_error);
		walk_next(&a->at);
	}
	return r == 0 ? history_write(&a->history, &a->lines, ret_error) : r;
}

int applier_commit(struct applier *a, const struct queue *group, struct error *ret_error)
{
	struct error second;
	int r = applier_run(a, APPLY_BEGIN, ret_error);

	if (r < 0)
		return r;
	r = applier_apply_all(a, group, ret_error);
	if (r == 0) {
		r = applier_run(a, APPLY_COMMIT, ret_error);
		if (r == 0)
			return 0;
		a->log_doubtful |= (sqlite3_errcode(a->db) & 0xff) == SQLITE_IOERR;
	}
	/* SQLite may have rolled back by itself.  The first error is the one that counts. */
	if (!sqlite3_get_autocommit(a->db))
		applier_run(a, APPLY_ROLLBACK, &second);
	a->segment = 0;
	history_writer_rewind(&a->history, &second);
	return r;
}

int applier_init(struct applier *a, sqlite3 *db, struct error *ret_error)
{
	int r = 0;

	*a = (struct applier){
		.feed = { .columns = VMAC_COLUMNS, .next = vmac_next, .column = vmac_column },
		.db = db,
		.lines.next = lines_next,
	};
	r = feed_register(db, "new_vmac", &a->feed, ret_error);
	for (size_t i = 0; i < APPLY_COUNT && r == 0; i++)
		r = sqlite_prepare(db, sql[i], &a->statements[i], ret_error);
	if (r == 0)
		r = history_writer_init(&a->history, db, ret_error);
	if (r < 0)
		applier_done(a);
	return r;
}

void applier_done(struct applier *a)
{
	for (size_t i = 0; i < APPLY_COUNT; i++)
		sqlite3_finalize(a->statements[i]);
	history_writer_done(&a->history);
	*a = (struct applier){ 0 };
}
