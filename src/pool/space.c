#include "pool/space.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

struct interval {
	uint64_t first, last;
};

#define NOWHERE ((struct interval){ UINT64_MAX, UINT64_MAX }) /* behind every address */

static struct interval interval_of(struct vmac_mac_range r)
{
	return (struct interval){ vmac_mac_u64(r.first), vmac_mac_u64(r.last) };
}

/* The lowest excluded interval that shares an address with `part`; NOWHERE when none does. */
static struct interval first_cut(const struct pool *cfg, struct interval part)
{
	struct vmac_mac_range range = { vmac_mac_from_u64(part.first),
					vmac_mac_from_u64(part.last) };
	const struct vmac_well_known *row = vmac_well_known_in(range);
	struct interval cut = NOWHERE;

	if (row)
		cut = interval_of(vmac_well_known_range(row));
	for (unsigned int i = 0; i < cfg->exclude_count; i++) {
		struct interval e = interval_of(cfg->excludes[i]);

		if (e.first <= part.last && e.last >= part.first && e.first < cut.first)
			cut = e;
	}
	return cut;
}

/* The range that begins lowest among those that begin at or above `from`; NOWHERE when none does.
 */
static struct interval next_range(const struct pool *cfg, uint64_t from)
{
	struct interval next = NOWHERE;

	for (unsigned int i = 0; i < cfg->range_count; i++) {
		struct interval r = interval_of(cfg->ranges[i]);

		if (r.first >= from && r.first < next.first)
			next = r;
	}
	return next;
}

struct layout {
	struct pool_span *spans; /* NULL: measure only */
	unsigned int count;
	uint64_t size;
};

static void lay_span(struct layout *l, uint64_t first, uint64_t last)
{
	struct pool_span span = { .first = first, .count = last - first + 1, .base = l->size };

	assert(l->count < POOL_SPANS_MAX);
	if (l->spans)
		l->spans[l->count] = span;
	l->count++;
	l->size += span.count;
}

static void lay_range(struct layout *l, const struct pool *cfg, struct interval left,
		      enum pool_space_kind kind)
{
	while (left.first <= left.last) {
		struct interval cut = NOWHERE;

		if (kind == POOL_SPACE_USABLE)
			cut = first_cut(cfg, left);
		if (cut.first > left.last) {
			lay_span(l, left.first, left.last);
			return;
		}
		if (cut.first > left.first)
			lay_span(l, left.first, cut.first - 1);
		left.first = cut.last + 1;
	}
}

static void lay(struct layout *l, const struct pool *cfg, enum pool_space_kind kind)
{
	struct interval range = next_range(cfg, 0);

	for (; range.first != NOWHERE.first; range = next_range(cfg, range.last + 1))
		lay_range(l, cfg, range, kind);
}

uint64_t pool_space_measure(const struct pool *cfg, enum pool_space_kind kind)
{
	struct layout l = { 0 };

	lay(&l, cfg, kind);
	return l.size;
}

int pool_space_init(struct pool_space *s, const struct pool *cfg, enum pool_space_kind kind,
		    const struct mem *mem)
{
	struct layout measured = { 0 }, l = { 0 };

	lay(&measured, cfg, kind);
	if (measured.count > 0) {
		l.spans = mem_alloc(mem, measured.count * sizeof(*l.spans));
		if (!l.spans)
			return -ENOMEM;
		lay(&l, cfg, kind);
	}
	*s = (struct pool_space){ .spans = l.spans, .span_count = l.count, .size = l.size };
	return 0;
}

void pool_space_done(struct pool_space *s, const struct mem *mem)
{
	mem_free(mem, s->spans);
	*s = (struct pool_space){ 0 };
}

/* Spans are in ascending order of address and of base at once: one search serves both. */
uint64_t pool_space_index(const struct pool_space *s, vmac_mac_t address)
{
	uint64_t a = vmac_mac_u64(address);
	unsigned int low = 0, high = s->span_count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (s->spans[middle].first <= a)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || a - s->spans[low - 1].first >= s->spans[low - 1].count)
		return POOL_SPACE_NONE;
	return s->spans[low - 1].base + (a - s->spans[low - 1].first);
}

vmac_mac_t pool_space_address(const struct pool_space *s, uint64_t index)
{
	unsigned int low = 0, high = s->span_count;

	assert(index < s->size);
	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (s->spans[middle].base <= index)
			low = middle + 1;
		else
			high = middle;
	}
	return vmac_mac_from_u64(s->spans[low - 1].first + (index - s->spans[low - 1].base));
}
