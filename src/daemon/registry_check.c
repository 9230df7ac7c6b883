/* Whether the records of the shared registry can all be true.  A finding is a line; what can be
 * mended by itself has a put beside it.  Nothing is mended that would make an address less sure:
 * what only somebody who knows the hosts can decide is left to them. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"

/* A vMAC that somebody has, by a record or an image. */
struct standing {
	vmac_mac_t address;
	const char *segment;
	uint8_t kind;
};

struct checking {
	const struct record_set *set;
	struct findings *to;
	struct standing *standing; /* sorted by address; where there are clusters */
	size_t standing_count;
	bool no_memory;
};

static struct finding *find(struct checking *c, const struct shared_record *about, const char *fmt,
			    ...) __attribute__((format(printf, 3, 4)));

/* Never NULL: where memory is short, what is written to is not kept. */
static struct finding *find(struct checking *c, const struct shared_record *about, const char *fmt,
			    ...)
{
	static struct finding lost;
	struct findings *f = c->to;
	char key[RECORD_KEY_MAX];
	struct finding *one = &lost;
	va_list ap;
	int used;

	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct finding *list = reallocarray(f->list, room, sizeof(*list));

		c->no_memory |= !list;
		f->list = list ? list : f->list;
		f->room = list ? room : f->room;
	}
	if (f->count < f->room)
		one = &f->list[f->count++];
	*one = (struct finding){ .repair = "an operator has to decide" };
	used = snprintf(one->text, sizeof(one->text), "%.300s: ", record_key(about, key));
	va_start(ap, fmt);
	vsnprintf(one->text + used, sizeof(one->text) - (size_t)used, fmt, ap);
	va_end(ap);
	return one;
}

static void mend_by_deleting(struct finding *f, const struct shared_record *r)
{
	snprintf(f->repair, sizeof(f->repair), "delete it");
	f->put = (struct shared_put){ .record = r, .gone = true };
}

static const char *name_of(const struct checking *c, const struct uuid *u, char buf[UUID_TEXT_MAX])
{
	const struct shared_host *h = record_set_host(c->set, u);

	return h ? h->name : uuid_format(u, buf);
}

/* --- hosts, segments, pools ------------------------------------------------------------------ */

static void check_host(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];

	for (size_t i = 0; i < at; i++) {
		const struct shared_host *other = &c->set->list[i]->host;

		if (c->set->list[i]->kind != SHARED_HOST)
			continue;
		if (other->number == r->host.number)
			find(c, r, "host %s has the number %u, and so has %s", r->host.name,
			     r->host.number, other->name);
		if (strcmp(other->name, r->host.name) == 0)
			find(c, r, "its name %s is another host's too", r->host.name);
	}
	if (host_state_is_dead((enum host_state)r->host.state) && r->host.fenced_by[0] == '\0')
		find(c, r, "host %s is said to be dead, and nobody vouches for it", r->host.name);
}

static void check_segment(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];

	for (size_t i = 0; i < at; i++)
		if (c->set->list[i]->kind == SHARED_SEGMENT &&
		    c->set->list[i]->segment.number == r->segment.number)
			find(c, r, "it has the number %u, and so has segment %s", r->segment.number,
			     c->set->list[i]->segment.name);
}

static bool has_segment(const struct checking *c, const char *name)
{
	struct shared_record key = { .kind = SHARED_SEGMENT };

	snprintf(key.segment.name, sizeof(key.segment.name), "%s", name);
	return record_set_get(c->set, &key) != NULL;
}

static void check_pool(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	struct error error;

	if (!has_segment(c, r->pool.segment))
		find(c, r, "its segment %s is not there", r->pool.segment);
	if (pool_config_check(&r->pool.pool, &error) < 0) {
		find(c, r, "%.200s", error.message);
		return;
	}
	if (r->pool.block_size != registry_block_size(&r->pool.pool))
		find(c, r, "its blocks have %u numbers; a pool of its size has blocks of %u",
		     r->pool.block_size, registry_block_size(&r->pool.pool));
	for (size_t i = 0; i < at; i++) {
		const struct shared_record *other = c->set->list[i];

		if (other->kind == SHARED_POOL &&
		    strcmp(other->pool.segment, r->pool.segment) == 0 &&
		    pool_configs_overlap(&other->pool.pool, &r->pool.pool))
			find(c, r, "its ranges overlap those of pool %s", other->pool.pool.name);
	}
}

/* --- blocks and their images ----------------------------------------------------------------- */

static const struct shared_record *image_of(const struct checking *c, const char *pool,
					    uint64_t number)
{
	struct shared_record key = { .kind = SHARED_IMAGE, .image.number = number };

	snprintf(key.image.pool, sizeof(key.image.pool), "%s", pool);
	return record_set_get(c->set, &key);
}

static void check_block(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_pool *pool = record_set_pool(c->set, r->block.pool);
	const struct shared_record *image = image_of(c, r->block.pool, r->block.number);
	char uuid[UUID_TEXT_MAX];
	uint64_t size;

	if (!pool) {
		mend_by_deleting(find(c, r, "its pool is not there"), r);
		return;
	}
	size = pool_space_measure(&pool->pool, POOL_SPACE_USABLE);
	if (r->block.number > (size - 1) / pool->block_size)
		find(c, r, "it lies behind the end of its pool");
	if (uuid_is_none(&r->block.host) || record_set_host(c->set, &r->block.host))
		return;
	if (image && image->image.count > 0)
		find(c, r, "its host %s is not known, and has vMACs in it",
		     uuid_format(&r->block.host, uuid));
	else
		mend_by_deleting(find(c, r, "its host %s is not known, and has nothing in it",
				      uuid_format(&r->block.host, uuid)),
				 r);
}

static const struct shared_record *record_of(const struct checking *c, const char *segment,
					     vmac_mac_t address)
{
	struct shared_record key = { .kind = SHARED_VMAC,
				     .vmac = { .segment = segment, .address = address } };

	return record_set_get(c->set, &key);
}

/* One vMAC of an image against what everybody was told of it. */
static void check_image_vmac(struct checking *c, const struct shared_record *r,
			     const struct vmac *v)
{
	const struct shared_record *told = record_of(c, r->image.segment, v->address);
	char mac[VMAC_MAC_TEXT_MAX], one[UUID_TEXT_MAX], two[UUID_TEXT_MAX];
	bool holds = v->state == VMAC_RESERVED || v->state == VMAC_BOUND;

	vmac_mac_format(v->address, VMAC_MAC_COLON, mac);
	if (vmac_mac_is_group(v->address))
		find(c, r, "%s is a group address", mac);
	if (!told || told->vmac.state == SHARED_RELEASED)
		return;
	if (holds && !uuid_equal(&told->vmac.holder, &r->image.host) &&
	    v->epoch >= told->vmac.epoch)
		find(c, r, "%s is held by %s here at epoch %llu, and by %s at epoch %llu", mac,
		     name_of(c, &r->image.host, one), (unsigned long long)v->epoch,
		     name_of(c, &told->vmac.holder, two), (unsigned long long)told->vmac.epoch);
	if (v->state == VMAC_AWAY && v->epoch > told->vmac.epoch)
		find(c, r, "%s is away at epoch %llu, and its record says %llu", mac,
		     (unsigned long long)v->epoch, (unsigned long long)told->vmac.epoch);
}

static void check_image_numbers(struct checking *c, const struct shared_record *r,
				const struct shared_pool *pool)
{
	char mac[VMAC_MAC_TEXT_MAX];
	struct pool_machine m;
	struct error ignored;

	if (pool_config_check(&pool->pool, &ignored) < 0)
		return;
	if (pool_machine_init(&m, &pool->pool, &tool_mem) < 0) {
		c->no_memory = true;
		return;
	}
	for (size_t i = 0; i < r->image.count; i++) {
		vmac_mac_t address = r->image.vmacs[i].address;
		uint64_t n;

		vmac_mac_format(address, VMAC_MAC_COLON, mac);
		if (!pool_machine_has(&m, address))
			find(c, r, "%s is not of its pool", mac);
		else if (registry_number(&m, address, &n) == 0 &&
			 n / pool->block_size != r->image.number)
			find(c, r, "%s is of block %016llx, not of this one", mac,
			     (unsigned long long)(n / pool->block_size));
	}
	pool_machine_done(&m);
}

static void check_image(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_block *block = record_set_block(c->set, r->image.pool, r->image.number);
	const struct shared_pool *pool = record_set_pool(c->set, r->image.pool);
	char one[UUID_TEXT_MAX], two[UUID_TEXT_MAX];

	for (size_t i = 0; i < r->image.count; i++)
		check_image_vmac(c, r, &r->image.vmacs[i]);
	if (r->image.pool[0] == '\0') {
		if (!record_set_host(c->set, &r->image.host))
			find(c, r, "its host is not known");
		return;
	}
	if (!pool || !block || uuid_is_none(&block->host)) {
		struct finding *f = find(c, r, "nobody has its block");

		if (r->image.count == 0)
			mend_by_deleting(f, r);
		return;
	}
	if (!uuid_equal(&block->host, &r->image.host))
		find(c, r, "it was written by %s, and the block is %s's",
		     name_of(c, &r->image.host, one), name_of(c, &block->host, two));
	check_image_numbers(c, r, pool);
}

/* --- one address in two images --------------------------------------------------------------- */

struct place {
	const struct shared_record *image;
	const struct vmac *v;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;
	int order = strcmp(p->image->image.segment, q->image->image.segment);
	uint64_t k = vmac_mac_u64(p->v->address), l = vmac_mac_u64(q->v->address);

	return order ? order : (k > l) - (k < l);
}

/* AWAY says that another has it, which then stands in the other's image as well. */
static void check_twice(struct checking *c)
{
	char mac[VMAC_MAC_TEXT_MAX], key[RECORD_KEY_MAX];
	size_t count = 0, n = 0;
	struct place *places;

	for (size_t i = 0; i < c->set->count; i++)
		if (c->set->list[i]->kind == SHARED_IMAGE)
			count += c->set->list[i]->image.count;
	places = calloc(count + 1, sizeof(*places));
	if (!places) {
		c->no_memory = true;
		return;
	}
	for (size_t i = 0; i < c->set->count; i++) {
		const struct shared_record *r = c->set->list[i];

		if (r->kind != SHARED_IMAGE)
			continue;
		for (size_t j = 0; j < r->image.count; j++)
			if (r->image.vmacs[j].state != VMAC_AWAY &&
			    r->image.vmacs[j].state != VMAC_MOVING)
				places[n++] = (struct place){ r, &r->image.vmacs[j] };
	}
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1; i < n; i++)
		if (compare_places(&places[i - 1], &places[i]) == 0)
			find(c, places[i].image, "%s stands in %.200s too",
			     vmac_mac_format(places[i].v->address, VMAC_MAC_COLON, mac),
			     record_key(places[i - 1].image, key));
	free(places);
}

/* --- clusters -------------------------------------------------------------------------------- */

static int compare_standing(const void *a, const void *b)
{
	uint64_t k = vmac_mac_u64(((const struct standing *)a)->address);
	uint64_t l = vmac_mac_u64(((const struct standing *)b)->address);

	return (k > l) - (k < l);
}

static bool has_clusters(const struct record_set *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i]->kind == SHARED_CLUSTER)
			return true;
	return false;
}

/* Who has what, so that members are found whose hosts gave them no record of their own. */
static void gather_standing(struct checking *c)
{
	const struct record_set *s = c->set;
	size_t count = 1;

	if (!has_clusters(s))
		return;
	for (size_t i = 0; i < s->count; i++)
		count += s->list[i]->kind == SHARED_IMAGE ? s->list[i]->image.count : 1;
	c->standing = calloc(count, sizeof(*c->standing));
	c->no_memory |= !c->standing;
	for (size_t i = 0; c->standing && i < s->count; i++) {
		const struct shared_record *r = s->list[i];

		if (r->kind == SHARED_VMAC && r->vmac.state != SHARED_RELEASED)
			c->standing[c->standing_count++] =
				(struct standing){ r->vmac.address, r->vmac.segment, r->vmac.kind };
		for (size_t n = 0; r->kind == SHARED_IMAGE && n < r->image.count; n++)
			if (r->image.vmacs[n].state != VMAC_QUARANTINED)
				c->standing[c->standing_count++] =
					(struct standing){ r->image.vmacs[n].address,
							   r->image.segment,
							   r->image.vmacs[n].kind };
	}
	if (c->standing)
		qsort(c->standing, c->standing_count, sizeof(*c->standing), compare_standing);
}

/* In that segment where there is one; NULL: nobody has it. */
static const struct standing *standing_of(const struct checking *c, vmac_mac_t address,
					  const char *segment)
{
	const struct standing *end = c->standing + c->standing_count, *found = NULL;
	size_t low = 0, high = c->standing_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (vmac_mac_u64(c->standing[middle].address) < vmac_mac_u64(address))
			low = middle + 1;
		else
			high = middle;
	}
	for (const struct standing *s = c->standing + low;
	     s < end && vmac_mac_equal(s->address, address); s++)
		if (!found || strcmp(s->segment, segment) == 0)
			found = s;
	return found;
}

static bool has_face(const struct cluster *c, vmac_mac_t address)
{
	for (unsigned int i = 0; i < c->face_count; i++)
		if (vmac_mac_equal(c->faces[i], address))
			return true;
	return false;
}

static bool cluster_of(const struct checking *c, const struct shared_vmac *v)
{
	for (size_t i = 0; i < c->set->count; i++) {
		const struct shared_record *r = c->set->list[i];

		if (r->kind == SHARED_CLUSTER && strcmp(r->cluster.segment, v->segment) == 0 &&
		    has_face(r->cluster.cluster, v->address))
			return true;
	}
	return false;
}

static bool has_ip(const struct cluster *c, const struct ip *ip)
{
	for (unsigned int i = 0; i < c->address_count; i++)
		if (ip_equal(&c->addresses[i], ip))
			return true;
	return false;
}

/* What it has in common with one before it. */
static void check_cluster_beside(struct checking *c, const struct shared_record *r,
				 const struct shared_record *other)
{
	const struct cluster *a = r->cluster.cluster, *b = other->cluster.cluster;
	char mac[VMAC_MAC_TEXT_MAX], ip[IP_TEXT_MAX];

	if (strcmp(r->cluster.segment, other->cluster.segment) != 0)
		return;
	for (unsigned int i = 0; i < a->face_count; i++)
		if (has_face(b, a->faces[i]))
			find(c, r, "its face %s is cluster %s's too",
			     vmac_mac_format(a->faces[i], VMAC_MAC_COLON, mac), b->name);
	for (unsigned int i = 0; i < a->address_count; i++)
		if (has_ip(b, &a->addresses[i]))
			find(c, r, "its address %s is cluster %s's too",
			     ip_format(&a->addresses[i], ip), b->name);
}

static void check_cluster(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct cluster *cluster = r->cluster.cluster;
	const char *segment = r->cluster.segment;
	char mac[VMAC_MAC_TEXT_MAX];

	if (!has_segment(c, segment))
		find(c, r, "its segment %s is not there", segment);
	for (size_t i = 0; i < at; i++)
		if (c->set->list[i]->kind == SHARED_CLUSTER)
			check_cluster_beside(c, r, c->set->list[i]);
	for (unsigned int i = 0; i < cluster->face_count; i++) {
		const struct standing *s = standing_of(c, cluster->faces[i], segment);

		if (s && strcmp(s->segment, segment) == 0 && s->kind != VMAC_CLUSTER)
			find(c, r, "its face %s is a %s's vMAC",
			     vmac_mac_format(cluster->faces[i], VMAC_MAC_COLON, mac),
			     vmac_kind_name(s->kind));
	}
	for (unsigned int i = 0; i < cluster->member_count; i++) {
		const struct standing *s = standing_of(c, cluster->members[i].address, segment);

		vmac_mac_format(cluster->members[i].address, VMAC_MAC_COLON, mac);
		if (!s)
			find(c, r, "nobody has its member %s", mac);
		else if (strcmp(s->segment, segment) != 0)
			find(c, r, "its member %s is in segment %s", mac, s->segment);
		else if (s->kind != VMAC_STATION)
			find(c, r, "its member %s is no station but a %s's vMAC", mac,
			     vmac_kind_name(s->kind));
	}
}

/* --- vMACs, asks, identities ----------------------------------------------------------------- */

static void check_vmac(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_vmac *v = &r->vmac;
	bool moving = v->state == SHARED_MOVING;
	char uuid[UUID_TEXT_MAX];

	if (!has_segment(c, v->segment))
		find(c, r, "its segment is not there");
	if (v->pool[0] != '\0' && !record_set_pool(c->set, v->pool))
		find(c, r, "its pool %s is not there", v->pool);
	if (vmac_mac_is_group(v->address))
		find(c, r, "it is a group address");
	if (v->kind == VMAC_CLUSTER && v->state != SHARED_RELEASED && !cluster_of(c, v))
		find(c, r, "it is a cluster's face, and no cluster has it");
	/* A host that was forgotten leaves its faces to their cluster. */
	if (v->kind != VMAC_CLUSTER && v->state != SHARED_RELEASED &&
	    !record_set_host(c->set, &v->holder))
		find(c, r, "its holder %s is not known",
		     uuid_is_none(&v->holder) ? "(none)" : uuid_format(&v->holder, uuid));
	if (moving && !record_set_host(c->set, &v->to))
		find(c, r, "it moves to %s, who is not known",
		     uuid_is_none(&v->to) ? "(none)" : uuid_format(&v->to, uuid));
	if (moving && (v->lifetime_ms == 0 || v->lifetime_ms > MOVE_LIFETIME_MAX))
		find(c, r, "its reservation lives for %lld ms", (long long)v->lifetime_ms);
	if (!moving && !uuid_is_none(&v->to))
		find(c, r, "it is %s, and yet reserved for another",
		     shared_vmac_state_name(v->state));
}

static void check_ask(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_record *told = record_of(c, r->ask.segment, r->ask.address);
	char uuid[UUID_TEXT_MAX];

	if (!record_set_host(c->set, &r->ask.host))
		mend_by_deleting(find(c, r, "it is asked by %s, who is not known",
				      uuid_format(&r->ask.host, uuid)),
				 r);
	else if (told && told->vmac.state == SHARED_HELD &&
		 uuid_equal(&told->vmac.holder, &r->ask.host))
		mend_by_deleting(find(c, r, "whoever asks has it already"), r);
	else if (r->ask.lifetime_ms > MOVE_LIFETIME_MAX)
		mend_by_deleting(find(c, r, "it would wait for %lld ms, longer than any may",
				      (long long)r->ask.lifetime_ms),
				 r);
}

static bool in_image(const struct shared_record *image, vmac_mac_t address)
{
	for (size_t i = 0; image && i < image->image.count; i++)
		if (vmac_mac_u64(image->image.vmacs[i].address) == vmac_mac_u64(address))
			return true;
	return false;
}

static void check_identity(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_pool *pool = record_set_pool(c->set, r->identity.pool);
	char mac[VMAC_MAC_TEXT_MAX];
	struct pool_machine m;
	struct error ignored;
	uint64_t n = 0;

	vmac_mac_format(r->identity.address, VMAC_MAC_COLON, mac);
	if (!pool) {
		mend_by_deleting(find(c, r, "its pool is not there"), r);
		return;
	}
	if (pool_config_check(&pool->pool, &ignored) < 0)
		return;
	if (pool_machine_init(&m, &pool->pool, &tool_mem) < 0) {
		c->no_memory = true;
		return;
	}
	if (registry_number(&m, r->identity.address, &n) < 0)
		find(c, r, "%s is not of its pool", mac);
	else if (!record_of(c, pool->segment, r->identity.address) &&
		 !in_image(image_of(c, r->identity.pool, n / pool->block_size),
			   r->identity.address))
		mend_by_deleting(find(c, r, "nobody has %s any more: it is orphaned", mac), r);
	pool_machine_done(&m);
}

static void check_alive(struct checking *c, size_t at)
{
	const struct shared_record *r = c->set->list[at];
	const struct shared_host *h = record_set_host(c->set, &r->alive.host);

	if (!h)
		mend_by_deleting(find(c, r, "it is a sign of life of a host that is not known"), r);
	else if (h->incarnation < r->alive.incarnation)
		find(c, r, "it lives for the %llu. time, and its record says %llu",
		     (unsigned long long)r->alive.incarnation, (unsigned long long)h->incarnation);
}

/* Of a part nothing else can be said, and what contradicts it may be yet to come. */
static void check_part(struct checking *c)
{
	static const struct shared_record key = { .kind = SHARED_META };
	struct finding *f = find(c, &key, "an import was begun and has not ended: hosts keep off");

	snprintf(f->repair, sizeof(f->repair),
		 "import the same file again, or empty what is below the prefix");
}

/* --- the whole ------------------------------------------------------------------------------- */

static void check_all(struct checking *c)
{
	static void (*const checks[SHARED_KIND_COUNT])(struct checking * c, size_t at) = {
		[SHARED_HOST] = check_host,	    [SHARED_ALIVE] = check_alive,
		[SHARED_SEGMENT] = check_segment,   [SHARED_POOL] = check_pool,
		[SHARED_BLOCK] = check_block,	    [SHARED_VMAC] = check_vmac,
		[SHARED_IDENTITY] = check_identity, [SHARED_ASK] = check_ask,
		[SHARED_IMAGE] = check_image,	    [SHARED_CLUSTER] = check_cluster,
	};

	gather_standing(c);
	for (size_t i = 0; i < c->set->count; i++)
		if (checks[c->set->list[i]->kind])
			checks[c->set->list[i]->kind](c, i);
	check_twice(c);
	free(c->standing);
}

int registry_findings(const struct record_set *s, struct findings *ret)
{
	static const struct shared_record meta = { .kind = SHARED_META };
	struct checking c = { .set = s, .to = ret };
	struct error ignored;

	*ret = (struct findings){ 0 };
	if (s->count > 0 && !record_set_get(s, &meta))
		find(&c, &meta, "there are records, and nothing says of which cluster");
	if (record_set_is_whole(s, &ignored) < 0)
		check_part(&c);
	else
		check_all(&c);
	if (c.no_memory)
		findings_done(ret);
	return c.no_memory ? -ENOMEM : 0;
}

void findings_done(struct findings *f)
{
	free(f->list);
	*f = (struct findings){ 0 };
}

static int repair(const struct tool *t, const struct findings *f, size_t *ret_left,
		  struct error *ret_error)
{
	struct registry_link *l = NULL;
	int r = registry_link_open(&t->shared, &l, ret_error);

	for (size_t i = 0; r == 0 && i < f->count; i++) {
		if (!f->list[i].put.record)
			continue;
		r = registry_link_do(l, &f->list[i].put, 1, NULL, ret_error);
		*ret_left -= r == 0;
	}
	registry_link_close(l);
	return r;
}

/* 0: clean; TOOL_EXIT_FOUND; or < 0. */
int registry_check(const struct tool *t, struct error *ret_error)
{
	struct findings f;
	struct record_set s;
	size_t left;
	int r = record_set_dump(&t->shared, &s, ret_error);

	if (r < 0)
		return r;
	r = registry_findings(&s, &f);
	if (r < 0) {
		record_set_done(&s);
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	}
	left = f.count;
	for (size_t i = 0; i < f.count; i++)
		printf("%s; repair: %s\n", f.list[i].text, f.list[i].repair);
	if (t->repair && f.count > 0)
		r = repair(t, &f, &left, ret_error);
	printf("%zu records, %zu findings", s.count, f.count);
	if (t->repair)
		printf(", %zu repaired", f.count - left);
	printf("\n");
	findings_done(&f);
	record_set_done(&s);
	return r < 0 ? r : left > 0 ? TOOL_EXIT_FOUND : 0;
}
