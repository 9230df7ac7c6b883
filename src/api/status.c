/* What is not about one noun: history, status, and this API's own description. */
#include "api/internal.h"
#include "api/views.h"

#include "api/openapi.h"

/* --- history --------------------------------------------------------------------------------- */

static void history_read(void *ctx, const struct error *error, const struct history *lines,
			 size_t count)
{
	struct request *r = ctx;
	struct out o = { 0 };
	bool more;

	if (error) {
		request_refuse(r, error);
		return;
	}
	/* One line more than was asked for says that there are others. */
	more = count > r->query.limit;
	if (more)
		count = r->query.limit;
	out_open(&o, '{');
	out_key(&o, "items");
	out_open(&o, '[');
	for (size_t i = 0; i < count; i++)
		view_history(&o, &lines[i]);
	out_close(&o, ']');
	out_bool(&o, "more", more);
	if (more) {
		out_key(&o, "next");
		out_printf(&o, "\"%llu\"", (unsigned long long)lines[count - 1].seq);
	}
	out_close(&o, '}');
	request_answer(r, MHD_HTTP_OK, &o);
}

void history_list(struct request *r)
{
	const struct query *q = &r->query;
	struct history_filter f = { .segment = q->segment,
				    .subject = q->subject,
				    .before = q->before,
				    .since = q->since,
				    .until = q->until,
				    .limit = q->limit + (q->limit < QUERY_LIMIT_MAX) };

	engine_history(r->api->config.engine, &f, history_read, r);
}

/* --- status ---------------------------------------------------------------------------------- */

static void refusals(struct out *o, const char *key, const uint64_t by_code[ERROR_CODE_COUNT])
{
	out_key(o, key);
	out_open(o, '{');
	for (unsigned int c = 0; c < ERROR_CODE_COUNT; c++)
		if (by_code[c] > 0)
			out_u64(o, error_name((enum error_code)c), by_code[c]);
	out_close(o, '}');
}

static void registry(struct out *o, const struct engine_status *s)
{
	out_key(o, "registry");
	out_open(o, '{');
	out_text(o, "backend", s->registry_backend);
	out_text(o, "where", s->registry_where);
	out_text(o, "uuid", s->registry_uuid);
	out_bool(o, "healthy", s->registry_healthy);
	out_trouble(o, "trouble", &s->registry_error);
	out_u64(o, "octets", s->registry_octets);
	out_u64(o, "commits", s->commits);
	out_u64(o, "transactions", s->transactions);
	out_u64(o, "failures", s->failures);
	out_u64(o, "pending", s->pending);
	out_u64(o, "commit_ns_last", (uint64_t)s->commit_ns_last);
	out_u64(o, "commit_ns_most", (uint64_t)s->commit_ns_most);
	out_close(o, '}');
}

static void api_numbers(struct out *o, const struct api_counters *c)
{
	out_key(o, "api");
	out_open(o, '{');
	out_u64(o, "connected", c->connected);
	out_u64(o, "subscribers", c->subscribers);
	out_u64(o, "answers_lost", c->answers_lost);
	out_u64(o, "events_lost", c->events_lost);
	refusals(o, "refusals_by_code", c->refusals);
	out_close(o, '}');
}

void status_show(struct request *r)
{
	const struct api_config *config = &r->api->config;
	struct engine_status s;
	struct out o = { 0 };

	engine_status(config->engine, &s);
	out_open(&o, '{');
	out_text(&o, "version", s.version);
	out_time(&o, "now", config->wall_now());
	out_duration(&o, "uptime", mono_since(config->mono_now(), s.started).ns / 1000000);
	out_text(&o, "attach", s.attach ? s.attach : "none");
	out_bool(&o, "maps_reused", s.maps_reused);
	out_u64(&o, "segments", s.segments);
	out_u64(&o, "pools", s.pools);
	out_u64(&o, "vmacs", s.vmacs);
	out_u64(&o, "quarantined", s.quarantined);
	out_u64(&o, "ports", s.ports);
	out_u64(&o, "routers", s.routers);
	out_u64(&o, "clusters", s.clusters);
	out_u64(&o, "commands", s.commands);
	out_u64(&o, "refusals", s.refusals);
	refusals(&o, "refusals_by_code", s.refusals_by_code);
	registry(&o, &s);
	out_key(&o, "fleet");
	view_fleet(&o, &s.fleet);
	api_numbers(&o, &r->api->counters);
	out_close(&o, '}');
	request_answer(r, MHD_HTTP_OK, &o);
}

/* --- the description ------------------------------------------------------------------------- */

void openapi_show(struct request *r)
{
	struct out o = { 0 };

	out_bytes(&o, (const char *)openapi_yaml, openapi_yaml_len - 1);
	request_answer_text(r, "application/yaml", &o);
}
