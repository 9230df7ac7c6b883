/* What no two routers may have: who is found, and how few are looked at for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/claims.h"

#define MANY 4000

static void *take(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void give(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { take, give, NULL };

struct one {
	struct router r;
	struct router_set set;
	struct router_address addresses[2];
};

static struct one many[MANY + 1];

/* The n-th router of a big host: 250 groups of IPv4 and of IPv6 on each of eight links. */
static struct one *make(struct one *o, unsigned int n)
{
	char text[IP_TEXT_MAX];
	int r;

	memset(o, 0, sizeof(*o));
	router_defaults(&o->r, ROUTER_VRRP3);
	o->r.id = n + 1;
	snprintf(o->r.name, sizeof(o->r.name), "r%u", n);
	o->r.sets = &o->set;
	o->r.set_count = 1;
	snprintf(o->set.ifname, sizeof(o->set.ifname), "eth%u", n / 2 / 250);
	o->set.group = (uint16_t)(n / 2 % 250 + 1);
	o->set.family = n % 2 ? 6 : 4;
	o->set.addresses = o->addresses;
	o->set.address_count = 2;
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			 o->set.family == 4 ? "10.%u.%u.%u"
					    : (i == 0 ? "fe80::%u:%u:%u" : "fd00::%u:%u:%u"),
			 i, n / 500 * 10 + n / 2 / 250, o->set.group);
		r = ip_parse(text, &o->addresses[i].ip);
		assert_int_equal(r, 0);
	}
	return o;
}

static struct claims *claims_of(unsigned int count)
{
	static struct claims c;
	struct claim what;

	claims_init(&c, &mem);
	for (unsigned int n = 0; n < count; n++) {
		int r = claims_reserve(&c, &make(&many[n], n)->r);

		assert_int_equal(r, 0);
		assert_null(claims_find(&c, &many[n].r, &what));
		claims_add(&c, &many[n].r);
	}
	return &c;
}

static void four_thousand_are_hardly_compared(void **state)
{
	struct claims *c = claims_of(MANY);
	struct claim what;

	assert_int_equal(c->compared, 0);
	for (unsigned int n = 0; n < MANY; n++) {
		struct one *twin = make(&many[MANY], n);

		/* Itself, by id, is nobody else; another with the same is found by one look. */
		assert_null(claims_find(c, &twin->r, &what));
		twin->r.id = MANY + 1;
		assert_ptr_equal(claims_find(c, &twin->r, &what), &many[n].r);
		assert_int_equal(what.kind, CLAIM_GROUP);
	}
	assert_int_equal(c->compared, MANY);
	for (unsigned int n = 0; n < MANY; n++)
		claims_remove(c, &many[n].r);
	assert_int_equal(c->table.count, 0);
	claims_done(c);
}

static void each_kind_is_found_and_named(void **state)
{
	struct claims *c = claims_of(20);
	struct one *o = make(&many[MANY], 3000);
	struct claim what;

	assert_null(claims_find(c, &o->r, &what));
	/* The address, on whatever link; a link-local one on its own only. */
	o->addresses[1] = many[7].addresses[1];
	assert_ptr_equal(claims_find(c, &o->r, &what), &many[7].r);
	assert_int_equal(what.kind, CLAIM_ADDRESS);
	assert_ptr_equal(what.ip, &o->addresses[1].ip);
	o->addresses[1] = many[7].addresses[0];
	assert_null(claims_find(c, &o->r, &what));
	snprintf(o->set.ifname, sizeof(o->set.ifname), "eth0");
	o->set.group = 251;
	assert_ptr_equal(claims_find(c, &o->r, &what), &many[7].r);
	o->set.address_count = 1;
	assert_null(claims_find(c, &o->r, &what));
	/* The MAC of another group, taken by hand. */
	o->set.has_mac = true;
	o->set.mac = router_set_mac(&many[4].r, &many[4].set);
	assert_ptr_equal(claims_find(c, &o->r, &what), &many[4].r);
	assert_int_equal(what.kind, CLAIM_MAC);
	snprintf(o->set.ifname, sizeof(o->set.ifname), "eth9");
	assert_null(claims_find(c, &o->r, &what));
	/* The device, which is the host's whatever link it is on. */
	claims_remove(c, &many[9].r);
	snprintf(many[9].set.device, sizeof(many[9].set.device), "gw9");
	claims_add(c, &many[9].r);
	snprintf(o->set.device, sizeof(o->set.device), "gw");
	assert_null(claims_find(c, &o->r, &what));
	snprintf(o->set.device, sizeof(o->set.device), "gw9");
	assert_ptr_equal(claims_find(c, &o->r, &what), &many[9].r);
	assert_int_equal(what.kind, CLAIM_DEVICE);
	claims_done(c);
}

/* Two swap what they have: for a while both claim the same, and each is taken out as itself. */
static void the_same_twice_for_a_while(void **state)
{
	struct claims *c = claims_of(2);
	struct one *o = make(&many[MANY], 0);
	struct claim what;
	int r;

	o->r.id = many[1].r.id;
	r = claims_reserve(c, &o->r);
	assert_int_equal(r, 0);
	claims_remove(c, &many[1].r);
	claims_add(c, &o->r);
	assert_ptr_equal(claims_find(c, &o->r, &what), &many[0].r);
	assert_ptr_equal(claims_find(c, &many[0].r, &what), &o->r);
	claims_remove(c, &many[0].r);
	assert_null(claims_find(c, &o->r, &what));
	claims_remove(c, &o->r);
	assert_int_equal(c->table.count, 0);
	claims_done(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_thousand_are_hardly_compared),
		cmocka_unit_test(each_kind_is_found_and_named),
		cmocka_unit_test(the_same_twice_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
