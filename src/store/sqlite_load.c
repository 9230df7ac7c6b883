/* Rows become records: the small tables.  The vMACs have a file of their own. */
#include <errno.h>
#include <string.h>

#include "store/cluster_json.h"
#include "store/router_json.h"
#include "store/shared.h"
#include "store/sqlite.h"

/* Copies a text that must fit and must not hold a zero octet.  -EINVAL otherwise. */
static int column_copy(sqlite3_stmt *s, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(s, column);
	size_t len = (size_t)sqlite3_column_bytes(s, column);

	if (!text || len >= size || strlen(text) != len)
		return -EINVAL;
	memcpy(ret, text, len + 1);
	return 0;
}

static int column_number(sqlite3_stmt *s, int column, uint64_t most, uint64_t *ret)
{
	uint64_t n = (uint64_t)sqlite3_column_int64(s, column);

	if (sqlite3_column_type(s, column) != SQLITE_INTEGER || n > most)
		return -EINVAL;
	*ret = n;
	return 0;
}

static const char *column_text(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text ? text : "";
}

/* The index of a column's word, or -EINVAL.  name: a name table of the model. */
#define column_word(s, column, count, name)                                                        \
	({                                                                                         \
		int word_ = -EINVAL;                                                               \
		for (int i_ = 0; i_ < (int)(count); i_++)                                          \
			if (strcmp(column_text(s, column), name(i_)) == 0)                         \
				word_ = i_;                                                        \
		word_;                                                                             \
	})

static int load_segment(sqlite3_stmt *s, const struct store_visitor *visitor)
{
	struct segment segment = { .created.ms = sqlite3_column_int64(s, 5) };
	uint64_t id, vlan, net;

	if (column_number(s, 0, UINT16_MAX, &id) < 0 || id == 0 ||
	    column_copy(s, 1, segment.name, sizeof(segment.name)) < 0 ||
	    column_copy(s, 2, segment.uplink, sizeof(segment.uplink)) < 0 ||
	    column_number(s, 3, 4094, &vlan) < 0 ||
	    column_number(s, 4, UINT64_MAX, &segment.epoch_floor) < 0 ||
	    column_number(s, 6, UINT16_MAX, &net) < 0)
		return -EUCLEAN;
	segment.id = (uint32_t)id;
	segment.vlan = (uint16_t)vlan;
	segment.net = (uint16_t)net;
	return visitor->segment(visitor->ctx, &segment);
}

static int load_pool(sqlite3_stmt *s, const struct store_visitor *visitor)
{
	struct pool pool = { .created.ms = sqlite3_column_int64(s, 9) };
	uint64_t id, segment, quarantine_ms;

	if (column_number(s, 0, UINT32_MAX, &id) < 0 || id == 0 ||
	    column_number(s, 1, UINT16_MAX, &segment) < 0 ||
	    column_copy(s, 2, pool.name, sizeof(pool.name)) < 0 ||
	    row_ranges_parse(column_text(s, 3), pool.ranges, &pool.range_count) < 0 ||
	    row_ranges_parse(column_text(s, 4), pool.excludes, &pool.exclude_count) < 0 ||
	    sqlite3_column_bytes(s, 5) != sizeof(pool.key) ||
	    column_number(s, 6, UINT64_MAX, &pool.cursor) < 0 ||
	    column_number(s, 7, INT64_MAX, &quarantine_ms) < 0 ||
	    column_number(s, 8, UINT64_MAX, &pool.limit) < 0)
		return -EUCLEAN;
	memcpy(pool.key, sqlite3_column_blob(s, 5), sizeof(pool.key));
	pool.id = (uint32_t)id;
	pool.segment = (uint32_t)segment;
	pool.quarantine_ms = (int64_t)quarantine_ms;
	return visitor->pool(visitor->ctx, &pool);
}

static int load_port_numbers(sqlite3_stmt *s, struct port *port)
{
	uint64_t id, segment, made, uid, gid, queues, mtu, allow, flood;

	if (column_number(s, 0, UINT32_MAX, &id) < 0 || id == 0 ||
	    column_number(s, 1, UINT16_MAX, &segment) < 0 || column_number(s, 5, 1, &made) < 0 ||
	    column_number(s, 10, UINT32_MAX, &uid) < 0 ||
	    column_number(s, 11, UINT32_MAX, &gid) < 0 ||
	    column_number(s, 12, UINT16_MAX, &queues) < 0 ||
	    column_number(s, 13, UINT16_MAX, &mtu) < 0 ||
	    column_number(s, 14, UINT32_MAX, &allow) < 0 ||
	    column_number(s, 15, UINT32_MAX, &flood) < 0)
		return -EUCLEAN;
	port->id = (uint32_t)id;
	port->segment = (uint32_t)segment;
	port->made = made != 0;
	port->owner_uid = (uint32_t)uid;
	port->owner_gid = (uint32_t)gid;
	port->queues = (uint16_t)queues;
	port->mtu = (uint16_t)mtu;
	port->allow = (uint32_t)allow;
	port->flood_pps = (uint32_t)flood;
	return 0;
}

static int load_port_routers(const char *text, struct port *port)
{
	char mac[VMAC_MAC_TEXT_MAX];
	size_t len;

	for (; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (port->router_count == PORT_ROUTERS_MAX || len >= sizeof(mac))
			return -EUCLEAN;
		memcpy(mac, text, len);
		mac[len] = '\0';
		if (vmac_mac_parse(mac, &port->routers[port->router_count++], NULL) < 0)
			return -EUCLEAN;
	}
	return 0;
}

static int load_port(sqlite3_stmt *s, const struct store_visitor *visitor)
{
	int kind = column_word(s, 3, PORT_KIND_COUNT, port_kind_name);
	int gate = column_word(s, 4, GATE_COUNT, port_gate_name);
	struct port port = { .created.ms = sqlite3_column_int64(s, 16) };

	if (kind < 0 || gate < 0 || load_port_numbers(s, &port) < 0 ||
	    column_copy(s, 2, port.name, sizeof(port.name)) < 0 ||
	    vmac_mac_parse(column_text(s, 6), &port.address, NULL) < 0 ||
	    column_copy(s, 7, port.ifname, sizeof(port.ifname)) < 0 ||
	    column_copy(s, 8, port.peer_netns, sizeof(port.peer_netns)) < 0 ||
	    column_copy(s, 9, port.peer_ifname, sizeof(port.peer_ifname)) < 0 ||
	    load_port_routers(column_text(s, 17), &port) < 0)
		return -EUCLEAN;
	port.kind = (uint8_t)kind;
	port.gate = (uint8_t)gate;
	return visitor->port(visitor->ctx, &port);
}

static int load_router(sqlite3_stmt *s, const struct store_visitor *visitor)
{
	struct router_json *json = NULL;
	char name[NAME_MAX_LEN + 1];
	struct error error;
	uint64_t id;
	int r;

	if (column_number(s, 0, ROUTERS_MAX, &id) < 0 || id == 0 ||
	    column_copy(s, 1, name, sizeof(name)) < 0)
		return -EUCLEAN;
	r = router_json_read(column_text(s, 2), (size_t)sqlite3_column_bytes(s, 2), &json, &error);
	if (r < 0)
		return error.code == ERROR_NO_MEMORY ? -ENOMEM : -EUCLEAN;
	json->router.id = (uint32_t)id;
	if (strcmp(name, json->router.name) != 0)
		r = -EUCLEAN;
	else if (visitor->router)
		r = visitor->router(visitor->ctx, &json->router);
	router_json_done(json);
	return r;
}

static int load_cluster(sqlite3_stmt *s, const struct store_visitor *visitor)
{
	struct cluster_json *json = NULL;
	char name[NAME_MAX_LEN + 1];
	uint64_t id, segment;
	struct error error;
	int r;

	if (column_number(s, 0, CLUSTERS_MAX, &id) < 0 || id == 0 ||
	    column_number(s, 1, UINT16_MAX, &segment) < 0 ||
	    column_copy(s, 2, name, sizeof(name)) < 0)
		return -EUCLEAN;
	r = cluster_json_read(column_text(s, 3), (size_t)sqlite3_column_bytes(s, 3), &json, &error);
	if (r < 0)
		return error.code == ERROR_NO_MEMORY ? -ENOMEM : -EUCLEAN;
	json->cluster.id = (uint32_t)id;
	json->cluster.segment = (uint32_t)segment;
	json->cluster.created.ms = sqlite3_column_int64(s, 4);
	if (strcmp(name, json->cluster.name) != 0)
		r = -EUCLEAN;
	else if (visitor->cluster)
		r = visitor->cluster(visitor->ctx, &json->cluster);
	cluster_json_done(json);
	return r;
}

/* Its key names it in the message: it has no id. */
static int load_shared_one(sqlite3_stmt *s, const struct mem *mem,
			   const struct store_visitor *visitor, struct error *ret_error)
{
	struct shared_record *record;
	struct error error;
	uint64_t revision;
	int r;

	if (column_number(s, 1, INT64_MAX, &revision) < 0)
		return sqlite_corrupt(ret_error, "a shared record's revision cannot be");
	r = shared_decode(mem, column_text(s, 0), column_text(s, 2),
			  (size_t)sqlite3_column_bytes(s, 2), revision, &record, &error);
	if (r < 0 && error.code == ERROR_NO_MEMORY)
		return *ret_error = error, r;
	if (r < 0)
		return sqlite_corrupt(ret_error, "a shared record cannot be: %s", error.message);
	if (visitor->shared)
		r = visitor->shared(visitor->ctx, record);
	mem_free(mem, record);
	return r;
}

static int load_shared(sqlite3 *db, const struct mem *mem, const struct store_visitor *visitor,
		       struct error *ret_error)
{
	sqlite3_stmt *s;
	int r = sqlite_prepare(db, "SELECT key, revision, value FROM shared ORDER BY key", &s,
			       ret_error);
	int rc = SQLITE_DONE;

	if (r < 0)
		return r;
	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW)
		r = load_shared_one(s, mem, visitor, ret_error);
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_failed(ret_error, db, "read");
	sqlite3_finalize(s);
	return r;
}

/* one() returns -EUCLEAN for a row that cannot be, -ENOMEM, else what the visitor says. */
static int load_table(sqlite3 *db, const char *sql, const char *what,
		      int (*one)(sqlite3_stmt *s, const struct store_visitor *visitor),
		      const struct store_visitor *visitor, struct error *ret_error)
{
	sqlite3_stmt *s;
	int r = sqlite_prepare(db, sql, &s, ret_error);
	int rc = SQLITE_DONE;

	if (r < 0)
		return r;
	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		r = one(s, visitor);
		if (r == -EUCLEAN)
			sqlite_corrupt(ret_error, "the %s with id %lld cannot be", what,
				       (long long)sqlite3_column_int64(s, 0));
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_failed(ret_error, db, "read");
	sqlite3_finalize(s);
	return r;
}

int sqlite_load_small(sqlite3 *db, const struct mem *mem, const struct store_visitor *visitor,
		      struct error *ret_error)
{
	int r = load_table(db, "SELECT * FROM segment ORDER BY id", "segment", load_segment,
			   visitor, ret_error);

	if (r == 0)
		r = load_table(db, "SELECT * FROM pool ORDER BY id", "pool", load_pool, visitor,
			       ret_error);
	if (r == 0)
		r = load_table(db, "SELECT * FROM port ORDER BY id", "port", load_port, visitor,
			       ret_error);
	if (r == 0)
		r = load_table(db, "SELECT * FROM router ORDER BY id", "router", load_router,
			       visitor, ret_error);
	if (r == 0)
		r = load_table(db, "SELECT * FROM cluster ORDER BY id", "cluster", load_cluster,
			       visitor, ret_error);
	if (r == 0)
		r = load_shared(db, mem, visitor, ret_error);
	return r;
}
