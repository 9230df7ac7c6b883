/* Which address next: a pool as a pure machine.
 *
 * Theory of operation
 *
 * The pool's ranges, laid end to end, are the indices [0, size).  A keyed permutation maps a sequence
 * number to an index and so to an address: sequence numbers are handed out by a cursor, addresses look
 * random.  One bit a sequence number says "not free": used, quarantined or excluded.  The bits live in a
 * 64-ary tree that only grows where bits are set, so a pool of 2^40 costs what is used of it, and the next
 * free number behind the cursor is found in a bounded number of steps however full the pool is.  Because
 * the cursor goes round, the address released longest ago comes last: a full cycle is a quarantine by
 * itself, and a timed one (FIFO, `until`) stands beside it.
 *
 * The machine never touches the registry.  Callers take an address, make it durable, and give it back
 * with pool_untake() when that failed.
 *
 * Bounds: size 1 … 2^44; memory: 24 octets a quarantined address, and at most 1 octet for each used one
 * of a cursor-filled pool. */
#pragma once

#include "base/error.h"
#include "base/heap.h"
#include "base/mem.h"
#include "model/model.h"
#include "pool/permute.h"

struct pool_node; /* of the tree of bits; private to pool/bits.c */

struct pool_bits {
	struct pool_node *root;
	uint64_t size;
	uint64_t set; /* bits that are set */
	unsigned int levels;
	const struct mem *mem;
};

struct pool_machine {
	struct pool cfg; /* cursor: as it stands now */
	uint64_t size;	 /* addresses in the ranges, excluded ones included */
	uint64_t excluded, used, quarantined;
	struct permutation perm;
	struct pool_bits bits;
	struct heap quarantine; /* at = until (ms), key = sequence number */
};

/* Checks a configuration by itself: ranges valid, disjoint, individual, local or universal but not
 * group, free of well-known ranges except where an exclude covers them (excludes for these are NOT
 * added silently: see pool_machine_init), excludes inside the ranges, limit and quarantine sane.
 * Errors: BAD_RANGE, GROUP_ADDRESS, RESERVED_ADDRESS (the range lies wholly inside a well-known one),
 * BAD_VALUE. */
int pool_config_check(const struct pool *cfg, struct error *ret_error);

/* Whether two configurations share an address (they may not, in one segment). */
bool pool_configs_overlap(const struct pool *a, const struct pool *b);

/* Starts a machine from a checked configuration.  Well-known ranges (mac/ classify) and cfg's excludes
 * count as excluded.  Copies cfg; allocates through mem, which must outlive the machine. 0 or -ENOMEM. */
int pool_machine_init(struct pool_machine *m, const struct pool *cfg, const struct mem *mem);
void pool_machine_done(struct pool_machine *m);

bool pool_machine_has(const struct pool_machine *m, vmac_mac_t address); /* in its ranges */

/* Marks an address that the registry already knows (start-up), as used or as quarantined until
 * `until`.  0; -EEXIST when marked already; -ERANGE when not in the ranges or excluded; -ENOMEM. */
int pool_machine_load(struct pool_machine *m, vmac_mac_t address, bool quarantined, wall_t until);

/* Takes the next free address at or behind the cursor and moves the cursor behind it.
 * Errors: POOL_EXHAUSTED (names the pool, its size and when the next address leaves quarantine, `now`
 * only for that text), LIMIT_REACHED, NO_MEMORY. */
int pool_machine_take(struct pool_machine *m, wall_t now, vmac_mac_t *ret, struct error *ret_error);

/* Takes an address that depends only on the key and the identity, unless it is taken: then the next free
 * sequence number.  The cursor stays.  identity: 1 … 255 octets.  Errors as above. */
int pool_machine_take_stable(struct pool_machine *m, const char *identity, wall_t now,
			     vmac_mac_t *ret, struct error *ret_error);

/* Takes exactly this one.  Errors: ADDRESS_IN_USE (used, or quarantined: says until when),
 * RESERVED_ADDRESS (excluded), BAD_ADDRESS (not in the ranges), LIMIT_REACHED, NO_MEMORY. */
int pool_machine_take_exact(struct pool_machine *m, vmac_mac_t address, wall_t now,
			    struct error *ret_error);

/* Undoes a take whose durability failed: free again at once.  `cursor`: as it was before (or the present
 * one).  The address must be used. */
void pool_machine_untake(struct pool_machine *m, vmac_mac_t address, uint64_t cursor);

/* A used address goes into quarantine until `until`, or becomes free when quarantine_ms is 0 (returns
 * false then).  -ENOMEM leaves it used. */
int pool_machine_release(struct pool_machine *m, vmac_mac_t address, wall_t until);

/* Undoes pool_machine_release(). */
void pool_machine_unrelease(struct pool_machine *m, vmac_mac_t address);

/* When the first address leaves quarantine; WALL_NEVER when none is in. */
wall_t pool_machine_next_expiry(const struct pool_machine *m);

/* If the first one is due, names it without changing anything: the caller makes it durable, then calls
 * pool_machine_free().  false when none is due. */
bool pool_machine_due(const struct pool_machine *m, wall_t now, vmac_mac_t *ret);

/* A quarantined (or used) address becomes free. */
void pool_machine_free(struct pool_machine *m, vmac_mac_t address);

/* Addresses that pool_machine_take() could hand out now. */
uint64_t pool_machine_available(const struct pool_machine *m);
