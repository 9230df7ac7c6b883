#include "store/export.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/record.h"
#include "store/cluster_json.h"
#include "store/members.h"
#include "store/router_json.h"

DEFINE_CLEANUP(json_t *, json_decref);

/* --- this host's records: the names are those of the columns --------------------------------- */

MEMBER_WORDS(port_kind_word, PORT_KIND_COUNT, port_kind_name)
MEMBER_WORDS(gate_word, GATE_COUNT, port_gate_name)
MEMBER_WORDS(kind_word, VMAC_KIND_COUNT, vmac_kind_name)
MEMBER_WORDS(origin_word, VMAC_ORIGIN_COUNT, vmac_origin_name)
MEMBER_WORDS(state_word, VMAC_STATE_COUNT, vmac_state_name)

/* clang-format off */
#define NUMBER(m, lo, hi) { .name = #m, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .least = lo, .most = hi }
#define CHARS(m, r)	  { .name = #m, .type = MEMBER_CHARS, MEMBER_PLACE(m), .most = MEMBER_SIZE(m) - 1, .rule = r }
#define TEXT(m, hi, r)	  { .name = #m, .type = MEMBER_TEXT, MEMBER_PLACE(m), .most = hi, .rule = r }
#define MAC(m)		  { .name = #m, .type = MEMBER_MAC, MEMBER_PLACE(m) }
#define WORD(m, w)	  { .name = #m, .type = MEMBER_WORD, MEMBER_PLACE(m), .word = w }
#define TIME(n, m)	  { .name = n, .type = MEMBER_NUMBER, MEMBER_PLACE(m), .least = INT64_MIN, .most = INT64_MAX }
#define ARRAY(n, t, m, c) { .name = n, .type = t, MEMBER_PLACE(m), .count_at = MEMBER_AT(c) }

#define T segment
static const struct member segment_list[] = {
	NUMBER(id, 1, SEGMENTS_MAX),
	CHARS(name, RULE_NAME),
	CHARS(uplink, RULE_TEXT),
	NUMBER(vlan, 0, 4094),
	NUMBER(net, 0, UINT16_MAX),
	NUMBER(epoch_floor, 0, INT64_MAX),
	TIME("created", created.ms),
};
#undef T

#define T pool
static const struct member pool_list[] = {
	NUMBER(id, 1, POOLS_MAX),
	NUMBER(segment, 1, SEGMENTS_MAX),
	CHARS(name, RULE_NAME),
	ARRAY("ranges", MEMBER_RANGES, ranges, range_count),
	ARRAY("excludes", MEMBER_RANGES, excludes, exclude_count),
	{ .name = "key", .type = MEMBER_KEY, MEMBER_PLACE(key) },
	NUMBER(cursor, 0, INT64_MAX),
	NUMBER(quarantine_ms, 0, INT64_MAX),
	NUMBER(limit, 0, INT64_MAX),
	TIME("created", created.ms),
};
#undef T

#define T port
static const struct member port_list[] = {
	NUMBER(id, 1, PORTS_MAX),
	NUMBER(segment, 1, SEGMENTS_MAX),
	CHARS(name, RULE_NAME),
	WORD(kind, port_kind_word),
	WORD(gate, gate_word),
	NUMBER(made, 0, 1),
	MAC(address),
	CHARS(ifname, RULE_TEXT),
	CHARS(peer_netns, RULE_TEXT),
	CHARS(peer_ifname, RULE_TEXT),
	NUMBER(owner_uid, 0, UINT32_MAX),
	NUMBER(owner_gid, 0, UINT32_MAX),
	NUMBER(queues, 0, 256),
	NUMBER(mtu, 0, UINT16_MAX),
	NUMBER(allow, 0, UINT32_MAX),
	NUMBER(flood_pps, 0, UINT32_MAX),
	TIME("created", created.ms),
	ARRAY("routers", MEMBER_MACS, routers, router_count),
};
#undef T

#define T vmac
static const struct member vmac_list[] = {
	MAC(address),
	NUMBER(segment, 1, SEGMENTS_MAX),
	NUMBER(pool, 0, POOLS_MAX),
	NUMBER(port, 0, PORTS_MAX),
	WORD(state, state_word),
	WORD(kind, kind_word),
	WORD(origin, origin_word),
	NUMBER(epoch, 0, INT64_MAX),
	TIME("created", created.ms),
	TIME("changed", changed.ms),
	TIME("until", until.ms),
	NUMBER(ttl_ms, 0, INT64_MAX),
	TEXT(name, NAME_MAX_LEN, RULE_NAME_OR_EMPTY),
	TEXT(owner, OWNER_MAX_LEN, RULE_TEXT),
	TEXT(tenant, OWNER_MAX_LEN, RULE_TEXT),
	TEXT(note, NOTE_MAX_LEN, RULE_TEXT),
	ARRAY("ips", MEMBER_IPS, ips, ip_count),
};
#undef T
/* clang-format on */

static const struct members segment_members = MEMBERS(segment, segment_list);
static const struct members pool_members = MEMBERS(pool, pool_list);
static const struct members port_members = MEMBERS(port, port_list);
static const struct members vmac_members = MEMBERS(vmac, vmac_list);

enum { SEGMENTS, POOLS, PORTS, ROUTERS, CLUSTERS, SHARED, VMACS, OWN_ARRAYS };

static const char *const own_arrays[] = { "segments", "pools",	"ports", "routers",
					  "clusters", "shared", "vmacs" };
static const char *const shared_arrays[] = { "records" };

/* --- writing --------------------------------------------------------------------------------- */

struct writing {
	FILE *to;
	const char *registry;
	const char *const *arrays;
	unsigned int begun; /* the last of these is open */
	size_t items;	    /* in it */
	const struct mem *mem;
	struct error error;
};

/* Nothing is written before there is something to write: what cannot be read leaves nothing. */
static void begin(struct writing *w)
{
	fprintf(w->to,
		"{\"format\": %d,\n\"registry\": \"%s\",\n\"vmac\": \"%s\",\n"
		"\"secrets\": \"keys of pools, of routers and of clusters: keep this file to "
		"yourself\"",
		EXPORT_FORMAT, w->registry, VMAC_VERSION);
}

/* Opens the arrays up to the `count`th, and closes those before it. */
static void arrays_begin(struct writing *w, unsigned int count)
{
	if (w->begun == 0)
		begin(w);
	for (; w->begun < count; w->begun++) {
		if (w->begun > 0)
			fputs(w->items ? "\n]" : "]", w->to);
		fprintf(w->to, ",\n\"%s\": [", w->arrays[w->begun]);
		w->items = 0;
	}
}

/* Takes `item` over; NULL: w->error says why. */
static int put(struct writing *w, unsigned int array, json_t *item)
{
	if (!item)
		return -error_errno(w->error.code);
	arrays_begin(w, array + 1);
	fputs(w->items++ ? ",\n" : "\n", w->to);
	json_dumpf(item, w->to, JSON_COMPACT);
	json_decref(item);
	return 0;
}

static int put_segment(void *ctx, const struct segment *s)
{
	struct writing *w = ctx;

	return put(w, SEGMENTS, members_write(&segment_members, s, &w->error));
}

static int put_pool(void *ctx, const struct pool *p)
{
	struct writing *w = ctx;

	return put(w, POOLS, members_write(&pool_members, p, &w->error));
}

static int put_port(void *ctx, const struct port *p)
{
	struct writing *w = ctx;

	return put(w, PORTS, members_write(&port_members, p, &w->error));
}

static int put_router(void *ctx, const struct router *r)
{
	struct writing *w = ctx;
	json_t *item = router_json_object(r, &w->error);

	json_object_set_new(item, "id", json_integer(r->id));
	return put(w, ROUTERS, item);
}

/* As the shared registry has it, and what is this host's own beside. */
static int put_cluster(void *ctx, const struct cluster *c)
{
	struct writing *w = ctx;
	json_t *item = cluster_json_object(c, "", &w->error);

	json_object_set_new(item, "id", json_integer(c->id));
	json_object_set_new(item, "segment_id", json_integer(c->segment));
	json_object_set_new(item, "created", json_integer(c->created.ms));
	return put(w, CLUSTERS, item);
}

static int put_record(struct writing *w, unsigned int array, const struct shared_record *r)
{
	json_t *item = NULL;
	char *key, *value;

	if (shared_encode(w->mem, r, &key, &value, &w->error) == 0) {
		item = json_pack("{s:s,s:I,s:o}", "key", key, "revision", (json_int_t)r->revision,
				 "value", json_loads(value, 0, NULL));
		if (!item)
			json_no_memory(&w->error);
		mem_free(w->mem, key);
		mem_free(w->mem, value);
	}
	return put(w, array, item);
}

static int put_kept(void *ctx, const struct shared_record *r)
{
	return put_record(ctx, SHARED, r);
}

static int put_shared(void *ctx, const struct shared_record *r)
{
	return put_record(ctx, 0, r);
}

static int put_vmac(void *ctx, struct vmac *owned)
{
	struct writing *w = ctx;
	int r = put(w, VMACS, members_write(&vmac_members, owned, &w->error));

	mem_free(w->mem, owned);
	return r;
}

static int end(struct writing *w, int r, struct error *ret_error)
{
	if (r < 0 && w->error.code != ERROR_NONE)
		*ret_error = w->error;
	if (r < 0)
		return r;
	fputs(w->items ? "\n]}\n" : "]}\n", w->to);
	return 0;
}

int export_own(struct store *s, const struct mem *mem, FILE *to, struct error *ret_error)
{
	struct writing w = { .to = to, .registry = "own", .arrays = own_arrays, .mem = mem };
	const struct store_visitor visitor = {
		.segment = put_segment,
		.pool = put_pool,
		.port = put_port,
		.router = put_router,
		.cluster = put_cluster,
		.shared = put_kept,
		.vmac = put_vmac,
		.ctx = &w,
	};
	int r = store_load(s, &visitor, ret_error);

	if (r == 0)
		arrays_begin(&w, OWN_ARRAYS);
	return end(&w, r, ret_error);
}

int export_shared(const struct shared_config *config, FILE *to, struct error *ret_error)
{
	struct writing w = {
		.to = to, .registry = "shared", .arrays = shared_arrays, .mem = config->mem
	};
	int r = shared_dump(config, put_shared, &w, ret_error);

	if (r == 0)
		arrays_begin(&w, 1);
	return end(&w, r, ret_error);
}

/* --- reading --------------------------------------------------------------------------------- */

struct reading {
	const struct mem *mem;
	const struct store_visitor *visitor;
	int (*record)(void *ctx, const struct shared_record *r);
	void *ctx;
};

static int document_read(FILE *from, const char *name, const char *registry, json_t **ret,
			 struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *document = NULL;
	const char *found;
	json_error_t fault;

	document = json_loadf(from, JSON_REJECT_DUPLICATES, &fault);
	if (!document)
		return error_set(ret_error, ERROR_BAD_JSON, NULL, "%.200s, line %d: it is not JSON",
				 name, fault.line);
	if (json_integer_value(json_object_get(document, "format")) != EXPORT_FORMAT)
		return error_set(ret_error, ERROR_REGISTRY_VERSION, NULL,
				 "%.200s is no export of format %d", name, EXPORT_FORMAT);
	found = json_string_value(json_object_get(document, "registry"));
	if (!found || strcmp(found, registry) != 0)
		return error_set(ret_error, ERROR_BAD_VALUE,
				 "with --shared, an export of the shared registry is read; without "
				 "it, one of a host's own",
				 "%.200s is no export of the %s registry", name,
				 strcmp(registry, "own") == 0 ? "host's own" : "shared");
	*ret = TAKE_PTR(document);
	return 0;
}

static int read_segment(const struct reading *r, const json_t *item, struct error *ret_error)
{
	struct segment s = { 0 };
	int result = members_read(&segment_members, item, NULL, &s, ret_error);

	return result < 0 ? result : r->visitor->segment(r->visitor->ctx, &s);
}

static int read_pool(const struct reading *r, const json_t *item, struct error *ret_error)
{
	struct pool p = { 0 };
	int result = members_read(&pool_members, item, NULL, &p, ret_error);

	return result < 0 ? result : r->visitor->pool(r->visitor->ctx, &p);
}

static int read_port(const struct reading *r, const json_t *item, struct error *ret_error)
{
	struct port p = { 0 };
	int result = members_read(&port_members, item, NULL, &p, ret_error);

	return result < 0 ? result : r->visitor->port(r->visitor->ctx, &p);
}

static int read_router(const struct reading *r, const json_t *item, struct error *ret_error)
{
	json_int_t id = json_integer_value(json_object_get(item, "id"));
	struct router_json *json = NULL;
	int result = router_json_from(item, &json, ret_error);

	if (result < 0)
		return result;
	json->router.id = (uint32_t)id;
	if (id < 1 || id > ROUTERS_MAX)
		result = error_set(ret_error, ERROR_BAD_VALUE, NULL, "'id' is out of range");
	else
		result = r->visitor->router(r->visitor->ctx, &json->router);
	router_json_done(json);
	return result;
}

static int read_cluster(const struct reading *r, const json_t *item, struct error *ret_error)
{
	json_int_t id = json_integer_value(json_object_get(item, "id"));
	json_int_t segment = json_integer_value(json_object_get(item, "segment_id"));
	struct cluster_json *json = NULL;
	int result = cluster_json_from(item, &json, ret_error);

	if (result < 0)
		return result;
	json->cluster.id = (uint32_t)id;
	json->cluster.segment = (uint32_t)segment;
	json->cluster.created.ms = json_integer_value(json_object_get(item, "created"));
	if (id < 1 || id > CLUSTERS_MAX || segment < 1 || segment > SEGMENTS_MAX)
		result = error_set(ret_error, ERROR_BAD_VALUE, NULL,
				   "'id' or 'segment_id' is out of range");
	else
		result = r->visitor->cluster(r->visitor->ctx, &json->cluster);
	cluster_json_done(json);
	return result;
}

static int read_record(const struct reading *r, const json_t *item, struct error *ret_error)
{
	const char *key = json_string_value(json_object_get(item, "key"));
	json_int_t revision = json_integer_value(json_object_get(item, "revision"));
	char *value = json_dumps(json_object_get(item, "value"), JSON_COMPACT);
	struct shared_record *record = NULL;
	int result;

	if (!key || !value || revision < 0)
		result = error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				   "it has no key, value or revision");
	else
		result = shared_decode(r->mem, key, value, strlen(value), (uint64_t)revision,
				       &record, ret_error);
	free(value);
	if (result == 0)
		result = r->record(r->ctx, record);
	mem_free(r->mem, record);
	return result;
}

static int read_vmac(const struct reading *r, const json_t *item, struct error *ret_error)
{
	struct ip ips[VMAC_IPS_MAX];
	struct scratch s = { .ips = ips, .ips_room = VMAC_IPS_MAX };
	struct vmac v = { 0 };
	void *block;
	int result = members_read(&vmac_members, item, &s, &v, ret_error);

	if (result < 0)
		return result;
	block = mem_alloc(r->mem, vmac_block_size(&v));
	if (!block)
		return json_no_memory(ret_error);
	return r->visitor->vmac(r->visitor->ctx, vmac_block_fill(block, &v));
}

static int array_read(const struct reading *r, const json_t *document, const char *name,
		      int (*one)(const struct reading *r, const json_t *item,
				 struct error *ret_error),
		      struct error *ret_error)
{
	const json_t *array;
	int result = json_array_named(document, name, SIZE_MAX, &array, ret_error);

	if (result < 0)
		return result;
	*ret_error = (struct error){ 0 };
	for (size_t i = 0; i < json_array_size(array); i++) {
		result = one(r, json_array_get(array, i), ret_error);
		if (result == -ENOMEM && ret_error->code == ERROR_NONE)
			json_no_memory(ret_error);
		if (result < 0) {
			error_prefix(ret_error, "%zu. of '%s'", i + 1, name);
			return result;
		}
	}
	return 0;
}

int export_read_own(FILE *from, const char *name, const struct mem *mem,
		    const struct store_visitor *visitor, struct error *ret_error)
{
	static int (*const one[OWN_ARRAYS])(const struct reading *, const json_t *,
					    struct error *) = {
		[SEGMENTS] = read_segment, [POOLS] = read_pool,	      [PORTS] = read_port,
		[ROUTERS] = read_router,   [CLUSTERS] = read_cluster, [SHARED] = read_record,
		[VMACS] = read_vmac,
	};
	const struct reading reading = {
		.mem = mem, .visitor = visitor, .record = visitor->shared, .ctx = visitor->ctx
	};
	CLEANUP(json_decref_p) json_t *document = NULL;
	int r = document_read(from, name, "own", &document, ret_error);

	for (unsigned int i = 0; i < OWN_ARRAYS && r == 0; i++) {
		/* Exports from before there were clusters have no such array. */
		if (i == CLUSTERS && !json_object_get(document, own_arrays[i]))
			continue;
		r = array_read(&reading, document, own_arrays[i], one[i], ret_error);
	}
	return r;
}

int export_read_shared(FILE *from, const char *name, const struct mem *mem,
		       int (*fn)(void *ctx, const struct shared_record *r), void *ctx,
		       struct error *ret_error)
{
	const struct reading reading = { .mem = mem, .record = fn, .ctx = ctx };
	CLEANUP(json_decref_p) json_t *document = NULL;
	int r = document_read(from, name, "shared", &document, ret_error);

	return r < 0 ? r : array_read(&reading, document, shared_arrays[0], read_record, ret_error);
}
