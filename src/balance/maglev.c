/* Maglev tables: see table.h. */
#include <assert.h>
#include <string.h>

#include "balance/inside.h"

#define ROWS CLUSTER_MAGLEV_ROWS

/* One that takes part: its next wish is row `at`, and the one after that `skip` further. */
struct turn {
	uint64_t at, skip, turns; /* turns: the weight of which it has not had a row yet */
	uint16_t id, weight;
};

/* What the scratch memory holds. */
struct work {
	struct turn *turns;
	uint64_t *known;  /* bitmap, by id */
	uint16_t *former; /* two a row: first and second of the table before */
};
#define TURN_WORDS  (sizeof(struct turn) / sizeof(uint64_t))
#define KNOWN_WORDS (CLUSTER_MEMBERS_MAX / 64 + 1)
#define ROW_WORDS   ((ROWS * 2 * sizeof(uint16_t) + sizeof(uint64_t) - 1) / sizeof(uint64_t))
_Static_assert(sizeof(struct turn) == TURN_WORDS * sizeof(uint64_t), "turns fill words");

size_t balance_maglev_words(unsigned int member_count)
{
	return member_count * TURN_WORDS + KNOWN_WORDS + ROW_WORDS;
}

static bool is_known(const struct work *w, uint16_t id)
{
	return id && id <= CLUSTER_MEMBERS_MAX && w->known[id / 64] >> id % 64 & 1;
}

/* Those that may be first, by id: whose turn comes first must not depend on the caller's order. */
static unsigned int turns_of(struct work *w, const uint8_t key[static 16],
			     const struct balance_choice *members, unsigned int count)
{
	const struct balance_choice *by_id[CLUSTER_MEMBERS_MAX + 1] = { NULL };
	unsigned int taking = 0;

	for (unsigned int i = 0; i < count; i++) {
		assert(members[i].id && members[i].id <= CLUSTER_MEMBERS_MAX);
		by_id[members[i].id] = &members[i];
		if (members[i].known)
			w->known[members[i].id / 64] |= UINT64_C(1) << members[i].id % 64;
	}
	for (unsigned int id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		const struct balance_choice *c = by_id[id];

		if (!c || !c->fresh || !c->weight)
			continue;
		w->turns[taking++] = (struct turn){
			.at = balance_seed(key, BALANCE_OFFSET, 0, id) % ROWS,
			.skip = balance_seed(key, BALANCE_SKIP, 0, id) % (ROWS - 1) + 1,
			.id = (uint16_t)id,
			.weight = c->weight,
		};
	}
	return taking;
}

/* Round after round each takes the next row on its list that is free, as often as its weight says:
 * the heaviest in every round. */
static void take_turns(struct turn *turns, unsigned int count, struct balance_row *rows)
{
	unsigned int left = ROWS;
	uint64_t heaviest = 0;

	for (unsigned int i = 0; i < count; i++)
		heaviest = turns[i].weight > heaviest ? turns[i].weight : heaviest;
	for (unsigned int i = 0; left > 0; i = (i + 1) % count) {
		struct turn *t = &turns[i];

		t->turns += t->weight;
		if (t->turns < heaviest)
			continue;
		t->turns -= heaviest;
		while (rows[t->at].first)
			t->at = (t->at + t->skip) % ROWS;
		rows[t->at].first = t->id;
		left--;
	}
}

static void find_seconds(const struct work *w, struct balance_row *rows)
{
	uint16_t next = 0; /* the first of the next row that has another than this one's */

	/* The second walk knows what comes behind the last row. */
	for (unsigned int walk = 0; walk < 2; walk++) {
		for (unsigned int row = ROWS; row-- > 0;) {
			const uint16_t first = rows[row].first;
			const uint16_t after = rows[(row + 1) % ROWS].first;
			const uint16_t *former = &w->former[(size_t)row * 2];

			if (after != first)
				next = after;
			rows[row].second = 0;
			if (former[0] != first && is_known(w, former[0]))
				rows[row].second = former[0];
			else if (former[1] != first && is_known(w, former[1]))
				rows[row].second = former[1];
			else if (next != first && is_known(w, next))
				rows[row].second = next;
		}
	}
}

void balance_maglev(const uint8_t key[static 16], const struct balance_choice *members,
		    unsigned int count, const struct balance_row *before, uint64_t *scratch,
		    struct balance_row rows[static CLUSTER_MAGLEV_ROWS])
{
	struct work w = {
		.turns = (struct turn *)scratch,
		.known = scratch + count * TURN_WORDS,
		.former = (uint16_t *)(scratch + count * TURN_WORDS + KNOWN_WORDS),
	};
	unsigned int taking;

	assert(count <= CLUSTER_MEMBERS_MAX);
	memset(w.known, 0, KNOWN_WORDS * sizeof(*w.known));
	for (unsigned int row = 0; row < ROWS; row++) {
		w.former[row * 2] = before ? before[row].first : 0;
		w.former[row * 2 + 1] = before ? before[row].second : 0;
	}
	memset(rows, 0, ROWS * sizeof(*rows));
	taking = turns_of(&w, key, members, count);
	if (taking == 0)
		return;
	take_turns(w.turns, taking, rows);
	find_seconds(&w, rows);
}
