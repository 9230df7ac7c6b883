/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Guests as redundant routers: whose is a protocol's vMAC now?
 *
 * Theory of operation
 *
 * The guests (and perhaps a router on the wire) elect among themselves; we only follow.  Who sends
 * an advertisement of an active router, with the vMAC as its source and for the vMAC's own group,
 * has the vMAC from that frame on: a port that may have it, or else the wire.  It loses it when
 * another one advertises, when it resigns, and when three intervals (at least 1 s, at most 30 s)
 * pass without an advertisement.  A vMAC that nobody has is sought on the wire.
 *
 * What is read, as its sender puts it on the wire without IP options or extension headers:
 * VRRPv2, VRRPv3 (RFC 9568), CARP, HSRP versions 1 (RFC 2281) and 2.  It is not verified: no
 * checksum, no authentication.  Whom to trust with a vMAC is said by allowing it to a port. */
#ifndef VMAC_BPF_CLAIM_H
#define VMAC_BPF_CLAIM_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "frame.h"

#define PROTO_VRRP 112

#define PORT_HSRP     1985
#define PORT_HSRP_IP6 2029

#define CLAIM_MS_MIN 1000
#define CLAIM_MS_MAX 30000

/* What a frame says of its source: nothing, that it leaves, or (above) for how many ms it is the
 * active router. */
#define SAYS_NOTHING 0
#define SAYS_RESIGN  -1

/* --- reading --------------------------------------------------------------------------------- */

static __always_inline int claim_ms(__u32 interval_ms)
{
	if (interval_ms < CLAIM_MS_MIN / 3 + 1)
		return CLAIM_MS_MIN;
	return interval_ms > CLAIM_MS_MAX / 3 ? CLAIM_MS_MAX : (int)interval_ms * 3;
}

/* Of IP protocol 112: CARP shares all but its length with VRRPv2 of five addresses, which has a 5
 * where CARP's is 7. */
static __always_inline int vrrp_says(struct __sk_buff *skb, const __u8 *m, __u32 l4, __u32 len,
				     int is_ip6)
{
	__u8 b[8];

	if (m[0] || m[1] || m[2] != 0x5e || m[3] || bpf_skb_load_bytes(skb, l4, b, sizeof(b)) ||
	    b[1] != m[5])
		return SAYS_NOTHING;
	if (b[0] == 0x21 && len == 36 && b[3] == 7) {
		if (m[4] != 1)
			return SAYS_NOTHING;
		return b[2] == 255 ? SAYS_RESIGN : claim_ms(b[5] * 1000 + b[2] * 4);
	}
	if (m[4] != (is_ip6 ? 2 : 1))
		return SAYS_NOTHING;
	if (b[0] == 0x21 && !is_ip6)
		return b[2] ? claim_ms(b[5] * 1000) : SAYS_RESIGN;
	if (b[0] == 0x31)
		return b[2] ? claim_ms(((b[4] & 0x0f) << 8 | b[5]) * 10) : SAYS_RESIGN;
	return SAYS_NOTHING;
}

static __always_inline int hsrp_says(struct __sk_buff *skb, const __u8 *m, __u32 l4, int is_ip6)
{
	__u32 group, hello_ms;
	__u8 b[8 + 24] = {};
	__u8 op, active;

	if (bpf_skb_load_bytes(skb, l4, b, 8 + 20) ||
	    (b[2] << 8 | b[3]) != (is_ip6 ? PORT_HSRP_IP6 : PORT_HSRP))
		return SAYS_NOTHING;
	if (m[0] == 0 && m[1] == 0 && m[2] == 0x0c && m[3] == 0x07 && m[4] == 0xac && !is_ip6) {
		if (b[8] || b[8 + 6] != m[5])
			return SAYS_NOTHING;
		op = b[8 + 1];
		active = b[8 + 2] == 16;
		hello_ms = b[8 + 3] * 1000;
	} else {
		if (is_ip6 ? m[0] || m[1] != 0x05 || m[2] != 0x73 || m[3] != 0xa0 || m[4] & 0xf0
			   : m[0] || m[1] || m[2] != 0x0c || m[3] != 0x9f || (m[4] & 0xf0) != 0xf0)
			return SAYS_NOTHING;
		group = (m[4] & 0x0f) << 8 | m[5];
		/* The group state TLV comes first. */
		if (bpf_skb_load_bytes(skb, l4 + 8, b + 8, 24) || b[8] != 1 || b[9] < 40 ||
		    b[10] != 2 || (__u32)(b[14] << 8 | b[15]) != group)
			return SAYS_NOTHING;
		op = b[11];
		active = b[12] == 6;
		hello_ms = (__u32)b[26] << 24 | b[27] << 16 | b[28] << 8 | b[29];
	}
	if (op == 2)
		return SAYS_RESIGN;
	return op <= 1 && active ? claim_ms(hello_ms) : SAYS_NOTHING;
}

__noinline int router_says(struct __sk_buff *skb, __u64 sa, __u32 l3)
{
	__u8 h[sizeof(struct ipv6hdr)] __attribute__((aligned(8))), m[8];
	__u32 first = (__u32)sa, *words = (void *)h;
	__u16 last = (__u16)(sa >> 32);
	__be16 type;
	__u8 da;

	__builtin_memcpy(m, &first, 4);
	__builtin_memcpy(m + 4, &last, 2);
	if (bpf_skb_load_bytes(skb, 0, &da, 1) || !(da & 1) ||
	    bpf_skb_load_bytes(skb, l3 - 2, &type, sizeof(type)))
		return SAYS_NOTHING;
	if (type == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, l3, h, sizeof(struct iphdr)) || h[0] != 0x45 ||
		    h[6] & 0x3f || h[7])
			return SAYS_NOTHING;
		if (h[9] == PROTO_VRRP && h[8] == 255 && words[4] == bpf_htonl(0xe0000012))
			return vrrp_says(skb, m, l3 + sizeof(struct iphdr),
					 (__u32)(h[2] << 8 | h[3]) - sizeof(struct iphdr), 0);
		if (h[9] == PROTO_UDP &&
		    words[4] == bpf_htonl(m[3] == 0x07 ? 0xe0000002 : 0xe0000066))
			return hsrp_says(skb, m, l3 + sizeof(struct iphdr), 0);
		return SAYS_NOTHING;
	}
	if (type != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, l3, h, sizeof(h)) ||
	    words[6] != bpf_htonl(0xff020000) || words[7] || words[8])
		return SAYS_NOTHING;
	if (h[6] == PROTO_VRRP && h[7] == 255 && words[9] == bpf_htonl(0x12))
		return vrrp_says(skb, m, l3 + sizeof(h), (__u32)(h[4] << 8 | h[5]), 1);
	if (h[6] == PROTO_UDP && words[9] == bpf_htonl(0x66))
		return hsrp_says(skb, m, l3 + sizeof(h), 1);
	return SAYS_NOTHING;
}

/* --- holding --------------------------------------------------------------------------------- */

/* The claim of that number if it is (still) that address's. */
static __always_inline struct claim *claim_of(__u32 number, __u64 key)
{
	struct claim *c = bpf_map_lookup_elem(&claims, &number);

	return c && READ_ONCE(c->key) == key ? c : 0;
}

static __always_inline __u32 claim_holder(const struct claim *c)
{
	__u64 word = READ_ONCE(c->word);

	if (!word || !clock_before(clock_coarse(), CLAIM_UNTIL(word)))
		return SLOT_NOBODY;
	return CLAIM_SLOT(word);
}

static __always_inline struct claim *row_claim(const struct port_row *row, __u64 mac)
{
	for (int i = 0; i < ROW_ROUTERS_MAX; i++) {
		if (i >= row->router_count)
			break;
		if (row->routers[i] == mac)
			return claim_of(row->claims[i], FDB_KEY(row->net, mac));
	}
	return 0;
}

/* `slot` sends with the address and says so much of it: may it? */
static __always_inline int claim_speaks(struct claim *c, __u32 slot, int says)
{
	__u64 word = READ_ONCE(c->word), now;

	if (says > 0) {
		now = bpf_ktime_get_boot_ns() + (__u64)says * 1000000;
		*(volatile __u64 *)&c->word = CLAIM_WORD(now, slot);
		return 1;
	}
	if (claim_holder(c) != slot)
		return 0;
	if (says == SAYS_RESIGN)
		__sync_val_compare_and_swap(&c->word, word, 0);
	return 1;
}

/* From the wire (or the host, which is the same to a port): all that no port has. */
__noinline int wire_may_speak(struct __sk_buff *skb, __u32 number, __u64 key, __u32 uplink_slot,
			      __u32 l3)
{
	struct claim *c = claim_of(number, key);
	__u32 holder;

	if (!c || claim_speaks(c, uplink_slot, router_says(skb, key >> 16, l3)))
		return 1;
	holder = claim_holder(c);
	return holder == SLOT_NOBODY || holder > SLOT_PORTS;
}

/* The port that has the claim; the wire's are nobody's here. */
static __noinline __u32 claimed_by(__u32 number, __u64 key)
{
	const struct claim *c = claim_of(number, key);
	__u32 holder = c ? claim_holder(c) : SLOT_NOBODY;

	return holder <= SLOT_PORTS ? holder : SLOT_NOBODY;
}

/* A slot, or FACE_SLOT_0 and more for a cluster's face. */
static __always_inline __u32 receiver_of(__u32 net, __u64 mac)
{
	__u32 slot = fdb_slot(net, mac);

	if (slot < CLAIM_SLOT_0 || slot >= FACE_SLOT_0)
		return slot;
	return claimed_by(slot - CLAIM_SLOT_0, FDB_KEY(net, mac));
}

#endif
