#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hex.h"
#include "wire/hsrp.h"

static uint8_t buf[256], copy[256];

static enum verdict decode(const void *data, size_t len, struct hsrp *ret)
{
	struct reader r = reader_of(data, len);
	const char *why = NULL;
	enum verdict v = hsrp_decode(&r, ret, &why);

	assert_int_equal(reader_left(&r), v == VERDICT_ACCEPTED ? 0 : len);
	assert_true((v == VERDICT_ACCEPTED) == (why == NULL));
	return v;
}

static size_t encode(const struct hsrp *h, const char *key)
{
	struct writer w = writer_of(buf, sizeof(buf));

	hsrp_encode(&w, h, key);
	if (w.failed)
		return 0;
	assert_int_equal(writer_used(&w), hsrp_len(h));
	assert_true(writer_used(&w) <= HSRP_LEN_MAX);
	return writer_used(&w);
}

/* Digests that routers of Cisco's sent. */
static void ciscos_digests(void **state)
{
	static const struct {
		const char *key, *message;
		uint8_t version;
		uint16_t group;
		uint32_t priority;
	} rows[] = {
		{ "password12345",
		  "000004030a640100 0000000000000000 0a000064 041c0100 0000 0a000014 00000000"
		  "52e1db09d18d695b8fefb3730ff8d9d6",
		  1, 1, 100 },
		{ "openwall",
		  "000004030a5a0100 0000000000000000 ac102801 041c01000000 ac102814 00000000"
		  "f15dfa631a0679e0801f8e6b0c0c17ac",
		  1, 1, 90 },
		{ "password",
		  "0128 02000604 0001 aabbcc000a00 00000064 00000bb8 00002710"
		  "0a000064000000000000000000000000 041c01000000 0a00000a 00000000"
		  "642fedafe1f374bd2fdd8f1ba81d87a2",
		  2, 1, 100 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hex(rows[i].message, copy);
		struct hsrp h;

		assert_int_equal(decode(copy, len, &h), VERDICT_ACCEPTED);
		assert_int_equal(h.version, rows[i].version);
		assert_int_equal(h.group, rows[i].group);
		assert_int_equal(h.priority, rows[i].priority);
		assert_int_equal(h.hello_ms, 3000);
		assert_int_equal(h.hold_ms, 10000);
		assert_int_equal(h.auth, HSRP_AUTH_MD5);
		assert_true(hsrp_md5_verify(&h, rows[i].key));
		assert_false(hsrp_md5_verify(&h, "cisco"));
		assert_int_equal(encode(&h, rows[i].key), len);
		assert_memory_equal(buf, copy, len);
		/* Every octet is covered. */
		for (size_t at = 0; at < len; at++) {
			if (at >= h.md5_at && at < h.md5_at + 16u)
				continue;
			copy[at] ^= 1;
			assert_false(hsrp_md5_verify(&h, rows[i].key));
			copy[at] ^= 1;
		}
		h.md5_digest[15] ^= 1;
		assert_false(hsrp_md5_verify(&h, rows[i].key));
	}
}

/* RFC 2281 section 5.1, with its default text. */
static void version_1_is_rfc_2281s(void **state)
{
	size_t len = hex("000010030a6e0900 636973636f000000 0a090064", copy);
	struct hsrp h;

	assert_int_equal(decode(copy, len, &h), VERDICT_ACCEPTED);
	assert_int_equal(h.operation, HSRP_HELLO);
	assert_int_equal(h.state, HSRP_STATE_ACTIVE);
	assert_int_equal(h.family, 4);
	assert_int_equal(h.priority, 110);
	assert_int_equal(h.group, 9);
	assert_int_equal(h.auth, HSRP_AUTH_TEXT);
	assert_string_equal((const char *)h.text, HSRP_TEXT_DEFAULT);
	assert_memory_equal(h.address, "\x0a\x09\0\x64\0", 5);
	assert_false(hsrp_md5_verify(&h, "cisco"));
	assert_int_equal(encode(&h, NULL), len);
	assert_memory_equal(buf, copy, len);
}

/* As a router of Cisco's sent it, with garbage where nothing is meant. */
static void advertisements_are_read(void **state)
{
	size_t len = hex("00030001000e0300 0001 0000 6f000000", copy);
	struct hsrp h;

	assert_int_equal(decode(copy, len, &h), VERDICT_ACCEPTED);
	assert_int_equal(h.operation, HSRP_ADVERTISE);
	assert_int_equal(h.active_groups, 1);
	assert_int_equal(h.passive_groups, 0);
	memset(copy + 12, 0, 4);
	assert_int_equal(encode(&h, NULL), len);
	assert_memory_equal(buf, copy, len);

	len = hex("0204 0001 0002", copy);
	assert_int_equal(decode(copy, len, &h), VERDICT_ACCEPTED);
	assert_int_equal(h.version, 2);
	assert_int_equal(h.operation, HSRP_ADVERTISE);
	assert_int_equal(h.passive_groups, 2);
	assert_int_equal(encode(&h, NULL), len);
	assert_memory_equal(buf, copy, len);
}

static void states_have_their_numbers(void **state)
{
	static const uint8_t wire[][HSRP_STATE_COUNT] = { { 0, 1, 2, 4, 8, 16 },
							  { 1, 2, 3, 4, 5, 6 } };

	for (uint8_t version = 1; version <= 2; version++) {
		for (uint8_t s = 0; s < HSRP_STATE_COUNT; s++) {
			struct hsrp h = { .version = version, .operation = HSRP_COUP, .family = 4 };

			h.state = s;
			assert_int_not_equal(encode(&h, NULL), 0);
			assert_int_equal(buf[version == 1 ? 2 : 4], wire[version - 1][s]);
		}
	}
}

static struct hsrp any(struct chance *c)
{
	struct hsrp h = { .version = (uint8_t)chance_in(c, 1, 2) };

	h.operation = (uint8_t)chance_in(c, 0, 3);
	if (h.operation == HSRP_ADVERTISE) {
		h.active_groups = (uint16_t)chance_u64(c);
		h.passive_groups = (uint16_t)chance_u64(c);
		return h;
	}
	h.state = (uint8_t)chance_in(c, 0, HSRP_STATE_COUNT - 1);
	h.family = h.version == 2 && chance_in(c, 0, 1) ? 6 : 4;
	h.auth = (uint8_t)chance_in(c, 0, 1);
	chance_fill(c, h.address, h.family == 6 ? 16 : 4);
	if (h.version == 1) {
		h.group = (uint16_t)chance_in(c, 0, 255);
		h.priority = chance_in(c, 0, 255);
		h.hello_ms = 1000 * chance_in(c, 1, 255);
		h.hold_ms = 1000 * chance_in(c, 1, 255);
	} else {
		h.group = (uint16_t)chance_in(c, 0, 4095);
		h.priority = (uint32_t)chance_u64(c);
		h.hello_ms = chance_in(c, 1, UINT32_MAX);
		h.hold_ms = chance_in(c, 1, UINT32_MAX);
		chance_fill(c, h.identifier.octet, 6);
	}
	if (h.auth == HSRP_AUTH_MD5) {
		chance_fill(c, h.md5_from, 4);
		h.md5_key_id = (uint32_t)chance_u64(c);
	} else {
		chance_fill(c, h.text, sizeof(h.text));
	}
	return h;
}

static void assert_same(const struct hsrp *a, const struct hsrp *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->operation, b->operation);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->group, b->group);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->hello_ms, b->hello_ms);
	assert_int_equal(a->hold_ms, b->hold_ms);
	assert_memory_equal(a->address, b->address, 16);
	assert_true(vmac_mac_equal(a->identifier, b->identifier));
	assert_int_equal(a->auth, b->auth);
	assert_memory_equal(a->text, b->text, sizeof(a->text));
	assert_memory_equal(a->md5_from, b->md5_from, 4);
	assert_int_equal(a->md5_key_id, b->md5_key_id);
	assert_int_equal(a->active_groups, b->active_groups);
	assert_int_equal(a->passive_groups, b->passive_groups);
}

static void what_is_written_is_read(void **state)
{
	struct chance c = { 3 };

	for (unsigned int i = 0; i < 20000; i++) {
		struct hsrp h = any(&c), again;
		size_t len = encode(&h, "key");

		assert_int_not_equal(len, 0);
		assert_int_equal(decode(buf, len, &again), VERDICT_ACCEPTED);
		assert_same(&h, &again);
		assert_int_equal(again.message_len, len);
		assert_true(hsrp_md5_verify(&again, "key") == (h.auth == HSRP_AUTH_MD5));
	}
}

static void truncated_at_every_length(void **state)
{
	struct chance c = { 4 };

	for (unsigned int i = 0; i < 300; i++) {
		struct hsrp h = any(&c);
		size_t whole = encode(&h, "key"), first = whole;

		/* Options end where they end: what is behind the first is another matter. */
		if (h.operation != HSRP_ADVERTISE)
			first = h.version == 1 ? 20 : 42;
		for (size_t len = 0; len < whole; len++) {
			uint8_t *cut = malloc(len ? len : 1);
			enum verdict v;

			assert_non_null(cut);
			memcpy(cut, buf, len);
			v = decode(cut, len, &h);
			free(cut);
			if (len == first)
				assert_int_equal(v, VERDICT_ACCEPTED);
			else if (len == 0 || (len < first && buf[0] == 0))
				assert_int_equal(v, VERDICT_TRUNCATED);
			else
				assert_int_equal(v, VERDICT_MALFORMED);
		}
	}
}

#define V1	  "000010030a6e0900 636973636f000000 0a090064"
#define V2_HEAD	  "0128 02000604 0001 aabbcc000a00 00000064 00000bb8 00002710"
#define V2_IP	  "0a000064000000000000000000000000"
#define TEXT	  "0308 636973636f000000"
#define MD5(algo) "041c" algo "000000 0a000014 00000000 00000000000000000000000000000000"

static void each_verdict_has_its_message(void **state)
{
	static const struct {
		const char *message;
		enum verdict verdict;
	} rows[] = {
		{ V1, VERDICT_ACCEPTED },
		{ V1 MD5("01"), VERDICT_ACCEPTED },
		{ V2_HEAD V2_IP TEXT, VERDICT_ACCEPTED },
		{ V2_HEAD V2_IP MD5("01"), VERDICT_ACCEPTED },
		/* Unknown options may stand anywhere, and are skipped. */
		{ V2_HEAD V2_IP "0900" TEXT "7f03010203", VERDICT_ACCEPTED },
		{ "0900" V2_HEAD V2_IP, VERDICT_ACCEPTED },
		{ V1 "0900" MD5("01"), VERDICT_ACCEPTED },
		{ "", VERDICT_TRUNCATED },
		{ "0000", VERDICT_TRUNCATED },
		{ "00030001000e0300 0001 0000 6f0000", VERDICT_TRUNCATED },
		/* Versions. */
		{ "0128 01000604 0001 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_VERSION },
		{ "0128 03000604 0001 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_VERSION },
		/* Operations. */
		{ "000410030a6e0900 636973636f000000 0a090064", VERDICT_TYPE },
		{ "0128 02030604 0001 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_TYPE },
		{ "00030002000e0300 0001 0000 6f000000", VERDICT_TYPE },
		{ TEXT, VERDICT_TYPE },
		{ "0900", VERDICT_TYPE },
		/* Lengths. */
		{ "00030001000a0300 0001 0000 6f000000", VERDICT_LENGTH },
		{ "0127 02000604 0001 aabbcc000a00 00000064 00000bb8 00002710"
		  "0a0000640000000000000000000000",
		  VERDICT_LENGTH },
		{ V2_HEAD V2_IP "0307 636973636f0000", VERDICT_LENGTH },
		{ V1 "0400", VERDICT_LENGTH },
		/* Contradictions. */
		{ "000003030a6e0900 636973636f000000 0a090064", VERDICT_MALFORMED },
		{ "000020030a6e0900 636973636f000000 0a090064", VERDICT_MALFORMED },
		{ "0128 02000704 0001 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_MALFORMED },
		{ "0128 02000605 0001 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_MALFORMED },
		{ "0128 02000604 1000 aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_MALFORMED },
		{ V1 "04", VERDICT_MALFORMED },
		{ V1 "0901", VERDICT_MALFORMED },
		{ V1 MD5("02"), VERDICT_MALFORMED },
		{ V2_HEAD V2_IP V2_HEAD V2_IP, VERDICT_MALFORMED },
		{ V1 MD5("01") MD5("01"), VERDICT_MALFORMED },
		/* Times; only a hello's mean anything. */
		{ "000010000a6e0900 636973636f000000 0a090064", VERDICT_INTERVAL_ZERO },
		{ "00001003006e0900 636973636f000000 0a090064", VERDICT_INTERVAL_ZERO },
		{ "00011000006e0900 636973636f000000 0a090064", VERDICT_ACCEPTED },
		{ "0128 02000604 0001 aabbcc000a00 00000064 00000000 00002710" V2_IP,
		  VERDICT_INTERVAL_ZERO },
		{ "0128 02000604 0001 aabbcc000a00 00000064 00000bb8 00000000" V2_IP,
		  VERDICT_INTERVAL_ZERO },
		/* Group 4095 is the last; state 0 is "disabled". */
		{ "0128 02000004 0fff aabbcc000a00 00000064 00000bb8 00002710" V2_IP,
		  VERDICT_ACCEPTED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hex(rows[i].message, copy);
		struct hsrp h = { .version = 77 };

		assert_int_equal(decode(copy, len, &h), rows[i].verdict);
		if (rows[i].verdict != VERDICT_ACCEPTED)
			assert_int_equal(h.version, 77);
	}
}

static void what_cannot_be_sent_is_not(void **state)
{
	const struct hsrp good = {
		.version = 1,
		.family = 4,
		.hello_ms = 3000,
		.hold_ms = 10000,
	};
	struct writer w = writer_of(buf, 19);
	struct hsrp h = good;

	assert_int_not_equal(encode(&h, NULL), 0);
	h.hello_ms = 1500;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.hold_ms = 256000;
	assert_int_equal(encode(&h, NULL), 0);
	h.version = 2;
	assert_int_not_equal(encode(&h, NULL), 0);
	h.hold_ms = 0;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.family = 6;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.group = 256;
	assert_int_equal(encode(&h, NULL), 0);
	h.version = 2;
	h.group = 4096;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.priority = 256;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.state = HSRP_STATE_COUNT;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.operation = HSRP_ADVERTISE + 1;
	assert_int_equal(encode(&h, NULL), 0);
	h = good;
	h.version = 3;
	assert_int_equal(encode(&h, NULL), 0);
	hsrp_encode(&w, &good, NULL);
	assert_true(w.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ciscos_digests),
		cmocka_unit_test(version_1_is_rfc_2281s),
		cmocka_unit_test(advertisements_are_read),
		cmocka_unit_test(states_have_their_numbers),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(truncated_at_every_length),
		cmocka_unit_test(each_verdict_has_its_message),
		cmocka_unit_test(what_cannot_be_sent_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
