/* The words that metrics are written in. */
#pragma once

#include "api/out.h"
#include "engine/engine.h"

/* HELP and TYPE of a metric; name without "vmac_". */
void metric(struct out *o, const char *name, const char *type, const char *help);

/* A metric of one sample without labels. */
void metric_single(struct out *o, const char *name, const char *type, const char *help, double v);

/* key="value"; backslash, quote and newline are escaped. */
void metric_label(struct out *o, const char *key, const char *value);

/* metrics_fleet.c: nothing where the host is alone. */
void metrics_fleet(struct engine *engine, const struct fleet_status *s, struct out *o);

/* metrics_cluster.c */
void metrics_clusters(struct engine *engine, struct out *o);

/* metrics_router.c */
void metrics_routers(struct engine *engine, struct out *o);
