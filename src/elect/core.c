/* Time, frames, and how the effects of a machine become orders: see core.h for the whole. */
#include "elect/inside.h"

#include <assert.h>
#include <string.h>

/* A machine has a handful of timers; more rounds than this at one instant would never end. */
#define STEPS_MAX 16

/* --- orders ---------------------------------------------------------------------------------- */

/* Leases and frames are ordered while a machine is stepped, all else waits: so that of many routers
 * that change hands at once, the last is heard by its peers before the first one's addresses cost
 * time.  A router's own orders keep their sequence: of two embodiments the last counts, and an
 * announcement never outlives what it announces. */

void router_pend(struct elect_core *c, struct elect_router *r)
{
	if (r->pending)
		return;
	r->pending = true;
	r->next_pending = c->pending;
	c->pending = r;
}

void router_announce(struct elect_core *c, struct elect_router *r)
{
	r->announce = true;
	router_pend(c, r);
}

static void router_embody(struct elect_core *c, struct elect_router *r, bool there)
{
	r->embody = true;
	r->embody_there = there;
	if (!there)
		r->announce = false;
	router_pend(c, r);
}

void core_flush_ops(struct elect_core *c)
{
	if (c->ordered)
		c->ops->flush(c->ctx);
	c->ordered = false;
	c->arena_used = 0;
	c->flushes++;
}

static void give_reports(struct elect_core *c)
{
	for (unsigned int i = 0; i < c->report_count; i++) {
		c->ordered = true;
		c->ops->report(c->ctx, c->reports[i].router, &c->reports[i].report);
	}
	c->report_count = 0;
}

static void give_orders(struct elect_core *c)
{
	for (struct elect_router *r = c->pending; r; r = r->next_pending) {
		if (r->embody) {
			c->ordered = true;
			c->ops->embody(c->ctx, r, r->embody_there);
		}
		r->embody = false;
	}
	for (struct elect_router *r = c->pending; r; r = r->next_pending) {
		for (unsigned int i = 0; r->announce && i < r->set_count; i++)
			compose_announce(c, &r->sets[i]);
		r->announce = false;
	}
	give_reports(c);
}

void core_settle(struct elect_core *c)
{
	struct elect_router *list, *r;

	do {
		give_orders(c);
		list = c->pending;
		c->pending = NULL;
		while ((r = list)) {
			list = r->next_pending;
			r->pending = false;
			if (r->machine.state != FHRP_INITIALIZE)
				continue;
			/* At rest: for good, or to begin again. */
			if (r->removing) {
				core_flush_ops(c);
				router_drop(c, r);
			} else if (!r->running) {
				router_sync(c, r);
			}
		}
	} while (c->pending || c->report_count > 0);
	if (c->ordered || c->arena_used > 0)
		core_flush_ops(c);
}

static void core_report(struct elect_core *c, struct elect_router *r,
			const struct elect_report *report)
{
	if (c->report_count == ELECT_REPORTS_MAX)
		give_orders(c);
	c->reports[c->report_count++] = (struct elect_waiting){ r, *report };
	router_pend(c, r);
}

static struct ip ip_of(const struct fhrp_own *own)
{
	struct ip ip = { 0 };

	if (own->len == 0)
		return ip;
	ip.family = own->len == 4 ? 4 : 6;
	memcpy(ip.octet, own->address, own->len);
	return ip;
}

void router_note(struct elect_core *c, struct elect_router *r, enum fhrp_reason reason,
		 const struct ip *peer)
{
	struct elect_report report = {
		.from = r->machine.state,
		.to = r->machine.state,
		.reason = (uint8_t)reason,
		.priority = r->machine.priority,
		.peer = *peer,
	};

	core_report(c, r, &report);
}

static void router_changed(struct elect_core *c, struct elect_router *r,
			   const struct fhrp_effect *e, const struct ip *peer)
{
	struct elect_report report = {
		.transition = e->kind == FHRP_EFFECT_STATE,
		.from = e->state.from,
		.to = e->state.to,
		.reason = e->state.reason,
		.priority = r->machine.priority,
	};

	if (peer)
		report.peer = *peer;
	else if (r->machine.active.known)
		report.peer = ip_of(&r->machine.active.address);
	if (report.transition)
		r->counts.transitions++;
	core_report(c, r, &report);
}

static void router_learned(struct elect_core *c, struct elect_router *r, const uint8_t *address)
{
	struct elect_set *s = &r->sets[0];
	struct ip ip = { .family = s->family };

	memcpy(ip.octet, address, s->family == 4 ? 4 : 16);
	if (ip_equal(&ip, &s->learned.ip))
		return;
	s->learned = (struct router_address){ .ip = ip };
	s->frames.valid = false;
	if (fhrp_embodies(&r->machine)) {
		router_embody(c, r, true);
		router_announce(c, r);
	}
}

static void router_carry_out(struct elect_core *c, struct elect_router *r,
			     const struct fhrp_effect *e, const struct ip *peer)
{
	switch (e->kind) {
	case FHRP_EFFECT_LEASE:
		c->ordered = true;
		for (unsigned int i = 0; i < r->set_count; i++)
			c->ops->lease(c->ctx, &r->sets[i], e->until);
		break;
	case FHRP_EFFECT_SEND:
		for (unsigned int i = 0; i < r->set_count; i++)
			compose_send(c, &r->sets[i], &e->send);
		break;
	case FHRP_EFFECT_EMBODY:
		router_embody(c, r, true);
		break;
	case FHRP_EFFECT_DISEMBODY:
		router_embody(c, r, false);
		break;
	case FHRP_EFFECT_ANNOUNCE:
		router_announce(c, r);
		break;
	case FHRP_EFFECT_STATE:
	case FHRP_EFFECT_NOTE:
		router_changed(c, r, e, peer);
		break;
	case FHRP_EFFECT_LEARNED:
		router_learned(c, r, e->learned);
		break;
	case FHRP_EFFECT_KIND_COUNT:
		assert(false);
	}
}

/* Where the machine has the addresses before its first frame, somebody serves them until he hears
 * it: then they must be here first, and before the lease, too: the kernel's own report of the
 * multicast groups that it joins for them would move the vMAC to our port. */
static bool embodies_first(const struct fhrp_effects *out)
{
	bool embodied = false;

	for (unsigned int i = 0; i < out->count; i++) {
		if (out->list[i].kind == FHRP_EFFECT_SEND)
			return embodied;
		embodied |= out->list[i].kind == FHRP_EFFECT_EMBODY;
	}
	return false;
}

static void machine_step(struct elect_core *c, struct elect_router *r,
			 const struct fhrp_event *event, const struct ip *peer)
{
	struct fhrp_effects out;

	fhrp_step(&r->machine, event, c->now, &out);
	assert(out.count <= FHRP_EFFECTS_MAX);
	if (embodies_first(&out)) {
		c->ordered = true;
		c->ops->embody(c->ctx, r, true);
	}
	for (unsigned int i = 0; i < out.count; i++)
		router_carry_out(c, r, &out.list[i], peer);
}

void router_step(struct elect_core *c, struct elect_router *r, const struct fhrp_event *event,
		 const struct ip *peer)
{
	struct fhrp *m = &r->machine;

	/* The data plane has ended the role before us, and others may have it by now: no event may
	 * find a machine that still believes in it. */
	if (m->state == FHRP_ACTIVE && mono_due(m->lease, c->now)) {
		struct fhrp_event late = { .kind = FHRP_EVENT_LATE };

		r->counts.late++;
		machine_step(c, r, &late, NULL);
	}
	machine_step(c, r, event, peer);
	timers_set(&c->timers, &r->timer, fhrp_next_expiry(m));
	if (m->state == FHRP_INITIALIZE)
		router_pend(c, r);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Routers with one interval that started at different times would wake us for each of their
 * advertisements.  One that is nearly due is sent with those that are; from then on they go
 * together.  Early is always allowed, and nobody's patience depends on less than 1/32 interval.
 * Only advertisements: what is decided by silence (Active_Down) waits for its full time. */
#define EARLY_PARTS 32
#define EARLY_MAX   SPAN_MS(5)

static bool advertises_soon(const struct fhrp *m, mono_t at, mono_t now)
{
	int64_t early = m->interval.ns / EARLY_PARTS;

	if (early > EARLY_MAX.ns)
		early = EARLY_MAX.ns;
	return m->state == FHRP_ACTIVE && m->advertise.ns == at.ns && at.ns - now.ns <= early &&
	       m->lease.ns > now.ns;
}

static void router_time(struct elect_core *c, struct elect_router *r, mono_t at)
{
	struct fhrp_event time = { .kind = FHRP_EVENT_TIME };
	struct fhrp *m = &r->machine;
	unsigned int steps = 0;

	if (c->now.ns - at.ns > r->counts.late_ns_most)
		r->counts.late_ns_most = c->now.ns - at.ns;
	if (!mono_due(at, c->now))
		m->advertise = c->now;
	do {
		assert(steps++ < STEPS_MAX);
		router_step(c, r, &time, NULL);
	} while (mono_due(fhrp_next_expiry(m), c->now));
}

void elect_core_time(struct elect_core *c, mono_t now)
{
	struct elect_router *r;
	struct timer *timer;
	bool any = false;
	mono_t at;

	c->now = now;
	while ((timer = timers_first(&c->timers, &at))) {
		_Static_assert(offsetof(struct elect_router, timer) == 0, "a timer is its router");
		r = (struct elect_router *)timer;
		if (!mono_due(at, now) && !(any && advertises_soon(&r->machine, at, now)))
			break;
		any = true;
		router_time(c, r, at);
	}
	core_settle(c);
}

mono_t elect_core_next_expiry(const struct elect_core *c)
{
	mono_t at;

	return timers_first(&c->timers, &at) ? at : MONO_NEVER;
}

/* --- frames ---------------------------------------------------------------------------------- */

static uint8_t kind_of(uint8_t advert_kind)
{
	return advert_kind == ADVERT_HSRP ? ELECT_HSRP : ELECT_VRRP;
}

/* A frame that is refused and finds no memory to be counted with its router is with its link's. */
static void count_verdict(struct elect_core *c, struct elect_wire *w, struct elect_router *r,
			  enum verdict v)
{
	if (r && v == VERDICT_ACCEPTED) {
		r->counts.accepted++;
		return;
	}
	if (r && !r->verdicts)
		r->verdicts = mem_alloc(c->mem, VERDICT_COUNT * sizeof(*r->verdicts));
	if (r && r->verdicts) {
		r->verdicts[v]++;
		return;
	}
	w->counters.received++;
	w->counters.verdicts[v]++;
}

static bool concerns_a_group(const struct advert *a, enum advert_depth depth)
{
	if (depth < ADVERT_GROUP || a->kind == ADVERT_GLBP)
		return false;
	return a->kind != ADVERT_HSRP || a->hsrp.operation != HSRP_ADVERTISE;
}

static struct ip path_source(const struct vrrp_path *path)
{
	struct ip ip = { .family = path->family };

	memcpy(ip.octet, path->from, path->family == 4 ? 4 : 16);
	return ip;
}

/* A peer that sends the other form of the checksum could not read ours (RFC 9568 section 5.2.8
 * against what RFC 5798 became in the field). */
static void learn_dialect(struct elect_core *c, struct elect_set *s, const struct advert *a,
			  const struct ip *peer)
{
	if (a->kind != ADVERT_VRRP || a->vrrp.version != 3 || s->family != 4 ||
	    router_record(s->router)->checksum != ROUTER_CHECKSUM_AUTO ||
	    a->vrrp.dialect == s->dialect)
		return;
	s->dialect = (uint8_t)a->vrrp.dialect;
	s->frames.valid = false;
	if (!s->dialect_noted)
		router_note(c, s->router, FHRP_REASON_CHECKSUM_LEARNED, peer);
	s->dialect_noted = true;
}

static enum verdict set_heard(struct elect_core *c, struct elect_set *s, const struct advert *a)
{
	struct fhrp_heard heard;
	struct fhrp_event event = { .kind = FHRP_EVENT_HEARD, .heard = &heard };
	enum verdict v = admit(c, s, a, &heard);
	struct ip peer;

	if (v != VERDICT_ACCEPTED && v != VERDICT_OWNER_CONFLICT)
		return v;
	peer = path_source(&a->path);
	learn_dialect(c, s, a, &peer);
	router_step(c, s->router, &event, &peer);
	return v;
}

enum verdict elect_core_frame(struct elect_core *c, int ifindex, const void *data, size_t len,
			      unsigned int flags, mono_t now)
{
	struct elect_wire *wire = wire_by_index(c, ifindex);
	enum advert_depth depth = ADVERT_NOTHING;
	struct reader r = reader_of(data, len);
	struct elect_set *s = NULL;
	struct advert a;
	enum verdict v;

	if (!wire)
		return VERDICT_NO_GROUP;
	c->now = now;
	v = advert_decode(&r, flags, &a, &depth, NULL);
	if (concerns_a_group(&a, depth))
		s = set_find(c, wire, kind_of(a.kind), advert_group(&a), a.path.family);
	if (v == VERDICT_ACCEPTED) {
		if (s)
			v = set_heard(c, s, &a);
		else
			v = concerns_a_group(&a, depth) ? VERDICT_NO_GROUP : VERDICT_INFORMATION;
	}
	count_verdict(c, wire, s ? s->router : NULL, v);
	return v;
}

void elect_core_flush(struct elect_core *c)
{
	core_settle(c);
}
