/* vmac decode: one frame as values, and as a line. */
#include "cli/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmac/classify.h>

#include "base/cleanup.h"
#include "cli/call.h"
#include "model/ip.h"
#include "model/text.h"
#include "wire/arp.h"
#include "wire/claim.h"
#include "wire/nd.h"

#define US_PER_S	1000000
#define CARP_SKEW_PER_S 256
#define GLBP_AUTH_TEXT	1
#define GLBP_AUTH_CHAIN 3
#define GLBP_ACTIVE	32

static const char *const hsrp_states[] = { "initial", "learn",	 "listen",
					   "speak",   "standby", "active" };
static const char *const hsrp_operations[] = { "hello", "coup", "resign", "advertise" };

_Static_assert(ARRAY_LEN(hsrp_states) == HSRP_STATE_COUNT, "every state has a name");

static void put(json_t *o, const char *key, json_t *value)
{
	if (!value || json_object_set_new(o, key, value) < 0)
		call_no_memory();
}

static void put_text(json_t *o, const char *key, const char *text)
{
	json_t *value = json_string(text);

	put(o, key, value ? value : json_string("?")); /* a secret need not be UTF-8 */
}

static void put_mac(json_t *o, const char *key, vmac_mac_t mac)
{
	char text[VMAC_MAC_TEXT_MAX];

	put_text(o, key, vmac_mac_format(mac, VMAC_MAC_COLON, text));
}

static const char *ip_text(uint8_t family, const uint8_t *octets, char buf[static IP_TEXT_MAX])
{
	struct ip ip = { .family = family };

	memcpy(ip.octet, octets, family == 4 ? 4 : 16);
	return ip_format(&ip, buf);
}

const char *decode_time(int64_t at_us, bool date, char buf[static DECODE_TIME_MAX])
{
	time_t s = (time_t)(at_us / US_PER_S);
	char text[24];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), date ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
	snprintf(buf, DECODE_TIME_MAX, "%s.%06d%s", text, (int)(at_us % US_PER_S), date ? "Z" : "");
	return buf;
}

const char *decode_protocol(const struct advert *a)
{
	switch (a->kind) {
	case ADVERT_VRRP:
		return a->vrrp.version == 2 ? "VRRPv2" : "VRRPv3";
	case ADVERT_HSRP:
		return a->hsrp.version == 2 ? "HSRPv2" : "HSRPv1";
	case ADVERT_CARP:
		return "CARP";
	default:
		return "GLBP";
	}
}

bool decode_vmac(const struct advert *a, vmac_mac_t *ret)
{
	struct router r = { .protocol = ROUTER_VRRP3 };
	struct router_set s = { .group = advert_group(a), .family = a->path.family };

	if (a->kind == ADVERT_GLBP ||
	    (a->kind == ADVERT_HSRP && a->hsrp.operation == HSRP_ADVERTISE))
		return false;
	if (a->kind == ADVERT_CARP)
		r.protocol = ROUTER_CARP;
	if (a->kind == ADVERT_HSRP)
		r.protocol = a->hsrp.version == 2 ? ROUTER_HSRP2 : ROUTER_HSRP1;
	*ret = router_set_mac(&r, &s);
	return true;
}

bool decode_is_active(const struct advert *a)
{
	switch (a->kind) {
	case ADVERT_VRRP:
		return a->vrrp.priority != VRRP_PRIORITY_STOP;
	case ADVERT_HSRP:
		return a->hsrp.operation == HSRP_HELLO && a->hsrp.state == HSRP_STATE_ACTIVE;
	case ADVERT_CARP:
		return a->carp.skew != CARP_SKEW_BOW_OUT;
	default:
		return a->glbp.has_hello && a->glbp.state == GLBP_ACTIVE;
	}
}

unsigned int decode_addresses(const struct advert *a, const uint8_t **ret, uint8_t *ret_family)
{
	static const uint8_t nothing[16];

	*ret = NULL;
	*ret_family = a->path.family;
	switch (a->kind) {
	case ADVERT_VRRP:
		*ret = a->vrrp.addresses;
		return a->vrrp.address_count;
	case ADVERT_HSRP:
		*ret = a->hsrp.address;
		*ret_family = a->hsrp.family;
		return a->hsrp.operation != HSRP_ADVERTISE &&
		       memcmp(a->hsrp.address, nothing, sizeof(nothing)) != 0;
	case ADVERT_GLBP:
		*ret = a->glbp.address;
		*ret_family = a->glbp.family;
		return a->glbp.has_hello && memcmp(a->glbp.address, nothing, sizeof(nothing)) != 0;
	default:
		return 0;
	}
}

/* --- what each protocol says ----------------------------------------------------------------- */

static json_t *auth_of(json_t *o, const char *type)
{
	json_t *auth = json_object();

	put_text(auth, "type", type);
	put(o, "auth", auth);
	return auth;
}

static void auth_text(json_t *o, const void *text, size_t size)
{
	char copy[HSRP_TEXT_LEN + 1] = "";

	memcpy(copy, text, size < sizeof(copy) ? size : sizeof(copy) - 1);
	put_text(auth_of(o, "text"), "text", copy);
}

static void describe_vrrp(json_t *o, const struct advert *a)
{
	const struct vrrp *v = &a->vrrp;
	struct vrrp_hmac hmac;

	put(o, "priority", json_integer(v->priority));
	put_text(o, "state", v->priority == VRRP_PRIORITY_STOP ? "resigns" : "active");
	put(o, "interval_ms", json_integer(v->interval_cs * 10));
	if (v->version == 3 && a->path.family == 4)
		put_text(o, "checksum",
			 v->dialect == VRRP_DIALECT_PLAIN ? "plain" : "pseudo-header");
	if (v->trailer && vrrp_hmac_read(v->trailer, &hmac))
		put(auth_of(o, "hmac"), "key", json_integer(hmac.key_id));
	else if (v->version == 2 && v->auth == VRRP_AUTH_TEXT)
		auth_text(o, v->text, VRRP_TEXT_LEN);
	else if (v->version == 2 && v->auth == VRRP_AUTH_MD5)
		put(auth_of(o, "md5"), "key", json_integer(v->md5_key_id));
	else if (v->version == 2 && v->auth != VRRP_AUTH_NONE)
		put(auth_of(o, "unknown"), "number", json_integer(v->auth));
}

static void describe_hsrp(json_t *o, const struct advert *a)
{
	const struct hsrp *h = &a->hsrp;

	if (h->operation < ARRAY_LEN(hsrp_operations))
		put_text(o, "operation", hsrp_operations[h->operation]);
	if (h->operation == HSRP_ADVERTISE) {
		put(o, "active_groups", json_integer(h->active_groups));
		put(o, "passive_groups", json_integer(h->passive_groups));
		return;
	}
	put(o, "priority", json_integer(h->priority));
	if (h->state < HSRP_STATE_COUNT)
		put_text(o, "state", hsrp_states[h->state]);
	put(o, "interval_ms", json_integer(h->hello_ms));
	put(o, "hold_ms", json_integer(h->hold_ms));
	if (h->auth == HSRP_AUTH_MD5)
		put(auth_of(o, "md5"), "key", json_integer(h->md5_key_id));
	else
		auth_text(o, h->text, HSRP_TEXT_LEN);
}

static void describe_carp(json_t *o, const struct advert *a)
{
	const struct carp *c = &a->carp;

	put_text(o, "state", c->skew == CARP_SKEW_BOW_OUT ? "resigns" : "active");
	put(o, "priority", json_integer(255 - c->skew));
	put(o, "interval_ms", json_integer(c->base * 1000 + c->skew * 1000 / CARP_SKEW_PER_S));
	put(o, "demotion", json_integer(c->demotion));
	put(o, "counter", json_integer((json_int_t)c->counter));
	auth_of(o, "hmac");
}

static void describe_glbp(json_t *o, const struct advert *a)
{
	const struct glbp *g = &a->glbp;
	json_t *list = json_array();

	put_mac(o, "owner", g->owner);
	if (g->has_hello) {
		put(o, "priority", json_integer(g->priority));
		put_text(o, "state",
			 g->state == GLBP_ACTIVE ? "active"
			 : g->state == 16	 ? "standby"
			 : g->state == 8	 ? "speak"
						 : "listen");
		put(o, "interval_ms", json_integer(g->hello_ms));
		put(o, "hold_ms", json_integer(g->hold_ms));
	}
	for (unsigned int i = 0; i < g->forwarder_count; i++) {
		json_t *f = json_object();

		put(f, "number", json_integer(g->forwarders[i].number));
		put_mac(f, "mac", g->forwarders[i].mac);
		put(f, "active", json_boolean(g->forwarders[i].state == GLBP_ACTIVE));
		put(f, "priority", json_integer(g->forwarders[i].priority));
		put(f, "weight", json_integer(g->forwarders[i].weight));
		json_array_append_new(list, f);
	}
	put(o, "forwarders", list);
	if (g->auth == GLBP_AUTH_TEXT)
		put_text(auth_of(o, "text"), "text", g->text);
	else if (g->auth == GLBP_AUTH_CHAIN)
		put(auth_of(o, "md5"), "key", json_integer(g->md5_key_id));
	else if (g->auth)
		auth_of(o, "md5");
}

static void describe_all(json_t *o, const struct advert *a)
{
	const uint8_t *addresses;
	char text[IP_TEXT_MAX];
	unsigned int count;
	vmac_mac_t vmac;
	uint8_t family;
	json_t *list;

	switch (a->kind) {
	case ADVERT_VRRP:
		describe_vrrp(o, a);
		break;
	case ADVERT_HSRP:
		describe_hsrp(o, a);
		break;
	case ADVERT_CARP:
		describe_carp(o, a);
		break;
	default:
		describe_glbp(o, a);
		break;
	}
	count = decode_addresses(a, &addresses, &family);
	list = json_array();
	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(
			list,
			json_string(ip_text(family, addresses + i * (family == 4 ? 4 : 16), text)));
	put(o, "addresses", list);
	if (decode_vmac(a, &vmac)) {
		put_mac(o, "vmac", vmac);
		put(o, "sent_by_vmac", json_boolean(vmac_mac_equal(vmac, a->eth.from)));
	}
}

/* What every frame begins with. */
static json_t *frame_new(const struct decode_frame *f)
{
	json_t *o = json_object();
	char time[DECODE_TIME_MAX];

	put(o, "frame", json_integer((json_int_t)f->number));
	put_text(o, "time", decode_time(f->at_us, true, time));
	put(o, "length", json_integer((json_int_t)f->wire_len));
	return o;
}

static void put_ethernet(json_t *o, const struct eth *e)
{
	put_mac(o, "from_mac", e->from);
	put_mac(o, "to_mac", e->to);
	if (e->tag_count > 0)
		put(o, "vlan", json_integer(e->tags[e->tag_count - 1].vlan));
}

void decode_describe(struct decode_frame *f)
{
	const struct advert *a = &f->advert;
	json_t *o = frame_new(f);
	char text[IP_TEXT_MAX];

	f->told = o;
	if (f->depth >= ADVERT_ETHERNET)
		put_ethernet(o, &a->eth);
	if (f->depth >= ADVERT_IP) {
		put_text(o, "from", ip_text(a->path.family, a->path.from, text));
		put_text(o, "to", ip_text(a->path.family, a->path.to, text));
		put(o, "ttl", json_integer(a->ttl));
	}
	if (f->depth >= ADVERT_GROUP) {
		put_text(o, "protocol", decode_protocol(a));
		put(o, "group", json_integer(advert_group(a)));
	}
	if (f->depth == ADVERT_ALL)
		describe_all(o, a);
	if (f->verified)
		put_text(o, "verified", f->verified);
	put_text(o, "verdict", verdict_name(f->verdict));
	put_text(o, "meaning", verdict_meaning(f->verdict));
	if (f->why)
		put_text(o, "why", f->why);
	if (f->len < f->wire_len)
		put(o, "captured", json_integer((json_int_t)f->len));
}

/* --- announcements --------------------------------------------------------------------------- */

/* "VRRP VRID 7" of a virtual router's address; false: it is none. */
static bool of_router(vmac_mac_t mac, char *buf, size_t size)
{
	struct vmac_class k = vmac_classify(mac);
	const struct vmac_well_known *w = k.well_known;

	if (!w || w->use != VMAC_USE_PROTOCOL || w->group_bits == 0 || k.group)
		return false;
	snprintf(buf, size, "%s %s %u", w->protocol, w->group_name ? w->group_name : "group",
		 k.group_number);
	return true;
}

static void announced(struct decode_frame *f, const struct eth *e, const char *form, uint8_t family,
		      const uint8_t *ip, vmac_mac_t mac, const char *router)
{
	char text[IP_TEXT_MAX];

	f->told = frame_new(f);
	f->verdict = VERDICT_INFORMATION;
	put_ethernet(f->told, e);
	put_text(f->told, "protocol", form);
	put_text(f->told, "router", router);
	if (family)
		put_text(f->told, "address", ip_text(family, ip, text));
	put_mac(f->told, "is_at", mac);
	put_text(f->told, "verdict", verdict_name(f->verdict));
	put_text(f->told, "meaning", verdict_meaning(f->verdict));
}

static bool announcement_nd(struct decode_frame *f, struct reader *r, const struct eth *e)
{
	struct ipv6 ip;
	char router[64];
	struct nd nd;

	if (ipv6_decode(r, &ip, &f->why) < 0 || ip.next_header != IP_PROTOCOL_ICMPV6 ||
	    nd_decode(r, &ip, &nd, &f->why) < 0 || nd.kind != ND_NEIGHBOUR_ADVERT ||
	    !of_router(nd.has_mac ? nd.mac : e->from, router, sizeof(router)))
		return false;
	announced(f, e, nd.solicited ? "ND answer" : "ND announcement", 6, nd.target,
		  nd.has_mac ? nd.mac : e->from, router);
	return true;
}

/* Of a vMAC that moved between hosts: a RARP with their tag, which needs the cluster's key. */
static bool claimed(struct decode_frame *f, const struct eth *e)
{
	struct claim_tag tag;
	char text[80];

	if (e->tag_count > 0 || !claim_peek(f->data, f->len, &tag))
		return false;
	snprintf(text, sizeof(text), "claim of host %u at epoch %llu; tag not checked", tag.host,
		 (unsigned long long)tag.epoch);
	announced(f, e, "RARP", 0, NULL, tag.address, text);
	json_object_del(f->told, "router");
	put_text(f->told, "claim", text);
	put(f->told, "host", json_integer(tag.host));
	put(f->told, "epoch", json_integer((json_int_t)tag.epoch));
	return true;
}

bool decode_announcement(struct decode_frame *f)
{
	struct reader r = reader_of(f->data, f->len);
	char router[64];
	const char *why;
	struct arp arp;
	struct eth e;

	f->why = NULL;
	if (eth_decode(&r, &e, &why) < 0)
		return false;
	if (e.type == ETH_TYPE_IPV6) {
		bool is = announcement_nd(f, &r, &e);

		f->why = NULL;
		return is;
	}
	if (e.type != ETH_TYPE_ARP && e.type != ETH_TYPE_RARP)
		return false;
	if (claimed(f, &e))
		return true;
	if (arp_decode(&r, e.type, &arp, &why) < 0 ||
	    !of_router(arp.sender_mac, router, sizeof(router)))
		return false;
	if (e.type == ETH_TYPE_RARP)
		announced(f, &e, "RARP", 0, NULL, arp.sender_mac, router);
	else if (memcmp(arp.sender_ip, arp.target_ip, sizeof(arp.sender_ip)) == 0)
		announced(f, &e, "ARP announcement", 4, arp.sender_ip, arp.sender_mac, router);
	else if (arp.operation == ARP_REPLY)
		announced(f, &e, "ARP answer", 4, arp.sender_ip, arp.sender_mac, router);
	else
		return false;
	return true;
}

/* --- printing -------------------------------------------------------------------------------- */

static void print_times(const json_t *o)
{
	char text[DURATION_TEXT_MAX];
	const json_t *interval = json_object_get(o, "interval_ms");
	const json_t *hold = json_object_get(o, "hold_ms");

	if (interval)
		printf(", every %s", duration_format(json_integer_value(interval), text));
	if (hold)
		printf(", hold %s", duration_format(json_integer_value(hold), text));
}

static void print_auth(const json_t *o)
{
	const json_t *auth = json_object_get(o, "auth"), *key = json_object_get(auth, "key");

	if (!auth)
		return;
	printf(", auth %s", json_text(auth, "type"));
	if (key)
		printf(" key %lld", (long long)json_integer_value(key));
	if (json_text(o, "verified")[0])
		printf(" (%s)", json_text(o, "verified"));
}

static void print_advert(const json_t *o)
{
	printf("  %s group %llu", json_text(o, "protocol"), json_number(o, "group"));
	if (json_text(o, "operation")[0])
		printf(" %s", json_text(o, "operation"));
	if (json_text(o, "state")[0])
		printf(" %s", json_text(o, "state"));
	if (json_object_get(o, "priority"))
		printf(", priority %llu", json_number(o, "priority"));
	print_times(o);
	if (json_array_size(json_object_get(o, "addresses")) > 0) {
		TEXT_AUTO words = json_words(o, "addresses", " ");

		printf(", for %s", words);
	}
	print_auth(o);
	if (json_text(o, "vmac")[0])
		printf(", vMAC %s%s", json_text(o, "vmac"),
		       json_yes(o, "sent_by_vmac") ? "" : " (not its sender)");
	if (json_text(o, "checksum")[0])
		printf(", checksum %s", json_text(o, "checksum"));
}

/* Control characters of a password or the like must not reach the terminal: JSON has none. */
void decode_print(const struct decode_frame *f)
{
	const json_t *o = f->told;
	char time[DECODE_TIME_MAX];

	printf("#%llu  %s", f->number, decode_time(f->at_us, false, time));
	if (json_object_get(o, "vlan"))
		printf("  vlan %llu", json_number(o, "vlan"));
	if (json_text(o, "from")[0])
		printf("  %s > %s", json_text(o, "from"), json_text(o, "to"));
	else if (json_text(o, "from_mac")[0])
		printf("  %s > %s", json_text(o, "from_mac"), json_text(o, "to_mac"));
	if (json_text(o, "is_at")[0])
		printf("  %s: %s%sis at %s (%s)", json_text(o, "protocol"), json_text(o, "address"),
		       json_text(o, "address")[0] ? " " : "", json_text(o, "is_at"),
		       json_text(o, json_object_get(o, "claim") ? "claim" : "router"));
	else if (json_text(o, "protocol")[0])
		print_advert(o);
	if (f->verdict == VERDICT_ACCEPTED) {
		puts(": accepted");
	} else if (f->verdict == VERDICT_INFORMATION || f->verdict == VERDICT_NOT_OURS) {
		printf(": %s\n", json_text(o, "meaning"));
	} else {
		printf("\n    refused, %s: %s", json_text(o, "verdict"), json_text(o, "meaning"));
		if (json_text(o, "why")[0] && !strstr(json_text(o, "meaning"), json_text(o, "why")))
			printf(" (%s)", json_text(o, "why"));
		if (f->len < f->wire_len)
			printf(" (the capture kept %zu of %zu octets)", f->len, f->wire_len);
		putchar('\n');
	}
}
