/* Commands on ports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/classify.h>

#include "base/cleanup.h"
#include "engine/cluster.h"
#include "engine/side.h"
#include "model/record.h"

#define PORT_FLOOD_PPS_DEFAULT 10000
#define PORT_MTU_MIN	       68
#define PORT_MTU_MAX	       65521
#define PORT_QUEUES_MAX	       256

static const char *or_default(const char *text, const char *otherwise)
{
	return text[0] ? text : otherwise;
}

static int port_shape_check(const struct port_add *a, const char *ifname, struct error *ret_error)
{
	int r = ifname_check("ifname", ifname, ret_error);

	if (r < 0) {
		if (!a->ifname[0])
			snprintf(ret_error->hint, sizeof(ret_error->hint),
				 "the port's name is no interface name: give one with --ifname");
		return r;
	}
	if (a->mtu != 0 && (a->mtu < PORT_MTU_MIN || a->mtu > PORT_MTU_MAX))
		return error_set(ret_error, ERROR_BAD_VALUE, "68 to 65521", "mtu: out of bounds");
	if (a->kind != PORT_TAP && (a->queues > 1 || a->owner_uid != UINT32_MAX))
		return error_set(ret_error, ERROR_BAD_VALUE, "leave them out, or use --kind tap",
				 "queues, user and group are a tap's");
	if (a->queues > PORT_QUEUES_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, "1 to 256", "queues: out of bounds");
	if (a->kind != PORT_VETH)
		return a->peer_netns[0]
			       ? error_set(ret_error, ERROR_BAD_VALUE, "use --kind veth",
					   "netns: only a veth port reaches into a namespace")
			       : 0;
	if (!a->peer_netns[0])
		return error_set(ret_error, ERROR_MISSING_FIELD, "say where with --netns NAME",
				 "netns: a veth port needs the namespace of its container");
	r = text_check("netns", a->peer_netns, PATH_MAX_LEN, ret_error);
	if (r == 0 && a->peer_netns[0] != '/')
		r = error_set(ret_error, ERROR_BAD_VALUE, "such as /run/netns/web1",
			      "netns: an absolute path is needed");
	return r < 0 ? r
		     : ifname_check("peer_ifname", or_default(a->peer_ifname, "eth0"), ret_error);
}

static int port_name_free(struct engine *e, const struct port_add *a, const char *ifname,
			  struct error *ret_error)
{
	if (world_port_named(&e->world, a->name))
		return error_set(ret_error, ERROR_NAME_IN_USE, NULL, "there is a port '%s' already",
				 a->name);
	for (uint32_t id = 1; id <= PORTS_MAX; id++) {
		const struct port *p = e->world.ports[id];

		if (p && strcmp(p->ifname, ifname) == 0)
			return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
					 "port '%s' is on %s already", p->name, ifname);
	}
	if (uplink_slot(e, ifname) != 0)
		return error_set(ret_error, ERROR_INTERFACE_IN_USE, NULL,
				 "%s is the uplink of a segment", ifname);
	return 0;
}

static int by_mac(const void *a, const void *b)
{
	uint64_t x = vmac_mac_u64(*(const vmac_mac_t *)a), y = vmac_mac_u64(*(const vmac_mac_t *)b);

	return x < y ? -1 : x > y;
}

/* In ascending order, so that equal lists are equal records. */
static int port_routers_take(struct port *p, const vmac_mac_t *routers, unsigned int count,
			     struct error *ret_error)
{
	static const char *const protocols[] = { "VRRP", "HSRPv1", "HSRPv2" };
	char text[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; i < count; i++) {
		struct vmac_class class = vmac_classify(routers[i]);
		bool known = false;

		for (size_t j = 0; class.well_known && !class.group && j < ARRAY_LEN(protocols);
		     j++)
			known |= strcmp(class.well_known->protocol, protocols[j]) == 0;
		if (!known)
			return error_set(ret_error, ERROR_BAD_ADDRESS,
					 "as 00:00:5e:00:01:07, VRRP group 7 of IPv4; "
					 "'vmac classify' explains an address",
					 "routers: %s is no virtual router's address of VRRP, HSRP "
					 "or CARP",
					 vmac_mac_format(routers[i], VMAC_MAC_COLON, text));
		if (vmac_mac_u64(routers[i]) == vmac_mac_u64(p->address))
			return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
					 "routers: %s is the port's own vMAC",
					 vmac_mac_format(routers[i], VMAC_MAC_COLON, text));
		p->routers[i] = routers[i];
	}
	memset(p->routers + count, 0, (PORT_ROUTERS_MAX - count) * sizeof(p->routers[0]));
	p->router_count = count;
	qsort(p->routers, count, sizeof(p->routers[0]), by_mac);
	for (unsigned int i = 1; i < count; i++)
		if (vmac_mac_u64(p->routers[i]) == vmac_mac_u64(p->routers[i - 1]))
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "routers: %s is given twice",
					 vmac_mac_format(p->routers[i], VMAC_MAC_COLON, text));
	return 0;
}

static int port_fill(struct engine *e, const struct port_add *a, struct port *p,
		     struct error *ret_error)
{
	const char *ifname = or_default(a->ifname, a->name);
	int r;

	if (!e->cfg.host || !e->cfg.plane)
		return error_set(ret_error, ERROR_KERNEL_UNSUPPORTED,
				 "start vmacd without --no-plane",
				 "this vmacd runs without a data plane");
	r = name_check("name", a->name, ret_error);
	if (r == 0)
		r = port_shape_check(a, ifname, ret_error);
	if (r == 0)
		r = port_name_free(e, a, ifname, ret_error);
	if (r < 0)
		return r;
	p->id = trails_free_port_id(e);
	if (p->id == 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "this host has %u ports already", PORTS_MAX);
	p->kind = (uint8_t)a->kind;
	p->gate = a->closed ? GATE_CLOSED : GATE_OPEN;
	p->made = a->kind != PORT_NETDEV;
	p->owner_uid = a->owner_uid;
	p->owner_gid = a->owner_gid;
	p->queues = a->queues ? a->queues : 1;
	p->mtu = a->mtu;
	p->allow = a->allow;
	p->flood_pps = a->has_flood_pps ? a->flood_pps : PORT_FLOOD_PPS_DEFAULT;
	p->created = e->cfg.wall_now();
	snprintf(p->name, sizeof(p->name), "%s", a->name);
	snprintf(p->ifname, sizeof(p->ifname), "%s", ifname);
	if (a->kind == PORT_VETH) {
		snprintf(p->peer_netns, sizeof(p->peer_netns), "%s", a->peer_netns);
		snprintf(p->peer_ifname, sizeof(p->peer_ifname), "%s",
			 or_default(a->peer_ifname, "eth0"));
	}
	return carry_port_check(e, p, ret_error);
}

/* The vMAC that the port is to hold: a given one that nobody holds, or a new one.  NULL: it is at
 * another host, or on its way from there; then *ret_place says which. */
static int port_vmac(struct txn *t, const struct port_add *a, const struct vmac **ret,
		     struct fleet_place *ret_place, struct error *ret_error)
{
	struct engine *e = t->e;
	struct vmac_ref ref = { .segment = a->segment, .which = a->vmac };
	struct vmac_add allocate = a->allocate;
	char text[VMAC_MAC_TEXT_MAX];
	int r;

	if (!a->vmac[0]) {
		allocate.segment = or_default(a->segment, a->allocate.segment);
		allocate.name = or_default(a->allocate.name, a->name);
		return vmac_create(t, &allocate, ret, ret_error);
	}
	*ret = NULL;
	if (e->side && side_elsewhere(e->side, &ref, ret_place))
		return 0;
	r = engine_find_vmac(e, &ref, ret, ret_error);
	if (r == 0)
		r = cluster_check_no_face(e, *ret, ret_error);
	if (r < 0 || (*ret)->state == VMAC_RESERVED)
		return r;
	vmac_mac_format((*ret)->address, VMAC_MAC_COLON, text);
	if ((*ret)->port)
		return error_set(ret_error, ERROR_WRONG_STATE, "a station is embodied by one port",
				 "port '%s' holds %s already", e->world.ports[(*ret)->port]->name,
				 text);
	return error_set(ret_error, ERROR_WRONG_STATE, NULL, "%s is %s", text,
			 vmac_state_name((*ret)->state));
}

static int segment_has_room(struct engine *e, uint32_t segment, struct error *ret_error)
{
	const struct world_segment *s = world_segment(&e->world, segment);

	if (s->ports >= SEGMENT_PORTS_MAX)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "segment '%s' has %u ports on this host already", s->record->name,
				 SEGMENT_PORTS_MAX);
	return 0;
}

/* Durable; now the kernel.  When it refuses, the port goes again and the caller hears why. */
static int port_add_carry(struct txn *t, struct error *ret_error)
{
	struct caller c = { .who = t->who, .reason = "the kernel refused it" };
	struct engine *e = t->e;
	struct port_state *st = &e->ports[t->port];
	const struct port *p = e->world.ports[t->port];
	bool created =
		t->base.count > 0 && t->changes[0].kind == CHANGE_VMAC && !t->changes[0].before;

	carry_port(e, t->port);
	if (st->phase == PORT_ACTIVE)
		return 0;
	*ret_error = st->trouble;
	port_remove(e, &c, p, created ? VMAC_FORGOTTEN : VMAC_STAYS, "undo", NULL, NULL);
	return -error_errno(ret_error->code);
}

void engine_port_add(struct engine *e, const struct caller *c, const struct port_add *a,
		     answer_fn done, void *ctx)
{
	e->commands++;
	if (e->side)
		side_port_add(e, c, a, done, ctx);
	else
		port_add_now(e, c, a, false, done, ctx);
}

void port_add_now(struct engine *e, const struct caller *c, const struct port_add *a, bool rehearse,
		  answer_fn done, void *ctx)
{
	struct fleet_place place = { 0 };
	const struct vmac *v;
	struct port p = { 0 };
	struct error error;
	struct txn *t;
	int r;

	if (port_fill(e, a, &p, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	r = port_vmac(t, a, &v, &place, &error);
	if (r == 0 && v)
		place = (struct fleet_place){ v->segment, v->address };
	if (r < 0 || segment_has_room(e, place.segment, &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	p.segment = place.segment;
	p.address = place.address;
	if (port_routers_take(&p, a->routers, a->router_count, &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	/* The port first: the vMAC's history names it. */
	if (txn_put(t, CHANGE_PORT, NULL, &p, "create") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->answer.port = t->changes[t->base.count - 1].after;
	r = v ? vmac_hold(t, v, p.id, "bind", &v, &error)
	      : vmac_await(t, p.segment, p.address, p.id, &v, &error);
	if (r < 0) {
		txn_refuse(t, &error);
		return;
	}
	if (rehearse) {
		txn_rehearsed(t);
		return;
	}
	t->answer.vmac = v;
	t->port = p.id;
	t->carry = port_add_carry;
	e->ports[p.id] = (struct port_state){ .phase = PORT_WAITING };
	txn_submit(t);
}

/* --- change and delete: only when nothing of the port is pending ----------------------------- */

/* A command that waits until what was submitted before it is durable. */
struct deferred {
	struct engine *e;
	answer_fn done;
	void *ctx;
	bool release, at_once;
	struct port_set set;
	char name[NAME_MAX_LEN + 1], who[64], reason[NOTE_MAX_LEN + 1];
};

static struct deferred *defer(struct engine *e, const struct caller *c, const char *name,
			      answer_fn done, void *ctx)
{
	struct deferred *d = engine_alloc(e, sizeof(*d));
	struct error error;

	if (!d) {
		engine_no_memory(&error);
		engine_refuse(e, done, ctx, &error);
		return NULL;
	}
	*d = (struct deferred){ .e = e, .done = done, .ctx = ctx };
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->who, sizeof(d->who), "%s", c->who);
	snprintf(d->reason, sizeof(d->reason), "%s", c->reason);
	return d;
}

static int find_staying(struct engine *e, const char *name, const struct port **ret,
			struct error *ret_error)
{
	int r = engine_find_port(e, name, ret, ret_error);

	if (r == 0 && e->ports[(*ret)->id].leaving)
		r = error_set(ret_error, ERROR_WRONG_STATE, NULL, "port '%s' is being deleted",
			      name);
	return r;
}

static int port_set_carry(struct txn *t, struct error *ret_error)
{
	struct port_state *st = &t->e->ports[t->port];

	carry_port(t->e, t->port);
	if (st->phase != PORT_FAILED)
		return 0;
	*ret_error = st->trouble;
	error_prefix(ret_error, "the change is durable, but");
	return -error_errno(ret_error->code);
}

static void port_set_now(void *ctx)
{
	struct deferred *d = ctx;
	struct engine *e = d->e;
	struct caller c = { d->who, d->reason };
	const struct port *p;
	struct error error;
	struct port new;
	struct txn *t;

	if (find_staying(e, d->name, &p, &error) < 0) {
		engine_refuse(e, d->done, d->ctx, &error);
	} else if ((t = txn_begin(e, &c, d->done, d->ctx))) {
		new = *p;
		if (d->set.has_routers &&
		    port_routers_take(&new, d->set.routers, d->set.router_count, &error) < 0) {
			txn_refuse(t, &error);
			engine_dispose(e, d);
			return;
		}
		if (d->set.has_allow)
			new.allow = d->set.allow;
		if (d->set.has_flood_pps)
			new.flood_pps = d->set.flood_pps;
		if (d->set.has_gate)
			new.gate = (uint8_t)d->set.gate;
		if (txn_put(t, CHANGE_PORT, p, &new,
			    !d->set.has_gate	    ? "change"
			    : new.gate == GATE_OPEN ? "open"
						    : "close") < 0) {
			engine_no_memory(&error);
			txn_refuse(t, &error);
		} else {
			t->port = new.id;
			t->carry = port_set_carry;
			t->answer.port = t->changes[0].after;
			txn_submit(t);
		}
	}
	engine_dispose(e, d);
}

void engine_port_set(struct engine *e, const struct caller *c, const char *name,
		     const struct port_set *s, answer_fn done, void *ctx)
{
	struct deferred *d = defer(e, c, name, done, ctx);

	e->commands++;
	if (!d)
		return;
	d->set = *s;
	engine_when_durable(e, port_set_now, d);
}

static int port_gone(struct txn *t, struct error *ret_error)
{
	if (!t->e->world.ports[t->port])
		t->e->ports[t->port] = (struct port_state){ 0 };
	return 0;
}

/* The record is back: so must the link be. */
static void port_back(struct txn *t)
{
	t->e->ports[t->port] = (struct port_state){ .phase = PORT_WAITING };
	t->e->retry = t->e->cfg.mono_now();
}

static int vmac_settle(struct txn *t, const struct vmac *v, enum vmac_fate fate, const char *verb,
		       struct error *ret_error)
{
	/* Not ours to release, nor to give to another port. */
	if (v->state == VMAC_MOVING || v->state == VMAC_AWAY)
		return side_port_leaves(t, v, ret_error);
	switch (fate) {
	case VMAC_STAYS:
		return vmac_hold(t, v, 0, "unbind", &v, ret_error);
	case VMAC_RETIRES:
		return vmac_retire(t, v, verb, ret_error);
	case VMAC_FORGOTTEN:
		return vmac_forget(t, v, verb, ret_error);
	}
	return error_set(ret_error, ERROR_INTERNAL, NULL, "a fate that is none");
}

void port_remove(struct engine *e, const struct caller *c, const struct port *p,
		 enum vmac_fate fate, const char *verb, answer_fn done, void *ctx)
{
	const struct vmac *v = world_vmac(&e->world, p->segment, p->address);
	struct txn *t = txn_begin(e, c, done, ctx);
	uint32_t id = p->id;
	struct error error;
	int r;

	if (!t)
		return;
	r = vmac_settle(t, v, fate, verb, &error);
	if (r == 0 && txn_change(t, CHANGE_PORT, p, NULL, verb) < 0)
		r = engine_no_memory(&error);
	if (r < 0) {
		txn_refuse(t, &error);
		return;
	}
	/* The link goes before the record does: whatever kills us in between, no link is ever left
	 * that no record speaks of; a record without its link is made whole at the next start. */
	e->ports[id].leaving = true;
	carry_port_away(e, p);
	t->port = id;
	t->carry = port_gone;
	t->recover = port_back;
	txn_submit(t);
}

static void port_delete_now(void *ctx)
{
	struct deferred *d = ctx;
	struct engine *e = d->e;
	struct caller c = { d->who, d->reason };
	const struct port *p;
	struct error error;

	if (find_staying(e, d->name, &p, &error) < 0 ||
	    (d->release &&
	     cluster_check_loose(e, world_vmac(&e->world, p->segment, p->address), &error) < 0))
		engine_refuse(e, d->done, d->ctx, &error);
	else if (!d->at_once && side_port_awaited(e, p))
		side_port_delete(e, &c, p->name, d->release, d->done, d->ctx);
	else
		port_remove(e, &c, p, d->release ? VMAC_RETIRES : VMAC_STAYS, "delete", d->done,
			    d->ctx);
	engine_dispose(e, d);
}

void port_delete_at_once(struct engine *e, const struct caller *c, const char *name, bool release,
			 answer_fn done, void *ctx)
{
	struct deferred *d = defer(e, c, name, done, ctx);

	if (!d)
		return;
	d->release = release;
	d->at_once = true;
	engine_when_durable(e, port_delete_now, d);
}

void engine_port_delete(struct engine *e, const struct caller *c, const char *name, bool release,
			answer_fn done, void *ctx)
{
	struct deferred *d = defer(e, c, name, done, ctx);

	e->commands++;
	if (!d)
		return;
	d->release = release;
	engine_when_durable(e, port_delete_now, d);
}
