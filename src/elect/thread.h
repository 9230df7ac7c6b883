/* What the files of the elections' thread share; nobody else includes it.
 *
 * elect.c    open, close, the loop, events out
 * commands.c what the engine asks for
 * entries.c  a router from its first record to its last device
 * links.c    a link: its sockets, its data plane programs, its own addresses
 * closing.c  the end of all links' sockets at once
 * carriers.c what carries one set: a device and a slot of the data plane
 * orders.c   what the core orders, in batches
 * track.c    tracks, from results to weights
 * view.c     what others are shown
 *
 * The thread's lock is held by it except while it sleeps (host/punctual.h); `queues` is held for an
 * instant only. */
#pragma once

#include "base/cleanup.h"
#include "base/table.h"
#include "elect/core.h"
#include "elect/elect.h"
#include "errand/errands.h"
#include "elect/track.h"
#include "host/packet.h"
#include "host/punctual.h"
#include "host/virtual.h"
#include "plane/router.h"

#define STOP_AT_MOST	 SPAN_S(10)
#define EVENTS_QUEUE_MAX 65536
#define RECEIVE_MAX	 256 /* frames a turn and link: a flood delays no timer */
#define MAKE_MAX	 32  /* devices a turn */

/* --- one set --------------------------------------------------------------------------------- */

enum carrier_state {
	CARRIER_WAITS,	/* stands in the queue to be made */
	CARRIER_FAILED, /* is tried again: see trouble */
	CARRIER_READY,	/* the core may use it */
};

struct carrier {
	struct carrier *next_on_link, *next_queued;
	struct link *link;
	const struct elect_set *set; /* NULL: the core has no such set any more */
	uint32_t router;
	unsigned int slot;
	char device[IFNAME_MAX_LEN + 1];
	vmac_mac_t mac;
	enum carrier_state state;
	bool queued, in_plane, touched;
	bool evicted;	/* what was in its way was deleted once */
	bool unsettled; /* an address could not be set or deleted */
	int ifindex;	/* of the device; 0 = not made */
	uint64_t told;	/* a hash of what the data plane was told */
	unsigned int have_count;
	struct router_address *have; /* on the device now */
	struct error *trouble;	     /* NULL: none */
};

/* --- one link -------------------------------------------------------------------------------- */

struct link {
	struct link *next, *next_out;
	struct elect *e;
	char ifname[IFNAME_MAX_LEN + 1];
	struct host_link state; /* ifindex 0: it is not there */
	struct ip source4, source6;
	struct packet_link *packet;
	sd_event_source *io, *rest; /* rest: io is off until it rings */
	mono_t counted_from;
	unsigned int counted; /* frames since */
	unsigned int wanted;
	bool in_plane, tuned, broken; /* broken: something failed, is tried again */
	struct error trouble;
	struct carrier *carriers;
	struct iovec *out; /* frames of this batch */
	unsigned int out_count, out_room;
	/* What the core was told last. */
	struct {
		int ifindex;
		bool usable;
		vmac_mac_t address;
		struct ip source4, source6;
	} told;
};

/* --- one router ------------------------------------------------------------------------------ */

struct past {
	wall_t at;
	uint64_t seq;
	uint8_t from, to, reason, priority;
	char *detail; /* NULL = none */
};

struct entry {
	const struct router *record;
	bool removing, out;    /* out: it could not be taken as a whole, see trouble */
	bool unbegun;	       /* a track could not be begun */
	struct error *trouble; /* NULL: none */
	struct track *tracks;  /* of record->track_count */
	unsigned int blamed;   /* the track that turned last */
	wall_t since;
	uint64_t seq;
	unsigned int past_count, past_room, past_first; /* a ring */
	struct past *past;
};

/* --- all ------------------------------------------------------------------------------------- */

struct command {
	struct command *next;
	uint32_t id;
	const struct router *record; /* NULL: the router is to be removed */
};

struct event_node {
	struct event_node *next;
	struct elect_event event;
};

struct addresses {
	struct host_address *list;
	unsigned int count, room;
};

struct elect {
	struct plane *plane;
	struct host *host;
	struct tunables *tunables;
	struct errands *errands;
	struct elect_core *core;
	uint32_t group, doomed; /* IFLA_GROUP of our devices, and of those that are to go */
	int reports;		/* eventfd: events for the engine */

	pthread_mutex_t queues; /* of what follows; held for an instant only */
	struct command *commands, **commands_last;
	const struct router *late[ROUTERS_MAX + 1]; /* by id: see commands.c */
	unsigned int late_count;
	bool ready_asked;
	struct event_node *events, **events_last;
	unsigned int event_count;
	bool stop_wanted;

	struct punctual thread; /* its lock: of all that follows */
	sd_event_source *make;
	bool ready_wanted;

	struct entry *entries[ROUTERS_MAX + 1]; /* by id */
	unsigned int entry_count;
	bool place_taken; /* by one that was not told yet that it has another */
	const struct router *owed[ROUTERS_MAX + 1]; /* by id: no memory for it, is tried again */
	struct carrier *carriers[ELECT_SETS_MAX];   /* by slot */
	struct table carriers_by_index;		    /* those that have a device */
	struct carrier *to_make, **to_make_last;
	struct carrier *leaving;
	struct link *links;

	/* orders.c */
	struct link *out; /* links with frames */
	unsigned int ends[ELECT_SETS_MAX], end_count;
	bool ends_set[ELECT_SETS_MAX];
	struct addresses adding, deleting;
	struct carrier *touched[ELECT_SETS_MAX];
	unsigned int touched_count;
	bool embodied; /* since thread.begun */

	bool router_tracks_due;
	unsigned int track_count; /* of all entries */
	uint64_t probe_count;	  /* ever begun */

	struct elect_facts facts;
};

/* --- elect.c --------------------------------------------------------------------------------- */

void elect_retry_soon(struct elect *e);
void elect_event_add(struct elect *e, const struct elect_event *event);
extern const struct mem elect_mem;

/* --- commands.c ------------------------------------------------------------------------------ */

/* The record that was asked for and not taken yet, held for the caller; NULL: none. */
const struct router *commands_asked(struct elect *e, uint32_t id);
/* Does all that was asked; returns whether the thread is to stop. */
bool commands_do(struct elect *e);
void commands_free(struct elect *e);

/* --- entries.c ------------------------------------------------------------------------------- */

void entry_set(struct elect *e, const struct router *record); /* takes the hold of it over */
void entry_remove(struct elect *e, uint32_t id);
/* Remembers a trouble, or (NULL) that there is none: few have any, and it is long. */
void elect_trouble(struct error **trouble, const struct error *error);
/* What is wrong with a router as a whole, which none of its sets would tell; NULL: nothing. */
const struct error *entry_trouble(const struct elect *e, uint32_t id);
/* The core has let go of it. */
void entry_gone(struct elect *e, const struct elect_router *r);
void entry_report(struct elect *e, const struct elect_router *r, const struct elect_report *report);
void entries_retry(struct elect *e);
/* The same at once, where one found its place taken by another that has been told since. */
void entries_settle(struct elect *e);
void entries_free(struct elect *e);

/* --- links.c --------------------------------------------------------------------------------- */

struct link *link_take(struct elect *e, const char *ifname); /* NULL: out of memory */
/* Looks at a link anew, brings it to what its sets need, and tells the core. */
void link_bring(struct elect *e, struct link *l);
/* The same where its sets need more or less of it than it has. */
void link_need(struct elect *e, struct link *l);
void links_on_event(void *ctx, const struct host_event *event);
void links_retry(struct elect *e);
/* Takes in what waits in the sockets of all links, at most one turn of each. */
void links_listen(struct elect *e);
void link_drop(struct elect *e, struct link *l); /* with its last carrier */

/* --- closing.c ------------------------------------------------------------------------------- */

struct closing;
struct closing *closing_begin(struct elect *e);
void closing_end(struct closing *c); /* NULL is fine */

/* --- carriers.c ------------------------------------------------------------------------------ */

unsigned int carrier_wants(const struct router *r, const struct router_set *s); /* PACKET_… */
/* Makes the carriers of a router agree with the core's sets. */
int carriers_set(struct elect *e, const struct elect_router *r);
void carrier_leave(struct elect *e, struct carrier *c);
void carrier_queue(struct elect *e, struct carrier *c);
struct carrier *carrier_by_index(struct elect *e, int ifindex);
/* It cannot be used any more: made again. */
void carrier_broken(struct elect *e, struct carrier *c);
/* Tells the data plane, where that changed. */
int carrier_plane(struct elect *e, struct carrier *c);
void carriers_make(struct elect *e);   /* at most MAKE_MAX of those that wait */
void carriers_delete(struct elect *e); /* those that leave */
void carriers_retry(struct elect *e);
void carriers_sweep(struct elect *e);			      /* what nobody claimed */
int carriers_quell(struct elect *e, struct error *ret_error); /* a killed run's addresses */
void carriers_end(struct elect *e);			      /* all, at the end */

/* --- orders.c -------------------------------------------------------------------------------- */

extern const struct elect_ops orders_ops;
int addresses_add(struct addresses *a, const struct host_address *one); /* 0 or -ENOMEM */
void orders_settle(struct elect *e, struct carrier *c); /* an address that could not be set */
/* An address was deleted from the device: puts back what should be there. */
void orders_restore(struct elect *e, struct carrier *c);
void orders_free(struct elect *e);

/* --- track.c --------------------------------------------------------------------------------- */

/* Goes from the tracks of entry->record to those of the record that replaces it, keeping what is
 * known of the same.  -ENOMEM: nothing changed. */
int tracks_set(struct elect *e, struct entry *entry, const struct router *record);
void tracks_begin(struct elect *e, struct entry *entry); /* those that are new */
void tracks_end(struct elect *e, struct entry *entry);
void tracks_results(struct elect *e);
void tracks_on_link(struct elect *e, const char *ifname);
void tracks_on_routers(struct elect *e);
void tracks_tell(struct elect *e, struct entry *entry);
