/* What the files that turn keepalived's tree into routers share. */
#pragma once

#include <stdint.h>

#include "cli/keepalived.h"

/* What global_defs say for all. */
struct keepalived_globals {
	int version; /* 0 = not said */
	bool strict;
	const char *boot_hold_s, *garp_repeat, *garp_refresh_s;
	const struct keepalived_node *first; /* of the file */
};

/* One mapping under way. */
struct keepalived_mapping {
	struct keepalived_import *m;
	struct keepalived_globals globals;
	bool told_mac, told_notify; /* what is said once a file */
};

/* One vrrp_instance under way. */
struct keepalived_instance {
	struct keepalived_mapping *map;
	const struct keepalived_node *at;
	json_t *router, *v4, *v6; /* v4, v6: the addresses of the two sets */
	const char *ifname, *device, *mac, *vrid;
	const char *source;
	const struct keepalived_node *peers, *auth;
	bool master, strict, accept_said, vmac, native_ipv6, nopreempt;
	uint8_t family; /* of the advertised addresses; 0 = none seen yet */
	int version;
};

/* The router that one vrrp_instance is, with everything but a name that is unique; NULL with a note
 * when it cannot be one. */
json_t *keepalived_instance_map(struct keepalived_mapping *map, const struct keepalived_node *at);

/* track_interface, track_script, … of an instance or a sync group: true when it was one. */
bool keepalived_track_map(struct keepalived_mapping *map, json_t *router,
			  const struct keepalived_node *at);

/* notify and its kind: true when it was one. */
bool keepalived_notify_map(struct keepalived_mapping *map, json_t *router,
			   const struct keepalived_node *at);

/* --- helpers --------------------------------------------------------------------------------- */

/* The words from the n-th on, as a line that is cut into the same words again; static. */
const char *keepalived_line(const struct keepalived_node *n, unsigned int from);

/* The second word; NULL with a note that it is missing. */
const char *keepalived_value(struct keepalived_import *m, const struct keepalived_node *at);

/* Seconds with decimals as milliseconds.  0 or -EINVAL. */
int keepalived_seconds(const char *text, long long *ret_ms);

/* A whole number from low to high.  0 or -EINVAL. */
int keepalived_number(const char *text, long long low, long long high, long long *ret);

/* Puts a duration; the note says what is wrong with it. */
void keepalived_put_seconds(struct keepalived_import *m, const struct keepalived_node *at,
			    const char *text, json_t *object, const char *key);

bool keepalived_is(const struct keepalived_node *n, const char *word);

/* "on", "true", "yes" or nothing: true; the rest false. */
bool keepalived_switch(const struct keepalived_node *n);

/* json_object_set_new() that ends the program where there is no memory. */
void keepalived_put(json_t *object, const char *key, json_t *value);
