/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a frame looks like, what it weighs, and the counters. */
#ifndef VMAC_BPF_FRAME_H
#define VMAC_BPF_FRAME_H

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>

#include "clock.h"

#define TYPE_SNAP_MAX  0x05ff /* below 0x600 the type is a length: 802.2 LLC follows */
#define TYPE_QINQ_9100 0x9100
#define TYPE_QINQ_9200 0x9200
#define TYPE_QINQ_9300 0x9300
#define TYPE_LLDP      0x88cc
#define TYPE_EAPOL     0x888e

#define PROTO_ICMP6 58
#define PROTO_TCP   6
#define PROTO_UDP   17

/* What is made linear of a frame that is not: an Ethernet and an IPv6 header, all that the guard
 * reads in place (the rest it loads).  No more, because TCP's frames have just their headers linear
 * and are clones: to pull one octet beyond would copy their heads. */
#define HEADERS_OCTETS 54

/* Ticks a second; written by the loader, which can ask the kernel. */
const volatile __u32 ticks_per_second = 250;

/* The barriers keep the compiler from handling the pointers as 32-bit numbers, which the verifier
 * would not follow. */
static __always_inline const void *frame_start(const struct __sk_buff *skb)
{
	const void *p = (const void *)(long)skb->data;

	asm volatile("" : "+r"(p));
	return p;
}

static __always_inline const void *frame_end(const struct __sk_buff *skb)
{
	const void *p = (const void *)(long)skb->data_end;

	asm volatile("" : "+r"(p));
	return p;
}

static __always_inline __u64 mac_load(const __u8 *mac)
{
	return MAC_WORD(*(const __u32 *)mac, *(const __u16 *)(mac + 4));
}

static __always_inline int type_is_tag(__u16 type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD || type == TYPE_QINQ_9100 ||
	       type == TYPE_QINQ_9200 || type == TYPE_QINQ_9300;
}

/* --- weight ---------------------------------------------------------------------------------- */

/* A GSO frame stands for many on the wire.  gso_segs is 0 on frames from a tap, so they are counted
 * by their length; what each segment repeats of the headers is counted, too. */
struct weight {
	__u32 frames;
	__u32 octets;
};

static __noinline __u32 gso_header_octets(struct __sk_buff *skb)
{
	__u8 first[ETH_HLEN + 40], b;
	__u32 off = ETH_HLEN;
	__u8 proto;

	if (bpf_skb_load_bytes(skb, 0, first, sizeof(first)))
		return ETH_HLEN;
	if (first[12] == 0x08 && first[13] == 0x00) {
		off += (first[ETH_HLEN] & 0x0f) * 4;
		proto = first[ETH_HLEN + 9];
	} else {
		off += 40;
		proto = first[ETH_HLEN + 6];
	}
	if (proto == PROTO_UDP)
		return off + 8;
	if (bpf_skb_load_bytes(skb, off + 12, &b, 1))
		return off;
	return off + (b >> 4) * 4;
}

static __always_inline struct weight weight_of(struct __sk_buff *skb)
{
	struct weight w = { 1, skb->len };
	__u32 size = skb->gso_size, header;

	if (size) {
		header = gso_header_octets(skb);
		if (header < w.octets) {
			w.frames = (w.octets - header + size - 1) / size;
			if (!w.frames)
				w.frames = 1;
			w.octets += (w.frames - 1) * header;
		}
	}
	return w;
}

/* --- counters -------------------------------------------------------------------------------- */

static __always_inline void count_rx(__u32 slot, struct weight w)
{
	struct slot_counters *c = bpf_map_lookup_elem(&counters, &slot);
	__u64 tick;

	if (!c)
		return;
	c->rx_frames += w.frames;
	c->rx_octets += w.octets;
	tick = bpf_jiffies64();
	if (tick - c->seen_tick >= ticks_per_second) {
		c->seen_tick = tick;
		c->seen_ns = bpf_ktime_get_boot_ns();
	}
}

static __always_inline void count_tx(__u32 slot, struct weight w)
{
	struct slot_counters *c = bpf_map_lookup_elem(&counters, &slot);

	if (!c)
		return;
	c->tx_frames += w.frames;
	c->tx_octets += w.octets;
}

static __always_inline void count_drop(__u32 slot, __u32 reason, struct weight w)
{
	struct slot_drops *d = bpf_map_lookup_elem(&drops, &slot);

	if (d)
		__sync_fetch_and_add(&d->frames[reason & (DROP_REASONS_MAX - 1)], w.frames);
}

/* --- whose ----------------------------------------------------------------------------------- */

/* Not inlined, these two: the compiler would make one call of both lookups, with the map in a
 * variable, and the kernel inlines the lookup of an array only where it knows the map. */
static __noinline __u64 index_of_far(__u32 ifindex)
{
	__u64 *entry = bpf_map_lookup_elem(&index_far, &ifindex);

	return entry ? READ_ONCE(*entry) : 0;
}

static __noinline __u32 fdb_slot_far(__u32 net, __u64 mac)
{
	__u64 key = FDB_KEY(net, mac), *entry, value;

	entry = bpf_map_lookup_elem(&fdb, &key);
	if (!entry)
		return SLOT_NOBODY;
	value = READ_ONCE(*entry);
	return (value ^ key) >> 16 ? SLOT_NOBODY : FDB_SLOT(value);
}

static __always_inline __u64 index_of(__u32 ifindex)
{
	__u64 *entry;

	if (ifindex >= INDEX_NEAR)
		return index_of_far(ifindex);
	entry = bpf_map_lookup_elem(&index_near, &ifindex);
	return entry ? READ_ONCE(*entry) : 0;
}

/* The slot that has this address in this net, or SLOT_NOBODY. */
static __always_inline __u32 fdb_slot(__u32 net, __u64 mac)
{
	__u32 place = FDB_NEAR_PLACE(net, mac);
	__u64 *near = bpf_map_lookup_elem(&fdb_near, &place), value;

	if (near) {
		value = READ_ONCE(*near);
		/* Of most addresses nobody was ever told. */
		if (!value || value >> 16 == mac)
			return FDB_SLOT(value);
	}
	return fdb_slot_far(net, mac);
}

static __always_inline __u64 member_of(__u32 slot)
{
	__u64 *member = bpf_map_lookup_elem(&members, &slot);

	return member ? READ_ONCE(*member) : 0;
}

#endif
