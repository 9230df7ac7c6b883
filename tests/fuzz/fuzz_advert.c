/* One frame of any election protocol: as it came, with the header checksums of IPv4 put right, and
 * as a sender's kernel hands it over before its card has computed UDP's. */
#include "fuzz.h"
#include "wire/advert.h"
#include "wire/checksum.h"

#define FRAME_MAX 2048
#define IPV4_AT	  14 /* in a frame without tags */

static void check(const uint8_t *frame, size_t len, unsigned int flags)
{
	struct reader r = reader_of(frame, len);
	enum advert_depth depth = ADVERT_NOTHING;
	const char *why = NULL;
	struct advert a;
	enum verdict v;

	v = advert_decode(&r, flags, &a, &depth, &why);
	MUST(v < VERDICT_OWN); /* the others are the election's */
	MUST((v == VERDICT_ACCEPTED) == (depth == ADVERT_ALL));
	MUST((v == VERDICT_ACCEPTED) == (why == NULL));
	if (v == VERDICT_ACCEPTED)
		MUST(reader_left(&r) == 0);
	else
		MUST(r.at == frame && reader_left(&r) == len);
	if (depth >= ADVERT_IP)
		MUST(a.path.family == 4 || a.path.family == 6);
	if (depth >= ADVERT_GROUP) {
		MUST(a.kind < ADVERT_KIND_COUNT);
		advert_group(&a);
	}
}

static void repair(uint8_t *frame, size_t len)
{
	size_t header_len;
	uint16_t value;

	if (len <= IPV4_AT)
		return;
	header_len = (frame[IPV4_AT] & 0x0f) * 4u;
	if (header_len < 20 || len < IPV4_AT + header_len)
		return;
	frame += IPV4_AT;
	frame[10] = frame[11] = 0;
	value = checksum_finish(checksum_add(0, frame, header_len));
	frame[10] = (uint8_t)(value >> 8);
	frame[11] = (uint8_t)value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *own;

	if (size > FRAME_MAX)
		return 0;
	own = malloc(size ? size : 1);
	MUST(own);
	memcpy(own, data, size);
	check(own, size, 0);
	check(own, size, ADVERT_CHECKSUM_PENDING);
	if (size > 13 && own[12] == 0x08 && own[13] == 0x00) {
		repair(own, size);
		check(own, size, 0);
		check(own, size, ADVERT_CHECKSUM_PENDING);
	}
	free(own);
	return 0;
}
