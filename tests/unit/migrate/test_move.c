/* A planned move, at both ends, and every way in which it is given up. */
#include "rig.h"

#define UNUSED void **state

static void source_of_a_planned_move(UNUSED)
{
	struct rig t = holder();

	assert_state(t, HELD);
	assert_gate(t, OPEN);
	ask_by(&t, B, ASK_PREPARE, "");
	assert_state(t, OFFERED);
	assert_wants(t, DO_GRANT);
	assert_epoch(t, DO_GRANT, 5);
	assert_int_equal(find(&t, MIGRATE_DO_GRANT)->lifetime_ms, 60000);
	moving(&t, A, B, 5);
	ask_gone(&t);
	happen(&t, MIGRATE_STOP);
	assert_state(t, PAUSED);
	assert_gate(t, REDIRECT);
	assert_true(uuid_equal(&t.effects[0].peer, &t.m.peer));
	held_by(&t, B, 6);
	assert_state(t, HANDED);
	assert_epoch(t, YIELD, 6);
	pass(&t, SPAN_MS(9999));
	assert_state(t, HANDED);
	pass(&t, SPAN_MS(1));
	assert_state(t, FENCED);
	assert_gate(t, FENCED);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, NONE);
	assert_int_equal(t.alarms, 0);
}

static struct rig handed(void)
{
	struct rig t = offered();

	happen(&t, MIGRATE_STOP);
	held_by(&t, B, 6);
	assert_state(t, HANDED);
	return t;
}

static void stragglers_need_no_port(UNUSED)
{
	struct rig t = handed();

	/* Told once more, it is the port that the guest left behind. */
	happen(&t, MIGRATE_PORT_UP);
	assert_state(t, HANDED);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, HANDED);
	assert_wants_not(t, GATE);
	/* It moves on, and they follow. */
	held_by(&t, C, 7);
	assert_state(t, HANDED);
	assert_gate(t, REDIRECT);
	assert_true(uuid_equal(&t.effects[0].peer, &(struct uuid){ .octet = { [15] = C } }));
	pass(&t, SPAN_MS(9999));
	assert_state(t, HANDED);
	/* No guest can run here. */
	happen(&t, MIGRATE_RESUME);
	assert_state(t, HANDED);
	pass(&t, SPAN_MS(1));
	assert_state(t, NONE);
	assert_gate(t, CLOSED);
	assert_true(migrate_idle(&t.m));
}

static void a_port_that_went_first_leaves_stragglers(UNUSED)
{
	struct rig t = offered();

	happen(&t, MIGRATE_STOP);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, PAUSED);
	held_by(&t, B, 6);
	assert_state(t, HANDED);
	pass(&t, SPAN_S(10));
	assert_state(t, NONE);
	/* There were none to send on. */
	t = offered();
	happen(&t, MIGRATE_PORT_DOWN);
	held_by(&t, B, 6);
	assert_state(t, NONE);
	assert_epoch(t, YIELD, 6);
}

static void a_new_port_asks_while_stragglers_are_sent_on(UNUSED)
{
	struct rig t = handed();

	happen(&t, MIGRATE_PORT_DOWN);
	happen(&t, MIGRATE_PORT_UP);
	assert_state(t, ASKED);
	assert_wants(t, DO_ASK);
	assert_gate(t, CLOSED);
	t = handed();
	happen(&t, MIGRATE_PORT_DOWN);
	prepare(&t);
	assert_state(t, ASKED);
}

static void destination_of_a_planned_move(UNUSED)
{
	struct rig t = new_rig(B);

	prepare(&t);
	assert_state(t, ASKED);
	assert_wants(t, DO_ASK);
	ask_by(&t, B, ASK_PREPARE, "");
	assert_wants_not(t, DO_ASK);
	port_up(&t, 0);
	assert_gate(t, CLOSED);
	moving(&t, A, B, 5);
	assert_state(t, READY);
	assert_gate(t, TUNNEL_IN);
	assert_wants(t, DO_UNASK);
	happen(&t, MIGRATE_FLIPPED);
	assert_state(t, LIVE);
	assert_gate(t, OPEN);
	assert_epoch(t, DO_CLAIM, 6);
	assert_epoch(t, ANNOUNCE, 6);
	assert_wants(t, QUERY);
	held_by(&t, B, 6);
	assert_state(t, HELD);
	assert_epoch(t, HOLD, 6);
	assert_int_equal(t.alarms, 0);
}

static void prepare_twice_at_the_destination(UNUSED)
{
	struct rig t = ready();

	prepare(&t);
	assert_state(t, READY);
	assert_wants(t, DO_ASK);
	pass(&t, SPAN_S(50));
	moving(&t, A, B, 5);
	pass(&t, SPAN_S(50));
	assert_state(t, READY);
	pass(&t, SPAN_S(10));
	assert_state(t, FENCED);
}

static void prepare_twice_at_the_source(UNUSED)
{
	struct rig t = offered();

	pass(&t, SPAN_S(50));
	ask_by(&t, B, ASK_PREPARE, "");
	assert_wants(t, DO_GRANT);
	moving(&t, A, B, 5);
	pass(&t, SPAN_S(50));
	assert_wants_not(t, DO_WITHDRAW);
	pass(&t, SPAN_S(10));
	assert_wants(t, DO_WITHDRAW);
}

static void prepare_of_what_this_host_holds(UNUSED)
{
	struct rig t = holder();

	prepare(&t);
	assert_int_equal(t.count, 0);
	assert_state(t, HELD);
	t = offered();
	prepare(&t);
	assert_int_equal(t.count, 0);
}

static void aborted(struct rig t, enum migrate_state next, enum migrate_effect_kind wanted)
{
	happen(&t, MIGRATE_ABORT);
	assert_int_equal(t.m.state, next);
	if (wanted != MIGRATE_EFFECT_COUNT)
		assert_non_null(find(&t, wanted));
}

static void abort_in_every_state(UNUSED)
{
	struct rig t = holder();

	aborted(t, MIGRATE_HELD, MIGRATE_EFFECT_COUNT);
	aborted(offered(), MIGRATE_OFFERED, MIGRATE_DO_WITHDRAW);
	t = offered();
	happen(&t, MIGRATE_STOP);
	aborted(t, MIGRATE_PAUSED, MIGRATE_DO_WITHDRAW);
	t = holder();
	happen(&t, MIGRATE_PORT_DOWN);
	ask_by(&t, B, ASK_CLAIM, "");
	moving(&t, A, B, 5);
	aborted(t, MIGRATE_RETURNING, MIGRATE_DO_WITHDRAW);
	aborted(ready(), MIGRATE_FENCED, MIGRATE_DO_WITHDRAW);
	t = new_rig(B);
	aborted(t, MIGRATE_NONE, MIGRATE_EFFECT_COUNT);
	prepare(&t);
	ask_by(&t, B, ASK_PREPARE, "");
	aborted(t, MIGRATE_NONE, MIGRATE_DO_UNASK);
	/* The guest has spoken: the way back is to take it back. */
	aborted(live(), MIGRATE_LIVE, MIGRATE_EFFECT_COUNT);
	aborted(moved_here(), MIGRATE_HELD, MIGRATE_EFFECT_COUNT);
}

static void an_abort_at_the_source_ends_when_the_record_says_so(UNUSED)
{
	struct rig t = offered();

	happen(&t, MIGRATE_ABORT);
	assert_state(t, OFFERED);
	held_by(&t, A, 5);
	assert_state(t, HELD);
	assert_wants(t, ANNOUNCE);
}

static void an_abort_overtakes_its_own_grant(UNUSED)
{
	struct rig t = holder();

	ask_by(&t, B, ASK_PREPARE, "");
	happen(&t, MIGRATE_ABORT);
	assert_state(t, OFFERED);
	/* The grant lands all the same. */
	moving(&t, A, B, 5);
	assert_wants(t, DO_WITHDRAW);
	held_by(&t, A, 5);
	assert_state(t, HELD);
}

static void a_declined_reservation_does_not_come_back(UNUSED)
{
	struct rig t = ready();

	happen(&t, MIGRATE_ABORT);
	assert_gate(t, FENCED);
	moving(&t, A, B, 5);
	assert_state(t, FENCED);
	assert_wants(t, DO_WITHDRAW);
	held_by(&t, A, 5);
	assert_wants_not(t, DO_WITHDRAW);
	/* Another move is another. */
	prepare(&t);
	assert_state(t, ASKED);
	moving(&t, A, B, 5);
	assert_state(t, READY);
}

static void the_lifetime_ends_on_each_host_by_its_own_clock(UNUSED)
{
	struct rig a = offered(), b = ready();

	assert_int_equal(migrate_next_expiry(&a.m).ns, SPAN_S(61).ns);
	pass(&a, SPAN_S(60));
	assert_state(a, OFFERED);
	assert_wants(a, DO_WITHDRAW);
	pass(&b, SPAN_S(60));
	assert_state(b, FENCED);
	assert_gate(b, FENCED);
	held_by(&b, A, 5);
	assert_state(b, FENCED);
}

static void stop_and_resume_at_the_source(UNUSED)
{
	struct rig t = offered();

	happen(&t, MIGRATE_STOP);
	assert_gate(t, REDIRECT);
	happen(&t, MIGRATE_RESUME);
	assert_state(t, OFFERED);
	assert_gate(t, OPEN);
	happen(&t, MIGRATE_STOP);
	happen(&t, MIGRATE_SPOKE); /* nobody told of the resume */
	assert_state(t, OFFERED);
	assert_gate(t, OPEN);
}

static void a_gate_that_is_not_armed_does_not_flip(UNUSED)
{
	struct rig t = new_rig(B);

	port_up(&t, 0);
	happen(&t, MIGRATE_FLIPPED);
	assert_state(t, ASKED);
	assert_gate(t, CLOSED);
	t = ready();
	happen(&t, MIGRATE_PORT_DOWN);
	happen(&t, MIGRATE_FLIPPED); /* told after the port went */
	assert_state(t, READY);
	t = live();
	happen(&t, MIGRATE_FLIPPED);
	assert_int_equal(t.count, 0);
}

static void flipped_while_the_registry_is_gone(UNUSED)
{
	struct rig t = ready();

	happen(&t, MIGRATE_UNREACHABLE);
	happen(&t, MIGRATE_FLIPPED);
	assert_state(t, LIVE);
	assert_gate(t, OPEN);
	assert_wants(t, ANNOUNCE);
	assert_wants_not(t, DO_CLAIM);
	pass(&t, SPAN_MS(50));
	assert_wants(t, ANNOUNCE);
	pass(&t, SPAN_S(1));
	assert_epoch(t, DO_CLAIM, 6);
	happen(&t, MIGRATE_UNREACHABLE);
	happen(&t, MIGRATE_REACHABLE);
	assert_epoch(t, DO_CLAIM, 6);
	held_by(&t, B, 6);
	assert_state(t, HELD);
}

static void a_claim_is_lost_to_a_withdrawal(UNUSED)
{
	struct rig t = live();

	held_by(&t, A, 5);
	happen(&t, MIGRATE_LOST);
	assert_state(t, ASKED);
	assert_int_equal(t.alarm, MIGRATE_REASON_TWO_GUESTS);
	assert_int_equal(migrate_gate(t.m.state), MIGRATE_GATE_CLOSED);
	assert_int_equal(t.m.asking, 1 + ASK_TAKE_BACK);
	pass(&t, SPAN_S(20));
	assert_wants_not(t, ANNOUNCE);
}

static void source_learns(bool tag_first, bool paused)
{
	struct rig t = offered();

	if (paused)
		happen(&t, MIGRATE_STOP);
	for (unsigned int i = 0; i < 4; i++) {
		if ((i & 1) == tag_first)
			held_by(&t, B, 6);
		else
			tag_of(&t, B, 6);
		assert_state(t, HANDED);
		if (i > 0)
			assert_wants_not(t, YIELD);
		else
			assert_epoch(t, YIELD, 6);
	}
	assert_int_equal(t.m.epoch, 6);
	assert_int_equal(t.alarms, 0);
	/* The ten seconds began with the first. */
	pass(&t, SPAN_S(10));
	assert_state(t, FENCED);
}

static void source_learns_by_record_or_tag_in_both_orders_and_twice(UNUSED)
{
	source_learns(false, false);
	source_learns(true, false);
	source_learns(false, true);
	source_learns(true, true);
}

static void the_destination_dies_before_the_move(UNUSED)
{
	struct rig t = offered();

	dead(&t, C);
	assert_wants_not(t, DO_WITHDRAW);
	dead(&t, B);
	assert_wants(t, DO_WITHDRAW);
	held_by(&t, A, 5);
	assert_state(t, HELD);
}

static void announcements_keep_their_schedule(UNUSED)
{
	static const int64_t at_ms[] = { 50, 200, 450, 800, 2000, 10000 };
	struct rig t = live();
	const mono_t start = t.now;

	for (unsigned int i = 0; i < 6; i++) {
		if (i == 2)
			held_by(&t, B, 6);
		assert_int_equal(mono_since(migrate_next_expiry(&t.m), start).ns,
				 SPAN_MS(at_ms[i]).ns);
		t.now = mono_after(start, SPAN_MS(at_ms[i]));
		happen(&t, MIGRATE_TIME);
		assert_wants(t, ANNOUNCE);
		assert_int_equal(find(&t, MIGRATE_ANNOUNCE)->count, i + 1);
		assert_epoch(t, ANNOUNCE, 6);
	}
	assert_int_equal(t.announces, MIGRATE_ANNOUNCES);
	assert_true(migrate_idle(&t.m));
}

static void announcements_stop_when_it_is_lost(UNUSED)
{
	struct rig t = moved_here();

	held_by(&t, A, 7);
	pass(&t, SPAN_MS(500));
	assert_wants_not(t, ANNOUNCE);
	pass(&t, SPAN_S(20));
	assert_wants_not(t, ANNOUNCE);
}

static void a_second_move_while_announcing(UNUSED)
{
	struct rig t = moved_here();

	pass(&t, SPAN_MS(50));
	ask_by(&t, C, ASK_PREPARE, "");
	assert_state(t, OFFERED);
	pass(&t, SPAN_MS(150));
	assert_wants(t, ANNOUNCE);
	happen(&t, MIGRATE_STOP);
	pass(&t, SPAN_MS(250));
	assert_wants_not(t, ANNOUNCE);
	moving(&t, B, C, 6);
	held_by(&t, C, 7);
	assert_state(t, HANDED);
	pass(&t, SPAN_MS(400));
	assert_wants_not(t, ANNOUNCE);
}

static void the_taps_flaps_while_qemu_starts(UNUSED)
{
	struct rig t = ready();

	for (unsigned int i = 0; i < 5; i++) {
		happen(&t, MIGRATE_PORT_DOWN);
		assert_state(t, READY);
		port_up(&t, 0);
		assert_state(t, READY);
		assert_gate(t, TUNNEL_IN);
	}
	happen(&t, MIGRATE_FLIPPED);
	assert_state(t, LIVE);
	t = new_rig(B);
	prepare(&t);
	port_up(&t, 0);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, ASKED);
}

static void a_thousand_moves_keep_epochs_growing(UNUSED)
{
	struct rig t = holder();
	uint64_t epoch = 5, journal = 5;

	for (unsigned int i = 0; i < 500; i++) {
		ask_by(&t, B, ASK_PREPARE, "");
		assert_epoch(t, DO_GRANT, epoch);
		record_of(&t, SHARED_MOVING, A, B, 1, epoch);
		ask_gone(&t);
		held_by(&t, B, ++epoch);
		assert_true(find(&t, MIGRATE_YIELD)->epoch > journal);
		journal = find(&t, MIGRATE_YIELD)->epoch;
		pass(&t, SPAN_S(1));
		prepare(&t);
		record_of(&t, SHARED_MOVING, B, A, 1, epoch);
		happen(&t, MIGRATE_FLIPPED);
		assert_epoch(t, DO_CLAIM, epoch + 1);
		held_by(&t, A, ++epoch);
		assert_epoch(t, HOLD, epoch);
		assert_true(epoch > journal);
		journal = epoch;
		pass(&t, SPAN_S(1));
	}
	assert_state(t, HELD);
	assert_int_equal(t.m.epoch, 1005);
	assert_int_equal(t.alarms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_of_a_planned_move),
		cmocka_unit_test(stragglers_need_no_port),
		cmocka_unit_test(a_port_that_went_first_leaves_stragglers),
		cmocka_unit_test(a_new_port_asks_while_stragglers_are_sent_on),
		cmocka_unit_test(destination_of_a_planned_move),
		cmocka_unit_test(prepare_twice_at_the_destination),
		cmocka_unit_test(prepare_twice_at_the_source),
		cmocka_unit_test(prepare_of_what_this_host_holds),
		cmocka_unit_test(abort_in_every_state),
		cmocka_unit_test(an_abort_at_the_source_ends_when_the_record_says_so),
		cmocka_unit_test(an_abort_overtakes_its_own_grant),
		cmocka_unit_test(a_declined_reservation_does_not_come_back),
		cmocka_unit_test(the_lifetime_ends_on_each_host_by_its_own_clock),
		cmocka_unit_test(stop_and_resume_at_the_source),
		cmocka_unit_test(a_gate_that_is_not_armed_does_not_flip),
		cmocka_unit_test(flipped_while_the_registry_is_gone),
		cmocka_unit_test(a_claim_is_lost_to_a_withdrawal),
		cmocka_unit_test(source_learns_by_record_or_tag_in_both_orders_and_twice),
		cmocka_unit_test(the_destination_dies_before_the_move),
		cmocka_unit_test(announcements_keep_their_schedule),
		cmocka_unit_test(announcements_stop_when_it_is_lost),
		cmocka_unit_test(a_second_move_while_announcing),
		cmocka_unit_test(the_taps_flaps_while_qemu_starts),
		cmocka_unit_test(a_thousand_moves_keep_epochs_growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
