/* Clusters in the registry in memory: by id, by name, and by all that no other may have (faces,
 * virtual addresses) or that others ask for (members). */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "engine/world.h"

enum place_kind { PLACE_FACE, PLACE_ADDRESS, PLACE_MEMBER };

/* In octets: two are the same place when these are equal. */
struct place {
	uint32_t segment;
	uint8_t kind, octets[17], unused[2];
};

static struct place place_of_mac(enum place_kind kind, uint32_t segment, vmac_mac_t m)
{
	struct place p;

	memset(&p, 0, sizeof(p));
	p.segment = segment;
	p.kind = (uint8_t)kind;
	memcpy(p.octets, m.octet, sizeof(m.octet));
	return p;
}

static struct place place_of_ip(uint32_t segment, const struct ip *ip)
{
	struct place p;

	memset(&p, 0, sizeof(p));
	p.segment = segment;
	p.kind = PLACE_ADDRESS;
	p.octets[0] = ip->family;
	memcpy(p.octets + 1, ip->octet, ip->family == 4 ? 4 : 16);
	return p;
}

static uint64_t place_hash(const struct place *p)
{
	return hash_bytes(p, sizeof(*p), 0);
}

static size_t place_count(const struct cluster *c)
{
	return c->face_count + c->address_count + c->member_count;
}

static struct place nth_place(const struct cluster *c, size_t i)
{
	if (i < c->face_count)
		return place_of_mac(PLACE_FACE, c->segment, c->faces[i]);
	i -= c->face_count;
	if (i < c->address_count)
		return place_of_ip(c->segment, &c->addresses[i]);
	return place_of_mac(PLACE_MEMBER, c->segment, c->members[i - c->address_count].address);
}

static bool has_place(const struct cluster *c, const struct place *p)
{
	for (size_t i = 0; i < place_count(c); i++) {
		struct place other = nth_place(c, i);

		if (memcmp(&other, p, sizeof(other)) == 0)
			return true;
	}
	return false;
}

/* --- find ------------------------------------------------------------------------------------ */

static bool cluster_has_name(const void *item, const void *key)
{
	return strcmp(((const struct cluster *)item)->name, key) == 0;
}

static bool cluster_is_at(const void *item, const void *key)
{
	return has_place(item, key);
}

const struct cluster *world_cluster(const struct world *w, uint32_t id)
{
	return id <= CLUSTERS_MAX ? w->clusters[id] : NULL;
}

const struct cluster *world_cluster_named(const struct world *w, const char *name)
{
	return table_get(&w->clusters_by_name, hash_bytes(name, strlen(name), 0), name,
			 cluster_has_name);
}

const struct cluster *world_cluster_of_face(const struct world *w, uint32_t segment,
					    vmac_mac_t face)
{
	struct place p = place_of_mac(PLACE_FACE, segment, face);

	return table_get(&w->cluster_places, place_hash(&p), &p, cluster_is_at);
}

const struct cluster *world_cluster_of_address(const struct world *w, uint32_t segment,
					       const struct ip *address)
{
	struct place p = place_of_ip(segment, address);

	return table_get(&w->cluster_places, place_hash(&p), &p, cluster_is_at);
}

struct gathering {
	vmac_mac_t member;
	uint32_t segment;
	unsigned int count;
	const struct cluster **ret;
};

/* Never the one that is looked for: so every one is looked at. */
static bool gather_member(const void *item, const void *key)
{
	struct gathering *g = (struct gathering *)key;
	const struct cluster *c = item;

	if (c->segment == g->segment && cluster_member_by_address(c, g->member) &&
	    g->count < CLUSTERS_MAX)
		g->ret[g->count++] = c;
	return false;
}

unsigned int world_clusters_of_member(const struct world *w, uint32_t segment, vmac_mac_t member,
				      const struct cluster *ret[static CLUSTERS_MAX])
{
	struct place p = place_of_mac(PLACE_MEMBER, segment, member);
	struct gathering g = { .member = member, .segment = segment, .ret = ret };

	table_get(&w->cluster_places, place_hash(&p), &g, gather_member);
	return g.count;
}

/* --- swap ------------------------------------------------------------------------------------ */

void world_clusters_init(struct world *w)
{
	table_init(&w->clusters_by_name, w->mem);
	table_init(&w->cluster_places, w->mem);
}

void world_clusters_done(struct world *w)
{
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		cluster_release(w->clusters[id]);
	table_done(&w->clusters_by_name);
	table_done(&w->cluster_places);
}

int world_apply_cluster(struct world *w, const struct cluster *before, const struct cluster *after)
{
	struct place p;

	if (after &&
	    (table_reserve(&w->clusters_by_name, w->clusters_by_name.count + 1) < 0 ||
	     table_reserve(&w->cluster_places, w->cluster_places.count + place_count(after)) < 0))
		return -ENOMEM;
	if (before) {
		assert(w->clusters[before->id] == before);
		for (size_t i = 0; i < place_count(before); i++) {
			p = nth_place(before, i);
			table_remove(&w->cluster_places, place_hash(&p), before);
		}
		table_remove(&w->clusters_by_name,
			     hash_bytes(before->name, strlen(before->name), 0), before);
		w->clusters[before->id] = NULL;
	}
	if (after) {
		assert(!w->clusters[after->id]);
		for (size_t i = 0; i < place_count(after); i++) {
			p = nth_place(after, i);
			table_add(&w->cluster_places, place_hash(&p), (void *)after);
		}
		table_add(&w->clusters_by_name, hash_bytes(after->name, strlen(after->name), 0),
			  (void *)after);
		w->clusters[after->id] = after;
	}
	return 0;
}

uint32_t world_free_cluster_id(struct world *w)
{
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++) {
		uint32_t id = (w->cluster_id_last + i) % CLUSTERS_MAX + 1;

		if (!w->clusters[id]) {
			w->cluster_id_last = id;
			return id;
		}
	}
	return 0;
}
