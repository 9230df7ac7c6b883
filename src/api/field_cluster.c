/* What the tables of clusters parse. */
#include "api/field.h"
#include "model/cluster.h"

FIELD_PARSE_ENUM(field_parse_cluster_mode, cluster_mode, CLUSTER_MODE_COUNT, cluster_mode_name);
FIELD_PARSE_ENUM(field_parse_cluster_table, cluster_table, CLUSTER_TABLE_COUNT, cluster_table_name);
FIELD_PARSE_ENUM(field_parse_cluster_affinity, cluster_affinity, CLUSTER_AFFINITY_COUNT,
		 cluster_affinity_name);
FIELD_PARSE_ENUM(field_parse_cluster_action, cluster_action, CLUSTER_ACTION_COUNT,
		 cluster_action_name);
FIELD_PARSE_ENUM(field_parse_cluster_check, cluster_check, CLUSTER_CHECK_COUNT, cluster_check_name);
FIELD_PARSE_ENUM(field_parse_member_state, member_state, MEMBER_STATE_COUNT, member_state_name);

int field_parse_cluster_match(const char *text, void *to, struct error *ret_error)
{
	if (cluster_rule_parse(text, to) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE,
			 "any, tcp, udp, icmp or a protocol's number; of TCP and UDP with a port "
			 "or a range: tcp/80, udp/5000-6000",
			 "\"%.60s\" says no protocol and ports", text);
}
