#include "wire/eth.h"

static bool is_tag_type(uint16_t type)
{
	return type == ETH_TYPE_VLAN || type == ETH_TYPE_SVLAN;
}

static vmac_mac_t read_mac(struct reader *r)
{
	uint64_t high = read_u16(r);

	return vmac_mac_from_u64(high << 32 | read_u32(r));
}

static struct eth_tag read_tag(struct reader *r, uint16_t type)
{
	uint16_t control = read_u16(r);

	return (struct eth_tag){
		.type = type,
		.priority = (uint8_t)(control >> 13),
		.drop_eligible = control & 0x1000,
		.vlan = control & 0x0fff,
	};
}

int eth_decode(struct reader *r, struct eth *ret, const char **ret_why)
{
	struct reader in = *r;
	struct eth e = { 0 };

	e.to = read_mac(&in);
	e.from = read_mac(&in);
	e.type = read_u16(&in);
	while (is_tag_type(e.type)) {
		if (e.tag_count == ETH_TAGS_MAX)
			return wire_fault(ret_why, "more than two VLAN tags");
		e.tags[e.tag_count] = read_tag(&in, e.type);
		if (e.tags[e.tag_count].vlan > ETH_VLAN_MAX)
			return wire_fault(ret_why, "VLAN 4095 is reserved");
		e.tag_count++;
		e.type = read_u16(&in);
	}
	if (in.failed)
		return wire_fault(ret_why, "frame ends inside the Ethernet header");
	if (vmac_mac_is_group(e.from))
		return wire_fault(ret_why, "sender is a group address");
	if (e.type <= ETH_LENGTH_MAX) {
		if (e.type > reader_left(&in))
			return wire_fault(ret_why, "frame is shorter than its length field says");
		in.end = in.at + e.type;
	} else if (e.type < ETH_TYPE_MIN) {
		return wire_fault(ret_why, "type field is neither a length nor a type");
	}
	*ret = e;
	*r = in;
	return 0;
}

void eth_encode(struct writer *w, const struct eth *e)
{
	if (e->tag_count > ETH_TAGS_MAX || vmac_mac_is_group(e->from) || is_tag_type(e->type) ||
	    (e->type > ETH_LENGTH_MAX && e->type < ETH_TYPE_MIN)) {
		w->failed = true;
		return;
	}
	write_bytes(w, e->to.octet, VMAC_MAC_LEN);
	write_bytes(w, e->from.octet, VMAC_MAC_LEN);
	for (unsigned int i = 0; i < e->tag_count; i++) {
		const struct eth_tag *t = &e->tags[i];

		if (!is_tag_type(t->type) || t->priority > 7 || t->vlan > ETH_VLAN_MAX)
			w->failed = true;
		write_u16(w, t->type);
		write_u16(w,
			  (uint32_t)t->priority << 13 | (t->drop_eligible ? 0x1000u : 0) | t->vlan);
	}
	write_u16(w, e->type);
}

void eth_pad(struct writer *w)
{
	if (writer_used(w) < ETH_FRAME_MIN)
		write_zeros(w, ETH_FRAME_MIN - writer_used(w));
}
