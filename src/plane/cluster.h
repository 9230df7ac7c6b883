/* The data plane's part in load balancing: a frame for a cluster's face finds its member.
 *
 * Theory of operation
 *
 * A face (a cluster's virtual MAC) leads from the forwarding table to its cluster, at both
 * directions of an uplink and at every port of the net.  What is for one of the cluster's addresses
 * is judged by the port rules; its flow is hashed under the cluster's key (SipHash-1-3 of the
 * tuple) to a row, and the row names the member.
 *
 * Where that happens depends on the mode.  *Director*: on the host that holds the face's lease; a
 * member's port here gets the frame with DA := member, another host's gets it by the uplink with DA
 * := member and SA := the uplink's own, so that no switch learns the client here.  Without the
 * lease the frame is dropped and counted.  *Distributed*: on every host, for rows whose first
 * member has an open port here and while the host owns its rows; all others are dropped, and
 * counted as another's.  *Carry*: every member's port here gets a copy, and so does the wire where
 * it came from a port.
 *
 * Flows.  A flow table (one for all clusters of a host, made with the first of them) remembers
 * which member a flow has: eight entries a line, so a look-up is one line of cache.  An entry is
 * confirmed by its second packet, and only what is not confirmed is replaced; so neither a SYN
 * flood nor a flow a packet can push established flows out.  A SYN goes by the row; only where its
 * tuple has a flow whose member is fresh, it is that one's, who alone knows whether the flow lives.
 * What is no SYN goes where its entry says while that member is known; without an entry, to the
 * row's first, and of TCP that is a guess: it is sent with SA := face (while this host may speak
 * for it), and the first's own host hands it to the row's second when it does not know the flow
 * (with its own address as SA: one hop at most).  What is no guess is delivered and remembered, so
 * a member that migrates keeps its flows.  Of UDP only a host that is new to the face guesses, for
 * 30 s; what is then known to neither host is new, and the second's gives it back to the first's.
 * It is not asked where it is not fresh though it is active and weighs something: it may be gone,
 * unless its host is known to stand.
 * A fragment goes by source, destination and protocol alone; an ICMP error by the packet that it
 * speaks of.
 *
 * Two sets of rows: *installed*, by which a member's host hands on what it does not know, and of
 * which a distributed host takes only what is its own in both; and *committed*, by which an anchor
 * chooses.  See balance/group.h for why.
 *
 * At a member's port, what concerns the virtual addresses is the anchor's alone: ARP replies and
 * announcements of them, NA and DAD for them are dropped and counted; an ARP request that asks in a
 * virtual address's name goes out as a probe (sender 0.0.0.0: RFC 5227), so no one learns the
 * member under it; an NS likewise from the member's link-local.  Their packets may bear the virtual
 * addresses as IP source.  With `nat`, addresses are rewritten at the port, both ways.
 *
 * ARP and ND for the addresses are answered in the data plane by the host with the lease of the
 * face that the client is to use (balance/table.h balance_face()), while it may speak.
 *
 * Threads: plane_cluster_lease(), plane_cluster_own() and plane_cluster_standing() are called by
 * one thread, which may be another than that of all others. */
#pragma once

#include "model/cluster.h"
#include "plane/plane.h"

#define PLANE_CLUSTERS_MAX  CLUSTERS_MAX /* slots: 0 … */
#define PLANE_FLOWS_DEFAULT (1u << 20)	 /* entries of the flow table */

struct plane_cluster {
	unsigned int slot;
	struct plane_net net;
	const struct cluster *record; /* lent for the call */
	/* The members' own addresses where nat; by index in record->members; family 0 = none. */
	const struct ip (*own)[2]; /* [][0] IPv4, [][1] IPv6; NULL where not nat */
	span_t udp_idle, tcp_idle; /* of a flow; 0 = 30 s and 15 min */
};

/* Makes the data plane know a cluster, or changes it; keeps leases, rows, flows and counters of a
 * slot that was set before.  A member that is of it no more is known no more, at once.  Errors:
 * LIMIT_REACHED, ADDRESS_IN_USE (a face is a port's vMAC, another cluster's; an address is another
 * cluster's in that net), NO_MEMORY, KERNEL_FAILED. */
int plane_cluster_set(struct plane *p, const struct plane_cluster *c, struct error *ret_error);
int plane_cluster_remove(struct plane *p, unsigned int slot, struct error *ret_error);

/* The rows (CLUSTER_ROWS or CLUSTER_MAGLEV_ROWS, as the record's table says) take effect as the
 * installed ones, all at once; commit makes the installed ones the committed.  `fresh` and `known`
 * are bitmaps by member id (the lowest bit of octet 0 is id 1, CLUSTER_MEMBERS_MAX / 8 octets): a
 * flow's entry counts while its member is known, and of a SYN while it is fresh.  Errors:
 * NOT_FOUND, NO_MEMORY, KERNEL_FAILED. */
int plane_cluster_install(struct plane *p, unsigned int slot, const struct balance_row *rows,
			  const uint8_t *fresh, const uint8_t *known, struct error *ret_error);
int plane_cluster_commit(struct plane *p, unsigned int slot, struct error *ret_error);

/* One store each.  A face is served until `serve`, and spoken for until `speak`; ns 0: not.  Who
 * did not serve it before guesses for 30 s, too, what is not known of flows but TCP's; not who
 * serves it for ever (nobody else could have). */
void plane_cluster_lease(struct plane *p, unsigned int slot, unsigned int face, mono_t serve,
			 mono_t speak);
/* Distributed: this host takes its members' rows until then. */
void plane_cluster_own(struct plane *p, unsigned int slot, mono_t until);

/* Members that get no new flows because their hosts are silent, and whose hosts forward: they are
 * asked for flows that this host does not know.  A bitmap as of plane_cluster_install(). */
void plane_cluster_standing(struct plane *p, unsigned int slot, const uint8_t *members);

/* Removes every cluster that was not set since plane_open(). */
int plane_cluster_sweep(struct plane *p, unsigned int *ret_removed, struct error *ret_error);

/* The mark of a probe's socket (SO_MARK, with SO_BINDTODEVICE of the uplink): what it sends to a
 * face goes to this member, whatever rows and leases say. */
#define PLANE_PROBE_MARK(member_id) (0x76700000u | (member_id))

struct plane_cluster_counters {
	uint64_t local, remote; /* frames handed to members here, on other hosts */
	uint64_t second;	/* handed on to a row's second */
	uint64_t answered_arp, answered_nd;
	uint64_t not_anchor; /* came while this host had no lease of the face */
	uint64_t others;     /* distributed: another host's row */
	uint64_t no_member, rule, no_address, malformed; /* dropped: nobody to have it; by a rule;
							  * for none of the addresses; unreadable */
	uint64_t arp_filtered, nd_filtered;		 /* at members' ports */
	uint64_t flows_made, flows_denied; /* denied: the line was full of confirmed ones */
};
int plane_cluster_counters(struct plane *p, unsigned int slot, struct plane_cluster_counters *ret,
			   struct error *ret_error);

/* Walks the flow table once (8 MiB: some ms): how many live flows each member has, by id (0
 * unused). NOT_FOUND. */
int plane_cluster_flows(struct plane *p, unsigned int slot,
			uint32_t ret_flows[static CLUSTER_MEMBERS_MAX + 1],
			struct error *ret_error);
/* The IPv6 link-local address with which a member was last heard to ask at that port; false: none
 * was, since the port is this guest's. */
bool plane_cluster_link_local(struct plane *p, uint32_t port, struct ip *ret);
/* Frames and octets handed to a member from here. */
int plane_cluster_member(struct plane *p, unsigned int slot, uint16_t member, uint64_t *ret_frames,
			 uint64_t *ret_octets, struct error *ret_error);
