/* What a face's announcement is made of.
 *
 * RARP first, which moves the switches' entry and says to the others who has it, and since which
 * epoch (wire/claim.h); then what clients and gateways know its addresses by.
 *
 * No switch may ever learn where a face lives that every host is to hear: in distributed mode
 * nothing is sent from it.  What says to clients that its addresses are at the face is sent from
 * the uplink's own address then, and there is no RARP.  Nobody believes an announcement of a group
 * address (RFC 1812 3.3.2), and a switch must not see one as a source: those have none.
 *
 * A face that is IP multicast's, 01-00-5E-7F-Y-Z, reaches who is a member of 239.255.Y.Z where a
 * switch looks at IGMP.  On the uplink itself the kernel says so and answers (links.c); in a VLAN
 * of it there is no device that it could do it by, so it is said from here, often enough that no
 * switch forgets. */
#include <assert.h>
#include <string.h>

#include "anchor/inside.h"
#include "wire/announce.h"
#include "wire/claim.h"
#include "wire/nd.h"
#include "wire/query.h"

static_assert(ANCHOR_FRAME_MAX >= CLAIM_LEN && ANCHOR_FRAME_MAX >= ANNOUNCE_LEN_MAX &&
		      ANCHOR_FRAME_MAX >= QUERY_LEN_MAX,
	      "room for every frame");

static void send_frame(struct anchor_core *c, struct anchor_entry *e, struct writer *w)
{
	assert(!w->failed);
	if (e->record->mode == CLUSTER_DISTRIBUTED)
		memcpy(w->start + VMAC_MAC_LEN, e->where.address.octet, VMAC_MAC_LEN);
	c->ops->send(c->ctx, &e->where, w->start, writer_used(w));
}

static void announce_address(struct anchor_core *c, struct anchor_entry *e, vmac_mac_t face,
			     const struct ip *ip)
{
	struct writer w = writer_of(c->frame, sizeof(c->frame));

	if (ip->family == 4)
		announce_arp(&w, ANNOUNCE_REQUEST, face, ip->octet);
	else
		announce_nd(&w, face, ip->octet, ip->octet, false);
	send_frame(c, e, &w);
}

void entry_announce(struct anchor_core *c, struct anchor_entry *e, unsigned int face,
		    uint64_t epoch)
{
	const struct cluster *r = e->record;
	struct claim_tag tag = { .epoch = epoch, .host = c->identity.number };
	struct writer w = writer_of(c->frame, sizeof(c->frame));

	static_assert(sizeof(r->key) == CLAIM_KEY_LEN, "one key for all");
	if (face >= r->face_count || !e->linked || e->where.internal)
		return;
	tag.address = r->faces[face];
	if (r->mode == CLUSTER_CARRY || tag.address.octet[0] & 1)
		return;
	if (r->mode == CLUSTER_DIRECTOR) {
		claim_write(&w, &tag, r->key);
		send_frame(c, e, &w);
	}
	for (unsigned int i = 0; i < r->address_count; i++)
		announce_address(c, e, tag.address, &r->addresses[i]);
}

/* --- listening ------------------------------------------------------------------------------- */

#define LISTEN_AGAIN SPAN_S(1)	/* the first may be lost */
#define LISTEN_EVERY SPAN_S(55) /* switches forget after 260 s (RFC 2236 section 8.4) */

bool face_is_multicast(const struct cluster *c, uint8_t ret_group[static 4])
{
	static const uint8_t prefix[] = { 0x01, 0x00, 0x5e, 0x7f };
	const uint8_t *face = c->face_count ? c->faces[0].octet : NULL;

	if (!face || memcmp(face, prefix, sizeof(prefix)) != 0)
		return false;
	memcpy(ret_group, (const uint8_t[]){ 239, 255, face[4], face[5] }, 4);
	return true;
}

static void send_mld(struct anchor_core *c, struct anchor_entry *e, const struct ip *ip, bool done)
{
	struct writer w = writer_of(c->frame, sizeof(c->frame));
	uint8_t group[16];

	nd_solicited_node(ip->octet, group);
	if (done)
		query_done_mld(&w, e->where.address, group);
	else
		query_report_mld(&w, e->where.address, group);
	assert(!w.failed);
	c->ops->send(c->ctx, &e->where, w.start, writer_used(&w));
}

/* Another one of this host's listens there to the group, which is of the last 24 bits alone. */
static bool others_listen(const struct anchor_core *c, const struct anchor_entry *e,
			  const struct ip *ip)
{
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++) {
		const struct anchor_entry *o = c->entries[i];

		if (!o || o == e || !o->listening || o->where.ifindex != e->where.ifindex ||
		    o->where.vlan != e->where.vlan)
			continue;
		for (unsigned int n = 0; n < o->record->address_count; n++)
			if (o->record->addresses[n].family == 6 &&
			    memcmp(o->record->addresses[n].octet + 13, ip->octet + 13, 3) == 0)
				return true;
	}
	return false;
}

static bool has_group(const struct cluster *r, const struct ip *ip)
{
	for (unsigned int i = 0; r && i < r->address_count; i++)
		if (r->addresses[i].family == 6 &&
		    memcmp(r->addresses[i].octet + 13, ip->octet + 13, 3) == 0)
			return true;
	return false;
}

void entry_unlisten(struct anchor_core *c, struct anchor_entry *e, const struct cluster *was,
		    const struct cluster *is)
{
	for (unsigned int i = 0; e->listening && e->linked && i < was->address_count; i++) {
		const struct ip *ip = &was->addresses[i];

		if (ip->family == 6 && !has_group(is, ip) && !others_listen(c, e, ip))
			send_mld(c, e, ip, true);
	}
	if (!is)
		e->listening = false;
	/* What is new is told of at once. */
	e->listen_due = is && e->listening ? (mono_t){ 0 } : MONO_NEVER;
}

static bool has_ipv6(const struct cluster *r)
{
	for (unsigned int i = 0; i < r->address_count; i++)
		if (r->addresses[i].family == 6)
			return true;
	return false;
}

void entry_listen(struct anchor_core *c, struct anchor_entry *e, bool hosts, mono_t now)
{
	struct writer w = writer_of(c->frame, sizeof(c->frame));
	const struct cluster *r = e->record;
	uint8_t group[4];
	const bool face = e->where.vlan && face_is_multicast(r, group);

	if (!hosts || !e->linked || e->leaving || e->where.internal || (!face && !has_ipv6(r))) {
		entry_unlisten(c, e, r, NULL);
		return;
	}
	if (e->listening && !mono_due(e->listen_due, now))
		return;
	e->listen_due = mono_after(now, e->listening ? LISTEN_EVERY : LISTEN_AGAIN);
	e->listening = true;
	if (face) {
		query_report_igmp(&w, e->where.address, group);
		assert(!w.failed);
		c->ops->send(c->ctx, &e->where, w.start, writer_used(&w));
	}
	for (unsigned int i = 0; i < r->address_count; i++)
		if (r->addresses[i].family == 6)
			send_mld(c, e, &r->addresses[i], false);
}
