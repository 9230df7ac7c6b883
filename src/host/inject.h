/* Sends single frames by any link of this host: announcements to the wire, queries into a port.
 *
 * One packet socket for all of them, which hears nothing (packet(7): protocol 0) and whose frames
 * bear a mark, so that the data plane can tell the daemon's own from everybody else's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct inject;

/* Errors: FORBIDDEN (no CAP_NET_RAW, or no CAP_NET_ADMIN for the mark), KERNEL_FAILED, NO_MEMORY.
 */
int inject_open(uint32_t mark, struct inject **ret, struct error *ret_error);
void inject_close(struct inject *i); /* NULL is fine */

/* A whole frame from its Ethernet header on.  Never blocks; 0 or -errno. */
int inject_send(struct inject *i, int ifindex, const void *frame, size_t len);
