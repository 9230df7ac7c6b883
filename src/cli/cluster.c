/* vmac cluster: many servers, one virtual MAC. */
#include "cli/cluster.h"
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *path_of(const struct command *c, const char *name, bool with_options)
{
	return call_path(c, (const char *[]){ "clusters", name, NULL }, with_options);
}

static int add(struct command *c)
{
	TEXT_AUTO path = call_path(c, (const char *[]){ "clusters", NULL }, false);
	const json_t *face;
	JSON_AUTO answer = NULL;
	JSON_AUTO body = NULL;
	int r = cluster_body(c, &body);
	size_t i;

	if (r != 0)
		return r;
	json_object_set_new(body, "name", json_string(c->args[0]));
	r = call(c, "POST", path, body, &answer);
	if (r == 0 && answer && call_talks(c)) {
		printf("cluster %s added:", c->args[0]);
		json_array_foreach (json_object_get(answer, "faces"), i, face)
			printf(" %s", json_text(face, "address"));
		putchar('\n');
	}
	return r;
}

void cluster_add_up(struct grid *g, const json_t *cluster)
{
	const json_t *members = json_object_get(cluster, "members"), *m;
	unsigned int up = 0;
	size_t i;

	json_array_foreach (members, i, m)
		up += strcmp(json_text(m, "live"), "up") == 0;
	if (strcmp(json_text(cluster, "mode"), "carry") == 0)
		grid_addf(g, "%zu", json_array_size(members));
	else
		grid_addf(g, "%u of %zu", up, json_array_size(members));
}

static void list_row(struct grid *g, const json_t *item)
{
	TEXT_AUTO addresses = json_words(item, "addresses", " ");
	const json_t *faces = json_object_get(item, "faces"), *face = json_array_get(faces, 0);

	grid_add(g, json_text(item, "name"));
	grid_add(g, json_text(item, "segment"));
	grid_add(g, json_text(item, "mode"));
	grid_add(g, addresses);
	if (json_array_size(faces) > 1)
		grid_addf(g, "%s and %zu more", json_text(face, "address"),
			  json_array_size(faces) - 1);
	else
		grid_add(g, json_text(face, "address"));
	grid_add(g, json_yes(face, "here") ? "here" : json_text(face, "anchor"));
	cluster_add_up(g, item);
}

static int list(struct command *c)
{
	static const char *const headings[] = { "NAME", "SEGMENT", "MODE", "ADDRESSES",
						"FACE", "ANCHOR",  ">UP" };
	TEXT_AUTO path = call_path(c, (const char *[]){ "clusters", NULL }, true);

	return show_list(c, path, NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

static int show(struct command *c)
{
	TEXT_AUTO path = path_of(c, c->args[0], false);
	JSON_AUTO answer = NULL;
	int r = call(c, "GET", path, NULL, &answer);

	if (r != 0 || !answer || !call_talks(c))
		return r;
	return cluster_print(answer);
}

static int set(struct command *c)
{
	TEXT_AUTO path = path_of(c, c->args[0], false);
	JSON_AUTO answer = NULL;
	JSON_AUTO body = NULL;
	int r = cluster_body(c, &body);

	if (r != 0)
		return r;
	if (json_object_size(body) == (c->reason ? 1 : 0))
		return command_misuse(c, "there is nothing to change");
	r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("cluster %s changed\n", c->args[0]);
	return r;
}

static int erase(struct command *c)
{
	TEXT_AUTO path = path_of(c, c->args[0], true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("cluster %s deleted\n", c->args[0]);
	return r;
}

/* --- members --------------------------------------------------------------------------------- */

static int member_add(struct command *c)
{
	TEXT_AUTO path =
		call_path(c, (const char *[]){ "clusters", c->args[0], "members", NULL }, false);
	int r = 0;

	for (unsigned int i = 1; i < c->arg_count && r == 0; i++) {
		JSON_AUTO answer = NULL;
		JSON_AUTO body = NULL;

		r = call_body(c, &body);
		if (r != 0)
			return r;
		json_object_set_new(body, "member", json_string(c->args[i]));
		r = call(c, "POST", path, body, &answer);
		if (r == 0 && call_talks(c))
			printf("%s is a member of %s\n", c->args[i], c->args[0]);
	}
	return r;
}

static int member_remove(struct command *c)
{
	int r = 0;

	for (unsigned int i = 1; i < c->arg_count && r == 0; i++) {
		TEXT_AUTO path = call_path(
			c, (const char *[]){ "clusters", c->args[0], "members", c->args[i], NULL },
			true);
		JSON_AUTO answer = NULL;

		r = call(c, "DELETE", path, NULL, &answer);
		if (r == 0 && call_talks(c))
			printf("%s is no member of %s any more\n", c->args[i], c->args[0]);
	}
	return r;
}

/* PATCHes one member with what the options say and, where it is not NULL, a state. */
static int member_patch(struct command *c, const char *member, const char *state, json_t *more,
			const char *said)
{
	TEXT_AUTO path = call_path(
		c, (const char *[]){ "clusters", c->args[0], "members", member, NULL }, false);
	JSON_AUTO answer = NULL;
	JSON_AUTO body = NULL;
	int r = call_body(c, &body);

	if (r == 0 && state)
		json_object_set_new(body, "state", json_string(state));
	if (r == 0 && more)
		json_object_update(body, more);
	if (r == 0)
		r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("%s %s\n", member, said);
	return r;
}

static int members_patch(struct command *c, const char *state, const char *said)
{
	int r = 0;

	for (unsigned int i = 1; i < c->arg_count && r == 0; i++)
		r = member_patch(c, c->args[i], state, NULL, said);
	return r;
}

static int member_drain(struct command *c)
{
	return members_patch(c, "draining", "takes no new flow");
}

static int member_fail(struct command *c)
{
	return members_patch(c, "failed", "counts as dead");
}

static int member_activate(struct command *c)
{
	return members_patch(c, "active", "takes flows again");
}

static int member_number(struct command *c, const char *key)
{
	JSON_AUTO more = json_object();
	const char *text = c->args[2];
	long long n;
	char *end;

	n = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end)
		return command_misuse(c, "\"%s\" is no %s", text, key);
	if (!more || json_object_set_new(more, key, json_integer(n)) < 0)
		call_no_memory();
	return member_patch(c, c->args[1], NULL, more,
			    strcmp(key, "weight") == 0 ? "has another weight"
						       : "has another priority");
}

static int member_weight(struct command *c)
{
	return member_number(c, "weight");
}

static int member_priority(struct command *c)
{
	return member_number(c, "priority");
}

/* clang-format off */
#define CLUSTER_OPTIONS \
	{ "address", "IP", OPTION_LIST, "a virtual address; all of them replace what was" }, \
	{ "rule", "MATCH=ACTION", OPTION_LIST, "MATCH: tcp/80, udp/5000-6000, icmp, any; ACTION: balanced, priority, dropped" }, \
	{ "affinity", "A", OPTION_TEXT, "none (5-tuple), single (client), network (/24, /64) (none)", "affinity" }, \
	{ "table", "T", OPTION_TEXT, "rendezvous or maglev (rendezvous)", "table" }, \
	{ "nat", NULL, OPTION_FLAG, "members do not carry the addresses: rewrite at their ports" }, \
	{ "check", "TYPE", OPTION_TEXT, "none, arp, tcp, http or https (arp)", "check.type" }, \
	{ "check-port", "N", OPTION_NUMBER, "of tcp, http and https", "check.port" }, \
	{ "check-path", "PATH", OPTION_TEXT, "of http and https (/)", "check.path" }, \
	{ "check-interval", "DURATION", OPTION_TEXT, "between two checks (2s)", "check.interval" }, \
	{ "check-timeout", "DURATION", OPTION_TEXT, "to answer (1s)", "check.timeout" }, \
	{ "rise", "N", OPTION_NUMBER, "so many good results in a row turn it up (2)", "check.rise" }, \
	{ "fall", "N", OPTION_NUMBER, "so many bad ones turn it down (3)", "check.fall" }, \
	{ "member", "WHO[,weight=N][,priority=N]", OPTION_LIST, "a vMAC of the segment, by address or name" }, \
	{ "note", "TEXT", OPTION_TEXT, "free text", "note" }

static const struct option add_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "the segment of its members (the only one)", "segment" },
	{ "mode", "MODE", OPTION_TEXT, "director, distributed or carry (director)", "mode" },
	{ "mac", "ADDRESS", OPTION_LIST, "a virtual MAC of its own; else one is allocated" },
	{ "faces", "N", OPTION_NUMBER, "allocate so many: each has an anchor of its own (1)", "allocate" },
	{ "pool", "NAME", OPTION_TEXT, "where they come from (the segment's only one)", "pool" },
	CLUSTER_OPTIONS,
};

static const struct option set_options[] = {
	CLUSTER_OPTIONS,
	{ "no-nat", NULL, OPTION_FLAG, "members carry the addresses" },
	{ "no-rules", NULL, OPTION_FLAG, "balance everything" },
};

static const struct option member_add_options[] = {
	{ "weight", "N", OPTION_NUMBER, "its share beside the others' (1)", "weight" },
	{ "priority", "N", OPTION_NUMBER, "for rules by priority: the highest has all (0)", "priority" },
};

static const struct option drain_options[] = {
	{ "within", "DURATION", OPTION_TEXT, "then it counts as drained, whatever it still has (no limit)", "within" },
};

#define GUEST_HELP \
	"A member needs the virtual addresses on its loopback, and nothing else: no ARP setting, no\n" \
	"agent.  With --nat it needs not even those, but one bound address of each family.\n"

static const struct verb verbs[] = {
	{ .name = "add", .args = "NAME", .args_min = 1, .args_max = 1, .run = add, .writes = true,
	  OPTIONS(add_options), .summary = "Let several vMACs answer for one",
	  .more = GUEST_HELP
		  "Modes: director: one host chooses the member; distributed: each host takes what is its\n"
		  "members'; carry: all members get everything (Microsoft NLB in the guests).",
	  .examples = "  vmac cluster add web --address 192.0.2.10 --member web1 --member web2\n"
		      "  vmac cluster add web --address 192.0.2.10 --address 2001:db8::10 --faces 2 --check http --check-port 80 --check-path /health --member web1,weight=2 --member web2\n"
		      "  vmac cluster add nlb --mode carry --mac 02:bf:c0:00:02:0a --member win1 --member win2\n" },
	{ .name = "list", .args = "", .run = list, .summary = "List the clusters and who anchors them",
	  .examples = "  vmac cluster list\n" },
	{ .name = "show", .args = "NAME", .args_min = 1, .args_max = 1, .run = show,
	  .summary = "Show a cluster: its anchors, members, shares, flows, counters",
	  .examples = "  vmac cluster show web\n" },
	{ .name = "set", .args = "NAME", .args_min = 1, .args_max = 1, .run = set, .writes = true,
	  OPTIONS(set_options), .summary = "Change a cluster",
	  .more = "What is given replaces what was: --member lists all of its members, and those that\n"
		  "stay keep their flows.  Segment, mode and faces cannot be changed.",
	  .examples = "  vmac cluster set web --affinity single\n" },
	{ .name = "delete", .args = "NAME", .args_min = 1, .args_max = 1, .run = erase, .writes = true,
	  .summary = "Delete a cluster; its members stay what they are",
	  .examples = "  vmac cluster delete web\n" },
	{ .name = "member add", .args = "CLUSTER MEMBER...", .args_min = 2, .args_max = ARGUMENTS_MAX,
	  .run = member_add, .writes = true, OPTIONS(member_add_options),
	  .summary = "Add members: they gain rows, and no flow of the others moves",
	  .more = GUEST_HELP, .examples = "  vmac cluster member add web web3 --weight 2\n" },
	{ .name = "member weight", .args = "CLUSTER MEMBER N", .args_min = 3, .args_max = 3,
	  .run = member_weight, .writes = true, .summary = "Change a member's share of new flows",
	  .examples = "  vmac cluster member weight web web3 5\n" },
	{ .name = "member priority", .args = "CLUSTER MEMBER N", .args_min = 3, .args_max = 3,
	  .run = member_priority, .writes = true, .summary = "Change a member's rank for rules by priority",
	  .examples = "  vmac cluster member priority db db2 10\n" },
	{ .name = "member drain", .args = "CLUSTER MEMBER...", .args_min = 2, .args_max = ARGUMENTS_MAX,
	  .run = member_drain, .writes = true, OPTIONS(drain_options),
	  .summary = "Give members no new flow; those that they have stay",
	  .examples = "  vmac cluster member drain web web1 --within 30m --reason upgrade\n" },
	{ .name = "member fail", .args = "CLUSTER MEMBER...", .args_min = 2, .args_max = ARGUMENTS_MAX,
	  .run = member_fail, .writes = true, .summary = "Treat members as dead",
	  .examples = "  vmac cluster member fail web web1\n" },
	{ .name = "member activate", .args = "CLUSTER MEMBER...", .args_min = 2, .args_max = ARGUMENTS_MAX,
	  .run = member_activate, .writes = true, .summary = "Take members back, drained or failed",
	  .examples = "  vmac cluster member activate web web1\n" },
	{ .name = "member remove", .args = "CLUSTER MEMBER...", .args_min = 2, .args_max = ARGUMENTS_MAX,
	  .run = member_remove, .writes = true, .summary = "Take members out; their flows end",
	  .examples = "  vmac cluster member remove web web1\n" },
};
/* clang-format on */

const struct noun noun_cluster = { "cluster", "load balancing: many servers, one virtual MAC",
				   verbs, ARRAY_LEN(verbs) };
