/* The shared registry as store/shared.h promises it, and how it fails.
 *
 * Its changes stand in a log.  A host has heard the log up to a place, and what comes is told in
 * order, each after a delay.  Whatever was cut off is told when the host reads anew: the newest
 * state of each key that it missed.  A request that is on its way when its time-out has passed may
 * yet be carried out, also after its host died. */
#include <stdlib.h>
#include <string.h>

#include "fleet_sim.h"

#define LEASE (10 * SECOND)

/* --- nodes ----------------------------------------------------------------------------------- */

static struct node *node_new(struct world *w, const struct shared_record *r)
{
	struct node *n = fs_alloc(sizeof(*n));

	n->refs = 1;
	n->record = shared_copy(&w->mem, r);
	return n;
}

void node_free(struct node *n)
{
	if (!n || --n->refs > 0)
		return;
	free(n->record);
	free(n);
}

static bool node_is(const void *item, const void *key)
{
	return shared_same_key(((const struct node *)item)->record, key);
}

struct node *registry_node(const struct world *w, const struct shared_record *key)
{
	return table_get(&w->live, shared_key_hash(key), key, node_is);
}

const struct shared_record *registry_get(const struct world *w, const struct shared_record *key)
{
	const struct node *n = registry_node(w, key);

	return n ? n->record : NULL;
}

const struct shared_vmac *registry_vmac(const struct world *w, unsigned int n)
{
	struct fleet_name name = name_of(&w->hosts[0], n);
	struct shared_record key = { .kind = SHARED_VMAC,
				     .vmac = { .segment = name.segment, .address = name.address } };
	const struct shared_record *r = registry_get(w, &key);

	return r ? &r->vmac : NULL;
}

bool registry_asked(const struct world *w, unsigned int n)
{
	struct fleet_name name = name_of(&w->hosts[0], n);
	struct shared_record key = { .kind = SHARED_ASK,
				     .ask = { .segment = name.segment, .address = name.address } };

	return registry_get(w, &key) != NULL;
}

int registry_block(const struct world *w, unsigned int n)
{
	struct shared_record key = { .kind = SHARED_BLOCK,
				     .block = { .pool = "p", .number = n / w->block_size } };
	const struct shared_record *r = n < w->pool_size ? registry_get(w, &key) : NULL;

	return r ? host_of(w, &r->block.host) : -1;
}

/* --- telling --------------------------------------------------------------------------------- */

static struct message *put(struct host *h, enum message_kind kind, int64_t delay)
{
	struct world *w = h->world;
	struct message *m = fs_alloc(sizeof(*m));
	int64_t at = w->now + delay;

	m->kind = kind;
	*h->last = m;
	h->last = &m->next;
	if (at < h->channel_at)
		at = h->channel_at;
	h->channel_at = at;
	world_push(w, at, EVENT_CHANNEL, h->index)->generation = h->generation;
	return m;
}

static int64_t delay(struct world *w)
{
	return chance_span(&w->chance, MS / 10, 2 * MS);
}

static void tell(struct host *h, enum message_kind kind, struct node *n, size_t at)
{
	struct message *m = put(h, kind, delay(h->world));

	m->node = n;
	m->log = at;
	n->refs++;
}

static void tell_log(struct host *h, size_t at)
{
	struct world *w = h->world;
	bool lost = chance_percent(&w->chance, h->told_lost);

	if (lost)
		host_disturb(h);
	tell(h, lost ? MESSAGE_SKIP : MESSAGE_TOLD, w->log[at], at);
}

static void tell_newest(struct host *h, const struct shared_record *key)
{
	struct world *w = h->world;
	struct node *n = registry_node(w, key);
	struct shared_record gone = *key;

	if (n) {
		tell(h, MESSAGE_NEWEST, n, 0);
		return;
	}
	gone.revision = 0;
	n = node_new(w, &gone);
	tell(h, MESSAGE_NEWEST, n, 0);
	node_free(n);
}

static void append(struct world *w, struct node *n)
{
	if (w->log_count == w->log_room) {
		w->log_room = w->log_room ? 2 * w->log_room : 256;
		w->log = realloc(w->log, w->log_room * sizeof(*w->log));
		if (!w->log)
			abort();
	}
	w->log[w->log_count++] = n;
	n->refs++;
	for (unsigned int i = 0; i < w->host_count; i++)
		if (w->hosts[i].fleet && w->hosts[i].connected)
			tell_log(&w->hosts[i], w->log_count - 1);
}

/* What this host has not heard, or all that there is. */
static void read_anew(struct host *h, bool all)
{
	struct world *w = h->world;
	bool first = h->heard == 0;

	for (size_t i = all ? 0 : h->heard; i < w->log_count; i++) {
		struct node *n = w->log[i];

		if (n->superseded || ((first || (all && i < h->heard)) && n->record->revision == 0))
			continue;
		tell(h, MESSAGE_TOLD, n, i);
	}
	for (size_t i = 0; i < h->skipped_count; i++)
		tell_newest(h, w->log[h->skipped[i]]->record);
	put(h, MESSAGE_COMPLETE, 0)->revision = w->revision;
	h->skipped_count = 0;
}

void registry_connect(struct host *h, bool all)
{
	if (!h->fleet || h->cut || h->world->down)
		return;
	registry_channel_drop(h);
	h->connected = true;
	put(h, MESSAGE_REACH, delay(h->world));
	read_anew(h, all);
	h->lease_at = INT64_MAX;
}

void registry_cut(struct host *h, bool cut)
{
	struct world *w = h->world;

	h->cut = cut;
	if (!cut) {
		if (!w->down)
			registry_connect(h, chance_percent(&w->chance, 30));
		return;
	}
	host_disturb(h);
	if (h->connected)
		world_push(w, w->now + LEASE + w->lease_stretch, EVENT_LEASE, h->index);
	if (!h->connected || !h->fleet)
		return;
	h->connected = false;
	registry_channel_drop(h);
	h->lease_at = w->now + LEASE + w->lease_stretch;
	put(h, MESSAGE_REACH, chance_span(&w->chance, 0, FS_TIMEOUT))->bad = true;
}

void registry_reconcile(struct host *h)
{
	if (h->connected)
		read_anew(h, false);
}

/* --- writing --------------------------------------------------------------------------------- */

static void commit(struct world *w, const struct shared_record *r, bool gone)
{
	struct node *before = registry_node(w, r), *after;
	struct shared_record is = *r;

	if (gone && !before)
		return;
	is.revision = gone ? 0 : ++w->revision;
	w->revision += gone;
	check_record(w, before ? before->record : NULL, gone ? NULL : &is);
	w->commits++;
	after = node_new(w, &is);
	if (before) {
		before->superseded = true;
		table_remove(&w->live, shared_key_hash(r), before);
	}
	if (!gone && table_add(&w->live, shared_key_hash(r), after) < 0)
		abort();
	if (!gone)
		after->refs++;
	if (r->kind != SHARED_IMAGE)
		append(w, after);
	node_free(before);
	node_free(after);
}

static bool mutated(const struct world *w, enum shared_kind kind)
{
	return w->scenario->mutation == FS_MUTATE_CLAIM_NO_COMPARE && kind == SHARED_VMAC;
}

static bool compares(const struct world *w, const struct txn *t)
{
	for (unsigned int i = 0; i < t->count; i++) {
		const struct shared_record *is = registry_get(w, t->puts[i].record);

		if (mutated(w, t->puts[i].record->kind))
			continue;
		if ((is ? is->revision : 0) != t->puts[i].record->revision)
			return false;
	}
	return true;
}

static void txn_free(struct txn *t)
{
	if (--t->refs > 0)
		return;
	for (unsigned int i = 0; i < t->count; i++)
		free((void *)t->puts[i].record);
	free(t);
}

static void answer(struct host *h, struct txn *t, enum shared_outcome outcome)
{
	struct message *m;

	if (t->answered || t->generation != h->generation || !h->fleet)
		return;
	t->answered = true;
	m = put(h, t->read ? MESSAGE_IMAGE : MESSAGE_OUTCOME, delay(h->world));
	m->outcome = (uint8_t)outcome;
	m->token = t->token;
	m->revision = h->world->revision;
	if (t->read && outcome == SHARED_DONE) {
		m->node = registry_node(h->world, t->puts[0].record);
		if (m->node)
			m->node->refs++;
	}
}

void registry_submit(struct host *h, const struct shared_put *puts, unsigned int count,
		     uint64_t token, bool read)
{
	struct world *w = h->world;
	struct txn *t = fs_alloc(sizeof(*t));
	struct event *e;
	bool late = h->late > 0 && chance_percent(&w->chance, 50);
	bool mute = w->scenario->mutation == FS_MUTATE_MUTE && h->index == 1 && !read &&
		    puts[0].record->kind == SHARED_ASK;

	h->requests++;
	t->refs = 2;
	t->generation = h->generation;
	t->read = read;
	t->token = token;
	for (; !mute && t->count < count; t->count++) {
		t->puts[t->count] = puts[t->count];
		t->puts[t->count].record = shared_copy(&w->mem, puts[t->count].record);
	}
	e = world_push(w, w->now + (late ? chance_span(&w->chance, 0, h->late) : delay(w)),
		       EVENT_REQUEST, h->index);
	e->p = t;
	e = world_push(w, w->now + FS_TIMEOUT, EVENT_TIMEOUT, h->index);
	e->p = t;
}

void registry_request(struct world *w, struct event *e)
{
	struct host *h = &w->hosts[e->host];
	struct txn *t = e->p;
	enum shared_outcome outcome = SHARED_DONE;

	if (h->cut || w->down || !h->power) {
		txn_free(t);
		return;
	}
	if (!t->read && w->full) {
		outcome = SHARED_REFUSED;
	} else if (!t->read && !compares(w, t)) {
		outcome = SHARED_LOST;
		for (unsigned int i = 0; i < t->count && h->connected; i++)
			if (t->puts[i].record->kind != SHARED_IMAGE)
				tell_newest(h, t->puts[i].record);
	} else if (!t->read) {
		for (unsigned int i = 0; i < t->count; i++)
			if (!t->puts[i].compare_only)
				commit(w, t->puts[i].record, t->puts[i].gone);
	}
	if (!chance_percent(&w->chance, h->answers_lost))
		answer(h, t, outcome);
	txn_free(t);
}

void registry_timeout(struct world *w, struct event *e)
{
	answer(&w->hosts[e->host], e->p, SHARED_UNREACHABLE);
	txn_free(e->p);
}

/* --- hearing --------------------------------------------------------------------------------- */

void registry_channel_drop(struct host *h)
{
	struct message *m, *kept = NULL, **last = &kept;

	/* Answers still come: what they say is only that there is one. */
	while ((m = h->first)) {
		h->first = m->next;
		if (h->fleet && (m->kind == MESSAGE_OUTCOME || m->kind == MESSAGE_IMAGE)) {
			m->next = NULL;
			m->outcome = SHARED_UNREACHABLE;
			*last = m;
			last = &m->next;
			continue;
		}
		node_free(m->node);
		free(m);
	}
	h->first = kept;
	h->last = kept ? last : &h->first;
}

static void skip(struct host *h, size_t at)
{
	if (h->skipped_count == h->skipped_room) {
		h->skipped_room = h->skipped_room ? 2 * h->skipped_room : 16;
		h->skipped = realloc(h->skipped, h->skipped_room * sizeof(*h->skipped));
		if (!h->skipped)
			abort();
	}
	h->skipped[h->skipped_count++] = at;
}

static void hear(struct host *h, const struct message *m, const struct error *error)
{
	struct world *w = h->world;
	bool deaf = w->scenario->mutation == FS_MUTATE_DEAF && h->index == 0 && w->moves > 0;

	switch ((enum message_kind)m->kind) {
	case MESSAGE_TOLD:
		if (m->log + 1 > h->heard)
			h->heard = m->log + 1;
		__attribute__((fallthrough));
	case MESSAGE_NEWEST:
		w->told++;
		if (m->node->record->kind == SHARED_VMAC && w->vm_of) {
			const struct shared_vmac *r = &m->node->record->vmac;

			if (uuid_equal(&r->holder, &h->uuid) || uuid_equal(&r->to, &h->uuid))
				world_tell(w, (int)h->index, "told", r->state, (int64_t)r->epoch);
		}
		if (!deaf)
			fleet_told(h->fleet, m->node->record, host_now(h));
		return;
	case MESSAGE_SKIP:
		if (m->log + 1 > h->heard)
			h->heard = m->log + 1;
		skip(h, m->log);
		return;
	case MESSAGE_COMPLETE:
		fleet_complete(h->fleet, m->revision, host_now(h));
		h->missed = h->skipped_count > 0;
		return;
	case MESSAGE_OUTCOME:
		fleet_outcome(h->fleet, m->token, (enum shared_outcome)m->outcome, m->revision,
			      m->outcome == SHARED_DONE ? NULL : error, host_now(h));
		return;
	case MESSAGE_IMAGE:
		fleet_image(h->fleet, m->token,
			    m->outcome == SHARED_DONE && m->node ? m->node->record : NULL,
			    m->outcome == SHARED_DONE ? NULL : error, host_now(h));
		return;
	case MESSAGE_REACH:
		fleet_reach(h->fleet, m->bad ? error : NULL, host_now(h));
		return;
	}
}

void registry_channel(struct host *h)
{
	struct message *m = h->first;
	struct error error;

	if (!m || !h->fleet)
		return;
	h->first = m->next;
	if (!h->first)
		h->last = &h->first;
	error_set(&error,
		  m->outcome == SHARED_REFUSED ? ERROR_REGISTRY_FULL : ERROR_REGISTRY_UNREACHABLE,
		  NULL, "%s", m->outcome == SHARED_REFUSED ? "no space" : "out of reach");
	hear(h, m, &error);
	node_free(m->node);
	free(m);
	host_leave(h);
}

/* --- leases, backups ------------------------------------------------------------------------- */

void registry_lease(struct world *w, struct host *h)
{
	struct shared_record key = { .kind = SHARED_ALIVE, .alive = { .host = h->uuid } };
	const struct shared_record *is = registry_get(w, &key);
	struct shared_record r;

	if (w->down)
		world_push(w, w->now + LEASE, EVENT_LEASE, h->index);
	if (!is || w->down)
		return;
	r = *is;
	commit(w, &r, true);
	if (w->scenario->mutation != FS_MUTATE_LEASE_IS_DEATH)
		return;
	key = (struct shared_record){ .kind = SHARED_HOST, .host = { .uuid = h->uuid } };
	is = registry_get(w, &key);
	if (is) {
		r = *is;
		r.host.state = HOST_DEAD;
		snprintf(r.host.fenced_by, sizeof(r.host.fenced_by), "a lease");
		commit(w, &r, false);
		for (unsigned int v = 0; v < w->vm_count; v++)
			for (unsigned int o = 0; o < w->host_count; o++)
				if (w->vms[v].exists && w->vms[v].at == h->index && o != h->index &&
				    w->hosts[o].fleet && !w->hosts[o].cut)
					vm_up(w, &w->vms[v], o, true);
	}
}

static void backup_drop(struct world *w)
{
	for (size_t i = 0; i < w->backup_count; i++)
		node_free(w->backup[i]);
	free(w->backup);
	w->backup = NULL;
	w->backup_count = 0;
}

void registry_backup(struct world *w)
{
	backup_drop(w);
	w->backup = fs_alloc((w->live.count + 1) * sizeof(*w->backup));
	table_for_each (&w->live, struct node, n) {
		n->refs++;
		w->backup[w->backup_count++] = n;
	}
}

static bool in_backup(const struct world *w, const struct shared_record *key)
{
	for (size_t i = 0; i < w->backup_count; i++)
		if (shared_same_key(w->backup[i]->record, key))
			return true;
	return false;
}

/* Members that were restored count on from where they were; hosts read everything anew. */
void registry_restore(struct world *w)
{
	struct shared_record **gone = fs_alloc((w->live.count + 1) * sizeof(*gone));
	size_t count = 0;

	if (w->backup_count == 0) {
		free(gone);
		return;
	}
	for (unsigned int i = 0; i < w->host_count; i++) {
		w->hosts[i].connected = false;
		host_disturb(&w->hosts[i]);
		if (w->hosts[i].fleet)
			registry_channel_drop(&w->hosts[i]);
	}
	table_for_each (&w->live, struct node, n)
		if (!in_backup(w, n->record))
			gone[count++] = shared_copy(&w->mem, n->record);
	w->restored = true;
	w->restoring = true; /* the checkers' leave: records go back */
	for (size_t i = 0; i < count; i++) {
		commit(w, gone[i], true);
		free(gone[i]);
	}
	for (size_t i = 0; i < w->backup_count; i++)
		commit(w, w->backup[i]->record, false);
	w->restoring = false;
	free(gone);
	for (unsigned int i = 0; i < w->host_count; i++)
		registry_connect(&w->hosts[i], chance_percent(&w->chance, 50));
}

void registry_init(struct world *w)
{
	table_init(&w->live, &w->mem);
}

void registry_done(struct world *w)
{
	backup_drop(w);
	table_for_each (&w->live, struct node, n)
		node_free(n);
	table_done(&w->live);
	for (size_t i = 0; i < w->log_count; i++)
		node_free(w->log[i]);
	free(w->log);
}
