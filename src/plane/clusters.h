/* What the files about clusters share: see cluster.h for the theory. */
#pragma once

#include <unistd.h>

#include "bpf/shared.h"
#include "plane/cluster.h"
#include "plane/internal.h"

/* So long a flow of UDP is remembered without a frame. */
#define UDP_IDLE_DEFAULT SPAN_S(30)

/* A cluster as it was set since plane_open(). */
struct cluster_state {
	bool set;
	unsigned int net, row_count;
	bool nat, carried, has_group_face;
	bool installed; /* since plane_open(): `fresh` is known */
	unsigned int member_count;
	struct cluster_known {
		uint64_t mac;
		uint16_t id;
		uint8_t priority, state;
		bool rests; /* gets no new flow, because the record says so */
	} * members;				/* by id */
	uint8_t fresh[CLUSTER_MEMBERS_MAX / 8]; /* of the installed rows */
};

struct clusters {
	struct clusters_fds fds;
	/* All of the slots in our memory, from the first cluster on: leases are stored here by
	 * another thread, which must not wait, nor see pages come and go. */
	struct cluster_slot *slots;
	uint64_t conf_free[CLUSTER_SLOTS]; /* the epoch before which a free conf is not written */
	struct cluster_state of[CLUSTER_SLOTS];
	bool swept;
};

static inline uint64_t cluster_load(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void cluster_store(__u64 *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void cluster_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* The map that an outer one has there, to be closed; -ENOENT: none. */
int cluster_inner_fd(int outer, uint32_t key);
int cluster_failed(int r, struct error *ret_error);
int cluster_not_found(unsigned int slot, struct error *ret_error);

/* cluster_rows.c: by the members as they are set and the bitmap of fresh ones. */
void cluster_prioritise(struct clusters *cs, unsigned int slot, unsigned int set);
/* The rows are an earlier run's, and who was fresh then is not known: who is chosen stays so, but
 * for those who are active members no more. */
void cluster_prioritise_anew(struct clusters *cs, unsigned int slot, unsigned int set);
/* Forgets the flows of a slot that another cluster is to have. */
int cluster_flows_forget(struct clusters *cs, unsigned int slot);

/* cluster_ports.c: the lists and rows of all ports of a net, when one of its clusters changed. */
void cluster_ports_refresh(struct plane *p, unsigned int net);
