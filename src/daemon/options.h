/* vmacd's command line. */
#pragma once

#include <stdbool.h>

#include "daemon/config.h"

struct options {
	struct config *config; /* the file's values with the options' over them, checked */
	bool check, purge, plane;
	struct options_given { /* NULL: not given */
		const char *config, *instance, *state_dir, *socket, *backend, *log_level;
	} given;
};

/* Reads the configuration anew, with the same options over it. */
int options_reload(const struct options *o, struct config **ret, struct error *ret_error);

/* Returns -1 to go on, or the exit status to end with (--help, --version, a usage error: explained
 * on stdout or stderr already). */
int options_read(int argc, char **argv, struct options *ret);
