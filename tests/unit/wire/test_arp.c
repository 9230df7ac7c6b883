#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/arp.h"
#include "wire/eth.h"

static const uint8_t request[ARP_LEN] = {
	0, 1, 8, 0, 6, 4, 0, 1, 0x12, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7,
};

static void packets_are_read_and_written(void **state)
{
	static const struct {
		uint8_t operation;
		uint16_t eth_type;
	} rows[] = {
		{ ARP_REQUEST, ETH_TYPE_ARP },
		{ ARP_REPLY, ETH_TYPE_ARP },
		{ RARP_REQUEST, ETH_TYPE_RARP },
		{ RARP_REPLY, ETH_TYPE_RARP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t octets[46] = { 0 }, buf[46]; /* padded as Ethernet does */
		struct reader r = reader_of(octets, sizeof(octets));
		struct writer w = writer_of(buf, sizeof(buf));
		struct arp a;

		memcpy(octets, request, ARP_LEN);
		octets[7] = rows[i].operation;
		assert_int_equal(arp_decode(&r, rows[i].eth_type, &a, NULL), 0);
		assert_int_equal(a.operation, rows[i].operation);
		assert_int_equal(arp_eth_type(a.operation), rows[i].eth_type);
		assert_int_equal(vmac_mac_u64(a.sender_mac), 0x120000000001);
		assert_true(vmac_mac_is_zero(a.target_mac));
		assert_memory_equal(a.sender_ip, "\xc0\x00\x02\x01", 4);
		assert_memory_equal(a.target_ip, "\xc0\x00\x02\x07", 4);
		assert_int_equal(reader_left(&r), 46 - ARP_LEN);
		arp_encode(&w, &a);
		assert_int_equal(writer_used(&w), ARP_LEN);
		assert_memory_equal(buf, octets, ARP_LEN);
	}
}

static void bad_packets_are_named(void **state)
{
	/* Octet to change, its value, what is wrong then; len cuts the packet. */
	static const struct {
		size_t at;
		uint8_t value;
		size_t len;
		uint16_t eth_type;
		const char *why;
	} rows[] = {
		{ 0, 0, 0, ETH_TYPE_ARP, "packet ends inside ARP" },
		{ 0, 0, 27, ETH_TYPE_ARP, "packet ends inside ARP" },
		{ 1, 6, 28, ETH_TYPE_ARP, "ARP for hardware other than Ethernet" },
		{ 0, 1, 28, ETH_TYPE_ARP, "ARP for hardware other than Ethernet" },
		{ 4, 8, 28, ETH_TYPE_ARP, "ARP for hardware other than Ethernet" },
		{ 2, 0x86, 28, ETH_TYPE_ARP, "ARP for a protocol other than IPv4" },
		{ 5, 16, 28, ETH_TYPE_ARP, "ARP for a protocol other than IPv4" },
		{ 7, 0, 28, ETH_TYPE_ARP, "ARP operation does not belong to the Ethernet type" },
		{ 7, 5, 28, ETH_TYPE_ARP, "ARP operation does not belong to the Ethernet type" },
		{ 6, 1, 28, ETH_TYPE_ARP, "ARP operation does not belong to the Ethernet type" },
		{ 7, 3, 28, ETH_TYPE_ARP, "ARP operation does not belong to the Ethernet type" },
		{ 7, 2, 28, ETH_TYPE_RARP, "ARP operation does not belong to the Ethernet type" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arp a = { .operation = 77 };
		const char *why = NULL;
		uint8_t octets[ARP_LEN];
		struct reader r = reader_of(octets, rows[i].len);

		memcpy(octets, request, ARP_LEN);
		octets[rows[i].at] = rows[i].value;
		assert_int_equal(arp_decode(&r, rows[i].eth_type, &a, &why), -EBADMSG);
		assert_string_equal(why, rows[i].why);
		assert_int_equal(a.operation, 77);
		assert_int_equal(reader_left(&r), rows[i].len);
	}
}

static void an_unknown_operation_is_not_written(void **state)
{
	uint8_t buf[ARP_LEN];
	struct writer w = writer_of(buf, sizeof(buf));

	arp_encode(&w, &(struct arp){ .operation = 5 });
	assert_true(w.failed);
	w = writer_of(buf, ARP_LEN - 1);
	arp_encode(&w, &(struct arp){ .operation = ARP_REQUEST });
	assert_true(w.failed);
}

static void probes_and_announcements(void **state)
{
	struct arp a = { .operation = ARP_REQUEST, .target_ip = { 192, 0, 2, 1 } };

	assert_true(arp_is_probe(&a));
	assert_false(arp_is_announcement(&a));
	memcpy(a.sender_ip, a.target_ip, 4);
	assert_false(arp_is_probe(&a));
	assert_true(arp_is_announcement(&a));
	a.operation = ARP_REPLY;
	assert_false(arp_is_announcement(&a));
	a = (struct arp){ .operation = ARP_REQUEST }; /* asks for nobody */
	assert_false(arp_is_announcement(&a));
	a.sender_ip[3] = 1;
	assert_false(arp_is_probe(&a) || arp_is_announcement(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read_and_written),
		cmocka_unit_test(bad_packets_are_named),
		cmocka_unit_test(an_unknown_operation_is_not_written),
		cmocka_unit_test(probes_and_announcements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
