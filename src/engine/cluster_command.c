/* Commands on clusters: what is asked of us becomes a record that could be, and is checked.
 *
 * A cluster's record is replaced as a whole; the machines and the data plane find out themselves
 * what has changed in it.  Members keep their ids, by which hosts name them to each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/cluster.h"
#include "engine/side.h"

/* --- a record to be changed ------------------------------------------------------------------ */

struct draft {
	struct cluster c;
	vmac_mac_t faces[CLUSTER_FACES_MAX];
	struct cluster_member members[CLUSTER_MEMBERS_MAX];
};

static struct draft *draft_of(struct engine *e, const struct cluster *c, struct error *ret_error)
{
	struct draft *d = engine_alloc(e, sizeof(*d));

	if (!d) {
		engine_no_memory(ret_error);
		return NULL;
	}
	d->c = *c;
	if (!d->c.note)
		d->c.note = "";
	if (!d->c.check_target)
		d->c.check_target = "";
	/* More than there can be are refused by cluster_check_record(), which looks at counts
	 * first. */
	if (c->member_count > 0 && c->member_count <= CLUSTER_MEMBERS_MAX) {
		memcpy(d->members, c->members, c->member_count * sizeof(*c->members));
		d->c.members = d->members;
	}
	if (c->face_count > 0 && c->face_count <= CLUSTER_FACES_MAX) {
		memcpy(d->faces, c->faces, c->face_count * sizeof(*c->faces));
		d->c.faces = d->faces;
	}
	return d;
}

static int by_id(const void *a, const void *b)
{
	const struct cluster_member *x = a, *y = b;

	return (int)x->id - (int)y->id;
}

/* Who was a member before keeps its id, others get the lowest that nobody had. */
static int number_members(struct draft *d, const struct cluster *before, struct error *ret_error)
{
	bool taken[CLUSTER_MEMBERS_MAX + 1] = { false };
	char text[VMAC_MAC_TEXT_MAX];
	uint16_t next = 1;

	if (d->c.member_count > CLUSTER_MEMBERS_MAX)
		return 0;
	for (unsigned int i = 0; i < d->c.member_count; i++) {
		const struct cluster_member *was =
			before ? cluster_member_by_address(before, d->members[i].address) : NULL;

		for (unsigned int j = 0; j < i; j++)
			if (vmac_mac_equal(d->members[i].address, d->members[j].address))
				return error_set(ret_error, ERROR_BAD_ADDRESS, "name it once",
						 "members[%u].address %s is a member already", i,
						 vmac_mac_format(d->members[i].address,
								 VMAC_MAC_COLON, text));
		d->members[i].id = was ? was->id : 0;
		if (was)
			taken[was->id] = true;
	}
	for (unsigned int i = 0; i < d->c.member_count; i++) {
		if (d->members[i].id)
			continue;
		while (taken[next])
			next++;
		taken[next] = true;
		d->members[i].id = next;
	}
	qsort(d->members, d->c.member_count, sizeof(*d->members), by_id);
	return 0;
}

/* --- faces ----------------------------------------------------------------------------------- */

/* A face that this host's pool gives: taken in the machine at once, so that no allocation in
 * between gets it; the record makes it so, or the job gives it back. */
static int take_face(struct engine *e, struct world_pool *p, vmac_mac_t *ret,
		     struct error *ret_error)
{
	unsigned int tries = 0;
	int r;

	while ((r = pool_machine_take(&p->machine, e->cfg.wall_now(), ret, ret_error)) == 0 &&
	       tries++ < UPLINKS_MAX + BLOCK_SIZE_MAX &&
	       (uplink_has_address(e, *ret) ||
		(e->side && side_has_record(e->side, p->record->segment, *ret))))
		pool_machine_untake(&p->machine, *ret, p->machine.cfg.cursor);
	return r;
}

static void untake_faces(struct engine *e, const struct draft *d, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct world_pool *p = world_pool_over(&e->world, d->c.segment, d->faces[i]);

		pool_machine_untake(&p->machine, d->faces[i], p->machine.cfg.cursor);
	}
}

static int take_faces(struct engine *e, struct draft *d, const struct cluster_add *a,
		      struct error *ret_error)
{
	const struct world_segment *s = world_segment(&e->world, d->c.segment);
	struct vmac_add place = { .segment = s->record->name, .pool = a->pool, .identity = "" };
	unsigned int count = a->allocate ? a->allocate : 1;
	struct world_segment *segment;
	struct world_pool *pool;
	int r;

	if (count > CLUSTER_FACES_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "a cluster has %u faces at most", CLUSTER_FACES_MAX);
	r = vmac_place(e, &place, &segment, &pool, ret_error);
	for (d->c.face_count = 0; r == 0 && d->c.face_count < count; d->c.face_count++) {
		r = take_face(e, pool, &d->faces[d->c.face_count], ret_error);
		if (r < 0)
			break;
	}
	d->c.faces = d->faces;
	if (r < 0)
		untake_faces(e, d, d->c.face_count);
	return r;
}

static int given_faces(struct engine *e, const struct draft *d, struct error *ret_error)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < d->c.face_count; i++)
		r = cluster_check_face(e, d->c.segment, d->faces[i], d->c.name, ret_error);
	return r;
}

/* --- add ------------------------------------------------------------------------------------- */

static int add_draft(struct engine *e, struct draft *d, const struct cluster_add *a,
		     bool *ret_taken, struct error *ret_error)
{
	struct world_segment *s;
	int r = engine_find_segment(e, a->segment, &s, ret_error);

	if (r < 0)
		return r;
	d->c.segment = s->record->id;
	d->c.id = 0;
	d->c.generation = 1;
	d->c.created = d->c.changed = e->cfg.wall_now();
	e->cfg.random(d->c.key, sizeof(d->c.key));
	r = number_members(d, NULL, ret_error);
	if (r == 0 && d->c.face_count == 0) {
		r = take_faces(e, d, a, ret_error);
		*ret_taken = r == 0;
	}
	if (r == 0)
		r = cluster_check_record(&d->c, ret_error);
	if (r == 0 && !*ret_taken)
		r = given_faces(e, d, ret_error);
	if (r == 0 && e->world.clusters_by_name.count >= CLUSTERS_MAX)
		r = error_set(ret_error, ERROR_LIMIT_REACHED, NULL, "there are %d clusters already",
			      CLUSTERS_MAX);
	return r < 0 ? r : cluster_check_world(e, &d->c, NULL, ret_error);
}

void engine_cluster_add(struct engine *e, const struct caller *c, const struct cluster_add *a,
			answer_fn done, void *ctx)
{
	struct cluster_order order = { .kind = CLUSTER_JOB_ADD, .verb = "create" };
	struct error error;
	struct draft *d;
	bool taken = false;

	e->commands++;
	d = draft_of(e, a->record, &error);
	if (!d || add_draft(e, d, a, &taken, &error) < 0) {
		if (taken)
			untake_faces(e, d, d->c.face_count);
		engine_dispose(e, d);
		engine_refuse(e, done, ctx, &error);
		return;
	}
	order.record = &d->c;
	order.taken = taken;
	cluster_job_begin(e, c, &order, done, ctx);
	engine_dispose(e, d);
}

/* --- set ------------------------------------------------------------------------------------- */

static void set_draft(struct engine *e, const struct caller *c, struct draft *d,
		      const struct cluster *before, const char *verb, answer_fn done, void *ctx)
{
	struct cluster_order order = { .kind = CLUSTER_JOB_SET, .record = &d->c, .verb = verb };
	struct answer answer = { .cluster = before };
	struct error error;

	d->c.generation = before->generation + 1;
	d->c.changed = e->cfg.wall_now();
	if (number_members(d, before, &error) < 0 || cluster_check_record(&d->c, &error) < 0 ||
	    cluster_check_world(e, &d->c, before, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (cluster_equal(before, &d->c)) {
		if (done)
			done(ctx, &answer);
		return;
	}
	cluster_job_begin(e, c, &order, done, ctx);
}

void engine_cluster_set(struct engine *e, const struct caller *c, const char *name,
			const struct cluster *r, answer_fn done, void *ctx)
{
	const struct cluster *before;
	struct draft *d = NULL;
	struct error error;

	e->commands++;
	if (engine_find_cluster(e, name, &before, &error) < 0 || !(d = draft_of(e, r, &error))) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	memcpy(d->c.name, before->name, sizeof(d->c.name));
	memcpy(d->c.key, before->key, sizeof(d->c.key));
	d->c.id = before->id;
	d->c.segment = before->segment;
	d->c.mode = before->mode;
	d->c.created = before->created;
	d->c.face_count = before->face_count;
	d->c.faces = before->faces;
	set_draft(e, c, d, before, "change", done, ctx);
	engine_dispose(e, d);
}

void engine_cluster_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx)
{
	struct cluster_order order = { .kind = CLUSTER_JOB_DELETE, .verb = "delete" };
	struct error error;

	e->commands++;
	if (engine_find_cluster(e, name, &order.record, &error) < 0)
		engine_refuse(e, done, ctx, &error);
	else
		cluster_job_begin(e, c, &order, done, ctx);
}

/* --- members --------------------------------------------------------------------------------- */

static const char *const verbs[] = {
	[ENGINE_MEMBER_ADD] = "add",	       [ENGINE_MEMBER_SET] = "set",
	[ENGINE_MEMBER_DRAIN] = "drain",       [ENGINE_MEMBER_FAIL] = "fail",
	[ENGINE_MEMBER_ACTIVATE] = "activate", [ENGINE_MEMBER_REMOVE] = "remove",
};

_Static_assert(ARRAY_LEN(verbs) == ENGINE_MEMBER_VERB_COUNT, "every verb has a name");

const char *engine_member_verb_name(enum engine_member_verb v)
{
	return verbs[v];
}

/* An address, or the name of a vMAC or of a port of this host. */
static int member_address(struct engine *e, const struct cluster *c, const char *which,
			  vmac_mac_t *ret, struct error *ret_error)
{
	const struct vmac *v;
	const struct port *p;

	if (vmac_mac_parse(which, ret, NULL) == 0)
		return 0;
	v = world_vmac_named(&e->world, c->segment, which);
	p = v ? NULL : world_port_named(&e->world, which);
	if (!v && (!p || p->segment != c->segment))
		return error_set(
			ret_error, p ? ERROR_CONFLICT : ERROR_NOT_FOUND,
			p ? "members are of the cluster's own segment"
			  : "name a virtual MAC by its address, or one of this host by its name",
			p ? "port '%.63s' is in another segment than cluster '%s'"
			  : "there is no virtual MAC or port '%.63s' in the segment of cluster "
			    "'%s'",
			which, c->name);
	*ret = v ? v->address : p->address;
	return 0;
}

static struct cluster_member *draft_member(struct draft *d, vmac_mac_t address)
{
	for (unsigned int i = 0; i < d->c.member_count; i++)
		if (vmac_mac_equal(d->members[i].address, address))
			return &d->members[i];
	return NULL;
}

static int add_member(struct draft *d, vmac_mac_t address, const struct member_set *set,
		      struct error *ret_error)
{
	if (d->c.member_count == CLUSTER_MEMBERS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "cluster '%s' has %d members already", d->c.name,
				 CLUSTER_MEMBERS_MAX);
	d->members[d->c.member_count++] = (struct cluster_member){
		.address = address,
		.weight = set->has_weight ? set->weight : 1,
		.priority = set->has_priority ? set->priority : 0,
	};
	d->c.members = d->members;
	return 0;
}

static int change_member(struct draft *d, enum engine_member_verb verb, vmac_mac_t address,
			 const struct member_set *set, struct error *ret_error)
{
	struct cluster_member *m = draft_member(d, address);
	char text[VMAC_MAC_TEXT_MAX], hint[ERROR_TEXT_MAX];

	vmac_mac_format(address, VMAC_MAC_COLON, text);
	if (verb == ENGINE_MEMBER_ADD && m)
		return error_set(ret_error, ERROR_IN_USE, NULL,
				 "%s is a member of cluster '%s' already", text, d->c.name);
	if (verb == ENGINE_MEMBER_ADD)
		return add_member(d, address, set, ret_error);
	snprintf(hint, sizeof(hint), "`vmac cluster show %s` lists its members", d->c.name);
	if (!m)
		return error_set(ret_error, ERROR_NOT_FOUND, hint,
				 "%s is no member of cluster '%s'", text, d->c.name);
	switch (verb) {
	case ENGINE_MEMBER_SET:
		m->weight = set->has_weight ? set->weight : m->weight;
		m->priority = set->has_priority ? set->priority : m->priority;
		break;
	case ENGINE_MEMBER_DRAIN:
		m->state = MEMBER_DRAINING;
		m->drain_ms = set->drain_ms;
		break;
	case ENGINE_MEMBER_FAIL:
	case ENGINE_MEMBER_ACTIVATE:
		m->state = verb == ENGINE_MEMBER_FAIL ? MEMBER_FAILED : MEMBER_ACTIVE;
		m->drain_ms = 0;
		break;
	case ENGINE_MEMBER_REMOVE:
		*m = d->members[--d->c.member_count];
		break;
	case ENGINE_MEMBER_ADD:
	case ENGINE_MEMBER_VERB_COUNT:
		break;
	}
	return 0;
}

void engine_cluster_member(struct engine *e, const struct caller *c, const char *name,
			   enum engine_member_verb verb, const char *member,
			   const struct member_set *set, answer_fn done, void *ctx)
{
	static const char *const said[] = {
		[ENGINE_MEMBER_ADD] = "join",	       [ENGINE_MEMBER_SET] = "weigh",
		[ENGINE_MEMBER_DRAIN] = "drain",       [ENGINE_MEMBER_FAIL] = "fail",
		[ENGINE_MEMBER_ACTIVATE] = "activate", [ENGINE_MEMBER_REMOVE] = "part",
	};
	const struct cluster *before;
	struct draft *d = NULL;
	struct error error;
	vmac_mac_t address;

	e->commands++;
	if (engine_find_cluster(e, name, &before, &error) < 0 ||
	    member_address(e, before, member, &address, &error) < 0 ||
	    !(d = draft_of(e, before, &error)) || change_member(d, verb, address, set, &error) < 0)
		engine_refuse(e, done, ctx, &error);
	else
		set_draft(e, c, d, before, said[verb], done, ctx);
	engine_dispose(e, d);
}
