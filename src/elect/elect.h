/* The elections of this host as the engine sees them: a thread of their own.
 *
 * Theory of operation
 *
 * Elections must not wait for a disk, a client or a big batch of the engine, and must not make them
 * wait.  So they run in a thread, which owns everything they touch: packet sockets (one set a
 * link), the macvlan devices and addresses of the vMACs, the tunables of the links, the leases in
 * the data plane, tracking, and the programs that are told of transitions (which run as processes
 * of their own, never waited for in the loop).  The core (elect/core.h) decides; this file's
 * neighbours carry out: links.c (sockets and devices a link), orders.c (what the core orders, in
 * batches), track.c, notify.c.
 *
 * The engine speaks to it in two ways only: commands, which are queued and done in order, and
 * reports, which are queued back and wake elect_fd(). */
#pragma once

#include "base/error.h"
#include "fhrp/fhrp.h"
#include "model/router.h"

struct elect;
struct plane;

/* The IFLA_GROUPs of the devices that carry vMACs, of all daemons; what people give by hand is
 * small. */
#define ELECT_GROUPS	  0x76000000u
#define ELECT_GROUPS_MASK 0xff000000u

struct elect_config {
	struct plane *plane;   /* borrowed; its router functions are ours alone to call */
	const char *state_dir; /* the journal of tunables lives here */
	const char *instance;
};

/* Starts the thread: restores what a killed run left (tunables, devices and addresses nobody claims
 * once elect_ready() was called).  Errors: FORBIDDEN, KERNEL_UNSUPPORTED (names what), NO_MEMORY,
 * KERNEL_FAILED. */
int elect_open(const struct elect_config *config, struct elect **ret, struct error *ret_error);

/* All routers that exist have been set: sweep what is left of others. */
void elect_ready(struct elect *e);

/* Graceful end: resign everywhere, linger as configured, take addresses and devices away, restore
 * the tunables, end the thread.  Blocks until done.  NULL is fine. */
void elect_close(struct elect *e);

/* Adds or changes; the record is one of router_record_new()'s, and is held for as long as it is
 * needed.  Never blocks; what goes wrong (a link that is not there, a kernel that refuses, no
 * memory) shows in the view and is tried again. */
void elect_set(struct elect *e, const struct router *r);
void elect_remove(struct elect *e, uint32_t id);

/* --- reports --------------------------------------------------------------------------------- */

struct elect_event {
	uint32_t router; /* id */
	char name[NAME_MAX_LEN + 1];
	wall_t at;
	bool transition;       /* else a note: from == to */
	const char *from, *to; /* state names */
	const char *reason;    /* its name; static */
	char detail[128];      /* "peer 10.0.0.2", "track ping 10.0.0.9", or "" */
	uint8_t priority;      /* effective */
	uint64_t seq;	       /* of this router, 1 … */
};

int elect_fd(const struct elect *e);
void elect_dispatch(struct elect *e, void (*fn)(void *ctx, const struct elect_event *event),
		    void *ctx);

/* --- views: copies, taken under a lock ------------------------------------------------------- */

#define ELECT_HISTORY_MAX 64 /* transitions kept a router */

struct elect_set_view {
	int ifindex;			 /* of the link; 0 = it is not there */
	char device[IFNAME_MAX_LEN + 1]; /* "" = not made yet */
	vmac_mac_t mac;
	struct ip source;
	uint64_t frames_stopped_out,
		frames_stopped_in; /* by the data plane, outside of the lease */
	struct error trouble;
};

struct elect_view {
	const char *state, *reason; /* names */
	uint8_t priority;	    /* effective */
	wall_t since;
	bool embodied;
	int64_t lease_ms; /* left; -1 = none */
	struct ip active; /* family 0 = not known */
	unsigned int active_priority;
	struct ip standby;	      /* HSRP */
	int64_t interval_ms, hold_ms; /* in force */
	bool timers_learned;
	const char *checksum; /* VRRPv3 IPv4: the dialect in use; "" = does not apply */
	struct ip learned;    /* HSRP: the address that was learned */
	uint64_t sent, received, announced, transitions, late;
	int64_t late_ns_most;
	uint64_t verdicts[VERDICT_COUNT];
	unsigned int set_count, track_count;
	struct elect_set_view sets[ROUTER_SETS_MAX];
	struct elect_track_view {
		bool up, known; /* known: at least one result */
		uint64_t runs, failures;
		char detail[96]; /* "exit status 1", "HTTP 503", … */
	} tracks[ROUTER_TRACKS_MAX];
};

/* False: no such router. */
bool elect_look(struct elect *e, uint32_t id, struct elect_view *ret);

/* The last transitions, newest first. */
unsigned int elect_history(struct elect *e, uint32_t id, struct elect_event *ret, unsigned int max);

/* What belongs to no router: frames on a link with routers, by verdict. */
void elect_links(struct elect *e,
		 void (*fn)(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			    const uint64_t verdicts[VERDICT_COUNT]),
		 void *ctx);

struct elect_facts {
	unsigned int routers, active, links, sockets;
	int64_t takeover_ns_last, takeover_ns_most; /* from the timer to the last address there */
	uint64_t notifications, notifications_lost;
};
void elect_facts(struct elect *e, struct elect_facts *ret);
