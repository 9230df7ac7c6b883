/* The registry tool: what its files share.  It works on a registry at rest: this host's own while
 * vmacd does not run, and the shared one by itself. */
#pragma once

#include <stdio.h>

#include "base/table.h"
#include "model/record.h"
#include "pool/pool.h"
#include "store/shared.h"
#include "store/store.h"

#define TOOL_EXIT_FOUND	 8
#define TOOL_UPLINKS_MAX 256

extern const struct mem tool_mem; /* malloc's, zeroed */

/* --- the shared registry, all of it (registry_set.c) ----------------------------------------- */

/* Sorted by kind, then by key.  Each record is a block of tool_mem. */
struct record_set {
	struct shared_record **list;
	size_t count, room;
	uint64_t revision; /* the greatest seen */
	struct table by_key;
};

void record_set_init(struct record_set *s);
int record_set_dump(const struct shared_config *config, struct record_set *ret,
		    struct error *ret_error);
int record_set_add(struct record_set *s, const struct shared_record *r); /* copies; -ENOMEM */
int record_set_sort(struct record_set *s); /* and makes them found; -ENOMEM */
void record_set_done(struct record_set *s);

/* NULL: there is none with this key.  The set must be sorted. */
const struct shared_record *record_set_get(const struct record_set *s,
					   const struct shared_record *key);
const struct shared_host *record_set_host(const struct record_set *s, const struct uuid *uuid);
const struct shared_pool *record_set_pool(const struct record_set *s, const char *name);
const struct shared_block *record_set_block(const struct record_set *s, const char *pool,
					    uint64_t number);

/* IN_USE: it is the rest of an import that has not ended. */
int record_set_is_whole(const struct record_set *s, struct error *ret_error);

/* "vmac/lan/12:…" for messages; returns buf. */
#define RECORD_KEY_MAX 512
char *record_key(const struct shared_record *r, char buf[static RECORD_KEY_MAX]);

/* Carries out one transaction, and waits.  CONFLICT: somebody was faster. */
struct registry_link;
int registry_link_open(const struct shared_config *config, struct registry_link **ret,
		       struct error *ret_error);
int registry_link_do(struct registry_link *l, const struct shared_put *puts, unsigned int count,
		     uint64_t *ret_revision, struct error *ret_error);
void registry_link_close(struct registry_link *l);

/* --- this host's own registry (registry_own.c) ----------------------------------------------- */

struct own {
	struct segment *segments;
	struct pool *pools;
	struct port *ports;
	struct router **routers;
	struct cluster **clusters;
	struct record_set shared; /* kept */
	struct vmac **vmacs;
	size_t segment_count, pool_count, port_count, router_count, cluster_count, vmac_count;
	char uuid[37];
};

void own_init(struct own *o);

/* Adds what it is told. */
struct store_visitor own_visitor(struct own *o);

/* Opens it offline; uuid NULL: whatever it is.  ALREADY_RUNNING: stop vmacd first. */
int own_store(const char *directory, const char *uuid, struct store **ret, struct error *ret_error);
/* And reads all. */
int own_open(const char *directory, const char *uuid, struct store **ret_store, struct own *ret,
	     struct error *ret_error);
/* Writes all of *wanted into an empty registry, in one transaction, with its uuid where it has one.
 * IN_USE: it is not empty. */
int own_fill(const char *directory, const struct own *wanted, const char *verb,
	     struct error *ret_error);
/* Whether what one record says of another is so.  REGISTRY_CORRUPT: names what is not. */
int own_check(const struct own *o, struct error *ret_error);
void own_done(struct own *o);

const struct segment *own_segment(const struct own *o, uint32_t id);
const struct pool *own_pool(const struct own *o, uint32_t id);

/* --- the commands: exit statuses ------------------------------------------------------------- */

struct tool {
	struct shared_config shared;
	const char *state_dir, *host; /* host: this one's name */
	struct ip address;	      /* of this host's end of the tunnel; family 0 = none */
	uint16_t tunnel_port;
	bool has_shared, wants_shared, repair;
	const char *file;		       /* NULL = standard output, or none */
	const char *target;		       /* of copy */
	const char *uplinks[TOOL_UPLINKS_MAX]; /* SEGMENT=IFNAME */
	unsigned int uplink_count;
};

/* registry_check.c */
struct finding {
	char text[512], repair[160];
	/* What --repair does: one put.  NULL record: there is no repair but an operator's. */
	struct shared_put put;
};
struct findings {
	struct finding *list;
	size_t count, room;
};
int registry_findings(const struct record_set *s, struct findings *ret); /* -ENOMEM */
void findings_done(struct findings *f);
int registry_check(const struct tool *t, struct error *ret_error);

/* registry_file.c */
int registry_export(const struct tool *t, struct error *ret_error);
int registry_import(const struct tool *t, struct error *ret_error);
int registry_read_shared(const char *path, struct record_set *ret, struct error *ret_error);

/* registry_import.c: of the shared registry */
int registry_import_shared(const struct tool *t, struct error *ret_error);

/* Copies: registry_claim.c, into the shared registry; registry_regain.c, out of it. */
int registry_claim(const struct tool *t, struct error *ret_error);
int registry_regain(const struct tool *t, struct error *ret_error);

/* The sequence number of an address in a pool; -ERANGE: it has none. */
int registry_number(const struct pool_machine *m, vmac_mac_t address, uint64_t *ret);
/* How many numbers a block of this pool has, by the rule for all hosts. */
uint32_t registry_block_size(const struct pool *p);
