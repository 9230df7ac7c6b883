#include "cli/hook_qmp.h"
#include "fuzz.h"

/* The octets in pieces, as a socket gives them: what is said does not depend on where they are cut.
 */
static unsigned int feed(struct qmp_monitor *m, const uint8_t *data, size_t size, size_t piece)
{
	unsigned int said = 0;

	m->len = 0;
	m->nic_count = 0;
	for (size_t at = 0; at < size;) {
		size_t len = size - at < piece ? size - at : piece, taken;
		char status[32] = "";
		enum qmp_said what;

		taken = qmp_take(m, (const char *)data + at, len, &what, status);
		MUST(taken > 0 && taken <= len);
		MUST(m->len <= sizeof(m->line) && m->nic_count <= QMP_NICS_MAX);
		MUST(memchr(status, '\0', sizeof(status)));
		if (what != QMP_NOTHING)
			said = said * 31 + (unsigned int)what;
		if (what == QMP_BROKEN)
			break;
		at += taken;
	}
	return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qmp_monitor m;
	unsigned int whole, cut;

	if (size > sizeof(m.line))
		return 0;
	whole = feed(&m, data, size, size ? size : 1);
	cut = feed(&m, data, size, 7);
	MUST(whole == cut);
	return 0;
}
