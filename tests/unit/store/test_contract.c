/* store.h, sentence by sentence, held against every backend. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fixture.h"
#include "store/mem.h"

struct scene {
	const char *backend;
	char directory[FIXTURE_PATH_MAX];
	struct store *store;
};

static const char *backend_of_run;

static int scene_begin(void **state)
{
	struct scene *c = calloc(1, sizeof(*c));

	c->backend = backend_of_run;
	fixture_directory(c->directory);
	c->store = fixture_open(c->backend, c->directory);
	fixture_turns = 0;
	*state = c;
	return 0;
}

static int scene_end(void **state)
{
	struct scene *c = *state;

	store_close(c->store);
	fixture_remove(c->directory);
	free(c);
	return 0;
}

/* No file of this process may grow or be written behind its first 4,096 octets: what a dying disk
 * is to the sqlite backend; mem is told to fail. */
static void scene_break(struct scene *c, bool broken)
{
	struct rlimit limit = { broken ? 4096 : RLIM_INFINITY, RLIM_INFINITY };

	if (strcmp(c->backend, "mem") == 0)
		store_mem_fail_next(c->store, broken ? 1000000 : 0, ERROR_REGISTRY_FAILED);
	else
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool scene_keeps(const struct scene *c)
{
	return strcmp(c->backend, "mem") != 0;
}

static void scene_reopen(struct scene *c)
{
	store_close(c->store);
	c->store = fixture_open(c->backend, c->directory);
}

/* --- order ----------------------------------------------------------------------------------- */

#define MANY 300

static void test_answers_in_order_and_never_from_submit(void **state)
{
	struct scene *c = *state;
	struct deed *deeds[MANY];
	struct vmac *vmacs[MANY];
	char name[16];

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		vmacs[i] = fixture_vmac(1, 0x2a0000000000 + i, name, "");
		deeds[i] = deed_making(vmacs[i]);
		store_submit(c->store, &deeds[i]->txn);
		assert_int_equal(fixture_turns, 0);
		assert_int_equal(store_pending(c->store), i + 1);
	}
	fixture_settle(c->store);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(deeds[i]->turn, i + 1);
		assert_int_equal(deeds[i]->error.code, ERROR_NONE);
		deed_free(deeds[i]);
		free(vmacs[i]);
	}
}

static void submit_next(struct deed *d)
{
	struct scene *c = d->ctx;
	struct deed *next;

	if (d->turn < 20) {
		next = deed_new();
		next->after = submit_next;
		next->ctx = c;
		store_submit(c->store, &next->txn);
	}
	deed_free(d);
}

static void test_an_answer_may_submit_and_free(void **state)
{
	struct scene *c = *state;
	struct deed *d = deed_new();

	/* Without changes a transaction is a barrier; it is answered like any other. */
	d->after = submit_next;
	d->ctx = c;
	store_submit(c->store, &d->txn);
	while (fixture_turns < 20)
		fixture_settle(c->store);
	assert_int_equal(store_pending(c->store), 0);
}

static void test_close_answers_what_waits(void **state)
{
	struct scene *c = *state;
	struct vmac *v = fixture_vmac(1, 0x2a0000000001, "a", "");
	struct deed *d = deed_making(v);

	store_submit(c->store, &d->txn);
	store_close(c->store);
	assert_true(d->answered);
	assert_int_equal(d->error.code, ERROR_NONE);
	deed_free(d);
	free(v);
	c->store = fixture_open(c->backend, c->directory);
}

/* --- failure --------------------------------------------------------------------------------- */

static struct deed *submit_vmac(struct scene *c, struct vmac **ret, unsigned int n)
{
	struct deed *d;
	char name[16];

	snprintf(name, sizeof(name), "vm%u", n);
	*ret = fixture_vmac(1, 0x2a0000000000 + n, name, "");
	d = deed_making(*ret);
	store_submit(c->store, &d->txn);
	return d;
}

static void test_failure_takes_all_behind_it_newest_first(void **state)
{
	struct scene *c = *state;
	struct vmac *vmacs[30];
	struct deed *deeds[30];

	for (unsigned int i = 0; i < 10; i++)
		deeds[i] = submit_vmac(c, &vmacs[i], i);
	fixture_settle(c->store);
	scene_break(c, true);
	for (unsigned int i = 10; i < 20; i++)
		deeds[i] = submit_vmac(c, &vmacs[i], i);
	/* The failure is known to the backend, not yet to us: these stand on what is undone, too,
	 * even though the disk is whole again. */
	fixture_wait(c->store);
	usleep(20000);
	scene_break(c, !scene_keeps(c));
	for (unsigned int i = 20; i < 30; i++)
		deeds[i] = submit_vmac(c, &vmacs[i], i);
	fixture_settle(c->store);
	scene_break(c, false);
	for (unsigned int i = 0; i < 30; i++) {
		assert_int_equal(deeds[i]->turn, i < 10 ? i + 1 : 10 + 30 - i);
		assert_int_equal(deeds[i]->error.code, i < 10 ? ERROR_NONE : ERROR_REGISTRY_FAILED);
		deed_free(deeds[i]);
		free(vmacs[i]);
	}
}

struct unwinding {
	struct scene *scene;
	struct deed *extra[2];
	struct vmac *vmacs[2];
};

static void submit_while_undoing(struct deed *d)
{
	struct unwinding *u = d->ctx;

	/* The newest of three: two are still to be undone. */
	if (d->turn == 1)
		u->extra[0] = submit_vmac(u->scene, &u->vmacs[0], 100);
	/* The oldest: we stand where the registry stands. */
	if (d->turn == 4) {
		scene_break(u->scene, false);
		u->extra[1] = submit_vmac(u->scene, &u->vmacs[1], 101);
	}
}

static void test_what_is_submitted_while_undoing_fails_first(void **state)
{
	struct scene *c = *state;
	struct unwinding u = { .scene = c };
	struct vmac *vmacs[3];
	struct deed *deeds[3];

	scene_break(c, true);
	for (unsigned int i = 0; i < 3; i++) {
		deeds[i] = submit_vmac(c, &vmacs[i], i);
		deeds[i]->after = submit_while_undoing;
		deeds[i]->ctx = &u;
	}
	fixture_settle(c->store);
	assert_int_equal(deeds[2]->turn, 1);
	assert_int_equal(u.extra[0]->turn, 2);
	assert_int_equal(u.extra[0]->error.code, ERROR_REGISTRY_FAILED);
	assert_int_equal(deeds[1]->turn, 3);
	assert_int_equal(deeds[0]->turn, 4);
	assert_int_equal(u.extra[1]->turn, 5);
	assert_int_equal(u.extra[1]->error.code, ERROR_NONE);
	for (unsigned int i = 0; i < 3; i++) {
		deed_free(deeds[i]);
		free(vmacs[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		deed_free(u.extra[i]);
		free(u.vmacs[i]);
	}
}

struct answer {
	bool given;
	struct error error;
	size_t count;
	uint64_t first;
	char texts[40][160];
};

static void take_lines(void *ctx, const struct error *error, const struct history *lines,
		       size_t count)
{
	struct answer *a = ctx;

	a->given = true;
	a->count = count;
	a->first = count > 0 ? lines[0].seq : 0;
	if (error)
		a->error = *error;
	for (size_t i = 0; i < count && i < ARRAY_LEN(a->texts); i++)
		snprintf(a->texts[i], sizeof(a->texts[i]), "%s|%s|%s|%s|%s|%s|%s|%s",
			 change_kind_name(lines[i].kind), lines[i].segment, lines[i].subject,
			 lines[i].verb, lines[i].actor, lines[i].reason, lines[i].from,
			 lines[i].to);
}

static struct answer ask(struct scene *c, struct history_query q)
{
	struct answer a = { 0 };

	if (q.limit == 0)
		q.limit = HISTORY_LIMIT_MAX;
	store_history(c->store, &q, take_lines, &a);
	assert_false(a.given);
	while (!a.given) {
		fixture_wait(c->store);
		store_dispatch(c->store);
	}
	assert_int_equal(a.error.code, ERROR_NONE);
	return a;
}

static void test_recovers_and_keeps_nothing_of_a_failure(void **state)
{
	struct scene *c = *state;
	struct vmac *vmacs[3];
	struct store_facts facts;
	struct deed *deeds[3];
	struct loaded loaded;
	struct error error;

	deeds[0] = submit_vmac(c, &vmacs[0], 0);
	fixture_settle(c->store);
	scene_break(c, true);
	deeds[1] = submit_vmac(c, &vmacs[1], 1);
	fixture_settle(c->store);
	store_facts(c->store, &facts);
	assert_false(facts.healthy);
	assert_int_equal(facts.failures, 1);
	assert_int_equal(facts.last_error.code, ERROR_REGISTRY_FAILED);
	assert_true(facts.last_error.message[0] != '\0');
	scene_break(c, false);
	deeds[2] = submit_vmac(c, &vmacs[2], 2);
	fixture_settle(c->store);
	store_facts(c->store, &facts);
	assert_true(facts.healthy);
	assert_int_equal(deeds[0]->error.code, ERROR_NONE);
	assert_int_equal(deeds[1]->error.code, ERROR_REGISTRY_FAILED);
	assert_int_equal(deeds[2]->error.code, ERROR_NONE);
	assert_int_equal(ask(c, (struct history_query){ 0 }).count, 2);
	for (unsigned int i = 0; i < 3; i++) {
		deed_free(deeds[i]);
		free(vmacs[i]);
	}
	if (!scene_keeps(c))
		return;
	scene_reopen(c);
	assert_int_equal(loaded_try(c->store, &loaded, &error), 0);
	assert_int_equal(loaded.vmac_count, 2);
	assert_string_equal(loaded.vmacs[0]->name, "vm0");
	assert_string_equal(loaded.vmacs[1]->name, "vm2");
	loaded_done(&loaded);
}

/* --- history --------------------------------------------------------------------------------- */

static void test_history_says_who_when_why_from_to(void **state)
{
	struct scene *c = *state;
	struct segment *lan = fixture_segment(1, "lan"), *dmz = fixture_segment(2, "dmz");
	struct vmac *v = fixture_vmac(1, 0x2a0000000001, "web", ""), *w;
	struct deed *d = deed_new();
	struct answer a;

	deed_add(d, CHANGE_SEGMENT, NULL, lan, "create");
	deed_add(d, CHANGE_SEGMENT, NULL, dmz, ""); /* not worth a line */
	deed_add(d, CHANGE_VMAC, NULL, v, "allocate");
	deed_do(c->store, d);
	w = fixture_vmac_copy(v);
	w->state = VMAC_QUARANTINED;
	w->until.ms = 1790000000000;
	d = deed_new();
	d->txn.actor = "vmacd";
	d->txn.at.ms += 5000;
	deed_add(d, CHANGE_VMAC, v, w, "release");
	deed_do(c->store, d);
	/* The address goes, and then its segment, whose name the line still has. */
	d = deed_new();
	d->txn.at.ms += 9000;
	deed_add(d, CHANGE_VMAC, w, NULL, "forget");
	deed_add(d, CHANGE_SEGMENT, lan, NULL, "delete");
	deed_do(c->store, d);

	a = ask(c, (struct history_query){ 0 });
	assert_int_equal(a.count, 5);
	assert_string_equal(a.texts[0], "segment|lan|lan|delete|uid 0|a test|internal|");
	assert_string_equal(a.texts[1], "vmac|lan|2a:00:00:00:00:01|forget|uid 0|a test|"
					"quarantined until=2026-09-21T14:13:20.000Z|");
	assert_string_equal(a.texts[2], "vmac|lan|2a:00:00:00:00:01|release|vmacd|a test|"
					"reserved name=web|"
					"quarantined until=2026-09-21T14:13:20.000Z");
	assert_string_equal(a.texts[3],
			    "vmac|lan|2a:00:00:00:00:01|allocate|uid 0|a test||reserved name=web");
	assert_string_equal(a.texts[4], "segment|lan|lan|create|uid 0|a test||internal");

	assert_int_equal(ask(c, (struct history_query){ .segment = "lan" }).count, 5);
	assert_int_equal(ask(c, (struct history_query){ .segment = "dmz" }).count, 0);
	assert_int_equal(ask(c, (struct history_query){ .subject = "2a:00:00:00:00:01" }).count, 3);
	assert_int_equal(ask(c, (struct history_query){ .subject = "2a:00:00:00:00:02" }).count, 0);
	a = ask(c, (struct history_query){ .subject = "2a:00:00:00:00:01", .limit = 1 });
	assert_int_equal(a.count, 1);
	assert_non_null(strstr(a.texts[0], "|forget|"));
	a = ask(c, (struct history_query){ .subject = "2a:00:00:00:00:01", .before = a.first });
	assert_int_equal(a.count, 2);
	assert_int_equal(ask(c, (struct history_query){ .since.ms = 1790000005000 }).count, 3);
	assert_int_equal(ask(c, (struct history_query){ .until.ms = 1790000004999 }).count, 2);
	assert_int_equal(ask(c, (struct history_query){ .since.ms = 1790000000001,
							.until.ms = 1790000005000 })
				 .count,
			 1);
	free(lan);
	free(dmz);
	free(v);
	free(w);
}

/* Enough lines that the summaries of blocks are at work, and their edges. */
static void test_history_of_one_among_many(void **state)
{
	enum { LINES = 3 * 4096 + 100, OURS = 4 };
	static const unsigned int at[OURS] = { 4094, 4095, 4096, 2 * 4096 + 77 };
	struct vmac *ours = fixture_vmac(1, 0x2a00ffffffff, "x", "");
	struct scene *c = *state;
	struct deed *d = deed_new();
	struct vmac **vmacs;
	struct answer a;

	vmacs = calloc(LINES, sizeof(struct vmac *));
	for (unsigned int i = 0, o = 0; i < LINES; i++) {
		if (o < OURS && i == at[o]) {
			deed_add(d, CHANGE_VMAC, o % 2 ? ours : NULL, o % 2 ? NULL : ours, "ours");
			o++;
			continue;
		}
		vmacs[i] = fixture_vmac(1, 0x2a0000000000 + i, "", "");
		deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
	}
	deed_do(c->store, d);
	if (scene_keeps(c))
		scene_reopen(c);
	for (int round = 0; round < 2; round++) {
		a = ask(c, (struct history_query){ .subject = "2a:00:ff:ff:ff:ff" });
		assert_int_equal(a.count, OURS);
		assert_int_equal(a.first, at[3] + 1);
		a = ask(c, (struct history_query){ .subject = "2a:00:ff:ff:ff:ff",
						   .before = at[3] + 1 });
		assert_int_equal(a.count, OURS - 1);
		assert_int_equal(a.first, at[2] + 1);
		a = ask(c, (struct history_query){ .subject = "2a:00:ff:ff:ff:ff",
						   .before = at[2] + 1 });
		assert_int_equal(a.count, OURS - 2);
		a = ask(c, (struct history_query){ .subject = "2a:00:ff:ff:ff:ff", .limit = 2 });
		assert_int_equal(a.count, 2);
		for (unsigned int i = 0; i < LINES; i += 997) {
			char subject[VMAC_MAC_TEXT_MAX];

			if (!vmacs[i])
				continue;
			vmac_mac_format(vmacs[i]->address, VMAC_MAC_COLON, subject);
			a = ask(c, (struct history_query){ .subject = subject });
			assert_int_equal(a.count, 1);
			assert_int_equal(a.first, i + 1);
		}
		a = ask(c, (struct history_query){ .limit = 10000 });
		assert_int_equal(a.count, 10000);
		assert_int_equal(a.first, LINES);
	}
	for (unsigned int i = 0; i < LINES; i++)
		free(vmacs[i]);
	free(vmacs);
	free(ours);
}

static void test_history_answers_behind_what_was_submitted(void **state)
{
	struct scene *c = *state;
	struct answer a = { 0 };
	struct vmac *vmacs[50];
	struct deed *deeds[50];
	struct history_query q = { .limit = 100 };

	for (unsigned int i = 0; i < 50; i++)
		deeds[i] = submit_vmac(c, &vmacs[i], i);
	store_history(c->store, &q, take_lines, &a);
	while (!a.given) {
		fixture_wait(c->store);
		store_dispatch(c->store);
	}
	assert_int_equal(a.count, 50);
	assert_int_equal(store_pending(c->store), 0);
	for (unsigned int i = 0; i < 50; i++) {
		assert_true(deeds[i]->answered);
		deed_free(deeds[i]);
		free(vmacs[i]);
	}
}

/* --- the rest -------------------------------------------------------------------------------- */

static void test_a_large_transaction(void **state)
{
	enum { CHANGES = 50000 };
	struct vmac **vmacs = calloc(CHANGES, sizeof(struct vmac *));
	struct scene *c = *state;
	struct deed *d = deed_new();
	struct loaded loaded;
	struct error error;

	for (unsigned int i = 0; i < CHANGES; i++) {
		vmacs[i] = fixture_vmac(1, 0x2a0000000000 + (uint64_t)i * 7919, "", "");
		deed_add(d, CHANGE_VMAC, NULL, vmacs[i], "allocate");
	}
	deed_do(c->store, d);
	if (scene_keeps(c)) {
		scene_reopen(c);
		assert_int_equal(loaded_try(c->store, &loaded, &error), 0);
		assert_int_equal(loaded.vmac_count, CHANGES);
		for (unsigned int i = 0; i < CHANGES; i++)
			assert_true(vmac_mac_equal(loaded.vmacs[i]->address, vmacs[i]->address));
		loaded_done(&loaded);
	}
	assert_int_equal(ask(c, (struct history_query){ 0 }).first, CHANGES);
	for (unsigned int i = 0; i < CHANGES; i++)
		free(vmacs[i]);
	free(vmacs);
}

static void test_facts(void **state)
{
	struct scene *c = *state;
	struct store_facts facts;
	struct vmac *v;
	struct deed *d;

	store_facts(c->store, &facts);
	assert_string_equal(facts.backend, c->backend);
	assert_int_equal(strlen(facts.uuid), 36);
	assert_true(facts.healthy);
	assert_int_equal(facts.commits, 0);
	d = submit_vmac(c, &v, 1);
	fixture_settle(c->store);
	deed_free(d);
	free(v);
	store_facts(c->store, &facts);
	assert_int_equal(facts.commits, 1);
	assert_int_equal(facts.transactions, 1);
	if (scene_keeps(c)) {
		assert_true(facts.commit_ns_last > 0);
		assert_true(facts.commit_ns_most >= facts.commit_ns_last);
		assert_true(facts.size_octets > 4096);
		assert_int_equal(facts.schema, 4);
		assert_memory_equal(facts.where, c->directory, strlen(c->directory));
	}
}

static void test_an_unknown_backend_is_named(void **state)
{
	struct store *s = NULL;
	struct error error;

	assert_true(fixture_try("etcd9", "/", &s, &error) < 0);
	assert_int_equal(error.code, ERROR_BAD_CONFIG);
	assert_non_null(strstr(error.message, "etcd9"));
	assert_null(s);
	store_close(NULL);
}

int main(void)
{
	static const char *const backends[] = { "mem", "sqlite" };
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)
		TEST(test_answers_in_order_and_never_from_submit),
		TEST(test_an_answer_may_submit_and_free),
		TEST(test_close_answers_what_waits),
		TEST(test_failure_takes_all_behind_it_newest_first),
		TEST(test_what_is_submitted_while_undoing_fails_first),
		TEST(test_recovers_and_keeps_nothing_of_a_failure),
		TEST(test_history_says_who_when_why_from_to),
		TEST(test_history_of_one_among_many),
		TEST(test_history_answers_behind_what_was_submitted),
		TEST(test_a_large_transaction),
		TEST(test_facts),
		TEST(test_an_unknown_backend_is_named),
#undef TEST
	};
	int failed = 0;

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		backend_of_run = backends[i];
		print_message("backend %s\n", backends[i]);
		failed += cmocka_run_group_tests_name(backends[i], tests, NULL, NULL);
	}
	return failed > 0 || fixture_blocks() != 0;
}
