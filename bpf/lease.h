/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Leases: nothing leaves or enters for a router's vMAC outside of its deadline.
 *
 * Theory of operation
 *
 * The two programs stand on every link that has routers, before all others.  The election extends a
 * deadline in router_slots with each advertisement; who does not (a backup, a daemon that hangs or
 * was killed) is silent by itself.  At egress it is the source that counts, so frames of packet
 * sockets are caught as are the kernel's own IGMP, MLD, ND and ARP out of a macvlan.  At ingress it
 * is the destination; group addresses are everybody's.
 *
 * Most frames are nobody's here: one bit in router_maybe says so, and only then is the hash asked.
 *
 * Tagged frames belong to a VLAN device on top of the link, which has programs of its own; the same
 * group number on both gives the same address, and their leases are two.
 *
 * Where the link is also an uplink of the switch, a guest may be a candidate for the same address:
 * its frames were judged where they entered, and what the switch will hand to it is its own. */
#ifndef VMAC_BPF_LEASE_H
#define VMAC_BPF_LEASE_H

#include "gate.h"

static __always_inline int router_maybe_has(__u64 mac)
{
	__u32 bit = ROUTER_MAYBE_BIT(mac), place = bit >> 6;
	__u64 *word = bpf_map_lookup_elem(&router_maybe, &place);

	return word && READ_ONCE(*word) >> (bit & 63) & 1;
}

static __always_inline struct router_slot *router_find(__u32 ifindex, __u32 vlan, __u64 mac,
						       __u32 *ret_slot)
{
	struct router_key key = { mac, ifindex, vlan };
	__u32 *slot = bpf_map_lookup_elem(&routers, &key);
	struct router_slot *r;

	if (!slot)
		return 0;
	*ret_slot = READ_ONCE(*slot);
	r = bpf_map_lookup_elem(&router_slots, ret_slot);
	if (!r || READ_ONCE(r->mac) != mac)
		return 0;
	if (vlan)
		return r->lower_ifindex == ifindex && r->lower_vlan == vlan ? r : 0;
	return r->ifindex == ifindex ? r : 0;
}

static __always_inline int lease_runs(const struct router_slot *r)
{
	return clock_before(clock_coarse(), READ_ONCE(r->until));
}

/* The frame's address is judged here: an Ethernet frame without a tag but that of priority. */
static __always_inline const struct ethhdr *router_frame(struct __sk_buff *skb)
{
	const struct ethhdr *eth = frame_start(skb);

	if ((const void *)(eth + 1) > frame_end(skb)) {
		if (bpf_skb_pull_data(skb, ETH_HLEN))
			return 0;
		eth = frame_start(skb);
		if ((const void *)(eth + 1) > frame_end(skb))
			return 0;
	}
	if (skb->vlan_present && skb->vlan_tci & 0xfff)
		return 0;
	return type_is_tag(bpf_ntohs(eth->h_proto)) ? 0 : eth;
}

/* A packet for a virtual address itself that is not neighbour discovery (RFC 9568 section 6.4.3).
 */
__noinline int lease_refuses(struct __sk_buff *skb, __u32 slot)
{
	struct router_ip_key key = { .slot = slot };
	__u8 next, type;
	__be16 proto;

	if (bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &proto, sizeof(proto)))
		return 0;
	if (proto == bpf_htons(ETH_P_IP)) {
		key.ip[10] = key.ip[11] = 0xff;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 16, key.ip + 12, 4))
			return 0;
		return bpf_map_lookup_elem(&router_ips, &key) != 0;
	}
	if (proto != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, ETH_HLEN + 24, key.ip, 16) ||
	    !bpf_map_lookup_elem(&router_ips, &key))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + 6, &next, 1) || next != PROTO_ICMP6 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &type, 1))
		return 1;
	return type < ICMP6_ROUTER_SOLICIT || type > ICMP6_REDIRECT;
}

/* --- the programs ---------------------------------------------------------------------------- */

/* The switch takes the frame from here to a port. */
static __always_inline int is_for_port(struct __sk_buff *skb, __u64 da)
{
	__u64 entry = index_of(skb->ifindex);
	__u32 to, link;

	if (!(entry & INDEX_UPLINK))
		return 0;
	to = receiver_of(NET_OF(INDEX_LOW(entry) - SLOT_UPLINK_0, 0) & (NET_COUNT - 1), da);
	if (to == SLOT_NOBODY || to > SLOT_PORTS)
		return 0;
	link = MEMBER_IFINDEX(member_of(to));
	return (__s32)link > 0 || gated_way(to, link) != WAY_WIRE;
}

static __always_inline int is_from_port(struct __sk_buff *skb)
{
	__u64 came = index_of(skb->ingress_ifindex);

	return came && !(came & INDEX_UPLINK);
}

SEC("tc")
int vmac_router_in(struct __sk_buff *skb)
{
	const struct ethhdr *eth = router_frame(skb);
	struct router_counters *c;
	struct router_slot *r;
	struct weight w;
	__u32 slot;
	__u64 da;

	if (!eth || eth->h_dest[0] & 1)
		return TC_ACT_UNSPEC;
	da = mac_load(eth->h_dest);
	if (!router_maybe_has(da))
		return TC_ACT_UNSPEC;
	r = router_find(skb->ifindex, 0, da, &slot);
	if (!r)
		return TC_ACT_UNSPEC;
	c = bpf_map_lookup_elem(&router_counts, &slot);
	if (!c)
		return TC_ACT_SHOT;
	w = weight_of(skb);
	if (!lease_runs(r)) {
		if (is_for_port(skb, da))
			return TC_ACT_UNSPEC;
		c->stopped_in += w.frames;
		return TC_ACT_SHOT;
	}
	if (READ_ONCE(r->flags) & ROUTER_NO_ACCEPT && lease_refuses(skb, slot)) {
		c->not_accepted += w.frames;
		return TC_ACT_SHOT;
	}
	c->passed_in += w.frames;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int vmac_router_out(struct __sk_buff *skb)
{
	const struct ethhdr *eth = router_frame(skb);
	struct router_counters *c;
	struct router_slot *r;
	struct weight w;
	__u32 slot;
	__u64 sa;

	if (!eth)
		return TC_ACT_UNSPEC;
	sa = mac_load(eth->h_source);
	if (!router_maybe_has(sa))
		return TC_ACT_UNSPEC;
	r = router_find(skb->ifindex, 0, sa, &slot);
	if (!r || is_from_port(skb))
		return TC_ACT_UNSPEC;
	c = bpf_map_lookup_elem(&router_counts, &slot);
	if (!c)
		return TC_ACT_SHOT;
	w = weight_of(skb);
	if (!lease_runs(r)) {
		c->stopped_out += w.frames;
		return TC_ACT_SHOT;
	}
	c->passed_out += w.frames;
	return TC_ACT_UNSPEC;
}

#endif
