/* A host and a data plane that only note what they are told, and a wire between hosts: what one
 * announces the others' data planes hear. */
#pragma once

#include "host/host.h"
#include "fake_cluster.h"
#include "plane/plane.h"

#define FAKE_PORTS   16
#define FAKE_HOSTS   8
#define FAKE_EVENTS  64
#define FAKE_FILTERS 64

struct fake_port {
	bool set;
	struct plane_port port;
};

struct plane {
	struct plane *next;
	struct fake_port ports[FAKE_PORTS + 1];
	struct ip trails[FAKE_PORTS + 1]; /* family 0 = none */
	struct plane_event events[FAKE_EVENTS];
	unsigned int event_count, announced, queried, peers;
	uint32_t vni; /* of the last net told */
	bool was_open[FAKE_PORTS + 1][PLANE_GATE_COUNT];
	struct fake_cluster clusters[FAKE_CLUSTERS];
	int asked_at; /* the link that a frame was injected into last, and the frame */
	uint8_t asked[96];
	size_t asked_len;
	uint32_t flows[CLUSTER_MEMBERS_MAX + 1];
};

struct host {
	bool carrier;	    /* of every link but the uplink */
	uint8_t generation; /* of all links' addresses */
	char links[FAKE_PORTS][IFNAME_MAX_LEN + 1];
	struct host_event events[FAKE_EVENTS];
	unsigned int event_count;
	vmac_mac_t filter[FAKE_FILTERS]; /* zero = free */
};
bool fake_filters(const struct host *h, vmac_mac_t address);
/* What the data plane tells of. */
void fake_tell(struct plane *p, enum plane_event_kind kind, uint32_t port, const void *frame,
	       size_t len);

/* The one that inject_open() serves, when the next engine starts; and all that hear each other. */
extern struct plane *fake_plane_next;
void fake_wire(struct plane *p); /* joins the wire */
void fake_unwire(struct plane *p);

struct fake_port *fake_port_of(struct plane *p, vmac_mac_t address);

/* The guest's first frame: opens an armed gate, or is dropped and told of. */
void fake_guest_speaks(struct plane *p, vmac_mac_t address);
void fake_carrier(struct host *h, bool carrier);
void fake_vanish(struct host *h, const char *ifname); /* the link of a port */
void fake_readdress(struct host *h);		      /* the uplink has another address */

/* How many hosts have an open gate for an address now. */
unsigned int fake_open_gates(vmac_mac_t address);
