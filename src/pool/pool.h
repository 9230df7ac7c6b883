/* Which address next: a pool as a pure machine.
 *
 * Theory of operation
 *
 * The pool's ranges, minus what is excluded, laid end to end are the indices [0, usable size): see
 * space.h.  A keyed permutation maps a sequence number to an index and so to an address: sequence
 * numbers are handed out by a cursor, addresses look random.  An excluded address has no index and
 * so no sequence number: it cannot be handed out, and sizes are exact however much is excluded.
 *
 * One bit a sequence number says "not free": used or quarantined.  The bits live in a 64-ary tree
 * that only grows where bits are set, so a pool of 2^40 costs what is used of it, and the next free
 * number behind the cursor is found in a bounded number of steps however full the pool is.  Because
 * the cursor goes round, the address released longest ago comes last: a full cycle is a quarantine
 * by itself, and a timed one (by `until`, first in first out) stands beside it.
 *
 * The machine never touches the registry.  What makes an address less available (take, release) is
 * done here first, made durable, and undone here when that failed (untake, unrelease; newest
 * first): neither undo needs memory, so neither can fail.  What makes one free is best done here
 * last, when the registry has forgotten the address.  A caller that frees first undoes it with
 * pool_machine_load(), and that may want memory.
 *
 * An address in the ranges may be excluded and held all the same: it was adopted before the pool
 * was made, or a newer version knows a range as well known that an older one did not.  Such an
 * address is in no counter and needs no mark while it is used; released, it waits and falls due
 * like every other.  So every function here takes any address that pool_machine_has().
 *
 * Where hosts share a pool, this one takes only from blocks of sequence numbers that it was granted
 * (pool_machine_blocks()); everything else is as it is for a pool that is all ours: addresses of
 * other blocks can be loaded, released and freed, and count as used, for what moved here from
 * another host stays its number.
 *
 * Bounds: size 1 … 2^44; memory: 80 octets at most a quarantined address; for each used one an
 * eighth of an octet where the cursor chose it, about 100 where stable mode or a user put it far
 * from all others. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "model/model.h"
#include "pool/bits.h"
#include "pool/blocks.h"
#include "pool/permute.h"
#include "pool/quarantine.h"
#include "pool/space.h"

#define POOL_IDENTITY_MAX 255 /* octets */

struct pool_machine {
	/* cursor: as it stands now, a sequence number in [0, usable.size).  limit and quarantine_ms
	 * may be changed in place.  The rest stays as it is. */
	struct pool cfg;
	uint64_t size;		    /* addresses in the ranges, excluded ones included */
	uint64_t excluded;	    /* size - usable.size */
	uint64_t used, quarantined; /* used + quarantined + free = usable.size */
	struct pool_space whole;    /* the ranges */
	struct pool_space usable;   /* … without what is excluded */
	struct permutation perm;    /* sequence number -> index in usable */
	struct pool_bits taken;	    /* by sequence number: used or quarantined */
	struct quarantine waiting;  /* by sequence number; `quarantined` of them */
	struct quarantine outside;  /* excluded addresses that wait, by index in whole */
	uint32_t block_size;	    /* 0 = the pool is all ours */
	struct pool_blocks blocks;  /* else those that are */
	const struct mem *mem;
};

/* Checks a configuration by itself: ranges valid, disjoint and individual (local or universal);
 * excludes valid and each inside one range; limit and quarantine sane.  A range may contain
 * well-known ranges (the machine leaves these out by itself, with no exclude for them) but not lie
 * in them.
 * Errors: BAD_RANGE (also: nothing is left), GROUP_ADDRESS, RESERVED_ADDRESS (a range lies wholly
 * inside well-known ones), BAD_VALUE. */
int pool_config_check(const struct pool *cfg, struct error *ret_error);

/* Whether an address is in the ranges of both, excluded or not (in one segment none may be). */
bool pool_configs_overlap(const struct pool *a, const struct pool *b);

/* Starts a machine from a configuration that pool_config_check() passed, perhaps of an older
 * version with a shorter table of well-known ranges: should nothing be left, every take fails.  A
 * cursor at or behind usable.size starts anew.  Copies cfg; allocates through mem, which must
 * outlive the machine. 0 or -ENOMEM. */
int pool_machine_init(struct pool_machine *m, const struct pool *cfg, const struct mem *mem);
void pool_machine_done(struct pool_machine *m);

bool pool_machine_has(const struct pool_machine *m, vmac_mac_t address); /* in its ranges */

/* Marks an address that the registry already knows (start-up), as used or as quarantined until
 * `until`.  0; -EEXIST when marked already; -ERANGE when not in the ranges; -ENOMEM. */
int pool_machine_load(struct pool_machine *m, vmac_mac_t address, bool quarantined, wall_t until);

/* Takes the next free address at or behind the cursor and moves the cursor behind it.
 * Errors: POOL_EXHAUSTED (names the pool, its size and when the next address leaves quarantine,
 * `now` only for that text), LIMIT_REACHED, NO_MEMORY. */
int pool_machine_take(struct pool_machine *m, wall_t now, vmac_mac_t *ret, struct error *ret_error);

/* Takes an address that depends only on the key, the ranges and the identity, unless it is taken:
 * then the next free sequence number.  The cursor stays.  An exclude moves only those identities
 * whose address it covers, unless it leaves so little of the ranges that 64 draws miss it. Errors
 * as above, and BAD_VALUE for an identity that has not 1 … POOL_IDENTITY_MAX octets. */
int pool_machine_take_stable(struct pool_machine *m, const char *identity, wall_t now,
			     vmac_mac_t *ret, struct error *ret_error);

/* Takes exactly this one; the cursor stays.  Errors: BAD_ADDRESS (not in the ranges),
 * RESERVED_ADDRESS (excluded: says by what), ADDRESS_IN_USE (used, or quarantined: says until
 * when), LIMIT_REACHED, NO_MEMORY. */
int pool_machine_take_exact(struct pool_machine *m, vmac_mac_t address, wall_t now,
			    struct error *ret_error);

/* Undoes a take whose durability failed: free again at once.  `cursor`: as it was before (or the
 * present one).  The address must be used; an excluded one that is held has nothing to undo. */
void pool_machine_untake(struct pool_machine *m, vmac_mac_t address, uint64_t cursor);

/* A used address goes into quarantine until `until` (now + cfg.quarantine_ms, as the caller
 * reckons; one that wants none calls pool_machine_free() instead).  0; -ENOMEM leaves it used. */
int pool_machine_release(struct pool_machine *m, vmac_mac_t address, wall_t until);

/* A quarantined address is used again: the release failed, or its last owner wants it back. */
void pool_machine_unrelease(struct pool_machine *m, vmac_mac_t address);

/* When the first address leaves quarantine; WALL_NEVER when none is in. */
wall_t pool_machine_next_expiry(const struct pool_machine *m);

/* If the first one is due, names it without changing anything: the caller makes it durable, then
 * calls pool_machine_free().  false when none is due.  To have several under way at once, free each
 * as it is named, or call pool_machine_unrelease() on it: it stays taken but waits no longer. */
bool pool_machine_due(const struct pool_machine *m, wall_t now, vmac_mac_t *ret);

/* A quarantined or used address becomes free. */
void pool_machine_free(struct pool_machine *m, vmac_mac_t address);

/* Addresses that pool_machine_take() could hand out now, one after the other. */
uint64_t pool_machine_available(const struct pool_machine *m);

/* --- blocks ---------------------------------------------------------------------------------- */

#define POOL_NO_NUMBER UINT64_MAX

/* How many numbers a block of a pool of so many should have: 256, or for a small pool the largest
 * power of two <= size / 64, at least 1. */
uint32_t pool_numbers_a_block(uint64_t size);

/* From now on only granted blocks are taken from; none is granted yet.  Called again with the same
 * size it changes nothing; with another, all grants end.  take and take_stable then say
 * POOL_EXHAUSTED when no granted number is free (take_stable stays near the identity's number where
 * that is granted), take_exact ADDRESS_IN_USE for a number of another's block. */
void pool_machine_blocks(struct pool_machine *m, uint32_t block_size);

/* 0; -EEXIST (it is granted already); -ERANGE (the pool has no such block, or none at all);
 * -ENOMEM. */
int pool_machine_grant(struct pool_machine *m, uint64_t number);
/* What is taken of it stays taken. */
void pool_machine_revoke(struct pool_machine *m, uint64_t number);

/* The sequence number of an address, or POOL_NO_NUMBER: not in the ranges, or excluded. */
uint64_t pool_machine_number(const struct pool_machine *m, vmac_mac_t address);
vmac_mac_t pool_machine_address(const struct pool_machine *m, uint64_t number); /* of a block's */
bool pool_machine_granted(const struct pool_machine *m, uint64_t number);	/* or all ours */

/* Where pool_machine_take_stable() would look first, on any host: the nth (0 …) choice for an
 * identity, whether it is taken or not. */
vmac_mac_t pool_machine_stable(const struct pool_machine *m, const char *identity,
			       unsigned int nth);

/* Takes exactly this one although its block is not ours: the hosts have agreed that it is this
 * host's. */
int pool_machine_take_agreed(struct pool_machine *m, vmac_mac_t address, wall_t now,
			     struct error *ret_error);
