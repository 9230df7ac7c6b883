#include "api/router_form.h"

#include <string.h>

#include "base/cleanup.h"

/* Copies a value, and what belongs to it, where it was given. */
static void overlay(const struct body_router *b, struct router *r)
{
#define TAKE(flag, member)                                                                         \
	do {                                                                                       \
		if (b->given.flag)                                                                 \
			memcpy(&r->member, &b->router.member, sizeof(r->member));                  \
	} while (0)
	TAKE(name, name);
	TAKE(protocol, protocol);
	TAKE(enabled, enabled);
	TAKE(priority, priority);
	TAKE(interval, interval_ms);
	TAKE(hold, hold_ms);
	TAKE(learn, learn);
	TAKE(preempt, preempt);
	TAKE(preempt_delay, preempt_delay_ms);
	TAKE(boot_hold, boot_hold_ms);
	TAKE(accept, accept);
	TAKE(also_v2, also_v2);
	TAKE(checksum, checksum);
	TAKE(garp, garp);
	TAKE(announce_count, announce_count);
	TAKE(announce_refresh, announce_refresh_ms);
	TAKE(linger, linger_ms);
	TAKE(auth_type, auth);
	TAKE(auth_mode, auth_mode);
	TAKE(keys, keys);
	TAKE(keys, key_count);
	TAKE(sets, sets);
	TAKE(sets, set_count);
	TAKE(tracks, tracks);
	TAKE(tracks, track_count);
	TAKE(notify, notify);
	TAKE(note, note);
#undef TAKE
}

/* A text or a key chosen for one kind of authentication is not carried into another. */
static void fill_keys(const struct body_router *b, const struct router *before, struct router *r)
{
	struct router_key *keys = (struct router_key *)b->router.keys;

	if (!b->given.keys) {
		struct router by_itself;

		router_defaults(&by_itself, r->protocol);
		if (r->auth == ROUTER_AUTH_NONE || (!before && r->auth != by_itself.auth))
			r->key_count = 0;
		return;
	}
	for (unsigned int i = 0; before && i < b->router.key_count; i++)
		for (unsigned int j = 0; !keys[i].secret[0] && j < before->key_count; j++)
			if (before->keys[j].id == keys[i].id)
				keys[i].secret = before->keys[j].secret;
}

/* The protocol's own MAC, written out, is the protocol's own MAC. */
static void fill_sets(const struct body_router *b, const struct router *r)
{
	struct router_set *sets = (struct router_set *)b->router.sets;

	for (unsigned int i = 0; b->given.sets && i < b->router.set_count; i++) {
		struct router_set own = sets[i];

		own.has_mac = false;
		if (sets[i].has_mac && vmac_mac_equal(router_set_mac(r, &own), sets[i].mac)) {
			sets[i].has_mac = false;
			sets[i].mac = (vmac_mac_t){ 0 };
		}
	}
}

void router_form_fill(const struct body_router *given, const struct router *before,
		      struct router *ret)
{
	struct router r;

	if (before)
		r = *before;
	else
		router_defaults(&r, given->router.protocol);
	overlay(given, &r);
	/* A hold time for another interval would be refused; by itself it follows the interval. */
	if (!before && given->given.interval && !given->given.hold)
		r.hold_ms = 0;
	fill_keys(given, before, &r);
	fill_sets(given, &r);
	*ret = r;
}
