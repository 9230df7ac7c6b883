/* What others send with our addresses, and hosts with another key. */
#include "steps.h"

static void alarms_are_bounded(void **state)
{
	struct fleet_move_view view;
	struct fleet_name n;
	int number;

	start(1);
	number = guest(0);
	n = rig_name(number);
	rig_run(&rig, 20000);
	for (int i = 0; i < 1000; i++)
		fleet_wire(rig.hosts[0].fleet, &n, &(struct fleet_sight){ .unseen = 2 }, rig.now);
	assert_int_equal(rig.hosts[0].notes[FLEET_ALARM], 1);
	assert_true(fleet_move(rig.hosts[0].fleet, &n, &view));
	assert_int_equal(view.strangers, 3000); /* each, and those that nobody looked at */
	assert_int_equal(gate(0, number), MIGRATE_GATE_OPEN);
	assert_true(facts(0).alarms >= 1000);
	rig_done(&rig);
}

static struct fleet_move_view wire_told(const struct fleet_name *n, struct fleet_sight sight)
{
	struct fleet_move_view view;

	fleet_wire(rig.hosts[0].fleet, n, &sight, rig.now);
	assert_true(fleet_move(rig.hosts[0].fleet, n, &view));
	return view;
}

static void assert_used(const struct fleet_move_view *v, enum fleet_use use, const char *because)
{
	assert_string_equal(fleet_use_name(v->wire.use), fleet_use_name(use));
	assert_non_null(strstr(v->wire.because, because));
}

static void who_uses_it_on_the_wire(void **state)
{
	const struct ip other = { 4, { 10, 9, 0, 99 } };
	struct fleet_move_view v;
	struct fleet_claim tag;
	struct fleet_name n;
	uint64_t strangers;
	mono_t first;
	int number;

	start(2);
	number = guest(0);
	n = rig_name(number);
	rig_run(&rig, 20000);
	assert_true(fleet_move(rig.hosts[0].fleet, &n, &v));
	assert_int_equal(v.wire.frames, 0);
	first = rig.now;
	/* Just after the guest here: it may be an echo. */
	v = wire_told(&n, (struct fleet_sight){ .what = "RARP", .unseen = 4 });
	assert_used(&v, FLEET_USE_UNKNOWN, "RARP, soon after the guest here spoke");
	assert_int_equal(v.wire.frames, 5);
	assert_int_equal(v.wire.looked[FLEET_USE_UNKNOWN], 1);
	/* A storm that began so may go on in our silence: that proves nothing. */
	rig_run(&rig, 30000);
	v = wire_told(&n, (struct fleet_sight){ .silent = SPAN_S(30) });
	assert_int_equal(v.wire.use, FLEET_USE_UNKNOWN);
	v = wire_told(&n, (struct fleet_sight){ .forged = true, .silent = SPAN_S(30) });
	assert_used(&v, FLEET_USE_UNKNOWN, "a tag under another key");
	/* What the guard here would not let out. */
	v = wire_told(&n, (struct fleet_sight){ .what = "ARP", .sender = other, .unbound = true });
	assert_used(&v, FLEET_USE_CLONE, "ARP of 10.9.0.99, which the port here may not use");
	assert_non_null(strstr(rig.hosts[0].said, "somebody else uses the address on the wire"));
	v = wire_told(&n, (struct fleet_sight){ .what = "IPv4" });
	assert_int_equal(v.wire.use, FLEET_USE_CLONE); /* what is certain stays */
	rig_run(&rig, 61000);
	v = wire_told(&n, (struct fleet_sight){ .silent = SPAN_NS(0) });
	assert_int_equal(v.wire.use, FLEET_USE_UNKNOWN);
	/* After a pause, out of a silence. */
	rig_run(&rig, 61000);
	v = wire_told(&n, (struct fleet_sight){ .silent = SPAN_S(5) });
	assert_used(&v, FLEET_USE_CLONE, "it began when nothing had left here");
	assert_non_null(strstr(rig.hosts[0].said, "(clone: a frame, and it began"));
	/* Our own: no stranger, and an alarm of its own. */
	strangers = v.strangers;
	rig_run(&rig, 61000);
	tag = (struct fleet_claim){ facts(0).number, 9 };
	v = wire_told(&n, (struct fleet_sight){ .tag = &tag });
	assert_used(&v, FLEET_USE_LOOP, "this host's own announcement of epoch 9 came back");
	v = wire_told(&n, (struct fleet_sight){ .echo = true, .what = "ARP", .unseen = 1 });
	assert_used(&v, FLEET_USE_LOOP, "octet for octet");
	assert_int_equal(v.strangers, strangers + 1); /* the one that nobody looked at */
	assert_non_null(strstr(rig.hosts[0].said, "came back: the network has a loop"));
	/* A host that nobody knows, and one that all know. */
	tag = (struct fleet_claim){ (uint16_t)(facts(0).number ^ facts(1).number ^ 1), 9 };
	rig_run(&rig, 61000);
	v = wire_told(&n, (struct fleet_sight){ .tag = &tag });
	assert_used(&v, FLEET_USE_UNKNOWN, "which nobody has");
	tag = (struct fleet_claim){ facts(1).number, 1 };
	v = wire_told(&n, (struct fleet_sight){ .tag = &tag });
	assert_used(&v, FLEET_USE_MOVE, "host kvm2 announced it at epoch 1, with a valid tag");
	assert_int_equal(v.wire.looked[FLEET_USE_MOVE], 1);
	assert_int_equal(v.wire.first.ns, first.ns);
	assert_int_equal(v.wire.last.ns, rig.now.ns);
	assert_int_equal(gate(0, number), MIGRATE_GATE_OPEN);
	/* Reserved: its guest may speak there, and a forger can say the same. */
	prepare(1, number);
	rig_run(&rig, 61000);
	v = wire_told(&n, (struct fleet_sight){ .what = "RARP", .silent = SPAN_S(9) });
	assert_used(&v, FLEET_USE_UNKNOWN, "it is reserved for host kvm2");
	rig_speak(&rig, 1, number);
	rig_run(&rig, 1000);
	assert_int_equal(gate(0, number), MIGRATE_GATE_REDIRECT);
	v = wire_told(&n, (struct fleet_sight){ .what = "IPv4" });
	assert_used(&v, FLEET_USE_MOVE, "IPv4, where host kvm2 holds it");
	rig_done(&rig);
}

static void another_cluster_key(void **state)
{
	static const char *const checks[] = { "0011223344556677", "8899aabbccddeeff", NULL };
	struct error e;
	int n;

	rig_init(&rig, 3, 1);
	for (unsigned int i = 0; i < 3; i++)
		rig.hosts[i].key_check = checks[i];
	for (unsigned int i = 0; i < 3; i++)
		rig_up(&rig, i);
	rig_run(&rig, 1000);
	rig_agree(&rig);
	rig_run(&rig, 2000);
	n = guest(0);
	assert_true(rig.hosts[0].notes[FLEET_ALARM] >= 1);
	assert_non_null(strstr(rig.hosts[0].said, "kvm2 has another cluster key than this one"));
	/* While both hear the registry, so that it never comes to two guests and no word. */
	assert_true(rig_hint(&rig, 1, MIGRATE_PREPARE, n, &e) < 0);
	assert_int_equal(e.code, ERROR_FORBIDDEN);
	assert_non_null(strstr(e.message, "host kvm1, which has it, has another cluster key"));
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	/* A host without a key is no contradiction, and the right one is none. */
	assert_int_equal(rig_hint(&rig, 2, MIGRATE_PREPARE, n, &e), 0);
	rig_run(&rig, 1000);
	assert_int_equal(rig_hint(&rig, 2, MIGRATE_ABORT, n, &e), 0);
	rig_run(&rig, 1000);
	rig_down(&rig, 1);
	rig.hosts[1].key_check = checks[0];
	rig_up(&rig, 1);
	rig_run(&rig, 5000);
	assert_int_equal(rig_hint(&rig, 1, MIGRATE_PREPARE, n, &e), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alarms_are_bounded),
		cmocka_unit_test(who_uses_it_on_the_wire),
		cmocka_unit_test(another_cluster_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
