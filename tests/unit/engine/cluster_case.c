#include "cluster_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/ip.h"

struct ip ip(const char *text)
{
	struct ip ret;

	assert_int_equal(ip_parse(text, &ret), 0);
	return ret;
}

vmac_mac_t mac(const char *text)
{
	vmac_mac_t ret;

	assert_int_equal(vmac_mac_parse(text, &ret, NULL), 0);
	return ret;
}

void wish(struct wish *w, const char *name, const char *address)
{
	memset(w, 0, sizeof(*w));
	cluster_defaults(&w->c);
	snprintf(w->c.name, sizeof(w->c.name), "%s", name);
	w->addresses[0] = ip(address);
	w->c.addresses = w->addresses;
	w->c.address_count = 1;
	w->c.members = w->members;
	w->c.faces = w->faces;
}

void wish_member(struct wish *w, vmac_mac_t m)
{
	w->members[w->c.member_count++] = (struct cluster_member){ .address = m, .weight = 1 };
}

struct rig_answer last;
unsigned int conflicts;
char answered_name[NAME_MAX_LEN + 1];

void on_answer(void *ctx, const struct answer *answer)
{
	rig_answered(&last, answer);
	answered_name[0] = '\0';
	conflicts += last.code == ERROR_CONFLICT;
	if (answer->cluster)
		snprintf(answered_name, sizeof(answered_name), "%s", answer->cluster->name);
}

static enum error_code waited(unsigned int before)
{
	nodes_settle();
	for (int i = 0; i < 100 && last.count == before; i++)
		nodes_pass(50);
	assert_int_equal(last.count, before + 1);
	return last.code;
}

enum error_code add(unsigned int i, struct wish *w, unsigned int faces)
{
	struct cluster_add a = { .segment = "", .record = &w->c, .allocate = faces, .pool = "" };
	unsigned int before = last.count;

	engine_cluster_add(nodes[i].rig.engine, &rig_caller, &a, on_answer, NULL);
	return waited(before);
}

enum error_code set(unsigned int i, const char *name, struct wish *w)
{
	unsigned int before = last.count;

	engine_cluster_set(nodes[i].rig.engine, &rig_caller, name, &w->c, on_answer, NULL);
	return waited(before);
}

enum error_code delete (unsigned int i, const char *name) {
	unsigned int before = last.count;

	engine_cluster_delete(nodes[i].rig.engine, &rig_caller, name, on_answer, NULL);
	return waited(before);
}

enum error_code member(unsigned int i, enum engine_member_verb verb, const char *which,
		       const struct member_set *how)
{
	const struct member_set none = { 0 };
	unsigned int before = last.count;

	engine_cluster_member(nodes[i].rig.engine, &rig_caller, "web", verb, which,
			      how ? how : &none, on_answer, NULL);
	return waited(before);
}

struct cluster_view view(unsigned int i, const char *name)
{
	struct cluster_view v;
	struct error error;

	if (engine_cluster_view(nodes[i].rig.engine, name, &v, &error) < 0)
		fail_msg("%s", error.message);
	return v;
}

bool has_cluster(unsigned int i, const char *name)
{
	struct cluster_view v;
	struct error error;

	return engine_cluster_view(nodes[i].rig.engine, name, &v, &error) == 0;
}

uint64_t clusters(unsigned int i)
{
	struct engine_status status;

	engine_status(nodes[i].rig.engine, &status);
	return status.clusters;
}

vmac_mac_t guests[3];

/* Two guests with ports, one without. */
int alone(void **state)
{
	nodes_begin();
	nodes[0].alone = true;
	node_start(0);
	assert_int_equal(node_segment(0, "lan"), ERROR_NONE);
	assert_int_equal(node_pool(0, "pool", CASE_RANGE), ERROR_NONE);
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "g%u", i);
		assert_int_equal(node_vmac(0, name), ERROR_NONE);
		guests[i] = nodes[0].answer.address;
		if (i < 2)
			assert_int_equal(node_port(0, i == 0 ? "p0" : "p1", name), ERROR_NONE);
	}
	return 0;
}

int many(void **state)
{
	nodes_begin();
	for (unsigned int i = 0; i < 2; i++) {
		node_start(i);
		assert_int_equal(node_segment(i, "lan"), ERROR_NONE);
	}
	assert_int_equal(node_pool(0, "pool", CASE_RANGE), ERROR_NONE);
	nodes_pass(1000);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(node_vmac(i, i ? "g1" : "g0"), ERROR_NONE);
		guests[i] = nodes[i].answer.address;
		assert_int_equal(node_port(i, i ? "p1" : "p0", i ? "g1" : "g0"), ERROR_NONE);
	}
	return 0;
}

int end(void **state)
{
	for (unsigned int i = 0; i < NODES_MAX; i++)
		for (unsigned int id = 0; id <= FAKE_CLUSTERS; id++)
			cluster_release(nodes[i].anchors.clusters[id].record);
	nodes_end();
	fake_install_fails = fake_commit_fails = false;
	return 0;
}

void made(struct wish *w)
{
	wish(w, "web", "10.1.0.80");
	wish_member(w, guests[0]);
	wish_member(w, guests[1]);
	assert_int_equal(add(0, w, 1), ERROR_NONE);
	assert_string_equal(answered_name, "web");
}

void report(unsigned int node, struct anchor_report r)
{
	r.cluster = 1;
	fake_report(&nodes[node].anchors, &r);
	nodes_settle();
}
