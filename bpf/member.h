/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Clusters' members: what they may say by ARP and ND, and with which addresses they may send.
 *
 * Theory of operation
 *
 * A member has the virtual addresses on some interface of its own and is a common host in all else:
 * so it answers for them, announces them, asks in their name, and checks that nobody else has them.
 * On the wire that is the anchor's alone.  So at the member's port
 *
 * - what answers for an address or announces it is dropped, counted, and told of as the proof that
 *   the member lives;
 * - what asks in its name goes on, an ARP request as a probe (sender 0.0.0.0, RFC 5227), an NS from
 *   the member's link-local: the answer comes to the member's vMAC, and who gives it learns nothing
 *   of the virtual address;
 * - what checks for doubles (RFC 5227 probes, RFC 4862 DAD) is dropped and counted: the member
 *   hears no answer, and takes the address;
 *
 * and whatever others say of a virtual address is not copied to the members (replicate()): the
 * anchor's announcements would look like a double to them, and questions are not theirs to answer.
 * None of this needs anything of the guest.
 *
 * With `nat` the members do not have the addresses: what others say of them is theirs to hear, and
 * they may ask for them; they may not speak for them either.
 *
 * Of a member that forms its link-local in its own way (RFC 7217), the one with which it was last
 * heard to solicit is remembered.
 *
 * What is not in the plain form that every stack sends (ND behind extension headers) is not mended;
 * the guard drops it where it tells of a virtual address.
 *
 * Carry: the guests are Microsoft NLB hosts.  They speak for the face in ARP and ND, and with
 * masked source addresses 02-h-W-X-Y-Z (h: 1 … 32) in place of the face 02-bf-W-X-Y-Z; never as
 * the face. */
#ifndef VMAC_BPF_MEMBER_H
#define VMAC_BPF_MEMBER_H

#include "cluster.h"

/* --- what ARP and ND say --------------------------------------------------------------------- */

#define TALK_NOTHING 0
#define TALK_ASKS    1 /* an ARP request, an NS */
#define TALK_SAYS    2 /* an ARP reply or announcement, an NA: `sender` is whom it speaks of */

struct talk {
	struct cluster_ip sender, target; /* zero or mapped 0.0.0.0: none (is_probe) */
	__u8 kind, is_ip6, is_probe;
};

struct nd_frame {
	struct ipv6hdr ip;
	__u8 type, code;
	__be16 checksum;
	__u32 flags;
	struct cluster_ip target;
};
_Static_assert(sizeof(struct nd_frame) == 64, "as on the wire");

static __always_inline struct cluster_ip ip6_of(const struct in6_addr *a)
{
	struct cluster_ip ip;

	__builtin_memcpy(&ip, a, sizeof(ip));
	return ip;
}

/* The address at that octet; 0 where there is none. */
static __always_inline __u64 mac_at(struct __sk_buff *skb, __u32 off)
{
	__u8 mac[8] __attribute__((aligned(8)));

	return bpf_skb_load_bytes(skb, off, mac, ETH_ALEN) ? 0 : mac_load(mac);
}

static __always_inline void talk_arp(struct __sk_buff *skb, __u32 l3, struct talk *t)
{
	struct arp_ether_ip4 arp;
	__be32 sender, target;

	if (bpf_skb_load_bytes(skb, l3, &arp, sizeof(arp)) ||
	    arp.hardware != bpf_htons(ARP_ETHERNET) || arp.protocol != bpf_htons(ETH_P_IP) ||
	    arp.hardware_len != ETH_ALEN || arp.protocol_len != 4)
		return;
	__builtin_memcpy(&sender, arp.sender_ip, sizeof(sender));
	__builtin_memcpy(&target, arp.target_ip, sizeof(target));
	t->sender = cluster_ip4(sender);
	t->target = cluster_ip4(target);
	t->is_probe = !sender;
	t->kind = arp.op == bpf_htons(1) && sender != target ? TALK_ASKS : TALK_SAYS;
}

static __always_inline void talk_nd(struct __sk_buff *skb, __u32 l3, struct talk *t)
{
	struct nd_frame nd;
	__u8 h[8];

	if (bpf_skb_load_bytes(skb, l3, h, sizeof(h)) || h[6] != PROTO_ICMP6 || h[7] != 255 ||
	    bpf_skb_load_bytes(skb, l3, &nd, sizeof(nd)) || nd.code)
		return;
	t->is_ip6 = 1;
	t->target = nd.target;
	t->sender = ip6_of(&nd.ip.saddr);
	if (nd.type == ICMP6_NEIGHBOUR_SOLICIT) {
		t->is_probe = !(t->sender.word[0] | t->sender.word[1]);
		t->kind = TALK_ASKS;
	} else if (nd.type == ICMP6_NEIGHBOUR_ADVERT) {
		t->sender = nd.target;
		t->kind = TALK_SAYS;
	}
}

/* *t is zero before. */
static __always_inline int talk_read(struct __sk_buff *skb, __u32 l3, struct talk *t)
{
	__be16 type;

	if (bpf_skb_load_bytes(skb, l3 - 2, &type, sizeof(type)))
		return TALK_NOTHING;
	if (type == bpf_htons(ETH_P_ARP))
		talk_arp(skb, l3, t);
	else if (type == bpf_htons(ETH_P_IPV6))
		talk_nd(skb, l3, t);
	return t->kind;
}

/* --- whose ----------------------------------------------------------------------------------- */

__noinline int port_is_member(__u32 port, __u32 cluster)
{
	return port_member_id(port, cluster) != 0;
}

static __always_inline const struct cluster_conf *conf_of(__u32 cluster)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);

	return s ? cluster_conf_of(s) : 0;
}

/* The members have the addresses, but must not speak for them, nor hear of them. */
static __always_inline int conf_hides(const struct cluster_conf *conf)
{
	return conf->mode != CLUSTER_MODE_CARRY && !(conf->flags & CLUSTER_NAT);
}

/* The source address of a member's packet that is not its own: may it? */
__noinline int member_sends(__u32 number, __u64 high, __u64 low)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	const struct cluster_conf *conf;
	struct cluster_ip ip = { { high, low } };
	int cluster;

	if (!row)
		return 0;
	cluster = cluster_of_ip(row->net, ip);
	if (cluster < 0 || !port_is_member(ROW_SLOT(number), (__u32)cluster))
		return 0;
	conf = conf_of((__u32)cluster);
	return conf && !(conf->flags & CLUSTER_NAT);
}

/* The address is a cluster's, for which no port speaks, but where they carry those that do. */
__noinline int cluster_forbids(__u32 number, __u64 high, __u64 low)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	const struct cluster_conf *conf;
	struct cluster_ip ip = { { high, low } };
	int cluster;

	if (!row)
		return 0;
	cluster = cluster_of_ip(row->net, ip);
	if (cluster < 0)
		return 0;
	conf = conf_of((__u32)cluster);
	return conf && (conf->mode != CLUSTER_MODE_CARRY ||
			!port_is_member(ROW_SLOT(number), (__u32)cluster));
}

/* Whether an NLB host that this port is may call itself so: as a source (masked), and in ARP and ND
 * (as the face, too). */
static __always_inline int nlb_is_masked(__u64 mac, __u64 face)
{
	__u32 a = (__u32)mac, b = (__u32)face;
	__u8 m[4], f[4];

	__builtin_memcpy(m, &a, sizeof(m));
	__builtin_memcpy(f, &b, sizeof(f));
	return mac >> 32 == face >> 32 && m[2] == f[2] && m[3] == f[3] && m[0] == 0x02 &&
	       m[1] >= 1 && m[1] <= 32 && (f[0] == 0x02 || f[0] == 0x03) && f[1] == 0xbf;
}

__noinline int carry_names(__u32 port, __u64 mac, __u32 as_face)
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
		if (conf && conf->mode == CLUSTER_MODE_CARRY &&
		    (nlb_is_masked(mac, conf->faces[0]) || (as_face && mac == conf->faces[0])))
			return 1;
	}
	return 0;
}

/* --- a member's ARP and ND ------------------------------------------------------------------- */

/* The cluster that the port is a member of and whose address this is; -1: none.  *ret_hides: it is
 * one whose members have the addresses. */
static __always_inline int members_cluster(const struct port_row *row, __u32 port,
					   struct cluster_ip ip, int *ret_hides)
{
	int cluster = cluster_of_ip(row->net, ip);
	const struct cluster_conf *conf;

	if (cluster < 0 || !port_is_member(port, (__u32)cluster))
		return -1;
	conf = conf_of((__u32)cluster);
	if (!conf || conf->mode == CLUSTER_MODE_CARRY)
		return -1;
	*ret_hides = conf_hides(conf);
	return cluster;
}

/* A reply to one of its cluster's faces: nobody but a health check asks as that. */
static __always_inline int asked_as_face(__u32 net, __u32 port, __u64 da)
{
	__u32 slot = fdb_slot(net, da), cluster;

	if (slot < FACE_SLOT_0)
		return -1;
	cluster = FACE_CLUSTER(slot - FACE_SLOT_0);
	return port_is_member(port, cluster) ? (int)cluster : -1;
}

static __always_inline int member_filtered(__u32 cluster, const struct talk *t)
{
	if (t->is_ip6)
		count_cluster(cluster, nd_filtered, 1);
	else
		count_cluster(cluster, arp_filtered, 1);
	return t->is_ip6 ? DROP_MEMBER_ND : DROP_MEMBER_ARP;
}

static __always_inline int is_link_local(struct cluster_ip ip)
{
	__u8 first[2];

	__builtin_memcpy(first, &ip, sizeof(first));
	return first[0] == 0xfe && (first[1] & 0xc0) == 0x80;
}

/* What the guard will pass as the port's own. */
static __always_inline void learn_link_local(const struct port_row *row, __u32 port,
					     struct cluster_ip ip)
{
	struct cluster_ip *known = bpf_map_lookup_elem(&member_links, &port);

	if (!known || !is_link_local(ip) ||
	    (known->word[0] == ip.word[0] && known->word[1] == ip.word[1]))
		return;
	if (!(row->flags & ROW_CHECK_IP) || row_has_ip6(row, ip.word[0], ip.word[1]))
		*known = ip;
}

/* Where nothing was heard: a bound one, before that which the vMAC forms. */
static __always_inline struct cluster_ip link_local_of(const struct port_row *row, __u32 port)
{
	const struct cluster_ip *known = bpf_map_lookup_elem(&member_links, &port);
	struct cluster_ip ip = { { row->ip6[0][0], row->ip6[0][1] } }, bound;

	if (known && known->word[0] &&
	    (!(row->flags & ROW_CHECK_IP) || row_has_ip6(row, known->word[0], known->word[1])))
		return *known;
	for (int i = 1; i < ROW_IP6_MAX; i++) {
		if (i >= row->ip6_count)
			break;
		bound.word[0] = row->ip6[i][0];
		bound.word[1] = row->ip6[i][1];
		if (is_link_local(bound))
			return bound;
	}
	return ip;
}

/* The question without the virtual address: see the top. */
static __always_inline int member_asks(struct __sk_buff *skb, const struct port_row *row,
				       __u32 port, const struct talk *t)
{
	const __u32 l3 = ETH_HLEN, sum = l3 + offsetof(struct nd_frame, checksum);
	struct cluster_ip from = t->sender, to;
	__be32 nobody = 0;
	__s64 diff;

	if (!t->is_ip6)
		return bpf_skb_store_bytes(skb, l3 + offsetof(struct arp_ether_ip4, sender_ip),
					   &nobody, sizeof(nobody), 0)
			       ? DROP_NO_MEMORY
			       : PASS;
	to = link_local_of(row, port);
	diff = bpf_csum_diff((__be32 *)&from, sizeof(from), (__be32 *)&to, sizeof(to), 0);
	if (bpf_skb_store_bytes(skb, l3 + offsetof(struct ipv6hdr, saddr), &to, sizeof(to),
				BPF_F_RECOMPUTE_CSUM) ||
	    bpf_l4_csum_replace(skb, sum, 0, (__u64)diff, BPF_F_PSEUDO_HDR))
		return DROP_NO_MEMORY;
	return PASS;
}

/* A frame of a member, before the guard: PASS, or the reason of the drop.  The frame may be another
 * after it. */
__noinline int member_says(struct __sk_buff *skb, __u32 number)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	__u32 port = ROW_SLOT(number);
	struct talk t = {};
	int cluster, hides = 0;

	if (!row)
		return DROP_UNKNOWN_PORT;
	if (!talk_read(skb, ETH_HLEN, &t) || mac_at(skb, ETH_ALEN) != row->mac)
		return PASS;
	cluster = members_cluster(row, port, t.is_probe ? t.target : t.sender, &hides);
	if (t.kind == TALK_SAYS) {
		if (cluster < 0)
			cluster = asked_as_face(row->net, port, mac_at(skb, 0));
		if (cluster < 0)
			return PASS;
		tell_answered(skb, port, (__u32)cluster);
		return member_filtered((__u32)cluster, &t);
	}
	if (cluster < 0) {
		if (t.is_ip6)
			learn_link_local(row, port, t.sender);
		return PASS;
	}
	if (t.is_probe)
		return hides ? member_filtered((__u32)cluster, &t) : PASS;
	return hides ? member_asks(skb, row, port, &t) : member_filtered((__u32)cluster, &t);
}

#endif
