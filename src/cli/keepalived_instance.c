/* One vrrp_instance as a router. */
#include "cli/keepalived_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/ip.h"
#include "model/text.h"

#define TEXT_AUTH_MAX  8  /* octets of a VRRPv2 password; keepalived cuts the rest off */
#define GARP_COUNT_MAX 16 /* struct router's announce_count */

typedef void (*keyword_fn)(struct keepalived_instance *i, const struct keepalived_node *n);

static const char *value(struct keepalived_instance *i, const struct keepalived_node *n)
{
	return keepalived_value(i->map->m, n);
}

static void put_number(struct keepalived_instance *i, const struct keepalived_node *n,
		       long long low, long long high, const char *key)
{
	const char *text = value(i, n);
	long long number;

	if (!text)
		return;
	if (keepalived_number(text, low, high, &number) < 0)
		keepalived_note(i->map->m, n, true, "%s %.20s is not in %lld ... %lld: left out",
				n->words[0], text, low, high);
	else
		keepalived_put(i->router, key, json_integer(number));
}

/* --- keywords -------------------------------------------------------------------------------- */

static void on_interface(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->ifname = value(i, n);
}

static void on_state(struct keepalived_instance *i, const struct keepalived_node *n)
{
	const char *text = value(i, n);

	/* Which one begins is the election's to say: with us, too, after a listening pause. */
	i->master = text && strcmp(text, "MASTER") == 0;
}

static void on_vrid(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->vrid = value(i, n);
}

static void on_priority(struct keepalived_instance *i, const struct keepalived_node *n)
{
	put_number(i, n, 1, 255, "priority");
}

static void on_advert_int(struct keepalived_instance *i, const struct keepalived_node *n)
{
	const char *text = value(i, n);

	if (text)
		keepalived_put_seconds(i->map->m, n, text, i->router, "interval");
}

static void on_version(struct keepalived_instance *i, const struct keepalived_node *n)
{
	const char *text = value(i, n);
	long long number;

	if (text && keepalived_number(text, 2, 3, &number) == 0)
		i->version = (int)number;
	else if (text)
		keepalived_note(i->map->m, n, true, "there is no version %.20s of VRRP", text);
}

static void on_nopreempt(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->nopreempt = true;
}

static void on_preempt(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->nopreempt = false;
}

static void on_preempt_delay(struct keepalived_instance *i, const struct keepalived_node *n)
{
	const char *text = value(i, n);

	if (text)
		keepalived_put_seconds(i->map->m, n, text, i->router, "preempt_delay");
}

static void on_accept(struct keepalived_instance *i, const struct keepalived_node *n)
{
	keepalived_put(i->router, "accept", json_boolean(keepalived_is(n, "accept")));
	i->accept_said = true;
}

static void on_strict(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->strict = keepalived_switch(n);
}

static void on_vmac(struct keepalived_instance *i, const struct keepalived_node *n)
{
	vmac_mac_t mac;

	i->vmac = true;
	for (unsigned int w = 1; w < n->word_count; w++) {
		if (vmac_mac_parse(n->words[w], &mac, NULL) == 0)
			i->mac = n->words[w];
		else
			i->device = n->words[w];
	}
}

static void on_garp_repeat(struct keepalived_instance *i, const struct keepalived_node *n)
{
	put_number(i, n, 1, GARP_COUNT_MAX, "announce_count");
}

static void on_garp_refresh(struct keepalived_instance *i, const struct keepalived_node *n)
{
	const char *text = value(i, n);

	if (text)
		keepalived_put_seconds(i->map->m, n, text, i->router, "announce_refresh");
}

static void on_auth(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->auth = n;
}

static void on_source(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->source = value(i, n);
}

static void on_peers(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->peers = n;
}

static void on_native_ipv6(struct keepalived_instance *i, const struct keepalived_node *n)
{
	i->native_ipv6 = true;
}

/* Things that vmac does by itself, or that change nothing that can be seen. */
static void on_nothing(struct keepalived_instance *i, const struct keepalived_node *n)
{
}

static void on_pace(struct keepalived_instance *i, const struct keepalived_node *n)
{
	keepalived_note(i->map->m, n, false,
			"%.40s: vmac paces its announcements by itself (announce_count, "
			"announce_refresh)",
			n->words[0]);
}

/* --- addresses ------------------------------------------------------------------------------- */

/* What may stand behind an address and is no loss, and how many words it takes. */
/* clang-format off */
static const struct {
	const char *word;
	unsigned int more;
} harmless[] = {
	{ "brd", 1 }, { "broadcast", 1 }, { "scope", 1 }, { "-nodad", 0 }, { "nodad", 0 }, { "home", 0 },
	{ "no_track", 0 },
};
/* clang-format on */

static void address_words(struct keepalived_instance *i, const struct keepalived_node *n)
{
	for (unsigned int w = 1; w < n->word_count; w++) {
		unsigned int more = UINT32_MAX;

		for (size_t h = 0; h < ARRAY_LEN(harmless); h++)
			if (strcmp(n->words[w], harmless[h].word) == 0)
				more = harmless[h].more;
		if (more != UINT32_MAX) {
			w += more;
		} else if (strcmp(n->words[w], "dev") == 0 && w + 1 < n->word_count) {
			const char *dev = n->words[++w];

			/* On our device it is reached over the same link. */
			if (!i->ifname || strcmp(dev, i->ifname) != 0)
				keepalived_note(i->map->m, n, true,
						"%.60s is put on the instance's own link, not on "
						"%.20s: give that link a set of its own",
						n->words[0], dev);
		} else {
			keepalived_note(i->map->m, n, true, "%.60s: %.40s is not carried over",
					n->words[0], n->words[w]);
			w++;
		}
	}
}

/* "IP[/LEN]": into the list of its family.  Returns the family, 0 with a note when it is none. */
static uint8_t address_add(struct keepalived_instance *i, const struct keepalived_node *n)
{
	char text[IP_TEXT_MAX + 8], plain[IP_TEXT_MAX];
	const char *slash = strchr(n->words[0], '/');
	size_t len = slash ? (size_t)(slash - n->words[0]) : strlen(n->words[0]);
	long long prefix;
	json_t **to;
	struct ip ip;

	snprintf(text, sizeof(text), "%.*s", (int)(len < IP_TEXT_MAX ? len : IP_TEXT_MAX),
		 n->words[0]);
	if (ip_parse(text, &ip) < 0) {
		keepalived_note(i->map->m, n, true, "\"%.60s\" is no IP address", n->words[0]);
		return 0;
	}
	prefix = ip.family == 4 ? 32 : 128;
	if (slash && keepalived_number(slash + 1, 0, prefix, &prefix) < 0) {
		keepalived_note(i->map->m, n, true, "\"%.60s\" has no such prefix length",
				n->words[0]);
		return 0;
	}
	to = ip.family == 4 ? &i->v4 : &i->v6;
	if (!*to)
		*to = json_array();
	snprintf(text, sizeof(text), "%s/%lld", ip_format(&ip, plain), prefix);
	/* RFC 9568 section 5.2.9: a link-local address stands first. */
	if (ip.family == 6 && ip.octet[0] == 0xfe && (ip.octet[1] & 0xc0) == 0x80)
		json_array_insert_new(*to, 0, json_string(text));
	else
		json_array_append_new(*to, json_string(text));
	address_words(i, n);
	return ip.family;
}

static void on_addresses(struct keepalived_instance *i, const struct keepalived_node *n)
{
	for (const struct keepalived_node *a = n->children; a; a = a->next) {
		uint8_t family = address_add(i, a);

		if (!i->family)
			i->family = family;
	}
}

static void on_excluded(struct keepalived_instance *i, const struct keepalived_node *n)
{
	if (n->children)
		keepalived_note(i->map->m, n, false,
				"virtual_ipaddress_excluded becomes ordinary addresses: they are "
				"advertised, so all routers of the group must be moved together");
	for (const struct keepalived_node *a = n->children; a; a = a->next)
		address_add(i, a);
}

/* clang-format off */
static const struct {
	const char *word;
	keyword_fn fn;
} keywords[] = {
	{ "interface", on_interface },		{ "state", on_state },
	{ "virtual_router_id", on_vrid },	{ "priority", on_priority },
	{ "advert_int", on_advert_int },	{ "version", on_version },
	{ "nopreempt", on_nopreempt },		{ "preempt", on_preempt },
	{ "preempt_delay", on_preempt_delay },	{ "accept", on_accept },
	{ "no_accept", on_accept },		{ "strict_mode", on_strict },
	{ "use_vmac", on_vmac },		{ "garp_master_repeat", on_garp_repeat },
	{ "garp_master_refresh", on_garp_refresh }, { "authentication", on_auth },
	{ "unicast_src_ip", on_source },	{ "mcast_src_ip", on_source },
	{ "unicast_peer", on_peers },		{ "native_ipv6", on_native_ipv6 },
	{ "virtual_ipaddress", on_addresses },	{ "virtual_ipaddress_excluded", on_excluded },
	{ "garp_master_delay", on_pace },	{ "garp_master_refresh_repeat", on_pace },
	{ "garp_lower_prio_delay", on_pace },	{ "garp_lower_prio_repeat", on_pace },
	{ "garp_interval", on_pace },		{ "gna_interval", on_pace },
	{ "vmac_xmit_base", on_nothing },	{ "debug", on_nothing },
	{ "dont_track_primary", on_nothing },	{ "smtp_alert_off", on_nothing },
	{ "check_unicast_src", on_nothing },	{ "kernel_rx_buf_size", on_nothing },
	{ "higher_prio_send_advert", on_nothing }, { "lower_prio_no_advert", on_nothing },
	{ "skip_check_adv_addr", on_nothing },	{ "promote_secondaries", on_nothing },
};
/* clang-format on */

static void keyword(struct keepalived_instance *i, const struct keepalived_node *n)
{
	for (size_t k = 0; k < ARRAY_LEN(keywords); k++)
		if (keepalived_is(n, keywords[k].word)) {
			keywords[k].fn(i, n);
			return;
		}
	if (keepalived_track_map(i->map, i->router, n) ||
	    keepalived_notify_map(i->map, i->router, n))
		return;
	keepalived_note(i->map->m, n, true, "%.40s is not carried over: vmac has no such setting",
			n->words[0]);
}

/* --- what the keywords mean together --------------------------------------------------------- */

static void finish_auth(struct keepalived_instance *i)
{
	const char *type = "", *pass = NULL;
	json_t *auth, *keys, *key;
	char secret[TEXT_AUTH_MAX + 1];

	for (const struct keepalived_node *n = i->auth ? i->auth->children : NULL; n; n = n->next) {
		if (keepalived_is(n, "auth_type"))
			type = n->word_count > 1 ? n->words[1] : "";
		else if (keepalived_is(n, "auth_pass"))
			pass = n->word_count > 1 ? n->words[1] : NULL;
	}
	if (!i->auth)
		return;
	if (i->version == 3) {
		keepalived_note(i->map->m, i->auth, false,
				"VRRPv3 has no authentication: keepalived did not use it either "
				"(see auth in docs/routers.md for what vmac can)");
		return;
	}
	if (strcmp(type, "PASS") != 0 || !pass || !*pass) {
		keepalived_note(i->map->m, i->auth, true,
				"authentication %.20s is not carried over: vmac has text, md5 and "
				"hmac for VRRPv2",
				type[0] ? type : "without a type");
		return;
	}
	if (strlen(pass) > TEXT_AUTH_MAX)
		keepalived_note(i->map->m, i->auth, false,
				"the password counts with its first 8 octets only, as it did");
	snprintf(secret, sizeof(secret), "%s", pass);
	auth = json_object();
	keys = json_array();
	key = json_object();
	keepalived_put(key, "id", json_integer(1));
	keepalived_put(key, "secret", json_string(secret));
	json_array_append_new(keys, key);
	keepalived_put(auth, "type", json_string("text"));
	keepalived_put(auth, "mode", json_string("enforce"));
	keepalived_put(auth, "keys", keys);
	keepalived_put(i->router, "auth", auth);
}

static void finish_version(struct keepalived_instance *i)
{
	if (!i->version)
		i->version = i->map->globals.version ? i->map->globals.version : 2;
	if ((i->family == 6 || i->native_ipv6) && i->version == 2)
		i->version = 3; /* as keepalived does: VRRPv2 has no IPv6 */
	if (i->v4 && i->v6 && i->version == 2) {
		keepalived_note(i->map->m, i->at, false,
				"it has IPv4 and IPv6 addresses, so it becomes VRRPv3 and sends "
				"VRRPv2 besides");
		keepalived_put(i->router, "also_v2", json_true());
		i->version = 3;
	}
	keepalived_put(i->router, "protocol", json_string(i->version == 2 ? "vrrp2" : "vrrp3"));
}

/* VRRPv2 counts in whole seconds. */
static void finish_interval(struct keepalived_instance *i)
{
	const char *text = json_string_value(json_object_get(i->router, "interval"));
	int64_t ms;
	char buf[DURATION_TEXT_MAX];

	if (!text || i->version != 2 || duration_parse(text, &ms) < 0 || ms % 1000 == 0)
		return;
	ms += 1000 - ms % 1000;
	keepalived_note(i->map->m, i->at, false,
			"VRRPv2 counts in whole seconds: advert_int becomes %s, as it did",
			duration_format(ms, buf));
	keepalived_put(i->router, "interval", json_string(buf));
}

static void finish_preempt(struct keepalived_instance *i)
{
	if (i->nopreempt && i->master)
		keepalived_note(i->map->m, i->at, false,
				"nopreempt did not count together with state MASTER; it is left "
				"out");
	else if (i->nopreempt)
		keepalived_put(i->router, "preempt", json_false());
}

/* VRRPv3 wants a link-local address first; keepalived does without. */
static void finish_link_local(struct keepalived_instance *i, long long vrid)
{
	const char *first = json_string_value(json_array_get(i->v6, 0));
	vmac_mac_t mac = { { 0x00, 0x00, 0x5e, 0x00, 0x02, (uint8_t)vrid } };
	char text[IP_TEXT_MAX + 4];
	char plain[IP_TEXT_MAX];
	struct ip ip;

	if (!first || strncmp(first, "fe8", 3) == 0 || strncmp(first, "fe9", 3) == 0 ||
	    strncmp(first, "fea", 3) == 0 || strncmp(first, "feb", 3) == 0)
		return;
	if (i->mac)
		vmac_mac_parse(i->mac, &mac, NULL);
	ip = ip_link_local(mac);
	snprintf(text, sizeof(text), "%s/64", ip_format(&ip, plain));
	json_array_insert_new(i->v6, 0, json_string(text));
	keepalived_note(i->map->m, i->at, false,
			"VRRPv3 over IPv6 must begin with a link-local address: %s was added; add "
			"it to routers that stay with keepalived",
			text);
}

static void add_peers(struct keepalived_instance *i, json_t *set, uint8_t family)
{
	json_t *peers = json_array();
	struct ip ip;

	for (const struct keepalived_node *n = i->peers ? i->peers->children : NULL; n;
	     n = n->next) {
		if (ip_parse(n->words[0], &ip) < 0) {
			keepalived_note(i->map->m, n, true, "\"%.60s\" is no IP address",
					n->words[0]);
			continue;
		}
		if (ip.family == family)
			json_array_append_new(peers, json_string(n->words[0]));
		else
			keepalived_note(i->map->m, n, true,
					"peer %.60s is of another family than the addresses",
					n->words[0]);
	}
	if (json_array_size(peers) > 0)
		keepalived_put(set, "peers", peers);
	else
		json_decref(peers);
}

static void add_set(struct keepalived_instance *i, json_t *sets, json_t *addresses, uint8_t family,
		    long long vrid)
{
	bool main_one = family == i->family;
	json_t *set = json_object();
	struct ip ip;

	keepalived_put(set, "interface", json_string(i->ifname));
	keepalived_put(set, "group", json_integer(vrid));
	keepalived_put(set, "addresses", json_incref(addresses));
	if (i->mac && main_one)
		keepalived_put(set, "mac", json_string(i->mac));
	if (i->device && main_one)
		keepalived_put(set, "device", json_string(i->device));
	if (i->source && ip_parse(i->source, &ip) == 0 && ip.family == family)
		keepalived_put(set, "source", json_string(i->source));
	if (main_one)
		add_peers(i, set, family);
	json_array_append_new(sets, set);
}

static bool finish_sets(struct keepalived_instance *i)
{
	json_t *sets;
	long long vrid;

	if (!i->ifname || !i->vrid || keepalived_number(i->vrid, 1, 255, &vrid) < 0) {
		keepalived_note(i->map->m, i->at, true,
				"left out: it needs an interface and a virtual_router_id of 1 to "
				"255");
		return false;
	}
	if (!i->v4 && !i->v6) {
		keepalived_note(i->map->m, i->at, true, "left out: it has no address");
		return false;
	}
	if (!i->family)
		i->family = i->v4 ? 4 : 6;
	finish_link_local(i, vrid);
	sets = json_array();
	if (i->v4)
		add_set(i, sets, i->v4, 4, vrid);
	if (i->v6)
		add_set(i, sets, i->v6, 6, vrid);
	keepalived_put(i->router, "sets", sets);
	if (!i->vmac && !i->map->told_mac) {
		keepalived_note(i->map->m, i->at, false,
				"keepalived answered with the link's own MAC address here (no "
				"use_vmac); vmac uses the protocol's virtual one, always");
		i->map->told_mac = true;
	}
	return true;
}

static void finish_defaults(struct keepalived_instance *i)
{
	const struct keepalived_globals *g = &i->map->globals;
	long long n;

	if (!i->accept_said)
		keepalived_put(i->router, "accept", json_boolean(!i->strict));
	if (g->boot_hold_s)
		keepalived_put_seconds(i->map->m, i->at, g->boot_hold_s, i->router, "boot_hold");
	if (g->garp_repeat && !json_object_get(i->router, "announce_count") &&
	    keepalived_number(g->garp_repeat, 1, GARP_COUNT_MAX, &n) == 0)
		keepalived_put(i->router, "announce_count", json_integer(n));
	if (g->garp_refresh_s && !json_object_get(i->router, "announce_refresh"))
		keepalived_put_seconds(i->map->m, i->at, g->garp_refresh_s, i->router,
				       "announce_refresh");
}

json_t *keepalived_instance_map(struct keepalived_mapping *map, const struct keepalived_node *at)
{
	struct keepalived_instance i = {
		.map = map, .at = at, .router = json_object(), .strict = map->globals.strict
	};
	bool good;

	for (const struct keepalived_node *n = at->children; n; n = n->next)
		if (keepalived_is(n, "interface"))
			on_interface(&i, n); /* which the addresses' "dev" is held against */
	for (const struct keepalived_node *n = at->children; n; n = n->next)
		keyword(&i, n);
	finish_version(&i);
	finish_interval(&i);
	finish_preempt(&i);
	finish_auth(&i);
	finish_defaults(&i);
	good = finish_sets(&i);
	json_decref(i.v4);
	json_decref(i.v6);
	if (!good) {
		json_decref(i.router);
		return NULL;
	}
	return i.router;
}
