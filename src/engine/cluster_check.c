/* A cluster's record against all else that this host knows: names, addresses, members. */
#include <stdio.h>
#include <string.h>

#include <vmac/classify.h>

#include "engine/cluster.h"
#include "engine/side.h"
#include "model/ip.h"

/* --- virtual addresses ----------------------------------------------------------------------- */

static bool has_ip(const struct ip *list, unsigned int count, const struct ip *ip)
{
	for (unsigned int i = 0; i < count; i++)
		if (ip_equal(&list[i], ip))
			return true;
	return false;
}

/* One walk over all vMACs, for all addresses: there is no index of what is bound. */
static int addresses_unbound(struct engine *e, uint32_t segment, const struct ip *ips,
			     unsigned int count, struct error *ret_error)
{
	char ip[IP_TEXT_MAX], mac[VMAC_MAC_TEXT_MAX];

	table_for_each (&e->world.vmacs, const struct vmac, v) {
		if (v->ip_count == 0 || v->segment != segment || v->state == VMAC_QUARANTINED)
			continue;
		for (unsigned int i = 0; i < v->ip_count; i++)
			if (has_ip(ips, count, &v->ips[i]))
				return error_set(
					ret_error, ERROR_ADDRESS_IN_USE,
					"a virtual address is nobody's own: unbind it there, or "
					"choose another",
					"%s is bound to %s%s%s", ip_format(&v->ips[i], ip),
					vmac_mac_format(v->address, VMAC_MAC_COLON, mac),
					v->name[0] ? ", " : "", v->name);
	}
	return 0;
}

static int addresses_check(struct engine *e, const struct cluster *c, const struct cluster *before,
			   struct error *ret_error)
{
	char text[IP_TEXT_MAX];

	for (unsigned int i = 0; i < c->address_count; i++) {
		const struct cluster *other =
			world_cluster_of_address(&e->world, c->segment, &c->addresses[i]);

		if (other && other != before)
			return error_set(ret_error, ERROR_ADDRESS_IN_USE,
					 "an address has one cluster; rules share its ports out",
					 "cluster '%s' has the address %s already", other->name,
					 ip_format(&c->addresses[i], text));
	}
	return addresses_unbound(e, c->segment, c->addresses, c->address_count, ret_error);
}

int cluster_addresses_free(struct engine *e, uint32_t segment, const struct ip *ips,
			   unsigned int count, struct error *ret_error)
{
	char text[IP_TEXT_MAX];

	for (unsigned int i = 0; i < count; i++) {
		const struct cluster *c = world_cluster_of_address(&e->world, segment, &ips[i]);

		if (c)
			return error_set(ret_error, ERROR_ADDRESS_IN_USE,
					 "a virtual address is nobody's own: members may use it as "
					 "they are",
					 "ips: %s is a virtual address of cluster '%s'",
					 ip_format(&ips[i], text), c->name);
	}
	return 0;
}

/* --- faces ----------------------------------------------------------------------------------- */

int cluster_check_face(struct engine *e, uint32_t segment, vmac_mac_t face, const char *name,
		       struct error *ret_error)
{
	const struct cluster *other = world_cluster_of_face(&e->world, segment, face);
	const struct vmac *v = world_vmac(&e->world, segment, face);
	struct vmac_class class = vmac_classify(face);
	char text[VMAC_MAC_TEXT_MAX], owner[CLUSTER_OWNER_MAX];

	vmac_mac_format(face, VMAC_MAC_COLON, text);
	cluster_owner(name, owner);
	if (other)
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "%s is a face of cluster '%s' already", text, other->name);
	/* Its own cluster, made again, is not a reuse by somebody else. */
	if (v && !(v->state == VMAC_QUARANTINED && strcmp(v->owner, owner) == 0))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE,
				 "`vmac mac show` tells whose it is",
				 "%s is %s in this segment%s%s", text,
				 v->state == VMAC_QUARANTINED ? "in quarantine" : "in use already",
				 v->name[0] ? ", as " : "", v->name);
	/* Microsoft's are here as they are; a group address is of one segment and clashes with
	 * nothing but itself. */
	if (class.well_known && !class.group && !nlb_is_cluster(face, &(enum nlb_form){ 0 }))
		return error_set(ret_error, ERROR_RESERVED_ADDRESS, class.well_known->meaning,
				 "%s belongs to %s", text, class.well_known->protocol);
	if (uplink_has_address(e, face))
		return error_set(ret_error, ERROR_ADDRESS_IN_USE, NULL,
				 "%s is the address of this host's own NIC", text);
	return 0;
}

/* --- members --------------------------------------------------------------------------------- */

static const char *other_segment(struct engine *e, uint32_t segment, vmac_mac_t m)
{
	table_for_each (&e->world.segments_by_name, struct world_segment, s) {
		const struct vmac *v = world_vmac(&e->world, s->record->id, m);

		if (s->record->id != segment && v && v->state != VMAC_QUARANTINED)
			return s->record->name;
	}
	return NULL;
}

int cluster_check_member(struct engine *e, uint32_t segment, vmac_mac_t m, struct error *ret_error)
{
	const struct world_segment *s = world_segment(&e->world, segment);
	const struct vmac *v = world_vmac(&e->world, segment, m);
	struct fleet_place place;
	char text[VMAC_MAC_TEXT_MAX], hint[ERROR_TEXT_MAX];
	const char *elsewhere;

	vmac_mac_format(m, VMAC_MAC_COLON, text);
	if (v && v->kind != VMAC_STATION)
		return error_set(ret_error, ERROR_WRONG_STATE,
				 "a member is a guest's own address: of kind station",
				 "member %s is of kind %s", text, vmac_kind_name(v->kind));
	if (v && v->state != VMAC_QUARANTINED)
		return 0;
	if (!v && e->side &&
	    side_elsewhere(e->side, &(struct vmac_ref){ s->record->name, text }, &place))
		return 0;
	elsewhere = other_segment(e, segment, m);
	if (elsewhere)
		return error_set(ret_error, ERROR_CONFLICT,
				 "members are of the cluster's own segment: frames between two are "
				 "routed, not balanced",
				 "member %s is in segment '%s', not in '%s'", text, elsewhere,
				 s->record->name);
	snprintf(hint, sizeof(hint), "`vmac mac list --segment %s` shows what exists",
		 s->record->name);
	return error_set(ret_error, ERROR_NOT_FOUND, hint,
			 "member %s is no virtual MAC of segment '%s'%s", text, s->record->name,
			 v ? ": it is in quarantine" : "");
}

static int crowd_check(struct engine *e, uint32_t segment, vmac_mac_t m, struct error *ret_error)
{
	const struct cluster *list[CLUSTERS_MAX];
	char text[VMAC_MAC_TEXT_MAX], hint[ERROR_TEXT_MAX];

	if (world_clusters_of_member(&e->world, segment, m, list) < MEMBER_CLUSTERS_MAX)
		return 0;
	vmac_mac_format(m, VMAC_MAC_COLON, text);
	snprintf(hint, sizeof(hint),
		 "take it out of one of them first: vmac cluster member "
		 "remove %s %s",
		 list[0]->name, text);
	return error_set(ret_error, ERROR_LIMIT_REACHED, hint,
			 "member %s is a member of %d clusters already, which is the most", text,
			 MEMBER_CLUSTERS_MAX);
}

bool cluster_crowded_out(struct engine *e, const struct cluster *c, vmac_mac_t member)
{
	const struct cluster *list[CLUSTERS_MAX];
	unsigned int before = 0,
		     count = world_clusters_of_member(&e->world, c->segment, member, list);

	for (unsigned int i = 0; i < count; i++)
		before += list[i]->id < c->id;
	return before >= MEMBER_CLUSTERS_MAX;
}

static unsigned int count_of_family(const struct ip *ips, unsigned int count, uint8_t family)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++)
		n += ips[i].family == family;
	return n;
}

/* What is at another host is known to us by its record only, if it has one. */
static int nat_check(struct engine *e, const struct cluster *c, vmac_mac_t m,
		     struct error *ret_error)
{
	const struct vmac *v = world_vmac(&e->world, c->segment, m);
	char text[VMAC_MAC_TEXT_MAX];

	for (uint8_t family = 4; v && family <= 6; family += 2) {
		unsigned int n = count_of_family(v->ips, v->ip_count, family);

		if (n != 1 && count_of_family(c->addresses, c->address_count, family) > 0)
			return error_set(ret_error, ERROR_BAD_VALUE,
					 "bind its own address to it: vmac mac set … --ip ADDRESS",
					 "nat: member %s has %u bound IPv%u addresses, and needs "
					 "exactly one",
					 vmac_mac_format(m, VMAC_MAC_COLON, text), n, family);
	}
	return 0;
}

static int members_check(struct engine *e, const struct cluster *c, const struct cluster *before,
			 struct error *ret_error)
{
	for (unsigned int i = 0; i < c->member_count; i++) {
		vmac_mac_t m = c->members[i].address;
		int r = 0;

		/* One that is a member already may be so although its station is gone by now. */
		if (!before || !cluster_member_by_address(before, m)) {
			r = cluster_check_member(e, c->segment, m, ret_error);
			if (r == 0)
				r = crowd_check(e, c->segment, m, ret_error);
		}
		if (r == 0 && c->nat)
			r = nat_check(e, c, m, ret_error);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

int cluster_check_world(struct engine *e, const struct cluster *c, const struct cluster *before,
			struct error *ret_error)
{
	const struct world_segment *s = world_segment(&e->world, c->segment);
	const struct cluster *other = world_cluster_named(&e->world, c->name);
	int r;

	if (other && other != before)
		return error_set(ret_error, ERROR_NAME_IN_USE, "`vmac cluster list` shows them",
				 "there is a cluster '%s' already", c->name);
	if (cluster_check_connects(c->check) && !s->record->uplink[0])
		return error_set(
			ret_error, ERROR_BAD_VALUE, "check arp asks in every segment",
			"check.type '%s' needs an uplink to ask from, and segment '%s' has "
			"none",
			cluster_check_name(c->check), s->record->name);
	r = addresses_check(e, c, before, ret_error);
	return r < 0 ? r : members_check(e, c, before, ret_error);
}

/* --- for commands on vMACs ------------------------------------------------------------------- */

int cluster_check_no_face(struct engine *e, const struct vmac *v, struct error *ret_error)
{
	const struct cluster *c = v->kind == VMAC_CLUSTER
					  ? world_cluster_of_face(&e->world, v->segment, v->address)
					  : NULL;
	char text[VMAC_MAC_TEXT_MAX];

	if (!c)
		return 0;
	return error_set(ret_error, ERROR_WRONG_STATE,
			 "it comes and goes with its cluster: vmac cluster delete NAME",
			 "%s is a face of cluster '%s'",
			 vmac_mac_format(v->address, VMAC_MAC_COLON, text), c->name);
}

int cluster_check_loose(struct engine *e, const struct vmac *v, struct error *ret_error)
{
	const struct cluster *list[CLUSTERS_MAX];
	char text[VMAC_MAC_TEXT_MAX], hint[ERROR_TEXT_MAX];
	int r = cluster_check_no_face(e, v, ret_error);

	if (r < 0 || world_clusters_of_member(&e->world, v->segment, v->address, list) == 0)
		return r;
	vmac_mac_format(v->address, VMAC_MAC_COLON, text);
	snprintf(hint, sizeof(hint), "first: vmac cluster member remove %s %s", list[0]->name,
		 text);
	return error_set(ret_error, ERROR_IN_USE, hint, "%s is a member of cluster '%s'", text,
			 list[0]->name);
}
