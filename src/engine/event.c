/* Durable changes and changes of phase, as events. */
#include <stdio.h>

#include "base/cleanup.h"
#include "engine/inside.h"
#include "model/record.h"

static const char *const phase_names[] = {
	[PORT_WAITING] = "waiting",
	[PORT_ACTIVE] = "active",
	[PORT_FAILED] = "failed",
};

_Static_assert(ARRAY_LEN(phase_names) == PORT_PHASE_COUNT, "every phase has a name");

const char *port_phase_name(enum port_phase p)
{
	return phase_names[p];
}

void engine_subscribe(struct engine *e, void (*fn)(void *ctx, const struct engine_event *event),
		      void *ctx)
{
	e->event_fn = fn;
	e->event_ctx = ctx;
}

static void event_tell(struct engine *e, struct engine_event *event)
{
	if (!e->event_fn)
		return;
	event->seq = ++e->event_seq;
	e->event_fn(e->event_ctx, event);
}

static const char *segment_name(const struct engine *e, uint32_t id)
{
	const struct world_segment *s = world_segment(&e->world, id);

	return s ? s->record->name : "";
}

void event_change(struct engine *e, const struct txn *t, const struct change *c)
{
	char from[STATE_TEXT_MAX], to[STATE_TEXT_MAX], address[VMAC_MAC_TEXT_MAX];
	const void *record = c->after ? c->after : c->before;
	struct engine_event event = {
		.at = t->base.at,
		.what = change_kind_name(c->kind),
		.segment = "",
		.verb = c->verb,
		.actor = t->who,
		.reason = t->reason,
	};

	if (!e->event_fn)
		return;
	switch (c->kind) {
	case CHANGE_SEGMENT:
		event.subject = ((const struct segment *)record)->name;
		break;
	case CHANGE_POOL:
		event.subject = ((const struct pool *)record)->name;
		event.segment = segment_name(e, ((const struct pool *)record)->segment);
		break;
	case CHANGE_VMAC:
		event.subject = vmac_mac_format(((const struct vmac *)record)->address,
						VMAC_MAC_COLON, address);
		event.segment = segment_name(e, ((const struct vmac *)record)->segment);
		break;
	case CHANGE_PORT:
		event.subject = ((const struct port *)record)->name;
		event.segment = segment_name(e, ((const struct port *)record)->segment);
		break;
	case CHANGE_ROUTER:
		event.subject = ((const struct router *)record)->name;
		break;
	case CHANGE_CLUSTER:
		event.subject = ((const struct cluster *)record)->name;
		event.segment = segment_name(e, ((const struct cluster *)record)->segment);
		break;
	case CHANGE_SHARED:
	case CHANGE_KIND_COUNT:
		return;
	}
	event.from = change_state_text(c->kind, c->before, from);
	event.to = change_state_text(c->kind, c->after, to);
	event_tell(e, &event);
}

void event_phase(struct engine *e, const struct port *p, enum port_phase from, enum port_phase to,
		 const char *why)
{
	struct engine_event event = {
		.at = e->cfg.wall_now(),
		.what = "port",
		.segment = segment_name(e, p->segment),
		.subject = p->name,
		.verb = "phase",
		.actor = "vmacd",
		.reason = why,
		.from = port_phase_name(from),
		.to = port_phase_name(to),
	};

	event_tell(e, &event);
}

void event_uplink(struct engine *e, const char *ifname, const char *verb, const char *why)
{
	struct engine_event event = {
		.at = e->cfg.wall_now(),
		.what = "uplink",
		.segment = "",
		.subject = ifname,
		.verb = verb,
		.actor = "vmacd",
		.reason = why,
		.from = "",
		.to = "",
	};

	event_tell(e, &event);
}

void event_fleet(struct engine *e, const char *what, const char *segment, const char *subject,
		 const char *verb, const char *from, const char *to, const char *reason)
{
	struct engine_event event = {
		.at = e->cfg.wall_now(),
		.what = what,
		.segment = segment,
		.subject = subject,
		.verb = verb,
		.actor = "vmacd",
		.reason = reason,
		.from = from,
		.to = to,
	};

	event_tell(e, &event);
}

void event_election(struct engine *e, const struct elect_event *transition)
{
	char reason[sizeof(transition->detail) + 64];
	struct engine_event event = {
		.at = transition->at,
		.what = "router",
		.segment = "",
		.subject = transition->name,
		.verb = transition->transition ? "transition" : "note",
		.actor = "vmacd",
		.reason = reason,
		.from = transition->from,
		.to = transition->to,
	};

	snprintf(reason, sizeof(reason), "%s%s%s", transition->reason,
		 transition->detail[0] ? ": " : "", transition->detail);
	event_tell(e, &event);
}
