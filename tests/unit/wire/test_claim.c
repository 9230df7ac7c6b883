#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium/crypto_shorthash_siphash24.h>

#include "base/cleanup.h"
#include "wire/announce.h"
#include "wire/claim.h"
#include "wire/eth.h"

static const struct claim_tag example = {
	.address = { { 0xf2, 0x5b, 0x7a, 0x10, 0x20, 0x30 } },
	.epoch = 0x0102030405,
	.host = 7,
};
static const uint8_t key[CLAIM_KEY_LEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static uint8_t frame[CLAIM_LEN];

static void write_example(void)
{
	struct writer w = writer_of(frame, sizeof(frame));

	claim_write(&w, &example, key);
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), CLAIM_LEN);
}

static enum claim_verdict read_frame(size_t len)
{
	struct claim_tag tag = { .host = 99 };
	const enum claim_verdict v = claim_read(frame, len, key, &tag);

	if (v != CLAIM_VALID)
		assert_int_equal(tag.host, 99);
	return v;
}

static void keys_are_told_apart(void **state)
{
	uint8_t other[CLAIM_KEY_LEN];
	char a[CLAIM_KEY_CHECK_LEN + 1], b[CLAIM_KEY_CHECK_LEN + 1];

	claim_key_check(key, a);
	claim_key_check(key, b);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), CLAIM_KEY_CHECK_LEN);
	assert_int_equal(strspn(a, "0123456789abcdef"), CLAIM_KEY_CHECK_LEN);
	for (size_t i = 0; i < CLAIM_KEY_LEN * 8; i++) {
		memcpy(other, key, sizeof(other));
		other[i / 8] ^= (uint8_t)(1u << i % 8);
		claim_key_check(other, b);
		assert_string_not_equal(a, b);
	}
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A, and the first of the
 * vectors of its authors' program: the key above, of 0, 1, … n - 1. */
static void siphash_published_vectors(void **state)
{
	static const uint8_t want[][8] = {
		[0] = { 0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72 },
		[1] = { 0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74 },
		[2] = { 0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d },
		[3] = { 0x2d, 0x7e, 0xfb, 0xd7, 0x96, 0x66, 0x67, 0x85 },
		[15] = { 0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1 },
	};
	static const size_t lens[] = { 0, 1, 2, 3, 15 };
	uint8_t in[16], out[8];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		crypto_shorthash_siphash24(out, in, lens[i], key);
		assert_memory_equal(out, want[lens[i]], sizeof(out));
	}
}

static void a_frame_by_hand(void **state)
{
	static const uint8_t want[52] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf2, 0x5b, 0x7a, 0x10, 0x20, 0x30, 0x80,
		0x35, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0xf2, 0x5b, 0x7a, 0x10,
		0x20, 0x30, 0x00, 0x00, 0x00, 0x00, 0xf2, 0x5b, 0x7a, 0x10, 0x20, 0x30, 0x00,
		0x00, 0x00, 0x00, 'v',	'M',  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x00, 0x07,
	};
	uint8_t tag[8];

	write_example();
	assert_memory_equal(frame, want, sizeof(want));
	crypto_shorthash_siphash24(tag, want, sizeof(want), key);
	assert_memory_equal(frame + 52, tag, sizeof(tag));
}

static void what_is_written_is_read(void **state)
{
	struct claim_tag tag;

	write_example();
	assert_int_equal(claim_read(frame, sizeof(frame), key, &tag), CLAIM_VALID);
	assert_true(vmac_mac_equal(tag.address, example.address));
	assert_int_equal(tag.epoch, example.epoch);
	assert_int_equal(tag.host, example.host);
	/* Trailing octets of a link are no part of it. */
	assert_true(claim_peek(frame, sizeof(frame), &tag));
}

static void every_octet_counts(void **state)
{
	for (size_t at = 0; at < CLAIM_LEN; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			enum claim_verdict v;

			write_example();
			frame[at] ^= (uint8_t)(1u << bit);
			v = read_frame(sizeof(frame));
			assert_int_not_equal(v, CLAIM_VALID);
			/* What is not the shape of a RARP with our mark bears no tag. */
			if (at < 6 || (at >= 22 && at < 42) || at >= 44)
				assert_int_equal(v, CLAIM_FORGED);
		}
	}
}

static void another_key_is_forged(void **state)
{
	uint8_t other[CLAIM_KEY_LEN] = { 1 };
	struct claim_tag tag;

	write_example();
	assert_int_equal(claim_read(frame, sizeof(frame), other, &tag), CLAIM_FORGED);
}

static void cut_frames_bear_no_tag(void **state)
{
	write_example();
	for (size_t len = 0; len < CLAIM_LEN; len++)
		assert_int_equal(read_frame(len), CLAIM_UNTAGGED);
}

static void others_bear_no_tag(void **state)
{
	static const uint8_t ip[4] = { 10, 0, 0, 1 };
	struct writer w = writer_of(frame, sizeof(frame));

	announce_rarp(&w, example.address);
	assert_int_equal(read_frame(sizeof(frame)), CLAIM_UNTAGGED);
	w = writer_of(frame, sizeof(frame));
	announce_arp(&w, ANNOUNCE_REQUEST, example.address, ip);
	assert_int_equal(read_frame(sizeof(frame)), CLAIM_UNTAGGED);
	memset(frame, 0, sizeof(frame));
	assert_int_equal(read_frame(sizeof(frame)), CLAIM_UNTAGGED);
}

/* One who has the key writes what claim_write() writes: a valid tag of anything else is refused. */
static void a_tagged_oddity_is_forged(void **state)
{
	write_example();
	frame[37] ^= 1; /* another target than the sender */
	crypto_shorthash_siphash24(frame + 52, frame, 52, key);
	assert_int_equal(read_frame(sizeof(frame)), CLAIM_FORGED);
}

static void what_does_not_fit_marks_the_writer(void **state)
{
	struct claim_tag tag = example;
	struct writer w = writer_of(frame, CLAIM_LEN - 1);

	claim_write(&w, &tag, key);
	assert_true(w.failed);
	w = writer_of(frame, CLAIM_LEN);
	tag.epoch = UINT64_C(1) << 48;
	claim_write(&w, &tag, key);
	assert_true(w.failed);
	w = writer_of(frame, CLAIM_LEN);
	tag.epoch--;
	claim_write(&w, &tag, key);
	assert_false(w.failed);
	assert_int_equal(claim_read(frame, sizeof(frame), key, &tag), CLAIM_VALID);
	assert_int_equal(tag.epoch, (UINT64_C(1) << 48) - 1);
}

static void names(void **state)
{
	assert_string_equal(claim_verdict_name(CLAIM_VALID), "valid");
	assert_string_equal(claim_verdict_name(CLAIM_UNTAGGED), "untagged");
	assert_string_equal(claim_verdict_name(CLAIM_FORGED), "forged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_published_vectors),
		cmocka_unit_test(keys_are_told_apart),
		cmocka_unit_test(a_frame_by_hand),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_octet_counts),
		cmocka_unit_test(another_key_is_forged),
		cmocka_unit_test(cut_frames_bear_no_tag),
		cmocka_unit_test(others_bear_no_tag),
		cmocka_unit_test(a_tagged_oddity_is_forged),
		cmocka_unit_test(what_does_not_fit_marks_the_writer),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
