/* From one registry to the other.
 *
 * own -> shared: what this host has is claimed for it: its segments and pools (or they are there
 * already, and equal), the blocks that cover what is in use, their images, and a record for each
 * vMAC that was pinned or adopted.  All is looked at first, and every contradiction is listed;
 * nothing is written then.  What is written is created only, so somebody who is faster is a
 * conflict; then what was created is deleted again.
 *
 * shared -> own: for a host whose own registry was lost: what its blocks' images and its records
 * say, as reservations, into an empty registry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"

struct copying {
	const struct tool *tool;
	struct own own;
	struct store_visitor into;	 /* own */
	struct record_set there, wanted; /* wanted: in the order of writing */
	struct uuid self;
	unsigned int conflicts;
	uint32_t number; /* of the last segment that was numbered */
};

static void conflict(struct copying *c, const struct shared_record *r, const char *why)
{
	char key[RECORD_KEY_MAX];

	c->conflicts++;
	fprintf(stderr, "%s: %s\n", record_key(r, key), why);
}

static int out_of_memory(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
}

static void uuid_random(struct uuid *u)
{
	/* Sixteen octets are never cut short. */
	if (getrandom(u->octet, sizeof(u->octet), 0) != sizeof(u->octet))
		abort();
}

/* --- own -> shared: what is wanted ----------------------------------------------------------- */

static int want_host(struct copying *c)
{
	struct shared_record r = { .kind = SHARED_HOST };
	const struct shared_host *there = record_set_host(&c->there, &c->self);
	uint16_t number = 1;

	if (there)
		return 0;
	/* They are sorted by uuid: the smallest number that is free, by asking again for each. */
	for (size_t i = 0; i < c->there.count; i++) {
		const struct shared_record *other = c->there.list[i];

		if (other->kind != SHARED_HOST)
			continue;
		if (strcmp(other->host.name, c->tool->host) == 0)
			conflict(c, other, "this host's name is another host's");
		if (other->host.number == number) {
			number++;
			i = (size_t)-1;
		}
	}
	r.host.uuid = c->self;
	r.host.number = number;
	r.host.address = c->tool->address;
	r.host.tunnel_port = c->tool->tunnel_port;
	snprintf(r.host.name, sizeof(r.host.name), "%s", c->tool->host);
	snprintf(r.host.version, sizeof(r.host.version), "%s", VMAC_VERSION);
	return record_set_add(&c->wanted, &r);
}

static int want_meta(struct copying *c)
{
	struct shared_record r = { .kind = SHARED_META, .meta.format = SHARED_FORMAT };

	if (record_set_get(&c->there, &r))
		return 0;
	uuid_random(&r.meta.cluster);
	return record_set_add(&c->wanted, &r);
}

static bool segment_number_taken(const struct copying *c, uint32_t number)
{
	for (size_t i = 0; i < c->there.count; i++)
		if (c->there.list[i]->kind == SHARED_SEGMENT &&
		    c->there.list[i]->segment.number == number)
			return true;
	return false;
}

static int want_segments(struct copying *c)
{
	for (size_t i = 0; i < c->own.segment_count; i++) {
		const struct segment *s = &c->own.segments[i];
		struct shared_record r = { .kind = SHARED_SEGMENT, .segment.vlan = s->vlan };
		const struct shared_record *there;

		memcpy(r.segment.name, s->name, sizeof(r.segment.name));
		there = record_set_get(&c->there, &r);
		if (there && there->segment.vlan != s->vlan)
			conflict(c, there, "the segment has another VLAN there");
		if (there)
			continue;
		do
			c->number++;
		while (segment_number_taken(c, c->number));
		r.segment.number = c->number;
		if (record_set_add(&c->wanted, &r) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int want_pools(struct copying *c)
{
	for (size_t i = 0; i < c->own.pool_count; i++) {
		struct shared_record r = { .kind = SHARED_POOL };
		const struct shared_record *there;

		r.pool.pool = c->own.pools[i];
		r.pool.block_size = registry_block_size(&r.pool.pool);
		memcpy(r.pool.segment, own_segment(&c->own, r.pool.pool.segment)->name,
		       sizeof(r.pool.segment));
		there = record_set_get(&c->there, &r);
		if (there && !shared_equal(there, &r))
			conflict(c, there, "the pool is another one there (ranges, key, segment…)");
		if (!there && record_set_add(&c->wanted, &r) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* --- own -> shared: blocks and their images -------------------------------------------------- */

struct placed {
	uint64_t number;
	const struct vmac *v;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *p = a, *q = b;

	return (p->number > q->number) - (p->number < q->number);
}

static int want_block(struct copying *c, const struct pool *p, const struct placed *list,
		      size_t count)
{
	struct shared_record block = { .kind = SHARED_BLOCK }, image = { .kind = SHARED_IMAGE };
	const struct shared_record *there;
	struct vmac vmacs[BLOCK_SIZE_MAX];

	memcpy(block.block.pool, p->name, sizeof(p->name));
	block.block.number = list[0].number;
	block.block.host = c->self;
	uuid_random(&block.block.request);
	there = record_set_get(&c->there, &block);
	if (there && !uuid_equal(&there->block.host, &c->self))
		conflict(c, there, "the block is another host's, and this host has vMACs in it");
	for (size_t i = 0; i < count; i++)
		vmacs[i] = *list[i].v;
	memcpy(image.image.pool, p->name, sizeof(p->name));
	memcpy(image.image.segment, own_segment(&c->own, p->segment)->name,
	       sizeof(image.image.segment));
	image.image.number = list[0].number;
	image.image.host = c->self;
	image.image.count = count;
	image.image.vmacs = vmacs;
	if (!there && record_set_add(&c->wanted, &block) < 0)
		return -ENOMEM;
	if (!record_set_get(&c->there, &image))
		return record_set_add(&c->wanted, &image);
	return 0;
}

static int want_blocks_of(struct copying *c, const struct pool *p)
{
	uint32_t size = registry_block_size(p);
	struct pool_machine m;
	struct placed *list = calloc(c->own.vmac_count + 1, sizeof(*list));
	size_t count = 0;
	int r = list ? pool_machine_init(&m, p, &tool_mem) : -ENOMEM;

	if (r < 0) {
		free(list);
		return r;
	}
	for (size_t i = 0; i < c->own.vmac_count; i++) {
		const struct vmac *v = c->own.vmacs[i];
		uint64_t n;

		/* One that is excluded by now has no number; its record says that it is ours. */
		if (v->pool == p->id && registry_number(&m, v->address, &n) == 0)
			list[count++] = (struct placed){ n / size, v };
	}
	qsort(list, count, sizeof(*list), compare_placed);
	for (size_t i = 0, n; i < count && r == 0; i += n) {
		for (n = 1; i + n < count && list[i + n].number == list[i].number; n++)
			;
		r = want_block(c, p, list + i, n);
	}
	pool_machine_done(&m);
	free(list);
	return r;
}

static int want_vmacs(struct copying *c)
{
	for (size_t i = 0; i < c->own.vmac_count; i++) {
		const struct vmac *v = c->own.vmacs[i];
		const struct pool *p = own_pool(&c->own, v->pool);
		struct shared_record r = { .kind = SHARED_VMAC };
		const struct shared_record *there;

		r.vmac = (struct shared_vmac){
			.segment = own_segment(&c->own, v->segment)->name,
			.address = v->address,
			.state = SHARED_HELD,
			.kind = v->kind,
			.origin = v->origin,
			.ip_count = v->ip_count,
			.epoch = v->epoch,
			.holder = c->self,
			.pool = p ? p->name : "",
			.name = v->name,
			.owner = v->owner,
			.tenant = v->tenant,
			.note = v->note,
			.ips = v->ips,
			.ttl_ms = v->ttl_ms,
		};
		there = record_set_get(&c->there, &r);
		if (there && there->vmac.state != SHARED_RELEASED &&
		    !uuid_equal(&there->vmac.holder, &c->self) && v->state != VMAC_AWAY)
			conflict(c, there, "another host holds it");
		if (there || (v->origin != VMAC_PINNED && v->origin != VMAC_ADOPTED) ||
		    (v->state != VMAC_RESERVED && v->state != VMAC_BOUND))
			continue;
		uuid_random(&r.vmac.request);
		if (record_set_add(&c->wanted, &r) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* As they are: their faces are this host's vMACs, whose blocks or records say so. */
static int want_clusters(struct copying *c)
{
	for (size_t i = 0; i < c->own.cluster_count; i++) {
		const struct cluster *own = c->own.clusters[i];
		struct shared_record r = { .kind = SHARED_CLUSTER };
		const struct shared_record *there;

		r.cluster.cluster = own;
		r.cluster.segment = own_segment(&c->own, own->segment)->name;
		there = record_set_get(&c->there, &r);
		if (there && !shared_equal(there, &r))
			conflict(c, there, "the cluster is another one there");
		if (!there && record_set_add(&c->wanted, &r) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* --- own -> shared: writing ------------------------------------------------------------------ */

/* Deletes what was created, newest first; what somebody has changed since stays. */
static void undo(struct registry_link *l, struct copying *c, size_t count)
{
	while (count-- > 0) {
		struct shared_put put = { .record = c->wanted.list[count], .gone = true };
		struct error error;
		char key[RECORD_KEY_MAX];

		if (registry_link_do(l, &put, 1, NULL, &error) < 0)
			fprintf(stderr, "%s stays: %s\n", record_key(put.record, key),
				error.message);
	}
}

/* One transaction a record: an image may be large, and all are created only. */
static int write_wanted(struct copying *c, struct error *ret_error)
{
	struct registry_link *l;
	int r = registry_link_open(&c->tool->shared, &l, ret_error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->wanted.count && r == 0; i++) {
		struct shared_put put = { .record = c->wanted.list[i] };

		r = registry_link_do(l, &put, 1, &c->wanted.list[i]->revision, ret_error);
		if (r < 0)
			undo(l, c, i);
	}
	registry_link_close(l);
	return r;
}

static int want_all(struct copying *c)
{
	int r = want_meta(c);

	if (r == 0)
		r = want_host(c);
	if (r == 0)
		r = want_segments(c);
	if (r == 0)
		r = want_pools(c);
	for (size_t i = 0; i < c->own.pool_count && r == 0; i++)
		r = want_blocks_of(c, &c->own.pools[i]);
	if (r == 0)
		r = want_vmacs(c);
	return r == 0 ? want_clusters(c) : r;
}

static int copy_to_shared(struct copying *c, struct error *ret_error)
{
	struct store *store;
	int r = own_open(c->tool->state_dir, &store, &c->own, ret_error);

	if (r < 0)
		return r;
	if (uuid_parse(c->own.uuid, &c->self) < 0)
		r = error_set(ret_error, ERROR_REGISTRY_CORRUPT, NULL,
			      "the registry's name is no UUID");
	if (r == 0)
		r = own_check(&c->own, ret_error);
	if (r == 0)
		r = record_set_dump(&c->tool->shared, &c->there, ret_error);
	if (r == 0)
		r = record_set_is_whole(&c->there, ret_error);
	if (r == 0 && want_all(c) < 0)
		r = out_of_memory(ret_error);
	if (r == 0 && c->conflicts > 0)
		r = error_set(ret_error, ERROR_CONFLICT, "nothing was written",
			      "%u contradictions, listed above", c->conflicts);
	if (r == 0)
		r = write_wanted(c, ret_error);
	if (r == 0)
		printf("%zu records written for host %s\n", c->wanted.count, c->tool->host);
	store_close(store);
	return r;
}

/* --- shared -> own --------------------------------------------------------------------------- */

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

static int take_segment(struct copying *c, const struct shared_segment *r, wall_t now,
			struct error *ret_error)
{
	struct segment s = { .id = (uint32_t)c->own.segment_count + 1 };
	const char *uplink = uplink_of(c->tool, r->name);

	if (c->own.segment_count == SEGMENTS_MAX)
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
	if (number_segment(&c->own, &s) < 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "a host has at most %d uplinks", UPLINKS_MAX);
	return c->into.segment(&c->own, &s);
}

static int take_pool(struct copying *c, const struct shared_pool *r, wall_t now)
{
	struct pool p = r->pool;

	p.id = (uint32_t)c->own.pool_count + 1;
	p.segment = segment_id(&c->own, r->segment);
	p.cursor = 0;
	p.created = now;
	return c->into.pool(&c->own, &p);
}

static int take_vmac(struct copying *c, const struct vmac *v)
{
	void *block = malloc(vmac_block_size(v));

	return block ? c->into.vmac(&c->own, vmac_block_fill(block, v)) : -ENOMEM;
}

/* A record of its own says more than an image, which is written behind. */
static int take_record(struct copying *c, const struct shared_vmac *r, wall_t now)
{
	struct vmac v = {
		.address = r->address,
		.kind = r->kind,
		.origin = r->origin,
		.state = VMAC_RESERVED,
		.ip_count = r->ip_count,
		.segment = segment_id(&c->own, r->segment),
		.pool = pool_id(&c->own, r->pool),
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

	return take_vmac(c, &v);
}

static int take_image(struct copying *c, const struct shared_image *image)
{
	for (size_t i = 0; i < image->count; i++) {
		struct vmac v = image->vmacs[i];
		struct shared_record key = { .kind = SHARED_VMAC };

		v.segment = segment_id(&c->own, image->segment);
		v.pool = pool_id(&c->own, image->pool);
		v.port = 0;
		if (v.state == VMAC_BOUND)
			v.state = VMAC_RESERVED;
		key.vmac.segment = image->segment;
		key.vmac.address = v.address;
		if (v.state != VMAC_RESERVED && v.state != VMAC_QUARANTINED)
			continue;
		if (record_set_get(&c->there, &key))
			continue;
		if (take_vmac(c, &v) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_cluster(struct copying *c, const struct shared_cluster *r, wall_t now)
{
	struct cluster own = *r->cluster;

	own.id = (uint32_t)c->own.cluster_count + 1;
	own.segment = segment_id(&c->own, r->segment);
	own.created = now;
	return c->into.cluster(&c->own, &own);
}

/* The records are sorted by kind: segments come before pools, and both before what is in them. */
static int take_all(struct copying *c, struct error *ret_error)
{
	struct timespec ts;
	wall_t now;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	now.ms = ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
	for (size_t i = 0; i < c->there.count && r == 0; i++) {
		const struct shared_record *record = c->there.list[i];

		if (record->kind == SHARED_SEGMENT)
			r = take_segment(c, &record->segment, now, ret_error);
		else if (record->kind == SHARED_POOL)
			r = take_pool(c, &record->pool, now);
		else if (record->kind == SHARED_VMAC && record->vmac.state != SHARED_RELEASED &&
			 uuid_equal(&record->vmac.holder, &c->self))
			r = take_record(c, &record->vmac, now);
		else if (record->kind == SHARED_IMAGE && uuid_equal(&record->image.host, &c->self))
			r = take_image(c, &record->image);
		else if (record->kind == SHARED_CLUSTER)
			r = take_cluster(c, &record->cluster, now);
	}
	if (r < 0 && ret_error->code == ERROR_NONE)
		out_of_memory(ret_error);
	return r;
}

static int copy_to_own(struct copying *c, struct error *ret_error)
{
	const struct shared_host *host;
	int r = record_set_dump(&c->tool->shared, &c->there, ret_error);

	if (r == 0)
		r = record_set_is_whole(&c->there, ret_error);
	if (r < 0)
		return r;
	host = host_named(&c->there, c->tool->host);
	if (!host)
		return error_set(ret_error, ERROR_NOT_FOUND, "name it with --host",
				 "the shared registry knows no host '%.63s'", c->tool->host);
	c->self = host->uuid;
	r = take_all(c, ret_error);
	if (r == 0)
		r = own_check(&c->own, ret_error);
	if (r == 0)
		r = own_fill(c->tool->state_dir, &c->own, "copy", ret_error);
	if (r == 0)
		printf("%zu segments, %zu pools, %zu vMACs, %zu clusters written\n",
		       c->own.segment_count, c->own.pool_count, c->own.vmac_count,
		       c->own.cluster_count);
	return r;
}

int registry_copy(const struct tool *t, struct error *ret_error)
{
	struct copying c = { .tool = t };
	int r;

	own_init(&c.own);
	c.into = own_visitor(&c.own);
	record_set_init(&c.there);
	record_set_init(&c.wanted);
	*ret_error = (struct error){ 0 };
	r = strcmp(t->target, "shared") == 0 ? copy_to_shared(&c, ret_error)
					     : copy_to_own(&c, ret_error);
	own_done(&c.own);
	record_set_done(&c.there);
	record_set_done(&c.wanted);
	return r;
}
