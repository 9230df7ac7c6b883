/* HSRP beside RFC 2281's table: row_STATE_OCCURRENCE is a row of ours; then what section 5 says in
 * words. */
#include "hsrp_rig.h"

/* --- ours ---------------------------------------------------------------------------------- */

static void row_learn_g_untold(void **state)
{
	const struct fhrp_heard h = {
		.state = ROUTER, .priority = 150, .hold = SPAN_S(7), .from = rig_address(20)
	};
	struct rig t;

	learn(&t);
	rig_hear(&t, &h);
	expect(&t, "");
	expect_timer(&t, active_down, 7000);
	expect_state(&t, FHRP_LEARN);
}

static void row_learn_h_untold(void **state)
{
	const struct fhrp_heard h = {
		.state = ROUTER, .priority = 50, .hold = SPAN_S(7), .from = rig_address(20)
	};
	struct rig t;

	learn(&t);
	rig_hear(&t, &h);
	expect(&t, "");
	expect_timer(&t, active_down, 7000);
	expect_state(&t, FHRP_LEARN);
}

static void row_learn_address_configured(void **state)
{
	struct rig t;

	learn(&t);
	t.config.know_address = true;
	rig_configure(&t);
	expect(&t, "learn>listen:reconfigured");
}

static void row_listen_i_held(void **state)
{
	struct rig t;

	hsrp(&t);
	t.m.config.boot_hold = SPAN_S(60);
	rig_boot(&t);
	hear(&t, ROUTER, 150);
	hear_as(&t, FHRP_RESIGN, ROUTER, 150, 20);
	expect(&t, "");
	expect_state(&t, FHRP_LISTEN);
}

static void row_listen_l_held(void **state)
{
	struct rig t;

	hsrp(&t);
	t.m.config.boot_hold = SPAN_S(60);
	rig_boot(&t);
	hear(&t, STANDBY, 50);
	expect(&t, "");
	expect_state(&t, FHRP_LISTEN);
	rig_time(&t, 59999);
	expect(&t, "");
	rig_time(&t, 1);
	expect(&t, "listen>speak:no_standby send(100)");
}

static void row_active_late(void **state)
{
	struct rig t;

	active(&t);
	rig_late(&t);
	expect(&t, "disembody lease-end active>listen:late");
	expect_timer(&t, active_down, 10000);
}

static void row_active_adjusted(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 1);
	rig_adjust(&t, 20);
	expect(&t, "lease send(20)");
}

static void row_active_quiet(void **state)
{
	struct rig t;

	active(&t);
	t.m.announce_at = MONO_NEVER;
	hear(&t, ROUTER, 50);
	t.now = t.m.quiet_at;
	t.m.advertise = mono_after(t.now, SPAN_MS(1));
	rig_time(&t, 0);
	expect(&t, "announce note:contention_won");
	assert_false(t.m.contended);
}

static void row_active_announce_due(void **state)
{
	struct rig t;

	active(&t);
	t.now = t.m.announce_at;
	t.m.advertise = mono_after(t.now, SPAN_MS(1));
	rig_time(&t, 0);
	expect(&t, "announce");
	assert_int_equal(t.m.announced, 2);
}

static void row_leaving_heard_successor(void **state)
{
	struct rig t;

	leaving(&t);
	hear(&t, STANDBY, 200);
	expect(&t, "");
	hear(&t, ROUTER, 20);
	expect(&t, "disembody lease-end leaving>initialize:successor");
}

static void row_leaving_linger_over(void **state)
{
	struct rig t;

	leaving(&t);
	rig_expire(&t);
	expect(&t, "disembody lease-end leaving>initialize:lingered");
}

static void row_leaving_late(void **state)
{
	struct rig t;

	leaving(&t);
	rig_late(&t);
	expect(&t, "disembody lease-end leaving>initialize:lingered");
}

static void row_leaving_failed(void **state)
{
	struct rig t;

	leaving(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "disembody lease-end leaving>initialize:fault");
}

static void row_leaving_cut(void **state)
{
	struct rig t;

	leaving(&t);
	rig_halt(&t, FHRP_REASON_RECONFIGURED);
	expect(&t, "disembody lease-end leaving>initialize:reconfigured");
}

static void row_leaving_a_known(void **state)
{
	struct rig t;

	leaving(&t);
	rig_start(&t);
	expect(&t, "disembody lease-end leaving>listen:started");
}

static void row_leaving_a_unknown(void **state)
{
	struct rig t;

	leaving(&t);
	t.m.config.know_address = false;
	rig_start(&t);
	expect(&t, "disembody lease-end leaving>learn:started");
}

/* --- RFC 2281 section 5 beside its table --------------------------------------------------- */

static void timers_are_learned_both_or_none(void **state)
{
	struct fhrp_heard h = { .state = ROUTER,
				.priority = 150,
				.interval = SPAN_S(5),
				.hold = SPAN_S(5),
				.from = rig_address(20) };
	struct rig t;

	listen(&t);
	t.m.config.learn = true;
	rig_hear(&t, &h);
	expect(&t, "");
	assert_int_equal(t.m.interval.ns, SPAN_S(3).ns);
	assert_int_equal(t.m.hold.ns, SPAN_S(10).ns);
	h.hold = SPAN_S(16);
	rig_hear(&t, &h);
	expect(&t, "note:timers_learned");
	assert_int_equal(t.m.interval.ns, SPAN_S(5).ns);
	assert_int_equal(t.m.hold.ns, SPAN_S(16).ns);
	rig_hear(&t, &h);
	expect(&t, "");
}

static void the_active_router_learns_no_timers(void **state)
{
	struct rig t;

	active(&t);
	t.m.config.learn = true;
	hear(&t, ROUTER, 50);
	hear(&t, STANDBY, 50);
	assert_int_equal(t.m.interval.ns, SPAN_S(3).ns);
	assert_int_equal(t.m.hold.ns, SPAN_S(10).ns);
}

static void timers_that_are_configured_are_not_learned(void **state)
{
	struct rig t;

	listen(&t);
	hear(&t, ROUTER, 150);
	expect(&t, "");
	assert_int_equal(t.m.interval.ns, SPAN_S(3).ns);
}

static void learned_timers_are_sent_and_the_hold_time_exceeds_the_hello_time(void **state)
{
	struct rig t;

	listen(&t);
	t.m.config.learn = true;
	hear(&t, ROUTER, 150);
	rig_until(&t, FHRP_SPEAK);
	assert_int_equal(rig_effect(&t, FHRP_EFFECT_SEND)->send.interval.ns, SPAN_S(2).ns);
	assert_int_equal(rig_effect(&t, FHRP_EFFECT_SEND)->send.hold.ns, SPAN_S(7).ns);
	t.config = rig_config(ROUTER_HSRP2);
	t.config.hold = SPAN_MS(3000);
	rig_init(&t);
	assert_int_equal(t.m.hold.ns, SPAN_S(10).ns);
}

static void the_hello_timer_is_jittered_downwards(void **state)
{
	int64_t least = INT64_MAX, most = 0;
	struct rig t;

	active(&t);
	for (int i = 0; i < 200; i++) {
		rig_expire(&t);
		if (t.out.list[0].kind != FHRP_EFFECT_LEASE)
			continue;
		least = t.m.advertise.ns - t.now.ns < least ? t.m.advertise.ns - t.now.ns : least;
		most = t.m.advertise.ns - t.now.ns > most ? t.m.advertise.ns - t.now.ns : most;
	}
	assert_true(least >= SPAN_MS(2400).ns && least < SPAN_MS(2500).ns);
	assert_true(most <= SPAN_MS(3000).ns && most > SPAN_MS(2900).ns);
}

static void alone_it_becomes_active_after_two_hold_times(void **state)
{
	const mono_t begin = { SPAN_S(1000).ns };
	struct rig t;

	listen(&t);
	rig_until(&t, FHRP_ACTIVE);
	assert_int_equal(mono_since(t.now, begin).ns, SPAN_S(20).ns);
}

static void an_expiry_in_speak_is_not_lost(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, ROUTER, 150);
	t.now = t.m.active_down;
	rig_time(&t, 0);
	expect_state(&t, FHRP_SPEAK);
	rig_until(&t, FHRP_ACTIVE);
	assert_int_equal(t.m.last_reason, FHRP_REASON_SILENCE);
}

static void preemption_waits_for_its_delay(void **state)
{
	struct rig t;

	hsrp(&t);
	t.m.config.preempt = true;
	t.m.config.preempt_delay = SPAN_S(5);
	rig_start(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "");
	rig_time(&t, 5000);
	hear(&t, ROUTER, 50);
	expect_state(&t, FHRP_ACTIVE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_learn_g_untold),
		cmocka_unit_test(row_learn_h_untold),
		cmocka_unit_test(row_learn_address_configured),
		cmocka_unit_test(row_listen_i_held),
		cmocka_unit_test(row_listen_l_held),
		cmocka_unit_test(row_active_late),
		cmocka_unit_test(row_active_adjusted),
		cmocka_unit_test(row_active_quiet),
		cmocka_unit_test(row_active_announce_due),
		cmocka_unit_test(row_leaving_heard_successor),
		cmocka_unit_test(row_leaving_linger_over),
		cmocka_unit_test(row_leaving_late),
		cmocka_unit_test(row_leaving_failed),
		cmocka_unit_test(row_leaving_cut),
		cmocka_unit_test(row_leaving_a_known),
		cmocka_unit_test(row_leaving_a_unknown),
		cmocka_unit_test(timers_are_learned_both_or_none),
		cmocka_unit_test(the_active_router_learns_no_timers),
		cmocka_unit_test(timers_that_are_configured_are_not_learned),
		cmocka_unit_test(learned_timers_are_sent_and_the_hold_time_exceeds_the_hello_time),
		cmocka_unit_test(the_hello_timer_is_jittered_downwards),
		cmocka_unit_test(alone_it_becomes_active_after_two_hold_times),
		cmocka_unit_test(an_expiry_in_speak_is_not_lost),
		cmocka_unit_test(preemption_waits_for_its_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
