/* Text in columns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GRID_COLUMNS_MAX 12

struct grid {
	unsigned int columns;
	const char *const *headings; /* NULL: none.  One that begins with '>' is right-aligned */
	char **cells;		     /* row by row */
	size_t count, capacity;
	bool failed;
};

/* headings: `columns` of them, borrowed. */
struct grid grid_of(const char *const *headings, unsigned int columns);

/* The next cell; "" becomes "-".  Control characters become '?'. */
void grid_add(struct grid *g, const char *text);
void grid_addf(struct grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints to stdout, frees.  0, or -ENOMEM. */
int grid_print(struct grid *g);

/* Columns that a UTF-8 text takes on a terminal. */
size_t text_width(const char *text);
