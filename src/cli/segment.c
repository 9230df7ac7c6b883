#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>

static int add(struct command *c)
{
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = call_body(c, &body);

	if (r != 0)
		return r;
	json_object_set_new(body, "name", json_string(c->args[0]));
	r = call(c, "POST", "/v1/segments", body, &answer);
	if (r == 0 && call_talks(c))
		printf("segment %s added\n", c->args[0]);
	return r;
}

static void list_row(struct grid *g, const json_t *s)
{
	unsigned long long vlan = json_number(s, "vlan");

	grid_add(g, json_text(s, "name"));
	grid_add(g, json_text(s, "uplink")[0] ? json_text(s, "uplink") : "(internal)");
	if (vlan)
		grid_addf(g, "%llu", vlan);
	else
		grid_add(g, "");
	grid_addf(g, "%llu", json_number(s, "pools"));
	grid_addf(g, "%llu", json_number(s, "vmacs"));
	grid_addf(g, "%llu", json_number(s, "ports"));
	grid_add(g, json_text(s, "reception"));
	grid_add(g, json_text(json_object_get(s, "trouble"), "message"));
}

static int list(struct command *c)
{
	static const char *const headings[] = { "NAME",	  "UPLINK", ">VLAN",	 ">POOLS",
						">VMACS", ">PORTS", "RECEPTION", "TROUBLE" };

	return show_list(c, "/v1/segments", NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

static int show(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "segments", c->args[0], NULL }, false);
	struct grid g = grid_of(NULL, 2);
	JSON_AUTO s = NULL;
	int r = call(c, "GET", path, NULL, &s);

	if (r != 0 || !s || !call_talks(c))
		return r;
	show_pair(&g, "name", json_text(s, "name"));
	show_pair(&g, "uplink", json_text(s, "uplink")[0] ? json_text(s, "uplink") : "(internal)");
	if (json_number(s, "vlan"))
		show_pairf(&g, "vlan", "%llu", json_number(s, "vlan"));
	if (json_yes(s, "uplink_present")) {
		show_pair(&g, "uplink address", json_text(s, "uplink_address"));
		show_pairf(&g, "uplink mtu", "%llu", json_number(s, "uplink_mtu"));
	} else if (json_text(s, "uplink")[0]) {
		show_pair(&g, "uplink present", "no");
	}
	show_pair(&g, "reception", json_text(s, "reception"));
	show_pairf(&g, "pools", "%llu", json_number(s, "pools"));
	show_pairf(&g, "vmacs", "%llu", json_number(s, "vmacs"));
	show_pairf(&g, "ports", "%llu", json_number(s, "ports"));
	show_pair(&g, "created", json_text(s, "created"));
	show_trouble(&g, s);
	return grid_print(&g) < 0 ? 1 : 0;
}

static int erase(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "segments", c->args[0], NULL }, true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("segment %s deleted\n", c->args[0]);
	return r;
}

/* clang-format off */
static const struct option add_options[] = {
	{ "uplink", "IFNAME", OPTION_TEXT, "the NIC to share; without: internal, ports only", "uplink" },
	{ "vlan", "N", OPTION_NUMBER, "a VLAN of the uplink, 1 ... 4094", "vlan" },
};

static const struct verb verbs[] = {
	{ .name = "add", .args = "NAME", .args_min = 1, .args_max = 1, .run = add, .writes = true,
	  OPTIONS(add_options), .summary = "Add a segment: one layer-2 network on this host",
	  .more = "The uplink keeps its name and its addresses; no bridge is made.",
	  .examples = "  vmac segment add lan --uplink eth0\n"
		      "  vmac segment add dmz --uplink eth0 --vlan 20\n"
		      "  vmac segment add private          # ports of this host only\n" },
	{ .name = "list", .args = "", .run = list, .summary = "List the segments",
	  .examples = "  vmac segment list\n" },
	{ .name = "show", .args = "NAME", .args_min = 1, .args_max = 1, .run = show,
	  .summary = "Show a segment, and how its uplink receives",
	  .examples = "  vmac segment show lan\n" },
	{ .name = "delete", .args = "NAME", .args_min = 1, .args_max = 1, .run = erase,
	  .writes = true, .summary = "Delete a segment that has no pools, vMACs and ports any more",
	  .examples = "  vmac segment delete dmz --reason 'moved to VLAN 30'\n" },
};
/* clang-format on */

const struct noun noun_segment = { "segment", "networks: an uplink, or a VLAN of it", verbs,
				   ARRAY_LEN(verbs) };
