/* HSRP.  rfc2281_EVENT_STATE is the field of RFC 2281's table in that row and column, with all its
 * alternatives; row_STATE_OCCURRENCE a row of ours. */
#include "rig.h"

enum {
	LISTENER = HSRP_STATE_LISTEN,
	SPEAKER = HSRP_STATE_SPEAK,
	STANDBY = HSRP_STATE_STANDBY,
	ROUTER = HSRP_STATE_ACTIVE,
};

static void hsrp(struct rig *t)
{
	t->config = rig_config(ROUTER_HSRP1);
	rig_init(t);
}

static void listen(struct rig *t)
{
	hsrp(t);
	rig_start(t);
	expect(t, "initialize>listen:started");
}

static void learn(struct rig *t)
{
	t->config = rig_config(ROUTER_HSRP1);
	t->config.know_address = false;
	rig_init(t);
	rig_start(t);
	expect(t, "initialize>learn:started");
}

static void speak(struct rig *t)
{
	listen(t);
	rig_until(t, FHRP_SPEAK);
}

static void hear_as(struct rig *t, enum fhrp_message message, uint8_t sender, uint32_t priority,
		    uint8_t host)
{
	const struct fhrp_heard h = {
		.message = message,
		.state = sender,
		.priority = priority,
		.interval = SPAN_S(2),
		.hold = SPAN_S(7),
		.from = rig_address(host),
		.virtual_address = { 10, 0, 0, 1 },
	};

	rig_hear(t, &h);
}

static void hear(struct rig *t, uint8_t sender, uint32_t priority)
{
	hear_as(t, FHRP_HELLO, sender, priority, 20);
}

/* Standby, with an active router that was just heard. */
static void standby(struct rig *t)
{
	speak(t);
	hear(t, ROUTER, 200);
	hear_as(t, FHRP_HELLO, STANDBY, 50, 30);
	expect(t, "speak>standby:no_standby");
	rig_time(t, 1);
}

static void active(struct rig *t)
{
	speak(t);
	rig_until(t, FHRP_ACTIVE);
}

static void leaving(struct rig *t)
{
	active(t);
	rig_stop(t);
	expect_state(t, FHRP_LEAVING);
}

/* --- RFC 2281 section 5.7 ------------------------------------------------------------------ */

static void rfc2281_a_initial(void **state)
{
	struct rig t;

	listen(&t);
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
	learn(&t);
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_b_learn(void **state)
{
	struct rig t;

	learn(&t);
	rig_stop(&t);
	expect(&t, "learn>initialize:shutdown");
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
	learn(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "learn>initialize:fault");
}

static void rfc2281_b_listen(void **state)
{
	struct rig t;

	listen(&t);
	rig_stop(&t);
	expect(&t, "listen>initialize:shutdown");
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
	listen(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "listen>initialize:fault");
}

static void rfc2281_b_speak(void **state)
{
	struct rig t;

	speak(&t);
	rig_stop(&t);
	expect(&t, "speak>initialize:shutdown");
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
	speak(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "speak>initialize:fault");
}

static void rfc2281_b_standby(void **state)
{
	struct rig t;

	standby(&t);
	rig_stop(&t);
	expect(&t, "standby>initialize:shutdown");
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
	standby(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "standby>initialize:fault");
}

static void rfc2281_b_active(void **state)
{
	struct rig t;

	active(&t);
	rig_stop(&t);
	expect(&t, "resign(100) lease active>leaving:shutdown");
	assert_int_equal(t.out.list[0].send.state, HSRP_STATE_ACTIVE);
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
	expect_timer(&t, linger_until, 3000);
	active(&t);
	t.m.config.linger = SPAN_NS(0);
	rig_stop(&t);
	expect(&t, "resign(100) disembody lease-end active>initialize:shutdown");
	active(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "resign(100) disembody lease-end active>initialize:fault");
	active(&t);
	rig_halt(&t, FHRP_REASON_RECONFIGURED);
	expect(&t, "disembody lease-end active>initialize:reconfigured");
}

static void rfc2281_c_listen(void **state)
{
	struct rig t;

	listen(&t);
	t.m.standby_down = mono_after(t.now, SPAN_S(20));
	rig_time(&t, 10000);
	expect(&t, "listen>speak:silence send(100)");
	assert_false(t.out.list[1].send.from_vmac);
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_c_standby(void **state)
{
	struct rig t;

	standby(&t);
	t.now = t.m.active_down;
	t.m.advertise = mono_after(t.now, SPAN_MS(1));
	rig_time(&t, 0);
	expect(&t, "lease send(100) embody announce standby>active:silence");
	assert_true(t.out.list[1].send.from_vmac);
	assert_int_equal(t.out.list[1].send.state, HSRP_STATE_ACTIVE);
	expect_stopped(&t, active_down);
	expect_stopped(&t, standby_down);
}

static void rfc2281_d_listen(void **state)
{
	struct rig t;

	listen(&t);
	t.m.active_down = mono_after(t.now, SPAN_S(20));
	rig_time(&t, 10000);
	expect(&t, "listen>speak:no_standby send(100)");
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_d_speak(void **state)
{
	struct rig t;

	speak(&t);
	t.m.active_down = mono_after(t.now, SPAN_S(20));
	t.m.advertise = mono_after(t.now, SPAN_S(20));
	rig_time(&t, 10000);
	expect(&t, "speak>standby:no_standby");
	expect_stopped(&t, standby_down);
}

static void rfc2281_e_speak(void **state)
{
	struct rig t;

	speak(&t);
	t.now = t.m.advertise;
	rig_time(&t, 0);
	expect(&t, "send(100)");
	assert_false(t.out.list[0].send.from_vmac);
	assert_int_equal(t.out.list[0].send.state, HSRP_STATE_SPEAK);
	assert_int_equal(t.out.list[0].send.interval.ns, SPAN_S(3).ns);
	assert_int_equal(t.out.list[0].send.hold.ns, SPAN_S(10).ns);
}

static void rfc2281_e_standby(void **state)
{
	struct rig t;

	standby(&t);
	t.now = t.m.advertise;
	rig_time(&t, 0);
	expect(&t, "send(100)");
	assert_false(t.out.list[0].send.from_vmac);
	assert_int_equal(t.out.list[0].send.state, HSRP_STATE_STANDBY);
	assert_int_equal(t.out.list[0].send.interval.ns, SPAN_S(3).ns);
	assert_int_equal(t.out.list[0].send.hold.ns, SPAN_S(10).ns);
}

static void rfc2281_e_active(void **state)
{
	struct rig t;

	active(&t);
	t.m.announce_at = MONO_NEVER;
	t.now = t.m.advertise;
	rig_time(&t, 0);
	expect(&t, "lease send(100)");
	assert_true(t.out.list[1].send.from_vmac);
	assert_int_equal(t.out.list[1].send.state, HSRP_STATE_ACTIVE);
	expect_timer(&t, lease, 10000);
}

static void rfc2281_f_speak(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, SPEAKER, 50);
	expect(&t, "");
	hear(&t, SPEAKER, 150);
	expect(&t, "speak>listen:standby_taken");
	expect_timer(&t, standby_down, 10000);
	expect_stopped(&t, advertise);
}

static void rfc2281_f_standby(void **state)
{
	struct rig t;

	standby(&t);
	hear(&t, SPEAKER, 50);
	expect(&t, "");
	hear(&t, SPEAKER, 150);
	expect(&t, "standby>listen:standby_taken");
	expect_timer(&t, standby_down, 10000);
	expect_stopped(&t, advertise);
}

static void rfc2281_g_learn(void **state)
{
	struct rig t;

	learn(&t);
	hear(&t, ROUTER, 150);
	expect(&t, "learned learn>listen:address_learned");
	assert_int_equal(t.out.list[0].learned[3], 1);
	expect_timer(&t, active_down, 7000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_h_learn(void **state)
{
	struct rig t;

	learn(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "learned learn>listen:address_learned");
	assert_int_equal(t.out.list[0].learned[3], 1);
	expect_timer(&t, active_down, 7000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_g_listen(void **state)
{
	struct rig t;

	listen(&t);
	t.m.config.learn = true;
	hear(&t, ROUTER, 150);
	expect(&t, "note:timers_learned");
	expect_timer(&t, active_down, 7000);
	expect_state(&t, FHRP_LISTEN);
}

static void rfc2281_g_speak(void **state)
{
	struct rig t;

	speak(&t);
	t.m.config.learn = true;
	hear(&t, ROUTER, 150);
	expect(&t, "note:timers_learned");
	expect_timer(&t, active_down, 7000);
	expect_state(&t, FHRP_SPEAK);
}

static void rfc2281_g_standby(void **state)
{
	struct rig t;

	standby(&t);
	t.m.config.learn = true;
	hear(&t, ROUTER, 150);
	expect(&t, "note:timers_learned");
	expect_timer(&t, active_down, 7000);
	expect_state(&t, FHRP_STANDBY);
}

static void rfc2281_g_active(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, ROUTER, 150);
	expect(&t, "disembody lease-end active>speak:outranked");
	expect_timer(&t, active_down, 7000);
	expect_timer(&t, standby_down, 10000);
	active(&t);
	hear(&t, ROUTER, 100);
	expect(&t, "disembody lease-end active>speak:tie_lost");
}

static void rfc2281_h_listen(void **state)
{
	struct rig t;

	listen(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "");
	expect_timer(&t, active_down, 7000);
	t.m.config.preempt = true;
	hear(&t, ROUTER, 50);
	expect(&t, "lease embody coup(100) send(100) announce listen>active:preempted");
	assert_int_equal(t.out.list[2].send.state, HSRP_STATE_LISTEN);
	assert_false(t.out.list[2].send.from_vmac);
	assert_true(t.out.list[3].send.from_vmac);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_h_speak(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "");
	expect_timer(&t, active_down, 7000);
	t.m.config.preempt = true;
	hear(&t, ROUTER, 50);
	expect(&t, "lease embody coup(100) send(100) announce speak>active:preempted");
	assert_int_equal(t.out.list[2].send.state, HSRP_STATE_SPEAK);
	assert_false(t.out.list[2].send.from_vmac);
	assert_true(t.out.list[3].send.from_vmac);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_h_standby(void **state)
{
	struct rig t;

	standby(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "");
	expect_timer(&t, active_down, 7000);
	t.m.config.preempt = true;
	hear(&t, ROUTER, 50);
	expect(&t, "lease embody coup(100) send(100) announce standby>active:preempted");
	assert_int_equal(t.out.list[2].send.state, HSRP_STATE_STANDBY);
	assert_false(t.out.list[2].send.from_vmac);
	assert_true(t.out.list[3].send.from_vmac);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_h_active(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, ROUTER, 50);
	expect(&t, "coup(100)");
	assert_true(t.out.list[0].send.from_vmac);
	assert_true(t.m.contended);
}

static void rfc2281_i_listen(void **state)
{
	struct rig t;

	listen(&t);
	hear(&t, ROUTER, 150);
	hear_as(&t, FHRP_RESIGN, ROUTER, 150, 20);
	expect(&t, "listen>speak:peer_left");
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
}

static void rfc2281_i_speak(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, ROUTER, 150);
	hear_as(&t, FHRP_RESIGN, SPEAKER, 150, 20);
	expect(&t, "");
	expect_timer(&t, active_down, 10000);
	expect_state(&t, FHRP_SPEAK);
}

static void rfc2281_i_standby(void **state)
{
	struct rig t;

	standby(&t);
	hear_as(&t, FHRP_RESIGN, SPEAKER, 150, 30);
	expect(&t, "");
	hear_as(&t, FHRP_RESIGN, SPEAKER, 150, 20);
	expect(&t, "lease send(100) embody announce standby>active:peer_left");
}

static void rfc2281_j_active(void **state)
{
	struct rig t;

	active(&t);
	hear_as(&t, FHRP_COUP, LISTENER, 50, 20);
	expect(&t, "");
	hear_as(&t, FHRP_COUP, LISTENER, 150, 20);
	expect(&t, "disembody lease-end resign(100) active>speak:coup");
	assert_int_equal(t.out.list[2].send.state, HSRP_STATE_SPEAK);
	assert_false(t.out.list[2].send.from_vmac);
	expect_timer(&t, active_down, 10000);
	expect_timer(&t, standby_down, 10000);
	active(&t);
	hear_as(&t, FHRP_COUP, ROUTER, 150, 20);
	expect_state(&t, FHRP_SPEAK);
}

static void rfc2281_k_listen(void **state)
{
	struct rig t;

	listen(&t);
	hear(&t, STANDBY, 150);
	expect(&t, "");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_k_speak(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, STANDBY, 150);
	expect(&t, "speak>listen:standby_taken");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_k_standby(void **state)
{
	struct rig t;

	standby(&t);
	hear(&t, STANDBY, 150);
	expect(&t, "standby>listen:standby_taken");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_k_active(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, STANDBY, 150);
	expect(&t, "");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_l_listen(void **state)
{
	struct rig t;

	listen(&t);
	hear(&t, STANDBY, 50);
	expect(&t, "listen>speak:no_standby");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_l_speak(void **state)
{
	struct rig t;

	speak(&t);
	hear(&t, STANDBY, 50);
	expect(&t, "speak>standby:no_standby");
	expect_stopped(&t, standby_down);
}

static void rfc2281_l_active(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, STANDBY, 50);
	expect(&t, "");
	expect_timer(&t, standby_down, 7000);
}

static void rfc2281_empty_fields_do_nothing(void **state)
{
	static const uint8_t senders[] = { HSRP_STATE_INITIAL, HSRP_STATE_LEARN,
					   HSRP_STATE_LISTEN };
	struct rig t;

	standby(&t);
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		hear(&t, senders[i], 200);
		expect(&t, "");
		hear(&t, senders[i], 20);
		expect(&t, "");
	}
	hear(&t, STANDBY, 50);
	expect(&t, "");
	hear_as(&t, FHRP_COUP, ROUTER, 200, 20);
	expect(&t, "");
	expect_state(&t, FHRP_STANDBY);
	active(&t);
	hear(&t, SPEAKER, 200);
	hear_as(&t, FHRP_RESIGN, ROUTER, 200, 20);
	expect(&t, "");
	listen(&t);
	hear(&t, SPEAKER, 200);
	expect(&t, "");
	learn(&t);
	hear(&t, STANDBY, 200);
	hear_as(&t, FHRP_RESIGN, ROUTER, 200, 20);
	rig_time(&t, 60000);
	expect(&t, "");
	expect_state(&t, FHRP_LEARN);
}

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
		cmocka_unit_test(rfc2281_a_initial),
		cmocka_unit_test(rfc2281_b_learn),
		cmocka_unit_test(rfc2281_b_listen),
		cmocka_unit_test(rfc2281_b_speak),
		cmocka_unit_test(rfc2281_b_standby),
		cmocka_unit_test(rfc2281_b_active),
		cmocka_unit_test(rfc2281_c_listen),
		cmocka_unit_test(rfc2281_c_standby),
		cmocka_unit_test(rfc2281_d_listen),
		cmocka_unit_test(rfc2281_d_speak),
		cmocka_unit_test(rfc2281_e_speak),
		cmocka_unit_test(rfc2281_e_standby),
		cmocka_unit_test(rfc2281_e_active),
		cmocka_unit_test(rfc2281_f_speak),
		cmocka_unit_test(rfc2281_f_standby),
		cmocka_unit_test(rfc2281_g_learn),
		cmocka_unit_test(rfc2281_h_learn),
		cmocka_unit_test(rfc2281_g_listen),
		cmocka_unit_test(rfc2281_g_speak),
		cmocka_unit_test(rfc2281_g_standby),
		cmocka_unit_test(rfc2281_g_active),
		cmocka_unit_test(rfc2281_h_listen),
		cmocka_unit_test(rfc2281_h_speak),
		cmocka_unit_test(rfc2281_h_standby),
		cmocka_unit_test(rfc2281_h_active),
		cmocka_unit_test(rfc2281_i_listen),
		cmocka_unit_test(rfc2281_i_speak),
		cmocka_unit_test(rfc2281_i_standby),
		cmocka_unit_test(rfc2281_j_active),
		cmocka_unit_test(rfc2281_k_listen),
		cmocka_unit_test(rfc2281_k_speak),
		cmocka_unit_test(rfc2281_k_standby),
		cmocka_unit_test(rfc2281_k_active),
		cmocka_unit_test(rfc2281_l_listen),
		cmocka_unit_test(rfc2281_l_speak),
		cmocka_unit_test(rfc2281_l_active),
		cmocka_unit_test(rfc2281_empty_fields_do_nothing),
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
