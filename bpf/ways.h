/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The ends of a frame's way: dropped and counted, or handed to a link that takes it. */
#ifndef VMAC_BPF_WAYS_H
#define VMAC_BPF_WAYS_H

#include "gate.h"

/* Where a frame comes from, and how its tag is, in `how`. */
#define HOW_WIRE    0u
#define HOW_HOST    1u
#define HOW_PORT    2u
#define HOW_CAME    3u
#define HOW_TAGGED  4u
#define HOW_IN_BAND 8u
#define HOW_NESTED  16u

/* Where what the frame carries begins. */
static __always_inline __u32 l3_of(__u32 how)
{
	return ETH_HLEN + (how & HOW_IN_BAND ? 4 : 0);
}

static __always_inline int is_port(__u32 slot)
{
	return slot != SLOT_NOBODY && slot <= SLOT_PORTS;
}

static __always_inline int drop(__u32 slot, __u32 reason, struct weight w)
{
	count_drop(slot, reason, w);
	return TC_ACT_SHOT;
}

/* The frame (or each segment of it) is no longer than the link takes.  An unsegmented frame needs
 * one comparison; the tag of a VLAN does not count as long as it is not in the frame. */
static __always_inline int fits(struct __sk_buff *skb, __u32 ifindex, __u32 mtu)
{
	__u32 link_mtu = 0;

	if (skb->len <= mtu + ETH_HLEN)
		return 1;
	if (!skb->gso_size)
		return 0;
	return bpf_check_mtu(skb, ifindex, &link_mtu, 0, BPF_MTU_CHK_SEGS) == 0;
}

/* To the port `to` by its link; what fails is `from`'s drop. */
static __always_inline int send_to_port(struct __sk_buff *skb, __u32 from, __u32 to, __u64 member,
					struct weight w)
{
	__u32 ifindex = MEMBER_IFINDEX(member) & ~MEMBER_FLAGS;

	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return drop(from, DROP_MTU, w);
	count_tx(to, w);
	return bpf_redirect(ifindex, 0);
}

static __always_inline int tag_for_uplink(struct __sk_buff *skb, __u32 net)
{
	if (!NET_VLAN(net))
		return 0;
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), NET_VLAN(net));
}

/* A frame as an uplink sees it.  `tagged`: an 802.1Q tag, in metadata or in the frame, made `vlan`;
 * `nested`: there is another one behind it, so it is no access frame of any net here. */
struct uplink_frame {
	__u64 da, sa;
	__u32 slot, net;
	__u16 tci;
	__u8 tagged, in_band, nested, group, control;
};

/* Takes the tag off.  The kernel looks for one in the frame only where skb->protocol says so, which
 * a raw socket may have set to anything: then the tag is still there, and no port must see it. */
static __always_inline int untag(struct __sk_buff *skb, const struct uplink_frame *f)
{
	__be16 type;

	if (!f->tagged)
		return PASS;
	if (bpf_skb_vlan_pop(skb))
		return DROP_NO_MEMORY;
	if (f->in_band && (bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &type, sizeof(type)) ||
			   type_is_tag(bpf_ntohs(type))))
		return DROP_VLAN_TAG;
	return PASS;
}

#endif
