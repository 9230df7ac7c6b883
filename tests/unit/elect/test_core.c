/* The core between its links and its orders: who is the router, and in which order things are said.
 */
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

/* --- elections ------------------------------------------------------------------------------- */

/* a is the better one: it is elected, b takes over when it leaves, and it comes back. */
static void check_two_routers(enum router_protocol p)
{
	struct router *ra = record_of(1, p, 7, 200), *rb = record_of(1, p, 7, 100);

	host_set(a, ra);
	host_set(b, rb);
	lan_run(both, 2, SPAN_S(40));
	assert_router(a, b, 1);

	/* Gone without a word. */
	host_unplug(a, 1);
	lan_run(both, 2, SPAN_S(15));
	assert_router(b, a, 1);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);

	/* Back, and preempts. */
	host_plug(a, 1);
	lan_run(both, 2, SPAN_S(40));
	assert_router(a, b, 1);

	/* Disabled: resigns, and is at rest when the other has taken over. */
	ra->enabled = false;
	host_set(a, ra);
	lan_run(both, 2, SPAN_S(15));
	assert_router(b, a, 1);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);
	assert_int_equal(host_reports(a, FHRP_REASON_DISABLED), 1);

	ra->enabled = true;
	host_set(a, ra);
	lan_run(both, 2, SPAN_S(40));
	assert_router(a, b, 1);

	/* Removed: the same, and gone. */
	elect_core_remove(a->core, 1, rig_now);
	lan_run(both, 2, SPAN_S(15));
	assert_true(elect_core_gone(a->core, 1));
	assert_int_equal(a->counts[ORDER_GONE], 1);
	assert_int_equal(host_state(b, 1), FHRP_ACTIVE);
	assert_false(a->embodied[1]);
}

static void test_vrrp2_elects_preempts_and_hands_over(void **state)
{
	check_two_routers(ROUTER_VRRP2);
}

static void test_vrrp3_elects_preempts_and_hands_over(void **state)
{
	check_two_routers(ROUTER_VRRP3);
}

static void test_hsrp1_elects_preempts_and_hands_over(void **state)
{
	check_two_routers(ROUTER_HSRP1);
}

static void test_hsrp2_elects_preempts_and_hands_over(void **state)
{
	check_two_routers(ROUTER_HSRP2);
}

static void test_carp_elects_preempts_and_hands_over(void **state)
{
	check_two_routers(ROUTER_CARP);
}

static void test_two_families_and_links_are_one_election(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct router *r = record_of(1, ROUTER_VRRP3, 7, i ? 100 : 200);

		record_add_set(r, 1, 7, 6);
		record_add_set(r, 2, 9, 4);
		host_set(both[i], r);
	}
	lan_run(both, 2, SPAN_S(10));
	assert_router(a, b, 1);
	/* One link lost is the whole router lost. */
	host_unplug(a, 2);
	lan_run(both, 2, SPAN_S(10));
	assert_router(b, a, 1);
	assert_int_equal(host_state(a, 1), FHRP_INITIALIZE);
	host_plug(a, 2);
	lan_run(both, 2, SPAN_S(10));
	assert_router(a, b, 1);
}

static void test_unicast_peers_elect(void **state)
{
	struct ip peers[2] = { host_ip(b, 1, 4), host_ip(a, 1, 4) };

	for (unsigned int i = 0; i < 2; i++) {
		struct router *r = record_of(1, ROUTER_VRRP3, 7, i ? 100 : 200);
		struct router_set *s = (struct router_set *)&r->sets[0];

		s->peers = &peers[i];
		s->peer_count = 1;
		host_set(both[i], r);
	}
	lan_run(both, 2, SPAN_S(10));
	assert_router(a, b, 1);
	assert_true(a->counts[ORDER_SEND_TO] > 3);
	assert_int_equal(host_counters(b, 1).verdicts[VERDICT_ACCEPTED], a->counts[ORDER_SEND_TO]);
	/* Announcements still go to everybody. */
	assert_int_equal(a->counts[ORDER_SEND], host_counters(a, 1).announced);
}

static void test_stop_ends_all_gracefully(void **state)
{
	for (uint32_t id = 1; id <= 3; id++) {
		host_set(a, record_of(id, ROUTER_VRRP3, (uint16_t)id, 200));
		host_set(b, record_of(id, ROUTER_VRRP3, (uint16_t)id, 100));
	}
	lan_run(both, 2, SPAN_S(10));
	host_forget(a);
	assert_false(elect_core_stopped(a->core));
	elect_core_stop(a->core, rig_now);
	assert_int_equal(a->counts[ORDER_FLUSH], 1);
	lan_run(both, 2, SPAN_S(5));
	assert_true(elect_core_stopped(a->core));
	for (uint32_t id = 1; id <= 3; id++) {
		assert_router(b, a, id);
		assert_int_equal(host_counters(a, id).sent_zero, 1);
	}
	/* Nothing starts any more. */
	host_set(a, record_of(9, ROUTER_VRRP3, 9, 255));
	assert_int_equal(host_state(a, 9), FHRP_INITIALIZE);
}

/* --- orders ---------------------------------------------------------------------------------- */

/* 250 routers of which the active one falls silent. */
#define MANY 250

static void test_250_takeovers_are_one_flush_in_order(void **state)
{
	enum order_kind phase = ORDER_SEND;
	unsigned int embodied = 0;

	for (uint32_t id = 1; id <= MANY; id++)
		host_set(a, record_of(id, ROUTER_VRRP3, (uint16_t)id, 100));
	host_forget(a);
	/* One second late, so that the last is due with the first. */
	rig_now = mono_after(elect_core_next_expiry(a->core), SPAN_S(1));
	elect_core_time(a->core, rig_now);
	assert_int_equal(a->counts[ORDER_FLUSH], 1);
	assert_int_equal(a->orders[a->count - 1].kind, ORDER_FLUSH);
	assert_int_equal(a->counts[ORDER_EMBODY], MANY);
	assert_int_equal(a->counts[ORDER_LEASE], MANY);
	assert_int_equal(a->counts[ORDER_SEND], 2 * MANY); /* advertisement, announcement */
	for (unsigned int i = 0; i < a->count; i++) {
		const struct order *o = &a->orders[i];

		if (o->kind == ORDER_EMBODY)
			embodied++;
		if (o->kind == ORDER_LEASE)
			assert_int_equal(embodied, 0);
		if (o->kind == ORDER_SEND && embodied > 0)
			assert_int_equal(embodied, MANY);
		if (o->kind == ORDER_REPORT)
			phase = ORDER_REPORT;
		else if (o->kind != ORDER_FLUSH)
			assert_int_not_equal(phase, ORDER_REPORT);
	}
}

/* More reports than are kept: nothing is lost. */
static void test_more_reports_than_room(void **state)
{
	enum { ROUTERS = 1500 };
	struct host *h = host_new(3, false);

	host_plug(h, 1);
	for (uint32_t id = 1; id <= ROUTERS; id++) {
		struct router *r = record_of(id, ROUTER_HSRP2, (uint16_t)id, 100);

		r->announce_count = 1;
		host_set(h, r);
		host_forget(h);
	}
	rig_now = mono_after(elect_core_next_expiry(h->core), SPAN_S(1));
	elect_core_time(h->core, rig_now);
	assert_true(h->counts[ORDER_REPORT] >= ROUTERS);
	host_free(h);
}

static void test_equal_intervals_come_to_advertise_together(void **state)
{
	unsigned int flushes;

	/* Started at different times within an interval. */
	for (uint32_t id = 1; id <= 100; id++) {
		host_set(a, record_of(id, ROUTER_VRRP3, (uint16_t)id, 255));
		rig_now = mono_after(rig_now, SPAN_MS(1));
	}
	lan_run(both, 1, SPAN_S(5));
	host_forget(a);
	lan_run(both, 1, SPAN_S(1));
	flushes = a->counts[ORDER_FLUSH];
	assert_int_equal(a->counts[ORDER_SEND], 100);
	assert_in_range(flushes, 1, 100 / 5 + 1);
	/* Never early by more than the slack, never late: 10 s are 10 advertisements. */
	host_forget(a);
	lan_run(both, 1, SPAN_S(10));
	assert_in_range(a->counts[ORDER_SEND], 1000, 1010);
}

static void test_silence_is_never_cut_short(void **state)
{
	mono_t due;

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 255));
	host_set(a, record_of(2, ROUTER_VRRP3, 2, 100));
	due = elect_router_machine(elect_core_find(a->core, 2))->active_down;
	/* 1's advertisement is due 1 ms before. */
	rig_now = mono_after(due, SPAN_MS(-1));
	elect_core_time(a->core, rig_now);
	assert_int_equal(host_state(a, 2), FHRP_BACKUP);
	rig_now = due;
	elect_core_time(a->core, rig_now);
	assert_int_equal(host_state(a, 2), FHRP_ACTIVE);
}

static void test_late_beyond_the_lease_fences_itself(void **state)
{
	host_set(a, record_of(1, ROUTER_VRRP3, 1, 100));
	lan_run(both, 1, SPAN_S(10));
	assert_int_equal(host_state(a, 1), FHRP_ACTIVE);
	host_forget(a);
	rig_now = mono_after(rig_now, SPAN_S(30));
	elect_core_time(a->core, rig_now);
	assert_int_equal(host_state(a, 1), FHRP_BACKUP);
	assert_false(a->embodied[1]);
	assert_int_equal(host_counters(a, 1).late, 1);
	assert_true(host_counters(a, 1).late_ns_most > SPAN_S(29).ns);
	assert_int_equal(host_reports(a, FHRP_REASON_LATE), 1);
	assert_int_equal(a->counts[ORDER_SEND], 0);
}

/* A frame may be what wakes us: it must not find a router that has lost its lease. */
static void test_late_is_noticed_by_a_frame_too(void **state)
{
	struct vrrp v = vrrp_frame(3, 1, 50);

	host_set(a, record_of(1, ROUTER_VRRP3, 1, 100));
	lan_run(both, 1, SPAN_S(10));
	host_forget(a);
	rig_now = mono_after(rig_now, SPAN_S(30));
	assert_int_equal(hear_vrrp(a, 9, &v, NULL, 0, 0), VERDICT_ACCEPTED);
	assert_int_equal(host_state(a, 1), FHRP_BACKUP);
	assert_int_equal(a->counts[ORDER_SEND], 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_vrrp2_elects_preempts_and_hands_over),
		T(test_vrrp3_elects_preempts_and_hands_over),
		T(test_hsrp1_elects_preempts_and_hands_over),
		T(test_hsrp2_elects_preempts_and_hands_over),
		T(test_carp_elects_preempts_and_hands_over),
		T(test_two_families_and_links_are_one_election),
		T(test_unicast_peers_elect),
		T(test_stop_ends_all_gracefully),
		T(test_250_takeovers_are_one_flush_in_order),
		T(test_more_reports_than_room),
		T(test_equal_intervals_come_to_advertise_together),
		T(test_silence_is_never_cut_short),
		T(test_late_beyond_the_lease_fences_itself),
		T(test_late_is_noticed_by_a_frame_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
