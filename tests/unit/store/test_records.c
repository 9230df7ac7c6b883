/* Records that stand in the registry as text, routers and clusters: whatever passes the rules comes
 * back as it went in, from the registry's files and from an export, with its line in the history;
 * whatever was altered there and breaks them is damage.  Each test is run for each kind. */
#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../model/cluster_case.h"
#include "../model/router_case.h"
#include "base/cleanup.h"
#include "fixture.h"
#include "store/cluster_json.h"
#include "store/export.h"
#include "store/router_json.h"

#define MANY 256

struct record_kind {
	enum change_kind change;
	const char *word;
	void *(*random)(uint64_t seed, uint32_t id); /* a block */
	void *(*plain)(void);			     /* as random(); the one of the damages */
	bool (*same)(const void *a, const void *b);
	size_t (*loaded)(const struct loaded *l, const void *const **ret);
	int (*write)(const void *record, char **ret_text, struct error *ret_error);
	/* A block, id and what else is not in the text as in `like`; NULL: it is refused. */
	void *(*read)(const char *text, size_t len, const void *like);
	int (*check)(const void *record, struct error *ret_error);
	const char *history; /* what its line says */
	const char *secret;  /* and must not say */
	const char *const *damages;
};

/* --- routers --------------------------------------------------------------------------------- */

static struct router_case router;

static void *router_block(void)
{
	return router_block_fill(malloc(router_block_size(&router.r)), &router.r);
}

static void *router_random(uint64_t seed, uint32_t id)
{
	case_random(&router, seed);
	router.r.id = id;
	return router_block();
}

static void *router_plain(void)
{
	case_init(&router, ROUTER_VRRP3);
	router.r.auth = ROUTER_AUTH_HMAC;
	router.r.id = 1;
	case_key(&router, 4, "hunter2");
	return router_block();
}

static bool router_same(const void *a, const void *b)
{
	const struct router *r = a, *q = b;

	return router_equal(r, q) && r->id == q->id && r->created.ms == q->created.ms &&
	       r->changed.ms == q->changed.ms;
}

static size_t router_loaded(const struct loaded *l, const void *const **ret)
{
	*ret = (const void *const *)l->routers;
	return l->router_count;
}

static int router_write(const void *record, char **ret_text, struct error *ret_error)
{
	return router_json_write(record, ret_text, ret_error);
}

static void *router_read(const char *text, size_t len, const void *like)
{
	struct router_json *json;
	struct error error;
	struct router *r;

	if (router_json_read(text, len, &json, &error) < 0)
		return NULL;
	json->router.id = ((const struct router *)like)->id;
	r = router_block_fill(malloc(router_block_size(&json->router)), &json->router);
	router_json_done(json);
	return r;
}

static int router_checked(const void *record, struct error *ret_error)
{
	return router_check(record, ret_error);
}

static const char *const router_damages[] = {
	"UPDATE router SET name = 'other'",
	"UPDATE router SET record = '{}'",
	"UPDATE router SET record = ''",
	"UPDATE router SET record = 'null'",
	"UPDATE router SET record = x'00ff'",
	"UPDATE router SET id = 5000",
	"UPDATE router SET id = 0",
	"UPDATE router SET record = json_set(record, '$.priority', 0)",
	"UPDATE router SET record = json_set(record, '$.priority', 256)",
	"UPDATE router SET record = json_set(record, '$.protocol', 9)",
	"UPDATE router SET record = json_set(record, '$.sets[0].group', -1)",
	"UPDATE router SET record = json_set(record, '$.sets', 7)",
	"UPDATE router SET record = json_set(record, '$.enabled', 'yes')",
	"UPDATE router SET record = json_remove(record, '$.note')",
	NULL,
};

static struct record_kind routers = {
	.change = CHANGE_ROUTER,
	.word = "router",
	.random = router_random,
	.plain = router_plain,
	.same = router_same,
	.loaded = router_loaded,
	.write = router_write,
	.read = router_read,
	.check = router_checked,
	.history = "keys=4",
	.secret = "hunter2",
	.damages = router_damages,
};

/* --- clusters -------------------------------------------------------------------------------- */

static struct cluster_case cluster;

static void *cluster_block(void)
{
	cluster.c.segment = 1;
	return cluster_block_fill(malloc(cluster_block_size(&cluster.c)), &cluster.c);
}

static void *cluster_random(uint64_t seed, uint32_t id)
{
	cluster_case_random(&cluster, seed);
	cluster.c.id = id;
	cluster.c.created.ms = 1790000000000 + id;
	snprintf(cluster.c.name, sizeof(cluster.c.name), "c%u", id);
	return cluster_block();
}

static void *cluster_plain(void)
{
	cluster_case_init(&cluster);
	cluster.c.id = 1;
	return cluster_block();
}

static bool cluster_same(const void *a, const void *b)
{
	const struct cluster *c = a, *d = b;

	return cluster_equal(c, d) && c->id == d->id && c->segment == d->segment &&
	       c->generation == d->generation && c->created.ms == d->created.ms &&
	       c->changed.ms == d->changed.ms;
}

static size_t cluster_loaded(const struct loaded *l, const void *const **ret)
{
	*ret = (const void *const *)l->clusters;
	return l->cluster_count;
}

static int cluster_write(const void *record, char **ret_text, struct error *ret_error)
{
	return cluster_json_write(record, ret_text, ret_error);
}

static void *cluster_read(const char *text, size_t len, const void *like)
{
	const struct cluster *own = like;
	struct cluster_json *json;
	struct error error;
	struct cluster *c;

	if (cluster_json_read(text, len, &json, &error) < 0)
		return NULL;
	json->cluster.id = own->id;
	json->cluster.segment = own->segment;
	json->cluster.created = own->created;
	c = cluster_block_fill(malloc(cluster_block_size(&json->cluster)), &json->cluster);
	cluster_json_done(json);
	return c;
}

static int cluster_checked(const void *record, struct error *ret_error)
{
	return cluster_check_record(record, ret_error);
}

static const char *const cluster_damages[] = {
	"UPDATE cluster SET name = 'other'",
	"UPDATE cluster SET name = x'00'",
	"UPDATE cluster SET segment = -1",
	"UPDATE cluster SET segment = 'x'",
	"UPDATE cluster SET id = 257",
	"UPDATE cluster SET record = ''",
	"UPDATE cluster SET record = '{}'",
	"UPDATE cluster SET record = x'00ff'",
	"UPDATE cluster SET record = json_set(record, '$.rise', 0)",
	"UPDATE cluster SET record = json_set(record, '$.mode', 'other')",
	"UPDATE cluster SET record = json_set(record, '$.key', 'aa')",
	"UPDATE cluster SET record = json_set(record, '$.generation', 0)",
	"UPDATE cluster SET record = json_set(record, '$.members[1].id', 1)",
	"UPDATE cluster SET record = json_set(record, '$.faces[0]', '01:00:00:00:00:01')",
	"UPDATE cluster SET record = json_remove(record, '$.members')",
	NULL,
};

static struct record_kind clusters = {
	.change = CHANGE_CLUSTER,
	.word = "cluster",
	.random = cluster_random,
	.plain = cluster_plain,
	.same = cluster_same,
	.loaded = cluster_loaded,
	.write = cluster_write,
	.read = cluster_read,
	.check = cluster_checked,
	.history = "director faces=0a:00:00:00:00:01 ",
	.secret = "key",
	.damages = cluster_damages,
};

/* --- texts ----------------------------------------------------------------------------------- */

static void texts_lead_back(void **state)
{
	const struct record_kind *k = *state;

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		void *record = k->random(seed, 1), *back;
		struct error error;
		char *text;

		assert_int_equal(k->write(record, &text, &error), 0);
		back = k->read(text, strlen(text), record);
		assert_non_null(back);
		assert_true(k->same(back, record));
		free(back);
		free(record);
		free(text);
	}
}

/* Each octet of a text is struck out, and each is replaced: never a crash, and never a record that
 * breaks the rules. */
static void damaged_texts(void **state)
{
	const struct record_kind *k = *state;
	unsigned int refused = 0;
	void *record = k->random(7, 1);
	struct error error;
	char *text, *copy;
	size_t len;

	assert_int_equal(k->write(record, &text, &error), 0);
	len = strlen(text);
	copy = malloc(len + 1);
	for (size_t i = 0; i < 2 * len; i++) {
		void *back;

		memcpy(copy, text, len + 1);
		if (i < len)
			copy[i] = (char)(copy[i] ^ 0x11);
		else
			memmove(copy + i - len, copy + i - len + 1, 2 * len - i);
		back = k->read(copy, i < len ? len : len - 1, record);
		if (back)
			assert_int_equal(k->check(back, &error), 0);
		refused += !back;
		free(back);
	}
	assert_true(refused > len);
	free(copy);
	free(text);
	free(record);
}

/* The largest record there is stays far below what a registry takes at once. */
static void the_largest_cluster(void **state)
{
	struct error error;
	char *text;

	cluster_case_init(&cluster);
	cluster.c.member_count = 0;
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		cluster_case_member(&cluster, id, UINT64_C(0x120000000000) + id);
		cluster.members[id - 1].state = MEMBER_DRAINING;
		cluster.members[id - 1].drain_ms = CLUSTER_DRAIN_MAX_MS;
	}
	assert_int_equal(cluster_json_write(&cluster.c, &text, &error), 0);
	assert_in_range(strlen(text), 64 << 10, 160 << 10);
	free(text);
	cluster.c.rise = 0;
	assert_int_equal(cluster_json_write(&cluster.c, &text, &error), -EINVAL);
	assert_int_equal(error.code, ERROR_BAD_VALUE);
}

/* --- files ----------------------------------------------------------------------------------- */

static void reload(struct store **s, const char *directory, struct loaded *l)
{
	struct error error;

	loaded_done(l);
	store_close(*s);
	*s = fixture_open("sqlite", directory);
	if (loaded_try(*s, l, &error) < 0)
		fail_msg("%s", error.message);
}

/* What is open has the segment "lan", of id 1. */
static struct store *open_with_lan(const char *backend, char directory[static FIXTURE_PATH_MAX])
{
	struct segment *lan = fixture_segment(1, "lan");
	struct store *s = fixture_open(backend, fixture_directory(directory));
	struct deed *d = deed_new();

	deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
	deed_do(s, d);
	free(lan);
	return s;
}

static void expect_loaded(const struct record_kind *k, const struct loaded *l, void *const *wanted,
			  size_t count)
{
	const void *const *list;

	assert_int_equal(k->loaded(l, &list), count);
	for (size_t i = 0; i < count; i++)
		assert_true(k->same(list[i], wanted[i]));
}

static void through_the_files(void **state)
{
	const struct record_kind *k = *state;
	void *records[MANY], *changed = k->random(5000, 2);
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = open_with_lan("sqlite", directory);
	struct deed *d = deed_new();

	for (uint32_t i = 0; i < MANY; i++) {
		records[i] = k->random(i + 1, i + 1);
		deed_add(d, k->change, NULL, records[i], "create");
	}
	deed_do(s, d);
	reload(&s, directory, &loaded);
	expect_loaded(k, &loaded, records, MANY);
	d = deed_new();
	deed_add(d, k->change, records[0], NULL, "delete");
	deed_add(d, k->change, records[1], changed, "change");
	deed_do(s, d);
	free(records[1]);
	records[1] = changed;
	reload(&s, directory, &loaded);
	expect_loaded(k, &loaded, records + 1, MANY - 1);
	for (uint32_t i = 0; i < MANY; i++)
		free(records[i]);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
}

/* --- exports --------------------------------------------------------------------------------- */

static int keep_segment(void *ctx, const struct segment *s)
{
	return s->id == 1 && strcmp(s->name, "lan") == 0 ? 0 : -EINVAL;
}

static int keep_router(void *ctx, const struct router *r)
{
	struct loaded *l = ctx;

	l->routers[l->router_count++] = router_block_fill(malloc(router_block_size(r)), r);
	return 0;
}

static int keep_cluster(void *ctx, const struct cluster *c)
{
	struct loaded *l = ctx;

	l->clusters[l->cluster_count++] = cluster_block_fill(malloc(cluster_block_size(c)), c);
	return 0;
}

static void through_an_export(void **state)
{
	const struct record_kind *k = *state;
	void *records[MANY];
	struct loaded loaded = { 0 };
	const struct store_visitor visitor = { .segment = keep_segment,
					       .router = keep_router,
					       .cluster = keep_cluster,
					       .ctx = &loaded };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = open_with_lan("sqlite", directory);
	struct deed *d = deed_new();
	struct error error;
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	for (uint32_t i = 0; i < MANY; i++) {
		records[i] = k->random(i + 1, i + 1);
		deed_add(d, k->change, NULL, records[i], "create");
	}
	deed_do(s, d);
	store_close(s);
	s = fixture_open("sqlite", directory);
	f = open_memstream(&text, &len);
	assert_int_equal(export_own(s, &fixture_mem, f, &error), 0);
	fclose(f);
	f = fmemopen(text, len, "r");
	if (export_read_own(f, "export", &fixture_mem, &visitor, &error) < 0)
		fail_msg("%s", error.message);
	fclose(f);
	expect_loaded(k, &loaded, records, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		free(records[i]);
	free(text);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
}

/* --- history --------------------------------------------------------------------------------- */

struct seen {
	enum change_kind kind;
	char subject[64], segment[64], verb[32], from[2048], to[2048];
	size_t count;
};

static void see(void *ctx, const struct error *error, const struct history *lines, size_t count)
{
	struct seen *seen = ctx;

	assert_null(error);
	assert_true(count >= 1);
	seen->kind = lines[0].kind;
	seen->count = count;
	snprintf(seen->subject, sizeof(seen->subject), "%s", lines[0].subject);
	snprintf(seen->segment, sizeof(seen->segment), "%s", lines[0].segment);
	snprintf(seen->verb, sizeof(seen->verb), "%s", lines[0].verb);
	snprintf(seen->from, sizeof(seen->from), "%s", lines[0].from);
	snprintf(seen->to, sizeof(seen->to), "%s", lines[0].to);
}

static void see_newest(struct store *s, const char *subject, struct seen *ret)
{
	struct history_query query = { .subject = subject, .limit = 10 };

	*ret = (struct seen){ 0 };
	store_history(s, &query, see, ret);
	while (ret->count == 0) {
		fixture_wait(s);
		store_dispatch(s);
	}
}

/* Both backends tell the same line. */
static void the_history(void **state)
{
	static const char *const backends[] = { "mem", "sqlite" };
	const struct record_kind *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		char directory[FIXTURE_PATH_MAX];
		struct store *s = open_with_lan(backends[i], directory);
		struct deed *d = deed_new();
		void *record = k->plain();
		struct seen seen;

		deed_add(d, k->change, NULL, record, "create");
		deed_do(s, d);
		see_newest(s, k == &routers ? "gw" : "web", &seen);
		assert_int_equal(seen.count, 1);
		assert_int_equal(seen.kind, k->change);
		assert_string_equal(seen.segment, k == &routers ? "" : "lan");
		assert_string_equal(seen.verb, "create");
		assert_string_equal(seen.from, "");
		assert_non_null(strstr(seen.to, k->history));
		assert_null(strstr(seen.to, k->secret));
		store_close(s);
		fixture_remove(directory);
		free(record);
	}
}

static void the_history_of_members(void **state)
{
	char directory[FIXTURE_PATH_MAX];
	struct store *s = open_with_lan("sqlite", directory);
	struct cluster *after = cluster_plain(), before = *after;
	struct deed *d = deed_new();
	struct seen seen;

	before.member_count = 2;
	deed_add(d, CHANGE_CLUSTER, NULL, &before, "create");
	deed_add(d, CHANGE_CLUSTER, &before, after, "member add");
	deed_do(s, d);
	see_newest(s, "web", &seen);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.verb, "member add");
	assert_non_null(strstr(seen.from, " members=2 "));
	assert_non_null(strstr(seen.to, " members=3 "));
	store_close(s);
	fixture_remove(directory);
	free(after);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void run_sql(const char *directory, const char *sql)
{
	char path[FIXTURE_PATH_MAX];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(directory, "registry.db", path), &db),
			 SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void damaged_rows(void **state)
{
	const struct record_kind *k = *state;

	for (size_t i = 0; k->damages[i]; i++) {
		struct loaded loaded = { 0 };
		char directory[FIXTURE_PATH_MAX];
		struct store *s = open_with_lan("sqlite", directory);
		struct deed *d = deed_new();
		void *record = k->plain();
		struct error error;

		deed_add(d, k->change, NULL, record, "create");
		deed_do(s, d);
		store_close(s);
		run_sql(directory, k->damages[i]);
		s = fixture_open("sqlite", directory);
		assert_true(loaded_try(s, &loaded, &error) < 0);
		if (error.code != ERROR_REGISTRY_CORRUPT || !strstr(error.message, k->word))
			fail_msg("%s: %s", k->damages[i], error.message);
		loaded_done(&loaded);
		store_close(s);
		fixture_remove(directory);
		free(record);
	}
}

/* A record that is not there cannot be deleted, and takes its transaction with it. */
static void none_or_all(void **state)
{
	const struct record_kind *k = *state;
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = open_with_lan("sqlite", directory);
	void *a = k->random(1, 1), *b = k->random(2, 2);
	struct deed *d = deed_new();

	deed_add(d, k->change, NULL, a, "create");
	deed_add(d, k->change, b, NULL, "delete");
	store_submit(s, &d->txn);
	fixture_settle(s);
	assert_int_equal(d->error.code, ERROR_REGISTRY_CORRUPT);
	deed_free(d);
	reload(&s, directory, &loaded);
	expect_loaded(k, &loaded, NULL, 0);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
	free(a);
	free(b);
}

/* --- a registry that has to be a certain one -------------------------------------------------- */

static void by_its_name(void **state)
{
	static const char uuid[] = "4f6d9c1e-7a52-4b0e-9d3c-2f8e5b6a7c01";
	char directory[FIXTURE_PATH_MAX];
	struct store_config config = {
		.backend = "sqlite",
		.directory = fixture_directory(directory),
		.uuid = uuid,
		.mem = &fixture_mem,
	};
	struct store_facts facts;
	struct error error;
	struct store *s;

	assert_int_equal(store_open(&config, &s, &error), 0);
	store_facts(s, &facts);
	assert_string_equal(facts.uuid, uuid);
	store_close(s);
	assert_int_equal(store_open(&config, &s, &error), 0);
	store_close(s);
	config.uuid = "11111111-1111-4111-8111-111111111111";
	assert_int_equal(store_open(&config, &s, &error), -error_errno(ERROR_IN_USE));
	assert_int_equal(error.code, ERROR_IN_USE);
	s = fixture_open("sqlite", directory);
	store_facts(s, &facts);
	assert_string_equal(facts.uuid, uuid);
	store_close(s);
	fixture_remove(directory);
}

/* --- a registry that the release before has left --------------------------------------------- */

static void an_older_registry(void **state)
{
	static char sql[32768];
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	FILE *f = fopen(SCHEMA_3, "re");
	struct store_facts facts;
	struct deed *d = deed_new();
	void *web = cluster_random(7, 1);
	struct error error;
	struct store *s;
	size_t len;

	assert_non_null(f);
	len = fread(sql, 1, sizeof(sql) - 1, f);
	fclose(f);
	assert_in_range(len, 1000, sizeof(sql) - 2);
	fclose(fopen(fixture_path(fixture_directory(directory), "registry.db", path), "we"));
	run_sql(directory, sql);
	s = fixture_open("sqlite", directory);
	store_facts(s, &facts);
	assert_int_equal(facts.schema, 4);
	if (loaded_try(s, &loaded, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(loaded.segment_count, 2);
	assert_int_equal(loaded.pool_count, 1);
	assert_int_equal(loaded.vmac_count, 4);
	assert_int_equal(loaded.cluster_count, 0);
	assert_string_equal(loaded.vmacs[3]->name, "outside");
	deed_add(d, CHANGE_CLUSTER, NULL, web, "create");
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.vmac_count, 4);
	expect_loaded(&clusters, &loaded, &web, 1);
	loaded_done(&loaded);
	store_close(s);
	run_sql(directory, "SELECT * FROM changes WHERE kind = 'cluster' AND subject = 'c1'");
	fixture_remove(directory);
	free(web);
}

/* clang-format off */
#define OF_BOTH(test) \
	{ #test " (routers)", test, NULL, NULL, &routers }, { #test " (clusters)", test, NULL, NULL, &clusters }
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		OF_BOTH(texts_lead_back),
		OF_BOTH(damaged_texts),
		OF_BOTH(through_the_files),
		OF_BOTH(through_an_export),
		OF_BOTH(the_history),
		OF_BOTH(damaged_rows),
		OF_BOTH(none_or_all),
		cmocka_unit_test(the_largest_cluster),
		cmocka_unit_test(the_history_of_members),
		cmocka_unit_test(an_older_registry),
		cmocka_unit_test(by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
