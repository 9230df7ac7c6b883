/* The fake engine, looked at. */
#include "fake_inside.h"

#include <string.h>

#include "base/cleanup.h"

/* --- views ----------------------------------------------------------------------------------- */

const char *port_phase_name(enum port_phase p)
{
	static const char *const names[] = { "waiting", "active", "failed" };

	return names[p];
}

static void see_segment(struct engine *e, int i, struct segment_view *ret)
{
	*ret = (struct segment_view){ .segment = e->segments[i],
				      .vmacs = e->vmac_count,
				      .uplink_present = e->segments[i]->uplink[0] != '\0',
				      .uplink_mtu = 1500,
				      .reception = "filter" };
	if (strcmp(e->segments[i]->uplink, "absent0") == 0) {
		ret->uplink_present = false;
		ret->reception = "none";
		error_set(&ret->trouble, ERROR_NO_INTERFACE, "it is waited for",
			  "there is no interface absent0");
	}
}

int engine_segment_view(struct engine *e, const char *name, struct segment_view *ret,
			struct error *ret_error)
{
	int i = fake_segment_at(e, name);

	if (i < 0)
		return fake_not_found("segment", name, ret_error);
	see_segment(e, i, ret);
	return 0;
}

static void see_pool(struct engine *e, int i, struct pool_view *ret)
{
	uint64_t size = 0;

	for (unsigned int r = 0; r < e->pools[i]->range_count; r++)
		size += vmac_mac_range_size(e->pools[i]->ranges[r]);
	*ret = (struct pool_view){ .pool = e->pools[i],
				   .segment = e->segments[0]->name,
				   .size = size,
				   .used = e->vmac_count,
				   .available = size - e->vmac_count,
				   .next_free = WALL_NEVER,
				   .blocks = 2,
				   .block_size = i == 0 ? 256 : 0 };
}

int engine_pool_view(struct engine *e, const char *name, struct pool_view *ret,
		     struct error *ret_error)
{
	int i = fake_pool_at(e, name);

	if (i < 0)
		return fake_not_found("pool", name, ret_error);
	see_pool(e, i, ret);
	return 0;
}

void engine_vmac_look(struct engine *e, const struct vmac *v, struct vmac_view *ret)
{
	*ret = (struct vmac_view){ .vmac = v,
				   .segment = e->segments[0]->name,
				   .pool = v->pool && e->pools[0] ? e->pools[0]->name : "",
				   .port = v->port ? e->ports[v->port - 1]->name : "" };
	ret->has_move = fake_fleet_move(v->address, &ret->move);
}

int engine_vmac_view(struct engine *e, const struct vmac_ref *ref, struct vmac_view *ret,
		     struct error *ret_error)
{
	long i = fake_vmac_at(e, ref);

	if (i < 0)
		return fake_not_found("vMAC", ref->which, ret_error);
	engine_vmac_look(e, e->vmacs[i], ret);
	return 0;
}

static void see_port(struct engine *e, int i, struct port_view *ret)
{
	*ret = (struct port_view){ .port = e->ports[i],
				   .segment = e->segments[0]->name,
				   .phase = PORT_ACTIVE,
				   .ifindex = 40 + i,
				   .mtu = e->ports[i]->mtu };
}

int engine_port_view(struct engine *e, const char *name, struct port_view *ret,
		     struct error *ret_error)
{
	int i = fake_port_at(e, name);

	if (i < 0)
		return fake_not_found("port", name, ret_error);
	see_port(e, i, ret);
	return 0;
}

void engine_segments(struct engine *e, void (*fn)(void *ctx, const struct segment_view *v),
		     void *ctx)
{
	struct segment_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i]) {
			see_segment(e, i, &v);
			fn(ctx, &v);
		}
}

void engine_pools(struct engine *e, void (*fn)(void *ctx, const struct pool_view *v), void *ctx)
{
	struct pool_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->pools[i]) {
			see_pool(e, i, &v);
			fn(ctx, &v);
		}
}

void engine_ports(struct engine *e, void (*fn)(void *ctx, const struct port_view *v), void *ctx)
{
	struct port_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->ports[i]) {
			see_port(e, i, &v);
			fn(ctx, &v);
		}
}

int engine_vmacs(struct engine *e, const struct vmac_filter *f,
		 void (*fn)(void *ctx, const struct vmac_view *v), void *ctx, bool *ret_more,
		 struct error *ret_error)
{
	struct vmac_view view;
	unsigned int told = 0;

	if (f->segment[0] && fake_segment_at(e, f->segment) < 0)
		return fake_not_found("segment", f->segment, ret_error);
	*ret_more = false;
	for (size_t i = 0; i < e->vmac_count; i++) {
		const struct vmac *v = e->vmacs[i];

		if (f->after && vmac_mac_compare(v->address, f->after_address) <= 0)
			continue;
		if ((f->state >= 0 && v->state != f->state) ||
		    (f->owner[0] && strcmp(v->owner, f->owner) != 0))
			continue;
		if (told++ == f->limit) {
			*ret_more = true;
			return 0;
		}
		engine_vmac_look(e, v, &view);
		fn(ctx, &view);
	}
	return 0;
}

static void count(struct engine *e, struct counters_view *ret)
{
	*ret = (struct counters_view){ .rx_frames = 100,
				       .rx_octets = 6400,
				       .tx_frames = 50,
				       .tx_octets = 3200,
				       .link_dropped = 1,
				       .redirected = 7,
				       .last_seen_ms = 3000,
				       .reason_count = ARRAY_LEN(e->drops),
				       .drops = e->drops };
}

int engine_port_counters(struct engine *e, const char *port, struct counters_view *ret,
			 struct error *ret_error)
{
	if (fake_port_at(e, port) < 0)
		return fake_not_found("port", port, ret_error);
	count(e, ret);
	return 0;
}

int engine_uplink_counters(struct engine *e, const char *uplink, struct counters_view *ret,
			   struct error *ret_error)
{
	count(e, ret);
	return 0;
}

void engine_uplinks(struct engine *e, void (*fn)(void *ctx, const char *uplink), void *ctx)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i] && e->segments[i]->uplink[0])
			fn(ctx, e->segments[i]->uplink);
}

unsigned int engine_drop_reason_count(void)
{
	return 2;
}

const char *engine_drop_reason_name(unsigned int reason)
{
	return reason == 0 ? "spoofed_mac" : "gate_closed";
}

const char *engine_drop_reason_meaning(unsigned int reason)
{
	return "a reason of the fake engine";
}

void engine_status(struct engine *e, struct engine_status *ret)
{
	*ret = (struct engine_status){ .version = VMAC_VERSION,
				       .registry_backend = "fake",
				       .registry_where = "memory",
				       .registry_uuid = "none",
				       .attach = "none",
				       .registry_healthy = true,
				       .vmacs = e->vmac_count,
				       .commits = e->commands,
				       .transactions = e->commands,
				       .commit_ns_last = 1500000,
				       .commit_ns_most = 2500000,
				       .commands = e->commands,
				       .refusals = e->refusals,
				       .started = e->started };
	fake_fleet_status(&ret->fleet);
	memcpy(ret->refusals_by_code, e->by_code, sizeof(e->by_code));
	for (int i = 0; i < FAKE_MAX; i++) {
		ret->segments += e->segments[i] != NULL;
		ret->pools += e->pools[i] != NULL;
		ret->ports += e->ports[i] != NULL;
	}
}

/* Five lines, 5 … 1; `before` and `limit` are obeyed. */
void engine_history(struct engine *e, const struct history_filter *f,
		    void (*fn)(void *ctx, const struct error *error, const struct history *lines,
			       size_t count),
		    void *ctx)
{
	struct history lines[5];
	size_t n = 0;

	for (uint64_t seq = 5; seq > 0 && n < f->limit; seq--)
		if (!f->before || seq < f->before)
			lines[n++] = (struct history){ .seq = seq,
						       .at = { 1000 * (int64_t)seq },
						       .kind = CHANGE_VMAC,
						       .segment = "lan",
						       .subject = "0a:22:33:00:00:01",
						       .verb = "allocate",
						       .actor = "uid 0",
						       .reason = "",
						       .from = "",
						       .to = "reserved" };
	fn(ctx, NULL, lines, n);
}

void engine_subscribe(struct engine *e, void (*fn)(void *ctx, const struct engine_event *event),
		      void *ctx)
{
	e->event_fn = fn;
	e->event_ctx = ctx;
}
