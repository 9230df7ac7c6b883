/* Hanging programs on links, and the drop net behind them.
 *
 * Theory of operation
 *
 * Kernel >= 6.6: a tcx link, pinned under BPFFS/vmac/INSTANCE/links/NAME, which a later process
 * opens again and switches to its own program in one step.  Before: a filter on the clsact qdisc
 * with a fixed preference and handle, which the kernel keeps by itself and replaces in one step as
 * well.  Both were seen to lose no frame while they were replaced under traffic, whereas detaching
 * and attaching loses some.
 *
 * The drop net is always a clsact filter: tcx programs run before clsact, and a final verdict of
 * theirs means that clsact is not asked.  Where the switch is a clsact filter, too, it stands
 * before the net.  The lease programs of a link with routers run before everything of ours there.
 *
 * The handle is made from the instance's name, so that instances tell their filters apart. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Where: a port's program comes before any other on the link, so that nothing can wave a guest's
 * frame past the guard, and so do the tunnel's and the lease programs; an uplink's come behind
 * those that are there, so that the host's own filters see the frames. */
enum attach_side {
	ATTACH_PORT,
	ATTACH_UPLINK_IN,
	ATTACH_UPLINK_OUT,
	ATTACH_ROUTER_IN,
	ATTACH_ROUTER_OUT,
	ATTACH_TUNNEL
};

struct attach {
	bool tcx;
	uint32_t handle;
	char links[160]; /* the directory of the pinned links */
};

#define ATTACH_NAME_MAX 24

/* Whether this kernel has tcx. */
bool attach_has_tcx(void);

void attach_init(struct attach *a, bool tcx, const char *instance, const char *links);

/* Makes the program run there, in place of an earlier one of that name.  `keep`: an earlier one
 * stays, if there is one on this link.  Errors: NO_INTERFACE, KERNEL_UNSUPPORTED, KERNEL_FAILED. */
int attach_set(const struct attach *a, const char *name, int ifindex, enum attach_side side,
	       int program_fd, bool keep, struct error *ret_error);

/* What is not there (any more) is no error.  Returns whether something was removed. */
bool attach_clear(const struct attach *a, const char *name, int ifindex, enum attach_side side);

int attach_drop_net_set(const struct attach *a, int ifindex, int program_fd,
			struct error *ret_error);
bool attach_drop_net_clear(const struct attach *a, int ifindex);

/* Our filters (not the drop net, not the leases') on a link that nobody set, and the leases' on one
 * without routers; return whether there were some. */
bool attach_clear_filters(const struct attach *a, int ifindex);
bool attach_clear_router_filters(const struct attach *a, int ifindex);

/* Detaches every pinned link for whose name is_kept() says no; returns how many. */
unsigned int attach_sweep_links(const struct attach *a,
				bool (*is_kept)(void *ctx, const char *name), void *ctx);

/* Whether an earlier process left pinned links. */
bool attach_any_link(const struct attach *a);
