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

/* What is to be done to a packet.  Each CPU has one, in a map: between functions that the verifier
 * takes one by one only numbers go, and their stacks are short. */
struct nat_job {
	struct packet asked; /* the flow as its client sends it, but for the address */
	struct cluster_ip from, to;
	__u32 l3;
	__u32 is_source, is_ip6;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_job);
} nat_jobs SEC(".maps");

static __always_inline struct nat_job *nat_job(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nat_jobs, &zero);
}

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

static __always_inline __s64 nat_diff(const struct nat_job *n)
{
	struct cluster_ip from = n->from, to = n->to;
	__u32 from4 = ip4_of(from), to4 = ip4_of(to);

	return n->is_ip6 ? bpf_csum_diff((__be32 *)&from, 16, (__be32 *)&to, 16, 0)
			 : bpf_csum_diff(&from4, 4, &to4, 4, 0);
}

/* Writes the address, and mends the header's own checksum (IPv4).  `flags` (IPv6): what the kernel
 * may know of the sum of the whole packet follows here (RECOMPUTE) where the packet's own checksum
 * is mended as that of a pseudo header, and does not where the two weigh each other up. */
static __always_inline int put_ip(struct __sk_buff *skb, const struct nat_job *n, __u32 l3,
				  __u32 is_source, __u64 flags)
{
	__u32 from4 = ip4_of(n->from), to4 = ip4_of(n->to);
	struct cluster_ip to = n->to;

	if (n->is_ip6)
		return bpf_skb_store_bytes(skb, l3 + (is_source ? 8 : 24), &to, sizeof(to),
					   flags) != 0;
	return bpf_skb_store_bytes(skb, l3 + (is_source ? 12 : 16), &to4, sizeof(to4), 0) ||
	       bpf_l3_csum_replace(skb, l3 + 10, from4, to4, sizeof(to4));
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

static __always_inline __u32 packet_sum(const struct packet *p, __u32 is_ip6)
{
	return is_ip6 || p->proto != PROTO_ICMP6 ? sum_offset(p->proto) : 0;
}

/* The packet inside an ICMP error whose header is at icmp: its address, its checksums, and that of
 * the error, which covers all of them.  0 or -1. */
__noinline int nat_inner(struct __sk_buff *skb, __u32 icmp)
{
	struct nat_job *n = nat_job();
	struct packet p = {};
	__be16 was, is;
	__s64 diff;
	__u32 sum;

	if (!n || (n->is_ip6 ? read_ip6(skb, icmp + 8, &p) : read_ip4(skb, icmp + 8, &p)))
		return -1;
	diff = nat_diff(n);
	if (put_ip(skb, n, icmp + 8, !n->is_source, 0))
		return -1;
	/* In IPv4 the header's checksum has weighed the address up. */
	if (n->is_ip6 && bpf_l4_csum_replace(skb, icmp + 2, 0, (__u64)diff, 0))
		return -1;
	sum = packet_sum(&p, n->is_ip6);
	if (!sum || (p.flags & PACKET_PART && !(p.flags & PACKET_FIRST)) ||
	    bpf_skb_load_bytes(skb, p.l4 + sum, &was, sizeof(was)) ||
	    (p.proto == PROTO_UDP && !was))
		return 0; /* none, or not all of it was sent back */
	if (bpf_l4_csum_replace(skb, p.l4 + sum, 0, (__u64)diff,
				p.proto == PROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0) ||
	    bpf_skb_load_bytes(skb, p.l4 + sum, &is, sizeof(is)) ||
	    bpf_l4_csum_replace(skb, icmp + 2, was, is, sizeof(is)))
		return -1;
	return 0;
}

/* PASS, or the reason of the drop: nobody is to get half of it. */
__noinline int nat_do(struct __sk_buff *skb)
{
	struct nat_job *n = nat_job();
	__u64 flags = BPF_F_PSEUDO_HDR;
	struct packet p = {};
	__u32 sum;

	if (!n || (n->is_ip6 ? read_ip6(skb, n->l3, &p) : read_ip4(skb, n->l3, &p)))
		return DROP_NAT;
	if ((is_icmp_error(skb, &p, n->is_ip6) && nat_inner(skb, p.l4)) ||
	    put_ip(skb, n, n->l3, n->is_source, BPF_F_RECOMPUTE_CSUM))
		return DROP_NAT;
	sum = packet_sum(&p, n->is_ip6);
	if (!sum || (p.flags & PACKET_PART && !(p.flags & PACKET_FIRST)))
		return PASS;
	if (p.proto == PROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	return bpf_l4_csum_replace(skb, p.l4 + sum, 0, (__u64)nat_diff(n), flags) ? DROP_NAT : PASS;
}

static __always_inline int same_ip(struct cluster_ip a, struct cluster_ip b)
{
	return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

/* Source and destination for each other, which no checksum minds. */
__noinline int nat_exchange(struct __sk_buff *skb, __u32 l3, __u32 is_ip6)
{
	struct cluster_ip ip[2], back[2];
	__u32 ip4[2], back4[2];

	if (is_ip6) {
		if (bpf_skb_load_bytes(skb, l3 + 8, ip, sizeof(ip)))
			return DROP_NAT;
		back[0] = ip[1];
		back[1] = ip[0];
		return bpf_skb_store_bytes(skb, l3 + 8, back, sizeof(back), 0) ? DROP_NAT : PASS;
	}
	if (bpf_skb_load_bytes(skb, l3 + 12, ip4, sizeof(ip4)))
		return DROP_NAT;
	back4[0] = ip4[1];
	back4[1] = ip4[0];
	return bpf_skb_store_bytes(skb, l3 + 12, back4, sizeof(back4), 0) ? DROP_NAT : PASS;
}

/* --- to a member ----------------------------------------------------------------------------- */

/* The flow's entry, by which its answers are known; where nobody else saw to it. */
static __noinline int nat_note(const struct cluster_conf *conf, const struct packet *p,
			       __u32 cluster, __u32 id)
{
	__u64 hash = packet_hash(conf, p), found;
	__u32 tick = FLOW_TICK(clock_coarse()), renew;

	if (p->flags & PACKET_ERROR)
		return 0;
	renew = FLOW_RENEW(p->proto == PROTO_TCP ? conf->tcp_ticks : conf->udp_ticks,
			   p->flags & PACKET_END);
	found = flow_find(hash, cluster, tick, p->flags & PACKET_SYN ? 0 : renew);
	if (found && FLOW_ID(found) == id)
		return 0;
	flow_store(found, hash, FLOW_ENTRY(hash, FLOW_NEW, tick + FLOW_NEW_TICKS, cluster, id),
		   tick);
	return 0;
}

#define NAT_DO	     -2
#define NAT_EXCHANGE -3

/* What is to be done, or PASS, or the reason of a drop. */
__noinline int nat_plan_to(struct __sk_buff *skb, __u32 cluster, __u32 id, __u32 noted, __u32 l3)
{
	const struct cluster_member_conf *m = cluster_member_of(cluster, id);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	struct nat_job *n = nat_job();
	struct packet p = {};
	__be16 type;

	if (!conf || !(conf->flags & CLUSTER_NAT))
		return PASS;
	if (!m || !n || bpf_skb_load_bytes(skb, l3 - 2, &type, sizeof(type)) ||
	    read_packet(skb, l3, type, &p) != READ_OK)
		return DROP_NAT;
	if (!conf_has_ip(FACE_OF(cluster, 0), p.dst.word[0], p.dst.word[1]))
		return PASS;
	n->l3 = l3;
	n->is_source = 0;
	n->is_ip6 = type == bpf_htons(ETH_P_IPV6);
	n->from = p.dst;
	n->to = m->own[n->is_ip6 & 1];
	if (!(n->to.word[0] | n->to.word[1]))
		return DROP_NAT;
	if (!noted)
		nat_note(conf, &p, cluster, id);
	return same_ip(p.src, n->to) && !(p.flags & PACKET_ERROR) ? NAT_EXCHANGE : NAT_DO;
}

/* The packet at l3, on its way to a member's port: PASS, or the reason of the drop.  `noted`: the
 * flow has its entry. */
static __always_inline int nat_to_member(struct __sk_buff *skb, __u32 cluster, __u32 id,
					 __u32 noted, __u32 l3)
{
	int r = nat_plan_to(skb, cluster, id, noted, l3);
	const struct nat_job *n;

	if (r == NAT_DO)
		return nat_do(skb);
	if (r != NAT_EXCHANGE)
		return r;
	/* Its own question to itself: with the virtual address as who asks, or the guest would take
	 * the packet for a forged one. */
	n = nat_job();
	return n ? nat_exchange(skb, l3, n->is_ip6) : DROP_NAT;
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

/* Whether the member has that flow to the cluster's address of that number; -1: there is no such
 * address. */
__noinline int nat_has_flow(__u32 entry, __u32 which)
{
	__u32 tick = FLOW_TICK(clock_coarse());
	__u32 cluster = PORT_CLUSTER_SLOT(entry), id = PORT_CLUSTER_ID(entry);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	const struct nat_job *n = nat_job();
	struct packet q;
	__u64 hash, found;

	if (!conf || !n || which >= CLUSTER_ADDRESSES || which >= conf->address_count)
		return -1;
	q = n->asked;
	q.dst = conf->addresses[which];
	if (is_ip4(q.src) != is_ip4(q.dst))
		return 0;
	hash = packet_hash(conf, &q);
	found = flow_find(hash, cluster, tick, 0);
	if (!found || FLOW_ID(found) != id)
		return 0;
	/* Of a flow that was confirmed by its client: its answers keep it, too. */
	if (FLOW_STATE(found) == FLOW_CONFIRMED)
		flow_find(hash, cluster, tick,
			  FLOW_RENEW(q.proto == PROTO_TCP ? conf->tcp_ticks : conf->udp_ticks, 0));
	return 1;
}

/* The number of the address under which the client of the flow knows the cluster, or -1. */
__noinline int nat_find(__u32 entry)
{
	int r;

	for (__u32 i = 0; i < CLUSTER_ADDRESSES; i++) {
		r = nat_has_flow(entry, i);
		if (r)
			return r < 0 ? -1 : (int)i;
	}
	return -1;
}

/* Of that cluster?  By its ports; else by its addresses alone, as the parts of a question are. */
static __always_inline int nat_is_clusters(const struct packet *p, __u32 entry, struct nat_job *n)
{
	__u32 cluster = PORT_CLUSTER_SLOT(entry);
	const struct cluster_member_conf *m = cluster_member_of(cluster, PORT_CLUSTER_ID(entry));
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	int which;

	if (!conf || !(conf->flags & CLUSTER_NAT) || !m || !same_ip(m->own[n->is_ip6 & 1], p->src))
		return 0;
	n->asked.src = p->dst;
	n->asked.ports[0] = p->ports[1];
	n->asked.ports[1] = p->ports[0];
	n->asked.proto = p->proto;
	n->asked.flags = p->flags & PACKET_FIRST ? PACKET_PORTS : p->flags;
	which = nat_find(entry);
	if (which < 0 && n->asked.flags & PACKET_PORTS) {
		n->asked.flags = 0;
		which = nat_find(entry);
	}
	if (which < 0)
		return 0;
	n->to = conf->addresses[which & (CLUSTER_ADDRESSES - 1)];
	return 1;
}

/* NAT_DO, or PASS. */
__noinline int nat_plan_from(struct __sk_buff *skb, __u32 port)
{
	const struct port_clusters *list = bpf_map_lookup_elem(&port_clusters, &port);
	struct nat_job *n = nat_job();
	struct cluster_ip *known;
	struct packet p = {};
	struct nat_part part;
	__u32 entry;
	__be16 type;
	int found = 0;

	if (!list || !n || bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &type, sizeof(type)) ||
	    read_packet(skb, ETH_HLEN, type, &p) != READ_OK)
		return PASS;
	n->l3 = ETH_HLEN;
	n->is_source = 1;
	n->is_ip6 = type == bpf_htons(ETH_P_IPV6);
	n->from = p.src;
	if (p.flags & PACKET_PART) {
		part_key(skb, port, &p, n->is_ip6, &part);
		known = p.flags & PACKET_FIRST ? 0 : bpf_map_lookup_elem(&nat_parts, &part);
		if (known) {
			n->to = *known;
			return NAT_DO;
		}
	}
	for (int i = 0; i < PORT_CLUSTERS_MAX && !found; i++) {
		entry = READ_ONCE(list->of[i]);
		if (!entry)
			break;
		found = nat_is_clusters(&p, entry, n);
	}
	if (!found)
		return PASS;
	if (p.flags & PACKET_PART && p.flags & PACKET_FIRST)
		bpf_map_update_elem(&nat_parts, &part, &n->to, BPF_ANY);
	return NAT_DO;
}

/* A frame that the guard has passed: PASS, or the reason of the drop. */
static __always_inline int nat_from_member(struct __sk_buff *skb, __u32 port)
{
	return nat_plan_from(skb, port) == NAT_DO ? nat_do(skb) : PASS;
}

#endif
