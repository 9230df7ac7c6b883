/* What a router has and no other router may have: a group number and a virtual MAC on a link, a
 * device, an address.  Hashed, so that the thousandth router is held against one or two others. */
#pragma once

#include <stdint.h>

#include "base/table.h"
#include "model/router.h"

struct claims {
	struct table table; /* of const struct router, once a claim */
	uint64_t compared;  /* how often two routers were held against each other, ever */
};

struct claim {
	enum {
		CLAIM_GROUP,   /* on set->ifname; protocols that hear each other share them */
		CLAIM_MAC,     /* on set->ifname */
		CLAIM_DEVICE,  /* of this host */
		CLAIM_ADDRESS, /* of this host; link-local: on set->ifname */
	} kind;
	const struct router_set *set;
	const struct ip *ip; /* ADDRESS */
};

void claims_init(struct claims *c, const struct mem *mem);
void claims_done(struct claims *c);

/* Room for what *r claims: then claims_add() cannot fail.  -ENOMEM: nothing changed. */
int claims_reserve(struct claims *c, const struct router *r);

/* Two may claim the same for a while, as when they swap their groups.  The record is borrowed. */
void claims_add(struct claims *c, const struct router *r);
void claims_remove(struct claims *c, const struct router *r);

/* Another router, by id, that claims what *r does: *ret says what of *r.  NULL: none. */
const struct router *claims_find(struct claims *c, const struct router *r, struct claim *ret);
