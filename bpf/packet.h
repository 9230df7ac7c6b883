/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What of a packet says its flow.
 *
 * Theory of operation
 *
 * A flow is two addresses, a protocol and, where it has them, two ports.  IPv4 options and IPv6
 * extension headers are stepped over, as many as the guard reads.  Of a fragment nothing but
 * addresses and protocol is used, the first one not excepted, so that all go one way.  An ICMP
 * error is of the flow of the packet that it speaks of: that one was sent by the virtual address,
 * so its ends are exchanged.  Of it, eight octets behind its IP header are enough (RFC 792).
 *
 * Lengths that a packet states are not believed beyond the frame, nor needed. */
#ifndef VMAC_BPF_PACKET_H
#define VMAC_BPF_PACKET_H

#include "cluster.h"

#define PROTO_ICMP  1
#define PROTO_IPIP6 41
#define PROTO_SCTP  132

#define PACKET_SYN   (1u << 0) /* of TCP: the first of a flow, */
#define PACKET_END   (1u << 1) /* … or about its last: FIN or RST */
#define PACKET_PORTS (1u << 2) /* the ports say the flow */
#define PACKET_PART  (1u << 3) /* a fragment */
#define PACKET_FIRST (1u << 4) /* … the first: its ports are there, for rules only */
#define PACKET_ERROR (1u << 5) /* an ICMP error: the packet is the one inside */
#define PACKET_ND    (1u << 6) /* neighbour discovery */

struct packet {
	struct cluster_ip src, dst;
	__u16 ports[2]; /* as on the wire */
	__u8 proto, flags;
	__u16 unused;
	__u32 l4;
};

/* The EtherType in front of l3. */
static __always_inline __be16 type_of(struct __sk_buff *skb, __u32 l3)
{
	const void *at = frame_start(skb);
	__be16 type = 0;

	at += l3 - sizeof(type);
	asm volatile("" : "+r"(at)); /* no part of what follows is computed from another pointer */
	if (at + sizeof(type) <= frame_end(skb))
		return *(const __be16 *)at;
	bpf_skb_load_bytes(skb, l3 - sizeof(type), &type, sizeof(type));
	return type;
}

#define READ_OK	    0
#define READ_BROKEN -1
#define READ_OTHER  1 /* no IP */

/* --- one header after another ---------------------------------------------------------------- */

static __always_inline int has_ports(__u8 proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

static __always_inline int read_ip4(struct __sk_buff *skb, __u32 off, struct packet *p)
{
	struct iphdr ip;
	__u32 part;

	if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return READ_BROKEN;
	if (bpf_ntohs(ip.tot_len) < ip.ihl * 4 && !skb->gso_size)
		return READ_BROKEN;
	p->src = cluster_ip4(ip.saddr);
	p->dst = cluster_ip4(ip.daddr);
	p->proto = ip.protocol;
	p->flags = 0;
	part = bpf_ntohs(ip.frag_off) & 0x3fff;
	if (part)
		p->flags = part & 0x1fff ? PACKET_PART : PACKET_PART | PACKET_FIRST;
	p->l4 = off + ip.ihl * 4;
	return READ_OK;
}

/* From the first header behind the fixed one. */
static __noinline int read_ip6_chain(struct __sk_buff *skb, struct packet *p)
{
	__u32 off = p->l4, next = p->proto, part;
	__u8 h[8];
	int i;

	for (i = 0; i < IP6_HEADERS_READ_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if (bpf_skb_load_bytes(skb, off, h, sizeof(h)))
			return READ_BROKEN;
		if (next == IPPROTO_FRAGMENT) {
			part = (__u32)h[2] << 8 | h[3];
			if (part & 0xfff8)
				p->flags = PACKET_PART;
			else if (part & 1) /* else it is alone (RFC 6946) */
				p->flags = PACKET_PART | PACKET_FIRST;
			off += 8;
		} else {
			off += (h[1] + 1) * 8;
		}
		next = h[0];
		if (p->flags == PACKET_PART)
			break;
	}
	if (i == IP6_HEADERS_READ_MAX)
		return READ_BROKEN;
	p->l4 = off;
	p->proto = (__u8)next;
	return READ_OK;
}

static __always_inline int read_ip6(struct __sk_buff *skb, __u32 off, struct packet *p)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 6)
		return READ_BROKEN;
	__builtin_memcpy(&p->src, &ip.saddr, sizeof(p->src));
	__builtin_memcpy(&p->dst, &ip.daddr, sizeof(p->dst));
	p->proto = ip.nexthdr;
	p->flags = 0;
	p->l4 = off + sizeof(ip);
	return has_ports(p->proto) ? READ_OK : read_ip6_chain(skb, p);
}

/* Ports, of a protocol that has some. */
static __always_inline int read_ports(struct __sk_buff *skb, struct packet *p)
{
	if (!has_ports(p->proto) || (p->flags & PACKET_PART && !(p->flags & PACKET_FIRST)))
		return READ_OK;
	if (bpf_skb_load_bytes(skb, p->l4, p->ports, sizeof(p->ports)))
		return READ_BROKEN;
	if (!(p->flags & PACKET_PART))
		p->flags |= PACKET_PORTS;
	return READ_OK;
}

static __always_inline __u8 tcp_flags(__u8 bits)
{
	if ((bits & 0x12) == 0x02)
		return PACKET_SYN;
	return bits & 0x05 ? PACKET_END : 0;
}

static __always_inline int read_tcp(struct __sk_buff *skb, struct packet *p)
{
	__u8 h[14] __attribute__((aligned(4)));

	if (bpf_skb_load_bytes(skb, p->l4, h, sizeof(h)) || h[12] >> 4 < 5)
		return READ_BROKEN;
	__builtin_memcpy(p->ports, h, sizeof(p->ports));
	p->flags = PACKET_PORTS | tcp_flags(h[13]);
	return READ_OK;
}

/* --- ICMP ------------------------------------------------------------------------------------ */

static __noinline int read_inner(struct __sk_buff *skb, struct packet *p, __u32 is_ip6)
{
	struct cluster_ip dst = p->dst, ip;
	__u16 port;
	int r;

	r = is_ip6 ? read_ip6(skb, p->l4 + 8, p) : read_ip4(skb, p->l4 + 8, p);
	if (r != READ_OK || read_ports(skb, p) != READ_OK)
		return READ_BROKEN;
	/* Who was not told of a packet of its own is not to be told. */
	if (p->src.word[0] != dst.word[0] || p->src.word[1] != dst.word[1])
		return READ_BROKEN;
	ip = p->src;
	p->src = p->dst;
	p->dst = ip;
	port = p->ports[0];
	p->ports[0] = p->ports[1];
	p->ports[1] = port;
	/* Of what was sent in parts the ports are known by the first. */
	if (p->flags & PACKET_FIRST && has_ports(p->proto))
		p->flags = PACKET_PORTS;
	p->flags |= PACKET_ERROR;
	return READ_OK;
}

static __always_inline int read_icmp(struct __sk_buff *skb, struct packet *p, __u32 is_ip6)
{
	__u8 type;

	if (bpf_skb_load_bytes(skb, p->l4, &type, 1))
		return READ_BROKEN;
	if (is_ip6) {
		if (type >= ICMP6_ROUTER_SOLICIT && type <= ICMP6_REDIRECT)
			p->flags |= PACKET_ND;
		return type >= 1 && type <= 4 ? read_inner(skb, p, 1) : READ_OK;
	}
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12
		       ? read_inner(skb, p, 0)
		       : READ_OK;
}

/* --- the packet at octet l3 ------------------------------------------------------------------ */

/* TCP or UDP at l4, in place; 0: neither, or not sound. */
static __always_inline int read_usual_l4(const void *l4, const void *end, __u8 proto,
					 struct packet *p)
{
	const __u8 *h = l4;

	if (l4 + 8 > end)
		return 0;
	p->flags = PACKET_PORTS;
	if (proto == PROTO_TCP) {
		if (l4 + 14 > end || h[12] >> 4 < 5)
			return 0;
		p->flags = PACKET_PORTS | tcp_flags(h[13]);
	} else if (proto != PROTO_UDP) {
		return 0;
	}
	p->proto = proto;
	*(__u32 *)p->ports = *(const __u32 *)l4;
	return 1;
}

/* What nearly all packets are: TCP or UDP in whole, behind an IP header without options, all
 * linear; read in place, at a third of what the kernel's helper costs.  0: it is another, for
 * read_packet(), or not sound.  Each family by itself: an older verifier forgets which of them it
 * looked at. */
static __always_inline int read_usual(struct __sk_buff *skb, __u32 l3, __be16 type,
				      struct packet *p)
{
	const void *at = frame_start(skb), *end = frame_end(skb);

	at += l3;
	if (type == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = at;

		if ((const void *)(ip + 1) > end || *(const __u8 *)at != 0x45 ||
		    ip->frag_off & bpf_htons(0x3fff) || bpf_ntohs(ip->tot_len) < sizeof(*ip))
			return 0;
		p->src = cluster_ip4(ip->saddr);
		p->dst = cluster_ip4(ip->daddr);
		return read_usual_l4(ip + 1, end, ip->protocol, p);
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip6 = at;

		if ((const void *)(ip6 + 1) > end || ip6->version != 6)
			return 0;
		__builtin_memcpy(&p->src, &ip6->saddr, sizeof(p->src));
		__builtin_memcpy(&p->dst, &ip6->daddr, sizeof(p->dst));
		return read_usual_l4(ip6 + 1, end, ip6->nexthdr, p);
	}
	return 0;
}

/* Any packet.  Global, so that the verifier goes through its loops once and not once a caller. */
__noinline int read_packet(struct __sk_buff *skb, __u32 l3, __u32 type, struct packet *p)
{
	__u32 is_ip6 = type == bpf_htons(ETH_P_IPV6);
	int r;

	if (!p)
		return READ_BROKEN; /* which no caller's is */
	if (type == bpf_htons(ETH_P_IP))
		r = read_ip4(skb, l3, p);
	else if (is_ip6)
		r = read_ip6(skb, l3, p);
	else
		return READ_OTHER;
	if (r != READ_OK)
		return r;
	if (p->flags & PACKET_PART)
		return read_ports(skb, p);
	if (p->proto == PROTO_TCP)
		return read_tcp(skb, p);
	if (has_ports(p->proto))
		return read_ports(skb, p);
	if (p->proto == (is_ip6 ? PROTO_ICMP6 : PROTO_ICMP))
		return read_icmp(skb, p, is_ip6);
	return READ_OK;
}

/* --- hashes ---------------------------------------------------------------------------------- */

/* Of who asks and of what: SipHash-1-3 of source, ports and protocol, as on the wire (4 + 4 + 1
 * octets of IPv4, 16 + 4 + 1 of IPv6; ports of 0 where there are none), under the cluster's key
 * with the destination in its second half.  That one is of the cluster's own, so nobody else can
 * choose what the key is made to. */
static __always_inline __u64 packet_hash(const struct cluster_conf *conf, const struct packet *p)
{
	__u64 ports = p->flags & PACKET_PORTS ? (__u64)p->ports[0] | (__u64)p->ports[1] << 16 : 0;
	struct sip s;

	sip_start(&s, conf->key[0], conf->key[1] ^ ip_fold(p->dst));
	if (is_ip4(p->dst)) {
		sip_word(&s, ip4_of(p->src) | ports << 32);
		return sip_end(&s, p->proto | 9ULL << 56);
	}
	sip_word(&s, p->src.word[0]);
	sip_word(&s, p->src.word[1]);
	return sip_end(&s, ports | (__u64)p->proto << 32 | 21ULL << 56);
}

/* Of the client alone: its address (4 or 16 octets), or its network (3 or 8). */
static __always_inline __u64 client_hash(const struct cluster_conf *conf, const struct packet *p)
{
	__u64 by_network = conf->affinity == CLUSTER_BY_NETWORK, ip4 = ip4_of(p->src);
	struct sip s;

	sip_start(&s, conf->key[0], conf->key[1]);
	if (is_ip4(p->dst)) {
		if (by_network)
			return sip_end(&s, (ip4 & bpf_htonl(0xffffff00)) | 3ULL << 56);
		return sip_end(&s, ip4 | 4ULL << 56);
	}
	sip_word(&s, p->src.word[0]);
	if (by_network)
		return sip_end(&s, 8ULL << 56);
	sip_word(&s, p->src.word[1]);
	return sip_end(&s, 16ULL << 56);
}

#endif
