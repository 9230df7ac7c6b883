/* Which member answers for which row: rendezvous and Maglev tables.  Pure.
 *
 * Theory of operation
 *
 * A frame's flow is hashed, under the cluster's key, to a row; the row has a *first* member, which
 * gets the flow, and a *second*, to whom the first one's host hands packets of flows that it does
 * not know: those that began before the row changed its first.
 *
 * Rendezvous (Thaler and Ravishankar 1998; weights by -w / ln u): in every row each member has a
 * score of its own, which depends on nothing but the key, the row and the member.  So a member that
 * leaves moves only its own rows, each to the member that was behind it there; one that joins or
 * weighs more gains rows and moves no other; and the former first is then the second by itself.
 *
 * Maglev (Eisenbud et al., NSDI 2016, section 3.4): evener, faster to build, but a change moves
 * some rows between members that have nothing to do with it.  Its second is the member that the row
 * had in the table before, where that is still there, else the member of the table without the
 * first.
 *
 * Order of members never matters; equal inputs make equal tables on every host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cluster.h"

struct balance_choice {
	uint16_t id; /* of the member; 1 … CLUSTER_MEMBERS_MAX, unique */
	uint16_t weight;
	bool fresh; /* takes new flows: may be first; needs weight > 0 */
	bool known; /* may still have flows: may be second */
};

struct balance_row {
	uint16_t first, second; /* member ids; 0 = none */
};

/* Words of scratch memory for so many members (of both tables). */
size_t balance_scratch_words(unsigned int member_count);

/* Fills CLUSTER_ROWS rows.  A second that is not `known` is not named; where nobody is `fresh` all
 * rows are {0, 0}.  The second is the best in that row of those that are known and not the first.
 */
void balance_rendezvous(const uint8_t key[static 16], const struct balance_choice *members,
			unsigned int count, uint64_t *scratch,
			struct balance_row rows[static CLUSTER_ROWS]);

/* Fills CLUSTER_MAGLEV_ROWS rows.  before NULL: there was no table (rows may be the same array). */
void balance_maglev(const uint8_t key[static 16], const struct balance_choice *members,
		    unsigned int count, const struct balance_row *before, uint64_t *scratch,
		    struct balance_row rows[static CLUSTER_MAGLEV_ROWS]);

/* How a table shares out: rows of which each member is the first, by index in `members`; returns
 * how many rows have nobody. */
unsigned int balance_shares(const struct balance_row *rows, unsigned int row_count,
			    const struct balance_choice *members, unsigned int count,
			    uint32_t *ret_rows);

/* Which of a cluster's faces a client is to use (rendezvous of its address over the faces that
 * live); -1: none lives.  The data plane computes the same (bpf/cluster.h). */
int balance_face(const uint8_t key[static 16], const struct ip *client, unsigned int face_count,
		 uint32_t live);
