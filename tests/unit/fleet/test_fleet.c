/* What befalls a host among others, case by case. */
#include "steps.h"

/* --- joining --------------------------------------------------------------------------------- */

static void joins(void **state)
{
	struct fleet_facts first;

	start(3);
	first = facts(0);
	for (unsigned int i = 0; i < 3; i++) {
		struct fleet_facts f = facts(i);

		assert_true(f.joined);
		assert_int_equal(f.hosts, 3);
		assert_int_equal(f.alive, 3);
		assert_true(f.has_cluster);
		assert_memory_equal(&f.cluster, &first.cluster, sizeof(f.cluster));
		for (unsigned int o = 0; o < i; o++)
			assert_int_not_equal(f.number, facts(o).number);
		/* One in use, one in reserve. */
		assert_int_equal(blocks_of(i), 2);
	}
	rig_done(&rig);
}

static void joins_when_answers_are_lost(void **state)
{
	rig_init(&rig, 2, 3);
	rig.hosts[0].answer_lost = true;
	rig_up(&rig, 0);
	rig_up(&rig, 1);
	rig_run(&rig, 3500);
	rig.hosts[0].answer_lost = false;
	rig_run(&rig, 3000);
	assert_true(facts(0).joined);
	rig_agree(&rig);
	rig.hosts[0].answer_lost = true;
	for (int i = 0; i < 12; i++) {
		rig_allocate(&rig, 0);
		rig_run(&rig, 1500);
	}
	rig.hosts[0].answer_lost = false;
	rig_run(&rig, 3000);
	assert_true(rig_allocate(&rig, 0) >= 0);
	rig_done(&rig);
}

static void same_name(void **state)
{
	rig_init(&rig, 2, 5);
	snprintf(rig.hosts[1].name, sizeof(rig.hosts[1].name), "kvm1");
	rig_up(&rig, 0);
	rig_run(&rig, 1000);
	rig_up(&rig, 1);
	rig_run(&rig, 5000);
	assert_true(facts(0).joined);
	assert_false(facts(1).joined);
	assert_non_null(strstr(facts(1).error.message, "another host is named kvm1"));
	assert_int_equal(rig.hosts[1].notes[FLEET_ALARM], 1);
	rig_done(&rig);
}

static void cloned_machine(void **state)
{
	int n;

	start(2);
	n = guest(0);
	/* A copy of the disk starts elsewhere. */
	rig.host_count = 3;
	rig.hosts[2].rig = &rig;
	rig.hosts[2].last = &rig.hosts[2].first;
	rig.hosts[2].uuid = rig.hosts[0].uuid;
	snprintf(rig.hosts[2].name, sizeof(rig.hosts[2].name), "kvm1");
	for (int i = 0; i < RIG_RECORDS; i++)
		if (rig.hosts[0].kept[i]) {
			rig.hosts[2].kept[i] = malloc(sizeof(struct shared_record));
			memcpy(rig.hosts[2].kept[i], rig.hosts[0].kept[i],
			       sizeof(struct shared_record));
		}
	rig.check_blocks = false;
	rig_up(&rig, 2);
	rig_run(&rig, 5000);
	assert_non_null(
		strstr(facts(0).error.message, "another machine runs with this host's uuid"));
	assert_true(rig.hosts[0].notes[FLEET_ALARM] >= 1);
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	rig_done(&rig);
}

static void wrong_cluster(void **state)
{
	struct shared_record meta = { .kind = SHARED_META, .meta = { .format = SHARED_FORMAT } };
	uint64_t before;
	int n;

	start(2);
	n = guest(0);
	meta.meta.cluster.octet[3] = 9;
	rig_cut(&rig, 0, true);
	rig_put(&rig, &meta, false);
	/* It has never heard of us. */
	for (int i = 0; i < RIG_RECORDS; i++)
		if (rig.records[i] && rig.records[i]->kind != SHARED_META) {
			free(rig.records[i]);
			rig.records[i] = NULL;
		}
	before = rig.revision;
	rig_down(&rig, 1);
	rig_cut(&rig, 0, false);
	rig_run(&rig, 60000);
	assert_int_equal(rig.revision, before);
	assert_non_null(strstr(facts(0).error.message, "is of cluster"));
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	assert_true(rig_allocate(&rig, 0) >= 0);
	rig_done(&rig);
}

static void nobody_takes_part_in_half_a_registry(void **state)
{
	struct shared_record meta = { .kind = SHARED_META, .meta = { .format = SHARED_FORMAT } };
	uint64_t before;
	int n;

	start(1);
	n = guest(0);
	for (int i = 0; i < RIG_RECORDS; i++)
		if (rig.records[i] && rig.records[i]->kind == SHARED_META)
			meta = *rig.records[i];
	meta.meta.importing = true;
	rig_put(&rig, &meta, false);
	rig_run(&rig, 1000);
	before = rig.revision;
	assert_true(rig_allocate(&rig, 0) >= 0);
	rig_run(&rig, 60000);
	assert_int_equal(rig.revision, before);
	assert_non_null(strstr(facts(0).error.message, "was begun, and has not ended"));
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	meta.meta.importing = false;
	rig_put(&rig, &meta, false);
	rig_run(&rig, 10000);
	assert_int_equal(facts(0).error.code, ERROR_NONE);
	rig_done(&rig);
}

/* --- with no registry in reach --------------------------------------------------------------- */

static void restarts_alone(void **state)
{
	int held, handed, ready;

	start(2);
	held = guest(0);
	handed = guest(0);
	move(0, 1, handed);
	ready = guest(1);
	prepare(0, ready);
	rig_run(&rig, 100);
	rig_cut(&rig, 0, true);
	rig_down(&rig, 0);
	rig_up(&rig, 0);
	rig_run(&rig, 30000);
	assert_int_equal(blocks_of(0), 2);
	assert_int_equal(gate(0, held), MIGRATE_GATE_OPEN);
	assert_true(gate(0, handed) == MIGRATE_GATE_FENCED ||
		    gate(0, handed) == MIGRATE_GATE_CLOSED);
	assert_int_equal(gate(0, ready), MIGRATE_GATE_TUNNEL_IN);
	assert_true(rig_allocate(&rig, 0) >= 0);
	/* The reservation still is one. */
	rig_speak(&rig, 0, ready);
	rig_run(&rig, 1000);
	assert_int_equal(rig_state(&rig, 0, ready), MIGRATE_LIVE);
	rig_cut(&rig, 0, false);
	rig_run(&rig, 5000);
	assert_int_equal(rig_state(&rig, 0, ready), MIGRATE_HELD);
	assert_true(rig_held(&rig, 0, ready));
	assert_false(rig_held(&rig, 1, ready));
	rig_done(&rig);
}

/* What was given up without the registry is weighed against the record as it is then. */
static void gives_up_alone(void **state)
{
	int n;

	start(2);
	n = guest(0);
	prepare(1, n);
	rig_run(&rig, 100);
	rig_cut(&rig, 0, true);
	rig_down(&rig, 0);
	rig_speak(&rig, 1, n);
	rig_run(&rig, 100);
	assert_int_equal(rig_record(&rig, n)->epoch, 2);
	rig_up(&rig, 0);
	assert_int_equal(rig_hint(&rig, 0, MIGRATE_ABORT, n, NULL), 0);
	rig_run(&rig, 5000);
	rig_cut(&rig, 0, false);
	rig_run(&rig, 5000);
	assert_int_equal(rig_record(&rig, n)->epoch, 2);
	assert_true(rig_held(&rig, 1, n));
	assert_false(rig_held(&rig, 0, n));
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	assert_int_not_equal(gate(0, n), MIGRATE_GATE_OPEN);
	rig_done(&rig);
}

/* --- records --------------------------------------------------------------------------------- */

static void told_again(void **state)
{
	uint64_t before;
	int n;

	start(2);
	n = guest(0);
	move(0, 1, n);
	rig_port(&rig, 0, n, false);
	rig_run(&rig, 20000);
	before = rig.revision;
	for (int i = 0; i < 5; i++) {
		rig_tell_all(&rig, 0);
		rig_tell_all(&rig, 1);
		rig_run(&rig, 2000);
	}
	assert_int_equal(rig.revision, before);
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	rig_done(&rig);
}

static void vanished(void **state)
{
	struct shared_record gone = { .kind = SHARED_VMAC };
	int n;

	start(2);
	n = guest(0);
	move(0, 1, n);
	rig_port(&rig, 0, n, false);
	rig_run(&rig, 20000);
	gone.vmac = *rig_record(&rig, n);
	rig_put(&rig, &gone, true);
	rig_run(&rig, 5000);
	assert_non_null(rig_record(&rig, n));
	assert_memory_equal(&rig_record(&rig, n)->holder, &rig.hosts[1].uuid, sizeof(struct uuid));
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	rig_done(&rig);
}

static void restored_backup(void **state)
{
	struct shared_record *backup[RIG_RECORDS];
	uint64_t epoch;
	int n;

	start(2);
	n = guest(0);
	rig_backup(&rig, backup);
	rig_down(&rig, 1);
	rig_up(&rig, 1);
	rig_run(&rig, 2000);
	move(0, 1, n);
	rig_port(&rig, 0, n, false);
	for (int i = 0; i < 12; i++) {
		rig_allocate(&rig, 0);
		rig_run(&rig, 100);
	}
	rig_run(&rig, 20000);
	epoch = rig_record(&rig, n)->epoch;
	rig_restore(&rig, backup);
	rig_drop_backup(&rig, backup);
	rig_run(&rig, 20000);
	assert_int_equal(gate(1, n), MIGRATE_GATE_OPEN);
	assert_memory_equal(&rig_record(&rig, n)->holder, &rig.hosts[1].uuid, sizeof(struct uuid));
	assert_true(rig_record(&rig, n)->epoch >= epoch);
	/* What the journals know as theirs is theirs in the registry again. */
	for (unsigned int b = 0; b < RIG_BLOCKS; b++)
		for (unsigned int h = 0; h < 2; h++) {
			struct shared_record key = { .kind = SHARED_BLOCK };
			struct shared_record *r;

			if (!rig.hosts[h].ours[b])
				continue;
			snprintf(key.block.pool, sizeof(key.block.pool), "p");
			key.block.number = b;
			r = rig_find(&rig, &key);
			assert_non_null(r);
			assert_memory_equal(&r->block.host, &rig.hosts[h].uuid,
					    sizeof(struct uuid));
		}
	assert_true(strstr(rig.hosts[1].registry, "restored from a backup") != NULL);
	rig_done(&rig);
}

/* --- hosts ----------------------------------------------------------------------------------- */

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
	const struct fleet_sight sight = { .tag = &tag, .unseen = 1 };
	struct fleet_name n;
	int number;

	start(2);
	number = guest(0);
	n = rig_name(number);
	prepare(1, number);
	rig_cut(&rig, 0, true);
	/* Our own, come back by a loop; of nobody known; of what was before. */
	tag = (struct fleet_claim){ facts(0).number, 9 };
	fleet_wire(rig.hosts[0].fleet, &n, &sight, rig.now);
	tag = (struct fleet_claim){ (uint16_t)(facts(0).number ^ facts(1).number ^ 1), 9 };
	fleet_wire(rig.hosts[0].fleet, &n, &sight, rig.now);
	tag = (struct fleet_claim){ facts(1).number, 1 };
	fleet_wire(rig.hosts[0].fleet, &n, &sight, rig.now);
	assert_int_equal(gate(0, number), MIGRATE_GATE_OPEN);
	rig_speak(&rig, 1, number);
	tag.epoch = 2;
	fleet_wire(rig.hosts[0].fleet, &n, &sight, rig.now);
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

/* --- hints ----------------------------------------------------------------------------------- */

static void hints_say_what_is_wrong(void **state)
{
	struct error e = { 0 };
	int n;

	start(3);
	n = guest(0);
	assert_true(rig_hint(&rig, 0, MIGRATE_PREPARE, n, &e) < 0);
	assert_int_equal(e.code, ERROR_WRONG_STATE);
	assert_non_null(strstr(e.message, "is held here"));
	assert_true(rig_hint(&rig, 1, MIGRATE_PREPARE, 200, &e) < 0);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	assert_true(rig_hint(&rig, 1, MIGRATE_ABORT, n, &e) < 0);
	assert_int_equal(e.code, ERROR_WRONG_STATE);
	prepare(1, n);
	assert_true(rig_hint(&rig, 2, MIGRATE_PREPARE, n, &e) < 0);
	assert_int_equal(e.code, ERROR_CONFLICT);
	assert_non_null(strstr(e.message, "kvm2"));
	assert_int_equal(rig_hint(&rig, 1, MIGRATE_ABORT, n, &e), 0);
	rig_run(&rig, 1000);
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	rig_cut(&rig, 1, true);
	assert_true(rig_hint(&rig, 1, MIGRATE_PREPARE, n, &e) < 0);
	assert_int_equal(e.code, ERROR_REGISTRY_UNREACHABLE);
	assert_true(fleet_hint(rig.hosts[1].fleet, MIGRATE_PREPARE,
			       &(struct fleet_name){ "lan", { { 2 } } }, MOVE_LIFETIME_MAX + 1,
			       rig.now, &e) < 0);
	assert_int_equal(e.code, ERROR_BAD_VALUE);
	rig_done(&rig);
}

static void full_registry(void **state)
{
	int n;

	start(1);
	rig.refuse = 1;
	n = guest(0);
	while (rig_allocate(&rig, 0) >= 0)
		rig_run(&rig, 10);
	rig_run(&rig, 300000);
	assert_non_null(strstr(rig.hosts[0].said, "refuses what it is told: no space"));
	assert_true(rig.hosts[0].notes[FLEET_ALARM] <= 60);
	assert_int_equal(gate(0, n), MIGRATE_GATE_OPEN);
	rig.refuse = 0;
	rig_run(&rig, 60000);
	assert_true(rig_allocate(&rig, 0) >= 0);
	rig_done(&rig);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void short_of_memory(void **state)
{
	long total;

	for (long fail_at = -1, end = 0; fail_at <= end; fail_at++) {
		struct error e;
		int n;

		rig_init(&rig, 2, 19);
		rig_up(&rig, 0);
		rig_up(&rig, 1);
		rig_run(&rig, 1000);
		rig_agree(&rig);
		rig_run(&rig, 1000);
		rig.allocs = 0;
		rig.fail_at = fail_at;
		n = rig_allocate(&rig, 0);
		assert_true(n >= 0);
		rig_run(&rig, 10);
		rig_port(&rig, 0, n, true);
		rig_run(&rig, 2000);
		rig_down(&rig, 1);
		rig_up(&rig, 1);
		rig_run(&rig, 3000);
		rig_port(&rig, 1, n, true);
		while (rig_hint(&rig, 1, MIGRATE_PREPARE, n, &e) < 0 && e.code == ERROR_NO_MEMORY)
			;
		rig_run(&rig, 5000);
		rig_hint(&rig, 0, MIGRATE_STOP, n, &e);
		rig_speak(&rig, 1, n);
		rig_run(&rig, 5000);
		rig_port(&rig, 0, n, false);
		rig_speak(&rig, 1, n);
		rig_run(&rig, 20000);
		total = rig.allocs;
		if (fail_at < 0)
			end = total;
		if (gate(1, n) != MIGRATE_GATE_OPEN || !rig_held(&rig, 1, n) ||
		    rig_held(&rig, 0, n))
			fail_msg("with no memory for allocation %ld: %s", fail_at,
				 migrate_state_name(rig_state(&rig, 1, n)));
		rig_done(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(joins_when_answers_are_lost),
		cmocka_unit_test(same_name),
		cmocka_unit_test(cloned_machine),
		cmocka_unit_test(wrong_cluster),
		cmocka_unit_test(nobody_takes_part_in_half_a_registry),
		cmocka_unit_test(restarts_alone),
		cmocka_unit_test(gives_up_alone),
		cmocka_unit_test(told_again),
		cmocka_unit_test(vanished),
		cmocka_unit_test(restored_backup),
		cmocka_unit_test(dead_and_forgotten),
		cmocka_unit_test(forgotten_by_whoever_is_there),
		cmocka_unit_test(declared_dead_while_it_runs),
		cmocka_unit_test(surplus_goes_back),
		cmocka_unit_test(both_have_it),
		cmocka_unit_test(tags),
		cmocka_unit_test(taken_by_force),
		cmocka_unit_test(drains),
		cmocka_unit_test(hints_say_what_is_wrong),
		cmocka_unit_test(full_registry),
		cmocka_unit_test(short_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
