#include "daemon/bootstrap.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "model/record.h"

/* Who writes the file is root. */
static const struct caller configuration = { "vmacd", "configuration", true };

static void told(void *ctx, const struct answer *answer)
{
	if (answer->error && answer->error->code != ERROR_NAME_IN_USE)
		log_warning("configuration: %s: %s", (const char *)ctx, answer->error->message);
}

static void make_pool(struct engine *e, struct config_pool *p)
{
	struct pool_add add = {
		.name = p->name,
		.segment = p->segment,
		.limit = p->limit,
		.quarantine_ms = -1,
		.range_count = p->ranges_count,
		.exclude_count = p->excludes_count,
		.has_key = p->key != NULL,
	};

	/* config_check() has passed them all. */
	for (unsigned int i = 0; i < p->ranges_count; i++)
		vmac_mac_range_parse(p->ranges[i], &add.ranges[i], NULL);
	for (unsigned int i = 0; i < p->excludes_count; i++)
		vmac_mac_range_parse(p->excludes[i], &add.excludes[i], NULL);
	if (p->quarantine)
		duration_parse(p->quarantine, &add.quarantine_ms);
	for (unsigned int i = 0; p->key && i < sizeof(add.key); i++)
		sscanf(p->key + 2 * i, "%2hhx", &add.key[i]);
	engine_pool_add(e, &configuration, &add, told, p->name);
}

void bootstrap(struct engine *e, const struct config *c)
{
	for (unsigned int i = 0; i < c->segments_count; i++) {
		struct config_segment *s = &c->segments[i];
		struct segment_add add = {
			.name = s->name,
			.uplink = s->uplink ? s->uplink : "",
			.vlan = (uint16_t)s->vlan,
		};

		engine_segment_add(e, &configuration, &add, told, s->name);
	}
	for (unsigned int i = 0; i < c->pools_count; i++)
		make_pool(e, &c->pools[i]);
}

void bootstrap_routers(struct engine *e, const struct config *c, answer_fn done, void *ctx)
{
	engine_routers_apply(e, &configuration, (const struct router *const *)c->routers,
			     c->routers_count, done, ctx);
}
