#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/announce.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/nd.h"

static const vmac_mac_t mac = { { 0, 0, 0x5e, 0, 1, 7 } };
static const uint8_t ip[4] = { 10, 9, 0, 100 };

static uint8_t buf[ANNOUNCE_LEN_MAX];

static struct arp read_arp(struct writer *w, uint16_t type)
{
	struct reader r = reader_of(buf, writer_used(w));
	struct eth eth;
	struct arp a;

	assert_false(w->failed);
	assert_int_equal(writer_used(w), ETH_FRAME_MIN);
	assert_int_equal(eth_decode(&r, &eth, NULL), 0);
	assert_int_equal(vmac_mac_u64(eth.to), 0xffffffffffff);
	assert_true(vmac_mac_equal(eth.from, mac));
	assert_int_equal(eth.type, type);
	assert_int_equal(arp_decode(&r, eth.type, &a, NULL), 0);
	assert_true(vmac_mac_equal(a.sender_mac, mac));
	assert_true(vmac_mac_equal(a.target_mac, mac));
	while (reader_left(&r) > 0)
		assert_int_equal(read_u8(&r), 0);
	return a;
}

static void gratuitous_arp(void **state)
{
	static const uint16_t operations[ANNOUNCE_FORM_COUNT] = { ARP_REQUEST, ARP_REPLY };

	for (enum announce_form form = 0; form < ANNOUNCE_FORM_COUNT; form++) {
		struct writer w = writer_of(buf, sizeof(buf));
		struct arp a;

		announce_arp(&w, form, mac, ip);
		a = read_arp(&w, ETH_TYPE_ARP);
		assert_int_equal(a.operation, operations[form]);
		assert_memory_equal(a.sender_ip, ip, 4);
		assert_memory_equal(a.target_ip, ip, 4);
		assert_true(arp_is_announcement(&a) == (form == ANNOUNCE_REQUEST));
	}
}

static void rarp_moves_only_the_switch(void **state)
{
	struct writer w = writer_of(buf, sizeof(buf));
	struct arp a;

	announce_rarp(&w, mac);
	a = read_arp(&w, ETH_TYPE_RARP);
	assert_int_equal(a.operation, RARP_REQUEST);
	assert_memory_equal(a.sender_ip, "\0\0\0\0", 4);
	assert_memory_equal(a.target_ip, "\0\0\0\0", 4);
}

static void unsolicited_neighbour_advertisement(void **state)
{
	static const uint8_t from[16] = { 0xfe, 0x80, [15] = 0x64 };
	static const uint8_t target[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 0x64 };

	for (int router = 0; router < 2; router++) {
		struct writer w = writer_of(buf, sizeof(buf));
		struct ipv6 ip6;
		struct reader r;
		struct eth eth;
		struct nd nd;

		announce_nd(&w, mac, from, target, router);
		assert_false(w.failed);
		assert_int_equal(writer_used(&w), 86);
		r = reader_of(buf, writer_used(&w));
		assert_int_equal(eth_decode(&r, &eth, NULL), 0);
		assert_int_equal(vmac_mac_u64(eth.to), 0x333300000001);
		assert_true(vmac_mac_equal(eth.from, mac));
		assert_int_equal(ipv6_decode(&r, &ip6, NULL), 0);
		assert_memory_equal(ip6.from, from, 16);
		assert_memory_equal(ip6.to, "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
		/* The decoder holds it against RFC 4861 section 7.1.2. */
		assert_int_equal(nd_decode(&r, &ip6, &nd, NULL), 0);
		assert_int_equal(nd.kind, ND_NEIGHBOUR_ADVERT);
		assert_memory_equal(nd.target, target, 16);
		assert_true(nd.override && !nd.solicited && nd.router == (bool)router);
		assert_true(nd.has_mac && vmac_mac_equal(nd.mac, mac));
	}
}

static void short_buffers_are_marked(void **state)
{
	static const uint8_t ip6[16] = { 0xfe, 0x80 };

	for (size_t len = 0; len < 86; len++) {
		struct writer w = writer_of(buf, len);

		announce_nd(&w, mac, ip6, ip6, true);
		assert_true(w.failed);
		w = writer_of(buf, len);
		announce_arp(&w, ANNOUNCE_REQUEST, mac, ip);
		assert_true(w.failed == (len < ETH_FRAME_MIN));
		w = writer_of(buf, len);
		announce_rarp(&w, mac);
		assert_true(w.failed == (len < ETH_FRAME_MIN));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gratuitous_arp),
		cmocka_unit_test(rarp_moves_only_the_switch),
		cmocka_unit_test(unsolicited_neighbour_advertisement),
		cmocka_unit_test(short_buffers_are_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
