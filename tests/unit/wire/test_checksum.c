#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"

static void the_example_of_rfc_1071(void **state)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	/* Section 3: the sum is ddf2. */
	assert_int_equal(checksum_finish(checksum_add(0, data, sizeof(data))), (uint16_t)~0xddf2);
}

static void pieces_add_up_and_odd_ends_are_padded(void **state)
{
	static const uint8_t data[] = { 1, 2, 3, 4, 5 };
	uint32_t whole = checksum_add(0, data, 5);

	assert_int_equal(checksum_add(checksum_add(0, data, 2), data + 2, 3), whole);
	assert_int_equal(whole, 0x0102 + 0x0304 + 0x0500);
	assert_int_equal(checksum_add(7, data, 0), 7);
}

static void the_longest_packet_does_not_overflow(void **state)
{
	static uint8_t data[65535];

	memset(data, 0xff, sizeof(data));
	/* 32,767 words of ffff, which is zero in one's complement, and ff00. */
	assert_int_equal(checksum_finish(checksum_add(0, data, sizeof(data))), (uint16_t)~0xff00);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_rfc_1071),
		cmocka_unit_test(pieces_add_up_and_odd_ends_are_padded),
		cmocka_unit_test(the_longest_packet_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
