/* What a pool's configuration must be, judged by itself. */
#include <errno.h>
#include <stdio.h>

#include "model/text.h"
#include "pool/pool.h"

/* "exclude 2 (02:…:00..02:…:ff)"; numbers for people start at 1. */
#define PLACE_TEXT_MAX (VMAC_MAC_RANGE_TEXT_MAX + 32)

static const char *place_text(const char *what, unsigned int i, struct vmac_mac_range r,
			      char buf[static PLACE_TEXT_MAX])
{
	char text[VMAC_MAC_RANGE_TEXT_MAX];

	snprintf(buf, PLACE_TEXT_MAX, "%s %u (%s)", what, i + 1, vmac_mac_range_format(r, text));
	return buf;
}

static int check_bounds(const char *what, unsigned int i, struct vmac_mac_range r,
			struct error *ret_error)
{
	char place[PLACE_TEXT_MAX];

	switch (vmac_mac_range_check(r)) {
	case 0:
		return 0;
	case -ERANGE:
		return error_set(ret_error, ERROR_BAD_RANGE,
				 "split it: give one range for each first octet",
				 "%s crosses from one first octet into another",
				 place_text(what, i, r, place));
	default:
		return error_set(ret_error, ERROR_BAD_RANGE,
				 "exchange the two: FIRST..LAST, both included",
				 "%s ends before it begins", place_text(what, i, r, place));
	}
}

/* Whether the well-known ranges leave nothing of it. */
static bool is_well_known_throughout(struct vmac_mac_range r)
{
	struct pool alone = { .range_count = 1, .ranges = { r } };

	return pool_space_measure(&alone, POOL_SPACE_USABLE) == 0;
}

static int check_range(const struct pool *cfg, unsigned int i, struct error *ret_error)
{
	struct vmac_mac_range r = cfg->ranges[i];
	char place[PLACE_TEXT_MAX], other[PLACE_TEXT_MAX];
	int e = check_bounds("range", i, r, ret_error);

	if (e < 0)
		return e;
	place_text("range", i, r, place);
	if (vmac_mac_is_group(r.first))
		return error_set(ret_error, ERROR_GROUP_ADDRESS,
				 "take a first octet that is even, such as 12 or 32",
				 "%s has group addresses, which no station can own", place);
	if (is_well_known_throughout(r)) {
		const struct vmac_well_known *row = vmac_well_known_in(r);

		return error_set(ret_error, ERROR_RESERVED_ADDRESS,
				 "take another range, such as one of first octet 12 or 32",
				 "%s belongs to %s (%s)", place, row->protocol, row->meaning);
	}
	for (unsigned int k = 0; k < i; k++)
		if (vmac_mac_ranges_overlap(cfg->ranges[k], r))
			return error_set(ret_error, ERROR_BAD_RANGE, "give each address once",
					 "%s overlaps %s", place,
					 place_text("range", k, cfg->ranges[k], other));
	return 0;
}

static int check_exclude(const struct pool *cfg, unsigned int i, struct error *ret_error)
{
	struct vmac_mac_range x = cfg->excludes[i];
	char place[PLACE_TEXT_MAX];
	int e = check_bounds("exclude", i, x, ret_error);

	if (e < 0)
		return e;
	for (unsigned int k = 0; k < cfg->range_count; k++)
		if (vmac_mac_range_has(cfg->ranges[k], x.first) &&
		    vmac_mac_range_has(cfg->ranges[k], x.last))
			return 0;
	return error_set(ret_error, ERROR_BAD_RANGE,
			 "an exclude lies inside one of the pool's ranges",
			 "%s is in no range of the pool", place_text("exclude", i, x, place));
}

static int check_counts(const struct pool *cfg, struct error *ret_error)
{
	if (cfg->range_count < 1 || cfg->range_count > POOL_RANGES_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, "adjoining ranges can be given as one",
				 "a pool has 1 to %d ranges, not %u", POOL_RANGES_MAX,
				 cfg->range_count);
	if (cfg->exclude_count > POOL_EXCLUDES_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "adjoining excludes can be given as one",
				 "a pool has at most %d excludes, not %u", POOL_EXCLUDES_MAX,
				 cfg->exclude_count);
	if (cfg->quarantine_ms < 0 || cfg->quarantine_ms > DURATION_MAX_MS)
		return error_set(ret_error, ERROR_BAD_VALUE, "such as 4h, or 0 for none",
				 "a quarantine lasts from 0 to 100 years");
	return 0;
}

int pool_config_check(const struct pool *cfg, struct error *ret_error)
{
	uint64_t usable;
	int r = check_counts(cfg, ret_error);

	for (unsigned int i = 0; r == 0 && i < cfg->range_count; i++)
		r = check_range(cfg, i, ret_error);
	for (unsigned int i = 0; r == 0 && i < cfg->exclude_count; i++)
		r = check_exclude(cfg, i, ret_error);
	if (r < 0)
		return r;
	usable = pool_space_measure(cfg, POOL_SPACE_USABLE);
	if (usable == 0)
		return error_set(ret_error, ERROR_BAD_RANGE, "take more ranges or fewer excludes",
				 "nothing is left of the pool's %llu addresses: all are excluded",
				 (unsigned long long)pool_space_measure(cfg, POOL_SPACE_WHOLE));
	if (cfg->limit > usable)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "a limit of 0 means: as many as the pool has",
				 "a limit of %llu is more than the pool's %llu usable addresses",
				 (unsigned long long)cfg->limit, (unsigned long long)usable);
	return 0;
}

bool pool_configs_overlap(const struct pool *a, const struct pool *b)
{
	for (unsigned int i = 0; i < a->range_count; i++)
		for (unsigned int k = 0; k < b->range_count; k++)
			if (vmac_mac_ranges_overlap(a->ranges[i], b->ranges[k]))
				return true;
	return false;
}
