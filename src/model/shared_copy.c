/* A record in one block of memory: itself, the vMACs of an image or the cluster, then what is
 * octets only (IP addresses, texts) and may stand anywhere. */
#include <assert.h>
#include <string.h>

#include "model/cluster.h"
#include "model/shared.h"

_Static_assert(sizeof(struct shared_record) % _Alignof(struct vmac) == 0, "vMACs need no padding");
_Static_assert(sizeof(struct shared_record) % _Alignof(struct cluster) == 0, "nor do clusters");
_Static_assert(_Alignof(struct ip) == 1, "nor do addresses");

/* Walked twice over the same record: first to measure (block NULL), then to fill. */
struct block {
	char *at; /* NULL: measuring */
	size_t size;
};

/* The copy of `size` octets; NULL where there is nothing, or nothing to fill yet. */
static void *put(struct block *b, const void *data, size_t size)
{
	char *start = b->at;

	b->size += size;
	if (!start || size == 0)
		return NULL;
	b->at += size;
	return memcpy(start, data, size);
}

/* A key alone may lack the texts that do not belong to it. */
static void put_text(struct block *b, const char **text)
{
	const char *from = *text ? *text : "";
	const char *copy = put(b, from, strlen(from) + 1);

	if (copy)
		*text = copy;
}

static void put_ips(struct block *b, const struct ip **ips, unsigned int count)
{
	const struct ip *copy = put(b, *ips, count * sizeof(**ips));

	assert(count <= VMAC_IPS_MAX);
	if (b->at)
		*ips = copy;
}

static void put_vmac(struct block *b, struct vmac *v)
{
	put_ips(b, &v->ips, v->ip_count);
	put_text(b, &v->name);
	put_text(b, &v->owner);
	put_text(b, &v->tenant);
	put_text(b, &v->note);
}

static void put_image(struct block *b, struct shared_image *i)
{
	struct vmac *vmacs = put(b, i->vmacs, i->count * sizeof(*i->vmacs));

	assert(i->count <= BLOCK_SIZE_MAX);
	for (size_t n = 0; n < i->count; n++) {
		struct vmac v = i->vmacs[n];

		put_vmac(b, &v);
		if (vmacs)
			vmacs[n] = v;
	}
	if (b->at)
		i->vmacs = vmacs;
}

static void put_shared_vmac(struct block *b, struct shared_vmac *v)
{
	put_ips(b, &v->ips, v->ip_count);
	put_text(b, &v->segment);
	put_text(b, &v->pool);
	put_text(b, &v->name);
	put_text(b, &v->owner);
	put_text(b, &v->tenant);
	put_text(b, &v->note);
}

/* A key alone has a cluster of nothing but its name. */
static void put_cluster(struct block *b, struct shared_cluster *s)
{
	struct cluster c = *s->cluster;
	size_t size;

	if (!c.note)
		c.note = "";
	if (!c.check_target)
		c.check_target = "";
	size = cluster_block_size(&c);
	b->size += size;
	if (b->at) {
		s->cluster = cluster_block_fill(b->at, &c);
		b->at += size;
	}
	put_text(b, &s->segment);
}

/* What r points to; r's pointers are turned to the copies. */
static void put_rest(struct block *b, struct shared_record *r)
{
	switch (r->kind) {
	case SHARED_VMAC:
		put_shared_vmac(b, &r->vmac);
		return;
	case SHARED_ASK:
		put_text(b, &r->ask.segment);
		put_text(b, &r->ask.refused);
		return;
	case SHARED_CLUSTER:
		put_cluster(b, &r->cluster);
		return;
	case SHARED_IMAGE:
		put_image(b, &r->image);
		return;
	case SHARED_META:
	case SHARED_HOST:
	case SHARED_ALIVE:
	case SHARED_SEGMENT:
	case SHARED_POOL:
	case SHARED_BLOCK:
	case SHARED_IDENTITY:
		return;
	case SHARED_KIND_COUNT:
		break;
	}
	assert(!"a kind of record");
}

struct shared_record *shared_copy(const struct mem *mem, const struct shared_record *r)
{
	struct shared_record own = *r;
	struct shared_record *copy;
	struct block b = { 0 };

	put_rest(&b, &own);
	copy = mem_alloc(mem, sizeof(*copy) + b.size);
	if (!copy)
		return NULL;
	*copy = *r;
	b = (struct block){ .at = (char *)(copy + 1) };
	put_rest(&b, copy);
	return copy;
}
