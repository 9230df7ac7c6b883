/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tables.  src/plane/ writes them all except the counters and the police; docs/dataplane.md
 * says how a change never shows half-done. */
#ifndef VMAC_BPF_MAPS_H
#define VMAC_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "shared.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INDEX_NEAR);
	__type(key, __u32);
	__type(value, __u64);
} index_near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, INDEX_FAR_MAX);
	__type(key, __u32);
	__type(value, __u64);
} index_far SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ROW_COUNT);
	__type(key, __u32);
	__type(value, struct port_row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FDB_ENTRIES_MAX);
	__type(key, __u64);
	__type(value, __u64);
} fdb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FDB_NEAR_ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} fdb_near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NET_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLAIMS_MAX);
	__type(key, __u32);
	__type(value, struct claim);
} claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOT_PORTS + 1);
	__type(key, __u32);
	__type(value, struct gate_slot);
} gates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_OCTETS);
} events SEC(".maps");

/* The uplinks' own addresses, by uplink slot: MAC_WORD. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} uplink_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOT_COUNT);
	__type(key, __u32);
	__type(value, struct slot_counters);
} counters SEC(".maps");

/* Shared by the CPUs and counted atomically: a drop is rare, and 64 words a slot and CPU are not.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOT_COUNT);
	__type(key, __u32);
	__type(value, struct slot_drops);
} drops SEC(".maps");

/* The time and its tick (clock.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} clock_word SEC(".maps");

/* When the sender's broadcasts so far would have ended at its full rate, CLOCK_MONOTONIC. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOT_PORTS + 1);
	__type(key, __u32);
	__type(value, __u64);
} police SEC(".maps");

/* --- the tunnel (gate.h) --------------------------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tunnel_conf);
} tunnel SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TUNNEL_PEERS);
	__type(key, struct tunnel_ip);
	__type(value, __u8);
} tunnel_peers SEC(".maps");

/* Number in the tunnel → net, and back. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TUNNEL_NETS);
	__type(key, __u32);
	__type(value, __u32);
} tunnel_vnis SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TUNNEL_NETS);
	__type(key, __u32);
	__type(value, __u32);
} tunnel_nets SEC(".maps");

/* --- leases (lease.h) ------------------------------------------------------------------------ */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * ROUTER_SLOTS);
	__type(key, struct router_key);
	__type(value, __u32);
} routers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ROUTER_SLOTS);
	__type(key, __u32);
	__type(value, struct router_slot);
} router_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ROUTER_MAYBE_BITS / 64);
	__type(key, __u32);
	__type(value, __u64);
} router_maybe SEC(".maps");

/* Most hosts have none, so no entry is allocated before it is needed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ROUTER_IPS_ALL);
	__type(key, struct router_ip_key);
	__type(value, __u8);
} router_ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROUTER_SLOTS);
	__type(key, __u32);
	__type(value, struct router_counters);
} router_counts SEC(".maps");

/* --- clusters (balance.h) --------------------------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLUSTER_SLOTS);
	__type(key, __u32);
	__type(value, struct cluster_slot);
} clusters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLUSTER_SLOTS * 2);
	__type(key, __u32);
	__type(value, struct cluster_conf);
} cluster_confs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLUSTER_SLOTS);
	__type(key, __u32);
	__type(value, struct cluster_counters);
} cluster_counts SEC(".maps");

/* Maps in maps: what is large is made with the first cluster that needs it.  Their values are named
 * by size, because clang does not describe a type that only an inner map names. */

struct cluster_rows_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLUSTER_ROW_WORDS);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CLUSTER_SLOTS *CLUSTER_SETS);
	__type(key, __u32);
	__array(values, struct cluster_rows_inner);
} cluster_rows SEC(".maps");

struct cluster_members_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLUSTER_IDS + 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct cluster_member_conf));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CLUSTER_SLOTS);
	__type(key, __u32);
	__array(values, struct cluster_members_inner);
} cluster_members SEC(".maps");

struct cluster_member_counts_inner {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLUSTER_IDS + 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct cluster_member_counters));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CLUSTER_SLOTS);
	__type(key, __u32);
	__array(values, struct cluster_member_counts_inner);
} cluster_member_counts SEC(".maps");

struct flows_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_LINES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct flow_line));
};

/* One element; written by the programs alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct flows_inner);
} flows SEC(".maps");

/* (net, virtual address) → slot of the cluster. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CLUSTER_IPS_ALL);
	__type(key, struct cluster_ip_key);
	__type(value, __u32);
} cluster_ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOT_PORTS + 1);
	__type(key, __u32);
	__type(value, struct port_clusters);
} port_clusters SEC(".maps");

/* The link-local with which a member was last heard to ask or advertise; written by the programs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOT_PORTS + 1);
	__type(key, __u32);
	__type(value, struct cluster_ip);
} member_links SEC(".maps");

/* By an answer's fragment: the virtual address that is its source. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NAT_PARTS);
	__type(key, struct nat_part);
	__type(value, struct cluster_ip);
} nat_parts SEC(".maps");

#endif
