/* The data plane's part in elections: nothing leaves or enters for a vMAC outside of its lease.
 *
 * Theory of operation
 *
 * On each link that has routers, two programs look at the source of what the host sends and at the
 * destination of what it receives.  An address of ours is passed only before its deadline
 * (CLOCK_BOOTTIME), which the election extends with every advertisement by one store into a mapped
 * array.  So a backup never sends with the vMAC, not even the kernel's own IGMP, MLD or ND, and an
 * active router whose daemon hangs or was killed falls silent by itself before a backup takes over.
 * Where the virtual addresses are not to be taken (Accept_Mode false), packets to them that are not
 * neighbour discovery are dropped too.
 *
 * Where guests are the routers: a port may be allowed protocol vMACs.  Advertisements of an active
 * router out of such a port move the address to it, for that very frame; from then on its frames
 * pass the guard and what is sent to the vMAC goes to that port, until another allowed port or the
 * wire advertises, the router resigns, or its advertisements stop.
 *
 * Threads: the functions of this header are called by one thread, those of plane/plane.h by one
 * (perhaps another); they share nothing that changes. */
#pragma once

#include "model/ip.h"
#include "plane/plane.h"

#define PLANE_ROUTERS_MAX    8192 /* slots: 0 … */
#define PLANE_ROUTER_IPS_MAX 255

/* Attaches (or swaps) the two programs on a link; taking them off is the last thing done to it, and
 * takes effect a moment later, so that nobody waits for the kernel's grace periods.
 * Errors: NO_INTERFACE, KERNEL_FAILED. */
int plane_router_link_set(struct plane *p, int ifindex, struct error *ret_error);
int plane_router_link_remove(struct plane *p, int ifindex, struct error *ret_error);

struct plane_router {
	unsigned int slot;
	int ifindex; /* of the link, not of the device that carries the vMAC */
	vmac_mac_t address;
	bool accept;	       /* take packets for the virtual addresses */
	unsigned int ip_count; /* 0 where accept */
	const struct ip *ips;
};

/* Makes the data plane know the address on that link.  A slot that is new begins outside of any
 * lease; one that is set again keeps its lease and its counters.  Errors: LIMIT_REACHED, IN_USE
 * (another slot has that address on that link), KERNEL_FAILED. */
int plane_router_set(struct plane *p, const struct plane_router *r, struct error *ret_error);
int plane_router_remove(struct plane *p, unsigned int slot, struct error *ret_error);

/* One store.  ns 0: ends now. */
void plane_router_lease(struct plane *p, unsigned int slot, mono_t until);

/* Removes every link and address that was not set since plane_open(). */
int plane_router_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error);

struct plane_router_counters {
	uint64_t passed_out, passed_in;	  /* frames with the vMAC, inside the lease */
	uint64_t stopped_out, stopped_in; /* outside of it */
	uint64_t not_accepted; /* packets to virtual addresses that are not to be taken */
};
int plane_router_counters(struct plane *p, unsigned int slot, struct plane_router_counters *ret,
			  struct error *ret_error);
