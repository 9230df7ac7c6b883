/* The clusters that the hosts agree upon: what others decided becomes this host's own record, so
 * that it stands when nobody is in reach.
 *
 * A cluster whose segment is not here is remembered, and comes with the segment.  Which clusters
 * were agreed upon fleet/ keeps (CHANGE_SHARED), and it tells which of them are no more; one that
 * nobody ever told of was made here while this host was alone. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"

#define AGREE_RETRY SPAN_S(1)

/* --- what is told ---------------------------------------------------------------------------- */

static struct wanted_cluster **find(struct fleet_side *s, const char *name)
{
	struct wanted_cluster **at = &s->clusters;

	while (*at && strcmp((*at)->record->cluster.cluster->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void forget(struct fleet_side *s, struct wanted_cluster **at)
{
	struct wanted_cluster *w = *at;

	*at = w->next;
	engine_dispose(s->e, w->record);
	engine_dispose(s->e, w);
}

void side_clusters_free(struct fleet_side *s)
{
	while (s->clusters)
		forget(s, &s->clusters);
}

static void remember(struct fleet_side *s, const struct shared_cluster *c)
{
	struct shared_record record = { .kind = SHARED_CLUSTER, .revision = 1, .cluster = *c };
	struct wanted_cluster **at = find(s, c->cluster->name);
	struct wanted_cluster *w = *at;

	if (!w) {
		w = side_alloc(s, sizeof(*w));
		*w = (struct wanted_cluster){ 0 };
		*at = w;
	}
	engine_dispose(s->e, w->record);
	w->record = shared_copy(s->e->cfg.mem, &record);
	if (!w->record)
		side_alloc(s, SIZE_MAX / 2);
}

void side_told_cluster(void *ctx, const struct shared_cluster *c, bool gone)
{
	struct fleet_side *s = ctx;
	struct wanted_cluster **at;

	if (gone) {
		at = find(s, c->cluster->name);
		if (*at)
			forget(s, at);
	} else {
		remember(s, c);
	}
	/* The command that made it so is about to write it, with the name of who asked. */
	if (!cluster_job_awaits(s->e, c, gone))
		side_write_cluster(s, c, gone);
}

void side_clusters_of_segment(struct fleet_side *s, const struct segment *segment)
{
	for (struct wanted_cluster *w = s->clusters; w; w = w->next)
		if (strcmp(w->record->cluster.segment, segment->name) == 0)
			side_write_cluster(s, &w->record->cluster, false);
}

/* --- into the journal ------------------------------------------------------------------------ */

/* The same cluster with other faces, or in another segment: made here and there by one name. */
static bool is_other(const struct cluster *a, const struct cluster *b)
{
	if (a->segment != b->segment || a->mode != b->mode || a->face_count != b->face_count)
		return true;
	for (unsigned int i = 0; i < a->face_count; i++)
		if (!vmac_mac_equal(a->faces[i], b->faces[i]))
			return true;
	return false;
}

static bool is_kept(const struct engine *e, const struct shared_cluster *c)
{
	struct shared_record key = { .kind = SHARED_CLUSTER, .cluster = *c };

	return world_kept(&e->world, &key) != NULL;
}

int side_do_cluster(struct txn *t, const struct shared_cluster *told, bool gone)
{
	struct engine *e = t->e;
	const struct world_segment *segment = world_segment_named(&e->world, told->segment);
	const struct cluster *before = world_cluster_named(&e->world, told->cluster->name);
	struct cluster after = *told->cluster;
	struct error error = { 0 };
	int r = 0;

	if (gone)
		r = before ? cluster_drop(t, before, &error) : 0;
	if (gone || !segment)
		return error.code == ERROR_NO_MEMORY ? r : 0;
	after.segment = segment->record->id;
	after.created = before ? before->created : e->cfg.wall_now();
	after.changed = e->cfg.wall_now();
	if (before && before->generation == after.generation && cluster_equal(before, &after) &&
	    before->segment == after.segment)
		return 0;
	if (before && is_other(before, &after)) {
		log_warning("cluster %s: the other hosts have another one by this name: this "
			    "host's own goes",
			    before->name);
		r = cluster_drop(t, before, &error);
		before = NULL;
	}
	if (r == 0)
		r = cluster_put(t, before, &after, before ? "change" : "create", &error);
	if (r == 0 || error.code == ERROR_NO_MEMORY)
		return r;
	/* It cannot be had here, and trying again would not help. */
	log_error("cluster %s of the other hosts: %s", after.name, error.message);
	event_fleet(e, "cluster", told->segment, after.name, "alarm", "", "", error.message);
	return SIDE_CLUSTER_CANNOT;
}

/* --- what this host has and the others may not know ------------------------------------------- */

struct agreeing {
	struct fleet_side *s;
	char name[NAME_MAX_LEN + 1];
};

static void answered(void *ctx, const struct shared_record *agreed, const struct error *error)
{
	struct agreeing *a = ctx;
	struct fleet_side *s = a->s;

	if (!error) {
		side_write_cluster(s, &agreed->cluster, false);
	} else if (error->code == ERROR_CONFLICT) {
		log_error("cluster %s: %s", a->name, error->message);
	} else {
		s->agree_at = mono_after(s->e->cfg.mono_now(), AGREE_RETRY);
	}
	engine_dispose(s->e, a);
}

/* Made while this host was alone: begins anew among the others. */
static void put_forward(struct fleet_side *s, const struct cluster *c)
{
	struct cluster first = *c;
	struct shared_record wanted = {
		.kind = SHARED_CLUSTER,
		.cluster = { &first, world_segment(&s->e->world, c->segment)->record->name },
	};
	struct agreeing *a = side_alloc(s, sizeof(*a));

	first.generation = 1;
	a->s = s;
	snprintf(a->name, sizeof(a->name), "%s", c->name);
	fleet_agree(s->fleet, &wanted, answered, a, s->e->cfg.mono_now());
}

void side_agree_clusters(struct fleet_side *s)
{
	struct engine *e = s->e;

	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		const struct cluster *c = e->world.clusters[id];
		struct shared_cluster here;

		if (!c || *find(s, c->name))
			continue;
		here = (struct shared_cluster){
			c, world_segment(&e->world, c->segment)->record->name
		};
		if (!is_kept(e, &here))
			put_forward(s, c);
	}
}

/* An anchor's epoch, as the shared registry has it. */
void side_told_face(struct fleet_side *s, const struct shared_vmac *v)
{
	struct engine *e = s->e;
	const struct world_segment *segment = world_segment_named(&e->world, v->segment);
	const struct cluster *c =
		segment ? world_cluster_of_face(&e->world, segment->record->id, v->address) : NULL;
	const struct cluster_state *state = c ? cluster_state_of(e, c->id) : NULL;

	if (!state || !state->anchored)
		return;
	for (unsigned int i = 0; i < c->face_count; i++)
		if (vmac_mac_equal(c->faces[i], v->address))
			anchor_claimed(e->cfg.anchors, c->id, i, v->epoch, 0);
}
