/* Exports: one JSON document, docs/registry.md has its members.  What there may be a million of is
 * written as it comes, a line each. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/registry_tool.h"
#include "store/cluster_json.h"
#include "store/router_json.h"
#include "store/shared_members.h"

#define EXPORT_FORMAT 1

DEFINE_CLEANUP(json_t *, json_decref);

/* --- tables of this host's records: the names are those of the columns ------------------------ */

/* clang-format off */
#define PLACE(m)	  .at = offsetof(struct T, m), .size = sizeof(((struct T *)NULL)->m)
#define NUMBER(m, lo, hi) { .name = #m, .type = MEMBER_NUMBER, PLACE(m), .least = lo, .most = hi }
#define CHARS(m, r)	  { .name = #m, .type = MEMBER_CHARS, PLACE(m), .most = sizeof(((struct T *)NULL)->m) - 1, .rule = r }
#define TEXT(m, hi, r)	  { .name = #m, .type = MEMBER_TEXT, PLACE(m), .most = hi, .rule = r }
#define MAC(m)		  { .name = #m, .type = MEMBER_MAC, PLACE(m) }
#define WORD(m, w)	  { .name = #m, .type = MEMBER_WORD, PLACE(m), .word = w }
#define TIME(n, m)	  { .name = n, .type = MEMBER_NUMBER, PLACE(m), .least = INT64_MIN, .most = INT64_MAX }
#define ARRAY(n, t, m, c) { .name = n, .type = t, PLACE(m), .count_at = offsetof(struct T, c) }
#define WORDS(fn, count, name) \
	static const char *fn(unsigned int i) { return i < (count) ? name(i) : NULL; }

WORDS(port_kind_word, PORT_KIND_COUNT, port_kind_name)
WORDS(gate_word, GATE_COUNT, port_gate_name)
WORDS(kind_word, VMAC_KIND_COUNT, vmac_kind_name)
WORDS(origin_word, VMAC_ORIGIN_COUNT, vmac_origin_name)
WORDS(state_word, VMAC_STATE_COUNT, vmac_state_name)

#define T segment
static const struct member segment_members[] = {
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
static const struct member pool_members[] = {
	NUMBER(id, 1, POOLS_MAX),
	NUMBER(segment, 1, SEGMENTS_MAX),
	CHARS(name, RULE_NAME),
	ARRAY("ranges", MEMBER_RANGES, ranges, range_count),
	ARRAY("excludes", MEMBER_RANGES, excludes, exclude_count),
	{ .name = "key", .type = MEMBER_KEY, PLACE(key) },
	NUMBER(cursor, 0, INT64_MAX),
	NUMBER(quarantine_ms, 0, INT64_MAX),
	NUMBER(limit, 0, INT64_MAX),
	TIME("created", created.ms),
};
#undef T

#define T port
static const struct member port_members[] = {
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
};
#undef T

#define T vmac
static const struct member vmac_members[] = {
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

#define MEMBERS(m) ((const struct members){ m, ARRAY_LEN(m), 0 })

/* --- writing --------------------------------------------------------------------------------- */

struct writer {
	FILE *to;
	size_t items; /* in the array that is open */
	struct error *error;
	int result;
};

static void array_begin(struct writer *w, const char *name)
{
	fprintf(w->to, ",\n\"%s\": [", name);
	w->items = 0;
}

static void array_end(struct writer *w)
{
	fputs(w->items ? "\n]" : "]", w->to);
}

/* Takes `item` over. */
static void array_item(struct writer *w, json_t *item)
{
	if (!item) {
		if (w->error->code == ERROR_NONE)
			error_set(w->error, ERROR_NO_MEMORY, NULL, "out of memory");
		w->result = -error_errno(w->error->code);
		return;
	}
	fputs(w->items++ ? ",\n" : "\n", w->to);
	json_dumpf(item, w->to, JSON_COMPACT);
	json_decref(item);
}

static json_t *port_item(const struct port *p, struct error *error)
{
	json_t *item = members_write(&MEMBERS(port_members), p, error), *routers = json_array();
	char mac[VMAC_MAC_TEXT_MAX];

	for (unsigned int i = 0; i < p->router_count; i++)
		json_array_append_new(
			routers, json_string(vmac_mac_format(p->routers[i], VMAC_MAC_COLON, mac)));
	json_object_set_new(item, "routers", routers);
	return item;
}

static json_t *router_item(const struct router *r)
{
	char *text = router_json_write(r);
	json_t *item = text ? json_loads(text, 0, NULL) : NULL;

	json_object_set_new(item, "id", json_integer(r->id));
	free(text);
	return item;
}

/* As the shared registry has it, and what is this host's own beside. */
static json_t *cluster_item(const struct cluster *c, struct error *error)
{
	json_t *item = cluster_json_object(c, "", error);

	json_object_set_new(item, "id", json_integer(c->id));
	json_object_set_new(item, "segment_id", json_integer(c->segment));
	json_object_set_new(item, "created", json_integer(c->created.ms));
	return item;
}

static json_t *shared_item(const struct shared_record *r, struct error *error)
{
	char *key, *value;
	json_t *item;

	if (shared_encode(&tool_mem, r, &key, &value, error) < 0)
		return NULL;
	item = json_pack("{s:s,s:I,s:o}", "key", key, "revision", (json_int_t)r->revision, "value",
			 json_loads(value, 0, NULL));
	free(key);
	free(value);
	return item;
}

static void shared_items(struct writer *w, const struct record_set *s)
{
	for (size_t i = 0; i < s->count && w->result == 0; i++)
		array_item(w, shared_item(s->list[i], w->error));
}

static void document_begin(struct writer *w, const char *registry)
{
	fprintf(w->to,
		"{\"format\": %d,\n\"registry\": \"%s\",\n\"vmac\": \"%s\",\n"
		"\"secrets\": \"keys of pools, of routers and of clusters: keep this file to "
		"yourself\"",
		EXPORT_FORMAT, registry, VMAC_VERSION);
}

static void own_items(struct writer *w, const struct own *o)
{
	array_begin(w, "segments");
	for (size_t i = 0; i < o->segment_count && w->result == 0; i++)
		array_item(w, members_write(&MEMBERS(segment_members), &o->segments[i], w->error));
	array_end(w);
	array_begin(w, "pools");
	for (size_t i = 0; i < o->pool_count && w->result == 0; i++)
		array_item(w, members_write(&MEMBERS(pool_members), &o->pools[i], w->error));
	array_end(w);
	array_begin(w, "ports");
	for (size_t i = 0; i < o->port_count && w->result == 0; i++)
		array_item(w, port_item(&o->ports[i], w->error));
	array_end(w);
	array_begin(w, "routers");
	for (size_t i = 0; i < o->router_count && w->result == 0; i++)
		array_item(w, router_item(o->routers[i]));
	array_end(w);
	array_begin(w, "clusters");
	for (size_t i = 0; i < o->cluster_count && w->result == 0; i++)
		array_item(w, cluster_item(o->clusters[i], w->error));
	array_end(w);
	array_begin(w, "shared");
	shared_items(w, &o->shared);
	array_end(w);
	array_begin(w, "vmacs");
	for (size_t i = 0; i < o->vmac_count && w->result == 0; i++)
		array_item(w, members_write(&MEMBERS(vmac_members), o->vmacs[i], w->error));
	array_end(w);
}

static int export_to(const struct tool *t, FILE *to, struct error *ret_error)
{
	struct writer w = { .to = to, .error = ret_error };
	int r;

	*ret_error = (struct error){ 0 };
	if (t->wants_shared) {
		struct record_set s;

		r = record_set_dump(&t->shared, &s, ret_error);
		if (r < 0)
			return r;
		document_begin(&w, "shared");
		array_begin(&w, "records");
		shared_items(&w, &s);
		array_end(&w);
		record_set_done(&s);
	} else {
		struct store *store;
		struct own own;

		r = own_open(t->state_dir, &store, &own, ret_error);
		if (r < 0)
			return r;
		document_begin(&w, "own");
		own_items(&w, &own);
		own_done(&own);
		store_close(store);
	}
	fputs("}\n", to);
	return w.result;
}

static int file_failed(struct error *ret_error, const char *doing, const char *path)
{
	return error_set(ret_error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_REGISTRY_FAILED, NULL,
			 "cannot %s %.200s: %s", doing, path, strerror(errno));
}

/* Whole under another name first: an export that failed leaves what was there before. */
int registry_export(const struct tool *t, struct error *ret_error)
{
	char fresh[4096];
	FILE *to;
	int fd, r;

	if (!t->file) {
		r = export_to(t, stdout, ret_error);
		if (r == 0 && fflush(stdout) != 0)
			return file_failed(ret_error, "write", "standard output");
		return r;
	}
	snprintf(fresh, sizeof(fresh), "%s.new", t->file);
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!to)
		return file_failed(ret_error, "make", fresh);
	r = export_to(t, to, ret_error);
	if (r == 0 && (fflush(to) != 0 || fsync(fd) != 0))
		r = file_failed(ret_error, "write", fresh);
	fclose(to);
	if (r == 0 && rename(fresh, t->file) < 0)
		r = file_failed(ret_error, "rename", fresh);
	if (r < 0)
		unlink(fresh);
	return r;
}

/* --- reading --------------------------------------------------------------------------------- */

static int read_document(const char *path, json_t **ret, struct error *ret_error)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	json_error_t fault;

	if (!f)
		return file_failed(ret_error, "open", path);
	*ret = json_loadf(f, JSON_REJECT_DUPLICATES, &fault);
	if (f != stdin)
		fclose(f);
	if (!*ret)
		return error_set(ret_error, ERROR_BAD_JSON, NULL, "%.200s, line %d: it is not JSON",
				 path, fault.line);
	if (json_integer_value(json_object_get(*ret, "format")) != EXPORT_FORMAT)
		return error_set(ret_error, ERROR_REGISTRY_VERSION, NULL,
				 "%.200s is no export of format %d", path, EXPORT_FORMAT);
	return 0;
}

static int expect(const json_t *document, const char *path, const char *registry,
		  struct error *ret_error)
{
	const char *found = json_string_value(json_object_get(document, "registry"));

	if (found && strcmp(found, registry) == 0)
		return 0;
	return error_set(ret_error, ERROR_BAD_VALUE,
			 strcmp(registry, "own") == 0
				 ? "with --shared, an export of the shared registry is read"
				 : "without --shared, an export of a host's own registry is read",
			 "%.200s is no export of the %s registry", path,
			 strcmp(registry, "own") == 0 ? "host's own" : "shared");
}

static int array_of(const json_t *document, const char *name, const json_t **ret,
		    struct error *ret_error)
{
	*ret = json_object_get(document, name);
	if (json_is_array(*ret))
		return 0;
	return error_set(ret_error, ERROR_MISSING_FIELD, NULL, "'%s' is missing", name);
}

static int out_of_memory(struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
}

/* An array whose items are structs of `size` octets, as a table says. */
static int structs_read(const json_t *document, const char *name, const struct members *members,
			size_t size, void **ret, size_t *ret_count, struct error *ret_error)
{
	struct scratch none = { 0 };
	const json_t *array;
	int r = array_of(document, name, &array, ret_error);

	if (r < 0)
		return r;
	*ret = calloc(json_array_size(array) + 1, size);
	if (!*ret)
		return out_of_memory(ret_error);
	*ret_count = json_array_size(array);
	for (size_t i = 0; i < *ret_count && r == 0; i++) {
		r = members_read(members, json_array_get(array, i), &none, (char *)*ret + i * size,
				 ret_error);
		if (r < 0)
			error_prefix(ret_error, "%zu. of '%s'", i + 1, name);
	}
	return r;
}

static int port_routers_read(const json_t *document, struct own *o, struct error *ret_error)
{
	for (size_t i = 0; i < o->port_count; i++) {
		const json_t *port = json_array_get(json_object_get(document, "ports"), i);
		const json_t *list = json_object_get(port, "routers");

		if (!json_is_array(list) || json_array_size(list) > PORT_ROUTERS_MAX)
			return error_set(ret_error, ERROR_BAD_VALUE, NULL,
					 "'routers' of port '%s' is not an array of at most %d",
					 o->ports[i].name, PORT_ROUTERS_MAX);
		for (size_t n = 0; n < json_array_size(list); n++) {
			const char *mac = json_string_value(json_array_get(list, n));

			if (!mac || vmac_mac_parse(mac, &o->ports[i].routers[n], NULL) < 0)
				return error_set(ret_error, ERROR_BAD_VALUE, NULL,
						 "a router of port '%s' is no MAC address",
						 o->ports[i].name);
		}
		o->ports[i].router_count = (unsigned int)json_array_size(list);
	}
	return 0;
}

static int router_read(const json_t *item, struct router **ret, struct error *ret_error)
{
	char *text = json_dumps(item, JSON_COMPACT);
	struct router_json *json = NULL;
	struct router router;
	void *block = NULL;
	json_int_t id = json_integer_value(json_object_get(item, "id"));
	int r = text ? router_json_read(text, strlen(text), &json, &router) : -ENOMEM;

	if (r == 0)
		block = malloc(router_block_size(&router));
	free(text);
	if (r == -EUCLEAN || id < 1 || id > ROUTERS_MAX) {
		router_json_done(json);
		free(block);
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "one of 'routers' breaks the rules of routers");
	}
	if (block) {
		router.id = (uint32_t)id;
		*ret = router_block_fill(block, &router);
	}
	router_json_done(json);
	return block ? 0 : out_of_memory(ret_error);
}

static int routers_read(const json_t *document, struct own *o, struct error *ret_error)
{
	const json_t *array;
	int r = array_of(document, "routers", &array, ret_error);

	if (r < 0)
		return r;
	o->routers = calloc(json_array_size(array) + 1, sizeof(struct router *));
	if (!o->routers)
		return out_of_memory(ret_error);
	for (size_t i = 0; i < json_array_size(array) && r == 0; i++) {
		r = router_read(json_array_get(array, i), &o->routers[i], ret_error);
		o->router_count += r == 0;
	}
	return r;
}

static int cluster_read(const json_t *item, struct cluster **ret, struct error *ret_error)
{
	json_int_t id = json_integer_value(json_object_get(item, "id"));
	json_int_t segment = json_integer_value(json_object_get(item, "segment_id"));
	struct cluster_json *json = NULL;
	void *block;
	int r = cluster_json_from(item, &json, ret_error);

	if (r < 0)
		return r;
	if (id < 1 || id > CLUSTERS_MAX || segment < 1 || segment > SEGMENTS_MAX) {
		cluster_json_done(json);
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "'id' or 'segment_id' is out of range");
	}
	json->cluster.id = (uint32_t)id;
	json->cluster.segment = (uint32_t)segment;
	json->cluster.created.ms = json_integer_value(json_object_get(item, "created"));
	block = malloc(cluster_block_size(&json->cluster));
	if (block)
		*ret = cluster_block_fill(block, &json->cluster);
	cluster_json_done(json);
	return block ? 0 : out_of_memory(ret_error);
}

/* Exports from before there were any have no such array. */
static int clusters_read(const json_t *document, struct own *o, struct error *ret_error)
{
	const json_t *array = json_object_get(document, "clusters");
	int r = 0;

	if (!array)
		return 0;
	r = array_of(document, "clusters", &array, ret_error);
	if (r < 0)
		return r;
	o->clusters = calloc(json_array_size(array) + 1, sizeof(struct cluster *));
	if (!o->clusters)
		return out_of_memory(ret_error);
	for (size_t i = 0; i < json_array_size(array) && r == 0; i++) {
		r = cluster_read(json_array_get(array, i), &o->clusters[i], ret_error);
		o->cluster_count += r == 0;
		if (r < 0)
			error_prefix(ret_error, "%zu. of 'clusters'", i + 1);
	}
	return r;
}

static int vmacs_read(const json_t *document, struct own *o, struct error *ret_error)
{
	struct ip ips[VMAC_IPS_MAX];
	const json_t *array;
	int r = array_of(document, "vmacs", &array, ret_error);

	if (r < 0)
		return r;
	o->vmacs = calloc(json_array_size(array) + 1, sizeof(struct vmac *));
	if (!o->vmacs)
		return out_of_memory(ret_error);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct scratch s = { .ips = ips, .ips_room = VMAC_IPS_MAX };
		struct vmac v = { 0 };
		void *block;

		r = members_read(&MEMBERS(vmac_members), json_array_get(array, i), &s, &v,
				 ret_error);
		if (r < 0) {
			error_prefix(ret_error, "%zu. of 'vmacs'", i + 1);
			return r;
		}
		block = malloc(vmac_block_size(&v));
		if (!block)
			return out_of_memory(ret_error);
		o->vmacs[o->vmac_count++] = vmac_block_fill(block, &v);
	}
	return 0;
}

static int records_read(const json_t *document, const char *name, struct record_set *ret,
			struct error *ret_error)
{
	const json_t *array;
	int r = array_of(document, name, &array, ret_error);

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);
		const char *key = json_string_value(json_object_get(item, "key"));
		json_int_t revision = json_integer_value(json_object_get(item, "revision"));
		char *value = json_dumps(json_object_get(item, "value"), JSON_COMPACT);
		struct shared_record *record = NULL;

		if (!key || !value || revision < 0)
			r = error_set(ret_error, ERROR_MISSING_FIELD, NULL,
				      "%zu. of '%s' has no key, value or revision", i + 1, name);
		else
			r = shared_decode(&tool_mem, key, value, strlen(value), (uint64_t)revision,
					  &record, ret_error);
		free(value);
		if (r == 0 && record_set_add(ret, record) < 0)
			r = out_of_memory(ret_error);
		free(record);
	}
	if (r == 0 && record_set_sort(ret) < 0)
		r = out_of_memory(ret_error);
	return r;
}

static int own_read(const json_t *document, struct own *o, struct error *ret_error)
{
	int r = structs_read(document, "segments", &MEMBERS(segment_members), sizeof(*o->segments),
			     (void **)&o->segments, &o->segment_count, ret_error);

	if (r == 0)
		r = structs_read(document, "pools", &MEMBERS(pool_members), sizeof(*o->pools),
				 (void **)&o->pools, &o->pool_count, ret_error);
	if (r == 0)
		r = structs_read(document, "ports", &MEMBERS(port_members), sizeof(*o->ports),
				 (void **)&o->ports, &o->port_count, ret_error);
	if (r == 0)
		r = port_routers_read(document, o, ret_error);
	if (r == 0)
		r = routers_read(document, o, ret_error);
	if (r == 0)
		r = clusters_read(document, o, ret_error);
	if (r == 0)
		r = records_read(document, "shared", &o->shared, ret_error);
	if (r == 0)
		r = vmacs_read(document, o, ret_error);
	return r == 0 ? own_check(o, ret_error) : r;
}

int registry_read_shared(const char *path, struct record_set *ret, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *document = NULL;
	int r = read_document(path, &document, ret_error);

	record_set_init(ret);
	if (r == 0)
		r = expect(document, path, "shared", ret_error);
	if (r == 0)
		r = records_read(document, "records", ret, ret_error);
	if (r < 0)
		record_set_done(ret);
	return r;
}

/* --- import ---------------------------------------------------------------------------------- */

static int import_own(const struct tool *t, struct error *ret_error)
{
	CLEANUP(json_decref_p) json_t *document = NULL;
	struct own found, wanted;
	struct store *store = NULL;
	int r = read_document(t->file, &document, ret_error);

	own_init(&wanted);
	if (r == 0)
		r = expect(document, t->file, "own", ret_error);
	if (r == 0)
		r = own_read(document, &wanted, ret_error);
	if (r == 0)
		r = own_open(t->state_dir, &store, &found, ret_error);
	if (r == 0 && !own_is_empty(&found))
		r = error_set(ret_error, ERROR_IN_USE, "give an empty state directory",
			      "the registry in %.200s is not empty", t->state_dir);
	if (r == 0)
		r = own_write(store, &wanted, "import", ret_error);
	if (store) {
		own_done(&found);
		store_close(store);
	}
	own_done(&wanted);
	return r;
}

int registry_import(const struct tool *t, struct error *ret_error)
{
	*ret_error = (struct error){ 0 };
	return t->wants_shared ? registry_import_shared(t, ret_error) : import_own(t, ret_error);
}
