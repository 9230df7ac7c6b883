/* Clusters as others may see them: the record is ours, what lives is the anchors' and the data
 * plane's. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/cluster.h"
#include "engine/side.h"

struct seen {
	struct anchor_view live;
	struct plane_cluster_counters counters;
	struct cluster_member_view members[CLUSTER_MEMBERS_MAX];
	struct cluster_counters_view list[64];
};

/* --- counters -------------------------------------------------------------------------------- */

static void add(struct cluster_view *v, struct seen *seen, const char *name, uint64_t value)
{
	if (v->counter_count < ARRAY_LEN(seen->list))
		seen->list[v->counter_count++] = (struct cluster_counters_view){ name, value };
}

static void see_counters(struct engine *e, const struct cluster_state *s, struct seen *seen,
			 struct cluster_view *v)
{
	const struct plane_cluster_counters *c = &seen->counters;
	struct error ignored;

	v->counters = seen->list;
	if (plane_cluster_counters(e->cfg.plane, cluster_slot(s->record), &seen->counters,
				   &ignored) == 0) {
		add(v, seen, "local", c->local);
		add(v, seen, "remote", c->remote);
		add(v, seen, "second", c->second);
		add(v, seen, "answered_arp", c->answered_arp);
		add(v, seen, "answered_nd", c->answered_nd);
		add(v, seen, "not_anchor", c->not_anchor);
		add(v, seen, "others", c->others);
		add(v, seen, "no_member", c->no_member);
		add(v, seen, "rule", c->rule);
		add(v, seen, "no_address", c->no_address);
		add(v, seen, "malformed", c->malformed);
		add(v, seen, "arp_filtered", c->arp_filtered);
		add(v, seen, "nd_filtered", c->nd_filtered);
		add(v, seen, "flows_made", c->flows_made);
		add(v, seen, "flows_denied", c->flows_denied);
	}
	add(v, seen, "claimed_by_others", s->claims);
	if (!v->live)
		return;
	add(v, seen, "heartbeats_sent", seen->live.sent);
	add(v, seen, "heartbeats_heard", seen->live.heard);
	add(v, seen, "heartbeats_replayed", seen->live.replayed);
	add(v, seen, "heartbeats_behind", seen->live.behind);
	add(v, seen, "heartbeats_newer", seen->live.verdicts[HEARTBEAT_VERSION]);
	add(v, seen, "heartbeats_malformed", seen->live.verdicts[HEARTBEAT_MALFORMED]);
	add(v, seen, "heartbeats_forged", seen->live.verdicts[HEARTBEAT_FORGED]);
	add(v, seen, "pulses_asked", seen->live.asked);
	add(v, seen, "pulses_answered", seen->live.answered);
	add(v, seen, "late", seen->live.late);
	add(v, seen, "transitions", seen->live.transitions);
}

/* --- members --------------------------------------------------------------------------------- */

static void see_here(struct engine *e, const struct cluster_state *s, unsigned int i,
		     struct cluster_member_view *m)
{
	const struct member_here *state = &s->members[i];
	struct error ignored;

	if (state->port)
		m->port = e->world.ports[state->port]->name;
	if (state->checked) {
		m->health = health_name(state->health.health);
		m->detail = state->detail;
	}
	plane_cluster_member(e->cfg.plane, cluster_slot(s->record), state->id, &m->frames,
			     &m->octets, &ignored);
}

static void see_crowd(const struct cluster_state *s, struct cluster_view *v)
{
	char text[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; i < s->record->member_count && v->trouble.code == ERROR_NONE; i++)
		if (s->members[i].crowded)
			error_set(&v->trouble, ERROR_LIMIT_REACHED,
				  "take it out of one of them: vmac cluster member remove",
				  "member %s is a member of more than %d clusters, and gets "
				  "nothing here",
				  vmac_mac_format(s->record->members[i].address, VMAC_MAC_COLON,
						  text),
				  MEMBER_CLUSTERS_MAX);
}

static void see_members(struct engine *e, struct cluster_state *s, struct seen *seen,
			struct cluster_view *v)
{
	const struct cluster *c = v->cluster;
	const uint32_t *flows = s ? cluster_flows(e, s) : NULL;

	v->members = seen->members;
	for (unsigned int i = 0; i < c->member_count; i++) {
		const struct vmac *vmac = world_vmac(&e->world, c->segment, c->members[i].address);
		struct cluster_member_view *m = &seen->members[i];

		*m = (struct cluster_member_view){
			.member = &c->members[i],
			.live = v->live && seen->live.live[i] ? seen->live.live[i] : "absent",
			.host = v->live ? cluster_host_name(e, seen->live.hosts[i]) : "",
			.port = "",
			.name = vmac ? vmac->name : "",
			.health = "",
			.detail = "",
		};
		if (!s)
			continue;
		m->rows = s->rows[c->members[i].id];
		m->flows = flows ? flows[c->members[i].id] : 0;
		see_here(e, s, i, m);
	}
}

/* --- one ------------------------------------------------------------------------------------- */

static void see_live(struct engine *e, const struct cluster_state *s, struct seen *seen,
		     struct cluster_view *v)
{
	const struct anchor_view *live = &seen->live;

	v->host_count = live->peer_count + 1;
	v->view_epoch = live->committed.epoch;
	v->view_number = live->committed.number;
	v->coordinator = live->coordinator;
	v->fail_open = live->fail_open;
	for (unsigned int i = 0; i < v->face_count && i < live->face_count; i++) {
		v->faces[i].anchor = cluster_host_name(e, live->faces[i].holder);
		v->faces[i].here = live->faces[i].active;
		v->faces[i].epoch = live->faces[i].epoch;
		v->faces[i].lease_ms = live->faces[i].active ? live->faces[i].lease_ms : -1;
	}
	/* The anchor of the first face makes the views, and none is in force yet. */
	if (v->faces[0].here && !live->committed.number)
		v->rows_unassigned = v->row_count;
	if (live->trouble.code != ERROR_NONE)
		v->trouble = live->trouble;
}

static void see_cluster(struct engine *e, const struct cluster *c, struct seen *seen,
			struct cluster_view *v)
{
	struct cluster_state *s = e->balancing->states[c->id];

	/* What is carried is what is durable; the world may be ahead of it by what is pending. */
	if (s && s->record)
		c = s->record;
	*v = (struct cluster_view){
		.cluster = c,
		.segment = world_segment(&e->world, c->segment)->record->name,
		.face_count = c->face_count,
		.member_count = c->member_count,
		.row_count = c->mode == CLUSTER_CARRY	      ? 0
			     : c->table == CLUSTER_RENDEZVOUS ? CLUSTER_ROWS
							      : CLUSTER_MAGLEV_ROWS,
		.rows_unassigned = s ? s->unassigned : 0,
	};
	for (unsigned int i = 0; i < c->face_count; i++) {
		const struct vmac *f = world_vmac(&e->world, c->segment, c->faces[i]);

		v->faces[i] = (struct cluster_face_view){
			.address = c->faces[i],
			.anchor = "",
			.epoch = f ? f->epoch : 0,
			.lease_ms = -1,
		};
	}
	if (s && s->unable.code != ERROR_NONE)
		v->trouble = s->unable;
	if (s && s->trouble.code != ERROR_NONE)
		v->trouble = s->trouble;
	v->live = s && s->anchored && anchor_look(e->cfg.anchors, c->id, &seen->live);
	if (v->live)
		see_live(e, s, seen, v);
	see_members(e, s, seen, v);
	if (s)
		see_crowd(s, v);
	if (s && cluster_claimed(s, e->cfg.mono_now()))
		v->claimant = s->claimant;
	if (s && s->set)
		see_counters(e, s, seen, v);
}

static struct seen *look(struct engine *e)
{
	if (!e->balancing->look)
		e->balancing->look = engine_alloc(e, sizeof(struct seen));
	return e->balancing->look;
}

int engine_cluster_view(struct engine *e, const char *name, struct cluster_view *ret,
			struct error *ret_error)
{
	const struct cluster *c;
	int r = engine_find_cluster(e, name, &c, ret_error);

	if (r < 0)
		return r;
	if (!look(e))
		return engine_no_memory(ret_error);
	see_cluster(e, c, e->balancing->look, ret);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct cluster *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void engine_clusters(struct engine *e, void (*fn)(void *ctx, const struct cluster_view *v),
		     void *ctx)
{
	const struct table *t = &e->world.clusters_by_name;
	const struct cluster **list = engine_alloc(e, (t->count + 1) * sizeof(*list));
	struct cluster_view view;
	size_t count = 0;

	if (!list || !look(e)) {
		engine_dispose(e, list);
		return;
	}
	table_for_each (t, const struct cluster, c)
		list[count++] = c;
	qsort(list, count, sizeof(*list), by_name);
	for (size_t i = 0; i < count; i++) {
		see_cluster(e, list[i], e->balancing->look, &view);
		fn(ctx, &view);
	}
	engine_dispose(e, list);
}
