/* Commands on routers.
 *
 * A router's record is replaced as a whole, and what becomes durable goes to the elections, which
 * find out themselves what has changed in it.  So the only state that is kept here is the record.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/inside.h"
#include "model/record.h"

/* --- what two routers cannot share ----------------------------------------------------------- */

int router_clash(struct engine *e, const struct router *r, struct error *ret_error)
{
	struct claim claim;
	const struct router *other = claims_find(&e->world.claims, r, &claim);
	char text[IP_TEXT_MAX];

	if (!other)
		return 0;
	switch (claim.kind) {
	case CLAIM_GROUP:
		return error_set(ret_error, ERROR_IN_USE, "choose another group number",
				 "router '%s' has group %u on %s already", other->name,
				 claim.set->group, claim.set->ifname);
	case CLAIM_MAC:
		return error_set(ret_error, ERROR_IN_USE, "give one of them a MAC of its own",
				 "router '%s' has the same virtual MAC on %s already", other->name,
				 claim.set->ifname);
	case CLAIM_DEVICE:
		return error_set(ret_error, ERROR_IN_USE, "choose another device name",
				 "router '%s' has the device %s already", other->name,
				 claim.set->device);
	case CLAIM_ADDRESS:
		break;
	}
	return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
			 "router '%s' has the address %s already", other->name,
			 ip_format(claim.ip, text));
}

/* A registered station may not have the vMAC on the same NIC: the data plane would serve two. */
static int station_clash(struct engine *e, const struct router *r, struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; i < r->set_count; i++) {
		vmac_mac_t mac = router_set_mac(r, &r->sets[i]);

		table_for_each (&e->world.segments_by_name, struct world_segment, s) {
			const struct vmac *v = world_vmac(&e->world, s->record->id, mac);

			if (v && v->state != VMAC_QUARANTINED && s->record->vlan == 0 &&
			    strcmp(s->record->uplink, r->sets[i].ifname) == 0)
				return error_set(
					ret_error, ERROR_ADDRESS_IN_USE,
					"release it there, or give the set a MAC of its own",
					"segment '%s' on %s has the virtual MAC %s already",
					s->record->name, r->sets[i].ifname,
					vmac_mac_format(mac, VMAC_MAC_COLON, text));
		}
	}
	return 0;
}

/* Programs run as root, so who may not become root by other means may not name one.  One that is
 * named already may stay as it is. */
static bool names_programs(const struct router *r, const struct router *before)
{
	if (r->notify[0] && !(before && strcmp(before->notify, r->notify) == 0))
		return true;
	for (unsigned int i = 0; i < r->track_count; i++) {
		bool known = false;

		if (r->tracks[i].kind != ROUTER_TRACK_SCRIPT)
			continue;
		for (unsigned int j = 0; before && j < before->track_count; j++)
			known |= before->tracks[j].kind == ROUTER_TRACK_SCRIPT &&
				 strcmp(before->tracks[j].target, r->tracks[i].target) == 0;
		if (!known)
			return true;
	}
	return false;
}

static int check(struct engine *e, const struct caller *c, const struct router *r,
		 const struct router *before, struct error *ret_error)
{
	const struct router *other;
	int rc = router_check(r, ret_error);

	if (rc < 0)
		return rc;
	if (!c->root && names_programs(r, before))
		return error_set(ret_error, ERROR_FORBIDDEN,
				 "ask as root, or write it into the configuration file",
				 "notify and script name programs that run as root");
	other = world_router_named(&e->world, r->name);
	if (other && other != before)
		return error_set(ret_error, ERROR_NAME_IN_USE, NULL,
				 "there is a router '%s' already", r->name);
	return 0;
}

static int clash(struct engine *e, const struct router *r, struct error *ret_error)
{
	int rc = router_clash(e, r, ret_error);

	return rc < 0 ? rc : station_clash(e, r, ret_error);
}

/* --- durable truth -> elections -------------------------------------------------------------- */

static int router_carry(struct txn *t, struct error *ret_error)
{
	struct engine *e = t->e;

	if (!e->electing)
		return 0;
	/* Those that go first: what they had may be another's now. */
	for (size_t i = 0; i < t->base.count; i++)
		if (!t->changes[i].after)
			elect_remove(e->cfg.elect,
				     ((const struct router *)t->changes[i].before)->id);
	for (size_t i = 0; i < t->base.count; i++)
		if (t->changes[i].after)
			elect_set(e->cfg.elect, t->changes[i].after);
	return 0;
}

/* Adds to the txn what makes `before` (NULL: none) be as *r says; nothing, where it already is.
 * Clashes with others are the caller's to look for. */
static int router_put(struct txn *t, const struct caller *c, const struct router *before,
		      const struct router *r, bool from_file, struct error *ret_error)
{
	struct engine *e = t->e;
	struct router new = *r;
	int rc;

	new.from_file = from_file;
	new.id = before ? before->id : world_free_router_id(&e->world);
	new.changed = e->cfg.wall_now();
	new.created = before ? before->created : new.changed;
	if (new.id == 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "there are %d routers already", ROUTERS_MAX);
	rc = check(e, c, &new, before, ret_error);
	if (rc < 0)
		return rc;
	if (before && router_equal(before, &new))
		return 0;
	if (txn_put(t, CHANGE_ROUTER, before, &new, before ? "change" : "create") < 0)
		return engine_no_memory(ret_error);
	return 0;
}

/* --- commands -------------------------------------------------------------------------------- */

void engine_router_add(struct engine *e, const struct caller *c, const struct router *r,
		       answer_fn done, void *ctx)
{
	struct error error;
	struct txn *t;

	e->commands++;
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (router_put(t, c, NULL, r, false, &error) < 0 ||
	    clash(e, t->changes[0].after, &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	t->carry = router_carry;
	t->answer.router = t->changes[0].after;
	txn_submit(t);
}

static int find_own(struct engine *e, const char *name, const struct router **ret,
		    struct error *ret_error)
{
	int rc = engine_find_router(e, name, ret, ret_error);

	if (rc == 0 && (*ret)->from_file)
		rc = error_set(ret_error, ERROR_WRONG_STATE,
			       "change it there, then: systemctl reload vmacd",
			       "router '%s' is the configuration file's", name);
	return rc;
}

void engine_router_set(struct engine *e, const struct caller *c, const char *name,
		       const struct router *r, answer_fn done, void *ctx)
{
	const struct router *before;
	struct answer answer = { 0 };
	struct error error;
	struct txn *t;

	e->commands++;
	if (find_own(e, name, &before, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (router_put(t, c, before, r, false, &error) < 0 ||
	    (t->base.count > 0 && clash(e, t->changes[0].after, &error) < 0)) {
		txn_refuse(t, &error);
		return;
	}
	if (t->base.count == 0) {
		txn_drop(t);
		answer.router = before;
		if (done)
			done(ctx, &answer);
		return;
	}
	t->carry = router_carry;
	t->answer.router = t->changes[0].after;
	txn_submit(t);
}

void engine_router_delete(struct engine *e, const struct caller *c, const char *name,
			  answer_fn done, void *ctx)
{
	const struct router *before;
	struct error error;
	struct txn *t;

	e->commands++;
	if (find_own(e, name, &before, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (txn_change(t, CHANGE_ROUTER, before, NULL, "delete") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->carry = router_carry;
	txn_submit(t);
}

/* --- the configuration file's ---------------------------------------------------------------- */

static bool listed(const struct router *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i]->name, name) == 0)
			return true;
	return false;
}

/* The file's router that *r takes the place of: the one of its name, or one that the file does not
 * name any more but whose group it has, and which therefore was given another name. */
static const struct router *predecessor(struct engine *e, const struct router *const *list,
					size_t count, const struct router *r)
{
	const struct router *before = world_router_named(&e->world, r->name);
	const struct router_set *a = &r->sets[0];

	for (uint32_t id = 1; !before && id <= ROUTERS_MAX; id++) {
		const struct router *other = e->world.routers[id];
		const struct router_set *b = other ? &other->sets[0] : NULL;

		if (other && other->from_file && other->protocol == r->protocol &&
		    a->group == b->group && a->family == b->family &&
		    strcmp(a->ifname, b->ifname) == 0 && !listed(list, count, other->name))
			before = other;
	}
	return before;
}

/* Those that have a predecessor, or those that have none. */
static int put_listed(struct txn *t, const struct caller *c, const struct router *const *list,
		      size_t count, bool changes, struct error *ret_error)
{
	for (size_t i = 0; i < count; i++) {
		const struct router *before = predecessor(t->e, list, count, list[i]);

		if ((before != NULL) != changes)
			continue;
		if (router_put(t, c, before, list[i], true, ret_error) < 0) {
			error_prefix(ret_error, "router '%s'", list[i]->name);
			return -error_errno(ret_error->code);
		}
	}
	return 0;
}

/* First what changes, then what goes, then what comes, so that there is room for it.  Clashes are
 * looked for when all is in place: two routers may swap their groups. */
static int apply_list(struct txn *t, const struct caller *c, const struct router *const *list,
		      size_t count, struct error *ret_error)
{
	struct engine *e = t->e;

	if (put_listed(t, c, list, count, true, ret_error) < 0)
		return -error_errno(ret_error->code);
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++) {
		const struct router *r = e->world.routers[id];

		if (r && r->from_file && !listed(list, count, r->name) &&
		    txn_change(t, CHANGE_ROUTER, r, NULL, "delete") < 0)
			return engine_no_memory(ret_error);
	}
	if (put_listed(t, c, list, count, false, ret_error) < 0)
		return -error_errno(ret_error->code);
	for (size_t i = 0; i < t->base.count; i++) {
		const struct router *after = t->changes[i].after;
		int rc = after ? clash(e, after, ret_error) : 0;

		if (rc < 0) {
			error_prefix(ret_error, "router '%s'", after->name);
			return rc;
		}
	}
	return 0;
}

void engine_routers_apply(struct engine *e, const struct caller *c,
			  const struct router *const *list, size_t count, answer_fn done, void *ctx)
{
	struct answer answer = { 0 };
	struct error error;
	struct txn *t;

	e->commands++;
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (apply_list(t, c, list, count, &error) < 0) {
		txn_refuse(t, &error);
		return;
	}
	if (t->base.count == 0) {
		txn_drop(t);
		if (done)
			done(ctx, &answer);
		return;
	}
	t->carry = router_carry;
	txn_submit(t);
}

void engine_elect_start(struct engine *e)
{
	if (!e->cfg.elect || e->electing)
		return;
	e->electing = true;
	for (uint32_t id = 1; id <= ROUTERS_MAX; id++)
		if (e->world.routers[id])
			elect_set(e->cfg.elect, e->world.routers[id]);
	elect_ready(e->cfg.elect);
}

/* --- reports --------------------------------------------------------------------------------- */

static void election_event(void *ctx, const struct elect_event *event)
{
	struct engine *e = ctx;
	const char *separator = event->detail[0] ? ": " : "";

	if (event->transition)
		log_info("router %s: %s -> %s (%s%s%s), priority %u", event->name, event->from,
			 event->to, event->reason, separator, event->detail, event->priority);
	else
		log_info("router %s: %s (%s%s%s)", event->name, event->to, event->reason, separator,
			 event->detail);
	event_election(e, event);
}

void engine_elect_ready(struct engine *e)
{
	elect_dispatch(e->cfg.elect, election_event, e);
}
