#include "cli/grid.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define GAP 2

/* Decodes by hand: the locale may be any, our texts are UTF-8. */
static const char *utf8_next(const char *p, wchar_t *ret)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned int more = u[0] >= 0xf0 ? 3 : u[0] >= 0xe0 ? 2 : u[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more == 3 ? u[0] & 0x07 : more == 2 ? u[0] & 0x0f : more ? u[0] & 0x1f : u[0];

	for (u++; more > 0 && (*u & 0xc0) == 0x80; more--, u++)
		c = c << 6 | (*u & 0x3f);
	*ret = (wchar_t)c;
	return (const char *)u;
}

size_t text_width(const char *text)
{
	size_t width = 0;
	wchar_t c;

	while (*text) {
		int w;

		text = utf8_next(text, &c);
		w = wcwidth(c);
		width += w >= 0 ? (size_t)w : 1;
	}
	return width;
}

struct grid grid_of(const char *const *headings, unsigned int columns)
{
	assert(columns > 0 && columns <= GRID_COLUMNS_MAX);
	return (struct grid){ .headings = headings, .columns = columns };
}

void grid_add(struct grid *g, const char *text)
{
	char *copy;

	if (g->count == g->capacity) {
		size_t capacity = g->capacity ? 2 * g->capacity : 64;
		char **cells = realloc(g->cells, capacity * sizeof(*cells));

		if (!cells) {
			g->failed = true;
			return;
		}
		g->cells = cells;
		g->capacity = capacity;
	}
	copy = strdup(text[0] ? text : "-");
	if (!copy) {
		g->failed = true;
		return;
	}
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	g->cells[g->count++] = copy;
}

void grid_addf(struct grid *g, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		g->failed = true;
		return;
	}
	grid_add(g, text);
	free(text);
}

static bool right_aligned(const struct grid *g, unsigned int column)
{
	return g->headings && g->headings[column][0] == '>';
}

static const char *heading(const struct grid *g, unsigned int column)
{
	return g->headings[column] + right_aligned(g, column);
}

static void print_row(const struct grid *g, const size_t *widths, const char *const *cells)
{
	for (unsigned int c = 0; c < g->columns; c++) {
		int pad = (int)(widths[c] - text_width(cells[c]));
		bool last = c + 1 == g->columns;

		if (right_aligned(g, c))
			printf("%*s%s%*s", pad, "", cells[c], last ? 0 : GAP, "");
		else
			printf("%s%*s", cells[c], last ? 0 : pad + GAP, "");
	}
	putchar('\n');
}

int grid_print(struct grid *g)
{
	const char *names[GRID_COLUMNS_MAX];
	size_t widths[GRID_COLUMNS_MAX] = { 0 };
	int r = g->failed ? -ENOMEM : 0;

	assert(g->failed || g->count % g->columns == 0);
	for (unsigned int c = 0; g->headings && c < g->columns; c++) {
		names[c] = heading(g, c);
		widths[c] = text_width(names[c]);
	}
	for (size_t i = 0; i < g->count; i++)
		if (widths[i % g->columns] < text_width(g->cells[i]))
			widths[i % g->columns] = text_width(g->cells[i]);
	if (g->headings && r == 0)
		print_row(g, widths, names);
	for (size_t i = 0; i < g->count && r == 0; i += g->columns)
		print_row(g, widths, (const char *const *)&g->cells[i]);
	for (size_t i = 0; i < g->count; i++)
		free(g->cells[i]);
	free(g->cells);
	*g = (struct grid){ 0 };
	return r;
}
