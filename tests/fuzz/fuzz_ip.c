/* IPv4, IPv6 and UDP inside them.  What decodes must encode to the same octets.  Every input is
 * tried as it came and once more with its checksums put right: otherwise little would get past
 * them. */
#include "fuzz.h"
#include "wire/checksum.h"
#include "wire/ip.h"

static void check_udp(const struct udp *u, const struct reader *payload, const uint8_t *packet,
		      const struct ipv4 *ip4, const struct ipv6 *ip6)
{
	size_t len = UDP_HEADER_LEN + (size_t)u->payload_len;
	uint8_t *buf = malloc(len);
	struct writer w = writer_of(buf, len);

	MUST(buf && reader_left(payload) == u->payload_len);
	if (ip4)
		udp4_encode(&w, ip4, u, payload->at);
	else
		udp6_encode(&w, ip6, u, payload->at);
	MUST(!w.failed && writer_used(&w) == len);
	MUST(memcmp(buf, packet, len) == 0);
	free(buf);
}

static void check_ipv4(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size), in;
	uint8_t buf[IPV4_HEADER_LEN + IPV4_OPTIONS_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv4 ip = { .ttl = 99 };
	const char *why = NULL;
	struct udp u;

	if (ipv4_decode(&r, &ip, &why) < 0) {
		MUST(why && ip.ttl == 99 && r.at == data && reader_left(&r) == size);
		return;
	}
	MUST(r.end <= data + size && reader_left(&r) == ip.payload_len);
	ipv4_encode(&w, &ip);
	MUST(!w.failed && writer_used(&w) == (size_t)(r.at - data));
	/* The checksum field may hold the other zero of ones' complement. */
	MUST(memcmp(buf, data, 10) == 0 && memcmp(buf + 12, data + 12, writer_used(&w) - 12) == 0);
	in = r;
	if (udp4_decode(&in, &ip, &u, &why) == 0)
		check_udp(&u, &in, r.at, &ip, NULL);
}

static void check_ipv6(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size), in;
	uint8_t buf[IPV6_HEADER_LEN];
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv6 ip = { .hop_limit = 99 };
	const char *why = NULL;
	struct udp u;

	if (ipv6_decode(&r, &ip, &why) < 0) {
		MUST(why && ip.hop_limit == 99 && r.at == data && reader_left(&r) == size);
		return;
	}
	MUST(r.end <= data + size && reader_left(&r) == ip.payload_len);
	ipv6_encode(&w, &ip);
	MUST(!w.failed && writer_used(&w) == IPV6_HEADER_LEN);
	MUST(memcmp(buf, data, IPV6_HEADER_LEN) == 0);
	in = r;
	if (udp6_decode(&in, &ip, &u, &why) == 0)
		check_udp(&u, &in, r.at, NULL, &ip);
}

static void put_sum(uint8_t *at, uint32_t sum, const uint8_t *data, size_t len)
{
	uint16_t value;

	at[0] = at[1] = 0;
	value = checksum_finish(checksum_add(sum, data, len));
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void repair_udp(uint8_t *packet, size_t size, uint32_t pseudo_sum)
{
	size_t len;

	if (size < UDP_HEADER_LEN)
		return;
	len = (size_t)packet[4] << 8 | packet[5];
	if (len < UDP_HEADER_LEN || len > size)
		return;
	put_sum(packet + 6, pseudo_sum + (uint32_t)len, packet, len);
	if (packet[6] == 0 && packet[7] == 0)
		packet[6] = packet[7] = 0xff;
}

static void repair_ipv4(uint8_t *packet, size_t size)
{
	size_t header_len = size > 0 ? (packet[0] & 0x0f) * 4u : 0;
	struct reader r = reader_of(packet, size);
	struct ipv4 ip;

	if (header_len < IPV4_HEADER_LEN || header_len > size)
		return;
	put_sum(packet + 10, 0, packet, header_len);
	if (ipv4_decode(&r, &ip, NULL) == 0)
		repair_udp(packet + header_len, ip.payload_len,
			   ipv4_pseudo_sum(&ip, IP_PROTOCOL_UDP));
}

static void repair_ipv6(uint8_t *packet, size_t size)
{
	struct reader r = reader_of(packet, size);
	struct ipv6 ip;

	if (ipv6_decode(&r, &ip, NULL) == 0)
		repair_udp(packet + IPV6_HEADER_LEN, ip.payload_len,
			   ipv6_pseudo_sum(&ip, IP_PROTOCOL_UDP));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size > 65535 + IPV6_HEADER_LEN)
		return 0;
	check_ipv4(data, size);
	check_ipv6(data, size);
	copy = malloc(size ? size : 1);
	MUST(copy);
	memcpy(copy, data, size);
	repair_ipv4(copy, size);
	check_ipv4(copy, size);
	repair_ipv6(copy, size);
	check_ipv6(copy, size);
	free(copy);
	return 0;
}
