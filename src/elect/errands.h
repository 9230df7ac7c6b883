/* What may take its time: looking at the world for tracks, and telling programs of transitions.
 *
 * Theory of operation
 *
 * Nothing in the elections' loop may wait: not for a program, a name server, a web server, a hung
 * file system or a dump of a million routes.  So all of that happens in one more thread, which the
 * elections hand errands to and fetch results from, both through queues; it is no part of any
 * decision.  It polls everything at once (programs as processes of their own, HTTP by a small one
 *of ours, pings by one socket a family), so that a hung server delays no other probe; only a hung
 **file system* can stall it (file tracks, programs on one), which stalls tracking and telling,
 *never an election.
 *
 * A probe repeats every `interval` and gives one result each time, at the latest after `timeout`.
 *
 * Programs are told of transitions one at a time a router and in order.  While one runs, the next
 * wait in a queue of NOTIFY_QUEUE_MAX; when that is full the oldest is dropped and counted, because
 * it is the last state that a program must not miss.  Arguments:
 *
 *	PROGRAM router NAME FROM TO REASON PRIORITY
 *
 * and the same in the environment: VMAC_ROUTER, VMAC_FROM, VMAC_TO, VMAC_REASON, VMAC_PRIORITY, and
 * VMAC_DETAIL (such as "peer 10.0.0.2").  States and reasons are the API's names. */
#pragma once

#include "base/error.h"
#include "model/router.h"

#define PROBES_MAX	  8192
#define PROGRAMS_MAX	  64 /* running at once, scripts, HTTP probes and told ones each */
#define NOTIFY_QUEUE_MAX  16
#define NOTIFY_TIMEOUT_MS 30000
#define NOTIFY_LAST_MS	  1000 /* at the end: how long what is queued may still take */
#define RESULTS_MAX	  65536
#define DETAIL_MAX	  96

struct errands;

/* Errors: NO_MEMORY, KERNEL_FAILED. */
int errands_open(struct errands **ret, struct error *ret_error);
/* Tells what is still to be told (at most NOTIFY_LAST_MS), kills what then runs.  NULL is fine. */
void errands_close(struct errands *e);

struct errand_probe {
	uint64_t id;  /* the caller's, unique among the living */
	uint8_t kind; /* script, file, route, http, ping: enum router_track_kind */
	const char *target;
	uint32_t interval_ms, timeout_ms;
};
/* Begins at once.  -ENOMEM: nothing begun. */
int errands_probe(struct errands *e, const struct errand_probe *p);
/* A result of it may still be on its way. */
void errands_drop(struct errands *e, uint64_t id);

struct errand_news {
	uint32_t router;
	const char *program, *name;	/* copied */
	const char *from, *to, *reason; /* static */
	const char *detail;		/* copied */
	uint8_t priority;
};
int errands_tell(struct errands *e, const struct errand_news *news);

int errands_fd(const struct errands *e); /* readable when there are results */
void errands_results(struct errands *e,
		     void (*fn)(void *ctx, uint64_t id, bool up, const char *detail), void *ctx);

struct errands_counters {
	uint64_t told, lost; /* lost: queue full, timed out, could not be started */
};
void errands_counters(struct errands *e, struct errands_counters *ret);
