/* shared -> own: for a host whose own registry was lost: what its blocks' images and its records
 * say, as reservations, into an empty registry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/registry_tool.h"
#include "host/clock.h"

struct regaining {
	const struct tool *tool;
	struct own own;
	struct store_visitor into; /* own */
	struct record_set there;
	struct uuid self;
};

static const struct shared_host *host_named(const struct record_set *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i]->kind == SHARED_HOST && strcmp(s->list[i]->host.name, name) == 0)
			return &s->list[i]->host;
	return NULL;
}

static uint32_t segment_id(const struct own *o, const char *name)
{
	for (size_t i = 0; i < o->segment_count; i++)
		if (strcmp(o->segments[i].name, name) == 0)
			return o->segments[i].id;
	return 0;
}

static uint32_t pool_id(const struct own *o, const char *name)
{
	for (size_t i = 0; i < o->pool_count; i++)
		if (strcmp(o->pools[i].name, name) == 0)
			return o->pools[i].id;
	return 0;
}

/* What a host's links are called, no other host knows. */
static const char *uplink_of(const struct tool *t, const char *segment)
{
	size_t len = strlen(segment);

	for (unsigned int i = 0; i < t->uplink_count; i++)
		if (strncmp(t->uplinks[i], segment, len) == 0 && t->uplinks[i][len] == '=')
			return t->uplinks[i] + len + 1;
	return "";
}

/* The data plane's number: see struct segment. */
static int number_segment(const struct own *o, struct segment *s)
{
	unsigned int slot = 0;

	if (s->uplink[0] == '\0') {
		s->net = (uint16_t)(s->id - 1);
		return 0;
	}
	for (size_t i = 0; i < o->segment_count; i++) {
		const struct segment *other = &o->segments[i];

		if (strcmp(other->uplink, s->uplink) == 0) {
			s->net = (uint16_t)((other->net & 0xf000) | s->vlan);
			return 0;
		}
		if (other->net >> 12 > slot)
			slot = other->net >> 12;
	}
	if (slot == UPLINKS_MAX)
		return -ERANGE;
	s->net = (uint16_t)((slot + 1) << 12 | s->vlan);
	return 0;
}

static int take_segment(struct regaining *g, const struct shared_segment *r, wall_t now,
			struct error *ret_error)
{
	struct segment s = { .id = (uint32_t)g->own.segment_count + 1 };
	const char *uplink = uplink_of(g->tool, r->name);

	if (g->own.segment_count == SEGMENTS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "a host has at most %d segments", SEGMENTS_MAX);
	memcpy(s.name, r->name, sizeof(s.name));
	s.vlan = r->vlan;
	s.created = now;
	if (uplink[0] == '\0' && r->vlan != 0)
		return error_set(ret_error, ERROR_MISSING_FIELD, "give --uplink SEGMENT=IFNAME",
				 "segment %s has VLAN %u: which link carries it here?", r->name,
				 r->vlan);
	if (strlen(uplink) > IFNAME_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_NAME, NULL,
				 "the uplink of segment %s is no interface name", r->name);
	memcpy(s.uplink, uplink, strlen(uplink) + 1);
	if (number_segment(&g->own, &s) < 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "a host has at most %d uplinks", UPLINKS_MAX);
	return g->into.segment(&g->own, &s);
}

static int take_pool(struct regaining *g, const struct shared_pool *r, wall_t now)
{
	struct pool p = r->pool;

	p.id = (uint32_t)g->own.pool_count + 1;
	p.segment = segment_id(&g->own, r->segment);
	p.cursor = 0;
	p.created = now;
	return g->into.pool(&g->own, &p);
}

static int take_vmac(struct regaining *g, const struct vmac *v)
{
	void *block = malloc(vmac_block_size(v));

	return block ? g->into.vmac(&g->own, vmac_block_fill(block, v)) : -ENOMEM;
}

/* A record of its own says more than an image, which is written behind. */
static int take_record(struct regaining *g, const struct shared_vmac *r, wall_t now)
{
	struct vmac v = {
		.address = r->address,
		.kind = r->kind,
		.origin = r->origin,
		.state = VMAC_RESERVED,
		.ip_count = r->ip_count,
		.segment = segment_id(&g->own, r->segment),
		.pool = pool_id(&g->own, r->pool),
		.epoch = r->epoch,
		.created = now,
		.changed = now,
		.ttl_ms = r->ttl_ms,
		.until = r->ttl_ms ? wall_after_ms(now, r->ttl_ms) : WALL_NEVER,
		.name = r->name,
		.owner = r->owner,
		.tenant = r->tenant,
		.note = r->note,
		.ips = r->ips,
	};

	return take_vmac(g, &v);
}

static int take_image(struct regaining *g, const struct shared_image *image)
{
	for (size_t i = 0; i < image->count; i++) {
		struct vmac v = image->vmacs[i];
		struct shared_record key = { .kind = SHARED_VMAC };

		v.segment = segment_id(&g->own, image->segment);
		v.pool = pool_id(&g->own, image->pool);
		v.port = 0;
		if (v.state == VMAC_BOUND)
			v.state = VMAC_RESERVED;
		key.vmac.segment = image->segment;
		key.vmac.address = v.address;
		if (v.state != VMAC_RESERVED && v.state != VMAC_QUARANTINED)
			continue;
		if (record_set_get(&g->there, &key))
			continue;
		if (take_vmac(g, &v) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_cluster(struct regaining *g, const struct shared_cluster *r, wall_t now)
{
	struct cluster own = *r->cluster;

	own.id = (uint32_t)g->own.cluster_count + 1;
	own.segment = segment_id(&g->own, r->segment);
	own.created = now;
	return g->into.cluster(&g->own, &own);
}

/* The records are sorted by kind: segments come before pools, and both before what is in them. */
static int take_all(struct regaining *g, struct error *ret_error)
{
	wall_t now = clock_wall();
	int r = 0;

	for (size_t i = 0; i < g->there.count && r == 0; i++) {
		const struct shared_record *record = g->there.list[i];

		if (record->kind == SHARED_SEGMENT)
			r = take_segment(g, &record->segment, now, ret_error);
		else if (record->kind == SHARED_POOL)
			r = take_pool(g, &record->pool, now);
		else if (record->kind == SHARED_VMAC && record->vmac.state != SHARED_RELEASED &&
			 uuid_equal(&record->vmac.holder, &g->self))
			r = take_record(g, &record->vmac, now);
		else if (record->kind == SHARED_IMAGE && uuid_equal(&record->image.host, &g->self))
			r = take_image(g, &record->image);
		else if (record->kind == SHARED_CLUSTER)
			r = take_cluster(g, &record->cluster, now);
	}
	if (r < 0 && ret_error->code == ERROR_NONE)
		error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	return r;
}

static int regain(struct regaining *g, struct error *ret_error)
{
	const struct shared_host *host;
	int r = record_set_dump(&g->tool->shared, &g->there, ret_error);

	if (r == 0)
		r = record_set_is_whole(&g->there, ret_error);
	if (r < 0)
		return r;
	host = host_named(&g->there, g->tool->host);
	if (!host)
		return error_set(ret_error, ERROR_NOT_FOUND, "name it with --host",
				 "the shared registry knows no host '%.63s'", g->tool->host);
	g->self = host->uuid;
	/* It is that host: nobody else has its blocks, and what it holds. */
	uuid_format(&g->self, g->own.uuid);
	r = take_all(g, ret_error);
	if (r == 0)
		r = own_check(&g->own, ret_error);
	if (r == 0)
		r = own_fill(g->tool->state_dir, &g->own, "copy", ret_error);
	if (r == 0)
		printf("%zu segments, %zu pools, %zu vMACs, %zu clusters written\n",
		       g->own.segment_count, g->own.pool_count, g->own.vmac_count,
		       g->own.cluster_count);
	return r;
}

int registry_regain(const struct tool *t, struct error *ret_error)
{
	struct regaining g = { .tool = t };
	int r;

	own_init(&g.own);
	g.into = own_visitor(&g.own);
	record_set_init(&g.there);
	*ret_error = (struct error){ 0 };
	r = regain(&g, ret_error);
	own_done(&g.own);
	record_set_done(&g.there);
	return r;
}
