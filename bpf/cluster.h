/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the programs know of clusters: look-ups, the hash, the counters.  Who uses it: balance.h (a
 * frame for a face finds its member), member.h (what members may say), answer.h (ARP and ND). */
#ifndef VMAC_BPF_CLUSTER_H
#define VMAC_BPF_CLUSTER_H

#include "gate.h"

/* --- looking up ------------------------------------------------------------------------------ */

static __always_inline struct cluster_slot *cluster_slot_of(__u32 cluster)
{
	return bpf_map_lookup_elem(&clusters, &cluster);
}

/* As it is in force now; NULL: there is no such cluster. */
static __always_inline const struct cluster_conf *cluster_conf_of(const struct cluster_slot *s)
{
	__u64 word = READ_ONCE(s->conf);
	__u32 number = (__u32)word - 1;

	return word ? bpf_map_lookup_elem(&cluster_confs, &number) : 0;
}

/* The conf of a face that the forwarding table led to, if it is (still) that one's. */
static __always_inline const struct cluster_conf *face_conf(const struct cluster_slot *s,
							    __u32 face, __u32 net, __u64 mac)
{
	const struct cluster_conf *conf = cluster_conf_of(s);

	return conf && conf->net == net && conf->faces[face & (CLUSTER_FACES - 1)] == mac ? conf
											  : 0;
}

static __always_inline int face_serves(const struct cluster_slot *s, __u32 face, __u64 now)
{
	return clock_before(now, READ_ONCE(s->faces[face & (CLUSTER_FACES - 1)].serve));
}

static __always_inline int face_speaks(const struct cluster_slot *s, __u32 face, __u64 now)
{
	return clock_before(now, READ_ONCE(s->faces[face & (CLUSTER_FACES - 1)].speak));
}

static __always_inline struct cluster_member_conf *cluster_member_of(__u32 cluster, __u32 id)
{
	void *inner = bpf_map_lookup_elem(&cluster_members, &cluster);

	return inner ? bpf_map_lookup_elem(inner, &id) : 0;
}

static __always_inline int has_member(const __u64 *bits, __u32 id)
{
	__u32 bit = id - 1;

	return bit < CLUSTER_IDS && READ_ONCE(bits[bit >> 6 & 15]) >> (bit & 63) & 1;
}

static __always_inline int cluster_knows(const struct cluster_slot *s, __u32 id)
{
	return has_member(s->known, id);
}

/* The member's id of a port's guest in that cluster; 0 = none. */
static __always_inline __u32 port_member_id(__u32 port, __u32 cluster)
{
	const struct port_clusters *list = bpf_map_lookup_elem(&port_clusters, &port);
	__u32 entry;

	if (!list)
		return 0;
	for (int i = 0; i < PORT_CLUSTERS_MAX; i++) {
		entry = READ_ONCE(list->of[i]);
		if (!entry)
			break;
		if (PORT_CLUSTER_SLOT(entry) == cluster)
			return PORT_CLUSTER_ID(entry);
	}
	return 0;
}

static __always_inline int cluster_has_ip(const struct cluster_conf *conf, struct cluster_ip ip)
{
	for (__u32 i = 0; i < CLUSTER_ADDRESSES; i++) {
		if (i >= conf->address_count)
			break;
		if (conf->addresses[i].word[0] == ip.word[0] &&
		    conf->addresses[i].word[1] == ip.word[1])
			return 1;
	}
	return 0;
}

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

/* The slot of the cluster that has the address in that net; -1 = none. */
static __always_inline int cluster_of_ip(__u32 net, struct cluster_ip ip)
{
	struct cluster_ip_key key = { .net = net, .ip = ip };
	const __u32 *slot = bpf_map_lookup_elem(&cluster_ips, &key);

	return slot ? (int)(READ_ONCE(*slot) & (CLUSTER_SLOTS - 1)) : -1;
}

/* Whole words, and not by their halves: a CPU waits for two stores before it loads both at once. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define IP4_MAPPED(ip)	 (0xffffULL << 32 | (ip))
#define IP4_OF(word)	 ((__u32)(word))
#define IP4_PREFIX(word) ((__u32)((word) >> 32))
#else
#define IP4_MAPPED(ip)	 ((__u64)(ip) << 32 | bpf_htonl(0xffff))
#define IP4_OF(word)	 ((__u32)((word) >> 32))
#define IP4_PREFIX(word) ((__u32)(word))
#endif

static __always_inline struct cluster_ip cluster_ip4(__be32 ip)
{
	struct cluster_ip m = { { 0, IP4_MAPPED(ip) } };

	return m;
}

static __always_inline int is_ip4(struct cluster_ip ip)
{
	return !ip.word[0] && IP4_PREFIX(ip.word[1]) == bpf_htonl(0xffff);
}

static __always_inline __u32 ip4_of(struct cluster_ip ip)
{
	return IP4_OF(ip.word[1]);
}

static __always_inline __u64 ip_fold(struct cluster_ip ip)
{
	return ip.word[0] * 0x9e3779b97f4a7c15ULL ^ ip.word[1];
}

/* --- SipHash-1-3 (Aumasson and Bernstein 2012) ------------------------------------------------
 *
 * One round a word and three at the end, as hash tables use it (Linux's hsiphash on 64 bits, Rust's
 * and Python's): no way is known to find collisions without the key, and it costs half of 2-4,
 * which is for messages that prove who sent them. */

struct sip {
	__u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotate(__u64 x, __u32 by)
{
	return x << by | x >> (64 - by);
}

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static __always_inline void sip_start(struct sip *s, __u64 key0, __u64 key1)
{
	s->v0 = key0 ^ 0x736f6d6570736575ULL;
	s->v1 = key1 ^ 0x646f72616e646f6dULL;
	s->v2 = key0 ^ 0x6c7967656e657261ULL;
	s->v3 = key1 ^ 0x7465646279746573ULL;
}

static __always_inline void sip_word(struct sip *s, __u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

/* `last`: what is left of the message, at most 7 octets, and its length in the highest octet. */
static __always_inline __u64 sip_end(struct sip *s, __u64 last)
{
	sip_word(s, last);
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* --- counters -------------------------------------------------------------------------------- */

/* `field` is one of struct cluster_counters. */
#define count_cluster(cluster, field, n)                                                           \
	do {                                                                                       \
		__u32 number_ = (cluster);                                                         \
		struct cluster_counters *c_ = bpf_map_lookup_elem(&cluster_counts, &number_);      \
                                                                                                   \
		if (c_)                                                                            \
			c_->field += (n);                                                          \
	} while (0)

/* The address of a member; 0 = there is none with that id. */
static __always_inline __u64 member_mac_of(__u32 cluster, __u32 id)
{
	const struct cluster_member_conf *m = cluster_member_of(cluster, id);

	return m ? READ_ONCE(m->mac) : 0;
}

__noinline __u64 member_mac(__u32 cluster, __u32 id)
{
	return member_mac_of(cluster, id);
}

/* What a member is handed. */
static __always_inline void count_member(__u32 cluster, __u32 id, struct weight w)
{
	void *inner = bpf_map_lookup_elem(&cluster_member_counts, &cluster);
	struct cluster_member_counters *c = inner ? bpf_map_lookup_elem(inner, &id) : 0;

	if (c) {
		c->frames += w.frames;
		c->octets += w.octets;
	}
}

#endif
