/* The API: HTTP/1.1 and JSON on a Unix socket.
 *
 * Driven by the owner's loop: api_fd() is one epoll descriptor for everything, api_next_expiry() is
 * the deadline.  Nothing here blocks.  A request that needs the registry waits (its connection is
 * suspended) until the engine answers; a client that goes away meanwhile loses its answer, never
 * the command. */
#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"

struct api;
struct engine;

struct api_config {
	struct engine *engine;	 /* borrowed; must outlive api_close() */
	const char *socket_path; /* at most 107 octets */
	mode_t socket_mode;	 /* 0 = 0660 */
	gid_t socket_gid;	 /* (gid_t)-1 = the process's */
	mono_t (*mono_now)(void);
	wall_t (*wall_now)(void);
};

/* Binds the socket (removing a stale one: a file of that name where nobody answers) and begins to
 * serve. Errors: ALREADY_RUNNING (somebody answers there), IN_USE (something else than a socket is
 * there), BAD_CONFIG (path too long), FORBIDDEN, NOT_FOUND (no such directory), NO_MEMORY,
 * INTERNAL. */
int api_open(const struct api_config *config, struct api **ret, struct error *ret_error);

int api_fd(const struct api *a);

/* To be called when api_fd() is readable and when api_next_expiry() is due. */
void api_ready(struct api *a);
mono_t api_next_expiry(struct api *a);

/* Stops serving, closes every connection, removes the socket.  Call it before engine_free();
 * commands in flight go on, and their answers are dropped.  NULL is fine. */
void api_close(struct api *a);
