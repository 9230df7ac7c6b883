/* Hosts that share a registry: what they agree upon, and the whole of a move, each step of it also
 * with a restart and with the registry out of reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nodes.h"

#define RANGE "12:34:00:00:00:00..12:34:00:00:ff:ff" /* 256 blocks of 256 */

static int begin(void **state)
{
	nodes_begin();
	return 0;
}

static int end(void **state)
{
	nodes_end();
	return 0;
}

/* Two hosts with one segment, and one pool that the first one made. */
static void two_hosts(void)
{
	node_start(0);
	node_start(1);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_pool(0, "web", RANGE), ERROR_NONE);
	assert_int_equal(node_segment(1, "lan"), ERROR_NONE);
}

static vmac_mac_t guest_at(unsigned int i)
{
	assert_int_equal(node_port(i, "vm1", ""), ERROR_NONE);
	fake_guest_speaks(&nodes[i].plane, nodes[i].answer.address);
	nodes_settle();
	return nodes[i].answer.address;
}

static const char *text_of(vmac_mac_t address)
{
	static char text[VMAC_MAC_TEXT_MAX];

	return vmac_mac_format(address, VMAC_MAC_COLON, text);
}

/* --- agreeing -------------------------------------------------------------------------------- */

static void a_pool_appears_with_its_segment(void **state)
{
	struct pool_view a, b;
	struct engine_status status;

	two_hosts();
	a = rig_pool_view(&nodes[0].rig, "web");
	b = rig_pool_view(&nodes[1].rig, "web");
	assert_memory_equal(a.pool->key, b.pool->key, sizeof(a.pool->key));
	assert_int_equal(b.block_size, 256);
	assert_true(nodes[0].plane.vni != 0);
	assert_int_equal(nodes[0].plane.vni, nodes[1].plane.vni);
	assert_int_equal(nodes[0].plane.peers, 1);
	engine_status(nodes[0].rig.engine, &status);
	assert_true(status.fleet.shared && status.fleet.reachable && status.fleet.joined);
	assert_int_equal(status.fleet.hosts, 2);
	assert_string_equal(status.fleet.state, "active");
}

static void what_others_have_otherwise_is_a_conflict(void **state)
{
	struct segment_add add = { .name = "lan", .uplink = "eth0", .vlan = 7 };
	struct rig_answer answer = { 0 };

	two_hosts();
	node_start(2);
	engine_segment_add(nodes[2].rig.engine, &rig_caller, &add, rig_answered, &answer);
	nodes_settle();
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, ERROR_CONFLICT);
	assert_int_equal(node_pool(1, "web", RANGE), ERROR_NAME_IN_USE);
}

static void no_address_is_given_twice(void **state)
{
	static vmac_mac_t given[400];

	two_hosts();
	for (unsigned int i = 0; i < 400; i++) {
		assert_int_equal(node_vmac(i % 2, ""), ERROR_NONE);
		given[i] = nodes[i % 2].answer.address;
		for (unsigned int j = 0; j < i; j++)
			assert_false(vmac_mac_equal(given[i], given[j]));
	}
}

static void a_batch_larger_than_a_block_waits_for_more(void **state)
{
	two_hosts();
	assert_int_equal(node_batch(0, 2000), ERROR_NONE);
	assert_int_equal(nodes[0].answer.addresses, 2000);
	assert_true(rig_pool_view(&nodes[0].rig, "web").blocks >= 8);
}

static void allocation_goes_on_with_the_registry_away_until_blocks_are_used_up(void **state)
{
	unsigned int count = 0;
	uint64_t room;

	two_hosts();
	assert_int_equal(node_vmac(0, "first"), ERROR_NONE);
	node_cut(0, true);
	nodes_pass(15000);
	room = rig_pool_view(&nodes[0].rig, "web").available;
	assert_true(room >= 255);
	while (node_vmac(0, "") == ERROR_NONE)
		count++;
	assert_int_equal(count, room);
	assert_int_equal(nodes[0].answer.code, ERROR_POOL_EXHAUSTED);
	assert_non_null(strstr(nodes[0].answer.message, "out of reach since 15s"));
	assert_int_equal(node_given(0, (vmac_mac_t){ { 0x12, 0x55, 1 } }),
			 ERROR_REGISTRY_UNREACHABLE);
	node_cut(0, false);
	nodes_pass(3000);
	assert_int_equal(node_vmac(0, ""), ERROR_NONE);
}

static void two_hosts_cannot_pin_the_same(void **state)
{
	const vmac_mac_t address = { { 0x12, 0x55, 0, 0, 0, 1 } };
	struct vmac_add add = RIG_VMAC;
	struct rig_answer a = { 0 }, b = { 0 };

	two_hosts();
	add.has_address = true;
	add.address = address;
	engine_vmac_add(nodes[0].rig.engine, &rig_caller, &add, rig_answered, &a);
	engine_vmac_add(nodes[1].rig.engine, &rig_caller, &add, rig_answered, &b);
	nodes_settle();
	assert_int_equal(a.count + b.count, 2);
	assert_int_equal((a.code == ERROR_NONE) + (b.code == ERROR_NONE), 1);
	assert_int_equal((a.code == ERROR_ADDRESS_IN_USE) + (b.code == ERROR_ADDRESS_IN_USE), 1);
	assert_int_equal((node_state(0, address) >= 0) + (node_state(1, address) >= 0), 1);
}

static void a_stable_address_is_the_same_everywhere(void **state)
{
	vmac_mac_t first;

	two_hosts();
	assert_int_equal(node_stable(0, "uuid-of-a-guest"), ERROR_NONE);
	first = nodes[0].answer.address;
	assert_int_equal(node_stable(1, "uuid-of-a-guest"), ERROR_ADDRESS_IN_USE);
	assert_int_equal(node_state(1, first), -1);
}

static void two_hosts_cannot_have_one_identity_at_once(void **state)
{
	struct vmac_add add = RIG_VMAC;
	struct rig_answer a = { 0 }, b = { 0 };

	two_hosts();
	add.identity = "uuid-of-a-guest";
	engine_vmac_add(nodes[0].rig.engine, &rig_caller, &add, rig_answered, &a);
	engine_vmac_add(nodes[1].rig.engine, &rig_caller, &add, rig_answered, &b);
	nodes_pass(100);
	assert_int_equal(a.count + b.count, 2);
	assert_int_equal((a.code == ERROR_NONE) + (b.code == ERROR_NONE), 1);
	assert_int_equal((a.code == ERROR_ADDRESS_IN_USE) + (b.code == ERROR_ADDRESS_IN_USE), 1);
}

static void a_host_that_was_alone_brings_its_own(void **state)
{
	vmac_mac_t old;

	nodes[0].alone = true;
	node_start(0);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_pool(0, "web", RANGE), ERROR_NONE);
	assert_int_equal(node_port(0, "vm1", ""), ERROR_NONE);
	old = nodes[0].answer.address;
	node_stop(0);
	nodes[0].alone = false;
	node_start(1);
	node_start(0);
	nodes_pass(1000);
	assert_int_equal(node_segment(1, "lan"), ERROR_NONE);
	assert_int_equal(node_state(0, old), VMAC_BOUND);
	assert_int_equal(node_gate(0, old), PLANE_OPEN);
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(node_vmac(1, ""), ERROR_NONE);
		assert_false(vmac_mac_equal(nodes[1].answer.address, old));
	}
}

static void what_a_lonely_host_had_is_in_blocks_of_its_own(void **state)
{
	struct fleet_facts facts;

	nodes[0].alone = true;
	node_start(0);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_pool(0, "web", RANGE), ERROR_NONE);
	assert_int_equal(node_batch(0, 1000), ERROR_NONE);
	node_stop(0);
	nodes[0].alone = false;
	node_start(0);
	nodes_pass(4000);
	/* 1000 numbers in a row lie in four blocks at least; and one in reserve.  No vMAC needs a
	 * record of its own. */
	fleet_facts(nodes[0].rig.engine->side->fleet, &facts);
	assert_true(facts.blocks_ours >= 5);
	assert_true(facts.blocks_ours <= 7);
	assert_true(facts.records < 10);
	assert_int_equal(facts.images_behind, 0);
	/* The same after a restart: nothing is counted twice. */
	node_stop(0);
	node_start(0);
	nodes_pass(2000);
	assert_int_equal(rig_pool_view(&nodes[0].rig, "web").blocks, facts.blocks_ours);
}

/* The journal refuses what was claimed: the others may have it. */
static void what_was_claimed_in_vain_is_given_up(void **state)
{
	const vmac_mac_t one = { { 0x12, 0x55, 0, 0, 0, 1 } }, two = { { 0x12, 0x55, 0, 0, 0, 2 } };
	struct fleet_name name = { "lan", two };
	struct rig_answer a = { 0 }, b = { 0 };
	struct vmac_add add = RIG_VMAC;

	two_hosts();
	add.has_address = true;
	add.name = "same";
	add.address = one;
	engine_vmac_add(nodes[0].rig.engine, &rig_caller, &add, rig_answered, &a);
	add.address = two;
	engine_vmac_add(nodes[0].rig.engine, &rig_caller, &add, rig_answered, &b);
	nodes_settle();
	assert_int_equal(a.code, ERROR_NONE);
	assert_int_equal(b.code, ERROR_NAME_IN_USE);
	nodes_pass(2000);
	assert_int_equal(node_state(0, two), -1);
	if (fleet_vmac_record(nodes[1].rig.engine->side->fleet, &name))
		assert_int_equal(fleet_vmac_record(nodes[1].rig.engine->side->fleet, &name)->state,
				 SHARED_RELEASED);
	nodes_pass(3000);
	assert_int_equal(node_given(1, two), ERROR_NONE);
	assert_int_equal(node_state(0, one), VMAC_RESERVED);
}

/* fleet/ had no memory for something: it reads all anew, and ports are told again. */
static void ports_are_told_again_after_memory_was_short(void **state)
{
	struct fleet_side *side;
	uint64_t before;
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	side = nodes[0].rig.engine->side;
	assert_int_equal(node_move(1, ENGINE_MOVE_PREPARE, m), ERROR_NONE);
	assert_int_equal(node_move(0, ENGINE_MOVE_STOP, m), ERROR_NONE);
	assert_int_equal(node_gate(0, m), PLANE_REDIRECT);
	before = side->e->submitted;
	side_ops.reconcile(side);
	assert_true(side->ports_due);
	nodes_pass(200);
	assert_false(side->ports_due);
	/* What is known stays as it was. */
	assert_int_equal(node_gate(0, m), PLANE_REDIRECT);
	assert_int_equal(side->e->submitted, before);
}

/* A frame that came out of the port before it went away and came back. */
static void what_an_old_port_said_is_not_the_new_ones(void **state)
{
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	assert_int_equal(node_port(1, "vm1", text_of(m)), ERROR_NONE);
	nodes_pass(100);
	fake_guest_speaks(&nodes[1].plane, m);
	rig_mono_ns += 1000000;
	fake_carrier(&nodes[1].host, false);
	engine_host_ready(nodes[1].rig.engine);
	fake_carrier(&nodes[1].host, true);
	engine_host_ready(nodes[1].rig.engine);
	nodes_settle();
	fake_carrier(&nodes[0].host, false);
	nodes_pass(1000);
	/* Granted, but nobody has spoken since: the gate is armed, and not open. */
	assert_int_equal(node_gate(1, m), PLANE_TUNNEL_IN);
	fake_guest_speaks(&nodes[1].plane, m);
	nodes_pass(1000);
	assert_int_equal(node_gate(1, m), PLANE_OPEN);
}

static void a_draining_host_takes_nothing_new(void **state)
{
	struct rig_answer answer = { 0 };

	two_hosts();
	engine_host_set(nodes[1].rig.engine, &rig_caller, "host0", "draining", "", rig_answered,
			&answer);
	nodes_settle();
	assert_int_equal(answer.code, ERROR_NONE);
	assert_int_equal(node_vmac(0, ""), ERROR_WRONG_STATE);
	assert_non_null(strstr(nodes[0].answer.hint, "undrain"));
	assert_int_equal(node_vmac(1, ""), ERROR_NONE);
}

/* --- moving ---------------------------------------------------------------------------------- */

enum step { PREPARED, PORTED, STOPPED, SPOKEN, STEPS };

/* One step of a planned move from host 0 to host 1. */
static void do_step(enum step step, vmac_mac_t m)
{
	switch (step) {
	case PREPARED:
		assert_int_equal(node_move(1, ENGINE_MOVE_PREPARE, m), ERROR_NONE);
		break;
	case PORTED:
		assert_int_equal(node_port(1, "vm1", text_of(m)), ERROR_NONE);
		break;
	case STOPPED:
		assert_int_equal(node_move(0, ENGINE_MOVE_STOP, m), ERROR_NONE);
		break;
	case SPOKEN:
		fake_guest_speaks(&nodes[1].plane, m);
		nodes_settle();
		break;
	case STEPS:
		break;
	}
	assert_true(fake_open_gates(m) <= 1);
}

static void check_moved(vmac_mac_t m, uint64_t epoch)
{
	nodes_pass(12000);
	assert_int_equal(node_state(1, m), VMAC_BOUND);
	assert_true(node_epoch(1, m) > epoch);
	assert_int_equal(node_gate(1, m), PLANE_OPEN);
	assert_int_equal(node_state(0, m), VMAC_AWAY);
	assert_int_equal(node_epoch(0, m), node_epoch(1, m));
	/* A source that was started anew has forgotten that it moved, but not that it is away. */
	assert_true(node_gate(0, m) == PLANE_FENCED || node_gate(0, m) == PLANE_CLOSED);
	assert_int_equal(fake_open_gates(m), 1);
}

static void a_planned_move(void **state)
{
	uint64_t epoch;
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	epoch = node_epoch(0, m);
	do_step(PREPARED, m);
	assert_string_equal(node_move_state(0, m), "offered");
	assert_string_equal(node_move_state(1, m), "ready");
	do_step(PORTED, m);
	assert_int_equal(node_gate(1, m), PLANE_TUNNEL_IN);
	assert_int_equal(node_state(1, m), VMAC_MOVING);
	do_step(STOPPED, m);
	assert_int_equal(node_gate(0, m), PLANE_REDIRECT);
	assert_int_equal(fake_port_of(&nodes[0].plane, m)->port.more.peer.octet[3], 2);
	do_step(SPOKEN, m);
	assert_int_equal(node_gate(1, m), PLANE_OPEN);
	check_moved(m, epoch);
	assert_int_equal(nodes[1].plane.announced, MIGRATE_ANNOUNCES);
	assert_int_equal(nodes[1].plane.queried, 3); /* one before all that was sent after it */
	/* The number is of a block of host 0: it stays taken there. */
	assert_int_equal(node_port_delete(0, "vm1"), ERROR_NONE);
	assert_int_equal(node_state(0, m), VMAC_AWAY);
	assert_true(nodes[0].plane.was_open[1][PLANE_OPEN]);
}

/* A hypervisor deletes the source's port when it has the guest elsewhere, and the guest may yet be
 * silent there. */
static void a_port_stays_until_its_guest_is_elsewhere(void **state)
{
	enum { SPEAKS, NEVER_SPEAKS, COMES_BACK, STOPS, WAYS };
	static const enum error_code codes[] = { ERROR_NONE, ERROR_NONE, ERROR_NONE,
						 ERROR_REGISTRY_UNREACHABLE };

	for (unsigned int way = 0; way < WAYS; way++) {
		struct rig_answer answer = { 0 };
		vmac_mac_t m;

		if (way > 0) {
			nodes_end();
			nodes_begin();
		}
		two_hosts();
		m = guest_at(0);
		for (enum step step = 0; step < SPOKEN; step++)
			do_step(step, m);
		engine_port_delete(nodes[0].rig.engine, &rig_caller, "vm1", false, rig_answered,
				   &answer);
		nodes_pass(9900);
		assert_int_equal(answer.count, 0);
		assert_int_equal(node_gate(0, m), PLANE_REDIRECT);
		if (way == SPEAKS)
			do_step(SPOKEN, m);
		else if (way == NEVER_SPEAKS)
			nodes_pass(200);
		else if (way == COMES_BACK)
			assert_int_equal(node_move(0, ENGINE_MOVE_RESUME, m), ERROR_NONE);
		else
			node_stop(0);
		nodes_settle();
		assert_int_equal(answer.count, 1);
		assert_int_equal(answer.code, codes[way]);
		if (way != STOPS)
			assert_null(fake_port_of(&nodes[0].plane, m));
	}
}

/* The source's port goes as soon as the guest runs elsewhere, long before the last switch knows. */
static void what_comes_is_sent_on_when_the_port_is_gone(void **state)
{
	enum { DELETED, VANISHED, FOLLOWED, COMES_BACK, WAYS };
	struct ip *trail = &nodes[0].plane.trails[1];
	vmac_mac_t m;

	for (unsigned int way = 0; way < WAYS; way++) {
		if (way > 0) {
			nodes_end();
			nodes_begin();
		}
		two_hosts();
		m = guest_at(0);
		for (enum step step = 0; step <= SPOKEN; step++)
			do_step(step, m);
		assert_string_equal(node_move_state(0, m), "handed");
		nodes_pass(4000);
		if (way == VANISHED)
			fake_vanish(&nodes[0].host, "vm1");
		else
			assert_int_equal(node_port_delete(0, "vm1"), ERROR_NONE);
		nodes_settle();
		assert_null(fake_port_of(&nodes[0].plane, m));
		assert_string_equal(node_move_state(0, m), "handed");
		assert_int_equal(trail->family, 4);
		assert_int_equal(trail->octet[3], 2);
		assert_true(fake_filters(&nodes[0].host, m));
		if (way == DELETED) {
			/* Not in the place of what is still needed. */
			assert_int_equal(node_port(0, "vm2", ""), ERROR_NONE);
			assert_true(nodes[0].plane.ports[2].set);
			nodes_pass(5900);
			assert_int_equal(trail->family, 4);
		} else if (way == FOLLOWED) {
			node_start(2);
			assert_int_equal(node_segment(2, "lan"), ERROR_NONE);
			assert_int_equal(node_move(2, ENGINE_MOVE_PREPARE, m), ERROR_NONE);
			assert_int_equal(node_port(2, "vm1", text_of(m)), ERROR_NONE);
			assert_int_equal(node_move(1, ENGINE_MOVE_STOP, m), ERROR_NONE);
			fake_guest_speaks(&nodes[2].plane, m);
			nodes_settle();
			assert_int_equal(trail->octet[3], 3);
		} else if (way == COMES_BACK) {
			assert_int_equal(node_port(0, "again", text_of(m)), ERROR_NONE);
			assert_int_equal(trail->family, 0);
			assert_string_equal(node_move_state(0, m), "asked");
		}
		nodes_pass(6200);
		assert_int_equal(trail->family, 0);
		assert_false(fake_filters(&nodes[0].host, m));
	}
}

static void a_segment_goes_before_what_is_sent_on(void **state)
{
	struct ip *trail = &nodes[0].plane.trails[1];
	struct rig_answer answer = { 0 };
	const vmac_mac_t m = { { 0x5a, 0x10, 0, 0, 0, 1 } };

	node_start(0);
	node_start(1);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_segment(1, "lan"), ERROR_NONE);
	assert_int_equal(node_given(0, m), ERROR_NONE);
	assert_int_equal(node_port(0, "vm1", text_of(m)), ERROR_NONE);
	fake_guest_speaks(&nodes[0].plane, m);
	nodes_settle();
	for (enum step step = 0; step <= SPOKEN; step++)
		do_step(step, m);
	assert_int_equal(node_port_delete(0, "vm1"), ERROR_NONE);
	assert_int_equal(trail->family, 4);
	engine_segment_delete(nodes[0].rig.engine, &rig_caller, "lan", rig_answered, &answer);
	nodes_settle();
	assert_int_equal(answer.code, ERROR_NONE);
	assert_int_equal(trail->family, 0);
	assert_false(fake_filters(&nodes[0].host, m));
	nodes_pass(12000);
}

static void a_move_with_a_restart_at_each_step(void **state)
{
	for (unsigned int at = 0; at < 2 * STEPS; at++) {
		uint64_t epoch;
		vmac_mac_t m;

		if (at > 0) {
			nodes_end();
			nodes_begin();
		}
		two_hosts();
		m = guest_at(0);
		epoch = node_epoch(0, m);
		for (enum step step = 0; step < STEPS; step++) {
			do_step(step, m);
			if (step != at / 2)
				continue;
			node_stop(at % 2);
			node_start(at % 2);
			nodes_pass(1000);
			assert_true(fake_open_gates(m) <= 1);
			/* What an operator said is not remembered; the guest says it again. */
		}
		check_moved(m, epoch);
	}
}

static void a_move_with_the_registry_away_at_each_step(void **state)
{
	for (unsigned int at = 0; at < 3 * STEPS; at++) {
		enum step cut_at = at / 3;
		uint64_t epoch;
		vmac_mac_t m;

		if (at > 0) {
			nodes_end();
			nodes_begin();
		}
		two_hosts();
		m = guest_at(0);
		epoch = node_epoch(0, m);
		for (enum step step = 0; step < STEPS; step++) {
			/* A prepare needs the registry; all that follows goes on without it. */
			if (step == cut_at && step > PREPARED) {
				if (at % 3 != 1)
					node_cut(0, true);
				if (at % 3 != 0)
					node_cut(1, true);
			}
			do_step(step, m);
		}
		assert_int_equal(node_gate(1, m), PLANE_OPEN);
		nodes_pass(3000);
		/* The announcement has told the source, whatever the registry could. */
		assert_true(node_gate(0, m) != PLANE_OPEN);
		node_cut(0, false);
		node_cut(1, false);
		check_moved(m, epoch);
	}
}

static void a_move_that_is_taken_back(void **state)
{
	uint64_t epoch;
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	for (enum step step = 0; step < STEPS; step++)
		do_step(step, m);
	nodes_pass(1000);
	epoch = node_epoch(1, m);
	/* The hypervisor gave up: the guest at the destination is gone, and runs at the source. */
	assert_int_equal(node_port_delete(1, "vm1"), ERROR_NONE);
	node_move(0, ENGINE_MOVE_RESUME, m);
	fake_guest_speaks(&nodes[0].plane, m);
	nodes_pass(3000);
	fake_guest_speaks(&nodes[0].plane, m);
	nodes_pass(3000);
	assert_int_equal(node_state(0, m), VMAC_BOUND);
	assert_int_equal(node_gate(0, m), PLANE_OPEN);
	assert_true(node_epoch(0, m) > epoch);
	assert_int_equal(fake_open_gates(m), 1);
}

static void an_abort_leaves_all_as_it_was(void **state)
{
	uint64_t epoch;
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	epoch = node_epoch(0, m);
	do_step(PREPARED, m);
	do_step(PORTED, m);
	do_step(STOPPED, m);
	assert_int_equal(node_move(0, ENGINE_MOVE_ABORT, m), ERROR_NONE);
	assert_int_equal(node_move(0, ENGINE_MOVE_RESUME, m), ERROR_NONE);
	nodes_pass(1000);
	assert_int_equal(node_gate(0, m), PLANE_OPEN);
	assert_int_equal(node_epoch(0, m), epoch);
	assert_int_not_equal(node_gate(1, m), PLANE_OPEN);
	fake_guest_speaks(&nodes[1].plane, m);
	nodes_pass(1000);
	assert_int_equal(node_gate(0, m), PLANE_OPEN);
	assert_int_not_equal(node_gate(1, m), PLANE_OPEN);
	assert_int_equal(node_port_delete(1, "vm1"), ERROR_NONE);
	assert_int_equal(node_state(1, m), -1);
}

/* Nobody prepared: the port at the destination asks; given when the source's guest is gone. */
static void a_cold_claim(void **state)
{
	vmac_mac_t m;

	two_hosts();
	m = guest_at(0);
	assert_int_equal(node_port(1, "vm1", text_of(m)), ERROR_NONE);
	fake_guest_speaks(&nodes[1].plane, m);
	nodes_pass(2000);
	assert_int_equal(node_gate(0, m), PLANE_OPEN);
	assert_int_not_equal(node_gate(1, m), PLANE_OPEN);
	fake_carrier(&nodes[0].host, false);
	nodes_pass(3000);
	fake_guest_speaks(&nodes[1].plane, m);
	nodes_pass(3000);
	assert_int_equal(node_gate(1, m), PLANE_OPEN);
	assert_int_equal(node_state(1, m), VMAC_BOUND);
	assert_int_not_equal(node_gate(0, m), PLANE_OPEN);
}

static void a_host_that_is_alone_says_so(void **state)
{
	const vmac_mac_t m = { { 0x12, 0x34, 0, 0, 0, 1 } };
	struct engine_status status;

	nodes[0].alone = true;
	node_start(0);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_move(0, ENGINE_MOVE_PREPARE, m), ERROR_WRONG_STATE);
	assert_non_null(strstr(nodes[0].answer.message, "alone"));
	engine_status(nodes[0].rig.engine, &status);
	assert_false(status.fleet.shared);
	assert_int_equal(engine_shared_fd(nodes[0].rig.engine), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_is_alone_says_so),
		TEST(a_pool_appears_with_its_segment),
		TEST(what_others_have_otherwise_is_a_conflict),
		TEST(no_address_is_given_twice),
		TEST(a_batch_larger_than_a_block_waits_for_more),
		TEST(allocation_goes_on_with_the_registry_away_until_blocks_are_used_up),
		TEST(two_hosts_cannot_pin_the_same),
		TEST(a_stable_address_is_the_same_everywhere),
		TEST(two_hosts_cannot_have_one_identity_at_once),
		TEST(a_host_that_was_alone_brings_its_own),
		TEST(what_a_lonely_host_had_is_in_blocks_of_its_own),
		TEST(what_was_claimed_in_vain_is_given_up),
		TEST(ports_are_told_again_after_memory_was_short),
		TEST(what_an_old_port_said_is_not_the_new_ones),
		TEST(a_draining_host_takes_nothing_new),
		TEST(a_planned_move),
		TEST(a_port_stays_until_its_guest_is_elsewhere),
		TEST(what_comes_is_sent_on_when_the_port_is_gone),
		TEST(a_segment_goes_before_what_is_sent_on),
		TEST(a_move_with_a_restart_at_each_step),
		TEST(a_move_with_the_registry_away_at_each_step),
		TEST(a_move_that_is_taken_back),
		TEST(an_abort_leaves_all_as_it_was),
		TEST(a_cold_claim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
