#include <vmac/classify.h>

#include "fuzz.h"

static void check_range(struct vmac_mac_range range)
{
	const struct vmac_well_known *row = vmac_well_known_in(range);
	char text[VMAC_MAC_RANGE_TEXT_MAX];
	struct vmac_mac_range again;
	vmac_mac_t last;

	MUST(vmac_mac_range_check(range) == 0);
	MUST(vmac_mac_add(range.first, vmac_mac_range_size(range) - 1, &last) == 0);
	MUST(vmac_mac_equal(last, range.last));
	MUST(vmac_mac_range_has(range, range.first) && vmac_mac_range_has(range, range.last));
	MUST(vmac_mac_range_parse(vmac_mac_range_format(range, text), &again, NULL) == 0);
	MUST(vmac_mac_equal(range.first, again.first) && vmac_mac_equal(range.last, again.last));
	/* What one end is, the range has. */
	if (vmac_classify(range.first).well_known || vmac_classify(range.last).well_known)
		MUST(row);
	if (row)
		MUST(vmac_mac_ranges_overlap(range, vmac_well_known_range(row)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmac_mac_range range = { { { 1 } }, { { 2 } } };
	struct vmac_mac_fault fault = { SIZE_MAX, NULL };
	char *text = fuzz_text(data, size);
	vmac_mac_t one;
	int r = vmac_mac_range_parse(text, &range, &fault);

	if (r == 0) {
		MUST(!fault.reason);
		check_range(range);
	} else {
		MUST(fault.reason && fault.position <= strlen(text));
		MUST(range.first.octet[0] == 1 && range.last.octet[0] == 2);
	}
	/* An address alone is a range of one. */
	if (vmac_mac_parse(text, &one, NULL) == 0)
		MUST(r == 0 && vmac_mac_range_size(range) == 1 && vmac_mac_equal(range.first, one));
	free(text);
	return 0;
}
