/* One CARP advertisement, as it came and with its checksum put right. */
#include "fuzz.h"
#include "wire/carp.h"
#include "wire/checksum.h"

#define MESSAGE_MAX 64
#define CHECKSUM_AT 6

static const struct vrrp_path path = { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 };

static void check(const uint8_t *message, size_t len)
{
	struct reader r = reader_of(message, len);
	struct carp c = { .group = 0 };
	uint8_t buf[CARP_LEN];
	struct writer w = writer_of(buf, sizeof(buf));
	const char *why = NULL;

	if (carp_decode(&r, &path, VRRP_TTL, false, &c, &why) != VERDICT_ACCEPTED) {
		MUST(why && c.group == 0 && r.at == message && reader_left(&r) == len);
		return;
	}
	MUST(reader_left(&r) == 0 && !why && carp_is(message, len));
	carp_encode(&w, &path, &c);
	MUST(!w.failed && writer_used(&w) == CARP_LEN);
	/* Nothing is lost; the checksum may be the other zero of ones' complement. */
	MUST(memcmp(buf, message, CHECKSUM_AT) == 0);
	MUST(memcmp(buf + 8, message + 8, CARP_LEN - 8) == 0);
	carp_verify(&c, "key", 4, path.from, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t value;
	uint8_t *own;

	if (size > MESSAGE_MAX)
		return 0;
	own = malloc(size ? size : 1);
	MUST(own);
	memcpy(own, data, size);
	carp_is(own, size);
	check(own, size);
	if (size >= CARP_LEN) {
		own[CHECKSUM_AT] = own[CHECKSUM_AT + 1] = 0;
		value = checksum_finish(checksum_add(0, own, CARP_LEN));
		own[CHECKSUM_AT] = (uint8_t)(value >> 8);
		own[CHECKSUM_AT + 1] = (uint8_t)value;
		check(own, size);
	}
	free(own);
	return 0;
}
