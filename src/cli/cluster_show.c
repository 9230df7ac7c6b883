/* vmac cluster: what an answer looks like to people. */
#include "cli/cluster.h"

#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/show.h"

static void show_face(struct grid *g, const json_t *f)
{
	const char *anchor = json_text(f, "anchor");

	/* A host that is alone holds it for as long as it likes. */
	if (json_yes(f, "here") && !json_object_get(f, "lease_ms"))
		show_pairf(g, "face", "%s here at epoch %llu", json_text(f, "address"),
			   json_number(f, "epoch"));
	else if (json_yes(f, "here"))
		show_pairf(g, "face", "%s here at epoch %llu (lease of %llu ms left)",
			   json_text(f, "address"), json_number(f, "epoch"),
			   json_number(f, "lease_ms"));
	else
		show_pairf(g, "face", "%s %s%s at epoch %llu", json_text(f, "address"),
			   anchor[0] ? "at " : "nowhere", anchor, json_number(f, "epoch"));
}

static void show_check(struct grid *g, const json_t *check)
{
	const char *type = json_text(check, "type");

	if (strcmp(type, "none") == 0) {
		show_pair(g, "check", "none");
		return;
	}
	if (json_number(check, "port"))
		show_pairf(g, "check",
			   "%s port %llu%s%s every %s, %s to answer, rise %llu, fall %llu", type,
			   json_number(check, "port"), json_text(check, "path")[0] ? " " : "",
			   json_text(check, "path"), json_text(check, "interval"),
			   json_text(check, "timeout"), json_number(check, "rise"),
			   json_number(check, "fall"));
	else
		show_pairf(g, "check", "%s every %s, %s to answer, rise %llu, fall %llu", type,
			   json_text(check, "interval"), json_text(check, "timeout"),
			   json_number(check, "rise"), json_number(check, "fall"));
}

static void show_live(struct grid *g, const json_t *live)
{
	const json_t *claimant = json_object_get(live, "claimant");
	const json_t *value;
	char number[SHOW_NUMBER_MAX];
	const char *name;

	show_pairf(g, "hosts", "%llu", json_number(live, "hosts"));
	show_pairf(g, "view", "%llu of epoch %llu%s", json_number(live, "view_number"),
		   json_number(live, "view_epoch"),
		   json_yes(live, "coordinator") ? ", made here" : "");
	if (json_yes(live, "fail_open"))
		show_pair(g, "ALARM", "no member is fit: the last fit ones stay");
	if (claimant)
		show_pairf(g, "ALARM",
			   "%s says on the wire that %s is its own, since %s (%llu times)",
			   json_text(claimant, "address"),
			   json_text(claimant, "ip")[0] ? json_text(claimant, "ip")
							: "an IPv6 address",
			   json_text(claimant, "since"), json_number(claimant, "count"));
	if (json_number(live, "rows_unassigned"))
		show_pairf(g, "rows of nobody", "%llu of %llu",
			   json_number(live, "rows_unassigned"), json_number(live, "rows"));
	json_object_foreach (json_object_get(live, "counters"), name, value)
		if (json_integer_value(value) > 0) {
			grid_addf(g, "%s:", name);
			grid_add(g, show_number((unsigned long long)json_integer_value(value),
						number));
		}
}

static void member_row(struct grid *g, const json_t *m, unsigned long long rows)
{
	const char *name = json_text(m, "name");
	char number[SHOW_NUMBER_MAX];

	grid_add(g, json_text(m, "address"));
	grid_add(g, name[0] ? name : json_text(m, "port"));
	grid_add(g, json_text(m, "host"));
	grid_add(g, json_text(m, "live"));
	grid_addf(g, "%llu", json_number(m, "weight"));
	grid_addf(g, "%llu", json_number(m, "priority"));
	if (rows)
		grid_addf(g, "%.1f %%", 100.0 * (double)json_number(m, "rows") / (double)rows);
	else
		grid_add(g, "");
	grid_add(g, show_number(json_number(m, "flows"), number));
	grid_add(g, show_number(json_number(m, "frames"), number));
	grid_add(g, json_text(m, "detail"));
}

static int print_members(const json_t *cluster)
{
	static const char *const headings[] = { "MEMBER",  "NAME",	"HOST",	  "STATE",
						">WEIGHT", ">PRIORITY", ">SHARE", ">FLOWS",
						">FRAMES", "CHECK" };
	const json_t *live = json_object_get(cluster, "live"), *m;
	struct grid g = grid_of(headings, ARRAY_LEN(headings));
	size_t i;

	if (json_array_size(json_object_get(cluster, "members")) == 0)
		return 0;
	putchar('\n');
	json_array_foreach (json_object_get(cluster, "members"), i, m)
		member_row(&g, m, json_number(live, "rows"));
	return grid_print(&g) < 0 ? 1 : 0;
}

int cluster_print(const json_t *cluster)
{
	const json_t *live = json_object_get(cluster, "live"), *item;
	struct grid g = grid_of(NULL, 2);
	size_t i;

	show_pair(&g, "name", json_text(cluster, "name"));
	show_pair(&g, "segment", json_text(cluster, "segment"));
	show_pairf(&g, "mode", "%s%s", json_text(cluster, "mode"),
		   json_yes(cluster, "nat") ? ", addresses rewritten at the members' ports" : "");
	show_words(&g, "addresses", cluster, "addresses");
	json_array_foreach (json_object_get(cluster, "faces"), i, item)
		show_face(&g, item);
	show_pairf(&g, "table", "%s, affinity %s", json_text(cluster, "table"),
		   json_text(cluster, "affinity"));
	json_array_foreach (json_object_get(cluster, "rules"), i, item)
		show_pairf(&g, "rule", "%s is %s", json_text(item, "match"),
			   json_text(item, "action"));
	show_check(&g, json_object_get(cluster, "check"));
	if (json_is_object(live))
		show_live(&g, live);
	if (json_is_object(json_object_get(cluster, "trouble")))
		show_trouble(&g, cluster);
	if (json_text(cluster, "note")[0])
		show_pair(&g, "note", json_text(cluster, "note"));
	if (grid_print(&g) < 0)
		return 1;
	return print_members(cluster);
}
