/* Clusters that are everybody's, and who the anchor of their faces is.
 *
 * A cluster's record is told on to the engine and kept, so that one that was deleted while this
 * host was away is known from one that was always this host's alone.  It is told on only when all
 * was read: clusters come before META, which says whose registry this is.  And that one is gone is
 * believed after a moment, because our own host's record, which says that the registry is older
 * than what we know, may be told after it: then what a backup has lost is written again.
 *
 * A face is a vMAC of kind cluster with a record of its own, and its holder is its anchor.  Anchors
 * are leased on the wire (balance/group.h); the registry is told behind the fact.  So a face has a
 * place and no machine: whatever the record says, the journal follows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "fleet/inside.h"

static uint64_t name_hash(const char *name)
{
	return hash_bytes(name, strlen(name), 0);
}

static bool cluster_is(const void *item, const void *key)
{
	return strcmp(((const struct cluster_state *)item)->name, key) == 0;
}

static struct cluster_state *cluster_find(const struct fleet *f, const char *name)
{
	return table_get(&f->clusters, name_hash(name), name, cluster_is);
}

static struct cluster_state *cluster_get(struct fleet *f, const char *name)
{
	struct cluster_state *c = cluster_find(f, name);

	if (c)
		return c;
	c = mem_alloc(f->mem, sizeof(*c));
	if (!c)
		return NULL;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->gone_at = MONO_NEVER;
	if (table_add(&f->clusters, name_hash(name), c) < 0) {
		mem_free(f->mem, c);
		return NULL;
	}
	return c;
}

static void cluster_free(struct fleet *f, struct cluster_state *c)
{
	list_remove(&c->write.link);
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		list_remove(&c->faces[i].write.link);
	mem_free(f->mem, c->record);
	mem_free(f->mem, c->kept);
	mem_free(f->mem, c);
}

static const struct cluster *body(const struct shared_record *r)
{
	return r->cluster.cluster;
}

const struct shared_record *cluster_agreed(const struct fleet *f, const char *name)
{
	const struct cluster_state *c = cluster_find(f, name);

	return c ? c->record : NULL;
}

/* --- told ------------------------------------------------------------------------------------ */

void cluster_told(struct fleet *f, const struct shared_record *r)
{
	struct cluster_state *c = cluster_find(f, body(r)->name);
	struct shared_record *copy = NULL;

	if (c && c->record ? c->record->revision == r->revision : r->revision == 0)
		return;
	if (r->revision > 0) {
		c = cluster_get(f, body(r)->name);
		copy = c ? shared_copy(f->mem, r) : NULL;
		if (!copy) {
			fleet_short(f);
			return;
		}
	}
	mem_free(f->mem, c->record);
	c->record = copy;
	f->clusters_changed = true;
}

int cluster_load(struct fleet *f, const struct shared_record *kept)
{
	struct cluster_state *c = cluster_get(f, body(kept)->name);

	if (!c)
		return -ENOMEM;
	if (!c->kept)
		c->kept = shared_copy(f->mem, kept);
	return c->kept ? 0 : -ENOMEM;
}

void clusters_start(struct fleet *f)
{
	table_for_each (&f->clusters, struct cluster_state, c)
		f->ops->cluster(f->ctx, &c->kept->cluster, false);
}

/* --- what the engine and the journal are told ------------------------------------------------ */

/* One that was made anew under the same name is another. */
static bool is_same(const struct shared_record *a, const struct shared_record *b)
{
	return memcmp(body(a)->key, body(b)->key, sizeof(body(a)->key)) == 0;
}

/* A face whose anchor is of the living says itself that it is released; one whose anchor was
 * forgotten, while its cluster lived, has nobody else. */
static void release_faces(struct fleet *f, const struct shared_cluster *c)
{
	for (unsigned int i = 0; i < c->cluster->face_count; i++) {
		struct shared_record key =
			vmac_key_record(c->segment, c->cluster->faces[i], SHARED_VMAC);
		const struct shared_record *is = mirror_get(f, &key);

		if (!is || is->vmac.kind != VMAC_CLUSTER || is->vmac.state != SHARED_HELD ||
		    host_record(f, &is->vmac.holder) || !host_is_first(f))
			continue;
		if (orphan_new(f, is, NULL, true) < 0)
			fleet_short(f);
	}
}

static void tell_gone(struct fleet *f, struct cluster_state *c)
{
	release_faces(f, &c->kept->cluster);
	/* The journal forgets what was kept last: were it first, and then a crash, the cluster
	 * would look like one that is this host's alone. */
	f->ops->cluster(f->ctx, &c->kept->cluster, true);
	f->ops->keep(f->ctx, c->kept, NULL, 0);
	mem_free(f->mem, c->kept);
	c->kept = NULL;
	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		c->faces[i].epoch = 0;
}

static void tell(struct fleet *f, struct cluster_state *c)
{
	struct shared_record *copy = shared_copy(f->mem, c->record);

	if (!copy) {
		fleet_short(f);
		return;
	}
	if (c->kept && !is_same(c->kept, copy))
		tell_gone(f, c);
	f->ops->keep(f->ctx, c->kept, copy, 0);
	mem_free(f->mem, c->kept);
	c->kept = copy;
	f->ops->cluster(f->ctx, &copy->cluster, false);
}

/* What a backup took back. */
static void tell_again(struct fleet *f, struct cluster_state *c)
{
	struct shared_record r = *c->kept;

	r.revision = c->record ? c->record->revision : 0;
	if (fleet_may_claim(f) && write_ready(f, &c->write))
		write_send(f, &c->write, WRITE_CLUSTER, &r, false);
}

static void cluster_settle(struct fleet *f, struct cluster_state *c)
{
	if (c->record) {
		c->gone_at = MONO_NEVER;
		if (c->kept && is_same(c->kept, c->record) &&
		    body(c->record)->generation < body(c->kept)->generation)
			tell_again(f, c);
		else if (!c->kept || !shared_equal(c->kept, c->record))
			tell(f, c);
		return;
	}
	if (!c->kept)
		return;
	if (c->gone_at.ns == MONO_NEVER.ns)
		c->gone_at = mono_after(f->now, FLEET_LOST_WAIT);
	fleet_retry_at(f, c->gone_at);
	if (!mono_due(c->gone_at, f->now))
		return;
	if (f->behind > 0)
		tell_again(f, c);
	else
		tell_gone(f, c);
}

static bool is_needless(const struct cluster_state *c)
{
	bool pending = write_pending(&c->write);

	for (unsigned int i = 0; i < CLUSTER_FACES_MAX; i++)
		pending |= write_pending(&c->faces[i].write);
	return !c->record && !c->kept && !pending;
}

/* --- anchors --------------------------------------------------------------------------------- */

/* Whether the record says it, or says what counts for more.  Of two at one epoch the lower number
 * has it, as on the wire. */
static bool is_said(const struct fleet *f, const struct shared_vmac *r, uint64_t epoch)
{
	const struct shared_host *other = host_record(f, &r->holder);

	if (r->state == SHARED_RELEASED || r->epoch > epoch)
		return true;
	if (r->epoch < epoch)
		return false;
	return uuid_equal(&r->holder, &f->self) ||
	       (other && f->me->record && other->number < f->me->record->host.number);
}

static void face_compose(struct fleet *f, const struct fleet_name *n, struct shared_record *r)
{
	const char *pool = "";
	const struct vmac *v = f->ops->journal(f->ctx, n, &pool);
	uint64_t number;

	if (r->revision > 0)
		return;
	if (v) {
		vmac_fill(f, v, n->segment, pool, &r->vmac);
	} else {
		f->ops->locate(f->ctx, n, &pool, &number);
		r->vmac.pool = pool;
	}
	r->vmac.kind = VMAC_CLUSTER;
}

static void anchor_settle(struct fleet *f, struct cluster_state *c, unsigned int i)
{
	struct fleet_name n = { c->record->cluster.segment, body(c->record)->faces[i] };
	struct shared_record r = vmac_key_record(n.segment, n.address, SHARED_VMAC);
	const struct shared_record *is = mirror_get(f, &r);
	struct face_state *face = &c->faces[i];

	if (face->epoch == 0 || write_pending(&face->write) || !fleet_may_claim(f))
		return;
	if (is && is_said(f, &is->vmac, face->epoch)) {
		face->epoch = 0;
		return;
	}
	if (!write_ready(f, &face->write))
		return;
	if (is)
		r = *is;
	face_compose(f, &n, &r);
	r.vmac.state = SHARED_HELD;
	r.vmac.holder = f->self;
	r.vmac.to = r.vmac.move = (struct uuid){ { 0 } };
	r.vmac.lifetime_ms = r.vmac.quarantine_ms = 0;
	r.vmac.epoch = face->epoch;
	r.vmac.request = fleet_uuid(f);
	write_send(f, &face->write, WRITE_ANCHOR, &r, false);
}

void fleet_anchor(struct fleet *f, const struct fleet_name *n, uint64_t epoch, mono_t now)
{
	f->now = now;
	table_for_each (&f->clusters, struct cluster_state, c) {
		const struct shared_record *r = c->record ? c->record : c->kept;

		if (!r || strcmp(r->cluster.segment, n->segment) != 0)
			continue;
		for (unsigned int i = 0; i < body(r)->face_count; i++)
			if (vmac_mac_equal(body(r)->faces[i], n->address) &&
			    c->faces[i].epoch < epoch)
				c->faces[i].epoch = epoch;
	}
	clusters_settle(f);
}

void clusters_settle(struct fleet *f)
{
	if (!f->complete || f->apart == APART_CLUSTER || f->apart == APART_FORMAT)
		return;
	f->clusters_changed = false;
	table_for_each (&f->clusters, struct cluster_state, c) {
		cluster_settle(f, c);
		for (unsigned int i = 0; c->record && i < body(c->record)->face_count; i++)
			anchor_settle(f, c, i);
		if (is_needless(c)) {
			table_remove(&f->clusters, name_hash(c->name), c);
			cluster_free(f, c);
		}
	}
}

void cluster_outcome(struct fleet *f, struct write *w, enum shared_outcome outcome)
{
	write_later(f, w, outcome);
	clusters_settle(f);
}

/* --- faces ----------------------------------------------------------------------------------- */

bool face_lives(const struct fleet *f, const struct shared_vmac *v)
{
	if (v->kind != VMAC_CLUSTER)
		return false;
	table_for_each (&f->clusters, struct cluster_state, c) {
		const struct shared_record *r = c->record ? c->record : c->kept;

		if (!r || strcmp(r->cluster.segment, v->segment) != 0)
			continue;
		for (unsigned int i = 0; i < body(r)->face_count; i++)
			if (vmac_mac_equal(body(r)->faces[i], v->address))
				return true;
	}
	return false;
}

void face_settle(struct fleet *f, struct place *p)
{
	const struct shared_vmac *r = p->record ? &p->record->vmac : NULL;
	struct shared_host buf = { .number = 0 };
	struct fleet_name n = place_name(p);
	const struct shared_host *peer;

	if (!r || r->state == SHARED_RELEASED || p->holding || !p->local)
		return;
	if (uuid_equal(&r->holder, &f->self)) {
		/* One that the journal never had is vmac_settle()'s. */
		if (p->local_state == VMAC_AWAY || (place_holds(p) && p->local_epoch < r->epoch)) {
			p->holding = true;
			f->ops->hold(f->ctx, r, r->epoch);
		}
		return;
	}
	if (!place_holds(p) || p->local_epoch > r->epoch)
		return;
	peer = host_record(f, &r->holder);
	buf.uuid = r->holder;
	f->ops->yield(f->ctx, &n, peer ? peer : &buf, r->epoch);
}

/* --- agreed upon ----------------------------------------------------------------------------- */

static bool shares_face(const struct cluster *a, const struct cluster *b)
{
	for (unsigned int i = 0; i < a->face_count; i++)
		for (unsigned int j = 0; j < b->face_count; j++)
			if (vmac_mac_equal(a->faces[i], b->faces[j]))
				return true;
	return false;
}

static bool shares_address(const struct cluster *a, const struct cluster *b)
{
	for (unsigned int i = 0; i < a->address_count; i++)
		for (unsigned int j = 0; j < b->address_count; j++)
			if (ip_equal(&a->addresses[i], &b->addresses[j]))
				return true;
	return false;
}

bool cluster_refused(const struct fleet *f, const struct shared_record *wanted,
		     const struct shared_record *is, struct error *e)
{
	const struct cluster *w = body(wanted);

	if (is && (w->generation != body(is)->generation + 1 || !is_same(is, wanted) ||
		   strcmp(is->cluster.segment, wanted->cluster.segment) != 0))
		return error_set(e, ERROR_CONFLICT,
				 w->generation == 1 ? "choose another name"
						    : "look at it, and try again",
				 "cluster %s of segment %s is agreed upon otherwise, as its "
				 "generation %llu",
				 w->name, is->cluster.segment,
				 (unsigned long long)body(is)->generation) < 0;
	if (!is && w->generation != 1)
		return error_set(e, ERROR_CONFLICT, "make it anew", "cluster %s was deleted",
				 w->name) < 0;
	table_for_each (&f->clusters, struct cluster_state, c) {
		if (!c->record || strcmp(c->name, w->name) == 0 ||
		    strcmp(c->record->cluster.segment, wanted->cluster.segment) != 0)
			continue;
		if (shares_face(body(c->record), w) || shares_address(body(c->record), w))
			return error_set(e, ERROR_ADDRESS_IN_USE, NULL,
					 "cluster %s has one of its %s", c->name,
					 shares_face(body(c->record), w) ? "faces" : "addresses") <
			       0;
	}
	return false;
}

bool cluster_takes(const struct shared_record *wanted, const struct shared_record *is)
{
	const struct cluster *a = body(wanted), *b = is ? body(is) : NULL;

	if (!b || a->face_count != b->face_count || a->address_count != b->address_count)
		return true;
	for (unsigned int i = 0; i < a->face_count; i++)
		if (!vmac_mac_equal(a->faces[i], b->faces[i]))
			return true;
	for (unsigned int i = 0; i < a->address_count; i++)
		if (!ip_equal(&a->addresses[i], &b->addresses[i]))
			return true;
	return false;
}

void clusters_done(struct fleet *f)
{
	table_for_each (&f->clusters, struct cluster_state, c)
		cluster_free(f, c);
	table_done(&f->clusters);
}
