/* What a host claims before its own registry has it: addresses, identities, segments and pools. */
#include "steps.h"

struct said {
	int code;
	char message[ERROR_TEXT_MAX];
};

static void claimed(void *ctx, const struct shared_vmac *r, const struct error *error)
{
	struct said *s = ctx;

	s->code = error ? (int)error->code : 0;
	snprintf(s->message, sizeof(s->message), "%s", error ? error->message : "");
}

static void claims(void **state)
{
	struct said one = { -1, "" }, two = { -1, "" };
	struct shared_vmac w;
	int n;

	start(2);
	w = wanted(200);
	fleet_claim(rig.hosts[0].fleet, &w, NULL, claimed, &one, rig.now);
	fleet_claim(rig.hosts[1].fleet, &w, NULL, claimed, &two, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(one.code, 0);
	assert_int_equal(two.code, ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(two.message, "host kvm1 has it"));
	/* In a block of another. */
	n = guest(0);
	w = wanted(n % RIG_BLOCK == 0 ? n + 1 : n - 1);
	fleet_claim(rig.hosts[1].fleet, &w, NULL, claimed, &two, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(two.code, ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(two.message, "kvm1 may give it to anybody"));
	rig_cut(&rig, 1, true);
	w = wanted(201);
	fleet_claim(rig.hosts[1].fleet, &w, NULL, claimed, &two, rig.now);
	assert_int_equal(two.code, ERROR_REGISTRY_UNREACHABLE);
	rig_cut(&rig, 1, false);
	rig_run(&rig, 1000);
	assert_null(rig_record(&rig, 201));
	/* Done, and its answer lost: undone. */
	rig.hosts[1].answer_lost = true;
	fleet_claim(rig.hosts[1].fleet, &w, NULL, claimed, &two, rig.now);
	rig.hosts[1].slow = true;
	rig_run(&rig, 10);
	rig.hosts[1].slow = false;
	rig_run(&rig, 10);
	rig.hosts[1].answer_lost = false;
	rig_run(&rig, 5000);
	assert_true(two.code == 0 ? rig_record(&rig, 201) != NULL : rig_record(&rig, 201) == NULL);
	rig_done(&rig);
}

static void answered(void *ctx, const struct shared_record *r, const struct error *error)
{
	struct said *s = ctx;

	s->code = error ? (int)error->code : 0;
	snprintf(s->message, sizeof(s->message), "%s", error ? error->message : "");
}

static void agree(unsigned int host, const struct shared_record *r, struct said *said)
{
	said->code = -1;
	fleet_agree(rig.hosts[host].fleet, r, answered, said, rig.now);
	rig_run(&rig, 1000);
	assert_int_not_equal(said->code, -1);
}

static void retire(unsigned int host, const struct shared_record *r, struct said *said)
{
	said->code = -1;
	fleet_retire(rig.hosts[host].fleet, r, answered, said, rig.now);
	rig_run(&rig, 1000);
	assert_int_not_equal(said->code, -1);
}

static void agrees_and_retires(void **state)
{
	struct shared_record lan = { .kind = SHARED_SEGMENT, .segment = { .name = "lan" } };
	struct shared_record dmz = { .kind = SHARED_SEGMENT, .segment = { .name = "dmz" } };
	struct shared_record pool = { .kind = SHARED_POOL };
	struct said said;
	int n;

	start(2);
	agree(1, &lan, &said);
	assert_int_equal(said.code, 0);
	lan.segment.vlan = 7;
	agree(1, &lan, &said);
	assert_int_equal(said.code, ERROR_CONFLICT);
	assert_non_null(strstr(said.message, "segment lan is agreed upon with vlan 0"));
	agree(1, &dmz, &said);
	assert_int_equal(said.code, 0);
	assert_true(rig_find(&rig, &dmz)->segment.number != rig_find(&rig, &lan)->segment.number);
	snprintf(pool.pool.pool.name, sizeof(pool.pool.pool.name), "p");
	pool = *rig_find(&rig, &pool);
	/* What was left open is as others have it. */
	pool.pool.block_size = 0;
	agree(1, &pool, &said);
	assert_int_equal(said.code, 0);
	pool.pool.pool.quarantine_ms++;
	agree(1, &pool, &said);
	assert_int_equal(said.code, ERROR_CONFLICT);
	assert_non_null(strstr(said.message, "pool p is agreed upon otherwise"));
	/* Nobody's any more: only what nobody uses. */
	retire(1, &lan, &said);
	assert_int_equal(said.code, ERROR_WRONG_STATE);
	assert_non_null(strstr(said.message, "pool p is in segment lan"));
	n = guest(0);
	retire(0, &pool, &said);
	assert_int_equal(said.code, ERROR_WRONG_STATE);
	assert_non_null(strstr(said.message, "has block"));
	retire(1, &dmz, &said);
	assert_int_equal(said.code, 0);
	assert_null(rig_find(&rig, &dmz));
	rig_port(&rig, 0, n, false);
	rig_release(&rig, 0, n);
	rig_run(&rig, 1000);
	/* The other's blocks are in the way until it gives them back. */
	retire(0, &pool, &said);
	assert_int_equal(said.code, ERROR_WRONG_STATE);
	assert_non_null(strstr(said.message, "host kvm2 has block"));
	assert_int_equal(fleet_host_state(rig.hosts[0].fleet, "kvm2", HOST_DRAINING, NULL, rig.now,
					  &(struct error){ 0 }),
			 0);
	rig_run(&rig, 3000);
	retire(0, &pool, &said);
	assert_int_equal(said.code, 0);
	assert_null(rig_find(&rig, &pool));
	rig_run(&rig, 5000);
	assert_int_equal(blocks_of(0), 0);
	assert_int_equal(facts(0).blocks, 0);
	retire(0, &lan, &said);
	assert_int_equal(said.code, 0);
	rig_done(&rig);
}

static void identities(void **state)
{
	struct shared_record id = { .kind = SHARED_IDENTITY };
	struct said one = { -1, "" }, two = { -1, "" };
	struct shared_vmac w;

	start(2);
	w = wanted(200);
	w.pool = "p";
	fleet_claim(rig.hosts[0].fleet, &w, "guest-1", claimed, &one, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(one.code, 0);
	snprintf(id.identity.pool, sizeof(id.identity.pool), "p");
	snprintf(id.identity.identity, sizeof(id.identity.identity), "guest-1");
	assert_non_null(rig_find(&rig, &id));
	assert_memory_equal(&rig_find(&rig, &id)->identity.address, &w.address, sizeof(w.address));
	w = wanted(201);
	w.pool = "p";
	fleet_claim(rig.hosts[1].fleet, &w, "guest-1", claimed, &two, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(two.code, ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(two.message, "host kvm1 has an address for this identity"));
	assert_null(rig_record(&rig, 201));
	/* The same host may have another for it: the old one's guest is gone. */
	fleet_claim(rig.hosts[0].fleet, &w, "guest-1", claimed, &two, rig.now);
	rig_run(&rig, 1000);
	assert_int_equal(two.code, 0);
	assert_memory_equal(&rig_find(&rig, &id)->identity.address, &w.address, sizeof(w.address));
	rig_done(&rig);
}

/* What was claimed, and the journal refused, was in nobody's count. */
static void claimed_in_vain(void **state)
{
	struct vmac was = { .state = VMAC_RESERVED, .name = "", .owner = "" };
	struct said said = { -1, "" };
	struct shared_vmac w;
	int n;

	start(2);
	n = guest(0);
	w = wanted(n % RIG_BLOCK == 0 ? n + 1 : n - 1);
	w.pool = "p";
	was.address = w.address;
	was.tenant = was.note = "";
	rig.hosts[0].claims = true;
	fleet_claim(rig.hosts[0].fleet, &w, NULL, claimed, &said, rig.now);
	for (int i = 0; i < 20 && said.code == -1; i++)
		rig_deliver(&rig, 0);
	assert_int_equal(said.code, 0);
	fleet_vmac(rig.hosts[0].fleet, "lan", "p", (uint64_t)(was.address.octet[5]), &was, NULL,
		   rig.now);
	rig_run(&rig, 2000);
	assert_int_equal(rig_record(&rig, was.address.octet[5])->state, SHARED_RELEASED);
	/* Its block is in use as before. */
	assert_int_equal(fleet_host_state(rig.hosts[1].fleet, "kvm1", HOST_DRAINING, NULL, rig.now,
					  &(struct error){ 0 }),
			 0);
	rig_run(&rig, 70000);
	assert_null(rig_record(&rig, was.address.octet[5]));
	assert_int_equal(blocks_of(0), 1);
	rig_done(&rig);
}

static void released_moves_home(void **state)
{
	int n;

	start(2);
	n = guest(0);
	move(0, 1, n);
	rig_port(&rig, 0, n, false);
	rig_run(&rig, 20000);
	rig_port(&rig, 1, n, false);
	rig_release(&rig, 1, n);
	rig_run(&rig, 5000);
	assert_non_null(rig_record(&rig, n));
	assert_int_equal(rig_record(&rig, n)->state, SHARED_RELEASED);
	rig_run(&rig, 30000);
	assert_non_null(rig_record(&rig, n));
	rig_run(&rig, 40000);
	assert_null(rig_record(&rig, n));
	assert_false(rig.hosts[0].places[n].exists);
	rig_done(&rig);
}

/* A number of a block that is nobody's is released, and another host claims the block meanwhile: it
 * ends there, and whoever released it rests. */
static void released_before_its_block_came(void **state)
{
	struct shared_record block = { .kind = SHARED_BLOCK }, vmac = { .kind = SHARED_VMAC };
	struct fleet_name name;
	int n;

	start(3);
	n = guest(0);
	move(0, 1, n);
	rig_port(&rig, 0, n, false);
	rig_run(&rig, 20000);
	rig_port(&rig, 1, n, false);
	rig.check_blocks = false;
	rig_down(&rig, 0); /* for good */
	rig_release(&rig, 1, n);
	rig_run(&rig, 1000);
	snprintf(block.block.pool, sizeof(block.block.pool), "p");
	block.block.number = (uint64_t)n / RIG_BLOCK;
	block = *rig_find(&rig, &block);
	block.block.host = (struct uuid){ { 0 } };
	rig_put(&rig, &block, false);
	rig_run(&rig, 100);
	name = rig_name(n);
	vmac.vmac.segment = name.segment;
	vmac.vmac.address = name.address;
	vmac.vmac = rig_find(&rig, &vmac)->vmac;
	assert_int_equal(vmac.vmac.state, SHARED_RELEASED);
	rig_put(&rig, &vmac, false); /* host 1 counts from here */
	rig_run(&rig, 30000);
	block.block.host = rig.hosts[2].uuid;
	rig_put(&rig, &block, false);
	/* Host 1 would be done, and is not asked any more. */
	rig_run(&rig, 45000);
	assert_non_null(rig_record(&rig, n));
	assert_true(fleet_next_expiry(rig.hosts[1].fleet).ns > rig.now.ns);
	rig_run(&rig, 30000);
	assert_null(rig_record(&rig, n));
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims),
		cmocka_unit_test(agrees_and_retires),
		cmocka_unit_test(identities),
		cmocka_unit_test(claimed_in_vain),
		cmocka_unit_test(released_moves_home),
		cmocka_unit_test(released_before_its_block_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
