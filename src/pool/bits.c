#include "pool/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define DIGIT_BITS 6 /* of an index, a level */
#define FANOUT	   (1u << DIGIT_BITS)
#define NONE	   UINT64_MAX

union slot {
	struct pool_node *node; /* level 2 and up */
	uint64_t word;		/* level 1; never 0 */
};

struct pool_node {
	uint64_t present; /* slots that exist, in ascending order in slots[] */
	uint64_t full;	  /* those of them whose bits are all set */
	unsigned int capacity;
	union slot slots[];
};

/* What pool_bits_set() and pool_bits_clear() passed on their way down: path[level] is the place
 * that holds the node of that level. */
struct path {
	struct pool_node **at[POOL_BITS_LEVELS_MAX + 1];
};

static unsigned int digit(uint64_t i, unsigned int level)
{
	return i >> (DIGIT_BITS * level) & (FANOUT - 1);
}

/* Not the builtin: without a newer instruction set that is a call into the compiler's library. */
static unsigned int count_bits(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (unsigned int)(x * 0x0101010101010101ULL >> 56);
}

/* Where in slots[] the slot of a digit is, or would be.  The two shortcuts are what most nodes of a
 * set that a cursor fills answer: no slot before this one above, all of them below. */
static unsigned int rank(const struct pool_node *node, unsigned int d)
{
	uint64_t before = node->present & ((UINT64_C(1) << d) - 1);

	if (before == 0)
		return 0;
	return node->present == UINT64_MAX ? d : count_bits(before);
}

static bool is_present(const struct pool_node *node, unsigned int d)
{
	return node->present >> d & 1;
}

static struct pool_node *node_new(const struct mem *mem, unsigned int capacity)
{
	struct pool_node *node = mem_alloc(mem, sizeof(*node) + capacity * sizeof(node->slots[0]));

	if (node)
		node->capacity = capacity;
	return node;
}

void pool_bits_init(struct pool_bits *b, uint64_t size, const struct mem *mem)
{
	assert(size <= POOL_BITS_SIZE_MAX);
	*b = (struct pool_bits){ .size = size, .levels = 1, .mem = mem };
	while (size > UINT64_C(1) << (DIGIT_BITS * (b->levels + 1)))
		b->levels++;
}

static void node_free(const struct mem *mem, struct pool_node *node, unsigned int level)
{
	if (level > 1)
		for (unsigned int i = 0; i < count_bits(node->present); i++)
			node_free(mem, node->slots[i].node, level - 1);
	mem_free(mem, node);
}

void pool_bits_done(struct pool_bits *b)
{
	if (b->root)
		node_free(b->mem, b->root, b->levels);
	*b = (struct pool_bits){ 0 };
}

bool pool_bits_has(const struct pool_bits *b, uint64_t i)
{
	const struct pool_node *node = b->root;

	assert(i < b->size);
	for (unsigned int level = b->levels; node; level--) {
		unsigned int d = digit(i, level);

		if (!is_present(node, d))
			return false;
		if (level == 1)
			return node->slots[rank(node, d)].word >> digit(i, 0) & 1;
		node = node->slots[rank(node, d)].node;
	}
	return false;
}

/* Goes down towards i and returns the level of the lowest node that is there (0: no root). */
static unsigned int descend(struct pool_bits *b, uint64_t i, struct path *ret)
{
	ret->at[b->levels] = &b->root;
	if (!b->root)
		return 0;
	for (unsigned int level = b->levels; level > 1; level--) {
		struct pool_node *node = *ret->at[level];
		unsigned int d = digit(i, level);

		if (!is_present(node, d))
			return level;
		ret->at[level - 1] = &node->slots[rank(node, d)].node;
	}
	return 1;
}

/* What a slot of level `level` holds when i is its only bit: a word, or a chain of nodes. */
static int chain_new(const struct mem *mem, uint64_t i, unsigned int level, union slot *ret)
{
	union slot below = { .word = UINT64_C(1) << digit(i, 0) };

	for (unsigned int l = 1; l < level; l++) {
		struct pool_node *node = node_new(mem, 1);

		if (!node) {
			if (l > 1)
				node_free(mem, below.node, l - 1);
			return -ENOMEM;
		}
		node->present = UINT64_C(1) << digit(i, l);
		node->slots[0] = below;
		below.node = node;
	}
	*ret = below;
	return 0;
}

/* Adds the slot of i, which the node does not have. */
static int slot_add(const struct mem *mem, struct pool_node **at, uint64_t i, unsigned int level)
{
	struct pool_node *node = *at, *roomy = node;
	unsigned int d = digit(i, level), count = count_bits(node->present), r = rank(node, d);
	union slot slot;

	if (count == node->capacity && !(roomy = node_new(mem, 2 * count)))
		return -ENOMEM;
	if (chain_new(mem, i, level, &slot) < 0) {
		if (roomy != node)
			mem_free(mem, roomy);
		return -ENOMEM;
	}
	memmove(&roomy->slots[r + 1], &node->slots[r], (count - r) * sizeof(slot));
	if (roomy != node) {
		memcpy(roomy->slots, node->slots, r * sizeof(slot));
		roomy->present = node->present;
		roomy->full = node->full;
		mem_free(mem, node);
		*at = roomy;
	}
	roomy->slots[r] = slot;
	roomy->present |= UINT64_C(1) << d;
	return 0;
}

int pool_bits_set(struct pool_bits *b, uint64_t i)
{
	union slot root;
	struct path path;
	unsigned int level;
	uint64_t *word;
	int r = 0;

	assert(i < b->size);
	level = descend(b, i, &path);
	if (level == 0) {
		r = chain_new(b->mem, i, b->levels + 1, &root);
		if (r == 0)
			b->root = root.node;
	} else if (!is_present(*path.at[level], digit(i, level))) {
		r = slot_add(b->mem, path.at[level], i, level);
	} else {
		struct pool_node *node = *path.at[1];

		word = &node->slots[rank(node, digit(i, 1))].word;
		if (*word >> digit(i, 0) & 1)
			return -EEXIST;
		*word |= UINT64_C(1) << digit(i, 0);
		/* Fullness climbs as far as nodes get full; a new slot is never full. */
		for (bool full = *word == UINT64_MAX; full && level <= b->levels; level++) {
			node = *path.at[level];
			node->full |= UINT64_C(1) << digit(i, level);
			full = node->full == UINT64_MAX;
		}
	}
	if (r == 0)
		b->set++;
	return r;
}

void pool_bits_clear(struct pool_bits *b, uint64_t i)
{
	struct path path;
	unsigned int d, level = descend(b, i, &path);
	bool empty;

	assert(i < b->size && level == 1);
	for (unsigned int l = 1; l <= b->levels; l++)
		(*path.at[l])->full &= ~(UINT64_C(1) << digit(i, l));
	do {
		struct pool_node *node = *path.at[level];
		unsigned int r = rank(node, d = digit(i, level)), count;

		if (level == 1) {
			assert(is_present(node, d) && node->slots[r].word >> digit(i, 0) & 1);
			node->slots[r].word &= ~(UINT64_C(1) << digit(i, 0));
			if (node->slots[r].word != 0)
				break;
		}
		/* The slot is empty and leaves; so does the node with its last slot. */
		count = count_bits(node->present) - 1;
		memmove(&node->slots[r], &node->slots[r + 1], (count - r) * sizeof(node->slots[0]));
		node->present &= ~(UINT64_C(1) << d);
		empty = count == 0;
		if (empty) {
			mem_free(b->mem, node);
			*path.at[level] = NULL;
		}
	} while (empty && ++level <= b->levels);
	b->set--;
}

/* The first clear bit at or behind `from` below this node (both relative to it), or NONE. */
static uint64_t first_clear(const struct pool_node *node, unsigned int level, uint64_t from)
{
	unsigned int first = digit(from, level), shift = DIGIT_BITS * level;
	uint64_t candidates = ~node->full & UINT64_MAX << first;

	/* Only the first candidate can disappoint, when its clear bits are before `from`. */
	for (; candidates != 0; candidates &= candidates - 1) {
		unsigned int d = (unsigned int)__builtin_ctzll(candidates);
		uint64_t start = d == first ? from & ((UINT64_C(1) << shift) - 1) : 0,
			 found = start;

		if (is_present(node, d)) {
			const union slot *slot = &node->slots[rank(node, d)];

			if (level > 1) {
				found = first_clear(slot->node, level - 1, start);
			} else {
				uint64_t clear = ~slot->word & UINT64_MAX << start;

				found = clear ? (uint64_t)__builtin_ctzll(clear) : NONE;
			}
		}
		if (found != NONE)
			return (uint64_t)d << shift | found;
	}
	return NONE;
}

uint64_t pool_bits_next_clear(const struct pool_bits *b, uint64_t from)
{
	uint64_t found;

	assert(from < b->size && b->set < b->size);
	if (!b->root)
		return from;
	found = first_clear(b->root, b->levels, from);
	/* Behind the last bit there is only the tree's own slack: go round. */
	if (found >= b->size)
		found = first_clear(b->root, b->levels, 0);
	assert(found < b->size);
	return found;
}
