/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The switch: a port's frames, an uplink's frames, and the net behind them.
 *
 * Theory of operation
 *
 * vmac_port runs where a guest's frames enter the host.  It guards them (guard.h), then looks for
 * the receiver in a table that only the control plane writes: a port here, the host, or else the
 * wire. Unknown unicast never reaches a port.  Broadcast and multicast are policed and copied along
 * the list of the net's ports, to the host and to the wire.
 *
 * vmac_uplink_in runs on what the NIC received, after GRO; frames for a port go to it, copies of
 * broadcasts to all of the net's, everything else on to the host untouched.  vmac_uplink_out does
 * the same for what the host sends.  What is not ours leaves both with TC_ACT_UNSPEC, so that other
 * programs on the NIC have their say.
 *
 * vmac_drop_net sits behind vmac_port on every port, as a clsact filter of its own: it sees frames
 * only when the program is missing, and drops them before the host's stack takes them for its own.
 *
 * Guests may be redundant routers (claim.h): the table then leads to a claim, which their
 * advertisements move between the ports and the wire.
 *
 * A port whose guest is coming, has gone, or must be silent has a gate that is not simply open
 * (gate.h).  vmac_tunnel_in takes what other hosts send after a guest that came here.
 *
 * A frame that a port sent and that is on its way out by the uplink is told by skb->skb_iif, which
 * the receiving device wrote and nobody else can; on its way into the host it carries MARK_TO_HOST,
 * since there the uplink overwrites skb_iif.  vmac_port never answers TC_ACT_UNSPEC or TC_ACT_OK:
 * both would hand the guest's frame to the host. */
#include "lease.h"
#include "pulse.h"
#include "answer.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* --- for a face ------------------------------------------------------------------------------ */

/* A question that hear() found: its answer goes back to where it came from.  One that is not right
 * is dropped. */
static __always_inline int answer_goes(struct __sk_buff *skb, __u32 from, int heard, __u32 net,
				       __u32 how, struct weight w)
{
	__u32 number = NET_UPLINK(net) & 15;
	const __u64 *own = bpf_map_lookup_elem(&uplink_macs, &number);

	if (answer(skb, l3_of(how), (__u32)(HEARD_ASK - heard)))
		return drop(from, DROP_MALFORMED, w);
	if ((how & HOW_CAME) == HOW_PORT)
		return send_to_port(skb, from, from, member_of(from), w);
	if ((how & HOW_CAME) == HOW_HOST) {
		skb->mark = MARK_TO_HOST;
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	}
	if (own && mac_at(skb, ETH_ALEN) != READ_ONCE(*own))
		skb->mark = MARK_ANNOUNCE;
	count_tx(from, w);
	return bpf_redirect(skb->ifindex, 0);
}

__noinline int serves_face(__u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));

	return s && face_serves(s, FACE_INDEX(number), clock_coarse());
}

/* A verdict, or BALANCE_WIRE.  `from` counts what is dropped. */
static __always_inline int face_gets(struct __sk_buff *skb, __u32 from, __u32 number, __u32 net,
				     __u32 how, struct weight w)
{
	int verdict = to_face(skb, from, number, net, how), reason;

	if (verdict == BALANCE_CARRY) {
		reason = how & HOW_NESTED ? DROP_VLAN_TAG
					  : carry(skb, FACE_CLUSTER(number), net, from, how);
		if (reason != PASS)
			return drop(from, (__u32)reason, w);
		/* From the wire, and where there is none: all copies made. */
		return (how & HOW_CAME) == HOW_WIRE || !NET_UPLINK(net) ? TC_ACT_SHOT
									: BALANCE_WIRE;
	}
	if (verdict == BALANCE_ASKED) {
		verdict = how & HOW_NESTED ? 0 : hear(skb, net, l3_of(how), number + 1);
		if (verdict <= HEARD_ASK)
			return answer_goes(skb, from, verdict, net, how, w);
		if (serves_face(number))
			return balance_drops(skb, from, number, DROP_CLUSTER_ADDRESS);
		return (how & HOW_CAME) == HOW_WIRE
			       ? balance_drops(skb, from, number, DROP_NOT_ANCHOR)
			       : BALANCE_WIRE;
	}
	return verdict;
}

static __always_inline __u64 head_of(__u32 net)
{
	const __u64 *head = bpf_map_lookup_elem(&heads, &net);

	return head ? READ_ONCE(*head) : 0;
}

/* The face that a group address is there, as the forwarding table has it; else SLOT_NOBODY. */
static __always_inline __u32 group_face(__u32 net, __u64 head, __u64 da)
{
	__u32 slot;

	if (!(head & HEAD_GROUP_FACE))
		return SLOT_NOBODY;
	slot = fdb_slot(net, da);
	return slot >= FACE_SLOT_0 ? slot : SLOT_NOBODY;
}

/* --- from a port ----------------------------------------------------------------------------- */

/* A bucket as one word (the generic cell rate algorithm): when, at the full rate, all sent so far
 * would have been sent.  Losing the race four times lets the frame pass: the limit is a brake, not
 * a ledger. */
static __always_inline int flood_allowed(const struct port_row *row, __u32 slot, __u32 frames)
{
	__u64 *cell, now, was, base;

	if (!row->flood_gap_ns)
		return 1;
	cell = bpf_map_lookup_elem(&police, &slot);
	if (!cell)
		return 0;
	now = bpf_ktime_get_ns();
	for (int i = 0; i < 4; i++) {
		was = READ_ONCE(*cell);
		base = was > now ? was : now;
		if (base + row->flood_gap_ns * frames > now + row->flood_burst_ns)
			return 0;
		if (__sync_val_compare_and_swap(cell, was, base + row->flood_gap_ns * frames) ==
		    was)
			return 1;
	}
	return 1;
}

static __always_inline int port_to_uplink(struct __sk_buff *skb, __u32 slot, __u32 net,
					  struct weight w, __u64 flags)
{
	__u32 uplink = SLOT_UPLINK_0 + NET_UPLINK(net);
	__u64 member = member_of(uplink);
	__u32 ifindex = MEMBER_IFINDEX(member);

	if (!ifindex)
		return drop(slot, DROP_NO_UPLINK, w);
	if (!fits(skb, ifindex, MEMBER_MTU(member)))
		return drop(slot, DROP_MTU, w);
	if (tag_for_uplink(skb, net))
		return drop(slot, DROP_NO_MEMORY, w);
	if (flags & BPF_F_INGRESS)
		skb->mark = MARK_TO_HOST;
	count_tx(uplink, w);
	return bpf_redirect(ifindex, flags);
}

static __always_inline int port_floods(struct __sk_buff *skb, const struct port_row *row,
				       __u32 slot, __u32 whom, struct weight w)
{
	__u32 net = row->net, uplink = SLOT_UPLINK_0 + NET_UPLINK(net), ifindex;
	__u64 member;

	if (!flood_allowed(row, slot, w.frames))
		return drop(slot, DROP_FLOOD_LIMIT, w);
	replicate(skb, net, slot, whom);
	if (!NET_UPLINK(net))
		return TC_ACT_SHOT; /* all copies made: the original is not needed */
	member = member_of(uplink);
	ifindex = MEMBER_IFINDEX(member);
	/* The ports have their copies, so from here on it is the uplink's loss. */
	if (!ifindex)
		return drop(uplink, DROP_NO_UPLINK, w);
	if (!fits(skb, ifindex, MEMBER_MTU(member)) || tag_for_uplink(skb, net))
		return drop(uplink, DROP_COPY_FAILED, w);
	if (whom != COPY_ONLY_CARRIED) {
		skb->mark = MARK_TO_HOST;
		bpf_clone_redirect(skb, ifindex, BPF_F_INGRESS);
		skb->mark = 0;
	}
	count_tx(uplink, w);
	return bpf_redirect(ifindex, 0);
}

/* Whether the host itself is the active router with that address. */
static __always_inline int host_routes(__u32 net, __u64 da)
{
	const struct router_slot *r;
	__u32 slot;

	if (!router_maybe_has(da))
		return 0;
	r = router_find(MEMBER_IFINDEX(member_of(SLOT_UPLINK_0 + NET_UPLINK(net))), NET_VLAN(net),
			da, &slot);
	return r && lease_runs(r);
}

static __always_inline int port_sends(struct __sk_buff *skb, const struct port_row *row, __u32 slot,
				      __u64 da, struct weight w)
{
	__u32 net = row->net, to, way;
	__u64 member;
	int verdict;

	if (da == row->mac)
		return drop(slot, DROP_HAIRPIN, w);
	to = receiver_of(net, da);
	if (to == slot)
		return drop(slot, DROP_HAIRPIN, w);
	if (to > SLOT_PORTS) {
		if (to < FACE_SLOT_0)
			return port_to_uplink(skb, slot, net, w, BPF_F_INGRESS);
		verdict = face_gets(skb, slot, to - FACE_SLOT_0, net, HOW_PORT, w);
		if (verdict != BALANCE_WIRE)
			return verdict;
		to = SLOT_NOBODY;
	}
	if (to != SLOT_NOBODY) {
		member = member_of(to);
		if ((__s32)MEMBER_IFINDEX(member) > 0)
			return send_to_port(skb, slot, to, member, w);
		way = gated_way(to, MEMBER_IFINDEX(member));
		if (way == WAY_PORT)
			return send_to_port(skb, slot, to, member, w);
		if (way == WAY_TUNNEL)
			return into_tunnel(skb, slot, to, net);
		if (way == WAY_SHUT)
			return drop(slot, DROP_RECEIVER_CLOSED, w);
	}
	if (!NET_UPLINK(net))
		return drop(slot, DROP_UNKNOWN_UNICAST, w);
	return port_to_uplink(skb, slot, net, w, host_routes(net, da) ? BPF_F_INGRESS : 0);
}

static __always_inline int port_sends_group(struct __sk_buff *skb, const struct port_row *row,
					    __u32 slot, __u64 da, struct weight w)
{
	__u32 net = row->net, face = group_face(net, head_of(net), da);
	int r;

	if (face != SLOT_NOBODY) {
		r = face_gets(skb, slot, face - FACE_SLOT_0, net, HOW_PORT, w);
		return r == BALANCE_WIRE ? port_to_uplink(skb, slot, net, w, 0) : r;
	}
	r = hear(skb, net, ETH_HLEN, 0);
	if (r <= HEARD_ASK)
		return answer_goes(skb, slot, r, net, HOW_PORT, w);
	if (r == COPY_ONLY_CARRIED && !port_carries(slot))
		return drop(slot, DROP_NLB, w);
	return port_floods(skb, row, slot, (__u32)r, w);
}

SEC("tc")
int vmac_port(struct __sk_buff *skb)
{
	__u32 number = INDEX_LOW(index_of(skb->ifindex)), slot = ROW_SLOT(number);
	struct weight w = weight_of(skb);
	const struct port_row *row;
	const void *data, *end;
	__u32 want = skb->len, group;
	__u64 da;
	int reason;

	row = bpf_map_lookup_elem(&rows, &number);
	if (!slot || !row || row->ifindex != skb->ifindex)
		return drop(SLOT_NOBODY, DROP_UNKNOWN_PORT, w);
	count_rx(slot, w);

	if (want > HEADERS_OCTETS)
		want = HEADERS_OCTETS;
	data = frame_start(skb);
	end = frame_end(skb);
	if (data + want > end) {
		if (bpf_skb_pull_data(skb, want))
			return drop(slot, DROP_MALFORMED, w);
		data = frame_start(skb);
		end = frame_end(skb);
	}
	if (data + ETH_HLEN > end)
		return drop(slot, DROP_MALFORMED, w);

	da = mac_load(data);
	group = *(const __u8 *)data & 1;
	if (!(row->flags & ROW_OPEN)) {
		reason = gate_lets_out(skb, number);
		if (reason != PASS)
			return drop(slot, reason, w);
	}
	if (row->flags & ROW_MEMBER) {
		reason = member_says(skb, number);
		if (reason != PASS)
			return drop(slot, reason, w);
		data = frame_start(skb);
		end = frame_end(skb);
		if (data + ETH_HLEN > end)
			return drop(slot, DROP_MALFORMED, w);
	}
	reason = guard(skb, number, row, data, end);
	if (reason == PASS && row->flags & ROW_NAT)
		reason = nat_from_member(skb, slot);
	if (reason != PASS)
		return drop(slot, reason, w);
	if (group)
		return port_sends_group(skb, row, slot, da, w);
	return port_sends(skb, row, slot, da, w);
}

SEC("tc")
int vmac_drop_net(struct __sk_buff *skb)
{
	__u64 entry = index_of(skb->ifindex);
	__u32 slot = entry & INDEX_UPLINK ? SLOT_NOBODY : ROW_SLOT(INDEX_LOW(entry));

	return drop(slot, DROP_NO_PROGRAM, weight_of(skb));
}

/* --- uplinks --------------------------------------------------------------------------------- */

/* 0, or -1 when the frame is none of our business; *f is zero before. */
static __always_inline int uplink_read(struct __sk_buff *skb, struct uplink_frame *f)
{
	__u64 entry = index_of(skb->ifindex);
	const struct ethhdr *eth;
	__u32 need = ETH_HLEN + 4;
	const void *end;
	__u16 type;

	if (!(entry & INDEX_UPLINK))
		return -1;
	f->slot = INDEX_LOW(entry);
	if (skb->len < need)
		need = skb->len;
	if (frame_start(skb) + need > frame_end(skb) && bpf_skb_pull_data(skb, need))
		return -1;
	eth = frame_start(skb);
	end = frame_end(skb);
	if ((const void *)(eth + 1) > end)
		return -1;
	f->da = mac_load(eth->h_dest);
	f->sa = mac_load(eth->h_source);
	f->group = eth->h_dest[0] & 1;
	f->control = eth->h_dest[0] == 0x01 && eth->h_dest[1] == 0x80 && eth->h_dest[2] == 0xc2 &&
		     !eth->h_dest[3] && !eth->h_dest[4] && eth->h_dest[5] <= 0x0f;
	type = bpf_ntohs(eth->h_proto);
	if (skb->vlan_present) {
		if (skb->vlan_proto != bpf_htons(ETH_P_8021Q))
			return -1;
		f->tagged = 1;
		f->tci = skb->vlan_tci;
	} else if (type == ETH_P_8021Q) {
		const __be16 *tag = (const void *)(eth + 1);

		if ((const void *)(tag + 2) > end)
			return -1;
		f->tagged = f->in_band = 1;
		f->tci = bpf_ntohs(tag[0]);
		type = bpf_ntohs(tag[1]);
	}
	f->nested = type_is_tag(type);
	f->net = NET_OF(f->slot - SLOT_UPLINK_0, f->tci & 0xfff) & (NET_COUNT - 1);
	return 0;
}

static __always_inline __u32 how_of(const struct uplink_frame *f, __u32 came)
{
	return came | (f->tagged ? HOW_TAGGED : 0) | (f->in_band ? HOW_IN_BAND : 0) |
	       (f->nested ? HOW_NESTED : 0);
}

static __always_inline int uplink_to_port(struct __sk_buff *skb, const struct uplink_frame *f,
					  __u32 to, __u32 came, struct weight w)
{
	__u64 member = member_of(to);
	__u32 way = WAY_PORT;
	int reason;

	if (MEMBER_IFINDEX(member) & MEMBER_CLUSTERED && came == HOW_WIRE) {
		reason = to_member(skb, f->slot, to, f->net, how_of(f, came));
		if (reason != BALANCE_PORT)
			return reason;
	}
	if ((__s32)MEMBER_IFINDEX(member) <= 0) {
		way = gated_way(to, MEMBER_IFINDEX(member));
		if (way == WAY_WIRE)
			return TC_ACT_UNSPEC;
		if (way == WAY_SHUT)
			return drop(f->slot, DROP_RECEIVER_CLOSED, w);
	}
	reason = f->nested ? DROP_VLAN_TAG : untag(skb, f);
	if (reason != PASS)
		return drop(f->slot, reason, w);
	if (way == WAY_TUNNEL)
		return into_tunnel(skb, f->slot, to, f->net);
	return send_to_port(skb, f->slot, to, member, w);
}

/* Copies to the ports but one, then gives the frame back as it was. */
static __always_inline int uplink_floods(struct __sk_buff *skb, const struct uplink_frame *f,
					 __u32 except, __u32 came, struct weight w)
{
	__u32 net = f->net, face;
	__u64 head = head_of(net);
	int reason, whom;

	if (!head || f->nested || f->control)
		return TC_ACT_UNSPEC;
	face = group_face(net, head, f->da);
	if (face != SLOT_NOBODY) {
		reason = face_gets(skb, f->slot, face - FACE_SLOT_0, net, how_of(f, came), w);
		return reason == BALANCE_WIRE ? TC_ACT_UNSPEC : reason;
	}
	whom = hear(skb, net, l3_of(how_of(f, came)), came == HOW_WIRE ? HEAR_THE_WIRE : 0);
	if (whom <= HEARD_ASK)
		return answer_goes(skb, f->slot, whom, net, how_of(f, came), w);
	reason = untag(skb, f);
	if (reason != PASS)
		return drop(f->slot, reason, w);
	replicate(skb, net, except, (__u32)whom);
	if (f->tagged && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), f->tci))
		return drop(f->slot, DROP_NO_MEMORY, w);
	return TC_ACT_UNSPEC;
}

static __always_inline __u32 tag_octets(const struct uplink_frame *f)
{
	return f->in_band ? 4 : 0;
}

/* A router's vMAC may move here by an advertisement, which is for a group. */
static __always_inline int claim_spoofed(struct __sk_buff *skb, const struct uplink_frame *f,
					 __u32 slot)
{
	return !wire_may_speak(skb, slot - CLAIM_SLOT_0, FDB_KEY(f->net, f->sa), f->slot,
			       ETH_HLEN + tag_octets(f));
}

/* From the wire: dropped while this host has the face's lease. */
static __noinline int face_is_stranger(struct __sk_buff *skb, __u32 net, __u64 sa, __u32 number,
				       __u32 tag)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));
	__u32 face = FACE_INDEX(number);
	int held;

	if (!s || !face_conf(s, face, net, sa))
		return 0;
	held = face_serves(s, face, clock_coarse());
	tell_face(skb, number, tag, (__u32)held);
	return held;
}

/* From the host: what it announces, by the mark, and while it may speak for the face; for one that
 * is carried nobody ever does. */
static __noinline int face_is_spoofed(struct __sk_buff *skb, __u32 net, __u64 sa, __u32 number)
{
	const struct cluster_slot *s = cluster_slot_of(FACE_CLUSTER(number));
	const struct cluster_conf *conf;
	__u32 face = FACE_INDEX(number);

	conf = s ? face_conf(s, face, net, sa) : 0;
	if (!conf)
		return 0;
	if (conf->mode == CLUSTER_MODE_CARRY || skb->mark != MARK_ANNOUNCE ||
	    !face_speaks(s, face, clock_coarse()))
		return 1;
	skb->mark = 0;
	return 0;
}

/* Whether the source is a port's or a face, from elsewhere than where that is: 0, or the reason. */
static __always_inline int wire_spoofs(struct __sk_buff *skb, const struct uplink_frame *f)
{
	__u32 slot = fdb_slot(f->net, f->sa);

	if (slot >= FACE_SLOT_0)
		return face_is_stranger(skb, f->net, f->sa, slot - FACE_SLOT_0, tag_octets(f))
			       ? DROP_FACE_SPOOF
			       : 0;
	if (slot >= CLAIM_SLOT_0)
		return claim_spoofed(skb, f, slot) ? DROP_WIRE_SPOOF : 0;
	return is_port(slot) && wire_is_stranger(skb, slot, tag_octets(f)) ? DROP_WIRE_SPOOF : 0;
}

/* The host itself may speak for a port that is open, where it says by the mark that it means it;
 * the port is then *ret_port.  To set a mark takes CAP_NET_ADMIN. */
static __always_inline int host_spoofs(struct __sk_buff *skb, const struct uplink_frame *f,
				       __u32 *ret_port)
{
	__u32 slot = fdb_slot(f->net, f->sa);

	if (slot >= FACE_SLOT_0)
		return face_is_spoofed(skb, f->net, f->sa, slot - FACE_SLOT_0);
	if (slot >= CLAIM_SLOT_0)
		return claim_spoofed(skb, f, slot);
	if (!is_port(slot))
		return 0;
	if (skb->mark != MARK_ANNOUNCE || gate_state_of(slot) != GATE_IS_OPEN)
		return 1;
	skb->mark = 0;
	*ret_port = slot;
	return 0;
}

SEC("tc")
int vmac_uplink_in(struct __sk_buff *skb)
{
	struct weight w = weight_of(skb);
	struct uplink_frame f = {};
	__u32 to = SLOT_NOBODY;
	int reason;

	if (skb->mark == MARK_TO_HOST) {
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (uplink_read(skb, &f))
		return TC_ACT_UNSPEC;
	count_rx(f.slot, w);
	if (!f.group) {
		to = receiver_of(f.net, f.da);
		if (!is_port(to) && to < FACE_SLOT_0)
			return to == f.slot && is_pulse(skb, tag_octets(&f))
				       ? pulse_answer(skb, f.slot, tag_octets(&f))
				       : TC_ACT_UNSPEC;
	}
	reason = wire_spoofs(skb, &f);
	if (reason)
		return drop(f.slot, (__u32)reason, w);
	if (f.group)
		return uplink_floods(skb, &f, SLOT_NOBODY, HOW_WIRE, w);
	if (to >= FACE_SLOT_0) {
		reason = face_gets(skb, f.slot, to - FACE_SLOT_0, f.net, how_of(&f, HOW_WIRE), w);
		return reason == BALANCE_WIRE ? TC_ACT_UNSPEC : reason;
	}
	return uplink_to_port(skb, &f, to, HOW_WIRE, w);
}

SEC("tc")
int vmac_uplink_out(struct __sk_buff *skb)
{
	__u64 came = index_of(skb->ingress_ifindex), *own;
	struct weight w = weight_of(skb);
	struct uplink_frame f = {};
	__u32 to, number, speaker = SLOT_NOBODY;
	int verdict;

	if (came && !(came & INDEX_UPLINK))
		return TC_ACT_UNSPEC; /* a port's, guarded where it entered */
	if (uplink_read(skb, &f))
		return TC_ACT_UNSPEC;
	number = (f.slot - SLOT_UPLINK_0) & 15;
	own = bpf_map_lookup_elem(&uplink_macs, &number);
	if ((!own || f.sa != READ_ONCE(*own)) && host_spoofs(skb, &f, &speaker))
		return drop(f.slot, DROP_HOST_SPOOF, w);
	if (f.group)
		return uplink_floods(skb, &f, speaker, HOW_HOST, w);
	to = receiver_of(f.net, f.da);
	if (!is_port(to)) {
		if (to < FACE_SLOT_0)
			return TC_ACT_UNSPEC;
		verdict = face_gets(skb, f.slot, to - FACE_SLOT_0, f.net, how_of(&f, HOW_HOST), w);
		return verdict == BALANCE_WIRE ? TC_ACT_UNSPEC : verdict;
	}
	return uplink_to_port(skb, &f, to, HOW_HOST, w);
}

/* --- the tunnel ------------------------------------------------------------------------------ */

/* On the VXLAN link: frames for a guest that is coming or has come, from hosts that it may have
 * left. Nothing of them is for the host, or for anybody else. */
SEC("tc")
int vmac_tunnel_in(struct __sk_buff *skb)
{
	struct weight w = weight_of(skb);
	const struct ethhdr *eth;
	__u32 state, to;
	__u64 da, sa;
	int net;

	count_rx(SLOT_TUNNEL, w);
	net = tunnel_net(skb);
	if (net < 0)
		return drop(SLOT_TUNNEL, (__u32)(-net - 1), w);
	if (frame_start(skb) + ETH_HLEN > frame_end(skb) && bpf_skb_pull_data(skb, ETH_HLEN))
		return drop(SLOT_TUNNEL, DROP_MALFORMED, w);
	eth = frame_start(skb);
	if ((const void *)(eth + 1) > frame_end(skb))
		return drop(SLOT_TUNNEL, DROP_MALFORMED, w);
	if (skb->vlan_present || type_is_tag(bpf_ntohs(eth->h_proto)))
		return drop(SLOT_TUNNEL, DROP_VLAN_TAG, w);
	da = mac_load(eth->h_dest);
	sa = mac_load(eth->h_source);
	if (eth->h_dest[0] & 1)
		return drop(SLOT_TUNNEL, DROP_TUNNEL_PORT, w);
	to = receiver_of((__u32)net, da);
	if (!is_port(to))
		return drop(SLOT_TUNNEL, DROP_TUNNEL_PORT, w);
	if (sa == da || receiver_of((__u32)net, sa) == to)
		return drop(SLOT_TUNNEL, DROP_TUNNEL_ECHO, w);
	state = gate_state_of(to);
	if (!MEMBER_IFINDEX(member_of(to)) || (state != GATE_IS_OPEN && state != GATE_IS_TUNNEL_IN))
		return drop(SLOT_TUNNEL, DROP_TUNNEL_PORT, w);
	return send_to_port(skb, SLOT_TUNNEL, to, member_of(to), w);
}
