/* What the files of the fleet share; nobody else includes it.
 *
 * fleet.c   entry points: what is told goes to whom it concerns; time
 * writes.c  compare-and-swaps under way, and the answers that the journal owes
 * records.c the mirror of the registry
 * hosts.c   who is there: hosts, their numbers and states; a host that is forgotten
 * join.c    this host's own record: joins, comes back, is a clone, meets a wrong registry
 * pools.c   pools, and the blocks that are known of each
 * blocks.c  which blocks this host claims, gives back, loses
 * images.c  what is in use in our blocks, written behind the journal
 * places.c  a place: one vMAC on this host, and what record counts for it
 * moves.c   the machine of a place: events in, effects out
 * vmacs.c   what this host owes the registry of a vMAC: made, changed, released
 * hints.c   commands that concern one vMAC
 * claims.c  what is claimed before the journal has it: addresses, identities, segments, pools
 * clusters.c clusters that are everybody's, and who the anchor of their faces is
 * view.c    what may be looked at, and what is noted */
#pragma once

#include <stddef.h>

#include "base/table.h"
#include "fleet/fleet.h"
#include "model/cluster.h"

/* --- limits ---------------------------------------------------------------------------------- */

/* Of what could not be told, or for which there was no memory. */
#define FLEET_RETRY	     SPAN_S(1)
#define FLEET_REFUSED_RETRY  SPAN_S(30) /* of what the registry refused: full, or denied */
#define FLEET_IMAGE_INTERVAL SPAN_S(1)	/* of one block's image, at most so often */
#define FLEET_IMAGES_MAX     16		/* on their way at once */
#define FLEET_CLAIMS_MAX     4		/* blocks of one pool claimed at once */
#define FLEET_SPARE_MAX	     64
#define FLEET_LOST_WAIT	     SPAN_S(1) /* before a block that names another host is believed lost */
#define FLEET_JOIN_WAIT_MS   2000      /* at most, when others join at the same time */
#define FLEET_ASK_UNANSWERED SPAN_S(10)	 /* then it is noted that nobody answers */
#define FLEET_ALARM_INTERVAL SPAN_S(60)	 /* of one subject */
#define FLEET_ALARMS_MAX     10		 /* … and of all subjects together in that time */
#define FLEET_FORGET_LOOK    SPAN_S(30)	 /* whether it is ours to forget a host meanwhile */
#define FLEET_FORGET_WRITES  16		 /* on their way at once while a host is forgotten */
#define FLEET_CLAIM_ROUNDS   8		 /* of one claim that others overtake */
#define FLEET_STEPS_MAX	     16		 /* of one machine at one instant */
#define FLEET_SURPLUS	     SPAN_S(600) /* then blocks that nobody uses are given back */

/* --- lists ----------------------------------------------------------------------------------- */

struct link {
	struct link *prev, *next; /* NULL: in no list */
};

static inline void list_init(struct link *head)
{
	head->prev = head->next = head;
}

static inline bool list_in(const struct link *l)
{
	return l->next != NULL;
}

static inline void list_add(struct link *head, struct link *l)
{
	if (list_in(l))
		return;
	*l = (struct link){ head->prev, head };
	head->prev->next = l;
	head->prev = l;
}

static inline void list_remove(struct link *l)
{
	if (!list_in(l))
		return;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	*l = (struct link){ NULL, NULL };
}

#define OF_LINK(type, member, l) ((type *)((char *)(l)-offsetof(type, member)))

/* For each item of a list; the item may be removed meanwhile, and no other. */
#define LIST_FOR_EACH(head, l)                                                                     \
	for (struct link *l = (head)->next, *l##_next_ = l->next; l != (head);                     \
	     l = l##_next_, l##_next_ = l->next)

/* --- writes ---------------------------------------------------------------------------------- */

enum write_kind {
	WRITE_JOIN,	  /* struct fleet: our HOST record, with META */
	WRITE_ALIVE,	  /* struct fleet */
	WRITE_HOST,	  /* struct host: a state, or the end, of another */
	WRITE_BLOCK,	  /* struct block */
	WRITE_IMAGE,	  /* struct own_block */
	WRITE_IMAGE_READ, /* struct own_block: not a write, but it waits for an answer too */
	WRITE_VMAC,	  /* struct place */
	WRITE_ASK,	  /* struct place */
	WRITE_SEED,	  /* struct place: reads the image that a vMAC of a dead host stands in */
	WRITE_ORPHAN,	  /* struct orphan: the record of a vMAC that is nobody's */
	WRITE_CLAIM,	  /* struct claim */
	WRITE_CLUSTER,	  /* struct cluster_state */
	WRITE_ANCHOR,	  /* struct face_state */
	WRITE_KIND_COUNT
};

/* Stands inside of what it is for, so that nothing under way is ever lost for want of memory. */
struct write {
	struct link link; /* of fleet.writes while on its way */
	uint64_t token;
	uint8_t kind;	   /* enum write_kind */
	bool for_kept;	   /* waits for the journal, not for the registry */
	mono_t not_before; /* of the next attempt */
};

static inline bool write_pending(const struct write *w)
{
	return list_in(&w->link);
}

/* --- hosts ----------------------------------------------------------------------------------- */

/* Everybody of whom a record was told or is named in one; kept for the life of the fleet. */
struct host {
	struct uuid uuid;
	struct shared_record *record; /* NULL: there is none */
	uint64_t alive_revision;      /* 0 = not */
	uint64_t alive_incarnation;
	uint64_t blocks, vmacs; /* vmacs: records that name it as their holder */
	bool kept;		/* the journal has `record` */
	bool dead_known;	/* machines were told that it is dead */
	/* What an operator ordered here. */
	bool forget;
	mono_t forget_from;
	uint8_t forget_writes;
	bool state_wanted, state_sent;
	uint8_t state;
	char fenced_by[OWNER_MAX_LEN + 1];
	struct write write;
};

/* --- pools and blocks ------------------------------------------------------------------------ */

struct pool_state {
	struct shared_record *record; /* NULL: its blocks were told before, or it is gone */
	char name[NAME_MAX_LEN + 1];
	bool room_told, full_noted, kept;
	uint64_t size, available;
	uint64_t where; /* to look for a free block next */
	bool where_known;
	uint64_t ours;	       /* blocks */
	mono_t surplus_since;  /* more is free than is needed; MONO_NEVER = it is not */
	unsigned int claiming; /* of these on their way, for room */
	struct table blocks;   /* by number */
};

enum block_doing {
	BLOCK_RESTS,
	BLOCK_CLAIMS,
	BLOCK_LEAVES_JOURNAL, /* given back: the journal first, then the registry */
	BLOCK_GIVES_BACK
};

struct block {
	struct pool_state *pool;
	struct host *host; /* NULL: nobody, or it does not exist */
	struct own_block *own;
	uint64_t number, revision;
	uint32_t used; /* vMACs of the journal in it */
};

/* What is to be remembered of a block that is ours, or has something of ours in it. */
struct own_block {
	struct block *block;
	struct link link;	    /* fleet.attention: something is to be done */
	struct shared_record *kept; /* as the journal has it; NULL: not */
	uint8_t doing;
	bool ours;	/* ops->block() was told so */
	bool for_room;	/* this claim counts in pool.claiming */
	mono_t lost_at; /* MONO_NEVER = it is not */
	struct write write;

	struct link image_link; /* fleet.images: not written yet */
	bool image_known;	/* image_revision is */
	bool image_again;	/* changed since it was sent */
	uint64_t image_revision;
	mono_t image_at; /* not before */
	struct write image_write;
};

/* --- places ---------------------------------------------------------------------------------- */

enum vmac_want {
	WANT_MAKE, /* a record where there is none: what is of no block of ours needs one */
	WANT_TELL, /* name, owner, addresses, epoch as the journal has them */
	WANT_RELEASE,
	WANT_DELETE
};

/* Who else uses a vMAC on the wire: sights.c. */
struct sights {
	uint64_t frames, looked[FLEET_USE_COUNT];
	mono_t first, last, certain_at;
	bool certain, after_silence; /* the frames since the last pause began when we were silent */
	uint8_t use;
	uint8_t told; /* as which of enum fleet_use it was alarmed of, since that pause */
	char because[160];
};

struct place {
	struct link link;  /* fleet.place_list */
	struct link timer; /* fleet.busy: it has a deadline */
	char segment[NAME_MAX_LEN + 1];
	vmac_mac_t address;

	struct migrate machine;
	struct shared_record *record, *ask; /* the mirror's; NULL: none */
	bool record_stale, ask_stale;	    /* the machine was not told yet */
	struct shared_record *kept;	    /* ours; NULL: the journal has none */
	/* Ours: counts as the record where none is told: of a block that was lost, or of a vMAC
	 * that is to be taken from a host that is dead. */
	struct shared_record *seed;

	/* The journal. */
	bool local;
	bool face;	     /* of a cluster: it has no machine */
	bool holding;	     /* ops->hold() was called, and the journal has not said so yet */
	uint8_t local_state; /* enum vmac_state */
	uint64_t local_epoch;
	bool port_up;

	bool dropped; /* the machine wanted to write while a write was on its way */
	struct write write, ask_write, seed_write;
	bool delete_sent;
	bool forfeit;	   /* lost with its block, and the port of before is still here */
	bool released;	   /* the journal let go of it in this run */
	mono_t release_at; /* RELEASED, and we count its quarantine; else MONO_NEVER */
	mono_t ask_unanswered;
	mono_t settle_at; /* else MONO_NEVER */

	uint8_t reason;
	mono_t since;
	uint64_t strangers;
	mono_t stranger_last, alarmed;
	struct sights *sights; /* NULL: nobody does */
};

/* --- clusters -------------------------------------------------------------------------------- */

struct face_state {
	uint64_t epoch; /* at which we are its anchor, and the registry is to know; 0 = nothing */
	struct write write;
};

struct cluster_state {
	struct shared_record *record, *kept; /* as told; as the journal has it; NULL: not */
	char name[NAME_MAX_LEN + 1];
	mono_t gone_at; /* when that there is none will be believed */
	struct write write;
	struct face_state faces[CLUSTER_FACES_MAX];
};

/* --- claims ---------------------------------------------------------------------------------- */

enum claim_kind { CLAIM_ADDRESS, CLAIM_AGREE, CLAIM_RETIRE };

struct claim {
	struct link link; /* fleet.claims */
	uint8_t kind, rounds;
	bool abandoned; /* answered UNREACHABLE: what may yet be done is undone when it is seen */
	struct shared_record *wanted;
	char identity[256];
	struct uuid request;
	fleet_claimed_fn claimed;
	fleet_agreed_fn agreed;
	void *ctx;
	struct write write;
};

/* A vMAC's record that this host deletes or releases although it never had the vMAC: of a claim
 * whose answer was lost, or of a host that is forgotten. */
struct orphan {
	struct link link;  /* fleet.orphans */
	struct host *host; /* that is forgotten; NULL: an abandoned claim */
	struct shared_record *key;
	bool release; /* RELEASED first */
	struct write write;
};

/* --- the whole ------------------------------------------------------------------------------- */

enum join_state {
	JOIN_OUT,     /* waits for all records, or must not */
	JOIN_JOURNAL, /* the next incarnation is on its way to the journal */
	JOIN_ASKS,    /* … to the registry */
	JOIN_IN
};

enum apart {
	APART_NOT,
	APART_CLUSTER, /* another registry than ours: nothing that it says concerns us */
	APART_CLONE,   /* somebody else runs with our uuid: no block is claimed, all else goes on */
	APART_NAME,    /* another host has our name */
	APART_FORMAT,  /* a registry of a newer format, or one that is not all there yet */
	APART_FULL     /* HOSTS_MAX, or no number is left */
};

struct fleet {
	const struct mem *mem;
	const struct fleet_ops *ops;
	void *ctx;
	struct uuid self;
	char name[NAME_MAX_LEN + 1], version[32], key_check[KEY_CHECK_LEN + 1];
	struct ip address;
	uint16_t tunnel_port;
	unsigned int spare_blocks;
	uint64_t random, next_token;
	mono_t now; /* of this entry */

	bool started, stopped, reachable, complete;
	mono_t reach_since;
	struct error reach_error;
	uint64_t revision; /* of the last complete */

	/* META and ourselves. */
	struct shared_record *meta, *meta_kept, *self_kept;
	bool self_confirmed; /* the registry had self_kept */
	uint8_t join, apart;
	struct error apart_error;
	unsigned int behind; /* > 0: the registry is older than what we know: so many completes */
	unsigned int join_rounds;
	struct host *me;
	struct write join_write, alive_write;

	struct table records;  /* struct shared_record: SEGMENT, VMAC, IDENTITY, ASK, by key */
	struct table hosts;    /* struct host, by uuid */
	struct table pools;    /* struct pool_state, by name */
	struct table places;   /* struct place, by segment and address */
	struct table clusters; /* struct cluster_state, by name */
	struct link place_list, busy, attention, images, claims, orphans, writes;
	unsigned int images_sent, forgetting;

	bool clusters_changed;
	bool homes_changed; /* a block is ours that was not */
	bool settle_all;   /* something that concerns all places or blocks changed */
	bool all_told;	   /* a full read has just ended: nothing is yet to come */
	bool memory_short; /* records may be missing: reconcile at memory_at */
	mono_t memory_at;
	mono_t settle_at; /* what could not be done is tried again */

	struct error refusal; /* why the registry took nothing, the last time: full, or denied */
	mono_t refused_at;
	mono_t alarms_from;
	unsigned int alarms_in;
	uint64_t alarms, claims_lost, blocks, blocks_ours;
};

uint64_t fleet_random(struct fleet *f);
struct uuid fleet_uuid(struct fleet *f);
/* There was no memory for something: all is looked at again, and the registry is read anew. */
void fleet_short(struct fleet *f);
/* Something is to be tried again at `at`. */
void fleet_retry_at(struct fleet *f, mono_t at);
/* May write to the registry: in reach, all told, ours, and not stopped. */
bool fleet_may_write(const struct fleet *f);
/* It answers, and takes nothing: NULL, or why.  Forgotten when something is taken, or nothing was
 * tried for long. */
const struct error *fleet_refusal(const struct fleet *f);
/* … and is a member that may claim. */
bool fleet_may_claim(const struct fleet *f);

/* --- writes.c -------------------------------------------------------------------------------- */

/* One put, or several.  Whether it was done is known by its answer, and what it did by the records
 * that are told before. */
void write_send(struct fleet *f, struct write *w, enum write_kind kind,
		const struct shared_record *r, bool gone);
void write_send_all(struct fleet *f, struct write *w, enum write_kind kind,
		    const struct shared_put *puts, unsigned int count);
/* Nothing is on its way, and it is time; where it is not, all is looked at again when it is. */
bool write_ready(struct fleet *f, const struct write *w);
/* Waits for an answer to something else than a put; returns the token. */
uint64_t write_expect(struct fleet *f, struct write *w, enum write_kind kind, bool for_kept);
struct write *write_take(struct fleet *f, uint64_t token);
/* When it may be tried again, after an outcome that is not DONE. */
void write_later(struct fleet *f, struct write *w, enum shared_outcome outcome);

/* --- records.c ------------------------------------------------------------------------------- */

struct shared_record *mirror_get(const struct fleet *f, const struct shared_record *key);
/* Puts what is told in place of what was told before, which the caller frees: *ret_old.  -EEXIST:
 * it is as new already; -ENOMEM. */
int mirror_put(struct fleet *f, const struct shared_record *r, struct shared_record **ret_old);
void mirror_done(struct fleet *f);
/* In the mirror of whichever kind; calls whom it concerns. */
void told(struct fleet *f, const struct shared_record *r);

struct shared_record vmac_key_record(const char *segment, vmac_mac_t address,
				     enum shared_kind kind);

/* --- hosts.c --------------------------------------------------------------------------------- */

struct host *host_find(const struct fleet *f, const struct uuid *u); /* NULL: none, or NULL uuid */
struct host *host_get(struct fleet *f, const struct uuid *u);	     /* NULL: no memory */
const char *host_name(const struct fleet *f, const struct uuid *u); /* its uuid where it has none */
const struct shared_host *host_record(const struct fleet *f, const struct uuid *u); /* or NULL */
struct host *host_named(const struct fleet *f, const char *name);
struct host *host_numbered(const struct fleet *f, uint16_t number);
bool host_is_dead(const struct fleet *f, const struct uuid *u);
/* One does for all what is to be done once: of those that are there, the first by uuid. */
bool host_is_first(const struct fleet *f);
bool host_has_other_key(const struct fleet *f, const struct host *h); /* as far as both say so */
void host_told(struct fleet *f, const struct shared_record *r);
void alive_told(struct fleet *f, const struct shared_record *r);
void host_settle(struct fleet *f, struct host *h);
void host_outcome(struct fleet *f, struct host *h, enum shared_outcome outcome);
void hosts_settle(struct fleet *f);
void orphan_settle(struct fleet *f, struct orphan *o);
void orphan_outcome(struct fleet *f, struct orphan *o, enum shared_outcome outcome);
/* -ENOMEM */
int orphan_new(struct fleet *f, const struct shared_record *r, struct host *h, bool release);
void hosts_done(struct fleet *f);

/* --- join.c ---------------------------------------------------------------------------------- */

void meta_told(struct fleet *f, const struct shared_record *r);
void self_told(struct fleet *f);  /* our own HOST record changed */
void join_check(struct fleet *f); /* all was told: is it our registry, and are we in it? */
void join_settle(struct fleet *f);
void join_kept(struct fleet *f);
void join_outcome(struct fleet *f, enum shared_outcome outcome);
void alive_settle(struct fleet *f);
int join_load(struct fleet *f, const struct shared_record *kept); /* META, our own HOST */
void join_done(struct fleet *f);

/* --- pools.c --------------------------------------------------------------------------------- */

struct pool_state *pool_find(const struct fleet *f, const char *name);
struct pool_state *pool_get(struct fleet *f, const char *name); /* NULL: no memory */
struct block *block_find(const struct pool_state *p, uint64_t number);
struct block *block_get(struct fleet *f, struct pool_state *p, uint64_t number);
struct own_block *block_own(struct fleet *f, struct block *b); /* NULL: no memory */
uint32_t pool_block_size(const struct pool_state *p);	       /* 0 = not known yet */
uint64_t pool_block_count(const struct pool_state *p);
void pool_told(struct fleet *f, const struct shared_record *r);
void pools_done(struct fleet *f);
struct shared_record block_record(const struct fleet *f, const struct block *b);
/* The block of a sequence number; NULL: not known (no memory, or the pool is not). */
struct block *block_of(struct fleet *f, const char *pool, uint64_t number);

/* --- blocks.c -------------------------------------------------------------------------------- */

void block_told(struct fleet *f, const struct shared_record *r);
void block_ours(struct fleet *f, struct own_block *o, bool ours); /* tells the engine */
void block_attend(struct fleet *f, struct block *b); /* it is looked at before this entry ends */
void blocks_settle(struct fleet *f);
void block_outcome(struct fleet *f, struct block *b, enum shared_outcome outcome);
void block_kept(struct fleet *f, struct block *b);
void pool_claim(struct fleet *f, struct pool_state *p);
void pools_claim(struct fleet *f);
void pool_shed(struct fleet *f, struct pool_state *p);
int block_load(struct fleet *f, const struct shared_record *kept);

/* --- images.c -------------------------------------------------------------------------------- */

void image_dirty(struct fleet *f, struct own_block *o);
void images_settle(struct fleet *f);
void image_outcome(struct fleet *f, struct own_block *o, enum shared_outcome outcome,
		   uint64_t revision);
void image_read(struct fleet *f, struct own_block *o, const struct shared_record *image,
		const struct error *error);

/* --- places.c -------------------------------------------------------------------------------- */

struct place *place_find(const struct fleet *f, const char *segment, vmac_mac_t address);
struct place *place_get(struct fleet *f, const char *segment, vmac_mac_t address);
struct fleet_name place_name(const struct place *p);
/* Whether this host's journal says that it has it. */
bool place_holds(const struct place *p);
/* What is new goes to the machine, what is owed to the registry; p may be gone after. */
void place_settle(struct fleet *f, struct place *p);
void place_keep(struct fleet *f, struct place *p);
/* blocks.c: it has no record, and who has its block now may have given it to somebody: it counts as
 * theirs, until a record says otherwise.  To be settled after. */
void place_fence(struct fleet *f, struct place *p, const struct block *home);
/* The journal's copy of the record says that another host has it, whatever the registry says. */
bool was_yielded(const struct fleet *f, const struct place *p);
void place_look(struct fleet *f, struct place *p); /* at the journal */
void place_timer(struct fleet *f, struct place *p);
mono_t place_next(const struct place *p);
int place_load(struct fleet *f, const struct shared_record *kept);
void vmac_told(struct fleet *f, const struct shared_record *r);
void ask_told(struct fleet *f, const struct shared_record *r);
void places_settle(struct fleet *f);
void places_time(struct fleet *f);
void places_done(struct fleet *f);

/* --- moves.c --------------------------------------------------------------------------------- */

void move_event(struct fleet *f, struct place *p, const struct migrate_event *e);
void move_simple(struct fleet *f, struct place *p, enum migrate_event_kind kind);
void move_port(struct fleet *f, struct place *p);  /* as it is, with the journal's epoch */
void move_fresh(struct fleet *f, struct place *p); /* a machine that knows the port alone */
void move_outcome(struct fleet *f, struct place *p, enum shared_outcome outcome, uint64_t revision);

/* --- vmacs.c --------------------------------------------------------------------------------- */

/* What the machine wants the record to be: e is a DO_ effect. */
void vmac_write(struct fleet *f, struct place *p, const struct migrate_effect *e);
void ask_write(struct fleet *f, struct place *p, const struct migrate_effect *e);
/* What this host owes the registry beyond moves. */
/* Nobody has it, and this host is to forget it when its quarantine is over. */
bool vmac_ends_here(struct fleet *f, const struct shared_vmac *r);
/* After homes_changed. */
void vmacs_come_home(struct fleet *f);
void vmac_settle(struct fleet *f, struct place *p);
/* The record as the journal has it, held by us.  Borrows. */
void vmac_fill(const struct fleet *f, const struct vmac *v, const char *segment, const char *pool,
	       struct shared_vmac *ret);

/* --- hints.c --------------------------------------------------------------------------------- */

void seed_read(struct fleet *f, struct place *p, const struct shared_record *image,
	       const struct error *error);

/* --- claims.c -------------------------------------------------------------------------------- */

void claim_settle(struct fleet *f, struct claim *c);
void claim_outcome(struct fleet *f, struct claim *c, enum shared_outcome outcome,
		   const struct error *error);
void claims_unreachable(struct fleet *f);
/* A record that an abandoned claim made. */
bool claim_pending(const struct fleet *f, const struct shared_record *r);
bool claim_abandoned(struct fleet *f, const struct shared_record *r);
void claims_free(struct fleet *f);

/* --- clusters.c ------------------------------------------------------------------------------ */

void cluster_told(struct fleet *f, const struct shared_record *r);
int cluster_load(struct fleet *f, const struct shared_record *kept);
void clusters_start(struct fleet *f); /* what is kept, to the engine */
void clusters_settle(struct fleet *f);
void cluster_outcome(struct fleet *f, struct write *w, enum shared_outcome outcome);
/* As the registry has it; NULL: it has none. */
const struct shared_record *cluster_agreed(const struct fleet *f, const char *name);
/* Whether `wanted` cannot follow `is` (NULL: there is none): the error says why. */
bool cluster_refused(const struct fleet *f, const struct shared_record *wanted,
		     const struct shared_record *is, struct error *e);
/* Whether it takes faces or addresses that `is` has not, which no other may take meanwhile. */
bool cluster_takes(const struct shared_record *wanted, const struct shared_record *is);
/* A face of a cluster that there is. */
bool face_lives(const struct fleet *f, const struct shared_vmac *v);
/* The journal follows the record. */
void face_settle(struct fleet *f, struct place *p);
void clusters_done(struct fleet *f);

/* --- view.c ---------------------------------------------------------------------------------- */

void note(struct fleet *f, enum fleet_note_kind kind, const char *peer, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void note_place(struct fleet *f, struct place *p, enum fleet_note_kind kind, uint8_t from,
		uint8_t to, uint8_t reason, const struct uuid *peer, const char *text);
/* Whether an alarm may be said now; counts it in any case.  last: of its subject, or NULL. */
bool alarm_allowed(struct fleet *f, mono_t *last);
