/* fleet/'s orders -> this host's own registry.
 *
 * An order is carried out in memory at once and made durable like any command's changes.  Where the
 * store refuses (a full disk), it has been undone in memory, newest first, and the orders stand
 * again in their row; they are tried anew in that order, until the disk has room.  An order that
 * comes while others stand in the row goes behind them. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "model/record.h"

#define ORDER_RETRY SPAN_S(1)

enum order_kind {
	ORDER_HOLD,
	ORDER_YIELD,
	ORDER_FORGET,
	ORDER_KEEP,
	ORDER_POOL,
	ORDER_POOL_GONE,
	ORDER_CLUSTER,
	ORDER_CLUSTER_GONE
};

struct order {
	struct order *next;
	enum order_kind kind;
	struct shared_record *before, *after; /* KEEP; HOLD, CLUSTER: after */
	struct shared_pool pool;
	char segment[NAME_MAX_LEN + 1], peer[NAME_MAX_LEN + 1], reason[NOTE_MAX_LEN + 1];
	vmac_mac_t address;
	uint64_t epoch, token;
};

static void order_free(struct fleet_side *s, struct order *o)
{
	engine_dispose(s->e, o->before);
	engine_dispose(s->e, o->after);
	engine_dispose(s->e, o);
}

void side_orders_free(struct fleet_side *s)
{
	struct order *lists[] = { s->orders, s->kept };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		while (lists[i]) {
			struct order *o = lists[i];

			lists[i] = o->next;
			order_free(s, o);
		}
	}
	s->orders = s->kept = NULL;
}

/* --- what each of them changes --------------------------------------------------------------- */

/* What is of one of our blocks stays known here while another host has it: its number is taken. */
static bool is_home(const struct fleet_side *s, const struct vmac *v)
{
	const struct world_pool *p = v->pool ? world_pool(&s->e->world, v->pool) : NULL;
	uint64_t number = p ? pool_machine_number(&p->machine, v->address) : POOL_NO_NUMBER;

	return number != POOL_NO_NUMBER && pool_machine_granted(&p->machine, number);
}

/* What it is comes with it; a name that is taken here does not. */
static void describe(struct order *o, const struct world *w, const struct shared_vmac *record,
		     struct vmac *v)
{
	const struct vmac *namesake =
		record->name[0] ? world_vmac_named(w, v->segment, record->name) : NULL;
	char text[VMAC_MAC_TEXT_MAX];

	v->kind = record->kind;
	v->origin = record->origin;
	v->owner = record->owner;
	v->tenant = record->tenant;
	v->note = record->note;
	v->ips = record->ips;
	v->ip_count = record->ip_count;
	v->ttl_ms = record->ttl_ms;
	v->name = record->name;
	if (namesake && !vmac_mac_equal(namesake->address, v->address)) {
		v->name = "";
		if (o)
			snprintf(o->reason, sizeof(o->reason),
				 "came without its name '%s': %s has it", record->name,
				 vmac_mac_format(namesake->address, VMAC_MAC_COLON, text));
	}
}

void side_describe(struct fleet_side *s, struct vmac *v)
{
	const struct world_segment *segment = world_segment(&s->e->world, v->segment);
	struct fleet_name n = { segment->record->name, v->address };
	const struct shared_vmac *record = fleet_vmac_record(s->fleet, &n);

	if (!record)
		return;
	describe(NULL, &s->e->world, record, v);
	v->epoch = record->epoch;
}

/* A face's record follows its anchor, and goes with its cluster only. */
static bool is_face(const struct world *w, const struct vmac *v)
{
	return v->kind == VMAC_CLUSTER && world_cluster_of_face(w, v->segment, v->address);
}

static int do_hold(struct txn *t, struct order *o)
{
	struct world *w = &t->e->world;
	const struct shared_vmac *record = &o->after->vmac;
	const struct world_segment *segment = world_segment_named(w, o->segment);
	const struct vmac *v = segment ? world_vmac(w, segment->record->id, o->address) : NULL;
	const struct world_pool *p;
	struct vmac new = {
		.address = o->address, .name = "", .owner = "", .tenant = "", .note = ""
	};

	if (!segment || (!v && side_claim_is_coming(t->e->side, segment->record->id, o->address)))
		return 0;
	/* As the journal has it. */
	if (v && v->epoch >= o->epoch && (v->state == VMAC_BOUND || v->state == VMAC_RESERVED))
		return 0;
	if (v) {
		new = *v;
	} else {
		p = world_pool_over(w, segment->record->id, o->address);
		new.segment = segment->record->id;
		new.pool = p ? p->record->id : 0;
		new.created = t->e->cfg.wall_now();
		new.until = WALL_NEVER;
	}
	new.changed = t->e->cfg.wall_now();
	if (!v || v->state == VMAC_MOVING || v->state == VMAC_AWAY) {
		describe(o, w, record, &new);
		new.until = new.ttl_ms ? wall_after_ms(new.changed, new.ttl_ms) : WALL_NEVER;
	}
	new.state = new.port ? VMAC_BOUND : VMAC_RESERVED;
	if (o->epoch > new.epoch)
		new.epoch = o->epoch;
	t->port = new.port;
	return txn_put(t, CHANGE_VMAC, v, &new, "arrive");
}

static const struct vmac *order_vmac(const struct txn *t, const struct order *o)
{
	const struct world_segment *segment = world_segment_named(&t->e->world, o->segment);

	return segment ? world_vmac(&t->e->world, segment->record->id, o->address) : NULL;
}

static int do_yield(struct txn *t, struct order *o)
{
	const struct vmac *v = order_vmac(t, o);
	struct error ignored;
	struct vmac new;

	if (!v)
		return 0;
	if (!v->port && !is_home(t->e->side, v) && !is_face(&t->e->world, v))
		return vmac_forget(t, v, "leave", &ignored);
	new = *v;
	new.state = VMAC_AWAY;
	new.until = WALL_NEVER;
	new.changed = t->e->cfg.wall_now();
	if (o->epoch > new.epoch)
		new.epoch = o->epoch;
	t->port = new.port;
	return txn_put(t, CHANGE_VMAC, v, &new, "leave");
}

static int do_forget(struct txn *t, struct order *o)
{
	const struct vmac *v = order_vmac(t, o);
	struct error ignored;

	/* While there is a port it waits for whoever may come; it goes with the port. */
	return v && !v->port && !is_face(&t->e->world, v) ? vmac_forget(t, v, "forget", &ignored)
							  : 0;
}

static int do_keep(struct txn *t, struct order *o)
{
	struct world *w = &t->e->world;
	const struct shared_record *old = world_kept(w, o->after ? o->after : o->before);

	if (!old && !o->after)
		return 0;
	return o->after ? txn_put(t, CHANGE_SHARED, old, o->after, "")
			: txn_change(t, CHANGE_SHARED, old, NULL, "");
}

/* A pool of everybody's whose segment is here. */
static int do_pool(struct txn *t, struct order *o)
{
	struct world *w = &t->e->world;
	const struct world_segment *segment = world_segment_named(w, o->pool.segment);
	struct pool new = o->pool.pool;

	if (!segment || world_pool_named(w, new.name))
		return 0;
	new.id = world_free_pool_id(w);
	if (new.id == 0) {
		log_warning("pool %s of the other hosts: there are %u pools already", new.name,
			    POOLS_MAX);
		return 0;
	}
	new.segment = segment->record->id;
	new.cursor = 0;
	new.created = t->e->cfg.wall_now();
	table_for_each (&w->pools_by_name, struct world_pool, other)
		if (other->record->segment == new.segment &&
		    pool_configs_overlap(other->record, &new)) {
			log_warning("pool %s of the other hosts overlaps pool %s of this one: it "
				    "cannot be had here",
				    new.name, other->record->name);
			return 0;
		}
	if (txn_put(t, CHANGE_POOL, NULL, &new, "create") < 0 ||
	    pool_reassign(t, new.segment, 0, new.id) < 0)
		return -1;
	side_agreed_pool(t->e->side, &o->pool);
	/* What comes into it is told of when it is durable, as of the pool's. */
	world_pool_named(w, new.name)->counted = true;
	return 0;
}

static int do_pool_gone(struct txn *t, struct order *o)
{
	const struct world_pool *p = world_pool_named(&t->e->world, o->pool.pool.name);

	if (!p || !p->shared)
		return 0;
	if (p->machine.used > 0) {
		log_warning("pool %s is no pool of the other hosts any more; this one has %llu "
			    "virtual MAC(s) of it",
			    p->record->name, (unsigned long long)p->machine.used);
		return 0;
	}
	return pool_reassign(t, p->record->segment, p->record->id, 0) < 0
		       ? -1
		       : txn_change(t, CHANGE_POOL, p->record, NULL, "delete");
}

static int do_cluster(struct txn *t, struct order *o)
{
	return side_do_cluster(t, &o->after->cluster, false);
}

static int do_cluster_gone(struct txn *t, struct order *o)
{
	return side_do_cluster(t, &o->after->cluster, true);
}

/* --- the row --------------------------------------------------------------------------------- */

/* Durable, or nothing was to be done: a token goes back to fleet/, but never from inside of it. */
static void order_done(struct fleet_side *s, struct order *o)
{
	if (!o->token) {
		order_free(s, o);
		return;
	}
	o->next = s->kept;
	s->kept = o;
}

static int order_durable(struct txn *t, struct error *ret_error)
{
	if (t->port && t->e->world.ports[t->port])
		carry_port(t->e, t->port);
	cluster_durable(t, ret_error);
	order_done(t->e->side, t->order);
	return 0;
}

static void order_refused(struct txn *t)
{
	struct fleet_side *s = t->e->side;

	t->order->next = s->orders;
	if (!s->orders)
		s->orders_tail = &t->order->next;
	s->orders = t->order;
	s->retry = mono_after(t->e->cfg.mono_now(), ORDER_RETRY);
}

static const char *order_reason(const struct order *o, char *buf, size_t size)
{
	static const char *const plain[] = {
		[ORDER_HOLD] = "moved here",	  [ORDER_YIELD] = "moved away",
		[ORDER_FORGET] = "nobody has it", [ORDER_KEEP] = "",
		[ORDER_POOL] = "of the hosts",	  [ORDER_POOL_GONE] = "of the hosts no more",
		[ORDER_CLUSTER] = "of the hosts", [ORDER_CLUSTER_GONE] = "of the hosts no more",
	};

	snprintf(buf, size, "%s%s%s%s%s", plain[o->kind], o->peer[0] ? " to " : "", o->peer,
		 o->reason[0] ? "; " : "", o->reason);
	return buf;
}

/* False: no memory now. */
static bool order_run(struct fleet_side *s, struct order *o)
{
	static int (*const kinds[])(struct txn * t, struct order * o) = {
		[ORDER_HOLD] = do_hold,	      [ORDER_YIELD] = do_yield,
		[ORDER_FORGET] = do_forget,   [ORDER_KEEP] = do_keep,
		[ORDER_POOL] = do_pool,	      [ORDER_POOL_GONE] = do_pool_gone,
		[ORDER_CLUSTER] = do_cluster, [ORDER_CLUSTER_GONE] = do_cluster_gone,
	};
	char reason[NOTE_MAX_LEN + NAME_MAX_LEN + 64];
	struct caller c = { .who = "vmacd", .reason = order_reason(o, reason, sizeof(reason)) };
	struct txn *t = txn_begin(s->e, &c, NULL, NULL);
	struct error error;
	int r;

	if (!t)
		return false;
	r = kinds[o->kind](t, o);
	if (r < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		if (r == SIDE_CLUSTER_CANNOT)
			order_done(s, o);
		return r == SIDE_CLUSTER_CANNOT;
	}
	if (t->base.count == 0) {
		txn_drop(t);
		order_done(s, o);
		return true;
	}
	t->order = o;
	t->carry = order_durable;
	t->recover = order_refused;
	txn_submit(t);
	return true;
}

void side_orders_retry(struct fleet_side *s)
{
	s->retry = MONO_NEVER;
	while (s->orders) {
		struct order *o = s->orders;

		s->orders = o->next;
		if (!s->orders)
			s->orders_tail = &s->orders;
		if (order_run(s, o))
			continue;
		o->next = s->orders;
		if (!s->orders)
			s->orders_tail = &o->next;
		s->orders = o;
		s->retry = mono_after(s->e->cfg.mono_now(), ORDER_RETRY);
		return;
	}
}

static void order_take(struct fleet_side *s, struct order *o)
{
	o->next = NULL;
	*s->orders_tail = o;
	s->orders_tail = &o->next;
	/* Others wait: it goes with them. */
	if (s->orders == o)
		side_orders_retry(s);
}

void side_orders_kept(struct fleet_side *s)
{
	struct order *list = s->kept, *in_order = NULL;

	s->kept = NULL;
	while (list) {
		struct order *o = list;

		list = o->next;
		o->next = in_order;
		in_order = o;
	}
	while (in_order) {
		struct order *o = in_order;

		in_order = o->next;
		fleet_kept(s->fleet, o->token, s->e->cfg.mono_now());
		order_free(s, o);
	}
}

/* --- orders ---------------------------------------------------------------------------------- */

static struct order *order_new(struct fleet_side *s, enum order_kind kind, const char *segment,
			       vmac_mac_t address)
{
	struct order *o = side_alloc(s, sizeof(*o));

	*o = (struct order){ .kind = kind, .address = address };
	snprintf(o->segment, sizeof(o->segment), "%s", segment);
	return o;
}

static struct shared_record *copy_of(struct fleet_side *s, const struct shared_record *r)
{
	struct shared_record *copy = shared_copy(s->e->cfg.mem, r);

	if (!copy)
		side_alloc(s, SIZE_MAX / 2);
	return copy;
}

void side_hold(void *ctx, const struct shared_vmac *record, uint64_t epoch)
{
	struct fleet_side *s = ctx;
	struct order *o = order_new(s, ORDER_HOLD, record->segment, record->address);
	struct shared_record whole = { .kind = SHARED_VMAC, .vmac = *record };

	o->after = copy_of(s, &whole);
	o->epoch = epoch;
	order_take(s, o);
}

void side_yield(void *ctx, const struct fleet_name *n, const struct shared_host *peer,
		uint64_t epoch)
{
	struct fleet_side *s = ctx;
	struct order *o = order_new(s, ORDER_YIELD, n->segment, n->address);

	if (peer)
		snprintf(o->peer, sizeof(o->peer), "%s", peer->name);
	o->epoch = epoch;
	order_take(s, o);
}

void side_forget(void *ctx, const struct fleet_name *n)
{
	struct fleet_side *s = ctx;

	order_take(s, order_new(s, ORDER_FORGET, n->segment, n->address));
}

void side_keep(void *ctx, const struct shared_record *before, const struct shared_record *after,
	       uint64_t token)
{
	struct fleet_side *s = ctx;
	struct order *o = order_new(s, ORDER_KEEP, "", (vmac_mac_t){ { 0 } });

	o->before = before ? copy_of(s, before) : NULL;
	o->after = after ? copy_of(s, after) : NULL;
	o->token = token;
	order_take(s, o);
}

void side_make_pool(struct fleet_side *s, const struct shared_pool *p)
{
	struct order *o = order_new(s, ORDER_POOL, p->segment, (vmac_mac_t){ { 0 } });

	o->pool = *p;
	order_take(s, o);
}

void side_drop_pool(struct fleet_side *s, const struct shared_pool *p)
{
	struct order *o = order_new(s, ORDER_POOL_GONE, "", (vmac_mac_t){ { 0 } });

	o->pool = *p;
	order_take(s, o);
}

static struct order *cluster_order(struct fleet_side *s, const struct shared_cluster *c, bool gone)
{
	struct order *o = order_new(s, gone ? ORDER_CLUSTER_GONE : ORDER_CLUSTER, c->segment,
				    (vmac_mac_t){ { 0 } });
	struct shared_record whole = { .kind = SHARED_CLUSTER, .revision = 1, .cluster = *c };

	o->after = copy_of(s, &whole);
	return o;
}

void side_write_cluster(struct fleet_side *s, const struct shared_cluster *c, bool gone)
{
	order_take(s, cluster_order(s, c, gone));
}

void side_insist_cluster(struct txn *t, const struct shared_cluster *c, bool gone)
{
	t->order = cluster_order(t->e->side, c, gone);
	t->carry = order_durable;
	t->recover = order_refused;
}

/* --- a port goes ----------------------------------------------------------------------------- */

int side_port_leaves(struct txn *t, const struct vmac *v, struct error *ret_error)
{
	struct fleet_side *s = t->e->side;
	struct vmac new = *v;

	/* What was never here leaves nothing behind. */
	if (v->state == VMAC_MOVING || !s || !is_home(s, v))
		return vmac_forget(t, v, "leave", ret_error);
	new.port = 0;
	new.changed = t->e->cfg.wall_now();
	if (txn_put(t, CHANGE_VMAC, v, &new, "unbind") < 0)
		return engine_no_memory(ret_error);
	return 0;
}
