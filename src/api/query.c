#include "api/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* clang-format off */
#define FIELD(n, t, m, ...) { .name = n, .type = t, .at = offsetof(struct query, m), __VA_ARGS__ }
#define Q_SEGMENT FIELD("segment", FIELD_NAME, segment, .most = NAME_MAX_LEN)
#define Q_REASON  FIELD("reason", FIELD_TEXT, reason, .most = NOTE_MAX_LEN)
#define Q_LIMIT   FIELD("limit", FIELD_UINT, limit, .size = sizeof(uint32_t), .least = 1,          \
			.most = QUERY_LIMIT_MAX)
#define SCHEMA(id, ...)                                                                            \
	static const struct field id##_fields[] = { __VA_ARGS__ };                                 \
	const struct schema id = { .name = #id, .fields = id##_fields,                             \
				   .count = ARRAY_LEN(id##_fields) }

const struct schema query_none = { .name = "query_none" };
SCHEMA(query_reason, Q_REASON);
SCHEMA(query_by_segment, Q_SEGMENT);
SCHEMA(query_pool_show, FIELD("key", FIELD_BOOL, key, .most = 1));
SCHEMA(query_vmacs,
	Q_SEGMENT,
	FIELD("pool", FIELD_NAME, pool, .most = NAME_MAX_LEN),
	FIELD("owner", FIELD_TEXT, owner, .most = OWNER_MAX_LEN),
	FIELD("tenant", FIELD_TEXT, tenant, .most = OWNER_MAX_LEN),
	FIELD("state", FIELD_PARSED, state, .parse = field_parse_state),
	FIELD("kind", FIELD_PARSED, kind, .parse = field_parse_kind),
	FIELD("origin", FIELD_PARSED, origin, .parse = field_parse_origin),
	FIELD("after", FIELD_TEXT, after, .most = 2 * NAME_MAX_LEN),
	Q_LIMIT);
SCHEMA(query_port_delete, Q_REASON, FIELD("release", FIELD_BOOL, release, .most = 1));
SCHEMA(query_history,
	Q_SEGMENT,
	FIELD("subject", FIELD_TEXT, subject, .most = NAME_MAX_LEN),
	FIELD("since", FIELD_PARSED, since, .parse = field_parse_time),
	FIELD("until", FIELD_PARSED, until, .parse = field_parse_time),
	FIELD("before", FIELD_UINT, before, .size = sizeof(uint64_t), .least = 1, .most = INT64_MAX),
	Q_LIMIT);
/* clang-format on */

void query_init(struct query *q)
{
	*q = (struct query){ .segment = "",
			     .pool = "",
			     .owner = "",
			     .tenant = "",
			     .subject = "",
			     .reason = "",
			     .after = "",
			     .state = -1,
			     .kind = -1,
			     .origin = -1,
			     .limit = QUERY_LIMIT };
}

void query_done(struct query *q)
{
	free(q->text);
	q->text = NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int query_decode(const char *what, const char *from, size_t len, char *to, size_t size,
		 struct error *ret_error)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = from[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(from[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return error_set(ret_error, ERROR_BAD_VALUE, NULL,
						 "%s: %% without two hex digits behind it", what);
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "%s: has a NUL character", what);
		if (n + 1 >= size)
			return error_set(ret_error, ERROR_TOO_LARGE, NULL,
					 "%s: longer than %zu octets", what, size - 1);
		to[n++] = c;
	}
	to[n] = '\0';
	return 0;
}

/* The decoded value, kept until query_done(). */
static const char *keep(struct query *q, const char *name, const char *value,
			struct error *ret_error)
{
	char *at;

	if (!q->text)
		q->text = malloc(QUERY_TEXT_MAX);
	if (!q->text) {
		error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the query");
		return NULL;
	}
	at = q->text + q->text_used;
	if (q->text_used == QUERY_TEXT_MAX) {
		error_set(ret_error, ERROR_TOO_LARGE, NULL, "the query: longer than %d octets",
			  QUERY_TEXT_MAX - 1);
		return NULL;
	}
	if (query_decode(name, value, strlen(value), at, QUERY_TEXT_MAX - q->text_used, ret_error) <
	    0)
		return NULL;
	q->text_used += strlen(at) + 1;
	return at;
}

static int set_uint(const struct field *f, const char *text, struct query *q,
		    struct error *ret_error)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
				 "%s: expected an integer, found \"%.40s\"", f->name, text);
	return field_set_uint(f, f->name, n, q, ret_error);
}

static int set_bool(const struct field *f, const char *text, struct query *q,
		    struct error *ret_error)
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return error_set(ret_error, ERROR_WRONG_TYPE, NULL,
				 "%s: expected true or false, found \"%.40s\"", f->name, text);
	field_set_bool(f, yes, q);
	return 0;
}

static int unknown(const struct schema *schema, const char *name, struct error *ret_error)
{
	char names[ERROR_TEXT_MAX - 16], hint[ERROR_TEXT_MAX];

	schema_names(schema, names, sizeof(names));
	snprintf(hint, sizeof(hint), "known here: %s", schema->count > 0 ? names : "none");
	return error_set(ret_error, ERROR_UNKNOWN_FIELD, hint, "%.60s: no such query parameter",
			 name);
}

int query_add(const struct schema *schema, struct query *q, const char *name, const char *value,
	      struct error *ret_error)
{
	const struct field *f = schema_find(schema, name);
	const char *text;
	uint64_t bit;

	if (!f)
		return unknown(schema, name, ret_error);
	bit = UINT64_C(1) << (f - schema->fields);
	if (q->given & bit)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s: given twice", name);
	q->given |= bit;
	text = keep(q, name, value ? value : "", ret_error);
	if (!text)
		return -error_errno(ret_error->code);
	if (f->type == FIELD_UINT)
		return set_uint(f, text, q, ret_error);
	if (f->type == FIELD_BOOL)
		return set_bool(f, text, q, ret_error);
	return field_set_text(f, name, text, q, ret_error);
}
