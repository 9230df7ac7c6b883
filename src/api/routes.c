/* Every route on one page, and how a request finds its own. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define NONE   &query_none
#define REASON &query_reason

/* clang-format off */
const struct route routes[] = {
	{ "GET",    "/v1/segments", "List the segments", segments_list, NONE, NULL, true },
	{ "POST",   "/v1/segments", "Add a segment", segments_add, NONE, &body_segment_add },
	{ "GET",    "/v1/segments/{name}", "Show a segment", segments_show, NONE, NULL, true },
	{ "DELETE", "/v1/segments/{name}", "Delete a segment", segments_delete, REASON },

	{ "GET",    "/v1/pools", "List the pools", pools_list, &query_by_segment, NULL, true },
	{ "POST",   "/v1/pools", "Add a pool", pools_add, NONE, &body_pool_add },
	{ "GET",    "/v1/pools/{name}", "Show a pool", pools_show, &query_pool_show, NULL, true },
	{ "PATCH",  "/v1/pools/{name}", "Change a pool", pools_set, NONE, &body_pool_set },
	{ "DELETE", "/v1/pools/{name}", "Delete a pool", pools_delete, REASON },

	{ "GET",    "/v1/vmacs", "List vMACs", vmacs_list, &query_vmacs, NULL, true },
	{ "POST",   "/v1/vmacs", "Allocate, pin or adopt a vMAC", vmacs_add, NONE, &body_vmac_add },
	{ "POST",   "/v1/vmacs/batch", "Allocate many vMACs", vmacs_add_batch, NONE, &body_vmac_batch },
	{ "GET",    "/v1/vmacs/{segment}/{vmac}", "Show a vMAC", vmacs_show, NONE, NULL, true },
	{ "PATCH",  "/v1/vmacs/{segment}/{vmac}", "Change a vMAC", vmacs_set, NONE, &body_vmac_set },
	{ "DELETE", "/v1/vmacs/{segment}/{vmac}", "Release a vMAC", vmacs_release, REASON },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/renew", "Renew a vMAC's lifetime", vmacs_renew, NONE,
	  &body_vmac_renew },

	{ "POST",   "/v1/vmacs/{segment}/{vmac}/prepare", "Prepare a vMAC's move to this host",
	  vmacs_prepare, NONE, &body_move_prepare },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/activate", "Open a prepared port before its guest speaks",
	  vmacs_activate, NONE, &body_move_hint },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/abort", "Give a vMAC's move up", vmacs_abort, NONE,
	  &body_move_hint },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/stop", "Say that a vMAC's guest stands still here",
	  vmacs_stop, NONE, &body_move_hint },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/resume", "Say that a vMAC's guest runs here",
	  vmacs_resume, NONE, &body_move_hint },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/thaw", "Let a frozen vMAC move again", vmacs_thaw, NONE,
	  &body_move_hint },
	{ "POST",   "/v1/vmacs/{segment}/{vmac}/move", "Take a vMAC to this host", vmacs_move, NONE,
	  &body_move_take },
	{ "GET",    "/v1/moves", "List the vMACs that move, or did", moves_list, NONE, NULL, true },

	{ "GET",    "/v1/hosts", "List the hosts that share the registry", hosts_list, NONE, NULL, true },
	{ "GET",    "/v1/hosts/{name}", "Show a host", hosts_show, NONE, NULL, true },
	{ "PATCH",  "/v1/hosts/{name}", "Drain a host, or vouch for its death", hosts_set, NONE,
	  &body_host_set },
	{ "DELETE", "/v1/hosts/{name}", "Forget a host", hosts_forget, REASON },

	{ "GET",    "/v1/ports", "List the ports", ports_list, &query_by_segment, NULL, true },
	{ "POST",   "/v1/ports", "Add a port", ports_add, NONE, &body_port_add },
	{ "GET",    "/v1/ports/{name}", "Show a port", ports_show, NONE, NULL, true },
	{ "PATCH",  "/v1/ports/{name}", "Change a port", ports_set, NONE, &body_port_set },
	{ "DELETE", "/v1/ports/{name}", "Delete a port", ports_delete, &query_port_delete },

	{ "GET",    "/v1/routers", "List the routers", routers_list, NONE, NULL, true },
	{ "POST",   "/v1/routers", "Add a router", routers_add, NONE, &body_router_add },
	{ "GET",    "/v1/routers/{name}", "Show a router", routers_show, NONE, NULL, true },
	{ "PATCH",  "/v1/routers/{name}", "Change a router", routers_set, NONE, &body_router_set },
	{ "DELETE", "/v1/routers/{name}", "Delete a router", routers_delete, REASON },
	{ "GET",    "/v1/routers/{name}/history", "Read a router's transitions", routers_history, NONE,
	  NULL, true },

	{ "GET",    "/v1/clusters", "List the clusters", clusters_list, NONE, NULL, true },
	{ "POST",   "/v1/clusters", "Add a cluster", clusters_add, NONE, &body_cluster_add },
	{ "GET",    "/v1/clusters/{name}", "Show a cluster", clusters_show, NONE, NULL, true },
	{ "PATCH",  "/v1/clusters/{name}", "Change a cluster", clusters_set, NONE, &body_cluster_set },
	{ "DELETE", "/v1/clusters/{name}", "Delete a cluster", clusters_delete, REASON },
	{ "POST",   "/v1/clusters/{name}/members", "Add a member", members_add, NONE, &body_member_add },
	{ "PATCH",  "/v1/clusters/{name}/members/{member}", "Weigh, drain, fail or activate a member",
	  members_set, NONE, &body_member_set },
	{ "DELETE", "/v1/clusters/{name}/members/{member}", "Remove a member", members_remove, REASON },

	{ "GET",    "/v1/history", "Read the history", history_list, &query_history },
	{ "GET",    "/v1/status", "Show the daemon's state", status_show, NONE, NULL, true },
	{ "GET",    "/v1/events", "Follow what happens (SSE)", events_stream, NONE },
	{ "GET",    "/v1/openapi.yaml", "This description", openapi_show, NONE },
	{ "GET",    "/metrics", "Counters for Prometheus", metrics_show, NONE, NULL, true },
};
/* clang-format on */
const unsigned int route_count = ARRAY_LEN(routes);

struct argument {
	const char *at;
	size_t len;
};

/* Whether url has the pattern's shape; fills args with what stands for its {…}. */
static bool pattern_matches(const char *pattern, const char *url,
			    struct argument args[static API_ARGS_MAX])
{
	unsigned int n = 0;

	while (*pattern) {
		if (*pattern == '{') {
			size_t len = strcspn(url, "/");

			if (len == 0)
				return false;
			args[n++] = (struct argument){ url, len };
			url += len;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *url++) {
			return false;
		}
	}
	return *url == '\0';
}

static void allow_add(char allow[static 64], const char *method)
{
	size_t used = strlen(allow);

	snprintf(allow + used, 64 - used, "%s%s", used > 0 ? ", " : "", method);
}

static int no_route(const char *url, struct error *ret_error)
{
	const char *hint = "see GET /v1/openapi.yaml";

	if (strncmp(url, "/v1/", 4) != 0)
		hint = "everything but /metrics is below /v1; see GET /v1/openapi.yaml";
	return error_set(ret_error, ERROR_NO_ROUTE, hint, "%.200s: there is nothing here", url);
}

int route_find(struct request *r, const char *method, const char *url, struct error *ret_error)
{
	bool head = strcmp(method, "HEAD") == 0;
	const struct route *found = NULL;
	struct argument args[API_ARGS_MAX] = { 0 };
	char allow[64] = "";

	for (unsigned int i = 0; i < route_count && !found; i++) {
		struct argument these[API_ARGS_MAX] = { 0 };

		if (!pattern_matches(routes[i].pattern, url, these))
			continue;
		allow_add(allow, routes[i].method);
		if (strcmp(routes[i].method, head ? "GET" : method) == 0) {
			memcpy(args, these, sizeof(args));
			found = &routes[i];
		}
	}
	if (!found) {
		if (!allow[0])
			return no_route(url, ret_error);
		memcpy(r->allow, allow, sizeof(allow));
		if (strcmp(method, "OPTIONS") == 0)
			return 0;
		return error_set(ret_error, ERROR_BAD_METHOD, NULL, "%.20s: %.200s takes only %s",
				 method, url, allow);
	}
	for (unsigned int i = 0; i < API_ARGS_MAX && args[i].at; i++) {
		int n = query_decode("the path", args[i].at, args[i].len, r->arg[i],
				     sizeof(r->arg[i]), ret_error);

		if (n < 0)
			return n;
	}
	r->route = found;
	return 0;
}
