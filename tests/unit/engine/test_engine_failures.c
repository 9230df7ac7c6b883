/* A store that says no: everything pending is undone, and the world is what the registry is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "store/mem.h"

static void open_lan(struct rig *r)
{
	struct rig_answer a = { 0 };

	rig_open(r, "mem");
	assert_int_equal(rig_segment(r, "lan", &a), ERROR_NONE);
	assert_int_equal(rig_pool(r, "p", "12:34:00:00:00:00/46", &a), ERROR_NONE);
}

static void test_refused_allocation_leaves_nothing(void **state)
{
	struct rig_answer a = { 0 };
	struct engine_status status;
	struct rig r;

	open_lan(&r);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	assert_int_equal(rig_vmac(&r, "x", &a), ERROR_REGISTRY_FULL);
	assert_int_equal(rig_pool_view(&r, "p").used, 0);
	engine_status(r.engine, &status);
	assert_int_equal(status.vmacs, 0);
	assert_int_equal(status.refusals_by_code[ERROR_REGISTRY_FULL], 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rig_vmac(&r, "", &a), ERROR_NONE);
	rig_close(&r);
}

/* Commands that build on each other, all pending when the disk fills up: add, rename, release. */
static void test_a_chain_is_undone_in_reverse(void **state)
{
	struct vmac_set rename = { .name = "y" };
	struct vmac_add add = RIG_VMAC;
	struct rig_answer a[4] = { 0 };
	struct pool_view view;
	struct rig r;

	open_lan(&r);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FAILED);
	add.name = "x";
	engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a[0]);
	engine_vmac_set(r.engine, &rig_caller, &(struct vmac_ref){ "", "x" }, &rename, rig_answered,
			&a[1]);
	engine_vmac_release(r.engine, &rig_caller, &(struct vmac_ref){ "", "y" }, rig_answered,
			    &a[2]);
	engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a[3]);
	rig_settle(&r);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a[i].count, 1);
		assert_int_equal(a[i].code, ERROR_REGISTRY_FAILED);
	}
	view = rig_pool_view(&r, "p");
	assert_int_equal(view.used + view.quarantined, 0);
	assert_int_equal(view.available, 4);
	assert_int_equal(rig_vmac(&r, "x", &a[0]), ERROR_NONE);
	rig_close(&r);
}

static void test_refused_release_stays_released_by_nobody(void **state)
{
	struct rig_answer a = { 0 };
	struct vmac_view view;
	struct error error;
	struct rig r;

	open_lan(&r);
	rig_vmac(&r, "x", &a);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_READ_ONLY);
	assert_int_equal(rig_release(&r, "x", &a), ERROR_REGISTRY_READ_ONLY);
	assert_int_equal(engine_vmac_view(r.engine, &(struct vmac_ref){ "", "x" }, &view, &error),
			 0);
	assert_int_equal(view.vmac->state, VMAC_RESERVED);
	assert_int_equal(rig_pool_view(&r, "p").used, 1);
	rig_close(&r);
}

/* An expiry that cannot be made durable is tried again, and not in a busy loop. */
static void test_refused_expiry_comes_back(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r);
	rig_vmac(&r, "x", &a);
	rig_release(&r, "x", &a);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	rig_pass(&r, INT64_C(4) * 3600000);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 1);
	assert_int_equal(engine_next_expiry(r.engine).wall.ms, WALL_NEVER.ms);
	assert_true(engine_next_expiry(r.engine).mono.ns > rig_mono_ns);
	rig_pass(&r, 1);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 1);
	rig_pass(&r, 5000);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 0);
	rig_close(&r);
}

static void test_refused_pool_and_segment_stay_as_they_were(void **state)
{
	struct rig_answer a = { 0 };
	struct error error;
	struct pool_view view;
	struct rig r;

	open_lan(&r);
	rig_vmac(&r, "x", &a);
	rig_release(&r, "x", &a);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	engine_pool_delete(r.engine, &rig_caller, "p", rig_answered, &a);
	rig_settle(&r);
	assert_int_equal(a.code, ERROR_REGISTRY_FULL);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 1);
	store_mem_fail_next(r.store, 1, ERROR_REGISTRY_FULL);
	assert_int_equal(rig_segment(&r, "dmz", &a), ERROR_REGISTRY_FULL);
	assert_int_equal(rig_segment(&r, "dmz", &a), ERROR_NONE);
	assert_int_not_equal(engine_pool_view(r.engine, "none", &view, &error), 0);
	rig_close(&r);
}

static unsigned int told;

static void on_durable(void *ctx)
{
	told++;
}

static void test_views_wait_for_durability(void **state)
{
	struct vmac_add add = RIG_VMAC;
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r);
	told = 0;
	engine_when_durable(r.engine, on_durable, NULL);
	assert_int_equal(told, 1);
	engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a);
	engine_when_durable(r.engine, on_durable, NULL);
	assert_int_equal(told, 1);
	rig_settle(&r);
	assert_int_equal(told, 2);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_allocation_leaves_nothing),
		cmocka_unit_test(test_a_chain_is_undone_in_reverse),
		cmocka_unit_test(test_refused_release_stays_released_by_nobody),
		cmocka_unit_test(test_refused_expiry_comes_back),
		cmocka_unit_test(test_refused_pool_and_segment_stay_as_they_were),
		cmocka_unit_test(test_views_wait_for_durability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
