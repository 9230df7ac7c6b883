#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hex.h"
#include "wire/vrrp.h"

/* Trailers that an independent program (Python's hmac and hashlib) computed from the description of
 * the format. */
static const struct row {
	struct vrrp_path path;
	const char *message; /* its checksum counts as zero, whatever stands there */
	const char *key;
	size_t key_len;
	uint8_t key_id;
	uint64_t sequence;
	const char *trailer;
} rows[] = {
	{ { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 },
	  "3107c8010064118d0a090064",
	  "correct horse",
	  13,
	  3,
	  UINT64_C(0x6543210012345678),
	  "01030000654321001234567852386731393640388f9e34092f342267" },
	/* A key longer than SHA-256's block. */
	{ { 6, { 0xfe, 0x80, [15] = 1 }, VRRP_GROUP_IPV6 },
	  "3107c80100640000fe800000000000000000000000000064",
	  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
	  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
	  100,
	  255,
	  UINT64_C(0x0000000100000002),
	  "01ff00000000000100000002a4db505a5cdcb4dea760447e35f1bab0" },
	/* VRRPv2, and a key with a zero in it. */
	{ { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 },
	  "2107c801000100000a0900640000000000000000",
	  "\0x",
	  2,
	  0,
	  UINT64_MAX,
	  "01000000ffffffffffffffff7c448ddc04be5439f0b69bc3eb5a2403" },
};

static void trailers_are_what_others_compute(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t message[64], right[VRRP_HMAC_LEN], trailer[VRRP_HMAC_LEN];
		const struct row *row = &rows[i];
		size_t len = hex(row->message, message);
		struct vrrp_hmac h;

		assert_int_equal(hex(row->trailer, right), VRRP_HMAC_LEN);
		vrrp_hmac_sign(&row->path, message, len, row->key_id, row->sequence, row->key,
			       row->key_len, trailer);
		assert_memory_equal(trailer, right, VRRP_HMAC_LEN);
		message[6] ^= 0xff;
		vrrp_hmac_sign(&row->path, message, len, row->key_id, row->sequence, row->key,
			       row->key_len, trailer);
		assert_memory_equal(trailer, right, VRRP_HMAC_LEN);
		assert_true(vrrp_hmac_read(trailer, &h));
		assert_int_equal(h.key_id, row->key_id);
		assert_true(h.sequence == row->sequence);
		assert_memory_equal(h.mac, right + 12, 16);
	}
}

static void other_trailers_are_not_read(void **state)
{
	uint8_t trailer[VRRP_HMAC_LEN] = { 1 };
	struct vrrp_hmac h = { .key_id = 77 };

	for (unsigned int at = 0; at < 4; at++) {
		if (at == 1) /* the key's number */
			continue;
		trailer[at] ^= 2;
		assert_false(vrrp_hmac_read(trailer, &h));
		assert_int_equal(h.key_id, 77);
		trailer[at] ^= 2;
	}
	assert_true(vrrp_hmac_read(trailer, &h));
}

/* A whole message as it travels: encoded, signed, encoded again with what its checksum covers. */
static size_t travel(const struct row *row, uint8_t *buf, size_t room)
{
	uint8_t message[64], trailer[VRRP_HMAC_LEN];
	size_t len = hex(row->message, message), n = row->path.family == 6 ? 16 : 4;
	struct vrrp v = {
		.version = message[0] >> 4,
		.group = message[1],
		.priority = message[2],
		.interval_cs = 100,
		.address_count = 1,
		.addresses = message + 8,
	};
	struct writer w = writer_of(buf, room);

	assert_true(len >= 8 + n);
	vrrp_encode(&w, &row->path, &v, NULL, 0);
	assert_false(w.failed);
	vrrp_hmac_sign(&row->path, buf, len, row->key_id, row->sequence, row->key, row->key_len,
		       trailer);
	w = writer_of(buf, room);
	vrrp_encode(&w, &row->path, &v, trailer, sizeof(trailer));
	write_bytes(&w, trailer, sizeof(trailer));
	assert_false(w.failed);
	assert_int_equal(writer_used(&w), len + VRRP_HMAC_LEN);
	return writer_used(&w);
}

static enum verdict decode(const struct row *row, const uint8_t *buf, size_t len, struct vrrp *ret)
{
	struct reader r = reader_of(buf, len);

	return vrrp_decode(&r, &row->path, VRRP_TTL, false, ret, NULL);
}

static void signed_messages_travel(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct vrrp_path other = row->path;
		uint8_t buf[128];
		size_t len = travel(row, buf, sizeof(buf));
		struct vrrp v;

		assert_int_equal(decode(row, buf, len, &v), VERDICT_ACCEPTED);
		assert_int_equal(v.message_len, len - VRRP_HMAC_LEN);
		assert_ptr_equal(v.trailer, buf + v.message_len);
		assert_true(vrrp_hmac_verify(&row->path, &v, row->key, row->key_len));
		assert_false(vrrp_hmac_verify(&row->path, &v, row->key, row->key_len - 1));
		other.from[0] ^= 1;
		assert_false(vrrp_hmac_verify(&other, &v, row->key, row->key_len));
		for (size_t at = 0; at < len; at++) {
			if (at == 6 || at == 7)
				continue;
			buf[at] ^= 0x40;
			assert_false(vrrp_hmac_verify(&row->path, &v, row->key, row->key_len));
			buf[at] ^= 0x40;
		}
		v.trailer = NULL;
		assert_false(vrrp_hmac_verify(&row->path, &v, row->key, row->key_len));
	}
}

/* The kernel's sum over IPv6 takes in the trailer; keepalived's over IPv4 does not. */
static void only_ipv6s_checksum_covers_the_trailer(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t buf[128];
		size_t len = travel(&rows[i], buf, sizeof(buf));
		bool ip6 = rows[i].path.family == 6;
		struct vrrp v;

		buf[len - 1] ^= 1;
		assert_int_equal(decode(&rows[i], buf, len, &v),
				 ip6 ? VERDICT_CHECKSUM : VERDICT_ACCEPTED);
		buf[len - 1] ^= 1;
		/* Without its trailer the message is whole over IPv4 alone. */
		assert_int_equal(decode(&rows[i], buf, len - VRRP_HMAC_LEN, &v),
				 ip6 ? VERDICT_CHECKSUM : VERDICT_ACCEPTED);
		for (size_t cut = len - VRRP_HMAC_LEN + 1; cut < len; cut++)
			assert_int_equal(decode(&rows[i], buf, cut, &v), VERDICT_LENGTH);
		buf[len] = 0;
		assert_int_equal(decode(&rows[i], buf, len + 1, &v), VERDICT_LENGTH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trailers_are_what_others_compute),
		cmocka_unit_test(other_trailers_are_not_read),
		cmocka_unit_test(signed_messages_travel),
		cmocka_unit_test(only_ipv6s_checksum_covers_the_trailer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
