/* A host and a data plane that only note what they are told, and a wire between hosts: what one
 * announces the others' data planes hear. */
#pragma once

#include "host/host.h"
#include "plane/plane.h"

#define FAKE_PORTS  16
#define FAKE_HOSTS  8
#define FAKE_EVENTS 64

struct fake_port {
	bool set;
	struct plane_port port;
};

struct plane {
	struct plane *next;
	struct fake_port ports[FAKE_PORTS + 1];
	struct plane_event events[FAKE_EVENTS];
	unsigned int event_count, announced, queried, peers;
	uint32_t vni; /* of the last net told */
	bool was_open[FAKE_PORTS + 1][PLANE_GATE_COUNT];
};

struct host {
	bool carrier; /* of every link but the uplink */
	char links[FAKE_PORTS][IFNAME_MAX_LEN + 1];
	struct host_event events[FAKE_EVENTS];
	unsigned int event_count;
};

/* The one that inject_open() serves, when the next engine starts; and all that hear each other. */
extern struct plane *fake_plane_next;
void fake_wire(struct plane *p); /* joins the wire */
void fake_unwire(struct plane *p);

struct fake_port *fake_port_of(struct plane *p, vmac_mac_t address);

/* The guest's first frame: opens an armed gate, or is dropped and told of. */
void fake_guest_speaks(struct plane *p, vmac_mac_t address);
void fake_carrier(struct host *h, bool carrier);

/* How many hosts have an open gate for an address now. */
unsigned int fake_open_gates(vmac_mac_t address);
