/* The smallest programs of the forward benchmark: a source, a sink, and what any switch in tc is
 * measured against, a redirect that looks at nothing. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NULL ((void *)0)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 out_ifindex = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} received SEC(".maps");

/* Pacing: a batch is due every interval_ns; 0 = as fast as it goes. */
const volatile __u64 interval_ns = 0;
const volatile __u32 batch = 1;
__u64 made, due_ns, waited_ns;

#define SPINS_MAX (1 << 20)

static long is_due(__u32 turn, void *ctx)
{
	return bpf_ktime_get_ns() >= due_ns; /* true ends the loop */
}

/* Spins, as a sleep is too coarse; the caller takes waited_ns off the bill. */
static void wait_until_due(void)
{
	__u64 start = bpf_ktime_get_ns();

	if (due_ns == 0)
		due_ns = start;
	bpf_loop(SPINS_MAX, is_due, NULL, 0);
	due_ns += interval_ns;
	waited_ns += bpf_ktime_get_ns() - start;
}

/* Flows: the i-th frame is of flow i % flows, which are told apart by source address and port; 0 =
 * all are of one.  TCP's ports are where UDP's are. */
const volatile __u32 flows = 0;
const volatile __u32 is_ip6 = 0;
const volatile __u32 source = 0;   /* IPv4, or the last word of IPv6, of the first; host order */
const volatile __u32 checksum = 0; /* of the header without its source address, not folded */
__u64 flow;

#define FLOW_PORTS 4096
#define FLOW_PORT  1024

static int set_flow6(void *data, void *end, __u32 address, __u16 port)
{
	struct ipv6hdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return -1;
	ip->saddr.in6_u.u6_addr32[3] = bpf_htonl(address);
	udp->source = bpf_htons(port);
	return 0;
}

static int set_flow4(void *data, void *end, __u32 address, __u16 port)
{
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	__u32 sum = checksum + (address >> 16) + (address & 0xffff);

	if ((void *)(udp + 1) > end)
		return -1;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->saddr = bpf_htonl(address);
	ip->check = bpf_htons((__u16)~sum);
	udp->source = bpf_htons(port);
	return 0;
}

static int set_flow(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 i = flow++ % flows, address = source + i / FLOW_PORTS;
	__u16 port = (__u16)(FLOW_PORT + i % FLOW_PORTS);

	return is_ip6 ? set_flow6(data, end, address, port) : set_flow4(data, end, address, port);
}

/* Frames are used again and again, as the last receiver left them.  Where one may have rewritten
 * its headers they are written anew, so many words of them. */
#define HEADER_WORDS 9
const volatile __u32 header_words = 0;
__u64 header[HEADER_WORDS];

static int write_header(struct xdp_md *ctx)
{
	__u64 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	for (__u32 i = 0; i < HEADER_WORDS && i < header_words; i++) {
		if (data + i + 1 > end)
			return -1;
		data[i] = header[i];
	}
	return 0;
}

/* Run on live frames by BPF_PROG_RUN: each goes out of the veth as if a NIC had received it. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (interval_ns && made++ % batch == 0)
		wait_until_due();
	if (header_words && write_header(ctx) < 0)
		return XDP_ABORTED;
	if (flows && set_flow(ctx) < 0)
		return XDP_ABORTED;
	return bpf_redirect(out_ifindex, 0);
}

/* Drops everything; counts IP, which in these namespaces is only what we sent. */
SEC("tc")
int sink(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&received, &key);

	if (count &&
	    (skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6)))
		*count += 1;
	return TC_ACT_SHOT;
}

SEC("tc")
int redirect(struct __sk_buff *skb)
{
	return bpf_redirect(out_ifindex, 0);
}
