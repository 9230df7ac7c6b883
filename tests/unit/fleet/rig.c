#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOLD, COMPLETE, OUTCOME, KEPT, VMAC_CHANGED, IMAGE_READ, PORTS };

uint64_t rig_random(struct rig *rig)
{
	rig->seed ^= rig->seed << 13;
	rig->seed ^= rig->seed >> 7;
	rig->seed ^= rig->seed << 17;
	return rig->seed;
}

struct fleet_name rig_name(int number)
{
	struct fleet_name n = { .segment = "lan" };

	n.address = (vmac_mac_t){ { 0x0a, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number } };
	return n;
}

static int number_of(vmac_mac_t m)
{
	int n = m.octet[4] << 8 | m.octet[5];

	assert_true(n < RIG_VMACS);
	return n;
}

/* --- memory ---------------------------------------------------------------------------------- */

static void *rig_alloc(void *ctx, size_t size)
{
	struct rig *rig = ctx;

	rig->allocs++;
	if (rig->fail_at >= 0 && rig->allocs > rig->fail_at && rig->allocs <= rig->fail_at + 3)
		return NULL;
	rig->live++;
	return calloc(1, size);
}

static void rig_free(void *ctx, void *p)
{
	struct rig *rig = ctx;

	if (p)
		rig->live--;
	free(p);
}

/* The rig's own copies must not fail. */
static struct shared_record *copy(const struct shared_record *r);
static void *plain_alloc(void *ctx, size_t size)
{
	return calloc(1, size);
}
static void plain_free(void *ctx, void *p)
{
	free(p);
}
static const struct mem plain = { plain_alloc, plain_free, NULL };
struct shared_record *rig_copy(const struct shared_record *r)
{
	return copy(r);
}

static struct shared_record *copy(const struct shared_record *r)
{
	struct shared_record *c = shared_copy(&plain, r);

	assert_non_null(c);
	return c;
}

/* --- what waits ------------------------------------------------------------------------------ */

static struct rig_message *push(struct rig_host *h, int kind)
{
	struct rig_message *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->kind = kind;
	*h->last = m;
	h->last = &m->next;
	return m;
}

static void drop_messages(struct rig_host *h)
{
	struct rig_message *m;

	while ((m = h->first)) {
		h->first = m->next;
		free(m->record);
		free(m);
	}
	h->last = &h->first;
}

/* --- the registry ---------------------------------------------------------------------------- */

struct shared_record *rig_find(struct rig *rig, const struct shared_record *key)
{
	for (int i = 0; i < RIG_RECORDS; i++)
		if (rig->records[i] && shared_same_key(rig->records[i], key))
			return rig->records[i];
	return NULL;
}

const struct shared_vmac *rig_record(struct rig *rig, int number)
{
	struct fleet_name n = rig_name(number);
	struct shared_record key = { .kind = SHARED_VMAC,
				     .vmac = { .segment = n.segment, .address = n.address } };
	struct shared_record *r = rig_find(rig, &key);

	return r ? &r->vmac : NULL;
}

static void tell_host(struct rig_host *h, const struct shared_record *r)
{
	int at = -1;

	for (int i = 0; i < RIG_RECORDS; i++) {
		if (h->known[i] && shared_same_key(h->known[i], r)) {
			free(h->known[i]);
			h->known[i] = NULL;
		}
		if (!h->known[i] && at < 0)
			at = i;
	}
	if (r->revision > 0)
		h->known[at] = copy(r);
	push(h, TOLD)->record = copy(r);
}

static void forget_known(struct rig_host *h)
{
	for (int i = 0; i < RIG_RECORDS; i++) {
		free(h->known[i]);
		h->known[i] = NULL;
	}
}

static void tell(struct rig *rig, const struct shared_record *r)
{
	for (unsigned int i = 0; i < rig->host_count; i++)
		if (rig->hosts[i].up && !rig->hosts[i].cut && r->kind != SHARED_IMAGE)
			tell_host(&rig->hosts[i], r);
}

static void check_epoch(struct rig *rig, const struct shared_record *r)
{
	int n;

	if (r->kind != SHARED_VMAC)
		return;
	n = number_of(r->vmac.address);
	if (r->vmac.epoch < rig->epochs[n])
		fail_msg("epoch of %d fell from %lu to %lu", n, (unsigned long)rig->epochs[n],
			 (unsigned long)r->vmac.epoch);
	rig->epochs[n] = r->vmac.epoch;
}

void rig_put(struct rig *rig, const struct shared_record *r, bool gone)
{
	struct shared_record *was = rig_find(rig, r), *is = NULL;

	rig->revision++;
	if (!gone) {
		check_epoch(rig, r);
		is = copy(r);
		is->revision = rig->revision;
	}
	for (int i = 0; i < RIG_RECORDS; i++) {
		if (was ? rig->records[i] != was : rig->records[i] != NULL)
			continue;
		rig->records[i] = is;
		break;
	}
	if (is) {
		tell(rig, is);
	} else if (was) {
		was->revision = 0;
		tell(rig, was);
	}
	free(was);
}

static void op_submit(void *ctx, const struct shared_put *puts, unsigned int count, uint64_t token)
{
	struct rig_host *h = ctx;
	struct rig *rig = h->rig;
	struct rig_message *m;
	bool lost = false;

	for (unsigned int i = 0; i < count && !h->cut; i++) {
		struct shared_record *is = rig_find(rig, puts[i].record);

		lost |= (is ? is->revision : 0) != puts[i].record->revision;
	}
	for (unsigned int i = 0; i < count && !h->cut && !lost && !rig->refuse; i++)
		if (!puts[i].compare_only)
			rig_put(rig, puts[i].record, puts[i].gone);
	/* What is compared is told as it is. */
	for (unsigned int i = 0; i < count && lost; i++) {
		struct shared_record *is = rig_find(rig, puts[i].record);
		struct shared_record *r = copy(is ? is : puts[i].record);

		if (!is)
			r->revision = 0;
		if (r->kind != SHARED_IMAGE)
			tell_host(h, r);
		free(r);
	}
	if (getenv("RIG_TRACE"))
		fprintf(stderr, "%ld %s: [%d] %s%s rev %lu, token %lu: %s\n",
			(long)(rig->now.ns / 1000000), h->name,
			puts[0].record->kind == SHARED_VMAC
				? number_of(puts[0].record->vmac.address)
			: puts[0].record->kind == SHARED_ASK
				? number_of(puts[0].record->ask.address)
				: -1,
			shared_kind_name(puts[0].record->kind), puts[0].gone ? " gone" : "",
			(unsigned long)puts[0].record->revision, (unsigned long)token,
			h->cut ? "cut"
			: lost ? "lost"
			       : "done");
	m = push(h, OUTCOME);
	m->token = token;
	m->revision = rig->revision;
	m->outcome = h->cut || h->answer_lost ? SHARED_UNREACHABLE
		     : rig->refuse	      ? SHARED_REFUSED
		     : lost		      ? SHARED_LOST
					      : SHARED_DONE;
}

static void op_read(void *ctx, const struct shared_record *key, uint64_t token)
{
	struct rig_host *h = ctx;
	struct shared_record *r = rig_find(h->rig, key);
	struct rig_message *m = push(h, IMAGE_READ);

	m->token = token;
	m->outcome = h->cut ? SHARED_UNREACHABLE : SHARED_DONE;
	m->record = r ? copy(r) : NULL;
}

/* A full read: what was told before and is no more is told as gone. */
void rig_tell_all(struct rig *rig, unsigned int host)
{
	struct rig_host *h = &rig->hosts[host];

	for (int i = 0; i < RIG_RECORDS; i++) {
		struct shared_record *gone;

		if (!h->known[i] || rig_find(rig, h->known[i]))
			continue;
		gone = copy(h->known[i]);
		gone->revision = 0;
		tell_host(h, gone);
		free(gone);
	}
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++)
		for (int i = 0; i < RIG_RECORDS; i++)
			if (rig->records[i] && (int)rig->records[i]->kind == kind &&
			    kind != SHARED_IMAGE)
				tell_host(h, rig->records[i]);
	push(h, COMPLETE)->revision = rig->revision;
}

/* --- the journal and the data plane ---------------------------------------------------------- */

static void changed(struct rig_host *h, const struct rig_place *before,
		    const struct rig_place *after)
{
	struct rig_message *m = push(h, VMAC_CHANGED);

	m->has_before = before->exists;
	m->has_after = after->exists;
	m->before = before->v;
	m->after = after->v;
}

static void journal_set(struct rig_host *h, int n, int state, uint64_t epoch)
{
	struct rig_place before = h->places[n], *p = &h->places[n];

	p->exists = state >= 0;
	p->v = (struct vmac){ .address = rig_name(n).address,
			      .kind = before.v.kind,
			      .origin = VMAC_ALLOCATED,
			      .epoch = epoch,
			      .state = (uint8_t)(state < 0 ? 0 : state),
			      .until = WALL_NEVER,
			      .name = "",
			      .owner = "",
			      .tenant = "",
			      .note = "" };
	changed(h, &before, p);
}

static void op_gate(void *ctx, const struct fleet_name *n, enum migrate_gate gate,
		    const struct shared_host *peer)
{
	struct rig_host *h = ctx;

	h->places[number_of(n->address)].gate = gate;
}

static void op_reconcile(void *ctx)
{
	struct rig_host *h = ctx;

	h->reconciles++;
	push(h, PORTS);
	if (!h->cut)
		rig_tell_all(h->rig, (unsigned int)(h - h->rig->hosts));
}

static void op_announce(void *ctx, const struct fleet_name *n, uint64_t epoch, unsigned int nth)
{
	((struct rig_host *)ctx)->places[number_of(n->address)].announced++;
}

static void op_query(void *ctx, const struct fleet_name *n)
{
}

static void op_hold(void *ctx, const struct shared_vmac *record, uint64_t epoch)
{
	struct rig_host *h = ctx;
	int n = number_of(record->address);

	if (h->claims)
		return;
	h->places[n].v.kind = record->kind;
	journal_set(h, n, h->places[n].port ? VMAC_BOUND : VMAC_RESERVED, epoch);
}

static void op_yield(void *ctx, const struct fleet_name *n, const struct shared_host *peer,
		     uint64_t epoch)
{
	assert_non_null(peer);
	journal_set(ctx, number_of(n->address), VMAC_AWAY, epoch);
}

static void op_forget(void *ctx, const struct fleet_name *n)
{
	struct rig_host *h = ctx;

	if (h->places[number_of(n->address)].exists)
		journal_set(ctx, number_of(n->address), -1, 0);
}

static void op_keep(void *ctx, const struct shared_record *before,
		    const struct shared_record *after, uint64_t token)
{
	struct rig_host *h = ctx;
	const struct shared_record *key = after ? after : before;
	int at = -1;

	for (int i = 0; i < RIG_RECORDS; i++)
		if (h->kept[i] && shared_same_key(h->kept[i], key))
			at = i;
	/* A change is {before, after}: the journal must have had it exactly so. */
	assert_true((at >= 0) == (before != NULL));
	for (int i = 0; i < RIG_RECORDS && at < 0; i++)
		if (!h->kept[i])
			at = i;
	free(h->kept[at]);
	h->kept[at] = after ? copy(after) : NULL;
	if (token)
		push(h, KEPT)->token = token;
}

static void check_blocks(struct rig *rig, const char *pool, uint64_t number)
{
	unsigned int owners = 0;

	for (unsigned int i = 0; i < rig->host_count; i++)
		owners += rig->hosts[i].up && rig->hosts[i].ours[number];
	if (rig->check_blocks && owners > 1)
		fail_msg("block %lu of %s is of %u hosts", (unsigned long)number, pool, owners);
}

static uint64_t room(const struct rig_host *h)
{
	uint64_t available = 0;

	for (unsigned int i = 0; i < h->rig->size; i++)
		available += h->ours[i / RIG_BLOCK] && !h->places[i].exists;
	return available;
}

static void op_block(void *ctx, const char *pool, uint64_t number, uint32_t size, bool ours)
{
	struct rig_host *h = ctx;

	assert_true(number < RIG_BLOCKS);
	assert_true(h->ours[number] != ours);
	h->ours[number] = ours;
	check_blocks(h->rig, pool, number);
}

static void op_pool(void *ctx, const struct shared_pool *p, bool gone)
{
	((struct rig_host *)ctx)->pool_known = !gone;
}

static void op_cluster(void *ctx, const struct shared_cluster *c, bool gone)
{
	struct rig_host *h = ctx;
	struct shared_record r = { .kind = SHARED_CLUSTER, .revision = 1, .cluster = *c };
	int at = -1;

	for (int i = 0; i < RIG_CLUSTERS; i++)
		if (h->clusters[i] ? shared_same_key(h->clusters[i], &r) : at < 0 && !gone)
			at = i;
	/* Gone is told of what was told. */
	assert_true(at >= 0);
	free(h->clusters[at]);
	h->clusters[at] = gone ? NULL : copy(&r);
	h->clusters_told++;
}

static const struct vmac *op_journal(void *ctx, const struct fleet_name *n, const char **ret_pool)
{
	struct rig_host *h = ctx;
	struct rig_place *p = &h->places[number_of(n->address)];

	*ret_pool = (unsigned int)number_of(n->address) < h->rig->size ? "p" : "";
	return p->exists ? &p->v : NULL;
}

static bool op_locate(void *ctx, const struct fleet_name *n, const char **ret_pool,
		      uint64_t *ret_number)
{
	struct rig_host *h = ctx;

	if (!h->pool_known || (unsigned int)number_of(n->address) >= h->rig->size)
		return false;
	*ret_pool = "p";
	*ret_number = (uint64_t)number_of(n->address);
	return true;
}

static void op_each(void *ctx, const char *pool, uint64_t number,
		    void (*fn)(void *fn_ctx, const struct vmac *v), void *fn_ctx)
{
	struct rig_host *h = ctx;

	for (uint64_t i = number * RIG_BLOCK; i < (number + 1) * RIG_BLOCK; i++)
		if (h->places[i].exists)
			fn(fn_ctx, &h->places[i].v);
}

static void op_note(void *ctx, const struct fleet_note *note)
{
	struct rig_host *h = ctx;

	h->notes[note->kind]++;
	if (note->kind == FLEET_ALARM)
		snprintf(h->said, sizeof(h->said), "%s", note->text);
	if (note->kind == FLEET_REGISTRY)
		snprintf(h->registry, sizeof(h->registry), "%s", note->text);
	if (getenv("RIG_TRACE"))
		fprintf(stderr, "%ld %s: [%d] %d %d->%d %s %s\n", (long)(h->rig->now.ns / 1000000),
			h->name, note->name.segment[0] ? number_of(note->name.address) : -1,
			note->kind, note->from, note->to, note->text, note->peer);
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

/* --- life ------------------------------------------------------------------------------------ */

void rig_init(struct rig *rig, unsigned int hosts, uint64_t seed)
{
	*rig = (struct rig){ .seed = seed * 0x9e3779b97f4a7c15ULL + 1,
			     .host_count = hosts,
			     .fail_at = -1,
			     .check_blocks = true,
			     .size = 128 };
	rig->now = (mono_t){ 1000000000 };
	rig->mem = (struct mem){ rig_alloc, rig_free, rig };
	for (unsigned int i = 0; i < hosts; i++) {
		struct rig_host *h = &rig->hosts[i];

		h->rig = rig;
		h->last = &h->first;
		snprintf(h->name, sizeof(h->name), "kvm%u", i + 1);
		h->uuid.octet[0] = (uint8_t)(i + 1);
	}
}

void rig_done(struct rig *rig)
{
	for (unsigned int i = 0; i < rig->host_count; i++) {
		rig_down(rig, i);
		for (int k = 0; k < RIG_RECORDS; k++)
			free(rig->hosts[i].kept[k]);
	}
	for (int i = 0; i < RIG_RECORDS; i++)
		free(rig->records[i]);
	assert_int_equal(rig->live, 0);
}

void rig_up(struct rig *rig, unsigned int host)
{
	struct rig_host *h = &rig->hosts[host];
	struct fleet_config c = { .mem = &rig->mem,
				  .ops = &ops,
				  .ctx = h,
				  .self = h->uuid,
				  .name = h->name,
				  .version = "1",
				  .key_check = h->key_check,
				  .seed = rig_random(rig) };
	struct error e;

	memset(h->ours, 0, sizeof(h->ours));
	h->pool_known = false;
	/* Memory that is short at the start is the daemon's end; there it is tried again. */
	while (fleet_new(&c, &h->fleet, &e) < 0)
		assert_int_equal(e.code, ERROR_NO_MEMORY);
	h->up = true;
	for (int i = 0; i < RIG_RECORDS; i++)
		while (h->kept[i] && fleet_load(h->fleet, h->kept[i], rig->now) < 0)
			;
	for (int i = 0; i < RIG_VMACS; i++)
		if (h->places[i].exists)
			fleet_vmac(h->fleet, "lan", (unsigned int)i < rig->size ? "p" : "",
				   (uint64_t)i, NULL, &h->places[i].v, rig->now);
	fleet_start(h->fleet, rig->now);
	for (int i = 0; i < RIG_VMACS; i++) {
		struct fleet_name n = rig_name(i);

		h->places[i].gate = MIGRATE_GATE_CLOSED;
		if (h->places[i].port)
			fleet_port(h->fleet, &n, true, rig->now);
	}
	if (!h->cut)
		rig_cut(rig, host, false);
}

void rig_down(struct rig *rig, unsigned int host)
{
	struct rig_host *h = &rig->hosts[host];

	fleet_free(h->fleet);
	h->fleet = NULL;
	h->up = false;
	drop_messages(h);
	forget_known(h);
	for (int i = 0; i < RIG_CLUSTERS; i++) {
		free(h->clusters[i]);
		h->clusters[i] = NULL;
	}
}

void rig_cut(struct rig *rig, unsigned int host, bool cut)
{
	struct rig_host *h = &rig->hosts[host];
	struct error e;

	h->cut = cut;
	if (!h->up)
		return;
	error_set(&e, ERROR_REGISTRY_UNREACHABLE, NULL, "cut off");
	fleet_reach(h->fleet, cut ? &e : NULL, rig->now);
	if (!cut)
		rig_tell_all(rig, host);
}

bool rig_deliver(struct rig *rig, unsigned int host)
{
	struct rig_host *h = &rig->hosts[host];
	struct rig_message *m = h->first;
	struct error e;

	if (!m)
		return false;
	h->first = m->next;
	if (!h->first)
		h->last = &h->first;
	error_set(&e, rig->refuse ? ERROR_REGISTRY_FULL : ERROR_REGISTRY_UNREACHABLE, NULL, "%s",
		  rig->refuse ? "no space" : "cut off");
	switch (m->kind) {
	case TOLD:
		fleet_told(h->fleet, m->record, rig->now);
		break;
	case COMPLETE:
		fleet_complete(h->fleet, m->revision, rig->now);
		break;
	case OUTCOME:
		fleet_outcome(h->fleet, m->token, m->outcome, m->revision,
			      m->outcome == SHARED_DONE ? NULL : &e, rig->now);
		break;
	case KEPT:
		fleet_kept(h->fleet, m->token, rig->now);
		break;
	case VMAC_CHANGED: {
		struct vmac *v = m->has_after ? &m->after : &m->before;
		int n = number_of(v->address);

		fleet_vmac(h->fleet, "lan", (unsigned int)n < rig->size ? "p" : "", (uint64_t)n,
			   m->has_before ? &m->before : NULL, m->has_after ? &m->after : NULL,
			   rig->now);
		break;
	}
	case PORTS:
		for (int i = 0; i < RIG_VMACS; i++) {
			struct fleet_name n = rig_name(i);

			if (h->places[i].port)
				fleet_port(h->fleet, &n, true, rig->now);
		}
		break;
	case IMAGE_READ:
		fleet_image(h->fleet, m->token, m->record, m->outcome == SHARED_DONE ? NULL : &e,
			    rig->now);
		break;
	}
	if (h->pool_known)
		fleet_pool_room(h->fleet, "p", rig->size, room(h), rig->now);
	free(m->record);
	free(m);
	return true;
}

#define RIG_MESSAGES_MAX 200000

void rig_run(struct rig *rig, int64_t ms)
{
	mono_t end = { rig->now.ns + ms * 1000000 };
	unsigned int messages = 0;

	for (;;) {
		mono_t next = end;
		bool any = false;

		for (unsigned int i = 0; i < rig->host_count; i++)
			if (rig->hosts[i].up && !rig->hosts[i].slow)
				any |= rig_deliver(rig, i);
		assert_true(messages++ < RIG_MESSAGES_MAX);
		if (any)
			continue;
		for (unsigned int i = 0; i < rig->host_count; i++) {
			mono_t at = rig->hosts[i].up ? fleet_next_expiry(rig->hosts[i].fleet)
						     : MONO_NEVER;

			if (at.ns < next.ns)
				next = at;
		}
		if (next.ns >= end.ns)
			break;
		if (next.ns > rig->now.ns)
			rig->now = next;
		for (unsigned int i = 0; i < rig->host_count; i++)
			if (rig->hosts[i].up)
				fleet_time(rig->hosts[i].fleet, rig->now);
	}
	rig->now = end;
}

static void agreed(void *ctx, const struct shared_record *r, const struct error *error)
{
	*(int *)ctx = error ? (int)error->code : 0;
}

void rig_agree(struct rig *rig)
{
	struct shared_record s = { .kind = SHARED_SEGMENT, .segment = { .name = "lan" } };
	struct shared_record p = { .kind = SHARED_POOL };
	int said = -1;

	snprintf(p.pool.pool.name, sizeof(p.pool.pool.name), "p");
	snprintf(p.pool.segment, sizeof(p.pool.segment), "lan");
	p.pool.block_size = RIG_BLOCK;
	p.pool.pool.range_count = 1;
	p.pool.pool.ranges[0].first = rig_name(0).address;
	p.pool.pool.ranges[0].last = rig_name((int)rig->size - 1).address;
	p.pool.pool.quarantine_ms = 60000;
	fleet_agree(rig->hosts[0].fleet, &s, agreed, &said, rig->now);
	rig_run(rig, 100);
	assert_int_equal(said, 0);
	said = -1;
	fleet_agree(rig->hosts[0].fleet, &p, agreed, &said, rig->now);
	rig_run(rig, 100);
	assert_int_equal(said, 0);
}

/* --- what users and guests do ---------------------------------------------------------------- */

bool rig_held(const struct rig *rig, unsigned int host, int number)
{
	const struct rig_place *p = &rig->hosts[host].places[number];

	return p->exists && (p->v.state == VMAC_BOUND || p->v.state == VMAC_RESERVED);
}

int rig_allocate(struct rig *rig, unsigned int host)
{
	struct rig_host *h = &rig->hosts[host];

	for (int i = 0; i < (int)rig->size; i++) {
		struct fleet_name n = rig_name(i);

		if (!h->ours[i / RIG_BLOCK] || h->places[i].exists ||
		    fleet_vmac_record(h->fleet, &n))
			continue;
		for (unsigned int o = 0; o < rig->host_count; o++)
			if (rig->check_blocks && o != host && rig_held(rig, o, i))
				fail_msg("%d is allocated by %s, and %s has it", i, h->name,
					 rig->hosts[o].name);
		journal_set(h, i, VMAC_RESERVED, rig->epochs[i] + 1);
		return i;
	}
	return -1;
}

void rig_face(struct rig *rig, unsigned int host, int number, uint64_t epoch)
{
	rig->hosts[host].places[number].v.kind = VMAC_CLUSTER;
	journal_set(&rig->hosts[host], number, VMAC_RESERVED, epoch);
}

void rig_release(struct rig *rig, unsigned int host, int number)
{
	journal_set(&rig->hosts[host], number, -1, 0);
}

void rig_port(struct rig *rig, unsigned int host, int number, bool up)
{
	struct rig_host *h = &rig->hosts[host];
	struct fleet_name n = rig_name(number);
	struct rig_place *p = &h->places[number];

	p->port = up;
	p->gate = MIGRATE_GATE_CLOSED;
	if (h->up)
		fleet_port(h->fleet, &n, up, rig->now);
}

void rig_speak(struct rig *rig, unsigned int host, int number)
{
	struct rig_host *h = &rig->hosts[host];
	struct rig_place *p = &h->places[number];
	struct fleet_name n = rig_name(number);

	if (!p->port || !h->up || p->gate == MIGRATE_GATE_OPEN)
		return;
	if (p->gate == MIGRATE_GATE_TUNNEL_IN) {
		p->gate = MIGRATE_GATE_OPEN;
		fleet_flipped(h->fleet, &n, rig->now);
	} else {
		fleet_spoke(h->fleet, &n, rig->now);
	}
}

int rig_hint(struct rig *rig, unsigned int host, enum migrate_event_kind kind, int number,
	     struct error *e)
{
	struct fleet_name n = rig_name(number);
	struct error own = { 0 };
	int r = fleet_hint(rig->hosts[host].fleet, kind, &n, 0, rig->now, e ? e : &own);

	return r;
}

enum migrate_state rig_state(struct rig *rig, unsigned int host, int number)
{
	struct fleet_name n = rig_name(number);
	struct fleet_move_view v;

	return fleet_move(rig->hosts[host].fleet, &n, &v) ? v.state : MIGRATE_NONE;
}
