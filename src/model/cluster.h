/* A cluster: several stations that answer for one virtual MAC, on this host and on others.
 *
 * A *face* is a virtual MAC of the cluster: k faces for the same addresses have k anchors, and the
 * clients are spread over them.  A *member* is a station's vMAC in the cluster's segment, wherever
 * its port is.  The *mode* says how a frame for a face finds its member:
 *
 *   director     the host that holds the face's lease (its anchor) chooses the member by the row of
 *                the frame's flow and hands the frame on; the member answers the client directly
 *   distributed  every host gets every frame, and takes those whose row is a member's of its own
 *   carry        every member gets every frame: guests that balance by themselves (Microsoft NLB)
 *
 * Like every record it is immutable; it lives with all that it points to in one block of memory. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "model/ip.h"
#include "model/model.h"
#include "model/shared.h"

#define CLUSTERS_MAX	      256 /* a host */
#define CLUSTER_FACES_MAX     8
#define CLUSTER_ADDRESSES_MAX 16 /* virtual addresses, both families together */
#define CLUSTER_MEMBERS_MAX   1024
#define MEMBER_CLUSTERS_MAX   16 /* of which one guest is a member */
#define CLUSTER_RULES_MAX     16
#define CLUSTER_WEIGHT_MAX    1000
#define CLUSTER_ROWS	      65536 /* of a rendezvous table */
#define CLUSTER_MAGLEV_ROWS   65537 /* … of a Maglev table; prime */
#define CLUSTER_TARGET_MAX    255   /* of a health check: an HTTP path */
#define CLUSTER_DRAIN_MAX_MS  604800000

enum cluster_mode { CLUSTER_DIRECTOR, CLUSTER_DISTRIBUTED, CLUSTER_CARRY, CLUSTER_MODE_COUNT };

enum cluster_table { CLUSTER_RENDEZVOUS, CLUSTER_MAGLEV, CLUSTER_TABLE_COUNT };

/* What of a frame says its row. */
enum cluster_affinity {
	CLUSTER_AFFINITY_NONE,	  /* both addresses, protocol, both ports */
	CLUSTER_AFFINITY_SINGLE,  /* the client's address */
	CLUSTER_AFFINITY_NETWORK, /* the client's /24 or /64 */
	CLUSTER_AFFINITY_COUNT
};

enum cluster_action {
	CLUSTER_BALANCED,
	CLUSTER_PRIORITY, /* all to the active member with the highest priority */
	CLUSTER_DROPPED,
	CLUSTER_ACTION_COUNT
};

/* The first rule that matches counts; what none matches is balanced. */
struct cluster_rule {
	uint8_t protocol; /* IP protocol; 0 = any */
	uint8_t action;	  /* enum cluster_action */
	uint16_t from,
		to; /* destination ports, inclusive; TCP, UDP and SCTP only, else 0 … 65535 */
};

enum member_state {
	MEMBER_ACTIVE,
	MEMBER_DRAINING, /* no new flow; those that it has stay until they end, or the deadline */
	MEMBER_FAILED,	 /* an operator says so: as if it were dead */
	MEMBER_STATE_COUNT
};

struct cluster_member {
	/* 1 … CLUSTER_MEMBERS_MAX, unique in the cluster and kept for as long as the member is of
	 * it: hosts name members to each other by it, and tables hold it. */
	uint16_t id;
	vmac_mac_t address; /* of a station in the same segment */
	uint16_t weight;    /* 0 … CLUSTER_WEIGHT_MAX; 0: takes no new flow, like draining */
	uint8_t priority;   /* of CLUSTER_PRIORITY rules; higher wins, then the lower id */
	uint8_t state;	    /* enum member_state */
	/* DRAINING: how long at most since the change was seen; then it is FAILED; 0 = no limit. */
	uint32_t drain_ms;
};

/* Which members a row of a cluster's table has (balance/table.h); the data plane copies it. */
struct balance_row {
	uint16_t first, second; /* member ids; 0 = none */
};

enum cluster_check {
	CLUSTER_CHECK_NONE,  /* a member is fit while its port is up */
	CLUSTER_CHECK_ARP,   /* … and answers ARP (IPv6: ND) */
	CLUSTER_CHECK_TCP,   /* … and accepts a connection to a virtual address */
	CLUSTER_CHECK_HTTP,  /* … and answers a request there with a status of 200 … 399 */
	CLUSTER_CHECK_HTTPS, /* … by TLS, whoever its certificate is for */
	CLUSTER_CHECK_COUNT
};

/* Asks by a request, and not by a connection alone. */
static inline bool cluster_check_requests(enum cluster_check check)
{
	return check == CLUSTER_CHECK_HTTP || check == CLUSTER_CHECK_HTTPS;
}

static inline bool cluster_check_connects(enum cluster_check check)
{
	return check == CLUSTER_CHECK_TCP || cluster_check_requests(check);
}

struct cluster {
	uint32_t id; /* 1 … CLUSTERS_MAX, unique among the living of this host */
	uint32_t segment;
	char name[NAME_MAX_LEN + 1]; /* unique; among hosts too */
	uint8_t mode, table, affinity;
	/* Members do not carry the virtual addresses: they are rewritten at their ports.  Every
	 * member then has exactly one bound address of each family that the cluster has. */
	bool nat;
	uint8_t key[16]; /* of the flow hash and the tables; random; a secret worth keeping */
	unsigned int face_count, address_count, rule_count, member_count;
	const vmac_mac_t *faces; /* DISTRIBUTED, CARRY: exactly one; may be a group address there */
	const struct ip *addresses; /* CARRY: none needed */
	const struct cluster_rule *rules;
	const struct cluster_member *members; /* by id */
	/* Health, at every member's own host. */
	uint8_t check; /* enum cluster_check */
	uint16_t check_port;
	uint32_t check_interval_ms, check_timeout_ms; /* 100 … 3,600,000; timeout <= interval */
	uint8_t rise, fall;	  /* as many results in a row turn it, after the first */
	const char *check_target; /* HTTP: the path; "" = "/" */
	const char *note;
	uint64_t generation; /* grows with every change: who has the newer record */
	wall_t created, changed;
};

/* --- names: as the API, the command line and the file write them ----------------------------- */

const char *cluster_mode_name(enum cluster_mode m);	    /* "director", "distributed", "carry" */
const char *cluster_table_name(enum cluster_table t);	    /* "rendezvous", "maglev" */
const char *cluster_affinity_name(enum cluster_affinity a); /* "none", "single", "network" */
const char *cluster_action_name(enum cluster_action a);	    /* "balanced", "priority", "dropped" */
const char *member_state_name(enum member_state s);	    /* "active", "draining", "failed" */
const char *cluster_check_name(enum cluster_check c);	    /* "none", "arp", "tcp", "http" */

/* The value with that name, or -EINVAL. */
int cluster_mode_from_name(const char *name);
int cluster_table_from_name(const char *name);
int cluster_affinity_from_name(const char *name);
int cluster_action_from_name(const char *name);
int member_state_from_name(const char *name);
int cluster_check_from_name(const char *name);

/* "tcp/80", "udp/5000-6000", "icmp", "tcp", "any", "47": protocol and ports, without the action.
 * 0 or -EINVAL; *ret's action is left as it is. */
#define CLUSTER_RULE_TEXT_MAX 24
int cluster_rule_parse(const char *text, struct cluster_rule *ret);
char *cluster_rule_format(const struct cluster_rule *r, char buf[static CLUSTER_RULE_TEXT_MAX]);

/* Whether an IP protocol has ports: TCP, UDP, SCTP. */
bool cluster_has_ports(uint8_t protocol);

/* --- values ---------------------------------------------------------------------------------- */

/* Director, rendezvous, affinity none, check arp every 2 s with 1 s to answer, rise 2, fall 3; all
 * else zero or "". */
void cluster_defaults(struct cluster *c);

/* Holds a record against every rule that needs no other record: names, ranges, counts; group
 * addresses as faces only where no anchor speaks with them; members and faces, addresses and ids
 * twice; a rule with ports for a protocol that has none; a face that is a member.  Errors name the
 * field; BAD_VALUE, BAD_NAME, BAD_ADDRESS, GROUP_ADDRESS, MISSING_FIELD, LIMIT_REACHED. */
int cluster_check_record(const struct cluster *c, struct error *ret_error);

/* Whether two records say the same but for id, segment, generation, created and changed. */
bool cluster_equal(const struct cluster *a, const struct cluster *b);

/* The member with that id or address; NULL: none. */
const struct cluster_member *cluster_member_by_id(const struct cluster *c, uint16_t id);
const struct cluster_member *cluster_member_by_address(const struct cluster *c, vmac_mac_t address);

/* The lowest id that no member has; 0: the cluster is full. */
uint16_t cluster_member_free_id(const struct cluster *c);

/* Microsoft NLB's addresses, by the cluster's primary IPv4 address W.X.Y.Z (balance of guests by
 * themselves): unicast 02-BF-W-X-Y-Z, multicast 03-BF-W-X-Y-Z, IGMP 01-00-5E-7F-Y-Z. */
enum nlb_form { NLB_UNICAST, NLB_MULTICAST, NLB_IGMP };
vmac_mac_t nlb_address(enum nlb_form form, const struct ip *primary);
/* The source address under which an NLB host with this priority (1 … 32) speaks: 02-h-W-X-Y-Z. */
vmac_mac_t nlb_masked(vmac_mac_t cluster, unsigned int priority);
bool nlb_is_cluster(vmac_mac_t address, enum nlb_form *ret_form);

/* --- a cluster in one block (as vmac_block_fill()) ------------------------------------------- */

size_t cluster_block_size(const struct cluster *c);
struct cluster *cluster_block_fill(void *block, const struct cluster *c);

/* A record that several own, as with routers: see router_record_new(). */
const struct cluster *cluster_record_new(const struct cluster *c, const struct mem *m);
const struct cluster *cluster_hold(const struct cluster *c);
void cluster_release(const struct cluster *c);
