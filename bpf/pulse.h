/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The question whether this host still forwards (src/wire/pulse.h), which its programs answer: the
 * daemon of who asks hears no heartbeats of ours, and ours may be dead. */
#ifndef VMAC_BPF_PULSE_H
#define VMAC_BPF_PULSE_H

#include "frame.h"

#define PULSE_TYPE     0x88b5
#define PULSE_MARK     0x764d5001 /* "vMP", version 1 */
#define PULSE_QUESTION 1
#define PULSE_ANSWER   2

/* `tag`: octets of a VLAN tag that is in the frame. */
static __always_inline int is_pulse(struct __sk_buff *skb, __u32 tag)
{
	const __u8 *type = frame_start(skb) + 2 * ETH_ALEN + (tag ? 4 : 0);

	return (const void *)(type + 2) <= frame_end(skb) && type[0] == (PULSE_TYPE >> 8) &&
	       type[1] == (PULSE_TYPE & 0xff);
}

/* Sends a question back as its answer; what is none is the host's. */
__noinline int pulse_answer(struct __sk_buff *skb, __u32 slot, __u32 tag)
{
	__u8 text[2 * ETH_ALEN], kind = PULSE_ANSWER;
	__be32 mark;

	tag = tag ? 4 : 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + tag, text, 5))
		return TC_ACT_UNSPEC;
	__builtin_memcpy(&mark, text, sizeof(mark));
	if (mark != bpf_htonl(PULSE_MARK) || text[4] != PULSE_QUESTION)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, 0, text + ETH_ALEN, ETH_ALEN) ||
	    bpf_skb_load_bytes(skb, ETH_ALEN, text, ETH_ALEN) ||
	    bpf_skb_store_bytes(skb, 0, text, sizeof(text), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN + tag + 4, &kind, 1, 0))
		return TC_ACT_UNSPEC;
	count_tx(slot, weight_of(skb));
	return bpf_redirect(skb->ifindex, 0);
}

#endif
