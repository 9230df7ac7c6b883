/* The commands of the engine over a real store: what is given, kept, refused and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define HOUR   INT64_C(3600000)
#define RANGE4 "12:34:00:00:00:00/46"

static const char *text(vmac_mac_t m)
{
	static char buf[VMAC_MAC_TEXT_MAX];

	return vmac_mac_format(m, VMAC_MAC_COLON, buf);
}

static void open_lan(struct rig *r, const char *backend, const char *range)
{
	struct rig_answer a = { 0 };

	rig_open(r, backend);
	assert_int_equal(rig_segment(r, "lan", &a), ERROR_NONE);
	assert_int_equal(rig_pool(r, "p", range, &a), ERROR_NONE);
}

static void test_nth_of_n_then_exhausted(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rig_vmac(&r, "", &a), ERROR_NONE);
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_POOL_EXHAUSTED);
	assert_non_null(strstr(a.message, "pool 'p'"));
	assert_int_equal(rig_pool_view(&r, "p").used, 4);
	rig_close(&r);
}

static void test_quarantine_ends_on_time(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", "12:34:00:00:00:01");
	assert_int_equal(rig_vmac(&r, "one", &a), ERROR_NONE);
	assert_int_equal(rig_release(&r, "one", &a), ERROR_NONE);
	assert_int_equal(a.state, VMAC_QUARANTINED);
	rig_pass(&r, 4 * HOUR - 1);
	assert_int_equal(rig_vmac(&r, "two", &a), ERROR_POOL_EXHAUSTED);
	assert_int_equal(engine_next_expiry(r.engine).wall.ms, rig_wall_ms + 1);
	rig_pass(&r, 1);
	assert_int_equal(rig_vmac(&r, "two", &a), ERROR_NONE);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 0);
	rig_close(&r);
}

static void test_epoch_survives_deletion(void **state)
{
	struct rig_answer a = { 0 };
	uint64_t epoch;
	struct rig r;

	open_lan(&r, "sqlite", "12:34:00:00:00:01");
	rig_vmac(&r, "one", &a);
	epoch = a.epoch;
	rig_release(&r, "one", &a);
	rig_pass(&r, 4 * HOUR);
	rig_reopen(&r);
	assert_int_equal(rig_vmac(&r, "one", &a), ERROR_NONE);
	assert_true(a.epoch > epoch);
	rig_close(&r);
}

static void test_restart_keeps_everything(void **state)
{
	struct rig_answer a = { 0 };
	struct vmac_view view;
	struct vmac_add add = RIG_VMAC;
	struct error error;
	vmac_mac_t first;
	struct rig r;

	open_lan(&r, "sqlite", RANGE4);
	add.name = "web";
	add.owner = "alice";
	add.note = "a \"quoted\" note";
	add.ip_count = 1;
	add.ips[0] = (struct ip){ 4, { 192, 0, 2, 7 } };
	engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a);
	rig_settle(&r);
	first = a.address;
	rig_vmac(&r, "gone", &a);
	rig_release(&r, "gone", &a);
	rig_reopen(&r);
	assert_int_equal(
		engine_vmac_view(r.engine, &(struct vmac_ref){ "lan", "web" }, &view, &error), 0);
	assert_true(vmac_mac_equal(view.vmac->address, first));
	assert_string_equal(view.vmac->owner, "alice");
	assert_string_equal(view.vmac->note, "a \"quoted\" note");
	assert_int_equal(view.vmac->ip_count, 1);
	assert_string_equal(view.pool, "p");
	assert_int_equal(rig_pool_view(&r, "p").used, 1);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 1);
	assert_int_equal(rig_vmac(&r, "", &a) | rig_vmac(&r, "", &a), ERROR_NONE);
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_POOL_EXHAUSTED);
	rig_close(&r);
}

static void test_stable_after_total_loss(void **state)
{
	struct rig_answer a = { 0 };
	vmac_mac_t first = { 0 };

	for (int round = 0; round < 2; round++) {
		struct vmac_add add = RIG_VMAC;
		struct rig r;

		open_lan(&r, "mem", "12:34:00:00:00:00/16");
		/* In the second life others came before, and still: */
		for (int i = 0; i < 100 * round; i++)
			rig_vmac(&r, "", &a);
		add.identity = "vm-7/eth0";
		engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a);
		rig_settle(&r);
		assert_int_equal(a.code, ERROR_NONE);
		if (round == 0)
			first = a.address;
		assert_true(vmac_mac_equal(a.address, first));
		rig_close(&r);
	}
}

static void test_pinned_is_never_allocated(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	assert_int_equal(rig_given(&r, "12:34:00:00:00:02", false, "", &a), ERROR_NONE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_vmac(&r, "", &a), ERROR_NONE);
		assert_string_not_equal(text(a.address), "12:34:00:00:00:02");
	}
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_POOL_EXHAUSTED);
	assert_int_equal(rig_given(&r, "12:34:00:00:00:02", false, "", &a), ERROR_ADDRESS_IN_USE);
	rig_close(&r);
}

static void test_pool_takes_over_what_was_pinned_before_it(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	rig_open(&r, "mem");
	rig_segment(&r, "lan", &a);
	assert_int_equal(rig_given(&r, "12:34:00:00:00:01", false, "", &a), ERROR_NONE);
	assert_int_equal(rig_pool(&r, "p", "12:34:00:00:00:00/47", &a), ERROR_NONE);
	assert_int_equal(rig_pool_view(&r, "p").used, 1);
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_NONE);
	assert_string_equal(text(a.address), "12:34:00:00:00:00");
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_POOL_EXHAUSTED);
	rig_close(&r);
}

static void test_addresses_nobody_may_own(void **state)
{
	static const struct {
		const char *address;
		bool adopted;
		enum error_code code;
	} cases[] = {
		{ "01:00:5e:00:00:01", false, ERROR_GROUP_ADDRESS },
		{ "01:00:5e:00:00:01", true, ERROR_GROUP_ADDRESS },
		{ "ff:ff:ff:ff:ff:ff", false, ERROR_GROUP_ADDRESS },
		{ "00:00:00:00:00:00", false, ERROR_BAD_ADDRESS },
		{ "00:00:5e:00:01:05", false, ERROR_RESERVED_ADDRESS },
		{ "00:00:5e:00:01:05", true, ERROR_RESERVED_ADDRESS },
		{ "52:54:00:12:34:56", false, ERROR_RESERVED_ADDRESS },
		{ "52:54:00:12:34:56", true, ERROR_NONE },
		{ "62:00:00:00:00:01", false, ERROR_NONE },
	};
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rig_given(&r, cases[i].address, cases[i].adopted, "", &a),
				 cases[i].code);
	rig_close(&r);
}

static void test_owner_may_come_back_from_quarantine(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	rig_given(&r, "12:34:00:00:00:01", false, "alice", &a);
	assert_int_equal(rig_release(&r, "12-34-00-00-00-01", &a), ERROR_NONE);
	assert_int_equal(rig_given(&r, "12:34:00:00:00:01", false, "bob", &a),
			 ERROR_ADDRESS_IN_USE);
	assert_non_null(strstr(a.message, "quarantine"));
	assert_int_equal(rig_given(&r, "12:34:00:00:00:01", false, "alice", &a), ERROR_NONE);
	assert_int_equal(rig_pool_view(&r, "p").used, 1);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 0);
	rig_close(&r);
}

static void test_lifetime_is_renewed_and_ends_in_quarantine(void **state)
{
	struct vmac_ref ref = { "", "tmp" };
	struct vmac_add add = RIG_VMAC;
	struct rig_answer a = { 0 };
	struct vmac_view view;
	struct error error;
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	add.name = "tmp";
	add.ttl_ms = HOUR;
	engine_vmac_add(r.engine, &rig_caller, &add, rig_answered, &a);
	rig_settle(&r);
	rig_pass(&r, HOUR - 1);
	engine_vmac_renew(r.engine, &rig_caller, &ref, rig_answered, &a);
	rig_settle(&r);
	assert_int_equal(a.code, ERROR_NONE);
	rig_pass(&r, HOUR - 1);
	assert_int_equal(engine_vmac_view(r.engine, &ref, &view, &error), 0);
	rig_pass(&r, 1);
	assert_int_equal(rig_pool_view(&r, "p").quarantined, 1);
	assert_int_not_equal(engine_vmac_view(r.engine, &ref, &view, &error), 0);
	assert_int_equal(rig_vmac(&r, "tmp", &a), ERROR_NONE); /* the name is free again */
	engine_vmac_renew(r.engine, &rig_caller, &ref, rig_answered, &a);
	assert_int_equal(a.code, ERROR_WRONG_STATE); /* this one is for life */
	rig_close(&r);
}

static void test_batch_is_all_or_none(void **state)
{
	struct vmac_batch b = { .segment = "",
				.pool = "",
				.owner = "o",
				.tenant = "",
				.note = "",
				.name_prefix = "n",
				.count = 3 };
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "mem", RANGE4);
	engine_vmac_add_batch(r.engine, &rig_caller, &b, rig_answered, &a);
	rig_settle(&r);
	assert_int_equal(a.addresses, 3);
	b.name_prefix = "m";
	b.count = 2;
	engine_vmac_add_batch(r.engine, &rig_caller, &b, rig_answered, &a);
	assert_int_equal(a.code, ERROR_POOL_EXHAUSTED);
	assert_int_equal(rig_pool_view(&r, "p").used, 3);
	b.name_prefix = "n";
	b.count = 1;
	engine_vmac_add_batch(r.engine, &rig_caller, &b, rig_answered, &a);
	assert_int_equal(a.code, ERROR_NAME_IN_USE);
	b.count = 0;
	engine_vmac_add_batch(r.engine, &rig_caller, &b, rig_answered, &a);
	assert_int_equal(a.code, ERROR_BAD_VALUE);
	rig_close(&r);
}

static void test_refusals_name_what_is_wrong(void **state)
{
	struct pool_add add = {
		.name = "q", .segment = "lan", .range_count = 1, .quarantine_ms = -1
	};
	struct rig_answer a = { 0 };
	struct rig r;

	rig_open(&r, "mem");
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_NOT_FOUND);
	assert_int_equal(rig_segment(&r, "lan", &a), ERROR_NONE);
	assert_int_equal(rig_segment(&r, "lan", &a), ERROR_NAME_IN_USE);
	assert_int_equal(rig_segment(&r, "la\nn", &a), ERROR_BAD_NAME);
	assert_int_equal(rig_vmac(&r, "", &a), ERROR_NOT_FOUND);
	assert_int_equal(rig_pool(&r, "p", RANGE4, &a), ERROR_NONE);
	vmac_mac_range_parse("12:34:00:00:00:03..12:34:00:00:00:09", &add.ranges[0], NULL);
	engine_pool_add(r.engine, &rig_caller, &add, rig_answered, &a);
	assert_int_equal(a.code, ERROR_RANGE_IN_USE);
	assert_int_equal(rig_vmac(&r, "x", &a), ERROR_NONE);
	assert_int_equal(rig_vmac(&r, "x", &a), ERROR_NAME_IN_USE);
	engine_segment_delete(r.engine, &rig_caller, "lan", rig_answered, &a);
	assert_int_equal(a.code, ERROR_IN_USE);
	engine_pool_delete(r.engine, &rig_caller, "p", rig_answered, &a);
	assert_int_equal(a.code, ERROR_IN_USE);
	engine_port_add(r.engine, &rig_caller,
			&(struct port_add){ .name = "v", .segment = "", .vmac = "", .ifname = "" },
			rig_answered, &a);
	assert_int_equal(a.code, ERROR_KERNEL_UNSUPPORTED);
	rig_close(&r);
}

static void test_pool_goes_and_quarantine_stays(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	open_lan(&r, "sqlite", "12:34:00:00:00:01");
	rig_vmac(&r, "x", &a);
	rig_release(&r, "x", &a);
	engine_pool_delete(r.engine, &rig_caller, "p", rig_answered, &a);
	rig_settle(&r);
	assert_int_equal(a.code, ERROR_NONE);
	rig_reopen(&r);
	assert_int_equal(rig_pool(&r, "again", "12:34:00:00:00:01", &a), ERROR_NONE);
	assert_int_equal(rig_vmac(&r, "y", &a), ERROR_POOL_EXHAUSTED);
	rig_pass(&r, 4 * HOUR);
	assert_int_equal(rig_vmac(&r, "y", &a), ERROR_NONE);
	rig_close(&r);
}

static void count_one(void *ctx, const struct vmac_view *v)
{
	vmac_mac_t *last = ctx;

	assert_true(vmac_mac_compare(*last, v->vmac->address) < 0);
	*last = v->vmac->address;
}

static void test_pages_in_order(void **state)
{
	struct vmac_filter f = { .segment = "",
				 .pool = "",
				 .owner = "",
				 .tenant = "",
				 .state = -1,
				 .kind = -1,
				 .origin = -1,
				 .limit = 7,
				 .after_segment = "lan" };
	vmac_mac_t last = { { 0 } };
	struct rig_answer a = { 0 };
	unsigned int pages = 0;
	struct error error;
	bool more = true;
	struct rig r;

	open_lan(&r, "mem", "12:34:00:00:00:00/32");
	for (int i = 0; i < 50; i++)
		rig_vmac(&r, "", &a);
	for (; more; pages++) {
		assert_int_equal(engine_vmacs(r.engine, &f, count_one, &last, &more, &error), 0);
		f.after = true;
		f.after_address = last;
	}
	assert_int_equal(pages, 8);
	rig_close(&r);
}

static unsigned int events;

static void on_event(void *ctx, const struct engine_event *event)
{
	events++;
	assert_int_equal(event->seq, events);
	assert_string_equal(event->actor, "tester");
	assert_string_equal(event->reason, "because");
}

static void test_every_change_is_an_event(void **state)
{
	struct rig_answer a = { 0 };
	struct rig r;

	rig_open(&r, "mem");
	events = 0;
	engine_subscribe(r.engine, on_event, NULL);
	rig_segment(&r, "lan", &a);
	rig_pool(&r, "p", RANGE4, &a);
	rig_vmac(&r, "x", &a);
	rig_release(&r, "x", &a);
	assert_int_equal(events, 4);
	rig_vmac(&r, "bad name", &a);
	assert_int_equal(events, 4);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nth_of_n_then_exhausted),
		cmocka_unit_test(test_quarantine_ends_on_time),
		cmocka_unit_test(test_epoch_survives_deletion),
		cmocka_unit_test(test_restart_keeps_everything),
		cmocka_unit_test(test_stable_after_total_loss),
		cmocka_unit_test(test_pinned_is_never_allocated),
		cmocka_unit_test(test_pool_takes_over_what_was_pinned_before_it),
		cmocka_unit_test(test_addresses_nobody_may_own),
		cmocka_unit_test(test_owner_may_come_back_from_quarantine),
		cmocka_unit_test(test_lifetime_is_renewed_and_ends_in_quarantine),
		cmocka_unit_test(test_batch_is_all_or_none),
		cmocka_unit_test(test_refusals_name_what_is_wrong),
		cmocka_unit_test(test_pool_goes_and_quarantine_stays),
		cmocka_unit_test(test_pages_in_order),
		cmocka_unit_test(test_every_change_is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
