#include "cli/router.h"
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>

#define HISTORY_LIMIT 50 /* lines where nothing else is said */

static int add(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "routers", NULL }, false);
	JSON_AUTO answer = NULL;
	JSON_AUTO body = NULL;
	int r;

	if (!command_option(c, "protocol"))
		return command_misuse(c, "--protocol is missing");
	r = router_body(c, true, &body);
	if (r != 0)
		return r;
	json_object_set_new(body, "name", json_string(c->args[0]));
	r = call(c, "POST", path, body, &answer);
	if (r == 0 && answer && call_talks(c)) {
		TEXT_AUTO macs = router_sets_text(answer, "mac");

		printf("router %s added: %s\n", c->args[0], macs);
	}
	return r;
}

static void list_row(struct grid *g, const json_t *item)
{
	TEXT_AUTO interfaces = router_sets_text(item, "interface");
	TEXT_AUTO groups = router_sets_text(item, "group");
	TEXT_AUTO addresses = router_sets_text(item, "addresses");
	const json_t *live = json_object_get(item, "live");

	grid_add(g, json_text(item, "name"));
	grid_add(g, json_text(item, "protocol"));
	grid_add(g, interfaces);
	grid_add(g, groups);
	grid_add(g, json_text(live, "state"));
	grid_add(g, json_text(live, "since"));
	if (live && json_number(live, "priority") != json_number(item, "priority"))
		grid_addf(g, "%llu of %llu", json_number(live, "priority"),
			  json_number(item, "priority"));
	else
		grid_addf(g, "%llu", json_number(item, "priority"));
	grid_add(g, json_yes(live, "embodied") ? "here" : json_text(live, "active"));
	grid_add(g, addresses);
}

static int list(struct command *c)
{
	static const char *const headings[] = { "NAME",	     "PROTOCOL", "INTERFACE",
						"GROUP",     "STATE",	 "SINCE",
						">PRIORITY", "ACTIVE",	 "ADDRESSES" };
	TEXT_AUTO path = call_path(c, (const char *[]){ "routers", NULL }, true);

	return show_list(c, path, NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

static int show(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "routers", c->args[0], NULL }, false);
	JSON_AUTO answer = NULL;
	int r = call(c, "GET", path, NULL, &answer);

	if (r != 0 || !answer || !call_talks(c))
		return r;
	return router_print(answer);
}

static int set(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "routers", c->args[0], NULL }, false);
	JSON_AUTO answer = NULL;
	JSON_AUTO body = NULL;
	int r = router_body(c, false, &body);

	if (r != 0)
		return r;
	if (json_object_size(body) == (c->reason ? 1 : 0))
		return command_misuse(c, "there is nothing to change");
	r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("router %s changed\n", c->args[0]);
	return r;
}

static int erase(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "routers", c->args[0], NULL }, true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("router %s deleted\n", c->args[0]);
	return r;
}

static void history_row(struct grid *g, const json_t *h)
{
	const char *from = json_text(h, "from"), *to = json_text(h, "to");

	grid_add(g, json_text(h, "at"));
	grid_addf(g, "%s -> %s", from[0] ? from : "-", to[0] ? to : "-");
	grid_add(g, json_text(h, "reason"));
	grid_addf(g, "%llu", json_number(h, "priority"));
	grid_add(g, json_text(h, "detail"));
}

/* The daemon keeps few enough for one answer; --json is that answer as it is. */
static int history(struct command *c)
{
	static const char *const headings[] = { "AT", "CHANGE", "REASON", ">PRIORITY", "DETAIL" };
	TEXT_AUTO path =
		call_path(c, (const char *[]){ "routers", c->args[0], "history", NULL }, false);
	struct grid g = grid_of(headings, ARRAY_LEN(headings));
	const char *limit = command_option(c, "limit");
	unsigned long long most = HISTORY_LIMIT;
	JSON_AUTO answer = NULL;
	const json_t *item;
	char *end;
	size_t i;
	int r;

	if (limit) {
		most = strtoull(limit, &end, 10);
		if (limit[0] < '0' || limit[0] > '9' || *end || most == 0)
			return command_misuse(c, "--limit: \"%s\" is no number of lines", limit);
	}
	r = call(c, "GET", path, NULL, &answer);
	if (r != 0 || !answer || !call_talks(c))
		return r;
	json_array_foreach (json_object_get(answer, "items"), i, item)
		if (i < most)
			history_row(&g, item);
	return grid_print(&g) < 0 ? 1 : 0;
}

/* clang-format off */
#define ROUTER_OPTIONS \
	{ "interface", "IF", OPTION_TEXT, "the link of the group; with --group and --address" }, \
	{ "group", "N", OPTION_TEXT, "VRID, HSRP group or vhid" }, \
	{ "address", "IP/LEN", OPTION_LIST, "a virtual address; both families make two sets" }, \
	{ "set", "IF:N:IP/LEN,...", OPTION_LIST, "one more set, decided for by the same election" }, \
	{ "priority", "N", OPTION_NUMBER, "1 ... 255, the higher wins (100; CARP: 255)", "priority" }, \
	{ "interval", "DURATION", OPTION_TEXT, "between advertisements (1s; HSRP: 3s)", "interval" }, \
	{ "hold", "DURATION", OPTION_TEXT, "HSRP: the active one is dead after this (10s); auto: learn" }, \
	{ "learn", NULL, OPTION_FLAG, "HSRP: take timers and address from the active router" }, \
	{ "preempt", NULL, OPTION_FLAG, "take over from a lesser one (VRRP does)" }, \
	{ "no-preempt", NULL, OPTION_FLAG, "leave a lesser one active (HSRP and CARP do)" }, \
	{ "preempt-delay", "DURATION", OPTION_TEXT, "be fit so long before that (0)", "preempt_delay" }, \
	{ "boot-hold", "DURATION", OPTION_TEXT, "take no part so long after the daemon's start (0)", \
	  "boot_hold" }, \
	{ "accept", NULL, OPTION_FLAG, "take packets for the virtual addresses (HSRP and CARP do)" }, \
	{ "no-accept", NULL, OPTION_FLAG, "only forward (VRRP does)" }, \
	{ "also-v2", NULL, OPTION_FLAG, "VRRPv3, IPv4: send VRRPv2 too, for old neighbours" }, \
	{ "checksum", "DIALECT", OPTION_TEXT, "VRRPv3, IPv4: auto, pseudo-header or plain (auto)", \
	  "checksum" }, \
	{ "garp", "FORM", OPTION_TEXT, "announce by request, reply or both (request)", "garp" }, \
	{ "announce-count", "N", OPTION_NUMBER, "announcements after becoming active (3)", \
	  "announce_count" }, \
	{ "announce-refresh", "DURATION", OPTION_TEXT, "announce again so often; 0 = never (0)", \
	  "announce_refresh" }, \
	{ "linger", "DURATION", OPTION_TEXT, "serve on so long at most after having resigned (auto)", \
	  "linger" }, \
	{ "peer", "IP", OPTION_LIST, "unicast to this one; with --interface" }, \
	{ "source", "IP", OPTION_TEXT, "send from this address; with --interface" }, \
	{ "mac", "ADDRESS", OPTION_TEXT, "another vMAC than the protocol's; with --interface" }, \
	{ "device", "IF", OPTION_TEXT, "the name of the link that carries it; with --interface" }, \
	{ "auth", "TYPE", OPTION_TEXT, "none, text, md5 or hmac (none)" }, \
	{ "auth-mode", "MODE", OPTION_TEXT, "receive-only, permissive or enforce (enforce)" }, \
	{ "key", "[ID:]SECRET", OPTION_LIST, "every user of this host may see it: prefer --key-file" }, \
	{ "key-file", "FILE", OPTION_LIST, "[ID:]SECRET a line; the first key is sent; - = stdin" }, \
	{ "track", "KIND:TARGET,...", OPTION_LIST, "KIND: interface, route, script, file, router, http, ping" }, \
	{ "notify", "FILE", OPTION_TEXT, "a program told of every transition; \"\" = none", "notify" }, \
	{ "note", "TEXT", OPTION_TEXT, "free text", "note" }

static const struct option add_options[] = {
	{ "protocol", "P", OPTION_TEXT, "vrrp3, vrrp2, hsrp1, hsrp2 or carp", "protocol" },
	ROUTER_OPTIONS,
	{ "disabled", NULL, OPTION_FLAG, "take no part until it is enabled" },
};

static const struct option set_options[] = {
	{ "protocol", "P", OPTION_TEXT, "vrrp3, vrrp2, hsrp1, hsrp2 or carp", "protocol" },
	ROUTER_OPTIONS,
	{ "no-learn", NULL, OPTION_FLAG, "HSRP: keep to its own timers" },
	{ "no-also-v2", NULL, OPTION_FLAG, "send VRRPv3 only" },
	{ "no-tracks", NULL, OPTION_FLAG, "track nothing" },
	{ "enable", NULL, OPTION_FLAG, "take part" },
	{ "disable", NULL, OPTION_FLAG, "resign, and take no part" },
};

static const struct option history_of_options[] = {
	{ "limit", "N", OPTION_NUMBER, "this many lines at most (50)" },
};

#define TRACK_HELP \
	"A track is KIND:TARGET[,weight=N][,interval=D][,timeout=D][,rise=N][,fall=N].  A negative\n" \
	"weight is added to the priority while the target is down, a positive one while it is up;\n" \
	"with weight 0 (the default) a router whose target is down takes no part.\n"

static const struct verb verbs[] = {
	{ .name = "add", .args = "NAME", .args_min = 1, .args_max = 1, .run = add, .writes = true,
	  OPTIONS(add_options), .summary = "Add a redundant router: one election on this host",
	  .more = "The sets of a router are decided for together: they never disagree.\n" TRACK_HELP
		  "Programs (--notify, --track script:...) run as root, so only root may name them.",
	  .examples = "  vmac router add gw --protocol vrrp3 --interface eth0 --group 7 --address 192.0.2.1/24\n"
		      "  vmac router add gw --protocol vrrp3 --interface eth0 --group 7 --address 192.0.2.1/24 --address fe80::1/64 --address 2001:db8::1/64 --priority 150\n"
		      "  vmac router add fw --protocol vrrp3 --set eth0:7:192.0.2.1/24 --set eth1:8:198.51.100.1/24 --track ping:203.0.113.9,weight=-60\n" },
	{ .name = "list", .args = "", .run = list, .summary = "List the routers and who is active",
	  .examples = "  vmac router list\n" },
	{ .name = "show", .args = "NAME", .args_min = 1, .args_max = 1, .run = show,
	  .summary = "Show a router: its state and why, who is active, timers, tracks, counters",
	  .examples = "  vmac router show gw\n" },
	{ .name = "set", .args = "NAME", .args_min = 1, .args_max = 1, .run = set, .writes = true,
	  OPTIONS(set_options), .summary = "Change a router; what can be changed in place does not flap",
	  .more = "What is given replaces what was; --set, --key and --track replace all of their kind.\n"
		  TRACK_HELP,
	  .examples = "  vmac router set gw --priority 50\n"
		      "  vmac router set gw --disable --reason \"new power supply\"\n" },
	{ .name = "delete", .args = "NAME", .args_min = 1, .args_max = 1, .run = erase,
	  .writes = true, .summary = "Delete a router; it resigns first",
	  .examples = "  vmac router delete gw\n" },
	{ .name = "history", .args = "NAME", .args_min = 1, .args_max = 1, .run = history,
	  OPTIONS(history_of_options), .summary = "Show its transitions and their reasons, newest first",
	  .examples = "  vmac router history gw --limit 5\n" },
};
/* clang-format on */

const struct noun noun_router = { "router", "redundant routers: one election each", verbs,
				  ARRAY_LEN(verbs) };
