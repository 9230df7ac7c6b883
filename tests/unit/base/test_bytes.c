#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void values_are_read_big_endian(void **state)
{
	struct reader r = reader_of(data, sizeof(data));

	assert_int_equal(read_u8(&r), 0x01);
	assert_int_equal(read_u16(&r), 0x0203);
	assert_int_equal(read_u32(&r), 0x04050607);
	assert_int_equal(read_u64(&r), 0x08090a0b0c0d0e0f);
	assert_int_equal(reader_left(&r), 0);
	assert_false(r.failed);
}

static void bytes_are_lent_not_copied(void **state)
{
	struct reader r = reader_of(data, sizeof(data));

	assert_ptr_equal(read_bytes(&r, 5), data);
	assert_ptr_equal(read_bytes(&r, 0), data + 5);
	assert_ptr_equal(read_bytes(&r, 10), data + 5);
	assert_int_equal(reader_left(&r), 0);
	assert_false(r.failed);
}

static void a_read_too_far_sticks(void **state)
{
	struct reader r = reader_of(data, 3);

	assert_int_equal(read_u32(&r), 0);
	assert_true(r.failed);
	/* The three octets are there, but the reader no longer gives them. */
	assert_int_equal(read_u8(&r), 0);
	assert_null(read_bytes(&r, 0));
	assert_int_equal(reader_left(&r), 3);
	r = reader_of(data, 3);
	assert_null(read_bytes(&r, SIZE_MAX));
	assert_true(r.failed);
	r = reader_of(NULL, 0);
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.failed);
}

static void values_are_written_big_endian(void **state)
{
	uint8_t buf[20];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 0x01);
	write_u16(&w, 0x0203);
	write_u32(&w, 0x04050607);
	write_u64(&w, 0x08090a0b0c0d0e0f);
	assert_int_equal(writer_used(&w), 15);
	assert_memory_equal(buf, data, 15);
	write_bytes(&w, data, 2);
	write_zeros(&w, 3);
	assert_memory_equal(buf + 15, "\1\2\0\0\0", 5);
	assert_int_equal(writer_used(&w), 20);
	assert_false(w.failed);
}

static void a_write_too_far_sticks_and_writes_nothing(void **state)
{
	uint8_t buf[4] = { 0xee, 0xee, 0xee, 0xee };
	struct writer w = writer_of(buf, 3);

	write_u32(&w, 1);
	assert_true(w.failed);
	write_u8(&w, 1);
	write_zeros(&w, 1);
	write_bytes(&w, data, 1);
	assert_int_equal(writer_used(&w), 0);
	assert_memory_equal(buf, "\xee\xee\xee\xee", 4);
	w = writer_of(buf, 3);
	write_zeros(&w, SIZE_MAX);
	assert_true(w.failed);
}

static void values_out_of_range_are_faults(void **state)
{
	void (*const writers[])(struct writer *, uint64_t) = { write_u8, write_u16, write_u32 };

	for (unsigned int i = 0; i < 3; i++) {
		uint64_t most = (UINT64_C(1) << (8 << i)) - 1;
		uint8_t buf[8];
		struct writer w = writer_of(buf, sizeof(buf));

		writers[i](&w, most);
		assert_false(w.failed);
		writers[i](&w, most + 1);
		assert_true(w.failed);
		assert_int_equal(writer_used(&w), 1u << i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_big_endian),
		cmocka_unit_test(bytes_are_lent_not_copied),
		cmocka_unit_test(a_read_too_far_sticks),
		cmocka_unit_test(values_are_written_big_endian),
		cmocka_unit_test(a_write_too_far_sticks_and_writes_nothing),
		cmocka_unit_test(values_out_of_range_are_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
