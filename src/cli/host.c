/* vmac host: the hosts that share the registry. */
#include "cli/nouns.h"
#include "cli/show.h"

#include <stdio.h>

static char *path_of(const struct command *c, const char *name, bool with_options)
{
	return call_path(c, (const char *[]){ "hosts", name, NULL }, with_options);
}

static void list_row(struct grid *g, const json_t *h)
{
	grid_addf(g, "%s%s", json_text(h, "name"), json_yes(h, "self") ? " (this one)" : "");
	grid_add(g, json_text(h, "state"));
	grid_add(g, json_yes(h, "alive") ? "yes" : "NO");
	grid_add(g, json_text(h, "address"));
	grid_addf(g, "%llu", json_number(h, "blocks"));
	grid_addf(g, "%llu", json_number(h, "vmacs"));
	grid_add(g, json_text(h, "version"));
}

static int list(struct command *c)
{
	static const char *const headings[] = { "HOST",	   "STATE",  "ALIVE",  "TUNNEL",
						">BLOCKS", ">MOVED", "VERSION" };

	return show_list(c, "/v1/hosts", NULL, 0, headings, ARRAY_LEN(headings), list_row);
}

/* This host's name, for `show` without one. */
static int own_name(struct command *c, json_t **ret)
{
	bool json = c->json;
	int r;

	c->json = false;
	r = call(c, "GET", "/v1/status", NULL, ret);
	c->json = json;
	if (r == 0 && !json_text(json_object_get(*ret, "fleet"), "name")[0]) {
		call_complain("this host shares no registry",
			      "see \"registry: shared:\" in vmacd.yaml(5)");
		return 4;
	}
	return r;
}

static int show(struct command *c)
{
	const char *name = c->arg_count > 0 ? c->args[0] : NULL;
	struct grid g = grid_of(NULL, 2);
	JSON_AUTO status = NULL;
	TEXT_AUTO path = NULL;
	JSON_AUTO h = NULL;
	int r = 0;

	if (!name) {
		r = own_name(c, &status);
		if (r != 0)
			return r;
		name = json_text(json_object_get(status, "fleet"), "name");
	}
	path = path_of(c, name, false);
	r = call(c, "GET", path, NULL, &h);
	if (r != 0 || !h || !call_talks(c))
		return r;
	show_pairf(&g, "name", "%s%s", json_text(h, "name"),
		   json_yes(h, "self") ? " (this host)" : "");
	show_pair(&g, "uuid", json_text(h, "uuid"));
	show_pair(&g, "state", json_text(h, "state"));
	if (json_text(h, "fenced_by")[0])
		show_pair(&g, "vouched dead by", json_text(h, "fenced_by"));
	show_pair(&g, "alive", json_yes(h, "alive") ? "yes" : "no heartbeat");
	show_pairf(&g, "number", "%llu", json_number(h, "number"));
	show_pair(&g, "tunnel address", json_text(h, "address"));
	if (json_text(h, "address")[0])
		show_pairf(&g, "tunnel port", "%llu", json_number(h, "tunnel_port"));
	show_pairf(&g, "blocks", "%llu", json_number(h, "blocks"));
	show_pairf(&g, "vMACs that moved", "%llu", json_number(h, "vmacs"));
	show_pairf(&g, "joined", "%llu times", json_number(h, "incarnation"));
	show_pair(&g, "version", json_text(h, "version"));
	return grid_print(&g) < 0 ? 1 : 0;
}

static int set_state(struct command *c, const char *state, const char *said)
{
	TEXT_AUTO path = path_of(c, c->args[0], false);
	JSON_AUTO body = NULL;
	JSON_AUTO answer = NULL;
	int r = call_body(c, &body);

	if (r != 0)
		return r;
	json_object_set_new(body, "state", json_string(state));
	r = call(c, "PATCH", path, body, &answer);
	if (r == 0 && call_talks(c))
		printf("host %s %s\n", c->args[0], said);
	return r;
}

static int drain(struct command *c)
{
	return set_state(c, "draining", "takes no new vMAC");
}

static int undrain(struct command *c)
{
	return set_state(c, "active", "takes vMACs again");
}

static int dead(struct command *c)
{
	if (!command_option(c, "fenced-by"))
		return command_misuse(c, "--fenced-by: say who vouches for its death, and how");
	return set_state(c, "dead", "is dead: its vMACs may be taken over");
}

static int forget(struct command *c)
{
	TEXT_AUTO path = path_of(c, c->args[0], true);
	JSON_AUTO answer = NULL;
	int r = call(c, "DELETE", path, NULL, &answer);

	if (r == 0 && call_talks(c))
		printf("host %s goes off the list when what it had was in quarantine\n",
		       c->args[0]);
	return r;
}

/* clang-format off */
static const struct option dead_options[] = {
	{ "fenced-by", "TEXT", OPTION_TEXT, "who vouches for it, and how: \"ipmi power off, jane\"", "fenced_by" },
};

static const struct verb verbs[] = {
	{ .name = "list", .args = "", .run = list, .summary = "List the hosts that share the registry",
	  .examples = "  vmac host list\n" },
	{ .name = "show", .args = "[NAME]", .args_min = 0, .args_max = 1, .run = show,
	  .summary = "Show a host; without a name this one",
	  .examples = "  vmac host show\n"
		      "  vmac host show kvm2\n" },
	{ .name = "drain", .args = "NAME", .args_min = 1, .args_max = 1, .run = drain, .writes = true,
	  .summary = "Let a host take no new vMAC: before maintenance",
	  .more = "What it has goes on; move it away, and then stop the host.",
	  .examples = "  vmac host drain kvm2 --reason 'new memory'\n" },
	{ .name = "undrain", .args = "NAME", .args_min = 1, .args_max = 1, .run = undrain, .writes = true,
	  .summary = "Let a host take vMACs again", .examples = "  vmac host undrain kvm2\n" },
	{ .name = "dead", .args = "NAME", .args_min = 1, .args_max = 1, .run = dead, .writes = true,
	  OPTIONS(dead_options), .summary = "Vouch for a host's death, so that others may take over its vMACs",
	  .more = "Only when it is certain that it runs no guest: powered off, or cut off by its switch.  That it is"
		  " silent is no proof.  It stays so until the host itself comes back and joins again.",
	  .examples = "  vmac host dead kvm2 --fenced-by 'ipmi power off, checked by jane'\n" },
	{ .name = "forget", .args = "NAME", .args_min = 1, .args_max = 1, .run = forget, .writes = true,
	  .summary = "Take a host that is dead, or that holds nothing, off the list",
	  .more = "The addresses that a dead host still had go into quarantine first; until that is over it\n"
		  "is shown as forgotten.",
	  .examples = "  vmac host forget kvm2\n" },
};
/* clang-format on */

const struct noun noun_host = { "host", "hosts that share a registry", verbs, ARRAY_LEN(verbs) };
