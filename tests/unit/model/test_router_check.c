/* Every rule of a router refuses what breaks it, with its code and the field's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router_case.h"

static struct router_case c;

/* BAD(protocol, code, part of the message, what spoils it) */
#define BAD(protocol, wanted, part, ...)                                                           \
	do {                                                                                       \
		struct error error_ = { 0 };                                                       \
                                                                                                   \
		case_init(&c, protocol);                                                           \
		__VA_ARGS__;                                                                       \
		assert_true(router_check(&c.r, &error_) < 0);                                      \
		if (error_.code != (wanted) || !strstr(error_.message, part))                      \
			fail_msg("%s: %s", error_name(error_.code), error_.message);               \
	} while (0)

#define GOOD(protocol, ...)                                                                        \
	do {                                                                                       \
		struct error error_ = { 0 };                                                       \
                                                                                                   \
		case_init(&c, protocol);                                                           \
		__VA_ARGS__;                                                                       \
		if (router_check(&c.r, &error_) < 0)                                               \
			fail_msg("%s", error_.message);                                            \
	} while (0)

#define VALUE	ERROR_BAD_VALUE
#define ADDRESS ERROR_BAD_ADDRESS
#define MISSING ERROR_MISSING_FIELD
#define LIMIT	ERROR_LIMIT_REACHED
#define V2	ROUTER_VRRP2
#define V3	ROUTER_VRRP3
#define H1	ROUTER_HSRP1
#define H2	ROUTER_HSRP2

static void in_place(const char *address)
{
	c.sets[0].address_count = 0;
	case_address(&c, 0, address);
	c.sets[0].family = c.addresses[0][0].ip.family;
}

static void many(unsigned int set, unsigned int count, bool six)
{
	char text[40];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), six ? "2001:db8:%x::%x" : "172.%u.%u.%u", set + 16,
			 six ? i + 1 : i / 250 + 1, i % 250 + 1);
		case_address(&c, set, text);
	}
}

static void the_whole(void **state)
{
	BAD(V3, ERROR_BAD_NAME, "name", c.r.name[0] = '\0');
	BAD(V3, ERROR_BAD_NAME, "name", snprintf(c.r.name, sizeof(c.r.name), "a b"));
	BAD(V3, VALUE, "protocol", c.r.protocol = ROUTER_PROTOCOL_COUNT);
	BAD(V3, VALUE, "checksum", c.r.checksum = ROUTER_CHECKSUM_COUNT);
	BAD(V3, VALUE, "garp", c.r.garp = ROUTER_GARP_COUNT);
	BAD(V3, VALUE, "auth.type", c.r.auth = ROUTER_AUTH_COUNT);
	BAD(V3, VALUE, "auth.mode", c.r.auth_mode = ROUTER_AUTH_MODE_COUNT);
	BAD(V3, VALUE, "priority", c.r.priority = 0);
	BAD(V3, VALUE, "learn", c.r.learn = true);
	BAD(V2, VALUE, "also_v2", c.r.also_v2 = true);
	BAD(V3, VALUE, "also_v2", c.r.also_v2 = true, in_place("fe80::1"));
	BAD(V3, VALUE, "also_v2", c.r.also_v2 = true, c.r.auth = ROUTER_AUTH_HMAC,
	    case_key(&c, 1, "k"));
	GOOD(V3, c.r.also_v2 = true);
	BAD(V2, VALUE, "checksum", c.r.checksum = ROUTER_CHECKSUM_PLAIN);
	GOOD(V3, c.r.checksum = ROUTER_CHECKSUM_PLAIN);
	BAD(V3, VALUE, "announce_count", c.r.announce_count = 0);
	BAD(V3, VALUE, "announce_count", c.r.announce_count = 17);
	BAD(V3, VALUE, "notify", c.r.notify = "bin/x");
	BAD(V3, VALUE, "note", c.r.note = "a\nb");
	BAD(V3, MISSING, "sets", c.r.set_count = 0);
	BAD(V3, LIMIT, "sets", c.r.set_count = ROUTER_SETS_MAX + 1);
}

static void timers(void **state)
{
	BAD(V2, VALUE, "interval", c.r.interval_ms = 500);
	BAD(V2, VALUE, "interval", c.r.interval_ms = 1500);
	BAD(V2, VALUE, "interval", c.r.interval_ms = 256000);
	GOOD(V2, c.r.interval_ms = 255000);
	BAD(V3, VALUE, "interval", c.r.interval_ms = 0);
	BAD(V3, VALUE, "interval", c.r.interval_ms = 15);
	BAD(V3, VALUE, "interval", c.r.interval_ms = 40960);
	GOOD(V3, c.r.interval_ms = 10);
	GOOD(V3, c.r.interval_ms = 40950);
	BAD(V3, VALUE, "interval", c.r.also_v2 = true, c.r.interval_ms = 500);
	BAD(H1, VALUE, "interval", c.r.interval_ms = 250);
	GOOD(H2, c.r.interval_ms = 15, c.r.hold_ms = 50);
	BAD(H2, VALUE, "interval", c.r.interval_ms = 14);
	BAD(ROUTER_CARP, VALUE, "interval", c.r.interval_ms = 1100);
	BAD(V3, VALUE, "hold", c.r.hold_ms = 3000);
	BAD(H2, VALUE, "hold", c.r.hold_ms = 3000);
	BAD(H2, VALUE, "hold", c.r.hold_ms = 255001);
	BAD(H1, VALUE, "hold", c.r.hold_ms = 9500);
	GOOD(H2, c.r.hold_ms = 0);
	BAD(V3, VALUE, "preempt_delay", c.r.preempt_delay_ms = ROUTER_DELAY_MAX_MS + 1);
	BAD(V3, VALUE, "boot_hold", c.r.boot_hold_ms = ROUTER_DELAY_MAX_MS + 1);
	BAD(V3, VALUE, "linger", c.r.linger_ms = ROUTER_LINGER_MAX_MS + 1);
	BAD(V3, VALUE, "announce_refresh", c.r.announce_refresh_ms = 999);
	BAD(V3, VALUE, "announce_refresh", c.r.announce_refresh_ms = ROUTER_REFRESH_MAX_MS + 1);
}

static void authentication(void **state)
{
	char long_secret[ROUTER_KEY_LEN_MAX + 2];

	memset(long_secret, 'k', sizeof(long_secret) - 1);
	long_secret[sizeof(long_secret) - 1] = '\0';
	BAD(V3, VALUE, "auth.type 'text'", c.r.auth = ROUTER_AUTH_TEXT, case_key(&c, 0, "k"));
	BAD(V3, VALUE, "auth.type 'md5'", c.r.auth = ROUTER_AUTH_MD5, case_key(&c, 0, "k"));
	BAD(H2, VALUE, "auth.type 'none'", c.r.auth = ROUTER_AUTH_NONE);
	BAD(H2, VALUE, "auth.type 'hmac'", c.r.auth = ROUTER_AUTH_HMAC);
	BAD(ROUTER_CARP, VALUE, "auth.type 'none'", c.r.auth = ROUTER_AUTH_NONE);
	BAD(V2, VALUE, "auth.mode", c.r.auth = ROUTER_AUTH_TEXT, case_key(&c, 0, "k"),
	    c.r.auth_mode = ROUTER_AUTH_PERMISSIVE);
	BAD(V3, VALUE, "auth.keys", case_key(&c, 0, "k"));
	BAD(V3, MISSING, "auth.keys", c.r.auth = ROUTER_AUTH_HMAC);
	BAD(V3, LIMIT, "auth.keys", c.r.auth = ROUTER_AUTH_HMAC, c.r.key_count = 9);
	BAD(V2, VALUE, "auth.keys[0].secret", c.r.auth = ROUTER_AUTH_TEXT,
	    case_key(&c, 0, "123456789"));
	BAD(V2, VALUE, "auth.keys[0].secret", c.r.auth = ROUTER_AUTH_MD5,
	    case_key(&c, 0, long_secret));
	BAD(V3, VALUE, "auth.keys[0].secret", c.r.auth = ROUTER_AUTH_HMAC,
	    case_key(&c, 0, long_secret));
	BAD(V3, VALUE, "auth.keys[0].secret", c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 0, ""));
	BAD(V3, VALUE, "auth.keys[0].secret", c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 0, "\t"));
	BAD(V3, VALUE, "auth.keys[0].id", c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 256, "k"));
	BAD(V3, VALUE, "auth.keys[1].id", c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 1, "k"),
	    case_key(&c, 1, "l"));
	BAD(ROUTER_CARP, VALUE, "auth.keys[0].secret", c.r.key_count = 0,
	    case_key(&c, 0, "123456789012345678901"));
	GOOD(H2, c.r.auth = ROUTER_AUTH_MD5, c.r.key_count = 0, case_key(&c, UINT32_MAX, "k"));
}

/* Nothing of a secret is in what a refusal says. */
static void secrets_stay_secret(void **state)
{
	struct error error = { 0 };

	case_init(&c, V2);
	c.r.auth = ROUTER_AUTH_TEXT;
	case_key(&c, 0, "hunter2hunter2");
	assert_true(router_check(&c.r, &error) < 0);
	assert_null(strstr(error.message, "hunter2"));
	assert_null(strstr(error.hint, "hunter2"));
	assert_null(strstr(error.message, "14"));
}

static void sets(void **state)
{
	BAD(V3, ERROR_BAD_NAME, "sets[0].interface", c.sets[0].ifname[0] = '\0');
	BAD(V3, ERROR_BAD_NAME, "sets[0].device",
	    snprintf(c.sets[0].device, sizeof(c.sets[0].device), "a/b"));
	BAD(V3, VALUE, "sets[0].device",
	    snprintf(c.sets[0].device, sizeof(c.sets[0].device), "eth0"));
	BAD(V3, VALUE, "sets[0].family", c.sets[0].family = 5);
	BAD(V2, VALUE, "sets[0]", in_place("fe80::1"));
	BAD(H1, VALUE, "sets[0]", in_place("fe80::1"));
	BAD(V3, VALUE, "sets[0].group", c.sets[0].group = 0);
	BAD(V3, VALUE, "sets[0].group", c.sets[0].group = 256);
	BAD(H1, VALUE, "sets[0].group", c.sets[0].group = 256);
	BAD(H2, VALUE, "sets[0].group", c.sets[0].group = 4096);
	GOOD(H1, c.sets[0].group = 0);
	GOOD(H2, c.sets[0].group = 4095);
	BAD(V3, ERROR_GROUP_ADDRESS, "sets[0].mac", c.sets[0].has_mac = true,
	    c.sets[0].mac = vmac_mac_from_u64(0x010000000000));
	BAD(V3, ADDRESS, "sets[0].mac", c.sets[0].has_mac = true);
	BAD(V3, VALUE, "sets[1]", case_set(&c, "eth0", 7, "10.0.0.2"));
	GOOD(V3, case_set(&c, "eth0", 7, "fe80::2"));
	GOOD(V3, case_set(&c, "eth1", 7, "10.0.0.2"));
	BAD(V3, VALUE, "sets[1]", case_set(&c, "eth0", 8, "10.0.0.2"), c.sets[1].has_mac = true,
	    c.sets[1].mac = router_set_mac(&c.r, &c.sets[0]));
	BAD(V3, VALUE, "sets[1].device", case_set(&c, "eth1", 8, "10.0.0.2"),
	    snprintf(c.sets[0].device, sizeof(c.sets[0].device), "v0"),
	    snprintf(c.sets[1].device, sizeof(c.sets[1].device), "v0"));
	BAD(V3, ADDRESS, "10.0.0.1", case_address(&c, 0, "10.0.0.1"));
	BAD(V3, ADDRESS, "10.0.0.1", case_set(&c, "eth1", 8, "10.0.0.1"));
	GOOD(V3, in_place("fe80::1"), case_set(&c, "eth1", 8, "fe80::1"));
	BAD(V3, ADDRESS, "fe80::1", in_place("fe80::1"), case_set(&c, "eth0", 8, "fe80::1"));
}

static void addresses(void **state)
{
	BAD(V3, MISSING, "sets[0].addresses", c.sets[0].address_count = 0);
	BAD(H2, MISSING, "sets[0].addresses", c.sets[0].address_count = 0);
	GOOD(H2, c.sets[0].address_count = 0, c.r.learn = true);
	BAD(H2, MISSING, "sets[1].addresses", c.r.learn = true, case_set(&c, "eth1", 8, "10.0.0.2"),
	    c.sets[1].address_count = 0);
	BAD(H2, VALUE, "sets[0].addresses", case_address(&c, 0, "10.0.0.2"));
	BAD(V3, ADDRESS, "sets[0].addresses[1]", case_address(&c, 0, "fe80::1"));
	BAD(V3, ADDRESS, "sets[0].addresses[0]", in_place("2001:db8::1"));
	GOOD(H2, in_place("2001:db8::1"));
	BAD(V3, ADDRESS, "224.0.0.18", in_place("224.0.0.18"));
	BAD(V3, ADDRESS, "127.0.0.1", in_place("127.0.0.1"));
	BAD(V3, ADDRESS, "0.0.0.0", in_place("0.0.0.0"));
	BAD(V3, ADDRESS, "ff02::12", in_place("ff02::12"));
	BAD(V3, ADDRESS, "::1", in_place("::1"));
	BAD(V3, ADDRESS, "10.0.0.0", in_place("10.0.0.0/24"));
	BAD(V3, ADDRESS, "10.0.0.255", in_place("10.0.0.255/24"));
	GOOD(V3, in_place("10.0.0.0/31"));
	BAD(V3, ADDRESS, "longer", c.addresses[0][0].prefix = 33);
	GOOD(V3, many(0, 254, false));
	BAD(V3, LIMIT, "sets[0].addresses", many(0, 255, false));
	/* 1,280 octets: 40 of IPv6, 8 of VRRP, 77 addresses of 16; 28 of a trailer cost two more.
	 */
	GOOD(V3, in_place("fe80::1"), many(0, 76, true));
	BAD(V3, LIMIT, "1296", in_place("fe80::1"), many(0, 77, true));
	GOOD(V3, c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 1, "k"), in_place("fe80::1"),
	     many(0, 74, true));
	BAD(V3, LIMIT, "packet", c.r.auth = ROUTER_AUTH_HMAC, case_key(&c, 1, "k"),
	    in_place("fe80::1"), many(0, 75, true));
	BAD(V3, LIMIT, "all sets", many(0, 200, false), case_set(&c, "eth1", 8, "10.1.0.1"),
	    many(1, 200, false), case_set(&c, "eth2", 8, "10.2.0.1"), many(2, 200, false));
}

static void peers(void **state)
{
	BAD(H2, VALUE, "sets[0].peers", case_peer(&c, 0, "10.0.0.2"));
	BAD(V3, ADDRESS, "sets[0].peers[0]", case_peer(&c, 0, "fe80::1"));
	BAD(V3, ADDRESS, "sets[0].peers[0]", case_peer(&c, 0, "224.0.0.18"));
	BAD(V3, ADDRESS, "sets[0].peers[0]", case_peer(&c, 0, "10.0.0.1"));
	BAD(V3, ADDRESS, "sets[0].peers[1]", case_peer(&c, 0, "10.0.0.2"),
	    case_peer(&c, 0, "10.0.0.2"));
	BAD(V3, ADDRESS, "sets[0].peers[0]", case_peer(&c, 0, "10.0.0.2"),
	    ip_parse("10.0.0.2", &c.sets[0].source));
	BAD(V3, ADDRESS, "sets[0].source", ip_parse("fe80::2", &c.sets[0].source));
	BAD(V3, ADDRESS, "sets[0].source", c.sets[0].source.family = 9);
	BAD(V3, LIMIT, "sets[0].peers", c.sets[0].peer_count = ROUTER_PEERS_MAX + 1);
	GOOD(V3, case_peer(&c, 0, "10.0.0.2"), ip_parse("10.0.0.3", &c.sets[0].source));
}

#define TRACK(kind, target) case_track(&c, ROUTER_TRACK_##kind, target)

static void tracks(void **state)
{
	BAD(V3, MISSING, "tracks[0].target", TRACK(FILE, ""));
	BAD(V3, ERROR_BAD_NAME, "tracks[0].target", TRACK(INTERFACE, "a b"));
	BAD(V3, ADDRESS, "tracks[0].target", TRACK(ROUTE, "10.0.0.0"));
	BAD(V3, ADDRESS, "tracks[0].target", TRACK(ROUTE, "10.0.0.1/8"));
	GOOD(V3, TRACK(ROUTE, "0.0.0.0/0"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(SCRIPT, "check"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(FILE, "run/x"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(ROUTER, "gw"));
	BAD(V3, ERROR_BAD_NAME, "tracks[0].target", TRACK(ROUTER, "a b"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(HTTP, "ftp://x/"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(HTTP, "http://"));
	BAD(V3, VALUE, "tracks[0].target", TRACK(HTTP, "http:///x"));
	GOOD(V3, TRACK(HTTP, "https://[2001:db8::1]:8443/ok?x=1"));
	BAD(V3, ADDRESS, "tracks[0].target", TRACK(PING, "example.org"));
	BAD(V3, ADDRESS, "tracks[0].target", TRACK(PING, "fe80::1"));
	BAD(V3, ERROR_BAD_NAME, "tracks[0].target", TRACK(PING, "fe80::1%"));
	GOOD(V3, TRACK(PING, "fe80::1%eth0"));
	BAD(V3, VALUE, "tracks[0].kind", TRACK(PING, "10.0.0.9"), c.tracks[0].kind = 99);
	BAD(V3, VALUE, "tracks[0].weight", TRACK(PING, "10.0.0.9"), c.tracks[0].weight = 255);
	BAD(V3, VALUE, "tracks[0].weight", TRACK(PING, "10.0.0.9"), c.tracks[0].weight = -255);
	BAD(V3, VALUE, "tracks[0].weight", c.r.priority = 255, TRACK(PING, "10.0.0.9"),
	    c.tracks[0].weight = -5);
	GOOD(ROUTER_CARP, TRACK(PING, "10.0.0.9"), c.tracks[0].weight = -5);
	BAD(V3, VALUE, "tracks[0].interval", TRACK(PING, "10.0.0.9"), c.tracks[0].interval_ms = 99);
	BAD(V3, VALUE, "tracks[0].interval", TRACK(PING, "10.0.0.9"),
	    c.tracks[0].interval_ms = 3600001);
	BAD(V3, VALUE, "tracks[0].timeout", TRACK(PING, "10.0.0.9"), c.tracks[0].timeout_ms = 1001);
	BAD(V3, VALUE, "tracks[0].timeout", TRACK(PING, "10.0.0.9"), c.tracks[0].timeout_ms = 9);
	BAD(V3, VALUE, "tracks[0].timeout", TRACK(FILE, "/x"), c.tracks[0].timeout_ms = 500);
	BAD(V3, VALUE, "tracks[0].rise", TRACK(PING, "10.0.0.9"), c.tracks[0].rise = 0);
	BAD(V3, VALUE, "tracks[0].fall", TRACK(PING, "10.0.0.9"), c.tracks[0].fall = 0);
	BAD(V3, LIMIT, "tracks", c.r.track_count = ROUTER_TRACKS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole),	  cmocka_unit_test(timers),
		cmocka_unit_test(authentication), cmocka_unit_test(secrets_stay_secret),
		cmocka_unit_test(sets),		  cmocka_unit_test(addresses),
		cmocka_unit_test(peers),	  cmocka_unit_test(tracks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
