/* Request bodies: JSON octets to the engine's arguments, without HTTP.
 *
 * Every body is untrusted.  Reading one never leaves anything behind: on failure the body is empty.
 */
#pragma once

#include <stddef.h>

#include "api/field.h"
#include "engine/engine.h"

struct json_t;

#define REASON_MAX_LEN NOTE_MAX_LEN

struct body_vmac_add {
	struct vmac_add add;
	bool has_pinned, has_adopted;
	vmac_mac_t pinned, adopted;
};

struct body_port_add {
	struct port_add add;
	struct body_vmac_add allocate;
	bool has_allocate;
};

struct body_move {
	int64_t lifetime_ms;
	bool force;
};

struct body_host_set {
	const char *state, *fenced_by;
};

/* What was said of a router, and what not: router_form.h makes a record of it. */
struct body_router {
	struct router router;
	struct body_router_given {
		bool name, protocol, enabled, priority, interval, hold, learn, preempt,
			preempt_delay, boot_hold, accept, also_v2, checksum, garp, announce_count,
			announce_refresh, linger, auth_type, auth_mode, keys, sets, tracks, notify,
			note;
	} given;
};

/* A member as a request names it: an address, or a name of this host's. */
struct body_cluster_member {
	const char *which;
	bool has_weight, has_priority, has_state, has_within;
	uint16_t weight;
	uint8_t priority, state;
	uint32_t within_ms;
};

/* What was said of a cluster, and what not: cluster_form.h makes a record of it. */
struct body_cluster {
	struct cluster record; /* members apart, below */
	const char *segment, *pool;
	uint32_t allocate;
	unsigned int member_count;
	const struct body_cluster_member *members;
	struct body_cluster_given {
		bool name, mode, table, affinity, nat, faces, addresses, rules, members, check,
			check_port, check_interval, check_timeout, check_target, rise, fall, note;
	} given;
};

/* The schema says which member is meant; all texts point into root. */
struct body {
	struct json_t *root;
	struct body_block *blocks; /* arrays whose length the request decides */
	const char *reason;	   /* "" = not given */
	union {
		struct segment_add segment_add;
		struct pool_add pool_add;
		struct pool_set pool_set;
		struct body_vmac_add vmac_add;
		struct vmac_batch vmac_batch;
		struct vmac_set vmac_set;
		struct body_move move;
		struct body_host_set host_set;
		struct body_port_add port_add;
		struct port_set port_set;
		struct body_router router;
		struct body_cluster cluster;
		struct body_cluster_member member;
	};
};

extern const struct schema body_segment_add, body_pool_add, body_pool_set, body_vmac_add,
	body_vmac_allocate, body_vmac_batch, body_vmac_set, body_vmac_renew, body_port_add,
	body_port_set, body_router_add, body_router_set, body_router_auth, body_router_key,
	body_router_group, body_router_track, body_move_prepare, body_move_hint, body_move_take,
	body_host_set, body_cluster_add, body_cluster_set, body_cluster_rule, body_cluster_check,
	body_cluster_member, body_member_add, body_member_set;

/* Reads data as an object of that schema; no octets at all are an empty object.  The texts of *ret
 * live until body_done().  Errors: BAD_JSON (with line and column), UNKNOWN_FIELD, WRONG_TYPE,
 * MISSING_FIELD, and what the fields' own checks say. */
int body_read(const struct schema *schema, const char *data, size_t len, struct body *ret,
	      struct error *ret_error);
void body_done(struct body *b);

/* The same of what is JSON already; root becomes the body's, also on failure.  `texts`: numbers and
 * booleans come as texts too, as a YAML file has them. */
int body_read_json(const struct schema *schema, struct json_t *root, bool texts, struct body *ret,
		   struct error *ret_error);
