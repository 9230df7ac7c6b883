/* The domain on one page: plain data, no behaviour.
 *
 * A record is an immutable value: an update makes a new one, so that a change is {before, after}
 * and can be undone.  Texts are UTF-8 without control characters and never NULL ("" = not given).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vmac/mac.h>

#include "base/clock.h"

/* Limits, all of them tested. */
#define NAME_MAX_LEN	  63  /* names of segments, pools, ports, vMACs */
#define OWNER_MAX_LEN	  127 /* owner, tenant */
#define NOTE_MAX_LEN	  255
#define IFNAME_MAX_LEN	  15
#define PATH_MAX_LEN	  255
#define POOL_RANGES_MAX	  16
#define POOL_EXCLUDES_MAX 16
#define VMAC_IPS_MAX	  8 /* bound addresses of one vMAC, both families together */
#define SEGMENTS_MAX	  4096
#define POOLS_MAX	  4096
#define PORTS_MAX	  4096 /* a host */
#define SEGMENT_PORTS_MAX 1024 /* a host; the data plane's replication list */
#define UPLINKS_MAX	  15   /* a host */
#define PORT_ROUTERS_MAX  8    /* protocol vMACs that one port may have */

struct ip {
	uint8_t family;	   /* 4 or 6 */
	uint8_t octet[16]; /* the first 4 where family is 4; the rest zero */
};

/* --- segment: one layer-2 network on this host ----------------------------------------------- */

struct segment {
	uint32_t id; /* 1 … SEGMENTS_MAX, unique among the living */
	char name[NAME_MAX_LEN + 1];
	char uplink[IFNAME_MAX_LEN + 1]; /* "" = internal: ports only */
	uint16_t vlan;			 /* 0 = untagged, 1 … 4094 */
	/* The data plane's number, kept for life: slot << 12 | vlan, where slot is the uplink's (1
	 * … UPLINKS_MAX), or 0 for an internal segment with a number of its own in place of vlan.
	 */
	uint16_t net;
	uint64_t epoch_floor; /* every epoch ever used by a deleted vMAC is <= this */
	wall_t created;
};

/* --- pool: where a segment's addresses come from --------------------------------------------- */

struct pool {
	uint32_t id; /* 1 …, unique among the living */
	uint32_t segment;
	char name[NAME_MAX_LEN + 1];
	unsigned int range_count, exclude_count;
	struct vmac_mac_range ranges[POOL_RANGES_MAX];	   /* disjoint, in the order given */
	struct vmac_mac_range excludes[POOL_EXCLUDES_MAX]; /* never handed out */
	uint8_t key[16];       /* of the permutation; a secret worth keeping (stable mode) */
	uint64_t cursor;       /* the index to try next, in [0, size) */
	int64_t quarantine_ms; /* >= 0 */
	uint64_t limit;	       /* vMACs at most at once; 0 = as many as the ranges hold */
	wall_t created;
};

/* --- vMAC ------------------------------------------------------------------------------------ */

enum vmac_kind { VMAC_STATION, VMAC_ROUTER, VMAC_CLUSTER, VMAC_KIND_COUNT };

enum vmac_origin {
	VMAC_ALLOCATED, /* the pool's choice (cursor or stable) */
	VMAC_PINNED,	/* the user's choice */
	VMAC_ADOPTED,	/* in use before we came; kept */
	VMAC_PROTOCOL,	/* a protocol's (VRRP, HSRP, …) */
	VMAC_ORIGIN_COUNT
};

enum vmac_state {
	/* Held by nobody yet; its owner may bind it to a port, renew, change or release it. */
	VMAC_RESERVED,
	/* Held by this host's port `holder`; must be unbound (port deleted) before release. */
	VMAC_BOUND,
	/* Reserved here for a guest that is on its way from another host, which still holds it. */
	VMAC_MOVING,
	/* Released; nobody may have it before `until`.  Owner and name are free for others. */
	VMAC_QUARANTINED,
	/* Held by another host, whose epoch this is; kept here because it is of a block of ours, or
	 * because a port of ours still carries it. */
	VMAC_AWAY,
	VMAC_STATE_COUNT
};

/* One record a (segment, address).  The texts and ips live in the record's own block of memory:
 * see model/record.h. */
struct vmac {
	vmac_mac_t address;
	uint8_t kind, origin, state; /* enum vmac_… */
	uint8_t ip_count;
	uint32_t segment;
	uint32_t pool;	/* 0 = of no pool (pinned or adopted outside all) */
	uint32_t port;	/* the holder on this host, 0 = none */
	uint64_t epoch; /* grows by one with every change of holder; never reused in a segment */
	wall_t created, changed;
	int64_t ttl_ms; /* 0 = for life; else renewal sets until = now + ttl */
	wall_t until; /* RESERVED, BOUND: end of lifetime; QUARANTINED: end of it; or WALL_NEVER */
	const char *name, *owner, *tenant, *note;
	const struct ip *ips;
	uint64_t row; /* the store's own: where the registry keeps it; 0 until submitted */
};

/* --- port: where a vMAC meets a VM, a container or a netdev ---------------------------------- */

enum port_kind { PORT_TAP, PORT_VETH, PORT_NETDEV, PORT_KIND_COUNT };

enum port_gate {
	GATE_CLOSED, /* nothing passes, either way */
	GATE_OPEN,
	GATE_COUNT
};

/* What a port may do beyond speaking as its own vMAC. */
#define PORT_ALLOW_DHCP_SERVER	 (1u << 0) /* answers as a DHCP or DHCPv6 server */
#define PORT_ALLOW_ROUTER_ADVERT (1u << 1) /* sends ICMPv6 RA and redirect */
#define PORT_ALLOW_ANY_IP	 (1u << 2) /* senders unchecked although some are bound */

struct port {
	uint32_t id; /* 1 …, unique among the living */
	uint32_t segment;
	char name[NAME_MAX_LEN + 1];
	uint8_t kind, gate;		      /* gate: as the operator wants it */
	bool made;			      /* the link is ours to delete */
	vmac_mac_t address;		      /* the vMAC it holds */
	char ifname[IFNAME_MAX_LEN + 1];      /* the host side */
	char peer_netns[PATH_MAX_LEN + 1];    /* veth: a path such as /run/netns/NAME */
	char peer_ifname[IFNAME_MAX_LEN + 1]; /* veth: the name inside */
	uint32_t owner_uid, owner_gid;	      /* tap: UINT32_MAX = root alone opens it */
	uint16_t queues;		      /* tap: 1 … 256 */
	uint16_t mtu;			      /* 0 = the uplink's */
	uint32_t allow;			      /* PORT_ALLOW_… */
	uint32_t flood_pps; /* broadcast, multicast and unknown frames a second; 0 = no limit */
	/* Protocol vMACs (VRRP, HSRP, CARP) that the guest may have while it is the active router;
	 * with any of them its IP senders are not checked. */
	unsigned int router_count;
	vmac_mac_t routers[PORT_ROUTERS_MAX];
	wall_t created;
};

/* --- change and history ---------------------------------------------------------------------- */

enum change_kind {
	CHANGE_SEGMENT,
	CHANGE_POOL,
	CHANGE_VMAC,
	CHANGE_PORT,
	CHANGE_ROUTER,	/* struct router: model/router.h */
	CHANGE_SHARED,	/* struct shared_record: model/shared.h; what `keep` keeps */
	CHANGE_CLUSTER, /* struct cluster: model/cluster.h */
	CHANGE_KIND_COUNT
};

/* before NULL: created; after NULL: deleted.  Both of the type that `kind` names, with equal id
 * (or, for a vMAC, equal segment and address). */
struct change {
	enum change_kind kind;
	const void *before, *after;
	/* What history says; "" = this change is not worth a line (a pool's cursor). */
	const char *verb;   /* "allocate", "bind", "release", … static text */
	const char *reason; /* borrowed from the change's owner */
};

/* One line of the history, as it is read back. */
struct history {
	uint64_t seq;
	wall_t at;
	enum change_kind kind;
	const char *segment; /* name; "" for a port or pool of none */
	const char *subject; /* an address for a vMAC, a name for the rest */
	const char *verb, *actor, *reason;
	const char *from, *to; /* "" = absent, else "reserved", "bound port=web1 epoch=3", … */
};

const char *vmac_kind_name(enum vmac_kind k);
const char *vmac_origin_name(enum vmac_origin o);
const char *vmac_state_name(enum vmac_state s);
const char *port_kind_name(enum port_kind k);
const char *port_gate_name(enum port_gate g);
const char *change_kind_name(enum change_kind k);

/* The value with that name, or -EINVAL. */
int vmac_state_from_name(const char *name);
int vmac_kind_from_name(const char *name);
int vmac_origin_from_name(const char *name);
int port_kind_from_name(const char *name);
