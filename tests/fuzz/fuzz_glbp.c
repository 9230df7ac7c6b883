/* One GLBP message.  It is never written, so that all that can be asked is that nothing is read
 * behind it and that what was read is within its limits. */
#include "fuzz.h"
#include "wire/glbp.h"

#define MESSAGE_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t from[4] = { 10, 9, 0, 1 };
	struct glbp g = { .group = 9999 };
	const char *why = NULL;
	struct reader r;
	uint8_t *own;

	if (size > MESSAGE_MAX)
		return 0;
	own = malloc(size ? size : 1);
	MUST(own);
	memcpy(own, data, size);
	r = reader_of(own, size);
	if (glbp_decode(&r, &g, &why) == VERDICT_ACCEPTED) {
		MUST(reader_left(&r) == 0 && !why && g.message_len == size);
		MUST(g.group <= GLBP_GROUP_MAX && g.forwarder_count <= GLBP_FORWARDERS_MAX);
		MUST(memchr(g.text, 0, sizeof(g.text)));
		MUST(!g.has_hello || g.family == 4 || g.family == 6);
		glbp_md5_verify(&g, from, "key");
	} else {
		MUST(why && g.group == 9999 && r.at == own && reader_left(&r) == size);
	}
	free(own);
	return 0;
}
