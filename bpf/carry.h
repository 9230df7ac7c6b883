/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Carry: guests that balance by themselves (Microsoft NLB), each of which must get every frame.
 *
 * Theory of operation
 *
 * A frame for the face (02-bf-W-X-Y-Z, 03-bf-W-X-Y-Z or 01-00-5e-7f-Y-Z) is copied to each member's
 * port here, and goes by the wire where it did not come from there: members of other hosts have
 * their copies so.  Nobody else gets one, the host included.  The network floods the face, which is
 * how NLB works: nobody ever speaks as it, and the guard sees to that.
 *
 * NLB's heartbeats (EtherType 0x886f) mostly are broadcasts; in a net that carries they go to
 * members only, and come from members only.
 *
 * A copy has the face as its destination, since NLB's driver wants to see it.  A guest without it
 * that is to take TCP from a group address would not: what kind of frame it is, is decided by its
 * own NIC. */
#ifndef VMAC_BPF_CARRY_H
#define VMAC_BPF_CARRY_H

#include "copy.h"

#define TYPE_NLB 0x886f

/* A frame for a face in a net; 0, or the reason for which there is no copy.  It is as it was. */
static __noinline int carry(struct __sk_buff *skb, __u32 cluster, __u32 net, __u32 from, __u32 how)
{
	__u32 tagged = how & HOW_TAGGED, in_band = how & HOW_IN_BAND;
	struct uplink_frame f = { .tagged = !!tagged, .in_band = !!in_band };
	__be16 tci = 0;
	int reason;

	if (in_band && bpf_skb_load_bytes(skb, ETH_HLEN, &tci, sizeof(tci)))
		return DROP_MALFORMED;
	f.tci = in_band ? bpf_ntohs(tci) : (__u16)skb->vlan_tci;
	reason = untag(skb, &f);
	if (reason != PASS)
		return reason;
	replicate(skb, net, from, COPY_ONLY_TO(cluster));
	if (tagged && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), f.tci))
		return DROP_NO_MEMORY;
	return PASS;
}

#endif
