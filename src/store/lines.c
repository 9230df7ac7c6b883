#include "store/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define LINES_CAPACITY_FIRST 64

static int lines_grow(struct lines *l)
{
	size_t capacity = l->capacity ? 2 * l->capacity : LINES_CAPACITY_FIRST;
	struct history *list = reallocarray(l->list, capacity, sizeof(*list));

	if (!list)
		return -ENOMEM;
	l->list = list;
	l->capacity = capacity;
	return 0;
}

int lines_add(struct lines *l, const struct history *line)
{
	struct history copy = *line;
	const char **texts[] = { &copy.segment, &copy.subject, &copy.verb, &copy.actor,
				 &copy.reason,	&copy.from,    &copy.to };
	size_t size = 0;
	char *block;

	if (l->count == l->capacity && lines_grow(l) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		size += strlen(*texts[i]) + 1;
	block = malloc(size);
	if (!block)
		return -ENOMEM;
	/* The first text's address is the block's: lines_done() relies on it. */
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t len = strlen(*texts[i]) + 1;

		*texts[i] = memcpy(block, *texts[i], len);
		block += len;
	}
	l->list[l->count++] = copy;
	return 0;
}

void lines_done(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++)
		free((char *)l->list[i].segment);
	free(l->list);
	*l = (struct lines){ 0 };
}

struct history_query *query_copy(const struct history_query *q)
{
	size_t segment = q->segment ? strlen(q->segment) + 1 : 0;
	size_t subject = q->subject ? strlen(q->subject) + 1 : 0;
	struct history_query *copy = malloc(sizeof(*copy) + segment + subject);
	char *text = (char *)(copy + 1);

	if (!copy)
		return NULL;
	*copy = *q;
	if (segment > 0)
		copy->segment = memcpy(text, q->segment, segment);
	if (subject > 0)
		copy->subject = memcpy(text + segment, q->subject, subject);
	return copy;
}

bool query_wants(const struct history_query *q, const struct history *line)
{
	return (q->before == 0 || line->seq < q->before) &&
	       (q->since.ms == 0 || line->at.ms >= q->since.ms) &&
	       (q->until.ms == 0 || line->at.ms <= q->until.ms) &&
	       (!q->segment || strcmp(q->segment, line->segment) == 0) &&
	       (!q->subject || strcmp(q->subject, line->subject) == 0);
}
