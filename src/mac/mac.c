#include <vmac/mac.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"

/* Everything that may not change inside a range: the bits I/G, U/L, Y and Z live there. */
#define FIRST_OCTET_SHIFT 40
#define BEHIND_FIRST_MASK ((UINT64_C(1) << FIRST_OCTET_SHIFT) - 1)

static const struct {
	const char *digits;
	uint8_t group; /* octets between two separators */
	char separator;
} styles[] = {
	[VMAC_MAC_COLON] = { "0123456789abcdef", 1, ':' },
	[VMAC_MAC_DASH] = { "0123456789ABCDEF", 1, '-' },
	[VMAC_MAC_DOT] = { "0123456789abcdef", 2, '.' },
	[VMAC_MAC_BARE] = { "0123456789abcdef", VMAC_MAC_LEN, '\0' },
};

_Static_assert(ARRAY_LEN(styles) == VMAC_MAC_STYLE_COUNT, "every style has a row");

int vmac_mac_compare(vmac_mac_t a, vmac_mac_t b)
{
	return memcmp(a.octet, b.octet, VMAC_MAC_LEN);
}

uint64_t vmac_mac_hash(vmac_mac_t m)
{
	return hash_u64(vmac_mac_u64(m));
}

char *vmac_mac_format(vmac_mac_t m, enum vmac_mac_style style, char buf[static VMAC_MAC_TEXT_MAX])
{
	char *at = buf;

	assert(style < VMAC_MAC_STYLE_COUNT);
	for (unsigned int i = 0; i < VMAC_MAC_LEN; i++) {
		if (i > 0 && i % styles[style].group == 0)
			*at++ = styles[style].separator;
		*at++ = styles[style].digits[m.octet[i] >> 4];
		*at++ = styles[style].digits[m.octet[i] & 0x0f];
	}
	*at = '\0';
	return buf;
}

int vmac_mac_add(vmac_mac_t m, uint64_t offset, vmac_mac_t *ret)
{
	uint64_t n = vmac_mac_u64(m);

	if (offset > BEHIND_FIRST_MASK - (n & BEHIND_FIRST_MASK))
		return -ERANGE;
	*ret = vmac_mac_from_u64(n + offset);
	return 0;
}

int vmac_mac_range_check(struct vmac_mac_range r)
{
	if (vmac_mac_compare(r.first, r.last) > 0)
		return -EINVAL;
	return r.first.octet[0] == r.last.octet[0] ? 0 : -ERANGE;
}

uint64_t vmac_mac_range_size(struct vmac_mac_range r)
{
	return vmac_mac_u64(r.last) - vmac_mac_u64(r.first) + 1;
}

bool vmac_mac_range_has(struct vmac_mac_range r, vmac_mac_t m)
{
	return vmac_mac_compare(r.first, m) <= 0 && vmac_mac_compare(m, r.last) <= 0;
}

bool vmac_mac_ranges_overlap(struct vmac_mac_range a, struct vmac_mac_range b)
{
	return vmac_mac_compare(a.first, b.last) <= 0 && vmac_mac_compare(b.first, a.last) <= 0;
}

char *vmac_mac_range_format(struct vmac_mac_range r, char buf[static VMAC_MAC_RANGE_TEXT_MAX])
{
	size_t len;

	vmac_mac_format(r.first, VMAC_MAC_COLON, buf);
	if (vmac_mac_equal(r.first, r.last))
		return buf;
	len = strlen(buf);
	memcpy(buf + len, "..", 2);
	vmac_mac_format(r.last, VMAC_MAC_COLON, buf + len + 2);
	return buf;
}
