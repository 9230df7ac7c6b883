/* The board and the mailboxes, with the thread's part played by the test: the newest word counts,
 * and none is lost for want of memory. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"

#include "anchor/thread.h"
#include "false_group.h"

static struct anchors *a;
static int refuse_after; /* allocations until one fails; < 0: never */
static int starts, start_fails;
static unsigned int ends_of_leases;

/* --- what the files under test call ---------------------------------------------------------- */

static void *mem_new(void *ctx, size_t size)
{
	if (refuse_after == 0)
		return NULL;
	if (refuse_after > 0)
		refuse_after--;
	return calloc(1, size);
}

static void mem_end(void *ctx, void *p)
{
	free(p);
}

static const struct mem memory = { mem_new, mem_end, NULL };

static void on_lease(void *ctx, unsigned int slot, unsigned int face, mono_t serve, mono_t speak)
{
	ends_of_leases += serve.ns == 0;
}

static void on_own(void *ctx, unsigned int slot, mono_t until)
{
}

static void on_standing(void *ctx, unsigned int slot, const struct heartbeat_bits *members)
{
}

static void on_send(void *ctx, const struct anchor_where *where, const void *frame, size_t len)
{
}

static void on_report(void *ctx, const struct anchor_report *r)
{
	report_add(ctx, r);
}

static void on_gone(void *ctx, uint32_t cluster)
{
	reports_forget(ctx, cluster);
}

static const struct anchor_ops ops = { on_lease, on_own, on_standing, on_send, on_report, on_gone };

void thread_reap(struct anchors *anchors)
{
	if (anchors->ended)
		anchors->running = anchors->ended = false;
}

int thread_start(struct anchors *anchors, struct error *ret_error)
{
	starts++;
	if (start_fails)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "not enough memory");
	anchors->running = true;
	return 0;
}

void links_revive(struct anchors *anchors, int ifindex)
{
}

static void on_none(void *ctx, const struct anchor_report *r)
{
}

/* --- begin and end --------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct anchor_core_config config = { .mem = &memory, .ops = &ops };

	a = calloc(1, sizeof(*a));
	assert_non_null(a);
	config.ctx = a;
	config.identity = a->identity = rig_identity(4);
	refuse_after = -1;
	starts = start_fails = 0;
	ends_of_leases = 0;
	assert_int_equal(anchor_core_new(&config, &a->core), 0);
	assert_int_equal(punctual_init(&a->thread, NULL, a), 0);
	a->reports_fd = eventfd(0, EFD_NONBLOCK);
	pthread_mutex_init(&a->queues, NULL);
	reports_init(a);
	false_forget();
	false_inits = 0;
	return 0;
}

static int teardown(void **state)
{
	anchor_core_free(a->core);
	orders_end(a);
	reports_free(a);
	punctual_done(&a->thread);
	close(a->reports_fd);
	free(a);
	return 0;
}

static void set(uint32_t id, uint64_t generation)
{
	const struct anchor_where where = {
		.slot = id, .segment = "lan", .ifindex = 1, .up = true
	};
	const int refuse = refuse_after;
	const struct cluster *record;
	struct rig_cluster c;

	rig_cluster(&c, id, 2, 3);
	c.record.generation = generation;
	refuse_after = -1;
	record = cluster_record_new(&c.record, &memory);
	refuse_after = refuse;
	assert_non_null(record);
	anchor_set(a, record, &where);
	cluster_release(record);
}

/* --- orders ---------------------------------------------------------------------------------- */

static void test_newest_word_counts(void **state)
{
	eventfd_t woken = 0;

	set(1, 1);
	assert_int_equal(starts, 1);
	set(1, 2);
	set(1, 3);
	assert_int_equal(starts, 1);
	assert_int_equal(eventfd_read(a->thread.wake, &woken), 0);
	assert_false(orders_do(a));
	assert_int_equal(false_inits, 1);
	assert_int_equal(false_config.record->generation, 3);
	assert_int_equal(false_told(GROUP_RECORD, NULL), 0);
	set(1, 4);
	orders_do(a);
	assert_int_equal(false_told(GROUP_RECORD, NULL), 1);
	orders_do(a);
	assert_int_equal(false_inits, 1);
	assert_int_equal(false_told(GROUP_RECORD, NULL), 1);
}

static void test_members(void **state)
{
	struct group_event told;

	set(1, 1);
	anchor_member(a, 1, 2, true, true, false);
	anchor_member(a, 1, 2, true, false, true);
	anchor_member(a, 1, 3, true, true, false);
	anchor_member(a, 1, 3, false, true, false); /* nobody is fit who is not here */
	orders_do(a);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 1);
	assert_int_equal(told.member, 2);
	assert_true(told.hosted && !told.fit && told.busy);
	anchor_member(a, 1, 3, true, true, false);
	orders_do(a);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 2);
	assert_int_equal(told.member, 3);
	/* Of another host's member flows may be known here. */
	anchor_member(a, 1, 3, false, true, true);
	orders_do(a);
	assert_int_equal(false_told(GROUP_MEMBER, &told), 3);
	assert_true(!told.hosted && !told.fit && told.busy);
}

static void test_views(void **state)
{
	const struct heartbeat_view one = { 7, 1 }, two = { 7, 2 };
	struct group_event told;

	set(1, 1);
	orders_do(a);
	anchor_installed(a, 1, &one);
	anchor_installed(a, 1, &two);
	anchor_committed(a, 1, &one);
	orders_do(a);
	assert_int_equal(false_told(GROUP_INSTALLED, &told), 1);
	assert_int_equal(told.view.number, 2);
	assert_int_equal(false_told(GROUP_COMMITTED, &told), 1);
	assert_int_equal(told.view.number, 1);
	anchor_member(a, 1, 1, true, true, false);
	orders_do(a);
	assert_int_equal(false_told(GROUP_INSTALLED, NULL), 1);
	assert_int_equal(false_told(GROUP_COMMITTED, NULL), 1);
}

static void test_claims(void **state)
{
	struct group_event told;

	anchor_claimed(a, 1, 1, 20, 3); /* also of one that is only about to be */
	anchor_claimed(a, 1, 1, 19, 2);
	set(1, 1);
	orders_do(a);
	assert_int_equal(false_told(GROUP_CLAIMED, &told), 1);
	assert_int_equal(told.epoch, 20);
	assert_int_equal(told.face, 1);
	assert_int_equal(told.host, 3);
	anchor_claimed(a, 1, 1, 18, 3);
	orders_do(a);
	assert_int_equal(false_told(GROUP_CLAIMED, NULL), 1);
	anchor_claimed(a, 1, 1, 20, 2); /* two with one epoch */
	orders_do(a);
	assert_int_equal(false_told(GROUP_CLAIMED, &told), 2);
	assert_int_equal(told.host, 2);
	anchor_stranger(a, 1, 0);
	anchor_stranger(a, 1, 0);
	orders_do(a);
	assert_int_equal(false_told(GROUP_STRANGER, &told), 1);
	assert_int_equal(told.face, 0);
}

static void test_removed_and_set(void **state)
{
	set(1, 1);
	anchor_member(a, 1, 1, true, true, false);
	anchor_claimed(a, 1, 0, 9, 1);
	orders_do(a);
	false_forget();
	anchor_remove(a, 1);
	set(1, 1);
	orders_do(a);
	assert_int_equal(false_told(GROUP_LEAVE, NULL), 1);
	assert_int_equal(false_inits, 2);
	/* Nothing of the one before is true of it. */
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 0);
	assert_int_equal(false_told(GROUP_CLAIMED, NULL), 0);
	anchor_remove(a, 1);
	orders_do(a);
	assert_true(anchor_core_empty(a->core));
	assert_true(ends_of_leases > 0);
}

static void test_set_and_removed(void **state)
{
	set(1, 1);
	anchor_remove(a, 1);
	orders_do(a);
	assert_int_equal(false_inits, 0);
}

static void test_identity(void **state)
{
	const struct uuid self = rig_identity(9).self;

	set(1, 1);
	orders_do(a);
	anchor_identity(a, &self, 9, false);
	orders_do(a);
	assert_int_equal(false_inits, 2);
	assert_int_equal(false_config.number, 9);
	assert_int_equal(false_config.incarnation, 7);
}

static void test_memory_is_short(void **state)
{
	const struct heartbeat_view view = { 7, 1 };
	struct group_event told;

	set(1, 1);
	anchor_claimed(a, 1, 0, 9, 1);
	anchor_member(a, 1, 2, true, true, false);
	refuse_after = 0;
	orders_do(a);
	assert_int_equal(false_inits, 0);
	assert_true(a->lacking[1]);
	assert_true(a->thread.retry_at.ns != MONO_NEVER.ns);
	/* More is asked of it meanwhile. */
	anchor_member(a, 1, 3, true, true, false);
	orders_do(a);
	orders_retry(a);
	assert_int_equal(false_inits, 0);
	refuse_after = -1;
	orders_retry(a);
	assert_int_equal(false_inits, 1);
	assert_false(a->lacking[1]);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 2);
	assert_int_equal(false_told(GROUP_CLAIMED, &told), 1);
	assert_int_equal(told.epoch, 9);
	anchor_installed(a, 1, &view);
	orders_do(a);
	assert_int_equal(false_told(GROUP_INSTALLED, NULL), 1);
	/* One that is lacking is not wanted any more. */
	refuse_after = 0;
	set(2, 1);
	orders_do(a);
	assert_true(a->lacking[2]);
	anchor_remove(a, 2);
	orders_do(a);
	assert_false(a->lacking[2]);
	refuse_after = -1;
	orders_retry(a);
	assert_int_equal(false_inits, 1);
}

static void test_no_thread(void **state)
{
	start_fails = 1;
	set(1, 1);
	assert_int_equal(a->trouble.code, ERROR_NO_MEMORY);
	assert_false(a->running);
	anchor_member(a, 1, 2, true, true, false);
	start_fails = 0;
	anchor_remove(a, 2); /* needs none */
	assert_false(a->running);
	assert_int_equal(starts, 2);
	anchor_member(a, 1, 3, true, true, false); /* tries again */
	assert_true(a->running);
	set(2, 1);
	assert_int_equal(starts, 3);
	orders_do(a);
	assert_int_equal(false_inits, 2);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 2);
}

/* What is asked for, or was not looked at, keeps the thread. */
static void test_nothing_is_asked_for(void **state)
{
	assert_true(orders_none(a));
	a->ended = false;
	set(1, 1);
	assert_false(orders_none(a));
	orders_do(a);
	assert_false(orders_none(a));
	anchor_remove(a, 1);
	assert_false(orders_none(a));
	assert_false(a->ended);
	orders_do(a);
	assert_true(orders_none(a));
	assert_true(a->ended);
	/* What comes now finds it ended, and has another begun. */
	assert_int_equal(starts, 1);
	anchor_member(a, 1, 2, true, true, false);
	assert_false(a->running);
	assert_int_equal(starts, 1);
	set(1, 2);
	assert_true(a->running);
	assert_int_equal(starts, 2);
	assert_false(orders_none(a));
	orders_do(a);
	assert_int_equal(false_told(GROUP_MEMBER, NULL), 1);
	/* One that lacks memory is asked for still. */
	anchor_remove(a, 1);
	refuse_after = 0;
	set(2, 1);
	orders_do(a);
	assert_true(anchor_core_empty(a->core));
	assert_false(orders_none(a));
}

static void test_who_looks_at_reports_tidies_up(void **state)
{
	set(1, 1);
	anchor_remove(a, 1);
	orders_do(a);
	assert_true(orders_none(a));
	anchor_dispatch(a, on_none, NULL);
	assert_false(a->running);
}

/* --- reports --------------------------------------------------------------------------------- */

struct seen {
	unsigned int count;
	struct anchor_report reports[16];
	uint16_t choice[16]; /* the last one's id */
};

static void on_told(void *ctx, const struct anchor_report *r)
{
	struct seen *s = ctx;

	assert_true(s->count < 16);
	s->reports[s->count] = *r;
	if (r->choices)
		s->choice[s->count] = r->choices[r->choice_count - 1].id;
	s->count++;
}

static void install(uint32_t cluster, uint32_t number, uint16_t last)
{
	struct balance_choice choices[CLUSTER_MEMBERS_MAX] = { 0 };
	const struct anchor_report r = {
		.kind = ANCHOR_INSTALL,
		.cluster = cluster,
		.view = { 1, number },
		.choices = choices,
		.choice_count = CLUSTER_MEMBERS_MAX,
	};

	choices[CLUSTER_MEMBERS_MAX - 1].id = last;
	report_add(a, &r);
	choices[CLUSTER_MEMBERS_MAX - 1].id = 0; /* it was lent */
}

static void report(enum anchor_report_kind kind, uint32_t cluster, uint64_t epoch, uint8_t face)
{
	const struct anchor_report r = {
		.kind = kind, .cluster = cluster, .epoch = epoch, .face = face
	};

	report_add(a, &r);
}

static void test_newest_report_counts(void **state)
{
	struct seen s = { 0 };
	eventfd_t woken;

	install(1, 1, 11);
	report(ANCHOR_HOLD, 1, 5, 0);
	report(ANCHOR_HOLD, 1, 6, 1);
	report(ANCHOR_COMMIT, 1, 0, 0);
	install(2, 1, 22);
	install(1, 2, 12);
	report(ANCHOR_HOLD, 1, 7, 0);
	report(ANCHOR_NOTE, 1, 0, 0);
	report(ANCHOR_ALARM, 1, 0, 0);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 7);
	assert_int_equal(s.reports[0].kind, ANCHOR_HOLD);
	assert_int_equal(s.reports[0].epoch, 6);
	assert_int_equal(s.reports[1].kind, ANCHOR_COMMIT);
	assert_int_equal(s.reports[2].cluster, 2);
	assert_int_equal(s.choice[2], 22);
	assert_int_equal(s.reports[3].kind, ANCHOR_INSTALL);
	assert_int_equal(s.reports[3].view.number, 2);
	assert_int_equal(s.choice[3], 12);
	assert_int_equal(s.reports[4].epoch, 7);
	assert_int_equal(s.reports[5].kind, ANCHOR_NOTE);
	assert_int_equal(s.reports[6].kind, ANCHOR_ALARM);
	assert_true(eventfd_read(a->reports_fd, &woken) < 0);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 7);
}

static void test_of_one_that_is_gone(void **state)
{
	struct seen s = { 0 };

	install(1, 1, 11);
	report(ANCHOR_COMMIT, 1, 0, 0);
	report(ANCHOR_HOLD, 1, 6, 1);
	report(ANCHOR_NOTE, 1, 0, 0);
	install(2, 1, 22);
	reports_forget(a, 1);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.reports[0].kind, ANCHOR_HOLD);
	assert_int_equal(s.reports[1].kind, ANCHOR_NOTE);
	assert_int_equal(s.reports[2].cluster, 2);
}

/* What could not be done is told again as it was, unless there is newer word, or none at all. */
static void test_told_again(void **state)
{
	struct seen s = { 0 };

	anchor_again(a, 1, ANCHOR_INSTALL);
	install(1, 1, 11);
	anchor_again(a, 1, ANCHOR_INSTALL);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 1);
	anchor_again(a, 1, ANCHOR_COMMIT);
	anchor_again(a, 1, ANCHOR_INSTALL);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.reports[1].kind, ANCHOR_INSTALL);
	assert_int_equal(s.choice[1], 11);
	report(ANCHOR_COMMIT, 1, 0, 0);
	anchor_dispatch(a, on_told, &s);
	install(1, 2, 12);
	anchor_again(a, 1, ANCHOR_INSTALL);
	anchor_again(a, 1, ANCHOR_COMMIT);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 5);
	assert_int_equal(s.reports[3].view.number, 2);
	assert_int_equal(s.reports[4].kind, ANCHOR_COMMIT);
	/* Its machine has begun anew. */
	reports_forget(a, 1);
	anchor_again(a, 1, ANCHOR_INSTALL);
	anchor_again(a, 1, ANCHOR_COMMIT);
	anchor_dispatch(a, on_told, &s);
	assert_int_equal(s.count, 5);
}

static void on_counted(void *ctx, const struct anchor_report *r)
{
	(*(unsigned int *)ctx)++;
}

static void test_a_flood_of_notes(void **state)
{
	unsigned int told = 0, turns = 0;
	eventfd_t woken;

	for (unsigned int i = 0; i < NOTES_MAX + 100; i++)
		report(ANCHOR_NOTE, 1, i, 0);
	install(1, 1, 11); /* what counts is never kept out by them */
	while (eventfd_read(a->reports_fd, &woken) == 0) {
		eventfd_write(a->reports_fd, 1);
		anchor_dispatch(a, on_counted, &told);
		turns++;
	}
	assert_int_equal(told, NOTES_MAX + 1);
	assert_true(turns > 60); /* others have their turn in between */
	assert_int_equal(a->note_count, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_newest_word_counts),
		CASE(test_members),
		CASE(test_views),
		CASE(test_claims),
		CASE(test_removed_and_set),
		CASE(test_set_and_removed),
		CASE(test_identity),
		CASE(test_memory_is_short),
		CASE(test_no_thread),
		CASE(test_nothing_is_asked_for),
		CASE(test_who_looks_at_reports_tidies_up),
		CASE(test_newest_report_counts),
		CASE(test_of_one_that_is_gone),
		CASE(test_told_again),
		CASE(test_a_flood_of_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
