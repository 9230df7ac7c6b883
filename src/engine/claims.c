#include "engine/claims.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

/* A claim in octets: two claims clash when these are equal. */
struct key {
	char link[IFNAME_MAX_LEN + 1]; /* "" = on any */
	uint8_t kind, octets[17];
};

/* Protocols that share a group number on the wire: a VRRPv3 router hears VRRPv2 and must not meet
 * another of its number there, and CARP's vMAC is VRRP's. */
static uint8_t numbers_of(const struct router *r)
{
	return router_is_hsrp(r->protocol) ? r->protocol : ROUTER_VRRP2;
}

static void key_make(const struct router *r, const struct claim *c, struct key *ret)
{
	const char *link = c->kind == CLAIM_DEVICE ? c->set->device : c->set->ifname;
	vmac_mac_t mac;

	/* Zeroes: what is behind the end of a text is compared, too. */
	memset(ret, 0, sizeof(*ret));
	ret->kind = (uint8_t)c->kind;
	switch (c->kind) {
	case CLAIM_GROUP:
		ret->octets[0] = numbers_of(r);
		ret->octets[1] = c->set->family;
		ret->octets[2] = (uint8_t)(c->set->group >> 8);
		ret->octets[3] = (uint8_t)c->set->group;
		break;
	case CLAIM_MAC:
		mac = router_set_mac(r, c->set);
		memcpy(ret->octets, &mac, sizeof(mac));
		break;
	case CLAIM_DEVICE:
		break;
	case CLAIM_ADDRESS:
		ret->octets[0] = c->ip->family;
		memcpy(ret->octets + 1, c->ip->octet, c->ip->family == 4 ? 4 : 16);
		if (!ip_is_link_local(c->ip))
			link = "";
		break;
	}
	memcpy(ret->link, link, strlen(link));
}

static uint64_t key_hash(const struct key *key)
{
	return hash_bytes(key, sizeof(*key), 0);
}

/* The claims of a router, one after the other: of each set group, MAC, device, addresses. */
struct walk {
	const struct router *router;
	unsigned int set, step;
	struct claim claim;
	struct key key;
};

static bool walk_next(struct walk *w)
{
	const struct router_set *s;
	unsigned int step;

	for (; w->set < w->router->set_count; w->set++, w->step = 0) {
		s = &w->router->sets[w->set];
		if (w->step == CLAIM_DEVICE && !s->device[0])
			w->step++;
		step = w->step++;
		if (step >= CLAIM_ADDRESS + s->address_count)
			continue;
		w->claim.set = s;
		w->claim.kind = step < CLAIM_ADDRESS ? step : CLAIM_ADDRESS;
		w->claim.ip = step < CLAIM_ADDRESS ? NULL : &s->addresses[step - CLAIM_ADDRESS].ip;
		key_make(w->router, &w->claim, &w->key);
		return true;
	}
	return false;
}

void claims_init(struct claims *c, const struct mem *mem)
{
	*c = (struct claims){ 0 };
	table_init(&c->table, mem);
}

void claims_done(struct claims *c)
{
	table_done(&c->table);
}

int claims_reserve(struct claims *c, const struct router *r)
{
	struct walk w = { .router = r };
	size_t count = 0;

	while (walk_next(&w))
		count++;
	return table_reserve(&c->table, c->table.count + count);
}

void claims_add(struct claims *c, const struct router *r)
{
	struct walk w = { .router = r };

	while (walk_next(&w)) {
		int rc = table_add(&c->table, key_hash(&w.key), (void *)r);

		assert(rc == 0);
	}
}

void claims_remove(struct claims *c, const struct router *r)
{
	struct walk w = { .router = r };

	while (walk_next(&w)) {
		bool was_there = table_remove(&c->table, key_hash(&w.key), r);

		assert(was_there);
	}
}

struct search {
	const struct walk *mine;
	uint64_t *compared;
};

static bool has_claim(const void *item, const void *key)
{
	const struct search *search = key;
	struct walk w = { .router = item };

	if (w.router->id == search->mine->router->id)
		return false;
	++*search->compared;
	while (walk_next(&w))
		if (memcmp(&w.key, &search->mine->key, sizeof(w.key)) == 0)
			return true;
	return false;
}

const struct router *claims_find(struct claims *c, const struct router *r, struct claim *ret)
{
	struct walk w = { .router = r };
	struct search search = { &w, &c->compared };
	const struct router *other;

	while (walk_next(&w)) {
		other = table_get(&c->table, key_hash(&w.key), &search, has_claim);
		if (other) {
			*ret = w.claim;
			return other;
		}
	}
	return NULL;
}
