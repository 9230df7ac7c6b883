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
 * (A row has one second: where several drain at once it is the best of them there.)
 *
 * Independent scores would share 65,536 rows among 32 equal members unevenly: with one key in three
 * somebody has more than 1.05 of the mean.  So each member's scores are an order of its own of the
 * rows (a keyed permutation of 16 bits) with chance behind it: every member has each of 65,536
 * scores once, which halves the variance, and is still nobody's business but its own.  What is left
 * is decided by the key: of its variants the first is taken under which 32 equal members 1 … 32
 * stay below 1.05.  That is a property of the key alone, so it moves nothing when members change.
 *
 * Maglev (Eisenbud et al., NSDI 2016, section 3.4): evener, faster to build, but a change moves
 * some rows between members that have nothing to do with it.  Weights by cumulative turn.  Its
 * second is the member that the row had in the table before, where that is another and still known;
 * else what was the second there; else the first of the next row that has another.
 *
 * Order of members never matters; equal inputs make equal tables on every host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cluster.h"

struct balance_choice {
	uint16_t id; /* of the member; 1 … CLUSTER_MEMBERS_MAX, unique */
	/* 0: as if it were the largest in the table, which is said of what takes no new flow and
	 * has no weight any more: in no row is it then behind where it was. */
	uint16_t weight;
	bool fresh; /* takes new flows: may be first; needs weight > 0 */
	bool known; /* may still have flows: may be second */
};

/* Words of scratch memory for so many members (of both tables). */
size_t balance_scratch_words(unsigned int member_count);

/* Fills CLUSTER_ROWS rows.  A second that is not `known` is not named; where nobody is `fresh` all
 * rows are {0, 0}.  The second is the best in that row of those that are known and not the first.
 */
void balance_rendezvous(const uint8_t key[static 16], const struct balance_choice *members,
			unsigned int count, uint64_t *scratch,
			struct balance_row rows[static CLUSTER_ROWS]);

/* Fills CLUSTER_MAGLEV_ROWS rows.  before NULL: there was no table; it may be the same array. */
void balance_maglev(const uint8_t key[static 16], const struct balance_choice *members,
		    unsigned int count, const struct balance_row *before, uint64_t *scratch,
		    struct balance_row rows[static CLUSTER_MAGLEV_ROWS]);

/* How a table shares out: rows of which each member is the first, by index in `members`; returns
 * how many rows have nobody. */
unsigned int balance_shares(const struct balance_row *rows, unsigned int row_count,
			    const struct balance_choice *members, unsigned int count,
			    uint32_t *ret_rows);

/* Which of a cluster's faces a client is to use (rendezvous of its address over the faces that
 * live, one bit each); -1: none lives.  The data plane computes the same (bpf/answer.h), so this is
 * how, in numbers of 64 bits, modulo 2^64:
 *
 *   k0, k1  octets 0 … 7 and 8 … 15 of the key, as little-endian numbers
 *   a0, a1  likewise of the address in network order; an IPv4 address is 4 octets and then zeros
 *   mix(x)  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9; x = (x ^ x >> 27) * 0x94d049bb133111eb;
 *           x ^ x >> 31
 *   s = mix(mix(k0 ^ a0) ^ k1 ^ a1)
 *
 * The face i (0 …) that lives and has the largest mix(s + (i + 1) * 0x9e3779b97f4a7c15); of equal
 * ones the lowest i. */
int balance_face(const uint8_t key[static 16], const struct ip *client, unsigned int face_count,
		 uint32_t live);
