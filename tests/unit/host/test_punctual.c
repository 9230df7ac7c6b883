/* A thread whose room is the test: what it is told, when, and that others get their turn. */
#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/punctual.h"

/* Guarded by the thread's lock, as a room's state is. */
static struct {
	struct punctual p;
	bool stop, busy, is_over, sleepy;
	bool fails; /* retry soon, at each order */
	mono_t due, time_at, listened_at;
	unsigned int orders, stops, times, listens, retries, settled, ends;
	sigset_t blocked;
	int policy, policy_of_child;
	char name[16];
} t;

/* --- the room -------------------------------------------------------------------------------- */

static void *child(void *ctx)
{
	t.policy_of_child = sched_getscheduler(0);
	return NULL;
}

static bool on_orders(void *ctx)
{
	pthread_t thread;

	t.orders++;
	t.policy = sched_getscheduler(0);
	if (pthread_create(&thread, NULL, child, NULL) == 0)
		pthread_join(thread, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &t.blocked);
	prctl(PR_GET_NAME, t.name);
	if (t.busy)
		punctual_wake(&t.p);
	if (t.fails)
		punctual_retry_soon(&t.p);
	if (t.sleepy) {
		t.due = mono_after(clock_boot(), SPAN_MS(1));
		usleep(20000);
		t.sleepy = false;
	}
	return t.stop;
}

static void on_stop(void *ctx, mono_t now)
{
	t.stops++;
}

static mono_t on_next_expiry(void *ctx)
{
	return t.due;
}

static void on_time(void *ctx, mono_t now)
{
	t.times++;
	t.time_at = now;
	t.due = MONO_NEVER;
}

static void on_listen(void *ctx)
{
	t.listens++;
	t.listened_at = clock_boot();
}

static void on_retry(void *ctx)
{
	t.retries++;
}

static void on_settle(void *ctx)
{
	t.settled++;
}

static bool on_over(void *ctx, bool stopping)
{
	return t.is_over;
}

static void on_end(void *ctx)
{
	t.ends++;
}

static const struct punctual_ops ops = {
	.name = "a test",
	.stop_within = SPAN_MS(50),
	.orders = on_orders,
	.stop = on_stop,
	.next_expiry = on_next_expiry,
	.time = on_time,
	.listen = on_listen,
	.retry = on_retry,
	.settle = on_settle,
	.over = on_over,
	.end = on_end,
};

/* --- begin and end --------------------------------------------------------------------------- */

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	t.due = MONO_NEVER;
	assert_int_equal(punctual_init(&t.p, &ops, NULL), 0);
	return 0;
}

static void end(void)
{
	punctual_look(&t.p);
	t.is_over = true;
	punctual_looked(&t.p);
	punctual_wake(&t.p);
	punctual_join(&t.p);
	assert_int_equal(t.ends, 1);
}

static int teardown(void **state)
{
	punctual_done(&t.p);
	return 0;
}

/* Until the thread has done something, for at most two seconds. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		bool is_ = false;                                                                  \
		for (int i_ = 0; i_ < 2000 && !is_; i_++) {                                        \
			punctual_look(&t.p);                                                       \
			is_ = (condition);                                                         \
			punctual_looked(&t.p);                                                     \
			usleep(is_ ? 0 : 1000);                                                    \
		}                                                                                  \
		assert_true(is_);                                                                  \
	} while (0)

/* --- what is told ---------------------------------------------------------------------------- */

static void test_it_begins_with_its_orders(void **state)
{
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders == 1);
	punctual_wake(&t.p);
	AWAIT(t.orders == 2);
	assert_string_equal(t.name, "a test");
	assert_int_equal(t.stops + t.times + t.retries + t.listens, 0);
	end();
}

/* They are the main thread's: one that lands here would end the daemon in the middle of a turn. */
static void test_signals_are_blocked(void **state)
{
	static const int some[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE, SIGUSR1 };
	sigset_t here;

	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders == 1);
	end();
	pthread_sigmask(SIG_BLOCK, NULL, &here);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		assert_true(sigismember(&t.blocked, some[i]));
		assert_false(sigismember(&here, some[i]));
	}
}

/* What a room begins in the thread (errands', which begin users' programs) is not as urgent. */
static void test_children_are_ordinary(void **state)
{
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders == 1);
	end();
	assert_int_equal(t.policy_of_child, SCHED_OTHER);
	if (t.policy == SCHED_OTHER)
		skip(); /* real time is not permitted here */
	assert_int_equal(t.policy, SCHED_RR | SCHED_RESET_ON_FORK);
}

static void test_time_is_not_early(void **state)
{
	mono_t due = mono_after(clock_boot(), SPAN_MS(20));

	t.due = due;
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.times == 1);
	assert_true(t.time_at.ns >= due.ns);
	end();
	assert_int_equal(t.times, 1);
}

/* The thread slept through its deadline: what waits in its sockets comes first. */
static void test_who_is_late_listens_first(void **state)
{
	t.sleepy = true;
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.times == 1);
	assert_int_equal(t.listens, 1);
	assert_true(t.listened_at.ns <= t.time_at.ns);
	end();
}

static void test_what_failed_is_tried_again(void **state)
{
	mono_t from = clock_boot(), first;

	t.fails = true;
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders == 1);
	punctual_look(&t.p);
	first = t.p.retry_at;
	punctual_looked(&t.p);
	assert_true(mono_since(first, from).ns >= PUNCTUAL_RETRY_EVERY.ns);
	punctual_wake(&t.p);
	AWAIT(t.orders == 2);
	punctual_look(&t.p);
	assert_int_equal(t.p.retry_at.ns, first.ns); /* not put off */
	t.fails = false;
	t.p.retry_at = clock_boot();
	punctual_looked(&t.p);
	punctual_wake(&t.p); /* so that it looks at that */
	AWAIT(t.retries == 1);
	assert_int_equal(t.p.retry_at.ns, MONO_NEVER.ns);
	end();
	assert_int_equal(t.retries, 1);
}

/* --- others ---------------------------------------------------------------------------------- */

/* A thread that never sleeps for long lets a looker in after the turn that it is in. */
static void test_a_looker_gets_its_turn(void **state)
{
	unsigned int before;

	t.busy = true;
	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders > 100);
	for (int i = 0; i < 200; i++) {
		punctual_look(&t.p);
		before = t.orders;
		usleep(100);
		assert_int_equal(t.orders, before); /* it stands still meanwhile */
		punctual_looked(&t.p);
	}
	punctual_look(&t.p);
	t.busy = false;
	punctual_looked(&t.p);
	end();
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_a_stop_has_an_end(void **state)
{
	mono_t from;

	assert_int_equal(punctual_start(&t.p), 0);
	AWAIT(t.orders == 1);
	punctual_look(&t.p);
	t.stop = true;
	punctual_looked(&t.p);
	from = clock_boot();
	punctual_wake(&t.p);
	punctual_wake(&t.p);
	punctual_join(&t.p);
	assert_true(mono_since(clock_boot(), from).ns >= SPAN_MS(50).ns);
	assert_int_equal(t.stops, 1);
	assert_int_equal(t.ends, 1);
}

static void test_it_is_over_by_itself(void **state)
{
	t.is_over = true;
	assert_int_equal(punctual_start(&t.p), 0);
	punctual_join(&t.p);
	assert_int_equal(t.stops, 0);
	assert_int_equal(t.ends, 1);
}

static unsigned int descriptors(void)
{
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_nothing_is_left(void **state)
{
	const unsigned int before = descriptors();
	struct rlimit limit, was;
	struct punctual p;
	int r = -1;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = was;
	/* Each descriptor that it needs is refused once. */
	for (rlim_t most = 3; r < 0; most++) {
		limit.rlim_cur = most;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = punctual_init(&p, &ops, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		punctual_done(&p);
		assert_int_equal(descriptors(), before);
		assert_in_range(most, 3, 64);
	}
	assert_int_equal(r, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_it_begins_with_its_orders),
		CASE(test_signals_are_blocked),
		CASE(test_children_are_ordinary),
		CASE(test_time_is_not_early),
		CASE(test_who_is_late_listens_first),
		CASE(test_what_failed_is_tried_again),
		CASE(test_a_looker_gets_its_turn),
		CASE(test_a_stop_has_an_end),
		CASE(test_it_is_over_by_itself),
		CASE(test_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
