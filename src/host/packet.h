/* The sockets of one link for election protocols: frames in and out, group memberships, unicast.
 * At most four descriptors a link, however many groups it has.
 *
 * Frames are received by a packet socket bound to the link for all protocols (only those are seen
 * before a macvlan takes the frame away), with a filter in the kernel that passes nothing but the
 * wanted protocols; our own outgoing frames are not seen.  They are sent by the same socket,
 * through the queueing layer, so that the data plane's check sees them too.  Memberships are held
 * by two otherwise deaf sockets (IGMP and MLD reports leave with the link's own address; those
 * sockets also keep the kernel from answering unicast VRRP with "protocol unreachable") which send
 * unicast. Sources: packet(7), raw(7), net/packet/af_packet.c. */
#pragma once

#include <sys/uio.h>

#include "base/error.h"
#include "model/ip.h"

struct packet_link;

/* What is wanted, in any combination. */
#define PACKET_VRRP4 (1u << 0) /* and CARP: IP protocol 112, 224.0.0.18 */
#define PACKET_VRRP6 (1u << 1) /* ff02::12 */
#define PACKET_HSRP1 (1u << 2) /* UDP 1985, 224.0.0.2 */
#define PACKET_HSRP2 (1u << 3) /* UDP 1985, 224.0.0.102 */
#define PACKET_HSRP6 (1u << 4) /* UDP 2029, ff02::66 */

/* Errors: FORBIDDEN (no CAP_NET_RAW), NO_INTERFACE, KERNEL_UNSUPPORTED, KERNEL_FAILED. */
int packet_open(int ifindex, unsigned int wanted, struct packet_link **ret,
		struct error *ret_error);
void packet_close(struct packet_link *p); /* NULL is fine */

/* Changes what is wanted without losing a frame of what stays. */
int packet_want(struct packet_link *p, unsigned int wanted, struct error *ret_error);

int packet_fd(const struct packet_link *p);
unsigned int packet_sockets(const struct packet_link *p); /* how many it holds */

struct packet_frame {
	const uint8_t *data; /* from the Ethernet header on; a tag that the NIC took off is back */
	size_t len;
	bool checksum_pending; /* the sender's kernel left UDP's checksum undone */
	bool truncated;	       /* longer than PACKET_LEN_MAX */
};
#define PACKET_LEN_MAX 2048

/* Reports at most `max` frames, never blocks; returns how many, or -errno (-ENETDOWN: the link went
 * down, -ENXIO: it is gone). */
int packet_receive(struct packet_link *p, unsigned int max,
		   void (*fn)(void *ctx, const struct packet_frame *f), void *ctx);

/* Sends whole frames, many a system call.  Returns how many went; what the kernel refused is
 * counted and left out, never tried again. */
unsigned int packet_send(struct packet_link *p, const struct iovec *frames, unsigned int count);

/* Sends the payload of IP protocol 112 to a peer with TTL 255 and traffic class 0xc0, by the
 * kernel's routes.  0 or -errno. */
int packet_send_to(struct packet_link *p, const struct ip *from, const struct ip *to,
		   const void *payload, size_t len);

struct packet_counters {
	uint64_t received, overflowed; /* by the socket: we were too slow */
	uint64_t sent, send_failed;
};
void packet_counters(struct packet_link *p, struct packet_counters *ret);
