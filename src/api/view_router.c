/* A router as JSON: what was written of it, and how it stands now. */
#include "api/router_form.h"
#include "api/views.h"

static void ip_member(struct out *o, const char *key, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	if (ip->family != 0)
		out_text(o, key, ip_format(ip, text));
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

void view_router(struct out *o, const struct router_view *v)
{
	const struct router *r = v->router;

	out_open(o, '{');
	router_form_write(o, r, ROUTER_FORM_IN_FORCE);
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
