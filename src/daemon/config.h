/* vmacd's configuration: YAML in, checked values out, canonical YAML back. */
#pragma once

#include <stdio.h>

#include "base/error.h"
#include "model/router.h"

struct config_segment {
	char *name, *uplink; /* uplink NULL = internal */
	unsigned int vlan;
};

struct config_pool {
	char *name, *segment;
	char **ranges, **excludes;
	unsigned int ranges_count, excludes_count;
	char *quarantine; /* NULL = the default */
	char *key;	  /* 32 hexadecimal digits, or NULL */
	unsigned long long limit;
};

/* What hosts agree upon: etcd. */
struct config_shared {
	char **endpoints;
	unsigned int endpoints_count;
	char *prefix, *ca, *cert, *key, *user, *password_file; /* "" = none */
	char *timeout, *lease, *reconcile;
};

/* Every text is allocated and never NULL after config_load(), except where said above. */
struct config {
	char *instance, *state_dir, *log_level;
	struct config_socket {
		char *path, *mode, *group; /* mode: octal, "0660" */
	} socket;
	struct config_registry {
		char *backend;
		struct config_shared *shared; /* NULL: this host is alone */
	} registry;
	/* This host among others. */
	struct config_host {
		char *name, *address;	/* address "" = no tunnel */
		char *cluster_key_file; /* "" = announcements bear no tag */
		char *opens;		/* "announcement" or "any-frame" */
		unsigned int tunnel_port;
	} host;
	struct config_segment *segments;
	unsigned int segments_count;
	struct config_pool *pools;
	unsigned int pools_count;
	struct router **routers; /* a block each; not libcyaml's: see config_routers.c */
	unsigned int routers_count;
};

/* Reads a file (NULL: the defaults alone), fills in the defaults and checks every value.  An
 * instance that is not NULL is used in place of the file's, also for the defaults that follow from
 * it. BAD_CONFIG names the file, the place and what is wrong. Free with config_free(). */
int config_load(const char *path, const char *instance, struct config **ret,
		struct error *ret_error);

/* The same from memory; `name` stands for the file in messages. */
int config_parse(const char *name, const void *data, size_t len, const char *instance,
		 struct config **ret, struct error *ret_error);
void config_free(struct config *c);

/* Replaces one text of a configuration (a command line option); then check again. */
int config_override(char **field, const char *value);
int config_check(const char *name, const struct config *c, struct error *ret_error);

/* Writes the canonical form, which config_load() reads back to the same values; but for the secrets
 * of routers, where these are not asked for. */
int config_print(const struct config *c, bool secrets, FILE *to, struct error *ret_error);

/* The names of what differs and cannot be changed while we run ("socket, registry"), or "". */
void config_differences(const struct config *a, const struct config *b, char *buf, size_t size);

/* config_fleet.c: the keys `host` and `registry: shared`. */
int config_fleet_defaults(struct config *c);
int config_fleet_check(const struct config *c, struct error *ret_error);
const char *config_fleet_differences(const struct config *a, const struct config *b);
/* Reads the cluster's key: 32 hexadecimal digits.  BAD_CONFIG. */
int config_cluster_key(const char *path, uint8_t ret[static 16], struct error *ret_error);

/* config_routers.c: reads the key `routers`, and writes it. */
int config_routers_parse(const char *name, const void *data, size_t len, struct config *c,
			 struct error *ret_error);
int config_routers_print(const struct config *c, bool secrets, FILE *to, struct error *ret_error);
void config_routers_free(struct config *c);
