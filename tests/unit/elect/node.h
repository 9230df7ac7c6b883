/* One host of a test: a process of its own, so that it can be killed, in a network namespace of its
 * own, with elections in it that do as the test says. */
#pragma once

#include <sys/types.h>

#include "../host/lab.h"
#include "elect/elect.h"

struct node {
	char name[16];
	struct lab_netns ns;
	pid_t pid; /* 0 = not running */
	int socket;
};

/* What a test says of a router: the rest is as router_defaults() leaves it. */
struct node_router {
	uint32_t id;
	uint8_t protocol, priority;
	uint32_t interval_ms;
	uint16_t group;
	bool six, accept;
	char ifname[16];
	unsigned int address_count;
	char addresses[4][48]; /* without a length: host addresses */
	struct node_track {
		uint8_t kind, rise, fall;
		int16_t weight;
		char target[128];
	} tracks[3];
	unsigned int track_count;
	char notify[64];
	uint32_t linger_ms;
};

/* Begins the process (again) in its namespace. */
void node_start(struct node *n);
void node_kill(struct node *n); /* SIGKILL */
/* Closes the elections and ends the process; returns how long the closing took. */
int64_t node_stop(struct node *n);

void node_set(struct node *n, const struct node_router *r);
void node_remove(struct node *n, uint32_t id);
void node_ready(struct node *n);
bool node_look(struct node *n, uint32_t id, struct elect_view *ret);
unsigned int node_history(struct node *n, uint32_t id, struct elect_event *ret, unsigned int max);
void node_facts(struct node *n, struct elect_facts *ret);
/* Events since the last call; the last of them. */
unsigned int node_events(struct node *n, struct elect_event *ret_last);

struct node_writes {
	uint64_t netlink; /* messages that ask for a change */
	uint64_t packets; /* system calls that send frames */
};
void node_writes(struct node *n, struct node_writes *ret);

/* Waits until the router is in that state, at most `ms`. */
void node_wait(struct node *n, uint32_t id, const char *state, int ms);
/* Runs a command in its namespace. */
void node_run(struct node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool node_try(struct node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
