/* vmacd's command line. */
#pragma once

#include <stdbool.h>

#include "daemon/config.h"

struct options {
	struct config *config; /* the file's values with the options' over them, checked */
	bool check, purge, plane;
};

/* Returns -1 to go on, or the exit status to end with (--help, --version, a usage error: explained
 * on stdout or stderr already). */
int options_read(int argc, char **argv, struct options *ret);
