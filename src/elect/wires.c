/* Links as the elections see them, and which set a frame on one is for. */
#include "elect/inside.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

/* --- links ----------------------------------------------------------------------------------- */

static bool wire_named(const void *item, const void *key)
{
	return strcmp(((const struct elect_wire *)item)->ifname, key) == 0;
}

static bool wire_indexed(const void *item, const void *key)
{
	return ((const struct elect_wire *)item)->ifindex == *(const int *)key;
}

static uint64_t name_hash(const char *ifname)
{
	return hash_bytes(ifname, strlen(ifname), 0);
}

struct elect_wire *wire_by_index(struct elect_core *c, int ifindex)
{
	if (!c->last_wire || c->last_wire->ifindex != ifindex)
		c->last_wire = table_get(&c->wires_by_index, hash_u64((uint64_t)ifindex), &ifindex,
					 wire_indexed);
	return c->last_wire;
}

struct elect_wire *wire_find(const struct elect_core *c, const char *ifname)
{
	return table_get(&c->wires, name_hash(ifname), ifname, wire_named);
}

struct elect_wire *wire_get(struct elect_core *c, const char *ifname)
{
	uint64_t hash = name_hash(ifname);
	struct elect_wire *w = table_get(&c->wires, hash, ifname, wire_named);

	if (w)
		return w;
	if (table_reserve(&c->wires_by_index, c->wires.count + 1) < 0)
		return NULL;
	w = mem_alloc(c->mem, sizeof(*w));
	if (!w)
		return NULL;
	strncpy(w->ifname, ifname, IFNAME_MAX_LEN);
	if (table_add(&c->wires, hash, w) < 0) {
		mem_free(c->mem, w);
		return NULL;
	}
	return w;
}

void wire_set_index(struct elect_core *c, struct elect_wire *w, int ifindex)
{
	if (w->ifindex == ifindex)
		return;
	c->last_wire = NULL;
	if (w->ifindex != 0)
		table_remove(&c->wires_by_index, hash_u64((uint64_t)w->ifindex), w);
	w->ifindex = ifindex;
	if (ifindex == 0)
		return;
	/* Room was made with the link. */
	if (table_add(&c->wires_by_index, hash_u64((uint64_t)ifindex), w) < 0)
		assert(false);
}

void wire_release(struct elect_core *c, struct elect_wire *w)
{
	if (w->holds > 0 || w->ifindex != 0)
		return;
	if (c->last_wire == w)
		c->last_wire = NULL;
	table_remove(&c->wires, name_hash(w->ifname), w);
	mem_free(c->mem, w);
}

/* --- sets: found by what their frames carry -------------------------------------------------- */

struct set_key {
	const struct elect_wire *wire;
	uint8_t kind, family;
	uint16_t group;
};

static uint64_t set_hash(const struct set_key *k)
{
	return hash_u64((uint64_t)(uintptr_t)k->wire ^ (uint64_t)k->kind << 56 ^
			(uint64_t)k->family << 60 ^ hash_u64(k->group));
}

static bool set_is(const void *item, const void *key)
{
	const struct elect_set *s = item;
	const struct set_key *k = key;

	return s->wire == k->wire && s->group == k->group && s->kind == k->kind &&
	       s->family == k->family;
}

struct elect_set *set_find(const struct elect_core *c, const struct elect_wire *w, uint8_t kind,
			   uint16_t group, uint8_t family)
{
	struct set_key k = { w, kind, family, group };

	return table_get(&c->sets, set_hash(&k), &k, set_is);
}

uint64_t set_own_hash(const struct elect_set *s)
{
	struct set_key k = { s->wire, s->kind, s->family, s->group };

	return set_hash(&k);
}
