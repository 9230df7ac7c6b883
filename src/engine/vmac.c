/* Commands on virtual MACs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vmac/classify.h>

#include "engine/cluster.h"
#include "engine/side.h"
#include "model/record.h"

#define TTL_MS_MIN	    1000
#define TTL_MS_MAX	    (INT64_C(10) * 365 * 24 * 3600 * 1000)
#define IDENTITY_MAX	    255
#define LOOSE_QUARANTINE_MS (INT64_C(4) * 3600 * 1000) /* of addresses outside all pools */

/* --- checks ---------------------------------------------------------------------------------- */

static int ttl_check(int64_t ttl_ms, struct error *ret_error)
{
	if (ttl_ms != 0 && (ttl_ms < TTL_MS_MIN || ttl_ms > TTL_MS_MAX))
		return error_set(ret_error, ERROR_BAD_VALUE, "1s to 3650d, such as 30m or 12h",
				 "ttl: out of bounds");
	return 0;
}

static bool ip_is_zero(const struct ip *ip)
{
	static const uint8_t zero[sizeof(ip->octet)];

	return memcmp(ip->octet, zero, sizeof(zero)) == 0;
}

static int ips_check(const struct ip *ips, unsigned int count, struct error *ret_error)
{
	char text[IP_TEXT_MAX];

	for (unsigned int i = 0; i < count; i++) {
		bool group = ips[i].family == 4 ? ips[i].octet[0] >= 224 : ips[i].octet[0] == 0xff;

		if (group || ip_is_zero(&ips[i]))
			return error_set(ret_error, ERROR_BAD_VALUE, "bind unicast addresses only",
					 "ips: %s cannot be an owner's address",
					 ip_format(&ips[i], text));
		for (unsigned int j = 0; j < i; j++)
			if (ip_equal(&ips[i], &ips[j]))
				return error_set(ret_error, ERROR_BAD_VALUE, "name it once",
						 "ips: %s is there twice",
						 ip_format(&ips[i], text));
	}
	return 0;
}

static int texts_check(const char *name, const char *owner, const char *tenant, const char *note,
		       struct error *ret_error)
{
	int r = 0;

	if (name && name[0])
		r = name_check("name", name, ret_error);
	if (r == 0 && owner)
		r = text_check("owner", owner, OWNER_MAX_LEN, ret_error);
	if (r == 0 && tenant)
		r = text_check("tenant", tenant, OWNER_MAX_LEN, ret_error);
	if (r == 0 && note)
		r = text_check("note", note, NOTE_MAX_LEN, ret_error);
	return r;
}

static int name_free(struct engine *e, const struct world_segment *s, const char *name,
		     struct error *ret_error)
{
	const struct vmac *v = name[0] ? world_vmac_named(&e->world, s->record->id, name) : NULL;
	char text[VMAC_MAC_TEXT_MAX];

	if (!v)
		return 0;
	return error_set(ret_error, ERROR_NAME_IN_USE, "`vmac mac show NAME` shows it",
			 "in segment '%s', %s is named '%s' already", s->record->name,
			 vmac_mac_format(v->address, VMAC_MAC_COLON, text), name);
}

/* What nobody may own, and what only an adoption may take over. */
static int address_check(struct engine *e, vmac_mac_t address, bool adopted,
			 struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX], hint[ERROR_TEXT_MAX];
	struct vmac_class class = vmac_classify(address);

	vmac_mac_format(address, VMAC_MAC_COLON, text);
	if (vmac_mac_is_zero(address))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "the zero address belongs to nobody");
	if (class.group)
		return error_set(ret_error, ERROR_GROUP_ADDRESS,
				 "a group (multicast) address cannot be the address of one NIC",
				 "%s is a group address", text);
	if (class.well_known && !(adopted && class.well_known->use == VMAC_USE_PRODUCT)) {
		snprintf(hint, sizeof(hint), "%s%s", class.well_known->meaning,
			 class.well_known->use == VMAC_USE_PRODUCT
				 ? "; to keep one that is in use already, adopt it"
				 : "");
		return error_set(ret_error, ERROR_RESERVED_ADDRESS, hint, "%s belongs to %s", text,
				 class.well_known->protocol);
	}
	if (uplink_has_address(e, address))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "%s is the address of this host's own NIC", text);
	return 0;
}

/* --- choose an address ----------------------------------------------------------------------- */

int vmac_place(struct engine *e, const struct vmac_add *a, struct world_segment **ret_s,
	       struct world_pool **ret_p, struct error *ret_error)
{
	struct world_pool *p = NULL;
	struct world_segment *s;
	unsigned int count = 0;
	int r;

	if (a->pool[0]) {
		r = engine_find_pool(e, a->pool, &p, ret_error);
		if (r < 0)
			return r;
		s = world_segment(&e->world, p->record->segment);
		if (a->segment[0] && strcmp(a->segment, s->record->name) != 0)
			return error_set(ret_error, ERROR_BAD_VALUE, "leave one of them out",
					 "pool '%s' belongs to segment '%s', not '%s'", a->pool,
					 s->record->name, a->segment);
		*ret_s = s;
		*ret_p = p;
		return 0;
	}
	r = engine_find_segment(e, a->segment, &s, ret_error);
	if (r < 0)
		return r;
	*ret_s = s;
	*ret_p = NULL;
	if (a->has_address)
		return 0;
	table_for_each (&e->world.pools_by_name, struct world_pool, candidate) {
		if (candidate->record->segment == s->record->id) {
			p = candidate;
			count++;
		}
	}
	if (count == 0)
		return error_set(ret_error, ERROR_NOT_FOUND,
				 "make one: vmac pool add NAME --segment SEGMENT",
				 "segment '%s' has no pool yet", s->record->name);
	if (count > 1)
		return error_set(ret_error, ERROR_MISSING_FIELD, "say which one with --pool NAME",
				 "pool: segment '%s' has %u of them", s->record->name, count);
	*ret_p = p;
	return 0;
}

static int address_in_use(struct engine *e, const struct vmac *v, struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX], until[WALL_TEXT_MAX], hint[ERROR_TEXT_MAX];

	vmac_mac_format(v->address, VMAC_MAC_COLON, text);
	if (v->state == VMAC_QUARANTINED) {
		snprintf(hint, sizeof(hint), "its last owner%s%.80s%s can have it back at once",
			 v->owner[0] ? " (" : "", v->owner, v->owner[0] ? ")" : "");
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, v->owner[0] ? hint : NULL,
				 "%s is in quarantine until %s", text,
				 wall_format(v->until, until));
	}
	return error_set(ret_error, ERROR_ADDRESS_IN_USE, "`vmac mac show` tells whose it is",
			 "%s is in use in this segment already%s%s", text,
			 v->name[0] ? ", as " : "", v->name);
}

/* An owner who comes back for an address that is still in quarantine is not a reuse by somebody
 * else. */
static bool may_return(const struct vmac *v, const struct vmac_add *a)
{
	return v->state == VMAC_QUARANTINED && v->owner[0] && strcmp(v->owner, a->owner) == 0;
}

static int take_given(struct txn *t, const struct vmac_add *a, struct world_segment *s,
		      struct world_pool **p, const struct vmac **ret_old, struct error *ret_error)
{
	struct engine *e = t->e;
	const struct vmac *old = world_vmac(&e->world, s->record->id, a->address);
	int r;

	r = address_check(e, a->address, a->adopted, ret_error);
	if (r < 0)
		return r;
	if (old && !may_return(old, a))
		return address_in_use(e, old, ret_error);
	*ret_old = old;
	if (*p && !pool_machine_has(&(*p)->machine, a->address))
		return error_set(ret_error, ERROR_BAD_ADDRESS,
				 "leave --pool out to pin an address of no pool",
				 "the address is not in pool '%s'", (*p)->record->name);
	if (!*p)
		*p = world_pool_over(&e->world, s->record->id, a->address);
	if (!*p || old)
		return 0;
	r = pool_machine_take_agreed(&(*p)->machine, a->address, e->cfg.wall_now(), ret_error);
	/* What is in use already may lie where the pool never gives from. */
	return r < 0 && a->adopted && ret_error->code == ERROR_RESERVED_ADDRESS ? 0 : r;
}

static int take_one(struct engine *e, struct world_pool *p, const char *identity, vmac_mac_t *ret,
		    struct error *ret_error)
{
	wall_t now = e->cfg.wall_now();

	if (identity[0])
		return pool_machine_take_stable(&p->machine, identity, now, ret, ret_error);
	return pool_machine_take(&p->machine, now, ret, ret_error);
}

/* A NIC of this host may by chance have an address out of the pool (a veth's is random), and
 * another host one out of a block of ours (a user pinned it before the block was claimed): step
 * over these. */
#define STEPS_MAX (UPLINKS_MAX + BLOCK_SIZE_MAX)

static int take_any(struct engine *e, struct world_pool *p, const char *identity, vmac_mac_t *ret,
		    struct error *ret_error)
{
	vmac_mac_t other[STEPS_MAX];
	unsigned int count = 0;
	int r;

	while ((r = take_one(e, p, identity, ret, ret_error)) == 0 && count < STEPS_MAX &&
	       (uplink_has_address(e, *ret) ||
		(e->side && side_has_record(e->side, p->record->segment, *ret))))
		other[count++] = *ret;
	while (count > 0)
		pool_machine_untake(&p->machine, other[--count], p->machine.cfg.cursor);
	return r;
}

int vmac_create(struct txn *t, const struct vmac_add *a, const struct vmac **ret,
		struct error *ret_error)
{
	struct engine *e = t->e;
	const struct vmac *old = NULL;
	struct world_segment *s = NULL;
	struct world_pool *p = NULL;
	struct vmac v;
	int r;

	r = vmac_place(e, a, &s, &p, ret_error);
	if (r < 0)
		return r;
	r = texts_check(a->name, a->owner, a->tenant, a->note, ret_error);
	if (r == 0 && a->identity[0])
		r = text_check("stable", a->identity, IDENTITY_MAX, ret_error);
	if (r == 0)
		r = ttl_check(a->ttl_ms, ret_error);
	if (r == 0)
		r = ips_check(a->ips, a->ip_count, ret_error);
	if (r == 0)
		r = cluster_addresses_free(e, s->record->id, a->ips, a->ip_count, ret_error);
	if (r == 0)
		r = name_free(e, s, a->name, ret_error);
	if (r < 0)
		return r;
	v = (struct vmac){
		.segment = s->record->id,
		.kind = VMAC_STATION,
		.state = VMAC_RESERVED,
		.origin = a->adopted			      ? VMAC_ADOPTED
			  : a->has_address && !a->identity[0] ? VMAC_PINNED
							      : VMAC_ALLOCATED,
		.name = a->name,
		.owner = a->owner,
		.tenant = a->tenant,
		.note = a->note,
		.ips = a->ips,
		.ip_count = (uint8_t)a->ip_count,
		.ttl_ms = a->ttl_ms,
		.created = e->cfg.wall_now(),
		.address = a->address,
	};
	v.changed = v.created;
	v.until = a->ttl_ms ? wall_after_ms(v.created, a->ttl_ms) : WALL_NEVER;
	r = a->has_address ? take_given(t, a, s, &p, &old, ret_error)
			   : take_any(e, p, a->identity, &v.address, ret_error);
	if (r < 0)
		return r;
	v.pool = p ? p->record->id : 0;
	v.epoch = (old ? old->epoch : s->record->epoch_floor) + 1;
	if (a->epoch > v.epoch)
		v.epoch = a->epoch;
	if (txn_put(t, CHANGE_VMAC, old, &v,
		    old			      ? "restore"
		    : a->adopted	      ? "adopt"
		    : v.origin == VMAC_PINNED ? "pin"
					      : "allocate") < 0) {
		if (p && !old)
			pool_machine_untake(&p->machine, v.address, p->machine.cfg.cursor);
		return engine_no_memory(ret_error);
	}
	*ret = t->changes[t->base.count - 1].after;
	return p ? pool_mark_cursor(t, p, ret_error) : 0;
}

/* --- steps that other commands share --------------------------------------------------------- */

int vmac_hold(struct txn *t, const struct vmac *v, uint32_t port, const char *verb,
	      const struct vmac **ret, struct error *ret_error)
{
	struct vmac new = *v;

	new.port = port;
	new.state = port ? VMAC_BOUND : VMAC_RESERVED;
	new.epoch = v->epoch + 1;
	new.changed = t->e->cfg.wall_now();
	if (txn_put(t, CHANGE_VMAC, v, &new, verb) < 0)
		return engine_no_memory(ret_error);
	*ret = t->changes[t->base.count - 1].after;
	return 0;
}

int vmac_await(struct txn *t, uint32_t segment, vmac_mac_t address, uint32_t port,
	       const struct vmac **ret, struct error *ret_error)
{
	const struct vmac *old = world_vmac(&t->e->world, segment, address);
	struct world_pool *p = world_pool_over(&t->e->world, segment, address);
	struct vmac new = {
		.address = address,
		.segment = segment,
		.pool = p ? p->record->id : 0,
		.kind = VMAC_STATION,
		.origin = VMAC_ALLOCATED,
		.created = t->e->cfg.wall_now(),
		.until = WALL_NEVER,
		.name = "",
		.owner = "",
		.tenant = "",
		.note = "",
	};

	if (old)
		new = *old;
	else
		side_describe(t->e->side, &new);
	new.state = VMAC_MOVING;
	new.port = port;
	new.changed = t->e->cfg.wall_now();
	if (txn_put(t, CHANGE_VMAC, old, &new, "await") < 0)
		return engine_no_memory(ret_error);
	*ret = t->changes[t->base.count - 1].after;
	return 0;
}

int vmac_forget(struct txn *t, const struct vmac *v, const char *verb, struct error *ret_error)
{
	struct world_segment *s = world_segment(&t->e->world, v->segment);
	struct segment raised = *s->record;

	raised.epoch_floor = v->epoch;
	if ((v->epoch > s->record->epoch_floor &&
	     txn_put(t, CHANGE_SEGMENT, s->record, &raised, "") < 0) ||
	    txn_change(t, CHANGE_VMAC, v, NULL, verb) < 0)
		return engine_no_memory(ret_error);
	return 0;
}

int vmac_retire(struct txn *t, const struct vmac *v, const char *verb, struct error *ret_error)
{
	struct world_pool *p = world_pool(&t->e->world, v->pool);
	int64_t quarantine_ms = p ? p->record->quarantine_ms : LOOSE_QUARANTINE_MS;
	struct vmac new = *v;

	if (quarantine_ms == 0)
		return vmac_forget(t, v, verb, ret_error);
	new.state = VMAC_QUARANTINED;
	new.port = 0;
	new.changed = t->e->cfg.wall_now();
	new.until = wall_after_ms(new.changed, quarantine_ms);
	if (txn_put(t, CHANGE_VMAC, v, &new, verb) < 0)
		return engine_no_memory(ret_error);
	return 0;
}

/* --- commands -------------------------------------------------------------------------------- */

void engine_vmac_add(struct engine *e, const struct caller *c, const struct vmac_add *a,
		     answer_fn done, void *ctx)
{
	e->commands++;
	if (e->side)
		side_vmac_add(e, c, a, done, ctx);
	else
		vmac_add_now(e, c, a, false, done, ctx);
}

void vmac_add_now(struct engine *e, const struct caller *c, const struct vmac_add *a, bool rehearse,
		  answer_fn done, void *ctx)
{
	const struct vmac *v;
	struct error error;
	struct txn *t;

	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (vmac_create(t, a, &v, &error) < 0) {
		txn_refuse(t, &error);
	} else if (rehearse) {
		txn_rehearsed(t);
	} else {
		t->answer.vmac = v;
		txn_submit(t);
	}
}

/* What the data plane checks has changed: tell it. */
static int vmac_carry(struct txn *t, struct error *ret_error)
{
	if (t->port && t->e->world.ports[t->port])
		carry_port(t->e, t->port);
	/* A cluster that rewrites addresses has its members' own. */
	cluster_vmac_changed(t->e, t->changes[0].after);
	return 0;
}

/* What this host does not hold is not its to change. */
static int check_held(struct engine *e, const struct vmac *v, struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX], holder[NAME_MAX_LEN + 1] = "another host";

	if (v->state != VMAC_MOVING && v->state != VMAC_AWAY)
		return 0;
	if (e->side)
		side_holder(e->side, v, holder);
	return error_set(ret_error, ERROR_WRONG_STATE, "`vmac mac moves` shows how it stands",
			 "%s is %s: %s holds it", vmac_mac_format(v->address, VMAC_MAC_COLON, text),
			 vmac_state_name(v->state), holder);
}

/* Finds a vMAC that is somebody's, for a command on it. */
static int find_live(struct engine *e, const struct vmac_ref *ref, const struct vmac **ret,
		     struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX], until[WALL_TEXT_MAX];
	int r;

	e->commands++;
	r = engine_find_vmac(e, ref, ret, ret_error);
	if (r == 0 && (*ret)->state == VMAC_QUARANTINED)
		r = error_set(ret_error, ERROR_WRONG_STATE, NULL, "%s is in quarantine until %s",
			      vmac_mac_format((*ret)->address, VMAC_MAC_COLON, text),
			      wall_format((*ret)->until, until));
	return r == 0 ? check_held(e, *ret, ret_error) : r;
}

static void vmac_replace(struct engine *e, const struct caller *c, const struct vmac *v,
			 const struct vmac *new, const char *verb, answer_fn done, void *ctx)
{
	struct txn *t = txn_begin(e, c, done, ctx);
	struct error error;

	if (!t)
		return;
	if (txn_put(t, CHANGE_VMAC, v, new, verb) < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->port = new->port;
	t->carry = vmac_carry;
	t->answer.vmac = t->changes[0].after;
	txn_submit(t);
}

void engine_vmac_set(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
		     const struct vmac_set *s, answer_fn done, void *ctx)
{
	const struct vmac *v;
	struct error error;
	struct vmac new;

	if (find_live(e, ref, &v, &error) < 0 ||
	    texts_check(s->name, s->owner, s->tenant, s->note, &error) < 0 ||
	    cluster_check_no_face(e, v, &error) < 0 ||
	    (s->has_ips && ips_check(s->ips, s->ip_count, &error) < 0) ||
	    (s->has_ips &&
	     cluster_addresses_free(e, v->segment, s->ips, s->ip_count, &error) < 0) ||
	    (s->has_ttl && ttl_check(s->ttl_ms, &error) < 0) ||
	    (s->name && strcmp(s->name, v->name) != 0 &&
	     name_free(e, world_segment(&e->world, v->segment), s->name, &error) < 0)) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	new = *v;
	new.changed = e->cfg.wall_now();
	new.name = s->name ? s->name : v->name;
	new.owner = s->owner ? s->owner : v->owner;
	new.tenant = s->tenant ? s->tenant : v->tenant;
	new.note = s->note ? s->note : v->note;
	if (s->has_ips) {
		new.ips = s->ips;
		new.ip_count = (uint8_t)s->ip_count;
	}
	if (s->has_ttl) {
		new.ttl_ms = s->ttl_ms;
		new.until = s->ttl_ms ? wall_after_ms(new.changed, s->ttl_ms) : WALL_NEVER;
	}
	vmac_replace(e, c, v, &new, "change", done, ctx);
}

void engine_vmac_renew(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
		       answer_fn done, void *ctx)
{
	const struct vmac *v;
	struct error error;
	struct vmac new;

	if (find_live(e, ref, &v, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (v->ttl_ms == 0) {
		error_set(&error, ERROR_WRONG_STATE, "give it one: vmac mac set … --ttl 1h",
			  "this virtual MAC has no lifetime to renew");
		engine_refuse(e, done, ctx, &error);
		return;
	}
	new = *v;
	new.changed = e->cfg.wall_now();
	new.until = wall_after_ms(new.changed, v->ttl_ms);
	vmac_replace(e, c, v, &new, "renew", done, ctx);
}

void engine_vmac_release(struct engine *e, const struct caller *c, const struct vmac_ref *ref,
			 answer_fn done, void *ctx)
{
	const struct vmac *v;
	struct error error;
	struct txn *t;

	if (find_live(e, ref, &v, &error) < 0 || cluster_check_loose(e, v, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (v->state != VMAC_RESERVED) {
		error_set(&error, ERROR_WRONG_STATE, "delete the port first: vmac port delete NAME",
			  "port '%s' holds this virtual MAC", e->world.ports[v->port]->name);
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (vmac_retire(t, v, "release", &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	/* With no quarantine there is no record any more, and the answer is empty. */
	t->answer.vmac = t->changes[t->base.count - 1].after;
	txn_submit(t);
}
