/* A router as JSON. */
#include "api/views.h"

#include <stdio.h>

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

static void view_auth(struct out *o, const struct router *r)
{
	out_key(o, "auth");
	out_open(o, '{');
	out_text(o, "type", router_auth_name(r->auth));
	out_text(o, "mode", router_auth_mode_name(r->auth_mode));
	out_key(o, "keys");
	out_open(o, '[');
	/* What a secret is stays between its owner and the wire. */
	for (unsigned int i = 0; i < r->key_count; i++) {
		out_open(o, '{');
		out_u64(o, "id", r->keys[i].id);
		out_close(o, '}');
	}
	out_close(o, ']');
	out_close(o, '}');
}

static void view_set(struct out *o, const struct router *r, unsigned int i)
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
	out_mac(o, "mac", router_set_mac(r, s));
	out_text(o, "device", s->device[0] ? s->device : device);
	ip_member(o, "source", &s->source);
	out_key(o, "peers");
	out_open(o, '[');
	for (unsigned int j = 0; j < s->peer_count; j++)
		out_item_text(o, ip_format(&s->peers[j], text));
	out_close(o, ']');
	out_close(o, '}');
}

static void view_track(struct out *o, const struct router_track *t)
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

/* --- live ------------------------------------------------------------------------------------ */

static void live_counters(struct out *o, const struct elect_view *v)
{
	out_key(o, "counters");
	out_open(o, '{');
	out_u64(o, "sent", v->sent);
	out_u64(o, "received", v->received);
	out_u64(o, "announced", v->announced);
	out_u64(o, "transitions", v->transitions);
	out_u64(o, "late", v->late);
	out_u64(o, "late_ns_most", v->late_ns_most > 0 ? (uint64_t)v->late_ns_most : 0);
	out_key(o, "verdicts");
	out_open(o, '{');
	for (unsigned int i = 0; i < VERDICT_COUNT; i++)
		if (v->verdicts[i] > 0)
			out_u64(o, engine_verdict_name(i), v->verdicts[i]);
	out_close(o, '}');
	out_close(o, '}');
}

static void live_set(struct out *o, const struct elect_set_view *s)
{
	out_open(o, '{');
	out_u64(o, "ifindex", s->ifindex > 0 ? (uint64_t)s->ifindex : 0);
	out_text(o, "device", s->device);
	out_mac(o, "mac", s->mac);
	ip_member(o, "source", &s->source);
	out_u64(o, "stopped_out", s->frames_stopped_out);
	out_u64(o, "stopped_in", s->frames_stopped_in);
	out_trouble(o, "trouble", &s->trouble);
	out_close(o, '}');
}

static void live_track(struct out *o, const struct router_track *t,
		       const struct elect_track_view *v)
{
	out_open(o, '{');
	out_text(o, "kind", router_track_kind_name(t->kind));
	out_text(o, "target", t->target);
	out_bool(o, "up", v->up);
	out_bool(o, "known", v->known);
	out_u64(o, "runs", v->runs);
	out_u64(o, "failures", v->failures);
	out_text(o, "detail", v->detail);
	out_close(o, '}');
}

static void live_timers(struct out *o, const struct elect_view *v)
{
	out_duration(o, "interval", v->interval_ms);
	out_duration(o, "hold", v->hold_ms);
	out_bool(o, "timers_learned", v->timers_learned);
	if (v->checksum && v->checksum[0])
		out_text(o, "checksum", v->checksum);
	ip_member(o, "learned", &v->learned);
}

/* The elections may know the record before this one, for a moment: what both have is shown. */
static void view_live(struct out *o, const struct router *r, const struct elect_view *v)
{
	out_key(o, "live");
	out_open(o, '{');
	out_text(o, "state", v->state);
	out_text(o, "reason", v->reason);
	out_time(o, "since", v->since);
	out_u64(o, "priority", v->priority);
	out_bool(o, "embodied", v->embodied);
	if (v->lease_ms >= 0)
		out_u64(o, "lease_ms", (uint64_t)v->lease_ms);
	ip_member(o, "active", &v->active);
	if (v->active.family != 0)
		out_u64(o, "active_priority", v->active_priority);
	ip_member(o, "standby", &v->standby);
	live_timers(o, v);
	live_counters(o, v);
	out_key(o, "sets");
	out_open(o, '[');
	for (unsigned int i = 0; i < v->set_count && i < r->set_count; i++)
		live_set(o, &v->sets[i]);
	out_close(o, ']');
	out_key(o, "tracks");
	out_open(o, '[');
	for (unsigned int i = 0; i < v->track_count && i < r->track_count; i++)
		live_track(o, &r->tracks[i], &v->tracks[i]);
	out_close(o, ']');
	out_close(o, '}');
}

/* --- the whole ------------------------------------------------------------------------------- */

static void view_settings(struct out *o, const struct router *r)
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

void view_router(struct out *o, const struct router_view *v)
{
	const struct router *r = v->router;

	out_open(o, '{');
	out_text(o, "name", r->name);
	out_text(o, "protocol", router_protocol_name(r->protocol));
	view_settings(o, r);
	view_auth(o, r);
	out_key(o, "sets");
	out_open(o, '[');
	for (unsigned int i = 0; i < r->set_count; i++)
		view_set(o, r, i);
	out_close(o, ']');
	out_key(o, "tracks");
	out_open(o, '[');
	for (unsigned int i = 0; i < r->track_count; i++)
		view_track(o, &r->tracks[i]);
	out_close(o, ']');
	out_text(o, "notify", r->notify);
	out_text(o, "note", r->note);
	out_bool(o, "from_file", r->from_file);
	out_time(o, "created", r->created);
	out_time(o, "changed", r->changed);
	if (v->live)
		view_live(o, r, v->live);
	out_close(o, '}');
}

void view_transition(struct out *o, const struct elect_event *e)
{
	out_open(o, '{');
	out_u64(o, "seq", e->seq);
	out_time(o, "at", e->at);
	out_text(o, "from", e->from);
	out_text(o, "to", e->to);
	out_text(o, "reason", e->reason);
	out_text(o, "detail", e->detail);
	out_u64(o, "priority", e->priority);
	out_close(o, '}');
}
