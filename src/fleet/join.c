/* This host's own record: it joins, comes back, is told that it is dead, meets a clone of itself,
 * or a registry that is not its own.
 *
 * The incarnation that it joins with is in its journal before the registry sees it, so a higher one
 * in the registry was never ours.  Whoever joins writes META again, unchanged: so of two that join
 * at once the second begins anew, sees the first, and takes another number. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/inside.h"

static void stand_apart(struct fleet *f, enum apart why, const char *hint, const char *message)
{
	bool news = f->apart != why;

	f->apart = (uint8_t)why;
	error_set(&f->apart_error, ERROR_WRONG_STATE, hint, "%s", message);
	if (!news)
		return;
	f->settle_all = true;
	alarm_allowed(f, NULL);
	note(f, FLEET_ALARM, "", "%s", message);
}

static void rejoice(struct fleet *f)
{
	f->apart = APART_NOT;
	f->apart_error = (struct error){ 0 };
}

/* --- told ------------------------------------------------------------------------------------ */

static void meta_check(struct fleet *f)
{
	const struct shared_meta *is = &f->meta->meta;
	char ours[UUID_TEXT_MAX], theirs[UUID_TEXT_MAX], text[ERROR_TEXT_MAX];

	if (is->format > SHARED_FORMAT) {
		snprintf(text, sizeof(text),
			 "the shared registry has format %u, and this version knows %u", is->format,
			 SHARED_FORMAT);
		stand_apart(f, APART_FORMAT, "update this host", text);
	} else if (is->importing) {
		stand_apart(f, APART_FORMAT,
			    "import the same file again: `vmac registry import --shared FILE`",
			    "an import into the shared registry was begun, and has not ended");
	} else if (f->meta_kept && !uuid_equal(&f->meta_kept->meta.cluster, &is->cluster)) {
		snprintf(text, sizeof(text),
			 "the shared registry is of cluster %s, and this host is of %s: it takes "
			 "no part",
			 uuid_format(&is->cluster, theirs),
			 uuid_format(&f->meta_kept->meta.cluster, ours));
		stand_apart(f, APART_CLUSTER, "correct registry.shared.endpoints or prefix", text);
	} else if (f->apart == APART_CLUSTER || f->apart == APART_FORMAT) {
		rejoice(f);
	}
}

void meta_told(struct fleet *f, const struct shared_record *r)
{
	struct shared_record *copy = NULL;

	if (f->meta ? f->meta->revision == r->revision : r->revision == 0)
		return;
	if (r->revision > 0) {
		copy = shared_copy(f->mem, r);
		if (!copy) {
			fleet_short(f);
			return;
		}
	}
	mem_free(f->mem, f->meta);
	f->meta = copy;
	if (copy)
		meta_check(f);
}

static void meta_keep(struct fleet *f)
{
	struct shared_record *copy;

	if (f->meta_kept || !f->meta)
		return;
	copy = shared_copy(f->mem, f->meta);
	if (!copy) {
		fleet_short(f);
		return;
	}
	f->ops->keep(f->ctx, NULL, copy, 0);
	f->meta_kept = copy;
}

/* Others may take over what we have while we are dead: the records count then, whatever their
 * epochs are. */
static void condemned(struct fleet *f)
{
	struct migrate_event e = { .kind = MIGRATE_HOST_DEAD, .host = f->self };

	LIST_FOR_EACH(&f->place_list, l)
	move_event(f, OF_LINK(struct place, link, l), &e);
}

void self_told(struct fleet *f)
{
	const struct shared_host *h = f->me->record ? &f->me->record->host : NULL;
	uint64_t highest = h ? h->incarnation : 0;
	char text[ERROR_TEXT_MAX];

	if (f->me->alive_incarnation > highest)
		highest = f->me->alive_incarnation;
	if (!f->complete || f->apart == APART_CLUSTER)
		return;
	if (f->self_kept && highest > f->self_kept->host.incarnation) {
		snprintf(text, sizeof(text),
			 "another machine runs with this host's uuid (as \"%s\", incarnation %llu, "
			 "ours "
			 "is %llu): this host claims nothing any more",
			 h ? h->name : "", (unsigned long long)highest,
			 (unsigned long long)f->self_kept->host.incarnation);
		stand_apart(f, APART_CLONE,
			    "a disk image was cloned: give one of both a uuid of its own "
			    "(a new registry file), then restart both",
			    text);
		return;
	}
	/* Not while something may be missing here for want of memory: our own newer record may. */
	if (f->self_confirmed && h && h->incarnation < f->self_kept->host.incarnation &&
	    !f->memory_short) {
		if (f->behind == 0)
			note(f, FLEET_REGISTRY, "",
			     "the shared registry is older than what this host knows (it was "
			     "restored from a backup): what the journal has is told again");
		f->behind = 2;
	}
	if (f->join != JOIN_IN)
		return;
	if (host_is_dead(f, &f->self))
		condemned(f);
	/* Gone, dead or old: we are here, so we join once more. */
	if (!h || host_state_is_dead((enum host_state)h->state) ||
	    h->incarnation < f->self_kept->host.incarnation) {
		if (host_is_dead(f, &f->self)) {
			alarm_allowed(f, NULL);
			note(f, FLEET_ALARM, h->name,
			     "this host was declared dead (%s), but it lives", h->fenced_by);
		}
		f->join = JOIN_OUT;
		f->settle_all = true;
	}
}

void join_check(struct fleet *f)
{
	bool dead = host_is_dead(f, &f->self);

	if (f->behind > 0)
		f->behind--;
	self_told(f);
	if (f->apart == APART_CLUSTER || f->apart == APART_FORMAT)
		return;
	meta_keep(f);
	if (dead || (f->self_confirmed && !f->me->record))
		condemned(f);
}

/* --- joining --------------------------------------------------------------------------------- */

static uint16_t free_number(struct fleet *f)
{
	const struct shared_host *h = f->me->record ? &f->me->record->host : NULL;
	struct host *other;
	uint16_t number = h ? h->number : f->self_kept ? f->self_kept->host.number : 0;

	other = number ? host_numbered(f, number) : NULL;
	if (number != 0 && (!other || other == f->me))
		return number;
	number = (uint16_t)(1 + fleet_random(f) % HOST_NUMBER_MAX);
	for (unsigned int i = 0; i < HOST_NUMBER_MAX; i++) {
		if (!host_numbered(f, number))
			return number;
		number = number == HOST_NUMBER_MAX ? 1 : (uint16_t)(number + 1);
	}
	return 0;
}

static bool may_join(struct fleet *f)
{
	struct host *h = host_named(f, f->name);
	char text[ERROR_TEXT_MAX], uuid[UUID_TEXT_MAX];
	size_t count = 0;

	if (h && h != f->me) {
		snprintf(text, sizeof(text), "another host is named %s (its uuid is %s)", f->name,
			 uuid_format(&h->uuid, uuid));
		stand_apart(f, APART_NAME,
			    "give this one another name (host.name), or forget the other", text);
		return false;
	}
	table_for_each (&f->hosts, struct host, o)
		count += o->record && o != f->me;
	if (count >= HOSTS_MAX) {
		stand_apart(f, APART_FULL, "forget hosts that are no more",
			    "the shared registry has as many hosts as it may have");
		return false;
	}
	if (f->apart == APART_NAME || f->apart == APART_FULL)
		rejoice(f);
	return f->apart == APART_NOT;
}

static void self_fill(struct fleet *f, struct shared_record *r)
{
	const struct shared_record *old = f->me->record;
	uint64_t incarnation = old ? old->host.incarnation : 0;

	if (f->self_kept && f->self_kept->host.incarnation > incarnation)
		incarnation = f->self_kept->host.incarnation;
	*r = (struct shared_record){ .kind = SHARED_HOST };
	r->revision = old ? old->revision : 0;
	r->host = (struct shared_host){ .uuid = f->self,
					.number = free_number(f),
					.address = f->address,
					.tunnel_port = f->tunnel_port,
					.incarnation = incarnation + 1 };
	r->host.state = old && old->host.state == HOST_DRAINING ? HOST_DRAINING : HOST_ACTIVE;
	snprintf(r->host.name, sizeof(r->host.name), "%s", f->name);
	snprintf(r->host.key_check, sizeof(r->host.key_check), "%s", f->key_check);
	snprintf(r->host.version, sizeof(r->host.version), "%s", f->version);
}

static void join_begin(struct fleet *f)
{
	struct shared_record r, *copy;

	if (!may_join(f))
		return;
	self_fill(f, &r);
	r.revision = 0; /* not confirmed */
	copy = r.host.number ? shared_copy(f->mem, &r) : NULL;
	if (!copy) {
		fleet_short(f);
		return;
	}
	f->ops->keep(f->ctx, f->self_kept, copy, write_expect(f, &f->join_write, WRITE_JOIN, true));
	mem_free(f->mem, f->self_kept);
	f->self_kept = copy;
	f->self_confirmed = false;
	f->join = JOIN_JOURNAL;
}

static void join_ask(struct fleet *f)
{
	struct shared_record meta = { .kind = SHARED_META }, host = *f->self_kept;
	struct shared_put puts[2] = { { .record = &host }, { .record = &meta } };
	struct host *other = host_numbered(f, host.host.number);

	if (!may_join(f))
		return;
	/* The registry moved on while the journal was written: the number may be gone, and the
	 * state may be new. */
	if ((other && other != f->me) ||
	    (f->me->record && f->me->record->host.incarnation >= host.host.incarnation)) {
		f->join = JOIN_OUT;
		f->settle_all = true;
		return;
	}
	host.host.state = f->me->record && f->me->record->host.state == HOST_DRAINING
				  ? HOST_DRAINING
				  : HOST_ACTIVE;
	host.revision = f->me->record ? f->me->record->revision : 0;
	meta.meta.format = SHARED_FORMAT;
	if (f->meta)
		meta = *f->meta;
	else if (f->meta_kept)
		meta.meta.cluster = f->meta_kept->meta.cluster;
	else
		meta.meta.cluster = fleet_uuid(f);
	if (!f->meta)
		meta.revision = 0;
	f->join = JOIN_ASKS;
	write_send_all(f, &f->join_write, WRITE_JOIN, puts, 2);
}

void join_kept(struct fleet *f)
{
	join_settle(f);
}

/* Of many that join at once each time one gets through: the longer it takes, the longer we wait. */
static void stand_back(struct fleet *f)
{
	uint64_t most_ms = UINT64_C(10) << f->join_rounds;

	if (most_ms < FLEET_JOIN_WAIT_MS)
		f->join_rounds++;
	f->join_write.not_before =
		mono_after(f->now, SPAN_MS((int64_t)(fleet_random(f) % most_ms)));
	fleet_retry_at(f, f->join_write.not_before);
}

/* An answer may be lost, and the record tells. */
static bool is_in(const struct fleet *f)
{
	const struct shared_host *r = f->me->record ? &f->me->record->host : NULL;

	return r && f->self_kept && !host_state_is_dead((enum host_state)r->state) &&
	       r->incarnation == f->self_kept->host.incarnation &&
	       r->number == f->self_kept->host.number;
}

static void join_succeed(struct fleet *f)
{
	struct shared_record confirmed = *f->self_kept, *copy;

	confirmed.revision = f->me->record ? f->me->record->revision : 1;
	copy = shared_copy(f->mem, &confirmed);
	if (copy) {
		f->ops->keep(f->ctx, f->self_kept, copy, 0);
		mem_free(f->mem, f->self_kept);
		f->self_kept = copy;
		f->self_confirmed = true;
	} else {
		fleet_short(f);
	}
	f->join = JOIN_IN;
	f->join_rounds = 0;
	meta_keep(f);
	note(f, FLEET_HOST, f->name, "this host joined as number %u, incarnation %llu",
	     f->self_kept->host.number, (unsigned long long)f->self_kept->host.incarnation);
	f->settle_all = true;
	alive_settle(f);
}

void join_settle(struct fleet *f)
{
	if (!fleet_may_write(f) || !write_ready(f, &f->join_write))
		return;
	if (f->join == JOIN_OUT && f->apart != APART_CLONE)
		join_begin(f);
	else if (f->join == JOIN_ASKS && is_in(f))
		join_succeed(f);
	else if (f->join == JOIN_JOURNAL || f->join == JOIN_ASKS)
		join_ask(f);
	alive_settle(f);
}

void join_outcome(struct fleet *f, enum shared_outcome outcome)
{
	write_later(f, &f->join_write, outcome);
	if (outcome == SHARED_DONE || is_in(f)) {
		join_succeed(f);
	} else if (outcome == SHARED_LOST) {
		f->join = JOIN_JOURNAL;
		stand_back(f);
	}
}

void alive_settle(struct fleet *f)
{
	struct shared_record r = { .kind = SHARED_ALIVE, .revision = f->me->alive_revision };

	if (f->join != JOIN_IN || f->apart != APART_NOT || !fleet_may_write(f) ||
	    !write_ready(f, &f->alive_write))
		return;
	if (f->me->alive_revision > 0 && f->me->alive_incarnation == f->self_kept->host.incarnation)
		return;
	r.alive = (struct shared_alive){ f->self, f->self_kept->host.incarnation };
	write_send(f, &f->alive_write, WRITE_ALIVE, &r, false);
}

/* --- start and end --------------------------------------------------------------------------- */

int join_load(struct fleet *f, const struct shared_record *kept)
{
	struct shared_record *copy = shared_copy(f->mem, kept);

	if (!copy)
		return -ENOMEM;
	if (kept->kind == SHARED_META) {
		mem_free(f->mem, f->meta_kept);
		f->meta_kept = copy;
	} else {
		mem_free(f->mem, f->self_kept);
		f->self_kept = copy;
		f->self_confirmed = kept->revision > 0;
	}
	return 0;
}

void join_done(struct fleet *f)
{
	mem_free(f->mem, f->meta);
	mem_free(f->mem, f->meta_kept);
	mem_free(f->mem, f->self_kept);
}
