/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The source guard: may this port send this frame?
 *
 * Theory of operation
 *
 * Everything is decided at the port where a frame enters, before anything is forwarded, so that two
 * guests of one host are guarded from each other as they are from the wire.  Each function returns
 * PASS or the reason of the drop.
 *
 * Always: the source address is the vMAC, also inside ARP and ND; no VLAN tag; no control frames
 * for switches; no DHCP server, router advert or redirect unless the port may.  A header that such
 * a check needs and that is cut short, hidden behind a fragment or too deep in extension headers is
 * a drop: what cannot be read is not let through.
 *
 * The functions that are not inlined are global, and so verified once and not once for every way to
 * them; the verifier of Linux 5.15 lets those take numbers only, hence `number` (of the row) and
 * not the row.
 *
 * A port that may be a router speaks with the router's vMAC as with its own while it holds it
 * (claim.h); its IP senders are anybody's, because it forwards.
 *
 * Where addresses are bound (ROW_CHECK_IP), of both families: IPv4 senders are bound ones (0.0.0.0
 * only from a DHCP client and in ARP probes), IPv6 senders are bound ones or the link-local that
 * the vMAC forms (:: only for neighbour and router solicitations and MLD).  So a family of which no
 * address is bound is closed.
 *
 * Fragments (RFC 791, 8200): the part that carries the UDP or ICMPv6 header is judged, the later
 * ones pass. That is safe because a first part that does not hold the whole header is dropped (RFC
 * 7112) and later ones start at octet 8 at the earliest, behind the UDP header; ND is never
 * fragmented (RFC 6980). */
#ifndef VMAC_BPF_GUARD_H
#define VMAC_BPF_GUARD_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "claim.h"

#define PASS -1

#define IP6_HEADERS_READ_MAX 8	/* extension headers in one packet */
#define ND_OPTIONS_READ_MAX  16 /* options in one ND message */

#define ARP_ETHERNET 1

#define PORT_BOOTPS  67
#define PORT_BOOTPC  68
#define PORT_DHCP6_S 547

/* The second word of a mapped IPv4 address, ::ffff:0:0/96, of which the first is 0. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IP4_LOW(ip) (0xffff0000ULL | (__u64)(ip) << 32)
#else
#define IP4_LOW(ip) (0xffffULL << 32 | (__u64)(ip))
#endif

struct arp_ether_ip4 {
	__be16 hardware, protocol;
	__u8 hardware_len, protocol_len;
	__be16 op;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
} __attribute__((packed));

/* --- what is bound --------------------------------------------------------------------------- */

static __always_inline int row_has_ip4(const struct port_row *row, __u32 ip)
{
	for (int i = 0; i < ROW_IP4_MAX; i++) {
		if (i >= row->ip4_count)
			break;
		if (row->ip4[i] == ip)
			return 1;
	}
	return 0;
}

static __always_inline int row_has_ip6(const struct port_row *row, __u64 high, __u64 low)
{
	for (int i = 0; i < ROW_IP6_MAX; i++) {
		if (i >= row->ip6_count)
			break;
		if (row->ip6[i][0] == high && row->ip6[i][1] == low)
			return 1;
	}
	return 0;
}

/* The addresses that the port may call its own in ARP and ND. */
__noinline int row_holds(__u32 number, __u64 mac)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	struct claim *c;

	if (!row)
		return 0;
	c = row_claim(row, mac);
	return c && claim_holder(c) == ROW_SLOT(number);
}

/* Clusters (member.h): whether a member may send with that address, though it is not the port's
 * own; whether the address is a cluster's, for which the port must not speak; whether an NLB host
 * may call itself so. */
int member_sends(__u32 number, __u64 high, __u64 low);
int cluster_forbids(__u32 number, __u64 high, __u64 low);
int carry_names(__u32 port, __u64 mac, __u32 as_face);

static __always_inline int row_names(const struct port_row *row, __u32 number, __u64 mac)
{
	return mac == row->mac || (row->router_count && row_holds(number, mac)) ||
	       (row->flags & ROW_MEMBER && carry_names(ROW_SLOT(number), mac, 1));
}

static __always_inline int sends4(const struct port_row *row, __u32 number, __u32 ip)
{
	return row_has_ip4(row, ip) ||
	       (row->flags & ROW_MEMBER && member_sends(number, 0, IP4_LOW(ip)));
}

static __always_inline int sends6(const struct port_row *row, __u32 number, __u64 high, __u64 low)
{
	return row_has_ip6(row, high, low) ||
	       (row->flags & ROW_MEMBER && member_sends(number, high, low));
}

/* --- ARP, RARP (RFC 826, 903, 5227) ---------------------------------------------------------- */

static __always_inline int guard_arp(__u32 number, const struct port_row *row, const void *data,
				     const void *end)
{
	const struct arp_ether_ip4 *arp = data + ETH_HLEN;
	__u32 sender;

	if ((const void *)(arp + 1) > end)
		return DROP_MALFORMED;
	if (arp->hardware != bpf_htons(ARP_ETHERNET) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_len != ETH_ALEN || arp->protocol_len != 4)
		return DROP_MALFORMED;
	if (!row_names(row, number, mac_load(arp->sender_mac)))
		return DROP_SPOOFED_ARP;
	__builtin_memcpy(&sender, arp->sender_ip, sizeof(sender));
	if (sender && cluster_forbids(number, 0, IP4_LOW(sender)))
		return DROP_SPOOFED_ARP;
	if (!(row->flags & ROW_CHECK_IP))
		return PASS;
	if (sender == 0) /* a probe asks without claiming; odd operations are requests */
		return arp->op & bpf_htons(1) ? PASS : DROP_SPOOFED_ARP;
	return sends4(row, number, sender) ? PASS : DROP_SPOOFED_ARP;
}

/* --- IPv4 ------------------------------------------------------------------------------------ */

static __always_inline int guard_ip4(struct __sk_buff *skb, __u32 number,
				     const struct port_row *row, const void *data, const void *end)
{
	const struct iphdr *ip = data + ETH_HLEN;
	__be16 ports[4] = {}; /* source, destination, length, checksum */
	__u32 source, fragment, l4;
	int is_client = 0;

	if ((const void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return DROP_MALFORMED;
	l4 = ETH_HLEN + ip->ihl * 4;
	if (l4 > skb->len)
		return DROP_MALFORMED;
	source = ip->saddr;
	fragment = bpf_ntohs(ip->frag_off) & 0x3fff; /* more fragments, and the offset */
	if (ip->protocol == PROTO_UDP && !(fragment & 0x1fff)) {
		if (l4 == ETH_HLEN + sizeof(*ip) && data + ETH_HLEN + sizeof(*ip) + 8 <= end)
			__builtin_memcpy(ports, data + ETH_HLEN + sizeof(*ip), 8);
		else if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)))
			return fragment ? DROP_FRAGMENT : DROP_MALFORMED;
		/* The packet may end before the frame does: the header must be inside both. */
		if (fragment && bpf_ntohs(ip->tot_len) < l4 - ETH_HLEN + 8)
			return DROP_FRAGMENT;
		if (ports[0] == bpf_htons(PORT_BOOTPS) && !(row->flags & ROW_DHCP_SERVER))
			return DROP_DHCP_SERVER;
		is_client = !fragment && ports[0] == bpf_htons(PORT_BOOTPC) &&
			    ports[1] == bpf_htons(PORT_BOOTPS);
	}
	if (!(row->flags & ROW_CHECK_IP) || sends4(row, number, source))
		return PASS;
	return source == 0 && is_client ? PASS : DROP_SPOOFED_IP;
}

/* --- IPv6 ------------------------------------------------------------------------------------ */

enum icmp6_type {
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_ROUTER_SOLICIT = 133,
	ICMP6_ROUTER_ADVERT = 134,
	ICMP6_NEIGHBOUR_SOLICIT = 135,
	ICMP6_NEIGHBOUR_ADVERT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
};

/* The link-layer address options (RFC 4861 section 4.6.1) between off and end are the vMAC. */
__noinline int guard_nd_options(struct __sk_buff *skb, __u32 number, __u32 off, __u32 end)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	__u8 mac[8] __attribute__((aligned(8))), option[2];

	if (!row)
		return DROP_UNKNOWN_PORT;
	for (int i = 0; i < ND_OPTIONS_READ_MAX; i++) {
		if (off >= end)
			return PASS;
		if (off + 8 > end || bpf_skb_load_bytes(skb, off, option, 2) || option[1] == 0 ||
		    bpf_skb_load_bytes(skb, off + 2, mac, 6))
			return DROP_MALFORMED;
		if ((option[0] == 1 || option[0] == 2) && !row_names(row, number, mac_load(mac)))
			return DROP_SPOOFED_ND;
		off += option[1] * 8;
	}
	return off >= end ? PASS : DROP_IP6_HEADERS;
}

__noinline int guard_icmp6(struct __sk_buff *skb, __u32 number, __u32 off, __u32 is_fragment)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	struct {
		__u8 type, code;
		__u16 checksum;
		__u32 flags;
		__u64 target[2];
	} nd;
	__u64 source[2];
	__u16 payload;
	__u32 end;

	if (!row)
		return DROP_UNKNOWN_PORT;
	if (bpf_skb_load_bytes(skb, off, &nd, 8))
		return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
	if (nd.type < ICMP6_ROUTER_SOLICIT || nd.type > ICMP6_REDIRECT)
		return PASS;
	if ((nd.type == ICMP6_ROUTER_ADVERT || nd.type == ICMP6_REDIRECT) &&
	    !(row->flags & ROW_ROUTER_ADVERT))
		return DROP_ROUTER_ADVERT;
	if (is_fragment)
		return DROP_FRAGMENT;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + 4, &payload, sizeof(payload)))
		return DROP_MALFORMED;
	end = ETH_HLEN + sizeof(struct ipv6hdr) + bpf_ntohs(payload);
	if (end > skb->len || bpf_skb_load_bytes(skb, ETH_HLEN + 8, source, sizeof(source)))
		return DROP_MALFORMED;
	/* Who hears it would learn the sender under its source. */
	if (cluster_forbids(number, source[0], source[1]))
		return DROP_SPOOFED_ND;
	switch (nd.type) {
	case ICMP6_ROUTER_SOLICIT:
		return guard_nd_options(skb, number, off + 8, end);
	case ICMP6_ROUTER_ADVERT:
		return guard_nd_options(skb, number, off + 16, end);
	case ICMP6_REDIRECT: /* its option names another's address by design */
		return PASS;
	default:
		break;
	}
	if (off + sizeof(nd) > end || bpf_skb_load_bytes(skb, off, &nd, sizeof(nd)))
		return DROP_MALFORMED;
	/* An advert claims its target; a solicitation from :: claims it, too (RFC 4862
	 * section 5.4.2). Any other solicitation asks for somebody else's, from a source that was
	 * checked. */
	if (nd.type == ICMP6_NEIGHBOUR_ADVERT &&
	    cluster_forbids(number, nd.target[0], nd.target[1]))
		return DROP_SPOOFED_ND;
	if (row->flags & ROW_CHECK_IP && !sends6(row, number, nd.target[0], nd.target[1]) &&
	    (nd.type == ICMP6_NEIGHBOUR_ADVERT || !(source[0] | source[1])))
		return DROP_SPOOFED_ND;
	return guard_nd_options(skb, number, off + sizeof(nd), end);
}

/* The message types that may come from :: (RFC 4861, 4862, 2710, 3810). */
static __always_inline int icmp6_from_nobody(__u8 type)
{
	return type == ICMP6_NEIGHBOUR_SOLICIT || type == ICMP6_ROUTER_SOLICIT ||
	       type == ICMP6_MLD_REPORT || type == ICMP6_MLD_DONE || type == ICMP6_MLD2_REPORT;
}

/* Walks the extension headers (RFC 8200 section 4) up to what the guard must see. */
__noinline int guard_ip6_chain(struct __sk_buff *skb, __u32 number, __u32 next, __u32 from_nobody)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	__u32 off = ETH_HLEN + sizeof(struct ipv6hdr);
	__u32 is_fragment = 0;
	__u8 h[8];
	__be16 ports[4];
	int i;

	if (!row)
		return DROP_UNKNOWN_PORT;
	for (i = 0; i < IP6_HEADERS_READ_MAX; i++) {
		if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
		    next == IPPROTO_MH || next == 139 || next == 140) {
			if (bpf_skb_load_bytes(skb, off, h, 8))
				return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
			off += (h[1] + 1) * 8;
		} else if (next == IPPROTO_AH) {
			if (bpf_skb_load_bytes(skb, off, h, 8))
				return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
			off += (h[1] + 2) * 4;
		} else if (next == IPPROTO_FRAGMENT) {
			if (bpf_skb_load_bytes(skb, off, h, 8))
				return DROP_MALFORMED;
			if (h[2] || h[3] & 0xf8) /* a later part: its first one was judged */
				return from_nobody ? DROP_SPOOFED_IP : PASS;
			is_fragment = 1;
			off += 8;
		} else {
			break;
		}
		next = h[0];
	}
	if (i == IP6_HEADERS_READ_MAX)
		return DROP_IP6_HEADERS;
	if (off > skb->len)
		return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
	if (next == PROTO_UDP) {
		if (bpf_skb_load_bytes(skb, off, ports, sizeof(ports)))
			return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
		if (ports[0] == bpf_htons(PORT_DHCP6_S) && !(row->flags & ROW_DHCP_SERVER))
			return DROP_DHCP_SERVER;
	}
	if (next == PROTO_ICMP6) {
		if (bpf_skb_load_bytes(skb, off, h, 1))
			return is_fragment ? DROP_FRAGMENT : DROP_MALFORMED;
		if (from_nobody && !icmp6_from_nobody(h[0]))
			return DROP_SPOOFED_IP;
		return guard_icmp6(skb, number, off, is_fragment);
	}
	return from_nobody ? DROP_SPOOFED_IP : PASS;
}

static __always_inline int guard_ip6(struct __sk_buff *skb, __u32 number,
				     const struct port_row *row, const void *data, const void *end)
{
	const struct ipv6hdr *ip = data + ETH_HLEN;
	__u64 source[2];
	__u32 nobody = 0;

	if ((const void *)(ip + 1) > end || ip->version != 6)
		return DROP_MALFORMED;
	if (row->flags & ROW_CHECK_IP) {
		__builtin_memcpy(source, &ip->saddr, sizeof(source));
		if (!sends6(row, number, source[0], source[1])) {
			if (source[0] | source[1])
				return DROP_SPOOFED_IP;
			nobody = 1;
		}
	}
	if (ip->nexthdr == PROTO_TCP && !nobody)
		return PASS;
	return guard_ip6_chain(skb, number, ip->nexthdr, nobody);
}

/* --- Ethernet -------------------------------------------------------------------------------- */

/* RFC 1042 lets a station send IP and ARP in 802.2 SNAP, and some systems listen to it: nobody
 * needs it, and it would go round every check above. */
static __always_inline int guard_llc(const void *data, const void *end)
{
	const __u8 *llc = data + ETH_HLEN;
	__u16 type;

	if ((const void *)(llc + 8) > end)
		return PASS;
	if (llc[0] != 0xaa || llc[1] != 0xaa || llc[3] || llc[4] || (llc[5] && llc[5] != 0xf8))
		return PASS;
	type = llc[6] << 8 | llc[7];
	if (type == ETH_P_IP || type == ETH_P_ARP || type == ETH_P_RARP || type == ETH_P_IPV6 ||
	    type_is_tag(type))
		return DROP_SNAP;
	return PASS;
}

/* Frames that a switch takes as addressed to itself: a guest has no business with the switch. */
static __always_inline int guard_control(const struct ethhdr *eth, __u16 type)
{
	const __u8 *d = eth->h_dest;

	if (type == TYPE_EAPOL || type == ETH_P_SLOW || type == ETH_P_PAUSE || type == TYPE_LLDP)
		return DROP_L2_CONTROL;
	if (!(d[0] & 1))
		return PASS;
	/* 802.1Q tables 8-1 to 8-3: bridge, pause, LACP, 802.1X, LLDP (…00 to 0F) and the
	 * registration protocols (…20 to 2F), which would change VLANs on the switch's port. */
	if (d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && !d[3] && !d[4] &&
	    (d[5] <= 0x0f || (d[5] & 0xf0) == 0x20))
		return DROP_L2_CONTROL;
	/* Cisco: CDP, VTP, DTP (which negotiates trunks) and per-VLAN spanning tree. */
	if (d[0] == 0x01 && !d[1] && d[2] == 0x0c && d[3] == 0xcc && d[4] == 0xcc && d[5] >= 0xcc)
		return DROP_L2_CONTROL;
	return PASS;
}

/* A source that is not the port's own: a router's that the port may have?  An advertisement of an
 * active one is what makes it the port's, for this very frame. */
__noinline int guard_router(struct __sk_buff *skb, __u32 number, __u64 sa)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	struct claim *c;

	if (!row)
		return DROP_UNKNOWN_PORT;
	c = row_claim(row, sa);
	if (!c)
		return DROP_SPOOFED_MAC;
	return claim_speaks(c, ROW_SLOT(number), router_says(skb, sa, ETH_HLEN))
		       ? PASS
		       : DROP_ROUTER_CLAIM;
}

static __always_inline int guard_other(struct __sk_buff *skb, __u32 number,
				       const struct port_row *row, __u64 sa)
{
	if (row->flags & ROW_MEMBER && carry_names(ROW_SLOT(number), sa, 0))
		return PASS;
	return row->router_count ? guard_router(skb, number, sa) : DROP_SPOOFED_MAC;
}

/* data … end: at least an Ethernet header, linear as far as HEADERS_OCTETS. */
static __always_inline int guard(struct __sk_buff *skb, __u32 number, const struct port_row *row,
				 const void *data, const void *end)
{
	const struct ethhdr *eth = data;
	__u16 type = bpf_ntohs(eth->h_proto);
	int verdict;

	if (skb->vlan_present)
		return DROP_VLAN_TAG;
	if (mac_load(eth->h_source) != row->mac) {
		if (type_is_tag(type))
			return DROP_VLAN_TAG;
		verdict = guard_other(skb, number, row, mac_load(eth->h_source));
		if (verdict != PASS)
			return verdict;
	}
	verdict = guard_control(eth, type);
	if (verdict != PASS)
		return verdict;
	if (type == ETH_P_IP)
		return guard_ip4(skb, number, row, data, end);
	if (type == ETH_P_IPV6)
		return guard_ip6(skb, number, row, data, end);
	if (type == ETH_P_ARP || type == ETH_P_RARP)
		return guard_arp(number, row, data, end);
	if (type_is_tag(type))
		return DROP_VLAN_TAG;
	if (type <= TYPE_SNAP_MAX)
		return guard_llc(data, end);
	return PASS;
}

#endif
