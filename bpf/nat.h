/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Nat: members without the virtual addresses, which are rewritten at their ports.
 *
 * Theory of operation
 *
 * What the cluster gives to a member has the virtual address as its destination, and reaches the
 * member with the member's own.  What the member sends from its own address is the cluster's if the
 * flow table says that its flow, with a virtual address in place of the own one, is this member's;
 * else it is the member's own business and is not touched.  So a member is reached under both.
 *
 * Of fragments the later ones have no ports.  Those of a question are known by its addresses and
 * protocol alone, and so is then the answer; those of an answer to a question in one piece by the
 * first of them, which comes first: what it was found to be is remembered for the others.
 *
 * ICMP errors bear a packet that was sent the other way: its address is rewritten as well, so that
 * who gets the error finds the flow that it has.
 *
 * Checksums are mended, not computed: what was wrong stays wrong.  One that the NIC is still to
 * complete is handled by the kernel's helpers, and so is a UDP checksum of zero (none). */
#ifndef VMAC_BPF_NAT_H
#define VMAC_BPF_NAT_H

#include "flow.h"

#define PROTO_DCCP    33
#define PROTO_UDPLITE 136

/* An address in a packet, and what becomes of it. */
struct rewrite {
	struct cluster_ip from, to;
	__u32 l3;
	__u32 is_source;
};

/* Where a protocol's checksum covers the addresses, behind the beginning of its header; 0 = it does
 * not. */
static __always_inline __u32 sum_offset(__u8 proto)
{
	switch (proto) {
	case PROTO_TCP:
		return 16;
	case PROTO_UDP:
	case PROTO_UDPLITE:
	case PROTO_DCCP:
		return 6;
	case PROTO_ICMP6:
		return 2;
	default:
		return 0;
	}
}

static __always_inline __u32 ip4_word(struct cluster_ip ip)
{
	__u32 w[4];

	__builtin_memcpy(w, &ip, sizeof(w));
	return w[3];
}

static __always_inline __s64 ip_diff(const struct rewrite *r, __u32 is_ip6)
{
	struct cluster_ip from = r->from, to = r->to;
	__u32 from4 = ip4_word(from), to4 = ip4_word(to);

	return is_ip6 ? bpf_csum_diff((__be32 *)&from, 16, (__be32 *)&to, 16, 0)
		      : bpf_csum_diff(&from4, 4, &to4, 4, 0);
}

/* Writes the address, and mends the header's own checksum (IPv4). */
static __always_inline int put_ip4(struct __sk_buff *skb, const struct rewrite *r)
{
	__u32 from = ip4_word(r->from), to = ip4_word(r->to);

	return bpf_skb_store_bytes(skb, r->l3 + (r->is_source ? 12 : 16), &to, sizeof(to), 0) ||
	       bpf_l3_csum_replace(skb, r->l3 + 10, from, to, sizeof(to));
}

/* `flags`: what the kernel may know of the sum of the whole packet follows here (RECOMPUTE) where the
 * packet's own checksum is mended as that of a pseudo header, and does not where it weighs it up. */
static __always_inline int put_ip6(struct __sk_buff *skb, const struct rewrite *r, __u64 flags)
{
	struct cluster_ip to = r->to;

	return bpf_skb_store_bytes(skb, r->l3 + (r->is_source ? 8 : 24), &to, sizeof(to), flags) !=
	       0;
}

/* The packet inside an ICMP error whose header is at icmp: its address, its checksums, and that of
 * the error, which covers all of them.  *p is that packet. */
static __noinline int rewrite_inner(struct __sk_buff *skb, const struct rewrite *r,
				    const struct packet *p, __u32 icmp, __u32 is_ip6)
{
	__u32 sum = is_ip6 || p->proto != PROTO_ICMP6 ? sum_offset(p->proto) : 0;
	__s64 diff = ip_diff(r, is_ip6);
	__be16 was, is;

	if (is_ip6) {
		if (put_ip6(skb, r, 0) || bpf_l4_csum_replace(skb, icmp + 2, 0, (__u64)diff, 0))
			return -1;
	} else if (put_ip4(skb, r)) { /* the two changes weigh each other up */
		return -1;
	}
	if (!sum || bpf_skb_load_bytes(skb, p->l4 + sum, &was, sizeof(was)) ||
	    (p->proto == PROTO_UDP && !was))
		return 0; /* none, or not all of it was sent back */
	if (bpf_l4_csum_replace(skb, p->l4 + sum, 0, (__u64)diff,
				p->proto == PROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0) ||
	    bpf_skb_load_bytes(skb, p->l4 + sum, &is, sizeof(is)) ||
	    bpf_l4_csum_replace(skb, icmp + 2, was, is, sizeof(is)))
		return -1;
	return 0;
}

static __always_inline int is_icmp_error(struct __sk_buff *skb, const struct packet *p,
					 __u32 is_ip6)
{
	__u8 type;

	if (p->proto != (is_ip6 ? PROTO_ICMP6 : PROTO_ICMP) || p->flags & PACKET_PART ||
	    bpf_skb_load_bytes(skb, p->l4, &type, 1))
		return 0;
	if (is_ip6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* PASS, or the reason of the drop: then nobody is to get the half of it. */
static __noinline int rewrite_packet(struct __sk_buff *skb, const struct rewrite *r, __u32 is_ip6)
{
	struct packet p = {}, inner;
	struct rewrite back = *r;
	__u32 sum;
	__u64 flags = BPF_F_PSEUDO_HDR;

	if ((is_ip6 ? read_ip6(skb, r->l3, &p) : read_ip4(skb, r->l3, &p)) != READ_OK)
		return DROP_NAT;
	if (is_icmp_error(skb, &p, is_ip6)) {
		inner = p;
		back.is_source = !r->is_source;
		back.l3 = p.l4 + 8;
		if (read_inner(skb, &inner, is_ip6) != READ_OK ||
		    rewrite_inner(skb, &back, &inner, p.l4, is_ip6))
			return DROP_NAT;
	}
	if (is_ip6 ? put_ip6(skb, r, BPF_F_RECOMPUTE_CSUM) : put_ip4(skb, r))
		return DROP_NAT;
	sum = is_ip6 || p.proto != PROTO_ICMP6 ? sum_offset(p.proto) : 0;
	if (!sum || (p.flags & PACKET_PART && !(p.flags & PACKET_FIRST)))
		return PASS;
	if (p.proto == PROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	return bpf_l4_csum_replace(skb, p.l4 + sum, 0, (__u64)ip_diff(r, is_ip6), flags)
		       ? DROP_NAT
		       : PASS;
}

static __always_inline int same_ip(struct cluster_ip a, struct cluster_ip b)
{
	return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

/* Source and destination for each other, which no checksum minds. */
static __always_inline int nat_exchange(struct __sk_buff *skb, __u32 is_ip6)
{
	__u8 ip[32], back[32];

	if (is_ip6) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 8, ip, 32))
			return DROP_NAT;
		__builtin_memcpy(back, ip + 16, 16);
		__builtin_memcpy(back + 16, ip, 16);
		return bpf_skb_store_bytes(skb, ETH_HLEN + 8, back, 32, 0) ? DROP_NAT : PASS;
	}
	if (bpf_skb_load_bytes(skb, ETH_HLEN + 12, ip, 8))
		return DROP_NAT;
	__builtin_memcpy(back, ip + 4, 4);
	__builtin_memcpy(back + 4, ip, 4);
	return bpf_skb_store_bytes(skb, ETH_HLEN + 12, back, 8, 0) ? DROP_NAT : PASS;
}

/* --- to a member ----------------------------------------------------------------------------- */

/* The packet at ETH_HLEN, on its way to a member's port: PASS, or the reason of the drop. */
__noinline int nat_to_member(struct __sk_buff *skb, __u32 cluster, __u32 id)
{
	const struct cluster_member_conf *m = cluster_member_of(cluster, id);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	struct rewrite r = { .l3 = ETH_HLEN };
	struct packet p = {};
	__u32 is_ip6;
	__be16 type;

	if (!conf || !(conf->flags & CLUSTER_NAT))
		return PASS;
	if (!m || bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &type, sizeof(type)))
		return DROP_NAT;
	is_ip6 = type == bpf_htons(ETH_P_IPV6);
	if (!is_ip6 && type != bpf_htons(ETH_P_IP))
		return PASS;
	if ((is_ip6 ? read_ip6(skb, ETH_HLEN, &p) : read_ip4(skb, ETH_HLEN, &p)) != READ_OK)
		return DROP_NAT;
	if (!cluster_has_ip(conf, p.dst))
		return PASS;
	r.from = p.dst;
	r.to = m->own[is_ip6];
	if (!(r.to.word[0] | r.to.word[1]))
		return DROP_NAT;
	/* Its own question to itself: with the virtual address as who asks, or the guest would take
	 * the packet for a forged one.  The sums are the same. */
	if (same_ip(p.src, r.to))
		return nat_exchange(skb, is_ip6);
	return rewrite_packet(skb, &r, is_ip6);
}

/* --- from a member --------------------------------------------------------------------------- */

/* The later fragments of what a member sends: who they are known to be by the first. */
static __always_inline void part_key(struct __sk_buff *skb, __u32 port, const struct packet *p,
				     __u32 is_ip6, struct nat_part *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->to = p->dst;
	ret->port = port;
	ret->proto = p->proto;
	/* IPv6: where the fragment header comes first, as it does but for options of a router. */
	bpf_skb_load_bytes(skb, ETH_HLEN + (is_ip6 ? sizeof(struct ipv6hdr) + 4 : 4), &ret->id,
			   is_ip6 ? 4 : 2);
}

/* The address under which the client of the flow knows the cluster: 1 and *ret.  *q is the flow as
 * its client sends it, but for the address. */
static __noinline int nat_find(const struct cluster_conf *conf, struct packet *q, __u32 cluster,
			       __u32 id, struct cluster_ip *ret)
{
	__u32 tick = (__u32)(bpf_ktime_get_boot_ns() >> FLOW_TICK_BITS), way;
	__u32 is_ip4 = !q->src.word[0] && (__u32)q->src.word[1] == bpf_htonl(0xffff);
	struct flow_line *line;
	__u64 hash, entry = 0;

	for (__u32 i = 0; i < CLUSTER_ADDRESSES; i++) {
		if (i >= conf->address_count)
			break;
		q->dst = conf->addresses[i];
		if (is_ip4 != (!q->dst.word[0] && (__u32)q->dst.word[1] == bpf_htonl(0xffff)))
			continue;
		hash = packet_hash(conf, q);
		line = flow_line_of(hash);
		if (!line)
			return 0;
		way = flow_find(line, hash, cluster, tick, &entry);
		if (way >= FLOW_WAYS || FLOW_ID(entry) != id)
			continue;
		/* Of a flow that was confirmed by its client: its answers keep it, too. */
		if (FLOW_STATE(entry) == FLOW_CONFIRMED)
			flow_renew(line, way, entry, 0,
				   q->proto == PROTO_TCP ? conf->tcp_ticks : conf->udp_ticks, tick);
		*ret = q->dst;
		return 1;
	}
	return 0;
}

/* Of that cluster?  By its ports; else by its addresses alone, as the parts of a question are. */
static __noinline int nat_is_clusters(const struct packet *p, __u32 entry, __u32 is_ip6,
				      struct cluster_ip *ret)
{
	__u32 cluster = PORT_CLUSTER_SLOT(entry), id = PORT_CLUSTER_ID(entry);
	const struct cluster_member_conf *m = cluster_member_of(cluster, id);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	struct packet q = { .src = p->dst,
			    .ports = { p->ports[1], p->ports[0] },
			    .proto = p->proto,
			    .flags = p->flags };

	if (!conf || !(conf->flags & CLUSTER_NAT) || !m || !same_ip(m->own[is_ip6 & 1], p->src))
		return 0;
	if (q.flags & PACKET_FIRST)
		q.flags = PACKET_PORTS;
	if (nat_find(conf, &q, cluster, id, ret))
		return 1;
	if (!(q.flags & PACKET_PORTS))
		return 0;
	q.flags = 0;
	return nat_find(conf, &q, cluster, id, ret);
}

/* A frame that the guard has passed: PASS, or the reason of the drop. */
__noinline int nat_from_member(struct __sk_buff *skb, __u32 port)
{
	const struct port_clusters *list = bpf_map_lookup_elem(&port_clusters, &port);
	struct rewrite r = { .l3 = ETH_HLEN, .is_source = 1 };
	struct cluster_ip *known;
	struct packet p = {};
	struct nat_part part;
	__u32 is_ip6, entry;
	__be16 type;
	int found = 0;

	if (!list || bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &type, sizeof(type)) ||
	    read_packet(skb, ETH_HLEN, type, &p) != READ_OK)
		return PASS;
	is_ip6 = type == bpf_htons(ETH_P_IPV6);
	r.from = p.src;
	if (p.flags & PACKET_PART) {
		part_key(skb, port, &p, is_ip6, &part);
		known = p.flags & PACKET_FIRST ? 0 : bpf_map_lookup_elem(&nat_parts, &part);
		if (known) {
			r.to = *known;
			return rewrite_packet(skb, &r, is_ip6);
		}
	}
	for (int i = 0; i < PORT_CLUSTERS_MAX && !found; i++) {
		entry = READ_ONCE(list->of[i]);
		if (!entry)
			break;
		found = nat_is_clusters(&p, entry, is_ip6, &r.to);
	}
	if (!found)
		return PASS;
	if (p.flags & PACKET_PART && p.flags & PACKET_FIRST)
		bpf_map_update_elem(&nat_parts, &part, &r.to, BPF_ANY);
	return rewrite_packet(skb, &r, is_ip6);
}

#endif
