#include "fuzz.h"
#include "wire/eth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size);
	struct eth e = { .tag_count = 99 };
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));
	const char *why = NULL;

	if (eth_decode(&r, &e, &why) < 0) {
		MUST(why && e.tag_count == 99);
		MUST(r.at == data && reader_left(&r) == size && !r.failed);
		return 0;
	}
	MUST(!vmac_mac_is_group(e.from) && e.tag_count <= ETH_TAGS_MAX);
	MUST(r.end <= data + size);
	eth_encode(&w, &e);
	MUST(!w.failed && writer_used(&w) == (size_t)(r.at - data));
	MUST(memcmp(buf, data, writer_used(&w)) == 0);
	return 0;
}
