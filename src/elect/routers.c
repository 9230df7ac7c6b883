/* Who is there: routers, their sets and links; and when a machine starts and ends. */
#include "elect/inside.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"

/* --- the core itself ------------------------------------------------------------------------- */

int elect_core_new(const struct elect_core_config *config, struct elect_core **ret,
		   struct error *ret_error)
{
	struct elect_core *c = mem_alloc(config->mem, sizeof(*c));

	if (!c)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for the elections");
	c->mem = config->mem;
	c->ops = config->ops;
	c->ctx = config->ctx;
	c->wall_now = config->wall_now;
	c->random = config->seed;
	c->devices = config->devices;
	c->boot = MONO_NEVER;
	table_init(&c->routers, c->mem);
	table_init(&c->sets, c->mem);
	table_init(&c->wires, c->mem);
	table_init(&c->wires_by_index, c->mem);
	timers_init(&c->timers, c->mem);
	*ret = c;
	return 0;
}

static void router_free(struct elect_core *c, struct elect_router *r)
{
	for (unsigned int i = 0; i < r->set_count; i++)
		mem_free(c->mem, r->sets[i].peers);
	body_free(c, r->body);
	mem_free(c->mem, r->verdicts);
	mem_free(c->mem, r);
}

void elect_core_free(struct elect_core *c)
{
	if (!c)
		return;
	table_for_each (&c->routers, struct elect_router, r)
		router_free(c, r);
	table_for_each (&c->wires, struct elect_wire, w)
		mem_free(c->mem, w);
	table_done(&c->routers);
	table_done(&c->sets);
	table_done(&c->wires);
	table_done(&c->wires_by_index);
	timers_done(&c->timers);
	mem_free(c->mem, c);
}

uint64_t core_random(struct elect_core *c)
{
	c->random += 0x9e3779b97f4a7c15ULL;
	return hash_u64(c->random);
}

static uint8_t kind_of(uint8_t protocol)
{
	return router_is_hsrp(protocol) ? ELECT_HSRP : ELECT_VRRP;
}

static uint16_t slot_take(struct elect_core *c)
{
	for (unsigned int i = 0; i < ELECT_SETS_MAX / 64; i++) {
		unsigned int bit;

		if (c->slots[i] == UINT64_MAX)
			continue;
		bit = (unsigned int)__builtin_ctzll(~c->slots[i]);
		c->slots[i] |= 1ULL << bit;
		c->slots_taken++;
		return (uint16_t)(i * 64 + bit);
	}
	assert(false); /* counted before */
	return 0;
}

static void slot_give(struct elect_core *c, uint16_t slot)
{
	c->slots[slot / 64] &= ~(1ULL << slot % 64);
	c->slots_taken--;
}

/* The source in force, of which the machine knows, too. */
static void set_resolve_source(struct elect_set *s)
{
	struct fhrp_own *own = &s->router->own[s->index];
	const struct router_set *record = set_record(s);
	struct ip source = record->source;

	if (source.family == 0)
		source = s->family == 4 ? s->wire->source4 : s->wire->source6;
	if (ip_equal(&source, &s->source))
		return;
	s->source = source;
	s->frames.valid = false;
	*own = (struct fhrp_own){ .len = source.family == 0 ? 0 : s->family == 4 ? 4 : 16 };
	memcpy(own->address, source.octet, own->len);
}

/* --- starts and ends ------------------------------------------------------------------------- */

static bool router_can_run(const struct elect_router *r)
{
	if (r->fault)
		return false;
	for (unsigned int i = 0; i < r->set_count; i++) {
		const struct elect_set *s = &r->sets[i];

		if (!s->wire->usable || !s->ready || s->source.family == 0)
			return false;
	}
	return true;
}

static void router_halt(struct elect_core *c, struct elect_router *r)
{
	struct fhrp_event halt = { .kind = FHRP_EVENT_HALT, .reason = FHRP_REASON_FAULT };

	r->running = false;
	router_step(c, r, &halt, NULL);
}

static void router_stop(struct elect_core *c, struct elect_router *r, enum fhrp_reason reason)
{
	struct fhrp_event stop = { .kind = FHRP_EVENT_STOP, .reason = reason };

	if (!r->running)
		return;
	r->running = false;
	router_step(c, r, &stop, NULL);
}

/* What tracking leaves of the configured priority: never an owner's unless it is one (RFC 9568
 * section 6.1: 255 is reserved for the owner), never 0, which is for leaving. */
static uint8_t effective_priority(const struct elect_router *r)
{
	const struct router *record = router_record(r);
	bool vrrp = router_is_vrrp(record->protocol);
	int priority = record->priority + r->adjust, most = vrrp ? 254 : 255;

	if (vrrp && record->priority == VRRP_PRIORITY_OWNER)
		return VRRP_PRIORITY_OWNER;
	return (uint8_t)(priority < 1 ? 1 : priority > most ? most : priority);
}

static void router_adjust(struct elect_core *c, struct elect_router *r)
{
	struct fhrp_event adjust = { .kind = FHRP_EVENT_ADJUST, .priority = effective_priority(r) };

	if (r->machine.priority != adjust.priority)
		router_step(c, r, &adjust, NULL);
}

static void router_start(struct elect_core *c, struct elect_router *r)
{
	span_t hold = SPAN_MS(router_record(r)->boot_hold_ms);
	struct fhrp_event start = { .kind = FHRP_EVENT_START };

	start.boot = !r->begun && c->boot.ns != MONO_NEVER.ns &&
		     c->now.ns < mono_after(c->boot, hold).ns;
	r->running = r->begun = true;
	router_adjust(c, r);
	router_step(c, r, &start, NULL);
}

void router_sync(struct elect_core *c, struct elect_router *r)
{
	bool wanted = !r->removing && !c->stopped && router_record(r)->enabled;
	bool can = router_can_run(r);

	if (r->running && !can)
		router_halt(c, r);
	else if (r->running && !wanted)
		router_stop(c, r,
			    r->removing || c->stopped ? FHRP_REASON_SHUTDOWN
						      : FHRP_REASON_DISABLED);
	else if (!r->running && !can && r->machine.state != FHRP_INITIALIZE)
		router_halt(c, r);
	/* One that lingers is left to do so; it comes by here again when it is at rest. */
	if (!r->running && wanted && can && r->machine.state == FHRP_INITIALIZE)
		router_start(c, r);
}

void router_drop(struct elect_core *c, struct elect_router *r)
{
	if (c->ops->gone)
		c->ops->gone(c->ctx, r);
	timers_set(&c->timers, &r->timer, MONO_NEVER);
	table_remove(&c->routers, hash_u64(r->id), r);
	for (unsigned int i = 0; i < r->set_count; i++) {
		struct elect_set *s = &r->sets[i], **at = &s->wire->sets;

		table_remove(&c->sets, set_own_hash(s), s);
		while (*at != s)
			at = &(*at)->next_on_wire;
		*at = s->next_on_wire;
		slot_give(c, s->slot);
		s->wire->holds--;
		wire_release(c, s->wire);
	}
	router_free(c, r);
}

/* Ends a router now: graceful, but it serves nobody any more when this returns, and is freed. */
static void router_end(struct elect_core *c, struct elect_router *r, enum fhrp_reason reason)
{
	struct fhrp_config config = r->machine.config;
	struct fhrp_event now = { .kind = FHRP_EVENT_CONFIG, .config = &config };

	r->removing = true;
	config.linger = SPAN_NS(0);
	if (r->running) {
		router_step(c, r, &now, NULL);
		router_stop(c, r, reason);
	}
	if (r->machine.state != FHRP_INITIALIZE)
		router_halt(c, r);
	assert(r->machine.state == FHRP_INITIALIZE);
	router_pend(c, r);
	core_settle(c);
}

/* --- records --------------------------------------------------------------------------------- */

/* Gives the sets what follows from the record. */
static void sets_follow_record(struct elect_router *r)
{
	const struct router *record = router_record(r);
	uint8_t *room = r->body->frames;

	for (unsigned int i = 0; i < r->set_count; i++) {
		struct elect_set *s = &r->sets[i];

		s->frames.valid = false;
		s->frames.data = room;
		s->frames.room = compose_room(record, &record->sets[i]);
		room += s->frames.room;
		if (record->checksum != ROUTER_CHECKSUM_AUTO)
			s->dialect = record->checksum == ROUTER_CHECKSUM_PLAIN
					     ? VRRP_DIALECT_PLAIN
					     : VRRP_DIALECT_PSEUDO;
		if (record->sets[i].address_count > 0)
			s->learned = (struct router_address){ 0 };
		set_resolve_source(s);
	}
}

static int no_memory(const struct router *record, struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "no memory for router '%s'",
			 record->name);
}

/* The machine goes on with another record. */
static int router_change(struct elect_core *c, struct elect_router *r, const struct router *record,
			 struct error *ret_error)
{
	struct elect_body *old = r->body, *body = body_new(c, record);
	struct fhrp_event event = { .kind = FHRP_EVENT_CONFIG };
	struct fhrp_config config;
	bool adds, drops;

	if (!body)
		return no_memory(record, ret_error);
	/* What was given to the caller lies in the old body. */
	core_settle(c);
	r->body = body;
	sets_follow_record(r);
	adds = body_adds_addresses(old->record, record);
	drops = body_adds_addresses(record, old->record);
	body_free(c, old);

	body_config(record, &config);
	event.config = &config;
	router_step(c, r, &event, NULL);
	router_adjust(c, r);
	if (fhrp_embodies(&r->machine) && (adds || drops)) {
		r->embody = r->embody_there = true;
		router_pend(c, r);
		if (adds)
			router_announce(c, r);
	}
	router_sync(c, r);
	core_settle(c);
	return 0;
}

/* Which sets would meet another router's: an error, or ended here when it is leaving anyway. */
static int make_way(struct elect_core *c, const struct router *record, struct error *ret_error)
{
	for (unsigned int i = 0; i < record->set_count; i++) {
		const struct router_set *s = &record->sets[i];
		struct elect_wire *w = wire_find(c, s->ifname);
		struct elect_set *other =
			w ? set_find(c, w, kind_of(record->protocol), s->group, s->family) : NULL;

		if (!other || other->router->id == record->id)
			continue;
		if (!other->router->removing)
			return error_set(ret_error, ERROR_IN_USE, "choose another group number",
					 "group %u on %s is router '%s's", s->group, s->ifname,
					 router_record(other->router)->name);
		router_end(c, other->router, FHRP_REASON_SHUTDOWN);
	}
	return 0;
}

static struct elect_router *router_new(struct elect_core *c, const struct router *record)
{
	size_t size = sizeof(struct elect_router) + record->set_count * sizeof(struct elect_set);
	struct elect_router *r = mem_alloc(c->mem, size + record->set_count * sizeof(r->own[0]));

	if (!r)
		return NULL;
	r->own = (struct fhrp_own *)((uint8_t *)r + size);
	r->body = body_new(c, record);
	if (!r->body || timers_reserve(&c->timers, c->routers.count + 1) < 0 ||
	    table_reserve(&c->routers, c->routers.count + 1) < 0 ||
	    table_reserve(&c->sets, c->sets.count + record->set_count) < 0) {
		body_free(c, r->body);
		mem_free(c->mem, r);
		return NULL;
	}
	r->id = record->id;
	r->set_count = record->set_count;
	r->timer.place = TIMER_IDLE;
	return r;
}

/* Holds them, so that they outlive what else is on them. */
static bool sets_find_wires(struct elect_core *c, struct elect_router *r)
{
	const struct router *record = router_record(r);

	for (unsigned int i = 0; i < r->set_count; i++) {
		r->sets[i].wire = wire_get(c, record->sets[i].ifname);
		if (r->sets[i].wire) {
			r->sets[i].wire->holds++;
			continue;
		}
		while (i-- > 0) {
			r->sets[i].wire->holds--;
			wire_release(c, r->sets[i].wire);
		}
		return false;
	}
	return true;
}

/* Into every table; room was made. */
static void router_insert(struct elect_core *c, struct elect_router *r)
{
	const struct router *record = router_record(r);
	struct fhrp_config config;

	if (table_add(&c->routers, hash_u64(r->id), r) < 0)
		assert(false);
	for (unsigned int i = 0; i < r->set_count; i++) {
		struct elect_set *s = &r->sets[i];

		s->router = r;
		s->index = (uint8_t)i;
		s->kind = kind_of(record->protocol);
		s->family = record->sets[i].family;
		s->group = record->sets[i].group;
		s->mac = router_set_mac(record, &record->sets[i]);
		s->slot = slot_take(c);
		s->ready = !c->devices;
		s->counter = record->protocol == ROUTER_CARP ? core_random(c) : 0;
		s->next_on_wire = s->wire->sets;
		s->wire->sets = s;
		if (table_add(&c->sets, set_own_hash(s), s) < 0)
			assert(false);
	}
	body_config(record, &config);
	fhrp_init(&r->machine, &config, r->own, c->now);
	sets_follow_record(r);
	router_sync(c, r);
	core_settle(c);
}

int elect_core_set(struct elect_core *c, const struct router *record, mono_t now,
		   struct error *ret_error)
{
	struct elect_router *old = elect_core_find(c, record->id), *r;
	unsigned int given = old ? old->set_count : 0;
	int err;

	c->now = now;
	if (old && !old->removing && router_equal(router_record(old), record))
		return 0;
	err = make_way(c, record, ret_error);
	old = elect_core_find(c, record->id);
	if (err < 0) {
		/* What it has it is not to have any more, and the other may be about to get it: if
		 * each waited for the other's place, two that swap would wait for ever. */
		if (old)
			router_end(c, old, FHRP_REASON_RECONFIGURED);
		return err;
	}
	if (old && !old->removing && body_same_shape(router_record(old), record))
		return router_change(c, old, record, ret_error);
	if (c->slots_taken - given + record->set_count > ELECT_SETS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "more than %u sets on one host", ELECT_SETS_MAX);
	r = router_new(c, record);
	if (!r)
		return no_memory(record, ret_error);
	if (!sets_find_wires(c, r)) {
		router_free(c, r);
		return no_memory(record, ret_error);
	}
	if (old)
		router_end(c, old, FHRP_REASON_RECONFIGURED);
	router_insert(c, r);
	return 0;
}

void elect_core_remove(struct elect_core *c, uint32_t id, mono_t now)
{
	struct elect_router *r = elect_core_find(c, id);

	c->now = now;
	if (!r || r->removing)
		return;
	r->removing = true;
	router_sync(c, r);
	router_pend(c, r);
	core_settle(c);
}

void elect_core_stop(struct elect_core *c, mono_t now)
{
	c->now = now;
	c->stopped = true;
	table_for_each (&c->routers, struct elect_router, r)
		router_sync(c, r);
	core_settle(c);
}

bool elect_core_stopped(const struct elect_core *c)
{
	if (!c->stopped)
		return false;
	table_for_each (&c->routers, struct elect_router, r)
		if (r->machine.state != FHRP_INITIALIZE)
			return false;
	return true;
}

bool elect_core_gone(const struct elect_core *c, uint32_t id)
{
	return !elect_core_find(c, id);
}

/* --- what the caller tells ------------------------------------------------------------------- */

/* A link with that index but another name is told of before its old name is told to be gone: the
 * kernel renames in one message. */
static void link_displace(struct elect_core *c, const struct elect_link *link)
{
	struct elect_wire *other = link->ifindex ? wire_by_index(c, link->ifindex) : NULL;
	struct elect_link gone = { 0 };
	char ifname[IFNAME_MAX_LEN + 1];

	if (!other || strcmp(other->ifname, link->ifname) == 0)
		return;
	memcpy(ifname, other->ifname, sizeof(ifname));
	gone.ifname = ifname;
	elect_core_link(c, &gone, c->now);
}

void elect_core_link(struct elect_core *c, const struct elect_link *link, mono_t now)
{
	struct elect_wire *w;
	bool moved;

	c->now = now;
	link_displace(c, link);
	w = wire_get(c, link->ifname);
	if (!w)
		return; /* no memory, so no router is on it either */
	moved = w->ifindex != 0 && w->ifindex != link->ifindex;
	if (moved && w->usable) {
		/* Another link of the same name: what was on the old one has ended. */
		w->usable = false;
		for (struct elect_set *s = w->sets; s; s = s->next_on_wire)
			router_sync(c, s->router);
	}
	wire_set_index(c, w, link->ifindex);
	w->usable = link->usable && link->ifindex != 0;
	for (struct elect_set *s = w->sets; s; s = s->next_on_wire)
		if (!vmac_mac_equal(w->address, link->address))
			s->frames.valid = false;
	w->address = link->address;
	w->source4 = link->source4;
	w->source6 = link->source6;
	for (struct elect_set *s = w->sets; s; s = s->next_on_wire) {
		set_resolve_source(s);
		router_sync(c, s->router);
	}
	core_settle(c);
	wire_release(c, w);
}

void elect_core_ready(struct elect_core *c, const struct elect_set *s, bool ready, mono_t now)
{
	struct elect_router *r = s->router;

	c->now = now;
	r->sets[s->index].ready = ready;
	router_sync(c, r);
	core_settle(c);
}

void elect_core_track(struct elect_core *c, uint32_t id, int adjust, bool fault, mono_t now)
{
	struct elect_router *r = elect_core_find(c, id);

	c->now = now;
	if (!r)
		return;
	r->adjust = (int16_t)(adjust < -255 ? -255 : adjust > 255 ? 255 : adjust);
	r->fault = fault;
	if (r->running)
		router_adjust(c, r);
	router_sync(c, r);
	core_settle(c);
}

void elect_core_boot(struct elect_core *c, mono_t now)
{
	c->boot = now;
}

/* --- look ------------------------------------------------------------------------------------ */

static bool router_has_id(const void *item, const void *key)
{
	return ((const struct elect_router *)item)->id == *(const uint32_t *)key;
}

struct elect_router *elect_core_find(const struct elect_core *c, uint32_t id)
{
	return table_get(&c->routers, hash_u64(id), &id, router_has_id);
}
