/* Routers to test with: one that passes, which a case spoils; and random ones that pass. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "model/router.h"

struct router_case {
	struct router r;
	struct router_set sets[ROUTER_SETS_MAX + 1];
	struct router_key keys[ROUTER_KEYS_MAX + 1];
	struct router_track tracks[ROUTER_TRACKS_MAX + 1];
	struct router_address addresses[ROUTER_SETS_MAX + 1][ROUTER_SET_ADDRESSES_MAX + 1];
	struct ip peers[ROUTER_SETS_MAX + 1][ROUTER_PEERS_MAX + 1];
	char secrets[ROUTER_KEYS_MAX + 1][ROUTER_KEY_LEN_MAX + 2];
	char targets[ROUTER_TRACKS_MAX + 1][ROUTER_TARGET_MAX + 2];
	char notify[PATH_MAX_LEN + 2], note[NOTE_MAX_LEN + 2];
};

static inline void case_address(struct router_case *c, unsigned int set, const char *text)
{
	struct router_set *s = &c->sets[set];

	if (router_address_parse(text, &c->addresses[set][s->address_count++]) < 0)
		__builtin_trap();
}

static inline void case_peer(struct router_case *c, unsigned int set, const char *text)
{
	struct router_set *s = &c->sets[set];

	if (ip_parse(text, &c->peers[set][s->peer_count++]) < 0)
		__builtin_trap();
}

static inline void case_key(struct router_case *c, uint32_t id, const char *secret)
{
	unsigned int i = c->r.key_count++;

	c->r.keys = c->keys;
	snprintf(c->secrets[i], sizeof(c->secrets[i]), "%s", secret);
	c->keys[i] = (struct router_key){ id, c->secrets[i] };
}

static inline void case_track(struct router_case *c, enum router_track_kind kind,
			      const char *target)
{
	unsigned int i = c->r.track_count++;

	router_track_defaults(&c->tracks[i], kind);
	snprintf(c->targets[i], sizeof(c->targets[i]), "%s", target);
	c->tracks[i].target = c->targets[i];
}

static inline void case_set(struct router_case *c, const char *ifname, uint16_t group,
			    const char *address)
{
	unsigned int i = c->r.set_count++;

	c->sets[i] = (struct router_set){ .group = group,
					  .addresses = c->addresses[i],
					  .peers = c->peers[i] };
	snprintf(c->sets[i].ifname, sizeof(c->sets[i].ifname), "%s", ifname);
	case_address(c, i, address);
	c->sets[i].family = c->addresses[i][0].ip.family;
}

/* eth0, group 7, 10.0.0.1/24 */
static inline void case_init(struct router_case *c, enum router_protocol p)
{
	memset(c, 0, sizeof(*c));
	router_defaults(&c->r, p);
	snprintf(c->r.name, sizeof(c->r.name), "gw");
	c->r.sets = c->sets;
	c->r.tracks = c->tracks;
	case_set(c, "eth0", 7, "10.0.0.1/24");
	if (p == ROUTER_CARP)
		case_key(c, 0, "love");
}

/* --- random ones ----------------------------------------------------------------------------- */

static inline uint32_t case_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static inline void case_random_sets(struct router_case *c, uint64_t *seed)
{
	bool ipv6 = c->r.protocol != ROUTER_VRRP2 && c->r.protocol != ROUTER_HSRP1;
	unsigned int sets = 1 + case_next(seed) % 4;
	char text[64], ifname[16];

	c->r.set_count = c->sets[0].address_count = 0;
	for (unsigned int i = 0; i < sets; i++) {
		bool six = ipv6 && case_next(seed) % 2;
		unsigned int more = case_next(seed) % 5;

		snprintf(ifname, sizeof(ifname), "eth%u", i / 2);
		snprintf(text, sizeof(text), six ? "fe80::%x" : "10.%u.0.1/16", i + 1);
		case_set(c, ifname, (uint16_t)(i * 20 + 1 + case_next(seed) % 19), text);
		for (unsigned int j = 0; j < more && !router_is_hsrp(c->r.protocol); j++) {
			snprintf(text, sizeof(text), six ? "2001:db8:%x::%x/64" : "10.%u.1.%u",
				 i + 1, j + 1);
			case_address(c, i, text);
		}
		if (case_next(seed) % 3 == 0) {
			c->sets[i].has_mac = true;
			c->sets[i].mac = vmac_mac_from_u64(0x0a0000000000 | i);
		}
		if (case_next(seed) % 3 == 0)
			snprintf(c->sets[i].device, sizeof(c->sets[i].device), "dev%u", i);
		if (case_next(seed) % 3 == 0 && !router_is_hsrp(c->r.protocol)) {
			snprintf(text, sizeof(text), six ? "fe80::f%u" : "10.9.9.%u", i + 1);
			case_peer(c, i, text);
		}
	}
}

static inline void case_random(struct router_case *c, uint64_t seed)
{
	static const char *const targets[] = {
		[ROUTER_TRACK_INTERFACE] = "eth7",
		[ROUTER_TRACK_ROUTE] = "10.8.0.0/16",
		[ROUTER_TRACK_SCRIPT] = "/bin/ok -v \"1\"",
		[ROUTER_TRACK_FILE] = "/run/up",
		[ROUTER_TRACK_ROUTER] = "other",
		[ROUTER_TRACK_HTTP] = "http://10.0.0.9/ok",
		[ROUTER_TRACK_PING] = "fe80::9%eth1",
	};
	enum router_protocol p = case_next(&seed) % ROUTER_PROTOCOL_COUNT;

	case_init(c, p);
	snprintf(c->r.name, sizeof(c->r.name), "r%u", case_next(&seed) % 1000);
	case_random_sets(c, &seed);
	c->r.enabled = case_next(&seed) % 2;
	c->r.from_file = case_next(&seed) % 2;
	c->r.priority = (uint8_t)(1 + case_next(&seed) % 254);
	c->r.interval_ms = 1000 * (1 + case_next(&seed) % 9);
	c->r.hold_ms = router_is_hsrp(p) && case_next(&seed) % 2 ? c->r.interval_ms + 2000 : 0;
	c->r.learn = router_is_hsrp(p) && case_next(&seed) % 2;
	c->r.preempt = case_next(&seed) % 2;
	c->r.preempt_delay_ms = case_next(&seed) % (ROUTER_DELAY_MAX_MS + 1);
	c->r.boot_hold_ms = case_next(&seed) % (ROUTER_DELAY_MAX_MS + 1);
	c->r.accept = case_next(&seed) % 2;
	c->r.garp = (uint8_t)(case_next(&seed) % ROUTER_GARP_COUNT);
	c->r.announce_count = (uint8_t)(1 + case_next(&seed) % 16);
	c->r.announce_refresh_ms = case_next(&seed) % 2 ? 60000 : 0;
	c->r.linger_ms = case_next(&seed) % 2 ? ROUTER_LINGER_AUTO : 2500;
	if (router_is_vrrp(p) && case_next(&seed) % 2) {
		c->r.auth = ROUTER_AUTH_HMAC;
		c->r.auth_mode = (uint8_t)(case_next(&seed) % ROUTER_AUTH_MODE_COUNT);
		case_key(c, 1,
			 "s\xc3\xa9"
			 "cret \"one\"");
		case_key(c, 255, "two\\");
	}
	for (unsigned int k = 0; k < ROUTER_TRACK_KIND_COUNT; k++)
		if (case_next(&seed) % 2) {
			case_track(c, k, targets[k]);
			c->tracks[c->r.track_count - 1].weight =
				(int16_t)((int)(case_next(&seed) % 509) - 254);
		}
	if (case_next(&seed) % 2)
		c->r.notify = "/etc/vmac/notify";
	if (case_next(&seed) % 2)
		c->r.note = "n\xc3\xb6te";
	c->r.created.ms = 1790000000000 + case_next(&seed);
	c->r.changed.ms = c->r.created.ms + 5;
}
