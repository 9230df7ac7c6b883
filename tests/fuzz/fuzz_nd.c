/* Neighbour discovery in an IPv6 packet.  The checksum is put right first: otherwise nothing that
 * the fuzzer finds would get past it. */
#include "fuzz.h"
#include "wire/checksum.h"
#include "wire/nd.h"

#define PACKET_MAX 2048

static bool same(const struct nd *a, const struct nd *b)
{
	return a->kind == b->kind && memcmp(a->target, b->target, 16) == 0 &&
	       a->router == b->router && a->solicited == b->solicited &&
	       a->override == b->override && a->hop_limit == b->hop_limit &&
	       a->managed == b->managed && a->other == b->other && a->preference == b->preference &&
	       a->lifetime_s == b->lifetime_s && a->reachable_ms == b->reachable_ms &&
	       a->retrans_ms == b->retrans_ms && a->has_mac == b->has_mac &&
	       vmac_mac_equal(a->mac, b->mac);
}

static void repair_checksum(uint8_t *message, size_t len, const struct ipv6 *ip)
{
	uint16_t sum;

	message[2] = message[3] = 0;
	sum = checksum_finish(checksum_add(ipv6_pseudo_sum(ip, IP_PROTOCOL_ICMPV6) + (uint32_t)len,
					   message, len));
	message[2] = (uint8_t)(sum >> 8);
	message[3] = (uint8_t)sum;
}

/* decode(encode(x)) == x, which is all that can be asked: unknown options are not kept. */
static void check_round_trip(const struct ipv6 *ip, const struct nd *nd)
{
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct reader r;
	struct nd again;

	nd_encode(&w, ip, nd);
	MUST(!w.failed && writer_used(&w) == nd_len(nd));
	r = reader_of(buf, writer_used(&w));
	MUST(nd_decode(&r, ip, &again, NULL) == 0);
	MUST(reader_left(&r) == 0 && same(nd, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nd nd = { .kind = 99 };
	const char *why = NULL;
	struct reader r, start;
	struct ipv6 ip;
	uint8_t *packet;

	if (size > PACKET_MAX || size < IPV6_HEADER_LEN)
		return 0;
	packet = malloc(size);
	MUST(packet);
	memcpy(packet, data, size);
	r = reader_of(packet, size);
	if (ipv6_decode(&r, &ip, NULL) == 0) {
		/* Odd inputs are tried as they came, so that wrong checksums are seen too. */
		if (ip.payload_len >= 4 && ip.flow % 2 == 0)
			repair_checksum(packet + IPV6_HEADER_LEN, ip.payload_len, &ip);
		start = r;
		if (nd_decode(&r, &ip, &nd, &why) == 0) {
			MUST(reader_left(&r) == 0);
			check_round_trip(&ip, &nd);
		} else {
			MUST(why && nd.kind == 99 && r.at == start.at && r.end == start.end);
		}
	}
	free(packet);
	return 0;
}
