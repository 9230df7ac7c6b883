/* registry-tool: what `vmac registry` runs.  Apart from vmacd, for it works on registries at rest,
 * and apart from vmac, which knows no registry. */
#include "daemon/registry_tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/config.h"

#define CONFIG_PATH "/etc/vmac/vmacd.yaml"

static const char help[] =
	"vmac registry: looks after the registries, this host's own and the shared one\n"
	"\n"
	"usage: vmac registry check [--repair]\n"
	"       vmac registry export [--shared] [FILE]\n"
	"       vmac registry import [--shared] FILE\n"
	"       vmac registry copy --to shared|own\n"
	"\n"
	"  check       whether the records of the shared registry can all be true; a line a "
	"finding\n"
	"  export      writes a registry as one JSON document, secrets included, for root alone\n"
	"  import      reads such a document into an empty registry\n"
	"  copy        claims for this host, in the shared registry, all that its own has; or "
	"gives\n"
	"              a host whose own registry was lost what the shared one knows of it\n"
	"\n"
	"  --config FILE       vmacd's configuration; default " CONFIG_PATH ", where that exists\n"
	"  --state-dir DIR     where this host's registry lives\n"
	"  --shared            the shared registry, not this host's own\n"
	"  --repair            mend what can be mended without asking anybody\n"
	"  --host NAME         this host, by the name that others know; default: as vmacd's\n"
	"  --endpoint URL      of etcd; may be given more than once\n"
	"  --prefix TEXT       of all keys (/vmac/v1/)\n"
	"  --ca FILE  --cert FILE  --key FILE  --user NAME  --password-file FILE\n"
	"  --from FILE         look at an export of the shared registry instead (check, copy --to "
	"own)\n"
	"  --uplink SEGMENT=IFNAME   copy --to own: what carries a segment here\n"
	"  --help\n"
	"\n"
	"vmacd must not run on the registry that import and copy work on.\n"
	"Exit status: 0 done, or nothing found; 8 something was found, or a registry failed;\n"
	"2 wrong usage, 3 no such file, 4 in use or contradictory, 6 the registry is out of "
	"reach.\n";

enum {
	OPT_CONFIG = 1000,
	OPT_STATE_DIR,
	OPT_SHARED,
	OPT_REPAIR,
	OPT_HOST,
	OPT_ENDPOINT,
	OPT_PREFIX,
	OPT_CA,
	OPT_CERT,
	OPT_KEY,
	OPT_USER,
	OPT_PASSWORD_FILE,
	OPT_FROM,
	OPT_TO,
	OPT_UPLINK,
	OPT_HELP
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "shared", no_argument, NULL, OPT_SHARED },
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "host", required_argument, NULL, OPT_HOST },
	{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
	{ "prefix", required_argument, NULL, OPT_PREFIX },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "user", required_argument, NULL, OPT_USER },
	{ "password-file", required_argument, NULL, OPT_PASSWORD_FILE },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "uplink", required_argument, NULL, OPT_UPLINK },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct given {
	const char *config, *from;
	struct tool tool;
};

static int complain(const struct error *error)
{
	fprintf(stderr, "vmac registry: %s\n", error->message);
	if (error->hint[0])
		fprintf(stderr, "hint: %s\n", error->hint);
	return error_exit_status(error->code);
}

static int usage(const char *why)
{
	if (why)
		fprintf(stderr, "vmac registry: %s\n", why);
	fputs("hint: `vmac registry --help` lists the commands and options\n", stderr);
	return 2;
}

/* One option; false: it is none. */
static bool take(int opt, struct given *g)
{
	struct shared_config *c = &g->tool.shared;
	const struct {
		int opt;
		const char **to;
	} texts[] = {
		{ OPT_CONFIG, &g->config },
		{ OPT_STATE_DIR, &g->tool.state_dir },
		{ OPT_HOST, &g->tool.host },
		{ OPT_PREFIX, &c->prefix },
		{ OPT_CA, &c->ca },
		{ OPT_CERT, &c->cert },
		{ OPT_KEY, &c->key },
		{ OPT_USER, &c->user },
		{ OPT_FROM, &g->from },
		{ OPT_TO, &g->tool.target },
		{ OPT_PASSWORD_FILE, &c->password_file },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].opt != opt)
			continue;
		*texts[i].to = optarg;
		return true;
	}
	if (opt == OPT_ENDPOINT && c->endpoint_count < SHARED_ENDPOINTS_MAX) {
		c->endpoints[c->endpoint_count++] = optarg;
		g->tool.has_shared = true;
		return true;
	}
	if (opt == OPT_UPLINK && g->tool.uplink_count < TOOL_UPLINKS_MAX) {
		g->tool.uplinks[g->tool.uplink_count++] = optarg;
		return true;
	}
	g->tool.wants_shared |= opt == OPT_SHARED;
	g->tool.repair |= opt == OPT_REPAIR;
	return opt == OPT_SHARED || opt == OPT_REPAIR;
}

static void prefer(const char **option, const char *text)
{
	if (!*option && text[0])
		*option = text;
}

static void configure_shared(struct given *g, const struct config_shared *s)
{
	struct shared_config *c = &g->tool.shared;

	if (c->endpoint_count == 0) {
		c->endpoint_count = s->endpoints_count;
		for (unsigned int i = 0; i < s->endpoints_count; i++)
			c->endpoints[i] = s->endpoints[i];
	}
	prefer(&c->prefix, s->prefix);
	prefer(&c->ca, s->ca);
	prefer(&c->cert, s->cert);
	prefer(&c->key, s->key);
	prefer(&c->user, s->user);
	prefer(&c->password_file, s->password_file);
	g->tool.has_shared = true;
}

/* The file's values, where no option was given. */
static int configure(struct given *g, struct config **ret, struct error *ret_error)
{
	const char *path = g->config;
	int r;

	if (!path && access(CONFIG_PATH, F_OK) == 0)
		path = CONFIG_PATH;
	r = config_load(path, NULL, ret, ret_error);
	if (r < 0)
		return r;
	if (!g->tool.state_dir)
		g->tool.state_dir = (*ret)->state_dir;
	if ((*ret)->registry.shared)
		configure_shared(g, (*ret)->registry.shared);
	prefer(&g->tool.host, (*ret)->host.name);
	if ((*ret)->host.address[0])
		ip_parse((*ret)->host.address, &g->tool.address);
	g->tool.tunnel_port = (uint16_t)(*ret)->host.tunnel_port;
	return 0;
}

struct preparing {
	const struct record_set *set;
	size_t at;
};

static int next_record(void *ctx, struct shared_record *ret)
{
	struct preparing *p = ctx;

	if (p->at == p->set->count)
		return 0;
	*ret = *p->set->list[p->at++];
	return 1;
}

/* An export becomes a registry in memory, so that all else need not know. */
static int use_export(struct given *g, struct error *ret_error)
{
	struct shared_config *c = &g->tool.shared;
	struct record_set s;
	struct preparing p = { .set = &s };
	int r = registry_read_shared(g->from, &s, ret_error);

	if (r < 0)
		return r;
	c->backend = "mem";
	c->mem_registry = shared_mem_new(&tool_mem, 1);
	if (!c->mem_registry)
		r = error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	if (r == 0)
		r = shared_restore(c, false, next_record, &p, ret_error);
	record_set_done(&s);
	g->tool.has_shared = true;
	return r;
}

static int run(const char *command, const struct tool *t)
{
	bool check = strcmp(command, "check") == 0, copy = strcmp(command, "copy") == 0;
	bool import = strcmp(command, "import") == 0;
	struct error error;
	int r;

	if (!check && !copy && !import && strcmp(command, "export") != 0)
		return usage("there is no such command");
	if (copy &&
	    (!t->target || (strcmp(t->target, "shared") != 0 && strcmp(t->target, "own") != 0)))
		return usage("copy wants --to shared or --to own");
	if (import && !t->file)
		return usage("import wants a file ('-' = standard input)");
	if ((check || copy || t->wants_shared) && !t->has_shared)
		return usage("no shared registry is configured: give --endpoint");
	if (check)
		r = registry_check(t, &error);
	else if (copy)
		r = strcmp(t->target, "shared") == 0 ? registry_claim(t, &error)
						     : registry_regain(t, &error);
	else if (import)
		r = registry_import(t, &error);
	else
		r = registry_export(t, &error);
	return r < 0 ? complain(&error) : r;
}

int main(int argc, char **argv)
{
	struct given g = { .tool.shared = { .backend = "etcd", .mem = &tool_mem } };
	struct config *config = NULL;
	struct error error;
	int status;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == OPT_HELP) {
			fputs(help, stdout);
			return 0;
		}
		if (!take(opt, &g))
			return usage(NULL);
	}
	if (optind >= argc)
		return usage("say what to do: check, export, import or copy");
	if (argc - optind > 2)
		return usage("too many arguments");
	if (argc - optind == 2)
		g.tool.file = argv[optind + 1];
	if (configure(&g, &config, &error) < 0 || (g.from && use_export(&g, &error) < 0))
		status = complain(&error);
	else
		status = run(argv[optind], &g.tool);
	config_free(config);
	shared_mem_free(g.tool.shared.mem_registry);
	return status;
}
