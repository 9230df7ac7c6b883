/* Clusters: who is there, and what is told of them. */
#include "anchor/core.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "anchor/inside.h"
#include "wire/pulse.h"

static struct anchor_entry *entry_by_id(const struct anchor_core *c, uint32_t id)
{
	return id >= 1 && id <= CLUSTERS_MAX ? c->entries[id] : NULL;
}

/* --- the whole ------------------------------------------------------------------------------- */

int anchor_core_new(const struct anchor_core_config *config, struct anchor_core **ret)
{
	struct anchor_core *c = mem_alloc(config->mem, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->mem = config->mem;
	c->ops = config->ops;
	c->ctx = config->ctx;
	c->identity = config->identity;
	for (unsigned int i = 0; i <= CLUSTERS_MAX; i++)
		c->due[i] = MONO_NEVER.ns;
	*ret = c;
	return 0;
}

void anchor_core_free(struct anchor_core *c)
{
	if (!c)
		return;
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++)
		if (c->entries[i])
			entry_drop(c, c->entries[i]);
	mem_free(c->mem, c);
}

bool anchor_core_empty(const struct anchor_core *c)
{
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++)
		if (c->entries[i])
			return false;
	return true;
}

/* --- a machine, from its beginning to its end ------------------------------------------------ */

static void entry_link(struct anchor_core *c, struct anchor_entry *e, mono_t now)
{
	struct group_event event = { .kind = GROUP_LINK };

	event.on = e->where.internal || (e->where.ifindex && e->where.up && e->usable);
	if (c->identity.number == 0 && !c->identity.alone)
		event.on = false; /* nobody could tell whose heartbeats they are */
	if (event.on == e->linked)
		return;
	e->linked = event.on;
	entry_step(c, e, &event, now);
}

static void entry_member(struct anchor_core *c, struct anchor_entry *e, uint16_t id, mono_t now)
{
	const struct group_event event = {
		.kind = GROUP_MEMBER,
		.member = id,
		.hosted = heartbeat_bit(&e->members.hosted, id),
		.fit = heartbeat_bit(&e->members.fit, id),
		.busy = heartbeat_bit(&e->members.busy, id),
	};

	entry_step(c, e, &event, now);
}

static const struct heartbeat_bits nobody;

/* Of a view that was said before, nothing is kept: the epoch of the next is higher. */
static void entry_begin(struct anchor_core *c, struct anchor_entry *e, mono_t now)
{
	const struct group_config config = {
		.self = c->identity.self,
		.number = c->identity.number,
		.alone = c->identity.alone || e->where.internal,
		.incarnation = c->identity.incarnation,
		.segment = e->segment,
		.record = e->record,
	};

	group_init(&e->group, &config, now);
	c->ops->standing(c->ctx, e->where.slot, &nobody);
	if (e->group.sequence < c->sequence)
		e->group.sequence = c->sequence;
	e->linked = e->leaving = e->listening = false;
	e->listen_due = MONO_NEVER;
	c->due[e->record->id] = group_next_expiry(&e->group).ns;
	c->names[e->record->id] = heartbeat_cluster(e->segment, e->record->name, e->record->key);
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++)
		if (heartbeat_bit(&e->members.hosted, id) || heartbeat_bit(&e->members.busy, id))
			entry_member(c, e, id, now);
}

static void leases_end(struct anchor_core *c, const struct anchor_entry *e)
{
	const mono_t none = { 0 };

	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		c->ops->lease(c->ctx, e->where.slot, i, none, none);
	c->ops->own(c->ctx, e->where.slot, none);
	c->ops->standing(c->ctx, e->where.slot, &nobody);
}

static void entry_end(struct anchor_core *c, struct anchor_entry *e)
{
	leases_end(c, e);
	if (e->group.sequence > c->sequence)
		c->sequence = e->group.sequence;
}

void entry_drop(struct anchor_core *c, struct anchor_entry *e)
{
	const uint32_t id = e->record->id;

	entry_end(c, e);
	cluster_release(e->record);
	mem_free(c->mem, e);
	c->entries[id] = NULL;
	c->due[id] = MONO_NEVER.ns;
	c->names[id] = 0;
	c->ops->gone(c->ctx, id);
}

/* --- what is told ---------------------------------------------------------------------------- */

void anchor_core_identity(struct anchor_core *c, const struct anchor_identity *identity, mono_t now)
{
	if (uuid_equal(&c->identity.self, &identity->self) &&
	    c->identity.number == identity->number && c->identity.alone == identity->alone &&
	    c->identity.incarnation == identity->incarnation)
		return;
	c->identity = *identity;
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++) {
		struct group_event known = { .kind = GROUP_CLAIMED };
		struct anchor_entry *e = c->entries[i];
		uint64_t epochs[CLUSTER_FACES_MAX];

		if (e && e->leaving) /* whom it would hand over to knows it by another name */
			entry_drop(c, e);
		if (!c->entries[i])
			continue;
		for (unsigned int f = 0; f < CLUSTER_FACES_MAX; f++)
			epochs[f] = e->group.faces[f].beyond > e->group.faces[f].epoch
					    ? e->group.faces[f].beyond
					    : e->group.faces[f].epoch;
		entry_end(c, e);
		entry_begin(c, e, now);
		for (unsigned int f = 0; f < e->record->face_count; f++) {
			known.face = (uint8_t)f;
			known.epoch = epochs[f];
			if (epochs[f])
				entry_step(c, e, &known, now);
		}
		entry_link(c, e, now);
	}
}

static void where_set(struct anchor_entry *e, const struct anchor_where *where)
{
	if (e->where.ifindex != where->ifindex)
		e->usable = false; /* nobody has looked at that one yet */
	snprintf(e->segment, sizeof(e->segment), "%s", where->segment);
	e->where = *where;
	e->where.segment = e->segment;
}

static bool goes_on(const struct anchor_entry *e, const struct cluster *record,
		    const struct anchor_where *where)
{
	return !e->leaving && e->where.slot == where->slot &&
	       e->where.internal == where->internal && e->record->mode == record->mode &&
	       strcmp(e->segment, where->segment) == 0 &&
	       strcmp(e->record->name, record->name) == 0 &&
	       memcmp(e->record->key, record->key, sizeof(record->key)) == 0;
}

static void entry_change(struct anchor_core *c, struct anchor_entry *e,
			 const struct cluster *record, const struct anchor_where *where, mono_t now)
{
	const struct group_event event = { .kind = GROUP_RECORD, .record = record };
	const struct cluster *before = e->record;

	where_set(e, where);
	if (before != record) {
		e->record = cluster_hold(record);
		if (e->listening)
			entry_unlisten(c, e, before, record);
		entry_step(c, e, &event, now);
		cluster_release(before);
	}
	entry_link(c, e, now);
}

/* Who leaves and is in the way of another. */
static void slot_clear(struct anchor_core *c, unsigned int slot)
{
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++)
		if (c->entries[i] && c->entries[i]->where.slot == slot) {
			assert(c->entries[i]->leaving);
			entry_drop(c, c->entries[i]);
		}
}

int anchor_core_set(struct anchor_core *c, const struct cluster *record,
		    const struct anchor_where *where, mono_t now)
{
	struct anchor_entry *e = entry_by_id(c, record->id);

	assert(record->id >= 1 && record->id <= CLUSTERS_MAX && record->mode != CLUSTER_CARRY);
	if (e && goes_on(e, record, where)) {
		entry_change(c, e, record, where, now);
		return 0;
	}
	e = mem_alloc(c->mem, sizeof(*e));
	if (!e)
		return -ENOMEM;
	if (c->entries[record->id])
		entry_drop(c, c->entries[record->id]);
	slot_clear(c, where->slot);
	e->record = cluster_hold(record);
	where_set(e, where);
	c->entries[record->id] = e;
	entry_begin(c, e, now);
	entry_link(c, e, now);
	return 0;
}

void anchor_core_remove(struct anchor_core *c, uint32_t cluster, mono_t now)
{
	const struct group_event event = { .kind = GROUP_LEAVE };
	struct anchor_entry *e = entry_by_id(c, cluster);

	if (!e || e->leaving)
		return;
	e->leaving = true;
	e->leave_by = mono_after(now, GROUP_SERVE);
	entry_step(c, e, &event, now);
}

void anchor_core_leave(struct anchor_core *c, mono_t now)
{
	for (uint32_t i = 1; i <= CLUSTERS_MAX; i++)
		anchor_core_remove(c, i, now);
}

void anchor_core_link(struct anchor_core *c, int ifindex, bool usable, mono_t now)
{
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++) {
		struct anchor_entry *e = c->entries[i];

		if (!e || !ifindex || e->where.ifindex != ifindex || e->usable == usable)
			continue;
		e->usable = usable;
		entry_link(c, e, now);
	}
}

void anchor_core_members(struct anchor_core *c, uint32_t cluster, const struct anchor_members *m,
			 mono_t now)
{
	struct anchor_entry *e = entry_by_id(c, cluster);
	const struct anchor_members before = e ? e->members : (struct anchor_members){ 0 };

	if (!e)
		return;
	e->members = *m;
	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++) {
		uint8_t differs = (before.hosted.octet[i] ^ m->hosted.octet[i]) |
				  (before.fit.octet[i] ^ m->fit.octet[i]) |
				  (before.busy.octet[i] ^ m->busy.octet[i]);

		for (unsigned int bit = 0; differs >> bit; bit++)
			/* It may be the last step of one that leaves. */
			if (differs >> bit & 1 && c->entries[cluster])
				entry_member(c, e, (uint16_t)(8 * i + bit + 1), now);
	}
}

void anchor_core_event(struct anchor_core *c, uint32_t cluster, const struct group_event *event,
		       mono_t now)
{
	struct anchor_entry *e = entry_by_id(c, cluster);

	assert(event->kind == GROUP_INSTALLED || event->kind == GROUP_COMMITTED ||
	       event->kind == GROUP_CLAIMED || event->kind == GROUP_STRANGER);
	if (e)
		entry_step(c, e, event, now);
}

/* --- what happens ---------------------------------------------------------------------------- */

static struct anchor_entry *entry_of_frame(const struct anchor_core *c, int ifindex, uint16_t vlan,
					   uint64_t name)
{
	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++) {
		struct anchor_entry *e = c->entries[i];

		if (c->names[i] == name && e && e->where.ifindex == ifindex &&
		    e->where.vlan == vlan)
			return e;
	}
	return NULL;
}

/* One that does not say whose it is: everybody's who is there. */
static enum heartbeat_verdict unread(struct anchor_core *c, int ifindex, uint16_t vlan,
				     const void *data, size_t len)
{
	static const uint8_t any_key[HEARTBEAT_KEY_LEN];
	enum heartbeat_verdict verdict = heartbeat_read(data, len, any_key, &c->heartbeat);

	for (unsigned int i = 1; i <= CLUSTERS_MAX && verdict != HEARTBEAT_NOT; i++)
		if (c->entries[i] && c->entries[i]->where.ifindex == ifindex &&
		    c->entries[i]->where.vlan == vlan)
			c->entries[i]->verdicts[verdict]++;
	return verdict;
}

static void pulse_heard(struct anchor_core *c, int ifindex, uint16_t vlan, const struct pulse *p,
			mono_t now)
{
	const struct group_event event = { .kind = GROUP_PULSE, .secret = p->secret };
	struct anchor_entry *e = entry_of_frame(c, ifindex, vlan, p->cluster);

	if (!e || p->kind != PULSE_ANSWER || !group_asks(&e->group, p->secret))
		return;
	e->answered++;
	entry_step(c, e, &event, now);
}

enum heartbeat_verdict anchor_core_frame(struct anchor_core *c, int ifindex, uint16_t vlan,
					 const void *data, size_t len, mono_t now)
{
	struct group_event event = { .kind = GROUP_HEARD, .heartbeat = &c->heartbeat };
	enum heartbeat_verdict verdict;
	struct anchor_entry *e;
	struct pulse pulse;
	uint64_t name;

	if (pulse_read(data, len, &pulse)) {
		pulse_heard(c, ifindex, vlan, &pulse, now);
		return HEARTBEAT_NOT;
	}
	if (!heartbeat_peek(data, len, &name))
		return unread(c, ifindex, vlan, data, len);
	e = entry_of_frame(c, ifindex, vlan, name);
	if (!e)
		return HEARTBEAT_NOT;
	verdict = heartbeat_read(data, len, e->record->key, &c->heartbeat);
	e->verdicts[verdict]++;
	if (verdict != HEARTBEAT_VALID)
		return verdict;
	/* Our own, by a loop of the network, is as old as one that somebody kept. */
	if (memcmp(c->heartbeat.host, c->identity.self.octet, 16) == 0 ||
	    group_is_old(&e->group, &c->heartbeat)) {
		group_overhear(&e->group, &c->heartbeat, now);
		e->replayed++;
		return verdict;
	}
	e->heard++;
	if (c->heartbeat.generation != e->record->generation)
		e->behind++;
	memcpy(event.address.octet, (const uint8_t *)data + 6, sizeof(event.address.octet));
	entry_step(c, e, &event, now);
	return verdict;
}

void anchor_core_time(struct anchor_core *c, mono_t now)
{
	const struct group_event event = { .kind = GROUP_TIME };

	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++)
		if (c->due[i] <= now.ns)
			entry_step(c, c->entries[i], &event, now);
}

mono_t anchor_core_next_expiry(const struct anchor_core *c)
{
	int64_t first = MONO_NEVER.ns;

	for (unsigned int i = 1; i <= CLUSTERS_MAX; i++)
		first = c->due[i] < first ? c->due[i] : first;
	return (mono_t){ first };
}
