#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium/crypto_shorthash_siphash24.h>

#include "base/cleanup.h"
#include "wire/heartbeat.h"

static const uint8_t key[HEARTBEAT_KEY_LEN] = { 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
static const vmac_mac_t source = { { 0x52, 0x54, 0, 1, 2, 3 } };

static uint8_t frame[HEARTBEAT_LEN_MAX + 64];
static size_t frame_len;

static struct heartbeat example(void)
{
	struct heartbeat h = {
		.host = { 1, 2, 3, [15] = 9 },
		.number = 7,
		.incarnation = 0x0102030405060708,
		.sequence = 42,
		.cluster = 0x1122334455667788,
		.generation = 3,
		.committed = { 5, 1 },
		.installed = { 5, 2 },
		.proposed = { 5, 2 },
		.proposed_generation = 3,
		.face_count = 2,
		.bitmap_octets = 2,
		.echo_count = 2,
		.faces = { { HEARTBEAT_ACTIVE, 0, 5 }, { HEARTBEAT_YIELDED, 9, 4 } },
		.hosted = { { 0x81 } },
		.fit = { { 0x80 } },
		.busy = { { 0x01, 0x40 } },
		.fresh = { { 0x80 } },
		.known = { { 0x81, 0x40 } },
		.echoes = { { 3, HEARTBEAT_COUNTS, 100 }, { 9, HEARTBEAT_ANSWERS, 1 } },
	};

	return h;
}

static void write_heartbeat(const struct heartbeat *h)
{
	struct writer w = writer_of(frame, sizeof(frame));

	heartbeat_write(&w, source, h, key);
	assert_false(w.failed);
	frame_len = writer_used(&w);
}

static enum heartbeat_verdict read_frame(size_t len)
{
	struct heartbeat h = { .number = 99 };
	enum heartbeat_verdict v;
	uint8_t *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, frame, len);
	v = heartbeat_read(exact, len, key, &h);
	free(exact);
	if (v != HEARTBEAT_VALID)
		assert_int_equal(h.number, 99);
	return v;
}

/* As an attacker who has the key, or a writer with a bug, would do. */
static void sign(void)
{
	crypto_shorthash_siphash24(frame + frame_len - 8, frame + 6, frame_len - 14, key);
}

static enum heartbeat_verdict verdict_of(const struct heartbeat *h)
{
	write_heartbeat(h);
	return read_frame(frame_len);
}

static void a_frame_by_hand(void **state)
{
	static const uint8_t want[] = {
		0x03, 0x76, 0x4d, 0x41, 0x43, 0x00, 0x52, 0x54, 0x00,	     0x01, 0x02, 0x03,
		0x88, 0xb5, 'v',  'M',	'H',  1,    0,	  160, /* host */
		1,    2,    3,	  0,	0,    0,    0,	  0,	0,	     0,	   0,	 0,
		0,    0,    0,	  9,	0,    7,    0,	  0,	1,	     2,	   3,	 4,
		5,    6,    7,	  8,	0,    0,    0,	  42,	0x11,	     0x22, 0x33, 0x44,
		0x55, 0x66, 0x77, 0x88, /* 60 */
		0,    0,    0,	  0,	0,    0,    0,	  3,	0,	     0,	   0,	 0,
		0,    0,    0,	  5,	0,    0,    0,	  1,	0,	     0,	   0,	 0,
		0,    0,    0,	  5,	0,    0,    0,	  2,	/* 92 */ 0,  0,	   0,	 0,
		0,    0,    0,	  5,	0,    0,    0,	  2,	0,	     0,	   0,	 0,
		0,    0,    0,	  3,	2,    2,    2,	  0,	/* 116 */ 1, 0,	   0,	 0,
		0,    0,    0,	  0,	0,    0,    0,	  5,	2,	     0,	   0,	 9,
		0,    0,    0,	  0,	0,    0,    0,	  4,			   /* 140 */
		0x81, 0,    0x80, 0,	0x01, 0x40, 0x80, 0,	0x81,	     0x40, /* 150 */
		0,    3,    0,	  1,	0,    0,    0,	  100,	0,	     9,	   0,	 2,
		0,    0,    0,	  1,
	};
	const struct heartbeat h = example();
	uint8_t tag[8];

	write_heartbeat(&h);
	assert_int_equal(sizeof(want), 166);
	assert_int_equal(frame_len, sizeof(want) + 8);
	assert_memory_equal(frame, want, sizeof(want));
	crypto_shorthash_siphash24(tag, want + 6, sizeof(want) - 6, key);
	assert_memory_equal(frame + sizeof(want), tag, sizeof(tag));
}

static void what_is_written_is_read(void **state)
{
	struct heartbeat h = example(), got;
	uint64_t cluster;

	write_heartbeat(&h);
	assert_int_equal(heartbeat_read(frame, frame_len, key, &got), HEARTBEAT_VALID);
	assert_memory_equal(&h, &got, sizeof(h));
	assert_true(heartbeat_peek(frame, frame_len, &cluster));
	assert_int_equal(cluster, h.cluster);
	h.leaving = true;
	assert_int_equal(verdict_of(&h), HEARTBEAT_VALID);
	assert_int_equal(heartbeat_read(frame, frame_len, key, &got), HEARTBEAT_VALID);
	assert_true(got.leaving);
}

static void the_least_and_the_most(void **state)
{
	struct heartbeat least = { .host = { 1 }, .number = 1, .incarnation = 1, .sequence = 1 };
	struct heartbeat most = example(), got;

	assert_int_equal(verdict_of(&least), HEARTBEAT_VALID);
	assert_int_equal(frame_len, 124);
	most.face_count = HEARTBEAT_FACES_MAX;
	most.bitmap_octets = HEARTBEAT_BITMAP_MAX;
	most.echo_count = HEARTBEAT_ECHOES_MAX;
	for (unsigned int i = 0; i < HEARTBEAT_ECHOES_MAX; i++) {
		most.echoes[i].number = (uint16_t)(1000 + i);
		most.echoes[i].sequence = UINT32_MAX - i;
	}
	for (unsigned int id = 1; id <= HEARTBEAT_MEMBERS_MAX; id += 3) {
		heartbeat_set_bit(&most.hosted, id, true);
		heartbeat_set_bit(&most.known, id, true);
	}
	most.faces[7].epoch = HEARTBEAT_EPOCH_MAX;
	assert_int_equal(verdict_of(&most), HEARTBEAT_VALID);
	assert_int_equal(frame_len, 1372);
	assert_int_equal(heartbeat_read(frame, frame_len, key, &got), HEARTBEAT_VALID);
	assert_memory_equal(&most, &got, sizeof(most));
}

static void every_bit_counts(void **state)
{
	const struct heartbeat h = example();

	write_heartbeat(&h);
	for (size_t at = 0; at < frame_len; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			frame[at] ^= (uint8_t)(1u << bit);
			assert_int_not_equal(read_frame(frame_len), HEARTBEAT_VALID);
			frame[at] ^= (uint8_t)(1u << bit);
		}
	}
	assert_int_equal(read_frame(frame_len), HEARTBEAT_VALID);
}

static void cut_anywhere_is_refused(void **state)
{
	const struct heartbeat h = example();
	uint64_t cluster = 1;

	write_heartbeat(&h);
	for (size_t len = 0; len < frame_len; len++) {
		const enum heartbeat_verdict v = read_frame(len);

		assert_int_equal(v, len < 17 ? HEARTBEAT_NOT : HEARTBEAT_MALFORMED);
		assert_false(heartbeat_peek(frame, len, &cluster));
	}
	assert_int_equal(cluster, 1);
}

static void padding_is_passed_over(void **state)
{
	const struct heartbeat h = example();

	write_heartbeat(&h);
	memset(frame + frame_len, 0xaa, 46);
	assert_int_equal(read_frame(frame_len + 46), HEARTBEAT_VALID);
}

static void another_key_is_forged(void **state)
{
	static const uint8_t other[HEARTBEAT_KEY_LEN] = { 1 };
	const struct heartbeat h = example();
	struct heartbeat got;

	write_heartbeat(&h);
	assert_int_equal(heartbeat_read(frame, frame_len, other, &got), HEARTBEAT_FORGED);
}

static void others_are_not_ours(void **state)
{
	const struct heartbeat h = example();

	write_heartbeat(&h);
	frame[17] = 2;
	sign();
	assert_int_equal(read_frame(frame_len), HEARTBEAT_VERSION);
	frame[17] = 1;
	frame[16] = 'I';
	sign();
	assert_int_equal(read_frame(frame_len), HEARTBEAT_NOT);
	frame[16] = 'H';
	frame[13] = 0xb6;
	assert_int_equal(read_frame(frame_len), HEARTBEAT_NOT);
	frame[13] = 0xb5;
	frame[6] |= 1;
	sign();
	assert_int_equal(read_frame(frame_len), HEARTBEAT_MALFORMED);
}

/* Each is signed, and contradicts itself. */
static void contradictions_are_malformed(void **state)
{
#define CONTRADICTION(change)                                                                      \
	do {                                                                                       \
		struct heartbeat h = example();                                                    \
		change;                                                                            \
		assert_int_equal(verdict_of(&h), HEARTBEAT_MALFORMED);                             \
	} while (0)
	CONTRADICTION(memset(h.host, 0, sizeof(h.host)));
	CONTRADICTION(h.number = 0);
	CONTRADICTION(h.incarnation = 0);
	CONTRADICTION(h.sequence = 0);
	CONTRADICTION(h.committed.number = 0);
	CONTRADICTION(h.installed.epoch = HEARTBEAT_EPOCH_MAX + 1);
	CONTRADICTION(h.proposed.number = 0);
	CONTRADICTION(h.proposed = (struct heartbeat_view){ 0 });
	CONTRADICTION(h.faces[0].state = HEARTBEAT_FACE_STATE_COUNT);
	CONTRADICTION(h.faces[0].to = 1);
	CONTRADICTION(h.faces[0].epoch = 0);
	CONTRADICTION(h.faces[1].epoch = HEARTBEAT_EPOCH_MAX + 1);
	CONTRADICTION(heartbeat_set_bit(&h.fit, 2, true));
	CONTRADICTION(heartbeat_set_bit(&h.fresh, 2, true));
	CONTRADICTION(h.echoes[0].number = 0);
	CONTRADICTION(h.echoes[0].sequence = 0);
	CONTRADICTION(h.echoes[0].number = 7);
	CONTRADICTION(h.echoes[0].flags = 4);
	CONTRADICTION(h.echoes[1].flags = 0x8001);
	CONTRADICTION(h.echoes[1].number = 3);
	CONTRADICTION(h.echoes[1].number = 2);
#undef CONTRADICTION
}

static void what_says_nothing_is_zero(void **state)
{
	static const size_t silent[] = { 38, 115, 117, 129, 152, 160 };
	const struct heartbeat h = example();

	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		write_heartbeat(&h);
		assert_int_equal(frame[silent[i]], 0);
		frame[silent[i]] = 4;
		sign();
		assert_int_equal(read_frame(frame_len), HEARTBEAT_MALFORMED);
	}
}

static void counts_beyond_the_limits(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = { { 112, 9 }, { 112, 1 }, { 113, 129 }, { 113, 3 }, { 114, 65 }, { 114, 1 } };
	const struct heartbeat h = example();

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		write_heartbeat(&h);
		frame[wrong[i].at] = wrong[i].value;
		sign();
		assert_int_equal(read_frame(frame_len), HEARTBEAT_MALFORMED);
	}
}

static void what_does_not_fit_marks_the_writer(void **state)
{
	const struct heartbeat h = example();
	struct writer w = writer_of(frame, 173);

	heartbeat_write(&w, source, &h, key);
	assert_true(w.failed);
	w = writer_of(frame, 174);
	heartbeat_write(&w, source, &h, key);
	assert_false(w.failed);
}

static void a_cluster_by_its_name(void **state)
{
	static const uint8_t other[HEARTBEAT_KEY_LEN] = { 1 };
	const uint64_t a = heartbeat_cluster("lan", "web", key);
	uint8_t hash[8];
	uint64_t want = 0;

	crypto_shorthash_siphash24(hash, (const uint8_t *)"lan/web", 7, key);
	for (unsigned int i = 0; i < sizeof(hash); i++)
		want = want << 8 | hash[i];
	assert_true(a == want);
	assert_true(a != heartbeat_cluster("lan", "webs", key));
	assert_true(a != heartbeat_cluster("lan2", "web", key));
	assert_true(a != heartbeat_cluster("lan", "web", other));
}

static void bits(void **state)
{
	struct heartbeat_bits b = { { 0 } };

	heartbeat_set_bit(&b, 0, true);
	heartbeat_set_bit(&b, HEARTBEAT_MEMBERS_MAX + 1, true);
	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++)
		assert_int_equal(b.octet[i], 0);
	assert_false(heartbeat_bit(&b, 0));
	heartbeat_set_bit(&b, 1, true);
	heartbeat_set_bit(&b, 1024, true);
	assert_int_equal(b.octet[0], 1);
	assert_int_equal(b.octet[127], 0x80);
	heartbeat_set_bit(&b, 1, false);
	assert_false(heartbeat_bit(&b, 1));
	assert_true(heartbeat_bit(&b, 1024));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_by_hand),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_least_and_the_most),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(cut_anywhere_is_refused),
		cmocka_unit_test(padding_is_passed_over),
		cmocka_unit_test(another_key_is_forged),
		cmocka_unit_test(others_are_not_ours),
		cmocka_unit_test(contradictions_are_malformed),
		cmocka_unit_test(what_says_nothing_is_zero),
		cmocka_unit_test(counts_beyond_the_limits),
		cmocka_unit_test(what_does_not_fit_marks_the_writer),
		cmocka_unit_test(a_cluster_by_its_name),
		cmocka_unit_test(bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
