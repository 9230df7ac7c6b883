#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/pulse.h"

static const uint8_t key[HEARTBEAT_KEY_LEN] = { 1, 2, 3 };
static const struct pulse question = {
	.to = { { 0x52, 0x54, 0, 0, 0, 0x0a } },
	.from = { { 0x52, 0x54, 0, 0, 0, 0x0b } },
	.kind = PULSE_QUESTION,
	.cluster = 0x1122334455667788,
	.secret = 0x99aabbccddeeff00,
};

static void as_it_is_documented(void **state)
{
	static const uint8_t frame[PULSE_LEN] = {
		0x52, 0x54, 0,	  0,	0,    0x0a, 0x52, 0x54, 0,    0,    0,	  0x0b,
		0x88, 0xb5, 'v',  'M',	'P',  1,    1,	  0,	0x11, 0x22, 0x33, 0x44,
		0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00,
	};
	uint8_t out[PULSE_LEN];
	struct writer w = writer_of(out, sizeof(out));

	pulse_write(&w, &question);
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), PULSE_LEN);
	assert_memory_equal(out, frame, sizeof(frame));
	w = writer_of(out, sizeof(out) - 1);
	pulse_write(&w, &question);
	assert_true(w.failed);
}

static void there_and_back(void **state)
{
	uint8_t out[PULSE_LEN + 4] = { 0 };
	struct writer w = writer_of(out, sizeof(out));
	struct pulse p;

	pulse_write(&w, &question);
	assert_true(pulse_read(out, PULSE_LEN, &p));
	assert_memory_equal(&p, &question, sizeof(p));
	assert_true(pulse_read(out, sizeof(out), &p));
	out[18] = PULSE_ANSWER;
	assert_true(pulse_read(out, PULSE_LEN, &p));
	assert_int_equal(p.kind, PULSE_ANSWER);
}

static void what_is_none(void **state)
{
	uint8_t out[PULSE_LEN], broken[PULSE_LEN];
	struct writer w = writer_of(out, sizeof(out));
	struct pulse p;

	pulse_write(&w, &question);
	for (size_t len = 0; len < PULSE_LEN; len++)
		assert_false(pulse_read(out, len, &p));
	for (size_t at = 12; at < PULSE_LEN; at++) {
		if (at >= 20 && at < 36)
			continue; /* whatever they say */
		memcpy(broken, out, sizeof(out));
		broken[at] ^= 0x40;
		assert_false(pulse_read(broken, PULSE_LEN, &p));
	}
	memcpy(broken, out, sizeof(out));
	broken[18] = 0;
	assert_false(pulse_read(broken, PULSE_LEN, &p));
	broken[18] = 3;
	assert_false(pulse_read(broken, PULSE_LEN, &p));
}

static void secrets_differ(void **state)
{
	const uint8_t other[HEARTBEAT_KEY_LEN] = { 1, 2, 4 };
	const uint64_t one = pulse_secret(key, 7, 1);

	assert_int_equal(one, pulse_secret(key, 7, 1));
	assert_int_not_equal(one, pulse_secret(key, 7, 2));
	assert_int_not_equal(one, pulse_secret(key, 8, 1));
	assert_int_not_equal(one, pulse_secret(other, 7, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_is_documented),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(secrets_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
