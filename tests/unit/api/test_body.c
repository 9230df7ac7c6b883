/* Bodies and queries without HTTP: what is read, what is preset, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/body.h"
#include "api/query.h"

static void read_ok(const struct schema *s, const char *json, struct body *b)
{
	struct error e = { 0 };

	if (body_read(s, json, strlen(json), b, &e) < 0)
		fail_msg("%s: %s", json, e.message);
}

static void refused(const struct schema *s, const char *json, enum error_code code)
{
	struct body b = { .reason = "untouched" };
	struct error e;

	assert_true(body_read(s, json, strlen(json), &b, &e) < 0);
	if (e.code != code)
		fail_msg("%s: %s: %s", json, error_name(e.code), e.message);
	assert_string_equal(b.reason, "untouched");
}

static void nothing_given_is_preset(void **state)
{
	struct body b;

	read_ok(&body_vmac_add, "", &b);
	assert_string_equal(b.vmac_add.add.pool, "");
	assert_string_equal(b.vmac_add.add.identity, "");
	assert_string_equal(b.reason, "");
	assert_false(b.vmac_add.add.has_address);
	body_done(&b);

	read_ok(&body_pool_add, "{\"name\":\"p\"}", &b);
	assert_int_equal(b.pool_add.quarantine_ms, -1);
	assert_int_equal(b.pool_add.range_count, 0);
	body_done(&b);

	read_ok(&body_port_add, "{\"name\":\"p\",\"kind\":\"veth\"}", &b);
	assert_true(b.port_add.add.owner_uid == UINT32_MAX);
	assert_true(b.port_add.add.owner_gid == UINT32_MAX);
	assert_int_equal(b.port_add.add.kind, PORT_VETH);
	assert_string_equal(b.port_add.add.vmac, "");
	assert_string_equal(b.port_add.add.allocate.owner, "");
	assert_false(b.port_add.add.has_flood_pps);
	body_done(&b);
}

static void absent_means_unchanged_in_a_patch(void **state)
{
	struct body b;

	read_ok(&body_vmac_set, "{\"owner\":\"\"}", &b);
	assert_null(b.vmac_set.name);
	assert_string_equal(b.vmac_set.owner, "");
	assert_false(b.vmac_set.has_ips);
	assert_false(b.vmac_set.has_ttl);
	assert_string_equal(b.reason, "");
	body_done(&b);

	read_ok(&body_vmac_set, "{\"ips\":[],\"ttl\":\"0\"}", &b);
	assert_true(b.vmac_set.has_ips && b.vmac_set.has_ttl);
	assert_int_equal(b.vmac_set.ip_count, 0);
	body_done(&b);

	read_ok(&body_port_set, "{\"gate\":\"closed\",\"allow\":[]}", &b);
	assert_true(b.port_set.has_gate && b.port_set.has_allow && !b.port_set.has_flood_pps);
	assert_int_equal(b.port_set.gate, GATE_CLOSED);
	assert_false(b.port_set.has_routers);
	body_done(&b);
}

static void every_value_arrives(void **state)
{
	struct body b;

	read_ok(&body_pool_add,
		"{\"name\":\"p\",\"segment\":\"s\",\"ranges\":[\"0a:00:00:00:00:00/40\","
		"\"0e:00:00:00:00:01\"],\"excludes\":[\"0a:00:00:00:00:00..0a:00:00:00:00:01\"],"
		"\"key\":\"000102030405060708090A0B0c0d0e0f\",\"quarantine\":\"1h\",\"limit\":9,"
		"\"reason\":\"r\"}",
		&b);
	assert_int_equal(b.pool_add.range_count, 2);
	assert_int_equal(vmac_mac_range_size(b.pool_add.ranges[0]), 256);
	assert_int_equal(vmac_mac_u64(b.pool_add.ranges[1].last), 0x0e0000000001);
	assert_int_equal(b.pool_add.exclude_count, 1);
	assert_true(b.pool_add.has_key && b.pool_add.key[11] == 0x0b);
	assert_int_equal(b.pool_add.quarantine_ms, 3600000);
	assert_int_equal(b.pool_add.limit, 9);
	assert_string_equal(b.reason, "r");
	body_done(&b);

	read_ok(&body_port_add,
		"{\"name\":\"p\",\"kind\":\"tap\",\"allocate\":{\"adopt\":\"0a-00-00-00-00-07\","
		"\"ips\":[\"10.0.0.1\",\"fe80::1\"],\"ttl\":\"2s\"},\"allow\":[\"any-ip\","
		"\"dhcp-server\",\"any-ip\"],\"queues\":256,\"mtu\":65521,\"closed\":true}",
		&b);
	assert_true(b.port_add.add.allocate.adopted && b.port_add.add.allocate.has_address);
	assert_int_equal(vmac_mac_u64(b.port_add.add.allocate.address), 0x0a0000000007);
	assert_int_equal(b.port_add.add.allocate.ip_count, 2);
	assert_int_equal(b.port_add.add.allocate.ips[1].family, 6);
	assert_int_equal(b.port_add.add.allocate.ttl_ms, 2000);
	assert_int_equal(b.port_add.add.allow, PORT_ALLOW_ANY_IP | PORT_ALLOW_DHCP_SERVER);
	assert_int_equal(b.port_add.add.queues, 256);
	assert_int_equal(b.port_add.add.mtu, 65521);
	assert_true(b.port_add.add.closed);
	body_done(&b);
}

static void what_is_wrong_is_refused(void **state)
{
	refused(&body_segment_add, "{", ERROR_BAD_JSON);
	refused(&body_segment_add, "{\"name\":\"a\",\"name\":\"a\"}", ERROR_BAD_JSON);
	refused(&body_segment_add, "[]", ERROR_WRONG_TYPE);
	refused(&body_segment_add, "{}", ERROR_MISSING_FIELD);
	refused(&body_segment_add, "{\"name\":\"a\",\"x\":1}", ERROR_UNKNOWN_FIELD);
	refused(&body_segment_add, "{\"name\":\"a\",\"vlan\":true}", ERROR_WRONG_TYPE);
	refused(&body_segment_add, "{\"name\":\"a\",\"vlan\":65536}", ERROR_BAD_VALUE);
	refused(&body_segment_add, "{\"name\":\"a b\"}", ERROR_BAD_NAME);
	refused(&body_port_add,
		"{\"name\":\"a\",\"kind\":\"tap\",\"allocate\":{\"stable\":\"x\","
		"\"address\":\"0a:00:00:00:00:01\"}}",
		ERROR_BAD_VALUE);
	refused(&body_port_add, "{\"name\":\"a\",\"kind\":\"tap\",\"owner_uid\":4294967295}",
		ERROR_BAD_VALUE);
}

/* --- queries --------------------------------------------------------------------------------- */

static int add(const struct schema *s, struct query *q, const char *name, const char *value,
	       enum error_code *ret_code)
{
	struct error e = { .code = ERROR_NONE };
	int r = query_add(s, q, name, value, &e);

	*ret_code = e.code;
	return r;
}

static void queries_are_read(void **state)
{
	enum error_code code;
	struct query q;

	query_init(&q);
	assert_int_equal(q.limit, QUERY_LIMIT);
	assert_int_equal(q.state, -1);
	assert_int_equal(add(&query_vmacs, &q, "owner", "a%20b%c3%A9", &code), 0);
	assert_string_equal(q.owner, "a b\xc3\xa9");
	assert_int_equal(add(&query_vmacs, &q, "state", "bound", &code), 0);
	assert_int_equal(q.state, VMAC_BOUND);
	assert_int_equal(add(&query_vmacs, &q, "limit", "10000", &code), 0);
	assert_int_equal(q.limit, 10000);
	assert_true(add(&query_vmacs, &q, "limit", "1", &code) < 0);
	assert_int_equal(code, ERROR_BAD_VALUE);
	assert_true(add(&query_vmacs, &q, "release", "true", &code) < 0);
	assert_int_equal(code, ERROR_UNKNOWN_FIELD);
	query_done(&q);

	query_init(&q);
	assert_int_equal(add(&query_port_delete, &q, "release", "true", &code), 0);
	assert_true(q.release);
	assert_true(add(&query_port_delete, &q, "reason", NULL, &code) == 0);
	query_done(&q);

	query_init(&q);
	assert_int_equal(add(&query_history, &q, "since", "1970-01-01T00:00:01.5Z", &code), 0);
	assert_int_equal(q.since.ms, 1500);
	query_done(&q);
}

static void queries_have_a_limit(void **state)
{
	char half[QUERY_TEXT_MAX / 2 + 1];
	enum error_code code;
	struct query q;

	memset(half, 'a', sizeof(half));
	half[sizeof(half) - 1] = '\0';
	query_init(&q);
	/* Too long for its field, but kept. */
	assert_true(add(&query_vmacs, &q, "owner", half, &code) < 0);
	assert_int_equal(code, ERROR_BAD_VALUE);
	/* Fills what is left to the last octet: 1,025 with the zero are gone. */
	half[sizeof(half) - 3] = '\0';
	assert_true(add(&query_vmacs, &q, "tenant", half, &code) < 0);
	assert_int_equal(code, ERROR_BAD_VALUE);
	assert_int_equal(q.text_used, QUERY_TEXT_MAX);
	assert_true(add(&query_vmacs, &q, "pool", "", &code) < 0);
	assert_int_equal(code, ERROR_TOO_LARGE);
	query_done(&q);
}

static void escapes(void **state)
{
	struct error e;
	char to[4];

	assert_int_equal(query_decode("x", "%41%42c", 7, to, sizeof(to), &e), 0);
	assert_string_equal(to, "ABc");
	assert_true(query_decode("x", "abcd", 4, to, sizeof(to), &e) < 0);
	assert_int_equal(e.code, ERROR_TOO_LARGE);
	for (size_t len = 1; len <= 2; len++) {
		assert_true(query_decode("x", "%41", len, to, sizeof(to), &e) < 0);
		assert_int_equal(e.code, ERROR_BAD_VALUE);
	}
	assert_true(query_decode("x", "%00", 3, to, sizeof(to), &e) < 0);
	assert_int_equal(e.code, ERROR_BAD_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_is_preset),
		cmocka_unit_test(absent_means_unchanged_in_a_patch),
		cmocka_unit_test(every_value_arrives),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(queries_are_read),
		cmocka_unit_test(queries_have_a_limit),
		cmocka_unit_test(escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
