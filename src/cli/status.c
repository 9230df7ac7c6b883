#include "cli/cluster.h"
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>

/* What this host may do alone is the first question when nobody answers. */
static void fleet_part(struct grid *g, const json_t *f)
{
	char available[SHOW_NUMBER_MAX];

	if (!json_yes(f, "shared"))
		return;
	show_number(json_number(f, "available"), available);
	if (json_yes(f, "reachable"))
		show_pairf(g, "shared registry", "%s at %s, reachable for %s",
			   json_text(f, "backend"), json_text(f, "endpoint"),
			   json_text(f, "since"));
	else
		show_pairf(g, "shared registry",
			   "NOT REACHABLE since %s: %s; %s addresses are left",
			   json_text(f, "since"),
			   json_text(json_object_get(f, "trouble"), "message"), available);
	if (json_yes(f, "reachable"))
		show_trouble(g, f);
	show_pairf(g, "this host", "%s, %s; %llu hosts, %llu alive", json_text(f, "name"),
		   json_yes(f, "joined") ? json_text(f, "state") : "NOT JOINED",
		   json_number(f, "hosts"), json_number(f, "alive"));
	show_pairf(g, "blocks", "%llu here, of %llu; %s addresses are free in them",
		   json_number(f, "blocks_ours"), json_number(f, "blocks"), available);
	show_pairf(g, "moves", "%llu under way, %llu alarms%s", json_number(f, "moves"),
		   json_number(f, "alarms"),
		   json_yes(f, "tagged") ? "" : "; no cluster key: announcements bear no tag");
}

static void daemon_part(const json_t *s)
{
	const json_t *registry = json_object_get(s, "registry");
	char vmacs[SHOW_NUMBER_MAX], quarantined[SHOW_NUMBER_MAX];
	struct grid g = grid_of(NULL, 2);

	show_pairf(&g, "vmacd", "%s, up %s", json_text(s, "version"), json_text(s, "uptime"));
	show_pairf(&g, "registry", "%s at %s, %s", json_text(registry, "backend"),
		   json_text(registry, "where"),
		   json_yes(registry, "healthy") ? "healthy" : "FAILING");
	show_trouble(&g, registry);
	show_pairf(&g, "commits", "%llu (%llu transactions), last took %.1f ms, slowest %.1f ms",
		   json_number(registry, "commits"), json_number(registry, "transactions"),
		   (double)json_number(registry, "commit_ns_last") / 1e6,
		   (double)json_number(registry, "commit_ns_most") / 1e6);
	fleet_part(&g, json_object_get(s, "fleet"));
	show_pairf(&g, "data plane", "%s%s", json_text(s, "attach"),
		   json_yes(s, "maps_reused") ? ", taken over from an earlier run" : "");
	show_pairf(&g, "vmacs", "%s, and %s in quarantine",
		   show_number(json_number(s, "vmacs"), vmacs),
		   show_number(json_number(s, "quarantined"), quarantined));
	show_pairf(&g, "commands", "%llu, %llu refused", json_number(s, "commands"),
		   json_number(s, "refusals"));
	grid_print(&g);
}

static void segment_row(struct grid *g, const json_t *s)
{
	const json_t *trouble = json_object_get(s, "trouble");

	grid_add(g, json_text(s, "name"));
	if (json_number(s, "vlan"))
		grid_addf(g, "%s vlan %llu", json_text(s, "uplink"), json_number(s, "vlan"));
	else
		grid_add(g, json_text(s, "uplink")[0] ? json_text(s, "uplink") : "(internal)");
	grid_add(g, json_text(s, "reception"));
	grid_addf(g, "%llu", json_number(s, "vmacs"));
	grid_addf(g, "%llu", json_number(s, "ports"));
	grid_add(g, trouble ? json_text(trouble, "message") : "ok");
}

static void pool_row(struct grid *g, const json_t *p)
{
	unsigned long long size = json_number(p, "size") - json_number(p, "excluded");
	char number[SHOW_NUMBER_MAX];

	grid_add(g, json_text(p, "name"));
	grid_add(g, json_text(p, "segment"));
	grid_add(g, show_number(json_number(p, "used"), number));
	grid_add(g, show_number(json_number(p, "quarantined"), number));
	grid_add(g, show_number(json_number(p, "available"), number));
	grid_addf(g, "%.1f %%",
		  size ? 100.0 * (double)json_number(p, "used") / (double)size : 100.0);
}

static void port_row(struct grid *g, const json_t *p)
{
	const json_t *trouble = json_object_get(p, "trouble");

	grid_add(g, json_text(p, "name"));
	grid_add(g, json_text(p, "segment"));
	grid_add(g, json_text(p, "vmac"));
	grid_add(g, json_text(p, "kind"));
	grid_add(g, json_text(p, "ifname"));
	grid_add(g, json_text(p, "phase"));
	grid_add(g, json_text(p, "gate"));
	grid_add(g, trouble ? json_text(trouble, "message") : "ok");
}

static void router_row(struct grid *g, const json_t *r)
{
	const json_t *live = json_object_get(r, "live"), *set, *trouble;
	const char *state = "ok";
	size_t i;

	json_array_foreach (json_object_get(live, "sets"), i, set) {
		trouble = json_object_get(set, "trouble");
		if (json_is_object(trouble))
			state = json_text(trouble, "message");
	}
	grid_add(g, json_text(r, "name"));
	grid_add(g, json_text(r, "protocol"));
	grid_add(g, live ? json_text(live, "state") : "-");
	grid_add(g, live ? json_text(live, "reason") : "-");
	grid_add(g, state);
}

static void cluster_row(struct grid *g, const json_t *c)
{
	const json_t *live = json_object_get(c, "live");
	const json_t *trouble = json_object_get(c, "trouble");
	TEXT_AUTO addresses = json_words(c, "addresses", " ");

	grid_add(g, json_text(c, "name"));
	grid_add(g, json_text(c, "segment"));
	grid_add(g, addresses);
	cluster_add_up(g, c);
	grid_add(g, trouble			  ? json_text(trouble, "message")
		    : json_yes(live, "fail_open") ? "no member is fit: the last fit ones stay"
						  : "ok");
}

static const char *const segment_headings[] = { "SEGMENT", "UPLINK", "RECEPTION",
						">VMACS",  ">PORTS", "STATE" };
static const char *const pool_headings[] = { "POOL",	     "SEGMENT",	   ">USED",
					     ">QUARANTINED", ">AVAILABLE", ">FULL" };
static const char *const port_headings[] = { "PORT",   "SEGMENT", "VMAC", "KIND",
					     "IFNAME", "PHASE",	  "GATE", "STATE" };
static const char *const router_headings[] = { "ROUTER", "PROTOCOL", "ROLE", "REASON", "STATE" };
static const char *const cluster_headings[] = { "CLUSTER", "SEGMENT", "ADDRESSES", ">UP", "STATE" };

static const struct {
	const char *path;
	const char *const *headings;
	unsigned int columns;
	show_row_fn row;
} parts[] = {
	{ "/v1/segments", segment_headings, ARRAY_LEN(segment_headings), segment_row },
	{ "/v1/pools", pool_headings, ARRAY_LEN(pool_headings), pool_row },
	{ "/v1/ports", port_headings, ARRAY_LEN(port_headings), port_row },
	{ "/v1/routers", router_headings, ARRAY_LEN(router_headings), router_row },
	{ "/v1/clusters", cluster_headings, ARRAY_LEN(cluster_headings), cluster_row },
};

static int run(struct command *c)
{
	JSON_AUTO s = NULL;
	int r = call(c, "GET", "/v1/status", NULL, &s);

	if (r != 0 || !s || !call_talks(c))
		return r;
	daemon_part(s);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
		putchar('\n');
		r = show_list(c, parts[i].path, NULL, 0, parts[i].headings, parts[i].columns,
			      parts[i].row);
	}
	return r;
}

/* clang-format off */
static const struct verb verbs[] = {
	{ .name = "", .args = "", .run = run,
	  .summary = "Show what there is and how it is: daemon, registry, hosts, segments, pools, ports,"
		     " routers, clusters",
	  .examples = "  vmac status\n"
		      "  vmac --json status\n" },
};
/* clang-format on */

const struct noun noun_status = { "status", "what there is, and how it is", verbs,
				  ARRAY_LEN(verbs) };
