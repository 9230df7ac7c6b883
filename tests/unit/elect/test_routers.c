/* What the core is told: records, links, devices and tracking; and what a change of them costs. */
#include "rig.h"

#include "base/cleanup.h"

static struct host *a, *b, *both[2];

static int setup(void **state)
{
	rig_now = (mono_t){ RIG_START_NS };
	hear_unicast = false;
	hear_ttl = 0;
	a = both[0] = host_new(1, false);
	b = both[1] = host_new(2, false);
	for (int link = 1; link <= 2; link++) {
		host_plug(a, link);
		host_plug(b, link);
	}
	return 0;
}

static int teardown(void **state)
{
	host_free(a);
	host_free(b);
	return 0;
}

/* Exactly one of the two is the router, has the addresses, and the other has not. */
static void assert_router(struct host *who, struct host *other, uint32_t id)
{
	assert_int_equal(host_state(who, id), FHRP_ACTIVE);
	assert_true(who->embodied[id]);
	if (elect_core_find(other->core, id))
		assert_int_not_equal(host_state(other, id), FHRP_ACTIVE);
	assert_false(other->embodied[id]);
}

static void assert_quiet(struct host *h)
{
	assert_int_equal(h->count, 0);
}

/* --- records --------------------------------------------------------------------------------- */

static void test_an_equal_record_does_nothing(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 255);
	size_t allocated;

	host_set(a, r);
	host_forget(a);
	allocated = a->allocated;
	r->changed = (wall_t){ 99 };
	host_set(a, r);
	assert_quiet(a);
	assert_int_equal(a->allocated, allocated);
}

static void test_a_change_under_way_is_no_transition(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 100);

	host_set(a, r);
	lan_run(both, 1, SPAN_S(10));
	host_forget(a);
	r->priority = 120;
	r->preempt = false;
	r->announce_count = 5;
	host_set(a, r);
	lan_run(both, 1, SPAN_S(3));
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	assert_int_equal(a->counts[ORDER_EMBODY] + a->counts[ORDER_DISEMBODY], 0);
	assert_int_equal(a->counts[ORDER_REPORT], 0);
	/* What is sent has the new priority. */
	assert_int_equal(host_last_advert(a)[36], 120);
}

static void test_new_addresses_of_an_active_router(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 100);
	struct router_set *s = (struct router_set *)&r->sets[0];
	struct router_address *list = (struct router_address *)s->addresses;
	const struct elect_router *router;
	unsigned int count;

	host_set(a, r);
	lan_run(both, 1, SPAN_S(10));
	host_forget(a);
	list[1] = list[0];
	list[1].ip.octet[3] = 222;
	s->address_count = 2;
	host_set(a, r);
	assert_int_equal(a->counts[ORDER_EMBODY], 1);
	assert_int_equal(a->counts[ORDER_DISEMBODY], 0);
	assert_int_equal(a->counts[ORDER_SEND], 2); /* both are announced */
	router = elect_core_find(a->core, 1);
	assert_int_equal(elect_set_addresses(elect_router_set(router, 0), &count)[1].ip.octet[3],
			 222);
	assert_int_equal(count, 2);

	/* One less: nothing to announce. */
	host_forget(a);
	s->address_count = 1;
	host_set(a, r);
	assert_int_equal(a->counts[ORDER_EMBODY], 1);
	assert_int_equal(a->counts[ORDER_SEND], 0);
	lan_run(both, 1, SPAN_S(2));
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
}

static void test_another_group_begins_anew(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 100);
	struct router_set *s = (struct router_set *)&r->sets[0];

	host_set(a, r);
	lan_run(both, 1, SPAN_S(10));
	host_forget(a);
	s->group = 2;
	host_set(a, r);
	assert_int_equal(a->counts[ORDER_GONE], 1);
	assert_int_equal(a->counts[ORDER_DISEMBODY], 1);
	assert_int_equal(host_last_advert(a)[35], 1); /* the old group's */
	assert_int_equal(host_last_advert(a)[36], 0); /* leaves */
	assert_int_equal(host_state(a, 1), FHRP_BACKUP);
	assert_int_equal(elect_set_slot(elect_router_set(elect_core_find(a->core, 1), 0)), 0);
}

static void test_a_group_has_one_router(void **state)
{
	struct error e = { 0 };

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 100));
	assert_int_equal(host_try(a, record_of(2, ROUTER_VRRP2, 1, 100), &e), -EBUSY);
	assert_int_equal(e.code, ERROR_IN_USE);
	assert_non_null(strstr(e.message, "r1"));
	assert_int_equal(host_try(a, record_of(2, ROUTER_CARP, 1, 100), &e), -EBUSY);
	assert_null(elect_core_find(a->core, 2));
	host_set(a, record_of(2, ROUTER_HSRP1, 1, 100));
}

/* The name is used again while the old one lingers. */
static void test_one_that_leaves_makes_way(void **state)
{
	host_set(a, record_of(1, ROUTER_VRRP3, 1, 100));
	lan_run(both, 1, SPAN_S(10));
	elect_core_remove(a->core, 1, rig_now);
	assert_int_equal(host_state(a, 1), FHRP_LEAVING);
	assert_true(a->embodied[1]);
	host_set(a, record_of(2, ROUTER_VRRP3, 1, 100));
	assert_true(elect_core_gone(a->core, 1));
	assert_false(a->embodied[1]);
	assert_int_equal(host_state(a, 2), FHRP_BACKUP);

	elect_core_remove(a->core, 2, rig_now);
	assert_true(elect_core_gone(a->core, 2));
}

/* In one change, of which each is told by itself: whoever finds its place taken has left its own.
 */
static void test_three_go_round_by_one(void **state)
{
	struct router *r[] = { record_of(1, ROUTER_VRRP3, 1, 100),
			       record_of(2, ROUTER_VRRP3, 2, 100),
			       record_of(3, ROUTER_VRRP3, 3, 100) };
	struct error e = { 0 };

	for (unsigned int i = 0; i < 3; i++)
		host_set(a, r[i]);
	lan_run(both, 1, SPAN_S(10));
	for (uint32_t id = 1; id <= 3; id++)
		assert_router(a, b, id);
	host_forget(a);
	for (uint16_t i = 0; i < 3; i++) {
		r[i]->set_count = 0;
		record_add_set(r[i], 1, (uint16_t)(i + 1) % 3 + 1, 4);
	}
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(host_try(a, r[i], &e), -EBUSY);
		assert_int_equal(e.code, ERROR_IN_USE);
		/* Graceful, as for any that begins anew. */
		assert_null(elect_core_find(a->core, i + 1));
		assert_false(a->embodied[i + 1]);
		assert_int_equal(host_last_advert(a)[35], i + 1);
		assert_int_equal(host_last_advert(a)[36], 0);
		assert_int_equal(host_reports(a, FHRP_REASON_RECONFIGURED), i + 1);
	}
	for (unsigned int i = 3; i-- > 0;)
		host_set(a, r[i]);
	lan_run(both, 1, SPAN_S(10));
	for (uint32_t id = 1; id <= 3; id++)
		assert_router(a, b, id);
	assert_int_equal(elect_router_record(elect_core_find(a->core, 1))->sets[0].group, 2);
}

static void test_no_memory_leaves_all_as_it_was(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 100);
	struct router_set *s = (struct router_set *)&r->sets[0];
	struct error e;
	int n;

	for (n = 0;; n++) {
		a->refuse_after = n;
		if (host_try(a, r, &e) == 0)
			break;
		assert_int_equal(e.code, ERROR_NO_MEMORY);
		assert_null(elect_core_find(a->core, 1));
	}
	assert_true(n >= 2);
	a->refuse_after = -1;
	lan_run(both, 1, SPAN_S(10));
	for (n = 0;; n++) {
		s->group = 99;
		a->refuse_after = n;
		if (host_try(a, r, &e) == 0)
			break;
		assert_int_equal(e.code, ERROR_NO_MEMORY);
		assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
		s->group = 1;
		r->priority++;
		a->refuse_after = 0;
		assert_int_equal(host_try(a, r, &e), -ENOMEM);
		r->priority--;
	}
	a->refuse_after = -1;
	assert_int_equal(host_state(a, 1), FHRP_BACKUP);
}

/* --- links, devices, tracking ---------------------------------------------------------------- */

static void test_waits_for_links_and_devices(void **state)
{
	struct host *h = host_new(3, true);
	struct elect_router *r;
	struct router *record = record_of(1, ROUTER_VRRP3, 1, 255);

	record_add_set(record, 2, 5, 6);
	host_set(h, record);
	r = elect_core_find(h->core, 1);
	host_plug(h, 1);
	elect_core_ready(h->core, elect_router_set(r, 0), true, rig_now);
	elect_core_ready(h->core, elect_router_set(r, 1), true, rig_now);
	assert_int_equal(host_state(h, 1), FHRP_INITIALIZE);
	assert_quiet(h);
	host_plug(h, 2);
	assert_int_equal(host_state(h, 1), FHRP_ACTIVE);
	elect_core_ready(h->core, elect_router_set(r, 1), false, rig_now);
	assert_int_equal(host_state(h, 1), FHRP_INITIALIZE);
	assert_false(h->embodied[1]);
	elect_core_ready(h->core, elect_router_set(r, 1), true, rig_now);
	assert_int_equal(host_state(h, 1), FHRP_ACTIVE);
	host_free(h);
}

static void test_a_link_that_comes_back_as_another(void **state)
{
	struct elect_link l = host_link(a, 1, true);
	struct vrrp v = vrrp_frame(3, 1, 50);

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 255));
	host_forget(a);
	l.ifindex = 77;
	elect_core_link(a->core, &l, rig_now);
	/* Ended there, begun here. */
	assert_int_equal(a->counts[ORDER_REPORT], 2);
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	assert_int_equal(host_last(a, ORDER_SEND)->ifindex, 77);
	hear_link = 77;
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_ACCEPTED);
	hear_link = 1;
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_NO_GROUP);
	hear_link = 0;
}

/* The new name comes first. */
static void test_a_link_that_is_renamed(void **state)
{
	struct elect_link l = host_link(a, 1, true);

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 255));
	l.ifname = "other";
	elect_core_link(a->core, &l, rig_now);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);
	assert_false(a->embodied[1]);
	l.ifname = "lan1";
	elect_core_link(a->core, &l, rig_now);
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
}

static void test_a_link_that_nobody_needs_is_forgotten(void **state)
{
	struct elect_link l = host_link(a, 3, true);
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 100);
	size_t before;

	/* What the tables grow by stays. */
	host_set(a, r);
	elect_core_remove(a->core, 1, rig_now);
	before = a->allocated;
	r->set_count = 0;
	record_add_set(r, 3, 1, 4);
	host_set(a, r);
	elect_core_link(a->core, &l, rig_now);
	elect_core_remove(a->core, 1, rig_now);
	l.usable = false;
	l.ifindex = 0;
	elect_core_link(a->core, &l, rig_now);
	assert_int_equal(a->allocated, before);
}

static void test_enabled_again_while_it_leaves(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 200);

	host_set(a, r);
	lan_run(both, 1, SPAN_S(10));
	r->enabled = false;
	host_set(a, r);
	assert_int_equal(host_state(a, 1), FHRP_LEAVING);
	r->enabled = true;
	host_set(a, r);
	/* It serves on until it has left, and begins again then. */
	assert_int_equal(host_state(a, 1), FHRP_LEAVING);
	lan_run(both, 1, SPAN_S(10));
	assert_router(a, b, 1);
}

static void test_a_new_source_is_taken_over(void **state)
{
	struct elect_link l = host_link(a, 1, true);

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 255));
	l.source4.octet[3] = 77;
	host_forget(a);
	elect_core_link(a->core, &l, rig_now);
	assert_quiet(a);
	lan_run(both, 1, SPAN_S(1));
	assert_int_equal(host_last_advert(a)[29], 77);

	/* Without any there is nobody to speak as. */
	l.source4 = (struct ip){ 0 };
	elect_core_link(a->core, &l, rig_now);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);
}

static void test_tracking_moves_the_priority(void **state)
{
	host_set(a, record_of(1, ROUTER_VRRP3, 1, 200));
	host_set(b, record_of(1, ROUTER_VRRP3, 1, 150));
	lan_run(both, 2, SPAN_S(10));
	assert_router(a, b, 1);
	elect_core_track(a->core, 1, -100, false, rig_now);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->priority, 100);
	lan_run(both, 2, SPAN_S(5));
	assert_router(b, a, 1);
	/* Never out of range, and an owner stays one. */
	elect_core_track(a->core, 1, -254, false, rig_now);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->priority, 1);
	elect_core_track(a->core, 1, 254, false, rig_now);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->priority, 254);
	lan_run(both, 2, SPAN_S(5));
	assert_router(a, b, 1);
	elect_core_track(a->core, 1, 254, true, rig_now);
	lan_run(both, 2, SPAN_S(5));
	assert_router(b, a, 1);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);
	elect_core_track(a->core, 1, 0, false, rig_now);
	lan_run(both, 2, SPAN_S(5));
	assert_router(a, b, 1);
}

static void test_the_sum_of_weights_survives_a_change(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 200);

	host_set(a, r);
	elect_core_track(a->core, 1, -50, false, rig_now);
	r->priority = 180;
	host_set(a, r);
	assert_int_equal(elect_router_machine(elect_core_find(a->core, 1))->priority, 130);
}

static void test_boot_hold_counts_once(void **state)
{
	struct router *r = record_of(1, ROUTER_VRRP3, 1, 255);

	r->boot_hold_ms = 20000;
	elect_core_boot(a->core, rig_now);
	host_set(a, r);
	assert_int_not_equal(host_state(a, 1), FHRP_ACTIVE);
	lan_run(both, 1, SPAN_S(25));
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	host_unplug(a, 1);
	host_plug(a, 1);
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
}

static void test_hsrp_learns_its_address(void **state)
{
	struct router *ra = record_of(1, ROUTER_HSRP2, 7, 100);
	struct router *rb = record_of(1, ROUTER_HSRP2, 7, 90);
	const struct router_address *list;
	unsigned int count;

	rb->learn = true;
	((struct router_set *)rb->sets)[0].address_count = 0;
	host_set(a, ra);
	host_set(b, rb);
	lan_run(both, 2, SPAN_S(60));
	assert_router(a, b, 1);
	list = elect_set_addresses(elect_router_set(elect_core_find(b->core, 1), 0), &count);
	assert_int_equal(count, 1);
	assert_memory_equal(list[0].ip.octet, ra->sets[0].addresses[0].ip.octet, 4);
	/* It is what b serves when a is gone. */
	host_unplug(a, 1);
	host_forget(b);
	lan_run(both, 2, SPAN_S(20));
	assert_router(b, a, 1);
	assert_memory_equal(host_last_advert(b) + 14 + 20 + 8 + 26,
			    ra->sets[0].addresses[0].ip.octet, 4);
	assert_true(host_counters(b, 1).announced > 0);
}

static void count_link(void *ctx, const char *ifname, const struct elect_counters *counters)
{
	if (strcmp(ifname, "lan1") == 0)
		*(struct elect_counters *)ctx = *counters;
}

static void test_frames_of_no_router_are_counted_by_link(void **state)
{
	struct vrrp v = vrrp_frame(3, 44, 50);
	struct elect_counters counters;

	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_NO_GROUP);
	assert_int_equal(hear_raw(a, "nothing", 7), VERDICT_TRUNCATED);
	elect_core_link_counters(a->core, count_link, &counters);
	assert_int_equal(counters.received, 2);
	assert_int_equal(counters.verdicts[VERDICT_NO_GROUP], 1);
	assert_int_equal(counters.verdicts[VERDICT_TRUNCATED], 1);
}

/* Most routers never refuse a frame, so they have no counters for that before the first. */
static void test_a_refusal_without_memory_is_counted_by_link(void **state)
{
	struct elect_counters counters = { 0 };
	struct vrrp v = vrrp_frame(3, 1, 50);
	struct router *r = record_of(1, ROUTER_VRRP2, 1, 100);

	host_set(a, r);
	host_plug(a, 1);
	a->refuse_after = 0;
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_OTHER_PROTOCOL);
	assert_int_equal(host_counters(a, 1).received, 0);
	elect_core_link_counters(a->core, count_link, &counters);
	assert_int_equal(counters.received, 1);
	assert_int_equal(counters.verdicts[VERDICT_OTHER_PROTOCOL], 1);
	a->refuse_after = -1;
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_OTHER_PROTOCOL);
	v = vrrp_frame(2, 1, 120);
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_ACCEPTED);
	assert_int_equal(host_counters(a, 1).received, 2);
	assert_int_equal(host_counters(a, 1).verdicts[VERDICT_OTHER_PROTOCOL], 1);
	assert_int_equal(host_counters(a, 1).verdicts[VERDICT_ACCEPTED], 1);
	elect_core_link_counters(a->core, count_link, &counters);
	assert_int_equal(counters.received, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_equal_record_does_nothing),
		T(test_a_change_under_way_is_no_transition),
		T(test_new_addresses_of_an_active_router),
		T(test_another_group_begins_anew),
		T(test_a_group_has_one_router),
		T(test_one_that_leaves_makes_way),
		T(test_three_go_round_by_one),
		T(test_no_memory_leaves_all_as_it_was),
		T(test_waits_for_links_and_devices),
		T(test_a_link_that_comes_back_as_another),
		T(test_a_link_that_is_renamed),
		T(test_a_link_that_nobody_needs_is_forgotten),
		T(test_enabled_again_while_it_leaves),
		T(test_a_new_source_is_taken_over),
		T(test_tracking_moves_the_priority),
		T(test_the_sum_of_weights_survives_a_change),
		T(test_boot_hold_counts_once),
		T(test_hsrp_learns_its_address),
		T(test_frames_of_no_router_are_counted_by_link),
		T(test_a_refusal_without_memory_is_counted_by_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
