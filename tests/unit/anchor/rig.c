#include "rig.h"

mono_t rig_now = { RIG_START_NS };

/* --- memory ---------------------------------------------------------------------------------- */

static void *rig_alloc(void *ctx, size_t size)
{
	struct rig *r = ctx;

	if (r->refuse_after == 0)
		return NULL;
	if (r->refuse_after > 0)
		r->refuse_after--;
	r->allocated++;
	return calloc(1, size);
}

static void rig_unalloc(void *ctx, void *p)
{
	struct rig *r = ctx;

	r->allocated -= p != NULL;
	free(p);
}

/* --- orders ---------------------------------------------------------------------------------- */

static struct order_seen *order_new(struct rig *r, enum order_kind kind)
{
	struct order_seen *o = &r->orders[r->count];

	assert_true(r->count < RIG_ORDERS_MAX);
	r->count++;
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	return o;
}

static void on_lease(void *ctx, unsigned int slot, unsigned int face, mono_t serve, mono_t speak)
{
	struct rig *r = ctx;
	struct order_seen *o = order_new(r, ORDER_LEASE);

	o->slot = slot;
	o->face = face;
	o->serve = serve;
	o->speak = speak;
	r->serve[slot][face] = serve;
}

static void on_own(void *ctx, unsigned int slot, mono_t until)
{
	struct order_seen *o = order_new(ctx, ORDER_OWN);

	o->slot = slot;
	o->serve = until;
}

static void on_standing(void *ctx, unsigned int slot, const struct heartbeat_bits *members)
{
	struct order_seen *o = order_new(ctx, ORDER_STANDING);

	o->slot = slot;
	o->standing = members->octet[0];
}

static void on_send(void *ctx, const struct anchor_where *where, const void *frame, size_t len)
{
	struct order_seen *o = order_new(ctx, ORDER_SEND);

	assert_true(len >= 60 && len <= sizeof(o->frame));
	o->ifindex = where->ifindex;
	o->vlan = where->vlan;
	o->len = len;
	memcpy(o->frame, frame, len);
}

static void on_report(void *ctx, const struct anchor_report *report)
{
	struct order_seen *o = order_new(ctx, ORDER_REPORT);

	o->report = *report;
	if (report->choices) {
		assert_true(report->choice_count <= 8);
		memcpy(o->choices, report->choices,
		       report->choice_count * sizeof(*report->choices));
		o->report.choices = o->choices;
	}
}

static void on_gone(void *ctx, uint32_t cluster)
{
	order_new(ctx, ORDER_GONE)->cluster = cluster;
}

static const struct anchor_ops rig_ops = { on_lease, on_own,	on_standing,
					   on_send,  on_report, on_gone };

void rig_forget(struct rig *r)
{
	r->count = 0;
}

unsigned int rig_count(const struct rig *r, enum order_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->count; i++)
		n += r->orders[i].kind == kind;
	return n;
}

const struct order_seen *rig_order(const struct rig *r, enum order_kind kind, unsigned int n)
{
	for (unsigned int i = 0; i < r->count; i++)
		if (r->orders[i].kind == kind && n-- == 0)
			return &r->orders[i];
	fail_msg("there is no such order");
	return NULL;
}

unsigned int rig_reports(const struct rig *r, enum anchor_report_kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->count; i++)
		n += r->orders[i].kind == ORDER_REPORT && r->orders[i].report.kind == kind;
	return n;
}

const struct anchor_report *rig_report(const struct rig *r, enum anchor_report_kind kind)
{
	for (unsigned int i = r->count; i-- > 0;)
		if (r->orders[i].kind == ORDER_REPORT && r->orders[i].report.kind == kind)
			return &r->orders[i].report;
	return NULL;
}

/* --- hosts and clusters ---------------------------------------------------------------------- */

struct anchor_identity rig_identity(unsigned int number)
{
	return (struct anchor_identity){
		.self.octet = { 1, [15] = (uint8_t)number },
		.number = (uint16_t)(number ? number : 1),
		.alone = number == 0,
		.incarnation = 7,
	};
}

struct rig *rig_new(unsigned int number)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct anchor_core_config config = { .ops = &rig_ops, .identity = rig_identity(number) };

	assert_non_null(r);
	r->mem = (struct mem){ rig_alloc, rig_unalloc, r };
	r->refuse_after = -1;
	config.mem = &r->mem;
	config.ctx = r;
	assert_int_equal(anchor_core_new(&config, &r->core), 0);
	return r;
}

void rig_free(struct rig *r)
{
	r->count = 0;
	anchor_core_free(r->core);
	assert_int_equal(r->allocated, 0);
	free(r);
}

void rig_cluster(struct rig_cluster *ret, uint32_t id, unsigned int faces, unsigned int members)
{
	struct cluster *c = &ret->record;

	memset(ret, 0, sizeof(*ret));
	cluster_defaults(c);
	c->id = id;
	snprintf(c->name, sizeof(c->name), "web%u", id);
	memset(c->key, (int)id, sizeof(c->key));
	c->generation = 3;
	c->face_count = faces;
	c->faces = ret->faces;
	for (unsigned int i = 0; i < faces; i++)
		ret->faces[i] = (vmac_mac_t){ { 0x0a, 0, 0, 0, (uint8_t)id, (uint8_t)i } };
	c->address_count = 2;
	c->addresses = ret->addresses;
	ret->addresses[0] = (struct ip){ .family = 4, .octet = { 10, 0, 0, (uint8_t)id } };
	ret->addresses[1] = (struct ip){ .family = 6, .octet = { 0xfd, [15] = (uint8_t)id } };
	c->member_count = members;
	c->members = ret->members;
	for (unsigned int i = 0; i < members; i++)
		ret->members[i] = (struct cluster_member){
			.id = (uint16_t)(i + 1),
			.address = { { 0x0a, 1, 0, 0, (uint8_t)id, (uint8_t)i } },
			.weight = 100,
		};
}

int rig_set_at(struct rig *r, const struct rig_cluster *c, const struct anchor_where *where)
{
	const int refuse = r->refuse_after;
	const struct cluster *record;
	int result;

	r->refuse_after = -1; /* the record is the caller's */
	record = cluster_record_new(&c->record, &r->mem);
	r->refuse_after = refuse;
	assert_non_null(record);
	result = anchor_core_set(r->core, record, where, rig_now);
	cluster_release(record);
	return result;
}

int rig_set(struct rig *r, const struct rig_cluster *c, uint16_t vlan)
{
	const struct anchor_where where = {
		.slot = c->record.id,
		.segment = "lan",
		.ifindex = 1,
		.up = true,
		.vlan = vlan,
		.address = { { 2, 0, 0, 0, 0, 0x11 } },
	};

	return rig_set_at(r, c, &where);
}

void rig_host(struct rig *r, uint32_t cluster, uint16_t id)
{
	struct anchor_members m = { 0 };

	heartbeat_set_bit(&m.hosted, id, true);
	heartbeat_set_bit(&m.fit, id, true);
	anchor_core_members(r->core, cluster, &m, rig_now);
}
