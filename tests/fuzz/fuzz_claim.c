/* Any frame is read without harm, and only what claim_write() writes is valid. */
#include "fuzz.h"
#include "wire/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[CLAIM_KEY_LEN] = { 0, 1, 2,  3,  4,  5,  6,  7,
						    8, 9, 10, 11, 12, 13, 14, 15 };
	struct claim_tag tag = { .host = 99 }, peeked;
	const enum claim_verdict v = claim_read(data, size, key, &tag);
	uint8_t again[CLAIM_LEN];
	struct writer w = writer_of(again, sizeof(again));

	MUST(v == CLAIM_UNTAGGED || claim_peek(data, size, &peeked));
	if (v != CLAIM_VALID) {
		MUST(tag.host == 99 && tag.epoch == 0);
		return 0;
	}
	MUST(peeked.host == tag.host && peeked.epoch == tag.epoch);
	claim_write(&w, &tag, key);
	MUST(!w.failed && memcmp(again, data, CLAIM_LEN) == 0);
	return 0;
}
