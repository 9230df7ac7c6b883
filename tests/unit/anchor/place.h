/* One host of a test: a process of its own, so that it can be killed, in a network namespace of its
 * own, with the anchors' thread in it.  The data plane is false: it writes down in memory that the
 * test shares what it was told, and when.  The engine is, too: it installs and commits at once. */
#pragma once

#include <sys/types.h>

#include "../host/lab.h"
#include "anchor/anchor.h"

#define PLACE_CLUSTERS 40 /* at most, ids from 1 on; slot = id */
#define PLACE_STORES   65536

struct place_store {
	int64_t at;
	uint16_t slot;
	uint8_t face;
	int64_t serve, speak;
};

struct place_seen {
	unsigned int store_count; /* written last */
	struct place_store stores[PLACE_STORES];
	unsigned int installed, committed;
	uint64_t held[PLACE_CLUSTERS + 1]; /* epoch of face 0 */
	unsigned int reasons[GROUP_REASON_COUNT];
	unsigned int sockets, threads;
	struct anchor_view view; /* of the cluster that place_look() asked for */
};

struct place {
	char name[16];
	unsigned int number;
	char ifname[16];
	struct lab_netns ns;
	pid_t pid; /* 0 = not running */
	int socket;
	struct place_seen *seen;
};

/* Two places with a link each, "a0" and "b0", to one another. */
void places_make(struct place *a, struct place *b);
void places_end(struct place *a, struct place *b);

void place_start(struct place *p);
void place_kill(struct place *p);    /* SIGKILL */
int64_t place_stop(struct place *p); /* anchor_close(); returns how long it took */
/* Its member, with the number of the place as its id, is here and fit. */
void place_set(struct place *p, uint32_t cluster, uint16_t vlan, uint8_t mode, bool up);
void place_remove(struct place *p, uint32_t cluster);
void place_look(struct place *p, uint32_t cluster, struct anchor_view *ret);

int64_t place_now(void);
void place_sleep(int ms);
/* Until when the face is served there; 0: not now. */
int64_t place_serves(const struct place *p, uint32_t cluster);
/* Waits until it serves, at most `ms`; returns when it began. */
int64_t place_wait(struct place *p, uint32_t cluster, int ms);
/* The longest time between `from` and `to` in which `count` places (1: nobody does, 2: two do) … */
int64_t places_longest(struct place *const *list, unsigned int n, uint32_t cluster, int64_t from,
		       int64_t to, bool doubled);
void place_run(const struct place *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
