/* VRRP.  A test called row_STATE_OCCURRENCE is that row's of the table. */
#include "rig.h"

static void vrrp(struct rig *t, uint8_t priority)
{
	t->config = rig_config(ROUTER_VRRP3);
	t->config.priority = priority;
	rig_init(t);
}

static void backup(struct rig *t)
{
	vrrp(t, 100);
	rig_start(t);
	expect_state(t, FHRP_BACKUP);
}

static void active(struct rig *t)
{
	backup(t);
	rig_expire(t);
	expect_state(t, FHRP_ACTIVE);
}

static void owner(struct rig *t)
{
	vrrp(t, 255);
	rig_start(t);
	expect_state(t, FHRP_ACTIVE);
}

static void leaving(struct rig *t)
{
	active(t);
	rig_stop(t);
	expect_state(t, FHRP_LEAVING);
}

static void hear_on(struct rig *t, uint8_t set, uint8_t host, uint8_t priority, int64_t interval_ms)
{
	const struct fhrp_heard h = {
		.set = set,
		.version = 3,
		.priority = priority,
		.interval = SPAN_MS(interval_ms),
		.from = rig_address(host),
	};

	rig_hear(t, &h);
}

static void hear(struct rig *t, uint8_t host, uint8_t priority)
{
	hear_on(t, 0, host, priority, 1000);
}

/* --- the rows -------------------------------------------------------------------------------- */

static void row_initialize_started(void **state)
{
	struct rig t;

	vrrp(&t, 100);
	rig_start(&t);
	expect(&t, "initialize>backup:started");
	/* 3 s and (256 - 100) / 256 of a second. */
	assert_int_equal(t.m.active_down.ns - t.now.ns, 3609375000);
	assert_int_equal(fhrp_hold(&t.m).ns, 3609375000);
}

static void row_initialize_started_owner(void **state)
{
	struct rig t;

	vrrp(&t, 255);
	rig_start(&t);
	expect(&t, "lease embody send(255) announce initialize>active:owner");
	expect_timer(&t, advertise, 1000);
}

static void row_backup_stopped(void **state)
{
	struct rig t;

	backup(&t);
	rig_stop(&t);
	expect(&t, "backup>initialize:shutdown");
	assert_int_equal(fhrp_next_expiry(&t.m).ns, MONO_NEVER.ns);
}

static void row_backup_failed(void **state)
{
	struct rig t;

	backup(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "backup>initialize:fault");
}

static void row_backup_cut(void **state)
{
	struct rig t;

	backup(&t);
	rig_halt(&t, FHRP_REASON_RECONFIGURED);
	expect(&t, "backup>initialize:reconfigured");
}

static void row_backup_active_silent(void **state)
{
	struct rig t;

	backup(&t);
	rig_time(&t, 3609);
	expect(&t, "");
	rig_time(&t, 1);
	expect(&t, "lease send(100) embody announce backup>active:silence");
	assert_true(t.out.list[1].send.from_vmac);
	expect_timer(&t, advertise, 1000);
	expect_stopped(&t, active_down);
}

static void row_backup_active_left(void **state)
{
	struct rig t;

	backup(&t);
	hear(&t, 20, 200);
	hear(&t, 20, 0);
	rig_expire(&t);
	expect(&t, "lease embody send(100) announce backup>active:peer_left");
}

static void row_backup_active_lesser(void **state)
{
	struct rig t;

	backup(&t);
	for (int i = 0; i < 3; i++) {
		rig_time(&t, 1000);
		hear(&t, 20, 50);
		expect(&t, "");
	}
	rig_expire(&t);
	expect(&t, "lease embody send(100) announce backup>active:preempted");
}

static void row_backup_heard_zero(void **state)
{
	struct rig t;

	backup(&t);
	hear(&t, 20, 200);
	hear(&t, 20, 0);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns - t.now.ns, 609375000);
}

static void row_backup_heard_better(void **state)
{
	struct rig t;

	backup(&t);
	rig_time(&t, 2000);
	hear_on(&t, 0, 20, 100, 500);
	expect(&t, "");
	/* 1.5 s and 156/256 of 0.5 s: the skew is computed anew, as RFC 9568 has it. */
	assert_int_equal(t.m.active_down.ns - t.now.ns, 1804687500);
	assert_true(t.m.active.known && t.m.active.priority == 100);
}

static void row_backup_heard_kept(void **state)
{
	struct rig t;

	vrrp(&t, 100);
	t.m.config.preempt = false;
	rig_start(&t);
	rig_time(&t, 2000);
	hear(&t, 20, 1);
	assert_int_equal(t.m.active_down.ns - t.now.ns, 3609375000);
}

static void row_backup_heard_lesser(void **state)
{
	struct rig t;
	mono_t before;

	backup(&t);
	before = t.m.active_down;
	rig_time(&t, 1000);
	hear_on(&t, 0, 20, 99, 500);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns, before.ns);
	assert_int_equal(t.m.interval.ns, SPAN_S(1).ns);
}

static void row_backup_heard_owner(void **state)
{
	struct rig t;

	owner(&t);
	rig_late(&t);
	hear(&t, 5, 255);
	expect(&t, "");
	assert_true(t.m.yielded && t.m.priority == 254);
}

static void row_backup_owner_free(void **state)
{
	struct rig t;

	owner(&t);
	hear(&t, 20, 255);
	rig_time(&t, 2999);
	expect(&t, "");
	rig_time(&t, 1);
	expect(&t, "lease embody send(255) announce backup>active:owner_returns");
	assert_false(t.m.yielded);
}

static void row_active_stopped(void **state)
{
	struct rig t;

	active(&t);
	rig_stop(&t);
	expect(&t, "send(0) lease active>leaving:shutdown");
	assert_true(t.out.list[0].send.from_vmac);
	/* A router of priority 1 has taken over by then. */
	assert_int_equal(t.m.linger_until.ns - t.now.ns, 996093750 + 10000000);
}

static void row_active_stopped_at_once(void **state)
{
	struct rig t;

	active(&t);
	t.m.config.linger = SPAN_NS(0);
	rig_stop(&t);
	expect(&t, "send(0) disembody lease-end active>initialize:shutdown");
}

static void row_active_failed(void **state)
{
	struct rig t;

	active(&t);
	rig_halt(&t, FHRP_REASON_FAULT);
	expect(&t, "send(0) disembody lease-end active>initialize:fault");
}

static void row_active_cut(void **state)
{
	struct rig t;

	active(&t);
	rig_halt(&t, FHRP_REASON_RECONFIGURED);
	expect(&t, "disembody lease-end active>initialize:reconfigured");
}

static void row_active_late(void **state)
{
	struct rig t;

	active(&t);
	rig_late(&t);
	expect(&t, "disembody lease-end active>backup:late");
	assert_int_equal(t.m.active_down.ns - t.now.ns, 3609375000);
}

static void row_active_advertise_due(void **state)
{
	struct rig t;

	active(&t);
	t.m.config.announce_count = 1;
	t.m.announce_at = MONO_NEVER;
	rig_time(&t, 999);
	expect(&t, "");
	rig_time(&t, 1);
	expect(&t, "lease send(100)");
	expect_timer(&t, advertise, 1000);
}

static void row_active_adjusted(void **state)
{
	struct rig t;

	active(&t);
	rig_adjust(&t, 100);
	expect(&t, "");
	rig_pass(&t, 10);
	rig_adjust(&t, 40);
	expect(&t, "lease send(40)");
}

static void row_active_heard_zero(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 400);
	hear(&t, 20, 0);
	expect(&t, "lease send(100)");
	expect_timer(&t, advertise, 1000);
}

static void row_active_heard_better(void **state)
{
	struct rig t;

	active(&t);
	hear_on(&t, 0, 5, 101, 500);
	expect(&t, "disembody lease-end active>backup:outranked");
	assert_int_equal(t.m.active_down.ns - t.now.ns, 1804687500);
	expect_stopped(&t, advertise);
	expect_stopped(&t, announce_at);
}

static void row_active_heard_tie(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, OWN_HOST + 1, 100);
	expect(&t, "disembody lease-end active>backup:tie_lost");
}

static void row_active_heard_lesser(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 300);
	hear(&t, 20, 99);
	expect(&t, "lease send(100)");
	assert_true(t.m.contended);
	hear(&t, OWN_HOST - 1, 100);
	expect(&t, "send(100)");
	expect_state(&t, FHRP_ACTIVE);
}

static void row_active_heard_owner(void **state)
{
	struct rig t;

	owner(&t);
	hear(&t, OWN_HOST - 1, 255);
	expect(&t, "send(255)");
	hear(&t, OWN_HOST + 1, 255);
	expect(&t, "disembody lease-end active>backup:owner_conflict");
	assert_true(t.m.yielded && t.m.priority == 254);
	expect_timer(&t, yield_until, 3000);
}

static void row_active_owner_free(void **state)
{
	struct rig t;

	owner(&t);
	hear(&t, 20, 255);
	hear(&t, 20, 0);
	rig_expire(&t);
	expect(&t, "lease embody send(254) announce backup>active:peer_left");
	t.m.advertise = t.m.announce_at = t.m.yield_until;
	t.m.lease = t.watched.lease = mono_after(t.m.yield_until, SPAN_MS(1));
	rig_expire(&t);
	expect(&t, "lease send(255) note:owner_returns announce");
	assert_int_equal(t.m.priority, 255);
}

static void row_active_quiet(void **state)
{
	struct rig t;
	bool told = false;

	active(&t);
	hear(&t, 20, 50);
	for (int i = 0; i < 15; i++) {
		assert_true(t.m.contended);
		rig_time(&t, 100);
		told |= strstr(t.text, "announce note:contention_won") != NULL;
	}
	assert_true(told && !t.m.contended);
}

static void row_active_announce_due(void **state)
{
	struct rig t;
	unsigned int announced = 1;

	active(&t);
	for (int i = 0; i < 100; i++) {
		rig_time(&t, 100);
		announced += strstr(t.text, "announce") != NULL;
	}
	assert_int_equal(announced, 3);
	expect_stopped(&t, announce_at);
}

static void row_leaving_heard_successor(void **state)
{
	struct rig t;

	leaving(&t);
	hear(&t, 20, 0);
	expect(&t, "");
	hear(&t, 20, 1);
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

static void row_leaving_started(void **state)
{
	struct rig t;

	leaving(&t);
	rig_start(&t);
	expect(&t, "disembody lease-end leaving>backup:started");
}

static void row_leaving_started_owner(void **state)
{
	struct rig t;

	owner(&t);
	rig_stop(&t);
	rig_start(&t);
	expect(&t, "disembody lease-end leaving>backup:started");
	rig_expire(&t);
	expect(&t, "lease send(255) embody announce backup>active:silence");
}

/* --- what the standard says beside its state machine ----------------------------------------- */

static void the_owner_is_255_and_tracking_does_not_change_that(void **state)
{
	struct rig t;

	owner(&t);
	rig_adjust(&t, 20);
	expect(&t, "");
	assert_int_equal(t.m.priority, 255);
}

static void a_backup_is_1_to_254(void **state)
{
	struct rig t;

	active(&t);
	rig_adjust(&t, 255);
	assert_int_equal(t.m.priority, 254);
	rig_adjust(&t, 0);
	assert_int_equal(t.m.priority, 1);
}

static void the_owner_preempts_always(void **state)
{
	struct rig t;

	vrrp(&t, 255);
	t.m.config.preempt = false;
	t.m.config.boot_hold = SPAN_S(5);
	rig_boot(&t);
	expect(&t, "initialize>backup:started");
	while (t.now.ns < t.m.boot_until.ns - SPAN_S(1).ns) {
		rig_time(&t, 1000);
		hear(&t, 20, 254);
		expect(&t, "");
	}
	rig_expire(&t);
	expect(&t, "lease embody send(255) announce backup>active:preempted");
}

static void version_2_skews_by_a_second(void **state)
{
	struct rig t;

	t.config = rig_config(ROUTER_VRRP2);
	t.config.interval = SPAN_S(10);
	rig_init(&t);
	rig_start(&t);
	assert_int_equal(t.m.active_down.ns - t.now.ns, 30609375000);
}

static void an_interval_is_learned_and_given_up_when_active(void **state)
{
	struct rig t;

	backup(&t);
	hear_on(&t, 0, 20, 200, 40);
	assert_int_equal(t.m.interval.ns, SPAN_MS(40).ns);
	rig_until(&t, FHRP_ACTIVE);
	assert_int_equal(t.m.interval.ns, SPAN_S(1).ns);
	assert_int_equal(rig_effect(&t, FHRP_EFFECT_SEND)->send.interval.ns, SPAN_S(1).ns);
	expect_timer(&t, advertise, 1000);
}

static void the_old_version_of_a_router_that_speaks_both_is_ignored(void **state)
{
	struct fhrp_heard old = {
		.version = 2, .priority = 200, .interval = SPAN_S(1), .from = rig_address(20)
	};
	struct rig t;

	backup(&t);
	hear_on(&t, 0, 20, 200, 100);
	rig_hear(&t, &old);
	assert_int_equal(t.m.interval.ns, SPAN_MS(100).ns);
	old.from = rig_address(30);
	rig_hear(&t, &old);
	assert_int_equal(t.m.interval.ns, SPAN_S(1).ns);
}

static void a_backup_times_out_by_the_seconds_of_version_2(void **state)
{
	const struct fhrp_heard old = {
		.version = 2, .priority = 200, .interval = SPAN_S(2), .from = rig_address(20)
	};
	struct rig t;

	backup(&t);
	rig_hear(&t, &old);
	assert_int_equal(t.m.active_down.ns - t.now.ns, 7218750000);
}

static void our_own_words_reflected_change_nothing(void **state)
{
	struct rig t;
	struct fhrp before;

	active(&t);
	before = t.m;
	hear(&t, OWN_HOST, 100);
	hear(&t, OWN_HOST, 254);
	expect(&t, "");
	assert_memory_equal(&before, &t.m, sizeof(before));
}

static void everything_else_is_nothing(void **state)
{
	struct rig t;

	vrrp(&t, 100);
	hear(&t, 20, 200);
	expect(&t, "");
	rig_time(&t, 100000);
	expect(&t, "");
	rig_stop(&t);
	expect(&t, "");
	rig_halt(&t, FHRP_REASON_FAULT);
	rig_late(&t);
	rig_adjust(&t, 7);
	expect(&t, "");
	expect_state(&t, FHRP_INITIALIZE);
	rig_start(&t);
	rig_late(&t);
	rig_start(&t);
	expect(&t, "");
}

static void a_tie_is_decided_the_same_way_on_all_sets(void **state)
{
	struct rig t;

	t.config = rig_config(ROUTER_VRRP3);
	t.config.set_count = 2;
	rig_init(&t);
	t.own[1] = rig_address(2);
	rig_start(&t);
	rig_until(&t, FHRP_ACTIVE);
	/* The first set says: we win.  On the second the same peer would win. */
	hear_on(&t, 0, 5, 100, 1000);
	expect_state(&t, FHRP_ACTIVE);
	hear_on(&t, 1, 5, 100, 1000);
	expect_state(&t, FHRP_ACTIVE);
	/* Long after the first set was heard, the second decides. */
	for (int i = 0; i < 170; i++)
		rig_time(&t, 100);
	hear_on(&t, 1, 5, 100, 1000);
	expect_state(&t, FHRP_BACKUP);
}

/* What one set has decided about one router is not held against another one. */
static void a_tie_with_one_router_says_nothing_of_another(void **state)
{
	struct rig t;

	t.config = rig_config(ROUTER_VRRP3);
	t.config.set_count = 2;
	rig_init(&t);
	rig_start(&t);
	rig_until(&t, FHRP_ACTIVE);
	hear_on(&t, 0, 5, 100, 1000);
	expect_state(&t, FHRP_ACTIVE);
	hear_on(&t, 0, 20, 100, 1000);
	expect_state(&t, FHRP_BACKUP);
	rig_until(&t, FHRP_ACTIVE);
	hear_on(&t, 0, 5, 100, 1000);
	expect_state(&t, FHRP_ACTIVE);
	hear_on(&t, 1, 20, 100, 1000);
	expect_state(&t, FHRP_BACKUP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tie_with_one_router_says_nothing_of_another),
		cmocka_unit_test(row_initialize_started),
		cmocka_unit_test(row_initialize_started_owner),
		cmocka_unit_test(row_backup_stopped),
		cmocka_unit_test(row_backup_failed),
		cmocka_unit_test(row_backup_cut),
		cmocka_unit_test(row_backup_active_silent),
		cmocka_unit_test(row_backup_active_left),
		cmocka_unit_test(row_backup_active_lesser),
		cmocka_unit_test(row_backup_heard_zero),
		cmocka_unit_test(row_backup_heard_better),
		cmocka_unit_test(row_backup_heard_kept),
		cmocka_unit_test(row_backup_heard_lesser),
		cmocka_unit_test(row_backup_heard_owner),
		cmocka_unit_test(row_backup_owner_free),
		cmocka_unit_test(row_active_stopped),
		cmocka_unit_test(row_active_stopped_at_once),
		cmocka_unit_test(row_active_failed),
		cmocka_unit_test(row_active_cut),
		cmocka_unit_test(row_active_late),
		cmocka_unit_test(row_active_advertise_due),
		cmocka_unit_test(row_active_adjusted),
		cmocka_unit_test(row_active_heard_zero),
		cmocka_unit_test(row_active_heard_better),
		cmocka_unit_test(row_active_heard_tie),
		cmocka_unit_test(row_active_heard_lesser),
		cmocka_unit_test(row_active_heard_owner),
		cmocka_unit_test(row_active_owner_free),
		cmocka_unit_test(row_active_quiet),
		cmocka_unit_test(row_active_announce_due),
		cmocka_unit_test(row_leaving_heard_successor),
		cmocka_unit_test(row_leaving_linger_over),
		cmocka_unit_test(row_leaving_late),
		cmocka_unit_test(row_leaving_failed),
		cmocka_unit_test(row_leaving_cut),
		cmocka_unit_test(row_leaving_started),
		cmocka_unit_test(row_leaving_started_owner),
		cmocka_unit_test(the_owner_is_255_and_tracking_does_not_change_that),
		cmocka_unit_test(a_backup_is_1_to_254),
		cmocka_unit_test(the_owner_preempts_always),
		cmocka_unit_test(version_2_skews_by_a_second),
		cmocka_unit_test(an_interval_is_learned_and_given_up_when_active),
		cmocka_unit_test(the_old_version_of_a_router_that_speaks_both_is_ignored),
		cmocka_unit_test(a_backup_times_out_by_the_seconds_of_version_2),
		cmocka_unit_test(our_own_words_reflected_change_nothing),
		cmocka_unit_test(everything_else_is_nothing),
		cmocka_unit_test(a_tie_is_decided_the_same_way_on_all_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
