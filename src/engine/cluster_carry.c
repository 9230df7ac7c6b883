/* Durable truth and ports -> data plane, receive filters, anchors. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "errand/errands.h"
#include "host/inject.h"
#include "model/ip.h"

#define CARRY_RETRY SPAN_S(2)
#define SCAN_EVERY  SPAN_S(1)
/* So long a guest that moves may stand still, and counts as it did: its frames wait for it. */
#define PAUSE_MAX   SPAN_S(10)

void balancing_retry(struct engine *e, span_t in)
{
	mono_t at = mono_after(e->cfg.mono_now(), in);

	if (at.ns < e->balancing->retry.ns)
		e->balancing->retry = at;
}

/* --- life of a state ------------------------------------------------------------------------- */

static void state_free(struct engine *e, struct cluster_state *s)
{
	for (unsigned int i = 0; s->record && i < s->record->member_count; i++)
		cluster_health_end(e, &s->members[i]);
	cluster_release(s->record);
	engine_dispose(e, s->members);
	engine_dispose(e, s->installed_rows);
	engine_dispose(e, s->rows);
	engine_dispose(e, s->before);
	engine_dispose(e, s->flows);
	engine_dispose(e, s);
}

/* Whether the checks of both are the same questions. */
static bool same_check(const struct cluster *a, const struct cluster *b)
{
	if (a->check != b->check || a->check_port != b->check_port || a->nat != b->nat ||
	    a->check_interval_ms != b->check_interval_ms ||
	    a->check_timeout_ms != b->check_timeout_ms ||
	    strcmp(a->check_target, b->check_target) != 0 || a->address_count != b->address_count)
		return false;
	for (unsigned int i = 0; i < a->address_count; i++)
		if (!ip_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

/* What is known of members goes over to the new record; of those that have gone it ends. */
static int state_take(struct engine *e, struct cluster_state *s, const struct cluster *c)
{
	struct member_here *members = engine_alloc(e, (c->member_count + 1) * sizeof(*members));
	const struct cluster *was = s->record;

	if (!members)
		return -1;
	for (unsigned int i = 0; i < c->member_count; i++)
		members[i] = (struct member_here){ .id = c->members[i].id, .newcomer = was };
	for (unsigned int i = 0; was && i < was->member_count; i++) {
		const struct cluster_member *m = cluster_member_by_id(c, was->members[i].id);
		bool stays = m && vmac_mac_equal(m->address, was->members[i].address);

		if (!stays || !same_check(was, c))
			cluster_health_end(e, &s->members[i]);
		if (stays)
			members[m - c->members] = s->members[i];
		/* Its id may be another's next, at another host. */
		else if (s->anchored && s->members[i].told)
			anchor_member(e->cfg.anchors, c->id, was->members[i].id, false, false,
				      false);
	}
	engine_dispose(e, s->members);
	s->members = members;
	s->record = cluster_hold(c);
	s->changed = true;
	cluster_release(was);
	return 0;
}

static struct cluster_state *state_of(struct engine *e, const struct cluster *c)
{
	struct cluster_state *s = e->balancing->states[c->id];

	if (!s) {
		s = engine_alloc(e, sizeof(*s));
		if (!s)
			return NULL;
		s->rows = engine_alloc(e, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*s->rows));
		s->installed_rows = engine_alloc(e, (CLUSTER_MEMBERS_MAX + 1) * sizeof(*s->rows));
		if (!s->rows || !s->installed_rows || state_take(e, s, c) < 0) {
			state_free(e, s);
			return NULL;
		}
		e->balancing->states[c->id] = s;
		return s;
	}
	return s->record == c || state_take(e, s, c) == 0 ? s : NULL;
}

/* --- the NIC --------------------------------------------------------------------------------- */

/* While a member is here the host may become the anchor at any moment, or takes every frame. */
static bool takes_part(const struct cluster_state *s)
{
	for (unsigned int i = 0; i < s->record->member_count; i++)
		if (s->members[i].port)
			return true;
	return false;
}

static void filter(struct engine *e, struct cluster_state *s)
{
	const struct cluster *c = s->record;
	const struct segment *segment = world_segment(&e->world, c->segment)->record;
	const struct uplink_state *u = &e->uplinks[segment_slot(segment)];
	int wanted = segment_slot(segment) && u->present && takes_part(s) ? u->link.ifindex : 0;
	struct error error;

	if (wanted == s->filter_ifindex)
		return;
	for (unsigned int i = 0; i < c->face_count; i++) {
		/* One that is not there is no harm: the link may have gone. */
		if (s->filter_ifindex)
			host_filter_delete(e->cfg.host, s->filter_ifindex, c->faces[i], &error);
		if (wanted && host_filter_add(e->cfg.host, wanted, c->faces[i], &error) < 0)
			log_warning("cluster %s: %s", c->name, error.message);
	}
	s->filter_ifindex = wanted;
}

bool cluster_filters(struct engine *e, unsigned int slot, vmac_mac_t address)
{
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		const struct cluster_state *s = e->balancing->states[id];

		if (!s || !s->filter_ifindex || s->filter_ifindex != e->uplinks[slot].link.ifindex)
			continue;
		for (unsigned int i = 0; i < s->record->face_count; i++)
			if (vmac_mac_equal(s->record->faces[i], address))
				return true;
	}
	return false;
}

/* --- members --------------------------------------------------------------------------------- */

void cluster_tell_member(struct engine *e, struct cluster_state *s, unsigned int index)
{
	struct member_here *m = &s->members[index];
	bool fit = member_fit(e, s, index);

	if (!s->anchored || (m->told && m->told_hosted == m->hosted && m->told_fit == fit &&
			     m->told_busy == m->busy))
		return;
	/* Of one that was never here there is nothing to say. */
	if (!m->told && !m->hosted && !m->busy)
		return;
	m->told = true;
	m->told_hosted = m->hosted;
	m->told_fit = fit;
	m->told_busy = m->busy;
	anchor_member(e->cfg.anchors, s->record->id, m->id, m->hosted, fit, m->busy);
}

/* Its port bears the other clusters alone: what it would say of this one's addresses would not be
 * filtered, so it is to get nothing of it. */
static void crowd(struct engine *e, const struct cluster_state *s, unsigned int index)
{
	const struct cluster *c = s->record;
	struct member_here *m = &s->members[index];
	bool crowded = m->port && cluster_crowded_out(e, c, c->members[index].address);
	char mac[VMAC_MAC_TEXT_MAX], reason[ERROR_TEXT_MAX];

	if (crowded == m->crowded)
		return;
	m->crowded = crowded;
	vmac_mac_format(c->members[index].address, VMAC_MAC_COLON, mac);
	snprintf(reason, sizeof(reason),
		 crowded ? "member %s is a member of more than %d clusters, and gets nothing here"
			 : "member %s is a member of no more than %d clusters, and may serve here",
		 mac, MEMBER_CLUSTERS_MAX);
	if (crowded)
		log_warning("cluster %s: %s", c->name, reason);
	else
		log_info("cluster %s: %s", c->name, reason);
	event_fleet(e, "cluster", world_segment(&e->world, c->segment)->record->name, c->name,
		    crowded ? "alarm" : "note", "", mac, reason);
}

static bool pauses(struct engine *e, struct member_here *m, const struct port *p)
{
	mono_t now = e->cfg.mono_now(), end;

	if (!m->hosted || !e->ports[p->id].paused) {
		m->paused.ns = 0;
		return false;
	}
	if (m->paused.ns == 0)
		m->paused = now;
	end = mono_after(m->paused, PAUSE_MAX);
	if (mono_due(end, now))
		return false;
	if (end.ns < e->balancing->pause.ns)
		e->balancing->pause = end;
	return true;
}

/* The port that carries a member here, and whether it serves: what its gate lets pass is what the
 * operator and, among hosts, fleet/ want. */
static void look_at_member(struct engine *e, struct cluster_state *s, unsigned int index)
{
	const struct cluster *c = s->record;
	const struct vmac *v = world_vmac(&e->world, c->segment, c->members[index].address);
	const struct port *p = v && v->port ? e->world.ports[v->port] : NULL;
	struct member_here *m = &s->members[index];
	bool hosted = false, drains = c->members[index].state == MEMBER_DRAINING;

	if (p && e->ports[p->id].set && !e->ports[p->id].leaving)
		hosted = e->ports[p->id].phase == PORT_ACTIVE &&
			 (carry_port_open(e, p) || pauses(e, m, p));
	m->port = p && !e->ports[p->id].leaving ? p->id : 0;
	crowd(e, s, index);
	hosted = hosted && !m->crowded;
	/* Until scan() has looked: who is late to look must not say that there is nothing. */
	m->busy = drains && (m->busy || !m->draining);
	m->draining = drains;
	if (hosted && !m->hosted) {
		m->hosted = true;
		cluster_health_begin(e, s, index);
		if (m->looked)
			cluster_health_inherit(e, s, index);
	} else if (!hosted && m->hosted) {
		m->hosted = false;
		cluster_health_end(e, m);
	} else if (hosted) {
		cluster_health_begin(e, s, index);
	}
	m->looked = true;
	cluster_tell_member(e, s, index);
}

static bool drains(const struct cluster *c)
{
	for (unsigned int i = 0; i < c->member_count; i++)
		if (c->members[i].state == MEMBER_DRAINING)
			return true;
	return false;
}

/* --- data plane and anchors ------------------------------------------------------------------ */

/* With nat: the members' own addresses, where this host knows them. */
static void own_addresses(struct engine *e, const struct cluster *c, struct ip (*ret)[2])
{
	for (unsigned int i = 0; i < c->member_count; i++) {
		const struct vmac *v = world_vmac(&e->world, c->segment, c->members[i].address);

		ret[i][0] = ret[i][1] = (struct ip){ 0 };
		for (unsigned int j = 0; v && j < v->ip_count; j++)
			ret[i][v->ips[j].family == 4 ? 0 : 1] = v->ips[j];
	}
}

static int plane_set(struct engine *e, const struct cluster *c, struct error *ret_error)
{
	uint16_t net = world_segment(&e->world, c->segment)->record->net;
	struct plane_cluster set = {
		.slot = cluster_slot(c),
		.net = { net >> 12, net & 0xfff },
		.record = c,
	};
	struct ip(*own)[2] = NULL;
	int r;

	if (c->nat) {
		own = engine_alloc(e, (c->member_count + 1) * sizeof(*own));
		if (!own)
			return engine_no_memory(ret_error);
		own_addresses(e, c, own);
		set.own = own;
	}
	r = plane_cluster_set(e->cfg.plane, &set, ret_error);
	engine_dispose(e, own);
	return r;
}

static struct anchor_where where_of(const struct engine *e, const struct cluster *c)
{
	const struct segment *segment = world_segment(&e->world, c->segment)->record;
	const struct uplink_state *u = &e->uplinks[segment_slot(segment)];

	return (struct anchor_where){
		.slot = cluster_slot(c),
		.segment = segment->name,
		.internal = segment_slot(segment) == 0,
		.ifindex = segment_slot(segment) && u->present ? u->link.ifindex : 0,
		.up = u->present && u->link.up && u->link.carrier,
		.vlan = segment->vlan,
		.address = u->link.address,
	};
}

static bool same_where(const struct anchor_where *a, const struct anchor_where *b)
{
	return a->ifindex == b->ifindex && a->up == b->up && a->vlan == b->vlan &&
	       vmac_mac_equal(a->address, b->address);
}

/* Among hosts: not before it is known by which number they know this one. */
static bool may_anchor(const struct engine *e, const struct cluster *c)
{
	struct fleet_facts facts = { .number = 1 };

	if (!e->cfg.anchors || c->mode == CLUSTER_CARRY)
		return false;
	if (e->side)
		fleet_facts(e->side->fleet, &facts);
	return facts.number != 0;
}

static void anchor(struct engine *e, struct cluster_state *s)
{
	const struct cluster *c = s->record;
	struct anchor_where where = where_of(e, c);
	bool first = !s->anchored;

	if (!may_anchor(e, c) || (s->anchored && !s->changed && same_where(&where, &s->where)))
		return;
	s->where = where;
	s->anchored = true;
	s->changed = false;
	anchor_set(e->cfg.anchors, c, &where);
	/* Epochs never fall below what this host's own registry had. */
	for (unsigned int i = 0; first && i < c->face_count; i++) {
		const struct vmac *v = world_vmac(&e->world, c->segment, c->faces[i]);

		if (v)
			anchor_claimed(e->cfg.anchors, c->id, i, v->epoch, 0);
	}
}

static void look_at_address(struct engine *e, uint32_t segment, vmac_mac_t address, bool again);

/* A member that came or went may leave room at its port for the next of its clusters, or none. */
static void look_at_neighbours(struct engine *e, const struct cluster *c,
			       const struct cluster *other)
{
	const struct cluster *list[CLUSTERS_MAX];

	for (unsigned int i = 0; c && i < c->member_count; i++) {
		vmac_mac_t m = c->members[i].address;
		const struct cluster_member *same =
			other ? cluster_member_by_id(other, c->members[i].id) : NULL;

		if (same && vmac_mac_equal(same->address, m))
			continue;
		if (world_clusters_of_member(&e->world, c->segment, m, list) >= MEMBER_CLUSTERS_MAX)
			look_at_address(e, c->segment, m, false);
	}
}

static void late_set(struct engine *e, uint32_t id, const struct cluster *c)
{
	const struct cluster *was = e->balancing->late[id];

	e->balancing->late[id] = c ? cluster_hold(c) : NULL;
	cluster_release(was);
}

static void carry(struct engine *e, const struct cluster *c)
{
	struct cluster_state *s = NULL;
	const uint32_t id = c->id;
	struct error error;

	/* Where the world has it no more, the txn that deletes it is durable, or about to be, or
	 * about to be refused. */
	if (e->world.clusters[id])
		s = state_of(e, c);
	if (!s) {
		late_set(e, id, c);
		balancing_retry(e, CARRY_RETRY);
		return;
	}
	late_set(e, id, NULL);
	c = s->record;
	if (plane_set(e, c, &error) < 0) {
		if (s->trouble.code == ERROR_NONE)
			log_warning("cluster %s: %s", c->name, error.message);
		s->trouble = error;
		balancing_retry(e, CARRY_RETRY);
		return;
	}
	s->set = true;
	s->trouble = (struct error){ 0 };
	anchor(e, s);
	for (unsigned int i = 0; i < c->member_count; i++)
		look_at_member(e, s, i);
	filter(e, s);
	if (drains(c))
		e->balancing->scan = e->cfg.mono_now();
}

void cluster_carry(struct engine *e, const struct cluster *c)
{
	struct cluster_state **s = &e->balancing->states[c->id];
	const struct cluster *was = *s ? cluster_hold((*s)->record) : NULL;
	const struct cluster *late = e->balancing->late[c->id];

	if (!e->cfg.plane)
		return;
	/* What is carried again is not to be older than what waits. */
	carry(e, late && c == was ? late : c);
	if (*s && (*s)->record != was) {
		look_at_neighbours(e, was, (*s)->record);
		look_at_neighbours(e, (*s)->record, was);
	}
	cluster_release(was);
}

void cluster_carry_away(struct engine *e, uint32_t id)
{
	struct cluster_state *s = e->balancing->states[id];
	struct error error;

	late_set(e, id, NULL);
	if (!s)
		return;
	if (s->anchored)
		anchor_remove(e->cfg.anchors, id);
	if (s->set && plane_cluster_remove(e->cfg.plane, cluster_slot(s->record), &error) < 0)
		log_warning("cluster %s: %s", s->record->name, error.message);
	for (unsigned int i = 0; i < s->record->member_count; i++)
		s->members[i].port = 0;
	filter(e, s);
	e->balancing->states[id] = NULL;
	look_at_neighbours(e, s->record, NULL);
	state_free(e, s);
}

/* --- what happens to ports and NICs ---------------------------------------------------------- */

static void look_at_address(struct engine *e, uint32_t segment, vmac_mac_t address, bool again)
{
	const struct cluster *list[CLUSTERS_MAX];
	unsigned int count = world_clusters_of_member(&e->world, segment, address, list);

	for (unsigned int i = 0; i < count; i++) {
		struct cluster_state *s = e->balancing->states[list[i]->id];
		const struct cluster_member *m =
			s ? cluster_member_by_address(s->record, address) : NULL;

		if (!m)
			continue;
		if (again && s->record->nat)
			cluster_carry(e, s->record);
		look_at_member(e, s, (unsigned int)(m - s->record->members));
		filter(e, s);
	}
}

void cluster_port(struct engine *e, const struct port *p)
{
	if (e->world.clusters_by_name.count > 0)
		look_at_address(e, p->segment, p->address, false);
}

void cluster_vmac_changed(struct engine *e, const struct vmac *v)
{
	if (e->world.clusters_by_name.count > 0)
		look_at_address(e, v->segment, v->address, true);
}

void cluster_uplink(struct engine *e, unsigned int slot)
{
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		struct cluster_state *s = e->balancing->states[id];

		if (!s ||
		    segment_slot(world_segment(&e->world, s->record->segment)->record) != slot)
			continue;
		/* What was asked of the link that was is gone with it. */
		if (!e->uplinks[slot].present || s->filter_ifindex != e->uplinks[slot].link.ifindex)
			s->filter_ifindex = 0;
		if (!s->set ||
		    (e->uplinks[slot].present && e->uplinks[slot].link.ifindex != s->where.ifindex))
			cluster_carry(e, s->record);
		anchor(e, s);
		filter(e, s);
	}
}

/* --- life ------------------------------------------------------------------------------------ */

int balancing_new(struct engine *e, struct error *ret_error)
{
	e->balancing = engine_alloc(e, sizeof(*e->balancing));
	if (!e->balancing)
		return engine_no_memory(ret_error);
	e->balancing->retry = e->balancing->scan = e->balancing->pause = MONO_NEVER;
	return 0;
}

void balancing_free(struct engine *e)
{
	struct balancing *b = e->balancing;

	if (!b)
		return;
	cluster_jobs_end(e);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		cluster_release(b->late[id]);
		if (b->states[id])
			state_free(e, b->states[id]);
	}
	errands_close(b->errands);
	inject_close(b->inject);
	engine_dispose(e, b->look);
	engine_dispose(e, b);
	e->balancing = NULL;
}

void balancing_identity(struct engine *e)
{
	struct fleet_facts facts = { .number = 1 };
	struct balancing *b = e->balancing;

	if (!e->cfg.anchors || !e->side)
		return;
	fleet_facts(e->side->fleet, &facts);
	if (facts.number == 0 || facts.number == b->number)
		return;
	b->number = facts.number;
	anchor_identity(e->cfg.anchors, &e->side->self, facts.number, false);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		if (b->states[id] && b->states[id]->set && !b->states[id]->anchored)
			cluster_carry(e, b->states[id]->record);
}

void balancing_start(struct engine *e)
{
	unsigned int removed = 0;
	struct error error;

	if (errands_open(&e->balancing->errands, &error) < 0)
		log_warning("clusters: checks by tcp, http and https cannot be made: %s",
			    error.message);
	if (inject_open(PLANE_ANNOUNCE_MARK, &e->balancing->inject, &error) < 0)
		log_warning("clusters: nobody can be asked: %s", error.message);
	balancing_identity(e);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		if (e->world.clusters[id])
			cluster_carry(e, e->world.clusters[id]);
	if (plane_cluster_sweep(e->cfg.plane, &removed, &error) < 0)
		log_warning("sweep: %s", error.message);
	else if (removed > 0)
		log_info("swept %u clusters that no record speaks of", removed);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Whether those that drain still have flows: looked at no oftener than that is worth. */
static void scan(struct engine *e, mono_t now)
{
	struct balancing *b = e->balancing;
	bool again = false;

	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		struct cluster_state *s = b->states[id];
		const uint32_t *flows;

		if (!s || !s->anchored || !drains(s->record))
			continue;
		again = true;
		flows = cluster_flows(e, s);
		for (unsigned int i = 0; flows && i < s->record->member_count; i++) {
			const struct cluster_member *m = &s->record->members[i];

			s->members[i].busy = m->state == MEMBER_DRAINING && flows[m->id] > 0;
			cluster_tell_member(e, s, i);
		}
	}
	b->scan = again ? mono_after(now, SCAN_EVERY) : MONO_NEVER;
}

/* Those that stand still are looked at again: who does so for too long is here no more. */
static void end_pauses(struct engine *e)
{
	e->balancing->pause = MONO_NEVER;
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		struct cluster_state *s = e->balancing->states[id];

		for (unsigned int i = 0; s && i < s->record->member_count; i++)
			if (s->members[i].paused.ns)
				look_at_member(e, s, i);
	}
}

static void retry(struct engine *e)
{
	e->balancing->retry = MONO_NEVER;
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		const struct cluster *late = e->balancing->late[id];
		struct cluster_state *s = e->balancing->states[id];

		if (late || (s && s->trouble.code != ERROR_NONE))
			cluster_carry(e, late ? late : s->record);
		if (s)
			cluster_reports_retry(e, s);
	}
}

void balancing_time(struct engine *e, mono_t now)
{
	struct balancing *b = e->balancing;

	cluster_jobs_time(e, now);
	if (mono_due(b->retry, now))
		retry(e);
	if (mono_due(b->scan, now))
		scan(e, now);
	if (mono_due(b->pause, now))
		end_pauses(e);
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++)
		if (b->states[id])
			cluster_health_time(e, b->states[id], now);
}

mono_t balancing_expiry(const struct engine *e)
{
	const struct balancing *b = e->balancing;
	mono_t next = cluster_jobs_expiry(e), at;

	if (b->retry.ns < next.ns)
		next = b->retry;
	if (b->scan.ns < next.ns)
		next = b->scan;
	if (b->pause.ns < next.ns)
		next = b->pause;
	for (uint32_t id = 1; id <= CLUSTERS_MAX; id++) {
		at = b->states[id] ? b->states[id]->check_due : MONO_NEVER;
		if (at.ns != 0 && at.ns < next.ns)
			next = at;
	}
	return next;
}
