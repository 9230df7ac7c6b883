/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One frame again and again for a program that rewrites it: puts addresses and flow back, and goes
 * on in that program.  So BPF_PROG_RUN can repeat it, and its clock is read once for thousands of
 * frames. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AGAIN_FAILED 99

/* Where the frame has its source's last word, and its source port. */
#define SOURCE_4 (ETH_HLEN + 12)
#define PORT_4	 (ETH_HLEN + 20)
#define SOURCE_6 (ETH_HLEN + 8 + 12)
#define PORT_6	 (ETH_HLEN + 40)

#define PORTS_BITS 15
#define PORT_FIRST 1024

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

__u32 macs[3];
__u32 which;	 /* of the programs */
__u32 flows = 1; /* the i-th frame is of flow i * step % flows */
__u32 step = 1;
__u32 turn;
__u32 is_ip6;
__u32 source; /* of the first flow; host order */

static __always_inline int write_flow(void *data, void *end, __u32 source_at, __u32 port_at)
{
	__u32 i = (__u32)((__u64)turn++ * step % flows);
	__u32 *at = data + source_at;
	__u16 *port = data + port_at;
	__u32 from = source + (i >> PORTS_BITS);

	if ((void *)(port + 1) > end)
		return -1;
	*at = bpf_htonl(from);
	*port = bpf_htons(PORT_FIRST + (i & ((1u << PORTS_BITS) - 1)));
	return 0;
}

SEC("tc")
int again(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int r;

	if (data + ETH_HLEN > end)
		return AGAIN_FAILED;
	for (int i = 0; i < 3; i++)
		((__u32 *)data)[i] = macs[i];
	r = is_ip6 ? write_flow(data, end, SOURCE_6, PORT_6)
		   : write_flow(data, end, SOURCE_4, PORT_4);
	if (r < 0)
		return AGAIN_FAILED;
	skb->mark = 0;
	bpf_tail_call(skb, &programs, which);
	return AGAIN_FAILED;
}

/* What all this costs by itself. */
SEC("tc")
int nothing(struct __sk_buff *skb)
{
	return 0;
}
