/* own -> shared: what this host has is claimed for it: its segments and pools (or they are there
 * already, and equal), the blocks that cover what is in use, their images, and a record for each
 * vMAC that was pinned or adopted.  All is looked at first, and every contradiction is listed;
 * nothing is written then.  What is written is created only, so somebody who is faster is a
 * conflict; then what was created is deleted again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"

struct copying {
	const struct tool *tool;
	struct own own;
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

/* --- what is wanted -------------------------------------------------------------------------- */

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

/* --- blocks and their images ----------------------------------------------------------------- */

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

/* --- writing --------------------------------------------------------------------------------- */

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

static int claim_own(struct copying *c, struct error *ret_error)
{
	struct store *store;
	int r = own_open(c->tool->state_dir, NULL, &store, &c->own, ret_error);

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

int registry_claim(const struct tool *t, struct error *ret_error)
{
	struct copying c = { .tool = t };
	int r;

	own_init(&c.own);
	record_set_init(&c.there);
	record_set_init(&c.wanted);
	*ret_error = (struct error){ 0 };
	r = claim_own(&c, ret_error);
	own_done(&c.own);
	record_set_done(&c.there);
	record_set_done(&c.wanted);
	return r;
}
