/* Guests, and what moves them. */
#include <string.h>

#include "fleet_sim.h"

#define RARPS	     3
#define REMOVE_RETRY SECOND
#define SLOW_PACE    10

static const int64_t rarp_at[RARPS] = { 0, 50 * MS, 150 * MS };

int64_t plan_pack(const struct fs_plan *p)
{
	return (int64_t)p->prepare | (int64_t)p->port_first << 1 | (int64_t)p->hint_stop << 2 |
	       (int64_t)p->hint_start << 3 | (int64_t)p->announces << 4 | (int64_t)p->cold << 5 |
	       (int64_t)p->undo_hints << 6 | (int64_t)p->fail_after << 8 | (int64_t)p->pace << 16;
}

struct fs_plan plan_unpack(int64_t v)
{
	return (struct fs_plan){ .prepare = v & 1,
				 .port_first = v >> 1 & 1,
				 .hint_stop = v >> 2 & 1,
				 .hint_start = v >> 3 & 1,
				 .announces = v >> 4 & 1,
				 .cold = v >> 5 & 1,
				 .undo_hints = v >> 6 & 1,
				 .fail_after = v >> 8 & 0xff,
				 .pace = v >> 16 & 0xff };
}

struct vm *vm_with(struct world *w, unsigned int n)
{
	int v = w->vm_of && n < w->address_count ? w->vm_of[n] : -1;

	return v < 0 ? NULL : &w->vms[v];
}

static unsigned int index_of(const struct world *w, const struct vm *v)
{
	return (unsigned int)(v - w->vms);
}

/* --- running --------------------------------------------------------------------------------- */

void vm_start(struct world *w, struct vm *v, unsigned int host)
{
	bool armed = v->announces || w->scenario->any_frame;

	if (!w->hosts[host].power)
		return;
	world_tell(w, (int)host, "guest runs", v->n, 0);
	v->runs |= 1u << host;
	v->first[host] = 0;
	if (v->clone != (int)host)
		v->at = host;
	host_port_link(&w->hosts[host], v->n, true);
	for (unsigned int i = 0; armed && i < RARPS; i++) {
		struct event *e = world_push(w, w->now + rarp_at[i], EVENT_ANNOUNCE, host);

		e->a = index_of(w, v);
	}
}

void vm_stop(struct world *w, struct vm *v, unsigned int host)
{
	if (v->runs >> host & 1) {
		world_tell(w, (int)host, "guest stands", v->n, 0);
		v->left[host] = w->now;
	}
	v->runs &= ~(1u << host);
}

void vm_announce(struct world *w, struct vm *v, unsigned int host)
{
	if (v->exists && v->runs >> host & 1)
		wire_guest(w, host, v->n, TO_ALL, true);
}

static void tick_push(struct world *w, struct vm *v, int64_t at)
{
	struct event *e = world_push(w, at, EVENT_GUEST, 0);

	e->a = index_of(w, v);
	e->b = v->tick;
}

void vm_beat(struct world *w, int64_t beat)
{
	w->beat = beat;
	for (unsigned int i = 0; i < w->vm_count; i++) {
		w->vms[i].tick++;
		tick_push(w, &w->vms[i], w->now + chance_span(&w->chance, 0, beat));
	}
}

void vm_tick(struct world *w, struct vm *v, uint64_t tick)
{
	if (!v->exists || v->tick != tick)
		return;
	for (unsigned int h = 0; h < w->host_count; h++) {
		unsigned int to = (unsigned int)chance_below(&w->chance, w->vm_count + 2);

		if (!(v->runs >> h & 1))
			continue;
		wire_guest(w, h, v->n,
			   to < w->vm_count && w->vms[to].exists && &w->vms[to] != v
				   ? (int)w->vms[to].n
				   : FROM_CLIENT,
			   false);
	}
	wire_client(w, v->n);
	tick_push(w, v, w->now + w->beat * 3 / 4 + chance_span(&w->chance, 0, w->beat / 2));
}

void vm_new(struct world *w, unsigned int host)
{
	struct vm *v = &w->vms[w->vm_count];
	int n;

	if (w->vm_count >= FS_VMS_MAX || !w->hosts[host].fleet || w->hosts[host].draining)
		return;
	n = host_allocate(&w->hosts[host]);
	if (n < 0)
		return;
	*v = (struct vm){ .exists = true,
			  .lost = w->hosts[host].forgotten &&
				  w->hosts[host].clean_since == INT64_MAX,
			  .announces = !chance_percent(&w->chance, 15),
			  .n = (unsigned int)n,
			  .at = host,
			  .clone = -1,
			  .removing = -1 };
	w->vm_of[n] = (int)w->vm_count++;
	w->hosts[host].world = w;
	/* The port was allocated with the address; its link comes with the guest. */
	place_at(&w->hosts[host], v->n)->port =
		(struct dport){ .exists = true,
				.peer = -1,
				.incarnation =
					place_at(&w->hosts[host], v->n)->port.incarnation + 1,
				.since = w->now };
	vm_start(w, v, host);
	tick_push(w, v, w->now + chance_span(&w->chance, 0, w->beat));
}

/* The guest is no more, and its address is given back. */
void vm_end(struct world *w, struct vm *v)
{
	struct host *h = &w->hosts[v->at];
	struct entry e = place_at(h, v->n)->now;

	if (!v->exists || v->lost || v->moving || v->clone >= 0 || v->removing >= 0 || !h->fleet ||
	    !entry_held(&e) || !place_at(h, v->n)->port.exists)
		return;
	for (unsigned int i = 0; i < w->host_count; i++)
		vm_stop(w, v, i);
	host_port_delete(h, v->n);
	e = place_at(h, v->n)->now;
	if (!entry_held(&e))
		return;
	v->exists = false;
	w->vm_of[v->n] = -1;
	e.state = VMAC_QUARANTINED;
	e.until = w->now / MS + h->wall + FS_QUARANTINE / MS;
	world_tell(w, (int)h->index, "release", v->n, 0);
	entry_set(h, v->n, &e);
	host_flush(h);
}

void vm_down(struct world *w, struct vm *v)
{
	if (!v->exists || v->moving || v->down)
		return;
	v->down = true;
	v->settled = false;
	vm_stop(w, v, v->at);
	host_port_link(&w->hosts[v->at], v->n, false);
}

void vm_up(struct world *w, struct vm *v, unsigned int host, bool force)
{
	struct host *h = &w->hosts[host];

	if (!v->exists || v->lost || v->moving || (!v->down && !force) || !h->fleet ||
	    v->removing >= 0)
		return;
	v->settled = false;
	if (host != v->at && !force)
		vm_remove(w, v, v->at);
	if (!host_port_add(h, v->n))
		return;
	v->forced = force;
	if (force)
		host_hint(h, MIGRATE_FORCE, v->n);
	v->down = false;
	v->at = host;
	vm_start(w, v, host);
}

void vm_clone(struct world *w, struct vm *v, unsigned int host, bool on)
{
	struct host *h = &w->hosts[host];

	if (!v->exists || v->lost || v->moving)
		return;
	if (on && v->clone < 0 && host != v->at && v->removing < 0 && host_port_add(h, v->n)) {
		v->clone = (int)host;
		v->ever_cloned = true;
		v->settled = false;
		vm_start(w, v, host);
	} else if (!on && v->clone >= 0) {
		vm_stop(w, v, (unsigned int)v->clone);
		vm_remove(w, v, (unsigned int)v->clone);
		v->clone = -1;
		v->settled = false;
	}
}

/* --- ports that are to go -------------------------------------------------------------------- */

/* Tried until the daemon there is up. */
void vm_remove(struct world *w, struct vm *v, unsigned int host)
{
	struct event *e;

	if (v->runs >> host & 1 || (v->at == host && !v->down && !v->undoing && v->removing < 0))
		return;
	v->removing = (int)host;
	host_port_link(&w->hosts[host], v->n, false);
	if (w->hosts[host].fleet && w->hosts[host].stalled <= w->now) {
		host_port_delete(&w->hosts[host], v->n);
		v->removing = -1;
		return;
	}
	e = world_push(w, w->now + REMOVE_RETRY, EVENT_REMOVE, host);
	e->a = index_of(w, v);
}

/* --- moving ---------------------------------------------------------------------------------- */

enum move_step { MOVE_PREPARE, MOVE_PORT, MOVE_STOP, MOVE_START, MOVE_REMOVE, MOVE_DONE };

static void next_step(struct world *w, struct vm *v)
{
	int64_t most = (1 << v->plan.pace) * MS;

	v->step++;
	/* Some leave the source's port for long. */
	if (v->step == MOVE_REMOVE && v->plan.pace >= SLOW_PACE)
		most = 20 * SECOND;
	world_push(w, w->now + chance_span(&w->chance, MS / 4, most), EVENT_MOVE, 0)->a =
		index_of(w, v);
}

static void move_end(struct vm *v)
{
	v->moving = v->undoing = v->prepared = false;
	v->settled = false;
}

/* The guest goes on at the source, and nothing is left at the destination. */
static void move_undo(struct world *w, struct vm *v, unsigned int from)
{
	struct host *to = &w->hosts[v->to];

	world_tell(w, (int)from, "undo", v->n, v->step);
	v->undoing = true;
	vm_stop(w, v, v->to);
	if (v->plan.undo_hints && to->fleet)
		host_hint(to, MIGRATE_ABORT, v->n);
	v->at = from;
	if (w->hosts[from].power && !(v->runs >> from & 1)) {
		vm_start(w, v, from);
		if (v->plan.undo_hints)
			host_hint(&w->hosts[from], MIGRATE_RESUME, v->n);
	}
	vm_remove(w, v, v->to);
	move_end(v);
}

static void prepare(struct world *w, struct vm *v)
{
	if (v->plan.prepare)
		v->prepared = host_hint(&w->hosts[v->to], MIGRATE_PREPARE, v->n) == 0;
}

static bool add_port(struct world *w, struct vm *v)
{
	return host_port_add(&w->hosts[v->to], v->n);
}

void vm_move(struct world *w, struct vm *v, unsigned int to, const struct fs_plan *plan)
{
	if (!v->exists || v->lost || v->moving || v->down || v->clone >= 0 || v->removing >= 0 ||
	    to == v->at || !(v->runs >> v->at & 1) || !w->hosts[to].power)
		return;
	w->moves++;
	v->moving = true;
	v->settled = v->undoing = v->prepared = false;
	v->plan = *plan;
	v->announces = plan->announces;
	v->to = to;
	v->step = MOVE_PREPARE;
	world_tell(w, (int)to, "moves here", v->n, plan_pack(plan));
	world_push(w, w->now, EVENT_MOVE, 0)->a = index_of(w, v);
}

static bool one_step(struct world *w, struct vm *v, unsigned int from)
{
	struct host *source = &w->hosts[from], *to = &w->hosts[v->to];

	switch ((enum move_step)v->step) {
	case MOVE_PREPARE:
		if (v->plan.port_first)
			return add_port(w, v);
		prepare(w, v);
		return true;
	case MOVE_PORT:
		if (!v->plan.port_first)
			return add_port(w, v);
		prepare(w, v);
		return true;
	case MOVE_STOP:
		vm_stop(w, v, from);
		if (v->plan.cold)
			host_port_link(source, v->n, false);
		else if (v->plan.hint_stop)
			host_hint(source, MIGRATE_STOP, v->n);
		return true;
	case MOVE_START:
		if (!to->power || !place_at(to, v->n)->port.exists)
			return false;
		vm_start(w, v, v->to);
		if (v->plan.hint_start)
			host_hint(to, MIGRATE_ACTIVATE, v->n);
		return true;
	case MOVE_REMOVE:
	case MOVE_DONE:
		break;
	}
	return true;
}

static void remove_others(struct world *w, struct vm *v)
{
	for (unsigned int h = 0; h < w->host_count; h++)
		if (h != v->at && place_at(&w->hosts[h], v->n)->port.exists)
			vm_remove(w, v, h);
}

void vm_move_step(struct world *w, struct vm *v)
{
	unsigned int from = v->at;
	unsigned int done = v->step;

	if (!v->exists || !v->moving)
		return;
	if (v->step > MOVE_START) {
		/* v->at is the destination since it started there. */
		remove_others(w, v);
		move_end(v);
		return;
	}
	if (!one_step(w, v, from) || v->plan.fail_after == done) {
		move_undo(w, v, from);
		return;
	}
	next_step(w, v);
}

/* --- power ----------------------------------------------------------------------------------- */

void vm_power(struct world *w, unsigned int host, bool on)
{
	for (unsigned int i = 0; i < w->vm_count; i++) {
		struct vm *v = &w->vms[i];

		if (!v->exists)
			continue;
		if (on) {
			if (v->at == host && w->hosts[host].autostart && !v->down && !v->runs)
				vm_start(w, v, host);
			continue;
		}
		v->runs &= ~(1u << host);
		v->settled = false;
		if (v->clone == (int)host) {
			v->clone = -1;
			vm_remove(w, v, host);
			continue;
		}
		if (!v->moving)
			continue;
		if (v->at == host) {
			/* It died with its host, before or after the move. */
			remove_others(w, v);
			move_end(v);
		} else if (v->to == host) {
			move_undo(w, v, v->at);
		}
	}
}
