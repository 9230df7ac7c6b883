/* What must hold, whatever happens.  Nothing here knows what a scenario is about: only where guests
 * run, what gates, journals, the registry and the wire did, and which hosts were disturbed when. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fleet_sim.h"

#define TUNNEL_CALM SECOND
#define SETTLED_FOR (5 * SECOND)

static const char *const rule_names[FS_RULE_COUNT] = {
#define FS_NAME_(c, meaning) [FS_RULE_##c] = #c,
	FS_RULES(FS_NAME_)
#undef FS_NAME_
};

const char *fs_rule_name(unsigned int r)
{
	return rule_names[r];
}

void check_fail(struct world *w, enum fs_rule r, const char *format, ...)
{
	va_list args;

	if (w->finding.rule != FS_RULE_NONE)
		return;
	w->finding.rule = r;
	w->finding.at = w->now - FS_START;
	va_start(args, format);
	vsnprintf(w->finding.what, sizeof(w->finding.what), format, args);
	va_end(args);
}

static unsigned int running(const struct vm *v)
{
	return (unsigned int)__builtin_popcount(v->runs);
}

/* Whether what is true of this address was turned upside down by an operator who lied. */
static bool excused(const struct world *w)
{
	return w->scenario->two_can_be;
}

/* --- 1: who speaks --------------------------------------------------------------------------- */

/* A frame with the vMAC as its source leaves the uplink of h.  When its guest runs elsewhere only,
 * and has spoken there, then nothing comes from here any more, once this host may know: of a guest
 * that spoke here a moment ago and stands still without a word, nobody can. */
void check_emit(struct host *h, unsigned int n)
{
	struct world *w = h->world;
	struct vm *v = vm_with(w, n);

	if (!v)
		return;
	if (v->runs >> h->index & 1) {
		if (v->first[h->index] == 0)
			v->first[h->index] = w->now;
		return;
	}
	for (unsigned int o = 0; o < w->host_count; o++) {
		if (o == h->index || !(v->runs >> o & 1) || v->first[o] == 0)
			continue;
		if (w->now - v->first[o] > FS_SOURCE_BOUND &&
		    w->now - v->left[h->index] > FS_WORD_BOUND && w->loss == 0 && !excused(w) &&
		    host_clean(h, w->now - v->first[o]) &&
		    host_clean(&w->hosts[o], w->now - v->first[o]))
			check_fail(w, FS_RULE_SOURCES,
				   "%u: host %u speaks %" PRId64
				   " us after its guest did on host %u",
				   n, h->index, (w->now - v->first[o]) / 1000, o);
	}
}

/* --- 2: epochs ------------------------------------------------------------------------------- */

static void epoch_seen(struct world *w, unsigned int n, uint64_t epoch)
{
	if (epoch > w->epochs[n])
		w->epochs[n] = epoch;
}

static unsigned int number_of(vmac_mac_t m)
{
	return (unsigned int)m.octet[2] << 24 | (unsigned int)m.octet[3] << 16 |
	       (unsigned int)m.octet[4] << 8 | m.octet[5];
}

/* It changes its holder: who had it gave it, or is dead.  A lease that ran out is no death, and
 * what an operator says of a host that runs is excused(). */
static void check_taken(struct world *w, unsigned int n, const struct shared_vmac *before,
			const struct shared_vmac *after)
{
	int from = before ? host_of(w, &before->holder) : registry_block(w, n);
	const struct vm *v = vm_with(w, n);
	const struct host *h = from < 0 ? NULL : &w->hosts[from];
	int by = host_of(w, &after->holder);

	if (by < 0)
		return;
	if (!h || !v || excused(w) || w->restoring || w->restored || h->vouched ||
	    uuid_equal(&after->holder, &h->uuid) || after->state == SHARED_RELEASED)
		return;
	if (before && before->state == SHARED_MOVING && uuid_equal(&before->to, &after->holder))
		return;
	if (v->runs >> from & 1 && place_at(&w->hosts[from], n)->port.gate == MIGRATE_GATE_OPEN)
		check_fail(w, FS_RULE_TAKEN, "%u: host %d takes it from host %d", n, by, from);
}

void check_record(struct world *w, const struct shared_record *before,
		  const struct shared_record *after)
{
	const struct shared_vmac *a = after ? &after->vmac : NULL;
	const struct shared_vmac *b = before ? &before->vmac : NULL;
	unsigned int n;

	if ((before ? before : after)->kind != SHARED_VMAC)
		return;
	n = number_of((a ? a : b)->address);
	if (a)
		world_tell(w, -1, "record", n, (int64_t)(a->epoch << 8 | a->state));
	else
		world_tell(w, -1, "record gone", n, 0);
	if (w->trace && a)
		printf("            holder %d, to %d\n", host_of(w, &a->holder),
		       host_of(w, &a->to));
	if (!a)
		return;
	if (b && !w->restoring) {
		if (a->epoch < b->epoch)
			check_fail(w, FS_RULE_EPOCH,
				   "%u: the record's epoch fell from %" PRIu64 " to %" PRIu64, n,
				   b->epoch, a->epoch);
		if (!uuid_equal(&a->holder, &b->holder) && a->epoch <= b->epoch)
			check_fail(w, FS_RULE_EPOCH,
				   "%u: the holder changed, and the epoch is %" PRIu64 " still", n,
				   a->epoch);
	}
	check_taken(w, n, b, a);
	epoch_seen(w, n, a->epoch);
}

/* The journal of one host, as it is durable. */
void check_entry(struct host *h, unsigned int n, const struct entry *before,
		 const struct entry *after)
{
	struct world *w = h->world;

	if (after->exists)
		epoch_seen(w, n, after->epoch);
	if (before->exists && after->exists && after->epoch < before->epoch)
		check_fail(w, FS_RULE_EPOCH,
			   "%u: the epoch in the journal of host %u fell from %" PRIu64
			   " to %" PRIu64,
			   n, h->index, before->epoch, after->epoch);
}

/* --- 3: owners ------------------------------------------------------------------------------- */

void check_allocate(struct host *h, unsigned int n)
{
	struct world *w = h->world;
	const struct vm *v = vm_with(w, n);

	/* Of a host that was forgotten and has not been told of that yet, nothing is known. */
	if (excused(w) || w->restored || (h->forgotten && h->clean_since == INT64_MAX))
		return;
	if (v && v->exists && !v->lost)
		check_fail(w, FS_RULE_DOUBLE,
			   "%u: host %u allocates it, and a guest of host %u has it", n, h->index,
			   v->at);
	for (unsigned int i = 0; i < w->host_count; i++) {
		const struct host *o = &w->hosts[i];

		/* One that is off, and was vouched dead, wakes with what was its own. */
		if (!o->power && w->vouched_any)
			continue;
		if (i != h->index && !o->forgotten && o->blocks[n / w->block_size] &&
		    entry_held(&place_at(&w->hosts[i], n)->durable))
			check_fail(w, FS_RULE_DOUBLE,
				   "%u: host %u allocates it, and host %u holds it", n, h->index,
				   i);
	}
}

static void blocks_check(struct world *w)
{
	unsigned int count = (w->pool_size + w->block_size - 1) / w->block_size;

	for (unsigned int b = 0; b < count; b++) {
		int owner = -1;

		for (unsigned int i = 0; i < w->host_count; i++) {
			struct host *h = &w->hosts[i];

			if (!h->fleet || !h->ours[b] || !host_clean(h, FS_GATE_BOUND))
				continue;
			if (owner >= 0)
				check_fail(w, FS_RULE_BLOCK, "block %u is of hosts %d and %u", b,
					   owner, i);
			owner = (int)i;
		}
	}
}

/* --- 5: gates -------------------------------------------------------------------------------- */

static bool is_named(const struct host *h, unsigned int n)
{
	struct world *w = h->world;
	const struct shared_vmac *r = registry_vmac(w, n);
	int block;

	if (r)
		return r->state != SHARED_RELEASED &&
		       (uuid_equal(&r->holder, &h->uuid) || uuid_equal(&r->to, &h->uuid));
	block = registry_block(w, n);
	return block == (int)h->index || block == -1;
}

/* What the daemon, or the data plane, did to a gate.  It opens where the journal or the record says
 * so, or where it is reserved and the guest has spoken first. */
void check_gate(struct host *h, unsigned int n, enum migrate_gate before)
{
	struct world *w = h->world;
	struct place_of *p = place_at(h, n);
	struct vm *v = vm_with(w, n);
	const struct shared_vmac *r = registry_vmac(w, n);
	bool open = p->port.gate == MIGRATE_GATE_OPEN;

	if (p->port.gate != MIGRATE_GATE_REDIRECT)
		p->port.redirect_since = 0;
	else if (before != MIGRATE_GATE_REDIRECT)
		p->port.redirect_since = w->now;
	if (!open)
		p->port.bad_since = 0;
	if (open && before != MIGRATE_GATE_OPEN && !p->port.permit && !entry_held(&p->now) &&
	    !(r && uuid_equal(&r->holder, &h->uuid)))
		check_fail(w, FS_RULE_GATE_EARLY, "%u: host %u opens its gate", n, h->index);
	if (!open && before == MIGRATE_GATE_OPEN && v && v->settled && p->port.up &&
	    w->now - v->settled_since > SETTLED_FOR && v->at == h->index &&
	    v->runs == 1u << h->index)
		check_fail(w, FS_RULE_SURRENDER,
			   "%u: host %u closes its gate, and its guest runs there alone", n,
			   h->index);
}

/* Nothing is under way that could close the gate of its guest. */
static bool looks_settled(struct world *w, struct vm *v)
{
	const struct shared_vmac *r = registry_vmac(w, v->n);

	if (v->moving || v->clone >= 0 || v->removing >= 0 || running(v) != 1 || excused(w) ||
	    v->runs != 1u << v->at || registry_asked(w, v->n))
		return false;
	if (r && (r->state != SHARED_HELD || !uuid_equal(&r->holder, &w->hosts[v->at].uuid)))
		return false;
	if (!r && registry_block(w, v->n) != (int)v->at)
		return false;
	for (unsigned int i = 0; i < w->host_count; i++) {
		if (!host_clean(&w->hosts[i], SECOND) && !w->hosts[i].for_good && !v->settled)
			return false;
		if (i != v->at && place_at(&w->hosts[i], v->n)->port.exists)
			return false;
	}
	return place_at(&w->hosts[v->at], v->n)->port.gate == MIGRATE_GATE_OPEN;
}

static void gate_time(struct host *h, struct vm *v)
{
	struct world *w = h->world;
	struct place_of *p = place_at(h, v->n);
	bool bad = p->port.exists && p->port.gate == MIGRATE_GATE_OPEN && !is_named(h, v->n);

	if (!bad || !h->power)
		p->port.bad_since = 0;
	else if (p->port.bad_since == 0)
		p->port.bad_since = w->now;
	if (bad && w->now - p->port.bad_since > FS_GATE_BOUND && host_clean(h, FS_GATE_BOUND))
		check_fail(w, FS_RULE_GATE,
			   "%u: the gate of host %u is open, and the registry names another", v->n,
			   h->index);
	if (p->port.exists && p->port.gate == MIGRATE_GATE_REDIRECT && p->now.exists &&
	    p->now.state == VMAC_AWAY && h->fleet && h->stalled <= w->now &&
	    w->now - h->awake_since > FS_REDIRECT_BOUND && p->port.redirect_since &&
	    w->now - p->port.redirect_since > FS_REDIRECT_BOUND)
		check_fail(w, FS_RULE_REDIRECT, "%u: host %u redirects for %" PRId64 " ms", v->n,
			   h->index, (w->now - p->port.redirect_since) / MS);
}

/* How long at a stretch its host could have told of it. */
static void told_time(struct world *w, struct vm *v)
{
	const struct host *h = &w->hosts[v->at];
	int64_t from = v->since;

	if (!h->fleet || !host_clean(h, 0))
		return;
	if (h->clean_since > from)
		from = h->clean_since;
	if (w->now - from > v->clean)
		v->clean = w->now - from;
}

void check_time(struct world *w)
{
	for (unsigned int i = 0; i < w->vm_count; i++) {
		struct vm *v = &w->vms[i];
		bool settled;

		if (!v->exists)
			continue;
		for (unsigned int h = 0; h < w->host_count; h++)
			gate_time(&w->hosts[h], v);
		told_time(w, v);
		settled = looks_settled(w, v);
		if (settled && !v->settled)
			v->settled_since = w->now;
		v->settled = settled;
	}
	if (!w->restored && !excused(w))
		blocks_check(w);
}

/* --- 6: the tunnel --------------------------------------------------------------------------- */

void check_tunnel(struct host *h, const struct frame *f, bool delivered)
{
	struct world *w = h->world;
	struct vm *v = vm_with(w, (unsigned int)f->to);
	struct dport *p = &place_at(h, (unsigned int)f->to)->port;

	if (f->hops > 1)
		check_fail(w, FS_RULE_LOOP, "%d: redirected %u times, now at host %u", f->to,
			   f->hops, h->index);
	if (delivered || !v || v->runs != 1u << h->index || !host_clean(h, TUNNEL_CALM) ||
	    !p->exists || !p->up || w->now - p->since < TUNNEL_CALM ||
	    !host_clean(&w->hosts[f->via], TUNNEL_CALM))
		return;
	/* That it is reserved is yet to be written: the registry is slow. */
	if (!is_named(h, v->n))
		return;
	check_fail(w, FS_RULE_TUNNEL, "%d: a redirected frame is dropped at host %u, gate %u",
		   f->to, h->index, p->gate);
}

/* --- 4: at the end --------------------------------------------------------------------------- */

void check_rest(struct world *w)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		w->hosts[i].rest_requests = w->hosts[i].requests;
	for (unsigned int i = 0; i < w->vm_count; i++)
		w->vms[i].client_rx = w->vms[i].guest_rx = 0;
}

static bool alarmed(const struct world *w)
{
	return w->alarms > 0;
}

static void vm_end_check(struct world *w, struct vm *v)
{
	const struct shared_vmac *r = registry_vmac(w, v->n);
	struct host *h = &w->hosts[v->at];
	struct place_of *p = place_at(h, v->n);
	struct fleet_name name = name_of(h, v->n);
	struct fleet_move_view view = { .state = MIGRATE_NONE };
	bool frozen = r && r->state == SHARED_FROZEN && !uuid_equal(&r->holder, &h->uuid);

	if (!v->exists || v->lost || v->down || v->runs == 0 || !p->port.exists || !p->port.up)
		return;
	if (running(v) > 1 || frozen || (v->ever_cloned && !alarmed(w))) {
		if (!alarmed(w) && (running(v) > 1 || frozen))
			check_fail(w, FS_RULE_ALARM, "%u is %s", v->n,
				   frozen ? "frozen" : "doubled");
		return;
	}
	if (v->client_rx && v->guest_rx)
		return;
	/* A backup in which its block was free, and another host claimed that before this one was
	 * back: of both none can be right, and the one that hears of it closes and says so. */
	if (w->restored && h->alarms > 0 && v->n < w->pool_size &&
	    registry_block(w, v->n) != (int)v->at && !r)
		return;
	/* Of a host that is dead, and could not tell of it before: it takes force, and who uses
	 * that is told so. */
	if (!r && registry_block(w, v->n) >= 0 && registry_block(w, v->n) != (int)v->at &&
	    w->hosts[registry_block(w, v->n)].vouched && h->alarms > 0)
		return;
	/* It came by the port of another that had the address before its host was forgotten, and is
	 * told to take one of its own. */
	if (!r && h->forgotten && p->now.exists && p->now.state == VMAC_AWAY && h->alarms > 0)
		return;
	if (h->fleet)
		fleet_move(h->fleet, &name, &view);
	check_fail(w, FS_RULE_REACH,
		   "%u runs on host %u: %s%s, gate %u, journal %d epoch %" PRIu64
		   "; record %s holder %d to %d epoch %" PRIu64,
		   v->n, v->at, migrate_state_name(view.state),
		   v->client_rx	 ? " (is heard)"
		   : v->guest_rx ? " (hears)"
				 : "",
		   p->port.gate, p->now.exists ? p->now.state : -1, p->now.epoch,
		   r ? shared_vmac_state_name((enum shared_vmac_state)r->state) : "none",
		   r ? host_of(w, &r->holder) : -1, r ? host_of(w, &r->to) : -1, r ? r->epoch : 0);
}

static void leak_check(struct world *w, struct host *h)
{
	for (unsigned int n = 0; n < w->address_count; n++) {
		const struct place_of *p = place_at(h, n);

		if (p->now.exists && p->now.state == VMAC_AWAY && !p->port.exists &&
		    !registry_vmac(w, n))
			check_fail(w, FS_RULE_LEAK, "%u: the journal of host %u keeps it", n,
				   h->index);
	}
}

void check_end(struct world *w)
{
	if (excused(w))
		return;
	for (unsigned int i = 0; i < w->vm_count; i++)
		vm_end_check(w, &w->vms[i]);
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *h = &w->hosts[i];

		if (!h->fleet)
			continue;
		if (h->requests - h->rest_requests > FS_STORM_REQUESTS)
			check_fail(w, FS_RULE_STORM,
				   "host %u asked the registry %" PRIu64 " times in the last 10 s",
				   h->index, h->requests - h->rest_requests);
		if (!w->restored)
			leak_check(w, h);
	}
}
