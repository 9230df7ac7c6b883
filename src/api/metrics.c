/* GET /metrics: the Prometheus text format, version 0.0.4.
 *
 * All samples of one metric stand together, so the ports' counters are read once into an array and
 * written metric by metric. */
#include "api/internal.h"
#include "api/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* One port or uplink. */
struct row {
	char name[NAME_MAX_LEN + 1];
	char segment[NAME_MAX_LEN + 1]; /* "" for an uplink */
	enum port_phase phase;
	bool has_counters;
	struct counters_view c;
	uint64_t *drops;
};

struct rows {
	struct engine *engine;
	struct row *rows;
	size_t count, capacity;
	bool failed;
};

static void rows_done(struct rows *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->rows[i].drops);
	free(t->rows);
}

static struct row *rows_add(struct rows *t, const char *name, const char *segment)
{
	struct row *row;

	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 64;
		struct row *rows = realloc(t->rows, capacity * sizeof(*rows));

		if (!rows) {
			t->failed = true;
			return NULL;
		}
		t->rows = rows;
		t->capacity = capacity;
	}
	row = &t->rows[t->count++];
	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->segment, sizeof(row->segment), "%s", segment);
	return row;
}

/* c->drops lives only until the engine is asked again. */
static void row_keep(struct rows *t, struct row *row, const struct counters_view *c)
{
	row->c = *c;
	row->drops = calloc(c->reason_count + 1, sizeof(*row->drops));
	if (!row->drops) {
		t->failed = true;
		return;
	}
	memcpy(row->drops, c->drops, c->reason_count * sizeof(*row->drops));
	row->has_counters = true;
}

static void collect_port(void *ctx, const struct port_view *v)
{
	struct rows *t = ctx;
	struct row *row = rows_add(t, v->port->name, v->segment);
	struct counters_view c;
	struct error e;

	if (!row)
		return;
	row->phase = v->phase;
	if (engine_port_counters(t->engine, v->port->name, &c, &e) == 0)
		row_keep(t, row, &c);
}

static void collect_uplink(void *ctx, const char *uplink)
{
	struct rows *t = ctx;
	struct row *row = rows_add(t, uplink, "");
	struct counters_view c;
	struct error e;

	if (row && engine_uplink_counters(t->engine, uplink, &c, &e) == 0)
		row_keep(t, row, &c);
}

/* --- writing --------------------------------------------------------------------------------- */

void metric(struct out *o, const char *name, const char *type, const char *help)
{
	out_printf(o, "# HELP vmac_%s %s\n# TYPE vmac_%s %s\n", name, help, name, type);
}

void metric_single(struct out *o, const char *name, const char *type, const char *help, double v)
{
	metric(o, name, type, help);
	out_printf(o, "vmac_%s %.17g\n", name, v);
}

void metric_label(struct out *o, const char *key, const char *value)
{
	out_printf(o, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			out_puts(o, "\\");
		if (*value == '\n')
			out_puts(o, "\\n");
		else
			out_bytes(o, value, 1);
	}
	out_puts(o, "\"");
}

static void row_labels(struct out *o, const struct row *row)
{
	if (row->segment[0]) {
		metric_label(o, "port", row->name);
		out_puts(o, ",");
		metric_label(o, "segment", row->segment);
	} else {
		metric_label(o, "uplink", row->name);
	}
}

static const struct {
	const char *name, *help;
	size_t at;
} row_metrics[] = {
	{ "rx_frames_total", "Frames received, drops included",
	  offsetof(struct counters_view, rx_frames) },
	{ "rx_octets_total", "Octets received, drops included",
	  offsetof(struct counters_view, rx_octets) },
	{ "tx_frames_total", "Frames handed to the link",
	  offsetof(struct counters_view, tx_frames) },
	{ "tx_octets_total", "Octets handed to the link",
	  offsetof(struct counters_view, tx_octets) },
	{ "link_dropped_total", "Frames the link itself dropped",
	  offsetof(struct counters_view, link_dropped) },
	{ "redirected_total", "Frames sent after a guest that moved, to its new host",
	  offsetof(struct counters_view, redirected) },
};

static void row_drops(struct out *o, const char *what, const struct row *row)
{
	for (unsigned int d = 0; row->has_counters && d < row->c.reason_count; d++) {
		out_printf(o, "vmac_%s_drops_total{", what);
		row_labels(o, row);
		out_puts(o, ",");
		metric_label(o, "reason", engine_drop_reason_name(d));
		out_printf(o, "} %llu\n", (unsigned long long)row->drops[d]);
	}
}

/* what: "port" or "uplink" */
static void rows_write(struct out *o, const char *what, const struct rows *t)
{
	char name[64];

	for (unsigned int m = 0; m < ARRAY_LEN(row_metrics); m++) {
		snprintf(name, sizeof(name), "%s_%s", what, row_metrics[m].name);
		metric(o, name, "counter", row_metrics[m].help);
		for (size_t i = 0; i < t->count; i++) {
			const char *c = (const char *)&t->rows[i].c;

			if (!t->rows[i].has_counters)
				continue;
			out_printf(o, "vmac_%s{", name);
			row_labels(o, &t->rows[i]);
			out_printf(o, "} %llu\n",
				   *(const unsigned long long *)(c + row_metrics[m].at));
		}
	}
	snprintf(name, sizeof(name), "%s_drops_total", what);
	metric(o, name, "counter", "Frames dropped, by reason");
	for (size_t i = 0; i < t->count; i++)
		row_drops(o, what, &t->rows[i]);
}

static void port_phases(struct out *o, const struct rows *t)
{
	metric(o, "port_phase", "gauge", "1 for the phase the port is in");
	for (size_t i = 0; i < t->count; i++)
		for (unsigned int p = 0; p < PORT_PHASE_COUNT; p++) {
			out_puts(o, "vmac_port_phase{");
			row_labels(o, &t->rows[i]);
			out_puts(o, ",");
			metric_label(o, "phase", port_phase_name((enum port_phase)p));
			out_printf(o, "} %d\n", t->rows[i].phase == p);
		}
}

/* --- pools and segments ---------------------------------------------------------------------- */

static const struct {
	const char *name, *help;
	size_t at;
} pool_metrics[] = {
	{ "pool_size", "Addresses in the pool's ranges", offsetof(struct pool_view, size) },
	{ "pool_excluded", "Addresses that are never handed out",
	  offsetof(struct pool_view, excluded) },
	{ "pool_used", "Addresses in use", offsetof(struct pool_view, used) },
	{ "pool_quarantined", "Addresses in quarantine", offsetof(struct pool_view, quarantined) },
	{ "pool_available", "Addresses that can be had now",
	  offsetof(struct pool_view, available) },
};

struct writing {
	struct out *o;
	unsigned int metric;
};

static void pool_sample(void *ctx, const struct pool_view *v)
{
	struct writing *w = ctx;
	const char *base = (const char *)v;

	out_printf(w->o, "vmac_%s{", pool_metrics[w->metric].name);
	metric_label(w->o, "pool", v->pool->name);
	out_puts(w->o, ",");
	metric_label(w->o, "segment", v->segment);
	out_printf(w->o, "} %llu\n",
		   *(const unsigned long long *)(base + pool_metrics[w->metric].at));
}

static void segment_sample(void *ctx, const struct segment_view *v)
{
	struct writing *w = ctx;
	bool internal = !v->segment->uplink[0];

	out_puts(w->o, w->metric == 0 ? "vmac_segment_vmacs{" : "vmac_segment_uplink_present{");
	metric_label(w->o, "segment", v->segment->name);
	out_printf(w->o, "} %llu\n",
		   w->metric == 0 ? (unsigned long long)v->vmacs
				  : (unsigned long long)(internal || v->uplink_present));
}

static void pools_and_segments(struct engine *engine, struct out *o)
{
	struct writing w = { .o = o };

	for (w.metric = 0; w.metric < ARRAY_LEN(pool_metrics); w.metric++) {
		metric(o, pool_metrics[w.metric].name, "gauge", pool_metrics[w.metric].help);
		engine_pools(engine, pool_sample, &w);
	}
	metric(o, "segment_vmacs", "gauge", "vMACs of the segment, without those in quarantine");
	w.metric = 0;
	engine_segments(engine, segment_sample, &w);
	metric(o, "segment_uplink_present", "gauge", "0 while the segment's uplink is missing");
	w.metric = 1;
	engine_segments(engine, segment_sample, &w);
}

/* --- the daemon ------------------------------------------------------------------------------ */

static void by_code(struct out *o, const char *name, const char *help,
		    const uint64_t count[ERROR_CODE_COUNT])
{
	metric(o, name, "counter", help);
	for (unsigned int c = ERROR_NONE + 1; c < ERROR_CODE_COUNT; c++)
		out_printf(o, "vmac_%s{code=\"%s\"} %llu\n", name, error_name((enum error_code)c),
			   (unsigned long long)count[c]);
}

static void registry(struct out *o, const struct engine_status *s)
{
	metric_single(o, "registry_healthy", "gauge", "1 while the last commit succeeded",
		      s->registry_healthy);
	metric_single(o, "registry_commits_total", "counter", "Commits", (double)s->commits);
	metric_single(o, "registry_transactions_total", "counter", "Transactions made durable",
		      (double)s->transactions);
	metric_single(o, "registry_failures_total", "counter", "Commits that failed",
		      (double)s->failures);
	metric_single(o, "registry_pending", "gauge", "Transactions that wait to be durable",
		      (double)s->pending);
	metric_single(o, "registry_octets", "gauge", "Size of the registry on disk",
		      (double)s->registry_octets);
	metric_single(o, "registry_commit_seconds_last", "gauge", "How long the last commit took",
		      (double)s->commit_ns_last / 1e9);
	metric_single(o, "registry_commit_seconds_most", "gauge",
		      "How long the slowest commit took", (double)s->commit_ns_most / 1e9);
}

static void api_counters(struct out *o, const struct api_counters *c)
{
	by_code(o, "api_refusals_total", "Requests answered with an error, by code", c->refusals);
	metric(o, "api_requests_total", "counter", "Requests answered, by HTTP status");
	for (unsigned int s = 0; s < API_STATUS_MAX; s++)
		if (c->by_status[s] > 0)
			out_printf(o, "vmac_api_requests_total{status=\"%u\"} %llu\n", s,
				   (unsigned long long)c->by_status[s]);
	metric_single(o, "api_connections", "gauge", "Clients connected now", c->connected);
	metric_single(o, "api_connections_total", "counter", "Clients that ever connected",
		      (double)c->connections);
	metric_single(o, "api_answers_lost_total", "counter", "Answers whose client was gone",
		      (double)c->answers_lost);
	metric_single(o, "event_subscribers", "gauge", "Event streams open now", c->subscribers);
	metric_single(o, "events_sent_total", "counter", "Events sent, over all streams",
		      (double)c->events_sent);
	metric_single(o, "events_lost_total", "counter", "Events that a slow stream missed",
		      (double)c->events_lost);
}

void metrics_show(struct request *r)
{
	const struct api_config *config = &r->api->config;
	struct rows ports = { .engine = config->engine }, uplinks = { .engine = config->engine };
	struct engine_status s;
	struct out o = { 0 };

	engine_status(config->engine, &s);
	engine_ports(config->engine, collect_port, &ports);
	engine_uplinks(config->engine, collect_uplink, &uplinks);
	o.failed = ports.failed || uplinks.failed;

	metric(&o, "build_info", "gauge", "1; the version is in the label");
	out_puts(&o, "vmac_build_info{");
	metric_label(&o, "version", s.version);
	out_puts(&o, "} 1\n");
	metric_single(&o, "uptime_seconds", "gauge", "Time since the daemon started",
		      (double)mono_since(config->mono_now(), s.started).ns / 1e9);
	rows_write(&o, "port", &ports);
	port_phases(&o, &ports);
	rows_write(&o, "uplink", &uplinks);
	pools_and_segments(config->engine, &o);
	metrics_routers(config->engine, &o);
	metrics_clusters(config->engine, &o);
	metrics_fleet(config->engine, &s.fleet, &o);
	registry(&o, &s);
	metric_single(&o, "commands_total", "counter", "Commands that were carried out or refused",
		      (double)s.commands);
	by_code(&o, "refusals_total", "Commands that the engine refused, by code",
		s.refusals_by_code);
	api_counters(&o, &r->api->counters);
	rows_done(&ports);
	rows_done(&uplinks);
	request_answer_text(r, "text/plain; version=0.0.4; charset=utf-8", &o);
}
