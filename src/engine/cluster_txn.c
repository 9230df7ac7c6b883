/* A cluster's record and the records of its faces, in one txn: an address that is a face is nobody
 * else's from the very moment that the cluster is, and for as long. */
#include <stdio.h>
#include <string.h>

#include "engine/cluster.h"
#include "engine/side.h"

/* The only thing that a face's record says of its cluster, and what lets it have the address back
 * from quarantine. */
void cluster_owner(const char *name, char ret[static CLUSTER_OWNER_MAX])
{
	snprintf(ret, CLUSTER_OWNER_MAX, "cluster %s", name);
}

/* Among hosts the record follows the anchor: see fleet/clusters.c. */
static void elsewhere(struct engine *e, struct vmac *v)
{
	struct fleet_name n = { world_segment(&e->world, v->segment)->record->name, v->address };
	const struct shared_vmac *r = e->side ? fleet_vmac_record(e->side->fleet, &n) : NULL;

	if (!r)
		return;
	if (r->epoch > v->epoch)
		v->epoch = r->epoch;
	if (!uuid_equal(&r->holder, &e->side->self))
		v->state = VMAC_AWAY;
}

static int put_face(struct txn *t, const struct cluster *c, vmac_mac_t face,
		    struct error *ret_error)
{
	struct engine *e = t->e;
	const struct world_segment *s = world_segment(&e->world, c->segment);
	const struct vmac *old = world_vmac(&e->world, c->segment, face);
	struct world_pool *p = world_pool_over(&e->world, c->segment, face);
	char owner[CLUSTER_OWNER_MAX];
	struct vmac v = {
		.address = face,
		.segment = c->segment,
		.pool = p ? p->record->id : 0,
		.kind = VMAC_CLUSTER,
		.state = VMAC_RESERVED,
		.origin = p ? VMAC_ALLOCATED : VMAC_PINNED,
		.epoch = (old ? old->epoch : s->record->epoch_floor) + 1,
		.created = e->cfg.wall_now(),
		.until = WALL_NEVER,
		.name = "",
		.owner = owner,
		.tenant = "",
		.note = "",
	};

	elsewhere(e, &v);
	if (old && old->port)
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "port '%s' of this host holds the face's address",
				 e->world.ports[old->port]->name);
	cluster_owner(c->name, owner);
	v.changed = v.created;
	if (txn_put(t, CHANGE_VMAC, old, &v, old ? "restore" : "allocate") < 0)
		return engine_no_memory(ret_error);
	return p ? pool_mark_cursor(t, p, ret_error) : 0;
}

int cluster_put(struct txn *t, const struct cluster *before, const struct cluster *after,
		const char *verb, struct error *ret_error)
{
	struct cluster new = *after;
	int r = 0;

	if (before) {
		new.id = before->id;
		new.created = before->created;
	} else {
		new.id = world_free_cluster_id(&t->e->world);
		if (new.id == 0)
			return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
					 "there are %d clusters already", CLUSTERS_MAX);
	}
	for (unsigned int i = 0; !before && r == 0 && i < new.face_count; i++)
		r = put_face(t, &new, new.faces[i], ret_error);
	if (r < 0)
		return r;
	if (txn_put(t, CHANGE_CLUSTER, before, &new, verb) < 0)
		return engine_no_memory(ret_error);
	t->answer.cluster = t->changes[t->base.count - 1].after;
	return 0;
}

/* Among hosts its anchor releases a face; whose number it is hears when that is over. */
static bool waits_here(const struct engine *e, const struct vmac *v)
{
	struct fleet_name n = { world_segment(&e->world, v->segment)->record->name, v->address };
	const struct world_pool *p = v->pool ? world_pool(&e->world, v->pool) : NULL;
	uint64_t number = p ? pool_machine_number(&p->machine, v->address) : POOL_NO_NUMBER;

	return e->side && number != POOL_NO_NUMBER && pool_machine_granted(&p->machine, number) &&
	       fleet_vmac_record(e->side->fleet, &n);
}

int cluster_drop(struct txn *t, const struct cluster *before, struct error *ret_error)
{
	struct engine *e = t->e;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < before->face_count; i++) {
		const struct vmac *v = world_vmac(&e->world, before->segment, before->faces[i]);

		if (!v || v->kind != VMAC_CLUSTER || v->state == VMAC_QUARANTINED)
			continue;
		if (v->state != VMAC_AWAY)
			r = vmac_retire(t, v, "release", ret_error);
		else if (!waits_here(e, v))
			r = vmac_forget(t, v, "forget", ret_error);
	}
	if (r == 0 && txn_change(t, CHANGE_CLUSTER, before, NULL, "delete") < 0)
		r = engine_no_memory(ret_error);
	return r;
}

int cluster_durable(struct txn *t, struct error *ret_error)
{
	/* Those that go first: what they had may be another's now. */
	for (size_t i = 0; i < t->base.count; i++)
		if (t->changes[i].kind == CHANGE_CLUSTER && !t->changes[i].after)
			cluster_carry_away(t->e,
					   ((const struct cluster *)t->changes[i].before)->id);
	for (size_t i = 0; i < t->base.count; i++)
		if (t->changes[i].kind == CHANGE_CLUSTER && t->changes[i].after)
			cluster_carry(t->e, t->changes[i].after);
	return 0;
}
