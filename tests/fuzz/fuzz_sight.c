/* Any beginning of a frame is read without harm, and what it names is in it. */
#include "fuzz.h"
#include "wire/sight.h"

static bool is_in(const uint8_t *data, size_t size, const uint8_t *what, size_t len)
{
	for (size_t i = 0; i + len <= size; i++)
		if (memcmp(data + i, what, len) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t none[16];
	struct sight s;

	sight_read(data, size, &s);
	MUST(s.what && s.what[0]);
	MUST(s.family == 0 || s.family == 4 || s.family == 6);
	if (s.family == 0)
		return 0;
	MUST(memcmp(s.sender, none, s.family == 4 ? 4 : 16) != 0);
	MUST(is_in(data, size, s.sender, s.family == 4 ? 4 : 16));
	return 0;
}
