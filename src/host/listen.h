/* Hears what neighbours answer on one link: ARP and neighbour advertisements, and nothing else.
 *
 * A packet socket that is bound to the link, with a filter in the kernel, which sees frames before
 * the data plane decides about them; it does not see what this host sends itself.  A link that goes
 * away is silent. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct listen;

#define LISTEN_LEN_MAX 128 /* of a frame: what is behind is left out */

/* vlan: of frames on the link, 0 = untagged.  Errors: FORBIDDEN (no CAP_NET_RAW), NO_INTERFACE,
 * NO_MEMORY, KERNEL_FAILED. */
int listen_open(int ifindex, uint16_t vlan, struct listen **ret, struct error *ret_error);
void listen_close(struct listen *l); /* NULL is fine */

/* Reports whole frames from the Ethernet header on, without a tag, LISTEN_AT_ONCE at most; never
 * blocks. */
#define LISTEN_AT_ONCE 256
void listen_read(struct listen *l, void (*fn)(void *ctx, const uint8_t *frame, size_t len),
		 void *ctx);
