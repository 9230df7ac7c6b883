/* What the files of the anchors' thread share; nobody else includes it.
 *
 * thread.c  open, close, the loop, views
 * orders.c  what the engine asks for
 * reports.c what it is told
 * links.c   uplinks: their sockets, memberships
 *
 * Neither way is a queue that could grow or lack memory.  What the engine asks for is a state: a
 * board has a place for each cluster, where the newest word stands until the thread has looked.
 * What it is told is, but for notes, a state too: of what it has not heard yet, only the newest
 * counts.
 *
 * The thread's lock is held by it except while it sleeps (host/punctual.h); `queues` is held for an
 * instant only. */
#pragma once

#include "anchor/core.h"
#include "host/ether.h"
#include "host/punctual.h"
#include "plane/cluster.h"

#define RECEIVE_MAX 256 /* frames a turn and link: a flood delays no timer */
#define NOTES_MAX   65536
#define FAILURES_MAX                                                                               \
	3 /* heartbeats in a row that the kernel did not take: the link is of no use               \
	   */

/* --- orders ---------------------------------------------------------------------------------- */

struct order {
	bool news, placed;	      /* since the thread looked: anything; anchor_set() */
	const struct cluster *record; /* held; NULL = there is to be none */
	bool ended; /* there was to be none at some time since the thread looked */
	struct anchor_where where;
	char segment[NAME_MAX_LEN + 1];
	struct anchor_members members;
	bool has_installed, has_committed; /* since */
	struct heartbeat_view installed, committed;
	uint8_t claimed, strange; /* bits by face: since */
	struct {
		uint64_t epoch; /* the highest ever told, and whose */
		uint16_t host;
	} claims[CLUSTER_FACES_MAX];
};

/* --- reports --------------------------------------------------------------------------------- */

struct report {
	struct report *next, *prev; /* in the order in which they are to be told; NULL: not in it */
	bool queued, note;	    /* note: it is its own block of memory */
	bool stands;		    /* it is the newest, told or not */
	struct anchor_report report;
	struct balance_choice *choices; /* of INSTALL */
};

/* What there is one of a cluster, told or not. */
struct mailbox {
	struct report install, commit, holds[CLUSTER_FACES_MAX];
	struct balance_choice choices[CLUSTER_MEMBERS_MAX];
};

/* --- links ----------------------------------------------------------------------------------- */

struct uplink {
	struct uplink *next;
	struct anchors *a;
	int ifindex;
	bool needed, broken;
	unsigned int failures; /* frames in a row that could not be sent */
	struct ether_link *ether;
	sd_event_source *io, *rest; /* rest: io is off until it rings */
	mono_t counted_from;
	unsigned int counted; /* frames since */
	struct error trouble;
};

struct membership {
	int fd; /* valid where ifindex is not 0 */
	int ifindex;
	uint8_t group[4];
};

/* The NIC takes questions for a cluster's IPv6 addresses: their solicited-node groups. */
struct hearing {
	int ifindex;		      /* of the uplink whose socket has them; 0 = none has */
	const struct cluster *record; /* whose addresses; held */
};

/* --- all ------------------------------------------------------------------------------------- */

struct anchors {
	const struct mem *mem;
	struct plane *plane;
	bool running;	      /* the thread, or what is left of it: thread_reap() */
	struct error trouble; /* why it is not, where it should be */
	int reports_fd;	      /* eventfd */

	pthread_mutex_t queues; /* of what follows */
	struct anchor_identity identity;
	bool identity_news, stop_wanted;
	bool ended; /* the thread, by itself: what it has is touched no more, but is not freed */
	struct order orders[CLUSTERS_MAX + 1]; /* by id */
	struct mailbox mailboxes[CLUSTERS_MAX + 1];
	struct report reports; /* head of a ring */
	unsigned int note_count;
	/* What is told at this moment: the engine's, who dispatches. */
	struct balance_choice telling[CLUSTER_MEMBERS_MAX];

	struct punctual thread; /* where it runs; its lock: of all that follows */
	bool links_due;
	struct anchor_core *core;	/* from the first thread on */
	bool lacking[CLUSTERS_MAX + 1]; /* there was no memory for it, is tried again */
	struct uplink *uplinks;
	struct membership memberships[CLUSTERS_MAX + 1];
	struct hearing hearings[CLUSTERS_MAX + 1];
	uint64_t send_failed;
};

/* --- thread.c -------------------------------------------------------------------------------- */

int thread_start(struct anchors *a, struct error *ret_error);
/* The engine's: frees what a thread has left that ended by itself; else nothing. */
void thread_reap(struct anchors *a);

/* --- orders.c -------------------------------------------------------------------------------- */

/* Carries out what is on the board; returns whether the thread is to stop. */
bool orders_do(struct anchors *a);
/* Whether nothing is asked for; then the thread has ended, for all who ask for anything later. */
bool orders_none(struct anchors *a);
void orders_retry(struct anchors *a);
void orders_end(struct anchors *a);

/* --- reports.c ------------------------------------------------------------------------------- */

void reports_init(struct anchors *a);
void report_add(struct anchors *a, const struct anchor_report *r);
void reports_forget(struct anchors *a, uint32_t cluster); /* its states, not its notes */
void reports_free(struct anchors *a);

/* --- links.c --------------------------------------------------------------------------------- */

/* Brings sockets and memberships to what the clusters need, and tells the core. */
void links_settle(struct anchors *a);
void links_take_in(struct anchors *a); /* takes in what waits, at most one turn of each */
void links_send(struct anchors *a, const struct anchor_where *where, const void *frame, size_t len);
void links_reopen(struct anchors *a);
void links_revive(struct anchors *a, int ifindex); /* somebody says that it is well */
const struct error *links_trouble(const struct anchors *a, int ifindex); /* NULL: none */
void links_free(struct anchors *a);
