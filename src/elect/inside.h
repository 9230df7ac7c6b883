/* What the files of the core share; nobody else includes it.
 *
 * core.c    time, frames, and how the effects of a machine become orders
 * routers.c who is there: routers and what is told of them; starts and ends
 * body.c    what follows from a record
 * wires.c   links, and which set a frame on one is for
 * admit.c   a decoded frame becomes an event for a machine, or a verdict
 * compose.c what a machine says becomes frames */
#pragma once

#include "base/table.h"
#include "elect/core.h"
#include "elect/timer.h"
#include "wire/advert.h"

#define ELECT_PEERS_MAX	  16 /* whom a set remembers against replay; the longest silent one goes */
#define ELECT_RANGES_MAX  4  /* runs of counters remembered of one CARP peer */
#define ELECT_REPORTS_MAX 1024	 /* kept until the orders they follow were given */
#define ELECT_ARENA	  131072 /* octets of announcements between two flushes */

/* VRRP and CARP share a vMAC, hence the numbers too. */
enum elect_family { ELECT_VRRP, ELECT_HSRP };

/* --- links ----------------------------------------------------------------------------------- */

struct elect_wire {
	char ifname[IFNAME_MAX_LEN + 1];
	int ifindex; /* 0 = it is not there */
	bool usable;
	vmac_mac_t address;
	struct ip source4, source6;
	struct elect_set *sets; /* on it, by next_on_wire */
	unsigned int holds;	/* by sets, also those about to be added */
	struct elect_counters counters;
};

/* --- sets ------------------------------------------------------------------------------------ */

/* What another router has sent, as far as it guards against old frames sent again.  Only frames
 * that were admitted make or change an entry, so forged ones cannot push true ones out. */
struct elect_peer {
	uint8_t address[16];
	mono_t heard;	   /* at all */
	mono_t heard_v3;   /* VRRPv3, or ns 0: then a VRRPv2 copy is of no concern */
	uint64_t sequence; /* HMAC trailer: the highest */
	bool has_sequence;
	/* CARP: counters seen, newest run first.  A peer that restarts begins anywhere, so a run is
	 * left for another; what lies inside of any is old. */
	struct elect_range {
		uint64_t low, high;
	} ranges[ELECT_RANGES_MAX];
	uint8_t range_count;
};

/* The frames of one set as sent last, ready to be sent again: one, or one a peer (then payloads),
 * twice where VRRPv2 copies are sent too. */
struct elect_frames {
	bool valid;
	bool counted;  /* carries a counter: the payload is written anew each time */
	uint64_t lent; /* the flush that they were given to the caller before */
	struct fhrp_send said;
	uint16_t len[2], head; /* of one frame: its own version, the copy; octets before payload */
	size_t room;	       /* octets of data */
	uint8_t *data;
};

struct elect_set {
	struct elect_router *router;
	struct elect_wire *wire;
	struct elect_set *next_on_wire;
	uint8_t index, kind; /* enum elect_family */
	uint8_t family;
	uint8_t dialect; /* enum vrrp_dialect: sent */
	uint16_t group, slot;
	bool ready, dialect_noted;
	uint8_t peer_count;
	vmac_mac_t mac;
	struct ip source;	       /* in force; family 0 = none */
	struct router_address learned; /* HSRP; family 0 = not */
	uint64_t counter;	       /* CARP: next; HMAC trailer: last */
	struct elect_peer *peers;      /* ELECT_PEERS_MAX, once needed */
	struct elect_frames frames;
};

/* --- routers --------------------------------------------------------------------------------- */

/* A record and the room for its frames; replaced as a whole. */
struct elect_body {
	const struct router *record;
	uint8_t frames[];
};

struct elect_router {
	struct timer timer;
	bool running; /* START was said, and neither STOP nor HALT since */
	bool begun;   /* has run before */
	bool removing;
	bool fault; /* by tracking */
	int16_t adjust;
	uint32_t id;

	/* Orders that wait for their turn (see router_settle()). */
	bool pending, embody, embody_there, announce;
	struct elect_router *next_pending;

	struct fhrp machine;
	struct fhrp_own *own; /* the machine's, behind the sets */
	struct elect_body *body;
	struct elect_counts {
		uint64_t sent, sent_zero, announced, accepted, transitions, late;
		int64_t late_ns_most;
	} counts;
	uint64_t *verdicts; /* on frames, but for ACCEPTED; NULL: no other yet, as mostly */
	unsigned int set_count;
	struct elect_set sets[];
};

static inline const struct router *router_record(const struct elect_router *r)
{
	return r->body->record;
}

static inline const struct router_set *set_record(const struct elect_set *s)
{
	return &s->router->body->record->sets[s->index];
}

struct elect_core {
	const struct mem *mem;
	const struct elect_ops *ops;
	void *ctx;
	wall_t (*wall_now)(void *ctx);
	uint64_t random; /* state of a generator for what need not be secret */
	bool devices, stopped;
	mono_t now;  /* of this entry */
	mono_t boot; /* MONO_NEVER = not told */

	struct table routers;	      /* by id */
	struct table sets;	      /* by wire, kind, group, family */
	struct table wires;	      /* by name */
	struct table wires_by_index;  /* those that are there */
	struct elect_wire *last_wire; /* frames come in runs */
	struct timers timers;
	uint64_t slots[ELECT_SETS_MAX / 64];
	unsigned int slots_taken;

	/* Since the last flush. */
	uint64_t flushes;
	bool ordered;
	struct elect_router *pending;
	unsigned int report_count;
	struct elect_waiting {
		struct elect_router *router;
		struct elect_report report;
	} reports[ELECT_REPORTS_MAX];
	size_t arena_used;
	uint8_t arena[ELECT_ARENA];
};

/* --- core.c ---------------------------------------------------------------------------------- */

/* One step of a machine; its leases and frames are ordered at once, all else at the settling. */
void router_step(struct elect_core *c, struct elect_router *r, const struct fhrp_event *event,
		 const struct ip *peer);
void router_announce(struct elect_core *c, struct elect_router *r);
void router_pend(struct elect_core *c, struct elect_router *r);
void router_note(struct elect_core *c, struct elect_router *r, enum fhrp_reason reason,
		 const struct ip *peer);
/* Gives the orders that waited, frees who is done, and flushes. */
void core_settle(struct elect_core *c);
void core_flush_ops(struct elect_core *c);

/* --- routers.c ------------------------------------------------------------------------------- */

/* Starts or stops the machine as record, links, tracking and the core want it. */
void router_sync(struct elect_core *c, struct elect_router *r);
/* At rest and not wanted any more: out of every table, and freed. */
void router_drop(struct elect_core *c, struct elect_router *r);
uint64_t core_random(struct elect_core *c);

/* --- body.c ---------------------------------------------------------------------------------- */

/* Holds the record, with room for the frames of its sets; NULL: no memory. */
struct elect_body *body_new(struct elect_core *c, const struct router *record);
void body_free(struct elect_core *c, struct elect_body *body); /* NULL is fine */
void body_config(const struct router *r, struct fhrp_config *ret);
/* Whether a machine can go on with b in place of a. */
bool body_same_shape(const struct router *a, const struct router *b);
/* Whether b has addresses that a has not. */
bool body_adds_addresses(const struct router *a, const struct router *b);

/* --- wires.c --------------------------------------------------------------------------------- */

struct elect_wire *wire_find(const struct elect_core *c, const char *ifname);
struct elect_wire *wire_by_index(struct elect_core *c, int ifindex);
/* The link of that name, made when it is new; NULL: no memory. */
struct elect_wire *wire_get(struct elect_core *c, const char *ifname);
/* No other link has that index. */
void wire_set_index(struct elect_core *c, struct elect_wire *w, int ifindex);
/* Forgets a link that nobody needs. */
void wire_release(struct elect_core *c, struct elect_wire *w);

struct elect_set *set_find(const struct elect_core *c, const struct elect_wire *w, uint8_t kind,
			   uint16_t group, uint8_t family);
uint64_t set_own_hash(const struct elect_set *s);

/* --- admit.c --------------------------------------------------------------------------------- */

/* Whether a frame (decoded without fault, for this set's group) is for the machine: ACCEPTED or
 * OWNER_CONFLICT, and then *ret is what it heard. */
enum verdict admit(struct elect_core *c, struct elect_set *s, const struct advert *a,
		   struct fhrp_heard *ret);

/* --- compose.c ------------------------------------------------------------------------------- */

/* Octets that the frames of a set may take at most. */
size_t compose_room(const struct router *r, const struct router_set *s);
/* Orders what a machine says on a set. */
void compose_send(struct elect_core *c, struct elect_set *s, const struct fhrp_send *send);
/* Orders the announcements of a set's addresses. */
void compose_announce(struct elect_core *c, struct elect_set *s);
