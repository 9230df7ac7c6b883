/* What others are shown of a cluster. */
#include <string.h>

#include "anchor/inside.h"

#define NS_PER_MS 1000000

static const struct anchor_entry *entry_at(const struct anchor_core *c, uint32_t id)
{
	return id >= 1 && id <= CLUSTERS_MAX ? c->entries[id] : NULL;
}

bool entry_hosts(const struct anchor_entry *e)
{
	uint8_t all = 0;

	for (unsigned int i = 0; i < HEARTBEAT_BITMAP_MAX; i++)
		all |= e->members.hosted.octet[i];
	return all;
}

bool anchor_core_place(const struct anchor_core *c, uint32_t cluster, struct anchor_place *ret)
{
	const struct anchor_entry *e = entry_at(c, cluster);

	if (!e)
		return false;
	*ret = (struct anchor_place){
		.record = e->record,
		.where = &e->where,
		.hosts = entry_hosts(e),
		.leaving = e->leaving,
	};
	return true;
}

const struct group *anchor_core_group(const struct anchor_core *c, uint32_t cluster)
{
	const struct anchor_entry *e = entry_at(c, cluster);

	return e ? &e->group : NULL;
}

static void look_faces(const struct anchor_core *c, const struct anchor_entry *e, mono_t now,
		       struct anchor_view *v)
{
	v->face_count = e->record->face_count;
	for (unsigned int i = 0; i < v->face_count; i++) {
		const struct group_face *f = &e->group.faces[i];

		v->faces[i].active = f->active;
		v->faces[i].holder = f->active ? c->identity.number : f->holder;
		v->faces[i].epoch = f->epoch;
		v->faces[i].lease_ms = -1;
		if (f->active && f->lease.ns < MONO_NEVER.ns)
			v->faces[i].lease_ms =
				f->lease.ns > now.ns ? mono_since(f->lease, now).ns / NS_PER_MS : 0;
	}
}

static void look_peers(const struct anchor_entry *e, mono_t now, struct anchor_view *v)
{
	for (unsigned int i = 0; i < GROUP_PEERS_MAX; i++) {
		const struct group_peer *p = &e->group.peers[i];
		unsigned int n = v->peer_count;

		if (!p->there)
			continue;
		memcpy(v->peers[n].host, p->host, sizeof(p->host));
		v->peers[n].number = p->number;
		v->peers[n].heard_ms = mono_since(now, p->heard).ns / NS_PER_MS;
		v->peer_count++;
	}
}

bool anchor_core_look(const struct anchor_core *c, uint32_t cluster, mono_t now,
		      struct anchor_view *ret)
{
	const struct anchor_entry *e = entry_at(c, cluster);

	if (!e)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->installed = e->group.installed;
	ret->committed = e->group.committed;
	ret->coordinator = e->group.faces[0].active;
	ret->linked = e->linked;
	ret->fail_open = e->group.fail_open;
	look_faces(c, e, now, ret);
	look_peers(e, now, ret);
	for (unsigned int i = 0; i < e->record->member_count; i++) {
		ret->live[i] = group_member_live(&e->group, e->record->members[i].id);
		ret->hosts[i] = group_member_host(&e->group, e->record->members[i].id);
	}
	ret->sent = e->sent;
	ret->heard = e->heard;
	ret->late = e->late;
	ret->transitions = e->transitions;
	ret->replayed = e->replayed;
	ret->behind = e->behind;
	ret->asked = e->asked;
	ret->answered = e->answered;
	memcpy(ret->verdicts, e->verdicts, sizeof(ret->verdicts));
	return true;
}
