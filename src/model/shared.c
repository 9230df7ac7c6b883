/* What hosts agree upon: names, uuids, keys, and when two records are the same. */
#include "model/shared.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "model/cluster.h"
#include "model/ip.h"
#include "model/record.h"

/* --- uuids ----------------------------------------------------------------------------------- */

/* A '-' stands before the octets 4, 6, 8 and 10. */
static bool dash_before(unsigned int octet)
{
	return octet == 4 || octet == 6 || octet == 8 || octet == 10;
}

char *uuid_format(const struct uuid *u, char buf[static UUID_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *at = buf;

	for (unsigned int i = 0; i < sizeof(u->octet); i++) {
		if (dash_before(i))
			*at++ = '-';
		*at++ = digits[u->octet[i] >> 4];
		*at++ = digits[u->octet[i] & 0x0f];
	}
	*at = '\0';
	return buf;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

int uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid u;

	for (unsigned int i = 0; i < sizeof(u.octet); i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		high = digit_of(text[0]);
		low = high < 0 ? high : digit_of(text[1]);
		if (low < 0)
			return -EINVAL;
		u.octet[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	*ret = u;
	return 0;
}

/* --- names ----------------------------------------------------------------------------------- */

static const char *const kinds[] = {
	[SHARED_META] = "meta",	      [SHARED_HOST] = "host",	      [SHARED_ALIVE] = "alive",
	[SHARED_SEGMENT] = "segment", [SHARED_POOL] = "pool",	      [SHARED_BLOCK] = "block",
	[SHARED_VMAC] = "vmac",	      [SHARED_IDENTITY] = "identity", [SHARED_ASK] = "ask",
	[SHARED_CLUSTER] = "cluster", [SHARED_IMAGE] = "image",
};

static const char *const host_states[] = {
	[HOST_ACTIVE] = "active",
	[HOST_DRAINING] = "draining",
	[HOST_DEAD] = "dead",
	[HOST_FORGOTTEN] = "forgotten",
};

static const char *const shared_vmac_states[] = {
	[SHARED_HELD] = "held",
	[SHARED_MOVING] = "moving",
	[SHARED_RELEASED] = "released",
	[SHARED_FROZEN] = "frozen",
};

static const char *const ask_whys[] = {
	[ASK_PREPARE] = "prepare",
	[ASK_CLAIM] = "claim",
	[ASK_TAKE_BACK] = "take-back",
	[ASK_FORCE] = "force",
};

_Static_assert(ARRAY_LEN(kinds) == SHARED_KIND_COUNT, "every kind has a name");
_Static_assert(ARRAY_LEN(host_states) == HOST_STATE_COUNT, "every state has a name");
_Static_assert(ARRAY_LEN(shared_vmac_states) == SHARED_VMAC_STATE_COUNT, "every state has a name");
_Static_assert(ARRAY_LEN(ask_whys) == ASK_WHY_COUNT, "every reason has a name");

#define NAME_OF(names, v)                                                                          \
	({                                                                                         \
		assert((size_t)(v) < ARRAY_LEN(names));                                            \
		(names)[v];                                                                        \
	})

const char *shared_kind_name(enum shared_kind k)
{
	return NAME_OF(kinds, k);
}

const char *host_state_name(enum host_state s)
{
	return NAME_OF(host_states, s);
}

const char *shared_vmac_state_name(enum shared_vmac_state s)
{
	return NAME_OF(shared_vmac_states, s);
}

const char *ask_why_name(enum ask_why w)
{
	return NAME_OF(ask_whys, w);
}

static int value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

int shared_kind_from_name(const char *name)
{
	return value_of(kinds, ARRAY_LEN(kinds), name);
}

int host_state_from_name(const char *name)
{
	return value_of(host_states, ARRAY_LEN(host_states), name);
}

int shared_vmac_state_from_name(const char *name)
{
	return value_of(shared_vmac_states, ARRAY_LEN(shared_vmac_states), name);
}

int ask_why_from_name(const char *name)
{
	return value_of(ask_whys, ARRAY_LEN(ask_whys), name);
}

/* --- keys ------------------------------------------------------------------------------------ */

/* What tells records of one kind apart: two texts and up to 16 octets. */
struct key {
	const char *one, *two;
	const uint8_t *octets;
	size_t octet_count;
	uint64_t number;
};

static struct key key_of(const struct shared_record *r)
{
	switch (r->kind) {
	case SHARED_META:
		return (struct key){ "", "", NULL, 0, 0 };
	case SHARED_HOST:
		return (struct key){ "", "", r->host.uuid.octet, 16, 0 };
	case SHARED_ALIVE:
		return (struct key){ "", "", r->alive.host.octet, 16, 0 };
	case SHARED_SEGMENT:
		return (struct key){ r->segment.name, "", NULL, 0, 0 };
	case SHARED_POOL:
		return (struct key){ r->pool.pool.name, "", NULL, 0, 0 };
	case SHARED_BLOCK:
		return (struct key){ r->block.pool, "", NULL, 0, r->block.number };
	case SHARED_VMAC:
		return (struct key){ r->vmac.segment, "", r->vmac.address.octet, 6, 0 };
	case SHARED_IDENTITY:
		return (struct key){ r->identity.pool, r->identity.identity, NULL, 0, 0 };
	case SHARED_ASK:
		return (struct key){ r->ask.segment, "", r->ask.address.octet, 6, 0 };
	case SHARED_CLUSTER:
		return (struct key){ r->cluster.cluster->name, "", NULL, 0, 0 };
	case SHARED_IMAGE:
		/* Of no pool, every host counts its own. */
		return (struct key){ r->image.pool, "", r->image.host.octet,
				     r->image.pool[0] == '\0' ? 16 : 0, r->image.number };
	case SHARED_KIND_COUNT:
		break;
	}
	assert(!"a kind of record");
	return (struct key){ "", "", NULL, 0, 0 };
}

bool shared_same_key(const struct shared_record *a, const struct shared_record *b)
{
	struct key k, l;

	if (a->kind != b->kind)
		return false;
	k = key_of(a);
	l = key_of(b);
	return k.number == l.number && k.octet_count == l.octet_count &&
	       strcmp(k.one, l.one) == 0 && strcmp(k.two, l.two) == 0 &&
	       (k.octet_count == 0 || memcmp(k.octets, l.octets, k.octet_count) == 0);
}

uint64_t shared_key_hash(const struct shared_record *r)
{
	struct key k = key_of(r);
	uint64_t h = hash_bytes(k.one, strlen(k.one), r->kind + 1);

	h = hash_bytes(k.two, strlen(k.two), h);
	if (k.octet_count > 0)
		h = hash_bytes(k.octets, k.octet_count, h);
	return hash_u64(h ^ k.number);
}

/* --- equality -------------------------------------------------------------------------------- */

static bool macs_equal(vmac_mac_t a, vmac_mac_t b)
{
	return vmac_mac_u64(a) == vmac_mac_u64(b);
}

static bool texts_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool ips_equal(const struct ip *a, unsigned int a_count, const struct ip *b,
		      unsigned int b_count)
{
	if (a_count != b_count)
		return false;
	for (unsigned int i = 0; i < a_count; i++)
		if (!ip_equal(&a[i], &b[i]))
			return false;
	return true;
}

static bool ranges_equal(const struct vmac_mac_range *a, unsigned int a_count,
			 const struct vmac_mac_range *b, unsigned int b_count)
{
	if (a_count != b_count)
		return false;
	for (unsigned int i = 0; i < a_count; i++)
		if (!macs_equal(a[i].first, b[i].first) || !macs_equal(a[i].last, b[i].last))
			return false;
	return true;
}

static bool hosts_equal(const struct shared_host *a, const struct shared_host *b)
{
	return a->number == b->number && a->state == b->state && texts_equal(a->name, b->name) &&
	       ip_equal(&a->address, &b->address) && a->tunnel_port == b->tunnel_port &&
	       texts_equal(a->version, b->version) && a->incarnation == b->incarnation &&
	       texts_equal(a->fenced_by, b->fenced_by) && texts_equal(a->key_check, b->key_check);
}

/* The reader's own numbers say nothing about the pool. */
static bool pools_equal(const struct shared_pool *a, const struct shared_pool *b)
{
	const struct pool *p = &a->pool, *q = &b->pool;

	return texts_equal(a->segment, b->segment) && a->block_size == b->block_size &&
	       ranges_equal(p->ranges, p->range_count, q->ranges, q->range_count) &&
	       ranges_equal(p->excludes, p->exclude_count, q->excludes, q->exclude_count) &&
	       memcmp(p->key, q->key, sizeof(p->key)) == 0 &&
	       p->quarantine_ms == q->quarantine_ms && p->limit == q->limit;
}

static bool shared_vmacs_equal(const struct shared_vmac *a, const struct shared_vmac *b)
{
	return a->state == b->state && a->kind == b->kind && a->origin == b->origin &&
	       a->epoch == b->epoch && uuid_equal(&a->holder, &b->holder) &&
	       uuid_equal(&a->to, &b->to) && uuid_equal(&a->move, &b->move) &&
	       uuid_equal(&a->request, &b->request) && a->lifetime_ms == b->lifetime_ms &&
	       a->quarantine_ms == b->quarantine_ms && texts_equal(a->pool, b->pool) &&
	       texts_equal(a->name, b->name) && texts_equal(a->owner, b->owner) &&
	       texts_equal(a->tenant, b->tenant) && texts_equal(a->note, b->note) &&
	       ips_equal(a->ips, a->ip_count, b->ips, b->ip_count) && a->ttl_ms == b->ttl_ms;
}

static bool image_vmacs_equal(const struct vmac *a, const struct vmac *b)
{
	return macs_equal(a->address, b->address) && a->kind == b->kind && a->origin == b->origin &&
	       a->state == b->state && a->epoch == b->epoch && a->created.ms == b->created.ms &&
	       a->changed.ms == b->changed.ms && a->ttl_ms == b->ttl_ms &&
	       a->until.ms == b->until.ms && texts_equal(a->name, b->name) &&
	       texts_equal(a->owner, b->owner) && texts_equal(a->tenant, b->tenant) &&
	       texts_equal(a->note, b->note) && ips_equal(a->ips, a->ip_count, b->ips, b->ip_count);
}

static bool images_equal(const struct shared_image *a, const struct shared_image *b)
{
	if (!texts_equal(a->segment, b->segment) || !uuid_equal(&a->host, &b->host) ||
	    a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!image_vmacs_equal(&a->vmacs[i], &b->vmacs[i]))
			return false;
	return true;
}

/* Id, segment and created are the reader's own. */
static bool shared_clusters_equal(const struct shared_cluster *a, const struct shared_cluster *b)
{
	return texts_equal(a->segment, b->segment) &&
	       a->cluster->generation == b->cluster->generation &&
	       a->cluster->changed.ms == b->cluster->changed.ms &&
	       cluster_equal(a->cluster, b->cluster);
}

bool shared_equal(const struct shared_record *a, const struct shared_record *b)
{
	if (!shared_same_key(a, b))
		return false;
	switch (a->kind) {
	case SHARED_META:
		return a->meta.format == b->meta.format && a->meta.importing == b->meta.importing &&
		       uuid_equal(&a->meta.cluster, &b->meta.cluster);
	case SHARED_HOST:
		return hosts_equal(&a->host, &b->host);
	case SHARED_ALIVE:
		return a->alive.incarnation == b->alive.incarnation;
	case SHARED_SEGMENT:
		return a->segment.vlan == b->segment.vlan && a->segment.number == b->segment.number;
	case SHARED_POOL:
		return pools_equal(&a->pool, &b->pool);
	case SHARED_BLOCK:
		return uuid_equal(&a->block.host, &b->block.host) &&
		       uuid_equal(&a->block.request, &b->block.request);
	case SHARED_VMAC:
		return shared_vmacs_equal(&a->vmac, &b->vmac);
	case SHARED_IDENTITY:
		return macs_equal(a->identity.address, b->identity.address) &&
		       uuid_equal(&a->identity.host, &b->identity.host) &&
		       uuid_equal(&a->identity.request, &b->identity.request);
	case SHARED_ASK:
		return a->ask.why == b->ask.why && uuid_equal(&a->ask.host, &b->ask.host) &&
		       uuid_equal(&a->ask.move, &b->ask.move) &&
		       a->ask.lifetime_ms == b->ask.lifetime_ms &&
		       texts_equal(a->ask.refused, b->ask.refused);
	case SHARED_CLUSTER:
		return shared_clusters_equal(&a->cluster, &b->cluster);
	case SHARED_IMAGE:
		return images_equal(&a->image, &b->image);
	case SHARED_KIND_COUNT:
		break;
	}
	assert(!"a kind of record");
	return false;
}
