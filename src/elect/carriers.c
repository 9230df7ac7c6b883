/* What carries a set: a slot of the data plane, then a device with the vMAC.
 *
 * In that order, so that the data plane stops whatever the kernel says by itself from the moment
 * the device exists; and away in the other.  Devices are made by the dozen a turn of the loop, so
 * that a thousand new routers delay no advertisement of those that run, and deleted by group: the
 * kernel waits for one grace period then instead of one each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "elect/thread.h"

unsigned int carrier_wants(const struct router *r, const struct router_set *s)
{
	switch ((enum router_protocol)r->protocol) {
	case ROUTER_VRRP2:
	case ROUTER_VRRP3:
	case ROUTER_CARP:
		return s->family == 4 ? PACKET_VRRP4 : PACKET_VRRP6;
	case ROUTER_HSRP1:
		return PACKET_HSRP1;
	case ROUTER_HSRP2:
		return s->family == 4 ? PACKET_HSRP2 : PACKET_HSRP6;
	case ROUTER_PROTOCOL_COUNT:
		break;
	}
	return 0;
}

static const struct router_set *carrier_record(const struct carrier *c)
{
	const struct router *r = elect_router_record(elect_set_router(c->set));

	return &r->sets[elect_set_index(c->set)];
}

/* --- queues ---------------------------------------------------------------------------------- */

void carrier_queue(struct elect *e, struct carrier *c)
{
	c->state = CARRIER_WAITS;
	if (c->queued)
		return;
	c->queued = true;
	c->next_queued = NULL;
	*e->to_make_last = c;
	e->to_make_last = &c->next_queued;
}

static struct carrier *carrier_next(struct elect *e)
{
	struct carrier *c = e->to_make;

	if (!c)
		return NULL;
	e->to_make = c->next_queued;
	if (!e->to_make)
		e->to_make_last = &e->to_make;
	c->queued = false;
	return c;
}

static void carrier_unqueue(struct elect *e, struct carrier *c)
{
	struct carrier **at = &e->to_make;

	if (!c->queued)
		return;
	while (*at != c)
		at = &(*at)->next_queued;
	*at = c->next_queued;
	if (!*at)
		e->to_make_last = at;
	c->queued = false;
}

static void carrier_failed(struct elect *e, struct carrier *c, const struct error *error)
{
	log_debug("%s: %s", c->device, error->message);
	c->state = CARRIER_FAILED;
	elect_trouble(&c->trouble, error);
	elect_retry_soon(e);
}

static bool has_index(const void *item, const void *key)
{
	return ((const struct carrier *)item)->ifindex == *(const int *)key;
}

struct carrier *carrier_by_index(struct elect *e, int ifindex)
{
	return table_get(&e->carriers_by_index, hash_u64((uint32_t)ifindex), &ifindex, has_index);
}

static int carrier_has_device(struct elect *e, struct carrier *c, int ifindex)
{
	int r;

	if (c->ifindex)
		table_remove(&e->carriers_by_index, hash_u64((uint32_t)c->ifindex), c);
	c->ifindex = 0;
	r = ifindex ? table_add(&e->carriers_by_index, hash_u64((uint32_t)ifindex), c) : 0;
	if (r == 0)
		c->ifindex = ifindex;
	return r;
}

void carrier_broken(struct elect *e, struct carrier *c)
{
	carrier_has_device(e, c, 0);
	c->have_count = 0;
	if (c->state == CARRIER_READY && c->set)
		elect_core_ready(e->core, c->set, false, clock_boot());
	carrier_queue(e, c);
}

/* --- begin ----------------------------------------------------------------------------------- */

static struct carrier *carrier_new(struct elect *e, const struct elect_router *r,
				   const struct elect_set *s)
{
	const struct router *record = elect_router_record(r);
	const struct router_set *set = &record->sets[elect_set_index(s)];
	struct carrier *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->link = link_take(e, set->ifname);
	if (!c->link) {
		free(c);
		return NULL;
	}
	c->set = s;
	c->router = record->id;
	c->slot = elect_set_slot(s);
	c->mac = elect_set_mac(s);
	if (set->device[0])
		snprintf(c->device, sizeof(c->device), "%s", set->device);
	else
		snprintf(c->device, sizeof(c->device), "vr%u.%u", record->id, elect_set_index(s));
	c->next_on_link = c->link->carriers;
	c->link->carriers = c;
	e->carriers[c->slot] = c;
	return c;
}

int carriers_set(struct elect *e, const struct elect_router *r)
{
	const struct router *record = elect_router_record(r);

	for (unsigned int i = 0; i < record->set_count; i++) {
		const struct elect_set *s = elect_router_set(r, i);
		struct carrier *c = e->carriers[elect_set_slot(s)];

		if (c) {
			if (c->state == CARRIER_READY && carrier_plane(e, c) < 0)
				elect_retry_soon(e);
			continue;
		}
		c = carrier_new(e, r, s);
		if (!c)
			return -ENOMEM;
		carrier_queue(e, c);
		link_need(e, c->link);
	}
	return 0;
}

int carrier_plane(struct elect *e, struct carrier *c)
{
	struct ip ips[ROUTER_SET_ADDRESSES_MAX];
	struct error error;
	struct plane_router p = {
		.slot = c->slot,
		.ifindex = c->link->state.ifindex,
		.address = c->mac,
		.accept = elect_router_record(elect_set_router(c->set))->accept,
		.ips = ips,
	};
	const struct router_address *list;
	unsigned int count;
	uint64_t told;
	int r;

	list = elect_set_addresses(c->set, &count);
	for (unsigned int i = 0; !p.accept && i < count && i < PLANE_ROUTER_IPS_MAX; i++)
		ips[p.ip_count++] = list[i].ip;
	told = hash_bytes(ips, p.ip_count * sizeof(ips[0]), (uint64_t)p.ifindex << 1 | p.accept);
	if (c->in_plane && told == c->told)
		return 0;
	r = plane_router_set(e->plane, &p, &error);
	if (r < 0) {
		elect_trouble(&c->trouble, &error);
		return r;
	}
	if (!c->in_plane) /* it may be an earlier run's: we begin without the role */
		plane_router_lease(e->plane, c->slot, (mono_t){ 0 });
	c->in_plane = true;
	c->told = told;
	return 0;
}

/* --- make ------------------------------------------------------------------------------------ */

struct making {
	struct elect *e;
	bool any_evicted;
	unsigned int count;
	struct carrier *carriers[MAKE_MAX];
	struct host_virtual wanted[MAKE_MAX];
	char alias[MAKE_MAX][128];
	struct host_link links[MAKE_MAX];
	struct error errors[MAKE_MAX];
	bool made[MAKE_MAX];
	struct addresses stray;
};

/* Everything before the device; false: not now. */
static bool carrier_prepare(struct elect *e, struct carrier *c)
{
	struct link *l = c->link;
	struct error error;

	if (!l->state.ifindex) {
		error_set(&error, ERROR_NO_INTERFACE, "the router starts when it is there",
			  "there is no interface %s", l->ifname);
		elect_trouble(&c->trouble, &error);
		c->state = CARRIER_FAILED; /* the link's coming tries again */
		return false;
	}
	if (!l->in_plane || !l->packet) {
		carrier_failed(e, c, &l->trouble);
		return false;
	}
	if (carrier_plane(e, c) < 0) {
		c->state = CARRIER_FAILED; /* it says itself why */
		elect_retry_soon(e);
		return false;
	}
	return true;
}

static void making_add(struct elect *e, struct making *m, struct carrier *c)
{
	const struct router *r = elect_router_record(elect_set_router(c->set));
	const struct router_set *s = carrier_record(c);
	unsigned int i = m->count++;

	snprintf(m->alias[i], sizeof(m->alias[i]), "vmac router %s: %s group %u on %s", r->name,
		 router_protocol_name(r->protocol), s->group, s->ifname);
	m->carriers[i] = c;
	m->wanted[i] = (struct host_virtual){
		.ifname = c->device,
		.alias = m->alias[i],
		.parent = c->link->state.ifindex,
		.address = c->mac,
		.group = e->group,
		.made = &m->made[i],
	};
}

static void on_stray(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct making *m = ctx;

	for (unsigned int i = 0; i < m->count; i++) {
		if (m->links[i].ifindex != a->ifindex)
			continue;
		addresses_add(&m->stray, a);
		return;
	}
}

/* A device that was taken over may have addresses, of a killed run or of somebody; we begin without
 * the role, so without them. */
static void making_quell(struct elect *e, struct making *m)
{
	bool any = false;
	struct error error;

	for (unsigned int i = 0; i < m->count; i++)
		any |= m->links[i].ifindex && !m->made[i];
	if (!any)
		return;
	if (host_addresses_list(e->host, 0, on_stray, m, &error) < 0)
		log_debug("addresses: %s", error.message);
	if (m->stray.count)
		host_addresses_delete(e->host, m->stray.list, m->stray.count, &error);
	free(m->stray.list);
}

/* A device of that name on another link or of another make may be an earlier run's, for a record
 * that has changed since: then it gives way.  One that is not of our group is somebody's. */
static void on_evicted(void *ctx, const struct host_link *link, int parent)
{
	struct making *m = ctx;

	for (unsigned int i = 0; i < m->count; i++) {
		struct carrier *c = m->carriers[i];
		struct error error;

		if (m->links[i].ifindex || c->evicted || strcmp(c->device, link->ifname) != 0 ||
		    host_virtual_set_group(m->e->host, link->ifindex, m->e->doomed, &error) < 0)
			continue;
		c->evicted = m->any_evicted = true;
		carrier_queue(m->e, c);
		return;
	}
}

static void making_evict(struct elect *e, struct making *m)
{
	struct error error;

	if (host_virtual_list(e->host, e->group, on_evicted, m, &error) < 0 ||
	    (m->any_evicted && host_virtual_delete_group(e->host, e->doomed, &error) < 0))
		log_debug("devices in the way: %s", error.message);
}

void carriers_make(struct elect *e)
{
	struct making m = { .e = e };
	struct carrier *c;

	while (m.count < MAKE_MAX && (c = carrier_next(e)))
		if (carrier_prepare(e, c))
			making_add(e, &m, c);
	if (m.count == 0)
		return;
	if (host_virtual_make_many(e->host, m.wanted, m.count, m.links, m.errors) > 0)
		making_evict(e, &m);
	making_quell(e, &m);
	for (unsigned int i = 0; i < m.count; i++) {
		c = m.carriers[i];
		if (c->queued)
			continue; /* what was in its way is gone */
		if (m.links[i].ifindex == 0) {
			carrier_failed(e, c, &m.errors[i]);
			continue;
		}
		c->evicted = false;
		if (carrier_has_device(e, c, m.links[i].ifindex) < 0) {
			error_set(&m.errors[i], ERROR_NO_MEMORY, NULL, "not enough memory");
			carrier_failed(e, c, &m.errors[i]);
			continue;
		}
		c->state = CARRIER_READY;
		elect_trouble(&c->trouble, NULL);
		elect_core_ready(e->core, c->set, true, clock_boot());
	}
}

void carriers_retry(struct elect *e)
{
	for (unsigned int i = 0; i < ELECT_SETS_MAX; i++) {
		struct carrier *c = e->carriers[i];

		if (!c || !c->link->state.ifindex)
			continue;
		if (c->state == CARRIER_FAILED)
			carrier_queue(e, c);
		else if (c->state == CARRIER_READY && c->unsettled)
			orders_settle(e, c);
	}
}

/* --- end ------------------------------------------------------------------------------------- */

/* The set is gone from the core; what carried it goes at the end of this turn. */
void carrier_leave(struct elect *e, struct carrier *c)
{
	if (c->in_plane)
		plane_router_lease(e->plane, c->slot, (mono_t){ 0 });
	carrier_unqueue(e, c);
	e->carriers[c->slot] = NULL;
	c->set = NULL;
	c->link->told.ifindex = -1; /* with its last set the core forgot the link */
	c->next_queued = e->leaving;
	e->leaving = c;
}

static void carrier_free(struct elect *e, struct carrier *c)
{
	struct carrier **at = &c->link->carriers;
	struct error error;

	if (c->in_plane && plane_router_remove(e->plane, c->slot, &error) < 0)
		log_debug("%s: %s", c->device, error.message);
	while (*at != c)
		at = &(*at)->next_on_link;
	*at = c->next_on_link;
	if (!c->link->carriers)
		link_drop(e, c->link);
	else if (!e->thread.stopping)
		link_need(e, c->link);
	carrier_has_device(e, c, 0);
	elect_trouble(&c->trouble, NULL);
	free(c->have);
	free(c);
}

void carriers_delete(struct elect *e)
{
	struct error error;
	bool any = false;

	for (struct carrier *c = e->leaving; c; c = c->next_queued)
		if (c->ifindex &&
		    host_virtual_set_group(e->host, c->ifindex, e->doomed, &error) == 0)
			any = true;
	if (any && host_virtual_delete_group(e->host, e->doomed, &error) < 0)
		log_debug("devices: %s", error.message);
	while (e->leaving) {
		struct carrier *c = e->leaving;

		e->leaving = c->next_queued;
		carrier_free(e, c);
	}
}

void carriers_end(struct elect *e)
{
	struct closing *closing = closing_begin(e);
	struct error error;

	for (unsigned int i = 0; i < ELECT_SETS_MAX; i++)
		if (e->carriers[i])
			carrier_leave(e, e->carriers[i]);
	for (struct carrier *c = e->leaving; c; c = c->next_queued)
		carrier_has_device(e, c, 0);
	if (host_virtual_delete_group(e->host, e->group, &error) < 0)
		log_debug("devices: %s", error.message);
	closing_end(closing);
	carriers_delete(e);
}

/* --- an earlier run's ------------------------------------------------------------------------ */

struct found {
	struct elect *e;
	unsigned int count, room;
	int *ifindex;
	struct addresses addresses;
	bool failed, any;
};

static void on_left_device(void *ctx, const struct host_link *link, int parent)
{
	struct found *f = ctx;

	if (f->count == f->room) {
		unsigned int room = f->room ? 2 * f->room : 64;
		int *list = reallocarray(f->ifindex, room, sizeof(*list));

		if (!list) {
			f->failed = true;
			return;
		}
		f->ifindex = list;
		f->room = room;
	}
	f->ifindex[f->count++] = link->ifindex;
}

static int compare_int(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static void on_left_address(void *ctx, const struct host_address *a, enum host_address_state state)
{
	struct found *f = ctx;

	if (!bsearch(&a->ifindex, f->ifindex, f->count, sizeof(int), compare_int))
		return;
	if (addresses_add(&f->addresses, a) < 0)
		f->failed = true;
}

int carriers_quell(struct elect *e, struct error *ret_error)
{
	struct found f = { .e = e };
	int r = host_virtual_list(e->host, e->group, on_left_device, &f, ret_error);

	if (r == 0 && f.count) {
		qsort(f.ifindex, f.count, sizeof(int), compare_int);
		r = host_addresses_list(e->host, 0, on_left_address, &f, ret_error);
	}
	if (r == 0 && f.failed)
		r = error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	if (r == 0 && f.addresses.count &&
	    host_addresses_delete(e->host, f.addresses.list, f.addresses.count, ret_error) > 0)
		r = -EIO;
	free(f.addresses.list);
	free(f.ifindex);
	return r;
}

static void on_unclaimed(void *ctx, const struct host_link *link, int parent)
{
	struct found *f = ctx;
	struct error error;

	if (carrier_by_index(f->e, link->ifindex))
		return;
	for (unsigned int i = 0; i < ELECT_SETS_MAX; i++)
		if (f->e->carriers[i] && strcmp(f->e->carriers[i]->device, link->ifname) == 0)
			return;
	if (host_virtual_set_group(f->e->host, link->ifindex, f->e->doomed, &error) == 0)
		f->any = true;
}

void carriers_sweep(struct elect *e)
{
	struct found f = { .e = e };
	unsigned int removed;
	struct error error;

	if (host_virtual_list(e->host, e->group, on_unclaimed, &f, &error) < 0 ||
	    (f.any && host_virtual_delete_group(e->host, e->doomed, &error) < 0))
		log_debug("devices nobody claims: %s", error.message);
	if (plane_router_sweep(e->plane, &removed, &error) < 0)
		log_debug("data plane: %s", error.message);
	if (tunables_settle(e->tunables, &error) < 0)
		log_debug("tunables: %s", error.message);
}
