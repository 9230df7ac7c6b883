/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The only contract between the kernel side (bpf/) and src/plane/: numbers, layouts, reasons.
 *
 * Whoever changes a layout or a meaning here raises VMAC_SCHEMA: maps that an earlier run pinned
 * under another schema are never reused.  Everything is in host byte order except where __be says
 * otherwise. */
#ifndef VMAC_BPF_SHARED_H
#define VMAC_BPF_SHARED_H

#include <linux/types.h>

#define VMAC_SCHEMA 7

/* --- slots: who a frame is counted for ------------------------------------------------------- */

/* One numbering for all: 0 = nobody; 1 … 4096 a port's id; then the 16 uplink slots, of which the
 * first (the internal segments') has no device; then the tunnel.  A slot fits in 16 bits. */
#define SLOT_NOBODY   0
#define SLOT_PORTS    4096
#define SLOT_UPLINK_0 (SLOT_PORTS + 1)
#define SLOT_TUNNEL   (SLOT_UPLINK_0 + 16)
#define SLOT_COUNT    (SLOT_TUNNEL + 1)

/* The copies of one broadcast at most: the ports of one net on this host. */
#define NET_PORTS_MAX 1024

/* A net is what a frame can never leave: (uplink slot, vlan), in 16 bits. */
#define NET_COUNT		  65536
#define NET_OF(uplink_slot, vlan) ((__u32)(uplink_slot) << 12 | (__u32)(vlan))
#define NET_UPLINK(net)		  ((__u32)(net) >> 12)
#define NET_VLAN(net)		  ((__u32)(net)&0xfff)

/* --- addresses as numbers -------------------------------------------------------------------- */

/* A MAC address in one word: its first four octets as the CPU loads them, its last two above.  Both
 * sides build it with this expression, so the byte order of the machine does not matter. */
#define MAC_WORD(first_four, last_two) ((__u64)(first_four) | (__u64)(last_two) << 32)

/* Key of the forwarding table.  Its value has the same 48 high bits (so that a reader knows that
 * the entry was not given to another address under its eyes) and a slot in the low 16. */
#define FDB_KEY(net, mac_word)	  ((__u64)(mac_word) << 16 | (__u64)(net))
#define FDB_VALUE(slot, mac_word) ((__u64)(mac_word) << 16 | (__u64)(slot))
#define FDB_SLOT(value)		  ((__u32)((value)&0xffff))
#define FDB_ENTRIES_MAX		  16384

/* In front of the table, an array of its values, so that a frame for a local address costs no hash
 * lookup.  For one address every net has another place, so address and place together are the whole
 * key, and one word says it all.  An address whose place is taken is in the table only. */
#define FDB_NEAR_ENTRIES NET_COUNT
#define FDB_NEAR_PLACE(net, mac_word)                                                              \
	(((__u32)((__u64)(mac_word)*0x9e3779b97f4a7c15ULL >> 48) + (__u32)(net)) &                 \
	 (FDB_NEAR_ENTRIES - 1))
/* A place of it: 0 = no address of that place is in the table; this = the table is to be asked. */
#define FDB_NEAR_ASK FDB_VALUE(SLOT_NOBODY, 0xffffffffffffULL)

/* --- index: whose is this ifindex? ----------------------------------------------------------- */

/* 0 = not ours; a port: the number of its row; an uplink: INDEX_UPLINK with its slot. */
#define INDEX_NEAR	 65536 /* ifindexes below: an array; from there on: a hash */
#define INDEX_UPLINK	 (1ULL << 32)
#define INDEX_LOW(entry) ((__u32)(entry))
#define INDEX_FAR_MAX	 8192

/* --- rows: how a port is guarded ------------------------------------------------------------- */

/* Two rows a slot, of which the index names one: a row is written while nobody reads it. */
#define ROW_OF(slot, which) ((__u32)(slot)*2 + (which))
#define ROW_SLOT(row)	    ((__u32)(row) >> 1)
#define ROW_COUNT	    ((SLOT_PORTS + 1) * 2)

#define ROW_OPEN	  (1u << 0) /* the gate is open; else ask its word (gates, below) */
#define ROW_CHECK_IP	  (1u << 1) /* senders must be among ip4 and ip6 */
#define ROW_DHCP_SERVER	  (1u << 2) /* may answer as one */
#define ROW_ROUTER_ADVERT (1u << 3) /* may send RA and redirect */
#define ROW_MEMBER	  (1u << 4) /* of a cluster: see port_clusters */
#define ROW_NAT		  (1u << 5) /* … and of one with nat */

#define ROW_IP4_MAX	8
#define ROW_IP6_MAX	9 /* the link-local of the vMAC comes first */
#define ROW_ROUTERS_MAX 8

struct port_row {
	__u64 mac;	      /* MAC_WORD */
	__u64 flood_gap_ns;   /* between two broadcasts at the full rate; 0 = no limit */
	__u64 flood_burst_ns; /* how far the sender may run ahead of that */
	__u32 ifindex;
	__u32 net;
	__u32 flags;
	__u8 ip4_count, ip6_count, router_count;
	__u8 unused;
	__u32 ip4[ROW_IP4_MAX];		/* as on the wire */
	__u64 ip6[ROW_IP6_MAX][2];	/* as on the wire */
	__u16 claims[ROW_ROUTERS_MAX];	/* of the routers' vMACs that it may speak with, */
	__u64 routers[ROW_ROUTERS_MAX]; /* MAC_WORD */
};

/* --- claims: which port has a router's vMAC --------------------------------------------------- */

/* The forwarding table leads from (net, vMAC) to a claim, in place of a slot, for as long as a port
 * of the net may have it.  The programs move it: one word, the slot of the holder (a port's, or an
 * uplink's for the wire) and until when, in 1,024 ns of CLOCK_BOOTTIME; 0 = nobody. */
#define CLAIMS_MAX		8192
#define CLAIM_SLOT_0		0x8000 /* and the claim's number */
#define CLAIM_WORD(until, slot) ((__u64)(until) >> 10 << 16 | (__u64)(slot))
#define CLAIM_SLOT(word)	((__u32)(word)&0xffff)
#define CLAIM_UNTIL(word)	((__u64)(word) >> 16 << 10)

struct claim {
	__u64 word;
	__u64 key; /* FDB_KEY; 0 = free */
};

/* --- members: how a slot is reached ---------------------------------------------------------- */

/* One word, so that it changes at once: the device (0 = none), the longest packet it takes, and the
 * next slot in the list of its net's ports.  heads[net] is the first slot of that list.  A device
 * with MEMBER_GATED is that of a port whose gate may not be open: ask its word.  So one comparison,
 * of the device as a signed number, leads most frames past all that is rare. */
#define MEMBER(ifindex, mtu, next) ((__u64)(ifindex) << 32 | (__u64)(mtu) << 16 | (__u64)(next))
#define MEMBER_IFINDEX(m)	   ((__u32)((m) >> 32))
#define MEMBER_MTU(m)		   ((__u32)((m) >> 16) & 0xffff)
#define MEMBER_NEXT(m)		   ((__u32)(m)&0xffff)
#define MEMBER_GATED		   0x80000000u
/* The port is a cluster's member; besides, it may be gated. */
#define MEMBER_CLUSTERED	   0x40000000u
#define MEMBER_FLAGS		   (MEMBER_GATED | MEMBER_CLUSTERED)

/* In heads[net], above the first slot: a face of the net is a group address. */
#define HEAD_GROUP_FACE	 (1ULL << 32)
/* … a cluster of the net is carried. */
#define HEAD_CARRY	 (1ULL << 33)
#define HEAD_FIRST(head) ((__u32)(head))

/* --- gates ----------------------------------------------------------------------------------- */

/* A port's gate is one word, which alone says what passes.  ROW_OPEN and the lack of MEMBER_GATED
 * are copies of "open", set after the word says so and taken back before it says otherwise.  A word
 * has a state, what belongs to it, and a generation, which every change by the control plane makes
 * another; the programs change it in one way, from armed to open, by a compare-and-swap. */
#define GATE_IS_CLOSED	  0u
#define GATE_IS_TUNNEL_IN 1u
#define GATE_IS_OPEN	  2u
#define GATE_IS_REDIRECT  3u
#define GATE_IS_FENCED	  4u
#define GATE_ELSEWHERE	  (1u << 3) /* closed: another host has the vMAC */
#define GATE_ARMED	  (1u << 4) /* tunnel-in: an announcement of the guest opens it, */
#define GATE_ANY_FRAME	  (1u << 5) /* … or any frame */
#define GATE_FLIPPED	  (1u << 6) /* open: by a program; the control plane did not say so yet */
#define GATE_PEER	  (1u << 7) /* redirect: there is a peer, */
#define GATE_PEER_1	  (1u << 8) /* … and it is the second of the two */

#define GATE_STATE(word)      ((__u32)(word)&7)
#define GATE_GENERATION(word) ((__u32)((__u64)(word) >> 32))
#define GATE_WORD(generation, state_and_flags)                                                     \
	((__u64)(generation) << 32 | (__u64)(state_and_flags))
#define GATE_OPENED(word) GATE_WORD(GATE_GENERATION(word), GATE_IS_OPEN | GATE_FLIPPED)

enum gate_told { TOLD_SPOKE, TOLD_STRANGER, TOLD_TAGGED, TOLD_ANSWERED, TOLD_COUNT };

/* IPv4: mapped, ::ffff:0:0/96; as on the wire. */
struct tunnel_ip {
	__u64 word[2];
};

struct gate_slot {
	__u64 word;
	struct tunnel_ip peer[2]; /* the one that the word does not name is written */
	__u64 redirected;	  /* frames into the tunnel */
	struct {
		__u64 count;
		__u64 due; /* CLOCK_BOOTTIME: not before is the next one told of */
	} told[TOLD_COUNT];
};

/* --- events ---------------------------------------------------------------------------------- */

#define EVENT_FLIPPED  0
#define EVENT_SPOKE    1
#define EVENT_STRANGER 2
#define EVENT_ANSWERED 3
#define EVENT_FACE     4 /* a stranger with a cluster's face; port is 0 */
#define EVENT_ADDRESS  5 /* a stranger that says that a cluster's address is his; likewise */

#define EVENT_FRAME	      64
#define EVENT_GAP_NS	      1000000000ULL
/* Of strangers that bear what looks like a tag (src/wire/claim.h): RARP, and this in its padding.
 * Whoever waits for the true one must not be deaf for a second after a false one. */
#define EVENT_TAGGED_GAP_NS   100000000ULL
/* Of members that answer: of health checks every 100 ms, none may be lost. */
#define EVENT_ANSWERED_GAP_NS 50000000ULL
#define EVENT_TAG_AT	      42
#define EVENT_TAG_0	      'v'
#define EVENT_TAG_1	      'M'

/* Half of it is for flips alone, and holds one of every port. */
#define EVENTS_OCTETS (1u << 20)

struct event {
	__u64 at; /* CLOCK_BOOTTIME */
	__u64 count;
	__u32 port, generation; /* of the gate, then */
	__u16 kind, len;
	__u32 face; /* EVENT_FACE: FACE_OF(); EVENT_ANSWERED, EVENT_ADDRESS: of the first face */
	__u8 frame[EVENT_FRAME];
};

/* --- the tunnel ------------------------------------------------------------------------------ */

#define TUNNEL_PEERS 4096
#define TUNNEL_NETS  4096
#define TUNNEL_TTL   64

struct tunnel_conf {
	__u32 ifindex; /* 0 = none */
	__u32 has_local;
	struct tunnel_ip local; /* the source of outer packets; else as the host's routes have it */
};

/* --- leases: the virtual routers of this host ------------------------------------------------ */

#define ROUTER_SLOTS   8192
#define ROUTER_IPS_ALL 65536 /* of all routers that do not accept, together */

/* Where a router's address is: on a link, or on a VLAN of one (as our own ports' frames reach a
 * router that lives on a VLAN device). */
struct router_key {
	__u64 mac; /* MAC_WORD */
	__u32 ifindex;
	__u32 vlan; /* 0 = untagged */
};

#define ROUTER_NO_ACCEPT (1u << 0) /* drop packets for the addresses in router_ips */

/* The key once more, so that a reader knows that the slot was not given to another address under
 * its eyes. */
struct router_slot {
	__u64 until; /* CLOCK_BOOTTIME */
	__u64 mac;
	__u32 ifindex;
	__u32 lower_ifindex, lower_vlan; /* of a VLAN device; else 0 */
	__u32 flags;
};

struct router_ip_key {
	__u32 slot;
	__u8 ip[16]; /* IPv4: mapped, ::ffff:0:0/96 */
};

/* A bit for every address that may be a router's: one load, where most frames are done. */
#define ROUTER_MAYBE_BITS     65536
#define ROUTER_MAYBE_BIT(mac) ((__u32)((__u64)(mac)*0x9e3779b97f4a7c15ULL >> 48))

struct router_counters {
	__u64 passed_out, passed_in;
	__u64 stopped_out, stopped_in;
	__u64 not_accepted;
};

/* --- clusters (balance.h) --------------------------------------------------------------------- */

#define CLUSTER_SLOTS	  256
#define CLUSTER_FACES	  8
#define CLUSTER_ADDRESSES 16
#define CLUSTER_RULES	  16
#define CLUSTER_IDS	  1024 /* of members: 1 … 1024 */
#define CLUSTER_SETS	  2    /* of rows */

/* The forwarding table leads from (net, face) to FACE_SLOT_0 and the face's number.  Who finds it
 * there compares conf->net and conf->faces[] with what it looked for. */
#define FACE_SLOT_0	       0xc000
#define FACE_OF(cluster, face) ((__u32)(cluster)*CLUSTER_FACES + (__u32)(face))
#define FACE_CLUSTER(number)   ((__u32)(number) / CLUSTER_FACES & (CLUSTER_SLOTS - 1))
#define FACE_INDEX(number)     ((__u32)(number) & (CLUSTER_FACES - 1))

#define CLUSTER_MODE_DIRECTOR	 0
#define CLUSTER_MODE_DISTRIBUTED 1
#define CLUSTER_MODE_CARRY	 2

#define CLUSTER_BY_FLOW	   0
#define CLUSTER_BY_CLIENT  1
#define CLUSTER_BY_NETWORK 2

#define CLUSTER_DO_BALANCE  0
#define CLUSTER_DO_PRIORITY 1
#define CLUSTER_DO_DROP	    2

#define CLUSTER_NAT (1u << 0)

/* An IP address as on the wire; IPv4: mapped, ::ffff:0:0/96. */
struct cluster_ip {
	__u64 word[2];
};

struct cluster_rule_conf {
	__u8 protocol, action;
	__u16 from, to; /* ports */
	__u16 has_ports;
};

/* What never changes while it is read: two a slot, of which the slot names one. */
#define CLUSTER_CONF_OF(slot, which) ((__u32)(slot)*2 + (which))

struct cluster_conf {
	__u64 key[2]; /* of SipHash, as the CPU loads them */
	__u32 net;
	__u8 mode, affinity, flags, face_count;
	__u32 row_count; /* 65536, or of Maglev */
	__u32 address_count, rule_count;
	__u32 udp_ticks, tcp_ticks; /* a flow lives so long without a frame */
	__u64 faces[CLUSTER_FACES]; /* MAC_WORD */
	struct cluster_ip addresses[CLUSTER_ADDRESSES];
	struct cluster_rule_conf rules[CLUSTER_RULES];
};

/* What changes word by word. */
struct cluster_slot {
	__u64 conf; /* 0 = none; else 1 + CLUSTER_CONF_OF() */
	__u64 own;  /* distributed: until; CLOCK_BOOTTIME, as are all here */
	struct {
		__u64 serve, speak; /* until */
	} faces[CLUSTER_FACES];
	__u64 guess;		       /* until: what is not known is guessed of UDP, too */
	__u64 known[CLUSTER_IDS / 64]; /* bit id - 1: may have flows, */
	__u64 fresh[CLUSTER_IDS / 64]; /* … and gets new ones, */
	__u64 rests[CLUSTER_IDS / 64]; /* … or gets none because the record says so, */
	__u64 stands[CLUSTER_IDS / 64]; /* … or because its host is silent, which forwards */
	__u32 priority[CLUSTER_SETS];  /* a row: the members of rules by priority */
	struct {
		__u64 count, due, due_tagged; /* of strangers with the face: as gate_slot.told */
	} told[CLUSTER_FACES];
};

/* Rows: a first and a second member's id, two rows a word.  Two sets a cluster. */
#define CLUSTER_INSTALLED	   0
#define CLUSTER_COMMITTED	   1
#define CLUSTER_ROWS_OF(slot, set) ((__u32)(slot)*CLUSTER_SETS + (set))
#define CLUSTER_ROW_WORDS	   32769 /* of 65,537 rows */
#define CLUSTER_ROW(word, row)	   ((__u32)((word) >> ((row)&1) * 32))
#define CLUSTER_FIRST(row)	   ((__u32)(row)&0xffff)
#define CLUSTER_SECOND(row)	   ((__u32)(row) >> 16)

/* By cluster and id.  Where the member is, the forwarding table says. */
struct cluster_member_conf {
	__u64 mac;		  /* MAC_WORD; 0 = none */
	struct cluster_ip own[2]; /* nat: its own addresses, IPv4 (mapped) and IPv6; 0 = none */
};

struct cluster_member_counters {
	__u64 frames, octets;
};

/* Of which clusters a port's guest is a member, the first first; 0 = no more. */
#define PORT_CLUSTERS_MAX	 16
#define PORT_CLUSTER(slot, id)	 ((__u32)(slot) << 16 | (__u32)(id))
#define PORT_CLUSTER_SLOT(entry) ((__u32)(entry) >> 16 & (CLUSTER_SLOTS - 1))
#define PORT_CLUSTER_ID(entry)	 ((__u32)(entry)&0xffff)

struct port_clusters {
	__u32 of[PORT_CLUSTERS_MAX];
};

/* The address's cluster, for who asks for it (ARP, ND) and for frames at a member's host. */
#define CLUSTER_IPS_ALL (CLUSTER_SLOTS * CLUSTER_ADDRESSES)

struct cluster_ip_key {
	__u32 net, unused;
	struct cluster_ip ip;
};

/* What is remembered of the first fragment of an answer, for the later ones (nat.h). */
#define NAT_PARTS 1024

struct nat_part {
	struct cluster_ip to;
	__u32 port, id;
	__u32 proto, unused;
};

/* Flows: lines of eight entries, by the hash of the flow.  Of its 64 bits the low ones are the row,
 * those above the line, and the highest are in the entry. */
#define FLOW_LINES	  131072
#define FLOW_WAYS	  8
#define FLOW_LINE(hash)	  ((__u32)((hash) >> 16) & (FLOW_LINES - 1))
#define FLOW_FINGER	  (~0ULL << 34)
#define FLOW_NEW	  1u /* made by its first frame, */
#define FLOW_CONFIRMED	  2u /* … and this by its second */
#define FLOW_CLOSING	  3u
#define FLOW_GUESSED	  4u /* or'ed: the beginning of the flow was not seen here */
/* An entry expires at a tick, of CLOCK_BOOTTIME by 2^32 ns (4.3 s), modulo 4,096: what is not swept
 * in the half of that (2.4 h) is taken for alive again, which nobody but a flow with the same hash
 * would notice. */
#define FLOW_TICK_BITS	  32
#define FLOW_TICK(ns)	  ((__u32)((ns) >> FLOW_TICK_BITS))
#define FLOW_UNTIL_BITS	  12
#define FLOW_UNTILS	  (1u << FLOW_UNTIL_BITS)
#define FLOW_IDLE_MAX	  (FLOW_UNTILS / 2 - 1)
#define FLOW_CHANGING	  ((__u64)(FLOW_UNTILS - 1) << 19 | 3ULL << 31)
#define FLOW_CLUSTER_BITS ((__u64)(CLUSTER_SLOTS - 1) << 11)
#define FLOW_ENTRY(hash, state, until, cluster, id)                                                \
	(((__u64)(hash)&FLOW_FINGER) | (__u64)(state) << 31 |                                      \
	 (__u64)((until) & (FLOW_UNTILS - 1)) << 19 | (__u64)(cluster) << 11 | (__u64)(id))
#define FLOW_STATE(entry)      ((__u32)((entry) >> 31) & 3)
#define FLOW_IS_GUESSED(entry) ((__u32)((entry) >> 33) & 1)
#define FLOW_UNTIL(entry)      ((__u32)((entry) >> 19) & (FLOW_UNTILS - 1))
#define FLOW_CLUSTER(entry)    ((__u32)((entry) >> 11) & (CLUSTER_SLOTS - 1))
#define FLOW_ID(entry)	       ((__u32)(entry)&0x7ff)
#define FLOW_NEW_TICKS	       8
#define FLOW_CLOSING_TICKS     3
#define FLOW_BUSY_TICKS	       2 /* what was renewed so many ticks ago at most lives */

struct flow_line {
	__u64 entry[FLOW_WAYS];
};

/* A probe's mark bears the id of the member that it is for. */
#define MARK_PROBE	    0x76700000u
#define MARK_PROBE_MASK	    0xfffff000u
#define MARK_PROBE_ID(mark) ((__u32)(mark)&0xfff)

/* Per CPU and cluster; plane/cluster.h says what each is. */
struct cluster_counters {
	__u64 local, remote, second;
	__u64 answered_arp, answered_nd;
	__u64 not_anchor, others;
	__u64 no_member, rule, no_address, malformed;
	__u64 arp_filtered, nd_filtered;
	__u64 flows_made, flows_denied;
};

/* --- counters -------------------------------------------------------------------------------- */

/* Per CPU and slot: what every frame touches. */
struct slot_counters {
	__u64 rx_frames, rx_octets;
	__u64 tx_frames, tx_octets;
	__u64 seen_ns;	 /* CLOCK_BOOTTIME of a recent frame from the guest; 0 = none yet */
	__u64 seen_tick; /* in jiffies */
};

/* X(constant, name, one line for people).  The order is part of the schema. */
#define VMAC_DROP_REASONS(X)                                                                       \
	X(MALFORMED, "malformed", "a header is cut short or contradicts itself")                   \
	X(NO_PROGRAM, "no_program", "the link has no forwarding program, only the drop net")       \
	X(UNKNOWN_PORT, "unknown_port", "the link belongs to no port")                             \
	X(GATE_CLOSED, "gate_closed", "the port's gate is closed")                                 \
	X(VLAN_TAG, "vlan_tag", "a VLAN tag where the segment has none")                           \
	X(SPOOFED_MAC, "spoofed_mac", "the source address is not the port's vMAC")                 \
	X(SPOOFED_IP, "spoofed_ip", "the IP source is not bound to the vMAC")                      \
	X(SPOOFED_ARP, "spoofed_arp", "an ARP sender is not the vMAC or not bound to it")          \
	X(SPOOFED_ND, "spoofed_nd", "a neighbour discovery address is not the vMAC's own")         \
	X(DHCP_SERVER, "dhcp_server", "the port may not answer as a DHCP server")                  \
	X(ROUTER_ADVERT, "router_advert", "the port may not send router adverts or redirects")     \
	X(FRAGMENT, "fragment", "a fragment that hides what the guard must see")                   \
	X(IP6_HEADERS, "ip6_headers", "more IPv6 extension headers or options than are read")      \
	X(SNAP, "snap", "IP, ARP or a VLAN tag wrapped in 802.2 SNAP")                             \
	X(L2_CONTROL, "l2_control", "a control frame for switches (STP, LACP, LLDP, 802.1X, …)")   \
	X(HAIRPIN, "hairpin", "the port sent to its own vMAC")                                     \
	X(UNKNOWN_UNICAST, "unknown_unicast", "nobody has that address, and there is no uplink")   \
	X(RECEIVER_CLOSED, "receiver_closed", "the gate of the receiving port is closed")          \
	X(NO_UPLINK, "no_uplink", "the segment's uplink is gone")                                  \
	X(MTU, "mtu", "longer than the receiving link's MTU")                                      \
	X(FLOOD_LIMIT, "flood_limit", "more broadcast and multicast than the port may send")       \
	X(HOST_SPOOF, "host_spoof", "the host itself sent with the vMAC of a port")                \
	X(WIRE_SPOOF, "wire_spoof", "from the wire, with a port's vMAC: a loop or a double")       \
	X(NO_MEMORY, "no_memory", "the kernel could not change the frame's VLAN tag")              \
	X(COPY_FAILED, "copy_failed", "a broadcast's copy *to* this port was refused by its link") \
	X(ROUTER_CLAIM, "router_claim", "spoke with a router's vMAC that it does not hold")        \
	X(NO_TUNNEL, "no_tunnel", "for a guest that moved, but there is no way to where it is")    \
	X(TUNNEL_PEER, "tunnel_peer", "through the tunnel, from a host that is no peer")           \
	X(TUNNEL_NET, "tunnel_net", "through the tunnel, with a number that no segment has")       \
	X(TUNNEL_PORT, "tunnel_port", "through the tunnel, for nobody who takes frames from it")   \
	X(TUNNEL_ECHO, "tunnel_echo", "through the tunnel, a guest's own frame back to it")        \
	X(NOT_ANCHOR, "not_anchor", "for a cluster's vMAC that this host does not serve now")      \
	X(OTHERS_ROW, "others_row", "for a cluster's member elsewhere, whose host gets it, too")   \
	X(NO_MEMBER, "no_member", "for a cluster that has no member to take it")                   \
	X(CLUSTER_RULE, "cluster_rule", "for a cluster, and one of its rules drops it")            \
	X(CLUSTER_ADDRESS, "cluster_address", "for a cluster's vMAC, but none of its addresses")   \
	X(CLUSTER_FRAME, "cluster_frame", "for a cluster, but its headers cannot be read")         \
	X(MEMBER_ARP, "member_arp", "a cluster's member spoke for a virtual address by ARP")       \
	X(MEMBER_ND, "member_nd", "a cluster's member spoke for a virtual address by ND")          \
	X(FACE_SPOOF, "face_spoof", "with a cluster's vMAC as its source, from who may not")       \
	X(NAT, "nat", "of a cluster's member, and its addresses could not be rewritten")           \
	X(NLB, "nlb", "an NLB heartbeat of a port that is no member where such are carried")

enum drop_reason {
#define DROP_REASON_ENUM_(constant, name, meaning) DROP_##constant,
	VMAC_DROP_REASONS(DROP_REASON_ENUM_)
#undef DROP_REASON_ENUM_
		DROP_REASON_COUNT
};

#define DROP_REASONS_MAX 64 /* the stride of the counters */

struct slot_drops {
	__u64 frames[DROP_REASONS_MAX];
};

/* Set on frames from a port on their way into the host's stack, taken off before they get there. */
#define MARK_TO_HOST 0x766d6163u

/* The daemon's own announcements (plane.h), which leave with the vMAC of an open port. */
#define MARK_ANNOUNCE 0x766d616eu

#endif
