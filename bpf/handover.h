/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A cluster's frame on its way to the member that was chosen: by its port, or by the wire.  With
 * which addresses, and why, says balance.h. */
#ifndef VMAC_BPF_HANDOVER_H
#define VMAC_BPF_HANDOVER_H

#include "choose.h"

#define HANDED_HERE 0x100

static __always_inline void mac_store(__u8 *to, __u64 mac)
{
	__u32 first = (__u32)mac;
	__u16 last = (__u16)(mac >> 32);

	__builtin_memcpy(to, &first, sizeof(first));
	__builtin_memcpy(to + 4, &last, sizeof(last));
}

static __always_inline int write_macs(struct __sk_buff *skb, __u64 da, __u64 sa)
{
	__u8 both[2 * ETH_ALEN] __attribute__((aligned(4)));

	mac_store(both, da);
	mac_store(both + ETH_ALEN, sa);
	return bpf_skb_store_bytes(skb, 0, both, sizeof(both), 0);
}

static __always_inline int write_da(struct __sk_buff *skb, __u64 da)
{
	__u8 one[ETH_ALEN] __attribute__((aligned(4)));

	mac_store(one, da);
	return bpf_skb_store_bytes(skb, 0, one, sizeof(one), 0);
}

static __always_inline int hand_to_port(struct __sk_buff *skb, __u32 from, __u32 cluster, __u32 to,
					__u32 way, __u64 mac, __u32 net, __u32 how, struct weight w)
{
	struct uplink_frame f = { .tagged = !!(how & HOW_TAGGED),
				  .in_band = !!(how & HOW_IN_BAND) };
	int reason, verdict;

	if (way == WAY_SHUT)
		return drop(from, DROP_RECEIVER_CLOSED, w);
	reason = how & HOW_NESTED ? DROP_VLAN_TAG : untag(skb, &f);
	if (reason == PASS && write_da(skb, mac))
		reason = DROP_NO_MEMORY;
	if (reason != PASS)
		return drop(from, (__u32)reason, w);
	count_cluster(cluster, local, w.frames);
	verdict = way == WAY_TUNNEL ? into_tunnel(skb, from, to, net)
				    : send_to_port(skb, from, to, member_of(to), w);
	return verdict == TC_ACT_REDIRECT ? HANDED_HERE : verdict;
}

/* The face's address, while this host may send with it; else 0. */
__noinline __u64 face_to_say(__u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 face = FACE_INDEX(number);

	return conf && face_speaks(s, face, clock_coarse()) ? conf->faces[face] : 0;
}

/* `sa`: with that address as its source; 0 = with the uplink's own. */
static __always_inline int hand_to_wire(struct __sk_buff *skb, __u32 from, __u32 cluster, __u64 mac,
					__u64 sa, __u32 net, __u32 how, struct weight w)
{
	__u32 number = NET_UPLINK(net) & 15, uplink = SLOT_UPLINK_0 + number, ifindex;
	const __u64 *own = bpf_map_lookup_elem(&uplink_macs, &number);
	__u64 member = member_of(uplink);

	ifindex = MEMBER_IFINDEX(member);
	if (!ifindex || !own)
		return drop(from, DROP_NO_UPLINK, w);
	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return drop(from, DROP_MTU, w);
	if (write_macs(skb, mac, sa ? sa : READ_ONCE(*own)) ||
	    ((how & HOW_CAME) == HOW_PORT && tag_for_uplink(skb, net)))
		return drop(from, DROP_NO_MEMORY, w);
	count_cluster(cluster, remote, w.frames);
	if ((how & HOW_CAME) == HOW_HOST)
		return TC_ACT_UNSPEC; /* on its way there */
	if (sa)
		skb->mark = MARK_ANNOUNCE;
	count_tx(uplink, w);
	return bpf_redirect(ifindex, 0);
}

static __always_inline int no_member(__u32 from, __u32 cluster, struct weight w)
{
	count_cluster(cluster, no_member, w.frames);
	return drop(from, DROP_NO_MEMBER, w);
}

/* To the member that was chosen (in the high half of `how`, as CHOSE_ID says); what fails is
 * `from`'s drop.  HANDED_HERE: the verdict is to be TC_ACT_REDIRECT, to a port here. */
__noinline int hand_over(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net, __u64 how)
{
	__u32 cluster = FACE_CLUSTER(number), chosen = (__u32)(how >> 32), id = chosen & CHOSE_ID;
	struct weight w = weight_of(skb);
	__u64 mac = id ? member_mac_of(cluster, id) : 0;
	__u32 way = WAY_WIRE, to;
	__u64 sa = 0;

	if (!mac)
		return no_member(from, cluster, w);
	count_member(cluster, id, w);
	if (chosen & CHOSE_SECOND)
		count_cluster(cluster, second, w.frames);
	to = member_port(net, mac, &way);
	if (to != SLOT_NOBODY) {
		if (to == from && !(chosen & CHOSE_NAT))
			return drop(from, DROP_HAIRPIN, w);
		return hand_to_port(skb, from, cluster, to, way, mac, net, (__u32)how, w);
	}
	if (!NET_UPLINK(net))
		return no_member(from, cluster, w);
	if (chosen & CHOSE_GUESSED)
		sa = face_to_say(number);
	else if (chosen & CHOSE_LENT)
		sa = mac_at(skb, 0);
	return hand_to_wire(skb, from, cluster, mac, sa, net, (__u32)how, w);
}

#endif
