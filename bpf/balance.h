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

#include "flow.h"
#include "ways.h"

/* Where a frame comes from, and how its tag is, in `how`. */
#define HOW_WIRE    0u
#define HOW_HOST    1u
#define HOW_PORT    2u
#define HOW_CAME    3u
#define HOW_TAGGED  4u
#define HOW_IN_BAND 8u
#define HOW_NESTED  16u

/* What else there is to say beside TC_ACT_…. */
#define BALANCE_WIRE -2 /* as anybody's: by the wire */
#define BALANCE_PORT -3 /* to its port as any other */

struct hand {
	const struct cluster_slot *slot;
	const struct cluster_conf *conf;
	__u64 now;
	__u32 from, net, how, cluster, face;
	__u32 guessed; /* and may be said so */
	struct weight w;
};

/* --- the frame's addresses ------------------------------------------------------------------- */

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

/* --- handing over ---------------------------------------------------------------------------- */

static __always_inline int hand_drop(const struct hand *h, __u32 reason)
{
	return drop(h->from, reason, h->w);
}

static __always_inline int no_member(const struct hand *h)
{
	count_cluster(h->cluster, no_member, h->w.frames);
	return hand_drop(h, DROP_NO_MEMBER);
}

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

static __always_inline int hand_to_port(struct __sk_buff *skb, const struct hand *h, __u64 mac,
					__u32 to, __u32 way)
{
	struct uplink_frame f = { .tagged = !!(h->how & HOW_TAGGED),
				  .in_band = !!(h->how & HOW_IN_BAND) };
	int reason;

	if (to == h->from)
		return hand_drop(h, DROP_HAIRPIN);
	if (way == WAY_SHUT)
		return hand_drop(h, DROP_RECEIVER_CLOSED);
	reason = h->how & HOW_NESTED ? DROP_VLAN_TAG : untag(skb, &f);
	if (reason == PASS && write_da(skb, mac))
		reason = DROP_NO_MEMORY;
	if (reason != PASS)
		return hand_drop(h, (__u32)reason);
	count_cluster(h->cluster, local, h->w.frames);
	if (way == WAY_TUNNEL)
		return into_tunnel(skb, h->from, to, h->net);
	return send_to_port(skb, h->from, to, member_of(to), h->w);
}

static __always_inline int hand_to_wire(struct __sk_buff *skb, const struct hand *h, __u64 mac)
{
	__u32 number = NET_UPLINK(h->net) & 15, uplink = SLOT_UPLINK_0 + number, ifindex;
	const __u64 *own = bpf_map_lookup_elem(&uplink_macs, &number);
	__u64 member = member_of(uplink), sa;
	int as_face = h->guessed && face_speaks(h->slot, h->face, h->now);

	ifindex = MEMBER_IFINDEX(member);
	if (!number)
		return no_member(h);
	if (!ifindex || !own)
		return hand_drop(h, DROP_NO_UPLINK);
	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return hand_drop(h, DROP_MTU);
	sa = as_face ? h->conf->faces[h->face & (CLUSTER_FACES - 1)] : READ_ONCE(*own);
	if (write_macs(skb, mac, sa))
		return hand_drop(h, DROP_NO_MEMORY);
	if ((h->how & HOW_CAME) == HOW_PORT && tag_for_uplink(skb, h->net))
		return hand_drop(h, DROP_NO_MEMORY);
	count_cluster(h->cluster, remote, h->w.frames);
	if ((h->how & HOW_CAME) == HOW_HOST)
		return TC_ACT_UNSPEC; /* on its way there */
	if (as_face)
		skb->mark = MARK_ANNOUNCE;
	count_tx(uplink, h->w);
	return bpf_redirect(ifindex, 0);
}

static __noinline int hand_over(struct __sk_buff *skb, const struct hand *h, __u32 id)
{
	__u64 mac = member_mac(h->cluster, id);
	__u32 way = WAY_WIRE, to;

	if (!mac)
		return no_member(h);
	count_member(h->cluster, id, h->w.frames, h->w.octets);
	to = member_port(h->net, mac, &way);
	if (to != SLOT_NOBODY)
		return hand_to_port(skb, h, mac, to, way);
	return hand_to_wire(skb, h, mac);
}

static __always_inline int is_here(const struct hand *h, __u32 id)
{
	__u32 way = WAY_WIRE;
	__u64 mac = member_mac(h->cluster, id);

	return mac && member_port(h->net, mac, &way) != SLOT_NOBODY && way == WAY_PORT;
}

/* --- rules and rows -------------------------------------------------------------------------- */

/* A fragment is judged by the rules for all ports, because most of it has none to show; but what
 * of it shows one that is dropped is dropped, and with it all. */
static __always_inline __u32 rule_of(const struct cluster_conf *conf, const struct packet *p)
{
	__u32 knows = p->flags & (PACKET_PORTS | PACKET_FIRST) && has_ports(p->proto);
	__u16 port = bpf_ntohs(p->ports[1]);

	for (__u32 i = 0; i < CLUSTER_RULES; i++) {
		const struct cluster_rule_conf *r = &conf->rules[i];

		if (i >= conf->rule_count)
			break;
		if (r->protocol && r->protocol != p->proto)
			continue;
		if (!r->has_ports)
			return r->action;
		if (knows && (p->flags & PACKET_PORTS || r->action == CLUSTER_DO_DROP) &&
		    port >= r->from && port <= r->to)
			return r->action;
	}
	return CLUSTER_DO_BALANCE;
}

static __always_inline __u32 row_read(__u32 cluster, __u32 set, __u32 row)
{
	__u32 rows = CLUSTER_ROWS_OF(cluster, set), half = row >> 1;
	void *inner = bpf_map_lookup_elem(&cluster_rows, &rows);
	const __u64 *word = inner ? bpf_map_lookup_elem(inner, &half) : 0;

	return word ? CLUSTER_ROW(READ_ONCE(*word), row) : 0;
}

/* The members of the flow, by one set of rows. */
static __always_inline __u32 row_of(const struct hand *h, const struct packet *p, __u64 hash,
				    __u32 action, __u32 set)
{
	__u64 of = hash;

	if (action == CLUSTER_DO_PRIORITY)
		return READ_ONCE(h->slot->priority[set]);
	if (h->conf->affinity != CLUSTER_BY_FLOW)
		of = client_hash(h->conf, p);
	if (h->conf->row_count == 65536)
		return row_read(h->cluster, set, (__u32)of & 0xffff);
	return row_read(h->cluster, set, (__u32)of % 65537);
}

/* --- which member ---------------------------------------------------------------------------- */

static __always_inline __u32 tick_of(const struct hand *h)
{
	return (__u32)(h->now >> FLOW_TICK_BITS);
}

/* In place of what was found of the flow, or a new place. */
static __always_inline void remember(const struct hand *h, struct flow_line *line, __u32 way,
				     __u64 hash, __u32 state, __u32 id)
{
	__u32 tick = tick_of(h);
	__u64 entry = FLOW_ENTRY(hash, state, tick + FLOW_NEW_TICKS, h->cluster, id);

	if (way < FLOW_WAYS)
		*(volatile __u64 *)&line->entry[way & (FLOW_WAYS - 1)] = entry;
	else if (flow_make(line, entry, tick))
		count_cluster(h->cluster, flows_made, 1);
	else
		count_cluster(h->cluster, flows_denied, 1);
}

static __always_inline void renew(const struct hand *h, struct flow_line *line, __u32 way,
				  __u64 entry, const struct packet *p)
{
	__u32 idle = p->proto == PROTO_UDP ? h->conf->udp_ticks : h->conf->tcp_ticks;

	if (!(p->flags & PACKET_ERROR))
		flow_renew(line, way, entry, p->flags, idle, tick_of(h));
}

/* A SYN's member; but the entry of a flow that lives stays, or who forges a SYN could cut it. */
static __always_inline void begin(const struct hand *h, struct flow_line *line, __u64 hash,
				  __u32 id)
{
	__u64 entry = 0;
	__u32 way = flow_find(line, hash, h->cluster, tick_of(h), &entry);

	if (way == FLOW_WAYS || FLOW_STATE(entry) != FLOW_CONFIRMED)
		remember(h, line, way, hash, FLOW_NEW, id);
}

/* Where the first is here and does not know the flow, it is the second's, if there is one. */
static __always_inline __u32 second_chance(struct hand *h, __u32 row)
{
	__u32 first = CLUSTER_FIRST(row), second = CLUSTER_SECOND(row);

	if (!second || second == first || !cluster_knows(h->slot, second) || !is_here(h, first))
		return first;
	h->guessed = 0;
	count_cluster(h->cluster, second, h->w.frames);
	return second;
}

/* Of an anchor: the id of the member that gets the packet; 0 = there is none. */
static __noinline __u32 choose(struct hand *h, const struct packet *p, __u64 hash, __u32 action)
{
	struct flow_line *line = p->flags & PACKET_PORTS ? flow_line_of(hash) : 0;
	__u32 way = FLOW_WAYS, known = 0, row, first, id = 0;
	__u64 entry = 0;

	if (line && !(p->flags & PACKET_SYN)) {
		way = flow_find(line, hash, h->cluster, tick_of(h), &entry);
		id = FLOW_ID(entry);
		known = way < FLOW_WAYS && cluster_knows(h->slot, id);
		if (known && !FLOW_IS_GUESSED(entry)) {
			renew(h, line, way, entry, p);
			return id;
		}
	}
	row = row_of(h, p, hash, action, CLUSTER_COMMITTED);
	first = CLUSTER_FIRST(row);
	if (!line || !first)
		return first;
	if (p->flags & PACKET_SYN) {
		begin(h, line, hash, first);
		return first;
	}
	if (p->proto == PROTO_TCP)
		h->guessed = 1;
	if (known && id != CLUSTER_SECOND(row)) {
		renew(h, line, way, entry, p);
		return id;
	}
	id = p->proto == PROTO_TCP ? second_chance(h, row) : first;
	if (known)
		renew(h, line, way, entry, p);
	else if (!(p->flags & PACKET_ERROR))
		remember(h, line, way, hash,
			 FLOW_NEW | (p->proto == PROTO_TCP ? FLOW_GUESSED : 0), id);
	return id;
}

/* Of a host that has only its own rows: likewise; -1: it is another's. */
static __noinline int choose_own(struct hand *h, const struct packet *p, __u64 hash, __u32 action)
{
	__u32 row = row_of(h, p, hash, action, CLUSTER_INSTALLED), first = CLUSTER_FIRST(row), way;
	struct flow_line *line;
	__u64 entry = 0;

	if (!first || first != CLUSTER_FIRST(row_of(h, p, hash, action, CLUSTER_COMMITTED)) ||
	    !is_here(h, first))
		return -1;
	line = p->flags & PACKET_PORTS && p->proto == PROTO_TCP ? flow_line_of(hash) : 0;
	if (!line)
		return (int)first;
	if (p->flags & PACKET_SYN) {
		begin(h, line, hash, first);
		return (int)first;
	}
	way = flow_find(line, hash, h->cluster, tick_of(h), &entry);
	if (way < FLOW_WAYS && FLOW_ID(entry) == first) {
		renew(h, line, way, entry, p);
		return (int)first;
	}
	row = first | second_chance(h, row) << 16;
	if (CLUSTER_SECOND(row) == first && !(p->flags & PACKET_ERROR))
		remember(h, line, way, hash, FLOW_NEW, first);
	return (int)CLUSTER_SECOND(row);
}

/* --- a frame for a face ---------------------------------------------------------------------- */

/* For nobody here: from the wire that is the end of it. */
static __always_inline int not_ours(const struct hand *h, __u32 reason)
{
	if ((h->how & HOW_CAME) != HOW_WIRE)
		return BALANCE_WIRE;
	if (reason == DROP_OTHERS_ROW)
		count_cluster(h->cluster, others, h->w.frames);
	else
		count_cluster(h->cluster, not_anchor, h->w.frames);
	return hand_drop(h, reason);
}

static __always_inline int not_read(const struct hand *h)
{
	count_cluster(h->cluster, malformed, h->w.frames);
	return hand_drop(h, DROP_CLUSTER_FRAME);
}

static __always_inline int not_its_address(const struct hand *h)
{
	count_cluster(h->cluster, no_address, h->w.frames);
	return hand_drop(h, DROP_CLUSTER_ADDRESS);
}

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

/* The member that a packet for one of the addresses is for, and on to it. */
static __noinline int balance_packet(struct __sk_buff *skb, struct hand *h, const struct packet *p)
{
	__u32 action = rule_of(h->conf, p);
	__u64 hash;
	int id;

	if (action == CLUSTER_DO_DROP) {
		count_cluster(h->cluster, rule, h->w.frames);
		return hand_drop(h, DROP_CLUSTER_RULE);
	}
	hash = packet_hash(h->conf, p);
	if (h->conf->mode == CLUSTER_MODE_DISTRIBUTED) {
		id = choose_own(h, p, hash, action);
		if (id < 0)
			return not_ours(h, DROP_OTHERS_ROW);
	} else {
		id = (int)choose(h, p, hash, action);
	}
	return id ? hand_over(skb, h, (__u32)id) : no_member(h);
}

/* A verdict, or BALANCE_WIRE.  `from` counts what is dropped; `number` is the face's. */
__noinline int balance(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net, __u32 how)
{
	struct hand h = { .from = from, .net = net, .how = how };
	const void *data = frame_start(skb);
	struct packet p;
	int r;

	h.cluster = FACE_CLUSTER(number);
	h.face = FACE_INDEX(number);
	h.w = weight_of(skb);
	h.slot = cluster_slot_of(h.cluster);
	if (!h.slot || data + ETH_HLEN > frame_end(skb))
		return hand_drop(&h, DROP_MALFORMED);
	h.conf = face_conf(h.slot, h.face, net, mac_load(data));
	if (!h.conf)
		return no_member(&h); /* taken away under our eyes */
	h.now = bpf_ktime_get_boot_ns();
	if ((how & HOW_CAME) == HOW_HOST && (skb->mark & MARK_PROBE_MASK) == MARK_PROBE) {
		r = MARK_PROBE_ID(skb->mark);
		skb->mark = 0;
		return hand_over(skb, &h, (__u32)r);
	}
	if (h.conf->mode == CLUSTER_MODE_DISTRIBUTED ? READ_ONCE(h.slot->own) <= h.now
						     : !face_serves(h.slot, h.face, h.now))
		return not_ours(&h, DROP_NOT_ANCHOR);
	r = how & HOW_NESTED ? READ_OTHER : read_packet(skb, l3_of(how), type_of(skb, how), &p);
	if (r == READ_BROKEN)
		return not_read(&h);
	if (r == READ_OTHER)
		return not_its_address(&h);
	if (!cluster_has_ip(h.conf, p.dst))
		return not_its_address(&h);
	return balance_packet(skb, &h, &p);
}

/* --- at a member's host ---------------------------------------------------------------------- */

static __always_inline __u64 source_of(struct __sk_buff *skb)
{
	const void *data = frame_start(skb);

	return data + ETH_HLEN > frame_end(skb) ? 0 : mac_load(data + ETH_ALEN);
}

static __always_inline int is_face(const struct cluster_conf *conf, __u64 mac)
{
	for (__u32 i = 0; i < CLUSTER_FACES; i++)
		if (i < conf->face_count && conf->faces[i] == mac)
			return 1;
	return 0;
}

/* What an anchor sent to a member with a port here: remembers it, and gives a second chance to what
 * is guessed. */
static __noinline int member_gets(struct __sk_buff *skb, struct hand *h, const struct packet *p,
				  __u32 id)
{
	__u64 hash = packet_hash(h->conf, p), entry = 0;
	struct flow_line *line = flow_line_of(hash);
	__u32 way, row, second, guessed;

	if (!line)
		return BALANCE_PORT;
	if (p->flags & PACKET_SYN) {
		begin(h, line, hash, id);
		return BALANCE_PORT;
	}
	way = flow_find(line, hash, h->cluster, tick_of(h), &entry);
	if (way < FLOW_WAYS && FLOW_ID(entry) == id) {
		renew(h, line, way, entry, p);
		return BALANCE_PORT;
	}
	guessed = is_face(h->conf, source_of(skb));
	if (guessed) {
		row = row_of(h, p, hash, rule_of(h->conf, p), CLUSTER_INSTALLED);
		second = CLUSTER_SECOND(row);
		if (CLUSTER_FIRST(row) == id && second && second != id &&
		    cluster_knows(h->slot, second)) {
			count_cluster(h->cluster, second, h->w.frames);
			return hand_over(skb, h, second);
		}
	}
	if (!(p->flags & PACKET_ERROR))
		remember(h, line, way, hash, FLOW_NEW | (guessed ? FLOW_GUESSED : 0), id);
	return BALANCE_PORT;
}

/* A frame from the wire for the port `to`, whose guest is a member of clusters.  A verdict, or
 * BALANCE_PORT. */
__noinline int balance_member(struct __sk_buff *skb, __u32 from, __u32 to, __u32 net, __u32 how)
{
	struct hand h = { .from = from, .net = net, .how = how };
	struct packet p;
	int cluster;
	__u32 id;

	if (how & HOW_NESTED || read_packet(skb, l3_of(how), type_of(skb, how), &p) != READ_OK)
		return BALANCE_PORT;
	if (p.proto != PROTO_TCP || !(p.flags & PACKET_PORTS))
		return BALANCE_PORT;
	cluster = cluster_of_ip(net, p.dst);
	if (cluster < 0)
		return BALANCE_PORT;
	h.cluster = (__u32)cluster;
	id = port_member_id(to, h.cluster);
	h.slot = cluster_slot_of(h.cluster);
	if (!id || !h.slot)
		return BALANCE_PORT;
	h.conf = cluster_conf_of(h.slot);
	if (!h.conf || h.conf->mode == CLUSTER_MODE_CARRY)
		return BALANCE_PORT;
	h.w = weight_of(skb);
	h.now = bpf_ktime_get_boot_ns();
	return member_gets(skb, &h, &p, id);
}

#endif
