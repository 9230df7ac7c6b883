/* A host: the production core over a journal and a data plane of ours.
 *
 * What fleet/ orders for the journal counts at once for whoever looks (as in the engine), and
 * survives a crash only when it was committed, in order, some time later. */
#include <stdlib.h>
#include <string.h>

#include "fleet_sim.h"

/* --- small things ---------------------------------------------------------------------------- */

mono_t host_now(const struct host *h)
{
	return (mono_t){ h->world->now + h->offset };
}

struct fleet_name name_of(const struct host *h, unsigned int n)
{
	return (struct fleet_name){ "lan",
				    { { 0x0a, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
					(uint8_t)(n >> 8), (uint8_t)n } } };
}

static unsigned int number_of(vmac_mac_t m)
{
	return (unsigned int)m.octet[2] << 24 | (unsigned int)m.octet[3] << 16 |
	       (unsigned int)m.octet[4] << 8 | m.octet[5];
}

int host_of(const struct world *w, const struct uuid *u)
{
	unsigned int i = (unsigned int)u->octet[1] << 8 | u->octet[2];

	if (uuid_is_none(u))
		return -1;
	return i < w->host_count && uuid_equal(&w->hosts[i].uuid, u) ? (int)i : -2;
}

struct place_of *place_at(struct host *h, unsigned int n)
{
	struct world *w = h->world;
	struct place_of **b = &h->blocks[n / w->block_size];

	if (!*b)
		*b = fs_alloc(w->block_size * sizeof(**b));
	return &(*b)[n % w->block_size];
}

bool entry_held(const struct entry *e)
{
	return e->exists && (e->state == VMAC_BOUND || e->state == VMAC_RESERVED);
}

void host_disturb(struct host *h)
{
	h->clean_since = INT64_MAX;
}

/* Undisturbed for so long: it is in the fleet, and what it is told and tells arrives. */
bool host_clean(const struct host *h, int64_t for_ns)
{
	return h->clean_since != INT64_MAX && h->world->now - h->clean_since >= for_ns;
}

static void clean_look(struct host *h)
{
	struct world *w = h->world;
	struct fleet_facts facts;

	if (h->clean_since != INT64_MAX)
		return;
	if (!h->fleet || h->cut || w->down || w->full || !h->connected || h->answers_lost ||
	    h->told_lost || h->late || h->stalled > w->now || h->disk_slow ||
	    h->skipped_count > 0 || h->missed)
		return;
	fleet_facts(h->fleet, &facts);
	if (facts.reachable && facts.complete && facts.joined)
		h->clean_since = w->now;
}

/* --- the journal ----------------------------------------------------------------------------- */

const char *pool_of(const struct world *w, unsigned int n)
{
	return n < w->pool_size ? "p" : "";
}

static struct vmac vmac_of(const struct host *h, unsigned int n, const struct entry *e)
{
	return (struct vmac){ .address = name_of(h, n).address,
			      .origin = n < h->world->pool_size ? VMAC_ALLOCATED : VMAC_PINNED,
			      .epoch = e->epoch,
			      .state = e->state,
			      .until = WALL_NEVER,
			      .name = "",
			      .owner = "",
			      .tenant = "",
			      .note = "" };
}

static struct order *order_new(struct host *h, enum order_kind kind)
{
	struct world *w = h->world;
	struct order *o = fs_alloc(sizeof(*o));
	int64_t at =
		w->now + chance_span(&w->chance, MS / 10, h->disk_slow ? h->disk_slow : 3 * MS);

	o->kind = (uint8_t)kind;
	*h->orders_last = o;
	h->orders_last = &o->next;
	if (at < h->orders_at)
		at = h->orders_at;
	h->orders_at = at;
	world_push(w, at, EVENT_COMMIT, h->index)->generation = h->generation;
	return o;
}

static void room_change(struct host *h, unsigned int n, bool before, bool after)
{
	struct world *w = h->world;

	if (n < w->pool_size && h->ours[n / w->block_size])
		h->room += (uint64_t)before - (uint64_t)after;
}

void entry_set(struct host *h, unsigned int n, const struct entry *after)
{
	struct place_of *p = place_at(h, n);
	struct order *o;

	if (!p->now.exists && !after->exists)
		return;
	o = order_new(h, ORDER_ENTRY);
	room_change(h, n, p->now.exists, after->exists);
	o->n = n;
	o->before = p->now;
	o->after = *after;
	if (!after->exists)
		o->after = (struct entry){ 0 };
	/* Of a pause before that the bound says nothing. */
	if (after->exists && after->state == VMAC_AWAY && p->now.state != VMAC_AWAY &&
	    p->port.redirect_since)
		p->port.redirect_since = h->world->now;
	p->now = o->after;
	world_tell(h->world, (int)h->index, "journal", n, after->exists ? after->state : -1);
}

static bool kept_is(const void *item, const void *key)
{
	return shared_same_key(((const struct node *)item)->record, key);
}

static void keep(struct host *h, const struct order *o)
{
	const struct shared_record *key = o->kept ? o->kept->record : o->key;
	struct node *was = table_get(&h->kept, shared_key_hash(key), key, kept_is);

	if (h->world->scenario->mutation == FS_MUTATE_AMNESIA && key->kind == SHARED_VMAC)
		return;
	if (was) {
		table_remove(&h->kept, shared_key_hash(key), was);
		node_free(was);
	}
	if (!o->kept)
		return;
	o->kept->refs++;
	if (table_add(&h->kept, shared_key_hash(key), o->kept) < 0)
		abort();
}

static void order_free(struct order *o)
{
	node_free(o->kept);
	free(o->key);
	free(o);
}

static void quarantine_watch(struct host *h, unsigned int n, const struct entry *e)
{
	struct world *w = h->world;
	struct event *ev;

	if (!e->exists || e->state != VMAC_QUARANTINED)
		return;
	ev = world_push(w, w->now + FS_QUARANTINE, EVENT_QUARANTINE, h->index);
	ev->generation = h->generation;
	ev->a = n;
}

/* The oldest order becomes durable. */
void host_commit(struct host *h)
{
	struct world *w = h->world;
	struct order *o = h->orders;

	if (!o || !h->fleet)
		return;
	h->orders = o->next;
	if (!h->orders)
		h->orders_last = &h->orders;
	if (o->kind == ORDER_ENTRY) {
		struct place_of *p = place_at(h, o->n);
		struct vmac before = vmac_of(h, o->n, &o->before), after;

		if (w->scenario->mutation == FS_MUTATE_OLD_EPOCH && o->after.epoch > 1 &&
		    w->moves > 0)
			o->after.epoch = p->now.epoch = 1;
		after = vmac_of(h, o->n, &o->after);
		check_entry(h, o->n, &p->durable, &o->after);
		if (w->scenario->mutation != FS_MUTATE_AMNESIA || !o->after.exists ||
		    chance_percent(&w->chance, 50))
			p->durable = o->after;
		quarantine_watch(h, o->n, &o->after);
		fleet_vmac(h->fleet, "lan", pool_of(w, o->n), o->n,
			   o->before.exists ? &before : NULL, o->after.exists ? &after : NULL,
			   host_now(h));
	} else {
		keep(h, o);
		if (o->token)
			fleet_kept(h->fleet, o->token, host_now(h));
	}
	order_free(o);
	host_leave(h);
}

/* A command waits until it is durable. */
void host_flush(struct host *h)
{
	for (unsigned int i = 0; i < 1000 && h->orders; i++)
		host_commit(h);
}

static void orders_drop(struct host *h)
{
	struct order *o;

	while ((o = h->orders)) {
		h->orders = o->next;
		order_free(o);
	}
	h->orders_last = &h->orders;
}

/* --- ops ------------------------------------------------------------------------------------- */

static void op_submit(void *ctx, const struct shared_put *puts, unsigned int count, uint64_t token)
{
	registry_submit(ctx, puts, count, token, false);
}

static void op_read(void *ctx, const struct shared_record *key, uint64_t token)
{
	struct shared_put put = { .record = key };

	registry_submit(ctx, &put, 1, token, true);
}

static void op_reconcile(void *ctx)
{
	registry_reconcile(ctx);
}

static void op_gate(void *ctx, const struct fleet_name *n, enum migrate_gate gate,
		    const struct shared_host *peer)
{
	struct host *h = ctx;

	wire_gate(h, number_of(n->address), gate, peer ? host_of(h->world, &peer->uuid) : -1);
}

static void op_announce(void *ctx, const struct fleet_name *n, uint64_t epoch, unsigned int nth)
{
	wire_announce(ctx, number_of(n->address), epoch);
}

static void op_query(void *ctx, const struct fleet_name *n)
{
}

bool is_home(const struct host *h, unsigned int n)
{
	return n < h->world->pool_size && h->ours[n / h->world->block_size];
}

static void op_hold(void *ctx, const struct shared_vmac *record, uint64_t epoch)
{
	struct host *h = ctx;
	unsigned int n = number_of(record->address);
	struct entry e = place_at(h, n)->now;

	if (entry_held(&e) && e.epoch >= epoch)
		return;
	e.exists = true;
	e.state = e.port ? VMAC_BOUND : VMAC_RESERVED;
	if (epoch > e.epoch)
		e.epoch = epoch;
	entry_set(h, n, &e);
}

static void op_yield(void *ctx, const struct fleet_name *n, const struct shared_host *peer,
		     uint64_t epoch)
{
	struct host *h = ctx;
	struct entry e = place_at(h, number_of(n->address))->now;

	if (!e.exists)
		return;
	e.exists = e.port || is_home(h, number_of(n->address));
	e.state = VMAC_AWAY;
	if (epoch > e.epoch)
		e.epoch = epoch;
	entry_set(h, number_of(n->address), &e);
}

static void op_forget(void *ctx, const struct fleet_name *n)
{
	struct host *h = ctx;
	struct entry e = place_at(h, number_of(n->address))->now;

	if (!e.exists || e.port)
		return;
	e.exists = false;
	entry_set(h, number_of(n->address), &e);
}

static void op_keep(void *ctx, const struct shared_record *before,
		    const struct shared_record *after, uint64_t token)
{
	struct host *h = ctx;
	struct world *w = h->world;
	struct order *o = order_new(h, ORDER_KEEP);
	struct node *n = after ? registry_node(w, after) : NULL;

	o->token = token;
	if (!after) {
		o->key = shared_copy(&w->mem, before);
		return;
	}
	/* The registry's own copy serves where it is the same. */
	if (n && n->record->revision == after->revision && after->revision > 0) {
		o->kept = n;
		n->refs++;
		return;
	}
	o->kept = fs_alloc(sizeof(*o->kept));
	o->kept->refs = 1;
	o->kept->record = shared_copy(&w->mem, after);
}

static void op_block(void *ctx, const char *pool, uint64_t number, uint32_t block_size, bool ours)
{
	struct host *h = ctx;
	struct world *w = h->world;
	unsigned int used = 0, size = w->block_size;
	uint64_t first = number * size;

	if (!ours && w->scenario->mutation == FS_MUTATE_BLOCK_KEPT)
		return;
	if (h->ours[number] == ours)
		return;
	if (first + size > w->pool_size)
		size = w->pool_size - (unsigned int)first;
	for (unsigned int i = 0; h->blocks[number] && i < size; i++)
		used += h->blocks[number][i].now.exists;
	h->ours[number] = ours;
	h->room += ours ? size - used : -(uint64_t)(size - used);
	world_tell(w, (int)h->index, ours ? "block" : "block gone", (int64_t)number, 0);
}

static void op_pool(void *ctx, const struct shared_pool *p, bool gone)
{
	((struct host *)ctx)->pool_known = !gone;
}

static const struct vmac *op_journal(void *ctx, const struct fleet_name *n, const char **ret_pool)
{
	struct host *h = ctx;
	unsigned int number = number_of(n->address);
	struct entry *e = &place_at(h, number)->now;

	*ret_pool = pool_of(h->world, number);
	if (!e->exists)
		return NULL;
	h->look = vmac_of(h, number, e);
	return &h->look;
}

static bool op_locate(void *ctx, const struct fleet_name *n, const char **ret_pool,
		      uint64_t *ret_number)
{
	struct host *h = ctx;

	if (!h->pool_known || number_of(n->address) >= h->world->pool_size)
		return false;
	*ret_pool = "p";
	*ret_number = number_of(n->address);
	return true;
}

static void op_each(void *ctx, const char *pool, uint64_t number,
		    void (*fn)(void *fn_ctx, const struct vmac *v), void *fn_ctx)
{
	struct host *h = ctx;
	unsigned int size = h->world->block_size;

	for (unsigned int i = 0; h->blocks[number] && i < size; i++) {
		struct vmac v =
			vmac_of(h, (unsigned int)number * size + i, &h->blocks[number][i].now);

		if (h->blocks[number][i].now.exists)
			fn(fn_ctx, &v);
	}
}

static void op_note(void *ctx, const struct fleet_note *note)
{
	struct host *h = ctx;
	struct world *w = h->world;
	bool named = note->name.segment && note->name.segment[0];

	if (note->kind == FLEET_ALARM && w->scenario->mutation != FS_MUTATE_NO_ALARM) {
		h->alarms++;
		w->alarms++;
	}
	world_tell(w, (int)h->index, note->kind == FLEET_MOVE ? "move" : "note",
		   named ? (int64_t)number_of(note->name.address) : -1,
		   (int64_t)(note->kind << 16 | note->from << 8 | note->to));
	if (w->trace)
		printf("            %s%s%s %s (%s)\n",
		       note->kind == FLEET_MOVE ? migrate_state_name(note->from) : "",
		       note->kind == FLEET_MOVE ? " -> " : "",
		       note->kind == FLEET_MOVE	   ? migrate_state_name(note->to)
		       : note->kind == FLEET_ALARM ? "ALARM"
						   : "",
		       note->text, note->peer);
}

/* No cluster is made here. */
static void op_cluster(void *ctx, const struct shared_cluster *c, bool gone)
{
}

static const struct fleet_ops ops = {
	.submit = op_submit,
	.read = op_read,
	.reconcile = op_reconcile,
	.gate = op_gate,
	.announce = op_announce,
	.query = op_query,
	.hold = op_hold,
	.yield = op_yield,
	.forget = op_forget,
	.keep = op_keep,
	.block = op_block,
	.pool = op_pool,
	.cluster = op_cluster,
	.journal = op_journal,
	.locate = op_locate,
	.each = op_each,
	.note = op_note,
};

/* --- turns ----------------------------------------------------------------------------------- */

static void tell_flips(struct host *h)
{
	struct world *w = h->world;

	for (unsigned int n = 0; h->flips > 0 && n < w->address_count; n++) {
		struct place_of *p = place_at(h, n);
		struct fleet_name name = name_of(h, n);

		if (!p->port.flip_seen)
			continue;
		p->port.flip_seen = false;
		h->flips--;
		fleet_flipped(h->fleet, &name, host_now(h));
	}
}

static void timer_set(struct host *h)
{
	struct world *w = h->world;
	mono_t next = fleet_next_expiry(h->fleet);
	int64_t at;

	if (next.ns == INT64_MAX)
		return;
	at = next.ns - h->offset;
	if (at <= w->now)
		at = w->now + MS;
	if (h->timer_at > w->now && h->timer_at <= at)
		return;
	h->timer_at = at;
	world_push(w, at, EVENT_TIMER, h->index)->generation = h->generation;
}

void host_leave(struct host *h)
{
	struct world *w = h->world;

	if (!h->fleet)
		return;
	tell_flips(h);
	if (h->pool_known && h->room != h->room_told) {
		h->room_told = h->room;
		fleet_pool_room(h->fleet, "p", w->pool_size, h->room, host_now(h));
	}
	timer_set(h);
	clean_look(h);
}

/* --- life ------------------------------------------------------------------------------------ */

static void load_entries(struct host *h)
{
	struct world *w = h->world;

	for (unsigned int b = 0; b < w->block_count; b++)
		for (unsigned int i = 0; h->blocks[b] && i < w->block_size; i++) {
			struct place_of *p = &h->blocks[b][i];
			unsigned int n = b * w->block_size + i;
			struct vmac v;

			p->now = p->durable;
			p->port.gated = false;
			if (!p->now.exists)
				continue;
			v = vmac_of(h, n, &p->now);
			quarantine_watch(h, n, &p->now);
			fleet_vmac(h->fleet, "lan", pool_of(w, n), n, NULL, &v, host_now(h));
		}
}

static void tell_ports(struct host *h)
{
	struct world *w = h->world;

	for (unsigned int b = 0; b < w->block_count; b++)
		for (unsigned int i = 0; h->blocks[b] && i < w->block_size; i++) {
			struct place_of *p = &h->blocks[b][i];
			unsigned int n = b * w->block_size + i;
			struct fleet_name name = name_of(h, n);

			if (!p->port.exists)
				continue;
			if (p->port.up)
				fleet_port(h->fleet, &name, true, host_now(h));
			if (!p->port.gated)
				wire_gate(h, n, MIGRATE_GATE_CLOSED, -1);
		}
}

void host_up(struct host *h)
{
	struct world *w = h->world;
	struct fleet_config c = { .mem = &w->mem,
				  .ops = &ops,
				  .ctx = h,
				  .self = h->uuid,
				  .name = h->name,
				  .version = "1",
				  .address = { .family = 4,
					       .octet = { 10, 0, (uint8_t)(h->index >> 8),
							  (uint8_t)h->index } },
				  .tunnel_port = 14789,
				  .seed = chance_next(&w->chance) };
	struct error e;

	if (h->fleet || !h->power)
		return;
	world_tell(w, (int)h->index, "up", 0, 0);
	h->generation++;
	memset(h->ours, 0, w->block_count * sizeof(*h->ours));
	h->room = 0;
	h->room_told = UINT64_MAX;
	h->pool_known = false;
	h->heard = h->skipped_count = 0;
	h->flips = 0;
	h->timer_at = 0;
	h->channel_at = h->orders_at = 0;
	h->missed = false;
	h->awake_since = w->now;
	host_disturb(h);
	if (fleet_new(&c, &h->fleet, &e) < 0)
		abort();
	table_for_each (&h->kept, struct node, n)
		if (fleet_load(h->fleet, n->record, host_now(h)) < 0)
			abort();
	load_entries(h);
	fleet_start(h->fleet, host_now(h));
	tell_ports(h);
	registry_connect(h, false);
	if (!h->connected) {
		struct error cut;

		error_set(&cut, ERROR_REGISTRY_UNREACHABLE, NULL, "out of reach");
		fleet_reach(h->fleet, &cut, host_now(h));
	}
	host_leave(h);
}

void host_down(struct host *h, bool graceful)
{
	struct world *w = h->world;

	if (!h->fleet)
		return;
	world_tell(w, (int)h->index, "down", graceful, 0);
	host_disturb(h);
	if (graceful) {
		fleet_stop(h->fleet, host_now(h));
		host_flush(h);
	}
	fleet_free(h->fleet);
	h->fleet = NULL;
	h->generation++;
	orders_drop(h);
	registry_channel_drop(h);
	if (h->connected)
		world_push(w, w->now + 10 * SECOND + w->lease_stretch, EVENT_LEASE, h->index);
	h->connected = false;
	h->lease_at = w->now + 10 * SECOND + w->lease_stretch;
}

/* The data plane goes with the power, the journal's last words too. */
void host_power(struct host *h, bool on)
{
	struct world *w = h->world;

	if (h->power == on)
		return;
	if (!on)
		host_down(h, false);
	h->power = on;
	for (unsigned int b = 0; !on && b < w->block_count; b++)
		for (unsigned int i = 0; h->blocks[b] && i < w->block_size; i++) {
			struct dport *p = &h->blocks[b][i].port;

			*p = (struct dport){ .exists = h->blocks[b][i].durable.port,
					     .peer = -1,
					     .incarnation = p->incarnation + 1 };
		}
	vm_power(w, h->index, on);
	if (on)
		host_up(h);
}

void host_init(struct world *w, struct host *h, unsigned int index)
{
	h->world = w;
	h->index = index;
	h->power = true;
	h->last = &h->first;
	h->orders_last = &h->orders;
	h->clean_since = INT64_MAX;
	h->lease_at = INT64_MAX;
	h->offset = chance_span(&w->chance, 0, 1000000 * SECOND);
	h->uuid.octet[0] = 0xa0;
	h->uuid.octet[1] = (uint8_t)(index >> 8);
	h->uuid.octet[2] = (uint8_t)index;
	/* Ties are decided by uuid: not always for the first host. */
	h->uuid.octet[0] ^= (uint8_t)(chance_next(&w->chance) & 0x0f);
	snprintf(h->name, sizeof(h->name), "kvm%u", index);
	h->blocks = fs_alloc(w->block_count * sizeof(*h->blocks));
	h->ours = fs_alloc(w->block_count * sizeof(*h->ours));
	table_init(&h->kept, &w->mem);
}

void host_done(struct host *h)
{
	fleet_free(h->fleet);
	h->fleet = NULL;
	orders_drop(h);
	registry_channel_drop(h);
	table_for_each (&h->kept, struct node, n)
		node_free(n);
	table_done(&h->kept);
	for (unsigned int b = 0; b < h->world->block_count; b++)
		free(h->blocks[b]);
	free(h->blocks);
	free(h->ours);
	free(h->skipped);
}
