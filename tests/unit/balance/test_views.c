/* The group machine: which members count, which view is in force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "balance/table.h"
#include "lan.h"

static struct lan l;

static struct group *anchor(void)
{
	assert_true(lan_anchor(&l, 0) >= 0);
	return &l.hosts[lan_anchor(&l, 0)].g;
}

static unsigned int another(int than)
{
	return than == 0 ? 1 : 0;
}

static void an_unfit_member_gets_nothing(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_member(&l, 1, 3, true, false, false);
	lan_run(&l, MS(50));
	assert_int_equal(lan_fresh(&l), 0x3b);
	assert_string_equal(group_member_live(anchor(), 3), "down");
	assert_string_equal(group_member_live(anchor(), 4), "up");
	assert_int_equal(group_member_host(anchor(), 4), 2);
	lan_member(&l, 1, 3, true, true, false);
	lan_run(&l, MS(50));
	assert_int_equal(lan_fresh(&l), 0x3f);
}

static void where_none_is_fit_the_last_stay(void **state)
{
	int a;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	a = lan_anchor(&l, 0);
	for (unsigned int i = 0; i < LAN_MEMBERS; i++) {
		lan_member(&l, i / 2, (uint16_t)(i + 1), true, false, false);
		lan_run(&l, MS(500));
	}
	assert_int_equal(lan_fresh(&l), 0x20);
	assert_true(l.hosts[a].g.fail_open);
	assert_int_equal(l.hosts[a].reasons[GROUP_REASON_ALL_DOWN], 1);
	lan_member(&l, 0, 1, true, true, false);
	lan_run(&l, MS(500));
	assert_int_equal(lan_fresh(&l), 0x01);
	assert_false(l.hosts[a].g.fail_open);
}

static void a_member_that_moves_stays_a_member(void **state)
{
	uint64_t view;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	view = anchor()->committed.number;
	lan_member(&l, 1, 3, false, false, false);
	lan_run(&l, MS(300));
	lan_member(&l, 2, 3, true, true, false);
	lan_run(&l, MS(2000));
	assert_int_equal(anchor()->committed.number, view);
	assert_int_equal(group_member_host(anchor(), 3), 3);
	lan_member(&l, 2, 3, false, false, false); /* and one that is gone does not */
	lan_run(&l, MS(550));
	assert_int_equal(lan_fresh(&l), 0x3b);
	assert_string_equal(group_member_live(anchor(), 3), "absent");
}

static void drain_two(struct cluster_member *m)
{
	m[2].state = MEMBER_DRAINING;
}

static void drain_two_for_5s(struct cluster_member *m)
{
	m[2].state = MEMBER_DRAINING;
	m[2].drain_ms = 5000;
}

static void activate_all(struct cluster_member *m)
{
	for (unsigned int i = 0; i < LAN_MEMBERS; i++)
		m[i].state = MEMBER_ACTIVE;
}

static void fail_one(struct cluster_member *m)
{
	m[5].state = MEMBER_FAILED;
}

static void weigh_nothing(struct cluster_member *m)
{
	m[0].weight = 0;
}

static void a_drain_ends_with_the_last_flow(void **state)
{
	struct balance_choice choices[LAN_MEMBERS];

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_member(&l, 1, 3, true, true, true);
	lan_record(&l, drain_two, LAN_ALL);
	lan_run(&l, MS(5000));
	assert_int_equal(lan_fresh(&l), 0x3b);
	assert_true(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "draining");
	assert_int_equal(group_choices(anchor(), choices, LAN_MEMBERS), 6);
	assert_true(choices[2].known && !choices[2].fresh && choices[2].weight == 1);
	lan_member(&l, 1, 3, true, true, false);
	lan_run(&l, MS(1900));
	assert_true(heartbeat_bit(&anchor()->known, 3));
	lan_run(&l, MS(700));
	assert_false(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "drained");
	assert_int_equal(group_choices(anchor(), choices, LAN_MEMBERS), 5);
	lan_record(&l, activate_all, LAN_ALL);
	lan_run(&l, MS(500));
	assert_int_equal(lan_fresh(&l), 0x3f);
}

/* Of UDP the anchor's host alone knows, wherever the member is. */
static void a_drain_waits_for_flows_that_another_host_knows(void **state)
{
	for (unsigned int h = 0; h < LAN_HOSTS; h++) {
		lan_all_up(&l, CLUSTER_DIRECTOR, 1);
		lan_member(&l, h, 3, h == 1, h == 1, true);
		lan_record(&l, drain_two, LAN_ALL);
		lan_run(&l, MS(5000));
		assert_string_equal(group_member_live(anchor(), 3), "draining");
		assert_true(heartbeat_bit(&anchor()->known, 3));
		lan_member(&l, h, 3, h == 1, h == 1, false);
		lan_run(&l, MS(2600));
		assert_string_equal(group_member_live(anchor(), 3), "drained");
	}
}

/* Who has an older record says nothing of flows. */
static void a_drain_waits_for_who_has_not_heard_of_it(void **state)
{
	unsigned int late;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	late = another(lan_anchor(&l, 0));
	for (unsigned int h = 0; h < LAN_HOSTS; h++)
		if (h != late)
			lan_record(&l, drain_two, h);
	lan_run(&l, MS(5000));
	assert_string_equal(group_member_live(anchor(), 3), "draining");
	assert_true(heartbeat_bit(&anchor()->known, 3));
	lan_record(&l, drain_two, late);
	lan_run(&l, MS(2600));
	assert_string_equal(group_member_live(anchor(), 3), "drained");
}

/* Its daemon may be dead alone: the flows are asked of it when it is back. */
static void a_drain_waits_for_a_host_that_is_silent(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_member(&l, 1, 3, true, true, true);
	lan_record(&l, drain_two, LAN_ALL);
	lan_run(&l, MS(1000));
	lan_down(&l, 1);
	lan_run(&l, MS(8000));
	assert_true(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "absent");
	lan_run(&l, MS(4000));
	assert_false(heartbeat_bit(&anchor()->known, 3));
}

static void a_drain_ends_with_its_deadline(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_member(&l, 1, 3, true, true, true);
	lan_record(&l, drain_two_for_5s, LAN_ALL);
	lan_run(&l, MS(4900));
	assert_true(heartbeat_bit(&anchor()->known, 3));
	lan_run(&l, MS(600));
	assert_false(heartbeat_bit(&anchor()->known, 3));
}

/* Who is behind chooses it until it hands over. */
static void a_drain_begins_when_nobody_chooses_it(void **state)
{
	unsigned int old, next;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	old = (unsigned int)lan_anchor(&l, 0);
	next = another(old);
	lan_record(&l, drain_two, next);
	for (unsigned int ms = 0; ms < 3000 && lan_anchor(&l, 0) != (int)next; ms += 10)
		lan_run(&l, MS(10));
	assert_int_equal(lan_anchor(&l, 0), next);
	lan_record(&l, drain_two, old);
	lan_record(&l, drain_two, 3 - old - next);
	lan_run(&l, MS(1500));
	assert_int_equal(lan_fresh(&l), 0x3b);
	assert_true(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "draining");
	lan_run(&l, MS(1500));
	assert_false(heartbeat_bit(&anchor()->known, 3));
}

static void a_silent_host_does_not_say_that_it_has_drained(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_member(&l, 1, 3, true, true, true);
	lan_record(&l, drain_two, LAN_ALL);
	lan_run(&l, MS(500));
	lan_down(&l, 1);
	lan_run(&l, MS(8000));
	assert_true(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "absent");
	lan_run(&l, MS(5000));
	assert_false(heartbeat_bit(&anchor()->known, 3));
	assert_string_equal(group_member_live(anchor(), 3), "drained");
}

static void failed_and_weightless(void **state)
{
	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	lan_record(&l, fail_one, LAN_ALL);
	lan_run(&l, MS(500));
	assert_int_equal(lan_fresh(&l), 0x1f);
	assert_false(heartbeat_bit(&anchor()->known, 6));
	assert_string_equal(group_member_live(anchor(), 6), "failed");
	lan_record(&l, weigh_nothing, LAN_ALL);
	lan_run(&l, MS(500));
	assert_int_equal(lan_fresh(&l), 0x1e);
	assert_true(heartbeat_bit(&anchor()->known, 1));
}

static void director_does_not_wait_for_one_that_is_late(void **state)
{
	unsigned int b;

	lan_all_up(&l, CLUSTER_DIRECTOR, 1);
	b = another(lan_anchor(&l, 0));
	l.hosts[b].lazy = true;
	lan_member(&l, b, (uint16_t)(2 * b + 1), true, false, false);
	lan_run(&l, MS(300));
	assert_false(anchor()->committed.number == anchor()->proposed.number);
	lan_run(&l, MS(200));
	assert_true(anchor()->committed.number == anchor()->proposed.number);
}

static void distributed_waits_until_it_is_dead(void **state)
{
	unsigned int b;

	lan_all_up(&l, CLUSTER_DISTRIBUTED, 1);
	b = another(lan_anchor(&l, 0));
	l.hosts[b].lazy = true;
	lan_member(&l, b, (uint16_t)(2 * b + 1), true, false, false);
	lan_run(&l, MS(5000));
	assert_false(anchor()->committed.number == anchor()->proposed.number);
	lan_down(&l, b);
	lan_run(&l, MS(1000));
	assert_true(anchor()->committed.number == anchor()->proposed.number);
	assert_int_equal(lan_fresh(&l), 0x3fu & ~(3u << 2 * b));
}

static void what_is_taken_ends_before_it_is_given_away(void **state)
{
	unsigned int a, b;

	lan_all_up(&l, CLUSTER_DISTRIBUTED, 1);
	a = (unsigned int)lan_anchor(&l, 0);
	b = another((int)a);
	assert_true(l.hosts[b].own > l.now);
	for (unsigned int i = 0; i < LAN_HOSTS; i++)
		if (i != b)
			l.cut[b][i] = true; /* it hears, and is not heard */
	while (heartbeat_bit(&l.hosts[a].fresh, 2 * b + 1) ||
	       l.hosts[a].committed.number != l.hosts[a].installed.number)
		lan_run(&l, MS(1));
	assert_true(l.hosts[b].own <= l.now);
	memset(l.cut, 0, sizeof(l.cut));
	lan_run(&l, MS(1000));
	assert_true(l.hosts[b].own > l.now);
	assert_int_equal(lan_fresh(&l), 0x3f);
}

static void those_who_live_outlast_their_coordinator(void **state)
{
	unsigned int a;

	lan_all_up(&l, CLUSTER_DISTRIBUTED, 1);
	a = (unsigned int)lan_anchor(&l, 0);
	lan_down(&l, a);
	for (unsigned int ms = 0; ms < 1000; ms++) {
		lan_run(&l, MS(1));
		for (unsigned int i = 0; i < LAN_HOSTS; i++)
			if (i != a)
				assert_true(l.hosts[i].own > l.now);
	}
	assert_int_equal(lan_fresh(&l), 0x3fu & ~(3u << 2 * a));
}

static void who_is_behind_hands_over(void **state)
{
	unsigned int a, b;

	for (unsigned int mode = CLUSTER_DIRECTOR; mode <= CLUSTER_DISTRIBUTED; mode++) {
		lan_all_up(&l, (enum cluster_mode)mode, 1);
		a = (unsigned int)lan_anchor(&l, 0);
		b = another((int)a);
		lan_record(&l, fail_one, b);
		lan_run(&l, MS(1500));
		assert_int_equal(lan_anchor(&l, 0), a);
		lan_run(&l, MS(1500));
		assert_int_equal(lan_anchor(&l, 0), b);
		lan_run(&l, MS(4000)); /* without the others, whose rows would be others */
		if (mode == CLUSTER_DISTRIBUTED)
			assert_int_equal(l.hosts[b].fresh.octet[0] & ~(3u << 2 * b), 0);
		for (unsigned int i = 0; i < LAN_HOSTS; i++)
			if (i != b)
				lan_record(&l, fail_one, i);
		lan_run(&l, MS(1000));
		assert_int_equal(lan_fresh(&l), 0x1f);
		assert_int_equal(lan_anchor(&l, 0), b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unfit_member_gets_nothing),
		cmocka_unit_test(where_none_is_fit_the_last_stay),
		cmocka_unit_test(a_member_that_moves_stays_a_member),
		cmocka_unit_test(a_drain_ends_with_the_last_flow),
		cmocka_unit_test(a_drain_waits_for_flows_that_another_host_knows),
		cmocka_unit_test(a_drain_waits_for_who_has_not_heard_of_it),
		cmocka_unit_test(a_drain_waits_for_a_host_that_is_silent),
		cmocka_unit_test(a_drain_ends_with_its_deadline),
		cmocka_unit_test(a_drain_begins_when_nobody_chooses_it),
		cmocka_unit_test(a_silent_host_does_not_say_that_it_has_drained),
		cmocka_unit_test(failed_and_weightless),
		cmocka_unit_test(director_does_not_wait_for_one_that_is_late),
		cmocka_unit_test(distributed_waits_until_it_is_dead),
		cmocka_unit_test(what_is_taken_ends_before_it_is_given_away),
		cmocka_unit_test(those_who_live_outlast_their_coordinator),
		cmocka_unit_test(who_is_behind_hands_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
