/* One host: the production core, and what stands for its kernel. */
#include "sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/advert.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip.h"

static const char *const link_names[SIM_LINKS_MAX] = { "lan1", "lan2" };

mono_t host_now(const struct host *h)
{
	return (mono_t){ h->world->now + h->offset };
}

const struct fhrp *host_machine(const struct host *h)
{
	struct elect_router *r = h->core ? elect_core_find(h->core, SIM_ROUTER) : NULL;

	return r ? elect_router_machine(r) : NULL;
}

/* --- ops: what the core orders, done when it flushes ----------------------------------------- */

static struct order *order_new(void *ctx, const struct elect_set *s, enum order_kind kind)
{
	struct host *h = ctx;
	struct order *o;

	h->ops++;
	assert(h->order_count < SIM_ORDERS_MAX);
	o = &h->orders[h->order_count++];
	o->kind = (uint8_t)kind;
	o->set = s ? (uint8_t)elect_set_index(s) : 0;
	o->lent = NULL;
	o->len = 0;
	return o;
}

static bool is_vmac(const struct host *h, unsigned int set, const uint8_t *frame)
{
	vmac_mac_t mac = router_set_mac(&h->config.record, &h->config.sets[set]);

	return memcmp(frame + 6, mac.octet, 6) == 0;
}

static void on_send(void *ctx, const struct elect_set *s, const void *frame, size_t len)
{
	struct order *o = order_new(ctx, s, ORDER_SEND);
	struct host *h = ctx;

	assert(len <= SIM_FRAME_MAX);
	o->lent = frame;
	o->len = (uint16_t)len;
	check_sent(h, o->set, is_vmac(h, o->set, frame));
}

/* The kernel's part: headers around the payload, from the host's own address. */
static void on_send_to(void *ctx, const struct elect_set *s, const struct ip *peer,
		       const void *payload, size_t len)
{
	struct order *o = order_new(ctx, s, ORDER_SEND);
	struct writer w = writer_of(o->frame, sizeof(o->frame));
	struct eth eth = { .to = { { 0x0e } }, .type = ETH_TYPE_IPV4 };
	struct ipv4 ip = { .payload_len = (uint16_t)len, .ttl = 255, .protocol = IP_PROTOCOL_VRRP };
	struct host *h = ctx;
	struct ip from = elect_set_source(s);

	eth.from = (vmac_mac_t){ { 0x0e, 0, 0, 0, 0, (uint8_t)(h->number + 1) } };
	memcpy(ip.from, from.octet, 4);
	memcpy(ip.to, peer->octet, 4);
	eth_encode(&w, &eth);
	ipv4_encode(&w, &ip);
	write_bytes(&w, payload, len);
	assert(!w.failed);
	o->len = (uint16_t)writer_used(&w);
}

static void on_lease(void *ctx, const struct elect_set *s, mono_t until)
{
	struct order *o = order_new(ctx, s, ORDER_LEASE);
	struct host *h = ctx;

	o->until = until;
	h->ordered[o->set] = until.ns;
}

static void on_embody(void *ctx, const struct elect_router *r, bool there)
{
	order_new(ctx, NULL, ORDER_EMBODY)->there = there;
}

static void on_report(void *ctx, const struct elect_router *r, const struct elect_report *report)
{
	struct host *h = ctx;

	h->ops++;
	check_report(h, report);
}

static void on_flush(void *ctx)
{
	struct host *h = ctx;

	h->ops++;
	for (unsigned int i = 0; i < h->order_count; i++) {
		struct order *o = &h->orders[i];

		if (o->lent)
			memcpy(o->frame, o->lent, o->len);
		o->lent = NULL;
	}
	/* A stall between the decision and its doing: everything else waits with it. */
	if (h->stall_inside && h->order_count > 0) {
		h->stall_inside = false;
		h->flush_late = true;
		h->stalled = h->world->now + h->stall_length;
		world_disturb_host(h->world, h->number, h->stalled);
		world_tell(h->world, h, "stalls inside", h->stall_length, 0);
	}
	if (!h->flush_late)
		host_carry_out(h);
}

static wall_t on_wall(void *ctx)
{
	const struct host *h = ctx;

	return (wall_t){ 1700000000000 + h->world->now / SIM_MS + h->wall_ms };
}

static const struct elect_ops ops = {
	.send = on_send,
	.send_to = on_send_to,
	.lease = on_lease,
	.embody = on_embody,
	.report = on_report,
	.flush = on_flush,
};

/* --- the data plane -------------------------------------------------------------------------- */

static bool is_announcement(const uint8_t *frame, size_t len)
{
	if (len >= 14 && frame[12] == 0x08 && frame[13] == 0x06)
		return true;
	return len >= 14 + 40 && frame[12] == 0x86 && frame[13] == 0xdd && frame[14 + 6] == 58;
}

static void carry_out_send(struct host *h, const struct order *o)
{
	bool announcement = is_announcement(o->frame, o->len);
	bool leased = h->world->now < h->lease[o->set];
	enum mutation m = h->world->scenario->mutation;

	if (is_vmac(h, o->set, o->frame)) {
		if (!leased && m != MUTATE_NO_LEASE) {
			h->world->dropped++;
			world_tell(h->world, h, "dropped without a lease", o->set, announcement);
			return;
		}
		if (announcement && m == MUTATE_SILENT)
			return;
		if (!h->plugged)
			return;
		check_passed(h, o->set, o->frame, announcement, leased);
	}
	if (h->plugged)
		world_send(h->world, h, o->set, o->frame, o->len);
}

void host_carry_out(struct host *h)
{
	int64_t more = h->world->scenario->mutation == MUTATE_LONG_LEASE
			       ? 2 * h->world->scenario->interval
			       : 0;

	h->flush_late = false;
	for (unsigned int i = 0; i < h->order_count; i++) {
		const struct order *o = &h->orders[i];

		switch ((enum order_kind)o->kind) {
		case ORDER_LEASE:
			h->lease[o->set] = o->until.ns == 0 ? 0 : o->until.ns - h->offset + more;
			h->leased_at[o->set] = h->world->now;
			world_tell(h->world, h, "lease", o->set,
				   h->lease[o->set] ? h->lease[o->set] - SIM_START_NS : 0);
			break;
		case ORDER_SEND:
			carry_out_send(h, o);
			break;
		case ORDER_EMBODY:
			h->embodied = o->there;
			world_tell(h->world, h, o->there ? "addresses there" : "addresses gone", 0,
				   0);
			break;
		}
	}
	h->order_count = 0;
}

/* --- the daemon ------------------------------------------------------------------------------ */

static void *mem_get(void *ctx, size_t size)
{
	return calloc(1, size);
}

static void mem_put(void *ctx, void *p)
{
	free(p);
}

/* The lies about who takes part. */
static void mutate(struct host *h)
{
	const struct scenario *s = h->world->scenario;
	int best = 0;

	for (unsigned int i = 0; i < s->host_count; i++)
		if (!s->candidates[i].wrong_key && s->candidates[i].stated_priority > best)
			best = s->candidates[i].stated_priority;
	if (s->mutation == MUTATE_LIAR && h->config.stated_priority == best)
		h->config.record.priority = 1;
	if (s->mutation == MUTATE_KEY_KNOWN)
		h->config.keys[0] = s->candidates[0].keys[0];
}

void host_init(struct host *h, struct world *w, unsigned int number)
{
	h->world = w;
	h->number = (uint8_t)number;
	h->config = w->scenario->candidates[number];
	candidate_point(&h->config);
	mutate(h);
	h->mem = (struct mem){ mem_get, mem_put, h };
	h->plugged = true;
	h->offset = (int64_t)chance_below(&w->chance, 1000000) * SIM_MS;
	h->late = (int64_t)chance_below(&w->chance, SIM_LATE_NS);
}

void host_enter(struct host *h)
{
	const struct fhrp *m = host_machine(h);

	h->could_speak = m && fhrp_embodies(m);
}

void host_leave(struct host *h)
{
	h->late = (int64_t)chance_below(&h->world->chance, SIM_LATE_NS);
	if (!h->core || h->flush_late)
		return;
	if (h->stopping && elect_core_stopped(h->core)) {
		elect_core_free(h->core);
		h->core = NULL;
		world_tell(h->world, h, "ended", 0, 0);
	}
}

static void tell_links(struct host *h)
{
	for (unsigned int i = 0; h->core && i < h->world->scenario->link_count; i++) {
		uint8_t last = (uint8_t)(h->number + 1);
		struct elect_link link = {
			.ifname = link_names[i],
			.ifindex = (int)i + 1,
			.usable = h->plugged,
			.address = { { 0x0e, 0, 0, 0, (uint8_t)i, last } },
			.source4 = { 4, { 10, 0, (uint8_t)(i + 1), last } },
			.source6 = { 6, { 0xfe, 0x80, [13] = (uint8_t)(i + 1), [15] = last } },
		};

		host_enter(h);
		elect_core_link(h->core, &link, host_now(h));
	}
}

void host_configure(struct host *h)
{
	struct candidate given = h->config;
	const struct router *held;
	struct error error;

	candidate_point(&given);
	if (router_check(&given.record, &error) < 0) {
		fprintf(stderr, "sim: %s: %s\n", h->world->scenario->name, error.message);
		abort();
	}
	host_enter(h);
	held = router_record_new(&given.record, &h->mem);
	if (elect_core_set(h->core, held, host_now(h), &error) < 0) {
		fprintf(stderr, "sim: %s: %s\n", h->world->scenario->name, error.message);
		abort();
	}
	router_release(held);
}

void host_boot(struct host *h, bool boot)
{
	struct elect_core_config config = {
		.mem = &h->mem,
		.ops = &ops,
		.ctx = h,
		.wall_now = on_wall,
		.seed = chance_next(&h->world->chance),
	};
	struct error error;

	assert(!h->core);
	h->stopping = h->flush_late = h->stall_inside = false;
	h->order_count = 0;
	h->embodied = false;
	memset(h->heard, 0, sizeof(h->heard));
	/* The first that the daemon does with a set: see elect/carriers.c. */
	memset(h->lease, 0, sizeof(h->lease));
	if (elect_core_new(&config, &h->core, &error) < 0)
		abort();
	if (boot)
		elect_core_boot(h->core, host_now(h));
	tell_links(h);
	host_configure(h);
	host_enter(h);
	if (h->adjust || h->fault)
		elect_core_track(h->core, SIM_ROUTER, h->adjust, h->fault, host_now(h));
	host_leave(h);
}

/* The daemon is gone; what the data plane was told of leases runs out by itself. */
void host_crash(struct host *h)
{
	elect_core_free(h->core);
	h->core = NULL;
	h->order_count = 0;
	h->flush_late = h->stall_inside = h->stopping = h->embodied = false;
	h->active_since = 0;
	h->last_change = h->world->now;
	h->stalled = 0;
	while (h->queued > 0)
		event_free(h->world, h->queue[--h->queued]);
}

void host_plug(struct host *h, bool plugged)
{
	h->plugged = plugged;
	tell_links(h);
	host_leave(h);
}

void host_time(struct host *h)
{
	host_enter(h);
	elect_core_time(h->core, host_now(h));
	if (h->world->scenario->mutation == MUTATE_BACKUP_SENDS)
		check_sent(h, 0, true);
	host_leave(h);
}

void host_frame(struct host *h, struct event *e)
{
	const struct router_set *s = &h->config.sets[e->set];
	enum verdict v;

	host_enter(h);
	v = elect_core_frame(h->core, strcmp(s->ifname, link_names[0]) == 0 ? 1 : 2, e->data,
			     e->len, 0, host_now(h));
	check_verdict(h, e, v);
	elect_core_flush(h->core);
	host_leave(h);
}
