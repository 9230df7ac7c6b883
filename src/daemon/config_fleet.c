/* The keys `host` and `registry: shared`: this host among others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/config.h"
#include "host/tunnel.h"
#include "model/ip.h"
#include "model/record.h"
#include "store/shared.h"

static int default_text(char **field, const char *value)
{
	return *field ? 0 : config_override(field, value);
}

int config_fleet_defaults(struct config *c)
{
	struct config_shared *s = c->registry.shared;
	char name[NAME_MAX_LEN + 1] = "localhost";
	int r = 0;

	if (gethostname(name, sizeof(name) - 1) < 0 || !name[0])
		snprintf(name, sizeof(name), "localhost");
	r |= default_text(&c->host.name, name);
	r |= default_text(&c->host.address, "");
	r |= default_text(&c->host.cluster_key_file, "");
	r |= default_text(&c->host.opens, "announcement");
	if (c->host.tunnel_port == 0)
		c->host.tunnel_port = TUNNEL_PORT_DEFAULT;
	if (!s)
		return r;
	r |= default_text(&s->prefix, "/vmac/v1/");
	r |= default_text(&s->ca, "");
	r |= default_text(&s->cert, "");
	r |= default_text(&s->key, "");
	r |= default_text(&s->user, "");
	r |= default_text(&s->password_file, "");
	r |= default_text(&s->timeout, "2s");
	r |= default_text(&s->lease, "10s");
	r |= default_text(&s->reconcile, "5m");
	return r;
}

/* --- checks ---------------------------------------------------------------------------------- */

static int check_span(const char *what, const char *text, int64_t least_ms, int64_t most_ms,
		      const char *hint, struct error *ret_error)
{
	int64_t ms;

	if (duration_parse(text, &ms) < 0 || ms < least_ms || ms > most_ms)
		return error_set(ret_error, ERROR_BAD_CONFIG, hint,
				 "registry: shared: %s: '%s' is no such duration", what, text);
	return 0;
}

static int check_file(const char *what, const char *path, struct error *ret_error)
{
	if (path[0] && path[0] != '/')
		return error_set(ret_error, ERROR_BAD_CONFIG, "begin it with '/'",
				 "%s: '%s' is not an absolute path", what, path);
	return text_check(what, path, PATH_MAX_LEN, ret_error);
}

static int check_endpoints(const struct config_shared *s, struct error *ret_error)
{
	if (s->endpoints_count == 0)
		return error_set(ret_error, ERROR_BAD_CONFIG,
				 "endpoints: [\"http://10.0.0.1:2379\"]",
				 "registry: shared: endpoints are needed");
	for (unsigned int i = 0; i < s->endpoints_count; i++)
		if (strncmp(s->endpoints[i], "http://", 7) != 0 &&
		    strncmp(s->endpoints[i], "https://", 8) != 0)
			return error_set(ret_error, ERROR_BAD_CONFIG,
					 "such as http://10.0.0.1:2379 or https://…",
					 "registry: shared: endpoints: '%s' is no URL of etcd",
					 s->endpoints[i]);
	return 0;
}

static int check_shared(const struct config_shared *s, struct error *ret_error)
{
	size_t len = strlen(s->prefix);
	int r = check_endpoints(s, ret_error);

	if (r == 0 && (len < 2 || s->prefix[0] != '/' || s->prefix[len - 1] != '/'))
		r = error_set(ret_error, ERROR_BAD_CONFIG, "such as /vmac/v1/",
			      "registry: shared: prefix: '%s' does not begin and end with '/'",
			      s->prefix);
	if (r == 0)
		r = check_file("registry: shared: ca", s->ca, ret_error);
	if (r == 0)
		r = check_file("registry: shared: cert", s->cert, ret_error);
	if (r == 0)
		r = check_file("registry: shared: key", s->key, ret_error);
	if (r == 0)
		r = check_file("registry: shared: password_file", s->password_file, ret_error);
	if (r == 0 && (s->cert[0] == '\0') != (s->key[0] == '\0'))
		r = error_set(ret_error, ERROR_BAD_CONFIG, "give both, or neither",
			      "registry: shared: cert and key belong together");
	if (r == 0 && (s->user[0] == '\0') != (s->password_file[0] == '\0'))
		r = error_set(ret_error, ERROR_BAD_CONFIG, "give both, or neither",
			      "registry: shared: user and password_file belong together");
	if (r == 0)
		r = check_span("timeout", s->timeout, 100, 60000, "100ms to 1m", ret_error);
	if (r == 0)
		r = check_span("lease", s->lease, 5000, 600000, "5s to 10m", ret_error);
	if (r == 0)
		r = check_span("reconcile", s->reconcile, 10000, 86400000, "10s to 24h", ret_error);
	return r;
}

int config_fleet_check(const struct config *c, struct error *ret_error)
{
	const struct config_host *h = &c->host;
	struct ip address;
	int r = 0;

	/* The kernel's host name may be anything, and is no matter while nobody hears it. */
	if (c->registry.shared)
		r = name_check("host: name", h->name, ret_error);
	if (r == 0 && h->address[0] && ip_parse(h->address, &address) < 0)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "such as 10.0.0.11",
			      "host: address: '%s' is no IP address", h->address);
	if (r == 0 && h->tunnel_port > 65535)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "1 to 65535",
			      "host: tunnel_port: %u is no UDP port", h->tunnel_port);
	if (r == 0 && strcmp(h->opens, "announcement") != 0 && strcmp(h->opens, "any-frame") != 0)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "announcement or any-frame",
			      "host: opens: '%s' is not known", h->opens);
	if (r == 0)
		r = check_file("host: cluster_key_file", h->cluster_key_file, ret_error);
	return r == 0 && c->registry.shared ? check_shared(c->registry.shared, ret_error) : r;
}

/* --- what changed ---------------------------------------------------------------------------- */

static bool same_shared(const struct config_shared *a, const struct config_shared *b)
{
	if (!a || !b)
		return a == b;
	if (a->endpoints_count != b->endpoints_count)
		return false;
	for (unsigned int i = 0; i < a->endpoints_count; i++)
		if (strcmp(a->endpoints[i], b->endpoints[i]) != 0)
			return false;
	return strcmp(a->prefix, b->prefix) == 0 && strcmp(a->ca, b->ca) == 0 &&
	       strcmp(a->cert, b->cert) == 0 && strcmp(a->key, b->key) == 0 &&
	       strcmp(a->user, b->user) == 0 && strcmp(a->password_file, b->password_file) == 0 &&
	       strcmp(a->timeout, b->timeout) == 0 && strcmp(a->lease, b->lease) == 0 &&
	       strcmp(a->reconcile, b->reconcile) == 0;
}

static bool same_host(const struct config_host *a, const struct config_host *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
	       strcmp(a->cluster_key_file, b->cluster_key_file) == 0 &&
	       strcmp(a->opens, b->opens) == 0 && a->tunnel_port == b->tunnel_port;
}

const char *config_fleet_differences(const struct config *a, const struct config *b)
{
	bool host = same_host(&a->host, &b->host);
	bool shared = same_shared(a->registry.shared, b->registry.shared);

	return host && shared ? ""
	       : host	      ? "registry: shared"
	       : shared	      ? "host"
			      : "host, registry: shared";
}

/* --- the cluster's key ----------------------------------------------------------------------- */

int config_cluster_key(const char *path, uint8_t ret[static 16], struct error *ret_error)
{
	char text[64] = "";
	FILE *f = fopen(path, "re");
	size_t len;

	if (!f)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL,
				 "host: cluster_key_file: %s: %m", path);
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	if (len != 32 || strspn(text, "0123456789abcdefABCDEF") != 32)
		return error_set(
			ret_error, ERROR_BAD_CONFIG, "make one for all hosts: openssl rand -hex 16",
			"host: cluster_key_file: %s: 32 hexadecimal digits are needed", path);
	for (unsigned int i = 0; i < 16; i++)
		sscanf(text + 2 * i, "%2hhx", &ret[i]);
	explicit_bzero(text, sizeof(text));
	return 0;
}
