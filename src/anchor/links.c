/* Uplinks with clusters: one socket each, however many clusters and VLANs there are; and the
 * memberships of faces that are IP multicast's.
 *
 * links_settle() looks at what is needed and brings it about; it is called whenever something may
 * have changed, does nothing where nothing has, and what fails is tried again. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "anchor/thread.h"
#include "base/log.h"
#include "wire/nd.h"

static struct uplink *uplink_by_index(const struct anchors *a, int ifindex)
{
	struct uplink *l = a->uplinks;

	while (l && l->ifindex != ifindex)
		l = l->next;
	return l;
}

/* --- receive --------------------------------------------------------------------------------- */

struct receiving {
	struct uplink *uplink;
	mono_t now;
};

static void on_frame(void *ctx, const struct ether_frame *f)
{
	struct receiving *r = ctx;

	anchor_core_frame(r->uplink->a->core, r->uplink->ifindex, f->vlan, f->data, f->len, r->now);
}

static int uplink_receive(struct uplink *l)
{
	struct receiving r = { l, clock_boot() };

	return ether_receive(l->ether, RECEIVE_MAX, on_frame, &r);
}

/* To be woken costs many times what a frame does: where frames come faster than this, the socket is
 * left alone for a moment, and what came meanwhile is read at once.  Heartbeats come every 200 ms
 * from each of 64 hosts at most; a flood is somebody's who is not one of them. */
#define FLOOD_FRAMES 64
#define FLOOD_WITHIN SPAN_MS(5)
#define FLOOD_REST   SPAN_MS(1)

static bool is_flooded(struct uplink *l, int frames, mono_t now)
{
	bool fast = mono_since(now, l->counted_from).ns < FLOOD_WITHIN.ns;

	l->counted += frames > 0 ? (unsigned int)frames : 0;
	if (fast && l->counted < FLOOD_FRAMES)
		return false;
	l->counted_from = now;
	l->counted = 0;
	return fast;
}

static void uplink_turn(struct uplink *l)
{
	int frames = uplink_receive(l);
	mono_t now = clock_boot();
	bool rest = is_flooded(l, frames, now);

	if (rest) {
		sd_event_source_set_time(l->rest, (uint64_t)mono_after(now, FLOOD_REST).ns / 1000);
		sd_event_source_set_enabled(l->rest, SD_EVENT_ONESHOT);
	}
	sd_event_source_set_enabled(l->io, rest ? SD_EVENT_OFF : SD_EVENT_ON);
	/* Of a link that went down the engine hears, too, and tells; one that is gone stays in
	 * trouble until it does. */
	if (frames < 0) {
		l->broken = true;
		l->a->links_due = true;
		punctual_retry_soon(&l->a->thread);
	}
}

static int on_packet(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	uplink_turn(ctx);
	return 0;
}

static int on_rested(sd_event_source *source, uint64_t usec, void *ctx)
{
	uplink_turn(ctx);
	return 0;
}

void links_take_in(struct anchors *a)
{
	for (struct uplink *l = a->uplinks; l; l = l->next)
		if (l->ether)
			uplink_receive(l);
}

/* --- send ------------------------------------------------------------------------------------ */

/* One frame that is lost is what heartbeats are made for.  But a host that nobody hears must not go
 * on as if all did. */
void links_send(struct anchors *a, const struct anchor_where *where, const void *frame, size_t len)
{
	struct uplink *l = uplink_by_index(a, where->ifindex);
	int r = l && l->ether ? ether_send(l->ether, where->vlan, frame, len) : -ENODEV;

	if (r == 0) {
		l->failures = 0;
		return;
	}
	a->send_failed++;
	if (!l || l->broken)
		return;
	if (++l->failures < FAILURES_MAX && r != -ENETDOWN && r != -ENXIO && r != -ENODEV)
		return;
	error_set(&l->trouble, ERROR_KERNEL_FAILED, "see the interface's state, MTU and queue",
		  "heartbeats cannot be sent: %s", strerror(-r));
	l->broken = true;
	a->links_due = true;
	punctual_retry_soon(&a->thread);
}

/* --- sockets --------------------------------------------------------------------------------- */

static void uplink_close(struct uplink *l)
{
	sd_event_source_disable_unref(l->io);
	sd_event_source_disable_unref(l->rest);
	l->io = l->rest = NULL;
	ether_close(l->ether);
	l->ether = NULL;
}

static int uplink_open(struct uplink *l)
{
	const struct ether_config config = {
		.ifindex = l->ifindex,
		.type = HEARTBEAT_TYPE,
		.group = heartbeat_group,
		.mark = PLANE_ANNOUNCE_MARK,
	};
	int r = ether_open(&config, &l->ether, &l->trouble);

	if (r < 0)
		return r;
	r = sd_event_add_io(l->a->thread.loop, &l->io, ether_fd(l->ether), EPOLLIN, on_packet, l);
	if (r >= 0)
		r = sd_event_add_time(l->a->thread.loop, &l->rest, CLOCK_BOOTTIME, UINT64_MAX, 1,
				      on_rested, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->rest, SD_EVENT_OFF);
	if (r < 0) {
		uplink_close(l);
		return error_set(&l->trouble, ERROR_NO_MEMORY, NULL, "not enough memory");
	}
	return 0;
}

static struct uplink *uplink_need(struct anchors *a, int ifindex)
{
	struct uplink *l = uplink_by_index(a, ifindex);

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l) {
			punctual_retry_soon(&a->thread);
			return NULL;
		}
		l->a = a;
		l->ifindex = ifindex;
		l->next = a->uplinks;
		a->uplinks = l;
	}
	l->needed = true;
	return l;
}

static void uplink_settle(struct anchors *a, struct uplink *l)
{
	if (!l->ether && uplink_open(l) < 0) {
		log_debug("anchors: link %d: %s", l->ifindex, l->trouble.message);
		l->broken = true;
		punctual_retry_soon(&a->thread);
	} else if (!l->broken) {
		l->trouble.code = ERROR_NONE;
	}
	anchor_core_link(a->core, l->ifindex, l->ether && !l->broken, clock_boot());
}

/* --- memberships ----------------------------------------------------------------------------- */

static void membership_end(struct membership *m)
{
	if (m->ifindex)
		close(m->fd);
	m->ifindex = 0;
}

/* Not in a VLAN of the uplink's: the kernel would say it outside of it (see announce.c). */
static bool needs_membership(const struct anchor_place *p, uint8_t group[static 4])
{
	return !p->leaving && p->hosts && p->where->ifindex && !p->where->vlan &&
	       face_is_multicast(p->record, group);
}

static void membership_settle(struct anchors *a, uint32_t id, const struct anchor_place *p)
{
	struct membership *m = &a->memberships[id];
	uint8_t group[4] = { 0 };
	int ifindex = p && needs_membership(p, group) ? p->where->ifindex : 0;
	struct error error;

	if (m->ifindex == ifindex && (!ifindex || memcmp(m->group, group, sizeof(group)) == 0))
		return;
	membership_end(m);
	if (!ifindex)
		return;
	if (ether_join(ifindex, group, &m->fd, &error) < 0) {
		log_debug("anchors: %s", error.message);
		punctual_retry_soon(&a->thread);
		return;
	}
	m->ifindex = ifindex;
	memcpy(m->group, group, sizeof(group));
}

/* Each as often as it is an address's: the kernel counts. */
static int hear_all(struct ether_link *ether, const struct cluster *c, bool on)
{
	uint8_t group[16];
	int r = 0;

	for (unsigned int i = 0; i < c->address_count && r == 0; i++) {
		if (c->addresses[i].family != 6)
			continue;
		nd_solicited_node(c->addresses[i].octet, group);
		r = ether_hear(ether, nd_group_mac(group), on);
	}
	return r;
}

static void hearing_end(struct anchors *a, struct hearing *h)
{
	const struct uplink *l = h->ifindex ? uplink_by_index(a, h->ifindex) : NULL;

	if (l && l->ether)
		hear_all(l->ether, h->record, false);
	cluster_release(h->record);
	*h = (struct hearing){ 0 };
}

/* In a VLAN, too: the NIC looks at addresses alone. */
static void hearing_settle(struct anchors *a, uint32_t id, const struct anchor_place *p)
{
	const int ifindex = p && !p->leaving && p->hosts ? p->where->ifindex : 0;
	const struct uplink *l = ifindex ? uplink_by_index(a, ifindex) : NULL;
	struct hearing *h = &a->hearings[id], new = { 0 };
	int r;

	if (h->ifindex == ifindex && (!ifindex || h->record == p->record))
		return;
	/* The new ones first: what stays is heard without a gap. */
	if (l && l->ether) {
		new = (struct hearing){ ifindex, cluster_hold(p->record) };
		r = hear_all(l->ether, p->record, true);
		if (r < 0)
			log_debug("anchors: link %d: questions: %s", ifindex, strerror(-r));
	}
	hearing_end(a, h);
	*h = new;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void uplink_forget(struct anchors *a, struct uplink *l)
{
	uplink_close(l); /* and with it all memberships */
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		if (a->hearings[id].ifindex == l->ifindex)
			hearing_end(a, &a->hearings[id]);
	free(l);
}

static void uplinks_drop(struct anchors *a)
{
	struct uplink **at = &a->uplinks, *l;

	while ((l = *at)) {
		if (l->needed) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		uplink_forget(a, l);
	}
}

void links_settle(struct anchors *a)
{
	struct anchor_place p;

	a->links_due = false;
	for (struct uplink *l = a->uplinks; l; l = l->next)
		l->needed = false;
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		bool there = anchor_core_place(a->core, id, &p);

		if (there && p.where->ifindex)
			uplink_need(a, p.where->ifindex);
		membership_settle(a, id, there ? &p : NULL);
		if (!there)
			hearing_settle(a, id, NULL);
	}
	uplinks_drop(a);
	/* What the machines say to it may break a link: that is seen the next time. */
	for (struct uplink *l = a->uplinks; l; l = l->next)
		uplink_settle(a, l);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		if (anchor_core_place(a->core, id, &p))
			hearing_settle(a, id, &p);
}

static void uplink_revive(struct uplink *l)
{
	l->broken = false;
	l->failures = 0;
	l->a->links_due = true;
}

void links_revive(struct anchors *a, int ifindex)
{
	struct uplink *l = uplink_by_index(a, ifindex);

	if (l && l->broken)
		uplink_revive(l);
}

void links_reopen(struct anchors *a)
{
	for (struct uplink *l = a->uplinks; l; l = l->next)
		uplink_revive(l);
	a->links_due = true;
}

const struct error *links_trouble(const struct anchors *a, int ifindex)
{
	const struct uplink *l = ifindex ? uplink_by_index(a, ifindex) : NULL;

	return l && l->trouble.code != ERROR_NONE ? &l->trouble : NULL;
}

void links_free(struct anchors *a)
{
	struct uplink *l;

	while ((l = a->uplinks)) {
		a->uplinks = l->next;
		uplink_close(l);
		free(l);
	}
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		membership_end(&a->memberships[id]);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		hearing_end(a, &a->hearings[id]);
}
