#include "fake_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "host/inject.h"
#include "host/virtual.h"
#include "rig.h"

static struct plane *wire;
struct plane *fake_plane_next;

void fake_wire(struct plane *p)
{
	p->next = wire;
	wire = p;
}

void fake_unwire(struct plane *p)
{
	struct plane **at = &wire;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
}

struct fake_port *fake_port_of(struct plane *p, vmac_mac_t address)
{
	for (unsigned int i = 1; i <= FAKE_PORTS; i++)
		if (p->ports[i].set && vmac_mac_equal(p->ports[i].port.address, address))
			return &p->ports[i];
	return NULL;
}

void fake_tell(struct plane *p, enum plane_event_kind kind, uint32_t port, const void *frame,
	       size_t len)
{
	struct plane_event *e = &p->events[p->event_count];

	if (p->event_count == FAKE_EVENTS)
		return;
	p->event_count++;
	*e = (struct plane_event){ .kind = kind, .port = port, .count = 1, .at = { rig_mono_ns } };
	e->len = (unsigned int)(len < PLANE_EVENT_FRAME ? len : PLANE_EVENT_FRAME);
	if (len > 0)
		memcpy(e->frame, frame, e->len);
}

void fake_guest_speaks(struct plane *p, vmac_mac_t address)
{
	struct fake_port *port = fake_port_of(p, address);

	if (!port)
		return;
	if (port->port.gate == PLANE_TUNNEL_IN && port->port.more.armed) {
		port->port.gate = PLANE_OPEN;
		fake_tell(p, PLANE_FLIPPED, port->port.id, NULL, 0);
	} else if (port->port.gate != PLANE_OPEN) {
		fake_tell(p, PLANE_SPOKE, port->port.id, NULL, 0);
	}
}

unsigned int fake_open_gates(vmac_mac_t address)
{
	unsigned int count = 0;

	for (struct plane *p = wire; p; p = p->next) {
		struct fake_port *port = fake_port_of(p, address);

		count += port && port->port.gate == PLANE_OPEN;
	}
	return count;
}

/* --- frames ---------------------------------------------------------------------------------- */

struct inject {
	struct plane *plane;
};

int inject_open(uint32_t mark, struct inject **ret, struct error *ret_error)
{
	*ret = calloc(1, sizeof(**ret));
	(*ret)->plane = fake_plane_next;
	return mark == PLANE_ANNOUNCE_MARK && *ret ? 0 : -ENOMEM;
}

void inject_close(struct inject *i)
{
	free(i);
}

/* The uplink is link 1; everything else is a port. */
int inject_send(struct inject *i, int ifindex, const void *frame, size_t len)
{
	vmac_mac_t from;

	i->plane->asked_at = ifindex;
	i->plane->asked_len = len < sizeof(i->plane->asked) ? len : sizeof(i->plane->asked);
	memcpy(i->plane->asked, frame, i->plane->asked_len);
	if (ifindex != 1) {
		i->plane->queried++;
		return 0;
	}
	i->plane->announced++;
	memcpy(from.octet, (const uint8_t *)frame + 6, 6);
	for (struct plane *p = wire; p; p = p->next) {
		struct fake_port *port = fake_port_of(p, from);

		if (p != i->plane && port && port->port.gate != PLANE_CLOSED &&
		    port->port.gate != PLANE_TUNNEL_IN)
			fake_tell(p, PLANE_STRANGER, port->port.id, frame, len);
	}
	return 0;
}

/* --- the data plane -------------------------------------------------------------------------- */

int plane_uplink_set(struct plane *p, const struct plane_uplink *uplink, struct error *ret_error)
{
	return 0;
}

int plane_uplink_remove(struct plane *p, unsigned int slot, struct error *ret_error)
{
	return 0;
}

static void gate_is(struct plane *p, struct fake_port *port, enum plane_gate gate,
		    const struct plane_gate_more *more)
{
	if (!(gate == PLANE_TUNNEL_IN && port->port.gate == PLANE_OPEN))
		port->port.gate = gate;
	port->port.more = *more;
	p->was_open[port->port.id][port->port.gate] = true;
}

int plane_port_set(struct plane *p, const struct plane_port *port, struct error *ret_error)
{
	struct fake_port *mine = &p->ports[port->id];
	enum plane_gate was = mine->set ? mine->port.gate : PLANE_CLOSED;

	mine->set = true;
	p->trails[port->id].family = 0;
	mine->port = *port;
	mine->port.gate = was;
	gate_is(p, mine, port->gate, &port->more);
	return 0;
}

int plane_port_remove(struct plane *p, uint32_t id, bool keep_dropping, struct error *ret_error)
{
	p->ports[id].set = false;
	return 0;
}

int plane_port_leave_trail(struct plane *p, uint32_t id, bool keep_dropping,
			   struct error *ret_error)
{
	p->trails[id] = p->ports[id].port.more.peer;
	return plane_port_remove(p, id, keep_dropping, ret_error);
}

int plane_trail_set(struct plane *p, uint32_t id, const struct ip *peer, struct error *ret_error)
{
	p->trails[id] = *peer;
	return 0;
}

void plane_trail_end(struct plane *p, uint32_t id)
{
	p->trails[id].family = 0;
}

int plane_port_gate(struct plane *p, uint32_t id, enum plane_gate gate,
		    const struct plane_gate_more *more, bool *ret_open, struct error *ret_error)
{
	gate_is(p, &p->ports[id], gate, more);
	if (ret_open)
		*ret_open = p->ports[id].port.gate == PLANE_OPEN;
	return 0;
}

int plane_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error)
{
	*ret_removed = 0;
	return 0;
}

int plane_tunnel_set(struct plane *p, int ifindex, struct error *ret_error)
{
	return 0;
}

int plane_tunnel_local(struct plane *p, const struct ip *local, struct error *ret_error)
{
	return 0;
}

int plane_tunnel_net(struct plane *p, const struct plane_net *net, uint32_t vni,
		     struct error *ret_error)
{
	p->vni = vni;
	return 0;
}

int plane_tunnel_peer(struct plane *p, const struct ip *peer, bool known, struct error *ret_error)
{
	p->peers += known ? 1 : (unsigned int)-1;
	return 0;
}

int plane_events_fd(struct plane *p)
{
	return -1;
}

void plane_events(struct plane *p, void (*fn)(void *ctx, const struct plane_event *e), void *ctx)
{
	unsigned int count = p->event_count;

	p->event_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct plane_event event = p->events[i];

		fn(ctx, &event);
	}
}

bool plane_claim(const struct plane *p, const struct plane_net *net, vmac_mac_t address,
		 struct plane_claim *ret)
{
	return false;
}

void plane_claims(const struct plane *p, void (*fn)(void *ctx, const struct plane_claim *c),
		  void *ctx)
{
}

int plane_port_counters(struct plane *p, uint32_t id, struct plane_counters *ret,
			struct error *ret_error)
{
	*ret = (struct plane_counters){ 0 };
	return 0;
}

int plane_uplink_counters(struct plane *p, unsigned int slot, struct plane_counters *ret,
			  struct error *ret_error)
{
	*ret = (struct plane_counters){ 0 };
	return 0;
}

void plane_facts(const struct plane *p, struct plane_facts *ret)
{
	*ret = (struct plane_facts){ .attach = "none" };
}

unsigned int plane_drop_reason_count(void)
{
	return 0;
}

const char *plane_drop_reason_name(unsigned int reason)
{
	return "";
}

const char *plane_drop_reason_meaning(unsigned int reason)
{
	return "";
}

/* --- the host -------------------------------------------------------------------------------- */

static int no_link(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_INTERFACE, NULL, "no such link");
}

/* Link 1 is the uplink "eth0"; a port's is 10 more than its place. */
static void fill_link(const struct host *h, int ifindex, struct host_link *ret)
{
	*ret = (struct host_link){ .ifindex = ifindex, .mtu = 1500, .up = true };
	ret->carrier = ifindex == 1 || h->carrier;
	snprintf(ret->ifname, sizeof(ret->ifname), "%s",
		 ifindex == 1 ? "eth0" : h->links[ifindex - 10]);
	ret->address = (vmac_mac_t){ { 2, 0, 0, 0, h->generation, (uint8_t)ifindex } };
}

static int place_of(const struct host *h, const char *ifname)
{
	for (int i = 0; i < FAKE_PORTS; i++)
		if (strcmp(h->links[i], ifname) == 0)
			return i;
	return -1;
}

/* The uplink has one of IPv4 and two of IPv6, of which one is not proven; this host is a router. */
int host_addresses_list(struct host *h, int ifindex,
			void (*fn)(void *ctx, const struct host_address *a,
				   enum host_address_state state),
			void *ctx, struct error *ret_error)
{
	const struct host_address list[] = {
		{ ifindex, { .family = 4, .octet = { 10, 9, 0, 1 } }, 24 },
		{ ifindex, { .family = 6, .octet = { 0xfd, 0, [15] = 1 } }, 64 },
		{ ifindex, { .family = 6, .octet = { 0xfd, 0, [15] = 2 } }, 64 },
	};
	const enum host_address_state states[] = { HOST_ADDRESS_LASTING, HOST_ADDRESS_PASSING,
						   HOST_ADDRESS_TENTATIVE };

	for (unsigned int i = 0; i < ARRAY_LEN(list) && ifindex == 1; i++)
		fn(ctx, &list[i], states[i]);
	return 0;
}

bool host_is_ip6_router(const char *ifname)
{
	return true;
}

int host_link_by_name(struct host *h, const char *ifname, struct host_link *ret,
		      struct error *ret_error)
{
	int place = place_of(h, ifname);

	if (strcmp(ifname, "eth0") == 0)
		fill_link(h, 1, ret);
	else if (place < 0)
		return no_link(ret_error);
	else
		fill_link(h, 10 + place, ret);
	return 0;
}

int host_link_by_index(struct host *h, int ifindex, struct host_link *ret, struct error *ret_error)
{
	if (ifindex != 1 && !h->links[ifindex - 10][0])
		return no_link(ret_error);
	fill_link(h, ifindex, ret);
	return 0;
}

static int make(struct host *h, const char *ifname, struct host_link *ret)
{
	int place = place_of(h, ifname);

	if (place < 0)
		place = place_of(h, "");
	snprintf(h->links[place], sizeof(h->links[place]), "%s", ifname);
	fill_link(h, 10 + place, ret);
	return 0;
}

int host_tap_make(struct host *h, const struct host_tap *tap, struct host_link *ret,
		  struct error *ret_error)
{
	return make(h, tap->ifname, ret);
}

int host_veth_make(struct host *h, const struct host_veth *veth, struct host_link *ret,
		   struct error *ret_error)
{
	return make(h, veth->ifname, ret);
}

int host_port_quieten(struct host *h, int ifindex, struct error *ret_error)
{
	return 0;
}

int host_link_delete(struct host *h, int ifindex, struct error *ret_error)
{
	h->links[ifindex - 10][0] = '\0';
	return 0;
}

static int filter_of(const struct host *h, vmac_mac_t address)
{
	for (int i = 0; i < FAKE_FILTERS; i++)
		if (vmac_mac_equal(h->filter[i], address))
			return i;
	return -1;
}

bool fake_filters(const struct host *h, vmac_mac_t address)
{
	return filter_of(h, address) >= 0;
}

int host_filter_add(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error)
{
	int at = filter_of(h, (vmac_mac_t){ 0 });

	if (filter_of(h, address) < 0 && at >= 0)
		h->filter[at] = address;
	return 0;
}

int host_filter_delete(struct host *h, int ifindex, vmac_mac_t address, struct error *ret_error)
{
	int at = filter_of(h, address);

	if (at >= 0)
		h->filter[at] = (vmac_mac_t){ 0 };
	return 0;
}

int host_filter_list(struct host *h, int ifindex, void (*fn)(void *ctx, vmac_mac_t address),
		     void *ctx, struct error *ret_error)
{
	return 0;
}

void fake_carrier(struct host *h, bool carrier)
{
	h->carrier = carrier;
	for (int i = 0; i < FAKE_PORTS; i++) {
		if (!h->links[i][0])
			continue;
		h->events[h->event_count] = (struct host_event){ .kind = HOST_LINK_CHANGED };
		fill_link(h, 10 + i, &h->events[h->event_count++].link);
	}
}

void host_dispatch(struct host *h, void (*fn)(void *ctx, const struct host_event *event), void *ctx)
{
	unsigned int count = h->event_count;

	h->event_count = 0;
	for (unsigned int i = 0; i < count; i++)
		fn(ctx, &h->events[i]);
}

void fake_readdress(struct host *h)
{
	struct host_event *e = &h->events[h->event_count++];

	h->generation++;
	e->kind = HOST_LINK_CHANGED;
	fill_link(h, 1, &e->link);
}

void fake_vanish(struct host *h, const char *ifname)
{
	int i = place_of(h, ifname);
	struct host_event *e = &h->events[h->event_count++];

	e->kind = HOST_LINK_VANISHED;
	fill_link(h, i + 10, &e->link);
	h->links[i][0] = '\0';
}
