/* What all protocols share: names, tables, delays, announcements, changes under way. */
#include "rig.h"

static void vrrp(struct rig *t)
{
	t->config = rig_config(ROUTER_VRRP3);
	rig_init(t);
}

static void active(struct rig *t)
{
	vrrp(t);
	rig_start(t);
	rig_until(t, FHRP_ACTIVE);
}

static void hear_on(struct rig *t, uint8_t set, uint8_t priority)
{
	const struct fhrp_heard h = {
		.set = set,
		.version = 3,
		.priority = priority,
		.interval = SPAN_S(1),
		.from = rig_address(20),
	};

	rig_hear(t, &h);
}

static void hear(struct rig *t, uint8_t priority)
{
	hear_on(t, 0, priority);
}

static void names_are_there_and_different(void **state)
{
	assert_string_equal(fhrp_state_name(FHRP_LEAVING), "leaving");
	assert_string_equal(fhrp_reason_name(FHRP_REASON_LATE), "late");
	for (int i = 0; i < FHRP_REASON_COUNT; i++) {
		assert_true(strlen(fhrp_reason_meaning(i)) > 10);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(fhrp_reason_name(i), fhrp_reason_name(k));
	}
	for (int i = 0; i < FHRP_STATE_COUNT; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(fhrp_state_name(i), fhrp_state_name(k));
}

static void tables_name_known_states_and_each_case_once(void **state)
{
	for (int p = 0; p < ROUTER_PROTOCOL_COUNT; p++) {
		size_t count = 0;
		const struct fhrp_row *rows = fhrp_table(p, &count);

		assert_true(count > 20);
		for (size_t i = 0; i < count; i++) {
			assert_true(rows[i].state < FHRP_STATE_COUNT);
			assert_true(rows[i].next < FHRP_STATE_COUNT);
			assert_true(strlen(rows[i].actions) > 0 && strlen(rows[i].source) > 0);
			for (size_t k = 0; k < i; k++)
				assert_false(rows[i].state == rows[k].state &&
					     strcmp(rows[i].when, rows[k].when) == 0);
		}
	}
}

static void a_living_lesser_active_is_spared_for_the_preemption_delay(void **state)
{
	struct rig t;

	vrrp(&t);
	t.m.config.preempt_delay = SPAN_S(10);
	rig_start(&t);
	for (int i = 0; i < 10; i++) {
		rig_time(&t, 1000);
		hear(&t, 50);
		expect_state(&t, FHRP_BACKUP);
	}
	for (int i = 0; i < 40 && t.m.state == FHRP_BACKUP; i++) {
		if (i % 10 == 0)
			hear(&t, 50);
		rig_time(&t, 100);
	}
	expect(&t, "lease embody send(100) announce backup>active:preempted");
}

static void silence_does_not_wait_for_the_preemption_delay(void **state)
{
	struct rig t;

	vrrp(&t);
	t.m.config.preempt_delay = SPAN_S(100);
	rig_start(&t);
	hear(&t, 50);
	rig_time(&t, 3610);
	expect(&t, "lease send(100) embody announce backup>active:silence");
}

static void the_delay_begins_again_after_a_fault(void **state)
{
	struct rig t;

	active(&t);
	t.m.config.preempt_delay = SPAN_S(10);
	rig_halt(&t, FHRP_REASON_FAULT);
	rig_pass(&t, 60000);
	rig_start(&t);
	expect_timer(&t, preempt_at, 10000);
}

static void nobody_is_active_before_the_boot_hold_is_over(void **state)
{
	struct rig t;

	vrrp(&t);
	t.m.config.boot_hold = SPAN_S(30);
	rig_boot(&t);
	assert_true(t.m.held);
	rig_time(&t, 29999);
	expect(&t, "");
	rig_time(&t, 1);
	expect(&t, "lease send(100) embody announce backup>active:silence");
	assert_false(t.m.held);
}

static void the_owner_waits_for_the_boot_hold_too(void **state)
{
	struct rig t;

	vrrp(&t);
	t.config.priority = 255;
	t.config.boot_hold = SPAN_S(30);
	rig_init(&t);
	rig_boot(&t);
	expect(&t, "initialize>backup:started");
	rig_time(&t, 30000);
	expect(&t, "lease send(255) embody announce backup>active:silence");
}

static void a_restart_that_is_no_boot_has_no_hold(void **state)
{
	struct rig t;

	vrrp(&t);
	t.m.config.boot_hold = SPAN_S(30);
	rig_start(&t);
	assert_false(t.m.held);
	rig_until(&t, FHRP_ACTIVE);
	assert_true(mono_since(t.now, (mono_t){ SPAN_S(1000).ns }).ns < SPAN_S(4).ns);
}

static void one_side_heard_is_enough(void **state)
{
	struct rig t;

	t.config = rig_config(ROUTER_VRRP3);
	t.config.set_count = 3;
	rig_init(&t);
	rig_start(&t);
	for (int i = 0; i < 10; i++) {
		rig_time(&t, 3000);
		hear_on(&t, 2, 200);
		expect(&t, "");
	}
	rig_time(&t, 3700);
	expect_state(&t, FHRP_ACTIVE);
}

static void announcements_are_refreshed_when_asked(void **state)
{
	unsigned int announced = 0;
	struct rig t;

	vrrp(&t);
	t.m.config.announce_refresh = SPAN_S(30);
	rig_start(&t);
	rig_until(&t, FHRP_ACTIVE);
	for (int i = 0; i < 1000; i++) {
		rig_time(&t, 100);
		announced += strstr(t.text, "announce") != NULL;
	}
	/* At 50 ms and 1.05 s, then every 30 s. */
	assert_int_equal(announced, 5);
}

static void the_second_announcement_comes_soon(void **state)
{
	struct rig t;

	vrrp(&t);
	t.config.interval = SPAN_MS(200);
	rig_init(&t);
	rig_start(&t);
	rig_until(&t, FHRP_ACTIVE);
	expect_timer(&t, announce_at, 50);
	rig_time(&t, 50);
	expect_timer(&t, announce_at, 200);
}

static void the_survivor_of_a_contention_announces_once_when_it_is_over(void **state)
{
	unsigned int announced = 0;
	struct rig t;

	active(&t);
	rig_time(&t, 1000);
	rig_time(&t, 1000);
	expect_stopped(&t, announce_at);
	for (int i = 0; i < 5; i++) {
		hear(&t, 50);
		rig_time(&t, 1000);
		announced += strstr(t.text, "announce") != NULL;
	}
	assert_int_equal(announced, 0);
	for (int i = 0; i < 100; i++) {
		rig_time(&t, 100);
		announced += strstr(t.text, "announce note:contention_won") != NULL;
	}
	assert_int_equal(announced, 1);
}

static void an_equal_configuration_changes_nothing(void **state)
{
	struct fhrp before;
	struct rig t;

	active(&t);
	rig_pass(&t, 300);
	before = t.m;
	rig_configure(&t);
	expect(&t, "");
	assert_memory_equal(&before, &t.m, sizeof(before));
}

static void a_change_of_priority_is_advertised_and_keeps_what_tracking_says(void **state)
{
	struct rig t;

	active(&t);
	rig_adjust(&t, 60);
	rig_pass(&t, 1);
	t.config.priority = 150;
	rig_configure(&t);
	expect(&t, "lease send(110)");
}

static void a_shorter_interval_shortens_the_wait_of_a_backup(void **state)
{
	struct rig t;

	vrrp(&t);
	rig_start(&t);
	t.config.interval = SPAN_MS(100);
	rig_configure(&t);
	expect(&t, "");
	assert_int_equal(t.m.active_down.ns - t.now.ns, 360937500);
}

static void a_learned_interval_outlives_a_change(void **state)
{
	struct rig t;

	vrrp(&t);
	rig_start(&t);
	hear(&t, 200);
	t.config.interval = SPAN_MS(100);
	rig_configure(&t);
	assert_int_equal(t.m.interval.ns, SPAN_S(1).ns);
}

static void an_owner_no_more_behaves_as_others(void **state)
{
	struct rig t;

	vrrp(&t);
	t.config.priority = 255;
	rig_init(&t);
	rig_start(&t);
	t.config.priority = 90;
	rig_pass(&t, 1);
	rig_configure(&t);
	expect(&t, "lease send(90)");
	hear(&t, 91);
	expect_state(&t, FHRP_BACKUP);
}

static void a_stop_says_nothing_unless_active(void **state)
{
	struct rig t;

	vrrp(&t);
	rig_start(&t);
	rig_stop(&t);
	expect(&t, "backup>initialize:shutdown");
	rig_start(&t);
	expect_state(&t, FHRP_BACKUP);
}

static void hostile_intervals_are_bounded(void **state)
{
	struct fhrp_heard h = { .version = 3, .priority = 200, .from = rig_address(20) };
	struct rig t;

	vrrp(&t);
	rig_start(&t);
	h.interval = SPAN_NS(INT64_MAX);
	rig_hear(&t, &h);
	assert_true(t.m.active_down.ns < MONO_NEVER.ns);
	h.interval = SPAN_NS(-5);
	rig_hear(&t, &h);
	assert_int_equal(t.m.interval.ns, SPAN_S(1).ns);
	h.interval = SPAN_NS(1);
	rig_hear(&t, &h);
	assert_int_equal(t.m.interval.ns, SPAN_MS(1).ns);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_there_and_different),
		cmocka_unit_test(tables_name_known_states_and_each_case_once),
		cmocka_unit_test(a_living_lesser_active_is_spared_for_the_preemption_delay),
		cmocka_unit_test(silence_does_not_wait_for_the_preemption_delay),
		cmocka_unit_test(the_delay_begins_again_after_a_fault),
		cmocka_unit_test(nobody_is_active_before_the_boot_hold_is_over),
		cmocka_unit_test(the_owner_waits_for_the_boot_hold_too),
		cmocka_unit_test(a_restart_that_is_no_boot_has_no_hold),
		cmocka_unit_test(one_side_heard_is_enough),
		cmocka_unit_test(announcements_are_refreshed_when_asked),
		cmocka_unit_test(the_second_announcement_comes_soon),
		cmocka_unit_test(the_survivor_of_a_contention_announces_once_when_it_is_over),
		cmocka_unit_test(an_equal_configuration_changes_nothing),
		cmocka_unit_test(a_change_of_priority_is_advertised_and_keeps_what_tracking_says),
		cmocka_unit_test(a_shorter_interval_shortens_the_wait_of_a_backup),
		cmocka_unit_test(a_learned_interval_outlives_a_change),
		cmocka_unit_test(an_owner_no_more_behaves_as_others),
		cmocka_unit_test(a_stop_says_nothing_unless_active),
		cmocka_unit_test(hostile_intervals_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
