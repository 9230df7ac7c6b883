/* Take-back, cold claims, force, frozen addresses, and registries that know less than we do. */
#include "rig.h"

#define UNUSED void **state

static void take_back(enum migrate_event_kind how)
{
	struct rig t = offered();

	held_by(&t, B, 6);
	happen(&t, how);
	assert_state(t, ASKED);
	assert_gate(t, CLOSED);
	assert_int_equal(find(&t, MIGRATE_DO_ASK)->why, ASK_TAKE_BACK);
	ask_by(&t, A, ASK_TAKE_BACK, "");
	moving(&t, B, A, 6);
	assert_state(t, READY);
	assert_epoch(t, DO_CLAIM, 7);
	held_by(&t, A, 7);
	assert_state(t, HELD);
	assert_gate(t, OPEN);
	assert_epoch(t, HOLD, 7);
	assert_wants(t, ANNOUNCE);
}

static void the_source_takes_it_back(UNUSED)
{
	take_back(MIGRATE_SPOKE);
	take_back(MIGRATE_RESUME);
}

static void the_holder_lets_go_when_its_guest_does_not_run(UNUSED)
{
	struct rig t = moved_here();

	happen(&t, MIGRATE_PORT_DOWN);
	ask_by(&t, A, ASK_TAKE_BACK, "");
	assert_state(t, RETURNING);
	/* Closed before anything is granted. */
	assert_gate(t, CLOSED);
	assert_wants(t, DO_GRANT);
	assert_epoch(t, DO_GRANT, 6);
	moving(&t, B, A, 6);
	held_by(&t, A, 7);
	assert_state(t, NONE);
	assert_epoch(t, YIELD, 7);
	t = moved_here();
	happen(&t, MIGRATE_STOP);
	ask_by(&t, A, ASK_TAKE_BACK, "");
	assert_state(t, RETURNING);
	assert_gate(t, CLOSED);
}

static void both_guests_run(UNUSED)
{
	struct rig a = offered(), b = moved_here();

	held_by(&a, B, 6);
	happen(&a, MIGRATE_RESUME);
	ask_by(&b, A, ASK_TAKE_BACK, "");
	assert_state(b, HELD);
	assert_wants(b, DO_REFUSE);
	assert_wants_not(b, GATE);
	assert_int_equal(b.alarm, MIGRATE_REASON_TWO_GUESTS);
	ask_by(&a, A, ASK_TAKE_BACK, "two_guests");
	assert_state(a, ASKED);
	assert_int_equal(a.alarms, 1);
	assert_int_equal(a.alarm, MIGRATE_REASON_TWO_GUESTS);
	/* Once. */
	ask_by(&a, A, ASK_TAKE_BACK, "two_guests");
	assert_int_equal(a.alarms, 1);
	ask_by(&b, A, ASK_TAKE_BACK, "two_guests");
	assert_int_equal(b.alarms, 1);
}

static void a_guest_that_resumes_while_it_is_given_back(UNUSED)
{
	struct rig t = holder();

	happen(&t, MIGRATE_STOP);
	ask_by(&t, B, ASK_CLAIM, "");
	moving(&t, A, B, 5);
	happen(&t, MIGRATE_RESUME);
	assert_state(t, RETURNING);
	assert_wants_not(t, GATE);
	assert_wants(t, DO_WITHDRAW);
	held_by(&t, A, 5);
	assert_state(t, HELD);
	assert_gate(t, OPEN);
}

static void a_cold_claim_waits_for_the_holders_port(UNUSED)
{
	struct rig t = holder();

	ask_by(&t, B, ASK_CLAIM, "");
	assert_state(t, HELD);
	assert_wants(t, DO_REFUSE);
	assert_int_equal(t.alarms, 0);
	ask_by(&t, B, ASK_CLAIM, "refused");
	pass(&t, SPAN_S(3600));
	assert_state(t, HELD);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, RETURNING);
	assert_wants(t, DO_GRANT);
}

static void a_cold_port_asks_and_claims_when_its_guest_has_spoken(UNUSED)
{
	struct rig t = new_rig(B);

	held_by(&t, A, 5);
	port_up(&t, 0);
	assert_state(t, ASKED);
	assert_int_equal(find(&t, MIGRATE_DO_ASK)->why, ASK_CLAIM);
	ask_by(&t, B, ASK_CLAIM, "");
	ask_by(&t, B, ASK_CLAIM, "refused");
	assert_int_equal(t.alarms, 0);
	happen(&t, MIGRATE_SPOKE);
	assert_wants_not(t, DO_ASK);
	moving(&t, A, B, 5);
	assert_state(t, READY);
	assert_epoch(t, DO_CLAIM, 6);
	assert_gate(t, TUNNEL_IN);
	held_by(&t, B, 6);
	assert_gate(t, OPEN);
	/* One that was silent waits for its guest. */
	t = new_rig(B);
	port_up(&t, 0);
	moving(&t, A, B, 5);
	assert_state(t, READY);
	assert_wants_not(t, DO_CLAIM);
	happen(&t, MIGRATE_SPOKE);
	assert_wants(t, DO_CLAIM);
}

static void a_guest_that_speaks_on_insists(UNUSED)
{
	struct rig t = new_rig(B);

	port_up(&t, 0);
	ask_by(&t, B, ASK_CLAIM, "");
	happen(&t, MIGRATE_SPOKE);
	assert_wants_not(t, DO_ASK);
	t.now = mono_after(t.now, SPAN_S(1));
	happen(&t, MIGRATE_SPOKE);
	assert_int_equal(find(&t, MIGRATE_DO_ASK)->why, ASK_TAKE_BACK);
	ask_by(&t, B, ASK_TAKE_BACK, "two_guests");
	assert_int_equal(t.alarm, MIGRATE_REASON_TWO_GUESTS);
}

static void what_was_said_long_ago_claims_nothing(UNUSED)
{
	struct rig t = new_rig(B);

	/* Told as it is: the guest speaks on, and the grant comes in time. */
	port_up(&t, 0);
	happen(&t, MIGRATE_SPOKE);
	t.now = mono_after(t.now, MIGRATE_SPOKEN);
	moving(&t, A, B, 5);
	assert_wants(t, DO_CLAIM);
	/* It may have left again: it is asked, and its next frame counts. */
	t = new_rig(B);
	port_up(&t, 0);
	happen(&t, MIGRATE_SPOKE);
	t.now = mono_after(t.now, SPAN_NS(MIGRATE_SPOKEN.ns + 1));
	moving(&t, A, B, 5);
	assert_state(t, READY);
	assert_gate(t, TUNNEL_IN);
	assert_wants_not(t, DO_CLAIM);
	assert_wants(t, QUERY);
	moving(&t, A, B, 5);
	assert_wants_not(t, QUERY);
	happen(&t, MIGRATE_SPOKE);
	assert_wants(t, DO_CLAIM);
	/* So of one that insisted, and of a plan whose port had spoken before. */
	t = new_rig(B);
	port_up(&t, 0);
	happen(&t, MIGRATE_SPOKE);
	t.now = mono_after(t.now, SPAN_S(1));
	happen(&t, MIGRATE_SPOKE);
	assert_int_equal(t.m.asking, 1 + ASK_TAKE_BACK);
	t.now = mono_after(t.now, SPAN_S(3));
	moving(&t, A, B, 5);
	assert_wants_not(t, DO_CLAIM);
	t = new_rig(B);
	port_up(&t, 0);
	happen(&t, MIGRATE_SPOKE);
	prepare(&t);
	t.now = mono_after(t.now, SPAN_S(3));
	moving(&t, A, B, 5);
	assert_wants_not(t, DO_CLAIM);
}

static void a_hint_counts_until_another_does(UNUSED)
{
	struct rig t = new_rig(B);

	port_up(&t, 0);
	happen(&t, MIGRATE_RESUME);
	t.now = mono_after(t.now, SPAN_S(60));
	moving(&t, A, B, 5);
	assert_wants(t, DO_CLAIM);
	assert_wants_not(t, QUERY);
	t = new_rig(B);
	port_up(&t, 0);
	happen(&t, MIGRATE_RESUME);
	happen(&t, MIGRATE_STOP);
	moving(&t, A, B, 5);
	assert_wants_not(t, DO_CLAIM);
	/* Of a guest that has no port here it says nothing. */
	t = new_rig(B);
	happen(&t, MIGRATE_RESUME);
	prepare(&t);
	port_up(&t, 0);
	moving(&t, A, B, 5);
	assert_wants_not(t, DO_CLAIM);
}

static void a_new_port_of_one_that_is_live_is_closed(UNUSED)
{
	struct rig t = live();

	happen(&t, MIGRATE_UNREACHABLE);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, LIVE);
	/* Its guest is another, or comes again; its host has not heard who has it by now. */
	port_up(&t, 0);
	assert_state(t, READY);
	assert_gate(t, TUNNEL_IN);
	assert_wants_not(t, ANNOUNCE);
	happen(&t, MIGRATE_REACHABLE);
	assert_epoch(t, DO_CLAIM, 6);
	held_by(&t, B, 6);
	assert_gate(t, OPEN);
	t = live();
	happen(&t, MIGRATE_UNREACHABLE);
	happen(&t, MIGRATE_PORT_DOWN);
	port_up(&t, 0);
	happen(&t, MIGRATE_FLIPPED);
	assert_state(t, LIVE);
	assert_gate(t, OPEN);
}

static void a_release_of_before_is_an_old_backup(UNUSED)
{
	const struct shared_vmac released = {
		.segment = "lan", .state = SHARED_RELEASED, .holder = host(B), .epoch = 2
	};
	struct rig t = holder();

	/* The number was given out anew, and the journal says so. */
	step(&t, (struct migrate_event){
			 .kind = MIGRATE_RECORD, .record = &released, .epoch = 5 });
	assert_state(t, HELD);
	assert_int_equal(t.alarm, MIGRATE_REASON_BEHIND);
	assert_epoch(t, DO_CLAIM, 6);
	t = holder();
	step(&t, (struct migrate_event){ .kind = MIGRATE_RECORD, .record = &released });
	assert_state(t, NONE);
}

static void an_order_needs_no_port(UNUSED)
{
	struct rig t = new_rig(B);

	happen(&t, MIGRATE_ACTIVATE);
	assert_int_equal(find(&t, MIGRATE_DO_ASK)->why, ASK_CLAIM);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, ASKED);
	moving(&t, A, B, 5);
	assert_epoch(t, DO_CLAIM, 6);
	held_by(&t, B, 6);
	assert_state(t, HELD);
	assert_wants_not(t, ANNOUNCE);
}

static void a_third_host_is_refused(UNUSED)
{
	struct rig t = offered();

	ask_by(&t, C, ASK_PREPARE, "");
	assert_state(t, OFFERED);
	assert_wants(t, DO_REFUSE);
	assert_int_equal(find(&t, MIGRATE_DO_REFUSE)->reason, MIGRATE_REASON_PREPARED);
	assert_true(uuid_equal(&t.m.peer, &(struct uuid){ .octet = { [15] = B } }));
}

static void two_hosts_ask_at_once(UNUSED)
{
	struct rig t = new_rig(B);

	port_up(&t, 0);
	assert_wants(t, DO_ASK);
	/* C was first: ours is lost, and waits its turn. */
	ask_by(&t, C, ASK_CLAIM, "");
	happen(&t, MIGRATE_LOST);
	assert_wants_not(t, DO_ASK);
	moving(&t, A, C, 5);
	assert_state(t, ASKED);
	held_by(&t, C, 6);
	ask_gone(&t);
	assert_wants(t, DO_ASK);
}

static void only_force_takes_from_the_dead(UNUSED)
{
	struct rig t = new_rig(B);

	held_by(&t, A, 5);
	port_up(&t, 0);
	ask_by(&t, B, ASK_CLAIM, "");
	dead(&t, A);
	pass(&t, SPAN_S(36000));
	assert_state(t, ASKED);
	assert_wants_not(t, DO_CLAIM);
	happen(&t, MIGRATE_FORCE);
	assert_state(t, ASKED);
	assert_wants_not(t, GATE);
	assert_epoch(t, DO_CLAIM, 6);
	held_by(&t, B, 6);
	assert_state(t, HELD);
	assert_gate(t, OPEN);
	assert_epoch(t, HOLD, 6);
}

static void force_is_against_one_holder(UNUSED)
{
	struct rig t = new_rig(B);

	held_by(&t, A, 5);
	happen(&t, MIGRATE_FORCE);
	/* Somebody who lives was faster. */
	held_by(&t, C, 6);
	happen(&t, MIGRATE_LOST);
	assert_wants_not(t, DO_CLAIM);
	assert_state(t, ASKED);
}

static void we_come_back_from_the_dead(UNUSED)
{
	struct rig t = holder();

	dead(&t, A);
	assert_state(t, HELD);
	held_by(&t, B, 3); /* taken from an image that was behind */
	assert_state(t, HANDED);
	assert_int_equal(t.alarms, 0);
	/* Nobody took it. */
	t = holder();
	dead(&t, A);
	no_record(&t);
	assert_state(t, HELD);
	/* The record came first, and was disputed. */
	t = holder();
	held_by(&t, B, 3);
	assert_state(t, HELD);
	dead(&t, A);
	assert_state(t, HANDED);
}

static void a_registry_that_is_behind_is_put_right(UNUSED)
{
	struct rig t = holder();

	held_by(&t, B, 3);
	assert_state(t, HELD);
	assert_wants_not(t, YIELD);
	assert_int_equal(t.alarm, MIGRATE_REASON_BEHIND);
	assert_epoch(t, DO_CLAIM, 6);
	held_by(&t, A, 6);
	assert_epoch(t, HOLD, 6);
	t = offered();
	held_by(&t, B, 2);
	assert_state(t, OFFERED);
	assert_epoch(t, DO_GRANT, 6);
	t = live();
	held_by(&t, C, 2);
	assert_state(t, LIVE);
	assert_int_equal(t.alarm, MIGRATE_REASON_BEHIND);
	assert_wants_not(t, GATE);
}

static void a_record_vanishes(UNUSED)
{
	struct rig t = holder();

	no_record(&t);
	assert_int_equal(t.alarms, 0); /* there never was one */
	held_by(&t, A, 5);
	no_record(&t);
	assert_state(t, HELD);
	assert_int_equal(t.alarm, MIGRATE_REASON_BEHIND);
	assert_epoch(t, DO_CLAIM, 6);
}

static void our_own_epoch_may_be_ahead(UNUSED)
{
	struct rig t = holder();

	held_by(&t, A, 3); /* the port changed twice since */
	assert_state(t, HELD);
	assert_int_equal(t.alarms, 0);
	ask_by(&t, B, ASK_PREPARE, "");
	assert_epoch(t, DO_GRANT, 5);
}

static void we_lost_our_state(UNUSED)
{
	struct rig t = new_rig(A);

	held_by(&t, A, 5);
	assert_state(t, HELD);
	assert_epoch(t, HOLD, 5);
	assert_false(t.m.port);
	assert_wants_not(t, ANNOUNCE);
	port_up(&t, 0);
	assert_gate(t, OPEN);
	t = new_rig(A);
	record_of(&t, SHARED_FROZEN, A, 0, 0, 5);
	assert_state(t, FROZEN);
	t = new_rig(A);
	moving(&t, A, B, 5);
	assert_state(t, OFFERED);
}

static void take(struct rig *t, uint64_t *epoch)
{
	happen(t, MIGRATE_SPOKE);
	ask_by(t, A, ASK_TAKE_BACK, "");
	record_of(t, SHARED_MOVING, B, A, 0, *epoch);
	held_by(t, A, ++*epoch);
	ask_gone(t);
}

static void give(struct rig *t, uint64_t *epoch)
{
	happen(t, MIGRATE_STOP);
	ask_by(t, B, ASK_CLAIM, "");
	record_of(t, SHARED_MOVING, A, B, 0, *epoch);
	held_by(t, B, ++*epoch);
	ask_gone(t);
}

static struct rig frozen(uint64_t *epoch)
{
	struct rig t = holder();

	*epoch = 5;
	give(&t, epoch);
	take(&t, epoch);
	give(&t, epoch);
	take(&t, epoch);
	assert_state(t, HELD);
	assert_int_equal(t.alarms, 0);
	give(&t, epoch);
	assert_state(t, HANDED); /* five, but only a holder freezes */
	take(&t, epoch);
	return t;
}

static void five_unplanned_moves_freeze(UNUSED)
{
	uint64_t epoch;
	struct rig t = frozen(&epoch);

	assert_state(t, FROZEN);
	assert_int_equal(t.alarm, MIGRATE_REASON_MOVED_TOO_OFTEN);
	assert_int_equal(migrate_gate(t.m.state), MIGRATE_GATE_OPEN);
	assert_true(t.m.writing);
	record_of(&t, SHARED_FROZEN, A, 0, 0, epoch);
	happen(&t, MIGRATE_PORT_DOWN);
	ask_by(&t, B, ASK_CLAIM, "");
	assert_state(t, FROZEN);
	assert_wants(t, DO_REFUSE);
}

static void a_freeze_ends_with_time_or_order(UNUSED)
{
	uint64_t epoch;
	struct rig t = frozen(&epoch);

	record_of(&t, SHARED_FROZEN, A, 0, 0, epoch);
	for (unsigned int i = 0; i < 1799; i++)
		pass(&t, SPAN_S(1));
	assert_state(t, FROZEN);
	pass(&t, SPAN_S(1));
	assert_state(t, HELD);
	assert_wants(t, DO_WITHDRAW);
	record_of(&t, SHARED_FROZEN, A, 0, 0, epoch); /* the same again */
	assert_state(t, HELD);
	held_by(&t, A, epoch);
	assert_true(migrate_idle(&t.m));
	t = frozen(&epoch);
	record_of(&t, SHARED_FROZEN, A, 0, 0, epoch);
	happen(&t, MIGRATE_THAW_NOW);
	assert_state(t, HELD);
	assert_wants(t, DO_WITHDRAW);
}

static void planned_moves_do_not_freeze(UNUSED)
{
	uint64_t epoch;
	struct rig t = frozen(&epoch);

	record_of(&t, SHARED_FROZEN, A, 0, 0, epoch);
	ask_by(&t, B, ASK_PREPARE, "");
	assert_state(t, OFFERED);
	assert_wants(t, DO_GRANT);
}

static void moves_long_ago_do_not_freeze(UNUSED)
{
	struct rig t = holder();
	uint64_t epoch = 5;

	for (unsigned int i = 0; i < 10; i++) {
		give(&t, &epoch);
		pass(&t, SPAN_S(91));
		take(&t, &epoch);
		assert_state(t, HELD);
	}
	assert_int_equal(t.alarms, 0);
}

static void a_stranger_is_a_hint(UNUSED)
{
	struct rig t = holder();

	for (unsigned int i = 0; i < 10; i++)
		happen(&t, MIGRATE_STRANGER);
	assert_state(t, HELD);
	assert_int_equal(t.alarms, 10);
	assert_int_equal(t.alarm, MIGRATE_REASON_FOREIGN);
	t = offered();
	happen(&t, MIGRATE_STRANGER);
	assert_state(t, OFFERED);
	assert_wants(t, NOTE);
	assert_int_equal(t.alarms, 0);
	t = moved_here();
	happen(&t, MIGRATE_STRANGER); /* what the source still had in flight */
	assert_int_equal(t.alarms, 0);
}

static void tags_that_say_nothing_new(UNUSED)
{
	struct rig t = offered();

	tag_of(&t, B, 5);
	tag_of(&t, B, 4);
	tag_of(&t, A, 9); /* our own, reflected */
	tag_of(&t, A, 5);
	assert_state(t, OFFERED);
	t = moved_here();
	tag_of(&t, A, 5);
	tag_of(&t, B, 6);
	assert_state(t, HELD);
	assert_int_equal(t.count, 0);
}

static void the_registry_decides_where_it_is_in_reach(UNUSED)
{
	struct rig t = holder();

	tag_of(&t, C, 6);
	assert_state(t, HELD);
	assert_wants(t, NOTE);
	held_by(&t, C, 6);
	assert_state(t, HANDED);
	t = holder();
	happen(&t, MIGRATE_UNREACHABLE);
	tag_of(&t, C, 6);
	assert_state(t, HANDED);
	assert_epoch(t, YIELD, 6);
}

static void a_claim_that_was_announced_and_lost_heals(UNUSED)
{
	struct rig t = offered();

	/* B flips when A has withdrawn, out of A's sight. */
	happen(&t, MIGRATE_ABORT);
	happen(&t, MIGRATE_UNREACHABLE);
	tag_of(&t, B, 6);
	assert_state(t, HANDED);
	happen(&t, MIGRATE_REACHABLE);
	held_by(&t, A, 5);
	assert_state(t, HANDED);
	ask_by(&t, B, ASK_TAKE_BACK, "");
	assert_state(t, RETURNING);
	/* At the epoch that was announced: the next claim is beyond it. */
	assert_epoch(t, DO_GRANT, 6);
	moving(&t, A, B, 6);
	held_by(&t, B, 7);
	assert_state(t, HANDED);
	assert_int_equal(t.alarms, 0);
}

static void equal_epochs(UNUSED)
{
	struct rig t = holder();

	held_by(&t, B, 5);
	assert_state(t, HELD); /* A is lower */
	assert_int_equal(t.alarm, MIGRATE_REASON_TWO_GUESTS);
	assert_epoch(t, DO_CLAIM, 6);
	t = moved_here();
	held_by(&t, A, 6);
	assert_state(t, HANDED);
	assert_int_equal(t.alarm, MIGRATE_REASON_TWO_GUESTS);
}

static void a_released_address_is_forgotten(UNUSED)
{
	struct rig t = holder();

	record_of(&t, SHARED_RELEASED, A, 0, 0, 5);
	assert_state(t, NONE);
	assert_gate(t, CLOSED);
}

static void retried(struct rig t, enum migrate_effect_kind k)
{
	happen(&t, MIGRATE_UNREACHABLE);
	assert_null(find(&t, k));
	pass(&t, SPAN_S(1));
	assert_non_null(find(&t, k));
	happen(&t, MIGRATE_UNREACHABLE);
	happen(&t, MIGRATE_REACHABLE);
	assert_non_null(find(&t, k));
	happen(&t, MIGRATE_LOST);
	assert_non_null(find(&t, k));
}

static void every_write_is_tried_again(UNUSED)
{
	struct rig t = new_rig(B);
	uint64_t epoch;

	prepare(&t);
	retried(t, MIGRATE_DO_ASK);
	ask_by(&t, B, ASK_PREPARE, "");
	happen(&t, MIGRATE_ABORT);
	retried(t, MIGRATE_DO_UNASK);
	retried(live(), MIGRATE_DO_CLAIM);
	t = holder();
	ask_by(&t, B, ASK_PREPARE, "");
	retried(t, MIGRATE_DO_GRANT);
	t = holder();
	ask_by(&t, B, ASK_CLAIM, "");
	retried(t, MIGRATE_DO_REFUSE);
	t = offered();
	happen(&t, MIGRATE_ABORT);
	retried(t, MIGRATE_DO_WITHDRAW);
	retried(frozen(&epoch), MIGRATE_DO_FREEZE);
}

static void nothing_is_written_before_the_registry_is_there(UNUSED)
{
	const struct uuid u = host(B);
	struct rig t = new_rig(B);

	migrate_init(&t.m, &u, false);
	prepare(&t);
	assert_wants_not(t, DO_ASK);
	happen(&t, MIGRATE_REACHABLE);
	assert_wants(t, DO_ASK);
}

static void the_ask_of_a_dead_host_is_removed(UNUSED)
{
	struct rig t = holder();

	ask_by(&t, B, ASK_CLAIM, "");
	ask_by(&t, B, ASK_CLAIM, "refused");
	dead(&t, B);
	assert_wants(t, DO_UNASK);
	happen(&t, MIGRATE_PORT_DOWN);
	assert_state(t, HELD);
}

static void names(UNUSED)
{
	size_t count;

	for (unsigned int i = 0; i < MIGRATE_STATE_COUNT; i++) {
		assert_true(strlen(migrate_state_name(i)) > 0);
		assert_true(strlen(migrate_state_meaning(i)) > 0);
	}
	for (unsigned int i = 0; i < MIGRATE_REASON_COUNT; i++) {
		assert_true(strlen(migrate_reason_name(i)) > 0);
		assert_true(strlen(migrate_reason_meaning(i)) > 0);
	}
	assert_non_null(migrate_table(&count));
	assert_true(count > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_source_takes_it_back),
		cmocka_unit_test(the_holder_lets_go_when_its_guest_does_not_run),
		cmocka_unit_test(both_guests_run),
		cmocka_unit_test(a_guest_that_resumes_while_it_is_given_back),
		cmocka_unit_test(a_cold_claim_waits_for_the_holders_port),
		cmocka_unit_test(a_cold_port_asks_and_claims_when_its_guest_has_spoken),
		cmocka_unit_test(a_guest_that_speaks_on_insists),
		cmocka_unit_test(what_was_said_long_ago_claims_nothing),
		cmocka_unit_test(a_hint_counts_until_another_does),
		cmocka_unit_test(a_new_port_of_one_that_is_live_is_closed),
		cmocka_unit_test(a_release_of_before_is_an_old_backup),
		cmocka_unit_test(an_order_needs_no_port),
		cmocka_unit_test(a_third_host_is_refused),
		cmocka_unit_test(two_hosts_ask_at_once),
		cmocka_unit_test(only_force_takes_from_the_dead),
		cmocka_unit_test(force_is_against_one_holder),
		cmocka_unit_test(we_come_back_from_the_dead),
		cmocka_unit_test(a_registry_that_is_behind_is_put_right),
		cmocka_unit_test(a_record_vanishes),
		cmocka_unit_test(our_own_epoch_may_be_ahead),
		cmocka_unit_test(we_lost_our_state),
		cmocka_unit_test(five_unplanned_moves_freeze),
		cmocka_unit_test(a_freeze_ends_with_time_or_order),
		cmocka_unit_test(planned_moves_do_not_freeze),
		cmocka_unit_test(moves_long_ago_do_not_freeze),
		cmocka_unit_test(a_stranger_is_a_hint),
		cmocka_unit_test(tags_that_say_nothing_new),
		cmocka_unit_test(the_registry_decides_where_it_is_in_reach),
		cmocka_unit_test(a_claim_that_was_announced_and_lost_heals),
		cmocka_unit_test(equal_epochs),
		cmocka_unit_test(a_released_address_is_forgotten),
		cmocka_unit_test(every_write_is_tried_again),
		cmocka_unit_test(nothing_is_written_before_the_registry_is_there),
		cmocka_unit_test(the_ask_of_a_dead_host_is_removed),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
