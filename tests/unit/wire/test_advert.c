#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "frames.h"
#include "hex.h"
#include "wire/advert.h"
#include "wire/checksum.h"

#define ETH_LEN 14

static uint8_t buf[FRAME_MAX + 64];

static enum verdict decode(const uint8_t *frame, size_t len, unsigned int flags, struct advert *ret,
			   enum advert_depth *ret_depth)
{
	struct reader r = reader_of(frame, len);
	const char *why = NULL;
	enum verdict v = advert_decode(&r, flags, ret, ret_depth, &why);

	assert_int_equal(reader_left(&r), v == VERDICT_ACCEPTED ? 0 : len);
	assert_true((v == VERDICT_ACCEPTED) == (why == NULL));
	return v;
}

static size_t build(size_t i)
{
	struct writer w = writer_of(buf, FRAME_MAX);

	frames[i].write(&w);
	assert_false(w.failed);
	return writer_used(&w);
}

static size_t build_named(const char *name)
{
	for (size_t i = 0; i < frame_count; i++) {
		if (strcmp(frames[i].name, name) == 0)
			return build(i);
	}
	fail_msg("no frame %s", name);
	return 0;
}

static bool is_ipv6(void)
{
	return buf[12] == 0x86;
}

/* The octets of the frame that are not padding. */
static size_t packet_end(void)
{
	if (is_ipv6())
		return ETH_LEN + 40 + ((size_t)buf[18] << 8 | buf[19]);
	return ETH_LEN + ((size_t)buf[16] << 8 | buf[17]);
}

static void repair_ipv4(void)
{
	size_t len = (buf[14] & 0x0f) * 4u;
	uint16_t value;

	buf[24] = buf[25] = 0;
	value = checksum_finish(checksum_add(0, buf + 14, len));
	buf[24] = (uint8_t)(value >> 8);
	buf[25] = (uint8_t)value;
}

static void every_frame_is_read(void **state)
{
	for (size_t i = 0; i < frame_count; i++) {
		size_t len = build(i);
		enum advert_depth depth;
		struct advert a;

		if (frames[i].kind < 0) {
			assert_int_equal(decode(buf, len, 0, &a, &depth), VERDICT_NOT_OURS);
			assert_int_equal(depth, ADVERT_ETHERNET);
			continue;
		}
		assert_int_equal(decode(buf, len, 0, &a, &depth), VERDICT_ACCEPTED);
		assert_int_equal(depth, ADVERT_ALL);
		assert_int_equal(a.kind, frames[i].kind);
		assert_int_equal(advert_group(&a), frames[i].group);
		assert_int_equal(a.path.family, is_ipv6() ? 6 : 4);
		assert_memory_equal(a.eth.from.octet, buf + 6, 6);
		assert_false(a.unicast);
		/* A switch or a card may pad further. */
		memset(buf + len, 0xa5, 40);
		for (unsigned int pad = 1; pad <= 40; pad++)
			assert_int_equal(decode(buf, len + pad, 0, &a, NULL), VERDICT_ACCEPTED);
	}
}

static void digests_are_right_behind_the_frame(void **state)
{
	struct advert a;
	size_t len;

	len = build_named("vrrp2_md5");
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(vrrp_md5_verify(&a.vrrp, FRAME_KEY));
	len = build_named("vrrp3_hmac");
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(vrrp_hmac_verify(&a.path, &a.vrrp, FRAME_KEY, strlen(FRAME_KEY)));
	len = build_named("vrrp3_hmac_ipv6");
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(vrrp_hmac_verify(&a.path, &a.vrrp, FRAME_KEY, strlen(FRAME_KEY)));
	len = build_named("hsrp2_ipv6_md5");
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(hsrp_md5_verify(&a.hsrp, FRAME_KEY));
}

static void truncated_at_every_length(void **state)
{
	for (size_t i = 0; i < frame_count; i++) {
		size_t end;

		build(i);
		end = packet_end();
		if (frames[i].kind < 0)
			continue;
		for (size_t len = 0; len < end; len++) {
			uint8_t *cut = malloc(len ? len : 1);
			struct advert a;

			assert_non_null(cut);
			memcpy(cut, buf, len);
			assert_int_equal(decode(cut, len, 0, &a, NULL), VERDICT_TRUNCATED);
			free(cut);
		}
	}
}

/* Whatever one octet becomes, nothing is read behind the frame and nothing contradicts itself. */
static void no_octet_is_trusted(void **state)
{
	for (size_t i = 0; i < frame_count; i++) {
		size_t len = build(i);
		uint8_t *own = malloc(len);

		assert_non_null(own);
		memcpy(own, buf, len);
		for (size_t at = 0; at < len; at++) {
			for (unsigned int value = 0; value < 256; value++) {
				enum advert_depth depth;
				struct advert a;
				enum verdict v;

				own[at] = (uint8_t)value;
				v = decode(own, len, at % 2, &a, &depth);
				assert_true((v == VERDICT_ACCEPTED) == (depth == ADVERT_ALL));
				if (depth >= ADVERT_GROUP)
					advert_group(&a);
			}
			own[at] = buf[at];
		}
		free(own);
	}
}

/* One frame, one octet changed, IPv4's header checksum put right again where it is wanted. */
static void each_verdict_has_its_frame(void **state)
{
	static const struct {
		const char *frame;
		size_t at;
		uint8_t value;
		bool repair;
		enum verdict verdict;
		enum advert_depth depth;
	} rows[] = {
		/* Not ours: another type, another protocol, another port. */
		{ "vrrp3_pseudo", 13, 1, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 23, 89, true, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 23, 89, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "hsrp1_hello", 37, 0xc2, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "vrrp3_ipv6", 20, 58, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "vrrp3_ipv6", 20, 0, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		{ "hsrp2_ipv6", 57, 0xee, false, VERDICT_NOT_OURS, ADVERT_ETHERNET },
		/* Ethernet and IP. */
		{ "vrrp3_pseudo", 6, 1, false, VERDICT_MALFORMED, ADVERT_NOTHING },
		{ "vrrp3_pseudo", 14, 0x44, true, VERDICT_MALFORMED, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 14, 0x55, true, VERDICT_MALFORMED, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 20, 0x80, true, VERDICT_MALFORMED, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 24, 0x99, false, VERDICT_CHECKSUM, ADVERT_ETHERNET },
		{ "vrrp3_pseudo", 16, 1, true, VERDICT_TRUNCATED, ADVERT_ETHERNET },
		{ "vrrp3_ipv6", 14, 0x40, false, VERDICT_MALFORMED, ADVERT_ETHERNET },
		{ "vrrp3_ipv6", 18, 1, false, VERDICT_TRUNCATED, ADVERT_ETHERNET },
		/* Fragments: the first, another, and UDP's. */
		{ "vrrp3_pseudo", 20, 0x20, true, VERDICT_FRAGMENT, ADVERT_IP },
		{ "vrrp3_pseudo", 21, 1, true, VERDICT_FRAGMENT, ADVERT_IP },
		{ "hsrp1_hello", 20, 0x20, true, VERDICT_FRAGMENT, ADVERT_IP },
		{ "hsrp1_hello", 21, 1, true, VERDICT_NOT_OURS, ADVERT_IP },
		/* TTL: HSRP's is not looked at. */
		{ "vrrp3_pseudo", 22, 254, true, VERDICT_TTL, ADVERT_GROUP },
		{ "vrrp3_ipv6", 21, 254, false, VERDICT_TTL, ADVERT_GROUP },
		{ "carp", 22, 1, true, VERDICT_TTL, ADVERT_GROUP },
		{ "hsrp1_hello", 22, 255, true, VERDICT_ACCEPTED, ADVERT_ALL },
		/* Groups of others, and broadcast. */
		{ "vrrp3_pseudo", 33, 19, true, VERDICT_DESTINATION, ADVERT_GROUP },
		{ "vrrp3_ipv6", 53, 0x13, false, VERDICT_DESTINATION, ADVERT_GROUP },
		{ "carp", 33, 102, true, VERDICT_DESTINATION, ADVERT_GROUP },
		/* What the codecs say. */
		{ "vrrp3_pseudo", 34, 0x51, false, VERDICT_VERSION, ADVERT_GROUP },
		{ "vrrp3_pseudo", 34, 0x32, false, VERDICT_TYPE, ADVERT_GROUP },
		{ "vrrp3_pseudo", 37, 1, false, VERDICT_LENGTH, ADVERT_GROUP },
		{ "vrrp3_pseudo", 37, 3, false, VERDICT_TRUNCATED, ADVERT_GROUP },
		{ "vrrp3_pseudo", 36, 3, false, VERDICT_CHECKSUM, ADVERT_GROUP },
		{ "carp", 42, 3, false, VERDICT_CHECKSUM, ADVERT_GROUP },
		{ "hsrp1_hello", 48, 2, false, VERDICT_CHECKSUM, ADVERT_GROUP },
		{ "hsrp2_ipv6", 74, 2, false, VERDICT_CHECKSUM, ADVERT_GROUP },
		{ "glbp", 45, 9, false, VERDICT_CHECKSUM, ADVERT_GROUP },
		/* UDP's length. */
		{ "hsrp1_hello", 39, 7, false, VERDICT_MALFORMED, ADVERT_IP },
		{ "hsrp1_hello", 39, 29, false, VERDICT_TRUNCATED, ADVERT_IP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = build_named(rows[i].frame);
		enum advert_depth depth;
		struct advert a;
		enum verdict v;

		assert_int_not_equal(buf[rows[i].at], rows[i].value);
		buf[rows[i].at] = rows[i].value;
		if (rows[i].repair)
			repair_ipv4();
		v = decode(buf, len, 0, &a, &depth);
		if (v != rows[i].verdict || depth != rows[i].depth)
			fail_msg("row %zu: %s, depth %d", i, verdict_name(v), depth);
	}
}

/* UDP checksums that nobody has computed yet, and what is behind them. */
static void pending_checksums_are_believed(void **state)
{
	static const struct {
		const char *frame;
		size_t at;
		uint8_t value;
		enum verdict verdict;
	} rows[] = {
		{ "hsrp1_hello", 40, 0x99, VERDICT_ACCEPTED },
		{ "hsrp2_ipv6_md5", 61, 0x99, VERDICT_ACCEPTED },
		{ "hsrp1_hello", 43, 9, VERDICT_TYPE },
		{ "hsrp1_hello", 39, 27, VERDICT_TRUNCATED },  /* a shorter datagram */
		{ "hsrp1_hello", 42, 1, VERDICT_DESTINATION }, /* version 2 to version 1's group */
		{ "hsrp2_hello", 47, 6, VERDICT_MALFORMED },   /* an IPv6 address over IPv4 */
		{ "glbp", 42, 2, VERDICT_VERSION },
		{ "glbp", 55, 99, VERDICT_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = build_named(rows[i].frame);
		struct advert a;

		buf[rows[i].at] = rows[i].value;
		assert_int_equal(decode(buf, len, ADVERT_CHECKSUM_PENDING, &a, NULL),
				 rows[i].verdict);
		if (rows[i].verdict == VERDICT_ACCEPTED)
			assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_CHECKSUM);
	}
	/* Pending says nothing of IPv4's header and of VRRP. */
	{
		size_t len = build_named("vrrp3_pseudo");
		struct advert a;

		buf[36] ^= 1;
		assert_int_equal(decode(buf, len, ADVERT_CHECKSUM_PENDING, &a, NULL),
				 VERDICT_CHECKSUM);
	}
}

static void set_destination(const uint8_t to[4])
{
	memcpy(buf + 30, to, 4);
	repair_ipv4();
}

static void only_vrrp_and_carp_have_peers(void **state)
{
	static const uint8_t peer[4] = { 10, 9, 0, 2 }, all[4] = { 255, 255, 255, 255 };
	struct advert a;
	size_t len;

	/* VRRPv2 and CARP have no pseudo-header, so that nothing else changes. */
	len = build_named("vrrp2_plain");
	buf[22] = 64;
	set_destination(peer);
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(a.unicast);
	assert_int_equal(a.ttl, 64);
	set_destination(all);
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_DESTINATION);
	assert_false(a.unicast);
	len = build_named("carp");
	set_destination(peer);
	assert_int_equal(decode(buf, len, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_true(a.unicast);
	len = build_named("hsrp1_hello");
	set_destination(peer);
	assert_int_equal(decode(buf, len, ADVERT_CHECKSUM_PENDING, &a, NULL), VERDICT_DESTINATION);
	len = build_named("glbp");
	set_destination(peer);
	assert_int_equal(decode(buf, len, ADVERT_CHECKSUM_PENDING, &a, NULL), VERDICT_DESTINATION);
}

static void options_and_tags_are_walked_over(void **state)
{
	size_t len = build_named("vrrp3_pseudo"), end = packet_end();
	static const uint8_t tag[4] = { 0x81, 0x00, 0x60, 0x0a };
	struct advert a;

	/* A router alert option. */
	memmove(buf + 38, buf + 34, end - 34);
	memcpy(buf + 34, "\x94\x04\0\0", 4);
	buf[14] = 0x46;
	buf[17] += 4;
	repair_ipv4();
	assert_int_equal(decode(buf, len + 4, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_int_equal(a.vrrp.address_count, 2);
	/* A VLAN tag. */
	memmove(buf + 16, buf + 12, len - 8);
	memcpy(buf + 12, tag, 4);
	assert_int_equal(decode(buf, len + 8, 0, &a, NULL), VERDICT_ACCEPTED);
	assert_int_equal(a.eth.tag_count, 1);
	assert_int_equal(a.eth.tags[0].vlan, 10);
}

static void ipv6_fragments_are_called_so(void **state)
{
	size_t len = build_named("vrrp3_ipv6"), end = packet_end();
	enum advert_depth depth;
	struct advert a;

	memmove(buf + 62, buf + 54, end - 54);
	memcpy(buf + 54, "\x70\0\0\x01\0\0\0\x05", 8);
	buf[20] = 44;
	buf[19] += 8;
	assert_int_equal(decode(buf, len + 8, 0, &a, &depth), VERDICT_FRAGMENT);
	assert_int_equal(depth, ADVERT_IP);
	buf[54] = 58; /* somebody else's */
	assert_int_equal(decode(buf, len + 8, 0, &a, &depth), VERDICT_NOT_OURS);
	/* Any other extension header. */
	buf[54] = 112;
	buf[20] = 60;
	assert_int_equal(decode(buf, len + 8, 0, &a, &depth), VERDICT_NOT_OURS);
}

static void verdicts_have_names(void **state)
{
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		assert_int_not_equal(strlen(verdict_name(v)), 0);
		assert_int_not_equal(strlen(verdict_meaning(v)), 0);
		for (enum verdict other = 0; other < v; other++)
			assert_string_not_equal(verdict_name(v), verdict_name(other));
	}
	assert_string_equal(verdict_name(VERDICT_ACCEPTED), "accepted");
	assert_string_equal(verdict_name(VERDICT_INFORMATION), "information");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_is_read),
		cmocka_unit_test(digests_are_right_behind_the_frame),
		cmocka_unit_test(truncated_at_every_length),
		cmocka_unit_test(no_octet_is_trusted),
		cmocka_unit_test(each_verdict_has_its_frame),
		cmocka_unit_test(pending_checksums_are_believed),
		cmocka_unit_test(only_vrrp_and_carp_have_peers),
		cmocka_unit_test(options_and_tags_are_walked_over),
		cmocka_unit_test(ipv6_fragments_are_called_so),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
