/* The lease: what the data plane is told, and that nobody acts beyond it. */
#include "rig.h"

static void active(struct rig *t, enum router_protocol p)
{
	t->config = rig_config(p);
	rig_init(t);
	rig_start(t);
	rig_until(t, FHRP_ACTIVE);
}

/* A backup of another host that hears what the last step sent. */
static void answer(struct rig *other, const struct rig *t, uint8_t priority)
{
	const struct fhrp_send *sent = &rig_effect(t, FHRP_EFFECT_SEND)->send;
	const struct fhrp_heard h = {
		.version = 3,
		.message = sent->message,
		.state = sent->state,
		.priority = sent->priority,
		.interval = sent->interval,
		.hold = sent->hold,
		.from = rig_address(OWN_HOST),
	};

	other->config = t->config;
	other->config.preempt = false;
	other->config.priority = priority;
	rig_init(other);
	other->own[0] = rig_address(30);
	other->now = t->now;
	rig_start(other);
	rig_hear(other, &h);
}

static void it_ends_before_the_keenest_backup_takes_over(void **state)
{
	static const enum router_protocol protocols[] = { ROUTER_VRRP2, ROUTER_VRRP3, ROUTER_HSRP1,
							  ROUTER_HSRP2, ROUTER_CARP };
	struct rig t;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		struct rig other;

		active(&t, protocols[i]);
		answer(&other, &t, protocols[i] == ROUTER_CARP ? 255 : 254);
		assert_true(other.m.active_down.ns >= t.m.lease.ns);
		assert_true(t.m.lease.ns > t.now.ns);
	}
}

static void every_advertisement_extends_it(void **state)
{
	struct rig t;

	active(&t, ROUTER_VRRP3);
	for (int i = 0; i < 10; i++) {
		t.now = t.m.advertise;
		rig_time(&t, 0);
		assert_int_equal(t.out.list[0].kind, FHRP_EFFECT_LEASE);
		assert_int_equal(t.out.list[1].kind, FHRP_EFFECT_SEND);
		expect_timer(&t, lease, 3000);
	}
}

static void nothing_but_an_advertisement_extends_it(void **state)
{
	const struct fhrp_event time = { .kind = FHRP_EVENT_TIME };
	mono_t before;
	struct rig t;

	active(&t, ROUTER_VRRP3);
	before = t.m.lease;
	t.m.advertise = mono_after(t.now, SPAN_S(60));
	t.watched.lease = t.m.lease;
	fhrp_step(&t.m, &time, mono_after(t.now, SPAN_MS(1500)), &t.out);
	assert_int_equal(t.m.lease.ns, before.ns);
}

static void a_late_advertiser_falls_silent_and_listens_a_full_hold(void **state)
{
	struct rig t;

	active(&t, ROUTER_VRRP3);
	rig_time(&t, 3000);
	expect(&t, "disembody lease-end active>backup:late");
	assert_int_equal(t.m.active_down.ns - t.now.ns, fhrp_hold(&t.m).ns);
	active(&t, ROUTER_HSRP1);
	rig_time(&t, 10000);
	expect(&t, "disembody lease-end active>listen:late");
	active(&t, ROUTER_CARP);
	rig_time(&t, 3000);
	expect(&t, "disembody lease-end active>backup:late");
}

static void a_late_router_is_no_router_whatever_comes_first(void **state)
{
	const struct fhrp_heard h = { .version = 3,
				      .priority = 1,
				      .interval = SPAN_S(1),
				      .from = { .address = { 10, 0, 0, 20 }, .len = 4 } };
	struct rig t;

	active(&t, ROUTER_VRRP3);
	rig_pass(&t, 3000);
	rig_hear(&t, &h);
	expect(&t, "disembody lease-end active>backup:late");
	active(&t, ROUTER_VRRP3);
	rig_pass(&t, 3000);
	rig_stop(&t);
	expect(&t, "disembody lease-end active>backup:late backup>initialize:shutdown");
	active(&t, ROUTER_VRRP3);
	rig_pass(&t, 3000);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "disembody lease-end active>backup:late backup>initialize:fault");
	active(&t, ROUTER_VRRP3);
	rig_pass(&t, 3000);
	rig_adjust(&t, 7);
	expect(&t, "disembody lease-end active>backup:late");
}

static void an_advertiser_just_in_time_goes_on(void **state)
{
	struct rig t;

	active(&t, ROUTER_VRRP3);
	rig_time(&t, 2999);
	expect_state(&t, FHRP_ACTIVE);
	expect_timer(&t, lease, 3000);
}

static void the_cadence_is_kept_when_a_step_is_a_little_late(void **state)
{
	mono_t due;
	struct rig t;

	active(&t, ROUTER_VRRP3);
	due = t.m.advertise;
	t.now = mono_after(due, SPAN_MS(7));
	rig_time(&t, 0);
	assert_int_equal(t.m.advertise.ns, mono_after(due, SPAN_S(1)).ns);
}

static void a_lingering_router_keeps_it_until_then_only(void **state)
{
	struct rig t;

	active(&t, ROUTER_VRRP3);
	t.m.config.linger = SPAN_S(7);
	rig_stop(&t);
	expect_timer(&t, lease, 7000);
	expect_timer(&t, linger_until, 7000);
	assert_true(fhrp_embodies(&t.m));
	rig_time(&t, 7000);
	expect(&t, "disembody lease-end leaving>initialize:lingered");
	assert_false(fhrp_embodies(&t.m));
}

static void a_shorter_interval_shortens_it_and_counts_at_once(void **state)
{
	struct rig t;

	active(&t, ROUTER_VRRP3);
	rig_pass(&t, 10);
	t.config.interval = SPAN_MS(100);
	rig_configure(&t);
	expect(&t, "lease");
	expect_timer(&t, lease, 300);
	expect_timer(&t, advertise, 100);
}

static void a_longer_interval_counts_from_the_next_advertisement(void **state)
{
	mono_t before;
	struct rig t;

	active(&t, ROUTER_VRRP3);
	before = t.m.lease;
	t.config.interval = SPAN_S(5);
	rig_configure(&t);
	expect(&t, "");
	assert_int_equal(t.m.lease.ns, before.ns);
	t.now = t.m.advertise;
	rig_time(&t, 0);
	expect_timer(&t, lease, 15000);
	expect_timer(&t, advertise, 5000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_before_the_keenest_backup_takes_over),
		cmocka_unit_test(every_advertisement_extends_it),
		cmocka_unit_test(nothing_but_an_advertisement_extends_it),
		cmocka_unit_test(a_late_advertiser_falls_silent_and_listens_a_full_hold),
		cmocka_unit_test(a_late_router_is_no_router_whatever_comes_first),
		cmocka_unit_test(an_advertiser_just_in_time_goes_on),
		cmocka_unit_test(the_cadence_is_kept_when_a_step_is_a_little_late),
		cmocka_unit_test(a_lingering_router_keeps_it_until_then_only),
		cmocka_unit_test(a_shorter_interval_shortens_it_and_counts_at_once),
		cmocka_unit_test(a_longer_interval_counts_from_the_next_advertisement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
