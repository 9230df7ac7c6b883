/* Views of what many hosts share. */
#include "api/views.h"

#define WHOLE_SECONDS_MS 10000

/* Milliseconds say something of what just happened; of what is long ago they are noise. */
static void out_span(struct out *o, const char *key, int64_t ms)
{
	out_duration(o, key, ms < WHOLE_SECONDS_MS ? ms : ms - ms % 1000);
}

static void view_wire(struct out *o, const struct wire_view *v)
{
	out_key(o, "wire");
	out_open(o, '{');
	out_text(o, "as", v->as);
	out_text(o, "because", v->because);
	out_u64(o, "frames", v->frames);
	out_span(o, "first", v->first_ms);
	out_span(o, "last", v->last_ms);
	for (unsigned int i = 0; i < WIRE_USES; i++)
		out_u64(o, v->uses[i].name, v->uses[i].looked);
	out_close(o, '}');
}

void view_move(struct out *o, const struct move_view *v, bool with_name)
{
	out_open(o, '{');
	if (with_name) {
		out_mac(o, "address", v->address);
		out_text(o, "segment", v->segment);
	}
	out_text(o, "state", v->state);
	out_text(o, "meaning", v->state_meaning);
	out_text(o, "gate", v->gate);
	out_text(o, "reason", v->reason);
	out_text(o, "because", v->reason_meaning);
	out_text(o, "holder", v->holder);
	out_text(o, "to", v->to);
	out_text(o, "asks", v->asks);
	out_u64(o, "epoch", v->epoch);
	out_span(o, "since", v->since_ms);
	if (v->expires_ms >= 0)
		out_span(o, "expires", v->expires_ms);
	out_u64(o, "strangers", v->strangers);
	if (v->stranger_ms >= 0)
		out_span(o, "stranger_last", v->stranger_ms);
	if (v->wire.frames)
		view_wire(o, &v->wire);
	out_close(o, '}');
}

void view_host(struct out *o, const struct host_view *v)
{
	out_open(o, '{');
	out_text(o, "name", v->name);
	out_text(o, "uuid", v->uuid);
	out_text(o, "state", v->state);
	out_bool(o, "self", v->self);
	out_bool(o, "alive", v->alive);
	out_u64(o, "number", v->number);
	out_text(o, "address", v->address);
	out_u64(o, "tunnel_port", v->tunnel_port);
	out_text(o, "version", v->version);
	out_text(o, "fenced_by", v->fenced_by);
	out_u64(o, "incarnation", v->incarnation);
	out_u64(o, "blocks", v->blocks);
	out_u64(o, "vmacs", v->vmacs);
	out_close(o, '}');
}

void view_fleet(struct out *o, const struct fleet_status *s)
{
	out_open(o, '{');
	out_bool(o, "shared", s->shared);
	if (!s->shared) {
		out_close(o, '}');
		return;
	}
	out_text(o, "name", s->name);
	out_text(o, "uuid", s->uuid);
	out_text(o, "state", s->state);
	out_text(o, "cluster", s->cluster);
	out_u64(o, "number", s->number);
	out_text(o, "backend", s->backend);
	out_text(o, "endpoint", s->endpoint);
	out_bool(o, "reachable", s->reachable);
	out_span(o, "since", s->since_ms);
	out_trouble(o, "trouble", &s->error);
	out_bool(o, "complete", s->complete);
	out_bool(o, "joined", s->joined);
	out_u64(o, "hosts", s->hosts);
	out_u64(o, "alive", s->alive);
	out_u64(o, "blocks", s->blocks);
	out_u64(o, "blocks_ours", s->blocks_ours);
	out_u64(o, "available", s->available);
	out_u64(o, "records", s->records);
	out_u64(o, "moves", s->moves);
	out_u64(o, "alarms", s->alarms);
	out_u64(o, "images_behind", s->images_behind);
	out_u64(o, "claims_lost", s->claims_lost);
	out_u64(o, "revision", s->revision);
	out_u64(o, "txns", s->txns);
	out_u64(o, "lost", s->lost);
	out_u64(o, "unreachable", s->unreachable);
	out_u64(o, "refused", s->refused);
	out_u64(o, "reads", s->reads);
	out_u64(o, "watches", s->watches);
	out_u64(o, "reconnects", s->reconnects);
	out_u64(o, "reconciles", s->reconciles);
	out_u64(o, "txn_ns_last", (uint64_t)s->txn_ns_last);
	out_u64(o, "txn_ns_most", (uint64_t)s->txn_ns_most);
	out_u64(o, "read_ns_last", (uint64_t)s->read_ns_last);
	out_bool(o, "tagged", s->tagged);
	out_u64(o, "announced", s->announced);
	out_u64(o, "queried", s->queried);
	out_u64(o, "send_failed", s->send_failed);
	out_u64(o, "claims_valid", s->claims_valid);
	out_u64(o, "claims_untagged", s->claims_untagged);
	out_u64(o, "claims_forged", s->claims_forged);
	out_close(o, '}');
}
