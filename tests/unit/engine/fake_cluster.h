/* Anchors and the clusters of a data plane that only note what they are told. */
#pragma once

#include "anchor/anchor.h"
#include "balance/table.h"
#include "errand/errands.h"
#include "plane/cluster.h"

#define FAKE_CLUSTERS 20
#define FAKE_REPORTS  16
#define FAKE_MEMBERS  16

struct fake_cluster { /* by slot */
	bool set;
	unsigned int sets, removed, members, faces;
	struct plane_net net;
	bool installed, committed;
	uint64_t checksum; /* of the rows */
	uint8_t fresh[CLUSTER_MEMBERS_MAX / 8];
	struct ip own[FAKE_MEMBERS][2];
};

struct anchors {
	struct uuid self;
	uint16_t number;
	struct fake_anchor { /* by cluster id */
		const struct cluster *record;
		struct anchor_where where;
		unsigned int sets;
		bool removed;
		struct {
			bool told, hosted, fit, busy;
			unsigned int count;
		} members[FAKE_MEMBERS]; /* by id */
		uint64_t claimed[CLUSTER_FACES_MAX];
		unsigned int strangers;
		struct heartbeat_view installed, committed;
		struct anchor_report told[ANCHOR_COMMIT + 1]; /* by kind: the newest */
		struct balance_choice choices[FAKE_MEMBERS];
	} clusters[FAKE_CLUSTERS + 1];
	struct anchor_report reports[FAKE_REPORTS];
	unsigned int report_count;
};

/* What anchor_dispatch() hands out next. */
void fake_report(struct anchors *a, const struct anchor_report *r);

extern struct ip fake_link_local; /* of every port's guest; family 0 = none */
extern bool fake_install_fails, fake_commit_fails; /* the data plane has no memory */

/* The probe that was begun last, and its next result. */
struct fake_probe {
	unsigned int begun, dropped;
	struct errand_probe probe;
	char target[256];
};
extern struct fake_probe fake_probe;
void fake_outcome(uint64_t id, enum errand_outcome what, const char *detail);

/* What whoever listens on the uplink hears next. */
void fake_heard(const void *frame, size_t len);
