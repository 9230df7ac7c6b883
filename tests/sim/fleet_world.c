/* Plays a scenario: the queue of events, and what each step does. */
#include <stdlib.h>
#include <string.h>

#include "fleet_sim.h"

#define CHECK_EVERY (200 * MS)
#define VM_NONE	    255

static const char *const step_names[FS_STEP_COUNT] = {
#define FS_NAME_(c, meaning) [FS_##c] = #c,
	FS_STEPS(FS_NAME_)
#undef FS_NAME_
};

const char *fs_step_name(enum fs_step_kind k)
{
	return step_names[k];
}

/* --- memory ---------------------------------------------------------------------------------- */

void *fs_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

static void *world_alloc(void *ctx, size_t size)
{
	return fs_alloc(size);
}

static void world_free(void *ctx, void *p)
{
	free(p);
}

/* --- events ---------------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static struct event *insert(struct world *w, const struct event *e)
{
	size_t i = w->heap_count++;

	if (w->heap_count > w->heap_room) {
		w->heap_room = w->heap_room ? 2 * w->heap_room : 1024;
		w->heap = realloc(w->heap, w->heap_room * sizeof(*w->heap));
		if (!w->heap)
			abort();
	}
	for (; i > 0 && before(e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = *e;
	return &w->heap[i];
}

/* What it returns may be filled in until the next push. */
struct event *world_push(struct world *w, int64_t at, enum event_kind kind, unsigned int host)
{
	struct event e = { .at = at < w->now ? w->now : at,
			   .sequence = ++w->sequence,
			   .kind = (uint8_t)kind,
			   .host = host };

	return insert(w, &e);
}

static struct event pop(struct world *w)
{
	struct event first = w->heap[0], last = w->heap[--w->heap_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->heap_count) {
		if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

static void hash(struct world *w, uint64_t x)
{
	w->hash = (w->hash ^ x) * 0x100000001b3ULL;
	w->hash ^= w->hash >> 29;
}

void world_tell(struct world *w, int host, const char *what, int64_t a, int64_t b)
{
	hash(w, (uint64_t)w->now);
	hash(w, (uint64_t)host << 32 ^ (uint64_t)what[0] << 8 ^ (uint64_t)what[1]);
	hash(w, (uint64_t)a * 31 + (uint64_t)b);
	if (w->trace)
		printf("%11.6f %4d %-12s %6lld %lld\n", (double)(w->now - FS_START) / 1e9, host,
		       what, (long long)a, (long long)b);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void heal(struct world *w)
{
	w->heal_at = w->now;
	w->loss = 0;
	w->full = false;
	w->lease_stretch = 0;
	if (w->down) {
		w->down = false;
		for (unsigned int i = 0; i < w->host_count; i++)
			registry_connect(&w->hosts[i], false);
	}
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *h = &w->hosts[i];

		h->answers_lost = h->told_lost = 0;
		h->late = h->disk_slow = 0;
		h->stalled = 0;
		if (h->for_good)
			continue;
		if (!h->power)
			host_power(h, true);
		if (!h->fleet)
			host_up(h);
		if (h->cut)
			registry_cut(h, false);
	}
	for (unsigned int i = 0; i < w->vm_count; i++)
		if (w->vms[i].clone >= 0 && i % 2 == 0)
			vm_clone(w, &w->vms[i], 0, false);
	w->healed = true;
}

static struct host *somebody_else(struct world *w, const struct host *h)
{
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *o = &w->hosts[i];

		if (o != h && o->fleet && o->connected && !o->cut)
			return o;
	}
	return NULL;
}

/* What was allocated while its host could not say so, and died with it, nobody knows: the fleet
 * says that when it is asked to take it, and its guest has to begin with another address.  A host
 * that could have said so for a while has. */
static bool died_untold(struct world *w, const struct host *dead, const struct vm *v)
{
	struct shared_record key = { .kind = SHARED_IMAGE };
	const struct shared_record *r;

	if (registry_vmac(w, v->n) || v->n >= w->pool_size || v->clean > FS_IMAGE_BOUND ||
	    registry_block(w, v->n) != (int)dead->index)
		return false;
	snprintf(key.image.pool, sizeof(key.image.pool), "p");
	key.image.number = v->n / w->block_size;
	r = registry_get(w, &key);
	for (size_t i = 0; r && i < r->image.count; i++)
		if (uuid_equal(&r->image.host, &dead->uuid) &&
		    vmac_mac_u64(r->image.vmacs[i].address) ==
			    vmac_mac_u64(name_of(&w->hosts[0], v->n).address))
			return false;
	return true;
}

static void restart_elsewhere(struct world *w, const struct host *dead, struct host *o)
{
	for (unsigned int i = 0; i < w->vm_count; i++)
		if (w->vms[i].exists && w->vms[i].at == dead->index && !w->vms[i].moving &&
		    !died_untold(w, dead, &w->vms[i]))
			vm_up(w, &w->vms[i], o->index, true);
}

/* Whether the registry says that it is dead. */
static bool is_dead(struct world *w, const struct host *h)
{
	struct shared_record key = { .kind = SHARED_HOST, .host = { .uuid = h->uuid } };
	const struct shared_record *r = registry_get(w, &key);

	return r && r->host.state == HOST_DEAD;
}

/* Whether it is this host's, as the registry has it. */
static bool registry_has(struct world *w, const struct host *h, unsigned int n)
{
	const struct shared_vmac *r = registry_vmac(w, n);

	return r ? uuid_equal(&r->holder, &h->uuid) : registry_block(w, n) == (int)h->index;
}

/* Whether all that was taken by force is; what is not (its image could not be read) is taken anew.
 */
static bool forced_done(struct world *w, const struct host *dead)
{
	bool done = true;

	for (unsigned int i = 0; i < w->vm_count; i++) {
		struct vm *v = &w->vms[i];
		const struct shared_vmac *r = registry_vmac(w, v->n);

		if (!v->exists || v->lost || v->down || v->at == dead->index ||
		    (!v->forced && !registry_has(w, dead, v->n)))
			continue;
		v->forced = !r || !uuid_equal(&r->holder, &w->hosts[v->at].uuid);
		if (v->forced)
			host_hint(&w->hosts[v->at], MIGRATE_FORCE, v->n);
		done &= !v->forced;
	}
	return done;
}

enum vouch { VOUCH_DEAD, VOUCH_RESTART, VOUCH_FORGET };

/* What an operator does, once the one before has come to be; false: it has to be tried again. */
static bool vouch_now(struct world *w, struct host *h, struct host *o, enum vouch what)
{
	struct error e = { 0 };

	switch (what) {
	case VOUCH_DEAD:
		if (!is_dead(w, h))
			fleet_host_state(o->fleet, h->name, HOST_DEAD, "the operator", host_now(o),
					 &e);
		return is_dead(w, h);
	case VOUCH_RESTART:
		if (is_dead(w, h))
			restart_elsewhere(w, h, o);
		return is_dead(w, h) && forced_done(w, h);
	case VOUCH_FORGET:
		h->forgotten =
			is_dead(w, h) && fleet_host_forget(o->fleet, h->name, host_now(o), &e) == 0;
		for (unsigned int i = 0; h->forgotten && i < w->vm_count; i++)
			w->vms[i].lost |=
				w->vms[i].at == h->index || registry_has(w, h, w->vms[i].n);
		return h->forgotten;
	}
	return true;
}

static void vouch(struct world *w, const struct fs_step *s, bool truthfully)
{
	struct host *h = &w->hosts[s->host], *o = somebody_else(w, h);

	if ((truthfully && h->power) || h->forgotten)
		return;
	w->vouched_any = true;
	h->vouched = true;
	for (unsigned int i = 0; i < w->vm_count; i++)
		w->vms[i].settled = false;
	if (!o || !vouch_now(w, h, o, (enum vouch)s->value))
		world_push(w, w->now + (w->beat > SECOND ? w->beat : SECOND), EVENT_STEP, 0)->a =
			(uint64_t)(s - w->scenario->steps);
	if (o)
		host_leave(o);
}

static void drain(struct world *w, struct host *h, bool on)
{
	struct error e;

	if (!h->fleet)
		return;
	h->draining = on;
	fleet_host_state(h->fleet, h->name, on ? HOST_DRAINING : HOST_ACTIVE, NULL, host_now(h),
			 &e);
	host_leave(h);
}

static void lease_drop(struct world *w, struct host *h)
{
	registry_lease(w, h);
}

static void registry_down(struct world *w, bool down)
{
	if (w->down == down)
		return;
	w->down = down;
	for (unsigned int i = 0; i < w->host_count; i++) {
		struct host *h = &w->hosts[i];
		bool cut = h->cut;

		if (down) {
			registry_cut(h, true);
			h->cut = cut;
		} else {
			registry_connect(h, false);
		}
	}
}

static void guest_step(struct world *w, const struct fs_step *s, struct vm *v)
{
	struct fs_plan plan = plan_unpack(s->value);

	switch (s->kind) {
	case FS_GUEST_END:
		vm_end(w, v);
		return;
	case FS_GUEST_DOWN:
		vm_down(w, v);
		return;
	case FS_GUEST_UP:
		vm_up(w, v, s->host, false);
		return;
	case FS_MOVE:
		vm_move(w, v, s->host, &plan);
		return;
	case FS_CLONE:
		vm_clone(w, v, s->host, true);
		return;
	case FS_CLONE_END:
		vm_clone(w, v, s->host, false);
		return;
	case FS_FORGE:
		wire_forge(w, v->n, (int)s->value);
		return;
	case FS_THAW:
		host_hint(&w->hosts[v->at], MIGRATE_THAW_NOW, v->n);
		return;
	default:
		return;
	}
}

static void host_step(struct world *w, const struct fs_step *s, struct host *h)
{
	switch (s->kind) {
	case FS_GUEST_NEW:
		vm_new(w, s->host);
		return;
	case FS_PIN:
		host_pin(h, (unsigned int)s->value);
		return;
	case FS_CUT:
		registry_cut(h, true);
		return;
	case FS_JOIN:
		if (h->cut)
			registry_cut(h, false);
		return;
	case FS_ANSWERS_LOST:
		h->answers_lost = (unsigned int)s->value;
		host_disturb(h);
		return;
	case FS_REQUESTS_LATE:
		h->late = s->value;
		host_disturb(h);
		return;
	case FS_TOLD_LOST:
		h->told_lost = (unsigned int)s->value;
		return;
	case FS_COMPACT:
		registry_connect(h, true);
		return;
	case FS_LEASE_DROP:
		lease_drop(w, h);
		return;
	case FS_STALL:
		h->stalled = w->now + s->value;
		host_disturb(h);
		return;
	case FS_DISK_SLOW:
		h->disk_slow = s->value;
		host_disturb(h);
		return;
	case FS_DAEMON_CRASH:
		host_down(h, false);
		return;
	case FS_DAEMON_STOP:
		host_down(h, true);
		return;
	case FS_DAEMON_START:
		host_up(h);
		return;
	case FS_POWER_OFF:
		h->for_good = s->value == 2;
		host_power(h, false);
		return;
	case FS_POWER_ON:
		h->autostart = s->value;
		h->for_good = false;
		host_power(h, true);
		return;
	case FS_WALL:
		h->wall += s->value;
		return;
	case FS_DRAIN:
		drain(w, h, true);
		return;
	case FS_UNDRAIN:
		drain(w, h, false);
		return;
	case FS_VOUCH:
		vouch(w, s, true);
		return;
	case FS_VOUCH_FALSELY:
		vouch(w, s, false);
		return;
	case FS_FORGET:
		vouch(w, s, true);
		return;
	default:
		return;
	}
}

static void step(struct world *w, const struct fs_step *s)
{
	world_tell(w, s->host, fs_step_name((enum fs_step_kind)s->kind), s->vm, s->value);
	switch (s->kind) {
	case FS_REGISTRY_DOWN:
		registry_down(w, true);
		return;
	case FS_REGISTRY_UP:
		registry_down(w, false);
		return;
	case FS_REGISTRY_FULL:
		w->full = s->value;
		for (unsigned int i = 0; i < w->host_count && w->full; i++)
			host_disturb(&w->hosts[i]);
		return;
	case FS_LEASE_STRETCH:
		w->lease_stretch = s->value;
		return;
	case FS_BACKUP:
		registry_backup(w);
		return;
	case FS_RESTORE:
		registry_restore(w);
		for (unsigned int i = 0; i < w->vm_count; i++)
			w->vms[i].settled = false;
		return;
	case FS_LOSS:
		w->loss = (unsigned int)s->value;
		return;
	case FS_BEAT:
		vm_beat(w, s->value);
		return;
	case FS_HEAL:
		heal(w);
		return;
	case FS_GUEST_END:
	case FS_GUEST_DOWN:
	case FS_GUEST_UP:
	case FS_MOVE:
	case FS_CLONE:
	case FS_CLONE_END:
	case FS_FORGE:
	case FS_THAW:
		if (s->vm < w->vm_count && w->vms[s->vm].exists && s->host < w->host_count)
			guest_step(w, s, &w->vms[s->vm]);
		return;
	default:
		if (s->host < w->host_count)
			host_step(w, s, &w->hosts[s->host]);
		return;
	}
}

/* --- what is due ----------------------------------------------------------------------------- */

static void quarantine(struct host *h, unsigned int n)
{
	struct world *w = h->world;
	struct entry e = place_at(h, n)->now;
	int64_t wall = w->now / MS + h->wall;

	if (!h->fleet || !e.exists || e.state != VMAC_QUARANTINED)
		return;
	if (wall < e.until) {
		struct event *ev = world_push(w, w->now + SECOND, EVENT_QUARANTINE, h->index);

		ev->generation = h->generation;
		ev->a = n;
		return;
	}
	e.exists = false;
	entry_set(h, n, &e);
	host_leave(h);
}

static void for_daemon(struct world *w, struct event *e)
{
	struct host *h = &w->hosts[e->host];

	if (e->generation != h->generation || !h->fleet) {
		free(e->p);
		return;
	}
	if (h->stalled > w->now) {
		e->at = h->stalled;
		insert(w, e);
		return;
	}
	switch (e->kind) {
	case EVENT_CHANNEL:
		registry_channel(h);
		return;
	case EVENT_COMMIT:
		host_commit(h);
		return;
	case EVENT_TIMER:
		if (h->timer_at != e->at && h->timer_at > w->now)
			return;
		h->timer_at = 0;
		fleet_time(h->fleet, host_now(h));
		host_leave(h);
		return;
	case EVENT_QUARANTINE:
		quarantine(h, (unsigned int)e->a);
		return;
	default:
		wire_report(h, e);
		free(e->p);
		return;
	}
}

static void reconcile(struct world *w)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		registry_reconcile(&w->hosts[i]);
	world_push(w, w->now + (w->beat > SECOND ? w->beat : FS_RECONCILE), EVENT_RECONCILE, 0);
}

static void storm_of_own(struct world *w)
{
	for (unsigned int i = 0; w->healed && w->scenario->mutation == FS_MUTATE_STORM && i < 8;
	     i++)
		w->hosts[0].requests++;
}

static void one_event(struct world *w, struct event *e)
{
	struct vm *v = &w->vms[e->a % FS_VMS_MAX];

	switch (e->kind) {
	case EVENT_STEP:
		step(w, &w->scenario->steps[e->a]);
		return;
	case EVENT_REQUEST:
		registry_request(w, e);
		return;
	case EVENT_TIMEOUT:
		registry_timeout(w, e);
		return;
	case EVENT_FRAME:
		wire_frame(w, e->p);
		return;
	case EVENT_GUEST:
		vm_tick(w, v, e->b);
		return;
	case EVENT_ANNOUNCE:
		vm_announce(w, v, e->host);
		return;
	case EVENT_MOVE:
		vm_move_step(w, v);
		return;
	case EVENT_REMOVE:
		if (v->removing == (int)e->host)
			vm_remove(w, v, e->host);
		return;
	case EVENT_LEASE:
		if (!w->hosts[e->host].connected)
			registry_lease(w, &w->hosts[e->host]);
		return;
	case EVENT_RECONCILE:
		reconcile(w);
		return;
	case EVENT_CHECK:
		check_time(w);
		storm_of_own(w);
		world_push(w, w->now + (w->beat > SECOND ? w->beat / 4 : CHECK_EVERY), EVENT_CHECK,
			   0);
		return;
	default:
		for_daemon(w, e);
		return;
	}
}

bool world_turn(struct world *w)
{
	struct event e;

	if (w->heap_count == 0)
		return false;
	e = pop(w);
	w->now = e.at;
	w->events++;
	one_event(w, &e);
	return true;
}

/* --- the run --------------------------------------------------------------------------------- */

void world_init(struct world *w, const struct fs_scenario *s, bool trace)
{
	memset(w, 0, sizeof(*w));
	w->scenario = s;
	w->chance.state = s->seed;
	w->trace = trace;
	w->now = FS_START;
	w->beat = s->beat;
	w->mem = (struct mem){ world_alloc, world_free, w };
	w->host_count = s->hosts;
	w->address_count = s->addresses;
	w->pool_size = s->pool_size;
	w->block_size = s->block_size;
	w->block_count = s->addresses / s->block_size + 1;
	w->hosts = fs_alloc(s->hosts * sizeof(*w->hosts));
	w->epochs = fs_alloc(s->addresses * sizeof(*w->epochs));
	w->vm_of = fs_alloc(s->addresses * sizeof(*w->vm_of));
	for (unsigned int i = 0; i < s->addresses; i++)
		w->vm_of[i] = -1;
	for (unsigned int i = 0; i < FS_SWITCHES; i++)
		w->fdb[i] = fs_alloc((s->addresses + 2) * sizeof(*w->fdb[i]));
	registry_init(w);
	for (unsigned int i = 0; i < s->hosts; i++)
		host_init(w, &w->hosts[i], i);
}

static void event_drop(struct event *e)
{
	struct txn *t = e->p;

	if (e->kind != EVENT_REQUEST && e->kind != EVENT_TIMEOUT) {
		free(e->p);
		return;
	}
	if (--t->refs > 0)
		return;
	for (unsigned int i = 0; i < t->count; i++)
		free((void *)t->puts[i].record);
	free(t);
}

void world_done(struct world *w)
{
	for (size_t i = 0; i < w->heap_count; i++)
		event_drop(&w->heap[i]);
	free(w->heap);
	for (unsigned int i = 0; i < w->host_count; i++)
		host_done(&w->hosts[i]);
	pins_done(w);
	registry_done(w);
	for (unsigned int i = 0; i < FS_SWITCHES; i++)
		free(w->fdb[i]);
	free(w->vm_of);
	free(w->epochs);
	free(w->hosts);
}

static void run_until(struct world *w, int64_t end)
{
	while (w->finding.rule == FS_RULE_NONE && w->heap_count > 0 && w->heap[0].at <= end) {
		world_turn(w);
		if (w->events > FS_EVENTS_MAX)
			check_fail(w, FS_RULE_STORM, "%u events, and no end", FS_EVENTS_MAX);
	}
	if (w->now < end)
		w->now = end;
}

#define FIRST_SECONDS (3 * SECOND)

static void begin(struct world *w)
{
	const struct fs_scenario *s = w->scenario;

	for (unsigned int i = 0; i < w->host_count; i++)
		host_up(&w->hosts[i]);
	run_until(w, FS_START + SECOND);
	host_agree(&w->hosts[0]);
	run_until(w, FS_START + FIRST_SECONDS);
	for (unsigned int i = 0; i < s->vms; i++)
		vm_new(w, i % w->host_count);
	for (unsigned int i = 0; i < s->step_count; i++)
		world_push(w, FS_START + s->steps[i].at, EVENT_STEP, 0)->a = i;
	world_push(w, w->now + FS_RECONCILE, EVENT_RECONCILE, 0);
	world_push(w, w->now + CHECK_EVERY, EVENT_CHECK, 0);
}

void fs_run(const struct fs_scenario *s, bool trace, struct sim_result *ret)
{
	static struct world w;

	world_init(&w, s, trace);
	begin(&w);
	run_until(&w, FS_START + s->end - 10 * SECOND);
	if (w.finding.rule == FS_RULE_NONE)
		check_rest(&w);
	run_until(&w, FS_START + s->end);
	if (w.finding.rule == FS_RULE_NONE)
		check_end(&w);
	*ret = (struct sim_result){ .finding = w.finding,
				    .hash = w.hash,
				    .events = w.events,
				    .frames = w.frames,
				    .counts = { { "commits", w.commits },
						{ "moves", w.moves },
						{ "gates opened by a first frame", w.flips },
						{ "frames redirected", w.redirected },
						{ "alarms", w.alarms } } };
	world_done(&w);
}
