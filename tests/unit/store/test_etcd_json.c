/* Bodies and answers of etcd's gateway.  The answers are etcd 3.4.23's own, word for word but for
 * numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "store/etcd_json.h"

#define P "/p/"

static struct etcd_answer parse(const char *text)
{
	struct etcd_answer a;

	assert_int_equal(etcd_answer_parse(text, strlen(text), &a), 0);
	return a;
}

#define assert_body(made, wanted)                                                                  \
	do {                                                                                       \
		char *made_ = (made);                                                              \
		assert_non_null(made_);                                                            \
		assert_string_equal(made_, wanted);                                                \
		free(made_);                                                                       \
	} while (0)

/* --- bodies ---------------------------------------------------------------------------------- */

/* Every compare names its target and result (trap 4), keys and values are padded standard base64
 * (trap 5), and every compared key is read where it fails (trap 3). */
static void test_transaction(void **state)
{
	const struct etcd_op ops[] = {
		{ .act = ETCD_PUT, .kv = { "r/a", "1", 1, 0 } },
		{ .act = ETCD_DELETE, .kv = { "r/b", NULL, 0, 18446744073709551615ULL } },
		{ .act = ETCD_COMPARE, .kv = { "r/c", NULL, 0, 7 } },
		{ .act = ETCD_PUT, .leased = true, .kv = { "r/d", "\xff\xfe?>", 4, 9 } },
	};

	assert_body(
		etcd_body_txn(P, ops, 4, 77),
		"{\"compare\":["
		"{\"key\":\"L3Avci9h\",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":"
		"\"0\"},"
		"{\"key\":\"L3Avci9i\",\"target\":\"MOD\",\"result\":\"EQUAL\","
		"\"mod_revision\":\"18446744073709551615\"},"
		"{\"key\":\"L3Avci9j\",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":"
		"\"7\"},"
		"{\"key\":\"L3Avci9k\",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":"
		"\"9\"}],"
		"\"success\":["
		"{\"request_put\":{\"key\":\"L3Avci9h\",\"value\":\"MQ==\"}},"
		"{\"request_delete_range\":{\"key\":\"L3Avci9i\"}},"
		"{\"request_put\":{\"key\":\"L3Avci9k\",\"value\":\"//4/Pg==\",\"lease\":\"77\"}}],"
		"\"failure\":["
		"{\"request_range\":{\"key\":\"L3Avci9h\"}},"
		"{\"request_range\":{\"key\":\"L3Avci9i\"}},"
		"{\"request_range\":{\"key\":\"L3Avci9j\"}},"
		"{\"request_range\":{\"key\":\"L3Avci9k\"}}]}");
}

static void test_ranges(void **state)
{
	struct etcd_range first = { .prefix = P, .part = "r/", .limit = 1000 };
	struct etcd_range next = { .prefix = P,
				   .part = "r/",
				   .last = "r/a",
				   .limit = 2,
				   .revision = 5,
				   .keys_only = true };
	struct etcd_range all = { .prefix = P, .part = "", .limit = 100 };

	/* "/p/r/" to "/p/r0" */
	assert_body(etcd_body_range(&first),
		    "{\"key\":\"L3Avci8=\",\"range_end\":\"L3AvcjA=\",\"limit\":\"1000\"}");
	/* from "/p/r/a\0" on */
	assert_body(etcd_body_range(&next),
		    "{\"key\":\"L3Avci9hAA==\",\"range_end\":\"L3AvcjA=\",\"limit\":\"2\","
		    "\"revision\":\"5\",\"keys_only\":true}");
	assert_body(etcd_body_range(&all),
		    "{\"key\":\"L3Av\",\"range_end\":\"L3Aw\",\"limit\":\"100\"}");
	assert_body(etcd_body_get(P, "i/x"), "{\"key\":\"L3AvaS94\"}");
	assert_body(etcd_body_watch(P, "r/", 12),
		    "{\"create_request\":{\"key\":\"L3Avci8=\",\"range_end\":\"L3AvcjA=\","
		    "\"start_revision\":\"12\",\"progress_notify\":true,\"fragment\":true}}");
}

static void test_small_bodies(void **state)
{
	assert_body(etcd_body_grant(10), "{\"TTL\":\"10\",\"ID\":\"0\"}");
	assert_body(etcd_body_lease(717376387017169936), "{\"ID\":\"717376387017169936\"}");
	assert_body(etcd_body_authenticate("ro\"ot", "o\\p\nen"),
		    "{\"name\":\"ro\\\"ot\",\"password\":\"o\\\\p\\nen\"}");
	/* A password that is no UTF-8 cannot be sent as JSON; it is not sent as anything else. */
	assert_null(etcd_body_authenticate("root", "\xff"));
}

/* --- answers --------------------------------------------------------------------------------- */

static void test_success_and_failure(void **state)
{
	struct etcd_answer a;
	struct etcd_kv kv;

	a = parse("{\"header\":{\"cluster_id\":\"6215016506161925028\",\"member_id\":"
		  "\"11748485561792334324\",\"revision\":\"2\",\"raft_term\":\"2\"},\"succeeded\":"
		  "true,\"responses\":[{\"response_put\":{\"header\":{\"revision\":\"2\"}}}]}");
	assert_true(a.succeeded);
	assert_int_equal(a.revision, 2);
	assert_true(a.cluster == 6215016506161925028ULL);
	etcd_answer_done(&a);

	/* Failed: there is no "succeeded" at all (trap 1). The second key does not exist. */
	a = parse("{\"header\":{\"revision\":\"4\",\"raft_term\":\"2\"},\"responses\":["
		  "{\"response_range\":{\"header\":{\"revision\":\"4\"},\"kvs\":[{\"key\":"
		  "\"L3Avci9h\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\","
		  "\"value\":\"MQ==\"}],\"count\":\"1\"}},"
		  "{\"response_range\":{\"header\":{\"revision\":\"4\"}}}]}");
	assert_false(a.succeeded);
	assert_int_equal(etcd_answer_count(&a), 2);
	assert_int_equal(etcd_answer_kv(&a, P, 0, &kv), 0);
	assert_string_equal(kv.key, "r/a");
	assert_string_equal(kv.value, "1");
	assert_int_equal(kv.len, 1);
	assert_int_equal(kv.revision, 3);
	assert_int_equal(etcd_answer_kv(&a, P, 1, &kv), -ENOENT);
	/* Somebody else's prefix. */
	assert_int_equal(etcd_answer_kv(&a, "/q/", 0, &kv), -EBADMSG);
	etcd_answer_done(&a);
}

/* Texts and numbers are taken alike (trap 2). */
static void test_range(void **state)
{
	struct etcd_answer a = parse(
		"{\"header\":{\"revision\":6},\"kvs\":[{\"key\":\"L3Avci9h\",\"mod_revision\":4,"
		"\"value\":\"dg==\"},{\"key\":\"L3Avci9i\",\"mod_revision\":\"5\"}],\"more\":true,"
		"\"count\":\"3\"}");
	struct etcd_kv kv;

	assert_int_equal(a.revision, 6);
	assert_true(a.more);
	assert_int_equal(etcd_answer_kv(&a, P, 0, &kv), 0);
	assert_int_equal(kv.revision, 4);
	/* An empty value is left out, and is a value. */
	assert_int_equal(etcd_answer_kv(&a, P, 1, &kv), 0);
	assert_non_null(kv.value);
	assert_int_equal(kv.len, 0);
	etcd_answer_done(&a);

	a = parse("{\"header\":{\"revision\":\"3\"}}");
	assert_int_equal(etcd_answer_count(&a), 0);
	assert_false(a.more);
	etcd_answer_done(&a);
}

static void test_watch(void **state)
{
	struct etcd_answer a;
	struct etcd_kv kv;

	a = parse("{\"result\":{\"header\":{\"revision\":\"6\"},\"created\":true}}");
	assert_true(a.created && !a.cancelled && a.code == 0);
	assert_int_equal(etcd_answer_count(&a), 0);
	etcd_answer_done(&a);

	a = parse("{\"result\":{\"header\":{\"revision\":\"6\"},\"events\":[{\"kv\":{\"key\":"
		  "\"L3Avci9h\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\","
		  "\"value\":\"MQ==\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"L3Avci9h\","
		  "\"mod_revision\":\"3\"}}]}}");
	assert_int_equal(etcd_answer_count(&a), 2);
	assert_int_equal(etcd_answer_kv(&a, P, 0, &kv), 0);
	assert_string_equal(kv.value, "1"); /* no "type": a put (trap 1) */
	assert_int_equal(etcd_answer_kv(&a, P, 1, &kv), 0);
	assert_null(kv.value);
	assert_int_equal(kv.revision, 3);
	etcd_answer_done(&a);

	/* Of a compacted revision (trap 6): created came before it, and the stream stays open. */
	a = parse("{\"result\":{\"header\":{\"raft_term\":\"2\"},\"canceled\":true,"
		  "\"compact_revision\":\"7\"}}");
	assert_true(a.cancelled);
	assert_int_equal(a.compacted, 7);
	etcd_answer_done(&a);

	/* Not permitted (trap 8): created and cancelled at once. */
	a = parse("{\"result\":{\"header\":{\"revision\":\"7\"},\"watch_id\":\"-1\",\"created\":"
		  "true,\"canceled\":true,\"cancel_reason\":\"rpc error: code = PermissionDenied "
		  "desc "
		  "= etcdserver: permission denied\"}}");
	assert_true(a.cancelled);
	assert_non_null(strstr(a.message, "permission denied"));
	etcd_answer_done(&a);

	/* A member without a leader (trap 7). */
	a = parse("{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no "
		  "leader\",\"http_status\":\"Service Unavailable\"}}");
	assert_int_equal(a.code, 14);
	assert_string_equal(a.message, "etcdserver: no leader");
	etcd_answer_done(&a);
}

/* The end of a lease with 20,000 keys is one line (trap 11). */
static void test_long_line(void **state)
{
	size_t size = 20000 * 100, len = 0;
	char *text = malloc(size);
	struct etcd_answer a;
	struct etcd_kv kv;

	assert_non_null(text);
	len += (size_t)snprintf(text, size,
				"{\"result\":{\"header\":{\"revision\":\"9\"},\"events\":[");
	for (int i = 0; i < 20000; i++)
		len += (size_t)snprintf(text + len, size - len,
					"%s{\"type\":\"DELETE\",\"kv\":{\"key\":"
					"\"L3Avci9h\",\"mod_revision\":\"9\"}}",
					i ? "," : "");
	len += (size_t)snprintf(text + len, size - len, "]}}");
	assert_int_equal(etcd_answer_parse(text, len, &a), 0);
	assert_int_equal(etcd_answer_count(&a), 20000);
	assert_int_equal(etcd_answer_kv(&a, P, 19999, &kv), 0);
	assert_null(kv.value);
	etcd_answer_done(&a);
	/* Cut off, it is no answer. */
	assert_int_equal(etcd_answer_parse(text, len - 1, &a), -EBADMSG);
	free(text);
}

static void test_lease(void **state)
{
	struct etcd_answer a;

	a = parse("{\"header\":{\"revision\":\"6\"},\"ID\":\"717376387017169936\",\"TTL\":\"3\"}");
	assert_true(a.id == 717376387017169936ULL);
	assert_int_equal(a.ttl, 3);
	etcd_answer_done(&a);
	/* A dead lease is kept alive with success and no time (trap 1). */
	a = parse("{\"result\":{\"header\":{\"revision\":\"6\"},\"ID\":\"123\"}}");
	assert_int_equal(a.id, 123);
	assert_int_equal(a.ttl, 0);
	etcd_answer_done(&a);
}

static void test_nonsense(void **state)
{
	static const char *const texts[] = { "",      "[]",  "null", "{", "404 page not found",
					     "\"x\"", "{}{}" };
	struct etcd_answer a;
	struct etcd_kv kv;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(etcd_answer_parse(texts[i], strlen(texts[i]), &a), -EBADMSG);
	/* Keys that are none. */
	a = parse("{\"kvs\":[{\"key\":\"L3Avci9h=\"},{\"key\":7},{},17,{\"key\":\"!!!!\"},"
		  "{\"key\":\"L3AvcgBh\"},{\"key\":\"L3Avci9h\",\"value\":\"*\"}]}");
	for (size_t i = 0; i < etcd_answer_count(&a); i++)
		assert_true(etcd_answer_kv(&a, P, i, &kv) < 0);
	etcd_answer_done(&a);
}

/* --- what it means --------------------------------------------------------------------------- */

static const struct {
	long status;
	const char *text;
	enum etcd_fate fate;
	enum error_code code;
} fates[] = {
	{ 200, "{\"header\":{}}", ETCD_ANSWERED, ERROR_NONE },
	{ 500, "{\"error\":\"context deadline exceeded\",\"message\":\"\",\"code\":2}",
	  ETCD_DOUBTFUL, ERROR_REGISTRY_UNREACHABLE },
	{ 503,
	  "{\"error\":\"etcdserver: request timed out\",\"message\":\"etcdserver: request timed "
	  "out\",\"code\":14}",
	  ETCD_DOUBTFUL, ERROR_REGISTRY_UNREACHABLE },
	{ 502, "<html>Bad Gateway</html>", ETCD_DOUBTFUL, ERROR_REGISTRY_UNREACHABLE },
	{ 404, "404 page not found", ETCD_NOT_SENT, ERROR_REGISTRY_UNREACHABLE },
	{ 421, "Misdirected", ETCD_NOT_SENT, ERROR_REGISTRY_UNREACHABLE },
	/* trap 12 */
	{ 429,
	  "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"message\":\"etcdserver: "
	  "mvcc: database space exceeded\",\"code\":8}",
	  ETCD_REFUSED, ERROR_REGISTRY_FULL },
	{ 429,
	  "{\"error\":\"etcdserver: too many requests\",\"message\":\"etcdserver: too many "
	  "requests\",\"code\":8}",
	  ETCD_BUSY, ERROR_REGISTRY_UNREACHABLE },
	{ 400,
	  "{\"error\":\"etcdserver: request is too large\",\"message\":\"etcdserver: request is "
	  "too large\",\"code\":3}",
	  ETCD_REFUSED, ERROR_TOO_LARGE },
	{ 400,
	  "{\"error\":\"etcdserver: too many operations in txn request\",\"message\":"
	  "\"etcdserver: too many operations in txn request\",\"code\":3}",
	  ETCD_REFUSED, ERROR_TOO_LARGE },
	{ 400,
	  "{\"error\":\"etcdserver: mvcc: required revision has been compacted\",\"message\":"
	  "\"etcdserver: mvcc: required revision has been compacted\",\"code\":11}",
	  ETCD_COMPACTED, ERROR_REGISTRY_FAILED },
	/* trap 13 */
	{ 400,
	  "{\"error\":\"etcdserver: user name is empty\",\"message\":\"etcdserver: user name is "
	  "empty\",\"code\":3}",
	  ETCD_NO_TOKEN, ERROR_FORBIDDEN },
	{ 401,
	  "{\"error\":\"etcdserver: invalid auth token\",\"message\":\"etcdserver: invalid auth "
	  "token\",\"code\":16}",
	  ETCD_NO_TOKEN, ERROR_FORBIDDEN },
	{ 403,
	  "{\"error\":\"etcdserver: permission denied\",\"message\":\"etcdserver: permission "
	  "denied\",\"code\":7}",
	  ETCD_REFUSED, ERROR_FORBIDDEN },
	{ 400,
	  "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\","
	  "\"message\":\"etcdserver: authentication failed, invalid user ID or password\","
	  "\"code\":3}",
	  ETCD_REFUSED, ERROR_FORBIDDEN },
	{ 412,
	  "{\"error\":\"etcdserver: authentication is not enabled\",\"message\":\"etcdserver: "
	  "authentication is not enabled\",\"code\":9}",
	  ETCD_REFUSED, ERROR_REGISTRY_FAILED },
	{ 404,
	  "{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: "
	  "requested lease not found\",\"code\":5}",
	  ETCD_NO_LEASE, ERROR_REGISTRY_FAILED },
};

static void test_fates(void **state)
{
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
		struct etcd_answer a = { .message = "" };
		struct error e = { 0 };

		if (etcd_answer_parse(fates[i].text, strlen(fates[i].text), &a) < 0)
			a.message = fates[i].text;
		assert_int_equal(etcd_fate(fates[i].status, &a, "http://there", &e), fates[i].fate);
		assert_int_equal(e.code, fates[i].code);
		if (e.code != ERROR_NONE)
			assert_non_null(strstr(e.message, "http://there"));
		etcd_answer_done(&a);
	}
}

static void test_common_name(void **state)
{
	struct etcd_answer a = { .message =
					 "CommonName of client sending a request against gateway "
					 "will be ignored and not used as expected" };
	struct error e;

	assert_int_equal(etcd_fate(400, &a, "https://there", &e), ETCD_REFUSED);
	assert_int_equal(e.code, ERROR_FORBIDDEN);
	assert_non_null(strstr(e.hint, "common name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transaction),  cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_small_bodies), cmocka_unit_test(test_success_and_failure),
		cmocka_unit_test(test_range),	     cmocka_unit_test(test_watch),
		cmocka_unit_test(test_long_line),    cmocka_unit_test(test_lease),
		cmocka_unit_test(test_nonsense),     cmocka_unit_test(test_fates),
		cmocka_unit_test(test_common_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
