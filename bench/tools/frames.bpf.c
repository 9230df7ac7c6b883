/* The smallest programs of the forward benchmark: a source, a sink, and what any switch in tc is
 * measured against, a redirect that looks at nothing. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 out_ifindex = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} received SEC(".maps");

/* Run on live frames by BPF_PROG_RUN: each goes out of the veth as if a NIC had received it. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	return bpf_redirect(out_ifindex, 0);
}

SEC("tc")
int sink(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&received, &key);

	if (count)
		*count += 1;
	return TC_ACT_SHOT;
}

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(out_ifindex, 0);
}
