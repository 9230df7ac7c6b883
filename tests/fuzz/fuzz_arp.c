#include "fuzz.h"
#include "wire/arp.h"
#include "wire/eth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { ETH_TYPE_ARP, ETH_TYPE_RARP };
	unsigned int accepted = 0;

	for (size_t i = 0; i < 2; i++) {
		struct reader r = reader_of(data, size);
		struct arp a = { .operation = 99 };
		uint8_t buf[ARP_LEN];
		struct writer w = writer_of(buf, sizeof(buf));
		const char *why = NULL;

		if (arp_decode(&r, types[i], &a, &why) < 0) {
			MUST(why && a.operation == 99 && reader_left(&r) == size);
			continue;
		}
		accepted++;
		MUST(arp_eth_type(a.operation) == types[i]);
		MUST(!(arp_is_probe(&a) && arp_is_announcement(&a)));
		arp_encode(&w, &a);
		MUST(!w.failed && writer_used(&w) == ARP_LEN);
		MUST(memcmp(buf, data, ARP_LEN) == 0);
	}
	MUST(accepted <= 1); /* one packet, one Ethernet type */
	return 0;
}
