/* Clusters: whatever passes the rules comes back from the registry as it went in, with its line in
 * the history; whatever was altered there and breaks them is damage. */
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
#include "base/cleanup.h"
#include "fixture.h"
#include "store/cluster_json.h"

static struct cluster_case one;

static struct cluster *random_block(uint64_t seed, uint32_t id)
{
	cluster_case_random(&one, seed);
	one.c.id = id;
	one.c.segment = 1;
	one.c.created.ms = 1790000000000 + id;
	snprintf(one.c.name, sizeof(one.c.name), "c%u", id);
	return cluster_block_fill(malloc(cluster_block_size(&one.c)), &one.c);
}

static void texts_lead_back(void **state)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct cluster_json *json = NULL;
		struct error error;
		char *text;

		cluster_case_random(&one, seed);
		assert_int_equal(cluster_json_write(&one.c, &text, &error), 0);
		assert_int_equal(cluster_json_read(text, strlen(text), &json, &error), 0);
		assert_true(cluster_equal(&json->cluster, &one.c));
		assert_int_equal(json->cluster.generation, one.c.generation);
		assert_int_equal(json->cluster.changed.ms, one.c.changed.ms);
		assert_string_equal(json->segment, "");
		cluster_json_done(json);
		free(text);
	}
}

/* The largest record there is stays far below what a registry takes at once. */
static void the_largest(void **state)
{
	struct error error;
	char *text;

	cluster_case_init(&one);
	one.c.member_count = 0;
	for (uint16_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
		cluster_case_member(&one, id, UINT64_C(0x120000000000) + id);
		one.members[id - 1].state = MEMBER_DRAINING;
		one.members[id - 1].drain_ms = CLUSTER_DRAIN_MAX_MS;
	}
	assert_int_equal(cluster_json_write(&one.c, &text, &error), 0);
	assert_in_range(strlen(text), 64 << 10, 160 << 10);
	free(text);
	one.c.rise = 0;
	assert_int_equal(cluster_json_write(&one.c, &text, &error), -EINVAL);
	assert_int_equal(error.code, ERROR_BAD_VALUE);
}

static void reload(struct store **s, const char *directory, struct loaded *l)
{
	struct error error;

	loaded_done(l);
	store_close(*s);
	*s = fixture_open("sqlite", directory);
	if (loaded_try(*s, l, &error) < 0)
		fail_msg("%s", error.message);
}

static void through_the_files(void **state)
{
	struct cluster *clusters[CLUSTERS_MAX], *changed;
	struct segment *lan = fixture_segment(1, "lan");
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct deed *d = deed_new();

	deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++) {
		clusters[i] = random_block(i + 1, i + 1);
		deed_add(d, CHANGE_CLUSTER, NULL, clusters[i], "create");
	}
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.cluster_count, CLUSTERS_MAX);
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++) {
		const struct cluster *c = loaded.clusters[i];

		assert_int_equal(c->id, i + 1);
		assert_int_equal(c->segment, 1);
		assert_true(cluster_equal(c, clusters[i]));
		assert_int_equal(c->generation, clusters[i]->generation);
		assert_int_equal(c->created.ms, clusters[i]->created.ms);
		assert_int_equal(c->changed.ms, clusters[i]->changed.ms);
	}
	changed = random_block(5000, 2);
	d = deed_new();
	deed_add(d, CHANGE_CLUSTER, clusters[0], NULL, "delete");
	deed_add(d, CHANGE_CLUSTER, clusters[1], changed, "change");
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.cluster_count, CLUSTERS_MAX - 1);
	assert_true(cluster_equal(loaded.clusters[0], changed));
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++)
		free(clusters[i]);
	free(changed);
	free(lan);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
}

struct seen {
	struct history line;
	char subject[64], segment[64], verb[32], from[2048], to[2048];
	unsigned int count;
};

static void see(void *ctx, const struct error *error, const struct history *lines, size_t count)
{
	struct seen *seen = ctx;

	assert_null(error);
	assert_true(count >= 1);
	seen->line = lines[0];
	seen->count = (unsigned int)count;
	snprintf(seen->subject, sizeof(seen->subject), "%s", lines[0].subject);
	snprintf(seen->segment, sizeof(seen->segment), "%s", lines[0].segment);
	snprintf(seen->verb, sizeof(seen->verb), "%s", lines[0].verb);
	snprintf(seen->from, sizeof(seen->from), "%s", lines[0].from);
	snprintf(seen->to, sizeof(seen->to), "%s", lines[0].to);
}

/* Both backends tell the same line. */
static void the_history(void **state)
{
	static const char *const backends[] = { "mem", "sqlite" };

	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		struct history_query query = { .subject = "web", .segment = "lan", .limit = 10 };
		struct segment *lan = fixture_segment(1, "lan");
		char directory[FIXTURE_PATH_MAX];
		struct store *s = fixture_open(backends[i], fixture_directory(directory));
		struct deed *d = deed_new();
		struct seen seen = { 0 };
		struct cluster before;

		cluster_case_init(&one);
		one.c.id = one.c.segment = 1;
		before = one.c;
		before.member_count = 2;
		deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
		deed_add(d, CHANGE_CLUSTER, NULL, &before, "create");
		deed_add(d, CHANGE_CLUSTER, &before, &one.c, "member add");
		deed_do(s, d);
		store_history(s, &query, see, &seen);
		while (seen.count == 0) {
			fixture_wait(s);
			store_dispatch(s);
		}
		assert_int_equal(seen.count, 2);
		assert_int_equal(seen.line.kind, CHANGE_CLUSTER);
		assert_string_equal(seen.subject, "web");
		assert_string_equal(seen.segment, "lan");
		assert_string_equal(seen.verb, "member add");
		assert_non_null(strstr(seen.from, "director faces=0a:00:00:00:00:01 "));
		assert_non_null(strstr(seen.from, " members=2 "));
		assert_non_null(strstr(seen.to, " members=3 "));
		store_close(s);
		fixture_remove(directory);
		free(lan);
	}
}

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
	static const char *const damages[] = {
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
	};

	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct loaded loaded = { 0 };
		char directory[FIXTURE_PATH_MAX];
		struct store *s = fixture_open("sqlite", fixture_directory(directory));
		struct deed *d = deed_new();
		struct error error;

		cluster_case_init(&one);
		one.c.id = one.c.segment = 1;
		deed_add(d, CHANGE_CLUSTER, NULL, &one.c, "create");
		deed_do(s, d);
		store_close(s);
		run_sql(directory, damages[i]);
		s = fixture_open("sqlite", directory);
		assert_true(loaded_try(s, &loaded, &error) < 0);
		if (error.code != ERROR_REGISTRY_CORRUPT || !strstr(error.message, "cluster"))
			fail_msg("%s: %s", damages[i], error.message);
		loaded_done(&loaded);
		store_close(s);
		fixture_remove(directory);
	}
}

/* --- a registry that the release before has left -----------------------------------------------
 */

static void an_older_registry(void **state)
{
	static char sql[32768];
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	FILE *f = fopen(SCHEMA_3, "re");
	struct store_facts facts;
	struct deed *d = deed_new();
	struct cluster *web = random_block(7, 1);
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
	assert_int_equal(loaded.cluster_count, 1);
	assert_true(cluster_equal(loaded.clusters[0], web));
	loaded_done(&loaded);
	store_close(s);
	run_sql(directory, "SELECT * FROM changes WHERE kind = 'cluster' AND subject = 'c1'");
	fixture_remove(directory);
	free(web);
}

/* A record that is not there cannot be deleted, and takes its transaction with it. */
static void none_or_all(void **state)
{
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct cluster *a = random_block(1, 1), *b = random_block(2, 2);
	struct deed *d = deed_new();

	deed_add(d, CHANGE_CLUSTER, NULL, a, "create");
	deed_add(d, CHANGE_CLUSTER, b, NULL, "delete");
	store_submit(s, &d->txn);
	fixture_settle(s);
	assert_int_equal(d->error.code, ERROR_REGISTRY_CORRUPT);
	deed_free(d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.cluster_count, 0);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_lead_back),   cmocka_unit_test(the_largest),
		cmocka_unit_test(through_the_files), cmocka_unit_test(the_history),
		cmocka_unit_test(damaged_rows),	     cmocka_unit_test(none_or_all),
		cmocka_unit_test(an_older_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
