/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Copies of a frame for many: along the list of a net's ports, to those for whom it is. */
#ifndef VMAC_BPF_COPY_H
#define VMAC_BPF_COPY_H

#include "member.h"
#include "ways.h"

/* Whom the copies of a frame are for; 0 = all. */
#define COPY_NOT_TO(cluster)  ((__u32)(cluster) + 1)
#define COPY_ONLY_TO(cluster) (0x10000 | ((__u32)(cluster) + 1))
#define COPY_ONLY_CARRIED     0x20000

__noinline int port_carries(__u32 port)
{
	const struct port_clusters *list = bpf_map_lookup_elem(&port_clusters, &port);
	const struct cluster_conf *conf;
	__u32 entry;

	if (!list)
		return 0;
	for (int i = 0; i < PORT_CLUSTERS_MAX; i++) {
		entry = READ_ONCE(list->of[i]);
		if (!entry)
			break;
		conf = conf_of(PORT_CLUSTER_SLOT(entry));
		if (conf && conf->mode == CLUSTER_MODE_CARRY)
			return 1;
	}
	return 0;
}

static __always_inline int copy_is_for(__u32 port, __u32 whom)
{
	if (whom == COPY_ONLY_CARRIED)
		return port_carries(port);
	return port_is_member(port, (whom & 0xffff) - 1) == !!(whom & 0x10000);
}

/* A copy for the port `slot`, if it is open and the copy is for it.  One that fails is
 * its receiver's loss.  A function of its own, so that the verifier reads it once and not once a
 * port. */
__noinline int copy_to(struct __sk_buff *skb, __u32 slot, __u32 whom)
{
	__u64 member = member_of(slot);
	__u32 ifindex = gated_link(slot, MEMBER_IFINDEX(member));
	struct weight w = weight_of(skb);

	if (!ifindex || (whom && !copy_is_for(slot, whom)))
		return 0;
	if (fits(skb, ifindex, MEMBER_MTU(member)) && bpf_clone_redirect(skb, ifindex, 0) == 0)
		count_tx(slot, w);
	else
		count_drop(slot, DROP_COPY_FAILED, w);
	return 0;
}

/* Copies the frame to every open port of the net but one, and to none but those for `whom` it
 * is. */
__noinline int replicate(struct __sk_buff *skb, __u32 net, __u32 except, __u32 whom)
{
	__u64 *head = bpf_map_lookup_elem(&heads, &net);
	__u32 slot;

	if (!head)
		return 0;
	slot = (__u32)READ_ONCE(*head);
	for (int i = 0; i < NET_PORTS_MAX; i++) {
		if (!slot)
			break;
		if (slot != except)
			copy_to(skb, slot, whom);
		slot = MEMBER_NEXT(member_of(slot));
	}
	return 0;
}

#endif
