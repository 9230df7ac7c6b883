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
#include "wire/vrrp.h"

#define BUF 4300

static uint8_t buf[BUF], copy[BUF];

static const struct vrrp_path group4 = { 4, { 198, 51, 100, 10 }, VRRP_GROUP_IPV4 };
static const struct vrrp_path group6 = { 6, { 0xfe, 0x80, [15] = 9 }, VRRP_GROUP_IPV6 };

static enum verdict decode(const struct vrrp_path *path, const void *data, size_t len,
			   struct vrrp *ret)
{
	struct reader r = reader_of(data, len);
	const char *why = NULL;
	enum verdict v = vrrp_decode(&r, path, VRRP_TTL, false, ret, &why);

	assert_int_equal(reader_left(&r), v == VERDICT_ACCEPTED ? 0 : len);
	assert_true((v == VERDICT_ACCEPTED) == (why == NULL));
	return v;
}

static size_t encode(const struct vrrp_path *path, const struct vrrp *v)
{
	struct writer w = writer_of(buf, sizeof(buf));

	vrrp_encode(&w, path, v, NULL, 0);
	if (w.failed)
		return 0;
	assert_int_equal(writer_used(&w), vrrp_len(v, path->family));
	return writer_used(&w);
}

/* RFC 9568 section 5.2.8 says one, what is deployed the other. */
static void both_checksums_over_ipv4(void **state)
{
	static const struct {
		struct vrrp_path path;
		const char *message;
		enum vrrp_dialect dialect;
	} rows[] = {
		{ { 4, { 198, 51, 100, 10 }, VRRP_GROUP_IPV4 },
		  "3133c80100643935c0000264",
		  VRRP_DIALECT_PSEUDO },
		{ { 4, { 198, 51, 100, 10 }, VRRP_GROUP_IPV4 },
		  "3133c80100644402c0000264",
		  VRRP_DIALECT_PLAIN },
		/* keepalived 2.2.7 sent the first, FRR 8.4.4 took it. */
		{ { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 },
		  "3107c8010064118d0a090064",
		  VRRP_DIALECT_PSEUDO },
		{ { 4, { 10, 9, 0, 1 }, VRRP_GROUP_IPV4 },
		  "3107c8010064fc250a090064",
		  VRRP_DIALECT_PLAIN },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hex(rows[i].message, copy);
		struct vrrp v;

		assert_int_equal(decode(&rows[i].path, copy, len, &v), VERDICT_ACCEPTED);
		assert_int_equal(v.version, 3);
		assert_int_equal(v.priority, 200);
		assert_int_equal(v.interval_cs, 100);
		assert_int_equal(v.address_count, 1);
		assert_int_equal(v.dialect, rows[i].dialect);
		assert_int_equal(encode(&rows[i].path, &v), len);
		assert_memory_equal(buf, copy, len);
	}
}

static void ciscos_digest(void **state)
{
	static const uint8_t vip[] = { 10, 1, 1, 254 };
	const struct vrrp_path path = { 4, { 10, 1, 1, 1 }, VRRP_GROUP_IPV4 };
	struct vrrp v = {
		.version = 2,
		.group = 1,
		.priority = 200,
		.interval_cs = 100,
		.address_count = 1,
		.addresses = vip,
		.auth = VRRP_AUTH_MD5,
	};
	uint8_t digest[16];
	size_t len;

	hex("5a131ef539177c952b459f5431392050", digest);
	vrrp_md5_sign(&v, &path, "cisco");
	assert_memory_equal(v.md5_digest, digest, 16);
	len = encode(&path, &v);
	/* With IP's header 70, as captured. */
	assert_int_equal(len, 50);
	assert_memory_equal(buf + 20, "\xfe\x1c\x01\0\0\0\x0a\x01\x01\x01\0\0\0\0", 14);
	assert_int_equal(decode(&path, buf, len, &v), VERDICT_ACCEPTED);
	assert_true(vrrp_md5_verify(&v, "cisco"));
	assert_false(vrrp_md5_verify(&v, "ciscO"));
	assert_false(vrrp_md5_verify(&v, ""));
	/* Every octet that the digest covers; the checksum and the trailer's head are not. */
	for (size_t i = 0; i < 20; i++) {
		if (i == 6 || i == 7)
			continue;
		buf[i] ^= 1;
		assert_false(vrrp_md5_verify(&v, "cisco"));
		buf[i] ^= 1;
	}
	v.auth = VRRP_AUTH_NONE;
	assert_false(vrrp_md5_verify(&v, "cisco"));
}

static void assert_same(const struct vrrp *a, const struct vrrp *b, uint8_t family)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->group, b->group);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->interval_cs, b->interval_cs);
	assert_int_equal(a->address_count, b->address_count);
	assert_memory_equal(a->addresses, b->addresses,
			    a->address_count * (family == 6 ? 16u : 4u));
	assert_int_equal(a->auth, b->auth);
	assert_memory_equal(a->text, b->text, sizeof(a->text));
	assert_int_equal(a->md5_key_id, b->md5_key_id);
	assert_memory_equal(a->md5_digest, b->md5_digest, sizeof(a->md5_digest));
}

/* A value that can be sent; addresses go to `to`. */
static struct vrrp any(struct chance *c, struct vrrp_path *path, uint8_t *to)
{
	struct vrrp v = { .version = (uint8_t)chance_in(c, 2, 3) };

	path->family = v.version == 3 && chance_in(c, 0, 1) ? 6 : 4;
	chance_fill(c, path->from, 16);
	chance_fill(c, path->to, 16);
	v.group = (uint8_t)chance_in(c, 1, 255);
	v.priority = (uint8_t)chance_in(c, 0, 255);
	v.address_count = chance_in(c, 1, chance_in(c, 1, 255));
	chance_fill(c, to, v.address_count * 16);
	if (path->family == 6)
		to[0] = 0xfe, to[1] = 0x80 | (to[1] & 0x3f);
	v.addresses = to;
	if (v.version == 3) {
		v.interval_cs = (uint16_t)chance_in(c, 1, VRRP_INTERVAL_MAX_CS);
		v.dialect = path->family == 4 ? (enum vrrp_dialect)chance_in(c, 0, 1)
					      : VRRP_DIALECT_PSEUDO;
		return v;
	}
	v.interval_cs = (uint16_t)(100 * chance_in(c, 1, 255));
	v.auth = (const uint8_t[]){ 0, 1, 2, 7, 254 }[chance_in(c, 0, 4)];
	if (v.auth == VRRP_AUTH_TEXT)
		chance_fill(c, v.text, sizeof(v.text));
	if (v.auth == VRRP_AUTH_MD5) {
		v.md5_key_id = (uint32_t)chance_u64(c);
		vrrp_md5_sign(&v, path, "k");
	}
	return v;
}

static void what_is_written_is_read(void **state)
{
	static uint8_t addresses[255 * 16];
	struct chance c = { 1 };

	for (unsigned int i = 0; i < 20000; i++) {
		struct vrrp_path path = { 0 };
		struct vrrp v = any(&c, &path, addresses), again;
		size_t len = encode(&path, &v);

		assert_int_not_equal(len, 0);
		assert_int_equal(decode(&path, buf, len, &again), VERDICT_ACCEPTED);
		assert_same(&v, &again, path.family);
		/* One in 2^16 fits both. */
		if (v.dialect != again.dialect)
			assert_int_equal(again.dialect, VRRP_DIALECT_PSEUDO);
		assert_ptr_equal(again.message, buf);
		assert_int_equal(again.message_len, len);
		assert_null(again.trailer);
	}
}

/* --- what is refused ------------------------------------------------------------------------- */

static void put_sum(const struct vrrp_path *path, uint8_t *message, size_t len, bool pseudo)
{
	size_t n = path->family == 6 ? 16 : 4;
	uint32_t sum = 0;
	uint16_t value;

	message[6] = message[7] = 0;
	if (pseudo) {
		sum = checksum_add(112 + (uint32_t)len, path->from, n);
		sum = checksum_add(sum, path->to, n);
	}
	value = checksum_finish(checksum_add(sum, message, len));
	message[6] = (uint8_t)(value >> 8);
	message[7] = (uint8_t)value;
}

#define V2 "2107c80100010000 0a090064 0000000000000000"
#define V3 "3107c80100640000 0a090064"
#define V6 "3107c80100640000 fe800000000000000000000000000064"

static void each_verdict_has_its_message(void **state)
{
	static const struct {
		const char *message;
		const struct vrrp_path *path;
		enum verdict verdict;
	} rows[] = {
		{ V2, &group4, VERDICT_ACCEPTED },
		{ V3, &group4, VERDICT_ACCEPTED },
		{ V6, &group6, VERDICT_ACCEPTED },
		{ "", &group4, VERDICT_TRUNCATED },
		/* Versions. */
		{ "1107c80100640000 0a090064", &group4, VERDICT_VERSION },
		{ "4107c80100640000 0a090064", &group4, VERDICT_VERSION },
		{ "0107c80100640000 0a090064", &group4, VERDICT_VERSION },
		{ V2, &group6, VERDICT_VERSION },
		/* CARP. */
		{ "212a640700010000 0123456789abcdef 0000000000000000000000000000000000000000",
		  &group4, VERDICT_VERSION },
		/* Types. */
		{ "2207c80100010000 0a090064 0000000000000000", &group4, VERDICT_TYPE },
		{ "3007c80100640000 0a090064", &group4, VERDICT_TYPE },
		{ "3f07c80100640000 0a090064", &group4, VERDICT_TYPE },
		/* Lengths. */
		{ "3107c80200640000 0a090064", &group4, VERDICT_TRUNCATED },
		{ "3107c80100640000 0a090064 00", &group4, VERDICT_LENGTH },
		{ "3107c80100640000 0a090064 0a090065", &group4, VERDICT_LENGTH },
		{ "2107c80100010000 0a090064", &group4, VERDICT_TRUNCATED },
		{ "2107c80100010000 0a090064 0000000000000000 00", &group4, VERDICT_LENGTH },
		{ V3, &group6, VERDICT_TRUNCATED },
		/* Values. */
		{ "3100c80100640000 0a090064", &group4, VERDICT_MALFORMED },
		{ "3107c80000640000", &group4, VERDICT_NO_ADDRESS },
		{ "2107c80000010000 0000000000000000", &group4, VERDICT_NO_ADDRESS },
		{ "3107c80100000000 0a090064", &group4, VERDICT_INTERVAL_ZERO },
		{ "2107c80100000000 0a090064 0000000000000000", &group4, VERDICT_INTERVAL_ZERO },
		/* RFC 9568 section 5.2.6: what is reserved is not looked at. */
		{ "3107c801f0640000 0a090064", &group4, VERDICT_ACCEPTED },
		{ "3107c801f0000000 0a090064", &group4, VERDICT_INTERVAL_ZERO },
		{ "3107c80100640000 20010db8000000000000000000000064", &group6,
		  VERDICT_NOT_LINK_LOCAL },
		{ "3107c80100640000 fec00000000000000000000000000064", &group6,
		  VERDICT_NOT_LINK_LOCAL },
		{ "3107c80100640000 febf0000000000000000000000000064", &group6, VERDICT_ACCEPTED },
		/* Priorities 0 and 255 have meanings, not verdicts. */
		{ "3107000100640000 0a090064", &group4, VERDICT_ACCEPTED },
		{ "3107ff0100640000 0a090064", &group4, VERDICT_ACCEPTED },
		/* Cisco's trailer: there; not there; not one; of another algorithm. */
		{ "2107c801fe010000 0a090064 0000000000000000 fe1c01000000 0a090001 00000001"
		  "00000000000000000000000000000000",
		  &group4, VERDICT_ACCEPTED },
		{ "2107c801fe010000 0a090064 0000000000000000", &group4, VERDICT_TRUNCATED },
		{ "2107c801fe010000 0a090064 0000000000000000 fd1c01000000 0a090001 00000001"
		  "00000000000000000000000000000000",
		  &group4, VERDICT_MALFORMED },
		{ "2107c801fe010000 0a090064 0000000000000000 fe1c02000000 0a090001 00000001"
		  "00000000000000000000000000000000",
		  &group4, VERDICT_MALFORMED },
		/* Any other type of authentication is the election's to judge. */
		{ "2107c80102010000 0a090064 0000000000000000", &group4, VERDICT_ACCEPTED },
		{ "2107c801ff010000 0a090064 0000000000000000", &group4, VERDICT_ACCEPTED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hex(rows[i].message, copy);
		struct vrrp v = { .version = 77 };

		if (len >= 8)
			put_sum(rows[i].path, copy, len, rows[i].path->family == 6);
		assert_int_equal(decode(rows[i].path, copy, len, &v), rows[i].verdict);
		if (rows[i].verdict != VERDICT_ACCEPTED)
			assert_int_equal(v.version, 77);
	}
}

static void the_ttl_is_255_except_from_peers(void **state)
{
	size_t len = hex(V3, copy);
	struct reader r;
	struct vrrp v;

	put_sum(&group4, copy, len, true);
	for (unsigned int ttl = 0; ttl < 256; ttl++) {
		r = reader_of(copy, len);
		assert_int_equal(vrrp_decode(&r, &group4, (uint8_t)ttl, false, &v, NULL),
				 ttl == 255 ? VERDICT_ACCEPTED : VERDICT_TTL);
		r = reader_of(copy, len);
		assert_int_equal(vrrp_decode(&r, &group4, (uint8_t)ttl, true, &v, NULL),
				 VERDICT_ACCEPTED);
	}
	/* It comes before everything else, as in RFC 9568 section 7.1. */
	r = reader_of(copy, 0);
	assert_int_equal(vrrp_decode(&r, &group4, 254, false, &v, NULL), VERDICT_TTL);
}

static void every_flipped_bit_is_seen(void **state)
{
	static const struct {
		const char *message;
		const struct vrrp_path *path;
	} rows[] = { { V2, &group4 }, { V3, &group4 }, { V6, &group6 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hex(rows[i].message, copy);
		struct vrrp v;

		put_sum(rows[i].path, copy, len, copy[0] == 0x31);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_not_equal(decode(rows[i].path, copy, len, &v), VERDICT_ACCEPTED);
			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		/* The IP header counts where there is a pseudo-header, and only there. */
		if (copy[0] == 0x31) {
			struct vrrp_path other = *rows[i].path;

			other.from[3] ^= 1;
			assert_int_equal(decode(&other, copy, len, &v), VERDICT_CHECKSUM);
		}
	}
}

static void truncated_at_every_length(void **state)
{
	static uint8_t addresses[255 * 16];
	struct chance c = { 2 };

	for (unsigned int i = 0; i < 200; i++) {
		struct vrrp_path path = { 0 };
		struct vrrp v = any(&c, &path, addresses);
		size_t whole = encode(&path, &v);

		for (size_t len = 0; len < whole; len++) {
			uint8_t *cut = malloc(len ? len : 1);
			enum verdict verdict;

			assert_non_null(cut);
			memcpy(cut, buf, len);
			verdict = decode(&path, cut, len, &v);
			free(cut);
			/* A cut VRRPv2 message of 36 octets with 7 addresses looks like CARP. */
			if (verdict != VERDICT_VERSION || len != CARP_LEN)
				assert_int_equal(verdict, VERDICT_TRUNCATED);
		}
	}
}

/* 36 octets each: which is which? */
static void five_addresses_are_not_carp(void **state)
{
	static const uint8_t addresses[7 * 4] = { 10, 9, 0, 1 };
	struct vrrp v = {
		.version = 2,
		.group = 7,
		.priority = 100,
		.interval_cs = 100,
		.address_count = 5,
		.addresses = addresses,
	};
	struct vrrp again;
	size_t len;

	len = encode(&group4, &v);
	assert_int_equal(len, CARP_LEN);
	assert_false(carp_is(buf, len));
	assert_int_equal(decode(&group4, buf, len, &again), VERDICT_ACCEPTED);
	/* VRRPv3 with seven has CARP's length and CARP's fourth octet. */
	v.version = 3;
	v.address_count = 7;
	len = encode(&group4, &v);
	assert_int_equal(len, CARP_LEN);
	assert_int_equal(buf[3], 7);
	assert_false(carp_is(buf, len));
	assert_int_equal(decode(&group4, buf, len, &again), VERDICT_ACCEPTED);
	assert_int_equal(again.address_count, 7);
}

static void text_counts_only_where_it_is_meant(void **state)
{
	size_t len = hex("2107c80100010000 0a090064 6162636465666768", copy);
	struct vrrp v;

	/* RFC 3768 section 5.3.10: ignored on reception. */
	put_sum(&group4, copy, len, false);
	assert_int_equal(decode(&group4, copy, len, &v), VERDICT_ACCEPTED);
	assert_int_equal(v.text[0], 0);
	copy[4] = VRRP_AUTH_TEXT;
	put_sum(&group4, copy, len, false);
	assert_int_equal(decode(&group4, copy, len, &v), VERDICT_ACCEPTED);
	assert_memory_equal(v.text, "abcdefgh", 8);
}

static void what_cannot_be_sent_is_not(void **state)
{
	static const uint8_t ip4[4] = { 10, 9, 0, 1 }, global[16] = { 0x20, 1 };
	const struct vrrp good = {
		.version = 2,
		.group = 1,
		.interval_cs = 100,
		.address_count = 1,
		.addresses = ip4,
	};
	struct writer w = writer_of(buf, 11);
	struct vrrp v = good;

	assert_int_not_equal(encode(&group4, &v), 0);
	assert_int_equal(encode(&group6, &v), 0);
	v.interval_cs = 150;
	assert_int_equal(encode(&group4, &v), 0);
	v.interval_cs = 25600;
	assert_int_equal(encode(&group4, &v), 0);
	v.version = 3;
	v.interval_cs = 4096;
	assert_int_equal(encode(&group4, &v), 0);
	v.interval_cs = 0;
	assert_int_equal(encode(&group4, &v), 0);
	v = good;
	v.address_count = 0;
	assert_int_equal(encode(&group4, &v), 0);
	v.address_count = 256;
	assert_int_equal(encode(&group4, &v), 0);
	v = good;
	v.group = 0;
	assert_int_equal(encode(&group4, &v), 0);
	v = good;
	v.version = 4;
	assert_int_equal(encode(&group4, &v), 0);
	v.version = 3;
	v.addresses = global;
	assert_int_equal(encode(&group6, &v), 0);
	vrrp_encode(&w, &group4, &good, NULL, 0);
	assert_true(w.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_checksums_over_ipv4),
		cmocka_unit_test(ciscos_digest),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(each_verdict_has_its_message),
		cmocka_unit_test(the_ttl_is_255_except_from_peers),
		cmocka_unit_test(every_flipped_bit_is_seen),
		cmocka_unit_test(truncated_at_every_length),
		cmocka_unit_test(five_addresses_are_not_carp),
		cmocka_unit_test(text_counts_only_where_it_is_meant),
		cmocka_unit_test(what_cannot_be_sent_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
