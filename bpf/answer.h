/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ARP and ND for clusters' addresses: answered here, by the host that speaks for the face.
 *
 * Theory of operation
 *
 * Who asks for a virtual address is answered with a face of the cluster: with the one that the
 * client is to use by rendezvous of its address (balance/table.h), by the host that has that face's
 * lease and may speak; where the question was sent to a face, with that face.  All other hosts are
 * silent.  The question itself becomes the answer and goes back to where it came from: one frame
 * for one frame, never to more than asked (an NA to :: goes to all nodes, as RFC 4861 has it).
 *
 * So a check for doubles (an ARP probe, an NS from ::) finds the address taken, unless a member
 * makes it (member.h).
 *
 * What was answered goes no further: nobody else could answer it, and the members must not.  What
 * was not is flooded as any other, since the anchor is elsewhere; but to none of the cluster's
 * members here.  What others say of a virtual address is not for the members either.
 *
 * An answer has the face as its source, so that switches learn it where the anchor is; in
 * distributed mode they must not, and it has the uplink's own.  An NS is answered if its checksum
 * is right and it has no more options than are read; its link-layer address is where the answer
 * goes. */
#ifndef VMAC_BPF_ANSWER_H
#define VMAC_BPF_ANSWER_H

#include "balance.h"
#include "member.h"

/* Of hear(); what is above zero says whom the frame's copies are for (copy.h). */
#define HEARD_NOTHING	     0
#define HEARD_ASK	     -1 /* … and less: answer() it with the face of that number */
#define HEARD_ASK_OF(number) (HEARD_ASK - (int)(number))

/* Of hear()'s `asked`: the frame is the wire's. */
#define HEAR_THE_WIRE (1u << 31)

#define ANSWER_OPTIONS_MAX 8 /* of 8 octets */

struct na_frame {
	struct ipv6hdr ip;
	__u8 type, code;
	__u16 checksum;
	__be32 flags;
	struct cluster_ip target;
	__u8 option, option_len, mac[6];
};
_Static_assert(sizeof(struct na_frame) == 72, "as on the wire");

#define NA_SOLICITED 0x40000000
#define NA_OVERRIDE  0x20000000

/* --- with which face ------------------------------------------------------------------------- */

/* As balance_face() has it, of all faces: one that nobody serves now is taken over in a moment. */
static __always_inline __u64 face_mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __always_inline __u64 little_endian(__u64 word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(word);
#else
	return word;
#endif
}

static __always_inline __u32 face_of_client(const struct cluster_conf *conf, struct cluster_ip ip)
{
	__u64 seed, score, best = 0, word = ip.word[0], more = ip.word[1];
	__u32 face = 0, w[4];

	__builtin_memcpy(w, &ip, sizeof(w));
	if (!word && w[2] == bpf_htonl(0xffff)) { /* IPv4 stands at the beginning there */
		w[0] = w[3];
		w[1] = 0;
		__builtin_memcpy(&word, w, sizeof(word));
		more = 0;
	}
	seed = face_mix(little_endian(conf->key[0]) ^ little_endian(word));
	seed = face_mix(seed ^ little_endian(conf->key[1]) ^ little_endian(more));
	for (__u32 i = 0; i < CLUSTER_FACES; i++) {
		if (i >= conf->face_count)
			break;
		score = face_mix(seed + (i + 1) * 0x9e3779b97f4a7c15ULL);
		if (!i || score > best) {
			best = score;
			face = i;
		}
	}
	return face;
}

/* --- making the answer ----------------------------------------------------------------------- */

static __always_inline int mac_is_group(__u64 mac)
{
	__u8 m[4];
	__u32 first = (__u32)mac;

	__builtin_memcpy(m, &first, 4);
	return m[0] & 1;
}

/* The source of an answer: see the top.  A net without an uplink has no switch that could learn. */
static __always_inline __u64 answer_source(const struct cluster_conf *conf, __u64 face)
{
	__u32 number = NET_UPLINK(conf->net) & 15;
	const __u64 *own;

	if (conf->mode != CLUSTER_MODE_DISTRIBUTED)
		return face;
	own = bpf_map_lookup_elem(&uplink_macs, &number);
	if (own && READ_ONCE(*own))
		return READ_ONCE(*own);
	return face & ~little_endian(1);
}

__noinline int answer_arp(struct __sk_buff *skb, __u32 l3, __u64 face, __u64 source)
{
	struct arp_ether_ip4 arp __attribute__((aligned(8)));
	__u8 virtual[4];
	__u64 to;

	if (bpf_skb_load_bytes(skb, l3, &arp, sizeof(arp)))
		return -1;
	to = mac_load(arp.sender_mac);
	if (!to || mac_is_group(to) || to == face)
		return -1;
	__builtin_memcpy(virtual, arp.target_ip, 4);
	arp.op = bpf_htons(2);
	__builtin_memcpy(arp.target_mac, arp.sender_mac, 6);
	__builtin_memcpy(arp.target_ip, arp.sender_ip, 4);
	mac_store(arp.sender_mac, face);
	__builtin_memcpy(arp.sender_ip, virtual, 4);
	return bpf_skb_change_tail(skb, l3 + sizeof(arp), 0) || write_macs(skb, to, source) ||
			       bpf_skb_store_bytes(skb, l3, &arp, sizeof(arp), 0)
		       ? -1
		       : 0;
}

static __always_inline __u16 sum_fold(__s64 sum)
{
	__u64 s = (__u32)sum;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (__u16)~s;
}

/* Where the answer to an NS is to go; 0: nowhere, since it is not right. */
static __always_inline __u64 ns_answer_to(struct __sk_buff *skb, __u32 l3, struct nd_frame *ns)
{
	__u32 len = bpf_ntohs(ns->ip.payload_len), off = l3 + sizeof(*ns);
	__u8 option[8] __attribute__((aligned(8))), mac[8] __attribute__((aligned(8)));
	__be32 pseudo[2] = { bpf_htonl(len), bpf_htonl(PROTO_ICMP6) };
	__u64 to;
	__s64 sum;

	if (len < 24 || len & 7 || len > 24 + 8 * ANSWER_OPTIONS_MAX)
		return 0;
	to = mac_at(skb, ETH_ALEN);
	sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(0, 0, (__be32 *)&ns->ip.saddr, 32 + 24, (__u32)sum);
	for (__u32 i = 0; i < ANSWER_OPTIONS_MAX; i++) {
		if (24 + 8 * i >= len)
			break;
		if (bpf_skb_load_bytes(skb, off, option, sizeof(option)))
			return 0;
		sum = bpf_csum_diff(0, 0, (__be32 *)option, sizeof(option), (__u32)sum);
		/* Of one that is longer, what follows is not an option's beginning; nobody makes a
		 * source link-layer address out of it in his own favour, as he may name any. */
		if (option[0] == 1 && option[1] == 1) {
			__builtin_memcpy(mac, option + 2, 6);
			to = mac_load(mac);
		}
		off += 8;
	}
	return sum_fold(sum) || mac_is_group(to) ? 0 : to;
}

__noinline int answer_ns(struct __sk_buff *skb, __u32 l3, __u64 face, __u64 source)
{
	struct nd_frame ns;
	struct na_frame na = {};
	__be32 pseudo[2] = { bpf_htonl(32), bpf_htonl(PROTO_ICMP6) };
	struct cluster_ip all = { { 0, 0 } }, asker;
	__u8 *octets = (void *)&all;
	__u64 to;
	__s64 sum;

	if (bpf_skb_load_bytes(skb, l3, &ns, sizeof(ns)))
		return -1;
	to = ns_answer_to(skb, l3, &ns);
	if (!to || to == face)
		return -1;
	na.flags = bpf_htonl(NA_OVERRIDE | NA_SOLICITED);
	asker = ip6_of(&ns.ip.saddr);
	if (!(asker.word[0] | asker.word[1])) {
		octets[0] = 0xff;
		octets[1] = 0x02;
		octets[15] = 1;
		asker = all;
		na.flags = bpf_htonl(NA_OVERRIDE);
		to = MAC_WORD(bpf_htonl(0x33330000), bpf_htons(1));
	}
	na.ip.version = 6;
	na.ip.payload_len = bpf_htons(32);
	na.ip.nexthdr = PROTO_ICMP6;
	na.ip.hop_limit = 255;
	__builtin_memcpy(&na.ip.saddr, &ns.target, 16);
	__builtin_memcpy(&na.ip.daddr, &asker, 16);
	na.type = ICMP6_NEIGHBOUR_ADVERT;
	na.target = ns.target;
	na.option = 2;
	na.option_len = 1;
	mac_store(na.mac, face);
	sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(0, 0, (__be32 *)&na.ip.saddr, 32 + 32, (__u32)sum);
	na.checksum = sum_fold(sum);
	return bpf_skb_change_tail(skb, l3 + sizeof(na), 0) || write_macs(skb, to, source) ||
			       bpf_skb_store_bytes(skb, l3, &na, sizeof(na), 0)
		       ? -1
		       : 0;
}

/* --- hearing --------------------------------------------------------------------------------- */

/* From the wire, of a virtual address: whose it is said to be is a face, or it is told of, once a
 * second at most, by the host that has the first face's lease. */
__noinline int hear_claim(struct __sk_buff *skb, __u32 cluster, __u32 l3, __u32 is_ip6)
{
	struct cluster_slot *s = bpf_map_lookup_elem(&clusters, &cluster);
	struct event head = { .kind = EVENT_ADDRESS, .face = FACE_OF(cluster, 0) };
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u8 option[8] __attribute__((aligned(8)));
	__u64 mac = mac_at(skb, is_ip6 ? ETH_ALEN : l3 + 8);

	if (!conf || l3 < ETH_HLEN || l3 > ETH_HLEN + 4 ||
	    !face_serves(s, 0, bpf_ktime_get_boot_ns()))
		return 0;
	if (is_ip6 && !bpf_skb_load_bytes(skb, l3 + sizeof(struct nd_frame), option, 8) &&
	    option[0] == 2 && option[1] == 1)
		mac = mac_at(skb, l3 + sizeof(struct nd_frame) + 2);
	for (__u32 i = 0; i < CLUSTER_FACES; i++)
		if (i < conf->face_count && conf->faces[i] == mac)
			return 0;
	head.count = __sync_fetch_and_add(&s->told[0].count, 1) + 1;
	if (is_due(&s->told[0].due, EVENT_GAP_NS))
		event_submit(skb, &head, l3 - ETH_HLEN);
	return 0;
}

static __always_inline int is_nlb(struct __sk_buff *skb, __u32 l3)
{
	__be16 type;

	return !bpf_skb_load_bytes(skb, l3 - 2, &type, sizeof(type)) && type == bpf_htons(TYPE_NLB);
}

static __always_inline int net_carries(__u32 net)
{
	const __u64 *head = bpf_map_lookup_elem(&heads, &net);

	return head && READ_ONCE(*head) & HEAD_CARRY;
}

/* A frame of a net whose network header is at l3 (untagged, or with a tag in front of that), from
 * wherever, guarded.  `asked`: 0, HEAR_THE_WIRE, or the number of the face that it is for, and one
 * more. */
__noinline int hear(struct __sk_buff *skb, __u32 net, __u32 l3, __u32 asked)
{
	const struct cluster_conf *conf;
	const struct cluster_slot *s;
	int cluster, hidden;
	struct talk t = {};
	__u32 face;

	if (!talk_read(skb, l3, &t))
		return is_nlb(skb, l3) && net_carries(net) ? COPY_ONLY_CARRIED : HEARD_NOTHING;
	cluster = cluster_of_ip(net, t.kind == TALK_ASKS ? t.target : t.sender);
	if (cluster < 0 && t.kind == TALK_ASKS && !t.is_probe) {
		t.kind = TALK_SAYS; /* asks for another's in a virtual address's name */
		cluster = cluster_of_ip(net, t.sender);
	}
	if (cluster < 0)
		return HEARD_NOTHING;
	s = cluster_slot_of((__u32)cluster);
	conf = s ? cluster_conf_of(s) : 0;
	if (!conf || conf->net != net || conf->mode == CLUSTER_MODE_CARRY)
		return HEARD_NOTHING;
	hidden = conf->flags & CLUSTER_NAT ? HEARD_NOTHING : (int)COPY_NOT_TO(cluster);
	if (t.kind == TALK_SAYS) {
		if (asked == HEAR_THE_WIRE)
			hear_claim(skb, (__u32)cluster, l3, t.is_ip6);
		return hidden;
	}
	face = asked && asked != HEAR_THE_WIRE ? asked - 1 : face_of_client(conf, t.sender);
	if (!face_speaks(s, face, clock_coarse()))
		return hidden;
	return HEARD_ASK_OF(FACE_OF(cluster, face));
}

/* Makes the answer of the question: 0, or -1, and then the frame may be anything. */
__noinline int answer(struct __sk_buff *skb, __u32 l3, __u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__be16 type;
	__u64 mac;

	if (!conf || bpf_skb_load_bytes(skb, l3 - 2, &type, sizeof(type)))
		return -1;
	mac = conf->faces[FACE_INDEX(number)];
	if (type == bpf_htons(ETH_P_ARP)) {
		if (answer_arp(skb, l3, mac, answer_source(conf, mac)))
			return -1;
		count_cluster(FACE_CLUSTER(number), answered_arp, 1);
	} else {
		if (answer_ns(skb, l3, mac, answer_source(conf, mac)))
			return -1;
		count_cluster(FACE_CLUSTER(number), answered_nd, 1);
	}
	return 0;
}

#endif
