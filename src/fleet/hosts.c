/* Who is there: hosts, their states, and one that is forgotten. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "fleet/inside.h"

static uint64_t uuid_hash(const struct uuid *u)
{
	return hash_bytes(u->octet, sizeof(u->octet), 0);
}

static bool host_is(const void *item, const void *key)
{
	return uuid_equal(&((const struct host *)item)->uuid, key);
}

struct host *host_find(const struct fleet *f, const struct uuid *u)
{
	return table_get(&f->hosts, uuid_hash(u), u, host_is);
}

struct host *host_get(struct fleet *f, const struct uuid *u)
{
	struct host *h = host_find(f, u);

	if (h)
		return h;
	h = mem_alloc(f->mem, sizeof(*h));
	if (!h)
		return NULL;
	h->uuid = *u;
	if (table_add(&f->hosts, uuid_hash(u), h) < 0) {
		mem_free(f->mem, h);
		return NULL;
	}
	return h;
}

const struct shared_host *host_record(const struct fleet *f, const struct uuid *u)
{
	const struct host *h = host_find(f, u);

	return h && h->record ? &h->record->host : NULL;
}

const char *host_name(const struct fleet *f, const struct uuid *u)
{
	const struct shared_host *h = host_record(f, u);

	if (h)
		return h->name;
	if (uuid_equal(u, &f->self))
		return f->name;
	return uuid_is_none(u) ? "" : "a host that is not in the registry";
}

struct host *host_named(const struct fleet *f, const char *name)
{
	table_for_each (&f->hosts, struct host, h)
		if (h->record && strcmp(h->record->host.name, name) == 0)
			return h;
	return NULL;
}

struct host *host_numbered(const struct fleet *f, uint16_t number)
{
	table_for_each (&f->hosts, struct host, h)
		if (h->record && h->record->host.number == number)
			return h;
	return NULL;
}

bool host_is_dead(const struct fleet *f, const struct uuid *u)
{
	const struct shared_host *h = host_record(f, u);

	return h && host_state_is_dead((enum host_state)h->state);
}

/* --- told ------------------------------------------------------------------------------------ */

static void host_changed(struct fleet *f, struct host *h, const struct shared_record *old)
{
	const struct shared_host *before = old ? &old->host : NULL;
	const struct shared_host *after = h->record ? &h->record->host : NULL;
	const char *name = after ? after->name : before->name;

	if (!f->complete)
		return; /* as it was before we came */
	if (!before)
		note(f, FLEET_HOST, name, "host %s joined", name);
	else if (!after)
		note(f, FLEET_HOST, name, "host %s was forgotten", name);
	else if (before->state != after->state && after->state == HOST_DEAD)
		note(f, FLEET_HOST, name, "host %s was declared dead: %s", name, after->fenced_by);
	else if (before->state != after->state)
		note(f, FLEET_HOST, name, "host %s is %s", name,
		     host_state_name((enum host_state)after->state));
	else if (before->incarnation != after->incarnation)
		note(f, FLEET_HOST, name, "host %s came back", name);
}

/* That a dead host is to be forgotten stands in its record, so that everybody knows it and whoever
 * ordered it may go.  The quarantine counts since we saw it: longer after a restart, never shorter.
 */
static void forget_told(struct fleet *f, struct host *h, const struct shared_record *old)
{
	bool was = old && old->host.state == HOST_FORGOTTEN;
	bool is = h->record && h->record->host.state == HOST_FORGOTTEN;

	if (is && !h->forget) {
		h->forget = true;
		h->forget_from = f->now;
		f->forgetting++;
	} else if (was && !is && h->forget) {
		h->forget = false;
		f->forgetting--;
	}
}

bool host_has_other_key(const struct fleet *f, const struct host *h)
{
	const char *theirs = h->record ? h->record->host.key_check : "";

	return h != f->me && theirs[0] != '\0' && f->key_check[0] != '\0' &&
	       strcmp(theirs, f->key_check) != 0;
}

/* Said once for each that comes so; which of both is wrong nobody knows. */
static void key_told(struct fleet *f, struct host *h, const struct shared_record *old)
{
	if (!host_has_other_key(f, h) ||
	    (old && strcmp(old->host.key_check, h->record->host.key_check) == 0))
		return;
	if (alarm_allowed(f, NULL))
		note(f, FLEET_ALARM, h->record->host.name,
		     "host %s has another cluster key than this one: they do not believe each "
		     "other's announcements, and no move between them can be prepared",
		     h->record->host.name);
}

void host_told(struct fleet *f, const struct shared_record *r)
{
	struct host *h = host_get(f, &r->host.uuid);
	struct shared_record *old, *copy = NULL;

	if (h && (h->record ? h->record->revision == r->revision : r->revision == 0))
		return;
	if (h && r->revision > 0)
		copy = shared_copy(f->mem, r);
	if (!h || (r->revision > 0 && !copy)) {
		fleet_short(f);
		return;
	}
	old = h->record;
	h->record = copy;
	host_changed(f, h, old);
	key_told(f, h, old);
	forget_told(f, h, old);
	/* Ours is kept by join.c, which knows when. */
	if (h != f->me && f->apart != APART_CLUSTER && (copy || h->kept)) {
		f->ops->keep(f->ctx, h->kept ? old : NULL, copy, 0);
		h->kept = copy != NULL;
	}
	mem_free(f->mem, old);
	if (h == f->me)
		self_told(f);
	/* What an ordinary host says of itself changes nothing here. */
	if (h == f->me || f->forgetting > 0 || !copy || host_is_dead(f, &h->uuid) || h->dead_known)
		f->settle_all = true;
}

void alive_told(struct fleet *f, const struct shared_record *r)
{
	struct host *h = host_get(f, &r->alive.host);

	if (!h) {
		fleet_short(f);
		return;
	}
	if (r->revision == h->alive_revision)
		return;
	h->alive_revision = r->revision;
	h->alive_incarnation = r->revision > 0 ? r->alive.incarnation : 0;
	if (h == f->me)
		self_told(f);
}

/* --- states ---------------------------------------------------------------------------------- */

static bool orphans_of(const struct fleet *f, const struct host *h)
{
	LIST_FOR_EACH((struct link *)&f->orphans, l)
	if (OF_LINK(struct orphan, link, l)->host == h)
		return true;
	return false;
}

/* Those that go with it: its faces stay, with their clusters. */
static uint64_t vmacs_of(const struct fleet *f, const struct host *h)
{
	uint64_t count = h->vmacs;

	if (count == 0 || f->clusters.count == 0)
		return count;
	table_for_each (&f->records, struct shared_record, r)
		count -= r->kind == SHARED_VMAC && uuid_equal(&r->vmac.holder, &h->uuid) &&
			 face_lives(f, &r->vmac);
	return count;
}

/* What a forgotten host had goes in two steps: its vMACs are released at once, its blocks when
 * their pools' quarantine is over, counted from the order. */
static void forget_vmacs(struct fleet *f, struct host *h)
{
	table_for_each (&f->records, struct shared_record, r) {
		if (r->kind != SHARED_VMAC || !uuid_equal(&r->vmac.holder, &h->uuid) ||
		    face_lives(f, &r->vmac))
			continue;
		if (h->forget_writes >= FLEET_FORGET_WRITES)
			return;
		if (orphan_new(f, r, h, true) < 0) {
			fleet_short(f);
			return;
		}
	}
}

static void forget_pool(struct fleet *f, struct host *h, struct pool_state *p)
{
	int64_t rest_ms = p->record ? p->record->pool.pool.quarantine_ms : 0;
	mono_t free_at = mono_after(h->forget_from, SPAN_MS(rest_ms));

	if (!mono_due(free_at, f->now)) {
		fleet_retry_at(f, free_at);
		return;
	}
	table_for_each (&p->blocks, struct block, b) {
		struct shared_record r;

		if (b->host != h || h->forget_writes >= FLEET_FORGET_WRITES)
			continue;
		r = block_record(f, b);
		r.block.host = (struct uuid){ { 0 } };
		r.block.request = fleet_uuid(f);
		if (orphan_new(f, &r, h, false) < 0) {
			fleet_short(f);
			return;
		}
	}
}

static void forget_blocks(struct fleet *f, struct host *h)
{
	table_for_each (&f->pools, struct pool_state, p)
		forget_pool(f, h, p);
}

/* One does it for all: of those that are there, the first by uuid. */
bool host_is_first(const struct fleet *f)
{
	table_for_each (&f->hosts, struct host, o)
		if (o != f->me && o->record && o->alive_revision > 0 &&
		    !host_is_dead(f, &o->uuid) && memcmp(&o->uuid, &f->self, sizeof(f->self)) < 0)
			return false;
	return true;
}

static void forget_settle(struct fleet *f, struct host *h)
{
	if (!h->record) {
		h->forget = false;
		f->forgetting--;
		return;
	}
	if (h->record->host.state == HOST_FORGOTTEN && !host_is_first(f)) {
		fleet_retry_at(f, mono_after(f->now, FLEET_FORGET_LOOK));
		return;
	}
	if (!host_is_dead(f, &h->uuid) && (h->blocks > 0 || vmacs_of(f, h) > 0)) {
		/* It came back in time. */
		h->forget = false;
		f->forgetting--;
		note(f, FLEET_HOST, h->record->host.name,
		     "host %s is not forgotten: it came back and holds addresses",
		     h->record->host.name);
		return;
	}
	if (orphans_of(f, h))
		return;
	forget_vmacs(f, h);
	if (vmacs_of(f, h) == 0)
		forget_blocks(f, h);
	if (h->blocks == 0 && vmacs_of(f, h) == 0 && !orphans_of(f, h) && write_ready(f, &h->write))
		write_send(f, &h->write, WRITE_HOST, h->record, true);
}

void host_settle(struct fleet *f, struct host *h)
{
	struct shared_record r;

	if (!fleet_may_write(f) || !write_ready(f, &h->write))
		return;
	/* It came back before its end was written down. */
	if (h->state_wanted && h->state == HOST_FORGOTTEN && !host_is_dead(f, &h->uuid))
		h->state_wanted = false;
	if (h->state_wanted && h->record) {
		r = *h->record;
		r.host.state = h->state;
		snprintf(r.host.fenced_by, sizeof(r.host.fenced_by), "%s", h->fenced_by);
		h->state_wanted = false;
		if (!shared_equal(&r, h->record)) {
			h->state_sent = true;
			write_send(f, &h->write, WRITE_HOST, &r, false);
			return;
		}
	}
	if (h->forget)
		forget_settle(f, h);
}

void host_outcome(struct fleet *f, struct host *h, enum shared_outcome outcome)
{
	bool again = h->state_sent && outcome != SHARED_DONE;

	write_later(f, &h->write, outcome);
	h->state_sent = false;
	/* Its record changed meanwhile: once more, unless it lives after all. */
	if (again && !(host_state_is_dead((enum host_state)h->state) && h->alive_revision > 0))
		h->state_wanted = true;
	host_settle(f, h);
}

void hosts_settle(struct fleet *f)
{
	LIST_FOR_EACH(&f->orphans, l)
	orphan_settle(f, OF_LINK(struct orphan, link, l));
	table_for_each (&f->hosts, struct host, h) {
		bool dead = host_is_dead(f, &h->uuid);

		if (dead && !h->dead_known && h != f->me && f->complete) {
			struct migrate_event e = { .kind = MIGRATE_HOST_DEAD, .host = h->uuid };

			LIST_FOR_EACH(&f->place_list, l)
			move_event(f, OF_LINK(struct place, link, l), &e);
		}
		h->dead_known = dead;
		if (h->forget || h->state_wanted)
			host_settle(f, h);
	}
}

/* --- orphans --------------------------------------------------------------------------------- */

int orphan_new(struct fleet *f, const struct shared_record *r, struct host *h, bool release)
{
	struct orphan *o = mem_alloc(f->mem, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->key = shared_copy(f->mem, r);
	if (!o->key) {
		mem_free(f->mem, o);
		return -ENOMEM;
	}
	o->host = h;
	o->release = release;
	list_add(&f->orphans, &o->link);
	if (h)
		h->forget_writes++;
	orphan_settle(f, o);
	return 0;
}

static void orphan_free(struct fleet *f, struct orphan *o)
{
	if (o->host)
		o->host->forget_writes--;
	list_remove(&o->write.link);
	list_remove(&o->link);
	mem_free(f->mem, o->key);
	mem_free(f->mem, o);
}

void orphan_settle(struct fleet *f, struct orphan *o)
{
	struct shared_record r = *o->key, host;
	struct shared_put puts[2] = { { .record = &r }, { .record = &host, .compare_only = true } };

	if (!fleet_may_write(f) || !write_ready(f, &o->write))
		return;
	/* Nothing is taken from a host but while it is dead: when it comes back first, this is
	 * lost. */
	if (o->host) {
		if (!host_is_dead(f, &o->host->uuid)) {
			orphan_free(f, o);
			return;
		}
		host = *o->host->record;
	}
	if (o->release) {
		const struct pool_state *p = pool_find(f, r.vmac.pool);

		/* Released by the forgetting host, which counts the quarantine where nobody's block
		 * has the number. */
		r.vmac.state = SHARED_RELEASED;
		r.vmac.holder = f->self;
		r.vmac.to = (struct uuid){ { 0 } };
		r.vmac.request = fleet_uuid(f);
		r.vmac.quarantine_ms = p && p->record ? p->record->pool.pool.quarantine_ms : 0;
		r.vmac.epoch++;
	}
	puts[0].gone = !o->release && r.kind == SHARED_VMAC;
	write_send_all(f, &o->write, WRITE_ORPHAN, puts, o->host ? 2 : 1);
}

void orphan_outcome(struct fleet *f, struct orphan *o, enum shared_outcome outcome)
{
	struct host *h = o->host;

	write_later(f, &o->write, outcome);
	/* DONE, or changed by somebody who knows better: its owner looks anew. */
	if (outcome == SHARED_DONE || outcome == SHARED_LOST)
		orphan_free(f, o);
	if (h && h->forget)
		host_settle(f, h);
	else
		f->settle_all = true;
}

/* --- commands -------------------------------------------------------------------------------- */

static int need_registry(const struct fleet *f, struct error *ret_error)
{
	if (fleet_may_write(f))
		return 0;
	if (f->apart != APART_NOT)
		return error_set(ret_error, ERROR_WRONG_STATE, f->apart_error.hint,
				 "this host does not take part: %s", f->apart_error.message);
	return error_set(ret_error, ERROR_REGISTRY_UNREACHABLE, "try again when it is back",
			 "the shared registry is out of reach: %s",
			 f->reach_error.code ? f->reach_error.message
					     : "not all of it was read yet");
}

static int host_for(struct fleet *f, const char *name, struct host **ret, struct error *ret_error)
{
	int r = need_registry(f, ret_error);

	if (r < 0)
		return r;
	*ret = host_named(f, name);
	if (!*ret)
		return error_set(ret_error, ERROR_NOT_FOUND, "vmac host list shows the hosts",
				 "there is no host %s", name);
	return 0;
}

static int check_dead(const struct fleet *f, const struct host *h, const char *fenced_by,
		      struct error *ret_error)
{
	const char *name = h->record->host.name;

	if (!fenced_by || fenced_by[0] == '\0')
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 "say who made sure that it cannot send any more, and how: "
				 "--fenced-by \"NAME, power off\"",
				 "nobody vouches for the death of host %s", name);
	if (strlen(fenced_by) > OWNER_MAX_LEN)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "fenced_by is longer than %d",
				 OWNER_MAX_LEN);
	if (h == f->me)
		return error_set(ret_error, ERROR_WRONG_STATE, "ask another host",
				 "host %s is this one, and it lives", name);
	if (h->alive_revision > 0)
		return error_set(ret_error, ERROR_WRONG_STATE,
				 "fence it first; its lease ends some seconds after",
				 "host %s is alive: it renews its lease in the registry", name);
	return 0;
}

int fleet_host_state(struct fleet *f, const char *host, enum host_state state,
		     const char *fenced_by, mono_t now, struct error *ret_error)
{
	struct host *h;
	int r = host_for(f, host, &h, ret_error);

	f->now = now;
	if (r < 0)
		return r;
	if (state == HOST_FORGOTTEN)
		r = error_set(ret_error, ERROR_BAD_VALUE, "vmac host forget NAME forgets it",
			      "state: active, draining or dead");
	else if (state == HOST_DEAD)
		r = check_dead(f, h, fenced_by, ret_error);
	else if (host_is_dead(f, &h->uuid))
		r = error_set(ret_error, ERROR_WRONG_STATE,
			      "it becomes active when it comes back by itself",
			      "host %s was declared dead (%s)", host, h->record->host.fenced_by);
	if (r < 0)
		return r;
	h->state = (uint8_t)state;
	snprintf(h->fenced_by, sizeof(h->fenced_by), "%s",
		 state == HOST_DEAD && fenced_by ? fenced_by : "");
	h->state_wanted = true;
	host_settle(f, h);
	return 0;
}

int fleet_host_forget(struct fleet *f, const char *host, mono_t now, struct error *ret_error)
{
	struct host *h;
	int r = host_for(f, host, &h, ret_error);

	f->now = now;
	if (r < 0)
		return r;
	if (h == f->me)
		return error_set(ret_error, ERROR_WRONG_STATE,
				 "drain it, stop it, and forget it from another host",
				 "host %s is this one", host);
	if (!host_is_dead(f, &h->uuid) && h->alive_revision > 0)
		return error_set(ret_error, ERROR_WRONG_STATE, "stop it first", "host %s is alive",
				 host);
	if (!host_is_dead(f, &h->uuid) && (h->blocks > 0 || vmacs_of(f, h) > 0))
		return error_set(
			ret_error, ERROR_WRONG_STATE,
			"drain it, or declare it dead: vmac host dead NAME --fenced-by TEXT",
			"host %s still has %llu blocks and %llu addresses", host,
			(unsigned long long)h->blocks, (unsigned long long)vmacs_of(f, h));
	if (host_is_dead(f, &h->uuid)) {
		h->state = HOST_FORGOTTEN;
		snprintf(h->fenced_by, sizeof(h->fenced_by), "%s", h->record->host.fenced_by);
		h->state_wanted = true;
	} else if (!h->forget) {
		h->forget = true;
		h->forget_from = now;
		f->forgetting++;
	}
	host_settle(f, h);
	return 0;
}

void hosts_done(struct fleet *f)
{
	LIST_FOR_EACH(&f->orphans, l)
	orphan_free(f, OF_LINK(struct orphan, link, l));
	table_for_each (&f->hosts, struct host, h) {
		mem_free(f->mem, h->record);
		mem_free(f->mem, h);
	}
	table_done(&f->hosts);
}
