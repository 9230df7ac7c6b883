#include "fake_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/record.h"

struct engine *fake_engine_new(mono_t (*mono_now)(void), wall_t (*wall_now)(void))
{
	struct engine *e = calloc(1, sizeof(*e));

	assert(e);
	e->mono_now = mono_now;
	e->wall_now = wall_now;
	e->started = mono_now();
	e->last = &e->first;
	e->vmacs = calloc(FAKE_VMACS_MAX, sizeof(struct vmac *));
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->drops[0] = 7;
	assert(e->vmacs && e->fd >= 0);
	return e;
}

void fake_engine_free(struct engine *e)
{
	assert(!e->first);
	for (size_t i = 0; i < FAKE_MAX; i++) {
		free(e->segments[i]);
		free(e->pools[i]);
		free(e->ports[i]);
	}
	for (size_t i = 0; i < e->vmac_count; i++)
		free(e->vmacs[i]);
	free(e->vmacs);
	fake_routers_free();
	fake_clusters_free();
	close(e->fd);
	free(e);
}

/* --- answering ------------------------------------------------------------------------------- */

int fake_engine_fd(const struct engine *e)
{
	return e->fd;
}

mono_t fake_engine_next_expiry(const struct engine *e)
{
	return e->first ? e->first->due : MONO_NEVER;
}

static void tell(struct engine *e, struct waiting *w)
{
	if (!e->event_fn || !w->event.what)
		return;
	w->event.seq = ++e->seq;
	w->event.at = e->wall_now();
	w->event.segment = "";
	w->event.subject = w->subject;
	w->event.actor = w->who;
	w->event.reason = w->reason;
	w->event.from = w->event.from ? w->event.from : "";
	w->event.to = w->event.to ? w->event.to : "";
	e->event_fn(e->event_ctx, &w->event);
}

void fake_engine_ready(struct engine *e)
{
	uint64_t n;

	if (read(e->fd, &n, sizeof(n)) < 0)
		n = 0;
	while (e->first && mono_due(e->first->due, e->mono_now())) {
		struct waiting *w = e->first;

		e->first = w->next;
		if (!e->first)
			e->last = &e->first;
		if (w->view)
			w->view(w->ctx);
		else
			w->done(w->ctx, &w->answer);
		if (w->done && !w->answer.error)
			tell(e, w);
		free(w->addresses);
		free(w);
	}
}

static struct waiting *wait_for(struct engine *e, answer_fn done, void *ctx)
{
	struct waiting *w = calloc(1, sizeof(*w));
	uint64_t one = 1;

	assert(w);
	w->done = done;
	w->ctx = ctx;
	w->due = e->mono_now();
	*e->last = w;
	e->last = &w->next;
	if (write(e->fd, &one, sizeof(one)) < 0)
		abort();
	return w;
}

void fake_refuse(struct engine *e, answer_fn done, void *ctx, const struct error *error)
{
	struct answer a = { .error = error };

	e->commands++;
	e->refusals++;
	e->by_code[error->code]++;
	done(ctx, &a);
}

struct waiting *fake_accept(struct engine *e, const struct caller *c, const char *what,
			    const char *verb, const char *subject, answer_fn done, void *ctx)
{
	struct waiting *w = wait_for(e, done, ctx);

	e->commands++;
	snprintf(w->who, sizeof(w->who), "%s", c->who);
	snprintf(w->reason, sizeof(w->reason), "%s", c->reason);
	snprintf(w->subject, sizeof(w->subject), "%s", subject);
	w->event.what = what;
	w->event.verb = verb;
	if (strcmp(c->reason, "slow") == 0)
		w->due = mono_after(w->due, SPAN_MS(FAKE_SLOW_MS));
	if (strcmp(c->reason, "disk full") == 0) {
		error_set(&w->error, ERROR_REGISTRY_FULL, "make room", "the disk is full");
		w->answer.error = &w->error;
	}
	return w;
}

void engine_when_durable(struct engine *e, void (*fn)(void *ctx), void *ctx)
{
	if (e->first)
		wait_for(e, NULL, ctx)->view = fn;
	else
		fn(ctx);
}

int fake_not_found(const char *what, const char *name, struct error *ret_error)
{
	return error_set(ret_error, ERROR_NOT_FOUND, "see the list", "no such %s: %s", what, name);
}

/* --- segments, pools ------------------------------------------------------------------------- */

int fake_segment_at(struct engine *e, const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i] && (!name[0] || strcmp(e->segments[i]->name, name) == 0))
			return i;
	return -1;
}

int fake_pool_at(struct engine *e, const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->pools[i] && (!name[0] || strcmp(e->pools[i]->name, name) == 0))
			return i;
	return -1;
}

int fake_port_at(struct engine *e, const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->ports[i] && strcmp(e->ports[i]->name, name) == 0)
			return i;
	return -1;
}

static int free_slot(void *const *slots)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (!slots[i])
			return i;
	abort();
}

#define COPY_TEXT(to, from) snprintf(to, sizeof(to), "%s", from)

void engine_segment_add(struct engine *e, const struct caller *c, const struct segment_add *a,
			answer_fn done, void *ctx)
{
	int i = free_slot((void *const *)e->segments);
	struct error error;
	struct segment *s;

	if (fake_segment_at(e, a->name) >= 0) {
		error_set(&error, ERROR_NAME_IN_USE, NULL, "segment %s is there already", a->name);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	s = calloc(1, sizeof(*s));
	assert(s);
	s->id = (uint32_t)i + 1;
	s->vlan = a->vlan;
	s->created = e->wall_now();
	COPY_TEXT(s->name, a->name);
	COPY_TEXT(s->uplink, a->uplink);
	e->segments[i] = s;
	fake_accept(e, c, "segment", "add", s->name, done, ctx)->answer.segment = s;
}

void engine_segment_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx)
{
	int i = fake_segment_at(e, name);
	struct error error;

	if (i < 0) {
		fake_not_found("segment", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fake_accept(e, c, "segment", "delete", name, done, ctx);
	free(e->segments[i]);
	e->segments[i] = NULL;
}

void engine_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		     answer_fn done, void *ctx)
{
	int i = free_slot((void *const *)e->pools), segment = fake_segment_at(e, a->segment);
	struct error error;
	struct pool *p;

	if (segment < 0 || fake_pool_at(e, a->name) >= 0) {
		if (segment < 0)
			fake_not_found("segment", a->segment, &error);
		else
			error_set(&error, ERROR_NAME_IN_USE, NULL, "pool %s is there", a->name);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	p = calloc(1, sizeof(*p));
	assert(p);
	p->id = (uint32_t)i + 1;
	p->segment = (uint32_t)segment + 1;
	COPY_TEXT(p->name, a->name);
	p->range_count = a->range_count;
	memcpy(p->ranges, a->ranges, sizeof(p->ranges));
	p->exclude_count = a->exclude_count;
	memcpy(p->excludes, a->excludes, sizeof(p->excludes));
	memcpy(p->key, a->key, sizeof(p->key));
	p->quarantine_ms = a->quarantine_ms < 0 ? 4 * 3600 * 1000 : a->quarantine_ms;
	p->limit = a->limit;
	p->created = e->wall_now();
	e->pools[i] = p;
	fake_accept(e, c, "pool", "add", p->name, done, ctx)->answer.pool = p;
}

void engine_pool_set(struct engine *e, const struct caller *c, const char *name,
		     const struct pool_set *s, answer_fn done, void *ctx)
{
	int i = fake_pool_at(e, name);
	struct error error;

	if (i < 0) {
		fake_not_found("pool", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (s->has_quarantine)
		e->pools[i]->quarantine_ms = s->quarantine_ms;
	if (s->has_limit)
		e->pools[i]->limit = s->limit;
	fake_accept(e, c, "pool", "set", name, done, ctx)->answer.pool = e->pools[i];
}

void engine_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
			void *ctx)
{
	int i = fake_pool_at(e, name);
	struct error error;

	if (i < 0) {
		fake_not_found("pool", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fake_accept(e, c, "pool", "delete", name, done, ctx);
	free(e->pools[i]);
	e->pools[i] = NULL;
}

/* --- vMACs ----------------------------------------------------------------------------------- */

/* Replaces (or adds) the record at index i by a copy. */
static struct vmac *vmac_put(struct engine *e, size_t i, const struct vmac *v)
{
	void *block = malloc(vmac_block_size(v));
	struct vmac *copy;

	assert(block && i < FAKE_VMACS_MAX);
	copy = vmac_block_fill(block, v);
	if (i == e->vmac_count)
		e->vmac_count++;
	else
		free(e->vmacs[i]);
	e->vmacs[i] = copy;
	return copy;
}

long fake_vmac_at(struct engine *e, const struct vmac_ref *ref)
{
	vmac_mac_t address;
	bool by_address = vmac_mac_parse(ref->which, &address, NULL) == 0;

	if (ref->segment[0] && fake_segment_at(e, ref->segment) < 0)
		return -1;
	for (size_t i = 0; i < e->vmac_count; i++)
		if (by_address ? vmac_mac_equal(e->vmacs[i]->address, address)
			       : strcmp(e->vmacs[i]->name, ref->which) == 0)
			return (long)i;
	return -1;
}

static struct vmac *vmac_make(struct engine *e, const struct vmac_add *a)
{
	struct vmac v = { .origin = a->adopted	     ? VMAC_ADOPTED
				    : a->has_address ? VMAC_PINNED
						     : VMAC_ALLOCATED,
			  .segment = 1,
			  .pool = e->pools[0] ? 1 : 0,
			  .epoch = 1,
			  .created = e->wall_now(),
			  .changed = e->wall_now(),
			  .ttl_ms = a->ttl_ms,
			  .until = WALL_NEVER,
			  .name = a->name,
			  .owner = a->owner,
			  .tenant = a->tenant,
			  .note = a->note,
			  .ip_count = (uint8_t)a->ip_count,
			  .ips = a->ips };

	v.address =
		a->has_address ? a->address : vmac_mac_from_u64(0x0a2233000000 + e->next_address++);
	if (a->ttl_ms > 0)
		v.until = wall_after_ms(v.created, a->ttl_ms);
	return vmac_put(e, e->vmac_count, &v);
}

void engine_vmac_add(struct engine *e, const struct caller *c, const struct vmac_add *a,
		     answer_fn done, void *ctx)
{
	struct error error;
	struct vmac *v;

	if (a->has_address && vmac_mac_is_group(a->address)) {
		error_set(&error, ERROR_GROUP_ADDRESS, "choose another", "that is a group address");
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (fake_segment_at(e, a->segment) < 0) {
		fake_not_found("segment", a->segment, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	v = vmac_make(e, a);
	fake_accept(e, c, "vmac", "allocate", v->name, done, ctx)->answer.vmac = v;
}

void engine_vmac_add_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
			   answer_fn done, void *ctx)
{
	struct vmac_add a = { .name = "",
			      .owner = b->owner,
			      .tenant = b->tenant,
			      .note = b->note,
			      .ttl_ms = b->ttl_ms };
	struct waiting *w = fake_accept(e, c, "pool", "batch", b->pool, done, ctx);

	w->addresses = calloc(b->count, sizeof(*w->addresses));
	assert(w->addresses);
	for (uint32_t i = 0; i < b->count; i++)
		w->addresses[i] = vmac_make(e, &a)->address;
	w->answer.addresses = w->addresses;
	w->answer.address_count = b->count;
}

static void vmac_changed(struct engine *e, const struct caller *c, long i, const struct vmac *v,
			 const char *verb, answer_fn done, void *ctx)
{
	struct vmac *new = vmac_put(e, (size_t)i, v);

	fake_accept(e, c, "vmac", verb, new->name, done, ctx)->answer.vmac = new;
}

static bool vmac_missing(struct engine *e, const struct vmac_ref *ref, long i, answer_fn done,
			 void *ctx)
{
	struct error error;

	if (i >= 0)
		return false;
	fake_not_found("vMAC", ref->which, &error);
	fake_refuse(e, done, ctx, &error);
	return true;
}

void engine_vmac_set(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
		     const struct vmac_set *s, answer_fn done, void *ctx)
{
	long i = fake_vmac_at(e, ref);
	struct vmac v;

	if (vmac_missing(e, ref, i, done, ctx))
		return;
	v = *e->vmacs[i];
	v.name = s->name ? s->name : v.name;
	v.owner = s->owner ? s->owner : v.owner;
	v.tenant = s->tenant ? s->tenant : v.tenant;
	v.note = s->note ? s->note : v.note;
	if (s->has_ips) {
		v.ip_count = (uint8_t)s->ip_count;
		v.ips = s->ips;
	}
	if (s->has_ttl)
		v.ttl_ms = s->ttl_ms;
	vmac_changed(e, c, i, &v, "set", done, ctx);
}

void engine_vmac_renew(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
		       answer_fn done, void *ctx)
{
	long i = fake_vmac_at(e, ref);
	struct error error;
	struct vmac v;

	if (vmac_missing(e, ref, i, done, ctx))
		return;
	if (e->vmacs[i]->ttl_ms == 0) {
		error_set(&error, ERROR_WRONG_STATE, NULL, "it has no lifetime");
		fake_refuse(e, done, ctx, &error);
		return;
	}
	v = *e->vmacs[i];
	v.until = wall_after_ms(e->wall_now(), v.ttl_ms);
	vmac_changed(e, c, i, &v, "renew", done, ctx);
}

void engine_vmac_release(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
			 answer_fn done, void *ctx)
{
	long i = fake_vmac_at(e, ref);
	struct vmac v;

	if (vmac_missing(e, ref, i, done, ctx))
		return;
	v = *e->vmacs[i];
	v.state = VMAC_QUARANTINED;
	v.name = v.owner = "";
	v.until = wall_after_ms(e->wall_now(), 4 * 3600 * 1000);
	vmac_changed(e, c, i, &v, "release", done, ctx);
}

/* --- ports ----------------------------------------------------------------------------------- */

void engine_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		     answer_fn done, void *ctx)
{
	int i = free_slot((void *const *)e->ports);
	struct vmac_ref ref = { .segment = "", .which = a->vmac };
	long v = a->vmac[0] ? fake_vmac_at(e, &ref) : -1;
	struct vmac_add coming = { .name = "", .owner = "", .tenant = "", .note = "" };
	struct move_view move;
	struct error error;
	struct port *p;

	/* One that comes from another host. */
	if (a->vmac[0] && v < 0 && vmac_mac_parse(a->vmac, &coming.address, NULL) == 0 &&
	    fake_fleet_move(coming.address, &move)) {
		coming.has_address = true;
		vmac_make(e, &coming);
		v = fake_vmac_at(e, &ref);
	}
	if (fake_port_at(e, a->name) >= 0 || strcmp(a->ifname, "absent0") == 0 ||
	    (a->vmac[0] && v < 0)) {
		if (a->vmac[0] && v < 0)
			fake_not_found("vMAC", a->vmac, &error);
		else if (fake_port_at(e, a->name) >= 0)
			error_set(&error, ERROR_NAME_IN_USE, NULL, "port %s is there", a->name);
		else
			error_set(&error, ERROR_NO_INTERFACE, NULL, "no interface %s", a->ifname);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	p = calloc(1, sizeof(*p));
	assert(p);
	p->id = (uint32_t)i + 1;
	p->segment = 1;
	p->kind = (uint8_t)a->kind;
	p->gate = a->closed ? GATE_CLOSED : GATE_OPEN;
	p->address = v >= 0 ? e->vmacs[v]->address : vmac_make(e, &a->allocate)->address;
	COPY_TEXT(p->name, a->name);
	COPY_TEXT(p->ifname, a->ifname[0] ? a->ifname : a->name);
	COPY_TEXT(p->peer_netns, a->peer_netns);
	COPY_TEXT(p->peer_ifname, a->peer_ifname[0] ? a->peer_ifname : "eth0");
	p->owner_uid = a->owner_uid;
	p->owner_gid = a->owner_gid;
	p->queues = a->queues ? a->queues : 1;
	p->mtu = a->mtu ? a->mtu : 1500;
	p->allow = a->allow;
	p->flood_pps = a->has_flood_pps ? a->flood_pps : 10000;
	p->router_count = a->router_count;
	memcpy(p->routers, a->routers, sizeof(p->routers));
	p->created = e->wall_now();
	if (v >= 0) {
		e->vmacs[v]->state = VMAC_BOUND;
		e->vmacs[v]->port = p->id;
	}
	e->ports[i] = p;
	fake_accept(e, c, "port", "add", p->name, done, ctx)->answer.port = p;
}

void engine_port_set(struct engine *e, const struct caller *c, const char *name,
		     const struct port_set *s, answer_fn done, void *ctx)
{
	int i = fake_port_at(e, name);
	struct error error;

	if (i < 0) {
		fake_not_found("port", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	if (s->has_allow)
		e->ports[i]->allow = s->allow;
	if (s->has_flood_pps)
		e->ports[i]->flood_pps = s->flood_pps;
	if (s->has_routers) {
		e->ports[i]->router_count = s->router_count;
		memcpy(e->ports[i]->routers, s->routers, sizeof(s->routers));
	}
	if (s->has_gate)
		e->ports[i]->gate = (uint8_t)s->gate;
	fake_accept(e, c, "port", "set", name, done, ctx)->answer.port = e->ports[i];
}

void engine_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
			answer_fn done, void *ctx)
{
	int i = fake_port_at(e, name);
	struct error error;

	if (i < 0) {
		fake_not_found("port", name, &error);
		fake_refuse(e, done, ctx, &error);
		return;
	}
	fake_accept(e, c, "port", release ? "delete and release" : "delete", name, done, ctx);
	for (size_t v = 0; v < e->vmac_count; v++)
		if (e->vmacs[v]->port == e->ports[i]->id) {
			e->vmacs[v]->port = 0;
			e->vmacs[v]->state = VMAC_RESERVED;
		}
	free(e->ports[i]);
	e->ports[i] = NULL;
}
