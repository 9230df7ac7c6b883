/* One file a noun. */
#pragma once

#include "cli/options.h"

extern const struct noun noun_segment, noun_pool, noun_mac, noun_port, noun_history, noun_status,
	noun_watch, noun_classify, noun_router, noun_import, noun_decode, noun_host,
	noun_registry, noun_hook, noun_cluster;

/* Rows of tables below: {} with .options and .option_count. */
#define OPTIONS(table) .options = table, .option_count = ARRAY_LEN(table)

/* history.c; mac history is the same of one subject. */
#define HISTORY_OPTIONS 3
extern const struct option history_options[HISTORY_OPTIONS];
int history_run(struct command *c);
