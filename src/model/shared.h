/* What hosts agree upon: the records of the shared registry.  docs/registry.md has their keys and
 * values as others may read them.
 *
 * A record is one key of the registry and changes by compare-and-swap alone: `revision` is the
 * registry's number of its last change, 0 where it does not exist.  Texts are never NULL.
 *
 * Who may write what.  A block belongs to the host that claimed it, for good, until that host gives
 * it back or is declared dead; inside of it the host allocates without asking anybody.  A vMAC has
 * a record of its own only where two hosts have to do with it: it moves, was moved, was pinned, was
 * adopted, or is stable.  Everything else of a host stands in its blocks' images, which the host
 * writes behind its own journal; others read them only when it is dead.  No time of day of one host
 * is ever compared with another's: lifetimes are spans, and whoever keeps one begins to count when
 * it sees the record. */
#pragma once

#include "base/mem.h"
#include "model/model.h"

#define HOSTS_MAX	4096
#define HOST_NUMBER_MAX 65535 /* in the tags of announcements */
#define BLOCK_SIZE_MAX	256   /* sequence numbers of a pool; a power of two */
#define MOVE_LIFETIME_MS                                                                           \
	7200000 /* a reservation that nobody uses or renews ends by itself: 2 h                    \
		 */
#define MOVE_LIFETIME_MAX 86400000

struct uuid {
	uint8_t octet[16]; /* all zero = none */
};
#define UUID_TEXT_MAX 37
char *uuid_format(const struct uuid *u, char buf[static UUID_TEXT_MAX]); /* returns buf */
int uuid_parse(const char *text, struct uuid *ret);			 /* 0, -EINVAL */

static inline bool uuid_is_none(const struct uuid *u)
{
	uint8_t all = 0;

	for (unsigned int i = 0; i < sizeof(u->octet); i++)
		all |= u->octet[i];
	return all == 0;
}

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	uint8_t differs = 0;

	for (unsigned int i = 0; i < sizeof(a->octet); i++)
		differs |= a->octet[i] ^ b->octet[i];
	return differs == 0;
}

enum shared_kind {
	SHARED_META,	 /* one: what this registry is */
	SHARED_HOST,	 /* by host uuid */
	SHARED_ALIVE,	 /* by host uuid; under a lease: says that the host lives, no more */
	SHARED_SEGMENT,	 /* by name */
	SHARED_POOL,	 /* by name */
	SHARED_BLOCK,	 /* by pool name and number */
	SHARED_VMAC,	 /* by segment name and address */
	SHARED_IDENTITY, /* by pool name and identity: stable mode */
	SHARED_ASK,	 /* by segment name and address: a host wants it */
	SHARED_CLUSTER,	 /* by name */
	/* Not watched and not kept in memory; read by name where it is wanted. */
	SHARED_IMAGE, /* by pool name and number: what is in use in a block; of no pool (""): by
			 host uuid and number, for every host has its own */
	SHARED_KIND_COUNT
};
const char *shared_kind_name(enum shared_kind k); /* "meta", "host", … */

struct shared_meta {
	unsigned int format; /* SHARED_FORMAT */
	struct uuid cluster;
	/* An import was begun and has not ended: what is there is not all, so nobody takes part. */
	bool importing;
};
#define SHARED_FORMAT 1

enum host_state {
	HOST_ACTIVE,
	HOST_DRAINING, /* takes no new vMAC and claims no block */
	/* Somebody vouched for its death: its vMACs may be taken over.  It stays so until the host
	 * itself has come back, closed what others took, and joined again. */
	HOST_DEAD,
	/* Dead, and to leave the list: what it still has goes into quarantine, then to others. */
	HOST_FORGOTTEN,
	HOST_STATE_COUNT
};
/* Somebody vouched for its death. */
static inline bool host_state_is_dead(enum host_state s)
{
	return s == HOST_DEAD || s == HOST_FORGOTTEN;
}
const char *host_state_name(enum host_state s);

#define KEY_CHECK_LEN 16
struct shared_host {
	struct uuid uuid;
	uint16_t number; /* 1 …, unique: in the tags of announcements */
	uint8_t state;
	char name[NAME_MAX_LEN + 1]; /* unique */
	struct ip address;	     /* of its end of the tunnel; family 0 = it has none */
	uint16_t tunnel_port;	     /* UDP */
	char version[32];
	uint64_t incarnation;		   /* grows with every join */
	char fenced_by[OWNER_MAX_LEN + 1]; /* DEAD: who vouched, and how */
	/* Made of its cluster key, so that hosts with another one are known; "" = it has none. */
	char key_check[KEY_CHECK_LEN + 1];
};

struct shared_alive {
	struct uuid host;
	uint64_t incarnation;
};

struct shared_segment {
	char name[NAME_MAX_LEN + 1];
	uint16_t vlan;
	uint32_t number; /* 1 … 2^24 - 1, unique: the tunnel's VNI */
};

struct shared_pool {
	struct pool pool; /* id, segment, cursor, created: the reader's own */
	char segment[NAME_MAX_LEN + 1];
	uint32_t block_size; /* 1 … BLOCK_SIZE_MAX */
};

struct shared_block {
	char pool[NAME_MAX_LEN + 1];
	uint64_t number;  /* sequence numbers [number * block_size, (number + 1) * block_size) */
	struct uuid host; /* none = given back: free to claim */
	struct uuid
		request; /* of the claim, so that a claim whose answer was lost is known again */
};

enum shared_vmac_state {
	/* `holder` has it; gate open at most there. */
	SHARED_HELD,
	/* The same, and `to` holds a reservation: its gate opens with the guest's first frame. */
	SHARED_MOVING,
	/* Nobody has it: in quarantine for quarantine_ms since it was seen so, then the home (the
	 * owner of its block, or `holder`) forgets it. */
	SHARED_RELEASED,
	/* Moved too often without a plan: stays where it is until FREEZE_LIFTED or an operator. */
	SHARED_FROZEN,
	SHARED_VMAC_STATE_COUNT
};
const char *shared_vmac_state_name(enum shared_vmac_state s);

/* The texts are borrowed: see shared_copy(). */
struct shared_vmac {
	const char *segment;
	vmac_mac_t address;
	uint8_t state, kind, origin, ip_count;
	uint64_t epoch;	     /* of the holder: grows by one with every change of it; never reused */
	struct uuid holder,  /* host */
		to,	     /* MOVING: host; else none */
		move,	     /* of the move that is under way, or was the last */
		request;     /* of the write, so that one whose answer was lost is known again */
	int64_t lifetime_ms; /* MOVING: of the reservation */
	int64_t quarantine_ms; /* RELEASED */
	const char *pool;      /* "" = of none */
	const char *name, *owner, *tenant, *note;
	const struct ip *ips;
	int64_t ttl_ms; /* 0 = for life */
};

struct shared_identity {
	char pool[NAME_MAX_LEN + 1];
	char identity[256];
	vmac_mac_t address;
	struct uuid host, request;
};

enum ask_why {
	ASK_PREPARE,   /* a planned move to `host`: reserve */
	ASK_CLAIM,     /* a port with that vMAC has appeared at `host`, unannounced */
	ASK_TAKE_BACK, /* the move to the holder failed; the guest runs at `host` again */
	ASK_FORCE,     /* an operator: whatever the holder says, as it may not be there */
	ASK_WHY_COUNT
};
const char *ask_why_name(enum ask_why w);

struct shared_ask {
	const char *segment;
	vmac_mac_t address;
	uint8_t why;
	struct uuid host, move;
	int64_t lifetime_ms;
	/* The holder's answer, "" = not yet: why it will not let go. */
	const char *refused;
};

/* The images of up to BLOCK_SIZE_MAX vMACs, as the host's journal has them. */
struct shared_image {
	char pool[NAME_MAX_LEN + 1], segment[NAME_MAX_LEN + 1];
	uint64_t number; /* of the block; of no pool: 0 … */
	struct uuid host;
	size_t count;
	const struct vmac *vmacs; /* segment, pool, port, row: the reader's own (0) */
};

/* A cluster as all hosts are to have it (model/cluster.h).  Its faces have vMAC records of their
 * own, kind cluster, whose holder is the anchor: told behind the fact, and never asked. */
struct cluster;
struct shared_cluster {
	const struct cluster *cluster; /* id, segment, created: the reader's own */
	const char *segment;
};

struct shared_record {
	enum shared_kind kind;
	uint64_t revision; /* of its last change; 0 = does not exist, and only the key counts */
	union {
		struct shared_meta meta;
		struct shared_host host;
		struct shared_alive alive;
		struct shared_segment segment;
		struct shared_pool pool;
		struct shared_block block;
		struct shared_vmac vmac;
		struct shared_identity identity;
		struct shared_ask ask;
		struct shared_image image;
		struct shared_cluster cluster;
	};
};

/* --- how it changes: compare-and-swap -----------------------------------------------------------
 */

enum shared_outcome {
	SHARED_DONE,
	SHARED_LOST, /* a compared record has another revision; all compared are told as they are */
	SHARED_UNREACHABLE, /* nobody answered in time: error says who and why; may yet be done */
	SHARED_REFUSED	    /* for good: no space, denied, too large: error says which */
};

struct shared_put {
	/* revision: what it must have now (0 = it must not exist).  Copied. */
	const struct shared_record *record;
	bool gone; /* delete it */
	bool compare_only;
};

/* Copies a record with all that it points to into one block of memory; mem_free() ends it.  NULL:
 * no memory.  Texts that are NULL (of a key that somebody made up) become "". */
struct shared_record *shared_copy(const struct mem *mem, const struct shared_record *r);

/* Whether two records have the same key; and whether all else but the revision is equal too. */
bool shared_same_key(const struct shared_record *a, const struct shared_record *b);
bool shared_equal(const struct shared_record *a, const struct shared_record *b);

/* Spread over 64 bits; equal for equal keys. */
uint64_t shared_key_hash(const struct shared_record *r);

/* The value with that name, or -EINVAL. */
int shared_kind_from_name(const char *name);
int host_state_from_name(const char *name);
int shared_vmac_state_from_name(const char *name);
int ask_why_from_name(const char *name);
