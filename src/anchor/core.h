/* All clusters of this host, from frames and time to leases, frames and reports; no I/O, no clock.
 *
 * Theory of operation
 *
 * A heartbeat comes in by the link and VLAN that it was received on, is found its cluster by the
 * name that it bears (a hash under the cluster's key), is held against the key, and becomes an
 * event of that cluster's group machine (balance/group.h).  The machine's effects become calls of
 * `ops`, at once and in their order: a lease is stored before the frame that says so is sent.
 *
 * A cluster that is removed hands over first, for at most GROUP_SERVE; what takes its id or its
 * place in the data plane meanwhile ends it at once.  After that this file never again stores a
 * lease for it.
 *
 * The simulation runs this very code with other ops. */
#pragma once

#include "anchor/anchor.h"
#include "balance/table.h"

struct anchor_core;

/* Called from inside of the core; they never call back into it. */
struct anchor_ops {
	void (*lease)(void *ctx, unsigned int slot, unsigned int face, mono_t serve, mono_t speak);
	void (*own)(void *ctx, unsigned int slot, mono_t until);
	void (*standing)(void *ctx, unsigned int slot, const struct heartbeat_bits *members);
	/* A whole frame, without a VLAN tag, to the uplink and the VLAN of `where`; lent. */
	void (*send)(void *ctx, const struct anchor_where *where, const void *frame, size_t len);
	/* All but `at`; lent. */
	void (*report)(void *ctx, const struct anchor_report *r);
	/* The cluster is forgotten, its leases are ended. */
	void (*gone)(void *ctx, uint32_t cluster);
};

struct anchor_identity {
	struct uuid self;
	uint16_t number; /* 0 = it has none yet, and takes no part but where it is alone */
	bool alone;
	uint64_t incarnation;
};

struct anchor_core_config {
	const struct mem *mem;
	const struct anchor_ops *ops;
	void *ctx;
	struct anchor_identity identity;
};
int anchor_core_new(const struct anchor_core_config *config, struct anchor_core **ret);
/* Ends all leases, says nothing to others; NULL is fine. */
void anchor_core_free(struct anchor_core *c);

/* --- what is told ---------------------------------------------------------------------------- */

/* All begin anew, but where nothing changed. */
void anchor_core_identity(struct anchor_core *c, const struct anchor_identity *identity,
			  mono_t now);

/* What the engine knows of how its members are here; by id. */
struct anchor_members {
	struct heartbeat_bits hosted, fit, busy;
};
/* Adds a cluster or changes it.  Another segment, name, key, slot, or another answer to whether it
 * has a wire, begin anew.  -ENOMEM: a new one is not there, an old one stays as it was. */
int anchor_core_set(struct anchor_core *c, const struct cluster *record,
		    const struct anchor_where *where, mono_t now);
void anchor_core_remove(struct anchor_core *c, uint32_t cluster, mono_t now);
void anchor_core_leave(struct anchor_core *c, mono_t now); /* removes all */
bool anchor_core_empty(const struct anchor_core *c);

/* Whether the link can be spoken and heard on; at first none can. */
void anchor_core_link(struct anchor_core *c, int ifindex, bool usable, mono_t now);
/* Those whose state differs from what it was told before are told to the machine. */
void anchor_core_members(struct anchor_core *c, uint32_t cluster, const struct anchor_members *m,
			 mono_t now);
/* GROUP_INSTALLED, GROUP_COMMITTED, GROUP_CLAIMED, GROUP_STRANGER. */
void anchor_core_event(struct anchor_core *c, uint32_t cluster, const struct group_event *event,
		       mono_t now);

/* --- what happens ---------------------------------------------------------------------------- */

/* A frame as it came in, without its VLAN tag.  HEARTBEAT_NOT: of no cluster of ours there. */
enum heartbeat_verdict anchor_core_frame(struct anchor_core *c, int ifindex, uint16_t vlan,
					 const void *data, size_t len, mono_t now);
void anchor_core_time(struct anchor_core *c, mono_t now);
mono_t anchor_core_next_expiry(const struct anchor_core *c);

/* --- look ------------------------------------------------------------------------------------ */

struct anchor_place {
	const struct cluster *record;
	const struct anchor_where *where;
	bool hosts;   /* it has a member here */
	bool leaving; /* was removed, and hands over */
};
/* False: no such cluster. */
bool anchor_core_place(const struct anchor_core *c, uint32_t cluster, struct anchor_place *ret);
/* All but `trouble`. */
bool anchor_core_look(const struct anchor_core *c, uint32_t cluster, mono_t now,
		      struct anchor_view *ret);
/* Whether its face is IP multicast's, and which group it is of. */
bool face_is_multicast(const struct cluster *c, uint8_t ret_group[static 4]);
const struct group *anchor_core_group(const struct anchor_core *c, uint32_t cluster);
