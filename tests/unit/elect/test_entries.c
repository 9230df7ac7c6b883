/* What the engine asks for is never lost for want of memory: every allocation on the way from a
 * command to the core is refused once, and then all from it on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "elect/thread.h"

/* --- memory that can be short ---------------------------------------------------------------- */

static int refuse_from, refuse_count; /* allocations from now on; how many; 0 = none */
static int asked, alive;

static void memory_short(int from, int count)
{
	refuse_from = from;
	refuse_count = count;
	asked = 0;
}

static bool refused(void)
{
	int n = asked++;

	return n >= refuse_from && n - refuse_from < refuse_count;
}

/* What the files under test call instead of the C library's. */
void *short_calloc(size_t count, size_t size);
void *short_malloc(size_t size);
void *short_reallocarray(void *p, size_t count, size_t size);
char *short_strdup(const char *text);
void short_free(void *p);

void *short_calloc(size_t count, size_t size)
{
	if (refused())
		return NULL;
	alive++;
	return calloc(count, size);
}

void *short_malloc(size_t size)
{
	return short_calloc(1, size);
}

void *short_reallocarray(void *p, size_t count, size_t size)
{
	if (refused())
		return NULL;
	alive += !p;
	return reallocarray(p, count, size);
}

char *short_strdup(const char *text)
{
	if (refused())
		return NULL;
	alive++;
	return strdup(text);
}

void short_free(void *p)
{
	alive -= p != NULL;
	free(p);
}

static void *mem_get(void *ctx, size_t size)
{
	return short_calloc(1, size);
}

static void mem_put(void *ctx, void *p)
{
	short_free(p);
}

static const struct mem mem = { mem_get, mem_put, NULL };

/* --- the rest of the thread ------------------------------------------------------------------ */

static unsigned int probes;

static int takes_memory(void)
{
	void *p = short_malloc(1);

	short_free(p);
	return p ? 0 : -ENOMEM;
}

int carriers_set(struct elect *e, const struct elect_router *r)
{
	return takes_memory();
}

int errands_probe(struct errands *e, const struct errand_probe *p)
{
	int r = takes_memory();

	probes += r == 0;
	return r;
}

void errands_drop(struct errands *e, uint64_t id)
{
	probes--;
}

void elect_retry_soon(struct elect *e)
{
	e->thread.retry_at = (mono_t){ 1 };
}

void carrier_leave(struct elect *e, struct carrier *c)
{
}

void elect_event_add(struct elect *e, const struct elect_event *event)
{
}

int errands_tell(struct errands *e, const struct errand_news *news)
{
	return 0;
}

void errands_results(struct errands *e,
		     void (*fn)(void *ctx, uint64_t id, enum errand_outcome outcome,
				const char *detail),
		     void *ctx)
{
}

void errands_counters(struct errands *e, struct errands_counters *ret)
{
	*ret = (struct errands_counters){ 0 };
}

int host_link_by_name(struct host *h, const char *ifname, struct host_link *ret,
		      struct error *ret_error)
{
	return error_set(ret_error, ERROR_NO_INTERFACE, NULL, "there is no %s", ifname);
}

void packet_counters(struct packet_link *p, struct packet_counters *ret)
{
}

unsigned int packet_sockets(const struct packet_link *p)
{
	return 0;
}

int plane_router_counters(struct plane *p, unsigned int slot, struct plane_router_counters *ret,
			  struct error *ret_error)
{
	return 0;
}

static void on_send(void *ctx, const struct elect_set *s, const void *frame, size_t len)
{
}

static void on_lease(void *ctx, const struct elect_set *s, mono_t until)
{
}

static void on_embody(void *ctx, const struct elect_router *r, bool there)
{
}

static void on_report(void *ctx, const struct elect_router *r, const struct elect_report *report)
{
	entry_report(ctx, r, report);
}

static void on_flush(void *ctx)
{
}

static void on_gone(void *ctx, const struct elect_router *r)
{
	entry_gone(ctx, r);
}

static wall_t on_wall(void *ctx)
{
	return clock_wall();
}

static const struct elect_ops ops = {
	.send = on_send,
	.lease = on_lease,
	.embody = on_embody,
	.report = on_report,
	.flush = on_flush,
	.gone = on_gone,
};

/* --- the bench ------------------------------------------------------------------------------- */

#define ID 7

static struct elect *thread_new(void)
{
	struct elect *e = calloc(1, sizeof(*e));
	struct elect_core_config config = {
		.mem = &mem, .ops = &ops, .ctx = e, .wall_now = on_wall, .devices = true
	};
	struct error error;

	memory_short(0, 0);
	e->commands_last = &e->commands;
	assert_int_equal(punctual_init(&e->thread, NULL, e), 0);
	pthread_mutex_init(&e->queues, NULL);
	assert_int_equal(elect_core_new(&config, &e->core, &error), 0);
	return e;
}

static void thread_free(struct elect *e)
{
	memory_short(0, 0);
	commands_free(e);
	entries_free(e);
	elect_core_free(e->core);
	assert_int_equal(alive, 0);
	assert_int_equal(probes, 0);
	punctual_done(&e->thread);
	free(e);
}

static const struct router *record_of(uint32_t id, uint16_t group, uint8_t priority,
				      unsigned int tracks)
{
	const struct router_address address = { { 4, { 10, 0, 0, 1 } }, 24 };
	const struct router_set set = { .ifname = "lan",
					.group = group,
					.family = 4,
					.address_count = 1,
					.addresses = &address };
	struct router_track list[2];
	struct router r;

	router_defaults(&r, ROUTER_VRRP3);
	r.id = id;
	snprintf(r.name, sizeof(r.name), "r%u", id);
	r.priority = priority;
	r.sets = &set;
	r.set_count = 1;
	for (unsigned int i = 0; i < ARRAY_LEN(list); i++) {
		router_track_defaults(&list[i], ROUTER_TRACK_SCRIPT);
		list[i].target = i ? "/bin/true" : "/bin/false";
	}
	r.tracks = list;
	r.track_count = tracks;
	memory_short(0, 0);
	return router_record_new(&r, &mem);
}

/* Two tracks, and a history that grows. */
static const struct router *record(uint8_t priority, unsigned int tracks)
{
	return record_of(ID, 3, priority, tracks);
}

static struct elect_view look(struct elect *e)
{
	struct elect_view v;

	assert_true(elect_look(e, ID, &v));
	assert_int_equal(v.set_count, 1);
	return v;
}

static bool is_whole(struct elect *e, uint8_t priority, unsigned int tracks)
{
	const struct elect_router *r = elect_core_find(e->core, ID);

	return r && elect_router_record(r)->priority == priority && probes == tracks &&
	       !entry_trouble(e, ID);
}

/* Whatever is amiss is seen and will be tried again. */
static void check_amiss(struct elect *e, uint8_t priority, unsigned int tracks)
{
	const struct elect_router *r = elect_core_find(e->core, ID);
	struct elect_view v = look(e);

	assert_int_not_equal(e->thread.retry_at.ns, MONO_NEVER.ns);
	if (r && elect_router_record(r)->priority == priority && v.track_count == tracks)
		assert_true(v.sets[0].trouble.code == ERROR_NO_MEMORY || probes < tracks);
	else
		assert_int_equal(v.sets[0].trouble.code, ERROR_NO_MEMORY);
}

/* Sets a router, or changes it, with `count` allocations refused from the nth on; returns whether
 * it asked for so many. */
static bool set_while_short(bool change, int n, int count)
{
	struct elect *e = thread_new();
	const struct router *r;
	bool reached;

	if (change) {
		r = record(100, 1);
		elect_set(e, r);
		router_release(r);
		commands_do(e);
		assert_true(is_whole(e, 100, 1));
	}
	r = record(90, 2);
	memory_short(n, count);
	elect_set(e, r);
	router_release(r);
	commands_do(e);
	reached = asked > n;
	if (!is_whole(e, 90, 2))
		check_amiss(e, 90, 2);
	/* Still short: nothing is lost by trying. */
	entries_retry(e);
	if (!is_whole(e, 90, 2))
		check_amiss(e, 90, 2);
	memory_short(0, 0);
	entries_retry(e);
	assert_true(is_whole(e, 90, 2));
	assert_int_equal(look(e).sets[0].trouble.code, ERROR_NONE);
	thread_free(e);
	return reached;
}

static void every_shortage(bool change, int count)
{
	int n = 0;

	while (set_while_short(change, n, count))
		n++;
	assert_true(n >= 5);
}

static void a_new_router_survives_every_shortage(void **state)
{
	every_shortage(false, 1);
	every_shortage(false, INT32_MAX);
}

static void a_change_survives_every_shortage(void **state)
{
	every_shortage(true, 1);
	every_shortage(true, INT32_MAX);
}

static void a_removal_needs_no_memory(void **state)
{
	struct elect *e = thread_new();
	const struct router *r = record(100, 2);
	struct elect_view v;

	elect_set(e, r);
	commands_do(e);
	memory_short(0, INT32_MAX);
	elect_remove(e, ID);
	commands_do(e);
	assert_false(elect_look(e, ID, &v));
	assert_int_equal(probes, 0);
	/* Nor is anything owed to one that is asked to go before it came. */
	elect_set(e, r);
	commands_do(e);
	assert_int_equal(look(e).sets[0].trouble.code, ERROR_NO_MEMORY);
	elect_remove(e, ID);
	commands_do(e);
	entries_retry(e);
	assert_false(elect_look(e, ID, &v));
	router_release(r);
	thread_free(e);
}

static void the_last_word_counts(void **state)
{
	struct elect *e = thread_new();
	const struct router *first = record(100, 1), *second = record(90, 2);

	memory_short(0, INT32_MAX);
	elect_set(e, first);
	elect_set(e, second); /* in its place */
	memory_short(0, 0);
	assert_int_equal(look(e).priority, 90);
	commands_do(e);
	assert_true(is_whole(e, 90, 2));
	memory_short(0, INT32_MAX);
	elect_remove(e, ID);
	memory_short(0, 0);
	elect_set(e, first); /* there is memory again: what was noted is over */
	commands_do(e);
	assert_true(is_whole(e, 100, 1));
	router_release(first);
	router_release(second);
	thread_free(e);
}

/* Whoever has been told that there is a router finds it. */
static void it_is_seen_from_the_first(void **state)
{
	struct elect *e = thread_new();
	const struct router *r = record(100, 1);
	struct elect_view v;

	assert_false(elect_look(e, ID, &v));
	elect_set(e, r);
	v = look(e);
	assert_string_equal(v.state, "initialize");
	assert_int_equal(v.priority, 100);
	elect_remove(e, ID);
	assert_false(elect_look(e, ID, &v));
	elect_set(e, r);
	commands_do(e);
	assert_int_equal(look(e).track_count, 1);
	router_release(r);
	thread_free(e);
}

static void ask(struct elect *e, uint32_t id, uint16_t group)
{
	const struct router *r = record_of(id, group, 100, 0);

	elect_set(e, r);
	router_release(r);
}

static void check_has(struct elect *e, uint32_t id, uint16_t group)
{
	const struct elect_router *r = elect_core_find(e->core, id);

	assert_non_null(r);
	assert_int_equal(elect_router_record(r)->sets[0].group, group);
	assert_null(entry_trouble(e, id));
}

/* Told in one turn or in two, they have what they are to have when the last was told. */
static void two_swap_their_groups(void **state)
{
	for (unsigned int turns = 1; turns <= 2; turns++) {
		struct elect *e = thread_new();

		ask(e, 1, 1);
		ask(e, 2, 2);
		commands_do(e);
		ask(e, 1, 2);
		if (turns == 2) {
			commands_do(e);
			assert_int_equal(entry_trouble(e, 1)->code, ERROR_IN_USE);
			check_has(e, 2, 2);
			entries_retry(e); /* by the clock, and for nothing */
		}
		ask(e, 2, 1);
		commands_do(e);
		check_has(e, 1, 2);
		check_has(e, 2, 1);
		thread_free(e);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_router_survives_every_shortage),
		cmocka_unit_test(a_change_survives_every_shortage),
		cmocka_unit_test(a_removal_needs_no_memory),
		cmocka_unit_test(the_last_word_counts),
		cmocka_unit_test(it_is_seen_from_the_first),
		cmocka_unit_test(two_swap_their_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
