#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/announce.h"
#include "wire/sight.h"

static const vmac_mac_t mac = { { 0xf2, 0x5b, 0x7a, 0x10, 0x20, 0x30 } };
static const uint8_t ip4[4] = { 192, 0, 2, 7 };
static const uint8_t ip6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 7 };

static uint8_t frame[ANNOUNCE_LEN_MAX];
static size_t len;

static struct sight look(size_t shown)
{
	struct sight s;

	sight_read(frame, shown, &s);
	return s;
}

static void wrote(const struct writer *w)
{
	assert_false(w->failed);
	len = writer_used(w);
}

static void what_hosts_announce(void **state)
{
	struct writer w = writer_of(frame, sizeof(frame));
	struct sight s;

	announce_arp(&w, ANNOUNCE_REPLY, mac, ip4);
	wrote(&w);
	s = look(len);
	assert_string_equal(s.what, "ARP");
	assert_int_equal(s.family, 4);
	assert_memory_equal(s.sender, ip4, sizeof(ip4));
	w = writer_of(frame, sizeof(frame));
	announce_rarp(&w, mac);
	wrote(&w);
	s = look(len);
	assert_string_equal(s.what, "RARP");
	assert_int_equal(s.family, 0);
	w = writer_of(frame, sizeof(frame));
	announce_nd(&w, mac, ip6, ip6, false);
	wrote(&w);
	s = look(64); /* it is longer than what is shown */
	assert_true(len > 64);
	assert_string_equal(s.what, "IPv6");
	assert_int_equal(s.family, 6);
	assert_memory_equal(s.sender, ip6, sizeof(ip6));
}

/* The beginning of a long packet: neither its length nor its checksum can be held against it. */
static void the_beginning_of_a_packet(void **state)
{
	static const uint8_t head[] = { 0x02, 0,    0,	  0,	0,    1,    0xf2, 0x5b, 0x7a,
					0x10, 0x20, 0x30, 0x08, 0x00, 0x45, 0,	  0x05, 0xdc,
					0,    0,    0x40, 0,	64,   6,    0xff, 0xff, 192,
					0,    2,    7,	  192,	0,    2,    8 };
	struct sight s;

	memcpy(frame, head, sizeof(head));
	s = look(sizeof(head));
	assert_string_equal(s.what, "IPv4");
	assert_int_equal(s.family, 4);
	assert_memory_equal(s.sender, ip4, sizeof(ip4));
	frame[14] = 0x65;
	assert_int_equal(look(sizeof(head)).family, 0);
	frame[14] = 0x45;
	memset(frame + 26, 0, 4); /* one that asks for an address by DHCP has none */
	assert_int_equal(look(sizeof(head)).family, 0);
}

static void what_is_cut_names_nobody(void **state)
{
	struct writer w = writer_of(frame, sizeof(frame));

	announce_nd(&w, mac, ip6, ip6, false);
	wrote(&w);
	for (size_t shown = 0; shown < 14 + 8 + 16; shown++)
		assert_int_equal(look(shown).family, 0);
	assert_int_equal(look(14 + 8 + 16).family, 6);
	assert_string_equal(look(13).what, "a frame");
	frame[12] = 0x88;
	frame[13] = 0xcc;
	assert_string_equal(look(len).what, "a frame");
	w = writer_of(frame, sizeof(frame));
	announce_arp(&w, ANNOUNCE_REQUEST, mac, ip4);
	wrote(&w);
	assert_int_equal(look(14 + 27).family, 0);
	assert_int_equal(look(14 + 28).family, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_hosts_announce),
		cmocka_unit_test(the_beginning_of_a_packet),
		cmocka_unit_test(what_is_cut_names_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
