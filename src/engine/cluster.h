/* Clusters of this host: what stands between their records, the data plane, and the thread that
 * holds their leases (anchor/).  Private to this room.
 *
 *   cluster_command.c   what is asked of us -> a record that could be, checked
 *   cluster_check.c     … against everything else that this host knows
 *   cluster_job.c       … asked on the wire, agreed among hosts, durable
 *   cluster_txn.c       the record and the records of its faces, in one txn
 *   cluster_carry.c     durable truth and ports -> data plane, NIC filters, anchors
 *   cluster_report.c    what the anchors report -> rows in the data plane, the journal, events
 *   cluster_health.c    which members are fit
 *   cluster_view.c      clusters as others may see them
 *   side_cluster.c      the clusters that the hosts agree upon
 *
 * A cluster's slot in the data plane is its id less one, for life. */
#pragma once

#include "anchor/anchor.h"
#include "balance/health.h"
#include "balance/table.h"
#include "engine/inside.h"
#include "plane/cluster.h"

struct errands;
struct inject;

/* A member as this host knows it. */
struct member_here {
	uint16_t id;
	uint32_t port; /* that carries it, 0 = none here */
	bool hosted;
	bool looked;   /* hosted is more than a beginning */
	mono_t paused; /* its guest moves, and stands still here since; ns 0 = not */
	/* It drains; and flows of it are known here, or it is not known yet whether. */
	bool draining, busy;
	bool crowded; /* cluster_crowded_out(): it serves, and gets nothing of this cluster */
	/* It joined a cluster that was here before: gets nothing until a first check went well.
	 * Those that this host found when it started count as fit until one went wrong. */
	bool newcomer;
	struct health_state health;
	/* The check: one at a time, then again an interval later. */
	bool checked, asking;
	mono_t next, deadline; /* when the next begins; when this one has failed */
	uint64_t probe;	       /* TCP, HTTP: the errands' */
	char detail[96];
	/* What the anchors' thread was told last. */
	bool told, told_hosted, told_fit, told_busy;
};

struct cluster_state {
	const struct cluster *record; /* held */
	bool set;		      /* the data plane has it, and so do the anchors: */
	bool anchored;
	bool changed;		      /* the record: the anchors are yet to hear of it */
	bool install_due, commit_due; /* rows that the data plane did not take */
	struct anchor_where where;    /* as they were told */
	int filter_ifindex;	      /* of the NIC whose filter has its faces; 0 = none */
	struct error trouble;	      /* of the data plane */
	struct error unable;	      /* of the checks */
	struct member_here *members;  /* by index in the record */
	/* How many rows each member is first of, by id: of the installed rows, of those in force.
	 */
	uint32_t *installed_rows, *rows;
	uint32_t installed_unassigned, unassigned;
	struct balance_row *before;	    /* Maglev: the last rows */
	uint64_t epochs[CLUSTER_FACES_MAX]; /* that the journal is yet to have; 0 = none */
	uint32_t *flows;		    /* by member id, as scanned last */
	mono_t scanned;
	mono_t check_due;   /* when a check begins or ends; ns 0 = none yet */
	mono_t check_begun; /* when the last first check of a member is, or was, to begin */
	struct cluster_claimant claimant;
	mono_t claimed_at; /* the last time; ns 0 = never */
	uint64_t claims;   /* of all */
	mono_t reached;	   /* since when a face is known to have an anchor; ns 0 = it has none */
};

struct cluster_job;

struct balancing {
	struct cluster_state *states[CLUSTERS_MAX + 1]; /* by id */
	/* Durable, and still to be carried: there was no memory for it.  Held. */
	const struct cluster *late[CLUSTERS_MAX + 1];
	struct cluster_job *jobs;
	struct errands *errands; /* NULL: no check has needed it yet */
	struct inject *inject;
	uint64_t probes;   /* begun so far: makes their ids unique */
	mono_t retry;	   /* of what could not be carried out; MONO_NEVER = nothing */
	mono_t scan;	   /* of flows, because a member drains */
	mono_t pause;	   /* a member that moves stands still for too long; MONO_NEVER = none */
	struct seen *look; /* what the last view lent: cluster_view.c */
	uint16_t number;   /* of this host, as the anchors were told; 0 = not yet */
};

static inline unsigned int cluster_slot(const struct cluster *c)
{
	return c->id - 1;
}

static inline struct cluster_state *cluster_state_of(struct engine *e, uint32_t id)
{
	return id <= CLUSTERS_MAX ? e->balancing->states[id] : NULL;
}

void balancing_retry(struct engine *e, span_t in);

/* --- cluster_check.c ------------------------------------------------------------------------- */

/* Holds a record against all else that this host knows.  before NULL: a new one. */
int cluster_check_world(struct engine *e, const struct cluster *c, const struct cluster *before,
			struct error *ret_error);
/* A given face: an address that may be one, of a cluster of that name. */
int cluster_check_face(struct engine *e, uint32_t segment, vmac_mac_t face, const char *name,
		       struct error *ret_error);
/* Whether a station with that address is known, here or among the hosts. */
int cluster_check_member(struct engine *e, uint32_t segment, vmac_mac_t member,
			 struct error *ret_error);
/* Whether the member is one of more clusters than a port can bear, and this is not among the first
 * of them (by id, as in the data plane).  A command cannot make it so; two hosts at once can. */
bool cluster_crowded_out(struct engine *e, const struct cluster *c, vmac_mac_t member);

/* For commands on vMACs: whether addresses may be bound. */
int cluster_addresses_free(struct engine *e, uint32_t segment, const struct ip *ips,
			   unsigned int count, struct error *ret_error);
/* … and whether the vMAC is nobody's face and nobody's member. */
int cluster_check_loose(struct engine *e, const struct vmac *v, struct error *ret_error);
int cluster_check_no_face(struct engine *e, const struct vmac *v, struct error *ret_error);

/* --- cluster_job.c --------------------------------------------------------------------------- */

enum cluster_job_kind { CLUSTER_JOB_ADD, CLUSTER_JOB_SET, CLUSTER_JOB_DELETE };

/* Carries a command out: asks the wire for addresses that are new, has faces claimed and the
 * record agreed upon where there are other hosts, makes it durable, answers. */
struct cluster_order {
	enum cluster_job_kind kind;
	const struct cluster *record; /* as it is to be; DELETE: as it is */
	bool taken;		      /* ADD: its faces are taken in their pool's machine */
	const char *verb;	      /* of the history: static */
};
void cluster_job_begin(struct engine *e, const struct caller *c, const struct cluster_order *o,
		       answer_fn done, void *ctx);
void cluster_jobs_time(struct engine *e, mono_t now);
void cluster_jobs_turn(struct engine *e); /* what fleet/ has answered goes on */
mono_t cluster_jobs_expiry(const struct engine *e);
/* Whether a command is about to write what the hosts have just agreed upon. */
bool cluster_job_awaits(struct engine *e, const struct shared_cluster *told, bool gone);
void cluster_jobs_end(struct engine *e); /* answers all: we stop */

/* --- cluster_txn.c --------------------------------------------------------------------------- */

/* Each adds to the txn the change of a record and what it makes of its faces' records. */
int cluster_put(struct txn *t, const struct cluster *before, const struct cluster *after,
		const char *verb, struct error *ret_error);
int cluster_drop(struct txn *t, const struct cluster *before, struct error *ret_error);
#define CLUSTER_OWNER_MAX (NAME_MAX_LEN + 16)
void cluster_owner(const char *name, char ret[static CLUSTER_OWNER_MAX]);
/* The txn's carry: gives to the data plane and the anchors what has become durable. */
int cluster_durable(struct txn *t, struct error *ret_error);

/* --- cluster_carry.c ------------------------------------------------------------------------- */

int balancing_new(struct engine *e, struct error *ret_error);
void balancing_free(struct engine *e);
/* This host's number among others is known, or another. */
void balancing_identity(struct engine *e);
/* At start, when uplinks and ports stand. */
void balancing_start(struct engine *e);
/* Makes all be as the record says, as far as the kernel lets it now. */
void cluster_carry(struct engine *e, const struct cluster *c);
void cluster_carry_away(struct engine *e, uint32_t id);
/* A port, or what its gate lets pass, may have changed; the record may be on its way out. */
void cluster_port(struct engine *e, const struct port *p);
void cluster_uplink(struct engine *e, unsigned int slot); /* came, went or changed */
void cluster_vmac_changed(struct engine *e, const struct vmac *v);
/* Whether the filter of that NIC is to have the address, which is a face. */
bool cluster_filters(struct engine *e, unsigned int slot, vmac_mac_t address);
/* Tells the anchors how the member is here, where that is news. */
void cluster_tell_member(struct engine *e, struct cluster_state *s, unsigned int index);
void balancing_time(struct engine *e, mono_t now);
mono_t balancing_expiry(const struct engine *e);

/* --- cluster_report.c ------------------------------------------------------------------------ */

void cluster_report(void *ctx, const struct anchor_report *r);
/* Rows and epochs that could not be written down before. */
void cluster_reports_retry(struct engine *e, struct cluster_state *s);
/* Somebody on the wire says that a virtual address is his. */
bool cluster_claimed(const struct cluster_state *s, mono_t now); /* of late */
void cluster_on_claimant(struct engine *e, const struct plane_event *event);
void cluster_on_stranger(struct engine *e, const struct plane_event *event);
/* What the data plane counted, at most once a second; NULL: it cannot be had. */
const uint32_t *cluster_flows(struct engine *e, struct cluster_state *s);
const char *cluster_host_name(struct engine *e, uint16_t number); /* "" = nobody */

/* --- cluster_health.c ------------------------------------------------------------------------ */

bool member_fit(const struct engine *e, const struct cluster_state *s, unsigned int index);
/* The member is here now, or no more, or its check is another. */
void cluster_health_begin(struct engine *e, struct cluster_state *s, unsigned int index);
/* It came from another host, which says that it is fit: from there on as many results count as a
 * check needs, because a guest that has just moved may be slow to answer the first. */
void cluster_health_inherit(struct engine *e, struct cluster_state *s, unsigned int index);
void cluster_health_end(struct engine *e, struct member_here *m);
void cluster_health_answered(struct engine *e, const struct plane_event *event);
void cluster_health_time(struct engine *e, struct cluster_state *s, mono_t now);

/* --- side_cluster.c -------------------------------------------------------------------------- */

struct fleet_side;
void side_told_cluster(void *ctx, const struct shared_cluster *c, bool gone);
/* Into this host's own registry, whatever it has. */
void side_write_cluster(struct fleet_side *s, const struct shared_cluster *c, bool gone);
/* The same, of a command's txn that is about to be submitted: where the store refuses it, it is
 * tried again, because the hosts have agreed already. */
void side_insist_cluster(struct txn *t, const struct shared_cluster *c, bool gone);
/* After the shared registry was read: what this host has and was never there is put to the others.
 */
void side_agree_clusters(struct fleet_side *s);
void side_clusters_of_segment(struct fleet_side *s, const struct segment *segment);
