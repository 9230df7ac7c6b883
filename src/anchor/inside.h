/* What the files of the core share; nobody else includes it.
 *
 * core.c     clusters: who is there, and what is told of them
 * act.c      one step of a machine, and what its effects become
 * announce.c what a face's announcement is made of, and who listens to it
 * look.c     what others are shown */
#pragma once

#include "anchor/core.h"

#define ANCHOR_FRAME_MAX (14 + HEARTBEAT_LEN_MAX)

struct anchor_entry {
	const struct cluster *record; /* held */
	struct anchor_where where;    /* its segment is this entry's own */
	char segment[NAME_MAX_LEN + 1];
	bool usable; /* the link: anchor_core_link() */
	bool linked; /* as the machine was told */
	bool leaving;
	mono_t leave_by;
	bool listening; /* a membership was said */
	mono_t listen_due;
	struct anchor_members members;
	uint64_t sent, heard, late, transitions;
	uint64_t verdicts[HEARTBEAT_VERDICT_COUNT];
	uint64_t replayed, behind;
	uint64_t asked, answered; /* hosts that are heard no more (wire/pulse.h) */
	struct group group;
};

struct anchor_core {
	const struct mem *mem;
	const struct anchor_ops *ops;
	void *ctx;
	struct anchor_identity identity;
	/* The highest sequence that any machine that is no more has sent: one that begins anew goes
	 * on from here, or its heartbeats would be old to those who heard the one before. */
	uint32_t sequence;

	/* By id.  Time and names stand apart, so that to look for one is to walk through some lines
	 * of cache, whatever there is behind. */
	struct anchor_entry *entries[CLUSTERS_MAX + 1];
	int64_t due[CLUSTERS_MAX + 1]; /* mono_t.ns */
	uint64_t names[CLUSTERS_MAX + 1];

	struct balance_choice choices[CLUSTER_MEMBERS_MAX]; /* of one report */
	struct heartbeat heartbeat;			    /* the one that came or goes */
	uint8_t frame[ANCHOR_FRAME_MAX];
};

/* --- core.c ---------------------------------------------------------------------------------- */

void entry_drop(struct anchor_core *c, struct anchor_entry *e);

/* --- act.c ----------------------------------------------------------------------------------- */

/* Tells the machine, carries out what it says, and forgets the cluster where it has left. */
void entry_step(struct anchor_core *c, struct anchor_entry *e, const struct group_event *event,
		mono_t now);

/* --- announce.c ------------------------------------------------------------------------------ */

void entry_announce(struct anchor_core *c, struct anchor_entry *e, unsigned int face,
		    uint64_t epoch);
/* Says that this host listens no more to what the record had and the other has not (NULL: to
 * nothing at all). */
void entry_unlisten(struct anchor_core *c, struct anchor_entry *e, const struct cluster *was,
		    const struct cluster *is);
/* Says again that this host listens to the face and to questions for its addresses, where that is
 * due. */
void entry_listen(struct anchor_core *c, struct anchor_entry *e, bool hosts, mono_t now);

/* --- look.c ---------------------------------------------------------------------------------- */

bool entry_hosts(const struct anchor_entry *e); /* a member */
