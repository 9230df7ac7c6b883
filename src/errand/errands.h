/* What may take its time: looking at the world for tracks and health checks, and telling programs
 *of transitions.
 *
 * Theory of operation
 *
 * Neither the elections' loop nor the daemon's may wait: not for a program, a name server, a web
 * server, a hung file system or a dump of a million routes.  So all of that happens in a thread,
 * which they hand errands to and fetch results from, both through queues; it is no part of any
 * decision.  It polls everything at once (programs as processes of their own, HTTP by a small one
 *of ours, pings by one socket a family), so that a hung server delays no other probe; only a hung
 *file system can stall it (file tracks, programs on one), which stalls tracking and telling, never
 *an election.
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
#include "model/model.h"

#define PROBES_MAX	  8192
#define PROGRAMS_MAX	  64   /* running at once, scripts, HTTP probes and told ones each */
#define CONNECTS_MAX	  1024 /* TCP probes under way at once */
#define NOTIFY_QUEUE_MAX  16
#define NOTIFY_TIMEOUT_MS 30000
#define NOTIFY_LAST_MS	  1000 /* at the end: how long what is queued may still take */
#define RESULTS_MAX	  65536
#define DETAIL_MAX	  96

struct errands;

/* The thread begins with the first errand.  Errors: NO_MEMORY, KERNEL_FAILED. */
int errands_open(struct errands **ret, struct error *ret_error);
/* Tells what is still to be told (at most NOTIFY_LAST_MS), kills what then runs.  NULL is fine. */
void errands_close(struct errands *e);

enum errand_kind {
	ERRAND_SCRIPT, /* a command line: ends with 0 */
	ERRAND_FILE,   /* a path: exists */
	ERRAND_ROUTE,  /* PREFIX/LENGTH: there is such a route */
	ERRAND_HTTP,   /* a URL: answers with a status of 200 … 399 */
	ERRAND_PING,   /* IP or IP%LINK: echoes */
	ERRAND_TCP,    /* IP:PORT or [IP]:PORT: accepts a connection */
};

/* The way that a probe is to take; all zero: as the host's routes have it.  HTTP and TCP only. */
struct errand_way {
	char device[IFNAME_MAX_LEN + 1]; /* SO_BINDTODEVICE */
	uint32_t mark;			 /* SO_MARK */
};

struct errand_probe {
	uint64_t id;  /* the caller's, unique among the living */
	uint8_t kind; /* enum errand_kind */
	const char *target;
	uint32_t interval_ms, timeout_ms;
	struct errand_way way;
};

enum errand_outcome {
	ERRAND_DOWN,
	ERRAND_UP,
	/* Of a probe with a way: this host could not ask (no such device, no address of its own on
	 * it), which says nothing about the other side. */
	ERRAND_UNABLE
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
		     void (*fn)(void *ctx, uint64_t id, enum errand_outcome outcome,
				const char *detail),
		     void *ctx);

struct errands_counters {
	uint64_t told, lost; /* lost: queue full, timed out, could not be started */
};
void errands_counters(struct errands *e, struct errands_counters *ret);
