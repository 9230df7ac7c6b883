/* The tables of the bodies about clusters. */
#include "api/tables.h"

#define WEIGHT_MAX   CLUSTER_WEIGHT_MAX
#define PRIORITY_MAX 255
#define STREAK_MAX   255
#define PORT_MAX     65535

/* clang-format off */
#define GIVEN(m) HAS(struct body, cluster.given.m)

static const struct field body_cluster_rule_fields[] = {
	{ .name = "match", .type = FIELD_PARSED, .at = 0, .parse = field_parse_cluster_match, REQUIRED },
	PARSED("action", struct cluster_rule, action, field_parse_cluster_action, REQUIRED),
};
SCHEMA(body_cluster_rule, "ClusterRule");

#define MEMBER_SETTINGS(T, P)                                                                      \
	UINT("weight", T, P weight, 0, WEIGHT_MAX, HAS(T, P has_weight)),                          \
	UINT("priority", T, P priority, 0, PRIORITY_MAX, HAS(T, P has_priority)),                  \
	PARSED("state", T, P state, field_parse_member_state, HAS(T, P has_state)),                \
	PARSED("within", T, P within_ms, field_parse_ms, HAS(T, P has_within))

static const struct field body_cluster_member_fields[] = {
	{ .name = "member", .type = FIELD_TEXT, .at = offsetof(struct body_cluster_member, which),
	  .most = NAME_MAX_LEN, REQUIRED },
	MEMBER_SETTINGS(struct body_cluster_member, ),
};
SCHEMA(body_cluster_member, "ClusterMember");

static const struct field body_cluster_check_fields[] = {
	PARSED("type", struct body, cluster.record.check, field_parse_cluster_check, GIVEN(check)),
	UINT("port", struct body, cluster.record.check_port, 0, PORT_MAX, GIVEN(check_port)),
	PARSED("interval", struct body, cluster.record.check_interval_ms, field_parse_pace,
	       GIVEN(check_interval)),
	PARSED("timeout", struct body, cluster.record.check_timeout_ms, field_parse_pace,
	       GIVEN(check_timeout)),
	UINT("rise", struct body, cluster.record.rise, 1, STREAK_MAX, GIVEN(rise)),
	UINT("fall", struct body, cluster.record.fall, 1, STREAK_MAX, GIVEN(fall)),
	FIELD("path", FIELD_TEXT, struct body, cluster.record.check_target, .most = CLUSTER_TARGET_MAX,
	      GIVEN(check_target)),
};
SCHEMA(body_cluster_check, "ClusterCheck");

#define CLUSTER_SETTINGS                                                                           \
	PARSED("table", struct body, cluster.record.table, field_parse_cluster_table, GIVEN(table)), \
	PARSED("affinity", struct body, cluster.record.affinity, field_parse_cluster_affinity,     \
	       GIVEN(affinity)),                                                                   \
	FIELD("nat", FIELD_BOOL, struct body, cluster.record.nat, .most = 1, GIVEN(nat)),          \
	LIST("addresses", struct body, cluster.record.addresses, cluster.record.address_count,     \
	     CLUSTER_ADDRESSES_MAX, field_parse_ip, .apart = true, GIVEN(addresses)),              \
	ITEMS("rules", struct body, cluster.record.rules, cluster.record.rule_count,               \
	      CLUSTER_RULES_MAX, &body_cluster_rule, GIVEN(rules)),                                \
	ITEMS("members", struct body, cluster.members, cluster.member_count, CLUSTER_MEMBERS_MAX,  \
	      &body_cluster_member, GIVEN(members)),                                               \
	{ .name = "check", .type = FIELD_OBJECT, .at = 0, .object = &body_cluster_check },         \
	FIELD("note", FIELD_TEXT, struct body, cluster.record.note, .most = NOTE_MAX_LEN, GIVEN(note)), \
	REASON

static const struct field body_cluster_add_fields[] = {
	{ .name = "name", .type = FIELD_PARSED, .at = offsetof(struct body, cluster.record.name),
	  .parse = field_parse_router_name, REQUIRED },
	NAME("segment", struct body, cluster.segment),
	PARSED("mode", struct body, cluster.record.mode, field_parse_cluster_mode, GIVEN(mode)),
	LIST("faces", struct body, cluster.record.faces, cluster.record.face_count,
	     CLUSTER_FACES_MAX, field_parse_mac, .apart = true, GIVEN(faces)),
	UINT("allocate", struct body, cluster.allocate, 1, CLUSTER_FACES_MAX),
	NAME("pool", struct body, cluster.pool),
	CLUSTER_SETTINGS,
};

static int cluster_add_finish(void *target, struct error *ret_error)
{
	const struct body *b = target;

	if (b->cluster.record.face_count > 0 && (b->cluster.allocate > 0 || b->cluster.pool[0]))
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "faces are the addresses themselves, the others say how to get new ones",
				 "faces: goes without allocate and pool");
	return 0;
}

SCHEMA(body_cluster_add, "ClusterAdd", .finish = cluster_add_finish);

static const struct field body_cluster_set_fields[] = {
	CLUSTER_SETTINGS,
};
SCHEMA(body_cluster_set, "ClusterSet");

/* --- one member ------------------------------------------------------------------------------ */

static const struct field body_member_add_fields[] = {
	{ .name = "member", .type = FIELD_TEXT, .at = offsetof(struct body, member.which),
	  .most = NAME_MAX_LEN, REQUIRED },
	UINT("weight", struct body, member.weight, 0, WEIGHT_MAX, HAS(struct body, member.has_weight)),
	UINT("priority", struct body, member.priority, 0, PRIORITY_MAX,
	     HAS(struct body, member.has_priority)),
	REASON,
};
SCHEMA(body_member_add, "MemberAdd");

/* One change a request: another state, or other numbers. */
static int member_set_finish(void *target, struct error *ret_error)
{
	const struct body_cluster_member *m = &((struct body *)target)->member;

	if (m->has_state && (m->has_weight || m->has_priority))
		return error_set(ret_error, ERROR_BAD_VALUE, "say it in two requests",
				 "state: goes without weight and priority");
	if (m->has_within && !(m->has_state && m->state == MEMBER_DRAINING))
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "within: goes with the state \"draining\"");
	if (!m->has_state && !m->has_weight && !m->has_priority)
		return error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				 "state, weight, priority: one of them is needed");
	return 0;
}

static const struct field body_member_set_fields[] = {
	MEMBER_SETTINGS(struct body, member.),
	REASON,
};
SCHEMA(body_member_set, "MemberSet", .finish = member_set_finish);
/* clang-format on */
