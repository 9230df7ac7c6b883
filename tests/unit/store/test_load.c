/* What goes in comes out: every field of every record, through the files and back. */
#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fixture.h"

struct scene {
	char directory[FIXTURE_PATH_MAX];
	struct store *store;
	struct loaded loaded;
};

static int scene_begin(void **state)
{
	struct scene *c = calloc(1, sizeof(*c));

	fixture_directory(c->directory);
	c->store = fixture_open("sqlite", c->directory);
	*state = c;
	return 0;
}

static int scene_end(void **state)
{
	struct scene *c = *state;

	loaded_done(&c->loaded);
	store_close(c->store);
	fixture_remove(c->directory);
	free(c);
	return fixture_blocks() != 0;
}

static void scene_reload(struct scene *c)
{
	struct error error;

	loaded_done(&c->loaded);
	store_close(c->store);
	c->store = fixture_open("sqlite", c->directory);
	if (loaded_try(c->store, &c->loaded, &error) < 0)
		fail_msg("%s", error.message);
}

static void fill(char *text, size_t len, char with)
{
	memset(text, with, len);
	text[len] = '\0';
}

static void expect_vmac(const struct vmac *v, const struct vmac *w)
{
	assert_true(vmac_mac_equal(v->address, w->address));
	assert_int_equal(v->kind, w->kind);
	assert_int_equal(v->origin, w->origin);
	assert_int_equal(v->state, w->state);
	assert_int_equal(v->segment, w->segment);
	assert_int_equal(v->pool, w->pool);
	assert_int_equal(v->port, w->port);
	assert_int_equal(v->epoch, w->epoch);
	assert_int_equal(v->created.ms, w->created.ms);
	assert_int_equal(v->changed.ms, w->changed.ms);
	assert_int_equal(v->ttl_ms, w->ttl_ms);
	assert_int_equal(v->until.ms, w->until.ms);
	assert_string_equal(v->name, w->name);
	assert_string_equal(v->owner, w->owner);
	assert_string_equal(v->tenant, w->tenant);
	assert_string_equal(v->note, w->note);
	assert_int_equal(v->row, w->row);
	assert_int_equal(v->ip_count, w->ip_count);
	for (unsigned int i = 0; i < v->ip_count; i++)
		assert_true(ip_equal(&v->ips[i], &w->ips[i]));
}

static void test_small_records(void **state)
{
	struct scene *c = *state;
	struct segment segments[2] = {
		{ .id = 1, .epoch_floor = UINT64_MAX, .created.ms = 1 },
		{ .id = 65535,
		  .name = "b",
		  .uplink = "eth0",
		  .vlan = 4094,
		  .net = UINT16_MAX,
		  .created.ms = -1 },
	};
	struct pool pools[2] = {
		{ .id = 1,
		  .segment = 1,
		  .name = "p",
		  .range_count = 1,
		  .key = { 1, 0, 255 },
		  .ranges = { { { { 0x2a } }, { { 0x2a, 1 } } } },
		  .quarantine_ms = 14400000 },
		{ .id = UINT32_MAX,
		  .segment = 65535,
		  .range_count = POOL_RANGES_MAX,
		  .exclude_count = POOL_EXCLUDES_MAX,
		  .cursor = UINT64_MAX,
		  .limit = UINT64_MAX,
		  .quarantine_ms = INT64_MAX,
		  .created.ms = 77 },
	};
	struct port ports[2] = {
		{ .id = 1,
		  .segment = 1,
		  .name = "p1",
		  .ifname = "tap0",
		  .kind = PORT_TAP,
		  .owner_uid = UINT32_MAX,
		  .owner_gid = UINT32_MAX,
		  .queues = 1 },
		{ .id = 2,
		  .segment = 65535,
		  .kind = PORT_VETH,
		  .gate = GATE_OPEN,
		  .made = true,
		  .address = { { 0x2a, 1, 2, 3, 4, 5 } },
		  .owner_uid = 1000,
		  .owner_gid = 1001,
		  .queues = 256,
		  .mtu = 65535,
		  .allow = UINT32_MAX,
		  .flood_pps = UINT32_MAX,
		  .router_count = PORT_ROUTERS_MAX,
		  .routers = { { { 0, 0, 0x5e, 0, 1, 7 } }, { { 0, 0, 0x5e, 0, 2, 7 } } },
		  .created.ms = 88 },
	};
	struct deed *d = deed_new();

	fill(segments[0].name, NAME_MAX_LEN, 's');
	fill(pools[1].name, NAME_MAX_LEN, 'p');
	fill(ports[1].name, NAME_MAX_LEN, 'o');
	fill(ports[1].ifname, IFNAME_MAX_LEN, 'i');
	fill(ports[1].peer_netns, PATH_MAX_LEN, '/');
	fill(ports[1].peer_ifname, IFNAME_MAX_LEN, 'j');
	for (unsigned int i = 0; i < POOL_RANGES_MAX; i++) {
		pools[1].ranges[i].first.octet[5] = pools[1].ranges[i].last.octet[5] = (uint8_t)i;
		pools[1].excludes[i].last.octet[4] = (uint8_t)i;
	}
	for (unsigned int i = 0; i < 2; i++) {
		deed_add(d, CHANGE_SEGMENT, NULL, &segments[i], "create");
		deed_add(d, CHANGE_POOL, NULL, &pools[i], "create");
		deed_add(d, CHANGE_PORT, NULL, &ports[i], "create");
	}
	deed_do(c->store, d);
	scene_reload(c);
	assert_int_equal(c->loaded.segment_count, 2);
	assert_int_equal(c->loaded.pool_count, 2);
	assert_int_equal(c->loaded.port_count, 2);
	/* Every record above is zero wherever it is padded. */
	assert_memory_equal(c->loaded.segments, segments, sizeof(segments));
	assert_memory_equal(c->loaded.pools, pools, sizeof(pools));
	assert_memory_equal(c->loaded.ports, ports, sizeof(ports));
	/* Change one of each, delete the other. */
	d = deed_new();
	segments[1].vlan = 7;
	pools[1].cursor = 9;
	ports[1].gate = GATE_CLOSED;
	deed_add(d, CHANGE_SEGMENT, &c->loaded.segments[1], &segments[1], "change");
	deed_add(d, CHANGE_SEGMENT, &segments[0], NULL, "delete");
	deed_add(d, CHANGE_POOL, &c->loaded.pools[1], &pools[1], "");
	deed_add(d, CHANGE_POOL, &pools[0], NULL, "delete");
	deed_add(d, CHANGE_PORT, &c->loaded.ports[1], &ports[1], "change");
	deed_add(d, CHANGE_PORT, &ports[0], NULL, "delete");
	deed_do(c->store, d);
	scene_reload(c);
	assert_int_equal(c->loaded.segment_count, 1);
	assert_int_equal(c->loaded.pool_count, 1);
	assert_int_equal(c->loaded.port_count, 1);
	assert_memory_equal(&c->loaded.segments[0], &segments[1], sizeof(segments[1]));
	assert_memory_equal(&c->loaded.pools[0], &pools[1], sizeof(pools[1]));
	assert_memory_equal(&c->loaded.ports[0], &ports[1], sizeof(ports[1]));
}

/* The emptiest and the fullest that a record can be. */
static void extremes(struct vmac *ret[2])
{
	static char name[NAME_MAX_LEN + 1], owner[OWNER_MAX_LEN + 1], note[NOTE_MAX_LEN + 1];
	static struct ip ips[VMAC_IPS_MAX];
	struct vmac least = {
		.segment = 1, .until = WALL_NEVER, .name = "", .owner = "", .tenant = "", .note = ""
	};
	struct vmac most = {
		.address = vmac_mac_from_u64(0xffffffffffff),
		.segment = 65535,
		.kind = VMAC_CLUSTER,
		.origin = VMAC_PROTOCOL,
		.state = VMAC_QUARANTINED,
		.pool = UINT32_MAX,
		.port = UINT32_MAX,
		.epoch = UINT64_MAX,
		.created.ms = INT64_MAX,
		.changed.ms = -1,
		.until.ms = INT64_MIN + 1,
		.ttl_ms = INT64_MAX,
		.name = name,
		.owner = owner,
		.tenant = owner,
		.note = note,
		.ips = ips,
		.ip_count = VMAC_IPS_MAX,
	};

	fill(name, NAME_MAX_LEN, 'n');
	fill(owner, OWNER_MAX_LEN, 'o');
	fill(note, NOTE_MAX_LEN, '=');
	for (unsigned int i = 0; i < VMAC_IPS_MAX; i++)
		assert_int_equal(
			ip_parse(i % 2 ? "192.0.2.255" : "fe80::1234:5678:9abc:def0", &ips[i]), 0);
	ret[0] = fixture_vmac_copy(&least);
	ret[1] = fixture_vmac_copy(&most);
}

static void test_vmacs(void **state)
{
	struct scene *c = *state;
	struct deed *d = deed_new();
	struct vmac *v[2], *w;

	extremes(v);
	deed_add(d, CHANGE_VMAC, NULL, v[0], "allocate");
	deed_add(d, CHANGE_VMAC, NULL, v[1], "allocate");
	deed_do(c->store, d);
	scene_reload(c);
	assert_int_equal(c->loaded.vmac_count, 2);
	expect_vmac(c->loaded.vmacs[0], v[0]);
	expect_vmac(c->loaded.vmacs[1], v[1]);
	/* From the one to the other and back: nothing of the old stays. */
	w = fixture_vmac_copy(v[1]);
	w->address = v[0]->address;
	w->segment = v[0]->segment;
	d = deed_new();
	deed_add(d, CHANGE_VMAC, c->loaded.vmacs[0], w, "bind");
	deed_add(d, CHANGE_VMAC, c->loaded.vmacs[1], NULL, "forget");
	deed_do(c->store, d);
	scene_reload(c);
	assert_int_equal(c->loaded.vmac_count, 1);
	expect_vmac(c->loaded.vmacs[0], w);
	d = deed_new();
	deed_add(d, CHANGE_VMAC, c->loaded.vmacs[0], v[0], "unbind");
	deed_do(c->store, d);
	scene_reload(c);
	expect_vmac(c->loaded.vmacs[0], v[0]);
	free(v[0]);
	free(v[1]);
	free(w);
}

/* Made, changed and deleted within one commit, also by transactions that wait together. */
static void test_a_whole_life_in_one_commit(void **state)
{
	struct vmac *a = fixture_vmac(1, 0x2a0000000001, "a", ""), *b = fixture_vmac_copy(a);
	struct vmac *x = fixture_vmac(1, 0x2a0000000002, "x", ""), *y = fixture_vmac_copy(x);
	struct deed *deeds[3] = { deed_new(), deed_new(), deed_new() };
	struct scene *c = *state;

	b->port = 3;
	y->port = 4;
	deed_add(deeds[0], CHANGE_VMAC, NULL, a, "allocate");
	deed_add(deeds[0], CHANGE_VMAC, NULL, x, "allocate");
	deed_add(deeds[0], CHANGE_VMAC, a, b, "bind");
	deed_add(deeds[1], CHANGE_VMAC, b, NULL, "forget");
	deed_add(deeds[2], CHANGE_VMAC, x, y, "bind");
	for (unsigned int i = 0; i < 3; i++)
		store_submit(c->store, &deeds[i]->txn);
	fixture_settle(c->store);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(deeds[i]->error.code, ERROR_NONE);
		deed_free(deeds[i]);
	}
	scene_reload(c);
	assert_int_equal(c->loaded.vmac_count, 1);
	expect_vmac(c->loaded.vmacs[0], y);
	free(a);
	free(b);
	free(x);
	free(y);
}

/* Ids with gaps, over more chunks than one. */
static void test_many_with_gaps(void **state)
{
	enum { COUNT = 40000 };
	struct vmac **vmacs = calloc(COUNT, sizeof(struct vmac *));
	struct deed *d = deed_new(), *e = deed_new();
	struct scene *c = *state;
	size_t n = 0;

	for (unsigned int i = 0; i < COUNT; i++) {
		vmacs[i] = fixture_vmac(1 + i % 3, 0x2a0000000000 + i, "", "");
		deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
		if (i % 16384 < 9000 || i % 5 == 0)
			deed_add(e, CHANGE_VMAC, vmacs[i], NULL, "forget");
	}
	deed_do(c->store, d);
	deed_do(c->store, e);
	scene_reload(c);
	for (unsigned int i = 0; i < COUNT; i++) {
		if (i % 16384 >= 9000 && i % 5 != 0)
			expect_vmac(c->loaded.vmacs[n++], vmacs[i]);
		free(vmacs[i]);
	}
	assert_int_equal(c->loaded.vmac_count, n);
	free(vmacs);
}

static void expect_text(const char *directory, const char *sql, const char *text)
{
	char path[FIXTURE_PATH_MAX];
	sqlite3_stmt *statement;
	sqlite3 *db;

	fixture_path(directory, "registry.db", path);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(statement, 0), text);
	sqlite3_finalize(statement);
	sqlite3_close(db);
}

/* With SQLite's own tool, while we have it open: docs/registry.md says so. */
static void test_people_can_read_it(void **state)
{
	struct segment *lan = fixture_segment(65535, "lan");
	struct scene *c = *state;
	struct deed *d = deed_new();
	struct vmac *v[2];

	extremes(v);
	deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
	deed_add(d, CHANGE_VMAC, NULL, v[1], "adopt");
	deed_do(c->store, d);
	expect_text(
		c->directory,
		"SELECT segment || ' ' || address || ' ' || state || ' ' || kind || ' ' || origin"
		" FROM vmacs",
		"lan ff:ff:ff:ff:ff:ff quarantined cluster protocol");
	expect_text(c->directory,
		    "SELECT at || ' ' || kind || ' ' || segment || ' ' || subject || ' ' || verb"
		    " FROM changes WHERE seq = 2",
		    "2026-09-21 14:13:20 vmac lan ff:ff:ff:ff:ff:ff adopt");
	free(lan);
	free(v[0]);
	free(v[1]);
}

struct refusal {
	size_t given, most;
};

static int refuse_vmac(void *ctx, struct vmac *owned)
{
	struct refusal *r = ctx;

	mem_free(&fixture_mem, owned);
	return ++r->given == r->most ? -E2BIG : 0;
}

/* The visitor's word ends it, and every block that was made for it is freed. */
static void test_a_visitor_that_refuses(void **state)
{
	enum { COUNT = 20000 };
	struct vmac **vmacs = calloc(COUNT, sizeof(struct vmac *));
	struct store_visitor visitor = { .vmac = refuse_vmac };
	struct deed *d = deed_new();
	struct scene *c = *state;
	struct refusal refusal;
	struct error error = { .message = "untouched" };

	for (unsigned int i = 0; i < COUNT; i++) {
		vmacs[i] = fixture_vmac(1, 0x2a0000000000 + i, "", "");
		deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
	}
	deed_do(c->store, d);
	for (size_t most = 1; most <= COUNT; most = most * 7 + 1) {
		store_close(c->store);
		c->store = fixture_open("sqlite", c->directory);
		refusal = (struct refusal){ .most = most };
		visitor.ctx = &refusal;
		assert_int_equal(store_load(c->store, &visitor, &error), -E2BIG);
		assert_string_equal(error.message, "untouched");
		assert_int_equal(refusal.given, most);
		assert_int_equal(fixture_blocks(), 0);
	}
	for (unsigned int i = 0; i < COUNT; i++)
		free(vmacs[i]);
	free(vmacs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)
		TEST(test_small_records),
		TEST(test_vmacs),
		TEST(test_a_whole_life_in_one_commit),
		TEST(test_people_can_read_it),
		TEST(test_many_with_gaps),
		TEST(test_a_visitor_that_refuses),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
