#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hex.h"
#include "wire/carp.h"
#include "wire/checksum.h"

static const struct vrrp_path group4 = { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 };

static uint8_t buf[64];

static enum verdict decode(const void *data, size_t len, struct carp *ret)
{
	struct reader r = reader_of(data, len);
	const char *why = NULL;
	enum verdict v = carp_decode(&r, &group4, VRRP_TTL, false, ret, &why);

	assert_int_equal(reader_left(&r), v == VERDICT_ACCEPTED ? 0 : len);
	assert_true((v == VERDICT_ACCEPTED) == (why == NULL));
	return v;
}

/* What a ucarp of Debian's sent. */
static void ucarps_digest(void **state)
{
	static const uint8_t vip[] = { 10, 9, 0, 100 };
	struct carp c = { .group = 42, .counter = UINT64_C(0xdcc7a6303b16f952) };
	uint8_t right[20];

	hex("fb542328597c7678817faccf6c5fb418b9ab9cae", right);
	carp_sign(&c, "love", 4, vip, 1);
	assert_memory_equal(c.mac, right, 20);
	assert_true(carp_verify(&c, "love", 4, vip, 1));
	assert_false(carp_verify(&c, "hate", 4, vip, 1));
	assert_false(carp_verify(&c, "love", 4, vip, 0));
	c.counter++;
	assert_false(carp_verify(&c, "love", 4, vip, 1));
	c.counter--;
	c.group++;
	assert_false(carp_verify(&c, "love", 4, vip, 1));
	c.group--;
	/* Skew, base and demotion are not covered: that is CARP. */
	c.skew = 200;
	assert_true(carp_verify(&c, "love", 4, vip, 1));
}

static void only_20_octets_of_a_key_count(void **state)
{
	struct carp c = { .group = 1 };

	carp_sign(&c, "12345678901234567890", 4, NULL, 0);
	assert_true(carp_verify(&c, "12345678901234567890and more", 4, NULL, 0));
	assert_false(carp_verify(&c, "1234567890123456789", 4, NULL, 0));
}

static void the_order_of_addresses_does_not_matter(void **state)
{
	static uint8_t addresses[255 * 16];
	struct chance chance = { 5 };

	for (unsigned int i = 0; i < 200; i++) {
		uint8_t family = i % 2 ? 6 : 4;
		size_t len = family == 6 ? 16 : 4;
		unsigned int count = chance_in(&chance, 1, 255);
		struct carp c = { .group = 1, .counter = i };

		chance_fill(&chance, addresses, count * len);
		carp_sign(&c, "k", family, addresses, count);
		for (unsigned int n = count - 1; n > 0; n--) {
			uint8_t *a = addresses + n * len, other[16];
			uint8_t *b = addresses + chance_in(&chance, 0, n) * len;

			memcpy(other, a, len);
			memmove(a, b, len);
			memcpy(b, other, len);
		}
		assert_true(carp_verify(&c, "k", family, addresses, count));
		addresses[0] ^= 1;
		assert_false(carp_verify(&c, "k", family, addresses, count));
	}
}

static size_t encode(const struct carp *c)
{
	struct writer w = writer_of(buf, sizeof(buf));

	carp_encode(&w, &group4, c);
	return w.failed ? 0 : writer_used(&w);
}

static void what_is_written_is_read(void **state)
{
	struct chance chance = { 6 };

	for (unsigned int i = 0; i < 20000; i++) {
		struct carp c = { .group = (uint8_t)chance_in(&chance, 1, 255) }, again = { 0 };

		c.skew = (uint8_t)chance_in(&chance, 0, 255);
		c.base = (uint8_t)chance_in(&chance, c.skew == 0, 255);
		c.demotion = (uint8_t)chance_in(&chance, 0, 255);
		c.counter = chance_u64(&chance);
		chance_fill(&chance, c.mac, sizeof(c.mac));
		assert_int_equal(encode(&c), CARP_LEN);
		assert_true(carp_is(buf, CARP_LEN));
		assert_int_equal(decode(buf, CARP_LEN, &again), VERDICT_ACCEPTED);
		assert_int_equal(again.group, c.group);
		assert_int_equal(again.skew, c.skew);
		assert_int_equal(again.base, c.base);
		assert_int_equal(again.demotion, c.demotion);
		assert_true(again.counter == c.counter);
		assert_memory_equal(again.mac, c.mac, sizeof(c.mac));
	}
}

static void repair(void)
{
	uint16_t value;

	buf[6] = buf[7] = 0;
	value = checksum_finish(checksum_add(0, buf, CARP_LEN));
	buf[6] = (uint8_t)(value >> 8);
	buf[7] = (uint8_t)value;
}

static void each_verdict_has_its_message(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum verdict verdict;
	} rows[] = {
		{ 0, 0x11, VERDICT_VERSION }, { 0, 0x31, VERDICT_VERSION },
		{ 0, 0x22, VERDICT_TYPE },    { 0, 0x20, VERDICT_TYPE },
		{ 3, 6, VERDICT_LENGTH },     { 3, 8, VERDICT_LENGTH },
		{ 1, 0, VERDICT_MALFORMED },  { 5, 0, VERDICT_INTERVAL_ZERO },
		{ 2, 255, VERDICT_ACCEPTED }, { 4, 9, VERDICT_ACCEPTED },
	};
	const struct carp good = { .group = 42, .base = 1, .counter = 5 };
	struct carp c = { .group = 77 };
	struct reader r;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		encode(&good);
		buf[rows[i].at] = rows[i].value;
		repair();
		c.group = 77;
		assert_int_equal(decode(buf, CARP_LEN, &c), rows[i].verdict);
		if (rows[i].verdict != VERDICT_ACCEPTED)
			assert_int_equal(c.group, 77);
	}
	encode(&good);
	for (size_t bit = 0; bit < 8 * CARP_LEN; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(decode(buf, CARP_LEN, &c), VERDICT_ACCEPTED);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	buf[CARP_LEN - 1] ^= 1;
	assert_int_equal(decode(buf, CARP_LEN, &c), VERDICT_CHECKSUM);
	encode(&good);
	buf[CARP_LEN] = 0;
	assert_int_equal(decode(buf, CARP_LEN + 1, &c), VERDICT_LENGTH);
	for (size_t len = 0; len < CARP_LEN; len++)
		assert_int_equal(decode(buf, len, &c), VERDICT_TRUNCATED);
	r = reader_of(buf, CARP_LEN);
	assert_int_equal(carp_decode(&r, &group4, 254, false, &c, NULL), VERDICT_TTL);
	assert_int_equal(carp_decode(&r, &group4, 64, true, &c, NULL), VERDICT_ACCEPTED);
}

static void what_cannot_be_sent_is_not(void **state)
{
	struct carp c = { .group = 0, .base = 1 };

	assert_int_equal(encode(&c), 0);
	c.group = 1;
	assert_int_equal(encode(&c), CARP_LEN);
	c.base = 0;
	assert_int_equal(encode(&c), 0);
	c.skew = 1;
	assert_int_equal(encode(&c), CARP_LEN);
}

/* What shares protocol 112 with it: test_vrrp.c has the messages. */
static void only_carp_is_carp(void **state)
{
	uint8_t p[CARP_LEN + 1] = { 0x21, [3] = 7 };

	for (size_t len = 0; len <= sizeof(p); len++)
		assert_true(carp_is(p, len) == (len == CARP_LEN));
	p[3] = 5;
	assert_false(carp_is(p, CARP_LEN));
	p[3] = 7;
	p[0] = 0x31;
	assert_false(carp_is(p, CARP_LEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ucarps_digest),
		cmocka_unit_test(only_20_octets_of_a_key_count),
		cmocka_unit_test(the_order_of_addresses_does_not_matter),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(each_verdict_has_its_message),
		cmocka_unit_test(what_cannot_be_sent_is_not),
		cmocka_unit_test(only_carp_is_carp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
