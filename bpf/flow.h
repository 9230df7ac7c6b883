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

/* In the line, so that the verifier sees it, too. */
static __always_inline __u64 *flow_entry(struct flow_line *line, __u32 way)
{
	asm volatile("" : "+r"(way));
	return &line->entry[way & (FLOW_WAYS - 1)];
}

/* What flow_find() found: all of the entry but its finger, in place of which is its way; 0 = no
 * entry, since one has a state. */
#define FLOW_FOUND(entry, way) (((entry) & ~FLOW_FINGER) | (__u64)(way) << 34)
#define FLOW_WAY(found)	       ((__u32)((found) >> 34) & (FLOW_WAYS - 1))

/* How a frame renews the entry that it finds: for so many ticks, and whether it is about the
 * flow's last.  No ticks: it leaves the entry as it is. */
#define FLOW_RENEW(ticks, ends) ((__u32)(ticks) | (__u32) !!(ends) << 16)
#define FLOW_RENEW_TICKS(renew) ((renew)&0xffff)
#define FLOW_RENEW_ENDS(renew)	((renew) >> 16)

static __always_inline __u64 flow_renewed(__u64 entry, __u32 renew, __u32 tick)
{
	if (FLOW_STATE(entry) == FLOW_CLOSING || FLOW_RENEW_ENDS(renew))
		return (entry & ~FLOW_CHANGING) |
		       FLOW_ENTRY(0, FLOW_CLOSING, tick + FLOW_CLOSING_TICKS, 0, 0);
	return (entry & ~FLOW_CHANGING) |
	       FLOW_ENTRY(0, FLOW_CONFIRMED, tick + FLOW_RENEW_TICKS(renew), 0, 0);
}

/* The flow's entry as it was before this frame, as FLOW_FOUND() has it; `renew`: FLOW_RENEW().  In
 * place where every frame of a cluster passes; else a function of its own, for the stack. */
static __always_inline __u64 flow_find_fast(__u64 hash, __u32 cluster, __u32 tick, __u32 renew)
{
	struct flow_line *line = flow_line_of(hash);
	__u64 entry, renewed;

	if (!line)
		return 0;
	for (__u32 i = 0; i < FLOW_WAYS; i++) {
		entry = READ_ONCE(line->entry[i]);
		if (!flow_is(entry, hash, cluster, tick))
			continue;
		renewed = FLOW_RENEW_TICKS(renew) ? flow_renewed(entry, renew, tick) : entry;
		if (renewed != entry)
			*(volatile __u64 *)&line->entry[i] = renewed;
		return FLOW_FOUND(entry, i);
	}
	return 0;
}

__noinline __u64 flow_find(__u64 hash, __u32 cluster, __u32 tick, __u32 renew)
{
	return flow_find_fast(hash, cluster, tick, renew);
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

/* The way whose place a new flow takes, or FLOW_WAYS: the line is full of confirmed ones.  It does
 * not store, because the verifier would follow each way by itself to there. */
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

/* In place of what was found, or in a new place where nothing was: 0 = there is none. */
static __always_inline int flow_store(__u64 found, __u64 hash, __u64 entry, __u32 tick)
{
	__u32 way = found ? FLOW_WAY(found) : flow_place(hash, tick);
	struct flow_line *line = flow_line_of(hash);

	if (!line || way >= FLOW_WAYS)
		return 0;
	*(volatile __u64 *)flow_entry(line, way) = entry;
	return 1;
}

#endif
