/* Commands on segments. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/side.h"
#include "model/record.h"

static int vlan_clash(struct engine *e, const struct segment_add *a, struct error *ret_error)
{
	table_for_each (&e->world.segments_by_name, struct world_segment, s)
		if (a->uplink[0] && strcmp(s->record->uplink, a->uplink) == 0 &&
		    s->record->vlan == a->vlan)
			return error_set(ret_error, ERROR_IN_USE,
					 "use that segment, or another VLAN (--vlan N)",
					 "segment '%s' is already on %s with VLAN %u",
					 s->record->name, a->uplink, a->vlan);
	return 0;
}

/* The data plane's number of an internal segment: the smallest that no other has. */
static int internal_net(struct engine *e, uint16_t *ret, struct error *ret_error)
{
	for (uint16_t n = 0; n < 4096; n++) {
		bool taken = false;

		table_for_each (&e->world.segments_by_name, struct world_segment, s)
			taken |= s->record->net == n;
		if (!taken) {
			*ret = n;
			return 0;
		}
	}
	return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
			 "there are 4,096 internal segments already");
}

static int segment_fill(struct engine *e, const struct segment_add *a, struct segment *s,
			struct error *ret_error)
{
	unsigned int slot;
	int r;

	r = name_check("name", a->name, ret_error);
	if (r == 0 && a->uplink[0])
		r = ifname_check("uplink", a->uplink, ret_error);
	if (r < 0)
		return r;
	if (a->vlan > 4094)
		return error_set(ret_error, ERROR_BAD_VALUE, "1 to 4094, or 0 for untagged",
				 "vlan: %u is not a VLAN", a->vlan);
	if (!a->uplink[0] && a->vlan != 0)
		return error_set(ret_error, ERROR_BAD_VALUE, "give --uplink too, or leave it out",
				 "vlan: an internal segment has no uplink to carry a tag");
	if (world_segment_named(&e->world, a->name))
		return error_set(ret_error, ERROR_NAME_IN_USE, NULL,
				 "there is a segment '%s' already", a->name);
	r = vlan_clash(e, a, ret_error);
	if (r < 0)
		return r;
	s->id = world_free_segment_id(&e->world);
	if (s->id == 0)
		return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
				 "there are %u segments already", SEGMENTS_MAX);
	if (a->uplink[0]) {
		r = uplink_take(e, a->uplink, &slot, ret_error);
		s->net = (uint16_t)(slot << 12 | a->vlan);
	} else {
		r = internal_net(e, &s->net, ret_error);
	}
	if (r < 0)
		return r;
	snprintf(s->name, sizeof(s->name), "%s", a->name);
	snprintf(s->uplink, sizeof(s->uplink), "%s", a->uplink);
	s->vlan = a->vlan;
	s->created = e->cfg.wall_now();
	return 0;
}

static int segment_carry(struct txn *t, struct error *ret_error)
{
	for (unsigned int slot = 1; slot <= UPLINKS_MAX; slot++)
		if (t->e->uplinks[slot].ifname[0] && !t->e->uplinks[slot].set)
			carry_uplink(t->e, slot);
	trails_tidy(t->e);
	uplinks_tidy(t->e);
	return 0;
}

static void segment_recover(struct txn *t)
{
	uplinks_tidy(t->e);
}

static int segment_prepare(struct engine *e, const struct segment_add *a, struct segment *s,
			   struct error *ret_error)
{
	struct host_link link;
	int r = segment_fill(e, a, s, ret_error);

	/* A name that no NIC has is a slip of the hand more often than a NIC to come. */
	if (r == 0 && a->uplink[0] && e->cfg.host)
		r = host_link_by_name(e->cfg.host, a->uplink, &link, ret_error);
	return r;
}

int segment_add_check(struct engine *e, const struct segment_add *a, struct error *ret_error)
{
	struct segment s = { 0 };
	int r = segment_prepare(e, a, &s, ret_error);

	uplinks_tidy(e);
	return r;
}

void engine_segment_add(struct engine *e, const struct caller *c, const struct segment_add *a,
			answer_fn done, void *ctx)
{
	e->commands++;
	if (e->side)
		side_segment_add(e, c, a, done, ctx);
	else
		segment_add_now(e, c, a, done, ctx);
}

void segment_add_now(struct engine *e, const struct caller *c, const struct segment_add *a,
		     answer_fn done, void *ctx)
{
	struct segment s = { 0 };
	struct error error;
	struct txn *t;

	if (segment_prepare(e, a, &s, &error) < 0) {
		uplinks_tidy(e);
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (txn_put(t, CHANGE_SEGMENT, NULL, &s, "create") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->carry = segment_carry;
	t->recover = segment_recover;
	t->answer.segment = t->changes[0].after;
	txn_submit(t);
}

void engine_segment_delete(struct engine *e, const struct caller *c, const char *name,
			   answer_fn done, void *ctx)
{
	struct world_segment *s;
	struct error error;
	struct txn *t;

	e->commands++;
	if (engine_find_segment(e, name, &s, &error) < 0) {
		engine_refuse(e, done, ctx, &error);
		return;
	}
	if (s->ports + s->vmacs + s->pools + s->quarantined > 0) {
		error_set(
			&error, ERROR_IN_USE,
			s->ports + s->vmacs + s->pools > 0
				? "delete its ports, release its virtual MACs, delete its pools "
				  "first"
				: "addresses in quarantine keep their segment until they are free",
			"segment '%s' has %llu port(s), %llu virtual MAC(s), %llu pool(s) and %llu "
			"address(es) in quarantine",
			name, (unsigned long long)s->ports, (unsigned long long)s->vmacs,
			(unsigned long long)s->pools, (unsigned long long)s->quarantined);
		engine_refuse(e, done, ctx, &error);
		return;
	}
	t = txn_begin(e, c, done, ctx);
	if (!t)
		return;
	if (txn_change(t, CHANGE_SEGMENT, s->record, NULL, "delete") < 0) {
		engine_no_memory(&error);
		txn_refuse(t, &error);
		return;
	}
	t->carry = segment_carry;
	t->recover = segment_recover;
	txn_submit(t);
}
