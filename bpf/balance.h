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
#include "handover.h"
#include "nat.h"

/* --- a frame for a face ---------------------------------------------------------------------- */

/* Most have one address, or one a family. */
static __always_inline int is_usual_address(const struct cluster_conf *conf, struct cluster_ip ip)
{
	for (__u32 i = 0; i < 2; i++)
		if (i < conf->address_count && ip.word[1] == conf->addresses[i].word[1] &&
		    ip.word[0] == conf->addresses[i].word[0])
			return 1;
	return 0;
}

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
	if (is_usual_address(conf, p->dst))
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

/* --- the usual frame ------------------------------------------------------------------------- */

/* What nearly all frames for a face are, chosen and handed over in one function, because each call
 * costs as much as a look-up: TCP or UDP in whole, for a director that serves, with neither nat nor
 * rules and with the usual addresses (one, or one a family).  Not the host's own, which may be a
 * probe.  A verdict; or BALANCE_CHOSEN and who gets it, where that is not by an open port here; or
 * BALANCE_UNUSUAL: another frame, and nothing was done. */
__noinline int balance_usual(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net, __u32 how)
{
	__u32 cluster = FACE_CLUSTER(number), to, chosen;
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const void *data = frame_start(skb);
	const struct cluster_conf *conf;
	struct packet p = {};
	struct weight w;
	__u64 now, hash, mac, member;
	int r;

	if (!s || data + ETH_HLEN > frame_end(skb) || how & HOW_NESTED ||
	    (how & HOW_CAME) == HOW_HOST)
		return BALANCE_UNUSUAL;
	conf = face_conf(s, FACE_INDEX(number), net, mac_load(data));
	if (!conf || conf->mode != CLUSTER_MODE_DIRECTOR || conf->flags & CLUSTER_NAT ||
	    conf->rule_count)
		return BALANCE_UNUSUAL;
	now = clock_coarse();
	if (!face_serves(s, FACE_INDEX(number), now) ||
	    !read_usual(skb, l3_of(how), type_of(skb, l3_of(how)), &p) ||
	    !is_usual_address(conf, p.dst))
		return BALANCE_UNUSUAL;
	hash = packet_hash(conf, &p);
	chosen = (__u32)find_or_choose(
		s, conf, cluster, hash,
		WHAT(row_number(conf, &p, hash), p.flags, p.proto, CLUSTER_DO_BALANCE),
		FLOW_TICK(now));
	mac = chosen & ~CHOSE_ID ? 0 : member_mac_of(cluster, chosen);
	to = mac ? receiver_of(net, mac) : SLOT_NOBODY;
	member = is_port(to) && to != from ? member_of(to) : 0;
	if ((__s32)MEMBER_IFINDEX(member) <= 0)
		return (int)(BALANCE_CHOSEN | chosen);
	w = weight_of(skb);
	count_member(cluster, chosen, w);
	r = hand_to_port(skb, from, cluster, to, WAY_PORT, mac, net, how, w);
	return r == HANDED_HERE ? TC_ACT_REDIRECT : r;
}

/* --- any frame ------------------------------------------------------------------------------- */

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
	int chosen = balance_usual(skb, from, number, net, how);
	__u32 reason;

	if (chosen == BALANCE_UNUSUAL)
		chosen = balance(skb, from, number, net, how);
	else if (chosen & BALANCE_CHOSEN)
		chosen ^= BALANCE_CHOSEN;
	else
		return chosen;
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
