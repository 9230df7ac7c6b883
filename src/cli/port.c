#include "cli/account.h"
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- add ------------------------------------------------------------------------------------- */

static int add_owner(const struct command *c, json_t *body)
{
	const char *user = command_option(c, "user"), *group = command_option(c, "group");
	long long id;

	if (user) {
		id = account_user(user);
		if (id < 0)
			return command_misuse(c, "--user: there is no user %s", user);
		json_object_set_new(body, "owner_uid", json_integer(id));
	}
	if (group) {
		id = account_group(group);
		if (id < 0)
			return command_misuse(c, "--group: there is no group %s", group);
		json_object_set_new(body, "owner_gid", json_integer(id));
	}
	return 0;
}

/* A name means what ip-netns(8) makes. */
static void add_netns(const struct command *c, json_t *body)
{
	const char *netns = command_option(c, "netns");
	char path[512];

	if (!netns)
		return;
	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	json_object_set_new(body, "netns", json_string(path));
}

static int add_body(const struct command *c, json_t **ret)
{
	JSON_AUTO body = NULL;
	int r;

	if (!command_option(c, "kind"))
		return command_misuse(c, "--kind is missing: tap, veth or netdev");
	r = call_body(c, &body);
	if (r != 0)
		return r;
	if (command_option(c, "mac") && json_object_get(body, "allocate"))
		return command_misuse(
			c, "--mac takes a vMAC that is there: --pool, --owner, --tenant, "
			   "--ip, --address, --stable and --ttl are for a new one");
	json_object_set_new(body, "name", json_string(c->args[0]));
	add_netns(c, body);
	r = add_owner(c, body);
	if (r == 0)
		*ret = TAKE_PTR(body);
	return r;
}

static int add(struct command *c)
{
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = add_body(c, &body);

	if (r == 0)
		r = call(c, "POST", "/v1/ports", body, &answer);
	if (r == 0 && answer && call_talks(c))
		printf("port %s added: %s on %s, %s\n", c->args[0], json_text(answer, "vmac"),
		       json_text(answer, "ifname"), json_text(answer, "phase"));
	return r;
}

/* --- look ------------------------------------------------------------------------------------ */

static unsigned long long drops_of(const json_t *port)
{
	const json_t *drops = json_object_get(json_object_get(port, "counters"), "drops"), *n;
	unsigned long long sum = 0;
	const char *reason;

	json_object_foreach ((json_t *)drops, reason, n)
		sum += (unsigned long long)json_integer_value(n);
	return sum;
}

static void list_row(struct grid *g, const json_t *p)
{
	const json_t *counters = json_object_get(p, "counters");
	char number[SHOW_NUMBER_MAX];

	grid_add(g, json_text(p, "name"));
	grid_add(g, json_text(p, "segment"));
	grid_add(g, json_text(p, "kind"));
	grid_add(g, json_text(p, "vmac"));
	grid_add(g, json_text(p, "ifname"));
	grid_add(g, json_text(p, "phase"));
	grid_add(g, json_text(p, "gate"));
	grid_add(g, show_number(json_number(counters, "rx_frames"), number));
	grid_add(g, show_number(json_number(counters, "tx_frames"), number));
	grid_add(g, show_number(drops_of(p), number));
	grid_add(g, json_text(json_object_get(p, "trouble"), "message"));
}

static int list(struct command *c)
{
	static const char *const headings[] = { "NAME",	  "SEGMENT",  "KIND",	"VMAC",
						"IFNAME", "PHASE",    "GATE",	">RX",
						">TX",	  ">DROPPED", "TROUBLE" };
	TEXT_AUTO path = call_path(c, (const char *[]){ "ports", NULL }, true);

	return show_list(c, path, NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

static void show_counters(const json_t *counters)
{
	static const char *const headings[] = { "COUNTER", ">VALUE" };
	static const char *const names[] = { "rx_frames", "rx_octets", "tx_frames", "tx_octets",
					     "link_dropped" };
	struct grid g = grid_of(headings, 2);
	char number[SHOW_NUMBER_MAX];
	const char *reason;
	const json_t *n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		grid_add(&g, names[i]);
		grid_add(&g, show_number(json_number(counters, names[i]), number));
	}
	if (json_object_get(counters, "redirected")) {
		grid_add(&g, "redirected");
		grid_add(&g, show_number(json_number(counters, "redirected"), number));
	}
	json_object_foreach (json_object_get(counters, "drops"), reason, n) {
		grid_addf(&g, "dropped: %s", reason);
		grid_add(&g, show_number((unsigned long long)json_integer_value(n), number));
	}
	putchar('\n');
	grid_print(&g);
}

static void show_claims(struct grid *g, const json_t *p)
{
	const json_t *claim;
	size_t i;

	json_array_foreach (json_object_get(p, "claims"), i, claim) {
		const char *holder = json_text(claim, "holder"), *mac = json_text(claim, "mac");

		if (strcmp(holder, "nobody") == 0)
			show_pairf(g, "router", "%s: nobody has it", mac);
		else
			show_pairf(g, "router", "%s: %s%s has it, for %s", mac,
				   strcmp(holder, "port") == 0 ? "port " : "the ",
				   strcmp(holder, "port") == 0 ? json_text(claim, "port") : holder,
				   json_text(claim, "expires"));
	}
}

static int show(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "ports", c->args[0], NULL }, false);
	static const char *const plain[] = { "name",   "segment", "kind", "vmac",
					     "ifname", "phase",	  "gate" };
	const json_t *counters;
	struct grid g = grid_of(NULL, 2);
	JSON_AUTO p = NULL;
	int r = call(c, "GET", path, NULL, &p);

	if (r != 0 || !p || !call_talks(c))
		return r;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		show_pair(&g, plain[i], json_text(p, plain[i]));
	show_pairf(&g, "mtu", "%llu", json_number(p, "mtu"));
	if (json_object_get(p, "queues"))
		show_pairf(&g, "queues", "%llu", json_number(p, "queues"));
	if (json_object_get(p, "owner_uid"))
		show_pairf(&g, "user", "%llu", json_number(p, "owner_uid"));
	if (json_object_get(p, "owner_gid"))
		show_pairf(&g, "group", "%llu", json_number(p, "owner_gid"));
	if (json_object_get(p, "peer_netns"))
		show_pairf(&g, "peer", "%s in %s", json_text(p, "peer_ifname"),
			   json_text(p, "peer_netns"));
	show_words(&g, "allowed", p, "allow");
	show_pairf(&g, "flood pps", "%llu", json_number(p, "flood_pps"));
	show_claims(&g, p);
	counters = json_object_get(p, "counters");
	if (json_text(counters, "last_seen")[0])
		show_pairf(&g, "last seen", "%s ago", json_text(counters, "last_seen"));
	show_pair(&g, "created", json_text(p, "created"));
	show_trouble(&g, p);
	if (grid_print(&g) < 0)
		return 1;
	if (counters)
		show_counters(counters);
	return 0;
}

/* --- change ---------------------------------------------------------------------------------- */

static int patch(struct command *c, const char *gate, bool no_routers, const char *said)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "ports", c->args[0], NULL }, false);
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = call_body(c, &body);

	if (r != 0)
		return r;
	if (gate)
		json_object_set_new(body, "gate", json_string(gate));
	if (no_routers)
		json_object_set_new(body, "routers", json_array());
	r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("port %s %s\n", c->args[0], said);
	return r;
}

static int set(struct command *c)
{
	bool no_routers = command_option(c, "no-routers") != NULL;

	if (no_routers && command_option(c, "router"))
		return command_misuse(c, "--router and --no-routers do not go together");
	return patch(c, NULL, no_routers, "changed");
}

static int open_gate(struct command *c)
{
	return patch(c, "open", false, "opened");
}

static int close_gate(struct command *c)
{
	return patch(c, "closed", false, "closed");
}

static int erase(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "ports", c->args[0], NULL }, true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("port %s deleted\n", c->args[0]);
	return r;
}

/* clang-format off */
#define ALLOW { "allow", "LIST", OPTION_WORDS, "of dhcp-server, router-advert, any-ip; '' = none", "allow" }
#define FLOOD { "flood-pps", "N", OPTION_NUMBER,                                                  \
		"broadcast and multicast frames a second; 0 = no limit (10000)", "flood_pps" }

#define ROUTER { "router", "MAC", OPTION_LIST,                                                    \
		 "vMAC of VRRP, HSRP or CARP that the guest may have as active router", "routers" }

static const struct option add_options[] = {
	{ "kind", "KIND", OPTION_TEXT, "tap (for a VM), veth (for a namespace) or netdev (one that is there)",
	  "kind" },
	{ "segment", "NAME", OPTION_TEXT, "may be left out if there is one", "segment" },
	{ "mac", "ADDRESS|NAME", OPTION_TEXT, "the vMAC it carries; without, a new one is allocated:",
	  "vmac" },
	{ "pool", "NAME", OPTION_TEXT, "from this pool", "allocate.pool" },
	{ "owner", "TEXT", OPTION_TEXT, "with this owner", "allocate.owner" },
	{ "tenant", "TEXT", OPTION_TEXT, "for this tenant", "allocate.tenant" },
	{ "note", "TEXT", OPTION_TEXT, "with this remark", "allocate.note" },
	{ "ip", "ADDRESS", OPTION_LIST, "bound to these IPs", "allocate.ips" },
	{ "address", "MAC", OPTION_TEXT, "exactly this one", "allocate.address" },
	{ "adopt", "MAC", OPTION_TEXT, "this one, which its guest has already", "allocate.adopt" },
	{ "stable", "IDENTITY", OPTION_TEXT, "derived from this identity", "allocate.stable" },
	{ "ttl", "DURATION", OPTION_TEXT, "with this lifetime", "allocate.ttl" },
	{ "ifname", "IFNAME", OPTION_TEXT, "the host's side (the port's name)", "ifname" },
	{ "netns", "NAME|PATH", OPTION_TEXT, "veth: the namespace of the other side" },
	{ "peer-ifname", "IFNAME", OPTION_TEXT, "veth: the name in there (eth0)", "peer_ifname" },
	{ "user", "USER", OPTION_TEXT, "tap: who may open it (root)" },
	{ "group", "GROUP", OPTION_TEXT, "tap: which group may" },
	{ "queues", "N", OPTION_NUMBER, "tap: pairs of queues, 1 ... 256 (1)", "queues" },
	{ "mtu", "N", OPTION_NUMBER, "longest packet (the uplink's)", "mtu" },
	ALLOW,
	FLOOD,
	ROUTER,
	{ "closed", NULL, OPTION_FLAG, "let nothing pass until port open", "closed" },
};
static const struct option list_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "only this segment's", "segment" },
};
static const struct option set_options[] = {
	ALLOW,
	FLOOD,
	ROUTER,
	{ "no-routers", NULL, OPTION_FLAG, "it is no router any more" },
};
static const struct option delete_options[] = {
	{ "release", NULL, OPTION_FLAG, "its vMAC, too: into quarantine", "release" },
};

#define ONE_NAME .args = "NAME", .args_min = 1, .args_max = 1

static const struct verb verbs[] = {
	{ .name = "add", ONE_NAME, .run = add, .writes = true, OPTIONS(add_options),
	  .summary = "Plug a vMAC in: into a VM, a container or a netdev",
	  .more = "Only frames from its vMAC leave a port, and where IPs are bound only packets from\n"
		  "these; DHCP answers and router advertisements are dropped unless allowed. With --router\n"
		  "the guest may also speak with that vMAC while it is the active router, and forward\n"
		  "packets from any IP.\n\n"
		  "--mac also takes the address of a vMAC that another host holds: a guest that comes from\n"
		  "there.  The port stays closed until its move is prepared (mac prepare, before or after),\n"
		  "and opens with the guest's first frame.",
	  .examples = "  vmac port add web1 --kind tap --user libvirt-qemu\n"
		      "  vmac port add c7 --kind veth --netns c7 --ip 192.0.2.7\n"
		      "  vmac port add gw --kind netdev --ifname vnet3 --mac gw --allow router-advert\n" },
	{ .name = "list", .args = "", .run = list, OPTIONS(list_options), .summary = "List the ports",
	  .examples = "  vmac port list\n" },
	{ .name = "show", ONE_NAME, .run = show,
	  .summary = "Show a port with its counters, drops by reason",
	  .examples = "  vmac port show web1\n" },
	{ .name = "set", ONE_NAME, .run = set, .writes = true, OPTIONS(set_options),
	  .summary = "Change what a port may do",
	  .examples = "  vmac port set web1 --allow dhcp-server,router-advert\n" },
	{ .name = "open", ONE_NAME, .run = open_gate, .writes = true, .summary = "Let traffic pass",
	  .examples = "  vmac port open web1\n" },
	{ .name = "close", ONE_NAME, .run = close_gate, .writes = true,
	  .summary = "Let nothing pass, either way",
	  .examples = "  vmac port close web1 --reason 'sends garbage'\n" },
	{ .name = "delete", ONE_NAME, .run = erase, .writes = true, OPTIONS(delete_options),
	  .summary = "Unplug: delete the port, and its link where we made it",
	  .examples = "  vmac port delete web1\n"
		      "  vmac port delete web1 --release\n" },
};
/* clang-format on */

const struct noun noun_port = { "port", "where vMACs meet VMs, containers and netdevs", verbs,
				ARRAY_LEN(verbs) };
