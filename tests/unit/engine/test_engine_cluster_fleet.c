/* Clusters among hosts: agreed upon, then everybody's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster_case.h"

static void all_hosts_have_it(void **state)
{
	vmac_mac_t face;
	struct wish w;

	made(&w);
	nodes_pass(500);
	assert_true(has_cluster(1, "web"));
	face = view(0, "web").cluster->faces[0];
	assert_true(vmac_mac_equal(view(1, "web").cluster->faces[0], face));
	assert_memory_equal(view(0, "web").cluster->key, view(1, "web").cluster->key, 16);
	/* Each host tells of its own member, by the same id. */
	assert_true(nodes[0].anchors.clusters[1].members[1].hosted);
	assert_false(nodes[0].anchors.clusters[1].members[2].hosted);
	assert_true(nodes[1].anchors.clusters[1].members[2].hosted);
	assert_false(nodes[1].anchors.clusters[1].members[1].hosted);
	assert_true(nodes[0].anchors.number != nodes[1].anchors.number);
	/* The other may change it; both have that. */
	assert_int_equal(member(1, ENGINE_MEMBER_DRAIN, "g1", NULL), ERROR_NONE);
	nodes_pass(500);
	assert_int_equal(view(0, "web").cluster->members[1].state, MEMBER_DRAINING);
	assert_int_equal(view(0, "web").cluster->generation, 2);
	/* The other becomes the anchor: the journals follow. */
	report(1, (struct anchor_report){ .kind = ANCHOR_HOLD, .epoch = 9 });
	nodes_pass(500);
	assert_int_equal(node_epoch(1, face), 9);
	assert_int_equal(node_state(1, face), VMAC_RESERVED);
	assert_int_equal(node_state(0, face), VMAC_AWAY);
	assert_int_equal(node_epoch(0, face), 9);
	assert_int_equal(nodes[0].anchors.clusters[1].claimed[0], 9);
	/* A restart with no registry in reach. */
	node_stop(1);
	node_start(1);
	assert_true(has_cluster(1, "web"));
	/* Gone everywhere, its face in quarantine. */
	assert_int_equal(delete (0, "web"), ERROR_NONE);
	nodes_pass(3000);
	assert_false(has_cluster(0, "web"));
	assert_false(has_cluster(1, "web"));
	assert_true(nodes[1].anchors.clusters[1].removed);
	nodes_pass(1000);
	assert_int_equal(node_state(1, face), VMAC_QUARANTINED);
	assert_int_not_equal(node_state(0, face), VMAC_RESERVED);
}

static void of_two_changes_at_once_one_is_told(void **state)
{
	unsigned int before;
	const struct member_set none = { 0 };
	struct wish w;

	made(&w);
	nodes_pass(500);
	before = last.count;
	conflicts = 0;
	for (unsigned int i = 0; i < 2; i++)
		engine_cluster_member(nodes[i].rig.engine, &rig_caller, "web", ENGINE_MEMBER_FAIL,
				      i ? "g1" : "g0", &none, on_answer, NULL);
	for (unsigned int i = 0; i < 20 && last.count < before + 2; i++)
		nodes_pass(50);
	assert_int_equal(last.count, before + 2);
	assert_int_equal(conflicts, 1);
	nodes_pass(500);
	assert_int_equal(view(0, "web").cluster->generation, 2);
	assert_int_equal(view(1, "web").cluster->generation, 2);
	assert_true(cluster_equal(view(0, "web").cluster, view(1, "web").cluster));
}

static void without_the_registry_nobody_is_asked_in_vain(void **state)
{
	struct wish w;

	made(&w);
	nodes_pass(500);
	node_cut(1, true);
	nodes_pass(5000);
	assert_int_equal(member(1, ENGINE_MEMBER_FAIL, "g1", NULL), ERROR_REGISTRY_UNREACHABLE);
	/* It stands as it stood, and what changed meanwhile comes with the registry. */
	assert_true(has_cluster(1, "web"));
	assert_int_equal(member(0, ENGINE_MEMBER_FAIL, "g0", NULL), ERROR_NONE);
	node_cut(1, false);
	nodes_pass(8000);
	assert_int_equal(view(1, "web").cluster->generation, 2);
}

static void a_segment_that_comes_later_brings_it(void **state)
{
	struct wish w;

	made(&w);
	node_start(2);
	nodes_pass(500);
	assert_false(has_cluster(2, "web"));
	assert_int_equal(node_segment(2, "lan"), ERROR_NONE);
	nodes_pass(500);
	assert_true(has_cluster(2, "web"));
}

static void what_was_made_alone_is_put_forward(void **state)
{
	struct wish w;

	made(&w);
	assert_int_equal(member(0, ENGINE_MEMBER_FAIL, "g0", NULL), ERROR_NONE);
	node_stop(0);
	nodes[0].alone = false;
	node_start(0);
	nodes_pass(2000);
	node_start(1);
	assert_int_equal(node_segment(1, "lan"), ERROR_NONE);
	nodes_pass(1000);
	assert_true(has_cluster(1, "web"));
	assert_int_equal(view(1, "web").cluster->members[0].state, MEMBER_FAILED);
}

static unsigned int crowded(unsigned int node, const char **ret)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MEMBER_CLUSTERS_MAX + 1; i++) {
		static char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		if (!has_cluster(node, name) || view(node, name).trouble.code == ERROR_NONE)
			continue;
		assert_int_equal(view(node, name).trouble.code, ERROR_LIMIT_REACHED);
		*ret = name;
		count++;
	}
	return count;
}

static void two_at_once_may_be_one_too_many(void **state)
{
	struct cluster_add a[2];
	struct wish w[2];
	unsigned int before;
	const char *which = NULL;
	char name[16], address[16];
	uint32_t id;

	for (unsigned int i = 0; i <= MEMBER_CLUSTERS_MAX; i++) {
		const bool late = i >= MEMBER_CLUSTERS_MAX - 1;
		struct wish *one = &w[late ? i - (MEMBER_CLUSTERS_MAX - 1) : 0];

		snprintf(name, sizeof(name), "c%u", i);
		snprintf(address, sizeof(address), "10.1.0.%u", 100 + i);
		wish(one, name, address);
		wish_member(one, guests[0]);
		if (!late)
			assert_int_equal(add(0, one, 1), ERROR_NONE);
	}
	nodes_pass(1000);
	before = last.count;
	for (unsigned int i = 0; i < 2; i++) {
		/* (Whose pool block it is, has to have been given before.) */
		w[i].faces[0] = mac(i ? "8a:00:00:00:f0:01" : "8a:00:00:00:f0:02");
		w[i].c.face_count = 1;
		a[i] = (struct cluster_add){ .segment = "", .record = &w[i].c, .pool = "" };
		engine_cluster_add(nodes[i].rig.engine, &rig_caller, &a[i], on_answer, NULL);
	}
	for (unsigned int i = 0; i < 100 && last.count < before + 2; i++) {
		nodes_pass(50);
		assert_int_equal(last.code, ERROR_NONE);
	}
	assert_int_equal(last.count, before + 2);
	nodes_pass(1000);
	/* The guest's host says which, and tells the anchors that it is not there. */
	assert_int_equal(crowded(0, &which), 1);
	id = view(0, which).cluster->id;
	assert_false(nodes[0].anchors.clusters[id].members[1].hosted);
	assert_int_equal(crowded(1, &which), 0);
	/* With one of the others gone there is room. */
	assert_int_equal(delete (1, "c4"), ERROR_NONE);
	nodes_pass(1000);
	assert_int_equal(crowded(0, &which), 0);
	assert_true(nodes[0].anchors.clusters[id].members[1].hosted);
}

int main(void)
{
#define T(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, end)
	const struct CMUnitTest tests[] = {
		T(all_hosts_have_it, many),
		T(of_two_changes_at_once_one_is_told, many),
		T(without_the_registry_nobody_is_asked_in_vain, many),
		T(a_segment_that_comes_later_brings_it, many),
		T(two_at_once_may_be_one_too_many, many),
		T(what_was_made_alone_is_put_forward, alone),
	};

	return cmocka_run_group_tests_name("engine clusters among hosts", tests, NULL, NULL);
}
