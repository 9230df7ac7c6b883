/* Clusters of the fake engine: kept as blocks; each has a live state as of a host alone. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"

static struct cluster *clusters[FAKE_MAX];

static int at(const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (clusters[i] && strcmp(clusters[i]->name, name) == 0)
			return i;
	return -1;
}

static struct cluster *block_of(const struct cluster *c, int i, uint64_t generation)
{
	struct cluster copy = *c;

	copy.id = (uint32_t)i + 1;
	copy.generation = generation;
	copy.created.ms = copy.changed.ms = 1790000000000;
	return cluster_block_fill(malloc(cluster_block_size(&copy)), &copy);
}

void fake_clusters_free(void)
{
	for (int i = 0; i < FAKE_MAX; i++) {
		free(clusters[i]);
		clusters[i] = NULL;
	}
}

void engine_cluster_add(struct engine *e, const struct caller *c, const struct cluster_add *a,
			answer_fn done, void *ctx)
{
	static const vmac_mac_t allocated = { { 0x0a, 0x5e, 0, 0, 0, 1 } };
	struct cluster record = *a->record;
	struct error error;
	int i = 0;

	if (record.face_count == 0) {
		record.faces = &allocated;
		record.face_count = 1;
	}
	if (cluster_check_record(&record, &error) < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (at(record.name) >= 0) {
		error_set(&error, ERROR_NAME_IN_USE, NULL, "cluster %s is there", record.name);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	while (clusters[i])
		i++;
	assert(i < FAKE_MAX);
	clusters[i] = block_of(&record, i, 1);
	fake_accept(e, c, "cluster", "create", record.name, done, ctx)->answer.cluster =
		clusters[i];
}

static void replace(struct engine *e, const struct caller *c, int i, const struct cluster *record,
		    answer_fn done, void *ctx)
{
	struct cluster *before = clusters[i];
	struct error error;

	if (cluster_check_record(record, &error) < 0) {
		fake_refuse(e, done, ctx, &error);
		return;
	}
	clusters[i] = block_of(record, i, before->generation + 1);
	free(before);
	fake_accept(e, c, "cluster", "change", clusters[i]->name, done, ctx)->answer.cluster =
		clusters[i];
}

void engine_cluster_set(struct engine *e, const struct caller *c, const char *name,
			const struct cluster *r, answer_fn done, void *ctx)
{
	assert(at(name) >= 0); /* the API has just looked */
	replace(e, c, at(name), r, done, ctx);
}

void engine_cluster_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx)
{
	struct error error;
	int i = at(name);

	if (i < 0) {
		fake_not_found("cluster", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fake_accept(e, c, "cluster", "delete", name, done, ctx);
	free(clusters[i]);
	clusters[i] = NULL;
}

/* --- members --------------------------------------------------------------------------------- */

static void change(struct cluster_member *m, enum engine_member_verb verb,
		   const struct member_set *set)
{
	static const uint8_t states[] = { [ENGINE_MEMBER_DRAIN] = MEMBER_DRAINING,
					  [ENGINE_MEMBER_FAIL] = MEMBER_FAILED,
					  [ENGINE_MEMBER_ACTIVATE] = MEMBER_ACTIVE };

	if (set->has_weight)
		m->weight = set->weight;
	if (set->has_priority)
		m->priority = set->priority;
	if (verb == ENGINE_MEMBER_DRAIN || verb == ENGINE_MEMBER_FAIL ||
	    verb == ENGINE_MEMBER_ACTIVATE) {
		m->state = states[verb];
		m->drain_ms = verb == ENGINE_MEMBER_DRAIN ? set->drain_ms : 0;
	}
}

void engine_cluster_member(struct engine *e, const struct caller *c, const char *name,
			   enum engine_member_verb verb, const char *member,
			   const struct member_set *set, answer_fn done, void *ctx)
{
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
	const struct cluster_member *found;
	struct cluster record;
	struct error error;
	vmac_mac_t address;
	int i = at(name);
	unsigned int n;

	if (i < 0 || vmac_mac_parse(member, &address, NULL) < 0) {
		fake_not_found(i < 0 ? "cluster" : "member", i < 0 ? name : member, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	record = *clusters[i];
	found = cluster_member_by_address(&record, address);
	if (!found != (verb == ENGINE_MEMBER_ADD)) {
		fake_not_found("member", member, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	n = found ? (unsigned int)(found - record.members) : record.member_count;
	memcpy(members, record.members, record.member_count * sizeof(*members));
	if (!found) {
		members[n] = (struct cluster_member){ .id = cluster_member_free_id(&record),
						      .address = address,
						      .weight = 1 };
		record.member_count++;
	}
	change(&members[n], verb, set);
	if (verb == ENGINE_MEMBER_REMOVE)
		memmove(members + n, members + n + 1,
			(--record.member_count - n) * sizeof(*members));
	record.members = members;
	replace(e, c, i, &record, done, ctx);
}

/* --- views ----------------------------------------------------------------------------------- */

static void view(const struct cluster *c, struct cluster_view *v)
{
	static struct cluster_member_view members[CLUSTER_MEMBERS_MAX];
	static const struct cluster_counters_view counters[] = { { "local", 12 }, { "remote", 3 } };
	const bool alone = strcmp(c->name, "alone") == 0; /* so its leases have no end */

	*v = (struct cluster_view){ .cluster = c,
				    .segment = "lan",
				    .live = true,
				    .face_count = c->face_count,
				    .member_count = c->member_count,
				    .host_count = 1,
				    .members = members,
				    .row_count = CLUSTER_ROWS,
				    .view_epoch = 4,
				    .view_number = 2,
				    .coordinator = true,
				    .counters = counters,
				    .counter_count = 2 };
	if (strcmp(c->name, "claimed") == 0)
		v->claimant = (struct cluster_claimant){
			.address = { { 0x52, 0x54, 0, 0, 0, 0x66 } },
			.ip = { 4, { 192, 0, 2, 10 } },
			.since = { 1700000000000 },
			.last = { 1700000060000 },
			.count = 60,
		};
	for (unsigned int i = 0; i < c->face_count; i++)
		v->faces[i] = (struct cluster_face_view){ .address = c->faces[i],
							  .anchor = "kvm1",
							  .here = true,
							  .epoch = 4,
							  .lease_ms = alone ? -1 : 550 };
	for (unsigned int i = 0; i < c->member_count; i++)
		members[i] = (struct cluster_member_view){ .member = &c->members[i],
							   .live = "up",
							   .host = "kvm1",
							   .port = "web1",
							   .name = "web1",
							   .health = "up",
							   .detail = "",
							   .rows = CLUSTER_ROWS / c->member_count,
							   .flows = 7 };
}

int engine_cluster_view(struct engine *e, const char *name, struct cluster_view *ret,
			struct error *ret_error)
{
	if (at(name) < 0)
		return fake_not_found("cluster", name, ret_error);
	view(clusters[at(name)], ret);
	return 0;
}

void engine_clusters(struct engine *e, void (*fn)(void *ctx, const struct cluster_view *v),
		     void *ctx)
{
	struct cluster_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (clusters[i]) {
			view(clusters[i], &v);
			fn(ctx, &v);
		}
}
