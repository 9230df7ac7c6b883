#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_PATH "/etc/vmac/vmacd.yaml"

static const char help[] =
	"vmacd: gives virtual MAC addresses and carries their traffic on this host\n"
	"\n"
	"usage: vmacd [OPTION]...\n"
	"\n"
	"  --config FILE       read FILE; default " CONFIG_PATH ", where that exists\n"
	"  --check             check the configuration, print its canonical form, end\n"
	"  --instance NAME     a name of its own for state, socket and data plane (default)\n"
	"  --state-dir DIR     where the registry lives (/var/lib/vmac)\n"
	"  --socket PATH       where the API listens (/run/vmac/vmacd.sock)\n"
	"  --backend KIND      sqlite, or mem for a registry that forgets (sqlite)\n"
	"  --log-level LEVEL   error, warning, info or debug (info)\n"
	"  --no-plane          registry and API only: no ports, nothing of the kernel is touched\n"
	"  --purge             take this instance's data plane out of the kernel, end\n"
	"  --version, --help\n"
	"\n"
	"SIGTERM ends the daemon; its ports go on forwarding, and the next start takes them over;\n"
	"its routers hand over to their peers.  SIGHUP reads the configuration again.\n"
	"Exit status: 0 ended as asked, 2 wrong options or configuration, 4 already running,\n"
	"7 not permitted, 8 registry or kernel failed.\n"
	"\n"
	"Try it: vmacd & vmac segment add lan --uplink eth0 && vmac pool add lan --segment lan &&\n"
	"        vmac port add vm1 --kind tap\n"
	"More: vmacd(8), vmacd.yaml(5), vmac(1)\n";

enum {
	OPT_CONFIG = 1000,
	OPT_CHECK,
	OPT_INSTANCE,
	OPT_STATE_DIR,
	OPT_SOCKET,
	OPT_BACKEND,
	OPT_LOG_LEVEL,
	OPT_NO_PLANE,
	OPT_PURGE,
	OPT_VERSION,
	OPT_HELP
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "backend", required_argument, NULL, OPT_BACKEND },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "no-plane", no_argument, NULL, OPT_NO_PLANE },
	{ "purge", no_argument, NULL, OPT_PURGE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int complain(const struct error *error)
{
	fprintf(stderr, "vmacd: %s\n", error->message);
	if (error->hint[0])
		fprintf(stderr, "hint: %s\n", error->hint);
	return error_exit_status(error->code);
}

static int usage(void)
{
	fputs("hint: `vmacd --help` lists the options\n", stderr);
	return 2;
}

/* -1 = go on. */
static int scan(int argc, char **argv, struct options *o, struct options_given *t)
{
	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (opt) {
		case OPT_CONFIG:
			t->config = optarg;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_INSTANCE:
			t->instance = optarg;
			break;
		case OPT_STATE_DIR:
			t->state_dir = optarg;
			break;
		case OPT_SOCKET:
			t->socket = optarg;
			break;
		case OPT_BACKEND:
			t->backend = optarg;
			break;
		case OPT_LOG_LEVEL:
			t->log_level = optarg;
			break;
		case OPT_NO_PLANE:
			o->plane = false;
			break;
		case OPT_PURGE:
			o->purge = true;
			break;
		case OPT_VERSION:
			puts("vmacd " VMAC_VERSION);
			return 0;
		case OPT_HELP:
			fputs(help, stdout);
			return 0;
		default:
			return usage();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vmacd: '%s' is not an option\n", argv[optind]);
		return usage();
	}
	return -1;
}

/* The options that were given, over the file's values. */
static int override(struct config *c, const struct options_given *t, struct error *ret_error)
{
	if ((t->state_dir && config_override(&c->state_dir, t->state_dir) < 0) ||
	    (t->socket && config_override(&c->socket.path, t->socket) < 0) ||
	    (t->backend && config_override(&c->registry.backend, t->backend) < 0) ||
	    (t->log_level && config_override(&c->log_level, t->log_level) < 0))
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	return config_check("command line", c, ret_error);
}

int options_reload(const struct options *o, struct config **ret, struct error *ret_error)
{
	struct config *c;
	int r = config_load(o->given.config, o->given.instance, &c, ret_error);

	if (r < 0)
		return r;
	r = override(c, &o->given, ret_error);
	if (r < 0)
		config_free(c);
	else
		*ret = c;
	return r;
}

int options_read(int argc, char **argv, struct options *ret)
{
	struct options o = { .plane = true };
	struct error error;
	int status = scan(argc, argv, &o, &o.given);

	if (status >= 0)
		return status;
	if (!o.given.config && access(CONFIG_PATH, F_OK) == 0)
		o.given.config = CONFIG_PATH;
	if (options_reload(&o, &o.config, &error) < 0)
		return complain(&error);
	*ret = o;
	return -1;
}
