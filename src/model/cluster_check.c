/* The rules of a cluster.  The checks run from the general to the particular, so that a later one
 * may rely on what an earlier one has let pass. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/cluster.h"
#include "model/text.h"

/* Records of the registry come from outside: no value may leave its enum. */
static int check_enums(const struct cluster *c, struct error *ret_error)
{
	const struct {
		const char *what;
		unsigned int value, count;
	} enums[] = {
		{ "mode", c->mode, CLUSTER_MODE_COUNT },
		{ "table", c->table, CLUSTER_TABLE_COUNT },
		{ "affinity", c->affinity, CLUSTER_AFFINITY_COUNT },
		{ "check.type", c->check, CLUSTER_CHECK_COUNT },
	};

	for (size_t i = 0; i < ARRAY_LEN(enums); i++)
		if (enums[i].value >= enums[i].count)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL, "%s %u is unknown",
					 enums[i].what, enums[i].value);
	return 0;
}

static int check_counts(const struct cluster *c, struct error *ret_error)
{
	const struct {
		const char *what;
		unsigned int count, most;
	} counts[] = {
		{ "faces", c->face_count, CLUSTER_FACES_MAX },
		{ "addresses", c->address_count, CLUSTER_ADDRESSES_MAX },
		{ "rules", c->rule_count, CLUSTER_RULES_MAX },
		{ "members", c->member_count, CLUSTER_MEMBERS_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (counts[i].count > counts[i].most)
			return error_set(ret_error, ERROR_LIMIT_REACHED, NULL,
					 "%s has %u entries, %u are allowed", counts[i].what,
					 counts[i].count, counts[i].most);
	return 0;
}

/* --- faces and addresses --------------------------------------------------------------------- */

/* No frame to such an address gets through a bridge, or nowhere but everywhere. */
static bool is_reserved(vmac_mac_t m)
{
	return vmac_mac_is_zero(m) || vmac_mac_u64(m) == UINT64_C(0xffffffffffff) ||
	       vmac_mac_u64(m) >> 4 == UINT64_C(0x0180c2000000) >> 4;
}

static int check_face(const struct cluster *c, unsigned int i, struct error *ret_error)
{
	char text[VMAC_MAC_TEXT_MAX];

	vmac_mac_format(c->faces[i], VMAC_MAC_COLON, text);
	if (is_reserved(c->faces[i]))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "faces[%u] %s cannot be a cluster's address", i, text);
	if (c->mode == CLUSTER_DIRECTOR && vmac_mac_is_group(c->faces[i]))
		return error_set(
			ret_error, ERROR_GROUP_ADDRESS, "modes 'distributed' and 'carry' have them",
			"faces[%u] %s is a group address, which no anchor can speak with", i, text);
	for (unsigned int j = 0; j < i; j++)
		if (vmac_mac_equal(c->faces[j], c->faces[i]))
			return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
					 "faces[%u] %s is given twice", i, text);
	return 0;
}

static int check_faces(const struct cluster *c, struct error *ret_error)
{
	int rc = 0;

	if (c->face_count == 0)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				 "faces is empty: a cluster has at least one virtual MAC");
	if (c->mode != CLUSTER_DIRECTOR && c->face_count != 1)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "every host gets every frame: a second face would share nothing",
				 "faces has %u entries, and mode '%s' has exactly one",
				 c->face_count, cluster_mode_name(c->mode));
	for (unsigned int i = 0; i < c->face_count && rc == 0; i++)
		rc = check_face(c, i, ret_error);
	return rc;
}

static int check_address(const struct cluster *c, unsigned int i, struct error *ret_error)
{
	char text[IP_TEXT_MAX];

	if (c->addresses[i].family != 4 && c->addresses[i].family != 6)
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "addresses[%u] is of family %u, neither 4 nor 6", i,
				 c->addresses[i].family);
	ip_format(&c->addresses[i], text);
	if (!ip_is_unicast(&c->addresses[i]))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "addresses[%u] %s cannot be a host's address", i, text);
	for (unsigned int j = 0; j < i; j++)
		if (ip_equal(&c->addresses[j], &c->addresses[i]))
			return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
					 "addresses[%u] %s is given twice", i, text);
	return 0;
}

static int check_addresses(const struct cluster *c, struct error *ret_error)
{
	int rc = 0;

	if (c->address_count == 0 && c->mode != CLUSTER_CARRY)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				 "addresses is empty: mode '%s' needs a virtual address",
				 cluster_mode_name(c->mode));
	for (unsigned int i = 0; i < c->address_count && rc == 0; i++)
		rc = check_address(c, i, ret_error);
	return rc;
}

/* --- rules ----------------------------------------------------------------------------------- */

static int check_rule(const struct cluster *c, unsigned int i, struct error *ret_error)
{
	const struct cluster_rule *r = &c->rules[i];

	if (r->action >= CLUSTER_ACTION_COUNT)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL, "rules[%u].action %u is unknown",
				 i, r->action);
	if (r->from > r->to)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "rules[%u] has ports %u to %u, which are none", i, r->from, r->to);
	if (!cluster_has_ports(r->protocol) && (r->from != 0 || r->to != 65535))
		return error_set(ret_error, ERROR_BAD_VALUE, "tcp, udp and sctp have ports",
				 "rules[%u] has ports, and protocol %u has none", i, r->protocol);
	return 0;
}

static int check_rules(const struct cluster *c, struct error *ret_error)
{
	int rc = 0;

	/* Settings that one mode has and another has not: silence would be a lie. */
	if (c->mode == CLUSTER_CARRY && c->rule_count > 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "its guests balance by themselves, by rules of their own",
				 "rules are not for mode 'carry'");
	for (unsigned int i = 0; i < c->rule_count && rc == 0; i++)
		rc = check_rule(c, i, ret_error);
	return rc;
}

/* --- members --------------------------------------------------------------------------------- */

static bool is_face(const struct cluster *c, vmac_mac_t address)
{
	for (unsigned int i = 0; i < c->face_count; i++)
		if (vmac_mac_equal(c->faces[i], address))
			return true;
	return false;
}

static int check_member_address(const struct cluster *c, unsigned int i, struct error *ret_error)
{
	vmac_mac_t address = c->members[i].address;
	char text[VMAC_MAC_TEXT_MAX];

	vmac_mac_format(address, VMAC_MAC_COLON, text);
	if (vmac_mac_is_zero(address))
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "members[%u].address %s cannot be a station's", i, text);
	if (vmac_mac_is_group(address))
		return error_set(ret_error, ERROR_GROUP_ADDRESS, NULL,
				 "members[%u].address %s is a group address", i, text);
	if (is_face(c, address))
		return error_set(ret_error, ERROR_BAD_ADDRESS,
				 "a member is a station with a vMAC of its own",
				 "members[%u].address %s is a face of the cluster", i, text);
	if (cluster_member_by_address(c, address) != &c->members[i])
		return error_set(ret_error, ERROR_BAD_ADDRESS, NULL,
				 "members[%u].address %s is a member already", i, text);
	return 0;
}

static int check_member(const struct cluster *c, unsigned int i, struct error *ret_error)
{
	const struct cluster_member *m = &c->members[i];

	if (m->id < 1 || m->id > CLUSTER_MEMBERS_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "members[%u].id %u is not within 1 to %d", i, m->id,
				 CLUSTER_MEMBERS_MAX);
	if (i > 0 && m[-1].id >= m->id)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "each has an id of its own, and they stand by it",
				 "members[%u].id %u does not follow %u", i, m->id, m[-1].id);
	if (m->weight > CLUSTER_WEIGHT_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "members[%u].weight %u is not within 0 to %d", i, m->weight,
				 CLUSTER_WEIGHT_MAX);
	if (m->state >= MEMBER_STATE_COUNT)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "members[%u].state %u is unknown", i, m->state);
	if (m->drain_ms > CLUSTER_DRAIN_MAX_MS)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "members[%u].drain is longer than 7d", i);
	return check_member_address(c, i, ret_error);
}

/* --- health ---------------------------------------------------------------------------------- */

#define CHECK_LEAST_MS 100
#define CHECK_MOST_MS  3600000

static int check_times(const struct cluster *c, struct error *ret_error)
{
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];

	duration_format(c->check_interval_ms, interval);
	duration_format(c->check_timeout_ms, timeout);
	if (c->check_interval_ms < CHECK_LEAST_MS || c->check_interval_ms > CHECK_MOST_MS)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.interval %s is not within 100ms to 1h", interval);
	if (c->check_timeout_ms < CHECK_LEAST_MS || c->check_timeout_ms > c->check_interval_ms)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.timeout %s is not within 100ms and the interval, %s",
				 timeout, interval);
	if (c->rise == 0 || c->fall == 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.%s 0 is not within 1 to 255", c->rise ? "fall" : "rise");
	return 0;
}

/* A path of a request's first line: visible ASCII, for all else is to be encoded there. */
static int check_target(const struct cluster *c, struct error *ret_error)
{
	int rc = text_check("check.path", c->check_target, CLUSTER_TARGET_MAX, ret_error);

	if (rc < 0)
		return rc;
	if (c->check_target[0] != '/')
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.path does not begin with '/'");
	for (const char *p = c->check_target; *p; p++)
		if (*p <= ' ' || *p > '~')
			return error_set(ret_error, ERROR_BAD_VALUE,
					 "write it percent-encoded: ' ' is %20",
					 "check.path has a space or a letter outside of ASCII");
	return 0;
}

static int check_health(const struct cluster *c, struct error *ret_error)
{
	bool connects = cluster_check_connects(c->check);

	if (connects && c->mode == CLUSTER_CARRY)
		return error_set(
			ret_error, ERROR_BAD_VALUE, "its guests watch each other by themselves",
			"check.type '%s' is not for mode 'carry'", cluster_check_name(c->check));
	if (connects && c->check_port == 0)
		return error_set(ret_error, ERROR_MISSING_FIELD,
				 "the service's own: vmac cluster … --check-port N",
				 "check.port is missing, and check.type is '%s'",
				 cluster_check_name(c->check));
	if (!connects && c->check_port != 0)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.port is for checks of type 'tcp', 'http' and 'https'");
	if (!cluster_check_requests(c->check) && c->check_target[0] != '\0')
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "check.path is for checks of type 'http' and 'https'");
	if (c->check_target[0] != '\0' && check_target(c, ret_error) < 0)
		return -error_errno(ret_error->code);
	return check_times(c, ret_error);
}

/* --- the whole ------------------------------------------------------------------------------- */

int cluster_check_record(const struct cluster *c, struct error *ret_error)
{
	int rc = name_check("the cluster's name", c->name, ret_error);

	if (rc == 0)
		rc = check_enums(c, ret_error);
	if (rc == 0)
		rc = check_counts(c, ret_error);
	if (rc == 0)
		rc = check_faces(c, ret_error);
	if (rc == 0)
		rc = check_addresses(c, ret_error);
	if (rc == 0)
		rc = check_rules(c, ret_error);
	if (rc == 0 && c->nat && c->mode == CLUSTER_CARRY)
		rc = error_set(ret_error, ERROR_BAD_VALUE, NULL, "nat is not for mode 'carry'");
	for (unsigned int i = 0; i < c->member_count && rc == 0; i++)
		rc = check_member(c, i, ret_error);
	if (rc == 0)
		rc = check_health(c, ret_error);
	if (rc == 0)
		rc = text_check("note", c->note, NOTE_MAX_LEN, ret_error);
	return rc;
}
