/* A link with routers: its sockets, its data plane programs, its tunables, its own addresses.
 *
 * link_bring() looks at what is and brings it to what is needed; it is called whenever something
 * may have changed, does nothing where nothing has, and what fails is tried again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "elect/thread.h"
#include "wire/advert.h"

static struct link *link_by_name(struct elect *e, const char *ifname)
{
	struct link *l = e->links;

	while (l && strcmp(l->ifname, ifname) != 0)
		l = l->next;
	return l;
}

static struct link *link_by_index(struct elect *e, int ifindex)
{
	struct link *l = e->links;

	while (l && l->state.ifindex != ifindex)
		l = l->next;
	return l;
}

struct link *link_take(struct elect *e, const char *ifname)
{
	struct link *l = link_by_name(e, ifname);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->e = e;
	snprintf(l->ifname, sizeof(l->ifname), "%s", ifname);
	l->next = e->links;
	e->links = l;
	return l;
}

static void link_close(struct link *l)
{
	sd_event_source_disable_unref(l->io);
	sd_event_source_disable_unref(l->rest);
	l->io = l->rest = NULL;
	packet_close(l->packet);
	l->packet = NULL;
	l->wanted = 0;
}

/* --- its addresses --------------------------------------------------------------------------- */

static void on_address(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct link *l = ctx;
	bool local = a->ip.octet[0] == 0xfe && (a->ip.octet[1] & 0xc0) == 0x80;

	if (a->ip.family == 4 && l->source4.family == 0)
		l->source4 = a->ip; /* the kernel lists the primary one first */
	else if (a->ip.family == 6 && local && state == HOST_ADDRESS_LASTING &&
		 l->source6.family == 0)
		l->source6 = a->ip;
}

static void link_sources(struct link *l)
{
	struct error error;

	l->source4 = l->source6 = (struct ip){ 0 };
	if (host_addresses_list(l->e->host, l->state.ifindex, on_address, l, &error) < 0) {
		log_debug("%s: %s", l->ifname, error.message);
		l->broken = true;
		elect_retry_soon(l->e);
	}
}

/* --- its sockets ----------------------------------------------------------------------------- */

struct receiving {
	struct elect_core *core;
	int ifindex;
	mono_t now;
};

static void on_frame(void *ctx, const struct packet_frame *f)
{
	struct receiving *r = ctx;

	elect_core_frame(r->core, r->ifindex, f->data, f->len,
			 f->checksum_pending ? ADVERT_CHECKSUM_PENDING : 0, r->now);
}

/* 0 or more: frames; less: the link went down or away. */
static int link_receive(struct link *l)
{
	struct elect *e = l->e;
	struct receiving r = { e->core, l->state.ifindex, clock_boot() };
	int n;

	e->thread.begun = r.now;
	n = packet_receive(l->packet, RECEIVE_MAX, on_frame, &r);
	elect_core_flush(e->core);
	return n;
}

/* To be woken costs many times what a frame does, and whoever floods the link would wake us for
 * each.  So where frames come faster than this, the socket is left alone for a moment, and what
 * came meanwhile is read at once.  No timer of any protocol is as short as that moment. */
#define FLOOD_FRAMES	  64
#define FLOOD_WITHIN	  SPAN_MS(5)
#define FLOOD_REST	  SPAN_MS(1)
#define FLOOD_ACCURACY_US 50

static bool is_flooded(struct link *l, int frames, mono_t now)
{
	bool fast = mono_since(now, l->counted_from).ns < FLOOD_WITHIN.ns;

	l->counted += (unsigned int)frames;
	if (fast && l->counted < FLOOD_FRAMES)
		return false;
	fast = fast || frames >= FLOOD_FRAMES;
	l->counted = 0;
	l->counted_from = now;
	return fast;
}

static void link_turn(struct link *l)
{
	int frames = link_receive(l);
	mono_t now = l->e->thread.begun;
	bool rest = frames > 0 && is_flooded(l, frames, now);

	if (rest) {
		sd_event_source_set_time(l->rest, (uint64_t)mono_after(now, FLOOD_REST).ns / 1000);
		sd_event_source_set_enabled(l->rest, SD_EVENT_ONESHOT);
	}
	sd_event_source_set_enabled(l->io, rest ? SD_EVENT_OFF : SD_EVENT_ON);
	if (frames < 0) /* netlink says so too, and when it is back */
		link_bring(l->e, l);
}

static int on_packet(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	link_turn(ctx);
	return 0;
}

static int on_rested(sd_event_source *source, uint64_t usec, void *ctx)
{
	link_turn(ctx);
	return 0;
}

void links_listen(struct elect *e)
{
	for (struct link *l = e->links; l; l = l->next)
		if (l->packet)
			link_receive(l);
}

static unsigned int link_wants(const struct link *l)
{
	unsigned int wants = 0;

	for (const struct carrier *c = l->carriers; c; c = c->next_on_link) {
		const struct router *r;

		if (!c->set)
			continue;
		r = elect_router_record(elect_set_router(c->set));
		wants |= carrier_wants(r, &r->sets[elect_set_index(c->set)]);
	}
	return wants;
}

static int link_packets(struct link *l, struct error *ret_error)
{
	unsigned int wanted = link_wants(l);
	int r;

	if (l->packet && wanted == l->wanted)
		return 0;
	if (l->packet) {
		r = packet_want(l->packet, wanted, ret_error);
		if (r == 0)
			l->wanted = wanted;
		return r;
	}
	r = packet_open(l->state.ifindex, wanted, &l->packet, ret_error);
	if (r < 0)
		return r;
	l->wanted = wanted;
	r = sd_event_add_io(l->e->thread.loop, &l->io, packet_fd(l->packet), EPOLLIN, on_packet, l);
	if (r >= 0)
		r = sd_event_add_time(l->e->thread.loop, &l->rest, CLOCK_BOOTTIME, UINT64_MAX,
				      FLOOD_ACCURACY_US, on_rested, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->rest, SD_EVENT_OFF);
	if (r < 0) {
		link_close(l);
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	}
	sd_event_source_set_priority(l->io, SD_EVENT_PRIORITY_NORMAL);
	return 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The data plane first: no socket and no device before it watches. */
static int link_equip(struct link *l, struct error *ret_error)
{
	struct elect *e = l->e;
	int r = 0;

	if (!l->in_plane) {
		r = plane_router_link_set(e->plane, l->state.ifindex, ret_error);
		l->in_plane = r == 0;
	}
	if (r == 0 && !l->tuned) {
		r = tunables_parent_set(e->tunables, l->ifname, ret_error);
		l->tuned = r == 0;
	}
	if (r == 0)
		r = link_packets(l, ret_error);
	return r;
}

static void link_tell(struct link *l)
{
	struct elect_link link = {
		.ifname = l->ifname,
		.ifindex = l->state.ifindex,
		.usable = l->state.ifindex && l->state.up && l->state.carrier && l->in_plane &&
			  l->packet && l->tuned,
		.address = l->state.address,
		.source4 = l->source4,
		.source6 = l->source6,
	};

	if (l->told.ifindex == link.ifindex && l->told.usable == link.usable &&
	    vmac_mac_equal(l->told.address, link.address) &&
	    ip_equal(&l->told.source4, &link.source4) && ip_equal(&l->told.source6, &link.source6))
		return;
	l->told.ifindex = link.ifindex;
	l->told.usable = link.usable;
	l->told.address = link.address;
	l->told.source4 = link.source4;
	l->told.source6 = link.source6;
	elect_core_link(l->e->core, &link, clock_boot());
}

/* Also of a link that has another name by now: its values went with it. */
static void link_untune(struct link *l)
{
	struct host_link now;
	struct error error;
	const char *name = l->ifname;

	if (host_link_by_index(l->e->host, l->state.ifindex, &now, &error) == 0)
		name = now.ifname;
	if (tunables_parent_drop(l->e->tunables, l->ifname, name, &error) < 0)
		log_debug("%s: %s", name, error.message);
}

/* The link with that name is not there, or is another one than before. */
static void link_lost(struct link *l)
{
	struct error error;
	bool stayed = false; /* a device, on a link that only has another name now */

	link_close(l);
	if (l->in_plane)
		plane_router_link_remove(l->e->plane, l->state.ifindex, &error);
	if (l->tuned)
		link_untune(l);
	l->in_plane = l->tuned = false;
	l->state = (struct host_link){ 0 };
	l->source4 = l->source6 = (struct ip){ 0 };
	link_tell(l);
	for (struct carrier *c = l->carriers; c; c = c->next_on_link) {
		if (c->in_plane && c->set)
			plane_router_remove(l->e->plane, c->slot, &error);
		c->in_plane = false;
		if (c->ifindex &&
		    host_virtual_set_group(l->e->host, c->ifindex, l->e->doomed, &error) == 0)
			stayed = true;
		if (c->set)
			carrier_broken(l->e, c); /* its device went with it, or goes now */
	}
	if (stayed && host_virtual_delete_group(l->e->host, l->e->doomed, &error) < 0)
		log_debug("devices of %s: %s", l->ifname, error.message);
}

void link_bring(struct elect *e, struct link *l)
{
	struct host_link now;
	bool fresh;

	l->broken = false;
	l->trouble.code = ERROR_NONE;
	if (host_link_by_name(e->host, l->ifname, &now, &l->trouble) < 0) {
		l->broken = l->trouble.code != ERROR_NO_INTERFACE;
		if (l->state.ifindex)
			link_lost(l);
		if (l->broken)
			elect_retry_soon(e);
		return;
	}
	fresh = now.ifindex != l->state.ifindex;
	if (fresh && l->state.ifindex)
		link_lost(l);
	l->state = now;
	if (link_equip(l, &l->trouble) < 0) {
		log_debug("%s: %s", l->ifname, l->trouble.message);
		l->broken = true;
		elect_retry_soon(e);
	}
	link_sources(l);
	link_tell(l);
	for (struct carrier *c = l->carriers; fresh && c; c = c->next_on_link)
		if (c->set && c->state != CARRIER_READY)
			carrier_queue(e, c);
}

void link_need(struct elect *e, struct link *l)
{
	if (!l->packet || link_wants(l) != l->wanted)
		link_bring(e, l);
	else
		link_tell(l);
}

void link_drop(struct elect *e, struct link *l)
{
	struct link **at = &e->links;
	struct error error;

	link_close(l);
	if (l->tuned)
		link_untune(l);
	if (l->in_plane)
		plane_router_link_remove(e->plane, l->state.ifindex, &error);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l->out);
	free(l);
}

void links_retry(struct elect *e)
{
	for (struct link *l = e->links; l; l = l->next)
		if (l->broken)
			link_bring(e, l);
}

/* --- what happens ---------------------------------------------------------------------------- */

static void bring_all(struct elect *e)
{
	for (struct link *l = e->links; l; l = l->next)
		link_bring(e, l);
}

/* Somebody else may have deleted or altered a device of ours: then it is made again.  An event
 * tells what was when it was written, perhaps before we were done, so what is now counts. */
static void carrier_check(struct elect *e, struct carrier *c)
{
	struct host_link now;
	struct error error;

	if (!c->set || c->state != CARRIER_READY)
		return;
	if (host_link_by_index(e->host, c->ifindex, &now, &error) == 0 && now.up &&
	    vmac_mac_equal(now.address, c->mac) && strcmp(now.ifname, c->device) == 0)
		return;
	log_debug("%s was changed by somebody; it is made again", c->device);
	carrier_broken(e, c);
}

static void on_addresses(struct elect *e, const struct host_event *event)
{
	struct link *l = link_by_index(e, event->link.ifindex);
	struct carrier *c = carrier_by_index(e, event->link.ifindex);

	if (l) {
		link_sources(l);
		link_tell(l);
	}
	if (c && event->address_deleted)
		orders_restore(e, c);
}

static void on_device(struct elect *e, const struct host_event *event)
{
	struct carrier *c = carrier_by_index(e, event->link.ifindex);

	if (c && (event->kind == HOST_LINK_VANISHED || !event->link.up ||
		  !vmac_mac_equal(event->link.address, c->mac)))
		carrier_check(e, c);
}

void links_on_event(void *ctx, const struct host_event *event)
{
	struct elect *e = ctx;
	struct link *l;

	switch (event->kind) {
	case HOST_LINK_APPEARED:
	case HOST_LINK_VANISHED:
	case HOST_LINK_CHANGED:
		l = link_by_name(e, event->link.ifname);
		if (l)
			link_bring(e, l);
		else
			on_device(e, event);
		tracks_on_link(e, event->link.ifname);
		return;
	case HOST_ADDRESSES_CHANGED:
		on_addresses(e, event);
		return;
	case HOST_EVENTS_LOST:
		bring_all(e);
		for (unsigned int i = 0; i < ELECT_SETS_MAX; i++)
			if (e->carriers[i] && e->carriers[i]->state == CARRIER_READY)
				carrier_check(e, e->carriers[i]);
		tracks_on_link(e, NULL);
		return;
	}
}
