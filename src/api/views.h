/* The model as JSON: one object each, in the words of docs/openapi.yaml. */
#pragma once

#include "api/out.h"
#include "engine/engine.h"

void view_segment(struct out *o, const struct segment_view *v);
void view_pool(struct out *o, const struct pool_view *v, bool with_key);
void view_vmac(struct out *o, const struct vmac_view *v);

/* counters NULL: not to be had (no data plane). */
void view_port(struct out *o, const struct port_view *v, const struct counters_view *counters);
void view_counters(struct out *o, const struct counters_view *c);
void view_router(struct out *o, const struct router_view *v);
void view_cluster(struct out *o, const struct cluster_view *v);
void view_transition(struct out *o, const struct elect_event *e);

/* with_name: not where it stands inside of its vMAC. */
void view_move(struct out *o, const struct move_view *v, bool with_name);
void view_host(struct out *o, const struct host_view *v);
void view_fleet(struct out *o, const struct fleet_status *s);
void view_history(struct out *o, const struct history *h);
void view_event(struct out *o, const struct engine_event *e);
