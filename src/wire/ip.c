#include "wire/ip.h"

#include <string.h>

#include "wire/checksum.h"

#define FLAG_RESERVED	    0x8000
#define FLAG_DONT_FRAGMENT  0x4000
#define FLAG_MORE_FRAGMENTS 0x2000
#define FRAGMENT_MASK	    0x1fff
#define FLOW_MASK	    0xfffff

/* Closes a checksum field that was written as zero: `field` octets behind `start`, over what was
 * written from `start` on, added to sum. */
static uint16_t write_checksum(struct writer *w, uint8_t *start, size_t field, uint32_t sum)
{
	struct writer at = writer_of(start + field, 2);
	uint16_t value;

	value = checksum_finish(checksum_add(sum, start, (size_t)(w->at - start)));
	write_u16(&at, value);
	return value;
}

int ipv4_decode(struct reader *r, struct ipv4 *ret, const char **ret_why)
{
	const uint8_t *start = r->at;
	unsigned int header_len, total_len, flags;
	struct reader in = *r;
	struct ipv4 ip = { 0 };
	uint8_t version;

	version = read_u8(&in);
	ip.tos = read_u8(&in);
	total_len = read_u16(&in);
	ip.id = read_u16(&in);
	flags = read_u16(&in);
	ip.ttl = read_u8(&in);
	ip.protocol = read_u8(&in);
	read_u16(&in); /* checksum: proven over the whole header below */
	wire_take(&in, ip.from, sizeof(ip.from));
	wire_take(&in, ip.to, sizeof(ip.to));
	if (in.failed)
		return wire_fault(ret_why, "packet ends inside the IPv4 header");
	if (version >> 4 != 4)
		return wire_fault(ret_why, "version is not 4");
	header_len = (version & 0x0f) * 4u;
	if (header_len < IPV4_HEADER_LEN)
		return wire_fault(ret_why, "IPv4 header length is below 20");
	ip.options_len = (uint8_t)(header_len - IPV4_HEADER_LEN);
	wire_take(&in, ip.options, ip.options_len);
	if (in.failed)
		return wire_fault(ret_why, "packet ends inside the IPv4 options");
	if (checksum_finish(checksum_add(0, start, header_len)) != 0)
		return wire_fault(ret_why, "IPv4 header checksum is wrong");
	if (flags & FLAG_RESERVED)
		return wire_fault(ret_why, "IPv4 reserved flag is set");
	if (total_len < header_len || total_len - header_len > reader_left(&in))
		return wire_fault(ret_why, "IPv4 total length does not fit the packet");
	ip.payload_len = (uint16_t)(total_len - header_len);
	ip.dont_fragment = flags & FLAG_DONT_FRAGMENT;
	ip.more_fragments = flags & FLAG_MORE_FRAGMENTS;
	ip.fragment = flags & FRAGMENT_MASK;
	in.end = in.at + ip.payload_len;
	*ret = ip;
	*r = in;
	return 0;
}

void ipv4_encode(struct writer *w, const struct ipv4 *ip)
{
	unsigned int header_len = IPV4_HEADER_LEN + ip->options_len;
	uint8_t *start = w->at;

	if (ip->options_len > IPV4_OPTIONS_MAX || ip->options_len % 4 != 0 ||
	    ip->fragment > FRAGMENT_MASK) {
		w->failed = true;
		return;
	}
	write_u8(w, 0x40 | header_len / 4);
	write_u8(w, ip->tos);
	write_u16(w, header_len + ip->payload_len);
	write_u16(w, ip->id);
	write_u16(w, (ip->dont_fragment ? FLAG_DONT_FRAGMENT : 0u) |
			     (ip->more_fragments ? FLAG_MORE_FRAGMENTS : 0u) | ip->fragment);
	write_u8(w, ip->ttl);
	write_u8(w, ip->protocol);
	write_u16(w, 0);
	write_bytes(w, ip->from, sizeof(ip->from));
	write_bytes(w, ip->to, sizeof(ip->to));
	write_bytes(w, ip->options, ip->options_len);
	if (!w->failed)
		write_checksum(w, start, 10, 0);
}

int ipv6_decode(struct reader *r, struct ipv6 *ret, const char **ret_why)
{
	struct reader in = *r;
	struct ipv6 ip = { 0 };
	uint32_t first;

	first = read_u32(&in);
	ip.payload_len = read_u16(&in);
	ip.next_header = read_u8(&in);
	ip.hop_limit = read_u8(&in);
	wire_take(&in, ip.from, sizeof(ip.from));
	wire_take(&in, ip.to, sizeof(ip.to));
	if (in.failed)
		return wire_fault(ret_why, "packet ends inside the IPv6 header");
	if (first >> 28 != 6)
		return wire_fault(ret_why, "version is not 6");
	if (ip.payload_len > reader_left(&in))
		return wire_fault(ret_why, "IPv6 payload length does not fit the packet");
	ip.traffic_class = (uint8_t)(first >> 20);
	ip.flow = first & FLOW_MASK;
	in.end = in.at + ip.payload_len;
	*ret = ip;
	*r = in;
	return 0;
}

void ipv6_encode(struct writer *w, const struct ipv6 *ip)
{
	if (ip->flow > FLOW_MASK) {
		w->failed = true;
		return;
	}
	write_u32(w, UINT32_C(6) << 28 | (uint32_t)ip->traffic_class << 20 | ip->flow);
	write_u16(w, ip->payload_len);
	write_u8(w, ip->next_header);
	write_u8(w, ip->hop_limit);
	write_bytes(w, ip->from, sizeof(ip->from));
	write_bytes(w, ip->to, sizeof(ip->to));
}

uint32_t ipv4_pseudo_sum(const struct ipv4 *ip, uint8_t protocol)
{
	uint32_t sum = checksum_add(protocol, ip->from, sizeof(ip->from));

	return checksum_add(sum, ip->to, sizeof(ip->to));
}

uint32_t ipv6_pseudo_sum(const struct ipv6 *ip, uint8_t next_header)
{
	uint32_t sum = checksum_add(next_header, ip->from, sizeof(ip->from));

	return checksum_add(sum, ip->to, sizeof(ip->to));
}

/* --- UDP ------------------------------------------------------------------------------------- */

static int udp_decode(struct reader *r, uint32_t pseudo_sum, bool may_be_unchecked, struct udp *ret,
		      const char **ret_why)
{
	const uint8_t *start = r->at;
	struct reader in = *r;
	struct udp u = { 0 };
	uint16_t len, sum;

	u.from = read_u16(&in);
	u.to = read_u16(&in);
	len = read_u16(&in);
	sum = read_u16(&in);
	if (in.failed)
		return wire_fault(ret_why, "packet ends inside the UDP header");
	if (len < UDP_HEADER_LEN || len > UDP_HEADER_LEN + reader_left(&in))
		return wire_fault(ret_why, "UDP length does not fit the packet");
	u.unchecked = sum == 0;
	if (u.unchecked && !may_be_unchecked)
		return wire_fault(ret_why, "UDP over IPv6 without a checksum");
	if (!u.unchecked && checksum_finish(checksum_add(pseudo_sum + len, start, len)) != 0)
		return wire_fault(ret_why, "UDP checksum is wrong");
	u.payload_len = (uint16_t)(len - UDP_HEADER_LEN);
	in.end = in.at + u.payload_len;
	*ret = u;
	*r = in;
	return 0;
}

int udp4_decode(struct reader *r, const struct ipv4 *ip, struct udp *ret, const char **ret_why)
{
	return udp_decode(r, ipv4_pseudo_sum(ip, IP_PROTOCOL_UDP), true, ret, ret_why);
}

int udp6_decode(struct reader *r, const struct ipv6 *ip, struct udp *ret, const char **ret_why)
{
	return udp_decode(r, ipv6_pseudo_sum(ip, IP_PROTOCOL_UDP), false, ret, ret_why);
}

static void udp_encode(struct writer *w, uint32_t pseudo_sum, const struct udp *u,
		       const void *payload)
{
	uint32_t len = UDP_HEADER_LEN + (uint32_t)u->payload_len;
	uint8_t *start = w->at;

	write_u16(w, u->from);
	write_u16(w, u->to);
	write_u16(w, len);
	write_u16(w, 0);
	write_bytes(w, payload, u->payload_len);
	if (w->failed || u->unchecked)
		return;
	/* RFC 768: a sum of zero is sent as all ones, for zero means "none". */
	if (write_checksum(w, start, 6, pseudo_sum + len) == 0)
		start[6] = start[7] = 0xff;
}

void udp4_encode(struct writer *w, const struct ipv4 *ip, const struct udp *u, const void *payload)
{
	udp_encode(w, ipv4_pseudo_sum(ip, IP_PROTOCOL_UDP), u, payload);
}

void udp6_encode(struct writer *w, const struct ipv6 *ip, const struct udp *u, const void *payload)
{
	if (u->unchecked)
		w->failed = true;
	udp_encode(w, ipv6_pseudo_sum(ip, IP_PROTOCOL_UDP), u, payload);
}
