#include "daemon/config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmac/mac.h>

#include "base/cleanup.h"
#include "model/record.h"
#include "store/shared.h"

#define CONFIG_OCTETS_MAX (1024 * 1024)
#define CONFIG_LIST_MAX	  4096
#define OPTIONAL_TEXT	  (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_value_t text_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, PATH_MAX_LEN),
};

static const cyaml_schema_field_t segment_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct config_segment, name, 0,
			       NAME_MAX_LEN),
	CYAML_FIELD_STRING_PTR("uplink", OPTIONAL_TEXT, struct config_segment, uplink, 0,
			       IFNAME_MAX_LEN),
	CYAML_FIELD_UINT("vlan", CYAML_FLAG_OPTIONAL, struct config_segment, vlan),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t segment_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_segment, segment_fields),
};

static const cyaml_schema_field_t pool_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct config_pool, name, 0,
			       NAME_MAX_LEN),
	CYAML_FIELD_STRING_PTR("segment", CYAML_FLAG_POINTER, struct config_pool, segment, 0,
			       NAME_MAX_LEN),
	CYAML_FIELD_SEQUENCE("ranges", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_pool,
			     ranges, &text_value, 0, POOL_RANGES_MAX),
	CYAML_FIELD_SEQUENCE("excludes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct config_pool, excludes, &text_value, 0, POOL_EXCLUDES_MAX),
	CYAML_FIELD_STRING_PTR("quarantine", OPTIONAL_TEXT, struct config_pool, quarantine, 0, 64),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_pool,
			       key, 0, 32),
	CYAML_FIELD_UINT("limit", CYAML_FLAG_OPTIONAL, struct config_pool, limit),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t pool_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_pool, pool_fields),
};

static const cyaml_schema_field_t socket_fields[] = {
	CYAML_FIELD_STRING_PTR("path", OPTIONAL_TEXT, struct config_socket, path, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("mode", OPTIONAL_TEXT, struct config_socket, mode, 0, 4),
	CYAML_FIELD_STRING_PTR("group", OPTIONAL_TEXT, struct config_socket, group, 0, 32),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t shared_fields[] = {
	CYAML_FIELD_SEQUENCE("endpoints", CYAML_FLAG_POINTER, struct config_shared, endpoints,
			     &text_value, 0, SHARED_ENDPOINTS_MAX),
	CYAML_FIELD_STRING_PTR("prefix", OPTIONAL_TEXT, struct config_shared, prefix, 0, 128),
	CYAML_FIELD_STRING_PTR("ca", OPTIONAL_TEXT, struct config_shared, ca, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("cert", OPTIONAL_TEXT, struct config_shared, cert, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("key", OPTIONAL_TEXT, struct config_shared, key, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("user", OPTIONAL_TEXT, struct config_shared, user, 0, 64),
	CYAML_FIELD_STRING_PTR("password_file", OPTIONAL_TEXT, struct config_shared, password_file,
			       0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("timeout", OPTIONAL_TEXT, struct config_shared, timeout, 0, 64),
	CYAML_FIELD_STRING_PTR("lease", OPTIONAL_TEXT, struct config_shared, lease, 0, 64),
	CYAML_FIELD_STRING_PTR("reconcile", OPTIONAL_TEXT, struct config_shared, reconcile, 0, 64),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t host_fields[] = {
	CYAML_FIELD_STRING_PTR("name", OPTIONAL_TEXT, struct config_host, name, 0, NAME_MAX_LEN),
	CYAML_FIELD_STRING_PTR("address", OPTIONAL_TEXT, struct config_host, address, 0, 64),
	CYAML_FIELD_UINT("tunnel_port", CYAML_FLAG_OPTIONAL, struct config_host, tunnel_port),
	CYAML_FIELD_STRING_PTR("cluster_key_file", OPTIONAL_TEXT, struct config_host,
			       cluster_key_file, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("opens", OPTIONAL_TEXT, struct config_host, opens, 0, 16),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t registry_fields[] = {
	CYAML_FIELD_STRING_PTR("backend", OPTIONAL_TEXT, struct config_registry, backend, 0, 16),
	CYAML_FIELD_MAPPING_PTR("shared", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct config_registry, shared, shared_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t config_fields[] = {
	CYAML_FIELD_STRING_PTR("instance", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config,
			       instance, 0, NAME_MAX_LEN),
	CYAML_FIELD_STRING_PTR("state_dir", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config,
			       state_dir, 0, PATH_MAX_LEN),
	CYAML_FIELD_STRING_PTR("log_level", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config,
			       log_level, 0, 16),
	CYAML_FIELD_MAPPING("socket", CYAML_FLAG_OPTIONAL, struct config, socket, socket_fields),
	CYAML_FIELD_MAPPING("registry", CYAML_FLAG_OPTIONAL, struct config, registry,
			    registry_fields),
	CYAML_FIELD_MAPPING("host", CYAML_FLAG_OPTIONAL, struct config, host, host_fields),
	CYAML_FIELD_SEQUENCE("segments", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config,
			     segments, &segment_value, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE("pools", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config,
			     pools, &pool_value, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_IGNORE("routers", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, config_fields),
};

/* libcyaml explains itself in a log, the innermost place first; the first error line and the trace
 * of places behind it become the message. */
static void cyaml_said(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct error *error = ctx;
	size_t used = strlen(error->message);
	char line[ERROR_TEXT_MAX];
	const char *text;

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
	text += strspn(text, " ");
	if (strncmp(text, "Backtrace", 9) != 0)
		snprintf(error->message + used, sizeof(error->message) - used, "%s%s",
			 used ? ", " : "", text);
}

static cyaml_config_t cyaml_setup(struct error *error)
{
	return (cyaml_config_t){
		.log_fn = cyaml_said,
		.log_ctx = error,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_DEFAULT,
	};
}

int config_override(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int default_text(char **field, const char *value)
{
	return *field ? 0 : config_override(field, value);
}

static int fill_defaults(struct config *c)
{
	char path[PATH_MAX_LEN + 1], state[PATH_MAX_LEN + 1];
	bool plain;
	int r;

	r = default_text(&c->instance, "default");
	if (r < 0)
		return r;
	/* An instance of another name lives beside the default one and shares nothing with it. */
	plain = strcmp(c->instance, "default") == 0;
	snprintf(state, sizeof(state), "/var/lib/vmac%s%s", plain ? "" : "-",
		 plain ? "" : c->instance);
	snprintf(path, sizeof(path), "/run/vmac%s%s/vmacd.sock", plain ? "" : "-",
		 plain ? "" : c->instance);
	r |= default_text(&c->state_dir, state);
	r |= default_text(&c->log_level, "info");
	r |= default_text(&c->socket.path, path);
	r |= default_text(&c->socket.mode, "0660");
	r |= default_text(&c->socket.group, "");
	r |= default_text(&c->registry.backend, "sqlite");
	return r < 0 ? r : config_fleet_defaults(c);
}

/* --- checks ---------------------------------------------------------------------------------- */

static int one_of(const char *what, const char *value, const char *const *allowed, size_t count,
		  struct error *ret_error)
{
	char hint[ERROR_TEXT_MAX] = "one of:";

	for (size_t i = 0; i < count; i++) {
		if (strcmp(value, allowed[i]) == 0)
			return 0;
		snprintf(hint + strlen(hint), sizeof(hint) - strlen(hint), " %s", allowed[i]);
	}
	return error_set(ret_error, ERROR_BAD_CONFIG, hint, "%s: '%s' is not known", what, value);
}

static int absolute(const char *what, const char *path, struct error *ret_error)
{
	if (path[0] != '/')
		return error_set(ret_error, ERROR_BAD_CONFIG, "begin it with '/'",
				 "%s: '%s' is not an absolute path", what, path);
	return text_check(what, path, PATH_MAX_LEN, ret_error);
}

static int check_ranges(const char *what, char **texts, unsigned int count, struct error *ret_error)
{
	struct vmac_mac_fault fault;
	struct vmac_mac_range range;

	for (unsigned int i = 0; i < count; i++)
		if (vmac_mac_range_parse(texts[i], &range, &fault) < 0)
			return error_set(ret_error, ERROR_BAD_CONFIG,
					 "such as 12:34:00:00:00:00..12:34:ff:ff:ff:ff or "
					 "12:34:00:00:00:00/16",
					 "%s: '%s': %s (at character %zu)", what, texts[i],
					 fault.reason, fault.position + 1);
	return 0;
}

static int check_pool(const struct config_pool *p, struct error *ret_error)
{
	int64_t ms;
	int r;

	r = name_check("pools: name", p->name, ret_error);
	if (r == 0)
		r = name_check("pools: segment", p->segment, ret_error);
	if (r == 0 && p->quarantine && duration_parse(p->quarantine, &ms) < 0)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "such as 4h or 30m",
			      "quarantine: '%s' is not a duration", p->quarantine);
	if (r == 0 && p->key &&
	    (strlen(p->key) != 32 || strspn(p->key, "0123456789abcdefABCDEF") != 32))
		r = error_set(ret_error, ERROR_BAD_CONFIG, "make one: openssl rand -hex 16",
			      "key: 32 hexadecimal digits are needed");
	if (r == 0)
		r = check_ranges("ranges", p->ranges, p->ranges_count, ret_error);
	if (r == 0)
		r = check_ranges("excludes", p->excludes, p->excludes_count, ret_error);
	if (r < 0)
		error_prefix(ret_error, "pool %s", p->name);
	return r;
}

static int check_segment(const struct config_segment *s, struct error *ret_error)
{
	int r = name_check("segments: name", s->name, ret_error);

	if (r == 0 && s->uplink && s->uplink[0])
		r = ifname_check("uplink", s->uplink, ret_error);
	if (r == 0 && s->vlan > 4094)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "1 to 4094, or 0 for untagged",
			      "vlan: %u is not a VLAN", s->vlan);
	if (r < 0)
		error_prefix(ret_error, "segment %s", s->name);
	return r;
}

int config_check(const char *name, const struct config *c, struct error *ret_error)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	static const char *const backends[] = { "sqlite", "mem" };
	int r;

	r = name_check("instance", c->instance, ret_error);
	if (r == 0)
		r = absolute("state_dir", c->state_dir, ret_error);
	if (r == 0)
		r = absolute("socket: path", c->socket.path, ret_error);
	/* sun_path of unix(7), with room for the name that it has while it is being made. */
	if (r == 0 && strlen(c->socket.path) > 100)
		r = error_set(ret_error, ERROR_BAD_CONFIG, "100 characters at most",
			      "socket: path is too long for a Unix socket");
	if (r == 0 && (strspn(c->socket.mode, "01234567") != strlen(c->socket.mode) ||
		       strlen(c->socket.mode) < 3 || strlen(c->socket.mode) > 4))
		r = error_set(ret_error, ERROR_BAD_CONFIG, "such as 0660",
			      "socket: mode: '%s' is not an octal mode", c->socket.mode);
	if (r == 0)
		r = one_of("log_level", c->log_level, levels, ARRAY_LEN(levels), ret_error);
	if (r == 0)
		r = one_of("registry: backend", c->registry.backend, backends, ARRAY_LEN(backends),
			   ret_error);
	if (r == 0)
		r = config_fleet_check(c, ret_error);
	for (unsigned int i = 0; i < c->segments_count && r == 0; i++)
		r = check_segment(&c->segments[i], ret_error);
	for (unsigned int i = 0; i < c->pools_count && r == 0; i++)
		r = check_pool(&c->pools[i], ret_error);
	if (r < 0) {
		ret_error->code = ERROR_BAD_CONFIG;
		error_prefix(ret_error, "%s", name);
	}
	return r;
}

/* --- life ------------------------------------------------------------------------------------ */

void config_free(struct config *c)
{
	struct error ignored = { 0 };
	cyaml_config_t setup = cyaml_setup(&ignored);

	config_routers_free(c);
	cyaml_free(&setup, &config_schema, c, 0);
}

int config_parse(const char *name, const void *data, size_t len, const char *instance,
		 struct config **ret, struct error *ret_error)
{
	static const char hint[] = "vmacd.yaml(5) lists every key; `vmacd --check` tries a file";
	struct error said = { 0 };
	cyaml_config_t setup = cyaml_setup(&said);
	struct config *c = NULL;
	int r;

	if (strspn(data, " \t\r\n") < len) {
		cyaml_err_t err = cyaml_load_data(data, len, &setup, &config_schema,
						  (cyaml_data_t **)&c, NULL);

		if (err != CYAML_OK)
			return error_set(ret_error, ERROR_BAD_CONFIG, hint, "%s: %s", name,
					 said.message[0] ? said.message : cyaml_strerror(err));
	}
	if (!c)
		c = calloc(1, sizeof(*c));
	if (!c || (instance && config_override(&c->instance, instance) < 0) ||
	    fill_defaults(c) < 0) {
		if (c)
			config_free(c);
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	}
	r = config_routers_parse(name, data, len, c, ret_error);
	if (r == 0)
		r = config_check(name, c, ret_error);
	if (r < 0) {
		config_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void free_text(char **p)
{
	free(*p);
}

int config_load(const char *path, const char *instance, struct config **ret,
		struct error *ret_error)
{
	CLEANUP(close_file) FILE *f = NULL;
	CLEANUP(free_text) char *data = NULL;
	size_t len;

	if (!path)
		return config_parse("defaults", "", 0, instance, ret, ret_error);
	f = fopen(path, "re");
	if (!f)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL, "%s: %m", path);
	data = calloc(1, CONFIG_OCTETS_MAX + 2);
	if (!data)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	len = fread(data, 1, CONFIG_OCTETS_MAX + 1, f);
	if (ferror(f))
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL, "%s: cannot be read", path);
	if (len > CONFIG_OCTETS_MAX)
		return error_set(ret_error, ERROR_BAD_CONFIG, NULL, "%s: larger than 1 MiB", path);
	return config_parse(path, data, len, instance, ret, ret_error);
}

void config_differences(const struct config *a, const struct config *b, char *buf, size_t size)
{
	const struct {
		const char *name, *a, *b;
	} texts[] = {
		{ "instance", a->instance, b->instance },
		{ "state_dir", a->state_dir, b->state_dir },
		{ "socket: path", a->socket.path, b->socket.path },
		{ "socket: mode", a->socket.mode, b->socket.mode },
		{ "socket: group", a->socket.group, b->socket.group },
		{ "registry: backend", a->registry.backend, b->registry.backend },
	};
	const char *fleet = config_fleet_differences(a, b);
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].a, texts[i].b) != 0 && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 texts[i].name);
	if (fleet[0] && used < size)
		snprintf(buf + used, size - used, "%s%s", used ? ", " : "", fleet);
}

int config_print(const struct config *c, bool secrets, FILE *to, struct error *ret_error)
{
	struct error said = { 0 };
	cyaml_config_t setup = cyaml_setup(&said);
	char *text = NULL;
	size_t len = 0;
	cyaml_err_t err;

	err = cyaml_save_data(&text, &len, &setup, &config_schema, c, 0);
	if (err != CYAML_OK)
		return error_set(ret_error, ERROR_INTERNAL, NULL, "%s", cyaml_strerror(err));
	/* The document ends behind the routers. */
	if (len > 4 && strcmp(text + len - 4, "...\n") == 0)
		len -= 4;
	fwrite(text, 1, len, to);
	free(text);
	return config_routers_print(c, secrets, to, ret_error);
}
