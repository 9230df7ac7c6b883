/* The keys that were told: nothing twice, nothing old after something new, and what is gone is
 * found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "store/etcd_index.h"

static int refuse_after = -1;

static void *get(void *ctx, size_t size)
{
	if (refuse_after == 0)
		return NULL;
	if (refuse_after > 0)
		refuse_after--;
	return calloc(1, size);
}

static void end(void *ctx, void *p)
{
	free(p);
}

static const struct mem mem = { get, end, NULL };

static int begin(void **state)
{
	static struct etcd_index ix;

	etcd_index_init(&ix, &mem);
	*state = &ix;
	return 0;
}

static int finish(void **state)
{
	etcd_index_done(*state);
	return 0;
}

static void test_newer_only(void **state)
{
	struct etcd_index *ix = *state;

	assert_int_equal(etcd_index_there(ix, "a", 5), 1);
	assert_int_equal(etcd_index_there(ix, "a", 5), 0);
	assert_int_equal(etcd_index_there(ix, "a", 4), 0);
	assert_int_equal(etcd_index_there(ix, "a", 6), 1);
	assert_false(etcd_index_deleted(ix, "a", 5));
	assert_true(etcd_index_deleted(ix, "a", 7));
	assert_false(etcd_index_deleted(ix, "a", 7));
	assert_int_equal(ix->live, 0);
	assert_int_equal(ix->highest, 7);
}

/* Our own deletion is answered before the watch has come so far. */
static void test_overtaken_watch(void **state)
{
	struct etcd_index *ix = *state;

	etcd_index_there(ix, "a", 5);
	assert_int_equal(etcd_index_absent(ix, "a", 9), 1);
	assert_int_equal(ix->live, 0);
	assert_int_equal(etcd_index_there(ix, "a", 7), 0);
	assert_false(etcd_index_deleted(ix, "a", 9));
	assert_int_equal(ix->table.count, 0);
	/* Never heard of before: the mark holds back what is older. */
	assert_int_equal(etcd_index_absent(ix, "b", 12), 1);
	assert_int_equal(etcd_index_there(ix, "b", 11), 0);
	assert_int_equal(etcd_index_there(ix, "b", 13), 1);
	assert_int_equal(ix->live, 1);
}

static char swept[8][16];
static size_t swept_count;

static void note(void *ctx, const char *key)
{
	assert_true(swept_count < 8);
	snprintf(swept[swept_count], sizeof(swept[0]), "%s", key);
	swept_count++;
}

static void test_sweep(void **state)
{
	struct etcd_index *ix = *state;

	etcd_index_there(ix, "stays", 1);
	etcd_index_there(ix, "goes", 2);
	etcd_index_there(ix, "was gone", 2);
	etcd_index_absent(ix, "was gone", 3);
	ix->generation++;
	etcd_index_there(ix, "stays", 1);
	etcd_index_there(ix, "newer", 11); /* written while the read at 10 went on */
	ix->generation++;
	etcd_index_there(ix, "stays", 1);
	swept_count = 0;
	refuse_after = 0;
	assert_true(etcd_index_sweep(ix, 10, note, NULL) < 0);
	refuse_after = -1;
	assert_int_equal(swept_count, 0);
	assert_int_equal(etcd_index_sweep(ix, 10, note, NULL), 0);
	assert_int_equal(swept_count, 1);
	assert_string_equal(swept[0], "goes");
	assert_int_equal(ix->live, 2);
	assert_int_equal(ix->table.count, 2);
}

static void test_begun_anew(void **state)
{
	struct etcd_index *ix = *state;

	etcd_index_there(ix, "a", 1000);
	etcd_index_forget_revisions(ix);
	assert_int_equal(etcd_index_there(ix, "a", 3), 1);
	assert_int_equal(ix->live, 1);
	assert_int_equal(ix->highest, 3);
}

static void test_no_memory(void **state)
{
	struct etcd_index *ix = *state;

	for (int n = 0; n < 2; n++) {
		refuse_after = n;
		assert_true(etcd_index_there(ix, "a", 1) < 0);
		assert_int_equal(ix->live, 0);
	}
	refuse_after = -1;
	assert_int_equal(etcd_index_there(ix, "a", 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_newer_only, begin, finish),
		cmocka_unit_test_setup_teardown(test_overtaken_watch, begin, finish),
		cmocka_unit_test_setup_teardown(test_sweep, begin, finish),
		cmocka_unit_test_setup_teardown(test_begun_anew, begin, finish),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
