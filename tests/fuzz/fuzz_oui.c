#include <vmac/classify.h>

#include "fuzz.h"

static const char *registry(uint8_t bits)
{
	return bits == 24 ? "MA-L" : bits == 28 ? "MA-M" : "MA-S";
}

/* The entry as a line of its own, every field quoted, reads back the same. */
static void check_round_trip(const struct vmac_oui *o)
{
	char *line = malloc(2 * strlen(o->vendor) + 64), *at = line;
	struct vmac_oui again;

	MUST(line);
	at += sprintf(at, "\"%s\",\"%0*llX\",\"", registry(o->bits), o->bits / 4,
		      (unsigned long long)(o->prefix >> (48 - o->bits)));
	for (const char *c = o->vendor; *c; c++) {
		if (*c == '"')
			*at++ = '"';
		*at++ = *c;
	}
	strcpy(at, "\",\"somewhere\"\r\n");
	MUST(vmac_oui_parse_csv(line, &again) == 1);
	MUST(again.prefix == o->prefix && again.bits == o->bits);
	MUST(strcmp(again.vendor, o->vendor) == 0);
	MUST(vmac_oui_compare(&again, o) == 0);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmac_oui o = { .bits = 1 };
	char *line = fuzz_text(data, size);
	size_t len = strlen(line);
	int r = vmac_oui_parse_csv(line, &o);

	if (r == 1) {
		MUST(o.bits == 24 || o.bits == 28 || o.bits == 36);
		MUST(o.prefix >> 48 == 0 && (o.prefix & ((UINT64_C(1) << (48 - o.bits)) - 1)) == 0);
		MUST(o.vendor >= line && o.vendor + strlen(o.vendor) <= line + len);
		MUST(o.vendor[0] != '\0' && o.vendor[0] != ' ');
		MUST(vmac_oui_find(&o, 1, vmac_mac_from_u64(o.prefix)) == &o);
		check_round_trip(&o);
	} else {
		MUST(o.bits == 1);
	}
	free(line);
	return 0;
}
