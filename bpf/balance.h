/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A frame for a cluster's face finds its member.
 *
 * Theory of operation
 *
 * The forwarding table leads from a face to here, from the wire, the host and every port of the
 * net.  The flow's hash, under the cluster's key, is its row, and the row names two members: the
 * *first*, to whom the flow belongs by the rows in force, and the *second*, to whom it belonged
 * before, or would next.  A SYN goes to the first.  What else goes where the flow's entry says
 * (flow.h) while that member is known; without one to the first, and that is a guess.
 *
 * A member here gets the frame with DA := member.  One elsewhere gets it by the uplink, with SA :=
 * the uplink's own address, so that no switch learns the client here; but with SA := the face where
 * the member is guessed, of TCP, and while this host may speak for the face: who may speak for it
 * is the only one that sends with it, so switches learn what is true, and the member's host is told
 * by it, without a header of ours.  That host remembers the flows of its members, too.  What is
 * guessed and not known there it hands to the row's second, as its own frame: so once at most.
 * What is not guessed it delivers and remembers; hence a member that migrates takes its flows
 * along, though its new host has never seen them.
 *
 * A guessed entry that names the row's second is not followed: the row's first may know better, and
 * if not, its host hands on to that second.
 *
 * Where every host gets every frame (distributed) this host takes the rows whose first member has
 * an open port here by the installed and the committed rows, while it owns them; nothing is said by
 * an entry there, because two hosts could have one. */
#ifndef VMAC_BPF_BALANCE_H
#define VMAC_BPF_BALANCE_H

#include "carry.h"
#include "nat.h"

#define HANDED_HERE 0x100

/* What balance() says: a member's id with what else is to be known of it, or one of these. */
#define CHOSE_ID	   0xffffu
#define CHOSE_GUESSED	   (1u << 16) /* of TCP, and of its flow nothing is known here */
#define CHOSE_SECOND	   (1u << 17) /* handed on from the row's first */
#define BALANCE_WIRE	   -2	      /* as anybody's: by the wire */
#define CHOSE_NAT	   (1u << 18) /* its addresses are to be rewritten; */
#define CHOSE_NOTED	   (1u << 19) /* … the flow table was asked */
#define CHOSE_HERE	   (1u << 28) /* … and then it goes to its port as any other */
#define BALANCE_PORT	   -3	      /* to its port as any other */
#define BALANCE_ASKED	   -4	      /* ARP or ND: answer.h */
#define BALANCE_CARRY	   -5	      /* to all members: carry.h */
#define BALANCE_DROP	   -16	      /* … and less: the negative reason */
#define BALANCE_DROP_OF(r) (BALANCE_DROP - (int)(r))

/* --- rules and rows -------------------------------------------------------------------------- */

static __always_inline const struct cluster_conf *conf_by_face(__u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));

	return s ? cluster_conf_of(s) : 0;
}

__noinline int conf_has_ip(__u32 number, __u64 high, __u64 low)
{
	const struct cluster_conf *conf = conf_by_face(number);
	struct cluster_ip ip = { { high, low } };

	return conf && cluster_has_ip(conf, ip);
}

/* A fragment is judged by the rules for all ports, because most of it has none to show; but what
 * of it shows one that is dropped is dropped, and with it all. */
__noinline __u32 conf_rule(__u32 number, __u32 proto, __u32 flags, __u32 port)
{
	const struct cluster_conf *conf = conf_by_face(number);
	__u32 knows = flags & (PACKET_PORTS | PACKET_FIRST) && has_ports((__u8)proto);

	if (!conf)
		return CLUSTER_DO_BALANCE;
	for (__u32 i = 0; i < CLUSTER_RULES; i++) {
		const struct cluster_rule_conf *r = &conf->rules[i];

		if (i >= conf->rule_count)
			break;
		if (r->protocol && r->protocol != proto)
			continue;
		if (!r->has_ports)
			return r->action;
		if (knows && (flags & PACKET_PORTS || r->action == CLUSTER_DO_DROP) &&
		    port >= r->from && port <= r->to)
			return r->action;
	}
	return CLUSTER_DO_BALANCE;
}

static __always_inline __u32 rule_of(const struct cluster_conf *conf, __u32 number,
				     const struct packet *p)
{
	return conf->rule_count ? conf_rule(number, p->proto, p->flags, bpf_ntohs(p->ports[1]))
				: CLUSTER_DO_BALANCE;
}

static __always_inline __u32 row_number(const struct cluster_conf *conf, const struct packet *p,
					__u64 hash)
{
	if (conf->affinity != CLUSTER_BY_FLOW)
		hash = client_hash(conf, p);
	return conf->row_count == 65536 ? (__u32)hash & 0xffff : (__u32)hash % 65537;
}

/* What of a packet matters to who chooses: a row, and what the packet is. */
#define WHAT(row, flags, proto, action)                                                            \
	((__u64)(row) | (__u64)(flags) << 32 | (__u64)(proto) << 40 | (__u64)(action) << 48)
#define WHAT_ROW(what)	  ((__u32)(what))
#define WHAT_FLAGS(what)  ((__u32)((what) >> 32) & 0xff)
#define WHAT_PROTO(what)  ((__u32)((what) >> 40) & 0xff)
#define WHAT_ACTION(what) ((__u32)((what) >> 48) & 0xff)

/* The two members, by one set of rows. */
static __always_inline __u32 row_read(const struct cluster_slot *s, __u32 cluster, __u64 what,
				      __u32 set)
{
	__u32 rows = CLUSTER_ROWS_OF(cluster, set), half = WHAT_ROW(what) >> 1;
	const __u64 *word;
	void *inner;

	if (WHAT_ACTION(what) == CLUSTER_DO_PRIORITY)
		return READ_ONCE(s->priority[set]);
	inner = bpf_map_lookup_elem(&cluster_rows, &rows);
	word = inner ? bpf_map_lookup_elem(inner, &half) : 0;
	return word ? CLUSTER_ROW(READ_ONCE(*word), WHAT_ROW(what)) : 0;
}

/* --- remembering ----------------------------------------------------------------------------- */

/* In place of what was found of the flow, or in a new place. */
static __always_inline void remember(__u32 way, __u64 hash, __u32 state, __u32 cluster, __u32 id,
				     __u32 tick)
{
	__u64 entry = FLOW_ENTRY(hash, state, tick + FLOW_NEW_TICKS, cluster, id);

	if (way >= FLOW_WAYS) {
		way = flow_place(hash, tick);
		if (way < FLOW_WAYS)
			count_cluster(cluster, flows_made, 1);
		else
			count_cluster(cluster, flows_denied, 1);
	}
	flow_store(way, hash, entry);
}

/* A SYN's member; but the entry of a flow that lives stays, or who forges a SYN could cut it. */
__noinline int flow_begin(__u64 hash, __u32 cluster, __u32 id, __u32 tick)
{
	__u32 way = flow_way(hash, cluster, tick);
	__u64 entry = flow_at(way, hash, cluster, tick);

	if (!entry || FLOW_STATE(entry) != FLOW_CONFIRMED)
		remember(entry ? way : FLOW_WAYS, hash, FLOW_NEW, cluster, id, tick);
	return 0;
}

static __always_inline void renew(const struct cluster_conf *conf, __u32 way, __u64 hash,
				  __u64 entry, __u64 what, __u32 tick)
{
	__u32 idle = WHAT_PROTO(what) == PROTO_UDP ? conf->udp_ticks : conf->tcp_ticks;

	if (!(WHAT_FLAGS(what) & PACKET_ERROR))
		flow_renew(way, hash, entry, WHAT_FLAGS(what), idle, tick);
}

/* --- which member ---------------------------------------------------------------------------- */

/* How a frame for that member gets to it: its port, or SLOT_NOBODY for the wire. */
static __always_inline __u32 member_port(__u32 net, __u64 mac, __u32 *ret_way)
{
	__u32 to = receiver_of(net, mac), link;

	if (!is_port(to))
		return SLOT_NOBODY;
	link = MEMBER_IFINDEX(member_of(to));
	*ret_way = (__s32)link > 0 ? WAY_PORT : gated_way(to, link);
	return *ret_way == WAY_WIRE ? SLOT_NOBODY : to;
}

__noinline int member_is_here(__u32 cluster, __u32 id, __u32 net)
{
	__u32 way = WAY_WIRE;
	__u64 mac = member_mac(cluster, id);

	return mac && member_port(net, mac, &way) != SLOT_NOBODY && way == WAY_PORT;
}

/* Where the first is here and does not know the flow, it is the second's, if there is one. */
static __always_inline int second_chance(const struct cluster_slot *s,
					 const struct cluster_conf *conf, __u32 cluster, __u32 row)
{
	__u32 first = CLUSTER_FIRST(row), second = CLUSTER_SECOND(row);

	if (second && second != first && cluster_knows(s, second) &&
	    member_is_here(cluster, first, conf->net))
		return (int)(second | CHOSE_SECOND);
	return (int)(first | CHOSE_GUESSED);
}

/* Of an anchor. */
__noinline int choose(__u32 cluster, __u64 hash, __u64 what, __u32 tick)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 is_tcp = WHAT_PROTO(what) == PROTO_TCP, way = FLOW_WAYS, known = 0, row, id = 0;
	__u64 entry = 0;
	int chosen;

	if (!conf)
		return 0;
	if ((WHAT_FLAGS(what) & (PACKET_PORTS | PACKET_SYN)) == PACKET_PORTS) {
		way = flow_way(hash, cluster, tick);
		entry = flow_at(way, hash, cluster, tick);
		id = FLOW_ID(entry);
		known = entry && cluster_knows(s, id);
		if (known && !FLOW_IS_GUESSED(entry)) {
			renew(conf, way, hash, entry, what, tick);
			return (int)id;
		}
	}
	row = row_read(s, cluster, what, CLUSTER_COMMITTED);
	if (!CLUSTER_FIRST(row) || !(WHAT_FLAGS(what) & PACKET_PORTS))
		return (int)CLUSTER_FIRST(row);
	if (WHAT_FLAGS(what) & PACKET_SYN) {
		flow_begin(hash, cluster, CLUSTER_FIRST(row), tick);
		return (int)CLUSTER_FIRST(row);
	}
	if (known) {
		renew(conf, way, hash, entry, what, tick);
		if (id != CLUSTER_SECOND(row) || !is_tcp)
			return (int)(id | (is_tcp ? CHOSE_GUESSED : 0));
	}
	chosen = is_tcp ? second_chance(s, conf, cluster, row) : (int)CLUSTER_FIRST(row);
	/* The end of a flow that nobody knows is not the beginning of one. */
	if (!known && !(WHAT_FLAGS(what) & (PACKET_ERROR | PACKET_END)))
		remember(entry ? way : FLOW_WAYS, hash, FLOW_NEW | (is_tcp ? FLOW_GUESSED : 0),
			 cluster, (__u32)chosen & CHOSE_ID, tick);
	return chosen;
}

/* Of a host that takes its own rows only. */
__noinline int choose_own(__u32 cluster, __u64 hash, __u64 what, __u32 tick)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 row, first, way;
	__u64 entry;
	int chosen;

	if (!conf)
		return 0;
	row = row_read(s, cluster, what, CLUSTER_INSTALLED);
	first = CLUSTER_FIRST(row);
	if (!first || first != CLUSTER_FIRST(row_read(s, cluster, what, CLUSTER_COMMITTED)) ||
	    !member_is_here(cluster, first, conf->net))
		return BALANCE_DROP_OF(DROP_OTHERS_ROW);
	if (!(WHAT_FLAGS(what) & PACKET_PORTS) || WHAT_PROTO(what) != PROTO_TCP)
		return (int)first;
	if (WHAT_FLAGS(what) & PACKET_SYN) {
		flow_begin(hash, cluster, first, tick);
		return (int)first;
	}
	way = flow_way(hash, cluster, tick);
	entry = flow_at(way, hash, cluster, tick);
	if (entry && FLOW_ID(entry) == first) {
		renew(conf, way, hash, entry, what, tick);
		return (int)first;
	}
	chosen = second_chance(s, conf, cluster, row);
	if (!(chosen & CHOSE_SECOND) && !(WHAT_FLAGS(what) & PACKET_ERROR))
		remember(entry ? way : FLOW_WAYS, hash, FLOW_NEW, cluster, first, tick);
	return chosen;
}

/* --- a frame for a face ---------------------------------------------------------------------- */

static __always_inline __be16 type_of(struct __sk_buff *skb, __u32 how)
{
	__be16 type = 0;

	bpf_skb_load_bytes(skb, 2 * ETH_ALEN + (how & HOW_IN_BAND ? 4 : 0), &type, sizeof(type));
	return type;
}

static __always_inline __u32 l3_of(__u32 how)
{
	return ETH_HLEN + (how & HOW_IN_BAND ? 4 : 0);
}

/* 0, or why it is dropped. */
static __always_inline __u32 read_for(struct __sk_buff *skb, __u32 number, __u32 how,
				      struct packet *p)
{
	int r = how & HOW_NESTED ? READ_OTHER : read_packet(skb, l3_of(how), type_of(skb, how), p);

	if (r == READ_BROKEN)
		return DROP_CLUSTER_FRAME;
	if (r == READ_OTHER || !conf_has_ip(number, p->dst.word[0], p->dst.word[1]))
		return DROP_CLUSTER_ADDRESS;
	return 0;
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
	__u32 tick = (__u32)(bpf_ktime_get_boot_ns() >> FLOW_TICK_BITS);
	__u32 cluster = FACE_CLUSTER(number), id = port_member_id(port, cluster);
	__u64 entry = flow_at(flow_way(hash, cluster, tick), hash, cluster, tick);

	return id && entry && FLOW_ID(entry) == id ? (int)id : 0;
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
	int chosen;

	if (!s || data + ETH_HLEN > frame_end(skb))
		return BALANCE_DROP_OF(DROP_MALFORMED);
	conf = face_conf(s, FACE_INDEX(number), net, mac_load(data));
	if (!conf)
		return 0; /* taken away under our eyes */
	if (conf->mode == CLUSTER_MODE_CARRY)
		return BALANCE_CARRY;
	if (type_of(skb, how) == bpf_htons(ETH_P_ARP))
		return BALANCE_ASKED;
	if ((how & HOW_CAME) == HOW_HOST && (skb->mark & MARK_PROBE_MASK) == MARK_PROBE) {
		reason = MARK_PROBE_ID(skb->mark);
		skb->mark = 0;
		return (int)(reason | (conf->flags & CLUSTER_NAT ? CHOSE_NAT : 0));
	}
	now = bpf_ktime_get_boot_ns();
	if (conf->mode == CLUSTER_MODE_DISTRIBUTED ? READ_ONCE(s->own) <= now
						   : !face_serves(s, FACE_INDEX(number), now))
		return BALANCE_DROP_OF(DROP_NOT_ANCHOR);
	reason = read_for(skb, number, how, &p);
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
			 ? choose_own(cluster, hash, what, (__u32)(now >> FLOW_TICK_BITS))
			 : choose(cluster, hash, what, (__u32)(now >> FLOW_TICK_BITS));
	return also_nat(conf, &p, chosen);
}

/* --- at a member's host ---------------------------------------------------------------------- */

/* The source of the frame is a face of the cluster: its anchor guessed. */
__noinline int is_guess(struct __sk_buff *skb, __u32 number)
{
	const struct cluster_conf *conf = conf_by_face(number);
	const void *data = frame_start(skb);
	__u64 sa;

	if (!conf || data + ETH_HLEN > frame_end(skb))
		return 0;
	sa = mac_load(data + ETH_ALEN);
	for (__u32 i = 0; i < CLUSTER_FACES; i++)
		if (i < conf->face_count && conf->faces[i] == sa)
			return 1;
	return 0;
}

/* Of a flow that this host's member is said to have. */
__noinline int member_choose(__u32 number, __u64 hash, __u64 what, __u32 id, __u32 guessed)
{
	__u32 tick = (__u32)(bpf_ktime_get_boot_ns() >> FLOW_TICK_BITS), way, row, second;
	__u32 cluster = FACE_CLUSTER(number);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u64 entry;

	if (!conf)
		return BALANCE_PORT;
	if (WHAT_FLAGS(what) & PACKET_SYN) {
		flow_begin(hash, cluster, id, tick);
		return BALANCE_PORT;
	}
	way = flow_way(hash, cluster, tick);
	entry = flow_at(way, hash, cluster, tick);
	if (entry && FLOW_ID(entry) == id) {
		renew(conf, way, hash, entry, what, tick);
		return BALANCE_PORT;
	}
	if (guessed) {
		row = row_read(s, cluster, what, CLUSTER_INSTALLED);
		second = CLUSTER_SECOND(row);
		if (CLUSTER_FIRST(row) == id && second && second != id && cluster_knows(s, second))
			return (int)(second | CHOSE_SECOND);
	}
	if (!(WHAT_FLAGS(what) & (PACKET_ERROR | PACKET_END)))
		remember(entry ? way : FLOW_WAYS, hash, FLOW_NEW | (guessed ? FLOW_GUESSED : 0),
			 cluster, id, tick);
	return BALANCE_PORT;
}

/* A frame from the wire for the port `to`, whose guest is a member of clusters: BALANCE_PORT, or
 * the member that it is handed on to, with its cluster from bit 20 on. */
__noinline int balance_member(struct __sk_buff *skb, __u32 to, __u32 net, __u32 how)
{
	const struct cluster_conf *conf;
	struct packet p;
	int cluster, r, here;
	__u32 id;
	__u64 hash;

	if (how & HOW_NESTED || read_packet(skb, l3_of(how), type_of(skb, how), &p) != READ_OK)
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
	if (p.proto != PROTO_TCP || !(p.flags & PACKET_PORTS))
		return here;
	hash = packet_hash(conf, &p);
	r = member_choose(FACE_OF(cluster, 0), hash,
			  WHAT(row_number(conf, &p, hash), p.flags, p.proto,
			       rule_of(conf, FACE_OF(cluster, 0), &p)),
			  id, (__u32)is_guess(skb, FACE_OF(cluster, 0)));
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

	return conf && face_speaks(s, face, bpf_ktime_get_boot_ns()) ? conf->faces[face] : 0;
}

static __always_inline int hand_to_wire(struct __sk_buff *skb, __u32 from, __u32 cluster, __u64 mac,
					__u64 face, __u32 net, __u32 how, struct weight w)
{
	__u32 number = NET_UPLINK(net) & 15, uplink = SLOT_UPLINK_0 + number, ifindex;
	const __u64 *own = bpf_map_lookup_elem(&uplink_macs, &number);
	__u64 member = member_of(uplink);

	ifindex = MEMBER_IFINDEX(member);
	if (!ifindex || !own)
		return drop(from, DROP_NO_UPLINK, w);
	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return drop(from, DROP_MTU, w);
	if (write_macs(skb, mac, face ? face : READ_ONCE(*own)) ||
	    ((how & HOW_CAME) == HOW_PORT && tag_for_uplink(skb, net)))
		return drop(from, DROP_NO_MEMORY, w);
	count_cluster(cluster, remote, w.frames);
	if ((how & HOW_CAME) == HOW_HOST)
		return TC_ACT_UNSPEC; /* on its way there */
	if (face)
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
	__u64 mac = member_mac(cluster, id);
	__u32 way = WAY_WIRE, to;

	if (!id || !mac)
		return no_member(from, cluster, w);
	count_member(cluster, id, w.frames, w.octets);
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
	return hand_to_wire(skb, from, cluster, mac,
			    chosen & CHOSE_GUESSED ? face_to_say(number) : 0, net, (__u32)how, w);
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
