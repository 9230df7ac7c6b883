/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which member gets a flow's frame: by the port rules, the rows, and what is remembered.
 *
 * Theory of operation
 *
 * The flow's hash, under the cluster's key, is its row, and the row names two members: the *first*,
 * to whom the flow belongs by the rows in force, and the *second*, to whom it belonged before, or
 * would next.  A SYN goes to the first.  What else goes where the flow's entry says (flow.h) while
 * that member is known; without one to the first.  Of TCP, which began with a SYN, that is a
 * *guess*, and so it is of all else while this host is new to the face: then what it does not know
 * may have begun before.  balance.h says what becomes of a guess.
 *
 * A SYN may come where the tuple has a flow already.  Then it is forged, or the client uses a port
 * again whose last flow ended without its saying so (the server reset it).  Where that flow's
 * member is another than the first, but gets new flows, too, the SYN is that member's: it answers a
 * forged one with the ACK of RFC 5961 and loses nothing by it, and for a true one it is as good as
 * any.  Where it gets none (it drains), or where new flows are bound to the row (an affinity, a
 * rule by priority), the SYN is the first's, and so is all that follows, unless the flow was busy
 * a moment ago: what follows then is still its own.
 *
 * A guessed entry that names the row's second is not followed: the row's first may know better, and
 * if not, its host hands on to that second.
 *
 * Where every host gets every frame (distributed) this host takes the rows whose first member has
 * an open port here by the installed and the committed rows; nothing is said by an entry there,
 * because two hosts could have one. */
#ifndef VMAC_BPF_CHOOSE_H
#define VMAC_BPF_CHOOSE_H

#include "flow.h"
#include "ways.h"

/* Who was chosen: a member's id with what else is to be known of it; or less than zero. */
#define CHOSE_ID	   0xfffu
#define CHOSE_LENT	   (1u << 12) /* handed on, with SA := DA, and may come back */
#define CHOSE_GUESSED	   (1u << 16) /* by the row alone, and perhaps the flow is another's */
#define CHOSE_SECOND	   (1u << 17) /* handed on from the row's first */
#define CHOSE_NAT	   (1u << 18) /* its addresses are to be rewritten; */
#define CHOSE_NOTED	   (1u << 19) /* … the flow table was asked */
#define CHOSE_HERE	   (1u << 28) /* … and then it goes to its port as any other */
#define BALANCE_WIRE	   -2	      /* as anybody's: by the wire */
#define BALANCE_PORT	   -3	      /* to its port as any other */
#define BALANCE_ASKED	   -4	      /* ARP or ND: answer.h */
#define BALANCE_CARRY	   -5	      /* to all members: carry.h */
#define BALANCE_UNUSUAL	   -6	      /* not for balance_usual() */
#define BALANCE_CHOSEN	   (1 << 24)   /* by balance_usual(), which did not hand it over */
#define BALANCE_DROP	   -16	      /* … and less: the negative reason */
#define BALANCE_DROP_OF(r) (BALANCE_DROP - (int)(r))

/* --- rules and rows -------------------------------------------------------------------------- */

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
static __always_inline void remember(__u64 found, __u64 hash, __u32 state, __u32 cluster, __u32 id,
				     __u32 tick)
{
	__u64 entry = FLOW_ENTRY(hash, state, tick + FLOW_NEW_TICKS, cluster, id);

	if (!flow_store(found, hash, entry, tick))
		count_cluster(cluster, flows_denied, 1);
	else if (!found)
		count_cluster(cluster, flows_made, 1);
}

/* Whether a frame of it came of late, when no frame renews it but as TCP's. */
static __always_inline int is_busy(const struct cluster_conf *conf, __u64 found, __u32 tick)
{
	return flow_left(found, tick) + FLOW_BUSY_TICKS >= (__s32)conf->tcp_ticks;
}

/* A SYN's member: the row's first, where the tuple has no other's flow; see above. */
__noinline int choose_begin(__u32 cluster, __u64 hash, __u64 what, __u32 row, __u32 tick)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 first = CLUSTER_FIRST(row), had;
	__u64 found;

	if (!conf)
		return (int)first;
	found = flow_find_fast(hash, cluster, tick, 0);
	had = FLOW_ID(found);
	if (FLOW_STATE(found) == FLOW_CONFIRMED && had == first)
		return (int)first;
	if (FLOW_STATE(found) == FLOW_CONFIRMED && cluster_knows(s, had) &&
	    (conf->mode == CLUSTER_MODE_DIRECTOR || had == CLUSTER_SECOND(row))) {
		if (has_member(s->fresh, had) && conf->affinity == CLUSTER_BY_FLOW &&
		    WHAT_ACTION(what) == CLUSTER_DO_BALANCE)
			return (int)had;
		if (is_busy(conf, found, tick))
			return (int)first;
	}
	remember(found, hash, FLOW_NEW, cluster, first, tick);
	return (int)first;
}

/* A SYN that this host's member is said to have.  The entry of a flow that lives stays. */
__noinline int member_begins(__u32 cluster, __u64 hash, __u32 id, __u32 tick)
{
	__u64 found = flow_find(hash, cluster, tick, 0);

	if (FLOW_STATE(found) != FLOW_CONFIRMED)
		remember(found, hash, FLOW_NEW, cluster, id, tick);
	return BALANCE_PORT;
}

/* An error says nothing of whether the flow goes on. */
static __always_inline __u32 renewal(const struct cluster_conf *conf, __u32 proto, __u32 flags)
{
	if (flags & PACKET_ERROR)
		return 0;
	return FLOW_RENEW(proto == PROTO_UDP ? conf->udp_ticks : conf->tcp_ticks,
			  flags & PACKET_END);
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

/* In place here, and below a function of its own: one call deeper and the stack is too small. */
static __always_inline int member_open_here(__u32 cluster, __u32 id, __u32 net)
{
	__u32 way = WAY_WIRE;
	__u64 mac = member_mac(cluster, id);

	return mac && member_port(net, mac, &way) != SLOT_NOBODY && way == WAY_PORT;
}

__noinline int member_is_here(__u32 cluster, __u32 id, __u32 net)
{
	return member_open_here(cluster, id, net);
}

/* Whether a member's host is to be asked for what is not of TCP.  One that is here would have
 * known, and as it may be a new flow, nobody is asked who may be gone. */
__noinline int member_is_asked(__u32 cluster, __u32 id, __u32 net)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);

	return s &&
	       (has_member(s->fresh, id) || has_member(s->rests, id) ||
		has_member(s->stands, id)) &&
	       !member_open_here(cluster, id, net);
}

/* Whether the row's second may have a flow that the first, who is here, does not know; where there
 * was no place to know it by, that says nothing. */
static __always_inline int second_may(const struct cluster_slot *s, const struct cluster_conf *conf,
				      __u32 cluster, __u32 row, __u64 hash, __u64 what, __u32 tick)
{
	__u32 second = CLUSTER_SECOND(row);

	if (!second || second == CLUSTER_FIRST(row) || !cluster_knows(s, second) ||
	    flow_place(hash, tick) >= FLOW_WAYS)
		return 0;
	return WHAT_PROTO(what) == PROTO_TCP || member_is_asked(cluster, second, conf->net);
}

/* Of a guess: the first, or where that is here and does not know the flow, the second.  What is not
 * of TCP may begin just now, and then it is the first's; so to ask the second is a guess, too, and
 * where there is nobody to ask, it is none. */
static __always_inline int second_chance(const struct cluster_slot *s,
					 const struct cluster_conf *conf, __u32 cluster, __u32 row,
					 __u64 hash, __u64 what, __u32 tick)
{
	__u32 is_tcp = WHAT_PROTO(what) == PROTO_TCP;

	if (!member_is_here(cluster, CLUSTER_FIRST(row), conf->net))
		return (int)(CLUSTER_FIRST(row) | CHOSE_GUESSED);
	if (second_may(s, conf, cluster, row, hash, what, tick))
		return (int)(CLUSTER_SECOND(row) | CHOSE_SECOND | (is_tcp ? 0 : CHOSE_GUESSED));
	return (int)(CLUSTER_FIRST(row) | (is_tcp ? CHOSE_GUESSED : 0));
}

/* Whether the flow may have begun before this host could see it. */
static __always_inline int guesses(const struct cluster_slot *s, __u64 what, __u64 found)
{
	return WHAT_PROTO(what) == PROTO_TCP || FLOW_IS_GUESSED(found) ||
	       clock_before(clock_coarse(), READ_ONCE(s->guess));
}

/* Of an anchor, where what was found of the flow is not enough; not of a SYN. */
__noinline int choose(__u32 cluster, __u64 hash, __u64 what, __u32 tick, __u64 found)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 id = FLOW_ID(found), known, guess, unsure, row;
	int chosen;

	if (!conf)
		return 0;
	known = found && cluster_knows(s, id);
	row = row_read(s, cluster, what, CLUSTER_COMMITTED);
	if (!CLUSTER_FIRST(row) || !(WHAT_FLAGS(what) & PACKET_PORTS))
		return (int)CLUSTER_FIRST(row);
	guess = (__u32)guesses(s, what, found);
	if (known && (id != CLUSTER_SECOND(row) || !guess))
		return (int)(id | (guess ? CHOSE_GUESSED : 0));
	chosen = guess ? second_chance(s, conf, cluster, row, hash, what, tick)
		       : (int)CLUSTER_FIRST(row);
	unsure = (__u32)chosen & (CHOSE_GUESSED | CHOSE_SECOND);
	/* The end of a flow that nobody knows is not the beginning of one. */
	if ((!known || !unsure) && !(WHAT_FLAGS(what) & (PACKET_ERROR | PACKET_END)))
		remember(found, hash, FLOW_NEW | (unsure ? FLOW_GUESSED : 0), cluster,
			 (__u32)chosen & CHOSE_ID, tick);
	return chosen;
}

/* Of an anchor: where the flow is, or as choose() has it. */
static __always_inline int find_or_choose(const struct cluster_slot *s,
					  const struct cluster_conf *conf, __u32 cluster,
					  __u64 hash, __u64 what, __u32 tick)
{
	__u32 flags = WHAT_FLAGS(what), row;
	__u64 found = 0;

	if ((flags & (PACKET_PORTS | PACKET_SYN)) == (PACKET_PORTS | PACKET_SYN)) {
		row = row_read(s, cluster, what, CLUSTER_COMMITTED);
		return CLUSTER_FIRST(row) ? choose_begin(cluster, hash, what, row, tick) : 0;
	}
	if (flags & PACKET_PORTS) {
		found = flow_find_fast(hash, cluster, tick, renewal(conf, WHAT_PROTO(what), flags));
		if (found && !FLOW_IS_GUESSED(found) && cluster_knows(s, FLOW_ID(found)))
			return (int)FLOW_ID(found);
	}
	return choose(cluster, hash, what, tick, found);
}

/* Of a host that takes its own rows only. */
__noinline int choose_own(__u32 cluster, __u64 hash, __u64 what, __u32 tick)
{
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u32 row, first;
	__u64 found;
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
		chosen = choose_begin(cluster, hash, what, row, tick);
		return chosen == (int)first ? chosen : chosen | (int)CHOSE_SECOND;
	}
	found = flow_find(hash, cluster, tick, renewal(conf, PROTO_TCP, WHAT_FLAGS(what)));
	if (found && FLOW_ID(found) == first)
		return (int)first;
	chosen = second_chance(s, conf, cluster, row, hash, what, tick);
	if (!(chosen & CHOSE_SECOND) && !(WHAT_FLAGS(what) & PACKET_ERROR))
		remember(found, hash, FLOW_NEW, cluster, first, tick);
	return chosen;
}

static __always_inline int is_face(const struct cluster_conf *conf, __u64 mac)
{
	for (__u32 i = 0; i < CLUSTER_FACES; i++)
		if (i < conf->face_count && conf->faces[i] == mac)
			return 1;
	return 0;
}

/* Of a flow that this host's member is said to have, by who sent it. */
__noinline int member_choose(__u32 number, __u64 hash, __u64 what, __u32 id, __u64 sa)
{
	__u32 tick = FLOW_TICK(clock_coarse()), row, first, guessed, is_tcp;
	__u32 cluster = FACE_CLUSTER(number);
	const struct cluster_slot *s = cluster_slot_of(cluster);
	const struct cluster_conf *conf = s ? cluster_conf_of(s) : 0;
	__u64 found;

	if (!conf)
		return BALANCE_PORT;
	if (WHAT_FLAGS(what) & PACKET_SYN)
		return member_begins(cluster, hash, id, tick);
	found = flow_find(hash, cluster, tick, renewal(conf, WHAT_PROTO(what), WHAT_FLAGS(what)));
	if (found && FLOW_ID(found) == id)
		return BALANCE_PORT;
	is_tcp = WHAT_PROTO(what) == PROTO_TCP;
	guessed = (__u32)is_face(conf, sa);
	/* What is not of TCP is not asked of another here: if it is that one's, it is known. */
	if (!is_tcp && guessed && found && cluster_knows(s, FLOW_ID(found)))
		return (int)FLOW_ID(found);
	row = row_read(s, cluster, what, CLUSTER_INSTALLED);
	first = CLUSTER_FIRST(row);
	if (guessed && first == id && (is_tcp || member_is_here(cluster, id, conf->net)) &&
	    second_may(s, conf, cluster, row, hash, what, tick))
		return (int)(CLUSTER_SECOND(row) | CHOSE_SECOND | (is_tcp ? 0 : CHOSE_LENT));
	/* Back to the first, and for good, because this host's own address is the source. */
	if (!is_tcp && first && first != id && CLUSTER_SECOND(row) == id &&
	    (guessed || sa == member_mac(cluster, first)) && flow_place(hash, tick) < FLOW_WAYS)
		return (int)first;
	if (!(WHAT_FLAGS(what) & (PACKET_ERROR | PACKET_END)))
		remember(found, hash, FLOW_NEW | (guessed && is_tcp ? FLOW_GUESSED : 0), cluster,
			 id, tick);
	return BALANCE_PORT;
}

#endif
