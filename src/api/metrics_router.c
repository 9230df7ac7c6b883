/* Routers and elections for Prometheus.  The routers are asked for metric by metric: a view of one
 * is large, and thousands of them are not kept at once. */
#include "api/metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

struct writing {
	struct out *o;
	unsigned int metric;
};

static void sample(struct writing *w, const char *name, const struct router_view *v, double value)
{
	out_printf(w->o, "vmac_router_%s{", name);
	metric_label(w->o, "router", v->router->name);
	out_printf(w->o, "} %.17g\n", value);
}

static void state_samples(void *ctx, const struct router_view *v)
{
	struct writing *w = ctx;

	for (unsigned int s = 0; v->live && s < FHRP_STATE_COUNT; s++) {
		out_puts(w->o, "vmac_router_state{");
		metric_label(w->o, "router", v->router->name);
		out_puts(w->o, ",");
		metric_label(w->o, "state", engine_election_state_name(s));
		out_printf(w->o, "} %d\n",
			   strcmp(v->live->state, engine_election_state_name(s)) == 0);
	}
}

static void since_sample(void *ctx, const struct router_view *v)
{
	struct writing *w = ctx;

	if (!v->live)
		return;
	out_puts(w->o, "vmac_router_since_seconds{");
	metric_label(w->o, "router", v->router->name);
	out_puts(w->o, ",");
	metric_label(w->o, "reason", v->live->reason);
	out_printf(w->o, "} %.3f\n", (double)v->live->since.ms / 1e3);
}

static void refused_samples(void *ctx, const struct router_view *v)
{
	struct writing *w = ctx;

	/* The first verdict is no refusal. */
	for (unsigned int i = 1; v->live && i < VERDICT_COUNT; i++) {
		if (v->live->verdicts[i] == 0)
			continue;
		out_puts(w->o, "vmac_router_refused_total{");
		metric_label(w->o, "router", v->router->name);
		out_puts(w->o, ",");
		metric_label(w->o, "verdict", engine_verdict_name(i));
		out_printf(w->o, "} %llu\n", (unsigned long long)v->live->verdicts[i]);
	}
}

_Static_assert(VERDICT_ACCEPTED == 0, "refusals are counted from 1");

static void stopped_samples(void *ctx, const struct router_view *v)
{
	struct writing *w = ctx;

	for (unsigned int i = 0; v->live && i < v->live->set_count && i < v->router->set_count;
	     i++) {
		const struct elect_set_view *s = &v->live->sets[i];

		for (unsigned int in = 0; in < 2; in++) {
			out_puts(w->o, "vmac_router_frames_stopped_total{");
			metric_label(w->o, "router", v->router->name);
			out_printf(w->o, ",set=\"%u\",direction=\"%s\"} %llu\n", i,
				   in ? "in" : "out",
				   (unsigned long long)(in ? s->frames_stopped_in
							   : s->frames_stopped_out));
		}
	}
}

/* --- one number a router --------------------------------------------------------------------- */

static double priority_of(const struct elect_view *v)
{
	return v->priority;
}

static double embodied_of(const struct elect_view *v)
{
	return v->embodied;
}

static double transitions_of(const struct elect_view *v)
{
	return (double)v->transitions;
}

static double sent_of(const struct elect_view *v)
{
	return (double)v->sent;
}

static double received_of(const struct elect_view *v)
{
	return (double)v->received;
}

static double announced_of(const struct elect_view *v)
{
	return (double)v->announced;
}

static double late_of(const struct elect_view *v)
{
	return (double)v->late;
}

static double late_most_of(const struct elect_view *v)
{
	return (double)v->late_ns_most / 1e9;
}

static const struct {
	const char *name, *type, *help;
	double (*value)(const struct elect_view *v);
} numbers[] = {
	{ "priority", "gauge", "Priority in force, tracking included", priority_of },
	{ "embodied", "gauge", "1 while the addresses are to be here", embodied_of },
	{ "transitions_total", "counter", "Changes of state", transitions_of },
	{ "advertisements_sent_total", "counter", "Advertisements sent", sent_of },
	{ "advertisements_received_total", "counter", "Advertisements of this group received",
	  received_of },
	{ "announcements_total", "counter", "Gratuitous ARP and neighbour advertisements sent",
	  announced_of },
	{ "late_total", "counter", "Times it fenced itself because this host was late", late_of },
	{ "late_seconds_most", "gauge", "The longest delay of a timer", late_most_of },
};

static void number_sample(void *ctx, const struct router_view *v)
{
	struct writing *w = ctx;

	if (v->live)
		sample(w, numbers[w->metric].name, v, numbers[w->metric].value(v->live));
}

/* --- what belongs to no router --------------------------------------------------------------- */

static void link_refused(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			 const uint64_t verdicts[VERDICT_COUNT])
{
	struct out *o = ctx;

	for (unsigned int i = 1; i < VERDICT_COUNT; i++) {
		if (verdicts[i] == 0)
			continue;
		out_puts(o, "vmac_election_frames_refused_total{");
		metric_label(o, "interface", ifname);
		out_puts(o, ",");
		metric_label(o, "verdict", engine_verdict_name(i));
		out_printf(o, "} %llu\n", (unsigned long long)verdicts[i]);
	}
}

static void link_received(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			  const uint64_t verdicts[VERDICT_COUNT])
{
	struct out *o = ctx;

	out_puts(o, "vmac_election_frames_received_total{");
	metric_label(o, "interface", ifname);
	out_printf(o, "} %llu\n", (unsigned long long)received);
}

static void link_overflowed(void *ctx, const char *ifname, uint64_t received, uint64_t overflowed,
			    const uint64_t verdicts[VERDICT_COUNT])
{
	struct out *o = ctx;

	out_puts(o, "vmac_election_frames_overflowed_total{");
	metric_label(o, "interface", ifname);
	out_printf(o, "} %llu\n", (unsigned long long)overflowed);
}

static void elections(struct engine *engine, struct out *o)
{
	struct elect_facts f;

	metric(o, "election_frames_received_total", "counter",
	       "Frames of election protocols, by link");
	engine_election_links(engine, link_received, o);
	metric(o, "election_frames_overflowed_total", "counter",
	       "Frames that the kernel dropped because we were too slow, by link");
	engine_election_links(engine, link_overflowed, o);
	metric(o, "election_frames_refused_total", "counter",
	       "Frames that belong to no router, by link and verdict");
	engine_election_links(engine, link_refused, o);
	if (!engine_elections(engine, &f))
		return;
	metric_single(o, "routers", "gauge", "Routers of this host", f.routers);
	metric_single(o, "routers_active", "gauge", "Routers that are active", f.active);
	metric_single(o, "election_sockets", "gauge", "Packet sockets of the elections", f.sockets);
	metric_single(o, "takeover_seconds_last", "gauge",
		      "From the timer to the last address, of the last takeover",
		      (double)f.takeover_ns_last / 1e9);
	metric_single(o, "takeover_seconds_most", "gauge", "The same of the slowest one",
		      (double)f.takeover_ns_most / 1e9);
	metric_single(o, "notifications_total", "counter", "Notify programs started",
		      (double)f.notifications);
	metric_single(o, "notifications_lost_total", "counter",
		      "Transitions that no notify program was told of",
		      (double)f.notifications_lost);
}

void metrics_routers(struct engine *engine, struct out *o)
{
	struct writing w = { .o = o };
	char name[64];

	metric(o, "router_state", "gauge", "1 for the state the router is in");
	engine_routers(engine, state_samples, &w);
	metric(o, "router_since_seconds", "gauge",
	       "When the router came into that state (Unix time), and why");
	engine_routers(engine, since_sample, &w);
	for (w.metric = 0; w.metric < ARRAY_LEN(numbers); w.metric++) {
		snprintf(name, sizeof(name), "router_%s", numbers[w.metric].name);
		metric(o, name, numbers[w.metric].type, numbers[w.metric].help);
		engine_routers(engine, number_sample, &w);
	}
	metric(o, "router_refused_total", "counter",
	       "Frames of its group that a router refused, by verdict");
	engine_routers(engine, refused_samples, &w);
	metric(o, "router_frames_stopped_total", "counter",
	       "Frames with the vMAC that the data plane stopped outside of its lease");
	engine_routers(engine, stopped_samples, &w);
	elections(engine, o);
}
