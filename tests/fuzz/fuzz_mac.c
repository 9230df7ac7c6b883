/* The address parser, against a slow description of what an address is. */
#include <vmac/mac.h>

#include "fuzz.h"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Whether the first len characters of text begin some address (or are one, where whole). */
static bool fits(const char *text, size_t len, bool whole)
{
	static const char *const forms[] = { "xx:xx:xx:xx:xx:xx", "xx-xx-xx-xx-xx-xx",
					     "xxxx.xxxx.xxxx", "xxxxxxxxxxxx" };

	for (size_t f = 0; f < 4; f++) {
		size_t i = 0;

		if (whole ? strlen(forms[f]) != len : strlen(forms[f]) < len)
			continue;
		while (i < len && (forms[f][i] == 'x' ? is_hex(text[i]) : text[i] == forms[f][i]))
			i++;
		if (i == len)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmac_mac_fault fault = { SIZE_MAX, NULL };
	vmac_mac_t m = { { 1, 2, 3, 4, 5, 6 } }, before = m, again;
	char *text = fuzz_text(data, size), buf[VMAC_MAC_TEXT_MAX];
	int r = vmac_mac_parse(text, &m, &fault);

	MUST((r == 0) == fits(text, strlen(text), true));
	if (r < 0) {
		/* The place of the fault is the end of the longest beginning of an address. */
		MUST(fault.reason && fault.position <= strlen(text));
		MUST(fits(text, fault.position, false));
		MUST(fault.position == strlen(text) || !fits(text, fault.position + 1, false));
		MUST(vmac_mac_equal(m, before));
	} else {
		MUST(!fault.reason);
		for (unsigned int s = 0; s < VMAC_MAC_STYLE_COUNT; s++) {
			MUST(vmac_mac_parse(vmac_mac_format(m, s, buf), &again, NULL) == 0);
			MUST(vmac_mac_equal(m, again));
		}
	}
	free(text);
	return 0;
}
