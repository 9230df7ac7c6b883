/* What the core orders, in batches and in order.
 *
 * Orders are collected as long as they are of one sort (frames and ends of leases, or addresses)
 * and carried out when the sort changes or the core flushes.  The core gives them by sort over all
 * routers, so that 250 routers that take over at one instant are one batch of frames, one of
 * addresses, and one of announcements.  Only the beginning or extension of a lease, a plain store,
 * is never collected: it must be there before the first frame that needs it; while its end waits
 * for the frames before it, which still need the lease (a resignation comes from the vMAC). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "elect/thread.h"

static struct carrier *carrier_of(struct elect *e, const struct elect_set *s)
{
	struct carrier *c = e->carriers[elect_set_slot(s)];

	return c && c->set == s ? c : NULL;
}

/* --- frames and leases ----------------------------------------------------------------------- */

static void frames_do(struct elect *e)
{
	struct link *l;

	while ((l = e->out)) {
		e->out = l->next_out;
		if (l->packet)
			packet_send(l->packet, l->out, l->out_count);
		l->out_count = 0;
	}
	for (unsigned int i = 0; i < e->end_count; i++) {
		if (e->ends_set[e->ends[i]])
			plane_router_lease(e->plane, e->ends[i], (mono_t){ 0 });
		e->ends_set[e->ends[i]] = false;
	}
	e->end_count = 0;
}

static void link_out(struct elect *e, struct link *l, const void *frame, size_t len)
{
	if (l->out_count == l->out_room) {
		unsigned int room = l->out_room ? 2 * l->out_room : 64;
		struct iovec *out = reallocarray(l->out, room, sizeof(*out));

		if (!out) /* a lost frame is what the protocols are made for */
			return;
		l->out = out;
		l->out_room = room;
	}
	if (l->out_count == 0) {
		l->next_out = e->out;
		e->out = l;
	}
	l->out[l->out_count++] = (struct iovec){ (void *)frame, len };
}

/* --- addresses ------------------------------------------------------------------------------- */

int addresses_add(struct addresses *a, const struct host_address *one)
{
	if (a->count == a->room) {
		unsigned int room = a->room ? 2 * a->room : 64;
		void *list = reallocarray(a->list, room, sizeof(*a->list));

		if (!list)
			return -ENOMEM;
		a->list = list;
		a->room = room;
	}
	a->list[a->count++] = *one;
	return 0;
}

static struct host_address host_form(const struct carrier *c, const struct router_address *a)
{
	return (struct host_address){
		.ifindex = c->ifindex,
		.ip = a->ip,
		.prefix = a->prefix	      ? a->prefix
			  : a->ip.family == 4 ? 32
					      : 128,
	};
}

static bool list_has(const struct router_address *list, unsigned int count,
		     const struct router_address *a)
{
	for (unsigned int i = 0; i < count; i++)
		if (list[i].prefix == a->prefix && ip_equal(&list[i].ip, &a->ip))
			return true;
	return false;
}

static int difference(const struct carrier *c, const struct router_address *from,
		      unsigned int from_count, const struct router_address *without,
		      unsigned int without_count, struct addresses *ret)
{
	for (unsigned int i = 0; i < from_count; i++) {
		struct host_address a = host_form(c, &from[i]);

		if (!list_has(without, without_count, &from[i]) && addresses_add(ret, &a) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void touch(struct elect *e, struct carrier *c)
{
	if (e->touched_count < ELECT_SETS_MAX)
		e->touched[e->touched_count++] = c;
	c->touched = true;
}

/* Notes what must change for the carrier to have these addresses. */
static void carrier_want(struct elect *e, struct carrier *c, const struct router_address *list,
			 unsigned int count)
{
	struct router_address *have = NULL;

	if (!c->ifindex)
		return;
	if (c->unsettled) { /* what is there is not sure: say it all again */
		difference(c, c->have, c->have_count, list, count, &e->deleting);
		c->have_count = 0;
	}
	if (count) {
		have = reallocarray(NULL, count, sizeof(*have));
		if (!have)
			goto failed;
		memcpy(have, list, count * sizeof(*have));
	}
	if (difference(c, c->have, c->have_count, list, count, &e->deleting) < 0 ||
	    difference(c, list, count, c->have, c->have_count, &e->adding) < 0)
		goto failed;
	free(c->have);
	c->have = have;
	c->have_count = count;
	c->unsettled = false;
	touch(e, c);
	return;
failed:
	free(have);
	c->unsettled = true;
	elect_retry_soon(e);
}

static void addresses_do(struct elect *e)
{
	unsigned int failed = 0;
	struct error error;

	if (e->deleting.count)
		failed +=
			host_addresses_delete(e->host, e->deleting.list, e->deleting.count, &error);
	if (e->adding.count)
		failed += host_addresses_add(e->host, e->adding.list, e->adding.count, &error);
	e->deleting.count = e->adding.count = 0;
	for (unsigned int i = 0; i < e->touched_count; i++) {
		struct carrier *c = e->touched[i];

		c->touched = false;
		c->unsettled = failed > 0;
		if (failed)
			elect_trouble(&c->trouble, &error);
		else
			elect_trouble(&c->trouble, NULL);
	}
	e->touched_count = 0;
	if (failed) {
		log_debug("addresses: %s", error.message);
		elect_retry_soon(e);
	}
}

/* --- what the core calls --------------------------------------------------------------------- */

static void on_send(void *ctx, const struct elect_set *s, const void *frame, size_t len)
{
	struct elect *e = ctx;
	struct carrier *c = carrier_of(e, s);

	if (!c)
		return;
	if (e->touched_count)
		addresses_do(e);
	link_out(e, c->link, frame, len);
}

static void on_send_to(void *ctx, const struct elect_set *s, const struct ip *peer,
		       const void *payload, size_t len)
{
	struct elect *e = ctx;
	struct carrier *c = carrier_of(e, s);
	struct ip from = elect_set_source(s);

	if (!c || !c->link->packet || from.family == 0)
		return;
	if (e->touched_count)
		addresses_do(e);
	packet_send_to(c->link->packet, &from, peer, payload, len);
}

static void on_lease(void *ctx, const struct elect_set *s, mono_t until)
{
	struct elect *e = ctx;
	struct carrier *c = carrier_of(e, s);

	if (!c || !c->in_plane)
		return;
	if (until.ns) {
		/* The role begins when all is there for it. */
		if (e->touched_count)
			addresses_do(e);
		e->ends_set[c->slot] = false;
		plane_router_lease(e->plane, c->slot, until);
		return;
	}
	if (e->end_count == ELECT_SETS_MAX)
		frames_do(e);
	e->ends_set[c->slot] = true;
	e->ends[e->end_count++] = c->slot;
}

static void on_embody(void *ctx, const struct elect_router *r, bool there)
{
	unsigned int sets = elect_router_record(r)->set_count;
	struct elect *e = ctx;

	frames_do(e);
	for (unsigned int i = 0; i < sets; i++) {
		const struct elect_set *s = elect_router_set(r, i);
		struct carrier *c = carrier_of(e, s);
		const struct router_address *list;
		unsigned int count = 0;

		if (!c)
			continue;
		list = elect_set_addresses(s, &count);
		if (c->touched)
			addresses_do(e);
		carrier_want(e, c, list, there ? count : 0);
		if (there && c->in_plane && carrier_plane(e, c) < 0)
			elect_retry_soon(e);
	}
	e->embodied |= there;
}

static void on_report(void *ctx, const struct elect_router *r, const struct elect_report *report)
{
	entry_report(ctx, r, report);
}

static void on_flush(void *ctx)
{
	struct elect *e = ctx;
	int64_t took;

	frames_do(e);
	if (e->touched_count)
		addresses_do(e);
	if (!e->embodied)
		return;
	e->embodied = false;
	took = mono_since(clock_boot(), e->thread.begun).ns;
	e->facts.takeover_ns_last = took;
	if (took > e->facts.takeover_ns_most)
		e->facts.takeover_ns_most = took;
}

static void on_gone(void *ctx, const struct elect_router *r)
{
	entry_gone(ctx, r);
}

const struct elect_ops orders_ops = {
	.send = on_send,
	.send_to = on_send_to,
	.lease = on_lease,
	.embody = on_embody,
	.report = on_report,
	.flush = on_flush,
	.gone = on_gone,
};

void orders_settle(struct elect *e, struct carrier *c)
{
	const struct elect_router *r = elect_set_router(c->set);
	const struct router_address *list;
	unsigned int count;

	list = elect_set_addresses(c->set, &count);
	if (!fhrp_embodies(elect_router_machine(r)))
		count = 0;
	carrier_want(e, c, list, count);
	addresses_do(e);
}

struct roll_call {
	const struct carrier *carrier;
	bool there[ROUTER_SET_ADDRESSES_MAX];
};

static void on_present(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct roll_call *roll = ctx;

	for (unsigned int i = 0; i < roll->carrier->have_count; i++)
		if (ip_equal(&roll->carrier->have[i].ip, &a->ip))
			roll->there[i] = true;
}

/* Our own deletions are heard, too, and find nothing to miss. */
void orders_restore(struct elect *e, struct carrier *c)
{
	struct roll_call roll = { .carrier = c };
	unsigned int kept = 0;
	struct error error;

	if (!c->set || c->have_count == 0 || c->have_count > ROUTER_SET_ADDRESSES_MAX ||
	    host_addresses_list(e->host, c->ifindex, on_present, &roll, &error) < 0)
		return;
	for (unsigned int i = 0; i < c->have_count; i++) {
		char text[IP_TEXT_MAX];

		if (roll.there[i])
			c->have[kept++] = c->have[i];
		else
			log_warning("router %s: somebody deleted %s from %s; it is put back",
				    elect_router_record(elect_set_router(c->set))->name,
				    ip_format(&c->have[i].ip, text), c->device);
	}
	if (kept == c->have_count)
		return;
	c->have_count = kept;
	orders_settle(e, c);
}

void orders_free(struct elect *e)
{
	free(e->adding.list);
	free(e->deleting.list);
}
