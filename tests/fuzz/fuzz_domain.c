#include "cli/hook_domain.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { 0 };
	struct domain d;

	if (domain_parse((const char *)data, size, &d, &e) == 0) {
		MUST(!e.message[0]);
		/* An entity that is not one of XML's own needs a document type. */
		MUST(!memmem(data, size, "<!ENTITY", 8) || memmem(data, size, "<!--", 4) ||
		     memmem(data, size, "<![CDATA[", 9) || memmem(data, size, "<?", 2));
	} else {
		MUST(e.message[0]);
	}
	MUST(d.nic_count <= DOMAIN_NICS_MAX);
	for (unsigned int i = 0; i < d.nic_count; i++) {
		MUST(memchr(d.nics[i].dev, '\0', sizeof(d.nics[i].dev)));
		MUST(d.nics[i].queues <= 256);
	}
	return 0;
}
