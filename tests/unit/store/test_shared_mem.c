/* The shared registry in memory: what several hosts see of one another. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../model/shared_case.h"
#include "base/cleanup.h"
#include "fixture.h"
#include "store/shared.h"

#define BLOCKS 64

/* A host that remembers what it was told of blocks of the pool "p". */
struct host {
	struct shared *s;
	uint64_t told[BLOCKS]; /* revision; 0 = gone or never */
	unsigned int tellings, completes, ups, downs, answers, others;
	uint64_t revision; /* of the last complete */
	enum shared_outcome outcome;
	struct error error;
	uint64_t at_answer; /* tellings before it */
	struct shared_record *read;
};

static void told(void *ctx, const struct shared_record *r)
{
	struct host *h = ctx;

	h->tellings++;
	if (r->kind != SHARED_BLOCK) {
		h->others++;
		return;
	}
	/* Never an older one after a newer one. */
	assert_true(r->revision == 0 || r->revision >= h->told[r->block.number]);
	h->told[r->block.number] = r->revision;
	if (r->revision == 0)
		assert_true(uuid_is_none(&r->block.host));
}

static void complete(void *ctx, uint64_t revision)
{
	struct host *h = ctx;

	assert_true(revision >= h->revision);
	h->revision = revision;
	h->completes++;
}

static void reach(void *ctx, const struct error *error)
{
	struct host *h = ctx;

	if (error)
		assert_int_equal(error->code, ERROR_REGISTRY_UNREACHABLE);
	h->downs += error != NULL;
	h->ups += !error;
}

static void done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		 const struct error *error)
{
	struct host *h = ctx;

	h->answers++;
	h->outcome = outcome;
	h->at_answer = h->tellings;
	h->error = error ? *error : (struct error){ 0 };
	assert_int_equal(error != NULL, outcome == SHARED_UNREACHABLE || outcome == SHARED_REFUSED);
}

static void read_done(void *ctx, const struct shared_record *r, const struct error *error)
{
	struct host *h = ctx;

	h->answers++;
	h->error = error ? *error : (struct error){ 0 };
	h->read = r ? shared_copy(&fixture_mem, r) : NULL;
}

static void host_open(struct host *h, void *registry)
{
	struct shared_config config = {
		.backend = "mem",
		.mem_registry = registry,
		.mem = &fixture_mem,
		.told = told,
		.complete = complete,
		.reach = reach,
		.ctx = h,
	};
	struct error error;

	*h = (struct host){ 0 };
	if (shared_open(&config, &h->s, &error) < 0)
		fail_msg("%s", error.message);
}

static struct shared_record block(uint64_t number, uint64_t revision, uint8_t host)
{
	return (struct shared_record){
		.kind = SHARED_BLOCK,
		.revision = revision,
		.block = { .pool = "p", .number = number, .host.octet = { host } },
	};
}

static void submit(struct host *h, struct shared_record *r, bool gone)
{
	struct shared_put put = { .record = r, .gone = gone };

	shared_submit(h->s, &put, 1, done, h);
	/* The record is copied, and nothing is answered from inside. */
	memset(r, 0xee, sizeof(*r));
}

static enum shared_outcome do_put(struct host *h, struct shared_record r, bool gone)
{
	unsigned int before = h->answers;

	submit(h, &r, gone);
	assert_int_equal(h->answers, before);
	shared_dispatch(h->s);
	assert_int_equal(h->answers, before + 1);
	return h->outcome;
}

static void hosts_see_each_other(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 1);
	struct host a, b, late;

	host_open(&a, g);
	host_open(&b, g);
	assert_int_equal(a.ups + a.completes, 0);
	assert_int_equal(do_put(&a, block(1, 0, 1), false), SHARED_DONE);
	assert_int_equal(a.ups, 1);
	assert_int_equal(a.completes, 1);
	/* Told before it was answered. */
	assert_int_equal(a.at_answer, 1);
	assert_true(a.told[1] > 0);
	shared_dispatch(b.s);
	assert_int_equal(b.told[1], a.told[1]);

	/* Two want the same: one has it, the other is told how it is. */
	assert_int_equal(do_put(&b, block(2, 0, 2), false), SHARED_DONE);
	assert_int_equal(do_put(&a, block(2, 0, 1), false), SHARED_LOST);
	assert_int_equal(a.told[2], b.told[2]);
	assert_int_equal(do_put(&a, block(2, a.told[2], 1), false), SHARED_DONE);
	assert_int_equal(do_put(&a, block(1, a.told[1] + 50, 1), true), SHARED_LOST);
	assert_int_equal(do_put(&a, block(1, a.told[1], 1), true), SHARED_DONE);
	assert_int_equal(a.told[1], 0);
	shared_dispatch(b.s);
	assert_int_equal(b.told[1], 0);
	assert_true(b.told[2] == a.told[2] && b.told[2] > 0);

	host_open(&late, g);
	shared_dispatch(late.s);
	assert_int_equal(late.tellings, 1);
	assert_int_equal(late.told[2], a.told[2]);
	assert_int_equal(late.completes, 1);
	shared_close(a.s);
	shared_close(b.s);
	shared_close(late.s);
	shared_close(NULL);
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

static void all_or_nothing(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 1);
	struct shared_record one, two, three;
	struct shared_put puts[3] = { { .record = &one },
				      { .record = &two },
				      { .record = &three } };
	struct shared_facts facts;
	struct host a;

	host_open(&a, g);
	do_put(&a, block(1, 0, 1), false);
	one = block(1, a.told[1], 2);
	two = block(2, 0, 1);
	three = block(3, 9, 1); /* is not there */
	shared_submit(a.s, puts, 3, done, &a);
	shared_dispatch(a.s);
	assert_int_equal(a.outcome, SHARED_LOST);
	assert_int_equal(a.told[1], one.revision);
	assert_int_equal(a.told[2] + a.told[3], 0);
	/* Only looked at. */
	three.revision = 0;
	puts[2].compare_only = true;
	shared_submit(a.s, puts, 3, done, &a);
	shared_dispatch(a.s);
	assert_int_equal(a.outcome, SHARED_DONE);
	assert_true(a.told[1] == a.told[2] && a.told[1] > one.revision);
	assert_int_equal(a.told[3], 0);
	shared_facts(a.s, &facts);
	assert_int_equal(facts.records, 2);
	assert_int_equal(facts.txns, 3);
	assert_int_equal(facts.lost, 1);
	assert_true(facts.reachable);
	shared_close(a.s);
	shared_mem_free(g);
}

static void images_are_read_and_not_told(void **state)
{
	static struct shared_case c;
	void *g = shared_mem_new(&fixture_mem, 1);
	struct shared_record key;
	struct host a, b;

	host_open(&a, g);
	host_open(&b, g);
	case_shared(&c, SHARED_IMAGE, 5);
	key = c.r;
	key.image.count = 0;
	shared_read(b.s, &key, read_done, &b);
	shared_dispatch(b.s);
	assert_null(b.read);
	assert_int_equal(do_put(&a, c.r, false), SHARED_DONE);
	shared_read(b.s, &key, read_done, &b);
	shared_dispatch(b.s);
	assert_non_null(b.read);
	case_shared(&c, SHARED_IMAGE, 5);
	assert_true(shared_equal(b.read, &c.r));
	assert_int_equal(b.read->image.vmacs[0].row, 0);
	assert_int_equal(a.tellings + b.tellings, 0);
	mem_free(&fixture_mem, b.read);
	shared_close(a.s);
	shared_close(b.s);
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

/* --- faults ---------------------------------------------------------------------------------- */

static void cut_off_and_back(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 1);
	struct host a, b;

	host_open(&a, g);
	host_open(&b, g);
	do_put(&a, block(1, 0, 1), false);
	do_put(&a, block(2, 0, 1), false);
	shared_dispatch(b.s);
	shared_mem_fault(b.s, &(struct shared_mem_faults){ .cut = true });
	assert_int_equal(do_put(&b, block(3, 0, 2), false), SHARED_UNREACHABLE);
	assert_int_equal(b.downs, 1);
	do_put(&a, block(1, a.told[1], 1), true);
	do_put(&a, block(2, a.told[2], 5), false);
	do_put(&a, block(4, 0, 1), false);
	shared_dispatch(b.s);
	assert_int_equal(b.downs, 1);
	assert_true(b.told[1] > 0 && b.told[4] == 0);
	shared_mem_fault(b.s, &(struct shared_mem_faults){ 0 });
	shared_dispatch(b.s);
	assert_int_equal(b.ups, 2);
	assert_int_equal(b.completes, 2);
	/* The write that was cut off was not done; the rest is made good, what is gone is told. */
	assert_memory_equal(b.told, a.told, sizeof(a.told));
	assert_int_equal(b.told[1] + b.told[3], 0);
	shared_close(a.s);
	shared_close(b.s);
	shared_mem_free(g);
}

static void an_answer_is_lost(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 1);
	struct host a;

	host_open(&a, g);
	shared_mem_fault(a.s, &(struct shared_mem_faults){ .answer_lost = true });
	assert_int_equal(do_put(&a, block(1, 0, 1), false), SHARED_UNREACHABLE);
	shared_dispatch(a.s);
	/* And yet it was done. */
	assert_true(a.told[1] > 0);
	shared_close(a.s);
	shared_mem_free(g);
}

static void what_was_not_told_is_told_at_the_next_reconcile(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	unsigned int missing = 0;
	struct host a, b;

	host_open(&a, g);
	host_open(&b, g);
	shared_dispatch(b.s);
	shared_mem_fault(b.s, &(struct shared_mem_faults){ .drop_told = 3 });
	for (uint64_t i = 0; i < 500; i++) {
		uint64_t n = i * 7 % BLOCKS;

		do_put(&a, block(n, a.told[n], 1), a.told[n] && i % 5 == 0);
		shared_dispatch(b.s);
	}
	for (unsigned int i = 0; i < BLOCKS; i++)
		missing += a.told[i] != b.told[i];
	assert_in_range(missing, 5, BLOCKS - 5);
	/* What it does itself it is always told of. */
	for (uint64_t n = 0; n < BLOCKS; n++) {
		if (b.told[n] != a.told[n])
			continue;
		assert_int_equal(do_put(&b, block(n, b.told[n], 2), false), SHARED_DONE);
		assert_true(b.told[n] > 0);
	}
	shared_reconcile(b.s);
	shared_dispatch(b.s);
	shared_dispatch(a.s);
	assert_int_equal(b.completes, 2);
	assert_memory_equal(b.told, a.told, sizeof(a.told));
	/* Whoever asks for it is told all, as if it knew nothing. */
	memset(b.told, 0, sizeof(b.told));
	shared_reconcile(b.s);
	shared_dispatch(b.s);
	assert_memory_equal(b.told, a.told, sizeof(a.told));
	shared_close(a.s);
	shared_close(b.s);
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

static void a_lease_ends_with_its_host(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	struct shared_record alive = { .kind = SHARED_ALIVE, .alive.host.octet = { 5 } };
	struct host a, b, c;

	host_open(&a, g);
	host_open(&b, g);
	do_put(&a, alive, false);
	shared_dispatch(b.s);
	assert_int_equal(b.others, 1);
	shared_close(a.s);
	shared_dispatch(b.s);
	assert_int_equal(b.others, 2);
	/* Whoever is cut off leaves it behind, until it runs out. */
	host_open(&c, g);
	do_put(&c, alive, false);
	shared_mem_fault(c.s, &(struct shared_mem_faults){ .cut = true });
	shared_close(c.s);
	shared_dispatch(b.s);
	assert_int_equal(b.others, 3);
	shared_mem_expire(g, &alive.alive.host);
	shared_mem_expire(g, &alive.alive.host);
	shared_dispatch(b.s);
	assert_int_equal(b.others, 4);
	shared_close(b.s);
	shared_mem_free(g);
}

static void close_answers_what_waits(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	struct shared_record r = block(1, 0, 1), key = { .kind = SHARED_IMAGE };
	struct host a;

	host_open(&a, g);
	submit(&a, &r, false);
	shared_read(a.s, &key, read_done, &a);
	shared_close(a.s);
	assert_int_equal(a.answers, 2);
	assert_int_equal(a.error.code, ERROR_REGISTRY_UNREACHABLE);
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

static bool readable(struct shared *s)
{
	struct pollfd p = { .fd = shared_fd(s), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void the_descriptor_says_so(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	struct host a, b;

	host_open(&a, g);
	host_open(&b, g);
	assert_true(readable(a.s));
	shared_dispatch(a.s);
	assert_false(readable(a.s));
	do_put(&b, block(1, 0, 1), false);
	assert_true(readable(a.s));
	shared_dispatch(a.s);
	assert_false(readable(a.s));
	shared_reconcile(a.s);
	assert_true(readable(a.s));
	shared_close(a.s);
	shared_close(b.s);
	shared_mem_free(g);
}

/* --- the whole ------------------------------------------------------------------------------- */

static int count_record(void *ctx, const struct shared_record *r)
{
	assert_true(r->revision > 0);
	++*(unsigned int *)ctx;
	return *(unsigned int *)ctx == 1000 ? -77 : 0;
}

static int next_block(void *ctx, struct shared_record *ret)
{
	uint64_t *at = ctx;

	*ret = block((*at)++, 5, 9);
	return *at <= 20;
}

static void dumped_and_restored(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	struct shared_config config = { .backend = "mem", .mem_registry = g };
	unsigned int records = 0;
	struct error error;
	uint64_t at = 0;

	assert_int_equal(shared_restore(&config, false, next_block, &at, &error), 0);
	assert_int_equal(shared_dump(&config, count_record, &records, &error), 0);
	assert_int_equal(records, 20);
	at = 0;
	assert_true(shared_restore(&config, false, next_block, &at, &error) < 0);
	assert_int_equal(error.code, ERROR_IN_USE);
	at = 0;
	assert_int_equal(shared_restore(&config, true, next_block, &at, &error), 0);
	records = 999;
	assert_int_equal(shared_dump(&config, count_record, &records, &error), -77);
	config.backend = "paper";
	assert_true(shared_dump(&config, count_record, &records, &error) < 0);
	assert_int_equal(error.code, ERROR_BAD_CONFIG);
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

/* --- many ------------------------------------------------------------------------------------ */

#define MANY_HOSTS   200
#define MANY_RECORDS 10000

static void many_told(void *ctx, const struct shared_record *r)
{
	++*(uint64_t *)ctx;
}

static void many_complete(void *ctx, uint64_t revision)
{
}

static void many_reach(void *ctx, const struct error *error)
{
}

static void many_done(void *ctx, enum shared_outcome outcome, uint64_t revision,
		      const struct error *error)
{
	assert_int_equal(outcome, SHARED_DONE);
}

/* Nothing is kept for each host and record: the blocks of memory stay few. */
static void nothing_is_copied_to_each_host(void **state)
{
	void *g = shared_mem_new(&fixture_mem, 7);
	static struct shared *hosts[MANY_HOSTS];
	static uint64_t counts[MANY_HOSTS];
	struct error error;

	for (unsigned int i = 0; i < MANY_HOSTS; i++) {
		struct shared_config config = { .backend = "mem",
						.mem_registry = g,
						.mem = &fixture_mem,
						.told = many_told,
						.complete = many_complete,
						.reach = many_reach,
						.ctx = &counts[i] };

		assert_int_equal(shared_open(&config, &hosts[i], &error), 0);
		shared_dispatch(hosts[i]);
	}
	for (uint64_t i = 0; i < MANY_RECORDS; i++) {
		struct shared_record r = block(i, 0, 1);
		struct shared_put put = { .record = &r };

		shared_submit(hosts[i % MANY_HOSTS], &put, 1, many_done, NULL);
		shared_dispatch(hosts[i % MANY_HOSTS]);
	}
	assert_true(fixture_blocks() < 3 * MANY_RECORDS);
	for (unsigned int i = 0; i < MANY_HOSTS; i++) {
		shared_dispatch(hosts[i]);
		assert_int_equal(counts[i], MANY_RECORDS);
		shared_close(hosts[i]);
	}
	shared_mem_free(g);
	assert_int_equal(fixture_blocks(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_see_each_other),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(images_are_read_and_not_told),
		cmocka_unit_test(cut_off_and_back),
		cmocka_unit_test(an_answer_is_lost),
		cmocka_unit_test(what_was_not_told_is_told_at_the_next_reconcile),
		cmocka_unit_test(a_lease_ends_with_its_host),
		cmocka_unit_test(close_answers_what_waits),
		cmocka_unit_test(the_descriptor_says_so),
		cmocka_unit_test(dumped_and_restored),
		cmocka_unit_test(nothing_is_copied_to_each_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
