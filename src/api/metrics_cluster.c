/* Clusters for Prometheus, metric by metric: a view of one is large, and not all are kept at once.
 */
#include "api/metrics.h"

#include <stdio.h>

#include "base/cleanup.h"

struct writing {
	struct out *o;
	unsigned int metric;
};

static void begin(struct out *o, const char *name, const struct cluster_view *v)
{
	out_printf(o, "vmac_cluster_%s{", name);
	metric_label(o, "cluster", v->cluster->name);
}

/* --- of the cluster -------------------------------------------------------------------------- */

static double members_of(const struct cluster_view *v)
{
	return v->member_count;
}

static double hosts_of(const struct cluster_view *v)
{
	return v->host_count;
}

static double unassigned_of(const struct cluster_view *v)
{
	return v->rows_unassigned;
}

static double coordinator_of(const struct cluster_view *v)
{
	return v->coordinator;
}

static double fail_open_of(const struct cluster_view *v)
{
	return v->fail_open;
}

static double views_of(const struct cluster_view *v)
{
	return (double)v->view_number;
}

static const struct {
	const char *name, *help;
	double (*value)(const struct cluster_view *v);
} numbers[] = {
	{ "members", "Members of the record", members_of },
	{ "hosts", "Hosts that take part, this one included", hosts_of },
	{ "rows_unassigned", "Rows that no member has", unassigned_of },
	{ "coordinator", "1 where this host says which members have rows", coordinator_of },
	{ "fail_open", "1 while no member is fit and the last fit ones stay", fail_open_of },
	{ "view", "Number of the view in force", views_of },
};

static void number_sample(void *ctx, const struct cluster_view *v)
{
	const struct writing *w = ctx;

	if (!v->live)
		return;
	begin(w->o, numbers[w->metric].name, v);
	out_printf(w->o, "} %.17g\n", numbers[w->metric].value(v));
}

static void counter_sample(void *ctx, const struct cluster_view *v)
{
	struct out *o = ctx;

	for (unsigned int i = 0; i < v->counter_count; i++) {
		begin(o, "events_total", v);
		out_puts(o, ",");
		metric_label(o, "what", v->counters[i].name);
		out_printf(o, "} %llu\n", (unsigned long long)v->counters[i].value);
	}
}

static void anchor_sample(void *ctx, const struct cluster_view *v)
{
	struct out *o = ctx;
	char mac[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; v->live && i < v->face_count; i++) {
		begin(o, "anchor", v);
		out_puts(o, ",");
		metric_label(o, "face", vmac_mac_format(v->faces[i].address, VMAC_MAC_COLON, mac));
		out_printf(o, "} %d\n", v->faces[i].here);
	}
}

/* --- of its members -------------------------------------------------------------------------- */

static double up_of(const struct cluster_member_view *m)
{
	return m->live[0] == 'u' && m->live[1] == 'p';
}

static double weight_of(const struct cluster_member_view *m)
{
	return m->member->weight;
}

static double rows_of(const struct cluster_member_view *m)
{
	return m->rows;
}

static double flows_of(const struct cluster_member_view *m)
{
	return m->flows;
}

static double frames_of(const struct cluster_member_view *m)
{
	return (double)m->frames;
}

static double octets_of(const struct cluster_member_view *m)
{
	return (double)m->octets;
}

static const struct {
	const char *name, *type, *help;
	double (*value)(const struct cluster_member_view *m);
} member_numbers[] = {
	{ "member_up", "gauge", "1 while the member takes new flows", up_of },
	{ "member_weight", "gauge", "Weight of the record", weight_of },
	{ "member_rows", "gauge", "Rows that are the member's: its share of new flows", rows_of },
	{ "member_flows", "gauge", "Live flows, as this host knows them", flows_of },
	{ "member_frames_total", "counter", "Frames handed to the member from here", frames_of },
	{ "member_octets_total", "counter", "Octets handed to the member from here", octets_of },
};

static void member_samples(void *ctx, const struct cluster_view *v)
{
	const struct writing *w = ctx;
	char mac[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; v->live && i < v->member_count; i++) {
		begin(w->o, member_numbers[w->metric].name, v);
		out_puts(w->o, ",");
		metric_label(w->o, "member",
			     vmac_mac_format(v->members[i].member->address, VMAC_MAC_COLON, mac));
		out_printf(w->o, "} %.17g\n", member_numbers[w->metric].value(&v->members[i]));
	}
}

void metrics_clusters(struct engine *engine, struct out *o)
{
	struct writing w = { .o = o };
	char name[64];

	for (w.metric = 0; w.metric < ARRAY_LEN(numbers); w.metric++) {
		snprintf(name, sizeof(name), "cluster_%s", numbers[w.metric].name);
		metric(o, name, "gauge", numbers[w.metric].help);
		engine_clusters(engine, number_sample, &w);
	}
	metric(o, "cluster_anchor", "gauge", "1 where this host is the anchor of the face");
	engine_clusters(engine, anchor_sample, o);
	for (w.metric = 0; w.metric < ARRAY_LEN(member_numbers); w.metric++) {
		snprintf(name, sizeof(name), "cluster_%s", member_numbers[w.metric].name);
		metric(o, name, member_numbers[w.metric].type, member_numbers[w.metric].help);
		engine_clusters(engine, member_samples, &w);
	}
	metric(o, "cluster_events_total", "counter",
	       "What happened to a cluster's frames and heartbeats here");
	engine_clusters(engine, counter_sample, o);
}
