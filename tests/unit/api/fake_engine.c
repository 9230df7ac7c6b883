#include "fake_engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/record.h"

#define FAKE_MAX       64
#define FAKE_VMACS_MAX 400000

/* A command or a view that waits for its answer. */
struct waiting {
	struct waiting *next;
	mono_t due;
	answer_fn done;
	void (*view)(void *ctx);
	void *ctx;
	struct answer answer;
	struct error error;
	vmac_mac_t *addresses;
	struct engine_event event;
	char reason[NOTE_MAX_LEN + 1], who[40], subject[NAME_MAX_LEN + 1];
};

struct engine {
	mono_t (*mono_now)(void);
	wall_t (*wall_now)(void);
	int fd;
	struct waiting *first, **last;
	struct segment *segments[FAKE_MAX];
	struct pool *pools[FAKE_MAX];
	struct port *ports[FAKE_MAX];
	struct vmac **vmacs;
	size_t vmac_count;
	uint64_t commands, refusals, by_code[ERROR_CODE_COUNT];
	uint64_t next_address, seq;
	uint64_t drops[2];
	mono_t started;
	void (*event_fn)(void *ctx, const struct engine_event *event);
	void *event_ctx;
};

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
	close(e->fd);
	free(e);
}

/* --- answering ---------------------------------------------------------------------------------------- */

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
	w->event.from = "";
	w->event.to = "";
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

static void refuse(struct engine *e, answer_fn done, void *ctx, const struct error *error)
{
	struct answer a = { .error = error };

	e->commands++;
	e->refusals++;
	e->by_code[error->code]++;
	done(ctx, &a);
}

static struct waiting *accept_command(struct engine *e, const struct caller *c, const char *what,
				      const char *verb, const char *subject, answer_fn done,
				      void *ctx)
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

static int not_found(const char *what, const char *name, struct error *ret_error)
{
	return error_set(ret_error, ERROR_NOT_FOUND, "see the list", "no such %s: %s", what, name);
}

/* --- segments, pools ------------------------------------------------------------------------------------- */

static int segment_at(struct engine *e, const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i] && (!name[0] || strcmp(e->segments[i]->name, name) == 0))
			return i;
	return -1;
}

static int pool_at(struct engine *e, const char *name)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->pools[i] && (!name[0] || strcmp(e->pools[i]->name, name) == 0))
			return i;
	return -1;
}

static int port_at(struct engine *e, const char *name)
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

	if (segment_at(e, a->name) >= 0) {
		error_set(&error, ERROR_NAME_IN_USE, NULL, "segment %s is there already", a->name);
		refuse(e, done, ctx, &error);
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
	accept_command(e, c, "segment", "add", s->name, done, ctx)->answer.segment = s;
}

void engine_segment_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx)
{
	int i = segment_at(e, name);
	struct error error;

	if (i < 0) {
		not_found("segment", name, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	accept_command(e, c, "segment", "delete", name, done, ctx);
	free(e->segments[i]);
	e->segments[i] = NULL;
}

void engine_pool_add(struct engine *e, const struct caller *c, const struct pool_add *a,
		     answer_fn done, void *ctx)
{
	int i = free_slot((void *const *)e->pools), segment = segment_at(e, a->segment);
	struct error error;
	struct pool *p;

	if (segment < 0 || pool_at(e, a->name) >= 0) {
		if (segment < 0)
			not_found("segment", a->segment, &error);
		else
			error_set(&error, ERROR_NAME_IN_USE, NULL, "pool %s is there", a->name);
		refuse(e, done, ctx, &error);
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
	accept_command(e, c, "pool", "add", p->name, done, ctx)->answer.pool = p;
}

void engine_pool_set(struct engine *e, const struct caller *c, const char *name,
		     const struct pool_set *s, answer_fn done, void *ctx)
{
	int i = pool_at(e, name);
	struct error error;

	if (i < 0) {
		not_found("pool", name, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	if (s->has_quarantine)
		e->pools[i]->quarantine_ms = s->quarantine_ms;
	if (s->has_limit)
		e->pools[i]->limit = s->limit;
	accept_command(e, c, "pool", "set", name, done, ctx)->answer.pool = e->pools[i];
}

void engine_pool_delete(struct engine *e, const struct caller *c, const char *name, answer_fn done,
			void *ctx)
{
	int i = pool_at(e, name);
	struct error error;

	if (i < 0) {
		not_found("pool", name, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	accept_command(e, c, "pool", "delete", name, done, ctx);
	free(e->pools[i]);
	e->pools[i] = NULL;
}

/* --- vMACs ----------------------------------------------------------------------------------------------- */

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

static long vmac_at(struct engine *e, const struct vmac_ref *ref)
{
	vmac_mac_t address;
	bool by_address = vmac_mac_parse(ref->which, &address, NULL) == 0;

	if (ref->segment[0] && segment_at(e, ref->segment) < 0)
		return -1;
	for (size_t i = 0; i < e->vmac_count; i++)
		if (by_address ? vmac_mac_equal(e->vmacs[i]->address, address) :
				 strcmp(e->vmacs[i]->name, ref->which) == 0)
			return (long)i;
	return -1;
}

static struct vmac *vmac_make(struct engine *e, const struct vmac_add *a)
{
	struct vmac v = { .origin = a->adopted ? VMAC_ADOPTED :
				    a->has_address ? VMAC_PINNED : VMAC_ALLOCATED,
			  .segment = 1, .pool = e->pools[0] ? 1 : 0, .epoch = 1,
			  .created = e->wall_now(), .changed = e->wall_now(), .ttl_ms = a->ttl_ms,
			  .until = WALL_NEVER, .name = a->name, .owner = a->owner,
			  .tenant = a->tenant, .note = a->note, .ip_count = (uint8_t)a->ip_count,
			  .ips = a->ips };

	v.address = a->has_address ? a->address :
				     vmac_mac_from_u64(0x0a2233000000 + e->next_address++);
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
		refuse(e, done, ctx, &error);
		return;
	}
	if (segment_at(e, a->segment) < 0) {
		not_found("segment", a->segment, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	v = vmac_make(e, a);
	accept_command(e, c, "vmac", "allocate", v->name, done, ctx)->answer.vmac = v;
}

void engine_vmac_add_batch(struct engine *e, const struct caller *c, const struct vmac_batch *b,
			   answer_fn done, void *ctx)
{
	struct vmac_add a = { .name = "", .owner = b->owner, .tenant = b->tenant, .note = b->note,
			      .ttl_ms = b->ttl_ms };
	struct waiting *w = accept_command(e, c, "pool", "batch", b->pool, done, ctx);

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

	accept_command(e, c, "vmac", verb, new->name, done, ctx)->answer.vmac = new;
}

static bool vmac_missing(struct engine *e, const struct vmac_ref *ref, long i, answer_fn done,
			 void *ctx)
{
	struct error error;

	if (i >= 0)
		return false;
	not_found("vMAC", ref->which, &error);
	refuse(e, done, ctx, &error);
	return true;
}

void engine_vmac_set(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
		     const struct vmac_set *s, answer_fn done, void *ctx)
{
	long i = vmac_at(e, ref);
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
	long i = vmac_at(e, ref);
	struct error error;
	struct vmac v;

	if (vmac_missing(e, ref, i, done, ctx))
		return;
	if (e->vmacs[i]->ttl_ms == 0) {
		error_set(&error, ERROR_WRONG_STATE, NULL, "it has no lifetime");
		refuse(e, done, ctx, &error);
		return;
	}
	v = *e->vmacs[i];
	v.until = wall_after_ms(e->wall_now(), v.ttl_ms);
	vmac_changed(e, c, i, &v, "renew", done, ctx);
}

void engine_vmac_release(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
			 answer_fn done, void *ctx)
{
	long i = vmac_at(e, ref);
	struct vmac v;

	if (vmac_missing(e, ref, i, done, ctx))
		return;
	v = *e->vmacs[i];
	v.state = VMAC_QUARANTINED;
	v.name = v.owner = "";
	v.until = wall_after_ms(e->wall_now(), 4 * 3600 * 1000);
	vmac_changed(e, c, i, &v, "release", done, ctx);
}

/* --- ports ------------------------------------------------------------------------------------------------ */

void engine_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		     answer_fn done, void *ctx)
{
	int i = free_slot((void *const *)e->ports);
	struct vmac_ref ref = { .segment = "", .which = a->vmac };
	long v = a->vmac[0] ? vmac_at(e, &ref) : -1;
	struct error error;
	struct port *p;

	if (port_at(e, a->name) >= 0 || strcmp(a->ifname, "absent0") == 0) {
		if (port_at(e, a->name) >= 0)
			error_set(&error, ERROR_NAME_IN_USE, NULL, "port %s is there", a->name);
		else
			error_set(&error, ERROR_NO_INTERFACE, NULL, "no interface %s", a->ifname);
		refuse(e, done, ctx, &error);
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
	p->created = e->wall_now();
	e->ports[i] = p;
	accept_command(e, c, "port", "add", p->name, done, ctx)->answer.port = p;
}

void engine_port_set(struct engine *e, const struct caller *c, const char *name,
		     const struct port_set *s, answer_fn done, void *ctx)
{
	int i = port_at(e, name);
	struct error error;

	if (i < 0) {
		not_found("port", name, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	if (s->has_allow)
		e->ports[i]->allow = s->allow;
	if (s->has_flood_pps)
		e->ports[i]->flood_pps = s->flood_pps;
	if (s->has_gate)
		e->ports[i]->gate = (uint8_t)s->gate;
	accept_command(e, c, "port", "set", name, done, ctx)->answer.port = e->ports[i];
}

void engine_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
			answer_fn done, void *ctx)
{
	int i = port_at(e, name);
	struct error error;

	if (i < 0) {
		not_found("port", name, &error);
		refuse(e, done, ctx, &error);
		return;
	}
	accept_command(e, c, "port", release ? "delete and release" : "delete", name, done, ctx);
	free(e->ports[i]);
	e->ports[i] = NULL;
}

/* --- views -------------------------------------------------------------------------------------------------- */

const char *port_phase_name(enum port_phase p)
{
	static const char *const names[] = { "waiting", "active", "failed" };

	return names[p];
}

static void see_segment(struct engine *e, int i, struct segment_view *ret)
{
	*ret = (struct segment_view){ .segment = e->segments[i], .vmacs = e->vmac_count,
				      .uplink_present = e->segments[i]->uplink[0] != '\0',
				      .uplink_mtu = 1500, .reception = "filter" };
	if (strcmp(e->segments[i]->uplink, "absent0") == 0) {
		ret->uplink_present = false;
		ret->reception = "none";
		error_set(&ret->trouble, ERROR_NO_INTERFACE, "it is waited for",
			  "there is no interface absent0");
	}
}

int engine_segment_view(struct engine *e, const char *name, struct segment_view *ret,
			struct error *ret_error)
{
	int i = segment_at(e, name);

	if (i < 0)
		return not_found("segment", name, ret_error);
	see_segment(e, i, ret);
	return 0;
}

static void see_pool(struct engine *e, int i, struct pool_view *ret)
{
	uint64_t size = 0;

	for (unsigned int r = 0; r < e->pools[i]->range_count; r++)
		size += vmac_mac_range_size(e->pools[i]->ranges[r]);
	*ret = (struct pool_view){ .pool = e->pools[i], .segment = e->segments[0]->name,
				   .size = size, .used = e->vmac_count,
				   .available = size - e->vmac_count, .next_free = WALL_NEVER };
}

int engine_pool_view(struct engine *e, const char *name, struct pool_view *ret,
		     struct error *ret_error)
{
	int i = pool_at(e, name);

	if (i < 0)
		return not_found("pool", name, ret_error);
	see_pool(e, i, ret);
	return 0;
}

void engine_vmac_look(struct engine *e, const struct vmac *v, struct vmac_view *ret)
{
	*ret = (struct vmac_view){ .vmac = v, .segment = e->segments[0]->name,
				   .pool = v->pool && e->pools[0] ? e->pools[0]->name : "",
				   .port = "" };
}

int engine_vmac_view(struct engine *e, const struct vmac_ref *ref, struct vmac_view *ret,
		     struct error *ret_error)
{
	long i = vmac_at(e, ref);

	if (i < 0)
		return not_found("vMAC", ref->which, ret_error);
	engine_vmac_look(e, e->vmacs[i], ret);
	return 0;
}

static void see_port(struct engine *e, int i, struct port_view *ret)
{
	*ret = (struct port_view){ .port = e->ports[i], .segment = e->segments[0]->name,
				   .phase = PORT_ACTIVE, .ifindex = 40 + i,
				   .mtu = e->ports[i]->mtu };
}

int engine_port_view(struct engine *e, const char *name, struct port_view *ret,
		     struct error *ret_error)
{
	int i = port_at(e, name);

	if (i < 0)
		return not_found("port", name, ret_error);
	see_port(e, i, ret);
	return 0;
}

void engine_segments(struct engine *e, void (*fn)(void *ctx, const struct segment_view *v), void *ctx)
{
	struct segment_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i]) {
			see_segment(e, i, &v);
			fn(ctx, &v);
		}
}

void engine_pools(struct engine *e, void (*fn)(void *ctx, const struct pool_view *v), void *ctx)
{
	struct pool_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->pools[i]) {
			see_pool(e, i, &v);
			fn(ctx, &v);
		}
}

void engine_ports(struct engine *e, void (*fn)(void *ctx, const struct port_view *v), void *ctx)
{
	struct port_view v;

	for (int i = 0; i < FAKE_MAX; i++)
		if (e->ports[i]) {
			see_port(e, i, &v);
			fn(ctx, &v);
		}
}

int engine_vmacs(struct engine *e, const struct vmac_filter *f,
		 void (*fn)(void *ctx, const struct vmac_view *v), void *ctx, bool *ret_more,
		 struct error *ret_error)
{
	struct vmac_view view;
	unsigned int told = 0;

	if (f->segment[0] && segment_at(e, f->segment) < 0)
		return not_found("segment", f->segment, ret_error);
	*ret_more = false;
	for (size_t i = 0; i < e->vmac_count; i++) {
		const struct vmac *v = e->vmacs[i];

		if (f->after && vmac_mac_compare(v->address, f->after_address) <= 0)
			continue;
		if ((f->state >= 0 && v->state != f->state) ||
		    (f->owner[0] && strcmp(v->owner, f->owner) != 0))
			continue;
		if (told++ == f->limit) {
			*ret_more = true;
			return 0;
		}
		engine_vmac_look(e, v, &view);
		fn(ctx, &view);
	}
	return 0;
}

static void count(struct engine *e, struct counters_view *ret)
{
	*ret = (struct counters_view){ .rx_frames = 100, .rx_octets = 6400, .tx_frames = 50,
				       .tx_octets = 3200, .link_dropped = 1, .last_seen_ms = 3000,
				       .reason_count = ARRAY_LEN(e->drops), .drops = e->drops };
}

int engine_port_counters(struct engine *e, const char *port, struct counters_view *ret,
			 struct error *ret_error)
{
	if (port_at(e, port) < 0)
		return not_found("port", port, ret_error);
	count(e, ret);
	return 0;
}

int engine_uplink_counters(struct engine *e, const char *uplink, struct counters_view *ret,
			   struct error *ret_error)
{
	count(e, ret);
	return 0;
}

void engine_uplinks(struct engine *e, void (*fn)(void *ctx, const char *uplink), void *ctx)
{
	for (int i = 0; i < FAKE_MAX; i++)
		if (e->segments[i] && e->segments[i]->uplink[0])
			fn(ctx, e->segments[i]->uplink);
}

unsigned int engine_drop_reason_count(void)
{
	return 2;
}

const char *engine_drop_reason_name(unsigned int reason)
{
	return reason == 0 ? "spoofed_mac" : "gate_closed";
}

const char *engine_drop_reason_meaning(unsigned int reason)
{
	return "a reason of the fake engine";
}

void engine_status(struct engine *e, struct engine_status *ret)
{
	*ret = (struct engine_status){ .version = VMAC_VERSION, .registry_backend = "fake",
				       .registry_where = "memory", .registry_uuid = "none",
				       .attach = "none", .registry_healthy = true,
				       .vmacs = e->vmac_count, .commits = e->commands,
				       .transactions = e->commands, .commit_ns_last = 1500000,
				       .commit_ns_most = 2500000, .commands = e->commands,
				       .refusals = e->refusals, .started = e->started };
	memcpy(ret->refusals_by_code, e->by_code, sizeof(e->by_code));
	for (int i = 0; i < FAKE_MAX; i++) {
		ret->segments += e->segments[i] != NULL;
		ret->pools += e->pools[i] != NULL;
		ret->ports += e->ports[i] != NULL;
	}
}

/* Five lines, 5 … 1; `before` and `limit` are obeyed. */
void engine_history(struct engine *e, const struct history_filter *f,
		    void (*fn)(void *ctx, const struct error *error, const struct history *lines,
			       size_t count),
		    void *ctx)
{
	struct history lines[5];
	size_t n = 0;

	for (uint64_t seq = 5; seq > 0 && n < f->limit; seq--)
		if (!f->before || seq < f->before)
			lines[n++] = (struct history){ .seq = seq, .at = { 1000 * (int64_t)seq },
						       .kind = CHANGE_VMAC, .segment = "lan",
						       .subject = "0a:22:33:00:00:01",
						       .verb = "allocate", .actor = "uid 0",
						       .reason = "", .from = "",
						       .to = "reserved" };
	fn(ctx, NULL, lines, n);
}

void engine_subscribe(struct engine *e, void (*fn)(void *ctx, const struct engine_event *event),
		      void *ctx)
{
	e->event_fn = fn;
	e->event_ctx = ctx;
}
