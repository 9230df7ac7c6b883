#include "fuzz.h"
#include "model/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), buf[WALL_TEXT_MAX];
	wall_t t = { -7 }, again;

	if (wall_parse(text, &t) == 0) {
		wall_format(t, buf);
		/* An offset may carry a date over the edge of the years that can be written. */
		MUST(wall_parse(buf, &again) == 0);
		MUST(again.ms == t.ms || strncmp(text, "0000-01-01", 10) == 0 ||
		     strncmp(text, "9999-12-31", 10) == 0);
	} else {
		MUST(t.ms == -7);
	}
	if (size >= sizeof(t.ms)) {
		memcpy(&t.ms, data, sizeof(t.ms));
		wall_format(t, buf);
		MUST(t.ms == WALL_NEVER.ms ? strcmp(buf, "never") == 0
					   : wall_parse(buf, &again) == 0);
	}
	free(text);
	return 0;
}
