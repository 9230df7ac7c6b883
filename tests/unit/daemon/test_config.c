/* The configuration: what is read, what is refused and where, and the canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config.h"

static int parse(const char *text, struct config **ret, struct error *error)
{
	return config_parse("test.yaml", text, strlen(text), NULL, ret, error);
}

static void test_nothing_is_the_defaults(void **state)
{
	static const char *const nothing[] = { "", "\n\n", "# only words\n" };
	struct error error;
	struct config *c;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(parse(nothing[i], &c, &error), 0);
		assert_string_equal(c->instance, "default");
		assert_string_equal(c->state_dir, "/var/lib/vmac");
		assert_string_equal(c->socket.path, "/run/vmac/vmacd.sock");
		assert_string_equal(c->registry.backend, "sqlite");
		config_free(c);
	}
}

static void test_an_instance_has_its_own_places(void **state)
{
	struct error error;
	struct config *c;

	assert_int_equal(parse("instance: lab\nsocket: {mode: '0600'}\n", &c, &error), 0);
	assert_string_equal(c->state_dir, "/var/lib/vmac-lab");
	assert_string_equal(c->socket.path, "/run/vmac-lab/vmacd.sock");
	assert_string_equal(c->socket.mode, "0600");
	config_free(c);
	assert_int_equal(config_parse("x", "instance: lab\n", 14, "other", &c, &error), 0);
	assert_string_equal(c->state_dir, "/var/lib/vmac-other");
	config_free(c);
}

static char *printed(const struct config *c)
{
	struct error error;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(config_print(c, true, f, &error), 0);
	fclose(f);
	return text;
}

static void test_canonical_form_reads_back_to_itself(void **state)
{
	static const char text[] =
		"pools: [{segment: lan, name: p, limit: 5, quarantine: 1h, key: "
		"00112233445566778899aabbccddeeff,\n"
		"         ranges: ['12:34:00:00:00:00/24', 1235.0000.0000..1235.0000.00ff]}]\n"
		"segments: [{name: lan, uplink: eth0, vlan: 7}, {name: inside}]\n"
		"log_level: debug\n";
	char *first, *second;
	struct error error;
	struct config *c;

	assert_int_equal(parse(text, &c, &error), 0);
	assert_int_equal(c->segments_count, 2);
	assert_int_equal(c->pools[0].ranges_count, 2);
	first = printed(c);
	config_free(c);
	assert_int_equal(parse(first, &c, &error), 0);
	second = printed(c);
	config_free(c);
	assert_string_equal(first, second);
	free(first);
	free(second);
}

static void test_a_host_among_others(void **state)
{
	static const char text[] =
		"host: {name: kvm1, address: '2001:db8::1', cluster_key_file: /k, opens: "
		"any-frame}\n"
		"registry: {shared: {endpoints: ['http://10.0.0.1:2379', 'https://b:2379'],\n"
		"                    user: u, password_file: /p, timeout: 500ms}}\n";
	char differences[256], *first;
	struct config *c, *alone;
	struct error error;

	assert_int_equal(parse(text, &c, &error), 0);
	assert_int_equal(c->registry.shared->endpoints_count, 2);
	assert_string_equal(c->registry.shared->prefix, "/vmac/v1/");
	assert_string_equal(c->registry.shared->lease, "10s");
	assert_string_equal(c->host.name, "kvm1");
	assert_int_equal(c->host.tunnel_port, 14789);
	first = printed(c);
	assert_non_null(strstr(first, "password_file: /p"));
	assert_int_equal(parse("", &alone, &error), 0);
	assert_null(alone->registry.shared);
	assert_true(alone->host.name[0] != '\0');
	config_differences(c, alone, differences, sizeof(differences));
	assert_string_equal(differences, "host, registry: shared");
	config_free(alone);
	assert_int_equal(parse(first, &alone, &error), 0);
	config_differences(c, alone, differences, sizeof(differences));
	assert_string_equal(differences, "");
	config_free(alone);
	config_free(c);
	free(first);
}

static void test_the_clusters_key(void **state)
{
	static const struct {
		const char *text;
		bool fine;
	} cases[] = {
		{ "000102030405060708090a0b0c0d0e0f", true },
		{ "000102030405060708090A0B0C0D0E0F\n", true },
		{ "000102030405060708090a0b0c0d0e", false },
		{ "000102030405060708090a0b0c0d0e0f00", false },
		{ "000102030405060708090a0b0c0d0e0g", false },
		{ "", false },
	};
	char path[] = "/tmp/vmac-key-XXXXXX";
	uint8_t key[16];
	struct error error;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, cases[i].text, len, 0), len);
		assert_int_equal(config_cluster_key(path, key, &error) == 0, cases[i].fine);
		if (cases[i].fine)
			assert_int_equal(key[15], 0x0f);
		else
			assert_non_null(strstr(error.message, "32 hexadecimal digits"));
	}
	close(fd);
	unlink(path);
	assert_true(config_cluster_key(path, key, &error) < 0);
	assert_non_null(strstr(error.message, path));
}

static void test_refusals_say_where_and_what(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "bogus: 1\n", "bogus" },
		{ "instance: [a]\n", "instance" },
		{ "instance: ../../etc\n", "instance" },
		{ "state_dir: var/lib\n", "absolute" },
		{ "log_level: loud\n", "loud" },
		{ "registry: {backend: oracle}\n", "oracle" },
		{ "registry: {shared: {}}\n", "endpoints" },
		{ "registry: {shared: {endpoints: []}}\n", "endpoints are needed" },
		{ "registry: {shared: {backend: mem, endpoints: ['http://a']}}\n", "backend" },
		{ "registry: {shared: {endpoints: ['10.0.0.1:2379']}}\n", "no URL" },
		{ "registry: {shared: {endpoints: ['http://a'], prefix: vmac}}\n", "prefix" },
		{ "registry: {shared: {endpoints: ['http://a'], lease: 1s}}\n", "lease" },
		{ "registry: {shared: {endpoints: ['http://a'], timeout: soon}}\n", "soon" },
		{ "registry: {shared: {endpoints: ['http://a'], cert: /c}}\n", "belong together" },
		{ "registry: {shared: {endpoints: ['http://a'], user: u}}\n", "belong together" },
		{ "registry: {shared: {endpoints: ['http://a'], ca: c.pem}}\n", "absolute" },
		{ "registry: {shared: {endpoints: ['http://a']}}\nhost: {name: 'a b'}\n",
		  "host: name" },
		{ "host: {address: kvm1}\n", "kvm1" },
		{ "host: {tunnel_port: 70000}\n", "70000" },
		{ "host: {cluster_key_file: key}\n", "absolute" },
		{ "host: {opens: never}\n", "never" },
		{ "socket: {mode: '999'}\n", "999" },
		{ "segments: [{uplink: eth0}]\n", "name" },
		{ "segments: [{name: x, vlan: 5000}]\n", "5000" },
		{ "segments: [{name: x, vlan: many}]\n", "many" },
		{ "segments: [{name: 'x y'}]\n", "segment x y" },
		{ "segments: [{name: x, uplink: this-is-far-too-long-for-a-nic}]\n", "uplink" },
		{ "pools: [{name: p, segment: s, ranges: ['1:2']}]\n", "character" },
		{ "pools: [{name: p, segment: s, ranges: "
		  "['12:ff:ff:ff:ff:ff..13:00:00:00:00:00']}]\n",
		  "12:ff" },
		{ "pools: [{name: p, segment: s, quarantine: soon}]\n", "soon" },
		{ "pools: [{name: p, segment: s, key: abc}]\n", "key" },
		{ "instance: \"a\n", "test.yaml" },
		{ "instance: a\ninstance: b\n", "instance" },
		{ "- a\n- b\n", "test.yaml" },
	};
	struct error error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = (void *)1;

		if (parse(cases[i].text, &c, &error) == 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_ptr_equal(c, (void *)1);
		assert_int_equal(error.code, ERROR_BAD_CONFIG);
		if (!strstr(error.message, cases[i].says))
			fail_msg("'%s' does not name '%s'", error.message, cases[i].says);
		assert_ptr_equal(strstr(error.message, "test.yaml"), error.message);
	}
}

static void test_files_that_cannot_be_read(void **state)
{
	struct error error;
	struct config *c;

	assert_int_not_equal(config_load("/nonexistent/vmacd.yaml", NULL, &c, &error), 0);
	assert_non_null(strstr(error.message, "/nonexistent/vmacd.yaml"));
	assert_int_not_equal(config_load("/", NULL, &c, &error), 0);
	assert_int_not_equal(config_load("/dev/zero", NULL, &c, &error), 0);
	assert_non_null(strstr(error.message, "1 MiB"));
}

/* --- routers --------------------------------------------------------------------------------- */

#define SET "  sets: [{interface: eth0, group: 7, addresses: [10.0.0.1/24]}]\n"

static void test_routers(void **state)
{
	static const char text[] =
		"segments: [{name: lan}]\n"
		"routers:\n"
		"- name: gw\n"
		"  protocol: vrrp2\n"
		"  priority: 150\n"
		"  preempt: no\n"
		"  preempt_delay: 0\n"
		"  auth: {type: text, keys: [{secret: 12345}]}\n"
		"  note: \"yes: \\\"quoted\\\" n\xc3\xb6te\"\n"
		"  tracks:\n"
		"  - {kind: ping, target: 10.0.0.9, weight: -50}\n"
		"  - {kind: script, target: /usr/local/bin/ok -v, interval: 200ms}\n"
		"  notify: /etc/vmac/notify\n"
		"  sets: &sets\n"
		"  - {interface: eth0, group: 7, addresses: [10.0.0.1/24, 10.0.0.2], peers: "
		"[10.0.0.8]}\n"
		"- name: edge\n"
		"  protocol: hsrp2\n"
		"  interval: 250ms\n"
		"  hold: ~\n"
		"  sets: [{interface: eth1, group: 4095, addresses: [10.1.0.1]}]\n";
	char *first, *second;
	struct error error;
	struct config *c;

	if (parse(text, &c, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(c->routers_count, 2);
	assert_true(c->routers[0]->from_file);
	assert_int_equal(c->routers[0]->priority, 150);
	assert_false(c->routers[0]->preempt);
	assert_string_equal(c->routers[0]->keys[0].secret, "12345");
	assert_string_equal(c->routers[0]->note, "yes: \"quoted\" n\xc3\xb6te");
	assert_int_equal(c->routers[0]->tracks[0].weight, -50);
	assert_int_equal(c->routers[0]->tracks[0].fall, 3);
	assert_int_equal(c->routers[0]->tracks[1].timeout_ms, 200);
	assert_int_equal(c->routers[0]->sets[0].address_count, 2);
	assert_int_equal(c->routers[1]->hold_ms, 0);
	first = printed(c);
	config_free(c);
	if (parse(first, &c, &error) < 0)
		fail_msg("%s in %s", error.message, first);
	second = printed(c);
	assert_string_equal(first, second);
	config_free(c);
	free(first);
	free(second);
}

static void test_secrets_are_not_shown_unasked(void **state)
{
	static const char text[] = "routers:\n- name: gw\n  protocol: vrrp3\n" SET
				   "  auth: {type: hmac, keys: [{id: 1, secret: hunter2}]}\n";
	struct error error;
	struct config *c;
	char *shown = NULL;
	size_t len;
	FILE *f;

	assert_int_equal(parse(text, &c, &error), 0);
	f = open_memstream(&shown, &len);
	assert_int_equal(config_print(c, false, f, &error), 0);
	fclose(f);
	assert_null(strstr(shown, "hunter2"));
	config_free(c);
	/* And what is left of them is refused, not taken for a router with another key. */
	assert_true(parse(shown, &c, &error) < 0);
	assert_non_null(strstr(error.message, "auth.keys[0].secret"));
	free(shown);
}

static void test_routers_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "routers: 7\n", "line 1: routers is no list" },
		{ "routers: [7]\n", "routers[0] (line 1)" },
		{ "routers:\n- name: gw\n" SET, "protocol: missing" },
		{ "routers:\n- name: gw\n  protocol: vrrp4\n" SET, "\"vrrp4\"" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n", "sets: missing" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  sets: [{group: 7}]\n",
		  "sets[0].interface: missing" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  priority: high\n" SET, "priority" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  priority: 256\n" SET, "priority" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  priority: -1\n" SET, "priority" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  enabled: perhaps\n" SET, "enabled" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  colour: red\n" SET, "colour" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  name: gx\n" SET, "line 4" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n" SET
		  "- name: gw\n  protocol: vrrp3\n" SET,
		  "routers[1] (line 5): there is a router 'gw' already" },
		{ "routers:\n- sets: [[[[[[[[[[x]]]]]]]]]]\n", "nested too deeply" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  interval: 15ms\n" SET, "interval" },
		{ "routers:\n- name: gw\n  protocol: vrrp3\n  {a: b}: c\n" SET, "line" },
	};
	struct error error;
	struct config *c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error = (struct error){ 0 };
		if (parse(bad[i].text, &c, &error) == 0)
			fail_msg("%s was read", bad[i].text);
		if (error.code != ERROR_BAD_CONFIG || !strstr(error.message, "test.yaml") ||
		    !strstr(error.message, bad[i].part))
			fail_msg("%s: %s", bad[i].text, error.message);
	}
}

static void test_differences_are_named(void **state)
{
	struct config *a, *b;
	struct error error;
	char text[128];

	assert_int_equal(parse("", &a, &error), 0);
	assert_int_equal(parse("log_level: debug\nsegments: [{name: x}]\n", &b, &error), 0);
	config_differences(a, b, text, sizeof(text));
	assert_string_equal(text, "");
	config_free(b);
	assert_int_equal(parse("state_dir: /x\nregistry: {backend: mem}\n", &b, &error), 0);
	config_differences(a, b, text, sizeof(text));
	assert_string_equal(text, "state_dir, registry: backend");
	config_free(a);
	config_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_the_defaults),
		cmocka_unit_test(test_an_instance_has_its_own_places),
		cmocka_unit_test(test_canonical_form_reads_back_to_itself),
		cmocka_unit_test(test_a_host_among_others),
		cmocka_unit_test(test_the_clusters_key),
		cmocka_unit_test(test_refusals_say_where_and_what),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_routers),
		cmocka_unit_test(test_secrets_are_not_shown_unasked),
		cmocka_unit_test(test_routers_refused),
		cmocka_unit_test(test_differences_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
