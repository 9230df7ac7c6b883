#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "packets.h"
#include "wire/checksum.h"
#include "wire/ip.h"

static uint8_t buf[2048];

static void ipv4_headers_are_read_and_written(void **state)
{
	struct reader r = reader_of(packet_udp4, sizeof(packet_udp4));
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv4 ip;

	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	assert_int_equal(ip.tos, 0x10);
	assert_int_equal(ip.id, 0x1234);
	assert_true(ip.dont_fragment);
	assert_false(ip.more_fragments);
	assert_int_equal(ip.fragment, 0);
	assert_int_equal(ip.ttl, 64);
	assert_int_equal(ip.protocol, IP_PROTOCOL_UDP);
	assert_int_equal(ip.payload_len, 11);
	assert_memory_equal(ip.from, "\xc0\x00\x02\x01", 4);
	assert_memory_equal(ip.to, "\xc0\x00\x02\x07", 4);
	assert_int_equal(ip.options_len, 0);
	assert_int_equal(reader_left(&r), 11);
	ipv4_encode(&w, &ip);
	assert_int_equal(writer_used(&w), 20);
	assert_memory_equal(buf, packet_udp4, 20);
}

static void ipv4_options_are_kept(void **state)
{
	struct reader r = reader_of(packet_igmp, sizeof(packet_igmp));
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv4 ip;

	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	assert_int_equal(ip.options_len, 4);
	assert_memory_equal(ip.options, "\x94\x04\x00\x00", 4);
	assert_int_equal(reader_left(&r), 4);
	ipv4_encode(&w, &ip);
	assert_int_equal(writer_used(&w), 24);
	assert_memory_equal(buf, packet_igmp, 24);
}

static void padding_is_cut_off(void **state)
{
	struct ipv4 ip;
	struct ipv6 ip6;
	struct reader r;

	memset(buf, 0xee, 100);
	memcpy(buf, packet_udp4, sizeof(packet_udp4));
	r = reader_of(buf, 46);
	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	assert_int_equal(reader_left(&r), 11);

	memcpy(buf, packet_udp6, sizeof(packet_udp6));
	r = reader_of(buf, 100);
	assert_int_equal(ipv6_decode(&r, &ip6, NULL), 0);
	assert_int_equal(reader_left(&r), 12);
}

/* Puts the header's checksum right again after a change, so that the change itself is judged. */
static void repair(uint8_t *header, size_t len)
{
	uint16_t sum;

	header[10] = header[11] = 0;
	sum = checksum_finish(checksum_add(0, header, len));
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

static void bad_ipv4_is_named(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		size_t len;
		bool repair;
		const char *why;
	} rows[] = {
		{ 0, 0x45, 0, false, "packet ends inside the IPv4 header" },
		{ 0, 0x45, 19, false, "packet ends inside the IPv4 header" },
		{ 0, 0x65, 31, true, "version is not 4" },
		{ 0, 0x44, 31, true, "IPv4 header length is below 20" },
		{ 0, 0x40, 31, true, "IPv4 header length is below 20" },
		{ 0, 0x4f, 31, true, "packet ends inside the IPv4 options" },
		{ 8, 63, 31, false, "IPv4 header checksum is wrong" },
		{ 10, 0, 31, false, "IPv4 header checksum is wrong" },
		{ 6, 0xc0, 31, true, "IPv4 reserved flag is set" },
		{ 3, 19, 31, true, "IPv4 total length does not fit the packet" },
		{ 3, 32, 31, true, "IPv4 total length does not fit the packet" },
		{ 3, 31, 30, true, "IPv4 total length does not fit the packet" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reader r = reader_of(buf, rows[i].len);
		struct ipv4 ip = { .ttl = 77 };
		const char *why = NULL;

		memcpy(buf, packet_udp4, sizeof(packet_udp4));
		buf[rows[i].at] = rows[i].value;
		if (rows[i].repair)
			repair(buf, 20);
		assert_int_equal(ipv4_decode(&r, &ip, &why), -EBADMSG);
		assert_string_equal(why, rows[i].why);
		assert_int_equal(ip.ttl, 77);
		assert_int_equal(reader_left(&r), rows[i].len);
	}
}

static void fragments_are_read_and_written(void **state)
{
	struct ipv4 ip = { .more_fragments = true, .fragment = 0x1fff, .ttl = 1 }, again;
	struct writer w = writer_of(buf, sizeof(buf));
	struct reader r;

	ipv4_encode(&w, &ip);
	assert_false(w.failed);
	r = reader_of(buf, writer_used(&w));
	assert_int_equal(ipv4_decode(&r, &again, NULL), 0);
	assert_true(again.more_fragments && !again.dont_fragment);
	assert_int_equal(again.fragment, 0x1fff);
}

static void impossible_headers_are_not_written(void **state)
{
	static const struct ipv4 rows[] = {
		{ .options_len = 3 },
		{ .options_len = 44 },
		{ .fragment = 0x2000 },
		{ .payload_len = 65516 },
	};
	struct writer w;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		w = writer_of(buf, sizeof(buf));
		ipv4_encode(&w, &rows[i]);
		assert_true(w.failed);
	}
	w = writer_of(buf, 19);
	ipv4_encode(&w, &(struct ipv4){ .ttl = 1 });
	assert_true(w.failed);
	w = writer_of(buf, sizeof(buf));
	ipv6_encode(&w, &(struct ipv6){ .flow = 0x100000 });
	assert_true(w.failed);
}

static void ipv6_headers_are_read_and_written(void **state)
{
	struct reader r = reader_of(packet_udp6, sizeof(packet_udp6));
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv6 ip;

	assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
	assert_int_equal(ip.traffic_class, 0x20);
	assert_int_equal(ip.flow, 0xabcde);
	assert_int_equal(ip.payload_len, 12);
	assert_int_equal(ip.next_header, IP_PROTOCOL_UDP);
	assert_int_equal(ip.hop_limit, 64);
	assert_int_equal(ip.from[15], 1);
	assert_int_equal(ip.to[15], 7);
	ipv6_encode(&w, &ip);
	assert_int_equal(writer_used(&w), 40);
	assert_memory_equal(buf, packet_udp6, 40);
}

static void bad_ipv6_is_named(void **state)
{
	struct ipv6 ip;
	struct reader r;
	const char *why;

	r = reader_of(packet_udp6, 39);
	assert_int_equal(ipv6_decode(&r, &ip, &why), -EBADMSG);
	assert_string_equal(why, "packet ends inside the IPv6 header");
	r = reader_of(packet_udp6, 51);
	assert_int_equal(ipv6_decode(&r, &ip, &why), -EBADMSG);
	assert_string_equal(why, "IPv6 payload length does not fit the packet");
	memcpy(buf, packet_udp6, sizeof(packet_udp6));
	buf[0] = 0x45;
	r = reader_of(buf, sizeof(packet_udp6));
	assert_int_equal(ipv6_decode(&r, &ip, &why), -EBADMSG);
	assert_string_equal(why, "version is not 6");
	assert_int_equal(reader_left(&r), sizeof(packet_udp6));
}

static void udp_is_read_and_written(void **state)
{
	struct reader r = reader_of(packet_udp4, sizeof(packet_udp4));
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv4 ip4;
	struct ipv6 ip6;
	struct udp u;

	assert_int_equal(ipv4_decode(&r, &ip4, NULL), 0);
	assert_int_equal(udp4_decode(&r, &ip4, &u, NULL), 0);
	assert_int_equal(u.from, 68);
	assert_int_equal(u.to, 67);
	assert_int_equal(u.payload_len, 3);
	assert_false(u.unchecked);
	assert_memory_equal(r.at, "abc", 3);
	udp4_encode(&w, &ip4, &u, "abc");
	assert_int_equal(writer_used(&w), 11);
	assert_memory_equal(buf, packet_udp4 + 20, 11);

	r = reader_of(packet_udp6, sizeof(packet_udp6));
	w = writer_of(buf, sizeof(buf));
	assert_int_equal(ipv6_decode(&r, &ip6, NULL), 0);
	assert_int_equal(udp6_decode(&r, &ip6, &u, NULL), 0);
	assert_int_equal(u.to, 547);
	assert_memory_equal(r.at, "abcd", 4);
	udp6_encode(&w, &ip6, &u, "abcd");
	assert_memory_equal(buf, packet_udp6 + 40, 12);
}

static void bad_udp_is_named(void **state)
{
	static const struct {
		size_t at, len;
		uint8_t value;
		const char *why;
	} rows[] = {
		{ 0, 7, 0, "packet ends inside the UDP header" },
		{ 5, 11, 7, "UDP length does not fit the packet" },
		{ 5, 11, 12, "UDP length does not fit the packet" },
		{ 5, 11, 0, "UDP length does not fit the packet" },
		{ 8, 11, 'x', "UDP checksum is wrong" },
		{ 1, 11, 69, "UDP checksum is wrong" },
	};
	struct reader r = reader_of(packet_udp4, sizeof(packet_udp4));
	struct ipv4 ip;
	struct udp u;

	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *why = NULL;

		memcpy(buf, packet_udp4 + 20, 11);
		buf[rows[i].at] = rows[i].value;
		r = reader_of(buf, rows[i].len);
		assert_int_equal(udp4_decode(&r, &ip, &u, &why), -EBADMSG);
		assert_string_equal(why, rows[i].why);
		assert_int_equal(reader_left(&r), rows[i].len);
	}
	/* The pseudo header counts: the same datagram to somebody else is wrong. */
	ip.to[3]++;
	r = reader_of(packet_udp4 + 20, 11);
	assert_int_equal(udp4_decode(&r, &ip, &u, NULL), -EBADMSG);
}

static void missing_checksums_are_for_ipv4_only(void **state)
{
	struct udp u = { .from = 1, .to = 2, .payload_len = 1, .unchecked = true }, again;
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv4 ip4 = { 0 };
	struct ipv6 ip6 = { 0 };
	const char *why = NULL;
	struct reader r;

	udp4_encode(&w, &ip4, &u, "x");
	assert_memory_equal(buf + 6, "\0\0", 2);
	r = reader_of(buf, 9);
	assert_int_equal(udp4_decode(&r, &ip4, &again, NULL), 0);
	assert_true(again.unchecked);
	r = reader_of(buf, 9);
	assert_int_equal(udp6_decode(&r, &ip6, &again, &why), -EBADMSG);
	assert_string_equal(why, "UDP over IPv6 without a checksum");
	w = writer_of(buf, sizeof(buf));
	udp6_encode(&w, &ip6, &u, "x");
	assert_true(w.failed);
}

static void a_sum_of_zero_is_sent_as_ones(void **state)
{
	struct udp u = { .payload_len = 2 }, again;
	struct ipv4 ip = { 0 };
	struct writer w;
	struct reader r;
	bool seen = false;

	/* One of the 65,536 payloads makes the sum zero. */
	for (unsigned int n = 0; n < 65536; n++) {
		uint8_t payload[2] = { (uint8_t)(n >> 8), (uint8_t)n };

		w = writer_of(buf, sizeof(buf));
		udp4_encode(&w, &ip, &u, payload);
		seen |= buf[6] == 0xff && buf[7] == 0xff;
		assert_false(buf[6] == 0 && buf[7] == 0);
		r = reader_of(buf, writer_used(&w));
		assert_int_equal(udp4_decode(&r, &ip, &again, NULL), 0);
		assert_false(again.unchecked);
	}
	assert_true(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_headers_are_read_and_written),
		cmocka_unit_test(ipv4_options_are_kept),
		cmocka_unit_test(padding_is_cut_off),
		cmocka_unit_test(bad_ipv4_is_named),
		cmocka_unit_test(fragments_are_read_and_written),
		cmocka_unit_test(impossible_headers_are_not_written),
		cmocka_unit_test(ipv6_headers_are_read_and_written),
		cmocka_unit_test(bad_ipv6_is_named),
		cmocka_unit_test(udp_is_read_and_written),
		cmocka_unit_test(bad_udp_is_named),
		cmocka_unit_test(missing_checksums_are_for_ipv4_only),
		cmocka_unit_test(a_sum_of_zero_is_sent_as_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
