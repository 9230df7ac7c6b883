/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which member a flow has: eight entries a line, so that a look-up is one line of cache.
 *
 * Theory of operation
 *
 * A flow's first frame makes an entry that is *new*, its second *confirms* it, a FIN or RST makes
 * it *closing*.  An entry bears when it expires, and is renewed once a tick at most, so a busy flow
 * only reads.  A new flow takes the place of what expired, else of the new entry that expires
 * first, else of a closing one; where a line is full of confirmed ones it goes without.  So what is
 * only ever new (a flood of SYNs, a flow a packet) never pushes out what is confirmed.
 *
 * An entry is *guessed* where the flow's beginning was not seen: then its member was chosen by the
 * row alone, and perhaps the flow is really another's.
 *
 * Entries are words, read and stored whole and without a lock.  Of two CPUs that write one at once,
 * one is lost, and made again by the flow's next frame; of two that make the same, the later one is
 * found later.  No frame goes wrong by that which would not without the table. */
#ifndef VMAC_BPF_FLOW_H
#define VMAC_BPF_FLOW_H

#include "packet.h"

/* Ticks from now, signed, within half of the circle. */
static __always_inline __s32 flow_left(__u64 entry, __u32 tick)
{
	return (__s32)(FLOW_UNTIL(entry) - tick) << (32 - FLOW_UNTIL_BITS) >>
	       (32 - FLOW_UNTIL_BITS);
}

static __always_inline struct flow_line *flow_line_of(__u64 hash)
{
	__u32 zero = 0, number = FLOW_LINE(hash);
	void *inner = bpf_map_lookup_elem(&flows, &zero);

	return inner ? bpf_map_lookup_elem(inner, &number) : 0;
}

static __always_inline int flow_is(__u64 entry, __u64 hash, __u32 cluster, __u32 tick)
{
	return (entry & (FLOW_FINGER | FLOW_CLUSTER_BITS)) == FLOW_ENTRY(hash, 0, 0, cluster, 0) &&
	       FLOW_STATE(entry) && flow_left(entry, tick) >= 0;
}

/* The way of the flow's entry, or FLOW_WAYS. */
__noinline __u32 flow_way(__u64 hash, __u32 cluster, __u32 tick)
{
	const struct flow_line *line = flow_line_of(hash);

	if (!line)
		return FLOW_WAYS;
	for (__u32 i = 0; i < FLOW_WAYS; i++)
		if (flow_is(READ_ONCE(line->entry[i]), hash, cluster, tick))
			return i;
	return FLOW_WAYS;
}

/* In the line, so that the verifier sees it, too. */
static __always_inline __u64 *flow_entry(struct flow_line *line, __u32 way)
{
	asm volatile("" : "+r"(way));
	return &line->entry[way & (FLOW_WAYS - 1)];
}

/* The entry there if it is still the flow's; else 0. */
static __always_inline __u64 flow_at(__u32 way, __u64 hash, __u32 cluster, __u32 tick)
{
	struct flow_line *line = flow_line_of(hash);
	__u64 entry;

	if (!line || way >= FLOW_WAYS)
		return 0;
	entry = READ_ONCE(*flow_entry(line, way));
	return flow_is(entry, hash, cluster, tick) ? entry : 0;
}

static __always_inline void flow_store(__u32 way, __u64 hash, __u64 entry)
{
	struct flow_line *line = flow_line_of(hash);

	if (line && way < FLOW_WAYS)
		*(volatile __u64 *)flow_entry(line, way) = entry;
}

/* How readily an entry's place is given away; 0 = never. */
static __always_inline __u32 flow_worth(__u64 entry, __u32 tick)
{
	__s32 left = flow_left(entry, tick);
	__u32 state = FLOW_STATE(entry);

	if (!state || left < 0)
		return ~0u;
	if (state == FLOW_CONFIRMED)
		return 0;
	return (state == FLOW_NEW ? 2 * FLOW_UNTILS : FLOW_UNTILS) - (__u32)left;
}

/* The way whose place a new flow takes, or FLOW_WAYS: the line is full of confirmed ones. */
__noinline __u32 flow_place(__u64 hash, __u32 tick)
{
	const struct flow_line *line = flow_line_of(hash);
	__u32 best = 0, place = FLOW_WAYS, worth;

	if (!line)
		return FLOW_WAYS;
	for (__u32 i = 0; i < FLOW_WAYS; i++) {
		worth = flow_worth(READ_ONCE(line->entry[i]), tick);
		if (worth > best) {
			best = worth;
			place = i;
		}
	}
	return place;
}

/* Another frame of it. */
static __always_inline void flow_renew(__u32 way, __u64 hash, __u64 entry, __u32 flags, __u32 idle,
				       __u32 tick)
{
	__u32 state = FLOW_CONFIRMED;
	__u64 renewed;

	if (FLOW_STATE(entry) == FLOW_CLOSING || flags & PACKET_END) {
		state = FLOW_CLOSING;
		idle = FLOW_CLOSING_TICKS;
	}
	renewed = (entry & ~FLOW_CHANGING) | FLOW_ENTRY(0, state, tick + idle, 0, 0);
	if (renewed != entry)
		flow_store(way, hash, renewed);
}

#endif
