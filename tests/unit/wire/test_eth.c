#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/eth.h"

#define TO   "\x12\x00\x00\x00\x00\x02"
#define FROM "\x12\x00\x00\x00\x00\x01"

struct frame {
	const char *octets;
	size_t len;
};

#define FRAME(s)                                                                                   \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static void headers_are_read_and_written(void **state)
{
	static const struct {
		struct frame frame;
		struct eth eth;
		size_t payload;
	} rows[] = {
		{ FRAME(TO FROM "\x08\x00payload"), { .type = ETH_TYPE_IPV4 }, 7 },
		{ FRAME(TO FROM "\x06\x00"), { .type = ETH_TYPE_MIN }, 0 },
		{ FRAME(TO FROM "\x81\x00\x00\x05\x08\x06xy"),
		  { .tag_count = 1,
		    .tags = { { ETH_TYPE_VLAN, 0, false, 5 } },
		    .type = ETH_TYPE_ARP },
		  2 },
		{ FRAME(TO FROM "\x88\xa8\xff\xfe\x81\x00\x30\x00\x86\xdd"),
		  { .tag_count = 2,
		    .tags = { { ETH_TYPE_SVLAN, 7, true, 4094 }, { ETH_TYPE_VLAN, 1, true, 0 } },
		    .type = ETH_TYPE_IPV6 },
		  0 },
		{ FRAME(TO FROM "\x00\x03\x42\x42\x03"), { .type = 3 }, 3 },
		{ FRAME(TO FROM "\x00\x00"), { .type = 0 }, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reader r = reader_of(rows[i].frame.octets, rows[i].frame.len);
		uint8_t buf[64];
		struct writer w = writer_of(buf, sizeof(buf));
		struct eth e;

		assert_int_equal(eth_decode(&r, &e, NULL), 0);
		assert_memory_equal(e.to.octet, TO, 6);
		assert_memory_equal(e.from.octet, FROM, 6);
		assert_int_equal(e.type, rows[i].eth.type);
		assert_int_equal(e.tag_count, rows[i].eth.tag_count);
		for (unsigned int t = 0; t < e.tag_count; t++) {
			assert_int_equal(e.tags[t].type, rows[i].eth.tags[t].type);
			assert_int_equal(e.tags[t].priority, rows[i].eth.tags[t].priority);
			assert_int_equal(e.tags[t].drop_eligible,
					 rows[i].eth.tags[t].drop_eligible);
			assert_int_equal(e.tags[t].vlan, rows[i].eth.tags[t].vlan);
		}
		assert_int_equal(reader_left(&r), rows[i].payload);

		eth_encode(&w, &e);
		write_bytes(&w, r.at, reader_left(&r));
		assert_false(w.failed);
		assert_int_equal(writer_used(&w), rows[i].frame.len);
		assert_memory_equal(buf, rows[i].frame.octets, rows[i].frame.len);
	}
}

static void padding_behind_a_length_is_cut_off(void **state)
{
	static const char octets[] = TO FROM "\x00\x03\x42\x42\x03\0\0\0\0\0\0\0\0\0";
	struct reader r = reader_of(octets, sizeof(octets) - 1);
	struct eth e;

	assert_int_equal(eth_decode(&r, &e, NULL), 0);
	assert_int_equal(reader_left(&r), 3);
	assert_memory_equal(r.at, "\x42\x42\x03", 3);
}

static void bad_frames_are_named_and_leave_everything_alone(void **state)
{
	static const struct {
		struct frame frame;
		const char *why;
	} rows[] = {
		{ FRAME(""), "frame ends inside the Ethernet header" },
		{ FRAME(TO FROM "\x08"), "frame ends inside the Ethernet header" },
		{ FRAME(TO FROM "\x81\x00\x00\x05\x08"), "frame ends inside the Ethernet header" },
		{ FRAME(TO FROM "\x81\x00\x00\x05"), "frame ends inside the Ethernet header" },
		{ FRAME(TO "\x13\x00\x00\x00\x00\x01\x08\x00"), "sender is a group address" },
		{ FRAME(TO "\xff\xff\xff\xff\xff\xff\x08\x00"), "sender is a group address" },
		{ FRAME(TO FROM "\x81\x00\x00\x01\x81\x00\x00\x01\x81\x00\x00\x01\x08\x00"),
		  "more than two VLAN tags" },
		{ FRAME(TO FROM "\x81\x00\x0f\xff\x08\x00"), "VLAN 4095 is reserved" },
		{ FRAME(TO FROM "\x00\x04\x42\x42\x03"),
		  "frame is shorter than its length field says" },
		{ FRAME(TO FROM "\x05\xdd"), "type field is neither a length nor a type" },
		{ FRAME(TO FROM "\x05\xff"), "type field is neither a length nor a type" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reader r = reader_of(rows[i].frame.octets, rows[i].frame.len);
		struct eth e = { .type = 0x7777 };
		const char *why = NULL;

		assert_int_equal(eth_decode(&r, &e, &why), -EBADMSG);
		assert_string_equal(why, rows[i].why);
		assert_int_equal(e.type, 0x7777);
		assert_ptr_equal(r.at, rows[i].frame.octets);
		assert_int_equal(reader_left(&r), rows[i].frame.len);
		assert_false(r.failed);
		assert_int_equal(eth_decode(&r, &e, NULL), -EBADMSG);
	}
}

static void what_we_would_reject_we_do_not_write(void **state)
{
	static const struct eth rows[] = {
		{ .from = { { 0x01 } }, .type = ETH_TYPE_IPV4 },
		{ .type = 0x05ff },
		{ .type = ETH_TYPE_VLAN },
		{ .tag_count = 3, .type = ETH_TYPE_IPV4 },
		{ .tag_count = 1, .tags = { { 0x9100, 0, false, 1 } }, .type = ETH_TYPE_IPV4 },
		{ .tag_count = 1,
		  .tags = { { ETH_TYPE_VLAN, 8, false, 1 } },
		  .type = ETH_TYPE_IPV4 },
		{ .tag_count = 1, .tags = { { ETH_TYPE_VLAN, 0, false, 4095 } }, .type = 0x0800 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t buf[64];
		struct writer w = writer_of(buf, sizeof(buf));

		eth_encode(&w, &rows[i]);
		assert_true(w.failed);
	}
}

static void short_frames_are_padded_with_zeros(void **state)
{
	static const uint8_t zeros[ETH_FRAME_MIN];
	uint8_t buf[100];
	struct writer w = writer_of(buf, sizeof(buf));

	memset(buf, 0xee, sizeof(buf));
	eth_encode(&w, &(struct eth){ .type = ETH_TYPE_ARP });
	eth_pad(&w);
	assert_int_equal(writer_used(&w), ETH_FRAME_MIN);
	assert_memory_equal(buf + 14, zeros, ETH_FRAME_MIN - 14);
	assert_int_equal(buf[ETH_FRAME_MIN], 0xee);
	write_zeros(&w, 20);
	eth_pad(&w);
	assert_int_equal(writer_used(&w), ETH_FRAME_MIN + 20);
	assert_false(w.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read_and_written),
		cmocka_unit_test(padding_behind_a_length_is_cut_off),
		cmocka_unit_test(bad_frames_are_named_and_leave_everything_alone),
		cmocka_unit_test(what_we_would_reject_we_do_not_write),
		cmocka_unit_test(short_frames_are_padded_with_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
