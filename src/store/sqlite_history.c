/* The history: written at its end, read from its end.
 *
 * Theory of operation
 *
 * Lines are only ever appended, so writing one costs the same however many there are.  An index by
 * subject would not: addresses come in random order, so nearly every line would touch another page
 * of it, and that page would have to be written twice (log and database) for one line.
 *
 * Instead each HISTORY_BLOCK lines are summed up in one row of history_block: the oldest and the
 * newest time, and a filter of the segments and subjects in it.  A look-up walks these from the
 * newest and reads only the blocks that may have something: for one address among ten million
 * lines, 2,442 filters and about 6 blocks that disappoint.  Lines behind the last full block are
 * always read.
 *
 * If history_writer_rewind() fails, the writer refuses to write until it succeeds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/lines.h"
#include "store/sqlite.h"

/* --- writing --------------------------------------------------------------------------------- */

#define SEQ_UNKNOWN UINT64_MAX

static void block_begin(struct history_writer *w)
{
	memset(&w->filter, 0, sizeof(w->filter));
	w->at_least = INT64_MAX;
	w->at_most = INT64_MIN;
	w->segment[0] = '\0';
}

static void block_note(struct history_writer *w, int64_t at, const char *segment,
		       const char *subject)
{
	w->at_least = at < w->at_least ? at : w->at_least;
	w->at_most = at > w->at_most ? at : w->at_most;
	if (subject[0] != '\0')
		filter_add(&w->filter, filter_hash(FILTER_SUBJECT, subject));
	if (strcmp(segment, w->segment) != 0) {
		filter_add(&w->filter, filter_hash(FILTER_SEGMENT, segment));
		snprintf(w->segment, sizeof(w->segment), "%s", segment);
	}
}

static int block_write(struct history_writer *w, struct error *ret_error)
{
	sqlite3_stmt *s = w->insert_block;
	int rc;

	sqlite3_bind_int64(s, 1, (int64_t)w->seq);
	sqlite3_bind_int64(s, 2, w->at_least);
	sqlite3_bind_int64(s, 3, w->at_most);
	sqlite3_bind_blob(s, 4, &w->filter, sizeof(w->filter), SQLITE_STATIC);
	rc = sqlite3_step(s);
	sqlite3_reset(s);
	if (rc != SQLITE_DONE)
		return sqlite_failed(ret_error, w->db, "write");
	block_begin(w);
	return 0;
}

static const char *column_text(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text ? text : "";
}

int history_writer_rewind(struct history_writer *w, struct error *ret_error)
{
	sqlite3_stmt *s;
	int64_t seq;
	int rc, r;

	w->seq = SEQ_UNKNOWN;
	block_begin(w);
	r = sqlite_number(w->db, "SELECT max(seq) FROM history", &seq, ret_error);
	if (r == 0)
		r = sqlite_prepare(w->db, "SELECT at, segment, subject FROM history WHERE seq > ?",
				   &s, ret_error);
	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, seq - seq % HISTORY_BLOCK);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		block_note(w, sqlite3_column_int64(s, 0), column_text(s, 1), column_text(s, 2));
	if (rc != SQLITE_DONE)
		r = sqlite_failed(ret_error, w->db, "read");
	else
		w->seq = (uint64_t)seq;
	sqlite3_finalize(s);
	return r;
}

enum {
	LINE_SEQ,
	LINE_AT,
	LINE_KIND,
	LINE_SEGMENT,
	LINE_SUBJECT,
	LINE_VERB,
	LINE_ACTOR,
	LINE_REASON,
	LINE_FROM,
	LINE_TO,
	LINE_COLUMNS
};

static int line_next(struct feed *f)
{
	struct history_writer *w = (struct history_writer *)f;
	bool block_full = w->seq % HISTORY_BLOCK == 0;
	int rc;

	/* The line before this one filled its block (the first of a statement never did). */
	if (block_full && w->at_least != INT64_MAX)
		return SQLITE_DONE;
	rc = w->source->next(w->source, &w->line);
	if (rc != SQLITE_ROW) {
		w->ended = rc == SQLITE_DONE;
		return rc;
	}
	w->line.seq = ++w->seq;
	block_note(w, w->line.at.ms, w->line.segment, w->line.subject);
	return SQLITE_ROW;
}

static void line_column(struct feed *f, sqlite3_context *context, int column)
{
	const struct history_writer *w = (struct history_writer *)f;
	const struct history *l = &w->line;
	const char *const texts[] = {
		[LINE_SEGMENT] = l->segment, [LINE_SUBJECT] = l->subject, [LINE_VERB] = l->verb,
		[LINE_ACTOR] = l->actor,     [LINE_REASON] = l->reason,	  [LINE_FROM] = l->from,
		[LINE_TO] = l->to,
	};

	if (column == LINE_SEQ)
		sqlite3_result_int64(context, (int64_t)l->seq);
	else if (column == LINE_AT)
		sqlite3_result_int64(context, l->at.ms);
	else if (column == LINE_KIND)
		sqlite3_result_int(context, (int)l->kind);
	else if (texts[column][0] != '\0')
		sqlite3_result_text(context, texts[column], -1, SQLITE_STATIC);
}

int history_writer_init(struct history_writer *w, sqlite3 *db, struct error *ret_error)
{
	int r;

	*w = (struct history_writer){
		.feed = { .columns = LINE_COLUMNS, .next = line_next, .column = line_column },
		.db = db,
	};
	r = feed_register(db, "new_line", &w->feed, ret_error);
	if (r == 0)
		r = sqlite_prepare(db, "INSERT INTO history SELECT * FROM new_line", &w->insert,
				   ret_error);
	if (r == 0)
		r = sqlite_prepare(db, "INSERT INTO history_block VALUES (?, ?, ?, ?)",
				   &w->insert_block, ret_error);
	if (r == 0)
		r = history_writer_rewind(w, ret_error);
	return r;
}

void history_writer_done(struct history_writer *w)
{
	sqlite3_finalize(w->insert);
	sqlite3_finalize(w->insert_block);
}

int history_write(struct history_writer *w, struct history_source *source, struct error *ret_error)
{
	int r = 0;

	if (w->seq == SEQ_UNKNOWN)
		r = history_writer_rewind(w, ret_error);
	w->source = source;
	w->ended = false;
	while (r == 0 && !w->ended) {
		int rc = sqlite3_step(w->insert);

		sqlite3_reset(w->insert);
		if (rc != SQLITE_DONE)
			return sqlite_failed(ret_error, w->db, "write");
		if (w->seq % HISTORY_BLOCK == 0 && w->at_least != INT64_MAX)
			r = block_write(w, ret_error);
	}
	return r;
}

/* --- reading --------------------------------------------------------------------------------- */

struct history_search {
	sqlite3 *db;
	const struct history_query *q;
	uint64_t segment, subject; /* hashes, where the query has them */
	int64_t before;		   /* only lines with a smaller number */
	sqlite3_stmt *lines, *blocks;
	struct lines *found;
};

static const char sql_lines[] =
	"SELECT seq, at, kind, segment, subject, verb, actor, reason, before, after FROM history"
	" WHERE seq > ?1 AND seq < ?2 AND at >= ?3 AND at <= ?4"
	" AND (?5 IS NULL OR ifnull(segment, '') = ?5)"
	" AND (?6 IS NULL OR ifnull(subject, '') = ?6) ORDER BY seq DESC LIMIT ?7";
static const char sql_blocks[] = "SELECT last, at_least, at_most, filter FROM history_block WHERE "
				 "last < ?1 ORDER BY last DESC";

static int64_t search_since(const struct history_search *h)
{
	return h->q->since.ms != 0 ? h->q->since.ms : INT64_MIN;
}

static int64_t search_until(const struct history_search *h)
{
	return h->q->until.ms != 0 ? h->q->until.ms : INT64_MAX;
}

static int search_line(struct history_search *h, struct error *ret_error)
{
	struct history line = {
		.seq = (uint64_t)sqlite3_column_int64(h->lines, 0),
		.at.ms = sqlite3_column_int64(h->lines, 1),
		.segment = column_text(h->lines, 3),
		.subject = column_text(h->lines, 4),
		.verb = column_text(h->lines, 5),
		.actor = column_text(h->lines, 6),
		.reason = column_text(h->lines, 7),
		.from = column_text(h->lines, 8),
		.to = column_text(h->lines, 9),
	};
	int kind = sqlite3_column_int(h->lines, 2);

	if (kind < 0 || kind >= CHANGE_KIND_COUNT)
		return sqlite_corrupt(ret_error, "line %llu of the history is of no kind",
				      (unsigned long long)line.seq);
	line.kind = (enum change_kind)kind;
	if (lines_add(h->found, &line) < 0)
		return error_set(ret_error, ERROR_NO_MEMORY, "ask for fewer lines",
				 "no memory for the history");
	return 0;
}

/* The lines with after < seq < before. */
static int search_lines(struct history_search *h, int64_t after, int64_t before,
			struct error *ret_error)
{
	int rc = SQLITE_DONE, r = 0;

	sqlite3_bind_int64(h->lines, 1, after);
	sqlite3_bind_int64(h->lines, 2, before);
	sqlite3_bind_int64(h->lines, 7, (int64_t)(h->q->limit - h->found->count));
	while (r == 0 && (rc = sqlite3_step(h->lines)) == SQLITE_ROW)
		r = search_line(h, ret_error);
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_failed(ret_error, h->db, "read");
	sqlite3_reset(h->lines);
	return r;
}

static bool search_wants_block(const struct history_search *h)
{
	const uint8_t *bits = sqlite3_column_blob(h->blocks, 3);

	if (sqlite3_column_int64(h->blocks, 1) > search_until(h) ||
	    sqlite3_column_int64(h->blocks, 2) < search_since(h))
		return false;
	/* A filter that is none keeps nothing back. */
	if (sqlite3_column_bytes(h->blocks, 3) != FILTER_OCTETS)
		return true;
	/* "" is in no filter. */
	return (!h->q->segment || !h->q->segment[0] || filter_may_have(bits, h->segment)) &&
	       (!h->q->subject || !h->q->subject[0] || filter_may_have(bits, h->subject));
}

static int search_blocks(struct history_search *h, struct error *ret_error)
{
	int rc = SQLITE_DONE, r = 0;

	/* A block that `before` cuts has its last line at or behind it: look for that one, too. */
	sqlite3_bind_int64(h->blocks, 1,
			   h->before > INT64_MAX - HISTORY_BLOCK ? INT64_MAX
								 : h->before + HISTORY_BLOCK);
	while (r == 0 && h->found->count < h->q->limit &&
	       (rc = sqlite3_step(h->blocks)) == SQLITE_ROW) {
		int64_t last = sqlite3_column_int64(h->blocks, 0);

		if (search_wants_block(h))
			r = search_lines(h, last - HISTORY_BLOCK,
					 last < h->before ? last + 1 : h->before, ret_error);
	}
	if (r == 0 && rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = sqlite_failed(ret_error, h->db, "read");
	sqlite3_reset(h->blocks);
	return r;
}

static int search_run(struct history_search *h, struct error *ret_error)
{
	int64_t summed;
	int r = sqlite_prepare(h->db, sql_lines, &h->lines, ret_error);

	if (r == 0)
		r = sqlite_prepare(h->db, sql_blocks, &h->blocks, ret_error);
	if (r == 0)
		r = sqlite_number(h->db, "SELECT max(last) FROM history_block", &summed, ret_error);
	if (r < 0)
		return r;
	sqlite3_bind_int64(h->lines, 3, search_since(h));
	sqlite3_bind_int64(h->lines, 4, search_until(h));
	sqlite3_bind_text(h->lines, 5, h->q->segment, -1, SQLITE_STATIC);
	sqlite3_bind_text(h->lines, 6, h->q->subject, -1, SQLITE_STATIC);
	r = search_lines(h, summed, h->before, ret_error);
	return r == 0 ? search_blocks(h, ret_error) : r;
}

int history_read(sqlite3 *db, const struct history_query *q, struct lines *ret,
		 struct error *ret_error)
{
	struct history_search h = {
		.db = db,
		.q = q,
		.segment = q->segment ? filter_hash(FILTER_SEGMENT, q->segment) : 0,
		.subject = q->subject ? filter_hash(FILTER_SUBJECT, q->subject) : 0,
		.before = q->before == 0 || q->before > INT64_MAX ? INT64_MAX : (int64_t)q->before,
		.found = ret,
	};
	int r = sqlite_run(db, "BEGIN", "read", ret_error);

	/* One picture for all of it, whatever is written meanwhile. */
	if (r == 0) {
		r = search_run(&h, ret_error);
		sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	}
	sqlite3_finalize(h.lines);
	sqlite3_finalize(h.blocks);
	if (r < 0)
		lines_done(ret);
	return r;
}
