#include "api/cluster_form.h"

#include <string.h>

#include "base/cleanup.h"

/* Copies a value, and what belongs to it, where it was given. */
static void overlay(const struct body_cluster *b, struct cluster *c)
{
#define TAKE(flag, member)                                                                         \
	do {                                                                                       \
		if (b->given.flag)                                                                 \
			memcpy(&c->member, &b->record.member, sizeof(c->member));                  \
	} while (0)
	TAKE(mode, mode);
	TAKE(table, table);
	TAKE(affinity, affinity);
	TAKE(nat, nat);
	TAKE(faces, faces);
	TAKE(faces, face_count);
	TAKE(addresses, addresses);
	TAKE(addresses, address_count);
	TAKE(rules, rules);
	TAKE(rules, rule_count);
	TAKE(check, check);
	TAKE(check_port, check_port);
	TAKE(check_interval, check_interval_ms);
	TAKE(check_timeout, check_timeout_ms);
	TAKE(check_target, check_target);
	TAKE(rise, rise);
	TAKE(fall, fall);
	TAKE(note, note);
#undef TAKE
	/* What a check of another kind was to ask goes with it. */
	if (b->given.check && !b->given.check_port && !cluster_check_connects(c->check))
		c->check_port = 0;
	if (b->given.check && !b->given.check_target && !cluster_check_requests(c->check))
		c->check_target = "";
}

static int find_member(const char *which, cluster_find_fn find, void *ctx, vmac_mac_t *ret,
		       struct error *ret_error)
{
	struct vmac_mac_fault fault;

	return vmac_mac_parse(which, ret, &fault) == 0 ? 0 : find(ctx, which, ret, ret_error);
}

static bool has(const struct cluster_member *list, unsigned int count, vmac_mac_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (vmac_mac_equal(list[i].address, address))
			return true;
	return false;
}

/* The lowest id that neither a member of before nor one of these has. */
static uint16_t free_id(const struct cluster *before, const struct cluster_member *list,
			unsigned int count)
{
	bool taken[CLUSTER_MEMBERS_MAX + 1] = { true };

	for (unsigned int i = 0; before && i < before->member_count; i++)
		taken[before->members[i].id] = true;
	for (unsigned int i = 0; i < count; i++)
		taken[list[i].id] = true;
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++)
		if (!taken[id])
			return id;
	return 0;
}

static void fill_member(const struct body_cluster_member *b, struct cluster_member *m)
{
	if (b->has_weight)
		m->weight = b->weight;
	if (b->has_priority)
		m->priority = b->priority;
	if (b->has_state)
		m->state = b->state;
	if (b->has_within || b->has_state)
		m->drain_ms = b->has_within ? b->within_ms : 0;
}

/* By id, as records have them. */
static void insert(struct cluster_member *list, unsigned int count, const struct cluster_member *m)
{
	unsigned int at = count;

	while (at > 0 && list[at - 1].id > m->id) {
		list[at] = list[at - 1];
		at--;
	}
	list[at] = *m;
}

static int fill_members(const struct body_cluster *b, const struct cluster *before,
			cluster_find_fn find, void *ctx, struct cluster_member *list,
			struct cluster *c, struct error *ret_error)
{
	for (unsigned int i = 0; i < b->member_count; i++) {
		const struct cluster_member *was;
		struct cluster_member m = { .weight = 1 };
		vmac_mac_t address;
		int r = find_member(b->members[i].which, find, ctx, &address, ret_error);

		if (r < 0)
			return r;
		if (has(list, i, address))
			return error_set(ret_error, ERROR_IN_USE, NULL,
					 "members[%u]: %.63s is there twice", i,
					 b->members[i].which);
		was = before ? cluster_member_by_address(before, address) : NULL;
		if (was)
			m = *was;
		m.address = address;
		if (!was)
			m.id = free_id(before, list, i);
		if (m.id == 0)
			return error_set(ret_error, ERROR_LIMIT_REACHED, "take some out first",
					 "members: at most %u, those that leave included",
					 CLUSTER_MEMBERS_MAX);
		fill_member(&b->members[i], &m);
		insert(list, i, &m);
	}
	c->members = list;
	c->member_count = b->member_count;
	return 0;
}

int cluster_form_fill(const struct body_cluster *given, const struct cluster *before,
		      cluster_find_fn find, void *ctx,
		      struct cluster_member members[static CLUSTER_MEMBERS_MAX],
		      struct cluster *ret, struct error *ret_error)
{
	struct cluster c;
	int r = 0;

	if (before) {
		c = *before;
	} else {
		cluster_defaults(&c);
		memcpy(c.name, given->record.name, sizeof(c.name));
	}
	overlay(given, &c);
	/* A timeout that fits no more because the interval alone was given follows it. */
	if (given->given.check_interval && !given->given.check_timeout &&
	    c.check_timeout_ms > c.check_interval_ms)
		c.check_timeout_ms = c.check_interval_ms;
	if (given->given.members)
		r = fill_members(given, before, find, ctx, members, &c, ret_error);
	if (r == 0)
		*ret = c;
	return r;
}

/* --- written --------------------------------------------------------------------------------- */

static void write_rules(struct out *o, const struct cluster *c)
{
	char text[CLUSTER_RULE_TEXT_MAX];

	out_key(o, "rules");
	out_open(o, '[');
	for (unsigned int i = 0; i < c->rule_count; i++) {
		out_open(o, '{');
		out_text(o, "match", cluster_rule_format(&c->rules[i], text));
		out_text(o, "action", cluster_action_name(c->rules[i].action));
		out_close(o, '}');
	}
	out_close(o, ']');
}

static void write_check(struct out *o, const struct cluster *c)
{
	out_key(o, "check");
	out_open(o, '{');
	out_text(o, "type", cluster_check_name(c->check));
	if (c->check_port > 0)
		out_u64(o, "port", c->check_port);
	if (c->check_target[0])
		out_text(o, "path", c->check_target);
	out_duration(o, "interval", c->check_interval_ms);
	out_duration(o, "timeout", c->check_timeout_ms);
	out_u64(o, "rise", c->rise);
	out_u64(o, "fall", c->fall);
	out_close(o, '}');
}

void cluster_form_write(struct out *o, const struct cluster *c)
{
	char text[IP_TEXT_MAX];

	out_text(o, "name", c->name);
	out_text(o, "mode", cluster_mode_name(c->mode));
	out_text(o, "table", cluster_table_name(c->table));
	out_text(o, "affinity", cluster_affinity_name(c->affinity));
	out_bool(o, "nat", c->nat);
	out_key(o, "addresses");
	out_open(o, '[');
	for (unsigned int i = 0; i < c->address_count; i++)
		out_item_text(o, ip_format(&c->addresses[i], text));
	out_close(o, ']');
	write_rules(o, c);
	write_check(o, c);
	out_text(o, "note", c->note);
}
