/* All elections of this host, from frames and time to frames and orders; no I/O, no clock.
 *
 * Theory of operation
 *
 * A frame comes in by the link that it was received on, is decoded (wire/advert.h), finds its group
 * by (link, protocol's family of groups, number, IP family), is admitted or refused (admit.c:
 * authentication, replay, peers), and becomes an event of that router's machine (fhrp/fhrp.h).  The
 * machine's effects become calls of `ops`.  Composed frames are kept ready a set, so that an
 * advertisement costs no composing where nothing changed in it.
 *
 * Calls of ops may be collected by the caller: they are made in an order that may be carried out
 * late but not out of order a router, and `flush` ends every entry into this file that made any.
 * So 250 routers that take over at one instant become one batch of leases, one of frames and one of
 * addresses.  `elect_core_time()` therefore calls, over all due routers, leases and sends first,
 * then embodiments, then announcements.
 *
 * The simulation (tests/sim) runs this very code with other ops. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "fhrp/fhrp.h"
#include "model/router.h"
#include "wire/verdict.h"

struct elect_core;
struct elect_set;    /* one set of one router: what ops are about */
struct elect_router; /* one router */

/* --- how orders are carried out -------------------------------------------------------------- */

struct elect_report {
	bool transition;	  /* else a note: from == to */
	uint8_t from, to, reason; /* enum fhrp_state, fhrp_reason */
	uint8_t priority;	  /* effective */
	struct ip peer;		  /* the other router that it is about; family 0 = none */
};

/* Called from inside of the core: what they are told is to be remembered, and done at flush() or
 * later.  They never call back into the core. */
struct elect_ops {
	/* A whole Ethernet frame to the link of the set; `frame` is valid until flush(). */
	void (*send)(void *ctx, const struct elect_set *s, const void *frame, size_t len);
	/* A unicast packet: the payload of IP protocol 112, from the set's source to a peer; the
	 * kernel routes it.  Valid until flush(). */
	void (*send_to)(void *ctx, const struct elect_set *s, const struct ip *peer,
			const void *payload, size_t len);
	void (*lease)(void *ctx, const struct elect_set *s, mono_t until); /* ns 0 = ends now */
	/* The addresses of all sets are to be there, or gone.  Said again (`there`) when the
	 * addresses of a router that embodies them have changed: elect_set_addresses() says what is
	 * to be there now; all others go. */
	void (*embody)(void *ctx, const struct elect_router *r, bool there);
	void (*report)(void *ctx, const struct elect_router *r, const struct elect_report *report);
	/* May come in between too, where a frame's memory is needed again. */
	void (*flush)(void *ctx);
	/* The router and its sets are about to be freed: it was removed, or begins anew.  All that
	 * it ordered has been flushed.  May be NULL. */
	void (*gone)(void *ctx, const struct elect_router *r);
};

struct elect_core_config {
	const struct mem *mem;
	const struct elect_ops *ops;
	void *ctx;
	wall_t (*wall_now)(void *ctx); /* for the HMAC trailer's sequence only */
	uint64_t seed;		       /* CARP counters and the like */
	/* A set is not ready before elect_core_ready() says so: its device has yet to be made and
	 * the data plane to be told.  False: ready at once. */
	bool devices;
};

int elect_core_new(const struct elect_core_config *config, struct elect_core **ret,
		   struct error *ret_error);
void elect_core_free(struct elect_core *c); /* says nothing to anybody; NULL is fine */

/* --- routers --------------------------------------------------------------------------------- */

/* Adds a router, or changes the one with that id to this (checked) record, which is one of
 * router_record_new()'s and held for as long as it is in force.  What can change under way
 * (priority, timers, addresses, keys, tracks' weights, preempt, …) changes without a transition;
 * protocol, number of sets, or a set's link, group, family, vMAC or device, begin anew: a graceful
 * stop of the old without lingering.  An equal record does nothing at all. A new router waits in
 * INITIALIZE until each of its sets has a usable link.  Errors: NO_MEMORY; IN_USE: another router
 * has that group on that link (VRRP and CARP share their groups, as they share their vMACs); then
 * what this one had before it has left, so that two may swap: set it again when the other was told.
 * LIMIT_REACHED: ELECT_SETS_MAX. */
int elect_core_set(struct elect_core *c, const struct router *r, mono_t now,
		   struct error *ret_error);

/* Graceful: resigns, lingers, and is gone when `gone` reports: see elect_core_gone(). */
void elect_core_remove(struct elect_core *c, uint32_t id, mono_t now);

/* All routers stop gracefully and stay stopped. */
void elect_core_stop(struct elect_core *c, mono_t now);

/* Whether nobody lingers any more after elect_core_stop(), or of one router after remove (id). */
bool elect_core_stopped(const struct elect_core *c);
bool elect_core_gone(const struct elect_core *c, uint32_t id);

/* A link as the elections see it. */
struct elect_link {
	const char *ifname;
	int ifindex; /* 0 = it is not there */
	bool usable; /* up, with carrier, the sets' devices made, the data plane told */
	vmac_mac_t address;
	struct ip source4, source6; /* primary IPv4, link-local IPv6; family 0 = none */
};
/* Tells of a link, for all sets on it: start what waited for it, halt what lost it, take over new
 * source addresses.  Tracking of links is the caller's. */
void elect_core_link(struct elect_core *c, const struct elect_link *link, mono_t now);

/* Where config.devices: whether a set's device is there and the data plane knows of it.  A router
 * starts when all its sets are ready, and is in fault when one is no more. */
void elect_core_ready(struct elect_core *c, const struct elect_set *s, bool ready, mono_t now);

/* What tracking makes of a router: the sum of the weights of its tracks, or fault. */
void elect_core_track(struct elect_core *c, uint32_t id, int adjust, bool fault, mono_t now);

/* The daemon has just started: routers that start for the first time before their boot hold has
 * passed from here begin with it. */
void elect_core_boot(struct elect_core *c, mono_t now);

/* --- what happens ---------------------------------------------------------------------------- */

/* One received frame; flags: ADVERT_CHECKSUM_PENDING.  Several in a row may be followed by one
 * elect_core_flush(). */
enum verdict elect_core_frame(struct elect_core *c, int ifindex, const void *data, size_t len,
			      unsigned int flags, mono_t now);
void elect_core_flush(struct elect_core *c);

/* Time has passed.  A router whose lease ran out before we came (late beyond the hold time) fences
 * itself. */
void elect_core_time(struct elect_core *c, mono_t now);
mono_t elect_core_next_expiry(const struct elect_core *c);

/* --- look ------------------------------------------------------------------------------------ */

const struct router *elect_router_record(const struct elect_router *r);
const struct fhrp *elect_router_machine(const struct elect_router *r);
const struct elect_router *elect_set_router(const struct elect_set *s);
unsigned int elect_set_index(const struct elect_set *s); /* in its router's record */
/* A number for the caller's own table, unique among the living, 0 … ELECT_SETS_MAX - 1; small ones
 * first. */
#define ELECT_SETS_MAX 8192
unsigned int elect_set_slot(const struct elect_set *s);
const struct elect_set *elect_router_set(const struct elect_router *r, unsigned int index);
int elect_set_ifindex(const struct elect_set *s); /* of its link; 0 = it is not there */
vmac_mac_t elect_set_mac(const struct elect_set *s);
struct ip elect_set_source(const struct elect_set *s); /* in force; family 0 = none */
/* What the set's addresses are now: the record's, or the one that HSRP learned; valid until the
 * next call of elect_core_set() or _frame(). */
const struct router_address *elect_set_addresses(const struct elect_set *s,
						 unsigned int *ret_count);
/* The checksum that is sent, as router_checksum_name() says it; "" where there is but one. */
const char *elect_router_checksum(const struct elect_router *r);
struct elect_router *elect_core_find(const struct elect_core *c, uint32_t id);

struct elect_counters {
	uint64_t sent, sent_zero, announced, received;
	uint64_t verdicts[VERDICT_COUNT];
	uint64_t transitions;
	uint64_t late;	      /* self-fences */
	int64_t late_ns_most; /* by which a deadline was met too late */
};
void elect_router_counters(const struct elect_router *r, struct elect_counters *ret);
/* Frames that belong to no router, by link name; and refused ones for which their router could not
 * have counters, for want of memory. */
void elect_core_link_counters(const struct elect_core *c,
			      void (*fn)(void *ctx, const char *ifname,
					 const struct elect_counters *counters),
			      void *ctx);
