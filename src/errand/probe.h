/* Inside of the errands: one probe, by its kind.  All of it belongs to the errands' thread. */
#pragma once

#include <poll.h>

#include "errand/errands.h"
#include "errand/program.h"
#include "host/clock.h"
#include "model/ip.h"

struct host;
struct ping;
struct prober;

/* A program that was started and not yet reaped. */
struct run {
	pid_t pid; /* 0 = none */
	int fd;	   /* its pidfd */
	mono_t deadline;
	bool overdue; /* killed for that */
};

struct probe {
	struct probe *next_probe;
	struct prober *prober;
	uint64_t id;
	uint8_t kind;
	char *target;
	uint32_t interval_ms, timeout_ms;
	struct errand_way way;
	mono_t next;	 /* when it begins again */
	mono_t deadline; /* while busy: ping, tcp */
	bool busy;
	struct run run; /* script, http */
	int said;	/* http: what it says, while it runs */
	int connecting; /* tcp: its socket, 0 = none */
	struct ip ip;	/* ping, tcp */
	unsigned int scope;
	uint16_t sequence;
};

/* All probes of one errands thread. */
struct prober {
	void (*result)(void *ctx, uint64_t id, enum errand_outcome outcome, const char *detail);
	void *ctx;
	struct ping *ping;
	struct host *host; /* opened with the first route track */
	struct probe *probes;
	unsigned int count, scripts, requests, connects; /* all but count: that run now */
};

int prober_init(struct prober *p);
void prober_done(struct prober *p);
int prober_add(struct prober *p, const struct errand_probe *probe);
void prober_drop(struct prober *p, uint64_t id);
/* Begins what is due, ends what is overdue; returns when to come back. */
mono_t prober_turn(struct prober *p, mono_t now);
/* Adds what to wait for; then, after waiting, looks what came of it. */
unsigned int prober_wait(struct prober *p, struct pollfd *fds, unsigned int max);
void prober_look(struct prober *p);

/* Ends a probe's round with its result. */
void probe_answer(struct probe *p, enum errand_outcome outcome, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --- kinds ----------------------------------------------------------------------------------- */

void http_begin(struct probe *p);
void http_look(struct probe *p);
void http_end(struct probe *p); /* of one under way, whose program has ended */

void tcp_begin(struct probe *p);
void tcp_look(struct probe *p);
void tcp_overdue(struct probe *p);
void tcp_end(struct probe *p); /* of one under way */

struct ping *ping_new(void);
void ping_free(struct ping *g);
/* Reads "IP" or "IP%LINK". -EINVAL, -ENODEV: no such link. */
int ping_target(struct probe *p);
int ping_send(struct ping *g, const struct probe *p);
unsigned int ping_wait(struct ping *g, struct pollfd *fds, unsigned int max);
/* Calls fn for each echo reply that came. */
void ping_look(struct ping *g,
	       void (*fn)(void *ctx, const struct ip *from, uint16_t sequence, uint64_t id),
	       void *ctx);

/* --- a program with a deadline ---------------------------------------------------------------- */

int run_begin(struct run *r, const char *path, char *const argv[], char *const environment[],
	      span_t timeout, struct error *ret_error);
/* A program of ours; what it says goes to `out`. */
int run_begin_own(struct run *r, const char *path, char *const argv[], char *const environment[],
		  int out, span_t timeout, struct error *ret_error);
/* True: it has ended, *ret_status as program_reap() says. */
bool run_look(struct run *r, int *ret_status);
void run_overdue(struct run *r, mono_t now);
/* Kills, and waits for that. */
void run_end(struct run *r);
