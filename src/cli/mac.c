#include "cli/move.h"
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/mac.h>

/* "-" in the path is the only segment. */
static char *path_of(const struct command *c, const char *which, const char *tail,
		     bool with_options)
{
	const char *segment = command_option(c, "segment");

	return call_path(c, (const char *[]){ "vmacs", segment ? segment : "-", which, tail, NULL },
			 with_options);
}

/* --- add ------------------------------------------------------------------------------------- */

static int add_batch(struct command *c)
{
	static const char *const single[] = { "name", "ip", "address", "adopt", "stable" };
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	const json_t *address;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_LEN(single); i++)
		if (command_option(c, single[i]))
			return command_misuse(c, "--%s and --count do not go together", single[i]);
	r = call_body(c, &body);
	if (r == 0)
		r = call(c, "POST", "/v1/vmacs/batch", body, &answer);
	if (r != 0 || !answer || !call_talks(c))
		return r;
	json_array_foreach (json_object_get(answer, "addresses"), i, address)
		puts(json_string_value(address));
	return 0;
}

static int add(struct command *c)
{
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r;

	if (command_option(c, "count"))
		return add_batch(c);
	if (command_option(c, "name-prefix"))
		return command_misuse(c, "--name-prefix goes with --count");
	r = call_body(c, &body);
	if (r == 0)
		r = call(c, "POST", "/v1/vmacs", body, &answer);
	if (r == 0 && answer && call_talks(c))
		puts(json_text(answer, "address"));
	return r;
}

/* --- look ------------------------------------------------------------------------------------ */

static void list_row(struct grid *g, const json_t *v)
{
	TEXT_AUTO ips = json_words(v, "ips", " ");

	grid_add(g, json_text(v, "address"));
	grid_add(g, json_text(v, "segment"));
	grid_add(g, json_text(v, "name"));
	grid_add(g, json_text(v, "state"));
	grid_add(g, json_text(v, "port"));
	grid_add(g, json_text(v, "owner"));
	grid_add(g, json_text(v, "until"));
	grid_add(g, ips);
}

static int list(struct command *c)
{
	static const char *const headings[] = { "ADDRESS", "SEGMENT", "NAME",  "STATE",
						"PORT",	   "OWNER",   "UNTIL", "IPS" };
	const char *limit = command_option(c, "limit");
	TEXT_AUTO path = call_path(c, (const char *[]){ "vmacs", NULL }, true);
	unsigned long long most = 0;
	char *end;

	if (limit) {
		most = strtoull(limit, &end, 10);
		if (limit[0] < '0' || limit[0] > '9' || *end || most == 0)
			return command_misuse(c, "--limit: \"%s\" is no number of vMACs", limit);
	}
	return show_list(c, path, "after", most, headings, ARRAY_LEN(headings), list_row);
}

static void print_vmac(const json_t *v)
{
	static const char *const plain[] = { "address", "segment", "pool", "kind",
					     "origin",	"state",   "name", "owner",
					     "tenant",	"note",	   "port" };
	static const char *const dates[] = { "ttl", "until", "created", "changed" };
	struct grid g = grid_of(NULL, 2);

	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		show_pair(&g, plain[i], json_text(v, plain[i]));
	show_words(&g, "ips", v, "ips");
	show_pairf(&g, "epoch", "%llu", json_number(v, "epoch"));
	for (size_t i = 0; i < ARRAY_LEN(dates); i++)
		if (json_text(v, dates[i])[0])
			show_pair(&g, dates[i], json_text(v, dates[i]));
	move_print(&g, json_object_get(v, "move"));
	grid_print(&g);
}

static int show(struct command *c)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < c->arg_count; i++) {
		TEXT_AUTO path = path_of(c, c->args[i], NULL, false);
		JSON_AUTO v = NULL;

		r = call(c, "GET", path, NULL, &v);
		if (r == 0 && v && call_talks(c)) {
			if (i > 0)
				putchar('\n');
			print_vmac(v);
		}
	}
	return r;
}

/* --- change ---------------------------------------------------------------------------------- */

static int set(struct command *c)
{
	TEXT_AUTO path = path_of(c, c->args[0], NULL, false);
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r;

	if (command_option(c, "no-ips") && command_option(c, "ip"))
		return command_misuse(c, "--ip and --no-ips do not go together");
	r = call_body(c, &body);
	if (r != 0)
		return r;
	if (command_option(c, "no-ips"))
		json_object_set_new(body, "ips", json_array());
	r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && answer && call_talks(c))
		printf("%s changed\n", json_text(answer, "address"));
	return r;
}

static int renew(struct command *c)
{
	JSON_AUTO body = NULL;
	int r = call_body(c, &body);

	for (unsigned int i = 0; r == 0 && i < c->arg_count; i++) {
		TEXT_AUTO path = path_of(c, c->args[i], "renew", false);
		JSON_AUTO v = NULL;

		r = call(c, "POST", path, body, &v);
		if (r == 0 && v && call_talks(c))
			printf("%s renewed until %s\n", json_text(v, "address"),
			       json_text(v, "until"));
	}
	return r;
}

static int release(struct command *c)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < c->arg_count; i++) {
		TEXT_AUTO path = path_of(c, c->args[i], NULL, true);
		JSON_AUTO v = NULL;

		r = call(c, "DELETE", path, NULL, &v);
		if (r != 0 || !call_talks(c))
			continue;
		if (v)
			printf("%s released, in quarantine until %s\n", json_text(v, "address"),
			       json_text(v, "until"));
		else
			printf("%s released\n", c->args[i]);
	}
	return r;
}

/* History knows a vMAC by its address: in our style, and the name's where a name was given. */
static int history(struct command *c)
{
	TEXT_AUTO path = NULL;
	char address[VMAC_MAC_TEXT_MAX];
	bool json = c->json;
	JSON_AUTO v = NULL;
	vmac_mac_t m;
	int r;

	if (vmac_mac_parse(c->args[0], &m, NULL) < 0) {
		path = path_of(c, c->args[0], NULL, false);
		c->json = false;
		r = call(c, "GET", path, NULL, &v);
		c->json = json;
		if (r != 0)
			return r;
		if (vmac_mac_parse(json_text(v, "address"), &m, NULL) < 0)
			return 1;
	}
	c->args[0] = vmac_mac_format(m, VMAC_MAC_COLON, address);
	return history_run(c);
}

/* clang-format off */
#define SEGMENT_OF { "segment", "NAME", OPTION_TEXT, "may be left out if there is one" }

static const struct option add_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "the segment it lives in; may be left out if there is one",
	  "segment" },
	{ "pool", "NAME", OPTION_TEXT, "the pool to take it from; may be left out if there is one", "pool" },
	{ "name", "NAME", OPTION_TEXT, "its name, unique in the segment", "name" },
	{ "owner", "TEXT", OPTION_TEXT, "who has it", "owner" },
	{ "tenant", "TEXT", OPTION_TEXT, "for whom", "tenant" },
	{ "note", "TEXT", OPTION_TEXT, "whatever else there is to say", "note" },
	{ "ip", "ADDRESS", OPTION_LIST, "bind it to these IPs: others are dropped at its port", "ips" },
	{ "address", "MAC", OPTION_TEXT, "pin exactly this address", "address" },
	{ "adopt", "MAC", OPTION_TEXT, "keep an address that is in use already", "adopt" },
	{ "stable", "IDENTITY", OPTION_TEXT, "derive it: same identity, same address", "stable" },
	{ "ttl", "DURATION", OPTION_TEXT, "give it a lifetime, renewed with mac renew", "ttl" },
	{ "count", "N", OPTION_NUMBER, "this many at once, all or none", "count" },
	{ "name-prefix", "TEXT", OPTION_TEXT, "with --count: names TEXT1, TEXT2, ...", "name_prefix" },
};
static const struct option list_options[] = {
	{ "segment", "NAME", OPTION_TEXT, "only this segment's", "segment" },
	{ "pool", "NAME", OPTION_TEXT, "only this pool's", "pool" },
	{ "owner", "TEXT", OPTION_TEXT, "only this owner's", "owner" },
	{ "tenant", "TEXT", OPTION_TEXT, "only this tenant's", "tenant" },
	{ "state", "STATE", OPTION_TEXT, "reserved, bound, moving, quarantined or away", "state" },
	{ "limit", "N", OPTION_NUMBER, "this many at most" },
};
static const struct option show_options[] = { SEGMENT_OF };
static const struct option prepare_options[] = {
	SEGMENT_OF,
	{ "lifetime", "DURATION", OPTION_TEXT, "of the reservation; default 2h", "lifetime" },
};
static const struct option take_options[] = {
	SEGMENT_OF,
	{ "force", NULL, OPTION_FLAG, "from a host that somebody vouched dead", "force" },
};
static const struct option set_options[] = {
	SEGMENT_OF,
	{ "name", "NAME", OPTION_TEXT, "rename it; '' takes the name away", "name" },
	{ "owner", "TEXT", OPTION_TEXT, "who has it", "owner" },
	{ "tenant", "TEXT", OPTION_TEXT, "for whom", "tenant" },
	{ "note", "TEXT", OPTION_TEXT, "whatever else there is to say", "note" },
	{ "ip", "ADDRESS", OPTION_LIST, "bind it to exactly these IPs", "ips" },
	{ "no-ips", NULL, OPTION_FLAG, "bind it to no IP" },
	{ "ttl", "DURATION", OPTION_TEXT, "a lifetime from now on; 0 = for life", "ttl" },
};
static const struct verb verbs[] = {
	{ .name = "add", .args = "", .run = add, .writes = true, OPTIONS(add_options),
	  .summary = "Allocate, pin or adopt a virtual MAC address",
	  .more = "Prints the address, alone on a line: it is durable then, and nobody else's.",
	  .examples = "  vmac mac add --name web1 --owner ops --ip 192.0.2.10\n"
		      "  vmac mac add --stable vm-4711             # the same again after a rebuild\n"
		      "  vmac mac add --adopt 52:54:00:12:34:56    # a VM that came with one\n"
		      "  vmac mac add --count 100 --name-prefix lab\n" },
	{ .name = "list", .args = "", .run = list, OPTIONS(list_options), .summary = "List vMACs",
	  .examples = "  vmac mac list --state quarantined\n"
		      "  vmac --json mac list --owner ops\n" },
	{ .name = "show", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = show, OPTIONS(show_options), .summary = "Show a vMAC",
	  .examples = "  vmac mac show web1\n"
		      "  vmac mac show D2-22-33-00-00-01\n" },
	{ .name = "set", .args = "ADDRESS|NAME", .args_min = 1, .args_max = 1, .run = set,
	  .writes = true, OPTIONS(set_options), .summary = "Change what is known about a vMAC",
	  .examples = "  vmac mac set web1 --ip 192.0.2.11 --ip 2001:db8::11\n"
		      "  vmac mac set web1 --no-ips\n" },
	{ .name = "renew", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = renew, .writes = true, OPTIONS(show_options),
	  .summary = "Renew the lifetime of a vMAC that was added with --ttl",
	  .examples = "  vmac mac renew ci-runner-7\n" },
	{ .name = "release", .alias = "delete", .args = "ADDRESS|NAME...", .args_min = 1,
	  .args_max = ARGUMENTS_MAX, .run = release, .writes = true, OPTIONS(show_options),
	  .summary = "Give a vMAC back; its address rests in quarantine before anybody gets it",
	  .examples = "  vmac mac release web1 --reason 'VM is gone'\n" },
	{ .name = "history", .args = "ADDRESS|NAME", .args_min = 1, .args_max = 1,
	  .run = history, .options = history_options, .option_count = HISTORY_OPTIONS,
	  .summary = "Show what happened to a vMAC",
	  .examples = "  vmac mac history web1\n" },
	{ .name = "prepare", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(prepare_options),
	  .summary = "Here, where a guest is to come: have its vMAC reserved for this host",
	  .more = "Its port here opens with the guest's first frame.  The host that has it goes on until then.",
	  .examples = "  vmac mac prepare 0a:51:22:00:00:07 --segment lan\n"
		      "  vmac port add web1 --kind tap --mac 0a:51:22:00:00:07   # before or after\n" },
	{ .name = "activate", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(show_options),
	  .summary = "Open a prepared port now, for a hypervisor that announces nothing",
	  .examples = "  vmac mac activate web1\n" },
	{ .name = "abort", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(show_options),
	  .summary = "Give a prepared move up; on either host",
	  .examples = "  vmac mac abort web1 --reason 'not enough memory there'\n" },
	{ .name = "stop", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(show_options),
	  .summary = "Here, where a guest leaves: it stands still; send what comes after it",
	  .examples = "  vmac mac stop web1\n" },
	{ .name = "resume", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(show_options),
	  .summary = "The guest runs here (again): take back what the move had done",
	  .examples = "  vmac mac resume web1\n" },
	{ .name = "move", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(take_options),
	  .summary = "Take a vMAC to this host, with no migration: its guest is stopped, or its host dead",
	  .more = "The host that has it lets go when no guest of its own uses it.",
	  .examples = "  vmac mac move 0a:51:22:00:00:07\n"
		      "  vmac mac move 0a:51:22:00:00:07 --force     # from a host that `vmac host dead` names\n" },
	{ .name = "thaw", .args = "ADDRESS|NAME...", .args_min = 1, .args_max = ARGUMENTS_MAX,
	  .run = move_hint, .writes = true, OPTIONS(show_options),
	  .summary = "Let a vMAC move again that was frozen for moving too often",
	  .examples = "  vmac mac thaw web1\n" },
	{ .name = "moves", .args = "", .run = move_list,
	  .summary = "List the vMACs that are on their way, or moved since vmacd started",
	  .examples = "  vmac mac moves\n" },
};
/* clang-format on */

const struct noun noun_mac = { "mac", "virtual MAC addresses", verbs, ARRAY_LEN(verbs) };
