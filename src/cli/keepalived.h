/* keepalived's configuration: read as a tree, and said again as routers of ours.
 *
 * Works on memory alone: what `include` names is fetched by a function of the caller, so that the
 * parser can be held against any input. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define KEEPALIVED_DEPTH_MAX	 16 /* blocks in blocks, and files in files */
#define KEEPALIVED_WORDS_MAX	 256 /* of one line */
#define KEEPALIVED_LINE_MAX	 8192 /* with its definitions said */
#define KEEPALIVED_NODES_MAX	 100000
#define KEEPALIVED_VARIABLES_MAX 1024
#define KEEPALIVED_NOTES_MAX	 10000
#define KEEPALIVED_FILE_MAX	 (16 << 20)

/* One statement: its words, and what stands in its braces. */
struct keepalived_node {
	const char *file;
	unsigned int line;
	unsigned int word_count;
	char **words; /* NULL-terminated */
	bool block;
	struct keepalived_node *children, *last, *next;
};

struct keepalived;

/* Called for `include PATTERN`: gives each file that it means to keepalived_parse().  0, or a
 * negative errno with *ret_error filled. */
typedef int (*keepalived_include_fn)(void *ctx, struct keepalived *k, const char *pattern,
				     struct error *ret_error);

/* host: what lines such as "@host …" are held against (keepalived's --config-id); NULL = none.
 * include NULL: the statement is kept as any other. */
struct keepalived *keepalived_new(const char *host, keepalived_include_fn include, void *ctx);
void keepalived_free(struct keepalived *k); /* NULL is fine */

/* Reads one file, behind what was read before.  0, or BAD_CONFIG with "FILE:LINE: …", or
 * NO_MEMORY. */
int keepalived_parse(struct keepalived *k, const char *file, const char *text, size_t len,
		     struct error *ret_error);

/* The first statement of the top level, or NULL. */
const struct keepalived_node *keepalived_first(const struct keepalived *k);

/* --- as routers ------------------------------------------------------------------------------ */

struct keepalived_note {
	const char *file;
	unsigned int line;
	bool lost;  /* not carried over; else carried in another way */
	int router; /* whose it is; -1 = of the whole file */
	char *text;
};

struct keepalived_import {
	json_t *routers; /* bodies as the API takes them */
	struct keepalived_note *notes;
	unsigned int note_count;
	bool lost; /* one of the notes says so */
	/* Where each router came from. */
	const struct keepalived_node **origins;
	unsigned int origin_count;
};

/* 0 or -ENOMEM.  Points into the tree. */
int keepalived_map(const struct keepalived *k, struct keepalived_import *ret);
void keepalived_import_done(struct keepalived_import *m);

/* Adds a note; the text is formatted. */
void keepalived_note(struct keepalived_import *m, const struct keepalived_node *at, bool lost,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Holds every router against router_check(), and adds what it objects to as a note that is lost. */
void keepalived_check(struct keepalived_import *m);
