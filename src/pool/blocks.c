#include "pool/blocks.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define BLOCKS_FIRST 8

void pool_blocks_init(struct pool_blocks *b, const struct mem *mem)
{
	*b = (struct pool_blocks){ .mem = mem };
}

void pool_blocks_done(struct pool_blocks *b)
{
	mem_free(b->mem, b->items);
	*b = (struct pool_blocks){ .mem = b->mem };
}

size_t pool_blocks_at(const struct pool_blocks *b, uint64_t number)
{
	size_t first = 0, behind = b->count;

	while (first < behind) {
		size_t middle = first + (behind - first) / 2;

		if (b->items[middle].number < number)
			first = middle + 1;
		else
			behind = middle;
	}
	return first;
}

struct pool_block *pool_blocks_find(const struct pool_blocks *b, uint64_t number)
{
	size_t i = pool_blocks_at(b, number);

	return i < b->count && b->items[i].number == number ? &b->items[i] : NULL;
}

static int blocks_grow(struct pool_blocks *b)
{
	size_t capacity = b->capacity ? 2 * b->capacity : BLOCKS_FIRST;
	struct pool_block *items;

	if (b->count < b->capacity)
		return 0;
	items = mem_alloc(b->mem, capacity * sizeof(*items));
	if (!items)
		return -ENOMEM;
	if (b->count > 0)
		memcpy(items, b->items, b->count * sizeof(*items));
	mem_free(b->mem, b->items);
	b->items = items;
	b->capacity = capacity;
	return 0;
}

int pool_blocks_add(struct pool_blocks *b, uint64_t number, uint32_t size, uint32_t taken)
{
	size_t i = pool_blocks_at(b, number);

	assert(taken <= size);
	if (i < b->count && b->items[i].number == number)
		return -EEXIST;
	if (blocks_grow(b) < 0)
		return -ENOMEM;
	memmove(&b->items[i + 1], &b->items[i], (b->count - i) * sizeof(*b->items));
	b->items[i] = (struct pool_block){ number, size, taken };
	b->count++;
	b->room += size - taken;
	return 0;
}

bool pool_blocks_remove(struct pool_blocks *b, uint64_t number)
{
	struct pool_block *block = pool_blocks_find(b, number);

	if (!block)
		return false;
	b->room -= block->size - block->taken;
	memmove(block, block + 1, (size_t)(b->items + b->count - block - 1) * sizeof(*block));
	b->count--;
	return true;
}

void pool_blocks_count(struct pool_blocks *b, uint64_t number, bool taken)
{
	struct pool_block *block = pool_blocks_find(b, number);

	if (!block)
		return;
	assert(taken ? block->taken < block->size : block->taken > 0);
	block->taken = taken ? block->taken + 1 : block->taken - 1;
	b->room = taken ? b->room - 1 : b->room + 1;
}
