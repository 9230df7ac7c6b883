/* The listening Unix socket: nobody can connect before its mode and group are right. */
#pragma once

#include <sys/types.h>

#include "base/error.h"

#define SOCKET_PATH_MAX 108 /* sun_path with its zero */

/* Binds, sets mode and group, listens; the descriptor is non-blocking and close-on-exec.
 * Errors as api_open() has them. */
int socket_listen(const char *path, mode_t mode, gid_t gid, int *ret_fd, ino_t *ret_inode,
		  struct error *ret_error);

/* Removes the file if it still is the one with that inode. */
void socket_remove(const char *path, ino_t inode);
