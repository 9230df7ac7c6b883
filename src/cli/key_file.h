/* Files of keys, one [ID:]SECRET a line. */
#pragma once

#include "cli/options.h"

/* Calls take() for each line of --key-file FILE ("-": standard input) that is not empty; the text
 * is overwritten afterwards.  Ends at the first that is not 0.  0, or the exit status, with the
 * reason told. */
int key_file_read(const struct command *c, const char *path,
		  int (*take)(const struct command *c, void *ctx, const char *text), void *ctx);
