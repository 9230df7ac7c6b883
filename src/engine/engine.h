/* The heart, seen from outside: commands in, answers out, views to look at.
 *
 * Theory of operation
 *
 * The engine holds the whole registry in memory.  A command is checked against it, becomes a list
 * of changes {before, after}, is applied in memory so that nothing else can take the same thing,
 * and goes to the store. Only when the store says "durable" is it answered and are host and plane
 * told; when the store says no, the changes are undone in reverse order and the command is answered
 * with the store's error.
 *
 * Where hosts share a registry, what they have to agree upon (a segment, a pool, a pinned address)
 * is agreed there first and becomes a command of this host's own registry then; what this host may
 * do alone (allocate from its blocks, above all) never waits for anybody.  struct fleet_config says
 * who this host is among others; without it nothing of that exists.
 *
 * Edges (host, store, plane, shared registry) wake the engine through their file descriptors;
 * timers through engine_next_expiry().  The daemon owns the loop.  One thread. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "elect/elect.h"
#include "model/cluster.h"
#include "model/model.h"
#include "model/router.h"

struct anchors;
struct elect;
struct engine;
struct host;
struct plane;
struct shared_config;
struct store;

/* --- life ------------------------------------------------------------------------------------ */

/* This host among others.  Copied but for `shared`, which is needed during engine_start() only. */
struct engine_fleet {
	/* Of the shared registry; mem, told, complete, reach and ctx are the engine's to fill in.
	 */
	const struct shared_config *shared;
	const char *name;  /* this host's; its uuid is that of its own registry */
	struct ip address; /* its end of the tunnel; family 0 = no tunnel */
	uint16_t tunnel_port;
	int tunnel_ifindex; /* the tunnel's device, 0 = none */
	bool any_frame; /* a guest that comes opens its gate by any frame, not only an announcement
			 */
	bool has_key;	/* of announcements' tags; without one ours are untagged */
	uint8_t key[16];
};

struct engine_config {
	const struct mem *mem;
	struct host *host;	 /* borrowed; NULL: no ports can exist (tests of the registry) */
	struct plane *plane;	 /* borrowed; NULL as above */
	struct store *store;	 /* borrowed; loaded by engine_start() */
	struct elect *elect;	 /* borrowed; NULL: routers are kept, and nobody elects */
	struct anchors *anchors; /* borrowed; NULL: clusters are kept, and nothing balances */
	const struct engine_fleet *fleet; /* NULL: this host is alone */
	const char *name; /* this host's, where it is alone; NULL = "this host" */
	mono_t (*mono_now)(void);
	wall_t (*wall_now)(void);
	void (*random)(void *buf, size_t len); /* for pool keys */
};

int engine_new(const struct engine_config *config, struct engine **ret, struct error *ret_error);

/* Loads the registry, brings host and plane in line with it (reconcile) and sweeps what is stray.
 * A port whose link cannot be had is reported in its view, and is no error. */
int engine_start(struct engine *e, struct error *ret_error);

/* Gives all routers to the elections and says that these are all.  To be called when the
 * configuration file's have been applied, so that none begins that the file has taken away. */
void engine_elect_start(struct engine *e);

/* Ends the membership of this run: what waits for the shared registry is answered
 * REGISTRY_UNREACHABLE, the heartbeat ends, vMACs stay.  Before store_close(); alone it does
 * nothing. */
void engine_leave(struct engine *e);

/* Calls fn once the shared registry has been read for the first time (at once when this host is
 * alone): the moment to make what the configuration file wants. */
void engine_when_joined(struct engine *e, void (*fn)(void *ctx), void *ctx);

/* Frees; ports go on forwarding.  Every command must have been answered (engine_leave() and
 * store_close() before). */
void engine_free(struct engine *e);

/* To be called when host_fd() / store_fd() / elect_fd() are readable and when engine_next_expiry()
 * is due. */
void engine_host_ready(struct engine *e);
void engine_elect_ready(struct engine *e);
void engine_anchors_ready(struct engine *e);
void engine_store_ready(struct engine *e);
void engine_plane_ready(struct engine *e);  /* plane_events_fd() */
int engine_probes_fd(struct engine *e);	    /* of health checks; -1 = there are none */
void engine_probes_ready(struct engine *e); /* it is readable */
int engine_shared_fd(struct engine *e);	    /* of the shared registry; -1 = there is none */
void engine_shared_ready(struct engine *e); /* it is readable */
void engine_time_passed(struct engine *e);

/* When engine_time_passed() wants to be called; both clocks, either may be NEVER. */
struct engine_expiry {
	mono_t mono;
	wall_t wall;
} engine_next_expiry(const struct engine *e);

/* --- commands -------------------------------------------------------------------------------- */

/* Who asks, and why; both go into the history.  The texts are copied. */
struct caller {
	const char *who;    /* "uid 0", "vmacd" */
	const char *reason; /* "" = not given */
	bool root;	    /* may have programs run as root: uid 0, or the configuration file */
};

/* What a command made or changed: those that fit are not NULL; valid during the call only. */
struct answer {
	const struct error *error; /* NULL = done and durable */
	const struct segment *segment;
	const struct pool *pool;
	const struct vmac *vmac;
	const struct port *port;
	const struct router *router;
	const struct cluster *cluster;
	const struct move_view *move; /* engine_move(): as it stands now */
	const vmac_mac_t *addresses;  /* batch */
	size_t address_count;
};

/* Called exactly once a command, from the command itself (a refusal) or later. */
typedef void (*answer_fn)(void *ctx, const struct answer *answer);

struct segment_add {
	const char *name;
	const char *uplink; /* "" = internal */
	uint16_t vlan;
};
void engine_segment_add(struct engine *e, const struct caller *c, const struct segment_add *a,
			answer_fn done, void *ctx);
void engine_segment_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx);

struct pool_add {
	const char *name, *segment;
	unsigned int
		range_count; /* 0 = a default range: AAI, random second octet, 2^32 addresses */
	struct vmac_mac_range ranges[POOL_RANGES_MAX];
	unsigned int exclude_count;
	struct vmac_mac_range excludes[POOL_EXCLUDES_MAX];
	bool has_key;
	uint8_t key[16];
	int64_t quarantine_ms; /* -1 = the default, 4 h */
	uint64_t limit;
};
void engine_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		     answer_fn done, void *ctx);

struct pool_set {
	bool has_quarantine, has_limit;
	int64_t quarantine_ms; /* for releases from now on */
	uint64_t limit;
};
void engine_pool_set(struct engine *e, const struct caller *c, const char *name,
		     const struct pool_set *s, answer_fn done, void *ctx);
void engine_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
			void *ctx);

struct vmac_add {
	const char *segment; /* "" = the pool's, or the only one */
	const char *pool;    /* "" = the segment's only one; pinned and adopted may do without */
	const char *name, *owner, *tenant, *note; /* "" = none */
	const char *identity;			  /* stable mode; "" = not */
	bool has_address;			  /* pinned, or adopted: */
	bool adopted;
	vmac_mac_t address;
	uint64_t epoch; /* the engine's own: what the hosts agreed upon; 0 = none */
	int64_t ttl_ms; /* 0 = for life */
	unsigned int ip_count;
	struct ip ips[VMAC_IPS_MAX];
};
void engine_vmac_add(struct engine *e, const struct caller *c, const struct vmac_add *a,
		     answer_fn done, void *ctx);

#define VMAC_BATCH_MAX 100000

struct vmac_batch {
	const char *segment, *pool, *owner, *tenant, *note;
	const char *name_prefix; /* "" = nameless; else names PREFIX1, PREFIX2, … */
	uint32_t count;		 /* 1 … VMAC_BATCH_MAX; all or none */
	int64_t ttl_ms;
};
void engine_vmac_add_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
			   answer_fn done, void *ctx);

/* A vMAC is named by segment and by its address or its name. */
struct vmac_ref {
	const char *segment; /* "" = the only one */
	const char *which;   /* an address in any style, or a name */
};

struct vmac_set { /* NULL / false = leave as it is */
	const char *name, *owner, *tenant, *note;
	bool has_ips;
	unsigned int ip_count;
	struct ip ips[VMAC_IPS_MAX];
	bool has_ttl;
	int64_t ttl_ms; /* 0 = for life from now on */
};
void engine_vmac_set(struct engine *e, const struct caller *c, const struct vmac_ref *v,
		     const struct vmac_set *s, answer_fn done, void *ctx);

/* until := now + ttl.  WRONG_STATE for one without a lifetime. */
void engine_vmac_renew(struct engine *e, const struct caller *c, const struct vmac_ref *v,
		       answer_fn done, void *ctx);

/* Into quarantine.  WRONG_STATE while it is bound. */
void engine_vmac_release(struct engine *e, const struct caller *c, const struct vmac_ref *v,
			 answer_fn done, void *ctx);

struct port_add {
	const char *name;
	enum port_kind kind;
	const char *segment;	  /* "" = the vMAC's, or the only one */
	const char *vmac;	  /* an address or a name; "" = allocate one as `allocate` says */
	struct vmac_add allocate; /* name "" = the port's name */
	const char *ifname;	  /* "" = the port's name, where it is an interface name */
	const char *peer_netns;	  /* veth: a path */
	const char *peer_ifname;  /* veth; "" = "eth0" */
	uint32_t owner_uid, owner_gid; /* tap; UINT32_MAX = root only */
	uint16_t queues;	       /* 0 = 1 */
	uint16_t mtu;		       /* 0 = the uplink's, or 1500 */
	uint32_t allow;
	bool has_flood_pps;
	uint32_t flood_pps; /* default 10,000 */
	bool closed;	    /* begin with the gate closed */
	/* Protocol vMACs (VRRP, HSRP, CARP) that the guest may have as a router. */
	unsigned int router_count;
	vmac_mac_t routers[PORT_ROUTERS_MAX];
};
void engine_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		     answer_fn done, void *ctx);

struct port_set {
	bool has_allow, has_flood_pps, has_gate, has_routers;
	uint32_t allow, flood_pps;
	enum port_gate gate;
	unsigned int router_count; /* all of them: none = it is no router any more */
	vmac_mac_t routers[PORT_ROUTERS_MAX];
};
void engine_port_set(struct engine *e, const struct caller *c, const char *name,
		     const struct port_set *s, answer_fn done, void *ctx);

/* Deletes the port (and its link, where we made it); its vMAC becomes reserved again or, with
 * `release`, goes into quarantine. */
void engine_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
			answer_fn done, void *ctx);

/* Adds a router as this record says but for id, from_file, created and changed, which are ours.
 * Errors: what router_check() says; NAME_IN_USE; IN_USE (another has the group or the device on
 * that link); ADDRESS_IN_USE (another has the address); LIMIT_REACHED; FORBIDDEN (names a program,
 * and the caller is not root). */
void engine_router_add(struct engine *e, const struct caller *c, const struct router *r,
		       answer_fn done, void *ctx);

/* Puts this record in the place of the one with that name; the name may change with it.  An equal
 * one is answered at once and nothing is touched.  WRONG_STATE: it is the configuration file's. */
void engine_router_set(struct engine *e, const struct caller *c, const char *name,
		       const struct router *r, answer_fn done, void *ctx);

/* It resigns gracefully.  WRONG_STATE: it is the configuration file's. */
void engine_router_delete(struct engine *e, const struct caller *c, const char *name,
			  answer_fn done, void *ctx);

/* Makes the configuration file's routers be exactly these: adds, changes and deletes what differs,
 * in one transaction; all or nothing.  A router of that name that was added by hand becomes the
 * file's. *list need only live during the call. */
void engine_routers_apply(struct engine *e, const struct caller *c,
			  const struct router *const *list, size_t count, answer_fn done,
			  void *ctx);

/* --- clusters -------------------------------------------------------------------------------- */

struct cluster_add {
	const char *segment;	      /* "" = the only one */
	const struct cluster *record; /* but for id, segment, key, generation, created, changed */
	unsigned int allocate;	      /* record->face_count 0: so many faces, from `pool`; 0 = 1 */
	const char *pool;	      /* "" = the segment's only one */
};
/* Makes a cluster; among hosts it is everybody's.  Errors: what cluster_check_record() says;
 * NAME_IN_USE; ADDRESS_IN_USE (a face, or a virtual address of another cluster, or bound to a vMAC,
 * or in use on the wire: asked by ARP and ND); NOT_FOUND (a member that is no station here or at
 * another host; CONFLICT where it is in another segment); LIMIT_REACHED (also: a member of too many
 * clusters); REGISTRY_UNREACHABLE. */
void engine_cluster_add(struct engine *e, const struct caller *c, const struct cluster_add *a,
			answer_fn done, void *ctx);
/* Puts this record in the place of the one with that name (its name, segment, mode, faces and key
 * stay).  An equal one is answered at once and nothing is touched. CONFLICT: somebody else changed
 * it meanwhile. */
void engine_cluster_set(struct engine *e, const struct caller *c, const char *name,
			const struct cluster *r, answer_fn done, void *ctx);
/* Its faces go into quarantine. */
void engine_cluster_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx);

enum engine_member_verb {
	ENGINE_MEMBER_ADD,
	ENGINE_MEMBER_SET, /* weight, priority */
	ENGINE_MEMBER_DRAIN,
	ENGINE_MEMBER_FAIL,
	ENGINE_MEMBER_ACTIVATE, /* back, from draining or failed */
	ENGINE_MEMBER_REMOVE,
	ENGINE_MEMBER_VERB_COUNT
};
const char *engine_member_verb_name(enum engine_member_verb v); /* "add", "set", … */
struct member_set {
	bool has_weight, has_priority;
	uint16_t weight;
	uint8_t priority;
	uint32_t drain_ms; /* DRAIN */
};
/* `member`: an address, or a name of a vMAC or port of this host; one change of the record.  Errors
 * as above; IN_USE: it is a member already. */
void engine_cluster_member(struct engine *e, const struct caller *c, const char *name,
			   enum engine_member_verb verb, const char *member,
			   const struct member_set *set, answer_fn done, void *ctx);

/* --- many hosts ------------------------------------------------------------------------------ */

enum engine_move_verb {
	ENGINE_MOVE_PREPARE,  /* at the destination: the holder reserves it for this host */
	ENGINE_MOVE_ACTIVATE, /* at the destination: as if the guest had spoken */
	ENGINE_MOVE_ABORT,    /* at either: the reservation or the wish ends */
	ENGINE_MOVE_STOP,     /* at the source: the guest stands still */
	ENGINE_MOVE_RESUME,   /* at the source: it runs again */
	ENGINE_MOVE_THAW,     /* a frozen one may move again */
	ENGINE_MOVE_MOVE,     /* this host takes it, with or without a port for it */
	ENGINE_MOVE_VERB_COUNT
};
const char *engine_move_verb_name(enum engine_move_verb v); /* "prepare", … */

/* A hint to the machine that moves a vMAC (migrate/migrate.h): answered with how it stands as soon
 * as it is under way, which is before it has come to its end; events "move" say how it goes on. The
 * vMAC need not be known to this host's own registry, then `which` is an address.
 *
 * lifetime_ms: PREPARE, 0 = 2 h.  force: MOVE, from a holder that was vouched dead.
 * Errors: NOT_FOUND, WRONG_STATE (also: this host is alone), BAD_VALUE, REGISTRY_UNREACHABLE,
 * FORBIDDEN, CONFLICT. */
void engine_move(struct engine *e, const struct caller *c, enum engine_move_verb verb,
		 const struct vmac_ref *v, int64_t lifetime_ms, bool force, answer_fn done,
		 void *ctx);

/* A host's state: "active", "draining" or "dead" (then fenced_by says who vouches for its death,
 * and how; "" = not given).  Answered with no record.  Errors: NOT_FOUND, WRONG_STATE (also: this
 * host is alone; it lives), BAD_VALUE, MISSING_FIELD, REGISTRY_UNREACHABLE. */
void engine_host_set(struct engine *e, const struct caller *c, const char *host, const char *state,
		     const char *fenced_by, answer_fn done, void *ctx);

/* Takes a host off the list.  WRONG_STATE: it lives, or it holds something and is not dead. */
void engine_host_forget(struct engine *e, const struct caller *c, const char *host, answer_fn done,
			void *ctx);

/* --- views: what is durable ------------------------------------------------------------------ */

/* Calls fn when everything submitted so far is durable (at once when nothing waits), so that no
 * view shows what may still be undone.  Views are to be used inside fn. */
void engine_when_durable(struct engine *e, void (*fn)(void *ctx), void *ctx);

struct segment_view {
	const struct segment *segment;
	uint64_t pools, vmacs, ports;
	bool uplink_present;
	int uplink_ifindex;
	vmac_mac_t uplink_address;
	unsigned int uplink_mtu;
	/* "filter": the NIC filters; "promiscuous": its driver fell back; "none": internal or
	 * absent */
	const char *reception;
	struct error trouble; /* code NONE = well */
};

struct pool_view {
	const struct pool *pool;
	const char *segment;
	uint64_t size, excluded, used, quarantined, available;
	wall_t next_free; /* end of the first quarantine; WALL_NEVER = none waits */
	/* Where hosts share the pool: how many of its blocks are this host's, and how many numbers
	 * each has; `available` is what these hold.  block_size 0 = it is not shared. */
	uint64_t blocks;
	uint32_t block_size;
};

/* Frames that came by the uplink with a vMAC of this host as their source; see fleet/fleet.h. */
#define WIRE_USES 4 /* "unknown", "move", "loop", "clone" */
struct wire_view {
	uint64_t frames; /* 0 = none, and nothing else counts */
	struct {
		const char *name;
		uint64_t looked; /* of those that were looked at, so many were this */
	} uses[WIRE_USES];
	int64_t first_ms, last_ms; /* ago */
	const char *as, *because;  /* one of these names, and why, for people */
};

/* A vMAC that two hosts have to do with, as this one sees it. */
struct move_view {
	const char *segment;
	vmac_mac_t address;
	/* Names and meanings of migrate/migrate.h: "held", "offered", …; "closed", "tunnel-in",
	 * "open", "redirect", "fenced"; "prepared", … */
	const char *state, *state_meaning, *gate, *reason, *reason_meaning;
	const char *holder, *to, *asks; /* hosts' names, "" = none */
	uint64_t epoch;
	int64_t since_ms;    /* ago: of the last transition */
	int64_t expires_ms;  /* until a reservation ends; -1 = there is none */
	uint64_t strangers;  /* frames of others with this address as their source, untagged */
	int64_t stranger_ms; /* ago: the last; -1 = none */
	struct wire_view wire;
};

struct vmac_view {
	const struct vmac *vmac;
	const char *segment, *pool, *port; /* "" = none */
	bool has_move;
	struct move_view move;
};

struct host_view {
	const char *name, *uuid, *state; /* "active", "draining", "dead" */
	const char *address;		 /* of its end of the tunnel; "" = it has none */
	const char *version, *fenced_by; /* "" = not dead */
	bool self, alive;
	uint16_t number, tunnel_port;
	uint64_t incarnation, blocks, vmacs; /* vmacs: with records of their own */
};

/* All hosts, by name; none where this host is alone. */
void engine_hosts(struct engine *e, void (*fn)(void *ctx, const struct host_view *v), void *ctx);
/* One; NOT_FOUND.  Texts are lent until the next view. */
int engine_host_view(struct engine *e, const char *name, struct host_view *ret,
		     struct error *ret_error);

/* What moves, or did in this run; in no order. */
void engine_moves(struct engine *e, void (*fn)(void *ctx, const struct move_view *v), void *ctx);

enum port_phase {
	PORT_WAITING, /* the link is not there (yet, or any more) */
	PORT_ACTIVE,  /* the data plane serves it as its gate says */
	PORT_FAILED,  /* the kernel refused; trouble says what, and it is tried again */
	PORT_PHASE_COUNT
};
const char *port_phase_name(enum port_phase p);

/* Who has a router's vMAC now, by the advertisements that the data plane saw. */
enum claim_holder { CLAIM_NOBODY, CLAIM_PORT, CLAIM_WIRE };
struct claim_view {
	enum claim_holder holder;
	const char *port;   /* CLAIM_PORT: its name */
	int64_t expires_ms; /* without another advertisement */
};

struct port_view {
	const struct port *port;
	const struct vmac *vmac;
	const char *segment;
	enum port_phase phase;
	int ifindex;
	unsigned int mtu;
	struct error trouble;			    /* code NONE = well */
	struct claim_view claims[PORT_ROUTERS_MAX]; /* of port->routers */
};

/* One by name; NOT_FOUND (with what exists as a hint, where that helps). */
int engine_segment_view(struct engine *e, const char *name, struct segment_view *ret,
			struct error *ret_error);
int engine_pool_view(struct engine *e, const char *name, struct pool_view *ret,
		     struct error *ret_error);
int engine_vmac_view(struct engine *e, const struct vmac_ref *v, struct vmac_view *ret,
		     struct error *ret_error);
int engine_port_view(struct engine *e, const char *name, struct port_view *ret,
		     struct error *ret_error);

/* The view of a vMAC that an answer brought; names are "" where what they name is gone meanwhile.
 */
void engine_vmac_look(struct engine *e, const struct vmac *v, struct vmac_view *ret);

/* All, by name (vMACs: by segment, then address). */
void engine_segments(struct engine *e, void (*fn)(void *ctx, const struct segment_view *v),
		     void *ctx);
void engine_pools(struct engine *e, void (*fn)(void *ctx, const struct pool_view *v), void *ctx);
void engine_ports(struct engine *e, void (*fn)(void *ctx, const struct port_view *v), void *ctx);

struct vmac_filter { /* "" or -1 = any */
	const char *segment, *pool, *owner, *tenant;
	int state, kind, origin;
	bool after; /* only those behind (after_segment, after_address) */
	const char *after_segment;
	vmac_mac_t after_address;
	unsigned int limit; /* 1 … 10,000 */
};
/* Returns through *ret_more whether others follow.  NOT_FOUND for an unknown segment or pool. */
int engine_vmacs(struct engine *e, const struct vmac_filter *f,
		 void (*fn)(void *ctx, const struct vmac_view *v), void *ctx, bool *ret_more,
		 struct error *ret_error);

struct router_view {
	const struct router *router;
	const struct elect_view *live; /* NULL: no elections here */
};
int engine_router_view(struct engine *e, const char *name, struct router_view *ret,
		       struct error *ret_error);
void engine_routers(struct engine *e, void (*fn)(void *ctx, const struct router_view *v),
		    void *ctx);

/* The last transitions, newest first, at most ELECT_HISTORY_MAX. */
int engine_router_history(struct engine *e, const char *name,
			  void (*fn)(void *ctx, const struct elect_event *event), void *ctx,
			  struct error *ret_error);

/* What belongs to no router; false: no elections here. */
bool engine_elections(struct engine *e, struct elect_facts *ret);
void engine_election_links(struct engine *e,
			   void (*fn)(void *ctx, const char *ifname, uint64_t received,
				      uint64_t overflowed, const uint64_t verdicts[VERDICT_COUNT]),
			   void *ctx);
const char *engine_verdict_name(unsigned int verdict);	    /* < VERDICT_COUNT */
const char *engine_election_state_name(unsigned int state); /* < FHRP_STATE_COUNT */

/* Who says on the wire that a virtual address of a cluster is at another address than a face. */
struct cluster_claimant {
	vmac_mac_t address;
	struct ip ip; /* the virtual address; of IPv6, family alone */
	wall_t since, last;
	uint64_t count; /* told of; 0 = nobody does */
};

struct cluster_view {
	const struct cluster *cluster;
	const char *segment;
	bool live; /* else there is no data plane here, or its mode has no anchors */
	unsigned int face_count, member_count, host_count;
	struct cluster_face_view {
		vmac_mac_t address;
		const char *anchor; /* the host's name; "" = nobody */
		bool here;
		uint64_t epoch;
		int64_t lease_ms; /* here: left; -1 = none */
	} faces[CLUSTER_FACES_MAX];
	/* By the record's order.  Lent until the next view. */
	const struct cluster_member_view {
		const struct cluster_member *member;
		const char *live; /* "up", "down", "draining", "drained", "failed", "silent",
				   * "absent" */
		const char *host, *port, *name; /* "" = none, not here */
		const char *health, *detail;	/* here: of its check */
		uint32_t rows;			/* of the table in force: its share of new flows */
		uint32_t flows;			/* live ones, as this host knows them */
		uint64_t frames, octets;	/* handed to it from here */
	} * members;
	uint32_t row_count, rows_unassigned;
	uint64_t view_epoch, view_number;
	bool coordinator, fail_open;
	struct cluster_claimant claimant;
	const struct cluster_counters_view {
		const char *name; /* of struct plane_cluster_counters and heartbeats' verdicts */
		uint64_t value;
	} * counters;
	unsigned int counter_count;
	struct error trouble; /* code NONE = well */
};
int engine_cluster_view(struct engine *e, const char *name, struct cluster_view *ret,
			struct error *ret_error);
/* All, by name. */
void engine_clusters(struct engine *e, void (*fn)(void *ctx, const struct cluster_view *v),
		     void *ctx);

struct counters_view {
	uint64_t rx_frames, rx_octets, tx_frames, tx_octets;
	uint64_t link_dropped; /* by the device: a tap whose guest does not read */
	uint64_t redirected;   /* of a port: sent after its guest, to another host */
	int64_t last_seen_ms;  /* ago; -1 = never */
	unsigned int reason_count;
	const uint64_t *drops; /* reason_count of them; names from engine_drop_reason() */
};
int engine_port_counters(struct engine *e, const char *port, struct counters_view *ret,
			 struct error *ret_error);
int engine_uplink_counters(struct engine *e, const char *uplink, struct counters_view *ret,
			   struct error *ret_error);
void engine_uplinks(struct engine *e, void (*fn)(void *ctx, const char *uplink), void *ctx);
unsigned int engine_drop_reason_count(void);
const char *engine_drop_reason_name(unsigned int reason);
const char *engine_drop_reason_meaning(unsigned int reason);

struct engine_status {
	const char *version, *registry_backend, *registry_where, *registry_uuid, *attach;
	bool registry_healthy;
	struct error registry_error;
	uint64_t segments, pools, vmacs, ports, routers, clusters, quarantined, pending;
	uint64_t commits, transactions, failures;
	int64_t commit_ns_last, commit_ns_most;
	uint64_t registry_octets;
	uint64_t commands, refusals;
	uint64_t refusals_by_code[ERROR_CODE_COUNT];
	mono_t started;
	bool maps_reused;
	/* This host among others; shared false: it is alone, and the rest means nothing. */
	struct fleet_status {
		bool shared;
		const char *backend, *endpoint; /* the one in use; "" = none */
		bool reachable, complete, joined;
		int64_t since_ms;   /* ago: that the shared registry is (or is not) reachable */
		struct error error; /* why not */
		const char *name, *uuid, *state, *cluster; /* "" = not known yet */
		uint16_t number;
		uint64_t hosts, alive, blocks, blocks_ours, records, moves, alarms;
		uint64_t available; /* numbers that this host's blocks hold */
		uint64_t images_behind, claims_lost;
		uint64_t revision, txns, lost, unreachable, refused, reads, watches, reconnects,
			reconciles;
		int64_t txn_ns_last, txn_ns_most, read_ns_last;
		uint64_t announced, queried, send_failed; /* frames to the wire and to guests */
		uint64_t claims_valid, claims_untagged, claims_forged; /* frames heard */
		bool tagged; /* announcements bear a tag: there is a cluster key */
	} fleet;
};
void engine_status(struct engine *e, struct engine_status *ret);

/* --- history and events ---------------------------------------------------------------------- */

struct history_filter {
	const char *segment, *subject; /* "" = any */
	uint64_t before;
	wall_t since, until;
	unsigned int limit;
};
void engine_history(struct engine *e, const struct history_filter *f,
		    void (*fn)(void *ctx, const struct error *error, const struct history *lines,
			       size_t count),
		    void *ctx);

/* One durable change, or a change of a port's phase, an uplink's state or who a router is (verb
 * "transition", or "note" for what leaves that as it is); told as it happens. */
struct engine_event {
	uint64_t seq; /* of this run, 1 … */
	wall_t at;
	/* "vmac", "port", "segment", "pool", "uplink", "router", "cluster" (beside its changes:
	 * verb "note", "alarm", "health"; to: an address, or "up", "down"); among hosts also "move"
	 * (subject: an address; verb "transition", "alarm"; from, to: states), "host" (subject: its
	 * name; verb "note"), "registry" (verb "note", "reachable", "unreachable") and, of "pool",
	 * verb "block" */
	const char *what;
	const char *segment; /* "" = none */
	const char *subject; /* an address or a name */
	const char *verb, *actor, *reason, *from, *to;
};
/* One subscriber: the API, which has its own list. NULL ends it. */
void engine_subscribe(struct engine *e, void (*fn)(void *ctx, const struct engine_event *event),
		      void *ctx);
