/* vmac registry: runs the registry tool, which knows the registries as this program does not, and
 * is made of what vmacd is made of. */
#include "cli/call.h"
#include "cli/nouns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *tool_path(void)
{
	const char *given =
		secure_getenv("VMAC_REGISTRY_TOOL"); /* of a build that is not installed */

	return given ? given : VMAC_LIBEXECDIR "/registry-tool";
}

static void pass_option(const struct option *o, const struct values *v, const char **argv,
			unsigned int *at)
{
	for (unsigned int i = 0; i < v->count; i++) {
		char *name;

		if (asprintf(&name, "--%s", o->name) < 0)
			call_no_memory();
		argv[(*at)++] = name;
		if (o->type != OPTION_FLAG)
			argv[(*at)++] = v->text[i];
	}
}

/* Becomes the tool: its output and its exit status are the command's. */
static int run(struct command *c)
{
	unsigned int at = 0, room = c->arg_count + 4;
	const char *path = tool_path(), **argv;

	for (unsigned int i = 0; i < c->verb->option_count; i++)
		room += 2 * c->values[i].count;
	argv = calloc(room, sizeof(*argv));
	if (!argv)
		call_no_memory();
	argv[at++] = "registry-tool";
	argv[at++] = c->verb->name;
	for (unsigned int i = 0; i < c->verb->option_count; i++)
		pass_option(&c->verb->options[i], &c->values[i], argv, &at);
	/* What may begin with a dash is a file's name here. */
	argv[at++] = "--";
	for (unsigned int i = 0; i < c->arg_count; i++)
		argv[at++] = c->args[i];
	argv[at] = NULL;
	execv(path, (char *const *)argv);
	fprintf(stderr, "vmac: cannot run %s: %s\nhint: it is installed beside vmacd\n", path,
		strerror(errno));
	return 1;
}

/* clang-format off */
#define OF_HOST                                                                                    \
	{ "config", "FILE", OPTION_TEXT, "vmacd's configuration (/etc/vmac/vmacd.yaml, where that exists)" }, \
	{ "state-dir", "DIR", OPTION_TEXT, "where this host's registry lives" }, \
	{ "host", "NAME", OPTION_TEXT, "this host, by the name that others know (the kernel's)" }
#define OF_SHARED                                                                                  \
	{ "endpoint", "URL", OPTION_LIST, "etcd, instead of what the configuration names" }, \
	{ "prefix", "TEXT", OPTION_TEXT, "of all keys (/vmac/v1/)" }, \
	{ "ca", "FILE", OPTION_TEXT, "of etcd's certificate" }, \
	{ "cert", "FILE", OPTION_TEXT, "to show to etcd" }, \
	{ "key", "FILE", OPTION_TEXT, "of that certificate" }, \
	{ "user", "NAME", OPTION_TEXT, "at etcd" }, \
	{ "password-file", "FILE", OPTION_TEXT, "that user's password" }
#define FROM { "from", "FILE", OPTION_TEXT, "look at an export of the shared registry instead" }
#define SHARED { "shared", NULL, OPTION_FLAG, "the shared registry, not this host's own" }

static const struct option check_options[] = {
	{ "repair", NULL, OPTION_FLAG, "mend what can be mended without asking anybody" },
	FROM, OF_HOST, OF_SHARED,
};
static const struct option file_options[] = { SHARED, OF_HOST, OF_SHARED };
static const struct option copy_options[] = {
	{ "to", "shared|own", OPTION_TEXT, "which of the two is to be filled" },
	{ "uplink", "SEGMENT=IFNAME", OPTION_LIST, "to own: what carries a segment here" },
	FROM, OF_HOST, OF_SHARED,
};

static const struct verb verbs[] = {
	{ .name = "check", .args = "", .run = run, OPTIONS(check_options),
	  .summary = "Check whether the records of the shared registry can all be true",
	  .more = "A line a finding; exit status 8 when there is one.  It may run while hosts work.",
	  .examples = "  vmac registry check\n"
		      "  vmac registry check --repair\n" },
	{ .name = "export", .args = "[FILE]", .args_max = 1, .run = run, OPTIONS(file_options),
	  .summary = "Write a registry as one JSON document",
	  .more = "It has the secrets, too, so the file is for root alone.",
	  .examples = "  vmac registry export --shared /root/fleet.json\n"
		      "  vmac registry export > kvm1.json\n" },
	{ .name = "import", .args = "FILE", .args_min = 1, .args_max = 1, .run = run, OPTIONS(file_options),
	  .summary = "Read such a document into an empty registry",
	  .more = "vmacd must not run on it.",
	  .examples = "  vmac registry import kvm1.json\n" },
	{ .name = "copy", .args = "", .run = run, OPTIONS(copy_options),
	  .summary = "Claim in the shared registry what this host's own has, or give that back to a host",
	  .more = "vmacd must not run here meanwhile.",
	  .examples = "  vmac registry copy --to shared      # before this host joins\n"
		      "  vmac registry copy --to own         # its disk was lost\n" },
};
/* clang-format on */

const struct noun noun_registry = { "registry", "check, copy, export and import registries", verbs,
				    ARRAY_LEN(verbs) };
