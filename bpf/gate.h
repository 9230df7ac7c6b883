/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Gates: what passes a port that is not simply open; what is told of; the tunnel for stragglers.
 *
 * Theory of operation
 *
 * A guest that migrates is on two hosts for a while.  Its port at the destination is there before
 * it runs and must neither speak nor attract frames, and it must be open for the very first frame
 * that the guest sends there; nobody in user space is fast enough for that.  So the port's gate is
 * a word that says "armed", and the program that sees the announcement swaps it for "open" and lets
 * the frame go on.  Of several CPUs that try, one wins, tells of it, and all go on.
 *
 * Everything here is rare.  The row and the member of an open port say so themselves, and a frame
 * comes here only where they do not; they may say so late, after a gate was opened here and before
 * the control plane has heard, and then the word is asked for each frame.
 *
 * "As anybody's" is to treat an address as if no port of this host had it.
 *
 * After a guest left, its frames that still come here are sent after it (REDIRECT) in a VXLAN
 * tunnel, one peer a port, the frame untagged and the net as the number.  The other end gives them
 * to its port and to nobody else, and never a guest its own: so two hosts that point at each other
 * make no loop, and an unauthenticated tunnel can reach no one but those who move. */
#ifndef VMAC_BPF_GATE_H
#define VMAC_BPF_GATE_H

#include <stddef.h>

#include "guard.h"

static __always_inline struct gate_slot *gate_of(__u32 slot)
{
	return bpf_map_lookup_elem(&gates, &slot);
}

static __always_inline __u64 gate_word(__u32 slot)
{
	const struct gate_slot *g = gate_of(slot);

	return g ? READ_ONCE(g->word) : 0;
}

/* --- events ---------------------------------------------------------------------------------- */

/* What looks like a host's claim: see shared.h. */
static __always_inline int is_tagged(struct __sk_buff *skb, __u32 tag_octets)
{
	__be16 type;
	__u8 tag[2];

	return !bpf_skb_load_bytes(skb, 2 * ETH_ALEN + tag_octets, &type, sizeof(type)) &&
	       type == bpf_htons(ETH_P_RARP) &&
	       !bpf_skb_load_bytes(skb, EVENT_TAG_AT + tag_octets, tag, sizeof(tag)) &&
	       tag[0] == EVENT_TAG_0 && tag[1] == EVENT_TAG_1;
}

/* One of those that tell in the same moment may.  Events that can wait leave half of the ring. */
static __always_inline int is_due(__u64 *due, __u64 gap)
{
	__u64 was = READ_ONCE(*due), now = bpf_ktime_get_boot_ns();

	if (now < was || __sync_val_compare_and_swap(due, was, now + gap) != was)
		return 0;
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < EVENTS_OCTETS / 2;
}

/* Counts, and says how many there were if it is time to tell; else 0. */
static __always_inline __u64 tell_now(struct __sk_buff *skb, struct gate_slot *g, __u32 kind,
				      __u32 tag_octets)
{
	__u32 which = kind == EVENT_SPOKE ? TOLD_SPOKE : TOLD_STRANGER;
	__u64 *count = &g->told[which].count, *due = &g->told[which].due;
	__u64 so_far, gap = EVENT_GAP_NS;
	__u32 frames = weight_of(skb).frames;

	so_far = __sync_fetch_and_add(count, frames) + frames;
	if (kind == EVENT_STRANGER && is_tagged(skb, tag_octets)) {
		due = &g->told[TOLD_TAGGED].due;
		gap = EVENT_TAGGED_GAP_NS;
	}
	return is_due(due, gap) ? so_far : 0;
}

/* `tag_octets`: 4 where a VLAN tag is in the frame, to be left out. */
static __always_inline void event_submit(struct __sk_buff *skb, const struct event *head,
					 __u32 tag_octets)
{
	__u32 len = skb->len, more;
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return;
	__builtin_memset(e, 0, sizeof(*e));
	e->at = bpf_ktime_get_boot_ns();
	e->count = head->count;
	e->port = head->port;
	e->generation = head->generation;
	e->kind = head->kind;
	e->face = head->face;
	if (!bpf_skb_load_bytes(skb, 0, e->frame, 2 * ETH_ALEN)) {
		/* One less than it is until the call, because before Linux 6.8 the verifier does
		 * not learn from a comparison that a number is not zero. */
		more = len - tag_octets - 2 * ETH_ALEN - 1;
		if (more >= EVENT_FRAME - 2 * ETH_ALEN)
			more = EVENT_FRAME - 2 * ETH_ALEN - 1;
		asm volatile("" : "+r"(more));
		if (!bpf_skb_load_bytes(skb, 2 * ETH_ALEN + tag_octets, e->frame + 2 * ETH_ALEN,
					more + 1))
			e->len = (__u16)(2 * ETH_ALEN + more + 1);
	}
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

__noinline int tell(struct __sk_buff *skb, __u32 slot, __u32 kind, __u32 tag_octets,
		    __u32 generation)
{
	struct event head = { .count = 1, .port = slot, .generation = generation };
	struct gate_slot *g = gate_of(slot);

	if (!g || tag_octets > 4)
		return 0;
	head.kind = (__u16)kind;
	if (kind != EVENT_FLIPPED)
		head.count = tell_now(skb, g, kind, tag_octets);
	if (head.count)
		event_submit(skb, &head, tag_octets);
	return 0;
}

/* A cluster's member answered at its port. */
__noinline int tell_answered(struct __sk_buff *skb, __u32 slot, __u32 cluster)
{
	struct event head = { .port = slot, .kind = EVENT_ANSWERED, .face = FACE_OF(cluster, 0) };
	struct gate_slot *g = gate_of(slot);

	if (!g)
		return 0;
	head.generation = GATE_GENERATION(READ_ONCE(g->word));
	head.count = __sync_fetch_and_add(&g->told[TOLD_ANSWERED].count, 1) + 1;
	if (is_due(&g->told[TOLD_ANSWERED].due, EVENT_ANSWERED_GAP_NS))
		event_submit(skb, &head, 0);
	return 0;
}

/* From the wire, with a cluster's face as its source.  What another anchor sends is no news to who
 * is none, but for what looks like a claim. */
__noinline int tell_face(struct __sk_buff *skb, __u32 number, __u32 tag_octets, __u32 held)
{
	struct event head = { .kind = EVENT_FACE, .face = number };
	__u32 cluster = FACE_CLUSTER(number), face = FACE_INDEX(number);
	struct cluster_slot *s = bpf_map_lookup_elem(&clusters, &cluster);
	__u32 frames = weight_of(skb).frames;
	int tagged;

	if (!s || tag_octets > 4)
		return 0;
	tagged = is_tagged(skb, tag_octets);
	if (!tagged && !held)
		return 0;
	head.count = __sync_fetch_and_add(&s->told[face].count, frames) + frames;
	if (is_due(tagged ? &s->told[face].due_tagged : &s->told[face].due,
		   tagged ? EVENT_TAGGED_GAP_NS : EVENT_GAP_NS))
		event_submit(skb, &head, tag_octets);
	return 0;
}

/* --- from the guest -------------------------------------------------------------------------- */

/* An advert that nobody asked for (RFC 4861 section 7.2.6) and that tells of the vMAC; without
 * extension headers, as every stack sends it. */
static __always_inline int is_unsolicited_na(struct __sk_buff *skb, __u64 mac)
{
	__u8 ip[8], icmp[8], option[16] __attribute__((aligned(8))); /* from octet 6 on */
	__u32 off = ETH_HLEN + sizeof(struct ipv6hdr);

	if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(ip)) || ip[6] != PROTO_ICMP6 ||
	    ip[7] != 255 || bpf_skb_load_bytes(skb, off, icmp, sizeof(icmp)) ||
	    icmp[0] != ICMP6_NEIGHBOUR_ADVERT || icmp[1] || icmp[4] & 0x40)
		return 0;
	off += 24;
	for (int i = 0; i < ND_OPTIONS_READ_MAX; i++) {
		if (bpf_skb_load_bytes(skb, off, option + 6, 8) || !option[7])
			return 0;
		if (option[6] == 2)
			return mac_load(option + 8) == mac;
		off += option[7] * 8;
	}
	return 0;
}

static __always_inline int is_gratuitous_arp(struct __sk_buff *skb)
{
	struct arp_ether_ip4 arp;
	__u32 sender, target;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return 0;
	__builtin_memcpy(&sender, arp.sender_ip, sizeof(sender));
	__builtin_memcpy(&target, arp.target_ip, sizeof(target));
	return sender && sender == target;
}

/* The guard has passed the frame, so what it says of its sender is true. */
static __always_inline int is_announcement(struct __sk_buff *skb, __u64 mac)
{
	__be16 type;

	if (bpf_skb_load_bytes(skb, 2 * ETH_ALEN, &type, sizeof(type)))
		return 0;
	if (type == bpf_htons(ETH_P_RARP))
		return 1;
	if (type == bpf_htons(ETH_P_ARP))
		return is_gratuitous_arp(skb);
	return type == bpf_htons(ETH_P_IPV6) && is_unsolicited_na(skb, mac);
}

/* Only with its own vMAC: the guard must not hand a router's to a port that may stay shut. */
static __always_inline int opens(struct __sk_buff *skb, __u32 number, const struct port_row *row,
				 __u64 word)
{
	const void *data = frame_start(skb), *end = frame_end(skb);

	if (data + ETH_HLEN > end || mac_load(data + ETH_ALEN) != row->mac ||
	    guard(skb, number, row, data, end) != PASS)
		return 0;
	return word & GATE_ANY_FRAME || is_announcement(skb, row->mac);
}

/* A frame of a port whose row does not say that it is open: PASS, or the reason of the drop.  It is
 * guarded again where it passes. */
__noinline int gate_lets_out(struct __sk_buff *skb, __u32 number)
{
	const struct port_row *row = bpf_map_lookup_elem(&rows, &number);
	struct gate_slot *g = gate_of(ROW_SLOT(number));
	__u64 word, was;

	if (!row || !g)
		return DROP_UNKNOWN_PORT;
	word = READ_ONCE(g->word);
	if (GATE_STATE(word) == GATE_IS_OPEN)
		return PASS;
	if (word & GATE_ARMED && opens(skb, number, row, word)) {
		was = __sync_val_compare_and_swap(&g->word, word, GATE_OPENED(word));
		if (was == word)
			tell(skb, ROW_SLOT(number), EVENT_FLIPPED, 0, GATE_GENERATION(word));
		if (was == word || GATE_STATE(was) == GATE_IS_OPEN)
			return PASS;
	}
	tell(skb, ROW_SLOT(number), EVENT_SPOKE, 0, GATE_GENERATION(word));
	return DROP_GATE_CLOSED;
}

/* --- to the guest ---------------------------------------------------------------------------- */

/* The ways of a frame for a port. */
#define WAY_PORT   0
#define WAY_WIRE   1 /* as anybody's */
#define WAY_TUNNEL 2
#define WAY_SHUT   3

/* By the port's member, which is not simply a link. */
static __noinline __u32 gated_way(__u32 slot, __u32 ifindex)
{
	__u64 word = gate_word(slot);

	if (!ifindex)
		return WAY_SHUT;
	switch (GATE_STATE(word)) {
	case GATE_IS_OPEN:
		return WAY_PORT;
	case GATE_IS_REDIRECT:
		return WAY_TUNNEL;
	case GATE_IS_CLOSED:
		return word & GATE_ELSEWHERE ? WAY_WIRE : WAY_SHUT;
	default:
		return WAY_WIRE;
	}
}

/* The link of a member for a broadcast's copy; 0 = not for this one. */
static __always_inline __u32 gated_link(__u32 slot, __u32 ifindex)
{
	if ((__s32)ifindex > 0)
		return ifindex & ~MEMBER_FLAGS;
	return gated_way(slot, ifindex) == WAY_PORT ? ifindex & ~MEMBER_FLAGS : 0;
}

/* --- a port's address as a source, from elsewhere -------------------------------------------- */

static __always_inline __u32 gate_state_of(__u32 slot)
{
	if ((__s32)MEMBER_IFINDEX(member_of(slot)) > 0)
		return GATE_IS_OPEN;
	return GATE_STATE(gate_word(slot));
}

/* From the wire: whether it is a loop or a double, because the guest is here and open. */
__noinline int wire_is_stranger(struct __sk_buff *skb, __u32 slot, __u32 tag_octets)
{
	__u32 state = gate_state_of(slot);

	if (state == GATE_IS_OPEN || state == GATE_IS_REDIRECT || state == GATE_IS_FENCED)
		tell(skb, slot, EVENT_STRANGER, tag_octets, GATE_GENERATION(gate_word(slot)));
	return state == GATE_IS_OPEN;
}

/* --- the tunnel ------------------------------------------------------------------------------ */

/* As large as the key was when the kernel first had these calls in our form; with the source
 * address in it, it is known from Linux 6.0 on. */
#define TUNNEL_KEY_SHORT (offsetof(struct bpf_tunnel_key, tunnel_label) + 4)

static __always_inline struct tunnel_ip mapped(__be32 ip)
{
	struct tunnel_ip m;
	__u32 w[4] = { 0, 0, bpf_htonl(0xffff), ip };

	__builtin_memcpy(&m, w, sizeof(m));
	return m;
}

static __always_inline int is_mapped(const struct tunnel_ip *ip, __be32 *ret)
{
	__u32 w[4];

	__builtin_memcpy(w, ip, sizeof(w));
	*ret = w[3];
	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

/* To where the guest of port `to` is; what fails is `from`'s drop. */
__noinline int into_tunnel(struct __sk_buff *skb, __u32 from, __u32 to, __u32 net)
{
	__u32 zero = 0, *vni = bpf_map_lookup_elem(&tunnel_nets, &net);
	const struct tunnel_conf *conf = bpf_map_lookup_elem(&tunnel, &zero);
	struct gate_slot *g = gate_of(to);
	struct weight w = weight_of(skb);
	struct bpf_tunnel_key key = { .tunnel_ttl = TUNNEL_TTL };
	__u64 word = g ? READ_ONCE(g->word) : 0, flags = 0;
	struct tunnel_ip peer, local;
	__u32 ifindex;
	__be32 ip4;
	long r = -1;

	ifindex = conf ? READ_ONCE(conf->ifindex) : 0;
	if (!ifindex || !vni || !g || GATE_STATE(word) != GATE_IS_REDIRECT || !(word & GATE_PEER)) {
		count_drop(from, DROP_NO_TUNNEL, w);
		return TC_ACT_SHOT;
	}
	key.tunnel_id = *vni;
	peer = word & GATE_PEER_1 ? g->peer[1] : g->peer[0];
	if (is_mapped(&peer, &ip4)) {
		key.remote_ipv4 = bpf_ntohl(ip4);
	} else {
		__builtin_memcpy(key.remote_ipv6, &peer, sizeof(peer));
		flags = BPF_F_TUNINFO_IPV6;
	}
	local = conf->local;
	if (conf->has_local && is_mapped(&local, &ip4) == !flags) {
		if (flags)
			__builtin_memcpy(key.local_ipv6, &local, sizeof(local));
		else
			key.local_ipv4 = bpf_ntohl(ip4);
		r = bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
	}
	if (r < 0)
		r = bpf_skb_set_tunnel_key(skb, &key, TUNNEL_KEY_SHORT, flags);
	if (r < 0) {
		count_drop(from, DROP_NO_TUNNEL, w);
		return TC_ACT_SHOT;
	}
	__sync_fetch_and_add(&g->redirected, w.frames);
	count_tx(SLOT_TUNNEL, w);
	return bpf_redirect(ifindex, 0);
}

/* The net of a frame that a peer sent; or the negative reason of the drop, less one. */
__noinline int tunnel_net(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct tunnel_ip peer;
	__u32 vni, *net;

	if (!bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY_SHORT, 0))
		peer = mapped(bpf_htonl(key.remote_ipv4));
	else if (!bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY_SHORT, BPF_F_TUNINFO_IPV6))
		__builtin_memcpy(&peer, key.remote_ipv6, sizeof(peer));
	else
		return -DROP_TUNNEL_PEER - 1;
	if (!bpf_map_lookup_elem(&tunnel_peers, &peer))
		return -DROP_TUNNEL_PEER - 1;
	vni = key.tunnel_id;
	net = bpf_map_lookup_elem(&tunnel_vnis, &vni);
	return net ? (int)(*net & (NET_COUNT - 1)) : -DROP_TUNNEL_NET - 1;
}

#endif
