#include "fuzz.h"
#include "model/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), buf[DURATION_TEXT_MAX];
	int64_t ms = -7, again;

	if (duration_parse(text, &ms) == 0) {
		MUST(ms >= 0 && ms <= DURATION_MAX_MS);
		MUST(duration_parse(duration_format(ms, buf), &again) == 0);
		MUST(again == ms);
	} else {
		MUST(ms == -7);
	}
	/* Whatever the number, its text fits and is not empty. */
	if (size >= sizeof(ms)) {
		memcpy(&ms, data, sizeof(ms));
		MUST(strlen(duration_format(ms, buf)) > 0);
	}
	free(text);
	return 0;
}
