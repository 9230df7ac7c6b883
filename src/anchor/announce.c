/* What a face's announcement is made of.
 *
 * RARP first, which moves the switches' entry and says to the others who has it, and since which
 * epoch (wire/claim.h); then what clients and gateways know its addresses by.
 *
 * No switch may ever learn where a face lives that every host is to hear: in distributed mode
 * nothing is sent from it.  What says to clients that its addresses are at the face is sent from
 * the uplink's own address then, and there is no RARP.  Nobody believes an announcement of a group
 * address (RFC 1812 3.3.2), and a switch must not see one as a source: those have none. */
#include <assert.h>
#include <string.h>

#include "anchor/inside.h"
#include "wire/announce.h"
#include "wire/claim.h"

static_assert(ANCHOR_FRAME_MAX >= CLAIM_LEN && ANCHOR_FRAME_MAX >= ANNOUNCE_LEN_MAX,
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
