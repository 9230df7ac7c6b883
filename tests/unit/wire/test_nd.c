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
#include "wire/nd.h"

static uint8_t buf[512];

static int decode(const uint8_t *packet, size_t len, struct ipv6 *ret_ip, struct nd *ret,
		  const char **ret_why)
{
	struct reader r = reader_of(packet, len);

	assert_int_equal(ipv6_decode(&r, ret_ip, NULL), 0);
	return nd_decode(&r, ret_ip, ret, ret_why);
}

static void check_written(const uint8_t *packet, size_t len, const struct ipv6 *ip,
			  const struct nd *nd)
{
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(nd_len(nd), ip->payload_len);
	ipv6_encode(&w, ip);
	nd_encode(&w, ip, nd);
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), len);
	assert_memory_equal(buf, packet, len);
}

#define DECODE(packet, ip, nd)                                                                     \
	do {                                                                                       \
		assert_int_equal(decode(packet, sizeof(packet), &(ip), &(nd), NULL), 0);           \
		check_written(packet, sizeof(packet), &(ip), &(nd));                               \
	} while (0)

static void every_message_is_read_and_written(void **state)
{
	struct ipv6 ip;
	struct nd nd;

	DECODE(packet_ns, ip, nd);
	assert_int_equal(nd.kind, ND_NEIGHBOUR_SOLICIT);
	assert_int_equal(nd.target[15], 7);
	assert_true(nd.has_mac);
	assert_int_equal(vmac_mac_u64(nd.mac), 0x120000000001);

	DECODE(packet_probe, ip, nd);
	assert_false(nd.has_mac);

	DECODE(packet_na, ip, nd);
	assert_int_equal(nd.kind, ND_NEIGHBOUR_ADVERT);
	assert_true(nd.router && nd.solicited && nd.override && nd.has_mac);
	assert_int_equal(nd.target[15], 1);

	DECODE(packet_rs, ip, nd);
	assert_int_equal(nd.kind, ND_ROUTER_SOLICIT);
	assert_int_equal(vmac_mac_u64(nd.mac), 0x120000000001);

	DECODE(packet_ra, ip, nd);
	assert_int_equal(nd.kind, ND_ROUTER_ADVERT);
	assert_int_equal(nd.hop_limit, 64);
	assert_true(nd.managed && !nd.other);
	assert_int_equal(nd.preference, 1);
	assert_int_equal(nd.lifetime_s, 1800);
	assert_int_equal(nd.reachable_ms, 30000);
	assert_int_equal(nd.retrans_ms, 1000);
	assert_true(nd.has_mac);
}

static void options_we_do_not_know_are_skipped(void **state)
{
	struct ipv6 ip;
	struct nd nd;

	assert_int_equal(decode(packet_ra_options, sizeof(packet_ra_options), &ip, &nd, NULL), 0);
	assert_true(nd.other && !nd.managed && nd.has_mac);
	assert_int_equal(vmac_mac_u64(nd.mac), 0x120000000001);
}

/* The packet with one octet changed and its checksum put right again, as far as it is wanted. */
static const char *why_not(const uint8_t *packet, size_t len, size_t at, uint8_t value, bool repair)
{
	struct nd nd = { .kind = 77 };
	const char *why = NULL;
	struct ipv6 ip;
	struct reader r;
	uint16_t sum;

	memcpy(buf, packet, len);
	buf[at] = value;
	if (repair) {
		r = reader_of(buf, len);
		assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
		buf[42] = buf[43] = 0;
		sum = checksum_finish(checksum_add(ipv6_pseudo_sum(&ip, 58) + (uint32_t)len - 40,
						   buf + 40, len - 40));
		buf[42] = (uint8_t)(sum >> 8);
		buf[43] = (uint8_t)sum;
	}
	if (decode(buf, len, &ip, &nd, &why) == 0)
		return NULL;
	assert_int_equal(nd.kind, 77);
	assert_non_null(why);
	return why;
}

#define WHY_NOT(packet, at, value) why_not(packet, sizeof(packet), at, value, true)

static void every_rule_of_rfc_4861_is_held(void **state)
{
	/* 6.1.1, 6.1.2, 7.1.1, 7.1.2: hop limit, checksum, code. */
	assert_string_equal(WHY_NOT(packet_ns, 7, 254), "hop limit is not 255");
	assert_string_equal(WHY_NOT(packet_ra, 7, 64), "hop limit is not 255");
	assert_string_equal(why_not(packet_ns, sizeof(packet_ns), 63, 8, false),
			    "ICMPv6 checksum is wrong");
	assert_string_equal(WHY_NOT(packet_na, 41, 1), "ICMPv6 code is not 0");
	assert_string_equal(WHY_NOT(packet_na, 40, 137),
			    "not a message of neighbour discovery that we know");
	assert_string_equal(WHY_NOT(packet_na, 40, 128),
			    "not a message of neighbour discovery that we know");
	/* Options of length zero; options that end outside; not Ethernet's length. */
	assert_string_equal(WHY_NOT(packet_ns, 65, 0), "option of length zero");
	assert_string_equal(WHY_NOT(packet_ns, 65, 2), "message ends inside an option");
	assert_string_equal(WHY_NOT(packet_ra_options, 57, 0), "option of length zero");
	assert_string_equal(WHY_NOT(packet_ra_options, 57, 255), "message ends inside an option");
	assert_string_equal(WHY_NOT(packet_ra_options, 56, 1),
			    "link-layer address that is not of Ethernet");
	/* 7.1.1 and 7.1.2: target not multicast. */
	assert_string_equal(WHY_NOT(packet_ns, 48, 0xff), "target is a multicast address");
	assert_string_equal(WHY_NOT(packet_na, 48, 0xff), "target is a multicast address");
	/* 7.1.1: a probe goes to a solicited-node group. */
	assert_string_equal(WHY_NOT(packet_probe, 36, 0),
			    "probe to an address that is not a solicited-node group");
	/* 7.1.2: nobody solicited what goes to a group. */
	assert_string_equal(WHY_NOT(packet_na, 24, 0xff), "solicited advertisement to a group");
	/* 6.1.2: routers speak from their link-local address. */
	assert_string_equal(WHY_NOT(packet_ra, 8, 0x20),
			    "router advertisement from an address that is not link-local");
	assert_string_equal(WHY_NOT(packet_ra, 9, 0xc0),
			    "router advertisement from an address that is not link-local");
	/* What the rules let pass. */
	assert_null(WHY_NOT(packet_ra, 9, 0xbf));
	assert_null(WHY_NOT(packet_ns, 64, 2)); /* a target option in a solicitation is ignored */
	assert_null(WHY_NOT(packet_ns, 64, 14));
	assert_null(WHY_NOT(packet_na, 44, 0x00));
}

static void nobody_has_no_link_layer_address(void **state)
{
	struct reader r = reader_of(packet_ns, sizeof(packet_ns));
	struct writer w = writer_of(buf, sizeof(buf));
	struct ipv6 ip;
	struct nd nd;

	assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
	assert_int_equal(nd_decode(&r, &ip, &nd, NULL), 0);
	memset(ip.from, 0, sizeof(ip.from));
	nd_encode(&w, &ip, &nd);
	assert_true(w.failed);
	nd.kind = ND_ROUTER_SOLICIT;
	w = writer_of(buf, sizeof(buf));
	nd_encode(&w, &ip, &nd);
	assert_true(w.failed);
	nd.has_mac = false;
	w = writer_of(buf, sizeof(buf));
	nd_encode(&w, &ip, &nd);
	assert_false(w.failed);
}

static void short_messages_end_inside(void **state)
{
	static const struct {
		const uint8_t *packet;
		size_t body;
	} rows[] = { { packet_rs, 8 }, { packet_ra, 16 }, { packet_ns, 24 }, { packet_na, 24 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reader r = reader_of(rows[i].packet, 40 + rows[i].body + 8);
		const char *why = NULL;
		struct ipv6 ip;
		struct nd nd;

		assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
		for (size_t len = 0; len < rows[i].body; len++) {
			struct reader cut = reader_of(r.at, len);

			assert_int_equal(nd_decode(&cut, &ip, &nd, &why), -EBADMSG);
			assert_string_equal(why, "message ends inside neighbour discovery");
			assert_int_equal(reader_left(&cut), len);
		}
	}
}

static void contradicting_options_are_rejected(void **state)
{
	struct reader r = reader_of(packet_ns, sizeof(packet_ns));
	uint8_t message[48];
	const char *why = NULL;
	struct ipv6 ip;
	struct nd nd;

	assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
	/* Twice the same says nothing new, and is fine. */
	for (uint8_t second = 1; second <= 2; second++) {
		uint16_t sum;

		memcpy(message, packet_ns + 40, 32);
		memcpy(message + 32, packet_ns + 64, 8);
		message[39] = second;
		message[2] = message[3] = 0;
		sum = checksum_finish(checksum_add(ipv6_pseudo_sum(&ip, 58) + 40, message, 40));
		message[2] = (uint8_t)(sum >> 8);
		message[3] = (uint8_t)sum;
		r = reader_of(message, 40);
		assert_int_equal(nd_decode(&r, &ip, &nd, &why), second == 1 ? 0 : -EBADMSG);
	}
	assert_string_equal(why, "two link-layer addresses that contradict each other");
}

static void preferences_obey_rfc_4191(void **state)
{
	struct ipv6 ip = { .hop_limit = 255, .from = { 0xfe, 0x80 } };
	struct nd nd = { .kind = ND_ROUTER_ADVERT, .preference = 2, .lifetime_s = 5 };
	struct writer w = writer_of(buf, sizeof(buf));

	nd_encode(&w, &ip, &nd);
	assert_true(w.failed);
	nd.preference = 1;
	nd.lifetime_s = 0;
	w = writer_of(buf, sizeof(buf));
	nd_encode(&w, &ip, &nd);
	assert_true(w.failed);
	/* Received so, both are medium (0). */
	memcpy(buf, packet_ra, sizeof(packet_ra));
	assert_null(WHY_NOT(packet_ra, 45, 0x90));
	assert_int_equal(decode(buf, sizeof(packet_ra), &ip, &nd, NULL), 0);
	assert_int_equal(nd.preference, 0);
}

static void groups_are_made(void **state)
{
	static const uint8_t target[16] = { 0x20, 0x01, [13] = 0x12, 0x34, 0x56 };
	uint8_t group[16];

	nd_solicited_node(target, group);
	assert_memory_equal(group, "\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff\x12\x34\x56", 16);
	assert_int_equal(vmac_mac_u64(nd_group_mac(group)), 0x3333ff123456);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_is_read_and_written),
		cmocka_unit_test(options_we_do_not_know_are_skipped),
		cmocka_unit_test(every_rule_of_rfc_4861_is_held),
		cmocka_unit_test(nobody_has_no_link_layer_address),
		cmocka_unit_test(short_messages_end_inside),
		cmocka_unit_test(contradicting_options_are_rejected),
		cmocka_unit_test(preferences_obey_rfc_4191),
		cmocka_unit_test(groups_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
