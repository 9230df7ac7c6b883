/* The shared tables, as the control plane writes them.
 *
 * Theory of operation
 *
 * The programs read while we write, on other CPUs, and must never see half of a change.  Arrays are
 * mapped into our memory (array.h), so that one aligned word is one atomic store:
 *
 * - index[ifindex]: whose link this is, and by which of its two rows it is guarded.
 * - rows[slot][2]: how a port is guarded; the row that the index does not name is written, then the
 *   index is switched to it.
 * - members[slot]: {ifindex, mtu, next}: how a slot is reached, and a list of the ports of a net
 *   that begins at heads[net]; insertion and removal are the classic RCU list operations.
 * - fdb: (net, address) → slot, a hash; the value repeats the address, so that a reader whose entry
 *   was given to another address under its eyes finds out.
 * - gates[slot]: what passes a port; one word, the only one that the programs change, too (gate.c).
 * - claims: in place of a slot the table may lead to one, whose holder the programs write.
 * - fdb_near: the same values once more, an array in front of it: written after the table, cleared
 *   before it.  A place that was never taken says that the table has no address of that place; one
 *   that was cleared says so no more (FDB_NEAR_ASK).
 *
 * What a reader may still hold (the row before, a list element that was taken out, an entry of a
 * slot that changes its net) is written again only after a grace period: tables_grace() returns
 * when every program that ran at its call has ended.  The kernel promises that for the update of a
 * map in a map, and there is no cheaper call that promises it on every configuration (membarrier(2)
 * is refused with nohz_full).  It takes some 10 ms and serves all slots at once, so setting a
 * thousand ports waits for a few at most.
 *
 * The tables are the only memory of what the kernel was told: a new process maps the same pages and
 * reads them.  A SIGKILL between any two stores leaves a state that plane_sweep() can tidy. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"
#include "plane/array.h"

struct tables {
	struct array index_near, members, heads, uplink_macs, fdb_near, rows, drops, claims, gates,
		tunnel, port_clusters;
	int index_far_fd, fdb_fd, counters_fd, grace_fd, grace_inner_fd;
	int cpus;
	void *counter_buffer; /* cpus × struct slot_counters */
	uint64_t epoch;	      /* grace periods so far */
	/* The epoch that must have come before a slot's free row, or its place in a list, is
	 * written. */
	uint64_t row_free[SLOT_COUNT], place_free[SLOT_COUNT];
	uint64_t peer_free[SLOT_PORTS + 1]; /* likewise, of a gate's free peer */
};

struct tables_fds {
	int index_near, index_far, rows, fdb, fdb_near, members, heads, uplink_macs, counters,
		drops, claims, gates, tunnel, port_clusters;
};

static inline uint64_t *tables_word(const struct array *a, size_t i)
{
	return array_at(a, i);
}

static inline struct port_row *tables_any_row(const struct tables *t, unsigned int slot,
					      unsigned int which)
{
	return array_at(&t->rows, ROW_OF(slot, which));
}

static inline struct claim *tables_claim(const struct tables *t, unsigned int number)
{
	return array_at(&t->claims, number);
}

static inline struct gate_slot *tables_gate(const struct tables *t, unsigned int slot)
{
	return array_at(&t->gates, slot);
}

static inline struct tunnel_conf *tables_tunnel(const struct tables *t)
{
	return array_at(&t->tunnel, 0);
}

static inline struct slot_drops *tables_drops(const struct tables *t, unsigned int slot)
{
	return array_at(&t->drops, slot);
}

/* -errno; nothing is left open or mapped on failure. */
int tables_open(struct tables *t, const struct tables_fds *fds);
void tables_close(struct tables *t);

/* Lets go of the memory that looking at everything took; no pointer into the tables is good any
 * more. */
void tables_release(struct tables *t);

/* Returns when no program that ran before still runs. */
int tables_grace(struct tables *t);

uint64_t tables_index(const struct tables *t, int ifindex);
int tables_index_set(struct tables *t, int ifindex, uint64_t entry); /* 0 clears */

/* The row by which a port slot is guarded now, or NULL when the index names none. */
struct port_row *tables_row(const struct tables *t, unsigned int slot);

/* Writes the slot's free row and switches to it; nothing when it would say the same.  A row of
 * another ifindex is switched off. */
int tables_row_set(struct tables *t, unsigned int slot, const struct port_row *row);

/* The slot has no link any more. */
int tables_row_clear(struct tables *t, unsigned int slot);

/* The address's slot in that net, or SLOT_NOBODY. */
unsigned int tables_fdb(const struct tables *t, unsigned int net, uint64_t mac);
int tables_fdb_set(struct tables *t, unsigned int net, uint64_t mac, unsigned int slot);
int tables_fdb_clear(struct tables *t, unsigned int net, uint64_t mac);

/* Changes how a slot is reached without moving it in its list.  `ifindex` may bear
 * MEMBER_FLAGS. */
void tables_member_set(struct tables *t, unsigned int slot, uint32_t ifindex, unsigned int mtu);

/* Whether the member and both rows of a slot say that its gate is open (a row that is not the
 * port's stays as it is), each in a store of its own. */
void tables_say_open(struct tables *t, unsigned int slot, bool open);

/* Whether the member and both rows of a slot say that its guest is a cluster's member: ROW_MEMBER,
 * and ROW_NAT perhaps, or 0. */
void tables_say_member(struct tables *t, unsigned int slot, uint32_t is_member);

/* What a net's head says of its clusters: HEAD_GROUP_FACE, HEAD_CARRY. */
void tables_head_mark(struct tables *t, unsigned int net, uint64_t marks);

/* Writes the free one of a gate's peers and returns which it is, or -errno. */
int tables_peer_set(struct tables *t, unsigned int slot, struct tunnel_ip peer);

unsigned int tables_list_count(const struct tables *t, unsigned int net);
bool tables_list_has(const struct tables *t, unsigned int net, unsigned int slot);
int tables_list_add(struct tables *t, unsigned int net, unsigned int slot);
void tables_list_remove(struct tables *t, unsigned int net, unsigned int slot);

/* Sums over the CPUs. */
int tables_counters(struct tables *t, unsigned int slot, struct slot_counters *ret);
int tables_counters_clear(struct tables *t, unsigned int slot);
