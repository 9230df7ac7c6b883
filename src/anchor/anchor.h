/* The clusters of this host among other hosts, as the engine sees them: a thread of their own, for
 * as long as there are any.
 *
 * Theory of operation
 *
 * Heartbeats every 200 ms and leases of 600 ms must not wait for a disk, a client or a big batch of
 * the engine, so they have a thread, with one packet socket a segment, that runs the group machines
 * (balance/group.h) and stores the leases into the data plane.  What takes long or needs the
 * registry is the engine's: it is told to install and commit rows, to write an epoch down, what to
 * log; and it tells which members are here, and how they are.  The two share no state: orders are
 * queued one way, reports the other.  All that is said here is said by one thread, the engine's.
 *
 * A segment without an uplink, or a host without others, has nobody to hear: then it is alone, and
 * all is its own at once.
 *
 * core.h runs the groups with no clock and no socket, for the simulation; this is the thread about
 * it. */
#pragma once

#include "balance/group.h"
#include "base/error.h"
#include "base/mem.h"
#include "model/cluster.h"

struct anchors;
struct plane;

struct anchor_config {
	const struct mem *mem; /* thread-safe */
	struct plane *plane;   /* borrowed; its leases of clusters are ours alone to store */
	struct uuid self;
	uint16_t number; /* of this host among others; 1 where alone */
	bool alone;
	uint64_t incarnation;
};
int anchor_open(const struct anchor_config *config, struct anchors **ret, struct error *ret_error);
/* Hands over what this host has, waits for at most GROUP_SERVE, ends the thread.  NULL is fine. */
void anchor_close(struct anchors *a);

/* Among others or alone, and by which number: told when it changes (this host joined). */
void anchor_identity(struct anchors *a, const struct uuid *self, uint16_t number, bool alone);

struct anchor_where {
	unsigned int slot; /* in the data plane: plane/cluster.h; set there before */
	const char *segment;
	int ifindex; /* of the uplink; 0 = internal, or it is not there */
	bool internal, up;
	uint16_t vlan;
	vmac_mac_t address; /* the uplink's own */
};
/* Adds or changes; the record is one of cluster_record_new()'s, held for as long as it is needed.
 * CLUSTER_CARRY has no anchor and is not to be set. */
void anchor_set(struct anchors *a, const struct cluster *record, const struct anchor_where *where);
/* Hands over, then forgets. */
void anchor_remove(struct anchors *a, uint32_t cluster);

/* How a member is on this host.  busy: it drains, and this host knows of flows that it has, or has
 * not looked yet; wherever the member is, because what the anchor gave away it may know alone. */
void anchor_member(struct anchors *a, uint32_t cluster, uint16_t member, bool hosted, bool fit,
		   bool busy);
void anchor_installed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view);
void anchor_committed(struct anchors *a, uint32_t cluster, const struct heartbeat_view *view);
/* An epoch that the journal, the registry or the wire knew. */
void anchor_claimed(struct anchors *a, uint32_t cluster, unsigned int face, uint64_t epoch,
		    uint16_t host);
void anchor_stranger(struct anchors *a, uint32_t cluster, unsigned int face);

/* --- reports --------------------------------------------------------------------------------- */

enum anchor_report_kind {
	ANCHOR_INSTALL, /* choices, choice_count, view: build the rows, install, anchor_installed()
			 */
	ANCHOR_COMMIT,	/* view: commit, anchor_committed() */
	ANCHOR_HOLD,	/* face, epoch: this host is its anchor */
	ANCHOR_NOTE,
	ANCHOR_ALARM,
	ANCHOR_REPORT_COUNT
};
struct anchor_report {
	enum anchor_report_kind kind;
	uint32_t cluster;
	struct heartbeat_view view;
	struct heartbeat_bits fresh, known;
	unsigned int choice_count;
	const struct balance_choice *choices; /* lent for the call */
	uint64_t epoch;
	uint16_t member, host; /* id; number; 0 = none */
	uint8_t face, reason;  /* enum group_reason */
	bool has_face;
	wall_t at;
};
/* Readable: anchor_dispatch() has something to tell, or to tidy up behind a thread that ended. */
int anchor_fd(const struct anchors *a);
/* Rows that could not be installed or committed: the newest report of that kind is told again. */
void anchor_again(struct anchors *a, uint32_t cluster, enum anchor_report_kind kind);
void anchor_dispatch(struct anchors *a, void (*fn)(void *ctx, const struct anchor_report *r),
		     void *ctx);

/* --- views: copies, taken under a lock ------------------------------------------------------- */

struct anchor_view {
	struct heartbeat_view installed, committed;
	bool coordinator, linked, fail_open;
	unsigned int face_count, peer_count;
	struct {
		bool active;
		uint16_t holder; /* number; 0 = nobody */
		uint64_t epoch;
		int64_t lease_ms; /* left; -1 = none */
	} faces[CLUSTER_FACES_MAX];
	struct {
		uint8_t host[16];
		uint16_t number;
		int64_t heard_ms; /* ago */
	} peers[GROUP_PEERS_MAX];
	const char *live[CLUSTER_MEMBERS_MAX];	 /* by index in the record: group_member_live() */
	uint16_t hosts[CLUSTER_MEMBERS_MAX];	 /* likewise: number of its host, 0 = none */
	uint64_t sent, heard, late, transitions; /* heartbeats; self-fences; changes of anchors */
	uint64_t verdicts[HEARTBEAT_VERDICT_COUNT];
	uint64_t replayed, behind; /* authentic, but old; of another generation of the record */
	uint64_t asked, answered;  /* whether a host that is heard no more forwards; it does */
	struct error trouble;
};
/* False: no such cluster.  About 20 KiB. */
bool anchor_look(struct anchors *a, uint32_t cluster, struct anchor_view *ret);
