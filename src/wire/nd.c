#include "wire/nd.h"

#include <string.h>

#include "wire/checksum.h"

#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define OPTION_UNIT	  8 /* option lengths count in these */

static const uint8_t unspecified[16];

static const char unknown_kind[] = "not a message of neighbour discovery that we know";

static bool is_multicast(const uint8_t ip[static 16])
{
	return ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t ip[static 16])
{
	return memcmp(ip, unspecified, sizeof(unspecified)) == 0;
}

static bool is_link_local(const uint8_t ip[static 16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

void nd_solicited_node(const uint8_t target[static 16], uint8_t ret_group[static 16])
{
	static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 0x01, [12] = 0xff };

	memcpy(ret_group, prefix, sizeof(prefix));
	memcpy(ret_group + 13, target + 13, 3);
}

vmac_mac_t nd_group_mac(const uint8_t group[static 16])
{
	return (vmac_mac_t){ { 0x33, 0x33, group[12], group[13], group[14], group[15] } };
}

static bool is_solicited_node(const uint8_t ip[static 16])
{
	uint8_t group[16];

	nd_solicited_node(ip, group);
	return memcmp(ip, group, sizeof(group)) == 0;
}

/* What RFC 4861 demands of a message and the addresses it travels with; NULL when it is fine. */
static const char *rule_broken(const struct ipv6 *ip, const struct nd *nd)
{
	if (ip->hop_limit != ND_HOP_LIMIT)
		return "hop limit is not 255";
	switch ((enum nd_kind)nd->kind) {
	case ND_ROUTER_SOLICIT: /* 6.1.1 */
		if (is_unspecified(ip->from) && nd->has_mac)
			return "router solicitation from nobody with a link-layer address";
		return NULL;
	case ND_ROUTER_ADVERT: /* 6.1.2 */
		if (!is_link_local(ip->from))
			return "router advertisement from an address that is not link-local";
		return NULL;
	case ND_NEIGHBOUR_SOLICIT: /* 7.1.1 */
		if (is_multicast(nd->target))
			return "target is a multicast address";
		if (is_unspecified(ip->from) && !is_solicited_node(ip->to))
			return "probe to an address that is not a solicited-node group";
		if (is_unspecified(ip->from) && nd->has_mac)
			return "probe with a link-layer address";
		return NULL;
	case ND_NEIGHBOUR_ADVERT: /* 7.1.2 */
		if (is_multicast(nd->target))
			return "target is a multicast address";
		if (is_multicast(ip->to) && nd->solicited)
			return "solicited advertisement to a group";
		return NULL;
	}
	return unknown_kind;
}

/* The option that a message carries its link-layer address in (sections 4.1 … 4.4). */
static uint8_t mac_option(const struct nd *nd)
{
	return nd->kind == ND_NEIGHBOUR_ADVERT ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC;
}

/* The part between the ICMPv6 header and the options. */
static void read_body(struct reader *r, struct nd *nd)
{
	uint32_t flags;

	switch ((enum nd_kind)nd->kind) {
	case ND_ROUTER_SOLICIT:
		read_u32(r);
		break;
	case ND_ROUTER_ADVERT:
		nd->hop_limit = read_u8(r);
		flags = read_u8(r);
		nd->managed = flags & 0x80;
		nd->other = flags & 0x40;
		nd->preference = flags >> 3 & 0x3;
		nd->lifetime_s = read_u16(r);
		nd->reachable_ms = read_u32(r);
		nd->retrans_ms = read_u32(r);
		/* RFC 4191 section 2.2: the reserved value is taken as medium, and without a
		 * lifetime the field says nothing. */
		if (nd->preference == 2 || nd->lifetime_s == 0)
			nd->preference = 0;
		break;
	case ND_NEIGHBOUR_SOLICIT:
		read_u32(r);
		wire_take(r, nd->target, sizeof(nd->target));
		break;
	case ND_NEIGHBOUR_ADVERT:
		flags = read_u32(r);
		nd->router = flags >> 31;
		nd->solicited = flags >> 30 & 1;
		nd->override = flags >> 29 & 1;
		wire_take(r, nd->target, sizeof(nd->target));
		break;
	}
}

/* Reads one option; what is wrong with it, or NULL. */
static const char *read_option(struct reader *r, struct nd *nd)
{
	uint8_t type = read_u8(r), units = read_u8(r);
	const uint8_t *value;
	vmac_mac_t mac;

	if (!r->failed && units == 0)
		return "option of length zero";
	value = read_bytes(r, units * (size_t)OPTION_UNIT - 2);
	if (!value)
		return "message ends inside an option";
	if (type != mac_option(nd))
		return NULL;
	if (units != 1)
		return "link-layer address that is not of Ethernet";
	memcpy(mac.octet, value, sizeof(mac.octet));
	if (nd->has_mac && !vmac_mac_equal(nd->mac, mac))
		return "two link-layer addresses that contradict each other";
	nd->mac = mac;
	nd->has_mac = true;
	return NULL;
}

int nd_decode(struct reader *r, const struct ipv6 *ip, struct nd *ret, const char **ret_why)
{
	size_t len = reader_left(r);
	const uint8_t *start = r->at;
	struct reader in = *r;
	struct nd nd = { 0 };
	const char *why;
	uint32_t sum;
	uint8_t code;

	nd.kind = read_u8(&in);
	code = read_u8(&in);
	read_u16(&in); /* checksum: proven over the whole message below */
	if (!in.failed && (nd.kind < ND_ROUTER_SOLICIT || nd.kind > ND_NEIGHBOUR_ADVERT))
		return wire_fault(ret_why, unknown_kind);
	read_body(&in, &nd);
	if (in.failed)
		return wire_fault(ret_why, "message ends inside neighbour discovery");
	sum = ipv6_pseudo_sum(ip, IP_PROTOCOL_ICMPV6);
	sum = checksum_add(sum + (uint32_t)len, start, len);
	if (checksum_finish(sum) != 0)
		return wire_fault(ret_why, "ICMPv6 checksum is wrong");
	if (code != 0)
		return wire_fault(ret_why, "ICMPv6 code is not 0");
	while (reader_left(&in) > 0) {
		why = read_option(&in, &nd);
		if (why)
			return wire_fault(ret_why, why);
	}
	why = rule_broken(ip, &nd);
	if (why)
		return wire_fault(ret_why, why);
	*ret = nd;
	*r = in;
	return 0;
}

size_t nd_len(const struct nd *nd)
{
	size_t option = nd->has_mac ? OPTION_UNIT : 0;

	switch ((enum nd_kind)nd->kind) {
	case ND_ROUTER_SOLICIT:
		return 8 + option;
	case ND_ROUTER_ADVERT:
		return 16 + option;
	case ND_NEIGHBOUR_SOLICIT:
	case ND_NEIGHBOUR_ADVERT:
		return 24 + option;
	}
	return 0;
}

static void write_body(struct writer *w, const struct nd *nd)
{
	switch ((enum nd_kind)nd->kind) {
	case ND_ROUTER_SOLICIT:
		write_u32(w, 0);
		break;
	case ND_ROUTER_ADVERT:
		/* Preference 2 is reserved, and MUST be 0 without a lifetime (RFC 4191
		 * section 2.2). */
		if (nd->preference > 3 || nd->preference == 2 ||
		    (nd->preference != 0 && nd->lifetime_s == 0))
			w->failed = true;
		write_u8(w, nd->hop_limit);
		write_u8(w, (nd->managed ? 0x80u : 0) | (nd->other ? 0x40u : 0) |
				    (uint32_t)nd->preference << 3);
		write_u16(w, nd->lifetime_s);
		write_u32(w, nd->reachable_ms);
		write_u32(w, nd->retrans_ms);
		break;
	case ND_NEIGHBOUR_SOLICIT:
		write_u32(w, 0);
		write_bytes(w, nd->target, sizeof(nd->target));
		break;
	case ND_NEIGHBOUR_ADVERT:
		write_u32(w, (uint32_t)nd->router << 31 | (uint32_t)nd->solicited << 30 |
				     (uint32_t)nd->override << 29);
		write_bytes(w, nd->target, sizeof(nd->target));
		break;
	}
}

void nd_encode(struct writer *w, const struct ipv6 *ip, const struct nd *nd)
{
	uint8_t *start = w->at;
	uint32_t sum;
	uint16_t value;

	if (rule_broken(ip, nd)) {
		w->failed = true;
		return;
	}
	write_u8(w, nd->kind);
	write_u8(w, 0);
	write_u16(w, 0);
	write_body(w, nd);
	if (nd->has_mac) {
		write_u8(w, mac_option(nd));
		write_u8(w, 1);
		write_bytes(w, nd->mac.octet, VMAC_MAC_LEN);
	}
	if (w->failed)
		return;
	sum = ipv6_pseudo_sum(ip, IP_PROTOCOL_ICMPV6) + (uint32_t)nd_len(nd);
	value = checksum_finish(checksum_add(sum, start, nd_len(nd)));
	start[2] = (uint8_t)(value >> 8);
	start[3] = (uint8_t)value;
}
