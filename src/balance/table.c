/* Rendezvous tables: see table.h.
 *
 * A member's *score* in a row is a number u of 64 bits: its own order of the rows (16 bits), jitter
 * (37), and its id, so that no two are equal.  Where all weigh the same the higher score wins; else
 * the lower -log2(u / 2^64) / weight does, in fixed point, of equal ones the higher score.  The
 * logarithm never grows with u, so both ways rank members of equal weight alike, and a table may go
 * from one way to the other without moving a row. */
#include <assert.h>
#include <string.h>

#include "balance/inside.h"
#include "base/cleanup.h"

__extension__ typedef unsigned __int128 wide_t;

/* One that takes part. */
struct lot {
	uint64_t jitter, inverse; /* inverse: 2^64 / weight */
	uint16_t factor[3], addend[3];
	uint16_t id, weight;
};
#define LOT_WORDS (sizeof(struct lot) / sizeof(uint64_t))
_Static_assert(sizeof(struct lot) == LOT_WORDS * sizeof(uint64_t), "lots fill words");

#define JITTER_BITS 37
#define ID_BITS	    11
_Static_assert(CLUSTER_MEMBERS_MAX < 1 << ID_BITS, "an id fits");
_Static_assert(CLUSTER_ROWS == 1 << 16, "an order of the rows is a permutation of 16 bits");

/* --- scores ---------------------------------------------------------------------------------- */

static struct lot lot_of(const uint8_t key[static 16], uint32_t variant, uint16_t id,
			 uint16_t weight)
{
	const uint64_t a = balance_seed(key, BALANCE_ORDER, variant, id * 2u);
	const uint64_t b = balance_seed(key, BALANCE_ORDER, variant, id * 2u + 1);

	return (struct lot){
		.jitter = balance_seed(key, BALANCE_JITTER, variant, id),
		.inverse = UINT64_MAX / (weight ? weight : 1),
		.factor = { (uint16_t)(a | 1), (uint16_t)(a >> 16 | 1), (uint16_t)(a >> 32 | 1) },
		.addend = { (uint16_t)(a >> 48), (uint16_t)b, (uint16_t)(b >> 16) },
		.id = id,
		.weight = weight,
	};
}

/* A bijection of 16 bits: an odd factor, an addend and a shifted exclusive-or each are one. */
static inline uint32_t order_of(const struct lot *l, uint32_t row)
{
	uint32_t x = row;

	x = (x * l->factor[0] + l->addend[0]) & 0xffff;
	x ^= x >> 8;
	x = (x * l->factor[1] + l->addend[1]) & 0xffff;
	x ^= x >> 7;
	x = (x * l->factor[2] + l->addend[2]) & 0xffff;
	return x ^ x >> 8;
}

static inline uint64_t score_of(const struct lot *l, uint32_t row, uint64_t row_seed)
{
	const uint64_t jitter = (row_seed ^ l->jitter) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)order_of(l, row) << 48 | jitter >> (64 - JITTER_BITS) << ID_BITS | l->id;
}

static uint16_t id_of(wide_t rank)
{
	return (uint16_t)(rank & ((1u << ID_BITS) - 1));
}

/* --- logarithms ------------------------------------------------------------------------------ */

#define SEGMENTS 512
#define ONE	 (UINT64_C(1) << 56) /* the fixed point of logarithms */

/* 1 - log2(1 + i / SEGMENTS), rounded up. */
struct logarithms {
	uint64_t at[SEGMENTS + 1];
};

/* Bit by bit: squaring doubles the logarithm. */
static void logarithms_make(struct logarithms *l)
{
	for (unsigned int i = 0; i < SEGMENTS; i++) {
		uint64_t y = (uint64_t)(SEGMENTS + i) * ((UINT64_C(1) << 62) / SEGMENTS);
		uint64_t log2 = 0;

		for (uint64_t bit = ONE / 2; bit > 0; bit /= 2) {
			y = (uint64_t)((wide_t)y * y >> 62);
			if (y >> 63) {
				log2 |= bit;
				y /= 2;
			}
		}
		l->at[i] = ONE - log2;
	}
	l->at[SEGMENTS] = 0;
}

/* -log2(u / 2^64) for u > 0: never less than it is, and never growing with u. */
static inline uint64_t minus_log2(const struct logarithms *l, uint64_t u)
{
	const unsigned int zeros = (unsigned int)__builtin_clzll(u);
	const uint64_t mantissa = u << zeros;
	const unsigned int segment = mantissa >> 54 & (SEGMENTS - 1);
	const uint64_t rest = mantissa & ((UINT64_C(1) << 54) - 1);
	const uint64_t falls = l->at[segment] - l->at[segment + 1];

	return zeros * ONE + l->at[segment] - (uint64_t)((wide_t)falls * rest >> 54);
}

static inline uint64_t divided(uint64_t n, uint64_t inverse)
{
	return (uint64_t)((wide_t)n * inverse >> 64);
}

/* --- the best two of some -------------------------------------------------------------------- */

/* Ranks: the higher is the better, and the lowest bits are the id; 0: nobody. */
struct best {
	wide_t one, two;
};

static struct best best_of_equals(const struct lot *lots, unsigned int count, uint32_t row,
				  uint64_t row_seed)
{
	uint64_t one = 0, two = 0;

	for (unsigned int i = 0; i < count; i++) {
		const uint64_t score = score_of(&lots[i], row, row_seed);
		const uint64_t less = score < one ? score : one;

		one = score > one ? score : one;
		two = less > two ? less : two;
	}
	return (struct best){ one, two };
}

static struct best best_of_weighted(const struct lot *lots, unsigned int count, uint32_t row,
				    uint64_t row_seed, const struct logarithms *logs)
{
	struct best b = { 0, 0 };
	uint64_t worst = UINT64_MAX; /* what is worse than this need not be looked at */

	for (unsigned int i = 0; i < count; i++) {
		const uint64_t score = score_of(&lots[i], row, row_seed);
		wide_t rank;

		/* -log2(1 - x) >= x: a bound without the logarithm. */
		if (divided(~score >> 8, lots[i].inverse) > worst)
			continue;
		rank = (wide_t)~divided(minus_log2(logs, score), lots[i].inverse) << 64 | score;
		if (rank > b.one) {
			b.two = b.one;
			b.one = rank;
		} else if (rank > b.two) {
			b.two = rank;
		} else {
			continue;
		}
		worst = ~(uint64_t)(b.two >> 64);
	}
	return b;
}

/* --- tables ---------------------------------------------------------------------------------- */

/* Those that take part, by what they may be. */
struct lots {
	const struct lot *both, *second, *first;
	unsigned int both_count, second_count, first_count;
	uint64_t row_key;
	const struct logarithms *logs; /* NULL: all weigh the same */
};

static uint64_t row_seed(uint64_t row_key, uint32_t row)
{
	return balance_mix(row_key + row * UINT64_C(0x9e3779b97f4a7c15));
}

static struct best best_of(const struct lots *l, const struct lot *lots, unsigned int count,
			   uint32_t row, uint64_t seed)
{
	if (!l->logs)
		return best_of_equals(lots, count, row, seed);
	return best_of_weighted(lots, count, row, seed, l->logs);
}

static struct balance_row row_of(const struct lots *l, uint32_t row)
{
	const uint64_t seed = row_seed(l->row_key, row);
	const struct best both = best_of(l, l->both, l->both_count, row, seed);
	const struct best only_second = best_of(l, l->second, l->second_count, row, seed);
	const struct best only_first = best_of(l, l->first, l->first_count, row, seed);
	wide_t first = both.one, second = both.two;

	if (only_first.one > first) {
		first = only_first.one;
		second = both.one;
	}
	if (only_second.one > second)
		second = only_second.one;
	return (struct balance_row){ id_of(first), id_of(second) };
}

/* --- which variant of the key ---------------------------------------------------------------- */

#define VARIANTS       8
#define EVEN_MEMBERS   32
#define EVEN_ROWS_MOST (CLUSTER_ROWS / EVEN_MEMBERS * 105 / 100)

static bool is_even(const uint8_t key[static 16], uint32_t variant)
{
	const uint64_t row_key = balance_seed(key, BALANCE_ROW, variant, 0);
	unsigned int rows_of[EVEN_MEMBERS + 1] = { 0 };
	struct lot lots[EVEN_MEMBERS];

	for (uint16_t i = 0; i < EVEN_MEMBERS; i++)
		lots[i] = lot_of(key, variant, i + 1, 1);
	for (uint32_t row = 0; row < CLUSTER_ROWS; row++) {
		const uint64_t seed = row_seed(row_key, row);

		rows_of[id_of(best_of_equals(lots, EVEN_MEMBERS, row, seed).one)]++;
	}
	for (unsigned int i = 1; i <= EVEN_MEMBERS; i++)
		if (rows_of[i] > EVEN_ROWS_MOST)
			return false;
	return true;
}

/* By the key alone: what it says never changes with the members. */
static uint32_t variant_of(const uint8_t key[static 16])
{
	for (uint32_t v = 0; v < VARIANTS; v++)
		if (is_even(key, v))
			return v;
	return 0;
}

/* --- the contract ---------------------------------------------------------------------------- */

size_t balance_scratch_words(unsigned int member_count)
{
	const size_t maglev = balance_maglev_words(member_count);

	return member_count * LOT_WORDS > maglev ? member_count * LOT_WORDS : maglev;
}

static unsigned int take(const uint8_t key[static 16], uint32_t variant,
			 const struct balance_choice *members, unsigned int count, bool fresh,
			 bool known, uint16_t heaviest, struct lot *lots)
{
	unsigned int taken = 0;

	for (unsigned int i = 0; i < count; i++) {
		const struct balance_choice *c = &members[i];

		assert(c->id && c->id <= CLUSTER_MEMBERS_MAX);
		if ((c->fresh && c->weight) == fresh && c->known == known)
			lots[taken++] =
				lot_of(key, variant, c->id, c->weight ? c->weight : heaviest);
	}
	return taken;
}

static bool weigh_the_same(const struct lot *lots, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		if (lots[i].weight != lots[0].weight)
			return false;
	return true;
}

void balance_rendezvous(const uint8_t key[static 16], const struct balance_choice *members,
			unsigned int count, uint64_t *scratch,
			struct balance_row rows[static CLUSTER_ROWS])
{
	struct lot *lots = (struct lot *)scratch;
	struct logarithms logs;
	uint16_t heaviest = 0;
	unsigned int all;
	uint32_t variant;
	struct lots l;

	assert(count <= CLUSTER_MEMBERS_MAX);
	memset(rows, 0, CLUSTER_ROWS * sizeof(*rows));
	for (unsigned int i = 0; i < count; i++)
		heaviest = members[i].weight > heaviest ? members[i].weight : heaviest;
	variant = variant_of(key);
	l = (struct lots){ .both = lots, .row_key = balance_seed(key, BALANCE_ROW, variant, 0) };
	l.both_count = take(key, variant, members, count, true, true, heaviest, lots);
	l.first = lots + l.both_count;
	l.first_count =
		take(key, variant, members, count, true, false, heaviest, lots + l.both_count);
	all = l.both_count + l.first_count;
	if (all == 0)
		return;
	l.second = lots + all;
	l.second_count = take(key, variant, members, count, false, true, heaviest, lots + all);
	all += l.second_count;
	if (!weigh_the_same(lots, all)) {
		logarithms_make(&logs);
		l.logs = &logs;
	}
	for (uint32_t row = 0; row < CLUSTER_ROWS; row++)
		rows[row] = row_of(&l, row);
}
