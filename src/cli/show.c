#include "cli/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* path with the page's size and where it begins; malloc. */
static char *page_path(const char *path, const char *cursor, const char *next,
		       unsigned long long limit)
{
	const char *join = strchr(path, '?') ? "&" : "?";
	char *page;

	if (!cursor)
		return strdup(path);
	if (asprintf(&page, "%s%slimit=%llu%s%s%s%s", path, join, limit, next[0] ? "&" : "",
		     next[0] ? cursor : "", next[0] ? "=" : "", next) < 0)
		return NULL;
	return page;
}

static int show_page(struct command *c, const char *path, struct grid *g, show_row_fn row,
		     unsigned long long *ret_count, char next[static 256])
{
	JSON_AUTO root = NULL;
	const json_t *item;
	size_t i;
	int r;

	r = call(c, "GET", path, NULL, &root);
	next[0] = '\0';
	if (r != 0 || !root)
		return r;
	json_array_foreach (json_object_get(root, "items"), i, item) {
		row(g, item);
		(*ret_count)++;
	}
	if (json_yes(root, "more"))
		snprintf(next, 256, "%s", json_text(root, "next"));
	return 0;
}

int show_list(struct command *c, const char *path, const char *cursor, unsigned long long limit,
	      const char *const *headings, unsigned int columns, show_row_fn row)
{
	struct grid g = grid_of(headings, columns);
	unsigned long long count = 0;
	char next[256] = "";
	int r;

	do {
		unsigned long long want =
			limit && limit - count < SHOW_PAGE ? limit - count : SHOW_PAGE;
		TEXT_AUTO page = NULL;

		/* The JSON is the API's, so it is one page of the size that was asked for. */
		page = page_path(path, cursor, next, c->json && limit ? limit : want);
		if (!page)
			call_no_memory();
		r = show_page(c, page, &g, row, &count, next);
	} while (r == 0 && next[0] && cursor && (!limit || count < limit));
	if (r != 0 || !call_talks(c)) {
		g.failed = true; /* frees without printing */
		grid_print(&g);
		return r;
	}
	return grid_print(&g) < 0 ? 1 : 0;
}

void show_pair(struct grid *g, const char *key, const char *text)
{
	grid_addf(g, "%s:", key);
	grid_add(g, text);
}

void show_pairf(struct grid *g, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show_pair(g, key, text);
}

void show_words(struct grid *g, const char *key, const json_t *object, const char *member)
{
	TEXT_AUTO words = json_words(object, member, " ");

	show_pair(g, key, words);
}

void show_trouble(struct grid *g, const json_t *object)
{
	const json_t *trouble = json_object_get(object, "trouble");

	if (!trouble)
		return;
	show_pairf(g, "trouble", "%s (%s)", json_text(trouble, "message"),
		   json_text(trouble, "code"));
	if (json_text(trouble, "hint")[0])
		show_pair(g, "hint", json_text(trouble, "hint"));
}

char *show_number(unsigned long long n, char buf[static SHOW_NUMBER_MAX])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}
