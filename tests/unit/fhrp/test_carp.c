/* CARP.  A test called row_STATE_OCCURRENCE is that row's of the table. */
#include "rig.h"

static void carp(struct rig *t)
{
	t->config = rig_config(ROUTER_CARP);
	t->config.priority = 155; /* skew 100 */
	rig_init(t);
}

static void backup(struct rig *t)
{
	carp(t);
	rig_start(t);
	expect_state(t, FHRP_BACKUP);
}

static void active(struct rig *t)
{
	backup(t);
	rig_expire(t);
	expect_state(t, FHRP_ACTIVE);
}

static void leaving(struct rig *t)
{
	active(t);
	rig_stop(t);
	expect_state(t, FHRP_LEAVING);
}

/* As the wire has it: base and skew. */
static void hear(struct rig *t, uint8_t host, uint8_t base, uint8_t skew)
{
	const struct fhrp_heard h = {
		.priority = 255u - skew,
		.interval = SPAN_NS(SPAN_S(base).ns + skew * SPAN_S(1).ns / 256),
		.from = rig_address(host),
	};

	rig_hear(t, &h);
}

#define HOLD_NS	  (3000000000 + 390625000)
#define PERIOD_NS (1000000000 + 390625000)

static void row_initialize_started(void **state)
{
	struct rig t;

	carp(&t);
	rig_start(&t);
	expect(&t, "initialize>backup:started");
	assert_int_equal(t.m.active_down.ns - t.now.ns, HOLD_NS);
	assert_int_equal(fhrp_hold(&t.m).ns, HOLD_NS);
}

static void row_backup_stopped(void **state)
{
	struct rig t;

	backup(&t);
	rig_stop(&t);
	expect(&t, "backup>initialize:shutdown");
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
	rig_expire(&t);
	expect(&t, "lease send(155) embody announce backup>active:silence");
	assert_int_equal(t.m.advertise.ns - t.now.ns, PERIOD_NS);
	assert_int_equal(t.out.list[1].send.interval.ns, SPAN_S(1).ns);
	expect_timer(&t, lease, 3000);
}

static void row_backup_active_left(void **state)
{
	struct rig t;

	backup(&t);
	hear(&t, 20, 255, 255);
	rig_expire(&t);
	expect(&t, "lease embody send(155) announce backup>active:peer_left");
}

static void row_backup_heard_zero(void **state)
{
	struct rig t;

	backup(&t);
	hear(&t, 20, 255, 255);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns - t.now.ns, 390625000);
}

static void row_backup_heard_better(void **state)
{
	struct rig t;

	backup(&t);
	rig_time(&t, 2000);
	hear(&t, 20, 1, 0);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns - t.now.ns, HOLD_NS);
	rig_time(&t, 1000);
	hear(&t, 20, 1, 100);
	assert_int_equal(t.m.active_down.ns - t.now.ns, HOLD_NS);
}

static void row_backup_heard_kept(void **state)
{
	struct rig t;

	backup(&t);
	rig_time(&t, 2000);
	hear(&t, 20, 1, 101);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns - t.now.ns, HOLD_NS);
}

static void row_backup_heard_lesser(void **state)
{
	struct rig t;

	backup(&t);
	t.m.config.preempt = true;
	hear(&t, 20, 1, 101);
	expect(&t, "lease embody send(155) announce backup>active:preempted");
}

static void row_backup_heard_slow(void **state)
{
	struct rig t;

	backup(&t);
	hear(&t, 20, 3, 100);
	expect(&t, "");
	hear(&t, 20, 3, 101);
	expect(&t, "lease embody send(155) announce backup>active:preempted");
}

static void row_active_stopped(void **state)
{
	struct rig t;

	active(&t);
	rig_stop(&t);
	expect(&t, "send(0) lease active>leaving:shutdown");
	assert_int_equal(t.out.list[0].send.interval.ns, SPAN_S(255).ns);
	expect_timer(&t, linger_until, 1000);
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
	rig_halt(&t, FHRP_REASON_DISABLED);
	expect(&t, "send(0) disembody lease-end active>initialize:disabled");
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
	assert_int_equal(t.m.active_down.ns - t.now.ns, HOLD_NS);
}

static void row_active_advertise_due(void **state)
{
	struct rig t;

	active(&t);
	t.m.announce_at = MONO_NEVER;
	rig_expire(&t);
	expect(&t, "lease send(155)");
	assert_int_equal(t.m.advertise.ns - t.now.ns, PERIOD_NS);
}

static void row_active_adjusted(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 1);
	rig_adjust(&t, 15);
	expect(&t, "lease send(15)");
}

static void row_active_heard_zero(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 1);
	hear(&t, 20, 255, 255);
	expect(&t, "lease send(155)");
}

static void row_active_heard_better(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, 20, 1, 99);
	expect(&t, "disembody lease-end active>backup:outranked");
}

static void row_active_heard_tie(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, OWN_HOST - 1, 1, 100);
	expect(&t, "disembody lease-end active>backup:tie_lost");
}

static void row_active_heard_lesser(void **state)
{
	struct rig t;

	active(&t);
	rig_pass(&t, 1);
	hear(&t, 20, 1, 101);
	expect(&t, "lease send(155)");
	assert_true(t.m.contended);
	active(&t);
	rig_pass(&t, 1);
	hear(&t, OWN_HOST + 1, 1, 100);
	expect(&t, "lease send(155)");
}

static void row_active_quiet(void **state)
{
	struct rig t;

	active(&t);
	t.m.announce_at = MONO_NEVER;
	hear(&t, 20, 1, 101);
	t.now = t.m.quiet_at;
	t.m.advertise = mono_after(t.now, SPAN_MS(1));
	rig_time(&t, 0);
	expect(&t, "announce note:contention_won");
}

static void row_active_announce_due(void **state)
{
	struct rig t;

	active(&t);
	rig_time(&t, 1000);
	expect(&t, "announce");
}

static void row_leaving_heard_successor(void **state)
{
	struct rig t;

	leaving(&t);
	hear(&t, 20, 255, 255);
	expect(&t, "");
	hear(&t, 20, 1, 200);
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

static void an_equal_master_that_goes_on_wins(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, OWN_HOST + 1, 1, 100);
	expect_state(&t, FHRP_ACTIVE);
	rig_time(&t, 1390);
	hear(&t, OWN_HOST + 1, 1, 100);
	expect(&t, "disembody lease-end active>backup:tie_lost");
}

/* Of several equals that begin at once, one is left: what another one says, or the same one before
 * it can have heard our answer, is no insisting. */
static void several_equals_at_once_leave_one(void **state)
{
	struct rig t;

	active(&t);
	hear(&t, OWN_HOST + 1, 1, 100);
	hear(&t, OWN_HOST + 2, 1, 100);
	hear(&t, OWN_HOST + 1, 1, 100);
	expect_state(&t, FHRP_ACTIVE);
	rig_time(&t, 10);
	hear(&t, OWN_HOST + 1, 1, 100);
	expect_state(&t, FHRP_ACTIVE);
}

static void without_a_base_the_skew_counts(void **state)
{
	struct rig t;

	t.config = rig_config(ROUTER_CARP);
	t.config.priority = 155;
	t.config.interval = SPAN_NS(0);
	rig_init(&t);
	rig_start(&t);
	assert_int_equal(t.m.active_down.ns - t.now.ns, 3 * 390625000);
	rig_expire(&t);
	assert_int_equal(t.m.advertise.ns - t.now.ns, 390625000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_initialize_started),
		cmocka_unit_test(row_backup_stopped),
		cmocka_unit_test(row_backup_failed),
		cmocka_unit_test(row_backup_cut),
		cmocka_unit_test(row_backup_active_silent),
		cmocka_unit_test(row_backup_active_left),
		cmocka_unit_test(row_backup_heard_zero),
		cmocka_unit_test(row_backup_heard_better),
		cmocka_unit_test(row_backup_heard_kept),
		cmocka_unit_test(row_backup_heard_lesser),
		cmocka_unit_test(row_backup_heard_slow),
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
		cmocka_unit_test(row_active_quiet),
		cmocka_unit_test(row_active_announce_due),
		cmocka_unit_test(row_leaving_heard_successor),
		cmocka_unit_test(row_leaving_linger_over),
		cmocka_unit_test(row_leaving_late),
		cmocka_unit_test(row_leaving_failed),
		cmocka_unit_test(row_leaving_cut),
		cmocka_unit_test(row_leaving_started),
		cmocka_unit_test(an_equal_master_that_goes_on_wins),
		cmocka_unit_test(several_equals_at_once_leave_one),
		cmocka_unit_test(without_a_base_the_skew_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
