#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ip.h"
#include "wire/query.h"

static const vmac_mac_t from = { { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 } };

static uint8_t buf[QUERY_LEN_MAX];

static void igmp_is_understood_by_every_version(void **state)
{
	struct writer w = writer_of(buf, sizeof(buf));
	struct reader r;
	struct ipv4 ip;
	struct eth eth;

	query_igmp(&w, from, 500);
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), ETH_FRAME_MIN);
	r = reader_of(buf, writer_used(&w));
	assert_int_equal(eth_decode(&r, &eth, NULL), 0);
	assert_int_equal(vmac_mac_u64(eth.to), 0x01005e000001);
	assert_true(vmac_mac_equal(eth.from, from));
	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	assert_int_equal(ip.ttl, 1);
	assert_int_equal(ip.options_len, 4);
	assert_memory_equal(ip.from, "\0\0\0\0", 4);
	assert_int_equal(reader_left(&r), 12);
	assert_int_equal(checksum_finish(checksum_add(0, r.at, 12)), 0);
	assert_int_equal(r.at[0], 0x11);
	assert_int_equal(r.at[1], 5);
	assert_memory_equal(r.at + 4, "\0\0\0\0", 4); /* of all groups */
}

static void a_report_goes_to_its_group(void **state)
{
	static const uint8_t group[4] = { 239, 255, 7, 9 };
	struct writer w = writer_of(buf, sizeof(buf));
	struct reader r;
	struct ipv4 ip;
	struct eth eth;

	query_report_igmp(&w, from, group);
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), ETH_FRAME_MIN);
	r = reader_of(buf, writer_used(&w));
	assert_int_equal(eth_decode(&r, &eth, NULL), 0);
	assert_int_equal(vmac_mac_u64(eth.to), 0x01005e7f0709);
	assert_int_equal(ipv4_decode(&r, &ip, NULL), 0);
	assert_int_equal(ip.ttl, 1);
	assert_memory_equal(ip.to, group, 4);
	assert_int_equal(reader_left(&r), 8);
	assert_int_equal(checksum_finish(checksum_add(0, r.at, 8)), 0);
	assert_int_equal(r.at[0], 0x16);
	assert_memory_equal(r.at + 4, group, 4);
}

static void mld_comes_from_a_link_local_address(void **state)
{
	static const uint8_t ours[16] = { 0xfe, 0x80, [8] = 0, 0x11, 0x22,
					  0xff, 0xfe, 0x33,    0x44, 0x55 };
	struct writer w = writer_of(buf, sizeof(buf));
	uint8_t len[4] = { 0, 0, 0, 28 };
	struct reader r;
	struct ipv6 ip;
	struct eth eth;
	uint32_t sum;

	query_mld(&w, from, 500);
	assert_false(w.failed);
	r = reader_of(buf, writer_used(&w));
	assert_int_equal(eth_decode(&r, &eth, NULL), 0);
	assert_int_equal(vmac_mac_u64(eth.to), 0x333300000001);
	assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
	assert_memory_equal(ip.from, ours, 16);
	assert_int_equal(ip.hop_limit, 1);
	assert_int_equal(reader_left(&r), 36);
	r.at += 8;
	sum = checksum_add(ipv6_pseudo_sum(&ip, 58), len, 4);
	assert_int_equal(checksum_finish(checksum_add(sum, r.at, 28)), 0);
	assert_int_equal(r.at[4] << 8 | r.at[5], 500);
}

static void mld_says_who_listens(void **state)
{
	static const uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, 0x12, 0x34, 0x56 };
	static const uint8_t routers[16] = { 0xff, 2, [15] = 2 };

	for (unsigned int done = 0; done < 2; done++) {
		struct writer w = writer_of(buf, sizeof(buf));
		uint8_t len[4] = { 0, 0, 0, 24 };
		struct reader r;
		struct ipv6 ip;
		struct eth eth;
		uint32_t sum;

		(done ? query_done_mld : query_report_mld)(&w, from, group);
		assert_false(w.failed);
		r = reader_of(buf, writer_used(&w));
		assert_int_equal(eth_decode(&r, &eth, NULL), 0);
		assert_int_equal(vmac_mac_u64(eth.to), done ? 0x333300000002 : 0x3333ff123456);
		assert_int_equal(ipv6_decode(&r, &ip, NULL), 0);
		assert_int_equal(ip.hop_limit, 1);
		assert_int_equal(ip.from[0] << 8 | ip.from[1], 0xfe80);
		assert_memory_equal(ip.to, done ? routers : group, 16);
		assert_int_equal(reader_left(&r), 32);
		assert_memory_equal(r.at, ((const uint8_t[]){ 58, 0, 5, 2, 0, 0, 1, 0 }), 8);
		r.at += 8;
		sum = checksum_add(ipv6_pseudo_sum(&ip, 58), len, 4);
		assert_int_equal(checksum_finish(checksum_add(sum, r.at, 24)), 0);
		assert_int_equal(r.at[0], done ? 132 : 131);
		assert_memory_equal(r.at + 8, group, 16);
	}
}

static void what_cannot_be_written_marks_the_writer(void **state)
{
	static const unsigned int times[] = { 0, 99, 12701 };
	struct writer w;

	for (size_t i = 0; i < 3; i++) {
		w = writer_of(buf, sizeof(buf));
		query_igmp(&w, from, times[i]);
		assert_true(w.failed);
		w = writer_of(buf, sizeof(buf));
		query_mld(&w, from, times[i]);
		assert_true(w.failed);
	}
	for (size_t len = 0; len < ETH_FRAME_MIN; len++) {
		w = writer_of(buf, len);
		query_igmp(&w, from, 500);
		assert_true(w.failed);
		w = writer_of(buf, len);
		query_mld(&w, from, 500);
		assert_true(w.failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(igmp_is_understood_by_every_version),
		cmocka_unit_test(a_report_goes_to_its_group),
		cmocka_unit_test(mld_comes_from_a_link_local_address),
		cmocka_unit_test(mld_says_who_listens),
		cmocka_unit_test(what_cannot_be_written_marks_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
