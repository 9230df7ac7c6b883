#include <unistd.h>

#include "lab.h"

static const vmac_mac_t a = { { 0x12, 0, 0, 0, 0, 0x0a } }, b = { { 0x12, 0, 0, 0, 0, 0x0b } };

struct seen {
	unsigned int count;
	bool a, b;
};

static void on_entry(void *ctx, vmac_mac_t address)
{
	struct seen *s = ctx;

	s->count++;
	s->a |= vmac_mac_equal(address, a);
	s->b |= vmac_mac_equal(address, b);
}

static struct seen list(struct host *h, int ifindex)
{
	struct seen s = { 0 };
	struct error e;
	int r = host_filter_list(h, ifindex, on_entry, &s, &e);

	assert_ok(r, e);
	return s;
}

static void adds_lists_and_deletes(struct host *h, int ifindex)
{
	struct error e;
	struct seen s;
	int r;

	assert_int_equal(list(h, ifindex).count, 0);
	r = host_filter_add(h, ifindex, a, &e);
	assert_ok(r, e);
	r = host_filter_add(h, ifindex, b, &e);
	assert_ok(r, e);
	r = host_filter_add(h, ifindex, a, &e);
	assert_ok(r, e);
	s = list(h, ifindex);
	assert_true(s.a && s.b && s.count == 2);
	r = host_filter_delete(h, ifindex, a, &e);
	assert_ok(r, e);
	s = list(h, ifindex);
	assert_true(!s.a && s.b && s.count == 1);
	r = host_filter_delete(h, ifindex, a, &e);
	assert_ok(r, e);
	r = host_filter_delete(h, ifindex, b, &e);
	assert_ok(r, e);
	assert_int_equal(list(h, ifindex).count, 0);
}

/* A device without a filter of its own: the kernel makes it promiscuous, and it shows. */
static void falls_back_on_veth(void **state)
{
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int r;

	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	l = lab_link(h, "v0");
	assert_int_equal(l.promiscuity, 0);
	adds_lists_and_deletes(h, l.ifindex);
	assert_int_equal(lab_link(h, "v0").promiscuity, 0);
	r = host_filter_add(h, l.ifindex, a, &e);
	assert_ok(r, e);
	assert_int_equal(lab_link(h, "v0").promiscuity, 1);
	r = host_filter_delete(h, l.ifindex, a, &e);
	assert_ok(r, e);
	assert_int_equal(lab_link(h, "v0").promiscuity, 0);

	/* Addresses of other devices are not this one's. */
	r = host_filter_add(h, lab_link(h, "v1").ifindex, b, &e);
	assert_ok(r, e);
	assert_int_equal(list(h, l.ifindex).count, 0);
	lab_run("ip link delete v0");
	host_close(h);
}

/* A device that filters: it stays so. */
static void filters_on_macvlan(void **state)
{
	struct host *h = lab_host();
	struct host_link l;
	struct error e;
	int r;

	lab_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	if (!lab_try("ip link add m0 link v0 type macvlan mode passthru 2>/dev/null") &&
	    !lab_try("ip link add m0 link v0 type macvlan mode bridge")) {
		lab_run("ip link delete v0");
		host_close(h);
		print_message("skipped: needs the macvlan driver\n");
		skip();
	}
	lab_run("ip link set m0 up");
	l = lab_link(h, "m0");
	assert_string_equal(l.kind, "macvlan");
	adds_lists_and_deletes(h, l.ifindex);
	r = host_filter_add(h, l.ifindex, a, &e);
	assert_ok(r, e);
	assert_int_equal(lab_link(h, "m0").promiscuity, 0);
	lab_run("ip link delete m0 && ip link delete v0");
	host_close(h);
}

static void what_others_put_there_is_listed(void **state)
{
	struct host *h = lab_host();
	struct seen s;

	lab_run("ip link add v0 type veth peer name v1");
	lab_run("bridge fdb add 12:00:00:00:00:0a dev v0 self permanent");
	lab_run("bridge fdb add 01:00:5e:00:00:05 dev v0 self permanent");
	s = list(h, lab_link(h, "v0").ifindex);
	assert_true(s.a && s.count == 1);
	lab_run("ip link delete v0");
	host_close(h);
}

static void many_entries(void **state)
{
	struct host *h = lab_host();
	struct error e;
	int index, r;

	lab_run("ip link add v0 type veth peer name v1");
	index = lab_link(h, "v0").ifindex;
	for (unsigned int i = 0; i < 2000; i++) {
		r = host_filter_add(h, index, vmac_mac_from_u64(0x120000000000 + i), &e);
		assert_ok(r, e);
	}
	assert_int_equal(list(h, index).count, 2000);
	lab_run("ip link delete v0");
	host_close(h);
}

static void on_a_link_that_is_gone(void **state)
{
	struct host *h = lab_host();
	struct seen s = { 0 };
	struct error e;
	int r;

	r = host_filter_add(h, 99999, a, &e);
	assert_error(r, e, ERROR_NO_INTERFACE);
	r = host_filter_delete(h, 99999, a, &e);
	assert_ok(r, e);
	r = host_filter_list(h, 99999, on_entry, &s, &e);
	assert_ok(r, e);
	assert_int_equal(s.count, 0);
	host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(falls_back_on_veth),
		cmocka_unit_test(filters_on_macvlan),
		cmocka_unit_test(what_others_put_there_is_listed),
		cmocka_unit_test(many_entries),
		cmocka_unit_test(on_a_link_that_is_gone),
	};

	lab_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
