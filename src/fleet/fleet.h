/* This host among others: everything that hosts agree upon, as one machine with no I/O, no clock
 * and no thread; what it wants done it says through `ops`.
 *
 * Theory of operation
 *
 * It hears every record of the shared registry (fleet_told), every change of this host's own
 * registry that others have to know of (fleet_vmac), what ports and the wire do, hints, and time.
 * It runs a migrate machine (migrate/migrate.h) for each vMAC that two hosts have to do with,
 * claims blocks so that one is always in reserve, writes the images of this host's blocks behind
 * its journal, and keeps the host's own record alive.
 *
 * Two rules make it safe to be cut off at any moment.  What this host may do without asking stands
 * in its own journal (`keep`): its blocks, and the records of what it holds or has handed on.  And
 * whatever it tells the registry is a compare-and-swap that may be told again: an answer that never
 * came is no harm, because the record is looked at, and not the answer.
 *
 * The simulation (tests/sim) runs this very code with other ops. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "migrate/migrate.h"
#include "model/shared.h"

struct fleet;

/* --- how orders are carried out -------------------------------------------------------------- */

/* One vMAC on this host, as both sides name it. */
struct fleet_name {
	const char *segment;
	vmac_mac_t address;
};

enum fleet_note_kind {
	FLEET_MOVE,	/* from, to, reason of a migrate machine */
	FLEET_ALARM,	/* reason; an operator should look */
	FLEET_BLOCK,	/* a block was claimed, given back or lost; text */
	FLEET_HOST,	/* a host joined, died, drains, came back; text */
	FLEET_REGISTRY, /* contradictions of the registry; text says what and what was done */
	FLEET_NOTE_COUNT
};
struct fleet_note {
	enum fleet_note_kind kind;
	struct fleet_name name; /* segment "" = about none */
	uint8_t from, to, reason;
	const char *peer; /* a host's name, "" = none */
	const char *text;
};

/* Called from inside; they never call back (nor do the functions given to fleet_claim(),
 * fleet_agree() and fleet_retire(), nor those that look).  Everything that needs an answer has a
 * token (never 0), given back through the function named. */
struct fleet_ops {
	/* shared_submit(); fleet_outcome() */
	void (*submit)(void *ctx, const struct shared_put *puts, unsigned int count,
		       uint64_t token);
	/* shared_read() of an image; fleet_image() */
	void (*read)(void *ctx, const struct shared_record *key, uint64_t token);
	/* Memory was short, so something may be missing here: shared_reconcile(), and ports are
	 * told again. */
	void (*reconcile)(void *ctx);
	/* The gate of the port of this vMAC is to be so, at once; peer: whereto (REDIRECT), NULL =
	 * nowhere.  Where an operator closed the port it stays closed; where there is no port it is
	 * no harm. */
	void (*gate)(void *ctx, const struct fleet_name *n, enum migrate_gate gate,
		     const struct shared_host *peer);
	/* The n-th announcement of a vMAC that moved here (0 …): RARP with our tag, then GARP and
	 * NA of its addresses. */
	void (*announce)(void *ctx, const struct fleet_name *n, uint64_t epoch, unsigned int nth);
	/* IGMP and MLD queries into the port. */
	void (*query)(void *ctx, const struct fleet_name *n);
	/* Journal: this host holds it from now on, at this epoch, with what the record says of it.
	 */
	void (*hold)(void *ctx, const struct shared_vmac *record, uint64_t epoch);
	/* Journal: `peer` does. */
	void (*yield)(void *ctx, const struct fleet_name *n, const struct shared_host *peer,
		      uint64_t epoch);
	/* Journal: nobody does any more: forget it, free its number where it is of our block. */
	void (*forget)(void *ctx, const struct fleet_name *n);
	/* Journal: a record that this host must know after a restart with no registry in reach;
	 * NULL after: no more.  token: 0, or to be given back through fleet_kept() once it is
	 * durable, because the registry may be told only then. */
	void (*keep)(void *ctx, const struct shared_record *before,
		     const struct shared_record *after, uint64_t token);
	/* A block of a pool is ours to allocate from, or no more.  `ours` is called after keep.
	 * Inside of it an address that has a record of its own, fleet_vmac_record(), is not free:
	 * another host may hold it. */
	void (*block)(void *ctx, const char *pool, uint64_t number, uint32_t block_size, bool ours);
	/* A pool that is everybody's was made, changed, or is gone. */
	void (*pool)(void *ctx, const struct shared_pool *p, bool gone);
	/* A cluster that is everybody's was made, changed, or is gone: at start what the journal
	 * knew (keep has it, so what was deleted while this host was away is told as gone), then
	 * what the registry says, once all of it was read.  After keep, or, where it is gone,
	 * before it.  Gone is believed a second later: a registry may be an old backup, and then
	 * what this host knew is written again.  One that was deleted and made anew is told as gone
	 * first. */
	void (*cluster)(void *ctx, const struct shared_cluster *c, bool gone);
	/* Looks at the journal: this host's record of a vMAC, NULL: none.  Borrowed until the next
	 * event.  ret_pool: its pool's name, "" = of none. */
	const struct vmac *(*journal)(void *ctx, const struct fleet_name *n, const char **ret_pool);
	/* Of which pool, and there of which sequence number, an address is; false: of none. */
	bool (*locate)(void *ctx, const struct fleet_name *n, const char **ret_pool,
		       uint64_t *ret_number);
	/* For images: walks the vMACs of a block that stand in the journal.  (What is of no pool
	 * has a record of its own and needs no image.) */
	void (*each)(void *ctx, const char *pool, uint64_t number,
		     void (*fn)(void *fn_ctx, const struct vmac *v), void *fn_ctx);
	void (*note)(void *ctx, const struct fleet_note *note);
};

struct fleet_config {
	const struct mem *mem;
	const struct fleet_ops *ops;
	void *ctx;
	struct uuid self;
	const char *name, *version;
	struct ip address; /* of the tunnel; family 0 = no tunnel: stragglers are dropped */
	uint16_t tunnel_port;
	const char *key_check; /* of our cluster key: claim_key_check(); NULL = we have none */
	uint64_t seed;		   /* for requests, moves and where to look for free blocks */
	unsigned int spare_blocks; /* in reserve ahead; 0 = 1 */
};

int fleet_new(const struct fleet_config *config, struct fleet **ret, struct error *ret_error);
void fleet_free(struct fleet *f); /* NULL is fine */

/* At start, before anything else: what `keep` kept.  -ENOMEM. */
int fleet_load(struct fleet *f, const struct shared_record *kept, mono_t now);
/* Begins: joins as soon as the registry is in reach. */
void fleet_start(struct fleet *f, mono_t now);

/* --- what happens ---------------------------------------------------------------------------- */

void fleet_told(struct fleet *f, const struct shared_record *r, mono_t now);
void fleet_complete(struct fleet *f, uint64_t revision, mono_t now);
void fleet_reach(struct fleet *f, const struct error *error, mono_t now); /* NULL = it is */
void fleet_outcome(struct fleet *f, uint64_t token, enum shared_outcome outcome, uint64_t revision,
		   const struct error *error, mono_t now);
void fleet_image(struct fleet *f, uint64_t token, const struct shared_record *image,
		 const struct error *error, mono_t now);
/* What keep() gave a token for is durable. */
void fleet_kept(struct fleet *f, uint64_t token, mono_t now);

/* A vMAC of this host's journal was made, changed (both) or ended (after NULL), durably.  `pool` is
 * its pool's name, `number` its sequence number there.  Those of loaded records are told before
 * fleet_start() with before NULL. */
void fleet_vmac(struct fleet *f, const char *segment, const char *pool, uint64_t number,
		const struct vmac *before, const struct vmac *after, mono_t now);

/* The port that carries a vMAC: up or down (no link, no carrier, closed by an operator, deleted).
 * `address` needs no record of this host: a guest that comes from elsewhere.  Told again as it was,
 * nothing happens. */
void fleet_port(struct fleet *f, const struct fleet_name *n, bool up, mono_t now);
void fleet_flipped(struct fleet *f, const struct fleet_name *n, mono_t now);
void fleet_spoke(struct fleet *f, const struct fleet_name *n, mono_t now);
/* A frame with the vMAC as its source came in by the uplink. */
struct fleet_claim {
	uint16_t host;
	uint64_t epoch;
};
struct fleet_sight {
	const struct fleet_claim *tag; /* of a valid claim, else NULL */
	bool forged;		       /* it bears a tag that is not valid */
	bool echo;	  /* octet for octet what this host itself announced a moment before */
	bool unbound;	  /* `sender` is none that the port here may use, so none let it out */
	struct ip sender; /* as ARP or IP has it; family 0: it names none */
	const char *what; /* "ARP", …; NULL: not known */
	span_t silent;	  /* so long nothing with the vMAC had left here; 0: or nobody knows */
	uint64_t unseen;  /* so many came before it, since the last that was told of, and were not
			   * looked at */
};
void fleet_wire(struct fleet *f, const struct fleet_name *n, const struct fleet_sight *sight,
		mono_t now);

/* How many sequence numbers a pool has, and how many of those in our blocks are free: more blocks
 * are claimed when that is short.  Told after ops->pool(), and whenever it changes; nothing is
 * claimed of a pool of which it was never told.  size 0: this host has no such pool. */
void fleet_pool_room(struct fleet *f, const char *pool, uint64_t size, uint64_t available,
		     mono_t now);

void fleet_time(struct fleet *f, mono_t now);
mono_t fleet_next_expiry(const struct fleet *f);

/* --- commands: refused at once with an error, or under way -------------------------------------
 */

/* Hints and orders: MIGRATE_PREPARE, _ABORT, _ACTIVATE, _STOP, _RESUME, _THAW_NOW, _FORCE.
 * lifetime_ms: PREPARE, 0 = MOVE_LIFETIME_MS.  Errors: NOT_FOUND (nobody has such a vMAC; no port
 * here, where one is needed), WRONG_STATE (says what it is), REGISTRY_UNREACHABLE, FORBIDDEN (force
 * while its holder lives), CONFLICT. */
int fleet_hint(struct fleet *f, enum migrate_event_kind hint, const struct fleet_name *n,
	       int64_t lifetime_ms, mono_t now, struct error *ret_error);

/* Claims an address (pinned, adopted: template says which) or an identity for this host, before its
 * journal has it: done is called once, from here or from one of the functions above.  Whoever
 * cannot write it into the journal then says so by fleet_vmac(), before as it was to be and after
 * NULL.  Errors to done: ADDRESS_IN_USE (names the host; also for what another host's block may
 * give to anybody), REGISTRY_UNREACHABLE. */
typedef void (*fleet_claimed_fn)(void *ctx, const struct shared_vmac *record,
				 const struct error *error);
void fleet_claim(struct fleet *f, const struct shared_vmac *wanted, const char *identity,
		 fleet_claimed_fn done, void *ctx, mono_t now);

/* A segment or pool of this host's is to be everybody's: claimed (or found equal) before the
 * journal has it.  A segment's number may be 0: then one is chosen.  A pool's block_size may be 0
 * (of `size`, see fleet_block_size()) and its key all zero: then, where others have the pool,
 * theirs counts.  CONFLICT where others have it otherwise: says how.  The vMACs of a pool that
 * was this host's alone are told anew, by fleet_vmac() with before NULL, once it is agreed upon. */
typedef void (*fleet_agreed_fn)(void *ctx, const struct shared_record *agreed,
				const struct error *error);
void fleet_agree(struct fleet *f, const struct shared_record *wanted, fleet_agreed_fn done,
		 void *ctx, mono_t now);
/* A cluster (SHARED_CLUSTER) is agreed upon in the same way: made where its generation is 1 and
 * nobody has the name; changed where the registry's has the generation before, the same key and
 * segment, else CONFLICT.  ADDRESS_IN_USE: another cluster of the segment has one of its faces or
 * addresses. */

/* A segment, pool or cluster is to be nobody's.  WRONG_STATE: a host has a block of it that is in
 * use, or a pool is in the segment. */
void fleet_retire(struct fleet *f, const struct shared_record *key, fleet_agreed_fn done, void *ctx,
		  mono_t now);
/* This host is the anchor of a cluster's face, at this epoch: the vMAC's record (kind cluster) is
 * to say so as soon as may be, unless it says a higher epoch, or the same of a host with a lower
 * number.  The journal follows the record of a face whoever wrote it, by hold and yield, with no
 * machine, gate or announcement; hosts that have nothing of it look: fleet_vmac_record().  A host
 * that is forgotten leaves its faces to their cluster, and who releases a face is its anchor. */
void fleet_anchor(struct fleet *f, const struct fleet_name *n, uint64_t epoch, mono_t now);
/* 256, or of a small pool the largest power of two that cuts it into 64 blocks at least. */
uint32_t fleet_block_size(uint64_t pool_size);

/* Declares a host's state; DEAD wants fenced_by: who vouches, and how.  FORGET (gone): of a host
 * that has no block, no vMAC left, or is DEAD: then these go into quarantine, which whoever of the
 * others is there counts (HOST_FORGOTTEN).  Errors: NOT_FOUND,
 * WRONG_STATE (it lives; it holds something), MISSING_FIELD, REGISTRY_UNREACHABLE. */
int fleet_host_state(struct fleet *f, const char *host, enum host_state state,
		     const char *fenced_by, mono_t now, struct error *ret_error);
int fleet_host_forget(struct fleet *f, const char *host, mono_t now, struct error *ret_error);

/* Stops gracefully: the host is still a member, its vMACs stay; only its heartbeat ends. */
void fleet_stop(struct fleet *f, mono_t now);

/* --- look ------------------------------------------------------------------------------------ */

struct fleet_host_view {
	const struct shared_host *host;
	bool self, alive;
	uint64_t blocks, vmacs; /* vmacs: with records of their own */
};
void fleet_hosts(const struct fleet *f, void (*fn)(void *ctx, const struct fleet_host_view *v),
		 void *ctx);

/* What uses a vMAC on the wire beside the port here.  A frame that may be two of these is UNKNOWN.
 */
enum fleet_use {
	FLEET_USE_UNKNOWN,
	FLEET_USE_MOVE,	 /* the host that holds it, or says so with a tag */
	FLEET_USE_LOOP,	 /* this host's own frame came back */
	FLEET_USE_CLONE, /* a station that is none of ours */
	FLEET_USE_COUNT
};
const char *fleet_use_name(enum fleet_use u); /* "unknown", "move", "loop", "clone" */

/* Frames with a vMAC as their source on the uplink, since this host's start. */
struct fleet_use_view {
	uint64_t frames;		  /* 0 = none, and nothing else counts */
	uint64_t looked[FLEET_USE_COUNT]; /* … of which were looked at, and were this */
	mono_t first, last;
	/* The last one whose use is certain, while there was one in the last minute; else the last
	 * one, UNKNOWN.  because: for people; lent until the next event. */
	enum fleet_use use;
	const char *because;
};

struct fleet_move_view {
	struct fleet_name name;
	enum migrate_state state;
	enum migrate_gate gate;
	enum migrate_reason reason; /* of the last transition */
	mono_t since;
	const char *holder, *to, *asks; /* hosts' names, "" = none */
	uint64_t epoch;
	mono_t expires;	    /* of a reservation; MONO_NEVER = none */
	uint64_t strangers; /* unauthenticated frames on the wire, from fleet_wire() */
	mono_t stranger_last;
	struct fleet_use_view wire;
};
/* Those with a machine that is not idle, or ever was in this run. */
void fleet_moves(const struct fleet *f, void (*fn)(void *ctx, const struct fleet_move_view *v),
		 void *ctx);
bool fleet_move(const struct fleet *f, const struct fleet_name *n, struct fleet_move_view *ret);

/* The record of a vMAC that has one; NULL: it has none. */
const struct shared_vmac *fleet_vmac_record(const struct fleet *f, const struct fleet_name *n);

struct fleet_facts {
	bool reachable, complete, joined;
	mono_t since;	    /* of reachable */
	struct error error; /* why it is not reachable, or why this host does not take part */
	uint16_t number;
	enum host_state state;
	uint64_t hosts, alive, blocks, blocks_ours, records, moves, alarms;
	uint64_t images_behind; /* that are yet to be written */
	uint64_t claims_lost;	/* compare-and-swaps that others won */
	bool has_cluster;
	struct uuid cluster;
};
void fleet_facts(const struct fleet *f, struct fleet_facts *ret);
