/* Steps that the cases of one fleet have in common; each test program has a rig of its own. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static struct rig rig;

static inline void start(unsigned int hosts)
{
	rig_init(&rig, hosts, 7);
	for (unsigned int i = 0; i < hosts; i++)
		rig_up(&rig, i);
	rig_run(&rig, 1000);
	rig_agree(&rig);
	rig_run(&rig, 2000);
}

static inline struct fleet_facts facts(unsigned int host)
{
	struct fleet_facts f;

	fleet_facts(rig.hosts[host].fleet, &f);
	return f;
}

static inline enum migrate_gate gate(unsigned int host, int number)
{
	return rig.hosts[host].places[number].gate;
}

static inline int guest(unsigned int host)
{
	int n = rig_allocate(&rig, host);

	assert_true(n >= 0);
	rig_run(&rig, 10);
	rig_port(&rig, host, n, true);
	rig_run(&rig, 10);
	assert_int_equal(gate(host, n), MIGRATE_GATE_OPEN);
	return n;
}

static inline void prepare(unsigned int to, int n)
{
	struct error e;

	assert_int_equal(rig_hint(&rig, to, MIGRATE_PREPARE, n, &e), 0);
	rig_port(&rig, to, n, true);
	rig_run(&rig, 100);
	assert_int_equal(gate(to, n), MIGRATE_GATE_TUNNEL_IN);
}

static inline void move(unsigned int from, unsigned int to, int n)
{
	prepare(to, n);
	rig_hint(&rig, from, MIGRATE_STOP, n, NULL);
	rig_speak(&rig, to, n);
	rig_run(&rig, 100);
	assert_int_equal(gate(to, n), MIGRATE_GATE_OPEN);
	assert_int_equal(gate(from, n), MIGRATE_GATE_REDIRECT);
}

static inline unsigned int blocks_of(unsigned int host)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < RIG_BLOCKS; i++)
		count += rig.hosts[host].ours[i];
	return count;
}

static inline struct shared_vmac wanted(int number)
{
	struct fleet_name n = rig_name(number);

	return (struct shared_vmac){ .segment = n.segment,
				     .address = n.address,
				     .origin = VMAC_PINNED,
				     .epoch = 1,
				     .pool = "",
				     .name = "",
				     .owner = "",
				     .tenant = "",
				     .note = "" };
}
