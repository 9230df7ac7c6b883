#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hex.h"
#include "wire/glbp.h"

static uint8_t buf[512];

static enum verdict decode(const char *text, struct glbp *ret)
{
	size_t len = hex(text, buf);
	uint8_t *own = malloc(len ? len : 1);
	const char *why = NULL;
	struct reader r;
	enum verdict v;

	/* In memory of exactly its length, so that a sanitizer sees what is read behind it. */
	assert_non_null(own);
	memcpy(own, buf, len);
	r = reader_of(own, len);
	v = glbp_decode(&r, ret, &why);
	assert_int_equal(reader_left(&r), v == VERDICT_ACCEPTED ? 0 : len);
	assert_true((v == VERDICT_ACCEPTED) == (why == NULL));
	free(own);
	if (v == VERDICT_ACCEPTED)
		ret->message = buf;
	return v;
}

#define HEADER "0100 0005 0000 020000000001 "
#define HELLO  "011c 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 01 04 0a090064 "
#define HELLO6                                                                                     \
	"0128 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 02 10"                             \
	"fe800000000000000000000000000064 "
#define FORWARDER "0214 02 04 00 a7 64 00 1234 0100 0000 0007b4000502 "
#define TEXT	  "030a 01 06 736563726574 "

static void a_message_is_read(void **state)
{
	struct glbp g;

	assert_int_equal(decode(HEADER TEXT HELLO FORWARDER FORWARDER "0404beef", &g),
			 VERDICT_ACCEPTED);
	assert_int_equal(g.group, 5);
	assert_int_equal(vmac_mac_u64(g.owner), 0x020000000001);
	assert_int_equal(g.auth, 1);
	assert_string_equal(g.text, "secret");
	assert_true(g.has_hello);
	assert_int_equal(g.state, 32);
	assert_int_equal(g.priority, 120);
	assert_int_equal(g.hello_ms, 3000);
	assert_int_equal(g.hold_ms, 10000);
	assert_int_equal(g.redirect_s, 600);
	assert_int_equal(g.timeout_s, 14400);
	assert_int_equal(g.family, 4);
	assert_memory_equal(g.address, "\x0a\x09\0\x64", 4);
	assert_int_equal(g.forwarder_count, 2);
	assert_int_equal(g.forwarders[1].number, 2);
	assert_int_equal(g.forwarders[1].state, 4);
	assert_int_equal(g.forwarders[1].priority, 167);
	assert_int_equal(g.forwarders[1].weight, 100);
	assert_int_equal(g.forwarders[1].timeout_s, 0x1234);
	assert_int_equal(g.forwarders[1].redirect_s, 256);
	assert_int_equal(vmac_mac_u64(g.forwarders[1].mac), 0x0007b4000502);

	assert_int_equal(decode(HEADER HELLO6, &g), VERDICT_ACCEPTED);
	assert_int_equal(g.family, 6);
	assert_int_equal(g.address[15], 0x64);
	assert_int_equal(decode(HEADER, &g), VERDICT_ACCEPTED);
	assert_false(g.has_hello);
}

/* Computed by an independent program (Python's hashlib) from the description of the digest. */
static void digests_are_what_others_compute(void **state)
{
	static const struct {
		const char *message;
		uint8_t auth;
		uint32_t key_id;
	} rows[] = {
		{ "010000050000020000000001 03180314 00000007 9dcbfd6bc4a22969b3b78251bf862af4", 3,
		  7 },
		{ "010000050000020000000001 03140210 fa99e0677a24a8ed1f2d86a50dadc148", 2, 0 },
	};
	static const uint8_t from[] = { 10, 9, 0, 1 }, other[] = { 10, 9, 0, 2 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct glbp g;

		assert_int_equal(decode(rows[i].message, &g), VERDICT_ACCEPTED);
		assert_int_equal(g.auth, rows[i].auth);
		assert_int_equal(g.md5_key_id, rows[i].key_id);
		assert_true(glbp_md5_verify(&g, from, "secret"));
		assert_false(glbp_md5_verify(&g, other, "secret"));
		assert_false(glbp_md5_verify(&g, from, "Secret"));
		buf[3] ^= 1;
		assert_false(glbp_md5_verify(&g, from, "secret"));
		g.auth = 1;
		assert_false(glbp_md5_verify(&g, from, "secret"));
	}
}

static void each_verdict_has_its_message(void **state)
{
	static const struct {
		const char *message;
		enum verdict verdict;
	} rows[] = {
		{ "", VERDICT_TRUNCATED },
		{ "0100 0005 0000 0200000000", VERDICT_TRUNCATED },
		{ "0000 0005 0000 020000000001", VERDICT_VERSION },
		{ "0200 0005 0000 020000000001", VERDICT_VERSION },
		{ "0100 0400 0000 020000000001", VERDICT_MALFORMED },
		{ "0100 03ff 0000 020000000001", VERDICT_ACCEPTED },
		{ HEADER "04", VERDICT_MALFORMED },
		{ HEADER "0400", VERDICT_MALFORMED },
		{ HEADER "0401", VERDICT_MALFORMED },
		{ HEADER "0402", VERDICT_ACCEPTED },
		{ HEADER "0403", VERDICT_MALFORMED },
		{ HEADER HELLO HELLO, VERDICT_MALFORMED },
		{ HEADER "0102", VERDICT_LENGTH },
		{ HEADER "0117 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 01",
		  VERDICT_LENGTH },
		{ HEADER "011b 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 01 04 0a0900",
		  VERDICT_LENGTH },
		{ HEADER "011c 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 02 04 0a090064",
		  VERDICT_MALFORMED },
		{ HEADER "011c 00 20 00 78 0000 00000bb8 00002710 0258 3840 0000 03 04 0a090064",
		  VERDICT_MALFORMED },
		{ HEADER "0213 02 04 00 a7 64 00 1234 0100 0000 0007b40005", VERDICT_LENGTH },
		{ HEADER FORWARDER FORWARDER FORWARDER FORWARDER, VERDICT_ACCEPTED },
		{ HEADER FORWARDER FORWARDER FORWARDER FORWARDER FORWARDER, VERDICT_MALFORMED },
		{ HEADER "0302", VERDICT_LENGTH },
		{ HEADER "0305 01 02 73", VERDICT_LENGTH },
		{ HEADER "0304 00 00", VERDICT_MALFORMED },
		{ HEADER "0304 04 00", VERDICT_MALFORMED },
		{ HEADER "0304 02 00", VERDICT_LENGTH },
		{ HEADER "0314 03 10 00000000000000000000000000000000", VERDICT_LENGTH },
		{ HEADER TEXT TEXT, VERDICT_MALFORMED },
		{ HEADER "0304 01 00", VERDICT_ACCEPTED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct glbp g = { .group = 777 };

		assert_int_equal(decode(rows[i].message, &g), rows[i].verdict);
		if (rows[i].verdict != VERDICT_ACCEPTED)
			assert_int_equal(g.group, 777);
	}
}

static void long_texts_do_not_fit(void **state)
{
	char text[256] = HEADER;
	struct glbp g;

	for (unsigned int len = 64; len <= 65; len++) {
		char *at = text + strlen(HEADER);

		at += snprintf(at, 32, "03%02x01%02x", len + 4, len);
		for (unsigned int i = 0; i < len; i++)
			at += snprintf(at, 8, "61");
		assert_int_equal(decode(text, &g), len == 64 ? VERDICT_ACCEPTED : VERDICT_LENGTH);
		assert_int_equal(strlen(g.text), 64);
	}
}

static void truncated_at_every_length(void **state)
{
	size_t whole = hex(HEADER TEXT HELLO FORWARDER, buf), ends[] = { 12, 22, 50, 70 };

	assert_int_equal(whole, ends[3]);
	for (size_t len = 0; len < whole; len++) {
		struct reader r = reader_of(buf, len);
		struct glbp g;
		enum verdict v = glbp_decode(&r, &g, NULL);

		if (len < ends[0])
			assert_int_equal(v, VERDICT_TRUNCATED);
		else if (len == ends[0] || len == ends[1] || len == ends[2])
			assert_int_equal(v, VERDICT_ACCEPTED);
		else
			assert_int_equal(v, VERDICT_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_read),
		cmocka_unit_test(digests_are_what_others_compute),
		cmocka_unit_test(each_verdict_has_its_message),
		cmocka_unit_test(long_texts_do_not_fit),
		cmocka_unit_test(truncated_at_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
