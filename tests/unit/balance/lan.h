/* Some hosts on one segment, each with a group machine, in one loop: heartbeats go through the
 * codec and arrive a millisecond later, views are installed and committed at once. */
#pragma once

#include "balance/group.h"

#define LAN_HOSTS   3
#define LAN_MEMBERS 6
#define MS(n)	    ((int64_t)(n)*1000000)

struct lan_frame {
	int64_t at;
	uint8_t from, to;
	uint64_t secret; /* not a heartbeat: the answer of a host's data plane */
	uint16_t len;
	uint8_t data[HEARTBEAT_LEN_MAX];
};

struct lan_host {
	struct group g;
	bool up, lazy; /* lazy: installs nothing */
	bool stands;   /* its daemon alone is down */
	struct cluster record;
	struct cluster_member members[LAN_MEMBERS];
	vmac_mac_t faces[CLUSTER_FACES_MAX];
	uint64_t incarnation;
	/* The data plane. */
	int64_t serve[CLUSTER_FACES_MAX], speak[CLUSTER_FACES_MAX], own;
	struct heartbeat_view installed, committed;
	struct heartbeat_bits fresh;
	struct group_event done[4]; /* what the data plane answers once the step is over */
	unsigned int done_count;
	/* What was seen of it. */
	unsigned int effects[GROUP_EFFECT_COUNT], reasons[GROUP_REASON_COUNT];
	unsigned int announced[CLUSTER_FACES_MAX];
	int64_t last_announced;
};

struct lan {
	int64_t now;
	struct lan_host hosts[LAN_HOSTS];
	bool cut[LAN_HOSTS][LAN_HOSTS]; /* from, to */
	struct lan_frame queue[4096];
	unsigned int queued;
};

void lan_init(struct lan *l, enum cluster_mode mode, unsigned int faces);
/* Host h with number h + 1 hosts members 2 h + 1 and 2 h + 2, which are fit. */
void lan_up(struct lan *l, unsigned int h);
/* All of them, settled: face 0 has an anchor, all members are fresh. */
void lan_all_up(struct lan *l, enum cluster_mode mode, unsigned int faces);
void lan_down(struct lan *l, unsigned int h); /* dead at once */
void lan_event(struct lan *l, unsigned int h, const struct group_event *e);
void lan_member(struct lan *l, unsigned int h, uint16_t id, bool hosted, bool fit, bool busy);
/* The record of all hosts (or of one) anew, as change() makes it. */
void lan_record(struct lan *l, void (*change)(struct cluster_member *m), unsigned int only);
#define LAN_ALL LAN_HOSTS
void lan_run(struct lan *l, int64_t ns);
int lan_anchor(const struct lan *l, unsigned int face); /* who speaks for it; -1: nobody; -2: two */
/* All that are up have committed one view; its fresh members, one bit each, lowest is id 1; 0: not.
 */
unsigned int lan_fresh(const struct lan *l);
