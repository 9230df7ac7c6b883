#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/ip.h"

static void addresses_are_read_and_written_canonically(void **state)
{
	/* RFC 5952 section 4 and 5. */
	static const struct {
		const char *text, *canonical;
		uint8_t family;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", 4 },
		{ "0.0.0.0", "0.0.0.0", 4 },
		{ "255.255.255.255", "255.255.255.255", 4 },
		{ "2001:db8::1", "2001:db8::1", 6 },
		{ "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1", 6 },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", 6 }, /* one group: no "::" */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1", 6 },	       /* the longest run */
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", 6 },    /* the first of equals */
		{ "FE80::AbCd", "fe80::abcd", 6 },
		{ "::", "::", 6 },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", 6 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char buf[IP_TEXT_MAX];
		struct ip ip, again;

		assert_int_equal(ip_parse(rows[i].text, &ip), 0);
		assert_int_equal(ip.family, rows[i].family);
		assert_string_equal(ip_format(&ip, buf), rows[i].canonical);
		assert_int_equal(ip_parse(buf, &again), 0);
		assert_true(ip_equal(&ip, &again));
	}
}

static void the_rest_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"192.0.2",
		"192.0.2.1 ",
		" 192.0.2.1",
		"192.0.2.256",
		"192.0.2.01",
		"0xc0000201",
		"192.0.2.1/24",
		"2001:db8::1/64",
		"fe80::1%eth0",
		"2001:db8::1::",
		"12345::",
		":::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"[2001:db8::1]",
		"localhost",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip ip = { .family = 99 };

		assert_int_equal(ip_parse(texts[i], &ip), -EINVAL);
		assert_int_equal(ip.family, 99);
	}
}

static void equality_knows_the_family(void **state)
{
	struct ip four, six;

	assert_int_equal(ip_parse("1.0.0.0", &four), 0);
	assert_int_equal(ip_parse("100::", &six), 0); /* the same octets */
	assert_memory_equal(four.octet, six.octet, sizeof(four.octet));
	assert_false(ip_equal(&four, &six));
	assert_true(ip_equal(&four, &four));
}

static void link_local_is_modified_eui_64(void **state)
{
	/* RFC 4291 appendix A; RFC 2464 section 4 has 34-56-78-9A-BC-DE. */
	struct ip ip = ip_link_local(vmac_mac_from_u64(0x3456789abcde));
	char buf[IP_TEXT_MAX];

	assert_string_equal(ip_format(&ip, buf), "fe80::3656:78ff:fe9a:bcde");
	ip = ip_link_local(vmac_mac_from_u64(0x120000000001));
	assert_string_equal(ip_format(&ip, buf), "fe80::1000:ff:fe00:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written_canonically),
		cmocka_unit_test(the_rest_is_refused),
		cmocka_unit_test(equality_knows_the_family),
		cmocka_unit_test(link_local_is_modified_eui_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
