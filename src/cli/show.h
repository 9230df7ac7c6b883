/* Ways to print an answer that several nouns share. */
#pragma once

#include <jansson.h>

#include "cli/call.h"
#include "cli/grid.h"

/* Lists by a page of at most this many. */
#define SHOW_PAGE 1000

/* Adds one row for one item. */
typedef void (*show_row_fn)(struct grid *g, const json_t *item);

/* GET path (which it follows over its pages, up to limit items; 0 = all), and a table. */
int show_list(struct command *c, const char *path, const char *cursor, unsigned long long limit,
	      const char *const *headings, unsigned int columns, show_row_fn row);

/* A key and a value a line: "key: value". */
void show_pair(struct grid *g, const char *key, const char *text);
void show_pairf(struct grid *g, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void show_trouble(struct grid *g, const json_t *object);

/* The texts of a member that is an array, or "-". */
void show_words(struct grid *g, const char *key, const json_t *object, const char *member);

/* 1234567 -> "1,234,567"; returns buf. */
#define SHOW_NUMBER_MAX 32
char *show_number(unsigned long long n, char buf[static SHOW_NUMBER_MAX]);
