/* Texts and numbers in the rows, both ways.  Pure. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/record.h"
#include "store/sqlite.h"

/* --- status ---------------------------------------------------------------------------------- */

int row_status_parse(int64_t status, struct vmac *v)
{
	if (status < 0 || status % 10 >= VMAC_STATE_COUNT || status / 10 % 10 >= VMAC_KIND_COUNT ||
	    status / 100 >= VMAC_ORIGIN_COUNT)
		return -EINVAL;
	v->state = (uint8_t)(status % 10);
	v->kind = (uint8_t)(status / 10 % 10);
	v->origin = (uint8_t)(status / 100);
	return 0;
}

/* --- more ------------------------------------------------------------------------------------ */

#define MORE_NAME_MAX 8 /* "changed=" */

_Static_assert(ROW_MORE_MAX > 3 * (MORE_NAME_MAX + 21) + 2 * (MORE_NAME_MAX + OWNER_MAX_LEN + 1) +
				      VMAC_IPS_MAX * (MORE_NAME_MAX + IP_TEXT_MAX + 1) +
				      NOTE_MAX_LEN,
	       "the longest text has room");

struct more {
	char *start, *at;
};

static void more_octets(struct more *m, const char *text, size_t len)
{
	assert((size_t)(m->at - m->start) + len < ROW_MORE_MAX);
	memcpy(m->at, text, len);
	m->at += len;
}

static void more_text(struct more *m, const char *name, const char *text)
{
	if (text[0] == '\0')
		return;
	assert(!strchr(text, '\n'));
	if (m->at > m->start)
		more_octets(m, "\n", 1);
	more_octets(m, name, strlen(name));
	more_octets(m, "=", 1);
	more_octets(m, text, strlen(text));
}

static void more_number(struct more *m, const char *name, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	more_text(m, name, text);
}

size_t row_more_format(const struct vmac *v, char buf[static ROW_MORE_MAX])
{
	struct more m = { buf, buf };
	char ip[IP_TEXT_MAX];

	if (v->changed.ms != v->created.ms)
		more_number(&m, "changed", v->changed.ms);
	if (v->ttl_ms != 0)
		more_number(&m, "ttl_ms", v->ttl_ms);
	if (v->until.ms != WALL_NEVER.ms)
		more_number(&m, "until", v->until.ms);
	more_text(&m, "tenant", v->tenant);
	more_text(&m, "note", v->note);
	for (unsigned int i = 0; i < v->ip_count; i++)
		more_text(&m, "ip", ip_format(&v->ips[i], ip));
	*m.at = '\0';
	return (size_t)(m.at - m.start);
}

static int number_parse(const char *text, int64_t *ret)
{
	bool minus = *text == '-';
	uint64_t n = 0;

	text += minus;
	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n) || n > INT64_MAX)
			return -EINVAL;
	}
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int text_take(const char *text, char *ret, size_t size)
{
	size_t len = strlen(text);

	if (len == 0 || len >= size)
		return -EINVAL;
	memcpy(ret, text, len + 1);
	return 0;
}

static int ip_take(const char *text, struct row_texts *texts, struct vmac *v)
{
	if (v->ip_count >= VMAC_IPS_MAX || ip_parse(text, &texts->ips[v->ip_count]) < 0)
		return -EINVAL;
	v->ip_count++;
	return 0;
}

static int more_take(const char *name, const char *text, struct row_texts *texts, struct vmac *v)
{
	if (strcmp(name, "changed") == 0)
		return number_parse(text, &v->changed.ms);
	if (strcmp(name, "ttl_ms") == 0)
		return number_parse(text, &v->ttl_ms);
	if (strcmp(name, "until") == 0)
		return number_parse(text, &v->until.ms);
	if (strcmp(name, "tenant") == 0)
		return text_take(text, texts->tenant, sizeof(texts->tenant));
	if (strcmp(name, "note") == 0)
		return text_take(text, texts->note, sizeof(texts->note));
	if (strcmp(name, "ip") == 0)
		return ip_take(text, texts, v);
	return -EINVAL;
}

int row_more_parse(const char *text, size_t len, struct row_texts *texts, struct vmac *v)
{
	char copy[ROW_MORE_MAX], *line = copy;

	v->changed = v->created;
	v->ttl_ms = 0;
	v->until = WALL_NEVER;
	v->ip_count = 0;
	v->ips = texts->ips;
	texts->tenant[0] = texts->note[0] = '\0';
	v->tenant = texts->tenant;
	v->note = texts->note;
	if (len >= sizeof(copy) || (len > 0 && memchr(text, '\0', len)))
		return -EINVAL;
	if (len == 0)
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	while (line) {
		char *next = strchr(line, '\n'), *value = strchr(line, '=');

		if (!value || (next && next < value))
			return -EINVAL;
		if (next)
			*next++ = '\0';
		*value++ = '\0';
		if (more_take(line, value, texts, v) < 0)
			return -EINVAL;
		line = next;
	}
	return 0;
}

/* --- ranges ---------------------------------------------------------------------------------- */

char *row_ranges_format(const struct vmac_mac_range *list, unsigned int count,
			char buf[static ROW_RANGES_MAX])
{
	char *at = buf;

	assert(count <= POOL_RANGES_MAX);
	*at = '\0';
	for (unsigned int i = 0; i < count; i++) {
		char range[VMAC_MAC_RANGE_TEXT_MAX];
		size_t len = strlen(vmac_mac_range_format(list[i], range));

		if (i > 0)
			*at++ = ',';
		memcpy(at, range, len + 1);
		at += len;
	}
	return buf;
}

int row_ranges_parse(const char *text, struct vmac_mac_range list[static POOL_RANGES_MAX],
		     unsigned int *ret_count)
{
	unsigned int count = 0;

	while (*text) {
		size_t len = strcspn(text, ",");
		char range[VMAC_MAC_RANGE_TEXT_MAX];

		if (count == POOL_RANGES_MAX || len >= sizeof(range))
			return -EINVAL;
		memcpy(range, text, len);
		range[len] = '\0';
		if (vmac_mac_range_parse(range, &list[count++], NULL) < 0)
			return -EINVAL;
		text += len;
		if (*text == ',' && *++text == '\0')
			return -EINVAL;
	}
	*ret_count = count;
	return 0;
}
