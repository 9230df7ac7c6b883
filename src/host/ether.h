/* What hosts say to each other in Ethernet frames of one type, to one group address or to this host
 * alone, on one link, whatever VLAN; and memberships of IP multicast groups, for switches that look
 * at them.
 *
 * As with packet.h the socket is bound to all protocols, and a filter in the kernel lets in what is
 * wanted: a socket for a protocol gets a frame after its VLAN tag was thrown away, and could not
 * tell one VLAN from another.  What is sent bears a mark, by which the data plane knows the
 * daemon's own.  Sources: packet(7), ip(7), net/core/dev.c. */
#pragma once

#include <vmac/mac.h>

#include "base/error.h"

struct ether_link;

struct ether_config {
	int ifindex;
	uint16_t type;
	vmac_mac_t group; /* that the NIC is to let in */
	uint32_t mark;
};
/* Errors: FORBIDDEN (no CAP_NET_RAW, or no CAP_NET_ADMIN for the mark), NO_INTERFACE,
 * KERNEL_FAILED, NO_MEMORY. */
int ether_open(const struct ether_config *config, struct ether_link **ret, struct error *ret_error);
void ether_close(struct ether_link *l); /* NULL is fine */
int ether_fd(const struct ether_link *l);

struct ether_frame {
	const uint8_t *data; /* from the Ethernet header on, without the outer VLAN tag */
	size_t len;
	uint16_t vlan; /* of that tag; 0 = there was none */
};
#define ETHER_LEN_MAX 1600 /* longer ones are passed over */

/* Reports at most `max` frames, never blocks; returns how many it has read, or -errno (-ENETDOWN:
 * the link went down or is gone). */
int ether_receive(struct ether_link *l, unsigned int max,
		  void (*fn)(void *ctx, const struct ether_frame *f), void *ctx);

/* A whole frame, of any type, without a tag; goes out in that VLAN (0 = untagged).  Never blocks; 0
 * or -errno. */
int ether_send(struct ether_link *l, uint16_t vlan, const void *frame, size_t len);

/* The link is a member of an IPv4 multicast group, and the kernel says so to the network, untagged,
 * for as long as *ret_fd is open.  Errors: NO_INTERFACE (or it has no IPv4), KERNEL_FAILED,
 * NO_MEMORY. */
int ether_join(int ifindex, const uint8_t group[static 4], int *ret_fd, struct error *ret_error);
/* The NIC takes frames to that group address, or no more, for the sake of this link: as often no
 * more as before.  Nobody is told, and the link reports none of them.  0 or -errno. */
int ether_hear(struct ether_link *l, vmac_mac_t group, bool on);
