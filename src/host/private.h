/* What the files of this room share. */
#pragma once

#include <sys/types.h>

#include "base/table.h"
#include "host/host.h"
#include "host/netlink.h"

struct host {
	struct netlink command;	 /* requests and their answers */
	struct nl_sock *monitor; /* what happens to links, whoever did it */
	struct nl_cb *monitor_cb;
	struct table links; /* struct host_link by ifindex: the links as last reported */
	bool stale;	    /* `links` must be read anew: messages were lost */
	uint32_t passed_group, passed_mask; /* links that are not told of; mask 0 = all are */
	dev_t netns_dev;		    /* the namespace that all this is in */
	ino_t netns_ino;
};

/* --- link.c: one link as the kernel describes it --------------------------------------------- */

struct link {
	struct host_link pub;
	unsigned int flags; /* IFF_… */
	uint32_t group;	    /* IFLA_GROUP */
	int peer; /* IFLA_LINK: a veth's other end, by the other namespace's ifindex; 0 = none */
	int peer_nsid;	      /* that namespace as ours numbers it; -1 = ours */
	bool has_ipv6;	      /* the kernel speaks IPv6 on it, unless told not to */
	bool makes_addresses; /* … and makes link-local addresses */
	/* Of a tun or tap only. */
	bool tap, packet_info, vnet_hdr, persistent, multi_queue;
	uint32_t uid, gid; /* UINT32_MAX = not set */
};

/* Lays what one RTM_NEWLINK says over *l (messages about wireless events say next to nothing else).
 * False when it is no description of a link: an event of a bridge's port, a malformed message. */
bool link_read(const struct nlmsghdr *message, struct link *l);

/* By index, or by name where ifindex is 0.  0, -ENODEV or another -errno. */
int link_look(struct netlink *n, int ifindex, const char *ifname, struct link *ret);

struct link_wish {
	unsigned int flags_on, flags_off;
	unsigned int mtu;	   /* 0 = as it is */
	const vmac_mac_t *address; /* NULL = as it is */
	bool no_addresses;	   /* addrgenmode none */
};

/* Brings a link to what is wished with one message, or none where it is so already.  Flags change
 * before the address generation mode does: this is the kernel's order. */
int link_change(struct netlink *n, const struct link *l, const struct link_wish *wish);

/* Silences the link without bringing it up; it was looked at just before. */
int link_quieten(struct host *h, const struct link *l, struct error *ret_error);

/* Sets the mtu, silences and brings up a link of ours, last looked at as *l; looks again for *ret.
 */
int link_finish(struct host *h, const struct link *l, unsigned int mtu, struct host_link *ret,
		struct error *ret_error);

int link_mtu_check(unsigned int mtu, struct error *ret_error);

/* --- netns.c: other network namespaces ------------------------------------------------------- */

/* Opens a namespace by path.  NOT_FOUND: nothing there, or no network namespace; FORBIDDEN. */
int netns_open(const char *path, int *ret_fd, struct error *ret_error);

/* Opens a netlink socket that lives in the namespace.  The caller stays where it is.  0 or -errno.
 */
int netns_netlink(int fd, struct netlink *ret);

/* How our namespace numbers the other one; -1 = it does not (no link reaches there).  0 or -errno.
 */
int netns_id(struct netlink *n, int fd, int *ret);

/* --- watch.c --------------------------------------------------------------------------------- */

int watch_open(struct host *h, struct error *ret_error);
void watch_close(struct host *h);
