/* Any frame is read without harm, and only what heartbeat_write() writes is valid.  A message is
 * tried as it is, and with its tag made right: what lies behind the tag wants to be fuzzed, too. */
#include <sodium/crypto_shorthash_siphash24.h>

#include "fuzz.h"
#include "wire/heartbeat.h"

static const uint8_t key[HEARTBEAT_KEY_LEN] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

static void try_frame(const uint8_t *data, size_t size)
{
	static uint8_t again[HEARTBEAT_LEN_MAX];
	static struct heartbeat h;
	struct writer w = writer_of(again, sizeof(again));
	enum heartbeat_verdict v;
	uint64_t cluster = 0;
	vmac_mac_t source;

	h = (struct heartbeat){ .number = 99, .echo_count = 77 };
	v = heartbeat_read(data, size, key, &h);
	MUST((v != HEARTBEAT_NOT && v != HEARTBEAT_VERSION) ||
	     !heartbeat_peek(data, size, &cluster));
	if (v != HEARTBEAT_VALID) {
		MUST(h.number == 99 && h.echo_count == 77);
		return;
	}
	MUST(heartbeat_peek(data, size, &cluster) && cluster == h.cluster);
	memcpy(source.octet, data + 6, sizeof(source.octet));
	heartbeat_write(&w, source, &h, key);
	MUST(!w.failed && writer_used(&w) <= size);
	MUST(memcmp(again, data, writer_used(&w)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[4096];
	size_t len;

	try_frame(data, size);
	if (size < 124 || size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	len = 14 + ((size_t)copy[18] << 8 | copy[19]);
	if (len < 124 || len > size)
		return 0;
	crypto_shorthash_siphash24(copy + len - 8, copy + 6, len - 14, key);
	try_frame(copy, size);
	return 0;
}
