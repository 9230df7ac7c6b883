/* HSRP: rfc2281_EVENT_STATE is the field of RFC 2281's table (section 5.7) in that row and column,
 * with all its alternatives. */
#include "hsrp_rig.h"

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
	expect(&t, "lease embody send(100) announce standby>active:peer_left");
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
