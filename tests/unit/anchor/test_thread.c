/* The thread's life: it is there while there are clusters, and what is asked while it ends is not
 * lost.  The clusters are internal, so that they need no wire and nobody's leave; the data plane is
 * false.  The test is the engine. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "anchor/anchor.h"
#include "host/clock.h"
#include "plane/cluster.h"

#define ROUNDS	 400
#define SLOTS	 8
#define NO_INDEX 0x7ffffff0 /* of no link */

static struct anchors *a;
static atomic_int blocks, refuse; /* memory: alive; whether there is none */
static _Atomic int64_t served[SLOTS], owned[SLOTS];
static unsigned int told[ANCHOR_REPORT_COUNT];

/* --- what it is given ------------------------------------------------------------------------ */

void plane_cluster_lease(struct plane *p, unsigned int slot, unsigned int face, mono_t serve,
			 mono_t speak)
{
	if (face == 0)
		atomic_store(&served[slot], serve.ns);
}

void plane_cluster_own(struct plane *p, unsigned int slot, mono_t until)
{
	atomic_store(&owned[slot], until.ns);
}

void plane_cluster_standing(struct plane *p, unsigned int slot, const uint8_t *members)
{
}

static void *mem_new(void *ctx, size_t size)
{
	if (atomic_load(&refuse))
		return NULL;
	atomic_fetch_add(&blocks, 1);
	return calloc(1, size);
}

static void mem_end(void *ctx, void *p)
{
	atomic_fetch_sub(&blocks, p != NULL);
	free(p);
}

static const struct mem memory = { mem_new, mem_end, NULL };

/* --- the engine ------------------------------------------------------------------------------ */

static void set_on(uint32_t id, int ifindex)
{
	const vmac_mac_t face = { { 0x0a, 0, 0, 0, 0, (uint8_t)id } };
	const struct ip address = { .family = 4, .octet = { 10, 0, 0, (uint8_t)id } };
	const struct cluster_member member = { .id = 1,
					       .address = { { 0x0a, 1, 0, 0, 0, 1 } },
					       .weight = 100 };
	const struct anchor_where where = { .slot = id,
					    .segment = "inside",
					    .internal = ifindex == 0,
					    .ifindex = ifindex,
					    .up = true };
	const bool short_of_memory = atomic_exchange(&refuse, 0);
	const struct cluster *record;
	struct cluster c;

	cluster_defaults(&c);
	c.id = id;
	c.mode = CLUSTER_DIRECTOR;
	c.generation = 1;
	snprintf(c.name, sizeof(c.name), "web%u", id);
	c.face_count = c.address_count = c.member_count = 1;
	c.faces = &face;
	c.addresses = &address;
	c.members = &member;
	record = cluster_record_new(&c, &memory);
	assert_non_null(record);
	atomic_store(&refuse, short_of_memory);
	anchor_set(a, record, &where);
	cluster_release(record);
	anchor_member(a, id, 1, true, true, false);
}

static void set(uint32_t id)
{
	set_on(id, 0);
}

static void on_report(void *ctx, const struct anchor_report *r)
{
	told[r->kind]++;
	if (r->kind == ANCHOR_INSTALL)
		anchor_installed(a, r->cluster, &r->view);
	if (r->kind == ANCHOR_COMMIT)
		anchor_committed(a, r->cluster, &r->view);
}

/* What the engine's loop does, for so long. */
static void turn(int ms)
{
	struct pollfd fd = { .fd = anchor_fd(a), .events = POLLIN };

	if (poll(&fd, 1, ms) > 0)
		anchor_dispatch(a, on_report, NULL);
}

static unsigned int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* By name: a tool that looks on has threads, too. */
static unsigned int threads(void)
{
	char path[300], name[32];
	DIR *d = opendir("/proc/self/task");
	unsigned int n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "re");
		n += f && fgets(name, sizeof(name), f) && strcmp(name, "anchors\n") == 0;
		if (f)
			fclose(f);
	}
	closedir(d);
	return n;
}

static bool is_active(uint32_t id)
{
	struct anchor_view v;

	return anchor_look(a, id, &v) && v.faces[0].active && strcmp(v.live[0], "up") == 0 &&
	       atomic_load(&served[id]) != 0;
}

/* For at most ten seconds; turns: as the engine's loop does, else nobody tidies up meanwhile. */
#define AWAIT(condition, turns)                                                                    \
	do {                                                                                       \
		const mono_t by_ = mono_after(clock_boot(), SPAN_S(10));                           \
		while (!(condition) && !mono_due(by_, clock_boot()))                               \
			if (turns)                                                                 \
				turn(1);                                                           \
			else                                                                       \
				usleep(1000);                                                      \
		assert_true(condition);                                                            \
	} while (0)

/* --- begin and end --------------------------------------------------------------------------- */

static unsigned int own_descriptors; /* the test's */

static int setup(void **state)
{
	const struct anchor_config config = {
		.mem = &memory, .self.octet = { 1 }, .number = 1, .alone = true, .incarnation = 7
	};
	struct error error;

	memset(told, 0, sizeof(told));
	for (unsigned int i = 0; i < SLOTS; i++)
		served[i] = owned[i] = 0;
	own_descriptors = descriptors();
	return anchor_open(&config, &a, &error);
}

static int close_all(void)
{
	anchor_close(a);
	a = NULL;
	assert_int_equal(blocks, 0);
	assert_int_equal(descriptors(), own_descriptors);
	AWAIT(threads() == 0, false); /* the kernel's list lags behind a join */
	for (unsigned int i = 0; i < SLOTS; i++)
		assert_true(served[i] == 0 && owned[i] == 0);
	return 0;
}

static int teardown(void **state)
{
	return a ? close_all() : 0;
}

static bool is_gone(void)
{
	return threads() == 0 && descriptors() == own_descriptors + 1;
}

/* --- the first and the last ------------------------------------------------------------------ */

static void test_while_there_are_clusters(void **state)
{
	struct anchor_view v;

	assert_true(is_gone());
	for (unsigned int i = 0; i < 3; i++) {
		set(1);
		set(2);
		AWAIT(is_active(1) && is_active(2), true);
		assert_int_equal(threads(), 1);
		anchor_remove(a, 1);
		AWAIT(!anchor_look(a, 1, &v) && served[1] == 0, true);
		turn(20);
		assert_int_equal(threads(), 1);
		assert_true(is_active(2));
		anchor_remove(a, 2);
		AWAIT(is_gone(), true);
		assert_true(served[2] == 0 && owned[2] == 0);
		assert_false(anchor_look(a, 2, &v));
		anchor_remove(a, 2);
		anchor_member(a, 2, 1, true, true, false);
		assert_true(is_gone()); /* there is nothing to be done */
		anchor_remove(a, 2);
	}
}

/* It does not wait for what it would have tried again. */
static void test_of_a_link_that_is_not_there(void **state)
{
	struct anchor_view v;

	set_on(1, NO_INDEX);
	AWAIT(anchor_look(a, 1, &v) && v.trouble.code != ERROR_NONE, true);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
}

static uint32_t rolled = 1;

static uint32_t roll(uint32_t n)
{
	rolled = rolled * 1664525 + 1013904223;
	return (rolled >> 16) % n;
}

/* From nothing to longer than it takes to end. */
static void pause_a_little(void)
{
	const struct timespec ts = { 0, (long)roll(4) * (long)roll(60000) };

	if (ts.tv_nsec)
		nanosleep(&ts, NULL);
	if (roll(4) == 0)
		turn(0);
}

/* Whatever it is doing as the next order comes. */
static void test_again_and_again(void **state)
{
	struct anchor_view v;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t id = 1 + roll(3);

		set(id);
		pause_a_little();
		if (roll(2))
			assert_true(anchor_look(a, id, &v));
		if (roll(4) == 0)
			AWAIT(is_active(id), true);
		anchor_remove(a, id);
		pause_a_little();
		if (roll(8) == 0)
			AWAIT(is_gone(), true);
		else if (roll(8) == 0)
			AWAIT(threads() == 0, false);
	}
	for (uint32_t id = 1; id <= 3; id++)
		set(id);
	AWAIT(is_active(1) && is_active(2) && is_active(3), true);
	for (uint32_t id = 1; id <= 3; id++)
		anchor_remove(a, id);
	AWAIT(is_gone(), true);
	for (uint32_t id = 1; id <= 3; id++)
		assert_false(anchor_look(a, id, &v));
}

/* Each time one that was just set must come to be, whether the thread had ended or not. */
static void test_none_is_lost(void **state)
{
	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		set(1);
		AWAIT(is_active(1), true);
		anchor_remove(a, 1);
		pause_a_little();
	}
}

/* --- the end of all -------------------------------------------------------------------------- */

static void test_closed_in_each_state(void **state)
{
	close_all(); /* never begun */
	for (unsigned int i = 0; i < 7; i++) {
		setup(NULL);
		set(1);
		if (i == 0)
			goto closing; /* just begun */
		AWAIT(is_active(1), true);
		if (i == 1)
			goto closing; /* running */
		anchor_remove(a, 1);
		if (i == 2)
			goto closing; /* ending */
		AWAIT(threads() == 0, false);
		if (i == 3)
			goto closing; /* ended, not cleared */
		if (i == 4)
			set(1); /* begun anew, over what was not cleared */
		if (i >= 5)
			AWAIT(is_gone(), true); /* cleared */
		if (i == 6)
			set(1);
	closing:
		close_all();
	}
}

static void test_closed_at_any_moment(void **state)
{
	close_all();
	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		setup(NULL);
		set(1);
		pause_a_little();
		anchor_remove(a, 1);
		pause_a_little();
		if (roll(2))
			set(2);
		pause_a_little();
		close_all();
	}
}

/* --- what outlives it ------------------------------------------------------------------------ */

static void test_reports_outlive_it(void **state)
{
	set(1);
	AWAIT(is_active(1), false);
	anchor_remove(a, 1);
	AWAIT(threads() == 0, false);
	assert_int_equal(told[ANCHOR_HOLD], 0);
	AWAIT(is_gone(), true);
	assert_int_equal(told[ANCHOR_HOLD], 1);
	assert_true(told[ANCHOR_NOTE] + told[ANCHOR_ALARM] >= 1);
	assert_int_equal(told[ANCHOR_INSTALL], 0); /* of what is no more */
}

static void test_identity_without_it(void **state)
{
	const struct uuid self = { .octet = { 9 } };
	struct anchor_view v;

	anchor_identity(a, &self, 5, true);
	set(1);
	AWAIT(is_active(1), true);
	assert_true(anchor_look(a, 1, &v));
	assert_int_equal(v.faces[0].holder, 5);
	anchor_remove(a, 1);
	AWAIT(threads() == 0, false);
	anchor_identity(a, &self, 6, true); /* ended, not cleared */
	set(1);
	AWAIT(is_active(1), true);
	assert_true(anchor_look(a, 1, &v));
	assert_int_equal(v.faces[0].holder, 6);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
	anchor_identity(a, &self, 7, true);
	assert_true(is_gone());
	set(1);
	AWAIT(is_active(1), true);
	assert_true(anchor_look(a, 1, &v));
	assert_int_equal(v.faces[0].holder, 7);
}

/* What was told of a cluster before the thread looked, it knows. */
static void test_epochs_without_it(void **state)
{
	struct anchor_view v;

	set(1);
	AWAIT(is_active(1), true);
	anchor_remove(a, 1);
	AWAIT(threads() == 0, false);
	set(1);
	anchor_claimed(a, 1, 0, 1000, 0);
	AWAIT(anchor_look(a, 1, &v) && v.faces[0].active && v.faces[0].epoch > 1000, true);
}

/* --- shortage -------------------------------------------------------------------------------- */

static void test_memory_is_short(void **state)
{
	struct anchor_view v;

	set(1);
	AWAIT(is_active(1), true);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
	atomic_store(&refuse, 1);
	set(1);
	AWAIT(anchor_look(a, 1, &v) && v.trouble.code == ERROR_NO_MEMORY, true);
	turn(20);
	assert_int_equal(threads(), 1); /* it tries again */
	atomic_store(&refuse, 0);
	AWAIT(is_active(1), true);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
	atomic_store(&refuse, 1);
	set(1);
	AWAIT(anchor_look(a, 1, &v) && v.trouble.code == ERROR_NO_MEMORY, true);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
	atomic_store(&refuse, 0);
}

static void test_descriptors_are_short(void **state)
{
	struct rlimit limit, was;
	struct anchor_view v;

	set(1);
	AWAIT(is_active(1), true);
	anchor_remove(a, 1);
	AWAIT(is_gone(), true);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = was;
	limit.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	set(1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(is_gone());
	assert_true(anchor_look(a, 1, &v));
	assert_int_not_equal(v.trouble.code, ERROR_NONE);
	anchor_member(a, 1, 1, true, true, false); /* any word of it tries again */
	AWAIT(is_active(1), true);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_while_there_are_clusters), CASE(test_of_a_link_that_is_not_there),
		CASE(test_again_and_again),	     CASE(test_none_is_lost),
		CASE(test_closed_in_each_state),     CASE(test_closed_at_any_moment),
		CASE(test_reports_outlive_it),	     CASE(test_identity_without_it),
		CASE(test_epochs_without_it),	     CASE(test_memory_is_short),
		CASE(test_descriptors_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
