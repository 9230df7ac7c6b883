/* The device through which stragglers are sent after a guest that moved: one VXLAN link in metadata
 * mode (Documentation/networking, ip-link(8) "vxlan external"), whose frames the data plane
 * addresses one by one.  It carries nothing by itself: no address, no FDB, no multicast. */
#pragma once

#include "host/host.h"

#define TUNNEL_IFNAME	    "vmac-tun"
#define TUNNEL_PORT_DEFAULT 14789

struct host_tunnel {
	const char *ifname; /* NULL = TUNNEL_IFNAME */
	struct ip local;    /* this host's end */
	uint16_t port;	    /* UDP */
};

/* Makes it, or brings the one that is there to this; quietened like a port, up, MTU as large as the
 * kernel lets it (outer packets are fragmented where need be).  Errors: INTERFACE_IN_USE (a link of
 * that name is of another kind; another VXLAN link has the port), KERNEL_UNSUPPORTED (no vxlan
 * driver), FORBIDDEN, KERNEL_FAILED. */
int host_tunnel_make(struct host *h, const struct host_tunnel *t, struct host_link *ret,
		     struct error *ret_error);

/* Gone already is success. */
int host_tunnel_delete(struct host *h, const char *ifname, struct error *ret_error);
