/* The event loop (sd-event): who is woken by which descriptor, and when. */
#pragma once

#include "base/error.h"

struct api;
struct anchors;
struct elect;
struct engine;
struct host;
struct store;

struct loop_parts {
	struct engine *engine;
	struct store *store;
	struct host *host;	 /* NULL: none */
	struct elect *elect;	 /* NULL: none */
	struct anchors *anchors; /* NULL: none */
	struct plane *plane;	 /* its events; NULL: none */
	struct api *api;
	void (*reload)(void *ctx); /* SIGHUP; ends with loop_reloaded() */
	void *ctx;
};

/* Tells the service manager that what SIGHUP began is done. */
void loop_reloaded(void);

/* SIGTERM, SIGINT and SIGHUP wait for the loop from now on.  To be called before any thread exists:
 * one that does not block them would be killed by them, and all of us with it. */
int loop_block_signals(void);

/* Runs until SIGTERM or SIGINT.  Tells the service manager when it is ready and, where it asks for
 * that, that it is alive. */
int loop_run(const struct loop_parts *parts, struct error *ret_error);
