/* What the tables of clusters parse. */
#include "api/field.h"
#include "model/cluster.h"

/* name_of() for a table: of unsigned int, whatever the enum. */
#define PARSE_ENUM(what, enum_type, count, name_of)                                                \
	static const char *what##_text(unsigned int i)                                             \
	{                                                                                          \
		return name_of((enum enum_type)i);                                                 \
	}                                                                                          \
	int field_parse_##what(const char *text, void *to, struct error *ret_error)                \
	{                                                                                          \
		int v = field_parse_enum(text, count, what##_text, ret_error);                     \
                                                                                                   \
		if (v >= 0)                                                                        \
			*(uint8_t *)to = (uint8_t)v;                                               \
		return v < 0 ? v : 0;                                                              \
	}                                                                                          \
	struct parse_enum_needs_semicolon_

PARSE_ENUM(cluster_mode, cluster_mode, CLUSTER_MODE_COUNT, cluster_mode_name);
PARSE_ENUM(cluster_table, cluster_table, CLUSTER_TABLE_COUNT, cluster_table_name);
PARSE_ENUM(cluster_affinity, cluster_affinity, CLUSTER_AFFINITY_COUNT, cluster_affinity_name);
PARSE_ENUM(cluster_action, cluster_action, CLUSTER_ACTION_COUNT, cluster_action_name);
PARSE_ENUM(cluster_check, cluster_check, CLUSTER_CHECK_COUNT, cluster_check_name);
PARSE_ENUM(member_state, member_state, MEMBER_STATE_COUNT, member_state_name);

int field_parse_cluster_match(const char *text, void *to, struct error *ret_error)
{
	if (cluster_rule_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE,
			 "any, tcp, udp, icmp or a protocol's number; of TCP and UDP with a port "
			 "or a range: tcp/80, udp/5000-6000",
			 "\"%.60s\" says no protocol and ports", text);
}
