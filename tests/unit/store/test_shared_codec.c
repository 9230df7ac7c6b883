/* Shared records as keys and values: what was written is read again, what was spoilt is refused by
 * name, and what a newer writer added is passed over.  And this host's registry keeps them. */
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

#include "../model/shared_case.h"
#include "base/cleanup.h"
#include "fixture.h"
#include "store/shared.h"

static struct shared_case one;

static void encode(const struct shared_record *r, char **ret_key, char **ret_value)
{
	struct error error;

	if (shared_encode(&fixture_mem, r, ret_key, ret_value, &error) < 0)
		fail_msg("%s", error.message);
}

static struct shared_record *decode(const char *key, const char *value)
{
	struct shared_record *r = NULL;
	struct error error;

	if (shared_decode(&fixture_mem, key, value, strlen(value), 42, &r, &error) < 0)
		fail_msg("%s", error.message);
	return r;
}

static enum error_code refused(const char *key, const char *value, const char *word)
{
	struct shared_record *r = NULL;
	struct error error = { 0 };
	int result =
		shared_decode(&fixture_mem, key, value, value ? strlen(value) : 0, 1, &r, &error);

	assert_true(result < 0);
	assert_null(r);
	assert_int_equal(result, -error_errno(error.code));
	if (!strstr(error.message, word))
		fail_msg("'%s' is not in: %s", word, error.message);
	for (const char *c = error.message; *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	return error.code;
}

static void records_lead_back(void **state)
{
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		for (uint64_t seed = 0; seed < (kind == SHARED_IMAGE ? 60 : 1000); seed++) {
			char *key, *value, *key_again, *value_again;
			struct shared_record *r;

			case_shared(&one, kind, seed);
			encode(&one.r, &key, &value);
			r = decode(key, value);
			assert_int_equal(r->revision, 42);
			assert_true(shared_equal(r, &one.r));
			encode(r, &key_again, &value_again);
			assert_string_equal(key, key_again);
			assert_string_equal(value, value_again);
			mem_free(&fixture_mem, r);
			mem_free(&fixture_mem, key_again);
			mem_free(&fixture_mem, value_again);
			mem_free(&fixture_mem, value);

			/* The key alone, and back. */
			shared_encode(&fixture_mem, &one.r, &key_again, NULL, &(struct error){ 0 });
			assert_string_equal(key, key_again);
			assert_int_equal(shared_decode(&fixture_mem, key, NULL, 0, 9, &r,
						       &(struct error){ 0 }),
					 0);
			assert_int_equal(r->revision, 0);
			assert_true(shared_same_key(r, &one.r));
			mem_free(&fixture_mem, r);
			mem_free(&fixture_mem, key);
			mem_free(&fixture_mem, key_again);
		}
	}
	assert_int_equal(fixture_blocks(), 0);
}

/* --- damage ---------------------------------------------------------------------------------- */

static char *spoilt(const json_t *object)
{
	return json_dumps(object, JSON_COMPACT);
}

/* Each member of each kind: left out, of another type, and beside one that nobody knows. */
static void every_member_is_wanted(void **state)
{
	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		const char *name;
		char *key, *value;
		json_t *whole, *member;

		case_shared(&one, kind, 5);
		encode(&one.r, &key, &value);
		whole = json_loads(value, 0, NULL);
		assert_true(json_object_size(whole) > 1);
		json_object_foreach (whole, name, member) {
			json_t *copy = json_copy(whole);
			struct shared_record *r;
			char quoted[80], *text;

			snprintf(quoted, sizeof(quoted), "'%s'", name);
			json_object_del(copy, name);
			text = spoilt(copy);
			assert_int_equal(refused(key, text, quoted), ERROR_MISSING_FIELD);
			free(text);

			json_object_set_new(copy, name,
					    json_is_boolean(member) ? json_null() : json_true());
			text = spoilt(copy);
			assert_int_equal(refused(key, text, quoted), ERROR_BAD_VALUE);
			free(text);

			json_object_set_new(copy, name, json_real(1.0));
			text = spoilt(copy);
			assert_int_equal(refused(key, text, quoted), ERROR_BAD_VALUE);
			free(text);

			json_object_set(copy, name, member);
			json_object_set_new(copy, "what_a_newer_one_says", json_array());
			text = spoilt(copy);
			r = decode(key, text);
			assert_true(shared_equal(r, &one.r));
			mem_free(&fixture_mem, r);
			free(text);
			json_decref(copy);
		}
		json_decref(whole);
		mem_free(&fixture_mem, key);
		mem_free(&fixture_mem, value);
	}
}

/* Each octet struck out, and each replaced: never a crash, and never a record that cannot be
 * written again. */
static void damaged_values(void **state)
{
	unsigned int refusals = 0, tries = 0;

	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		char *key, *value, *copy;
		size_t len;

		case_shared(&one, kind, kind == SHARED_IMAGE ? 3 : 5);
		if (kind == SHARED_IMAGE && one.r.image.count > 3)
			one.r.image.count = 3;
		if (kind == SHARED_CLUSTER && one.cluster.c.member_count > 3)
			one.cluster.c.member_count = 3;
		encode(&one.r, &key, &value);
		len = strlen(value);
		copy = malloc(len + 1);
		for (size_t i = 0; i < 2 * len; i++) {
			struct shared_record *r = NULL;
			char *again_key, *again;
			struct error error;
			size_t n = len;

			memcpy(copy, value, len + 1);
			if (i < len) {
				copy[i] = (char)(copy[i] ^ 0x11);
			} else {
				memmove(copy + i - len, copy + i - len + 1, 2 * len - i);
				n--;
			}
			tries++;
			if (shared_decode(&fixture_mem, key, copy, n, 1, &r, &error) < 0) {
				assert_null(r);
				refusals++;
				continue;
			}
			encode(r, &again_key, &again);
			assert_string_equal(again_key, key);
			mem_free(&fixture_mem, again_key);
			mem_free(&fixture_mem, again);
			mem_free(&fixture_mem, r);
		}
		free(copy);
		mem_free(&fixture_mem, key);
		mem_free(&fixture_mem, value);
	}
	assert_true(refusals > tries / 2);
	assert_int_equal(fixture_blocks(), 0);
}

#define UUID_A "00112233-4455-6677-8899-aabbccddeeff"
#define UUID_B "00112233-4455-6677-8899-aabbccddeefe"

static void what_is_no_key(void **state)
{
	static const struct {
		const char *key;
		enum error_code code;
	} bad[] = {
		{ "", ERROR_NOT_FOUND },
		{ "/", ERROR_NOT_FOUND },
		{ "hosts/" UUID_A, ERROR_NOT_FOUND },
		{ "future/thing", ERROR_NOT_FOUND },
		{ "a-kind-with-a-very-long-name/x", ERROR_NOT_FOUND },
		{ "\033[2Jx", ERROR_NOT_FOUND },
		{ "meta/", ERROR_BAD_VALUE },
		{ "host", ERROR_BAD_VALUE },
		{ "host/", ERROR_BAD_VALUE },
		{ "host/" UUID_A "/", ERROR_BAD_VALUE },
		{ "host/00112233-4455-6677-8899-AABBCCDDEEFF", ERROR_BAD_VALUE },
		{ "segment/", ERROR_BAD_VALUE },
		{ "segment/-lan", ERROR_BAD_VALUE },
		{ "segment/lan/x", ERROR_BAD_VALUE },
		{ "segment/02:00:00:00:00:01", ERROR_BAD_VALUE },
		{ "block/p", ERROR_BAD_VALUE },
		{ "block/p/1", ERROR_BAD_VALUE },
		{ "block/p/000000000000000A", ERROR_BAD_VALUE },
		{ "block/p/8000000000000000", ERROR_BAD_VALUE },
		{ "block/p/00000000000000010", ERROR_BAD_VALUE },
		{ "vmac/lan/1200.0000.0001", ERROR_BAD_VALUE },
		{ "vmac/lan/12:00:00:00:00:0A", ERROR_BAD_VALUE },
		{ "vmac/lan", ERROR_BAD_VALUE },
		{ "ask//12:00:00:00:00:01", ERROR_BAD_VALUE },
		{ "identity/p/Y", ERROR_BAD_VALUE },
		{ "identity/p/YR", ERROR_BAD_VALUE },
		{ "identity/p/YQ==", ERROR_BAD_VALUE },
		{ "identity/p/AA", ERROR_BAD_VALUE },
		{ "identity/p/Y+", ERROR_BAD_VALUE },
		{ "cluster", ERROR_BAD_VALUE },
		{ "cluster/", ERROR_BAD_VALUE },
		{ "cluster/-web", ERROR_BAD_VALUE },
		{ "cluster/web/x", ERROR_BAD_VALUE },
		{ "image/-/0000000000000000", ERROR_BAD_VALUE },
		{ "image//0000000000000000", ERROR_BAD_VALUE },
		{ "image/p", ERROR_BAD_VALUE },
		{ "image", ERROR_BAD_VALUE },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (refused(bad[i].key, NULL, "") != bad[i].code)
			fail_msg("%s", bad[i].key);
}

/* A cluster's parts: what the tables of members do not say. */
static void what_is_no_cluster(void **state)
{
	static const char whole[] =
		"{\"name\":\"web\",\"segment\":\"%s\",\"mode\":\"%s\",\"table\":\"maglev\","
		"\"affinity\":\"none\",\"nat\":false,\"key\":\"00112233445566778899aabbccddeeff\","
		"\"check\":\"none\",\"check_port\":0,\"check_interval_ms\":2000,"
		"\"check_timeout_ms\":1000,\"check_path\":\"\",\"rise\":2,\"fall\":3,\"note\":\"\","
		"\"generation\":1,\"changed\":5,\"faces\":[%s],\"addresses\":[%s],"
		"\"rules\":[%s],\"members\":[%s]}";
	static const struct {
		const char *segment, *mode, *faces, *addresses, *rules, *members, *word;
	} bad[] = {
#define FACE "\"0a:00:00:00:00:01\""
#define IP   "\"10.0.0.100\""
#define M(i, a)                                                                                    \
	"{\"id\":" #i ",\"address\":\"12:00:00:00:00:" #a "\",\"weight\":1,"                       \
	"\"priority\":0,\"state\":\"active\"}"
		{ "", "director", FACE, IP, "", "", "'segment'" },
		{ "a/b", "director", FACE, IP, "", "", "'segment'" },
		{ "lan", "other", FACE, IP, "", "", "'mode'" },
		{ "lan", "director", "", IP, "", "", "faces" },
		{ "lan", "director", "7", IP, "", "", "'faces'" },
		{ "lan", "director", "\"x\"", IP, "", "", "'faces'" },
		{ "lan", "distributed", FACE ",\"0a:00:00:00:00:02\"", IP, "", "", "faces" },
		{ "lan", "director", FACE, "", "", "", "addresses" },
		{ "lan", "director", FACE, "\"10.0.0.256\"", "", "", "'addresses'" },
		{ "lan", "director", FACE, IP "," IP, "", "", "addresses[1]" },
		{ "lan", "director", FACE, IP, "7", "", "1. of 'rules'" },
		{ "lan", "director", FACE, IP, "{\"match\":\"tcp/80\"}", "", "'action'" },
		{ "lan", "director", FACE, IP, "{\"match\":\"x\",\"action\":\"dropped\"}", "",
		  "'match'" },
		{ "lan", "director", FACE, IP, "", "7", "1. of 'members'" },
		{ "lan", "director", FACE, IP, "", M(1, 01) ",{}", "2. of 'members'" },
		{ "lan", "director", FACE, IP, "", M(0, 01), "'id'" },
		{ "lan", "director", FACE, IP, "", M(1, 01) "," M(1, 02), "members[1].id" },
		{ "lan", "director", FACE, IP, "", M(2, 01) "," M(1, 02), "members[1].id" },
		{ "lan", "director", FACE, IP, "", M(1, 01) "," M(2, 01), "members[1].address" },
	};
	char text[2048];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		enum error_code code;

		snprintf(text, sizeof(text), whole, bad[i].segment, bad[i].mode, bad[i].faces,
			 bad[i].addresses, bad[i].rules, bad[i].members);
		code = refused("cluster/web", text, bad[i].word);
		assert_true(code == ERROR_BAD_VALUE || code == ERROR_MISSING_FIELD);
	}
	snprintf(text, sizeof(text), whole, "lan", "director", FACE, IP,
		 "{\"match\":\"tcp/80\",\"action\":\"dropped\"}", M(1, 01) "," M(7, 02));
	mem_free(&fixture_mem, decode("cluster/web", text));
	refused("cluster/other", text, "another key");
}

static void what_is_no_value(void **state)
{
	static const struct {
		const char *key, *value, *word;
		enum error_code code;
	} bad[] = {
		{ "meta", "", "JSON", ERROR_BAD_JSON },
		{ "meta", "{", "JSON", ERROR_BAD_JSON },
		{ "meta", "[]", "object", ERROR_BAD_VALUE },
		{ "meta", "{\"format\":1,\"format\":1}", "JSON", ERROR_BAD_JSON },
		{ "meta", "{\"format\":2}", "format 2", ERROR_REGISTRY_VERSION },
		{ "meta", "{\"format\":0,\"cluster\":\"" UUID_A "\"}", "'format'",
		  ERROR_BAD_VALUE },
		{ "meta", "{\"format\":1,\"cluster\":\"\"}", "'cluster'", ERROR_BAD_VALUE },
		{ "meta", "{\"format\":1,\"cluster\":\"x\"}", "'cluster'", ERROR_BAD_VALUE },
		{ "alive/" UUID_A, "{\"host\":\"" UUID_B "\",\"incarnation\":1}", "another key",
		  ERROR_BAD_VALUE },
		{ "alive/" UUID_A, "{\"host\":\"" UUID_A "\",\"incarnation\":-1}", "'incarnation'",
		  ERROR_BAD_VALUE },
		{ "alive/" UUID_A, "{\"host\":\"" UUID_A "\",\"incarnation\":9223372036854775808}",
		  "JSON", ERROR_BAD_JSON },
		{ "segment/lan", "{\"name\":\"lan\",\"vlan\":4095,\"number\":1}", "'vlan'",
		  ERROR_BAD_VALUE },
		{ "segment/lan", "{\"name\":\"lan\",\"vlan\":1,\"number\":0}", "'number'",
		  ERROR_BAD_VALUE },
		{ "segment/lan", "{\"name\":\"lan\",\"vlan\":1,\"number\":16777216}", "'number'",
		  ERROR_BAD_VALUE },
		{ "pool/p",
		  "{\"name\":\"p\",\"segment\":\"lan\",\"ranges\":[],\"excludes\":[],\"key\":"
		  "\"00112233445566778899aabbccddeef\",\"quarantine_ms\":0,\"limit\":0,"
		  "\"block_size\":1}",
		  "'key'", ERROR_BAD_VALUE },
		{ "pool/p",
		  "{\"name\":\"p\",\"segment\":\"lan\",\"ranges\":[],\"excludes\":[],\"key\":"
		  "\"00112233445566778899aabbccddeeff\",\"quarantine_ms\":0,\"limit\":0,"
		  "\"block_size\":3}",
		  "'block_size'", ERROR_BAD_VALUE },
		{ "pool/p",
		  "{\"name\":\"p\",\"segment\":\"lan\",\"ranges\":[\"12:00:00:00:00:02.."
		  "12:00:00:00:00:01\"],\"excludes\":[],\"key\":"
		  "\"00112233445566778899aabbccddeeff\",\"quarantine_ms\":0,\"limit\":0,"
		  "\"block_size\":1}",
		  "'ranges'", ERROR_BAD_VALUE },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (refused(bad[i].key, bad[i].value, bad[i].word) != bad[i].code)
			fail_msg("%s: %s", bad[i].key, bad[i].value);
}

/* What breaks the rules is not written in the first place. */
static void what_is_not_written(void **state)
{
	struct error error;
	char *key, *value;

#define REFUSED(k, ...)                                                                            \
	do {                                                                                       \
		struct shared_record *r = &one.r;                                                  \
		case_shared(&one, k, 5);                                                           \
		__VA_ARGS__;                                                                       \
		assert_int_equal(shared_encode(&fixture_mem, r, &key, &value, &error),             \
				 -error_errno(ERROR_BAD_VALUE));                                   \
		assert_int_equal(error.code, ERROR_BAD_VALUE);                                     \
	} while (0)

	REFUSED(SHARED_HOST, r->host.name[0] = '\0');
	REFUSED(SHARED_HOST, r->host.number = 0);
	REFUSED(SHARED_HOST, memcpy(r->host.version, "\xff", 2));
	REFUSED(SHARED_POOL, r->pool.block_size = 3);
	REFUSED(SHARED_POOL, r->pool.pool.limit = UINT64_MAX);
	REFUSED(SHARED_BLOCK, memcpy(r->block.pool, "a/b", 4));
	REFUSED(SHARED_BLOCK, r->block.number = UINT64_MAX);
	REFUSED(SHARED_VMAC, r->vmac.segment = "");
	REFUSED(SHARED_VMAC, r->vmac.note = "two\nlines");
	REFUSED(SHARED_VMAC, r->vmac.epoch = UINT64_MAX);
	REFUSED(SHARED_IDENTITY, r->identity.identity[0] = '\0');
	REFUSED(SHARED_CLUSTER, r->cluster.segment = "");
	REFUSED(SHARED_CLUSTER, r->cluster.segment = "a/b");
	REFUSED(SHARED_CLUSTER, one.cluster.c.name[0] = '/');
	REFUSED(SHARED_CLUSTER, one.cluster.c.generation = 0);
	REFUSED(SHARED_CLUSTER, one.cluster.c.generation = UINT64_MAX);
	REFUSED(SHARED_CLUSTER, one.cluster.c.face_count = 0);
	REFUSED(SHARED_CLUSTER, one.cluster.c.rise = 0);
	REFUSED(SHARED_ASK, r->ask.host = (struct uuid){ 0 });
	assert_int_equal(fixture_blocks(), 0);
}

/* --- memory ---------------------------------------------------------------------------------- */

static long left;

static void *short_alloc(void *ctx, size_t size)
{
	return left-- > 0 ? calloc(1, size) : NULL;
}

static void short_free(void *ctx, void *p)
{
	free(p);
}

static void without_memory(void **state)
{
	static const struct mem scarce = { short_alloc, short_free, NULL };

	for (int kind = 0; kind < SHARED_KIND_COUNT; kind++) {
		struct shared_record *r = NULL;
		char *key = NULL, *value = NULL;
		struct error error;

		case_shared(&one, kind, 5);
		for (long n = 0; n < 2; n++) {
			left = n;
			assert_int_equal(shared_encode(&scarce, &one.r, &key, &value, &error),
					 -ENOMEM);
			assert_null(key);
			assert_null(value);
		}
		left = 2;
		assert_int_equal(shared_encode(&scarce, &one.r, &key, &value, &error), 0);
		left = 0;
		assert_int_equal(shared_decode(&scarce, key, value, strlen(value), 1, &r, &error),
				 -ENOMEM);
		assert_int_equal(error.code, ERROR_NO_MEMORY);
		assert_null(r);
		free(key);
		free(value);
	}
}

/* --- in this host's own registry ------------------------------------------------------------- */

#define KEPT 1200

static void reload(struct store **s, const char *directory, struct loaded *l)
{
	struct error error;

	loaded_done(l);
	store_close(*s);
	*s = fixture_open("sqlite", directory);
	if (loaded_try(*s, l, &error) < 0)
		fail_msg("%s", error.message);
}

static const struct shared_record *find(const struct loaded *l, const struct shared_record *key)
{
	for (size_t i = 0; i < l->shared_count; i++)
		if (shared_same_key(l->shared[i], key))
			return l->shared[i];
	return NULL;
}

static struct shared_record *random_record(uint64_t seed)
{
	struct shared_record *r;

	case_shared(&one, 1 + seed % (SHARED_KIND_COUNT - 1), seed);
	one.r.revision = seed;
	r = shared_copy(&fixture_mem, &one.r);
	return r;
}

static void kept_through_the_files(void **state)
{
	struct shared_record *records[KEPT], changed;
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct deed *d = deed_new();

	for (uint64_t i = 0, seed = 0; i < KEPT; i++) {
		records[i] = random_record(seed++);
		for (uint64_t j = 0; j < i; j++) {
			if (!shared_same_key(records[i], records[j]))
				continue;
			mem_free(&fixture_mem, records[i]);
			records[i] = random_record(seed++);
			j = UINT64_MAX; /* against all of them again */
		}
		deed_add(d, CHANGE_SHARED, NULL, records[i], "");
	}
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.shared_count, KEPT);
	for (size_t i = 0; i < KEPT; i++) {
		const struct shared_record *r = find(&loaded, records[i]);

		assert_non_null(r);
		assert_true(shared_equal(r, records[i]));
		assert_int_equal(r->revision, records[i]->revision);
	}
	/* Changed with a new revision, and deleted. */
	changed = *records[0];
	changed.revision = 7777;
	d = deed_new();
	deed_add(d, CHANGE_SHARED, records[0], &changed, "");
	deed_add(d, CHANGE_SHARED, records[1], NULL, "");
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.shared_count, KEPT - 1);
	assert_int_equal(find(&loaded, records[0])->revision, 7777);
	assert_null(find(&loaded, records[1]));
	loaded_done(&loaded);
	store_close(s);
	for (size_t i = 0; i < KEPT; i++)
		mem_free(&fixture_mem, records[i]);
	fixture_remove(directory);
	assert_int_equal(fixture_blocks(), 0);
}

/* A transaction that fails takes its kept records with it; and none has a line in the history. */
static void none_or_all(void **state)
{
	struct shared_record *r = random_record(1), *absent = random_record(2);
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct deed *d = deed_new();

	deed_add(d, CHANGE_SHARED, NULL, r, "");
	deed_add(d, CHANGE_SHARED, absent, NULL, "");
	store_submit(s, &d->txn);
	fixture_settle(s);
	assert_int_equal(d->error.code, ERROR_REGISTRY_CORRUPT);
	deed_free(d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.shared_count, 0);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
	mem_free(&fixture_mem, r);
	mem_free(&fixture_mem, absent);
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
		"UPDATE shared SET key = 'segment/other'",
		"UPDATE shared SET key = 'elsewhere'",
		"UPDATE shared SET value = '{}'",
		"UPDATE shared SET value = ''",
		"UPDATE shared SET value = x'00ff'",
		"UPDATE shared SET revision = -1",
		"UPDATE shared SET revision = 'x'",
		"UPDATE shared SET value = json_set(value, '$.vlan', 5000)",
		"UPDATE shared SET value = json_remove(value, '$.number')",
	};

	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct shared_record r = { .kind = SHARED_SEGMENT,
					   .revision = 3,
					   .segment = { .name = "lan", .vlan = 7, .number = 9 } };
		struct loaded loaded = { 0 };
		char directory[FIXTURE_PATH_MAX];
		struct store *s = fixture_open("sqlite", fixture_directory(directory));
		struct deed *d = deed_new();
		struct error error;

		deed_add(d, CHANGE_SHARED, NULL, &r, "");
		deed_do(s, d);
		store_close(s);
		run_sql(directory, damages[i]);
		s = fixture_open("sqlite", directory);
		assert_true(loaded_try(s, &loaded, &error) < 0);
		if (error.code != ERROR_REGISTRY_CORRUPT || !strstr(error.message, "shared record"))
			fail_msg("%s: %s", damages[i], error.message);
		loaded_done(&loaded);
		store_close(s);
		fixture_remove(directory);
	}
}

/* What is kept beside a vMAC that is away comes back with it. */
static void away_comes_back(void **state)
{
	struct vmac *v = fixture_vmac(1, 0x120000000001, "web1", "vm 1");
	struct segment *lan = fixture_segment(1, "lan");
	struct loaded loaded = { 0 };
	char directory[FIXTURE_PATH_MAX];
	struct store *s = fixture_open("sqlite", fixture_directory(directory));
	struct deed *d = deed_new();

	v->state = VMAC_AWAY;
	v->epoch = 12;
	deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
	deed_add(d, CHANGE_VMAC, NULL, v, "yield");
	deed_do(s, d);
	reload(&s, directory, &loaded);
	assert_int_equal(loaded.vmac_count, 1);
	assert_int_equal(loaded.vmacs[0]->state, VMAC_AWAY);
	assert_int_equal(loaded.vmacs[0]->epoch, 12);
	loaded_done(&loaded);
	store_close(s);
	fixture_remove(directory);
	free(v);
	free(lan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_lead_back),	  cmocka_unit_test(every_member_is_wanted),
		cmocka_unit_test(damaged_values),	  cmocka_unit_test(what_is_no_key),
		cmocka_unit_test(what_is_no_cluster),	  cmocka_unit_test(what_is_no_value),
		cmocka_unit_test(what_is_not_written),	  cmocka_unit_test(without_memory),
		cmocka_unit_test(kept_through_the_files), cmocka_unit_test(none_or_all),
		cmocka_unit_test(damaged_rows),		  cmocka_unit_test(away_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
