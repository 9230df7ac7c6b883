#include <vmac/classify.h>

#include <assert.h>

#include "base/cleanup.h"
#include "mac/well_known.h"

#define MAC_BITS 48

static uint64_t low_mask(unsigned int bits)
{
	return (UINT64_C(1) << bits) - 1;
}

static enum vmac_slap slap_of(vmac_mac_t m)
{
	/* RFC 9542 section 2.1.1, table 2: the bits Z (0x08) and Y (0x04) where X (0x02) is set. */
	static const enum vmac_slap quadrants[] = {
		[0x00 >> 2] = VMAC_SLAP_AAI,
		[0x04 >> 2] = VMAC_SLAP_RESERVED,
		[0x08 >> 2] = VMAC_SLAP_ELI,
		[0x0c >> 2] = VMAC_SLAP_SAI,
	};

	return vmac_mac_is_local(m) ? quadrants[(m.octet[0] & 0x0c) >> 2] : VMAC_SLAP_NONE;
}

static const struct vmac_well_known *longest_match(vmac_mac_t m)
{
	const struct vmac_well_known *best = NULL;

	for (size_t i = 0; i < well_known_row_count; i++) {
		const struct vmac_well_known *row = &well_known_rows[i];

		if (((vmac_mac_u64(m) ^ row->value) >> (MAC_BITS - row->bits)) == 0 &&
		    (!best || row->bits > best->bits))
			best = row;
	}
	return best;
}

struct vmac_class vmac_classify(vmac_mac_t m)
{
	struct vmac_class c = {
		.group = vmac_mac_is_group(m),
		.local = vmac_mac_is_local(m),
		.slap = slap_of(m),
		.well_known = longest_match(m),
	};

	if (c.well_known) {
		uint64_t n = vmac_mac_u64(m);

		c.member_number = (uint32_t)(n & low_mask(c.well_known->member_bits));
		n >>= c.well_known->member_bits;
		c.group_number = (uint32_t)(n & low_mask(c.well_known->group_bits));
	}
	return c;
}

const char *vmac_slap_name(enum vmac_slap slap)
{
	static const char *const names[] = {
		[VMAC_SLAP_NONE] = "none",	   [VMAC_SLAP_AAI] = "AAI", [VMAC_SLAP_ELI] = "ELI",
		[VMAC_SLAP_RESERVED] = "reserved", [VMAC_SLAP_SAI] = "SAI",
	};

	_Static_assert(ARRAY_LEN(names) == VMAC_SLAP_COUNT, "every quadrant has a name");
	assert(slap < VMAC_SLAP_COUNT);
	return names[slap];
}

const char *vmac_well_known_use_name(enum vmac_well_known_use use)
{
	static const char *const names[] = {
		[VMAC_USE_PROTOCOL] = "protocol",   [VMAC_USE_PRODUCT] = "product",
		[VMAC_USE_GROUP] = "group",	    [VMAC_USE_RESERVED] = "reserved",
		[VMAC_USE_DOCUMENTS] = "documents",
	};

	_Static_assert(ARRAY_LEN(names) == VMAC_WELL_KNOWN_USE_COUNT, "every use has a name");
	assert(use < VMAC_WELL_KNOWN_USE_COUNT);
	return names[use];
}

const struct vmac_well_known *vmac_well_known_table(size_t *ret_count)
{
	*ret_count = well_known_row_count;
	return well_known_rows;
}

struct vmac_mac_range vmac_well_known_range(const struct vmac_well_known *row)
{
	return (struct vmac_mac_range){
		vmac_mac_from_u64(row->value),
		vmac_mac_from_u64(row->value | low_mask(MAC_BITS - row->bits)),
	};
}

const struct vmac_well_known *vmac_well_known_in(struct vmac_mac_range r)
{
	for (size_t i = 0; i < well_known_row_count; i++)
		if (vmac_mac_ranges_overlap(r, vmac_well_known_range(&well_known_rows[i])))
			return &well_known_rows[i];
	return NULL;
}
