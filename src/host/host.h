/* Links of this host: make, adopt, quieten, watch, delete; the NIC's receive filter.
 *
 * An edge: it carries out and reports, it never decides.  Everything is in the network namespace
 * that the process was in at host_open().  All calls are synchronous (one netlink round trip or a
 * few); none retries.  Sources: rtnetlink(7), Documentation/networking/tuntap.rst,
 * net/core/rtnetlink.c. */
#pragma once

#include "base/error.h"
#include "model/model.h"

struct host;

struct host_link {
	int ifindex;
	char ifname[IFNAME_MAX_LEN + 1];
	char kind[16]; /* "tun", "veth", "bridge", …; "" for a physical NIC */
	vmac_mac_t address;
	unsigned int mtu;
	bool up, carrier;
	int master;		  /* ifindex, 0 = none */
	unsigned int promiscuity; /* how many asked for it */
	uint64_t tx_dropped;	  /* by the device itself: a tap whose reader is too slow */
};

/* Errors: KERNEL_FAILED, FORBIDDEN (no CAP_NET_ADMIN), NO_MEMORY. */
int host_open(struct host **ret, struct error *ret_error);
void host_close(struct host *h); /* deletes nothing; NULL is fine */

/* --- look ------------------------------------------------------------------------------------ */

/* Errors: NO_INTERFACE, KERNEL_FAILED. */
int host_link_by_name(struct host *h, const char *ifname, struct host_link *ret,
		      struct error *ret_error);
int host_link_by_index(struct host *h, int ifindex, struct host_link *ret, struct error *ret_error);

/* --- make ------------------------------------------------------------------------------------ */

struct host_tap {
	const char *ifname;
	uint32_t uid, gid; /* UINT32_MAX = not given; both: root alone may open it.  Both given: who
			    * opens it must be this user *and* in this group (the kernel's rule). */
	unsigned int queues; /* 1 … 256; > 1 makes it IFF_MULTI_QUEUE */
	unsigned int mtu;    /* 68 … 65,521 */
};

/* Makes a persistent tap with IFF_VNET_HDR, so that offloads survive to QEMU, and quietens it.  An
 * existing tap of that name that nobody else made otherwise (same flags) is taken over and brought
 * to this configuration, so that a second call changes nothing.  Errors: BAD_NAME, BAD_VALUE
 * (queues, mtu, owner), INTERFACE_IN_USE (a link of that name is of another kind or shape, belongs
 * to a bridge, is open while its owner should change, or has an owner where none is asked for: the
 * kernel cannot unset one), KERNEL_UNSUPPORTED (no tun driver), FORBIDDEN, KERNEL_FAILED. */
int host_tap_make(struct host *h, const struct host_tap *tap, struct host_link *ret,
		  struct error *ret_error);

struct host_veth {
	const char *ifname;	 /* host side */
	const char *peer_netns;	 /* path: /run/netns/NAME, /proc/PID/ns/net; must not be our own
				    namespace */
	const char *peer_ifname; /* inside */
	vmac_mac_t peer_address; /* the vMAC: lives only inside the other namespace */
	unsigned int mtu;
};

/* Makes a veth pair with its peer inside the namespace, carrying the vMAC and up, and quietens the
 * host side.  The peer never exists in our namespace, not even for a moment.  A pair of that name
 * whose peer is already there under that name is taken over (address and mtu brought to this; the
 * peer's up or down is left to its owner, unless whoever made the pair did not come to its end).
 * Errors: BAD_NAME, BAD_VALUE (mtu; our own namespace), BAD_ADDRESS, NOT_FOUND (no such namespace),
 * INTERFACE_IN_USE, KERNEL_UNSUPPORTED (no veth driver), FORBIDDEN (also: reaching into another
 * namespace needs CAP_SYS_ADMIN), KERNEL_FAILED. What a failed call made is deleted again. */
int host_veth_make(struct host *h, const struct host_veth *veth, struct host_link *ret,
		   struct error *ret_error);

/* Makes a host-side netdev silent: no IPv6 address generation or autoconf (disable_ipv6,
 * addrgenmode none), no ARP (IFF_NOARP), no multicast flag needed by the host, an address of its
 * own that is no vMAC (kept for adopted links), up.  Done to all ports, so that nothing of the host
 * itself ever speaks out of them. Refuses INTERFACE_IN_USE a link that is enslaved or has IP
 * addresses; IPv6 link-local ones do not count, every link that is up has them, and they go.  Also
 * NO_INTERFACE, FORBIDDEN, KERNEL_FAILED. */
int host_port_quieten(struct host *h, int ifindex, struct error *ret_error);

/* Deletes a link we made; a link that is gone already is success. */
int host_link_delete(struct host *h, int ifindex, struct error *ret_error);

/* --- the NIC's receive filter ---------------------------------------------------------------- */

/* Asks the device to accept frames to this address, a group's too (RTM_NEWNEIGH, NTF_SELF,
 * NUD_PERMANENT: ndo_dflt_fdb_add -> dev_uc_add_excl, dev_mc_add_excl).  Present already is
 * success, and so is absent already for delete.  Whether the device really filters shows in
 * host_link.promiscuity afterwards: look again, the kernel raises no event when it falls back.
 * Errors: NO_INTERFACE, FORBIDDEN, KERNEL_FAILED. */
int host_filter_add(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error);
int host_filter_delete(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error);

/* Calls fn for each unicast entry that was put there this way (by anybody); for none if the link is
 * gone. */
int host_filter_list(struct host *h, int ifindex, void (*fn)(void *ctx, vmac_mac_t address),
		     void *ctx, struct error *ret_error);

/* --- watch ----------------------------------------------------------------------------------- */

enum host_event_kind {
	HOST_LINK_APPEARED,	/* new, renamed into this name, or moved into our namespace */
	HOST_LINK_VANISHED,	/* deleted, renamed away or moved to another namespace */
	HOST_LINK_CHANGED,	/* address, mtu, up, carrier, master, promiscuity */
	HOST_EVENTS_LOST,	/* the kernel dropped messages: look at everything again */
	HOST_ADDRESSES_CHANGED, /* IP addresses; only after host_watch_addresses() (virtual.h) */
};

struct host_event {
	enum host_event_kind kind;
	struct host_link link; /* as it is (APPEARED, CHANGED) or was (VANISHED); of
				* ADDRESSES_CHANGED, all zero but ifindex where it is not known */
	bool address_deleted;  /* of ADDRESSES_CHANGED */
};

int host_fd(struct host *h); /* readable when host_dispatch() has something */

/* From here on nothing is told of links whose IFLA_GROUP is `group` under `mask`, nor are they
 * kept in mind: devices by the thousand that another part watches.  To be said before the first
 * dispatch.  Errors: as of host_open(). */
int host_pass_over(struct host *h, uint32_t group, uint32_t mask, struct error *ret_error);

/* Reports what happened since the last call, in order; never blocks.  The callback may call any
 * function here but host_dispatch() and host_close(). */
void host_dispatch(struct host *h, void (*fn)(void *ctx, const struct host_event *event),
		   void *ctx);
