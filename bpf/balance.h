/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A frame for a cluster's face finds its member.
 *
 * Theory of operation
 *
 * The forwarding table leads from a face to here, from the wire, the host and every port of the
 * net, and choose.h says which member it is for.
 *
 * A member here gets the frame with DA := member.  One elsewhere gets it by the uplink, with SA :=
 * the uplink's own address, so that no switch learns the client here; but with SA := the face where
 * the member is guessed, and while this host may speak for the face: who may speak for it is the
 * only one that sends with it, so switches learn what is true, and the member's host is told by it,
 * without a header of ours.  That host remembers the flows of its members, too.  What is guessed
 * and not known there it hands to the row's second.  What is not guessed it delivers and remembers;
 * hence a member that migrates takes its flows along, though its new host has never seen them.
 *
 * What was handed on ends at the second, which knows whether it has such a connection.  But any
 * frame of UDP may be a flow's first, and a new flow is the first's.  So that goes with SA := the
 * first member's address, which is true as well, and the second's host, if it does not know the
 * flow either, gives it back as its own frame: two hops more, once a flow. */
#ifndef VMAC_BPF_BALANCE_H
#define VMAC_BPF_BALANCE_H

#include "carry.h"
#include "choose.h"
#include "nat.h"

#define HANDED_HERE 0x100

/* --- a frame for a face ---------------------------------------------------------------------- */

/* 0, or why it is dropped. */
static __always_inline __u32 read_for(struct __sk_buff *skb, const struct cluster_conf *conf,
				      __u32 number, __be16 type, __u32 how, struct packet *p)
{
	int r;

	if (how & HOW_NESTED)
		return DROP_CLUSTER_ADDRESS;
	if (!read_usual(skb, l3_of(how), type, p)) {
		r = read_packet(skb, l3_of(how), type, p);
		if (r == READ_BROKEN)
			return DROP_CLUSTER_FRAME;
		if (r == READ_OTHER)
			return DROP_CLUSTER_ADDRESS;
	}
	/* Most have one address. */
	if (p->dst.word[1] == conf->addresses[0].word[1] &&
	    p->dst.word[0] == conf->addresses[0].word[0] && conf->address_count)
		return 0;
	return conf_has_ip(number, p->dst.word[0], p->dst.word[1]) ? 0 : DROP_CLUSTER_ADDRESS;
}

/* With nat, what else is to be known of who was chosen. */
static __always_inline int also_nat(const struct cluster_conf *conf, const struct packet *p,
				    int chosen)
{
	if (chosen <= 0 || !(conf->flags & CLUSTER_NAT))
		return chosen;
	if (p->flags & PACKET_PORTS &&
	    (p->proto == PROTO_TCP || conf->mode == CLUSTER_MODE_DIRECTOR))
		chosen |= CHOSE_NOTED;
	return (int)((__u32)chosen | CHOSE_NAT);
}

/* Nat: the port's guest, if this answers a question for which it was chosen itself (nat.h); 0 = it
 * does not.  `hash`: of the question. */
__noinline int own_answer(__u32 number, __u32 port, __u64 hash)
{
	__u32 tick = FLOW_TICK(clock_coarse());
	__u32 cluster = FACE_CLUSTER(number), id = port_member_id(port, cluster);
	__u64 found = flow_find(hash, cluster, tick, 0);

	return id && found && FLOW_ID(found) == id ? (int)id : 0;
}

static __always_inline __u64 question_hash(const struct cluster_conf *conf, struct packet p)
{
	__u16 port = p.ports[0];

	p.ports[0] = p.ports[1];
	p.ports[1] = port;
	return packet_hash(conf, &p);
}

/* Who gets it: see CHOSE_ID. */
__noinline int balance(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net, __u32 how)
{
	__u32 cluster = FACE_CLUSTER(number), action, reason;
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const void *data = frame_start(skb);
	const struct cluster_conf *conf;
	struct packet p = {};
	__u64 now, hash, what;
	__be16 type;
	int chosen;

	if (!s || data + ETH_HLEN > frame_end(skb))
		return BALANCE_DROP_OF(DROP_MALFORMED);
	conf = face_conf(s, FACE_INDEX(number), net, mac_load(data));
	if (!conf)
		return 0; /* taken away under our eyes */
	if (conf->mode == CLUSTER_MODE_CARRY)
		return BALANCE_CARRY;
	type = type_of(skb, l3_of(how));
	if (type == bpf_htons(ETH_P_ARP))
		return BALANCE_ASKED;
	if ((how & HOW_CAME) == HOW_HOST && (skb->mark & MARK_PROBE_MASK) == MARK_PROBE) {
		reason = MARK_PROBE_ID(skb->mark);
		skb->mark = 0;
		return (int)(reason | (conf->flags & CLUSTER_NAT ? CHOSE_NAT : 0));
	}
	now = clock_coarse();
	if (conf->mode == CLUSTER_MODE_DISTRIBUTED ? !clock_before(now, READ_ONCE(s->own))
						   : !face_serves(s, FACE_INDEX(number), now))
		return BALANCE_DROP_OF(DROP_NOT_ANCHOR);
	reason = read_for(skb, conf, number, type, how, &p);
	if (p.flags & PACKET_ND)
		return BALANCE_ASKED;
	if (reason)
		return BALANCE_DROP_OF(reason);
	action = rule_of(conf, number, &p);
	if (action == CLUSTER_DO_DROP)
		return BALANCE_DROP_OF(DROP_CLUSTER_RULE);
	if (conf->flags & CLUSTER_NAT && (how & HOW_CAME) == HOW_PORT && p.flags & PACKET_PORTS) {
		chosen = own_answer(number, from, question_hash(conf, p));
		if (chosen)
			return (int)((__u32)chosen | CHOSE_NAT | CHOSE_NOTED);
	}
	hash = packet_hash(conf, &p);
	what = WHAT(row_number(conf, &p, hash), p.flags, p.proto, action);
	chosen = conf->mode == CLUSTER_MODE_DISTRIBUTED
			 ? choose_own(cluster, hash, what, FLOW_TICK(now))
			 : find_or_choose(s, conf, cluster, hash, what, FLOW_TICK(now));
	return also_nat(conf, &p, chosen);
}

/* --- at a member's host ---------------------------------------------------------------------- */

/* A frame from the wire for the port `to`, whose guest is a member of clusters: BALANCE_PORT, or
 * the member that it is handed on to, with its cluster from bit 20 on. */
__noinline int balance_member(struct __sk_buff *skb, __u32 to, __u32 net, __u32 how)
{
	const void *data = frame_start(skb);
	const struct cluster_conf *conf;
	struct packet p = {};
	int cluster, r, here;
	__u64 hash, sa;
	__u32 id;

	if (data + ETH_HLEN > frame_end(skb))
		return BALANCE_PORT;
	sa = mac_load(data + ETH_ALEN);
	if (how & HOW_NESTED ||
	    read_packet(skb, l3_of(how), type_of(skb, l3_of(how)), &p) != READ_OK)
		return BALANCE_PORT;
	cluster = cluster_of_ip(net, p.dst);
	if (cluster < 0)
		return BALANCE_PORT;
	id = port_member_id(to, (__u32)cluster);
	conf = conf_by_face(FACE_OF(cluster, 0));
	if (!id || !conf || conf->mode == CLUSTER_MODE_CARRY)
		return BALANCE_PORT;
	here = conf->flags & CLUSTER_NAT ? (int)(id | CHOSE_NAT | CHOSE_HERE | (__u32)cluster << 20)
					 : BALANCE_PORT;
	if (!(p.flags & PACKET_PORTS))
		return here;
	hash = packet_hash(conf, &p);
	r = member_choose(FACE_OF(cluster, 0), hash,
			  WHAT(row_number(conf, &p, hash), p.flags, p.proto,
			       rule_of(conf, FACE_OF(cluster, 0), &p)),
			  id, sa);
	if (r < 0)
		return here == BALANCE_PORT ? here : (int)((__u32)here | CHOSE_NOTED);
	return (int)((__u32)also_nat(conf, &p, r) | (__u32)cluster << 20);
}

/* --- handing over ---------------------------------------------------------------------------- */

static __always_inline void mac_store(__u8 *to, __u64 mac)
{
	__u32 first = (__u32)mac;
	__u16 last = (__u16)(mac >> 32);

	__builtin_memcpy(to, &first, sizeof(first));
	__builtin_memcpy(to + 4, &last, sizeof(last));
}

static __always_inline int write_macs(struct __sk_buff *skb, __u64 da, __u64 sa)
{
	__u8 both[2 * ETH_ALEN] __attribute__((aligned(4)));

	mac_store(both, da);
	mac_store(both + ETH_ALEN, sa);
	return bpf_skb_store_bytes(skb, 0, both, sizeof(both), 0);
}

static __always_inline int write_da(struct __sk_buff *skb, __u64 da)
{
	__u8 one[ETH_ALEN] __attribute__((aligned(4)));

	mac_store(one, da);
	return bpf_skb_store_bytes(skb, 0, one, sizeof(one), 0);
}

static __always_inline int hand_to_port(struct __sk_buff *skb, __u32 from, __u32 cluster, __u32 to,
					__u32 way, __u64 mac, __u32 net, __u32 how, struct weight w)
{
	struct uplink_frame f = { .tagged = !!(how & HOW_TAGGED),
				  .in_band = !!(how & HOW_IN_BAND) };
	int reason, verdict;

	if (way == WAY_SHUT)
		return drop(from, DROP_RECEIVER_CLOSED, w);
	reason = how & HOW_NESTED ? DROP_VLAN_TAG : untag(skb, &f);
	if (reason == PASS && write_da(skb, mac))
		reason = DROP_NO_MEMORY;
	if (reason != PASS)
		return drop(from, (__u32)reason, w);
	count_cluster(cluster, local, w.frames);
	verdict = way == WAY_TUNNEL ? into_tunnel(skb, from, to, net)
				    : send_to_port(skb, from, to, member_of(to), w);
	return verdict == TC_ACT_REDIRECT ? HANDED_HERE : verdict;
}

/* The face's address, while this host may send with it; else 0. */
__noinline __u64 face_to_say(__u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 face = FACE_INDEX(number);

	return conf && face_speaks(s, face, clock_coarse()) ? conf->faces[face] : 0;
}

/* `sa`: with that address as its source; 0 = with the uplink's own. */
static __always_inline int hand_to_wire(struct __sk_buff *skb, __u32 from, __u32 cluster, __u64 mac,
					__u64 sa, __u32 net, __u32 how, struct weight w)
{
	__u32 number = NET_UPLINK(net) & 15, uplink = SLOT_UPLINK_0 + number, ifindex;
	const __u64 *own = bpf_map_lookup_elem(&uplink_macs, &number);
	__u64 member = member_of(uplink);

	ifindex = MEMBER_IFINDEX(member);
	if (!ifindex || !own)
		return drop(from, DROP_NO_UPLINK, w);
	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return drop(from, DROP_MTU, w);
	if (write_macs(skb, mac, sa ? sa : READ_ONCE(*own)) ||
	    ((how & HOW_CAME) == HOW_PORT && tag_for_uplink(skb, net)))
		return drop(from, DROP_NO_MEMORY, w);
	count_cluster(cluster, remote, w.frames);
	if ((how & HOW_CAME) == HOW_HOST)
		return TC_ACT_UNSPEC; /* on its way there */
	if (sa)
		skb->mark = MARK_ANNOUNCE;
	count_tx(uplink, w);
	return bpf_redirect(ifindex, 0);
}

static __always_inline int no_member(__u32 from, __u32 cluster, struct weight w)
{
	count_cluster(cluster, no_member, w.frames);
	return drop(from, DROP_NO_MEMBER, w);
}

/* To the member that was chosen (in the high half of `how`, as CHOSE_ID says); what fails is
 * `from`'s drop.  HANDED_HERE: the verdict is to be TC_ACT_REDIRECT, to a port here. */
__noinline int hand_over(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net, __u64 how)
{
	__u32 cluster = FACE_CLUSTER(number), chosen = (__u32)(how >> 32), id = chosen & CHOSE_ID;
	struct weight w = weight_of(skb);
	__u64 mac = id ? member_gets(cluster, id, w.frames, w.octets) : 0;
	__u32 way = WAY_WIRE, to;
	__u64 sa = 0;

	if (!mac)
		return no_member(from, cluster, w);
	if (chosen & CHOSE_SECOND)
		count_cluster(cluster, second, w.frames);
	to = member_port(net, mac, &way);
	if (to != SLOT_NOBODY) {
		if (to == from && !(chosen & CHOSE_NAT))
			return drop(from, DROP_HAIRPIN, w);
		return hand_to_port(skb, from, cluster, to, way, mac, net, (__u32)how, w);
	}
	if (!NET_UPLINK(net))
		return no_member(from, cluster, w);
	if (chosen & CHOSE_GUESSED)
		sa = face_to_say(number);
	else if (chosen & CHOSE_LENT)
		sa = mac_at(skb, 0);
	return hand_to_wire(skb, from, cluster, mac, sa, net, (__u32)how, w);
}

/* Hands over, and rewrites for nat, which may follow the way that the frame was given. */
static __always_inline int hand_over_whole(struct __sk_buff *skb, __u32 from, __u32 number,
					   __u32 net, __u32 how, __u32 chosen)
{
	int r = hand_over(skb, from, number, net, (__u64)chosen << 32 | how);

	if (r != HANDED_HERE)
		return r;
	if (chosen & CHOSE_NAT) {
		r = nat_to_member(skb, FACE_CLUSTER(number), chosen & CHOSE_ID,
				  chosen & CHOSE_NOTED, ETH_HLEN);
		if (r != PASS)
			return drop(from, (__u32)r, weight_of(skb));
	}
	return TC_ACT_REDIRECT;
}

/* For no member of this host's choosing. */
__noinline int balance_drops(struct __sk_buff *skb, __u32 from, __u32 number, __u32 reason)
{
	__u32 cluster = FACE_CLUSTER(number);
	struct weight w = weight_of(skb);

	switch (reason) {
	case DROP_NOT_ANCHOR:
		count_cluster(cluster, not_anchor, w.frames);
		break;
	case DROP_OTHERS_ROW:
		count_cluster(cluster, others, w.frames);
		break;
	case DROP_CLUSTER_FRAME:
		count_cluster(cluster, malformed, w.frames);
		break;
	case DROP_CLUSTER_ADDRESS:
		count_cluster(cluster, no_address, w.frames);
		break;
	case DROP_CLUSTER_RULE:
		count_cluster(cluster, rule, w.frames);
		break;
	default:
		break;
	}
	return drop(from, reason, w);
}

/* A frame for a face: a verdict, or BALANCE_WIRE, BALANCE_ASKED, BALANCE_CARRY. */
static __always_inline int to_face(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net,
				   __u32 how)
{
	int chosen = balance(skb, from, number, net, how);
	__u32 reason;

	if (chosen >= 0)
		return hand_over_whole(skb, from, number, net, how, (__u32)chosen);
	if (chosen > BALANCE_DROP)
		return chosen;
	reason = (__u32)(BALANCE_DROP - chosen);
	if ((reason == DROP_NOT_ANCHOR || reason == DROP_OTHERS_ROW) &&
	    (how & HOW_CAME) != HOW_WIRE)
		return BALANCE_WIRE;
	return balance_drops(skb, from, number, reason);
}

/* A frame from the wire for a member's port: a verdict, or BALANCE_PORT. */
static __always_inline int to_member(struct __sk_buff *skb, __u32 from, __u32 to, __u32 net,
				     __u32 how)
{
	int chosen = balance_member(skb, to, net, how), r;
	__u32 cluster = (__u32)chosen >> 20 & (CLUSTER_SLOTS - 1);

	if (chosen < 0)
		return BALANCE_PORT;
	if (chosen & CHOSE_HERE) {
		r = nat_to_member(skb, cluster, (__u32)chosen & CHOSE_ID, chosen & CHOSE_NOTED,
				  l3_of(how));
		return r == PASS ? BALANCE_PORT : drop(from, (__u32)r, weight_of(skb));
	}
	return hand_over_whole(skb, from, FACE_OF(cluster, 0), net, how, (__u32)chosen & 0xfffff);
}

#endif
