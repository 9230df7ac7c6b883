/* Routers: whatever passes the rules comes back from the registry as it went in; whatever was
 * altered there and breaks them is damage. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../model/router_case.h"
#include "fixture.h"
#include "store/router_json.h"

#define COUNT 300

static struct router_case one;

static struct router *random_block(uint64_t seed, uint32_t id)
{
	case_random(&one, seed);
	one.r.id = id;
	return router_block_fill(malloc(router_block_size(&one.r)), &one.r);
}

static void texts_lead_back(void **state)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct router_json *json = NULL;
		struct router r;
		char *text;

		case_random(&one, seed);
		text = router_json_write(&one.r);
		assert_non_null(text);
		assert_int_equal(router_json_read(text, strlen(text), &json, &r), 0);
		assert_true(router_equal(&r, &one.r));
		assert_int_equal(r.created.ms, one.r.created.ms);
		assert_int_equal(r.changed.ms, one.r.changed.ms);
		router_json_done(json);
		free(text);
	}
}

/* Each octet of a text is struck out, and each is replaced: never a crash, and never a record that
 * breaks the rules. */
static void damaged_texts(void **state)
{
	unsigned int refused = 0;
	char *text, *copy;
	size_t len;

	case_random(&one, 7);
	text = router_json_write(&one.r);
	len = strlen(text);
	copy = malloc(len + 1);
	for (size_t i = 0; i < 2 * len; i++) {
		struct router_json *json = NULL;
		struct error error;
		struct router r;
		size_t n = len;

		memcpy(copy, text, len + 1);
		if (i < len)
			copy[i] = (char)(copy[i] ^ 0x11);
		else {
			memmove(copy + i - len, copy + i - len + 1, 2 * len - i);
			n--;
		}
		if (router_json_read(copy, n, &json, &r) < 0) {
			refused++;
			continue;
		}
		assert_int_equal(router_check(&r, &error), 0);
		router_json_done(json);
	}
	assert_true(refused > len);
	free(copy);
	free(text);
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
	struct router *routers[COUNT], *changed;
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct deed *d = deed_new();

	for (uint32_t i = 0; i < COUNT; i++) {
		routers[i] = random_block(i + 1, i + 1);
		deed_add(d, CHANGE_ROUTER, NULL, routers[i], "create");
	}
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.router_count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_int_equal(loaded.routers[i]->id, i + 1);
		assert_true(router_equal(loaded.routers[i], routers[i]));
	}
	changed = random_block(5000, 2);
	d = deed_new();
	deed_add(d, CHANGE_ROUTER, routers[0], NULL, "delete");
	deed_add(d, CHANGE_ROUTER, routers[1], changed, "change");
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.router_count, COUNT - 1);
	assert_true(router_equal(loaded.routers[0], changed));
	for (uint32_t i = 0; i < COUNT; i++)
		free(routers[i]);
	free(changed);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
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
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct router *r = random_block(3, 1);
		struct loaded loaded = { 0 };
		char directory[FIXTURE_PATH_MAX];
		struct store *s = fixture_open("sqlite", fixture_directory(directory));
		struct deed *d = deed_new();
		struct error error;

		deed_add(d, CHANGE_ROUTER, NULL, r, "create");
		deed_do(s, d);
		store_close(s);
		run_sql(directory, damages[i]);
		s = fixture_open("sqlite", directory);
		assert_true(loaded_try(s, &loaded, &error) < 0);
		if (error.code != ERROR_REGISTRY_CORRUPT || !strstr(error.message, "router"))
			fail_msg("%s: %s", damages[i], error.message);
		loaded_done(&loaded);
		store_close(s);
		fixture_remove(directory);
		free(r);
	}
}

static struct history seen;
static char seen_to[2048];

static void look(void *ctx, const struct error *error, const struct history *lines, size_t count)
{
	assert_null(error);
	assert_int_equal(count, 1);
	seen = lines[0];
	snprintf(seen_to, sizeof(seen_to), "%s", lines[0].to);
	assert_string_equal(lines[0].subject, "gw");
	assert_string_equal(lines[0].segment, "");
}

static void history_tells_of_them(void **state)
{
	static const char *const backends[] = { "sqlite", "mem" };

	for (size_t i = 0; i < 2; i++) {
		struct history_query q = { .subject = "gw", .limit = 5 };
		char directory[FIXTURE_PATH_MAX];
		struct store *s = fixture_open(backends[i], fixture_directory(directory));
		struct deed *d = deed_new();

		case_init(&one, ROUTER_VRRP3);
		one.r.auth = ROUTER_AUTH_HMAC;
		case_key(&one, 4, "hunter2");
		one.r.id = 1;
		deed_add(d, CHANGE_ROUTER, NULL, &one.r, "create");
		deed_do(s, d);
		seen = (struct history){ 0 };
		store_history(s, &q, look, NULL);
		while (!seen.seq) {
			fixture_wait(s);
			store_dispatch(s);
		}
		assert_int_equal(seen.kind, CHANGE_ROUTER);
		assert_non_null(strstr(seen_to, "keys=4"));
		assert_null(strstr(seen_to, "hunter2"));
		store_close(s);
		fixture_remove(directory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_lead_back),	 cmocka_unit_test(damaged_texts),
		cmocka_unit_test(through_the_files),	 cmocka_unit_test(damaged_rows),
		cmocka_unit_test(history_tells_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
