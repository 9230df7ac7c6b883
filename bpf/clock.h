/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Deadlines, mostly without reading the clock.
 *
 * Theory of operation
 *
 * To read the clock costs a frame a third of what forwarding it does: the instruction waits for all
 * that came before.  So it is read once a tick of the kernel, for all CPUs, and kept in one word
 * with the tick.  A deadline that is farther away than that word can be late is judged by the word;
 * one that is near, by the clock: a lease ends when it ends.
 *
 * How late: a tick, and what the tick itself was late.  It stands still while the CPU that counts
 * it is kept from running, until another one notices, after five (kernel/time/tick-sched.c,
 * MAX_STALLED_JIFFIES, since Linux 5.18): 60 ms at 100 Hz.  docs/dataplane.md has the rest. */
#ifndef VMAC_BPF_CLOCK_H
#define VMAC_BPF_CLOCK_H

#include "maps.h"

#define CLOCK_LATE_NS 100000000ULL

#define CLOCK_TICK	     0xffffffULL
#define CLOCK_WORD(ns, tick) ((__u64)(ns) >> 20 << 24 | ((tick)&CLOCK_TICK))
#define CLOCK_NS(word)	     ((__u64)(word) >> 24 << 20)

/* CLOCK_BOOTTIME in nanoseconds, not later than it is and by less than CLOCK_LATE_NS earlier. */
static __always_inline __u64 clock_coarse(void)
{
	__u64 tick = bpf_jiffies64(), now, *word;
	__u32 zero = 0;

	word = bpf_map_lookup_elem(&clock_word, &zero);
	if (!word)
		return bpf_ktime_get_boot_ns();
	now = READ_ONCE(*word);
	if (((now ^ tick) & CLOCK_TICK) == 0)
		return CLOCK_NS(now);
	now = bpf_ktime_get_boot_ns();
	*(volatile __u64 *)word = CLOCK_WORD(now, tick);
	return now;
}

/* Whether what lasts until then still does; CLOCK_BOOTTIME, and `coarse`: clock_coarse(). */
static __always_inline int clock_before(__u64 coarse, __u64 until)
{
	if (until <= coarse)
		return 0;
	return until - coarse > CLOCK_LATE_NS || until > bpf_ktime_get_boot_ns();
}

#endif
