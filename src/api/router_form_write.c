/* A router's record in the words that it is read in. */
#include <stdio.h>

#include "api/router_form.h"

static void ip_member(struct out *o, const char *key, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	if (ip->family != 0)
		out_text(o, key, ip_format(ip, text));
}

/* A length of time that may be none. */
static void hold_member(struct out *o, uint32_t ms)
{
	if (ms > 0) {
		out_duration(o, "hold", ms);
		return;
	}
	out_key(o, "hold");
	out_puts(o, "null");
}

static void write_auth(struct out *o, const struct router *r, unsigned int flags)
{
	out_key(o, "auth");
	out_open(o, '{');
	out_text(o, "type", router_auth_name(r->auth));
	out_text(o, "mode", router_auth_mode_name(r->auth_mode));
	out_key(o, "keys");
	out_open(o, '[');
	for (unsigned int i = 0; i < r->key_count; i++) {
		out_open(o, '{');
		out_u64(o, "id", r->keys[i].id);
		if (flags & ROUTER_FORM_SECRETS)
			out_text(o, "secret", r->keys[i].secret);
		out_close(o, '}');
	}
	out_close(o, ']');
	out_close(o, '}');
}

static void write_set(struct out *o, const struct router *r, unsigned int i, unsigned int flags)
{
	const struct router_set *s = &r->sets[i];
	char text[ROUTER_ADDRESS_TEXT_MAX], device[IFNAME_MAX_LEN + 1];

	snprintf(device, sizeof(device), "vr%u.%u", r->id, i);
	out_open(o, '{');
	out_text(o, "interface", s->ifname);
	out_u64(o, "group", s->group);
	out_u64(o, "family", s->family);
	out_key(o, "addresses");
	out_open(o, '[');
	for (unsigned int j = 0; j < s->address_count; j++)
		out_item_text(o, router_address_format(&s->addresses[j], text));
	out_close(o, ']');
	if ((flags & ROUTER_FORM_IN_FORCE) || s->has_mac)
		out_mac(o, "mac", router_set_mac(r, s));
	if ((flags & ROUTER_FORM_IN_FORCE) || s->device[0])
		out_text(o, "device", s->device[0] ? s->device : device);
	ip_member(o, "source", &s->source);
	out_key(o, "peers");
	out_open(o, '[');
	for (unsigned int j = 0; j < s->peer_count; j++)
		out_item_text(o, ip_format(&s->peers[j], text));
	out_close(o, ']');
	out_close(o, '}');
}

static void write_track(struct out *o, const struct router_track *t)
{
	out_open(o, '{');
	out_text(o, "kind", router_track_kind_name(t->kind));
	out_text(o, "target", t->target);
	out_key(o, "weight");
	out_printf(o, "%d", t->weight);
	out_duration(o, "interval", t->interval_ms);
	if (t->timeout_ms > 0)
		out_duration(o, "timeout", t->timeout_ms);
	out_u64(o, "rise", t->rise);
	out_u64(o, "fall", t->fall);
	out_close(o, '}');
}

static void write_settings(struct out *o, const struct router *r)
{
	out_bool(o, "enabled", r->enabled);
	out_u64(o, "priority", r->priority);
	out_duration(o, "interval", r->interval_ms);
	hold_member(o, r->hold_ms);
	out_bool(o, "learn", r->learn);
	out_bool(o, "preempt", r->preempt);
	out_duration(o, "preempt_delay", r->preempt_delay_ms);
	out_duration(o, "boot_hold", r->boot_hold_ms);
	out_bool(o, "accept", r->accept);
	out_bool(o, "also_v2", r->also_v2);
	out_text(o, "checksum", router_checksum_name(r->checksum));
	out_text(o, "garp", router_garp_name(r->garp));
	out_u64(o, "announce_count", r->announce_count);
	out_duration(o, "announce_refresh", r->announce_refresh_ms);
	if (r->linger_ms == ROUTER_LINGER_AUTO)
		out_text(o, "linger", "auto");
	else
		out_duration(o, "linger", r->linger_ms);
}

void router_form_write(struct out *o, const struct router *r, unsigned int flags)
{
	out_text(o, "name", r->name);
	out_text(o, "protocol", router_protocol_name(r->protocol));
	write_settings(o, r);
	write_auth(o, r, flags);
	out_key(o, "sets");
	out_open(o, '[');
	for (unsigned int i = 0; i < r->set_count; i++)
		write_set(o, r, i, flags);
	out_close(o, ']');
	out_key(o, "tracks");
	out_open(o, '[');
	for (unsigned int i = 0; i < r->track_count; i++)
		write_track(o, &r->tracks[i]);
	out_close(o, ']');
	out_text(o, "notify", r->notify);
	out_text(o, "note", r->note);
}
