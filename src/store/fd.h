/* A file descriptor that closes itself at the end of its block. */
#pragma once

#include <unistd.h>

static inline void fd_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
