/* What a redundant router needs of the host: macvlan devices that carry vMACs, addresses by the
 * hundred, tunables that are put back, and what a link's own addresses are.
 *
 * An edge like host/host.h, whose struct host these functions share; a host belongs to one thread,
 * so whoever works in another thread opens a host of its own.  Sources: rtnetlink(7),
 * drivers/net/macvlan.c, Documentation/networking/ip-sysctl.rst. */
#pragma once

#include "host/host.h"
#include "model/ip.h"

/* --- devices that carry a vMAC --------------------------------------------------------------- */

struct host_virtual {
	const char *ifname;
	const char *alias; /* for people: ip link shows it; at most 255 octets */
	int parent;	   /* ifindex */
	vmac_mac_t address;
	uint32_t group; /* IFLA_GROUP: by which all of one daemon are found and deleted at once; not
			   0 */
	bool no_ipv4, no_ipv6; /* it will carry no addresses of that family */
	bool *made; /* told on success: whether it was made, not taken over; may be NULL */
};

/* Makes a macvlan (mode private) on the parent that is up but silent: no IPv6 address generation,
 * no router solicitation, no multicast that could be helped; what it still says (MLD, where IPv6
 * is needed) is stopped by the data plane, which must know of (parent, address) before.  IPv4:
 * arp_ignore 1, arp_announce 2, rp_filter 2 (holds against `all`, too), forwarding as the
 * parent's; IPv6: accept_ra 0, forwarding as the parent's.  A device of that name on that parent is
 * taken over and brought to this: equal means no write at all.  Errors: INTERFACE_IN_USE (a link of
 * that name is something else; the parent belongs to a bridge or has a handler of its own),
 * ADDRESS_IN_USE (by another device on that parent, or the parent), WRONG_STATE (a value for all
 * interfaces keeps this host from answering ARP), NO_INTERFACE (no parent), KERNEL_UNSUPPORTED (no
 * macvlan driver), BAD_NAME, BAD_ADDRESS, FORBIDDEN, KERNEL_FAILED. */
int host_virtual_make(struct host *h, const struct host_virtual *v, struct host_link *ret,
		      struct error *ret_error);

/* The same for many, in as few messages as it takes.  Outcomes one by one: links[i].ifindex 0 =
 * failed, with errors[i]. Returns how many failed. */
unsigned int host_virtual_make_many(struct host *h, const struct host_virtual *v,
				    unsigned int count, struct host_link *ret_links,
				    struct error *ret_errors);

/* All devices of that group, whoever made them. */
int host_virtual_list(struct host *h, uint32_t group,
		      void (*fn)(void *ctx, const struct host_link *link, int parent), void *ctx,
		      struct error *ret_error);

/* Deletes them all in one message (RTM_DELLINK by IFLA_GROUP: one grace period for all instead of
 * one each).  None there is success.  For single ones: give a device a doomed group of its own. */
int host_virtual_delete_group(struct host *h, uint32_t group, struct error *ret_error);
int host_virtual_set_group(struct host *h, int ifindex, uint32_t group, struct error *ret_error);

/* --- addresses ------------------------------------------------------------------------------- */

struct host_address {
	int ifindex;
	struct ip ip;
	uint8_t prefix; /* 1 … 32 or 128 */
};

#define HOST_ROUTE_PROTOCOL 118 /* rtm_protocol of our routes: rtnetlink(7) */

/* Adds or deletes many in as few system calls as the kernel takes (many messages a sendmsg, one
 * acknowledgement each).  IPv6 without duplicate address detection (IFA_F_NODAD), neither with a
 * prefix route (IFA_F_NOPREFIXROUTE): the parent has the route.  What was added is served when this
 * returns; for that, IPv6 ones have a local route of ours beside the kernel's.  An address that is
 * there already, or gone already, is success.  Returns how many failed; *ret_error tells of the
 * first. */
unsigned int host_addresses_add(struct host *h, const struct host_address *list, unsigned int count,
				struct error *ret_error);
unsigned int host_addresses_delete(struct host *h, const struct host_address *list,
				   unsigned int count, struct error *ret_error);

enum host_address_state {
	HOST_ADDRESS_TENTATIVE, /* under duplicate address detection, or it failed: not ours to
				 * speak for (RFC 4862, 5.4) */
	HOST_ADDRESS_PASSING,	/* deprecated, or temporary (RFC 8981): ours, but for nothing new */
	HOST_ADDRESS_LASTING,	/* all others; one from DHCP, too */
};

/* What a link has: calls fn for each (ifindex 0: of all links), primary ones first; for none if the
 * link is gone. */
int host_addresses_list(struct host *h, int ifindex,
			void (*fn)(void *ctx, const struct host_address *a,
				   enum host_address_state state),
			void *ctx, struct error *ret_error);

/* Whether the main table has exactly this route. */
int host_route_there(struct host *h, const struct ip *prefix, uint8_t len, bool *ret,
		     struct error *ret_error);

/* From now on host_dispatch() also reports HOST_ADDRESSES_CHANGED (link.ifindex) for changes of
 * addresses by others and by us. */
int host_watch_addresses(struct host *h, struct error *ret_error);

/* --- tunables: /proc/sys/net values that are put back ----------------------------------------- */

/* Theory: whoever changes a tunable of a link that is not his owes it back.  Before a value is
 * changed, the old one is written to a journal (and that is made durable); it is put back when
 * nobody here needs the change any more, at the latest by the next start after a SIGKILL.  A value
 * that somebody else changed meanwhile is left as it is, and said so. */
struct tunables;

/* Opens (makes) the journal, and puts back at once what an earlier run left, unless `keep`: then
 * what is set again before tunables_settle() stays without having been away.  Errors: FORBIDDEN,
 * REGISTRY_FAILED (the journal cannot be read or written), REGISTRY_CORRUPT (it is damaged). */
int tunables_open(const char *journal_path, bool keep, struct tunables **ret,
		  struct error *ret_error);
/* Puts back what was left by an earlier run and not set again.  Everything is tried, and settled
 * even where an error is returned, which is of the first: CONFLICT (somebody else changed it
 * meanwhile; it is left so), FORBIDDEN, KERNEL_FAILED, REGISTRY_FAILED. */
int tunables_settle(struct tunables *t, struct error *ret_error);
/* `name` below /proc/sys, as in "net/ipv4/conf/eth0/arp_ignore"; counted: as many drops as sets.
 * Writes nothing where the value is there already (but remembers that it is needed).  Errors of
 * set, which then changed nothing: NOT_FOUND (no such tunable), IN_USE (it is set to another value
 * here), REGISTRY_FAILED (the journal cannot be written), LIMIT_REACHED, FORBIDDEN, KERNEL_FAILED;
 * of drop, which is done all the same: as of settle. */
int tunables_set(struct tunables *t, const char *name, const char *value, struct error *ret_error);
int tunables_drop(struct tunables *t, const char *name, struct error *ret_error);
/* Puts everything back and closes. */
void tunables_close(struct tunables *t);

/* Whether this host says of itself on that link that it is an IPv6 router (net/ipv6/ndisc.c: where
 * it forwards); false also where that cannot be read. */
bool host_is_ip6_router(const char *ifname);

/* Makes the parent of virtual devices behave: arp_ignore 1, arp_announce 2 (or it would tell its
 * own address for the virtual one when it asks for a host), arp_filter 0; and takes that back. */
int tunables_parent_set(struct tunables *t, const char *ifname, struct error *ret_error);
/* `name_now`: what the link is called now, if it was renamed meanwhile; else the same. */
int tunables_parent_drop(struct tunables *t, const char *ifname, const char *name_now,
			 struct error *ret_error);
