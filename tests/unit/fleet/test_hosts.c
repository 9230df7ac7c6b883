/* Hosts that die, are forgotten, come back, are drained; what both of two have; blocks that nobody
 * needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static void declare_dead(unsigned int by, const char *name)
{
	struct error e;

	assert_int_equal(fleet_host_state(rig.hosts[by].fleet, name, HOST_DEAD, "ops, power off",
					  rig.now, &e),
			 0);
	rig_run(&rig, 100);
}

static void lease_ends(unsigned int host)
{
	struct shared_record alive = { .kind = SHARED_ALIVE };

	alive.alive.host = rig.hosts[host].uuid;
	rig_put(&rig, &alive, true);
	rig_run(&rig, 10);
}

static void dead_and_forgotten(void **state)
{
	struct error e = { 0 };
	unsigned int before;
	int n;

	rig_init(&rig, 2, 11);
	rig.size = 16; /* four blocks: the other will want those of the dead */
	rig_up(&rig, 0);
	rig_up(&rig, 1);
	rig_run(&rig, 1000);
	rig_agree(&rig);
	rig_run(&rig, 1000);
	n = guest(0);
	before = blocks_of(0);
	assert_int_equal(before, 2);
	assert_true(fleet_host_state(rig.hosts[1].fleet, "kvm1", HOST_DEAD, "x", rig.now, &e) < 0);
	assert_non_null(strstr(e.message, "host kvm1 is alive"));
	rig.check_blocks = false;
	rig_down(&rig, 0);
	lease_ends(0);
	assert_true(fleet_host_state(rig.hosts[1].fleet, "kvm1", HOST_DEAD, "", rig.now, &e) < 0);
	assert_int_equal(e.code, ERROR_MISSING_FIELD);
	assert_true(fleet_host_forget(rig.hosts[1].fleet, "kvm1", rig.now, &e) < 0);
	assert_non_null(strstr(e.message, "still has 2 blocks"));
	declare_dead(1, "kvm1");
	assert_int_equal(fleet_host_forget(rig.hosts[1].fleet, "kvm1", rig.now, &e), 0);
	rig_run(&rig, 30000);
	assert_int_equal(facts(1).hosts, 2); /* the quarantine is not over */
	rig_run(&rig, 60000);
	assert_int_equal(facts(1).hosts, 1);
	while (rig_allocate(&rig, 1) >= 0)
		rig_run(&rig, 1000);
	assert_int_equal(blocks_of(1), 4);
	/* It comes back, with all that it believes to have. */
	rig_up(&rig, 0);
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN); /* as long as it knows no better */
	rig_run(&rig, 5000);
	assert_int_equal(blocks_of(0), 0);
	assert_true(gate(0, n) == MIGRATE_GATE_FENCED || gate(0, n) == MIGRATE_GATE_REDIRECT);
	assert_false(rig_held(&rig, 0, n));
	assert_true(rig.hosts[0].notes[FLEET_ALARM] > 0);
	rig_done(&rig);
}

/* Whoever ordered it may be gone: that it is to be forgotten is known to all. */
static void forgotten_by_whoever_is_there(void **state)
{
	struct error e = { 0 };
	int moved;

	start(3);
	guest(0);
	moved = guest(1);
	move(1, 0, moved);
	rig_run(&rig, 2000);
	rig.check_blocks = false;
	rig_down(&rig, 0);
	lease_ends(0);
	declare_dead(2, "kvm1");
	assert_int_equal(fleet_host_forget(rig.hosts[2].fleet, "kvm1", rig.now, &e), 0);
	rig_run(&rig, 20000);
	/* Both of the others go, one for good; the quarantine counts anew for the one that comes.
	 */
	rig_down(&rig, 2);
	lease_ends(2);
	rig_down(&rig, 1);
	rig_run(&rig, 1000);
	rig_up(&rig, 1);
	assert_non_null(rig_record(&rig, moved));
	assert_int_equal(rig_record(&rig, moved)->state, SHARED_RELEASED);
	rig_run(&rig, 55000);
	assert_int_equal(facts(1).hosts, 3);
	assert_true(facts(1).blocks >= 6);
	rig_run(&rig, 60000);
	assert_int_equal(facts(1).hosts, 2);
	assert_int_equal(facts(1).blocks, 4);
	rig_done(&rig);
}

/* It lives, and hears of its death and of what was taken one by one. */
static void declared_dead_while_it_runs(void **state)
{
	struct shared_record dead = { .kind = SHARED_HOST }, taken = { .kind = SHARED_VMAC };
	int n;

	start(2);
	n = guest(0);
	rig_run(&rig, 2000);
	dead.host.uuid = rig.hosts[0].uuid;
	dead = *rig_find(&rig, &dead);
	dead.host.state = HOST_DEAD;
	snprintf(dead.host.fenced_by, sizeof(dead.host.fenced_by), "ops");
	taken.vmac = wanted(n);
	taken.vmac.holder = rig.hosts[1].uuid;
	rig.hosts[0].slow = rig.hosts[1].slow = true;
	rig_put(&rig, &dead, false);
	/* At no higher epoch than the host itself knows: the image was behind. */
	rig_put(&rig, &taken, false);
	rig.hosts[0].slow = rig.hosts[1].slow = false;
	rig_run(&rig, 5000);
	assert_int_not_equal(gate(0, n), MIGRATE_GATE_OPEN);
	assert_false(rig_held(&rig, 0, n));
	assert_memory_equal(&rig_record(&rig, n)->holder, &rig.hosts[1].uuid, sizeof(struct uuid));
	assert_true(facts(0).joined);
	assert_int_equal(facts(0).state, HOST_ACTIVE);
	rig_done(&rig);
}

static void surplus_goes_back(void **state)
{
	int taken[24];

	start(2);
	for (int i = 0; i < 24; i++) {
		taken[i] = rig_allocate(&rig, 0);
		assert_true(taken[i] >= 0);
		rig_run(&rig, 200);
	}
	assert_true(blocks_of(0) >= 7);
	for (int i = 0; i < 24; i++)
		rig_release(&rig, 0, taken[i]);
	rig_run(&rig, 590000);
	assert_true(blocks_of(0) >= 7);
	rig_run(&rig, 20000);
	assert_int_equal(blocks_of(0), 2);
	/* And there it stays, also where a block is begun. */
	rig_allocate(&rig, 0);
	for (int i = 0; i < 60; i++) {
		rig_run(&rig, 60000);
		assert_int_equal(blocks_of(0), 2);
	}
	assert_int_equal(facts(1).blocks, 4);
	rig_done(&rig);
}

/* What was allocated before there was a registry, out of what is another's block now. */
static void both_have_it(void **state)
{
	struct rig_place *p;
	int n;

	rig_init(&rig, 2, 7);
	rig_up(&rig, 0);
	rig_run(&rig, 1000);
	rig_agree(&rig);
	rig_run(&rig, 2000);
	n = guest(0);
	p = &rig.hosts[1].places[n];
	*p = rig.hosts[0].places[n];
	rig_up(&rig, 1);
	rig_run(&rig, 10000);
	assert_non_null(strstr(rig.hosts[0].said, "hosts kvm1 and kvm2 both have it"));
	assert_int_equal((gate(0, n) == MIGRATE_GATE_OPEN) + (gate(1, n) == MIGRATE_GATE_OPEN), 1);
	assert_int_equal(rig_held(&rig, 0, n) + rig_held(&rig, 1, n), 1);
	assert_non_null(rig_record(&rig, n));
	rig_done(&rig);
}

static void tags(void **state)
{
	struct fleet_claim tag;
	struct fleet_name n;
	int number;

	start(2);
	number = guest(0);
	n = rig_name(number);
	prepare(1, number);
	rig_cut(&rig, 0, true);
	/* Our own, come back by a loop; of nobody known; of what was before. */
	tag = (struct fleet_claim){ facts(0).number, 9 };
	fleet_wire(rig.hosts[0].fleet, &n, &tag, 1, rig.now);
	tag = (struct fleet_claim){ (uint16_t)(facts(0).number ^ facts(1).number ^ 1), 9 };
	fleet_wire(rig.hosts[0].fleet, &n, &tag, 1, rig.now);
	tag = (struct fleet_claim){ facts(1).number, 1 };
	fleet_wire(rig.hosts[0].fleet, &n, &tag, 1, rig.now);
	assert_int_equal(gate(0, number), MIGRATE_GATE_OPEN);
	rig_speak(&rig, 1, number);
	tag.epoch = 2;
	fleet_wire(rig.hosts[0].fleet, &n, &tag, 1, rig.now);
	assert_int_equal(gate(0, number), MIGRATE_GATE_REDIRECT);
	rig_run(&rig, 1000);
	assert_false(rig_held(&rig, 0, number));
	assert_int_equal(rig.hosts[0].places[number].v.epoch, 2);
	rig_cut(&rig, 0, false);
	rig_run(&rig, 20000);
	assert_int_equal(gate(0, number), MIGRATE_GATE_FENCED);
	assert_true(rig_held(&rig, 1, number));
	rig_done(&rig);
}

static void taken_by_force(void **state)
{
	struct error e = { 0 };
	int n;

	start(2);
	n = guest(0);
	rig_run(&rig, 3000); /* its image is written */
	assert_true(rig_hint(&rig, 1, MIGRATE_FORCE, n, &e) < 0);
	assert_int_equal(e.code, ERROR_FORBIDDEN);
	assert_non_null(strstr(e.message, "host kvm1 has 0a:00:00:00:00:"));
	rig_down(&rig, 0);
	lease_ends(0);
	declare_dead(1, "kvm1");
	assert_true(rig_hint(&rig, 1, MIGRATE_PREPARE, n, &e) < 0);
	assert_non_null(strstr(e.message, "declared dead (ops, power off)"));
	rig_port(&rig, 1, n, true);
	assert_int_equal(rig_hint(&rig, 1, MIGRATE_FORCE, n, &e), 0);
	rig_run(&rig, 2000);
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	assert_true(rig_held(&rig, 1, n));
	/* The dead wakes: what was taken stays so. */
	rig_up(&rig, 0);
	rig_run(&rig, 5000);
	assert_false(rig_held(&rig, 0, n));
	assert_int_not_equal(gate(0, n), MIGRATE_GATE_OPEN);
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	assert_int_equal(facts(0).state, HOST_ACTIVE);
	assert_true(facts(0).joined);
	rig_done(&rig);
}

static void drains(void **state)
{
	struct error e;
	int n;

	start(2);
	n = guest(0);
	assert_int_equal(
		fleet_host_state(rig.hosts[1].fleet, "kvm1", HOST_DRAINING, NULL, rig.now, &e), 0);
	rig_run(&rig, 3000);
	assert_int_equal(facts(0).state, HOST_DRAINING);
	assert_int_equal(blocks_of(0), 1); /* the one that is in use */
	assert_int_equal(facts(1).blocks, 3);
	assert_true(rig_hint(&rig, 0, MIGRATE_PREPARE, n + 1, &e) < 0);
	rig_port(&rig, 0, n, false);
	rig_release(&rig, 0, n);
	rig_run(&rig, 3000);
	assert_int_equal(blocks_of(0), 0);
	assert_int_equal(facts(0).blocks_ours, 0);
	assert_int_equal(
		fleet_host_state(rig.hosts[1].fleet, "kvm1", HOST_ACTIVE, NULL, rig.now, &e), 0);
	rig_run(&rig, 3000);
	assert_int_equal(blocks_of(0), 2);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_and_forgotten),
		cmocka_unit_test(forgotten_by_whoever_is_there),
		cmocka_unit_test(declared_dead_while_it_runs),
		cmocka_unit_test(surplus_goes_back),
		cmocka_unit_test(both_have_it),
		cmocka_unit_test(tags),
		cmocka_unit_test(taken_by_force),
		cmocka_unit_test(drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
