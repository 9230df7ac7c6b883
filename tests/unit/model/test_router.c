/* Routers as values: names, defaults, MACs, equality, blocks. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router_case.h"

#define CHECK(count, name_of, from_name)                                                           \
	do {                                                                                       \
		for (unsigned int v = 0; v < (count); v++)                                         \
			assert_int_equal(from_name(name_of(v)), v);                                \
		assert_int_equal(from_name(""), -EINVAL);                                          \
		assert_int_equal(from_name("no such name"), -EINVAL);                              \
	} while (0)

static struct router_case one, two;

static void names_lead_back(void **state)
{
	CHECK(ROUTER_PROTOCOL_COUNT, router_protocol_name, router_protocol_from_name);
	CHECK(ROUTER_AUTH_COUNT, router_auth_name, router_auth_from_name);
	CHECK(ROUTER_AUTH_MODE_COUNT, router_auth_mode_name, router_auth_mode_from_name);
	CHECK(ROUTER_CHECKSUM_COUNT, router_checksum_name, router_checksum_from_name);
	CHECK(ROUTER_GARP_COUNT, router_garp_name, router_garp_from_name);
	CHECK(ROUTER_TRACK_KIND_COUNT, router_track_kind_name, router_track_kind_from_name);
	assert_string_equal(router_protocol_name(ROUTER_HSRP2), "hsrp2");
	assert_string_equal(router_auth_mode_name(ROUTER_AUTH_RECEIVE_ONLY), "receive-only");
	assert_string_equal(router_checksum_name(ROUTER_CHECKSUM_PSEUDO), "pseudo-header");
}

static void defaults_are_the_standards(void **state)
{
	struct router r;

	router_defaults(&r, ROUTER_VRRP3);
	assert_true(r.enabled && r.preempt && !r.accept);
	assert_int_equal(r.priority, 100);
	assert_int_equal(r.interval_ms, 1000);
	assert_int_equal(r.key_count, 0);
	router_defaults(&r, ROUTER_HSRP2);
	assert_true(!r.preempt && r.accept);
	assert_int_equal(r.interval_ms, 3000);
	assert_int_equal(r.hold_ms, 10000);
	assert_int_equal(r.auth, ROUTER_AUTH_TEXT);
	assert_string_equal(r.keys[0].secret, "cisco");
	router_defaults(&r, ROUTER_CARP);
	assert_int_equal(r.priority, 255);
	assert_int_equal(r.auth, ROUTER_AUTH_HMAC);
	assert_true(!r.preempt && r.accept);
	for (unsigned int p = 0; p < ROUTER_PROTOCOL_COUNT; p++) {
		struct error error;

		case_init(&one, p);
		if (router_check(&one.r, &error) < 0)
			fail_msg("%s", error.message);
	}
}

static uint64_t mac_of(enum router_protocol p, const char *address, uint16_t group)
{
	case_init(&one, p);
	one.r.set_count = one.sets[0].address_count = 0;
	case_set(&one, "eth0", group, address);
	return vmac_mac_u64(router_set_mac(&one.r, &one.sets[0]));
}

static void macs_are_the_protocols(void **state)
{
	assert_int_equal(mac_of(ROUTER_VRRP2, "10.0.0.1", 0x33), 0x00005e000133);
	assert_int_equal(mac_of(ROUTER_VRRP3, "fe80::1", 0x33), 0x00005e000233);
	assert_int_equal(mac_of(ROUTER_CARP, "10.0.0.1", 42), 0x00005e00012a);
	assert_int_equal(mac_of(ROUTER_HSRP1, "10.0.0.1", 255), 0x00000c07acff);
	assert_int_equal(mac_of(ROUTER_HSRP2, "10.0.0.1", 0xabc), 0x00000c9ffabc);
	assert_int_equal(mac_of(ROUTER_HSRP2, "fe80::1", 0xabc), 0x000573a00abc);
	one.sets[0].has_mac = true;
	one.sets[0].mac = vmac_mac_from_u64(0x0a0000000001);
	assert_int_equal(vmac_mac_u64(router_set_mac(&one.r, &one.sets[0])), 0x0a0000000001);
}

static void addresses_read_and_write(void **state)
{
	static const char *const good[] = { "10.0.0.1/24", "10.0.0.1", "2001:db8::1/64",
					    "fe80::1" };
	static const char *const bad[] = { "",		 "10.0.0.1/",	 "10.0.0.1/33",
					   "10.0.0.1/0", "10.0.0.1/024", "10.0.0.1/+4",
					   "::1/129",	 "10.0.0/24",	 "10.0.0.1/24x",
					   "/24",	 "10.0.0.1 /24" };
	char text[ROUTER_ADDRESS_TEXT_MAX];
	struct router_address a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(router_address_parse(good[i], &a), 0);
		assert_string_equal(router_address_format(&a, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(router_address_parse(bad[i], &a), -EINVAL);
	assert_int_equal(router_address_parse("10.0.0.1/32", &a), 0);
	assert_int_equal(a.prefix, 0);
	assert_int_equal(router_address_parse("fe80::1/128", &a), 0);
	assert_int_equal(a.prefix, 0);
}

static void random_routers_pass_and_fit_into_a_block(void **state)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct error error;
		struct router *copy;
		size_t size;

		case_random(&one, seed);
		if (router_check(&one.r, &error) < 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
		size = router_block_size(&one.r);
		copy = router_block_fill(malloc(size), &one.r);
		case_random(&two, seed);
		/* The original may now change or vanish. */
		memset(&one, 0xee, sizeof(one));
		assert_true(router_equal(copy, &two.r));
		assert_true(router_equal(&two.r, copy));
		for (unsigned int i = 0; i < copy->track_count; i++)
			assert_true(copy->tracks[i].target > (char *)copy &&
				    copy->tracks[i].target < (char *)copy + size);
		assert_ptr_equal((char *)copy + size, copy->note + strlen(copy->note) + 1);
		free(copy);
	}
}

/* Whatever is changed is seen, but for id and times. */
static void nothing_changes_unseen(void **state)
{
#define SPOIL(statement)                                                                           \
	do {                                                                                       \
		case_init(&one, ROUTER_VRRP3);                                                     \
		case_init(&two, ROUTER_VRRP3);                                                     \
		one.r.auth = two.r.auth = ROUTER_AUTH_HMAC;                                        \
		case_key(&one, 1, "a");                                                            \
		case_key(&two, 1, "a");                                                            \
		case_track(&one, ROUTER_TRACK_PING, "10.0.0.9");                                   \
		case_track(&two, ROUTER_TRACK_PING, "10.0.0.9");                                   \
		case_peer(&one, 0, "10.0.0.8");                                                    \
		case_peer(&two, 0, "10.0.0.8");                                                    \
		assert_true(router_equal(&one.r, &two.r));                                         \
		statement;                                                                         \
		assert_false(router_equal(&one.r, &two.r));                                        \
	} while (0)
	SPOIL(two.r.name[0] = 'x');
	SPOIL(two.r.protocol = ROUTER_VRRP2);
	SPOIL(two.r.enabled = false);
	SPOIL(two.r.from_file = true);
	SPOIL(two.r.priority++);
	SPOIL(two.r.interval_ms++);
	SPOIL(two.r.hold_ms++);
	SPOIL(two.r.learn = true);
	SPOIL(two.r.preempt = false);
	SPOIL(two.r.preempt_delay_ms++);
	SPOIL(two.r.boot_hold_ms++);
	SPOIL(two.r.accept = true);
	SPOIL(two.r.also_v2 = true);
	SPOIL(two.r.checksum++);
	SPOIL(two.r.garp++);
	SPOIL(two.r.announce_count++);
	SPOIL(two.r.announce_refresh_ms++);
	SPOIL(two.r.linger_ms = 0);
	SPOIL(two.r.auth--);
	SPOIL(two.r.auth_mode--);
	SPOIL(two.r.notify = "/x");
	SPOIL(two.r.note = "x");
	SPOIL(two.r.key_count = 0);
	SPOIL(two.keys[0].id++);
	SPOIL(two.secrets[0][0]++);
	SPOIL(two.r.track_count = 0);
	SPOIL(two.tracks[0].kind = ROUTER_TRACK_FILE);
	SPOIL(two.targets[0][0]++);
	SPOIL(two.tracks[0].weight = -1);
	SPOIL(two.tracks[0].interval_ms++);
	SPOIL(two.tracks[0].timeout_ms++);
	SPOIL(two.tracks[0].rise++);
	SPOIL(two.tracks[0].fall++);
	SPOIL(two.r.set_count = 0);
	SPOIL(two.sets[0].ifname[0]++);
	SPOIL(two.sets[0].device[0] = 'x');
	SPOIL(two.sets[0].group++);
	SPOIL(two.sets[0].family = 6);
	SPOIL(two.sets[0].has_mac = true);
	SPOIL((one.sets[0].has_mac = two.sets[0].has_mac = true, two.sets[0].mac.octet[5]++));
	SPOIL(two.sets[0].source.family = 4);
	SPOIL(two.sets[0].address_count = 0);
	SPOIL(two.addresses[0][0].ip.octet[3]++);
	SPOIL(two.addresses[0][0].prefix++);
	SPOIL(two.sets[0].peer_count = 0);
	SPOIL(two.peers[0][0].octet[3]++);
	case_init(&one, ROUTER_VRRP3);
	case_init(&two, ROUTER_VRRP3);
	two.r.id = 9;
	two.r.created.ms = two.r.changed.ms = 9;
	assert_true(router_equal(&one.r, &two.r));
}

/* --- holders --------------------------------------------------------------------------------- */

#define HOLDERS 8
#define TURNS	20000

static atomic_int blocks;

static void *block_get(void *ctx, size_t size)
{
	if (ctx)
		return NULL;
	atomic_fetch_add(&blocks, 1);
	return calloc(1, size);
}

static void block_put(void *ctx, void *p)
{
	atomic_fetch_sub(&blocks, 1);
	free(p);
}

/* Holds it once more, and reads all of it, over and over; the last turn gives all back. */
static void *holder(void *ctx)
{
	const struct router *r = ctx;

	for (int i = 0; i < TURNS; i++) {
		const struct router *again = router_hold(r);

		if (i % 100 == 0 && !router_equal(again, &two.r))
			abort();
		router_release(again);
	}
	router_release(r);
	return NULL;
}

static void the_last_holder_frees_it(void **state)
{
	const struct mem mem = { block_get, block_put, NULL },
			 none = { block_get, block_put, &two };
	const struct router *r;
	pthread_t threads[HOLDERS];

	case_random(&one, 5);
	case_random(&two, 5);
	assert_null(router_record_new(&one.r, &none));
	assert_null(router_hold(NULL));
	router_release(NULL);
	r = router_record_new(&one.r, &mem);
	memset(&one, 0xee, sizeof(one));
	assert_int_equal((uintptr_t)r % _Alignof(max_align_t), 0);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, holder, (void *)router_hold(r)),
				 0);
	router_release(r);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(blocks, 0);
	r = router_record_new(&two.r, &mem);
	router_hold(r);
	router_release(r);
	assert_int_equal(blocks, 1);
	router_release(r);
	assert_int_equal(blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(defaults_are_the_standards),
		cmocka_unit_test(macs_are_the_protocols),
		cmocka_unit_test(addresses_read_and_write),
		cmocka_unit_test(random_routers_pass_and_fit_into_a_block),
		cmocka_unit_test(nothing_changes_unseen),
		cmocka_unit_test(the_last_holder_frees_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
