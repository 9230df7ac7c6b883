/* Opening, taking over, changing, sweeping, purging: what is left in the kernel at each step.
 * (A full segment: test_ports.c.) */
#include "frames.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <cmocka.h>

#define TYPE 0x88b5
#define NIC  "52:54:00:aa:bb:cc"
#define MISS "5a:99:00:00:00:99"

static const char *attach_wanted; /* NULL: the best the kernel has */
static struct plane *p;
static int up, up_fd, a, a_fd, b, b_fd;

/* --- tools ----------------------------------------------------------------------------------- */

static vmac_mac_t mac_of(unsigned int id)
{
	return vmac_mac_from_u64(0x5a1000000000ULL + id);
}

static struct plane_port port_of(unsigned int id, int ifindex)
{
	return (struct plane_port){ .id = id,
				    .ifindex = ifindex,
				    .net = { 1, 0 },
				    .address = mac_of(id),
				    .gate = PLANE_OPEN,
				    .mtu = 1500 };
}

static void set(struct plane_port port)
{
	struct error e;

	if (plane_port_set(p, &port, &e) < 0)
		fail_msg("%s", e.message);
}

static void set_uplink(void)
{
	struct plane_uplink u = { 1, up, lab_mac(NIC), 1500 };
	struct error e;

	assert_int_equal(plane_uplink_set(p, &u, &e), 0);
}

static void set_all(void)
{
	set_uplink();
	set(port_of(1, a));
	set(port_of(2, b));
}

static unsigned int sweep(void)
{
	unsigned int removed;
	struct error e;

	if (plane_sweep(p, &removed, &e) < 0)
		fail_msg("%s", e.message);
	return removed;
}

static void reopen(const char *attach)
{
	plane_close(p);
	p = lab_plane(attach);
}

static unsigned int drain(int fd)
{
	unsigned int count = 0;
	uint8_t buf[2048];

	while (read(fd, buf, sizeof(buf)) > 0)
		count++;
	return count;
}

/* One frame from port 1 to port 2: how often it arrives. */
static unsigned int crossing(void)
{
	vmac_mac_t to = mac_of(2), from = mac_of(1);
	uint8_t f[60] = { 0 };

	drain(b_fd);
	memcpy(f, to.octet, 6);
	memcpy(f + 6, from.octet, 6);
	f[12] = TYPE >> 8;
	f[13] = TYPE & 0xff;
	assert_int_equal(write(a_fd, f, sizeof(f)), sizeof(f));
	return drain(b_fd);
}

static struct plane_facts facts(void)
{
	struct plane_facts f;

	plane_facts(p, &f);
	return f;
}

static void purge(void)
{
	struct error e;

	assert_int_equal(plane_purge(p, &e), 0);
}

static int fresh(void **state)
{
	p = lab_plane_fresh(p, attach_wanted);
	return 0;
}

/* --- taking over ----------------------------------------------------------------------------- */

static void a_new_process_takes_over_what_it_finds(void **state)
{
	assert_false(facts().maps_reused);
	set_all();
	assert_int_equal(sweep(), 0);
	assert_int_equal(crossing(), 1);
	plane_close(p);
	p = NULL;
	assert_int_equal(crossing(), 1); /* nobody is there, and it goes on */
	p = lab_plane(attach_wanted);
	assert_true(facts().maps_reused);
	assert_int_equal(facts().ports, 0);
	assert_int_equal(crossing(), 1);
	set_all();
	assert_int_equal(lab_counters(p, 1).rx_frames, 3); /* counted all the time */
	assert_int_equal(crossing(), 1);
	assert_int_equal(sweep(), 0);
	assert_int_equal(facts().ports, 2);
	assert_int_equal(facts().uplinks, 1);
}

static void what_nobody_set_again_is_swept(void **state)
{
	struct plane_uplink other = { 2, b, lab_mac("52:54:00:00:00:77"), 1500 };
	struct error e;

	set_all();
	sweep();
	reopen(attach_wanted);
	set_uplink();
	set(port_of(1, a));
	assert_int_equal(crossing(), 1);
	assert_true(sweep() >= 1); /* port 2 */
	assert_int_equal(crossing(), 0);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 0), plane_mac_word(mac_of(2))), 0);
	assert_int_equal(tables_index(&p->tables, b), 0);
	assert_int_equal(tables_list_count(&p->tables, NET_OF(1, 0)), 1);
	assert_int_equal(sweep(), 0);
	/* The link is free for another use. */
	assert_int_equal(plane_uplink_set(p, &other, &e), 0);
	reopen(attach_wanted);
	set_uplink();
	assert_true(sweep() >= 2);
	assert_int_equal(tables_index(&p->tables, b), 0);
}

static void purge_leaves_nothing(void **state)
{
	struct stat st;
	int stack;

	set_all();
	sweep();
	assert_int_equal(stat(LAB_BPFFS "/vmac/lab/links", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	purge();
	assert_int_equal(stat(LAB_BPFFS "/vmac/lab", &st), -1);
	assert_int_equal(crossing(), 0);
	stack = lab_stack("a", TYPE);
	crossing();
	assert_int_equal(lab_raw_count(stack, TYPE, 20), 1); /* an ordinary link again */
	close(stack);
	reopen(attach_wanted);
	assert_false(facts().maps_reused);
}

static void maps_of_another_layout_are_replaced_without_a_gap(void **state)
{
	char path[160];
	int fd;

	set_all();
	sweep();
	snprintf(path, sizeof(path), "%s/drops", p->maps);
	plane_close(p);
	p = NULL;
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "stranger", 4, 8, 1, NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	p = lab_plane(attach_wanted);
	assert_false(facts().maps_reused);
	assert_int_equal(crossing(), 1);
	set_uplink();
	assert_int_equal(crossing(), 1);
	set(port_of(1, a));
	assert_int_equal(crossing(), 1); /* port 2 is not in the new tables yet */
	set(port_of(2, b));
	assert_int_equal(crossing(), 1);
	assert_int_equal(lab_counters(p, 1).rx_frames, 0);
	sweep();
	assert_int_equal(crossing(), 1);
	assert_int_equal(lab_counters(p, 1).rx_frames, 1); /* the new program counts */
	reopen(attach_wanted);
	assert_true(facts().maps_reused);
	assert_int_equal(crossing(), 1);
}

/* An upgrade: the maps of the schema before are forwarded by until everything is set in ours. */
static void maps_of_an_earlier_schema_are_replaced_without_a_gap(void **state)
{
	struct plane_port armed = port_of(2, b);
	char earlier[160];
	struct stat st;

	set_all();
	sweep();
	snprintf(earlier, sizeof(earlier), "%s/maps%d", p->dir, VMAC_SCHEMA - 1);
	assert_int_equal(rename(p->maps, earlier), 0);
	reopen(attach_wanted);
	assert_false(facts().maps_reused);
	assert_int_equal(facts().schema, VMAC_SCHEMA);
	set_uplink();
	set(port_of(1, a));
	armed.gate = PLANE_TUNNEL_IN;
	armed.more.armed = true;
	set(armed);
	assert_int_equal(crossing(), 1); /* as the earlier one has it */
	assert_int_equal(stat(earlier, &st), 0);
	sweep();
	assert_int_equal(crossing(), 0); /* as we have it: by the wire */
	assert_int_equal(stat(earlier, &st), -1);
	reopen(attach_wanted);
	assert_true(facts().maps_reused);
	assert_int_equal(crossing(), 0);
	set_all();
	assert_int_equal(crossing(), 1);
}

static void the_way_of_attaching_may_change(void **state)
{
	static const char *const ways[] = { "clsact", NULL, "clsact", NULL };

	set_all();
	sweep();
	for (size_t i = 0; i < 4; i++) {
		reopen(ways[i]);
		assert_int_equal(crossing(), 1);
		set_all();
		assert_int_equal(crossing(), 1);
		sweep();
		assert_int_equal(crossing(), 1);
		assert_string_equal(facts().attach, ways[i]	       ? ways[i]
						    : attach_has_tcx() ? "tcx"
								       : "clsact");
	}
	assert_int_equal(lab_counters(p, 1).rx_frames, 12); /* no frame was switched twice */
}

/* --- changing -------------------------------------------------------------------------------- */

static void a_port_moves_between_segments_and_addresses(void **state)
{
	struct plane_port port = port_of(2, b);

	set_all();
	port.net = (struct plane_net){ 0, 9 };
	set(port);
	assert_int_equal(crossing(), 0);
	assert_int_equal(tables_list_count(&p->tables, NET_OF(1, 0)), 1);
	assert_int_equal(tables_list_count(&p->tables, NET_OF(0, 9)), 1);
	port = port_of(2, b);
	port.address = mac_of(99);
	set(port);
	assert_int_equal(crossing(), 0);
	set(port_of(2, b));
	assert_int_equal(crossing(), 1);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 0), plane_mac_word(mac_of(99))), 0);
}

static void the_host_answers_where_it_has_ports(void **state)
{
	struct plane_port port = port_of(2, b);
	uint64_t nic = plane_mac_word(lab_mac(NIC)), other = plane_mac_word(mac_of(77));
	struct plane_uplink u = { 1, up, mac_of(77), 1500 };
	struct error e;

	set_all();
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 0), nic), SLOT_UPLINK_0 + 1);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 5), nic), 0);
	port.net.vlan = 5;
	set(port);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 5), nic), SLOT_UPLINK_0 + 1);
	assert_int_equal(plane_uplink_set(p, &u, &e), 0); /* the NIC has a new address */
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 5), nic), 0);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 5), other), SLOT_UPLINK_0 + 1);
	assert_int_equal(plane_port_remove(p, 2, false, &e), 0);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 5), other), 0);
	assert_int_equal(plane_uplink_remove(p, 1, &e), 0);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 0), other), 0);
}

static void a_number_used_again_is_another_link(void **state)
{
	struct plane_port port;
	int fd, vanished = lab_tap("gone", 1500, &fd);
	struct error e;

	set_all();
	set(port_of(3, vanished));
	close(fd);
	lab_command("ip link del gone"); /* the tap vanishes, and its number with it */
	lab_command("ip link add again index %d type veth peer name again1", vanished);
	reopen(attach_wanted);
	set_uplink();
	port = port_of(4, vanished);
	set(port);
	assert_int_equal(tables_fdb(&p->tables, NET_OF(1, 0), plane_mac_word(mac_of(3))), 0);
	assert_int_equal(MEMBER_IFINDEX(*tables_word(&p->tables.members, 3)), 0);
	assert_int_equal(MEMBER_IFINDEX(*tables_word(&p->tables.members, 4)), vanished);
	/* A link that came back under another number. */
	lab_command("ip link del again");
	lab_command("ip link add again index %d type veth peer name again1", vanished + 1000);
	port.ifindex = vanished + 1000;
	set(port);
	assert_int_equal(tables_index(&p->tables, vanished), 0);
	assert_int_equal(MEMBER_IFINDEX(*tables_word(&p->tables.members, 4)), vanished + 1000);
	lab_command("ip link del again");
	assert_int_equal(plane_port_remove(p, 4, false, &e), 0);
	/* Numbers beyond the array. */
	lab_command("ip link add again index 70000 type veth peer name again1");
	port.ifindex = 70000;
	set(port);
	assert_true(tables_index(&p->tables, 70000));
	assert_int_equal(plane_port_remove(p, 4, false, &e), 0);
	assert_int_equal(tables_index(&p->tables, 70000), 0);
	lab_command("ip link del again");
}

/* Two addresses with one place in the array in front of the table. */
static void a_taken_place_hides_nobody(void **state)
{
	unsigned int net = NET_OF(1, 0), place = FDB_NEAR_PLACE(net, plane_mac_word(mac_of(2)));
	struct plane_port other = port_of(3, up);
	unsigned int id = 3;
	struct error e;

	do
		other.address = mac_of(++id);
	while (FDB_NEAR_PLACE(net, plane_mac_word(other.address)) != place);
	set(other);
	set(port_of(1, a));
	set(port_of(2, b));
	assert_int_equal(FDB_SLOT(*tables_word(&p->tables.fdb_near, place)), 3);
	assert_int_equal(crossing(), 1);
	assert_int_equal(plane_port_remove(p, 3, false, &e), 0);
	assert_int_equal(*tables_word(&p->tables.fdb_near, place), FDB_NEAR_ASK);
	assert_int_equal(crossing(), 1);
	set(port_of(2, b));
	assert_int_equal(FDB_SLOT(*tables_word(&p->tables.fdb_near, place)), 2);
	assert_int_equal(crossing(), 1);
	assert_int_equal(plane_port_remove(p, 2, false, &e), 0);
	assert_int_equal(*tables_word(&p->tables.fdb_near, place), FDB_NEAR_ASK);
	assert_int_equal(crossing(), 0);
}

static void counters_start_again_with_the_next_set(void **state)
{
	struct error e;

	set_all();
	crossing();
	set(port_of(1, a));
	assert_int_equal(lab_counters(p, 1).rx_frames, 1);
	assert_int_equal(plane_port_remove(p, 1, false, &e), 0);
	set(port_of(1, a));
	assert_int_equal(lab_counters(p, 1).rx_frames, 0);
}

/* --- refusals -------------------------------------------------------------------------------- */

#define CHECK_REFUSED(call, wanted)                                                                \
	do {                                                                                       \
		struct error e = { 0 };                                                            \
		assert_true((call) < 0);                                                           \
		assert_int_equal(e.code, wanted);                                                  \
	} while (0)

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = { "",	  "a/b",     "..",
					   "a b", "dot.dot", "123456789012345678901234567890123" };
	struct plane_uplink u = { 1, a, lab_mac(NIC), 1500 };
	struct plane_port port = port_of(3, a);
	struct plane_counters c;
	struct plane *other;

	set_all();
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_INTERFACE_IN_USE);
	port.ifindex = up;
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_INTERFACE_IN_USE);
	CHECK_REFUSED(plane_uplink_set(p, &u, &e), ERROR_INTERFACE_IN_USE);
	u.slot = 2;
	u.ifindex = up;
	CHECK_REFUSED(plane_uplink_set(p, &u, &e), ERROR_INTERFACE_IN_USE);
	u.ifindex = 60000;
	CHECK_REFUSED(plane_uplink_set(p, &u, &e), ERROR_NO_INTERFACE);
	port.ifindex = 60000;
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_NO_INTERFACE);
	port.ifindex = 1;
	port.address = mac_of(1);
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_ADDRESS_IN_USE);
	port.address = lab_mac(NIC);
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_ADDRESS_IN_USE);
	port.address.octet[0] |= 1;
	CHECK_REFUSED(plane_port_set(p, &port, &e), ERROR_GROUP_ADDRESS);
	CHECK_REFUSED(plane_port_remove(p, 3, false, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_port_remove(p, 0, false, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_uplink_remove(p, 3, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_port_counters(p, 3, &c, &e), ERROR_NOT_FOUND);
	CHECK_REFUSED(plane_uplink_counters(p, 16, &c, &e), ERROR_NOT_FOUND);
	for (size_t i = 0; i < 6; i++) {
		struct plane_config config = { bad[i], LAB_BPFFS, NULL };

		CHECK_REFUSED(plane_open(&config, &other, &e), ERROR_BAD_NAME);
	}
	CHECK_REFUSED(plane_open(&(struct plane_config){ "lab", LAB_BPFFS, "xdp" }, &other, &e),
		      ERROR_BAD_VALUE);
	assert_int_equal(crossing(), 1); /* nothing of it did any harm */
}

/* --- under fire ------------------------------------------------------------------------------ */

static void *fire(void *stop)
{
	vmac_mac_t to = mac_of(2), from = mac_of(1);
	struct frame f = { .len = 0 };
	struct ip src = lab_ip("192.0.2.1");
	struct lab_run run = { PROGRAM_PORT, a, f.octet, 0 };

	put(&f, to.octet, 6);
	put(&f, from.octet, 6);
	put16(&f, 0x0800);
	put8(&f, 0x45);
	put_zeros(&f, 11);
	put(&f, src.octet, 4);
	put_zeros(&f, 30);
	run.len = f.len;
	run.repeat = 100000;
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
		lab_run(p, &run);
	return NULL;
}

/* Two rows that both let the frame pass, and share no word but what it needs. */
static void a_change_is_never_seen_half_done(void **state)
{
	struct plane_port port = port_of(1, a), other = port;
	struct plane_counters c;
	bool stop = false;
	pthread_t thread;

	port.ip_count = 1;
	port.ips[0] = lab_ip("192.0.2.1");
	other.ip_count = VMAC_IPS_MAX;
	for (unsigned int i = 0; i < VMAC_IPS_MAX; i++) {
		other.ips[i] = lab_ip("203.0.113.1");
		other.ips[i].octet[3] = (uint8_t)i;
	}
	other.ips[VMAC_IPS_MAX - 1] = lab_ip("192.0.2.1");
	set_uplink();
	set(port_of(2, b));
	set(port);
	assert_int_equal(pthread_create(&thread, NULL, fire, &stop), 0);
	for (int i = 0; i < 100; i++)
		set(i % 2 ? port : other);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	c = lab_counters(p, 1);
	print_message("%llu frames\n", (unsigned long long)c.rx_frames);
	assert_true(c.rx_frames > 100000);
	assert_int_equal(lab_drops_sum(&c), 0);
}

int main(int argc, char **argv)
{
#define TEST_(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest each_way[] = {
		TEST_(a_new_process_takes_over_what_it_finds),
		TEST_(what_nobody_set_again_is_swept),
		TEST_(purge_leaves_nothing),
		TEST_(maps_of_another_layout_are_replaced_without_a_gap),
		TEST_(maps_of_an_earlier_schema_are_replaced_without_a_gap),
		TEST_(a_port_moves_between_segments_and_addresses),
		TEST_(a_number_used_again_is_another_link),
	};
	/* Of the tables, however the programs are attached; or of both ways. */
	const struct CMUnitTest once[] = {
		TEST_(the_way_of_attaching_may_change),
		TEST_(the_host_answers_where_it_has_ports),
		TEST_(a_taken_place_hides_nobody),
		TEST_(counters_start_again_with_the_next_set),
		TEST_(what_cannot_be_is_refused),
		TEST_(a_change_is_never_seen_half_done),
	};
	int failed;

	attach_wanted = argc > 1 ? argv[1] : NULL;
	lab_open();
	a = lab_tap("a", 1500, &a_fd);
	b = lab_tap("b", 1500, &b_fd);
	up = lab_tap("up", 1500, &up_fd);
	failed = cmocka_run_group_tests_name("bpf: lifetime", each_way, NULL, NULL);
	if (!attach_wanted)
		failed += cmocka_run_group_tests_name("bpf: lifetime, any way", once, NULL, NULL);
	return failed;
}
